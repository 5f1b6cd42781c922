"""Returns for the benchmarks: a synthetic market with common factors, sectors and fat tails, the same for product and peer."""

import numpy as np
import pandas as pd


def factor_returns(seed: int, n_observations: int = 1260, n_assets: int = 500) -> pd.DataFrame:
    """Daily simple returns (n_observations, n_assets): one market, eleven sectors, five styles, Student-t noise of unequal size."""
    rng = np.random.default_rng(seed)
    market = rng.standard_t(5, (n_observations, 1)) * 0.007 + 0.0003
    sectors = rng.standard_t(6, (n_observations, 11)) * 0.005
    styles = rng.standard_normal((n_observations, 5)) * 0.003
    beta = rng.uniform(0.4, 1.6, (1, n_assets))
    member = np.eye(11)[rng.integers(0, 11, n_assets)].T * rng.uniform(0.6, 1.4, n_assets)
    loading = rng.standard_normal((5, n_assets))
    noise = rng.standard_t(5, (n_observations, n_assets)) * rng.uniform(0.004, 0.02, n_assets)
    drift = rng.normal(0.0002, 0.0003, n_assets)
    names = [f"A{i:03d}" for i in range(n_assets)]
    return pd.DataFrame(market @ beta + sectors @ member + styles @ loading + noise + drift, columns=names)
