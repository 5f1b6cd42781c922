"""Whose apps catch on: names with the largest jump in rating together with the largest growth of the number of new ratings.

Of every app three readings are compared: the newest, the one `days` days before it, and the oldest of up to twice as many days before
that. They give the change of the average rating, and the new ratings of the last `days` days against those that the app's own pace before
would have brought. Both are measured in units of their spread across names and added up. That consumers' opinions foretell returns:
Huang, "The customer knows best: the investment value of consumer opinions", Journal of Financial Economics 128 (2018); for apps there is
no paper that we follow.

A company's apps count by their number of ratings. Where several origins tell of them the one that knows more ratings counts alone. New apps
have no pace, and an app whose count fell was reset; both are out.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly
from strategies.signals import Floats

DATASET = "app_ratings"
APP = ("origin", "symbol", "app_id", "app_name", "publisher")
FULL_AT_NAMES = 8
TOLERANCE_DAYS = 7
"""A reading stands for a day up to so many days later. Before the recent days, an app's own pace takes at least as many."""
RESET_FRAC = 0.95
"""A count below this part of the reading before was reset; smaller falls are removals of single ratings."""
USUAL_RATINGS = 10.0
"""Added to both numbers of new ratings, so that a handful after none is no growth without limit."""
LEAST_RATING_SPREAD, LEAST_GROWTH_SPREAD = 0.005, 0.05

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Readings of apps by day: rating and count (n_days, n_apps), NaN where there was none; rows: row keys in the same shape.

    apps: columns of APP, in their order.
    """

    apps: pd.DataFrame
    rating: Floats
    count: Floats
    rows: NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of each usable app, by place in Readings: its days of reading (oldest, before, newest), and their comparison.

    rating_before, rating_now: averages. new, expected: logarithms of the new ratings and of those expected, both plus USUAL_RATINGS.
    size: ratings at the beginning of the recent days.
    """

    place: Places
    days: Places
    rating_before: Floats
    rating_now: Floats
    new: Floats
    expected: Floats
    size: Floats


def run(
    view: DataView,
    *,
    days: int = 28,
    top: int = 20,
    min_ratings: int = 1000,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
) -> Targets:
    """Targets from rating change / its spread across names + log growth of new ratings / its spread.

    Equal weights of the `top` highest among names whose rating and number of new ratings both rose. Apps with fewer than `min_ratings`
    are out; thin, cheap and stale names are passed over with the reason.
    """
    found = readings(view, days)
    if found is None:
        return no_targets()
    changes = comparable(found, days, min_ratings)
    symbols, weight, owner = _by_symbol(found, changes)
    jump = np.zeros(len(symbols))
    growth = np.zeros(len(symbols))
    np.add.at(jump, owner, weight * (changes.rating_now - changes.rating_before))
    np.add.at(growth, owner, weight * (changes.new - changes.expected))
    jump_unit = signals.robust_spread(jump, floor=LEAST_RATING_SPREAD)
    growth_unit = signals.robust_spread(growth, floor=LEAST_GROWTH_SPREAD)
    scores = np.where((jump > 0) & (growth > 0), jump / jump_unit + growth / growth_unit, np.nan)
    rising = [symbols[i] for i in np.flatnonzero(scores > 0)]
    reasons = signals.untradable(view, rising, min_price=min_price, min_adv_usd=min_adv_usd)
    sources = _sources(found, changes, symbols, owner)
    reasons |= signals.same_source(rising, [sources[symbols.index(symbol)] for symbol in rising], reasons)
    chosen, passed = signals.ranked(symbols, scores, reasons, top)
    evidence = _evidence(found, changes, [(i, symbols[i]) for i in chosen], owner, weight / jump_unit, weight / growth_unit)
    weights = signals.equal_weights(len(chosen), full_at=FULL_AT_NAMES)
    return signals.targets([symbols[i] for i in chosen], weights, scores[chosen], evidence, passed)


def readings(view: DataView, days: int) -> Readings | None:
    """Averages and numbers of all ratings so far, by day; written reviews are left out, whose feed ends at the newest 500."""
    length = 3 * days + 3 * TOLERANCE_DAYS
    events = view.events(DATASET, view.asof - timedelta(days=length))
    told = signals.told_rows(events, (*APP, "kind", "day"), ("rating", "rating_count"))
    ages = signals.day_ages(told, "day", signals.new_york_day(view.asof))
    told = told.assign(age=ages, rating=signals.numbers(told, "rating"), count=signals.numbers(told, "rating_count"))
    told = told[(told["kind"] == "total") & (ages >= 0) & (ages < length) & (told["count"] > 0)]
    if told.empty:
        return None
    grouped = told.groupby(list(APP), sort=True)
    codes = grouped.ngroup().to_numpy(dtype=np.int64)
    at = (length - 1 - told["age"].to_numpy(dtype=np.int64), codes)
    shape = (length, int(codes.max()) + 1)
    rating, count, rows = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, "", dtype=object)
    rating[at], count[at] = told["rating"].to_numpy(dtype=np.float64), told["count"].to_numpy(dtype=np.float64)
    rows[at] = told["row_key"].to_numpy(dtype=object)
    apps = told[list(APP)].assign(code=codes).drop_duplicates("code").sort_values("code", ignore_index=True)
    return Readings(apps=apps[list(APP)], rating=rating, count=count, rows=rows)


def comparable(found: Readings, days: int, min_ratings: int) -> Changes:
    """The apps that have a newest reading not older than TOLERANCE_DAYS, one `days` before it and an earlier one, whose count was never
    reset in between and was `min_ratings` at the beginning of the recent days."""
    there = np.isfinite(found.count)
    length = len(there)
    newest = _last_until(there, np.full(there.shape[1], length - 1))
    before = _last_until(there, newest - days)
    oldest = _first_from(there, np.maximum(before - 2 * days, 0))
    usable = (newest >= length - 1 - TOLERANCE_DAYS) & (before >= newest - days - TOLERANCE_DAYS) & (before >= 0)
    usable &= before - oldest >= TOLERANCE_DAYS
    place = np.flatnonzero(usable)
    steps = np.stack([oldest[place], before[place], newest[place]])
    resets = _resets(found.count)
    counts = found.count[steps, place]
    kept = (resets[steps[2], place] == resets[steps[0], place]) & (counts[1] >= min_ratings)
    place, steps, counts = place[kept], steps[:, kept], counts[:, kept]
    pace = np.maximum(counts[1] - counts[0], 0.0) / (steps[1] - steps[0])
    return Changes(
        place=place,
        days=steps,
        rating_before=found.rating[steps[1], place],
        rating_now=found.rating[steps[2], place],
        new=np.log(np.maximum(counts[2] - counts[1], 0.0) + USUAL_RATINGS),
        expected=np.log(pace * (steps[2] - steps[1]) + USUAL_RATINGS),
        size=counts[1],
    )


def _last_until(there: NDArray[np.bool_], day: Places) -> Places:
    """The newest day with a reading up to a day, by app; -1 where there is none."""
    numbers = np.where(there, np.arange(len(there))[:, None], -1)
    newest = np.maximum.accumulate(numbers, axis=0)
    return np.where(day >= 0, newest[np.maximum(day, 0), np.arange(there.shape[1])], -1)


def _first_from(there: NDArray[np.bool_], day: Places) -> Places:
    """The oldest day with a reading from a day on, by app; the number of days where there is none."""
    numbers = np.where(there, np.arange(len(there))[:, None], len(there))
    oldest: Places = np.minimum.accumulate(numbers[::-1], axis=0)[::-1][day, np.arange(there.shape[1])]
    return oldest


def _resets(count: Floats) -> Places:
    """How often the count of each app had been reset by each day, (n_days, n_apps)."""
    last = np.full(count.shape[1], np.nan)
    fell = np.zeros(count.shape, dtype=np.int64)
    for day, told in enumerate(count):
        fell[day] = told < RESET_FRAC * last
        last = np.where(np.isfinite(told), told, last)
    return np.cumsum(fell, axis=0)


def _by_symbol(found: Readings, changes: Changes) -> tuple[list[str], Floats, Places]:
    """Symbols with usable apps; of each app its weight in its symbol, and the symbol's place. Apps of a symbol's other origins weigh
    nothing: the origin with most ratings counts, the first by alphabet of equal ones."""
    apps = found.apps.loc[changes.place, ["symbol", "origin"]].assign(size=changes.size)
    totals = apps.groupby(["symbol", "origin"], sort=True)["size"].sum().reset_index()
    best = totals.sort_values("size", ascending=False, kind="stable").drop_duplicates("symbol").set_index("symbol").sort_index()
    symbols = [str(symbol) for symbol in best.index]
    owner = np.searchsorted(np.asarray(symbols, dtype=object), apps["symbol"].to_numpy(dtype=object)).astype(np.int64)
    counted = apps["origin"].to_numpy(dtype=object) == best["origin"].to_numpy(dtype=object)[owner]
    return symbols, np.where(counted, changes.size / best["size"].to_numpy(dtype=np.float64)[owner], 0.0), owner


def _sources(found: Readings, changes: Changes, symbols: list[str], owner: Places) -> list[str]:
    """What tells a symbol's set of apps from another's."""
    apps = found.apps.loc[changes.place]
    named = zip(*(apps[name].tolist() for name in ("origin", "app_id", "app_name", "publisher")), strict=True)
    sets: list[list[str]] = [[] for _ in symbols]
    for names, place in zip(named, owner.tolist(), strict=True):
        sets[place].append(" | ".join(map(str, names)))
    return ["\n".join(sorted(names)) for names in sets]


def _evidence(
    found: Readings, changes: Changes, chosen: list[tuple[int, str]], owner: Places, per_star: Floats, per_growth: Floats
) -> pd.DataFrame:
    """Three readings of each app: the newest with its rating and new ratings, the one before with its rating, the oldest with the pace."""
    keys: list[str] = []
    symbols: list[str] = []
    contributions: list[float] = []
    for place, symbol in chosen:
        mine = np.flatnonzero((owner == place) & (per_star > 0))
        keys += found.rows[changes.days[::-1, mine], changes.place[mine]].ravel().tolist()
        symbols += [symbol] * (3 * len(mine))
        stars, growth = per_star[mine], per_growth[mine]
        contributions += (stars * changes.rating_now[mine] + growth * changes.new[mine]).tolist()
        contributions += (-stars * changes.rating_before[mine]).tolist()
        contributions += (-growth * changes.expected[mine]).tolist()
    return signals.evidence_frame(DATASET, keys, symbols, np.asarray(contributions, dtype=np.float64))


STRATEGY = Strategy(
    name="app_hype",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "days": Param(default=28, low=7, high=90, meaning="calendar days over which rating and new ratings are compared"),
        "top": Param(default=20, low=1, high=50, meaning="names held at most"),
        "min_ratings": Param(default=1000, low=1, high=10_000_000, meaning="least ratings of an app at the beginning of those days"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="lowest median dollar volume a day, USD"),
    },
    description="The 20 names with the largest jump in the rating of their apps and in the number of new ratings.",
)
