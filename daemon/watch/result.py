"""What the daily risk watch found: plain values, stored as JSON, shown by the command line, the report and the dashboard."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TailDay:
    """One session's VaR forecast against what happened. Fractions of NAV; VaR is a positive loss, the return is signed."""

    session: date
    var95: float
    return_frac: float
    exception: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Whether the 95 % VaR kept its promise over the last `observations` sessions. p-values are None where undefined.

    failing: enough observations, and Kupiec or Christoffersen (conditional coverage) reject at 1 %; `reason` says which and how.
    """

    alpha: float
    observations: int
    exceptions: int
    expected: float
    kupiec_p: float | None
    independence_p: float | None
    coverage_p: float | None
    failing: bool
    reason: str
    days: Sequence[TailDay] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far one input (or the returns) of a strategy has moved from its reference. psi and ks_p are None where undefined.

    subject: "input" or "returns". name: e.g. "congress_trades.amount_high_usd" or "shadow returns". alarm: PSI over its bound and KS
    rejecting at its level; too few values give no alarm and say so in `reason`.
    """

    strategy: str
    subject: str
    name: str
    psi: float | None
    ks_p: float | None
    n_reference: int
    n_current: int
    alarm: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """One line of the stress table: what the present portfolio would have done. Signed returns, fractions of NAV.

    kind: "history", "factor" or "monte_carlo". covered: share of the gross exposure that the line is about (prices known then).
    note: what stood in for missing prices, or why there is no figure.
    """

    name: str
    kind: str
    portfolio_return: float | None
    max_drawdown: float | None
    covered: float | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorEffect:
    """Brinson-Fachler effects of one sector over the attribution's span; fractions."""

    sector: str
    portfolio_weight: float
    benchmark_weight: float
    allocation: float
    selection: float
    interaction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Where the active return against the benchmark came from, linked by Carino. Fractions over `sessions` sessions to date.

    residual: the account's own return less that of its marked sector weights (costs, intraday trading, marks); `benchmark_residual`: the
    benchmark's own return less that of its reconstructed sectors. `note` says how the benchmark's sectors were made.
    """

    start: date | None
    sessions: int
    portfolio_return: float | None
    benchmark_return: float | None
    active_return: float | None
    effects: Sequence[SectorEffect] = ()
    residual: float | None = None
    benchmark_residual: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """Exposure of the present portfolio to one factor: its multiple-regression slope and the t statistic; None where undefined."""

    factor: str
    beta: float | None
    t_statistic: float | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationState:
    """How much the market moves as one: average pairwise correlation, share of the largest eigenvalue, and calm or crisis."""

    average: float | None
    concentration: float | None
    crisis: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskWatch:
    """One day's watch. alarms: a sentence for each thing that an operator must look at, empty when all is well."""

    session: date
    backtest: Backtest
    drifts: Sequence[Drift] = ()
    stresses: Sequence[Stress] = ()
    attribution: Attribution | None = None
    betas: Sequence[Beta] = ()
    correlation: CorrelationState | None = None
    alarms: Sequence[str] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    """Part of the watch -> why it could not be made today."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, dates as ISO strings; NaN and infinities, which JSON has not, are null."""
        return _plain(asdict(self))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else value
