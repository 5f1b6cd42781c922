"""Weights that give every asset its share of the risk."""

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve

from risk.errors import BadInput, NotSolved
from risk.inputs import FloatArray, aligned, covariance_array
from risk.kernels import kernel

_FIRST_SWEEPS = 40
_MAX_ROUNDS = 60
_TARGET = 1e-13
_ACCEPTED = 1e-10


def risk_parity(cov: pd.DataFrame, budgets: pd.Series | None = None) -> pd.Series:
    """Long-only weights (n_assets,), sum 1, whose shares of the variance are `budgets`: w_i (Sigma w)_i / w'Sigma w = b_i.

    They are x / sum(x), with x the minimum of x'Sigma x / 2 - sum_i b_i log x_i over x > 0, which is unique for budgets that are all
    positive. The shares meet the budgets within 1e-10 (in practice 1e-13 of each budget), or there is no result.

    cov: (n_assets, n_assets), PSD, any unit: the weights do not depend on its scale; singular is fine. budgets: (n_assets,), by asset,
    not negative, scaled to sum 1, equal without them; 1e-12 beside 1 is fine. A zero budget drops the asset: its weight is exactly 0.
    Raises BadInput (NaN, labels that differ, negative budgets, an asset with a budget but without variance), NotPSD, and NotSolved
    where no such portfolio exists: where some long-only one has no risk at all, as for perfect hedges.

    References: Maillard, Roncalli & Teiletche (2010), The properties of equally weighted risk contribution portfolios; Spinu
    (2013), An algorithm for computing risk parity weights; Griveau-Billion, Richard & Roncalli (2013), A fast algorithm for computing
    high-dimensional risk parity portfolios.
    """
    values = covariance_array(cov)
    shares = np.ones(len(values)) if budgets is None else aligned(budgets, cov.index, "budgets")
    if (shares < 0).any():
        raise BadInput(f"negative budgets at {[str(label) for label in cov.index[shares < 0][:5]]}")
    if not shares.any():
        raise BadInput("budgets are all zero")
    idle = (np.diagonal(values) <= 0) & (shares > 0)
    if idle.any():
        raise BadInput(f"no variance to budget at {[str(label) for label in cov.index[idle][:5]]}")
    return pd.Series(budget_weights(values, shares), index=cov.index)


def budget_weights(cov: FloatArray, budgets: FloatArray) -> FloatArray:
    """Risk-budget weights (n,), sum 1, of a PSD covariance (n, n) and budgets (n,) >= 0, not all zero; zero where the budget is.

    What has a budget must have a variance. Raises NotSolved.
    """
    held = np.flatnonzero(budgets > 0)
    inverse = 1.0 / np.sqrt(np.diagonal(cov)[held])
    correlation = kernel("risk_parity").scaled_block(np.require(cov, requirements=["C", "W"]), held, inverse)
    relative = budgets[held] / budgets.max()
    weights = np.zeros(len(cov))
    weights[held] = _solve(correlation, relative / relative.sum()) * inverse
    weights /= weights.sum()
    if not abs(float(weights.sum()) - 1.0) <= 1e-9:
        raise NotSolved(f"risk parity of {len(held)} assets ended with weights that sum to {weights.sum():.6g}")
    return weights


def risk_contributions(weights: pd.Series, cov: pd.DataFrame) -> pd.Series:
    """Share of each asset (n_assets,) in the variance of the portfolio, w_i (Sigma w)_i / w'Sigma w, sum 1.

    weights: (n_assets,), short ones allowed; cov: (n_assets, n_assets), PSD. NaN for a portfolio without variance.
    Raises BadInput (NaN, labels that differ), NotPSD.

    References: Maillard, Roncalli & Teiletche (2010), The properties of equally weighted risk contribution portfolios.
    """
    values = covariance_array(cov)
    held = aligned(weights, cov.index, "weights")
    values, held = _near_one(values), _near_one(held)
    parts = held * (values @ held)
    total = float(parts.sum())
    floor = np.finfo(np.float64).eps * float(np.abs(held).sum() ** 2 * np.abs(values).max())
    return pd.Series(parts / total if total > floor else np.full(len(parts), np.nan), index=cov.index)


def _near_one(values: FloatArray) -> FloatArray:
    """Values over the power of two that brings the largest to between 1/2 and 1: products neither overflow nor lose digits."""
    scaled: FloatArray = np.ldexp(values, -int(np.frexp(np.abs(values).max())[1]))
    return scaled


def _solve(correlation: FloatArray, budgets: FloatArray) -> FloatArray:
    """The positive x (n,) with x_i (C x)_i = b_i: the minimum of x'Cx / 2 - b'log x, for budgets (n,) that sum to 1.

    Coordinate descent alone settles nearly every problem. What it leaves, nearly singular ones, gets Newton steps with a few sweeps
    after each, until every share is met to 1e-13 of its budget or rounding allows no better. The error is in shares of the risk.
    """
    loops = kernel("risk_parity")
    x, pull = _start(correlation, budgets)
    loops.descend(correlation, budgets, x, pull, _FIRST_SWEEPS, _TARGET)
    best, error = x, np.inf
    for _ in range(_MAX_ROUNDS):
        loops.multiply(correlation, x, pull)
        miss = np.abs(x * pull - budgets)
        previous, error = error, float(miss.max())
        if (miss <= _TARGET * budgets).all():
            return x
        if error < _ACCEPTED and not error < 0.5 * previous:
            return x if error < previous else best
        best = x
        x = _newton(correlation, budgets, x, pull)
        loops.multiply(correlation, x, pull)
        loops.descend(correlation, budgets, x, pull, 3, _TARGET)
    raise NotSolved(f"risk parity stopped at an error of {error:.3g} in the shares: no long-only portfolio meets the budgets to 1e-10")


def _start(correlation: FloatArray, budgets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A first x (n,), in proportion to the roots of the budgets and with the risk of the solution (1) unless they hedge; and C x."""
    roots, pull = np.sqrt(budgets), np.empty(len(budgets))
    loops = kernel("risk_parity")
    loops.multiply(correlation, roots, pull)
    x: FloatArray = roots / np.sqrt(max(float(roots @ pull), 1.0 / len(budgets) ** 2))
    loops.multiply(correlation, x, pull)
    return x, pull


def _newton(correlation: FloatArray, budgets: FloatArray, x: FloatArray, pull: FloatArray) -> FloatArray:
    """The next iterate (n,): a Newton step, cut before the boundary and halved until the objective falls (Armijo).

    In units of s_i = x_i / sqrt(b_i) the Hessian is I + sCs, whose eigenvalues are at least 1 however singular C is.
    """
    roots = np.sqrt(budgets)
    scale = x / roots
    hessian = correlation * scale[:, None] * scale
    hessian.flat[:: len(x) + 1] += 1.0
    downhill = roots - scale * pull
    try:
        direction = scale * cho_solve(cho_factor(hessian, lower=True, overwrite_a=True, check_finite=False), downhill, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise NotSolved("risk parity met a singular system: no long-only portfolio meets the budgets") from error
    shrinking = float((-direction / x).max())
    length = min(1.0, 0.99 / shrinking) if shrinking > 0 else 1.0
    slope, value = float((pull - budgets / x) @ direction), _objective(correlation, budgets, x)
    for _ in range(40):
        candidate: FloatArray = x + length * direction
        # Near the optimum the gain drowns in rounding, and the full step is the right one.
        if _objective(correlation, budgets, candidate) <= value + 1e-4 * length * slope + 1e-14 * (1.0 + abs(value)):
            break
        length /= 2
    return candidate


def _objective(correlation: FloatArray, budgets: FloatArray, x: FloatArray) -> float:
    return 0.5 * float(x @ correlation @ x) - float(budgets @ np.log(x))
