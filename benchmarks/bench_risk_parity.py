"""Risk parity of 500 assets from 1260 days of returns, Ledoit-Wolf included, allocd beside skfolio.

    .venv-peers/bin/python -m benchmarks.bench_risk_parity

skfolio's RiskBudgeting minimises the variance measure, its default, with its LedoitWolf covariance. Its shares of the risk are right
to about 1e-7, so the weights are compared to 1e-6 and our shares with the budgets to 1e-10. Every call of ours sees other returns
than the three before it, so that nothing remembered of one helps.
"""

import warnings
from itertools import cycle

import numpy as np
import pandas as pd
from skfolio.moments import LedoitWolf
from skfolio.optimization import RiskBudgeting
from skfolio.prior import EmpiricalPrior

from benchmarks.market import factor_returns
from benchmarks.side_by_side import compare, report
from risk.covariance import ledoit_wolf
from risk.risk_parity import risk_parity


def own(returns: pd.DataFrame) -> pd.Series:
    return risk_parity(ledoit_wolf(returns))


def peer(returns: pd.DataFrame) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RiskBudgeting(prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf())).fit(returns).weights_


def share_error(weights: np.ndarray, cov: np.ndarray) -> float:
    """The largest distance of a share of the risk from an equal one."""
    parts = weights * (cov @ weights)
    return float(np.abs(parts / parts.sum() - 1.0 / len(parts)).max())


def main() -> None:
    """Print the figures."""
    markets = [factor_returns(seed) for seed in (11, 12, 13, 14)]
    theirs, mine, cov = peer(markets[0]), own(markets[0]), ledoit_wolf(markets[0]).to_numpy()
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
    error, their_error = share_error(mine.to_numpy(), cov), share_error(theirs, cov)
    if not error <= 1e-10:
        raise SystemExit(f"risk shares are off by {error:.3g}")
    turn = cycle(markets)
    report(
        [
            compare(
                "risk parity incl. Ledoit-Wolf, 500 x 1260",
                "skfolio RiskBudgeting",
                lambda: own(next(turn)),
                lambda: peer(markets[0]),
                at_least=150,
                equality=f"weights within 1e-6; shares off by {error:.1g}, the peer's by {their_error:.1g}",
            )
        ]
    )


if __name__ == "__main__":
    main()
