"""The words of trading, which are Alpaca's own, and what allocd asks of a broker. Money and quantities are Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
TimeInForce = Literal["day", "gtc", "opg", "cls", "ioc", "fok"]

OPEN_STATUSES = frozenset(
    "new accepted pending_new partially_filled held pending_cancel pending_replace done_for_day "
    "accepted_for_bidding stopped suspended calculated pending_review".split()
)
FINAL_STATUSES = frozenset("filled canceled expired rejected replaced".split())
# Statuses that only we know: `intended` is committed but not sent, `unknown` was sent without an answer,
# `abandoned` was intended but provably never reached the broker and is past its session.
OWN_STATUSES = frozenset("intended unknown abandoned".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as we mean to send it."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = "market"
    time_in_force: TimeInForce = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the broker reports it. `status` is a plain str: the broker may invent new ones."""

    id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal | None
    type: str
    time_in_force: str
    status: str
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    submitted_at: datetime
    updated_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reject_reason: str = ""

    @property
    def is_final(self) -> bool:
        """True when the broker will not change this order any more."""
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. `id` is the broker's activity id and the key that makes recording idempotent."""

    id: str
    order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CashActivity:
    """A non-trade activity: DIV, FEE, INT, CSD (deposit), CSW (withdrawal), SPLIT, REORG (delisting cash-out).

    net_amount is signed cash; qty is the signed change of position for SPLIT and REORG, else 0.
    """

    id: str
    kind: str
    symbol: str
    net_amount: Decimal
    qty: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A holding. `qty` and `market_value` are negative for a short."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    current_price: Decimal | None
    market_value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account as the broker reports it."""

    id: str
    account_number: str
    status: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    multiplier: Decimal
    trading_blocked: bool = False
    shorting_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerClock:
    """The broker's clock, UTC."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What may be traded."""

    symbol: str
    tradable: bool
    fractionable: bool
    shortable: bool
    name: str = ""


class Broker(Protocol):
    """What allocd asks of a broker. Every method may raise Unreachable, Unauthorized or RateLimited."""

    def account(self) -> Account:
        """The account now."""
        ...

    def positions(self) -> list[Position]:
        """Every open position, sorted by symbol."""
        ...

    def clock(self) -> BrokerClock:
        """The broker's clock."""
        ...

    def assets(self) -> list[Asset]:
        """Active US equities."""
        ...

    def submit(self, request: OrderRequest) -> Order:
        """Send an order once. Raises Rejected (final) or UnknownOutcome (look it up)."""
        ...

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """The order with that client id, or None when the broker has never seen it."""
        ...

    def orders(self, *, status: Literal["open", "closed", "all"] = "open", after: datetime | None = None) -> list[Order]:
        """Orders in ascending submission time, all pages."""
        ...

    def cancel(self, order_id: str) -> None:
        """Ask to cancel; a request, not a result. Raises Rejected when no longer cancelable."""
        ...

    def fills(self, *, after: datetime) -> list[Fill]:
        """Executions at or after `after`, ascending, all pages."""
        ...

    def cash_activities(self, *, after: datetime) -> Sequence[CashActivity]:
        """Non-trade activities at or after `after`, ascending, all pages."""
        ...
