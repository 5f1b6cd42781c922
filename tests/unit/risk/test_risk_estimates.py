"""Covariance, expected returns, Black-Litterman and hierarchical risk parity: identities and second implementations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from risk.black_litterman import implied_returns, omega_from_confidence, omega_proportional, posterior
from risk.covariance import ledoit_wolf, nearest_psd
from risk.errors import BadInput, Infeasible, NotPSD
from risk.expected_returns import capm, rolling_mean
from risk.hrp import hrp
from risk.performance import beta

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)


def random_returns(seed: int, n_assets: int, n_observations: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.01, (n_observations, n_assets)) * rng.uniform(0.2, 3, n_assets) + rng.normal(0, 0.01, (n_observations, 1))
    return pd.DataFrame(values, columns=[f"a{i:02d}" for i in range(n_assets)])


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n_assets=sizes, n_observations=st.integers(5, 80))
def test_ledoit_wolf_equals_scikit_learn(seed: int, n_assets: int, n_observations: int) -> None:
    returns = random_returns(seed, n_assets, n_observations)
    theirs = 252 * LedoitWolf().fit(returns.to_numpy()).covariance_
    scale = np.sqrt(np.outer(np.diagonal(theirs), np.diagonal(theirs)))
    assert np.abs((ledoit_wolf(returns).to_numpy() - theirs) / scale).max() < 1e-12


def test_ledoit_wolf_refuses_nan_by_the_name_of_the_asset() -> None:
    returns = random_returns(0, 3)
    returns.loc[4, "a01"] = np.nan
    with pytest.raises(BadInput, match="a01"):
        ledoit_wolf(returns)


def test_ledoit_wolf_refuses_a_single_observation() -> None:
    with pytest.raises(BadInput, match="1 observations"):
        ledoit_wolf(random_returns(0, 3, 1))


def test_nearest_psd_cuts_the_negative_eigenvalue_and_nothing_else() -> None:
    # Eigenvalues 3 and -1 on the diagonals of the plane: the nearest PSD matrix keeps 3 alone, 1.5 everywhere.
    broken = pd.DataFrame([[1.0, 2.0], [2.0, 1.0]], index=["x", "y"], columns=["x", "y"])
    repaired = nearest_psd(broken)
    assert repaired.to_numpy().ravel().tolist() == pytest.approx([1.5] * 4)
    assert np.linalg.eigvalsh(repaired).min() >= 0
    assert list(repaired.index) == ["x", "y"]


def test_nearest_psd_leaves_a_psd_matrix_alone() -> None:
    cov = ledoit_wolf(random_returns(3, 5))
    pd.testing.assert_frame_equal(nearest_psd(cov), cov, rtol=0, atol=1e-18)


def test_rolling_mean_uses_the_last_window_only() -> None:
    returns = pd.DataFrame({"a": [9.0, 0.01, 0.03], "b": [np.nan, 0.02, 0.02]})
    assert rolling_mean(returns, window=2).to_dict() == pytest.approx({"a": 0.02 * 252, "b": 0.02 * 252})
    with pytest.raises(BadInput, match="4 needed"):
        rolling_mean(returns, window=4)


def test_capm_pays_the_market_its_own_return_and_twice_the_premium_for_beta_two() -> None:
    market = pd.Series([0.01, -0.02, 0.03, 0.0])
    returns = pd.DataFrame({"market": market, "double": 2 * market, "cash": 0 * market})
    found = capm(returns, market, risk_free=0.02)
    premium = 252 * 0.005 - 0.02
    assert found.to_dict() == pytest.approx({"market": 252 * 0.005, "double": 0.02 + 2 * premium, "cash": 0.02})


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, n_assets=sizes, risk_free=st.floats(0, 0.1))
def test_capm_pays_each_asset_its_beta(seed: int, n_assets: int, risk_free: float) -> None:
    returns = random_returns(seed, n_assets)
    market = pd.Series(np.random.default_rng(seed).normal(0.0005, 0.01, len(returns)))
    premium = 252 * market.mean() - risk_free
    expected = {name: risk_free + premium * beta(returns[name], market) for name in returns}
    assert capm(returns, market, risk_free=risk_free).to_dict() == pytest.approx(expected, rel=1e-9)


def test_capm_refuses_what_it_cannot_use() -> None:
    returns = random_returns(0, 2, 5)
    with pytest.raises(BadInput, match="risk_free"):
        capm(returns, returns["a00"], risk_free=np.nan)
    with pytest.raises(BadInput, match="indexed differently"):
        capm(returns, returns["a00"].iloc[:4])
    with pytest.raises(BadInput, match=r"market holds .*'2'"):
        capm(returns, returns["a00"].where(returns.index != 2))


def test_capm_is_undefined_for_a_constant_market() -> None:
    assert capm(random_returns(0, 2, 5), pd.Series([0.001] * 5)).isna().all()


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n_assets=sizes, tau=st.floats(0.001, 1))
def test_a_posterior_without_views_is_the_prior(seed: int, n_assets: int, tau: float) -> None:
    cov = ledoit_wolf(random_returns(seed, n_assets))
    pi = implied_returns(cov, pd.Series(1 / n_assets, index=cov.index), 3.0)
    mean, spread = posterior(cov, pi, np.zeros((0, n_assets)), [], np.zeros((0, 0)), tau)
    pd.testing.assert_series_equal(mean, pi)
    pd.testing.assert_frame_equal(spread, (1 + tau) * cov)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n_assets=st.integers(2, 10), n_views=st.integers(1, 4))
def test_the_posterior_equals_the_textbook_formula_with_inverses(seed: int, n_assets: int, n_views: int) -> None:
    rng = np.random.default_rng(seed)
    cov, tau = ledoit_wolf(random_returns(seed, n_assets)), 0.05
    pi = pd.Series(rng.normal(0.05, 0.05, n_assets), index=cov.index)
    P, Q = rng.normal(size=(n_views, n_assets)), rng.normal(0, 0.1, n_views)
    omega = omega_from_confidence(cov, P, rng.uniform(0.1, 0.9, n_views), tau)
    mean, spread = posterior(cov, pi, P, Q, omega, tau)
    precision = np.linalg.inv(tau * cov.to_numpy())
    M = np.linalg.inv(precision + P.T @ np.linalg.inv(omega) @ P)
    expected = M @ (precision @ pi.to_numpy() + P.T @ np.linalg.inv(omega) @ Q)
    assert mean.to_numpy() == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert (spread - cov).to_numpy() == pytest.approx(M, rel=1e-6, abs=1e-9)


def test_no_confidence_drops_a_view_and_full_confidence_makes_it_certain() -> None:
    cov = ledoit_wolf(random_returns(5, 3))
    pi = pd.Series([0.01, 0.02, 0.03], index=cov.index)
    P = pd.DataFrame({"a00": [1.0, 0.0], "a02": [0.0, 1.0]})
    omega = omega_from_confidence(cov, P, [0.0, 1.0], 0.05)
    assert np.isinf(omega[0, 0]) and omega[1, 1] == 0
    mean, _ = posterior(cov, pi, P, [99.0, 0.1], omega, 0.05)
    assert mean["a02"] == pytest.approx(0.1, abs=1e-12)
    alone, _ = posterior(cov, pi, P.iloc[1:], [0.1], omega[1:, 1:], 0.05)
    pd.testing.assert_series_equal(mean, alone)


def test_half_confidence_is_the_proportional_omega() -> None:
    cov = ledoit_wolf(random_returns(5, 3))
    P = np.array([[1.0, -1.0, 0.0]])
    assert omega_from_confidence(cov, P, 0.5, 0.05) == pytest.approx(omega_proportional(cov, P, 0.05))
    assert omega_proportional(cov, P, 0.05)[0, 0] == pytest.approx(0.05 * (P @ cov.to_numpy() @ P.T).item())


def test_certain_views_that_repeat_each_other_agree_and_those_that_contradict_are_refused() -> None:
    cov = ledoit_wolf(random_returns(5, 3))
    pi = pd.Series(0.01, index=cov.index)
    P, omega = np.array([[1.0, 0, 0], [2.0, 0, 0]]), np.zeros((2, 2))
    mean, _ = posterior(cov, pi, P, [0.1, 0.2], omega, 0.05)
    assert mean["a00"] == pytest.approx(0.1)
    with pytest.raises(Infeasible, match="contradict"):
        posterior(cov, pi, P, [0.1, 0.3], omega, 0.05)


def test_black_litterman_names_what_does_not_fit() -> None:
    cov = ledoit_wolf(random_returns(5, 2))
    with pytest.raises(BadInput, match="market_weights"):
        implied_returns(cov, pd.Series({"a00": 1.0}), 3.0)
    with pytest.raises(BadInput, match="zz"):
        omega_proportional(cov, pd.DataFrame({"zz": [1.0]}), 0.05)
    with pytest.raises(BadInput, match="confidence"):
        omega_from_confidence(cov, np.eye(2), 1.5, 0.05)
    with pytest.raises(NotPSD):
        omega_proportional(pd.DataFrame([[1.0, 2.0], [2.0, 1.0]]), np.eye(2), 0.05)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, n_assets=sizes, kind=st.sampled_from(["paper", "correlation"]), scale=st.floats(1e-3, 1e3))
def test_hrp_is_long_only_fully_invested_and_ignores_the_scale(seed: int, n_assets: int, kind: str, scale: float) -> None:
    cov = ledoit_wolf(random_returns(seed, n_assets))
    weights = hrp(cov, distance=kind)
    assert weights.sum() == pytest.approx(1.0) and (weights > 0).all()
    pd.testing.assert_series_equal(hrp(cov * scale, distance=kind), weights, rtol=1e-9)


def test_hrp_of_two_assets_is_inverse_variance() -> None:
    cov = pd.DataFrame([[1.0, 0.3], [0.3, 4.0]])
    assert hrp(cov).tolist() == pytest.approx([0.8, 0.2])


def test_hrp_refuses_an_asset_without_variance() -> None:
    with pytest.raises(BadInput, match="dead"):
        hrp(pd.DataFrame([[1.0, 0.0], [0.0, 0.0]], index=["live", "dead"], columns=["live", "dead"]))
