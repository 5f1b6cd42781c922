"""What the exchange trades at: bars as first delivered, and the dividends that their adjustment implies."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.prices import ArchivePrices
from execution.exchange.market import SessionBar
from tests.unit.daemon.archive_rows import SESSIONS, Market, before_open, known_on


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def dividends(prices: ArchivePrices, symbol: str = "A", sessions: int = 4) -> dict[int, float]:
    """Dividends by place of the ex-date, those of nothing left out."""
    found = {place: prices.dividend(symbol, SESSIONS[place]) for place in range(sessions)}
    return {place: amount for place, amount in found.items() if amount}


def test_a_restatement_does_not_change_what_was_traded(market: Market) -> None:
    market.bar("A", 0, 100.0, open=99.0)
    market.bar("A", 1, 50.0, open=51.0)
    market.bar("A", 0, 10.0, open=9.9, known=known_on(3))
    market.bar("A", 0, 5.0, open=4.9, known=known_on(4))
    archive = market.archive()
    archive.view(known_on(5))
    assert ArchivePrices(archive).bar("A", SESSIONS[0]) == SessionBar(open=99.0, high=99.0, low=99.0, close=100.0, volume=1000.0)


def test_a_session_without_a_bar_has_no_price(market: Market) -> None:
    market.closes("A", [1.0, None, 1.0])
    prices = ArchivePrices(market.archive())
    assert prices.bar("A", SESSIONS[1]) is None
    assert prices.bar("B", SESSIONS[0]) is None
    assert prices.bar("A", SESSIONS[0].replace(day=1)) is None, "New Year's Day is no session"
    assert prices.dividend("B", SESSIONS[0]) == 0.0


def test_the_dividend_of_a_split_adjusted_series_is_what_its_adjustment_took_off_the_close_before(market: Market) -> None:
    # 2 USD on a close of 100: every adjusted close before is 0.98 of its close.
    for place, (close, factor) in enumerate([(90.0, 0.98), (100.0, 0.98), (97.0, 1.0), (99.0, 1.0)]):
        market.bar("A", place, close, adj=close * factor)
    assert dividends(ArchivePrices(market.archive())) == {2: pytest.approx(2.0)}


def test_two_dividends_each_fall_on_their_own_ex_date(market: Market) -> None:
    # 1 USD on 50 (factor 0.98), then 3 USD on 60 (factor 0.95): before both 0.98 * 0.95.
    rows = [(50.0, 0.98 * 0.95), (60.0, 0.95), (57.0, 1.0)]
    for place, (close, factor) in enumerate(rows):
        market.bar("A", place, close, adj=close * factor)
    assert dividends(ArchivePrices(market.archive()), sessions=3) == {1: pytest.approx(1.0), 2: pytest.approx(3.0)}


def test_a_dividend_over_a_missing_bar_is_paid_with_the_next_one(market: Market) -> None:
    market.bar("A", 0, 100.0, adj=99.0)
    market.bar("A", 2, 99.0, adj=99.0)
    assert dividends(ArchivePrices(market.archive())) == {2: pytest.approx(1.0)}


@pytest.mark.parametrize("close", [2.0, 37.41, 412.83])
def test_single_precision_of_an_archive_is_not_a_dividend(market: Market, close: float) -> None:
    random = np.random.default_rng(3)
    for place, price in enumerate(close * np.exp(np.cumsum(random.normal(0, 0.02, 60)))):
        market.bar("A", place, float(np.float32(price)), adj=float(np.float32(np.float32(price) * np.float32(0.8137))))
    assert dividends(ArchivePrices(market.archive()), sessions=60) == {}


def test_cents_of_a_rounded_archive_are_not_dividends_and_a_small_dividend_is_one(market: Market) -> None:
    # A dividend of 0.10 on 40 takes the factor from 0.9975 to 1; adjusted closes are rounded to four decimals.
    for place, (close, factor) in enumerate([(39.17, 0.9975), (40.0, 0.9975), (40.11, 1.0), (41.23, 1.0)]):
        market.bar("A", place, close, adj=round(close * factor, 4))
    assert dividends(ArchivePrices(market.archive())) == {2: pytest.approx(0.10, abs=0.001)}


def test_raw_series_pay_and_split_as_their_corporate_actions_say(market: Market) -> None:
    market.closes("A", [100.0, 98.0, 24.5], adjustment="raw")
    market.dividend("A", 1, 2.0, before_open(1))
    market.split("A", 2, 4.0, before_open(2))
    prices = ArchivePrices(market.archive())
    assert dividends(prices, sessions=3) == {1: 2.0}
    assert [prices.split("A", s) for s in SESSIONS[:3]] == [1.0, 1.0, 4.0]


def test_a_split_adjusted_series_is_not_split_again(market: Market) -> None:
    market.closes("A", [25.0, 25.0])
    market.split("A", 1, 4.0, before_open(1))
    assert ArchivePrices(market.archive()).split("A", SESSIONS[1]) == 1.0


def test_a_total_return_series_pays_nothing_and_trades_at_its_close(market: Market) -> None:
    for place, close in enumerate((100.0, 103.0)):
        market.bar("INDEX", place, close, adj=close * (0.9 + place / 10), volume=None, adjustment="total_return")
    market.dividend("INDEX", 1, 2.0, before_open(1))
    prices = ArchivePrices(market.archive())
    assert dividends(prices, "INDEX", 2) == {}
    assert prices.close_only("INDEX") is True
    assert prices.bar("INDEX", SESSIONS[1]) == SessionBar(open=None, high=None, low=None, close=103.0, volume=None)


def test_a_symbol_trades_in_the_series_that_became_known_first(market: Market) -> None:
    market.bar("A", 0, 50.0, open=50.0, adjustment="split", known=known_on(0))
    market.bar("A", 0, 100.0, open=100.0, adjustment="raw", known=known_on(0) + timedelta(minutes=1))
    market.bar("B", 0, 50.0, open=50.0, adjustment="split")
    market.bar("B", 0, 100.0, open=100.0, adjustment="raw")
    prices = ArchivePrices(market.archive())
    closes = {symbol: bar.close for symbol in "AB" if (bar := prices.bar(symbol, SESSIONS[0]))}
    assert closes == {"A": 50.0, "B": 100.0}, "B's were known together: as traded comes first"
    assert [a.symbol for a in prices.assets()] == ["A", "B"]
