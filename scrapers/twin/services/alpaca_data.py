"""data.alpaca.markets, bars, corporate actions and news, and paper-api.alpaca.markets, the list of assets, behind a key pair."""

import uuid
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers.twin import alpaca
from scrapers.twin.assets import Asset
from scrapers.twin.base import Instead, Service, TwinClock, json_answer
from scrapers.twin.world import World


def data(world: World, clock: TwinClock) -> APIRouter:
    """The endpoints of the market data API that are in use."""
    router = APIRouter()

    @router.get("/v2/stocks/bars")
    def bars(request: Request) -> Response:
        return _answer(request, lambda query: alpaca.bars(world, clock.now(), clock.close_at, query))

    @router.get("/v1/corporate-actions")
    def corporate_actions(request: Request) -> Response:
        return _answer(request, lambda query: alpaca.corporate_actions(world, clock.now(), query))

    @router.get("/v1beta1/news")
    def news(request: Request) -> Response:
        return _answer(request, lambda query: alpaca.news(world, clock.now(), query))

    return router


def trading(world: World, clock: TwinClock) -> APIRouter:
    """The list of assets alone: orders go to the exchange."""
    router = APIRouter()
    listed = [*(_asset(a, lent=world.is_lent(a.symbol), divisible=world.is_divisible(a.symbol)) for a in world.assets()), *UNTRADED]

    @router.get("/v2/assets")
    def assets(request: Request, status: str | None = None, asset_class: str = "us_equity") -> Response:
        def found(query: dict[str, str]) -> list[dict[str, Any]]:
            return [a for a in listed if a["class"] == asset_class and status in (None, a["status"])]

        return _answer(request, found)

    return router


def _asset(asset: Asset, *, lent: bool, divisible: bool) -> dict[str, Any]:
    """One record. A few companies cannot be had in fractions, or sold short."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{asset.symbol}.twin.example")),
        "class": "us_equity",
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": f"{asset.name} Common Stock" if asset.kind == "stock" else asset.name,
        "status": "active",
        "tradable": True,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": lent,
        "easy_to_borrow": lent,
        "borrow_status": "easy_to_borrow" if lent else "not_shortable",
        "fractionable": divisible,
        "attributes": [],
    }


def _also(symbol: str, **changes: object) -> dict[str, Any]:
    name = f"Synthetic listing {symbol}"
    plain = Asset(symbol=symbol, name=name, kind="fund", sector="", sub_industry="", exchange="OTC")
    return {**_asset(plain, lent=True, divisible=True), **changes}


UNTRADED = [
    _also("ZYA.PRB", tradable=False),
    _also("ZYB.U", fractionable=False),
    _also("SYNTHETIC1", tradable=False),
    _also("ZYC", status="inactive", tradable=False),
    _also("ZYD/USD", **{"class": "crypto", "exchange": "CRYPTO"}),
]
"""Listings without prices: a preferred share, a unit, an escrow number that is no ticker, one that is gone, and a coin."""


def _answer(request: Request, answer: Callable[[dict[str, str]], Any]) -> Response:
    if not (request.headers.get("APCA-API-KEY-ID") and request.headers.get("APCA-API-SECRET-KEY")):
        raise Instead(json_answer({"message": "forbidden."}, 403))
    try:
        return json_answer(answer(dict(request.query_params)))
    except alpaca.BadQuery as error:
        raise Instead(json_answer({"message": str(error)}, 400)) from error


SERVICES = (Service(host="data.alpaca.markets", routes=data), Service(host="paper-api.alpaca.markets", routes=trading))
