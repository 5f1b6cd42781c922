"""What `start.py strategy simulate` does: reads what is to be tried, simulates it, prints the tear sheet and writes the files."""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from config import Settings
from daemon import compose
from daemon.calendar import Calendar
from daemon.clock import SystemClock
from daemon.errors import WrongUsage
from daemon.experiments import Deflated
from daemon.installation import prepare
from daemon.logging import configure
from daemon.report import write
from daemon.simulate import LIFTED, Simulation, Trial
from daemon.simulate import simulate as run_simulation
from daemon.spread_null import text_lines as spread_lines
from daemon.strategy_verbs import named
from daemon.tear_sheet import tear_sheet, text_lines
from daemon.verbs import OUT, opened, progress_bar
from scrapers import DATASETS
from strategies import resolve_params
from strategies.base import Param, Strategy
from strategies.errors import BadParameter

MOST_VARIANTS = 1000
SHOWN_VARIANTS = 20


def simulate(
    settings: Settings,
    name: str,
    start: date,
    end: date,
    given: Sequence[str],
    grid: Sequence[str],
    *,
    out: Path | None,
    paths: int,
    as_json: bool,
    sandbox: bool,
) -> None:
    """Simulate one strategy with the operator's parameters, those of --set laid over them, and every combination of --grid."""
    catalog = compose.catalog(settings)
    strategy = catalog[named(name, catalog)]
    variants = planned(strategy, settings.strategy_params.get(name, {}), given, grid)
    with opened(settings, sandbox) as (installation, is_sandbox):
        db, lake, now = installation.database(pool_max=2), installation.lake(), SystemClock().now()
        prepare(db, lake, DATASETS.values())
        # The risk watch of an account without limits has much to warn of.
        configure(json=not sys.stderr.isatty(), level="error", base={}, now=SystemClock().now, stream=sys.stderr)
        with progress_bar() as bar:
            task = bar.add_task(name, total=Calendar().count(start, end))
            found = run_simulation(
                settings,
                db,
                installation.conninfo,
                lake,
                DATASETS,
                strategy,
                variants,
                start=start,
                end=end,
                code_version=compose.code_version(),
                at=now,
                progress=lambda day, nav: bar.update(task, advance=1, description=f"{day}  NAV {nav:,.0f} USD"),
                sandbox=is_sandbox,
                paths=paths,
            )
        db.close()
    directory = out or settings.state_dir / "reports" / f"simulate-{name}-{start}-{end}"
    told = written(found, directory)
    if as_json:
        print(json.dumps(told, indent=2))
        return
    printed(found, told, directory, paths)


def planned(strategy: Strategy, own: Mapping[str, Any], given: Sequence[str], grid: Sequence[str]) -> list[dict[str, Any]]:
    """The variants, all complete: first that of the settings with `given` (PARAM=VALUE) over it, then every combination of `grid`
    (PARAM=V1,V2,...) over that one, each once.

    Raises WrongUsage for what cannot be read, UnknownParameter and BadParameter for what the strategy does not take.
    """
    chosen = dict(own)
    for text in given:
        param, value = _split(text, "--set PARAM=VALUE")
        chosen[param] = _read(strategy, param, value)
    axes: dict[str, list[int | float | str]] = {}
    for text in grid:
        param, values = _split(text, "--grid PARAM=V1,V2,...")
        axes.setdefault(param, []).extend(_read(strategy, param, v.strip()) for v in values.split(","))
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if len(combinations) > MOST_VARIANTS:
        raise WrongUsage(f"--grid has {len(combinations):,} combinations; {MOST_VARIANTS:,} at most")
    variants = [resolve_params(strategy, chosen), *(resolve_params(strategy, {**chosen, **c}) for c in combinations)]
    return list({json.dumps(v, sort_keys=True): v for v in variants}.values())


def _split(text: str, form: str) -> tuple[str, str]:
    param, sign, value = text.partition("=")
    if not sign or not param.strip():
        raise WrongUsage(f"{text!r}: write {form}")
    return param.strip(), value.strip()


def _read(strategy: Strategy, name: str, text: str) -> int | float | str:
    """A value as its parameter declares it; an unknown parameter is left to `resolve_params`, which tells the nearest."""
    param: Param | None = strategy.params.get(name)
    if param is None or isinstance(param.default, str):
        return text
    kind = type(param.default)
    try:
        return kind(text)
    except ValueError as error:
        raise BadParameter(f"{strategy.name}.{name} = {text!r} is not {'a whole number' if kind is int else 'a number'}") from error


def written(found: Simulation, directory: Path) -> dict[str, Any]:
    """Write the files of a replay and tear_sheet.json; what the latter holds."""
    summary = write(found.result, directory)
    chosen, best = found.trials[0], found.best
    told = {
        "strategy": found.strategy.name,
        "params": dict(chosen.params),
        "lifted": dict(LIFTED),
        **tear_sheet(found.result, summary, chosen.weights),
        "evaluations": {"done": len(chosen.targets), "not_done": {day.isoformat(): why for day, why in chosen.failed.items()}},
        "chosen": _variant(found, chosen),
        "best": _variant(found, best),
        "variants": [_variant(found, trial) for trial in found.trials],
        "tried": len(found.tried),
        "spreads": [spread.as_json() for spread in found.spreads],
        "directory": str(directory),
    }
    (directory / "tear_sheet.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return told


def _variant(found: Simulation, trial: Trial) -> dict[str, Any]:
    return {"params": dict(trial.params), **asdict(trial.outcome), "deflated": asdict(found.deflated(trial))}


def printed(found: Simulation, told: Mapping[str, Any], directory: Path, paths: int) -> None:
    """The tear sheet, the variants, and what is left of their Sharpe ratios."""
    if told["sandbox"]:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    name, chosen = found.strategy.name, found.trials[0]
    OUT.print(f"{name} alone, {found.start} to {found.end}, {told['sessions']} sessions, {told['orders']} orders, after costs")
    OUT.print(escape("parameters  " + (", ".join(f"{k}={v}" for k, v in chosen.params.items()) or "none")))
    OUT.print(escape("lifted      " + ", ".join(f"{k}={v:g}" for k, v in LIFTED.items())))
    OUT.print("kept        costs, the smallest trade, the band, and the cap on a position as a share of traded volume\n")
    for line in text_lines(told):
        OUT.print(escape(line))
    if chosen.failed:
        last = max(chosen.failed)
        OUT.print(f"\n{len(chosen.failed)} evaluations did not happen, the last on {last}: {escape(chosen.failed[last])}")
    if len(found.trials) > 1:
        _print_variants(found)
    OUT.print()
    _print_deflated("chosen", chosen, found.deflated(chosen))
    if found.best is not chosen:
        _print_deflated("best", found.best, found.deflated(found.best))
    if found.spreads:
        OUT.print()
        for line in spread_lines(found.spreads, paths):
            OUT.print(escape(line))
    OUT.print(f"\nreport  {directory / 'report.html'}")


def _print_variants(found: Simulation) -> None:
    """Those followed now, the best first, by the parameters in which they differ."""
    ranked = sorted(found.trials, key=lambda t: t.outcome.sharpe is None or -t.outcome.sharpe)
    differ = [k for k in ranked[0].params if len({json.dumps(t.params[k]) for t in ranked}) > 1]
    rest = len(ranked) - SHOWN_VARIANTS
    caption = f"{rest} more in tear_sheet.json" if rest > 0 else None
    table = Table(box=None, pad_edge=False, caption=caption, caption_justify="left")
    for head in (*differ, "Sharpe", "CAGR", "max drawdown", "turnover a year, NAVs"):
        table.add_column(escape(head), justify="right")
    for trial in ranked[:SHOWN_VARIANTS]:
        o = trial.outcome
        cells = (_number(o.sharpe_annual), _percent(o.cagr), _percent(o.max_drawdown), _number(o.turnover_annual))
        table.add_row(*(escape(str(trial.params[k])) for k in differ), *cells)
    OUT.print(f"\n{len(ranked)} variants in their shadow books, after costs and without orders")
    OUT.print(table)


def _print_deflated(which: str, trial: Trial, deflated: Deflated) -> None:
    """One sentence: how sure one may be of the Sharpe ratio of a variant."""
    o = trial.outcome
    if o.sharpe is None or deflated.probability is None:
        OUT.print(f"{which}: no Sharpe ratio, for it earned the same on every session")
        return
    moments = f"skew {_number(o.skew)}, kurtosis {_number(o.kurtosis)}"
    head = f"{which}: Sharpe {_number(o.sharpe_annual)} in its shadow book over {o.n} sessions, {moments}"
    if deflated.trials == 1:
        OUT.print(f"{head}; probabilistic Sharpe ratio {deflated.probability:.3f}: the chance that the true one is above 0, of 1 trial")
        return
    OUT.print(
        f"{head}; deflated Sharpe ratio {deflated.probability:.3f}: the chance that the true one beats the best of "
        f"{deflated.trials} worthless trials (their deviation {_number(deflated.sharpe_deviation)})"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
