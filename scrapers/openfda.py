"""Drugs@FDA through openFDA: original approvals by the day of their status."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from scrapers import rates, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "openfda"
DRUGSFDA = "https://api.fda.gov/drug/drugsfda.json"
LIMIT, MAX_SKIP = 100, 25_000
DECISIONS = {"AP": "approved", "TA": "tentatively approved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An original application that was approved."""

    application: str
    submission: str
    sponsor: str
    brand: str
    status: str
    day: date
    priority: str


def approvals(http: "Http", first: date, last: date) -> Iterator[Approval | Reject]:
    """Original approvals whose status day lies from `first` to `last`, both included. No match is the service's 404."""
    skip, before = 0, list[Any]()
    while skip <= MAX_SKIP:
        window = f"submissions.submission_status_date:[{first:%Y%m%d} TO {last:%Y%m%d}]"
        answer = http.get(DRUGSFDA, {"search": window, "limit": LIMIT, "skip": skip}, source=SOURCE, rate=rates.OPENFDA, accept=(404,))
        document = answer.json()
        if answer.status == 404:
            _check_nothing_found(document)
            return
        listed, total = _results(document)
        if listed and listed == before:
            raise SourceChanged(f"{DRUGSFDA}: the same page again for skip={skip}")
        before = listed
        yield from parse_results(listed, first, last)
        skip += len(listed)
        if not listed or skip >= total:
            return
    raise SourceChanged(f"{DRUGSFDA}: more than {MAX_SKIP} applications between {first} and {last}: ask for a shorter span")


def _check_nothing_found(document: Any) -> None:
    if not is_nothing_found(document):
        raise SourceChanged(f"{DRUGSFDA}: answered 404 without the code NOT_FOUND")


def is_nothing_found(document: Any) -> bool:
    """Whether this is the service's answer to a search without a match."""
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and error.get("code") == "NOT_FOUND"


def _results(document: Any) -> tuple[list[Any], int]:
    listed = document.get("results") if isinstance(document, dict) else None
    meta = document.get("meta") if isinstance(document, dict) else None
    counts = meta.get("results") if isinstance(meta, dict) else None
    total = counts.get("total") if isinstance(counts, dict) else None
    if not isinstance(listed, list) or not isinstance(total, int) or isinstance(total, bool):
        raise SourceChanged(f"{DRUGSFDA}: `results` and `meta.results.total` were expected")
    return listed, total


def parse_results(listed: list[Any], first: date, last: date) -> Iterator[Approval | Reject]:
    """Approvals of original submissions within the span; other submissions of the same applications are not events. An approval
    without a day or a number is a Reject. SourceChanged when most of the records are no applications.
    """
    applications = [record for record in listed if _is_application(record)]
    if 2 * len(applications) < len(listed):
        raise SourceChanged(f"{DRUGSFDA}: {len(listed) - len(applications)} of {len(listed)} records are no applications")
    for index, record in enumerate(listed):
        at = f"{DRUGSFDA}[{index}]"
        if not _is_application(record):
            yield tables.reject("not_an_application", "application_number and submissions were expected", record, at)
            continue
        for submission in record["submissions"]:
            found = _approval(record, submission, at)
            if isinstance(found, Reject) or (found is not None and first <= found.day <= last):
                yield found


def _is_application(record: object) -> bool:
    number = record.get("application_number") if isinstance(record, dict) else None
    return isinstance(record, dict) and isinstance(record.get("submissions"), list) and isinstance(number, str) and bool(number.strip())


def _approval(record: dict[str, Any], submission: object, at: str) -> Approval | Reject | None:
    """None for a submission of another kind or without a decision."""
    part = submission if isinstance(submission, dict) else {}
    status = DECISIONS.get(_text(part.get("submission_status")))
    if not part:
        return tables.reject("not_a_submission", "an object was expected", submission, at)
    if _text(part.get("submission_type")) != "ORIG" or status is None:
        return None
    day, number = times.parse_date(part.get("submission_status_date")), part.get("submission_number")
    number = str(number) if isinstance(number, int) and not isinstance(number, bool) else _text(number)
    if day is None or not number:
        return tables.reject(
            "bad_approval", f"day {str(part.get('submission_status_date'))[:40]!r}, number {number[:40]!r}", submission, at
        )
    products = record.get("products")
    first = products[0] if isinstance(products, list) and products and isinstance(products[0], dict) else {}
    return Approval(
        application=record["application_number"].strip(),
        submission=f"ORIG-{number}",
        sponsor=_text(record.get("sponsor_name")),
        brand=_text(first.get("brand_name")),
        status=status,
        day=day,
        priority=_text(part.get("review_priority")),
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
