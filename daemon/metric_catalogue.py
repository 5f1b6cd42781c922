"""Every metric that allocd exposes, as data: name, type, help, buckets and the closed list of values of each label.

Names follow the Prometheus conventions: base units, unit suffix, `_total` for counters, `_timestamp_seconds` for points in time (Unix),
ratios in 0..1. Symbols, order ids, addresses and error texts are never labels; they belong to the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from daemon.watch.scenarios import FACTORS, SCENARIOS
from risk.base import Rung
from scrapers.errors import BlockReason

Kind = Literal["gauge", "counter", "histogram"]

INSTALLED: Final = None
"""Label values that depend on the installation (jobs, sources, datasets, strategies); given once when `Metrics` is made."""

CODES: Final = ("2xx", "3xx", "4xx", "429", "5xx", "error")
SIDES: Final = ("buy", "sell")
ROUTES: Final = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/api/v1/risk", "/api/v1/allocation", "other")
COMPONENTS: Final = ("scheduler", "postgres", "duckdb", "broker", "calendar", "data", "http", "exchange", "twin", "invariants")
QUALITY: Final = ("rejected", "restated", "stale", "unreconciled", "withdrawal_refused")
BLOCKED: Final = get_args(BlockReason)
LATENCY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
WAITING: Final = (0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
RUNNING: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
SLIPPAGE: Final = (-0.005, -0.001, 0.0, 0.0005, 0.001, 0.002, 0.005, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family. `labels` maps a label to its closed list of values, or to INSTALLED."""

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...] | None]
    buckets: tuple[float, ...] = ()


def _gauge(name: str, text: str, **labels: tuple[str, ...] | None) -> Family:
    return Family(name=f"allocd_{name}", kind="gauge", help=text, labels=labels)


def _counter(name: str, text: str, **labels: tuple[str, ...] | None) -> Family:
    return Family(name=f"allocd_{name}", kind="counter", help=text, labels=labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], **labels: tuple[str, ...] | None) -> Family:
    return Family(name=f"allocd_{name}", kind="histogram", help=text, labels=labels, buckets=buckets)


_PROCESS = (
    _gauge(
        "build_info",
        "Constant 1, labelled with version, git revision and Python version.",
        version=INSTALLED,
        revision=INSTALLED,
        python=INSTALLED,
    ),
    _gauge("trading_mode", "1 for the mode the daemon is in, 0 for the other.", mode=("paper", "live")),
    _gauge("sandbox", "1 while market, data and broker are synthetic."),
    _gauge("ready", "1 when every required component is up and the scheduler is started."),
    _gauge("component_up", "1 when the last self-check of the component passed.", component=COMPONENTS),
    _counter("unhandled_exceptions_total", "Exceptions that reached a component boundary.", component=COMPONENTS),
    _counter("log_messages_total", "Log records emitted by level.", level=("debug", "info", "warning", "error", "critical")),
)

_JOBS = (
    _counter(
        "job_runs_total", "Finished job runs by outcome.", job=INSTALLED, outcome=("success", "failed", "skipped", "missed", "timeout")
    ),
    _histogram("job_duration_seconds", "Wall time of finished job runs.", RUNNING, job=INSTALLED),
    _gauge("job_last_success_timestamp_seconds", "Unix time of the last successful run.", job=INSTALLED),
    _gauge("job_next_run_timestamp_seconds", "Unix time of the next planned run, 0 when paused.", job=INSTALLED),
    _gauge("job_due_timestamp_seconds", "Exchange-calendar-aware deadline by which the job must have succeeded again.", job=INSTALLED),
    _gauge("job_running", "1 while a run of the job is in progress.", job=INSTALLED),
    _gauge("job_paused", "1 while the job is paused by an operator.", job=INSTALLED),
    _histogram("scheduler_lag_seconds", "Actual minus planned start of job runs.", WAITING),
    _gauge("scheduler_running_jobs", "Job runs in progress."),
    _gauge("scheduler_worker_limit", "Worker slots."),
)

_DATA = (
    _counter("scraper_requests_total", "Outgoing scraper requests by status class.", source=INSTALLED, code=CODES),
    _histogram("scraper_request_duration_seconds", "Latency of outgoing scraper requests.", LATENCY, source=INSTALLED),
    _counter("scraper_rows_total", "Rows parsed by result.", source=INSTALLED, result=("stored", "duplicate", "rejected")),
    _counter("scraper_retries_total", "Retries after a transient failure.", source=INSTALLED),
    _gauge("scraper_circuit_open", "1 while the source is left alone after repeated failures.", source=INSTALLED),
    _counter("scraper_schema_changes_total", "Answers that no longer match the expected shape.", source=INSTALLED),
    _counter("scraper_blocked_urls_total", "Requests refused by the outbound URL policy.", reason=BLOCKED),
    _gauge("data_latest_timestamp_seconds", "Event time of the newest stored observation.", dataset=INSTALLED),
    _gauge("data_due_timestamp_seconds", "Exchange-calendar-aware deadline for the next observation.", dataset=INSTALLED),
    _gauge("data_coverage_ratio", "Share of the universe present in the newest observation date.", dataset=INSTALLED),
    _gauge("data_stored_rows", "Versions of rows stored.", dataset=INSTALLED),
    _counter("data_quality_failures_total", "Records or deliveries that failed a check of their quality.", dataset=INSTALLED, kind=QUALITY),
)

_STRATEGY = (
    _gauge("strategy_enabled", "1 while the strategy may trade.", strategy=INSTALLED),
    _counter("strategy_runs_total", "Evaluations by outcome.", strategy=INSTALLED, outcome=("success", "failed", "held")),
    _gauge("strategy_last_success_timestamp_seconds", "Unix time of the last successful evaluation.", strategy=INSTALLED),
    _gauge("strategy_last_duration_seconds", "Wall time of the last evaluation.", strategy=INSTALLED),
    _gauge("strategy_target_positions", "Names in the current target.", strategy=INSTALLED),
    _gauge("strategy_allocation_ratio", "Share of NAV allocated.", strategy=INSTALLED),
    _gauge("strategy_nav_usd", "Attributed NAV of the sleeve.", strategy=INSTALLED),
)

_RISK = (
    _gauge("risk_halt_active", "1 while trading is halted, by who holds it.", scope=("operator", "risk", "system")),
    _gauge(
        "risk_limit_utilization_ratio",
        "Use of each limit, 1 is at the limit.",
        limit=("sleeve", "symbol", "fund", "gross", "target_volatility", "var95", "cvar95", "drawdown"),
    ),
    _gauge("allocation_rung", "1 for the rung of the fallback ladder on which the allocation in force was decided.", rung=get_args(Rung)),
    _gauge("risk_drawdown_ratio", "Drawdown from the high-water mark."),
    _gauge("risk_gross_exposure_ratio", "Gross exposure over NAV."),
    _gauge("risk_net_exposure_ratio", "Net exposure over NAV."),
    _gauge("risk_value_at_risk_ratio", "One-day value at risk over NAV.", confidence=("0.95", "0.99")),
    _gauge(
        "risk_regime_probability",
        "Filtered probability of the state of the market; NaN without a trained model.",
        state=("calm", "turbulent"),
    ),
    _gauge("training_last_success_timestamp_seconds", "Unix time since when the newest trained model is known.", model=("market_regime",)),
    _gauge("risk_watch_timestamp_seconds", "Unix time of the newest daily risk watch."),
    _gauge("risk_var_exceptions", "Sessions of the back-test's window with a loss beyond the 95 % VaR."),
    _gauge("risk_var_backtest_observations", "Sessions of the back-test's window with a forecast and a return."),
    _gauge(
        "risk_var_backtest_p_value",
        "Probability of so many, or so clustered, losses beyond a VaR that is right.",
        test=("kupiec", "independence", "coverage"),
    ),
    _gauge("risk_var_backtest_failing", "1 while losses beyond the VaR are too many or come together."),
    _gauge("strategy_drift_psi", "Worst population stability index.", strategy=INSTALLED, subject=("input", "returns")),
    _gauge("strategy_drift_alarm", "1 while an input or the returns of the strategy have drifted.", strategy=INSTALLED),
    _gauge("risk_stress_loss_ratio", "Loss of the present portfolio in the scenario over NAV.", scenario=SCENARIOS),
    _gauge("risk_factor_beta", "Slope of the present portfolio on the factor.", factor=FACTORS),
    _gauge("risk_active_return_ratio", "Return less the benchmark's over the last quarter."),
    _gauge("risk_correlation_ratio", "Average pairwise correlation of what is held."),
    _gauge("risk_correlation_crisis", "1 while correlations are those of a crisis."),
)

_ORDERS = (
    _counter("orders_submitted_total", "Orders accepted for sending.", side=SIDES),
    _counter(
        "orders_finished_total", "Orders that reached a final status.", status=("filled", "canceled", "rejected", "expired", "replaced")
    ),
    _counter(
        "order_rejects_total",
        "Rejected orders by reason.",
        reason=("insufficient_funds", "insufficient_qty", "not_tradable", "invalid", "local_rule", "duplicate", "other"),
    ),
    _gauge("orders_open", "Orders not in a final status."),
    _gauge("orders_uncertain", "Orders sent whose broker state is not yet known."),
    _gauge("orders_oldest_open_timestamp_seconds", "Submission time of the oldest open order, 0 when none."),
    _histogram("order_ack_duration_seconds", "Submit until broker acknowledgement.", LATENCY),
    _histogram("order_fill_duration_seconds", "Submit until final fill.", WAITING),
    _histogram("order_slippage_ratio", "Signed fill price over decision price minus 1; against us is positive.", SLIPPAGE, side=SIDES),
    _counter("order_notional_usd_total", "Filled notional.", side=SIDES),
    _counter("order_duplicates_prevented_total", "Submissions suppressed because the client order id already existed."),
)

_BROKER = (
    _gauge("broker_up", "1 when the last authenticated broker call succeeded."),
    _counter(
        "broker_requests_total",
        "Broker API calls by endpoint and status class.",
        endpoint=("account", "activities", "assets", "calendar", "clock", "orders", "positions", "other"),
        code=CODES,
    ),
    _histogram(
        "broker_request_duration_seconds",
        "Broker API latency.",
        LATENCY,
        endpoint=("account", "activities", "assets", "calendar", "clock", "orders", "positions", "other"),
    ),
    _gauge("broker_last_success_timestamp_seconds", "Unix time of the last successful broker call."),
    _gauge("broker_clock_offset_seconds", "Broker clock minus local clock."),
    _gauge("market_open", "1 while the exchange is in its regular session."),
)

_PORTFOLIO = (
    _gauge("portfolio_nav_usd", "Net asset value."),
    _gauge("portfolio_cash_usd", "Cash."),
    _gauge("portfolio_high_water_mark_usd", "High-water mark of NAV."),
    _gauge("portfolio_positions", "Open positions."),
    _gauge("portfolio_daily_return_ratio", "Return since the previous close."),
    _gauge("portfolio_nav_timestamp_seconds", "Unix time of the last NAV mark."),
    _counter("reconciliation_runs_total", "Ledger-to-broker reconciliations by outcome.", outcome=("clean", "difference", "failed")),
    _gauge("reconciliation_last_success_timestamp_seconds", "Unix time of the last completed reconciliation."),
    _gauge(
        "reconciliation_drift_usd",
        "Absolute unexplained difference between ledger and broker.",
        kind=("cash", "positions", "orders"),
    ),
    _gauge("reconciliation_mismatched_items", "Positions or orders that differ.", kind=("positions", "orders")),
)

_STORAGE = (
    _gauge("db_up", "1 when the last probe of the store passed.", store=("postgres", "duckdb")),
    _gauge("db_pool_connections", "Pool connections by state.", state=("idle", "used", "waiting")),
    _gauge("db_size_bytes", "Bytes on disk.", store=("postgres", "duckdb")),
    _gauge("db_schema_version", "Applied migration number.", store=("postgres",)),
)

_HTTP = (
    _counter("http_requests_total", "Operator API requests.", route=ROUTES, method=("GET", "HEAD", "other"), code=CODES),
    _histogram("http_request_duration_seconds", "Operator API latency.", LATENCY, route=ROUTES),
    _counter(
        "http_auth_failures_total",
        "Refused operator API requests by reason.",
        reason=("no_token_configured", "missing", "wrong", "host"),
    ),
)

CATALOGUE: Final[Mapping[str, Family]] = {
    family.name: family
    for group in (_PROCESS, _JOBS, _DATA, _STRATEGY, _RISK, _ORDERS, _BROKER, _PORTFOLIO, _STORAGE, _HTTP)
    for family in group
}
