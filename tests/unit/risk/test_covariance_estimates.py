"""Ledoit-Wolf and the covariances of training sets: second implementations, invariances and every scale of returns."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from risk.covariance import ledoit_wolf, shrunk_covariance, training_covariances
from risk.errors import BadInput
from risk.validation import cpcv_splits

seeds = st.integers(0, 2**32 - 1)


def market(seed: int, n_observations: int, n_assets: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(5, (n_observations, n_assets)) * rng.uniform(0.002, 0.03, n_assets) + rng.normal(0, 0.01, (n_observations, 1))
    return pd.DataFrame(values, columns=[f"a{i:03d}" for i in range(n_assets)])


def one_by_one(values: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The plain covariance of each training set, in extended precision where the machine has it."""
    wide = values.astype(np.longdouble)
    covariances = []
    for train, _ in splits:
        centred = wide[train] - wide[train].mean(axis=0)
        covariances.append(centred.T @ centred / (len(train) - 1))
    return np.array(covariances, dtype=np.float64)


def gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference, relative to the deviations of the two assets."""
    deviations = np.sqrt(np.diagonal(theirs, axis1=-2, axis2=-1))
    return float(np.abs((ours - theirs) / (deviations[..., :, None] * deviations[..., None, :])).max())


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, n_observations=st.integers(2, 90), n_assets=st.integers(1, 40))
def test_shrinkage_and_covariance_are_scikit_learns(seed: int, n_observations: int, n_assets: int) -> None:
    values = market(seed, n_observations, n_assets).to_numpy()
    peer = LedoitWolf().fit(values)
    shrunk, shrinkage = shrunk_covariance(values)
    assert shrinkage == pytest.approx(peer.shrinkage_, rel=1e-9, abs=1e-12)
    assert np.abs(shrunk - peer.covariance_).max() < 1e-12 * peer.covariance_.max()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, exponent=st.sampled_from([-300, -170, -160, -100, -60, 60, 100, 150]), n_assets=st.integers(1, 8))
def test_a_change_of_unit_changes_the_covariance_by_its_square_and_no_shrinkage(seed: int, exponent: int, n_assets: int) -> None:
    values, unit = market(seed, 40, n_assets).to_numpy(), 2.0 ** (exponent * 3.3219)
    shrunk, shrinkage = shrunk_covariance(values)
    scaled, same = shrunk_covariance(values * unit)
    assert same == pytest.approx(shrinkage, rel=1e-9, abs=1e-12)
    assert scaled == pytest.approx(shrunk * unit * unit, rel=1e-9, abs=1e-307)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, n_assets=st.integers(2, 10), level=st.floats(-1e3, 1e3))
def test_the_order_of_assets_and_a_constant_return_more_do_not_matter(seed: int, n_assets: int, level: float) -> None:
    returns = market(seed, 50, n_assets)
    cov, order = ledoit_wolf(returns), np.random.default_rng(seed).permutation(returns.columns)
    assert gap(ledoit_wolf(returns[order]).loc[cov.index, cov.index].to_numpy(), cov.to_numpy()) < 1e-12
    assert gap(ledoit_wolf(returns + level).to_numpy(), cov.to_numpy()) < 1e-8


def test_returns_that_never_move_have_a_covariance_of_zero() -> None:
    assert (ledoit_wolf(pd.DataFrame(np.full((10, 3), 0.5))) == 0).all(axis=None)
    assert (ledoit_wolf(pd.DataFrame(np.zeros((10, 3)))) == 0).all(axis=None)


@pytest.mark.parametrize("size", [1e160, 1e305, 1.7e308])
def test_returns_too_large_for_a_covariance_are_refused_by_name(size: float) -> None:
    returns = market(0, 10, 2)
    returns["a001"] = size * np.where(np.arange(10) % 2, 1.0, -1.0)
    with pytest.raises(BadInput, match=r"returns so large .* \['a001'\]|returns so large .*'a001'"):
        ledoit_wolf(returns)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    seed=seeds,
    n_assets=st.integers(1, 12),
    n_observations=st.integers(40, 120),
    n_folds=st.integers(3, 7),
    n_test=st.integers(1, 2),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 3),
)
def test_covariances_of_training_sets_are_those_of_their_rows(
    seed: int, n_assets: int, n_observations: int, n_folds: int, n_test: int, purge: int, embargo: int
) -> None:
    returns = market(seed, n_observations, n_assets)
    splits = [
        split
        for split in cpcv_splits(n_observations, n_folds=n_folds, n_test_folds=n_test, purge=purge, embargo=embargo)
        if len(split[0]) > 1
    ]
    found = training_covariances(returns, splits)
    assert found.shape == (len(splits), n_assets, n_assets)
    assert gap(found, one_by_one(returns.to_numpy(), splits)) < 1e-12


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, n_assets=st.integers(1, 8), n_splits=st.integers(1, 9))
def test_any_sets_of_rows_come_out_as_one_by_one(seed: int, n_assets: int, n_splits: int) -> None:
    rng = np.random.default_rng(seed)
    returns = market(seed, 60, n_assets)
    splits = [(rng.permutation(60)[: rng.integers(2, 61)], np.zeros(0, dtype=np.int64)) for _ in range(n_splits)]
    splits += splits[:1]
    assert gap(training_covariances(returns, splits), one_by_one(returns.to_numpy(), splits)) < 1e-12


def test_a_level_that_jumps_between_folds_costs_no_accuracy() -> None:
    values = np.random.default_rng(1).normal(size=(100, 3)) + 1e6 * (np.arange(100) >= 50)[:, None]
    splits = [(np.arange(50), np.arange(50, 100)), (np.arange(50, 100), np.arange(50)), (np.arange(25, 75), np.arange(25))]
    expected = one_by_one(values, splits)
    found = training_covariances(pd.DataFrame(values), splits)
    # A mean of numbers near a million is known to about 1e-10, whatever is done with it.
    assert np.abs(found / expected - 1).max() < 1e-8


@pytest.mark.parametrize("unit", [1e-300, 1e-120, 1e120])
def test_training_sets_of_every_unit_have_their_covariances(unit: float) -> None:
    returns, splits = market(2, 30, 3), cpcv_splits(30, n_folds=3, n_test_folds=1)
    found = training_covariances(returns * unit, splits)
    assert found == pytest.approx(training_covariances(returns, splits) * unit * unit, rel=1e-12, abs=0.0)


@pytest.mark.parametrize(
    ("train", "cause"),
    [
        ([3], "split 1: the training set needs at least two"),
        ([], "split 1: the training set needs at least two"),
        ([1, 1, 2], "split 1: the training set holds a position twice"),
        ([0, 30], "split 1: training positions 0..30 of 30"),
        ([-1, 3], "split 1: training positions -1..3 of 30"),
        ([0.0, 1.0], "split 1: .* float64"),
        ([True, False], "split 1: .* bool"),
    ],
)
def test_a_training_set_that_is_none_is_refused_by_its_number(train: list[int], cause: str) -> None:
    good = (np.arange(20), np.arange(20, 30))
    with pytest.raises(BadInput, match=cause):
        training_covariances(market(0, 30, 2), [good, (np.array(train), np.arange(2))])


def test_training_covariances_refuse_nan_by_asset_no_split_and_overflow() -> None:
    returns, splits = market(0, 30, 2), cpcv_splits(30, n_folds=3, n_test_folds=1)
    with pytest.raises(BadInput, match="no split"):
        training_covariances(returns, [])
    with pytest.raises(BadInput, match=r"returns so large .*a000"):
        training_covariances(returns * 1e200, splits)
    returns.iloc[4, 1] = np.nan
    with pytest.raises(BadInput, match="a001"):
        training_covariances(returns, splits)
