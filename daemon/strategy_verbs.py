"""What the verbs about strategies print: how they stand, and what an operator decides about one."""

import difflib
import json
import os
import pwd
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from config import Settings
from daemon import compose
from daemon.calendar import Calendar
from daemon.clock import SystemClock
from daemon.data_table import present
from daemon.errors import WrongUsage
from daemon.freshness import Freshness, all_of
from daemon.installation import Installation
from daemon.store.datasets import ensure_table
from daemon.store.postgres import Database
from daemon.strategy_state import Change, State, change
from daemon.strategy_status import gathered, percent, stale_inputs
from daemon.verbs import OUT, is_paced, opened
from strategies import CATALOG
from strategies.base import Strategy

EFFECTS: Mapping[State, str] = {
    "active": "from the next cycle on it is evaluated again",
    "paused": "from the next cycle on it is not evaluated and keeps its last targets",
    "retired": "from the next cycle on its positions are sold, and its capital goes to the others",
}
RAMPS_IN = "; its capital ramps in like that of a new one"
DASH = "-"


def named(name: str, known: Iterable[str]) -> str:
    """A strategy's name, or a refusal that tells the nearest one."""
    names = sorted(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise WrongUsage(f"no strategy {name!r}; " + (f"the nearest is {near[0]!r}" if near else "there is none"))
    return name


def strategies(settings: Settings, as_json: bool, sandbox: bool | None) -> None:
    """Print how each strategy stands. Reads the record, beside a running daemon or without one."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db, running = installation.database(pool_max=2), installation.is_locked()
        try:
            at = present(db, is_paced(installation), SystemClock().now())
            on, _ = compose.enabled(settings)
            catalog = compose.catalog(settings)
            fresh = _freshness(settings, db, installation, catalog, is_sandbox, at)
            rows = gathered(db, Calendar(), catalog, on, CATALOG, fresh, at)
        finally:
            db.close()
    if as_json:
        print(json.dumps({"sandbox": is_sandbox, "running": running, "at": at.isoformat(), "strategies": rows}, indent=2))
        return
    printed(rows, running=running, is_sandbox=is_sandbox)


def _freshness(
    settings: Settings, db: Database, installation: Installation, catalog: Mapping[str, Strategy], is_sandbox: bool, at: datetime
) -> dict[str, Freshness]:
    """How every dataset stands that some strategy cannot do without."""
    datasets = compose.datasets(paced=is_paced(installation))
    needed = sorted({need for s in catalog.values() for need in s.needs} & datasets.keys())
    for name in needed:
        ensure_table(db, datasets[name])
    return all_of(db, installation.lake(), datasets, compose.sources(settings, sandbox=is_sandbox), Calendar(), at, needed)


def printed(rows: Sequence[Mapping[str, Any]], *, running: bool, is_sandbox: bool) -> None:
    """Two tables, because one of all columns does not fit a terminal, the second of those that are enabled or hold something; then a line
    for each thing that wants attention."""
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    on = sum(row["state"] != "not enabled" for row in rows)
    OUT.print(f"{len(rows)} strategies, {on} enabled; the daemon is {'running' if running else 'not running'}\n")
    _print_table(("strategy", "due", "state", "last cycle", "outcome", "next due", "inputs"), [_when(row) for row in rows])
    OUT.print()
    heads = ("strategy", "capital", "NAV USD", "return", "21 sessions", "drawdown", "names", "shadow return", "shadow Sharpe")
    _print_table(heads, [_money(row) for row in rows if row["state"] != "not enabled" or row["nav_usd"]], right=heads[1:])
    for row in rows:
        for line in _remarks(row):
            OUT.print(f"{row['name']}: {escape(line)}")


def _when(row: Mapping[str, Any]) -> tuple[str, ...]:
    origin = "" if row["origin"] == "catalog" else f" ({row['origin']})"
    inputs = "STALE" if stale_inputs(row) else "fresh" if row["inputs"] else DASH
    last = (row["last_session"] or "never", row["last_outcome"] or DASH)
    return (row["name"] + origin, row["schedule"] or DASH, row["state"], *last, row["next_due"] or DASH, inputs)


def _money(row: Mapping[str, Any]) -> tuple[str, ...]:
    sharpe = row["shadow_sharpe"]
    return (
        row["name"],
        f"{row['capital_frac']:.1%}",
        f"{row['nav_usd']:,.2f}",
        *(percent(row[name]) for name in ("return_total", "return_month", "drawdown")),
        str(row["weights"]),
        percent(row["shadow_return"]),
        DASH if sharpe is None else f"{sharpe:.2f}",
    )


def _remarks(row: Mapping[str, Any]) -> list[str]:
    """What wants attention: a decision of the operator, an evaluation that did not happen, inputs that are stale."""
    found = []
    if row["decided"] != "active":
        found.append(f"{row['decided']} since {row['since'][:16].replace('T', ' ')} UTC by {row['by']}: {row['reason']}")
    if row["last_outcome"] in ("held", "failed"):
        found.append(f"{row['last_outcome']} on {row['last_session']}: {row['last_reason']}")
    if row["state"] == "active" and (stale := stale_inputs(row)):
        found.append(f"stale: {stale}")
    return found


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if head in right else "left", no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    OUT.print(table)


def decide(settings: Settings, name: str, state: State, reason: str, dry_run: bool, as_json: bool, sandbox: bool | None) -> None:
    """Record an operator's decision about a strategy; the running daemon follows it in its next cycle."""
    on, _ = compose.enabled(settings)
    named(name, compose.catalog(settings))
    with opened(settings, sandbox) as (installation, is_sandbox):
        db = installation.database(pool_max=2)
        try:
            at = present(db, is_paced(installation), SystemClock().now())
            made = change(db, name, state, at=at, actor=actor(), reason=reason, dry_run=dry_run)
        finally:
            db.close()
    told = {
        "sandbox": is_sandbox,
        "strategy": name,
        "before": "active" if made.before is None else made.before.state,
        "state": state,
        "changed": made.changes and not dry_run,
        "dry_run": dry_run,
        "at": made.after.at.isoformat(),
        "by": made.after.actor,
        "reason": made.after.reason,
        "enabled": name in on,
        "effect": effect(made),
    }
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print_decision(told, made)


def effect(made: Change) -> str:
    """What follows from a decision."""
    if not made.changes:
        return "none"
    return EFFECTS[made.after.state] + (RAMPS_IN if made.before is not None and made.before.state == "retired" else "")


def print_decision(told: Mapping[str, Any], made: Change) -> None:
    """One or two lines: what was decided, and what follows from it."""
    name, state = told["strategy"], told["state"]
    if not made.changes:
        since = "" if made.before is None else f" since {made.before.at:%Y-%m-%d %H:%M} UTC by {made.before.actor}: {made.before.reason}"
        OUT.print(f"{name} is {state} already{escape(since)}; nothing was changed")
        return
    would = "would be" if told["dry_run"] else "is"
    OUT.print(f"{name} {would} {state} (was {told['before']}): {told['effect']}")
    if not told["enabled"]:
        OUT.print(f"{name} is not enabled in the settings: this takes effect once it is")


def actor() -> str:
    """Who acts at this command line: the name of the process's user, as the system knows it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
