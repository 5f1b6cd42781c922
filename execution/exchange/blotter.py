"""Every order that the exchange ever took, and which of them still work."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime

from execution.exchange.orders import VenueOrder


class Blotter:
    """Orders by place, id, client id and symbol."""

    def __init__(self) -> None:
        self.orders: list[VenueOrder] = []
        self.by_id: dict[str, VenueOrder] = {}
        self.by_client_id: dict[str, VenueOrder] = {}
        self._working: dict[str, dict[int, VenueOrder]] = {}

    def add(self, order: VenueOrder) -> None:
        """Enter a new order, submitted after all the others."""
        self.orders.append(order)
        self.by_id[order.id] = order
        self.by_client_id[order.request.client_order_id] = order
        self._working.setdefault(order.symbol, {})[order.seq] = order

    def retire(self, order: VenueOrder) -> None:
        """An order became final."""
        working = self._working[order.symbol]
        del working[order.seq]
        if not working:
            del self._working[order.symbol]

    def symbols(self) -> list[str]:
        """Symbols with working orders, in the order of their first one."""
        return list(self._working)

    def working(self, symbol: str) -> list[VenueOrder]:
        """Orders of one symbol that are not final, in submission order."""
        return list(self._working.get(symbol, {}).values())

    def open_orders(self) -> list[VenueOrder]:
        """Orders that are not final, in submission order."""
        found = [order for working in self._working.values() for order in working.values()]
        return sorted(found, key=lambda order: order.seq)

    def between(self, status: str, after: datetime | None, until: datetime | None) -> list[VenueOrder]:
        """Orders submitted strictly between the two instants (None: no bound), ascending; status open, closed or all."""
        if status == "open":
            return [order for order in self.open_orders() if _within(order, after, until)]
        start = 0 if after is None else bisect_right(self.orders, after, key=_submitted_at)
        end = len(self.orders) if until is None else bisect_left(self.orders, until, key=_submitted_at)
        chosen: Iterable[VenueOrder] = self.orders[start:end]
        return [order for order in chosen if status == "all" or order.is_final]


def _submitted_at(order: VenueOrder) -> datetime:
    return order.submitted_at


def _within(order: VenueOrder, after: datetime | None, until: datetime | None) -> bool:
    return (after is None or order.submitted_at > after) and (until is None or order.submitted_at < until)
