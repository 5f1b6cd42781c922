"""What the operator sees is what the record holds: every figure of the snapshot again, by SQL or by hand."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from daemon.joblist import build_jobs
from daemon.jobs import JobRunner
from daemon.schedule import walk
from daemon.store.embedded import EmbeddedPostgres
from daemon.strategy_state import change
from daemon.surface import Surface
from daemon.watch.watching import watch
from execution.base import OrderRequest
from tests.integration.desk import CALENDAR, DAYS, PRICES, Desk, open_desk, wants

D0, D1, D2, D3 = DAYS[:4]
QUOTES = {("AAA", D1): (100.0, 110.0), ("AAA", D2): (110.0, 99.0), ("CCC", D2): (20.0, 25.0)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two strategies and a trade by hand, three sessions long, run by their jobs."""
    directory = tmp_path_factory.mktemp("surface")
    chosen = {"a": wants("a", {"AAA": 0.5}), "b": wants("b", {"AAA": 0.2, "BBB": 0.4})}
    with EmbeddedPostgres(directory / "postgres") as server:
        opened = open_desk(server.ensure, "surface", directory, chosen, quotes=QUOTES)
        opened.venue.submit(OrderRequest(client_order_id="person-1", symbol="CCC", side="buy", qty=Decimal(100)))
        jobs = build_jobs(opened.rt, JobRunner(opened.rt.db, opened.rt.clock, opened.rt.metrics, strict=True))
        walk(jobs, opened.rt.clock.now(), CALENDAR.close_at(D2) + timedelta(hours=2), opened.rt.clock, CALENDAR)
        opened.at(D2, 18)
        yield opened
        opened.rt.db.close()


@pytest.fixture
def surface(desk: Desk) -> Surface:
    return surface_of(desk)


def surface_of(desk: Desk) -> Surface:
    """A surface that has not made a snapshot yet."""
    made = Surface(started_at=CALENDAR.open_at(D0), version="desk-1", token="t", sandbox=False, mode="PAPER")
    made.rt, made.ready, made.phase = desk.rt, True, "running"
    made.jobs = build_jobs(desk.rt, JobRunner(desk.rt.db, desk.rt.clock, desk.rt.metrics))
    return made


def test_before_a_runtime_there_is_a_snapshot_that_knows_nothing() -> None:
    surface = Surface(started_at=CALENDAR.open_at(D0), version="v", token=None, sandbox=True, mode="PAPER")
    snapshot = surface.snapshot()
    assert (snapshot.nav_usd, snapshot.ready, snapshot.sandbox, snapshot.at) == (None, False, True, CALENDAR.open_at(D0))
    assert surface.components() == {"scheduler": (False, "starting")}
    assert surface.metrics() == b""


def test_value_cash_and_returns_are_those_of_the_marks(desk: Desk, surface: Surface) -> None:
    shown = surface.snapshot()
    rows = desk.sql("SELECT session, nav_usd, return_index, benchmark, gross_frac FROM nav_marks ORDER BY session")
    assert [r["session"] for r in rows] == [D0, D1, D2]
    assert shown.nav_history == [(r["session"], r["nav_usd"], r["benchmark"]) for r in rows]
    index = [r["return_index"] for r in rows]
    assert (shown.nav_usd, shown.gross) == (rows[-1]["nav_usd"], rows[-1]["gross_frac"])
    assert shown.return_total == pytest.approx(index[2] - 1, abs=1e-15)
    assert shown.day_return == pytest.approx(index[2] / index[1] - 1, abs=1e-15)
    assert shown.drawdown == pytest.approx(index[2] / max(index) - 1, abs=1e-15)
    cash = desk.sql("SELECT sum(amount) AS c FROM ledger_entries WHERE unit = '$' AND account LIKE 'sleeve:%%'")[0]["c"]
    assert shown.cash_usd == float(cash)
    assert Decimal(repr(shown.cash_usd)) == desk.wire.account().cash


def test_sleeves_are_those_of_the_last_mark_with_their_next_due_session(desk: Desk, surface: Surface) -> None:
    shown = {s["name"]: s for s in surface.snapshot().sleeves}
    marks = {r["sleeve"]: r for r in desk.sql("SELECT * FROM sleeve_marks WHERE session = %(d)s", d=D2)}
    assert set(shown) == {"a", "b", "treasury"}
    for name, sleeve in shown.items():
        assert (sleeve["nav_usd"], sleeve["capital_frac"]) == (marks[name]["nav_usd"], marks[name]["capital_frac"])
    assert (shown["a"]["last_evaluated"], shown["a"]["next_due"], shown["a"]["positions"]) == (D2, D3, 1)
    assert (shown["b"]["positions"], shown["treasury"]["last_evaluated"]) == (2, None)


def test_the_state_of_each_sleeve_is_what_the_operator_decided_and_a_paused_one_is_not_due(desk: Desk) -> None:
    def shown() -> dict[str, tuple[str, str]]:
        return {s["name"]: (s["state"], s["reason"]) for s in surface_of(desk).snapshot().sleeves}

    assert shown() == {"a": ("active", ""), "b": ("active", ""), "treasury": ("", "")}
    change(desk.rt.db, "a", "paused", at=desk.rt.clock.now(), actor="Ada", reason="looks wrong")
    change(desk.rt.db, "b", "retired", at=desk.rt.clock.now(), actor="Ada", reason="done")
    assert shown() == {"a": ("paused", "by Ada: looks wrong"), "b": ("retired", "by Ada: done"), "treasury": ("", "")}
    assert {s["name"]: s["next_due"] for s in surface_of(desk).snapshot().sleeves} == {"a": None, "b": None, "treasury": None}
    for name in ("a", "b"):
        change(desk.rt.db, name, "active", at=desk.rt.clock.now() + timedelta(seconds=1), actor="Ada", reason="undone")
    assert shown()["a"] == ("active", "")


def test_positions_are_those_of_the_account_at_the_last_close_and_with_cash_they_are_the_net_asset_value(
    desk: Desk, surface: Surface
) -> None:
    shown = surface.snapshot()
    held = {p.symbol: p.qty for p in desk.wire.broker.positions()}
    assert {p["symbol"]: Decimal(str(round(p["qty"], 9))) for p in shown.positions} == held
    closes = {"AAA": 99.0, "BBB": PRICES["BBB"], "CCC": 25.0}
    assert {p["symbol"]: p["price"] for p in shown.positions} == closes
    assert shown.cash_usd is not None
    assert sum(p["market_value_usd"] for p in shown.positions) + shown.cash_usd == pytest.approx(shown.nav_usd, abs=0.01)
    owners = {p["symbol"]: sorted(p["sleeves"]) for p in shown.positions}
    assert owners == {"AAA": ["a", "b"], "BBB": ["b"], "CCC": ["suspense"]}
    weights = [abs(p["weight"]) for p in shown.positions]
    assert weights == sorted(weights, reverse=True)


def test_the_last_cycle_and_the_orders_are_those_on_record(desk: Desk, surface: Surface) -> None:
    shown = surface.snapshot()
    (row,) = desk.sql(
        "SELECT c.cycle_id, c.decision_hash, count(o.*) AS orders, coalesce(sum(o.qty * o.decision_price), 0) AS usd"
        " FROM cycles c LEFT JOIN orders o USING (cycle_id) WHERE c.session = %(d)s GROUP BY c.cycle_id", d=D2,
    )  # fmt: skip
    cycle = shown.last_cycle
    assert cycle is not None
    assert (cycle["cycle_id"], cycle["session"], cycle["orders"]) == (row["cycle_id"], D2, row["orders"])
    assert cycle["notional_usd"] == pytest.approx(float(row["usd"]))
    orders = desk.sql("SELECT client_order_id, status, filled_qty, filled_avg_price FROM orders")
    assert len(orders) > 3
    assert {o["client_order_id"]: (o["status"], o["filled_qty"], o["filled_avg_price"]) for o in shown.orders} == {
        o["client_order_id"]: (o["status"], float(o["filled_qty"]), float(o["filled_avg_price"])) for o in orders
    }


def test_datasets_and_jobs_are_those_on_record(desk: Desk, surface: Surface) -> None:
    shown = surface.snapshot()
    datasets = {d["name"]: d for d in shown.datasets}
    assert datasets["bars_daily"]["rows"] == desk.sql("SELECT count(*) AS n FROM bars_daily")[0]["n"]
    assert (datasets["congress_trades"]["rows"], datasets["congress_trades"]["fresh"]) == (0, False)
    jobs = {j["name"]: j for j in shown.jobs}
    for name in ("cycle", "mark"):
        (row,) = desk.sql("SELECT status, finished_at FROM job_runs WHERE job = %(j)s ORDER BY scheduled_at DESC LIMIT 1", j=name)
        assert (jobs[name]["outcome"], jobs[name]["last"]) == (row["status"], row["finished_at"])
    assert jobs["mark"]["next"] is not None
    assert jobs["mark"]["next"].date() == date(2022, 1, 6)


def test_a_halt_and_its_reason_are_shown(desk: Desk, surface: Surface) -> None:
    assert not surface.snapshot().halted
    desk.rt.db.run("trading_state_add", at=desk.rt.clock.now(), state="HALTED", actor="operator", reason="a test")
    surface._cached = None
    shown = surface.snapshot()
    desk.rt.db.run("trading_state_add", at=desk.rt.clock.now(), state="ACTIVE", actor="operator", reason="")
    assert (shown.halted, shown.halt_reason) == (True, "HALTED by operator: a test")


def test_the_allocation_is_the_newest_on_record_with_a_sentence_for_each_strategy(desk: Desk, surface: Surface) -> None:
    shown = surface.snapshot().risk.allocation
    assert shown is not None
    (row,) = desk.sql("SELECT session, allocation FROM cycles WHERE allocation ? 'rung' ORDER BY session DESC LIMIT 1")
    assert shown["session"] == row["session"].isoformat()
    assert {s["name"]: s["capital"] for s in shown["sleeves"]} == row["allocation"]["capital"]
    assert all(s["why"] for s in shown["sleeves"])


def test_the_use_of_each_limit_is_that_of_what_is_held_and_the_metrics_say_the_same(desk: Desk, surface: Surface) -> None:
    shown = surface.snapshot()
    used = {row["name"]: row for row in shown.risk.limits}
    limits = desk.rt.settings.limits()
    largest = max(abs(p["weight"]) for p in shown.positions)
    assert used["symbol"]["used"] == pytest.approx(largest)
    assert used["symbol"]["utilization"] == pytest.approx(largest / limits.max_symbol_frac)
    assert used["gross"]["used"] == shown.gross
    assert used["sleeve"]["used"] == max(s["capital_frac"] for s in shown.sleeves if s["name"] in ("a", "b"))
    assert used["drawdown"]["used"] == pytest.approx(-(shown.drawdown or 0.0), abs=1e-15)
    assert used["drawdown"]["limit"] == desk.rt.settings.drawdown_halt_frac
    text = surface.metrics().decode()
    for name, row in used.items():
        (value,) = re.findall(rf'allocd_risk_limit_utilization_ratio{{limit="{name}"}} (\S+)', text)
        assert float(value) == pytest.approx(row["utilization"], abs=1e-12)


def test_the_risk_watch_and_the_forecast_are_those_on_record(desk: Desk, surface: Surface) -> None:
    assert surface.snapshot().risk.watch is None
    made = watch(desk.rt, desk.rt.clock.now())
    surface._cached = None
    shown = surface.snapshot()
    (row,) = desk.sql("SELECT session, at, watch FROM risk_watch")
    assert made["session"] == D2.isoformat()
    assert shown.risk.watch is not None
    assert (shown.risk.watch.session, shown.risk.watched_at) == (row["session"], row["at"])
    assert shown.risk.watch.as_json() == row["watch"]
    (cycle,) = desk.sql("SELECT session, allocation FROM cycles ORDER BY session DESC LIMIT 1")
    forecast = cycle["allocation"]["forecast"]
    assert shown.risk.forecast == {"session": cycle["session"], **{k: forecast[k] for k in ("var95", "cvar95", "var99", "volatility")}}
    assert shown.last_cycle is not None
    assert shown.last_cycle["var95"] == forecast["var95"]


def test_no_metric_has_a_symbol_an_order_or_an_account_in_its_labels(desk: Desk, surface: Surface) -> None:
    text = surface.metrics().decode()
    labels = re.findall(r'(\w+)="([^"]*)"', "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert {name for name, _ in labels}.isdisjoint({"symbol", "order_id", "client_order_id", "account", "instance", "url"})
    words = {part for _, value in labels for part in re.split(r"[^A-Za-z0-9]+", value)}
    assert words.isdisjoint(PRICES)
    assert 'allocd_data_stored_rows{dataset="bars_daily"}' in text


def test_metrics_are_those_of_the_last_mark_and_the_next_runs(desk: Desk, surface: Surface) -> None:
    samples = dict(line.rpartition(" ")[::2] for line in surface.metrics().decode().splitlines() if not line.startswith("#"))
    (mark,) = desk.sql("SELECT nav_usd, at FROM nav_marks WHERE session = %(d)s", d=D2)
    assert float(samples["allocd_portfolio_nav_usd"]) == mark["nav_usd"]
    assert float(samples["allocd_portfolio_nav_timestamp_seconds"]) == mark["at"].timestamp()
    assert float(samples["allocd_ready"]) == 1.0
    assert float(samples['allocd_component_up{component="postgres"}']) == 1.0
    submitted = sum(float(v) for k, v in samples.items() if k.startswith("allocd_orders_submitted_total{"))
    assert submitted == desk.sql("SELECT count(*) AS n FROM orders WHERE broker_order_id IS NOT NULL")[0]["n"]
    next_mark = float(samples['allocd_job_next_run_timestamp_seconds{job="mark"}'])
    assert next_mark - CALENDAR.close_at(D3).timestamp() == 45 * 60
