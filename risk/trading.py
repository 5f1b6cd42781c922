"""Portfolios that are best after what it costs to get there: a price on every trade, and a limit on all of them together."""

from collections.abc import Sequence

import numpy as np

from risk.box_qp import climbed, utility_program
from risk.errors import Infeasible
from risk.inputs import FloatArray
from risk.program import Program
from risk.quadratic import ATTEMPTS, solve

_ROUNDING = 1e-12


def best_after_trading(
    mu: FloatArray,
    cov: FloatArray,
    aversion: float,
    box: tuple[FloatArray, FloatArray],
    start: FloatArray,
    *,
    cost: float,
    turnover: float,
    attempts: Sequence[str] = ATTEMPTS,
) -> FloatArray:
    """The w (n,) that maximises w'mu - aversion w'Sigma w - cost sum|w - start|, sum w = 1, in the box, sum|w - start| <= turnover.

    Purchases and sales are variables of their own, each in the room that the box leaves it, so that the program has the form of every
    other one here. turnover may be infinite. Raises Infeasible naming the least turnover that leads into the box, NotSolved.

    References: Lobo, Fazel & Boyd (2007), Portfolio optimization with linear and fixed transaction costs, Annals of Operations
    Research 152.
    """
    _require_turnover(start, box, turnover)
    program = _program(mu, cov, aversion, box, start, cost)
    optimum = solve(program, climbed(program), attempts=attempts)
    traded = np.repeat([1.0, -1.0], len(mu))
    if float(np.abs(_moves(optimum.x)).sum()) > turnover + _ROUNDING:
        # Only one of the two ways of a trade is open to most assets, so the sum of both is the turnover.
        limited = program.with_row(traded, turnover)
        optimum = solve(limited, optimum.x, np.ones(1), attempts=attempts)
    return np.clip(start + _moves(optimum.x), *box)


def least_turnover(start: FloatArray, box: tuple[FloatArray, FloatArray]) -> float:
    """The least sum|w - start| over the w (n,) in the box with sum 1: into the box first, then what is missing from the sum."""
    inside = np.clip(start, *box)
    return float(np.abs(inside - start).sum()) + abs(1.0 - float(inside.sum()))


def _require_turnover(start: FloatArray, box: tuple[FloatArray, FloatArray], turnover: float) -> None:
    least = least_turnover(start, box)
    if least > turnover + _ROUNDING * max(1.0, least):
        raise Infeasible(f"max_turnover {turnover:.6g} is below the least turnover that leads to a full investment in the box, {least:.6g}")


def _program(
    mu: FloatArray, cov: FloatArray, aversion: float, box: tuple[FloatArray, FloatArray], start: FloatArray, cost: float
) -> Program:
    """The utility in (purchases, -sales) (2 n,): w = start + purchases - sales, and both cost."""
    lower, upper = box
    held, unit = utility_program(mu, cov, aversion, lower, upper, at_least=cost)
    pull = held.linear - held.quadratic @ start
    return Program(
        linear=np.concatenate([pull - cost / unit, pull + cost / unit]),
        quadratic=np.tile(held.quadratic, (2, 2)),
        lower=np.concatenate([np.maximum(lower - start, 0.0), -np.maximum(start - lower, 0.0)]),
        upper=np.concatenate([np.maximum(upper - start, 0.0), -np.maximum(start - upper, 0.0)]),
        rows=np.empty((0, 2 * len(mu))),
        limits=np.empty(0),
        total=1.0 - float(start.sum()),
    )


def _moves(trades: FloatArray) -> FloatArray:
    half = len(trades) // 2
    moves: FloatArray = trades[:half] + trades[half:]
    return moves
