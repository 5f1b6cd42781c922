"""Portfolios that are best for a stated utility: min-max, mean-variance and minimum CVaR.

All are fully invested. The quadratic utility is w'mu - gamma w'Sigma w without the factor 1/2, so a solver with the 1/2 gets
2 gamma. Infeasible limits raise Infeasible, a solver that stops early raises NotSolved, and every quadratic result is accepted
only with a duality gap below 1e-8 of the problem's scale.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from risk import conic
from risk.box_qp import best_in_box, require_room, snap, utility_scale
from risk.errors import BadInput, Infeasible
from risk.inputs import FloatArray, aligned, covariance_array, require_confidence, require_finite, require_non_negative, returns_matrix

_CVAR_SLACK = 1e-9


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
    weights = best_in_box(means, values, aversion, lower, upper)
    if (scenarios is None) != (max_cvar is None):
        raise BadInput("scenarios and max_cvar come together")
    if scenarios is not None and max_cvar is not None:
        outcomes = _scenario_matrix(scenarios, cov.index)
        if tail_mean(outcomes @ weights, alpha) > max_cvar:
            weights = _capped_by_cvar(means, values, aversion, upper, outcomes, max_cvar, alpha)
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
    return pd.Series(_with_trading(means, values, aversion, (lower, upper), start, l1, turnover), index=cov.index)


def min_cvar(returns: pd.DataFrame, *, alpha: float = 0.95, max_weight: float = 1.0, min_return: float | None = None) -> pd.Series:
    """Long-only weights (n_assets,), sum 1, with the least Rockafellar-Uryasev CVaR_alpha over the observed returns.

    returns: (n_observations, n_assets) per period, without NaN; min_return bounds the mean return per period from below.
    CVaR here takes exactly the worst 1 - alpha of the mass. Raises BadInput, Infeasible, NotSolved.

    References: Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk, Journal of Risk 2.
    """
    outcomes = returns_matrix(returns)
    tail = require_confidence(alpha)
    size = outcomes.shape[1]
    lower, upper = _box(size, max_weight, long_only=True)
    scale = _scale(outcomes)
    rows, limits = _tail_rows(outcomes / scale)
    blocks, sides = [rows, *_box_rows(size, rows.shape[1])], [limits, upper, -lower]
    if min_return is not None:
        floor = np.concatenate([-outcomes.mean(axis=0) / scale, np.zeros(rows.shape[1] - size)])
        blocks.append(sparse.csc_matrix(floor[None, :]))
        sides.append(np.array([-min_return / scale]))
    cost = _tail_cost(size, len(outcomes), tail)
    solution = conic.minimise(
        sparse.csc_matrix((len(cost), len(cost))),
        cost,
        equal=(_sum_row(size, len(cost)), np.ones(1)),
        at_most=(sparse.vstack(blocks, format="csc"), np.concatenate(sides)),
    )
    return pd.Series(snap(solution[:size], lower, upper), index=returns.columns)


def tail_mean(returns: FloatArray, alpha: float) -> float:
    """Rockafellar-Uryasev CVaR of finite returns (n,): mean loss over exactly the worst 1 - alpha of the mass."""
    mass = require_confidence(alpha) * len(returns)
    ordered = np.sort(returns)
    whole = min(int(mass + 1e-9), len(ordered) - 1)
    return -float(ordered[:whole].sum() + (mass - whole) * ordered[whole]) / mass


def _capped_by_cvar(
    means: FloatArray, cov: FloatArray, aversion: float, upper: FloatArray, outcomes: FloatArray, max_cvar: float, alpha: float
) -> FloatArray:
    """Best utility with a bound on the CVaR of the scenarios, as one quadratic program in (w, t, u)."""
    size, scale = len(means), _scale(outcomes)
    rows, limits = _tail_rows(outcomes / scale)
    width = rows.shape[1]
    bound = _tail_cost(size, len(outcomes), require_confidence(alpha))
    unit = utility_scale(means, cov, aversion)
    quadratic = sparse.block_diag([2.0 * aversion / unit * cov, sparse.csc_matrix((width - size, width - size))], format="csc")
    solution = conic.minimise(
        quadratic,
        np.concatenate([-means / unit, np.zeros(width - size)]),
        equal=(_sum_row(size, width), np.ones(1)),
        at_most=(
            sparse.vstack([rows, sparse.csc_matrix(bound[None, :]), *_box_rows(size, width)], format="csc"),
            np.concatenate([limits, [max_cvar / scale], upper, np.zeros(size)]),
        ),
    )
    weights = snap(solution[:size], np.zeros(size), upper)
    if tail_mean(outcomes @ weights, alpha) > max_cvar + _CVAR_SLACK * max(1.0, scale):
        raise Infeasible(f"CVaR stays above {max_cvar}")
    return weights


def _with_trading(
    means: FloatArray,
    cov: FloatArray,
    aversion: float,
    box: tuple[FloatArray, FloatArray],
    start: FloatArray,
    l1: float,
    turnover: float,
) -> FloatArray:
    """Best utility after the cost of trading from `start`, as a quadratic program in (w, bought, sold)."""
    size, unit = len(means), utility_scale(means, cov, aversion)
    identity, zero = sparse.identity(size, format="csc"), sparse.csc_matrix((size, size))
    quadratic = sparse.block_diag([2.0 * aversion / unit * cov, zero, zero], format="csc")
    moves = sparse.hstack([identity, -identity, identity], format="csc")
    signs = -sparse.hstack([sparse.csc_matrix((2 * size, size)), sparse.identity(2 * size)], format="csc")
    blocks, sides = [signs, *_box_rows(size, 3 * size)], [np.zeros(2 * size), box[1], -box[0]]
    if math.isfinite(turnover):
        blocks.append(sparse.csc_matrix(np.concatenate([np.zeros(size), np.ones(2 * size)])[None, :]))
        sides.append(np.array([turnover]))
    solution = conic.minimise(
        quadratic,
        np.concatenate([-means / unit, np.full(2 * size, l1 / unit)]),
        equal=(sparse.vstack([_sum_row(size, 3 * size), moves], format="csc"), np.concatenate([[1.0], start])),
        at_most=(sparse.vstack(blocks, format="csc"), np.concatenate(sides)),
    )
    return snap(solution[:size], *box)


def _box(size: int, max_weight: float, *, long_only: bool) -> tuple[FloatArray, FloatArray]:
    upper = np.full(size, require_non_negative(max_weight, "max_weight"))
    lower = np.zeros(size) if long_only else -upper
    require_room(lower, upper)
    return lower, upper


def _scenario_matrix(scenarios: pd.DataFrame | npt.ArrayLike, labels: pd.Index) -> FloatArray:
    if isinstance(scenarios, pd.DataFrame):
        if not scenarios.columns.is_unique or not labels.isin(scenarios.columns).all():
            raise BadInput("scenarios lack assets of the covariance, or hold one twice")
        scenarios = scenarios[list(labels)].to_numpy()
    outcomes = np.asarray(scenarios, dtype=np.float64)
    if outcomes.ndim != 2 or outcomes.shape[1] != len(labels) or len(outcomes) == 0:
        raise BadInput(f"scenarios of shape {outcomes.shape} for {len(labels)} assets")
    require_finite(outcomes, labels, "scenarios")
    return outcomes


def _tail_rows(outcomes: FloatArray) -> tuple[sparse.csc_matrix, FloatArray]:
    """The shortfalls u >= -r'w - t and u >= 0, as rows over (w, t, u)."""
    count, size = outcomes.shape
    shortfalls = sparse.hstack([sparse.csc_matrix(-outcomes), -np.ones((count, 1)), -sparse.identity(count)])
    signs = sparse.hstack([sparse.csc_matrix((count, size + 1)), -sparse.identity(count)])
    return sparse.vstack([shortfalls, signs], format="csc"), np.zeros(2 * count)


def _tail_cost(size: int, count: int, tail: float) -> FloatArray:
    """The CVaR t + sum(u) / (tail n) as coefficients of (w, t, u)."""
    return np.concatenate([np.zeros(size), [1.0], np.full(count, 1.0 / (tail * count))])


def _box_rows(size: int, width: int) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
    rows = sparse.hstack([sparse.identity(size), sparse.csc_matrix((size, width - size))], format="csc")
    return rows, -rows


def _sum_row(size: int, width: int) -> sparse.csc_matrix:
    return sparse.csc_matrix(np.concatenate([np.ones(size), np.zeros(width - size)])[None, :])


def _scale(outcomes: FloatArray) -> float:
    return float(np.abs(outcomes).mean()) or 1.0
