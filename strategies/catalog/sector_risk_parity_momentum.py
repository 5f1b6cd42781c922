"""Rotation among the sector funds: the strongest sectors, each carrying the same risk.

Sectors are ranked on 3-, 6- and 12-month total return; the best with a positive blend are held at equal risk
contributions. After Moskowitz and Grinblatt, "Do industries explain momentum?", Journal of Finance 54 (1999), and
Maillard, Roncalli and Teiletche, "The properties of equally weighted risk contribution portfolios" (2010).
"""

import numpy as np
import pandas as pd

from risk.covariance import ledoit_wolf
from risk.risk_parity import risk_parity
from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

FUNDS = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY")
HORIZONS = (63, 126, 252)
"""Sessions in 3, 6 and 12 months."""


def run(view: DataView, *, top: int = 5, covariance_sessions: int = 126) -> Targets:
    """Targets at equal risk contributions; the score is the mean percentile rank over the horizons, in (0, 1].

    A fund is held when it is among the `top` scores and the mean of its three returns is positive. Funds that lack
    prices of the longest horizon (see `signals.unfit`) are skipped with the reason, as are those whose price never moves.
    """
    window = signals.price_window(view, FUNDS, max(HORIZONS) + 1)
    if not window.symbols:
        return no_targets(window.skipped)
    by_horizon = [signals.total_return(window.prices, sessions) for sessions in HORIZONS]
    ranks = np.stack([signals.percentile_ranks(returns) for returns in by_horizon])
    scores = ranks.mean(axis=0)
    order = signals.descending(window.symbols, scores)[:top]
    recent = signals.daily_returns(window.prices[-covariance_sessions - 1 :])
    moves = ~np.isnan(signals.annual_volatility(recent))
    skipped = window.skipped | {window.symbols[i]: "its price never moves" for i in np.flatnonzero(~moves)}
    chosen = order[(np.mean(by_horizon, axis=0)[order] > 0) & moves[order]]
    return signals.targets(
        [window.symbols[i] for i in chosen], _equal_risk(recent[:, chosen]), scores[chosen], _evidence(window, chosen, ranks), skipped
    )


def _equal_risk(returns: signals.Floats) -> signals.Floats:
    """Risk-parity weights from daily returns (n_sessions, n_funds), summing to 1."""
    if returns.shape[1] < 2:
        return np.ones(returns.shape[1])
    weights = risk_parity(ledoit_wolf(pd.DataFrame(returns))).to_numpy(dtype=np.float64)
    return np.asarray(weights / weights.sum())


def _evidence(window: signals.PriceWindow, chosen: signals.Indices, ranks: signals.Floats) -> pd.DataFrame:
    """Four bars per fund. A horizon's share of the score is half its start bar's and half the newest bar's."""
    symbols = [window.symbols[i] for i in chosen]
    half = ranks[:, chosen] / (2.0 * len(HORIZONS))
    offsets = (*(-1 - sessions for sessions in HORIZONS), -1)
    keys = [key for offset in offsets for key in window.keys(symbols, offset)]
    contributions = np.concatenate([*half, half.sum(axis=0)])
    return signals.evidence_frame("bars_daily", keys, symbols * len(offsets), contributions)


STRATEGY = Strategy(
    name="sector_risk_parity_momentum",
    run=run,
    needs=("bars_daily",),
    rebalance=weekly("fri"),
    lookback_sessions=max(HORIZONS) + signals.RECENT_SESSIONS,
    params={
        "top": Param(default=5, low=1, high=len(FUNDS), meaning="sector funds held at most"),
        "covariance_sessions": Param(default=126, low=63, high=252, meaning="sessions of daily returns behind the covariance"),
    },
    description="The strongest sector funds by 3-, 6- and 12-month momentum, at equal risk contributions.",
    funds=FUNDS,
)
