"""Estimates, optimisers, stress and regimes as a stranger would call them: published tables, textbook forms and second libraries."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pypfopt
import pytest
import skfolio.measures as skfolio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage, to_tree
from scipy.optimize import linprog, minimize
from scipy.spatial.distance import squareform
from scipy.stats import multivariate_normal

from risk import stress
from risk.black_litterman import implied_returns, omega_from_confidence, omega_proportional, posterior
from risk.covariance import ledoit_wolf, nearest_psd
from risk.errors import BadInput, Infeasible, NotPSD, RiskError
from risk.expected_returns import capm, rolling_mean
from risk.hrp import hrp
from risk.optimize import mean_variance, min_cvar, min_max
from risk.regime import RegimeModel, fit
from risk.risk_parity import risk_contributions, risk_parity
from risk.tracking import track, track_many

quick = settings(deadline=None, derandomize=True, max_examples=25)
few = settings(deadline=None, derandomize=True, max_examples=8)
seeds = st.integers(0, 2**32 - 1)


def names(n: int) -> list[str]:
    return [f"A{i:02d}" for i in range(n)]


def market(seed: int, n_assets: int, n_days: int = 250) -> pd.DataFrame:
    """Daily returns with one common factor."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0003, 0.01, (n_days, 1)) * rng.uniform(0.5, 1.5, n_assets)
    return pd.DataFrame(common + rng.normal(0, 1, (n_days, n_assets)) * rng.uniform(0.005, 0.03, n_assets), columns=names(n_assets))


def problem(seed: int, n_assets: int) -> tuple[pd.Series, pd.DataFrame]:
    returns = market(seed, n_assets)
    return 252 * returns.mean(), 252 * returns.cov()


def from_correlation(volatility: list[float], correlation: list[list[float]]) -> pd.DataFrame:
    values = np.array(correlation) * np.outer(volatility, volatility)
    return pd.DataFrame(values, index=names(len(volatility)), columns=names(len(volatility)))


# Covariance and expected returns


def ledoit_wolf_by_sums(values: np.ndarray) -> np.ndarray:
    """Ledoit and Wolf (2004), lemma by lemma: m, d2, b2 and a2 from plain sums over the observations."""
    n, p = values.shape
    centred = values - values.mean(axis=0)
    sample = sum(np.outer(x, x) for x in centred) / n
    m = np.trace(sample) / p
    d2 = np.sum((sample - m * np.eye(p)) ** 2) / p
    b2 = min(sum(np.sum((np.outer(x, x) - sample) ** 2) for x in centred) / p / n**2, d2)
    return b2 / d2 * m * np.eye(p) + (1 - b2 / d2) * sample


@quick
@given(seed=seeds, n_assets=st.integers(2, 8), n_days=st.integers(3, 40))
def test_shrinkage_is_ledoit_and_wolfs_sums(seed: int, n_assets: int, n_days: int) -> None:
    returns = market(seed, n_assets, n_days)
    expected = 252 * ledoit_wolf_by_sums(returns.to_numpy())
    assert ledoit_wolf(returns).to_numpy() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert ledoit_wolf(returns, periods_per_year=12).to_numpy() == pytest.approx(expected / 21, rel=1e-9, abs=1e-12)


@quick
@given(seed=seeds, scale=st.sampled_from([1e-3, 0.5, 100.0]), shift=st.floats(-0.05, 0.05))
def test_shrinkage_follows_units_ignores_the_mean_and_the_order_of_assets_and_days(seed: int, scale: float, shift: float) -> None:
    returns = market(seed, 6, 60)
    cov = ledoit_wolf(returns)
    pd.testing.assert_frame_equal(ledoit_wolf(scale * returns + shift), scale**2 * cov, rtol=1e-8)
    turned = np.random.default_rng(seed).permutation(returns.columns)
    pd.testing.assert_frame_equal(ledoit_wolf(returns[turned]), cov.loc[turned, turned], rtol=1e-10)
    pd.testing.assert_frame_equal(ledoit_wolf(returns.sample(frac=1, random_state=1)), cov, rtol=1e-10)
    assert list(cov.index) == list(cov.columns) == list(returns.columns)


def test_shrinkage_of_fewer_days_than_assets_is_still_positive_definite() -> None:
    cov = ledoit_wolf(market(1, 40, 10))
    assert np.linalg.eigvalsh(cov).min() > 0 and (cov.to_numpy() == cov.to_numpy().T).all()


@quick
@given(seed=seeds, n_assets=st.integers(2, 8))
def test_the_repaired_matrix_is_psd_nearest_in_frobenius_and_repairing_twice_changes_nothing(seed: int, n_assets: int) -> None:
    """Higham (1988): the nearest PSD matrix in the Frobenius norm keeps the eigenvectors and the positive eigenvalues."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n_assets, n_assets))
    broken = pd.DataFrame((raw + raw.T) / 2, index=names(n_assets), columns=names(n_assets))
    repaired = nearest_psd(broken)
    eigenvalues, vectors = np.linalg.eigh(broken)
    assert repaired.to_numpy() == pytest.approx((vectors * np.maximum(eigenvalues, 0)) @ vectors.T, abs=1e-9)
    assert np.linalg.eigvalsh(repaired).min() >= -1e-12
    assert nearest_psd(repaired).to_numpy() == pytest.approx(repaired.to_numpy(), abs=1e-12)


@pytest.mark.parametrize("risk_free", [0.0, 0.03])
def test_capm_is_pyportfolioopts(risk_free: float) -> None:
    returns = market(2, 5)
    index = returns.mean(axis=1)
    theirs = pypfopt.expected_returns.capm_return(
        returns, market_prices=index.to_frame(), returns_data=True, risk_free_rate=risk_free, compounding=False
    )
    pd.testing.assert_series_equal(capm(returns, index, risk_free=risk_free), theirs, check_names=False, rtol=1e-9)


def test_the_rolling_mean_is_the_annual_mean_of_the_last_window() -> None:
    returns = market(3, 4)
    expected = pypfopt.expected_returns.mean_historical_return(returns.tail(60), returns_data=True, compounding=False)
    pd.testing.assert_series_equal(rolling_mean(returns, window=60), expected, check_names=False)
    pd.testing.assert_series_equal(rolling_mean(returns, window=60, periods_per_year=12), expected / 21, check_names=False)


# Black-Litterman

COUNTRIES = ["Australia", "Canada", "France", "Germany", "Japan", "UK", "USA"]
HL_CORRELATION = [
    [1.000, 0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
    [0.488, 1.000, 0.664, 0.655, 0.310, 0.608, 0.779],
    [0.478, 0.664, 1.000, 0.861, 0.355, 0.783, 0.668],
    [0.515, 0.655, 0.861, 1.000, 0.354, 0.777, 0.653],
    [0.439, 0.310, 0.355, 0.354, 1.000, 0.405, 0.306],
    [0.512, 0.608, 0.783, 0.777, 0.405, 1.000, 0.652],
    [0.491, 0.779, 0.668, 0.653, 0.306, 0.652, 1.000],
]
HL_VOLATILITY = [0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187]
HL_MARKET = [0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615]
GERMANY = [0, 0, -0.052 / 0.176, 1, 0, -0.124 / 0.176, 0]
CANADA = [0, 1, 0, 0, 0, 0, -1]
# He & Litterman (1999), tables 5 to 7: the two views, their returns, how much Omega of the first is of the proportional one;
# posterior means, weights, and the multipliers of the views.
HL_TABLES = {
    "5": ([0.05, 0.03], 1, [4.4, 8.7, 9.5, 11.2, 4.6, 7.0, 7.5], [1.5, 41.9, -3.4, 33.6, 11.0, -8.2, 18.8], [0.298, 0.418]),
    "6": ([0.05, 0.04], 1, [4.4, 9.1, 9.5, 11.3, 4.6, 7.0, 7.3], [1.5, 53.3, -3.3, 33.1, 11.0, -7.8, 7.3], [0.292, 0.538]),
    "7": ([0.05, 0.04], 2, [4.3, 8.9, 9.3, 10.6, 4.6, 6.9, 7.2], [1.5, 53.9, -0.5, 23.6, 11.0, -1.1, 6.8], [0.193, 0.544]),
}


def he_litterman() -> tuple[pd.DataFrame, pd.Series]:
    cov = pd.DataFrame(np.array(HL_CORRELATION) * np.outer(HL_VOLATILITY, HL_VOLATILITY), index=COUNTRIES, columns=COUNTRIES)
    return cov, pd.Series(HL_MARKET, index=COUNTRIES)


@pytest.mark.parametrize("table", ["5", "6", "7"])
def test_he_and_littermans_two_views_on_germany_and_canada(table: str) -> None:
    returns, doubt, means, weights, multipliers = HL_TABLES[table]
    cov, held = he_litterman()
    P = np.array([GERMANY, CANADA])
    omega = omega_proportional(cov, P, 0.05) * np.diag([doubt, 1])
    mu, spread = posterior(cov, implied_returns(cov, held, 2.5), P, returns, omega, 0.05)
    optimal = np.linalg.solve(2.5 * spread, mu)
    assert (100 * mu).tolist() == pytest.approx(means, abs=0.06)
    assert (100 * optimal).tolist() == pytest.approx(weights, abs=0.15)
    found = np.linalg.lstsq(P.T, 1.05 * optimal - held.to_numpy(), rcond=None)[0]
    assert found.tolist() == pytest.approx(multipliers, abs=0.0015)


IDZOREK_SIGMA = """
 0.001005  0.001328 -0.000579 -0.000675  0.000121  0.000128 -0.000445 -0.000437
 0.001328  0.007277 -0.001307 -0.000610 -0.002237 -0.000989  0.001442 -0.001535
-0.000579 -0.001307  0.059852  0.027588  0.063497  0.023036  0.032967  0.048039
-0.000675 -0.000610  0.027588  0.029609  0.026572  0.021465  0.020697  0.029854
 0.000121 -0.002237  0.063497  0.026572  0.102488  0.042744  0.039943  0.065994
 0.000128 -0.000989  0.023036  0.021465  0.042744  0.032056  0.019881  0.032235
-0.000445  0.001442  0.032967  0.020697  0.039943  0.019881  0.028355  0.035064
-0.000437 -0.001535  0.048039  0.029854  0.065994  0.032235  0.035064  0.079958"""
IDZOREK_MARKET = [0.1934, 0.2613, 0.1209, 0.1209, 0.0134, 0.0134, 0.2418, 0.0349]
IDZOREK_P = np.array([[0, 0, 0, 0, 0, 0, 1, 0], [-1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0.9, -0.9, 0.1, -0.1, 0, 0]])
IDZOREK_Q = [0.0525, 0.0025, 0.02]


def idzorek() -> tuple[pd.DataFrame, pd.Series]:
    cov = pd.DataFrame([[float(x) for x in row.split()] for row in IDZOREK_SIGMA.strip().splitlines()], index=names(8), columns=names(8))
    return cov, implied_returns(cov, pd.Series(IDZOREK_MARKET, index=names(8)), 3.065149714)


def test_idzoreks_eight_assets_with_three_views() -> None:
    """Idzorek (2005): the diagonal of Omega, the combined returns and the weights, as printed."""
    cov, pi = idzorek()
    omega = omega_proportional(cov, IDZOREK_P, 0.025)
    assert np.diagonal(omega).tolist() == pytest.approx([0.000709, 0.000141, 0.000866], abs=1.1e-6)
    mu, _ = posterior(cov, pi, IDZOREK_P, IDZOREK_Q, omega, 0.025)
    assert (100 * pi).tolist() == pytest.approx([0.08, 0.67, 6.41, 4.08, 7.43, 3.70, 4.80, 6.60], abs=0.006)
    assert (100 * mu).tolist() == pytest.approx([0.07, 0.50, 6.50, 4.32, 7.59, 3.94, 4.93, 6.84], abs=0.011)
    weights = np.linalg.solve(3.065149714 * cov, mu)
    assert (100 * weights).tolist() == pytest.approx([29.88, 15.59, 9.35, 14.82, 1.04, 1.65, 27.81, 3.49], abs=0.06)


def test_a_confidence_moves_the_weights_by_its_share_of_the_way_to_certainty() -> None:
    """Idzorek's tilt of one view taken alone: (w - w_mkt) = c (w at 100 % - w_mkt), with the prior covariance."""
    cov, pi = idzorek()
    for row, q, share in zip(IDZOREK_P, IDZOREK_Q, (0.25, 0.5, 0.65), strict=True):
        view = row[None, :]
        moved = {
            c: np.linalg.solve(cov, posterior(cov, pi, view, [q], omega_from_confidence(cov, view, [c], 0.025), 0.025)[0] - pi)
            for c in (0.0, share, 1.0)
        }
        assert moved[0.0] == pytest.approx(np.zeros(8), abs=1e-12)
        assert moved[share] == pytest.approx(share * moved[1.0], abs=1e-9)


@quick
@given(seed=seeds, n_views=st.integers(1, 4), tau=st.floats(0.01, 1))
def test_the_posterior_is_pyportfolioopts_for_idzoreks_omega(seed: int, n_views: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    _, cov = problem(seed, 6)
    pi = pd.Series(rng.normal(0.05, 0.03, 6), index=cov.index)
    P, Q, confidence = rng.normal(size=(n_views, 6)), rng.normal(0.05, 0.05, n_views), rng.uniform(0.05, 0.95, n_views)
    omega = omega_from_confidence(cov, P, confidence, tau)
    theirs = pypfopt.BlackLittermanModel(
        cov, pi=pi, P=P, Q=Q.reshape(-1, 1), omega="idzorek", view_confidences=confidence.tolist(), tau=tau
    )
    mu, spread = posterior(cov, pi, P, Q, omega, tau)
    assert omega == pytest.approx(theirs.omega, rel=1e-9)
    assert mu.to_numpy() == pytest.approx(theirs.bl_returns().to_numpy(), rel=1e-6, abs=1e-9)
    assert spread.to_numpy() == pytest.approx(theirs.bl_cov().to_numpy(), rel=1e-6, abs=1e-9)


def test_views_without_confidence_leave_the_prior_and_certain_ones_are_met() -> None:
    _, cov = problem(4, 6)
    pi = pd.Series(np.linspace(0.02, 0.09, 6), index=cov.index)
    P, Q = np.array([[1.0, -1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]), [0.05, 0.20]
    none = omega_from_confidence(cov, P, [0.0, 0.0], 0.05)
    assert np.isinf(np.diagonal(none)).all()
    mu, spread = posterior(cov, pi, P, Q, none, 0.05)
    assert mu.to_numpy() == pytest.approx(pi.to_numpy(), abs=1e-15)
    assert spread.to_numpy() == pytest.approx(1.05 * cov.to_numpy(), rel=1e-12)
    certain = omega_from_confidence(cov, P, [1.0, 1.0], 0.05)
    assert (certain == 0).all()
    mu, spread = posterior(cov, pi, P, Q, certain, 0.05)
    assert P @ mu.to_numpy() == pytest.approx(Q, abs=1e-12)
    # Nothing is left to doubt of what is certain: P M P' = 0.
    assert P @ (spread - cov).to_numpy() @ P.T == pytest.approx(np.zeros((2, 2)), abs=1e-12)
    limit = omega_from_confidence(cov, P, [1 - 1e-12] * 2, 0.05)
    assert posterior(cov, pi, P, Q, limit, 0.05)[0].to_numpy() == pytest.approx(mu.to_numpy(), abs=1e-9)


def test_views_may_come_as_frames_in_any_order_of_symbols() -> None:
    _, cov = problem(5, 5)
    pi = pd.Series(0.05, index=cov.index)
    P = pd.DataFrame([[1.0, 0, -1, 0, 0]], columns=cov.index)
    omega = omega_proportional(cov, P, 0.05)
    mu, spread = posterior(cov, pi, P, [0.1], omega, 0.05)
    other, other_spread = posterior(cov, pi[::-1], P[P.columns[::-1]], np.array([0.1]), omega, 0.05)
    pd.testing.assert_series_equal(mu, other)
    pd.testing.assert_frame_equal(spread, other_spread)
    bare, _ = posterior(cov, pi, P.to_numpy().tolist(), [0.1], omega.tolist(), 0.05)
    pd.testing.assert_series_equal(mu, bare)
    assert omega_from_confidence(cov, P, 0.5, 0.05) == pytest.approx(omega)


# Risk parity and hierarchical risk parity


@pytest.mark.parametrize(
    ("volatility", "correlation", "budgets", "published"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.4], np.eye(4) * 0.5 + 0.5, None, [48, 24, 16, 12], id="maillard_constant_correlation"),
        pytest.param([0.15, 0.2], [[1, 0.9], [0.9, 1]], None, [57.14, 42.86], id="two_assets_are_inverse_volatility"),
        pytest.param(
            [0.3, 0.2, 0.15], [[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]], None, [19.69, 32.44, 47.87], id="roncalli_equal_contributions"
        ),
        pytest.param(
            [0.3, 0.2, 0.15],
            [[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]],
            [0.5, 0.2, 0.3],
            [31.15, 21.90, 46.96],
            id="roncalli_budgets",
        ),
    ],
)
def test_published_risk_budgeting_portfolios(
    volatility: list[float], correlation: Any, budgets: list[float] | None, published: list[float]
) -> None:
    cov = from_correlation(volatility, correlation)
    given_budgets = None if budgets is None else pd.Series(budgets, index=cov.index)
    assert (100 * risk_parity(cov, given_budgets)).tolist() == pytest.approx(published, abs=0.006)


@quick
@given(seed=seeds, n_assets=st.integers(1, 12))
def test_risk_parity_is_the_minimum_of_the_log_barrier_and_meets_its_budgets(seed: int, n_assets: int) -> None:
    _, cov = problem(seed, n_assets)
    budgets = pd.Series(np.random.default_rng(seed).dirichlet(np.full(n_assets, 2.0)), index=cov.index)
    weights = risk_parity(cov, budgets)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    marginal = cov.to_numpy() @ weights.to_numpy()
    shares = weights.to_numpy() * marginal / (weights.to_numpy() @ marginal)
    assert shares == pytest.approx(budgets.to_numpy(), abs=1e-10)
    assert risk_contributions(weights, cov).to_numpy() == pytest.approx(shares, abs=1e-14)
    # Of all portfolios with the same sum of b ln w, this one has the least variance.
    rng = np.random.default_rng(seed + 1)
    for _ in range(5):
        tilt = np.exp(rng.normal(0, 0.2, n_assets))
        tilt /= np.exp(budgets.to_numpy() @ np.log(tilt))
        other = weights.to_numpy() * tilt
        assert other @ cov.to_numpy() @ other >= weights.to_numpy() @ cov.to_numpy() @ weights.to_numpy() * (1 - 1e-12)


@quick
@given(seed=seeds, n_assets=st.integers(2, 10))
def test_risk_parity_turns_with_units_of_single_assets(seed: int, n_assets: int) -> None:
    """Measured in other units, an asset's holding changes by just that factor, before the sum is made one again."""
    _, cov = problem(seed, n_assets)
    units = np.random.default_rng(seed).uniform(0.1, 10, n_assets)
    rescaled = risk_parity(cov * np.outer(units, units)).to_numpy() * units
    assert rescaled / rescaled.sum() == pytest.approx(risk_parity(cov).to_numpy(), rel=1e-7)


@few
@given(seed=seeds, n_assets=st.integers(3, 12))
def test_risk_parity_of_a_singular_covariance_exists_unless_a_long_portfolio_is_riskless(seed: int, n_assets: int) -> None:
    returns = market(seed, n_assets, n_assets)
    returns -= returns.mean()
    cov = 252 * returns.cov()
    riskless = linprog(
        np.zeros(n_assets),
        A_eq=np.vstack([returns / returns.std(), np.ones(n_assets)]),
        b_eq=[0.0] * n_assets + [1.0],
        bounds=[(0, None)] * n_assets,
        method="highs",
    )
    if riskless.status == 0:
        with pytest.raises(RiskError):
            risk_parity(cov)
    else:
        assert risk_contributions(risk_parity(cov), cov).to_numpy() == pytest.approx(np.full(n_assets, 1 / n_assets), abs=1e-8)


def test_budgets_need_not_sum_to_one_and_go_by_label() -> None:
    _, cov = problem(6, 4)
    budgets = pd.Series([4.0, 3.0, 2.0, 1.0], index=cov.index)
    pd.testing.assert_series_equal(risk_parity(cov, budgets[::-1]), risk_parity(cov, budgets / 10), rtol=1e-9)


def hrp_by_the_book(cov: np.ndarray, correlation: np.ndarray, distance: str) -> np.ndarray:
    """Lopez de Prado (2016): single linkage, order of the leaves, bisection by inverse variance of either half."""
    apart = np.sqrt(np.clip((1 - correlation) / 2, 0, None))
    if distance == "paper":
        apart = np.sqrt(((apart[:, None, :] - apart[None, :, :]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, 0.0)
    order = to_tree(linkage(squareform(apart, checks=False), "single")).pre_order()
    weights = np.ones(len(cov))

    def variance(members: list[int]) -> float:
        block = cov[np.ix_(members, members)]
        inverse = 1 / np.diagonal(block)
        inverse /= inverse.sum()
        return float(inverse @ block @ inverse)

    def split(members: list[int]) -> None:
        if len(members) > 1:
            left, right = members[: len(members) // 2], members[len(members) // 2 :]
            share = 1 - variance(left) / (variance(left) + variance(right))
            weights[left] *= share
            weights[right] *= 1 - share
            split(left)
            split(right)

    split(order)
    return weights


@quick
@given(seed=seeds, n_assets=st.integers(2, 20))
def test_hrp_is_the_book_for_both_distances_and_pyportfolioopt_for_one(seed: int, n_assets: int) -> None:
    _, cov = problem(seed, n_assets)
    correlation = cov.to_numpy() / np.sqrt(np.outer(np.diagonal(cov), np.diagonal(cov)))
    for distance in ("paper", "correlation"):
        found = hrp(cov, distance=distance)
        assert found.to_numpy() == pytest.approx(hrp_by_the_book(cov.to_numpy(), correlation, distance), abs=1e-10)
        assert list(found.index) == list(cov.index)
    theirs = pypfopt.HRPOpt(cov_matrix=cov).optimize(linkage_method="single")
    assert hrp(cov, distance="correlation").to_dict() == pytest.approx(dict(theirs), abs=1e-10)


def test_hrp_may_order_by_a_correlation_of_its_own() -> None:
    _, cov = problem(8, 9)
    other = market(9, 9).corr()
    for distance in ("paper", "correlation"):
        found = hrp(cov, correlation=other, distance=distance)
        assert found.to_numpy() == pytest.approx(hrp_by_the_book(cov.to_numpy(), other.to_numpy(), distance), abs=1e-10)


def test_hrp_of_one_asset_and_of_uncorrelated_equals() -> None:
    assert hrp(pd.DataFrame([[0.04]], index=["only"], columns=["only"])).to_dict() == {"only": 1.0}
    even = hrp(pd.DataFrame(0.04 * np.eye(8), index=names(8), columns=names(8)))
    assert even.tolist() == pytest.approx([0.125] * 8)


# Optimisers


def utility(w: pd.Series, mu: pd.Series, cov: pd.DataFrame, aversion: float) -> float:
    return float(w @ mu - aversion * (w @ cov @ w))


def require_kkt(w: pd.Series, mu: pd.Series, cov: pd.DataFrame, aversion: float, cap: float) -> None:
    """One price nu: gradient equal to it inside the bounds, not above at zero, not below at the cap."""
    gradient = (mu - 2 * aversion * (cov @ w)).to_numpy()
    inside = ((w > 1e-9) & (w < cap - 1e-9)).to_numpy()
    low, high = gradient[(w <= 1e-9).to_numpy()], gradient[(w >= cap - 1e-9).to_numpy()]
    if inside.any():
        nu, spread = gradient[inside].mean(), np.ptp(gradient[inside])
    else:
        nu, spread = high.min(), 0.0
    assert spread < 1e-7
    assert (low <= nu + 1e-7).all() and (high >= nu - 1e-7).all()


@quick
@given(seed=seeds, n_assets=st.integers(2, 40), delta=st.floats(0, 3), room=st.floats(1.05, 6), gamma=st.sampled_from([0.5, 3.0, 50.0]))
def test_min_max_meets_the_optimality_conditions_of_its_program(seed: int, n_assets: int, delta: float, room: float, gamma: float) -> None:
    mu, cov = problem(seed, n_assets)
    cap = min(1.0, room / n_assets)
    w = min_max(mu, cov, risk_aversion=gamma, delta=delta, max_weight=cap)
    assert w.sum() == pytest.approx(1.0, abs=1e-9) and w.min() >= 0 and w.max() <= cap + 1e-12
    require_kkt(w, mu, cov, gamma * (1 + delta), cap)
    again = min_max(mu + 0.07, cov, risk_aversion=gamma, delta=delta, max_weight=cap)
    assert again.to_numpy() == pytest.approx(w.to_numpy(), abs=1e-7)


def test_delta_is_more_aversion_and_much_aversion_is_the_minimum_variance() -> None:
    mu, cov = problem(10, 7)
    double = min_max(mu, cov, risk_aversion=6.0).to_numpy()
    assert min_max(mu, cov, risk_aversion=3.0, delta=1.0).to_numpy() == pytest.approx(double, abs=1e-9)
    w = cp.Variable(7)
    cp.Problem(cp.Minimize(cp.quad_form(w, cp.psd_wrap(cov.to_numpy()))), [cp.sum(w) == 1, w >= 0]).solve(solver="CLARABEL")
    assert min_max(mu, cov, risk_aversion=1e6).to_numpy() == pytest.approx(w.value, abs=1e-4)


@few
@given(seed=seeds, alpha=st.sampled_from([0.9, 0.95, 0.99]), share=st.floats(0.15, 0.9))
def test_a_cvar_cap_holds_exactly_and_the_rest_is_as_good_as_cvxpy(seed: int, alpha: float, share: float) -> None:
    returns = market(seed, 8)
    mu, cov = 252 * returns.mean(), 252 * returns.cov()
    free = min_max(mu, cov, risk_aversion=1.0)
    loosest = float(skfolio.cvar((returns @ free).to_numpy(), beta=alpha))
    tightest = float(skfolio.cvar((returns @ min_cvar(returns, alpha=alpha)).to_numpy(), beta=alpha))
    assume(loosest > tightest * 1.02)
    bound = tightest + share * (loosest - tightest)
    found = min_max(mu, cov, risk_aversion=1.0, scenarios=returns, max_cvar=bound, alpha=alpha)
    assert skfolio.cvar((returns @ found).to_numpy(), beta=alpha) <= bound + 1e-9
    assert found.sum() == pytest.approx(1.0, abs=1e-9) and found.min() >= 0
    w, t = cp.Variable(8), cp.Variable()
    tail = t + cp.sum(cp.pos(-returns.to_numpy() @ w - t)) / ((1 - alpha) * len(returns))
    goal = cp.Maximize(mu.to_numpy() @ w - cp.quad_form(w, cp.psd_wrap(cov.to_numpy())))
    best = cp.Problem(goal, [cp.sum(w) == 1, w >= 0, 100 * tail <= 100 * bound]).solve(solver="CLARABEL")
    assert utility(found, mu, cov, 1.0) == pytest.approx(best, abs=2e-7)
    with pytest.raises(Infeasible):
        min_max(mu, cov, risk_aversion=1.0, scenarios=returns, max_cvar=0.98 * tightest, alpha=alpha)


def test_scenarios_go_by_symbol_or_in_the_order_of_the_covariance() -> None:
    returns = market(12, 5)
    mu, cov = 252 * returns.mean(), 252 * returns.cov()
    loosest, tightest = min_max(mu, cov, risk_aversion=1.0), min_cvar(returns)
    bound = float(np.mean([skfolio.cvar((returns @ w).to_numpy(), beta=0.95) for w in (loosest, tightest)]))
    expected = min_max(mu, cov, risk_aversion=1.0, scenarios=returns, max_cvar=bound)
    for form in (returns[returns.columns[::-1]], returns.to_numpy()):
        pd.testing.assert_series_equal(min_max(mu, cov, risk_aversion=1.0, scenarios=form, max_cvar=bound), expected, atol=1e-8)


@few
@given(seed=seeds, alpha=st.sampled_from([0.8, 0.95]), cap=st.sampled_from([0.3, 1.0]))
def test_min_cvar_is_the_linear_program_of_rockafellar_and_uryasev(seed: int, alpha: float, cap: float) -> None:
    returns = market(seed, 6, 150)
    n, p = returns.shape
    floor = float(returns.mean().mean())
    # Variables: weights, threshold, one excess loss per scenario.
    cost = np.concatenate([np.zeros(p), [1.0], np.full(n, 1 / ((1 - alpha) * n))])
    losses = np.hstack([-returns.to_numpy(), -np.ones((n, 1)), -np.eye(n)])
    rows = np.vstack([losses, np.concatenate([-returns.mean(), np.zeros(n + 1)])])
    limits = np.concatenate([np.zeros(n), [-floor]])
    invested = np.concatenate([np.ones(p), np.zeros(n + 1)])[None, :]
    bounds = [(0, cap)] * p + [(None, None)] + [(0, None)] * n
    best = linprog(cost, A_ub=rows, b_ub=limits, A_eq=invested, b_eq=[1.0], bounds=bounds, method="highs")
    found = min_cvar(returns, alpha=alpha, max_weight=cap, min_return=floor)
    assert found.sum() == pytest.approx(1.0, abs=1e-9) and found.min() >= -1e-12 and found.max() <= cap + 1e-9
    assert found @ returns.mean() >= floor - 1e-9
    assert skfolio.cvar((returns @ found).to_numpy(), beta=alpha) == pytest.approx(best.fun, abs=1e-8)


def test_min_cvar_of_one_asset_and_of_returns_that_none_earned() -> None:
    returns = market(13, 3)
    assert min_cvar(returns[["A01"]]).to_dict() == pytest.approx({"A01": 1.0})
    with pytest.raises(Infeasible):
        min_cvar(returns, min_return=float(returns.mean().max()) * 1.01 + 1e-6)
    with pytest.raises(Infeasible):
        min_cvar(returns, max_weight=0.3)


@few
@given(seed=seeds, l1=st.sampled_from([0.0, 0.002, 0.05]), turnover=st.sampled_from([None, 0.1, 0.6]), long_only=st.booleans())
def test_mean_variance_with_costs_and_turnover_is_cvxpys(seed: int, l1: float, turnover: float | None, long_only: bool) -> None:
    mu, cov = problem(seed, 7)
    start = pd.Series(np.random.default_rng(seed).dirichlet(np.ones(7)) * 0.999 + 0.001 / 7, index=mu.index)
    found = mean_variance(mu, cov, risk_aversion=2.0, l1=l1, previous=start, max_turnover=turnover, max_weight=0.9, long_only=long_only)
    w = cp.Variable(7)
    moved = cp.norm1(w - start.to_numpy())
    limits = [cp.sum(w) == 1, w <= 0.9, w >= (0 if long_only else -0.9)] + ([] if turnover is None else [moved <= turnover])
    assume(float(start.max()) < 0.9)
    goal = cp.Maximize(mu.to_numpy() @ w - 2 * cp.quad_form(w, cp.psd_wrap(cov.to_numpy())) - l1 * moved)
    best = cp.Problem(goal, limits).solve(solver="CLARABEL")
    assert utility(found, mu, cov, 2.0) - l1 * (found - start).abs().sum() == pytest.approx(best, abs=2e-7)
    assert found.sum() == pytest.approx(1.0, abs=1e-8) and found.abs().max() <= 0.9 + 1e-9
    assert turnover is None or (found - start).abs().sum() <= turnover + 1e-8


@few
@given(seed=seeds, l1=st.sampled_from([0.005, 0.05]), cap=st.sampled_from([0.4, 1.0]))
def test_l1_on_the_weights_themselves_is_cvxpys_long_and_short(seed: int, l1: float, cap: float) -> None:
    mu, cov = problem(seed, 7)
    found = mean_variance(mu, cov, risk_aversion=1.0, l1=l1, max_weight=cap, long_only=False)
    w = cp.Variable(7)
    goal = cp.Maximize(mu.to_numpy() @ w - cp.quad_form(w, cp.psd_wrap(cov.to_numpy())) - l1 * cp.norm1(w))
    best = cp.Problem(goal, [cp.sum(w) == 1, cp.abs(w) <= cap]).solve(solver="CLARABEL")
    assert utility(found, mu, cov, 1.0) - l1 * found.abs().sum() == pytest.approx(best, abs=2e-7)
    assert found.sum() == pytest.approx(1.0, abs=1e-8) and found.abs().max() <= cap + 1e-9


def test_no_turnover_keeps_what_is_held_and_a_high_price_of_trading_too() -> None:
    mu, cov = problem(14, 5)
    start = pd.Series([0.4, 0.3, 0.2, 0.1, 0.0], index=mu.index)
    stay = mean_variance(mu, cov, risk_aversion=2.0, previous=start, max_turnover=0.0)
    assert stay.to_numpy() == pytest.approx(start.to_numpy(), abs=1e-7)
    dear = mean_variance(mu, cov, risk_aversion=2.0, previous=start, l1=10.0)
    assert dear.to_numpy() == pytest.approx(start.to_numpy(), abs=1e-7)


def test_l1_on_weights_changes_nothing_long_only_and_shrinks_shorts() -> None:
    mu, cov = problem(15, 6)
    plain = mean_variance(mu, cov, risk_aversion=2.0)
    assert mean_variance(mu, cov, risk_aversion=2.0, l1=0.3).to_numpy() == pytest.approx(plain.to_numpy(), abs=1e-6)
    gross = [float(mean_variance(mu, cov, risk_aversion=0.5, l1=l1, long_only=False).abs().sum()) for l1 in (0.0, 0.02, 0.5)]
    assert gross[0] >= gross[1] - 1e-7 and gross[1] >= gross[2] - 1e-7


# Tracking


def tracking_by_slsqp(cov: pd.DataFrame, benchmark: pd.Series, out: np.ndarray, cap: float) -> float:
    target, values = benchmark.to_numpy(), cov.to_numpy()
    bounds = [(0, 0 if barred else cap) for barred in out]
    start = np.where(out, 0, 1 / (~out).sum())
    found = minimize(
        lambda w: 1e4 * (w - target) @ values @ (w - target),
        start,
        jac=lambda w: 2e4 * values @ (w - target),
        bounds=bounds,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(len(w))},
        options={"maxiter": 500, "ftol": 1e-14},
    )
    return float(found.fun) / 1e4


@few
@given(seed=seeds, n_assets=st.integers(3, 15), n_out=st.integers(0, 2))
def test_tracking_with_exclusions_is_as_close_as_a_general_optimiser_gets(seed: int, n_assets: int, n_out: int) -> None:
    _, cov = problem(seed, n_assets)
    rng = np.random.default_rng(seed)
    benchmark = pd.Series(rng.dirichlet(np.ones(n_assets)), index=cov.index)
    out = np.zeros(n_assets, dtype=bool)
    out[rng.choice(n_assets, n_out, replace=False)] = True
    found = track(cov, benchmark, excluded=list(cov.index[out]))
    assert found.sum() == pytest.approx(1.0, abs=1e-10) and found.min() >= 0 and (found[out] == 0).all()
    gap = (found - benchmark).to_numpy()
    assert gap @ cov.to_numpy() @ gap <= tracking_by_slsqp(cov, benchmark, out, 1.0) + 1e-9
    many = track_many(cov, benchmark, np.vstack([out, np.zeros(n_assets, dtype=bool)]))
    assert many[0] == pytest.approx(found.to_numpy(), abs=1e-9)
    assert many[1] == pytest.approx(benchmark.to_numpy(), abs=1e-9)


def test_tracking_keeps_the_benchmarks_sectors_and_each_assets_cap() -> None:
    _, cov = problem(16, 9)
    benchmark = pd.Series(np.arange(1.0, 10.0) / 45, index=cov.index)
    sectors = pd.Series(list("aaabbbccc"), index=cov.index)
    caps = pd.Series(0.3, index=cov.index)
    found = track(cov, benchmark, excluded=("A08", "A03"), max_weight=caps, sectors=sectors[::-1])
    assert found["A08"] == 0 and found["A03"] == 0 and found.max() <= 0.3 + 1e-12
    pd.testing.assert_series_equal(found.groupby(sectors).sum(), benchmark.groupby(sectors).sum(), rtol=1e-9, check_names=False)
    w = cp.Variable(9)
    limits = [w >= 0, w <= 0.3, w[8] == 0, w[3] == 0]
    limits += [cp.sum(w[i : i + 3]) == benchmark.iloc[i : i + 3].sum() for i in (0, 3, 6)]
    gap = w - benchmark.to_numpy()
    cp.Problem(cp.Minimize(100 * cp.quad_form(gap, cp.psd_wrap(cov.to_numpy()))), limits).solve(solver="CLARABEL")
    assert found.to_numpy() == pytest.approx(w.value, abs=1e-5)


def test_tracking_that_leaves_nothing_to_hold_is_infeasible() -> None:
    _, cov = problem(17, 4)
    benchmark = pd.Series(0.25, index=cov.index)
    with pytest.raises(Infeasible):
        track(cov, benchmark, excluded=list(cov.index))
    with pytest.raises(Infeasible):
        track(cov, benchmark, max_weight=0.2)
    with pytest.raises(Infeasible, match="banks"):
        track(cov, benchmark, excluded=["A00"], sectors=pd.Series(["banks", "tech", "tech", "tech"], index=cov.index))
    with pytest.raises(Infeasible):
        track_many(cov, benchmark, np.array([[False] * 4, [True] * 4]))
    with pytest.raises(BadInput, match="GONE"):
        track(cov, benchmark, excluded=["GONE"])


# Stress


@quick
@given(seed=seeds, n_assets=st.integers(1, 5), n_days=st.integers(2, 30))
def test_history_repeats_for_fixed_shares_and_cash(seed: int, n_assets: int, n_days: int) -> None:
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2020-01-01", periods=n_days)
    prices = pd.DataFrame(50 * np.exp(rng.normal(0, 0.03, (n_days, n_assets)).cumsum(axis=0)), index=days, columns=names(n_assets))
    weights = pd.Series(rng.uniform(-0.2, 0.2, n_assets), index=prices.columns)
    shares = weights / prices.iloc[0]
    value = 1 - weights.sum() + prices @ shares
    found = stress.historical(weights, prices, days[0], days[-1])
    assert found.portfolio_return == pytest.approx(value.iloc[-1] - 1, abs=1e-12)
    assert found.max_drawdown == pytest.approx((value / value.cummax() - 1).min(), abs=1e-12)
    assert found.asset_returns.to_numpy() == pytest.approx((prices.iloc[-1] / prices.iloc[0] - 1).to_numpy(), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.9, 0.99])
def test_simulated_losses_are_those_of_the_joint_normal_and_follow_the_seed(alpha: float) -> None:
    mu, cov = problem(18, 6)
    mu, cov = mu / 252, cov / 252
    weights = pd.Series(np.linspace(-0.1, 0.5, 6), index=mu.index)
    draws = multivariate_normal(mu.to_numpy(), cov.to_numpy(), seed=5).rvs(200_000) @ weights.to_numpy()
    found = stress.monte_carlo(weights, mu, cov, n=200_000, seed=1, alpha=alpha)
    assert found.var == pytest.approx(-np.quantile(draws, 1 - alpha), rel=0.02)
    assert found.cvar == pytest.approx(skfolio.cvar(draws, beta=alpha), rel=0.02)
    assert stress.monte_carlo(weights, mu, cov, n=200_000, seed=1, alpha=alpha) == found
    assert stress.monte_carlo(weights, mu, cov, n=200_000, seed=2, alpha=alpha) != found
    assert stress.monte_carlo(weights[::-1], mu, cov, n=1000, seed=1, alpha=alpha) == stress.monte_carlo(
        weights, mu[::-1], cov, n=1000, seed=1, alpha=alpha
    )


def test_a_riskless_portfolio_loses_its_mean_in_every_simulation() -> None:
    cov = pd.DataFrame(np.zeros((2, 2)), index=["a", "b"], columns=["a", "b"])
    found = stress.monte_carlo(pd.Series({"a": 0.5, "b": 0.5}), pd.Series({"a": -0.01, "b": 0.0}), cov, n=50, seed=0, alpha=0.95)
    assert (found.var, found.cvar) == pytest.approx((0.005, 0.005))


# Regimes


def forward(values: np.ndarray, model: Any) -> np.ndarray:
    """Filtered probabilities by Bayes' rule, day by day."""
    laws = [multivariate_normal(m, c) for m, c in zip(model.means, model.covars, strict=True)]
    belief, found = np.asarray(model.startprob, dtype=float), []
    for i, x in enumerate(values):
        belief = (belief if i == 0 else belief @ model.transmat) * [law.pdf(x) for law in laws]
        belief = belief / belief.sum()
        found.append(belief)
    return np.array(found)


def loglik(values: np.ndarray, model: Any) -> float:
    laws = [multivariate_normal(m, c) for m, c in zip(model.means, model.covars, strict=True)]
    belief, total = np.asarray(model.startprob, dtype=float), 0.0
    for i, x in enumerate(values):
        joint = (belief if i == 0 else belief @ model.transmat) * [law.pdf(x) for law in laws]
        total += math.log(joint.sum())
        belief = joint / joint.sum()
    return total


def two_regimes(seed: int, n: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    states = np.zeros(n, dtype=int)
    for i in range(1, n):
        states[i] = states[i - 1] if rng.uniform() < 0.98 else 1 - states[i - 1]
    calm, wild = rng.normal([0.05, 15.0], [0.6, 1.5], (n, 2)), rng.normal([-0.1, 28.0], [2.0, 4.0], (n, 2))
    return pd.DataFrame(np.where(states[:, None] == 1, wild, calm), columns=["spy", "vix"]), states


def test_regimes_are_filtered_by_bayes_rule_and_see_nothing_of_the_future() -> None:
    features, states = two_regimes(1)
    model = fit(features, n_states=2, seed=0)
    found = model.filtered(features)
    assert found.to_numpy() == pytest.approx(forward(features.to_numpy(), model), abs=1e-9)
    assert found.index.equals(features.index) and found.shape == (600, 2)
    assert found.sum(axis=1).to_numpy() == pytest.approx(np.ones(600))
    pd.testing.assert_frame_equal(model.filtered(features.iloc[:300]), found.iloc[:300], atol=1e-12)
    assert (found.to_numpy().argmax(axis=1) == states).mean() > 0.97
    assert model.covars[0][0, 0] < model.covars[1][0, 0]


def test_the_fit_does_not_hang_on_its_seed() -> None:
    features, _ = two_regimes(2)
    first, second = fit(features, seed=0), fit(features, seed=12345)
    assert np.asarray(first.means) == pytest.approx(np.asarray(second.means), abs=0.05)
    again = fit(features, seed=0)
    assert (np.asarray(first.transmat) == np.asarray(again.transmat)).all()


def test_exclusions_of_many_clients_may_be_read_only_as_the_values_of_a_frame_are() -> None:
    _, cov = problem(23, 4)
    benchmark = pd.Series([0.4, 0.3, 0.2, 0.1], index=cov.index)
    barred = np.array([[True, False, False, False], [False, False, True, False]])
    barred.setflags(write=False)
    found = track_many(cov, benchmark, barred)
    for row, gone in zip(found, ("A00", "A02"), strict=True):
        assert row == pytest.approx(track(cov, benchmark, excluded=[gone]).to_numpy(), abs=1e-9)


def test_the_golden_regimes_of_the_index_filtered_and_fitted(shared_data: Path) -> None:
    folder = shared_data / "golden"
    if not (folder / "hmm.json").is_file():
        pytest.skip(f"no golden data: {folder / 'hmm.json'} does not exist (set ALLOCD_SHARED_DIR)")
    (case,) = json.loads((folder / "hmm.json").read_text())["cases"]
    inputs, expected = case["inputs"], case["expected"]
    index, vix = (pd.read_csv(folder / name, index_col=0, parse_dates=True) for name in inputs["data"])
    returns = 100 * index["Adj Close"].pct_change().dropna()
    features = returns[vix.iloc[:, 0].reindex(returns.index).notna()].to_frame("spx")
    assert len(features) == expected["n_obs"]
    given = {name: np.array(inputs[name]) for name in ("startprob", "transmat", "means", "covars")}
    filtered = RegimeModel(**given).filtered(features)
    for day, probabilities in expected["filtered_points"].items():
        assert filtered.loc[day].tolist() == pytest.approx(probabilities, abs=case["tolerance"]["abs_posterior"])
    fitted = fit(features, n_states=2, seed=3)
    assert loglik(features.to_numpy(), fitted) >= expected["em_best_loglik_20_starts"] - 1.0


# Layouts and sick inputs


def frozen(table: Any) -> Any:
    """The same values in memory that may not be written."""
    values = np.array(table)
    values.setflags(write=False)
    return type(table)(values, copy=False, **({"index": table.index} | ({"columns": table.columns} if table.ndim == 2 else {})))


def by_columns(table: Any) -> Any:
    return pd.DataFrame(np.asfortranarray(table), index=table.index, columns=table.columns, copy=False) if table.ndim == 2 else table


@pytest.mark.parametrize("layout", [frozen, by_columns, lambda table: table.astype(object)], ids=["read_only", "by_columns", "objects"])
def test_how_numbers_lie_in_memory_changes_no_result_to_the_bit_and_no_input(layout: Callable[[Any], Any]) -> None:
    returns = market(22, 6)
    mu, cov, even = 252 * returns.mean(), 252 * returns.cov(), pd.Series(1 / 6, index=returns.columns)
    barred = np.zeros((2, 6), dtype=bool)
    barred[0, 2] = True
    views = np.eye(6)[:2]
    uses: list[Callable[[Callable[[Any], Any]], Any]] = [
        lambda t: ledoit_wolf(t(returns)),
        lambda t: nearest_psd(t(cov)),
        lambda t: capm(t(returns), t(returns["A00"])),
        lambda t: posterior(t(cov), t(mu), views, [0.1, 0.2], omega_proportional(t(cov), views, 0.05), 0.05)[0],
        lambda t: risk_parity(t(cov), t(even)),
        lambda t: hrp(t(cov)),
        lambda t: hrp(t(cov), distance="correlation"),
        lambda t: min_max(t(mu), t(cov), risk_aversion=3.0, max_weight=0.4),
        lambda t: min_max(t(mu), t(cov), risk_aversion=3.0, max_weight=0.4, scenarios=t(returns), max_cvar=0.03),
        lambda t: mean_variance(t(mu), t(cov), risk_aversion=3.0, l1=0.01, previous=t(even), max_turnover=0.5),
        lambda t: min_cvar(t(returns), max_weight=0.4),
        lambda t: track(t(cov), t(even), excluded=["A03"], max_weight=t(2 * even)),
        lambda t: track_many(t(cov), t(even), barred),
    ]
    before = [table.copy() for table in (returns, mu, cov, even)]
    for use in uses:
        assert np.array_equal(np.asarray(use(layout), dtype=float), np.asarray(use(lambda table: table), dtype=float))
    for table, copy in zip((returns, mu, cov, even), before, strict=True):
        assert table.equals(copy)


def sick_covariances() -> dict[str, pd.DataFrame]:
    _, cov = problem(19, 4)
    hole, twice, lopsided, broken = cov.copy(), cov.copy(), cov.copy(), cov.copy()
    hole.iloc[1, 2] = hole.iloc[2, 1] = np.nan
    twice.index = twice.columns = ["A00", "A01", "A01", "A03"]
    lopsided.iloc[0, 1] *= 1.5
    broken.iloc[0, 1] = broken.iloc[1, 0] = 2 * math.sqrt(cov.iloc[0, 0] * cov.iloc[1, 1])
    return {
        "NaN": hole,
        "infinite": hole.fillna(np.inf),
        "a name twice": twice,
        "not symmetric": lopsided,
        "not PSD": broken,
        "other labels": cov.set_axis(names(5)[1:], axis=1),
        "empty": cov.iloc[:0, :0],
    }


EVEN = pd.Series(0.25, index=names(4))
USES: dict[str, Callable[[pd.DataFrame], object]] = {
    "implied_returns": lambda cov: implied_returns(cov, EVEN, 2.5),
    "omega_proportional": lambda cov: omega_proportional(cov, np.eye(4)[:1], 0.05),
    "omega_from_confidence": lambda cov: omega_from_confidence(cov, np.eye(4)[:1], [0.5], 0.05),
    "posterior": lambda cov: posterior(cov, EVEN, np.eye(4)[:1], [0.1], np.eye(1), 0.05),
    "risk_parity": risk_parity,
    "risk_contributions": lambda cov: risk_contributions(EVEN, cov),
    "hrp": hrp,
    "min_max": lambda cov: min_max(EVEN, cov, risk_aversion=3.0),
    "mean_variance": lambda cov: mean_variance(EVEN, cov, risk_aversion=3.0, l1=0.1),
    "track": lambda cov: track(cov, EVEN, excluded=["A00"]),
    "track_many": lambda cov: track_many(cov, EVEN, np.zeros((1, 4), dtype=bool)),
    "monte_carlo": lambda cov: stress.monte_carlo(EVEN, EVEN, cov, n=10, seed=0, alpha=0.9),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("sickness", sick_covariances())
def test_no_function_takes_a_sick_covariance(use: str, sickness: str) -> None:
    with pytest.raises(NotPSD if sickness == "not PSD" else BadInput):
        USES[use](sick_covariances()[sickness])


@pytest.mark.parametrize("sickness", ["NaN", "infinite", "a name twice", "empty"])
def test_returns_that_are_sick_are_refused_with_the_asset(sickness: str) -> None:
    returns = market(20, 3, 30)
    if sickness in ("NaN", "infinite"):
        returns.iloc[7, 1] = np.nan if sickness == "NaN" else np.inf
    elif sickness == "a name twice":
        returns.columns = ["A00", "A01", "A01"]
    else:
        returns = returns.iloc[:0]
    culprit = "A01" if sickness in ("NaN", "infinite") else None
    uses: list[Callable[[pd.DataFrame], object]] = [ledoit_wolf, min_cvar, lambda r: rolling_mean(r, window=25)]
    uses.append(lambda r: capm(r, pd.Series(np.linspace(-0.01, 0.01, len(r)), index=r.index)))
    for use in uses:
        with pytest.raises(BadInput, match=culprit):
            use(returns)


@pytest.mark.parametrize("change", ["NaN", "missing", "unknown", "twice"])
def test_series_that_do_not_fit_the_covariance_are_refused(change: str) -> None:
    _, cov = problem(21, 4)
    series = {
        "NaN": EVEN.where(EVEN.index != "A02"),
        "missing": EVEN.drop("A02"),
        "unknown": EVEN.rename({"A02": "ZZ"}),
        "twice": EVEN.rename({"A02": "A01"}),
    }[change]
    uses: list[Callable[[], object]] = [
        lambda: implied_returns(cov, series, 2.5),
        lambda: posterior(cov, series, np.eye(4)[:1], [0.1], np.eye(1), 0.05),
        lambda: risk_parity(cov, series),
        lambda: risk_contributions(series, cov),
        lambda: min_max(series, cov, risk_aversion=3.0),
        lambda: mean_variance(EVEN, cov, risk_aversion=3.0, previous=series, max_turnover=0.5),
        lambda: track(cov, series),
        lambda: stress.monte_carlo(series, EVEN, cov, n=10, seed=0, alpha=0.9),
    ]
    for use in uses:
        with pytest.raises(RiskError):
            use()


def test_golden_prices_give_the_same_ledoit_wolf_as_skfolio_for_all_twenty(shared_data: Path) -> None:
    path = shared_data / "golden" / "data" / "stocks20_prices.csv"
    if not path.is_file():
        pytest.skip(f"no golden data: {path} does not exist (set ALLOCD_SHARED_DIR)")
    returns = pd.read_csv(path, index_col=0, parse_dates=True).pct_change().dropna()
    theirs = pypfopt.risk_models.CovarianceShrinkage(returns, returns_data=True).ledoit_wolf()
    pd.testing.assert_frame_equal(ledoit_wolf(returns), theirs, rtol=1e-9, check_names=False)
    eigenvalues = np.linalg.eigvalsh(ledoit_wolf(returns))
    assert all(b >= a for a, b in pairwise(eigenvalues)) and eigenvalues[0] > 0
