"""The hidden Markov model reproduces published log-likelihoods and filtered probabilities, and finds as good a fit from any seed."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from risk.regime import RegimeModel, fit

GOLDEN = Path(os.environ.get("ALLOCD_SHARED_DIR") or Path(__file__).resolve().parents[3] / "shared") / "golden"
PARAMETERS = ("startprob", "transmat", "means", "covars")


def cases():
    path = GOLDEN / "hmm.json"
    if not path.is_file():
        return [pytest.param({}, id="absent", marks=pytest.mark.skip(reason=f"no golden case: {path} (set ALLOCD_SHARED_DIR)"))]
    return [pytest.param(case, id=case["id"]) for case in json.loads(path.read_text())["cases"]]


def market():
    """Daily return in percent and ln VIX (n_obs, 2) of the golden data."""
    prices = pd.read_csv(GOLDEN / "data" / "sp500_ohlcv.csv", index_col=0, parse_dates=True)["Adj Close"]
    vix = pd.read_csv(GOLDEN / "data" / "vix.csv", index_col=0, parse_dates=True)["vix"]
    returns = prices.pct_change().dropna()
    return pd.DataFrame({"return": 100 * returns, "ln_vix": np.log(vix.reindex(returns.index))}).dropna()


def features(case):
    """Rows with as many columns as the case's means have."""
    return market().iloc[:, : len(case["inputs"]["means"][0])]


@pytest.mark.parametrize("case", cases())
def test_given_parameters_have_the_published_log_likelihood(case):
    model = RegimeModel(**{name: case["inputs"][name] for name in PARAMETERS})
    rows = features(case)
    assert len(rows) == case["expected"]["n_obs"]
    assert model.loglik(rows) == pytest.approx(case["expected"]["loglik_given_params"], abs=case["tolerance"]["abs_loglik_given"])


@pytest.mark.parametrize("case", cases())
def test_filtered_probabilities_are_the_published_ones(case):
    found = RegimeModel(**{name: case["inputs"][name] for name in PARAMETERS}).filtered(features(case))
    for day, expected in case["expected"]["filtered_points"].items():
        assert found.loc[day].to_numpy() == pytest.approx(expected, abs=case["tolerance"]["abs_posterior"])


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("seed", [0, 1, 2, 7, 99])
def test_the_fit_is_as_good_as_the_best_of_twenty_starts_from_any_seed(case, seed):
    rows = features(case)
    model = fit(rows, n_states=case["inputs"]["n_components"], seed=seed)
    assert model.loglik(rows) >= case["expected"]["em_best_loglik_20_starts"] - 1.0
    assert (np.diff(model.covars[:, 0, 0]) > 0).all()


@pytest.mark.skipif(not (GOLDEN / "data" / "vix.csv").is_file(), reason=f"no golden data in {GOLDEN} (set ALLOCD_SHARED_DIR)")
@pytest.mark.parametrize("n_states", [2, 3])
def test_with_the_vix_no_restart_of_hmmlearn_finds_a_better_model(n_states):
    from hmmlearn.hmm import GaussianHMM

    rows = market()
    best = -math.inf
    for seed in range(6):
        peer = GaussianHMM(
            n_states, "full", covars_prior=0.0, covars_weight=0.0, tol=1e-4, n_iter=200, random_state=seed, init_params="stc"
        )
        peer.means_ = rows.to_numpy()[np.random.default_rng(seed).choice(len(rows), n_states, replace=False)]
        best = max(best, peer.fit(rows.to_numpy()).score(rows.to_numpy()))
    levels = [fit(rows, n_states=n_states, seed=seed).loglik(rows) for seed in range(4)]
    assert min(levels) >= best - 0.01
    assert max(levels) - min(levels) < 0.01
