"""Quadratic programs solved exactly where possible, by two outside solvers otherwise, and accepted only with a certificate."""

from collections.abc import Sequence

import numpy as np

from risk import conic
from risk.active_set import Regular, Working, pivot, working_at
from risk.dual_steps import dual_steps
from risk.errors import NotSolved
from risk.inputs import FloatArray
from risk.program import Optimum, Program, best_price, certified

EXACT_GAP = 1e-12
_NEARLY_EXACT_GAP = 1e-10
_SOLVER_GAP = 1e-8
_ON_BOUND = 1e-6
# A ridge and how often its centre follows the solution: none where the program is strictly convex, more the flatter it is.
_RIDGES = ((0.0, 1), (1e-9, 4), (1e-6, 12))
ATTEMPTS = ("exact", "Clarabel", "OSQP")


def solve(program: Program, start: FloatArray, charges: FloatArray | None = None, *, attempts: Sequence[str] = ATTEMPTS) -> Optimum:
    """The optimum of the program, by the first of the attempts whose result proves itself.

    start (n,) and the rows' charges (m,) guess what binds: an exact active-set solution from there is accepted with a duality gap of
    at most 1e-10 of the scale. After it come Clarabel and OSQP, whose results, or the exact ones that they lead to, are accepted
    with a gap of at most 1e-8. Raises Infeasible, and NotSolved naming what each attempt said.
    """
    said = []
    for attempt in attempts:
        if attempt == "exact":
            optimum = exact(program, working_at(program, start, np.zeros(len(program.limits)) if charges is None else charges))
            if optimum is not None and optimum.holds(_NEARLY_EXACT_GAP):
                return optimum
            said.append(f"exact: {_told(optimum, 'no end')}")
        else:
            answer = conic.SOLVERS[attempt](program)
            optimum = _refined(program, answer)
            if optimum is not None and optimum.holds(_SOLVER_GAP):
                return optimum
            said.append(f"{attempt}: {_told(optimum, answer.status)}")
    raise NotSolved("; ".join(said))


def exact(program: Program, guess: Working) -> Optimum | None:
    """The best solution that active-set steps from the guess lead to; the first within 1e-12, None where none came to an end."""
    best: Optimum | None = None
    for ridge, rounds in _RIDGES:
        centre, working = np.clip(np.full(program.size, program.total / program.size), program.lower, program.upper), guess
        for _ in range(rounds):
            regular = Regular(ridge=ridge, centre=centre)
            point, after = pivot(program, working, regular)
            if point is None:
                point, after = dual_steps(program, working, regular)
            if point is None:
                break
            found = certified(program, point.x, point.price, point.charges)
            if best is None or max(found.gap, found.breach) < max(best.gap, best.breach):
                best = found
            if found.holds(EXACT_GAP):
                return found
            centre, working = found.x, after
    return best


def _refined(program: Program, answer: conic.Answer) -> Optimum | None:
    """The solver's own point, or the exact one that it leads to, whichever proves more."""
    if answer.x is None:
        return None
    charges = np.maximum(answer.charges, 0.0)
    own = certified(program, answer.x, best_price(program, answer.x, charges), charges)
    led = exact(program, working_at(program, answer.x, charges, near=_ON_BOUND))
    return own if led is None or max(own.gap, own.breach) < max(led.gap, led.breach) else led


def _told(optimum: Optimum | None, otherwise: str) -> str:
    if optimum is None:
        return otherwise
    return f"the optimality conditions are off by {max(optimum.gap, optimum.breach):.3g} of the problem's scale"
