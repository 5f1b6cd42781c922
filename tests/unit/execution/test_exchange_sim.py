"""The in-process broker speaks the Broker protocol and is fast enough for replays."""

from decimal import Decimal
from time import process_time

import pytest

from execution.base import Broker
from execution.errors import Rejected
from execution.exchange.sim import SimBroker
from tests.unit.execution.exchange_market import DAYS, SESSIONS, at, bar, flat, make_venue, order


def broker_with(bars, **options) -> Broker:
    return SimBroker(make_venue(bars, **options))


def test_an_order_goes_from_accepted_to_filled_and_shows_up_everywhere():
    broker = broker_with(flat(100.0))
    sent = broker.submit(order("buy", "2.5", client_order_id="mine"))
    assert (sent.status, sent.qty, sent.filled_qty, sent.filled_avg_price) == ("accepted", Decimal("2.5"), 0, None)
    assert broker.orders() == [sent]
    broker.venue.advance(at(DAYS[1], 9, 30))
    done = broker.order_by_client_id("mine")
    assert (done.status, done.filled_qty, done.filled_avg_price) == ("filled", Decimal("2.5"), 100)
    assert done.is_final
    assert broker.orders() == []
    assert broker.orders(status="closed") == broker.orders(status="all") == [done]
    (fill,) = broker.fills(after=SESSIONS[1].open_at)
    assert (fill.order_id, fill.qty, fill.price, fill.at) == (sent.id, Decimal("2.5"), 100, SESSIONS[1].open_at)
    (position,) = broker.positions()
    assert (position.symbol, position.qty, position.avg_entry_price, position.market_value) == ("AAA", Decimal("2.5"), 100, 250)
    account = broker.account()
    assert (account.cash, account.equity, account.buying_power) == (99_750, 100_000, 199_750)


def test_the_answer_to_an_order_is_a_snapshot_that_later_events_leave_alone():
    broker = broker_with(flat(100.0))
    sent = broker.submit(order("buy", 1))
    broker.venue.advance(at(DAYS[1], 17))
    assert sent.status == "accepted"


def test_what_the_venue_refuses_is_rejected_with_its_code():
    broker = broker_with(flat(100.0))
    with pytest.raises(Rejected) as caught:
        broker.submit(order("buy", 10_000))
    assert (caught.value.status, caught.value.code) == (403, 40310000)
    with pytest.raises(Rejected):
        broker.cancel("unknown")


def test_the_clock_tells_the_next_open_and_close():
    broker = broker_with(flat(100.0))
    before = broker.clock()
    assert (before.is_open, before.next_open, before.next_close) == (False, SESSIONS[1].open_at, SESSIONS[1].close_at)
    broker.venue.advance(at(DAYS[1], 12))
    during = broker.clock()
    assert (during.is_open, during.next_open, during.next_close) == (True, SESSIONS[2].open_at, SESSIONS[1].close_at)
    broker.venue.advance(at(DAYS[-1], 20))
    assert broker.clock().next_open == SESSIONS[-1].open_at


def test_orders_are_listed_after_an_instant_exclusively_and_in_order():
    broker = broker_with(flat(100.0))
    first, second = broker.submit(order("buy", 1)), broker.submit(order("buy", 2))
    assert broker.orders(after=first.submitted_at) == [second]
    assert broker.orders(status="all", after=second.submitted_at) == []


def test_cash_activities_are_everything_but_fills():
    broker = broker_with(flat(100.0), dividends={("AAA", DAYS[2]): 0.5})
    broker.submit(order("buy", 10))
    broker.venue.advance(at(DAYS[2], 6))
    assert [(entry.kind, entry.net_amount, entry.qty) for entry in broker.cash_activities(after=at(DAYS[0], 0))] == [
        ("CSD", 100_000, 0),
        ("DIV", 5, 0),
    ]


def test_a_replay_of_many_sessions_stays_far_below_a_millisecond_an_order():
    """A loose bound, many times the usual cost, that still fails when something becomes quadratic."""
    symbols = [f"S{number}" for number in range(100)]
    bars = {(symbol, day): bar(20.0, 21.0, 19.0, 20.5, 1e6) for symbol in symbols for day in DAYS}
    broker = broker_with(bars)
    started = process_time()
    for session in SESSIONS[1:]:
        broker.venue.advance(session.corporate_at)
        for symbol in symbols:
            broker.submit(order("buy", "0.5", symbol))
        broker.venue.advance(session.close_at)
        assert len(broker.fills(after=session.open_at)) == len(symbols)
    assert process_time() - started < 5.0
