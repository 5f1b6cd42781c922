"""VaR, its back-tests and performance ratios against textbook forms, published tables, empyrical, skfolio and scipy."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest
import skfolio.measures as skfolio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from risk import performance
from risk.errors import BadInput, RiskError
from risk.var import christoffersen, historical_cvar, historical_var, kupiec_pof, parametric_cvar, parametric_var

quick = settings(deadline=None, derandomize=True, max_examples=60)
levels = st.sampled_from([0.9, 0.95, 0.975, 0.99])
series = st.lists(st.integers(-2000, 2000).map(lambda bp: bp / 1e4), min_size=2, max_size=80)
LEVEL_SETS = (0.5, 0.9, 0.95, 0.975, 0.99, 0.999)


def daily(seed: int, n: int = 500) -> pd.Series:
    """Fat-tailed daily returns, every one different."""
    return pd.Series(np.random.default_rng(seed).standard_t(4, n) * 0.01 + 0.0003, index=pd.bdate_range("2020-01-01", periods=n))


# Value at risk and expected shortfall


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.9, 0.95, 0.975, 0.99])
def test_historical_figures_are_those_of_empyrical_with_the_sign_of_a_loss(seed: int, alpha: float) -> None:
    returns = daily(seed, 503)
    assert historical_var(returns, alpha) == pytest.approx(-empyrical.value_at_risk(returns, 1 - alpha), abs=1e-15)
    assert historical_cvar(returns, alpha) == pytest.approx(-empyrical.conditional_value_at_risk(returns, 1 - alpha), abs=1e-15)


@pytest.mark.parametrize("alpha", [0.9, 0.95, 0.975, 0.99])
def test_historical_shortfall_is_skfolios_where_the_tail_holds_whole_observations(alpha: float) -> None:
    """Of 1000 different returns, 1 - alpha is a whole number: the mean of whole observations and the exact tail mass agree."""
    returns = daily(3, 1000)
    assert historical_cvar(returns, alpha) == pytest.approx(skfolio.cvar(returns.to_numpy(), beta=alpha), rel=1e-12)


@quick
@given(returns=series, alpha=levels)
def test_shortfall_lies_between_the_var_and_the_exact_tail_mass(returns: list[float], alpha: float) -> None:
    """Observations counted whole take at least the mass 1 - alpha, hence milder days with it than Rockafellar and Uryasev's."""
    cvar = historical_cvar(returns, alpha)
    assert cvar >= historical_var(returns, alpha) - 1e-15
    assert cvar <= skfolio.cvar(np.array(returns), beta=alpha) + 1e-12


@quick
@given(returns=series, alpha=levels, shift=st.floats(-0.1, 0.1), scale=st.floats(0.01, 100.0))
def test_historical_figures_move_with_a_sure_gain_and_grow_with_the_stake(
    returns: list[float], alpha: float, shift: float, scale: float
) -> None:
    values = np.array(returns)
    assert historical_var(values + shift, alpha) == pytest.approx(historical_var(values, alpha) - shift, abs=1e-12)
    assert historical_var(scale * values, alpha) == pytest.approx(scale * historical_var(values, alpha), abs=1e-12)
    # A stake that is a power of two leaves the ties as they are, to the bit.
    assert historical_cvar(4 * values, alpha) == 4 * historical_cvar(values, alpha)


@quick
@given(returns=series, alpha=levels, seed=st.integers(0, 1000))
def test_historical_figures_do_not_depend_on_the_order_of_the_days_or_their_container(
    returns: list[float], alpha: float, seed: int
) -> None:
    shuffled = np.random.default_rng(seed).permutation(returns)
    for figure in (historical_var, historical_cvar):
        expected = figure(returns, alpha)
        assert figure(shuffled, alpha) == pytest.approx(expected, abs=1e-15)
        assert figure(pd.Series(returns), alpha) == figure(tuple(returns), alpha) == expected


@quick
@given(returns=series)
def test_a_higher_confidence_never_shows_a_smaller_loss(returns: list[float]) -> None:
    vars_ = [historical_var(returns, alpha) for alpha in LEVEL_SETS]
    cvars = [historical_cvar(returns, alpha) for alpha in LEVEL_SETS]
    assert all(b >= a - 1e-15 for losses in (vars_, cvars) for a, b in pairwise(losses))


@pytest.mark.parametrize("alpha", [0.01, 0.5, 0.95, 0.99])
def test_one_return_is_its_own_quantile_and_a_constant_its_own_tail(alpha: float) -> None:
    assert historical_var([-0.03], alpha) == historical_cvar([-0.03], alpha) == 0.03
    assert historical_var([0.001] * 30, alpha) == pytest.approx(-0.001, abs=1e-17)
    assert historical_cvar([0.001] * 30, alpha) == pytest.approx(-0.001, abs=1e-17)


def test_ties_at_the_quantile_all_count_into_the_tail() -> None:
    # Six of ten lost 1 %: the 20 % quantile stands among them, and all six and the -5 % are at or below it.
    returns = [-0.05] + [-0.01] * 6 + [0.02] * 3
    assert historical_var(returns, 0.8) == pytest.approx(0.01)
    assert historical_cvar(returns, 0.8) == pytest.approx((0.05 + 0.06) / 7)


@pytest.mark.parametrize(
    ("alpha", "n", "worse"), [(0.9, 11, 1), (0.9, 101, 10), (0.95, 21, 1), (0.95, 101, 5), (0.99, 101, 1), (0.7, 11, 3)]
)
def test_a_quantile_that_stands_on_an_observation_is_that_one_and_takes_it_into_the_tail(alpha: float, n: int, worse: int) -> None:
    losses = np.arange(n, 0, -1) / 1000
    assert historical_var(-losses, alpha) == losses[worse]
    assert historical_cvar(-losses, alpha) == pytest.approx(losses[: worse + 1].mean(), abs=1e-15)


def test_all_winning_returns_have_a_negative_var_and_shortfall() -> None:
    # numpy's linear quantile of four gains: 0.01 + 0.15 * 0.01.
    assert historical_var([0.04, 0.01, 0.03, 0.02], 0.95) == pytest.approx(-0.0115)
    assert historical_cvar([0.04, 0.01, 0.03, 0.02], 0.95) == pytest.approx(-0.01)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0, 95.0, -0.05, math.nan])
def test_a_level_that_is_no_confidence_is_refused_by_its_name(alpha: float) -> None:
    for call in (
        lambda: historical_var([0.1, 0.2], alpha),
        lambda: historical_cvar([0.1, 0.2], alpha),
        lambda: parametric_var(0.0, 1.0, alpha),
        lambda: parametric_cvar(0.0, 1.0, alpha),
        lambda: kupiec_pof(1, 10, alpha),
        lambda: christoffersen([0, 1, 0], alpha),
    ):
        with pytest.raises(BadInput, match="alpha"):
            call()


@pytest.mark.parametrize("sick", [math.nan, math.inf, -math.inf])
def test_returns_and_moments_that_are_not_finite_are_refused(sick: float) -> None:
    for figure in (historical_var, historical_cvar):
        with pytest.raises(RiskError, match="returns"):
            figure([0.01, sick, 0.02], 0.95)
    for normal in (parametric_var, parametric_cvar):
        with pytest.raises(RiskError, match="mean"):
            normal(sick, 1.0, 0.95)
        with pytest.raises(RiskError, match="sd"):
            normal(0.0, sick, 0.95)
        with pytest.raises(RiskError, match="horizon"):
            normal(0.0, 1.0, 0.95, horizon=sick)
    with pytest.raises(RiskError, match="horizon"):
        parametric_var(0.0, 1.0, 0.95, horizon=-1)


@quick
@given(mean=st.floats(-0.01, 0.01), sd=st.floats(0.0, 0.1), alpha=st.floats(0.5, 0.9999), horizon=st.sampled_from([1, 5, 10, 252, 0.5]))
def test_parametric_figures_are_the_normal_quantile_and_tail_mean_of_the_summed_periods(
    mean: float, sd: float, alpha: float, horizon: float
) -> None:
    law = stats.norm(horizon * mean, math.sqrt(horizon) * sd) if sd > 0 else None
    expected = -law.ppf(1 - alpha) if law else -horizon * mean
    assert parametric_var(mean, sd, alpha, horizon=horizon) == pytest.approx(expected, abs=1e-12)
    z = stats.norm.isf(1 - alpha)
    tail_mean = horizon * mean - math.sqrt(horizon) * sd * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (1 - alpha)
    assert parametric_cvar(mean, sd, alpha, horizon=horizon) == pytest.approx(-tail_mean, abs=1e-10)


def test_basels_shortfall_at_97_5_is_about_its_var_at_99() -> None:
    """BCBS (2013): of a normal loss, ES 97.5 % is 2.338 and VaR 99 % is 2.326 standard deviations."""
    assert parametric_cvar(0.0, 1.0, 0.975) == pytest.approx(2.338, abs=5e-4)
    assert parametric_var(0.0, 1.0, 0.99) == pytest.approx(2.326, abs=5e-4)


def test_apples_historical_shortfall_is_worse_than_its_normal_one(shared_data: Path) -> None:
    """AAPL, 2018 to 2022, at 95 %: 4.78 % historical and 4.24 % from a normal law."""
    path = shared_data / "golden" / "data" / "stocks20_prices.csv"
    if not path.is_file():
        pytest.skip(f"no golden data: {path} does not exist (set ALLOCD_SHARED_DIR)")
    returns = pd.read_csv(path, index_col=0)["AAPL"].pct_change().dropna()
    assert historical_cvar(returns, 0.95) == pytest.approx(0.0478, abs=5e-5)
    assert parametric_cvar(returns.mean(), returns.std(), 0.95) == pytest.approx(0.0424, abs=5e-5)


# Back-tests of the VaR

# Kupiec (1995), as printed in Jorion: exceptions strictly between which the model is not rejected at 95 %, by T = 255, 510, 1000.
NON_REJECTION = {
    0.01: ((0, 7), (1, 11), (4, 17)),
    0.025: ((2, 12), (6, 21), (15, 36)),
    0.05: ((6, 21), (16, 36), (37, 65)),
    0.075: ((11, 28), (27, 51), (59, 92)),
    0.10: ((16, 36), (38, 65), (81, 120)),
}


@pytest.mark.parametrize(("p", "column"), [(p, column) for p in NON_REJECTION for column in range(3)])
def test_kupiecs_table_of_non_rejection_regions(p: float, column: int) -> None:
    """The printed N < 7 of the first cell counts N = 0 as accepted, which the likelihood ratio rejects; the others are as printed."""
    observations = (255, 510, 1000)[column]
    accepted = [n for n in range(observations + 1) if kupiec_pof(n, observations, 1 - p).p_value > 0.05]
    low, high = NON_REJECTION[p][column]
    assert accepted == list(range(low + 1, high))


@quick
@given(observations=st.integers(1, 600), share=st.floats(0, 1), alpha=st.floats(0.5, 0.999))
def test_the_coverage_test_is_the_ratio_of_binomial_likelihoods(observations: int, share: float, alpha: float) -> None:
    exceptions = round(share * observations)
    found = kupiec_pof(exceptions, observations, alpha)
    best = stats.binom.logpmf(exceptions, observations, exceptions / observations)
    expected = 2 * (best - stats.binom.logpmf(exceptions, observations, 1 - alpha))
    assert found.statistic == pytest.approx(expected, rel=1e-7, abs=1e-7)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-9, abs=1e-300)


def test_the_coverage_test_at_its_ends() -> None:
    assert kupiec_pof(0, 250, 0.99).statistic == pytest.approx(-2 * 250 * math.log(0.99))
    assert kupiec_pof(0, 255, 0.99).statistic == pytest.approx(5.125, abs=1e-3)
    everything = kupiec_pof(250, 250, 0.99)
    assert everything.statistic == pytest.approx(-2 * 250 * math.log(0.01)) and everything.p_value == 0.0
    assert math.isnan(kupiec_pof(0, 0, 0.99).statistic) and math.isnan(kupiec_pof(0, 0, 0.99).p_value)
    for exceptions, observations in ((-1, 10), (11, 10), (0, -1)):
        with pytest.raises(BadInput, match="observations"):
            kupiec_pof(exceptions, observations, 0.99)


def transitions(hits: Sequence[int]) -> np.ndarray:
    table = np.zeros((2, 2))
    for before, after in pairwise(hits):
        table[before, after] += 1
    return table


@quick
@given(hits=st.lists(st.integers(0, 1), min_size=2, max_size=120), alpha=levels)
def test_independence_is_the_g_test_of_the_two_by_two_table_of_transitions(hits: list[int], alpha: float) -> None:
    found = christoffersen(hits, alpha)
    table = transitions(hits)
    if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all():
        expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    else:
        expected = 0.0
    assert found.independence.statistic == pytest.approx(expected, abs=1e-9)
    assert found.independence.p_value == pytest.approx(stats.chi2.sf(found.independence.statistic, 1), rel=1e-9)


@quick
@given(hits=st.lists(st.integers(0, 1), min_size=2, max_size=120), alpha=levels)
def test_conditional_coverage_adds_the_coverage_of_the_later_days_with_two_degrees(hits: list[int], alpha: float) -> None:
    found = christoffersen(hits, alpha)
    coverage = kupiec_pof(sum(hits[1:]), len(hits) - 1, alpha)
    assert found.conditional_coverage.statistic == pytest.approx(found.independence.statistic + coverage.statistic, abs=1e-12)
    assert found.conditional_coverage.p_value == pytest.approx(stats.chi2.sf(found.conditional_coverage.statistic, 2), rel=1e-9)


def test_hits_may_be_booleans_numbers_or_series_and_nothing_else() -> None:
    hits = [0, 0, 1, 1, 0, 0, 0, 1, 0, 0]
    expected = christoffersen(hits, 0.9)
    for form in (
        np.array(hits),
        np.array(hits, dtype=bool),
        pd.Series(hits, dtype=bool),
        tuple(map(bool, hits)),
        pd.Series(hits, dtype=float),
    ):
        assert christoffersen(form, 0.9) == expected
    for wrong in ([0, 2, 1], [0.5, 1.0, 0.0], [0, math.nan, 1], [[0, 1], [1, 0]], ["hit", "miss", "hit"]):
        with pytest.raises(BadInput, match="hits"):
            christoffersen(wrong, 0.9)


@pytest.mark.parametrize("hits", [[], [0], [1]])
def test_without_a_transition_there_is_nothing_to_test(hits: list[int]) -> None:
    found = christoffersen(hits, 0.95)
    for test in (found.independence, found.conditional_coverage):
        assert math.isnan(test.statistic) and math.isnan(test.p_value)


def test_all_hits_are_finite_and_rejected_for_their_number_alone() -> None:
    found = christoffersen([1] * 50, 0.95)
    assert found.independence.statistic == 0.0
    assert found.conditional_coverage.statistic == pytest.approx(-2 * 49 * math.log(0.05))


def test_clustered_exceptions_of_the_right_number_fail_independence_only() -> None:
    # Ten exceptions of 250 at 96 %, in three runs: days 40-42, 100-101 and 200-204.
    hits = [int(day in {40, 41, 42, 100, 101, 200, 201, 202, 203, 204}) for day in range(250)]
    assert kupiec_pof(sum(hits), 250, 0.96).statistic == pytest.approx(0.0, abs=1e-12)
    assert transitions(hits).ravel().tolist() == [236, 3, 3, 7]
    assert christoffersen(hits, 0.96).independence.p_value < 1e-6


# Performance


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("periods", [252, 52, 12])
def test_ratios_are_those_of_empyrical(seed: int, periods: int) -> None:
    returns, benchmark = daily(seed), daily(seed + 100)
    assert performance.sharpe_ratio(returns, periods_per_year=periods) == pytest.approx(
        empyrical.sharpe_ratio(returns, annualization=periods), rel=1e-12
    )
    assert performance.sortino_ratio(returns, periods_per_year=periods, kind="downside") == pytest.approx(
        empyrical.sortino_ratio(returns, annualization=periods), rel=1e-12
    )
    assert performance.max_drawdown(returns) == pytest.approx(empyrical.max_drawdown(returns), rel=1e-12)
    assert performance.beta(returns, benchmark) == pytest.approx(empyrical.beta(returns, benchmark), rel=1e-10)
    # Theirs is per period in numerator and denominator, without annualisation.
    assert performance.information_ratio(returns, benchmark, periods_per_year=periods) == pytest.approx(
        empyrical.excess_sharpe(returns, benchmark) * math.sqrt(periods), rel=1e-12
    )
    assert performance.tracking_error(returns, benchmark, periods_per_year=periods) == pytest.approx(
        empyrical.annual_volatility(returns - benchmark, annualization=periods), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_beta_and_alpha_are_the_least_squares_line(seed: int) -> None:
    benchmark = daily(seed)
    returns = 0.8 * benchmark + daily(seed + 50) + 0.0001
    design = np.column_stack([np.ones(len(benchmark)), benchmark])
    (intercept, slope), *_ = np.linalg.lstsq(design, returns.to_numpy(), rcond=None)
    assert performance.beta(returns, benchmark) == pytest.approx(slope, rel=1e-10)
    assert performance.alpha(returns, benchmark) == pytest.approx(252 * intercept, rel=1e-9)
    assert performance.alpha(returns, benchmark, periods_per_year=12) == pytest.approx(12 * intercept, rel=1e-9)


@pytest.mark.parametrize("window", [2, 20, 60, 499, 500])
def test_the_rolling_sharpe_is_pandas_rolling_mean_over_rolling_deviation(window: int) -> None:
    returns = daily(7)
    rolled = returns.rolling(window)
    expected = rolled.mean() / rolled.std(ddof=1) * math.sqrt(252)
    pd.testing.assert_series_equal(performance.rolling_sharpe(returns, window), expected, rtol=1e-8, check_names=False)


def test_the_rolling_sharpe_at_its_edges() -> None:
    returns = daily(7, 60)
    assert performance.rolling_sharpe(returns).isna().sum() == 59
    assert performance.rolling_sharpe(returns).iloc[-1] == pytest.approx(performance.sharpe_ratio(returns), rel=1e-12)
    assert performance.rolling_sharpe(returns.iloc[:59]).isna().all() and len(performance.rolling_sharpe(returns.iloc[:59])) == 59
    assert len(performance.rolling_sharpe(pd.Series([], dtype=float))) == 0
    assert performance.rolling_sharpe(returns.to_numpy(), 10).tolist() == pytest.approx(
        performance.rolling_sharpe(returns, window=10).tolist(), nan_ok=True
    )
    for window in (1, 0, -5):
        with pytest.raises(BadInput, match="window"):
            performance.rolling_sharpe(returns, window)


def test_a_flat_stretch_makes_only_the_windows_inside_it_undefined() -> None:
    returns = pd.Series([0.01, -0.01, 0.002, 0.002, 0.002, 0.002, 0.03])
    assert performance.rolling_sharpe(returns, 3).isna().tolist() == [True, True, False, False, True, True, False]


def test_the_losses_deviation_about_their_own_mean_and_the_textbook_downside() -> None:
    returns = [0.02, -0.01, 0.03, -0.03, 0.0, -0.02]
    mean = sum(returns) / 6
    losses_sd = math.sqrt((0.01**2 + 0.0 + 0.01**2) / 2)
    downside = math.sqrt((0.01**2 + 0.03**2 + 0.02**2) / 6)
    assert performance.sortino_ratio(returns) == pytest.approx(mean / losses_sd * math.sqrt(252))
    assert performance.sortino_ratio(returns, kind="loss_std") == performance.sortino_ratio(returns)
    assert performance.sortino_ratio(returns, kind="downside") == pytest.approx(mean / downside * math.sqrt(252))
    with pytest.raises(BadInput, match="kind"):
        performance.sortino_ratio(returns, kind="semi")


@pytest.mark.parametrize(
    "returns",
    [
        pytest.param([], id="empty"),
        pytest.param([0.01], id="one"),
        pytest.param([0.001] * 20, id="constant"),
        pytest.param([0.0] * 20, id="zero"),
        pytest.param([1e-300] * 5, id="tiny"),
        pytest.param((pd.Series(100 * 1.0001 ** np.arange(300)).pct_change().dropna()), id="cash_from_prices"),
        pytest.param((pd.Series(100 * 0.9999 ** np.arange(300)).pct_change().dropna()), id="decay_from_prices"),
        pytest.param([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2], id="equal_but_for_binary"),
    ],
)
def test_a_series_without_spread_or_length_has_no_ratio(returns: list[float] | pd.Series) -> None:
    values = np.asarray(returns, dtype=float)
    market = np.random.default_rng(1).normal(0, 0.01, len(values))
    assert math.isnan(performance.sharpe_ratio(returns))
    assert math.isnan(performance.sortino_ratio(returns))
    assert math.isnan(performance.beta(market, values)) and math.isnan(performance.alpha(market, values))
    assert math.isnan(performance.information_ratio(values, np.zeros(len(values))))
    assert performance.rolling_sharpe(pd.Series(values), 2).isna().all()
    assert performance.tracking_error(values, values) == (0.0 if len(values) > 1 else pytest.approx(math.nan, nan_ok=True))


def test_a_spread_of_a_ten_millionth_is_a_spread() -> None:
    returns = [0.01 + 1e-9 * (-1) ** i for i in range(20)]
    assert performance.sharpe_ratio(returns) == pytest.approx(0.01 / (1e-9 * math.sqrt(20 / 19)) * math.sqrt(252), rel=1e-6)


def test_winners_have_a_sharpe_ratio_but_no_downside() -> None:
    winners = [0.01, 0.02, 0.03]
    assert performance.sharpe_ratio(winners) == pytest.approx(0.02 / 0.01 * math.sqrt(252))
    assert math.isnan(performance.sortino_ratio(winners)) and math.isnan(performance.sortino_ratio(winners, kind="downside"))
    assert performance.max_drawdown(winners) == 0.0


def test_drawdown_of_nothing_of_one_loss_and_of_ruin() -> None:
    assert math.isnan(performance.max_drawdown([]))
    assert performance.max_drawdown([-0.2]) == pytest.approx(-0.2)
    assert performance.max_drawdown([0.5, -1.0, 0.3]) == -1.0
    # 1.1 * 0.9 * 1.05 * 0.7: the worst is from the first peak to the end.
    assert performance.max_drawdown([0.1, -0.1, 0.05, -0.3, 0.2]) == pytest.approx(0.9 * 1.05 * 0.7 - 1)


def test_the_same_active_return_every_day_has_no_tracking_error_and_no_information_ratio() -> None:
    market = daily(2)
    for gap in (0.0, 0.01, 1e-6):
        assert performance.tracking_error(market + gap, market) == 0.0
        assert math.isnan(performance.information_ratio(market + gap, market))


def test_a_benchmark_explains_itself_and_nothing_of_its_mirror() -> None:
    market = daily(4)
    assert performance.beta(market, market) == pytest.approx(1.0) and performance.alpha(market, market) == pytest.approx(0.0, abs=1e-15)
    assert performance.beta(-2 * market, market) == pytest.approx(-2.0)
    flat = pd.Series(0.0002, index=market.index)
    assert performance.beta(flat, market) == pytest.approx(0.0, abs=1e-15)
    assert performance.alpha(flat, market) == pytest.approx(0.0002 * 252)


@quick
@given(returns=series, scale=st.floats(1e-3, 1e3))
def test_ratios_do_not_depend_on_the_unit_and_turn_with_the_sign(returns: list[float], scale: float) -> None:
    values = np.array(returns)
    for ratio in (performance.sharpe_ratio, lambda r: performance.sortino_ratio(r, kind="downside"), performance.sortino_ratio):
        assert ratio(scale * values) == pytest.approx(ratio(values), rel=1e-9, abs=1e-9, nan_ok=True)
    assert performance.sharpe_ratio(-values) == pytest.approx(-performance.sharpe_ratio(values), nan_ok=True, abs=1e-12)


@quick
@given(returns=series, seed=st.integers(0, 1000))
def test_ratios_forget_the_order_of_days_and_annualise_by_the_root_of_time(returns: list[float], seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(returns)
    assert performance.sharpe_ratio(shuffled) == pytest.approx(performance.sharpe_ratio(returns), rel=1e-9, abs=1e-9, nan_ok=True)
    daily_ratio, yearly = performance.sharpe_ratio(returns, periods_per_year=1), performance.sharpe_ratio(returns)
    assert yearly == pytest.approx(math.sqrt(252) * daily_ratio, nan_ok=True)


@quick
@given(returns=series, other=series)
def test_the_information_ratio_is_the_sharpe_ratio_of_the_active_return(returns: list[float], other: list[float]) -> None:
    n = min(len(returns), len(other))
    mine, theirs = np.array(returns[:n]), np.array(other[:n])
    active = mine - theirs
    assume(active.std() > 1e-6)
    assert performance.information_ratio(mine, theirs) == pytest.approx(performance.sharpe_ratio(active), rel=1e-9)
    assert performance.tracking_error(mine, theirs) == pytest.approx(float(np.std(active, ddof=1)) * math.sqrt(252), rel=1e-9)
    assert performance.tracking_error(theirs, mine) == pytest.approx(performance.tracking_error(mine, theirs))


@quick
@given(returns=series)
def test_drawdown_is_the_worst_of_all_holding_periods_from_the_start(returns: list[float]) -> None:
    wealth = [1.0]
    for r in returns:
        wealth.append(wealth[-1] * (1 + r))
    worst = min(later / earlier - 1 for i, earlier in enumerate(wealth) for later in wealth[i:])
    assert performance.max_drawdown(returns) == pytest.approx(worst, abs=1e-12)


@quick
@given(weights=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_concentration_lies_between_equal_weights_and_one(weights: list[float]) -> None:
    assume(sum(weights) > 1e-6)
    shares = np.array(weights) / sum(weights)
    found = performance.herfindahl(shares)
    assert 1 / len(shares) - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(1 / skfolio.effective_number_assets(shares))


def test_concentration_of_a_series_of_one_and_of_an_even_portfolio() -> None:
    assert performance.herfindahl(pd.Series({"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1})) == pytest.approx(0.30)
    assert performance.herfindahl([1.0]) == 1.0 and performance.herfindahl([0.1] * 10) == pytest.approx(0.1)


@pytest.mark.parametrize("sick", [math.nan, math.inf])
def test_a_sick_return_is_refused_by_every_figure(sick: float) -> None:
    bad, good = pd.Series([0.01, sick, 0.02]), pd.Series([0.01, 0.0, 0.02])
    for single in (
        performance.sharpe_ratio,
        performance.sortino_ratio,
        performance.max_drawdown,
        performance.rolling_sharpe,
        performance.herfindahl,
    ):
        with pytest.raises(BadInput, match="NaN or infinite"):
            single(bad)
    for double in (performance.beta, performance.alpha, performance.tracking_error, performance.information_ratio):
        with pytest.raises(BadInput, match="returns"):
            double(bad, good)
        with pytest.raises(BadInput, match="benchmark"):
            double(good, bad)
        with pytest.raises(BadInput, match="3 values"):
            double(good.to_numpy(), [0.1, 0.2])
