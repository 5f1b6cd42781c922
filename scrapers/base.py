"""What a dataset is: a declaration, a row type and pure functions from bytes to rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from scrapers.http import Http


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A source record that could not become a row, kept with its reason.

    reason is a short closed-vocabulary slug (`impossible_date`, `no_ticker`, ...); detail says what exactly; raw is the
    record as delivered (JSON text, at most 4 kB); position says where (file and line or index).
    """

    reason: str
    detail: str
    raw: str
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Parsed rows with their two source times, as columns, and what was refused.

    rows: Arrow table with the dataset's own row columns plus `event_at` and `known_at` (timestamp[us, UTC]).
        `known_at` is null for live rows: the ingest stamps them with the time of the fetch.
    rejects: records that are not rows.
    """

    rows: "pa.Table"
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Requests allowed per period, shared by every dataset of the same group."""

    group: str
    requests: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One entry of the dataset catalog.

    row: a frozen dataclass whose fields are the table's columns (str, int, float, bool, date, datetime, `| None`).
    key: fields that identify a row; a later row with the same key and other content is a new version of it.
    fetch: (http, since, until, options) -> batches of live rows, or None when the dataset is import-only.
    load: files -> batches, for bulk archives; raises BadFile when no shape fits.
    schedule: job anchor in exchange or cron terms, e.g. "close+30m" or "cron: mon-fri 06:00,12:00,18:00".
    publication_lag: added to the publication time of backfilled rows.
    overlap: how far before the watermark a fetch starts again.
    """

    name: str
    row: type
    key: tuple[str, ...]
    schedule: str
    rate: Rate
    source_url: str
    description: str
    fetch: "Callable[[Http, datetime, datetime, Mapping[str, Any]], Iterator[Batch]] | None" = None
    load: Callable[[Iterable[Path]], Iterator[Batch]] | None = None
    publication_lag: timedelta = timedelta(0)
    overlap: timedelta = timedelta(days=3)
    backfill_from: datetime | None = None
    links: Mapping[str, str] = field(default_factory=dict)
