"""Each session by sector: what the account held at the close before and what that earned, beside the benchmark's sectors.

Positions at past closes are the ledger's, worked back from those of now; so a day that nobody watched is made up for later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.store.queries import Row
from daemon.watch.scope import Scope, filled_closes
from risk.errors import BadInput
from risk.inputs import FloatArray

CASH, FUNDS, UNCLASSIFIED = "Cash", "Funds", "Unclassified"
INDEX = "sp500"
KNOWN_CAPS = 0.8
"""Share of the members whose market value must be known, else they count equally."""
Labels = npt.NDArray[np.object_]
Sides = Mapping[str, tuple[float, float]]
"""Sector -> its weight at the close before the session, and its return over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorSession:
    """One session. Returns are simple; weights of each side sum to 1. note: how the benchmark's sectors were weighted."""

    session: date
    portfolio_return: float
    benchmark_return: float
    portfolio: Sides
    benchmark: Sides
    note: str

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        sides = {name: {k: list(v) for k, v in sorted(getattr(self, name).items())} for name in ("portfolio", "benchmark")}
        returns = {"portfolio_return": self.portfolio_return, "benchmark_return": self.benchmark_return}
        return {**returns, **sides, "note": self.note}

    @classmethod
    def from_json(cls, session: date, data: Mapping[str, Any]) -> "SectorSession":
        """The inverse of `as_json`."""
        sides = {name: {k: (w, r) for k, (w, r) in data[name].items()} for name in ("portfolio", "benchmark")}
        return cls(
            session=session,
            portfolio_return=data["portfolio_return"],
            benchmark_return=data["benchmark_return"],
            portfolio=sides["portfolio"],
            benchmark=sides["benchmark"],
            note=data["note"],
        )


def sector_sessions(scope: Scope, after: date) -> list[SectorSession]:
    """Every session after a date that was marked, as was the one before, and on which the benchmark has a return.

    Raises BadInput without prices of the benchmark or a dated index membership, as soon as there is such a session.
    """
    pairs = [(a, b) for a, b in pairwise(scope.navs) if b["session"] > after and _adjoin(scope, a, b)]
    if not pairs:
        return []
    if scope.benchmark not in scope.returns.columns:
        raise BadInput(f"no prices of {scope.benchmark} are known")
    held = list(_held_at(scope, [before for before, _ in pairs]))
    market = _Market(scope, [b["session"] for _, b in pairs], sorted({s for positions in held for s in positions}))
    sessions = [market.session(i, before, row, held[i]) for i, (before, row) in enumerate(pairs)]
    return [s for s in sessions if s is not None]


def _adjoin(scope: Scope, before: Row, row: Row) -> bool:
    adjacent: bool = before["session"] == scope.calendar.previous_session(row["session"])
    return adjacent and before["nav_usd"] > 0 and before["return_index"] > 0


def _held_at(scope: Scope, marks: Sequence[Row]) -> Iterator[dict[str, float]]:
    """Shares by symbol after each mark (ascending), in units of now: as they have been split since."""
    changes = [r for r in scope.db.rows("position_changes_since", since=marks[0]["at"]) if r["at"] <= scope.view.asof]
    held, splits, found = dict(scope.positions), dict[str, float](), list[dict[str, float]]()
    for mark in reversed(marks):
        while changes and changes[-1]["at"] > mark["at"]:
            change = changes.pop()
            symbol, after = change["symbol"], held.get(change["symbol"], 0.0)
            before = after - float(change["qty"])
            if change["kind"] == "split" and before:
                splits[symbol] = splits.get(symbol, 1.0) * after / before
            held[symbol] = before
        found.append({s: q * splits.get(s, 1.0) for s, q in sorted(held.items()) if abs(q) > 1e-9})
    yield from reversed(found)


class _Market:
    """Prices, sectors and members over consecutive or scattered sessions, as arrays by session and symbol."""

    def __init__(self, scope: Scope, sessions: Sequence[date], held: Sequence[str]) -> None:
        self._scope, self._sectors = scope, scope.view.sectors()
        depth = scope.calendar.count(sessions[0], scope.session) + 1
        self._closes = filled_closes(scope.view, depth, held)
        adjusted = scope.view.bars("adj_close", depth, held).ffill()
        self._earned = adjusted.pct_change(fill_method=None).fillna(0.0)
        self._places = self._closes.index.searchsorted(pd.DatetimeIndex([pd.Timestamp(s) for s in sessions]))
        self._labels = np.array([FUNDS if s in scope.funds else self._sector(s) for s in self._closes.columns], dtype=object)
        self._members = _Members(scope, sessions, depth, self._sectors)
        found = scope.returns[scope.benchmark]
        days = scope.view.sessions[-len(found) :].date
        self._benchmark = dict(zip(days[-depth:], found.to_numpy()[-depth:].tolist(), strict=True))

    def _sector(self, symbol: str) -> str:
        found = self._sectors.get(symbol)
        return found if isinstance(found, str) and found else UNCLASSIFIED

    def session(self, i: int, before: Row, row: Row, held: Mapping[str, float]) -> SectorSession | None:
        """The i-th session; None where the benchmark has no return, or a price makes no sense."""
        earned = self._benchmark.get(row["session"], np.nan)
        benchmark = self._members.sides(i)
        if not np.isfinite(earned) or not benchmark:
            return None
        place = self._places[i]
        shares = np.array([held.get(str(s), 0.0) for s in self._closes.columns])
        values = np.nan_to_num(shares * self._closes.to_numpy()[place - 1]) / before["nav_usd"]
        portfolio = by_sector(self._labels, values, self._earned.to_numpy()[place])
        if not all(np.isfinite(side).all() for side in (*portfolio.values(), *benchmark.values())):
            return None
        return SectorSession(
            session=row["session"],
            portfolio_return=row["return_index"] / before["return_index"] - 1.0,
            benchmark_return=float(earned),
            portfolio={**portfolio, CASH: (1.0 - sum(w for w, _ in portfolio.values()), 0.0)},
            benchmark=benchmark,
            note=self._members.note,
        )


class _Members:
    """The benchmark rebuilt from the dated members of the index, by market value where that is known of enough of them."""

    def __init__(self, scope: Scope, sessions: Sequence[date], depth: int, sectors: pd.Series) -> None:
        frame = scope.view.events("index_membership")
        frame = frame[frame["index_name"] == INDEX]
        if frame.empty:
            raise BadInput(f"no dated membership of the {INDEX} index is known, which the benchmark's sectors are made of")
        ends = pd.to_datetime(frame["end_date"])
        frame = frame[(ends.isna() | (ends > pd.Timestamp(sessions[0]))).to_numpy()]
        prices = scope.view.bars("adj_close", depth, sorted(set(frame["symbol"])))
        self._inside = _inside(frame, sessions, list(prices.columns))
        places = prices.index.searchsorted(pd.DatetimeIndex([pd.Timestamp(s) for s in sessions]))
        values = prices.to_numpy()
        self._before, self._after = values[places - 1], values[places]
        self._labels = sectors.reindex(prices.columns).fillna(UNCLASSIFIED).to_numpy(dtype=object)
        self._caps = scope.market_caps.reindex(prices.columns).to_numpy(dtype=np.float64) / prices.ffill().to_numpy()[-1]
        priced = self._inside & np.isfinite(self._before)
        known = float((priced & np.isfinite(self._caps)).sum()) / max(1, int(priced.sum()))
        self._weighted = known >= KNOWN_CAPS
        how = "by market value" if self._weighted else f"counted equally, the market value of {known:.0%} being known"
        self.note = f"sectors of {INDEX} members with prices, {how}"

    def sides(self, i: int) -> Sides:
        """Weights and returns by sector of the i-th session; empty when no member has a return."""
        weights = self._inside[i] * (self._caps * self._before[i] if self._weighted else 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            returns = self._after[i] / self._before[i] - 1.0
        weights = np.where(np.isfinite(weights) & np.isfinite(returns), weights, 0.0)
        return by_sector(self._labels, weights / weights.sum(), np.nan_to_num(returns)) if weights.sum() > 0 else {}


def _inside(frame: pd.DataFrame, sessions: Sequence[date], symbols: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each symbol was a member during each session (n_sessions, n_symbols): from its start date, to the day before its end date."""
    days = np.array(sessions, dtype="datetime64[D]")
    place = {symbol: i for i, symbol in enumerate(symbols)}
    spells = frame[frame["symbol"].isin(place)]
    start = pd.to_datetime(spells["start_date"]).to_numpy().astype("datetime64[D]")
    end = pd.to_datetime(spells["end_date"]).to_numpy().astype("datetime64[D]")
    spans = (start[:, None] <= days) & (np.isnat(end)[:, None] | (end[:, None] > days))
    inside = np.zeros((len(symbols), len(days)), bool)
    np.logical_or.at(inside, [place[s] for s in spells["symbol"]], spans)
    return inside.T


def by_sector(labels: Labels, weights: FloatArray, returns: FloatArray) -> dict[str, tuple[float, float]]:
    """Weight and return of each sector with any weight: its assets' weights (n,) summed, and their weighted mean return.

    A sector whose long and short positions cancel has no weight and no return of its own; what it earned is left to the residual.
    """
    found = {}
    for label in sorted({str(x) for x in labels[weights != 0]}):
        mine = labels == label
        weight, earned = float(weights[mine].sum()), float(weights[mine] @ returns[mine])
        if abs(weight) > 1e-12:
            found[label] = (weight, earned / weight)
    return found
