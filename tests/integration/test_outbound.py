"""What the outbound client knows after a restart: open circuits, used allowances, validators; and the settings that bear on it."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import config
from daemon import compose
from daemon.clock import VirtualClock
from daemon.errors import StartRefused
from daemon.fetch_record import Result, Span, begin, finish
from daemon.joblist import metrics_for
from daemon.metrics import Metrics
from daemon.outbound import CollectingStopped, StoredValidators, circuits, http_client
from daemon.raw_archive import Kept, RawArchive
from daemon.store.datasets import Counts
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from scrapers import DATASETS
from scrapers.errors import CircuitOpen
from scrapers.http import Exchange, Http
from tests.integration.small_feed import NOW

VIX = DATASETS["vix"].sources[0]
GROUP = VIX.rate.group


@pytest.fixture
def db(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(postgres.ensure, schema=f"o{tmp_path.name}", durable=False)
    db.migrate()
    yield db
    db.drop_schema()
    db.close()


def metrics() -> Metrics:
    return metrics_for("v", {}, DATASETS, ())


def client(db: Database, clock: VirtualClock, **environ: str) -> Http:
    return http_client(config.load(environ, env_file=None), db, clock, metrics(), RawArchive(None), twin_url=None)


def test_a_circuit_that_was_open_is_open_after_a_restart_and_shows_in_the_metrics(db: Database) -> None:
    clock, exported = VirtualClock(NOW), metrics()
    first = circuits(db, clock, exported)
    for _ in range(3):
        first.failure(VIX.name, "SourceChanged: moved")
    assert exported.value("allocd_scraper_circuit_open", source=VIX.name) == 1.0
    later, again = VirtualClock(NOW + timedelta(minutes=4)), metrics()
    second = circuits(db, later, again)
    with pytest.raises(CircuitOpen, match="moved"):
        second.admit(VIX.name)
    assert again.value("allocd_scraper_circuit_open", source=VIX.name) == 1.0
    later.sleep_until(NOW + timedelta(minutes=6))
    second.admit(VIX.name)
    second.success(VIX.name)
    assert again.value("allocd_scraper_circuit_open", source=VIX.name) == 0.0
    circuits(db, later, metrics()).admit(VIX.name)


def test_requests_of_an_earlier_process_count_towards_the_allowance(db: Database) -> None:
    fetch_id = begin(db, "vix", VIX, Span(since=NOW, until=NOW, backfill=False), {}, NOW)
    answers = []
    for ago_s in (1.0, 2.0, VIX.rate.per_s + 1.0):
        asked_at = NOW - timedelta(seconds=ago_s)
        exchange = Exchange(
            source=VIX.name, group=GROUP, method="GET", url="https://x.example.org/", asked={}, status=200, headers={}, content=b"",
            started_at=asked_at, fetched_at=asked_at,
        )  # fmt: skip
        answers.append(Kept(exchange=exchange, n_bytes=0, sha256=None, path=None))
    finish(db, fetch_id, Result(stamped_at=NOW, counts=Counts()), answers, NOW)
    http = client(db, VirtualClock(NOW))
    assert http.limiter.used(GROUP) == (2, VIX.rate.requests)
    http.close()


def test_an_allowance_may_only_be_lowered(db: Database) -> None:
    http = client(db, VirtualClock(NOW), ALLOCD_RATE_BUDGET=f'{{"{GROUP}": 1}}')
    assert http.limiter.used(GROUP) == (0, 1)
    http.close()
    limit = VIX.rate.requests
    for budget, said in (
        (f'{{"{GROUP}": {limit + 1}}}', rf"ALLOCD_RATE_BUDGET: .*{GROUP}.* 1 to {limit}"),
        ('{"sek": 1}', "nearest is 'sec'"),
    ):
        with pytest.raises(StartRefused, match=said):
            compose.sources(config.load({"ALLOCD_RATE_BUDGET": budget}, env_file=None), sandbox=True)
    with pytest.raises(config.ConfigError, match="ALLOCD_RATE_BUDGET"):
        client(db, VirtualClock(NOW), ALLOCD_RATE_BUDGET='{"sec": 0}')


def test_a_stop_while_waiting_for_an_allowance_asks_nothing_more(db: Database) -> None:
    clock = VirtualClock(NOW)
    http = client(db, clock)
    for _ in range(VIX.rate.requests):
        http.limiter.acquire(VIX.rate)
    clock.interrupt()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            http.limiter.acquire(VIX.rate)
        except CollectingStopped as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(10)
    assert len(raised) == 1
    http.close()


def test_validators_of_pages_are_kept_by_source(db: Database) -> None:
    kept = StoredValidators(db)
    assert kept.get("GET https://x.example.org/", "a") == {}
    kept.put("GET https://x.example.org/", "a", {"etag": '"1"'})
    kept.put("GET https://x.example.org/", "a", {"etag": '"2"', "last-modified": "Mon, 05 Jan 2026 12:00:00 GMT"})
    assert StoredValidators(db).get("GET https://x.example.org/", "a") == {"etag": '"2"', "last-modified": "Mon, 05 Jan 2026 12:00:00 GMT"}
    assert kept.get("GET https://x.example.org/", "b") == {}
