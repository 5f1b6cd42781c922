"""The exchange as a Broker in the same process, for replays: the same orders, rules and fills without HTTP."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from execution.base import Account, Asset, BrokerClock, CashActivity, Fill, Order, OrderRequest, Position
from execution.exchange.activities import Activity
from execution.exchange.orders import VenueOrder
from execution.exchange.units import average_price, price, shares, usd
from execution.exchange.venue import Venue


class SimBroker:
    """Implements execution.base.Broker over a venue. Time is the venue's: whoever drives it calls `venue.advance`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def account(self) -> Account:
        """The account, positions valued at the venue's instant."""
        account = self.venue.marked()
        return Account(
            id=self.venue.account_id,
            account_number=self.venue.account_number,
            status="ACTIVE",
            cash=usd(account.cash),
            equity=usd(account.equity),
            buying_power=usd(account.buying_power),
            multiplier=Decimal(account.multiplier),
            shorting_enabled=account.multiplier > 1,
        )

    def positions(self) -> list[Position]:
        """Every open position, sorted by symbol."""
        holdings = self.venue.marked().holdings
        return [_position(symbol, h.qty, h.cost, h.mark_ticks) for symbol, h in sorted(holdings.items())]

    def clock(self) -> BrokerClock:
        """The venue's clock."""
        next_open, next_close = self.venue.hours()
        return BrokerClock(timestamp=self.venue.now, is_open=self.venue.is_open, next_open=next_open, next_close=next_close)

    def assets(self) -> list[Asset]:
        """Everything that is listed."""
        return self.venue.assets()

    def submit(self, request: OrderRequest) -> Order:
        """Send an order once. Raises Rejected."""
        return _order(self.venue.submit(request))

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """The order with that client id, or None."""
        order = self.venue.blotter.by_client_id.get(client_order_id)
        return None if order is None else _order(order)

    def orders(self, *, status: Literal["open", "closed", "all"] = "open", after: datetime | None = None) -> list[Order]:
        """Orders in ascending submission time, submitted after `after`."""
        return [_order(order) for order in self.venue.blotter.between(status, after, None)]

    def cancel(self, order_id: str) -> None:
        """Cancel an order. Raises Rejected when it is unknown or final."""
        self.venue.cancel(order_id)

    def fills(self, *, after: datetime) -> list[Fill]:
        """Executions at or after `after`, ascending."""
        return [_fill(entry) for entry in self.venue.log.since(after) if entry.kind == "FILL"]

    def cash_activities(self, *, after: datetime) -> Sequence[CashActivity]:
        """Everything but executions at or after `after`, ascending."""
        return [_cash_activity(entry) for entry in self.venue.log.since(after) if entry.kind != "FILL"]


@lru_cache(maxsize=4096)
def _position(symbol: str, qty: int, cost: int, mark_ticks: int) -> Position:
    return Position(
        symbol=symbol,
        qty=shares(qty),
        avg_entry_price=average_price(cost, qty),
        current_price=price(mark_ticks),
        market_value=usd(qty * mark_ticks),
    )


def _order(order: VenueOrder) -> Order:
    request = order.request
    return Order(
        id=order.id,
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        qty=request.qty,
        type=request.type,
        time_in_force=request.time_in_force,
        status=order.status,
        filled_qty=shares(order.filled_qty),
        filled_avg_price=order.filled_avg_price,
        submitted_at=order.submitted_at,
        updated_at=order.updated_at,
        limit_price=request.limit_price,
        reject_reason=order.reject_reason,
    )


def _fill(entry: Activity) -> Fill:
    return Fill(
        id=entry.id,
        order_id=entry.order_id,
        symbol=entry.symbol,
        side=entry.side,
        qty=shares(entry.qty),
        price=price(entry.ticks),
        at=entry.at,
    )


def _cash_activity(entry: Activity) -> CashActivity:
    moved = entry.qty if entry.kind in ("SPLIT", "REORG") else 0
    return CashActivity(id=entry.id, kind=entry.kind, symbol=entry.symbol, net_amount=usd(entry.net), qty=shares(moved), at=entry.at)
