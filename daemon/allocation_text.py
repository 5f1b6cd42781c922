"""An explained allocation as text for people: a table of the strategies, a sentence for each, the limits that bound, and the cash."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daemon.allocation_record import SMALL

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_BOUND = 20
"""Bound limits shown; the JSON form has all of them."""
EXPECTED: Mapping[str, str] = {
    "prior": "prior",
    "view": "view",
    "confidence": "confidence",
    "posterior": "posterior",
    "optimizer_weight": "optimiser",
}
GIVEN: Mapping[str, str] = {"budget": "risk budget", "planned": "planned", "cap": "cap", "ramp": "ramp", "capital": "capital"}
"""Two tables, because one of all columns does not fit a terminal of eighty."""


def render(explained: Mapping[str, Any]) -> "RenderableType":
    """An explanation as `allocation_record.explain` gives it, for a terminal. Nothing in it is read as markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(explained), style="bold"), *(Text(line) for line in head_lines(explained)), Text("")]
    parts += [_sleeves(explained["sleeves"], EXPECTED), Text("prior, view and posterior are returns a year"), Text("")]
    parts += [_sleeves(explained["sleeves"], GIVEN), Text("")]
    parts += [Text(f"{sleeve['name']}: {sleeve['why']}.") for sleeve in explained["sleeves"]]
    if explained["bound"]:
        parts += [Text(""), _bound(explained["bound"])]
    parts += [Text(""), *(Text(line) for line in foot_lines(explained))]
    return Group(*parts)


def _headline(told: Mapping[str, Any]) -> str:
    return f"Allocation of session {told['session']}, decided {told['at'][:16].replace('T', ' ')}: {told['reason']}"


def head_lines(told: Mapping[str, Any]) -> Iterable[str]:
    """What held for the whole account: NAV, rung, regime and drawdown."""
    yield f"NAV {float(told['nav_usd']):,.2f} USD, trading state {told['state']}, decision {told['cycle_id']}"
    yield f"Rung {told['rung']}: {told['rung_why']}"
    yield f"Regime: {told['regime_why']}"
    if told["drawdown_frac"]:
        yield f"Drawdown {told['drawdown_frac']:.1%} from the high-water mark"
    yield from (f"Repaired: {repair}" for repair in told["repairs"])


def foot_lines(told: Mapping[str, Any]) -> Iterable[str]:
    """What came out of it: risk, forecast, and where the cash comes from."""
    figures = [("VaR 95%", "var95"), ("CVaR 95%", "cvar95"), ("volatility a year", "volatility"), ("turnover", "turnover")]
    most = told["limits"].get("max_turnover_frac")
    forced = most is not None and told["turnover"] is not None and told["turnover"] > most + SMALL
    beyond = f", beyond its cap of {_percent(most)} because other limits forced sales" if forced else ""
    yield f"Gross {_percent(told['gross'])}, " + ", ".join(f"{name} {_percent(told[key])}" for name, key in figures) + beyond
    if told["forecast"] and told["forecast"]["n_sessions"]:
        f = told["forecast"]
        day = f"VaR 95% {_percent(f['var95'])}, VaR 99% {_percent(f['var99'])}, CVaR 95% {_percent(f['cvar95'])}"
        yield f"Forecast for the session after its orders: {day}, from {f['n_sessions']} sessions"
    parts = ", ".join(f"{part['why']} {_signed(part['frac'])}" for part in told["cash_why"])
    yield f"Not invested: {_percent(told['cash_frac'])} of NAV" + (f" ({parts})" if parts else "")


def _sleeves(sleeves: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", overflow="fold")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for sleeve in sleeves:
        table.add_row(Text(sleeve["name"]), *(_percent(sleeve[key]) for key in columns))
    return table


def _bound(bound: Sequence[Mapping[str, Any]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    rest = len(bound) - MOST_BOUND
    table = Table(box=None, pad_edge=False, caption=f"{rest} more, see --json" if rest > 0 else None, caption_justify="left")
    for heading in ("limit that bound", "on", "before", "after"):
        table.add_column(heading, justify="right" if heading in ("before", "after") else "left", overflow="fold")
    for b in bound[:MOST_BOUND]:
        table.add_row(b["limit"], Text(b["subject"]), _percent(b["before"]), _percent(b["after"]))
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}%"


def _signed(fraction: float) -> str:
    return f"{'-' if fraction < 0 else ''}{100 * abs(fraction):.2f}%"
