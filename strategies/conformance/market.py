"""The generated market that every strategy is run on: listings, prices and all datasets, made from one seed and kept."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd

from strategies.conformance import crowds, officials, registers
from strategies.conformance.listings import ASOF, Listings, listings
from strategies.conformance.memory import MemoryWorld

ORDINARY, LARGE = 45, 500
"""Members of the S&P 500 in the market on which a strategy must be right, and in the one on which it must be fast."""
SEED = 7

Generator = Callable[[np.random.Generator, Listings], pd.DataFrame]
DATASETS: dict[str, Generator] = {
    "analyst_ratings": crowds.analyst_ratings,
    "app_ratings": crowds.app_ratings,
    "assets": registers.assets,
    "biotech_events": registers.biotech_events,
    "congress_trades": officials.congress_trades,
    "corporate_actions": registers.corporate_actions,
    "dc_insider_scores": officials.dc_insider_scores,
    "fundamentals": registers.fundamentals,
    "gov_contracts": officials.gov_contracts,
    "insider_trades": officials.insider_trades,
    "lobbying": officials.lobbying,
    "news": crowds.news,
    "reddit_mentions": crowds.reddit_mentions,
    "search_trends": crowds.search_trends,
    "vix": registers.vix,
    "wiki_pageviews": crowds.wiki_pageviews,
}


@cache
def world(n_members: int = ORDINARY) -> MemoryWorld:
    """The market of that size, the same object each time: nobody may modify it.

    Half the weekdays around ASOF have happened before it and forty sessions follow. Some stocks are young, stopped trading or have
    holes; every dataset has rows that become known after ASOF, corrections, several tellings of the same and cells without a value.
    """
    market = listings(np.random.default_rng(SEED), n_members)
    events = {name: make(np.random.default_rng((SEED, number)), market) for number, (name, make) in enumerate(DATASETS.items())}
    trained = [registers.market_regime(ASOF + timedelta(days=days), level) for days, level in ((-200, 3.2), (-20, 3.25), (9, 2.7))]
    return MemoryWorld(
        closes=market.closes,
        adj_closes=market.adj_closes,
        volumes=market.volumes,
        ranges=market.ranges,
        events=events,
        members=market.members,
        sectors=market.sectors,
        artifacts={"market_regime": trained},
    )
