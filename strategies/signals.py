"""Arithmetic that strategies share: price windows, returns, volatility, ranking, weighting and evidence.

Arrays are (n_sessions, n_symbols) or (n_symbols,) float64. Symbols are kept in alphabetical order, so that results
depend neither on the order of a view's columns nor on the order of an index's members.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.base import DataView, Targets, no_targets

PERIODS_PER_YEAR = 252
RECENT_SESSIONS = 5
"""A price counts as current when it is no older than this many sessions."""
MOST_MISSING = 0.1
"""Largest part of the sessions of a window on which the price before may stand in for a missing one."""
MOST_MOVE = 10.0
"""A price that is more than so many times the one before it, or less than that part of it, is a mistake or a split nobody told of."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Days = NDArray[np.datetime64]
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceWindow:
    """Total-return prices without a gap: prices (n_sessions, n_symbols) > 0, and why other symbols are absent.

    days (n_sessions, n_symbols): the session that each price is of, an earlier one where it stands in for a missing price.
    """

    symbols: list[str]
    sessions: pd.DatetimeIndex
    prices: Floats
    days: Days
    skipped: dict[str, str]

    def keys(self, symbols: Sequence[str], row: int) -> list[str]:
        """Row keys of the daily bars whose prices stand at a row."""
        places = {symbol: i for i, symbol in enumerate(self.symbols)}
        return [f"{symbol}@{self.days[row, places[symbol]]}" for symbol in symbols]


def price_window(view: DataView, symbols: Sequence[str], sessions: int) -> PriceWindow:
    """The last `sessions` adjusted closes of every symbol that has them.

    The window ends at the newest session with any price, if that is one of the last RECENT_SESSIONS, so that one late
    delivery does not empty the window. For a missing price the one before stands in; see `standing` for which those are, and
    `unfit` for the symbols that are skipped.
    """
    wanted = sorted(set(symbols))
    frame = view.bars("adj_close", sessions + RECENT_SESSIONS - 1, wanted)
    found = sorted(set(frame.columns))
    skipped = dict.fromkeys(set(wanted).difference(found), "no bars")
    values = np.ascontiguousarray(frame[found].to_numpy(dtype=np.float64))
    seen = standing(values)
    end = int(seen.max(initial=-1)) + 1
    start = max(end - sessions, 0)
    out = unfit(values, seen, start, end, sessions) | _outdated(seen, end)
    skipped |= {found[i]: reason for i, reason in out.items()}
    keep = np.array([i for i in range(len(found)) if i not in out], dtype=np.intp)
    rows = seen[start:end, keep]
    return PriceWindow(
        symbols=[found[i] for i in keep],
        sessions=pd.DatetimeIndex(frame.index[start:end]),
        prices=np.ascontiguousarray(values[rows, keep]),
        days=frame.index.to_numpy().astype("datetime64[D]")[rows],
        skipped=dict(sorted(skipped.items())),
    )


def standing(values: Floats) -> Indices:
    """Row of the price that stands at each place: its own, or the last one before it where that is missing; -1 before the first.

    Missing is what is not finite and positive, a price that is MOST_MOVE away from both of its neighbours while they agree (a wrong
    tick), and a newest price that is so far from the one before, until another confirms it. values, result: (n_sessions, n_symbols).
    """
    rows = np.arange(len(values))[:, None]
    usable = np.isfinite(values) & (values > 0)
    seen = np.maximum.accumulate(np.where(usable, rows, -1), axis=0)
    odd = np.flatnonzero(_leaps(values, seen).any(axis=0))
    if not len(odd):
        return np.asarray(seen)
    for i in odd:
        usable[_wrong_ticks(np.flatnonzero(usable[:, i]), values[:, i]), i] = False
    return np.asarray(np.maximum.accumulate(np.where(usable, rows, -1), axis=0))


def _wrong_ticks(rows: Indices, values: Floats) -> Indices:
    """Those of the rows with a price whose prices are no more than wrong ticks."""
    logs = np.log(values[rows])
    far = np.abs(np.diff(logs)) > np.log(MOST_MOVE)
    lone = far[:-1] & far[1:] & (np.abs(logs[2:] - logs[:-2]) <= np.log(MOST_MOVE))
    newest = far[-1:] & ~np.append(False, lone)[-1:]
    return np.asarray(rows[1:][np.append(lone, newest)])


def _leaps(values: Floats, seen: Indices) -> NDArray[np.bool_]:
    """Whether the price that stands at a row is MOST_MOVE away from the one that stands before it, (n_sessions - 1, n_symbols)."""
    prices = np.where(seen < 0, np.nan, np.take_along_axis(values, np.maximum(seen, 0), axis=0)) if len(values) else values
    with np.errstate(invalid="ignore", over="ignore"):
        change = prices[1:] / prices[:-1]
        return np.asarray((change > MOST_MOVE) | (change < 1.0 / MOST_MOVE))


def unfit(values: Floats, seen: Indices, start: int, end: int, sessions: int, *, called: str = "sessions") -> dict[int, str]:
    """Column -> reason, for symbols that should not be judged by the prices standing at rows `start` to `end`, exclusive.

    Of the `sessions` wanted more than MOST_MISSING have no price, a price stands in for longer than it is current, or the price leaps
    by more than MOST_MOVE and stays there. seen: from `standing`.
    """
    rows = np.arange(start, end)[:, None]
    ages = np.where(seen[start:end] < 0, RECENT_SESSIONS, rows - seen[start:end])
    missing = sessions - (ages == 0).sum(axis=0)
    gaps = (missing > MOST_MISSING * sessions) | (ages >= RECENT_SESSIONS).any(axis=0)
    leaps = _leaps(values, seen)[start : end - 1].any(axis=0)
    reasons = {int(i): f"its price moves more than {MOST_MOVE:.0f}-fold between two sessions" for i in np.flatnonzero(leaps)}
    return reasons | {int(i): f"{missing[i]} of {sessions} {called} have no price" for i in np.flatnonzero(gaps)}


def _outdated(seen: Indices, end: int) -> dict[int, str]:
    """Column -> reason, for symbols whose price at the end of a window is no longer current."""
    last = seen[end - 1] if end else np.full(seen.shape[1], -1)
    return {int(i): f"no price in the last {RECENT_SESSIONS} sessions" for i in np.flatnonzero(len(seen) - last > RECENT_SESSIONS)}


def total_return(prices: Floats, sessions: int) -> Floats:
    """Simple return of each column over its last `sessions` sessions; prices (n_sessions, n_symbols) -> (n_symbols,)."""
    last: Floats = prices[-1] / prices[-1 - sessions] - 1.0
    return last


def daily_returns(prices: Floats) -> Floats:
    """Simple daily returns: prices (n_sessions, n_symbols) -> (n_sessions - 1, n_symbols)."""
    returns: Floats = prices[1:] / prices[:-1] - 1.0
    return returns


def annual_volatility(returns: Floats) -> Floats:
    """Annualised standard deviation (ddof 1) of daily returns, by column; NaN where the returns never vary."""
    deviation = returns.std(axis=0, ddof=1)
    constant = deviation <= 1e-12 * (1.0 + np.abs(returns).max(axis=0))
    return np.where(constant, np.nan, deviation * np.sqrt(PERIODS_PER_YEAR))


def percentile_ranks(values: Floats) -> Floats:
    """Rank of each value in (0, 1], the highest 1; equal values share their average rank. Shape (n_symbols,)."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: Floats = (below + (equal + 1) / 2.0) / len(values)
    return ranks


def descending(symbols: Sequence[str], scores: Floats) -> Indices:
    """Positions from the highest score to the lowest; equal scores in alphabetical order of symbol."""
    return np.lexsort((np.asarray(symbols, dtype=str), -scores))


def inverse_volatility(volatility: Floats) -> Floats:
    """Weights proportional to 1 / volatility, summing to 1. Shape (n_symbols,); empty stays empty."""
    inverse = 1.0 / volatility
    weights: Floats = inverse / inverse.sum()
    return weights


def capped_proportional(scores: Floats, *, total: float, cap: float) -> Floats:
    """Weights proportional to positive scores, none above `cap`, summing to `total` or to n * cap if that is less.

    What a capped name gives up goes to the others in proportion. scores and result: (n_symbols,).
    """
    weights = np.zeros(len(scores))
    free = np.ones(len(scores), dtype=bool)
    while free.any():
        left = total - weights[~free].sum()
        share = left * scores[free] / scores[free].sum()
        if (share <= cap).all():
            weights[free] = share
            break
        over = np.flatnonzero(free)[share > cap]
        weights[over] = cap
        free[over] = False
    return weights


VOLUME_SESSIONS = 20
"""Over so many sessions the usual dollar volume of a name is taken."""


def untradable(view: DataView, symbols: Sequence[str], *, min_price: float = 1.0, min_adv_usd: float = 0.0) -> dict[str, str]:
    """Symbol -> reason, for names that should not be bought: no bar in the last RECENT_SESSIONS sessions, a last close below `min_price`
    USD, or a median dollar volume below `min_adv_usd` a day over VOLUME_SESSIONS sessions (a session without a trade counts as none)."""
    wanted = sorted(set(symbols))
    closes = view.bars("close", max(VOLUME_SESSIONS if min_adv_usd > 0 else 0, RECENT_SESSIONS), wanted).reindex(columns=wanted)
    values = np.asarray(closes.to_numpy(dtype=np.float64))
    last = _last_values(values[-RECENT_SESSIONS:])
    reasons = {wanted[i]: f"no bar in the last {RECENT_SESSIONS} sessions" for i in np.flatnonzero(np.isnan(last))}
    cheap = np.flatnonzero(last < min_price)
    reasons |= {wanted[i]: f"last close {last[i]:.2f} USD is below {min_price:.2f} USD" for i in cheap}
    if min_adv_usd > 0 and len(values):
        usd = _dollar_volumes(view, wanted, values)
        thin = [i for i in np.flatnonzero(usd < min_adv_usd) if wanted[i] not in reasons]
        reasons |= {wanted[i]: f"trades {usd[i]:,.0f} USD a day, less than {min_adv_usd:,.0f} USD" for i in thin}
    return reasons


def last_closes(view: DataView, symbols: Sequence[str]) -> dict[str, float]:
    """Symbol -> the newest close of the last RECENT_SESSIONS sessions that is no wrong tick, USD; a symbol without one is absent."""
    wanted = sorted(set(symbols))
    closes = view.bars("close", RECENT_SESSIONS, wanted).reindex(columns=wanted).to_numpy(dtype=np.float64)
    newest = standing(closes)[-1:].tolist()
    return {wanted[i]: float(closes[row, i]) for rows in newest for i, row in enumerate(rows) if row >= 0}


def dollar_volumes(view: DataView, symbols: Sequence[str]) -> Floats:
    """Median dollar volume of each symbol over VOLUME_SESSIONS sessions, USD a day (n_symbols,); a session without a trade counts as 0."""
    closes = view.bars("close", VOLUME_SESSIONS, symbols).reindex(columns=list(symbols))
    return _dollar_volumes(view, symbols, np.asarray(closes.to_numpy(dtype=np.float64)))


def _dollar_volumes(view: DataView, symbols: Sequence[str], closes: Floats) -> Floats:
    volumes = view.bars("volume", VOLUME_SESSIONS, symbols).reindex(columns=list(symbols)).to_numpy(dtype=np.float64)
    usd = np.nan_to_num(closes[-len(volumes) :] * volumes)
    return np.asarray(np.median(usd, axis=0)) if len(usd) else np.zeros(len(symbols))


def _last_values(values: Floats) -> Floats:
    """The newest finite value of each column; NaN where there is none. Shape (n_symbols,)."""
    last = np.full(values.shape[1], np.nan)
    for row in values:
        last = np.where(np.isfinite(row), row, last)
    return last


def ranked(symbols: Sequence[str], scores: Floats, reasons: Mapping[str, str], top: int) -> tuple[list[int], dict[str, str]]:
    """Positions of the `top` names with the highest positive scores that have no reason against them, and the reasons of those that
    were passed over on the way (all of the ranking's when there are fewer than `top`). NaN scores are out of the ranking."""
    order = [int(i) for i in descending(symbols, np.where(np.isfinite(scores), scores, -np.inf)) if scores[i] > 0]
    chosen: list[int] = []
    passed: dict[str, str] = {}
    for i in order:
        if len(chosen) == top:
            break
        if symbols[i] in reasons:
            passed[symbols[i]] = reasons[symbols[i]]
        else:
            chosen.append(i)
    return chosen, passed


def members(view: DataView, *indices: str) -> list[str]:
    """Members of any of the indices on the day of the view, sorted; an index that was never imported has none."""
    return sorted({symbol for index in indices for symbol in view.universe(index)})


def known_sectors(view: DataView) -> dict[str, str]:
    """GICS sector by symbol, of the symbols that have one."""
    return {str(symbol): sector for symbol, sector in view.sectors().items() if isinstance(sector, str) and sector}


def filtered_by_sector(
    symbols: Sequence[str], sectors: Mapping[str, str], *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, str]:
    """Symbol -> reason, for those of an unwanted sector (with `include`, of any other), in any case of letters. With a filter a symbol
    without a known sector is out. A name that no sector has, likely misspelt, gets a reason of its own."""
    known = {sector.lower() for sector in sectors.values()}
    out = {name: "no company is known to be in a sector of this name" for name in (*include, *exclude) if name.lower() not in known}
    wanted, unwanted = {name.lower() for name in include}, {name.lower() for name in exclude}
    for symbol in symbols if wanted or unwanted else ():
        sector = sectors.get(symbol, "")
        if not sector:
            out[symbol] = "its sector is not known, and sectors are filtered"
        elif sector.lower() in unwanted or (wanted and sector.lower() not in wanted):
            out[symbol] = f"the sector {sector} is filtered out"
    return out


def equal_weights(count: int, *, full_at: int) -> Floats:
    """Equal weights that sum to 1 from `full_at` names on, and to count / full_at below: few names do not fill a sleeve."""
    return np.full(count, 1.0 / max(count, full_at)) if count else np.empty(0)


def event_rows(events: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Event rows with these columns and the stamps, one for each row_key, in its order; a column that the rows lack is empty throughout."""
    wanted = dict.fromkeys(("row_key", "event_at", "known_at", *names))
    return events.reindex(columns=list(wanted)).drop_duplicates("row_key").sort_values("row_key", ignore_index=True)


def texts(events: pd.DataFrame, name: str) -> list[str]:
    """A column of text; empty where there is none."""
    return [value if isinstance(value, str) else "" for value in events[name].tolist()]


def numbers(events: pd.DataFrame, name: str) -> Floats:
    """A column of numbers, float64 (n_rows,); NaN where there is none, or no finite one."""
    values = np.asarray(pd.to_numeric(events[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    return np.where(np.isfinite(values), values, np.nan)


def days(events: pd.DataFrame, name: str) -> Days:
    """A column of dates, datetime64[D] (n_rows,); NaT where there is none."""
    found = [date(value.year, value.month, value.day) if isinstance(value, date) and value == value else None for value in events[name]]
    return np.array(found, dtype="datetime64[D]")


def new_york_day(at: datetime) -> date:
    """The calendar day of an instant in New York."""
    return at.astimezone(NEW_YORK).date()


def told_rows(events: pd.DataFrame, identity: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Event rows that have a value in each of these columns; of rows that are alike in `identity` the one known last counts."""
    told = event_rows(events, *identity, *values).dropna()
    if told.duplicated(list(identity)).any():
        told = told.sort_values(["known_at", "row_key"]).drop_duplicates(list(identity), keep="last").sort_values("row_key")
    return told.reset_index(drop=True)


def day_ages(events: pd.DataFrame, name: str, today: date) -> NDArray[np.int64]:
    """Days from each date of a column to a day, int64 (n_rows,), hugely negative where there is none. Each distinct date is read once."""
    codes, distinct = pd.factorize(events[name], use_na_sentinel=False)
    return (np.datetime64(today, "D") - days(pd.DataFrame({name: distinct}), name)).astype(np.int64)[codes]


def robust_spread(values: Floats, *, floor: float) -> float:
    """1.4826 times the median distance from the median, the standard deviation of normal values; not less than `floor`."""
    return max(float(1.4826 * np.median(np.abs(values - np.median(values)))), floor) if len(values) else floor


def same_source(symbols: Sequence[str], sources: Sequence[str], out: Collection[str]) -> dict[str, str]:
    """Symbol -> reason, for names that stand on the very source of an earlier one (by alphabet) and would be held twice for one
    observation: share classes of a company. Names in `out` neither give nor get a reason."""
    first: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for symbol, source in sorted(zip(symbols, sources, strict=True)):
        if symbol not in out and first.setdefault(source, symbol) != symbol:
            reasons[symbol] = f"stands on the same data as {first[source]}"
    return reasons


def session_keys(symbols: Sequence[str], session: pd.Timestamp) -> list[str]:
    """Row keys of daily bars: SYMBOL@YYYY-MM-DD."""
    day = session.date().isoformat()
    return [f"{symbol}@{day}" for symbol in symbols]


def evidence_frame(dataset: str, row_keys: Sequence[str], symbols: Sequence[str], contributions: Floats) -> pd.DataFrame:
    """Evidence rows of one dataset, in the columns and types of EVIDENCE_COLUMNS."""
    return pd.DataFrame(
        {
            "dataset": pd.Series([dataset] * len(row_keys), dtype="object"),
            "row_key": pd.Series(list(row_keys), dtype="object"),
            "symbol": pd.Series(list(symbols), dtype="object"),
            "contribution": pd.Series(contributions, dtype="float64"),
        }
    )


def growth_evidence(window: PriceWindow, chosen: Indices, *, start: int, end: int, scale: Floats) -> pd.DataFrame:
    """Evidence for scores of the form scale * (price[end] / price[start] - 1): two rows of daily bars per symbol.

    The end bar contributes scale * price[end] / price[start] (what one dollar became), the start bar -scale (the
    dollar that it was); together they are the score. chosen: positions in the window; scale: (n_chosen,).
    """
    symbols = [window.symbols[i] for i in chosen]
    growth = window.prices[end, chosen] / window.prices[start, chosen]
    keys = window.keys(symbols, start) + window.keys(symbols, end)
    return evidence_frame("bars_daily", keys, symbols * 2, np.concatenate([-scale, scale * growth]))


def targets(symbols: Sequence[str], weights: Floats, scores: Floats, evidence: pd.DataFrame, skipped: Mapping[str, str]) -> Targets:
    """Targets from arrays in the order of `symbols`; nothing wanted when there are none."""
    if not len(symbols):
        return no_targets(skipped)
    index = pd.Index(list(symbols), dtype=object)
    return Targets(
        weights=pd.Series(weights, index=index, dtype="float64"),
        evidence=evidence,
        scores=pd.Series(scores, index=index, dtype="float64"),
        skipped=dict(skipped),
    )
