"""Reading a source's past, piece by piece: what is on record is not asked for again, and a piece that was cut short is asked for anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.collecting import collect
from daemon.errors import WrongUsage
from daemon.fetch_record import Span
from daemon.ingest import chunks, is_recorded
from daemon.logging import get_logger
from daemon.runtime import DataRuntime
from daemon.store.datasets import Counts
from scrapers.base import Dataset, Rate, Source

log = get_logger("ingest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of a source's past, and whether it is on record already."""

    source: Source
    span: Span
    recorded: bool


def pieces(rt: DataRuntime, dataset: Dataset, sources: Sequence[Source], since: datetime, until: datetime, *, again: bool) -> list[Piece]:
    """What a backfill would ask for, oldest first. again: also what is on record. Raises WrongUsage for sources without a past."""
    able = [s for s in sources if s.history]
    if not able:
        named = ", ".join(s.name for s in sources) or "its sources"
        raise WrongUsage(f"{dataset.name}: {named} show the present alone, so that a past comes only from collecting day by day")
    begin = max(since, dataset.backfill_from or since)
    if begin >= until:
        raise WrongUsage(f"{dataset.name}: nothing lies between {begin:%Y-%m-%d} and {until:%Y-%m-%d}")
    return [Piece(source=s, span=p, recorded=not again and is_recorded(rt, dataset, s, p)) for s in able for p in chunks(s, begin, until)]


def backfill(rt: DataRuntime, dataset: Dataset, planned: Sequence[Piece], progress: Callable[[Piece], None]) -> Counts:
    """Read every piece that is not on record. `progress` is told of each piece that is done, or was before.

    Watermarks stay where they are. Stops at the first failure, which it raises: asked again, it goes on from there.
    """
    counts = Counts()
    log.info("backfill.started", dataset=dataset.name, pieces=len(planned), on_record=sum(p.recorded for p in planned))
    for piece in planned:
        if not piece.recorded:
            counts += collect(rt, dataset, piece.source, piece.span, reached=False).counts
        progress(piece)
    log.info("backfill.finished", dataset=dataset.name, new=counts.new, revised=counts.revised, seen=counts.seen, rejected=counts.rejected)
    return counts


@dataclass(slots=True, kw_only=True)
class Pace:
    """How fast a backfill goes. pieces: those to be asked for; done, requests, elapsed_s: so far."""

    pieces: int
    done: int = 0
    requests: int = 0
    elapsed_s: float = 0.0

    def left_s(self, rate: Rate, allowed: int) -> float | None:
        """Seconds that the rest will take, None before there is anything to judge by.

        A request takes what it took so far, and no less than its group's allowance leaves to each once the burst is over.
        """
        if not self.done or not self.requests:
            return None
        each_s = max(self.elapsed_s / self.requests, rate.per_s / allowed if self.requests > allowed else 0.0)
        expected = self.requests / self.done * (self.pieces - self.done)
        beyond = max(self.requests + expected - allowed, 0.0) - max(self.requests - allowed, 0.0)
        return max(expected * each_s, beyond * rate.per_s / allowed)
