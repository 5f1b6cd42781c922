"""Min-max portfolios of 500 assets, without and with a cap on CVaR, against cvxpy with Clarabel; equal objectives first.

The plain problem is the median over a suite of 100 random ones. The peer builds each problem anew with the covariance marked PSD, its
fastest form: as a parametrised (DPP) problem, compiled once, it takes longer, since 250,000 parameters are mapped each time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import cvxpy as cp
import numpy as np
import pandas as pd

from benchmarks.market import factor_returns
from benchmarks.side_by_side import Row, compare, report
from risk.optimize import min_max, tail_mean

CAP = 0.03
SUITE = 100
ALPHA = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    mu: pd.Series
    cov: pd.DataFrame
    gamma: float
    delta: float

    @property
    def aversion(self) -> float:
        return self.gamma * (1.0 + self.delta)

    def utility(self, weights: np.ndarray) -> float:
        return float(self.mu.to_numpy() @ weights - self.aversion * (weights @ self.cov.to_numpy() @ weights))


def problem(seed: int) -> Problem:
    """Means of unequal size, gamma 0.5 to 30, delta 0 to 2; covariances of full rank, of a third of it, and shrunk by 30 %."""
    rng = np.random.default_rng(seed)
    returns = factor_returns(seed)
    window = returns.iloc[:170] if seed % 3 == 1 else returns
    cov = 252 * window.cov()
    if seed % 3 == 2:
        cov = 0.7 * cov + 0.3 * float(np.diagonal(cov).mean()) * np.eye(len(cov))
    mu = 252 * returns.mean() * 10 ** rng.uniform(-1.5, 0.5)
    return Problem(mu=mu, cov=cov, gamma=float(10 ** rng.uniform(-0.3, 1.5)), delta=float(rng.uniform(0, 2)))


def own(task: Problem) -> np.ndarray:
    return min_max(task.mu, task.cov, risk_aversion=task.gamma, delta=task.delta, max_weight=CAP).to_numpy()


def peer(task: Problem) -> np.ndarray:
    weights = cp.Variable(len(task.mu))
    goal = task.mu.to_numpy() @ weights - task.aversion * cp.quad_form(weights, cp.psd_wrap(task.cov.to_numpy()))
    cp.Problem(cp.Maximize(goal), [cp.sum(weights) == 1, weights >= 0, weights <= CAP]).solve(solver=cp.CLARABEL)
    return np.asarray(weights.value)


def spent_s(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    begin = time.process_time()
    found = work()
    return time.process_time() - begin, found


def suite() -> Row:
    """Each problem by both, alternating; ours must be as good as the peer's to 1e-8, and better is allowed."""
    own(problem(0))
    own_times, peer_times, worst = [], [], 0.0
    for seed in range(SUITE):
        task = problem(seed)
        peer_s, theirs = spent_s(lambda: peer(task))  # noqa: B023  called at once
        # Covariances that differ in the last digits: each is checked anew, as a new problem is.
        variants = [replace(task, cov=task.cov * (1.0 + k * 1e-14)) for k in (1, 2, 3)]
        own_s = median(spent_s(lambda: own(variant))[0] for variant in variants)  # noqa: B023
        ours = own(task)
        assert abs(ours.sum() - 1) < 1e-12 and ours.min() >= 0 and ours.max() <= CAP
        worst = max(worst, task.utility(theirs) - task.utility(ours), abs(task.utility(theirs) - task.utility(ours)))
        own_times.append(own_s)
        peer_times.append(peer_s)
    assert worst < 1e-8, worst
    return Row(
        work=f"min-max, 3 % cap, {SUITE} problems",
        peer="cvxpy + Clarabel",
        at_least=30,
        own_s=median(own_times),
        peer_s=median(peer_times),
        equality=f"utility within {worst:.0e}",
    )


def parametrised(task: Problem) -> float:
    """CPU seconds of the peer's other form, compiled before."""
    size = len(task.mu)
    weights, means, root = cp.Variable(size), cp.Parameter(size), cp.Parameter((size, size))
    goal = means @ weights - cp.sum_squares(root @ weights)
    form = cp.Problem(cp.Maximize(goal), [cp.sum(weights) == 1, weights >= 0, weights <= CAP])
    times = []
    for _ in range(3):
        begin = time.process_time()
        means.value, root.value = task.mu.to_numpy(), np.linalg.cholesky(task.aversion * task.cov.to_numpy()).T
        form.solve(solver=cp.CLARABEL)
        times.append(time.process_time() - begin)
    return min(times[1:])


def capped(factor: float) -> Row:
    """The CVaR cap at `factor` of what the portfolio without it has."""
    returns = factor_returns(1)
    task = Problem(mu=252 * returns.mean(), cov=252 * returns.cov(), gamma=3.0, delta=0.0)
    outcomes = returns.to_numpy()
    bound = factor * tail_mean(outcomes @ own(task), ALPHA)

    def ours() -> np.ndarray:
        found = min_max(task.mu, task.cov, risk_aversion=3.0, max_weight=CAP, scenarios=returns, max_cvar=bound, alpha=ALPHA)
        return found.to_numpy()

    def theirs(**tolerances: float) -> np.ndarray:
        weights, level = cp.Variable(len(task.mu)), cp.Variable()
        tail = level + cp.sum(cp.pos(-outcomes @ weights - level)) / ((1 - ALPHA) * len(outcomes))
        goal = task.mu.to_numpy() @ weights - 3.0 * cp.quad_form(weights, cp.psd_wrap(task.cov.to_numpy()))
        limits = [cp.sum(weights) == 1, weights >= 0, weights <= CAP, tail <= bound]
        cp.Problem(cp.Maximize(goal), limits).solve(solver=cp.CLARABEL, **tolerances)
        return np.asarray(weights.value)

    # At its default tolerances, at which it is measured, the peer itself is only right to a few 1e-8.
    found, expected = ours(), theirs(tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    assert tail_mean(outcomes @ found, ALPHA) <= bound + 1e-9
    gap = abs(task.utility(found) - task.utility(expected)) / abs(task.utility(expected))
    assert gap < 1e-8, gap
    work, equality = f"min-max, CVaR cap at {factor:.0%} of the free one", f"utility within {gap:.0e} relative"
    return compare(work, "cvxpy Rockafellar-Uryasev", ours, theirs, at_least=100, equality=equality, peer_repeats=1)


def main() -> None:
    """Print the suite and two CVaR caps, a mild one and a tight one."""
    print(f"peer compiled once with parameters: {parametrised(problem(2)) * 1e3:.0f} ms a problem", flush=True)
    report([suite(), capped(0.9), capped(0.75)])


if __name__ == "__main__":
    main()
