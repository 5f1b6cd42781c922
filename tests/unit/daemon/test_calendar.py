"""The exchange calendar against dates that NYSE published, and due sessions against a naive model."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from daemon.calendar import Calendar, CalendarError
from strategies.base import Rebalance, daily, monthly, weekly

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = Calendar()
FROM, UNTIL = date(2001, 1, 1), date(2020, 12, 31)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def new_york(text):
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def test_construction_is_immediate_and_the_first_answer_comes_within_half_a_second_of_a_warm_import():
    import exchange_calendars  # noqa: F401

    began = time.perf_counter()
    fresh = Calendar(date(1995, 1, 1), date(2035, 12, 31))
    assert time.perf_counter() - began < 0.05
    assert fresh.is_session(date(2024, 1, 2))
    assert time.perf_counter() - began < 2.0  # 0.2 s alone; the machine may be busy


@pytest.mark.parametrize(
    "day",
    [
        "2001-09-11",
        "2001-09-14",  # attacks
        "2004-06-11",  # Reagan
        "2012-10-29",
        "2012-10-30",  # Sandy
        "2018-12-05",  # Bush
        "2021-04-02",  # Good Friday
        "2022-06-20",  # the first Juneteenth that was kept, observed
        "2025-01-09",  # Carter
        "2026-07-03",  # Independence Day observed
        "2024-01-06",  # a Saturday
    ],
)
def test_a_published_closure_is_no_session(day):
    assert not CALENDAR.is_session(date.fromisoformat(day))
    with pytest.raises(CalendarError, match=day):
        CALENDAR.open_at(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2019-07-03", "2020-11-27", "2020-12-24", "2024-07-03", "2024-11-29", "2026-11-27"])
def test_a_published_early_close_is_at_one_in_new_york(day):
    assert CALENDAR.close_at(date.fromisoformat(day)) == new_york(f"{day}T13:00")
    assert CALENDAR.open_at(date.fromisoformat(day)) == new_york(f"{day}T09:30")


def test_opens_and_closes_follow_daylight_saving():
    assert CALENDAR.open_at(date(2020, 3, 6)) == datetime(2020, 3, 6, 14, 30, tzinfo=UTC)
    assert CALENDAR.open_at(date(2020, 3, 9)) == datetime(2020, 3, 9, 13, 30, tzinfo=UTC)
    assert CALENDAR.close_at(date(2020, 11, 2)) == datetime(2020, 11, 2, 21, 0, tzinfo=UTC)


def test_the_year_2020_had_253_sessions():
    sessions = CALENDAR.sessions(date(2020, 1, 1), date(2020, 12, 31))
    assert len(sessions) == 253 == CALENDAR.count(date(2020, 1, 1), date(2020, 12, 31))
    assert sessions == sorted(set(sessions)) and (sessions[0], sessions[-1]) == (date(2020, 1, 2), date(2020, 12, 31))
    assert CALENDAR.count(date(2020, 12, 31), date(2020, 1, 1)) == 0


def test_arrays_and_dates_tell_the_same():
    index = int(np.searchsorted(CALENDAR.session_days, np.datetime64("2020-07-02")))
    assert CALENDAR.session_days[index].item() == date(2020, 7, 2)
    assert datetime.fromtimestamp(CALENDAR.closes_us[index] / 1e6, UTC) == CALENDAR.close_at(date(2020, 7, 2))


def test_neighbours_step_over_the_long_weekend():
    friday, saturday, tuesday = date(2020, 9, 4), date(2020, 9, 5), date(2020, 9, 8)
    assert CALENDAR.next_session(friday) == CALENDAR.next_session(saturday) == tuesday
    assert CALENDAR.previous_session(tuesday) == CALENDAR.previous_session(saturday) == friday
    assert CALENDAR.session_on_or_after(saturday) == tuesday and CALENDAR.session_on_or_after(friday) == friday
    assert CALENDAR.session_on_or_before(saturday) == friday and CALENDAR.session_on_or_before(tuesday) == tuesday
    assert CALENDAR.offset(tuesday, -1) == friday and CALENDAR.offset(friday, 1) == tuesday


@pytest.mark.parametrize(
    ("at", "session_of", "last_closed", "upcoming", "is_open"),
    [
        ("2020-11-27T09:29:59", "2020-11-25", "2020-11-25", "2020-11-27", False),
        ("2020-11-27T09:30", "2020-11-27", "2020-11-25", "2020-11-30", True),
        ("2020-11-27T12:59:59", "2020-11-27", "2020-11-25", "2020-11-30", True),
        ("2020-11-27T13:00", "2020-11-27", "2020-11-27", "2020-11-30", False),
        ("2020-11-29T12:00", "2020-11-27", "2020-11-27", "2020-11-30", False),
    ],
)
def test_an_instant_is_placed_between_sessions(at, session_of, last_closed, upcoming, is_open):
    instant = new_york(at)
    assert CALENDAR.session_of(instant).isoformat() == session_of
    assert CALENDAR.last_closed(instant).isoformat() == last_closed
    assert CALENDAR.upcoming(instant).isoformat() == upcoming
    assert CALENDAR.is_open(instant) is is_open
    assert CALENDAR.next_open(instant) == CALENDAR.open_at(date.fromisoformat(upcoming)) > instant


def test_the_next_close_on_a_session_is_its_own():
    assert CALENDAR.next_close(new_york("2020-11-27T09:30")) == new_york("2020-11-27T13:00")
    assert CALENDAR.next_close(new_york("2020-11-27T13:00")) == new_york("2020-11-30T16:00")


def test_a_question_outside_the_range_is_refused_and_the_range_named():
    small = Calendar(date(2020, 1, 1), date(2020, 12, 31))
    for ask in (
        lambda: small.is_session(date(2021, 1, 4)),
        lambda: small.next_session(date(2020, 12, 31)),
        lambda: small.previous_session(date(2020, 1, 2)),
        lambda: small.sessions(date(2019, 12, 1), date(2020, 2, 1)),
        lambda: small.upcoming(new_york("2021-01-01T00:00")),
        lambda: small.session_of(new_york("2020-01-01T00:00")),
        lambda: small.next_due(weekly("mon"), date(2020, 12, 30)),
    ):
        with pytest.raises(CalendarError, match="2020-12-31"):
            ask()


def roll(day):
    """The naive rule: walk forward one day at a time."""
    while not CALENDAR.is_session(day):
        day += timedelta(days=1)
    return day


def naive_due(rule):
    """Every due session of 2001 to 2020, one for each week or month, by walking over all days."""
    days = [FROM + timedelta(days=n) for n in range((UNTIL - FROM).days + 1)]
    if rule.kind == "weekly":
        return [roll(day) for day in days if day.weekday() == WEEKDAYS.index(rule.on)]
    if rule.on == "first_session":
        return [roll(day) for day in days if day.day == 1]
    return [roll(day) for day in days if day.day <= 7 and day.weekday() == 0]


RULES = [*(weekly(day) for day in WEEKDAYS), monthly("first_session"), monthly("first_mon")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.on}")
def test_over_twenty_years_each_week_or_month_is_due_exactly_once(rule):
    expected = naive_due(rule)
    assert len(set(expected)) == len(expected)
    assert len(expected) in ((240,) if rule.kind == "monthly" else (1043, 1044))  # 20 years of months, of weeks
    due, day = [], FROM - timedelta(days=1)
    while (day := CALENDAR.next_due(rule, day)) <= expected[-1]:
        due.append(day)
    assert [day for day in due if day not in set(naive_rolled_in(rule))] == expected


def naive_rolled_in(rule):
    """Due sessions of 2001 that belong to an occurrence of 2000."""
    last_friday_of_2000 = [date(2000, 12, 25) + timedelta(days=n) for n in range(7)]
    return [
        roll(day) for day in last_friday_of_2000 if rule.kind == "weekly" and day.weekday() == WEEKDAYS.index(rule.on) and roll(day) >= FROM
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.on}")
def test_the_latest_due_session_is_the_newest_that_is_not_later(rule):
    expected = naive_due(rule)
    for session in CALENDAR.sessions(date(2001, 3, 1), UNTIL):
        assert CALENDAR.latest_due(rule, session) == max(day for day in expected[-2000:] if day <= session)


def test_due_sessions_on_well_known_holidays():
    assert CALENDAR.latest_due(weekly("mon"), date(2020, 9, 8)) == date(2020, 9, 8)  # Labor Day rolls to Tuesday
    assert CALENDAR.next_due(weekly("fri"), date(2020, 4, 9)) == date(2020, 4, 13)  # Good Friday rolls to Monday
    assert CALENDAR.next_due(weekly("tue"), date(2001, 9, 10)) == date(2001, 9, 17)  # the week of the attacks
    assert CALENDAR.next_due(monthly("first_session"), date(2020, 12, 31)) == date(2021, 1, 4)
    assert CALENDAR.next_due(monthly("first_mon"), date(2020, 8, 31)) == date(2020, 9, 8)


def test_a_daily_rule_is_due_on_every_session():
    sessions = CALENDAR.sessions(date(2020, 1, 1), date(2020, 12, 31))
    assert [CALENDAR.latest_due(daily(), session) for session in sessions] == sessions
    assert [CALENDAR.next_due(daily(), session) for session in sessions[:-1]] == sessions[1:]


def test_before_the_first_occurrence_nothing_is_due():
    assert Calendar(date(2020, 1, 1), date(2020, 12, 31)).latest_due(weekly("mon"), date(2020, 1, 3)) is None


@pytest.mark.parametrize("rule", [Rebalance(kind="weekly", on="sat"), Rebalance(kind="monthly", on="mid"), Rebalance(kind="weekly")])
def test_an_unknown_rule_is_refused(rule):
    with pytest.raises(CalendarError, match="unknown rebalance rule"):
        CALENDAR.latest_due(rule, date(2020, 1, 3))
