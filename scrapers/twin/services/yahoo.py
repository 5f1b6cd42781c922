"""fc, query1 and query2.finance.yahoo.com: cookie, crumb, charts and the analysts' history."""

import hashlib
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import Instead, Service, TwinClock, html_answer, json_answer, text_answer
from scrapers.twin.ratings import Opinion, ratings_of
from scrapers.twin.world import World
from scrapers.twin.yahoo import charts_of

MODULE = "upgradeDowngradeHistory"
TARGET_ACTIONS = {"up": "Raises", "down": "Lowers", "main": "Maintains", "init": "Announces", "reit": "Maintains"}


def cookies(world: World, clock: TwinClock) -> APIRouter:
    """Sets the cookie with an answer that is an error."""
    router = APIRouter()

    @router.get("/")
    def cookie(request: Request) -> Response:
        _browser(request)
        answer = html_answer("<html><body>Not Found</body></html>", 404)
        answer.headers["Set-Cookie"] = f"A3={_secret('cookie', _today(clock))}; Domain=.yahoo.com; Path=/; Secure; HttpOnly"
        return answer

    return router


def crumbs(world: World, clock: TwinClock) -> APIRouter:
    """The crumb that belongs to a cookie."""
    router = APIRouter()

    @router.get("/v1/test/getcrumb")
    def crumb(request: Request) -> Response:
        _browser(request)
        _known_cookie(request, clock)
        return text_answer(_secret("crumb", _today(clock))[:11])

    return router


def pages(world: World, clock: TwinClock) -> APIRouter:
    """Charts for everybody, summaries for those with cookie and crumb."""
    router = APIRouter()

    @router.get("/v8/finance/chart/{symbol}")
    def chart(request: Request, symbol: str, period1: int, period2: int, interval: str = "1d", events: str = "") -> Response:
        _browser(request)
        if interval != "1d":
            return json_answer(_failed("chart", "Bad Request", "only interval=1d is served"), 400)
        found = charts_of(world).chart(symbol, clock.now(), clock.close_at, period1, period2, set(events.split(",")))
        return json_answer(found) if found else json_answer(_failed("chart", "Not Found", "No data found, symbol may be delisted"), 404)

    @router.get("/v10/finance/quoteSummary/{symbol}")
    def summary(request: Request, symbol: str, modules: str = "", crumb: str = "") -> Response:
        _browser(request)
        _known_cookie(request, clock)
        if crumb != _secret("crumb", _today(clock))[:11]:
            raise Instead(json_answer(_failed("finance", "Unauthorized", "Invalid Crumb"), 401))
        asset = charts_of(world).assets.get(symbol)
        if asset is None:
            return json_answer(_failed("quoteSummary", "Not Found", f"Quote not found for symbol: {symbol}"), 404)
        if asset.kind == "fund" or modules != MODULE:
            says = f"No fundamentals data found for any of the summaryTypes={modules}"
            return json_answer(_failed("quoteSummary", "Not Found", says), 404)
        shown = [opinion for opinion in ratings_of(world).by_symbol[asset.symbol] if opinion.published_at <= clock.now()]
        history = {MODULE: {"history": [_grade(opinion) for opinion in shown[::-1]], "maxAge": 86400}}
        return json_answer({"quoteSummary": {"result": [history], "error": None}})

    return router


def _grade(opinion: Opinion) -> dict[str, Any]:
    """One record; the time of some is midnight UTC of the day."""
    midnight = int(opinion.published_at.timestamp()) // 86400 * 86400
    return {
        "epochGradeDate": midnight if opinion.dated_only else int(opinion.published_at.timestamp()),
        "firm": opinion.firm,
        "toGrade": opinion.to_grade,
        "fromGrade": opinion.from_grade,
        "action": opinion.action,
        "priceTargetAction": TARGET_ACTIONS[opinion.action] if opinion.price_target else "",
        "currentPriceTarget": opinion.price_target,
        "priorPriceTarget": opinion.prior_price_target,
    }


def _failed(name: str, code: str, says: str) -> dict[str, Any]:
    return {name: {"result": None, "error": {"code": code, "description": says}}}


def _today(clock: TwinClock) -> date:
    return times.new_york_date(clock.now())


def _secret(name: str, day: date) -> str:
    """A cookie or a crumb, good for a day."""
    return hashlib.sha256(f"{name} {day}".encode()).hexdigest()[:24]


def _browser(request: Request) -> None:
    """Whoever does not look like a browser is throttled."""
    if not request.headers.get("User-Agent", "").startswith("Mozilla/5.0 ("):
        raise Instead(text_answer("Too Many Requests", 429))


def _known_cookie(request: Request, clock: TwinClock) -> None:
    if request.cookies.get("A3") != _secret("cookie", _today(clock)):
        raise Instead(json_answer(_failed("finance", "Unauthorized", "Invalid Cookie"), 401))


SERVICES = (
    Service(host="fc.yahoo.com", routes=cookies),
    Service(host="query1.finance.yahoo.com", routes=crumbs),
    Service(host="query2.finance.yahoo.com", routes=pages),
)
