"""What a daemon talks to: Alpaca and the real data services, or the sandbox's own processes."""

import threading
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from config import Settings
from daemon.calendar import Calendar
from daemon.clock import Clock, PacedClock, SystemClock
from daemon.logging import get_logger
from daemon.sandbox import MarketOptions, start_instant
from daemon.services import KEY, SECRET, Service

log = get_logger("sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Clock, broker address and keys, where data comes from (None: the real hosts), and processes that end with the daemon.

    opened_at: the first instant of a generated world on paced time.
    """

    clock: Clock
    key: str
    secret: str
    broker_url: str
    twin_url: str | None
    services: tuple[Service, ...] = ()
    opened_at: datetime | None = None


def alpaca_world(settings: Settings) -> Outside:
    """The real world, on real time."""
    assert settings.alpaca_api_key is not None and settings.alpaca_api_secret is not None
    return Outside(
        clock=SystemClock(),
        key=settings.alpaca_api_key.get_secret_value(),
        secret=settings.alpaca_api_secret.get_secret_value(),
        broker_url=settings.alpaca_base_url,
        twin_url=None,
    )


def sandbox_world(settings: Settings, directory: Path, calendar: Calendar, *, paced: bool) -> Outside:
    """The generated world: its services are attached to where they still run, else started. Raises DependencyFailed."""
    market = MarketOptions(
        seed=settings.sandbox_seed,
        symbols=settings.sandbox_symbols,
        start=settings.sandbox_start if paced else _first_day(directory),
        history_sessions=settings.sandbox_history_sessions,
    )
    exchange, twin = _services(settings, directory, market, paced)
    starters = [threading.Thread(target=service.try_start) for service in (exchange, twin)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    urls = exchange.ensure().url, twin.ensure().url
    clock = _paced_clock(settings, exchange, twin, market, calendar) if paced else SystemClock()
    exchange.watch()
    twin.watch()
    log.info("sandbox.started", exchange=urls[0], twin=urls[1], now=clock.now(), note="market, data and account are generated: SYNTHETIC")
    opened_at = start_instant(market, calendar) if paced else None
    return Outside(
        clock=clock, key=KEY, secret=SECRET, broker_url=urls[0], twin_url=urls[1], services=(exchange, twin), opened_at=opened_at
    )


def _services(settings: Settings, directory: Path, market: MarketOptions, paced: bool) -> tuple[Service, Service]:
    options = {"--seed": market.seed, "--symbols": market.symbols, "--start": market.start, "--history": market.history_sessions}
    shared = [str(part) for pair in options.items() for part in pair] + ([] if paced else ["--realtime"])
    own = {
        "--journal": directory / "exchange.journal",
        "--cash": settings.initial_cash_usd,
        "--cost-bps": settings.cost_bps,
        "--key": KEY,
        "--secret": SECRET,
    }
    exchange = Service("exchange", "/exchange", directory, shared + [str(part) for pair in own.items() for part in pair])
    return exchange, Service("twin", "/twin", directory, shared)


def _first_day(directory: Path) -> date:
    """First day of a sandbox on real time: the day on which it was first started."""
    marker = directory / "first-day"
    if not marker.exists():
        marker.write_text(SystemClock().now().date().isoformat())
    return date.fromisoformat(marker.read_text())


def _paced_clock(settings: Settings, exchange: Service, twin: Service, market: MarketOptions, calendar: Calendar) -> PacedClock:
    """A clock that goes on where the exchange's stands, and that both services follow."""
    now = max(exchange.now(), start_instant(market, calendar))
    clock = PacedClock(now, settings.sandbox_seconds_per_session, is_session=calendar.is_session)
    clock.on_advance(exchange.advance)
    clock.on_advance(twin.advance)
    twin.advance(now)
    return clock
