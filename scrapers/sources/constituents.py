"""Who is who: sector, industry and name of listed companies, from index constituent lists."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import disclosures, files, rates, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "datahub_constituents"
URL = "https://datahub.io/core/s-and-p-500-companies/_r/-/data/constituents.csv"
RATE = rates.DATAHUB
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
SHAPES = {"constituents (CSV)": "Symbol or ticker, GICS Sector or sector[, Security, GICS Sub-Industry, Date added, CIK, ...]"}
_ALIASES = {
    "symbol": "symbol",
    "ticker": "symbol",
    "ticker symbol": "symbol",
    "gics sector": "sector",
    "sector": "sector",
    "gics sub-industry": "sub_industry",
    "sub-industry": "sub_industry",
    "sub_industry": "sub_industry",
    "security": "name",
    "company": "name",
    "name": "name",
    "date added": "date_added",
    "date_added": "date_added",
    "cik": "cik",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constituent:
    """What is known of a company beside its prices; empty text where the list says nothing."""

    symbol: str
    sector: str
    sub_industry: str
    name: str
    cik: str
    date_added: date | None


def parse(content: bytes, *, name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of any CSV with a symbol and a sector column; BadFile for another.

    known_at is 00:00 New York of the day after `Date added`, or 1970 where the list has no such date. Such lists say what the
    sectors are today: a sector that was changed later (GICS moved companies in 2018) is projected back. Use them to group
    holdings, not as evidence of what was known.
    """
    for at, cells in records(content, name):
        yield _row(cells, at)


def records(content: bytes, name: str) -> Iterator[tuple[str, dict[str, str] | list[str]]]:
    """(position, cells by common column name) of a constituent list; a record that does not fit the header stays a list."""
    header, lines = files.csv_rows(content, name)
    columns = [_ALIASES.get(column.lower(), "") for column in header]
    if not {"symbol", "sector"} <= set(columns):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, cells in lines:
        fits = len(cells) == len(columns)
        yield f"{name}:{line}", {k: disclosures.plain(v) for k, v in zip(columns, cells, strict=True) if k} if fits else cells


def _row(cells: dict[str, str] | list[str], at: str) -> tables.Timed | Reject:
    if isinstance(cells, list):
        return tables.reject("ragged_record", f"{len(cells)} cells", cells, at)
    symbol = symbols.canonical(cells["symbol"])
    if symbol is None or not cells["sector"]:
        return tables.reject("bad_symbol" if symbol is None else "no_sector", f"symbol {cells['symbol']!r}", cells, at)
    added = times.parse_date(cells.get("date_added", ""))
    row = Constituent(
        symbol=symbol,
        sector=cells["sector"],
        sub_industry=cells.get("sub_industry", ""),
        name=cells.get("name", ""),
        cik=cells.get("cik", "").lstrip("0"),
        date_added=added,
    )
    if added is None:
        return tables.Timed(row=row, event_at=ALWAYS, known_at=ALWAYS)
    return tables.Timed(row=row, event_at=times.new_york(added), known_at=times.day_after(added))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import constituent lists; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(Constituent, parse(files.read(path), name=path.name))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The present S&P 500 list, whole. Option `backfill` gives rows the archive's known_at."""
    content = http.get(URL, source=SOURCE, rate=RATE).content
    try:
        items = list(parse(content, name=URL))
    except BadFile as error:
        raise SourceChanged(str(error)) from error
    yield from tables.batches(Constituent, items if options.get("backfill") else map(tables.unstamped, items))


DATASET = Dataset(
    name="constituents",
    row=Constituent,
    key=("symbol",),
    schedule="cron: sat 08:00",
    description="Sector, sub-industry and name by symbol",
    sources=(Source(name=SOURCE, fetch=fetch, rate=RATE, urls=(URL,)),),
    load=load,
    snapshot=True,
)
