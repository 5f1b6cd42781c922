"""www.federalregister.gov: notices of advisory committee meetings about the generated programmes."""

import math
from datetime import date
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.press_releases import Programme, programmes, prose_date
from scrapers.twin.world import World

BASE = "https://www.federalregister.gov/api/v1/documents.json"


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The search for documents."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/documents.json")
    def documents(request: Request) -> Response:
        query = dict(request.query_params)
        first = times.parse_date(query.get("conditions[publication_date][gte]")) or date.min
        last = times.parse_date(query.get("conditions[publication_date][lte]")) or date.max
        today, page, size = times.new_york_date(clock.now()), int(query.get("page", "1")), int(query.get("per_page", "20"))
        found = [p for p in programmes(world) if first <= p.noticed <= last and p.noticed <= today][::-1]
        if not found:
            return json_answer({"count": 0, "description": "Documents matching"})
        pages = math.ceil(len(found) / size)
        follow = f"{BASE}?{urlencode({**query, 'page': page + 1})}" if page < pages else None
        listed = [_notice(programme) for programme in found[(page - 1) * size : page * size]]
        return json_answer({"count": len(found), "total_pages": pages, "next_page_url": follow, "results": listed})

    return router


def _notice(programme: Programme) -> dict[str, Any]:
    number = f"{programme.noticed.year}-{10_000 + programme.number}"
    return {
        "title": "Synthetic Drugs Advisory Committee; Notice of Meeting",
        "type": "Notice",
        "abstract": (
            "The Food and Drug Administration announces a forthcoming public advisory committee meeting. The meeting will be held on "
            f"{prose_date(programme.meeting)}, on the application for {programme.product}, submitted by {programme.asset.name}, for a "
            "synthetic indication."
        ),
        "document_number": number,
        "html_url": f"https://www.federalregister.gov/documents/{programme.noticed:%Y/%m/%d}/{number}/synthetic-notice",
        "pdf_url": f"https://www.govinfo.gov/content/pkg/{number}.pdf",
        "publication_date": programme.noticed.isoformat(),
        "agencies": [{"raw_name": "Food and Drug Administration", "slug": "food-and-drug-administration"}],
    }


SERVICES = (Service(host="www.federalregister.gov", routes=routes),)
