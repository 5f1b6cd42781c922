"""Weights from the hierarchy of correlations, without inverting the covariance."""

from typing import Literal

import numpy as np
import pandas as pd

from risk.errors import BadInput, NotPSD, NotSolved
from risk.inputs import FloatArray, covariance_array
from risk.kernels import kernel

_BEYOND_ONE = 1e-6
_ROOMY = 1000


def hrp(cov: pd.DataFrame, *, correlation: pd.DataFrame | None = None, distance: Literal["paper", "correlation"] = "paper") -> pd.Series:
    """Hierarchical risk parity: long-only weights (n_assets,), sum 1, in the order of `cov`.

    1. Distances d_ij = sqrt((1 - rho_ij) / 2). "paper" clusters on the Euclidean distance between the columns of d, as the code in
       the paper does; "correlation" on d itself, as its text and most libraries do.
    2. Single linkage. Ties, and which of two joined clusters is on the left, fall as in scipy's `linkage` and `leaves_list`; the
       leaves are not reordered.
    3. The ordered leaves are cut in halves again and again, the first half the smaller one where they are odd. A half's variance is
       that of its inverse-variance portfolio, and its weight the other half's share of the two (one half each when both are zero).

    cov: (n_assets, n_assets), PSD, any unit: the weights do not depend on its scale. correlation: taken from `cov` unless given, on
    the same labels in any order. Rounding is forgiven up to |rho| = 1 + 1e-6, and counts as 1. The order of the assets matters
    in two places, as it does in scipy: of two single assets that are joined with each other the first is on the left, and among ties.
    Raises BadInput (NaN, labels that differ, an asset without variance, a correlation whose diagonal is not 1), NotPSD (also for a
    pair of assets whose |rho| is above 1), both with the assets' names, and NotSolved for weights that do not sum to 1.

    References: Lopez de Prado (2016), Building diversified portfolios that outperform out of sample, J. Portfolio Management 42.
    """
    values = covariance_array(cov)
    if distance not in ("paper", "correlation"):
        raise BadInput(f"distance is 'paper' or 'correlation', not {distance!r}")
    variance = np.diagonal(values)
    if (variance <= 0).any():
        raise BadInput(f"no variance at {[str(label) for label in cov.index[variance <= 0][:5]]}")
    rho = _correlations(values) if correlation is None else _given(correlation, cov.index)
    _require_correlations(rho, cov.index)
    weights = _weights(values, rho, distance)
    if not (np.isfinite(weights).all() and abs(float(weights.sum()) - 1.0) <= 1e-9):
        raise NotSolved(f"the bisection of {len(weights)} assets ended with weights that sum to {weights.sum():.6g}")
    return pd.Series(weights, index=cov.index)


def _weights(cov: FloatArray, rho: FloatArray, distance: str) -> FloatArray:
    loops = kernel("hrp")
    gaps = loops.correlation_distances(rho)
    visited, steps = loops.spanning_walk(loops.column_distances(gaps) if distance == "paper" else gaps)
    order = loops.leaves(visited, np.argsort(steps, kind="stable"))
    # By a power of two the largest variance comes near the end of floats, but for the room that sums need: no bit changes, and the
    # smallest has the whole range below it.
    scaled = cov * 2.0 ** min(_ROOMY - int(np.frexp(np.diagonal(cov).max())[1]), _ROOMY)
    if not np.diagonal(scaled).all():
        raise BadInput("the variances are too different in size: the ratio of the largest to the smallest is beyond floats")
    weights: FloatArray = loops.bisect(scaled, order)
    return weights


def _correlations(cov: FloatArray) -> FloatArray:
    """Correlations (n, n) of a covariance with positive variances of any size."""
    halved = np.frexp(np.diagonal(cov))[1] // 2
    mantissa = np.ldexp(np.diagonal(cov), -2 * halved)
    rho: FloatArray = kernel("hrp").correlations(cov, np.ldexp(1.0, -halved), mantissa)
    return rho


def _given(correlation: pd.DataFrame, labels: pd.Index) -> FloatArray:
    """The caller's correlations in the order of `labels`."""
    odd = sorted(map(str, correlation.index.symmetric_difference(labels)))[:5]
    if odd or not correlation.index.is_unique:
        raise BadInput(f"correlation does not carry the labels of the covariance, each once; differing: {odd}")
    if not correlation.columns.equals(correlation.index):
        raise BadInput("correlation: rows and columns must carry the same labels in the same order")
    rho = covariance_array(correlation.loc[labels, labels])
    off = np.abs(np.diagonal(rho) - 1.0) > _BEYOND_ONE
    if off.any():
        raise BadInput(f"correlation is not 1 with itself at {[str(label) for label in labels[off][:5]]}")
    return rho


def _require_correlations(rho: FloatArray, labels: pd.Index) -> None:
    worst = max(float(rho.max()), -float(rho.min()))
    if worst > 1.0 + _BEYOND_ONE:
        first, second = divmod(int(np.abs(rho).argmax()), len(rho))
        raise NotPSD(f"the correlation of {labels[first]} and {labels[second]} is {rho[first, second]:.6g}; see covariance.nearest_psd")
