"""Three leveraged sector funds with the strongest quarter, and a brake on the volatility that comes with them.

The strongest positive 63-session returns are held at inverse-volatility weights; the whole sleeve is scaled down to
a volatility target when the portfolio has been more volatile than that. After Moreira and Muir, "Volatility-managed
portfolios", Journal of Finance 72 (2017), with the exposure capped at one.
"""

import numpy as np

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

# fmt: off
FUNDS = (
    "SSO", "UPRO", "QLD", "TQQQ",            # broad market
    "ROM", "TECL", "USD", "SOXL",            # technology, semiconductors
    "UYG", "FAS", "DIG", "ERX",              # financials, energy
    "RXL", "CURE", "UXI", "DUSL",            # health care, industrials
    "UGE", "UCC", "WANT", "UYM",             # staples, discretionary, materials
    "UPW", "UTSL", "URE", "DRN",             # utilities, real estate
    "LTL", "LABU",                           # telecommunications, biotechnology
)
# fmt: on


def run(view: DataView, *, top: int = 3, lookback: int = 63, target_vol: float = 0.25) -> Targets:
    """Targets whose gross is min(1, target_vol / volatility of the chosen weights over the same `lookback` returns).

    The score is the total return over `lookback` sessions; volatilities are annual. Funds that lack
    prices of the window (see `signals.unfit`), or whose price never moves, are skipped with the reason.
    """
    window = signals.price_window(view, FUNDS, lookback + 1)
    if not window.symbols:
        return no_targets(window.skipped)
    returns = signals.daily_returns(window.prices)
    volatility = signals.annual_volatility(returns)
    flat = {window.symbols[i]: "its price never moves" for i in np.flatnonzero(np.isnan(volatility))}
    scores = np.where(np.isnan(volatility), -np.inf, signals.total_return(window.prices, lookback))
    order = signals.descending(window.symbols, scores)[:top]
    chosen = order[scores[order] > 0]
    weights = signals.inverse_volatility(volatility[chosen])
    return signals.targets(
        [window.symbols[i] for i in chosen],
        weights * _exposure(returns[:, chosen], weights, target_vol),
        scores[chosen],
        signals.growth_evidence(window, chosen, start=0, end=lookback, scale=np.ones(len(chosen))),
        window.skipped | flat,
    )


def _exposure(returns: signals.Floats, weights: signals.Floats, target_vol: float) -> float:
    """min(1, target_vol / annual volatility of the weighted daily returns); 1 when that portfolio never moves."""
    # Elementwise, because BLAS may sum in another order on another machine.
    realised = float(signals.annual_volatility((returns * weights).sum(axis=1, keepdims=True))[0])
    return min(1.0, target_vol / realised) if realised > 0 else 1.0


STRATEGY = Strategy(
    name="leveraged_sector_momentum",
    run=run,
    needs=("bars_daily",),
    rebalance=weekly("fri"),
    lookback_sessions=252 + signals.RECENT_SESSIONS,
    params={
        "top": Param(default=3, low=1, high=10, meaning="funds held at most"),
        "lookback": Param(default=63, low=21, high=252, meaning="sessions of return and volatility"),
        "target_vol": Param(default=0.25, low=0.05, high=1.0, meaning="annual volatility above which the sleeve is scaled down"),
    },
    description="Leveraged sector funds with the best 63-session return, by inverse volatility, braked to a volatility target.",
    funds=FUNDS,
)
