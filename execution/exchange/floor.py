"""The trading floor of one session: a book per instrument, quotes for whoever arrives, and who waits for which price."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import ceil

from execution.base import Side
from execution.exchange.book import Book, Duration, Trade
from execution.exchange.liquidity import LiquidityOptions, ladder
from execution.exchange.market import MarketSession, SessionBar, first_touch, price_at
from execution.exchange.orders import VenueOrder
from execution.exchange.tape import Tape
from execution.exchange.units import TICK_PLACES

OnFill = Callable[[VenueOrder, int, int, datetime], None]
TICKS_PER_USD = 10**TICK_PLACES
OPPOSITE: dict[Side, Side] = {"buy": "sell", "sell": "buy"}


class Floor:
    """Matches client orders against quotes around the reference price of the bar that the session will have.

    An order that arrives when the market is at or through its price trades against a ladder of quotes, level by level. One
    that waits is traded in full at its own limit when the price path (market.price_at) first brings the quotes to it.
    """

    def __init__(self, tape: Tape, options: LiquidityOptions, on_fill: OnFill) -> None:
        self._tape = tape
        self._options = options
        self._on_fill = on_fill
        self._books: dict[str, Book] = {}
        self._present: dict[int, VenueOrder] = {}
        self._wakes: list[tuple[datetime, int, VenueOrder]] = []
        self._quotes = 0

    def clear(self) -> None:
        """The session is over: nobody waits on the floor any more."""
        self._books.clear()
        self._present.clear()
        self._wakes.clear()

    def remove(self, order: VenueOrder) -> None:
        """A canceled order leaves."""
        if order.symbol in self._books:
            self._books[order.symbol].cancel(order.seq)
        self._present.pop(order.seq, None)

    def next_wake(self) -> datetime | None:
        """When the next waiting order trades, if none does before the close."""
        while self._wakes and self._wakes[0][2].is_final:
            heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def wake(self, session: MarketSession) -> None:
        """Trade the order whose instant next_wake() gave."""
        at, _, order = heappop(self._wakes)
        bar = self._tape.bar(order.symbol, session)
        if bar is None or order.is_final:
            return
        if order.refill_at is not None:
            order.refill_at = None
            self.enter([order], bar, session, at, price_at(bar, session.fraction(at)))
            return
        book = self._books[order.symbol]
        while order.remaining:
            trades = book.add(self._quote_id(), OPPOSITE[order.side], order.remaining, order.limit_ticks, "ioc")
            self._apply(trades, at)

    def enter(self, orders: Sequence[VenueOrder], bar: SessionBar, session: MarketSession, at: datetime, reference: float) -> None:
        """Let orders of one instrument meet the same quotes around `reference` dollars, in their order.

        A limit day or gtc order that is left waits on the floor; of any other the caller disposes.
        """
        book = self._books.setdefault(orders[0].symbol, Book())
        quotes: list[int] = []
        for side, other in OPPOSITE.items():
            wanted = sum(order.remaining for order in orders if order.side == side)
            if wanted:
                for ticks, units in ladder(side, wanted, reference * TICKS_PER_USD, bar.volume, self._options):
                    quotes.append(self._quote_id())
                    self._apply(book.add(quotes[-1], other, units, ticks), at)
        for order in orders:
            before = order.remaining
            self._present[order.seq] = order
            self._apply(book.add(order.seq, order.side, order.remaining, order.limit_ticks, _duration(order)), at)
            if order.seq in book:
                self._wait(order, bar, session, at, touched=order.remaining < before)
        for quote in quotes:
            book.cancel(quote)

    def _wait(self, order: VenueOrder, bar: SessionBar, session: MarketSession, at: datetime, *, touched: bool) -> None:
        if touched:
            # The quotes within its limit are used up. It steps out of the book until there are new ones, because quotes
            # posted for somebody else meanwhile would trade with it at its limit instead of at their own, better price.
            self._books[order.symbol].cancel(order.seq)
            order.refill_at = at + timedelta(seconds=self._options.refill_s)
            wake_at: datetime | None = order.refill_at
        else:
            wake_at = self._touch(order, bar, session, at)
        if wake_at is not None and wake_at < session.close_at:
            heappush(self._wakes, (wake_at, order.seq, order))

    def _touch(self, order: VenueOrder, bar: SessionBar, session: MarketSession, at: datetime) -> datetime | None:
        if order.limit_ticks is None or bar.open is None:
            return None
        spread = self._options.half_spread_bps * 1e-4
        target = order.limit_ticks / TICKS_PER_USD / (1 + spread if order.side == "buy" else 1 - spread)
        fraction = first_touch(bar, order.side, target, session.fraction(at))
        if fraction is None:
            return None
        micros = ceil(fraction * (session.close_at - session.open_at) / timedelta(microseconds=1))
        return max(at, session.open_at + timedelta(microseconds=micros))

    def _apply(self, trades: Sequence[Trade], at: datetime) -> None:
        for trade in trades:
            order = self._present.get(trade.taker_id) or self._present[trade.maker_id]
            self._on_fill(order, trade.qty, trade.ticks, at)

    def _quote_id(self) -> int:
        self._quotes -= 1
        return self._quotes


def _duration(order: VenueOrder) -> Duration:
    tif = order.request.time_in_force
    if tif == "fok":
        return "fok"
    return "rest" if tif in ("day", "gtc") else "ioc"
