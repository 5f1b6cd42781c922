"""What the present portfolio is exposed to: one regression on the benchmark, volatility, momentum, low volatility and size."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.watch.exposures import FEWEST_RETURNS, exposures
from daemon.watch.result import Beta
from daemon.watch.scenarios import FACTORS
from daemon.watch.scope import FEWEST_STOCKS, YEAR, Scope
from risk.inputs import FloatArray

MONTH = 21
RANK_SESSIONS = 60
"""Sessions of returns behind a rank by volatility."""
FEWEST_SESSIONS = YEAR // 2
"""A factor that is known on fewer sessions of the year is left out."""


def betas(scope: Scope) -> tuple[Beta, ...]:
    """Slopes and t statistics of the factors, over the sessions of the last year on which all used factors are known.

    The dependent variable is today's weights times each day's asset returns. Raises BadInput without prices of the benchmark.
    """
    if scope.weights.empty:
        return tuple(Beta(factor=name, beta=0.0, t_statistic=None, note="nothing is held") for name in FACTORS)
    assets = exposures(scope)
    on = np.isfinite(scope.benchmark_returns)
    found = {name: column[on] for name, column in _columns(scope).items() if column is not None}
    used = {name: x for name, x in found.items() if np.isfinite(x).sum() >= FEWEST_SESSIONS}
    result = regression(assets.returns @ scope.weights.to_numpy(), used)
    return tuple(_told(name, name in found, result.get(name)) for name in FACTORS)


def _told(name: str, made: bool, result: tuple[float, float | None] | None) -> Beta:
    if result is None:
        why = "known on too few sessions, or made of the other factors" if made else "its data is not known"
        return Beta(factor=name, beta=None, t_statistic=None, note=why)
    return Beta(factor=name, beta=result[0], t_statistic=result[1])


def _columns(scope: Scope) -> dict[str, FloatArray | None]:
    """Each factor's returns (n <= 252,) by session, NaN where unknown; None for a factor without data."""
    return {"benchmark": scope.benchmark_returns, "volatility": vix_changes(scope), **_spreads(scope)}


def regression(y: FloatArray, factors: dict[str, FloatArray]) -> dict[str, tuple[float, float | None]]:
    """Ordinary least squares of y (n,) on an intercept and the factors: slope and classical t statistic by name.

    Over the sessions on which every factor is finite; empty below 60 of them or when the factors are collinear. t is None where
    nothing is left to estimate it from.
    """
    x = np.column_stack([np.ones(len(y)), *factors.values()])
    known = np.isfinite(x).all(axis=1) & np.isfinite(y)
    x, y = x[known], y[known]
    scale = np.abs(x).max(axis=0, initial=0.0)
    if len(y) < FEWEST_RETURNS or not (scale > 0).all() or np.linalg.matrix_rank(x / scale) < x.shape[1]:
        return {}
    q, r = np.linalg.qr(x / scale)
    inverse = np.linalg.inv(r)
    slope = inverse @ (q.T @ y) / scale
    rest = y - x @ slope
    variance = float(rest @ rest) / (len(y) - x.shape[1])
    errors = np.sqrt(variance * (inverse**2).sum(axis=1)) / scale
    exact = variance <= 1e-24 * max(float(y @ y) / len(y), np.finfo(float).tiny)
    return {name: (float(slope[i]), None if exact else float(slope[i] / errors[i])) for i, name in enumerate(factors, start=1)}


def vix_changes(scope: Scope) -> FloatArray | None:
    """Daily change of the VIX in hundreds of points (n <= 252,), so that 0.01 is a point; NaN where unknown, None without data."""
    days = scope.returns.index[-YEAR:]
    rows = scope.view.events("vix", scope.view.asof - pd.Timedelta(days=2 * 365))
    if rows.empty or not len(days):
        return None
    closes = rows.drop_duplicates("session", keep="last").set_index("session")["close"].astype("float64")
    closes.index = pd.DatetimeIndex(pd.to_datetime(closes.index))
    levels = closes.reindex(scope.returns.index[-YEAR - 1 :]).to_numpy(dtype=np.float64)
    before = [np.nan] if len(levels) == len(days) else []
    return np.asarray(np.diff(np.concatenate([before, levels]))[-len(days) :] / 100.0, dtype=np.float64)


def _spreads(scope: Scope) -> dict[str, FloatArray | None]:
    """Returns of the top less the bottom third of the index members, ranked anew every month on what came before."""
    stocks = [s for s in scope.members if s in scope.returns.columns]
    if len(stocks) < FEWEST_STOCKS:
        return {}
    prices, returns = scope.adjusted[stocks].to_numpy(), scope.returns[stocks].to_numpy()
    caps = scope.market_caps.reindex(stocks).to_numpy(dtype=np.float64)
    ranks: dict[str, Callable[[int], FloatArray]] = {
        "momentum": lambda day: prices[day - MONTH] / prices[day - YEAR] - 1.0 if day >= YEAR else np.full(len(stocks), np.nan),
        "low_volatility": lambda day: -_deviations(returns[max(0, day - RANK_SESSIONS) : day]),
        "size": lambda day: -caps,
    }
    return {name: _spread(returns, rank) for name, rank in ranks.items()}


def _deviations(returns: FloatArray) -> FloatArray:
    """Standard deviation of each stock with all of RANK_SESSIONS returns, else NaN."""
    if len(returns) < RANK_SESSIONS:
        return np.full(returns.shape[1], np.nan)
    found: FloatArray = returns.std(axis=0, ddof=1)
    return found


def _spread(returns: FloatArray, rank: Callable[[int], FloatArray]) -> FloatArray:
    """Row `day` of returns is the session after price `day`; ranks use prices and returns up to that price."""
    n = min(YEAR, len(returns))
    spread = np.full(n, np.nan)
    for start in range(len(returns) - n, len(returns), MONTH):
        order = rank(start)
        thirds = list(_thirds(order))
        if thirds:
            month = returns[start : start + MONTH]
            at = start - (len(returns) - n)
            spread[at : at + len(month)] = _mean(month[:, thirds[1]]) - _mean(month[:, thirds[0]])
    return spread


def _thirds(order: FloatArray) -> Iterator[npt.NDArray[np.intp]]:
    """Places of the bottom third and of the top third; nothing when too few are ranked."""
    known = np.flatnonzero(np.isfinite(order))
    if len(known) >= FEWEST_STOCKS:
        ranked = known[np.argsort(order[known], kind="stable")]
        third = len(ranked) // 3
        yield ranked[:third]
        yield ranked[-third:]


def _mean(returns: FloatArray) -> FloatArray:
    """Mean over the stocks that have a return (n_sessions, n) -> (n_sessions,); NaN without any."""
    known = np.isfinite(returns)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.where(known, returns, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean
