"""The small quadratic program behind every allocation: best utility in a box, fully invested, certified."""

import numpy as np

from risk import conic
from risk.errors import Infeasible, NotSolved
from risk.inputs import FloatArray, IntArray

_GAP = 1e-8
_EXACT_GAP = 1e-12
_ON_BOUND = 1e-6
_MAX_PIVOTS = 30
_LOWER, _FREE, _UPPER = -1, 0, 1


def require_room(lower: FloatArray, upper: FloatArray) -> None:
    """Raise Infeasible unless some weights in the box sum to 1."""
    if lower.sum() > 1.0 + 1e-12 or upper.sum() < 1.0 - 1e-12:
        raise Infeasible(f"weights between {lower.sum():.6g} and {upper.sum():.6g} in sum cannot add up to 1: relax max_weight")


def utility_scale(mu: FloatArray, cov: FloatArray, aversion: float) -> float:
    """The size of the utility's coefficients, by which the solver wants them divided; 1 when all are zero."""
    return max(float(np.abs(mu).max()), 2.0 * aversion * float(np.diagonal(cov).max())) or 1.0


def best_in_box(mu: FloatArray, cov: FloatArray, aversion: float, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The w (n,) that maximises w'mu - aversion w'Sigma w, sum w = 1, lower <= w <= upper.

    cov is PSD, all arrays finite. Block pivoting solves nearly every problem exactly; an interior-point solution is the fallback.
    Either is accepted only on its duality gap, at most 1e-8 of the scale of the problem. Raises Infeasible, NotSolved.

    References: Judice & Pires (1994), A block principal pivoting algorithm for large-scale strictly monotone linear
    complementarity problems, Computers & Operations Research 21.
    """
    require_room(lower, upper)
    for only in (lower, upper):
        if abs(float(only.sum()) - 1.0) <= 1e-12:
            return only.copy()
    unit = utility_scale(mu, cov, aversion)
    linear, quadratic = mu / unit, 2.0 * aversion / unit * cov
    exact = _pivot(linear, quadratic, lower, upper, np.zeros(len(mu), dtype=np.int64))
    if exact is not None and _gap(exact, linear, quadratic, lower, upper) <= _EXACT_GAP:
        return exact
    return _interior(linear, quadratic, lower, upper)


def snap(rough: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """`rough` (n,) without the solver's rounding: inside the box, and with sum 1 by what the interior weights can take."""
    weights = np.clip(rough, lower, upper)
    room = np.minimum(weights - lower, upper - weights)
    if room.sum() > 0:
        weights = weights + (1.0 - weights.sum()) * room / room.sum()
    return np.clip(weights, lower, upper)


def _interior(linear: FloatArray, quadratic: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The solver's optimum, or the exact one that its active bounds lead to, whichever is closer."""
    size = len(linear)
    rough = conic.minimise(
        quadratic,
        -linear,
        equal=(np.ones((1, size)), np.ones(1)),
        at_most=(np.vstack([np.eye(size), -np.eye(size)]), np.concatenate([upper, -lower])),
    )
    sides: IntArray = np.where(rough - lower < _ON_BOUND, _LOWER, np.where(upper - rough < _ON_BOUND, _UPPER, _FREE))
    exact = _pivot(linear, quadratic, lower, upper, sides)
    candidates = [snap(rough, lower, upper)] if exact is None else [exact, snap(rough, lower, upper)]
    gaps = [_gap(weights, linear, quadratic, lower, upper) for weights in candidates]
    best = int(np.argmin(gaps))
    if not gaps[best] <= _GAP:
        raise NotSolved(f"the optimality conditions are off by {gaps[best]:.3g} of the problem's scale")
    return candidates[best]


def _pivot(linear: FloatArray, quadratic: FloatArray, lower: FloatArray, upper: FloatArray, sides: IntArray) -> FloatArray | None:
    """Exact weights by moving every weight to the side where its sign condition fails, until none does; None if it cycles."""
    for _ in range(_MAX_PIVOTS):
        free = np.flatnonzero(sides == _FREE)
        if len(free) == 0:
            return None
        weights = np.where(sides == _LOWER, lower, upper)
        weights[free] = 0.0
        system = np.ones((len(free) + 1, len(free) + 1))
        system[:-1, :-1] = quadratic[np.ix_(free, free)]
        system[-1, -1] = 0.0
        target = np.append((linear - quadratic @ weights)[free], 1.0 - weights.sum())
        try:
            solution = np.linalg.solve(system, target)
        except np.linalg.LinAlgError:
            return None
        weights[free] = solution[:-1]
        surplus = linear - quadratic @ weights - solution[-1]
        moved = _sides(sides, weights, surplus, lower, upper)
        if (moved == sides).all():
            return weights
        sides = moved
    return None


def _sides(sides: IntArray, weights: FloatArray, surplus: FloatArray, lower: FloatArray, upper: FloatArray) -> IntArray:
    """Free weights outside the box go to the bound they crossed; bound ones whose marginal utility pulls inwards go free."""
    moved = sides.copy()
    moved[(sides == _FREE) & (weights < lower)] = _LOWER
    moved[(sides == _FREE) & (weights > upper)] = _UPPER
    moved[(sides == _LOWER) & (surplus > 1e-13)] = _FREE
    moved[(sides == _UPPER) & (surplus < -1e-13)] = _FREE
    return moved


def _gap(weights: FloatArray, linear: FloatArray, quadratic: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Frank-Wolfe gap: an upper bound on the utility that any other feasible portfolio could add; 0 only at the optimum."""
    gradient = linear - quadratic @ weights
    order = np.argsort(-gradient, kind="stable")
    widths = (upper - lower)[order]
    filled = np.concatenate([[0.0], np.cumsum(widths)[:-1]])
    vertex = lower.copy()
    vertex[order] += np.clip(1.0 - lower.sum() - filled, 0.0, widths)
    return float(gradient @ (vertex - weights)) + abs(float(weights.sum()) - 1.0)
