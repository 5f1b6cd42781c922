"""clinicaltrials.gov: the studies of the generated drug makers, each in its newest posted state."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.assets import Asset
from scrapers.twin.base import Service, TwinClock, json_answer, text_answer
from scrapers.twin.press_releases import drug_makers
from scrapers.twin.world import World

STUDIES_EACH, EVERY = 12, 30
"""Studies of a company, and sessions from one posting of a study to the next."""
RANGE = re.compile(r"AREA\[LastUpdatePostDate\]RANGE\[(\d{4}-\d\d-\d\d),(\d{4}-\d\d-\d\d)\]")
PHASES = (["PHASE2"], ["PHASE3"], ["PHASE2", "PHASE3"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A study as posted on one day."""

    number: str
    asset: Asset
    posted: date
    completion: date
    phases: list[str]
    stopped: bool


@lru_cache(maxsize=4)
def postings(world: World) -> dict[str, tuple[Posting, ...]]:
    """Every posting by study, oldest first. A noticed company's studies end sooner than it said before."""
    heat, found = world.heat("biotech"), dict[str, tuple[Posting, ...]]()
    for place, asset in drug_makers(world):
        for study in range(STUDIES_EACH):
            rng = np.random.default_rng([world.seed, 32, place, study])
            begins, phases = int(rng.integers(EVERY)), PHASES[int(rng.integers(3))]
            completion = world.sessions[0] + timedelta(days=int(rng.integers(100, 1500)))
            stops = int(rng.integers(1, 60)) if rng.random() < 0.15 else 10**6
            number, posted = f"NCT{90_000_000 + place * 100 + study:08d}", list[Posting]()
            for turn, index in enumerate(range(begins, len(world.sessions), EVERY)):
                completion -= timedelta(days=round(20 * float(heat[index, place])))
                posted.append(
                    Posting(
                        number=number,
                        asset=asset,
                        posted=world.sessions[index],
                        completion=completion,
                        phases=phases,
                        stopped=turn >= stops,
                    )
                )
            found[number] = tuple(posted)
    return found


def routes(world: World, clock: TwinClock) -> APIRouter:
    """Studies and version."""
    router = APIRouter(prefix="/api/v2")

    @router.get("/version")
    def version() -> Response:
        today = times.new_york_date(clock.now())
        newest = datetime.combine(world.sessions[max(world.index(today), 0)], time(9, 0, 5))
        return json_answer({"apiVersion": "2.0.5", "dataTimestamp": newest.isoformat()})

    @router.get("/studies")
    def studies(request: Request) -> Response:
        query = dict(request.query_params)
        span, size, token = RANGE.search(query.get("filter.advanced", "")), query.get("pageSize", "10"), query.get("pageToken", "0")
        if span is None or not size.isdecimal() or not token.isdecimal():
            return text_answer("Unsupported filter.advanced, pageSize or pageToken", 400)
        found = _newest(world, times.new_york_date(clock.now()), span[1], span[2])
        start, count = int(token), min(int(size), 1000)
        page: dict[str, Any] = {"studies": [_study(posting) for posting in found[start : start + count]]}
        if query.get("countTotal") == "true" and start == 0:
            page["totalCount"] = len(found)
        if start + count < len(found):
            page["nextPageToken"] = str(start + count)
        return json_answer(page)

    return router


def _newest(world: World, today: date, first: str, last: str) -> list[Posting]:
    """Of each study the posting in force, where it lies within the span; newest first."""
    found = []
    for posted in postings(world).values():
        public = [posting for posting in posted if posting.posted <= today]
        if public and first <= public[-1].posted.isoformat() <= last:
            found.append(public[-1])
    return sorted(found, key=lambda posting: (posting.posted, posting.number), reverse=True)


def _study(posting: Posting) -> dict[str, Any]:
    ended = posting.completion <= posting.posted
    status: dict[str, Any] = {
        "overallStatus": "TERMINATED" if posting.stopped else "COMPLETED" if ended else "ACTIVE_NOT_RECRUITING",
        "primaryCompletionDateStruct": {
            "date": posting.completion.isoformat() if ended else f"{posting.completion:%Y-%m}",
            "type": "ACTUAL" if ended else "ESTIMATED",
        },
        "lastUpdatePostDateStruct": {"date": posting.posted.isoformat(), "type": "ACTUAL"},
    }
    if posting.stopped:
        status["whyStopped"] = "Synthetic reasons"
    return {
        "protocolSection": {
            "identificationModule": {
                "nctId": posting.number,
                "briefTitle": f"Synthetic Study of {posting.asset.name} {posting.number[-3:]}",
            },
            "statusModule": status,
            "sponsorCollaboratorsModule": {"leadSponsor": {"name": posting.asset.name, "class": "INDUSTRY"}},
            "designModule": {"phases": posting.phases},
        },
        "hasResults": False,
    }


SERVICES = (Service(host="clinicaltrials.gov", routes=routes),)
