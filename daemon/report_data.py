"""Plain-value forms of results: what the record, the report and the pages share."""

import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from daemon.decision import Decision
from risk.base import Allocation

BY_SLEEVE = ("capital", "planned", "ramp", "prior", "views", "confidence", "posterior", "optimizer_weights", "budgets")
FIGURES = ("var95", "cvar95", "volatility", "gross", "turnover", "regime_delta", "drawdown_frac")


def series_json(series: pd.Series) -> dict[str, float | None]:
    """A Series by label; NaN and infinities become null."""
    return {str(k): finite(v) for k, v in series.items()}


def finite(value: float) -> float | None:
    """A number as JSON can hold it: null for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def decision_json(decision: Decision) -> dict[str, Any]:
    """What is stored with a cycle beside its orders and weights: the reason, NAV, regime, forecast and, if there is one, the
    allocation."""
    regime = decision.regime
    told = None if regime is None else {**asdict(regime), "delta": finite(regime.delta), "probability": finite(regime.probability)}
    return {
        "reason": decision.reason,
        "nav_usd": str(decision.nav),
        "regime": told,
        "forecast": asdict(decision.forecast),
        **allocation_json(decision.allocation),
    }


def allocation_json(allocation: Allocation | None) -> dict[str, Any]:
    """An allocation as it is stored with its cycle; empty for a session without one."""
    if allocation is None:
        return {}
    return {
        **{name: series_json(getattr(allocation, name)) for name in (*BY_SLEEVE, "weights")},
        **{name: finite(getattr(allocation, name)) for name in FIGURES},
        "rung": allocation.rung,
        "rung_reason": allocation.rung_reason,
        "bound": [{"limit": b.limit, "subject": b.subject, "before": finite(b.before), "after": finite(b.after)} for b in allocation.bound],
        "steps": [{"step": s.step, "gross": finite(s.gross)} for s in allocation.steps],
        "excluded": dict(allocation.excluded),
        "repairs": list(allocation.repairs),
    }
