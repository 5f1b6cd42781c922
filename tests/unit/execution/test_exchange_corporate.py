"""Splits, dividends and delistings reach positions, cash and open orders."""

from decimal import Decimal

from execution.exchange.units import price, shares, usd
from tests.unit.execution.exchange_market import DAYS, SESSIONS, at, bar, flat, make_venue, order


def others(venue):
    return [
        (entry.kind, entry.symbol, shares(entry.qty), usd(entry.net)) for entry in venue.log.entries if entry.kind not in ("FILL", "CSD")
    ]


def holding(venue, side="buy", qty=10):
    """A position taken at the open of the second day."""
    venue.submit(order(side, qty))
    venue.advance(at(DAYS[1], 17))
    return venue.account.holdings["AAA"]


HALVED = {("AAA", day): bar(100.0 if day < DAYS[2] else 25.0) for day in DAYS}


def test_a_split_multiplies_the_shares_and_leaves_cost_and_equity_alone():
    venue = make_venue(HALVED, splits={("AAA", DAYS[2]): 4.0})
    held = holding(venue)
    venue.advance(at(DAYS[2], 5, 59))
    assert shares(held.qty) == 10
    venue.advance(at(DAYS[2], 6))
    assert (shares(held.qty), price(held.mark_ticks), usd(held.cost)) == (40, 25, 1000)
    assert usd(venue.account.equity) == 100_000
    assert others(venue) == [("SPLIT", "AAA", 30, 0)]


def test_a_reverse_split_shrinks_a_short_as_well():
    bars = {("AAA", day): bar(10.0 if day < DAYS[2] else 80.0) for day in DAYS}
    venue = make_venue(bars, splits={("AAA", DAYS[2]): 0.125})
    held = holding(venue, "sell", 16)
    venue.advance(at(DAYS[2], 6))
    assert (shares(held.qty), price(held.mark_ticks)) == (-2, 80)
    assert usd(venue.account.equity) == 100_000


def test_a_split_cancels_open_orders_in_the_old_shares():
    venue = make_venue(HALVED, splits={("AAA", DAYS[2]): 4.0})
    venue.advance(at(DAYS[1], 17))
    placed = venue.submit(order("buy", 1, limit=90, tif="gtc"))
    venue.advance(at(DAYS[2], 6))
    assert (placed.status, placed.reject_reason) == ("canceled", "the share was split")


def test_after_a_split_the_buying_power_check_values_an_order_in_new_shares():
    """1,951 x 4 shares at 25 plus 2.5 % are 199,977.50, as 1,951 were at 100."""
    venue = make_venue(HALVED, splits={("AAA", DAYS[2]): 4.0})
    venue.advance(at(DAYS[2], 7))
    venue.submit(order("buy", 1951 * 4))
    assert usd(venue.account.buying_power) == Decimal("22.5")


def test_a_dividend_is_paid_on_the_shares_held_before_the_ex_date_to_the_cent():
    venue = make_venue(flat(100.0), dividends={("AAA", DAYS[2]): 0.515, ("AAA", DAYS[1]): 9.0})
    holding(venue, qty="3.1")
    before = venue.account.cash
    venue.advance(at(DAYS[2], 6))
    assert others(venue) == [("DIV", "AAA", Decimal("3.1"), Decimal("1.60"))]
    assert usd(venue.account.cash - before) == Decimal("1.60")


def test_a_short_pays_the_dividend():
    venue = make_venue(flat(100.0), dividends={("AAA", DAYS[2]): 0.5})
    holding(venue, "sell")
    venue.advance(at(DAYS[2], 6))
    assert others(venue) == [("DIV", "AAA", -10, -5)]


def test_a_dividend_on_the_day_of_a_split_is_per_new_share():
    venue = make_venue(HALVED, splits={("AAA", DAYS[2]): 4.0}, dividends={("AAA", DAYS[2]): 0.25})
    holding(venue)
    venue.advance(at(DAYS[2], 6))
    assert others(venue) == [("SPLIT", "AAA", 30, 0), ("DIV", "AAA", 40, 10)]


def test_ten_sessions_without_a_bar_cash_out_the_position_and_cancel_its_orders():
    bars = {("AAA", day): bar(100.0, close=90.0) for day in DAYS[:2]} | flat(1.0, "BBB")
    venue = make_venue(bars)
    holding(venue)
    placed = venue.submit(order("sell", 4, limit=120, tif="gtc"))
    venue.advance(at(DAYS[11], 15))
    assert "AAA" in venue.account.holdings
    venue.advance(at(DAYS[11], 16))
    assert venue.account.holdings == {}
    assert (placed.status, placed.reject_reason) == ("canceled", "the instrument was delisted")
    assert others(venue) == [("REORG", "AAA", -10, 900)]
    assert venue.log.entries[-1].at == SESSIONS[11].close_at
    assert usd(venue.account.cash) == 100_000 - 1000 + 900


def test_nine_sessions_without_a_bar_are_a_halt_after_which_trading_goes_on():
    days = [*DAYS[:2], *DAYS[11:]]
    venue = make_venue(flat(100.0, days=days))
    holding(venue)
    placed = venue.submit(order("sell", 10, limit=99, tif="gtc"))
    venue.advance(at(DAYS[11], 10))
    assert placed.filled_avg_price == 100


def test_a_market_order_for_a_session_without_a_bar_expires():
    venue = make_venue({("AAA", DAYS[0]): bar(100.0)})
    placed = venue.submit(order("buy", 1))
    venue.advance(at(DAYS[1], 17))
    assert placed.status == "expired"
    assert venue.account.reserved == 0
