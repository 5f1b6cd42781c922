"""Regimes are found, filtered without the future, and refused with a name where the input is sick."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.errors import BadInput
from risk.regime import RegimeModel, correlation_regime, fit, volatility_ratio_delta

MODEL = RegimeModel([0.6, 0.4], [[0.97, 0.03], [0.1, 0.9]], [[0.05, 2.6], [-0.1, 3.2]], [np.diag([0.4, 0.02]), [[3.0, -0.1], [-0.1, 0.08]]])
MODERATE = settings(deadline=None, derandomize=True, max_examples=40)


def simulated(n, seed=0, model=MODEL):
    """Rows and the true states of a model."""
    rng = np.random.default_rng(seed)
    states = [int(rng.choice(model.n_states, p=model.startprob))]
    for _ in range(n - 1):
        states.append(int(rng.choice(model.n_states, p=model.transmat[states[-1]])))
    rows = [rng.multivariate_normal(model.means[s], model.covars[s]) for s in states]
    return pd.DataFrame(rows, columns=["return", "ln_vix"], index=pd.bdate_range("2015-01-01", periods=n)), np.array(states)


def textbook(model, rows):
    """The forward recursion as a textbook has it, with densities by inverse and determinant."""
    x, found, total = np.asarray(rows), [], 0.0
    for t in range(len(x)):
        prior = model.startprob if t == 0 else found[-1] @ model.transmat
        gap = x[t] - model.means
        squares = np.einsum("ki,kij,kj->k", gap, np.linalg.inv(model.covars), gap)
        joint = prior * np.exp(-0.5 * squares) / np.sqrt((2 * math.pi) ** x.shape[1] * np.linalg.det(model.covars))
        total += math.log(joint.sum())
        found.append(joint / joint.sum())
    return np.array(found), total


def test_filter_and_likelihood_are_those_of_the_textbook_and_of_hmmlearn():
    from hmmlearn.hmm import GaussianHMM

    rows, _ = simulated(400)
    expected, total = textbook(MODEL, rows)
    peer = GaussianHMM(2, "full")
    peer.startprob_, peer.transmat_, peer.means_, peer.covars_ = MODEL.startprob, MODEL.transmat, MODEL.means, MODEL.covars
    assert np.abs(MODEL.filtered(rows).to_numpy() - expected).max() < 1e-10
    assert MODEL.loglik(rows) == pytest.approx(total, rel=1e-12)
    assert MODEL.loglik(rows) == pytest.approx(peer.score(rows.to_numpy()), rel=1e-12)


@given(st.integers(1, 299))
@MODERATE
def test_what_comes_later_changes_no_filtered_probability_by_a_single_bit(stop):
    rows, _ = simulated(300, seed=3)
    assert MODEL.filtered(rows[:stop]).equals(MODEL.filtered(rows)[:stop])


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=40), st.sampled_from([1.0, 1e6, 1e200]))
@MODERATE
def test_probabilities_sum_to_one_and_are_never_nan_whatever_the_outlier(points, scale):
    found = MODEL.filtered(np.array(points) * scale).to_numpy()
    assert np.isfinite(found).all()
    assert np.abs(found.sum(axis=1) - 1.0).max() < 1e-12


def test_rows_that_no_state_explains_leave_the_prediction_as_it_is():
    rows = np.array([[0.0, 2.6], [1e200, 1e200]])
    first, second = MODEL.filtered(rows).to_numpy()
    assert second == pytest.approx(first @ MODEL.transmat, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_parameters_behind_simulated_rows_are_found_again(seed):
    rows, states = simulated(2500, seed=seed + 10)
    model = fit(rows, seed=seed)
    assert model.loglik(rows) >= MODEL.loglik(rows)
    assert np.abs(model.transmat - MODEL.transmat).max() < 0.05
    assert np.abs(model.means - MODEL.means).max() < 0.25
    assert (model.filtered(rows).to_numpy().argmax(axis=1) == states).mean() > 0.9


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(-100, 100))
@settings(deadline=None, derandomize=True, max_examples=8)
def test_units_and_origin_of_the_features_do_not_matter(first, second, shift):
    rows, _ = simulated(600, seed=5)
    own, other = fit(rows), rows * [first, second] + shift * second
    assert np.abs(fit(other).filtered(other).to_numpy() - own.filtered(rows).to_numpy()).max() < 1e-3


def test_the_same_rows_and_seed_give_the_same_bits():
    rows, _ = simulated(600, seed=6)
    assert fit(rows, seed=4).parameters() == fit(rows, seed=4).parameters()


def test_states_come_in_ascending_variance_of_the_first_feature():
    rows, _ = simulated(1500, seed=7)
    for columns in (["return", "ln_vix"], ["ln_vix", "return"]):
        assert (np.diff(fit(rows[columns], n_states=3).covars[:, 0, 0]) > 0).all()


def test_a_model_survives_as_plain_lists():
    rows, _ = simulated(600, seed=8)
    model = fit(rows)
    assert RegimeModel(**model.parameters()).filtered(rows).equals(model.filtered(rows))


def test_equal_rows_that_would_make_a_state_shrink_to_a_point_do_not():
    rows, _ = simulated(800, seed=9)
    rows.iloc[100:112] = rows.iloc[100].to_numpy()
    model = fit(rows, n_states=3)
    assert (np.linalg.eigvalsh(model.covars).min(axis=1) > 1e-5).all()


def sick(change):
    rows, _ = simulated(100)
    change(rows)
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (sick(lambda r: r.__setitem__("ln_vix", np.nan)), "ln_vix"),
        (sick(lambda r: r.iloc.__setitem__((5, 0), np.inf)), "return"),
        (sick(lambda r: r.__setitem__("ln_vix", 3.0)), "ln_vix is constant"),
        (sick(lambda r: r.__setitem__("ln_vix", 2 * r["return"])), "linearly dependent"),
        (simulated(39)[0], "39 rows"),
    ],
)
def test_sick_features_are_refused_by_name(rows, said):
    with pytest.raises(BadInput, match=said):
        fit(rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"startprob": [0.5, 0.6]}, "startprob"),
        ({"transmat": [[0.9, 0.2], [0.1, 0.9]]}, "transmat"),
        ({"transmat": [[1.1, -0.1], [0.1, 0.9]]}, "transmat"),
        ({"means": [[0.0], [0.0]]}, r"k, d, d"),
        ({"covars": [np.eye(2), np.full((2, 2), np.nan)]}, "covars"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(change, said):
    with pytest.raises(BadInput, match=said):
        RegimeModel(**{**MODEL.parameters(), **change})


def test_a_model_refuses_rows_it_cannot_read():
    with pytest.raises(BadInput, match="shape"):
        MODEL.filtered(np.zeros((5, 3)))
    with pytest.raises(BadInput, match="positive definite"):
        RegimeModel(**{**MODEL.parameters(), "covars": np.zeros((2, 2, 2))}).filtered(np.zeros((5, 2)))


def market(calm=500, crisis=100, after=300, n=12, seed=0):
    """Returns with a loading on one factor that is large in the middle."""
    rng = np.random.default_rng(seed)
    loading = np.repeat([0.5, 3.0, 0.5], [calm, crisis, after])
    common = rng.standard_normal(len(loading)) * loading
    return pd.DataFrame(0.01 * (common[:, None] + rng.standard_normal((len(loading), n))), columns=[f"A{i}" for i in range(n)])


def test_correlation_and_concentration_are_those_of_the_correlation_matrix():
    returns = market(100, 0, 0)
    matrix = np.corrcoef(returns[40:].to_numpy(), rowvar=False)
    last = correlation_regime(returns).iloc[-1]
    assert last["average_correlation"] == pytest.approx(matrix[np.triu_indices(12, 1)].mean(), rel=1e-10)
    assert last["concentration"] == pytest.approx(np.linalg.eigvalsh(matrix)[-1] / 12, rel=1e-10)


def test_a_crisis_is_flagged_while_it_lasts_and_not_before_or_long_after():
    flags = correlation_regime(market())["crisis"].to_numpy()
    assert not flags[:500].any()
    assert flags[545:600].all()
    assert not flags[700:].any()


@pytest.mark.parametrize("seed", range(3))
def test_an_even_market_has_no_crises(seed):
    assert not correlation_regime(market(1000, 0, 0, seed=seed))["crisis"].any()


@given(st.integers(61, 700))
@settings(deadline=None, derandomize=True, max_examples=10)
def test_the_correlation_regime_knows_nothing_of_later_rows(stop):
    returns = market(400, 100, 200, n=5)
    assert correlation_regime(returns[:stop]).equals(correlation_regime(returns)[:stop])


def test_an_asset_with_a_gap_is_left_out_of_the_windows_that_hold_it():
    returns = market(150, 0, 0, n=6)
    gap = returns.copy()
    gap.iloc[100, 2] = np.nan
    whole, found, without = correlation_regime(returns), correlation_regime(gap), correlation_regime(returns.drop(columns="A2"))
    assert found.iloc[59:100].equals(whole.iloc[59:100])
    assert found.iloc[100:].equals(without.iloc[100:])


def test_below_two_assets_nothing_is_known_and_the_regime_is_calm():
    found = correlation_regime(market(100, 0, 0, n=1))
    assert found[["average_correlation", "concentration"]].isna().all().all()
    assert not found["crisis"].any()


def test_senseless_windows_and_infinite_returns_are_refused():
    with pytest.raises(BadInput, match="window"):
        correlation_regime(market(), window=2)
    spoilt = market()
    spoilt.iloc[3, 4] = np.inf
    with pytest.raises(BadInput, match="A4"):
        correlation_regime(spoilt)


def test_the_stand_in_is_how_far_recent_volatility_exceeds_the_usual_one_up_to_its_cap():
    quiet, loud = np.tile([0.01, -0.01], 116), np.tile([0.05, -0.05], 10)
    both = pd.Series(np.concatenate([quiet, loud]))
    assert volatility_ratio_delta(pd.Series(quiet)) == pytest.approx(np.std(quiet[-20:], ddof=1) / np.std(quiet, ddof=1) - 1, abs=0.02)
    assert volatility_ratio_delta(both) == pytest.approx(2.0)
    assert volatility_ratio_delta(both, max_delta=0.5) == 0.5
