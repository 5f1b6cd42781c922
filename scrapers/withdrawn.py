"""Rows that a source delivered before and no longer does: it has withdrawn them, and says so by leaving them out."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from scrapers import symbols, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    import pandas as pd

ALWAYS_ALLOWED = 5
ALLOWED_FRAC = 0.2
"""A fetch may withdraw so many rows, or this share of those in force; one that would withdraw more has not been answered in full."""
EVER = datetime(1900, 1, 1, tzinfo=UTC)
Known = Callable[[datetime, datetime], "pd.DataFrame"]
"""The option `rows:<dataset>`: (since, asof) -> newest versions known at asof."""


def gone(
    known: Known | None,
    row_type: type,
    key: tuple[str, ...],
    delivered: Collection[tuple[Any, ...]],
    *,
    asof: datetime,
    concerns: Callable[[Any], bool],
    event_at: Callable[[Any], datetime],
    name: str,
) -> Iterator[tables.Timed]:
    """Withdrawals of the rows known at `asof` that the answer concerns and whose key is not among the delivered ones.

    concerns: whether a row would have been delivered if it were still in force. event_at: of a row. name: of the page, for the error.
    Raises SourceChanged when too many would go.
    """
    if known is None:
        return
    records: list[Any] = known(EVER, asof).to_dict(orient="records")
    held = [row for row in map(_reader(row_type), records) if row is not None and concerns(row)]
    missing = [row for row in held if tuple(getattr(row, field) for field in key) not in delivered]
    if len(missing) > max(ALWAYS_ALLOWED, ALLOWED_FRAC * len(held)):
        raise SourceChanged(f"{name}: {len(missing)} of {len(held)} rows in force are missing from the answer")
    yield from (tables.Timed(row=row, event_at=event_at(row), known_at=None, gone=True) for row in missing)


def mentioned(rejects: Iterable[Reject]) -> set[str]:
    """Symbols that stand in records which could not be read: whoever they are about has not been shown to be gone."""
    words = (word for reject in rejects for word in re.findall(r"[A-Za-z]{1,5}(?:[.\-/][A-Za-z]{1,3})?", reject.raw))
    return {symbol for word in words if word.isupper() and (symbol := symbols.canonical(word)) is not None}


def _reader(row_type: type) -> Callable[[dict[str, Any]], Any]:
    """Makes a row of a frame's record; None when a column that must be there is not."""
    hints = get_type_hints(row_type)
    readers = {}
    for field in dataclasses.fields(row_type):
        kinds = get_args(hints[field.name]) or (hints[field.name],)
        readers[field.name] = (next(kind for kind in kinds if kind is not type(None)), type(None) in kinds)

    def read(record: dict[str, Any]) -> Any:
        cells = {name: _cell(record.get(name), kind) for name, (kind, _) in readers.items()}
        if any(cells[name] is None and not optional for name, (_, optional) in readers.items()):
            return None
        return row_type(**cells)

    return read


def _cell(value: Any, kind: type) -> Any:
    """A cell of a frame as the row's own type; NaN, NaT and None are None."""
    if value is None or value != value:
        return None
    if kind is date:
        return times.parse_date(str(value)[:10])
    if kind is datetime:
        at = datetime.fromisoformat(str(value))
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return kind(value)
