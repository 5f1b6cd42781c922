"""What the short-lived verbs do: import, replay, check, status, why, verify, data, migrate."""

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
from daemon import compose, data_table
from daemon import why as why_chain
from daemon.calendar import Calendar
from daemon.clock import NEW_YORK, SystemClock
from daemon.dashboard.snapshot import Snapshot, as_json
from daemon.errors import StartRefused, WrongUsage
from daemon.importing import import_files as read_files
from daemon.installation import Installation, prepare
from daemon.logging import configure
from daemon.replay import replay as run_replay
from daemon.report import write
from daemon.store.datasets import ensure_table
from daemon.surface import dataset_rows, read_snapshot
from daemon.verify import verify as verify_decisions
from scrapers import DATASETS
from scrapers.base import Dataset
from strategies import CATALOG

OUT, ERR = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False)
DEGRADED, NOT_RUNNING = 3, 4
SUMMARY_LINES = (
    *("sessions", "cycles", "orders", "fills", "nav_start_usd", "nav_end_usd", "cagr", "volatility", "sharpe", "max_drawdown"),
    *("turnover_annual", "benchmark_cagr", "benchmark_sharpe"),
)
DATA_COLUMNS = {
    "dataset": "name",
    "rows": "versions",
    "first": "first_event_at",
    "latest": "latest_event_at",
    "known": "latest_known_at",
    "rejected": "rejected",
    "fetched": "fetched_at",
}


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


def quiet(settings: Settings) -> None:
    """Logging of a verb: warnings only, on stderr, so that stdout is the answer."""
    configure(json=not sys.stderr.isatty(), level="warning", base={}, now=SystemClock().now, stream=sys.stderr)


def dataset_named(name: str) -> Dataset:
    """A dataset of the catalog, or a clear refusal."""
    if name not in DATASETS:
        raise WrongUsage(f"no dataset {name!r}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def import_files(settings: Settings, name: str, paths: list[Path], as_json_: bool) -> None:
    """Read archives into the main store and print what became of every record."""
    dataset = dataset_named(name)
    with opened(settings, False) as (installation, _), _bar(f"importing {name}") as bar:
        task = bar.add_task(f"importing {name}", total=None)
        db = installation.database(pool_max=2)
        done = read_files(db, installation.lake(), dataset, paths, SystemClock().now(), lambda n: bar.advance(task, n))
        db.close()
    counts = done.counts
    result = {"dataset": name, "new": counts.new, "revised": counts.revised, "seen": counts.seen, "rejected": counts.rejected}
    if as_json_:
        print(json.dumps({**result, "fetched": counts.fetched, "rejected_by_reason": done.rejected_by_reason}, indent=2))
        return
    told = ", ".join(f"{result[part]:,} {part}" for part in ("new", "revised", "seen", "rejected"))
    OUT.print(f"{name}: {counts.fetched:,} records: {told}")
    for reason, number in done.rejected_by_reason.items():
        OUT.print(f"  rejected {number:>7,}  {reason}")


def _bar(_what: str) -> Progress:
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
        with _bar("replay") as bar:
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
    violations = sum(summary["invariants"].values())
    OUT.print(f"{'invariants':>18}  {len(summary['invariants'])} checked, {violations} violations")
    OUT.print(f"{'decision_hash':>18}  {summary['decision_hash']}")
    OUT.print(f"{'elapsed_s':>18}  {summary['elapsed_s']:.1f}")
    OUT.print(f"{'report':>18}  {directory / 'report.html'}")


def check(settings: Settings, as_json_: bool) -> None:
    """The settings are good when this returns: they were read before. Strategies and sources follow."""
    strategies, params = compose.enabled(settings)
    calendar = Calendar()
    sandbox = not settings.has_alpaca_keys
    chosen = compose.sources(settings, calendar, sandbox=sandbox)
    today = SystemClock().now().date()
    report = {
        "mode": "SANDBOX (SYNTHETIC)" if sandbox else "PAPER",
        "state_dir": str(directory_of(settings, None)[0]),
        "database": "embedded" if sandbox or settings.pg_uri is None else "PG_URI",
        "config_hash": settings.fingerprint(),
        "strategies": {
            n: {"params": params[n], "next_due": calendar.next_due(s.rebalance, today).isoformat()} for n, s in strategies.items()
        },
        "datasets": {n: _source(n, n in chosen, sandbox) for n in DATASETS},
    }
    if as_json_:
        print(json.dumps(report, indent=2))
        return
    for name in ("mode", "state_dir", "database"):
        OUT.print(f"{name:<12}{report[name]}")
    OUT.print(f"{'settings':<12}ok, {settings.fingerprint()[:16]}")
    table = Table("strategy", "next due", "parameters", box=None, pad_edge=False)
    for name, strategy in strategies.items():
        table.add_row(name, str(calendar.next_due(strategy.rebalance, today)), ", ".join(f"{k}={v}" for k, v in params[name].items()))
    OUT.print(table)
    for name in DATASETS:
        OUT.print(f"{name:<20}{_source(name, name in chosen, sandbox)}")


def _source(name: str, available: bool, sandbox: bool) -> str:
    if sandbox:
        return "twin (SYNTHETIC)"
    return DATASETS[name].source_url if available else "no source: set QUIVER_API_KEY, or import archives"


def status(settings: Settings, as_json_: bool, sandbox: bool | None) -> int:
    """Snapshot from the record and readiness from the daemon's own endpoint."""
    ready = _ask_ready(settings)
    with opened(settings, sandbox) as (installation, is_sandbox):
        running = installation.is_locked()
        db = installation.database(pool_max=2)
        strategies, _ = compose.enabled(settings)
        components = {n: (c["up"], c["detail"]) for n, c in ready["components"].items()} if ready else {}
        at = SystemClock().now() if not is_sandbox else _newest(db) or SystemClock().now()
        for dataset in DATASETS.values():
            ensure_table(db, dataset)
        snapshot = read_snapshot(
            db,
            Calendar(),
            strategies,
            datasets=dataset_rows(db, DATASETS, Calendar(), at),
            at=at,
            mode="PAPER",
            sandbox=is_sandbox,
            version=compose.code_version(),
            started_at=at,
            ready=bool(running and ready and ready["ready"]),
            jobs=(),
            components=components,
            benchmark=settings.benchmark,
        )
        db.close()
    code = NOT_RUNNING if not running else 0 if snapshot.ready and not snapshot.halted else DEGRADED
    if as_json_:
        print(json.dumps({"running": running, "exit": code, **as_json(snapshot)}, indent=2))
    else:
        _print_status(snapshot, running)
    return code


def _newest(db: Any) -> datetime | None:
    row = db.row("nav_last")
    at: datetime | None = row["at"] if row else None
    return at


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
    fresh = sum(d["fresh"] for d in s.datasets)
    OUT.print(f"data         {fresh}/{len(s.datasets)} fresh")


def why(settings: Settings, symbol: str, at: datetime | None, as_json_: bool, sandbox: bool | None) -> None:
    """Print the chain behind a symbol."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db = installation.database(pool_max=2)
        try:
            again = why_chain.rederiver(installation.lake(), DATASETS, CATALOG, Calendar())
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
        verdicts = verify_decisions(db, lake, DATASETS, CATALOG, Calendar(), last=last, code_version=compose.code_version())
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


def data(settings: Settings, as_json_: bool, sandbox: bool | None) -> None:
    """The table of datasets; by default of the main store when it has data, else of the sandbox."""
    with opened(settings, _data_store(settings, sandbox)) as (installation, is_sandbox):
        db, lake = installation.database(pool_max=2), installation.lake()
        prepare(db, lake, DATASETS.values())
        rows = data_table.datasets_table(db, DATASETS, lake, SystemClock().now())
        db.close()
    if as_json_:
        print(json.dumps(rows, indent=2, default=str))
        return
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    table = Table(*DATA_COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in DATA_COLUMNS.values()))
    OUT.print(table)


def _data_store(settings: Settings, sandbox: bool | None) -> bool:
    if sandbox is not None:
        return sandbox
    return not (settings.state_dir / "lake").is_dir() and directory_of(settings, True)[0].is_dir()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M") if value == value else ""
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def data_show(
    settings: Settings, name: str, symbol: str | None, asof: datetime | None, limit: int, as_json_: bool, sandbox: bool | None
) -> None:
    """Rows of a dataset as they were known."""
    dataset = dataset_named(name)
    with opened(settings, _data_store(settings, sandbox)) as (installation, _):
        db, lake = installation.database(pool_max=2), installation.lake()
        prepare(db, lake, [dataset])
        db.close()
        try:
            frame = data_table.show(lake, dataset, symbol=symbol, asof=asof, limit=limit)
        except data_table.NoSuchColumn as error:
            raise WrongUsage(str(error)) from error
    if as_json_:
        print(frame.to_json(orient="records", date_format="iso", indent=2))
        return
    for row in frame.to_dict(orient="records"):
        OUT.print("  ".join(f"[bold]{name}[/bold] {escape(_cell(value))}" for name, value in row.items() if value is not None))


def migrate(settings: Settings) -> None:
    """Apply pending migrations to the main store."""
    with opened(settings, False) as (installation, _):
        db = installation.database(pool_max=2)
        OUT.print(f"schema {db.schema} is at version {db.schema_version()}")
        db.close()
