"""efts.sec.gov: full-text search over the generated press releases."""

import re
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import Service, TwinClock, html_answer, json_answer
from scrapers.twin.press_releases import Release, releases
from scrapers.twin.world import World

PAGE, MOST = 100, 10_000


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The search."""
    router = APIRouter()

    @router.get("/LATEST/search-index")
    def search(request: Request) -> Response:
        if "@" not in request.headers.get("User-Agent", ""):
            return html_answer("<html><body>Your Request Originates from an Undeclared Automated Tool</body></html>", 403)
        query = dict(request.query_params)
        found = [_hit(release) for release in _matching(world, times.new_york_date(clock.now()), query)]
        start = int(query.get("from", "0"))
        return json_answer(
            {
                "took": 5,
                "timed_out": False,
                "hits": {"total": {"value": min(len(found), MOST), "relation": "eq"}, "hits": found[start : start + PAGE]},
                "aggregations": {},
            }
        )

    return router


def _matching(world: World, today: date, query: dict[str, str]) -> list[Release]:
    """Newest first. Without both ends the range of days is ignored."""
    phrase = query.get("q", "").strip('"').lower()
    start, end = times.parse_date(query.get("startdt")), times.parse_date(query.get("enddt"))
    found = [r for r in releases(world) if r.filed <= today and (not start or not end or start <= r.filed <= end)]
    if query.get("forms", "8-K") != "8-K":
        return []
    return [r for r in reversed(found) if phrase in re.sub(r"<[^>]*>", " ", r.text()).lower()]


def _hit(release: Release) -> dict[str, Any]:
    it = release.programme
    return {
        "_index": "edgar_file",
        "_id": f"{release.accession}:{release.file}",
        "_score": 8.16,
        "_source": {
            "ciks": [f"{it.cik:010d}"],
            "display_names": [f"{it.asset.name}  ({it.asset.symbol})  (CIK {it.cik:010d})"],
            "period_ending": release.filed.isoformat(),
            "file_date": release.filed.isoformat(),
            "form": "8-K",
            "root_forms": ["8-K"],
            "adsh": release.accession,
            "file_type": "EX-99.1",
            "file_description": "SYNTHETIC PRESS RELEASE",
            "items": ["8.01", "9.01"],
            "sics": ["2836"],
            "biz_states": ["CA"],
            "biz_locations": ["Synthetic City, CA"],
            "inc_states": ["DE"],
            "file_num": ["001-00000"],
            "film_num": ["0"],
        },
    }


SERVICES = (Service(host="efts.sec.gov", routes=routes),)
