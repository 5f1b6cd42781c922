"""What of a watch is shown: the use of limits, and gauges that never keep a figure which is no longer true."""

import json
import math
from datetime import UTC, date, datetime

import pytest

from daemon.joblist import metrics_for
from daemon.limit_use import limit_use
from daemon.watch.alarms import alarms_of, standing
from daemon.watch.gauges import show
from daemon.watch.result import Backtest, Beta, CorrelationState, Drift, RiskWatch, Stress
from daemon.watch.tail import judged
from scrapers import DATASETS
from strategies import CATALOG

AT = datetime(2024, 1, 3, 22, tzinfo=UTC)
LIMITS = {
    "max_sleeve_frac": 0.25, "max_symbol_frac": 0.05, "max_fund_frac": 0.25, "max_gross_frac": 1.0, "max_var95_frac": 0.02,
    "max_cvar95_frac": 0.03,
}  # fmt: skip


def test_each_limit_is_used_by_the_largest_of_what_it_caps_and_funds_have_their_own():
    allocation = {
        "capital": {"a": 0.25, "b": 0.1}, "weights": {"AAA": -0.04, "BBB": 0.03, "XLE": 0.2}, "gross": 0.5, "var95": 0.01, "cvar95": None,
    }  # fmt: skip
    rows = {r["name"]: r for r in limit_use(allocation, LIMITS, {"XLE"}, 0.03, 0.15)}
    used = {name: (row["used"], pytest.approx(row["utilization"])) for name, row in rows.items()}
    assert used == {
        "sleeve": (0.25, 1.0), "symbol": (0.04, 0.8), "fund": (0.2, 0.8), "gross": (0.5, 0.5), "var95": (0.01, 0.5),
        "drawdown": (0.03, 0.2),
    }  # fmt: skip


def test_before_the_first_allocation_the_drawdown_alone_is_used():
    assert [r["name"] for r in limit_use({}, {}, set(), 0.0, 0.15)] == ["drawdown"]
    assert limit_use({}, {}, set(), None, 0.15) == []


def drift(strategy: str, name: str, alarm: bool = True, subject: str = "input", psi: float = 0.5, reason: str = "") -> Drift:
    said = "PSI 0.50 is over 0.25 and KS rejects at 0.1%" if alarm else reason
    return Drift(
        strategy=strategy, subject=subject, name=name, psi=psi, ks_p=1e-9, n_reference=2000, n_current=900, alarm=alarm, reason=said
    )


def test_one_drifted_input_of_many_strategies_is_one_alarm_and_drifted_returns_are_each_strategys_own():
    drifts = [drift("b", "bars_daily.daily_return"), drift("a", "bars_daily.daily_return"), drift("a", "x.y", alarm=False)]
    drifts += [drift(name, "shadow returns", subject="returns") for name in ("a", "b")]
    found = alarms_of(judged([]), drifts)
    assert [a.key for a in found] == ["drift:a: shadow returns", "drift:b: shadow returns", "drift:bars_daily.daily_return"]
    assert found[-1].text == (
        "bars_daily.daily_return has drifted, read by b, a: PSI 0.50 is over 0.25 and KS rejects at 0.1% (900 values against 2,000)"
    )


def test_an_alarm_keeps_its_first_session_while_its_figures_change():
    first = standing(alarms_of(judged([]), [drift("a", "x.y")]), {}, date(2024, 1, 3))
    later = standing(alarms_of(judged([]), [drift("a", "x.y", psi=0.9)]), first, date(2024, 1, 9))
    assert first["drift:x.y"]["since"] == later["drift:x.y"]["since"] == "2024-01-03"
    assert standing([], later, date(2024, 1, 10)) == {}


def made(**parts) -> RiskWatch:
    test = Backtest(
        alpha=0.95,
        observations=100,
        exceptions=9,
        expected=5.0,
        kupiec_p=0.09,
        independence_p=None,
        coverage_p=0.2,
        failing=False,
        reason="",
    )
    return RiskWatch(session=date(2024, 1, 3), backtest=test, **parts)


@pytest.fixture
def metrics():
    return metrics_for("t", {name: CATALOG[name] for name in ("congress_aggregate", "volatility_scaled_momentum")}, DATASETS, ())


def test_a_figure_that_is_undefined_is_absent_and_not_a_number_once_it_was_known(metrics):
    line, beta = (
        Stress(name="lehman_2008", kind="history", portfolio_return=-0.2, max_drawdown=-0.2, covered=1.0),
        "allocd_risk_factor_beta",
    )
    state = CorrelationState(average=0.3, concentration=0.4, crisis=False)
    show(metrics, made().as_json(), AT, ())
    assert metrics.value("allocd_risk_stress_loss_ratio", scenario="lehman_2008") is None
    assert metrics.value("allocd_risk_var_backtest_p_value", test="independence") is None
    show(metrics, made(stresses=[line], betas=[Beta(factor="size", beta=0.1, t_statistic=2.0)], correlation=state).as_json(), AT, ())
    assert metrics.value("allocd_risk_stress_loss_ratio", scenario="lehman_2008") == 0.2
    assert (metrics.value(beta, factor="size"), metrics.value("allocd_risk_correlation_ratio")) == (0.1, 0.3)
    show(metrics, made(missing={"stresses": "no prices"}).as_json(), AT, ())
    assert math.isnan(metrics.value("allocd_risk_stress_loss_ratio", scenario="lehman_2008"))
    assert math.isnan(metrics.value(beta, factor="size")) and math.isnan(metrics.value("allocd_risk_correlation_crisis"))
    assert metrics.value("allocd_risk_watch_timestamp_seconds") == AT.timestamp()


def test_the_worst_index_of_a_strategy_is_that_of_enough_values(metrics):
    drifts = [
        drift("congress_aggregate", "a.b", alarm=False, psi=0.1), drift("congress_aggregate", "a.c", alarm=False, psi=0.2),
        drift("congress_aggregate", "a.d", alarm=False, psi=9.0, reason="too few values: 3 against 4, 100 against 100 needed"),
        drift("retired", "a.b"),
    ]  # fmt: skip
    show(metrics, made(drifts=drifts).as_json(), AT, ("congress_aggregate",))
    assert metrics.value("allocd_strategy_drift_psi", strategy="congress_aggregate", subject="input") == 0.2
    assert metrics.value("allocd_strategy_drift_psi", strategy="congress_aggregate", subject="returns") is None
    assert metrics.value("allocd_strategy_drift_alarm", strategy="congress_aggregate") == 0.0


def test_a_number_that_json_has_not_is_null():
    found = made(betas=[Beta(factor="size", beta=math.nan, t_statistic=math.inf)]).as_json()
    assert found["betas"][0] == {"factor": "size", "beta": None, "t_statistic": None, "note": ""}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_watch_of_an_older_version_is_shown_without_the_scenarios_that_are_gone(metrics):
    old = made(stresses=[Stress(name="forgotten", kind="history", portfolio_return=-0.1, max_drawdown=None, covered=None)])
    show(metrics, old.as_json(), AT, ())
    assert "forgotten" not in metrics.exposition().decode()
