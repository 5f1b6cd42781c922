"""Where now comes from: the machine's clock, a clock that jumps, or one that is paced for watching.

This is the only module that reads the wall clock. Everything else is handed an instant, or one of these clocks.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Protocol
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PACED_FROM, PACED_UNTIL = time_of_day(8), time_of_day(18)
# A suspended machine or a stepped system clock must not oversleep: the wall clock is asked again this often.
LONGEST_WAIT_S = 15.0

Listener = Callable[[datetime], None]


class Clock(Protocol):
    """The time as the daemon sees it."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    def sleep_until(self, at: datetime) -> bool:
        """Return True once `now() >= at`, at once when it already is; False when `interrupt()` came first."""
        ...

    def interrupt(self) -> None:
        """Wake every sleeper and refuse all further sleep; called once, when the process stops. Safe in a signal handler."""
        ...


def utc(at: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive datetime, which names no instant."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone, so it is not an instant")
    return at.astimezone(UTC)


class _Stop:
    """A flag that sleepers wait on.

    Not a threading.Event: a signal handler that runs in the thread that is inside Event.wait can deadlock on the event's
    lock. A plain attribute, looked at a few times a second, cannot.
    """

    LOOK_EVERY_S = 0.05

    def __init__(self) -> None:
        self.requested = False

    def wait(self, seconds: float) -> bool:
        """Sleep that long in real time; True when it was not interrupted."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.LOOK_EVERY_S))
        return not self.requested


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._stop = _Stop()

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)

    def sleep_until(self, at: datetime) -> bool:
        """Sleep until `at`, following steps of the system clock; False when interrupted."""
        wanted = utc(at)
        while not self._stop.requested:
            left = (wanted - self.now()).total_seconds()
            if left <= 0:
                return True
            self._stop.wait(min(left, LONGEST_WAIT_S))
        return False

    def interrupt(self) -> None:
        """Wake every sleeper, for good."""
        self._stop.requested = True


class VirtualClock:
    """A clock that jumps to wherever it is told, forward only, and tells its listeners.

    One thread drives it; any thread may ask `now()`. Listeners run in the driving thread, in the order in which they were
    added, after `now()` has moved; what they raise reaches the driver.
    """

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)
        self._listeners: list[Listener] = []
        self._advancing = threading.RLock()
        self._stop = _Stop()

    def now(self) -> datetime:
        """The virtual instant reached so far, UTC."""
        return self._now

    def on_advance(self, callback: Listener) -> None:
        """Call `callback(instant)` for each new instant from now on."""
        self._listeners.append(callback)

    def sleep_until(self, at: datetime) -> bool:
        """Jump to `at`. A past instant changes nothing and tells nobody."""
        wanted = utc(at)
        with self._advancing:
            if self._stop.requested:
                return False
            if wanted <= self._now:
                return True
            if not self._wait(self._now, wanted):
                return False
            self._now = wanted
            for listener in tuple(self._listeners):
                listener(wanted)
        return True

    def interrupt(self) -> None:
        """Wake the sleeper, for good."""
        self._stop.requested = True

    def _wait(self, start: datetime, end: datetime) -> bool:
        return True


class BesideClock:
    """The present of those who wait beside a virtual clock without holding it up: each thread's own, never behind the clock.

    A source's allowance is waited for in virtual time, request by request; the market's clock stays where its driver has it, and overtakes
    whoever waited as soon as it has come that far itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._own = threading.local()

    def now(self) -> datetime:
        """The clock's instant, or the later one that this thread has waited until."""
        at: datetime = max(self._clock.now(), getattr(self._own, "at", EPOCH))
        return at

    def sleep(self, seconds: float) -> None:
        """Wait, in this thread's time alone."""
        self._own.at = self.now() + timedelta(seconds=seconds)


class PacedClock(VirtualClock):
    """Virtual time at a pace that a person can watch.

    The hours from 08:00 to 18:00 New York of each session day take `seconds_per_session` real seconds together; nights,
    weekends and (when `is_session` is given) holidays take none. The work done between two sleeps counts towards the
    pace; a driver that falls behind by more than one session does not race to catch up.
    """

    def __init__(self, start: datetime, seconds_per_session: float, *, is_session: Callable[[date], bool] | None = None) -> None:
        if not seconds_per_session >= 0:
            raise ValueError(f"seconds_per_session must not be negative, got {seconds_per_session}")
        super().__init__(start)
        self._seconds_per_session = seconds_per_session
        self._is_session = is_session or _is_weekday
        self._due_s = time.monotonic()

    def _wait(self, start: datetime, end: datetime) -> bool:
        cost_s = self._seconds_per_session * paced_share(start, end, self._is_session)
        now_s = time.monotonic()
        self._due_s = max(self._due_s + cost_s, now_s - self._seconds_per_session)
        return self._stop.wait(self._due_s - now_s)


def paced_share(start: datetime, end: datetime, is_session: Callable[[date], bool]) -> float:
    """Session days between two instants, counting only the paced hours of each; 1.0 is one whole day's worth."""
    first, last = start.astimezone(NEW_YORK), end.astimezone(NEW_YORK)
    days = (first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1))
    return sum(_overlap_share(day, start, end) for day in days if is_session(day))


def _overlap_share(day: date, start: datetime, end: datetime) -> float:
    opens = datetime.combine(day, PACED_FROM, NEW_YORK).astimezone(UTC)
    closes = datetime.combine(day, PACED_UNTIL, NEW_YORK).astimezone(UTC)
    return max(timedelta(0), min(end, closes) - max(start, opens)) / (closes - opens)


def _is_weekday(day: date) -> bool:
    return day.weekday() < 5
