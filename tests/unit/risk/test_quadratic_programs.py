"""Quadratic programs: optimal by conditions computed here, equal to other libraries, whatever the scale and however singular."""

import math
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypfopt import EfficientFrontier
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction

from risk import conic
from risk.box_qp import best_in_box, climbed, utility_program
from risk.errors import BadInput, Infeasible, NotSolved, RiskError
from risk.optimize import mean_variance, min_cvar, min_max, tail_mean
from risk.program import Program, best_price, certified
from risk.quadratic import ATTEMPTS, solve
from risk.tail import LINEAR_ATTEMPTS, TailLimit, best_under_cvar, least_cvar
from risk.trading import best_after_trading, least_turnover

seeds = st.integers(0, 2**32 - 1)


def market(seed: int, size: int, *, rank: int | None = None) -> tuple[pd.Series, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    count = 3 * size if rank is None else rank
    draws = rng.normal(size=(count, size)) * rng.uniform(0.05, 0.4, size)
    labels = [f"a{i:03d}" for i in range(size)]
    return pd.Series(rng.normal(0.05, 0.1, size), index=labels), pd.DataFrame(draws.T @ draws / count, index=labels, columns=labels)


def utility(w: Any, mu: Any, cov: Any, aversion: float) -> float:
    w = np.asarray(w)
    return float(w @ np.asarray(mu) - aversion * (w @ np.asarray(cov) @ w))


def assert_kkt(w: np.ndarray, mu: np.ndarray, cov: np.ndarray, aversion: float, lower: np.ndarray, upper: np.ndarray) -> None:
    """One price exists: assets above their lower bound earn at least it on the margin, those below their upper bound at most."""
    scale = max(float(np.ptp(mu)), 2 * aversion * float(np.diagonal(cov).max()), 1e-300)
    marginal = (mu - 2 * aversion * cov @ w) / scale
    assert abs(w.sum() - 1) <= 1e-12 and (w >= lower).all() and (w <= upper).all()
    sellable, buyable = w > lower + 1e-7, w < upper - 1e-7
    if sellable.any() and buyable.any():
        assert marginal[sellable].min() >= marginal[buyable].max() - 1e-7


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    seed=seeds,
    size=st.integers(1, 40),
    rank=st.sampled_from([None, 1, 3]),
    aversion=st.sampled_from([0.0, 1e-4, 1.0, 50.0]),
    room=st.sampled_from([1.0, 1.001, 2.0, 1e9]),
    twins=st.booleans(),
    mu_scale=st.sampled_from([1e-12, 1.0, 1e6]),
    cov_scale=st.sampled_from([0.0, 1e-12, 1.0, 1e6]),
)
def test_the_optimum_in_a_box_meets_its_optimality_conditions(
    seed: int, size: int, rank: int | None, aversion: float, room: float, twins: bool, mu_scale: float, cov_scale: float
) -> None:
    mu, cov = (values.to_numpy().copy() for values in market(seed, size, rank=rank))
    if twins:
        mu[-1], cov[-1], cov[:, -1] = mu[0], cov[0], cov[:, 0]
        cov[-1, -1] = cov[0, 0]
    lower, upper = np.zeros(size), np.full(size, min(1.0, room / size))
    w = best_in_box(mu * mu_scale, cov * cov_scale, aversion, lower, upper)
    assert_kkt(w, mu * mu_scale, cov * cov_scale, aversion, lower, upper)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 20), rank=st.sampled_from([None, 2]), aversion=st.floats(0, 20), room=st.floats(1.0, 6.0))
def test_min_max_equals_cvxpy_and_pyportfolioopt_which_halves_the_variance(
    seed: int, size: int, rank: int | None, aversion: float, room: float
) -> None:
    mu, cov = market(seed, size, rank=rank)
    cap = min(1.0, room / size)
    ours = utility(min_max(mu, cov, risk_aversion=aversion, delta=0.5, max_weight=cap), mu, cov, 1.5 * aversion)
    w = cp.Variable(size)
    goal = mu.to_numpy() @ w - 1.5 * aversion * cp.quad_form(w, cp.psd_wrap(cov.to_numpy()))
    tight = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    best = cp.Problem(cp.Maximize(goal), [cp.sum(w) == 1, w >= 0, w <= cap]).solve(solver="CLARABEL", **tight)
    assert ours == pytest.approx(best, abs=1e-8)
    if rank is None and aversion > 0.1:
        frontier = EfficientFrontier(mu, cov, weight_bounds=(0, cap + 1e-12), solver="CLARABEL")
        frontier.max_quadratic_utility(risk_aversion=3.0 * aversion)
        assert ours == pytest.approx(utility(frontier.weights, mu, cov, 1.5 * aversion), abs=1e-6)


def test_mean_variance_equals_skfolio_with_the_same_estimates() -> None:
    returns = pd.DataFrame(np.random.default_rng(3).normal(0.0005, 0.01, (400, 12)))
    theirs = MeanRisk(objective_function=ObjectiveFunction.MAXIMIZE_UTILITY, risk_aversion=2.0, max_weights=0.2)
    weights = theirs.fit(returns).weights_
    ours = mean_variance(returns.mean(), returns.cov(), risk_aversion=2.0, max_weight=0.2)
    assert utility(ours, returns.mean(), returns.cov(), 2.0) == pytest.approx(
        utility(weights, returns.mean(), returns.cov(), 2.0), abs=1e-9
    )


def test_min_cvar_is_as_good_as_skfolio() -> None:
    returns = pd.DataFrame(np.random.default_rng(5).standard_t(4, (300, 8)) * 0.01)
    theirs = MeanRisk(risk_measure=RiskMeasure.CVAR, cvar_beta=0.95, max_weights=0.3).fit(returns).weights_
    ours = min_cvar(returns, alpha=0.95, max_weight=0.3)
    assert tail_mean(returns.to_numpy() @ ours, 0.95) == pytest.approx(tail_mean(returns.to_numpy() @ theirs, 0.95), abs=1e-8)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 25), scale=st.sampled_from([1e-12, 1e-3, 1e6]), shift=st.floats(-1, 1))
def test_units_a_shift_of_all_means_and_the_order_of_labels_change_no_weight(seed: int, size: int, scale: float, shift: float) -> None:
    mu, cov = market(seed, size)
    weights = min_max(mu, cov, risk_aversion=2.0, max_weight=min(1.0, 2 / size))
    again = min_max(mu * scale, cov * scale, risk_aversion=2.0, max_weight=min(1.0, 2 / size))
    shifted = min_max(mu + shift, cov, risk_aversion=2.0, max_weight=min(1.0, 2 / size))
    turned = list(np.random.default_rng(seed).permutation(mu.index))
    permuted = min_max(mu[turned], cov.loc[turned, turned], risk_aversion=2.0, max_weight=min(1.0, 2 / size))
    for other in (again, shifted, permuted[mu.index]):
        pd.testing.assert_series_equal(other, weights, atol=1e-9, rtol=0)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 15), lower=st.floats(0.05, 5), ratio=st.floats(1.05, 5))
def test_more_aversion_never_means_more_variance_nor_more_return(seed: int, size: int, lower: float, ratio: float) -> None:
    mu, cov = market(seed, size)
    bold, timid = (min_max(mu, cov, risk_aversion=gamma) for gamma in (lower, lower * ratio))
    assert timid @ cov @ timid <= bold @ cov @ bold + 1e-12
    assert timid @ mu <= bold @ mu + 1e-12


def test_the_same_call_gives_the_same_bits() -> None:
    mu, cov = market(9, 60)
    first, second = (min_max(mu, cov, risk_aversion=1.0, max_weight=0.05).to_numpy() for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_assets_that_are_the_same_get_the_same_weight() -> None:
    labels = list("abcd")
    even = min_max(pd.Series(0.05, index=labels), pd.DataFrame(0.04, index=labels, columns=labels), risk_aversion=3.0)
    assert even.tolist() == pytest.approx([0.25] * 4, abs=1e-6)
    greedy = min_max(pd.Series([0.1, 0.1, 0.0, 0.1], index=labels), pd.DataFrame(np.eye(4), labels, labels), risk_aversion=0.0)
    assert greedy.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=1e-15)


def test_one_asset_gets_everything() -> None:
    assert min_max(pd.Series({"a": -1.0}), pd.DataFrame({"a": {"a": 0.1}}), risk_aversion=1.0).tolist() == [1.0]
    assert min_cvar(pd.DataFrame({"a": [0.1, -0.2, 0.0]})).tolist() == [1.0]


def hard(seed: int, size: int = 12) -> Program:
    mu, cov = (values.to_numpy() for values in market(seed, size))
    program, _ = utility_program(mu, cov, 2.0, np.zeros(size), np.full(size, 0.2))
    return program


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_each_attempt_alone_reaches_the_same_certified_optimum(attempt: str) -> None:
    for seed in range(5):
        program = hard(seed)
        start = climbed(program)
        first, alone = solve(program, start), solve(program, start, attempts=(attempt,))
        assert alone.x == pytest.approx(first.x, abs=1e-9) and alone.gap <= 1e-8


@pytest.mark.parametrize("attempt", LINEAR_ATTEMPTS)
def test_each_linear_solver_alone_reaches_the_least_cvar(attempt: str) -> None:
    outcomes = np.random.default_rng(2).standard_t(4, (150, 5)) * 0.01
    zero, one = np.zeros(5), np.full(5, 0.5)
    floor = float(np.sort(outcomes.mean(axis=0))[-2])
    both, alone = (least_cvar(outcomes, 0.1, zero, one, floor=floor, attempts=names) for names in (LINEAR_ATTEMPTS, (attempt,)))
    assert tail_mean(outcomes @ alone, 0.9) == pytest.approx(tail_mean(outcomes @ both, 0.9), abs=1e-10)
    assert alone @ outcomes.mean(axis=0) >= floor - 1e-10


def test_a_result_that_proves_nothing_is_refused_and_every_attempt_is_named() -> None:
    """Coefficients of 1e200, which nobody scaled: rounding alone exceeds the gap that is allowed."""
    program = hard(0)
    wrong = replace(program, linear=program.linear * 1e200, quadratic=program.quadratic * 1e200)
    with pytest.raises(NotSolved, match=r"exact: .*; Clarabel: .*; OSQP: "):
        solve(wrong, climbed(program))


def test_the_certificate_bounds_what_any_other_portfolio_could_gain() -> None:
    program, rng = hard(1), np.random.default_rng(1)
    best = solve(program, climbed(program)).x
    for _ in range(50):
        x = rng.dirichlet(np.ones(12)) * 0.5 + 0.5 / 12
        x = np.clip(x, 0, 0.2)
        x = x + (1 - x.sum()) / 12
        if x.max() > 0.2:
            continue
        found = certified(program, x, best_price(program, x, np.empty(0)), np.empty(0))
        gained = program.linear @ (best - x) - best @ program.quadratic @ best / 2 + x @ program.quadratic @ x / 2
        assert found.gap >= gained - 1e-12


def test_numbers_beyond_double_precision_are_an_error_of_ours() -> None:
    labels = ["a", "b"]
    cov = pd.DataFrame(np.diag([1e300, 1e300]), labels, labels)
    with pytest.raises(BadInput, match="too large"):
        min_max(pd.Series([0.1, 0.2], index=labels), cov, risk_aversion=1e10)
    tiny = min_max(pd.Series([0.0, 0.0], index=labels), cov * 1e-600 + np.diag([1e-300, 3e-300]), risk_aversion=1.0)
    assert tiny.tolist() == pytest.approx([0.75, 0.25])


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    seed=seeds,
    size=st.integers(2, 12),
    l1=st.sampled_from([0.0, 0.02, 0.5]),
    more=st.sampled_from([0.0, 0.1, 0.7, math.inf]),
    aversion=st.sampled_from([0.0, 2.0]),
    long_only=st.booleans(),
    outside=st.booleans(),
)
def test_trading_costs_and_turnover_equal_cvxpy_from_any_start(
    seed: int, size: int, l1: float, more: float, aversion: float, long_only: bool, outside: bool
) -> None:
    mu, cov = (values.to_numpy() for values in market(seed, size))
    rng = np.random.default_rng(seed)
    start = rng.normal(size=size) if outside else rng.dirichlet(np.ones(size))
    upper = np.full(size, min(1.0, 2.5 / size))
    box = (np.zeros(size) if long_only else -upper, upper)
    turnover = least_turnover(start, box) + more
    found = best_after_trading(mu, cov, aversion, box, start, cost=l1, turnover=turnover)
    assert found.sum() == pytest.approx(1.0, abs=1e-11) and (found >= box[0]).all() and (found <= box[1]).all()
    assert np.abs(found - start).sum() <= turnover + 1e-11
    w = cp.Variable(size)
    goal = mu @ w - aversion * cp.quad_form(w, cp.psd_wrap(cov)) - l1 * cp.norm1(w - start)
    limits = [cp.sum(w) == 1, w >= box[0], w <= box[1]] + ([cp.norm1(w - start) <= turnover] if math.isfinite(turnover) else [])
    best = cp.Problem(cp.Maximize(goal), limits).solve(solver="CLARABEL")
    assert utility(found, mu, cov, aversion) - l1 * np.abs(found - start).sum() == pytest.approx(best, abs=2e-7 if more == 0 else 1e-8)


def test_no_turnover_keeps_what_is_held_and_is_refused_where_that_is_outside_the_limits() -> None:
    mu, cov = market(2, 5)
    held = pd.Series([0.3, 0.3, 0.2, 0.1, 0.1], index=mu.index)
    kept = mean_variance(mu, cov, risk_aversion=1.0, previous=held, max_turnover=0.0, max_weight=0.5)
    pd.testing.assert_series_equal(kept, held, atol=1e-12)
    with pytest.raises(Infeasible, match=r"box, 0\.2$"):
        mean_variance(mu, cov, risk_aversion=1.0, previous=held, max_turnover=0.19, max_weight=0.25)
    met = mean_variance(mu, cov, risk_aversion=1.0, previous=held, max_turnover=0.2, max_weight=0.25)
    assert (met - held).abs().sum() == pytest.approx(0.2, abs=1e-11)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    seed=seeds, size=st.integers(2, 12), count=st.sampled_from([15, 80, 250]), alpha=st.sampled_from([0.9, 0.95]), part=st.floats(0.02, 1.1)
)
def test_a_cvar_cap_between_the_least_and_the_free_one_is_met_and_equals_cvxpy(
    seed: int, size: int, count: int, alpha: float, part: float
) -> None:
    mu, cov = market(seed, size)
    outcomes = np.random.default_rng(seed).standard_t(4, (count, size)) * 0.01 * np.linspace(1, 3, size)
    free = min_max(mu, cov, risk_aversion=1.0, max_weight=0.6)
    least = tail_mean(outcomes @ min_cvar(pd.DataFrame(outcomes), alpha=alpha, max_weight=0.6).to_numpy(), alpha)
    bound = least + part * (tail_mean(outcomes @ free, alpha) - least) + 1e-9
    found = min_max(mu, cov, risk_aversion=1.0, max_weight=0.6, scenarios=outcomes, max_cvar=bound, alpha=alpha)
    assert tail_mean(outcomes @ found, alpha) <= bound + 1e-11
    w, level = cp.Variable(size), cp.Variable()
    tail = level + cp.sum(cp.pos(-outcomes @ w - level)) / ((1 - alpha) * count)
    goal = mu.to_numpy() @ w - cp.quad_form(w, cp.psd_wrap(cov.to_numpy()))
    limits = [cp.sum(w) == 1, w >= 0, w <= 0.6, 100 * tail <= 100 * bound]
    tight = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
    best = cp.Problem(cp.Maximize(goal), limits).solve(solver="CLARABEL", **tight)
    assert utility(found, mu, cov, 1.0) == pytest.approx(best, abs=1e-7)


def test_a_tighter_cvar_cap_never_has_more_utility_and_the_tightest_is_the_least() -> None:
    mu, cov = market(4, 8)
    outcomes = np.random.default_rng(4).standard_t(4, (300, 8)) * 0.01
    least = tail_mean(outcomes @ min_cvar(pd.DataFrame(outcomes)).to_numpy(), 0.95)
    free = tail_mean(outcomes @ min_max(mu, cov, risk_aversion=1.0), 0.95)
    values = []
    for bound in np.linspace(least + 1e-9, free, 6):
        found = min_max(mu, cov, risk_aversion=1.0, scenarios=outcomes, max_cvar=float(bound))
        values.append(utility(found, mu, cov, 1.0))
        assert tail_mean(outcomes @ found, 0.95) <= bound + 1e-12
    assert values == sorted(values) and values[0] < values[-1]
    with pytest.raises(Infeasible, match="least CVaR"):
        min_max(mu, cov, risk_aversion=1.0, scenarios=outcomes, max_cvar=least * 0.999)


def test_scenarios_are_taken_by_symbol() -> None:
    mu, cov = market(6, 5)
    outcomes = pd.DataFrame(np.random.default_rng(6).normal(0, 0.01, (100, 5)), columns=mu.index)
    bound = 0.9 * tail_mean((outcomes @ min_max(mu, cov, risk_aversion=1.0)).to_numpy(), 0.95)
    plain, turned = (
        min_max(mu, cov, risk_aversion=1.0, scenarios=table, max_cvar=bound)
        for table in (outcomes, outcomes.iloc[:, ::-1].assign(other=0.0))
    )
    pd.testing.assert_series_equal(plain, turned)
    for table in (outcomes.drop(columns="a001"), outcomes.mask(outcomes == outcomes.iloc[3, 2]), outcomes.iloc[:0]):
        with pytest.raises(BadInput):
            min_max(mu, cov, risk_aversion=1.0, scenarios=table, max_cvar=bound)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_each_attempt_alone_reaches_the_best_utility_under_a_cap_on_cvar(attempt: str) -> None:
    mu, cov = (values.to_numpy() for values in market(3, 6))
    outcomes = np.random.default_rng(3).standard_t(4, (200, 6)) * 0.01
    program, _ = utility_program(mu, cov, 1.0, np.zeros(6), np.ones(6))
    start = solve(program, climbed(program))
    bound = 0.8 * tail_mean(outcomes @ start.x, 0.95)
    limit = TailLimit(outcomes=outcomes, max_cvar=bound, tail=0.05)
    usual, alone = (best_under_cvar(program, start, limit, attempts=names) for names in (ATTEMPTS, (attempt,)))
    assert alone == pytest.approx(usual, abs=1e-6)
    assert utility(alone, mu, cov, 1.0) == pytest.approx(utility(usual, mu, cov, 1.0), abs=1e-8)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_cap_of_zero_is_a_cap_like_any_other(attempt: str) -> None:
    """A bound without a size of its own: the worst outcomes must on average break even."""
    mu, cov = (values.to_numpy() for values in market(8, 6))
    outcomes = np.random.default_rng(8).normal(0.004, 0.01, (120, 6)) * np.linspace(0.2, 2.0, 6) + np.linspace(0.004, 0.0, 6)
    program, _ = utility_program(mu, cov, 0.2, np.zeros(6), np.ones(6))
    start = solve(program, climbed(program))
    assert tail_mean(outcomes @ start.x, 0.9) > 0
    found = best_under_cvar(program, start, TailLimit(outcomes=outcomes, max_cvar=0.0, tail=0.1), attempts=(attempt,))
    assert tail_mean(outcomes @ found, 0.9) == pytest.approx(0.0, abs=1e-9)


def test_outside_solvers_say_infeasible_only_with_proof() -> None:
    program = hard(0).with_row(np.ones(12), 0.5)
    for answer in conic.SOLVERS.values():
        with pytest.raises(Infeasible):
            answer(program)
    with pytest.raises(RiskError):
        solve(program, np.full(12, 1 / 12), np.ones(1))
