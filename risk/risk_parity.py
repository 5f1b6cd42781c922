"""Weights that give every asset its share of the risk."""

import math

import numpy as np
import pandas as pd

from risk.errors import BadInput, NotSolved
from risk.inputs import FloatArray, aligned, covariance_array

_MAX_STEPS = 200
_TARGET = 1e-15
_ACCEPTED = 1e-10


def risk_parity(cov: pd.DataFrame, budgets: pd.Series | None = None) -> pd.Series:
    """Long-only weights (n_assets,), sum 1, whose shares of the variance are `budgets`: w_i (Sigma w)_i / w'Sigma w = b_i.

    budgets: non-negative by asset, scaled to sum 1; equal without them. A zero budget drops the asset. Scale-free in `cov`.
    Raises BadInput (negative budgets, an asset without variance but with a budget), NotPSD, and NotSolved where no such
    portfolio exists, as for perfect hedges.

    References: Maillard, Roncalli & Teiletche (2010), The properties of equally weighted risk contribution portfolios; Spinu
    (2013), An algorithm for computing risk parity weights.
    """
    values = covariance_array(cov)
    shares = np.ones(len(values)) if budgets is None else aligned(budgets, cov.index, "budgets")
    if (shares < 0).any() or not shares.any():
        raise BadInput("budgets must not be negative, nor all zero")
    idle = (np.diagonal(values) <= 0) & (shares > 0)
    if idle.any():
        raise BadInput(f"no variance to budget at {[str(label) for label in cov.index[idle][:5]]}")
    return pd.Series(budget_weights(values, shares), index=cov.index)


def budget_weights(cov: FloatArray, budgets: FloatArray) -> FloatArray:
    """Risk-budget weights (n,), sum 1, of a PSD covariance and non-negative budgets; zero where the budget is."""
    held = np.flatnonzero(budgets > 0)
    volatility = np.sqrt(np.diagonal(cov)[held])
    correlation = cov[np.ix_(held, held)] / np.outer(volatility, volatility)
    exposure = _solve(correlation, budgets[held] / budgets[held].sum())
    weights = np.zeros(len(cov))
    weights[held] = exposure / volatility
    normalised: FloatArray = weights / weights.sum()
    return normalised


def risk_contributions(weights: pd.Series, cov: pd.DataFrame) -> pd.Series:
    """Share of each asset (n_assets,) in the variance of the portfolio, sum 1; NaN for a portfolio without variance."""
    values = covariance_array(cov)
    held = aligned(weights, cov.index, "weights")
    parts = held * (values @ held)
    total = float(parts.sum())
    floor = np.finfo(np.float64).eps * float(np.abs(held).sum() ** 2 * np.abs(values).max())
    return pd.Series(parts / total if total > floor else np.full(len(parts), np.nan), index=cov.index)


def _solve(correlation: FloatArray, budgets: FloatArray) -> FloatArray:
    """The positive x with x_i (C x)_i = b_i: the minimum of x'Cx / 2 - b'log x.

    Newton steps, and a sweep of cyclical coordinate descent after each that had to be shortened, which budgets of very unequal
    size need. The error is absolute, in shares of the risk, which sum to 1.
    """
    roots = np.sqrt(budgets)
    x = np.asarray(roots / np.sqrt(max(float(roots @ correlation @ roots), 1.0 / len(budgets) ** 2)), dtype=np.float64)
    error = np.inf
    for _ in range(_MAX_STEPS):
        pull = correlation @ x
        previous, error = error, float(np.abs(x * pull - budgets).max())
        if error < _TARGET or (error < _ACCEPTED and error >= previous):
            return x
        hessian = correlation + np.diag(budgets / x**2)
        try:
            direction = np.asarray(np.linalg.solve(hessian, budgets / x - pull), dtype=np.float64)
        except np.linalg.LinAlgError:
            break
        x, shortened = _step(correlation, budgets, x, direction)
        if shortened:
            _sweep(correlation, budgets, x)
    raise NotSolved(f"risk parity stopped at an error of {error:.3g}: no long-only portfolio carries these budgets")


def _step(correlation: FloatArray, budgets: FloatArray, x: FloatArray, direction: FloatArray) -> tuple[FloatArray, bool]:
    """The next iterate along `direction`, at most nearly to the boundary and halved until the objective falls (Armijo)."""
    shrinking = float((-direction / x).max())
    length = min(1.0, 0.99 / shrinking) if shrinking > 0 else 1.0
    slope = float((correlation @ x - budgets / x) @ direction)
    value = 0.5 * float(x @ correlation @ x) - float(budgets @ np.log(x))
    for _ in range(40):
        candidate: FloatArray = x + length * direction
        trial = 0.5 * float(candidate @ correlation @ candidate) - float(budgets @ np.log(candidate))
        # Near the optimum the gain drowns in rounding, and the full step is the right one.
        if trial <= value + 1e-4 * length * slope + 1e-14 * (1.0 + abs(value)):
            break
        length /= 2
    return candidate, length < 1.0


def _sweep(correlation: FloatArray, budgets: FloatArray, x: FloatArray) -> None:
    """Solve each condition in turn for its own x_i, in place: the positive root of x_i^2 + c x_i - b_i.

    References: Griveau-Billion, Richard & Roncalli (2013), A fast algorithm for computing high-dimensional risk parity portfolios.
    """
    for i, budget in enumerate(budgets.tolist()):
        others = float(correlation[i] @ x - correlation[i, i] * x[i])
        root = math.sqrt(others**2 + 4.0 * budget)
        # Of the two forms of the root the one without cancellation.
        x[i] = 2.0 * budget / (others + root) if others > 0 else (root - others) / 2.0
