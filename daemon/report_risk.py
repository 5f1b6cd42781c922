"""What a replay says of risk: whether the forecast VaR kept its promise, what drifted when, and what the last watch found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from daemon.dashboard.risk_state import RiskState
from daemon.dashboard.risk_view import backtest_verdict, risk_view, tail_of
from daemon.report_result import ReplayResult
from daemon.watch.result import Backtest, Drift, RiskWatch, TailDay
from daemon.watch.tail import judged


@dataclass(frozen=True, slots=True, kw_only=True)
class TailYear:
    """One calendar year of the back-test: sessions compared, losses beyond the VaR, how many were to be expected, the mean forecast."""

    year: int
    observations: int
    exceptions: int
    expected: float
    mean_var95: float
    worst: TailDay


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSpell:
    """How long one thing of a strategy was in alarm: the first and last watch, how many watches, and the greatest PSI among them."""

    strategy: str
    name: str
    first: date
    last: date
    watches: int
    psi: float | None


def risk_parts(result: ReplayResult) -> Mapping[str, Any]:
    """What the report's risk section is rendered with."""
    backtest = judged(result.tail)
    last = result.watches[-1] if result.watches else None
    chart = tail_of(backtest, height=260) if result.tail else Markup("")
    return {
        "backtest": backtest,
        "promise": backtest_verdict(backtest),
        "tail_chart": chart,
        "tail_years": tail_years(result.tail),
        "spells": drift_spells(result.watches),
        "risk": risk_view(RiskState(watch=last)),
        "watch": last,
    }


def tail_figures(tail: Sequence[TailDay]) -> dict[str, float | int | None]:
    """The back-test over the whole replay by name; p-values are None where undefined."""
    b: Backtest = judged(tail)
    return {
        "var95_observations": b.observations,
        "var95_exceptions": b.exceptions,
        "var95_expected": b.expected,
        "var95_kupiec_p": b.kupiec_p,
        "var95_independence_p": b.independence_p,
        "var95_coverage_p": b.coverage_p,
    }


def tail_years(tail: Sequence[TailDay]) -> list[TailYear]:
    """The back-test by calendar year, oldest first."""
    rows = []
    for year in sorted({day.session.year for day in tail}):
        days = [day for day in tail if day.session.year == year]
        rows.append(
            TailYear(
                year=year,
                observations=len(days),
                exceptions=sum(day.exception for day in days),
                expected=0.05 * len(days),
                mean_var95=float(np.mean([day.var95 for day in days])),
                worst=min(days, key=lambda day: day.return_frac),
            )
        )
    return rows


def drift_spells(watches: Sequence[RiskWatch]) -> list[DriftSpell]:
    """What alarmed in consecutive watches is one spell; ordered by its first watch, then by name."""
    finished, running = [], dict[tuple[str, str], DriftSpell]()
    for watch in watches:
        now = {(d.strategy, d.name): d for d in watch.drifts if d.alarm}
        finished += [spell for key, spell in running.items() if key not in now]
        running = {key: _longer(running.get(key), drift, watch.session) for key, drift in now.items()}
    return sorted([*finished, *running.values()], key=lambda s: (s.first, s.strategy, s.name))


def _longer(spell: DriftSpell | None, drift: Drift, session: date) -> DriftSpell:
    """The spell with one more watch."""
    known = [psi for psi in (spell.psi if spell else None, drift.psi) if psi is not None]
    return DriftSpell(
        strategy=drift.strategy,
        name=drift.name,
        first=spell.first if spell else session,
        last=session,
        watches=spell.watches + 1 if spell else 1,
        psi=max(known, default=None),
    )
