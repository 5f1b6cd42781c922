"""api.fda.gov: approvals of the generated programmes."""

import re
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.press_releases import Programme, programmes
from scrapers.twin.world import World

RANGE = re.compile(r"submissions\.submission_status_date:\[(\d{8}) TO (\d{8})\]")


def routes(world: World, clock: TwinClock) -> APIRouter:
    """Drugs@FDA."""
    router = APIRouter()

    @router.get("/drug/drugsfda.json")
    def drugsfda(request: Request) -> Response:
        query = dict(request.query_params)
        span, limit, skip = RANGE.fullmatch(query.get("search", "")), int(query.get("limit", "1")), int(query.get("skip", "0"))
        if span is None or not 1 <= limit <= 1000 or not 0 <= skip <= 25_000:
            return json_answer({"error": {"code": "BAD_REQUEST", "message": "Search not supported"}}, 400)
        today = times.new_york_date(clock.now())
        found = [p for p in programmes(world) if p.approved and span[1] <= f"{p.pdufa:%Y%m%d}" <= span[2] and p.pdufa <= today]
        if not found[skip:]:
            return json_answer({"error": {"code": "NOT_FOUND", "message": "No matches found!"}}, 404)
        return json_answer(_page(found, skip, limit, today))

    return router


def _page(found: list[Programme], skip: int, limit: int, today: date) -> dict[str, Any]:
    return {
        "meta": {"last_updated": today.isoformat(), "results": {"skip": skip, "limit": limit, "total": len(found)}},
        "results": [_application(programme) for programme in found[skip : skip + limit]],
    }


def _application(programme: Programme) -> dict[str, Any]:
    return {
        "application_number": programme.application,
        "sponsor_name": programme.asset.name.upper().rstrip("."),
        "products": [{"brand_name": programme.product.upper(), "marketing_status": "Prescription"}],
        "submissions": [
            {
                "submission_type": "ORIG",
                "submission_number": "1",
                "submission_status": "AP",
                "submission_status_date": f"{programme.pdufa:%Y%m%d}",
                "submission_class_code": "TYPE 1",
                "review_priority": "PRIORITY" if programme.number % 3 else "STANDARD",
            }
        ],
        "openfda": {},
    }


SERVICES = (Service(host="api.fda.gov", routes=routes),)
