"""data.alpaca.markets: bars and corporate actions, behind a key pair."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from scrapers.twin import alpaca
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.world import World


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The endpoints of the market data API that are in use."""
    router = APIRouter()

    @router.get("/v2/stocks/bars")
    def bars(request: Request) -> Response:
        return _answer(request, lambda query: alpaca.bars(world, clock.now(), clock.close_at, query))

    @router.get("/v1/corporate-actions")
    def corporate_actions(request: Request) -> Response:
        return _answer(request, lambda query: alpaca.corporate_actions(world, clock.now(), query))

    return router


def _answer(request: Request, answer: Callable[[dict[str, str]], dict[str, Any]]) -> Response:
    if not (request.headers.get("APCA-API-KEY-ID") and request.headers.get("APCA-API-SECRET-KEY")):
        raise HTTPException(403, {"message": "forbidden."})
    try:
        return json_answer(answer(dict(request.query_params)))
    except alpaca.BadQuery as error:
        raise HTTPException(400, {"message": str(error)}) from error


SERVICES = (Service(host="data.alpaca.markets", routes=routes),)
