"""apewisdom.io: the ranking of securities by mentions in a forum over the last 24 hours."""

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import numpy as np
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.world import World

FILTERS = ("all", "all-stocks", "stocks", "wallstreetbets", "investing")
PAGE = 100
LIFT, STREAM = 6.0, 960


class Ranking:
    """Mentions by hour: a level by security, more of it in heat. Each hour's noise is its own."""

    def __init__(self, world: World) -> None:
        self._world, self._assets = world, world.assets()
        self._usual = np.exp(np.random.default_rng([world.seed, STREAM]).uniform(np.log(3.0), np.log(300.0), 800))[: len(self._assets)]

    def counts(self, at: datetime) -> np.ndarray:
        """Mentions by asset in the 24 hours to the hour of an instant (n_assets,)."""
        hour = at.astimezone(UTC)
        session = self._world.index(hour.date())
        heat = np.zeros(len(self._assets))
        if session >= 0:
            stocks = self._world.heat("forum")[session]
            heat[: len(stocks)] = stocks
        rng = np.random.default_rng([self._world.seed, STREAM, hour.date().toordinal(), hour.hour])
        return rng.poisson(self._usual * (1.0 + LIFT * heat))

    def records(self, now: datetime) -> list[dict[str, Any]]:
        """Every mentioned security, most mentions first."""
        counts, before = self.counts(now), self.counts(now - timedelta(hours=24))
        order, earlier = (sorted(range(len(c)), key=lambda place: (-c[place], place)) for c in (counts, before))
        rank_before = {place: rank for rank, place in enumerate(earlier, start=1) if before[place]}
        named = [place for place in order if counts[place]]
        return [self._record(place, rank, int(counts[place]), rank_before, int(before[place])) for rank, place in enumerate(named, start=1)]

    def _record(self, place: int, rank: int, mentions: int, rank_before: dict[int, int], before: int) -> dict[str, Any]:
        """Every seventh in texts instead of numbers; a newcomer has null, or 0, for the day before."""
        asset = self._assets[place]
        symbol = asset.symbol.lower() if place % 31 == 30 else asset.symbol
        numbers: dict[str, Any] = {"mentions": mentions, "upvotes": mentions * (3 + place % 5)}
        if place % 7 == 6:
            numbers = {name: str(value) for name, value in numbers.items()}
        past = {"rank_24h_ago": rank_before.get(place), "mentions_24h_ago": before or (None if place % 2 else 0)}
        return {"rank": rank, "ticker": symbol, "name": escape(asset.name.replace(" Inc.", " & Co. Inc.")), **numbers, **past}


def routes(world: World, clock: TwinClock) -> APIRouter:
    """Pages of the ranking."""
    router, ranking = APIRouter(prefix="/api/v1.0"), Ranking(world)

    @router.get("/filter/{name}/page/{number}")
    @router.get("/filter/{name}")
    def page(name: str, number: int = 1) -> Response:
        records = ranking.records(clock.now())
        pages = -(-len(records) // PAGE)
        if name not in FILTERS or not 1 <= number <= max(pages, 1):
            raise HTTPException(404, "Not found")
        results = records[(number - 1) * PAGE : number * PAGE]
        return json_answer({"count": len(records), "pages": pages, "current_page": number, "results": results})

    return router


SERVICES = (Service(host="apewisdom.io", routes=routes),)
