"""Optimised portfolios: certified against cvxpy, exact where the answer is known, refused where there is none."""

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.errors import BadInput, Infeasible, NotPSD, NotSolved
from risk.optimize import mean_variance, min_cvar, min_max, tail_mean
from risk.risk_parity import risk_contributions, risk_parity

seeds = st.integers(0, 2**32 - 1)


def problem(seed: int, size: int) -> tuple[pd.Series, pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(3 * size, size)) * rng.uniform(0.05, 0.4, size)
    labels = [f"a{i:02d}" for i in range(size)]
    cov = pd.DataFrame(draws.T @ draws / (3 * size), index=labels, columns=labels)
    return pd.Series(rng.normal(0.05, 0.1, size), index=labels), cov, rng


def utility(weights: pd.Series, mu: pd.Series, cov: pd.DataFrame, aversion: float) -> float:
    return float(weights @ mu - aversion * (weights @ cov @ weights))


def reference(mu: pd.Series, cov: pd.DataFrame, aversion: float, *, cap: float, **extra: object) -> float:
    """The optimal utility according to cvxpy; extra: l1, previous, turnover, short."""
    w = cp.Variable(len(mu))
    start = extra.get("previous")
    moved = w if start is None else w - np.asarray(start)
    objective = mu.to_numpy() @ w - aversion * cp.quad_form(w, cp.psd_wrap(cov.to_numpy())) - extra.get("l1", 0.0) * cp.norm1(moved)
    limits = [cp.sum(w) == 1, w <= cap, w >= (-cap if extra.get("short") else 0)]
    if "turnover" in extra:
        limits.append(cp.norm1(moved) <= extra["turnover"])
    return float(cp.Problem(cp.Maximize(objective), limits).solve(solver="CLARABEL"))


@settings(deadline=None, max_examples=30)
@given(seed=seeds, size=st.integers(2, 15), delta=st.floats(0, 2), room=st.floats(1.01, 5))
def test_min_max_is_as_good_as_cvxpy_and_inside_its_limits(seed: int, size: int, delta: float, room: float) -> None:
    mu, cov, _ = problem(seed, size)
    cap = min(1.0, room / size)
    weights = min_max(mu, cov, risk_aversion=3.0, delta=delta, max_weight=cap)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights.min() >= 0 and weights.max() <= cap
    assert utility(weights, mu, cov, 3 * (1 + delta)) >= reference(mu, cov, 3 * (1 + delta), cap=cap) - 1e-7


def test_two_uncorrelated_assets_have_the_closed_form_optimum() -> None:
    """w1 = 1/2 + (m1 - m2) / (2 g (v1 + v2)) + (v2 - v1) / (2 (v1 + v2)) for g w'Sigma w without a half."""
    mu, cov = pd.Series({"x": 0.10, "y": 0.05}), pd.DataFrame([[0.04, 0], [0, 0.09]], index=["x", "y"], columns=["x", "y"])
    expected = 0.5 + 0.05 / (2 * 2.0 * 0.13) + 0.05 / (2 * 0.13)
    assert min_max(mu, cov, risk_aversion=2.0)["x"] == pytest.approx(expected, abs=1e-12)


def test_label_order_does_not_matter_to_min_max() -> None:
    mu, cov, _ = problem(4, 8)
    turned = list(reversed(mu.index))
    again = min_max(mu[turned], cov.loc[turned, turned], risk_aversion=3.0)
    pd.testing.assert_series_equal(again[mu.index], min_max(mu, cov, risk_aversion=3.0), atol=1e-12)


def test_no_risk_aversion_buys_the_best_assets_up_to_the_cap() -> None:
    mu, cov, _ = problem(4, 4)
    weights = min_max(mu, cov, risk_aversion=0.0, max_weight=0.4)
    assert weights[mu.sort_values().index].tolist() == pytest.approx([0.0, 0.2, 0.4, 0.4], abs=1e-7)


def test_caps_that_leave_one_portfolio_give_that_one() -> None:
    mu, cov, _ = problem(4, 4)
    assert min_max(mu, cov, risk_aversion=3.0, max_weight=0.25).tolist() == [0.25] * 4


def test_a_singular_covariance_is_solved_through_the_interior_point() -> None:
    mu, labels = pd.Series({"x": 0.05, "y": 0.05, "z": 0.01}), ["x", "y", "z"]
    cov = pd.DataFrame(np.full((3, 3), 0.04), index=labels, columns=labels)
    weights = min_max(mu, cov, risk_aversion=3.0)
    assert weights["z"] == pytest.approx(0.0, abs=1e-7)
    assert utility(weights, mu, cov, 3.0) == pytest.approx(0.05 - 3 * 0.04, abs=1e-8)


def test_min_max_refuses_what_has_no_answer() -> None:
    mu, cov, _ = problem(4, 4)
    with pytest.raises(Infeasible, match="max_weight"):
        min_max(mu, cov, risk_aversion=3.0, max_weight=0.2)
    with pytest.raises(NotPSD):
        min_max(mu, cov - np.eye(4), risk_aversion=3.0)
    with pytest.raises(BadInput, match="delta"):
        min_max(mu, cov, risk_aversion=3.0, delta=float("nan"))
    with pytest.raises(BadInput, match="a02"):
        min_max(mu.where(mu.index != "a02"), cov, risk_aversion=3.0)
    with pytest.raises(BadInput, match="together"):
        min_max(mu, cov, risk_aversion=3.0, max_cvar=0.1)


def test_a_cvar_bound_holds_and_costs_no_more_than_cvxpy_says() -> None:
    mu, cov, rng = problem(11, 6)
    scenarios = pd.DataFrame(rng.standard_t(4, (250, 6)) * 0.01 * np.arange(1, 7), columns=mu.index)
    free = min_max(mu, cov, risk_aversion=1.0)
    bound = 0.7 * tail_mean((scenarios @ free).to_numpy(), 0.95)
    weights = min_max(mu, cov, risk_aversion=1.0, scenarios=scenarios, max_cvar=bound)
    assert tail_mean((scenarios @ weights).to_numpy(), 0.95) <= bound + 1e-9
    w, t = cp.Variable(6), cp.Variable()
    tail = t + cp.sum(cp.pos(-scenarios.to_numpy() @ w - t)) / (0.05 * 250)
    goal = cp.Maximize(mu.to_numpy() @ w - cp.quad_form(w, cp.psd_wrap(cov.to_numpy())))
    best = cp.Problem(goal, [cp.sum(w) == 1, w >= 0, tail <= bound]).solve(solver="CLARABEL")
    assert utility(weights, mu, cov, 1.0) == pytest.approx(best, abs=1e-7)
    loose = min_max(mu, cov, risk_aversion=1.0, scenarios=scenarios, max_cvar=1.0)
    pd.testing.assert_series_equal(loose, free)
    least = tail_mean((scenarios @ min_cvar(scenarios)).to_numpy(), 0.95)
    with pytest.raises(Infeasible, match=f"least CVaR within reach, {least:.6g}"):
        min_max(mu, cov, risk_aversion=1.0, scenarios=scenarios, max_cvar=0.99 * least)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, l1=st.floats(0, 0.1), turnover=st.floats(0.05, 2), long_only=st.booleans())
def test_mean_variance_with_trading_costs_and_turnover_equals_cvxpy(seed: int, l1: float, turnover: float, long_only: bool) -> None:
    mu, cov, rng = problem(seed, 6)
    start = pd.Series(rng.dirichlet(np.ones(6)), index=mu.index)
    found = mean_variance(mu, cov, risk_aversion=2.0, l1=l1, previous=start, max_turnover=turnover, max_weight=1.0, long_only=long_only)
    assert (found - start).abs().sum() <= turnover + 1e-8
    best = reference(mu, cov, 2.0, cap=1.0, l1=l1, previous=start, turnover=turnover, short=not long_only)
    assert utility(found, mu, cov, 2.0) - l1 * (found - start).abs().sum() == pytest.approx(best, abs=1e-7)


def test_a_short_portfolio_stays_inside_its_absolute_bound() -> None:
    mu, cov, _ = problem(3, 6)
    found = mean_variance(mu, cov, risk_aversion=0.5, max_weight=0.6, long_only=False)
    assert found.abs().max() <= 0.6 and found.min() < 0
    assert utility(found, mu, cov, 0.5) == pytest.approx(reference(mu, cov, 0.5, cap=0.6, short=True), abs=1e-7)
    taxed = mean_variance(mu, cov, risk_aversion=0.5, max_weight=0.6, long_only=False, l1=0.05)
    assert taxed.abs().sum() < found.abs().sum()


def test_turnover_that_cannot_reach_full_investment_is_infeasible() -> None:
    mu, cov, _ = problem(3, 4)
    with pytest.raises(Infeasible, match="full investment in the box, 1"):
        mean_variance(mu, cov, risk_aversion=1.0, previous=0 * mu, max_turnover=0.5)
    with pytest.raises(BadInput, match="previous"):
        mean_variance(mu, cov, risk_aversion=1.0, max_turnover=0.5)


@settings(deadline=None, max_examples=8)
@given(seed=seeds, alpha=st.sampled_from([0.9, 0.95, 0.975]))
def test_min_cvar_equals_cvxpy_and_meets_its_return(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    returns = pd.DataFrame(rng.standard_t(4, (120, 5)) * 0.01 + 0.001)
    floor = float(returns.mean().sort_values().iloc[-2])
    found = min_cvar(returns, alpha=alpha, min_return=floor, max_weight=0.8)
    assert found @ returns.mean() >= floor - 1e-10 and found.max() <= 0.8 + 1e-12
    w, t = cp.Variable(5), cp.Variable()
    tail = t + cp.sum(cp.pos(-returns.to_numpy() @ w - t)) / ((1 - alpha) * 120)
    limits = [cp.sum(w) == 1, w >= 0, w <= 0.8, returns.mean().to_numpy() @ w >= floor]
    best = cp.Problem(cp.Minimize(100 * tail), limits).solve(solver="CLARABEL") / 100
    assert tail_mean(returns.to_numpy() @ found.to_numpy(), alpha) == pytest.approx(best, abs=1e-8)


def test_min_cvar_refuses_a_return_that_no_asset_earned() -> None:
    returns = pd.DataFrame(np.random.default_rng(0).normal(0, 0.01, (50, 3)))
    with pytest.raises(Infeasible, match=f"best mean return within reach, {returns.mean().max():.6g}"):
        min_cvar(returns, min_return=0.5)
    with pytest.raises(Infeasible, match="max_weight"):
        min_cvar(returns, max_weight=0.3)


def test_tail_mean_counts_the_last_observation_in_part() -> None:
    # 30 % of 5 observations is the worst one and half of the next: (10 + 4 / 2) / 1.5.
    assert tail_mean(np.array([-0.10, -0.04, 0.0, 0.01, 0.02]), 0.7) == pytest.approx(0.08)


@settings(deadline=None, max_examples=60)
@given(seed=seeds, size=st.integers(1, 25), evenness=st.sampled_from([0.2, 1.0, 10.0]), scale=st.floats(1e-6, 1e6))
def test_risk_parity_meets_any_budgets_at_any_scale(seed: int, size: int, evenness: float, scale: float) -> None:
    _, cov, rng = problem(seed, size)
    budgets = pd.Series(rng.dirichlet(np.full(size, evenness)), index=cov.index)
    weights = risk_parity(cov, budgets)
    assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
    assert (risk_contributions(weights, cov) - budgets).abs().max() < 1e-8
    pd.testing.assert_series_equal(risk_parity(cov * scale, budgets), weights, rtol=1e-6, atol=1e-12)
    turned = list(rng.permutation(cov.index))
    pd.testing.assert_series_equal(risk_parity(cov.loc[turned, turned], budgets)[cov.index], weights, rtol=1e-6, atol=1e-12)


def test_equal_budgets_are_the_default_and_a_zero_budget_drops_the_asset() -> None:
    _, cov, _ = problem(1, 4)
    assert risk_contributions(risk_parity(cov), cov).tolist() == pytest.approx([0.25] * 4)
    dropped = risk_parity(cov, pd.Series([1.0, 0.0, 1.0, 1.0], index=cov.index))
    kept = [0, 2, 3]
    assert dropped["a01"] == 0
    pd.testing.assert_series_equal(dropped.iloc[kept], risk_parity(cov.iloc[kept, kept]))


def test_risk_parity_says_why_it_has_no_answer() -> None:
    hedge = pd.DataFrame([[1.0, -1.0], [-1.0, 1.0]])
    with pytest.raises(NotSolved):
        risk_parity(hedge)
    with pytest.raises(BadInput, match="no variance"):
        risk_parity(pd.DataFrame([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(BadInput, match="negative"):
        risk_parity(hedge, pd.Series([1.0, -1.0]))


def test_risk_shares_of_a_riskless_portfolio_are_undefined() -> None:
    assert risk_contributions(pd.Series([1.0, 1.0]), pd.DataFrame([[1.0, -1.0], [-1.0, 1.0]])).isna().all()


def test_whole_numbers_are_as_good_as_floats_for_every_parameter() -> None:
    mu, cov, rng = problem(4, 8)
    start, outcomes = pd.Series(1 / 8, index=mu.index), pd.DataFrame(rng.normal(0, 0.02, (60, 8)), columns=mu.index)
    calls = (
        lambda one, zero, two: min_max(mu, cov, risk_aversion=two, delta=zero, max_weight=one),
        lambda one, zero, two: min_max(mu, cov, risk_aversion=two, max_weight=one, scenarios=outcomes, max_cvar=one),
        lambda one, zero, two: mean_variance(mu, cov, risk_aversion=two, l1=one, previous=start, max_turnover=one, max_weight=two),
        lambda one, zero, two: mean_variance(mu, cov, risk_aversion=two, l1=zero, max_weight=one, long_only=False),
        lambda one, zero, two: min_cvar(outcomes, max_weight=one, min_return=-one),
    )
    for call in calls:
        pd.testing.assert_series_equal(call(1, 0, 2), call(1.0, 0.0, 2.0))


def test_scenarios_of_text_are_refused() -> None:
    mu, cov, _ = problem(4, 3)
    with pytest.raises(BadInput, match="scenarios"):
        min_max(mu, cov, risk_aversion=1.0, scenarios=pd.DataFrame([["much"] * 3], columns=mu.index), max_cvar=1.0)


@pytest.mark.parametrize("unit", [1e-40, 1e-150, 1e-290])
def test_risk_that_is_nothing_beside_the_returns_leaves_the_best_returns_within_the_cvar(unit: float) -> None:
    mu, cov, rng = problem(6, 40)
    outcomes = pd.DataFrame(rng.normal(0, 0.02, (120, 40)), columns=mu.index)
    bound = 1.2 * tail_mean((outcomes @ min_cvar(outcomes)).to_numpy(), 0.95)
    found = min_max(mu, cov * unit, risk_aversion=1.0, scenarios=outcomes, max_cvar=bound)
    w, level, over = cp.Variable(40), cp.Variable(), cp.Variable(120, nonneg=True)
    limits = [cp.sum(w) == 1, w >= 0, over >= -outcomes.to_numpy() @ w - level, level + cp.sum(over) / (0.05 * 120) <= bound]
    best = cp.Problem(cp.Maximize(mu.to_numpy() @ w), limits).solve(solver="CLARABEL")
    assert found @ mu == pytest.approx(best, abs=1e-7)
    assert tail_mean((outcomes @ found).to_numpy(), 0.95) <= bound + 1e-9
