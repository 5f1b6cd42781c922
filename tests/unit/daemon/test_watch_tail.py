"""The verdict on the VaR: what fails, what is only noted, and what is not judged."""

from datetime import date, timedelta

import pytest

from daemon.calendar import Calendar
from daemon.watch.result import TailDay
from daemon.watch.tail import judged, session_returns, tail_days

FIRST = date(2024, 1, 2)


def days(hits: str) -> list[TailDay]:
    """A session for each letter: x lost more than the VaR of 1 %."""
    found = []
    for i, letter in enumerate(hits):
        day_return = -0.02 if letter == "x" else 0.001
        found.append(TailDay(session=FIRST + timedelta(days=i), var95=0.01, return_frac=day_return, exception=letter == "x"))
    return found


def spread(exceptions: int, sessions: int) -> str:
    """So many exceptions, as far apart as they can be."""
    places = {i * sessions // exceptions for i in range(exceptions)} if exceptions else set()
    return "".join("x" if i in places else "." for i in range(sessions))


def test_a_var_that_loses_as_often_as_it_promised_holds():
    found = judged(days(spread(12, 250)))
    assert (found.failing, found.reason) == (False, "")
    assert (found.observations, found.exceptions, found.expected) == (250, 12, 12.5)
    assert found.kupiec_p == pytest.approx(0.884, abs=5e-3), "LR = 0.0213 by hand"


def test_too_many_losses_beyond_the_var_fail_and_the_reason_says_on_which_side():
    found = judged(days(spread(25, 250)))
    assert found.failing
    assert found.reason.startswith("the VaR is too low: 25 losses beyond the VaR in 250 sessions, 12.5 expected (Kupiec p 0.00")


def test_too_few_losses_are_noted_and_are_no_failure():
    found = judged(days("." * 250))
    assert not found.failing
    assert found.kupiec_p is not None and found.kupiec_p < 0.01
    assert "higher than needed, which is not a failure" in found.reason


def test_losses_of_the_right_number_that_come_together_fail():
    found = judged(days("." * 120 + "x" * 12 + "." * 118))
    assert found.kupiec_p is not None and found.kupiec_p > 0.5
    assert found.failing and found.reason.startswith("losses beyond the VaR come together")


def test_fewer_than_sixty_sessions_are_not_judged_however_bad_they_are():
    assert not judged(days("x" * 59)).failing
    assert judged(days("x" * 60)).failing
    assert judged(days("x" * 59)).reason == "59 sessions with a forecast and a return, 60 needed"


def test_without_a_session_every_probability_is_undefined():
    found = judged([])
    assert (found.kupiec_p, found.independence_p, found.coverage_p, found.failing) == (None, None, None, False)


def test_a_loss_of_exactly_the_var_is_no_exception():
    rows = [{"session": FIRST, "forecast": {"var95": 0.01}}]
    assert [d.exception for d in tail_days(rows, {FIRST: -0.01})] == [False]
    assert [d.exception for d in tail_days(rows, {FIRST: -0.0100001})] == [True]


def test_a_negative_var_is_tested_as_it_is_and_a_portfolio_without_risk_promises_nothing():
    rows = [{"session": FIRST, "forecast": {"var95": -0.001, "volatility": 0.001}}]
    assert [d.exception for d in tail_days(rows, {FIRST: 0.0005})] == [True]
    rows = [{"session": FIRST, "forecast": {"var95": 0.0, "volatility": 0.0}}]
    assert list(tail_days(rows, {FIRST: 0.0})) == []
    assert list(tail_days([{"session": FIRST, "forecast": {"var95": None}}], {FIRST: 0.0})) == []


def test_a_session_whose_predecessor_was_not_marked_has_no_return():
    marked = [date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 5), date(2024, 1, 8)]
    navs = [{"session": day, "return_index": index} for day, index in zip(marked, (1.0, 1.1, 1.2, 1.08), strict=True)]
    assert session_returns(navs, Calendar()) == {date(2024, 1, 3): pytest.approx(0.1), date(2024, 1, 8): pytest.approx(-0.1)}
