"""What a share is worth at any instant, told from sessions, bars and splits."""

from datetime import date, datetime

from execution.exchange.market import MarketSession, PriceSource, SessionBar, Sessions, price_at
from execution.exchange.units import to_ticks

LOOKBACK_SESSIONS = 10


class Tape:
    """Prices in ticks. `current` is the place in the calendar of the session that runs or comes next."""

    def __init__(self, prices: PriceSource, sessions: Sessions) -> None:
        self._prices = prices
        self._sessions = sessions
        self._day: date | None = None
        self._bars: dict[str, SessionBar | None] = {}

    def bar(self, symbol: str, session: MarketSession) -> SessionBar | None:
        """The bar of a session; those of the latest session asked for are remembered."""
        if session.date != self._day:
            self._day, self._bars = session.date, {}
        if symbol not in self._bars:
            self._bars[symbol] = self._prices.bar(symbol, session.date)
        return self._bars[symbol]

    def last_close(self, symbol: str, current: int, *, split_done: bool) -> int | None:
        """The last close within ten sessions before `current`, in shares of today; None when there was none.

        split_done: whether the corporate actions of the current session have taken effect.
        """
        session = self._sessions[current]
        ratio = self._prices.split(symbol, session.date) if session is not None and split_done else 1.0
        for back in range(1, LOOKBACK_SESSIONS + 1):
            session = self._sessions[current - back]
            if session is None:
                return None
            bar = self._prices.bar(symbol, session.date)
            if bar is not None:
                return to_ticks(bar.close / ratio)
            ratio *= self._prices.split(symbol, session.date)
        return None

    def running(self, symbol: str, session: MarketSession, at: datetime) -> int | None:
        """The price inside a running session; None when the symbol does not trade, or only at the close."""
        bar = self.bar(symbol, session)
        return None if bar is None or bar.open is None else to_ticks(price_at(bar, session.fraction(at)))

    def first(self, symbol: str, session: MarketSession) -> int | None:
        """The first price of a session: what an instrument without any earlier price is issued at."""
        bar = self.bar(symbol, session)
        if bar is None:
            return None
        return to_ticks(bar.close if bar.open is None else bar.open)

    def is_gone(self, symbol: str, current: int) -> bool:
        """True when ten known sessions before `current` passed without a bar."""
        past = [self._sessions[current - back] for back in range(1, LOOKBACK_SESSIONS + 1)]
        return all(session is not None and self._prices.bar(symbol, session.date) is None for session in past)
