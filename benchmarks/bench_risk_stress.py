"""Monte Carlo stress, 10,000 draws for 500 assets, against numpy's multivariate_normal and the portfolio's return in each draw.

Both draw from the same law, not the same numbers: over many seeds, either's mean VaR and CVaR are those of the closed form
within four standard errors.
"""

import numpy as np
import pandas as pd

from benchmarks.market import factor_returns
from benchmarks.side_by_side import compare, report
from risk.covariance import ledoit_wolf
from risk.stress import MonteCarlo, monte_carlo
from risk.var import historical_cvar, historical_var, parametric_cvar, parametric_var

ALPHA, DRAWS = 0.95, 10_000
OWN_SEEDS, PEER_SEEDS = 200, 20


def main() -> None:
    """Print the row."""
    returns = factor_returns(7)
    cov, mu = ledoit_wolf(returns, periods_per_year=1), returns.mean()
    weights = pd.Series(np.random.default_rng(7).dirichlet(np.ones(len(mu))), index=mu.index)

    def ours(seed: int = 1) -> MonteCarlo:
        return monte_carlo(weights, mu, cov, n=DRAWS, seed=seed, alpha=ALPHA)

    def theirs(seed: int = 1) -> MonteCarlo:
        drawn = np.random.default_rng(seed).multivariate_normal(mu, cov, DRAWS, method="cholesky") @ weights.to_numpy()
        return MonteCarlo(var=historical_var(drawn, ALPHA), cvar=historical_cvar(drawn, ALPHA))

    mean, sd = float(weights @ mu), float(np.sqrt(weights @ cov @ weights))
    exact = np.array([parametric_var(mean, sd, ALPHA), parametric_cvar(mean, sd, ALPHA)])
    distances = []
    for draw, seeds in ((ours, OWN_SEEDS), (theirs, PEER_SEEDS)):
        figures = np.array([[result.var, result.cvar] for result in map(draw, range(seeds))])
        distances.append(float(np.abs((figures.mean(axis=0) - exact) / (figures.std(axis=0, ddof=1) / np.sqrt(seeds))).max()))
    assert max(distances) < 4.0, distances
    equality = f"mean VaR and CVaR {distances[0]:.1f} and {distances[1]:.1f} standard errors from the closed form"
    report(
        [compare("Monte Carlo stress 10,000 x 500", "numpy multivariate_normal (Cholesky)", ours, theirs, at_least=3.0, equality=equality)]
    )


if __name__ == "__main__":
    main()
