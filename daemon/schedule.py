"""Which job runs when: anchors to exchange sessions and New York time, fired live by APScheduler or walked in virtual time.

An anchor is one of

    "open", "close", "open-30m", "close+20m"      once a session, relative to its open or close (s, m or h)
    "every 30s in session"                        from each open to each close, both included
    "cron: mon-fri 06:00,12:00"                   New York wall time on named weekdays

An offset holds on early closes too, and wall times follow daylight saving: a time that the clocks skip happens as much
later as they jump, and a time that they repeat happens once, the first time.
"""

import heapq
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from numpy.typing import NDArray

from daemon.calendar import WEEKDAYS, from_microseconds, to_microseconds
from daemon.clock import NEW_YORK, Clock, utc

CatchUp = Literal["latest", "skip", "all"]
TICK = timedelta(microseconds=1)
# An alarm that rings this late is still the alarm; later than that, the occurrence was missed.
GRACE = timedelta(seconds=30)
WORKERS = 8

_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_SESSION = re.compile(r"(?P<edge>open|close)(?:(?P<sign>[+-])(?P<count>\d+)(?P<unit>[smh]))?")
_LOOP = re.compile(r"every (?P<count>\d+)(?P<unit>[smh]) in session")
_CRON = re.compile(r"cron: (?P<days>\S+) (?P<times>\S+)")


class BadAnchor(ValueError):
    """An anchor that cannot be read; the text says which part and what would be right."""


class Sessions(Protocol):
    """What the schedule asks of a calendar: opens and closes by session, UTC microseconds since 1970, ascending."""

    @property
    def opens_us(self) -> NDArray[np.int64]:
        """Opens (n_sessions,)."""
        ...

    @property
    def closes_us(self) -> NDArray[np.int64]:
        """Closes (n_sessions,)."""
        ...


@dataclass(frozen=True, slots=True)
class SessionEdge:
    """Once a session, `offset` after (before when negative) its open or close."""

    edge: Literal["open", "close"]
    offset: timedelta

    def between(self, calendar: Sessions, start: datetime, end: datetime) -> Iterator[datetime]:
        """Instants in [start, end), ascending."""
        edges = calendar.opens_us if self.edge == "open" else calendar.closes_us
        low, high = np.searchsorted(edges, [to_microseconds(start - self.offset), to_microseconds(end - self.offset)])
        return (from_microseconds(us) + self.offset for us in edges[low:high].tolist())


@dataclass(frozen=True, slots=True)
class InSession:
    """Again and again from each open to each close, both included."""

    every: timedelta

    def between(self, calendar: Sessions, start: datetime, end: datetime) -> Iterator[datetime]:
        """Instants in [start, end), ascending."""
        low, high = to_microseconds(start), to_microseconds(end)
        step = self.every // TICK
        first = np.searchsorted(calendar.closes_us, low)
        last = np.searchsorted(calendar.opens_us, high)
        for opens, closes in zip(calendar.opens_us[first:last].tolist(), calendar.closes_us[first:last].tolist(), strict=True):
            begin = opens + max(0, -(-(low - opens) // step)) * step
            yield from map(from_microseconds, range(begin, min(closes + 1, high), step))


@dataclass(frozen=True, slots=True)
class WallTimes:
    """New York wall times on weekdays (0 is Monday, as in datetime)."""

    days: frozenset[int]
    times: tuple[time, ...]

    def between(self, calendar: Sessions, start: datetime, end: datetime) -> Iterator[datetime]:
        """Instants in [start, end), ascending. The calendar plays no part: a holiday is a day like any other."""
        day, last = start.astimezone(NEW_YORK).date() - timedelta(days=1), end.astimezone(NEW_YORK).date()
        while (day := day + timedelta(days=1)) <= last:
            if day.weekday() in self.days:
                instants = {datetime.combine(day, at, NEW_YORK).astimezone(UTC) for at in self.times}
                yield from (at for at in sorted(instants) if start <= at < end)


Anchor = SessionEdge | InSession | WallTimes


@lru_cache(maxsize=256)
def parse_anchor(text: str) -> Anchor:
    """Read an anchor. Raises BadAnchor."""
    if found := _SESSION.fullmatch(text):
        offset = _seconds(found["count"] or "0", found["unit"] or "s")
        return SessionEdge("open" if found["edge"] == "open" else "close", -offset if found["sign"] == "-" else offset)
    if found := _LOOP.fullmatch(text):
        every = _seconds(found["count"], found["unit"])
        if not every:
            raise BadAnchor(f"anchor {text!r}: the interval must be at least one second")
        return InSession(every)
    if found := _CRON.fullmatch(text):
        return WallTimes(_weekdays(found["days"], text), tuple(_wall_time(part, text) for part in found["times"].split(",")))
    raise BadAnchor(f'anchor {text!r}: write "open-30m", "close+20m", "every 30s in session" or "cron: mon-fri 06:00,12:00"')


def _seconds(count: str, unit: str) -> timedelta:
    return timedelta(seconds=int(count) * _UNITS_S[unit])


def _weekdays(text: str, anchor: str) -> frozenset[int]:
    return frozenset(day for part in text.split(",") for day in _weekday_range(part, anchor))


def _weekday_range(part: str, anchor: str) -> Iterator[int]:
    first, dash, last = part.partition("-")
    for name in (first, last) if dash else (first,):
        if name not in WEEKDAYS:
            hint = (
                "numbers are refused because schedulers disagree on which day is 0" if name[:1].isdigit() or name == "*" else "unknown name"
            )
            raise BadAnchor(f"anchor {anchor!r}: weekday {name!r}: {hint}; write names, {', '.join(WEEKDAYS)} or mon-fri")
    begin = WEEKDAYS.index(first)
    span = (WEEKDAYS.index(last) - begin) % 7 if dash else 0
    return ((begin + n) % 7 for n in range(span + 1))


def _wall_time(text: str, anchor: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise BadAnchor(f"anchor {anchor!r}: time {text!r} is not HH:MM between 00:00 and 23:59")
    return time.fromisoformat(text)


def thinned(anchor: str, gap: timedelta) -> str:
    """The anchor with wall times at least `gap` apart, from the first one of the day on; other kinds of anchor as they are."""
    read = parse_anchor(anchor)
    if not isinstance(read, WallTimes):
        return anchor
    kept: list[time] = []
    for at in sorted(read.times):
        if not kept or datetime.combine(date.min, at) - datetime.combine(date.min, kept[-1]) >= gap:
            kept.append(at)
    return f"{anchor.rpartition(' ')[0]} {','.join(f'{at:%H:%M}' for at in kept)}"


def occurrences(anchor: str, calendar: Sessions, start: datetime, end: datetime) -> Iterator[datetime]:
    """UTC instants of an anchor in [start, end), ascending and distinct. Raises BadAnchor; ValueError for naive bounds."""
    return parse_anchor(anchor).between(calendar, utc(start), utc(end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing that the daemon does at set times.

    run: called with the scheduled instant, never with the present one.
    catch_up: of the occurrences that passed while nothing could run, "latest" runs the newest, "all" runs each in turn,
        "skip" runs none; those that are not run are reported as missed.
    deadline_s: how long after its scheduled instant a run must have finished to be on time.
    ledgered: each occurrence is a recorded claim; False for short loops.
    """

    name: str
    anchor: str
    run: Callable[[datetime], object]
    catch_up: CatchUp = "latest"
    deadline_s: float = 300.0
    ledgered: bool = True

    def __post_init__(self) -> None:
        parse_anchor(self.anchor)


def walk(jobs: Sequence[Job], start: datetime, end: datetime, clock: Clock, calendar: Sessions) -> bool:
    """Run every occurrence of the jobs in [start, end) in time order, after sleeping until it on `clock`.

    Jobs that fall on one instant run in the order of the list. Returns False when the clock was interrupted, after the
    run in progress; what a job raises ends the walk.
    """
    for at, _, job in heapq.merge(*(_numbered(n, job, calendar, start, end) for n, job in enumerate(jobs))):
        if not clock.sleep_until(at):
            return False
        job.run(at)
    return True


def _numbered(number: int, job: Job, calendar: Sessions, start: datetime, end: datetime) -> Iterator[tuple[datetime, int, Job]]:
    return ((at, number, job) for at in occurrences(job.anchor, calendar, start, end))


def split_due(job: Job, calendar: Sessions, handled_until: datetime, now: datetime) -> tuple[list[datetime], list[datetime]]:
    """Occurrences in (handled_until, now], as (to run, missed), by the job's catch-up policy; each ascending."""
    due = list(occurrences(job.anchor, calendar, handled_until + TICK, now + TICK))
    if job.catch_up == "all":
        return due, []
    fresh = due[-1:] if job.catch_up == "latest" or (due and now - due[-1] <= GRACE) else []
    return fresh, due[: len(due) - len(fresh)]


class _Occurrences(BaseTrigger):  # type: ignore[misc]  # APScheduler carries no types
    """An APScheduler trigger over the occurrences of a job, from a given instant on."""

    def __init__(self, job: Job, calendar: Sessions, after: datetime) -> None:
        self._job, self._calendar, self._after = job, calendar, after

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first occurrence after the previous one; a first one in the past is fired at once."""
        after = utc(previous_fire_time or self._after) + TICK
        return next(occurrences(self._job.anchor, self._calendar, after, after + timedelta(days=366)), None)


class LiveScheduler:
    """Fires jobs at their occurrences in real time, on a pool of threads, one run of a job at a time.

    APScheduler is the alarm clock only. What to run when the alarm rings late, or rings while the job still runs, is
    decided here by the job's own policy: every occurrence is either run or reported to `on_missed`.

    on_missed(job, at): an occurrence that will not be run.
    on_error(name, error): something escaped from `job.run`; the job stays scheduled.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        calendar: Sessions,
        clock: Clock,
        *,
        on_missed: Callable[[Job, datetime], None],
        on_error: Callable[[str, BaseException], None],
        workers: int = WORKERS,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        if len(self._jobs) < len(jobs):
            raise ValueError("two jobs share a name")
        self._calendar, self._clock = calendar, clock
        self._on_missed, self._on_error = on_missed, on_error
        self._handled: dict[str, datetime] = {}
        self._running: set[str] = set()
        self._idle = threading.Condition()
        self._stopping = False
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(workers)})
        self._scheduler.add_listener(self._report, EVENT_JOB_ERROR)

    def start(self, handled_until: Mapping[str, datetime] | None = None) -> None:
        """Begin. `handled_until`: by job, the newest occurrence already run or recorded; what came due since is due now."""
        now = self._clock.now()
        for job in self._jobs.values():
            self._handled[job.name] = utc((handled_until or {}).get(job.name, now))
            # Lateness is judged by _fire, so APScheduler must never drop an alarm of its own accord.
            self._scheduler.add_job(
                self._fire,
                _Occurrences(job, self._calendar, self._handled[job.name]),
                args=[job],
                id=job.name,
                name=job.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._scheduler.start()

    def stop(self, wait_s: float) -> bool:
        """Start nothing more and wait for what runs; True when all of it finished in time."""
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout=wait_s)

    def next_run(self, name: str) -> datetime | None:
        """The next planned instant of a job, or None when it has none."""
        entry = self._scheduler.get_job(name)
        return utc(entry.next_run_time) if entry is not None and entry.next_run_time is not None else None

    def running(self) -> frozenset[str]:
        """Names of the jobs that run now."""
        with self._idle:
            return frozenset(self._running)

    def _fire(self, job: Job) -> None:
        with self._idle:
            self._running.add(job.name)
        try:
            # Again until nothing is due: an alarm that rang during the run was dropped by max_instances.
            while not self._stopping and self._run_due(job):
                pass
        finally:
            with self._idle:
                self._running.discard(job.name)
                self._idle.notify_all()

    def _run_due(self, job: Job) -> bool:
        now = self._clock.now()
        due, missed = split_due(job, self._calendar, self._handled[job.name], now)
        self._handled[job.name] = max([self._handled[job.name], *due, *missed])
        for at in missed:
            self._on_missed(job, at)
        for at in due:
            if self._stopping:
                break
            job.run(at)
        return bool(due)

    def _report(self, event: Any) -> None:
        self._on_error(event.job_id, event.exception)
