"""What must always hold, as code: run at every mark of a replay, at its end, and over the live record.

The numbers are those of violations; zero everywhere is health.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from daemon.runtime import Runtime
from execution.reconcile import Tolerance, compare


def check_now(rt: Runtime) -> dict[str, int]:
    """Invariants of the present: books balance, sleeves sum to the account, the account is the broker's."""
    ledger = rt.book.ledger
    problems = ledger.check()
    breaks = (
        ()
        if rt.book.orders
        else compare(
            ledger.account_cash(),
            ledger.account_positions(),
            rt.broker.account(),
            rt.broker.positions(),
            tolerance=Tolerance(qty=Decimal("1e-9")),
        )
    )
    return {
        "books_balance": sum("all accounts" in p for p in problems),
        "sleeves_sum_to_account": sum("sleeves sum" in p for p in problems),
        "ledger_equals_broker": len(breaks),
    }


RECORD_CHECKS: Mapping[str, str] = {
    "fills_within_orders": "check_fills_within_orders",
    "fills_all_recorded": "check_fills_recorded",
    "entries_balance": "check_entries_balance",
    "shares_sum_to_order": "check_shares_sum_to_order",
    "one_order_per_symbol_and_cycle": "check_one_order_per_symbol",
    "nav_is_sum_of_sleeves": "check_nav_is_sum_of_sleeves",
    "intent_recorded_before_send": "check_intended_before_sent",
    "every_run_has_an_outcome": "check_runs_recorded",
}


def check_record(rt: Runtime, at: datetime) -> dict[str, int]:
    """Invariants of everything recorded so far."""
    found = {name: _count(rt, query) for name, query in RECORD_CHECKS.items()}
    row = rt.db.row("check_unfinished_orders", session=rt.calendar.last_closed(at))
    return {
        **found,
        "no_order_left_open": int(row["n"]) if row else 0,
        "every_broker_order_has_one_intent": _orders_match(rt),
        "no_row_used_before_it_was_known": _look_ahead(rt),
    }


def _count(rt: Runtime, query: str) -> int:
    row = rt.db.row(query)
    return int(row["n"]) if row else 0


def _orders_match(rt: Runtime) -> int:
    ours = {r["client_order_id"]: r["broker_order_id"] for r in rt.db.rows("order_ids_all")}
    theirs = [o for o in rt.broker.orders(status="all") if o.client_order_id.startswith(f"{rt.id_prefix}-")]
    seen = {o.client_order_id for o in theirs}
    wrong: int = sum(ours.get(o.client_order_id) != o.id for o in theirs) + len(theirs) - len(seen)
    return wrong + sum(broker_id is not None and client_id not in seen for client_id, broker_id in ours.items())


def _look_ahead(rt: Runtime) -> int:
    wrong = 0
    used: dict[str, list[tuple[str, datetime]]] = {}
    for row in rt.db.rows("evidence_event_rows"):
        used.setdefault(row["dataset"], []).append((row["row_key"], row["used_at"]))
    for dataset, keys in used.items():
        table = rt.archive.events(dataset)
        first = {} if table is None else table.first_known(key for key, _ in keys)
        wrong += sum(key not in first or first[key] > used_at for key, used_at in keys)
    return wrong


def merge(total: dict[str, int], found: Mapping[str, int]) -> None:
    """Add counts to a running total."""
    for name, count in found.items():
        total[name] = total.get(name, 0) + count
