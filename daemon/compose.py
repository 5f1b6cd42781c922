"""Putting a runtime together: which strategies, which sources, which broker. No work is done here."""

import difflib
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from config import CHECKOUT, Settings
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import Clock
from daemon.errors import StartRefused
from daemon.joblist import metrics_for
from daemon.metrics import Metrics
from daemon.runtime import Runtime, SourceOptions
from daemon.services import KEY, SECRET
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.version import VERSION, revision
from execution.alpaca import AlpacaBroker
from execution.errors import LiveTradingGuard
from scrapers import DATASETS, source_hosts
from scrapers.http import Http, HttpOptions
from strategies import CATALOG, resolve_params
from strategies.base import Strategy
from strategies.errors import StrategyError

ALPACA_DATA_HOST, QUIVER_HOST = "data.alpaca.markets", "api.quiverquant.com"
PACED_SETTLES = ("open+1m", "open+30m", "close+1m")


def order_prefix(db: Database, *, sandbox: bool) -> str:
    """What every client_order_id of this installation starts with, so that a second one on the same account never meets its ids."""
    known = db.row("meta_get", key="installation")
    if known is None:
        db.run("meta_set", key="installation", value=f'"{secrets.token_hex(2)}"')
        known = db.row("meta_get", key="installation")
    assert known is not None
    return f"{'sandbox' if sandbox else 'allocd'}{known['value']}"


def code_version() -> str:
    """Version and revision of this program."""
    return f"{VERSION}+{revision(CHECKOUT)}"


def enabled(settings: Settings) -> tuple[dict[str, Strategy], dict[str, dict[str, Any]]]:
    """The strategies that the settings switch on, and their complete parameters. Raises StartRefused."""
    names = settings.strategies or tuple(CATALOG)
    for name in (*names, *settings.strategy_params):
        if name not in CATALOG:
            near = difflib.get_close_matches(name, CATALOG, n=1, cutoff=0.0)
            raise StartRefused(
                f"ALLOCD_STRATEGIES or ALLOCD_STRATEGY_PARAMS names {name!r}, which is not in the catalog; the nearest is {near[0]!r}"
            )
    try:
        params = {name: resolve_params(CATALOG[name], settings.strategy_params.get(name)) for name in sorted(names)}
    except StrategyError as error:
        raise StartRefused(f"ALLOCD_STRATEGY_PARAMS: {error}") from error
    return {name: CATALOG[name] for name in sorted(names)}, params


def metrics_of(strategies: Mapping[str, Strategy], settle_anchors: tuple[str, ...]) -> Metrics:
    """Metrics with this installation's label values."""
    return metrics_for(code_version(), strategies, DATASETS, settle_anchors)


def http_client(settings: Settings, clock: Clock, metrics: Metrics, *, twin_url: str | None) -> Http:
    """The one outbound client; with `twin_url` every official host is routed there."""
    credentials = _sandbox_credentials() if twin_url else _credentials(settings)
    return Http(
        HttpOptions(),
        now=clock.now,
        sleep=lambda seconds: _sleep(clock, seconds),
        contact=settings.contact,
        hosts=source_hosts(),
        credentials=credentials,
        routes={f"https://{host}": f"{twin_url}/{host}" for host in source_hosts()} if twin_url else {},
        on_request=_observe(metrics),
        on_retry=lambda source: metrics.inc("allocd_scraper_retries_total", source=source),
    )


def _sleep(clock: Clock, seconds: float) -> None:
    clock.sleep_until(clock.now() + timedelta(seconds=seconds))


def _observe(metrics: Metrics) -> Callable[[str, str, float], None]:
    def observe(source: str, code: str, seconds: float) -> None:
        metrics.inc("allocd_scraper_requests_total", source=source, code=code)
        metrics.observe("allocd_scraper_request_duration_seconds", seconds, source=source)

    return observe


def _credentials(settings: Settings) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    if settings.alpaca_api_key and settings.alpaca_api_secret:
        found[ALPACA_DATA_HOST] = {
            "APCA-API-KEY-ID": settings.alpaca_api_key.get_secret_value(),
            "APCA-API-SECRET-KEY": settings.alpaca_api_secret.get_secret_value(),
        }
    if settings.quiver_api_key:
        found[QUIVER_HOST] = {"Authorization": f"Bearer {settings.quiver_api_key.get_secret_value()}"}
    return found


def _sandbox_credentials() -> dict[str, dict[str, str]]:
    return {
        ALPACA_DATA_HOST: {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET},
        QUIVER_HOST: {"Authorization": f"Bearer {SECRET}"},
    }


def broker(key: str, secret: str, base_url: str, metrics: Metrics, clock: Clock) -> AlpacaBroker:
    """The Alpaca gateway. Raises StartRefused for a host that is neither the paper host nor loopback."""

    def on_call(endpoint: str, code: str, seconds: float) -> None:
        label = endpoint if endpoint in ("account", "activities", "assets", "calendar", "clock", "orders", "positions") else "other"
        metrics.inc("allocd_broker_requests_total", endpoint=label, code=code if code in ("2xx", "3xx", "4xx", "429", "5xx") else "error")
        metrics.observe("allocd_broker_request_duration_seconds", seconds, endpoint=label)
        answered = code in ("2xx", "3xx", "4xx")
        metrics.set("allocd_broker_up", float(answered))
        if answered:
            metrics.set("allocd_broker_last_success_timestamp_seconds", clock.now().timestamp())

    try:
        return AlpacaBroker(key, secret, base_url, on_call=on_call)
    except LiveTradingGuard as error:
        raise StartRefused(f"ALPACA_BASE_URL: {error}") from error


def sources(settings: Settings, calendar: Calendar, *, sandbox: bool) -> dict[str, SourceOptions]:
    """Fetch options by dataset, for those that this runtime can collect."""
    everything: dict[str, SourceOptions] = {
        "bars_daily": lambda rt: {"symbols": universe(rt), "close_at": calendar.close_at},
        "corporate_actions": lambda rt: {"symbols": universe(rt)},
        "congress_trades": lambda rt: {},
        "constituents": lambda rt: {},
        "index_membership": lambda rt: {"members": open_spells(rt)},
        "vix": lambda rt: {},
    }
    if not sandbox and settings.quiver_api_key is None:
        del everything["congress_trades"]
    return everything


def universe(rt: Runtime) -> list[str]:
    """Symbols whose prices are collected: index members, the strategies' funds, the benchmark, what is held or lately disclosed."""
    with rt.trading:
        rt.archive.refresh()
        view = rt.archive.view(rt.clock.now())
        disclosed = view.events("congress_trades", rt.clock.now() - timedelta(days=120))
        wanted = {
            rt.settings.benchmark,
            *view.events("constituents")["symbol"],
            *(f for s in rt.strategies.values() for f in s.funds),
            *rt.book.ledger.account_positions(),
            *disclosed.loc[disclosed["symbol"].notna(), "symbol"],
        }
    return sorted(str(s) for s in wanted if rt.tradable is None or s in rt.tradable)


def open_spells(rt: Runtime) -> dict[str, Any]:
    """Start date by symbol of the memberships that are open now, so that a fetch can close those that ended."""
    with rt.trading:
        rt.archive.refresh()
        frame = rt.archive.view(rt.clock.now()).events("index_membership")
    still = frame[frame["end_date"].isna() & (frame["index_name"] == "sp500")]
    return dict(zip(still["symbol"], still["start_date"], strict=True))


def runtime(
    settings: Settings,
    *,
    db: Database,
    lake: Lake,
    clock: Clock,
    calendar: Calendar,
    broker: AlpacaBroker,
    http: Http,
    metrics: Metrics,
    strategies: Mapping[str, Strategy],
    params: Mapping[str, dict[str, Any]],
    sandbox: bool,
    settle_anchors: tuple[str, ...],
    id_prefix: str,
) -> Runtime:
    """A runtime that trades through the Alpaca gateway: live paper trading, or the sandbox."""
    return Runtime(
        settings=settings,
        clock=clock,
        calendar=calendar,
        db=db,
        lake=lake,
        archive=Archive(lake, DATASETS.values(), calendar),
        broker=broker,
        book=TradingBook(db),
        metrics=metrics,
        strategies=strategies,
        params=params,
        datasets=DATASETS,
        sources=sources(settings, calendar, sandbox=sandbox),
        http=http,
        settle_anchors=settle_anchors,
        id_prefix=id_prefix,
        code_version=code_version(),
        sandbox=sandbox,
    )
