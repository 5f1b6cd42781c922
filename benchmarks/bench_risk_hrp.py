"""HRP of 500 assets from the same covariance, allocd beside PyPortfolioOpt.

    .venv-peers/bin/python -m benchmarks.bench_risk_hrp

PyPortfolioOpt gets the returns, from which it computes this very covariance and its correlations in a few of its milliseconds:
given a covariance alone it rounds the correlations to six decimals. Every call of ours sees another matrix than the three before
it, so that nothing remembered of one helps. The distances of the paper, which PyPortfolioOpt does not have, are beside scipy's.
"""

from itertools import cycle

import numpy as np
import pandas as pd
from pypfopt import HRPOpt
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from benchmarks.market import factor_returns
from benchmarks.side_by_side import compare, report
from risk.hrp import hrp
from risk.kernels import kernel


def peer(returns: pd.DataFrame) -> pd.Series:
    return pd.Series(HRPOpt(returns=returns).optimize(linkage_method="single"))[returns.columns]


def distances(cov: pd.DataFrame) -> np.ndarray:
    deviation = np.sqrt(np.diagonal(cov))
    gaps = np.sqrt(np.clip((1.0 - cov.to_numpy() / np.outer(deviation, deviation)) / 2.0, 0.0, 1.0))
    np.fill_diagonal(gaps, 0.0)
    return gaps


def own_leaves(gaps: np.ndarray) -> np.ndarray:
    loops = kernel("hrp")
    visited, steps = loops.spanning_walk(loops.column_distances(gaps))
    return loops.leaves(visited, np.argsort(steps, kind="stable"))


def main() -> None:
    """Print the figures."""
    markets = [factor_returns(seed) for seed in (11, 12, 13, 14)]
    covariances = [returns.cov() for returns in markets]
    for returns, cov in zip(markets[:2], covariances, strict=False):
        np.testing.assert_allclose(hrp(cov, distance="correlation"), peer(returns), rtol=0, atol=1e-10)
    gaps = distances(covariances[0])
    np.testing.assert_array_equal(own_leaves(gaps), leaves_list(linkage(pdist(gaps), "single")))
    turn = cycle(covariances)
    report(
        [
            compare(
                "HRP, 500 assets, distance='correlation'",
                "PyPortfolioOpt HRPOpt",
                lambda: hrp(next(turn), distance="correlation"),
                lambda: peer(markets[0]),
                at_least=300,
                equality="weights within 1e-10",
            ),
            compare(
                "leaves by the paper's distance, 500 assets",
                "scipy pdist, linkage, leaves_list",
                lambda: own_leaves(gaps),
                lambda: leaves_list(linkage(pdist(gaps), "single")),
                at_least=1,
                equality="equal order",
            ),
        ]
    )


if __name__ == "__main__":
    main()
