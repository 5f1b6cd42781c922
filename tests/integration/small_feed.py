"""A dataset of two sources over a web server in this process, and a runtime that collects it into a real PostgreSQL.

The server answers `/a/page1`, `/b/page1`, ... with what `pages` holds for the path: a list of records, or bytes as they are.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import config
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.joblist import metrics_for
from daemon.raw_archive import RawArchive
from daemon.runtime import Runtime
from daemon.store.datasets import ensure_table
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import tables, times
from scrapers.base import Batch, Dataset, Options, Rate, Source
from scrapers.errors import SourceChanged
from scrapers.http import Http, HttpOptions

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOST = "feed.example.org"
RATE = Rate(group="small-feed", requests=10_000, per_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one symbol on one day."""

    origin: str
    symbol: str
    day: date
    value: float


def parsed(page: object, url: str, origin: str, scale: float) -> Iterator[Any]:
    """Rows of a page: a list of {symbol, day, value}; without a symbol a record is refused."""
    if not isinstance(page, list):
        raise SourceChanged(f"{url}: a list is due, found {type(page).__name__}")
    for n, record in enumerate(page):
        if not record.get("symbol"):
            yield tables.reject("no_symbol", "nothing to buy", record, f"[{n}]")
        else:
            day = date.fromisoformat(record["day"])
            row = Reading(origin=origin, symbol=record["symbol"], day=day, value=scale * record["value"])
            yield tables.Timed(row=row, event_at=times.new_york(day), known_at=times.day_after(day))


def source(name: str, *, pages: int = 1, scale: float = 1.0, wants: tuple[str, ...] = (), **options: Any) -> Source:
    """A source that reads `pages` pages below its own name; in a backfill, only the rows of its span."""

    def fetch(http: Http, since: datetime, until: datetime, given: Options) -> Iterator[Batch]:
        for number in range(1, pages + 1):
            url = f"https://{HOST}/{name}/page{number}"
            span = {"since": since.isoformat(), "until": until.isoformat()} if given["backfill"] else {}
            page = http.get(url, span, source=name, rate=RATE).json()
            items = parsed(page, url, name, scale)
            if given["backfill"]:
                items = (i for i in items if not isinstance(i, tables.Timed) or since <= i.event_at < until)
            yield from tables.batches(Reading, items if given["backfill"] else map(tables.unstamped, items))

    return Source(name=name, fetch=fetch, rate=RATE, urls=(f"https://{HOST}/{name}",), wants=wants, **options)


def dataset(*sources: Source, **options: Any) -> Dataset:
    """The dataset `readings`."""
    return Dataset(
        name="readings", row=Reading, key=("origin", "symbol", "day"), schedule="cron: mon-fri 06:00,12:00",
        description="Synthetic readings.", sources=sources, **options,
    )  # fmt: skip


class Web:
    """The server. asked: every path with its query, in order. pages: what to answer, by path without query."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda path: None
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                path = self.path.partition("?")[0]
                web.before(path)
                page = web.pages.get(path)
                body = page if isinstance(page, bytes) else json.dumps(page).encode()
                self.send_response(200 if path in web.pages else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def serving() -> Iterator[Web]:
    """A running server."""
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        thread.join()
        web.server.server_close()


def record(symbol: str, day: str, value: float) -> dict[str, Any]:
    """One record of a page."""
    return {"symbol": symbol, "day": day, "value": value}


@contextmanager
def collecting(db: Database, directory: Path, web: Web, made: Dataset, now: datetime = NOW, **parts: Any) -> Iterator[Runtime]:
    """A runtime that collects a dataset from the server, and trades nothing."""
    clock = VirtualClock(now)
    ensure_table(db, made)
    raw = RawArchive(directory / "raw")
    http = Http(
        HttpOptions(),
        now=clock.now,
        sleep=lambda _: None,
        contact="",
        hosts={HOST},
        routes={f"https://{HOST}": web.url},
        on_exchange=raw.take,
        on_request=lambda source, code, seconds: raw.attempted(source),
    )
    absent: Any = cast("Any", None)
    datasets: Mapping[str, Dataset] = {made.name: made}
    rt = Runtime(
        settings=config.load({}, env_file=None), clock=clock, calendar=Calendar(), db=db, lake=Lake(directory / "lake"), archive=absent,
        broker=absent, book=absent, metrics=metrics_for("v", {}, datasets, ()), strategies={}, params={}, datasets=datasets,
        sources={made.name: made.sources}, http=http, raw=raw, settle_anchors=(), id_prefix="t", code_version="v", sandbox=False,
        history=timedelta(days=100),
    )  # fmt: skip
    for name, value in parts.items():
        setattr(rt, name, value)
    try:
        yield rt
    finally:
        http.close()


def stored(db: Database, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Columns of the versions stored, in order of storage."""
    with db.connection() as connection:
        return [
            tuple(r.values()) for r in connection.execute(f"SELECT {', '.join(columns)} FROM readings WHERE {where} ORDER BY id").fetchall()
        ]


def fetches(db: Database, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of the fetches recorded."""
    with db.connection() as connection:
        return [tuple(r.values()) for r in connection.execute(f"SELECT {', '.join(columns)} FROM fetches ORDER BY id").fetchall()]


def chunked(made: Source, chunk: timedelta) -> Source:
    """The same source, its past read in pieces."""
    return replace(made, chunk=chunk)
