"""What the operator surface knows about the daemon at one instant: plain values, ready to be rendered or sent as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date, datetime
from typing import Any, Literal, TypedDict

from daemon.dashboard.risk_state import RiskState


class SleeveRow(TypedDict):
    """One strategy's sleeve. Fractions of NAV, dollars; None where nothing is known yet.

    state: active, paused, retired, waiting (for data that is still being collected), held or failed (at its last evaluation), or
    "not enabled" for an account whose strategy the settings no longer switch on; empty for the treasury. reason: why it is in that state.
    return_total: of the shadow book since the account began, with costs and without caps. next_due: None for one that is not followed.
    """

    name: str
    state: str
    reason: str
    capital_frac: float
    nav_usd: float
    return_total: float | None
    last_evaluated: date | None
    next_due: date | None
    positions: int


class PositionRow(TypedDict):
    """One position of the account; `sleeves` are the names of those that hold it."""

    symbol: str
    qty: float
    price: float
    market_value_usd: float
    weight: float
    sleeves: Sequence[str]


class CycleRow(TypedDict):
    """The latest decision. `bound` names the limits that changed it; `orders` counts."""

    cycle_id: str
    at: datetime
    session: date
    rung: str
    orders: int
    notional_usd: float
    turnover: float
    var95: float | None
    bound: Sequence[str]


class OrderRow(TypedDict):
    """One order in the broker's own words."""

    client_order_id: str
    at: datetime
    symbol: str
    side: str
    qty: float
    status: str
    filled_qty: float
    filled_avg_price: float | None


class DatasetRow(TypedDict):
    """How fresh one dataset is; `latest` is the event time of its newest row."""

    name: str
    rows: int
    latest: datetime | date | None
    fresh: bool


class JobRow(TypedDict):
    """When a job last ended, how (success, failed, skipped, missed, timeout), and when it runs next."""

    name: str
    last: datetime | None
    outcome: str | None
    next: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything the dashboard and `/api/v1/status` show. Times are UTC; None or NaN means not known yet.

    nav_history: (session, NAV in USD, benchmark total-return level or None), oldest first.
    components: name -> (up, detail in plain words).
    """

    at: datetime
    mode: Literal["PAPER", "LIVE"]
    sandbox: bool
    version: str
    started_at: datetime
    ready: bool
    halted: bool
    halt_reason: str = ""
    nav_usd: float | None = None
    cash_usd: float | None = None
    day_return: float | None = None
    return_total: float | None = None
    drawdown: float | None = None
    gross: float | None = None
    benchmark: str = "SPY"
    nav_history: Sequence[tuple[date, float, float | None]] = ()
    sleeves: Sequence[SleeveRow] = ()
    positions: Sequence[PositionRow] = ()
    last_cycle: CycleRow | None = None
    orders: Sequence[OrderRow] = ()
    datasets: Sequence[DatasetRow] = ()
    jobs: Sequence[JobRow] = ()
    components: Mapping[str, tuple[bool, str]] = field(default_factory=dict)
    risk: RiskState = field(default_factory=RiskState)


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot in JSON's own types: ISO 8601 times, null for what is not a finite number."""
    plain = {name: _plain(value) for name, value in asdict(snapshot).items()}
    plain["components"] = {name: {"up": up, "detail": detail} for name, (up, detail) in snapshot.components.items()}
    return plain


def risk_json(snapshot: Snapshot) -> dict[str, Any]:
    """The newest risk watch, the forecast in force and the use of each limit; null where nothing is known yet."""
    state = snapshot.risk
    return {**_headed(snapshot), **_plain({name: _fields(getattr(state, name)) for name in ("watch", "watched_at", "forecast", "limits")})}


def allocation_json(snapshot: Snapshot) -> dict[str, Any]:
    """How the newest allocation divided the account and why; `allocation` is null before the first."""
    return {**_headed(snapshot), "allocation": _plain(snapshot.risk.allocation)}


def _headed(snapshot: Snapshot) -> dict[str, Any]:
    return {"at": snapshot.at.isoformat(), "sandbox": snapshot.sandbox}


def _fields(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
