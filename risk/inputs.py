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
_WORTH_REMEMBERING = 100
"""Assets from which factoring a matrix costs more than comparing it with the last ones."""

_proven: tuple[bytes, ...] = ()
_vouched: tuple[tuple[tuple[Any, ...], pd.DataFrame], ...] = ()


def covariance_array(cov: pd.DataFrame) -> FloatArray:
    """The values of a labelled covariance (n, n), checked: unique equal labels, finite, symmetric, positive semidefinite.

    Asymmetry and negative eigenvalues up to 1e-9 of the largest entry count as rounding; what comes back is exactly symmetric,
    in C order, and the caller's own. Raises BadInput, NotPSD, naming the assets.
    """
    return _own(covariance_view(cov))


def covariance_view(cov: pd.DataFrame) -> FloatArray:
    """As `covariance_array`, without the copy: perhaps the frame's own memory, to be read only."""
    if cov.shape[0] == 0 or not cov.index.equals(cov.columns) or not cov.index.is_unique:
        raise BadInput(f"covariance {cov.shape}: rows and columns must carry the same unique labels, and at least one")
    return _psd_view(numbers(cov, "covariance"), cov.index, "covariance")


def psd_array(values: FloatArray, labels: pd.Index | Sequence[str] | None = None, name: str = "covariance") -> FloatArray:
    """The symmetric part (n, n) of a finite matrix, the caller's own, in C order.

    Raises BadInput when it is not square, finite and symmetric, NotPSD when it is not positive semidefinite, either beyond 1e-9
    of its largest entry; the error names the labels, or positions without them.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.size == 0:
        raise BadInput(f"{name} of shape {values.shape} is not square")
    return _own(_psd_view(values, range(len(values)) if labels is None else labels, name))


def vouch_psd(cov: pd.DataFrame) -> None:
    """Note a covariance that is finite, exactly symmetric and PSD by construction, so that the steps of a chain need not factor it.

    Its memory must be known to nobody else. The shallow copy kept here makes pandas copy that memory before any later write to
    `cov`, so that as long as it is kept the same memory means the same numbers.
    """
    global _vouched
    # Replaced as a whole: a reader in another thread sees the old pair or the new one.
    if len(cov) >= _WORTH_REMEMBERING:
        _vouched = ((_place(cov.to_numpy()), cov.copy(deep=False)), *_vouched[:1])


def _is_proven_psd(values: FloatArray) -> bool:
    """Whether this is the memory of a covariance vouched for, or equals bit for bit one of the last that were factored."""
    if len(values) < _WORTH_REMEMBERING:
        return False
    place = _place(values)
    if any(place == known for known, _ in _vouched):
        return True
    data = (values if values.flags.c_contiguous else values.T).data
    # bytes.startswith compares with any buffer without copying it.
    return data.c_contiguous and any(len(known) == values.nbytes and known.startswith(data) for known in _proven)


def _remember_psd(symmetric: FloatArray) -> None:
    global _proven
    if len(symmetric) >= _WORTH_REMEMBERING:
        _proven = (symmetric.tobytes(), *_proven[:1])


def _place(values: FloatArray) -> tuple[Any, ...]:
    return values.ctypes.data, values.shape, values.strides


def _own(symmetric: FloatArray) -> FloatArray:
    """A writable copy in C order; of a symmetric matrix, rows are as good as columns."""
    return (symmetric if symmetric.flags.c_contiguous else symmetric.T).copy(order="C")


def _psd_view(values: FloatArray, labels: pd.Index | Sequence[Any], name: str) -> FloatArray:
    if _is_proven_psd(values):
        return values
    require_finite(values, labels, name)
    symmetric = _symmetric(values, labels, name)
    scale = float(np.abs(symmetric).max())
    if scale > 0:
        _require_psd(symmetric, scale, labels, name)
    _remember_psd(symmetric)
    return symmetric


def _symmetric(values: FloatArray, labels: pd.Index | Sequence[Any], name: str) -> FloatArray:
    """`values` itself when exactly symmetric, otherwise its symmetric part; all in units that cannot overflow."""
    if np.array_equal(values, values.T):
        return values
    scale = float(np.abs(values).max())
    unit = values / scale
    gaps = np.abs(unit - unit.T)
    if float(gaps.max()) > _tolerance(scale):
        row, column = divmod(int(gaps.argmax()), len(values))
        raise BadInput(f"{name} is not symmetric: {values[row, column]:.6g} and {values[column, row]:.6g} at {_name(labels, row, column)}")
    with np.errstate(over="ignore"):
        total = values + values.T
    return total / 2 if np.isfinite(total).all() else values / 2 + values.T / 2


def _require_psd(symmetric: FloatArray, scale: float, labels: pd.Index | Sequence[Any], name: str) -> None:
    """A matrix has no eigenvalue at or below -t exactly when the Cholesky factor of it plus t I exists."""
    lifted = symmetric / scale
    tolerance = _tolerance(scale)
    lifted.flat[:: len(lifted) + 1] += tolerance
    try:
        np.linalg.cholesky(lifted)
    except np.linalg.LinAlgError:
        eigenvalues, vectors = np.linalg.eigh(lifted)
        if eigenvalues[0] < 0:
            culprits = _name(labels, *np.argsort(-np.abs(vectors[:, 0]), kind="stable")[:3])
            smallest = (float(eigenvalues[0]) - tolerance) * scale
            text = f"{name} has the negative eigenvalue {smallest:.3g}, mostly of {culprits}; see covariance.nearest_psd"
            raise NotPSD(text) from None


def _tolerance(scale: float) -> float:
    """What counts as rounding, relative to the largest entry; below the normal floats, whose steps are coarse, relative to those."""
    return PSD_TOLERANCE * max(1.0, float(np.finfo(np.float64).tiny) / scale)


def _name(labels: pd.Index | Sequence[Any], *positions: int) -> str:
    return str([str(labels[i]) for i in dict.fromkeys(positions)])


def numbers(table: pd.DataFrame | pd.Series, name: str) -> FloatArray:
    """The values of a table as float64, not necessarily finite nor writable. Raises BadInput for what is no number."""
    try:
        return table.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds something that is no number: {error}") from error


def aligned(values: pd.Series, labels: pd.Index, name: str) -> FloatArray:
    """`values` in the order of `labels` (n,): the label sets must be equal, the numbers finite. Raises BadInput."""
    if values.index.equals(labels) and labels.is_unique:
        array = numbers(values, name)
        require_finite(array, labels, name)
        return array
    if len(values) != len(labels) or not values.index.is_unique or not labels.isin(values.index).all():
        odd = sorted(map(str, values.index.symmetric_difference(labels)))[:5]
        raise BadInput(f"{name} must carry the {len(labels)} labels that the rest has, each once; differing: {odd}")
    return aligned(values.reindex(labels), labels, name)


def returns_matrix(returns: pd.DataFrame, *, at_least: int = 1) -> FloatArray:
    """Returns (n_observations, n_assets) without NaN, unique columns, at least `at_least` rows. Raises BadInput."""
    if returns.shape[1] == 0 or not returns.columns.is_unique:
        raise BadInput("returns need at least one column, and unique ones")
    if len(returns) < at_least:
        raise BadInput(f"{len(returns)} observations, {at_least} needed")
    values = numbers(returns, "returns")
    require_finite(values, returns.columns, "returns")
    return values


def vector(values: npt.ArrayLike | pd.Series, name: str) -> FloatArray:
    """A one-dimensional finite array (n,) from a Series or any sequence of numbers. Raises BadInput on NaN or inf."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds something that is no number: {error}") from error
    if array.ndim != 1:
        raise BadInput(f"{name} must be one series, not of shape {array.shape}")
    sick = np.flatnonzero(~np.isfinite(array))
    if len(sick):
        where = values.index[sick[:5]] if isinstance(values, pd.Series) else sick[:5]
        raise BadInput(f"{name} holds {len(sick)} NaN or infinite values, at {[str(label) for label in where]}")
    return array


def vector_pair(first: Any, second: Any, names: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    """Two series of the same length; two pandas Series must also share their index. Raises BadInput."""
    if isinstance(first, pd.Series) and isinstance(second, pd.Series) and not first.index.equals(second.index):
        raise BadInput(f"{names[0]} and {names[1]} are indexed differently")
    left, right = vector(first, names[0]), vector(second, names[1])
    if len(left) != len(right):
        raise BadInput(f"{names[0]} has {len(left)} values, {names[1]} {len(right)}")
    return left, right


def require_finite(values: FloatArray, labels: pd.Index | Sequence[Any], name: str) -> None:
    """Raise BadInput with the labels (along the last axis) at which `values` are NaN or infinite."""
    finite = np.isfinite(values)
    if not finite.all():
        sick = np.flatnonzero(~finite.reshape(-1, len(labels)).all(axis=0))
        raise BadInput(f"{name} holds NaN or infinite values at {[str(labels[i]) for i in sick[:5]]}")


def require_confidence(alpha: float) -> float:
    """The tail probability 1 - alpha of a confidence level in (0, 1), free of binary rounding. Raises BadInput."""
    tail = round(1.0 - alpha, 15)
    if not 0.0 < tail < 1.0:
        raise BadInput(f"alpha is a confidence level between 0 and 1, not {alpha}")
    return tail


def require_non_negative(value: float, name: str) -> float:
    """`value`, finite and >= 0. Raises BadInput."""
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"{name} must be finite and not negative, not {value}")
    return value


def is_constant(values: FloatArray, sd: float) -> bool:
    """Whether a standard deviation is nothing but the rounding of equal values."""
    return sd <= CONSTANT_TOLERANCE * float(np.abs(values).max(initial=0.0))
