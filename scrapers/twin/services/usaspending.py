"""api.usaspending.gov: obligations on federal contracts, action by action."""

import functools
from datetime import date, datetime
from typing import Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import Response

from scrapers import times
from scrapers.twin import contract_awards
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.contract_awards import Award
from scrapers.twin.world import World

MOST = 100
CONTRACTS = {"A", "B", "C", "D"}
DATES = {"action_date": "action_date", "last_modified_date": "posted"}


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The search over transactions."""
    router = APIRouter()

    @router.post("/api/v2/search/spending_by_transaction/")
    def spending_by_transaction(question: dict[str, Any] = Body()) -> Response:  # noqa: B008 - the framework's way
        return json_answer(search(world, clock.now(), question))

    return router


@functools.lru_cache(maxsize=4)
def _by_day(world: World, kind: str) -> dict[date, list[Award]]:
    """Actions by their date, or by the day on which they were posted."""
    found: dict[date, list[Award]] = {}
    for award in dict.fromkeys(contract_awards.awards(world)):
        found.setdefault(getattr(award, kind), []).append(award)
    return found


def search(world: World, now: datetime, question: dict[str, Any]) -> dict[str, Any]:
    """One page of the actions that fit the filters and are posted."""
    filters, fields, limit, page = question.get("filters"), question.get("fields"), question.get("limit", 10), question.get("page", 1)
    if not isinstance(filters, dict) or not set(filters.get("award_type_codes") or ()) <= CONTRACTS or not filters.get("time_period"):
        raise HTTPException(422, "Missing value: 'filters|award_type_codes' and 'filters|time_period' are required")
    if not isinstance(fields, list) or question.get("sort") not in fields:
        raise HTTPException(400, "Sort value not found in requested fields")
    if not isinstance(limit, int) or not 1 <= limit <= MOST or not isinstance(page, int) or page < 1:
        raise HTTPException(422, f"Field 'limit' value '{limit}' is above max '{MOST}'")
    found = [award for period in filters["time_period"] for award in _within(world, now, period)]
    texts = [text.upper() for text in filters.get("recipient_search_text", ())]
    found = [award for award in found if not texts or any(text in award.recipient for text in texts)]
    records = sorted((record_of(award) for award in found), key=lambda r: (r[question["sort"]], r["generated_internal_id"]))
    records = records[::-1] if question.get("order", "desc") == "desc" else records
    shown = records[(page - 1) * limit : page * limit]
    return {
        "spending_level": "transactions",
        "limit": limit,
        "results": [{"internal_id": r["internal_id"], **{name: r.get(name) for name in fields}} for r in shown],
        "page_metadata": {"page": page, "hasNext": page * limit < len(records)},
        "messages": ["Synthetic data."],
    }


def _within(world: World, now: datetime, period: dict[str, str]) -> list[Award]:
    first, last = times.parse_date(period.get("start_date")), times.parse_date(period.get("end_date"))
    kind = DATES.get(period.get("date_type", "action_date"))
    if first is None or last is None or kind is None:
        raise HTTPException(422, "Invalid value in 'filters|time_period'")
    by_day = _by_day(world, kind)
    days = sorted(day for day in by_day if first <= day <= last) if first != last else [first]
    return [award for day in days for award in by_day.get(day, []) if award.posted_at <= now]


def record_of(award: Award) -> dict[str, Any]:
    """Every field that may be asked for."""
    unique = f"CONT_AWD_{award.number}_9700_-NONE-_-NONE-"
    return {
        "internal_id": int(award.number[3:]),
        "Award ID": award.number,
        "Mod": award.modification,
        "Recipient Name": award.recipient,
        "Recipient UEI": None,
        "Action Date": award.action_date.isoformat(),
        "Transaction Amount": award.amount_usd,
        "Transaction Description": award.description,
        "Awarding Agency": award.agency,
        "Awarding Sub Agency": award.sub_agency,
        "generated_internal_id": unique,
    }


SERVICES = (Service(host="api.usaspending.gov", routes=routes),)
