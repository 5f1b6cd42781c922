"""What the exchange refuses at the door, in the order in which Alpaca checks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import get_args

from execution.base import Asset, OrderRequest, Side, TimeInForce
from execution.exchange.account import Account
from execution.exchange.market import NEW_YORK, MarketSession
from execution.exchange.orders import Refusal, VenueOrder
from execution.exchange.units import QTY_PLACES, SHARE, TICK_PLACES, shares, to_scaled, usd

OPG_CUTOFF = timedelta(minutes=2)
CLS_CUTOFF = timedelta(minutes=10)
EVENING = time(19, 0)
CLIENT_ID_LENGTH = 128


def invalid(message: str) -> Refusal:
    """A body that makes no sense: 422."""
    return Refusal(message, status=422, code=40010001)


def unacceptable(message: str) -> Refusal:
    """A well-formed order that the market does not take: 422."""
    return Refusal(message, status=422, code=42210000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The exact numbers of an acceptable order, in units and ticks."""

    qty: int
    limit_ticks: int | None


def read_terms(request: OrderRequest) -> Terms:
    """Check the order by itself and convert its numbers. Raises Refusal."""
    if not 0 < len(request.client_order_id) <= CLIENT_ID_LENGTH:
        raise invalid(f"client_order_id must be 1 to {CLIENT_ID_LENGTH} characters")
    if request.side not in get_args(Side) or request.time_in_force not in get_args(TimeInForce):
        raise invalid("invalid side or time_in_force")
    if request.type not in ("market", "limit"):
        raise invalid(f"order type {request.type} is not supported")
    qty = to_scaled(request.qty, QTY_PLACES)
    if qty is None:
        raise invalid(f"qty must have at most {QTY_PLACES} decimals")
    if qty <= 0:
        raise invalid("qty must be > 0")
    if qty % SHARE and request.time_in_force != "day":
        raise unacceptable("fractional orders must be DAY orders")
    if request.extended_hours and (request.type, request.time_in_force) != ("limit", "day"):
        raise invalid("extended hours order must be DAY limit orders")
    return Terms(qty=qty, limit_ticks=_limit_ticks(request))


def _limit_ticks(request: OrderRequest) -> int | None:
    limit = request.limit_price
    if request.stop_price is not None:
        raise invalid(f"{request.type} orders take no stop price")
    if request.type == "market":
        if limit is not None:
            raise invalid("market orders require no limit price")
        return None
    if limit is None or not limit.is_finite() or limit <= 0:
        raise invalid("limit orders require a limit price > 0")
    places = 2 if limit >= 1 else TICK_PLACES
    if to_scaled(limit, places) is None:
        raise unacceptable(f"invalid limit_price {limit}. sub-penny increment does not fulfill minimum pricing criteria")
    return to_scaled(limit, TICK_PLACES)


def check_window(tif: TimeInForce, session: MarketSession, last: MarketSession | None, at: datetime) -> None:
    """Refuse an auction order that comes too late: opg from two minutes before the open, cls from ten before the close.

    Both are taken again from 19:00 New York. session: the one that is open or comes next; last: the one before it.
    """
    local = at.astimezone(NEW_YORK)
    evening = last is not None and local.date() == last.date and local.time() < EVENING
    if tif == "opg" and (evening or at >= session.open_at - OPG_CUTOFF):
        raise unacceptable("opg orders are accepted from 7:00pm to 9:28am ET")
    if tif == "cls" and (evening or at >= session.close_at - CLS_CUTOFF):
        raise unacceptable("cls orders are accepted from 7:00pm until ten minutes before the close")


def check_asset(asset: Asset | None, request: OrderRequest, qty: int) -> None:
    """The instrument must be listed and tradable, and divisible for a fractional order."""
    if asset is None:
        raise invalid(f"asset not found for {request.symbol}")
    if not asset.tradable:
        raise unacceptable(f"asset {request.symbol} is not tradable")
    if qty % SHARE and not asset.fractionable:
        raise Refusal(f'asset "{request.symbol}" is not fractionable', status=403, code=40310000)


def check_wash_trade(side: Side, limit_ticks: int | None, working: Iterable[VenueOrder]) -> None:
    """Refuse an order that could trade against one's own working order."""
    for other in working:
        if other.side != side and _could_cross(side, limit_ticks, other.limit_ticks):
            raise Refusal(
                "potential wash trade detected. use complex orders",
                status=403,
                code=40310000,
                existing_order_id=other.id,
                reject_reason=f"opposite side {'market' if other.limit_ticks is None else 'limit'} order exists",
            )


def _could_cross(side: Side, mine: int | None, theirs: int | None) -> bool:
    if mine is None or theirs is None:
        return True
    return mine >= theirs if side == "buy" else mine <= theirs


def closing_qty(side: Side, held: int, working: Iterable[VenueOrder]) -> tuple[int, int]:
    """Units that an order of that side could still close, and units that earlier orders already mean to close."""
    closes = held > 0 if side == "sell" else held < 0
    if not closes:
        return 0, 0
    claimed = sum(order.remaining for order in working if order.side == side)
    return max(abs(held) - claimed, 0), claimed


def check_position(request: OrderRequest, qty: int, held: int, working: Sequence[VenueOrder], *, may_short: bool) -> bool:
    """True when the order reduces a position, False when it opens or adds to one.

    One order may not turn a long position into a short one or the reverse. Shorts are whole shares.
    """
    available, claimed = closing_qty(request.side, held, working)
    if available + claimed:
        if qty > available:
            raise Refusal(
                f"insufficient qty available for order (requested: {request.qty}, available: {shares(available)})",
                status=403,
                code=40310000,
                available=format(shares(available), "f"),
                existing_qty=format(shares(held), "f"),
                held_for_orders=format(shares(claimed), "f"),
                symbol=request.symbol,
            )
        return True
    if request.side == "sell":
        if qty % SHARE:
            raise unacceptable("fractional orders cannot be sold short")
        if not may_short:
            raise unacceptable(f"asset {request.symbol} cannot be sold short")
    return False


def check_buying_power(account: Account, cost: int) -> None:
    """The order's reserve must fit into what is free."""
    if cost > account.buying_power:
        raise Refusal(
            "insufficient buying power",
            status=403,
            code=40310000,
            buying_power=cents(usd(account.buying_power)),
            cost_basis=cents(usd(cost)),
        )


def cents(amount: Decimal) -> str:
    """Dollars and cents."""
    return format(amount.quantize(Decimal("0.01")), "f")
