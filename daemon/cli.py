"""The verbs of the command line. Each loads what it needs when it is called, so that a short question gets a quick answer."""

import errno
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer

from config import ConfigError, Settings
from daemon.errors import DaemonError
from daemon.store.errors import DatabaseTooNew, StoreError
from execution.errors import ExecutionError
from scrapers.errors import ScrapeError, SourceUnavailable
from strategies.errors import StrategyError

app = typer.Typer(add_completion=True, no_args_is_help=False, pretty_exceptions_enable=False, help="allocd, a portfolio-allocation daemon.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Sandbox = Annotated[
    bool | None, typer.Option("--sandbox/--main", help="Which store: the sandbox's or the main one. Default: what `run` would use.")
]

USAGE_ERRORS: tuple[type[typer.BadParameter], ...] = (typer.BadParameter.__mro__[1],)
"""What typer raises for a wrong verb or option; the class has no public name of its own."""

_load: Callable[[], Settings]


def main(load: Callable[[], Settings]) -> int:
    """Run the command line. Foreseen errors become one line on stderr and the documented exit code."""
    global _load
    _load = load
    try:
        # Outside its standalone mode typer does not raise typer.Exit but returns the code.
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Abort:
        return 130
    except USAGE_ERRORS as error:
        error.show()
        return 2
    except ConfigError as error:
        return _fail("\n".join(error.problems), 78)
    except DaemonError as error:
        return _fail(str(error), error.exit_code)
    except DatabaseTooNew as error:
        return _fail(str(error), 78)
    except StoreError as error:
        return _fail(_full_or_all(str(error)), 69)
    except ExecutionError as error:
        return _fail(str(error), 69)
    except SourceUnavailable as error:
        return _fail(str(error), 69)
    except (ScrapeError, StrategyError) as error:
        return _fail(str(error), 2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _fail(f"no space left on the device of {error.filename or 'the state directory'}: free some, nothing recorded is lost", 69)


def _full_or_all(text: str) -> str:
    """PostgreSQL's own words at length, but of a full disk only the line that says so."""
    full = [line.strip() for line in text.splitlines() if "No space left" in line or "wrote only" in line]
    if not full or "\n" not in text:
        return text
    return f"the state directory has no room left ({full[0]}): free some space and start again; nothing that was recorded is lost"


def _fail(text: str, code: int) -> int:
    for line in text.splitlines():
        print(f"allocd: {line}", file=sys.stderr)
    return code


def _leave(code: int) -> NoReturn:
    """End a process whose work is done and recorded at once: taking down an interpreter with its compiled kernels takes up to a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _module(name: str) -> Any:
    """A module of ours, loaded when a verb needs it."""
    return importlib.import_module(f"daemon.{name}")


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a verb: run."""
    if context.invoked_subcommand is None:
        run()


@app.command()
def run(
    clock: Annotated[str, typer.Option(help="auto, system (real time) or virtual (paced; sandbox only).")] = "auto",
) -> None:
    """Start the daemon: paper trading when Alpaca keys are set, else the sandbox. Stays up until stopped."""
    if clock not in ("auto", "system", "virtual"):
        raise typer.BadParameter(f"--clock {clock}: write auto, system or virtual")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it asks for a reload, also before there is anything to reload
    _leave(_module("live").Daemon(_load(), clock).run())


@app.command("import")
def import_(
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. bars_daily.")],
    files: Annotated[list[Path], typer.Argument(help="Archive files, gzipped or not.")],
    as_json: AsJson = False,
) -> None:
    """Read bulk archives into the main store."""
    _module("data_verbs").import_files(_load(), dataset, files, as_json)


@app.command()
def replay(
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")],
    out: Annotated[Path | None, typer.Option(help="Directory for summary.json, orders.csv, nav.csv and report.html.")] = None,
    known_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="Forget what became known later.")
    ] = None,
    as_json: AsJson = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Replay the sandbox's own data.")] = False,
) -> None:
    """Run the past through the same decisions, orders and ledger as live."""
    _module("verbs").replay(_load(), start.date(), end.date(), out, known_until, as_json, sandbox)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check settings, strategies and sources without starting anything."""
    _module("verbs").check(_load(), as_json)


@app.command()
def status(as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """How the daemon is: exit 0 well, 3 degraded, 4 not running."""
    raise typer.Exit(_module("verbs").status(_load(), as_json, sandbox))


@app.command()
def once(job: Annotated[str, typer.Argument(help="Job name, e.g. cycle or ingest.vix.")]) -> None:
    """Run one job now, while the daemon is stopped."""
    raise typer.Exit(_module("once").once(_load(), job))


@app.command()
def why(
    symbol: str,
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="As of then, a date to its end; default now.")
    ] = None,
    as_json: AsJson = False,
    sandbox: Sandbox = None,
) -> None:
    """From an order back to sleeves, weights and the disclosures behind them."""
    _module("verbs").why(_load(), symbol, _to_its_end(at), as_json, sandbox)


@app.command()
def risk(as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """The daily risk watch: VaR back-test, limits, stress, betas, attribution, drift, alarms."""
    _module("risk_verbs").risk(_load(), as_json, sandbox)


@app.command()
def allocation(
    at: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of a session up to this day; default the newest.")] = None,
    as_json: AsJson = False,
    sandbox: Sandbox = None,
) -> None:
    """How the newest allocation divided the account, and why each strategy has what it has."""
    _module("allocation_verbs").allocation(_load(), at and at.date(), as_json, sandbox)


@app.command()
def strategies(as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """How each strategy stands: when it is due, what came of it last, its inputs, its money, its state."""
    _module("strategy_verbs").strategies(_load(), as_json, sandbox)


strategy = typer.Typer(no_args_is_help=True, help="One strategy: pause, resume, retire or simulate it.")
app.add_typer(strategy, name="strategy")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A strategy, e.g. congress_aggregate.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would follow and record nothing.")]


@strategy.command("pause")
def strategy_pause(name: Name, reason: Reason = "", dry_run: DryRun = False, as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """Stop evaluating a strategy; it keeps its last targets."""
    _module("strategy_verbs").decide(_load(), name, "paused", reason, dry_run, as_json, sandbox)


@strategy.command("resume")
def strategy_resume(name: Name, reason: Reason = "", dry_run: DryRun = False, as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """Evaluate a paused or retired strategy again."""
    _module("strategy_verbs").decide(_load(), name, "active", reason, dry_run, as_json, sandbox)


@strategy.command("retire")
def strategy_retire(name: Name, reason: Reason = "", dry_run: DryRun = False, as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """Wind a strategy down to cash; its capital goes to the others."""
    _module("strategy_verbs").decide(_load(), name, "retired", reason, dry_run, as_json, sandbox)


@strategy.command("simulate")
def strategy_simulate(
    name: Name,
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PARAM=VALUE", help="A parameter; may be repeated.")] = None,
    grid: Annotated[list[str] | None, typer.Option(metavar="PARAM=V1,V2,...", help="Values to try; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for tear_sheet.json and the files of a replay.")] = None,
    paths: Annotated[int, typer.Option(min=1, help="Simulated paths of each spread of a pairs strategy.")] = 500,
    as_json: AsJson = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Over the sandbox's own data.")] = False,
) -> None:
    """Replay one strategy alone: its tear sheet, and what is left of its Sharpe ratio after all that was tried."""
    _module("simulate_verb").simulate(
        _load(), name, start.date(), end.date(), set_ or [], grid or [], out=out, paths=paths, as_json=as_json, sandbox=sandbox
    )


@app.command()
def verify(
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest N decisions.")] = None,
    as_json: AsJson = False,
    sandbox: Sandbox = None,
) -> None:
    """Re-derive stored decisions from their recorded input and compare: exit 0 identical, 3 different."""
    raise typer.Exit(_module("verbs").verify(_load(), last, as_json, sandbox))


data = typer.Typer(invoke_without_command=True, help="Datasets: rows, span, freshness.")
app.add_typer(data, name="data")


@data.callback()
def data_table(context: typer.Context, as_json: AsJson = False, sandbox: Sandbox = None) -> None:
    """A table of the datasets."""
    if context.invoked_subcommand is None:
        _module("data_verbs").data(_load(), as_json, sandbox)


@data.command("show")
def data_show(
    dataset: str,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    asof: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="As known then.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Newest rows.")] = 20,
    as_json: AsJson = False,
    sandbox: Sandbox = None,
) -> None:
    """Rows of a dataset as they were known."""
    _module("data_verbs").data_show(_load(), dataset, symbol, _aware(asof), limit, as_json, sandbox)


@app.command()
def backfill(
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. congress_trades.")],
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")],
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day after the last; default now.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source; default those that would be collected.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what is on record.")] = False,
) -> None:
    """Read the past of a dataset's sources into the main store, under their rate limits; interrupted, it goes on where it stopped."""
    raise typer.Exit(_module("data_verbs").backfill(_load(), dataset, _aware(since), _aware(until), source, again))


@app.command()
def reparse(
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. congress_trades.")],
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only fetches from this day on.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the archived answers of a dataset again, without asking anybody: exit 0 all read, 3 some could not be."""
    raise typer.Exit(_module("data_verbs").reparse(_load(), dataset, source, _aware(since), dry_run, as_json))


@app.command()
def migrate() -> None:
    """Bring the main store's schema up to date."""
    _module("verbs").migrate(_load())


def _aware(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)


def _to_its_end(at: datetime | None) -> datetime | None:
    """The last instant of a New York day that was given as a date; an instant as it is."""
    if at is None or at.tzinfo is not None:
        return at
    return (at + timedelta(days=1)).replace(tzinfo=ZoneInfo("America/New_York")) - timedelta(microseconds=1)


Seed = Annotated[int, typer.Option(help="Seed of the generated market.")]
Symbols = Annotated[int, typer.Option(help="Symbols in the generated market.")]
Start = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First traded day.")]
History = Annotated[int, typer.Option(help="Sessions of history before it.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port; 0 takes a free one.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Written with port and pid once it listens.")]
Realtime = Annotated[bool, typer.Option("--realtime", help="Follow the real clock instead of PUT .../clock.")]
FIRST_DAY = datetime(2024, 1, 2)  # noqa: DTZ001  typer's dates carry no zone


@app.command()
def exchange(
    seed: Seed = 1,
    symbols: Symbols = 120,
    start: Start = FIRST_DAY,
    history: History = 756,
    host: Host = "127.0.0.1",
    port: Port = 0,
    journal: Annotated[Path, typer.Option(help="Event log of the exchange.")] = Path("exchange.journal"),
    cash: Annotated[str, typer.Option(help="Starting cash, USD.")] = "100000",
    cost_bps: Annotated[float, typer.Option(help="Half-spread.")] = 2.0,
    key: str = "",
    secret: str = "",
    realtime: Realtime = False,
    ready_file: ReadyFile = None,
) -> None:
    """Serve the built-in paper exchange over the generated market (SYNTHETIC)."""
    sandbox = _module("sandbox")
    sandbox.serve_exchange(
        _market(sandbox, seed, symbols, start.date(), history),
        host=host,
        port=port,
        journal=journal,
        cash_usd=_decimal(cash),
        cost_bps=cost_bps,
        realtime=realtime,
        key=key or None,
        secret=secret or None,
        ready_file=ready_file,
    )


@app.command()
def twin(
    seed: Seed = 1,
    symbols: Symbols = 120,
    start: Start = FIRST_DAY,
    history: History = 756,
    host: Host = "127.0.0.1",
    port: Port = 0,
    realtime: Realtime = False,
    ready_file: ReadyFile = None,
    fault: Annotated[list[str] | None, typer.Option(metavar="HOST=KIND", help="Spoil a service from the start; may be repeated.")] = None,
) -> None:
    """Serve the doubles of the outside data services over the generated market (SYNTHETIC)."""
    sandbox = _module("sandbox")
    market = _market(sandbox, seed, symbols, start.date(), history)
    sandbox.serve_twin(market, host=host, port=port, realtime=realtime, ready_file=ready_file, faults=_faults(fault or ()))


def _faults(given: Sequence[str]) -> Any:
    """Faults as HOST=KIND."""
    faults = importlib.import_module("scrapers.twin.faults")
    try:
        return faults.parsed(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _market(sandbox: Any, seed: int, symbols: int, start: date, history: int) -> Any:
    return sandbox.MarketOptions(seed=seed, symbols=symbols, start=start, history_sessions=history)


def _decimal(text: str) -> Any:
    try:
        return importlib.import_module("decimal").Decimal(text)
    except ArithmeticError as error:
        raise typer.BadParameter(f"{text!r} is not an amount") from error


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, default=str))
