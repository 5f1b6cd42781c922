"""What a finished replay hands over to be reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from daemon.watch.result import RiskWatch, TailDay


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """One finished replay. Frames are indexed by session (dates, ascending); fractions are of NAV; NaN means unknown.

    nav: nav_usd, cash_usd, gross, net, turnover (traded notional, both sides), cost_usd, benchmark (total-return level).
    sleeve_nav, capital, sleeve_returns: session x sleeve, in dollars, as fractions, and as simple returns of the shadow books.
    orders: session, client_order_id, symbol, side, qty, type, status, filled_qty, filled_avg_price, decision_price, cost_usd.
    allocations: one row per cycle: session, rung, var95, cvar95, gross, regime_delta, n_bound, and optionally bound (names of limits).
    coverage: year -> {members, with_prices, fraction} of the dated universe, means over the year's sessions.
    invariants: name -> number of violations.
    tail: each session's VaR forecast against what happened. watches: the risk watches made along the way, oldest first.
    """

    sandbox: bool
    start: date
    end: date
    nav: pd.DataFrame
    sleeve_nav: pd.DataFrame
    capital: pd.DataFrame
    orders: pd.DataFrame
    allocations: pd.DataFrame
    sleeve_returns: pd.DataFrame
    coverage: Mapping[int, Mapping[str, float]]
    close_only_symbols: Sequence[str]
    notes: Sequence[str]
    settings: Mapping[str, Any]
    decision_hash: str
    invariants: Mapping[str, int]
    elapsed_s: float
    cycles: int
    fills: int
    benchmark: str = "SPY"
    tail: Sequence[TailDay] = ()
    watches: Sequence[RiskWatch] = ()
