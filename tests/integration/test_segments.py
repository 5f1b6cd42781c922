"""Sealing and healing over a real PostgreSQL: the segments always say what the table says, or are made again."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daemon.calendar import Calendar
from daemon.store import segments
from daemon.store.datasets import append, ensure_table, stats
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from scrapers import tables
from scrapers.base import Batch, Dataset

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    number: int
    text: str | None
    value: float | None = None
    flag: bool | None = None
    day: date | None = None
    moment: datetime | None = None


NOTES = Dataset(
    name="notes", row=Note, key=("number",), schedule="", description=""
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("segments") / "postgres") as server:
        yield server


@pytest.fixture
def db(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    """An empty store with the table of notes."""
    db = Database(server.ensure, schema=f"s{tmp_path.name}", durable=False)
    db.migrate()
    ensure_table(db, NOTES)
    yield db
    db.drop_schema()
    db.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def add(db: Database, *rows: Note) -> None:
    """Each row becomes known a second after the one before."""
    timed = [tables.Timed(row=r, event_at=T0, known_at=T0 + timedelta(seconds=r.number)) for r in rows]
    append(db, NOTES, Batch(rows=tables.table(Note, timed)), T0 + timedelta(days=1))


def notes(*numbers: int) -> list[Note]:
    return [Note(n, f"note {n}") for n in numbers]


def execute(db: Database, statement: str) -> list[dict[str, Any]]:
    with db.connection() as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def sealed(lake: Lake) -> list[int]:
    """Numbers of the notes that a fresh reader finds."""
    return Lake(lake.directory).read(NOTES).column("number").to_pylist()


def stored(db: Database) -> list[int]:
    return [r["number"] for r in execute(db, "SELECT number FROM notes ORDER BY known_at, id")]


def test_what_was_appended_since_is_sealed_as_one_more_segment(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    assert lake.seal(db, NOTES) == 2
    assert lake.seal(db, NOTES) == 0
    add(db, *notes(3))
    assert lake.seal(db, NOTES) == 1
    assert [(s.first_id, s.last_id) for s in lake.segments("notes")] == [(1, 2), (3, 3)]
    assert sealed(lake) == [1, 2, 3]
    assert lake.read(NOTES, after_id=2).column("number").to_pylist() == [3]
    assert lake.read(NOTES, known_until_us=int((T0.timestamp() + 2) * 1e6)).column("number").to_pylist() == [1, 2]


def test_every_kind_of_value_survives_the_way_into_a_segment(db: Database, lake: Lake) -> None:
    rows = [
        Note(1, None),
        Note(2, ""),
        Note(3, "NULL"),
        Note(4, 'a "quoted", comma\nand line\r\nend; back\\slash \\N \t tab'),
        Note(5, "before\n\\.\nafter"),
        Note(6, "\\."),
        Note(7, "Zoë – 株式 🚀 \u2028 \x01 ", 0.1 + 0.2, True, date(1901, 12, 31), datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC)),
        Note(8, "f", float("inf"), False, date(9999, 12, 31), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        Note(9, "t", 5e-324),
        Note(2**62, "nan", -1.7976931348623157e308),
    ]
    times = {"event_at": T0, "gone": False}
    records = [{**asdict(r), **times, "known_at": T0 + timedelta(seconds=i)} for i, r in enumerate(rows)]
    append(db, NOTES, Batch(rows=pa.Table.from_pylist(records, schema=tables.schema(Note))), T0)
    lake.seal(db, NOTES)
    table = lake.read(NOTES).select(["number", "text", "value", "flag", "day", "moment"])
    assert [Note(**r) for r in table.to_pylist()] == rows


def test_a_segment_torn_by_a_crash_is_ignored_and_sealed_anew(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    add(db, *notes(3))
    (lake.directory / "notes" / ".000000000003-000000000003.4711.tmp").write_bytes(b"PAR1 torn")
    assert sealed(lake) == [1, 2]
    assert lake.heal(db, NOTES) == "sealed 1 rows"
    assert sealed(lake) == [1, 2, 3]


def test_segments_that_match_their_table_are_left_as_they_are(db: Database, lake: Lake) -> None:
    assert lake.heal(db, NOTES) == "ok", "an empty dataset has no segments"
    add(db, *notes(1, 2))
    assert lake.heal(db, NOTES) == "sealed 2 rows"
    (path,) = [s.path for s in lake.segments("notes")]
    before = path.stat().st_mtime_ns
    assert lake.heal(db, NOTES) == "ok"
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM notes WHERE number = 2",
        "DELETE FROM notes WHERE number = 3",
        "DELETE FROM notes",
        # as many rows as were sealed, but not the same ones
        "DELETE FROM notes WHERE number = 2; INSERT INTO notes (row_key, row_hash, event_at, known_at, fetched_at, number)"
        " SELECT row_key, row_hash, event_at, known_at + interval '1 day', fetched_at, 9 FROM notes WHERE number = 3",
    ],
)
def test_segments_whose_rows_are_not_those_of_the_table_are_rebuilt(db: Database, lake: Lake, change: str) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    add(db, *notes(3))
    lake.seal(db, NOTES)
    for statement in change.split("; "):
        execute(db, statement)
    assert lake.heal(db, NOTES) == "rebuilt"
    assert sealed(lake) == stored(db)
    assert lake.heal(db, NOTES) == "ok"


def test_a_dataset_whose_segments_were_deleted_is_sealed_again(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2, 3))
    lake.seal(db, NOTES)
    for segment in lake.segments("notes"):
        segment.path.unlink()
    assert lake.heal(db, NOTES) == "sealed 3 rows"
    assert sealed(lake) == [1, 2, 3]


def test_a_segment_missing_from_the_middle_is_noticed(db: Database, lake: Lake) -> None:
    for number in (1, 2, 3):
        add(db, *notes(number))
        lake.seal(db, NOTES)
    lake.segments("notes")[1].path.unlink()
    assert lake.heal(db, NOTES) == "rebuilt"
    assert sealed(lake) == [1, 2, 3]


def test_an_unreadable_segment_is_rebuilt(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    path = lake.segments("notes")[0].path
    path.write_bytes(path.read_bytes()[:-9])
    assert lake.heal(db, NOTES) == "rebuilt"
    assert sealed(lake) == [1, 2]


def test_segments_that_were_merged_into_another_are_not_read_and_go(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    add(db, *notes(3))
    Lake(lake.directory / "other").seal(db, NOTES)
    (lake.directory / "other" / "notes" / "000000000001-000000000003.parquet").rename(
        lake.directory / "notes" / "000000000001-000000000003.parquet"
    )
    assert sealed(lake) == [1, 2, 3]
    assert lake.heal(db, NOTES) == "ok"
    assert [p.name for p in sorted((lake.directory / "notes").glob("*.parquet"))] == ["000000000001-000000000003.parquet"]


def test_segments_that_overlap_are_rebuilt_so_that_no_row_is_read_twice(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    add(db, *notes(3))
    lake.seal(db, NOTES)
    second = lake.segments("notes")[1].path
    second.rename(second.with_name("000000000002-000000000003.parquet"))
    assert lake.heal(db, NOTES) == "rebuilt"
    assert sealed(lake) == [1, 2, 3]


def test_the_readers_duckdb_reaches_nothing_outside_the_lake(db: Database, lake: Lake, tmp_path: Path) -> None:
    add(db, *notes(1))
    lake.seal(db, NOTES)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    inside = lake.segments("notes")[0].path
    with lake._connect() as connection:
        assert connection.execute("SELECT count(*) FROM read_parquet($p)", {"p": str(inside)}).fetchall() == [(1,)]
        for statement in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM read_csv('{lake.directory}/../secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'out.db'}'",
            "INSTALL httpfs",
            "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)
        with pytest.raises(duckdb.Error, match="locked"):
            connection.execute("SET enable_external_access=true")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "secret.csv"]


def bases(lake: Lake) -> list[str]:
    return sorted(p.name for p in (lake.directory / "notes").glob("base-*"))


def shown(lake: Lake) -> list[int]:
    """Numbers of the notes in a fresh view, by way of the base."""
    archive = Archive(Lake(lake.directory), [NOTES], Calendar())
    return archive.view(T0 + timedelta(days=9)).events("notes")["number"].tolist()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base for a handful of rows, and segments that are merged when there are four."""
    monkeypatch.setattr(segments, "TAIL_ROWS", 2)
    monkeypatch.setattr(segments, "SMALL_SEGMENTS", 4)


@pytest.mark.usefixtures("eager")
def test_many_small_segments_become_one_and_no_row_is_lost(db: Database, lake: Lake) -> None:
    for number in range(1, 11):
        add(db, *notes(number))
        lake.seal(db, NOTES)
        assert len(lake.segments("notes")) < 4
        assert sealed(lake) == list(range(1, number + 1)) == shown(lake)
    assert lake.heal(db, NOTES) == "ok"


@pytest.mark.usefixtures("eager")
def test_a_base_is_made_when_much_lies_behind_the_last_one_which_goes(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    assert bases(lake) == []
    add(db, *notes(3))
    lake.seal(db, NOTES)
    assert bases(lake) == ["base-000000000003"]
    add(db, *notes(4, 5, 6))
    lake.seal(db, NOTES)
    assert bases(lake) == ["base-000000000006"]
    assert shown(lake) == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", ["content.json", "number.arrow", "_superseded.arrow"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_base_is_not_read_and_is_made_again_at_the_next_start(db: Database, lake: Lake, name: str, damage: str) -> None:
    add(db, *notes(1, 2, 3))
    lake.seal(db, NOTES)
    path = lake.directory / "notes" / "base-000000000003" / name
    before = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(before[: len(before) // 2])
    assert shown(lake) == [1, 2, 3]
    assert Lake(lake.directory).heal(db, NOTES) == "ok"
    assert path.stat().st_size == len(before)
    assert shown(lake) == [1, 2, 3]


@pytest.mark.usefixtures("eager")
def test_a_base_that_holds_other_rows_than_the_segments_is_made_again(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2, 3))
    lake.seal(db, NOTES)
    execute(db, "DELETE FROM notes WHERE number = 2")
    assert Lake(lake.directory).heal(db, NOTES) == "rebuilt"
    assert shown(lake) == [1, 3]


@pytest.mark.usefixtures("eager")
def test_what_a_crash_left_of_a_compaction_goes_at_the_next_start(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2, 3))
    lake.seal(db, NOTES)
    folder = lake.directory / "notes"
    (folder / ".base-000000000009.4711.tmp").mkdir()
    (folder / ".base-000000000009.4711.tmp" / "id.arrow").write_bytes(b"torn")
    shutil.copytree(folder / "base-000000000003", folder / "base-000000000002")
    assert lake.heal(db, NOTES) == "ok"
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "000000000001-000000000003.parquet", "base-000000000003"]


def test_segments_of_an_older_version_without_a_column_are_read_and_then_rebuilt(db: Database, lake: Lake) -> None:
    add(db, *notes(1, 2))
    lake.seal(db, NOTES)
    path = lake.segments("notes")[0].path
    pq.write_table(pq.read_table(path).drop_columns(["gone", "flag"]), path)
    assert sealed(lake) == [1, 2] == shown(lake)
    assert lake.heal(db, NOTES) == "rebuilt"
    assert "gone" in pq.read_schema(path).names


def test_the_numbers_of_a_dataset_come_from_the_heads_of_segments_and_what_is_not_sealed(db: Database, lake: Lake) -> None:
    assert lake.stats(db, NOTES) == stats(db, NOTES)
    for number in (1, 2, 3):
        add(db, *notes(number))
        assert lake.stats(db, NOTES) == stats(db, NOTES)
        if number < 3:
            lake.seal(db, NOTES)
    assert lake.stats(db, NOTES)["rows"] == 3
    lake.segments("notes")[0].path.write_bytes(b"unreadable")
    assert Lake(lake.directory).stats(db, NOTES) == stats(db, NOTES)


def test_writers_of_one_dataset_wait_for_each_other(db: Database, lake: Lake) -> None:
    for number in range(1, 5):
        add(db, *notes(*range(number * 10, number * 10 + 5)))
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(lambda _: Lake(lake.directory).seal(db, NOTES), range(4))) == 5
    assert len(sealed(lake)) == 20
    assert lake.heal(db, NOTES) == "ok"
