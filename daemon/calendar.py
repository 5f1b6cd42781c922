"""When the exchange trades, and on which sessions a strategy is due.

Sessions are dates of the New York Stock Exchange (exchange_calendars XNYS: holidays, early closes and the unplanned
closures of the past); instants are aware UTC datetimes. Sources: NYSE Holidays & Trading Hours, through exchange_calendars.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.base import Rebalance

FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2040, 12, 31)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class CalendarError(LookupError):
    """The calendar has no answer: the date is no session, lies outside the range, or the rule is unknown."""


@dataclass(frozen=True, slots=True)
class _Times:
    """Parallel arrays by session: day ordinals (proleptic, as date.toordinal) and UTC microseconds since 1970."""

    days: NDArray[np.int64]
    opens_us: NDArray[np.int64]
    closes_us: NDArray[np.int64]


@lru_cache(maxsize=4)
def _load(start: date, end: date) -> _Times:
    import exchange_calendars

    schedule = exchange_calendars.get_calendar("XNYS", start=start.isoformat(), end=end.isoformat()).schedule
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64) + EPOCH_ORDINAL
    return _Times(days, _microseconds(schedule["open"]), _microseconds(schedule["close"]))


def _microseconds(instants: "pd.Series[pd.Timestamp]") -> NDArray[np.int64]:
    values: NDArray[np.int64] = instants.dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    return values


def to_microseconds(at: datetime) -> int:
    """Whole microseconds from 1970 to an aware instant, exactly."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_microseconds(us: int) -> datetime:
    """The UTC instant that many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=us)


class Calendar:
    """The exchange's sessions from `start` to `end` (both inclusive). Cheap to make; the tables load on first use.

    Every method raises CalendarError where the answer would lie outside the range.
    """

    def __init__(self, start: date = FIRST_DAY, end: date = LAST_DAY) -> None:
        self.start, self.end = start, end
        self._due: dict[Rebalance, list[int]] = {}

    @cached_property
    def _times(self) -> _Times:
        return _load(self.start, self.end)

    @cached_property
    def _days(self) -> list[int]:
        days: list[int] = self._times.days.tolist()
        return days

    @cached_property
    def _opens(self) -> list[int]:
        opens: list[int] = self._times.opens_us.tolist()
        return opens

    @cached_property
    def _closes(self) -> list[int]:
        closes: list[int] = self._times.closes_us.tolist()
        return closes

    @cached_property
    def session_days(self) -> NDArray[np.datetime64]:
        """Every session, ascending, datetime64[D] (n_sessions,). Read only."""
        days = (self._times.days - EPOCH_ORDINAL).astype("datetime64[D]")
        days.setflags(write=False)
        return days

    @property
    def opens_us(self) -> NDArray[np.int64]:
        """Opens by session, UTC microseconds since 1970 (n_sessions,)."""
        return self._times.opens_us

    @property
    def closes_us(self) -> NDArray[np.int64]:
        """Closes by session, early ones included, UTC microseconds since 1970 (n_sessions,)."""
        return self._times.closes_us

    def sessions(self, start: date, end: date) -> list[date]:
        """Sessions from `start` to `end`, both inclusive, ascending."""
        self._check_range(start, end)
        low, high = bisect_left(self._days, start.toordinal()), bisect_right(self._days, end.toordinal())
        return [date.fromordinal(day) for day in self._days[low:high]]

    def is_session(self, day: date) -> bool:
        """True when the exchange trades on that date."""
        index = bisect_left(self._days, self._check_range(day).toordinal())
        return index < len(self._days) and self._days[index] == day.toordinal()

    def decision_at(self, session: date) -> datetime:
        """When a session is decided: half an hour before its open, UTC."""
        return self.open_at(session) - timedelta(minutes=30)

    def open_at(self, session: date) -> datetime:
        """The opening instant of a session."""
        return from_microseconds(self._opens[self._index(session)])

    def close_at(self, session: date) -> datetime:
        """The closing instant of a session, which is 13:00 New York on early closes."""
        return from_microseconds(self._closes[self._index(session)])

    def next_session(self, day: date) -> date:
        """The first session after a date."""
        return self._session(bisect_right(self._days, day.toordinal()), day)

    def previous_session(self, day: date) -> date:
        """The last session before a date."""
        return self._session(bisect_left(self._days, day.toordinal()) - 1, day)

    def session_on_or_after(self, day: date) -> date:
        """The date itself when it is a session, else the next session."""
        return self._session(bisect_left(self._days, day.toordinal()), day)

    def session_on_or_before(self, day: date) -> date:
        """The date itself when it is a session, else the previous session."""
        return self._session(bisect_right(self._days, day.toordinal()) - 1, day)

    def offset(self, session: date, sessions: int) -> date:
        """The session that many sessions later (earlier when negative)."""
        return self._session(self._index(session) + sessions, session)

    def count(self, start: date, end: date) -> int:
        """Number of sessions from `start` to `end`, both inclusive; 0 when `end` precedes `start`."""
        return max(0, bisect_right(self._days, end.toordinal()) - bisect_left(self._days, start.toordinal()))

    def session_of(self, at: datetime) -> date:
        """The latest session whose open is at or before `at`."""
        return self._session(bisect_right(self._opens, to_microseconds(at)) - 1, at)

    def last_closed(self, at: datetime) -> date:
        """The latest session whose close is at or before `at`."""
        return self._session(bisect_right(self._closes, to_microseconds(at)) - 1, at)

    def upcoming(self, at: datetime) -> date:
        """The first session whose open is after `at`: the one that a decision taken at `at` trades in."""
        return self._session(bisect_right(self._opens, to_microseconds(at)), at)

    def is_open(self, at: datetime) -> bool:
        """True from the open (included) to the close (excluded) of a session."""
        us = to_microseconds(at)
        index = bisect_right(self._opens, us) - 1
        return index >= 0 and us < self._closes[index]

    def next_open(self, at: datetime) -> datetime:
        """The first open after `at`."""
        return self.open_at(self.upcoming(at))

    def next_close(self, at: datetime) -> datetime:
        """The first close after `at`."""
        return self.close_at(self._session(bisect_right(self._closes, to_microseconds(at)), at))

    def latest_due(self, rebalance: Rebalance, session: date) -> date | None:
        """The newest due session at or before `session`, or None when the calendar knows none."""
        due = self._due_days(rebalance)
        index = bisect_right(due, session.toordinal()) - 1
        return date.fromordinal(due[index]) if index >= 0 else None

    def next_due(self, rebalance: Rebalance, after: date) -> date:
        """The first due session after a date."""
        due = self._due_days(rebalance)
        index = bisect_right(due, after.toordinal())
        if index == len(due):
            raise self._outside(after)
        return date.fromordinal(due[index])

    def _due_days(self, rebalance: Rebalance) -> list[int]:
        if rebalance not in self._due:
            self._due[rebalance] = self._days if rebalance.kind == "daily" else self._rolled(rebalance)
        return self._due[rebalance]

    def _rolled(self, rebalance: Rebalance) -> list[int]:
        nominal = [day.toordinal() for day in nominal_dates(rebalance, self.start, self.end)]
        indices = (bisect_left(self._days, day) for day in nominal)
        return sorted({self._days[index] for index in indices if index < len(self._days)})

    def _index(self, session: date) -> int:
        if not self.is_session(session):
            raise CalendarError(f"{session} is not a session of the exchange")
        return bisect_left(self._days, session.toordinal())

    def _session(self, index: int, asked: date) -> date:
        if not 0 <= index < len(self._days):
            raise self._outside(asked)
        return date.fromordinal(self._days[index])

    def _check_range(self, *days: date) -> date:
        for day in days:
            if not self.start <= day <= self.end:
                raise self._outside(day)
        return days[0]

    def _outside(self, asked: date) -> CalendarError:
        return CalendarError(f"the session asked for around {asked} lies outside the calendar, {self.start} to {self.end}")


def nominal_dates(rebalance: Rebalance, start: date, end: date) -> Iterator[date]:
    """Dates from `start` to `end` on which a weekly or monthly rule falls, before holidays roll it to the next session."""
    if rebalance.kind == "weekly" and rebalance.on in WEEKDAYS[:5]:
        first = start + timedelta(days=(WEEKDAYS.index(rebalance.on) - start.weekday()) % 7)
        return (first + timedelta(days=n) for n in range(0, (end - first).days + 1, 7))
    if rebalance.kind == "monthly" and rebalance.on in ("first_session", "first_mon"):
        days = (_first_monday(first) if rebalance.on == "first_mon" else first for first in _month_starts(start, end))
        return (day for day in days if start <= day <= end)
    raise CalendarError(f"unknown rebalance rule {rebalance.kind}({rebalance.on!r})")


def _month_starts(start: date, end: date) -> Iterator[date]:
    months = range(start.year * 12 + start.month - 1, end.year * 12 + end.month)
    return (date(month // 12, month % 12 + 1, 1) for month in months)


def _first_monday(first_of_month: date) -> date:
    return first_of_month + timedelta(days=-first_of_month.weekday() % 7)
