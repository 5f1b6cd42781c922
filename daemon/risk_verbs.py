"""What `start.py risk` prints: the newest daily watch, the newest forecast, and how far each limit is used."""

import json
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from config import Settings
from daemon import compose
from daemon.allocation_record import regime_why
from daemon.limit_use import limit_use
from daemon.marks import drawdown_frac
from daemon.store.postgres import Database
from daemon.verbs import OUT, opened
from daemon.watch.tail import FEWEST_OBSERVATIONS

NONE = "-"
FORECAST = {"var95": "VaR 95%", "cvar95": "CVaR 95%", "var99": "VaR 99%", "volatility": "volatility a day"}


def risk(settings: Settings, as_json: bool, sandbox: bool | None) -> None:
    """Print what the record knows of risk. Reads the database alone, beside a running daemon or without one."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db = installation.database(pool_max=2)
        found = gathered(db, settings)
        db.close()
    if as_json:
        print(json.dumps({"sandbox": is_sandbox, **found}, indent=2))
        return
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    printed(found)


def gathered(db: Database, settings: Settings) -> dict[str, Any]:
    """Plain values: the watch (None before the first one), when each standing alarm began, forecast, regime and limits."""
    row, cycle, allocated = (db.row(name) for name in ("risk_watch_last", "cycle_last", "allocation_last"))
    newest = cycle["allocation"] if cycle else {}
    funds = {fund for strategy in compose.catalog(settings).values() for fund in strategy.funds}
    allocation, limits = (allocated["allocation"], allocated["limits"]) if allocated else ({}, {})
    return {
        "watched_at": row["at"].isoformat() if row else None,
        "watch": row["watch"] if row else None,
        "alarms_since": {key: alarm["since"] for key, alarm in sorted(row["standing"].items())} if row else {},
        "cycle_session": cycle["session"].isoformat() if cycle else None,
        "forecast": newest.get("forecast"),
        "regime": newest.get("regime"),
        "rung": allocation.get("rung"),
        "limits": limit_use(allocation, limits, funds, drawdown_frac(db), settings.drawdown_halt_frac),
    }


def printed(found: dict[str, Any]) -> None:
    """Tables on the terminal; one sentence for what is not known yet."""
    _print_now(found)
    watch = found["watch"]
    if watch is None:
        OUT.print("no risk watch yet: the first one follows the first daily mark, at 17:00 New York")
        return
    OUT.print(f"\nwatch of {watch['session']}, made at {found['watched_at']}")
    alarms = [f"[red]ALARM[/red]  {escape(text)}" for text in watch["alarms"]] or ["no alarms"]
    OUT.print("\n".join(alarms))
    for part, reason in sorted(watch["missing"].items()):
        OUT.print(f"{part} is missing: {escape(reason)}")
    for show in (_print_backtest, _print_stresses, _print_betas, _print_attribution, _print_drifts, _print_correlation):
        show(watch)


def _print_now(found: dict[str, Any]) -> None:
    forecast, regime = found["forecast"], found["regime"]
    if forecast:
        figures = ", ".join(f"{name} {_percent(forecast.get(key))}" for key, name in FORECAST.items())
        OUT.print(f"forecast for {found['cycle_session']}: {figures}; from {forecast.get('n_sessions')} sessions")
    else:
        OUT.print("no VaR forecast yet: each cycle records one")
    if regime:
        OUT.print(f"regime: {escape(regime_why(regime, regime['delta']))}")
    rows = [(r["name"], _percent(r["used"]), _percent(r["limit"]), f"{r['utilization']:.0%}") for r in found["limits"]]
    _print_table(
        f"limits, as the newest allocation uses them (rung {found['rung'] or 'none yet'})", ("limit", "used", "cap", "utilization"), rows
    )


def _print_backtest(watch: dict[str, Any]) -> None:
    test = watch["backtest"]
    judged = test["observations"] >= FEWEST_OBSERVATIONS
    verdict = "FAILING" if test["failing"] else "not judged yet" if not judged else "too careful" if test["reason"] else "holds"
    OUT.print(
        f"\nVaR back-test  {verdict}  {_count(test['exceptions'], 'loss', 'losses')} beyond the {test['alpha']:.0%} VaR in "
        f"{_count(test['observations'], 'session', 'sessions')}, "
        f"{test['expected']:.1f} expected  p: Kupiec {_number(test['kupiec_p'])}, independence {_number(test['independence_p'])}, "
        f"coverage {_number(test['coverage_p'])}"
    )
    if test["reason"]:
        OUT.print(escape(test["reason"]))


def _print_stresses(watch: dict[str, Any]) -> None:
    rows = [
        (s["name"], _signed(s["portfolio_return"]), _signed(s["max_drawdown"]), _percent(s["covered"], 0), s["note"])
        for s in watch["stresses"]
    ]
    _print_table("stress of the present portfolio", ("scenario", "return", "drawdown", "covered", "note"), rows)


def _print_betas(watch: dict[str, Any]) -> None:
    rows = [(b["factor"], _number(b["beta"]), _number(b["t_statistic"]), b["note"]) for b in watch["betas"]]
    _print_table("factor betas", ("factor", "beta", "t", "note"), rows)


def _print_attribution(watch: dict[str, Any]) -> None:
    active = watch["attribution"]
    if active is None:
        return
    effects = ("allocation", "selection", "interaction")
    rows = [
        (e["sector"], _percent(e["portfolio_weight"]), _percent(e["benchmark_weight"]), *(_signed(e[k]) for k in effects))
        for e in active["effects"]
    ]
    if rows:
        rows.append(("all sectors", "", "", *(_signed(sum(e[k] for e in active["effects"])) for k in effects)))
    OUT.print(
        f"\nagainst the benchmark over {_count(active['sessions'], 'session', 'sessions')} from {active['start'] or NONE}: "
        f"{_signed(active['portfolio_return'])} against {_signed(active['benchmark_return'])}, active {_signed(active['active_return'])}"
    )
    _print_table("", ("sector", "held", "benchmark", *effects), rows)
    OUT.print(
        f"costs, intraday trading and marks {_signed(active['residual'])}; benchmark less its sectors "
        f"{_signed(active['benchmark_residual'])}; {escape(active['note'])}"
    )


def _print_drifts(watch: dict[str, Any]) -> None:
    """Inputs once, whoever reads them, then the returns of each strategy's shadow book."""
    inputs = {d["name"]: d for d in watch["drifts"] if d["subject"] == "input"}
    returns = {d["strategy"]: d for d in watch["drifts"] if d["subject"] == "returns"}
    for title, head, found in (("drift of inputs", "input", inputs), ("drift of shadow returns", "strategy", returns)):
        rows = [
            (name, _number(d["psi"]), _number(d["ks_p"]), f"{d['n_current']:,}/{d['n_reference']:,}", d["reason"])
            for name, d in found.items()
        ]
        _print_table(title, (head, "PSI", "KS p", "values", "note"), rows)


def _print_correlation(watch: dict[str, Any]) -> None:
    state = watch["correlation"]
    if state is not None:
        OUT.print(
            f"\ncorrelation  {'CRISIS' if state['crisis'] else 'calm'}  average {_number(state['average'])}, largest eigenvalue "
            f"{_percent(state['concentration'])} of the variance; {escape(state['note'])}"
        )


def _print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    OUT.print(f"\n{title}" if title else "")
    OUT.print(table)


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _percent(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:.{digits}%}"


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2%}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
