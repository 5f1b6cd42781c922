"""Collecting a dataset of two sources into a real PostgreSQL from a real HTTP server: watermarks, records, failures, the archive."""

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import feeds
from daemon.errors import StartRefused
from daemon.fetch_record import plain, restored
from daemon.ingest import IngestFailed, chunks, ingest
from daemon.jobs import Skipped
from daemon.logging import configure
from daemon.outbound import _keeper
from daemon.raw_archive import prune
from daemon.runtime import Runtime
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from scrapers import times
from tests.integration.small_feed import NOW, Web, chunked, collecting, dataset, fetches, record, serving, source, stored

Open = Callable[..., Runtime]
Told = Callable[[str], list[dict[str, Any]]]
LATER = NOW + timedelta(days=1)
OLD, NEW = record("AAA", "2025-12-01", 1.0), record("BBB", "2025-12-02", 2.0)


@pytest.fixture
def db(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(postgres.ensure, schema=f"i{tmp_path.name}", durable=False)
    db.migrate()
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.pages = {"/a/page1": [OLD], "/b/page1": [NEW]}
        yield web


@pytest.fixture
def open_rt(db: Database, web: Web, tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """Opens runtimes over one database, archive and server."""
    opened: list[Any] = []

    def make(*sources: Any, now: datetime = NOW, parts: dict[str, Any] | None = None, **options: Any) -> Runtime:
        opened.append(collecting(db, tmp_path, web, dataset(*sources, **options), now, **(parts or {})))
        return opened[-1].__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def told() -> Told:
    """The log lines of an event."""
    stream = io.StringIO()
    configure(json=True, level="info", base={}, now=lambda: NOW, stream=stream)
    return lambda event: [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == event]


def test_sources_of_one_rank_are_collected_together_each_from_its_own_watermark(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a"), source("b"))
    assert ingest(rt, "readings") == {"new": 2, "revised": 0, "seen": 0, "rejected": 0, "withdrawn": 0, "sealed": 2}
    assert stored(db, "origin", "symbol", "known_at") == [
        ("a", "AAA", times.day_after(date(2025, 12, 1))),
        ("b", "BBB", times.day_after(date(2025, 12, 2))),
    ], "the first time is a backfill: what was published long ago is known from then on"
    rt.clock.sleep_until(LATER)
    web.pages["/b/page1"] = b"<html>moved</html>"
    with pytest.raises(IngestFailed, match=r"^readings: 1 of 2 sources failed: b \(SourceChanged\): https://feed.example.org/b/page1"):
        ingest(rt, "readings")
    marks = {r["source"]: r["watermark"] for r in db.rows("watermarks_all")}
    assert marks == {"a": LATER, "b": NOW}, "a source that failed is asked again from where it was left"
    web.pages["/b/page1"] = [NEW]
    web.asked.clear()
    rt.clock.sleep_until(LATER + timedelta(days=1))
    ingest(rt, "readings")
    since = [s for (s,) in fetches(db, "since")]
    assert since[-2:] == [LATER - timedelta(days=3), NOW - timedelta(days=3)]


def test_every_fetch_is_recorded_with_what_it_asked_and_what_came(open_rt: Open, db: Database, web: Web) -> None:
    web.pages["/a/page1"] = [OLD, {"symbol": ""}]
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    rt.clock.sleep_until(LATER)
    web.pages["/a/page1"] = [record("AAA", "2025-12-01", 9.0), NEW]
    ingest(rt, "readings")
    columns = ("source", "since", "until", "backfill", "outcome", "new", "revised", "seen", "rejected", "requests")
    assert fetches(db, *columns) == [
        ("a", NOW - timedelta(days=100), NOW, True, "success", 1, 0, 0, 1, 1),
        ("a", NOW - timedelta(days=3), LATER, False, "success", 1, 1, 0, 0, 1),
    ]
    ids = [i for (i,) in fetches(db, "id")]
    assert sorted(stored(db, "fetch_id", "value")) == [(ids[0], 1.0), (ids[1], 2.0), (ids[1], 9.0)], "a row says which fetch brought it"


def test_a_live_fetch_is_known_from_its_end_because_nobody_had_it_before(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a", history=False))
    done = NOW + timedelta(minutes=7)
    web.before = lambda path: rt.clock.sleep_until(done) and None
    ingest(rt, "readings")
    assert stored(db, "known_at", "fetched_at") == [(done, done)]
    assert db.row("watermark_get", dataset="readings", source="a") == {"watermark": NOW}, "what changed meanwhile is asked for again"


def test_what_a_source_delivered_before_it_failed_stays_and_the_watermark_does_not_move(open_rt: Open, db: Database, web: Web) -> None:
    web.pages["/a/page2"] = {"error": "changed"}
    rt = open_rt(source("a", pages=2))
    with pytest.raises(IngestFailed):
        ingest(rt, "readings")
    assert stored(db, "symbol") == [("AAA",)]
    assert rt.lake.read(rt.datasets["readings"]).num_rows == 1, "and is seen by views"
    assert db.row("watermark_get", dataset="readings", source="a") is None
    assert fetches(db, "outcome", "error_type", "new", "requests") == [("failed", "SourceChanged", 1, 2)]


def test_a_page_that_was_not_understood_is_kept_and_the_line_says_where(
    open_rt: Open, db: Database, web: Web, tmp_path: Path, told: Told
) -> None:
    web.pages["/a/page1"] = b'{"moved": true}'
    rt = open_rt(source("a"))
    with pytest.raises(IngestFailed):
        ingest(rt, "readings")
    (line,) = told("scrape.failed")
    (body,) = (tmp_path / "raw").rglob("*.gz")
    assert line["page"] == str(body) and gzip.decompress(body.read_bytes()) == b'{"moved": true}'
    assert rt.metrics.exposition().count(b'allocd_scraper_schema_changes_total{source="a"} 1.0') == 1


def test_a_fault_of_one_parser_leaves_the_other_sources_their_turn(open_rt: Open, db: Database, web: Web, told: Told) -> None:
    web.pages["/a/page1"] = [{"symbol": "AAA", "day": "2025-12-01"}]  # a key that the parser takes for granted
    with pytest.raises(KeyError):
        ingest(open_rt(source("a"), source("b")), "readings")
    assert [(line["source"], line["error_type"]) for line in told("scrape.failed")] == [("a", "KeyError")]
    assert stored(db, "origin") == [("b",)]
    assert fetches(db, "source", "outcome", "error_type") == [("a", "failed", "KeyError"), ("b", "success", "")]


def test_an_optional_source_is_absent_without_a_complaint(open_rt: Open, db: Database, web: Web) -> None:
    del web.pages["/b/page1"]
    assert ingest(open_rt(source("a"), source("b", optional=True)), "readings")["new"] == 1
    assert [o for (o,) in fetches(db, "outcome")] == ["success", "failed"], "it is on record all the same"


def test_a_past_that_was_cut_short_goes_on_where_it_stopped(open_rt: Open, db: Database, web: Web) -> None:
    piece = chunked(source("a"), timedelta(days=30))
    rt = open_rt(piece)
    spans = chunks(piece, NOW - timedelta(days=100), NOW)
    assert (spans[0].since, spans[-1].until) == (NOW - timedelta(days=100), NOW)
    assert [a.until for a in spans[:-1]] == [b.since for b in spans[1:]]
    asked = 0

    def fail_at_the_third(path: str) -> None:
        nonlocal asked
        asked += 1
        web.pages["/a/page1"] = "gone" if asked == 3 else [OLD]

    web.before = fail_at_the_third
    with pytest.raises(IngestFailed):
        ingest(rt, "readings")
    assert db.row("watermark_get", dataset="readings", source="a") is None
    ingest(rt, "readings")
    assert [(o, s) for o, s in fetches(db, "outcome", "since")] == [
        ("success", spans[0].since), ("success", spans[1].since), ("failed", spans[2].since), *(("success", s.since) for s in spans[2:])
    ]  # fmt: skip
    assert db.row("watermark_get", dataset="readings", source="a") == {"watermark": NOW}
    assert stored(db, "symbol") == [("AAA",)]


def test_a_source_without_history_just_starts(open_rt: Open, db: Database) -> None:
    ingest(open_rt(source("a", history=False)), "readings")
    assert fetches(db, "backfill", "since") == [(False, NOW - timedelta(days=3))]


def test_what_is_missing_from_a_complete_snapshot_was_withdrawn(open_rt: Open, db: Database, web: Web) -> None:
    web.pages["/a/page1"] = [OLD, NEW]
    rt = open_rt(source("a", history=False), snapshot=True)
    ingest(rt, "readings")
    web.pages["/a/page1"] = [OLD]
    rt.clock.sleep_until(LATER)
    assert ingest(rt, "readings")["withdrawn"] == 1
    assert stored(db, "symbol", "known_at", where="gone") == [("BBB", LATER)]


def test_a_snapshot_that_failed_or_lost_too_much_withdraws_nothing(open_rt: Open, db: Database, web: Web, told: Told) -> None:
    web.pages["/a/page1"] = [record(f"S{letter}", "2025-12-01", 1.0) for letter in "ABCDEFGHIJ"]
    rt = open_rt(source("a", history=False), source("b", history=False), snapshot=True)
    ingest(rt, "readings")
    web.pages |= {"/a/page1": [], "/b/page1": b"<html>"}
    with pytest.raises(IngestFailed):
        ingest(rt, "readings")
    web.pages["/b/page1"] = [NEW]
    assert ingest(rt, "readings")["withdrawn"] == 0
    assert stored(db, "symbol", where="gone") == []
    assert len(told("data.withdrawal_refused")) == 1


def test_the_canonical_line_and_the_counters_add_up(open_rt: Open, web: Web, told: Told) -> None:
    web.pages["/a/page1"] = [OLD, NEW, {"symbol": ""}, {"symbol": ""}]
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    rt.clock.sleep_until(LATER)
    ingest(rt, "readings")
    first, second = told("scrape.finished")
    assert (first["host"], first["attempts"]) == ("feed.example.org", 1)
    assert (first["new"], second["seen"], second["requests"], second["rejected"]) == (2, 2, 1, 2)
    assert [line["reasons"] for line in told("data.rejected")] == [{"no_symbol": 2}] * 2
    exported = rt.metrics.exposition()
    for result, number in (("stored", 2), ("duplicate", 2), ("rejected", 4)):
        assert f'allocd_scraper_rows_total{{result="{result}",source="a"}} {number}.0'.encode() in exported
    assert b'allocd_data_quality_failures_total{dataset="readings",kind="rejected"} 4.0' in exported
    assert b'kind="unreconciled"} 0.0' in exported


def test_every_answer_is_indexed_and_its_body_kept_once_a_day(open_rt: Open, db: Database, web: Web, tmp_path: Path) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    ingest(rt, "readings")
    kept = [db.rows("responses_of", fetch_id=i) for (i,) in fetches(db, "id")]
    assert [(r["url"], r["status"], r["rate_group"]) for (r,) in kept] == [("https://feed.example.org/a/page1", 200, "small-feed")] * 2
    assert kept[0][0]["asked"] == {"since": (NOW - timedelta(days=100)).isoformat(), "until": NOW.isoformat()}
    assert len(list((tmp_path / "raw").rglob("*.gz"))) == 1
    assert rt.raw.exchange(kept[1][0]).content == b'[{"symbol": "AAA", "day": "2025-12-01", "value": 1.0}]'


def test_answers_older_than_the_retention_are_forgotten_and_fetches_stay(open_rt: Open, db: Database, tmp_path: Path) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    rt.clock.sleep_until(NOW + timedelta(days=90))
    ingest(rt, "readings")
    assert prune(db, rt.raw, NOW + timedelta(days=90), 90)["days"] == 0
    gone = prune(db, rt.raw, NOW + timedelta(days=91), 90)
    assert (gone["days"], gone["responses"]) == (1, 1) and gone["bytes"] > 0
    assert [folder.name for folder in (tmp_path / "raw").iterdir()] == ["2026-04-05"]
    assert len(fetches(db, "id")) == 2


def test_a_dataset_is_collected_by_one_run_at_a_time(open_rt: Open, web: Web) -> None:
    rt = open_rt(source("a"))
    seen: list[str] = []

    def again(path: str) -> None:
        try:
            ingest(rt, "readings")
        except Skipped as reason:
            seen.append(str(reason))

    web.before = again
    ingest(rt, "readings")
    assert seen == ["readings is being collected already"]


def test_a_source_is_given_what_it_wants_and_a_record_of_it_is_kept(open_rt: Open, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"members": lambda rt: {"AAA": date(2020, 1, 2)}, "close_at": lambda rt: rt.calendar.close_at}
    monkeypatch.setattr(feeds, "PROVIDERS", given)
    ingest(open_rt(source("a", wants=("members", "close_at"))), "readings")
    (row,) = db.rows("fetches_of", dataset="readings", since=NOW)
    assert row["options"] == {"backfill": True, "members": {"AAA": {"$date": "2020-01-02"}}}, "functions are made anew"


def test_a_source_that_wants_the_unknown_is_refused_at_start() -> None:
    made = dataset(source("a", wants=("oracle",)))
    with pytest.raises(StartRefused, match=r"source a of readings wants 'oracle'"):
        feeds.check({"readings": made})
    feeds.check({"readings": replace(made, sources=(source("a", wants=("symbols", "rows:readings")),))})


def test_datasets_are_collected_behind_those_that_they_read() -> None:
    def reading(name: str, *wants: str) -> Any:
        return replace(dataset(source("a", wants=wants)), name=name)

    made = {
        d.name: d
        for d in (reading("bars", "symbols"), reading("constituents"), reading("assets"), reading("aaa", "rows:bars"), reading("zzz"))
    }
    assert feeds.in_order(made, made) == ["assets", "constituents", "bars", "aaa", "zzz"]
    assert feeds.with_reads(made, ["aaa"]) == {"aaa", "bars", "assets", "constituents"}
    circle = {d.name: d for d in (reading("x", "rows:y"), reading("y", "rows:x"))}
    assert sorted(feeds.in_order(circle, circle)) == ["x", "y"]


def test_options_survive_their_record() -> None:
    given = {"a": date(2020, 1, 2), "b": datetime(2020, 1, 2, tzinfo=UTC), "c": ["x", {"d": None}], "e": 1.5, "f": True}
    assert restored(plain(given)) == given
    with pytest.raises(TypeError, match="object cannot be recorded"):
        plain(object())


def test_a_stop_ends_a_fetch_at_the_next_answer_and_is_no_failure(open_rt: Open, db: Database, web: Web) -> None:
    stopping = threading.Event()
    stopping.set()
    rt = open_rt(source("a", pages=3))
    rt.http._on_exchange = _keeper(rt.raw, stopping)
    with pytest.raises(Skipped, match="stopped while it was being collected"):
        ingest(rt, "readings")
    assert len(web.asked) == 1
    assert fetches(db, "outcome", "error_type", "requests") == [("failed", "CollectingStopped", 1)]
    assert db.row("watermark_get", dataset="readings", source="a") is None
