"""What the log and the metrics say of a decision."""

from typing import Any, get_args

from daemon.cycle_input import CycleInput
from daemon.decision import Decision
from daemon.logging import get_logger
from daemon.runtime import Runtime
from risk.base import Allocation, Rung

log = get_logger("cycle")


def tell(rt: Runtime, given: CycleInput, decision: Decision, rung_before: str) -> None:
    """One canonical line for the cycle and one for each evaluation, and the metrics. rung_before: of the last allocation."""
    trading = {s.name for s in given.sleeves if not s.paused}
    for name in rt.strategies:
        rt.metrics.set("allocd_strategy_enabled", float(name in trading), strategy=name)
    for e in decision.evaluations:
        names = 0 if e.targets is None else len(e.targets.weights)
        outcome = {"evaluated": "success", "held": "held", "failed": "failed"}[e.outcome]
        rt.metrics.inc("allocd_strategy_runs_total", strategy=e.sleeve, outcome=outcome)
        log.info("signal.computed", strategy=e.sleeve, outcome=e.outcome, names=names, due=e.due_session, reason=e.reason)
        if e.targets is not None:
            rt.metrics.set("allocd_strategy_last_success_timestamp_seconds", given.at.timestamp(), strategy=e.sleeve)
            rt.metrics.set("allocd_strategy_target_positions", names, strategy=e.sleeve)
    fields: dict[str, Any] = {"session": given.session, "why": decision.reason, "orders": len(decision.plan.orders)}
    fields["notional_usd"] = round(float(sum(o.request.qty * o.decision_price for o in decision.plan.orders)), 2)
    fields["nav_usd"] = round(float(decision.nav), 2)
    if decision.allocation is not None:
        fields["rung"] = decision.allocation.rung
        _tell_allocation(rt, given, decision.allocation, rung_before)
    _set_rung(rt, decision.allocation.rung if decision.allocation is not None else rung_before)
    rt.metrics.set("allocd_risk_value_at_risk_ratio", decision.forecast.var95, confidence="0.95")
    rt.metrics.set("allocd_risk_value_at_risk_ratio", decision.forecast.var99, confidence="0.99")
    if decision.regime is not None:
        turbulent = decision.regime.probability
        rt.metrics.set("allocd_risk_regime_probability", turbulent, state="turbulent")
        rt.metrics.set("allocd_risk_regime_probability", 1.0 - turbulent, state="calm")
    log.info("cycle.finished", decision_hash=decision.hash[:16], **fields)


def _tell_allocation(rt: Runtime, given: CycleInput, allocation: Allocation, rung_before: str) -> None:
    log.info(
        "allocation.decided",
        session=given.session,
        rung=allocation.rung,
        gross=round(allocation.gross, 4),
        var95=round(allocation.var95, 5),
        cvar95=round(allocation.cvar95, 5),
        turnover=round(allocation.turnover, 4),
        regime_delta=round(allocation.regime_delta, 4),
        bound=len(allocation.bound),
        limits=sorted({b.limit for b in allocation.bound}),
    )
    if allocation.rung != "full" and allocation.rung != rung_before:
        log.warning("allocation.degraded", session=given.session, rung=allocation.rung, before=rung_before, reason=allocation.rung_reason)
    for name, fraction in allocation.capital.items():
        rt.metrics.set("allocd_strategy_allocation_ratio", float(fraction), strategy=str(name))


def _set_rung(rt: Runtime, in_force: str) -> None:
    for rung in get_args(Rung):
        rt.metrics.set("allocd_allocation_rung", float(rung == in_force), rung=rung)
