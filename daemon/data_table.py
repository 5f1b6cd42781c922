"""What is stored: one line per dataset, and the rows of one as they were known at an instant."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from daemon.store.datasets import columns, stats
from daemon.store.events import micros
from daemon.store.postgres import Database
from daemon.store.rows import table_exists
from daemon.store.segments import Lake
from scrapers.base import Dataset

SYMBOL = "symbol"
BLOCK_ROWS = 4096


class NoSuchColumn(LookupError):
    """The dataset cannot be asked by symbol; the text says which columns it has."""


def datasets_table(db: Database, datasets: Mapping[str, Dataset], lake: Lake, now: datetime) -> list[dict[str, Any]]:
    """A row per declared dataset, by name, with instants in UTC and None where there is nothing yet.

    versions: stored versions of rows, all revisions counted; sealed: those in segments, which views see; None when a segment
    cannot be read.
    first_event_at, latest_event_at, latest_known_at: the span; known_age_s: seconds from the last of these to `now`.
    rejected: records refused, by reason. watermark: up to when the source was fetched.
    """
    rejected: dict[str, dict[str, int]] = {}
    for row in db.rows("reject_counts"):
        rejected.setdefault(row["dataset"], {})[row["reason"]] = row["n"]
    fetched = {row["dataset"]: row for row in db.rows("watermarks_all")}
    return [_line(db, dataset, lake, now, rejected.get(name, {}), fetched.get(name, {})) for name, dataset in sorted(datasets.items())]


def _line(
    db: Database, dataset: Dataset, lake: Lake, now: datetime, rejected: dict[str, int], fetched: Mapping[str, Any]
) -> dict[str, Any]:
    have = stats(db, dataset) if table_exists(db, dataset) else {}
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
        "rejected": rejected,
        "watermark": fetched.get("watermark"),
        "fetched_at": fetched.get("fetched_at"),
        "schedule": dataset.schedule,
        "source_url": dataset.source_url,
    }


def _sealed(lake: Lake, name: str) -> int | None:
    try:
        return sum(int(pq.read_metadata(segment.path).num_rows) for segment in lake.segments(name))
    except (pa.ArrowInvalid, OSError):
        return None


def show(lake: Lake, dataset: Dataset, *, symbol: str | None = None, asof: datetime | None = None, limit: int = 20) -> pd.DataFrame:
    """The last `limit` rows that became known, each in its newest version known at `asof` (now when None), newest last.

    Columns: event_at, known_at, the dataset's own, and row_key last. symbol: only the rows of it. Raises NoSuchColumn where
    the dataset has no symbols.
    """
    if symbol is not None and SYMBOL not in columns(dataset):
        raise NoSuchColumn(f"{dataset.name} has no symbols; its columns are {', '.join(columns(dataset))}")
    table = lake.read(dataset, known_until_us=None if asof is None else micros(asof))
    if symbol is not None:
        table = table.filter(pc.equal(table.column(SYMBOL), symbol.strip().upper()))
    frame: pd.DataFrame = table.take(pa.array(_newest(table, limit), type=pa.int64())).to_pandas()
    return frame[["event_at", "known_at", *columns(dataset), "row_key"]]


def _newest(table: pa.Table, limit: int) -> list[int]:
    """Positions of the last `limit` rows that no later version replaces, ascending; the table is sorted by known_at."""
    found: list[int] = []
    seen: set[str] = set()
    for stop in range(table.num_rows, 0, -BLOCK_ROWS):
        start = max(0, stop - BLOCK_ROWS)
        keys = table.column("row_key").slice(start, stop - start).to_pylist()
        for position in range(stop - 1, start - 1, -1):
            if len(found) == limit:
                return found[::-1]
            key = keys[position - start]
            if key not in seen:
                seen.add(key)
                found.append(position)
    return found[::-1]
