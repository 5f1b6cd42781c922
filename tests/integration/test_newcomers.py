"""A symbol that joins the universe later gets the past that others have; one that was away gets what it missed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon import feeds
from daemon.fetch_record import Span
from daemon.ingest import IngestFailed, ingest, is_recorded
from daemon.runtime import Runtime
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from tests.integration.small_feed import NOW, Web, collecting, dataset, fetches, record, serving, source

WEEK = timedelta(days=7)
HISTORY = timedelta(days=100)
"""Of the runtimes that `collecting` makes."""


@pytest.fixture
def db(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(postgres.ensure, schema=f"n{tmp_path.name}", durable=False)
    db.migrate()
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.pages = {"/a/page1": [record("AAA", "2025-12-01", 1.0)]}
        yield web


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(*symbols: str) -> None:
        monkeypatch.setitem(feeds.PROVIDERS, "symbols", lambda rt: sorted(symbols))  # type: ignore[arg-type]

    return put


@pytest.fixture
def rt(db: Database, web: Web, tmp_path: Path) -> Iterator[Runtime]:
    made = replace(source("a", wants=("symbols",)), asks_by="symbols")
    with collecting(db, tmp_path, web, dataset(made)) as rt:
        yield rt


def asked(db: Database) -> list[tuple[bool, bool, datetime, list[str]]]:
    """Of every fetch: backfill, partial, since, and whom it asked about."""
    found = []
    for backfill, partial, since, digest in fetches(db, "backfill", "partial", "since", "options_hash"):
        with db.connection() as connection:
            row = connection.execute("SELECT options FROM fetch_options WHERE hash = %s", (digest,)).fetchone()
        assert row is not None
        options = row["options"] if isinstance(row["options"], dict) else json.loads(row["options"])
        found.append((backfill, partial, since, options["symbols"]))
    return found


def test_a_newcomer_gets_the_whole_past_beside_the_live_fetch_of_all(rt: Runtime, db: Database, universe: Callable[..., None]):
    universe("AAA", "BBB")
    ingest(rt, "readings")
    assert asked(db) == [(True, False, NOW - HISTORY, ["AAA", "BBB"])]
    rt.clock.sleep_until(NOW + WEEK)
    universe("AAA", "BBB", "CCC")
    ingest(rt, "readings")
    overlap = rt.datasets["readings"].overlap
    assert asked(db)[1:] == [(False, False, NOW - overlap, ["AAA", "BBB", "CCC"]), (True, True, NOW + WEEK - HISTORY, ["CCC"])]
    rt.clock.sleep_until(NOW + 2 * WEEK)
    ingest(rt, "readings")
    assert [partial for _, partial, *_ in asked(db)[3:]] == [False], "nobody is new any more"


def test_whoever_was_away_gets_what_was_missed_and_no_more(rt: Runtime, db: Database, universe: Callable[..., None]):
    universe("AAA", "BBB")
    ingest(rt, "readings")
    universe("AAA")
    for week in (1, 2, 3):
        rt.clock.sleep_until(NOW + week * WEEK)
        ingest(rt, "readings")
    universe("AAA", "BBB")
    rt.clock.sleep_until(NOW + 4 * WEEK)
    ingest(rt, "readings")
    assert asked(db)[-1] == (True, True, NOW, ["BBB"]), "from the last time on that it was asked about"


def test_a_newcomers_past_that_failed_is_tried_again_and_stops_nobody(rt: Runtime, db: Database, web: Web, universe: Callable[..., None]):
    universe("AAA")
    ingest(rt, "readings")
    universe("AAA", "BBB")
    rt.clock.sleep_until(NOW + WEEK)
    good = web.pages["/a/page1"]

    def break_the_past(path: str) -> None:
        web.pages["/a/page1"] = {"broken": True} if "since=" in web.asked[-1] else good

    web.before = break_the_past
    with pytest.raises(IngestFailed):
        ingest(rt, "readings")
    assert db.row("watermark_get", dataset="readings", source="a") == {"watermark": NOW + WEEK}, "the live fetch had succeeded"
    web.before = lambda path: None
    web.pages["/a/page1"] = good
    rt.clock.sleep_until(NOW + 2 * WEEK)
    ingest(rt, "readings")
    assert asked(db)[-1][1:] == (True, NOW + 2 * WEEK - HISTORY, ["BBB"])


def test_the_past_of_some_is_not_taken_for_the_past_of_all(rt: Runtime, db: Database, universe: Callable[..., None]):
    universe("AAA")
    ingest(rt, "readings")
    universe("AAA", "BBB")
    rt.clock.sleep_until(NOW + WEEK)
    ingest(rt, "readings")
    made = rt.datasets["readings"]
    whole = Span(since=NOW + WEEK - HISTORY, until=NOW + WEEK, backfill=True)
    assert not is_recorded(rt, made, made.sources[0], whole)
