"""The life of an order: when it trades, at what price, and when the exchange refuses it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.base import Asset
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.options import VenueError
from execution.exchange.orders import Refusal
from execution.exchange.units import price, shares, usd
from tests.unit.execution.exchange_market import DAYS, SESSIONS, at, bar, flat, make_venue, order


def fills(venue):
    return [(shares(entry.qty), price(entry.ticks), entry.at) for entry in venue.log.entries if entry.kind == "FILL"]


def refusal(venue, request):
    with pytest.raises(Refusal) as caught:
        venue.submit(request)
    return caught.value


RISING = {("AAA", DAYS[0]): bar(100.0), ("AAA", DAYS[1]): bar(100.0, 112.0, 94.0, 106.0), ("AAA", DAYS[2]): bar(110.0)}


def test_a_market_order_placed_before_the_open_waits_as_accepted_and_fills_at_the_open():
    venue = make_venue(RISING)
    placed = venue.submit(order("buy", 10))
    assert placed.status == "accepted"
    venue.advance(at(DAYS[1], 9, 30))
    assert placed.status == "filled"
    assert fills(venue) == [(Decimal(10), Decimal(100), SESSIONS[1].open_at)]
    assert usd(venue.account.cash) == 99_000


def test_a_market_order_in_session_trades_at_once_at_the_price_of_that_moment():
    """The path is 100, 94, 112, 106 at 09:30, 11:40, 13:50, 16:00: half way down its first leg it is 97."""
    venue = make_venue(RISING)
    venue.advance(at(DAYS[1], 10, 35))
    assert venue.submit(order("buy", 1)).filled_avg_price == 97


def test_an_order_after_the_close_waits_for_the_next_open():
    venue = make_venue(RISING)
    venue.advance(at(DAYS[1], 17))
    placed = venue.submit(order("buy", 1))
    venue.advance(at(DAYS[2], 9, 30))
    assert placed.filled_avg_price == 110


def test_buyers_pay_and_sellers_give_the_half_spread():
    venue = make_venue(RISING, liquidity=LiquidityOptions(half_spread_bps=5.0, impact_bps=0.0))
    bought = venue.submit(order("buy", 10))
    venue.advance(at(DAYS[1], 17))
    sold = venue.submit(order("sell", 10))
    venue.advance(at(DAYS[2], 17))
    assert (bought.filled_avg_price, sold.filled_avg_price) == (Decimal("100.05"), Decimal("109.945"))


def test_a_limit_order_waits_and_fills_at_its_limit_when_the_price_first_gets_there():
    """Buying at 97 happens half way between the open at 100 and the low of 94, at 10:35."""
    venue = make_venue(RISING)
    placed = venue.submit(order("buy", 3, limit=97))
    venue.advance(at(DAYS[1], 10, 34))
    assert placed.status == "new"
    venue.advance(at(DAYS[1], 10, 36))
    assert fills(venue) == [(Decimal(3), Decimal(97), at(DAYS[1], 10, 35))]


def test_a_limit_order_whose_price_the_open_already_betters_fills_at_the_open():
    venue = make_venue(RISING)
    placed = venue.submit(order("buy", 3, limit=105))
    venue.advance(at(DAYS[1], 9, 30))
    assert placed.filled_avg_price == 100


def test_a_day_order_that_the_price_never_reaches_expires_at_the_close_and_frees_its_buying_power():
    venue = make_venue(RISING)
    before = venue.account.buying_power
    placed = venue.submit(order("buy", 3, limit=93.99))
    assert venue.account.buying_power < before
    venue.advance(at(DAYS[1], 16))
    assert placed.status == "expired"
    assert placed.stamps["expired"] == SESSIONS[1].close_at
    assert venue.account.buying_power == before


def test_a_gtc_order_lives_on_and_gets_the_better_price_of_a_later_open():
    venue = make_venue(RISING)
    venue.submit(order("buy", 1))
    venue.advance(at(DAYS[1], 15))
    placed = venue.submit(order("sell", 1, limit=109, tif="gtc"))
    venue.advance(at(DAYS[1], 17))
    assert placed.status == "new"
    venue.advance(at(DAYS[2], 10))
    assert placed.filled_avg_price == 110


def test_an_instrument_with_only_a_close_trades_at_the_close_not_at_the_open():
    bars = {("AAA", DAYS[0]): bar(None, close=50.0), ("AAA", DAYS[1]): bar(None, close=52.0)}
    venue = make_venue(bars)
    placed = venue.submit(order("buy", 2))
    venue.advance(at(DAYS[1], 15, 59))
    assert placed.status == "new"
    venue.advance(at(DAYS[1], 16))
    assert fills(venue) == [(Decimal(2), Decimal(52), SESSIONS[1].close_at)]


def test_opening_and_closing_orders_trade_in_their_auction():
    venue = make_venue(RISING)
    opening, closing = venue.submit(order("buy", 1, tif="opg")), venue.submit(order("buy", 1, tif="cls"))
    venue.advance(at(DAYS[1], 17))
    assert (opening.filled_avg_price, closing.filled_avg_price) == (100, 106)


@pytest.mark.parametrize(("tif", "hour", "minute", "accepted"), [
    ("opg", 9, 27, True), ("opg", 9, 28, False), ("opg", 12, 0, False), ("opg", 18, 59, False), ("opg", 19, 0, True),
    ("cls", 15, 49, True), ("cls", 15, 50, False), ("cls", 17, 0, False), ("cls", 19, 0, True),
])  # fmt: skip
def test_auction_orders_are_taken_only_inside_their_window(tif, hour, minute, accepted):
    venue = make_venue(RISING)
    venue.advance(at(DAYS[1], hour, minute))
    if accepted:
        assert not venue.submit(order("buy", 1, tif=tif)).is_final
    else:
        assert refusal(venue, order("buy", 1, tif=tif)).status == 422


def test_an_order_deeper_than_the_quotes_within_its_limit_fills_in_parts_as_they_come_back():
    """Level one holds 1e-4 of a volume of 1,000,000: 100 shares at 100.00; the next one is at 100.10."""
    bars = {("AAA", DAYS[0]): bar(100.0), ("AAA", DAYS[1]): bar(100.0, volume=1_000_000.0)}
    venue = make_venue(bars, liquidity=LiquidityOptions(half_spread_bps=0.0, impact_bps=1000.0, refill_s=60.0))
    placed = venue.submit(order("buy", 250, limit=100.05))
    venue.advance(at(DAYS[1], 9, 30))
    assert placed.status == "partially_filled"
    venue.advance(at(DAYS[1], 9, 40))
    opened = SESSIONS[1].open_at
    minute = timedelta(minutes=1)
    assert fills(venue) == [(100, 100, opened), (100, 100, opened + minute), (50, 100, opened + 2 * minute)]


def test_immediate_or_cancel_takes_what_is_there_and_fill_or_kill_wants_all():
    bars = {("AAA", DAYS[0]): bar(100.0), ("AAA", DAYS[1]): bar(100.0, volume=1_000_000.0)}
    venue = make_venue(bars, liquidity=LiquidityOptions(half_spread_bps=0.0, impact_bps=1000.0))
    venue.advance(at(DAYS[1], 10))
    some = venue.submit(order("buy", 250, limit=100.05, tif="ioc"))
    none = venue.submit(order("buy", 250, limit=100.05, tif="fok"))
    assert (some.status, shares(some.filled_qty)) == ("canceled", 100)
    assert (none.status, none.filled_qty) == ("canceled", 0)
    assert venue.account.reserved == 0


def test_a_canceled_order_is_final_and_cannot_be_canceled_again():
    venue = make_venue(RISING)
    placed = venue.submit(order("buy", 1))
    venue.cancel(placed.id)
    assert placed.status == "canceled"
    with pytest.raises(Refusal, match='already in "canceled" state') as caught:
        venue.cancel(placed.id)
    assert caught.value.status == 422
    with pytest.raises(Refusal) as caught:
        venue.cancel("nonsense")
    assert caught.value.status == 404
    venue.advance(at(DAYS[1], 17))
    assert fills(venue) == []


def test_cancel_all_cancels_what_is_open():
    venue = make_venue(RISING | flat(10.0, "BBB"))
    placed = [venue.submit(order("buy", 1)), venue.submit(order("buy", 1, "BBB"))]
    assert venue.cancel_all() == placed
    assert venue.cancel_all() == []


def test_a_client_order_id_is_unique_for_ever_also_after_a_cancel():
    venue = make_venue(RISING)
    venue.cancel(venue.submit(order("buy", 1, client_order_id="x")).id)
    again = refusal(venue, order("buy", 1, client_order_id="x"))
    assert (again.status, again.code, str(again)) == (422, 40010001, "client_order_id must be unique")


def test_submission_times_strictly_increase_while_the_clock_stands():
    venue = make_venue(RISING)
    times = [venue.submit(order("buy", 1)).submitted_at for _ in range(3)]
    assert times == sorted(set(times))


def test_a_margin_account_buys_for_twice_its_equity_and_not_for_more():
    """The check values a market buy 2.5 % above the last price: 1,951 shares at 102.50 are 199,977.50 of 200,000."""
    venue = make_venue(RISING)
    assert usd(venue.account.buying_power) == 200_000
    too_much = refusal(venue, order("buy", 1952))
    assert (too_much.status, too_much.code) == (403, 40310000)
    assert too_much.extras == {"buying_power": "200000.00", "cost_basis": "200080.00"}
    venue.submit(order("buy", 1951))
    assert usd(venue.account.buying_power) == Decimal("22.5")


def test_buying_power_after_a_fill_is_twice_the_equity_above_half_the_position():
    venue = make_venue(RISING)
    venue.submit(order("buy", 500))
    venue.advance(at(DAYS[1], 9, 30))
    assert usd(venue.marked().buying_power) == 2 * (100_000 - 25_000)


def test_a_cash_account_buys_for_its_cash_and_cannot_short():
    venue = make_venue(RISING, multiplier=1)
    assert usd(venue.account.buying_power) == 100_000
    assert refusal(venue, order("sell", 1)).status == 422
    assert refusal(venue, order("buy", 976)).status == 403


def test_a_sale_of_more_than_is_available_is_refused_and_says_what_is():
    venue = make_venue(RISING)
    venue.submit(order("buy", 10))
    venue.advance(at(DAYS[1], 17))
    venue.submit(order("sell", 4, limit=150, tif="gtc"))
    refused = refusal(venue, order("sell", 7))
    assert refused.status == 403
    assert refused.extras == {"available": "6", "existing_qty": "10", "held_for_orders": "4", "symbol": "AAA"}
    venue.submit(order("sell", 6))


def test_a_short_sale_brings_cash_and_is_covered_by_buying():
    venue = make_venue(RISING)
    venue.submit(order("sell", 10))
    venue.advance(at(DAYS[1], 17))
    holding = venue.account.holdings["AAA"]
    assert (shares(holding.qty), usd(holding.value)) == (-10, -1060)
    assert usd(venue.account.equity) == 100_000 - 60
    venue.submit(order("buy", 10))
    venue.advance(at(DAYS[2], 17))
    assert venue.account.holdings == {}
    assert usd(venue.account.cash) == 100_000 - 100


def test_an_order_against_ones_own_working_order_is_a_wash_trade():
    venue = make_venue(RISING)
    resting = venue.submit(order("buy", 1, limit=95))
    refused = refusal(venue, order("sell", 1, limit=95))
    assert (refused.status, refused.code) == (403, 40310000)
    assert refused.extras["existing_order_id"] == resting.id
    venue.submit(order("sell", 1, limit=95.01))


LISTED = [
    Asset(symbol="AAA", tradable=True, fractionable=False, shortable=False),
    Asset(symbol="OFF", tradable=False, fractionable=True, shortable=True),
    Asset(symbol="NEVER", tradable=True, fractionable=True, shortable=True),
]


@pytest.mark.parametrize(("request_", "status"), [
    (order("buy", 1, "UNKNOWN"), 422), (order("buy", 1, "OFF"), 422), (order("buy", 1, "NEVER"), 422),
    (order("buy", "0.5"), 403), (order("sell", 1), 422), (order("buy", 0), 422), (order("buy", -1), 422),
    (order("buy", "1.0000000001"), 422), (order("buy", "NaN"), 422), (order("buy", 1, limit="290.123"), 422),
    (order("buy", 1, limit="0.12345"), 422), (order("buy", 1, limit=0), 422), (order("buy", 1, extended_hours=True), 422),
    (order("hold", 1), 422), (order("buy", 1, tif="never"), 422), (order("buy", "1.5", limit=90, tif="gtc"), 422),
    (order("buy", 1, client_order_id="x" * 129), 422), (order("buy", 1, stop_price=Decimal(90)), 422),
])  # fmt: skip
def test_an_order_that_breaks_a_rule_is_refused_and_changes_nothing(request_, status):
    venue = make_venue(RISING, assets=LISTED)
    before = (venue.account.buying_power, venue.now)
    assert refusal(venue, request_).status == status
    assert venue.blotter.orders == []
    assert (venue.account.buying_power, venue.now) == before


def test_fractions_of_a_share_trade_to_the_ninth_decimal_and_cannot_be_shorted():
    venue = make_venue(RISING)
    venue.submit(order("buy", "1.234567891"))
    venue.advance(at(DAYS[1], 17))
    assert shares(venue.account.holdings["AAA"].qty) == Decimal("1.234567891")
    assert usd(venue.account.cash) == Decimal("100000") - Decimal("123.4567891")
    venue.submit(order("sell", "1.234567891"))
    venue.advance(at(DAYS[2], 17))
    assert refusal(venue, order("sell", "0.5")).status == 422


def test_time_never_runs_backwards():
    venue = make_venue(RISING)
    venue.advance(at(DAYS[1], 12))
    venue.advance(at(DAYS[1], 10))
    assert venue.now == at(DAYS[1], 12)


def test_a_new_listing_trades_from_its_first_session_on():
    venue = make_venue({("AAA", DAYS[1]): bar(25.0)})
    placed = venue.submit(order("buy", 1))
    venue.advance(at(DAYS[1], 10))
    assert placed.filled_avg_price == 25


@pytest.mark.parametrize("wrong", [{"start": at(DAYS[1], 9).replace(tzinfo=None)}, {"multiplier": 4}, {"cash_usd": Decimal(-1)}])
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(VenueError):
        make_venue(RISING, **wrong)
