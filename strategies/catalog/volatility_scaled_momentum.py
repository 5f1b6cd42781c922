"""Last year's winners of the S&P 500, judged by return per unit of risk.

Rank the index members by 12-month total return over annualised volatility, hold the best with a positive score, and
weight them by inverse volatility. After Barroso and Santa-Clara, "Momentum has its moments", Journal of Financial
Economics 116 (2015), applied to single names; `skip` leaves out the last month as in Jegadeesh and Titman (1993).
"""

import numpy as np

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

INDEX = "sp500"


def run(view: DataView, *, top: int = 20, lookback: int = 252, skip: int = 0) -> Targets:
    """Targets from (price[end] / price[start] - 1) / volatility, both over the same `lookback` daily returns.

    Names that lack prices of the window (see `signals.unfit`), or whose price never moves, are skipped with the reason.
    """
    members = view.universe(INDEX)
    if not members:
        return no_targets({INDEX: "no members of the index are known"})
    window = signals.price_window(view, members, lookback + skip + 1)
    if not window.symbols:
        return no_targets(window.skipped)
    prices = window.prices[: lookback + 1]
    volatility = signals.annual_volatility(signals.daily_returns(prices))
    flat = {window.symbols[i]: "its price never moves" for i in np.flatnonzero(np.isnan(volatility))}
    scores = np.where(np.isnan(volatility), -np.inf, signals.total_return(prices, lookback) / volatility)
    order = signals.descending(window.symbols, scores)[:top]
    chosen = order[scores[order] > 0]
    return signals.targets(
        [window.symbols[i] for i in chosen],
        signals.inverse_volatility(volatility[chosen]),
        scores[chosen],
        signals.growth_evidence(window, chosen, start=0, end=lookback, scale=1.0 / volatility[chosen]),
        window.skipped | flat,
    )


STRATEGY = Strategy(
    name="volatility_scaled_momentum",
    run=run,
    needs=("bars_daily", "index_membership"),
    rebalance=weekly("fri"),
    lookback_sessions=252 + 63 + signals.RECENT_SESSIONS,
    params={
        "top": Param(default=20, low=1, high=100, meaning="names held at most"),
        "lookback": Param(default=252, low=21, high=252, meaning="sessions of return and volatility"),
        "skip": Param(default=0, low=0, high=63, meaning="newest sessions left out of the score; 21 is the classical month"),
    },
    description="S&P 500 members with the highest 12-month return per unit of volatility, weighted by inverse volatility.",
)
