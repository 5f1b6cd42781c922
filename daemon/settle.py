"""Bring the book level with the broker: send what is intended, resolve what is unknown, record fills, reconcile."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from daemon.book import OVERLAP, OpenOrder, Outbox, PendingCross
from daemon.logging import get_logger
from daemon.runtime import Runtime
from execution import rules
from execution.base import FINAL_STATUSES, CashActivity, Fill, Order, OrderRequest
from execution.errors import RateLimited, Refused, Rejected, UnknownOutcome, Unreachable
from execution.reconcile import Break, Tolerance, compare
from execution.sleeves import CASH, activity_transaction, adopt, cross_transaction, deposit, fill_transaction

log = get_logger("settle")

SEND_UNTIL = timedelta(minutes=60)
"""An order whose intent is older than this after its session's open is abandoned, never sent."""
LOOKUP_GAP = timedelta(seconds=5)
LOOKUPS_BEFORE_ABSENT = 2
WATCH = timedelta(minutes=5)


def open_account(rt: Runtime) -> None:
    """Book the account as it stands at the very first start: cash to the treasury, positions found to suspense."""
    if rt.book.is_open:
        return
    account, positions, now = rt.broker.account(), rt.broker.positions(), rt.broker.clock().timestamp
    outbox = Outbox()
    rt.book.book(outbox, deposit("opening", account.cash, now, memo="opening balance"))
    for position in positions:
        rt.book.book(outbox, adopt(f"opening:{position.symbol}", position.symbol, position.qty, now, memo="found at first start"))
    with rt.db.transaction():
        rt.book.remember_until(now)
        rt.book.opening_activities = {a.id for a in _told_since(rt, now - OVERLAP)}
        rt.db.run("meta_set", key="opening", value={"activities": sorted(rt.book.opening_activities), "at": now.isoformat()})
        rt.book.save(outbox, rt.clock.now())
    log.info("ledger.opened", cash_usd=str(account.cash), positions=len(positions))


def settle(rt: Runtime, at: datetime) -> dict[str, Any]:
    """One sweep. Raises BrokerError when the broker does not answer; nothing is half-recorded then."""
    with rt.trading:
        if rt.book.suspect:
            rt.book.reload()
        with rt.book.changing():
            return _sweep(rt)


def _sweep(rt: Runtime) -> dict[str, Any]:
    now = rt.clock.now()
    resolve(rt, now)
    outbox = Outbox()
    if rt.book.orders:
        _poll(rt)
    activities = _activities(rt, outbox)
    settled = [o for o in rt.book.working() if _is_complete(o)]
    pending = [c for o in settled if (c := _book_crossing(rt, outbox, o)) is not None]
    with rt.db.transaction():
        if activities:
            rt.book.remember_until(activities)
        rt.db.copy(
            "copy_crosses",
            [(c.cross_id, _cycle_of(settled, c), c.session, c.symbol, _plain(c.shares), c.decision_price) for c in pending],
        )
        rt.book.save(outbox, now, settled)
    for cross in pending:
        rt.book.crosses[cross.cross_id] = cross
    _tell(rt, outbox, settled)
    breaks = reconcile(rt) if not rt.book.orders else ()
    return {"fills": len(outbox.fills), "settled": len(settled), "open": len(rt.book.orders), "breaks": len(breaks)}


def _plain(shares: Any) -> dict[str, str]:
    return {k: str(v) for k, v in shares.items()}


def _cycle_of(settled: Iterable[OpenOrder], cross: PendingCross) -> str:
    return next(o.cycle_id for o in settled if cross.cross_id == f"cross:{o.client_order_id}")


def resolve(rt: Runtime, now: datetime) -> None:
    """Settle what became of intended and unknown orders: look each up by its client id, send only what never arrived."""
    for order in [o for o in rt.book.working() if o.status in ("intended", "unknown")]:
        found = rt.broker.order_by_client_id(order.client_order_id)
        if found is not None:
            take(order, found)
            log.info("order.resolved", order_id=order.client_order_id, status=order.status, lookups=order.lookups)
        elif _may_send(rt, order, now):
            send(rt, order, now)
        rt.book.save(Outbox(), now)


def _may_send(rt: Runtime, order: OpenOrder, now: datetime) -> bool:
    if now > rt.calendar.open_at(order.session) + SEND_UNTIL:
        order.status, order.reason, order.changed = "abandoned", "its session's window closed before it was known to be sent", True
        log.warning("order.expired", order_id=order.client_order_id, symbol=order.symbol, reason=order.reason)
        return False
    if order.status == "unknown":
        order.lookups += 1
        order.changed = True
        waited = order.sent_at is not None and now - order.sent_at >= LOOKUP_GAP
        return order.lookups >= LOOKUPS_BEFORE_ABSENT and waited
    return True


def send(rt: Runtime, order: OpenOrder, now: datetime) -> None:
    """Send one recorded intent, once. Afterwards it is accepted, rejected, or unknown until it has been looked up."""
    request = OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        type=order.type,  # type: ignore[arg-type]
        time_in_force=order.time_in_force,  # type: ignore[arg-type]
    )
    order.sent_at, order.changed = now, True
    try:
        rules.check(request)
        begin = time.perf_counter()
        take(order, rt.broker.submit(request))
        rt.metrics.observe("allocd_order_ack_duration_seconds", time.perf_counter() - begin)
        rt.metrics.inc("allocd_orders_submitted_total", side=order.side)
        log.info(
            "order.sent", order_id=order.client_order_id, symbol=order.symbol, side=order.side, qty=str(order.qty), status=order.status
        )
    except Refused as error:
        _reject(rt, order, str(error), "local_rule")
    except Rejected as error:
        _rejected(rt, order, error)
    except (UnknownOutcome, RateLimited, Unreachable) as error:
        order.status, order.reason = "unknown", str(error)[:300]
        log.error("order.uncertain", order_id=order.client_order_id, symbol=order.symbol, reason=order.reason)


def _rejected(rt: Runtime, order: OpenOrder, error: Rejected) -> None:
    if "client_order_id" in str(error) and "unique" in str(error):
        found = rt.broker.order_by_client_id(order.client_order_id)
        if found is not None:
            take(order, found)
            rt.metrics.inc("allocd_order_duplicates_prevented_total")
            return
    text = str(error).lower()
    reason = "insufficient_funds" if "buying power" in text else "insufficient_qty" if "qty available" in text else "other"
    _reject(rt, order, str(error), "not_tradable" if "not tradable" in text or "not active" in text else reason)


def _reject(rt: Runtime, order: OpenOrder, text: str, reason: str) -> None:
    order.status, order.reason = "rejected", text[:300]
    rt.metrics.inc("allocd_order_rejects_total", reason=reason)
    log.warning("order.rejected", order_id=order.client_order_id, symbol=order.symbol, reason=order.reason)


def take(order: OpenOrder, found: Order) -> None:
    """Take over what the broker says of an order; a final status never changes again."""
    if order.status in FINAL_STATUSES and order.status != found.status:
        log.error("order.uncertain", order_id=order.client_order_id, reason=f"broker went from {order.status} to {found.status}")
        return
    if (order.status, order.filled_qty, order.broker_order_id) != (found.status, found.filled_qty, found.id):
        order.status, order.broker_order_id = found.status, found.id
        order.filled_qty, order.filled_avg_price = found.filled_qty, found.filled_avg_price
        order.reason = found.reject_reason or order.reason
        order.changed = True


def _poll(rt: Runtime) -> None:
    earliest = min(o.intended_at for o in rt.book.orders.values()) - WATCH
    found = {o.client_order_id: o for o in rt.broker.orders(status="all", after=earliest)}
    for order in rt.book.working():
        if order.is_sent:
            answer = found.get(order.client_order_id) or rt.broker.order_by_client_id(order.client_order_id)
            if answer is not None:
                take(order, answer)
        if order.broker_order_id:
            rt.book.by_broker_id[order.broker_order_id] = order


def _activities(rt: Runtime, outbox: Outbox) -> datetime | None:
    """Book executions and cash activities in time order; the newest instant seen."""
    assert rt.book.fills_until is not None, "open_account comes first"
    told = {e.id: e for e in _told_since(rt, rt.book.fills_until - OVERLAP)}  # pages may overlap
    events = [e for e in told.values() if not _is_booked(rt, e)]
    for event in sorted(events, key=lambda e: (e.at, e.id)):
        if isinstance(event, Fill):
            _book_fill(rt, outbox, event)
        else:
            rt.book.book(outbox, activity_transaction(event, rt.book.ledger.holders(event.symbol)))
    return max((e.at for e in events), default=None)


def _told_since(rt: Runtime, since: datetime) -> list[Fill | CashActivity]:
    return [*rt.broker.fills(after=since), *rt.broker.cash_activities(after=since)]


def _is_booked(rt: Runtime, event: Fill | CashActivity) -> bool:
    return event.id in rt.book.opening_activities or event.id in rt.book.fill_ids or rt.book.ledger.applied(f"activity:{event.id}")


def _book_fill(rt: Runtime, outbox: Outbox, fill: Fill) -> None:
    order = rt.book.by_broker_id.get(fill.order_id)
    if order is None:
        _book_foreign(rt, outbox, fill)
        return
    rt.book.book(outbox, fill_transaction(order.shares, fill, order.recorded))
    rt.book.add_fill(outbox, order, fill)


def _book_foreign(rt: Runtime, outbox: Outbox, fill: Fill) -> None:
    sign = 1 if fill.side == "buy" else -1
    booked = rt.book.book(outbox, adopt(f"foreign:{fill.id}", fill.symbol, sign * fill.qty, fill.at, memo="a trade made outside allocd"))
    if booked:
        rt.book.book(
            outbox, adopt(f"foreign-cash:{fill.id}", CASH, -sign * fill.qty * fill.price, fill.at, memo="a trade made outside allocd")
        )
        log.warning(
            "order.adopted", symbol=fill.symbol, side=fill.side, qty=str(fill.qty), reason="a trade made outside allocd, booked to suspense"
        )


def _is_complete(order: OpenOrder) -> bool:
    return order.status in (*FINAL_STATUSES, "abandoned") and order.recorded == order.filled_qty


def _book_crossing(rt: Runtime, outbox: Outbox, order: OpenOrder) -> PendingCross | None:
    """Book what the order crossed inside at its average price; without a fill it waits for the official open."""
    key = f"cross:{order.client_order_id}"
    if order.recorded > 0:
        price = (order.recorded_usd / order.recorded).quantize(Decimal("0.000001"))
        rt.book.book(outbox, cross_transaction(key, order.symbol, order.shares, price, rt.clock.now()))
        return None
    if cross_transaction(key, order.symbol, order.shares, order.decision_price, rt.clock.now()) is None:
        return None
    return PendingCross(cross_id=key, session=order.session, symbol=order.symbol, shares=order.shares, decision_price=order.decision_price)


def _tell(rt: Runtime, outbox: Outbox, settled: list[OpenOrder]) -> None:
    for order in settled:
        if order.status in ("filled", "canceled", "rejected", "expired", "replaced"):
            rt.metrics.inc("allocd_orders_finished_total", status=order.status)
        if order.recorded:
            average = order.recorded_usd / order.recorded
            rt.metrics.inc("allocd_order_notional_usd_total", float(order.recorded_usd), side=order.side)
            sign = 1 if order.side == "buy" else -1
            slip = float(average / order.decision_price - 1) * sign
            rt.metrics.observe("allocd_order_slippage_ratio", slip, side=order.side)
            if order.sent_at is not None:
                rt.metrics.observe("allocd_order_fill_duration_seconds", (rt.clock.now() - order.sent_at).total_seconds())
            log.info(
                "order.filled",
                order_id=order.client_order_id,
                symbol=order.symbol,
                side=order.side,
                qty=str(order.recorded),
                price=str(round(average, 4)),
                status=order.status,
                slippage=round(slip, 6),
            )
        else:
            log.info("order.expired", order_id=order.client_order_id, symbol=order.symbol, status=order.status, reason=order.reason)
    rt.metrics.set("allocd_orders_open", len(rt.book.orders))
    rt.metrics.set("allocd_orders_uncertain", rt.book.uncertain())
    oldest = min((o.sent_at for o in rt.book.orders.values() if o.sent_at is not None), default=None)
    rt.metrics.set("allocd_orders_oldest_open_timestamp_seconds", oldest.timestamp() if oldest else 0.0)


def reconcile(rt: Runtime) -> tuple[Break, ...]:
    """Hold the ledger against the broker's account; differences are recorded and block their symbol."""
    ledger = rt.book.ledger
    found = compare(
        ledger.account_cash(),
        ledger.account_positions(),
        rt.broker.account(),
        rt.broker.positions(),
        tolerance=Tolerance(qty=Decimal("1e-9")),
    )
    now = rt.clock.now()
    before = {(r["kind"], r["symbol"], r["ledger"], r["broker"]) for r in rt.db.rows("breaks_open")}
    if before != {(b.kind, b.symbol, b.ledger, b.broker) for b in found}:
        with rt.db.transaction():
            rt.db.run("breaks_clear", at=now)
            rt.db.run_many(
                "break_add",
                [
                    {"found_at": now, "kind": b.kind, "symbol": b.symbol, "ledger": b.ledger, "broker": b.broker, "likely": b.likely}
                    for b in found
                ],
            )
        for b in found:
            log.error("reconcile.broken", kind=b.kind, symbol=b.symbol, ledger=str(b.ledger), broker=str(b.broker), likely=b.likely)
    rt.metrics.inc("allocd_reconciliation_runs_total", outcome="difference" if found else "clean")
    rt.metrics.set("allocd_reconciliation_last_success_timestamp_seconds", now.timestamp())
    rt.metrics.set("allocd_reconciliation_mismatched_items", sum(b.kind == "position" for b in found), kind="positions")
    rt.metrics.set("allocd_reconciliation_drift_usd", float(sum(abs(b.diff) for b in found if b.kind == "cash")), kind="cash")
    return found
