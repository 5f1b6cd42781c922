"""Portfolios that stay as close to a benchmark as a client's exclusions and caps allow."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import LinAlgError, cho_solve, cholesky

from risk.errors import BadInput, Infeasible
from risk.inputs import BoolArray, FloatArray, IntArray, aligned, covariance_array
from risk.kernels import kernel
from risk.nearest import RESIDUAL, Nearest

_SUM_TOLERANCE = 1e-6
_LEAST_PIVOT = 1e-10
_CLIENTS_AT_ONCE = 1024


def track(
    cov: pd.DataFrame,
    benchmark: pd.Series,
    *,
    excluded: Iterable[object] = (),
    max_weight: float | pd.Series = 1.0,
    min_weight: float | pd.Series = 0.0,
    sectors: pd.Series | None = None,
) -> pd.Series:
    """The long-only portfolio (n_assets,), sum 1, with the least tracking variance (w - b)'Sigma(w - b) to a benchmark b.

    cov: (n_assets, n_assets), PSD; the weights do not depend on its unit. benchmark: (n_assets,), by asset, any sign; its sum must be
    1 within 1e-6, and is then scaled to 1. excluded: labels of `cov` whose weight is exactly 0. max_weight: one cap or one by asset;
    the caps hold beside the exclusions. min_weight: one least weight or one by asset, not above the cap, 0 for what is excluded.
    sectors: (n_assets,) names; the sum of each sector's weights equals the benchmark's. Without exclusions and bounds that bind, the
    benchmark itself. Where a singular covariance leaves a choice, one close to it.

    The solution is exact: an active set whose optimality conditions hold within 1e-12 of the largest variance, checked afterwards.
    Raises BadInput (NaN, labels that differ or are unknown, a benchmark that does not sum to 1, negative bounds), NotPSD, Infeasible
    (naming the sector, the sum of the caps or of the least weights, or the asset whose least weight it may not have), NotSolved.

    References: Roll (1992), A mean/variance analysis of tracking error, J. Portfolio Management 18.
    """
    values, target = _problem(cov, benchmark)
    out = _excluded(excluded, cov.index)
    upper = np.where(out, 0.0, np.minimum(_bounds(max_weight, cov.index, "max_weight"), 1.0))
    lower = _bounds(min_weight, cov.index, "min_weight")
    group, names = (np.zeros(len(target), dtype=np.int64), None) if sectors is None else _groups(sectors, cov.index)
    totals = np.ones(1) if names is None else _sums(target, group, len(names))
    _require_room(upper, out, group, totals, names)
    _require_leeway(lower, upper, cov.index, group, totals, names)
    # What is above the least weights is nearest to what the benchmark has above them.
    above = np.maximum(totals - _sums(lower, group, len(totals)), 0.0)
    nearest = Nearest(cov=values, target=target - lower, upper=upper - lower, group=group, totals=above)
    return pd.Series(np.minimum(nearest.solve() + lower, upper), index=cov.index)


def track_many(cov: pd.DataFrame, benchmark: pd.Series, excluded: npt.NDArray[np.bool_]) -> FloatArray:
    """`track` for many clients at once, each with exclusions of its own: weights (n_clients, n_assets) in the order of `cov`.

    excluded: (n_clients, n_assets), True where a client may not hold an asset. No caps, no sectors; every row passes the same check
    as `track`, and those that the shared matrix does not settle to 1e-12 are solved on their own.
    Raises as `track`; Infeasible names the rows in which everything is excluded.
    """
    values, target = _problem(cov, benchmark)
    barred = np.asarray(excluded)
    if barred.dtype != np.bool_ or barred.ndim != 2 or barred.shape[1] != len(target):
        raise BadInput(f"excluded is {barred.dtype} of shape {barred.shape}, not bool of (n_clients, {len(target)})")
    barren = np.flatnonzero(barred.all(axis=1))
    if len(barren):
        raise Infeasible(f"every asset is excluded for the clients in rows {barren[:5].tolist()}")
    weights, shared = np.zeros(barred.shape), _shared_matrix(values)
    for start in range(0, len(barred), _CLIENTS_AT_ONCE):
        rows = slice(start, start + _CLIENTS_AT_ONCE)
        _fill(values, target, shared, np.array(barred[rows], order="C"), weights[rows])
    return weights


def _problem(cov: pd.DataFrame, benchmark: pd.Series) -> tuple[FloatArray, FloatArray]:
    """The covariance (n, n) with its largest variance scaled to 1, and the benchmark (n,) with its sum."""
    values = covariance_array(cov)
    target = aligned(benchmark, cov.index, "benchmark")
    total = math.fsum(target)
    if abs(total - 1.0) > _SUM_TOLERANCE:
        raise BadInput(f"the benchmark's weights sum to {total:.9g}, not 1")
    largest = float(np.diagonal(values).max())
    return values / largest if largest > 0 else values, target / total


def _bounds(given: float | pd.Series, labels: pd.Index, name: str) -> FloatArray:
    """A bound on the weight of each asset (n,), not negative."""
    if not isinstance(given, pd.Series):
        given = pd.Series(float(given), index=labels)
    bounds = aligned(given, labels, name)
    wrong = bounds < 0
    if wrong.any():
        raise BadInput(f"{name} must not be negative, as at {[str(label) for label in labels[wrong][:5]]}")
    return bounds


def _excluded(excluded: Iterable[object], labels: pd.Index) -> BoolArray:
    """Which assets (n,) may not be held."""
    names = [excluded] if isinstance(excluded, str) else list(excluded)
    unknown = [str(name) for name in names if name not in labels]
    if unknown:
        raise BadInput(f"excluded names that the covariance does not carry: {unknown[:5]}")
    mask: BoolArray = np.asarray(labels.isin(names), dtype=np.bool_)
    return mask


def _groups(sectors: pd.Series, labels: pd.Index) -> tuple[IntArray, list[str]]:
    """Each asset's sector (n,) as a number, and the sectors' names, in the order in which the assets bring them."""
    if len(sectors) != len(labels) or not sectors.index.is_unique or not labels.isin(sectors.index).all():
        odd = sorted(map(str, sectors.index.symmetric_difference(labels)))[:5]
        raise BadInput(f"sectors do not carry the labels of the covariance, each once; differing: {odd}")
    group, names = pd.factorize(sectors.reindex(labels).to_numpy(dtype=object))
    if (group < 0).any():
        raise BadInput(f"no sector at {[str(label) for label in labels[group < 0][:5]]}")
    return group.astype(np.int64), [str(name) for name in names]


def _sums(values: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    return np.array([math.fsum(values[group == g]) for g in range(n_groups)])


def _require_room(upper: FloatArray, out: BoolArray, group: IntArray, totals: FloatArray, names: list[str] | None) -> None:
    """Raise Infeasible unless the bounds (n,) leave every group its total (n_groups,)."""
    rooms = _sums(upper, group, len(totals))
    for g, (room, total) in enumerate(zip(rooms.tolist(), totals.tolist(), strict=True)):
        where = "" if names is None else f" in the sector {names[g]!r}"
        if total < -RESIDUAL:
            raise Infeasible(f"the benchmark is short{where}: {total:.6g} of it, which no long-only portfolio matches")
        if room < total - RESIDUAL and out[group == g].all():
            raise Infeasible(f"every asset{where} is excluded, and the benchmark has a weight of {total:.6g} there")
        if room < total - RESIDUAL:
            raise Infeasible(f"max_weight leaves room for {room:.6g}{where}, and {total:.6g} is needed: relax max_weight or the exclusions")


def _require_leeway(
    lower: FloatArray, upper: FloatArray, labels: pd.Index, group: IntArray, totals: FloatArray, names: list[str] | None
) -> None:
    """Raise Infeasible unless the least weights (n,) fit below the caps (n,) and, group by group, into the totals (n_groups,)."""
    wrong = lower > upper
    if wrong.any():
        raise Infeasible(f"min_weight is above what the caps and exclusions allow at {[str(label) for label in labels[wrong][:5]]}")
    for g, (least, total) in enumerate(zip(_sums(lower, group, len(totals)).tolist(), totals.tolist(), strict=True)):
        if least > max(total, 0.0) + RESIDUAL:
            where = "" if names is None else f" in the sector {names[g]!r}"
            raise Infeasible(f"min_weight asks for {least:.6g}{where}, and there is {total:.6g}: relax min_weight")


def _shared_matrix(cov: FloatArray) -> FloatArray | None:
    """The upper left block (n, n) of the inverse of [[Sigma, 1], [1', 0]]; None for a covariance singular to working precision."""
    try:
        factor = cholesky(cov, lower=True, check_finite=False)
    except LinAlgError:
        return None
    if not (np.diagonal(factor) ** 2 > _LEAST_PIVOT * np.diagonal(cov)).all():
        return None
    inverse = cho_solve((factor, True), np.eye(len(cov)), check_finite=False)
    sums = inverse.sum(axis=0)
    block = inverse - np.outer(sums, sums / sums.sum())
    return np.ascontiguousarray((block + block.T) / 2)


def _fill(cov: FloatArray, target: FloatArray, shared: FloatArray | None, barred: BoolArray, weights: FloatArray) -> None:
    """Solve the clients of one block (n_clients, n_assets) into `weights`, and those that fail the check once more, one by one."""
    if shared is None:
        again = np.arange(len(barred))
    else:
        unsettled = kernel("tracking").nearest(shared, target, barred, weights)
        again = np.union1d(unsettled, np.flatnonzero(~_optimal(cov, target, barred, weights)))
    for row in again.tolist():
        upper = np.where(barred[row], 0.0, 1.0)
        group, totals = np.zeros(len(target), dtype=np.int64), np.ones(1)
        weights[row] = Nearest(cov=cov, target=target, upper=upper, group=group, totals=totals).solve()


def _optimal(cov: FloatArray, target: FloatArray, barred: BoolArray, weights: FloatArray) -> BoolArray:
    """Which clients' weights (n_clients, n_assets) sum to 1 and gain nothing more by moving weight from any asset to any other."""
    pull = (weights - target) @ cov
    givers = np.where(weights > 0.0, pull, -np.inf).max(axis=1)
    takers = np.where(barred | (weights >= 1.0), np.inf, pull).min(axis=1)
    fine: BoolArray = (givers - takers <= RESIDUAL) & (np.abs(weights.sum(axis=1) - 1.0) <= RESIDUAL)
    return fine
