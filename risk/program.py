"""A quadratic program with one budget, a box and a few rows, and the certificate by which a solution of it is accepted."""

from dataclasses import dataclass, replace

import numpy as np

from risk.inputs import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Maximise l'x - x'Qx / 2 where sum x = total, lower <= x <= upper and rows x <= limits.

    linear l (n,), quadratic Q (n, n) symmetric PSD, lower and upper (n,) finite, rows (m, n), limits (m,); everything scaled so
    that the largest coefficients are near 1.
    """

    linear: FloatArray
    quadratic: FloatArray
    lower: FloatArray
    upper: FloatArray
    rows: FloatArray
    limits: FloatArray
    total: float = 1.0

    @property
    def size(self) -> int:
        """The number n of variables."""
        return len(self.linear)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Marginal utilities l - Qx (n,)."""
        held = np.flatnonzero(x)
        if 4 * len(held) > len(x):
            return self.linear - self.quadratic @ x
        gradient: FloatArray = self.linear - x[held] @ self.quadratic[held]
        return gradient

    def with_row(self, row: FloatArray, limit: float) -> "Program":
        """The same program under one more row (n,)."""
        return replace(self, rows=np.vstack([self.rows, row]), limits=np.append(self.limits, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """A solution x (n,), the price of the total and the charges (m,) >= 0 of the rows, and what they certify.

    gap: by how much another feasible point could at most be better; breach: by how much x misses its own constraints.
    """

    x: FloatArray
    price: float
    charges: FloatArray
    gap: float
    breach: float

    def holds(self, tolerance: float) -> bool:
        """Whether gap and breach are at most `tolerance`; never for NaN."""
        return self.gap <= tolerance and self.breach <= tolerance


def certified(program: Program, rough: FloatArray, price: float, charges: FloatArray) -> Optimum:
    """`rough` (n,) moved into its box and onto its total, with the duality gap that the multipliers prove for it.

    For any price and any charges >= 0 the gap bounds from above what any other feasible point could gain: utility is concave, so
    it gains no more than the gradient promises, and the multipliers bound that coordinate by coordinate.
    """
    x = snap(rough, program.lower, program.upper, program.total)
    charges = np.maximum(charges, 0.0)
    room = program.limits - program.rows @ x
    pull = program.gradient(x) - price - charges @ program.rows
    gain = np.maximum(pull * (program.upper - x), pull * (program.lower - x))
    breach = abs(float(x.sum()) - program.total) + max(0.0, -float(room.min(initial=0.0)))
    return Optimum(x=x, price=price, charges=charges, gap=float(gain.sum() + charges @ np.maximum(room, 0.0)), breach=breach)


def best_price(program: Program, x: FloatArray, charges: FloatArray) -> float:
    """The price of the total that proves the smallest gap for x: the marginal utility at which a greedy buyer's money ends."""
    pull = program.gradient(x) - charges @ program.rows
    order = np.argsort(-pull, kind="stable")
    filled = program.lower.sum() + np.cumsum((program.upper - program.lower)[order])
    last = min(int(np.searchsorted(filled, program.total)), len(order) - 1)
    return float(pull[order[last]])


def snap(rough: FloatArray, lower: FloatArray, upper: FloatArray, total: float = 1.0) -> FloatArray:
    """`rough` (n,) without the solver's rounding: inside the box, and with its total by what the interior weights can take."""
    weights = np.clip(rough, lower, upper)
    room = np.minimum(weights - lower, upper - weights)
    if room.sum() > 0:
        weights = weights + (total - weights.sum()) * room / room.sum()
    return np.clip(weights, lower, upper)
