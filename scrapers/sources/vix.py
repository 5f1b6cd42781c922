"""The Cboe volatility index, daily."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import files, rates, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "cboe_vix"
URL = "https://cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv"
RATE = rates.CBOE
COLUMNS = ["DATE", "OPEN", "HIGH", "LOW", "CLOSE"]
SHAPES = {"Cboe history (CSV)": ", ".join(COLUMNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class VixDay:
    """One session of the index, in points (annual volatility in percent)."""

    session: date
    open: float
    high: float
    low: float
    close: float


def parse(content: bytes, *, name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of a history with dates as `YYYY-MM-DD` or `MM/DD/YYYY`; BadFile for other columns.

    event_at is 16:15 New York, when the index stops; known_at is 16:20, the rule of daily bars.
    """
    header, records = files.csv_rows(content, name)
    if [column.upper() for column in header] != COLUMNS:
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, cells in records:
        yield _row(cells, f"{name}:{line}")


def _row(cells: list[str], at: str) -> tables.Timed | Reject:
    if len(cells) != len(COLUMNS):
        return tables.reject("ragged_record", f"{len(cells)} cells", cells, at)
    session = times.parse_date(cells[0])
    values = [_points(cell) for cell in cells[1:]]
    if session is None:
        return tables.reject("bad_date", f"date {cells[0]!r}", cells, at)
    if not all(0 < value < math.inf for value in values):
        return tables.reject("bad_price", "a value is not positive and finite", cells, at)
    opened, high, low, close = values
    if high < low:
        return tables.reject("high_below_low", f"high {high}, low {low}", cells, at)
    row = VixDay(session=session, open=opened, high=high, low=low, close=close)
    return tables.Timed(row=row, event_at=times.new_york(session, times.INDEX_CLOSE), known_at=times.new_york(session, times.AFTER_CLOSE))


def _points(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import histories; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(VixDay, parse(files.read(path), name=path.name))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Sessions from `since` to `until` out of Cboe's file, which always holds all of history.

    Option `backfill` gives rows the archive's known_at.
    """
    content = http.get(URL, source=SOURCE, rate=RATE).content
    first, last = times.new_york_date(since), times.new_york_date(until)
    try:
        items = [item for item in parse(content, name=URL) if isinstance(item, Reject) or first <= item.row.session <= last]
    except BadFile as error:
        raise SourceChanged(str(error)) from error
    yield from tables.batches(VixDay, items if options.get("backfill") else map(tables.unstamped, items))


DATASET = Dataset(
    name="vix",
    row=VixDay,
    key=("session",),
    schedule="open-60m",
    description="Cboe volatility index, daily open, high, low and close",
    sources=(Source(name=SOURCE, fetch=fetch, rate=RATE, urls=(URL,)),),
    load=load,
    publication_lag=timedelta(minutes=5),
)
