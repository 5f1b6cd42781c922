"""The tables of a report, computed from the frames of a replay."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.performance import max_drawdown, sharpe_ratio


def sessions_of(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """The frame's sessions as a DatetimeIndex, whatever kind of date they were given as."""
    return pd.DatetimeIndex(pd.to_datetime(pd.Index(frame.index)))


def nav_returns(nav: pd.DataFrame) -> pd.Series:
    """Simple returns of NAV from mark to mark (n_sessions - 1), by session."""
    levels = pd.Series(nav["nav_usd"].to_numpy(dtype=np.float64), index=sessions_of(nav))
    return (levels / levels.shift(1) - 1.0).iloc[1:]


def benchmark_returns(nav: pd.DataFrame) -> pd.Series:
    """Simple returns of the benchmark from mark to mark; NaN where a level is unknown."""
    levels = pd.Series(nav["benchmark"].to_numpy(dtype=np.float64), index=sessions_of(nav))
    return (levels / levels.shift(1) - 1.0).iloc[1:]


def years_between(nav: pd.DataFrame) -> float:
    """Calendar years (365.25 days) from the first to the last mark."""
    sessions = sessions_of(nav)
    return float((sessions[-1] - sessions[0]).days) / 365.25 if len(sessions) else 0.0


def drawdown(levels: pd.Series) -> pd.Series:
    """Signed return from the highest level so far."""
    return levels / levels.cummax() - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """One calendar year, fractions; months hold twelve returns, NaN where there was no session."""

    year: int
    months: tuple[float, ...]
    own: float
    benchmark: float
    max_drawdown: float
    turnover: float
    cost_usd: float


def years(nav: pd.DataFrame) -> list[Year]:
    """Calendar years in which there was a return, oldest first. The first month counts from the first mark."""
    own, benchmark = nav_returns(nav), benchmark_returns(nav)
    in_year, in_month, dated_year = (_part(own, "year"), _part(own, "month"), sessions_of(nav).year.to_numpy())
    rows = []
    for year in np.unique(in_year).tolist():
        these, part = own[in_year == year], nav[dated_year == year]
        months = tuple(_compounded(own[(in_year == year) & (in_month == month)]) for month in range(1, 13))
        rows.append(
            Year(
                year=int(year),
                months=months,
                own=_compounded(these),
                benchmark=_compounded(benchmark[in_year == year]),
                max_drawdown=max_drawdown(these),
                turnover=float(part["turnover"].sum()),
                cost_usd=float(part["cost_usd"].sum()),
            )
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeve:
    """One strategy: annual figures of its shadow book, and its place in the account at the end."""

    name: str
    annual_return: float
    volatility: float
    sharpe: float
    max_drawdown: float
    capital_mean: float
    capital_now: float
    nav_usd: float


def sleeves(returns: pd.DataFrame, capital: pd.DataFrame, sleeve_nav: pd.DataFrame) -> list[Sleeve]:
    """One row per sleeve, in the order of `capital`; NaN where a sleeve has no returns."""
    names = list(dict.fromkeys([*capital.columns, *sleeve_nav.columns, *returns.columns]))
    return [_sleeve(name, _column(returns, name), _column(capital, name), _column(sleeve_nav, name)) for name in names]


def _sleeve(name: str, returns: pd.Series, capital: pd.Series, nav: pd.Series) -> Sleeve:
    enough = len(returns) > 1
    return Sleeve(
        name=str(name),
        annual_return=(1.0 + _compounded(returns)) ** (252 / len(returns)) - 1.0 if enough else math.nan,
        volatility=float(returns.std(ddof=1)) * math.sqrt(252) if enough else math.nan,
        sharpe=sharpe_ratio(returns) if enough else math.nan,
        max_drawdown=max_drawdown(returns) if len(returns) else math.nan,
        capital_mean=float(capital.mean()) if len(capital) else math.nan,
        capital_now=float(capital.iloc[-1]) if len(capital) else math.nan,
        nav_usd=float(nav.iloc[-1]) if len(nav) else math.nan,
    )


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].dropna().astype("float64") if name in frame.columns else pd.Series(dtype="float64")


def rungs(allocations: pd.DataFrame) -> list[tuple[str, int]]:
    """How many allocations ended on each rung of the fallback ladder, the most frequent first."""
    return Counter(map(str, allocations["rung"])).most_common() if "rung" in allocations else []


def limits(allocations: pd.DataFrame) -> list[tuple[str, int]]:
    """In how many allocations each limit bound, where the column `bound` names them; the most frequent first."""
    if "bound" not in allocations:
        return []
    named = (set(cell.replace(",", " ").split() if isinstance(cell, str) else map(str, cell)) for cell in allocations["bound"].dropna())
    return Counter(limit for cell in named for limit in sorted(cell)).most_common()


def statuses(orders: pd.DataFrame) -> list[tuple[str, int]]:
    """How many orders ended in each status, the most frequent first."""
    return Counter(map(str, orders["status"])).most_common() if "status" in orders else []


def monthly_sum(column: pd.Series) -> pd.Series:
    """Sums by calendar month of a column indexed by session, at the first day of the month."""
    return column.groupby(pd.DatetimeIndex(column.index).to_period("M").to_timestamp()).sum()


def _part(returns: pd.Series, part: str) -> npt.NDArray[np.int64]:
    return np.asarray(getattr(pd.DatetimeIndex(returns.index), part), dtype=np.int64)


def _compounded(returns: pd.Series) -> float:
    known = returns.dropna().to_numpy(dtype=np.float64)
    return float(np.prod(1.0 + known) - 1.0) if known.size else math.nan
