"""Covariances of 500 assets over 1,260 days: Ledoit-Wolf against scikit-learn, and those of 45 CPCV training sets against numpy."""

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf

from benchmarks.market import factor_returns
from benchmarks.side_by_side import Row, compare, report
from risk.covariance import ledoit_wolf, training_covariances
from risk.inputs import FloatArray
from risk.validation import cpcv_splits


def gap(ours: FloatArray, theirs: FloatArray) -> float:
    """Largest difference of covariances (..., n_assets, n_assets), each relative to its two assets' deviations."""
    deviations = np.sqrt(np.diagonal(theirs, axis1=-2, axis2=-1))
    return float(np.abs((ours - theirs) / (deviations[..., :, None] * deviations[..., None, :])).max())


def shrinkage(returns: pd.DataFrame) -> Row:
    values = returns.to_numpy()
    found = gap(ledoit_wolf(returns).to_numpy(), 252 * LedoitWolf().fit(values).covariance_)
    assert found < 1e-12, found
    return compare(
        "Ledoit-Wolf 500 x 1260",
        "scikit-learn LedoitWolf",
        lambda: ledoit_wolf(returns),
        lambda: LedoitWolf().fit(values),
        at_least=10.0,
        equality=f"equal to {found:.0e}",
        peer_repeats=5,
    )


def training_sets(returns: pd.DataFrame) -> Row:
    values = returns.to_numpy()
    splits = cpcv_splits(len(returns), n_folds=10, n_test_folds=2, purge=5, embargo=13)

    def one_by_one() -> FloatArray:
        return np.stack([np.cov(values[train], rowvar=False) for train, _ in splits])

    found = gap(training_covariances(returns, splits), one_by_one())
    assert found < 1e-12, found
    return compare(
        f"covariances of {len(splits)} CPCV training sets",
        "numpy cov in a loop",
        lambda: training_covariances(returns, splits),
        one_by_one,
        at_least=2.0,
        equality=f"equal to {found:.0e}",
    )


def main() -> None:
    """Print both rows."""
    returns = factor_returns(7)
    report([shrinkage(returns), training_sets(returns)])


if __name__ == "__main__":
    main()
