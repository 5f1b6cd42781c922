"""Black-Litterman with 10 views on 500 assets, posterior mean and covariance, against PyPortfolioOpt.

Five views are about single assets, five about ten assets against ten others. The peer does not check the covariance; ours knows
the one that `ledoit_wolf` has made, as in a decision. The last row has a covariance that is new to it each time.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from pypfopt.black_litterman import BlackLittermanModel

from benchmarks.market import factor_returns
from benchmarks.side_by_side import compare, report
from risk.black_litterman import implied_returns, omega_from_confidence, omega_proportional, posterior
from risk.covariance import ledoit_wolf
from risk.inputs import FloatArray

TAU = 0.05
Posterior = tuple[pd.Series, pd.DataFrame]


def picks(rng: np.random.Generator, n_assets: int) -> FloatArray:
    """P (10, n_assets)."""
    P = np.zeros((10, n_assets))
    P[range(5), rng.choice(n_assets, 5, replace=False)] = 1.0
    for row in range(5, 10):
        sides = rng.choice(n_assets, 20, replace=False)
        P[row, sides[:10]], P[row, sides[10:]] = 0.1, -0.1
    return P


def equal(ours: Callable[[], Posterior], theirs: Callable[[], Posterior]) -> str:
    """How closely both agree, checked to 1e-12 of the largest number."""
    (mean, spread), (their_mean, their_spread) = ours(), theirs()
    found = max(
        float((mean - their_mean).abs().max() / their_mean.abs().max()),
        float((spread - their_spread).abs().max().max() / their_spread.abs().max().max()),
    )
    assert found < 1e-12, found
    return f"equal to {found:.0e}"


def main() -> None:
    """Print a row for given uncertainties of the views and one for confidences."""
    cov = ledoit_wolf(factor_returns(7))
    rng = np.random.default_rng(7)
    P, Q = picks(rng, len(cov)), rng.normal(0, 0.05, 10)
    confidence = rng.uniform(0.2, 0.8, 10)
    pi = implied_returns(cov, pd.Series(1 / len(cov), index=cov.index), 6.0)
    omega = omega_proportional(cov, P, TAU)
    fresh = itertools.cycle([cov * scale for scale in (1.0, 1.25, 1.5, 1.75)])

    def ours(cov: pd.DataFrame = cov) -> Posterior:
        return posterior(cov, pi, P, Q, omega, TAU)

    def theirs() -> Posterior:
        model = BlackLittermanModel(cov, pi=pi, P=P, Q=Q, omega=omega, tau=TAU)
        return model.bl_returns(), model.bl_cov()

    def ours_confident() -> Posterior:
        return posterior(cov, pi, P, Q, omega_from_confidence(cov, P, confidence, TAU), TAU)

    def theirs_confident() -> Posterior:
        model = BlackLittermanModel(cov, pi=pi, P=P, Q=Q, omega="idzorek", view_confidences=confidence, tau=TAU)
        return model.bl_returns(), model.bl_cov()

    peer = "PyPortfolioOpt bl_returns + bl_cov"
    rows = [
        compare("Black-Litterman, 10 views, omega given", peer, ours, theirs, at_least=1.5, equality=equal(ours, theirs), peer_repeats=9),
        compare(
            "Black-Litterman, 10 views, confidences",
            peer,
            ours_confident,
            theirs_confident,
            at_least=1.5,
            equality=equal(ours_confident, theirs_confident),
            peer_repeats=9,
        ),
        compare(
            "the same, omega given, unknown covariance",
            peer,
            lambda: ours(next(fresh)),
            theirs,
            at_least=0.0,
            equality="with the proof that it is PSD",
            peer_repeats=9,
        ),
    ]
    report(rows)


if __name__ == "__main__":
    main()
