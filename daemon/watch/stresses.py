"""The stress table: what the present portfolio would have done in the past, under a shock, and by chance."""

import math
from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd

from daemon.watch.exposures import Exposures, covered_share, exposures, slopes
from daemon.watch.factors import vix_changes
from daemon.watch.result import Stress
from daemon.watch.scenarios import (
    DRAWS,
    HORIZON_SESSIONS,
    MONTE_CARLO,
    SEED,
    SHOCKS,
    VIX_POINTS,
    VOLATILITY_SPIKE,
    WINDOWS,
    WORST,
)
from daemon.watch.scope import YEAR, Scope
from risk.covariance import ledoit_wolf
from risk.errors import RiskError
from risk.inputs import FloatArray
from risk.stress import factor_shock, historical, monte_carlo


def stress_table(scope: Scope) -> tuple[Stress, ...]:
    """Every scenario of the list, in its order; one without a figure says why. Raises BadInput without prices of the benchmark."""
    if scope.weights.empty:
        kinds = {**dict.fromkeys([*WINDOWS, *WORST], "history"), **dict.fromkeys([*SHOCKS, VOLATILITY_SPIKE], "factor")}
        kinds |= dict.fromkeys(MONTE_CARLO, "monte_carlo")
        return tuple(_line(name, kind, 0.0, note="nothing is held") for name, kind in kinds.items())
    assets = exposures(scope)
    return (*_history(scope, assets), *_shocks(scope, assets), *_chance(scope, assets))


def _line(
    name: str, kind: str, value: float | None, *, drawdown: float | None = None, covered: float | None = None, note: str = ""
) -> Stress:
    return Stress(name=name, kind=kind, portfolio_return=value, max_drawdown=drawdown, covered=covered, note=note)


def _history(scope: Scope, assets: Exposures) -> Iterator[Stress]:
    """Past windows, then the worst spells of the stored history."""
    names = [*scope.weights.index, *({scope.benchmark} - set(scope.weights.index))]
    prices = scope.view.bars("adj_close", len(scope.view.sessions), names).reindex(columns=names)
    prices = prices.where(prices > 0).ffill(limit=YEAR)
    known = np.flatnonzero(np.isfinite(prices[scope.benchmark].to_numpy()))
    prices = prices.iloc[known[0] :] if len(known) else prices.iloc[:0]
    for name, (start, end) in WINDOWS.items():
        if prices.empty or prices.index[0].date() > start or prices.index[-1].date() < end:
            yield _line(name, "history", None, note=f"no prices of {scope.benchmark} from {start} to {end}")
        else:
            yield _replayed(scope, assets, prices, name, start, end)
    market = prices[scope.benchmark].to_numpy()
    for name, length in WORST.items():
        if len(market) <= length:
            yield _line(name, "history", None, note=f"fewer than {length + 1} prices of {scope.benchmark}")
            continue
        first = int(np.argmin(market[length:] / market[:-length]))
        yield _replayed(scope, assets, prices, name, prices.index[first].date(), prices.index[first + length].date(), dated=True)


def _replayed(scope: Scope, assets: Exposures, prices: pd.DataFrame, name: str, start: date, end: date, *, dated: bool = False) -> Stress:
    """The present weights bought at the close of `start` and held to that of `end`."""
    window = prices.loc[str(start) : str(end)]
    held = window[scope.weights.index].to_numpy()
    market = window[scope.benchmark].to_numpy()
    real = np.isfinite(held).all(axis=0)
    moved = np.maximum(1.0 + (market[:, None] / market[0] - 1.0) * assets.betas, 0.0)
    made = pd.DataFrame(np.where(real, held, moved), index=window.index, columns=scope.weights.index)
    result = historical(scope.weights, made, window.index[0], window.index[-1])
    notes = [f"{start} to {end}"] if dated else []
    if not real.all():
        stood_in = [str(s) for s in scope.weights.index[~real]]
        shown = ", ".join(stood_in[:3]) + (f" and {len(stood_in) - 3} more" if len(stood_in) > 3 else "")
        notes.append(f"beta times {scope.benchmark} for {shown}")
    covered = covered_share(scope.weights, real.astype(np.float64))
    return _line(name, "history", result.portfolio_return, drawdown=result.max_drawdown, covered=covered, note="; ".join(notes))


def _shocks(scope: Scope, assets: Exposures) -> Iterator[Stress]:
    """Moves of the benchmark, and a spike of volatility through each asset's own slope on changes of the VIX."""
    betas, covered = pd.Series(assets.betas, index=scope.weights.index), covered_share(scope.weights, assets.estimated)
    for name, shock in SHOCKS.items():
        yield _line(name, "factor", factor_shock(scope.weights, betas, shock), covered=covered)
    changes = vix_changes(scope)
    changes = np.full(0, np.nan) if changes is None else changes[np.isfinite(scope.benchmark_returns)]
    known = np.isfinite(changes)
    found, enough = slopes(assets.returns[known], changes[known], otherwise=0.0) if known.any() else (assets.betas * 0, assets.betas * 0)
    if not enough.any():
        yield _line(VOLATILITY_SPIKE, "factor", None, note="the VIX is known on too few sessions of the last year")
        return
    moved = factor_shock(scope.weights, pd.Series(found, index=scope.weights.index), VIX_POINTS / 100.0)
    yield _line(VOLATILITY_SPIKE, "factor", moved, covered=covered_share(scope.weights, enough), note=f"VIX up {VIX_POINTS:g} points")


def _chance(scope: Scope, assets: Exposures) -> Iterator[Stress]:
    """Simulated loss over ten sessions, zero mean, from the shrunk covariance of the last year."""
    try:
        variance = _variance(scope.weights.to_numpy(), assets.returns, scope.weights.index)
    except RiskError as error:
        yield from (_line(name, "monte_carlo", None, note=str(error)) for name in MONTE_CARLO)
        return
    one, whole = pd.Series([0.0], ["portfolio"]), pd.Series([1.0], ["portfolio"])
    cov = pd.DataFrame(variance * HORIZON_SESSIONS, index=one.index, columns=one.index)
    for name, alpha in MONTE_CARLO.items():
        loss = monte_carlo(whole, one, cov, n=DRAWS, seed=SEED, alpha=alpha).var
        covered, note = covered_share(scope.weights, assets.estimated), f"{HORIZON_SESSIONS} sessions at {alpha:.0%}"
        yield _line(name, "monte_carlo", -loss, covered=covered, note=note)


def _variance(weights: FloatArray, returns: FloatArray, labels: pd.Index) -> float:
    """Daily variance of the portfolio: w' Sigma w with Sigma after Ledoit and Wolf."""
    moving = np.ptp(returns, axis=0) > 0 if len(returns) else np.zeros(len(weights), bool)
    if not moving.any():
        return 0.0
    cov = ledoit_wolf(pd.DataFrame(returns[:, moving], columns=labels[moving]), periods_per_year=1).to_numpy()
    variance = float(weights[moving] @ cov @ weights[moving])
    return variance if math.isfinite(variance) else 0.0
