"""How far each limit is used by the newest allocation, and by the drawdown of the account."""

from collections.abc import Collection, Mapping
from typing import Any

WHOLE = (
    ("gross", "gross", "max_gross_frac"),
    ("target_volatility", "volatility", "target_volatility_frac"),
    ("var95", "var95", "max_var95_frac"),
    ("cvar95", "cvar95", "max_cvar95_frac"),
    ("turnover", "turnover", "max_turnover_frac"),
)
"""Limits on the whole portfolio: name, figure of the allocation and setting."""


def limit_use(
    allocation: Mapping[str, Any], limits: Mapping[str, Any], funds: Collection[str], drawdown: float | None, drawdown_limit: float
) -> list[dict[str, Any]]:
    """By limit: name, used, limit (fractions of NAV) and utilization (1 is at the limit), in the order of the allocation's steps.

    allocation and limits: as recorded with a cycle; empty before the first allocation. drawdown: positive loss from the high-water mark.
    """
    capital, weights = _known(allocation.get("capital")), _known(allocation.get("weights"))
    stocks, held_funds = ({s: w for s, w in weights.items() if (s in funds) is side} for side in (False, True))
    figures = [("sleeve", _largest(capital), "max_sleeve_frac"), ("symbol", _largest(stocks), "max_symbol_frac")]
    figures += [("fund", _largest(held_funds), "max_fund_frac")]
    figures += [(name, allocation.get(figure), setting) for name, figure, setting in WHOLE]
    rows = [_row(name, used, limits.get(setting)) for name, used, setting in figures]
    return [row for row in (*rows, _row("drawdown", drawdown, drawdown_limit)) if row is not None]


def _known(values: Mapping[str, float | None] | None) -> dict[str, float]:
    return {name: value for name, value in (values or {}).items() if value is not None}


def _largest(values: Mapping[str, float]) -> float | None:
    return max(map(abs, values.values()), default=None)


def _row(name: str, used: float | None, limit: float | None) -> dict[str, Any] | None:
    if used is None or not limit:
        return None
    return {"name": name, "used": used, "limit": limit, "utilization": used / limit}
