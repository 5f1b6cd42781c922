"""An order inside the exchange, and the exchange's way of saying no."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.base import FINAL_STATUSES, OrderRequest, Side
from execution.errors import Rejected
from execution.exchange.units import average_price


class Refusal(Rejected):
    """The exchange said no. `extras` are the further keys of Alpaca's error body."""

    def __init__(self, message: str, *, status: int, code: int, **extras: str) -> None:
        super().__init__(message, status=status, code=code)
        self.extras = extras


def request_record(request: OrderRequest) -> dict[str, Any]:
    """A request as JSON values, numbers as text."""
    values = {item.name: getattr(request, item.name) for item in fields(request)}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def request_from(record: Mapping[str, Any]) -> OrderRequest:
    """The request that `request_record` described."""
    values = dict(record)
    for name in ("qty", "limit_price", "stop_price"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return OrderRequest(**values)


@dataclass(slots=True, kw_only=True)
class VenueOrder:
    """An order and what became of it. Quantities are units of 1e-9 shares, prices ticks, values money (see units.py).

    reserved: buying power held for what is not filled yet. refill_at: set while a remainder waits for new quotes.
    """

    seq: int
    id: str
    request: OrderRequest
    qty: int
    limit_ticks: int | None
    submitted_at: datetime
    updated_at: datetime
    status: str = "accepted"
    filled_qty: int = 0
    filled_value: int = 0
    reserved: int = 0
    refill_at: datetime | None = None
    stamps: dict[str, datetime] = field(default_factory=dict)
    reject_reason: str = ""

    @property
    def symbol(self) -> str:
        """The instrument."""
        return self.request.symbol

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self.request.side

    @property
    def remaining(self) -> int:
        """Units that are not filled."""
        return self.qty - self.filled_qty

    @property
    def is_final(self) -> bool:
        """True when the order cannot change any more."""
        return self.status in FINAL_STATUSES

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Average dollars per filled share, None before the first fill."""
        return average_price(self.filled_value, self.filled_qty) if self.filled_qty else None

    def move(self, status: str, at: datetime) -> None:
        """Enter a status; the instant is kept under its name (filled_at, canceled_at, ...)."""
        self.status = status
        self.updated_at = max(at, self.updated_at)
        self.stamps[status] = self.updated_at
