"""Bar versions as parallel arrays, taken from the base as they lie on disk or from rows that arrived later."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daemon.store.column import Column, Places, column, concatenated

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Dates = npt.NDArray[np.datetime64]
Name = tuple[str, str]
"""A series: (symbol, adjustment)."""

FIELDS = ("open", "high", "low", "close", "adj_close", "volume")
PIECE_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class BarRows:
    """Versions sorted by known_at, those of one instant by id: parallel arrays of length n_rows.

    session: index into the calendar, -1 for a date that is no session. series: index into the names. gone: the version withdraws its bar.
    """

    known_us: Ints
    session: npt.NDArray[np.int32]
    series: npt.NDArray[np.int32]
    gone: npt.NDArray[np.bool_]
    fields: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.known_us)

    def take(self, places: Places) -> "BarRows":
        """The rows at those places; a slice is a window on these rows, not a copy."""
        fields = tuple(_window(f, places) if isinstance(places, slice) else f.take(places) for f in self.fields)
        return BarRows(self.known_us[places], self.session[places], self.series[places], self.gone[places], fields)

    def values(self, field: int, keep: npt.NDArray[np.bool_] | None = None) -> Floats:
        """A field of the rows, or of those to keep; NaN where there is no value and where the bar is withdrawn."""
        given, gone = self.fields[field], self.gone
        found = given.values if given.valid is None else np.where(given.valid, given.values, np.nan)
        found = found.astype(np.float64, copy=False)
        if gone.any():
            found = np.where(gone, np.nan, found)
        return found if keep is None else found[keep]


def _window(given: Column, places: slice) -> Column:
    return Column(kind=given.kind, values=given.values[places], valid=None if given.valid is None else given.valid[places])


def bar_rows(table: pa.Table, sessions: Dates, names: list[Name]) -> BarRows:
    """Arrow rows of bars_daily in the order of their ids. `names` is extended in place by series not seen before."""
    given = {name: column(table.column(name)) for name in table.column_names}
    given.setdefault("gone", Column(kind="bool", values=np.zeros(table.num_rows, bool)))
    order = np.argsort(given["known_at"].values, kind="stable")
    return rows_of({name: found.take(order) for name, found in given.items()}, sessions, names)


def rows_of(given: Mapping[str, Column], sessions: Dates, names: list[Name], stop: int | None = None) -> BarRows:
    """Columns sorted by known_at (the first `stop` of them). `names` is extended in place by series not seen before."""
    part = slice(0, stop)
    return BarRows(
        given["known_at"].values[part],
        _places(given["session"].values[part], sessions),
        _series(given["symbol"], given["adjustment"], names, part),
        given["gone"].values[part],
        tuple(_window(given[f], part) for f in FIELDS),
    )


def _places(days: npt.NDArray[np.int32], sessions: Dates) -> npt.NDArray[np.int32]:
    """Index of each day among the sessions, -1 where it is none of them."""
    axis = sessions.astype("datetime64[D]").astype(np.int64)
    if not len(axis):
        return np.full(len(days), -1, np.int32)
    table = np.full(int(axis[-1] - axis[0]) + 3, -1, np.int32)
    table[axis - axis[0] + 1] = np.arange(len(axis), dtype=np.int32)
    # Of NO_DAY the difference is beyond the table at one end or, wrapped, at the other: both ends say that there is no session.
    found: npt.NDArray[np.int32] = table.take(days - np.int32(axis[0] - 1), mode="clip")
    return found


def _series(symbols: Column, adjustments: Column, names: list[Name], part: slice) -> npt.NDArray[np.int32]:
    """Index of each row's series."""
    symbols, adjustments = (found if found.words is not None else _with_words(found) for found in (symbols, adjustments))
    kinds = len(adjustments.words)
    pairs = symbols.values[part] * np.int64(kinds) + adjustments.values[part]
    used = np.flatnonzero(np.bincount(pairs, minlength=len(symbols.words) * kinds))
    index = {name: i for i, name in enumerate(names)}
    table = np.full(len(symbols.words) * kinds, -1, np.int32)
    words, adjusted = symbols.words.to_pylist(), adjustments.words.to_pylist()
    for pair in used.tolist():
        name = (words[pair // kinds], adjusted[pair % kinds])
        if name not in index:
            index[name] = len(names)
            names.append(name)
        table[pair] = index[name]
    found: npt.NDArray[np.int32] = table[pairs]
    return found


def _with_words(given: Column) -> Column:
    encoded = given.values.dictionary_encode()
    return Column(kind="text", values=encoded.indices.to_numpy(zero_copy_only=False), words=encoded.dictionary)


def merged(left: BarRows, right: BarRows) -> BarRows:
    """The rows of both by known_at; of equal instants those of `left`, which were stored earlier, come first."""
    known = np.concatenate([left.known_us, right.known_us])
    both = BarRows(
        known,
        np.concatenate([left.session, right.session]),
        np.concatenate([left.series, right.series]),
        np.concatenate([left.gone, right.gone]),
        tuple(concatenated(a, b) for a, b in zip(left.fields, right.fields, strict=True)),
    )
    ordered = not len(left) or not len(right) or left.known_us[-1] <= right.known_us[0]
    return both if ordered else both.take(np.argsort(known, kind="stable"))


def pieces(earlier: BarRows, later: BarRows) -> Iterator[BarRows]:
    """The rows of both in the order of `merged`, in pieces; only what overlaps in time is merged."""
    if not len(later):
        yield from _cut(earlier)
        return
    begin = int(np.searchsorted(earlier.known_us, later.known_us[0], side="right"))
    end = int(np.searchsorted(earlier.known_us, later.known_us[-1], side="right"))
    yield from _cut(earlier.take(slice(0, begin)))
    yield from _cut(merged(earlier.take(slice(begin, end)), later))
    yield from _cut(earlier.take(slice(end, len(earlier))))


def _cut(rows: BarRows) -> Iterator[BarRows]:
    for start in range(0, len(rows), PIECE_ROWS):
        yield rows.take(slice(start, start + PIECE_ROWS))
