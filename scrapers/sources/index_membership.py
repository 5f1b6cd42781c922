"""Index membership by date: who was in the S&P 500, 400 and 600 when."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import files, rates, symbols, tables, times, wikipedia, withdrawn
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import constituents

if TYPE_CHECKING:
    from scrapers.http import Http

DEFAULT_INDEX = "sp500"
SOURCE = "datahub_membership"
WIKIPEDIA = "wikipedia_membership"
WIKIPEDIA_INDICES = ("sp400", "sp600")
ALWAYS_ALLOWED, ALLOWED_FRAC = 5, 0.2
"""A list may lack so many members of the day before, or this share of them; one that lacks more is not whole."""
SHAPES = {"membership spells (CSV)": "ticker, start_date, end_date[, index_name]"}
_REQUIRED = {"symbol", "start_date", "end_date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One spell of a symbol in an index, from start_date to end_date (None while it lasts)."""

    index_name: str
    symbol: str
    start_date: date
    end_date: date | None


def parse(content: bytes, *, name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of a file of spells; BadFile for other columns.

    A spell that ended gives two versions of one row, because its end was not known at its start: open, known from 00:00 New York
    of the start date (changes are announced before they take effect), and closed, known from 00:00 of the day after the end.
    """
    header, lines = files.csv_rows(content, name)
    columns = ["symbol" if column.lower() == "ticker" else column.lower() for column in header]
    if not (_REQUIRED <= set(columns) <= _REQUIRED | {"index_name"}):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, cells in lines:
        at = f"{name}:{line}"
        if len(cells) != len(columns):
            yield tables.reject("ragged_record", f"{len(cells)} cells", cells, at)
        else:
            yield from _spell({k: v.strip() for k, v in zip(columns, cells, strict=True)}, at)


def _spell(cells: dict[str, str], at: str) -> Iterator[tables.Timed | Reject]:
    symbol, start, end = symbols.canonical(cells["symbol"]), times.parse_date(cells["start_date"]), times.parse_date(cells["end_date"])
    if symbol is None:
        yield tables.reject("bad_symbol", f"symbol {cells['symbol']!r}", cells, at)
    elif start is None or (end is None and cells["end_date"]):
        yield tables.reject("bad_date", f"{cells['start_date']!r} to {cells['end_date']!r}", cells, at)
    elif end is not None and end < start:
        yield tables.reject("ends_before_start", f"{start} to {end}", cells, at)
    else:
        index_name = cells.get("index_name") or DEFAULT_INDEX
        yield _opened(index_name, symbol, start)
        if end is not None:
            yield _closed(index_name, symbol, start, end)


def _opened(index_name: str, symbol: str, start: date) -> tables.Timed:
    row = Membership(index_name=index_name, symbol=symbol, start_date=start, end_date=None)
    return tables.Timed(row=row, event_at=times.new_york(start), known_at=times.new_york(start))


def _closed(index_name: str, symbol: str, start: date, end: date) -> tables.Timed:
    row = Membership(index_name=index_name, symbol=symbol, start_date=start, end_date=end)
    return tables.Timed(row=row, event_at=times.new_york(end), known_at=times.day_after(end))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import files of spells; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(Membership, parse(files.read(path), name=path.name))


def parse_snapshot(content: bytes, *, name: str, on: date, members: Mapping[str, date]) -> Iterator[tables.Timed | Reject]:
    """Spells of the S&P 500 from a list of present members with the date each was added.

    members: symbol -> start date of the spells that were open so far. One that is missing from the list ends on `on`.
    """
    present, refused = set[str](), list[Reject]()
    for at, cells in constituents.records(content, name):
        record = cells if isinstance(cells, dict) else {}
        symbol, added = symbols.canonical(record.get("symbol", "")), times.parse_date(record.get("date_added", ""))
        if symbol is not None:
            present.add(symbol)
        if symbol is None or (added is None and symbol not in members):
            refused.append(tables.reject("bad_symbol" if symbol is None else "bad_date", "a member with its date is expected", cells, at))
        else:
            yield _opened(DEFAULT_INDEX, symbol, added or members[symbol])
    yield from refused
    yield from _ended(DEFAULT_INDEX, present | withdrawn.mentioned(refused), on, members, name)


def parse_list(text: str, url: str, index_name: str, *, on: date, members: Mapping[str, date]) -> Iterator[tables.Timed | Reject]:
    """Spells of an index from Wikipedia's list of its members, which has no dates: one begins on the day `on` which it is first seen.

    members: symbol -> start date of the spells that were open so far. One that is missing from the list ends on `on`.
    """
    present, refused = set[str](), list[Reject]()
    for company in wikipedia.companies(text, url):
        if isinstance(company, Reject):
            refused.append(company)
        elif company.symbol not in present:
            present.add(company.symbol)
            yield _opened(index_name, company.symbol, members.get(company.symbol, on))
    yield from refused
    yield from _ended(index_name, present | withdrawn.mentioned(refused), on, members, url)


def _ended(index_name: str, present: set[str], on: date, members: Mapping[str, date], name: str) -> Iterator[tables.Timed]:
    missing = sorted(set(members) - present)
    if len(missing) > max(ALWAYS_ALLOWED, ALLOWED_FRAC * len(members)):
        raise SourceChanged(f"{name}: {len(missing)} of the {len(members)} members of {index_name} are missing from the list")
    yield from (_closed(index_name, symbol, members[symbol], max(on, members[symbol])) for symbol in missing)


def _open_spells(options: Mapping[str, Any], index_name: str) -> dict[str, date]:
    """Start date by symbol of an index's open spells, whatever kind of date the archive has."""
    given = options.get("memberships", {}).get(index_name, {})
    read = {symbol: times.parse_date(str(start)[:10]) for symbol, start in given.items()}
    return {symbol: start for symbol, start in read.items() if start is not None}


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Present S&P 500 membership, whole.

    Options: `memberships` (index -> symbol -> start date of open spells, so that those who left are closed; without it no spell ever
    ends) and `backfill` (rows get the archive's known_at).
    """
    content = http.get(constituents.URL, source=SOURCE, rate=constituents.RATE).content
    try:
        on, members = times.new_york_date(until), _open_spells(options, DEFAULT_INDEX)
        items = list(parse_snapshot(constituents.whole(content), name=constituents.URL, on=on, members=members))
    except BadFile as error:
        raise SourceChanged(str(error)) from error
    yield from tables.batches(Membership, items if options.get("backfill") else map(tables.unstamped, items))


def fetch_wikipedia(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Present members of the S&P 400 and 600. The lists have no past: rows are known from the fetch. Option `memberships` as above."""
    on = times.new_york_date(until)
    for index_name in WIKIPEDIA_INDICES:
        url, members = wikipedia.LISTS[index_name], _open_spells(options, index_name)
        text = http.get(url, source=WIKIPEDIA, rate=rates.WIKIMEDIA).text()
        items = list(parse_list(text, url, index_name, on=on, members=members))
        yield from tables.batches(Membership, map(tables.unstamped, items))


DATASET = Dataset(
    name="index_membership",
    row=Membership,
    key=("index_name", "symbol", "start_date"),
    schedule="cron: mon-fri 07:30",
    description="Dated membership of indices",
    known="open spell: 00:00 New York of its start; closed spell: of the day after its end",
    sources=(
        Source(name=SOURCE, fetch=fetch, rate=constituents.RATE, urls=(constituents.URL,), wants=("memberships",)),
        Source(
            name=WIKIPEDIA,
            fetch=fetch_wikipedia,
            rate=rates.WIKIMEDIA,
            urls=tuple(wikipedia.LISTS[name] for name in WIKIPEDIA_INDICES),
            needs=("contact",),
            wants=("memberships",),
            history=False,
        ),
    ),
    load=load,
)
