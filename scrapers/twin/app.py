"""The outside data services as one local server: the documented shapes over a generated market, never from its future.

Each service answers below the name of its host, `/api.quiverquant.com/beta/...`; the server's own clock, health and faults are under /twin.
Every answer bears `X-Synthetic: allocd-twin`.
"""

import os
import uuid
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from scrapers import times
from scrapers.twin import services
from scrapers.twin.base import Instead, TwinClock, json_answer
from scrapers.twin.faults import FaultLayer, Faults
from scrapers.twin.stretch import Stretched
from scrapers.twin.world import World


def create_app(
    world: World, *, now: Callable[[], datetime], close_at: Callable[[date], datetime] | None = None, faults: Faults | None = None
) -> FastAPI:
    """The server over `world`, showing what is published at `now()`.

    close_at: when a session's bar appears (default 16:00 New York). faults: those that are on from the start.
    `PUT /twin/clock {"now": ISO 8601 with offset}` takes the clock over from `now`.
    """
    clock, faults, app = TwinClock(now, close_at or _regular_close), faults or Faults(), _bare()
    app.include_router(_own_routes(clock))
    app.include_router(faults.routes())
    doubles = Stretched(world, clock.now, lambda near: _doubles(near, clock, faults))
    doubles.app()  # a double that cannot be made must end the start, not every request
    app.mount("", doubles)
    app.add_middleware(FaultLayer, faults=faults)
    return app


def _bare() -> FastAPI:
    handlers: dict[Any, Any] = {StarletteHTTPException: _refusal, RequestValidationError: _invalid}
    return FastAPI(title="allocd twin", docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=handlers)


def _doubles(world: World, clock: TwinClock, faults: Faults) -> FastAPI:
    """Every service below the name of its host."""
    app = _bare()
    for service in services.found():
        app.include_router(service.routes(world, _clock_of(service.host, clock, faults)), prefix=f"/{service.host}")
    return app


def _clock_of(host: str, clock: TwinClock, faults: Faults) -> TwinClock:
    """The server's clock as one service reads it."""
    return TwinClock(lambda: clock.now() + faults.skew(host), clock.close_at)


def _regular_close(session: date) -> datetime:
    return times.new_york(session, times.REGULAR_CLOSE)


def _refusal(request: Request, error: StarletteHTTPException) -> Response:
    if isinstance(error, Instead):
        return error.answer
    detail: Any = error.detail
    return json_answer(detail if isinstance(detail, dict) else {"detail": detail}, error.status_code)


def _invalid(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return json_answer({"message": f"invalid request: {first['msg']} ({'.'.join(map(str, first['loc']))})"}, 400)


def _own_routes(clock: TwinClock) -> APIRouter:
    routes, instance = APIRouter(prefix="/twin"), str(uuid.uuid4())

    @routes.get("/clock")
    def read_clock() -> Response:
        return json_answer({"now": clock.now().isoformat()})

    @routes.put("/clock")
    def set_clock(now: Annotated[datetime, Body(embed=True)]) -> Response:
        if now.tzinfo is None:
            raise HTTPException(400, "now needs an offset from UTC")
        clock.put(now)
        return json_answer({"now": clock.now().isoformat()})

    @routes.get("/health")
    def health() -> Response:
        return json_answer({"instance": instance, "pid": os.getpid()})

    return routes
