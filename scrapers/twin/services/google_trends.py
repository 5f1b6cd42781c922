"""trends.google.com: the widgets behind its page, unofficial and easily offended."""

import hashlib
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import Service, TwinClock, html_answer, text_answer
from scrapers.twin.curves import span
from scrapers.twin.searches import Searches
from scrapers.twin.world import World

GUARD = ")]}'"
_SPAN = re.compile(r"(\d{4}-\d{2}-\d{2}) (\d{4}-\d{2}-\d{2})")
DAILY = timedelta(days=269)


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The page that sets the cookie, and the two steps to a time line."""
    router, searches = APIRouter(prefix="/trends"), Searches(world)

    @router.get("/explore")
    def explore() -> Response:
        answer = html_answer("<!DOCTYPE html><html><head><title>Error 429 (Too Many Requests)</title></head></html>", 429)
        answer.set_cookie("NID", "synthetic-nid", path="/", httponly=True)
        return answer

    @router.get("/api/explore")
    def widgets(request: Request, req: str) -> Response:
        if "NID" not in request.cookies:
            return text_answer("429. That's an error.", 429)
        asked = _asked(req)
        ask = {"time": asked[0]["time"], "resolution": "DAY", "locale": "en-US", "comparisonItem": _restricted(asked)}
        widget = {"id": "TIMESERIES", "type": "fe_line_chart", "title": "Interest over time", "token": token(ask), "request": ask}
        other = {"id": "RELATED_QUERIES", "type": "fe_related_searches", "token": "synthetic-other", "request": {}}
        return text_answer(f"{GUARD}\n{json.dumps({'widgets': [widget, other], 'keywords': []})}", media_type="application/json")

    @router.get("/api/widgetdata/multiline")
    def multiline(request: Request, req: str) -> Response:
        ask = json.loads(req)
        if "NID" not in request.cookies or request.query_params.get("token") != token(ask):
            return text_answer("401. That's an error.", 401)
        keyword = ask["comparisonItem"][0]["complexKeywordsRestriction"]["keyword"][0]["value"]
        first, last = _span(ask["time"])
        points = timeline(searches, keyword, first, last, clock.now())
        return text_answer(f"{GUARD},\n{json.dumps({'default': {'timelineData': points, 'averages': []}})}", media_type="application/json")

    return router


def token(ask: object) -> str:
    """What proves that a request was given out by the first step."""
    return "APP6_" + hashlib.sha256(json.dumps(ask, sort_keys=True).encode()).hexdigest()[:24]


def _asked(req: str) -> list[dict[str, str]]:
    try:
        items = json.loads(req)["comparisonItem"]
        _span(items[0]["time"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HTTPException(400, "bad request") from error
    return list(items)


def _restricted(items: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {"geo": {"country": item.get("geo", "")}, "complexKeywordsRestriction": {"keyword": [{"type": "BROAD", "value": item["keyword"]}]}}
        for item in items
    ]


def _span(text: str) -> tuple[date, date]:
    found = _SPAN.fullmatch(text)
    first, last = (times.parse_date(part) for part in found.groups()) if found else (None, None)
    if first is None or last is None or not first < last <= first + DAILY:
        raise HTTPException(400, "bad span of time")
    return first, last


def timeline(searches: Searches, keyword: str, first: date, last: date, now: datetime) -> list[dict[str, Any]]:
    """A point a day up to the present one, which is partial and extrapolated."""
    today = now.astimezone(UTC).date()
    days = [day for day in span(first, last) if day <= today]
    points = []
    for day, value in zip(days, searches.scaled(keyword, days), strict=True):
        stamp = int(datetime.combine(day, time(0), UTC).timestamp())
        shown = {"formattedTime": f"{day:%b} {day.day}, {day.year}", "formattedAxisTime": f"{day:%b} {day.day}"}
        point = {"time": str(stamp), **shown, "value": [value], "hasData": [value > 0], "formattedValue": [str(value)]}
        points.append(point | ({"isPartial": True} if day == today else {}))
    return points


SERVICES = (Service(host="trends.google.com", routes=routes),)
