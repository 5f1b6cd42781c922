"""Black-Litterman: PyPortfolioOpt and the textbook inverses as second opinions, invariances, certain and empty views, every scale."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypfopt.black_litterman import BlackLittermanModel

from risk.black_litterman import blend, implied_returns, omega_from_confidence, omega_proportional, posterior
from risk.errors import BadInput, Infeasible, NotPSD, RiskError
from risk.inputs import covariance_array

seeds = st.integers(0, 2**32 - 1)
LABELS = ["a", "b", "c"]


def covariance(seed: int, n_assets: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_assets, 3)) * 0.1
    values = factors @ factors.T + np.diag(rng.uniform(0.01, 0.09, n_assets))
    labels = [f"a{i:03d}" for i in range(n_assets)]
    return pd.DataFrame((values + values.T) / 2, index=labels, columns=labels)


def problem(seed: int, n_assets: int, n_views: int) -> tuple[pd.DataFrame, pd.Series, np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    cov = covariance(seed, n_assets)
    pi = pd.Series(rng.normal(0.05, 0.05, n_assets), index=cov.index)
    P = rng.normal(size=(n_views, n_assets)) * (rng.uniform(size=(n_views, n_assets)) < 0.5)
    P[:, 0] += 1.0
    return cov, pi, P, rng.normal(0.0, 0.1, n_views), float(rng.uniform(0.01, 1.0))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(2, 15), n_views=st.integers(1, 6))
def test_prior_omegas_and_posterior_are_pypfopts(seed: int, n_assets: int, n_views: int) -> None:
    cov, _, P, Q, tau = problem(seed, n_assets, n_views)
    rng = np.random.default_rng(seed)
    weights, confidence = pd.Series(rng.dirichlet(np.ones(n_assets)), index=cov.index), rng.uniform(0.05, 0.95, n_views)
    pi = implied_returns(cov, weights, 2.5)
    for omega, theirs in (
        (omega_proportional(cov, P, tau), {}),
        (omega_from_confidence(cov, P, confidence, tau), {"omega": "idzorek", "view_confidences": confidence}),
    ):
        peer = BlackLittermanModel(cov, pi="market", market_caps=weights * 1e9, risk_aversion=2.5, P=P, Q=Q, tau=tau, **theirs)
        mean, spread = posterior(cov, pi, P, Q, omega, tau)
        assert pi.to_numpy() == pytest.approx(peer.pi.ravel(), rel=1e-10, abs=1e-14)
        assert omega == pytest.approx(peer.omega, rel=1e-9, abs=1e-15)
        assert mean.to_numpy() == pytest.approx(peer.bl_returns().to_numpy(), rel=1e-7, abs=1e-9)
        assert spread.to_numpy() == pytest.approx(peer.bl_cov().to_numpy(), rel=1e-7, abs=1e-10)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(2, 12), n_views=st.integers(1, 5))
def test_a_full_omega_gives_the_textbook_posterior(seed: int, n_assets: int, n_views: int) -> None:
    cov, pi, P, Q, tau = problem(seed, n_assets, n_views)
    root = np.random.default_rng(seed).normal(size=(n_views, n_views)) * 0.05
    omega = root @ root.T + 1e-3 * np.eye(n_views)
    mean, spread = posterior(cov, pi, P, Q, omega, tau)
    prior, certain = np.linalg.inv(tau * cov.to_numpy()), np.linalg.inv(omega)
    M = np.linalg.inv(prior + P.T @ certain @ P)
    assert mean.to_numpy() == pytest.approx(M @ (prior @ pi.to_numpy() + P.T @ certain @ Q), rel=1e-7, abs=1e-9)
    assert (spread - cov).to_numpy() == pytest.approx(M, rel=1e-6, abs=1e-9)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(2, 12), n_views=st.integers(1, 5), scale=st.sampled_from([1e-140, 1e-8, 1e-2, 1e4, 1e140]))
def test_a_change_of_unit_and_of_the_order_of_assets_or_views_changes_nothing_else(
    seed: int, n_assets: int, n_views: int, scale: float
) -> None:
    cov, pi, P, Q, tau = problem(seed, n_assets, n_views)
    omega = omega_proportional(cov, P, tau)
    mean, spread = posterior(cov, pi, P, Q, omega, tau)
    larger, wider = posterior(cov * scale**2, pi * scale, P, Q * scale, omega * scale**2, tau)
    assert (larger / scale).to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-8, abs=1e-10)
    assert (wider / scale**2).to_numpy() == pytest.approx(spread.to_numpy(), rel=1e-8, abs=1e-10)
    rng = np.random.default_rng(seed)
    assets, views = rng.permutation(n_assets), rng.permutation(n_views)
    moved, moved_spread = posterior(
        cov.iloc[assets, assets], pi, pd.DataFrame(P[views], columns=cov.index), Q[views], omega[np.ix_(views, views)], tau
    )
    assert moved[pi.index].to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-8, abs=1e-10)
    assert moved_spread.loc[pi.index, pi.index].to_numpy() == pytest.approx(spread.to_numpy(), rel=1e-8, abs=1e-10)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(1, 12), confidence=st.floats(0.0, 1.0))
def test_one_view_moves_the_prior_by_its_confidence_of_the_way_to_certainty(seed: int, n_assets: int, confidence: float) -> None:
    """Idzorek's tilt: the posterior with confidence c is pi + c (the certain posterior - pi)."""
    cov, pi, P, Q, tau = problem(seed, n_assets, 1)
    means = {c: posterior(cov, pi, P, Q, omega_from_confidence(cov, P, c, tau), tau)[0] for c in (0.0, confidence, 1.0)}
    assert means[0.0].tolist() == pi.tolist()
    assert float(P[0] @ means[1.0]) == pytest.approx(Q[0], abs=1e-9)
    assert means[confidence].to_numpy() == pytest.approx((pi + confidence * (means[1.0] - pi)).to_numpy(), rel=1e-9, abs=1e-9)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(1, 12), n_views=st.integers(1, 12))
def test_views_only_ever_reduce_uncertainty_and_the_result_is_a_covariance(seed: int, n_assets: int, n_views: int) -> None:
    cov, pi, P, Q, tau = problem(seed, n_assets, n_views)
    confidence = np.random.default_rng(seed).choice([0.0, 0.3, 0.999], n_views)
    _, spread = posterior(cov, pi, P, Q, omega_from_confidence(cov, P, confidence, tau), tau)
    assert np.array_equal(spread, spread.T)
    scale = float(cov.to_numpy().max())
    assert np.linalg.eigvalsh(spread - cov).min() > -1e-12 * scale
    assert np.linalg.eigvalsh((1 + tau) * cov - spread).min() > -1e-12 * scale
    covariance_array(spread)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(2, 10), n_views=st.integers(1, 4), copies=st.integers(2, 3))
def test_a_view_given_k_times_with_k_times_the_uncertainty_is_given_once(seed: int, n_assets: int, n_views: int, copies: int) -> None:
    cov, pi, P, Q, tau = problem(seed, n_assets, n_views)
    omega = omega_proportional(cov, P, tau)
    mean, spread = posterior(cov, pi, P, Q, omega, tau)
    again, same = posterior(cov, pi, np.tile(P, (copies, 1)), np.tile(Q, copies), np.kron(np.eye(copies), omega * copies), tau)
    assert again.to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-7, abs=1e-9)
    assert same.to_numpy() == pytest.approx(spread.to_numpy(), rel=1e-7, abs=1e-10)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=seeds, n_assets=st.integers(1, 8), extra=st.integers(0, 4))
def test_certain_views_hold_exactly_also_when_there_are_more_than_assets(seed: int, n_assets: int, extra: int) -> None:
    cov, pi, P, _, tau = problem(seed, n_assets, n_assets + extra)
    truth = np.random.default_rng(seed).normal(0, 0.1, n_assets)
    Q = P @ truth
    mean, spread = posterior(cov, pi, P, Q, np.zeros((len(P), len(P))), tau)
    assert P @ mean.to_numpy() == pytest.approx(Q, abs=1e-6)
    assert P @ (spread - cov).to_numpy() @ P.T == pytest.approx(0.0, abs=1e-6)


def three(correlation: float = 0.5) -> pd.DataFrame:
    values = 0.04 * (correlation + (1 - correlation) * np.eye(3))
    return pd.DataFrame(values, index=LABELS, columns=LABELS)


def test_a_row_of_zeros_says_nothing_unless_it_says_that_nothing_earns_something() -> None:
    cov, pi = three(), pd.Series(0.05, index=LABELS)
    P, Q = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0.1, 0.0])
    alone = posterior(cov, pi, P[:1], Q[:1], omega_proportional(cov, P[:1], 0.05), 0.05)
    beside = posterior(cov, pi, P, Q, omega_proportional(cov, P, 0.05), 0.05)
    unsure = posterior(cov, pi, P, [0.1, 0.7], np.diag([omega_proportional(cov, P, 0.05)[0, 0], 1.0]), 0.05)
    for mean, spread in (beside, unsure):
        pd.testing.assert_series_equal(mean, alone[0], rtol=1e-12)
        pd.testing.assert_frame_equal(spread, alone[1], rtol=1e-12)
    with pytest.raises(Infeasible, match=r"contradict each other or the prior, at \['empty'\]"):
        named = pd.DataFrame(P, index=["first", "empty"], columns=LABELS)
        posterior(cov, pi, named, [0.1, 0.01], omega_proportional(cov, named, 0.05), 0.05)


def test_a_view_on_a_portfolio_without_risk_can_only_repeat_the_prior() -> None:
    """Two assets that always move together: their difference has no variance but that of rounding."""
    loading = np.array([0.3, 0.3, 0.1])
    cov = pd.DataFrame(np.outer(loading, loading), index=LABELS, columns=LABELS)
    pi, P = pd.Series([0.05, 0.05, 0.02], index=LABELS), np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -3.0]])
    omega = omega_proportional(cov, P, 0.05)
    mean, spread = posterior(cov, pi, P, [0.0, 0.05 - 0.06], omega, 0.05)
    assert mean.to_numpy() == pytest.approx(pi.to_numpy(), abs=1e-12)
    assert spread.to_numpy() == pytest.approx(1.05 * cov.to_numpy(), abs=1e-12)
    with pytest.raises(Infeasible, match=r"\['1'\]"):
        posterior(cov, pi, P, [0.0, 0.3], omega, 0.05)


def test_nearly_equal_assets_can_still_be_told_apart_by_a_view() -> None:
    cov, pi = three(1 - 1e-7), pd.Series(0.05, index=LABELS)
    P = np.array([[1.0, -1.0, 0.0]])
    mean, _ = posterior(cov, pi, P, [0.001], np.zeros((1, 1)), 0.05)
    assert mean["a"] - mean["b"] == pytest.approx(0.001, rel=1e-8)
    half, _ = posterior(cov, pi, P, [0.001], omega_proportional(cov, P, 0.05), 0.05)
    assert half["a"] - half["b"] == pytest.approx(0.0005, rel=1e-8)


def test_contradicting_certain_views_are_named_and_an_uncertainty_reconciles_them() -> None:
    cov, pi = three(), pd.Series(0.05, index=LABELS)
    P = pd.DataFrame([[0, 0, 1.0], [1.0, 0, 0], [2.0, 0, 0]], index=["other", "low", "high"], columns=LABELS)
    with pytest.raises(Infeasible, match=r"contradict .* at \['low', 'high'\]"):
        posterior(cov, pi, P, [0.02, 0.1, 0.3], np.zeros((3, 3)), 0.05)
    mean, _ = posterior(cov, pi, P, [0.02, 0.1, 0.3], np.diag([0.0, 1e-4, 4e-4]), 0.05)
    assert 0.1 < mean["a"] < 0.15
    assert mean["c"] == pytest.approx(0.02)


def test_one_view_may_be_a_series_by_symbol_in_any_order() -> None:
    cov, pi = three(), pd.Series(0.05, index=LABELS)
    view = pd.Series({"c": -1.0, "a": 1.0})
    omega = omega_proportional(cov, view, 0.05)
    mean, _ = posterior(cov, pi, view, 0.02, omega, 0.05)
    same, _ = posterior(cov, pi, [[1.0, 0.0, -1.0]], [0.02], omega, 0.05)
    pd.testing.assert_series_equal(mean, same)


def test_confidences_at_the_ends_of_the_numbers() -> None:
    cov, P = three(), np.eye(3)
    assert np.diagonal(omega_from_confidence(cov, P, [0.0, 1.0, 5e-324], 0.05)).tolist() == [math.inf, 0.0, math.inf]
    assert np.diagonal(omega_from_confidence(cov, np.zeros((1, 3)), 5e-324, 0.05)).tolist() == [math.inf]
    assert omega_from_confidence(cov, np.zeros((0, 3)), 0.5, 0.05).shape == (0, 0)


def test_blend_drops_infinite_omegas_by_itself() -> None:
    cov, pi = three().to_numpy(), np.full(3, 0.05)
    omega = np.diag([math.inf, 0.01, math.inf])
    mean, spread = blend(cov, pi, np.eye(3), np.array([9.0, 0.1, 9.0]), omega, 0.05)
    expected, wide = blend(cov, pi, np.eye(3)[1:2], np.array([0.1]), np.array([[0.01]]), 0.05)
    assert np.array_equal(mean, expected) and np.array_equal(spread, wide)


@pytest.mark.parametrize(
    ("change", "error", "cause"),
    [
        ({"pi": pd.Series([0.0, np.nan, 0.0], index=LABELS)}, BadInput, "pi holds NaN .*'b'"),
        ({"pi": pd.Series([0.0, 0.0], index=["a", "b"])}, BadInput, "pi must carry .*'c'"),
        ({"P": [[1.0, 0.0]]}, BadInput, r"P of shape \(1, 2\)"),
        ({"P": [[1.0, np.nan, 0.0]]}, BadInput, "P holds NaN .*'b'"),
        ({"P": [[1.0], [1.0, 2.0]]}, BadInput, "P is no matrix"),
        ({"P": pd.DataFrame({"z": [1.0]})}, BadInput, "P names symbols .*'z'"),
        ({"Q": [0.1, 0.2]}, BadInput, "1 rows in P, 2 in Q"),
        ({"Q": [np.inf]}, BadInput, "Q holds 1 NaN or infinite"),
        ({"Q": ["much"]}, BadInput, "Q holds something that is no number"),
        ({"omega": [[0.1, 0.2]]}, BadInput, r"omega of shape \(1, 2\)"),
        ({"omega": [[np.nan]]}, BadInput, "omega holds NaN"),
        ({"omega": [["x"]]}, BadInput, "omega holds something"),
        ({"omega": [[-1.0]]}, NotPSD, "omega has the negative eigenvalue -1"),
        ({"P": np.eye(3)[:2], "Q": [0.1, 0.1], "omega": [[1.0, 0.5], [0.1, 1.0]]}, BadInput, "omega is not symmetric"),
        ({"P": np.eye(3)[:2], "Q": [0.1, 0.1], "omega": [[1.0, 2.0], [2.0, 1.0]]}, NotPSD, "omega has the negative"),
        ({"tau": 0.0}, BadInput, "tau must be positive"),
        ({"tau": math.nan}, BadInput, "tau must be positive"),
        ({"cov": -three()}, NotPSD, "covariance has the negative"),
        ({"P": [[1e300, 0.0, 0.0]]}, BadInput, "variance of views holds"),
        ({"Q": [1.7e308], "omega": [[0.0]]}, BadInput, "posterior mean holds"),
        ({"tau": 1e308, "cov": three() * 1e10}, BadInput, "variance of views holds NaN or infinite"),
        ({"tau": 1e308, "cov": three() * 1e10, "omega": [[math.inf]]}, BadInput, "posterior covariance holds NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], error: type[RiskError], cause: str) -> None:
    given_: dict[str, object] = {"cov": three(), "pi": pd.Series(0.05, index=LABELS), "P": [[1.0, 1.0, 0.0]], "Q": [0.1], "omega": [[0.01]]}
    with pytest.raises(error, match=cause):
        posterior(**({**given_, "tau": 0.05} | change))


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan, [0.5, 0.5], ["sure"]])
def test_a_confidence_that_is_none_is_refused(confidence: object) -> None:
    with pytest.raises(BadInput, match="confidence"):
        omega_from_confidence(three(), np.eye(3), confidence, 0.05)


def test_implied_returns_refuse_what_has_no_answer() -> None:
    weights = pd.Series(1 / 3, index=LABELS)
    with pytest.raises(BadInput, match="risk_aversion"):
        implied_returns(three(), weights, math.nan)
    with pytest.raises(BadInput, match=r"implied_returns holds .*'a'"):
        implied_returns(three() * 1e308, weights * 1e10, 3.0)
    with pytest.raises(BadInput, match=r"market_weights holds NaN .*'a'"):
        implied_returns(three(), weights * math.nan, 3.0)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(seed=seeds, n_assets=st.integers(1, 8), n_views=st.integers(0, 6), exponent=st.sampled_from([-300, -150, -20, 0, 20, 150, 290]))
def test_whatever_the_views_the_answer_is_finite_or_an_error_of_ours(seed: int, n_assets: int, n_views: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_assets, rng.integers(0, n_assets + 1)))
    cov = pd.DataFrame(factors @ factors.T * float(f"1e{exponent}"))
    P = rng.choice([0.0, 1.0, -1.0, 1e-8, 1e8, 1e100], (n_views, n_assets))
    Q, confidence = rng.choice([0.0, 0.1, -1.0, 1e100, 1e-100], n_views), rng.choice([0.0, 0.5, 1.0, 1e-300, 1 - 1e-16], n_views)
    pi = pd.Series(rng.choice([0.0, 0.05, -1e-12, 1e50], n_assets))
    try:
        mean, spread = posterior(cov, pi, P, Q, omega_from_confidence(cov, P, confidence, 0.05), 0.05)
    except RiskError:
        return
    assert np.isfinite(mean).all() and np.isfinite(spread.to_numpy()).all()


def test_views_that_carry_names_go_by_name() -> None:
    cov, pi, P, Q, tau = problem(5, 4, 3)
    picks = pd.DataFrame(P, index=["first", "second", "third"], columns=cov.index)
    omega = omega_proportional(cov, P, tau)
    named = pd.Series(Q, index=picks.index).iloc[[2, 0, 1]]
    expected, _ = posterior(cov, pi, P, Q, omega, tau)
    pd.testing.assert_series_equal(posterior(cov, pi, picks, named, omega, tau)[0], expected)
    pd.testing.assert_series_equal(posterior(cov, pi, picks, pd.Series(Q), omega, tau)[0], expected)
