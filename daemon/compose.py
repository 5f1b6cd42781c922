"""Putting a runtime together: which strategies, which sources, which broker. No work is done here."""

import difflib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from config import CHECKOUT, Settings
from daemon import artefacts, feeds, own_strategies
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import Clock
from daemon.errors import StartRefused
from daemon.joblist import WATCH_ANCHOR, metrics_for
from daemon.metrics import Metrics
from daemon.raw_archive import RawArchive
from daemon.runtime import DataRuntime, Runtime
from daemon.schedule import thinned
from daemon.sleeve_inputs import own_limits
from daemon.source_choice import chosen
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.version import VERSION, revision
from execution.alpaca import AlpacaBroker
from execution.errors import LiveTradingGuard
from scrapers import DATASETS
from scrapers.base import Dataset, Source
from scrapers.http import Http
from scrapers.rate_limit import check_budget
from strategies import CATALOG, resolve_params
from strategies.base import Strategy
from strategies.errors import StrategyError

PACED_GAP = timedelta(hours=12)
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


def own(settings: Settings) -> own_strategies.Found:
    """The operator's own strategies, and the files that are left out. Each process looks for them once."""
    return own_strategies.found(settings.strategy_dir, settings.strategy_timeout_s)


def catalog(settings: Settings) -> dict[str, Strategy]:
    """Every strategy that can be switched on: the catalog's and the operator's own, by name."""
    return dict(sorted({**CATALOG, **own(settings).strategies}.items()))


def enabled(settings: Settings) -> tuple[dict[str, Strategy], dict[str, dict[str, Any]]]:
    """The strategies that the settings switch on, and their complete parameters. Raises StartRefused."""
    known = catalog(settings)
    names = settings.strategies or tuple(known)
    for name in (*names, *settings.strategy_params):
        if name not in known and (name in names or own(settings).refusal(name) is None):
            raise StartRefused(_unknown(settings, name, known))
    try:
        params = {name: resolve_params(known[name], settings.strategy_params.get(name)) for name in sorted(names)}
    except StrategyError as error:
        raise StartRefused(f"ALLOCD_STRATEGY_PARAMS: {error}") from error
    own_limits(settings.strategy_limits, known)
    return {name: known[name] for name in sorted(names)}, params


def _unknown(settings: Settings, name: str, known: Mapping[str, Strategy]) -> str:
    """Why a name in the settings cannot be used."""
    if (refusal := own(settings).refusal(name) or own(settings).refusal("")) is not None:
        return f"ALLOCD_STRATEGIES or ALLOCD_STRATEGY_PARAMS names {name!r}, which cannot be used; {refusal}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"ALLOCD_STRATEGIES or ALLOCD_STRATEGY_PARAMS names {name!r}, which is not in the catalog; the nearest is {near[0]!r}"


def metrics_of(strategies: Mapping[str, Strategy], settle_anchors: tuple[str, ...]) -> Metrics:
    """Metrics with this installation's label values."""
    return metrics_for(code_version(), strategies, DATASETS, settle_anchors)


def sources(settings: Settings, *, sandbox: bool) -> dict[str, tuple[Source, ...]]:
    """What is collected from whom, by dataset. Raises StartRefused for a setting that names nothing, or a source that wants the unknown."""
    feeds.check(DATASETS)
    try:
        check_budget(settings.rate_budget)
    except ValueError as error:
        raise StartRefused(f"ALLOCD_RATE_BUDGET: {error}") from error
    return {name: choice.sources for name, choice in chosen(settings, DATASETS, sandbox=sandbox).items() if choice.sources}


def datasets(*, paced: bool) -> dict[str, Dataset]:
    """The catalog. On paced time a day takes seconds, and decisions are made once a day: nobody is asked every few minutes."""
    return {name: replace(d, schedule=thinned(d.schedule, PACED_GAP)) if paced else d for name, d in DATASETS.items()}


def raw_archive(settings: Settings, directory: Path) -> RawArchive:
    """Where answers are kept below a state directory; nowhere when none are to be kept."""
    return RawArchive(directory / "raw" if settings.raw_retention_days else None)


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


def data_runtime(
    settings: Settings,
    *,
    db: Database,
    lake: Lake,
    clock: Clock,
    calendar: Calendar,
    http: Http | None,
    raw: RawArchive,
    sources: Mapping[str, tuple[Source, ...]],
    metrics: Metrics,
) -> DataRuntime:
    """A runtime that collects and does not trade."""
    strategies, _ = enabled(settings)
    return DataRuntime(
        settings=settings,
        clock=clock,
        calendar=calendar,
        db=db,
        lake=lake,
        archive=Archive(lake, DATASETS.values(), calendar),
        book=TradingBook(db),
        metrics=metrics,
        strategies=strategies,
        datasets=DATASETS,
        sources=sources,
        http=http,
        raw=raw,
    )


def runtime(
    settings: Settings,
    *,
    db: Database,
    lake: Lake,
    clock: Clock,
    calendar: Calendar,
    broker: AlpacaBroker,
    http: Http,
    raw: RawArchive,
    datasets: Mapping[str, Dataset],
    sources: Mapping[str, tuple[Source, ...]],
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
        archive=Archive(lake, datasets.values(), calendar, artefacts=artefacts.load(db)),
        broker=broker,
        book=TradingBook(db),
        metrics=metrics,
        strategies=strategies,
        params=params,
        datasets=datasets,
        sources=sources,
        http=http,
        raw=raw,
        settle_anchors=settle_anchors,
        watch_anchor=WATCH_ANCHOR,
        id_prefix=id_prefix,
        code_version=code_version(),
        sandbox=sandbox,
        strategy_hashes=own(settings).hashes(),
    )
