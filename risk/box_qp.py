"""The small quadratic program behind every allocation: best utility in a box, fully invested, certified."""

import math
from collections.abc import Sequence

import numpy as np

from risk.errors import BadInput, Infeasible
from risk.inputs import FloatArray
from risk.kernels import kernel
from risk.program import Optimum, Program, best_price, certified
from risk.quadratic import ATTEMPTS, EXACT_GAP, solve

_EVEN = 1e-6
_TRADES_PER_ASSET = 20
_FLAT = 1e-16
"""Risk that is less than this beside the returns is beyond what a certificate can see; the program is then a linear one."""


def require_room(lower: FloatArray, upper: FloatArray) -> None:
    """Raise Infeasible unless some weights in the box sum to 1."""
    if lower.sum() > 1.0 + 1e-12 or upper.sum() < 1.0 - 1e-12:
        raise Infeasible(f"weights between {lower.sum():.6g} and {upper.sum():.6g} in sum cannot add up to 1: relax max_weight")


def best_in_box(
    mu: FloatArray, cov: FloatArray, aversion: float, lower: FloatArray, upper: FloatArray, *, attempts: Sequence[str] = ATTEMPTS
) -> FloatArray:
    """The w (n,) that maximises w'mu - aversion w'Sigma w, sum w = 1, lower <= w <= upper.

    cov is PSD, all arrays finite. A climb by pairwise trades finds which bounds hold, an active-set method makes it exact, and
    interior-point and splitting solvers are the fallback; accepted only on the duality gap, at most 1e-8 of the scale of the
    problem and nearly always 1e-12. Where many portfolios are equally good, the most even one. Raises BadInput, Infeasible,
    NotSolved.
    """
    require_room(lower, upper)
    for only in (lower, upper):
        if abs(float(only.sum()) - 1.0) <= 1e-12:
            return only.copy()
    program, _ = utility_program(mu, cov, aversion, lower, upper)
    return best(program, attempts=attempts).x


def utility_program(
    mu: FloatArray, cov: FloatArray, aversion: float, lower: FloatArray, upper: FloatArray, *, at_least: float = 0.0
) -> tuple[Program, float]:
    """The utility w'mu - aversion w'Sigma w over the box as a program without rows, and the unit by which it is divided.

    The unit is the size of the utility's largest coefficient, or `at_least`, so that the program's are at most 1.
    """
    # What all assets earn alike decides nothing while the weights add up to 1.
    middle = float(mu.min()) / 2.0 + float(mu.max()) / 2.0
    spread = mu - middle
    size = float(np.diagonal(cov).max())
    curvature = 2.0 * aversion * size
    unit = max(float(np.abs(spread).max()), curvature, at_least) or 1.0
    if not math.isfinite(unit):
        raise BadInput("mu or covariance are too large for their utility to be a number")
    quadratic = np.multiply(cov / size, curvature / unit) if curvature > _FLAT * unit else np.zeros_like(cov)
    program = Program(
        linear=spread / unit,
        quadratic=np.ascontiguousarray(quadratic),
        lower=lower,
        upper=upper,
        rows=np.empty((0, len(mu))),
        limits=np.empty(0),
    )
    return program, unit


def best(program: Program, *, attempts: Sequence[str] = ATTEMPTS) -> Optimum:
    """The certified optimum of a program without rows."""
    if not program.quadratic.any():
        x = _filled(program, program.linear)
        return certified(program, x, best_price(program, x, np.empty(0)), np.empty(0))
    start = climbed(program)
    found = certified(program, start, best_price(program, start, np.empty(0)), np.empty(0))
    vertex = ((start == program.lower) | (start == program.upper)).all()
    return found if vertex and found.holds(EXACT_GAP) else solve(program, start, attempts=attempts)


def climbed(program: Program) -> FloatArray:
    """A feasible x (n,) from which few variables still have to change sides, whatever the rows say."""
    even = np.clip(np.full(program.size, program.total / program.size), program.lower, program.upper)
    x = _filled(program, program.gradient(even))
    gradient = program.linear - program.quadratic @ x
    kernel("climb").climb(program.quadratic, gradient, program.lower, program.upper, x, _EVEN, _TRADES_PER_ASSET * program.size)
    return x


def _filled(program: Program, appeal: FloatArray) -> FloatArray:
    """The best x (n,) for a linear utility: the most appealing first, those of equal appeal alike."""
    order = np.argsort(-appeal, kind="stable")
    widths = (program.upper - program.lower)[order]
    left = program.total - float(program.lower.sum())
    x = program.lower.copy()
    ranked = appeal[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    ends = np.append(starts[1:], len(order))
    filled = np.concatenate([[0.0], np.cumsum(widths)])
    for begin, end in zip(starts, ends, strict=True):
        if filled[begin] >= left:
            break
        share = min(1.0, (left - filled[begin]) / (filled[end] - filled[begin])) if filled[end] > filled[begin] else 0.0
        x[order[begin:end]] += share * widths[begin:end]
    return x
