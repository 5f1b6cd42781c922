"""Collecting one dataset: from its watermark on, parse, stamp, append, seal."""

import time
from datetime import datetime
from typing import Any

from daemon.logging import get_logger
from daemon.runtime import Runtime
from daemon.store.datasets import Counts, append
from scrapers.base import Batch

log = get_logger("ingest")


def ingest(rt: Runtime, name: str) -> dict[str, Any]:
    """Fetch what is new of a dataset and store it; earlier data stays in force when the source fails.

    The first time the whole history is read, and its rows count as known when they were published.
    """
    assert rt.http is not None, f"{name} has no source in this runtime"
    dataset, now = rt.datasets[name], rt.clock.now()
    known = rt.db.row("watermark_get", dataset=name)
    backfill = known is None
    begin = now - rt.history if known is None else known["watermark"] - dataset.overlap
    assert dataset.fetch is not None
    source = dataset.sources[0].name
    started, counts = time.perf_counter(), Counts()
    options = {**rt.sources[name](rt), "backfill": backfill}
    for batch in dataset.fetch(rt.http, begin, now, options):
        counts += store(rt, name, batch, now)
    with rt.db.transaction():
        rt.db.run("watermark_set", dataset=name, watermark=now, fetched_at=now)
    sealed = rt.lake.seal(rt.db, dataset)
    rt.metrics.inc("allocd_scraper_rows_total", counts.new + counts.revised, source=source, result="stored")
    rt.metrics.inc("allocd_scraper_rows_total", counts.seen, source=source, result="duplicate")
    rt.metrics.inc("allocd_scraper_rows_total", counts.rejected, source=source, result="rejected")
    result = {"new": counts.new, "revised": counts.revised, "seen": counts.seen, "rejected": counts.rejected, "sealed": sealed}
    log.info("ingest.finished", dataset=name, since=begin, backfill=backfill, duration_s=round(time.perf_counter() - started, 3), **result)
    return result


def store(rt: Runtime, name: str, batch: Batch, now: datetime) -> Counts:
    """Append one batch."""
    return append(rt.db, rt.datasets[name], batch, now)
