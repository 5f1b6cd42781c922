"""Renamed tickers: which symbol a security bore before and bears since."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import alpaca_pages, cells, files, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources.corporate_actions import PATH

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "alpaca_name_changes"
LIST = "name_changes"
PAGE_LIMIT = 1000
AROUND = timedelta(days=60)
"""Changes are entered late and ahead of their day, and corrected: this much more is asked for on both sides."""
_REQUIRED = {"old_symbol", "new_symbol", "process_date"}
SHAPES = {"Alpaca's answer (JSON)": "corporate_actions with name_changes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolChange:
    """One rename: until effective_date the security was old_symbol, from that session on it is new_symbol.

    old_cusip, new_cusip: as delivered; they differ when the paper itself was exchanged. Empty where the source says nothing.
    """

    old_symbol: str
    new_symbol: str
    effective_date: date
    old_cusip: str
    new_cusip: str


def parse_page(actions: object) -> Iterator[tables.Timed | Reject]:
    """Renames of the `corporate_actions` object of one page; a change of the CUSIP alone is a Reject `same_symbol`.

    event_at and known_at are 00:00 New York of the day of processing: exchanges announce a rename days before.
    Raises SourceChanged for another shape.
    """
    lists = actions if isinstance(actions, dict) else {LIST: None}
    records = lists.get(LIST, None if lists else [])
    if not isinstance(records, list):
        raise SourceChanged(f"{PATH}: an object with a list {LIST} was expected")
    strange = sum(not _fits(record) for record in records)
    if 2 * strange > len(records):
        raise SourceChanged(f"{PATH}: {strange} of {len(records)} {LIST} are without {', '.join(sorted(_REQUIRED))}")
    for index, record in enumerate(records):
        yield _change(record, f"{PATH} {LIST}[{index}]")


def _fits(record: object) -> bool:
    return isinstance(record, dict) and set(record) >= _REQUIRED


def _change(record: object, at: str) -> tables.Timed | Reject:
    if not isinstance(record, dict) or not _fits(record):
        return tables.reject("not_a_change", f"{', '.join(sorted(_REQUIRED))} were expected", record, at)
    old, new = (symbols.canonical(str(record[name])) for name in ("old_symbol", "new_symbol"))
    day = times.parse_date(record["process_date"])
    if old is None or new is None or day is None:
        return tables.reject("bad_date" if day is None else "bad_symbol", "symbols or day unreadable", record, at)
    if old == new:
        return tables.reject("same_symbol", f"{old} keeps its symbol", record, at)
    row = SymbolChange(
        old_symbol=old,
        new_symbol=new,
        effective_date=day,
        old_cusip=cells.text(record.get("old_cusip"), 20),
        new_cusip=cells.text(record.get("new_cusip"), 20),
    )
    return tables.Timed(row=row, event_at=times.new_york(day), known_at=times.new_york(day))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Renames of all securities effective around `since` to `until`; with `backfill` those known between the two."""
    params: dict[str, str | int] = {
        "types": "name_change",
        "start": (times.new_york_date(since) - AROUND).isoformat(),
        "end": (times.new_york_date(until) + AROUND).isoformat(),
        "limit": PAGE_LIMIT,
        "sort": "asc",
    }
    backfill, seen = bool(options.get("backfill")), set[SymbolChange]()

    def items() -> Iterator[tables.Timed | Reject]:
        for found in alpaca_pages.pages(http, PATH, "corporate_actions", None, params, source=SOURCE):
            for item in [found] if isinstance(found, Reject) else parse_page(found[1]):
                if isinstance(item, Reject):
                    yield item
                elif item.row not in seen and (not backfill or since <= item.event_at <= until):
                    seen.add(item.row)
                    yield item if backfill else tables.unstamped(item)

    yield from tables.batches(SymbolChange, items())


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers; raises BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        document = files.json_of(content, path.name) if files.is_json(content) else None
        if not isinstance(document, dict) or "corporate_actions" not in document:
            files.unknown_shape(path.name, "no object with corporate_actions", SHAPES)
        try:
            yield from tables.batches(SymbolChange, list(parse_page(document["corporate_actions"])))
        except SourceChanged as error:
            raise BadFile(f"{path.name}: {error}") from error


DATASET = Dataset(
    name="symbol_changes",
    row=SymbolChange,
    key=("old_symbol", "new_symbol", "effective_date"),
    schedule="open-100m",
    description="Renamed tickers by the day from which the new name holds",
    known="00:00 New York of the day on which Alpaca processed it",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=alpaca_pages.RATE,
            urls=(f"{alpaca_pages.DATA}{PATH}",),
            needs=("alpaca_api_key",),
        ),
    ),
    load=load,
)
