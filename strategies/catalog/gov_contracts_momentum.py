"""Companies to which the federal government has just committed much money for their size.

Last month's obligations on contracts, net of what was taken back, per dollar of market capitalisation. The rule is the one that vendors
of contract data describe; no paper is known that tests it as it stands. Belo, Gala and Li, "Government
spending, political cycles, and the cross section of stock returns", Journal of Financial Economics 107 (2013), find that cash flows and
returns of those who live by government spending change with the presidency; of single contracts they say nothing.

An action counts in the month in which the public could know of it: that of its announcement or, where the source names none, of the third
business day after it, within which agencies must report. What the Department of Defense holds back for 90 days is old news by then and
never counts. Quarterly sums tell of the same money once more and are left out.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from strategies import fundamentals, signals
from strategies.base import DataView, Param, Strategy, Targets, monthly, no_targets

DATASET = "gov_contracts"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
SMALLEST_USD = 1_000_000.0
"""Smaller actions are left out either way: not every origin tells of them, and they move no listed company."""
POSTED_WITHIN = 3
"""Business days in which agencies report an action: Federal Acquisition Regulation, 4.604."""
SAME_ACTION_DAYS = 7
"""Origins date one action by its announcement or by its posting, which lie no further apart."""
SIZES_KNOWN_FRAC = 0.5
"""From this share of the names on, capitalisation is the measure of size; below it, for all of them, a year's dollar volume."""
READ = ("symbol", "amount_usd", "action_date", "announced_date", "record_id", "modification", "period", "origin")


def run(
    view: DataView,
    *,
    min_usd: float = 50e6,
    top: int = 50,
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1e6,
) -> Targets:
    """Targets from the net obligations of the last calendar month over size; names with less than `min_usd` of them are not in question.

    Weights are proportional to the score, at most `max_weight` each. Names that are cheap, thin or of unknown size are skipped.
    """
    first, end = _last_month(view.asof)
    since = datetime.combine(first - timedelta(days=2 * SAME_ACTION_DAYS), time(), signals.NEW_YORK)
    actions = told_once(obligations(view.events(DATASET, since)))
    actions = actions[(actions["day"] >= pd.Timestamp(first)) & (actions["day"] < pd.Timestamp(end))]
    awarded = actions.groupby("symbol", sort=True)["amount_usd"].sum()
    awarded = awarded[awarded >= min_usd]
    if awarded.empty:
        return no_targets()
    skipped = signals.untradable(view, list(awarded.index), min_price=min_price, min_adv_usd=min_adv_usd)
    sizes, unknown = _sizes(view, [symbol for symbol in awarded.index if symbol not in skipped])
    symbols = sorted(sizes)
    scores = np.array([awarded[symbol] / sizes[symbol] for symbol in symbols])
    order = signals.descending(symbols, scores)[:top]
    weights = signals.capped_proportional(scores[order], total=min(1.0, len(order) / FULL_AT_NAMES), cap=max_weight)
    names = [symbols[i] for i in order]
    return signals.targets(names, weights, scores[order], _evidence(actions, names, sizes), skipped | unknown)


def _last_month(asof: datetime) -> tuple[date, date]:
    """First day of the calendar month before, and of the present one, in New York."""
    end = signals.new_york_day(asof).replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def obligations(events: pd.DataFrame) -> pd.DataFrame:
    """Actions of SMALLEST_USD and more either way: columns row_key, symbol, amount_usd, day, origin, by row_key.

    day: on which the public could know of it. What one origin says twice in the same words counts once.
    """
    rows = signals.event_rows(events, *READ)
    acted, day = signals.days(rows, "action_date"), signals.days(rows, "announced_date")
    unannounced = np.isnat(day) & ~np.isnat(acted)
    day[unannounced] = np.busday_offset(acted[unannounced], POSTED_WITHIN, roll="backward")
    texts = {name: pd.Series(signals.texts(rows, name), dtype="object") for name in ("symbol", "record_id", "modification", "origin")}
    numbers = {"amount_usd": signals.numbers(rows, "amount_usd"), "acted": acted, "day": day}
    found = pd.DataFrame({"row_key": rows["row_key"].astype("object")} | texts | numbers)
    large = found["amount_usd"].abs() >= SMALLEST_USD
    found = found[large & (found["symbol"] != "") & found["day"].notna() & (rows["period"] == "award").to_numpy(dtype=bool)]
    alike = [name for name in found.columns if name != "row_key"]
    return found.drop_duplicates(alike)[["row_key", "symbol", "amount_usd", "day", "origin"]].reset_index(drop=True)


def told_once(actions: pd.DataFrame) -> pd.DataFrame:
    """The actions without those of which another origin tells as well, by row_key.

    Actions of one company and amount, to the dollar, with no gap of more than SAME_ACTION_DAYS between them, are taken from the origin
    that tells of most of them.
    """
    days = actions["day"].to_numpy().astype("datetime64[D]").astype(np.int64).tolist()
    amounts = actions["amount_usd"].round().tolist()
    groups: dict[tuple[str, float], list[int]] = defaultdict(list)
    for place, named in enumerate(zip(actions["symbol"].tolist(), amounts, strict=True)):
        groups[named].append(place)
    origins, kept = actions["origin"].tolist(), list[int]()
    for places in groups.values():
        for cluster in _clusters(sorted(places, key=lambda place: days[place]), days):
            kept += _most_told(cluster, origins)
    return actions.iloc[sorted(kept)].reset_index(drop=True)


def _clusters(places: Sequence[int], days: Sequence[int]) -> list[list[int]]:
    """The places, in the order of their days, cut where nothing happens for more than SAME_ACTION_DAYS."""
    found = [[places[0]]]
    for before, place in pairwise(places):
        if days[place] - days[before] > SAME_ACTION_DAYS:
            found.append([])
        found[-1].append(place)
    return found


def _most_told(places: Sequence[int], origins: Sequence[str]) -> list[int]:
    """The places of the origin that has most of them, of equals the first by alphabet."""
    by_origin: dict[str, list[int]] = defaultdict(list)
    for place in places:
        by_origin[origins[place]].append(place)
    return min(by_origin.items(), key=lambda each: (-len(each[1]), each[0]))[1]


def _sizes(view: DataView, symbols: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Size of each name, USD, on one scale for all, and why others have none.

    Capitalisation, where it is known for SIZES_KNOWN_FRAC of the names, else the dollar volume of a year, which says so.
    """
    shares = fundamentals.Reported(view, symbols).newest(fundamentals.SHARES)
    capitals = fundamentals.capitalisation(view, signals.last_closes(view, symbols), shares)
    if len(capitals) >= SIZES_KNOWN_FRAC * len(symbols):
        return capitals, {symbol: "how many of its shares there are is not known" for symbol in symbols if symbol not in capitals}
    volumes = dict(zip(symbols, signals.dollar_volumes(view, symbols).tolist(), strict=True))
    note = f"shares outstanding are known for {len(capitals)} of {len(symbols)} names: size is a year's dollar volume"
    reasons = {symbol: "its dollar volume is not known" for symbol in symbols if volumes[symbol] <= 0}
    sizes = {symbol: volume * signals.PERIODS_PER_YEAR for symbol, volume in volumes.items() if volume > 0}
    return sizes, {fundamentals.DATASET: note} | reasons


def _evidence(actions: pd.DataFrame, names: Sequence[str], sizes: dict[str, float]) -> pd.DataFrame:
    """One row per action of the chosen names, with its dollars per dollar of size."""
    used = actions[actions["symbol"].isin(names)]
    keys, symbols = used["row_key"].tolist(), used["symbol"].tolist()
    return signals.evidence_frame(DATASET, keys, symbols, used["amount_usd"].to_numpy() / np.array([sizes[s] for s in symbols]))


STRATEGY = Strategy(
    name="gov_contracts_momentum",
    run=run,
    needs=(DATASET, "bars_daily"),
    uses=(fundamentals.DATASET, fundamentals.ACTIONS),
    rebalance=monthly("first_session"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "min_usd": Param(default=50e6, low=1e6, high=10e9, meaning="least net obligations of the month, USD"),
        "top": Param(default=50, low=1, high=100, meaning="names held at most"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1e6, low=0.0, high=1e9, meaning="lowest median dollar volume held, USD a day"),
    },
    description="Companies with at least $50M of new federal contracts last month, weighted by contracts relative to size.",
)
