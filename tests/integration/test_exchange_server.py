"""The real alpaca-py client drives the exchange over real HTTP."""

import threading
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, PositionSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest, LimitOrderRequest, MarketOrderRequest

from execution.exchange.journal import Journal
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession, SessionBar
from execution.exchange.prices import TablePrices
from execution.exchange.server import create_app, serve
from execution.exchange.venue import Venue, VenueOptions

NEW_YORK = ZoneInfo("America/New_York")


def at(day, hour, minute=0):
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


DAYS = [day for day in (date(2020, 3, 2) + timedelta(days=number) for number in range(21)) if day.weekday() < 5]
SESSIONS = [MarketSession(date=day, open_at=at(day, 9, 30), close_at=at(day, 16)) for day in DAYS]
BARS = {
    (symbol, day): SessionBar(open=level, high=level + 3, low=level - 3, close=level + 1, volume=None)
    for symbol, level in (("AAPL", 300.0), ("BRK.B", 200.0))
    for day in DAYS
}
DIVIDENDS = {("AAPL", DAYS[2]): 0.77}


def new_venue(journal=None):
    free = LiquidityOptions(half_spread_bps=0.0, impact_bps=0.0)
    options = VenueOptions(start_at=at(DAYS[1], 8), liquidity=free)
    return Venue(options, TablePrices(BARS, dividends=DIVIDENDS), SESSIONS, journal)


class Exchange:
    """A served exchange and a client of it."""

    def __init__(self, app):
        self._stop = threading.Event()
        listening, ports = threading.Event(), []

        def ready(port):
            ports.append(port)
            listening.set()

        self._thread = threading.Thread(target=serve, args=(app, "127.0.0.1", 0, ready), kwargs={"stop": self._stop})
        self._thread.start()
        assert listening.wait(10)
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.client = TradingClient("key", "secret", paper=True, url_override=self.url)

    def move_to(self, instant):
        answer = httpx.put(f"{self.url}/exchange/clock", json={"now": instant.isoformat()})
        answer.raise_for_status()
        return answer.json()["now"]

    def close(self):
        self.client._session.close()
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def run():
    """Serves applications and stops them at the end of the test."""
    running = []

    def start(app):
        running.append(Exchange(app))
        return running[-1]

    yield start
    for served in running:
        served.close()


@pytest.fixture
def exchange(run, tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        yield run(create_app(new_venue(journal), key="key", secret="secret"))


def buy(symbol="AAPL", qty=10.0, **more):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, **more)


def status_of(call, *args):
    with pytest.raises(APIError) as caught:
        call(*args)
    return caught.value.status_code, caught.value.code


def test_the_account_has_its_deposit_and_twice_that_to_buy_with(exchange):
    account = exchange.client.get_account()
    assert (account.cash, account.equity, account.buying_power, account.multiplier) == ("100000", "100000", "200000", "2")
    assert account.status.value == "ACTIVE"
    assert exchange.client.get_account_configurations().max_margin_multiplier == "2"


def test_a_market_order_is_accepted_fills_at_the_open_and_becomes_a_position(exchange):
    sent = exchange.client.submit_order(buy(client_order_id="mine"))
    assert (sent.status, sent.qty, sent.filled_qty) == (OrderStatus.ACCEPTED, "10", "0")
    assert exchange.client.get_orders()[0].id == sent.id
    exchange.move_to(SESSIONS[1].open_at)
    done = exchange.client.get_order_by_client_id("mine")
    assert (done.id, done.status, done.filled_avg_price, done.filled_at) == (sent.id, OrderStatus.FILLED, "300", SESSIONS[1].open_at)
    assert exchange.client.get_order_by_id(sent.id).status == OrderStatus.FILLED
    assert exchange.client.get_orders() == []
    exchange.move_to(at(DAYS[1], 20))
    (position,) = exchange.client.get_all_positions()
    assert (position.symbol, position.qty, position.side, position.avg_entry_price) == ("AAPL", "10", PositionSide.LONG, "300")
    assert (position.market_value, position.unrealized_pl, position.lastday_price) == ("3010", "10", "301")
    assert exchange.client.get_open_position("AAPL").qty == "10"
    account = exchange.client.get_account()
    assert (account.cash, account.equity, account.long_market_value) == ("97000", "100010", "3010")


def test_the_same_client_order_id_twice_is_refused(exchange):
    exchange.client.submit_order(buy(client_order_id="mine"))
    assert status_of(exchange.client.submit_order, buy(client_order_id="mine")) == (422, 40010001)


def test_an_order_too_large_for_the_account_is_forbidden_and_says_why(exchange):
    with pytest.raises(APIError) as caught:
        exchange.client.submit_order(buy(qty=10_000))
    assert (caught.value.status_code, caught.value.code, caught.value.message) == (403, 40310000, "insufficient buying power")
    assert '"buying_power":"200000.00"' in str(caught.value)


def test_a_canceled_order_is_gone_from_the_open_ones(exchange):
    sent = exchange.client.submit_order(buy())
    assert exchange.client.cancel_order_by_id(sent.id) is None
    assert exchange.client.get_order_by_id(sent.id).status == OrderStatus.CANCELED
    assert status_of(exchange.client.cancel_order_by_id, sent.id) == (422, 42210000)
    assert status_of(exchange.client.cancel_order_by_id, uuid4()) == (404, 40410000)


def test_cancel_all_answers_for_every_order(exchange):
    sent = {exchange.client.submit_order(buy()).id, exchange.client.submit_order(buy("BRK.B")).id}
    answers = exchange.client.cancel_orders()
    assert {answer.id for answer in answers} == sent
    assert {answer.status for answer in answers} == {200}
    assert exchange.client.cancel_orders() == []


def test_a_limit_order_keeps_its_price_and_may_name_the_asset_by_id(exchange):
    asset = exchange.client.get_asset("AAPL")
    request = LimitOrderRequest(symbol=str(asset.id), qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=298.5)
    sent = exchange.client.submit_order(request)
    assert (sent.symbol, sent.asset_id, sent.limit_price) == ("AAPL", asset.id, "298.5")
    exchange.move_to(at(DAYS[1], 17))
    assert exchange.client.get_order_by_id(sent.id).filled_avg_price == "298.5"


def test_orders_are_listed_by_status_time_symbol_and_direction_in_pages(exchange):
    sent = [exchange.client.submit_order(buy(symbol, 1)) for symbol in ("AAPL", "BRK.B", "AAPL")]
    exchange.client.cancel_order_by_id(sent[0].id)
    client = exchange.client

    def listed(**query):
        return [order.id for order in client.get_orders(GetOrdersRequest(**query))]

    ids = [order.id for order in sent]
    assert listed() == [ids[2], ids[1]]
    assert listed(status=QueryOrderStatus.CLOSED) == [ids[0]]
    assert listed(status=QueryOrderStatus.ALL, direction="asc") == ids
    assert listed(status=QueryOrderStatus.ALL, direction="asc", limit=1, after=sent[0].submitted_at) == [ids[1]]
    assert listed(status=QueryOrderStatus.ALL, until=sent[2].submitted_at, limit=1) == [ids[1]]
    assert listed(status=QueryOrderStatus.ALL, symbols=["BRK.B"], nested=True) == [ids[1]]
    assert listed(status=QueryOrderStatus.ALL, side=OrderSide.SELL) == []


def test_activities_tell_fills_deposits_and_dividends_page_by_page(exchange):
    sent = exchange.client.submit_order(buy())
    exchange.move_to(at(DAYS[2], 7))
    path = "/account/activities"
    newest, fill, deposit = exchange.client.get(path)
    assert (newest["activity_type"], newest["net_amount"], newest["per_share_amount"]) == ("DIV", "7.7", "0.77")
    assert newest["date"] == DAYS[2].isoformat()
    assert (fill["order_id"], fill["price"], fill["qty"], fill["type"]) == (str(sent.id), "300", "10", "fill")
    assert fill["id"].startswith("20200303093000000::")
    UUID(fill["id"].split("::")[1])
    assert (deposit["activity_type"], deposit["net_amount"]) == ("CSD", "100000")
    assert exchange.client.get(f"{path}/FILL") == [fill]
    assert exchange.client.get(path, {"activity_types": "DIV,CSD", "direction": "asc"}) == [deposit, newest]
    assert exchange.client.get(path, {"page_size": 1}) == [newest]
    assert exchange.client.get(path, {"page_size": 1, "page_token": newest["id"]}) == [fill]
    assert exchange.client.get(path, {"direction": "asc", "page_token": deposit["id"]}) == [fill, newest]
    assert exchange.client.get(path, {"category": "trade_activity"}) == [fill]
    assert exchange.client.get(path, {"date": DAYS[1].isoformat()}) == [fill, deposit]
    assert exchange.client.get(path, {"after": fill["transaction_time"]}) == [newest]


def test_assets_clock_and_calendar_are_those_of_the_exchange(exchange):
    client = exchange.client
    assert [asset.symbol for asset in client.get_all_assets()] == ["AAPL", "BRK.B"]
    assert client.get_asset(client.get_asset("BRK.B").id).symbol == "BRK.B"
    clock = client.get_clock()
    assert (clock.is_open, clock.next_open, clock.next_close) == (False, SESSIONS[1].open_at, SESSIONS[1].close_at)
    days = client.get_calendar(GetCalendarRequest(start=DAYS[0], end=DAYS[2]))
    assert [day.date for day in days] == DAYS[:3]
    assert (days[0].open.time(), days[0].close.time()) == (time(9, 30), time(16))


def test_what_does_not_exist_is_not_found(exchange):
    client = exchange.client
    assert status_of(client.get_open_position, "AAPL") == (404, 40410000)
    assert status_of(client.get_asset, "NOPE") == (404, 40410000)
    assert status_of(client.get_order_by_id, uuid4()) == (404, 40410000)
    assert status_of(client.get_order_by_client_id, "nope") == (404, 40410000)


@pytest.mark.parametrize("body", [
    {}, {"symbol": "AAPL"}, {"symbol": "NOPE", "qty": 1}, {"symbol": "AAPL", "qty": "many"}, {"symbol": "AAPL", "notional": 5},
    {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "stop", "stop_price": 5},
    {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "order_class": "bracket"}, ["not", "an", "object"],
])  # fmt: skip
def test_a_body_that_is_no_order_is_refused_in_alpacas_words(exchange, body):
    headers = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
    answer = httpx.post(f"{exchange.url}/v2/orders", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == 40010001
    assert answer.json()["message"]


def test_wrong_keys_are_not_authorized(exchange):
    stranger = TradingClient("key", "wrong", paper=True, url_override=exchange.url)
    assert status_of(stranger.get_account) == (401, 40110000)
    stranger._session.close()


def test_the_virtual_clock_never_runs_backwards(exchange):
    later = exchange.move_to(at(DAYS[3], 12))
    assert exchange.move_to(at(DAYS[2], 12)) == later
    assert httpx.get(f"{exchange.url}/exchange/clock").json() == {"now": later}


def test_a_restarted_exchange_goes_on_where_its_journal_ends(run, tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        before = run(create_app(new_venue(journal)))
        sent = before.client.submit_order(buy(client_order_id="mine"))
        before.move_to(at(DAYS[1], 12))
        seen = (before.client.get_all_positions(), before.client.get("/account/activities"), before.client.get("/account"))
        instance = httpx.get(f"{before.url}/exchange/health").json()["instance"]
    with closing(Journal(tmp_path / "journal")) as journal:
        after = run(create_app(new_venue(journal)))
        assert (after.client.get_all_positions(), after.client.get("/account/activities"), after.client.get("/account")) == seen
        assert after.client.get_order_by_client_id("mine").id == sent.id
        assert httpx.get(f"{after.url}/exchange/health").json()["instance"] == instance


def test_an_exchange_on_a_real_clock_follows_it_and_refuses_to_be_moved(run):
    times = [at(DAYS[1], 9)]
    served = run(create_app(new_venue(), clock=lambda: times[-1]))
    served.client.submit_order(buy(client_order_id="mine"))
    times.append(at(DAYS[1], 9, 31))
    assert served.client.get_order_by_client_id("mine").status == OrderStatus.FILLED
    assert served.client.get_clock().timestamp == at(DAYS[1], 9, 31)
    assert httpx.put(f"{served.url}/exchange/clock", json={"now": at(DAYS[2], 9).isoformat()}).status_code == 409


def test_requests_above_the_rate_are_refused_with_429(run):
    served = run(create_app(new_venue(), rate_limit=3))
    answers = [httpx.get(f"{served.url}/v2/account") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers[:3]] == ["2", "1", "0"]
    assert answers[3].json()["code"] == 42910000


def test_concurrent_orders_are_all_taken_once_each(run):
    served = run(create_app(new_venue()))
    names = [f"order-{number}" for number in range(40)]

    def send(chosen):
        with httpx.Client(base_url=served.url) as client:
            for name in chosen:
                body = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": name}
                client.post("/v2/orders", json=body)

    threads = [threading.Thread(target=send, args=(names,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    orders = served.client.get_orders(GetOrdersRequest(limit=500, direction="asc"))
    assert sorted(order.client_order_id for order in orders) == sorted(names)
    assert len({order.submitted_at for order in orders}) == len(names)
