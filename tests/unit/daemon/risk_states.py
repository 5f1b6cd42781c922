"""A risk state written by hand, in which every text that comes from elsewhere can be replaced."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from daemon.allocation_record import explain
from daemon.dashboard.risk_state import RiskState
from daemon.watch.result import (
    Attribution,
    Backtest,
    Beta,
    CorrelationState,
    Drift,
    RiskWatch,
    SectorEffect,
    Stress,
    TailDay,
)

FIRST = date(2026, 1, 5)
SESSIONS = 80


def tail_days(returns: dict[int, float] | None = None, sessions: int = SESSIONS) -> tuple[TailDay, ...]:
    """Sessions of a steady VaR of 2 %; `returns` by number of the session, 0.4 % where not given."""
    values = [(returns or {}).get(number, 0.004) for number in range(sessions)]
    return tuple(
        TailDay(session=FIRST + timedelta(days=number), var95=0.02, return_frac=value, exception=value < -0.02)
        for number, value in enumerate(values)
    )


def backtest(**changes: object) -> Backtest:
    values: dict[str, object] = {
        "alpha": 0.95, "observations": SESSIONS, "exceptions": 2, "expected": 4.0, "kupiec_p": 0.27, "independence_p": 0.7,
        "coverage_p": 0.0004, "failing": False, "reason": "", "days": tail_days({10: -0.031, 40: -0.0222}),
    }  # fmt: skip
    return Backtest(**(values | changes))  # type: ignore[arg-type]


def drift(strategy: str, name: str, *, subject: str = "input", psi: float | None = 0.05, alarm: bool = False, reason: str = "") -> Drift:
    return Drift(
        strategy=strategy, subject=subject, name=name, psi=psi, ks_p=0.5, n_reference=900, n_current=200, alarm=alarm, reason=reason
    )


def sector(name: str, allocation: float, selection: float, interaction: float) -> SectorEffect:
    return SectorEffect(
        sector=name, portfolio_weight=0.3, benchmark_weight=0.2, allocation=allocation, selection=selection, interaction=interaction
    )


def watch(text: str = "plain", **changes: object) -> RiskWatch:
    values: dict[str, object] = {
        "session": date(2026, 3, 25),
        "backtest": backtest(failing=True, reason=text),
        "drifts": (drift(text, text, psi=0.41, alarm=True, reason=text), drift(text, text, subject="returns", psi=None, reason=text)),
        "stresses": (
            Stress(name=text, kind="history", portfolio_return=-0.31, max_drawdown=-0.36, covered=0.41, note=text),
            Stress(name="calm", kind="factor", portfolio_return=0.02, max_drawdown=None, covered=1.0),
        ),
        "attribution": Attribution(
            start=FIRST,
            sessions=61,
            portfolio_return=0.0406,
            benchmark_return=0.028,
            active_return=0.0126,
            effects=(sector(text, -0.001, 0.006, 0.0005), sector("cash", 0.0096, 0.0, 0.0)),
            residual=-0.0021,
            benchmark_residual=0.0004,
            note=text,
        ),
        "betas": (Beta(factor=text, beta=0.83, t_statistic=31.2, note=text), Beta(factor="size", beta=None, t_statistic=None)),
        "correlation": CorrelationState(average=0.34, concentration=0.38, crisis=True, note=text),
        "alarms": (text, text),
        "missing": {text: text},
    }  # fmt: skip
    return RiskWatch(**(values | changes))  # type: ignore[arg-type]


def allocation(text: str = "plain", rung: str = "full") -> dict[str, Any]:
    """An allocation as it is explained, of a record in which one strategy took part."""
    by_sleeve = {
        "prior": 0.06, "views": None, "confidence": 0.3, "posterior": 0.07, "optimizer_weights": 0.31, "budgets": 0.26, "planned": 0.294,
        "ramp": 1.0, "capital": 0.25,
    }  # fmt: skip
    told = {
        "reason": text, "nav_usd": "100000", "rung": rung, "rung_reason": text, "regime_delta": 0.42, "gross": 0.85,
        "regime": {"delta": 0.42, "probability": 0.21, "source": text, "model": text},
        "bound": [{"limit": "sleeve", "subject": text, "before": 0.294, "after": 0.25}], "excluded": {}, "repairs": [text],
        "steps": [{"step": "planned", "gross": 1.0}, {"step": text, "gross": 0.85}],
        **{name: {text: value} for name, value in by_sleeve.items()},
    }  # fmt: skip
    limits = {"max_sleeve_frac": 0.25, "ramp_sessions": 10}
    given = {"options": {"limits": limits}, "code_version": text, "state": "ACTIVE", "sleeves": [{"name": text, "cycles": 30}]}
    at = datetime(2026, 3, 23, 14, tzinfo=UTC)
    return explain({"cycle_id": text, "session": date(2026, 3, 23), "at": at, "allocation": told, "input": given}, {text: 0.24})


def state(text: str = "plain") -> RiskState:
    return RiskState(
        watch=watch(text),
        watched_at=datetime(2026, 3, 25, 21, tzinfo=UTC),
        forecast={"session": date(2026, 3, 25), "var95": 0.0134, "cvar95": 0.0201, "var99": 0.0243, "volatility": 0.0081},
        allocation=allocation(text),
        limits=[
            {"name": "symbol", "used": 0.06, "limit": 0.05, "utilization": 1.2},
            {"name": "drawdown", "used": 0.0, "limit": 0.15, "utilization": 0.0},
        ],
    )
