"""Results as plain values that any JSON reader accepts."""

import json
import math
from decimal import Decimal

import pandas as pd
import pytest

from daemon.decision import NOTHING, Decision
from daemon.forecast import Forecast
from daemon.market_regime import MarketRegime
from daemon.report_data import allocation_json, decision_json, finite, series_json
from risk.base import Allocation, Bound, Step


def allocation(**changes: object) -> Allocation:
    """Two sleeves, of which one took no part."""

    def by_sleeve(a: float, b: float) -> pd.Series:
        return pd.Series({"a": a, "b": b})

    values: dict[str, object] = {
        "capital": by_sleeve(0.25, 0.0), "sleeve_weights": pd.DataFrame({"X": [0.25, 0.0]}, index=["a", "b"]),
        "weights": pd.Series({"X": 0.25}), "prior": by_sleeve(0.04, math.nan), "views": by_sleeve(0.05, math.nan),
        "confidence": by_sleeve(0.5, math.nan), "posterior": by_sleeve(0.045, math.nan), "covariance": pd.DataFrame(),
        "optimizer_weights": by_sleeve(1.0, 0.0), "budgets": by_sleeve(1.0, 0.0), "planned": by_sleeve(1.0, 0.0),
        "ramp": by_sleeve(1.0, 0.3), "var95": 0.01, "cvar95": math.nan, "volatility": 0.1, "gross": 0.25, "turnover": math.nan,
        "drawdown_frac": 0.0, "steps": (Step(step="planned", gross=1.0), Step(step="sleeve", gross=0.25)), "regime_delta": math.inf,
        "rung": "full", "bound": (Bound(limit="sleeve", subject="a", before=1.0, after=0.25),), "excluded": {"b": "in cash"},
    }  # fmt: skip
    return Allocation(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "expected"), [(0.1, 0.1), (0, 0.0), (math.nan, None), (math.inf, None), (-math.inf, None)])
def test_a_number_that_json_cannot_hold_becomes_null(value: float, expected: float | None) -> None:
    assert finite(value) == expected


def test_a_series_keeps_its_labels_and_missing_values_become_null() -> None:
    assert series_json(pd.Series({"a": 1.5, "b": math.nan, 3: 2.0})) == {"a": 1.5, "b": None, "3": 2.0}
    assert series_json(pd.Series(dtype="float64")) == {}


def test_an_infinite_value_of_a_series_becomes_null_too() -> None:
    assert series_json(pd.Series({"a": math.inf, "b": -math.inf})) == {"a": None, "b": None}


def test_a_session_without_an_allocation_stores_nothing() -> None:
    assert allocation_json(None) == {}


def test_an_allocation_is_strict_json_that_names_what_bound_and_who_was_left_out() -> None:
    stored = json.loads(json.dumps(allocation_json(allocation()), allow_nan=False))
    assert stored["capital"] == {"a": 0.25, "b": 0.0}
    assert stored["prior"] == {"a": 0.04, "b": None}
    assert (stored["var95"], stored["cvar95"], stored["regime_delta"]) == (0.01, None, None)
    assert stored["bound"] == [{"limit": "sleeve", "subject": "a", "before": 1.0, "after": 0.25}]
    assert stored["excluded"] == {"b": "in cash"}
    assert (stored["rung"], stored["rung_reason"]) == ("full", "")
    assert (stored["planned"], stored["ramp"]) == ({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.3})
    assert (stored["volatility"], stored["turnover"], stored["drawdown_frac"]) == (0.1, None, 0.0)
    assert stored["steps"] == [{"step": "planned", "gross": 1.0}, {"step": "sleeve", "gross": 0.25}]


def test_a_decision_is_stored_with_its_forecast_and_regime_on_every_session() -> None:
    regime = MarketRegime(delta=0.4, probability=math.nan, source="volatility ratio", model="")
    forecast = Forecast(var95=0.01, cvar95=0.015, var99=0.02, volatility=0.007, n_sessions=252)
    decision = Decision(
        evaluations=(), books=(), marks=(), allocation=None, plan=NOTHING, nav=Decimal("100.50"), prices={}, reason="nothing due",
        forecast=forecast, regime=regime,
    )  # fmt: skip
    assert json.loads(json.dumps(decision_json(decision), allow_nan=False)) == {
        "reason": "nothing due",
        "nav_usd": "100.50",
        "regime": {"delta": 0.4, "probability": None, "source": "volatility ratio", "model": ""},
        "forecast": {"var95": 0.01, "cvar95": 0.015, "var99": 0.02, "volatility": 0.007, "n_sessions": 252},
    }
