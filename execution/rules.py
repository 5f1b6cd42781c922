"""Refuse locally what the broker would refuse, in its words: an order that fails here costs no request and leaves no trace."""

import re
from decimal import Decimal

from execution.base import Asset, OrderRequest
from execution.errors import Refused

MAX_CLIENT_ID_CHARS = 48
MIN_NOTIONAL_USD = Decimal(1)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]+")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z0-9]{1,4})?")
_SUPPORTED_TYPES = frozenset({"market", "limit"})
_SUPPORTED_TIMES = frozenset({"day", "opg", "cls", "gtc"})
_QTY_DECIMALS = 9


def check(request: OrderRequest, *, asset: Asset | None = None, price: Decimal | None = None, held: Decimal | None = None) -> None:
    """Raise Refused, with the broker's sentence, for an order that it would not take.

    `price` (USD a share, the last known) allows the test of the minimum notional; `held` (signed shares of the account) allows the tests
    of short sales. What is not given is not tested. Source: "Placing Orders" and "Fractional Trading" on docs.alpaca.markets, mid-2026.
    """
    for refusal in (_identity(request), _quantity(request), _prices(request), _time_in_force(request)):
        if refusal:
            raise Refused(refusal)
    refusal = _asset(request, asset) or _notional(request, price, held) or _short(request, asset, held)
    if refusal:
        raise Refused(refusal)


def _identity(request: OrderRequest) -> str:
    if not request.client_order_id or len(request.client_order_id) > MAX_CLIENT_ID_CHARS:
        return f"client_order_id must be 1 to {MAX_CLIENT_ID_CHARS} characters"
    if not _CLIENT_ID.fullmatch(request.client_order_id):
        return "client_order_id may hold letters, digits, dot, underscore and hyphen only"
    if not _SYMBOL.fullmatch(request.symbol):
        return f"invalid symbol {request.symbol!r}: share classes are written with a dot"
    if request.side not in ("buy", "sell"):
        return f"invalid side {request.side!r}"
    return ""


def _quantity(request: OrderRequest) -> str:
    if not request.qty.is_finite() or request.qty <= 0:
        return "qty must be > 0"
    if _decimals(request.qty) > _QTY_DECIMALS:
        return f"qty must be limited to {_QTY_DECIMALS} decimal places"
    return ""


def _prices(request: OrderRequest) -> str:
    if request.type not in _SUPPORTED_TYPES:
        return f"order type {request.type!r} is not sent by this program"
    if request.stop_price is not None:
        return f"{request.type} orders must not have a stop_price"
    if request.type == "market":
        return "market orders must not have a limit_price" if request.limit_price is not None else ""
    if request.limit_price is None:
        return "limit orders require a limit_price"
    return _increment("limit_price", request.limit_price)


def _increment(name: str, price: Decimal) -> str:
    """Two decimals from 1 USD up, four below (Reg NMS rule 612)."""
    if not price.is_finite() or price <= 0:
        return f"{name} must be > 0"
    if _decimals(price) > (2 if price >= 1 else 4):
        return f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
    return ""


def _time_in_force(request: OrderRequest) -> str:
    if request.time_in_force not in _SUPPORTED_TIMES:
        return f"time_in_force {request.time_in_force!r} is not sent by this program"
    if request.extended_hours and (request.type != "limit" or request.time_in_force != "day"):
        return "extended hours order must be DAY limit orders"
    if _is_fractional(request.qty) and request.time_in_force != "day":
        return "fractional orders must be DAY orders"
    return ""


def _asset(request: OrderRequest, asset: Asset | None) -> str:
    if asset is None:
        return ""
    if not asset.tradable:
        return f"asset {request.symbol} is not tradable"
    if _is_fractional(request.qty) and not asset.fractionable:
        return f"asset {request.symbol} is not fractionable"
    return ""


def _notional(request: OrderRequest, price: Decimal | None, held: Decimal | None) -> str:
    """At least 1 USD, but for an order that closes what is held."""
    at = request.limit_price if request.limit_price is not None else price
    if at is None or (held is not None and request.qty == abs(held)):
        return ""
    if request.qty * at < MIN_NOTIONAL_USD:
        return f"cost basis must be >= minimal amount of order {MIN_NOTIONAL_USD}"
    return ""


def _short(request: OrderRequest, asset: Asset | None, held: Decimal | None) -> str:
    """No order turns a long into a short or the reverse, and a short is whole shares of a shortable asset."""
    if held is None:
        return ""
    signed = request.qty if request.side == "buy" else -request.qty
    if held and (held + signed) * held < 0:
        return f"insufficient qty available for order (requested: {request.qty}, available: {abs(held)})"
    if held + signed >= 0:
        return ""
    if _is_fractional(request.qty):
        return "fractional orders cannot be sold short"
    if asset is not None and not asset.shortable and request.side == "sell":
        return f'asset "{request.symbol}" cannot be sold short'
    return ""


def _is_fractional(qty: Decimal) -> bool:
    return qty != qty.to_integral_value()


def _decimals(number: Decimal) -> int:
    """Decimal places that are needed to write the number: 1.500 needs one."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
