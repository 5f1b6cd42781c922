"""Studies of ClinicalTrials.gov, API version 2: pages of studies whose modules and fields may each be absent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from scrapers import rates, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "clinicaltrials"
STUDIES = "https://clinicaltrials.gov/api/v2/studies"
VERSION = "https://clinicaltrials.gov/api/v2/version"
FIELDS = "NCTId|BriefTitle|OverallStatus|WhyStopped|Phase|LeadSponsorName|LeadSponsorClass|PrimaryCompletionDate|LastUpdatePostDate"
PAGE_SIZE, MAX_PAGES = 1000, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The present state of a study. completion: of the primary outcome, to the day or to the month; type ESTIMATED or ACTUAL."""

    nct_id: str
    title: str
    status: str
    sponsor: str
    phases: str
    completion: date | None
    precision: str
    completion_type: str
    updated: date


def version(http: "Http") -> datetime:
    """When the data last changed. The stamp bears no zone: it is read as New York time, the latest that it can mean. UTC."""
    document = http.get(VERSION, source=SOURCE, rate=rates.CLINICALTRIALS).json()
    stamp = document.get("dataTimestamp") if isinstance(document, dict) else None
    try:
        at = datetime.fromisoformat(str(stamp))
    except ValueError as error:
        raise SourceChanged(f"{VERSION}: `dataTimestamp` is {stamp!r:.80}, not an instant") from error
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=times.NEW_YORK).astimezone(UTC)


def studies(http: "Http", first: date, last: date) -> Iterator[Study | Reject]:
    """Phase 2 and 3 studies of companies whose record was posted anew from `first` to `last`, both included."""
    query = f"AREA[LastUpdatePostDate]RANGE[{first},{last}] AND (AREA[Phase]PHASE2 OR AREA[Phase]PHASE3) AND AREA[LeadSponsorClass]INDUSTRY"
    params: dict[str, str | int] = {"filter.advanced": query, "fields": FIELDS, "pageSize": PAGE_SIZE, "countTotal": "true"}
    tokens: set[str] = set()
    while True:
        document = http.get(STUDIES, params, source=SOURCE, rate=rates.CLINICALTRIALS).json()
        yield from parse_page(document)
        token = document.get("nextPageToken")
        if not token:
            return
        if not isinstance(token, str) or token in tokens or len(tokens) >= MAX_PAGES:
            raise SourceChanged(f"{STUDIES}: nextPageToken does not lead to a new page")
        tokens.add(token)
        params = {**params, "pageToken": token}


def parse_page(document: Any) -> Iterator[Study | Reject]:
    """The studies of one page; SourceChanged when it is not a page, or when most of its records are no studies."""
    listed = document.get("studies") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise SourceChanged(f"{STUDIES}: an object with a list `studies` was expected")
    items = [_study(record, f"{STUDIES}[{index}]") for index, record in enumerate(listed)]
    strange = sum(isinstance(item, Reject) and item.reason in ("not_a_study", "no_date") for item in items)
    if 2 * strange > len(items):
        raise SourceChanged(f"{STUDIES}: {strange} of {len(items)} records hold no study with the day of its posting")
    return iter(items)


def _study(record: object, at: str) -> Study | Reject:
    protocol = _part(record, "protocolSection")
    identity, status = _part(protocol, "identificationModule"), _part(protocol, "statusModule")
    number = identity.get("nctId")
    if not isinstance(number, str) or not re.fullmatch(r"NCT[0-9]{8}", number):
        return tables.reject("not_a_study", "no NCT number", record, at)
    sponsor = _part(_part(protocol, "sponsorCollaboratorsModule"), "leadSponsor")
    updated = times.parse_date(_part(status, "lastUpdatePostDateStruct").get("date"))
    if updated is None:
        return tables.reject("no_date", "no day of its last posting", record, at)
    if sponsor.get("class") not in (None, "INDUSTRY"):
        return tables.reject("not_industry", f"sponsor class {sponsor.get('class')!r:.40}", record, at)
    ends = _part(status, "primaryCompletionDateStruct")
    completion, precision = partial_date(ends.get("date"))
    if completion is None and ends.get("date") not in (None, ""):
        return tables.reject("impossible_date", f"primary completion {str(ends.get('date'))[:40]!r}", record, at)
    phases = _part(protocol, "designModule").get("phases")
    return Study(
        nct_id=number,
        title=_text(identity.get("briefTitle")),
        status=_text(status.get("overallStatus")),
        sponsor=_text(sponsor.get("name")),
        phases="/".join(sorted(p for p in phases if isinstance(p, str))) if isinstance(phases, list) else "",
        completion=completion,
        precision=precision,
        completion_type=_text(ends.get("type")),
        updated=updated,
    )


def partial_date(value: object) -> tuple[date | None, str]:
    """`YYYY-MM-DD` to the day; `YYYY-MM` as the first of the month, precision `month`; else (None, "")."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) == 7 and (first := times.parse_date(f"{text}-01")) is not None:
        return first, "month"
    day = times.parse_date(text)
    return day, "day" if day else ""


def _part(value: object, name: str) -> dict[str, Any]:
    """A module of a record; empty when it is absent or no object."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
