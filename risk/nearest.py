"""The long-only portfolio nearest to a target, measured by risk: an exact quadratic program over boxes and fixed group sums."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky

from risk.errors import NotSolved
from risk.inputs import BoolArray, FloatArray, IntArray

RESIDUAL = 1e-12
"""What a solution's optimality conditions may miss, as a fraction of the largest variance; its sums, as weights."""
_TINY = 1e-14
_FLAT = 1e-13
_LEAST_PIVOT = 1e-10
_PROXIMITIES = (0.0, 1e-11, 1e-8)
_MAX_BLOCK_PIVOTS = 30
_MAX_PROXIMAL_STEPS = 60
_LOWER, _FREE, _UPPER = -1, 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """Minimise (w - b)'Sigma(w - b) over 0 <= w <= u with the sum of every group given.

    cov: (n, n), PSD, its largest variance 1 (or all zero); target b and upper u: (n,); group: (n,) numbers of the groups from 0;
    totals: (n_groups,). Every group's total lies between 0 and the sum of its bounds.
    """

    cov: FloatArray
    target: FloatArray
    upper: FloatArray
    group: IntArray
    totals: FloatArray

    def solve(self) -> FloatArray:
        """The weights (n,). Where several are nearest, ones close to the target. Raises NotSolved."""
        settled, moving = self._settled()
        if not moving.any():
            return settled
        for proximity in _PROXIMITIES:
            weights = self._proximal(settled, moving, proximity)
            if weights is not None:
                return weights
        raise NotSolved(f"tracking with {int(moving.sum())} assets did not meet its optimality conditions within {RESIDUAL:g}")

    def residual(self, weights: FloatArray) -> float:
        """How far weights (n,) are from optimal: the most that moving weight within a group still gains, in marginal variance."""
        pull = self.cov @ (weights - self.target)
        worst = 0.0
        for g in range(len(self.totals)):
            givers = pull[(self.group == g) & (weights > 0.0)]
            takers = pull[(self.group == g) & (weights < self.upper)]
            if len(givers) and len(takers):
                worst = max(worst, float(givers.max() - takers.min()))
        return worst

    def _settled(self) -> tuple[FloatArray, BoolArray]:
        """Weights (n,) that the constraints alone decide, zero elsewhere; and which (n,) are still to be found."""
        room = np.bincount(self.group, weights=self.upper, minlength=len(self.totals))
        full, empty = room <= self.totals + RESIDUAL, self.totals <= _TINY
        weights = np.where(full[self.group] & ~empty[self.group], self.upper, 0.0)
        return weights, ~(full | empty)[self.group] & (self.upper > 0.0)

    def _proximal(self, settled: FloatArray, moving: BoolArray, proximity: float) -> FloatArray | None:
        """Solve with `proximity` added to every variance and measured from the last solution, until that no longer matters.

        References: Rockafellar (1976), Monotone operators and the proximal point algorithm, SIAM J. Control Optim. 14.
        """
        some = np.flatnonzero(moving)
        names, members = np.unique(self.group[some], return_inverse=True)
        outside = self.cov[np.ix_(some, np.flatnonzero(~moving))] @ (settled - self.target)[~moving]
        cov = self.cov[np.ix_(some, some)].copy()
        cov.flat[:: len(some) + 1] += proximity
        totals, least = self.totals[names], 0.0 if proximity else _LEAST_PIVOT
        centre, weights = np.zeros(len(some)), settled.copy()
        sides: IntArray = np.zeros(len(some), dtype=np.int64)
        for _ in range(_MAX_PROXIMAL_STEPS if proximity else 1):
            program = _Program(cov, outside - proximity * centre, self.target[some], self.upper[some], members, totals, least)
            found = program.by_blocks(sides) or program.step_by_step()
            if found is None:
                return None
            weights[some], sides = found
            if self.residual(weights) <= RESIDUAL and self._adds_up(weights):
                return weights
            centre = weights[some] - self.target[some]
        return None

    def _adds_up(self, weights: FloatArray) -> bool:
        sums = np.bincount(self.group, weights=weights, minlength=len(self.totals))
        return bool(np.isfinite(weights).all() and (np.abs(sums - self.totals) <= RESIDUAL).all())


@dataclass(frozen=True, slots=True)
class _Program:
    """Minimise x'Hx / 2 + c'x with x = w - b, 0 <= w <= u, group sums of w given; H positive definite, all arrays over its assets."""

    hessian: FloatArray
    linear: FloatArray
    target: FloatArray
    upper: FloatArray
    group: IntArray
    totals: FloatArray
    least_pivot: float

    def by_blocks(self, sides: IntArray) -> tuple[FloatArray, IntArray] | None:
        """Every weight that is on the wrong side moves at once, until none is; None where that cycles or empties a group.

        References: Judice & Pires (1994), A block principal pivoting algorithm for large-scale strictly monotone linear
        complementarity problems, Computers & Operations Research 21.
        """
        for _ in range(_MAX_BLOCK_PIVOTS):
            solution = self._on_sides(sides)
            if solution is None:
                return None
            weights, slope = solution
            moved = sides.copy()
            moved[(sides == _FREE) & (weights < -_TINY)] = _LOWER
            moved[(sides == _FREE) & (weights > self.upper + _TINY)] = _UPPER
            moved[(sides == _LOWER) & (slope < -_FLAT) | (sides == _UPPER) & (slope > _FLAT)] = _FREE
            if (moved == sides).all():
                return self._snapped(weights, sides), sides
            sides = moved
        return None

    def step_by_step(self) -> tuple[FloatArray, IntArray] | None:
        """One weight at a time from a feasible start, never leaving the constraints: slower, and finite. None if the budget is spent.

        References: Nocedal & Wright (2006), Numerical Optimization, algorithm 16.3; ties go to the first asset (Bland 1977).
        """
        weights, sides = self._start()
        stalled = False
        for _ in range(10 * len(weights) + 100):
            solution = self._on_sides(sides)
            if solution is None:
                return None
            goal, slope = solution
            length, blocking = self._reach(weights, goal, sides)
            if blocking >= 0:
                weights = np.where(sides == _FREE, weights + length * (goal - weights), weights)
                sides[blocking] = _LOWER if goal[blocking] < weights[blocking] else _UPPER
                weights[blocking] = 0.0 if sides[blocking] == _LOWER else self.upper[blocking]
                stalled = length <= 0.0
                continue
            weights = goal
            wrong = np.flatnonzero((sides == _LOWER) & (slope < -_FLAT) | (sides == _UPPER) & (slope > _FLAT))
            if len(wrong) == 0:
                return self._snapped(weights, sides), sides
            sides[wrong[0] if stalled else wrong[np.argmax(np.abs(slope[wrong]))]] = _FREE
        return None

    def _on_sides(self, sides: IntArray) -> tuple[FloatArray, FloatArray] | None:
        """The optimum with the weights on their sides held there, and its slope (n,): the gradient beyond what the group's sum explains.

        None where a group has nobody free, or H is singular to working precision.
        """
        free = np.flatnonzero(sides == _FREE)
        groups = np.zeros((len(free), len(self.totals)))
        groups[np.arange(len(free)), self.group[free]] = 1.0
        if not groups.any(axis=0).all():
            return None
        moves = np.where(sides == _LOWER, 0.0, self.upper) - self.target
        moves[free] = 0.0
        block = self.hessian[np.ix_(free, free)]
        try:
            factor = cholesky(block, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        if not (np.diagonal(factor) ** 2 > self.least_pivot * np.diagonal(block)).all():
            return None
        answers = cho_solve((factor, True), groups, check_finite=False)
        schur = groups.T @ answers
        prices = np.zeros(len(self.totals))
        # The second pass refines what rounding left of the first.
        for _ in range(2):
            lack = self.totals - np.bincount(self.group, weights=self.target + moves, minlength=len(self.totals))
            force = groups @ prices - (self.hessian @ moves + self.linear)[free]
            rest = cho_solve((factor, True), force, check_finite=False)
            change = np.linalg.solve(schur, lack - groups.T @ rest)
            moves[free] += rest + answers @ change
            prices += change
        return self.target + moves, self.hessian @ moves + self.linear - prices[self.group]

    def _reach(self, weights: FloatArray, goal: FloatArray, sides: IntArray) -> tuple[float, int]:
        """How much of the way to `goal` stays inside the bounds, and the first asset that ends it; (1, -1) if all of it does."""
        below, above = (sides == _FREE) & (goal < -_TINY), (sides == _FREE) & (goal > self.upper + _TINY)
        part = np.ones(len(weights))
        part[below] = weights[below] / (weights[below] - goal[below])
        part[above] = (self.upper[above] - weights[above]) / (goal[above] - weights[above])
        if not (below | above).any():
            return 1.0, -1
        stopped = np.flatnonzero(below | above)
        blocking = int(stopped[np.argmin(part[stopped])])
        return max(float(part[blocking]), 0.0), blocking

    def _start(self) -> tuple[FloatArray, IntArray]:
        """Feasible weights (n,): the target within the bounds, scaled down or topped up to its group's sum; and their sides."""
        size = len(self.totals)
        weights = np.clip(self.target, 0.0, self.upper)
        sums = np.bincount(self.group, weights=weights, minlength=size)
        over = sums > self.totals
        weights = weights * np.where(over, self.totals / np.where(over, sums, 1.0), 1.0)[self.group]
        room = self.upper - weights
        lack = np.maximum(self.totals - np.bincount(self.group, weights=weights, minlength=size), 0.0)
        rooms = np.bincount(self.group, weights=room, minlength=size)
        weights = weights + room * (lack / np.where(rooms > 0, rooms, 1.0))[self.group]
        sides: IntArray = np.where(weights <= 0.0, _LOWER, np.where(weights >= self.upper, _UPPER, _FREE)).astype(np.int64)
        for g in range(size):
            inside = np.flatnonzero(self.group == g)
            if not (sides[inside] == _FREE).any():
                sides[inside[0]] = _FREE
        return weights, sides

    def _snapped(self, weights: FloatArray, sides: IntArray) -> FloatArray:
        """Weights exactly on the bounds that hold them, and not beyond any by rounding."""
        held = np.where(sides == _LOWER, 0.0, np.where(sides == _UPPER, self.upper, weights))
        inside: FloatArray = np.clip(held, 0.0, self.upper)
        return inside
