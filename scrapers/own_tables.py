"""Tables in our own form: CSV or Parquet whose columns are the fields of a dataset's rows, with the two times beside them."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scrapers import files, tables, times, validation
from scrapers.base import Reject

if TYPE_CHECKING:
    import pyarrow as pa

TIMES = ("event_at", "known_at")
BESIDE = frozenset((*TIMES, "gone", "id", "row_key", "row_hash", "fetch_id", "fetched_at"))
"""Columns of our tables that are no fields of a row. Only the times and `gone` are read."""
CHUNK_ROWS = 50_000
_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def load_own(row_type: type, path: Path) -> Iterator[tables.Timed | Reject] | None:
    """Rows of a file in our own form, CSV (gzipped or not) or Parquet; None when its header is of another form.

    Every field of the row must be a column, but optional ones and the times may be missing. `event_at` and `known_at` are ISO 8601
    with an offset, or instants of Parquet. A record without `event_at` is a Reject `no_event_time`; without `known_at` it is known from
    the New York midnight after its event; one whose cell is not of its column's type is a Reject `bad_cell`. Raises BadFile for a file
    that cannot be read.
    """
    content = files.read(path)
    if files.is_json(content):
        return None
    if files.is_parquet(content):
        table = files.arrow_table(content, path.name)
        return _typed(row_type, table, path.name) if _fits(row_type, table.column_names) else None
    header, records = files.csv_rows(content, path.name)
    return _written(row_type, header, records, path.name) if _fits(row_type, header) else None


def _fits(row_type: type, header: list[str]) -> bool:
    rules = validation.rules(row_type)
    required = {rule.name for rule in rules if not rule.optional}
    return len(set(header)) == len(header) and required <= set(header) <= {rule.name for rule in rules} | BESIDE


def _written(row_type: type, header: list[str], records: Iterator[tuple[int, list[str]]], name: str) -> Iterator[tables.Timed | Reject]:
    for line, cells in records:
        position = f"{name}:{line}"
        record = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            yield tables.reject("bad_cell", f"{len(cells)} cells under {len(header)} columns", record, position)
        else:
            yield _timed(row_type, record, position)


def _typed(row_type: type, table: "pa.Table", name: str) -> Iterator[tables.Timed | Reject]:
    number = 0
    for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
        for record in _records(batch):
            number += 1
            yield _timed(row_type, record, f"{name}:{number}")


def _records(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    return [dict(zip(batch.schema.names, cells, strict=True)) for cells in zip(*map(_values, batch.columns), strict=True)]


def _values(column: "pa.Array") -> list[Any]:
    """A column's values; instants keep microseconds, which is all that datetime has, and those that it does not know become text."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError, KeyError):
        return [_value(scalar) for scalar in column]


def _value(scalar: "pa.Scalar") -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, KeyError):
        return f"{scalar.type} out of range"


def _timed(row_type: type, record: dict[str, Any], position: str) -> tables.Timed | Reject:
    try:
        values = {rule.name: _cell(rule, record.get(rule.name)) for rule in validation.rules(row_type)}
        event_at, known_at = (_instant(record.get(name), name) for name in TIMES)
        gone = bool(_flag(record.get("gone") or False, "gone"))
    except validation.Wrong as error:
        return tables.reject("bad_cell", str(error), record, position)
    if event_at is None:
        return tables.reject("no_event_time", "event_at is empty", record, position)
    known_at = known_at or times.day_after(times.new_york_date(event_at))
    return tables.Timed(row=row_type(**values), event_at=event_at, known_at=known_at, gone=gone)


def _cell(rule: validation.Rule, value: Any) -> Any:
    """A cell as the field's type; an empty one is None, or the empty text where a text must be. tables.batches judges the value."""
    if value is None or value == "":
        return "" if rule.kind is str and not rule.optional else None
    return _READ[rule.kind](value, rule.name)


def _text(value: Any, name: str) -> str:
    return value if isinstance(value, str) else _refuse(value, name, "text")


def _whole(value: Any, name: str) -> int:
    try:
        whole = int(value)
    except (ValueError, TypeError, OverflowError):
        _refuse(value, name, "whole number")
    same = isinstance(value, str) or (whole == value and not isinstance(value, bool))
    return whole if same else _refuse(value, name, "whole number")


def _real(value: Any, name: str) -> float:
    try:
        return _refuse(value, name, "number") if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        _refuse(value, name, "number")


def _flag(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    found = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
    return found if found is not None else _refuse(value, name, "true or false")


def _day(value: Any, name: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    found = times.parse_date(value)
    return found if found is not None else _refuse(value, name, "date")


def _instant(value: Any, name: str) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        at = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        _refuse(value, name, "instant")
    if not isinstance(at, datetime) or at.tzinfo is None:
        _refuse(value, name, "instant with its offset")
    return at.astimezone(UTC) if validation.EARLIEST <= at < validation.LATEST else _refuse(value, name, "instant within 1900 to 2100")


def _refuse(value: Any, name: str, wanted: str) -> NoReturn:
    raise validation.Wrong(f"{name} is no {wanted}: {str(value)[:60] if isinstance(value, str) else type(value).__name__}")


_READ: dict[type, Callable[[Any, str], Any]] = {
    str: _text,
    int: _whole,
    float: _real,
    bool: _flag,
    date: _day,
    datetime: _instant,
}


def fields(row_type: type) -> str:
    """The columns of our own form, for a person: optional ones in brackets."""
    optional = {rule.name: rule.optional for rule in validation.rules(row_type)}
    names = [f"[{f.name}]" if optional[f.name] else f.name for f in dataclasses.fields(row_type)]
    return ", ".join([*names, "event_at", "[known_at]"])
