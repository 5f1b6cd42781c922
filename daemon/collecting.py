"""Fetching one source for one span of time: parse, stamp, append, record.

A live fetch is read to its end before anything of it is stored: its rows are then stamped with that one instant, appended and sealed
while nobody decides, so that a decision sees all of them or none. A backfill is stored batch by batch as it comes, because its rows
bear the times of the archive. What had been delivered before a failure stays (rows are recognised when they come again); the watermark
moves only over what was delivered completely.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon import feeds, fetch_record
from daemon.fetch_record import Result, Span
from daemon.logging import get_logger
from daemon.outbound import CollectingStopped
from daemon.raw_archive import Kept
from daemon.runtime import DataRuntime
from daemon.store.datasets import Counts, append
from daemon.store.errors import StoreError
from scrapers.base import Batch, Dataset, Source
from scrapers.errors import CircuitOpen, SourceChanged
from scrapers.http import Http

if TYPE_CHECKING:
    import pyarrow as pa

log = get_logger("ingest")
NOT_MODIFIED = 304
MANY, NONSENSE = 10, 0.9
"""From so many refused records on, when they are this share of all, the source counts as one of unexpected shape."""
OUT_OF_SCOPE = frozenset(
    "app_not_found earlier_reading no_article no_date no_quarterly_report not_industry paper_filing scanned_paper second_listing "
    "superseded unknown_article unknown_symbol unmatched_clients unmatched_recipients".split()
)
"""Reasons that say what a record is about, and nothing against the page that it stood on."""


@dataclass(slots=True, kw_only=True)
class Fetch:
    """One fetch in progress, and what came of it. delivered: the key columns of every batch, for snapshots."""

    id: int
    dataset: Dataset
    source: Source
    span: Span
    stamped_at: datetime
    counts: Counts = field(default_factory=Counts)
    records: int = 0
    sealed: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    delivered: "list[pa.Table]" = field(default_factory=list)
    answers: list[Kept] = field(default_factory=list)
    attempts: int = 0

    @property
    def unchanged(self) -> bool:
        """A service said that nothing has changed, so that what it delivered is not all there is."""
        return any(a.exchange.status == NOT_MODIFIED for a in self.answers)


def collect(rt: DataRuntime, dataset: Dataset, source: Source, span: Span, *, reached: bool) -> Fetch:
    """Ask a source for a span and store what it says. reached: the watermark moves to the end of the span.

    Raises what the source raised, after recording it: ScrapeError, or anything else for a fault of the parser.
    """
    assert rt.http is not None, f"{dataset.name} has no source in this runtime"
    now, started = rt.clock.now(), time.perf_counter()
    options = {**feeds.options(rt, source, span.about), "backfill": span.backfill}
    fetch_id = fetch_record.begin(rt.db, dataset.name, source, span, options, now)
    fetch = Fetch(id=fetch_id, dataset=dataset, source=source, span=span, stamped_at=now)
    rt.raw.begin(source.name)
    try:
        with _recorded(rt, fetch, reached=reached):
            batches = source.fetch(rt.http, span.since, span.until, options)
            (_store_history if span.backfill else _store_live)(rt, fetch, batches)
            _refuse_nonsense(fetch)
    except StoreError:
        raise
    except Exception as error:
        _judge(rt.http, fetch, error)
        _account(rt, fetch)
        _tell_failure(rt, fetch, error, started)
        raise
    _judge(rt.http, fetch, None)
    log.info("scrape.finished", **_told(fetch, started))
    _account(rt, fetch)
    return fetch


def _judge(http: Http, fetch: Fetch, error: Exception | None) -> None:
    """Tell the source's circuit how the fetch went, which may have failed although most of its requests were answered."""
    if http.circuits is None:
        return
    if error is None:
        http.circuits.success(fetch.source.name)
    elif not isinstance(error, CircuitOpen | CollectingStopped):
        http.circuits.failure(fetch.source.name, f"{type(error).__name__}: {error}"[:300])


def _refuse_nonsense(fetch: Fetch) -> None:
    """Raise SourceChanged when hardly any of many records was a row: the watermark stays, so that they are asked for again."""
    refused = sum(n for reason, n in fetch.rejects.items() if reason not in OUT_OF_SCOPE)
    if refused >= MANY and refused >= NONSENSE * fetch.records:
        reasons = ", ".join(f"{reason} {n}" for reason, n in fetch.rejects.most_common(3))
        raise SourceChanged(f"{fetch.source.urls[0]}: {refused} of {fetch.records} records were refused ({reasons})")


def _store_live(rt: DataRuntime, fetch: Fetch, batches: Iterator[Batch]) -> None:
    """Everything that comes, also when the source fails half way, known from the end of the fetch."""
    gathered: list[Batch] = []
    try:
        gathered.extend(batches)
    finally:
        with rt.trading:
            fetch.stamped_at = rt.clock.now()
            _store(rt, fetch, gathered)
            _seal(rt, fetch)


def _store_history(rt: DataRuntime, fetch: Fetch, batches: Iterator[Batch]) -> None:
    """Batch by batch, so that years of it need not fit into memory."""
    try:
        for batch in batches:
            _store(rt, fetch, [batch])
    finally:
        _seal(rt, fetch)


def _store(rt: DataRuntime, fetch: Fetch, batches: list[Batch]) -> None:
    for batch in batches:
        fetch.counts += append(rt.db, fetch.dataset, batch, fetch.stamped_at, fetch_id=fetch.id)
        fetch.records += batch.rows.num_rows + len(batch.rejects)
        fetch.rejects.update(r.reason for r in batch.rejects)
        if fetch.dataset.snapshot and batch.rows.num_rows:
            fetch.delivered.append(batch.rows.select(list(fetch.dataset.key)))


def _seal(rt: DataRuntime, fetch: Fetch) -> None:
    """Make what was stored visible to views."""
    if fetch.counts.new or fetch.counts.revised:
        fetch.sealed = rt.lake.seal(rt.db, fetch.dataset)


@contextmanager
def _recorded(rt: DataRuntime, fetch: Fetch, *, reached: bool) -> Iterator[None]:
    """Around the work of a fetch: its end is recorded whatever ends it, but for a database that is away."""
    try:
        yield
    except StoreError:
        rt.raw.finish(fetch.source.name)
        _settle(rt, fetch, stored=False)
        raise
    except BaseException as error:
        _finish(rt, fetch, error)
        raise
    _finish(rt, fetch, None, reached=reached)


def _finish(rt: DataRuntime, fetch: Fetch, error: BaseException | None, *, reached: bool = False) -> None:
    """Record the fetch with its answers, and the watermark when it delivered all; then say so to the client."""
    fetch.attempts = rt.raw.attempts(fetch.source.name)
    fetch.answers = rt.raw.finish(fetch.source.name)
    kind, told = ("", "") if error is None else (type(error).__name__, str(error))
    result = Result(stamped_at=fetch.stamped_at, counts=fetch.counts, error_type=kind, error=told)
    with rt.db.transaction():
        fetch_record.finish(rt.db, fetch.id, result, fetch.answers, rt.clock.now())
        if reached:
            mark: dict[str, Any] = {"watermark": fetch.span.until, "fetched_at": fetch.stamped_at}
            rt.db.run("watermark_set", dataset=fetch.dataset.name, source=fetch.source.name, **mark)
    _settle(rt, fetch, stored=error is None)


def _settle(rt: DataRuntime, fetch: Fetch, *, stored: bool) -> None:
    """Whether the client may say next time that it has what was delivered."""
    assert rt.http is not None
    rt.http.settle(fetch.source.name, stored=stored)


def _account(rt: DataRuntime, fetch: Fetch) -> None:
    """Count what was delivered, and say what of it deserves a look."""
    counts, name, source = fetch.counts, fetch.dataset.name, fetch.source.name
    rt.metrics.inc("allocd_scraper_rows_total", counts.new + counts.revised, source=source, result="stored")
    rt.metrics.inc("allocd_scraper_rows_total", counts.seen, source=source, result="duplicate")
    rt.metrics.inc("allocd_scraper_rows_total", counts.rejected, source=source, result="rejected")
    if fetch.rejects:
        rt.metrics.inc("allocd_data_quality_failures_total", counts.rejected, dataset=name, kind="rejected")
        emit = log.warning if _is_news(rt, source, fetch.rejects) else log.info
        emit("data.rejected", dataset=name, source=source, reasons=dict(fetch.rejects.most_common()))
    if counts.revised:
        rt.metrics.inc("allocd_data_quality_failures_total", counts.revised, dataset=name, kind="restated")
        log.info("data.revised", dataset=name, source=source, rows=counts.revised)
    if fetch.records != counts.fetched:
        rt.metrics.inc("allocd_data_quality_failures_total", dataset=name, kind="unreconciled")
        log.error("data.unreconciled", dataset=name, source=source, delivered=fetch.records, accounted=counts.fetched)


def _is_news(rt: DataRuntime, source: str, rejects: Counter[str]) -> bool:
    """Whether more was refused for some reason than in any fetch before: the same dirt every day is no warning."""
    worse = {(source, reason): n for reason, n in rejects.items() if n > rt.rejected.get((source, reason), 0)}
    rt.rejected.update(worse)
    return bool(worse)


def _tell_failure(rt: DataRuntime, fetch: Fetch, error: Exception, started: float) -> None:
    """One line with the page that was not understood, where it lies for a person to look at."""
    last = fetch.answers[-1] if fetch.answers else None
    if isinstance(error, SourceChanged):
        rt.metrics.inc("allocd_scraper_schema_changes_total", source=fetch.source.name)
    page = {} if last is None or last.path is None else {"page": str(last.path)}
    expected = fetch.source.optional or isinstance(error, CircuitOpen | CollectingStopped)
    emit = log.info if isinstance(error, CollectingStopped) else log.warning if expected else log.error
    emit("scrape.failed", **_told(fetch, started), **page, error_type=type(error).__name__, reason=str(error)[:500])


def _told(fetch: Fetch, started: float) -> dict[str, Any]:
    c = fetch.counts
    return {
        "dataset": fetch.dataset.name,
        "source": fetch.source.name,
        "host": urlsplit(fetch.source.urls[0]).hostname,
        "fetch_id": fetch.id,
        "since": fetch.span.since,
        "backfill": fetch.span.backfill,
        "requests": len(fetch.answers),
        "attempts": fetch.attempts,
        "bytes": sum(a.n_bytes for a in fetch.answers),
        "new": c.new,
        "revised": c.revised,
        "seen": c.seen,
        "rejected": c.rejected,
        "duration_s": round(time.perf_counter() - started, 3),
    }
