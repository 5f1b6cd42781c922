"""The one client for outside data services as this installation uses it: its keys, its allowances, what outlives a restart."""

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta

from config import Settings
from daemon.clock import BesideClock, Clock
from daemon.fetch_record import plain, restored
from daemon.logging import get_logger
from daemon.metrics import Metrics
from daemon.raw_archive import RawArchive
from daemon.services import KEY, SECRET
from daemon.store.postgres import Database
from scrapers import SOURCES, source_hosts
from scrapers.circuit import Circuits, CircuitState
from scrapers.errors import BlockReason, ScrapeError
from scrapers.http import Exchange, Http, HttpOptions
from scrapers.rate_limit import LIMITS

ALPACA_HOSTS = ("data.alpaca.markets", "paper-api.alpaca.markets")
QUIVER_HOST, REDDIT_HOST = "api.quiverquant.com", "www.reddit.com"
SANDBOX_CONTACT = "sandbox@allocd.invalid"
log = get_logger("scrape")


class CollectingStopped(ScrapeError):
    """The process ends while a source is being read."""


def http_client(
    settings: Settings,
    db: Database,
    clock: Clock,
    metrics: Metrics,
    raw: RawArchive,
    *,
    twin_url: str | None,
    paced: bool = False,
    stopping: threading.Event | None = None,
) -> Http:
    """The client of a process. With `twin_url` every official host is routed there.

    paced: whoever waits for an allowance, or after a failure, does so in virtual time of its own (`BesideClock`): the limits hold, and a
    night's waiting does not carry the market's clock along with it.
    stopping: once set, whoever collects gets CollectingStopped instead of the next answer.
    """
    beside = BesideClock(clock)
    http = Http(
        HttpOptions(),
        now=beside.now if paced else clock.now,
        sleep=beside.sleep if paced else _sleeper(clock),
        contact=settings.contact or (SANDBOX_CONTACT if twin_url else ""),
        hosts=source_hosts(),
        credentials=_sandbox_credentials() if twin_url else _credentials(settings),
        routes={f"https://{host}": f"{twin_url}/{host}" for host in source_hosts()} if twin_url else {},
        budget=settings.rate_budget,
        validators=StoredValidators(db),
        circuits=circuits(db, clock, metrics),
        on_request=_observe(metrics, raw),
        on_retry=lambda source: metrics.inc("allocd_scraper_retries_total", source=source),
        on_blocked=_blocked(metrics),
        on_exchange=_keeper(raw, stopping),
    )
    prime(http, db, clock)
    return http


def _sleeper(clock: Clock) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if not clock.sleep_until(clock.now() + timedelta(seconds=seconds)):
            raise CollectingStopped("stopped while waiting for a source's allowance")

    return sleep


def _keeper(raw: RawArchive, stopping: threading.Event | None) -> Callable[[Exchange], None]:
    def keep(exchange: Exchange) -> None:
        raw.take(exchange)
        if stopping is not None and stopping.is_set():
            raise CollectingStopped("stopped between two answers")

    return keep


def prime(http: Http, db: Database, clock: Clock) -> None:
    """Count the requests of earlier processes that are still within their groups' periods."""
    for group, rate in LIMITS.items():
        since = clock.now() - timedelta(seconds=rate.per_s)
        http.limiter.prime(group, [r["asked_at"] for r in db.rows("responses_asked_since", rate_group=group, since=since)])


class StoredValidators:
    """What services said about the pages that are stored already, for conditional requests."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, key: str, source: str) -> Mapping[str, str]:
        """The validators of a page; empty when there are none."""
        row = self._db.row("validator_get", source=source, page=key)
        return dict(row["validator"]) if row else {}

    def put(self, key: str, source: str, found: Mapping[str, str]) -> None:
        """Keep those of a page."""
        self._db.run("validator_set", source=source, page=key, validator=dict(found))


def circuits(db: Database, clock: Clock, metrics: Metrics) -> Circuits:
    """The circuits of all sources, as they stood when the last process ended."""

    def load() -> dict[str, CircuitState]:
        return {row["source"]: CircuitState(**restored(row["state"])) for row in db.rows("circuits_all") if row["source"] in SOURCES}

    def save(state: CircuitState) -> None:
        db.run("circuit_set", source=state.source, state=plain(asdict(state)))

    def changed(state: CircuitState) -> None:
        metrics.set("allocd_scraper_circuit_open", float(state.open_until is not None), source=state.source)
        if state.open_until is None:
            log.info("circuit.closed", source=state.source)
        else:
            log.warning("circuit.opened", source=state.source, until=state.open_until, reason=state.reason[:300])

    states = load()
    for name in SOURCES:
        metrics.set("allocd_scraper_circuit_open", float(name in states and states[name].open_until is not None), source=name)
    return Circuits(now=clock.now, load=lambda: states, save=save, on_change=changed)


def _observe(metrics: Metrics, raw: RawArchive) -> Callable[[str, str, float], None]:
    def observe(source: str, code: str, seconds: float) -> None:
        raw.attempted(source)
        metrics.inc("allocd_scraper_requests_total", source=source, code=code)
        metrics.observe("allocd_scraper_request_duration_seconds", seconds, source=source)

    return observe


def _blocked(metrics: Metrics) -> Callable[[BlockReason], None]:
    def blocked(reason: BlockReason) -> None:
        metrics.inc("allocd_scraper_blocked_urls_total", reason=reason)
        log.warning("scrape.blocked", reason=reason)

    return blocked


def _credentials(settings: Settings) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    if settings.alpaca_api_key and settings.alpaca_api_secret:
        found |= _alpaca(settings.alpaca_api_key.get_secret_value(), settings.alpaca_api_secret.get_secret_value())
    if settings.quiver_api_key:
        found[QUIVER_HOST] = {"Authorization": f"Bearer {settings.quiver_api_key.get_secret_value()}"}
    if settings.reddit_client_id and settings.reddit_client_secret:
        found[REDDIT_HOST] = _basic(settings.reddit_client_id.get_secret_value(), settings.reddit_client_secret.get_secret_value())
    return found


def _sandbox_credentials() -> dict[str, dict[str, str]]:
    return {**_alpaca(KEY, SECRET), QUIVER_HOST: {"Authorization": f"Bearer {SECRET}"}, REDDIT_HOST: _basic(KEY, SECRET)}


def _alpaca(key: str, secret: str) -> dict[str, dict[str, str]]:
    return {host: {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret} for host in ALPACA_HOSTS}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
