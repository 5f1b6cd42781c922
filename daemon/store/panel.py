"""Daily bars as a panel that knows only what was known: rows are applied in the order in which they became known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIELDS = ("open", "high", "low", "close", "adj_close", "volume")
RANK = {"raw": 0, "split": 1, "total_return": 2}
STALE_SESSIONS = 10
"""A series without a bar for this many sessions gives way to a symbol's next series."""


@dataclass(slots=True)
class BarRows:
    """Bar versions sorted by known_at: parallel arrays of length n_rows."""

    known_us: Ints
    session: Ints  # index into the calendar, -1 for a date that is no session
    series: Ints  # index into `names`
    values: Floats  # (n_fields, n_rows)
    names: list[tuple[str, str]]  # (symbol, adjustment)


def bar_rows(table: pa.Table, sessions: npt.NDArray[np.datetime64], names: list[tuple[str, str]]) -> BarRows:
    """Arrow rows of bars_daily, sorted by known_at, as arrays. `names` is extended in place by series not seen before."""
    labels = pc.binary_join_element_wise(table.column("symbol"), table.column("adjustment"), "\x00")
    encoded = pc.dictionary_encode(labels.combine_chunks() if isinstance(labels, pa.ChunkedArray) else labels)
    index = {name: i for i, name in enumerate(names)}
    lookup = []
    for label in encoded.dictionary.to_pylist():
        symbol, _, adjustment = label.partition("\x00")
        name = (symbol, adjustment)
        if name not in index:
            index[name] = len(names)
            names.append(name)
        lookup.append(index[name])
    series = np.array(lookup, dtype=np.int64)[encoded.indices.to_numpy()] if lookup else np.empty(0, np.int64)
    dates = table.column("session").to_numpy().astype("datetime64[D]")
    place = np.searchsorted(sessions, dates)
    on_calendar = (
        (place < len(sessions)) & (sessions[np.minimum(place, len(sessions) - 1)] == dates) if len(sessions) else np.zeros(len(dates), bool)
    )
    values = np.vstack([table.column(f).to_numpy(zero_copy_only=False).astype(np.float64) for f in FIELDS])
    known = table.column("known_at").to_numpy().astype("datetime64[us]").astype(np.int64)
    return BarRows(known_us=known, session=np.where(on_calendar, place, -1), series=series, values=values, names=names)


class Choice:
    """Which series each symbol uses: symbols sorted, the column of each in the panel, and which of them are raw."""

    def __init__(self, chosen: Mapping[str, int], names: Sequence[tuple[str, str]]) -> None:
        self.columns = dict(sorted(chosen.items()))
        self.symbols = list(self.columns)
        self.index = pd.Index(self.symbols, dtype=object)
        self.places = np.fromiter(self.columns.values(), dtype=np.intp, count=len(self.columns))
        self.raw = frozenset(s for s, column in self.columns.items() if names[column][1] == "raw")


class BarPanel:
    """One (n_sessions, n_series) matrix per field, holding the newest version of each bar known at `at_us`."""

    def __init__(self, sessions: npt.NDArray[np.datetime64]) -> None:
        self.sessions = sessions
        self.names: list[tuple[str, str]] = []
        self._rows: BarRows | None = None
        self._next = 0
        self.at_us = np.iinfo(np.int64).min
        self.fields = [np.full((len(sessions), 0), np.nan) for _ in FIELDS]
        self.first_known_us = np.empty(0, np.int64)
        self.last_session = np.empty(0, np.int64)
        self._rivals: Ints = np.empty(0, np.int64)
        self._choice: tuple[tuple[bytes, bytes], Choice] | None = None

    def add(self, table: pa.Table) -> None:
        """Take in versions sorted by known_at. What lies before the panel's present makes it start over."""
        new = bar_rows(table, self.sessions, self.names)
        if self._rows is None or not len(self._rows.known_us):
            self._rows = new
        else:
            self._rows = _merge(self._rows, new)
        if len(new.known_us) and new.known_us[0] <= self.at_us:
            self._rewind()
        self._grow()

    def _grow(self) -> None:
        missing = len(self.names) - self.fields[0].shape[1]
        if missing > 0:
            self.fields = [np.hstack([f, np.full((len(self.sessions), missing), np.nan)]) for f in self.fields]
            self.first_known_us = np.concatenate([self.first_known_us, np.full(missing, np.iinfo(np.int64).max)])
            self.last_session = np.concatenate([self.last_session, np.full(missing, -1)])
            series = Counter(symbol for symbol, _ in self.names)
            self._rivals = np.array([i for i, (symbol, _) in enumerate(self.names) if series[symbol] > 1], dtype=np.int64)

    def _rewind(self) -> None:
        for field in self.fields:
            field.fill(np.nan)
        self.first_known_us.fill(np.iinfo(np.int64).max)
        self.last_session.fill(-1)
        self._next, self.at_us = 0, np.iinfo(np.int64).min

    def advance(self, at_us: int) -> None:
        """Move the present to `at_us`, forward by applying what became known, backward by starting over."""
        if at_us < self.at_us:
            self._rewind()
        rows = self._rows
        self.at_us = at_us
        if rows is None:
            return
        stop = int(np.searchsorted(rows.known_us, at_us, side="right"))
        if stop > self._next:
            part = slice(self._next, stop)
            known = rows.session[part] >= 0
            place, series = rows.session[part][known], rows.series[part][known]
            for field, values in zip(self.fields, rows.values, strict=True):
                field[place, series] = values[part][known]
            np.minimum.at(self.first_known_us, series, rows.known_us[part][known])
            np.maximum.at(self.last_session, series, place)
            self._next = stop

    def first_versions(self) -> tuple[list[Floats], Ints]:
        """Every bar in the version that was delivered first, whenever it became known, and when each series began.

        What really traded, for an exchange; never for a view.
        """
        fields = [np.full((len(self.sessions), len(self.names)), np.nan) for _ in FIELDS]
        begun = np.full(len(self.names), np.iinfo(np.int64).max)
        if self._rows is not None:
            rows = self._rows
            # A copy, because assignment through a reversed view goes through memory forwards and would let the last version win.
            newest_first = np.flatnonzero(rows.session >= 0)[::-1].copy()
            place, series = rows.session[newest_first], rows.series[newest_first]
            for field, values in zip(fields, rows.values, strict=True):
                field[place, series] = values[newest_first]
            np.minimum.at(begun, series, rows.known_us[newest_first])
        return fields, begun

    def newest_session(self) -> date | None:
        """The newest session of any bar, whenever it became known."""
        if self._rows is None or not len(self._rows.session) or self._rows.session.max() < 0:
            return None
        found: date = self.sessions[self._rows.session.max()].astype(object)
        return found

    def known_versions(self) -> int:
        """How many bar versions are known at the present."""
        return self._next

    def choose(self, last: int) -> Choice:
        """The series in use by symbol, as known now; `last` is the index of the newest closed session.

        A symbol delivered in several adjustments uses the series that became known first among those with a bar in the
        last sessions (ties: raw, split, total_return), so that the choice never depends on what came later.
        """
        begun = self.last_session >= 0
        stale = begun[self._rivals] & (self.last_session[self._rivals] < last - STALE_SESSIONS)
        newest = np.where(stale, -self.last_session[self._rivals], 0)
        key = (begun.tobytes(), np.stack([stale, newest, self.first_known_us[self._rivals]]).tobytes())
        if self._choice is None or self._choice[0] != key:
            self._choice = (key, self._chosen(begun, dict(zip(self._rivals.tolist(), newest.tolist(), strict=True)), stale))
        return self._choice[1]

    def _chosen(self, begun: npt.NDArray[np.bool_], newest: Mapping[int, int], stale: npt.NDArray[np.bool_]) -> Choice:
        is_stale = set(self._rivals[stale].tolist())
        chosen: dict[str, tuple[tuple[bool, int, int, int], int]] = {}
        for column in np.flatnonzero(begun).tolist():
            symbol, adjustment = self.names[column]
            order = (column in is_stale, newest.get(column, 0), int(self.first_known_us[column]), RANK[adjustment])
            if symbol not in chosen or order < chosen[symbol][0]:
                chosen[symbol] = (order, column)
        return Choice({symbol: column for symbol, (_, column) in chosen.items()}, self.names)


def _merge(old: BarRows, new: BarRows) -> BarRows:
    known = np.concatenate([old.known_us, new.known_us])
    order = np.argsort(known, kind="stable") if len(new.known_us) and new.known_us[0] < old.known_us[-1] else slice(None)
    return BarRows(
        known_us=known[order],
        session=np.concatenate([old.session, new.session])[order],
        series=np.concatenate([old.series, new.series])[order],
        values=np.hstack([old.values, new.values])[:, order],
        names=old.names,
    )
