"""What a dataset is: a declaration, a row type, the sources that deliver it, and pure functions from bytes to rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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


Options = Mapping[str, Any]
"""What a fetch is told: `backfill` (bool), and what its source `wants`, by name."""
Fetch = Callable[["Http", datetime, datetime, Options], Iterator[Batch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One service that delivers rows of a dataset.

    name: unique in the catalog, lower case with underscores: the label of its metrics, log lines, circuit and archive.
    fetch: (http, since, until, options) -> batches. With `options["backfill"]` rows bear the `known_at` of the archive and lie between
        `since` and `until`; without it `known_at` is null and they are known from the fetch. Everything that it asks goes through
        `http`, in an order that its arguments and the answers alone decide, so that recorded answers make the same rows again.
    rate: its group's limit, as the provider states it. urls: every base address it asks (https); the first one is shown to people.
    rank: 0 is the first choice. Of a dataset, the sources of the lowest rank of which any can run are collected, together.
    needs: settings without which it cannot run: quiver_api_key, alpaca_api_key, reddit_client_id, contact.
    wants: names of the options that it is given: see daemon/feeds.py.
    asks_by: the option among these that lists whom it is asked about one by one, so that the past of a newcomer must be read by itself.
    history: False when it shows the present alone, so that a past can only be built by asking again and again.
    chunk: longest span that a backfill asks for at once; None: the whole at once. optional: absent without a complaint.
    """

    name: str
    fetch: Fetch
    rate: Rate
    urls: tuple[str, ...]
    rank: int = 0
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    asks_by: str = ""
    history: bool = True
    chunk: timedelta | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One entry of the dataset catalog.

    row: a frozen dataclass whose fields are the table's columns (str, int, float, bool, date, datetime, `| None`).
    key: fields that identify a row; a later row with the same key and other content is a new version of it.
    sources: who delivers it, first choice first; empty when it is import-only.
    load: files -> batches, for bulk archives; raises BadFile when no shape fits.
    schedule: job anchor in exchange or cron terms, e.g. "close+30m" or "cron: mon-fri 06:00,12:00,18:00".
    grace: how long after a scheduled time a success may be missing before the dataset counts as stale.
    max_silence: oldest that the newest `event_at` may be before the dataset counts as stale although its source answers; None: any age.
    publication_lag: added to the publication time of backfilled rows.
    overlap: how far before the watermark a fetch starts again.
    backfill_from: nothing older exists at the source.
    known: when imported and backfilled rows count as known, in words.
    snapshot: every fetch delivers all rows that are in force, so that one which is missing was withdrawn (a deletion is recorded).
    """

    name: str
    row: type
    key: tuple[str, ...]
    schedule: str
    description: str
    sources: tuple[Source, ...] = ()
    load: Callable[[Iterable[Path]], Iterator[Batch]] | None = None
    grace: timedelta = timedelta(hours=2)
    max_silence: timedelta | None = None
    publication_lag: timedelta = timedelta(0)
    overlap: timedelta = timedelta(days=3)
    backfill_from: datetime | None = None
    known: str = ""
    snapshot: bool = False

    @property
    def fetch(self) -> Fetch | None:
        """The first choice's fetch."""
        return self.sources[0].fetch if self.sources else None

    @property
    def rate(self) -> Rate | None:
        """The first choice's rate."""
        return self.sources[0].rate if self.sources else None

    @property
    def source_url(self) -> str:
        """The first choice's address; empty when there is none."""
        return self.sources[0].urls[0] if self.sources else ""
