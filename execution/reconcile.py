"""Hold the ledger against the broker: every difference, and what it most likely is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from execution.base import Account, Position

ZERO = Decimal(0)
_ROUNDING_USD = Decimal(1)
_MAX_SPLIT_TERM = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far the two may differ before it counts: cash in USD, positions in shares."""

    cash_usd: Decimal = Decimal("0.01")
    qty: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One difference. `diff` is broker minus ledger; `symbol` is $ for cash; `likely` says where to look first."""

    kind: Literal["cash", "position"]
    symbol: str
    ledger: Decimal
    broker: Decimal
    diff: Decimal
    likely: str


def compare(
    cash: Decimal,
    positions: Mapping[str, Decimal],
    account: Account,
    broker_positions: Iterable[Position],
    *,
    tolerance: Tolerance | None = None,
    in_flight: frozenset[str] = frozenset(),
) -> tuple[Break, ...]:
    """Every break between the ledger's account (cash in USD, signed shares by symbol) and the broker's; empty when they agree.

    `in_flight` names the symbols with an order that is not final: their fills may be at the broker and not yet here. Cash first, then
    positions by symbol. Pure: booking a correction is someone else's decision.
    """
    limit = tolerance or Tolerance()
    held = {position.symbol: position for position in broker_positions}
    breaks = []
    for symbol in sorted(positions.keys() | held.keys()):
        ours, theirs = positions.get(symbol, ZERO), held[symbol].qty if symbol in held else ZERO
        if abs(theirs - ours) > limit.qty:
            likely = _likely_position(ours, theirs, symbol in in_flight)
            breaks.append(Break(kind="position", symbol=symbol, ledger=ours, broker=theirs, diff=theirs - ours, likely=likely))
    cash_diff = account.cash - cash
    if abs(cash_diff) > limit.cash_usd:
        likely = _likely_cash(cash_diff, breaks, held, in_flight)
        breaks.insert(0, Break(kind="cash", symbol="$", ledger=cash, broker=account.cash, diff=cash_diff, likely=likely))
    return tuple(breaks)


def _likely_position(ours: Decimal, theirs: Decimal, in_flight: bool) -> str:
    if in_flight:
        return "fills of an open order that are not booked yet"
    if not ours:
        return "a trade made outside the program, or a spin-off"
    if not theirs:
        return "a delisting or merger, or a close made outside the program"
    split = _split(theirs / ours)
    if split:
        return f"a {split} split that is not booked yet"
    return "a missing or doubled fill, or a trade made outside the program"


def _split(ratio: Decimal) -> str:
    """`2:1` when the ratio of shares is that of a usual split, else nothing."""
    if ratio <= 0 or Decimal("0.67") < ratio < Decimal("1.2"):
        return ""
    simple = Fraction(ratio).limit_denominator(_MAX_SPLIT_TERM)
    terms_are_small = 1 <= simple.numerator <= _MAX_SPLIT_TERM and min(simple.numerator, simple.denominator) <= 5
    is_close = abs(Fraction(ratio) / simple - 1) < Fraction(1, 1000) if simple else False
    return f"{simple.numerator}:{simple.denominator}" if terms_are_small and is_close else ""


def _likely_cash(diff: Decimal, breaks: Iterable[Break], held: Mapping[str, Position], in_flight: frozenset[str]) -> str:
    positions = list(breaks)
    if in_flight:
        return "fills of an open order that are not booked yet"
    for item in positions:
        price = held[item.symbol].current_price if item.symbol in held else None
        if price and abs(diff + item.diff * price) <= abs(item.diff) * price / 10:
            return f"the cash side of the break in {item.symbol}"
    if positions:
        return "the cash side of the position breaks"
    if abs(diff) < _ROUNDING_USD:
        return "rounding of fills or fees by the broker"
    return "a dividend, deposit or interest" if diff > 0 else "a fee, withdrawal, interest or dividend on a short"
