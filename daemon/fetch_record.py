"""The record of each fetch: which source was asked for which time with which options, and what came of it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from daemon.raw_archive import Kept, index
from daemon.store.datasets import Counts
from daemon.store.postgres import Database
from scrapers.base import Source

DATE, INSTANT = "$date", "$instant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a fetch asks for. backfill: its rows bear the times of the archive. about: only these subjects of the source; None: all."""

    since: datetime
    until: datetime
    backfill: bool
    about: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a fetch. stamped_at: the `fetched_at` of its rows."""

    stamped_at: datetime
    counts: Counts
    withdrawn: int = 0
    error_type: str = ""
    error: str = ""


def plain(value: Any) -> Any:
    """An option as JSON; dates and instants as objects of one key. Raises TypeError for what no record can hold."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return {INSTANT: value.isoformat()}
    if isinstance(value, date):
        return {DATE: value.isoformat()}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(v) for v in (value if isinstance(value, Sequence) else sorted(value))]
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def restored(value: Any) -> Any:
    """The inverse of `plain`."""
    if isinstance(value, dict):
        if value.keys() == {DATE}:
            return date.fromisoformat(value[DATE])
        if value.keys() == {INSTANT}:
            return datetime.fromisoformat(value[INSTANT])
        return {k: restored(v) for k, v in value.items()}
    return [restored(v) for v in value] if isinstance(value, list) else value


def begin(db: Database, dataset: str, source: Source, span: Span, options: Mapping[str, Any], at: datetime) -> int:
    """Record that a fetch has begun; its id. Options that are functions are left out: they are made anew when it is read again."""
    kept = {name: plain(value) for name, value in options.items() if not callable(value)}
    text = json.dumps(kept, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with db.transaction():
        db.run("fetch_options_add", hash=digest, options=text)
        row = db.row(
            "fetch_begin",
            dataset=dataset,
            source=source.name,
            started_at=at,
            since=span.since,
            until=span.until,
            backfill=span.backfill,
            partial=span.about is not None,
            options_hash=digest,
        )
    assert row is not None
    return int(row["id"])


def finish(db: Database, fetch_id: int, result: Result, answers: Sequence[Kept], at: datetime) -> None:
    """Record the end of a fetch with its answers; inside a transaction of the caller's."""
    index(db, fetch_id, answers)
    counts = result.counts
    db.run(
        "fetch_end",
        id=fetch_id,
        finished_at=at,
        stamped_at=result.stamped_at,
        outcome="failed" if result.error_type else "success",
        error_type=result.error_type,
        error=result.error[:2000],
        new=counts.new,
        revised=counts.revised,
        seen=counts.seen,
        rejected=counts.rejected,
        withdrawn=result.withdrawn,
        requests=len(answers),
        bytes=sum(a.n_bytes for a in answers),
    )
