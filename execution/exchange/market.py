"""What the exchange is told about the world: sessions, bars, corporate actions, and the path of a price inside a session."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from execution.base import Asset, Side

NEW_YORK = ZoneInfo("America/New_York")
CORPORATE_ACTIONS_AT = time(6, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSession:
    """One trading day of the exchange; open and close are UTC instants."""

    date: date
    open_at: datetime
    close_at: datetime

    @property
    def corporate_at(self) -> datetime:
        """06:00 New York, when splits and ex-dividends take effect."""
        return datetime.combine(self.date, CORPORATE_ACTIONS_AT, NEW_YORK).astimezone(UTC)

    def fraction(self, at: datetime) -> float:
        """How much of the session has passed at `at`, 0 to 1."""
        return min(1.0, max(0.0, (at - self.open_at) / (self.close_at - self.open_at)))


SessionSource = Sequence[MarketSession] | Callable[[], Sequence[MarketSession]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBar:
    """Prices of one session in dollars and its volume in shares, as traded on that day.

    open None: the instrument has only a close, and trades at that close instead of at the open.
    """

    open: float | None
    high: float | None
    low: float | None
    close: float
    volume: float | None


class PriceSource(Protocol):
    """Reference prices and corporate actions. The same question must always get the same answer."""

    def bar(self, symbol: str, session: date) -> SessionBar | None:
        """The bar of that session, None when the symbol did not trade."""
        ...

    def dividend(self, symbol: str, session: date) -> float:
        """Cash per share with that ex-date, in the shares of that day, after any split; 0.0 for none."""
        ...

    def split(self, symbol: str, session: date) -> float:
        """New shares per old share that take effect on that day; 1.0 for none."""
        ...

    def assets(self) -> Sequence[Asset]:
        """What is listed."""
        ...


class Sessions:
    """The exchange calendar. A callable source is asked again when time runs past the last session it gave."""

    def __init__(self, source: SessionSource) -> None:
        self._source = source
        self.known: Sequence[MarketSession] = []
        self._closes: list[datetime] = []
        self._load()

    def _load(self) -> None:
        source = self._source
        self.known = source() if callable(source) else source
        self._closes = [session.close_at for session in self.known]

    def __getitem__(self, index: int) -> MarketSession | None:
        """The session at that place of the calendar, None past its end or before its start."""
        if index >= len(self.known) and callable(self._source):
            self._load()
        return self.known[index] if 0 <= index < len(self.known) else None

    def index_after(self, at: datetime) -> int:
        """Place of the first session that closes after `at`."""
        index = bisect_right(self._closes, at)
        return index if self[index] is None else bisect_right(self._closes, at)

    def following(self, session: MarketSession) -> MarketSession | None:
        """The session after that one."""
        return self[bisect_right(self._closes, session.close_at)]

    def between(self, start: date, end: date) -> Sequence[MarketSession]:
        """Known sessions dated start to end, both inclusive."""
        low = bisect_left(self.known, start, key=lambda session: session.date)
        return self.known[low : bisect_right(self.known, end, key=lambda session: session.date)]


def _path(bar: SessionBar) -> list[float]:
    """The prices that a session runs through, evenly spaced in time and joined by straight lines.

    open, low, high, close when it ends no lower than it began, else open, high, low, close: the order of extremes that a
    daily bar cannot tell. Without extremes it is the line from open to close.
    """
    start = bar.close if bar.open is None else bar.open
    if bar.high is None or bar.low is None:
        return [start, bar.close]
    low, high = min(bar.low, start, bar.close), max(bar.high, start, bar.close)
    return [start, low, high, bar.close] if bar.close >= start else [start, high, low, bar.close]


def price_at(bar: SessionBar, fraction: float) -> float:
    """Price in dollars when `fraction` of the session (0 to 1) has passed."""
    path = _path(bar)
    place = fraction * (len(path) - 1)
    left = min(int(place), len(path) - 2)
    return path[left] + (place - left) * (path[left + 1] - path[left])


def first_touch(bar: SessionBar, side: Side, target: float, start: float) -> float | None:
    """The earliest fraction of the session, not before `start`, when the price is at or beyond `target`; None if never.

    side buy waits for prices at or below target, sell for prices at or above it.
    """
    sign = 1.0 if side == "buy" else -1.0
    path = _path(bar)
    steps = len(path) - 1
    for index, (left, right) in enumerate(pairwise(path)):
        if (index + 1) / steps < start:
            continue
        begin = max(start, index / steps)
        if sign * price_at(bar, begin) <= sign * target:
            return begin
        if sign * right <= sign * target:
            return max(begin, (index + (target - left) / (right - left)) / steps)
    return None
