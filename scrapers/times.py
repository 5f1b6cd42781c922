"""New York wall time to UTC: the instants at which a dated record happened and could first be known."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
REGULAR_CLOSE = time(16, 0)
INDEX_CLOSE = time(16, 15)
AFTER_CLOSE = time(16, 20)
_DATES = (
    re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![0-9])"),
    re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})(?![0-9])"),
    re.compile(r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})$"),
)


def new_york(day: date, at: time = time(0)) -> datetime:
    """The instant, in UTC, at which New York clocks show `at` on `day`."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def day_after(day: date) -> datetime:
    """00:00 New York of the following day: when a date without a time counts as known. UTC."""
    return new_york(day + timedelta(days=1))


def new_york_date(at: datetime) -> date:
    """The calendar day in New York at an aware instant."""
    return at.astimezone(NEW_YORK).date()


def instants(days: Iterable[date], at: time) -> list[datetime]:
    """new_york(day, at) for each day, in order; each distinct day is converted once."""
    seen: dict[date, datetime] = {}
    return [seen.setdefault(day, new_york(day, at)) if day not in seen else seen[day] for day in days]


def parse_date(value: object) -> date | None:
    """A calendar date from `YYYY-MM-DD`, `YYYY-MM-DDThh:mm...`, `MM/DD/YYYY` or `YYYYMMDD` text; None for anything else.

    Years outside 1900 to 2100 (`0009-06-09`, `20221-11-18`) are None too: no market record bears them.
    """
    text = value.strip() if isinstance(value, str) else ""
    for form in _DATES:
        found = form.match(text)
        if found:
            parts = {name: int(digits) for name, digits in found.groupdict().items()}
            try:
                return date(**parts) if 1900 <= parts["year"] <= 2100 else None
            except ValueError:
                return None
    return None
