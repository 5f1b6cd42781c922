"""Sealed segments made row by row, so that a test can say of every bar and event when it became known."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daemon.calendar import Calendar
from daemon.store.segments import Lake
from daemon.store.view import Archive, View
from scrapers import DATASETS, tables, times
from scrapers.sources.bars_daily import DailyBar
from scrapers.sources.constituents import Constituent
from scrapers.sources.corporate_actions import CorporateAction
from scrapers.sources.index_membership import Membership

CALENDAR = Calendar()
SESSIONS = CALENDAR.sessions(date(2024, 1, 2), date(2024, 6, 28))
"""2, 3, 4, 5, 8, ... January 2024: the sessions that tests count by place."""


def known_on(place: int) -> datetime:
    """When the bar of SESSIONS[place] becomes known: 16:20 New York."""
    return times.new_york(SESSIONS[place], time(16, 20))


def before_open(place: int) -> datetime:
    """Half an hour before SESSIONS[place] opens."""
    return times.new_york(SESSIONS[place], time(9, 0))


class Market:
    """Rows of several datasets; `archive` seals what was added since the last call."""

    def __init__(self, directory: Path) -> None:
        self.lake = Lake(directory)
        self._rows: dict[str, list[tables.Timed]] = defaultdict(list)
        self._next_id: dict[str, int] = defaultdict(lambda: 1)

    def bar(
        self, symbol: str, place: int, close: float, *, open: float | None = None, adj: float | None = None, volume: int | None = 1000,
        adjustment: str = "split", known: datetime | None = None,
    ) -> None:  # fmt: skip
        """One version of a bar. Without `adj` a split-adjusted one pays no dividends."""
        if adj is None and adjustment != "raw":
            adj = close
        row = DailyBar(
            symbol=symbol, session=SESSIONS[place], open=open, high=open, low=open, close=close, adj_close=adj, volume=volume,
            adjustment=adjustment,
        )  # fmt: skip
        self._add("bars_daily", row, known or known_on(place))

    def closes(self, symbol: str, closes: Sequence[float | None], *, first: int = 0, **options: Any) -> None:
        """Bars that open where the session before closed (the first at its own close), one per session; None for no bar."""
        before = next(c for c in closes if c is not None)
        for place, close in enumerate(closes, first):
            if close is not None:
                self.bar(symbol, place, close, open=before, **options)
                before = close

    def split(self, symbol: str, place: int, ratio: float, known: datetime) -> None:
        self._action(symbol, "split", place, ratio, None, known)

    def dividend(self, symbol: str, place: int, amount_usd: float, known: datetime) -> None:
        self._action(symbol, "cash_dividend", place, None, amount_usd, known)

    def _action(self, symbol: str, kind: str, place: int, ratio: float | None, amount: float | None, known: datetime) -> None:
        row = CorporateAction(symbol=symbol, kind=kind, ex_date=SESSIONS[place], ratio=ratio, amount_usd=amount, process_date=None)
        self._add("corporate_actions", row, known)

    def member(self, symbol: str, start: date, end: date | None, known: datetime, index_name: str = "sp500") -> None:
        self._add("index_membership", Membership(index_name=index_name, symbol=symbol, start_date=start, end_date=end), known)

    def sector(self, symbol: str, sector: str, known: datetime) -> None:
        self._add("constituents", Constituent(symbol=symbol, sector=sector, sub_industry="", name="", cik="", date_added=None), known)

    def _add(self, dataset: str, row: Any, known: datetime) -> None:
        self._rows[dataset].append(tables.Timed(row=row, event_at=datetime(2024, 1, 1, tzinfo=UTC), known_at=known))

    def seal(self) -> None:
        """Write what was added as one segment for each dataset, ids in the order of adding."""
        for name, rows in self._rows.items():
            first, dataset = self._next_id[name], DATASETS[name]
            keys = ["|".join(str(getattr(r.row, k)) for k in dataset.key) for r in rows]
            table = tables.table(dataset.row, rows)
            table = table.append_column("id", pa.array(range(first, first + len(rows)), pa.int64()))
            table = table.append_column("row_key", pa.array(keys, pa.string()))
            folder = self.lake.directory / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / f"{first:012d}-{first + len(rows) - 1:012d}.parquet")
            self._next_id[name] = first + len(rows)
        self._rows.clear()

    def archive(self, known_until: datetime | None = None) -> Archive:
        """A fresh archive over everything added so far."""
        self.seal()
        return Archive(self.lake, DATASETS.values(), CALENDAR, known_until=known_until)

    def view(self, asof: datetime) -> View:
        """What a fresh archive knows at an instant."""
        return self.archive().view(asof)
