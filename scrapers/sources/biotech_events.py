"""Binary events of drug makers: trial completions, PDUFA dates, advisory committees, approvals and refusals, from four public services."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scrapers import clinical_trials, edgar_search, federal_register, files, openfda, rates, refusal_letters, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.companies import Directory
from scrapers.errors import SourceChanged
from scrapers.press_dates import NamedDate, dates_beside, names_the_regulator

if TYPE_CHECKING:
    from scrapers.http import Http

T = TypeVar("T")
EDGAR = "edgar_8k"
OVERLAP = timedelta(days=3)
APPROVALS_LAG = timedelta(days=7)
"""openFDA is brought up to date about weekly."""
PHRASES = {
    "PDUFA": ("pdufa", re.compile(r"PDUFA|target action date", re.IGNORECASE)),
    "target action date": ("pdufa", re.compile(r"PDUFA|target action date", re.IGNORECASE)),
    "advisory committee": ("adcom", re.compile(r"advisory committee", re.IGNORECASE)),
    "Complete Response Letter": ("complete_response", refusal_letters.LETTER),
}
"""Phrase searched for -> the kind of event, and the words beside which its date stands."""

SHAPES = {
    "ClinicalTrials.gov v2 answer (JSON)": "studies",
    "openFDA drugsfda answer (JSON)": "meta, results with application_number",
    "Federal Register answer (JSON)": "results with document_number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BiotechEvent:
    """One expected or past event, as its newest publication tells it.

    kind: trial_completion, pdufa, adcom, approval, complete_response. reference_id: NCT number, accession:file, application:submission or
    document number; occurrence: n-th event of the kind in it, from 0.
    symbol: None where no listed company is known by the name. product: title of the study, brand, or of the notice.
    event_date: the day itself or, with precision `month`, the first of the month; None when the publication names none.
    date_type: estimated, actual or announced. status: the service's word. quote: the words that the date was read from.
    """

    origin: str
    reference_id: str
    kind: str
    occurrence: int
    symbol: str | None
    company: str
    product: str
    phase: str
    status: str
    event_date: date | None
    date_precision: str
    date_type: str
    published: date
    quote: str
    source_url: str


def fetch_trials(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Phase 2 and 3 studies of companies whose record was posted anew. Nothing is asked when the service's data did not change."""
    backfill = bool(options.get("backfill"))
    if not backfill and clinical_trials.version(http) <= since + OVERLAP:
        return
    directory = Directory(options.get("companies") or {})
    found = clinical_trials.studies(http, *_span(since, until, backfill=backfill))
    yield from _batches((s if isinstance(s, Reject) else _of_study(s, directory) for s in found), backfill)


def fetch_releases(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """8-K filings and their exhibits that speak of a PDUFA date, an advisory committee or a complete response letter.

    Every document is read once, however many phrases or exhibits led to it. Only documents of companies with a ticker are read.
    """
    first, last = _span(since, until, backfill=bool(options.get("backfill")))
    hits: dict[tuple[str, str], edgar_search.Hit] = {}
    rejects: list[Reject] = []
    for phrase in PHRASES:
        for item in edgar_search.search(http, phrase, first, last, source=EDGAR):
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                hits.setdefault((item.accession, item.file), item)
    yield from _batches(rejects, backfill=False)
    for hit in hits.values():
        if hit.symbol is not None:
            answer = http.get(hit.url, source=EDGAR, rate=rates.SEC, accept=(404,))
            found = [_no_document(hit)] if answer.status == 404 else parse_release(hit, edgar_search.prose(answer.text()))
            yield from _batches(found, bool(options.get("backfill")))


def _no_document(hit: edgar_search.Hit) -> Reject:
    return tables.reject("no_document", "the search names a document that is not there", {"url": hit.url, "company": hit.company}, hit.url)


def fetch_approvals(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Original approvals. Live ones are asked for from two weeks before `since`, because they are published late.

    Option `backfill`: those that count as published from `since` to `until`, a week after their status day.
    """
    directory, backfill = Directory(options.get("companies") or {}), bool(options.get("backfill"))
    begin, end = (since - APPROVALS_LAG, until - APPROVALS_LAG) if backfill else (since - 2 * APPROVALS_LAG, until)
    found = openfda.approvals(http, *_span(begin, end, backfill=backfill))
    yield from _batches((a if isinstance(a, Reject) else _of_approval(a, directory) for a in found), backfill, lag=APPROVALS_LAG)


def fetch_notices(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Notices of advisory committee meetings."""
    directory, backfill = Directory(options.get("companies") or {}), bool(options.get("backfill"))
    found = federal_register.notices(http, *_span(since, until, backfill=backfill))
    yield from _batches((n if isinstance(n, Reject) else _of_notice(n, directory) for n in found), backfill)


def _span(since: datetime, until: datetime, *, backfill: bool) -> tuple[date, date]:
    """Days of publication to ask for. What bears a day alone is known after it, so history ends with yesterday."""
    last = times.new_york_date(until)
    return times.new_york_date(since), last - timedelta(days=1) if backfill else last


def _batches(items: Iterable[BiotechEvent | Reject], backfill: bool, lag: timedelta = timedelta(0)) -> Iterable[Batch]:
    return tables.batches(BiotechEvent, (i if isinstance(i, Reject) else _timed(i, backfill, lag) for i in items))


def _timed(event: BiotechEvent, backfill: bool, lag: timedelta) -> tables.Timed:
    """What bears a day alone counts as published at the end of it; openFDA's status days a week later still."""
    known_at = times.day_after(event.published + lag)
    return tables.Timed(row=event, event_at=times.new_york(event.published), known_at=known_at if backfill else None)


def _of_study(study: clinical_trials.Study, directory: Directory) -> BiotechEvent:
    return BiotechEvent(
        origin=clinical_trials.SOURCE,
        reference_id=study.nct_id,
        kind="trial_completion",
        occurrence=0,
        symbol=directory.symbol_of(study.sponsor),
        company=study.sponsor,
        product=study.title,
        phase=study.phases,
        status=study.status,
        event_date=study.completion,
        date_precision=study.precision,
        date_type=study.completion_type.lower(),
        published=study.updated,
        quote="",
        source_url=f"https://clinicaltrials.gov/study/{study.nct_id}",
    )


def parse_release(hit: edgar_search.Hit, text: str) -> Iterator[BiotechEvent | Reject]:
    """The events that a document names. A letter of refusal must have come, and is dated by its filing where no day stands beside it;
    the others need a date beside their words. Advisory committees are those of a document that speaks of the FDA.
    """
    told = 0
    for kind, form in dict(PHRASES.values()).items():
        if kind == "complete_response":
            letter = refusal_letters.told(text, hit.filed)
            events = [(NamedDate(day=letter[0], precision="day", start=0, end=0), letter[1])] if letter else []
        elif kind == "adcom" and not names_the_regulator(text):
            events = []
        else:
            events = [(named, quote) for named, quote in dates_beside(text, form) if named.day > hit.filed - refusal_letters.RECENT]
        for number, (named, quote) in enumerate(events):
            told += 1
            yield _of_release(hit, kind, number, named, quote)
    if not told:
        yield tables.reject("no_date", "no event with a date is told", {"url": hit.url, "company": hit.company}, hit.url)


def _of_release(hit: edgar_search.Hit, kind: str, number: int, named: NamedDate, quote: str) -> BiotechEvent:
    return BiotechEvent(
        origin=EDGAR,
        reference_id=f"{hit.accession}:{hit.file}",
        kind=kind,
        occurrence=number,
        symbol=hit.symbol,
        company=hit.company,
        product="",
        phase="",
        status="announced",
        event_date=named.day,
        date_precision=named.precision,
        date_type="actual" if kind == "complete_response" else "announced",
        published=hit.filed,
        quote=quote[:300],
        source_url=hit.url,
    )


def _of_approval(approval: openfda.Approval, directory: Directory) -> BiotechEvent:
    return BiotechEvent(
        origin=openfda.SOURCE,
        reference_id=f"{approval.application}:{approval.submission}",
        kind="approval",
        occurrence=0,
        symbol=directory.symbol_of(approval.sponsor),
        company=approval.sponsor,
        product=approval.brand,
        phase="",
        status=approval.status,
        event_date=approval.day,
        date_precision="day",
        date_type="actual",
        published=approval.day,
        quote=approval.priority,
        source_url=openfda.DRUGSFDA,
    )


def _of_notice(notice: federal_register.Notice, directory: Directory) -> BiotechEvent:
    company = federal_register.applicant(notice.abstract)
    return BiotechEvent(
        origin=federal_register.SOURCE,
        reference_id=notice.number,
        kind="adcom",
        occurrence=0,
        symbol=directory.symbol_of(company) if company else None,
        company=company,
        product=notice.title,
        phase="",
        status="noticed",
        event_date=notice.meeting,
        date_precision="day" if notice.meeting else "",
        date_type="announced",
        published=notice.published,
        quote=notice.abstract[:300],
        source_url=notice.url,
    )


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of ClinicalTrials.gov, openFDA and the Federal Register; companies are not matched to symbols here."""
    nobody = Directory({})
    for path in paths:
        document = files.json_of(files.read(path), path.name)
        found, lag = _saved(document, path.name, nobody)
        yield from _batches(found, backfill=True, lag=lag)


def _saved(document: Any, name: str, directory: Directory) -> tuple[Iterable[BiotechEvent | Reject], timedelta]:
    """What a saved answer tells, and how long after its day it counts as published."""
    keys = set(document) if isinstance(document, dict) else set()
    listed = document.get("results") if isinstance(document, dict) else None
    records = [record for record in listed if isinstance(record, dict)] if isinstance(listed, list) else []
    try:
        if "studies" in keys:
            return _read(clinical_trials.parse_page(document), lambda study: _of_study(study, directory)), timedelta(0)
        if openfda.is_nothing_found(document):
            return (), timedelta(0)
        if isinstance(listed, list) and (any("application_number" in r for r in records) or (not records and "meta" in keys)):
            ever = list(openfda.parse_results(listed, date(1900, 1, 1), date(2100, 1, 1)))
            return _read(ever, lambda approval: _of_approval(approval, directory)), APPROVALS_LAG
        if any("document_number" in r for r in records) or (not records and "count" in keys):
            return _read(federal_register.parse_page(document), lambda notice: _of_notice(notice, directory)), timedelta(0)
    except SourceChanged as error:
        files.unknown_shape(name, str(error), SHAPES)
    return files.unknown_shape(name, f"keys {', '.join(sorted(map(str, keys)))[:300]}", SHAPES)


def _read(items: Iterable[T | Reject], event_of: Callable[[T], BiotechEvent]) -> Iterator[BiotechEvent | Reject]:
    return (item if isinstance(item, Reject) else event_of(item) for item in items)


DATASET = Dataset(
    name="biotech_events",
    row=BiotechEvent,
    key=("origin", "reference_id", "kind", "occurrence"),
    schedule="cron: mon-fri 07:45,18:30",
    description="Binary events of drug makers: trial completions, PDUFA dates, advisory committees, approvals and refusals",
    known="the day after the publication; an approval eight days after its day, because openFDA is brought up to date weekly",
    sources=(
        Source(
            name=clinical_trials.SOURCE,
            fetch=fetch_trials,
            rate=rates.CLINICALTRIALS,
            urls=(clinical_trials.STUDIES, clinical_trials.VERSION),
            wants=("companies",),
            chunk=timedelta(days=92),
        ),
        Source(
            name=EDGAR,
            fetch=fetch_releases,
            rate=rates.SEC,
            urls=(edgar_search.SEARCH, edgar_search.ARCHIVES),
            needs=("contact",),
            chunk=timedelta(days=92),
        ),
        Source(
            name=openfda.SOURCE,
            fetch=fetch_approvals,
            rate=rates.OPENFDA,
            urls=(openfda.DRUGSFDA,),
            wants=("companies",),
            chunk=timedelta(days=366),
        ),
        Source(
            name=federal_register.SOURCE,
            fetch=fetch_notices,
            rate=rates.FEDERAL_REGISTER,
            urls=(federal_register.DOCUMENTS,),
            wants=("companies",),
            chunk=timedelta(days=366),
        ),
    ),
    load=load,
    overlap=OVERLAP,
    max_silence=timedelta(days=10),
)
