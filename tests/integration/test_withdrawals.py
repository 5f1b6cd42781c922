"""Rows that were taken back and bytes that were read again, over a real PostgreSQL: nothing is known before its bytes prove it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from daemon.store.datasets import Counts, append, ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import TooManyWithdrawn
from daemon.store.events import EventTable, micros
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.withdrawals import withdraw_missing, withdraw_not_reproduced
from scrapers.base import Batch, Dataset

MOMENT = pa.timestamp("us", tz="UTC")


def day(number: int) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number)


@dataclass(frozen=True)
class Quote:
    symbol: str
    session: date
    close: float | None


DATASET = Dataset(name="quotes", row=Quote, key=("symbol", "session"), schedule="", description="", snapshot=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("withdrawals") / "postgres") as server:
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


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def quotes(*rows: tuple[str, float | None, datetime | None], gone: list[bool | None] | None = None) -> Batch:
    """Rows (symbol, close, known_at) of one session."""
    columns = {
        "symbol": pa.array([r[0] for r in rows], pa.string()),
        "session": pa.array([date(2020, 1, 2)] * len(rows), pa.date32()),
        "close": pa.array([r[1] for r in rows], pa.float64()),
        "event_at": pa.array([day(1)] * len(rows), MOMENT),
        "known_at": pa.array([r[2] for r in rows], MOMENT),
    }
    if gone is not None:
        columns["gone"] = pa.array(gone, pa.bool_())
    return Batch(rows=pa.table(columns))


def seen(db: Database, lake: Lake, on: int) -> dict[str, float]:
    """Closes by symbol in a view at a day, from the segments."""
    lake.seal(db, DATASET)
    frame = EventTable(lake.read(DATASET)).at(micros(day(on)))
    assert "gone" not in frame.columns
    return dict(zip(frame["symbol"], frame["close"], strict=True))


def fetch_ids(db: Database) -> list[int | None]:
    with db.connection() as connection:
        return [r["fetch_id"] for r in connection.execute("SELECT fetch_id FROM quotes ORDER BY id").fetchall()]


def test_a_row_delivered_as_gone_leaves_views_from_then_on_and_may_come_back(db: Database, lake: Lake) -> None:
    assert append(db, DATASET, quotes(("A", 1.0, None), ("B", 2.0, None)), day(1)) == Counts(new=2)
    assert append(db, DATASET, quotes(("A", 1.0, None), gone=[True]), day(2)) == Counts(revised=1)
    assert append(db, DATASET, quotes(("A", 1.0, None), ("B", 2.0, None), gone=[True, None]), day(3)) == Counts(seen=2)
    assert append(db, DATASET, quotes(("A", 1.0, None), gone=[False]), day(4)) == Counts(revised=1)
    assert [seen(db, lake, on) for on in (1, 2, 3, 4)] == [{"A": 1.0, "B": 2.0}, {"B": 2.0}, {"B": 2.0}, {"A": 1.0, "B": 2.0}]


def test_the_fetch_that_delivered_a_version_is_kept_with_it(db: Database) -> None:
    append(db, DATASET, quotes(("A", 1.0, None)), day(1), fetch_id=7)
    append(db, DATASET, quotes(("A", 2.0, None)), day(2), fetch_id=8)
    append(db, DATASET, quotes(("B", 2.0, day(1))), day(3))
    assert fetch_ids(db) == [7, 8, None]


def test_a_table_of_an_older_version_gains_the_columns_and_its_rows_stand(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, None)), day(1))
    with db.connection() as connection:
        connection.execute("ALTER TABLE quotes DROP COLUMN gone, DROP COLUMN fetch_id")
    ensure_table(db, DATASET)
    assert append(db, DATASET, quotes(("A", 1.0, None)), day(2), fetch_id=1) == Counts(seen=1)
    assert seen(db, lake, 2) == {"A": 1.0}


def test_rows_that_a_complete_delivery_lacks_are_withdrawn_when_it_was_made(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, None), ("B", 2.0, None), ("C", 3.0, None)), day(1))
    second = quotes(("A", 1.0, None), ("C", 9.0, None))
    append(db, DATASET, second, day(2))
    assert withdraw_missing(db, DATASET, second.rows, day(2), fetch_id=4) == 1
    assert withdraw_missing(db, DATASET, second.rows, day(3)) == 0, "withdrawn once"
    assert seen(db, lake, 1) == {"A": 1.0, "B": 2.0, "C": 3.0}
    assert seen(db, lake, 2) == {"A": 1.0, "C": 9.0}
    assert fetch_ids(db)[-1] == 4
    assert append(db, DATASET, quotes(("B", 2.0, None)), day(4)) == Counts(revised=1)
    assert seen(db, lake, 4) == {"A": 1.0, "B": 2.0, "C": 9.0}


def test_a_delivery_that_was_cut_short_withdraws_nothing(db: Database, lake: Lake) -> None:
    names = [f"S{n}" for n in range(40)]
    append(db, DATASET, quotes(*((n, 1.0, None) for n in names)), day(1))
    with pytest.raises(TooManyWithdrawn, match="quotes: 9 of the 40 rows in force are missing"):
        withdraw_missing(db, DATASET, quotes(*((n, 1.0, None) for n in names[9:])).rows, day(2))
    assert len(seen(db, lake, 2)) == 40
    assert withdraw_missing(db, DATASET, quotes(*((n, 1.0, None) for n in names[8:])).rows, day(2)) == 8
    assert len(seen(db, lake, 2)) == 32


def test_of_a_short_list_up_to_five_rows_may_go_and_not_six(db: Database) -> None:
    append(db, DATASET, quotes(*((f"S{n}", 1.0, None) for n in range(6))), day(1))
    with pytest.raises(TooManyWithdrawn):
        withdraw_missing(db, DATASET, quotes().rows, day(2))
    assert withdraw_missing(db, DATASET, quotes(("S0", 1.0, None)).rows, day(2)) == 5


def test_a_better_parser_corrects_a_published_row_from_its_own_publication(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    better = quotes(("A", 1.5, day(2)))
    assert append(db, DATASET, better, day(9), correction=True) == Counts(revised=1)
    assert append(db, DATASET, better, day(9), correction=True) == Counts(seen=1)
    assert seen(db, lake, 1) == {}
    assert seen(db, lake, 2) == {"A": 1.5}


def test_a_better_parser_corrects_a_live_row_from_when_it_was_fetched(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, None)), day(3))
    append(db, DATASET, quotes(("A", 1.0, None)), day(4))
    append(db, DATASET, quotes(("A", 2.0, None)), day(5))
    assert append(db, DATASET, quotes(("A", 1.5, None)), day(3), correction=True) == Counts(revised=1)
    assert append(db, DATASET, quotes(("A", 1.5, None)), day(4), correction=True) == Counts(seen=1)
    assert append(db, DATASET, quotes(("A", 2.5, None)), day(5), correction=True) == Counts(revised=1)
    assert [seen(db, lake, on) for on in (2, 3, 4, 5)] == [{}, {"A": 1.5}, {"A": 1.5}, {"A": 2.5}]


def test_the_correction_of_a_silent_restatement_is_not_known_before_the_restatement(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    append(db, DATASET, quotes(("A", 2.0, day(2))), day(12))
    append(db, DATASET, quotes(("A", 1.5, day(2))), day(9), correction=True)
    append(db, DATASET, quotes(("A", 2.5, day(2))), day(12), correction=True)
    assert [seen(db, lake, on)["A"] for on in (2, 11, 12, 99)] == [1.5, 1.5, 2.5, 2.5]
    assert append(db, DATASET, quotes(("A", 1.5, day(2))), day(9), correction=True) == Counts(seen=1)
    assert append(db, DATASET, quotes(("A", 2.5, day(2))), day(12), correction=True) == Counts(seen=1)


def test_a_change_that_only_the_better_parser_sees_is_known_from_the_fetch_that_shows_it(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(12))
    append(db, DATASET, quotes(("A", 1.5, day(2))), day(9), correction=True)
    assert append(db, DATASET, quotes(("A", 2.5, day(2))), day(12), correction=True) == Counts(revised=1)
    assert [seen(db, lake, on)["A"] for on in (2, 11, 12)] == [1.5, 1.5, 2.5]


def test_a_row_that_only_the_better_parser_finds_is_known_from_its_own_times(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2))), day(9))
    assert append(db, DATASET, quotes(("B", 2.0, day(3)), ("C", 3.0, None)), day(9), correction=True) == Counts(new=2)
    assert seen(db, lake, 3) == {"A": 1.0, "B": 2.0}
    assert seen(db, lake, 9) == {"A": 1.0, "B": 2.0, "C": 3.0}


def test_what_a_better_parser_no_longer_makes_is_in_no_view_any_more(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, day(2)), ("JUNK", 2.0, day(3))), day(9), fetch_id=1)
    append(db, DATASET, quotes(("JUNK", 3.0, day(3))), day(10), fetch_id=2)
    append(db, DATASET, quotes(("B", 1.0, day(2))), day(11), fetch_id=3)
    produced = quotes(("A", 1.0, day(2))).rows
    assert withdraw_not_reproduced(db, DATASET, [1, 2], produced) == 2
    assert withdraw_not_reproduced(db, DATASET, [1, 2], produced) == 0
    assert [seen(db, lake, on) for on in (3, 10, 99)] == [{"A": 1.0, "B": 1.0}] * 3


def test_versions_that_other_fetches_stored_stand(db: Database, lake: Lake) -> None:
    append(db, DATASET, quotes(("A", 1.0, None)), day(1), fetch_id=1)
    append(db, DATASET, quotes(("A", 2.0, None)), day(2), fetch_id=2)
    assert withdraw_not_reproduced(db, DATASET, [1], quotes().rows) == 1
    assert [seen(db, lake, on) for on in (1, 2)] == [{}, {"A": 2.0}]
