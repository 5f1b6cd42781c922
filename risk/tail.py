"""Portfolios and the mean of their worst outcomes: the CVaR of scenarios as a limit and as a goal.

The CVaR is the largest mean loss under any reweighting of the scenarios that at most multiplies their probability by
1 / (1 - alpha). Each such reweighting is a row that every portfolio under the limit satisfies; the few that matter are found one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from risk import conic
from risk.errors import Infeasible, NotSolved
from risk.inputs import FloatArray, IntArray, require_confidence
from risk.program import Optimum, Program, best_price, certified, snap
from risk.quadratic import ATTEMPTS, solve

_SLACK = 1e-11
_MAX_CUTS = 300
_MAX_FLAT_CUTS = 60
"""Without curvature every round is a linear program of its own, and one large program is sooner done."""
_GAP = 1e-9
_LARGE_GAP = 1e-8
LINEAR_ATTEMPTS = ("HiGHS", "Clarabel")


def tail_mean(returns: FloatArray, alpha: float) -> float:
    """Rockafellar-Uryasev CVaR of finite returns (n,), not empty: mean loss over exactly the worst 1 - alpha of the mass.

    References: Rockafellar & Uryasev (2002), Conditional value-at-risk for general loss distributions, Journal of Banking & Finance 26.
    """
    return tail_loss(returns, require_confidence(alpha))


def tail_loss(returns: FloatArray, tail: float) -> float:
    """Mean loss of returns (n,) over exactly the worst `tail` of the mass."""
    chosen, shares = _worst(returns, tail)
    return -float(shares @ returns[chosen])


def _worst(returns: FloatArray, tail: float) -> tuple[IntArray, FloatArray]:
    """The worst scenarios, those that make up the share `tail` of the mass, and their weights, which sum to 1."""
    mass = tail * len(returns)
    whole = min(int(mass + 1e-9), len(returns) - 1)
    chosen = np.argsort(returns, kind="stable")[: whole + 1]
    shares = np.full(whole + 1, 1.0 / mass)
    shares[whole] = max(0.0, (mass - whole) / mass)
    return chosen, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class TailLimit:
    """The bound `max_cvar` on the CVaR_alpha of the portfolio over `outcomes` (n_scenarios, n); tail is 1 - alpha."""

    outcomes: FloatArray
    max_cvar: float
    tail: float

    @property
    def size(self) -> float:
        """The largest outcome."""
        return float(np.abs(self.outcomes).max()) or 1.0

    def excess(self, x: FloatArray) -> tuple[float, FloatArray]:
        """By how much x (n,) breaks the bound, and the losses (n,) of its worst scenarios, a bound on every portfolio's CVaR."""
        returns = self.outcomes @ x
        chosen, shares = _worst(returns, self.tail)
        return -float(shares @ returns[chosen]) - self.max_cvar, -(shares @ self.outcomes[chosen])


def best_under_cvar(program: Program, start: Optimum, limit: TailLimit, *, attempts: Sequence[str] = ATTEMPTS) -> FloatArray:
    """The weights (n,) of the best utility whose CVaR is within its limit.

    program: the utility and the box, without rows; start: its optimum. First by cuts solved exactly; then as one large program by
    Clarabel; then by cuts solved by OSQP. Raises Infeasible naming the least CVaR within reach, NotSolved.

    References: Kuenzi-Bay & Mayer (2006), Computational aspects of minimizing conditional value-at-risk, Computational
    Management Science 3; Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk, Journal of Risk 2.
    """
    said: list[str] = []
    for attempt in attempts:
        try:
            return _at_once(program, limit) if attempt == "Clarabel" else _by_cuts(program, start, limit, attempt)
        except (Infeasible, NotSolved) as error:
            if not said:
                _require_reach(program, limit)
            said.append(f"{attempt}: {error}")
    raise NotSolved("; ".join(said))


def _by_cuts(program: Program, optimum: Optimum, limit: TailLimit, attempt: str) -> FloatArray:
    """Each round adds the tail that the current portfolio exceeds as a row, so the utility comes down to the best one from above."""
    rounds = _MAX_CUTS if program.quadratic.any() else _MAX_FLAT_CUTS
    for _ in range(rounds):
        excess, losses = limit.excess(optimum.x)
        if excess <= _SLACK * limit.size:
            return optimum.x
        program = _with_cut(program, losses, limit)
        optimum = solve(program, optimum.x, np.append(optimum.charges, 1.0), attempts=(attempt,))
    raise NotSolved(f"{rounds} rounds of cuts left the CVaR {excess:.3g} above {limit.max_cvar:.6g}")


def _with_cut(program: Program, losses: FloatArray, limit: TailLimit) -> Program:
    scale = float(np.abs(losses).max()) or 1.0
    return program.with_row(losses / scale, limit.max_cvar / scale)


def _at_once(program: Program, limit: TailLimit) -> FloatArray:
    """The large program in (w, t, u), whose multipliers reweight the scenarios into the one cut that proves its solution."""
    unit = float(np.abs(limit.outcomes).mean()) or 1.0
    large = _tail_program(limit.outcomes / unit, limit.tail, program.lower, program.upper, None)
    bounded = replace(
        large,
        cost=np.concatenate([-program.linear, np.zeros(len(large.cost) - program.size)]),
        rows=sparse.vstack([large.rows, large.cost[None, :]], format="csc"),
        limits=np.append(large.limits, limit.max_cvar / unit),
    )
    answer = conic.clarabel_linear(bounded, quadratic=program.quadratic)
    if answer.x is None:
        raise NotSolved(answer.status)
    shares = np.clip(answer.charges[:-1], 0.0, None)
    shares = np.minimum(shares / (float(shares.sum()) or 1.0), 1.0 / (limit.tail * len(limit.outcomes)))
    losses = -(shares @ limit.outcomes) / (float(shares.sum()) or 1.0)
    cut = _with_cut(program, losses, limit)
    charge = answer.charges[-1:] * float(np.abs(losses).max()) / unit
    weights = answer.x[: program.size]
    found = certified(cut, weights, best_price(cut, weights, charge), charge)
    over = limit.excess(found.x)[0] / limit.size
    worst = max(found.gap, over)
    if not (found.gap <= _LARGE_GAP and over <= _GAP):
        raise NotSolved(f"the optimality conditions are off by {worst:.3g} of the problem's scale")
    return found.x


def least_cvar(
    outcomes: FloatArray,
    tail: float,
    lower: FloatArray,
    upper: FloatArray,
    *,
    floor: float | None = None,
    attempts: Sequence[str] = LINEAR_ATTEMPTS,
) -> FloatArray:
    """The weights (n,), sum 1, in the box, with the least CVaR over the worst `tail` of `outcomes` (n_scenarios, n).

    floor: what the mean return is at least. One linear program in (w, t, u), accepted when the reweighting of the scenarios that its
    multipliers are proves that no other portfolio's CVaR is lower by more than 1e-9 of the mean outcome's size. Raises Infeasible,
    NotSolved.
    """
    means = outcomes.mean(axis=0)
    scale = float(np.abs(outcomes).mean()) or 1.0
    program = _tail_program(outcomes / scale, tail, lower, upper, None if floor is None else (means / scale, floor / scale))
    said = []
    for attempt in attempts:
        answer = conic.LINEAR_SOLVERS[attempt](program)
        if answer.x is None:
            said.append(f"{attempt}: {answer.status}")
            continue
        weights = snap(answer.x[: len(means)], lower, upper)
        gap = _tail_gap(weights, answer.charges, outcomes / scale, tail, (lower, upper), (means / scale, (floor or 0.0) / scale))
        short = 0.0 if floor is None else (floor - float(means @ weights)) / scale
        if max(gap, short) <= _GAP:
            return weights
        said.append(f"{attempt}: the optimality conditions are off by {max(gap, short):.3g} of the problem's scale")
    raise NotSolved("; ".join(said))


def _tail_program(
    outcomes: FloatArray, tail: float, lower: FloatArray, upper: FloatArray, floor: tuple[FloatArray, float] | None
) -> conic.LinearProgram:
    """Minimise t + sum u / (tail n) over (w, t, u) with the shortfalls u >= -r'w - t and u >= 0, and the floor m'w >= value."""
    count, size = outcomes.shape
    blocks = [sparse.hstack([sparse.csc_matrix(-outcomes), -np.ones((count, 1)), -sparse.identity(count)], format="csc")]
    if floor is not None:
        blocks.append(sparse.csc_matrix(np.concatenate([-floor[0], np.zeros(1 + count)])[None, :]))
    return conic.LinearProgram(
        cost=np.concatenate([np.zeros(size), [1.0], np.full(count, 1.0 / (tail * count))]),
        rows=sparse.vstack(blocks, format="csc"),
        limits=np.append(np.zeros(count), [] if floor is None else [-floor[1]]),
        budget=np.concatenate([np.ones(size), np.zeros(1 + count)]),
        total=1.0,
        lower=np.concatenate([lower, [-np.inf], np.zeros(count)]),
        upper=np.concatenate([upper, np.full(1 + count, np.inf)]),
    )


def _tail_gap(
    weights: FloatArray,
    charges: FloatArray,
    outcomes: FloatArray,
    tail: float,
    box: tuple[FloatArray, FloatArray],
    floor: tuple[FloatArray, float],
) -> float:
    """By how much another portfolio's CVaR could be lower at most.

    For any reweighting of the scenarios that the CVaR allows, and any price of mean return, no portfolio loses less than the one
    with the least losses under them.
    """
    count = len(outcomes)
    shares = np.clip(charges[:count], 0.0, 1.0 / (tail * count))
    shares = shares / (float(shares.sum()) or 1.0)
    price = max(0.0, float(charges[count])) if len(charges) > count else 0.0
    losses = -(shares @ outcomes) - price * floor[0]
    order = np.argsort(losses, kind="stable")
    widths = (box[1] - box[0])[order]
    before = np.concatenate([[0.0], np.cumsum(widths)[:-1]])
    bought = np.clip(1.0 - float(box[0].sum()) - before, 0.0, widths)
    least = float(losses @ box[0]) + float(losses[order] @ bought) + price * floor[1]
    return tail_loss(outcomes @ weights, tail) - least


def _require_reach(program: Program, limit: TailLimit) -> None:
    least = limit.excess(least_cvar(limit.outcomes, limit.tail, program.lower, program.upper))[0] + limit.max_cvar
    if least > limit.max_cvar + _SLACK * limit.size:
        raise Infeasible(f"max_cvar {limit.max_cvar:.6g} is below the least CVaR within reach, {least:.6g}: relax max_cvar or max_weight")
