"""What passes as a covariance: every scale of number, the line between rounding and sickness, repair, and nothing remembered wrongly."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.covariance import ledoit_wolf, nearest_psd
from risk.errors import BadInput, NotPSD, RiskError
from risk.inputs import aligned, covariance_array, psd_array, vector

seeds = st.integers(0, 2**32 - 1)
exponents = st.sampled_from([-323, -310, -300, -160, -30, 0, 30, 160, 300, 307])


def frame(values: np.ndarray) -> pd.DataFrame:
    labels = [f"a{i:03d}" for i in range(len(values))]
    return pd.DataFrame(values, index=labels, columns=labels)


def with_spectrum(seed: int, eigenvalues: np.ndarray) -> np.ndarray:
    """A symmetric matrix with these eigenvalues and random eigenvectors, scaled to a largest entry of 1."""
    vectors, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues), len(eigenvalues))))
    matrix = (vectors * eigenvalues) @ vectors.T
    return (matrix + matrix.T) / 2 / np.abs(matrix).max()


def market(seed: int, n_assets: int, n_observations: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.01, (n_observations, n_assets)) + rng.normal(0, 0.01, (n_observations, 1))
    return pd.DataFrame(values, columns=[f"a{i:03d}" for i in range(n_assets)])


@settings(deadline=None, derandomize=True, max_examples=120)
@given(seed=seeds, size=st.integers(1, 12), rank=st.integers(0, 12), exponent=exponents)
def test_a_psd_matrix_passes_at_every_scale_and_rank(seed: int, size: int, rank: int, exponent: int) -> None:
    factors = np.random.default_rng(seed).uniform(-1, 1, (size, rank))
    matrix = factors @ factors.T
    matrix = (matrix + matrix.T) / 2 / max(np.abs(matrix).max(), 1.0) * float(f"1e{exponent}")
    found = covariance_array(frame(matrix))
    assert np.array_equal(found, matrix) and found.flags.c_contiguous and found.flags.writeable


@settings(deadline=None, derandomize=True, max_examples=80)
@given(seed=seeds, size=st.integers(2, 12), exponent=st.sampled_from([-290, -30, 0, 30, 300]), log_negative=st.floats(-12, 0))
def test_a_negative_eigenvalue_is_refused_where_it_is_more_than_rounding(seed: int, size: int, exponent: int, log_negative: float) -> None:
    eigenvalues = np.random.default_rng(seed).uniform(0.1, 1.0, size)
    eigenvalues[0] = -(10.0**log_negative)
    matrix = with_spectrum(seed, eigenvalues)
    smallest = np.linalg.eigvalsh(matrix)[0]
    if smallest < -1.01e-9:
        with pytest.raises(NotPSD, match="negative eigenvalue"):
            covariance_array(frame(matrix * float(f"1e{exponent}")))
    elif smallest > -0.99e-9:
        covariance_array(frame(matrix * float(f"1e{exponent}")))


def test_the_error_names_the_assets_behind_the_negative_eigenvalue() -> None:
    matrix = np.eye(5)
    matrix[1, 3] = matrix[3, 1] = 2.0
    with pytest.raises(NotPSD, match=r"eigenvalue -1, mostly of \['a001', 'a003'"):
        covariance_array(frame(matrix))
    with pytest.raises(NotPSD, match=r"omega has the negative eigenvalue -2, mostly of \['1'"):
        psd_array(np.diag([1.0, -2.0]), name="omega")


def test_asymmetry_is_averaged_when_it_is_rounding_and_named_when_it_is_not() -> None:
    matrix = np.array([[1.0, 0.5], [0.5 + 1e-12, 1.0]])
    found = covariance_array(frame(matrix))
    assert found[0, 1] == found[1, 0] == pytest.approx(0.5 + 5e-13, abs=1e-16)
    for scale in (1e-300, 1.0, 1.7e308):
        with pytest.raises(BadInput, match=r"not symmetric: .* at \['a000', 'a001'\]"):
            covariance_array(frame(np.array([[1.0, 0.5], [0.4, 1.0]]) * scale))


def test_rounding_asymmetry_of_the_largest_numbers_does_not_overflow() -> None:
    found = covariance_array(frame(np.array([[1.0, 0.9], [0.9 + 1e-12, 1.0]]) * 1.7e308))
    assert np.isfinite(found).all() and found[0, 1] == found[1, 0]


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([[np.nan, 0.0], [0.0, 1.0]], "a000"),
        ([[1.0, 0.0], [0.0, np.inf]], "a001"),
        ([["x", 0.0], [0.0, 1.0]], "no number"),
        ([[0.0, 1e-300], [1e-300, 0.0]], "negative eigenvalue"),
    ],
)
def test_what_is_no_covariance_is_told_with_its_cause(values: list[list[object]], cause: str) -> None:
    with pytest.raises(RiskError, match=cause):
        covariance_array(pd.DataFrame(values, index=["a000", "a001"], columns=["a000", "a001"]))


def test_labels_must_be_unique_equal_and_square() -> None:
    for sick in (
        pd.DataFrame(np.eye(2), index=["x", "y"], columns=["y", "x"]),
        pd.DataFrame(np.eye(2), index=["x", "x"], columns=["x", "x"]),
        pd.DataFrame(np.ones((2, 1)), index=["x", "y"], columns=["x"]),
        pd.DataFrame(),
    ):
        with pytest.raises(BadInput, match="labels"):
            covariance_array(sick)
    for shape in ((2, 3), (0, 0), (4,)):
        with pytest.raises(BadInput, match="not square"):
            psd_array(np.zeros(shape))


SPOIL: dict[str, Callable[[pd.DataFrame], object]] = {
    "one entry": lambda cov: cov.iloc.__setitem__((0, 1), np.nan),
    "a column": lambda cov: cov.__setitem__("a003", -1.0),
    "a scalar": lambda cov: cov.loc.__setitem__(("a004", "a004"), -1.0),
    "in place": lambda cov: cov.clip(0.0, cov.iloc[0, 1], inplace=True),
    "the rest": lambda cov: cov.update(cov - 1.0),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_a_covariance_that_passed_is_looked_at_again_once_it_has_changed(spoil: Callable[[pd.DataFrame], object]) -> None:
    made = ledoit_wolf(market(1, 120))
    checked = pd.DataFrame(made.to_numpy(copy=True), index=made.index, columns=made.columns)
    for cov in (made, checked):
        assert np.array_equal(covariance_array(cov), cov)
        spoil(cov)
        with pytest.raises(RiskError):
            covariance_array(cov)


def test_what_a_check_returns_can_be_written_without_touching_the_covariance_or_the_next_answer() -> None:
    cov = ledoit_wolf(market(2, 120))
    before = cov.to_numpy(copy=True)
    for _ in range(2):
        found = covariance_array(cov)
        assert np.array_equal(found, before)
        found[:] = -1.0
    assert np.array_equal(cov, before)


def test_a_large_sick_matrix_is_refused_every_time() -> None:
    sick = frame(with_spectrum(3, np.r_[-1e-6, np.ones(149)]))
    for _ in range(2):
        with pytest.raises(NotPSD):
            covariance_array(sick)
    assert covariance_array(nearest_psd(sick)).shape == (150, 150)


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    seed=seeds,
    size=st.integers(1, 12),
    exponent=st.sampled_from([-290, -30, 0, 30, 290]),
    shift=st.sampled_from([-1e9, -2.0, -0.5, 0.0, 0.5]),
)
def test_a_repaired_matrix_passes_is_symmetric_and_is_not_repaired_again(seed: int, size: int, exponent: int, shift: float) -> None:
    sick = np.random.default_rng(seed).normal(size=(size, size)) + shift * np.eye(size)
    repaired = nearest_psd(frame(sick * float(f"1e{exponent}")))
    assert np.array_equal(repaired, repaired.T)
    assert np.linalg.eigvalsh(repaired).min() >= 0
    covariance_array(repaired)
    pd.testing.assert_frame_equal(nearest_psd(repaired), repaired, check_exact=True)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, size=st.integers(2, 10))
def test_the_repair_cuts_the_negative_eigenvalues_and_is_as_far_away_as_they_are_large(seed: int, size: int) -> None:
    eigenvalues = np.random.default_rng(seed).normal(size=size)
    sick = with_spectrum(seed, eigenvalues)
    spectrum = np.linalg.eigvalsh(sick)
    repaired = nearest_psd(frame(sick))
    assert np.linalg.eigvalsh(repaired) == pytest.approx(np.maximum(spectrum, 0.0), abs=1e-12)
    assert np.linalg.norm(repaired - sick) == pytest.approx(np.linalg.norm(np.minimum(spectrum, 0.0)), abs=1e-12)


def test_nothing_positive_repairs_to_zero_and_no_number_beyond_the_largest_is_returned() -> None:
    assert (nearest_psd(frame(-np.eye(3))) == 0).all(axis=None)
    with pytest.raises(BadInput, match="repaired covariance"):
        nearest_psd(frame((2 * np.eye(3) - 1) * 1.79e308))
    with pytest.raises(BadInput, match="not square"):
        nearest_psd(pd.DataFrame(np.ones((2, 3))))
    with pytest.raises(BadInput, match="a001"):
        nearest_psd(frame(np.array([[1.0, np.nan], [0.0, 1.0]])))


def test_values_by_label_come_in_the_order_asked_for_or_not_at_all() -> None:
    labels = pd.Index(["x", "y"])
    assert aligned(pd.Series({"y": 2.0, "x": 1.0}), labels, "weights").tolist() == [1.0, 2.0]
    with pytest.raises(BadInput, match=r"weights must carry .* differing: \['z'\]"):
        aligned(pd.Series({"y": 2.0, "x": 1.0, "z": 3.0}), labels, "weights")
    with pytest.raises(BadInput, match=r"weights holds NaN or infinite values at \['y'\]"):
        aligned(pd.Series({"y": np.nan, "x": 1.0}), labels, "weights")
    with pytest.raises(BadInput, match=r"weights holds 1 NaN or infinite values, at \['y'\]"):
        vector(pd.Series({"y": np.nan, "x": 1.0}), "weights")
    with pytest.raises(BadInput, match="no number"):
        vector(["one"], "weights")


def test_a_covariance_whose_columns_stand_in_another_order_is_not_repaired_into_another_one() -> None:
    with pytest.raises(BadInput, match="same order"):
        nearest_psd(frame(with_spectrum(1, np.array([1.0, 2.0, 3.0]))).iloc[:, ::-1])
