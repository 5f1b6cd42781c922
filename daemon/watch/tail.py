"""Whether the VaR keeps its promise: each session's recorded forecast against what the account then did."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise

from daemon.calendar import Calendar
from daemon.report_data import finite
from daemon.store.queries import Row
from daemon.watch.result import Backtest, TailDay
from daemon.watch.scope import Scope
from risk.var import christoffersen, kupiec_pof

ALPHA = 0.95
WINDOW_SESSIONS = 250
FEWEST_OBSERVATIONS = 60
LEVEL = 0.01
"""A test that rejects at this level is believed."""


def back_test(scope: Scope) -> Backtest:
    """The back-test over the last 250 sessions: forecasts of the cycles against time-weighted returns of the account."""
    since = scope.calendar.offset(scope.session, 1 - WINDOW_SESSIONS)
    forecasts = scope.db.rows("forecasts_between", since=since, until=scope.session)
    return judged(list(tail_days(forecasts, session_returns(scope.navs, scope.calendar))))


def session_returns(navs: Sequence[Row], calendar: Calendar) -> dict[date, float]:
    """Time-weighted return of each session whose predecessor was marked too; navs ascending."""
    return {
        row["session"]: row["return_index"] / before["return_index"] - 1.0
        for before, row in pairwise(navs)
        if before["return_index"] > 0 and before["session"] == calendar.previous_session(row["session"])
    }


def tail_days(forecasts: Sequence[Row], returns: Mapping[date, float]) -> Iterator[TailDay]:
    """Sessions with a forecast of a portfolio at risk and a return. With nothing held there is nothing to promise."""
    for row in forecasts:
        var95, known = row["forecast"].get("var95"), returns.get(row["session"])
        if var95 is not None and known is not None and (var95 or row["forecast"].get("volatility")):
            yield TailDay(session=row["session"], var95=float(var95), return_frac=known, exception=known < -var95)


def judged(days: Sequence[TailDay]) -> Backtest:
    """The tests of a run of sessions, in order, and the verdict on them."""
    hits = [day.exception for day in days]
    kupiec, both = kupiec_pof(sum(hits), len(hits), ALPHA), christoffersen(hits, ALPHA)
    figures = (kupiec.p_value, both.independence.p_value, both.conditional_coverage.p_value)
    failing, reason = _verdict(hits, *figures)
    return Backtest(
        alpha=ALPHA,
        observations=len(hits),
        exceptions=sum(hits),
        expected=round((1.0 - ALPHA) * len(hits), 9),
        kupiec_p=finite(figures[0]),
        independence_p=finite(figures[1]),
        coverage_p=finite(figures[2]),
        failing=failing,
        reason=reason,
        days=tuple(days),
    )


def _verdict(hits: Sequence[bool], kupiec_p: float, independence_p: float, coverage_p: float) -> tuple[bool, str]:
    """Failing means that losses beyond the VaR are too many or not independent. Too few of them waste room and are only noted."""
    n, exceptions = len(hits), sum(hits)
    expected = (1.0 - ALPHA) * n
    losses, sessions = "loss" if exceptions == 1 else "losses", "session" if n == 1 else "sessions"
    said = f"{exceptions} {losses} beyond the VaR in {n} {sessions}, {expected:.1f} expected"
    if n < FEWEST_OBSERVATIONS:
        return False, f"{n} {sessions} with a forecast and a return, {FEWEST_OBSERVATIONS} needed"
    if kupiec_p < LEVEL and exceptions > expected:
        return True, f"the VaR is too low: {said} (Kupiec p {kupiec_p:.2g})"
    if coverage_p < LEVEL and (exceptions >= expected or independence_p < LEVEL):
        together = sum(a and b for a, b in pairwise(hits)) * n > exceptions**2
        how = "come together" if together else "are too many or too regular"
        return True, f"losses beyond the VaR {how}: {said} (Christoffersen p {coverage_p:.2g})"
    if kupiec_p < LEVEL:
        return False, f"the VaR is higher than needed, which is not a failure: {said} (Kupiec p {kupiec_p:.2g})"
    return False, ""
