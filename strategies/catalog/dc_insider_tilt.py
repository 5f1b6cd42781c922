"""The companies that are closest to Washington: the highest DC insider scores, tilted by score.

The score is Quiver's DC Insider Score, of which it is not said how it is made, or a score of our own from what members of Congress buy,
what companies spend on lobbying and what the government awards them (scrapers/insider_score.py), on which 50 is indifferent. The two
have different scales and are never mixed: Quiver's is used while there is a current one. No index is part of the rule, so that every
scored name with a recent price and enough volume is in, unless `universe` names one.
"""

from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

DATASET = "dc_insider_scores"
ORIGINS = ("quiver", "own")
"""In the order of preference."""
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
INDICES = {"all": (), "sp500": ("sp500",), "sp1500": ("sp500", "sp400", "sp600")}


def run(
    view: DataView,
    *,
    top: int = 30,
    max_age_days: int = 10,
    min_score: float = 50.0,
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
    universe: str = "all",
) -> Targets:
    """Targets from each company's newest score of the last `max_age_days` days, if above `min_score` (0 to 100).

    Weights are proportional to scores, at most `max_weight` each. Names without a recent bar, below the floors of price and volume, or
    outside the index of `universe` on the day are passed over with the reason.
    """
    index = signals.members(view, *INDICES[universe])
    if INDICES[universe] and not index:
        return no_targets({universe: "no members of the index are known"})
    since = np.datetime64(signals.new_york_day(view.asof) - timedelta(days=max_age_days), "D")
    rows = newest_scores(view.events(DATASET, view.asof - timedelta(days=max_age_days + 1)), since)
    symbols, scores = rows["symbol"].tolist(), signals.numbers(rows, "score")
    outside = dict.fromkeys(set(symbols).difference(index), f"no member of {universe} on the day") if index else {}
    reasons = signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) if symbols else {}
    chosen, passed = signals.ranked(symbols, np.where(scores > min_score, scores, np.nan), reasons | outside, top)
    names = [symbols[i] for i in chosen]
    weights = signals.capped_proportional(scores[chosen], total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    evidence = signals.evidence_frame(DATASET, [rows["row_key"].tolist()[i] for i in chosen], names, scores[chosen])
    return signals.targets(names, weights, scores[chosen], evidence, passed)


def newest_scores(events: pd.DataFrame, since: np.datetime64) -> pd.DataFrame:
    """The newest score of each symbol since a day, by symbol, all of the first of ORIGINS that has any."""
    rows = signals.event_rows(events, "symbol", "score_date", "score", "origin").dropna(subset=["symbol", "score_date", "score"])
    days = signals.days(rows, "score_date")
    rows = rows.assign(day=days, score=signals.numbers(rows, "score"))[days >= since].dropna(subset=["score"])
    origin = next((name for name in ORIGINS if (rows["origin"] == name).any()), "")
    told = rows[rows["origin"] == origin].sort_values(["symbol", "day", "known_at", "row_key"])
    return told.drop_duplicates("symbol", keep="last").reset_index(drop=True)


STRATEGY = Strategy(
    name="dc_insider_tilt",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "top": Param(default=30, low=1, high=100, meaning="names held at most"),
        "max_age_days": Param(default=10, low=1, high=60, meaning="calendar days after which a score is too old"),
        "min_score": Param(default=50.0, low=0.0, high=99.0, meaning="score that must be exceeded, 0 to 100; 50 is indifferent"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD; 1 is the exchanges' listing minimum"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="least median dollar volume a day, USD; 0 asks for none"),
        "universe": Param(default="all", choices=("all", "sp500", "sp1500"), meaning="names that may be held: all, or members of an index"),
    },
    description="The 30 companies with the highest DC insider scores, in proportion to score.",
    uses=("index_membership",),
)
