"""Importing into a real PostgreSQL from real files."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.importing import import_files
from daemon.store.datasets import Counts, ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import DATASETS, times
from scrapers.errors import BadFile

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


def stored(db: Database, dataset: str, *columns: str) -> list[tuple[Any, ...]]:
    with db.connection() as connection:
        query = f"SELECT {', '.join(columns)} FROM {dataset} ORDER BY fetched_at, {columns[0]}"
        return [tuple(r.values()) for r in connection.execute(query).fetchall()]


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
    assert progress in ([], [5]), "the first file may have been read"
    assert stored(db, "index_membership", "id", "symbol", "known_at") == stored(db, "rejects", "id") == []
    assert lake.segments("index_membership") == []


def test_a_missing_file_is_named_before_anything_is_read(db: Database, lake: Lake, tmp_path: Path) -> None:
    progress: list[int] = []
    with pytest.raises(BadFile, match=r"absent\.csv: no such file$"):
        import_files(db, lake, MEMBERS, [*files(tmp_path, good=GOOD), tmp_path / "absent.csv"], NOW, progress.append)
    assert progress == []


def test_a_dataset_without_readers_of_archives_takes_tables_of_its_own_columns(db: Database, lake: Lake, tmp_path: Path) -> None:
    bare = replace(MEMBERS, load=None)
    with pytest.raises(BadFile, match=r"good\.csv: index_membership is imported from tables with its own columns alone: event_at, index"):
        import_files(db, lake, bare, files(tmp_path, good=GOOD), NOW, lambda _: None)
    header = "index_name,symbol,start_date,end_date,event_at,known_at\n"
    own = header + "sp500,AAA,2020-01-02,,2020-01-02T00:00:00+00:00,2020-01-03T05:00:00+00:00\n"
    done = import_files(db, lake, bare, files(tmp_path, own=own), NOW, lambda _: None)
    assert done.counts == Counts(new=1)
    assert stored(db, "index_membership", "symbol", "known_at") == [("AAA", datetime(2020, 1, 3, 5, tzinfo=UTC))]


def test_tables_of_our_own_and_archives_may_be_imported_together(db: Database, lake: Lake, tmp_path: Path) -> None:
    own = "index_name,symbol,start_date,end_date,event_at\nsp500,ZZZ,2020-01-02,,2020-01-02T15:00:00+00:00\n"
    done = import_files(db, lake, MEMBERS, files(tmp_path, good=GOOD, own=own), NOW, lambda _: None)
    assert (done.counts.new + done.counts.revised, done.counts.rejected) == (4, 2)


def test_what_is_imported_again_with_corrections_is_known_from_the_import_on(db: Database, lake: Lake, tmp_path: Path) -> None:
    import_files(db, lake, CONSTITUENTS, files(tmp_path, a=FIRST), NOW, lambda _: None)
    later = NOW + timedelta(days=1)
    done = import_files(db, lake, CONSTITUENTS, files(tmp_path, b=SECOND), later, lambda _: None)
    assert done.counts == Counts(new=1, revised=1, seen=1, rejected=1)
    assert stored(db, "constituents", "symbol", "sector", "known_at")[2:] == [
        ("BBB", "Energy", later),
        ("CCC", "Energy", times.day_after(date(2025, 12, 1))),
    ]
