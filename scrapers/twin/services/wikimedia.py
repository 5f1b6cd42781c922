"""wikimedia.org: page views of the articles about the generated companies."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import MARK, Service, TwinClock, json_answer
from scrapers.twin.curves import Curves, span
from scrapers.twin.services.wikipedia import article_of, refusal
from scrapers.twin.world import World

FIRST = date(2015, 7, 1)
LIFT = 1.5
BASE = "/api/rest_v1/metrics/pageviews/per-article"
_ACCESS, _AGENTS = ("all-access", "desktop", "mobile-app", "mobile-web"), ("user", "all-agents", "spider", "automated")


class Views:
    """Views by article and day. Some articles are so obscure that nobody reads them on some days."""

    def __init__(self, world: World) -> None:
        self._curves = Curves(world, "wiki", lift=LIFT)
        stocks = world.stocks()
        self._symbol = {article_of(world, asset.symbol): asset.symbol for asset in stocks}
        self._symbol.pop("", None)
        usual = np.exp(np.random.default_rng([world.seed, 990]).uniform(np.log(40.0), np.log(8000.0), 676))
        usual[5::11] = 1.5
        self._usual = {asset.symbol: float(usual[place]) for place, asset in enumerate(stocks)}

    def items(self, article: str, first: date, last: date, now: datetime) -> list[tuple[date, int]]:
        """(day, views) of the days with views that are published; empty for an unknown article."""
        symbol = self._symbol.get(article)
        days = [day for day in span(max(first, FIRST), last) if published(day) <= now] if symbol else []
        if not symbol or not days:
            return []
        counts = np.floor(self._usual[symbol] * self._curves.relative(symbol, days) + (0.5 if self._usual[symbol] > 2 else -0.5))
        return [(day, int(count)) for day, count in zip(days, counts.tolist(), strict=True) if count > 0]


def published(day: date) -> datetime:
    """05:00 UTC of the next day, and about every twentieth time a day later."""
    late = day.toordinal() * 2654435761 % 20 == 0
    return datetime.combine(day + timedelta(days=2 if late else 1), time(5), UTC)


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The service of views per article."""
    router, views = APIRouter(), Views(world)

    @router.get(BASE + "/{rest:path}")
    def per_article(request: Request) -> Response:
        if refused := refusal(request):
            return refused
        parts = [unquote(part) for part in request.scope["raw_path"].decode().partition(BASE + "/")[2].split("/")]
        first, last = (times.parse_date(part[:8]) for part in parts[-2:])
        known = len(parts) == 7 and parts[0] == "en.wikipedia" and parts[1] in _ACCESS and parts[2] in _AGENTS and parts[4] == "daily"
        if not known or first is None or last is None:
            return problem("Not found.", "Invalid route")
        article = parts[3].replace(" ", "_")
        items = [item(parts, article, day, count) for day, count in views.items(article, first, last, clock.now())]
        missing = "The date(s) you used are valid, but we either do not have data for those date(s), or the project or article is unknown."
        return json_answer({"items": items}) if items else problem("Not found.", missing)

    return router


def item(parts: list[str], article: str, day: date, count: int) -> dict[str, Any]:
    """One day as the service delivers it."""
    return {
        "project": parts[0],
        "article": article,
        "granularity": parts[4],
        "timestamp": f"{day:%Y%m%d}00",
        "access": parts[1],
        "agent": parts[2],
        "views": count,
    }


def problem(title: str, detail: str) -> Response:
    """404 as a problem document."""
    answer = json_answer({"type": "https://mediawiki.org/wiki/HyperSwitch/errors/not_found", "title": title, "detail": detail}, 404)
    answer.headers["content-type"] = "application/problem+json"
    answer.headers.update(MARK)
    return answer


SERVICES = (Service(host="wikimedia.org", routes=routes),)
