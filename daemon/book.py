"""The trading book in memory: ledger, orders that are not settled, and what is already recorded; PostgreSQL has it first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from daemon.store.postgres import Database
from daemon.store.queries import Row
from execution.base import Fill, Side
from execution.sleeves import Entry, Ledger, Transaction

OVERLAP = timedelta(minutes=5)
"""How far before the newest recorded execution the broker is asked again."""


@dataclass(slots=True, kw_only=True)
class OpenOrder:
    """An order whose effect on the ledger is not complete. Quantities in shares; `recorded` is the sum of booked fills."""

    client_order_id: str
    cycle_id: str
    session: date
    symbol: str
    side: Side
    qty: Decimal
    type: str
    time_in_force: str
    decision_price: Decimal
    status: str
    intended_at: datetime
    shares: Mapping[str, Decimal]
    broker_order_id: str | None = None
    filled_qty: Decimal = Decimal(0)
    filled_avg_price: Decimal | None = None
    sent_at: datetime | None = None
    lookups: int = 0
    reason: str = ""
    recorded: Decimal = Decimal(0)
    recorded_usd: Decimal = Decimal(0)
    changed: bool = False

    @property
    def is_sent(self) -> bool:
        """True when the broker has confirmed that it knows the order."""
        return self.broker_order_id is not None


@dataclass(slots=True, kw_only=True)
class PendingCross:
    """A trade between sleeves that waits for the official open."""

    cross_id: str
    session: date
    symbol: str
    shares: Mapping[str, Decimal]
    decision_price: Decimal


@dataclass(slots=True)
class Outbox:
    """Rows of one settlement, written together."""

    fills: list[Sequence[Any]] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)


class TradingBook:
    """Ledger and open orders, loaded from the database and kept equal to it by `save`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.reload()

    def reload(self) -> None:
        """Read everything again: at start, and after a sweep that did not end (`suspect`)."""
        self.ledger = Ledger(_transactions(self._db.rows("ledger_all")))
        shares: dict[str, dict[str, Decimal]] = {}
        for row in self._db.rows("order_shares_open"):
            shares.setdefault(row["client_order_id"], {})[row["sleeve"]] = row["qty"]
        self.orders = {r["client_order_id"]: _order(r, shares.get(r["client_order_id"], {})) for r in self._db.rows("orders_open")}
        self.by_broker_id = {o.broker_order_id: o for o in self.orders.values() if o.broker_order_id}
        self.crosses = {r["cross_id"]: _cross(r) for r in self._db.rows("crosses_open")}
        for row in self._db.rows("fills_of_open_orders"):
            order = self.orders[row["client_order_id"]]
            order.recorded += row["qty"]
            order.recorded_usd += row["qty"] * row["price"]
        known = self._db.row("meta_get", key="fills_until")
        self.fills_until = None if known is None else datetime.fromisoformat(known["value"])
        since = self.fills_until - OVERLAP if self.fills_until else None
        opening = self._db.row("meta_get", key="opening")
        self.opening_activities = set(opening["value"]["activities"]) if opening else set()
        self.suspect = False
        self.fill_ids = {r["id"] for r in self._db.rows("fill_ids_since", at=since)} if since else set()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around work in which memory runs ahead of the record: unless it ends well, the next sweep reads everything again."""
        self.suspect = True
        yield
        self.suspect = False

    @property
    def is_open(self) -> bool:
        """True once the account's opening balance is booked."""
        return bool(self.ledger.sleeves())

    def sleeve_names(self) -> tuple[str, ...]:
        """Every sleeve that ever had an entry."""
        return self.ledger.sleeves()

    def working(self) -> list[OpenOrder]:
        """Orders that are not settled, in order of intent."""
        return sorted(self.orders.values(), key=lambda o: (o.intended_at, o.client_order_id))

    def uncertain(self) -> int:
        """How many orders may or may not exist at the broker."""
        return sum(o.status in ("unknown", "intended") for o in self.orders.values())

    def track(self, order: OpenOrder) -> None:
        """Take in an order that has just been recorded."""
        self.orders[order.client_order_id] = order

    def book(self, outbox: Outbox, transaction: Transaction | None) -> bool:
        """Apply a ledger transaction in memory and queue it for `save`; False when it was booked before."""
        if transaction is None or not self.ledger.apply(transaction):
            return False
        outbox.transactions.append(transaction)
        return True

    def add_fill(self, outbox: Outbox, order: OpenOrder, fill: Fill) -> None:
        """Queue an execution for `save` and count it towards its order."""
        outbox.fills.append((fill.id, order.client_order_id, fill.symbol, fill.side, fill.qty, fill.price, fill.at))
        order.recorded += fill.qty
        order.recorded_usd += fill.qty * fill.price
        order.changed = True
        self.fill_ids.add(fill.id)

    def save(self, outbox: Outbox, now: datetime, settled: Iterable[OpenOrder] = ()) -> None:
        """Write what changed, in one transaction; settled orders leave the book."""
        done = {o.client_order_id for o in settled}
        changed = [o for o in self.orders.values() if o.changed or o.client_order_id in done]
        with self._db.transaction():
            self._db.copy("copy_fills", outbox.fills)
            self.write_transactions(outbox.transactions)
            if changed:
                self._db.run("orders_update", updated_at=now, orders=[_update(o, o.client_order_id in done) for o in changed])
        for order in changed:
            order.changed = False
            if order.broker_order_id:
                self.by_broker_id[order.broker_order_id] = order
        for client_order_id in done:
            order = self.orders.pop(client_order_id)
            self.by_broker_id.pop(order.broker_order_id or "", None)

    def write_transactions(self, transactions: Sequence[Transaction]) -> None:
        """Append ledger transactions to the record; the caller has applied them to the ledger."""
        self._db.copy("copy_ledger_transactions", [(t.id, t.kind, t.at, t.memo) for t in transactions])
        self._db.copy("copy_ledger_entries", [(t.id, e.account, e.unit, e.amount) for t in transactions for e in t.entries])

    def remember_until(self, at: datetime) -> None:
        """Move the point from which the broker's activities are asked for; duplicates inside the overlap are known by id."""
        if self.fills_until is None or at > self.fills_until:
            self.fills_until = at
            self._db.run("meta_set", key="fills_until", value=_json_text(at))


def _json_text(at: datetime) -> str:
    return f'"{at.isoformat()}"'


def _transactions(rows: Iterable[Row]) -> Iterable[Transaction]:
    current: Row | None = None
    entries: list[Entry] = []
    for row in rows:
        if current is not None and row["id"] != current["id"]:
            yield Transaction(id=current["id"], kind=current["kind"], at=current["at"], entries=tuple(entries), memo=current["memo"])
            entries = []
        current = row
        entries.append(Entry(account=row["account"], unit=row["unit"], amount=row["amount"]))
    if current is not None:
        yield Transaction(id=current["id"], kind=current["kind"], at=current["at"], entries=tuple(entries), memo=current["memo"])


def _order(row: Row, shares: Mapping[str, Decimal]) -> OpenOrder:
    names = (
        "client_order_id cycle_id session symbol side qty type time_in_force decision_price status intended_at "
        "broker_order_id filled_qty filled_avg_price sent_at lookups reason"
    ).split()
    return OpenOrder(shares=dict(shares), **{n: row[n] for n in names})


def _cross(row: Row) -> PendingCross:
    return PendingCross(
        cross_id=row["cross_id"],
        session=row["session"],
        symbol=row["symbol"],
        shares={k: Decimal(v) for k, v in row["shares"].items()},
        decision_price=row["decision_price"],
    )


def _update(order: OpenOrder, settled: bool) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "status": order.status,
        "broker_order_id": order.broker_order_id,
        "filled_qty": str(order.filled_qty),
        "filled_avg_price": None if order.filled_avg_price is None else str(order.filled_avg_price),
        "sent_at": None if order.sent_at is None else order.sent_at.isoformat(),
        "lookups": order.lookups,
        "reason": order.reason,
        "settled": settled,
    }
