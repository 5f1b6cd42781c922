"""Weights from the hierarchy of correlations, without inverting the covariance."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform

from risk.errors import BadInput
from risk.inputs import FloatArray, covariance_array


def hrp(cov: pd.DataFrame, *, correlation: pd.DataFrame | None = None, distance: Literal["paper", "correlation"] = "paper") -> pd.Series:
    """Hierarchical risk parity: long-only weights (n_assets,), sum 1.

    Single linkage on d = sqrt((1 - rho) / 2), then recursive bisection of the leaves in halves by inverse-variance clusters.
    distance "paper": the Euclidean distance between columns of d, as the paper's code has it; "correlation": d itself.
    correlation: taken from `cov` unless given, on the same labels. Raises BadInput for an asset without variance, NotPSD.

    References: Lopez de Prado (2016), Building diversified portfolios that outperform out of sample, J. Portfolio Management 42.
    """
    values = covariance_array(cov)
    variance = np.diagonal(values)
    if (variance <= 0).any():
        raise BadInput(f"no variance at {[str(label) for label in cov.index[variance <= 0][:5]]}")
    if distance not in ("paper", "correlation"):
        raise BadInput(f"distance is 'paper' or 'correlation', not {distance!r}")
    rho = values / np.sqrt(np.outer(variance, variance)) if correlation is None else _correlation(correlation, cov.index)
    if len(values) == 1:
        return pd.Series([1.0], index=cov.index)
    return pd.Series(_bisect(values, _leaf_order(rho, distance)), index=cov.index)


def _correlation(correlation: pd.DataFrame, labels: pd.Index) -> FloatArray:
    if not correlation.index.is_unique or set(correlation.index) != set(labels):
        raise BadInput("correlation does not carry the labels of the covariance")
    return covariance_array(correlation.loc[labels, labels])


def _leaf_order(rho: FloatArray, distance: str) -> list[int]:
    """The assets in the order of the tree's leaves."""
    gaps = np.sqrt(np.clip((1.0 - rho) / 2.0, 0.0, 1.0))
    np.fill_diagonal(gaps, 0.0)
    condensed = pdist(gaps) if distance == "paper" else squareform(gaps, checks=False)
    return [int(leaf) for leaf in leaves_list(linkage(condensed, method="single"))]


def _bisect(cov: FloatArray, order: list[int]) -> FloatArray:
    """Split the ordered assets in halves, each half getting the other's share of the two cluster variances."""
    weights = np.ones(len(cov))
    pending = [order]
    while pending:
        cluster = pending.pop()
        if len(cluster) == 1:
            continue
        left, right = cluster[: len(cluster) // 2], cluster[len(cluster) // 2 :]
        left_variance, right_variance = _cluster_variance(cov, left), _cluster_variance(cov, right)
        total = left_variance + right_variance
        share = 0.5 if total <= 0 else right_variance / total
        weights[left] *= share
        weights[right] *= 1.0 - share
        pending += [left, right]
    return weights


def _cluster_variance(cov: FloatArray, members: list[int]) -> float:
    block = cov[np.ix_(members, members)]
    inverse = 1.0 / np.diagonal(block)
    weights = inverse / inverse.sum()
    return float(weights @ block @ weights)
