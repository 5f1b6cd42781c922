"""Whom people look up while the news is good: rising search interest together with a kind press.

Search interest of the last four weeks is compared with that of the twelve before, the mean tone of a month's stories must be positive, and
both are added up in units of their spread across names. Rising search volume precedes purchases of small investors: Da, Engelberg and Gao,
"In Search of Attention", Journal of Finance 66 (2011); tone of news foretells returns: Tetlock, "Giving Content to Investor Sentiment",
Journal of Finance 62 (2007). The tone is VADER's: Hutto and Gilbert (2014).

Values of search interest are on one scale only inside a batch. A batch that has a past of its own (Google) is compared with itself. A batch
of many names on one day (Quiver) gives each name's interest relative to the mean of that batch, and only these ratios are compared from
batch to batch, never the levels.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, monthly, no_targets
from strategies.signals import Floats

SEARCHES, NEWS = "search_trends", "news"
FULL_AT_NAMES = 10
WEEK = 7
MAX_LAG_DAYS = 10
"""A name's newest value of search interest may be so many days old."""
LEAST_VALUES = 4
"""Both of the spans that are compared need so many values,"""
LEAST_PAST_DAYS = 14
"""and the earlier one has to reach back so many days before the later one."""
LEAST_INTEREST = 0.01
"""Of a whole batch's largest value, or of the mean of a batch's names: what is searched for less often has no meaningful change."""
LEAST_NAMES = 20
"""A batch with so many names on a day can be compared with others by its mean."""
SAME_STORY = timedelta(days=3)
"""The same headline so soon after is the same story told again."""
LEAST_RISE_SPREAD, LEAST_TONE_SPREAD = 0.05, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One score by symbol, and the rows that make it. scores: by symbol, sorted. rows: columns row_key, symbol, part; the parts of a
    symbol sum to its score."""

    scores: pd.Series
    rows: pd.DataFrame


def run(
    view: DataView,
    *,
    top: int = 30,
    recent_weeks: int = 4,
    earlier_weeks: int = 12,
    news_days: int = 30,
    min_rise: float = 0.05,
    min_sentiment: float = 0.05,
    min_articles: int = 3,
    max_symbols: int = 5,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
) -> Targets:
    """Targets from rise / its spread + tone / its spread over names that are searched for and written about.

    Equal weights of the `top` highest among names with a rise from `min_rise` and a mean tone from `min_sentiment` on, both above zero.
    Thin, cheap and stale names are passed over with the reason.
    """
    rise = search_rise(view, recent_weeks * WEEK, earlier_weeks * WEEK)
    tone = news_tone(view, news_days, min_articles, max_symbols)
    both = rise.scores.index.intersection(tone.scores.index).sort_values()
    if both.empty:
        return no_targets()
    symbols = [str(symbol) for symbol in both]
    rises, tones = (np.asarray(signal.scores.loc[both].to_numpy(dtype=np.float64)) for signal in (rise, tone))
    rise_unit = signals.robust_spread(rises, floor=LEAST_RISE_SPREAD)
    tone_unit = signals.robust_spread(tones, floor=LEAST_TONE_SPREAD)
    good = (rises >= min_rise) & (tones >= min_sentiment) & (rises > 0) & (tones > 0)
    scores = np.where(good, rises / rise_unit + tones / tone_unit, np.nan)
    reasons = signals.untradable(view, [symbols[i] for i in np.flatnonzero(good)], min_price=min_price, min_adv_usd=min_adv_usd)
    chosen, passed = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    evidence = pd.concat(
        [_evidence(SEARCHES, rise.rows, names, rise_unit), _evidence(NEWS, tone.rows, names, tone_unit)], ignore_index=True
    )
    return signals.targets(names, signals.equal_weights(len(names), full_at=FULL_AT_NAMES), scores[chosen], evidence, passed)


def search_rise(view: DataView, recent: int, earlier: int) -> Signal:
    """Mean interest of the last `recent` days over that of the `earlier` days before, less one.

    From batches with a past if there are any of the last MAX_LAG_DAYS, else from batches of many names; days count back from each name's
    newest value. A span may be shorter than asked for where a batch does not reach back so far.
    """
    values = _series(_told(view, MAX_LAG_DAYS))
    if values.empty:
        values = _relative(_told(view, recent + earlier + MAX_LAG_DAYS))
    codes, names = pd.factorize(values["symbol"], sort=True)
    age, value = values["age"].to_numpy(dtype=np.int64), values["value"].to_numpy(dtype=np.float64)
    newest = np.full(len(names), MAX_LAG_DAYS + 1)
    np.minimum.at(newest, codes, age)
    back = age - newest[codes]
    late, past = (back < recent), (back >= recent) & (back < recent + earlier)
    counts = [np.bincount(codes[span], minlength=len(names)) for span in (late, past)]
    means = [np.bincount(codes[span], value[span], len(names)) / np.maximum(n, 1) for span, n in zip((late, past), counts, strict=True)]
    reach = np.zeros(len(names))
    np.maximum.at(reach, codes[past], back[past] - recent + 1)
    known = (np.minimum(*counts) >= LEAST_VALUES) & (reach >= LEAST_PAST_DAYS) & (newest <= MAX_LAG_DAYS) & (means[1] >= LEAST_INTEREST)
    base = np.where(known, means[1], 1.0)
    part = np.where(late, value / np.maximum(counts[0], 1)[codes], -value / np.maximum(counts[1], 1)[codes]) / base[codes]
    used = (late | past) & known[codes]
    rows = values.loc[used, ["row_key", "symbol"]].assign(part=part[used])
    return Signal(scores=_by_symbol((means[0] / base - 1.0)[known], names[known]), rows=rows)


def _by_symbol(scores: Floats, names: pd.Index) -> pd.Series:
    return pd.Series(scores, index=pd.Index([str(name) for name in names], dtype=object), dtype="float64")


def _told(view: DataView, days: int) -> pd.DataFrame:
    """Values known in the last `days` days: columns origin, batch, symbol, age (days before today, UTC), value, row_key; no day that
    was not over."""
    events = view.events(SEARCHES, view.asof - timedelta(days=days))
    told = signals.told_rows(events, ("origin", "batch", "symbol", "day"), ("value", "partial"))
    ages = signals.day_ages(told, "day", view.asof.astimezone(UTC).date())
    told = told.assign(age=ages, value=signals.numbers(told, "value"))
    return told[(ages >= 1) & (told["value"] >= 0) & ~told["partial"].astype(bool)]


def _series(told: pd.DataFrame) -> pd.DataFrame:
    """Of each symbol the rows of one batch that tells of several days: the one that reaches nearest to today, then the longest.

    Values are fractions of the largest value that a batch can have.
    """
    batches = told.groupby(["symbol", "origin", "batch"], sort=True)["age"].agg(["min", "size"]).reset_index()
    best = batches[batches["size"] > 1].sort_values(["min", "size"], ascending=[True, False], kind="stable").drop_duplicates("symbol")
    kept = told.merge(best[["symbol", "origin", "batch"]], on=["symbol", "origin", "batch"])
    return kept.assign(value=kept["value"] / 100.0)


def _relative(told: pd.DataFrame) -> pd.DataFrame:
    """Rows of batches of one day with at least LEAST_NAMES names: values as multiples of their batch's mean. Of several batches of a day
    the last by name counts."""
    batches = told.groupby(["origin", "batch"], sort=True)
    single = (batches["age"].transform("min") == batches["age"].transform("max")) & (batches["symbol"].transform("size") >= LEAST_NAMES)
    mean = batches["value"].transform("mean")
    kept = told.assign(value=told["value"] / mean.where(mean > 0, 1.0))[single & (mean > 0)]
    return kept.sort_values(["symbol", "age", "origin", "batch"]).drop_duplicates(["symbol", "age"], keep="last")


def news_tone(view: DataView, days: int, min_articles: int, max_symbols: int) -> Signal:
    """Mean tone of the stories first told in the last `days` days, of names with at least `min_articles`.

    A story about n names counts 1 / n to each, one about more than `max_symbols` not at all; a headline repeated within SAME_STORY is
    the same story.
    """
    events = view.events(NEWS, view.asof - timedelta(days=days) - SAME_STORY)
    told = signals.told_rows(events, ("news_id", "symbol"), ("headline", "sentiment", "n_symbols"))
    told = told.assign(tone=signals.numbers(told, "sentiment"), weight=1.0 / np.maximum(signals.numbers(told, "n_symbols"), 1.0))
    told = told[np.isfinite(told["tone"]) & (told["weight"] >= 1.0 / max_symbols)]
    told = _first_tellings(told, view.asof - timedelta(days=days))
    by_symbol = told.groupby("symbol", sort=True)
    told = told.assign(
        part=told["tone"] * told["weight"] / by_symbol["weight"].transform("sum"), stories=by_symbol["tone"].transform("size")
    )
    told = told[told["stories"] >= min_articles]
    scores = told.groupby("symbol", sort=True)["part"].sum()
    return Signal(scores=_by_symbol(scores.to_numpy(dtype=np.float64), scores.index), rows=told[["row_key", "symbol", "part"]])


def _first_tellings(told: pd.DataFrame, since: datetime) -> pd.DataFrame:
    """The rows whose headline their symbol had not had within SAME_STORY before, of those first published since an instant."""
    at = pd.to_datetime(told["event_at"], utc=True)
    ordered = told.assign(at=at, said=[text.casefold().strip() for text in signals.texts(told, "headline")])
    ordered = ordered.sort_values(["symbol", "said", "at", "row_key"])
    again = ordered.groupby(["symbol", "said"], sort=False)["at"].diff() <= SAME_STORY
    return ordered[~again & (ordered["at"] >= since)]


def _evidence(dataset: str, rows: pd.DataFrame, names: list[str], unit: float) -> pd.DataFrame:
    used = rows[rows["symbol"].isin(names)].sort_values(["symbol", "row_key"])
    contributions = used["part"].to_numpy(dtype=np.float64) / unit
    return signals.evidence_frame(dataset, used["row_key"].tolist(), used["symbol"].tolist(), contributions)


STRATEGY = Strategy(
    name="trends_news",
    run=run,
    needs=(SEARCHES, NEWS, "bars_daily"),
    rebalance=monthly("first_session"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "top": Param(default=30, low=1, high=100, meaning="names held at most"),
        "recent_weeks": Param(default=4, low=1, high=12, meaning="newest weeks of search interest"),
        "earlier_weeks": Param(default=12, low=2, high=52, meaning="weeks before them that they are compared with"),
        "news_days": Param(default=30, low=5, high=90, meaning="calendar days of news"),
        "min_rise": Param(default=0.05, low=0.0, high=10.0, meaning="least rise of search interest; 0.05 is 5 %"),
        "min_sentiment": Param(default=0.05, low=0.0, high=1.0, meaning="least mean tone of the news, -1 to 1"),
        "min_articles": Param(default=3, low=1, high=1000, meaning="least stories about a name"),
        "max_symbols": Param(default=5, low=1, high=50, meaning="a story that names more securities is left out"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="lowest median dollar volume a day, USD"),
    },
    description="The 30 names with the strongest rise of search interest and the kindest news.",
)
