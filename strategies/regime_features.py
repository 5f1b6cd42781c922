"""What a regime of the market is told by: the daily return of a benchmark and the VIX, for training, for decisions and for strategies."""

from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView

FEATURES = ("return_pct", "ln_vix")
FILTER_SESSIONS = 252
"""The filter starts so many sessions back: by then it has forgotten what the first one was thought to be."""
MAX_AGE_SESSIONS = 3
"""Features whose newest row is further behind the last closed session are stale."""
CALENDAR_DAYS = 1.6
"""At least as many days as sessions take, holidays included."""


def regime_features(view: DataView, benchmark: str, sessions: int) -> pd.DataFrame:
    """Daily return of the benchmark in percent and ln VIX (n_sessions, 2), of the last `sessions` sessions that have both.

    A session with a price that is missing or a wrong tick (`signals.standing`) has none, nor has the one after it.
    """
    closes = view.events("vix", view.asof - timedelta(days=int(CALENDAR_DAYS * sessions) + 10))
    prices = view.bars("adj_close", sessions + 1, [benchmark]) if len(closes) and "session" in closes else pd.DataFrame()
    if not prices.shape[1]:
        return pd.DataFrame(columns=list(FEATURES), dtype="float64")
    values = prices.to_numpy(dtype=np.float64)
    own = signals.standing(values)[:, 0] == np.arange(len(values))
    values = np.where(own, values[:, 0], np.nan)
    days = prices.index[1:].to_numpy().astype("datetime64[D]")
    at = pd.to_datetime(closes["session"], errors="coerce").to_numpy().astype("datetime64[D]")
    order = np.argsort(at, kind="stable")
    at, levels = at[order], closes["close"].to_numpy(np.float64)[order]
    place = np.minimum(np.searchsorted(at, days), len(at) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        returns = values[1:] / values[:-1] - 1.0
        table = np.column_stack([100.0 * returns, np.where(at[place] == days, np.log(levels[place]), np.nan)])
    kept = np.isfinite(table).all(axis=1)
    return pd.DataFrame(table[kept], index=prices.index[1:][kept], columns=list(FEATURES))


def why_unusable(view: DataView, features: pd.DataFrame) -> str:
    """Why the newest features say nothing about the present: there are none, or they end too long ago; empty when they do."""
    if len(features) < 2:
        return "no sessions with both VIX and benchmark are known"
    last, sessions = features.index[-1], view.sessions
    behind = len(sessions) - int(sessions.searchsorted(last, side="right"))
    return f"VIX or benchmark end on {last.date()}, {behind} sessions ago" if behind > MAX_AGE_SESSIONS else ""
