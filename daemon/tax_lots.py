"""A sleeve's open tax lots, first in first out, folded from what the ledger booked for it."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from daemon.store.view import NO_LOTS
from execution.sleeves import CASH

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLot:
    """Shares bought at one time that are still held. basis_usd: what they cost; None for shares that came without a price."""

    symbol: str
    acquired_at: datetime
    qty: Decimal
    basis_usd: Decimal | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        basis = None if self.basis_usd is None else str(self.basis_usd)
        return {"symbol": self.symbol, "acquired_at": self.acquired_at.isoformat(), "qty": str(self.qty), "basis_usd": basis}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "OpenLot":
        """The inverse of `as_json`."""
        return cls(
            symbol=data["symbol"],
            acquired_at=datetime.fromisoformat(data["acquired_at"]),
            qty=Decimal(data["qty"]),
            basis_usd=None if data["basis_usd"] is None else Decimal(data["basis_usd"]),
        )


def open_lots(entries: Iterable[Mapping[str, Any]]) -> tuple[OpenLot, ...]:
    """The lots that are left of one sleeve's ledger entries, by symbol and time of purchase; short positions have none.

    entries: in order of booking, with transaction_id, kind, at, unit and amount (signed). A purchase is a lot, but for what it covers of a
    short sale; a sale uses up the oldest ones; a split multiplies the shares of all and leaves their cost.
    """
    held: dict[str, deque[OpenLot]] = {}
    short: dict[str, Decimal] = {}
    for kind, at, symbol, qty, cash in _movements(entries):
        lots = held.setdefault(symbol, deque())
        owed = short.get(symbol, ZERO)
        if kind == "split":
            short[symbol] = ZERO if lots else owed - qty
            _split(lots, qty)
        elif qty > owed:
            bought = qty - owed
            lots.append(OpenLot(symbol=symbol, acquired_at=at, qty=bought, basis_usd=-cash * bought / qty if cash < ZERO else None))
            short[symbol] = ZERO
        elif qty > ZERO:
            short[symbol] = owed - qty
        else:
            short[symbol] = owed + _use_up(lots, -qty)
    return tuple(lot for symbol in sorted(held) for lot in held[symbol])


def _movements(entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, datetime, str, Decimal, Decimal]]:
    """Of each transaction that moved shares: kind, time, symbol, shares and the cash on the other side, both signed."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        grouped.setdefault(entry["transaction_id"], []).append(entry)
    for parts in grouped.values():
        cash = sum((part["amount"] for part in parts if part["unit"] == CASH), ZERO)
        for part in parts:
            if part["unit"] != CASH and part["amount"]:
                yield part["kind"], part["at"], part["unit"], part["amount"], cash


def _split(lots: deque[OpenLot], change: Decimal) -> None:
    total = sum((lot.qty for lot in lots), ZERO)
    if not total:
        return
    for _ in range(len(lots)):
        lot = lots.popleft()
        lots.append(
            OpenLot(symbol=lot.symbol, acquired_at=lot.acquired_at, qty=lot.qty * (total + change) / total, basis_usd=lot.basis_usd)
        )


def _use_up(lots: deque[OpenLot], qty: Decimal) -> Decimal:
    """Take shares off the oldest lots; what was sold beyond them, and is owed."""
    while qty > ZERO and lots:
        lot = lots.popleft()
        if lot.qty > qty:
            basis = None if lot.basis_usd is None else lot.basis_usd * (lot.qty - qty) / lot.qty
            lots.appendleft(OpenLot(symbol=lot.symbol, acquired_at=lot.acquired_at, qty=lot.qty - qty, basis_usd=basis))
        qty -= lot.qty
    return max(qty, ZERO)


def lots_frame(lots: Sequence[OpenLot]) -> pd.DataFrame:
    """Lots as a strategy sees them: columns symbol, acquired_at, qty, basis_usd (NaN where unknown)."""
    if not lots:
        return NO_LOTS
    return pd.DataFrame(
        {
            "symbol": pd.Series([lot.symbol for lot in lots], dtype="object"),
            "acquired_at": pd.Series(pd.to_datetime([lot.acquired_at for lot in lots], utc=True).as_unit("us")),
            "qty": pd.Series([float(lot.qty) for lot in lots], dtype="float64"),
            "basis_usd": pd.Series([float("nan") if lot.basis_usd is None else float(lot.basis_usd) for lot in lots], dtype="float64"),
        }
    )
