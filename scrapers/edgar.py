"""The SEC's EDGAR: its addresses, its numbers (CIK, accession) and clocks, and who trades under which ticker.

Everything that is asked of EDGAR passes rates.SEC and needs a contact in the User-Agent; without one it answers 403 with an HTML page.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any

from scrapers import rates, symbols, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged, SourceRefused

if TYPE_CHECKING:
    from scrapers.http import Http, Response

RATE = rates.SEC
WWW, DATA = "https://www.sec.gov", "https://data.sec.gov"
TICKERS = f"{WWW}/files/company_tickers.json"
ACCESSION = re.compile(r"(?<!\d)(\d{10})-?(\d{2})-?(\d{6})(?!\d)")
_STAMP = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})T?(\d{2}):?(\d{2}):?(\d{2})(?!\d)")
_OPENS, _CLOSES = time(6), time(22, 5)
"""EDGAR accepts filings from 06:00 to 22:00 New York; the last ones get their stamp a little later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companies:
    """Canonical symbol -> CIK of everything that the SEC lists with a ticker, and the records that could not be read."""

    ciks: Mapping[str, int]
    rejects: tuple[Reject, ...] = ()

    def of(self, wanted: Iterable[str]) -> dict[int, tuple[str, ...]]:
        """CIK -> symbols, sorted, of the wanted symbols; share classes of one company stand together, unknown symbols are absent.

        SourceChanged when not one of them is listed: then it is the list that is wrong.
        """
        asked, found = set(wanted), dict[int, list[str]]()
        for symbol in sorted(asked & self.ciks.keys()):
            found.setdefault(self.ciks[symbol], []).append(symbol)
        if asked and not found:
            raise SourceChanged(f"{TICKERS}: lists none of {len(asked)} symbols, such as {min(asked)}")
        return {cik: tuple(listed) for cik, listed in sorted(found.items())}


def companies(http: "Http", source: str) -> Companies:
    """The SEC's present list of tickers. SourceChanged when it is no object of records, or when most of them are of another shape."""
    return parse_companies(http.get(TICKERS, source=source, rate=RATE).json(), TICKERS)


def parse_companies(document: object, name: str) -> Companies:
    """The list from `company_tickers.json`: an object keyed "0", "1", ... with `cik_str`, `ticker` and `title`."""
    if not isinstance(document, dict) or not document:
        raise SourceChanged(f"{name}: an object of companies was expected, not {_kind(document)}")
    ciks: dict[str, int] = {}
    rejects = []
    for place, record in document.items():
        number, ticker = (record.get("cik_str"), record.get("ticker")) if isinstance(record, dict) else (None, None)
        cik = cik_of(number)
        if cik is None or not isinstance(ticker, str):
            rejects.append(tables.reject("bad_company", "cik_str and ticker are expected", record, f"{name}[{str(place)[:20]}]"))
        elif symbol := symbols.canonical(ticker):
            ciks.setdefault(symbol, cik)
    mostly(len(document) - len(rejects), len(rejects), name, "records with cik_str and ticker")
    return Companies(ciks=ciks, rejects=tuple(rejects))


def cik_of(value: object) -> int | None:
    """A company's or person's number, from a number or from text with or without leading zeros; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,10}\s*", value):
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 < value < 10**10 else None  # type: ignore[operator,return-value]


def accession_of(text: object) -> str | None:
    """The first accession number in a text, with its dashes: `0001213900-25-039000`; None without one."""
    found = ACCESSION.search(text) if isinstance(text, str) else None
    return "-".join(found.groups()) if found else None


def submission_url(cik: int, accession: str) -> str:
    """Where the full text of a submission is: header and every document of it."""
    return f"{WWW}/Archives/edgar/data/{cik}/{accession.replace('-', '')}/{accession}.txt"


def mostly(good: int, bad: int, name: str, what: str) -> None:
    """Raise SourceChanged when more of a page's records are bad than good: then it is the page that has changed."""
    if bad > good:
        raise SourceChanged(f"{name}: {bad} of {good + bad} records are not {what}")


def keyed(document: object, keys: Collection[str], name: str) -> dict[str, Any]:
    """The document, when it is an object with these keys; SourceChanged otherwise."""
    found = set(document) if isinstance(document, dict) else set()
    if not isinstance(document, dict) or not set(keys) <= found:
        have = ", ".join(sorted(map(str, found)))[:200] or _kind(document)
        raise SourceChanged(f"{name}: an object with {', '.join(sorted(keys))} was expected, found {have}")
    return document


def refuse_html(answer: "Response") -> None:
    """Raise SourceRefused for an HTML page in place of a file: what EDGAR shows to clients that it blocks."""
    start = answer.content[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise SourceRefused(f"{answer.url}: an HTML page (status {answer.status}) instead of the file; is the contact accepted?")


def header_instant(text: str) -> datetime | None:
    """UTC instant of a `YYYYMMDDhhmmss` stamp of a submission's header, which is New York's clock; None when it is none."""
    wall = _wall(text)
    return None if wall is None else wall.replace(tzinfo=times.NEW_YORK).astimezone(UTC)


def submission_instant(text: object, clock: tzinfo) -> datetime | None:
    """UTC instant of an `acceptanceDateTime` of the submissions service, read by the clock that `stamp_clock` found."""
    wall = _wall(text)
    return None if wall is None else wall.replace(tzinfo=clock).astimezone(UTC)


def stamp_clock(stamps: Sequence[object], filed: Sequence[date | None]) -> tzinfo:
    """Whose clock the `acceptanceDateTime` of one filer shows.

    They all end in `Z`, but for about a fifth of the filers they are New York's clock; each filer keeps to one. The clock is the one
    by which the stamps lie in EDGAR's hours and not after the filing date. Without clear evidence it is New York's: then no filing
    is known before its time, and at most five hours late.
    """
    wrong_new_york = wrong_utc = 0
    for text, day in zip(stamps, filed, strict=True):
        wall = _wall(text)
        if wall is not None:
            wrong_new_york += _impossible(wall, day)
            wrong_utc += _impossible(wall.replace(tzinfo=UTC).astimezone(times.NEW_YORK), day)
    return UTC if wrong_new_york > 0 and wrong_utc * 10 <= wrong_new_york else times.NEW_YORK


def is_open(at: datetime) -> bool:
    """Whether an instant lies in the hours of the day in which EDGAR accepts filings."""
    return _OPENS <= at.astimezone(times.NEW_YORK).time() <= _CLOSES


def _impossible(wall: datetime, filed: date | None) -> bool:
    return not _OPENS <= wall.time() <= _CLOSES or (filed is not None and wall.date() > filed)


def _wall(text: object) -> datetime | None:
    found = _STAMP.match(text.strip()) if isinstance(text, str) else None
    try:
        return datetime(*map(int, found.groups())) if found and 1990 <= int(found[1]) <= 2100 else None  # type: ignore[arg-type] # noqa: DTZ001 - a wall time, its zone is given by the caller
    except ValueError:
        return None


def _kind(document: object) -> str:
    return f"a JSON {type(document).__name__}"
