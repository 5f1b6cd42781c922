"""Shadow books: each strategy's own targets followed with costs and without caps, the track record that capital follows.

A book knows only closed sessions. Targets decided before the open of session t trade at that open (at the close for an
instrument that has only closes) and earn from there on; between trades the weights drift with total returns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from strategies.base import DataView

Floats = npt.NDArray[np.float64]
FILL_SESSIONS = 10
"""How long a price may be missing before its instrument earns nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowBook:
    """One strategy's shadow book after the close of `session`.

    weights: fraction of the book's NAV by symbol after that close; the rest is cash.
    pending: targets that trade at the open of `pending_session`, which has not been rolled yet.
    """

    sleeve: str
    session: date | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    pending: Mapping[str, float] | None = None
    pending_session: date | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        return {
            "session": None if self.session is None else self.session.isoformat(),
            "weights": dict(sorted(self.weights.items())),
            "pending": None if self.pending is None else dict(sorted(self.pending.items())),
            "pending_session": None if self.pending_session is None else self.pending_session.isoformat(),
        }

    @classmethod
    def from_json(cls, sleeve: str, state: Mapping[str, Any]) -> "ShadowBook":
        """The inverse of `as_json`."""
        moment = {k: None if state[k] is None else date.fromisoformat(state[k]) for k in ("session", "pending_session")}
        return cls(sleeve=sleeve, weights=state["weights"], pending=state["pending"], **moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowMark:
    """A book's result over one session: return after costs, and traded fraction of NAV (two-sided)."""

    sleeve: str
    session: date
    return_frac: float
    turnover_frac: float


@dataclass(frozen=True, slots=True)
class SessionReturns:
    """Total returns of one session by symbol: previous close to open, and open to close. No bar: both zero."""

    overnight: Mapping[str, float]
    intraday: Mapping[str, float]


def roll(books: Iterable[ShadowBook], view: DataView, cost_frac: float) -> tuple[list[ShadowBook], list[ShadowMark]]:
    """Bring books up to the newest closed session of the view.

    cost_frac: cost of trading one unit of NAV, as a fraction (half-spread).
    """
    books = list(books)
    sessions = [d.date() for d in view.sessions[-_behind(books, view) :]] if _behind(books, view) else []
    if not sessions:
        return books, []
    returns = _session_returns(books, view, len(sessions))
    rolled, marks = [], []
    for book in books:
        for session in sessions:
            if book.session is not None and session <= book.session:
                continue
            book, mark = _roll_one(book, session, returns[session], cost_frac)
            marks.append(mark)
        rolled.append(book)
    return rolled, marks


def _behind(books: Iterable[ShadowBook], view: DataView) -> int:
    index = view.sessions
    starts = [len(index) - 1 if b.session is None else int(index.searchsorted(pd.Timestamp(b.session), side="right")) for b in books]
    return max(0, len(index) - min(starts, default=len(index)))


def _session_returns(books: list[ShadowBook], view: DataView, sessions: int) -> dict[date, SessionReturns]:
    symbols = sorted({s for b in books for s in (*b.weights, *(b.pending or {}))})
    depth = sessions + 1 + FILL_SESSIONS
    adjusted = view.bars("adj_close", depth, symbols)
    columns = list(adjusted.columns)
    level = _filled(adjusted.to_numpy())
    opens, closes = (view.bars(f, sessions, columns).to_numpy() for f in ("open", "close"))
    total = _ratio(level[-sessions:], level[-sessions - 1 : -1])
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = np.where(np.isfinite(opens) & (opens > 0) & np.isfinite(closes), closes / opens - 1.0, 0.0)
    overnight = (1.0 + total) / (1.0 + inside) - 1.0
    days = [d.date() for d in adjusted.index[-sessions:]]
    return {
        day: SessionReturns(
            dict(zip(columns, overnight[i].tolist(), strict=True)),
            dict(zip(columns, inside[i].tolist(), strict=True)),
        )
        for i, day in enumerate(days)
    }


def _filled(values: Floats) -> Floats:
    """Gaps filled with the last value, each no longer than FILL_SESSIONS, however many sessions are read at once."""
    filled, age = values.copy(), np.zeros(values.shape[1], dtype=np.intp)
    for i in range(1, len(filled)):
        gap = np.isnan(filled[i])
        age = np.where(gap, age + 1, 0)
        fill = gap & (age <= FILL_SESSIONS)
        filled[i, fill] = filled[i - 1, fill]
    return filled


def _ratio(now: Floats, before: Floats) -> Floats:
    if len(before) < len(now):
        before = np.vstack([np.full((len(now) - len(before), now.shape[1]), np.nan), before])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = now / before - 1.0
    return np.where(np.isfinite(ratio), ratio, 0.0)


def _roll_one(book: ShadowBook, session: date, returns: SessionReturns, cost_frac: float) -> tuple[ShadowBook, ShadowMark]:
    weights, growth = _drift(book.weights, returns.overnight)
    turnover = 0.0
    if book.pending is not None and book.pending_session is not None and book.pending_session <= session:
        names = sorted({*weights, *book.pending})
        turnover = sum(abs(book.pending.get(s, 0.0) - weights.get(s, 0.0)) for s in names)
        weights = {s: w for s, w in sorted(book.pending.items()) if w}
        growth *= 1.0 - cost_frac * turnover
        book = replace(book, pending=None, pending_session=None)
    weights, inside = _drift(weights, returns.intraday)
    mark = ShadowMark(sleeve=book.sleeve, session=session, return_frac=growth * inside - 1.0, turnover_frac=turnover)
    return replace(book, session=session, weights=weights), mark


def _drift(weights: Mapping[str, float], returns: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """Weights after each symbol has earned its return, and the growth of the whole."""
    growth = 1.0 + sum(w * returns.get(s, 0.0) for s, w in sorted(weights.items()))
    if growth <= 0.0:
        return {}, 0.0
    return {s: w * (1.0 + returns.get(s, 0.0)) / growth for s, w in sorted(weights.items())}, growth
