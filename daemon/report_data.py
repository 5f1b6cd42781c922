"""Plain-value forms of results: what the record, the report and the pages share."""

import math
from typing import Any

import pandas as pd

from risk.base import Allocation


def series_json(series: pd.Series) -> dict[str, float | None]:
    """A Series by label; NaN and infinities become null."""
    return {str(k): finite(v) for k, v in series.items()}


def finite(value: float) -> float | None:
    """A number as JSON can hold it: null for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def allocation_json(allocation: Allocation | None) -> dict[str, Any]:
    """An allocation as it is stored with its cycle; empty for a session without one."""
    if allocation is None:
        return {}
    return {
        **{
            name: series_json(getattr(allocation, name))
            for name in ("capital", "prior", "views", "confidence", "posterior", "optimizer_weights", "budgets", "weights")
        },
        "var95": finite(allocation.var95),
        "cvar95": finite(allocation.cvar95),
        "gross": finite(allocation.gross),
        "regime_delta": finite(allocation.regime_delta),
        "rung": allocation.rung,
        "rung_reason": allocation.rung_reason,
        "bound": [{"limit": b.limit, "subject": b.subject, "before": finite(b.before), "after": finite(b.after)} for b in allocation.bound],
        "excluded": dict(allocation.excluded),
    }
