"""Drift: which numbers are inputs, what raises an alarm, and that the accidents of a sample raise none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.watch.drifting import compared
from daemon.watch.inputs import MOST_CURRENT, MOST_REFERENCE, Samples, numeric_fields, sampled
from scrapers import DATASETS

RNG = np.random.default_rng


def drift(reference, current, *, fewest=100):
    samples = Samples(reference=np.asarray(reference, float), current=np.asarray(current, float))
    return compared(samples, strategy="s", subject="input", name="d.x", fewest=fewest)


@pytest.mark.parametrize(
    ("dataset", "inputs"),
    [
        ("congress_trades", ("amount_low_usd", "amount_high_usd")),
        ("vix", ("open", "high", "low", "close")),
        ("wiki_pageviews", ("views",)),
        ("insider_trades", ("shares", "price_usd", "shares_after")),
        ("lobbying", ("amount_usd",)),
        ("gov_contracts", ("amount_usd",)),
        ("fundamentals", ("value",)),
        ("constituents", ()),
        ("index_membership", ()),
        ("assets", ()),
    ],
)
def test_inputs_are_the_numbers_of_a_row_and_neither_its_key_nor_its_calendar(dataset, inputs):
    assert numeric_fields(DATASETS[dataset].row, DATASETS[dataset].key) == inputs


def test_every_input_of_every_dataset_is_a_number_in_its_annotation():
    for dataset in DATASETS.values():
        annotations = {name: str(kind) for name, kind in dataset.row.__annotations__.items()}
        for name in numeric_fields(dataset.row, dataset.key):
            assert ("float" in annotations[name] or "int" in annotations[name]) and "bool" not in annotations[name]


def test_a_shifted_input_raises_an_alarm_that_names_both_reasons():
    found = drift(RNG(1).lognormal(9, 1, 1000), RNG(2).lognormal(10.5, 1, 300))
    assert found.alarm and found.psi > 1.0 and found.ks_p < 1e-20
    assert "is over 0.25 and KS rejects" in found.reason


def test_too_few_values_have_figures_and_no_alarm_and_say_so():
    found = drift(RNG(1).normal(0, 1, 1000), RNG(2).normal(5, 1, 99))
    assert not found.alarm and found.psi > 1.0
    assert found.reason == "too few values: 99 against 1000, 100 against 100 needed"
    assert drift(RNG(1).normal(0, 1, 1000), RNG(2).normal(5, 1, 100)).alarm
    assert not drift(RNG(1).normal(0, 1, 99), RNG(2).normal(5, 1, 1000)).alarm


def test_the_index_of_forty_unchanged_returns_is_not_made_large_by_a_bin_that_is_empty_by_accident():
    """Of ten bins one would be empty in every seventh sample (10 x 0.9^40), which alone adds 0.69."""
    found = [drift(RNG([1, i]).normal(0, 1, 252), RNG([2, i]).normal(0, 1, 40), fewest=40) for i in range(200)]
    assert not any(d.alarm for d in found)
    assert sum(d.psi > 0.6 for d in found) == 0


def test_an_input_that_is_silent_now_has_no_figures():
    found = drift(RNG(1).normal(0, 1, 1000), [])
    assert (found.psi, found.ks_p, found.alarm, found.n_current) == (None, None, False, 0)


def test_amounts_in_a_few_ranges_with_most_in_one_raise_no_alarm_while_the_ranges_keep_their_shares():
    ranges, shares = np.array([1_001.0, 15_001.0, 50_001.0, 100_001.0]), [0.7, 0.2, 0.08, 0.02]
    alarms = [drift(RNG(i).choice(ranges, 600, p=shares), RNG(10_000 + i).choice(ranges, 150, p=shares)).alarm for i in range(300)]
    assert not any(alarms)
    assert drift(RNG(1).choice(ranges, 600, p=shares), RNG(2).choice(ranges, 150, p=shares[::-1])).alarm


def test_a_hundred_thousand_zeros_beside_few_numbers_are_compared_without_an_alarm():
    zeros = np.zeros(900)
    assert not drift(np.r_[zeros, RNG(1).normal(0, 1, 100)], np.r_[zeros[:180], RNG(2).normal(0, 1, 20)]).alarm


@pytest.mark.parametrize("size", [100, 250, 1000])
def test_of_seven_hundred_unchanged_skewed_inputs_at_most_two_raise_an_alarm(size):
    """Both conditions together are rarer than KS alone, which is wrong once in a thousand."""
    alarms = sum(drift(RNG([1, i]).pareto(1.2, 1000), RNG([2, i]).pareto(1.2, size)).alarm for i in range(700))
    assert alarms <= 2


def test_real_returns_of_shuffled_sessions_raise_no_alarm(shared_data: Path):
    """The S&P 500's sessions in random order: what is left is the accident of which sixty come last."""
    bars = pd.read_parquet(shared_data / "data/prices/sp500_daily_2013_2021q1.parquet", columns=["ticker", "date", "adj_close"])
    prices = bars.pivot(index="date", columns="ticker", values="adj_close").astype(float)
    returns = prices.pct_change(fill_method=None).to_numpy()[1:]
    rng, alarms = RNG(0), 0
    for _ in range(60):
        end = int(rng.integers(312, len(returns)))
        window = returns[end - 312 : end][rng.permutation(312)]
        samples = sampled(window[:-60].ravel(), window[-60:].ravel())
        alarms += compared(samples, strategy="s", subject="input", name="r", fewest=100).alarm
    assert alarms == 0


def test_the_spring_of_2020_raises_an_alarm_on_real_returns(shared_data: Path):
    bars = pd.read_parquet(shared_data / "data/prices/sp500_daily_2013_2021q1.parquet", columns=["ticker", "date", "adj_close"])
    prices = bars.pivot(index="date", columns="ticker", values="adj_close").astype(float)
    window = prices.pct_change(fill_method=None).loc[:"2020-04-15"].to_numpy()[-312:]
    samples = sampled(window[:-60].ravel(), window[-60:].ravel())
    assert compared(samples, strategy="s", subject="input", name="r", fewest=100).alarm


def test_large_samples_are_thinned_the_same_way_every_time_and_keep_their_distribution():
    values = np.arange(50_000.0)
    first, again = sampled(values, values), sampled(values, values)
    assert (len(first.reference), len(first.current)) == (MOST_REFERENCE, MOST_CURRENT)
    assert np.array_equal(first.reference, again.reference) and np.array_equal(first.current, again.current)
    assert first.reference.mean() == pytest.approx(25_000, rel=0.05)


def test_what_is_missing_or_infinite_is_no_value():
    found = sampled(np.array([1.0, np.nan, np.inf, 2.0]), np.array([np.nan]))
    assert found.reference.tolist() == [1.0, 2.0] and len(found.current) == 0
