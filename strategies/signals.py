"""Arithmetic that strategies share: price windows, returns, volatility, ranking, weighting and evidence.

Arrays are (n_sessions, n_symbols) or (n_symbols,) float64. Symbols are kept in alphabetical order, so that results
depend neither on the order of a view's columns nor on the order of an index's members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.base import DataView, Targets, no_targets

PERIODS_PER_YEAR = 252
RECENT_SESSIONS = 5
"""A price counts as current when it is no older than this many sessions."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceWindow:
    """Total-return prices without a gap: prices (n_sessions, n_symbols) > 0, and why other symbols are absent."""

    symbols: list[str]
    sessions: pd.DatetimeIndex
    prices: Floats
    skipped: dict[str, str]


def price_window(view: DataView, symbols: Sequence[str], sessions: int) -> PriceWindow:
    """The last `sessions` adjusted closes of every symbol that has all of them.

    The window ends at the newest session with any price, if that is one of the last RECENT_SESSIONS, so that one late
    delivery does not empty the window. A symbol with a missing, infinite or non-positive price inside it is skipped.
    """
    wanted = sorted(set(symbols))
    frame = view.bars("adj_close", sessions + RECENT_SESSIONS - 1, wanted)
    found = sorted(set(frame.columns))
    skipped = dict.fromkeys(set(wanted).difference(found), "no bars")
    values = np.ascontiguousarray(frame[found].to_numpy(dtype=np.float64))
    usable = np.isfinite(values) & (values > 0)
    end = int(np.flatnonzero(usable.any(axis=1)).max(initial=-1)) + 1
    start = max(end - sessions, 0)
    missing = sessions - usable[start:end].sum(axis=0)
    skipped |= {found[i]: f"{missing[i]} of {sessions} sessions have no price" for i in np.flatnonzero(missing)}
    keep = np.flatnonzero(missing == 0)
    return PriceWindow(
        symbols=[found[i] for i in keep],
        sessions=pd.DatetimeIndex(frame.index[start:end]),
        prices=np.ascontiguousarray(values[start:end, keep]),
        skipped=dict(sorted(skipped.items())),
    )


def total_return(prices: Floats, sessions: int) -> Floats:
    """Simple return of each column over its last `sessions` sessions; prices (n_sessions, n_symbols) -> (n_symbols,)."""
    last: Floats = prices[-1] / prices[-1 - sessions] - 1.0
    return last


def daily_returns(prices: Floats) -> Floats:
    """Simple daily returns: prices (n_sessions, n_symbols) -> (n_sessions - 1, n_symbols)."""
    returns: Floats = prices[1:] / prices[:-1] - 1.0
    return returns


def annual_volatility(returns: Floats) -> Floats:
    """Annualised standard deviation (ddof 1) of daily returns, by column; NaN where the returns never vary."""
    deviation = returns.std(axis=0, ddof=1)
    constant = deviation <= 1e-12 * (1.0 + np.abs(returns).max(axis=0))
    return np.where(constant, np.nan, deviation * np.sqrt(PERIODS_PER_YEAR))


def percentile_ranks(values: Floats) -> Floats:
    """Rank of each value in (0, 1], the highest 1; equal values share their average rank. Shape (n_symbols,)."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: Floats = (below + (equal + 1) / 2.0) / len(values)
    return ranks


def descending(symbols: Sequence[str], scores: Floats) -> Indices:
    """Positions from the highest score to the lowest; equal scores in alphabetical order of symbol."""
    return np.lexsort((np.asarray(symbols, dtype=str), -scores))


def inverse_volatility(volatility: Floats) -> Floats:
    """Weights proportional to 1 / volatility, summing to 1. Shape (n_symbols,); empty stays empty."""
    inverse = 1.0 / volatility
    weights: Floats = inverse / inverse.sum()
    return weights


def capped_proportional(scores: Floats, *, total: float, cap: float) -> Floats:
    """Weights proportional to positive scores, none above `cap`, summing to `total` or to n * cap if that is less.

    What a capped name gives up goes to the others in proportion. scores and result: (n_symbols,).
    """
    weights = np.zeros(len(scores))
    free = np.ones(len(scores), dtype=bool)
    while free.any():
        left = total - weights[~free].sum()
        share = left * scores[free] / scores[free].sum()
        if (share <= cap).all():
            weights[free] = share
            break
        over = np.flatnonzero(free)[share > cap]
        weights[over] = cap
        free[over] = False
    return weights


def session_keys(symbols: Sequence[str], session: pd.Timestamp) -> list[str]:
    """Row keys of daily bars: SYMBOL@YYYY-MM-DD."""
    day = session.date().isoformat()
    return [f"{symbol}@{day}" for symbol in symbols]


def evidence_frame(dataset: str, row_keys: Sequence[str], symbols: Sequence[str], contributions: Floats) -> pd.DataFrame:
    """Evidence rows of one dataset, in the columns and types of EVIDENCE_COLUMNS."""
    return pd.DataFrame(
        {
            "dataset": pd.Series([dataset] * len(row_keys), dtype="object"),
            "row_key": pd.Series(list(row_keys), dtype="object"),
            "symbol": pd.Series(list(symbols), dtype="object"),
            "contribution": pd.Series(contributions, dtype="float64"),
        }
    )


def growth_evidence(window: PriceWindow, chosen: Indices, *, start: int, end: int, scale: Floats) -> pd.DataFrame:
    """Evidence for scores of the form scale * (price[end] / price[start] - 1): two rows of daily bars per symbol.

    The end bar contributes scale * price[end] / price[start] (what one dollar became), the start bar -scale (the
    dollar that it was); together they are the score. chosen: positions in the window; scale: (n_chosen,).
    """
    symbols = [window.symbols[i] for i in chosen]
    growth = window.prices[end, chosen] / window.prices[start, chosen]
    keys = session_keys(symbols, window.sessions[start]) + session_keys(symbols, window.sessions[end])
    return evidence_frame("bars_daily", keys, symbols * 2, np.concatenate([-scale, scale * growth]))


def targets(symbols: Sequence[str], weights: Floats, scores: Floats, evidence: pd.DataFrame, skipped: Mapping[str, str]) -> Targets:
    """Targets from arrays in the order of `symbols`; nothing wanted when there are none."""
    if not len(symbols):
        return no_targets(skipped)
    index = pd.Index(list(symbols), dtype=object)
    return Targets(
        weights=pd.Series(weights, index=index, dtype="float64"),
        evidence=evidence,
        scores=pd.Series(scores, index=index, dtype="float64"),
        skipped=dict(skipped),
    )
