"""Attribution, drift, deflated Sharpe ratios, purged splits and information coefficients against textbook forms and second libraries."""

import math
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import skfolio.measures as skfolio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from skfolio.model_selection import CombinatorialPurgedCV

from risk.attribution import brinson_fachler, link
from risk.drift import ks, psi
from risk.errors import BadInput
from risk.validation import cpcv_splits, deflated_sharpe_ratio, information_coefficient, probabilistic_sharpe_ratio, rank_ic

quick = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 2**32 - 1)
SECTORS = ["energy", "health", "banks", "tech"]
Period = tuple[pd.Series, pd.Series, pd.Series, pd.Series]


def period(seed: int, sectors: list[str] | None = None) -> Period:
    """Weights and returns by sector of both sides, a month of them."""
    rng, names = np.random.default_rng(seed), sectors or SECTORS
    wp, wb = (pd.Series(rng.dirichlet(np.ones(len(names))), index=names) for _ in range(2))
    rp, rb = (pd.Series(rng.normal(0.01, 0.06, len(names)), index=names) for _ in range(2))
    return wp, wb, rp, rb


def by_sector(rows: dict[str, tuple[float, float, float, float]]) -> Period:
    """Four Series from rows of portfolio weight, benchmark weight, portfolio return, benchmark return."""
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["wp", "wb", "rp", "rb"])
    return table["wp"], table["wb"], table["rp"], table["rb"]


# Brinson and Fachler, Carino


@quick
@given(seed=seeds)
def test_effects_are_the_four_corners_of_the_notional_portfolios(seed: int) -> None:
    """Bacon: allocation, selection and interaction from the returns of benchmark, allocation and selection notional funds."""
    wp, wb, rp, rb = period(seed)
    totals = brinson_fachler(wp, wb, rp, rb).sum()
    benchmark, allocation_fund, selection_fund, portfolio = wb @ rb, wp @ rb, wb @ rp, wp @ rp
    assert totals["allocation"] == pytest.approx(allocation_fund - benchmark, abs=1e-14)
    assert totals["selection"] == pytest.approx(selection_fund - benchmark, abs=1e-14)
    assert totals["interaction"] == pytest.approx(portfolio - selection_fund - allocation_fund + benchmark, abs=1e-14)
    assert totals.sum() == pytest.approx(portfolio - benchmark, abs=1e-14)


@quick
@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-0.1, 0.1))
def test_effects_scale_with_the_unit_and_ignore_a_return_that_all_share(seed: int, scale: float, shift: float) -> None:
    wp, wb, rp, rb = period(seed)
    effects = brinson_fachler(wp, wb, rp, rb)
    pd.testing.assert_frame_equal(brinson_fachler(wp, wb, scale * rp, scale * rb), scale * effects, atol=1e-12)
    pd.testing.assert_frame_equal(brinson_fachler(wp, wb, rp + shift, rb + shift), effects, atol=1e-12)


@quick
@given(seed=seeds)
def test_effects_are_by_label_whatever_the_order_of_the_sides(seed: int) -> None:
    wp, wb, rp, rb = period(seed)
    turned = brinson_fachler(wp, wb[::-1], rp.sort_index(), rb[::-1])
    pd.testing.assert_frame_equal(turned, brinson_fachler(wp, wb, rp, rb), atol=1e-15)
    assert list(turned.index) == SECTORS and list(turned.columns) == ["allocation", "selection", "interaction"]


@pytest.mark.parametrize("form", ["NaN", "absent"])
def test_a_sector_of_one_side_alone_is_all_allocation(form: str) -> None:
    wp, wb, rp, rb = by_sector(
        {"both": (0.7, 0.6, 0.04, 0.03), "off benchmark": (0.3, 0.0, 0.10, math.nan), "not held": (0.0, 0.4, math.nan, -0.02)}
    )
    if form == "absent":
        wp, wb, rp, rb = wp[wp > 0], wb[wb > 0], rp.dropna(), rb.dropna()
    effects = brinson_fachler(wp, wb, rp, rb)
    benchmark = 0.6 * 0.03 - 0.4 * 0.02
    assert effects.loc["off benchmark"].tolist() == pytest.approx([0.3 * (0.10 - benchmark), 0.0, 0.0])
    assert effects.loc["not held"].tolist() == pytest.approx([-0.4 * (-0.02 - benchmark), 0.0, 0.0])
    assert effects.loc["both"].tolist() == pytest.approx([0.1 * (0.03 - benchmark), 0.6 * 0.01, 0.1 * 0.01])
    assert effects.to_numpy().sum() == pytest.approx((0.028 + 0.03) - benchmark)


def test_a_sector_that_nobody_holds_has_no_effect_and_needs_no_return() -> None:
    effects = brinson_fachler(*by_sector({"held": (1.0, 1.0, 0.02, 0.01), "empty": (0.0, 0.0, math.nan, math.nan)}))
    assert effects.loc["empty"].tolist() == [0.0, 0.0, 0.0]


def test_the_benchmark_itself_and_a_single_sector_have_only_what_they_can() -> None:
    wp, _, rp, _ = period(1)
    assert brinson_fachler(wp, wp, rp, rp).to_numpy() == pytest.approx(np.zeros((4, 3)))
    assert brinson_fachler(*by_sector({"all": (1.0, 1.0, 0.05, 0.03)})).loc["all"].tolist() == pytest.approx([0.0, 0.02, 0.0])


def test_attribution_names_what_does_not_fit() -> None:
    wp, wb, rp, rb = period(2)
    with pytest.raises(BadInput, match="energy"):
        brinson_fachler(wp, wb, rp.drop("energy"), rb)
    with pytest.raises(BadInput, match=r"benchmark.*tech"):
        brinson_fachler(wp, wb, rp, rb.where(rb.index != "tech"))
    with pytest.raises(BadInput, match=r"infinite portfolio return.*health"):
        brinson_fachler(wp, wb, rp.where(rp.index != "health", math.inf), rb)
    with pytest.raises(BadInput, match=r"portfolio weights.*banks"):
        brinson_fachler(wp.where(wp.index != "banks"), wb, rp, rb)
    with pytest.raises(BadInput, match="sum to"):
        brinson_fachler(wp * 0.9, wb, rp, rb)
    with pytest.raises(BadInput, match="twice"):
        brinson_fachler(pd.Series([0.5, 0.5], index=["energy", "energy"]), wb, rp, rb)
    with pytest.raises(BadInput, match="no number"):
        brinson_fachler(wp, wb, rp, pd.Series("much", index=rb.index))
    with pytest.raises(BadInput, match="no periods"):
        link([])
    with pytest.raises(BadInput, match="total loss"):
        link([by_sector({"all": (1.0, 1.0, -1.0, 0.0)})])


def carino_by_logarithms(periods: list[Period]) -> pd.DataFrame:
    """Carino (1999) as printed: k_t of each period over k of the whole, from logarithms."""

    def k(portfolio: float, benchmark: float) -> float:
        return (math.log(1 + portfolio) - math.log(1 + benchmark)) / (portfolio - benchmark)

    totals = [(wp @ rp, wb @ rb) for wp, wb, rp, rb in periods]
    whole = k(math.prod(1 + p for p, _ in totals) - 1, math.prod(1 + b for _, b in totals) - 1)
    scaled = []
    for (wp, wb, rp, rb), (portfolio, benchmark) in zip(periods, totals, strict=True):
        factor = k(portfolio, benchmark) / whole
        columns = {"allocation": (wp - wb) * (rb - benchmark), "selection": wb * (rp - rb), "interaction": (wp - wb) * (rp - rb)}
        scaled.append(pd.DataFrame(columns) * factor)
    return sum(scaled[1:], scaled[0])


@quick
@given(seed=seeds, n_periods=st.integers(1, 12))
def test_linked_effects_are_carinos_and_sum_to_the_compounded_active_return(seed: int, n_periods: int) -> None:
    periods = [period(seed + i) for i in range(n_periods)]
    linked = link(periods)
    pd.testing.assert_frame_equal(linked, carino_by_logarithms(periods), rtol=1e-6, atol=1e-10)
    active = math.prod(1 + wp @ rp for wp, _, rp, _ in periods) - math.prod(1 + wb @ rb for _, wb, _, rb in periods)
    assert linked.to_numpy().sum() == pytest.approx(active, abs=1e-12)


@quick
@given(seed=seeds)
def test_one_period_links_to_itself_and_the_order_of_periods_does_not_matter(seed: int) -> None:
    first, second = period(seed), period(seed + 1)
    pd.testing.assert_frame_equal(link([first]), brinson_fachler(*first), atol=1e-14)
    pd.testing.assert_frame_equal(link([first, second]), link([second, first]), atol=1e-14)


def test_periods_of_equal_returns_take_the_limit_of_carinos_factor() -> None:
    # Both months end level though sectors differ; the whole is level too, so that k = 1 / (1 + R) everywhere.
    level = by_sector({"a": (0.5, 0.5, 0.03, 0.01), "b": (0.5, 0.5, 0.01, 0.03)})
    linked = link([level, level])
    whole = 1.02**2
    assert linked["selection"].tolist() == pytest.approx([2 * 0.01 / 1.02 * whole, -2 * 0.01 / 1.02 * whole])
    # The limit is continuous: a hair's breadth of active return changes nothing visible.
    nearly = by_sector({"a": (0.5, 0.5, 0.03 + 1e-13, 0.01), "b": (0.5, 0.5, 0.01, 0.03)})
    pd.testing.assert_frame_equal(link([nearly, nearly]), linked, atol=1e-10)


def test_sectors_that_come_and_go_are_linked_in_order_of_appearance() -> None:
    early, late = period(3, ["tech", "banks"]), period(4, ["tech", "airlines"])
    linked = link([early, late])
    assert list(linked.index) == ["tech", "banks", "airlines"]
    active = (1 + early[0] @ early[2]) * (1 + late[0] @ late[2]) - (1 + early[1] @ early[3]) * (1 + late[1] @ late[3])
    assert linked.to_numpy().sum() == pytest.approx(active, abs=1e-14)


# Drift


def psi_by_histogram(reference: np.ndarray, current: np.ndarray, bins: int, floor: float) -> float:
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)))
    edges[0], edges[-1] = -np.inf, np.inf
    p, q = (np.maximum(np.histogram(sample, edges)[0] / len(sample), floor) for sample in (reference, current))
    return float(np.sum((q - p) * np.log(q / p)))


@quick
@given(seed=seeds, bins=st.integers(2, 20), shift=st.floats(-3, 3), floor=st.sampled_from([1e-6, 1e-4, 1e-3]))
def test_psi_is_the_histogram_form_with_quantile_edges_and_open_ends(seed: int, bins: int, shift: float, floor: float) -> None:
    rng = np.random.default_rng(seed)
    reference, current = rng.normal(size=300), rng.normal(shift, 1.5, size=90)
    assert psi(reference, current, bins=bins, floor=floor) == pytest.approx(psi_by_histogram(reference, current, bins, floor), abs=1e-12)


@quick
@given(seed=seeds, n_levels=st.integers(2, 6))
def test_psi_of_few_levels_is_the_divergence_of_their_shares(seed: int, n_levels: int) -> None:
    """With as many bins as it takes to part them, PSI of discrete samples is KL both ways."""
    rng = np.random.default_rng(seed)
    p, q = (rng.multinomial(200, rng.dirichlet(np.full(n_levels, 5.0))) for _ in range(2))
    assume((p > 0).all() and (q > 0).all())
    levels = np.arange(n_levels, dtype=float)
    found = psi(np.repeat(levels, p), np.repeat(levels, q), bins=1000)
    assert found == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)
    assert psi(np.repeat(levels, q), np.repeat(levels, p), bins=1000) == pytest.approx(found, abs=1e-12)


@quick
@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_drift_is_not_negative_nil_for_the_same_and_free_of_unit_and_order(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    reference, current = rng.normal(size=200), rng.normal(0.3, 1, size=80)
    drift = psi(reference, current)
    assert drift >= 0.0
    assert psi(reference, reference) == 0.0 and psi(reference, rng.permutation(reference)) == 0.0
    assert psi(scale * reference + shift, scale * current + shift) == pytest.approx(drift, abs=1e-9)
    assert psi(rng.permutation(reference), rng.permutation(current)) == drift
    assert psi(pd.Series(reference), current.tolist()) == drift


@pytest.mark.parametrize("floor", [1e-2, 1e-4, 1e-6])
def test_an_empty_bin_costs_what_the_floor_says(floor: float) -> None:
    """Shares 1/4 each against 0, 1/2, 1/4, 1/4: the floor alone decides the first term."""
    reference, current = np.repeat([0.0, 1.0, 2.0, 3.0], 25), np.repeat([1.0, 2.0, 3.0], [50, 25, 25])
    expected = (0.25 - floor) * math.log(0.25 / floor) + 0.25 * math.log(2)
    assert psi(reference, current, bins=4, floor=floor) == pytest.approx(expected, abs=1e-12)


def test_psi_of_a_constant_reference_is_nil_for_itself_and_large_for_anything_else() -> None:
    assert psi([0.3] * 40, [0.3]) == 0.0
    for other in (0.2999999, 0.3000001, -1e9, 1e9):
        assert psi([0.3] * 40, [other]) > 10
    assert psi([0.0] * 40, [0.0] * 10) == 0.0


@pytest.mark.parametrize(("reference", "current"), [([], [1.0]), ([1.0], []), ([], [])])
def test_drift_of_nothing_is_undefined(reference: list[float], current: list[float]) -> None:
    assert math.isnan(psi(reference, current))
    assert math.isnan(ks(reference, current).statistic) and math.isnan(ks(reference, current).p_value)


def test_drift_refuses_sick_samples_and_impossible_bins() -> None:
    for measure in (psi, ks):
        for sick in (math.nan, math.inf):
            with pytest.raises(BadInput, match="reference"):
                measure([1.0, sick], [1.0])
            with pytest.raises(BadInput, match="current"):
                measure([1.0], [1.0, sick])
    for wrong in ({"bins": 1}, {"floor": 0.0}, {"floor": 1.0}, {"floor": math.nan}):
        with pytest.raises(BadInput, match="bins"):
            psi([1.0, 2.0], [1.0], **wrong)


@quick
@given(reference=st.lists(st.integers(-5, 5), min_size=1, max_size=60), current=st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_ks_is_the_largest_gap_of_the_two_step_functions_ties_and_all(reference: list[int], current: list[int]) -> None:
    gap = max(abs(np.mean(np.array(reference) <= x) - np.mean(np.array(current) <= x)) for x in {*reference, *current})
    found = ks(reference, current)
    assert found.statistic == pytest.approx(gap, abs=1e-12)
    assert ks(current, reference).statistic == pytest.approx(gap, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert found.p_value == pytest.approx(stats.ks_2samp(reference, current, method="exact").pvalue, abs=1e-9)


def test_ks_of_one_value_each() -> None:
    assert ks([1.0], [1.0]).statistic == 0.0 and ks([1.0], [1.0]).p_value == 1.0
    assert ks([1.0], [2.0]).statistic == 1.0 and ks([1.0], [2.0]).p_value == 1.0


# Probabilistic and deflated Sharpe ratios


def test_the_hedge_fund_of_bailey_and_lopez_de_prado_2012() -> None:
    """Two years of months at 0.458: 0.982 if normal, 0.913 with skew -2.448 and kurtosis 10.164."""
    assert probabilistic_sharpe_ratio(0.458, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(("n_trials", "skew", "kurtosis", "published"), [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)])
def test_the_strategy_of_bailey_and_lopez_de_prado_2014(n_trials: int, skew: float, kurtosis: float, published: float) -> None:
    """Annual Sharpe 2.5 over 1250 of 250 days a year, trial variance 1/2: significant at 95 % after 46 trials, or 88 if normal."""
    found = deflated_sharpe_ratio(2.5 / math.sqrt(250), 1250, skew, kurtosis, n_trials=n_trials, sharpe_variance=0.5 / 250)
    assert found == pytest.approx(published, abs=5e-5)


@quick
@given(
    sharpe=st.floats(-0.3, 0.3),
    n=st.integers(2, 2000),
    skew=st.floats(-2, 2),
    kurtosis=st.floats(6, 15),
    benchmark=st.floats(-0.1, 0.1),
)
def test_the_probabilistic_ratio_is_the_normal_of_the_standardised_gap(
    sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float
) -> None:
    error = math.sqrt((1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (n - 1))
    found = probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, benchmark)
    assert found == pytest.approx(stats.norm.cdf((sharpe - benchmark) / error), abs=1e-12)
    assert found == probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, benchmark=benchmark)
    assert probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, sharpe) == 0.5


@quick
@given(low=st.floats(0, 0.3), step=st.floats(0.001, 0.3), n=st.integers(10, 1000), benchmark=st.floats(-0.1, 0.1))
def test_the_probability_rises_with_the_ratio_and_falls_with_its_benchmark(low: float, step: float, n: int, benchmark: float) -> None:
    worse, better = (probabilistic_sharpe_ratio(sharpe, n, 0.0, 3.0, benchmark) for sharpe in (low, low + step))
    assert better >= worse
    assert probabilistic_sharpe_ratio(low, n, 0.0, 3.0, benchmark + step) <= worse
    if low > benchmark:
        assert probabilistic_sharpe_ratio(low, n + 100, 0.0, 3.0, benchmark) >= worse
        assert probabilistic_sharpe_ratio(low, n, -1.0, 6.0, benchmark) <= worse + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_the_ratios_of_a_series_are_skfolios_for_the_same_moments(seed: int) -> None:
    returns = np.random.default_rng(seed).standard_t(6, 400) * 0.01 + 0.001
    moments = returns.mean() / returns.std(ddof=1), len(returns), skfolio.skew(returns), skfolio.kurtosis(returns)
    assert probabilistic_sharpe_ratio(*moments) == pytest.approx(skfolio.probabilistic_sharpe_ratio(returns), abs=1e-12)
    deflated = deflated_sharpe_ratio(*moments, n_trials=25, sharpe_variance=0.03**2)
    best = skfolio.expected_max_sharpe_ratio(25, 0.03)
    assert deflated == pytest.approx(skfolio.probabilistic_sharpe_ratio(returns, benchmark_sharpe_ratio=best), abs=1e-12)


@quick
@given(n_trials=st.integers(2, 10**6), variance=st.floats(0, 0.1))
def test_the_deflated_ratio_beats_the_expected_best_of_the_trials(n_trials: int, variance: float) -> None:
    gamma = 0.5772156649015329
    quantiles = stats.norm.isf(1 / n_trials), stats.norm.isf(1 / (n_trials * math.e))
    best = math.sqrt(variance) * ((1 - gamma) * quantiles[0] + gamma * quantiles[1])
    found = deflated_sharpe_ratio(0.1, 250, -0.5, 5.0, n_trials=n_trials, sharpe_variance=variance)
    assert found == pytest.approx(probabilistic_sharpe_ratio(0.1, 250, -0.5, 5.0, best), abs=1e-12)


def test_the_expected_best_is_near_the_mean_maximum_of_normal_draws() -> None:
    """The formula is an approximation from extreme value theory: within 3 % of a simulated mean for 10 and 100 trials."""
    draws = np.random.default_rng(0).standard_normal((20_000, 100))
    for n_trials in (10, 100):
        mean_best = draws[:, :n_trials].max(axis=1).mean()
        # A ratio that equals the benchmark has probability one half.
        above = deflated_sharpe_ratio(0.1 * mean_best * 1.03, 10**6, 0.0, 3.0, n_trials=n_trials, sharpe_variance=0.01)
        below = deflated_sharpe_ratio(0.1 * mean_best * 0.97, 10**6, 0.0, 3.0, n_trials=n_trials, sharpe_variance=0.01)
        assert below < 0.5 < above


def test_one_trial_needs_no_variance_and_countless_trials_do_not_overflow() -> None:
    single = probabilistic_sharpe_ratio(0.1, 250, 0.0, 3.0)
    for variance in (0.0, 0.5, math.nan):
        assert deflated_sharpe_ratio(0.1, 250, 0.0, 3.0, n_trials=1, sharpe_variance=variance) == single
    assert deflated_sharpe_ratio(0.1, 250, 0.0, 3.0, n_trials=50, sharpe_variance=0.0) == single
    assert 0.0 <= deflated_sharpe_ratio(0.1, 250, 0.0, 3.0, n_trials=10**18, sharpe_variance=0.001) < single
    for n_trials, variance in ((0, 0.1), (-5, 0.1), (2, -0.1), (2, math.nan), (2, math.inf)):
        with pytest.raises(BadInput, match="trials"):
            deflated_sharpe_ratio(0.1, 250, 0.0, 3.0, n_trials=n_trials, sharpe_variance=variance)


@pytest.mark.parametrize("arguments", [(0.1, 1, 0.0, 3.0), (0.1, 0, 0.0, 3.0), (math.nan, 100, 0.0, 3.0), (1.0, 100, 3.0, 3.0)])
def test_a_probability_that_the_moments_do_not_allow_is_undefined(arguments: tuple[float, int, float, float]) -> None:
    """One return, an undefined ratio, or a skew that no series of that kurtosis has: the variance of the estimate is not positive."""
    assert math.isnan(probabilistic_sharpe_ratio(*arguments))


# Combinatorial purged cross-validation


@pytest.mark.parametrize("purge", [0, 1, 3])
@pytest.mark.parametrize("embargo", [0, 2])
@pytest.mark.parametrize("folds", [(6, 2), (10, 3), (5, 4), (4, 3)])
def test_splits_are_skfolios(folds: tuple[int, int], purge: int, embargo: int) -> None:
    n = folds[0] * 12
    mine = cpcv_splits(n, n_folds=folds[0], n_test_folds=folds[1], purge=purge, embargo=embargo)
    theirs = CombinatorialPurgedCV(n_folds=folds[0], n_test_folds=folds[1], purged_size=purge, embargo_size=embargo)
    for (train, test), (their_train, their_tests) in zip(mine, theirs.split(np.zeros((n, 1))), strict=True):
        assert test.tolist() == np.concatenate(their_tests).tolist()
        assert train.tolist() == their_train.tolist()


def splits_by_set_logic(n: int, n_folds: int, n_test_folds: int, purge: int, embargo: int) -> list[tuple[list[int], list[int]]]:
    """The definition, observation by observation."""
    sizes = [n // n_folds + (i < n % n_folds) for i in range(n_folds)]
    fold_of = [fold for fold, size in enumerate(sizes) for _ in range(size)]
    splits = []
    for chosen in combinations(range(n_folds), n_test_folds):
        test = [i for i in range(n) if fold_of[i] in chosen]
        barred = {j for i in test for j in range(i - purge, i + purge + embargo + 1)}
        splits.append(([i for i in range(n) if i not in barred], test))
    return splits


@quick
@given(
    n_folds=st.integers(2, 8), spare=st.integers(0, 30), n_test_folds=st.integers(1, 3), purge=st.integers(0, 5), embargo=st.integers(0, 5)
)
def test_splits_follow_the_definition_for_uneven_folds_and_at_both_ends(
    n_folds: int, spare: int, n_test_folds: int, purge: int, embargo: int
) -> None:
    assume(n_test_folds < n_folds)
    n = n_folds + spare
    mine = cpcv_splits(n, n_folds=n_folds, n_test_folds=n_test_folds, purge=purge, embargo=embargo)
    expected = splits_by_set_logic(n, n_folds, n_test_folds, purge, embargo)
    assert [(train.tolist(), test.tolist()) for train, test in mine] == expected
    tested = np.bincount(np.concatenate([test for _, test in mine]), minlength=n)
    # Every observation is tested once per path, of which there are C(N, k) k / N.
    assert len(mine) == math.comb(n_folds, n_test_folds)
    assert (tested == math.comb(n_folds, n_test_folds) * n_test_folds // n_folds).all()


def test_the_first_folds_take_the_remainder_and_the_last_block_needs_no_embargo() -> None:
    splits = cpcv_splits(11, n_folds=3, n_test_folds=1, purge=1, embargo=2)
    assert [test.tolist() for _, test in splits] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert [train.tolist() for train, _ in splits] == [[7, 8, 9, 10], [0, 1, 2], [0, 1, 2, 3, 4, 5, 6]]


def test_a_purge_that_takes_everything_leaves_an_empty_training_set() -> None:
    train, test = cpcv_splits(6, n_folds=3, n_test_folds=1, purge=6)[1]
    assert len(train) == 0 and test.tolist() == [2, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 5, "n_folds": 6, "n_test_folds": 2},
        {"n": 10, "n_folds": 3, "n_test_folds": 3},
        {"n": 10, "n_folds": 3, "n_test_folds": 0},
        {"n": 0, "n_folds": 1, "n_test_folds": 1},
        {"n": 10, "n_folds": 3, "n_test_folds": 1, "purge": -1},
        {"n": 10, "n_folds": 3, "n_test_folds": 1, "embargo": -1},
    ],
)
def test_folds_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="test folds"):
        cpcv_splits(wrong.pop("n"), **wrong)


# Information coefficients

numbers = st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=50)


@quick
@given(signal=numbers, label=numbers)
def test_coefficients_are_scipys_ties_and_all(signal: list[float], label: list[float]) -> None:
    n = min(len(signal), len(label))
    first, second = np.array(signal[:n]), np.array(label[:n])
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert math.isnan(information_coefficient(first, second)) and math.isnan(rank_ic(first, second))
        return
    ic, rank = information_coefficient(first, second), rank_ic(first, second)
    assert ic == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-12)
    assert rank == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)
    assert -1.0 <= ic <= 1.0 and -1.0 <= rank <= 1.0
    assert information_coefficient(second, first) == pytest.approx(ic, abs=1e-15)
    assert information_coefficient(-first, second) == pytest.approx(-ic, abs=1e-15)


@quick
@given(seed=seeds, scale=st.sampled_from([1e-200, 1e-3, 7.0, 1e200]), shift=st.floats(-5, 5))
def test_a_monotone_change_of_the_signal_keeps_its_ranks_and_a_linear_one_its_correlation(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=30)
    label = 0.3 * signal + rng.normal(size=30)
    assert rank_ic(np.exp(signal), label**3) == pytest.approx(rank_ic(signal, label), abs=1e-15)
    assert information_coefficient(scale * (signal + shift), scale * label) == pytest.approx(
        information_coefficient(signal, label), abs=1e-9
    )


def test_pairs_with_a_gap_on_either_side_are_dropped_before_ranking() -> None:
    signal, label = [1.0, math.nan, 3.0, 2.0, 100.0, None], [0.1, 5.0, 0.2, 0.4, math.nan, 0.3]
    kept = [1.0, 3.0, 2.0], [0.1, 0.2, 0.4]
    for measure, theirs in ((information_coefficient, stats.pearsonr), (rank_ic, stats.spearmanr)):
        assert measure(signal, label) == pytest.approx(theirs(*kept).statistic)
        assert measure(pd.Series(signal, dtype=float), pd.Series(label)) == measure(signal, label)


@pytest.mark.parametrize(
    ("signal", "label"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([1.0, 2.0], [2.0, 1.0], id="two"),
        pytest.param([1.0, 2.0, math.nan], [2.0, 1.0, 3.0], id="two_after_the_gap"),
        pytest.param([1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, math.nan], id="constant_after_the_gap"),
        pytest.param([0.1] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], id="constant"),
        pytest.param([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], id="zero"),
        pytest.param([math.nan] * 4, [1.0, 2.0, 3.0, 4.0], id="nothing_known"),
    ],
)
def test_too_few_pairs_or_no_spread_have_no_coefficient(signal: list[float], label: list[float]) -> None:
    assert math.isnan(information_coefficient(signal, label)) and math.isnan(rank_ic(signal, label))
    assert math.isnan(information_coefficient(label, signal)) and math.isnan(rank_ic(label, signal))


def test_coefficients_refuse_infinity_and_series_that_cannot_be_paired() -> None:
    for measure in (information_coefficient, rank_ic):
        with pytest.raises(BadInput, match="infinite"):
            measure([1.0, math.inf, 2.0], [1.0, 2.0, 3.0])
        with pytest.raises(BadInput, match="same length"):
            measure([1.0, 2.0, 3.0], [1.0, 2.0])
        with pytest.raises(BadInput, match="label holds something that is no number"):
            measure([1.0, 2.0, 3.0], ["up", "up", "down"])
        with pytest.raises(BadInput, match="twice"):
            measure(pd.Series([1.0, 2.0, 3.0], index=["a", "a", "b"]), pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"]))


def test_two_series_are_paired_by_symbol() -> None:
    signal, label = pd.Series([3.0, 1.0, 2.0, 9.0], index=list("cabz")), pd.Series([10.0, 20.0, 35.0, 0.0], index=list("abcy"))
    assert information_coefficient(signal, label) == pytest.approx(stats.pearsonr([1, 2, 3], [10, 20, 35]).statistic)
    assert rank_ic(signal, label) == pytest.approx(1.0)
