"""What must hold of a sandbox, seen from outside: its database beside its exchange's own books."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon import compose
from daemon.calendar import Calendar
from daemon.invariants import RECORD_CHECKS
from daemon.joblist import MARK_ANCHOR
from daemon.schedule import occurrences
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from tests.acceptance.sandbox_process import ask, service

KEYS = {"APCA-API-KEY-ID": "sandbox", "APCA-API-SECRET-KEY": "sandbox"}
PREFIX = "sandbox"
FINAL = frozenset({"filled", "canceled", "rejected", "expired", "replaced", "abandoned"})
PAGE = 500
QUIET_WITHIN_S = 20.0
SETTLE = Decimal("1e-9")

Row = Mapping[str, Any]


@contextmanager
def database(directory: Path) -> Iterator[Database]:
    """The sandbox's database: the daemon's own server while it runs, else one that is stopped afterwards."""
    server = EmbeddedPostgres(directory / "postgres")
    db = Database(server.ensure, pool_max=2)
    try:
        yield db
    finally:
        db.close()
        server.stop()


def exchange_orders(port: int) -> list[Row]:
    """Every order the exchange ever took, in the order of arrival."""
    found: dict[str, Row] = {}
    after = ""
    while True:
        page = ask(port, f"/v2/orders?status=all&direction=asc&limit={PAGE}{after}", KEYS)
        found.update((o["id"], o) for o in page)
        if len(page) < PAGE:
            return list(found.values())
        after = f"&after={page[-2]['submitted_at']}"


def exchange_fills(port: int) -> list[Row]:
    """Every execution of the exchange."""
    found: dict[str, Row] = {}
    token = ""
    while True:
        page = ask(port, f"/v2/account/activities/FILL?direction=asc&page_size=100{token}", KEYS)
        found.update((a["id"], a) for a in page)
        if len(page) < 100:
            return list(found.values())
        token = f"&page_token={page[-1]['id']}"


@dataclass(slots=True)
class Findings:
    """Violations in words, and what was compared."""

    violations: list[str] = field(default_factory=list)
    orders: int = 0
    fills: int = 0
    sessions: int = 0

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a violation."""
        if not holds:
            self.violations.append(otherwise)


def audit_running(directory: Path, *, quiet_within_s: float = QUIET_WITHIN_S) -> Findings:
    """Compare while the daemon works: what may never be, at once; what must become equal, at the first quiet instant."""
    found = Findings()
    known = service(directory, "exchange")
    if known is None:
        found.violations.append("the exchange does not run")
        return found
    port = known[0]
    with database(directory) as db:
        _compare_orders(found, db, port)
        _compare_books(found, db, port, quiet_within_s)
        _check_record(found, db)
        _check_sessions(found, db)
    return found


def audit_stopped(directory: Path) -> Findings:
    """The record alone, of a daemon that has stopped."""
    found = Findings()
    with database(directory) as db:
        _check_record(found, db)
        _check_sessions(found, db)
        _check_jobs(found, db)
        running = db.rows("job_interrupted")
        # A stop that came in the middle of a run leaves its claim for the next start: at most the one that was in progress.
        found.expect(len(running) <= 1, f"{len(running)} runs without an outcome: {running}")
    return found


def _compare_orders(found: Findings, db: Database, port: int) -> None:
    before = exchange_orders(port)
    intents = {r["client_order_id"]: r for r in db_rows(db, "SELECT * FROM orders")}
    recorded: dict[str, dict[str, Row]] = {}
    for row in db_rows(db, "SELECT * FROM fills"):
        recorded.setdefault(row["client_order_id"], {})[row["id"]] = row
    after = {o["client_order_id"]: o for o in exchange_orders(port)}
    made: dict[str, dict[str, Row]] = {}
    for fill in exchange_fills(port):
        made.setdefault(fill["order_id"], {})[fill["id"]] = fill
    ours = [o for o in before if o["client_order_id"].startswith(PREFIX)]
    counts = Counter(o["client_order_id"] for o in ours)
    found.orders, found.fills = len(ours), sum(map(len, recorded.values()))
    found.expect(not (twice := [c for c, n in counts.items() if n > 1]), f"orders that the exchange has twice: {twice}")
    found.expect(len(ours) == len(before), "the exchange has orders that are not ours")
    for order in ours:
        _compare_order(found, order, intents.get(order["client_order_id"]))
    for own_id, intent in intents.items():
        if intent["settled"]:
            _compare_settled(found, intent, after.get(own_id), recorded.get(own_id, {}), made)
        else:
            found.expect(intent["broker_order_id"] is None or own_id in after, f"{own_id}: recorded as sent, unknown to the exchange")


def _compare_order(found: Findings, order: Row, intent: Row | None) -> None:
    name = order["client_order_id"]
    if intent is None:
        found.violations.append(f"{name}: at the exchange without an intent")
        return
    found.expect(
        intent["broker_order_id"] in (None, order["id"]), f"{name}: recorded as {intent['broker_order_id']}, the exchange has {order['id']}"
    )
    same = (intent["symbol"], intent["side"], intent["qty"]) == (order["symbol"], order["side"], Decimal(order["qty"]))
    found.expect(
        same, f"{name}: intent {intent['symbol']} {intent['side']} {intent['qty']}, sent {order['symbol']} {order['side']} {order['qty']}"
    )


def _compare_settled(
    found: Findings, intent: Row, order: Row | None, recorded: Mapping[str, Row], made: Mapping[str, Mapping[str, Row]]
) -> None:
    name, status = intent["client_order_id"], intent["status"]
    if order is None:
        found.expect(status in ("rejected", "abandoned"), f"{name}: settled as {status}, unknown to the exchange")
        return
    found.expect(
        intent["broker_order_id"] == order["id"], f"{name}: settled as {intent['broker_order_id']}, the exchange has {order['id']}"
    )
    found.expect(status == order["status"] and status in FINAL, f"{name}: settled as {status}, at the exchange {order['status']}")
    found.expect(
        intent["filled_qty"] == Decimal(order["filled_qty"]),
        f"{name}: {intent['filled_qty']} filled, at the exchange {order['filled_qty']}",
    )
    ours = {k: (r["qty"], r["price"]) for k, r in recorded.items()}
    theirs = {k: (Decimal(f["qty"]), Decimal(f["price"])) for k, f in made.get(order["id"], {}).items()}
    found.expect(ours == theirs, f"{name}: fills {ours}, at the exchange {theirs}")


def _compare_books(found: Findings, db: Database, port: int, within_s: float) -> None:
    """Wait for an instant at which nothing is in flight; at that instant ledger and account must be the same."""
    until, difference = time.monotonic() + within_s, ["no quiet instant"]
    while time.monotonic() < until:
        before = _account(port)
        open_orders = db_rows(db, "SELECT count(*) AS n FROM orders WHERE NOT settled")[0]["n"]
        ledger = _ledger(db)
        after = _account(port)
        if not open_orders and before == after:
            difference = _differences(ledger, after)
            if not difference:
                return
        time.sleep(0.02)
    found.violations.append(f"ledger and exchange did not become equal: {difference[:5]}")


def _account(port: int) -> dict[str, Decimal]:
    held = {p["symbol"]: Decimal(p["qty"]) for p in ask(port, "/v2/positions", KEYS)}
    return {**held, "$": Decimal(ask(port, "/v2/account", KEYS)["cash"])}


def _ledger(db: Database) -> dict[str, Decimal]:
    rows = db_rows(db, "SELECT unit, sum(amount) AS amount FROM ledger_entries WHERE starts_with(account, 'sleeve:') GROUP BY unit")
    return {r["unit"]: r["amount"] for r in rows}


def _differences(ledger: Mapping[str, Decimal], account: Mapping[str, Decimal]) -> list[str]:
    zero = Decimal(0)
    return [
        f"{unit}: ledger {ledger.get(unit, zero)}, exchange {account.get(unit, zero)}"
        for unit in sorted({*ledger, *account})
        if abs(ledger.get(unit, zero) - account.get(unit, zero)) > (Decimal("0.01") if unit == "$" else SETTLE)
    ]


def _check_record(found: Findings, db: Database) -> None:
    for name, query in RECORD_CHECKS.items():
        if name != "every_run_has_an_outcome":
            row = db.row(query)
            found.expect(row is not None and row["n"] == 0, f"{name}: {row and row['n']} violations")
    total = db_rows(db, "SELECT unit, sum(amount) AS total FROM ledger_entries GROUP BY unit HAVING sum(amount) <> 0")
    found.expect(not total, f"all accounts together are not zero: {total}")


def _check_sessions(found: Findings, db: Database) -> None:
    """Every session from the first to the last has one decision and one mark; the last may still be without its mark."""
    calendar = Calendar()
    cycles = [r["session"] for r in db_rows(db, "SELECT session FROM cycles ORDER BY session")]
    marks = [r["session"] for r in db_rows(db, "SELECT session FROM nav_marks ORDER BY session")]
    found.sessions = len(marks)
    for name, days in (("cycle", cycles), ("mark", marks)):
        if days:
            missing = sorted(set(calendar.sessions(days[0], days[-1])) - set(days))
            found.expect(not missing, f"sessions without a {name}: {[str(d) for d in missing]}")
            found.expect(len(days) == len(set(days)), f"sessions with more than one {name}")
    if cycles and marks:
        gap = len(calendar.sessions(min(cycles[-1], marks[-1]), max(cycles[-1], marks[-1]))) - 1
        found.expect(cycles[0] == marks[0] and gap <= 1, f"cycles {cycles[0]}..{cycles[-1]}, marks {marks[0]}..{marks[-1]}")


def _check_jobs(found: Findings, db: Database) -> None:
    """Every planned occurrence of a job from the sandbox's first instant to its newest run is in the ledger of runs, and none twice."""
    calendar = Calendar()
    span = db_rows(db, "SELECT min(scheduled_at) AS first, max(scheduled_at) AS last FROM job_runs")[0]
    if span["first"] is None:
        return
    done: dict[str, set[datetime]] = {}
    # A first fetch that was cut off is recorded as missed with its reason; the next start reads its past on.
    kept = "status <> 'missed' OR starts_with(detail->>'reason', 'interrupted')"
    for row in db_rows(db, f"SELECT job, scheduled_at FROM job_runs WHERE {kept}"):
        done.setdefault(row["job"], set()).add(row["scheduled_at"].astimezone(UTC))
    anchors = {f"ingest.{n}": d.schedule for n, d in compose.datasets(paced=True).items()} | {"cycle": "open-30m", "mark": MARK_ANCHOR}
    for job, anchor in anchors.items():
        # Occurrences of one instant run in turn, so the newest instant may not be complete.
        planned = set(occurrences(anchor, calendar, span["first"], span["last"]))
        missing = sorted(planned - done.get(job, set()))
        found.expect(not missing, f"{job}: {len(missing)} occurrences vanished: {[str(m) for m in missing[:5]]}")


def db_rows(db: Database, statement: str) -> list[Row]:
    """Rows of a statement of the audit's own."""
    with db.connection() as connection:
        return list(connection.execute(statement).fetchall())
