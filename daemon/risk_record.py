"""What the record says of risk now: the newest watch, forecast and allocation, and how far the portfolio as held uses each limit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.allocation_record import newest
from daemon.dashboard.risk_state import ForecastRow, LimitRow, RiskState
from daemon.dashboard.snapshot import PositionRow
from daemon.limit_use import limit_use
from daemon.marks import drawdown_frac
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.watch.stored import watch_from_json
from risk.history import PERIODS_PER_YEAR
from strategies import CATALOG
from strategies.base import Strategy

UNALLOCATED = frozenset({"treasury", "suspense"})
"""Sleeves that no allocation gives capital to."""


def read_risk(
    db: Database,
    cycle: Row | None,
    positions: Sequence[PositionRow],
    *,
    gross: float | None,
    drawdown_limit: float,
    strategies: Mapping[str, Strategy],
) -> RiskState:
    """The state from the record. cycle: the newest one. gross and drawdown_limit are fractions of NAV. strategies: those switched on."""
    watched, allocation = db.row("risk_watch_last"), newest(db)
    forecast = _forecast(cycle)
    capital = {row["sleeve"]: row["capital_frac"] for row in db.rows("sleeve_marks_last") if row["sleeve"] not in UNALLOCATED}
    held = {
        "capital": capital,
        "weights": {row["symbol"]: row["weight"] for row in positions},
        "gross": gross,
        **(_held_risk(forecast) if forecast else {}),
    }
    return RiskState(
        watch=watch_from_json(watched["watch"]) if watched else None,
        watched_at=watched["at"] if watched else None,
        forecast=forecast,
        allocation=allocation,
        limits=_limits(held, allocation["limits"] if allocation else {}, drawdown_frac(db), drawdown_limit, strategies),
    )


def _held_risk(forecast: ForecastRow) -> dict[str, float | None]:
    """The forecast's figures as limits are stated: VaR and CVaR of a day, volatility of a year."""
    daily = forecast["volatility"]
    annual = None if daily is None else daily * math.sqrt(PERIODS_PER_YEAR)
    return {"var95": forecast["var95"], "cvar95": forecast["cvar95"], "volatility": annual}


def _limits(
    held: Mapping[str, Any], limits: Mapping[str, Any], drawdown: float, drawdown_limit: float, strategies: Mapping[str, Strategy]
) -> list[LimitRow]:
    funds = {fund for strategy in (*CATALOG.values(), *strategies.values()) for fund in strategy.funds}
    return [LimitRow(**row) for row in limit_use(held, limits, funds, drawdown, drawdown_limit)]  # type: ignore[typeddict-item]


def _forecast(cycle: Row | None) -> ForecastRow | None:
    stored = cycle["allocation"].get("forecast") if cycle else None
    if cycle is None or not stored:
        return None
    return ForecastRow(
        session=cycle["session"],
        var95=stored.get("var95"),
        cvar95=stored.get("cvar95"),
        var99=stored.get("var99"),
        volatility=stored.get("volatility"),
    )
