"""What trading costs: half spread, impact, rounding."""

import pytest

from execution.exchange.liquidity import ENDLESS, LiquidityOptions, ladder
from execution.exchange.units import SHARE


def test_a_small_order_pays_the_half_spread_on_either_side():
    options = LiquidityOptions(half_spread_bps=2.0)
    assert ladder("buy", SHARE, 1_000_000, 1e6, options)[0][0] == 1_000_200
    assert ladder("sell", SHARE, 1_000_000, 1e6, options)[0][0] == 999_800


def test_quotes_round_away_from_the_reference_so_that_the_spread_is_never_less_than_asked():
    options = LiquidityOptions(half_spread_bps=2.0, impact_bps=0.0)
    assert ladder("buy", SHARE, 1_234, None, options) == [(1_235, ENDLESS)]
    assert ladder("sell", SHARE, 1_234, None, options) == [(1_233, ENDLESS)]


def test_without_spread_and_impact_the_quote_is_the_reference():
    options = LiquidityOptions(half_spread_bps=0.0, impact_bps=0.0)
    assert ladder("buy", SHARE, 123_400, 1e6, options) == [(123_400, ENDLESS)]


@pytest.mark.parametrize("volume", [None, 0, 0.0])
def test_a_bar_without_volume_has_one_endless_level(volume):
    assert len(ladder("buy", 10**9 * SHARE, 1_000_000, volume, LiquidityOptions())) == 1


def test_an_order_for_a_hundredth_of_the_volume_reaches_the_level_of_a_thousandth():
    """Levels begin at 0, 1e-4 and 1e-3 of the volume: their distances are 2, 2 + 100/100 and 2 + 100/sqrt(1000) bps."""
    levels = ladder("buy", 10_000 * SHARE, 1_000_000, 1e6, LiquidityOptions(half_spread_bps=2.0, impact_bps=100.0))
    assert [ticks for ticks, _ in levels] == [1_000_200, 1_000_300, 1_000_517]
    assert sum(units for _, units in levels) == 10_000 * SHARE


@pytest.mark.parametrize("taker", ["buy", "sell"])
def test_deeper_levels_are_never_better_and_the_ladder_covers_any_order(taker):
    levels = ladder(taker, 10**12 * SHARE, 5_000_000, 1e6, LiquidityOptions())
    prices = [ticks for ticks, _ in levels]
    assert prices == sorted(prices, reverse=taker == "sell")
    assert sum(units for _, units in levels) >= 10**12 * SHARE


def test_a_bid_never_falls_below_one_tick():
    assert ladder("sell", SHARE, 1, None, LiquidityOptions(half_spread_bps=5_000))[0][0] == 1
