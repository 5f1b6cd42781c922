"""Reading the past piece by piece, and archived answers again, over a real PostgreSQL and a real HTTP server."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import feeds
from daemon.backfill import Pace, Piece, backfill, pieces
from daemon.errors import WrongUsage
from daemon.ingest import IngestFailed, ingest
from daemon.raw_archive import prune
from daemon.reparse import Reparsed, recorded_fetches, reparse
from daemon.runtime import Runtime
from daemon.store.datasets import Counts
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from scrapers import times
from scrapers.base import Rate
from scrapers.errors import SourceChanged
from tests.integration.small_feed import NOW, Web, collecting, dataset, fetches, record, serving, source, stored

Open = Callable[..., Runtime]
EVER = datetime(2000, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
FIRST, SECOND = record("AAA", "2025-10-20", 1.0), record("BBB", "2025-12-20", 2.0)


@pytest.fixture
def db(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(postgres.ensure, schema=f"b{tmp_path.name}", durable=False)
    db.migrate()
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.pages = {"/a/page1": [FIRST, SECOND], "/b/page1": []}
        yield web


@pytest.fixture
def open_rt(db: Database, web: Web, tmp_path: Path) -> Iterator[Open]:
    opened: list[Any] = []

    def make(*sources: Any, **options: Any) -> Runtime:
        opened.append(collecting(db, tmp_path, web, dataset(*sources, **options)))
        return opened[-1].__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


def planned(rt: Runtime, *, since: datetime = NOW - timedelta(days=100), again: bool = False) -> list[Piece]:
    made = rt.datasets["readings"]
    return pieces(rt, made, made.sources, since, NOW, again=again)


def done_again(rt: Runtime, *, dry_run: bool = False, since: datetime = EVER, only: str | None = None) -> Reparsed:
    made = rt.datasets["readings"]
    return reparse(rt, made, recorded_fetches(rt.db, made, only, since), dry_run=dry_run, progress=lambda: None)


def test_a_backfill_reads_every_piece_once_and_with_again_once_more(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a", chunk=MONTH), source("b", chunk=MONTH))
    plan = planned(rt)
    assert [p.recorded for p in plan] == [False] * len(plan)
    assert {p.source.name for p in plan} == {"a", "b"}
    told: list[Piece] = []
    assert backfill(rt, rt.datasets["readings"], plan, told.append) == Counts(new=2)
    assert told == plan
    assert stored(db, "symbol", "known_at") == [("AAA", times.day_after(date(2025, 10, 20))), ("BBB", times.day_after(date(2025, 12, 20)))]
    web.asked.clear()
    assert all(p.recorded for p in planned(rt))
    assert backfill(rt, rt.datasets["readings"], planned(rt), told.append) == Counts()
    assert web.asked == []
    assert backfill(rt, rt.datasets["readings"], planned(rt, again=True), told.append) == Counts(seen=2)
    assert db.rows("watermarks_all") == [], "where collecting stands does not change"


def test_an_interrupted_backfill_goes_on_with_the_piece_that_was_cut_short(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a", chunk=MONTH))
    plan, told = planned(rt), list[Piece]()

    def interrupted(piece: Piece) -> None:
        told.append(piece)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(rt, rt.datasets["readings"], plan, interrupted)
    assert [p.recorded for p in planned(rt)] == [True, True] + [False] * (len(plan) - 2)
    web.pages["/a/page1"] = {"moved": True}
    with pytest.raises(SourceChanged):
        backfill(rt, rt.datasets["readings"], planned(rt), told.append)
    assert [p.recorded for p in planned(rt)] == [True, True] + [False] * (len(plan) - 2)


def test_the_first_ingest_does_not_ask_again_for_what_a_backfill_has_read(open_rt: Open, web: Web) -> None:
    rt = open_rt(source("a", chunk=MONTH))
    backfill(rt, rt.datasets["readings"], planned(rt), lambda piece: None)
    web.asked.clear()
    ingest(rt, "readings")
    assert len(web.asked) == 1, "the last piece, which ends now"


def test_a_source_that_shows_the_present_alone_is_refused_in_clear_words(open_rt: Open) -> None:
    with pytest.raises(WrongUsage, match="readings: a show the present alone"):
        planned(open_rt(source("a", history=False)))
    with pytest.raises(WrongUsage, match="nothing lies between 2026-01-06 and 2026-01-05"):
        planned(open_rt(source("a"), backfill_from=NOW + timedelta(days=1)))


def test_the_time_left_is_no_less_than_the_allowance_leaves() -> None:
    hourly = Rate(group="x", requests=5, per_s=3600.0)
    assert Pace(pieces=10).left_s(hourly, 5) is None
    assert Pace(pieces=10, done=5, requests=5, elapsed_s=10.0).left_s(hourly, 5) == 3600.0
    assert Pace(pieces=10, done=5, requests=50, elapsed_s=36_000.0).left_s(hourly, 5) == 36_000.0
    assert Pace(pieces=4, done=2, requests=10, elapsed_s=5.0).left_s(Rate(group="y", requests=1000, per_s=1.0), 1000) == 5.0


def test_the_same_parser_makes_the_same_rows_of_the_same_answers(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    rt.clock.sleep_until(NOW + timedelta(days=1))
    web.pages["/a/page1"] = [FIRST | {"value": 5.0}, SECOND]
    ingest(rt, "readings")
    before, asked = stored(db, "*"), len(web.asked)
    done = done_again(rt)
    assert (done.fetches, done.counts, done.withdrawn, done.problems) == (2, Counts(seen=4), 0, [])
    assert stored(db, "*") == before
    assert len(web.asked) == asked, "nothing is asked"


def test_a_better_parser_corrects_what_its_fetch_stored_from_the_same_instant_on(open_rt: Open, db: Database) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    better = open_rt(source("a", scale=100.0))
    assert done_again(better).counts == Counts(revised=2)
    versions = stored(db, "symbol", "value", "known_at", "fetched_at", where="symbol = 'AAA'")
    known = times.day_after(date(2025, 10, 20))
    assert versions == [("AAA", 1.0, known, NOW), ("AAA", 100.0, known, NOW)]
    assert rt.lake.read(rt.datasets["readings"]).num_rows == 4, "and views see it"
    assert done_again(better).counts == Counts(seen=2), "once corrected, nothing changes"


def test_rows_that_a_better_parser_no_longer_makes_are_withdrawn(open_rt: Open, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    stricter = open_rt(_only_bbb())
    dry = done_again(stricter, dry_run=True)
    assert (dry.counts, dry.withdrawn) == (Counts(seen=1), 1)
    assert stored(db, "symbol", where="gone") == [], "a dry run changes nothing"
    assert done_again(stricter).withdrawn == 1
    assert stored(db, "symbol", "known_at", where="gone") == [("AAA", times.day_after(date(2025, 10, 20)))]
    assert done_again(stricter).withdrawn == 0
    nothing = open_rt(_nothing())
    assert done_again(nothing).withdrawn == 1
    assert sorted(stored(db, "symbol", where="gone")) == [("AAA",), ("BBB",)]


def _only_bbb() -> Any:
    plain = source("a")

    def fetch(http: Any, since: Any, until: Any, options: Any) -> Any:
        for batch in plain.fetch(http, since, until, options):
            rows = batch.rows
            yield replace(batch, rows=rows.filter([symbol == "BBB" for symbol in rows.column("symbol").to_pylist()]))

    return replace(plain, fetch=fetch)


def _nothing() -> Any:
    plain = source("a")

    def fetch(http: Any, since: Any, until: Any, options: Any) -> Any:
        list(plain.fetch(http, since, until, options))
        return iter(())

    return replace(plain, fetch=fetch)


def test_a_page_that_was_not_understood_then_is_understood_now(open_rt: Open, db: Database, web: Web) -> None:
    web.pages["/a/page1"] = {"moved": [FIRST]}
    with pytest.raises(IngestFailed):
        ingest(open_rt(source("a")), "readings")

    def fetch(http: Any, since: Any, until: Any, options: Any) -> Any:
        from scrapers import tables
        from tests.integration.small_feed import HOST, RATE, Reading, parsed

        url = f"https://{HOST}/a/page1"
        page = http.get(url, {"since": since.isoformat(), "until": until.isoformat()}, source="a", rate=RATE).json()
        yield from tables.batches(Reading, parsed(page["moved"], url, "a", 1.0))

    done = done_again(open_rt(replace(source("a"), fetch=fetch)))
    assert (done.counts, done.problems) == (Counts(new=1), [])
    assert stored(db, "symbol", "fetch_id") == [("AAA", fetches(db, "id")[0][0])]


def test_a_fetch_whose_answers_are_gone_or_asked_otherwise_is_told_and_withdraws_nothing(
    open_rt: Open, db: Database, tmp_path: Path
) -> None:
    rt = open_rt(source("a"))
    ingest(rt, "readings")
    otherwise = done_again(open_rt(source("a", pages=2)))
    assert (otherwise.fetches, otherwise.counts, otherwise.withdrawn) == (0, Counts(seen=2), 0)
    assert "NotRecorded" in otherwise.problems[0] and "/a/page2" in otherwise.problems[0]
    (body,) = (tmp_path / "raw").rglob("*.gz")
    body.unlink()
    (problem,) = done_again(rt).problems
    assert problem.startswith(f"fetch {fetches(db, 'id')[0][0]} of a at 2026-01-05 12:00: its answers are not kept any more")
    prune(db, rt.raw, NOW + timedelta(days=100), 90)
    (problem,) = done_again(rt).problems
    assert problem.endswith("(1 of 1 are pruned)")
    assert stored(db, "symbol", where="gone") == []


def test_only_the_fetches_that_are_asked_for_are_read_again(open_rt: Open, db: Database) -> None:
    rt = open_rt(source("a"), source("b"))
    ingest(rt, "readings")
    rt.clock.sleep_until(NOW + timedelta(days=1))
    ingest(rt, "readings")
    assert done_again(rt, only="a").fetches == 2
    assert done_again(rt, only="a", since=NOW + timedelta(days=1)).fetches == 1
    with pytest.raises(WrongUsage, match="readings has no source 'c'; it has a, b"):
        done_again(rt, only="c")


def test_options_come_from_the_record_and_functions_are_made_anew(open_rt: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def fetch(http: Any, since: Any, until: Any, options: Any) -> Any:
        seen.append((options["members"], options["close_at"](date(2025, 12, 22)), options["backfill"]))
        return iter(())

    given = {"members": lambda rt: {"AAA": date(2020, 1, 2)}, "close_at": lambda rt: rt.calendar.close_at}
    monkeypatch.setattr(feeds, "PROVIDERS", given)
    rt = open_rt(replace(source("a", wants=("members", "close_at")), fetch=fetch))
    ingest(rt, "readings")
    given["members"] = lambda rt: {"BBB": date(2021, 1, 2)}
    assert done_again(rt).problems == []
    assert seen[0] == seen[1] == ({"AAA": date(2020, 1, 2)}, datetime(2025, 12, 22, 21, tzinfo=UTC), True)
