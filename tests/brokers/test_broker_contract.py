"""What allocd relies on, held against every broker: the in-process exchange, and alpaca-py over HTTP to the same exchange."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from execution.base import OPEN_STATUSES, Order, OrderRequest
from execution.errors import Rejected, UnknownOutcome

from .conftest import DAYS, DIVIDEND_DAY, LAST_DAY_OF_GONE, SPLIT_DAY, START, Desk

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def request(key: str, symbol: str = "AAPL", side: str = "buy", qty: str = "10", **fields: object) -> OrderRequest:
    return OrderRequest(client_order_id=key, symbol=symbol, side=side, qty=D(qty), **fields)  # type: ignore[arg-type]


def bought(desk: Desk, symbol: str, qty: str) -> Order:
    """Buy on the first day at the open."""
    desk.broker.submit(request(f"buy-{symbol}", symbol, qty=qty))
    desk.to_open(DAYS[0])
    order = desk.broker.order_by_client_id(f"buy-{symbol}")
    assert order is not None
    return order


def test_a_fresh_account_has_its_cash_and_nothing_else(desk):
    account = desk.broker.account()
    assert (account.cash, account.equity, account.multiplier, account.status) == (D(100_000), D(100_000), D(2), "ACTIVE")
    assert account.buying_power == D(200_000)
    assert (desk.broker.positions(), desk.broker.orders(status="all"), desk.broker.fills(after=LONG_AGO)) == ([], [], [])


def test_the_clock_tells_the_venues_time_and_the_next_open_and_close(desk):
    clock = desk.broker.clock()
    assert (clock.timestamp, clock.is_open) == (START, False)
    assert (clock.next_open, clock.next_close) == (datetime(2024, 1, 2, 14, 30, tzinfo=UTC), datetime(2024, 1, 2, 21, tzinfo=UTC))
    desk.to_open(DAYS[0])
    assert desk.broker.clock().is_open


def test_every_listed_asset_is_described(desk):
    assets = {asset.symbol: asset for asset in desk.broker.assets()}
    assert {"AAPL", "MSFT", "GONE"} <= assets.keys()
    assert (assets["AAPL"].tradable, assets["AAPL"].fractionable, assets["AAPL"].shortable) == (True, True, True)
    assert not assets["HALT"].tradable if "HALT" in assets else True


def test_an_order_before_the_open_waits_as_accepted_and_fills_at_the_open(desk):
    order = desk.broker.submit(request("c-1", qty="10.5"))
    assert (order.client_order_id, order.symbol, order.side, order.qty) == ("c-1", "AAPL", "buy", D("10.5"))
    assert (order.status, order.filled_qty, order.type, order.time_in_force) == ("accepted", D(0), "market", "day")
    assert order.submitted_at >= START
    desk.to_open(DAYS[0])
    filled = desk.broker.order_by_client_id("c-1")
    assert filled is not None
    assert (filled.id, filled.status, filled.filled_qty, filled.is_final) == (order.id, "filled", D("10.5"), True)
    assert filled.filled_avg_price == pytest.approx(D(100), rel=D("0.002"))


def test_fills_positions_and_cash_tell_the_same_story(desk):
    order = bought(desk, "AAPL", "10.5")
    fills = desk.broker.fills(after=LONG_AGO)
    assert {fill.order_id for fill in fills} == {order.id}
    assert sum(fill.qty for fill in fills) == D("10.5")
    assert all((fill.symbol, fill.side) == ("AAPL", "buy") for fill in fills)
    assert desk.broker.account().cash == D(100_000) - sum(fill.qty * fill.price for fill in fills)
    [position] = desk.broker.positions()
    assert (position.symbol, position.qty) == ("AAPL", D("10.5"))
    account = desk.broker.account()
    assert account.equity == account.cash + (position.market_value or 0)


def test_an_id_that_was_never_seen_is_none(desk):
    assert desk.broker.order_by_client_id("never") is None


def test_the_same_client_id_twice_makes_one_order(desk):
    first = desk.broker.submit(request("c-1"))
    with pytest.raises((Rejected, UnknownOutcome), match="unique"):
        desk.broker.submit(request("c-1", qty="99"))
    assert [order.id for order in desk.broker.orders(status="all")] == [first.id]
    again = desk.broker.order_by_client_id("c-1")
    assert again is not None
    assert again.qty == D(10)


REFUSED = {
    "no such asset": request("x", "NOPE"),
    "not tradable": request("x", "HALT"),
    "no quantity": request("x", qty="0"),
    "too expensive": request("x", qty="1000000"),
    "fraction at the open": request("x", qty="1.5", time_in_force="opg"),
    "fractional short": request("x", side="sell", qty="1.5"),
    "sub-penny limit": request("x", type="limit", limit_price=D("100.001")),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_refused_order_is_rejected_and_leaves_no_order(desk, why):
    with pytest.raises(Rejected) as refusal:
        desk.broker.submit(REFUSED[why])
    assert 400 <= refusal.value.status < 500
    assert refusal.value.code > 0
    assert desk.broker.orders(status="all") == []


def test_open_and_closed_orders_are_listed_apart_in_ascending_order(desk):
    keys = [f"c-{number}" for number in range(5)]
    for key in keys:
        desk.broker.submit(request(key, qty="1"))
    opened = desk.broker.orders()
    assert [order.client_order_id for order in opened] == keys
    assert {order.status for order in opened} <= OPEN_STATUSES
    assert [order.client_order_id for order in desk.broker.orders(after=opened[2].submitted_at)] == keys[3:]
    desk.to_open(DAYS[0])
    assert desk.broker.orders() == []
    assert [order.client_order_id for order in desk.broker.orders(status="closed")] == keys
    times = [order.submitted_at for order in desk.broker.orders(status="all")]
    assert times == sorted(set(times))


def test_a_cancelled_order_is_final_and_cannot_be_cancelled_again(desk):
    order = desk.broker.submit(request("c-1", type="limit", limit_price=D(50), time_in_force="gtc"))
    desk.broker.cancel(order.id)
    found = desk.broker.order_by_client_id("c-1")
    assert found is not None
    assert (found.status, found.filled_qty, found.limit_price) == ("canceled", D(0), D(50))
    with pytest.raises(Rejected):
        desk.broker.cancel(order.id)
    with pytest.raises(Rejected):
        desk.broker.cancel("7b08df51-c1ac-453c-99f9-323a5f075f0d")


def test_a_day_order_that_finds_no_price_expires_at_the_close(desk):
    desk.broker.submit(request("c-1", type="limit", limit_price=D(50)))
    desk.to_evening(DAYS[0])
    found = desk.broker.order_by_client_id("c-1")
    assert found is not None
    assert (found.status, found.is_final) == ("expired", True)


def test_a_short_is_a_negative_position_and_its_proceeds_are_cash(desk):
    desk.broker.submit(request("s-1", side="sell", qty="10"))
    desk.to_open(DAYS[0])
    [position] = desk.broker.positions()
    [fill] = desk.broker.fills(after=LONG_AGO)
    assert (position.qty, fill.side) == (D(-10), "sell")
    assert position.market_value is not None
    assert position.market_value < 0
    assert desk.broker.account().cash == D(100_000) + fill.qty * fill.price


def test_a_split_changes_the_position_and_is_an_activity(desk):
    bought(desk, "AAPL", "10")
    cash = desk.broker.account().cash
    desk.to_open(SPLIT_DAY)
    [split] = [activity for activity in desk.broker.cash_activities(after=LONG_AGO) if activity.kind == "SPLIT"]
    assert (split.symbol, split.qty, split.net_amount) == ("AAPL", D(10), D(0))
    assert desk.broker.positions()[0].qty == D(20)
    assert desk.broker.account().cash == cash


def test_a_dividend_is_cash_and_an_activity_without_shares(desk):
    bought(desk, "MSFT", "10")
    cash = desk.broker.account().cash
    desk.to_open(DIVIDEND_DAY)
    [dividend] = [activity for activity in desk.broker.cash_activities(after=LONG_AGO) if activity.kind == "DIV"]
    assert (dividend.symbol, dividend.qty, dividend.net_amount) == ("MSFT", D(0), D("2.5"))
    assert desk.broker.account().cash == cash + D("2.5")


def test_a_delisting_pays_the_position_out(desk):
    bought(desk, "GONE", "10")
    cash = desk.broker.account().cash
    desk.to_evening(DAYS[DAYS.index(LAST_DAY_OF_GONE) + 11])
    [paid] = [activity for activity in desk.broker.cash_activities(after=LONG_AGO) if activity.kind == "REORG"]
    assert (paid.symbol, paid.qty) == ("GONE", D(-10))
    assert desk.broker.positions() == []
    assert desk.broker.account().cash == cash + paid.net_amount


def test_fills_and_activities_after_an_instant_include_that_instant_and_ids_are_stable(desk):
    bought(desk, "MSFT", "10")
    desk.to_open(DIVIDEND_DAY)
    fills = desk.broker.fills(after=LONG_AGO)
    assert desk.broker.fills(after=fills[0].at) == fills
    assert desk.broker.fills(after=fills[-1].at + timedelta(seconds=1)) == []
    activities = desk.broker.cash_activities(after=LONG_AGO)
    assert [activity.kind for activity in activities] == ["CSD", "DIV"]
    assert activities[-1] in desk.broker.cash_activities(after=activities[-1].at)
    assert len({item.id for item in [*fills, *activities]}) == len(fills) + 2


def test_more_orders_and_fills_than_a_page_are_read_in_full(desk):
    """520 orders exceed Alpaca's page of 500, their fills its page of 100 five times over."""
    keys = [f"c-{number}" for number in range(520)]
    for key in keys:
        desk.broker.submit(request(key, "MSFT", qty="0.1"))
    assert [order.client_order_id for order in desk.broker.orders()] == keys
    desk.to_open(DAYS[0])
    fills = desk.broker.fills(after=LONG_AGO)
    assert len({fill.order_id for fill in fills}) == 520
    assert sum(fill.qty for fill in fills) == D(52)
