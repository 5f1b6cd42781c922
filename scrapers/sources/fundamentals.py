"""Figures that companies report to the SEC (XBRL): shares outstanding, revenue, net income, equity, operating cash flow, assets."""

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import edgar, edgar_facts, edgar_filings, files, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.edgar_facts import Fact
from scrapers.errors import BadFile, SourceChanged, SourceUnavailable

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "edgar_companyfacts"
FACTS = f"{edgar.DATA}/api/xbrl/companyfacts"
FORMS = tuple(form + suffix for form in ("10-K", "10-Q", "10-KT", "10-QT", "20-F", "40-F") for suffix in ("", "/A"))
"""Reports that bring figures."""
MAX_ENTRY_BYTES = 512 * 1024**2
UNPACKING_FAILS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError, struct.error)
"""What zipfile raises for damaged archives, by the place of the damage."""
SHAPES = {
    "companyfacts (JSON)": "cik, entityName, facts",
    "companyfacts.zip": "one such document for each company",
    "company_tickers (JSON), beside them": "cik_str, ticker, title",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a company, in `unit` (a currency or shares), as first reported or last restated.

    concept: shares_outstanding, revenue, net_income, equity, operating_cash_flow or assets; tag says which XBRL element reported it.
    period_start: None for what is of one day, period_end. Revenue, income and cash flow come for quarters, half and three quarters
        of a year, and years alike: look at the length of the period.
    fiscal_year, fiscal_period, form: of the filing that brought this value, which for a restatement is not the period's own.
    A company with several share classes has a row for each of its symbols.
    """

    symbol: str
    cik: str
    concept: str
    unit: str
    period_start: date | None
    period_end: date
    fiscal_year: int | None
    fiscal_period: str
    value: float
    form: str
    accession: str
    filed: date
    tag: str
    source_url: str


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Figures that became known from `since` to `until`.

    Without `backfill` only companies are read that filed a report since then, by the feed of current filings and the daily indices,
    and each figure has its newest value alone. Options: `symbols`, of whose companies alone figures are read; without them all.
    """
    listed = edgar.companies(http, SOURCE)
    wanted = listed.of(options.get("symbols") or listed.ciks)
    yield from tables.batches(Figure, listed.rejects)
    gap, backfill = "", bool(options.get("backfill"))
    if not backfill and wanted:
        found = edgar_filings.recent(http, SOURCE, FORMS, since, until)
        yield from tables.batches(Figure, found.rejects)
        filers = {cik for filing in found.filings.values() for cik in filing.ciks}
        wanted, gap = {cik: symbols for cik, symbols in wanted.items() if cik in filers}, found.gap
    for cik, symbols in wanted.items():
        facts, rejects = _company(http, cik, since, until)
        told = (fact for fact in facts if since <= fact.known_at and (fact.known_at <= until or not backfill))
        items = [_timed(fact, cik, symbol) for fact in (told if backfill else _newest(told)) for symbol in symbols]
        yield from tables.batches(Figure, [*(items if backfill else map(tables.unstamped, items)), *rejects])
    if gap:
        raise SourceUnavailable(f"{edgar_filings.CURRENT}: {gap}")


def _company(http: "Http", cik: int, since: datetime, until: datetime) -> tuple[list[Fact], list[Reject]]:
    """All versions of a company's figures, and the refused facts that were filed in the time asked for; none without XBRL (404)."""
    url = facts_url(cik)
    answer = http.get(url, source=SOURCE, rate=edgar.RATE, accept=(404,))
    if answer.status == 404:
        return [], []
    first, last = times.new_york_date(since), times.new_york_date(until)
    listed = edgar_filings.submissions(http, SOURCE, cik, first - timedelta(days=1), last + timedelta(days=5))
    document = answer.json()
    if edgar.cik_of(edgar.keyed(document, ["cik", "facts"], url)["cik"]) != cik:
        raise SourceChanged(f"{url}: the figures of another company")
    accepted = {mark: filing.accepted_at for mark, filing in listed.filings.items() if filing.accepted_at is not None}
    facts, rejects = edgar_facts.parse(document, url, accepted, first)
    return facts, [*listed.rejects, *rejects]


def _newest(facts: Iterable[Fact]) -> list[Fact]:
    """The last version of each figure."""
    return list({fact.figure: fact for fact in facts}.values())


def facts_url(cik: int) -> str:
    """Where the figures of a company are."""
    return f"{FACTS}/CIK{cik:010d}.json"


def _timed(fact: Fact, cik: int, symbol: str) -> tables.Timed:
    row = Figure(
        symbol=symbol,
        cik=str(cik),
        concept=fact.concept,
        unit=fact.unit,
        period_start=fact.period_start,
        period_end=fact.period_end,
        fiscal_year=fact.fiscal_year,
        fiscal_period=fact.fiscal_period,
        value=fact.value,
        form=fact.form,
        accession=fact.accession,
        filed=fact.filed,
        tag=fact.tag,
        source_url=facts_url(cik),
    )
    return tables.Timed(row=row, event_at=times.new_york(fact.period_end), known_at=fact.known_at)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import companyfacts documents, alone or in the SEC's nightly zip, with company_tickers.json beside them for the symbols.

    Such files have no time of acceptance: a figure counts as known from the day after it was filed. Raises BadFile for any other
    shape, and without a list of tickers: the documents name no symbol.
    """
    given = list(paths)
    listed = [found for found in map(_tickers, given) if found is not None]
    if not listed:
        names = ", ".join(path.name for path in given)[:300]
        raise BadFile(f"{names}: companyfacts name no symbol; import company_tickers.json (www.sec.gov/files) together with them")
    yield from tables.batches(Figure, (item for found in listed for item in found.rejects))
    symbols = edgar.Companies(ciks={symbol: cik for found in listed for symbol, cik in found.ciks.items()})
    by_cik = symbols.of(symbols.ciks)
    for path in given:
        for name, content in _documents(path):
            yield from tables.batches(Figure, _file(content, name, by_cik))


def _tickers(path: Path) -> edgar.Companies | None:
    """The list of tickers, when the file is one."""
    if zipfile.is_zipfile(path):
        return None
    content = files.read(path)
    document = files.json_of(content, path.name) if files.is_json(content) else None
    if isinstance(document, dict) and "facts" in document:
        return None
    first = next(iter(document.values()), None) if isinstance(document, dict) else None
    if not isinstance(first, dict) or not set(first) >= {"cik_str", "ticker"}:
        files.unknown_shape(path.name, f"a JSON {type(document).__name__}" if document is not None else "no JSON", SHAPES)
    try:
        return edgar.parse_companies(document, path.name)
    except SourceChanged as error:
        raise BadFile(str(error)) from error


def _documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of a file, or of every document in a zip."""
    if not zipfile.is_zipfile(path):
        yield path.name, files.read(path)
        return
    try:
        with zipfile.ZipFile(path) as packed:
            for entry in packed.infolist():
                if entry.filename.endswith(".json"):
                    if entry.file_size > MAX_ENTRY_BYTES:
                        raise BadFile(f"{path.name}: {entry.filename} exceeds {MAX_ENTRY_BYTES} bytes")
                    yield f"{path.name}:{entry.filename}", packed.read(entry)
    except UNPACKING_FAILS as error:
        raise BadFile(f"{path.name}: cannot be unpacked ({type(error).__name__}: {error})") from error


def _file(content: bytes, name: str, by_cik: Mapping[int, tuple[str, ...]]) -> Iterator[tables.Timed | Reject]:
    document = files.json_of(content, name)
    if not isinstance(document, dict) or "facts" not in document:
        return
    cik = edgar.cik_of(document.get("cik"))
    if cik is None:
        raise BadFile(f"{name}: cik {json.dumps(document.get('cik'), default=str)[:50]} is no company's number")
    if cik not in by_cik:
        return
    try:
        facts, rejects = edgar_facts.parse(document, name, {})
    except SourceChanged as error:
        raise BadFile(str(error)) from error
    yield from rejects
    yield from (_timed(fact, cik, symbol) for fact in facts for symbol in by_cik[cik])


DATASET = Dataset(
    name="fundamentals",
    row=Figure,
    key=("symbol", "concept", "unit", "period_start", "period_end"),
    schedule="cron: mon-sat 06:45",
    description="Reported figures of companies: shares, revenue, net income, equity, operating cash flow, assets, and restatements",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=edgar.RATE,
            urls=(FACTS, edgar_filings.SUBMISSIONS, edgar_filings.CURRENT, edgar.TICKERS),
            needs=("contact",),
            wants=("symbols",),
            asks_by="symbols",
        ),
    ),
    load=load,
    overlap=timedelta(days=4),
    max_silence=timedelta(days=150),
    known="when the SEC accepted the report; in files, which have no time, from the day after",
)
