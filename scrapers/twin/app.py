"""The outside data services as one local server: the documented shapes over a generated market, never from its future.

Quiver (/beta/...), Alpaca market data (/v2/stocks/bars, /v1/corporate-actions), Cboe's VIX history, datahub's constituents, and the
server's own clock and health under /twin. Every answer bears `X-Synthetic: allocd-twin`.
"""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from scrapers import times
from scrapers.twin import alpaca, files, quiver
from scrapers.twin.world import World

MARK = {"X-Synthetic": "allocd-twin"}


@dataclass(slots=True)
class TwinClock:
    """The server's now: what the caller passed in, until somebody sets it."""

    source: Callable[[], datetime]
    _set: datetime | None = field(default=None)

    def now(self) -> datetime:
        """UTC."""
        return (self._set or self.source()).astimezone(UTC)

    def put(self, at: datetime) -> None:
        """Hold the clock at an instant until the next call."""
        self._set = at


def create_app(world: World, *, now: Callable[[], datetime], close_at: Callable[[date], datetime] | None = None) -> FastAPI:
    """The server over `world`, showing what is published at `now()`.

    close_at: when a session's bar appears (default 16:00 New York). `PUT /twin/clock {"now": ISO 8601 with offset}` takes the clock
    over from `now`.
    """
    clock = TwinClock(now)
    handlers: dict[Any, Any] = {StarletteHTTPException: _refusal, RequestValidationError: _invalid}
    app = FastAPI(title="allocd twin", docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=handlers)
    for routes in (_quiver_routes(world, clock), _alpaca_routes(world, clock, close_at or _regular_close), _file_routes(world, clock)):
        app.include_router(routes)
    app.include_router(_own_routes(clock))
    return app


def _regular_close(session: date) -> datetime:
    return times.new_york(session, times.REGULAR_CLOSE)


def _json(content: object, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status, headers=MARK)


def _refusal(request: Request, error: StarletteHTTPException) -> Response:
    detail: Any = error.detail
    return _json(detail if isinstance(detail, dict) else {"detail": detail}, error.status_code)


def _invalid(request: Request, error: RequestValidationError) -> Response:
    return _json({"message": f"invalid request: {error.errors()[0]['msg']} ({'.'.join(map(str, error.errors()[0]['loc']))})"}, 400)


def _quiver_routes(world: World, clock: TwinClock) -> APIRouter:
    routes = APIRouter(prefix="/beta")

    @routes.get("/live/congresstrading")
    def live(request: Request) -> Response:
        _quiver_key(request)
        return _json(quiver.live(world, clock.now()))

    @routes.get("/bulk/congresstrading")
    def bulk(request: Request, page: int = 1, page_size: int = 1000, version: str = "V1") -> Response:
        _quiver_key(request)
        if page < 1 or not 1 <= page_size <= 5000 or version not in ("V1", "V2"):
            raise HTTPException(400, "page, page_size or version out of range")
        return _json(quiver.bulk(world, clock.now(), page, page_size, version))

    return routes


def _quiver_key(request: Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme not in ("Bearer", "Token") or not key.strip():
        raise HTTPException(401, "Authentication credentials were not provided.")


def _alpaca_routes(world: World, clock: TwinClock, close_at: Callable[[date], datetime]) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v2/stocks/bars")
    def bars(request: Request) -> Response:
        return _alpaca(request, lambda query: alpaca.bars(world, clock.now(), close_at, query))

    @routes.get("/v1/corporate-actions")
    def corporate_actions(request: Request) -> Response:
        return _alpaca(request, lambda query: alpaca.corporate_actions(world, clock.now(), query))

    return routes


def _alpaca(request: Request, answer: Callable[[dict[str, str]], dict[str, Any]]) -> Response:
    if not (request.headers.get("APCA-API-KEY-ID") and request.headers.get("APCA-API-SECRET-KEY")):
        raise HTTPException(403, {"message": "forbidden."})
    try:
        return _json(answer(dict(request.query_params)))
    except alpaca.BadQuery as error:
        raise HTTPException(400, {"message": str(error)}) from error


def _file_routes(world: World, clock: TwinClock) -> APIRouter:
    routes = APIRouter()

    @routes.get("/api/global/us_indices/daily_prices/VIX_History.csv")
    def vix() -> Response:
        return PlainTextResponse(files.vix_history(world, clock.now()), media_type="text/csv", headers=MARK)

    @routes.get("/core/s-and-p-500-companies/_r/-/data/constituents.csv")
    def constituents() -> Response:
        return PlainTextResponse(files.constituents(world, clock.now()), media_type="text/csv", headers=MARK)

    return routes


def _own_routes(clock: TwinClock) -> APIRouter:
    routes, instance = APIRouter(prefix="/twin"), str(uuid.uuid4())

    @routes.get("/clock")
    def read_clock() -> Response:
        return _json({"now": clock.now().isoformat()})

    @routes.put("/clock")
    def set_clock(now: Annotated[datetime, Body(embed=True)]) -> Response:
        if now.tzinfo is None:
            raise HTTPException(400, "now needs an offset from UTC")
        clock.put(now)
        return _json({"now": clock.now().isoformat()})

    @routes.get("/health")
    def health() -> Response:
        return _json({"instance": instance, "pid": os.getpid()})

    return routes
