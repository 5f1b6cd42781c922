"""What the sandbox's services are made of: one generated market, served by an exchange and by doubles of the data services."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.calendar import Calendar
from daemon.clock import SystemClock
from daemon.services import hold, write_ready
from execution.base import Asset
from execution.exchange.journal import Journal
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession, SessionBar
from execution.exchange.server import create_app as exchange_app
from execution.exchange.server import serve
from execution.exchange.venue import Venue, VenueOptions
from scrapers.twin.app import create_app as twin_app
from scrapers.twin.faults import Faults
from scrapers.twin.world import World

IDLE_EXIT_S = 900.0
"""A service that nobody has asked for this long ends itself: its daemon was killed and never came back."""
FUTURE_SESSIONS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOptions:
    """The generated market: seed, number of symbols, first traded day, sessions of history before it."""

    seed: int
    symbols: int
    start: date
    history_sessions: int


def sessions_of(market: MarketOptions, calendar: Calendar) -> list[date]:
    """History and future of the market, as far as the calendar reaches."""
    first = calendar.session_on_or_after(market.start)
    begin = calendar.offset(first, -market.history_sessions)
    return calendar.sessions(begin, calendar.end)[: market.history_sessions + FUTURE_SESSIONS]


def start_instant(market: MarketOptions, calendar: Calendar) -> datetime:
    """Two hours before the open of the first traded session."""
    return calendar.open_at(calendar.session_on_or_after(market.start)) - timedelta(hours=2)


class WorldPrices:
    """The generated market as the exchange's PriceSource."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._symbols = {asset.symbol for asset in world.assets()}
        self._days = frozenset(world.sessions)

    def bar(self, symbol: str, session: date) -> SessionBar | None:
        """The session's bar."""
        if symbol not in self._symbols or session not in self._days:
            return None
        bar = self._world.bar(symbol, session)
        return SessionBar(open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=float(bar.volume))

    def dividend(self, symbol: str, session: date) -> float:
        """USD per share."""
        return self._world.dividend(symbol, session) if symbol in self._symbols and session in self._days else 0.0

    def split(self, symbol: str, session: date) -> float:
        """New per old shares."""
        return self._world.split(symbol, session) if symbol in self._symbols and session in self._days else 1.0

    def assets(self) -> Sequence[Asset]:
        """Everything that is listed."""
        world = self._world
        return [
            Asset(
                symbol=a.symbol,
                tradable=True,
                fractionable=world.is_divisible(a.symbol),
                shortable=world.is_lent(a.symbol),
                name=a.name,
            )
            for a in world.assets()
        ]


class _Idle:
    """ASGI wrapper that ends the process when nobody has asked for a while."""

    def __init__(self, app: Any, stop: threading.Event) -> None:
        self._app, self._stop, self._last = app, stop, time.monotonic()
        threading.Thread(target=self._watch, name="idle", daemon=True).start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._last = time.monotonic()
        await self._app(scope, receive, send)

    def _watch(self) -> None:
        while not self._stop.wait(5.0):
            if time.monotonic() - self._last > IDLE_EXIT_S:
                self._stop.set()


def _listen(app: Any, host: str, port: int, ready_file: Path | None) -> None:
    stop = threading.Event()

    def ready(bound: int) -> None:
        if ready_file is not None:
            write_ready(ready_file, bound)
        print(f"listening on http://{host}:{bound}  SANDBOX, SYNTHETIC", flush=True)

    serve(_Idle(app, stop), host, port, ready, stop=stop)  # type: ignore[arg-type]


def serve_exchange(
    market: MarketOptions,
    *,
    host: str,
    port: int,
    journal: Path,
    cash_usd: Decimal,
    cost_bps: float,
    realtime: bool,
    key: str,
    secret: str,
    ready_file: Path | None,
) -> None:
    """Serve the paper exchange over the generated market until stopped."""
    if ready_file is not None:
        hold(ready_file)
    calendar = Calendar()
    days = sessions_of(market, calendar)
    world = World(seed=market.seed, sessions=days, n_symbols=market.symbols)
    clock = SystemClock().now if realtime else None
    options = VenueOptions(
        start_at=start_instant(market, calendar),
        cash_usd=cash_usd,
        liquidity=LiquidityOptions(half_spread_bps=cost_bps),
        seed=f"sandbox-{market.seed}",
    )
    sessions = [MarketSession(date=d, open_at=calendar.open_at(d), close_at=calendar.close_at(d)) for d in days]
    venue = Venue(options, WorldPrices(world), sessions, Journal(journal))
    _listen(exchange_app(venue, clock=clock, key=key, secret=secret), host, port, ready_file)


def serve_twin(market: MarketOptions, *, host: str, port: int, realtime: bool, ready_file: Path | None, faults: Faults) -> None:
    """Serve the doubles of the data services over the generated market until stopped. faults: those that are on from the start."""
    if ready_file is not None:
        hold(ready_file)
    calendar = Calendar()
    world = World(seed=market.seed, sessions=sessions_of(market, calendar), n_symbols=market.symbols)
    start = start_instant(market, calendar)
    now: Callable[[], datetime] = SystemClock().now if realtime else lambda: start
    _listen(twin_app(world, now=now, close_at=calendar.close_at, faults=faults), host, port, ready_file)
