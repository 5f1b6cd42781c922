"""What a decision and a mark read off a view: freshness, last prices and returns."""

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from daemon.store.view import View

HISTORY_SESSIONS = 252
PRICE_SESSIONS = 60


def coverage(view: View) -> float | None:
    """Share of the instruments that traded lately which have a bar of the newest closed session; None when none did."""
    closes = view.bars("close", 10)
    if closes.empty:
        return None
    values = np.isfinite(closes.to_numpy())
    alive = values.any(axis=0)
    return float(values[-1][alive].mean()) if alive.any() else None


def is_fresh(view: View) -> bool:
    """True when most instruments that traded lately have a bar of the newest closed session."""
    return (coverage(view) or 0.0) >= 0.5


def last_prices(view: View, symbols: Sequence[str]) -> dict[str, Decimal]:
    """Newest known close by symbol, to 1e-6 USD; a symbol without one in PRICE_SESSIONS is absent."""
    closes = view.bars("close", PRICE_SESSIONS, symbols)
    values = closes.to_numpy()
    known = np.isfinite(values)
    newest = len(values) - 1 - np.argmax(known[::-1], axis=0) if len(values) else np.empty(0, np.intp)
    last = values[newest, np.arange(values.shape[1])] if len(values) else np.full(values.shape[1], np.nan)
    return {s: Decimal(repr(round(v, 6))) for s, v in zip(closes.columns, last.tolist(), strict=True) if math.isfinite(v)}


def asset_returns(view: View, symbols: Sequence[str], sessions: int = HISTORY_SESSIONS) -> pd.DataFrame:
    """Daily simple total returns (sessions, n_assets), NaN where there was no bar."""
    prices = view.bars("adj_close", sessions + 1, symbols)
    values = prices.to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = values[1:] / values[:-1] - 1.0
    return pd.DataFrame(changes, index=prices.index[1:], columns=prices.columns, copy=False)
