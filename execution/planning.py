"""From target weights to orders: sleeves netted to one order per symbol, the rest crossed inside, capital moved by transfers."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from execution.base import OrderRequest, Side
from execution.rules import MIN_NOTIONAL_USD
from execution.sleeves import TREASURY

UNITS_PER_SHARE = 10**9  # the finest quantity that the broker knows is 1e-9 share; inside, a quantity is an int of these
CENT = Decimal("0.01")
_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,48}")
_PREFIX_FORM = re.compile(r"[A-Za-z0-9._]{1,12}")
_POWERS: tuple[int, ...] = tuple(10**digits for digits in range(10))
_REACHED = 1e-6  # a quantity within a millionth of the next step counts as that step: float noise must not cost a whole share

NO_PRICE = "no price"
BLOCKED = "blocked"
IN_BAND = "inside the no-trade band"
BELOW_MINIMUM = "net order below the minimum notional"
WHOLE_SHARES = "only whole shares can be sent"
NOT_BORROWABLE = "the broker does not lend it for a short sale"
NO_SHORT_SELLING = "the account may not sell short"
CLOSE_FIRST = "the account's position is closed before the other side is opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class SleeveState:
    """What a sleeve owns now: USD and signed shares by symbol (to 1e-9 share)."""

    cash: Decimal
    positions: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningOptions:
    """How finely to follow the targets.

    `min_notional_usd`: a net order smaller than this is not sent, unless it only closes positions.
    `band_frac`: fraction of NAV; a sleeve's trade in a symbol smaller than this is left alone, unless it opens or closes the
    position: a sleeve with little capital and many names would else never begin.
    `qty_decimals`: desired quantities are cut to this many decimals (0 to 9).
    `whole_share_symbols`: assets that the broker does not trade in fractions.
    `id_prefix`: starts every client_order_id; 1 to 12 of [A-Za-z0-9._].
    `short_selling`: whether the account may sell short at all; `unborrowable`: assets that the broker does not lend for it.
    """

    min_notional_usd: Decimal = Decimal(25)
    band_frac: float = 0.0005
    qty_decimals: int = 6
    whole_share_symbols: frozenset[str] = frozenset()
    id_prefix: str = "allocd"
    short_selling: bool = True
    unborrowable: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse options that no order could satisfy."""
        if not 0 <= self.qty_decimals <= 9:
            raise ValueError(f"qty_decimals must be 0 to 9, not {self.qty_decimals}")
        if not _PREFIX_FORM.fullmatch(self.id_prefix):
            raise ValueError(f"id_prefix must be 1 to 12 of [A-Za-z0-9._], not {self.id_prefix!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """One order and whose it is. `shares`: signed trade by sleeve, the crossing side included; they sum to the signed order quantity."""

    request: OrderRequest
    shares: Mapping[str, Decimal]
    decision_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cross:
    """A trade between sleeves alone: nothing is sent; `shares` sum to zero and are booked at the official open."""

    symbol: str
    shares: Mapping[str, Decimal]
    decision_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Cash moved from the treasury to a sleeve (negative: back to the treasury), in whole cents."""

    sleeve: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A trade that was wanted and left undone, in whole or in part. `symbol` is empty when the whole sleeve is meant."""

    sleeve: str
    symbol: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send (sells first, then by symbol), what to book inside, and what was left alone and why."""

    orders: tuple[PlannedOrder, ...]
    crosses: tuple[Cross, ...]
    transfers: tuple[Transfer, ...]
    skipped: tuple[Skip, ...]


@dataclass(slots=True)
class _Draft:
    """One symbol while it is being netted; quantities in units of 1e-9 share. `held` is the account's position."""

    symbol: str
    price: Decimal
    held: int
    trades: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    skipped: list[Skip] = field(default_factory=list)

    @property
    def net(self) -> int:
        return sum(self.trades.values())

    def trim(self, excess: int, reason: str) -> None:
        """Take `excess` units off the net's own side: first where a sleeve opens or adds, then where it closes; sleeves by name."""
        sign = 1 if self.net > 0 else -1
        side = sorted(name for name, trade in self.trades.items() if trade * sign > 0)
        for only_opening in (True, False):
            for name in side:
                trade = self.trades[name] * sign
                closable = max(0, -self.before[name] * sign) if only_opening else 0
                cut = min(excess, max(0, trade - closable))
                if cut:
                    self.trades[name] -= cut * sign
                    excess -= cut
                    self.skipped.append(Skip(sleeve=name, symbol=self.symbol, reason=reason))


def plan(
    *,
    cycle_id: str,
    sleeves: Mapping[str, SleeveState],
    sleeve_weights: Mapping[str, Mapping[str, float]],
    capital: Mapping[str, float],
    nav: Decimal,
    prices: Mapping[str, Decimal],
    options: PlanningOptions,
    blocked: frozenset[str] = frozenset(),
) -> Plan:
    """Turn each sleeve's target weights into the smallest set of orders that gets there. Pure and deterministic.

    `sleeves` lists every sleeve of the account, treasury and suspense included: what they hold together decides whether an order would
    open a short. `sleeve_weights` are signed fractions of `nav` (USD) by sleeve and symbol; a sleeve that is absent from it trades
    nothing, one with an empty mapping is closed out. `capital` is each sleeve's share of `nav`; a sleeve absent from it gets no transfer.
    A symbol without a positive price, or blocked, is skipped and left untouched.

    The broker refuses fractional shorts, and orders that turn a long into a short: shorts are whole shares (rounded toward zero), and a
    net order that would cross zero is cut to close the position; the next cycle opens the other side.
    Raises ValueError for a NAV that is not positive, and for a weight or a capital that is not finite.
    """
    if not nav > 0:
        raise ValueError(f"NAV must be positive, not {nav}")
    if not math.isfinite(sum(capital.values())):
        raise ValueError("a sleeve's capital is not finite")
    skipped: list[Skip] = []
    drafts = _drafts(sleeves, sleeve_weights, float(nav), prices, options, blocked, skipped)
    orders: list[PlannedOrder] = []
    crosses: list[Cross] = []
    for symbol in sorted(drafts):
        draft = drafts[symbol]
        _fit_to_borrowing(draft, options)
        _fit_to_broker(draft, symbol in options.whole_share_symbols)
        _drop_dust(draft, options.min_notional_usd)
        skipped.extend(draft.skipped)
        shares = {name: _shares(units) for name, units in sorted(draft.trades.items()) if units}
        if draft.net:
            orders.append(_order(cycle_id, draft, shares, options.id_prefix))
        elif shares:
            crosses.append(Cross(symbol=symbol, shares=shares, decision_price=draft.price))
    orders.sort(key=lambda order: (order.request.side == "buy", order.request.symbol))
    transfers = _transfers(sleeves, capital, nav, prices, skipped)
    return Plan(orders=tuple(orders), crosses=tuple(crosses), transfers=transfers, skipped=tuple(skipped))


def client_order_id(id_prefix: str, cycle_id: str, symbol: str, leg: int) -> str:
    """The id of a cycle's order in a symbol, the same on every run: readable while it fits the 48 characters, else a digest."""
    readable = f"{id_prefix}-{cycle_id}-{symbol}-{leg}"
    if _ID_FORM.fullmatch(readable):
        return readable
    return f"{id_prefix}-{hashlib.sha256(readable.encode()).hexdigest()[:32]}"


def _drafts(
    sleeves: Mapping[str, SleeveState],
    sleeve_weights: Mapping[str, Mapping[str, float]],
    nav: float,
    prices: Mapping[str, Decimal],
    options: PlanningOptions,
    blocked: frozenset[str],
    skipped: list[Skip],
) -> dict[str, _Draft]:
    """Every sleeve's wanted trades by symbol; what cannot or need not be traded goes to `skipped`."""
    held = {name: {symbol: _units(qty) for symbol, qty in state.positions.items() if qty} for name, state in sleeves.items()}
    account: dict[str, int] = {}
    for positions in held.values():
        for symbol, units in positions.items():
            account[symbol] = account.get(symbol, 0) + units
    usd_prices = {symbol: float(price) for symbol, price in prices.items() if price > 0}
    band = options.band_frac * nav
    drafts: dict[str, _Draft] = {}
    for name in sorted(sleeve_weights):
        weights, positions = sleeve_weights[name], held.get(name, {})
        if not math.isfinite(sum(weights.values())):
            raise ValueError(f"sleeve {name}: a weight is not finite")
        for symbol in sorted(weights.keys() | positions.keys()):
            weight, before = weights.get(symbol, 0.0), positions.get(symbol, 0)
            usd_price = usd_prices.get(symbol)
            if usd_price is None or symbol in blocked:
                if weight or before:
                    skipped.append(Skip(sleeve=name, symbol=symbol, reason=BLOCKED if symbol in blocked else NO_PRICE))
                continue
            wanted = _desired(weight * nav / usd_price, options.qty_decimals, symbol in options.whole_share_symbols)
            trade = wanted - before
            if not trade:
                continue
            if wanted and before and abs(trade) * usd_price < band * UNITS_PER_SHARE:
                skipped.append(Skip(sleeve=name, symbol=symbol, reason=IN_BAND))
                continue
            draft = drafts.get(symbol)
            if draft is None:
                draft = drafts[symbol] = _Draft(symbol, prices[symbol], account.get(symbol, 0))
            draft.trades[name], draft.before[name] = trade, before
    return drafts


def _desired(shares: float, decimals: int, whole: bool) -> int:
    """Shares cut toward zero to the allowed step, in units of 1e-9 share; shorts are whole shares."""
    digits = 0 if whole or shares < 0 else decimals
    steps = int(abs(shares) * _POWERS[digits] + _REACHED) * _POWERS[9 - digits]
    return -steps if shares < 0 else steps


def _fit_to_borrowing(draft: _Draft, options: PlanningOptions) -> None:
    """Trim the net so that no short is opened or added to that the broker would not lend for."""
    if options.short_selling and draft.symbol not in options.unborrowable:
        return
    after, floor = draft.held + draft.net, min(draft.held, 0)
    if draft.net < 0 and after < floor:
        draft.trim(floor - after, NOT_BORROWABLE if options.short_selling else NO_SHORT_SELLING)


def _fit_to_broker(draft: _Draft, whole: bool) -> None:
    """Trim the net so that the account neither crosses zero, nor ends in a fractional short, nor trades a whole-share asset in part."""
    net, held = draft.net, draft.held
    after = held + net
    if held * after < 0:
        draft.trim(abs(after), CLOSE_FIRST)
    elif after < 0 and after % UNITS_PER_SHARE:
        excess = after % UNITS_PER_SHARE if net > 0 else -after % UNITS_PER_SHARE
        draft.trim(min(excess, abs(net)), WHOLE_SHARES)
    if whole and draft.net:
        draft.trim(abs(draft.net) % UNITS_PER_SHARE, WHOLE_SHARES)


def _drop_dust(draft: _Draft, min_notional_usd: Decimal) -> None:
    """Trim a net order that is too small to send to nothing; what crosses between sleeves stays."""
    net = draft.net
    notional = abs(net) * draft.price / UNITS_PER_SHARE
    if not net or notional >= min_notional_usd:
        return
    sign = 1 if net > 0 else -1
    only_closes = all(draft.before[name] + trade == 0 for name, trade in draft.trades.items() if trade * sign > 0)
    closes_account = draft.held + net == 0
    if only_closes and (closes_account or notional >= MIN_NOTIONAL_USD):
        return
    draft.trim(abs(net), BELOW_MINIMUM)


def _order(cycle_id: str, draft: _Draft, shares: Mapping[str, Decimal], id_prefix: str) -> PlannedOrder:
    net = draft.net
    side: Side = "buy" if net > 0 else "sell"
    order_id = client_order_id(id_prefix, cycle_id, draft.symbol, 1)
    request = OrderRequest(client_order_id=order_id, symbol=draft.symbol, side=side, qty=_shares(abs(net)))
    return PlannedOrder(request=request, shares=shares, decision_price=draft.price)


def _transfers(
    sleeves: Mapping[str, SleeveState],
    capital: Mapping[str, float],
    nav: Decimal,
    prices: Mapping[str, Decimal],
    skipped: list[Skip],
) -> tuple[Transfer, ...]:
    """The cash that brings each sleeve's own NAV to its share of the account's; a sleeve that cannot be valued is skipped."""
    transfers = []
    for name in sorted(capital.keys() - {TREASURY}):
        state = sleeves.get(name, SleeveState(cash=Decimal(0), positions={}))
        unpriced = [symbol for symbol, qty in sorted(state.positions.items()) if qty and not prices.get(symbol, Decimal(0)) > 0]
        if unpriced:
            skipped.append(Skip(sleeve=name, symbol="", reason=f"no transfer: {NO_PRICE} for {', '.join(unpriced)}"))
            continue
        value = state.cash + sum((qty * prices[symbol] for symbol, qty in state.positions.items() if qty), Decimal(0))
        amount = (Decimal(repr(float(capital[name]))) * nav - value).quantize(CENT)
        if amount:
            transfers.append(Transfer(sleeve=name, amount=amount))
    return tuple(transfers)


def _units(qty: Decimal) -> int:
    return int(qty.scaleb(9))


def _shares(units: int) -> Decimal:
    return Decimal(units) / UNITS_PER_SHARE
