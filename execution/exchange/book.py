"""A limit order book with price-time priority over integer prices and quantities.

The book knows nothing of accounts or clocks: the same sequence of calls gives the same trades on every machine.
"""

from collections import OrderedDict
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from execution.base import Side

Duration = Literal["rest", "ioc", "fok"]


class Trade(NamedTuple):
    """One execution at the resting order's price."""

    maker_id: int
    taker_id: int
    ticks: int
    qty: int


class _Half:
    """One side of the book. Prices are stored signed so that the best level always has the smallest key."""

    __slots__ = ("heap", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, OrderedDict[int, int]] = {}
        self.heap: list[int] = []

    def insert(self, order_id: int, ticks: int, qty: int) -> None:
        key = self.sign * ticks
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = OrderedDict()
            heappush(self.heap, key)
        level[order_id] = qty

    def remove(self, order_id: int, ticks: int) -> int:
        key = self.sign * ticks
        level = self.levels[key]
        qty = level.pop(order_id)
        if not level:
            del self.levels[key]
        return qty

    def best(self) -> int | None:
        """Key of the best level; keys of emptied levels are dropped on the way."""
        heap = self.heap
        while heap and heap[0] not in self.levels:
            heappop(heap)
        return heap[0] if heap else None

    def available(self, worst: int | None) -> int:
        """Quantity at keys up to `worst`, or all of it."""
        return sum(sum(level.values()) for key, level in self.levels.items() if worst is None or key <= worst)


class Book:
    """Orders of one instrument. Ids are the caller's and must be unique among what rests."""

    __slots__ = ("_asks", "_bids", "_where")

    def __init__(self) -> None:
        self._bids = _Half(-1)
        self._asks = _Half(1)
        self._where: dict[int, tuple[_Half, int]] = {}

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._where

    def add(self, order_id: int, side: Side, qty: int, ticks: int | None = None, duration: Duration = "rest") -> list[Trade]:
        """Match an order and let what is left of it rest.

        ticks is the limit price, None for a market order, whose remainder never rests. `ioc` drops the remainder, `fok` trades
        in full or not at all. Returns the trades in the order in which they happened. Raises ValueError for a quantity or price
        that is not positive and for an id that already rests.
        """
        if qty <= 0 or (ticks is not None and ticks <= 0) or order_id in self._where:
            raise ValueError(f"order {order_id}: quantity and price must be positive and the id new")
        own, other = (self._bids, self._asks) if side == "buy" else (self._asks, self._bids)
        worst = None if ticks is None else other.sign * ticks
        if duration == "fok" and other.available(worst) < qty:
            return []
        trades = self._take(order_id, other, qty, worst)
        left = qty - sum(trade.qty for trade in trades)
        if left and ticks is not None and duration == "rest":
            own.insert(order_id, ticks, left)
            self._where[order_id] = (own, ticks)
        return trades

    def _take(self, taker_id: int, other: _Half, qty: int, worst: int | None) -> list[Trade]:
        trades: list[Trade] = []
        while qty:
            key = other.best()
            if key is None or (worst is not None and key > worst):
                break
            level = other.levels[key]
            maker_id, resting = next(iter(level.items()))
            size = min(qty, resting)
            trades.append(Trade(maker_id, taker_id, other.sign * key, size))
            qty -= size
            if size < resting:
                level[maker_id] = resting - size
            else:
                self._drop(maker_id)
        return trades

    def _drop(self, order_id: int) -> int:
        half, ticks = self._where.pop(order_id)
        return half.remove(order_id, ticks)

    def cancel(self, order_id: int) -> int:
        """Take an order out; the quantity that was still resting, 0 when it did not rest."""
        return self._drop(order_id) if order_id in self._where else 0

    def top(self, side: Side) -> tuple[int, int] | None:
        """Best price in ticks and the quantity there on the buy or the sell side; None when that side is empty."""
        half = self._bids if side == "buy" else self._asks
        key = half.best()
        return None if key is None else (half.sign * key, sum(half.levels[key].values()))

    def depth(self, side: Side) -> list[tuple[int, int]]:
        """Every level of a side as (ticks, quantity), best first."""
        half = self._bids if side == "buy" else self._asks
        return [(half.sign * key, sum(half.levels[key].values())) for key in sorted(half.levels)]
