"""Alpaca's JSON to our types and back. Lenient: numbers or strings, unknown words kept, unknown keys ignored; what is missing is named."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from execution.base import Account, Asset, BrokerClock, CashActivity, Fill, Order, OrderRequest, Position, Side
from execution.errors import Unreachable

NEW_YORK = ZoneInfo("America/New_York")
ZERO = Decimal(0)
Row = dict[str, Any]
T = TypeVar("T")


def parse(parser: Callable[[Row], T], body: object) -> T:
    """One object of an answer. Raises Unreachable, naming the parser and what it missed, when the answer is not of that shape."""
    if not isinstance(body, dict):
        raise Unreachable(f"the broker's answer is not {_article(parser)}: {str(body)[:200]}")
    try:
        return parser(body)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise Unreachable(f"the broker's answer is not {_article(parser)}: {error!r} in {str(body)[:200]}") from error


def parse_all(parser: Callable[[Row], T], body: object) -> list[T]:
    """Every object of an answer that is an array."""
    if not isinstance(body, list):
        raise Unreachable(f"the broker's answer is not an array: {str(body)[:200]}")
    return [parse(parser, row) for row in body]


def account(row: Row) -> Account:
    """GET /v2/account. Blocked by any of the three flags counts as blocked."""
    blocks = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    return Account(
        id=str(row["id"]),
        account_number=str(row.get("account_number", "")),
        status=str(row["status"]),
        cash=number(row["cash"]),
        equity=number(row["equity"]),
        buying_power=number(row.get("buying_power", 0)),
        multiplier=number(row.get("multiplier", 1)),
        trading_blocked=any(row.get(block) is True for block in blocks),
        shorting_enabled=row.get("shorting_enabled") is not False,
    )


def position(row: Row) -> Position:
    """An element of GET /v2/positions; a short is negative even where the broker says so by `side` alone."""
    qty = number(row["qty"])
    value = optional_number(row.get("market_value"))
    if row.get("side") == "short":
        qty, value = -abs(qty), None if value is None else -abs(value)
    return Position(
        symbol=str(row["symbol"]),
        qty=qty,
        avg_entry_price=number(row["avg_entry_price"]),
        current_price=optional_number(row.get("current_price")),
        market_value=value,
    )


def clock(row: Row) -> BrokerClock:
    """GET /v2/clock."""
    return BrokerClock(
        timestamp=instant(row["timestamp"]),
        is_open=row["is_open"] is True,
        next_open=instant(row["next_open"]),
        next_close=instant(row["next_close"]),
    )


def asset(row: Row) -> Asset:
    """An element of GET /v2/assets."""
    return Asset(
        symbol=str(row["symbol"]),
        tradable=row.get("tradable") is True,
        fractionable=row.get("fractionable") is True,
        shortable=row.get("shortable") is True,
        name=str(row.get("name") or ""),
    )


def order(row: Row) -> Order:
    """An order of any endpoint."""
    return Order(
        id=str(row["id"]),
        client_order_id=str(row["client_order_id"]),
        symbol=str(row["symbol"]),
        side=side(row["side"]),
        qty=optional_number(row.get("qty")),
        type=str(row.get("type") or row.get("order_type") or ""),
        time_in_force=str(row.get("time_in_force") or ""),
        status=str(row["status"]),
        filled_qty=optional_number(row.get("filled_qty")) or ZERO,
        filled_avg_price=optional_number(row.get("filled_avg_price")),
        submitted_at=instant(row.get("submitted_at") or row["created_at"]),
        updated_at=instant(row.get("updated_at") or row.get("submitted_at") or row["created_at"]),
        limit_price=optional_number(row.get("limit_price")),
        stop_price=optional_number(row.get("stop_price")),
        reject_reason=str(row.get("reject_reason") or ""),
    )


def fill(row: Row) -> Fill:
    """A FILL activity."""
    return Fill(
        id=str(row["id"]),
        order_id=str(row["order_id"]),
        symbol=str(row["symbol"]),
        side=side(row["side"]),
        qty=number(row["qty"]),
        price=number(row["price"]),
        at=instant(row["transaction_time"]),
    )


def activity(row: Row) -> Row:
    """An account activity of any kind, as it came; its `id` is what pages are counted by."""
    return row | {"id": str(row["id"])}


def cash_activity(row: Row) -> CashActivity:
    """A non-trade activity. One with a date only is placed at 00:00 New York of that date."""
    when = row.get("transaction_time") or row.get("created_at")
    at = instant(when) if when else datetime.combine(datetime.fromisoformat(row["date"]).date(), time(), NEW_YORK).astimezone(UTC)
    kind = str(row["activity_type"])
    moves_shares = not kind.startswith("DIV")  # a dividend's qty is the holding it was paid on
    return CashActivity(
        id=str(row["id"]),
        kind=kind,
        symbol=str(row.get("symbol") or ""),
        net_amount=optional_number(row.get("net_amount")) or ZERO,
        qty=(optional_number(row.get("qty")) or ZERO) if moves_shares else ZERO,
        at=at,
    )


def order_body(request: OrderRequest) -> Row:
    """The body of POST /v2/orders; numbers as strings, so that no digit is lost."""
    body: Row = {
        "symbol": request.symbol,
        "qty": format(request.qty, "f"),
        "side": request.side,
        "type": request.type,
        "time_in_force": request.time_in_force,
        "client_order_id": request.client_order_id,
        "extended_hours": request.extended_hours,
    }
    prices = {"limit_price": request.limit_price, "stop_price": request.stop_price}
    return body | {name: format(price, "f") for name, price in prices.items() if price is not None}


def number(value: object) -> Decimal:
    """A finite Decimal from a string or a JSON number. Raises ValueError or InvalidOperation."""
    if value is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return found


def optional_number(value: object) -> Decimal | None:
    """A number, or None for null and for an empty string."""
    return None if value is None or value == "" else number(value)


def instant(value: object) -> datetime:
    """An RFC 3339 time in UTC, cut to microseconds; one without an offset is taken as UTC."""
    found = datetime.fromisoformat(str(value))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """An instant as a query argument."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def side(value: object) -> Side:
    """Buy or sell; `sell_short` of the activities is a sell."""
    word = str(value)
    if word.startswith("buy"):
        return "buy"
    if word.startswith("sell"):
        return "sell"
    raise ValueError(f"{value!r} is not a side")


def _article(parser: Callable[[Row], Any]) -> str:
    name = parser.__name__.replace("_", " ").strip()
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
