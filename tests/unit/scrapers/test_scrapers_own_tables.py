"""What we write as a table we read back: every type, both times, and every fault told record by record."""

import csv
import dataclasses
import gzip
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers import own_tables, tables
from scrapers.base import Reject
from scrapers.errors import BadFile
from scrapers.own_tables import load_own

AT = datetime(2024, 1, 5, 21, 0, tzinfo=UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    note: str | None
    day: date
    at: datetime | None
    count: int | None
    price: float
    flag: bool


GOOD: dict[str, Any] = {
    "name": 'Synthetic, "quoted"', "note": None, "day": date(2024, 1, 5), "at": AT, "count": None, "price": 0.1, "flag": True,
}  # fmt: skip
HEAD = "name,note,day,at,count,price,flag,event_at,known_at"
LINE = "A,,2024-01-05,,1,0.5,true,2024-01-05T16:00:00-05:00,2024-01-05T21:20:00+00:00"


def records(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items = [tables.Timed(row=Row(**row), event_at=AT, known_at=AT + timedelta(hours=1)) for row in rows]
    (batch,) = tables.batches(Row, items)
    assert batch.rejects == ()
    found: list[dict[str, Any]] = batch.rows.to_pylist()
    return found


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows({name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def loaded(tmp_path: Path, content: bytes) -> tuple[list[dict[str, Any]], list[Reject]]:
    path = tmp_path / "rows"
    path.write_bytes(content)
    items = load_own(Row, path)
    assert items is not None
    batches = list(tables.batches(Row, items))
    return [row for b in batches for row in b.rows.to_pylist()], [r for b in batches for r in b.rejects]


@settings(deadline=None)
@given(
    st.builds(
        lambda **given: GOOD | given, name=st.text(), note=st.text(min_size=1) | st.none(),
        day=st.dates(date(1900, 1, 1), date(2100, 12, 31)),
        count=st.integers(-(2**63), 2**63 - 1) | st.none(), price=st.floats(allow_nan=False, allow_infinity=False), flag=st.booleans(),
        at=st.datetimes(datetime(1901, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)) | st.none(),
    )
)  # fmt: skip
def test_rows_written_in_any_form_are_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]):
    folder, rows = tmp_path_factory.mktemp("own"), records([row, GOOD])
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=tables.schema(Row)), parquet)
    for content in (as_csv(rows), gzip.compress(as_csv(rows)), parquet.getvalue()):
        assert loaded(folder, content) == (rows, [])


def test_a_withdrawn_row_is_read_back_as_withdrawn(tmp_path: Path):
    rows, rejects = loaded(tmp_path, f"{HEAD},gone\n{LINE},True\n{LINE},\n{LINE},f\n".encode())
    assert ([row["gone"] for row in rows], rejects) == ([True, False, False], [])


def test_without_a_time_of_publication_a_row_is_known_at_the_midnight_after_its_event(tmp_path: Path):
    rows, _ = loaded(tmp_path, f"{HEAD}\nA,,2024-01-05,,1,0.5,true,2024-01-06T01:30:00Z,\n".encode())
    assert rows[0]["event_at"] == datetime(2024, 1, 6, 1, 30, tzinfo=UTC), "the evening of the fifth in New York"
    assert rows[0]["known_at"] == datetime(2024, 1, 6, 5, 0, tzinfo=UTC)


def test_optional_columns_may_be_missing(tmp_path: Path):
    rows, rejects = loaded(tmp_path, b"flag,price,day,name,event_at\n0,1e3,2024-01-05,A,2024-01-05T00:00:00Z\n")
    assert rejects == []
    assert (rows[0]["flag"], rows[0]["price"], rows[0]["note"], rows[0]["count"]) == (False, 1000.0, None, None)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "name",
        "date,open",
        HEAD.replace("price", "cost"),
        f"{HEAD},surprise",
        f"{HEAD},name",
        HEAD.replace("flag,", ""),
        '[{"name": 1}]',
    ],
)
def test_another_header_is_not_ours(tmp_path: Path, header: str):
    path = tmp_path / "rows"
    path.write_text(f"{header}\n{LINE}\n")
    assert load_own(Row, path) is None


def test_a_file_without_the_time_of_the_event_has_no_rows_and_says_why(tmp_path: Path):
    rows, rejects = loaded(tmp_path, b"name,day,price,flag\nA,2024-01-05,1,t\n")
    assert (rows, [r.reason for r in rejects]) == ([], ["no_event_time"])


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (LINE.replace("2024-01-05T16:00:00-05:00", ""), "no_event_time", "event_at is empty"),
        (LINE.replace("16:00:00-05:00", "16:00:00"), "bad_cell", "event_at is no instant with its offset"),
        (LINE.replace("2024-01-05T16", "1850-01-05T16"), "bad_cell", "event_at is no instant within"),
        (LINE.replace("2024-01-05T16:00:00-05:00", "0001-01-01T00:00:00+14:00"), "bad_cell", "event_at is no instant within"),
        (LINE.replace("2024-01-05,", "05.01.2024,", 1), "bad_cell", "day is no date"),
        (LINE.replace(",1,", ",1.5,"), "bad_cell", "count is no whole number"),
        (LINE.replace(",1,", f",{'9' * 5000},"), "bad_cell", "count is no whole number"),
        (LINE.replace(",1,", f",{'9' * 30},"), "bad_value", "count has more than 64 bits"),
        (LINE.replace("0.5", "half"), "bad_cell", "price is no number"),
        (LINE.replace("0.5", "nan"), "bad_value", "price is not finite"),
        (LINE.replace("0.5", ""), "bad_value", "price is missing"),
        (LINE.replace("true", "maybe"), "bad_cell", "flag is no true or false"),
        (LINE + ",more", "bad_cell", "10 cells under 9 columns"),
        ("A,B", "bad_cell", "2 cells under 9 columns"),
    ],
)
def test_a_bad_record_is_refused_alone(tmp_path: Path, line: str, reason: str, detail: str):
    rows, (refused,) = loaded(tmp_path, f"{HEAD}\n{LINE}\n{line}\n{LINE}\n".encode())
    assert len(rows) == 2
    assert (refused.reason, refused.detail[: len(detail)]) == (reason, detail)
    assert refused.position in ("rows:3", "")


def parquet(**columns: Any) -> bytes:
    count = {
        "name": ["A"],
        "day": [date(2024, 1, 5)],
        "price": [1.0],
        "flag": [True],
        "event_at": pa.array([AT], pa.timestamp("us", "UTC")),
    }
    made = io.BytesIO()
    pq.write_table(pa.table(count | columns), made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ({"event_at": pa.array([2**62], pa.timestamp("us", "UTC"))}, "event_at is no instant"),
        ({"event_at": pa.array([0], pa.timestamp("us"))}, "event_at is no instant with its offset"),
        ({"day": pa.array([2**31 - 1], pa.date32())}, "day is no date"),
        ({"day": pa.array([AT], pa.timestamp("us", "UTC"))}, "day is no date"),
        ({"name": pa.array([b"A"])}, "name is no text"),
        ({"price": pa.array([[1.0]])}, "price is no number"),
        ({"count": pa.array([1.5])}, "count is no whole number"),
        ({"flag": pa.array([1])}, "flag is no true or false"),
    ],
)
def test_parquet_columns_of_another_type_refuse_their_records(tmp_path: Path, columns: dict[str, Any], detail: str):
    rows, (refused,) = loaded(tmp_path, parquet(**columns))
    assert (rows, refused.reason, refused.detail[: len(detail)]) == ([], "bad_cell", detail)


def test_parquet_instants_of_nanoseconds_and_whole_numbers_as_floats_are_read(tmp_path: Path):
    at = pa.array([1704488400_000000123], pa.timestamp("ns", "UTC"))
    rows, rejects = loaded(tmp_path, parquet(event_at=at, count=pa.array([2.0])))
    assert rejects == []
    assert (rows[0]["event_at"], rows[0]["count"]) == (AT, 2)


def test_a_file_that_cannot_be_read_is_a_bad_file(tmp_path: Path):
    path = tmp_path / "rows"
    path.write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(BadFile):
        load_own(Row, path)


def test_the_columns_are_told_to_a_person():
    assert own_tables.fields(Row) == "name, [note], day, [at], [count], price, flag, event_at, [known_at]"
