"""What Congress as a whole has been buying: the stocks with the largest net disclosed purchases.

Disclosures count from the moment they were public, never from the trade. What a trade in stock is, what it is worth and when two
records tell of one is said in strategies/disclosures.py. Later versions of a row correct it, and do not make it news again.
"""

from datetime import timedelta

import numpy as np

from strategies import disclosures, signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

DATASET = "congress_trades"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""


def run(
    view: DataView,
    *,
    days: int = 30,
    top: int = 20,
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
    weighting: str = "net_dollars",
    owners: str = "all",
) -> Targets:
    """Targets from net signed dollars by name over disclosures known in the last `days` days; only a positive net counts.

    Weights are proportional to net dollars (or equal), at most `max_weight` each. Names of the ranking without a bar in the last five
    sessions, cheaper than `min_price` USD or with less than `min_adv_usd` traded a day are passed over with the reason.
    """
    since = view.asof - timedelta(days=days)
    trades = disclosures.stock_trades(disclosures.first_told(view.events(DATASET, since), since), owners=owners)
    net = net_dollars(trades)
    symbols, scores = list(net), np.array(list(net.values()), dtype=np.float64)
    reasons = signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) if symbols else {}
    chosen, passed = signals.ranked(symbols, scores, reasons, top)
    if not chosen:
        return no_targets(passed)
    names = [symbols[i] for i in chosen]
    sized = scores[chosen] if weighting == "net_dollars" else np.ones(len(names))
    weights = signals.capped_proportional(sized, total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    used = [trade for trade in trades if trade.symbol in set(names)]
    evidence = signals.evidence_frame(DATASET, [t.row_key for t in used], [t.symbol for t in used], np.array([t.usd for t in used]))
    return signals.targets(names, weights, scores[chosen], evidence, passed)


def net_dollars(trades: list[disclosures.Trade]) -> dict[str, float]:
    """Purchases less sales by symbol in USD, of the symbols where that is positive, in alphabetical order."""
    net: dict[str, float] = {}
    for trade in trades:
        net[trade.symbol] = net.get(trade.symbol, 0.0) + trade.usd
    return {symbol: usd for symbol, usd in sorted(net.items()) if usd > 0}


STRATEGY = Strategy(
    name="congress_aggregate",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "days": Param(default=30, low=7, high=180, meaning="calendar days of disclosures that count"),
        "top": Param(default=20, low=1, high=50, meaning="names held at most"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD; 1 is the exchanges' listing minimum"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="least median dollar volume a day, USD; 0 asks for none"),
        "weighting": Param(default="net_dollars", choices=("net_dollars", "equal"), meaning="how names are sized"),
        "owners": Param(
            default="all", choices=("all", "self"), meaning="whose trades count; self leaves out spouses, joint and dependents"
        ),
    },
    description="The 20 stocks with the largest net purchases disclosed by members of Congress in the last 30 days.",
)
