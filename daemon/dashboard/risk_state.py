"""What the operator surface knows of risk at one instant: the newest watch, the newest allocation and how far each limit is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict

from daemon.watch.result import RiskWatch


class ForecastRow(TypedDict):
    """The ex-ante tail of the portfolio of one session: positive losses, fractions of NAV, one day; volatility is of a day too."""

    session: date
    var95: float | None
    cvar95: float | None
    var99: float | None
    volatility: float | None


class LimitRow(TypedDict):
    """How far a limit is used: `used` over `limit` is `utilization`, 1 at the limit; fractions of NAV."""

    name: str
    used: float
    limit: float
    utilization: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskState:
    """Everything about risk that the pages show; None or empty where nothing is known yet.

    allocation: the newest one, explained as `daemon.allocation_record.explain` does.
    """

    watch: RiskWatch | None = None
    watched_at: datetime | None = None
    forecast: ForecastRow | None = None
    allocation: Mapping[str, Any] | None = None
    limits: Sequence[LimitRow] = ()
