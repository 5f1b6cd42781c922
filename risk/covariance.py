"""How sleeves and assets move together: the shrunk annual covariance, those of training sets, and the repair of a broken one."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import BoolArray, FloatArray, IntArray, numbers, require_finite, require_non_negative, returns_matrix, vouch_psd
from risk.kernels import kernel

_SAFE = (1e-50, 1e50)
"""Values within these can be squared, added up, and squared again without leaving the range of floats."""
_MANY = 20_000
"""Returns, from which the compiled scatter is worth loading."""
_TOO_LARGE = "the covariance of returns so large"


def ledoit_wolf(returns: pd.DataFrame, *, periods_per_year: float = 252) -> pd.DataFrame:
    """Annual covariance (n_assets, n_assets), shrunk towards the mean variance times the identity.

    (1 - s) S + s tr(S)/n I, with S the sample covariance per period, centred, with ddof = 0 as in the paper; a single asset is
    not shrunk. returns: (n_observations >= 2, n_assets), simple, per period. Raises BadInput for NaN or infinite returns, by
    asset, for too few of them, and for returns so large that their covariance is not finite.

    References: Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, JMVA 88.
    """
    shrunk, _ = shrunk_covariance(returns_matrix(returns, at_least=2))
    with np.errstate(over="ignore"):
        shrunk *= require_non_negative(periods_per_year, "periods_per_year")
    # No entry of a covariance exceeds the largest on its diagonal.
    require_finite(np.diagonal(shrunk), returns.columns, _TOO_LARGE)
    cov = pd.DataFrame(shrunk, index=returns.columns, columns=returns.columns, copy=False)
    vouch_psd(cov)
    return cov


def shrunk_covariance(returns: FloatArray) -> tuple[FloatArray, float]:
    """Per-period covariance (n_assets, n_assets) of finite returns (n_observations, n_assets), and the shrinkage in [0, 1].

    Returns of any scale give the same shrinkage; a covariance beyond the range of floats is inf or 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scatter, squares = _scatter_and_squares(returns)
    if _SAFE[0] ** 2 <= float(np.diagonal(scatter).max()) <= _SAFE[1] ** 2:
        return _shrunk(scatter, squares)
    tame, exponent = _in_safe_range(returns)
    centred, further = _in_safe_range(tame - tame.mean(axis=0))
    shrunk, shrinkage = _shrunk(centred.T @ centred, _squared_norms(centred))
    with np.errstate(over="ignore"):
        return np.ldexp(shrunk, 2 * (exponent + further)), shrinkage


def _scatter_and_squares(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the centred returns, X'X (n_assets, n_assets) and the |x_t|^2 (n_observations,)."""
    mean = returns.mean(axis=0)
    if returns.size >= _MANY and kernel("scatter").is_worthwhile(*returns.shape):
        scatter, squares = kernel("scatter").centred_scatter(returns, mean)
        return scatter, squares
    centred = returns - mean
    return centred.T @ centred, _squared_norms(centred)


def _squared_norms(rows: FloatArray) -> FloatArray:
    squares: FloatArray = np.einsum("ij,ij->i", rows, rows)
    return squares


def _shrunk(scatter: FloatArray, squares: FloatArray) -> tuple[FloatArray, float]:
    """The estimate from the scatter of the centred returns, in its place, and their squared norms (n_observations,).

    The variance of the sample covariance's entries is the mean of |x_t x_t' - S|^2 = |x_t|^4 - |S|^2 over the observations, so
    that it needs the rows' norms alone.
    """
    n_observations, n_assets = len(squares), len(scatter)
    target = float(np.trace(scatter)) / n_assets / n_observations
    if n_assets == 1 or target == 0.0:
        scatter /= n_observations
        return scatter, 0.0
    squared_norm = float(np.einsum("ij,ij->", scatter, scatter)) / n_observations**2
    distance = (squared_norm - n_assets * target**2) / n_assets
    noise = (float(squares @ squares) / n_observations - squared_norm) / (n_assets * n_observations)
    noise = min(noise, distance)
    shrinkage = noise / distance if noise > 0 else 0.0
    scatter *= (1.0 - shrinkage) / n_observations
    scatter.flat[:: n_assets + 1] += shrinkage * target
    return scatter, shrinkage


def training_covariances(returns: pd.DataFrame, splits: Sequence[tuple[IntArray, IntArray]]) -> FloatArray:
    """Sample covariances (n_splits, n_assets, n_assets), ddof = 1, per period, of the training rows of each (train, test) split.

    returns: (n_observations, n_assets), simple, per period. Rows that all splits treat alike form a block, whose scatter is made
    once; a split adds up its blocks, each corrected for the distance between the block's mean and the split's. Splits need not
    be regular: any sets of rows come out as they would one by one. Raises BadInput for NaN or infinite returns, for no split, and
    for training rows that are fewer than two, repeated or not among the observations.

    References: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, The American Statistician 37.
    """
    values, exponent = _in_safe_range(returns_matrix(returns, at_least=2))
    member = _membership(splits, len(values))
    rows, blocks = _blocks(member)
    points = np.concatenate([values[rows], *(values[block].mean(axis=0, keepdims=True) for block in blocks)])
    sizes = np.array([1.0] * len(rows) + [float(len(block)) for block in blocks])
    chosen = member[:, [*rows, *(block[0] for block in blocks)]]
    covariances = _summed(chosen[:, len(rows) :], [_scatter(values[block]) for block in blocks], values.shape[1])
    for covariance, mine in zip(covariances, chosen, strict=True):
        size = sizes[mine].sum()
        away = points[mine] - sizes[mine] @ points[mine] / size
        away *= np.sqrt(sizes[mine])[:, None]
        covariance += away.T @ away
        covariance /= size - 1.0
    return _scaled(covariances, exponent, returns.columns)


def _membership(splits: Sequence[tuple[IntArray, IntArray]], n_observations: int) -> BoolArray:
    """Which observations each split trains on (n_splits, n_observations)."""
    if len(splits) == 0:
        raise BadInput("there is no split to train on")
    member = np.zeros((len(splits), n_observations), dtype=np.bool_)
    for number, (train, _) in enumerate(splits):
        positions = np.asarray(train)
        if positions.ndim != 1 or len(positions) < 2 or positions.dtype.kind not in "iu":
            raise BadInput(f"split {number}: the training set needs at least two positions, not {positions.dtype} {positions.shape}")
        if positions.min() < 0 or positions.max() >= n_observations:
            raise BadInput(f"split {number}: training positions {positions.min()}..{positions.max()} of {n_observations} observations")
        member[number, positions] = True
        if member[number].sum() < len(positions):
            raise BadInput(f"split {number}: the training set holds a position twice")
    return member


def _blocks(member: BoolArray) -> tuple[IntArray, list[IntArray]]:
    """The rows that stand alone, and the blocks of rows that all splits treat alike; rows of no split are in neither.

    At most as many blocks as splits, the largest, so that their scatters take no more memory than the result.
    """
    patterns: dict[bytes, list[int]] = {}
    for row, pattern in enumerate(np.packbits(member, axis=0).T):
        patterns.setdefault(pattern.tobytes(), []).append(row)
    groups = [np.array(rows, dtype=np.int64) for rows in patterns.values() if member[:, rows[0]].any()]
    groups.sort(key=len, reverse=True)
    blocks = [group for group in groups[: len(member)] if len(group) > 1]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *groups[len(blocks) :]])), blocks


def _scatter(rows: FloatArray) -> FloatArray:
    centred = rows - rows.mean(axis=0)
    scatter: FloatArray = centred.T @ centred
    return scatter


def _summed(chosen: BoolArray, scatters: list[FloatArray], n_assets: int) -> FloatArray:
    """The sum (n_splits, n_assets, n_assets) of the scatters that each split has chosen (n_splits, n_blocks)."""
    stacked = np.stack(scatters) if scatters else np.zeros((0, n_assets, n_assets))
    sums: FloatArray = chosen.astype(np.float64) @ stacked.reshape(len(scatters), n_assets**2)
    return sums.reshape(len(chosen), n_assets, n_assets)


def _in_safe_range(values: FloatArray) -> tuple[FloatArray, int]:
    """Values over a power of two, and its exponent: 0 unless squares of squares of the values would leave the range of floats."""
    largest = float(np.abs(values).max())
    if largest == 0.0 or _SAFE[0] <= largest <= _SAFE[1]:
        return values, 0
    exponent = math.frexp(largest)[1]
    return np.ldexp(values, -exponent), exponent


def _scaled(covariances: FloatArray, exponent: int, labels: pd.Index) -> FloatArray:
    """Covariances (..., n_assets, n_assets) of values that were divided by 2 ** exponent, in their true scale, and finite."""
    if exponent:
        with np.errstate(over="ignore"):
            covariances = np.ldexp(covariances, 2 * exponent)
        require_finite(np.diagonal(covariances, axis1=-2, axis2=-1), labels, _TOO_LARGE)
    return covariances


def nearest_psd(cov: pd.DataFrame) -> pd.DataFrame:
    """The positive semidefinite matrix nearest to `cov` in the Frobenius norm: its symmetric part without negative eigenvalues.

    Labels are kept; a symmetric matrix without a negative eigenvalue comes back unchanged, so that a second repair changes
    nothing. What is cut is set to n times the rounding of the largest eigenvalue rather than to 0, so that it stays PSD in
    floating point. Raises BadInput for what is not square or not finite, by label, for columns that are the rows in another order,
    and for a repair beyond the largest float.

    References: Higham (1988), Computing a nearest symmetric positive semidefinite matrix, Linear Algebra Appl. 103.
    """
    if cov.shape[0] != cov.shape[1] or cov.shape[0] == 0:
        raise BadInput(f"covariance of shape {cov.shape} is not square")
    if not cov.index.equals(cov.columns) and set(cov.index) == set(cov.columns):
        raise BadInput("covariance: rows and columns must carry their labels in the same order")
    values = numbers(cov, "covariance")
    require_finite(values, cov.columns, "covariance")
    symmetric = values if np.array_equal(values, values.T) else values / 2 + values.T / 2
    scale = float(np.abs(symmetric).max())
    if scale > 0:
        eigenvalues, vectors = np.linalg.eigh(symmetric / scale)
        if eigenvalues[0] < 0:
            symmetric = _clipped(eigenvalues, vectors, scale)
            require_finite(symmetric, cov.columns, "the repaired covariance")
    return pd.DataFrame(symmetric, index=cov.index, columns=cov.columns)


def _clipped(eigenvalues: FloatArray, vectors: FloatArray, scale: float) -> FloatArray:
    floor = 4 * len(eigenvalues) * np.finfo(np.float64).eps * max(float(eigenvalues[-1]), 0.0)
    half = vectors * np.sqrt(np.maximum(eigenvalues, floor))
    with np.errstate(over="ignore"):
        product: FloatArray = (half @ half.T) * scale
    return product
