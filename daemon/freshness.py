"""Whether a dataset may be traded on: its sources succeeded when they were last due, and its newest event is not too old.

What is owed is an instant, not an age: the next scheduled time after the last success, plus the dataset's grace. So a long weekend makes
nothing stale, and a daemon that stands still is found out by the clock of whoever watches its metrics.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.logging import get_logger
from daemon.runtime import DataRuntime
from daemon.schedule import TICK, Sessions, occurrences
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers.base import Dataset, Source

log = get_logger("data")
HORIZON = timedelta(days=31)
"""The longest that any schedule may pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """due_at: when the next success is owed, None where none is. reason: why the dataset is stale, empty while it is fresh."""

    due_at: datetime | None
    reason: str


def freshness(
    dataset: Dataset,
    sources: Sequence[Source],
    fetched: Mapping[str, datetime],
    latest_event_at: datetime | None,
    calendar: Sessions,
    at: datetime,
    *,
    begun: bool = False,
) -> Freshness:
    """How a dataset stands at an instant.

    sources: those that collect it here. fetched: by source, when it last succeeded. latest_event_at: None while there are no rows.
    begun: some source was asked, whether or not it was ever read to its end.
    Rows that were imported, of a dataset that was never fetched, are judged by the age of the newest alone.
    """
    owing = [s for s in sources if not s.optional] or list(sources)
    read = [s for s in owing if s.name in fetched]
    owed = [due for s in read if (due := _due(dataset, fetched[s.name], calendar)) is not None]
    due_at = min(owed, default=None)
    if latest_event_at is None and not read:
        return Freshness(due_at=None, reason="never collected and never imported")
    if (read or begun) and len(read) < len(owing):
        return Freshness(due_at=due_at, reason=f"never read to the end: {', '.join(s.name for s in owing if s not in read)}")
    if due_at is not None and at > due_at:
        return Freshness(due_at=due_at, reason=f"the success due at {due_at:%Y-%m-%d %H:%M} UTC is missing")
    if dataset.max_silence is not None and latest_event_at is not None and at - latest_event_at > dataset.max_silence:
        return Freshness(due_at=due_at, reason=f"nothing newer than {latest_event_at:%Y-%m-%d} has come")
    return Freshness(due_at=due_at, reason="")


def _due(dataset: Dataset, succeeded: datetime, calendar: Sessions) -> datetime | None:
    following = next(occurrences(dataset.schedule, calendar, succeeded + TICK, succeeded + HORIZON), None)
    return None if following is None else following + dataset.grace


def fetched_by_source(db: Database) -> dict[str, dict[str, datetime]]:
    """By dataset and source, the instant of the last complete fetch."""
    found: dict[str, dict[str, datetime]] = {}
    for row in db.rows("watermarks_all"):
        found.setdefault(row["dataset"], {})[row["source"]] = row["fetched_at"]
    return found


def all_of(
    db: Database,
    lake: Lake,
    datasets: Mapping[str, Dataset],
    sources: Mapping[str, Sequence[Source]],
    calendar: Sessions,
    at: datetime,
    names: Iterable[str] | None = None,
) -> dict[str, Freshness]:
    """How each dataset (or those named) stands at an instant, from the record."""
    fetched = fetched_by_source(db)
    found = {}
    for name in datasets if names is None else names:
        latest = lake.stats(db, datasets[name])["latest_event_at"]
        here, done = sources.get(name, ()), fetched.get(name, {})
        begun = bool(done) or any(db.row("fetch_any", dataset=name, source=s.name) for s in here)
        found[name] = freshness(datasets[name], here, done, latest, calendar, at, begun=begun)
    return found


def stale_datasets(rt: DataRuntime, at: datetime) -> dict[str, str]:
    """Datasets that must not be traded on at an instant, with the reason. A runtime that collects nothing owes nothing."""
    if not rt.sources:
        return {}
    needed = {need for strategy in rt.strategies.values() for need in strategy.needs}
    return watch(rt, at, sorted(needed & set(rt.datasets)))


def watch(rt: DataRuntime, at: datetime, names: Iterable[str] | None = None) -> dict[str, str]:
    """Judge datasets, say which became stale or recovered, export what is due; the stale ones with the reason."""
    found = all_of(rt.db, rt.lake, rt.datasets, rt.sources, rt.calendar, at, names)
    for name, state in found.items():
        if state.due_at is not None:
            rt.metrics.set("allocd_data_due_timestamp_seconds", state.due_at.timestamp(), dataset=name)
        before = rt.stale.pop(name, "")
        if state.reason:
            rt.stale[name] = state.reason
        if state.reason and not before:
            rt.metrics.inc("allocd_data_quality_failures_total", dataset=name, kind="stale")
            log.warning("data.stale", dataset=name, reason=state.reason)
        if before and not state.reason:
            log.info("data.recovered", dataset=name)
    return {name: state.reason for name, state in found.items() if state.reason}
