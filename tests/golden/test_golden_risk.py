"""The mathematics of risk/ reproduces published and hand-checkable results, case by case."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from risk.attribution import brinson_fachler
from risk.black_litterman import implied_returns, posterior
from risk.covariance import ledoit_wolf
from risk.drift import ks, psi
from risk.hrp import hrp
from risk.optimize import mean_variance, min_cvar, min_max
from risk.performance import herfindahl, max_drawdown, sharpe_ratio, sortino_ratio
from risk.risk_parity import risk_contributions, risk_parity
from risk.stress import historical
from risk.validation import cpcv_splits, deflated_sharpe_ratio, information_coefficient, rank_ic
from risk.var import christoffersen, historical_cvar, historical_var, kupiec_pof, parametric_cvar, parametric_var

GOLDEN = Path(os.environ.get("ALLOCD_SHARED_DIR") or Path(__file__).resolve().parents[3] / "shared") / "golden"
Case = dict[str, Any]


def load(feature: str) -> list[Any]:
    """The cases of one file as parameters; a single skipped one where the golden data is absent."""
    path = GOLDEN / f"{feature}.json"
    if not path.is_file():
        return [pytest.param({}, id="absent", marks=pytest.mark.skip(reason=f"no golden case: {path} (set ALLOCD_SHARED_DIR)"))]
    return [pytest.param(case, id=case["id"]) for case in json.loads(path.read_text())["cases"]]


def golden(feature: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("case", load(feature))


def prices(case: Case) -> pd.DataFrame:
    table = pd.read_csv(GOLDEN / case["inputs"]["data"], index_col=0, parse_dates=True)
    return table[case["inputs"]["columns"]]


def near(value: Any, case: Case, name: str = "") -> Any:
    tolerance = case["tolerance"]
    absolute = tolerance.get(f"abs_{name}", tolerance.get("abs", 0.0))
    return pytest.approx(value, rel=tolerance.get("rel", 0.0), abs=absolute, nan_ok=True)


def square(rows: list[list[float]]) -> pd.DataFrame:
    labels = [f"a{i:02d}" for i in range(len(rows))]
    return pd.DataFrame(rows, index=labels, columns=labels)


def by_label(values: list[float], cov: pd.DataFrame) -> pd.Series:
    return pd.Series(values, index=cov.index, dtype=float)


def covariance_of(inputs: Case) -> pd.DataFrame:
    if "sigma" in inputs:
        return square(inputs["sigma"])
    return square((np.array(inputs["correlation"]) * np.outer(inputs["volatility"], inputs["volatility"])).tolist())


@golden("covariance")
def test_ledoit_wolf_has_the_published_spectrum(case: Case) -> None:
    cov = ledoit_wolf(prices(case).pct_change().dropna().iloc[-252:])
    eigenvalues = np.linalg.eigvalsh(cov)
    expected = case["expected"]
    assert np.trace(cov) == near(expected["trace_annual"], case)
    assert [eigenvalues[0], eigenvalues[-1]] == near([expected["min_eig_annual"], expected["max_eig_annual"]], case)
    assert np.diagonal(cov).tolist() == near(expected["diag_annual"], case)
    assert cov.iloc[0].tolist() == near(expected["first_row_annual"], case)


@golden("black_litterman")
def test_black_litterman_matches_he_litterman(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    cov = covariance_of(inputs)
    pi = implied_returns(cov, by_label(inputs["market_weights"], cov), inputs.get("delta", inputs.get("risk_aversion")))
    if "pi" in expected:
        assert pi.tolist() == near(expected["pi"], case)
    if "mu" in expected:
        mean, spread = posterior(cov, pi, inputs["P"], inputs["Q"], inputs.get("omega", []), inputs["tau"])
        assert mean.tolist() == near(expected["mu"], case)
        assert spread.to_numpy().ravel().tolist() == near(np.ravel(expected["cov_posterior"]).tolist(), case)


@golden("risk_parity")
def test_risk_parity_meets_its_budgets(case: Case) -> None:
    cov = square(case["inputs"]["sigma"])
    weights = risk_parity(cov, by_label(case["inputs"]["budgets"], cov))
    assert weights.tolist() == near(case["expected"]["weights"], case)
    shares = risk_contributions(weights, cov).tolist()
    assert shares == near(case["expected"]["risk_contribution_share"], case, "risk_share")


@golden("hrp")
def test_hrp_gives_the_weights_of_either_distance(case: Case) -> None:
    cov = square(case["inputs"]["sigma"])
    assert hrp(cov).tolist() == near(case["expected"]["weights_distance_of_distance"], case)
    assert hrp(cov, distance="correlation").tolist() == near(case["expected"]["weights_plain_distance"], case)


@golden("mean_variance_qp")
def test_min_max_reaches_the_golden_utility(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    returns = prices(case).pct_change().dropna().iloc[-504:]
    mu, cov = 252 * returns.mean(), ledoit_wolf(returns)
    gamma, delta = inputs["gamma"], inputs["delta"]
    weights = min_max(mu, cov, risk_aversion=gamma, delta=delta, max_weight=inputs["cap"])
    same = mean_variance(mu, cov, risk_aversion=gamma * (1 + delta), max_weight=inputs["cap"])
    for w in (weights, same):
        assert w @ mu - gamma * (1 + delta) * (w @ cov @ w) == near(expected["objective"], case, "objective")
        assert w.tolist() == near(expected["weights"], case, "weights")


@golden("min_cvar")
def test_minimum_cvar_approaches_the_normal_optimum_of_rockafellar_and_uryasev(case: Case) -> None:
    """The scenarios of the case converge slowly, so the CVaR of its weights is met to 1 %, and its own figures in closed form."""
    inputs, expected = case["inputs"], case["expected"]
    mean, cov = np.array(inputs["mean"]), np.array(inputs["sigma"])
    weights = np.array(expected["weights"])
    for beta in inputs["betas"]:
        loss = parametric_var(weights @ mean, math.sqrt(expected["variance"]), beta)
        assert loss == near(expected["VaR"][str(beta)], case, "var")
        shortfall = parametric_cvar(weights @ mean, math.sqrt(expected["variance"]), beta)
        assert shortfall == near(expected["CVaR"][str(beta)], case, "cvar")
    draws = np.random.default_rng(7).standard_normal((1000, 3))
    scenarios = pd.DataFrame(np.vstack([draws, -draws]) @ np.linalg.cholesky(cov).T + mean)
    found = min_cvar(scenarios, alpha=0.9, min_return=inputs["min_return"]).to_numpy()
    assert found @ mean >= inputs["min_return"] - 1e-9
    sd = math.sqrt(found @ cov @ found)
    assert parametric_cvar(found @ mean, sd, 0.9) == pytest.approx(expected["CVaR"]["0.9"], rel=0.01)


@golden("performance")
def test_ratios_and_drawdown_match_their_definitions(case: Case) -> None:
    returns, expected = case["inputs"]["returns"], case["expected"]
    found = {
        "sharpe_ddof1": sharpe_ratio(returns),
        "sortino_seed_ddof1": sortino_ratio(returns),
        "sortino_standard_downside": sortino_ratio(returns, kind="downside"),
        "max_drawdown": max_drawdown(returns),
    }
    for name in found.keys() & expected.keys():
        assert found[name] == near(expected[name] if expected[name] is not None else math.nan, case), name
    assert herfindahl([0.25] * 4) == 0.25


@golden("var_cvar")
def test_var_and_cvar_match_hand_calculation(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if "all_positive" in inputs:
        assert historical_var(inputs["all_positive"], 0.95) == near(expected["all_positive_var95"], case)
        assert historical_var(inputs["short"], 0.99) == near(expected["short_var99"], case)
        return
    for level, figures in expected.items():
        if "var" in figures:
            assert parametric_var(inputs["mean"], inputs["sd"], float(level)) == near(figures["var"], case)
            assert parametric_cvar(inputs["mean"], inputs["sd"], float(level)) == near(figures["es"], case)
        else:
            assert historical_var(inputs["returns"], float(level)) == near(figures["var_hist_linear"], case)
            assert historical_cvar(inputs["returns"], float(level)) == near(figures["cvar_seed"], case)


def hits_from_transitions(n00: int, n01: int, n10: int, n11: int) -> list[int]:
    """A run of days with exactly these transitions, starting calm; needs n01 equal to n10."""
    assert n01 == n10 > 0
    return [0] * (n00 + 1) + [1] * (n11 + 1) + [0, 1] * (n01 - 1) + [0]


@golden("var_backtest")
def test_var_backtests_match_jorion(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if "n00" in inputs:
        hits = hits_from_transitions(*(inputs[name] for name in ("n00", "n01", "n10", "n11")))
        result = christoffersen(hits, 1 - inputs["p"])
        assert result.independence.statistic == near(expected["lr_ind"], case)
        assert result.independence.p_value == near(expected["p_ind"], case)
        assert result.conditional_coverage.statistic == near(expected["lr_cc"], case)
        assert result.conditional_coverage.p_value == near(expected["p_cc"], case)
    else:
        coverage = kupiec_pof(inputs["exceptions"], inputs["observations"], 1 - inputs["p"])
        assert coverage.statistic == near(expected["lr_uc"], case)
        assert coverage.p_value == near(expected["p_value"], case)


@golden("stress")
def test_stress_matches_the_covid_window_and_scales_with_time(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if "horizon" in inputs:
        assert parametric_var(inputs["mean"], inputs["sd"], inputs["alpha"], horizon=inputs["horizon"]) == near(expected["var"], case)
        return
    result = historical(pd.Series(inputs["weights"], index=inputs["columns"]), prices(case), inputs["start"], inputs["end"])
    assert result.portfolio_return == near(expected["buy_and_hold_return"], case)
    assert result.max_drawdown == near(expected["max_drawdown_buy_hold"], case)
    assert result.asset_returns.to_dict() == near(expected["asset_returns"], case)


@golden("brinson")
def test_brinson_effects_match_bacon(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    sides = [
        pd.Series(inputs[name], index=inputs["sectors"], dtype=float)
        for name in ("portfolio_weights", "benchmark_weights", "portfolio_returns", "benchmark_returns")
    ]
    effects = brinson_fachler(*sides)
    for name in ("allocation", "selection", "interaction"):
        assert effects[name].tolist() == near(expected[name], case)
    assert effects.to_numpy().sum() == near(expected["active_return"], case)


@golden("drift")
def test_drift_measures_match_hand_calculation(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if "sample" in inputs:
        assert psi(inputs["sample"], inputs["sample"]) == near(expected["psi"], case)
        result = ks(inputs["sample"], inputs["sample"])
        assert (result.statistic, result.p_value) == near((expected["ks"], expected["p"]), case)
        return
    # Four values whose quartile bins hold the given shares of the reference.
    reference = np.repeat([0.0, 1.0, 2.0, 3.0], (10 * np.array(inputs["reference_shares"])).round().astype(int))
    current = np.repeat([0.0, 1.0, 2.0, 3.0], (10 * np.array(inputs["current_shares"])).round().astype(int))
    assert psi(reference, current, bins=10) == near(expected["psi"], case)


@golden("psr_dsr")
def test_the_deflated_sharpe_ratio_matches_its_paper(case: Case) -> None:
    inputs, periods = case["inputs"], case["inputs"]["periods_per_year"]
    found = deflated_sharpe_ratio(
        inputs["sharpe_annual"] / math.sqrt(periods),
        inputs["T"],
        inputs["skew"],
        inputs["kurtosis_raw"],
        n_trials=inputs["n_trials"],
        sharpe_variance=inputs["variance_of_trial_sharpes_annual"] / periods,
    )
    assert found == near(case["expected"]["dsr"], case)


@golden("cpcv")
def test_cpcv_gives_exactly_the_published_splits(case: Case) -> None:
    inputs, expected = case["inputs"], case["expected"]
    splits = cpcv_splits(**inputs)
    assert len(splits) == expected["n_splits"]
    assert [train.tolist() for train, _ in splits] == expected["train_indices"]
    assert [test.tolist() for _, test in splits] == expected["test_indices"]


@golden("ic")
def test_information_coefficients_match_hand_calculation(case: Case) -> None:
    signal, label = (np.array(case["inputs"][side], dtype=float) for side in ("signal", "label"))
    if "ic" in case["expected"]:
        assert information_coefficient(signal, label) == near(case["expected"]["ic"], case)
    assert rank_ic(signal, label) == near(case["expected"]["rank_ic"], case)
