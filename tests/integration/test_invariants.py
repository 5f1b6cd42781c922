"""Every invariant is zero over a healthy record, and counts exactly what was tampered with."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.invariants import RECORD_CHECKS, check_now, check_record, merge
from execution.base import Position
from execution.sleeves import Ledger
from tests.integration.small_world import END, execute, undone

PRESENT = ("books_balance", "sleeves_sum_to_account", "ledger_equals_broker")

A_FILL = "(SELECT id FROM fills ORDER BY at, id LIMIT 1)"
AN_ORDER = "(SELECT client_order_id FROM orders WHERE settled AND filled_qty > 0 ORDER BY session, client_order_id LIMIT 1)"
TAMPERED = {
    "fills_within_orders": f"UPDATE orders SET qty = filled_qty / 2 WHERE client_order_id = {AN_ORDER}",
    "fills_all_recorded": f"DELETE FROM fills WHERE id = {A_FILL}",
    "entries_balance": "UPDATE ledger_entries SET amount = amount + 1 WHERE ctid = (SELECT ctid FROM ledger_entries LIMIT 1)",
    "shares_sum_to_order": f"UPDATE order_shares SET qty = qty * 3 WHERE client_order_id = {AN_ORDER}",
    "one_order_per_symbol_and_cycle": (
        "INSERT INTO orders (client_order_id, cycle_id, session, symbol, side, qty, type, time_in_force, decision_price, status,"
        " intended_at, updated_at, settled) SELECT 'twin', cycle_id, session, symbol, side, qty, type, time_in_force, decision_price,"
        f" 'canceled', intended_at, updated_at, true FROM orders WHERE client_order_id = {AN_ORDER}"
    ),
    "nav_is_sum_of_sleeves": "UPDATE nav_marks SET nav_usd = nav_usd + 1 WHERE session = (SELECT min(session) FROM nav_marks)",
    "intent_recorded_before_send": (
        f"UPDATE orders SET sent_at = intended_at - interval '1 second' WHERE client_order_id = {AN_ORDER}"
    ),
    "every_run_has_an_outcome": "UPDATE job_runs SET status = 'running' WHERE ctid = (SELECT ctid FROM job_runs LIMIT 1)",
    "no_order_left_open": f"UPDATE orders SET settled = false WHERE client_order_id = {AN_ORDER}",
    "every_broker_order_has_one_intent": f"UPDATE orders SET broker_order_id = 'other' WHERE client_order_id = {AN_ORDER}",
    "no_row_used_before_it_was_known": (
        "UPDATE evidence SET row_key = 'never-delivered' WHERE ctid = (SELECT ctid FROM evidence WHERE dataset = 'congress_trades' LIMIT 1)"
    ),
}  # fmt: skip
ALSO = {
    # A quantity below what was filled no longer is the sum of the sleeves' parts either.
    "fills_within_orders": {"shares_sum_to_order": 1},
}


def at(world):
    return world.calendar.close_at(world.calendar.session_on_or_before(END)) + timedelta(hours=2)


def test_every_name_of_an_invariant_is_shown_to_fail(small_world):
    names = {*check_record(small_world.rt, at(small_world)), *check_now(small_world.rt)}
    assert names == {*TAMPERED, *PRESENT}
    assert names >= set(RECORD_CHECKS)


def test_a_healthy_record_of_sixty_sessions_has_no_violation(small_world):
    found = {**check_record(small_world.rt, at(small_world)), **check_now(small_world.rt)}
    assert {name: n for name, n in found.items() if n} == {}
    sizes = execute(small_world.db, "SELECT (SELECT count(*) FROM fills) AS fills, (SELECT count(*) FROM evidence) AS evidence")[0]
    assert min(sizes.values()) > 100, "a record of nothing would be healthy too"


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_record_is_one_violation_of_that_invariant(small_world, name):
    with undone(small_world.db):
        execute(small_world.db, TAMPERED[name])
        found = check_record(small_world.rt, at(small_world))
    assert {n: count for n, count in found.items() if count} == {name: 1, **ALSO.get(name, {})}


def test_a_row_used_before_it_was_known_is_a_violation(small_world):
    """A cycle that is moved to before the disclosure it used."""
    with undone(small_world.db):
        execute(
            small_world.db,
            "UPDATE cycles SET at = at - interval '10 years' WHERE cycle_id ="
            " (SELECT cycle_id FROM evidence WHERE dataset = 'congress_trades' ORDER BY cycle_id LIMIT 1)",
        )
        assert check_record(small_world.rt, at(small_world))["no_row_used_before_it_was_known"] > 0


class Changed:
    """A broker that reports one thing differently."""

    def __init__(self, broker, **answers):
        self._broker, self._answers = broker, answers

    def __getattr__(self, name):
        return self._answers.get(name) or getattr(self._broker, name)


def test_an_order_at_the_broker_that_nobody_intended_is_a_violation(small_world):
    broker = small_world.rt.broker
    ours = broker.orders(status="all")
    stray = replace(ours[0], id="stray", client_order_id="small-20220103-ZZZ-1")
    rt = replace(small_world.rt, broker=Changed(broker, orders=lambda **_: [*ours, stray]))
    assert check_record(rt, at(small_world))["every_broker_order_has_one_intent"] == 1


def test_an_order_that_the_broker_has_twice_or_not_at_all_is_a_violation(small_world):
    broker = small_world.rt.broker
    ours = broker.orders(status="all")
    for theirs in ([*ours, ours[0]], ours[1:]):
        rt = replace(small_world.rt, broker=Changed(broker, orders=lambda answer=theirs, **_: answer))
        assert check_record(rt, at(small_world))["every_broker_order_has_one_intent"] == 1


def test_an_account_that_holds_more_than_the_ledger_is_a_violation(small_world):
    broker = small_world.rt.broker
    extra = Position(symbol="ZZZ", qty=Decimal(1), avg_entry_price=Decimal(1), current_price=Decimal(1), market_value=Decimal(1))
    rt = replace(small_world.rt, broker=Changed(broker, positions=lambda: [*broker.positions(), extra]))
    assert check_now(rt) == {"books_balance": 0, "sleeves_sum_to_account": 0, "ledger_equals_broker": 1}


def test_an_account_with_other_cash_is_a_violation(small_world):
    broker = small_world.rt.broker
    account = broker.account()
    rt = replace(small_world.rt, broker=Changed(broker, account=lambda: replace(account, cash=account.cash + 1)))
    assert check_now(rt) == {"books_balance": 0, "sleeves_sum_to_account": 0, "ledger_equals_broker": 1}


def tampered_books(world, change):
    """The present invariants over a ledger whose balances were changed behind its back."""
    book = world.rt.book
    kept, book.ledger = book.ledger, Ledger()
    try:
        book.ledger._balances = {account: dict(units) for account, units in kept._balances.items()}
        book.ledger._account = dict(kept._account)
        change(book.ledger)
        return check_now(world.rt)
    finally:
        book.ledger = kept


def test_books_whose_accounts_do_not_sum_to_zero_are_a_violation(small_world):
    def change(ledger):
        ledger._balances["market"]["AAA"] = ledger._balances["market"].get("AAA", Decimal(0)) + 1

    assert tampered_books(small_world, change) == {"books_balance": 1, "sleeves_sum_to_account": 0, "ledger_equals_broker": 0}


def test_sleeves_that_do_not_sum_to_the_account_are_a_violation(small_world):
    def change(ledger):
        ledger._balances["sleeve:congress_aggregate"]["$"] += 1
        ledger._balances["market"]["$"] -= 1

    assert tampered_books(small_world, change) == {"books_balance": 0, "sleeves_sum_to_account": 1, "ledger_equals_broker": 0}


def test_counts_of_two_checks_add_up():
    total = {"a": 1}
    merge(total, {"a": 2, "b": 3})
    assert total == {"a": 3, "b": 3}
