"""What the short-lived verbs do: replay, check, status, why, verify, migrate. Those about data are in `data_verbs`."""

import dataclasses
import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from config import Settings
from daemon import artefacts, compose, own_check
from daemon import why as why_chain
from daemon.calendar import Calendar
from daemon.clock import NEW_YORK, SystemClock
from daemon.dashboard.snapshot import Snapshot, as_json
from daemon.data_table import present
from daemon.errors import StartRefused, WrongUsage
from daemon.installation import Installation, prepare
from daemon.logging import configure
from daemon.replay import replay as run_replay
from daemon.report import write
from daemon.source_choice import chosen
from daemon.store.datasets import ensure_table
from daemon.surface import dataset_rows, read_snapshot
from daemon.verify import verify as verify_decisions
from scrapers import DATASETS

PIPED_WIDTH = 240
"""Columns of an answer that goes to a file or another program: wide enough that no table is cut."""
OUT = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
ERR = Console(stderr=True, highlight=False)
DEGRADED, NOT_RUNNING = 3, 4
SUMMARY_LINES = (
    *("sessions", "cycles", "orders", "fills", "nav_start_usd", "nav_end_usd", "cagr", "volatility", "sharpe", "max_drawdown"),
    *("turnover_annual", "benchmark_cagr", "benchmark_sharpe"),
)


def directory_of(settings: Settings, sandbox: bool | None) -> tuple[Path, bool]:
    """State directory of the store that a verb means, and whether it is the sandbox's."""
    if sandbox is None:
        sandbox = not settings.has_alpaca_keys
    if not sandbox:
        return settings.state_dir, False
    realtime, paced = settings.state_dir / "sandbox-realtime", settings.state_dir / "sandbox"
    return (realtime if realtime.is_dir() and not paced.is_dir() else paced), True


@contextmanager
def opened(settings: Settings, sandbox: bool | None) -> Iterator[tuple[Installation, bool]]:
    """The installation that a verb works on; closed afterwards."""
    directory, is_sandbox = directory_of(settings, sandbox)
    if is_sandbox and not directory.is_dir():
        raise StartRefused(f"{directory}: no sandbox has run here yet; start one with start.py run, or ask the main store with --main")
    quiet(settings)
    uri = None if is_sandbox or settings.pg_uri is None else settings.pg_uri.get_secret_value()
    installation = Installation(directory, settings, pg_uri=uri)
    try:
        yield installation, is_sandbox
    finally:
        installation.close()


def is_paced(installation: Installation) -> bool:
    """Whether its store is that of the sandbox on virtual time."""
    return installation.directory.name == "sandbox"


def quiet(settings: Settings) -> None:
    """Logging of a verb: warnings only, on stderr, so that stdout is the answer."""
    configure(json=not sys.stderr.isatty(), level="warning", base={}, now=SystemClock().now, stream=sys.stderr)


def progress_bar() -> Progress:
    """A bar on stderr with count, time taken and time left; nothing where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal)


def replay(
    settings: Settings, start: date, end: date, out: Path | None, known_until: datetime | None, as_json_: bool, sandbox: bool
) -> None:
    """Run a replay with a progress bar, print its summary, write its files."""
    strategies, params = compose.enabled(settings)
    calendar = Calendar()
    with opened(settings, sandbox) as (installation, is_sandbox):
        lake = installation.lake()
        db = installation.database(pool_max=2)
        prepare(db, lake, DATASETS.values())
        db.close()
        total = calendar.count(start, end)
        with progress_bar() as bar:
            task = bar.add_task("replay", total=total)
            result = run_replay(
                settings,
                installation.conninfo,
                lake,
                DATASETS,
                strategies,
                params,
                start=start,
                end=end,
                known_until=_until(known_until),
                code_version=compose.code_version(),
                sandbox=is_sandbox,
                progress=lambda day, nav: bar.update(task, advance=1, description=f"{day}  NAV {nav:,.0f} USD"),
            )
    directory = out or settings.state_dir / "reports" / f"replay-{start}-{end}"
    summary = write(result, directory)
    if as_json_:
        print((directory / "summary.json").read_text(), end="")
        return
    _print_summary(summary, directory)


def _until(at: datetime | None) -> datetime | None:
    """A date means the end of that day in New York."""
    if at is None or at.tzinfo is not None:
        return at
    return (at.replace(tzinfo=NEW_YORK) + timedelta(days=1)).astimezone(UTC)


def _print_summary(summary: dict[str, Any], directory: Path) -> None:
    for name in SUMMARY_LINES:
        value = summary[name]
        OUT.print(f"{name:>18}  {value:,.4f}" if isinstance(value, float) else f"{name:>18}  {value:,}")
    if summary["var95_observations"]:
        told = f"{summary['var95_exceptions']} losses beyond it in {summary['var95_observations']:,} sessions"
        OUT.print(f"{'var95':>18}  {told}, {summary['var95_expected']:.1f} expected, Kupiec p {_chance(summary['var95_kupiec_p'])}")
    violations = sum(summary["invariants"].values())
    OUT.print(f"{'invariants':>18}  {len(summary['invariants'])} checked, {violations} violations")
    OUT.print(f"{'decision_hash':>18}  {summary['decision_hash']}")
    OUT.print(f"{'elapsed_s':>18}  {summary['elapsed_s']:.1f}")
    OUT.print(f"{'report':>18}  {directory / 'report.html'}")


def _chance(p_value: float | None) -> str:
    return "unknown" if p_value is None else f"{p_value:.3f}"


def check(settings: Settings, as_json_: bool) -> None:
    """The settings, the strategies and the sources are good when this returns. Raises StartRefused, after all was printed."""
    strategies, params = compose.enabled(settings)
    own = compose.own(settings)
    results = [result for found in own.own.values() for result in found.checked()]
    calendar = Calendar()
    sandbox = not settings.has_alpaca_keys
    compose.sources(settings, sandbox=sandbox)  # refuses what names nothing
    choices = chosen(settings, DATASETS, sandbox=sandbox)
    today = SystemClock().now().date()
    report = {
        "mode": "SANDBOX (SYNTHETIC)" if sandbox else "PAPER",
        "state_dir": str(directory_of(settings, None)[0]),
        "database": "embedded" if sandbox or settings.pg_uri is None else "PG_URI",
        "config_hash": settings.fingerprint(),
        "strategies": {
            n: {"params": params[n], "next_due": calendar.next_due(s.rebalance, today).isoformat()} for n, s in strategies.items()
        },
        "own_strategies": own_check.as_json(own, results),
        "datasets": {n: {"sources": [s.name for s in c.sources], "reason": c.reason} for n, c in choices.items()},
    }
    if as_json_:
        print(json.dumps(report, indent=2))
        own_check.refuse(own, results)
        return
    for name in ("mode", "state_dir", "database"):
        OUT.print(f"{name:<12}{report[name]}")
    OUT.print(f"{'settings':<12}ok, {settings.fingerprint()[:16]}")
    table = Table("strategy", "next due", "parameters", box=None, pad_edge=False)
    for name, strategy in strategies.items():
        table.add_row(name, str(calendar.next_due(strategy.rebalance, today)), ", ".join(f"{k}={v}" for k, v in params[name].items()))
    OUT.print(table)
    found = Table("dataset", "sources", "why", box=None, pad_edge=False)
    for name, choice in choices.items():
        found.add_row(name, ", ".join(s.name for s in choice.sources) or "-", escape(choice.reason))
    OUT.print(found)
    for line in own_check.lines(own, results):
        OUT.print(escape(line))
    own_check.refuse(own, results)


def status(settings: Settings, as_json_: bool, sandbox: bool | None) -> int:
    """Snapshot from the record and readiness from the daemon's own endpoint."""
    ready = _ask_ready(settings)
    with opened(settings, sandbox) as (installation, is_sandbox):
        running = installation.is_locked()
        db = installation.database(pool_max=2)
        strategies, _ = compose.enabled(settings)
        components = {n: (c["up"], c["detail"]) for n, c in ready["components"].items()} if ready else {}
        catalog = compose.datasets(paced=is_paced(installation))
        at = present(db, is_paced(installation), SystemClock().now())
        for dataset in DATASETS.values():
            ensure_table(db, dataset)
        snapshot = read_snapshot(
            db,
            Calendar(),
            strategies,
            datasets=dataset_rows(db, installation.lake(), catalog, compose.sources(settings, sandbox=is_sandbox), Calendar(), at),
            at=at,
            mode="PAPER",
            sandbox=is_sandbox,
            version=compose.code_version(),
            started_at=at,
            ready=bool(running and ready and ready["ready"]),
            jobs=(),
            components=components,
            benchmark=settings.benchmark,
            drawdown_limit=settings.drawdown_halt_frac,
        )
        db.close()
    code = NOT_RUNNING if not running else 0 if snapshot.ready and not snapshot.halted else DEGRADED
    if as_json_:
        print(json.dumps({"running": running, "exit": code, **as_json(snapshot)}, indent=2))
    else:
        _print_status(snapshot, running)
    return code


def _ask_ready(settings: Settings) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(settings.listen_host, settings.listen_port, timeout=3.0)
    try:
        connection.request("GET", "/-/ready")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _print_status(s: Snapshot, running: bool) -> None:
    mode = "SANDBOX SYNTHETIC" if s.sandbox else s.mode
    OUT.print(
        f"{mode}  {'not running' if not running else 'ready' if s.ready else 'NOT READY'}  v{s.version}  halted: {s.halt_reason or 'no'}"
    )
    for name, (up, detail) in s.components.items():
        OUT.print(f"  {name:<12}{'ok' if up else 'DOWN'}  {detail}")
    if s.nav_usd is not None:
        day, total = s.day_return or 0.0, s.return_total or 0.0
        OUT.print(f"portfolio    NAV {s.nav_usd:,.2f} USD ({day:+.2%} today, {total:+.2%} in all)")
        OUT.print(f"             gross {s.gross:.2f}  drawdown {-(s.drawdown or 0.0):.1%}")
    if s.last_cycle is not None:
        c = s.last_cycle
        OUT.print(f"last cycle   {c['session']}  {c['rung']}  {c['orders']} orders, {c['notional_usd']:,.0f} USD")
    for sleeve in s.sleeves:
        OUT.print(
            f"  {sleeve['name']:<30}{sleeve['capital_frac']:>7.1%}  NAV {sleeve['nav_usd']:>12,.2f}  next due {sleeve['next_due'] or '-'}"
        )
    if s.risk.watch is not None:
        watch, forecast = s.risk.watch, s.risk.forecast
        var95 = "unknown" if forecast is None or forecast["var95"] is None else f"{forecast['var95']:.2%}"
        OUT.print(f"risk         VaR 95 {var95} a day, watch of {watch.session}: {escape('; '.join(watch.alarms) or 'no alarm')}")
    fresh = sum(d["fresh"] for d in s.datasets)
    OUT.print(f"data         {fresh}/{len(s.datasets)} fresh")


def why(settings: Settings, symbol: str, at: datetime | None, as_json_: bool, sandbox: bool | None) -> None:
    """Print the chain behind a symbol."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db = installation.database(pool_max=2)
        try:
            again = why_chain.rederiver(installation.lake(), DATASETS, compose.catalog(settings), Calendar(), artefacts.load(db))
            found = why_chain.explain(db, DATASETS, symbol, at, rederive=again)
        except why_chain.NothingKnown as nothing:
            raise WrongUsage(str(nothing)) from nothing
        finally:
            db.close()
    if as_json_:
        print(json.dumps({"sandbox": is_sandbox, **found}, indent=2))
        return
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    OUT.print(why_chain.render(found))


def verify(settings: Settings, last: int | None, as_json_: bool, sandbox: bool | None) -> int:
    """Re-derive stored decisions, those of strategies that are switched off now included."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db, lake = installation.database(pool_max=2), installation.lake()
        prepare(db, lake, DATASETS.values())
        catalog = compose.catalog(settings)
        hashes = compose.own(settings).hashes()
        verdicts = verify_decisions(db, lake, DATASETS, catalog, Calendar(), last=last, code_version=compose.code_version(), hashes=hashes)
        db.close()
    wrong = [v for v in verdicts if not v.ok]
    if as_json_:
        print(json.dumps([dataclasses.asdict(v) for v in verdicts], indent=2, default=str))
        return DEGRADED if wrong else 0
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    for verdict in wrong:
        OUT.print(f"{verdict.session}  DIFFERENT  " + escape("; ".join(verdict.differences)))
    for note in dict.fromkeys(n for v in verdicts for n in v.notes):
        OUT.print(f"note: {escape(note)}")
    OUT.print(f"{len(verdicts)} decisions re-derived, {len(verdicts) - len(wrong)} identical, {len(wrong)} different")
    return DEGRADED if wrong else 0


def migrate(settings: Settings) -> None:
    """Apply pending migrations to the main store."""
    with opened(settings, False) as (installation, _):
        db = installation.database(pool_max=2)
        OUT.print(f"schema {db.schema} is at version {db.schema_version()}")
        db.close()
