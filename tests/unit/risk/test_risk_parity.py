"""Risk budgets are met to rounding, agree with two other solvers, and are refused where no portfolio carries them."""

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio import RiskMeasure
from skfolio.moments import LedoitWolf
from skfolio.optimization import RiskBudgeting
from skfolio.prior import EmpiricalPrior

from risk.covariance import ledoit_wolf
from risk.errors import BadInput, NotPSD, NotSolved
from risk.kernels import kernel
from risk.risk_parity import _newton, _start, budget_weights, risk_contributions, risk_parity

seeds = st.integers(0, 2**32 - 1)


def covariance(seed: int, size: int, draws: int | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(draws or 3 * size, size)) * rng.uniform(0.05, 0.4, size)
    labels = [f"a{i:02d}" for i in range(size)]
    return pd.DataFrame(rows.T @ rows / len(rows), index=labels, columns=labels)


def budgets_of(seed: int, cov: pd.DataFrame, evenness: float) -> pd.Series:
    drawn = np.random.default_rng(seed + 1).dirichlet(np.full(len(cov), evenness)) + 1e-12
    return pd.Series(drawn / drawn.sum(), index=cov.index)


def miss(weights: pd.Series, cov: pd.DataFrame, budgets: pd.Series) -> float:
    """The largest distance of a share of the variance from its budget, computed apart from the product."""
    parts = weights.to_numpy() * (cov.to_numpy() @ weights.to_numpy())
    return float(np.abs(parts / parts.sum() - budgets.to_numpy()).max())


@settings(deadline=None, derandomize=True, max_examples=80)
@given(seed=seeds, size=st.integers(1, 40), evenness=st.sampled_from([0.05, 0.2, 1.0, 10.0]))
def test_every_share_meets_its_budget(seed: int, size: int, evenness: float) -> None:
    cov = covariance(seed, size)
    budgets = budgets_of(seed, cov, evenness)
    weights = risk_parity(cov, budgets)
    assert weights.sum() == pytest.approx(1, abs=1e-12) and (weights > 0).all()
    assert miss(weights, cov, budgets) < 1e-13
    assert (risk_contributions(weights, cov) - budgets).abs().max() < 1e-13


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 30), scale=st.integers(-250, 250))
def test_neither_the_unit_nor_the_order_of_the_assets_matters(seed: int, size: int, scale: int) -> None:
    cov = covariance(seed, size)
    budgets = budgets_of(seed, cov, 0.5)
    weights = risk_parity(cov, budgets)
    pd.testing.assert_series_equal(risk_parity(cov * 10.0**scale, budgets * 7), weights, rtol=1e-9)
    turned = cov.index[np.random.default_rng(seed).permutation(size)]
    pd.testing.assert_series_equal(risk_parity(cov.loc[turned, turned], budgets)[cov.index], weights, rtol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 20))
def test_an_asset_quoted_in_another_unit_gets_the_inverse_of_its_factor(seed: int, size: int) -> None:
    cov = covariance(seed, size)
    factor = 10.0 ** np.random.default_rng(seed).uniform(-4, 4, size)
    expected = risk_parity(cov) / factor
    found = risk_parity(cov * np.outer(factor, factor))
    pd.testing.assert_series_equal(found, expected / expected.sum(), rtol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(seed=seeds, size=st.integers(2, 12), evenness=st.sampled_from([1.0, 10.0]))
def test_weights_are_those_of_the_log_barrier_in_cvxpy(seed: int, size: int, evenness: float) -> None:
    cov = covariance(seed, size)
    budgets = budgets_of(seed, cov, evenness)
    x = cp.Variable(size)
    scaled = cov.to_numpy() / np.diag(cov).max()
    goal = 0.5 * cp.quad_form(x, cp.psd_wrap(scaled)) - budgets.to_numpy() @ cp.log(x)
    cp.Problem(cp.Minimize(goal)).solve(solver="CLARABEL")
    np.testing.assert_allclose(risk_parity(cov, budgets), x.value / x.value.sum(), atol=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_are_those_of_skfolio_from_the_same_returns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = pd.DataFrame(rng.normal(size=(300, 1)) * 0.006 + rng.normal(size=(300, 12)) * rng.uniform(0.005, 0.02, 12))
    returns.columns = [f"a{i:02d}" for i in range(12)]
    budgets = budgets_of(seed, returns.cov(), 5.0)
    peer = RiskBudgeting(
        risk_measure=RiskMeasure.VARIANCE,
        risk_budget=budgets.to_numpy(),
        prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()),
    )
    weights = risk_parity(ledoit_wolf(returns), budgets)
    np.testing.assert_allclose(weights, peer.fit(returns).weights_, atol=1e-4)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 20), more=st.floats(1.05, 10))
def test_a_larger_budget_gets_a_larger_share_and_a_larger_position_beside_the_others(seed: int, size: int, more: float) -> None:
    cov = covariance(seed, size)
    budgets = pd.Series(1.0, index=cov.index)
    before = risk_parity(cov, budgets)
    after = risk_parity(cov, budgets.where(budgets.index != "a00", more))
    assert risk_contributions(after, cov)["a00"] == pytest.approx(more / (more + size - 1), abs=1e-12)
    # In units of risk x (weights over the portfolio's volatility) the minimum of x'Sx/2 - b'log x raises the x whose b is raised.
    x_before, x_after = (w["a00"] / np.sqrt(w @ cov @ w) * np.sqrt(total) for w, total in ((before, size), (after, more + size - 1)))
    assert x_after > x_before


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 20))
def test_uncorrelated_assets_get_the_roots_of_their_budgets_over_their_volatility(seed: int, size: int) -> None:
    volatility = np.random.default_rng(seed).uniform(0.01, 1, size)
    cov = pd.DataFrame(np.diag(volatility**2))
    budgets = budgets_of(seed, cov, 0.3)
    expected = np.sqrt(budgets) / volatility
    pd.testing.assert_series_equal(risk_parity(cov, budgets), expected / expected.sum(), rtol=1e-12)


def test_two_assets_with_equal_budgets_hold_the_inverse_of_their_volatility_whatever_their_correlation() -> None:
    for rho in (-0.999999, -0.5, 0.0, 0.99, 1.0):
        cov = pd.DataFrame([[0.04, rho * 0.06], [rho * 0.06, 0.09]])
        assert risk_parity(cov).tolist() == pytest.approx([0.6, 0.4], abs=1e-9)


def test_equal_budgets_are_the_default_and_a_zero_budget_drops_the_asset() -> None:
    cov = covariance(1, 4)
    pd.testing.assert_series_equal(risk_parity(cov), risk_parity(cov, pd.Series(3.0, index=cov.index)))
    dropped = risk_parity(cov, pd.Series([1.0, 0.0, 1.0, 1.0], index=cov.index))
    kept = [0, 2, 3]
    assert dropped["a01"] == 0
    pd.testing.assert_series_equal(dropped.iloc[kept], risk_parity(cov.iloc[kept, kept]))


def test_an_asset_without_variance_may_have_no_budget() -> None:
    cov = pd.DataFrame([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]], index=list("xyz"), columns=list("xyz"))
    assert risk_parity(cov, pd.Series({"x": 1.0, "y": 0.0, "z": 1.0})).tolist() == pytest.approx([2 / 3, 0, 1 / 3])


def test_budgets_from_one_to_a_million_millionth_are_met_in_proportion() -> None:
    """Where nothing cancels, also the smallest share is right to several digits, not only beside 1."""
    cov = ledoit_wolf(pd.DataFrame(np.random.default_rng(5).normal(size=(500, 25)) + np.random.default_rng(6).normal(size=(500, 1))))
    budgets = pd.Series(np.geomspace(1e-12, 1, 25), index=cov.index)
    weights = risk_parity(cov, budgets)
    shares = risk_contributions(weights, cov)
    assert (shares / (budgets / budgets.sum()) - 1).abs().max() < 1e-9


def test_duplicates_share_what_one_would_get() -> None:
    twins = pd.DataFrame([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    weights = risk_parity(twins)
    assert weights[0] == pytest.approx(weights[1]) and miss(weights, twins, pd.Series(1 / 3, index=twins.index)) < 1e-13


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(3, 30))
def test_a_singular_covariance_with_a_solution_is_solved(seed: int, size: int) -> None:
    """A market that all assets load on positively leaves no long-only portfolio without risk, however low the rank."""
    rng = np.random.default_rng(seed)
    loadings = np.column_stack([rng.uniform(0.5, 1.5, size), rng.normal(size=size) * 0.3])
    cov = pd.DataFrame(loadings @ loadings.T)
    assert miss(risk_parity(cov), cov, pd.Series(1 / size, index=cov.index)) < 1e-12


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=seeds, size=st.integers(10, 60))
def test_nearly_singular_covariances_are_solved_where_sweeps_alone_crawl(seed: int, size: int) -> None:
    cov = covariance(seed, size, draws=size + 1)
    budgets = budgets_of(seed, cov, 0.2)
    assert miss(risk_parity(cov, budgets), cov, budgets) < 1e-12


def test_newton_steps_alone_reach_what_the_sweeps_reach() -> None:
    cov = covariance(3, 30).to_numpy()
    budgets = np.full(30, 1 / 30)
    inverse = 1 / np.sqrt(np.diag(cov))
    correlation = cov * np.outer(inverse, inverse)
    x, pull = _start(correlation, budgets)
    for _ in range(12):
        x = _newton(correlation, budgets, x, pull)
        kernel("risk_parity").multiply(correlation, x, pull)
    weights = x * inverse
    np.testing.assert_allclose(weights / weights.sum(), budget_weights(cov, budgets), rtol=1e-11)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_where_a_long_only_portfolio_has_no_risk_there_is_no_answer(size: int) -> None:
    """Returns whose weighted sum is zero by construction hedge each other perfectly."""
    rows = np.random.default_rng(size).normal(size=(10 * size, size))
    rows[:, -1] = -rows[:, :-1].sum(axis=1)
    cov = pd.DataFrame(rows.T @ rows / len(rows))
    with pytest.raises(NotSolved, match="no long-only portfolio"):
        risk_parity(cov)
    with pytest.raises(NotSolved, match="no long-only portfolio"):
        risk_parity(cov, pd.Series(np.geomspace(1e-6, 1, size)))


def test_a_decision_is_the_same_bit_for_bit_each_time() -> None:
    cov = covariance(8, 60)
    first = risk_parity(cov)
    for _ in range(3):
        pd.testing.assert_series_equal(risk_parity(cov), first, rtol=0, atol=0)


def test_refusals_name_the_assets() -> None:
    cov = pd.DataFrame([[1.0, -1.0], [-1.0, 1.0]], index=["x", "y"], columns=["x", "y"])
    with pytest.raises(BadInput, match=r"negative budgets at \['y'\]"):
        risk_parity(cov, pd.Series({"x": 1.0, "y": -1.0}))
    with pytest.raises(BadInput, match="all zero"):
        risk_parity(cov, pd.Series({"x": 0.0, "y": 0.0}))
    with pytest.raises(BadInput, match=r"budgets.*'y'"):
        risk_parity(cov, pd.Series({"x": 1.0, "y": np.nan}))
    with pytest.raises(BadInput, match=r"budgets.*'z'"):
        risk_parity(cov, pd.Series({"x": 1.0, "z": 1.0}))
    with pytest.raises(BadInput, match=r"no variance to budget at \['y'\]"):
        risk_parity(cov * np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(NotPSD):
        risk_parity(cov - np.eye(2))


def test_risk_shares_of_a_riskless_portfolio_are_undefined() -> None:
    assert risk_contributions(pd.Series([1.0, 1.0]), pd.DataFrame([[1.0, -1.0], [-1.0, 1.0]])).isna().all()


def test_risk_shares_of_a_short_position_may_be_negative_and_sum_to_one() -> None:
    cov = pd.DataFrame([[0.04, 0.03], [0.03, 0.09]])
    # w'Sw = 0.04 - 2 * 0.5 * 0.03 + 0.25 * 0.09 = 0.0325; parts 0.04 - 0.015 and -0.5 * (0.03 - 0.045).
    assert risk_contributions(pd.Series([1.0, -0.5]), cov).tolist() == pytest.approx([0.025 / 0.0325, 0.0075 / 0.0325])


@pytest.mark.parametrize(("cov_unit", "weight_unit"), [(1e-320, 1.0), (1e300, 1e10), (1e-200, 1e-200), (1.0, 1e200)])
def test_shares_of_the_risk_do_not_depend_on_units(cov_unit: float, weight_unit: float) -> None:
    cov, weights = pd.DataFrame([[4.0, 1.0], [1.0, 9.0]]), pd.Series([1.0, 2.0])
    assert risk_contributions(weights * weight_unit, cov * cov_unit).to_list() == pytest.approx([6 / 44, 38 / 44], rel=1e-3)
