"""What would happen to the portfolio if history repeated, a factor moved, or chance did its worst.

Results are signed returns of the portfolio (VaR and CVaR positive losses); what the weights leave of 1 is cash at zero return.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, aligned, covariance_view, numbers, require_finite, vector
from risk.var import tail_figures

_SLACK = pd.Timedelta(days=7)
"""How far a window may begin before the first close or end after the last: holidays, not missing history."""


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


def historical(weights: pd.Series, prices: pd.DataFrame, start: str | date, end: str | date) -> HistoricalStress:
    """Buy and hold `weights` from the close of `start` to the close of `end`, both included: wealth 1 + sum_i w_i (p_t,i / p_0,i - 1).

    weights: signed fractions by symbol, at the first close; what is short gains when its price falls. prices: (n_sessions,
    n_symbols) adjusted closes on a sorted index; a day that is no session starts at the next and ends at the last one before.
    Raises BadInput for a symbol without a price (NaN) all through the window or with one that is not positive at its start, for a
    window of fewer than two closes, and for one of which the prices cover only a part: their first or last close lies more
    than a week inside it.
    """
    held = _by_symbol(weights, prices.columns, "price")
    window = _window(prices, start, end)[list(weights.index)]
    closes = numbers(window, "prices")
    require_finite(closes, weights.index, "prices")
    sick = weights.index[(closes[0] <= 0) | (closes < 0).any(axis=0)]
    if len(sick):
        raise BadInput(f"prices are not positive at {[str(symbol) for symbol in sick[:5]]}")
    with np.errstate(over="ignore", invalid="ignore"):
        growth = closes / closes[0] - 1.0
        wealth = 1.0 + growth @ held
    if not np.isfinite(wealth).all():
        raise BadInput(f"the portfolio's wealth between {start} and {end} is beyond the largest float")
    return HistoricalStress(
        portfolio_return=float(wealth[-1] - 1.0),
        max_drawdown=float((wealth / np.maximum.accumulate(wealth) - 1.0).min()),
        asset_returns=pd.Series(growth[-1], index=weights.index),
    )


def factor_shock(weights: pd.Series, betas: pd.Series | pd.DataFrame, shock: float | pd.Series | Mapping[str, float]) -> float:
    """Return of the portfolio when factors move by `shock`, through the assets' betas: w' B s.

    betas: Series by symbol with one shock, or DataFrame (n_assets, n_factors) with shocks by factor, each named; a
    symbol with a weight needs betas. weights: (n_assets,), signed fractions. Raises BadInput for what is missing, twice, NaN or
    infinite, by symbol or factor.

    References: Sharpe (1964), Capital asset prices, Journal of Finance 19, for one factor; Ross (1976), The arbitrage theory of
    capital asset pricing, Journal of Economic Theory 13, for several.
    """
    table = betas.to_frame(name="factor") if isinstance(betas, pd.Series) else betas
    shock = pd.Series(dict(shock)) if isinstance(shock, Mapping) else shock
    if isinstance(shock, pd.Series):
        moves = pd.Series(shock.to_numpy(), index=table.columns) if isinstance(betas, pd.Series) and len(shock) == 1 else shock
    else:
        moves = pd.Series(float(shock), index=table.columns[:1])
    held = _by_symbol(weights, table.index, "beta")
    loadings = numbers(table.loc[weights.index], "betas")
    require_finite(loadings.T, weights.index, "betas")
    return float(held @ loadings @ aligned(moves, table.columns, "shock"))


def monte_carlo(weights: pd.Series, mu: pd.Series, cov: pd.DataFrame, *, n: int, seed: int, alpha: float) -> MonteCarlo:
    """Historical VaR and CVaR of `n` simulated normal returns of the portfolio, in the period of mu and cov.

    weights, mu: (n_assets,), cov: (n_assets, n_assets). The draws are of the portfolio's own return, N(w'mu, w'Sigma w): for fixed
    weights that is the law which joint draws of the assets would have. The same seed gives the same result. Raises BadInput for
    labels that differ, NaN, n below 1, a negative seed and moments beyond the largest float, NotPSD for the covariance.

    References: Glasserman (2003), Monte Carlo Methods in Financial Engineering, chapter 9.
    """
    values = covariance_view(cov)
    held, means = aligned(weights, cov.index, "weights"), aligned(mu, cov.index, "mu")
    if n < 1 or seed < 0:
        raise BadInput(f"n must be at least 1, and the seed not negative: not {n} and {seed}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = float(held @ means), float(held @ values @ held)
    if not (math.isfinite(mean) and math.isfinite(variance)):
        raise BadInput(f"the portfolio's mean {mean} or variance {variance} is beyond the largest float")
    draws: FloatArray = np.random.default_rng(seed).standard_normal(n)
    draws *= math.sqrt(max(variance, 0.0))
    draws += mean
    loss, shortfall = tail_figures(draws, alpha)
    return MonteCarlo(var=loss, cvar=shortfall)


def _by_symbol(weights: pd.Series, known: pd.Index, what: str) -> FloatArray:
    """Weights (n_assets,), finite, of distinct symbols that are each once among the known."""
    absent = weights.index.difference(known)
    if len(absent):
        raise BadInput(f"no {what} for {sorted(map(str, absent))[:5]}")
    repeated = weights.index.append(known[known.isin(weights.index)]).value_counts()
    if not (repeated == 2).all():
        raise BadInput(f"a weight or {what} is given twice for {sorted(map(str, repeated.index[repeated != 2]))[:5]}")
    return vector(weights, "weights")


def _window(prices: pd.DataFrame, start: str | date, end: str | date) -> pd.DataFrame:
    """The closes of a window that the prices cover."""
    if not (prices.index.is_monotonic_increasing and prices.index.is_unique):
        raise BadInput("prices are not in order of time, one row for each session")
    if isinstance(prices.index, pd.DatetimeIndex):
        start, end = _whole_day(start), _whole_day(end)
    try:
        window = prices.loc[start:end]
    except (TypeError, ValueError, KeyError) as error:
        raise BadInput(f"prices by {prices.index.dtype} have no window from {start!r} to {end!r}: {error}") from error
    if len(window) < 2:
        raise BadInput(f"{len(window)} closes between {start} and {end}, two needed")
    if isinstance(prices.index, pd.DatetimeIndex):
        first, last = (pd.Timestamp(day).tz_localize(None) for day in (start, end))
        days = prices.index.tz_localize(None)
        if first + _SLACK < days[0] or days[-1] + _SLACK < last:
            raise BadInput(f"prices from {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d} do not cover {start} to {end}")
    return window


def _whole_day(moment: str | date) -> str | date:
    """A date, or midnight without a zone, as the text by which pandas takes the whole day, its close included."""
    if not isinstance(moment, date) or (isinstance(moment, datetime) and (moment.tzinfo is not None or moment.time() != time.min)):
        return moment
    return f"{moment:%Y-%m-%d}"
