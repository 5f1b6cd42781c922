"""The risk parts of a page as its templates want them: charts, sorted rows, and verdicts in plain words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from daemon.dashboard.charts import tail_chart
from daemon.dashboard.figures import number, percent, signed
from daemon.dashboard.risk_state import LimitRow, RiskState
from daemon.watch.result import Attribution, Backtest, Drift, RiskWatch, SectorEffect, Stress
from daemon.watch.scenarios import HORIZON_SESSIONS, MONTE_CARLO, SHOCKS, VIX_POINTS, VOLATILITY_SPIKE, WINDOWS, WORST
from daemon.watch.tail import FEWEST_OBSERVATIONS

OVER: Final = 1.1
"""A limit is exceeded from here on: prices move a portfolio a little beyond its limits between two decisions."""
DRAWDOWN_NEAR: Final = 0.8
_LIMIT_NAMES: Final = {"adv": "daily volume", "var95": "VaR 95", "cvar95": "CVaR 95"}
KINDS: Final = {"history": "past", "factor": "shock", "monte_carlo": "simulated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """One strategy: its input that moved furthest, its returns, whether either alarms, and that in words."""

    strategy: str
    inputs: Drift | None
    returns: Drift | None
    alarm: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """What the risk sections show of one state."""

    state: RiskState
    tail: Markup
    verdict: tuple[str, str]
    stresses: Sequence[Stress]
    unknown_stresses: Sequence[Stress]
    drifts: Sequence[DriftRow]
    sectors: Sequence[SectorEffect]
    total: SectorEffect | None


def risk_view(state: RiskState) -> RiskView:
    """The view of a state; complete when nothing is known yet."""
    watch = state.watch
    return RiskView(
        state=state,
        tail=tail_of(watch.backtest) if watch else tail_chart([], np.empty(0), np.empty(0), _loss, label="Value at risk"),
        verdict=backtest_verdict(watch.backtest) if watch else ("mute", "The risk watch has not run yet."),
        stresses=worst_first(watch.stresses) if watch else (),
        unknown_stresses=[s for s in watch.stresses if s.portfolio_return is None] if watch else (),
        drifts=by_strategy(watch.drifts) if watch else (),
        sectors=by_size(watch.attribution) if watch else (),
        total=total(watch.attribution) if watch else None,
    )


def tail_of(backtest: Backtest, *, height: int = 220) -> Markup:
    """The forecast VaR against what happened, day by day."""
    days = backtest.days
    returns, var = (np.array([getattr(day, name) for day in days], dtype=np.float64) for name in ("return_frac", "var95"))
    return tail_chart([day.session for day in days], returns, var, _loss, label="Daily returns against the forecast VaR", height=height)


def backtest_verdict(b: Backtest) -> tuple[str, str]:
    """Whether the VaR kept its promise: a grade (good, warn, mute) and the sentence that says why."""
    if b.failing:
        return "warn", f"The forecast does not keep its promise: {b.reason}."
    if b.observations < FEWEST_OBSERVATIONS:
        return "mute", f"Too early to judge the VaR: {b.reason or f'{b.observations} sessions'}."
    if b.reason:
        return "good", f"{b.reason[0].upper()}{b.reason[1:]}."
    plural = "loss" if b.exceptions == 1 else "losses"
    return (
        "good",
        f"The VaR keeps its promise: {b.exceptions} {plural} beyond it in {b.observations:,} sessions, {number(b.expected, 1)} expected.",
    )


def alarm_sentence(watch: RiskWatch | None) -> str:
    """The first alarm and how many more there are; nothing when all is well."""
    if watch is None or not watch.alarms:
        return ""
    more = len(watch.alarms) - 1
    return f"Risk watch: {watch.alarms[0]}" + (f" (and {more} more)" if more else "")


def worst_first(stresses: Sequence[Stress]) -> list[Stress]:
    """Those with a figure, the greatest loss first."""
    return sorted((s for s in stresses if s.portfolio_return is not None), key=lambda s: (s.portfolio_return, s.name))


def by_strategy(drifts: Sequence[Drift]) -> list[DriftRow]:
    """One row per strategy by name, those that alarm first."""
    rows = []
    for name in {d.strategy for d in drifts}:
        own = [d for d in drifts if d.strategy == name]
        inputs, returns = (_furthest([d for d in own if d.subject == subject]) for subject in ("input", "returns"))
        alarms, shown = [d.name for d in own if d.alarm], [d for d in (inputs, returns) if d is not None]
        rows.append(DriftRow(strategy=name, inputs=inputs, returns=returns, alarm=bool(alarms), verdict=_drift_words(alarms, shown)))
    return sorted(rows, key=lambda row: (not row.alarm, row.strategy))


def _drift_words(alarms: Sequence[str], shown: Sequence[Drift]) -> str:
    """Which have drifted; without an alarm that nothing has, and of what too little is known to say so."""
    if alarms:
        return f"drifted: {', '.join(alarms[:3])}" + (f" and {len(alarms) - 3} more" if len(alarms) > 3 else "")
    unsure = [f"{d.name}: {d.reason or 'no figure'}" for d in shown if not is_sure(d)]
    return "; ".join([*(["as before"] if len(unsure) < len(shown) else []), *unsure])


def is_sure(drift: Drift) -> bool:
    """Whether its figures are of enough values to go by."""
    return drift.alarm or (drift.psi is not None and not drift.reason)


def _furthest(drifts: Sequence[Drift]) -> Drift | None:
    """The one that alarms with the greatest PSI; without an alarm the greatest of enough values, else the greatest at all."""
    return max(drifts, key=lambda d: (d.alarm, is_sure(d), -1.0 if d.psi is None else d.psi), default=None)


def by_size(attribution: Attribution | None) -> list[SectorEffect]:
    """Sectors by the size of what they did to the active return."""
    return sorted(attribution.effects, key=lambda e: (-abs(e.allocation + e.selection + e.interaction), e.sector)) if attribution else []


def total(attribution: Attribution | None) -> SectorEffect | None:
    """The effects of all sectors together."""
    if attribution is None or not attribution.effects:
        return None
    sums = {
        name: math.fsum(getattr(e, name) for e in attribution.effects)
        for name in ("portfolio_weight", "benchmark_weight", "allocation", "selection", "interaction")
    }
    return SectorEffect(sector="sum", **sums)


def effect(e: SectorEffect) -> float:
    """Allocation, selection and interaction together, as a fraction."""
    return e.allocation + e.selection + e.interaction


def limit_grade(row: LimitRow) -> str:
    """How a limit's use is marked: exceeded, beyond it (the drawdown: close to it), or not at all."""
    near = DRAWDOWN_NEAR if row["name"] == "drawdown" else 1.02
    return "bad" if row["utilization"] > OVER else "warn" if row["utilization"] > near else ""


def limit_name(name: str) -> str:
    """A limit as a person calls it."""
    return _LIMIT_NAMES.get(name, name.replace("_", " "))


def scenario_name(name: str) -> str:
    """A stress scenario as a person calls it: `lehman_2008` is Lehman 2008, `benchmark_down_5` a benchmark −5 %."""
    words = name.split("_")
    if name in SHOCKS:
        return f"benchmark {signed(SHOCKS[name], 0)}"
    if name in MONTE_CARLO:
        return f"{HORIZON_SESSIONS} sessions at {percent(MONTE_CARLO[name], 0)} confidence"
    if name == VOLATILITY_SPIKE:
        return f"VIX +{number(VIX_POINTS, 0)} points"
    if name in WORST:
        return f"benchmark’s {' '.join(words if WORST[name] > 1 else ['worst', 'session'])}"
    return f"{words[0].capitalize()} {' '.join(words[1:])}".strip() if name in WINDOWS else name


def _loss(value: float) -> str:
    return percent(value, 1)
