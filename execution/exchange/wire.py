"""Alpaca's JSON shapes (Trading API v2): money and quantities as strings, instants as RFC 3339."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from execution.base import Asset, OrderRequest
from execution.exchange.account import Account, Holding
from execution.exchange.activities import Activity
from execution.exchange.admission import closing_qty, invalid
from execution.exchange.market import NEW_YORK, MarketSession
from execution.exchange.orders import VenueOrder
from execution.exchange.units import MONEY_PLACES, average_price, from_scaled, price, shares, usd
from execution.exchange.venue import Venue

Json = dict[str, Any]
ORDER_STAMPS = ("filled", "expired", "canceled", "replaced")
SIX_PLACES = Decimal("0.000001")


def text(value: Decimal) -> str:
    """A number as Alpaca writes it: plain digits, no exponent."""
    return format(value, "f")


def stamp(at: datetime | None) -> str | None:
    """An instant in UTC with a Z."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def asset_id(symbol: str) -> str:
    """The id under which an instrument is listed."""
    return str(uuid5(NAMESPACE_URL, f"allocd/asset/{symbol}"))


def _ratio(part: int, whole: int) -> str:
    return text((Decimal(part) / Decimal(whole)).quantize(SIX_PLACES)) if whole else "0"


def account_json(venue: Venue) -> Json:
    """GET /v2/account."""
    account = venue.marked()
    buying_power = text(usd(account.buying_power))
    return {
        "id": venue.account_id,
        "account_number": venue.account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": text(usd(account.cash)),
        "equity": text(usd(account.equity)),
        "last_equity": text(usd(account.last_equity)),
        "portfolio_value": text(usd(account.equity)),
        "buying_power": buying_power,
        "regt_buying_power": buying_power,
        "non_marginable_buying_power": text(usd(max(min(account.cash, account.equity - account.initial_margin), 0))),
        "options_buying_power": "0",
        **_margin_json(account),
        "multiplier": str(account.multiplier),
        "shorting_enabled": account.multiplier > 1,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": stamp(venue.log.entries[0].at),
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "balance_asof": venue.now.astimezone(NEW_YORK).date().isoformat(),
        "options_approved_level": 0,
        "options_trading_level": 0,
    }


def _margin_json(account: Account) -> Json:
    """Regulation T initial margin of 50 % and FINRA 4210 maintenance margin: 25 % of longs, 30 % of shorts."""
    maintenance = account.long_value // 4 - account.short_value * 3 // 10
    return {
        "long_market_value": text(usd(account.long_value)),
        "short_market_value": text(usd(account.short_value)),
        "initial_margin": text(usd(account.initial_margin)),
        "maintenance_margin": text(usd(maintenance)),
        "last_maintenance_margin": text(usd(maintenance)),
        "sma": "0",
    }


def asset_json(asset: Asset) -> Json:
    """One entry of GET /v2/assets."""
    return {
        "id": asset_id(asset.symbol),
        "class": "us_equity",
        "exchange": "NASDAQ",
        "symbol": asset.symbol,
        "name": asset.name,
        "status": "active" if asset.tradable else "inactive",
        "tradable": asset.tradable,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": asset.shortable,
        "easy_to_borrow": asset.shortable,
        "fractionable": asset.fractionable,
        "attributes": [],
    }


def order_json(order: VenueOrder) -> Json:
    """An order, as POST and GET /v2/orders show it."""
    request = order.request
    average = order.filled_avg_price
    return {
        "id": order.id,
        "client_order_id": request.client_order_id,
        "created_at": stamp(order.submitted_at),
        "updated_at": stamp(order.updated_at),
        "submitted_at": stamp(order.submitted_at),
        **{f"{name}_at": stamp(order.stamps.get(name)) for name in ORDER_STAMPS},
        "failed_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id(request.symbol),
        "symbol": request.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": text(shares(order.qty)),
        "filled_qty": text(shares(order.filled_qty)),
        "filled_avg_price": None if average is None else text(average),
        "order_class": "",
        "order_type": request.type,
        "type": request.type,
        "side": request.side,
        "time_in_force": request.time_in_force,
        "limit_price": None if order.limit_ticks is None else text(price(order.limit_ticks)),
        "stop_price": None,
        "status": order.status,
        "extended_hours": request.extended_hours,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
    }


def position_json(venue: Venue, holding: Holding) -> Json:
    """An entry of GET /v2/positions."""
    gain = holding.value - holding.cost
    before = holding.qty * holding.lastday_ticks
    available, _ = closing_qty("sell" if holding.qty > 0 else "buy", holding.qty, venue.blotter.working(holding.symbol))
    sign = 1 if holding.qty > 0 else -1
    return {
        "asset_id": asset_id(holding.symbol),
        "symbol": holding.symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": text(shares(holding.qty)),
        "qty_available": text(shares(sign * available)),
        "avg_entry_price": text(average_price(holding.cost, holding.qty)),
        "side": "long" if holding.qty > 0 else "short",
        "market_value": text(usd(holding.value)),
        "cost_basis": text(usd(holding.cost)),
        "unrealized_pl": text(usd(gain)),
        "unrealized_plpc": _ratio(gain, abs(holding.cost)),
        "unrealized_intraday_pl": text(usd(holding.value - before)),
        "unrealized_intraday_plpc": _ratio(holding.value - before, abs(before)),
        "current_price": text(price(holding.mark_ticks)),
        "lastday_price": text(price(holding.lastday_ticks)),
        "change_today": _ratio(holding.mark_ticks - holding.lastday_ticks, holding.lastday_ticks),
    }


def activity_json(entry: Activity) -> Json:
    """An entry of GET /v2/account/activities."""
    if entry.kind == "FILL":
        return {
            "activity_type": "FILL",
            "id": entry.id,
            "cum_qty": text(shares(entry.cum_qty)),
            "leaves_qty": text(shares(entry.leaves_qty)),
            "price": text(price(entry.ticks)),
            "qty": text(shares(entry.qty)),
            "side": entry.side,
            "symbol": entry.symbol,
            "transaction_time": stamp(entry.at),
            "order_id": entry.order_id,
            "type": "partial_fill" if entry.leaves_qty else "fill",
            "order_status": "partially_filled" if entry.leaves_qty else "filled",
        }
    details: Json = {
        "activity_type": entry.kind,
        "id": entry.id,
        "date": entry.at.astimezone(NEW_YORK).date().isoformat(),
        "net_amount": text(from_scaled(entry.net, MONEY_PLACES)),
        "status": "executed",
    }
    if entry.symbol:
        details |= {"symbol": entry.symbol, "qty": text(shares(entry.qty))}
    if entry.per_share:
        details["per_share_amount"] = entry.per_share
    return details


def clock_json(venue: Venue) -> Json:
    """GET /v2/clock, in New York time."""
    next_open, next_close = (at.astimezone(NEW_YORK).isoformat() for at in venue.hours())
    timestamp = venue.now.astimezone(NEW_YORK).isoformat()
    return {"timestamp": timestamp, "is_open": venue.is_open, "next_open": next_open, "next_close": next_close}


def session_json(session: MarketSession, following: MarketSession | None) -> Json:
    """An entry of GET /v2/calendar; settlement is the next session (T+1)."""
    return {
        "date": session.date.isoformat(),
        "open": f"{session.open_at.astimezone(NEW_YORK):%H:%M}",
        "close": f"{session.close_at.astimezone(NEW_YORK):%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": (following or session).date.isoformat(),
    }


def read_instant(value: str) -> datetime:
    """An RFC 3339 instant or a date (its midnight UTC); without an offset it is UTC. Raises Refusal 422."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid(f"invalid time {value}") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def read_flag(value: object) -> bool:
    """True for true, True, 1."""
    return str(value).lower() in ("true", "1")


def _number(body: Mapping[str, Any], name: str) -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise invalid(f"{name} is not a number") from error


def read_order(body: Mapping[str, Any], *, symbol: str, client_order_id: str) -> OrderRequest:
    """The order of a POST body; its content is checked by the venue. Raises Refusal 422."""
    if body.get("notional") is not None:
        raise invalid("notional orders are not supported")
    if body.get("order_class") not in (None, "", "simple"):
        raise invalid(f"order class {body['order_class']} is not supported")
    qty = _number(body, "qty")
    if qty is None:
        raise invalid("qty is required")
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=symbol,
        side=body.get("side", ""),
        qty=qty,
        type=body.get("type", ""),
        time_in_force=body.get("time_in_force", "day"),
        limit_price=_number(body, "limit_price"),
        stop_price=_number(body, "stop_price"),
        extended_hours=read_flag(body.get("extended_hours", False)),
    )
