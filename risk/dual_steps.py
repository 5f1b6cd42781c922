"""The slow and sure way to an exact solution: constraints enter one at a time, and the dual objective never falls."""

from dataclasses import dataclass

import numpy as np

from risk.active_set import FREE, LOWER, UPPER, Face, Point, Regular, Working, settle
from risk.inputs import FloatArray
from risk.program import Program

_BROKEN = 1e-13
_DEPENDENT = 1e-13
_MAX_WORK = 2e9
"""Multiplications spent on factorisations before giving up: about a second, the same on every machine."""
_OVERHEAD = 2e5
"""What one step costs besides, in multiplications: it bounds the steps of small programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """One constraint that the current point breaks: its normal (n,), the excess, and where it belongs when it is met."""

    normal: FloatArray
    excess: float
    index: int
    side: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ray:
    """How far multipliers and point move per unit of the entering constraint's multiplier, and what stops them first."""

    full: float
    partial: float
    blocking: int
    blocking_row: bool
    surplus: FloatArray
    charges: FloatArray
    x: FloatArray


def dual_steps(program: Program, working: Working, regular: Regular) -> tuple[Point | None, Working]:
    """The optimum of a strictly convex program from any working set; None where it is singular, infeasible or too much work.

    References: Goldfarb & Idnani (1983), A numerically stable dual method for solving strictly convex quadratic programs,
    Mathematical Programming 27.
    """
    work = 0.0
    try:
        working, point = _dual_feasible(program, working, regular)
        most = min(_MAX_WORK, _OVERHEAD * (100.0 + 20.0 * program.size) + program.size**4)
        while work < most:
            broken = _most_broken(program, working, point)
            if broken is None:
                return point, working
            working, spent = _enforced(program, working, regular, point, broken)
            point = settle(program, working, regular)
            work += spent
    except np.linalg.LinAlgError:
        pass
    return None, working


def _dual_feasible(program: Program, working: Working, regular: Regular) -> tuple[Working, Point]:
    """Let go of everything whose multiplier has the wrong sign, until nothing has."""
    while True:
        try:
            point = settle(program, working, regular)
        except np.linalg.LinAlgError:
            rows = bool(working.binding.any())
            if not rows and (working.sides == FREE).all():
                raise
            sides = working.sides if rows else np.full(program.size, FREE)
            working = Working(sides=sides, binding=np.zeros(len(program.limits), dtype=bool))
            continue
        sides = np.where(working.sides * point.surplus < 0, FREE, working.sides)
        binding = working.binding & (point.charges >= 0)
        if (sides == working.sides).all() and (binding == working.binding).all():
            return working, point
        working = Working(sides=sides, binding=binding)


def _most_broken(program: Program, working: Working, point: Point) -> _Broken | None:
    """The constraint outside the working set that the point breaks most, in the units of the program."""
    free = working.sides == FREE
    excesses = (
        np.where(free, program.lower - point.x, 0.0),
        np.where(free, point.x - program.upper, 0.0),
        np.where(working.binding, 0.0, program.rows @ point.x - program.limits),
    )
    worst = [int(np.argmax(excess)) if len(excess) else -1 for excess in excesses]
    sizes = [float(excess[i]) if i >= 0 else 0.0 for excess, i in zip(excesses, worst, strict=True)]
    kind = int(np.argmax(sizes))
    if sizes[kind] <= _BROKEN:
        return None
    side, index = (LOWER, UPPER, FREE)[kind], worst[kind]
    if side == FREE:
        return _Broken(normal=program.rows[index], excess=sizes[kind], index=index, side=side)
    normal = np.zeros(program.size)
    normal[index] = side
    return _Broken(normal=normal, excess=sizes[kind], index=index, side=side)


def _enforced(program: Program, working: Working, regular: Regular, point: Point, broken: _Broken) -> tuple[Working, float]:
    """Raise the multiplier of the broken constraint until it holds, letting go of constraints whose multiplier reaches zero.

    Gives the working set in which it holds with equality, and the work. Raises LinAlgError where it can not hold.
    """
    surplus, charges, excess, work = point.surplus, point.charges, broken.excess, 0.0
    while work < _MAX_WORK:
        face = Face(program, working, regular.ridge)
        work += _OVERHEAD + float(len(face.free)) ** 3 / 3.0
        ray = _ray(program, working, face, broken, surplus, charges, excess)
        step = min(ray.full, ray.partial)
        if not np.isfinite(step):
            raise np.linalg.LinAlgError("the constraints exclude each other")
        if ray.full <= ray.partial:
            return _entered(working, broken), work
        surplus, charges = surplus + step * ray.surplus, charges + step * ray.charges
        excess += step * float(broken.normal @ ray.x)
        working = _left(working, ray)
        surplus = np.where(working.sides == FREE, 0.0, surplus)
    raise np.linalg.LinAlgError("too much work")


def _ray(program: Program, working: Working, face: Face, broken: _Broken, surplus: FloatArray, charges: FloatArray, excess: float) -> _Ray:
    step, multipliers = face.solve(-broken.normal[face.free], np.zeros(len(face.borders)))
    x = np.zeros(program.size)
    x[face.free] = step
    pull = -(step @ program.quadratic[face.free]) - multipliers @ face.borders - broken.normal
    wide = np.zeros(len(program.limits))
    wide[working.binding] = multipliers[1:]
    rate = -float(broken.normal @ x)
    least = _DEPENDENT * float(broken.normal @ broken.normal) / float(face.block.diagonal().max())
    # Multipliers of bounds are side * surplus, those of rows the charges; both must stay >= 0.
    at_bound = np.where(working.sides != FREE, working.sides * pull, 0.0)
    at_row = np.where(working.binding, wide, 0.0)
    falls = np.concatenate([at_bound, at_row])
    levels = np.concatenate([np.maximum(working.sides * surplus, 0.0), np.maximum(charges, 0.0)])
    reach = np.divide(levels, -falls, out=np.full(len(falls), np.inf), where=falls < -1e-15)
    blocking = int(np.argmin(reach))
    return _Ray(
        full=excess / rate if rate > least else np.inf,
        partial=float(reach[blocking]),
        blocking=blocking if blocking < program.size else blocking - program.size,
        blocking_row=blocking >= program.size,
        surplus=pull,
        charges=wide,
        x=x,
    )


def _entered(working: Working, broken: _Broken) -> Working:
    sides, binding = working.sides.copy(), working.binding.copy()
    if broken.side == FREE:
        binding[broken.index] = True
    else:
        sides[broken.index] = broken.side
    return Working(sides=sides, binding=binding)


def _left(working: Working, ray: _Ray) -> Working:
    sides, binding = working.sides.copy(), working.binding.copy()
    if ray.blocking_row:
        binding[ray.blocking] = False
    else:
        sides[ray.blocking] = FREE
    return Working(sides=sides, binding=binding)
