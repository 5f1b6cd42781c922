"""Checks at the border of the mathematics: labelled values in, finite float64 arrays out, or an error that names the culprit."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput, NotPSD

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
PSD_TOLERANCE = 1e-9
CONSTANT_TOLERANCE = 1e-12


def covariance_array(cov: pd.DataFrame) -> FloatArray:
    """The values of a labelled covariance (n, n), checked: unique equal labels, finite, symmetric, positive semidefinite.

    Asymmetry and negative eigenvalues up to 1e-9 of the largest eigenvalue count as rounding. Raises BadInput, NotPSD.
    """
    if cov.shape[0] == 0 or not cov.index.equals(cov.columns) or not cov.index.is_unique:
        raise BadInput(f"covariance {cov.shape}: rows and columns must carry the same unique labels, and at least one")
    values = cov.to_numpy(dtype=np.float64)
    require_finite(values, cov.columns, "covariance")
    return psd_array(values)


def psd_array(values: FloatArray) -> FloatArray:
    """The symmetric part of a finite (n, n) matrix; raises NotPSD when it is neither symmetric nor PSD beyond rounding."""
    scale = float(np.abs(values).max())
    if float(np.abs(values - values.T).max()) > PSD_TOLERANCE * scale:
        raise BadInput("covariance is not symmetric")
    symmetric: FloatArray = (values + values.T) / 2
    smallest = float(np.linalg.eigvalsh(symmetric)[0])
    if smallest < -PSD_TOLERANCE * max(scale, np.finfo(np.float64).tiny):
        raise NotPSD(f"covariance has the negative eigenvalue {smallest:.3g}; see covariance.nearest_psd")
    return symmetric


def aligned(values: pd.Series, labels: pd.Index, name: str) -> FloatArray:
    """`values` in the order of `labels` (n,): the label sets must be equal, the numbers finite. Raises BadInput."""
    if len(values) != len(labels) or not values.index.is_unique or not labels.isin(values.index).all():
        odd = sorted(map(str, values.index.symmetric_difference(labels)))[:5]
        raise BadInput(f"{name} does not carry the labels of the covariance, each once; differing: {odd}")
    array = values.reindex(labels).to_numpy(dtype=np.float64)
    require_finite(array, labels, name)
    return array


def returns_matrix(returns: pd.DataFrame, *, at_least: int = 1) -> FloatArray:
    """Returns (n_observations, n_assets) without NaN, unique columns, at least `at_least` rows. Raises BadInput."""
    if returns.shape[1] == 0 or not returns.columns.is_unique:
        raise BadInput("returns need at least one column, and unique ones")
    if len(returns) < at_least:
        raise BadInput(f"{len(returns)} observations, {at_least} needed")
    values = returns.to_numpy(dtype=np.float64)
    require_finite(values, returns.columns, "returns")
    return values


def vector(values: npt.ArrayLike | pd.Series, name: str) -> FloatArray:
    """A one-dimensional finite array (n,) from a Series or any sequence of numbers. Raises BadInput on NaN or inf."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise BadInput(f"{name} must be one series, not of shape {array.shape}")
    if not np.isfinite(array).all():
        raise BadInput(f"{name} holds {int((~np.isfinite(array)).sum())} NaN or infinite values")
    return array


def vector_pair(first: Any, second: Any, names: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    """Two series of the same length; two pandas Series must also share their index. Raises BadInput."""
    if isinstance(first, pd.Series) and isinstance(second, pd.Series) and not first.index.equals(second.index):
        raise BadInput(f"{names[0]} and {names[1]} are indexed differently")
    left, right = vector(first, names[0]), vector(second, names[1])
    if len(left) != len(right):
        raise BadInput(f"{names[0]} has {len(left)} values, {names[1]} {len(right)}")
    return left, right


def require_finite(values: FloatArray, labels: pd.Index | Sequence[str], name: str) -> None:
    """Raise BadInput with the labels (along the last axis) at which `values` are NaN or infinite."""
    finite = np.isfinite(values)
    if not finite.all():
        sick = np.flatnonzero(~finite.reshape(-1, len(labels)).all(axis=0))
        raise BadInput(f"{name} holds NaN or infinite values at {[str(labels[i]) for i in sick[:5]]}")


def require_confidence(alpha: float) -> float:
    """The tail probability 1 - alpha of a confidence level in (0, 1), free of binary rounding. Raises BadInput."""
    if not 0.0 < alpha < 1.0:
        raise BadInput(f"alpha is a confidence level between 0 and 1, not {alpha}")
    return round(1.0 - alpha, 12)


def require_non_negative(value: float, name: str) -> float:
    """`value`, finite and >= 0. Raises BadInput."""
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"{name} must be finite and not negative, not {value}")
    return value


def is_constant(values: FloatArray, sd: float) -> bool:
    """Whether a standard deviation is nothing but the rounding of equal values."""
    return sd <= CONSTANT_TOLERANCE * float(np.abs(values).max(initial=0.0))
