"""What the operator sees: metrics, components and the snapshot behind dashboard, status and API, read from the record."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from daemon.calendar import Calendar
from daemon.dashboard.snapshot import CycleRow, DatasetRow, JobRow, OrderRow, PositionRow, SleeveRow, Snapshot
from daemon.freshness import all_of
from daemon.risk_record import read_risk
from daemon.runtime import Runtime
from daemon.schedule import TICK, Job, occurrences
from daemon.store.errors import StoreError
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.segments import Lake
from daemon.strategy_state import StrategyState, current
from execution.sleeves import CASH, TREASURY
from scrapers.base import Dataset, Source
from strategies.base import Strategy

SNAPSHOT_LIFE_S = 1.0


class Surface:
    """The operator surface of a running daemon."""

    def __init__(self, *, started_at: datetime, version: str, token: str | None, sandbox: bool, mode: Literal["PAPER", "LIVE"]) -> None:
        self.started_at, self.version, self._token = started_at, version, token
        self.sandbox, self.mode = sandbox, mode
        self.rt: Runtime | None = None
        self.jobs: Sequence[Job] = ()
        self.ready = False
        self.ready_at: datetime | None = None
        self.phase = "starting"
        self._cached: tuple[float, Snapshot] | None = None
        self._datasets: tuple[object, list[DatasetRow]] = (None, [])

    def metrics(self) -> bytes:
        """All metrics, with what is only known at scrape time brought up to date."""
        if self.rt is None:
            return b""
        metrics, now = self.rt.metrics, self.rt.clock.now()
        metrics.set("allocd_ready", float(self.ready))
        metrics.set("allocd_market_open", float(self.rt.calendar.is_open(now)))
        self._set_job_times(self.rt, now)
        for name, (up, _) in self.components().items():
            metrics.set("allocd_component_up", float(up), component=name)
            if name == "postgres":
                metrics.set("allocd_db_up", float(up), store="postgres")
        for state, number in self.rt.db.pool_connections().items():
            metrics.set("allocd_db_pool_connections", number, state=state)
        for used in self.snapshot().risk.limits:
            metrics.set("allocd_risk_limit_utilization_ratio", used["utilization"], limit=used["name"])
        for row in self._dataset_rows(self.rt):
            metrics.set("allocd_data_stored_rows", row["rows"], dataset=row["name"])
            if isinstance(row["latest"], datetime):
                metrics.set("allocd_data_latest_timestamp_seconds", row["latest"].timestamp(), dataset=row["name"])
        return metrics.exposition()

    def _set_job_times(self, rt: Runtime, now: datetime) -> None:
        """When each job runs next, and by when it owes its next success: that moves on only once the work was done."""
        done = {r["job"]: r["scheduled_at"] for r in rt.db.rows("job_last_success")}
        for job in self.jobs:
            upcoming = _next(job, rt.calendar, now)
            owed = _next(job, rt.calendar, done.get(job.name, self.ready_at or now) + TICK) if job.ledgered else None
            if upcoming is not None:
                rt.metrics.set("allocd_job_next_run_timestamp_seconds", upcoming.timestamp(), job=job.name)
            if owed is not None:
                due = owed.timestamp() + job.deadline_s
                rt.metrics.set("allocd_job_due_timestamp_seconds", due, job=job.name)

    def _dataset_rows(self, rt: Runtime) -> list[DatasetRow]:
        """Counting rows is slow on large tables: it is done again only after something was fetched, and once a virtual day."""
        now = rt.clock.now()
        key = (now.date(), *(r["fetched_at"] for r in rt.db.rows("watermarks_all")))
        if self._datasets[0] != key:
            self._datasets = (key, dataset_rows(rt.db, rt.lake, rt.datasets, rt.sources, rt.calendar, now))
        return self._datasets[1]

    def collecting(self, names: Sequence[str]) -> None:
        """Which histories are being read, while the daemon waits for them to be ready."""
        if not self.ready:
            self.phase = f"collecting the history of {', '.join(names)}"

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request to the operator surface."""
        if self.rt is not None:
            verb = method if method in ("GET", "HEAD") else "other"
            code = "429" if status == 429 else f"{status // 100}xx"
            self.rt.metrics.inc("allocd_http_requests_total", route=route, method=verb, code=code)
            self.rt.metrics.observe("allocd_http_request_duration_seconds", seconds, route=route)

    def refused(self, reason: str) -> None:
        """Count a refused request."""
        if self.rt is not None:
            self.rt.metrics.inc("allocd_http_auth_failures_total", reason=reason)

    def healthy(self) -> bool:
        """The process answers: nothing else is asked."""
        return True

    def components(self) -> Mapping[str, tuple[bool, str]]:
        """Every required component."""
        if self.rt is None:
            return {"scheduler": (False, self.phase)}
        broker_up = self.rt.metrics.value("allocd_broker_up") == 1.0
        return {
            "scheduler": (self.ready, self.phase),
            "postgres": _probe(self.rt.db),
            "broker": (broker_up, "last call succeeded" if broker_up else "last call failed"),
        }

    def api_token(self) -> str | None:
        """What the API asks for."""
        return self._token

    def snapshot(self) -> Snapshot:
        """The present state, at most a second old."""
        if self._cached is not None and time.monotonic() - self._cached[0] < SNAPSHOT_LIFE_S:
            return self._cached[1]
        if self.rt is None:
            return Snapshot(
                at=self.started_at,
                mode=self.mode,
                sandbox=self.sandbox,
                version=self.version,
                started_at=self.started_at,
                ready=False,
                halted=False,
                components=self.components(),
            )
        rt = self.rt
        snapshot = read_snapshot(
            rt.db,
            rt.calendar,
            rt.strategies,
            at=rt.clock.now(),
            mode=self.mode,
            sandbox=self.sandbox,
            version=self.version,
            started_at=self.started_at,
            ready=self.ready,
            jobs=self.jobs,
            components=self.components(),
            benchmark=rt.settings.benchmark,
            drawdown_limit=rt.settings.drawdown_halt_frac,
            datasets=self._dataset_rows(rt),
        )
        self._cached = (time.monotonic(), snapshot)
        return snapshot


def _next(job: Job, calendar: Calendar, after: datetime) -> datetime | None:
    return next(occurrences(job.anchor, calendar, after, after + timedelta(days=14)), None)


def _probe(db: Database) -> tuple[bool, str]:
    try:
        version = db.schema_version()
    except StoreError as error:
        return False, str(error)
    return True, f"schema {version}"


def read_snapshot(
    db: Database,
    calendar: Calendar,
    strategies: Mapping[str, Strategy],
    *,
    datasets: Sequence[DatasetRow],
    at: datetime,
    mode: Literal["PAPER", "LIVE"],
    sandbox: bool,
    version: str,
    started_at: datetime,
    ready: bool,
    jobs: Sequence[Job],
    components: Mapping[str, tuple[bool, str]],
    benchmark: str,
    drawdown_limit: float,
) -> Snapshot:
    """The snapshot from the record alone; any process may make one."""
    navs = db.rows("nav_all")
    balances = db.rows("ledger_balances")
    last = navs[-1] if navs else None
    peak = max((n["return_index"] for n in navs), default=1.0)
    state = db.row("trading_state_last")
    active = state is None or state["state"] == "ACTIVE"
    cycle = db.row("cycle_last")
    prices = _prices(db, cycle)
    positions = _positions(balances, prices, last["nav_usd"] if last else 0.0)
    gross = last["gross_frac"] if last else None
    return Snapshot(
        at=at,
        mode=mode,
        sandbox=sandbox,
        version=version,
        started_at=started_at,
        ready=ready,
        halted=not active,
        halt_reason="" if active or state is None else f"{state['state']} by {state['actor']}: {state['reason']}",
        nav_usd=last["nav_usd"] if last else None,
        cash_usd=float(sum((b["amount"] for b in balances if b["unit"] == CASH and b["account"].startswith("sleeve:")), Decimal(0)))
        if balances
        else None,
        day_return=last["return_index"] / navs[-2]["return_index"] - 1.0 if last and len(navs) > 1 else None,
        return_total=last["return_index"] - 1.0 if last else None,
        drawdown=last["return_index"] / peak - 1.0 if last else None,
        gross=gross,
        benchmark=benchmark,
        nav_history=[(n["session"], n["nav_usd"], n["benchmark"]) for n in navs],
        sleeves=_sleeves(db, calendar, strategies, balances),
        positions=positions,
        last_cycle=_cycle(db, cycle),
        orders=[_order(r) for r in db.rows("orders_latest", n=20)],
        datasets=datasets,
        jobs=_jobs(db, jobs, calendar, at),
        components=components,
        risk=read_risk(db, cycle, positions, gross=gross, drawdown_limit=drawdown_limit, strategies=strategies),
    )


def _prices(db: Database, cycle: Row | None) -> dict[str, float]:
    """Latest known price by symbol: the close of the last mark, or a fill or decision price after it."""
    traded = db.rows("latest_prices") if cycle else []
    prices = {r["symbol"]: float(r["price"]) for r in traded}
    closes = db.row("meta_get", key="closes")
    if closes is not None:
        marked_at = datetime.fromisoformat(closes["value"]["at"])
        newer = {r["symbol"] for r in traded if r["at"] > marked_at}
        prices |= {symbol: float(price) for symbol, price in closes["value"]["prices"].items() if symbol not in newer}
    return prices


def _sleeves(db: Database, calendar: Calendar, strategies: Mapping[str, Strategy], balances: Sequence[Row]) -> list[SleeveRow]:
    marks = {r["sleeve"]: r for r in db.rows("sleeve_marks_last")}
    evaluated = {r["sleeve"]: r["session"] for r in db.rows("evaluations_last", before=calendar.end)}
    first = db.row("nav_first")
    growth = {r["sleeve"]: r["growth"] for r in db.rows("shadow_growth", since=first["session"])} if first else {}
    names = sorted({*strategies, *marks} - {"suspense"})
    decided, newest = current(db), {r["sleeve"]: r for r in db.rows("evaluations_newest")}
    standing = {
        name: _standing(name, strategies, decided.get(name), newest.get(name), joined=not first or name in growth) for name in names
    }
    follows = {name for name in strategies if name not in decided or decided[name].state == "active"}
    return [
        SleeveRow(
            name=name,
            state=standing[name][0],
            reason=standing[name][1],
            capital_frac=marks[name]["capital_frac"] if name in marks else 0.0,
            nav_usd=marks[name]["nav_usd"] if name in marks else 0.0,
            return_total=growth.get(name),
            last_evaluated=evaluated.get(name),
            next_due=calendar.next_due(strategies[name].rebalance, evaluated[name]) if name in follows and name in evaluated else None,
            positions=sum(b["account"] == f"sleeve:{name}" and b["unit"] != CASH for b in balances),
        )
        for name in names
    ]


def _standing(
    name: str, strategies: Mapping[str, Strategy], decided: StrategyState | None, newest: Row | None, *, joined: bool
) -> tuple[str, str]:
    """The state of a sleeve as SleeveRow has it, and why. joined: its shadow book is followed."""
    if name not in strategies:
        return ("", "") if name == TREASURY else ("not enabled", "the settings do not switch it on; its positions are sold")
    if decided is not None and decided.state != "active":
        return decided.state, f"by {decided.actor}: {decided.reason}"
    if not joined:
        return "waiting", f"for the past of {', '.join(strategies[name].needs)}"
    if newest is not None and newest["outcome"] != "evaluated":
        return newest["outcome"], newest["reason"]
    return "active", ""


def _positions(balances: Sequence[Row], prices: Mapping[str, float], nav: float) -> list[PositionRow]:
    held: dict[str, list[Row]] = {}
    for b in balances:
        if b["account"].startswith("sleeve:") and b["unit"] != CASH:
            held.setdefault(b["unit"], []).append(b)
    rows = []
    for symbol, parts in sorted(held.items()):
        qty, price = float(sum(p["amount"] for p in parts)), prices.get(symbol, 0.0)
        rows.append(
            PositionRow(
                symbol=symbol,
                qty=qty,
                price=price,
                market_value_usd=qty * price,
                weight=qty * price / nav if nav else 0.0,
                sleeves=[p["account"].removeprefix("sleeve:") for p in parts],
            )
        )
    return sorted(rows, key=lambda r: -abs(r["market_value_usd"]))


def _cycle(db: Database, cycle: Row | None) -> CycleRow | None:
    if cycle is None:
        return None
    counts = db.row("cycle_order_counts", cycle_id=cycle["cycle_id"]) or {"orders": 0, "notional_usd": 0.0}
    allocation = cycle["allocation"]
    nav = float(allocation["nav_usd"])
    return CycleRow(
        cycle_id=cycle["cycle_id"],
        at=cycle["at"],
        session=cycle["session"],
        rung=allocation.get("rung", allocation["reason"]),
        orders=counts["orders"],
        notional_usd=counts["notional_usd"],
        turnover=counts["notional_usd"] / nav if nav else 0.0,
        var95=(allocation.get("forecast") or allocation).get("var95"),
        bound=sorted({b["limit"] for b in allocation.get("bound", [])}),
    )


def _order(row: Row) -> OrderRow:
    average = row["filled_avg_price"]
    return OrderRow(
        client_order_id=row["client_order_id"],
        at=row["updated_at"],
        symbol=row["symbol"],
        side=row["side"],
        qty=float(row["qty"]),
        status=row["status"],
        filled_qty=float(row["filled_qty"]),
        filled_avg_price=None if average is None else float(average),
    )


def dataset_rows(
    db: Database, lake: Lake, datasets: Mapping[str, Dataset], sources: Mapping[str, Sequence[Source]], calendar: Calendar, at: datetime
) -> list[DatasetRow]:
    """How many rows each dataset has and whether it is fresh at `at`."""
    states = all_of(db, lake, datasets, sources, calendar, at)
    rows = []
    for name, dataset in datasets.items():
        found = lake.stats(db, dataset)
        rows.append(DatasetRow(name=name, rows=found["rows"], latest=found["latest_event_at"], fresh=not states[name].reason))
    return rows


def _jobs(db: Database, jobs: Sequence[Job], calendar: Calendar, at: datetime) -> list[JobRow]:
    ran: dict[str, dict[str, Any]] = {r["job"]: r for r in db.rows("job_latest")}
    return [
        JobRow(
            name=job.name,
            last=ran[job.name]["finished_at"] if job.name in ran else None,
            outcome=ran[job.name]["status"] if job.name in ran else None,
            next=_next(job, calendar, at),
        )
        for job in jobs
    ]
