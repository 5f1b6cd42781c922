"""How sleeves and assets move together: the shrunk annual covariance and the repair of a broken one."""

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, require_finite, returns_matrix


def ledoit_wolf(returns: pd.DataFrame, *, periods_per_year: float = 252) -> pd.DataFrame:
    """Annual covariance (n_assets, n_assets), shrunk towards the mean variance times the identity.

    returns: (n_observations >= 2, n_assets), simple, per period; NaN raises BadInput. The sample covariance is centred with
    ddof = 0 as in the paper; a single asset is not shrunk.

    References: Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, JMVA 88.
    """
    shrunk, _ = shrunk_covariance(returns_matrix(returns, at_least=2))
    return pd.DataFrame(shrunk * periods_per_year, index=returns.columns, columns=returns.columns)


def shrunk_covariance(returns: FloatArray) -> tuple[FloatArray, float]:
    """Per-period covariance (n_assets, n_assets) of finite returns (n_observations, n_assets), and the shrinkage in [0, 1]."""
    n_observations, n_assets = returns.shape
    centred = returns - returns.mean(axis=0)
    sample: FloatArray = centred.T @ centred / n_observations
    target = float(np.trace(sample)) / n_assets
    if n_assets == 1:
        return sample, 0.0
    squared_norm = float(np.einsum("ij,ij->", sample, sample))
    distance = (squared_norm - n_assets * target**2) / n_assets
    row_norms = np.einsum("ij,ij->i", centred, centred)
    noise = (float(row_norms @ row_norms) / n_observations - squared_norm) / (n_assets * n_observations)
    noise = min(noise, distance)
    shrinkage = noise / distance if noise > 0 else 0.0
    shrunk: FloatArray = (1.0 - shrinkage) * sample
    shrunk.flat[:: n_assets + 1] += shrinkage * target
    return shrunk, shrinkage


def nearest_psd(cov: pd.DataFrame) -> pd.DataFrame:
    """The positive semidefinite matrix nearest to `cov` in the Frobenius norm: its symmetric part without negative eigenvalues.

    Labels are kept; a matrix that is already PSD comes back unchanged. NaN raises BadInput.

    References: Higham (1988), Computing a nearest symmetric positive semidefinite matrix, Linear Algebra Appl. 103.
    """
    values = cov.to_numpy(dtype=np.float64)
    if values.shape[0] != values.shape[1] or values.size == 0:
        raise BadInput(f"covariance of shape {values.shape} is not square")
    require_finite(values, cov.columns, "covariance")
    symmetric = (values + values.T) / 2
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    if eigenvalues[0] < 0:
        floor = len(values) * np.finfo(np.float64).eps * max(float(eigenvalues[-1]), 0.0)
        symmetric = (vectors * np.maximum(eigenvalues, floor)) @ vectors.T
        symmetric = (symmetric + symmetric.T) / 2
    return pd.DataFrame(symmetric, index=cov.index, columns=cov.columns)
