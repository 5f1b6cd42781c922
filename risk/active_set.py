"""Exact solutions of small quadratic programs, from a guess of which bounds and rows are met with equality."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from risk.inputs import BoolArray, FloatArray, IntArray
from risk.program import Program

LOWER, FREE, UPPER = -1, 0, 1
_PULLS = 1e-13
_MAX_ROUNDS = 30
_PATIENCE = 5
_SINGULAR = 1e-11


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What is held with equality: the side of each variable (n,), LOWER, FREE or UPPER, and whether each row (m,) binds."""

    sides: IntArray
    binding: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Regular:
    """The proximal term ridge |x - centre|^2 / 2 taken off the utility, which makes a flat optimum one point."""

    ridge: float
    centre: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The best x (n,) on a working set, its multipliers, and the marginal utility that the bounds hold back (n,)."""

    x: FloatArray
    price: float
    charges: FloatArray
    surplus: FloatArray


class Face:
    """The optimality conditions on a working set, factored once: Cholesky of the free block and of its Schur complement.

    Raises LinAlgError where the free block is singular without a ridge, or the binding rows depend on each other.
    """

    def __init__(self, program: Program, working: Working, ridge: float) -> None:
        self.free = np.flatnonzero(working.sides == FREE)
        self.borders = np.vstack([np.ones(program.size), program.rows[working.binding]])
        if len(self.free) < len(self.borders):
            raise np.linalg.LinAlgError("more rows than free variables")
        self.edge = self.borders[:, self.free]
        self.block = program.quadratic[np.ix_(self.free, self.free)]
        self.block[np.diag_indices(len(self.free))] += ridge
        self._factor = _cholesky(self.block)
        if ridge == 0.0 and np.diagonal(self._factor).min() ** 2 <= _SINGULAR * self.block.diagonal().max():
            raise np.linalg.LinAlgError("singular")
        self._across = _solved(self._factor, self.edge.T)
        self._schur = _cholesky(self.edge @ self._across)

    def solve(self, target: FloatArray, ends: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The (x, y) with H x + B'y = target (n_free,) and B x = ends (m_binding + 1,)."""
        alone = _solved(self._factor, target)
        charges = _solved(self._schur, self.edge @ alone - ends)
        return alone - self._across @ charges, charges


def _cholesky(matrix: FloatArray) -> FloatArray:
    factor, failed = dpotrf(matrix, lower=1, clean=0)
    if failed:
        raise np.linalg.LinAlgError("not positive definite")
    lower: FloatArray = factor
    return lower


def _solved(factor: FloatArray, right: FloatArray) -> FloatArray:
    solution: FloatArray = dpotrs(factor, right, lower=1)[0]
    return solution


def settle(program: Program, working: Working, regular: Regular) -> Point:
    """The optimum over the free variables with everything in the working set held at equality. Raises LinAlgError."""
    face = Face(program, working, regular.ridge)
    x = np.where(working.sides == UPPER, program.upper, program.lower)
    x[face.free] = 0.0
    pull = program.gradient(x) + regular.ridge * regular.centre
    target = pull[face.free]
    ends = np.append(program.total, program.limits[working.binding]) - face.borders @ x
    free, charges = face.solve(target, ends)
    # One step of refinement: the ridge makes the first solution lose as many digits as it is small.
    more, extra = face.solve(target - face.block @ free - charges @ face.edge, ends - face.edge @ free)
    x[face.free], charges = free + more, charges + extra
    surplus = program.gradient(x) + regular.ridge * (regular.centre - x) - charges @ face.borders
    wide = np.zeros(len(program.limits))
    wide[working.binding] = charges[1:]
    return Point(x=x, price=float(charges[0]), charges=wide, surplus=surplus)


def pivot(program: Program, working: Working, regular: Regular) -> tuple[Point | None, Working]:
    """Move every variable and row whose sign condition fails, until none does; None where that does not end, or is singular.

    References: Judice & Pires (1994), A block principal pivoting algorithm for large-scale strictly monotone linear
    complementarity problems, Computers & Operations Research 21.
    """
    fewest, patience = program.size + len(program.limits) + 1, _PATIENCE
    for _ in range(_MAX_ROUNDS):
        try:
            point = settle(program, working, regular)
        except np.linalg.LinAlgError:
            return None, working
        moved, wrong = _moved(program, working, point)
        if wrong == 0:
            return point, working
        patience = _PATIENCE if wrong < fewest else patience - 1
        if patience == 0:
            return None, working
        fewest, working = min(fewest, wrong), moved
    return None, working


def _moved(program: Program, working: Working, point: Point) -> tuple[Working, int]:
    """Free variables outside the box go to the bound they crossed, bound ones that pull inwards go free; rows likewise."""
    sides, x = working.sides.copy(), point.x
    sides[(working.sides == FREE) & (x < program.lower)] = LOWER
    sides[(working.sides == FREE) & (x > program.upper)] = UPPER
    inwards = working.sides * point.surplus < -_PULLS
    sides[inwards & (program.lower < program.upper)] = FREE
    binding = np.where(working.binding, point.charges >= 0.0, program.rows @ x > program.limits + _PULLS)
    wrong = int((sides != working.sides).sum() + (binding != working.binding).sum())
    return Working(sides=sides, binding=binding), wrong


def working_at(program: Program, x: FloatArray, charges: FloatArray, *, near: float = 0.0) -> Working:
    """The working set that x (n,) suggests: bounds within `near` of it, and rows with a charge above `near`.

    At least as many variables are free as rows bind, since a vertex does not tell the prices.
    """
    sides = np.where(x - program.lower <= near, LOWER, np.where(program.upper - x <= near, UPPER, FREE)).astype(np.int64)
    binding = charges > near
    short = 1 + int(binding.sum()) - int((sides == FREE).sum())
    if short > 0:
        sides[_most_torn(program, x, charges, sides, short)] = FREE
    return Working(sides=sides, binding=binding)


def _most_torn(program: Program, x: FloatArray, charges: FloatArray, sides: IntArray, count: int) -> IntArray:
    """The `count` bound variables whose marginal utility is nearest to what the others' sides say the price is."""
    pull = program.gradient(x) - charges @ program.rows
    known = [float(pull[side].mean()) for side in (sides == FREE,) if side.any()]
    known = known or [float(end) for end in (pull[sides == UPPER].min(initial=np.inf), pull[sides == LOWER].max(initial=-np.inf))]
    level = float(np.mean([value for value in known if np.isfinite(value)]))
    distance = np.where((sides == FREE) | (program.lower == program.upper), np.inf, np.abs(pull - level))
    torn: IntArray = np.argsort(distance, kind="stable")[:count]
    return torn
