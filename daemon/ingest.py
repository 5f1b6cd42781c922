"""Collecting one dataset: each of its sources from its own watermark on; the first time, its whole history.

A source that fails does not stop the others. Earlier data stays in force, the next occurrence tries again from the same watermark.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from daemon import feeds, newcomers
from daemon.collecting import Fetch, collect
from daemon.fetch_record import Span
from daemon.freshness import watch
from daemon.jobs import Skipped
from daemon.logging import get_logger
from daemon.outbound import CollectingStopped
from daemon.runtime import DataRuntime
from daemon.store.datasets import Counts
from daemon.store.errors import TooManyWithdrawn
from daemon.store.withdrawals import withdraw_missing
from scrapers.base import Dataset, Source
from scrapers.errors import ScrapeError

log = get_logger("ingest")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class IngestFailed(ScrapeError):
    """Some of a dataset's sources could not be read; the text names each with its reason."""


def ingest(rt: DataRuntime, name: str) -> dict[str, Any]:
    """Fetch what is new of a dataset from each of its sources and store it.

    Raises IngestFailed at the end when a source failed that is not optional, Skipped while another run collects the dataset, or while
    there is nothing yet to ask by.
    """
    dataset = rt.datasets[name]
    fetches: list[Fetch] = []
    failures: dict[str, ScrapeError] = {}
    with _alone(rt, name):
        if awaited := feeds.awaited(rt, name):
            raise Skipped(f"{name} waits for the first rows of {', '.join(awaited)}")
        with ExitStack() as stack:
            # Callbacks run though one before them raised: also a fault of one parser leaves the other sources their turn.
            for source in reversed(rt.sources[name]):
                stack.callback(_collect, rt, dataset, source, fetches, failures)
        complete = len(fetches) == len(rt.sources[name]) and not any(f.span.backfill for f in fetches)
        withdrawn = _withdraw(rt, dataset, fetches) if dataset.snapshot and complete else 0
        counts = sum((f.counts for f in fetches), Counts())
        sealed = sum(f.sealed for f in fetches) + (rt.lake.seal(rt.db, dataset) if withdrawn else 0)
        watch(rt, rt.clock.now(), [name])
    if any(isinstance(error, CollectingStopped) for error in failures.values()):
        raise Skipped("stopped while it was being collected; what has come is stored")
    if told := [f"{source} ({type(error).__name__}): {error}" for source, error in failures.items()]:
        raise IngestFailed(f"{name}: {len(told)} of {len(rt.sources[name])} sources failed: {'; '.join(told)}")
    result = {"new": counts.new, "revised": counts.revised, "seen": counts.seen, "rejected": counts.rejected}
    return {**result, "withdrawn": withdrawn, "sealed": sealed}


@contextmanager
def _alone(rt: DataRuntime, name: str) -> Iterator[None]:
    if name in rt.queued:
        raise Skipped(f"the past of {name} is about to be read")
    lock = rt.collecting.setdefault(name, threading.Lock())
    if not lock.acquire(blocking=False):
        raise Skipped(f"{name} is being collected already")
    try:
        yield
    finally:
        lock.release()


def _collect(rt: DataRuntime, dataset: Dataset, source: Source, fetches: list[Fetch], failures: dict[str, ScrapeError]) -> None:
    """One source from where it was left; a foreseen failure is kept and not raised."""
    try:
        known = rt.db.row("watermark_get", dataset=dataset.name, source=source.name)
        if known is None and source.history:
            subjects = newcomers.present(rt, source)
            fetches += collect_history(rt, dataset, source)
            newcomers.mark(rt, source, subjects, fetches[-1].span.until)
        else:
            collect_new(rt, dataset, source, None if known is None else known["watermark"], fetches)
    except ScrapeError as error:
        if not source.optional or isinstance(error, CollectingStopped):
            failures[source.name] = error


def collect_history(rt: DataRuntime, dataset: Dataset, source: Source) -> list[Fetch]:
    """The first fetch of a source: all of its past, chunk by chunk; chunks that are on record are not asked for again."""
    now = rt.clock.now()
    begin = max(now - rt.history, dataset.backfill_from or EPOCH)
    *earlier, last = chunks(source, begin, now)
    done = [collect(rt, dataset, source, s, reached=False) for s in earlier if not is_recorded(rt, dataset, source, s)]
    return [*done, collect(rt, dataset, source, last, reached=True)]


def collect_new(rt: DataRuntime, dataset: Dataset, source: Source, watermark: datetime | None, fetches: list[Fetch]) -> None:
    """What has come since the watermark; then the past of those whom the source was not asked about before, or not lately."""
    now = rt.clock.now()
    since = (watermark or now) - dataset.overlap
    missed = newcomers.missed(rt, source, max(now - rt.history, dataset.backfill_from or EPOCH), since, now)
    level = newcomers.present(rt, source).difference(*(span.about or () for span in missed))
    fetches.append(collect(rt, dataset, source, Span(since=since, until=now, backfill=False), reached=True))
    newcomers.mark(rt, source, level, now)
    for span in missed:
        about = span.about or frozenset()
        log.info("history.missed", dataset=dataset.name, source=source.name, subjects=len(about), since=span.since)
        fetches += [collect(rt, dataset, source, replace(s, about=about), reached=False) for s in chunks(source, span.since, now)]
        newcomers.mark(rt, source, about, now)


def chunks(source: Source, since: datetime, until: datetime) -> list[Span]:
    """The pieces in which a source's past is read, oldest first.

    Their inner bounds are multiples of the source's chunk since 1970, so that a later attempt, with other ends, meets the same pieces.
    """
    bounds = [since]
    while source.chunk is not None and (following := EPOCH + ((bounds[-1] - EPOCH) // source.chunk + 1) * source.chunk) < until:
        bounds.append(following)
    return [Span(since=a, until=b, backfill=True) for a, b in zip(bounds, [*bounds[1:], until], strict=True)]


def is_recorded(rt: DataRuntime, dataset: Dataset, source: Source, span: Span) -> bool:
    """Whether a backfill over the whole of the span has succeeded before."""
    found = rt.db.row("fetch_covers", dataset=dataset.name, source=source.name, since=span.since, until=span.until)
    return found is not None


def _withdraw(rt: DataRuntime, dataset: Dataset, fetches: list[Fetch]) -> int:
    """Of a snapshot that every source delivered completely: record that what is missing was withdrawn."""
    delivered = [table for fetch in fetches for table in fetch.delivered]
    if not delivered or any(fetch.unchanged for fetch in fetches):
        return 0
    try:
        withdrawn = withdraw_missing(rt.db, dataset, pa.concat_tables(delivered), fetches[-1].stamped_at, fetch_id=fetches[-1].id)
    except TooManyWithdrawn as error:
        rt.metrics.inc("allocd_data_quality_failures_total", dataset=dataset.name, kind="withdrawal_refused")
        log.error("data.withdrawal_refused", dataset=dataset.name, reason=str(error))
        return 0
    if withdrawn:
        log.info("data.withdrawn", dataset=dataset.name, rows=withdrawn)
    return withdrawn
