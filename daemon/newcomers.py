"""Whom a source has been asked about up to when: who is new among them, or comes back, gets the past that was missed.

A symbol joins the universe on the day on which a member of Congress discloses it, or an index admits it. What the source is asked from its
watermark on would then begin in the middle; a strategy that looks back a year would pass the symbol over for a year.
"""

from datetime import datetime

from daemon import feeds
from daemon.fetch_record import Span
from daemon.runtime import DataRuntime
from scrapers.base import Source


def present(rt: DataRuntime, source: Source) -> frozenset[str]:
    """Whom the source is asked about now; empty for one that is not asked one by one."""
    return frozenset(feeds.provide(rt, source.asks_by)) if source.asks_by and source.history else frozenset()


def missed(rt: DataRuntime, source: Source, begin: datetime, since: datetime, until: datetime) -> list[Span]:
    """The pasts that are missing, when the next fetch begins at `since`: of newcomers from `begin`, of those who were away from then on."""
    if not (subjects := present(rt, source)):
        return []
    read = {row["subject"]: row["until"] for row in rt.db.rows("subjects_read", source=source.name)}
    new = frozenset(subjects - read.keys())
    back = frozenset(s for s in subjects & read.keys() if read[s] < since)
    spans = [Span(since=begin, until=until, backfill=True, about=new)] if new else []
    if back:
        spans.append(Span(since=min(read[s] for s in back), until=until, backfill=True, about=back))
    return spans


def mark(rt: DataRuntime, source: Source, subjects: frozenset[str], until: datetime) -> None:
    """Record that everything about these is stored up to an instant."""
    if subjects:
        rt.db.run("subjects_mark", source=source.name, subjects=sorted(subjects), until=until)
