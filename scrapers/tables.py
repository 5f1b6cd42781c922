"""Rows to Arrow tables: the columns of a dataset's row class plus `gone`, `event_at` and `known_at`, every value checked."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, get_type_hints

from scrapers import validation
from scrapers.base import Batch, Reject
from scrapers.cleaning import encodable

if TYPE_CHECKING:
    import pyarrow as pa

RAW_LIMIT = 4096
BATCH_ROWS = 200_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A row with the instants at which it happened and became known (None: stamped at ingest); both UTC. gone: it was withdrawn."""

    row: Any
    event_at: datetime
    known_at: datetime | None
    gone: bool = False


@functools.cache
def schema(row_type: type) -> "pa.Schema":
    """The Arrow schema of a row class: its fields in order, then `gone` (bool), `event_at` and `known_at` (timestamp[us, UTC])."""
    import pyarrow as pa

    hints = get_type_hints(row_type)
    instant = pa.timestamp("us", tz="UTC")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), date: pa.date32(), datetime: instant}
    fields = [pa.field(f.name, types[validation.plain(hints[f.name])[0]]) for f in dataclasses.fields(row_type)]
    return pa.schema([*fields, pa.field("gone", pa.bool_()), pa.field("event_at", instant), pa.field("known_at", instant)])


def table(row_type: type, rows: Sequence[Timed]) -> "pa.Table":
    """Arrow table of timed rows, in order; an empty sequence gives an empty table with the right schema. Raises ValueError for a row
    that `batches` would refuse.
    """
    made, wrong = _checked(row_type, rows)
    if wrong:
        raise ValueError(f"row {next(iter(wrong))}: {next(iter(wrong.values()))}")
    return made


def batches(row_type: type, items: Iterable[Timed | Reject], *, size: int = BATCH_ROWS) -> Iterable[Batch]:
    """Group parsed items into batches of at most `size` rows; rejects travel with the rows they stood among.

    Text is cleaned (see cleaning.clean) and an optional text that is empty becomes None. A row with a value that its field cannot have
    (see validation) becomes a Reject `bad_value` that names the field.
    """
    rows: list[Timed] = []
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(_storable(item))
        else:
            rows.append(item)
        if len(rows) + len(rejects) >= size:
            yield _batch(row_type, rows, rejects)
            rows, rejects = [], []
    if rows or rejects:
        yield _batch(row_type, rows, rejects)


def _batch(row_type: type, rows: list[Timed], rejects: list[Reject]) -> Batch:
    made, wrong = _checked(row_type, rows)
    refused = [reject("bad_value", what, _record(row_type, rows[place]), "") for place, what in wrong.items()]
    return Batch(rows=made, rejects=(*rejects, *refused))


def _checked(row_type: type, rows: Sequence[Timed]) -> tuple["pa.Table", dict[int, str]]:
    """The table of the rows that are right, and what is wrong with each of the others, by place."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    wrong: dict[int, str] = {}
    for rule in validation.rules(row_type):
        columns[rule.name], found = validation.settled(rule, [getattr(item.row, rule.name) for item in rows])
        wrong = found | wrong
    for rule in validation.TIMED_RULES:
        columns[rule.name], found = validation.settled(rule, [getattr(item, rule.name) for item in rows])
        wrong = found | wrong
    if wrong:
        columns = {name: [value for place, value in enumerate(values) if place not in wrong] for name, values in columns.items()}
    return pa.table(columns, schema=schema(row_type)), dict(sorted(wrong.items()))


def _record(row_type: type, item: Timed) -> dict[str, Any]:
    values = {f.name: getattr(item.row, f.name) for f in dataclasses.fields(row_type)}
    return values | {"event_at": item.event_at, "known_at": item.known_at}


def reject(reason: str, detail: str, record: object, position: str) -> Reject:
    """A Reject whose raw text is the record as JSON, cut at 4 kB; a record that cannot be written as JSON is named by its type."""
    try:
        raw = json.dumps(record, default=str, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        raw = json.dumps(f"a {type(record).__name__} that cannot be written as JSON")
    return _storable(Reject(reason=reason, detail=detail[:500], raw=raw[:RAW_LIMIT], position=position))


def _storable(item: Reject) -> Reject:
    """The same Reject without what no database takes."""
    texts = {f.name: getattr(item, f.name) for f in dataclasses.fields(Reject)}
    mended = {name: encodable(text) for name, text in texts.items()}
    return item if mended == texts else Reject(**mended)


def unstamped(item: Timed | Reject) -> Timed | Reject:
    """The same item as a live row: known_at is left to the ingest."""
    return item if isinstance(item, Reject) else dataclasses.replace(item, known_at=None)
