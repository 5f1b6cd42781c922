"""The doubles of all services as one local server, and what a source is told when it is tried against them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pandas as pd
import uvicorn

from scrapers import DATASETS, source_hosts, times
from scrapers.base import Dataset, Source
from scrapers.http import Exchange, Http, HttpOptions
from scrapers.twin.app import create_app
from scrapers.twin.world import World

KEYS = {
    "api.quiverquant.com": {"Authorization": "Bearer k"},
    "www.quiverquant.com": {},
    "data.alpaca.markets": {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"},
    "paper-api.alpaca.markets": {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"},
    "www.reddit.com": {"Authorization": "Basic azpz"},
}
CONTACT = "tests@example.org"


def weekdays(first: date, count: int) -> list[date]:
    days, day = [], first
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def small_world() -> World:
    return World(seed=7, sessions=weekdays(date(2023, 1, 3), 380), n_symbols=100)


@dataclass(slots=True)
class Served:
    """A running server of `world`, whose clock stands at `now`."""

    world: World
    url: str
    now: datetime
    read: dict[str, pd.DataFrame] = field(default_factory=dict)

    def put_clock(self, at: datetime) -> None:
        httpx.put(f"{self.url}/twin/clock", json={"now": at.isoformat()}).raise_for_status()
        self.now = at

    def fault(self, **fault: Any) -> None:
        httpx.put(f"{self.url}/twin/faults", json=fault).raise_for_status()

    def clear(self) -> None:
        httpx.delete(f"{self.url}/twin/faults").raise_for_status()

    def http(self, *, attempts: int = 1, on_exchange: Callable[[Exchange], None] | None = None, **options: Any) -> Http:
        return Http(
            HttpOptions(attempts=attempts, **options), now=lambda: self.now, sleep=lambda _: None, contact=CONTACT, hosts=source_hosts(),
            credentials=KEYS, routes={f"https://{host}": f"{self.url}/{host}" for host in source_hosts()}, on_exchange=on_exchange,
        )  # fmt: skip

    def options(self, *, symbols: int = 12, backfill: bool = False) -> dict[str, Any]:
        """What every source wants, over the first stocks of the world."""
        stocks = self.world.stocks()[:symbols]
        return {
            "backfill": backfill,
            "symbols": [asset.symbol for asset in stocks] + ["SPY"],
            "close_at": lambda day: times.new_york(day, times.REGULAR_CLOSE),
            "members": {},
            "memberships": {},
            "companies": {asset.symbol: asset.name for asset in stocks},
            "articles": articles(self, [asset.symbol for asset in stocks]),
            "apps": apps(self, [asset.symbol for asset in stocks]),
            **{f"rows:{name}": self.rows_of(dataset) for name, dataset in DATASETS.items()},
        }

    def rows_of(self, dataset: Dataset) -> Callable[[datetime, datetime], pd.DataFrame]:
        """What was known of a dataset at an instant, read from its first source when it is asked for."""

        def rows(since: datetime, asof: datetime) -> pd.DataFrame:
            if dataset.name not in self.read:
                http, source = self.http(), dataset.sources[0]
                batches = source.fetch(http, self.now - timedelta(days=400), self.now, self.options(backfill=True))
                found = [row for batch in batches for row in batch.rows.to_pylist()]
                http.close()
                self.read[dataset.name] = pd.DataFrame(found, columns=["event_at", "known_at", *dataset.row.__dataclass_fields__])
            frame = self.read[dataset.name]
            return frame[(frame["known_at"] <= asof) & (frame["known_at"] >= since)].reset_index(drop=True)

        return rows


def articles(served: Served, symbols: list[str]) -> dict[str, str]:
    from scrapers.twin.services import wikipedia

    return {symbol: wikipedia.article_of(served.world, symbol) for symbol in symbols}


def apps(served: Served, symbols: list[str]) -> dict[str, list[str]]:
    from scrapers.twin.services import itunes

    return {symbol: [itunes.app_id_of(served.world, symbol)] for symbol in symbols}


@contextmanager
def running(world: World, now: datetime) -> Iterator[Served]:
    app = create_app(world, now=lambda: now)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        thread.join(0.02)
    yield Served(world, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", now)
    server.should_exit = True
    thread.join()


def dataset_of(source: Source) -> Dataset:
    return next(d for d in DATASETS.values() if source in d.sources)


def asks(source: Source) -> bool:
    """False for a source that computes its rows, or reads a packaged list."""
    return source.name not in {"own_insider_score", "app_listings_packaged"}


def instant(day: Any) -> datetime:
    """22:30 UTC of a day: after the close of New York."""
    return datetime.fromisoformat(f"{day}T22:30:00+00:00")
