"""Hierarchical risk parity: scipy's tree, PyPortfolioOpt's weights, and refusals that name the assets."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypfopt import HRPOpt
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform

from risk.errors import BadInput, NotPSD
from risk.hrp import hrp
from risk.kernels import kernel

seeds = st.integers(0, 2**32 - 1)
distances = st.sampled_from(["paper", "correlation"])


def returns_of(seed: int, size: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(4 * size, 1)) * rng.uniform(0, 1, size)
    draws = (common + rng.normal(size=(4 * size, size))) * rng.uniform(0.05, 0.4, size)
    return pd.DataFrame(draws, columns=[f"a{i:02d}" for i in range(size)])


def textbook(cov: pd.DataFrame, distance: str) -> pd.Series:
    """The algorithm of the paper with scipy's tree and labels, in a few lines of pandas."""
    sd = np.sqrt(np.diag(cov))
    gaps = np.sqrt(np.clip((1 - cov / np.outer(sd, sd)) / 2, 0, 1)).to_numpy().copy()
    np.fill_diagonal(gaps, 0)
    order = leaves_list(linkage(pdist(gaps) if distance == "paper" else squareform(gaps, checks=False), "single"))
    weights = pd.Series(1.0, index=cov.index[order])

    def variance(names: pd.Index) -> float:
        inverse = 1 / np.diag(cov.loc[names, names])
        return float(inverse @ cov.loc[names, names] @ inverse / inverse.sum() ** 2)

    def split(names: pd.Index) -> None:
        if len(names) > 1:
            left, right = names[: len(names) // 2], names[len(names) // 2 :]
            share = variance(right) / (variance(left) + variance(right))
            weights[left] *= share
            weights[right] *= 1 - share
            split(left)
            split(right)

    split(weights.index)
    return weights[cov.index]


def leaf_order(gaps: np.ndarray) -> list[int]:
    visited, steps = kernel("hrp").spanning_walk(np.ascontiguousarray(gaps))
    return kernel("hrp").leaves(visited, np.argsort(steps, kind="stable")).tolist()


def symmetric(values: np.ndarray) -> np.ndarray:
    upper = np.triu(values.astype(np.float64), 1)
    return upper + upper.T


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 30))
def test_weights_are_those_of_pyportfolioopt(seed: int, size: int) -> None:
    returns = returns_of(seed, size)
    theirs = pd.Series(HRPOpt(returns=returns).optimize(linkage_method="single"))[returns.columns]
    pd.testing.assert_series_equal(hrp(returns.cov(), distance="correlation"), theirs, rtol=0, atol=1e-12, check_names=False)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 30), distance=distances)
def test_weights_are_those_of_the_textbook_with_scipy(seed: int, size: int, distance: str) -> None:
    cov = returns_of(seed, size).cov()
    pd.testing.assert_series_equal(hrp(cov, distance=distance), textbook(cov, distance), rtol=0, atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(seed=seeds, size=st.integers(2, 40), levels=st.integers(1, 6))
def test_the_leaves_are_in_the_order_of_scipy_also_where_distances_tie(seed: int, size: int, levels: int) -> None:
    gaps = symmetric(np.random.default_rng(seed).integers(0, levels, (size, size)) / 4)
    assert leaf_order(gaps) == leaves_list(linkage(squareform(gaps, checks=False), "single")).tolist()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(seed=seeds, size=st.integers(2, 40), side=st.integers(2, 4))
def test_ties_among_points_of_a_grid_fall_as_in_scipy(seed: int, size: int, side: int) -> None:
    condensed = pdist(np.random.default_rng(seed).integers(0, side, (size, 2)).astype(float))
    assert leaf_order(squareform(condensed)) == leaves_list(linkage(condensed, "single")).tolist()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, size=st.integers(2, 60), levels=st.sampled_from([2, 3, 10**6]))
def test_distances_between_columns_are_those_of_pdist_in_every_bit(seed: int, size: int, levels: int) -> None:
    gaps = symmetric(np.random.default_rng(seed).integers(0, levels, (size, size)) / levels)
    np.testing.assert_array_equal(kernel("hrp").column_distances(gaps), squareform(pdist(gaps)))


@pytest.mark.parametrize("distance", ["paper", "correlation"])
@pytest.mark.parametrize("size", [2, 3, 7, 12])
def test_equally_correlated_assets_tie_throughout_and_still_follow_scipy(size: int, distance: str) -> None:
    sd = np.arange(1, size + 1) / 10
    cov = pd.DataFrame((0.3 + 0.7 * np.eye(size)) * np.outer(sd, sd))
    pd.testing.assert_series_equal(hrp(cov, distance=distance), textbook(cov, distance), rtol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(1, 25), distance=distances, power=st.integers(-160, 160))
def test_weights_are_positive_sum_to_one_and_know_no_unit(seed: int, size: int, distance: str, power: int) -> None:
    cov = returns_of(seed, size).cov()
    weights = hrp(cov, distance=distance)
    assert (weights > 0).all() and weights.sum() == pytest.approx(1, abs=1e-12)
    pd.testing.assert_series_equal(hrp(cov * 4.0**power, distance=distance), weights, rtol=0, atol=0)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 25))
def test_the_order_of_the_assets_matters_only_between_the_two_of_a_first_join(seed: int, size: int) -> None:
    cov = returns_of(seed, size).cov()
    sd = np.sqrt(np.diag(cov))
    gaps = np.sqrt(np.clip((1 - cov / np.outer(sd, sd)) / 2, 0, 1)).to_numpy()
    tree = linkage(squareform(gaps, checks=False), "single")
    turned = np.random.default_rng(seed).permutation(size)
    for left, right in tree[(tree[:, :2] < size).all(axis=1), :2].astype(int):
        here, there = int(np.flatnonzero(turned == left)[0]), int(np.flatnonzero(turned == right)[0])
        if here > there:
            turned[[here, there]] = turned[[there, here]]
    again = hrp(cov.iloc[turned, turned], distance="correlation")
    pd.testing.assert_series_equal(again[cov.index], hrp(cov, distance="correlation"), rtol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 15), distance=distances)
def test_correlations_given_are_those_of_the_covariance_in_any_order(seed: int, size: int, distance: str) -> None:
    returns = returns_of(seed, size)
    given_rho = returns.corr().iloc[::-1, ::-1]
    pd.testing.assert_series_equal(hrp(returns.cov(), correlation=given_rho, distance=distance), hrp(returns.cov(), distance=distance))


def test_another_correlation_than_the_covariances_changes_the_tree_only() -> None:
    cov = pd.DataFrame(np.diag([1.0, 2.0, 3.0, 4.0]), index=list("abcd"), columns=list("abcd"))
    rho = pd.DataFrame(np.eye(4), index=list("abcd"), columns=list("abcd"))
    rho.loc["a", "d"] = rho.loc["d", "a"] = 0.9
    rho.loc["b", "c"] = rho.loc["c", "b"] = 0.8
    weights = hrp(cov, correlation=rho, distance="correlation")
    # The halves are {b, c} and {a, d}: inverse-variance portfolios of variance 6/5 and 4/5, whose weights are 2/5 and 3/5.
    assert weights.tolist() == pytest.approx([0.6 * 4 / 5, 0.4 * 3 / 5, 0.4 * 2 / 5, 0.6 * 1 / 5])


def test_one_asset_gets_everything_and_two_share_by_inverse_variance() -> None:
    assert hrp(pd.DataFrame([[7.0]], index=["x"], columns=["x"])).tolist() == [1.0]
    assert hrp(pd.DataFrame([[1.0, 0.5], [0.5, 4.0]])).tolist() == pytest.approx([0.8, 0.2])


def test_duplicates_and_perfect_hedges_have_weights() -> None:
    twins = pd.DataFrame([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    hedge = pd.DataFrame([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for cov in (twins, hedge):
        for distance in ("paper", "correlation"):
            weights = hrp(cov, distance=distance)
            assert weights.sum() == pytest.approx(1) and (weights >= 0).all()


def test_hedges_whose_variance_rounds_below_zero_keep_their_weights_positive() -> None:
    """One factor held long and short alike: the inverse-variance portfolio of a half can have a variance of -1e-17."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(30, 1)) * rng.choice([-1, 1], 16)
        weights = hrp(pd.DataFrame(rows.T @ rows / 30), distance="correlation")
        assert (weights >= 0).all() and weights.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("exponent", [-290, -150, 0, 150, 290])
def test_variances_of_very_unequal_size_neither_overflow_nor_vanish(exponent: int) -> None:
    sd = 10.0 ** np.array([exponent / 2, 0.0, 1.0])
    cov = pd.DataFrame((0.5 + 0.5 * np.eye(3)) * np.outer(sd, sd))
    weights = hrp(cov, distance="correlation")
    assert np.isfinite(weights).all() and weights.sum() == pytest.approx(1)
    assert weights.idxmax() == int(np.argmin(sd))


def test_refusals_name_the_assets() -> None:
    labels = ["x", "y", "z"]

    def frame(values: list[list[float]]) -> pd.DataFrame:
        return pd.DataFrame(values, index=labels, columns=labels)

    with pytest.raises(BadInput, match=r"variance at \['y'\]"):
        hrp(frame([[1, 0, 0], [0, 0, 0], [0, 0, 1]]))
    with pytest.raises(BadInput, match="'z'"):
        hrp(frame([[1, 0, 0], [0, 1, 0], [0, 0, np.nan]]))
    with pytest.raises(NotPSD, match="of x and y is 3"):
        hrp(frame([[1e-12, 3e-12, 0], [3e-12, 1e-12, 0], [0, 0, 1]]))
    with pytest.raises(BadInput, match="distance"):
        hrp(frame(np.eye(3).tolist()), distance="euclid")
    good = frame(np.eye(3).tolist())
    with pytest.raises(BadInput, match="not 1 with itself at \\['z'\\]"):
        hrp(good, correlation=frame([[1, 0, 0], [0, 1, 0], [0, 0, 2]]))
    with pytest.raises(BadInput, match="'q'"):
        hrp(good, correlation=good.rename(index={"z": "q"}, columns={"z": "q"}))
    with pytest.raises(BadInput, match="same labels in the same order"):
        hrp(good, correlation=good[["y", "x", "z"]])
    with pytest.raises(BadInput, match="each once"):
        hrp(good, correlation=frame([[1, 0, 0], [0, 1, 0], [0, 0, 1]]).rename(index={"z": "y"}, columns={"z": "y"}))


def test_rounding_beyond_one_counts_as_one() -> None:
    cov = pd.DataFrame([[1.0, 1.0 + 1e-10], [1.0 + 1e-10, 1.0]])
    assert hrp(cov, distance="correlation").tolist() == pytest.approx([0.5, 0.5])


def test_variances_from_one_end_of_floats_to_the_other_are_bisected_or_refused() -> None:
    names = ["a", "b", "c"]
    weights = hrp(pd.DataFrame(np.diag([1e-290, 1e-290, 1e300]), index=names, columns=names))
    assert weights.to_dict() == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.0})
    with pytest.raises(BadInput, match="different in size"):
        hrp(pd.DataFrame(np.diag([5e-324, 1.0, 1e308]), index=names, columns=names))


@pytest.mark.parametrize("exponent", [-1000, -500, 500, 1000])
def test_weights_are_the_same_in_every_bit_in_units_that_are_powers_of_two(exponent: int) -> None:
    cov = returns_of(3, 9).cov()
    pd.testing.assert_series_equal(hrp(np.ldexp(cov, exponent)), hrp(cov), check_exact=True)
