"""Collecting and importing into a real PostgreSQL, from a real HTTP server and real files."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

import config
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.importing import import_files
from daemon.ingest import ingest
from daemon.joblist import metrics_for
from daemon.runtime import Runtime
from daemon.store.datasets import Counts, ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import DATASETS, source_hosts, times
from scrapers.errors import BadFile, SourceChanged
from scrapers.http import Http, HttpOptions

CONSTITUENTS, MEMBERS = DATASETS["constituents"], DATASETS["index_membership"]
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HEADER = "Symbol,Security,GICS Sector,Date added\n"
FIRST = HEADER + "AAA,Alpha,Energy,2020-03-02\nBBB,Beta,Utilities,2021-05-03\n"
SECOND = HEADER + "AAA,Alpha,Energy,2020-03-02\nBBB,Beta,Energy,2021-05-03\nCCC,Gamma,Energy,2025-12-01\n,Nobody,Energy,2025-12-01\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("ingest") / "postgres") as server:
        yield server


@pytest.fixture
def db(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    db = Database(server.ensure, schema=f"s{tmp_path.name}", durable=False)
    db.migrate()
    for dataset in (CONSTITUENTS, MEMBERS):
        ensure_table(db, dataset)
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class Source:
    """A web server that answers every request with `text`."""

    def __init__(self) -> None:
        self.text = FIRST
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = source.text.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def rt(db: Database, lake: Lake, source: Source) -> Iterator[Runtime]:
    """A runtime that collects constituents, and trades nothing."""
    clock = VirtualClock(NOW)
    routes = {CONSTITUENTS.source_url.rpartition("/")[0]: source.url}
    http = Http(HttpOptions(), now=clock.now, sleep=lambda _: None, contact="", hosts=source_hosts(), credentials={}, routes=routes)
    absent: Any = cast("Any", None)
    yield Runtime(
        settings=config.load({}, env_file=None), clock=clock, calendar=Calendar(), db=db, lake=lake, archive=absent, broker=absent,
        book=absent, metrics=metrics_for("v", {}, DATASETS, ()), strategies={}, params={}, datasets=DATASETS,
        sources={"constituents": lambda rt: {}}, http=http, settle_anchors=(), id_prefix="t", code_version="v", sandbox=False,
        history=timedelta(days=100),
    )  # fmt: skip
    http.close()


def stored(db: Database, dataset: str, *columns: str) -> list[tuple[Any, ...]]:
    with db.connection() as connection:
        query = f"SELECT {', '.join(columns)} FROM {dataset} ORDER BY fetched_at, {columns[0]}"
        return [tuple(r.values()) for r in connection.execute(query).fetchall()]


def test_the_first_ingest_is_a_backfill_with_the_archives_times_and_the_next_is_live(rt: Runtime, db: Database, source: Source) -> None:
    first = ingest(rt, "constituents")
    assert first == {"new": 2, "revised": 0, "seen": 0, "rejected": 0, "sealed": 2}
    archive = [("AAA", "Energy", times.day_after(date(2020, 3, 2)), NOW), ("BBB", "Utilities", times.day_after(date(2021, 5, 3)), NOW)]
    assert stored(db, "constituents", "symbol", "sector", "known_at", "fetched_at") == archive

    later = NOW + timedelta(days=7)
    rt.clock.sleep_until(later)
    source.text = SECOND
    assert ingest(rt, "constituents") == {"new": 1, "revised": 1, "seen": 1, "rejected": 1, "sealed": 2}
    live = [("BBB", "Energy", later, later), ("CCC", "Energy", later, later)]
    assert stored(db, "constituents", "symbol", "sector", "known_at", "fetched_at") == [*archive, *live], (
        "what is new is known from now on, whatever date the list gives"
    )
    assert rt.lake.read(CONSTITUENTS).num_rows == 4
    assert db.rows("reject_counts") == [{"dataset": "constituents", "reason": "bad_symbol", "n": 1}]
    assert db.row("watermark_get", dataset="constituents") == {"watermark": later}


def test_a_fetch_reads_from_its_watermark_less_the_overlap_and_the_first_time_the_whole_history(rt: Runtime) -> None:
    asked: list[tuple[datetime, datetime, bool]] = []

    def fetch(http: Http, since: datetime, until: datetime, options: Mapping[str, Any]) -> Any:
        asked.append((since, until, options["backfill"]))
        return CONSTITUENTS.fetch(http, since, until, options)  # type: ignore[misc]

    rt.datasets = {"constituents": replace(CONSTITUENTS, fetch=fetch, overlap=timedelta(days=3))}
    ingest(rt, "constituents")
    later = NOW + timedelta(days=7)
    rt.clock.sleep_until(later)
    ingest(rt, "constituents")
    assert asked == [(NOW - timedelta(days=100), NOW, True), (NOW - timedelta(days=3), later, False)]


def test_a_source_that_changed_its_shape_stores_nothing_and_is_asked_again_from_the_same_instant(
    rt: Runtime, db: Database, source: Source
) -> None:
    ingest(rt, "constituents")
    before = stored(db, "constituents", "symbol", "known_at")
    rt.clock.sleep_until(NOW + timedelta(days=7))
    source.text = "<html>We have moved</html>"
    with pytest.raises(SourceChanged):
        ingest(rt, "constituents")
    assert stored(db, "constituents", "symbol", "known_at") == before
    assert db.row("watermark_get", dataset="constituents") == {"watermark": NOW}


def test_a_first_ingest_that_failed_is_a_backfill_when_it_is_tried_again(rt: Runtime, db: Database, source: Source) -> None:
    source.text = "nothing here"
    with pytest.raises(SourceChanged):
        ingest(rt, "constituents")
    assert db.row("watermark_get", dataset="constituents") is None
    source.text = FIRST
    ingest(rt, "constituents")
    assert stored(db, "constituents", "known_at") == [(times.day_after(date(2020, 3, 2)),), (times.day_after(date(2021, 5, 3)),)]


GOOD = "ticker,start_date,end_date\nAAA,2020-01-02,\nBBB,2020-01-02,2021-06-30\n^MWE,2020-01-02,\nCCC,soon,\n"


def files(folder: Path, **texts: str) -> list[Path]:
    paths = [folder / f"{name}.csv" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths


def test_an_import_counts_rows_and_keeps_what_it_refuses_with_the_reason(db: Database, lake: Lake, tmp_path: Path) -> None:
    progress: list[int] = []
    done = import_files(db, lake, MEMBERS, files(tmp_path, good=GOOD), NOW, progress.append)
    # AAA has begun (one version), BBB has begun and ended (two).
    assert done.counts.fetched == sum(progress) == 5
    assert (done.counts.new + done.counts.revised, done.counts.seen, done.counts.rejected) == (3, 0, 2)
    assert done.rejected_by_reason == {"bad_date": 1, "bad_symbol": 1}
    assert sorted(stored(db, "rejects", "reason", "position", "fetched_at")) == [
        ("bad_date", "good.csv:5", NOW),
        ("bad_symbol", "good.csv:4", NOW),
    ]
    (raw,) = [raw for reason, raw in stored(db, "rejects", "reason", "raw") if reason == "bad_symbol"]
    assert "^MWE" in raw
    assert lake.read(MEMBERS).num_rows == 3, "sealed as soon as it is stored"


def test_importing_the_same_file_again_adds_nothing(db: Database, lake: Lake, tmp_path: Path) -> None:
    paths = files(tmp_path, good=GOOD)
    import_files(db, lake, MEMBERS, paths, NOW, lambda _: None)
    before = stored(db, "index_membership", "id", "symbol", "known_at")
    again = import_files(db, lake, MEMBERS, paths, NOW + timedelta(days=1), lambda _: None)
    assert again.counts == Counts(seen=3, rejected=2)
    assert again.rejected_by_reason == {"bad_date": 1, "bad_symbol": 1}
    assert stored(db, "index_membership", "id", "symbol", "known_at") == before
    assert len(stored(db, "rejects", "id")) == 2


@pytest.mark.parametrize("second", ["these,are,not,spells\n1,2,3,4\n", "\x00\x01\x02", ""])
def test_an_import_that_fails_on_its_second_file_stores_nothing_of_the_first(db: Database, lake: Lake, tmp_path: Path, second: str) -> None:
    progress: list[int] = []
    with pytest.raises(BadFile):
        import_files(db, lake, MEMBERS, files(tmp_path, first=GOOD, second=second), NOW, progress.append)
    assert progress == [5], "the first file had been read"
    assert stored(db, "index_membership", "id", "symbol", "known_at") == stored(db, "rejects", "id") == []
    assert lake.segments("index_membership") == []


def test_a_missing_file_is_named_before_anything_is_read(db: Database, lake: Lake, tmp_path: Path) -> None:
    progress: list[int] = []
    with pytest.raises(BadFile, match=r"absent\.csv: no such file$"):
        import_files(db, lake, MEMBERS, [*files(tmp_path, good=GOOD), tmp_path / "absent.csv"], NOW, progress.append)
    assert progress == []


def test_a_dataset_without_archives_cannot_be_imported(db: Database, lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="index_membership cannot be imported from files"):
        import_files(db, lake, replace(MEMBERS, load=None), files(tmp_path, good=GOOD), NOW, lambda _: None)


def test_what_is_imported_again_with_corrections_is_known_from_the_import_on(db: Database, lake: Lake, tmp_path: Path) -> None:
    import_files(db, lake, CONSTITUENTS, files(tmp_path, a=FIRST), NOW, lambda _: None)
    later = NOW + timedelta(days=1)
    done = import_files(db, lake, CONSTITUENTS, files(tmp_path, b=SECOND), later, lambda _: None)
    assert done.counts == Counts(new=1, revised=1, seen=1, rejected=1)
    assert stored(db, "constituents", "symbol", "sector", "known_at")[2:] == [
        ("BBB", "Energy", later),
        ("CCC", "Energy", times.day_after(date(2025, 12, 1))),
    ]
