"""Whose Wikipedia article is suddenly read: index members with the largest rise of page views over their own habit.

A day's views are compared with the median of the same weekday over the weeks before, on a logarithmic scale and in units of the
article's own usual deviation, so that neither a popular company nor the calm of weekends counts as news. Attention of small investors
precedes their purchases: Da, Engelberg and Gao, "In Search of Attention", Journal of Finance 66 (2011). Against it stand Moat and others,
"Quantifying Wikipedia Usage Patterns Before Stock Market Moves", Scientific Reports 3 (2013), who find more views before falls.

A day without a row is missing, not zero. Of several articles of a company the most read of the whole span stands for it: one that was
renamed or added lately has no habit to compare with. Share classes share their company's article, and one of them is held.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly
from strategies.signals import Floats

DATASET = "wiki_pageviews"
INDICES = ("sp500", "sp400", "sp600")
FULL_AT_NAMES = 5
WEEK = 7
MAX_LAG_DAYS = 5
"""The newest day that most articles have may be so many days old; older views are not acted on."""
USABLE_FRAC = 2 / 3
"""So much of the recent days must have views."""
LEAST_SCALE = 0.1
"""An article steadier than this (log views, about 10 %) is judged as if it were not."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readership:
    """Log views by day: log_views (n_days, n_symbols), NaN for a missing day; rows: row keys in the same shape, empty where missing.

    articles: the article that stands for each symbol. The last `days` rows are recent, those before are whole weeks.
    """

    symbols: list[str]
    articles: list[str]
    log_views: Floats
    rows: NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What is usual by weekday: log views (7, n_symbols), and the two days (their places in the span) between which that median lies."""

    usual: Floats
    below: Indices
    above: Indices


def run(
    view: DataView,
    *,
    days: int = 7,
    weeks: int = 8,
    top: int = 10,
    min_score: float = 1.0,
    min_views: float = 50.0,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
) -> Targets:
    """Targets from the mean, over the last `days` complete days, of log views less what is usual on the weekday, per usual deviation.

    Equal weights of the `top` highest from `min_score` on. Members without enough days, or with fewer than `min_views` usual views a
    day, have no score; thin, cheap and stale names are passed over with the reason.
    """
    unknown = {index: "no members of the index are known" for index in INDICES if not view.universe(index)}
    found = readership(view, signals.members(view, *INDICES), days, weeks)
    if found is None:
        return no_targets(unknown | ({DATASET: f"no page views of the last {MAX_LAG_DAYS} days"} if len(unknown) < len(INDICES) else {}))
    habit = weekday_habit(found.log_views[:-days], weeks)
    scale = deviation(found.log_views[:-days], habit)
    surprise = found.log_views[-days:] - habit.usual[np.arange(days) % WEEK]
    scores = surges(surprise, scale, np.expm1(habit.usual), min_views)
    scores = np.where(scores >= min_score, scores, np.nan)
    rising = [i for i in range(len(scores)) if scores[i] > 0]
    reasons = signals.untradable(view, [found.symbols[i] for i in rising], min_price=min_price, min_adv_usd=min_adv_usd)
    reasons |= signals.same_source([found.symbols[i] for i in rising], [found.articles[i] for i in rising], reasons)
    chosen, passed = signals.ranked(found.symbols, scores, reasons, top)
    evidence = _evidence(found, habit, surprise, scale, chosen)
    weights = signals.equal_weights(len(chosen), full_at=FULL_AT_NAMES)
    return signals.targets([found.symbols[i] for i in chosen], weights, scores[chosen], evidence, unknown | passed)


def readership(view: DataView, members: list[str], days: int, weeks: int) -> Readership | None:
    """The span of `weeks` weeks and `days` days that ends with the newest complete day that at least half of the articles have.

    None when that day is older than MAX_LAG_DAYS, or nobody has views.
    """
    today = view.asof.astimezone(UTC).date()
    length = weeks * WEEK + days
    told = signals.told_rows(
        view.events(DATASET, view.asof - timedelta(days=length + MAX_LAG_DAYS + 1)), ("symbol", "article", "day"), ("views",)
    )
    told = told[told["symbol"].isin(members)]
    ages = signals.day_ages(told, "day", today)
    views = signals.numbers(told, "views")
    told = told.assign(age=ages, views=views)[(ages >= 1) & (views >= 0)]
    newest = _newest_age(told)
    if newest is None:
        return None
    inside = told[(told["age"] >= newest) & (told["age"] < newest + length)]
    return _spread_out(_main_articles(inside), newest, length)


def _newest_age(told: pd.DataFrame) -> int | None:
    """Age in days of the newest day on which at least half as many symbols have views as on the fullest day."""
    counts = np.bincount(told["age"].to_numpy(dtype=np.int64), minlength=1)
    enough = np.flatnonzero(2 * counts >= max(int(counts.max()), 1))
    return int(enough[0]) if len(enough) and enough[0] <= MAX_LAG_DAYS else None


def _main_articles(told: pd.DataFrame) -> pd.DataFrame:
    """The rows of each symbol's most read article; of equally read ones the first by alphabet."""
    totals = told.groupby(["symbol", "article"], sort=True)["views"].sum().reset_index()
    best = totals.sort_values("views", ascending=False, kind="stable").drop_duplicates("symbol")
    return told.merge(best[["symbol", "article"]], on=["symbol", "article"])


def _spread_out(told: pd.DataFrame, newest: int, length: int) -> Readership:
    codes, symbols = pd.factorize(told["symbol"], sort=True)
    row = length - 1 - (told["age"].to_numpy(dtype=np.int64) - newest)
    log_views, rows = np.full((length, len(symbols)), np.nan), np.full((length, len(symbols)), "", dtype=object)
    log_views[row, codes] = np.log1p(told["views"].to_numpy(dtype=np.float64))
    rows[row, codes] = told["row_key"].to_numpy(dtype=object)
    articles = np.full(len(symbols), "", dtype=object)
    articles[codes] = told["article"].to_numpy(dtype=object)
    return Readership(symbols=[str(s) for s in symbols], articles=[str(a) for a in articles], log_views=log_views, rows=rows)


def weekday_habit(log_views: Floats, weeks: int) -> Habit:
    """Medians by weekday of whole weeks of log views (7 * weeks, n_symbols); NaN where fewer than half of the weeks have the day."""
    blocks = log_views.reshape(weeks, WEEK, -1)
    order = np.argsort(blocks, axis=0, kind="stable")
    counts = np.isfinite(blocks).sum(axis=0)
    middle = [np.take_along_axis(order, np.maximum(place, 0)[None], axis=0)[0] for place in ((counts - 1) // 2, counts // 2)]
    values = [np.take_along_axis(blocks, place[None], axis=0)[0] for place in middle]
    usual = np.where(2 * counts >= weeks, (values[0] + values[1]) / 2.0, np.nan)
    weekday = np.arange(WEEK)[:, None]
    return Habit(usual=usual, below=middle[0] * WEEK + weekday, above=middle[1] * WEEK + weekday)


def deviation(log_views: Floats, habit: Habit) -> Floats:
    """The usual distance of a day from its weekday's median, 1.4826 times the median of them, at least LEAST_SCALE. Shape (n_symbols,)."""
    distances = np.abs(log_views.reshape(-1, WEEK, log_views.shape[1]) - habit.usual).reshape(log_views.shape)
    known = np.isfinite(distances).any(axis=0)
    scale = np.full(log_views.shape[1], np.nan)
    scale[known] = np.maximum(1.4826 * np.nanmedian(distances[:, known], axis=0), LEAST_SCALE)
    return scale


def surges(surprise: Floats, scale: Floats, usual_views: Floats, min_views: float) -> Floats:
    """Mean surprise per deviation (n_symbols,); NaN with too few recent days or too few usual views."""
    usable = np.isfinite(surprise)
    count = usable.sum(axis=0)
    mean = np.where(usable, surprise, 0.0).sum(axis=0) / np.maximum(count, 1)
    weekdays = np.isfinite(usual_views)
    read = np.where(weekdays, usual_views, 0.0).sum(axis=0) / np.maximum(weekdays.sum(axis=0), 1)
    enough = (count >= USABLE_FRAC * len(surprise)) & (read >= min_views)
    return np.where(enough, mean / scale, np.nan)


def _evidence(found: Readership, habit: Habit, surprise: Floats, scale: Floats, chosen: list[int]) -> pd.DataFrame:
    """Each recent day with its log views per n deviations, and with the opposite sign the days that are its weekday's median."""
    keys: list[str] = []
    symbols: list[str] = []
    contributions: list[float] = []
    days = len(surprise)
    for i in chosen:
        usable = np.flatnonzero(np.isfinite(surprise[:, i]))
        share = np.zeros(len(found.log_views))
        share[len(share) - days + usable] = 1.0
        for middle in (habit.below, habit.above):
            np.subtract.at(share, middle[usable % WEEK, i], 0.5)
        used = np.flatnonzero(share)
        keys += found.rows[used, i].tolist()
        symbols += [found.symbols[i]] * len(used)
        contributions += (share[used] * found.log_views[used, i] / (len(usable) * scale[i])).tolist()
    return signals.evidence_frame(DATASET, keys, symbols, np.asarray(contributions, dtype=np.float64))


STRATEGY = Strategy(
    name="wiki_attention_surge",
    run=run,
    needs=(DATASET, "index_membership", "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "days": Param(default=7, low=1, high=14, meaning="newest complete days whose views are judged"),
        "weeks": Param(default=8, low=4, high=26, meaning="weeks before them from which the habit is taken"),
        "top": Param(default=10, low=1, high=50, meaning="names held at most"),
        "min_score": Param(default=1.0, low=0.0, high=10.0, meaning="least rise held, in the article's usual deviations"),
        "min_views": Param(default=50.0, low=1.0, high=100_000.0, meaning="least usual views a day"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="lowest median dollar volume a day, USD"),
    },
    description="The 10 S&P 1500 stocks whose Wikipedia articles are read most above their habit by weekday.",
)
