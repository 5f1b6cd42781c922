"""What a fetch must not count as read: a past that nobody could be asked for yet, and a page of which hardly a record was a row."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.ingest import IngestFailed, ingest
from daemon.jobs import Skipped
from daemon.runtime import Runtime
from daemon.store.datasets import ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from scrapers import DATASETS
from scrapers.base import Source
from scrapers.circuit import Circuits
from tests.integration.small_feed import NOW, Web, collecting, dataset, record, serving, source, stored

ARTICLES = DATASETS["wiki_articles"]
GOOD, NAMELESS = record("AAA", "2025-12-01", 1.0), record("", "2025-12-01", 1.0)


@pytest.fixture
def db(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(postgres.ensure, schema=f"s{tmp_path.name}", durable=False)
    db.migrate()
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.pages = {"/a/page1": [GOOD]}
        yield web


@pytest.fixture
def open_rt(db: Database, web: Web, tmp_path: Path) -> Iterator[Callable[[Source], Runtime]]:
    opened: list[Any] = []

    def make(only: Source) -> Runtime:
        opened.append(collecting(db, tmp_path, web, dataset(only), NOW))
        return opened[-1].__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


Open = Callable[[Source], Runtime]


def test_a_source_is_not_asked_for_its_past_before_there_is_anything_to_ask_by(open_rt: Open, db: Database, web: Web) -> None:
    rt = open_rt(source("a", wants=("rows:wiki_articles",)))
    ensure_table(db, ARTICLES)
    waiting = replace(rt, datasets={**rt.datasets, ARTICLES.name: ARTICLES}, sources={**rt.sources, ARTICLES.name: ARTICLES.sources})
    with pytest.raises(Skipped, match="readings waits for the first rows of wiki_articles"):
        ingest(waiting, "readings")
    assert web.asked == []
    assert db.rows("watermarks_all") == []
    assert ingest(rt, "readings")["new"] == 1, "a dataset that nobody collects here is not waited for"
    rt.clock.sleep_until(NOW + timedelta(days=1))
    assert ingest(waiting, "readings")["seen"] == 1, "a source that was read before goes on"


@pytest.mark.parametrize(("nameless", "good", "fails"), [(9, 0, False), (10, 0, True), (18, 2, True), (17, 2, False)])
def test_a_fetch_of_which_hardly_a_record_was_a_row_leaves_the_watermark_where_it_was(
    open_rt: Open, db: Database, web: Web, nameless: int, good: int, fails: bool
) -> None:
    rt = open_rt(source("a"))
    assert rt.http is not None
    rt.http.circuits = Circuits(now=rt.clock.now)
    ingest(rt, "readings")
    rt.clock.sleep_until(NOW + timedelta(days=1))
    web.pages["/a/page1"] = [NAMELESS] * nameless + [record(symbol, "2026-01-05", 1.0) for symbol in ("BBB", "CCC")[:good]]
    if fails:
        with pytest.raises(IngestFailed, match=f"{nameless} of {nameless + good} records were refused .no_symbol {nameless}"):
            ingest(rt, "readings")
    else:
        ingest(rt, "readings")
    assert [row["watermark"] for row in db.rows("watermarks_all")] == [NOW if fails else NOW + timedelta(days=1)]
    assert rt.http.circuits.state("a").failed_runs == int(fails)
    assert len(stored(db, "symbol")) == 1 + good, "what was a row stays"


def test_a_source_that_breaks_off_after_its_first_page_again_and_again_is_left_alone(open_rt: Open, web: Web) -> None:
    rt = open_rt(source("a", pages=2))
    assert rt.http is not None
    rt.http.circuits = Circuits(now=rt.clock.now)
    for n in range(3):
        rt.clock.sleep_until(NOW + timedelta(minutes=n))
        assert rt.http.circuits.state("a").open_until is None
        with pytest.raises(IngestFailed):
            ingest(rt, "readings")
    assert rt.http.circuits.state("a").open_until is not None
