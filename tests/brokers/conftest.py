"""Two brokers over the same exchange: one in the process, one behind real HTTP and the real alpaca-py."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
import requests
import uvicorn

from execution.alpaca import AlpacaBroker
from execution.base import Asset, Broker
from execution.exchange.market import MarketSession, SessionBar
from execution.exchange.options import VenueOptions
from execution.exchange.prices import TablePrices
from execution.exchange.server import create_app
from execution.exchange.sim import SimBroker
from execution.exchange.venue import Venue

DAYS = [date(2024, 1, 2) + timedelta(days=n) for n in range(31) if (date(2024, 1, 2) + timedelta(days=n)).weekday() < 5]
START = datetime(2024, 1, 2, 13, 0, tzinfo=UTC)  # 08:00 New York, an hour and a half before the first open
SPLIT_DAY, DIVIDEND_DAY, LAST_DAY_OF_GONE = DAYS[3], DAYS[4], DAYS[2]


@dataclass(frozen=True)
class Desk:
    """A broker and the hand that moves its exchange's time."""

    broker: Broker
    advance: Callable[[datetime], None]

    def to_open(self, day: date) -> None:
        """A minute after the open of that day."""
        self.advance(datetime(day.year, day.month, day.day, 14, 31, tzinfo=UTC))

    def to_evening(self, day: date) -> None:
        """An hour after the close of that day."""
        self.advance(datetime(day.year, day.month, day.day, 22, 0, tzinfo=UTC))


def world() -> Venue:
    """AAPL near 100 (splits 2:1), MSFT near 50 (pays 0.25), GONE near 20 (leaves the market), HALT (not tradable)."""
    bars: dict[tuple[str, date], SessionBar] = {}
    for number, day in enumerate(DAYS):
        for symbol, base in (("AAPL", 100.0 if day < SPLIT_DAY else 50.0), ("MSFT", 50.0), ("GONE", 20.0), ("HALT", 10.0)):
            if symbol == "GONE" and day > LAST_DAY_OF_GONE:
                continue
            opened, closed = base * (1 + 0.001 * number), base * (1.002 + 0.001 * number)
            bars[symbol, day] = SessionBar(open=opened, high=closed * 1.01, low=opened * 0.99, close=closed, volume=1e7)
    sessions = [
        MarketSession(
            date=day,
            open_at=datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
            close_at=datetime(day.year, day.month, day.day, 21, 0, tzinfo=UTC),
        )
        for day in DAYS
    ]
    assets = [Asset(symbol=name, tradable=name != "HALT", fractionable=True, shortable=True) for name in ("AAPL", "MSFT", "GONE", "HALT")]
    prices = TablePrices(bars, dividends={("MSFT", DIVIDEND_DAY): 0.25}, splits={("AAPL", SPLIT_DAY): 2.0}, assets=assets)
    return Venue(VenueOptions(start_at=START), prices, sessions)


@contextmanager
def served(venue: Venue) -> Iterator[str]:
    """The exchange on a free port of loopback, until the block ends."""
    config = uvicorn.Config(
        create_app(venue, key="key", secret="secret"), port=0, log_config=None, log_level="warning", lifespan="off", ws="none"
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(10)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """uvicorn that can be awaited."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def alpaca_desk() -> Iterator[Desk]:
    """A desk over HTTP."""
    with served(world()) as url:

        def advance(to: datetime) -> None:
            requests.put(f"{url}/exchange/clock", json={"now": to.isoformat()}, timeout=10).raise_for_status()

        broker = AlpacaBroker("key", "secret", url)
        yield Desk(broker, advance)
        broker.close()


@pytest.fixture(params=["sim", "alpaca"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Each test runs against both brokers."""
    if request.param == "sim":
        venue = world()
        yield Desk(SimBroker(venue), venue.advance)
        return
    with alpaca_desk() as opened:
        yield opened
