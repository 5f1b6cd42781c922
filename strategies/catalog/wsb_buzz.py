"""What r/wallstreetbets has begun to talk about: the symbols whose mentions of the last week rise fastest above the weeks before.

A rise is the week's mentions a day less the median of the earlier weeks, as a multiple of that median or of a minimum base, so that one
wild week hides no later rise and a handful of posts makes none. The rule is ours. That the forum moves prices within the day: Long, Lucey,
Xie and Yarovaya, "I just like the stock: the role of Reddit sentiment in the GameStop share rally", Financial Review 58 (2023). That its
advice foretold returns before GameStop's squeeze of January 2021 and no longer after: Bradley, Hanousek, Jame and Xiao, "Place your bets?
The value of investment research on Reddit's Wallstreetbets", Review of Financial Studies 37 (2024).

Posts that we read, a ranking and an archive count on different scales. They are never mixed: every decision uses the one origin that
covers most of the span. Days are spans of 24 hours back from the decision, so that weeks are whole weeks.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import NAMES, DataView, Param, Strategy, Targets, listed, no_targets, weekly
from strategies.signals import Floats

DATASET = "reddit_mentions"
FORUM = "wallstreetbets"
POSTS, SNAPSHOT = ("submission", "comment"), "snapshot"
INDEX_FUNDS = "DIA; IWM; QQQ; SPY; SQQQ; TQQQ; UVXY; VXX"
FULL_AT_NAMES = 8
WEEK = 7
LEAST_DAYS = 4
"""A week counts when the origin tells of so many of its days."""
LEAST_WEEKS = 2
MOST_SYMBOLS = 10
"""A post that names more symbols is a list, and says nothing of each."""
NAMED_A_DAY = 10
"""Evidence names so many rows of a symbol and day at most; they bear the contribution of the whole day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """The rows of one origin: columns row_key, symbol, mentions, day (0: the last 24 hours). counts: (weeks + 1, 7, n_symbols), the last
    week first. covered: (weeks + 1,) days of each week of which the origin tells at all."""

    rows: pd.DataFrame
    symbols: list[str]
    counts: Floats
    covered: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """scores (n_symbols,), and how much a mention of each week adds to each: share (weeks + 1, n_symbols)."""

    scores: Floats
    share: Floats


def run(
    view: DataView,
    *,
    weeks: int = 4,
    top: int = 15,
    min_mentions: int = 20,
    min_base: float = 1.0,
    excluded: str = INDEX_FUNDS,
    min_price: float = 1.0,
    min_adv_usd: float = 5_000_000.0,
) -> Targets:
    """Targets from (mentions a day of the last week - median of the `weeks` weeks before) / max(that median, `min_base`).

    Equal weights of the `top` highest positive rises among symbols with `min_mentions` in the last week. Thin, cheap, stale and excluded
    names are passed over with the reason. Nothing is wanted until two earlier weeks are covered.
    """
    found = mentions(view, weeks)
    if found is None:
        return no_targets()
    rise = rises(found, min_mentions, min_base)
    rising = [found.symbols[i] for i in np.flatnonzero(rise.scores > 0)]
    reasons = signals.untradable(view, rising, min_price=min_price, min_adv_usd=min_adv_usd)
    reasons |= dict.fromkeys(set(rising).intersection(listed(excluded)), "excluded by name")
    chosen, passed = signals.ranked(found.symbols, rise.scores, reasons, top)
    weights = signals.equal_weights(len(chosen), full_at=FULL_AT_NAMES)
    evidence = _evidence(found, rise, chosen)
    return signals.targets([found.symbols[i] for i in chosen], weights, rise.scores[chosen], evidence, passed)


def mentions(view: DataView, weeks: int) -> Mentions | None:
    """Mentions by day of the origin that covers most weeks, then most days (by alphabet where equal); None when none covers enough.

    A snapshot counts the 24 hours before it: of several within a day the newest stands for it.
    """
    length = (weeks + 1) * WEEK
    events = view.events(DATASET, view.asof - timedelta(days=length))
    told = signals.told_rows(events, ("origin", "forum", "item_id", "symbol"), ("kind", "mentions"))
    told = told[told["forum"] == FORUM]
    if told.empty:
        return None
    since = (pd.Timestamp(view.asof) - pd.to_datetime(told["event_at"], utc=True)) // pd.Timedelta(days=1)
    told = told.assign(day=since.to_numpy(dtype=np.int64), mentions=signals.numbers(told, "mentions"))
    told = told[(told["day"] >= 0) & (told["day"] < length) & (told["mentions"] >= 0)]
    best: tuple[int, int] = (LEAST_WEEKS, 0)
    chosen: tuple[pd.DataFrame, Floats] | None = None
    for _, rows in told.groupby("origin", sort=True):
        covered = _covered(rows, weeks)
        extent = (int((covered[1:] >= LEAST_DAYS).sum()), int(covered.sum()))
        if covered[0] >= LEAST_DAYS and extent > best:
            best, chosen = extent, (rows, covered)
    return None if chosen is None else _counted(_once(chosen[0]), chosen[1], weeks)


def _covered(rows: pd.DataFrame, weeks: int) -> Floats:
    """Days of each week with any row, (weeks + 1,)."""
    told = np.zeros((weeks + 1) * WEEK)
    told[rows["day"].to_numpy(dtype=np.int64)] = 1.0
    covered: Floats = told.reshape(weeks + 1, WEEK).sum(axis=1)
    return covered


def _once(rows: pd.DataFrame) -> pd.DataFrame:
    """Without posts that are lists of symbols, and without all but the newest snapshot of each day."""
    crowded = rows["kind"].isin(POSTS) & (rows.groupby("item_id")["symbol"].transform("size") > MOST_SYMBOLS)
    newest = rows["event_at"] == rows.groupby("day")["event_at"].transform("max")
    return rows[~crowded & ((rows["kind"] != SNAPSHOT) | newest)]


def _counted(rows: pd.DataFrame, covered: Floats, weeks: int) -> Mentions:
    codes, symbols = pd.factorize(rows["symbol"], sort=True)
    counts = np.zeros(((weeks + 1) * WEEK, len(symbols)))
    np.add.at(counts, (rows["day"].to_numpy(dtype=np.int64), codes), rows["mentions"].to_numpy(dtype=np.float64))
    names = [str(symbol) for symbol in symbols]
    return Mentions(rows=rows, symbols=names, counts=counts.reshape(weeks + 1, WEEK, -1), covered=covered)


def rises(found: Mentions, min_mentions: int, min_base: float) -> Rise:
    """The rise of each symbol, NaN below `min_mentions` in the last week; weeks of which too few days are covered are left out."""
    sums = found.counts.sum(axis=1)
    earlier = 1 + np.flatnonzero(found.covered[1:] >= LEAST_DAYS)
    rates = sums[earlier] / found.covered[earlier, None]
    order = np.argsort(rates, axis=0, kind="stable")
    share = np.zeros_like(sums)
    columns = np.arange(sums.shape[1])
    for middle in ((len(earlier) - 1) // 2, len(earlier) // 2):
        week = earlier[order[middle]]
        share[week, columns] -= 0.5 / found.covered[week]
    share[0] = 1.0 / found.covered[0]
    base = -(share[1:] * sums[1:]).sum(axis=0)
    share /= np.maximum(base, min_base)
    scores = np.where(sums[0] >= min_mentions, (share * sums).sum(axis=0), np.nan)
    return Rise(scores=scores, share=share)


def _evidence(found: Mentions, rise: Rise, chosen: list[int]) -> pd.DataFrame:
    """Rows of the last week, and with the opposite sign those of the week or the two weeks that are the median."""
    symbols = [found.symbols[i] for i in chosen]
    rows = found.rows[found.rows["symbol"].isin(symbols) & (found.rows["mentions"] > 0)]
    place = rows["symbol"].map({found.symbols[i]: i for i in chosen}).to_numpy(dtype=np.int64)
    rows = rows.assign(share=rise.share[rows["day"].to_numpy(dtype=np.int64) // WEEK, place])
    rows = rows[rows["share"] != 0].sort_values(["symbol", "day", "row_key"])
    days = rows.groupby(["symbol", "day"])
    whole = days["mentions"].transform("sum")
    named = rows[days.cumcount() < NAMED_A_DAY].assign(whole=whole)
    part = named["mentions"] / named.groupby(["symbol", "day"])["mentions"].transform("sum")
    contributions = (part * named["whole"] * named["share"]).to_numpy(dtype=np.float64)
    return signals.evidence_frame(DATASET, named["row_key"].tolist(), named["symbol"].tolist(), contributions)


STRATEGY = Strategy(
    name="wsb_buzz",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "weeks": Param(default=4, low=2, high=12, meaning="earlier weeks that the last one is compared with"),
        "top": Param(default=15, low=1, high=50, meaning="names held at most"),
        "min_mentions": Param(default=20, low=1, high=100_000, meaning="least mentions in the last week"),
        "min_base": Param(default=1.0, low=0.1, high=10_000.0, meaning="mentions a day from which a rise is measured at least"),
        "excluded": Param(
            default=INDEX_FUNDS, pattern=NAMES, examples=("", "SPY; TSLA"), meaning="symbols never held: funds named for the market"
        ),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=5_000_000.0, low=0.0, high=1e9, meaning="lowest median dollar volume a day, USD"),
    },
    description="The 15 symbols whose mentions in r/wallstreetbets rise fastest above those of the weeks before.",
)
