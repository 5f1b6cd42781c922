"""The Alpaca account behind allocd's Broker protocol: the one place that knows alpaca-py.

alpaca-py builds, signs and sends; its models are not used, because their closed enums raise on words the broker adds later. Answers are
parsed leniently, timeouts are mounted on its session, its own retries are off (it would repeat a POST), and its errors end here.
"""

import ipaddress
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from execution import wire
from execution.base import Account, Asset, BrokerClock, CashActivity, Fill, Order, OrderRequest, Position
from execution.errors import BrokerError, LiveTradingGuard, RateLimited, Rejected, Unauthorized, UnknownOutcome, Unreachable

with warnings.catch_warnings():
    # alpaca.trading imports its stream, and that the deprecated websockets.legacy; neither is used here.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient

PAPER_HOST = "paper-api.alpaca.markets"
ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100
_ONE_TICK = timedelta(microseconds=1)

OnCall = Callable[[str, str, float], None]


class AlpacaBroker:
    """A Broker over one Alpaca trading account, or over anything on loopback that speaks the same API."""

    def __init__(
        self,
        key: str,
        secret: str,
        base_url: str,
        *,
        timeout_connect_s: float = 5.0,
        timeout_read_s: float = 15.0,
        allow_live: bool = False,
        on_call: OnCall | None = None,
    ) -> None:
        """Open nothing yet; raise LiveTradingGuard for a URL that is neither Alpaca's paper host nor loopback, unless `allow_live`.

        Raises Unauthorized for an empty key or secret.
        `on_call(endpoint, status_class, seconds)` hears of every request; the class is 2xx ... 5xx, timeout, connection or garbage.
        """
        if not key or not secret:
            raise Unauthorized("the broker's key and secret must both be given")
        self._client = _Client(key, secret, guarded_url(base_url, allow_live=allow_live), (timeout_connect_s, timeout_read_s))
        self._on_call = on_call

    def close(self) -> None:
        """Give the connections back; the broker opens new ones when it is used again."""
        self._client.close()

    def account(self) -> Account:
        """The account now."""
        return wire.parse(wire.account, self._get("account", "/account"))

    def positions(self) -> list[Position]:
        """Every open position, sorted by symbol."""
        found = wire.parse_all(wire.position, self._get("positions", "/positions"))
        return sorted(found, key=lambda position: position.symbol)

    def clock(self) -> BrokerClock:
        """The broker's clock, UTC."""
        return wire.parse(wire.clock, self._get("clock", "/clock"))

    def assets(self) -> list[Asset]:
        """Active US equities, sorted by symbol."""
        answer = self._get("assets", "/assets", {"status": "active", "asset_class": "us_equity"})
        return sorted(wire.parse_all(wire.asset, answer), key=lambda asset: asset.symbol)

    def submit(self, request: OrderRequest) -> Order:
        """Send an order once.

        Raises Rejected when the broker said no, Unauthorized when it refused the keys, Unreachable when no connection was made and so
        nothing was sent, and UnknownOutcome for everything else, a duplicate client_order_id included: that order exists already.
        """
        try:
            answer = self._call("POST", "orders", "/orders", wire.order_body(request))
        except _RequestError as failure:
            raise _submit_error(failure, request.client_order_id) from failure
        try:
            return _own_order(answer, request.client_order_id)
        except Unreachable as error:
            raise UnknownOutcome(f"{request.client_order_id}: {error}") from error

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """The order with that client id, or None when the broker has never seen it."""
        query = {"client_order_id": client_order_id}
        try:
            answer = self._call("GET", "orders_by_client_id", "/orders:by_client_order_id", query)
        except _RequestError as failure:
            if failure.is_broker_404:
                return None
            raise _question_error(failure) from failure
        return _own_order(answer, client_order_id)

    def orders(self, *, status: Literal["open", "closed", "all"] = "open", after: datetime | None = None) -> list[Order]:
        """Orders in ascending submission time, all pages; `after` is exclusive."""
        found: dict[str, Order] = {}
        cursor = after
        while True:
            query = {"status": status, "limit": ORDERS_PAGE, "direction": "asc", "nested": "false"}
            if cursor is not None:
                query["after"] = wire.stamp(cursor)
            page = wire.parse_all(wire.order, self._get("orders", "/orders", query))
            known = len(found)
            found.update((order.id, order) for order in page)
            if len(page) < ORDERS_PAGE or len(found) == known:
                return sorted(found.values(), key=lambda order: order.submitted_at)
            # `after` is exclusive and our times are cut to microseconds: step back one so that no neighbour is lost between pages.
            cursor = page[-1].submitted_at - _ONE_TICK

    def cancel(self, order_id: str) -> None:
        """Ask to cancel; a request, not a result. Raises Rejected when no longer cancelable. Safe to repeat."""
        try:
            self._call("DELETE", "orders_by_id", f"/orders/{order_id}", None)
        except _RequestError as failure:
            if failure.status in (404, 422) and failure.from_broker:
                raise Rejected(failure.message, status=failure.status, code=failure.code) from failure
            raise _question_error(failure) from failure

    def fills(self, *, after: datetime) -> list[Fill]:
        """Executions at or after `after`, ascending, all pages."""
        rows = self._activities("/account/activities/FILL", {"after": wire.stamp(after - timedelta(seconds=1))})
        found = wire.parse_all(wire.fill, rows)
        return sorted((fill for fill in found if fill.at >= after), key=lambda fill: fill.at)

    def cash_activities(self, *, after: datetime) -> Sequence[CashActivity]:
        """Non-trade activities dated on or after the New York day of `after`, ascending, all pages.

        The broker gives most of them a date and no time, so the whole day is returned: book them by their id, which never changes.
        """
        day = after.astimezone(wire.NEW_YORK).date()
        query = {"category": "non_trade_activity", "after": (day - timedelta(days=1)).isoformat()}
        rows = [row for row in self._activities("/account/activities", query) if row.get("activity_type") != "FILL"]
        found = wire.parse_all(wire.cash_activity, rows)
        return sorted((a for a in found if a.at.astimezone(wire.NEW_YORK).date() >= day), key=lambda a: a.at)

    def _activities(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        token: dict[str, str] = {}
        while True:
            page_query = {**query, **token, "direction": "asc", "page_size": ACTIVITIES_PAGE}
            page = wire.parse_all(wire.activity, self._get("activities", path, page_query))
            known = len(found)
            found.update((str(row["id"]), row) for row in page)
            if len(page) < ACTIVITIES_PAGE or len(found) == known:
                return list(found.values())
            token = {"page_token": str(page[-1]["id"])}

    def _get(self, endpoint: str, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Ask a question that changes nothing."""
        try:
            return self._call("GET", endpoint, path, query)
        except _RequestError as failure:
            raise _question_error(failure) from failure

    def _call(self, method: str, endpoint: str, path: str, data: Mapping[str, object] | None) -> Any:
        """One request, timed and counted. Raises _RequestError for whatever alpaca-py or the network raise."""
        started = time.perf_counter()
        outcome = "2xx"
        try:
            return self._client.send(method, path, data)
        except (APIError, requests.RequestException) as error:
            failure = _RequestError(error)
            outcome = failure.outcome
            raise failure from error
        finally:
            if self._on_call is not None:
                self._on_call(endpoint, outcome, time.perf_counter() - started)


def guarded_url(base_url: str, *, allow_live: bool = False) -> str:
    """The base URL as alpaca-py wants it (no trailing slash, no version), or LiveTradingGuard.

    Without `allow_live` only https on Alpaca's paper host and http(s) on loopback pass; credentials, queries and odd ports never do.
    """
    text = base_url.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise LiveTradingGuard(f"the broker's base URL cannot be read: {error}") from error
    is_plain = bool(host) and not (parts.query or parts.fragment or "@" in parts.netloc or "\\" in text)
    encrypted = parts.scheme == "https"
    is_paper = encrypted and host == PAPER_HOST and port in (None, 443)
    is_local = parts.scheme in ("http", "https") and _is_loopback(host)
    if not (is_plain and (is_paper or is_local or (allow_live and encrypted))):
        raise LiveTradingGuard(
            f"{parts.scheme}://{host} is neither https://{PAPER_HOST} nor loopback: live trading must be allowed by every guard"
        )
    path = parts.path.rstrip("/").removesuffix("/v2").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Client(TradingClient):
    """alpaca-py's client with timeouts, without retries."""

    def __init__(self, key: str, secret: str, base_url: str, timeout_s: tuple[float, float]) -> None:
        super().__init__(key, secret, raw_data=True, url_override=base_url)
        self._retry = 0
        self._retry_codes = []
        adapter = _TimeoutAdapter(timeout_s)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # A proxy from the environment is for the outside: it would answer in place of an exchange on loopback.
        self._session.trust_env = not _is_loopback(urlsplit(base_url).hostname or "")

    def send(self, method: str, path: str, data: Mapping[str, object] | None) -> Any:
        return self._request(method, path, dict(data) if data is not None else None)

    def close(self) -> None:
        self._session.close()


class _TimeoutAdapter(HTTPAdapter):
    """An adapter that gives every request its connect and read timeouts; requests itself would wait for ever."""

    def __init__(self, timeout_s: tuple[float, float]) -> None:
        self._timeout_s = timeout_s
        super().__init__(max_retries=0)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = self._timeout_s
        return super().send(*args, **kwargs)


class _RequestError(Exception):
    """What went wrong with a request, before it is known what that means for the caller."""

    def __init__(self, error: APIError | requests.RequestException) -> None:
        super().__init__(str(error)[:500])
        response = getattr(error, "response", None)
        self.headers: Mapping[str, str] = response.headers if response is not None else {}
        self.status = int(response.status_code) if response is not None and isinstance(error, APIError) else 0
        body = _json_object(response) if response is not None and self.status else None
        self.from_broker = body is not None
        code = (body or {}).get("code")
        self.code = code if isinstance(code, int) else 0
        self.message = str((body or {}).get("message") or str(error)[:500])
        self.nothing_sent = _nothing_sent(error)
        self.outcome = f"{self.status // 100}xx" if self.status else _network_class(error)

    @property
    def is_broker_404(self) -> bool:
        """True for the broker's own `not found`, not for a stranger's error page."""
        return self.status == 404 and self.from_broker

    @property
    def is_unauthorized(self) -> bool:
        """True when the keys were refused: 401, or a 403 that says so or gives no code (one about an order has 403xxxxx)."""
        return self.status == 401 or (self.status == 403 and self.from_broker and self.code // 100_000 in (0, 401))


def _own_order(answer: object, client_order_id: str) -> Order:
    """The order of an answer. Raises Unreachable when it is none, or not the one that was meant."""
    order = wire.parse(wire.order, answer)
    if order.client_order_id != client_order_id:
        raise Unreachable(f"asked for order {client_order_id}, the broker answered with {order.client_order_id}")
    return order


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _nothing_sent(error: Exception) -> bool:
    """True when no connection was made, so that the request cannot have arrived."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def _network_class(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "timeout"
    return "garbage" if isinstance(error, requests.exceptions.InvalidJSONError) else "connection"


def _submit_error(failure: _RequestError, client_order_id: str) -> BrokerError:
    """What a failed POST of an order means."""
    if failure.is_unauthorized:
        return Unauthorized(failure.message)
    if failure.nothing_sent:
        return Unreachable(f"{client_order_id}: not sent: {failure.message}")
    is_refusal = 400 <= failure.status < 500 and failure.status not in (408, 429) and failure.from_broker
    if is_refusal and "must be unique" not in failure.message:
        return Rejected(failure.message, status=failure.status, code=failure.code)
    return UnknownOutcome(f"{client_order_id}: {failure.status or failure.outcome}: {failure.message}")


def _question_error(failure: _RequestError) -> BrokerError:
    """What a failed question, or a request that may be repeated, means."""
    if failure.is_unauthorized:
        return Unauthorized(failure.message)
    if failure.status == 429:
        return RateLimited(failure.message, retry_after_s=_retry_after_s(failure.headers))
    return Unreachable(f"{failure.status or failure.outcome}: {failure.message}")


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds to wait: Retry-After, else the limit's reset (epoch) against the answer's own Date; 1 s when neither can be read."""
    try:
        if "Retry-After" in headers:
            return max(0.0, float(headers["Retry-After"]))
        sent_at = parsedate_to_datetime(headers["Date"]).timestamp()
        return min(60.0, max(1.0, float(headers["X-RateLimit-Reset"]) - sent_at))
    except (KeyError, ValueError, TypeError):
        return 1.0
