"""EDGAR full-text search: which 8-K filings and exhibits hold a phrase. An undocumented service, so read leniently."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import unescape
from typing import TYPE_CHECKING, Any

from scrapers import rates, symbols, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SEARCH = "https://efts.sec.gov/LATEST/search-index"
ARCHIVES = "https://www.sec.gov/Archives/edgar/data"
PAGE, MAX_HITS = 100, 10_000
_TAG = re.compile(r"<[^<>]{0,5000}>")
_SILENT = re.compile(r"<(script|style)\b", re.IGNORECASE)
_CLOSED = {name: re.compile(rf"</{name}\s*+>", re.IGNORECASE) for name in ("script", "style")}
_NAME = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<tickers>[A-Z0-9 ,.\-]+)\)\s*)?\(CIK (?P<cik>\d{1,10})\)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One document with the phrase. symbol: the first ticker of its company, canonical; None when EDGAR knows none."""

    accession: str
    file: str
    cik: int
    company: str
    symbol: str | None
    filed: date

    @property
    def url(self) -> str:
        """Where the document is."""
        return f"{ARCHIVES}/{self.cik}/{self.accession.replace('-', '')}/{self.file}"


def search(http: "Http", phrase: str, first: date, last: date, *, source: str) -> Iterator[Hit | Reject]:
    """8-K documents filed from `first` to `last`, both included, that hold the phrase. A filing comes once for each of its exhibits.

    Raises SourceChanged when a page comes again, and beyond the MAX_HITS that the service shows.
    """
    offset, before = 0, list[Any]()
    while offset < MAX_HITS:
        asked: dict[str, str | int] = {"q": f'"{phrase}"', "forms": "8-K", "dateRange": "custom"}
        asked |= {"startdt": first.isoformat(), "enddt": last.isoformat(), "from": offset}
        document = http.get(SEARCH, asked, source=source, rate=rates.SEC).json()
        listed, total = _hits(document)
        if listed and listed == before:
            raise SourceChanged(f"{SEARCH}: the same page again for from={offset}")
        before = listed
        yield from parse_hits(listed)
        offset += len(listed)
        if not listed or offset >= total < MAX_HITS:
            return
    raise SourceChanged(f"{SEARCH}: more than {MAX_HITS} documents between {first} and {last}: ask for a shorter span")


def _hits(document: Any) -> tuple[list[Any], int]:
    outer = document.get("hits") if isinstance(document, dict) else None
    listed = outer.get("hits") if isinstance(outer, dict) else None
    if not isinstance(outer, dict) or not isinstance(listed, list):
        raise SourceChanged(f"{SEARCH}: an object with `hits.hits` was expected")
    total = outer.get("total")
    number = total.get("value") if isinstance(total, dict) else total
    return listed, number if isinstance(number, int) and not isinstance(number, bool) else len(listed)


def parse_hits(listed: list[Any]) -> Iterator[Hit | Reject]:
    """The hits of a page; SourceChanged when most of them are none."""
    items = [_hit(record, f"{SEARCH}[{index}]") for index, record in enumerate(listed)]
    strange = sum(isinstance(item, Reject) for item in items)
    if 2 * strange > len(items):
        raise SourceChanged(f"{SEARCH}: {strange} of {len(items)} hits name no document, company or day")
    return iter(items)


def _hit(record: object, at: str) -> Hit | Reject:
    inner = record.get("_source") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(inner, dict):
        return tables.reject("not_a_hit", "an object with `_source` was expected", record, at)
    accession, _, file = str(record.get("_id", "")).partition(":")
    company = _filer(inner.get("display_names"))
    filed = times.parse_date(inner.get("file_date"))
    if (
        not re.fullmatch(r"\d{10}-\d{2}-\d{6}", accession)
        or not re.fullmatch(r"\w[\w.\-]{0,199}", file)
        or company is None
        or filed is None
    ):
        return tables.reject("not_a_hit", "no document, company or day", record, at)
    tickers = [found for text in (company["tickers"] or "").split(",") if (found := symbols.canonical(text))]
    return Hit(
        accession=accession,
        file=file,
        cik=int(company["cik"]),
        company=company["name"].strip(),
        symbol=tickers[0] if tickers else None,
        filed=filed,
    )


def _filer(names: object) -> re.Match[str] | None:
    """Of the companies that file together, the first with a ticker, else the first."""
    listed = names if isinstance(names, list) else []
    found = [match for name in listed if isinstance(name, str) and (match := _NAME.match(name[:1000]))]
    return next((match for match in found if match["tickers"]), found[0] if found else None)


def prose(text: str) -> str:
    """The words of an HTML or plain-text document, white space collapsed; scripts, styles and markup left out."""
    return " ".join(unescape(_TAG.sub(" ", "".join(_spoken(text[:5_000_000])))).split())


def _spoken(text: str) -> Iterator[str]:
    """The text outside scripts and styles. One that has no end is no element, and is sought once."""
    at, endless = 0, set[str]()
    for opened in _SILENT.finditer(text):
        name = opened[1].lower()
        if opened.start() < at or name in endless:
            continue
        closed = _CLOSED[name].search(text, opened.end())
        if closed is None:
            endless.add(name)
            continue
        yield text[at : opened.start()] + " "
        at = closed.end()
    yield text[at:]
