"""The five members of the S&P 500 with the highest return of a quarter."""

import numpy as np

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

QUARTER = 63


def run(view: DataView, *, top: int = 5) -> Targets:
    members = view.universe("sp500")
    window = signals.price_window(view, members, QUARTER + 1)
    if not window.symbols:
        return no_targets(window.skipped)
    scores = signals.total_return(window.prices, QUARTER)
    reasons = signals.untradable(view, window.symbols, min_price=5.0)
    chosen, passed = signals.ranked(window.symbols, scores, reasons, top)
    names = [window.symbols[i] for i in chosen]
    evidence = signals.growth_evidence(window, np.array(chosen, dtype=np.intp), start=0, end=-1, scale=np.ones(len(chosen)))
    weights = signals.equal_weights(len(chosen), full_at=top)
    return signals.targets(names, weights, scores[chosen], evidence, window.skipped | passed)


STRATEGY = Strategy(
    name="quiet_strength",
    run=run,
    needs=("bars_daily",),
    uses=("index_membership",),
    rebalance=weekly("wed"),
    lookback_sessions=QUARTER + 1 + signals.RECENT_SESSIONS - 1,
    params={"top": Param(default=5, meaning="names held at most", low=1, high=50)},
    description="the strongest members of a quarter",
)
