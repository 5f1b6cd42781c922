"""The report's answer to whether the VaR kept its promise, and what the watches of a replay found, by hand."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from daemon.report import ReplayResult, summarize, write
from daemon.report_page import render
from daemon.report_risk import drift_spells, tail_years
from daemon.watch.result import TailDay
from tests.unit.daemon.risk_states import backtest, drift, tail_days, watch
from tests.unit.daemon.test_dashboard import HOSTILE
from tests.unit.daemon.test_report import nav_frame, result_of


@pytest.fixture
def result() -> ReplayResult:
    sessions = pd.bdate_range("2026-01-05", periods=3)
    return result_of(nav_frame([100.0, 110.0, 99.0], [50.0, 60.0, 80.0], sessions))


def section(result: ReplayResult) -> str:
    page = render(result, summarize(result))
    return page[page.index("Did the VaR keep its promise") : page.index("<h2>Trading</h2>")]


def test_without_a_forecast_the_report_says_that_nothing_can_be_said(result: ReplayResult) -> None:
    assert "No session had both a forecast and a return" in section(result)
    figures = summarize(result)
    assert (figures["var95_observations"], figures["var95_exceptions"], figures["var95_kupiec_p"]) == (0, 0, None)


def test_the_whole_replay_is_judged_not_only_its_last_window(result: ReplayResult) -> None:
    """Exceptions in the first of 300 sessions only: a window of 250 would not see them."""
    days = tail_days(dict.fromkeys(range(40), -0.05), sessions=300)
    figures = summarize(replace(result, tail=days))
    assert (figures["var95_observations"], figures["var95_exceptions"], figures["var95_expected"]) == (300, 40, pytest.approx(15.0))
    text = section(replace(result, tail=days))
    assert '<strong class="warn">The forecast does not keep its promise' in text
    assert "40, 15.0 expected" in text


def test_exceptions_are_counted_by_year() -> None:
    days = [
        TailDay(session=date(2020, 12, 30) + timedelta(days=number), var95=0.02, return_frac=value, exception=value < -0.02)
        for number, value in enumerate([-0.03, 0.01, -0.025, -0.04])
    ]
    first, second = tail_years(days)
    assert (first.year, first.observations, first.exceptions, first.expected) == (2020, 2, 1, pytest.approx(0.1))
    assert (second.year, second.observations, second.exceptions, second.worst.return_frac) == (2021, 2, 2, -0.04)
    assert tail_years([]) == []


def test_an_alarm_in_consecutive_watches_is_one_spell_and_one_that_came_back_is_two() -> None:
    months = [date(2020, month, 28) for month in range(1, 6)]
    alarmed = [(0.3, 0.5), (0.6, None), (None, None), (0.4, None), (None, 0.7)]
    watches = [
        watch(
            session=day,
            drifts=[
                *([drift("a", "trades.amount", psi=first, alarm=True)] if first else [drift("a", "trades.amount", psi=0.9)]),
                *([drift("b", "shadow returns", subject="returns", psi=second, alarm=True)] if second else []),
            ],
        )
        for day, (first, second) in zip(months, alarmed, strict=True)
    ]
    found = [(s.strategy, s.first.month, s.last.month, s.watches, s.psi) for s in drift_spells(watches)]
    assert found == [("a", 1, 2, 2, 0.6), ("b", 1, 1, 1, 0.5), ("a", 4, 4, 1, 0.4), ("b", 5, 5, 1, 0.7)]


def test_the_last_watch_is_shown_with_its_tables(result: ReplayResult) -> None:
    text = section(replace(result, tail=tail_days(), watches=(watch(session=date(2026, 1, 30)), watch("the newest"))))
    assert "Of 25 March 2026, one of 2 made along the way." in text
    for heading in ("Stress: what the portfolio held at the end", "Attribution against SPY", "Factor betas", "Drift alarms"):
        assert heading in text
    assert "the newest" in text


def test_hostile_text_of_a_watch_is_text_in_the_report(result: ReplayResult) -> None:
    text = section(replace(result, tail=tail_days({3: -0.05}), watches=(watch(HOSTILE, backtest=backtest(reason=HOSTILE)),)))
    assert "<script" not in text
    assert "<b " not in text
    assert text.count("&lt;script&gt;") >= 8


def test_six_years_of_sessions_leave_the_report_small(result: ReplayResult, tmp_path: Path) -> None:
    days = tail_days(dict.fromkeys(range(0, 1500, 19), -0.03), sessions=1500)
    write(replace(result, tail=days), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 400_000
    assert len(re.findall(r'<circle class="dot bad"', page)) == 79
