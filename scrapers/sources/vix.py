"""The Cboe volatility index, daily."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import files, rates, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.cells import number
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "cboe_vix"
URL = "https://cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv"
RATE = rates.CBOE
COLUMNS = ["DATE", "OPEN", "HIGH", "LOW", "CLOSE"]
FEW = 20
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
    """Rows of a history with dates as `YYYY-MM-DD` or `MM/DD/YYYY`; BadFile without the columns, or when most of many lines are
    unreadable. A second line of a session is a Reject, and so is a last line that breaks off.

    event_at is 16:15 New York, when the index stops; known_at is 16:20, the rule of daily bars.
    """
    header, lines = files.csv_rows(content, name)
    columns = [column.upper() for column in header]
    if not set(COLUMNS) <= set(columns):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    places, records = [columns.index(column) for column in COLUMNS], list(lines)
    made = [_row(cells, places, len(columns), f"{name}:{line}") for line, cells in records]
    if made and not content.endswith(b"\n") and _breaks_off(records[-1][1]):
        made[-1] = tables.reject("cut_off", "the last line breaks off", records[-1][1], f"{name}:{records[-1][0]}")
    if 2 * sum(isinstance(item, Reject) for item in made) > max(len(made), FEW):
        files.unknown_shape(name, f"{len(made)} lines, most of them unreadable", SHAPES)
    yield from _once(made, name)


def _once(made: list[tables.Timed | Reject], name: str) -> Iterator[tables.Timed | Reject]:
    seen = set[date]()
    for item in made:
        if isinstance(item, Reject):
            yield item
        elif item.row.session in seen:
            yield tables.reject("repeated_day", f"a second line of {item.row.session}", str(item.row), name)
        else:
            seen.add(item.row.session)
            yield item


def _breaks_off(cells: list[str]) -> bool:
    """Whether a last line without an end lost cells or digits: Cboe writes all values with the same number of decimals."""
    decimals = [len(cell.strip().partition(".")[2]) for cell in cells[1:]]
    return len(cells) < len(COLUMNS) or decimals[-1] < min(decimals[:-1])


def _row(written: list[str], places: list[int], width: int, at: str) -> tables.Timed | Reject:
    if len(written) != width:
        return tables.reject("ragged_record", f"{len(written)} cells", written, at)
    cells = [written[place] for place in places]
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
    found = number(cell)
    return math.nan if found is None else found


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import histories; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(VixDay, parse(files.read(path), name=path.name))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Sessions from `since` to `until`, as far as they have ended, out of Cboe's file, which always holds all of history.

    Option `backfill` gives rows the archive's known_at.
    """
    content = http.get(URL, source=SOURCE, rate=RATE).content
    first = times.new_york_date(since)
    try:
        found = list(parse(content, name=URL))
    except BadFile as error:
        raise SourceChanged(str(error)) from error
    if not any(isinstance(item, tables.Timed) for item in found):
        raise SourceChanged(f"{URL}: the file of {len(content)} bytes, which should hold all of history, holds no session")
    items = [item for item in found if isinstance(item, Reject) or (first <= item.row.session and item.event_at <= until)]
    yield from tables.batches(VixDay, items if options.get("backfill") else map(tables.unstamped, items))


DATASET = Dataset(
    name="vix",
    row=VixDay,
    key=("session",),
    schedule="open-60m",
    description="Cboe volatility index, daily open, high, low and close",
    known="16:20 New York of the session",
    sources=(Source(name=SOURCE, fetch=fetch, rate=RATE, urls=(URL,)),),
    load=load,
    max_silence=timedelta(days=7),
    publication_lag=timedelta(minutes=5),
)
