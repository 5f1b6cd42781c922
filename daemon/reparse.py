"""Reading archived answers again with today's parsers: what they make of the same bytes corrects what was stored.

The recorded answers stand in for the services, so that nothing is asked. A row that comes out otherwise replaces the one that its fetch
stored, from the same instant on; a row that is no longer made is withdrawn. Works on a store that no daemon is using, as its
decisions would change under it; with `dry_run` on any, since nothing is kept of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import pyarrow as pa

from daemon import feeds
from daemon.errors import WrongUsage
from daemon.fetch_record import restored
from daemon.logging import get_logger
from daemon.raw_archive import BodyMissing
from daemon.runtime import DataRuntime
from daemon.store.datasets import Counts, append
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.withdrawals import withdraw_not_reproduced
from scrapers import tables
from scrapers.base import Batch, Dataset, Source
from scrapers.errors import ScrapeError
from scrapers.http import Exchange
from scrapers.recorded import recorded_http

log = get_logger("ingest")


@dataclass(slots=True, kw_only=True)
class Reparsed:
    """What came of it. fetches: read again wholly. problems: the others, by fetch, with the reason. rejects: records refused, by reason."""

    fetches: int = 0
    counts: Counts = field(default_factory=Counts)
    withdrawn: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class _Undo(Exception):
    """Ends a transaction of which nothing is kept."""


def recorded_fetches(db: Database, dataset: Dataset, source: str | None, since: datetime) -> list[Row]:
    """The fetches on record of a dataset that began at or after `since`, in order. Raises WrongUsage for a source that it has not."""
    names = {s.name for s in dataset.sources}
    if source is not None and source not in names:
        raise WrongUsage(f"{dataset.name} has no source {source!r}; it has {', '.join(sorted(names)) or 'none'}")
    return [r for r in db.rows("fetches_of", dataset=dataset.name, since=since) if source in (None, r["source"])]


def reparse(rt: DataRuntime, dataset: Dataset, fetches: Iterable[Row], *, dry_run: bool, progress: Callable[[], None]) -> Reparsed:
    """Read recorded fetches again, in order. dry_run: count what would change, and change nothing."""
    done = Reparsed()
    with _kept_if(rt.db, not dry_run):
        keys: list[pa.Table] = []
        whole: list[int] = []
        for row in fetches:
            if _again(rt, dataset, row, done, keys):
                whole.append(row["id"])
            progress()
        if whole:
            done.withdrawn = withdraw_not_reproduced(rt.db, dataset, whole, _joined(dataset, keys))
    if not dry_run and (done.counts.new or done.counts.revised or done.withdrawn):
        rt.lake.seal(rt.db, dataset)
    log.info("reparse.finished", dataset=dataset.name, fetches=done.fetches, problems=len(done.problems), withdrawn=done.withdrawn)
    return done


@contextmanager
def _kept_if(db: Database, kept: bool) -> Iterator[None]:
    """What the block writes stays, or is gone after it."""
    if kept:
        yield
        return
    try:
        with db.transaction():
            yield
            raise _Undo
    except _Undo:
        pass


def _again(rt: DataRuntime, dataset: Dataset, row: Row, done: Reparsed, keys: list[pa.Table]) -> bool:
    """Read one fetch again; True when all of it was."""
    source = next((s for s in dataset.sources if s.name == row["source"]), None)
    if source is None:
        return _problem(done, row, "the source is not in the catalog any more")
    try:
        exchanges = _exchanges(rt, row)
    except BodyMissing as error:
        return _problem(done, row, f"its answers are not kept any more ({error})")
    batches, failure = _read(rt, source, row, exchanges)
    for batch in batches:
        done.counts += append(rt.db, dataset, batch, row["stamped_at"] or row["started_at"], fetch_id=row["id"], correction=True)
        done.rejects.update(reject.reason for reject in batch.rejects)
        if batch.rows.num_rows:
            keys.append(batch.rows.select(list(dataset.key)))
    if failure is not None:
        return _problem(done, row, f"{type(failure).__name__}: {failure}"[:300])
    done.fetches += 1
    return True


def _problem(done: Reparsed, row: Row, reason: str) -> bool:
    done.problems.append(f"fetch {row['id']} of {row['source']} at {row['started_at']:%Y-%m-%d %H:%M}: {reason}")
    return False


def _exchanges(rt: DataRuntime, row: Row) -> list[Exchange]:
    rows = rt.db.rows("responses_of", fetch_id=row["id"])
    if len(rows) < row["requests"]:
        raise BodyMissing(f"{row['requests'] - len(rows)} of {row['requests']} are pruned")
    return [rt.raw.exchange(r) for r in rows]


def _read(rt: DataRuntime, source: Source, row: Row, exchanges: list[Exchange]) -> tuple[list[Batch], ScrapeError | None]:
    """What the parser makes of the answers, up to its end or to what stopped it."""
    options = restored(row["options"])
    options |= {name: feeds.provide(rt, name) for name in source.wants if name not in options}
    hosts = {urlsplit(url).hostname or "" for url in [*source.urls, *(e.url for e in exchanges)]}
    http = recorded_http(exchanges, fetched_at=row["started_at"], hosts=hosts)
    batches: list[Batch] = []
    try:
        batches.extend(source.fetch(http, row["since"], row["until"], options))
    except ScrapeError as error:
        return batches, error
    finally:
        http.close()
    return batches, None


def _joined(dataset: Dataset, keys: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(keys) if keys else tables.table(dataset.row, []).select(list(dataset.key))
