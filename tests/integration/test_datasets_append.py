"""What `append` makes of a batch: every case of new, revised and seen, over a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from daemon.store.datasets import Counts, append, ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from scrapers.base import Batch, Dataset, Reject

MOMENT = pa.timestamp("us", tz="UTC")


def day(number: int) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number)


@dataclass(frozen=True)
class Quote:
    symbol: str
    session: date
    close: float | None
    note: str | None


DATASET = Dataset(
    name="quotes", row=Quote, key=("symbol", "session"), schedule="",
    description="",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("append") / "postgres") as server:
        yield server


@pytest.fixture
def db(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Database]:
    """An empty store with the table of quotes."""
    db = Database(server.ensure, schema=f"s{tmp_path.name}", durable=False)
    db.migrate()
    ensure_table(db, DATASET)
    yield db
    db.drop_schema()
    db.close()


def quotes(*rows: tuple[str, float | None, datetime | None], note: str | None = None) -> Batch:
    """Rows (symbol, close, known_at) of one session."""
    return Batch(
        rows=pa.table(
            {
                "symbol": [r[0] for r in rows],
                "session": pa.array([date(2020, 1, 2)] * len(rows), pa.date32()),
                "close": pa.array([r[1] for r in rows], pa.float64()),
                "note": pa.array([note] * len(rows), pa.string()),
                "event_at": pa.array([day(1)] * len(rows), MOMENT),
                "known_at": pa.array([r[2] for r in rows], MOMENT),
            }
        )
    )


def stored(db: Database) -> list[tuple[Any, ...]]:
    """(symbol, close, known_at, fetched_at) of every version, in order of id."""
    with db.connection() as connection:
        return [
            tuple(r.values())
            for r in connection.execute("SELECT symbol, close, known_at, fetched_at FROM quotes ORDER BY symbol, id").fetchall()
        ]


def test_rows_of_an_empty_table_are_new_and_keep_their_publication_time(db: Database) -> None:
    assert append(db, DATASET, quotes(("A", 1.0, day(2)), ("B", None, day(3))), day(9)) == Counts(new=2)
    assert stored(db) == [("A", 1.0, day(2), day(9)), ("B", None, day(3), day(9))]


def test_importing_the_same_rows_again_changes_nothing(db: Database) -> None:
    batch = quotes(("A", 0.1 + 0.2, day(2)), ("B", None, day(3)), note='a,"b"\n')
    append(db, DATASET, batch, day(9))
    before = stored(db)
    assert append(db, DATASET, batch, day(10)) == Counts(seen=2)
    assert stored(db) == before


def test_a_correction_is_a_second_version_known_from_its_own_publication(db: Database) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    assert append(db, DATASET, quotes(("A", 1.5, day(4))), day(10)) == Counts(revised=1)
    assert stored(db) == [("A", 1.0, day(2), day(9)), ("A", 1.5, day(4), day(10))]


def test_a_silent_restatement_is_known_only_from_when_it_was_fetched(db: Database) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    assert append(db, DATASET, quotes(("A", 1.5, day(2))), day(10)) == Counts(revised=1)
    assert stored(db) == [("A", 1.0, day(2), day(9)), ("A", 1.5, day(10), day(10))]
    assert append(db, DATASET, quotes(("A", 1.5, day(2))), day(11)) == Counts(seen=1), "the restated value is the newest one"


def test_two_versions_of_one_key_in_a_batch_are_both_kept_in_order(db: Database) -> None:
    batch = quotes(("A", 2.0, day(5)), ("A", 1.0, day(2)))
    counts = append(db, DATASET, batch, day(9))
    assert counts.new + counts.revised == 2
    assert stored(db) == [("A", 1.0, day(2), day(9)), ("A", 2.0, day(5), day(9))]
    assert append(db, DATASET, batch, day(10)) == Counts(seen=2)


def test_a_row_that_occurs_twice_in_a_batch_is_stored_once(db: Database) -> None:
    assert append(db, DATASET, quotes(("A", 1.0, day(2)), ("A", 1.0, day(2))), day(9)) == Counts(new=1, seen=1)
    assert len(stored(db)) == 1


def test_live_rows_become_known_when_they_are_fetched_and_only_when_they_change(db: Database) -> None:
    assert append(db, DATASET, quotes(("A", 1.0, None)), day(9)) == Counts(new=1)
    assert append(db, DATASET, quotes(("A", 1.0, None)), day(10)) == Counts(seen=1)
    assert append(db, DATASET, quotes(("A", 2.0, None)), day(11)) == Counts(revised=1)
    assert append(db, DATASET, quotes(("A", 1.0, None)), day(12)) == Counts(revised=1), "a value that comes back is a version too"
    assert stored(db) == [("A", 1.0, day(9), day(9)), ("A", 2.0, day(11), day(11)), ("A", 1.0, day(12), day(12))]


def test_each_row_is_held_against_the_version_of_its_own_time(db: Database) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2)), ("A", 2.0, day(6)), ("B", 7.0, day(2))), day(9))
    assert append(db, DATASET, quotes(("A", 1.0, day(4)), ("A", 2.0, day(8)), ("B", 7.0, day(3)), ("C", 1.0, day(3))), day(10)) == Counts(
        new=1, seen=3
    )


def test_rejected_records_are_counted_each_time_and_kept_once(db: Database) -> None:
    batch = Batch(rows=quotes().rows, rejects=(Reject(reason="no_ticker", detail="why", raw='{"a": 1}', position="x[0]"),))
    assert append(db, DATASET, batch, day(9)) == append(db, DATASET, batch, day(10)) == Counts(rejected=1)
    assert db.rows("reject_counts") == [{"dataset": "quotes", "reason": "no_ticker", "n": 1}]
