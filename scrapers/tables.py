"""Rows to Arrow tables: the columns of a dataset's row class plus `event_at` and `known_at`."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from scrapers.base import Batch, Reject

if TYPE_CHECKING:
    import pyarrow as pa

RAW_LIMIT = 4096
BATCH_ROWS = 200_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A row with the instants at which it happened and became known (None: stamped at ingest); both UTC."""

    row: Any
    event_at: datetime
    known_at: datetime | None


def schema(row_type: type) -> "pa.Schema":
    """The Arrow schema of a row class: its fields in order, then `event_at` and `known_at` (timestamp[us, UTC])."""
    import pyarrow as pa

    hints = get_type_hints(row_type)
    instant = pa.timestamp("us", tz="UTC")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), date: pa.date32(), datetime: instant}
    fields = [pa.field(f.name, types[_plain(hints[f.name])]) for f in dataclasses.fields(row_type)]
    return pa.schema([*fields, pa.field("event_at", instant), pa.field("known_at", instant)])


def _plain(hint: Any) -> type:
    """`float | None` and `float` both give float."""
    if get_origin(hint) is UnionType:
        hint = next(arg for arg in get_args(hint) if arg is not NoneType)
    return hint  # type: ignore[no-any-return]


def table(row_type: type, rows: Sequence[Timed]) -> "pa.Table":
    """Arrow table of timed rows, in order; an empty sequence gives an empty table with the right schema."""
    import pyarrow as pa

    shape = schema(row_type)
    names = [f.name for f in dataclasses.fields(row_type)]
    columns = {name: [getattr(item.row, name) for item in rows] for name in names}
    columns["event_at"] = [item.event_at for item in rows]
    columns["known_at"] = [item.known_at for item in rows]
    return pa.table(columns, schema=shape)


def batches(row_type: type, items: Iterable[Timed | Reject], *, size: int = BATCH_ROWS) -> Iterable[Batch]:
    """Group parsed items into batches of at most `size` rows; rejects travel with the rows they stood among."""
    rows: list[Timed] = []
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows.append(item)
        if len(rows) + len(rejects) >= size:
            yield Batch(rows=table(row_type, rows), rejects=tuple(rejects))
            rows, rejects = [], []
    if rows or rejects:
        yield Batch(rows=table(row_type, rows), rejects=tuple(rejects))


def reject(reason: str, detail: str, record: object, position: str) -> Reject:
    """A Reject whose raw text is the record as JSON, cut at 4 kB."""
    raw = json.dumps(record, default=str, ensure_ascii=False)
    return Reject(reason=reason, detail=detail[:500], raw=raw[:RAW_LIMIT], position=position)


def unstamped(item: Timed | Reject) -> Timed | Reject:
    """The same item as a live row: known_at is left to the ingest."""
    return item if isinstance(item, Reject) else dataclasses.replace(item, known_at=None)
