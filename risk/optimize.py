"""Portfolios that are best for a stated utility: min-max, mean-variance and minimum CVaR.

All are fully invested. NaN, infinite values and labels that differ raise BadInput by asset; nothing is filled. The quadratic utility
is w'mu - gamma w'Sigma w without the factor 1/2, so a solver with the 1/2 gets 2 gamma. Infeasible limits raise Infeasible, a solver
that stops early raises NotSolved, and every quadratic result is accepted only with a duality gap below 1e-8 of the problem's scale.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.box_qp import best, best_in_box, require_room, utility_program
from risk.errors import BadInput, Infeasible
from risk.inputs import (
    FloatArray,
    aligned,
    covariance_array,
    numbers,
    require_confidence,
    require_finite,
    require_non_negative,
    returns_matrix,
)
from risk.tail import TailLimit, best_under_cvar, least_cvar, tail_mean
from risk.trading import best_after_trading

__all__ = ["mean_variance", "min_cvar", "min_max", "tail_mean"]

_ROUNDING = 1e-12


def min_max(
    mu: pd.Series,
    cov: pd.DataFrame,
    *,
    risk_aversion: float,
    delta: float = 0.0,
    max_weight: float = 1.0,
    scenarios: pd.DataFrame | npt.ArrayLike | None = None,
    max_cvar: float | None = None,
    alpha: float = 0.95,
) -> pd.Series:
    """Weights (n_assets,) with the best utility under the worst covariance up to (1 + delta) Sigma.

    Maximises w'mu - gamma (1 + delta) w'Sigma w, sum w = 1, 0 <= w <= max_weight. With `scenarios` (n_scenarios, n_assets), an
    array in the order of `cov` or a DataFrame by symbol, of returns per period, the Rockafellar-Uryasev CVaR_alpha of the
    scenarios stays at or below `max_cvar` (same period). Raises BadInput, NotPSD, Infeasible, NotSolved.

    References: Goldfarb & Iyengar (2003), Robust portfolio selection problems; Rockafellar & Uryasev (2000).
    """
    values = covariance_array(cov)
    means = aligned(mu, cov.index, "mu")
    aversion = require_non_negative(risk_aversion, "risk_aversion") * (1.0 + require_non_negative(delta, "delta"))
    lower, upper = _box(len(means), max_weight, long_only=True)
    if scenarios is None and max_cvar is None:
        return pd.Series(best_in_box(means, values, aversion, lower, upper), index=cov.index)
    if scenarios is None or max_cvar is None:
        raise BadInput("scenarios and max_cvar come together")
    if not math.isfinite(max_cvar):
        raise BadInput(f"max_cvar must be finite, not {max_cvar}")
    outcomes = _scenario_matrix(scenarios, cov.index)
    program, _ = utility_program(means, values, aversion, lower, upper)
    weights = best_under_cvar(program, best(program), TailLimit(outcomes=outcomes, max_cvar=max_cvar, tail=require_confidence(alpha)))
    return pd.Series(weights, index=cov.index)


def mean_variance(
    mu: pd.Series,
    cov: pd.DataFrame,
    *,
    risk_aversion: float,
    l1: float = 0.0,
    previous: pd.Series | None = None,
    max_turnover: float | None = None,
    max_weight: float = 1.0,
    long_only: bool = True,
) -> pd.Series:
    """Weights (n_assets,) that maximise w'mu - gamma w'Sigma w - l1 sum|w - previous|, sum w = 1.

    Without `previous` the l1 term is on w itself. max_turnover bounds sum|w - previous| (two-sided) and needs `previous`.
    long_only: 0 <= w <= max_weight; otherwise |w| <= max_weight. Raises BadInput, NotPSD, Infeasible, NotSolved.

    References: Markowitz (1952), Portfolio selection, Journal of Finance 7.
    """
    values = covariance_array(cov)
    means = aligned(mu, cov.index, "mu")
    aversion = require_non_negative(risk_aversion, "risk_aversion")
    lower, upper = _box(len(means), max_weight, long_only=long_only)
    if max_turnover is not None and previous is None:
        raise BadInput("max_turnover needs the previous weights")
    constant_cost = require_non_negative(l1, "l1") == 0 or (previous is None and long_only)
    if constant_cost and max_turnover is None:
        return pd.Series(best_in_box(means, values, aversion, lower, upper), index=cov.index)
    start = np.zeros(len(means)) if previous is None else aligned(previous, cov.index, "previous")
    turnover = math.inf if max_turnover is None else require_non_negative(max_turnover, "max_turnover")
    weights = best_after_trading(means, values, aversion, (lower, upper), start, cost=l1, turnover=turnover)
    return pd.Series(weights, index=cov.index)


def min_cvar(returns: pd.DataFrame, *, alpha: float = 0.95, max_weight: float = 1.0, min_return: float | None = None) -> pd.Series:
    """Long-only weights (n_assets,), sum 1, with the least Rockafellar-Uryasev CVaR_alpha over the observed returns.

    returns: (n_observations, n_assets) per period, without NaN; min_return bounds the mean return per period from below.
    CVaR here takes exactly the worst 1 - alpha of the mass. Raises BadInput, Infeasible, NotSolved.

    References: Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk, Journal of Risk 2.
    """
    outcomes = returns_matrix(returns)
    tail = require_confidence(alpha)
    lower, upper = _box(outcomes.shape[1], max_weight, long_only=True)
    if min_return is not None:
        means = outcomes.mean(axis=0)
        attainable = float(best_in_box(means, np.zeros((len(means), len(means))), 0.0, lower, upper) @ means)
        if not min_return <= attainable + _ROUNDING * float(np.abs(means).max()):
            raise Infeasible(f"min_return {min_return:.6g} is above the best mean return within reach, {attainable:.6g}")
    return pd.Series(least_cvar(outcomes, tail, lower, upper, floor=min_return), index=returns.columns)


def _box(size: int, max_weight: float, *, long_only: bool) -> tuple[FloatArray, FloatArray]:
    upper = np.full(size, require_non_negative(max_weight, "max_weight"), dtype=np.float64)
    lower = np.zeros(size) if long_only else -upper
    require_room(lower, upper)
    return lower, upper


def _scenario_matrix(scenarios: pd.DataFrame | npt.ArrayLike, labels: pd.Index) -> FloatArray:
    if isinstance(scenarios, pd.DataFrame):
        if not scenarios.columns.is_unique or not (positions := scenarios.columns.get_indexer(labels)).min() >= 0:
            raise BadInput("scenarios lack assets of the covariance, or hold one twice")
        scenarios = numbers(scenarios, "scenarios")
        if len(positions) != scenarios.shape[1] or (positions != np.arange(len(positions))).any():
            scenarios = scenarios[:, positions]
    outcomes = np.asarray(scenarios, dtype=np.float64)
    if outcomes.ndim != 2 or outcomes.shape[1] != len(labels) or len(outcomes) == 0:
        raise BadInput(f"scenarios of shape {outcomes.shape} for {len(labels)} assets")
    require_finite(outcomes, labels, "scenarios")
    return outcomes
