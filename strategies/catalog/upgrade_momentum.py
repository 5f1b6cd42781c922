"""Stocks that analysts have begun to upgrade.

Upgrades less downgrades of the last month, beyond what the name is used to. Changes of recommendations carry returns for some weeks:
Womack, "Do brokerage analysts' recommendations have investment value?", Journal of Finance 51 (1996); Jegadeesh, Kim, Krische and Lee,
"Analyzing the analysts: when do recommendations add value?", Journal of Finance 59 (2004), who find the change to say more than the level.

Only changes of the grade count: no initiations, reiterations, changes of the price target alone, nor an "upgrade" between equal grades.
A firm counts once for each direction in a month. Where two origins tell of a name, the one that tells of most counts alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

DATASET = "analyst_ratings"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
USUAL_WINDOWS = 12
"""So many windows before the newest one are what a name is used to: about a year of months."""
SIGN = {"up": 1.0, "down": -1.0}
READ = ("symbol", "firm", "action", "from_grade", "to_grade", "origin")
COLUMNS = ["row_key", "symbol", "sign", "window"]


def run(
    view: DataView,
    *,
    days: int = 30,
    top: int = 20,
    min_net: int = 2,
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1e6,
) -> Targets:
    """Targets from upgrades less downgrades of the last `days` days, less the mean of the USUAL_WINDOWS such windows before.

    Only names with a net of at least `min_net` are in question. Weights are proportional to the score, at most `max_weight` each. All
    names with bars are compared: the rule names no index. Those that are cheap or thin are passed over.
    """
    length = timedelta(days=days)
    events = view.events(DATASET, view.asof - (1 + USUAL_WINDOWS) * length)
    changes = grade_changes(events, pd.Timestamp(view.asof), length)
    if changes.empty:
        return no_targets()
    newest = changes["window"] == 0
    net = changes["sign"].where(newest, 0.0).groupby(changes["symbol"], sort=True).sum()
    usual = changes["sign"].where(~newest, 0.0).groupby(changes["symbol"], sort=True).sum() / USUAL_WINDOWS
    in_question = net[net >= min_net].index
    symbols = [str(symbol) for symbol in in_question]
    scores = (net - usual).loc[in_question].to_numpy(dtype=np.float64)
    reasons = signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) if symbols else {}
    chosen, skipped = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    weights = signals.capped_proportional(scores[chosen], total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    return signals.targets(names, weights, scores[chosen], _evidence(changes, names), skipped)


def grade_changes(events: pd.DataFrame, asof: pd.Timestamp, length: timedelta) -> pd.DataFrame:
    """Upgrades (+1) and downgrades (-1): columns row_key, symbol, sign, window, by symbol, window and row_key.

    window: 0 for the `length` before `asof`, 1 for that before, up to USUAL_WINDOWS. In each window a firm counts once for a direction.
    """
    rows = signals.event_rows(events, *READ)
    rows = rows[rows["action"].isin(SIGN) & rows["symbol"].notna()]
    age = (asof - pd.to_datetime(rows["event_at"], utc=True)).dt.total_seconds() / length.total_seconds()
    rows = rows.assign(window=np.floor(age))[(age >= 0) & (age < 1 + USUAL_WINDOWS)]
    told: dict[tuple[str, int], dict[str, dict[tuple[str, str], str]]] = defaultdict(lambda: defaultdict(dict))
    columns = (signals.texts(rows, name) for name in ("row_key", *READ))
    for key, symbol, firm, action, before, after, origin, window in zip(*columns, rows["window"].tolist(), strict=True):
        if _plain(before) != _plain(after) or not _plain(after):
            told[symbol, int(window)][origin].setdefault((_firm(firm), action), key)
    found = [
        (key, symbol, SIGN[action], window)
        for (symbol, window), by_origin in sorted(told.items())
        for (_, action), key in sorted(_most_told(by_origin).items(), key=lambda each: each[1])
    ]
    return pd.DataFrame(found, columns=COLUMNS).astype({"sign": "float64"})


def _most_told(by_origin: dict[str, dict[tuple[str, str], str]]) -> dict[tuple[str, str], str]:
    """What the origin says that says most, of equals the first by alphabet."""
    return min(by_origin.items(), key=lambda each: (-len(each[1]), each[0]))[1]


def _plain(text: str) -> str:
    """Letters and digits alone, in small letters: `Equal-Weight` and `Equal Weight` are one grade."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _firm(name: str) -> str:
    """A firm's name without its punctuation and legal form."""
    return _plain(name.casefold().replace("&", "").removesuffix(".").removesuffix(" inc").removesuffix(" llc").removesuffix(" co"))


def _evidence(changes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """One row per change of a grade: those of the last month with their sign, those of the year before against it, each a twelfth."""
    used = changes[changes["symbol"].isin(names)]
    parts = np.where(used["window"] == 0, used["sign"], -used["sign"] / USUAL_WINDOWS)
    return signals.evidence_frame(DATASET, used["row_key"].tolist(), used["symbol"].tolist(), parts)


STRATEGY = Strategy(
    name="upgrade_momentum",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "days": Param(default=30, low=7, high=90, meaning="calendar days of changes that are a surge, and of each window before"),
        "top": Param(default=20, low=1, high=50, meaning="names held at most"),
        "min_net": Param(default=2, low=1, high=10, meaning="least upgrades less downgrades within `days`, firms"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1e6, low=0.0, high=1e9, meaning="lowest median dollar volume held, USD a day"),
    },
    description="The 20 names with the most upgrades less downgrades in a month beyond what they are used to.",
)
