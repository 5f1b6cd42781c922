"""One column of stored versions in the form in which views hand it out: numbers as NumPy arrays, text as Arrow or as codes of few words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from daemon.store.private import Source

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Runs = Sequence[tuple[int, int, int, int]]
Places = slice | npt.NDArray[np.integer[Any]]

TEXT = pa.large_string()
STR: Any = pd.StringDtype("pyarrow", na_value=np.nan)
INSTANT = pd.DatetimeTZDtype("us", "UTC")
NO_DAY = np.iinfo(np.int32).min
NO_INSTANT = np.iinfo(np.int64).min  # what pandas reads as NaT
SAMPLE_ROWS = 100_000
FEW_WORDS_FRAC = 0.25
"""Text with fewer distinct values than this share of its rows is kept as codes."""
LONG_ROWS = 50_000
"""Rows before the first change are not copied when they are so many, and at least half of all."""
DAYS_IN_A_TABLE = 200_000
FEW_TURNS = 16
"""Days that stay the same for so many rows on average are laid out run by run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Values of n rows.

    kind: "float" (float64, NaN for none), "int" (int64), "bool", "date" (int32 days since 1970, NO_DAY for none), "instant" (int64
        microseconds since 1970 UTC, NO_INSTANT for none) or "text".
    values: the numbers, or the text as a LargeStringArray (in pieces: a ChunkedArray), or with `words` the int32 place of each
        value among the words.
    words: the distinct texts, with a null among them where there are nulls. valid: False where an int or bool is null; None: all valid.
    source: the file that holds the values, or None when they are not those of a whole file.
    """

    kind: str
    values: Any
    words: Any = None
    valid: Bools | None = None
    source: Source | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: Places) -> "Column":
        """The rows at those places, with numbers in memory of their own."""
        valid = None if self.valid is None else self.valid[places]
        if isinstance(self.values, np.ndarray):
            found = self.values[places]
            return replace(self, values=found.copy() if isinstance(places, slice) else found, valid=valid, source=None)
        if isinstance(places, slice):
            start, stop, _ = places.indices(len(self.values))
            return replace(self, values=self.values.slice(start, stop - start), source=None)
        return replace(self, values=self.values.take(pa.array(places)), source=None)

    def text(self) -> pa.LargeStringArray:
        """The values of a text column as Arrow text."""
        found = self.chunks()
        return found[0] if len(found) == 1 else pa.concat_arrays(found)

    def chunks(self) -> list[pa.LargeStringArray]:
        """The values of a text column as pieces of Arrow text."""
        found = self.values if self.words is None else self.words.take(pa.array(self.values))
        return found.chunks if isinstance(found, pa.ChunkedArray) else [found]

    def pandas(self) -> Any:
        """What a DataFrame holds: str, float64, datetime64[us, UTC] or objects (dates; bools with nulls); ints with nulls are floats."""
        if self.kind == "text":
            return STR.__from_arrow__(pa.chunked_array(self.chunks(), TEXT))
        if self.kind == "instant":
            return pd.Series(self.values, copy=False).astype(INSTANT).array
        if self.kind == "date":
            return _dates(self.values)
        if self.valid is None or self.valid.all():
            return self.values
        if self.kind == "int":
            return np.where(self.valid, self.values, np.nan)
        return np.where(self.valid, self.values.astype(object), None)


def concatenated(left: Column, right: Column) -> Column:
    """The rows of both."""
    return gathered(left, slice(0, len(left)), right, slice(0, len(right)))


def gathered(left: Column, left_places: Places, right: Column, right_places: Places) -> Column:
    """Rows of the one followed by rows of the other, each copied once."""
    if not size(right_places):
        return left.take(left_places)
    if left.kind == "text":
        parts = [part for found in (left.take(left_places), right.take(right_places)) for part in found.chunks()]
        return Column(kind="text", values=pa.chunked_array(parts, TEXT))
    first, count = size(left_places), size(left_places) + size(right_places)
    sides = ((left, left_places, slice(0, first)), (right, right_places, slice(first, count)))
    values, valid = np.empty(count, left.values.dtype), None
    for side, places, into in sides:
        _copy(side.values, places, values[into])
    if left.valid is not None or right.valid is not None:
        valid = np.ones(count, bool)
        for side, places, into in sides:
            if side.valid is not None:
                _copy(side.valid, places, valid[into])
    return Column(kind=left.kind, values=values, valid=valid)


def _copy(values: npt.NDArray[Any], places: Places, into: npt.NDArray[Any]) -> None:
    if isinstance(places, slice):
        into[:] = values[places]
    else:
        values.take(places, out=into, mode="clip")  # any other mode goes through a buffer


def size(places: Places) -> int:
    """How many rows lie at those places."""
    return places.stop - places.start if isinstance(places, slice) else len(places)


def column(given: pa.ChunkedArray) -> Column:
    """A column of an Arrow table."""
    flat = given.combine_chunks() if given.num_chunks != 1 else given.chunk(0)
    kind = kind_of(flat.type)
    if kind == "text":
        return Column(kind=kind, values=flat.cast(TEXT))
    if kind == "float":
        return Column(kind=kind, values=flat.to_numpy(zero_copy_only=False))
    if kind == "instant":
        return Column(kind=kind, values=flat.cast(pa.int64()).fill_null(NO_INSTANT).to_numpy())
    if kind == "date":
        return Column(kind=kind, values=flat.cast(pa.int32()).fill_null(NO_DAY).to_numpy())
    valid = None if not flat.null_count else flat.is_valid().to_numpy(zero_copy_only=False)
    blank: Any = False if kind == "bool" else 0
    return Column(kind=kind, values=flat.fill_null(blank).to_numpy(zero_copy_only=False), valid=valid)


def kind_of(type_: pa.DataType) -> str:
    """The kind of a column by its Arrow type."""
    tests = {
        "float": pa.types.is_floating, "int": pa.types.is_integer, "bool": pa.types.is_boolean, "date": pa.types.is_date32,
        "instant": pa.types.is_timestamp,
    }  # fmt: skip
    return next((kind for kind, test in tests.items() if test(type_)), "text")


def coded(given: Column) -> Column:
    """Text of few words as codes; anything else as it is."""
    if given.kind != "text":
        return given
    rows = len(given.values)
    if rows and len(given.values.slice(0, SAMPLE_ROWS).unique()) > 0.5 * min(rows, SAMPLE_ROWS):
        return given
    encoded = given.values.dictionary_encode(null_encoding="encode")
    if len(encoded.dictionary) > FEW_WORDS_FRAC * rows:
        return given
    return Column(kind="text", values=encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), words=encoded.dictionary)


def assembled(given: Column, runs: Runs, others: Column) -> Column:
    """Stretches of one column with stretches of another between: (start, stop) of the one, then (start, stop) of the other, and so on.

    A single stretch is a window on the column and not a copy.
    """
    if len(runs) == 1 and runs[0][2] == runs[0][3]:
        part = slice(*runs[0][:2])
        valid = None if given.valid is None else given.valid[part]
        values = given.values[part] if isinstance(given.values, np.ndarray) else given.take(part).values
        return replace(given, values=values, valid=valid, source=None)
    (start, stop, first, last), count = runs[0], sum(b - a + d - c for a, b, c, d in runs)
    source = given.source if stop - start >= max(LONG_ROWS, count // 2) else None
    rest = [(stop, stop, first, last), *runs[1:]]
    if given.kind == "text":
        text = None if source is None else source.text(start, stop, _joined(given.values, rest, others.text()))
        return Column(kind="text", values=_joined(given.values, runs, others.text()) if text is None else text)
    valid = None
    if given.valid is not None or others.valid is not None:
        left, right = (np.ones(len(c), bool) if c.valid is None else c.valid for c in (given, others))
        valid = _stretches(left, right, runs, np.empty(count, bool))
    made = None if source is None else source.numbers(start, count, given.values.dtype)
    if made is None:
        made = _stretches(given.values, others.values, runs, np.empty(count, given.values.dtype))
    else:
        _stretches(given.values, others.values, rest, made[stop - start :])
    return Column(kind=given.kind, values=made, valid=valid)


def _stretches(left: npt.NDArray[Any], right: npt.NDArray[Any], runs: Runs, made: npt.NDArray[Any]) -> npt.NDArray[Any]:
    at = 0
    for a, b, c, d in runs:
        made[at : at + b - a] = left[a:b]
        made[at + b - a : at + b - a + d - c] = right[c:d]
        at += b - a + d - c
    return made


def _joined(left: pa.LargeStringArray, runs: Runs, right: pa.LargeStringArray) -> pa.LargeStringArray:
    """In one piece: rows cannot be taken of several without their being joined, each time."""
    parts = [part for a, b, c, d in runs for part in (left.slice(a, b - a), right.slice(c, d - c)) if len(part)]
    return pa.concat_arrays(parts) if parts else left.slice(0, 0)


def _dates(days: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
    """Date objects, None for NO_DAY; each day of the calendar is made once and shared."""
    begins = np.concatenate([[0], np.flatnonzero(days[1:] != days[:-1]) + 1])
    if len(begins) * FEW_TURNS < len(days):
        return _dates(days[begins]).repeat(np.diff(begins, append=len(days)))
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    if first == NO_DAY:
        some = days[days != NO_DAY]
        found = np.full(len(days), None, dtype=object)
        if len(some):
            found[days != NO_DAY] = _dates(some)
        return found
    if last - first < DAYS_IN_A_TABLE:
        return np.array([_date(day) for day in range(first, last + 1)], dtype=object).take(days - np.int32(first))
    wanted, places = np.unique(days, return_inverse=True)
    return np.array([_date(int(day)) for day in wanted], dtype=object).take(places)


def _date(day: int) -> date:
    return date.fromordinal(719_163 + day)
