"""lda.gov: filings under the Lobbying Disclosure Act."""

import functools
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin import lobby_filings
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.lobby_filings import PERIODS, Filing
from scrapers.twin.world import World

URL = "https://lda.gov/api/v1/filings/"
MOST = 25
FILTERS = {
    "filing_year",
    "filing_period",
    "filing_type",
    "client_name",
    "registrant_name",
    "filing_dt_posted_after",
    "filing_dt_posted_before",
}
MONTHS = ("Jan 1 - Mar 31", "Apr 1 - June 30", "July 1 - Sep 30", "Oct 1 - Dec 31")
ORDINALS = ("1st", "2nd", "3rd", "4th")


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The list of filings."""
    router = APIRouter()

    @router.get("/api/v1/filings/")
    def filings(request: Request) -> Response:
        return json_answer(listed(world, clock.now(), dict(request.query_params)))

    return router


def listed(world: World, now: datetime, query: dict[str, str]) -> dict[str, Any]:
    """One page of the filings that fit the query and are posted. Only the first page comes without any filter."""
    page, size = _number(query, "page", 1), min(_number(query, "page_size", MOST), MOST)
    if page > 1 and not query.keys() & FILTERS:
        raise HTTPException(400, "You must pass at least one query string parameter to filter the results.")
    after, before = (times.parse_date(query.get(f"filing_dt_posted_{end}")) for end in ("after", "before"))
    first, last = after or date.min, before or date.max
    found = [f for f in _newest_first(world) if f.posted_at <= now and first <= f.posted <= last and _fits(f, query)]
    if query.get("ordering") == "dt_posted":
        found.reverse()
    if page > 1 and (page - 1) * size >= len(found):
        raise HTTPException(404, "Invalid page.")
    shown = found[(page - 1) * size : page * size]
    following = _link(query, page + 1) if page * size < len(found) else None
    previous = _link(query, page - 1) if page > 1 else None
    return {"count": len(found), "next": following, "previous": previous, "results": [record_of(filing) for filing in shown]}


def _link(query: dict[str, str], page: int) -> str:
    return f"{URL}?{urlencode({**query, 'page': page})}"


@functools.lru_cache(maxsize=4)
def _newest_first(world: World) -> tuple[Filing, ...]:
    return lobby_filings.filings(world)[::-1]


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise HTTPException(400, f"{name} is no number from 1 on")
    return int(text)


def _fits(filing: Filing, query: dict[str, str]) -> bool:
    return (
        query.get("client_name", "").lower() in filing.client[1].lower()
        and query.get("registrant_name", "").lower() in filing.registrant[1].lower()
        and query.get("filing_year", str(filing.year)) == str(filing.year)
        and query.get("filing_period", PERIODS[filing.quarter - 1]) == PERIODS[filing.quarter - 1]
        and query.get("filing_type", filing.form) == filing.form
    )


def record_of(filing: Filing) -> dict[str, Any]:
    """One filing as the service shows it: amounts as text or null, never both of them."""
    ordinal = ORDINALS[filing.quarter - 1]
    kind = "Registration" if filing.form == "RR" else f"{ordinal} Quarter - {'Amendment' if filing.form.endswith('A') else 'Report'}"
    at = filing.posted_at.astimezone(times.NEW_YORK).isoformat()
    return {
        "url": f"{URL}{filing.identifier}/",
        "filing_uuid": filing.identifier,
        "filing_type": filing.form,
        "filing_type_display": kind,
        "filing_year": filing.year,
        "filing_period": PERIODS[filing.quarter - 1],
        "filing_period_display": f"{ordinal} Quarter ({MONTHS[filing.quarter - 1]})",
        "filing_document_url": f"https://lda.gov/filings/public/filing/{filing.identifier}/print/",
        "filing_document_content_type": "text/html",
        "income": None if filing.income is None else f"{filing.income:.2f}",
        "expenses": None if filing.expenses is None else f"{filing.expenses:.2f}",
        "expenses_method": None,
        "posted_by_name": "Synthetic Registrant",
        "dt_posted": at,
        "termination_date": None,
        "registrant": {"id": filing.registrant[0], "name": filing.registrant[1]},
        "client": {
            "id": filing.client[0],
            "client_id": filing.client[0] % 1000,
            "name": filing.client[1],
            "general_description": "Synthetic company",
            "state": "MD",
            "country": "US",
        },
        "lobbying_activities": [] if filing.form == "RR" else [_activity(code, name, filing.specific) for code, name in filing.issues],
        "foreign_entities": [],
        "affiliated_organizations": [],
    }


def _activity(code: str, name: str, specific: str) -> dict[str, Any]:
    entities = [{"id": 1, "name": "SENATE"}]
    return {
        "general_issue_code": code,
        "general_issue_code_display": name,
        "description": specific,
        "lobbyists": [],
        "government_entities": entities,
    }


SERVICES = (Service(host="lda.gov", routes=routes),)
