"""The arithmetic behind the table of strategies: when one is due, in words and in dates, and what a sleeve's own money earned."""

from datetime import UTC, date, datetime, timedelta

import pytest

from daemon.calendar import Calendar
from daemon.strategy_status import growth_index, next_due, percent, schedule_words, stale_inputs
from strategies.base import daily, monthly, weekly

CALENDAR = Calendar()


def after(days: int, hour: int = 21) -> datetime:
    return datetime(2022, 1, 3, hour, tzinfo=UTC) + timedelta(days=days)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (daily(), "every session"),
        (weekly("mon"), "every Monday"),
        (weekly("fri"), "every Friday"),
        (monthly("first_session"), "first session of the month"),
        (monthly("first_mon"), "first Monday of the month"),
    ],
)
def test_a_schedule_is_told_as_one_would_say_it(rule, words):
    assert schedule_words(rule) == words


def test_a_strategy_that_owes_nothing_is_due_next_on_its_day_rolled_over_a_holiday():
    # Monday 17 January 2022 is Martin Luther King Day.
    assert next_due(CALENDAR, weekly("mon"), date(2022, 1, 10), after(9)) == date(2022, 1, 18)


def test_a_strategy_that_missed_its_day_is_due_in_the_session_that_opens_next():
    wednesday_evening = after(9)
    assert next_due(CALENDAR, weekly("mon"), date(2022, 1, 3), wednesday_evening) == date(2022, 1, 13)
    assert next_due(CALENDAR, weekly("mon"), None, wednesday_evening) == date(2022, 1, 13)


def test_on_the_morning_of_its_day_a_strategy_is_due_that_day_until_it_was_evaluated():
    monday_morning = after(7, hour=13)
    assert next_due(CALENDAR, weekly("mon"), date(2022, 1, 3), monday_morning) == date(2022, 1, 10)
    assert next_due(CALENDAR, weekly("mon"), date(2022, 1, 10), monday_morning) == date(2022, 1, 18)


def test_what_is_moved_in_or_out_is_no_return():
    marks = [(after(0), 1_000.0), (after(1), 1_100.0), (after(2), 1_900.0), (after(3), 950.0)]
    flows = [(after(0, hour=14), 1_000.0), (after(2, hour=14), 900.0), (after(3, hour=14), -950.0)]
    # 1000 -> 1100 is +10 %; 1100 + 900 -> 1900 is -5 %; 1900 - 950 -> 950 is nothing.
    assert growth_index(marks, flows) == pytest.approx([1.0, 1.0, 1.1, 1.045, 1.045], rel=1e-12)


def test_a_sleeve_that_was_wound_down_keeps_its_last_growth_and_one_that_never_held_money_has_none():
    marks = [(after(0), 100.0), (after(1), 120.0), (after(2), 0.0), (after(3), 0.0)]
    flows = [(after(0, hour=14), 100.0), (after(2, hour=14), -120.0)]
    assert growth_index(marks, flows) == pytest.approx([1.0, 1.0, 1.2, 1.2, 1.2], rel=1e-12)
    assert growth_index([(after(0), 0.0), (after(1), 0.0)], []) == []


def test_only_inputs_that_are_not_fresh_are_named_with_their_reason():
    inputs = [{"dataset": "bars_daily", "fresh": True, "reason": ""}, {"dataset": "vix", "fresh": False, "reason": "never collected"}]
    assert stale_inputs({"inputs": inputs}) == "vix: never collected"
    assert stale_inputs({"inputs": inputs[:1]}) == ""


def test_the_unknown_is_a_dash_and_not_a_zero():
    assert (percent(None), percent(float("nan")), percent(0.0), percent(-0.0123)) == ("-", "-", "+0.0%", "-1.2%")
