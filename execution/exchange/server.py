"""Alpaca's trading REST API over the paper exchange, so that the official client talks to it unmodified."""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from typing import Annotated, Any
from uuid import uuid4

import uvicorn
from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from execution.base import Asset
from execution.exchange import wire
from execution.exchange.admission import invalid
from execution.exchange.gate import Gate
from execution.exchange.market import NEW_YORK
from execution.exchange.orders import Refusal, VenueOrder
from execution.exchange.venue import Venue

Json = dict[str, Any]
Text = str | None
PAGE = 100
MAX_ORDERS = 500
FAR = timedelta(days=36500)


def create_app(
    venue: Venue,
    *,
    clock: Callable[[], datetime] | None = None,
    key: str | None = None,
    secret: str | None = None,
    rate_limit: int | None = None,
) -> FastAPI:
    """The exchange as an ASGI application.

    clock: with it the venue follows real time, without it time moves by PUT /exchange/clock. key, secret: what clients must
    send, None lets everybody in. rate_limit: requests per minute to the trading API, None for no limit.
    """
    gate = Gate(venue, clock=clock, key=key, secret=secret, rate_limit=rate_limit)
    app = FastAPI(title="allocd paper exchange", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    for routes in (_account_routes, _market_routes, _order_routes, _position_routes):
        app.include_router(routes(gate), prefix="/v2", dependencies=[Depends(gate.check)])
    app.include_router(_operator_routes(gate), prefix="/exchange")
    return app


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"code": error.code, "message": str(error), **error.extras}, status_code=error.status)


def _unreadable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}" for problem in error.errors())
    return JSONResponse({"code": 40010001, "message": problems}, status_code=422)


def _missing(what: str) -> Refusal:
    return Refusal(what, status=404, code=40410000)


def _account_routes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.get("/account")
    def account() -> Json:
        with gate.venue() as venue:
            return wire.account_json(venue)

    @router.get("/account/configurations")
    def configurations() -> Json:
        with gate.venue() as venue:
            return {
                "fractional_trading": True,
                "max_margin_multiplier": str(venue.account.multiplier),
                "no_shorting": venue.account.multiplier == 1,
                "suspend_trade": False,
                "trade_confirm_email": "none",
                "ptp_no_exception_entry": False,
            }

    @router.get("/account/activities")
    def activities(request: Request) -> list[Json]:
        kinds = request.query_params.get("activity_types")
        with gate.venue() as venue:
            return _activities(venue, kinds, request)

    @router.get("/account/activities/{kind}")
    def activities_of_kind(kind: str, request: Request) -> list[Json]:
        with gate.venue() as venue:
            return _activities(venue, kind, request)

    return router


def _activities(venue: Venue, kinds: Text, request: Request) -> list[Json]:
    """Activities in one direction of time, after the last item seen."""
    query = request.query_params
    ascending = query.get("direction", "desc") == "asc"
    size = _count(query.get("page_size"), default=PAGE, most=PAGE)
    seen = query.get("page_token")
    entries = venue.log.entries
    low, high = 0, len(entries)
    if seen is not None:
        place = venue.log.place(seen)
        if place is None:
            raise invalid(f"invalid page_token {seen}")
        low, high = (place + 1, high) if ascending else (low, place)
    chosen = entries[low:high] if ascending else entries[low:high][::-1]
    wanted = None if kinds is None else frozenset(kinds.split(","))
    fills = {"trade_activity": True, "non_trade_activity": False}.get(query.get("category", ""))
    after, until = _span(query.get("after"), query.get("until"), query.get("date"))
    page = (
        entry
        for entry in chosen
        if (wanted is None or entry.kind in wanted)
        and (fills is None or fills == (entry.kind == "FILL"))
        and (after is None or entry.at > after)
        and (until is None or entry.at < until)
    )
    return [wire.activity_json(entry) for entry, _ in zip(page, range(size), strict=False)]


def _span(after: Text, until: Text, day: Text) -> tuple[datetime | None, datetime | None]:
    """The open interval of instants asked for; a `date` is that whole day in New York."""
    if day is not None:
        midnight = wire.read_instant(day[:10]).replace(tzinfo=NEW_YORK)
        return midnight - timedelta(microseconds=1), midnight + timedelta(days=1)
    return (None if after is None else wire.read_instant(after)), (None if until is None else wire.read_instant(until))


def _count(value: Text, *, default: int, most: int) -> int:
    if value is None:
        return default
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise invalid(f"must be a number from 1 to {most}, not {value}")
    return int(value)


def _market_routes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.get("/assets")
    def assets(status: Text = None, asset_class: str = "us_equity") -> list[Json]:
        with gate.venue() as venue:
            listed = [wire.asset_json(asset) for asset in venue.assets()]
        return [asset for asset in listed if asset["class"] == asset_class and status in (None, "", asset["status"])]

    @router.get("/assets/{symbol_or_id}")
    def asset(symbol_or_id: str) -> Json:
        with gate.venue() as venue:
            found = _find_asset(venue, symbol_or_id)
            if found is None:
                raise _missing(f"asset not found for {symbol_or_id}")
            return wire.asset_json(found)

    @router.get("/clock")
    def clock() -> Json:
        with gate.venue() as venue:
            return wire.clock_json(venue)

    @router.get("/calendar")
    def calendar(start: Text = None, end: Text = None) -> list[Json]:
        with gate.venue() as venue:
            first = wire.read_instant(start) if start else venue.now - FAR
            last = wire.read_instant(end) if end else venue.now + FAR
            days = venue.sessions.between(first.date(), last.date())
            return [wire.session_json(day, venue.sessions.following(day)) for day in days]

    return router


def _find_asset(venue: Venue, symbol_or_id: str) -> Asset | None:
    found = venue.asset(symbol_or_id)
    if found is None and len(symbol_or_id) == 36:
        found = next((asset for asset in venue.assets() if wire.asset_id(asset.symbol) == symbol_or_id), None)
    return found


def _order_routes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.post("/orders")
    def submit(body: Annotated[Json, Body()]) -> Json:
        with gate.venue() as venue:
            asset = _find_asset(venue, str(body.get("symbol", "")))
            if asset is None:
                raise invalid(f"asset not found for {body.get('symbol', '')}")
            own_id = str(body.get("client_order_id") or uuid4())
            return wire.order_json(venue.submit(wire.read_order(body, symbol=asset.symbol, client_order_id=own_id)))

    @router.get("/orders")
    def orders(request: Request) -> list[Json]:
        with gate.venue() as venue:
            return [wire.order_json(order) for order in _list_orders(venue, request)]

    @router.get("/orders:by_client_order_id")
    def by_client_order_id(client_order_id: Annotated[str, Query()]) -> Json:
        with gate.venue() as venue:
            return wire.order_json(_known(venue.blotter.by_client_id.get(client_order_id), client_order_id))

    @router.get("/orders/{order_id}")
    def order(order_id: str) -> Json:
        with gate.venue() as venue:
            return wire.order_json(_known(venue.blotter.by_id.get(order_id), order_id))

    @router.delete("/orders/{order_id}", status_code=204)
    def cancel(order_id: str) -> None:
        with gate.venue() as venue:
            venue.cancel(order_id)

    @router.delete("/orders", status_code=207)
    def cancel_all() -> list[Json]:
        with gate.venue() as venue:
            return [{"id": order.id, "status": 200, "body": wire.order_json(order)} for order in venue.cancel_all()]

    return router


def _known(order: VenueOrder | None, name: str) -> VenueOrder:
    if order is None:
        raise _missing(f"order not found for {name}")
    return order


def _list_orders(venue: Venue, request: Request) -> list[VenueOrder]:
    query = request.query_params
    status = query.get("status", "open")
    if status not in ("open", "closed", "all"):
        raise invalid(f"invalid status {status}")
    after, until = _span(query.get("after"), query.get("until"), None)
    found = venue.blotter.between(status, after, until)
    symbols = frozenset(filter(None, query.get("symbols", "").split(",")))
    side = query.get("side")
    matching = [order for order in found if (not symbols or order.symbol in symbols) and side in (None, "", order.side)]
    if query.get("direction", "desc") != "asc":
        matching.reverse()
    return matching[: _count(query.get("limit"), default=50, most=MAX_ORDERS)]


def _position_routes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.get("/positions")
    def positions() -> list[Json]:
        with gate.venue() as venue:
            holdings = venue.marked().holdings
            return [wire.position_json(venue, holdings[symbol]) for symbol in sorted(holdings)]

    @router.get("/positions/{symbol_or_id}")
    def position(symbol_or_id: str) -> Json:
        with gate.venue() as venue:
            asset = _find_asset(venue, symbol_or_id)
            holding = None if asset is None else venue.marked().holdings.get(asset.symbol)
            if holding is None:
                raise _missing("position does not exist")
            return wire.position_json(venue, holding)

    return router


def _operator_routes(gate: Gate) -> APIRouter:
    """Outside Alpaca's namespace and without its keys: the virtual clock and the identity of this process."""
    router = APIRouter()

    @router.get("/clock")
    def read_clock() -> Json:
        with gate.venue() as venue:
            return {"now": wire.stamp(venue.now)}

    @router.put("/clock")
    def move_clock(body: Annotated[Json, Body()]) -> Json:
        if gate.clock is not None:
            raise Refusal("the exchange runs on a real clock", status=409, code=40910000)
        with gate.venue() as venue:
            venue.advance(wire.read_instant(str(body.get("now", ""))))
            return {"now": wire.stamp(venue.now)}

    @router.get("/health")
    def health() -> Json:
        with gate.venue() as venue:
            return {"instance": venue.account_id, "pid": os.getpid()}

    return router


class _Server(uvicorn.Server):
    """uvicorn that tells when it listens and that an event can stop."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None], stop: Event | None) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or (self._stop is not None and self._stop.is_set())


def _listener(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is; with it on, an answer waits 40 ms.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve(app: FastAPI, host: str, port: int, on_ready: Callable[[int], None], *, stop: Event | None = None) -> None:
    """Serve until a signal (in the main thread) or `stop` ends it.

    Port 0 takes a free one; `on_ready` learns the port once it listens. Raises OSError when the address cannot be bound.
    """
    with _listener(host, port) as listener:
        bound = int(listener.getsockname()[1])
        config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5)
        _Server(config, lambda: on_ready(bound), stop).run(sockets=[listener])
