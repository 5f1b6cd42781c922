"""Freshness, last prices and returns, read off small views."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from daemon.readings import PRICE_SESSIONS, asset_returns, is_fresh, last_prices
from tests.unit.daemon.archive_rows import Market, known_on


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def test_a_view_with_bars_of_half_of_what_traded_lately_is_fresh_and_with_fewer_it_is_stale(market: Market) -> None:
    for symbol in "ABCD":
        market.closes(symbol, [1.0])
    for symbol in "AB":
        market.bar(symbol, 1, 1.0)
    market.bar("A", 2, 1.0)
    archive = market.archive()
    assert is_fresh(archive.view(known_on(0)))
    assert is_fresh(archive.view(known_on(1)))
    assert not is_fresh(archive.view(known_on(2)))


def test_what_has_not_traded_for_ten_sessions_does_not_count_as_missing(market: Market) -> None:
    for symbol in ("OLDA", "OLDB", "OLDC"):
        market.closes(symbol, [1.0])
    market.closes("A", [1.0] * 12)
    archive = market.archive()
    assert not is_fresh(archive.view(known_on(9)))
    assert is_fresh(archive.view(known_on(10)))


def test_a_view_without_bars_is_not_fresh(market: Market) -> None:
    assert not is_fresh(market.view(known_on(0)))
    market.closes("A", [1.0])
    assert not is_fresh(market.view(known_on(40))), "what was once known has long stopped"


def test_the_last_price_is_the_newest_close_to_a_millionth_and_old_ones_are_no_price(market: Market) -> None:
    market.closes("OLD", [3.0])
    market.closes("A", [1.0, 2.12345678, None])
    market.closes("SPY", [1.0] * (PRICE_SESSIONS + 1))
    archive = market.archive()
    assert last_prices(archive.view(known_on(2)), ["A", "OLD", "NONE"]) == {"A": Decimal("2.123457"), "OLD": Decimal("3.0")}
    assert last_prices(archive.view(known_on(PRICE_SESSIONS)), ["A", "OLD"]) == {"A": Decimal("2.123457")}
    assert last_prices(archive.view(known_on(0)), []) == {}


def test_returns_are_total_and_nan_beside_a_missing_bar(market: Market) -> None:
    market.bar("A", 0, 100.0, adj=98.0)
    market.bar("A", 1, 98.0, adj=98.0)
    market.bar("A", 3, 49.0, adj=49.0)
    market.bar("A", 4, 98.0, adj=98.0)
    returns = asset_returns(market.view(known_on(4)), ["A"])
    np.testing.assert_allclose(returns["A"].to_numpy(), [0.0, np.nan, np.nan, 1.0], atol=1e-12)
    assert asset_returns(market.view(known_on(4)), ["A"], 1).shape == (1, 1)
