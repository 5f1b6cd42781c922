"""The gateway with the real alpaca-py against a real HTTP server that misbehaves on purpose."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from execution.alpaca import AlpacaBroker, guarded_url
from execution.base import OrderRequest
from execution.errors import LiveTradingGuard, RateLimited, Rejected, Unauthorized, UnknownOutcome, Unreachable

AT = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
REQUEST = OrderRequest(client_order_id="c-1", symbol="BRK.B", side="buy", qty=D("1.500000001"))
ORDER = {
    "id": "7b08df51-c1ac-453c-99f9-323a5f075f0d",
    "client_order_id": "c-1",
    "created_at": "2024-01-02T14:30:00.668464435Z",
    "updated_at": "2024-01-02T09:30:01-05:00",
    "submitted_at": "2024-01-02T14:30:00.577215743Z",
    "symbol": "BRK.B",
    "qty": "1.500000001",
    "filled_qty": 0.5,
    "filled_avg_price": None,
    "order_type": "market",
    "side": "buy",
    "time_in_force": "day",
    "status": "accepted",
}
ACCOUNT = {"id": "a", "account_number": "P1", "status": "ACTIVE", "cash": "10.01", "equity": 20.5, "buying_power": "30", "multiplier": 2}

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(body: object, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body, or with text as it is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Read the request, then close without a word: the reply is lost."""
    handler.close_connection = True
    handler.connection.close()


class Stub:
    """A server whose answers are set by the test; it keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, str, dict[str, list[str]], dict[str, object] | None]] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()
        self.calls: list[tuple[str, str, float]] = []

    def slow(self, handler: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test is over."""
        self.released.wait(10)
        hang_up(handler)

    def broker(self, url: str, **options: object) -> AlpacaBroker:
        return AlpacaBroker("key", "secret", url, on_call=lambda *call: self.calls.append(call), **options)  # type: ignore[arg-type]

    @contextmanager
    def serve(self) -> Iterator[str]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                parts = urlsplit(self.path)
                stub.seen.append((self.command, parts.path, parse_qs(parts.query), body))
                stub.headers.append(dict(self.headers.items()))
                answer = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
                answer(self)

            do_GET = do_POST = do_DELETE = _any

            def finish(self) -> None:
                if not self.wfile.closed and self.connection.fileno() >= 0:
                    super().finish()

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def broker(stub: Stub) -> Iterator[AlpacaBroker]:
    with stub.serve() as url:
        yield stub.broker(url, timeout_read_s=0.3)


def test_an_order_is_sent_with_every_digit_and_read_back_leniently(stub, broker):
    stub.answers = [reply(ORDER | {"status": "a_status_of_tomorrow", "order_class": "?", "new_field": {"x": 1}})]
    order = broker.submit(REQUEST)
    method, path, _, body = stub.seen[0]
    assert (method, path) == ("POST", "/v2/orders")
    assert body == {
        "symbol": "BRK.B",
        "qty": "1.500000001",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": "c-1",
        "extended_hours": False,
    }
    assert stub.headers[0]["APCA-API-KEY-ID"] == "key"
    assert (order.status, order.type, order.qty, order.filled_qty) == ("a_status_of_tomorrow", "market", D("1.500000001"), D("0.5"))
    assert order.submitted_at == datetime(2024, 1, 2, 14, 30, 0, 577215, tzinfo=UTC)
    assert order.updated_at == datetime(2024, 1, 2, 14, 30, 1, tzinfo=UTC)
    assert [(endpoint, outcome) for endpoint, outcome, _ in stub.calls] == [("orders", "2xx")]


REFUSALS = [
    (403, 40310000, "insufficient buying power"),
    (422, 42210000, "fractional orders must be DAY orders"),
    (404, 40410000, "asset not found for X"),
    (400, 40010000, "request body format is invalid"),
]


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS)
def test_a_refusal_of_the_broker_is_final_and_keeps_its_words(stub, broker, status, code, message):
    stub.answers = [reply({"code": code, "message": message, "existing_order_id": "x"}, status)]
    with pytest.raises(Rejected) as refusal:
        broker.submit(REQUEST)
    assert (refusal.value.status, refusal.value.code, str(refusal.value)) == (status, code, message)


UNKNOWN = {
    "server error": reply({"code": 50010000, "message": "internal server error occurred"}, 500),
    "bad gateway page": reply("<html>bad gateway</html>", 502),
    "gateway timeout": reply({"message": "timeout"}, 504),
    "too many requests": reply({"code": 42910000, "message": "rate limit exceeded"}, 429),
    "request timeout": reply({"message": "timeout"}, 408),
    "a stranger's 404 page": reply("<html>not found</html>", 404),
    "reply lost": hang_up,
    "garbage body": reply("{not json", 200),
    "empty body": reply(None, 200),
    "another shape": reply(["order"], 200),
    "no id": reply({"status": "accepted"}, 200),
    "another order": reply(ORDER | {"client_order_id": "c-2"}, 200),
    "a redirect": reply(None, 302, Location="/elsewhere"),
    "number that is none": reply(ORDER | {"filled_qty": "NaN"}, 200),
    "duplicate id": reply({"code": 40010001, "message": "client_order_id must be unique"}, 422),
}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_whatever_leaves_the_order_in_doubt_is_an_unknown_outcome_and_is_sent_once(stub, broker, fault):
    """The order may exist: look it up. alpaca-py's own retries (429, 504) are off, so one request was made."""
    stub.answers = [UNKNOWN[fault]]
    with pytest.raises(UnknownOutcome, match="c-1"):
        broker.submit(REQUEST)
    assert len(stub.seen) == 1


def test_a_server_that_does_not_answer_is_given_up_after_the_read_timeout(stub, broker):
    stub.answers = [stub.slow]
    started = time.monotonic()
    with pytest.raises(UnknownOutcome):
        broker.submit(REQUEST)
    with pytest.raises(Unreachable):
        broker.account()
    assert time.monotonic() - started < 5
    assert [(endpoint, outcome) for endpoint, outcome, _ in stub.calls] == [("orders", "timeout"), ("account", "timeout")]


def test_an_order_that_found_no_connection_was_not_sent(stub):
    with stub.serve() as url:
        pass
    broker = stub.broker(url)
    with pytest.raises(Unreachable, match="not sent"):
        broker.submit(REQUEST)
    assert stub.calls[0][1] == "connection"


UNAUTHORIZED = [
    (401, {"code": 40110000, "message": "request is not authorized"}),
    (401, "nope"),
    (403, {"code": 40110000, "message": "request is not authorized"}),
    (403, {"message": "forbidden."}),
]


@pytest.mark.parametrize(("status", "body"), UNAUTHORIZED)
def test_refused_keys_are_told_from_a_refused_order(stub, broker, status, body):
    stub.answers = [reply(body, status)]
    for ask in (broker.account, lambda: broker.submit(REQUEST), lambda: broker.cancel("x")):
        with pytest.raises(Unauthorized):
            ask()


QUESTIONS = {
    "account": lambda broker: broker.account(),
    "positions": lambda broker: broker.positions(),
    "clock": lambda broker: broker.clock(),
    "assets": lambda broker: broker.assets(),
    "orders": lambda broker: broker.orders(),
    "lookup": lambda broker: broker.order_by_client_id("c-1"),
    "fills": lambda broker: broker.fills(after=AT),
    "cash": lambda broker: broker.cash_activities(after=AT),
    "cancel": lambda broker: broker.cancel("x"),
}
FAULTS = {
    "server error": reply({"code": 50010000, "message": "x"}, 500),
    "bad gateway page": reply("<html>", 502),
    "a stranger's 404 page": reply("<html>not found</html>", 404),
    "reply lost": hang_up,
    "garbage": reply("{", 200),
    "another shape": reply("17", 200),
    "a list of nonsense": reply([17, None], 200),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_fails_is_unreachable_whatever_the_fault(stub, broker, question):
    for name, fault in FAULTS.items():
        if question == "cancel" and name in ("another shape", "a list of nonsense"):
            continue  # the answer to a cancel has no content that matters
        stub.answers = [fault]
        with pytest.raises(Unreachable):
            QUESTIONS[question](broker)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Date": "Tue, 02 Jan 2024 14:30:00 GMT", "X_RateLimit_Reset": str(AT.timestamp() + 12)}, 12.0),
        ({"Retry_After": "soon"}, 1.0),
        ({}, 1.0),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(stub, broker, headers, wait_s):
    """The reset is epoch time, so it is measured against the answer's own date, not against our clock."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(429)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    stub.answers = [answer]
    with pytest.raises(RateLimited) as limited:
        broker.account()
    assert limited.value.retry_after_s == wait_s


def test_an_order_that_the_broker_never_saw_is_none(stub, broker):
    stub.answers = [reply({"code": 40410000, "message": "order not found for c-1"}, 404)]
    assert broker.order_by_client_id("c-1") is None
    assert stub.seen[0][1:3] == ("/v2/orders:by_client_order_id", {"client_order_id": ["c-1"]})


def test_a_cancel_that_comes_too_late_is_rejected_and_an_empty_answer_is_a_success(stub, broker):
    stub.answers = [reply(None, 204)]
    broker.cancel("o-1")
    assert stub.seen[0][:2] == ("DELETE", "/v2/orders/o-1")
    stub.answers = [reply({"code": 42210000, "message": 'order is already in "filled" state'}, 422)]
    with pytest.raises(Rejected, match="already"):
        broker.cancel("o-1")


def test_orders_are_read_over_all_pages_in_ascending_order(stub, broker):
    """1,100 orders, ten to a microsecond so that a page may end between twins: each is read exactly once."""
    book = []
    for number in range(1100):
        at = AT + timedelta(microseconds=number // 10)
        stamp = at.isoformat().replace("+00:00", f"{number % 10:03d}Z") if at.microsecond else at.isoformat()
        book.append(ORDER | {"id": f"o{number}", "client_order_id": f"c{number}", "submitted_at": stamp})

    def answer(handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        assert (query["direction"], query["status"], query["nested"]) == (["asc"], ["all"], ["false"])
        after = datetime.fromisoformat(query["after"][0]) if "after" in query else datetime.min.replace(tzinfo=UTC)
        rows = [row for row in book if datetime.fromisoformat(str(row["submitted_at"])) > after]
        reply(rows[: int(query["limit"][0])])(handler)

    stub.answers = [answer]
    assert [order.id for order in broker.orders(status="all")] == [row["id"] for row in book]
    assert len(stub.seen) == 3


def test_a_server_that_repeats_its_page_for_ever_is_left(stub, broker):
    stub.answers = [reply([ORDER | {"id": str(number)} for number in range(500)])]
    assert len(broker.orders()) == 500
    stub.answers = [reply([activity(number) for number in range(100)])]
    assert len(broker.fills(after=AT)) == 100


def activity(number: int, **fields: object) -> dict[str, object]:
    at = AT + timedelta(seconds=number)
    return {
        "activity_type": "FILL",
        "id": f"{at:%Y%m%d%H%M%S}000::{number}",
        "order_id": "o",
        "symbol": "AAPL",
        "side": "sell_short",
        "qty": "2",
        "price": "1.63",
        "transaction_time": at.isoformat(),
    } | fields


def test_fills_follow_the_page_token_and_a_short_sale_is_a_sell(stub, broker):
    book = [activity(number) for number in range(250)]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = parse_qs(parts.query)
        assert parts.path == "/v2/account/activities/FILL"
        start = 1 + [row["id"] for row in book].index(query["page_token"][0]) if "page_token" in query else 0
        reply(book[start : start + int(query["page_size"][0])])(handler)

    stub.answers = [answer]
    fills = broker.fills(after=AT)
    assert [fill.id for fill in fills] == [row["id"] for row in book]
    assert (fills[0].side, fills[0].qty, fills[0].price, fills[0].at) == ("sell", D(2), D("1.63"), AT)
    assert len(broker.fills(after=AT + timedelta(seconds=249))) == 1


def test_cash_activities_are_taken_by_their_new_york_day(stub, broker):
    """02:00 UTC on the 3rd is still the 2nd in New York; a dividend dated the 2nd has no time and belongs to it."""
    rows = [
        {"activity_type": "DIV", "id": "1", "date": "2024-01-02", "net_amount": "1.02", "symbol": "T", "qty": "2"},
        {"activity_type": "FEE", "id": "2", "date": "2024-01-03", "net_amount": -0.01},
        {"activity_type": "SPLIT", "id": "3", "date": "2024-01-03", "symbol": "T", "qty": "-8", "created_at": "2024-01-03T11:00:00Z"},
        {"activity_type": "CSD", "id": "0", "date": "2024-01-01", "net_amount": "5"},
    ]
    stub.answers = [reply(rows)]
    found = broker.cash_activities(after=datetime(2024, 1, 3, 2, tzinfo=UTC))
    assert stub.seen[0][2]["category"] == ["non_trade_activity"]
    assert date.fromisoformat(stub.seen[0][2]["after"][0]) == date(2024, 1, 1)
    assert [(a.id, a.kind, a.symbol, a.net_amount, a.qty) for a in found] == [
        ("1", "DIV", "T", D("1.02"), D(0)),
        ("2", "FEE", "", D("-0.01"), D(0)),
        ("3", "SPLIT", "T", D(0), D(-8)),
    ]
    assert found[0].at == datetime(2024, 1, 2, 5, tzinfo=UTC)


def test_account_positions_clock_and_assets_are_read_from_strings_or_numbers(stub, broker):
    stub.answers = [reply(ACCOUNT | {"account_blocked": True, "status": "A_STATUS_OF_TOMORROW"})]
    account = broker.account()
    assert (account.cash, account.equity, account.multiplier, account.trading_blocked) == (D("10.01"), D("20.5"), D(2), True)
    short = {"symbol": "ZM", "qty": "5", "side": "short", "avg_entry_price": 1.5, "market_value": "7.5", "current_price": None}
    stub.answers = [reply([short, {"symbol": "AAPL", "qty": 2, "avg_entry_price": "1", "side": "long"}])]
    aapl, zm = broker.positions()
    assert (aapl.symbol, aapl.qty, aapl.market_value) == ("AAPL", D(2), None)
    assert (zm.symbol, zm.qty, zm.market_value) == ("ZM", D(-5), D("-7.5"))
    clock = {"timestamp": "2025-06-24T14:15:22.123456789-04:00", "is_open": True, "next_open": "2025-06-25T09:30:00-04:00"}
    stub.answers = [reply(clock | {"next_close": "2025-06-24T16:00:00-04:00"})]
    assert broker.clock().timestamp == datetime(2025, 6, 24, 18, 15, 22, 123456, tzinfo=UTC)
    stub.answers = [reply([{"symbol": "ZZ", "tradable": True}, {"symbol": "AA", "fractionable": True, "shortable": True, "exchange": "?"}])]
    assert [(a.symbol, a.tradable, a.fractionable, a.shortable) for a in broker.assets()] == [
        ("AA", False, True, True),
        ("ZZ", True, False, False),
    ]


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://paper-api.alpaca.markets", "https://paper-api.alpaca.markets"),
        ("https://paper-api.alpaca.markets/v2/", "https://paper-api.alpaca.markets"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://[::1]:9000/v2", "http://[::1]:9000"),
    ],
)
def test_the_paper_host_and_loopback_pass_the_guard(url, clean):
    assert guarded_url(url) == clean


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets:8443",
        "https://paper-api.alpaca.markets.example.com",
        "https://paper-api.alpaca.markets@example.com",
        "https://example.com\\@paper-api.alpaca.markets",
        "https://user:pw@paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets?x=1",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1:9000",
        "paper-api.alpaca.markets",
        "ftp://localhost",
        "http://localhost:port",
        "",
    ],
)
def test_any_other_host_is_refused_before_a_client_exists(url):
    with pytest.raises(LiveTradingGuard):
        AlpacaBroker("key", "secret", url)


def test_live_trading_needs_permission_and_encryption():
    assert guarded_url("https://api.alpaca.markets", allow_live=True) == "https://api.alpaca.markets"
    with pytest.raises(LiveTradingGuard):
        guarded_url("http://api.alpaca.markets", allow_live=True)


@pytest.mark.parametrize(("key", "secret"), [("", "secret"), ("key", "")])
def test_missing_keys_are_named_at_once(key, secret):
    with pytest.raises(Unauthorized, match="key and secret"):
        AlpacaBroker(key, secret, "http://127.0.0.1:9")


def test_a_proxy_in_the_environment_does_not_stand_between_us_and_loopback(stub, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    stub.answers = [reply(ACCOUNT)]
    with stub.serve() as url:
        assert stub.broker(url).account().cash == D("10.01")
