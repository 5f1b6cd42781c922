"""The risk sections of the dashboard: what the watch found is shown, ordered and judged; nothing known makes a page as well."""

import json
import math
import re
import time
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.dashboard.charts import tail_chart
from daemon.dashboard.figures import chance
from daemon.dashboard.page import render, verdict
from daemon.dashboard.risk_state import RiskState
from daemon.dashboard.risk_view import backtest_verdict, by_strategy, effect, limit_grade, risk_view, scenario_name, total, worst_first
from daemon.dashboard.snapshot import allocation_json, as_json, risk_json
from daemon.watch.result import Stress
from daemon.watch.stored import watch_from_json
from daemon.watch.tail import judged
from tests.unit.daemon.risk_states import allocation, backtest, drift, state, tail_days, watch
from tests.unit.daemon.test_dashboard import EMPTY, HOSTILE, full
from tests.unit.daemon.test_report import Outside


def test_hostile_text_of_a_watch_and_an_allocation_is_shown_as_text() -> None:
    page = render(replace(full(HOSTILE), risk=state(HOSTILE)))
    assert "<script" not in page
    assert "<b " not in page
    assert page.count("&lt;script&gt;") >= 30


def test_the_risk_sections_need_no_script_no_style_attribute_and_no_other_file() -> None:
    page = render(replace(full(), risk=state()))
    assert not re.search(r"<[^>]+\s(style|on\w+|src)=", page)
    assert "<script" not in page


def test_without_a_watch_the_page_says_so_and_invents_no_figure() -> None:
    page = render(EMPTY)
    for sentence in ("The risk watch has not run yet.", "No allocation has been made yet.", "No betas yet.", "No limit is in use yet."):
        assert sentence in page
    assert not re.search(r"\bnan\b|None", page)


def test_a_watch_in_which_every_part_is_missing_makes_a_page() -> None:
    bare = watch_from_json({"session": "2026-03-25", "missing": {"betas": "needs 252 sessions"}})
    page = render(replace(full(), risk=RiskState(watch=bare)))
    assert "Too early to judge the VaR" in page
    assert "betas (needs 252 sessions)" in page
    assert not re.search(r"\bnan\b|None", page)


def test_a_watch_is_read_back_from_its_json_unchanged() -> None:
    made = watch()
    assert watch_from_json(json.loads(json.dumps(made.as_json()))).as_json() == made.as_json()


def test_a_field_that_a_later_version_added_or_an_earlier_one_lacked_does_not_stop_the_reading() -> None:
    stored = watch().as_json()
    stored["backtest"]["spare"] = 1
    del stored["stresses"][0]["note"]
    del stored["betas"][0]["t_statistic"]
    found = watch_from_json(stored)
    assert (found.stresses[0].note, found.betas[0].t_statistic) == ("", None)


def test_an_effect_that_could_not_be_worked_out_is_a_dash_and_stops_no_page() -> None:
    stored = watch().as_json()
    stored["attribution"]["effects"][0]["selection"] = None
    found = watch_from_json(stored)
    page = render(replace(full(), risk=RiskState(watch=found)))
    assert not re.search(r"\bnan\b|None", page)
    assert found.as_json() == stored


def test_the_verdict_at_the_top_tells_of_alarms_and_how_many() -> None:
    well = replace(EMPTY, components={"postgres": (True, "")}, ready=True)
    one = replace(well, risk=RiskState(watch=watch(alarms=("VaR back-test: too low",))))
    three = replace(well, risk=RiskState(watch=watch(alarms=("a drifted", "b drifted", "c drifted"))))
    none = replace(well, risk=RiskState(watch=watch(alarms=())))
    assert verdict(one) == ("warn", "Risk watch: VaR back-test: too low")
    assert verdict(three) == ("warn", "Risk watch: a drifted (and 2 more)")
    assert verdict(none) == ("good", "All is well")
    assert verdict(replace(three, halted=True, halt_reason="drawdown"))[0] == "bad"


def test_the_backtest_of_a_steady_var_is_judged_in_words() -> None:
    hits = dict.fromkeys((5, 25, 45, 65), -0.03)
    grade, sentence = backtest_verdict(judged(tail_days(hits)))
    assert (grade, sentence) == ("good", "The VaR keeps its promise: 4 losses beyond it in 80 sessions, 4.0 expected.")


def test_a_var_that_is_exceeded_on_every_fourth_day_is_a_warning() -> None:
    grade, sentence = backtest_verdict(judged(tail_days(dict.fromkeys(range(0, 80, 4), -0.03))))
    assert grade == "warn"
    assert sentence.startswith("The forecast does not keep its promise: the VaR is too low: 20 losses")


def test_a_backtest_of_a_few_days_is_no_verdict() -> None:
    grade, sentence = backtest_verdict(judged(tail_days({0: -0.03, 1: -0.03}, sessions=7)))
    assert grade == "mute"
    assert sentence.startswith("Too early to judge the VaR: 7 sessions")


def test_an_exception_is_drawn_bad_with_a_dot_at_its_loss_and_a_return_above_the_var_is_not() -> None:
    days = [date(2026, 1, 5) + timedelta(days=number) for number in range(4)]
    chart = tail_chart(days, np.array([0.01, -0.01, -0.03, np.nan]), np.array([0.02, 0.02, 0.02, 0.02]), str, label="tail", height=148)
    assert re.findall(r'<circle class="dot bad" cx="([\d.]+)%"', chart) == ["62.50"]
    ((normal, bad),) = [re.findall(r'class="stem (?:c1|bad)"[^>]* d="([^"]*)"', chart)]
    assert (normal.count("M"), bad.count("M")) == (2, 1)
    (zero, end) = map(float, re.fullmatch(r"M625\.0,([\d.]+)V([\d.]+)", bad).groups())  # type: ignore[union-attr]
    assert end == 100.0
    assert zero < end


MAYBE = st.one_of(st.just(math.nan), st.floats(-0.5, 0.5))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(values=st.lists(st.tuples(MAYBE, MAYBE), max_size=300))
def test_whatever_the_days_hold_the_chart_is_well_formed_and_marks_exactly_the_losses_beyond_the_var(
    values: list[tuple[float, float]],
) -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(len(values))]
    returns, var = np.array(values, dtype=np.float64).reshape(-1, 2).T
    chart = tail_chart(days, returns, np.abs(var), lambda value: f"{value:.3g}", label="a & b")
    ElementTree.fromstring(str(chart))
    assert not re.search(r"nan|inf", str(chart))
    if len(values) >= 2:
        assert chart.count("<circle") == sum(r < -abs(v) for r, v in values)


def test_the_elements_of_a_full_page_nest() -> None:
    outside = Outside()
    outside.feed(render(replace(full(), risk=state())))
    assert outside.open == []


def test_days_without_a_forecast_are_no_exceptions() -> None:
    days = [date(2026, 1, 5), date(2026, 1, 6)]
    chart = tail_chart(days, np.array([-0.5, -0.4]), np.array([np.nan, 0.02]), str, label="tail")
    assert chart.count("<circle") == 1


def test_stresses_are_listed_from_the_greatest_loss_and_those_without_a_figure_are_named_below() -> None:
    rows = [
        Stress(name=name, kind="history", portfolio_return=value, max_drawdown=None, covered=None)
        for name, value in [("mild", -0.01), ("unknown", None), ("gain", 0.05), ("crash", -0.4)]
    ]
    assert [row.name for row in worst_first(rows)] == ["crash", "mild", "gain"]
    page = render(replace(full(), risk=RiskState(watch=watch(stresses=rows))))
    assert page.index("<th>gain</th>") < page.index("Without a figure:") < page.index(">unknown<")


def test_drift_has_a_row_per_strategy_with_its_furthest_input_and_alarms_first() -> None:
    rows = by_strategy(
        [
            drift("b", "bars.volume", psi=0.1),
            drift("b", "bars.returns", psi=0.3),
            drift("b", "shadow returns", subject="returns", psi=0.02),
            drift("c", "trades.amount", psi=0.26, alarm=True),
            drift("c", "bars.returns", psi=0.3),
            drift("a", "trades.amount", psi=None, reason="12 values"),
            drift("d", "bars.volume", psi=0.1),
            drift("d", "bars.returns", psi=2.9, reason="13 values"),
            drift("d", "shadow returns", subject="returns", psi=1.6, reason="5 values"),
        ]
    )
    assert [row.strategy for row in rows] == ["c", "a", "b", "d"]
    assert [row.inputs.name if row.inputs else None for row in rows] == ["trades.amount", "trades.amount", "bars.returns", "bars.volume"]
    assert [row.verdict for row in rows] == [
        "drifted: trades.amount", "trades.amount: 12 values", "as before", "as before; shadow returns: 5 values",
    ]  # fmt: skip


def test_the_lines_of_the_attribution_as_shown_add_up_to_the_active_return() -> None:
    shown = render(replace(full(), risk=state()))
    table = shown[shown.index("<h2>Attribution") : shown.index("Brinson-Fachler")]
    figures = [float(cell.replace("−", "-").rstrip("%")) for cell in re.findall(r"<td>([+−]?[\d.]+%)</td></tr>", table)]
    cash, plain, sums, own, benchmark, active = figures
    assert cash + plain == pytest.approx(sums, abs=0.011)
    assert sums + own + benchmark == pytest.approx(active, abs=0.011)
    assert active == 1.26


def test_sectors_are_ordered_by_the_size_of_their_effect_and_their_sum_is_exact() -> None:
    found = risk_view(state())
    assert found.total is not None
    assert [row.sector for row in found.sectors] == ["cash", "plain"]
    assert effect(found.total) == pytest.approx(sum(effect(row) for row in found.sectors), abs=1e-15)
    assert total(None) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lehman_2008", "Lehman 2008"),
        ("benchmark_down_20", "benchmark −20%"),
        ("worst_1_session", "benchmark’s worst session"),
        ("worst_20_sessions", "benchmark’s worst 20 sessions"),
        ("vix_up_20", "VIX +20 points"),
        ("monte_carlo_99", "10 sessions at 99% confidence"),
        ("<other>", "<other>"),
    ],
)
def test_scenarios_are_called_what_a_person_calls_them(name: str, text: str) -> None:
    assert scenario_name(name) == text


@pytest.mark.parametrize(
    ("name", "used", "grade"),
    [
        ("symbol", 0.9, ""),
        ("symbol", 1.0, ""),
        ("symbol", 1.05, "warn"),
        ("symbol", 1.2, "bad"),
        ("drawdown", 0.85, "warn"),
        ("var95", 0.85, ""),
    ],
)
def test_a_limit_is_marked_by_how_far_it_is_used(name: str, used: float, grade: str) -> None:
    assert limit_grade({"name": name, "used": used, "limit": 1.0, "utilization": used}) == grade


def test_an_allocation_below_the_full_rung_says_why_on_the_page() -> None:
    low = replace(full(), risk=RiskState(allocation=allocation("no track record", rung="equal")))
    assert "Divided on the rung equal: the rungs above did not hold: no track record" in render(low)
    assert "Divided on the rung" not in render(replace(full(), risk=RiskState(allocation=allocation())))


def test_each_strategy_has_its_figures_and_the_sentence_why_it_has_them() -> None:
    page = render(replace(full(), risk=RiskState(allocation=allocation("momentum"))))
    row = page[page.index("<h2>Allocation") :]
    row = row[row.index("<tr><th>momentum</th>") :]
    row = row[: row.index("</tr>")]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert cells == ["+6.0%", "–", "30%", "+7.0%", "31.0%", "26.0%", "29.4%", "25.0%"]
    assert "<li><strong>momentum</strong> risk parity to the blended budgets gives 29.4% of NAV, capped at 25%" in page


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0004, "< 0.001"), (0.0321, "0.032"), (1.0, "1.000"), (0.0, "< 0.001")])
def test_a_p_value_has_three_decimals_and_no_false_zero(value: float | None, text: str) -> None:
    assert chance(value) == text


def test_the_status_holds_the_risk_part_as_strict_json() -> None:
    found = as_json(replace(full(), risk=state()))
    json.dumps(found, allow_nan=False)
    assert found["risk"]["watch"]["backtest"]["days"][10] == {
        "session": "2026-01-15", "var95": 0.02, "return_frac": -0.031, "exception": True,
    }  # fmt: skip
    assert found["risk"]["limits"][0]["utilization"] == 1.2
    assert as_json(EMPTY)["risk"]["watch"] is None


def test_the_risk_and_allocation_answers_are_parts_of_the_status() -> None:
    snapshot = replace(full(), risk=state())
    status = as_json(snapshot)["risk"]
    assert risk_json(snapshot) == {
        "at": snapshot.at.isoformat(), "sandbox": True, **{name: status[name] for name in ("watch", "watched_at", "forecast", "limits")},
    }  # fmt: skip
    assert allocation_json(snapshot)["allocation"] == status["allocation"]
    assert allocation_json(EMPTY)["allocation"] is None


def test_a_page_with_a_full_year_of_sessions_is_made_within_50_ms() -> None:
    snapshot = replace(full(), risk=replace(state(), watch=watch(backtest=backtest(days=tail_days({9: -0.03}, sessions=250)))))
    render(snapshot)
    spent = []
    for _ in range(5):
        began = time.process_time()
        render(snapshot)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.05
