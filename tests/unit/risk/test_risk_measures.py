"""Risk and performance figures: hand calculations, conventions and what is undefined."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import performance
from risk.attribution import brinson_fachler, link
from risk.drift import ks, psi
from risk.errors import BadInput
from risk.regime import volatility_ratio_delta
from risk.stress import factor_shock, historical, monte_carlo
from risk.validation import cpcv_splits, deflated_sharpe_ratio, information_coefficient, probabilistic_sharpe_ratio, rank_ic
from risk.var import christoffersen, historical_cvar, historical_var, kupiec_pof, parametric_cvar, parametric_var

return_lists = st.lists(st.floats(-0.2, 0.2).map(lambda r: round(r, 6)), min_size=1, max_size=60)


@settings(deadline=None)
@given(returns=return_lists, alpha=st.sampled_from([0.9, 0.95, 0.99]))
def test_cvar_is_never_below_var(returns: list[float], alpha: float) -> None:
    assert historical_cvar(returns, alpha) >= historical_var(returns, alpha) - 1e-12


@settings(deadline=None)
@given(returns=return_lists, alpha=st.sampled_from([0.9, 0.95, 0.99]))
def test_historical_var_is_the_linear_quantile_of_numpy(returns: list[float], alpha: float) -> None:
    assert historical_var(returns, alpha) == pytest.approx(-np.quantile(returns, 1 - alpha), abs=1e-12)


def test_an_observation_exactly_at_the_quantile_counts_into_the_tail() -> None:
    # 21 points: the 5 % quantile stands exactly on the second worst.
    returns = np.arange(-10, 11) / 100
    assert historical_var(returns, 0.95) == pytest.approx(0.09)
    assert historical_cvar(returns, 0.95) == pytest.approx(0.095)
    # 11 points at 90 %: 1 - 0.9 is a little below 0.1 in binary.
    assert historical_cvar(np.arange(-5, 6) / 100, 0.9) == pytest.approx(0.045)


def test_var_of_nothing_is_undefined_and_of_nan_refused() -> None:
    assert math.isnan(historical_var([], 0.95)) and math.isnan(historical_cvar([], 0.95))
    with pytest.raises(BadInput, match="NaN"):
        historical_var([0.1, math.nan], 0.95)
    with pytest.raises(BadInput, match="alpha"):
        historical_var([0.1], 95)


def test_parametric_figures_scale_the_mean_with_time_and_the_spread_with_its_root() -> None:
    assert parametric_var(0.001, 0.01, 0.95, horizon=4) == pytest.approx(-0.004 + 1.6448536269514722 * 0.02)
    assert parametric_cvar(0.001, 0.01, 0.95, horizon=4) == pytest.approx(-0.004 + 2.0627128075074275 * 0.02)
    with pytest.raises(BadInput, match="sd"):
        parametric_var(0.0, -1.0, 0.95)


def test_backtests_are_finite_at_the_extremes() -> None:
    # All days exceptional: -2 T ln p.
    assert kupiec_pof(10, 10, 0.95).statistic == pytest.approx(-20 * math.log(0.05))
    assert kupiec_pof(5, 100, 0.95).statistic == pytest.approx(0.0, abs=1e-12)
    calm = christoffersen([False] * 100, 0.95)
    assert calm.independence.statistic == 0.0 and calm.independence.p_value == 1.0
    assert calm.conditional_coverage.statistic == pytest.approx(-2 * 99 * math.log(0.95))
    assert math.isnan(christoffersen([True], 0.95).independence.statistic)
    with pytest.raises(BadInput):
        kupiec_pof(11, 10, 0.95)


def test_a_constant_series_has_no_ratio() -> None:
    constant = [0.001] * 20
    assert math.isnan(performance.sharpe_ratio(constant))
    assert math.isnan(performance.beta([0.01 * i for i in range(20)], constant))
    assert performance.rolling_sharpe(pd.Series(constant), 5).isna().all()
    assert math.isnan(performance.information_ratio([0.01, 0.02, 0.03], [0.0, 0.01, 0.02]))
    assert performance.tracking_error([0.01, 0.02], [0.01, 0.02]) == 0.0


def test_ratios_need_two_returns_and_sortino_two_losses() -> None:
    assert math.isnan(performance.sharpe_ratio([0.01]))
    assert math.isnan(performance.sortino_ratio([0.01, 0.02, -0.01]))
    assert performance.sortino_ratio([0.01, 0.02, -0.01], kind="downside") == pytest.approx(
        0.02 / 3 / math.sqrt(0.0001 / 3) * math.sqrt(252)
    )


def test_drawdown_starts_from_the_capital_before_the_first_return() -> None:
    assert performance.max_drawdown([-0.1, 0.05, -0.1]) == pytest.approx(0.9 * 1.05 * 0.9 - 1)
    assert performance.max_drawdown([0.1, 0.1]) == 0.0


def test_rolling_sharpe_is_the_sharpe_of_each_window() -> None:
    returns = pd.Series(np.random.default_rng(0).normal(0, 0.01, 70))
    rolling = performance.rolling_sharpe(returns)
    assert rolling.iloc[:59].isna().all()
    assert rolling.iloc[65] == pytest.approx(performance.sharpe_ratio(returns.iloc[6:66]))


def test_a_levered_benchmark_has_its_leverage_as_beta_and_its_carry_as_alpha() -> None:
    benchmark = np.random.default_rng(0).normal(0, 0.01, 50)
    assert performance.beta(1.5 * benchmark + 0.001, benchmark) == pytest.approx(1.5)
    assert performance.alpha(1.5 * benchmark + 0.001, benchmark) == pytest.approx(0.252)
    active = np.tile([0.001, -0.0005], 25)
    expected = active.mean() / active.std(ddof=1) * math.sqrt(252)
    assert performance.information_ratio(benchmark + active, benchmark) == pytest.approx(expected)


def test_series_on_different_days_are_not_compared() -> None:
    with pytest.raises(BadInput, match="indexed"):
        performance.beta(pd.Series([0.1, 0.2]), pd.Series([0.1, 0.2], index=[1, 2]))


def test_historical_stress_holds_the_start_weights_and_keeps_the_rest_in_cash() -> None:
    days = pd.date_range("2020-02-19", periods=3)
    prices = pd.DataFrame({"a": [100.0, 50.0, 80.0], "b": [10.0, 12.0, 11.0], "young": [np.nan, 1.0, 1.0]}, index=days)
    result = historical(pd.Series({"a": 0.5, "b": 0.25}), prices, "2020-02-19", "2020-02-21")
    assert result.portfolio_return == pytest.approx(0.5 * -0.2 + 0.25 * 0.1)
    assert result.max_drawdown == pytest.approx(0.5 * -0.5 + 0.25 * 0.2)
    with pytest.raises(BadInput, match="young"):
        historical(pd.Series({"young": 1.0}), prices, "2020-02-19", "2020-02-21")
    with pytest.raises(BadInput, match="1 closes"):
        historical(pd.Series({"a": 1.0}), prices, "2020-02-21", "2020-03-01")


def test_a_factor_shock_is_the_portfolios_beta_times_the_move() -> None:
    weights = pd.Series({"a": 0.5, "b": -0.2})
    assert factor_shock(weights, pd.Series({"b": 1.0, "a": 1.2, "c": 9.0}), -0.1) == pytest.approx(-0.1 * (0.6 - 0.2))
    betas = pd.DataFrame({"market": [1.2, 1.0], "rates": [0.0, 2.0]}, index=["a", "b"])
    assert factor_shock(weights, betas, pd.Series({"rates": 0.01, "market": -0.1})) == pytest.approx(-0.04 - 0.004)
    with pytest.raises(BadInput, match="'b'"):
        factor_shock(weights, pd.Series({"a": 1.0}), 0.1)


def test_simulated_losses_converge_to_the_closed_form_and_repeat_by_seed() -> None:
    weights, mu = pd.Series({"a": 0.6, "b": 0.4}), pd.Series({"a": 0.0005, "b": 0.0001})
    cov = pd.DataFrame([[4e-4, 1e-4], [1e-4, 1e-4]], index=["a", "b"], columns=["a", "b"])
    result = monte_carlo(weights, mu, cov, n=200_000, seed=3, alpha=0.95)
    mean, sd = float(weights @ mu), math.sqrt(float(weights @ cov @ weights))
    assert result.var == pytest.approx(parametric_var(mean, sd, 0.95), rel=0.01)
    assert result.cvar == pytest.approx(parametric_cvar(mean, sd, 0.95), rel=0.01)
    assert monte_carlo(weights, mu, cov, n=200_000, seed=3, alpha=0.95) == result


def sides(*columns: list[float]) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    wp, wb, rp, rb = (pd.Series(column, index=["x", "y", "z"]) for column in columns)
    return wp, wb, rp, rb


def test_a_return_missing_at_zero_weight_takes_the_other_sides() -> None:
    effects = brinson_fachler(*sides([0.6, 0.4, 0.0], [0.5, 0.2, 0.3], [0.1, 0.0, np.nan], [0.05, 0.02, -0.1]))
    assert effects.loc["z", "selection"] == 0 and effects.loc["z", "interaction"] == 0
    assert effects.to_numpy().sum() == pytest.approx(0.06 - (0.025 + 0.004 - 0.03))
    with pytest.raises(BadInput, match="'z'"):
        brinson_fachler(*sides([0.5, 0.4, 0.1], [0.5, 0.2, 0.3], [0.1, 0.0, np.nan], [0.05, 0.02, -0.1]))
    with pytest.raises(BadInput, match="sum to"):
        brinson_fachler(*sides([0.5, 0.4, 0.0], [0.5, 0.2, 0.3], [0.1, 0.0, 0.0], [0.05, 0.02, -0.1]))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n_periods=st.integers(1, 6))
def test_linked_effects_sum_to_the_compounded_active_return(seed: int, n_periods: int) -> None:
    rng = np.random.default_rng(seed)
    periods = [
        sides(list(rng.dirichlet(np.ones(3))), list(rng.dirichlet(np.ones(3))), list(rng.normal(0, 0.1, 3)), list(rng.normal(0, 0.1, 3)))
        for _ in range(n_periods)
    ]
    portfolio = math.prod(1 + float(wp @ rp) for wp, _, rp, _ in periods)
    benchmark = math.prod(1 + float(wb @ rb) for _, wb, _, rb in periods)
    assert link(periods).to_numpy().sum() == pytest.approx(portfolio - benchmark, abs=1e-12)


def test_linking_survives_a_period_without_active_return() -> None:
    same = sides([0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.01, 0.02, 0.03], [0.01, 0.02, 0.03])
    assert link([same, same]).to_numpy().tolist() == [[0.0] * 3] * 3


def test_psi_sees_a_shift_in_either_direction_even_from_a_constant() -> None:
    for shifted in (0.0, 2.0):
        assert psi([1.0] * 50, [shifted] * 50) == pytest.approx(2 * (1 - 1e-4) * math.log(1e4))
    assert psi([1.0] * 50, [1.0] * 20) == 0.0
    assert math.isnan(psi([], [1.0]))


def test_psi_bins_come_from_the_reference_alone_and_are_open_at_the_ends() -> None:
    reference = np.arange(100.0)
    # Everything beyond the last decile: nine empty bins at the floor and one full.
    expected = 9 * (1e-4 - 0.1) * math.log(1e-4 / 0.1) + 0.9 * math.log(1 / 0.1)
    assert psi(reference, np.full(10, 1e9)) == pytest.approx(expected)


def test_ks_measures_the_largest_gap() -> None:
    assert ks([1, 2, 3, 4], [3, 4, 5, 6]).statistic == pytest.approx(0.5)
    # Two disjoint samples of 4: 2 of the 70 interleavings are as extreme.
    assert ks([1, 2, 3, 4], [5, 6, 7, 8]).p_value == pytest.approx(2 / 70)


def test_one_trial_deflates_nothing_and_more_trials_more() -> None:
    single = deflated_sharpe_ratio(0.1, 500, 0.0, 3.0, n_trials=1, sharpe_variance=0.01)
    assert single == probabilistic_sharpe_ratio(0.1, 500, 0.0, 3.0)
    assert deflated_sharpe_ratio(0.1, 500, 0.0, 3.0, n_trials=50, sharpe_variance=0.01) < single
    assert math.isnan(probabilistic_sharpe_ratio(0.1, 1, 0.0, 3.0))


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(12, 60),
    n_folds=st.integers(3, 8),
    n_test=st.integers(1, 2),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
)
def test_no_training_observation_is_near_a_test_block(n: int, n_folds: int, n_test: int, purge: int, embargo: int) -> None:
    splits = cpcv_splits(n, n_folds=n_folds, n_test_folds=n_test, purge=purge, embargo=embargo)
    assert len(splits) == math.comb(n_folds, n_test)
    for train, test in splits:
        gaps = train[:, None] - test[None, :]
        assert ((gaps < -purge) | (gaps > purge + embargo)).all()


def test_information_coefficients_pair_by_label_and_are_undefined_without_spread() -> None:
    signal = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0})
    label = pd.Series({"c": 3.0, "b": 2.0, "a": 1.0})
    assert information_coefficient(signal, label) == pytest.approx(1.0)
    assert rank_ic(signal, -label) == pytest.approx(-1.0)
    assert math.isnan(rank_ic([1, 2], [1, 2]))
    assert math.isnan(information_coefficient([0.1] * 5, [1, 2, 3, 4, 5]))


def test_delta_is_the_excess_of_recent_over_usual_volatility() -> None:
    calm, wild = [0.01, -0.01] * 116, [0.04, -0.04] * 10
    returns = pd.Series(calm + wild)
    expected = np.std(wild, ddof=1) / np.std(calm + wild, ddof=1) - 1
    assert volatility_ratio_delta(returns) == pytest.approx(expected)
    assert volatility_ratio_delta(returns, max_delta=0.5) == 0.5
    assert volatility_ratio_delta(pd.Series(wild + calm)) == 0.0
    assert volatility_ratio_delta(pd.Series(calm[:20])) == 0.0
    assert volatility_ratio_delta(pd.Series([0.001] * 300)) == 0.0
