"""Every source against the double of its service, over real HTTP: found by being in the catalog, with and without faults."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scrapers import DATASETS, SOURCES, source_hosts, tables
from scrapers.base import Batch, Dataset, Source
from scrapers.errors import ScrapeError
from scrapers.http import Exchange
from scrapers.own_tables import load_own
from scrapers.recorded import recorded_http
from tests.sources import fuzz
from tests.sources.served import Served, asks, dataset_of, instant, running, small_world

EACH = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
LIVE_DAYS, HISTORY_DAYS = 45, 150
"""Long enough that rare events have happened."""
PRESENT_STATE = {"datahub_constituents", "datahub_membership", "clinicaltrials"}
"""They show the newest state of each record alone, so that an earlier one is gone when they are asked later."""


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = small_world()
    with running(world, instant(world.sessions[-1])) as made:
        yield made


@pytest.fixture(autouse=True)
def calm(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "served" in request.fixturenames:
        served = request.getfixturevalue("served")
        served.clear()
        served.put_clock(instant(served.world.sessions[-1]))


def fetched(
    served: Served, source: Source, *, backfill: bool, since: datetime | None = None, exchanges: list[Exchange] | None = None
) -> list[Batch]:
    http = served.http(on_exchange=None if exchanges is None else exchanges.append)
    try:
        begin = since or served.now - timedelta(days=HISTORY_DAYS if backfill else LIVE_DAYS)
        return list(source.fetch(http, begin, served.now, served.options(backfill=backfill)))
    finally:
        http.close()


def rows_of(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.rows.to_pylist()]


def keys_of(rows: list[dict[str, Any]], dataset: Dataset) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in dataset.key) for row in rows)


@EACH_SOURCE
def test_a_source_reads_its_double_and_its_rows_keep_their_declaration(served: Served, source: Source):
    dataset, live = dataset_of(source), rows_of(fetched(served, source, backfill=False))
    assert live, "nothing came"
    assert [fault for row in live for fault in fuzz.faults_of(row, dataset.row)] == []
    assert all(row["known_at"] is None for row in live), "a live row is known from its fetch"
    again = rows_of(fetched(served, source, backfill=False))
    assert keys_of(again, dataset) == keys_of(live, dataset)


@EACH_SOURCE
def test_history_bears_times_of_publication_and_nothing_of_the_future(served: Served, source: Source):
    if not source.history:
        pytest.skip("shows the present alone")
    dataset, past = dataset_of(source), rows_of(fetched(served, source, backfill=True))
    assert past, "no history came"
    assert [fault for row in past for fault in fuzz.faults_of(row, dataset.row)] == []
    assert all(row["known_at"] is not None and row["known_at"] <= served.now for row in past if not row.get("gone"))


@EACH_SOURCE
def test_what_was_published_by_a_day_is_the_same_when_asked_later(served: Served, source: Source):
    if not source.history or source.name in PRESENT_STATE:
        pytest.skip("shows the present alone")
    dataset, end = dataset_of(source), served.now
    earlier = end - timedelta(days=60)
    served.put_clock(earlier)
    then = {tuple(row[n] for n in dataset.key): row for row in rows_of(fetched(served, source, backfill=True))}
    served.put_clock(end)
    since = earlier - timedelta(days=HISTORY_DAYS)
    now = {tuple(row[n] for n in dataset.key): row for row in rows_of(fetched(served, source, backfill=True, since=since))}
    assert [key for key in then if key not in now] == []


@EACH_SOURCE
def test_recorded_answers_make_the_same_rows_again(served: Served, source: Source):
    exchanges: list[Exchange] = []
    batches = fetched(served, source, backfill=False, exchanges=exchanges)
    assert all(value != "k" for e in exchanges for value in e.headers.values()), "a key was recorded"
    http = recorded_http(exchanges, fetched_at=served.now, hosts=source_hosts())
    options = served.options()
    again = list(source.fetch(http, served.now - timedelta(days=LIVE_DAYS), served.now, options))
    http.close()
    assert rows_of(again) == rows_of(batches)
    assert [r for b in again for r in b.rejects] == [r for b in batches for r in b.rejects]


@EACH
def test_rows_written_as_a_table_are_read_back_the_same(served: Served, dataset: Dataset, tmp_path: Path):
    source = dataset.sources[0]
    rows = rows_of(fetched(served, source, backfill=source.history))
    for row in rows:
        row["known_at"] = row["known_at"] or served.now
        row.pop("gone", None)
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({n: v.isoformat() if isinstance(v, datetime) else v for n, v in row.items()} for row in rows)
    items = load_own(dataset.row, path)
    assert items is not None
    back = rows_of(list(tables.batches(dataset.row, items)))
    for row in back:
        row.pop("gone", None)
    assert back == rows


FAULTS = ("429", "500", "html", "truncated", "encoding", "schema", "container", "redirect", "reset", "hostile", "empty")


@EACH_SOURCE
def test_a_faulty_service_gives_an_error_or_true_rows_and_never_a_false_one(served: Served, source: Source):
    """Under each fault of its hosts a source raises one of our errors, or what it hands on is true."""
    if not asks(source):
        pytest.skip("asks nobody")
    dataset = dataset_of(source)
    true = {json.dumps(row, default=str, sort_keys=True) for row in rows_of(fetched(served, source, backfill=False))}
    hosts = {urlsplit(url).hostname for url in source.urls}
    noticed: set[str] = set()
    for kind in FAULTS:
        for host in hosts:
            served.fault(host=host, kind=kind)
        try:
            rows = rows_of(fetched(served, source, backfill=False))
        except ScrapeError:
            noticed.add(kind)
        else:
            assert [fault for row in rows for fault in fuzz.faults_of(row, dataset.row)] == [], kind
            if kind not in ("hostile",):
                false = [row for row in rows if json.dumps(row, default=str, sort_keys=True) not in true]
                assert false == [], kind
        served.clear()
    assert {"429", "500", "html", "truncated", "schema", "container", "redirect", "reset"} - noticed <= tolerated(source)


def tolerated(source: Source) -> set[str]:
    """Faults that a kind of answer need not show: a text has no keys to rename, no container, and may end after any line."""
    texts = {
        "cboe_vix",
        "house_clerk",
        "datahub_constituents",
        "datahub_membership",
        "wikipedia_lists",
        "wikipedia_membership",
        "wikipedia_constituents",
    }
    return {"container", "schema", "truncated"} if source.name in texts else set()
