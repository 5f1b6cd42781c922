"""A daemon that is killed while it trades loses nothing, sends nothing twice, and takes up its work again."""

from pathlib import Path

import pytest

from tests.acceptance.kill_campaign import run, summary
from tests.acceptance.outside_audit import audit_running, database
from tests.acceptance.sandbox_process import Daemon

KILLS = 8


@pytest.mark.timeout(240)
def test_a_daemon_killed_again_and_again_ends_with_books_equal_to_the_exchange(tmp_path: Path) -> None:
    campaign = run(KILLS, seed=2024, state=tmp_path / "state", say=lambda _line: None)
    assert not campaign.violations, summary(campaign)
    assert campaign.orders > 0, "the campaign proved nothing: no order was sent"


SETTLED = "(SELECT min(client_order_id) FROM orders WHERE settled AND filled_qty > 0)"
DAMAGE = {
    "lost fill": (f"DELETE FROM fills WHERE client_order_id = {SETTLED}", "fills {}"),
    "wrong status": (f"UPDATE orders SET status = 'canceled' WHERE client_order_id = {SETTLED}", "settled as canceled"),
    "foreign order id": (f"UPDATE orders SET broker_order_id = 'other' WHERE client_order_id = {SETTLED}", "recorded as other"),
    "one-sided entry": (
        "UPDATE ledger_entries SET amount = amount + 1 WHERE starts_with(account, 'sleeve:') AND transaction_id = 'opening'",
        "entries_balance",
    ),
    "lost mark": (
        "DELETE FROM nav_marks WHERE session = (SELECT session FROM nav_marks ORDER BY session OFFSET 1 LIMIT 1)",
        "without a mark",
    ),
}


def test_the_audit_sees_every_kind_of_damage(tmp_path: Path) -> None:
    with Daemon(tmp_path / "state") as daemon:
        daemon.wait_ready()
        for _ in range(3):
            daemon.wait_for("nav.marked", after=len(daemon.events))
        assert audit_running(daemon.sandbox).violations == []
        seen = {}
        for kind, (statement, words) in DAMAGE.items():
            with database(daemon.sandbox) as db, db.connection() as connection:
                connection.execute(statement)
            seen[kind] = any(words in violation for violation in audit_running(daemon.sandbox, quiet_within_s=0.5).violations)
    assert seen == dict.fromkeys(DAMAGE, True)
