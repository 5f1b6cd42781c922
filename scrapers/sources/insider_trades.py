"""Transactions of insiders in the shares of their companies (Form 4): Quiver's records, or the reports themselves from EDGAR."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import edgar, edgar_amendments, edgar_filings, edgar_form4, files, insiders, quiver_insiders, records, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.edgar_filings import Filing
from scrapers.edgar_form4 import FORMS, Form4, NoDocument
from scrapers.errors import SourceUnavailable
from scrapers.quiver_arrays import Endpoint

if TYPE_CHECKING:
    from scrapers.http import Http

QUIVER_SOURCE, EDGAR_SOURCE = "quiver_insiders", "edgar_form4"
QUIVER = Endpoint(url="https://api.quiverquant.com/beta/live/insiders", keys=quiver_insiders.KEYS, source=QUIVER_SOURCE)
MAX_EARLIER = 20
"""Reports that one amendment is held against."""
LATEST_FILING = timedelta(days=5)
"""How long after its acceptance a report may be dated as filed."""
SHAPES = {
    "Form 4 (XML)": "an ownershipDocument of type 4 or 4/A",
    "submission (text)": "EDGAR's full text, with header and ownershipDocument",
    "Quiver insiders (JSON array)": ", ".join(sorted(quiver_insiders.KEYS)),
}


def fetch_quiver(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Transactions from Quiver: what was uploaded on the days from `since` to `until`, or with `backfill` the history by ticker.

    Options: `backfill` keeps what was filed from `since` to `until`; `symbols` are the tickers it asks for, without them it reads
    everything that the endpoint lists.
    """
    if options.get("backfill"):
        for symbol in options.get("symbols") or [None]:
            items = _quiver(http, {"ticker": symbol} if symbol else {})
            kept = (item for item in items if isinstance(item, Reject) or (item.known_at is not None and since <= item.known_at <= until))
            yield from tables.batches(insiders.InsiderTrade, kept)
        return
    first, last = times.new_york_date(since) - timedelta(days=1), times.new_york_date(until)
    for number in range((last - first).days + 1):
        items = _quiver(http, {"uploaded": f"{first + timedelta(days=number):%Y%m%d}"})
        yield from tables.batches(insiders.InsiderTrade, map(tables.unstamped, items))


def _quiver(http: "Http", asked: Mapping[str, str]) -> Iterator[tables.Timed | Reject]:
    return quiver_insiders.parse(QUIVER.everything(http, asked), position=QUIVER.url, url=QUIVER.url)


@dataclass(slots=True)
class _Reports:
    """Reports as they are read from EDGAR, each once."""

    http: "Http"
    read: dict[str, Form4] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    asked: int = 0
    unreadable: int = 0

    def report(self, accession: str, cik: int) -> Form4 | None:
        """One report; None, and a reject, for a submission that is missing or cannot be read as a Form 4."""
        if accession in self.read:
            return self.read[accession]
        url = edgar.submission_url(cik, accession)
        answer = self.http.get(url, source=EDGAR_SOURCE, rate=edgar.RATE, accept=(404,))
        self.asked += 1
        try:
            if answer.status == 404:
                raise NoDocument(f"{url}: answered 404")
            edgar.refuse_html(answer)
            form = edgar_form4.parse_submission(answer.text(), url)
            if form.accession != accession:
                raise NoDocument(f"{url}: the submission says it is {form.accession}")
        except NoDocument as error:
            self.rejects.append(tables.reject("no_document", str(error), answer.text()[:1000], url))
            self.unreadable += 1
            edgar.mostly(self.asked - self.unreadable, self.unreadable - 3, "EDGAR submissions", "readable reports of Form 4")
            return None
        self.read[accession] = form
        return form

    def rows(self, form: Form4) -> Iterator[tables.Timed | Reject]:
        """Its lines, those of an amendment under the ids of the lines that they correct."""
        yield from form.rejects
        found = edgar_amendments.ids(form, self._earlier(form)) if form.amendment and form.lines else {}
        if form.lines:
            yield from edgar_form4.rows(form, found, edgar_form4.known(form))

    def _earlier(self, form: Form4) -> list[Form4]:
        """Reports that an amendment may correct, from its owner's own list of submissions."""
        first = form.original_filed or form.period
        if form.filed is None or first is None:
            return []
        listed = edgar_filings.submissions(self.http, EDGAR_SOURCE, int(form.owners[0].cik), first, form.filed)
        self.rejects += listed.rejects
        like = [f for f in listed.filings.values() if f.form in FORMS and (f.period == form.period or f.filed == form.original_filed)]
        marks = [filing.accession for filing in like if filing.accession != form.accession]
        reports = [self.report(accession, int(form.issuer_cik)) for accession in marks[:MAX_EARLIER]]
        return [report for report in reports if report is not None and edgar_amendments.corrects(form, report)]


def fetch_edgar(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Reports accepted from `since` to `until`.

    Without `backfill` the feed of current filings is followed back to `since`, and the daily indices fill in where it ends before;
    of lines that are reported twice in that time the newest alone is given. With it, the lists of submissions of the companies are
    read, or without `symbols` the daily indices of the whole market. Options: `symbols`, of whose companies alone reports are read.
    """
    wanted = frozenset[int]()
    if options.get("symbols"):
        listed = edgar.companies(http, EDGAR_SOURCE)
        yield from tables.batches(insiders.InsiderTrade, listed.rejects)
        wanted = frozenset(listed.of(options["symbols"]))
    if not options.get("backfill"):
        yield from _latest(http, since, until, wanted)
        return
    first, last = times.new_york_date(since), times.new_york_date(until) + LATEST_FILING
    past = _by_company(http, wanted, first, last) if wanted else _by_day(http, first, last)
    for items in past:
        kept = (item for item in items if isinstance(item, Reject) or (item.known_at is not None and since <= item.known_at <= until))
        yield from tables.batches(insiders.InsiderTrade, kept)


def _latest(http: "Http", since: datetime, until: datetime, wanted: Set[int]) -> Iterator[Batch]:
    found, reports = edgar_filings.recent(http, EDGAR_SOURCE, FORMS, since, until), _Reports(http)
    newest: dict[str, tables.Timed] = {}
    rejects = [*found.rejects]
    for form in _read(reports, found.filings.values(), wanted):
        for item in reports.rows(form):
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                newest[item.row.trade_id] = item
    items = [*map(tables.unstamped, newest.values()), *rejects, *reports.rejects]
    yield from tables.batches(insiders.InsiderTrade, items)
    if found.gap:
        raise SourceUnavailable(f"{edgar_filings.CURRENT}: {found.gap}")


def _by_company(http: "Http", wanted: Set[int], first: date, last: date) -> Iterator[list[tables.Timed | Reject]]:
    for cik in sorted(wanted):
        reports = _Reports(http)
        listed = edgar_filings.submissions(http, EDGAR_SOURCE, cik, first, last)
        forms = _read(reports, (filing for filing in listed.filings.values() if filing.form in FORMS), {cik})
        yield [*listed.rejects, *(item for form in forms for item in reports.rows(form)), *reports.rejects]


def _by_day(http: "Http", first: date, last: date) -> Iterator[list[tables.Timed | Reject]]:
    for found in edgar_filings.by_day(http, EDGAR_SOURCE, FORMS, first, last):
        reports = _Reports(http)
        forms = _read(reports, found.filings.values(), frozenset())
        yield [*found.rejects, *(item for form in forms for item in reports.rows(form)), *reports.rejects]


def _read(reports: _Reports, filings: Iterable[Filing], wanted: Set[int]) -> list[Form4]:
    """The reports on wanted companies (all without a choice), in the order in which they were accepted."""
    concerned = [filing for filing in filings if filing.may_concern(wanted)]
    forms = [reports.report(filing.accession, min(filing.subjects or filing.ciks)) for filing in concerned]
    about = [form for form in forms if form is not None and (not wanted or int(form.issuer_cik) in wanted)]
    return sorted(about, key=lambda form: (str(form.accepted_at), form.accession))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import Form 4 documents, full submissions and Quiver arrays; raises BadFile for any other shape.

    Amendments are held against the reports among the files. Bare XML says neither its accession number, unless the file or its
    folder is named for it, nor when it was accepted: see edgar_form4.known.
    """
    reports: list[Form4] = []
    for path in paths:
        content = files.read(path)
        if files.is_json(content):
            yield from tables.batches(insiders.InsiderTrade, _quiver_file(content, path.name))
        else:
            reports.append(_report_file(content, path))
    yield from tables.batches(insiders.InsiderTrade, _rows_of(reports))


def _quiver_file(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    document = files.json_of(content, name)
    if not records.fits(document, quiver_insiders.KEYS):
        files.unknown_shape(name, f"a JSON {type(document).__name__} with {records.seen_keys(document)}", SHAPES)
    return quiver_insiders.parse(document, position=name, url=QUIVER.url)


def _report_file(content: bytes, path: Path) -> Form4:
    text = content.decode("utf-8-sig", errors="replace")
    try:
        if "<SEC-HEADER>" in text[:2000] or "<ACCEPTANCE-DATETIME>" in text[:2000]:
            return edgar_form4.parse_submission(text, path.name)
        accession = edgar.accession_of(path.name) or edgar.accession_of(path.parent.name) or ""
        return edgar_form4.parse_xml(content, path.name, accession=accession)
    except NoDocument as error:
        return files.unknown_shape(path.name, str(error)[:300], SHAPES)


def _rows_of(reports: list[Form4]) -> Iterator[tables.Timed | Reject]:
    by_issuer: dict[str, list[Form4]] = {}
    for form in reports:
        yield from form.rejects
    for form in sorted((form for form in reports if form.lines), key=lambda form: (edgar_form4.known(form), form.amendment)):
        earlier = by_issuer.setdefault(form.issuer_cik, [])
        corrected = [other for other in earlier if edgar_amendments.corrects(form, other)] if form.amendment else []
        yield from edgar_form4.rows(form, edgar_amendments.ids(form, corrected), edgar_form4.known(form))
        earlier.append(form)


DATASET = Dataset(
    name="insider_trades",
    row=insiders.InsiderTrade,
    key=("trade_id",),
    schedule="cron: mon-fri 06:30,08:30,12:30,17:30,22:30",
    description="Transactions of insiders reported on Form 4, from the minute the SEC accepted them",
    sources=(
        Source(
            name=QUIVER_SOURCE,
            fetch=fetch_quiver,
            rate=QUIVER.rate,
            urls=(QUIVER.url,),
            needs=("quiver_api_key",),
            wants=("symbols",),
            asks_by="symbols",
        ),
        Source(
            name=EDGAR_SOURCE,
            fetch=fetch_edgar,
            rate=edgar.RATE,
            urls=(edgar_filings.CURRENT, edgar_filings.SUBMISSIONS, edgar.TICKERS),
            rank=1,
            needs=("contact",),
            wants=("symbols",),
            asks_by="symbols",
            chunk=timedelta(days=184),
        ),
    ),
    load=load,
    overlap=timedelta(hours=2),
    max_silence=timedelta(days=14),
    known="when the SEC accepted the report; by a date alone, from the day after",
)
