"""What is stored: one line per dataset, and the rows of one as they were known at an instant."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from daemon.fetch_record import restored
from daemon.freshness import all_of
from daemon.schedule import Sessions
from daemon.store.datasets import columns, ensure_table
from daemon.store.events import micros
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers.base import Dataset, Rate, Source
from scrapers.renames import listed

SYMBOL = "symbol"
BLOCK_ROWS = 4096


class NoSuchColumn(LookupError):
    """The dataset cannot be asked by symbol; the text says which columns it has."""


def datasets_table(
    db: Database,
    datasets: Mapping[str, Dataset],
    lake: Lake,
    now: datetime,
    *,
    sources: Mapping[str, Sequence[Source]],
    calendar: Sessions,
    budget: Mapping[str, int],
) -> list[dict[str, Any]]:
    """A row per declared dataset, by name, with instants in UTC and None where there is nothing yet.

    versions: stored versions of rows, all revisions counted; sealed: those in segments, which views see; None when a segment
    cannot be read.
    first_event_at, latest_event_at, latest_known_at: the span; known_age_s: seconds from the last of these to `now`.
    due_at: when the next success of its sources is owed. stale: why it is not traded on, empty while it is fresh.
    rejected: records refused, by reason. sources: those that are collected here, each with its last success and last fetch, the
    state of its circuit, and how much of its group's allowance the last period used.
    """
    rejected: dict[str, dict[str, int]] = {}
    for row in db.rows("reject_counts"):
        rejected.setdefault(row["dataset"], {})[row["reason"]] = row["n"]
    for dataset in datasets.values():
        ensure_table(db, dataset)
    states = all_of(db, lake, datasets, sources, calendar, now)
    record = _Record(db, now, budget)
    return [
        _line(lake.stats(db, dataset), dataset, lake, now)
        | {"due_at": states[name].due_at, "stale": states[name].reason, "rejected": rejected.get(name, {})}
        | {"sources": [record.source(dataset, source) for source in sources.get(name, ())]}
        for name, dataset in sorted(datasets.items())
    ]


class _Record:
    """What is on record of each source."""

    def __init__(self, db: Database, now: datetime, budget: Mapping[str, int]) -> None:
        self._db, self._now, self._budget = db, now, budget
        self._marks = {(r["dataset"], r["source"]): r for r in db.rows("watermarks_all")}
        self._fetches = {(r["dataset"], r["source"]): r for r in db.rows("fetches_last")}
        self._circuits = {r["source"]: restored(r["state"]) for r in db.rows("circuits_all")}
        self._used: dict[str, int] = {}

    def source(self, dataset: Dataset, source: Source) -> dict[str, Any]:
        mark, fetch = self._marks.get((dataset.name, source.name), {}), self._fetches.get((dataset.name, source.name), {})
        counts = {name: fetch.get(name) for name in ("new", "revised", "seen", "rejected", "requests", "bytes")}
        return {
            "name": source.name,
            "watermark": mark.get("watermark"),
            "fetched_at": mark.get("fetched_at"),
            "started_at": fetch.get("started_at"),
            "outcome": fetch.get("outcome"),
            "error": fetch.get("error", ""),
            **counts,
            "circuit": self._circuit(source.name),
            "rate_group": source.rate.group,
            "rate_per_s": source.rate.per_s,
            "rate_used": self._used_of(source.rate),
            "rate_allowed": min(self._budget.get(source.rate.group, source.rate.requests), source.rate.requests),
        }

    def _circuit(self, name: str) -> str:
        until = self._circuits.get(name, {}).get("open_until")
        return "closed" if until is None else f"open until {until:%Y-%m-%d %H:%M}" if until > self._now else "half open"

    def _used_of(self, rate: Rate) -> int:
        if rate.group not in self._used:
            since = self._now - timedelta(seconds=rate.per_s)
            self._used[rate.group] = len(self._db.rows("responses_asked_since", rate_group=rate.group, since=since))
        return self._used[rate.group]


def _line(have: Mapping[str, Any], dataset: Dataset, lake: Lake, now: datetime) -> dict[str, Any]:
    known = have.get("latest_known_at")
    return {
        "name": dataset.name,
        "description": dataset.description,
        "versions": have.get("rows", 0),
        "sealed": _sealed(lake, dataset.name),
        "first_event_at": have.get("first_event_at"),
        "latest_event_at": have.get("latest_event_at"),
        "latest_known_at": known,
        "known_age_s": None if known is None else (now - known).total_seconds(),
        "schedule": dataset.schedule,
    }


def cells(row: Mapping[str, Any], now: datetime) -> tuple[Any, ...]:
    """A row as a table shows it: rows, first, latest, freshness, sources, last fetch, rejects."""
    first, latest = row["first_event_at"], row["latest_event_at"]
    fetched = [f"{s['outcome']} {s['started_at']:%m-%d %H:%M}" for s in row["sources"] if s["started_at"]]
    names = ", ".join(s["name"] for s in row["sources"]) or "import only"
    span = (first and f"{first:%Y-%m-%d}", latest and f"{latest:%Y-%m-%d}")
    return (row["versions"], *span, _freshness(row, now), names, ", ".join(dict.fromkeys(fetched)), sum(row["rejected"].values()))


def _freshness(row: Mapping[str, Any], now: datetime) -> str:
    if row["stale"]:
        return f"STALE: {row['stale']}"
    if row["due_at"] is None:
        return "fresh"
    return f"fresh, due in {(row['due_at'] - now).total_seconds() / 3600:.0f} h"


def present(db: Database, paced: bool, now: datetime) -> datetime:
    """The instant to judge by: on paced time, the newest that is on record."""
    newest = max((r["started_at"] for r in db.rows("fetches_last")), default=now)
    mark = db.row("nav_last")
    return max(newest, mark["at"]) if paced and mark else newest if paced else now


def _sealed(lake: Lake, name: str) -> int | None:
    try:
        return sum(int(pq.read_metadata(segment.path).num_rows) for segment in lake.segments(name))
    except (pa.ArrowInvalid, OSError):
        return None


def show(lake: Lake, dataset: Dataset, *, symbol: str | None = None, asof: datetime | None = None, limit: int = 20) -> pd.DataFrame:
    """The last `limit` rows that became known, each in its newest version known at `asof` (now when None), newest last.

    Columns: event_at, known_at, the dataset's own, and row_key last. Rows that were withdrawn are not among them.
    symbol: only the rows of the security of that name, those that bear its former names included. Raises NoSuchColumn where the
    dataset has no symbols.
    """
    if symbol is not None and SYMBOL not in columns(dataset):
        raise NoSuchColumn(f"{dataset.name} has no symbols; its columns are {', '.join(columns(dataset))}")
    table = lake.read(dataset, known_until_us=None if asof is None else micros(asof))
    if symbol is not None:
        table = _of_security(table, symbol.strip().upper())
    frame: pd.DataFrame = table.take(pa.array(_newest(table, limit), type=pa.int64())).to_pandas()
    return frame[["event_at", "known_at", *columns(dataset), "row_key"]]


def _of_security(table: pa.Table, symbol: str) -> pa.Table:
    """Rows of the security that bears, or bore, a name."""
    renames = listed()
    wanted = {symbol, renames.resolve(symbol, date.min)}
    near = table.filter(pc.is_in(table.column(SYMBOL), pa.array(sorted(wanted | {old for name in wanted for old in renames.former(name)}))))
    days = near.column("event_at").to_pylist()
    kept = [
        name == symbol or renames.resolve(name, day.date()) in wanted
        for name, day in zip(near.column(SYMBOL).to_pylist(), days, strict=True)
    ]
    return near.filter(pa.array(kept, pa.bool_()))


def _newest(table: pa.Table, limit: int) -> list[int]:
    """Positions of the last `limit` rows that no later version replaces, ascending; the table is sorted by known_at."""
    found: list[int] = []
    seen: set[str] = set()
    for stop in range(table.num_rows, 0, -BLOCK_ROWS):
        start = max(0, stop - BLOCK_ROWS)
        keys = table.column("row_key").slice(start, stop - start).to_pylist()
        gone = table.column("gone").slice(start, stop - start).to_pylist()
        for position in range(stop - 1, start - 1, -1):
            if len(found) == limit:
                return found[::-1]
            key = keys[position - start]
            if key not in seen:
                seen.add(key)
                if not gone[position - start]:
                    found.append(position)
    return found[::-1]
