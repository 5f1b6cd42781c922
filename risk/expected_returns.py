"""Annual expected returns by asset: from the recent past, or from the market."""

import math

import pandas as pd

from risk.errors import BadInput
from risk.inputs import returns_matrix, vector
from risk.performance import beta


def rolling_mean(returns: pd.DataFrame, *, window: int, periods_per_year: float = 252) -> pd.Series:
    """Annual arithmetic mean (n_assets,) of the last `window` returns, sum(r) / window periods.

    returns: (n_observations >= window, n_assets), per period. NaN or infinite values inside the window raise BadInput by asset, as do
    too few rows and a window below 1.

    References: Merton (1980), On estimating the expected return on the market, Journal of Financial Economics 8.
    """
    if window < 1:
        raise BadInput(f"window must be at least 1, not {window}")
    values = returns_matrix(returns.tail(window), at_least=window)
    return pd.Series(values.mean(axis=0) * periods_per_year, index=returns.columns)


def capm(returns: pd.DataFrame, market: pd.Series, *, risk_free: float = 0.0, periods_per_year: float = 252) -> pd.Series:
    """Annual return that the market pays for each asset's beta, (n_assets,): rf + beta (E[market] periods - rf).

    returns: (n_observations, n_assets) and market: (n_observations,), per period, on the same index; risk_free is annual.
    NaN where the market is constant or has fewer than two returns. NaN in the input raises BadInput, by asset, as do different
    indices and a risk_free that is not finite.

    References: Sharpe (1964), Capital asset prices, Journal of Finance 19.
    """
    values = returns_matrix(returns)
    if not returns.index.equals(market.index):
        raise BadInput("returns and market are indexed differently")
    market_values = vector(market, "market")
    if not math.isfinite(risk_free):
        raise BadInput(f"risk_free must be finite, not {risk_free}")
    if math.isnan(beta(market_values, market_values)):
        return pd.Series(math.nan, index=returns.columns)
    centred = market_values - market_values.mean()
    betas = centred @ (values - values.mean(axis=0)) / (centred @ centred)
    premium = float(market_values.mean()) * periods_per_year - risk_free
    return pd.Series(risk_free + betas * premium, index=returns.columns)
