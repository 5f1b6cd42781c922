"""What would happen to the portfolio if history repeated, a factor moved, or chance did its worst.

Results are signed returns of the portfolio (VaR and CVaR positive losses); what the weights leave of 1 is cash at zero return.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, aligned, covariance_array, require_finite, vector
from risk.performance import max_drawdown
from risk.var import tail_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalStress:
    """The portfolio held through a past window: its return, its worst drawdown on the way, and each asset's return."""

    portfolio_return: float
    max_drawdown: float
    asset_returns: pd.Series


@dataclass(frozen=True, slots=True, kw_only=True)
class MonteCarlo:
    """One-period value at risk and expected shortfall of simulated returns, positive losses."""

    var: float
    cvar: float


def historical(weights: pd.Series, prices: pd.DataFrame, start: str | pd.Timestamp, end: str | pd.Timestamp) -> HistoricalStress:
    """Buy and hold `weights` from the close of `start` to the close of `end`, both included.

    weights: signed fractions by symbol, at the first close. prices: (n_sessions, n_symbols) adjusted closes on a sorted index;
    a day that is no session starts at the next and ends at the last one before. Raises BadInput for a symbol without prices all
    through the window, or a window of fewer than two closes.
    """
    absent = weights.index.difference(prices.columns)
    if len(absent) or not weights.index.is_unique:
        raise BadInput(f"no prices for {sorted(map(str, absent))[:5]}, or a symbol twice")
    if not prices.index.is_monotonic_increasing:
        raise BadInput("prices are not in order of time")
    window = prices.loc[start:end, list(weights.index)]
    if len(window) < 2:
        raise BadInput(f"{len(window)} closes between {start} and {end}, two needed")
    closes = window.to_numpy(dtype=np.float64)
    require_finite(closes, weights.index, "prices")
    growth = closes / closes[0] - 1.0
    wealth = 1.0 + growth @ vector(weights, "weights")
    return HistoricalStress(
        portfolio_return=float(wealth[-1] - 1.0),
        max_drawdown=max_drawdown(np.diff(wealth) / wealth[:-1]),
        asset_returns=pd.Series(growth[-1], index=weights.index),
    )


def factor_shock(weights: pd.Series, betas: pd.Series | pd.DataFrame, shock: float | pd.Series) -> float:
    """Return of the portfolio when factors move by `shock`, through the assets' betas: w' B s.

    betas: Series by symbol with one shock, or DataFrame (n_assets, n_factors) with a Series of shocks by factor; a symbol with a
    weight needs betas. Raises BadInput.
    """
    table = betas.to_frame(name="factor") if isinstance(betas, pd.Series) else betas
    moves = shock if isinstance(shock, pd.Series) else pd.Series(float(shock), index=table.columns[:1])
    absent = weights.index.difference(table.index)
    if len(absent) or not table.index.is_unique:
        raise BadInput(f"no beta for {sorted(map(str, absent))[:5]}, or one twice")
    loadings = table.loc[weights.index].to_numpy(dtype=np.float64)
    require_finite(loadings.T, weights.index, "betas")
    return float(vector(weights, "weights") @ loadings @ aligned(moves, table.columns, "shock"))


def monte_carlo(weights: pd.Series, mu: pd.Series, cov: pd.DataFrame, *, n: int, seed: int, alpha: float) -> MonteCarlo:
    """Historical VaR and CVaR of `n` simulated normal returns of the portfolio, in the period of mu and cov.

    The draws are of the portfolio's own return, N(w'mu, w'Sigma w): for fixed weights that is the law which joint draws of the
    assets would have. The same seed gives the same result. Raises BadInput, NotPSD.
    """
    values = covariance_array(cov)
    held, means = aligned(weights, cov.index, "weights"), aligned(mu, cov.index, "mu")
    if n < 1:
        raise BadInput(f"n must be at least 1, not {n}")
    sd = float(np.sqrt(max(float(held @ values @ held), 0.0)))
    draws: FloatArray = float(held @ means) + sd * np.random.default_rng(seed).standard_normal(n)
    loss, shortfall = tail_figures(draws, alpha)
    return MonteCarlo(var=loss, cvar=shortfall)
