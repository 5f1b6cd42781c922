"""The watch in metrics: set by each watch, and from the stored one when the daemon starts."""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from daemon.metrics import Metrics
from daemon.runtime import Runtime
from daemon.watch.scenarios import FACTORS, SCENARIOS


def restore(rt: Runtime) -> None:
    """Show the newest stored watch, so that a restart leaves no gap until the next one."""
    row = rt.db.row("risk_watch_last")
    if row is not None:
        show(rt.metrics, row["watch"], row["at"], frozenset(rt.strategies))


def show(metrics: Metrics, watch: Mapping[str, Any], at: datetime, strategies: Collection[str]) -> None:
    """Set every gauge of a watch, given as JSON. A figure that is undefined now is NaN where it once was known, else absent."""
    test, state, active = watch["backtest"], watch["correlation"], watch["attribution"]
    _set(metrics, "allocd_risk_var_exceptions", test["exceptions"])
    _set(metrics, "allocd_risk_var_backtest_observations", test["observations"])
    _set(metrics, "allocd_risk_var_backtest_failing", float(test["failing"]))
    for name in ("kupiec", "independence", "coverage"):
        _set(metrics, "allocd_risk_var_backtest_p_value", test[f"{name}_p"], test=name)
    _show_drifts(metrics, watch["drifts"], strategies)
    stresses = {line["name"]: line["portfolio_return"] for line in watch["stresses"]}
    for name in SCENARIOS:
        value = stresses.get(name)
        _set(metrics, "allocd_risk_stress_loss_ratio", None if value is None else 0.0 - value, scenario=name)
    betas = {beta["factor"]: beta["beta"] for beta in watch["betas"]}
    for name in FACTORS:
        _set(metrics, "allocd_risk_factor_beta", betas.get(name), factor=name)
    _set(metrics, "allocd_risk_active_return_ratio", active and active["active_return"])
    _set(metrics, "allocd_risk_correlation_ratio", state and state["average"])
    _set(metrics, "allocd_risk_correlation_crisis", state and float(state["crisis"]))
    metrics.set("allocd_risk_watch_timestamp_seconds", at.timestamp())


def _show_drifts(metrics: Metrics, drifts: list[dict[str, Any]], strategies: Collection[str]) -> None:
    """The worst of each strategy, of those with enough values to mean something."""
    for strategy in sorted(strategies):
        mine = [d for d in drifts if d["strategy"] == strategy]
        for subject in ("input", "returns"):
            known = [d["psi"] for d in mine if d["subject"] == subject and d["psi"] is not None and (d["alarm"] or not d["reason"])]
            _set(metrics, "allocd_strategy_drift_psi", max(known, default=None), strategy=strategy, subject=subject)
        _set(metrics, "allocd_strategy_drift_alarm", float(any(d["alarm"] for d in mine)), strategy=strategy)


def _set(metrics: Metrics, name: str, value: float | None, **labels: str) -> None:
    if value is not None:
        metrics.set(name, float(value), **labels)
    elif metrics.value(name, **labels) is not None:
        metrics.set(name, math.nan, **labels)
