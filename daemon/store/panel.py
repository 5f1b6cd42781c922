"""Daily bars as a panel that knows only what was known: rows are applied in the order in which they became known."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from daemon.store.bar_rows import FIELDS, BarRows, Floats, Ints, Name, bar_rows, merged, pieces, rows_of
from daemon.store.compacted import Compacted
from daemon.store.splice import Alias, aliases, splices
from scrapers.renames import Renames

RANK = {"raw": 0, "split": 1, "total_return": 2}
CLOSE = FIELDS.index("close")
STALE_SESSIONS = 10
"""A series without a bar for this many sessions gives way to a symbol's next series."""
NO_TIME = np.iinfo(np.int64).max


class Choice:
    """Which series each symbol uses: symbols sorted, the column of each in the panel, which are raw, and which are made of several."""

    def __init__(self, chosen: Mapping[str, int], names: Sequence[Name], present: Sequence[Alias]) -> None:
        self.columns = dict(sorted(chosen.items()))
        self.symbols = list(self.columns)
        self.index = pd.Index(self.symbols, dtype=object)
        self.places = np.fromiter(self.columns.values(), dtype=np.intp, count=len(self.columns))
        self.raw = frozenset(s for s, column in self.columns.items() if names[column][1] == "raw")
        self.spliced = splices(self.columns, names, present)


class BarPanel:
    """One (n_sessions, n_series) matrix per field, holding the newest version of each bar known at `at_us`.

    The versions come in two blocks: those of the base, which stay on disk, and what arrived later.
    """

    def __init__(self, sessions: npt.NDArray[np.datetime64]) -> None:
        self.sessions = sessions
        self.names: list[Name] = []
        self._base: BarRows | None = None
        self._tail: BarRows | None = None
        self._next = [0, 0]
        self.at_us = np.iinfo(np.int64).min
        self.fields = [np.full((len(sessions), 0), np.nan) for _ in FIELDS]
        self.first_known_us = np.empty(0, np.int64)
        self.last_session = np.empty(0, np.int64)
        self._rivals: Ints = np.empty(0, np.int64)
        self._choice: tuple[tuple[bytes, bytes], Choice] | None = None
        self._aliases: tuple[tuple[int, int], list[Alias]] = ((-1, -1), [])

    def lay(self, base: Compacted, until_us: int) -> None:
        """Begin with the versions of a base that are known by `until_us`."""
        stop = int(np.searchsorted(base.known_us, until_us, side="right"))
        self._base = rows_of(base.columns, self.sessions, self.names, stop)
        self._rewind()
        self._grow()

    def add(self, table: pa.Table) -> None:
        """Take in versions that were stored later. What lies before the panel's present makes it start over."""
        new = bar_rows(table, self.sessions, self.names)
        self._tail = new if self._tail is None else merged(self._tail, new)
        if len(new) and new.known_us[0] <= self.at_us:
            self._rewind()
        self._grow()

    def _blocks(self) -> list[BarRows]:
        empty = next((b.take(slice(0, 0)) for b in (self._base, self._tail) if b is not None), None)
        return [] if empty is None else [empty if b is None else b for b in (self._base, self._tail)]

    def _grow(self) -> None:
        missing = len(self.names) - self.fields[0].shape[1]
        if missing > 0:
            self.fields = [self._wider(f) for f in self.fields]
            self.first_known_us = np.concatenate([self.first_known_us, np.full(missing, NO_TIME)])
            self.last_session = np.concatenate([self.last_session, np.full(missing, -1)])
            series = Counter(symbol for symbol, _ in self.names)
            self._rivals = np.array([i for i, (symbol, _) in enumerate(self.names) if series[symbol] > 1], dtype=np.int64)

    def _wider(self, field: Floats) -> Floats:
        made = np.full((len(self.sessions), len(self.names)), np.nan)
        if field.shape[1]:
            made[:, : field.shape[1]] = field
        return made

    def _rewind(self) -> None:
        for field in self.fields:
            field.fill(np.nan)
        self.first_known_us.fill(NO_TIME)
        self.last_session.fill(-1)
        self._next, self.at_us = [0, 0], np.iinfo(np.int64).min

    def advance(self, at_us: int) -> None:
        """Move the present to `at_us`, forward by applying what became known, backward by starting over."""
        if at_us < self.at_us:
            self._rewind()
        self.at_us = at_us
        blocks = self._blocks()
        stops = [int(np.searchsorted(rows.known_us, at_us, side="right")) for rows in blocks]
        if blocks and stops != self._next:
            for piece in pieces(*(rows.take(slice(a, b)) for rows, a, b in zip(blocks, self._next, stops, strict=True))):
                self._apply(piece)
            self._next = stops

    def _apply(self, rows: BarRows) -> None:
        on, place, series = _on_calendar(rows)
        at_session = place.astype(np.int64)
        flat = at_session * len(self.names) + series
        for i, field in enumerate(self.fields):
            field.reshape(-1)[flat] = rows.values(i, on)
        np.minimum.at(self.first_known_us, series, rows.known_us if on is None else rows.known_us[on])
        np.maximum.at(self.last_session, series, at_session)  # of another kind than the sessions kept it would be ten times slower
        if rows.gone.any():
            for touched in np.unique(rows.series[rows.gone]).tolist():
                left = np.flatnonzero(np.isfinite(self.fields[CLOSE][:, touched]))
                self.last_session[touched] = left[-1] if len(left) else -1

    def first_versions(self) -> tuple[list[Floats], Ints]:
        """Every bar in the version that was delivered first, whenever it became known, and when each series began.

        What really traded, for an exchange; never for a view.
        """
        fields = [np.full((len(self.sessions), len(self.names)), np.nan) for _ in FIELDS]
        begun = np.full(len(self.names), NO_TIME)
        for rows in reversed(list(self._all_pieces())):
            on, place, series = _on_calendar(rows)
            # A copy, because assignment through a reversed view goes through memory forwards and would let the last version win.
            flat = (place.astype(np.int64) * len(self.names) + series)[::-1].copy()
            for i, field in enumerate(fields):
                field.reshape(-1)[flat] = rows.values(i, on)[::-1]
            np.minimum.at(begun, series, rows.known_us if on is None else rows.known_us[on])
        return fields, begun

    def _all_pieces(self) -> Iterator[BarRows]:
        blocks = self._blocks()
        return pieces(*blocks) if blocks else iter(())

    def newest_session(self) -> date | None:
        """The newest session of any bar, whenever it became known."""
        last = max((int(rows.session.max()) for rows in self._blocks() if len(rows)), default=-1)
        found: date = self.sessions[last].astype(object)
        return found if last >= 0 else None

    def known_versions(self) -> int:
        """How many bar versions are known at the present."""
        return sum(self._next)

    def choose(self, last: int, renames: Renames) -> Choice:
        """The series in use by symbol, as known now; `last` is the index of the newest closed session.

        A symbol delivered in several adjustments uses the series that became known first among those with a bar in the
        last sessions (ties: raw, split, total_return), so that the choice never depends on what came later. A series under an old
        name is joined to the one of its newer name, or stands for it where that has none.
        """
        begun = self.last_session >= 0
        stale = begun[self._rivals] & (self.last_session[self._rivals] < last - STALE_SESSIONS)
        newest = np.where(stale, -self.last_session[self._rivals], 0)
        owners, present = self._owners(begun, renames)
        state = repr((renames.token, sorted(owners.items()), [(a.column, a.stop) for a in present]))
        key = (begun.tobytes() + state.encode(), np.stack([stale, newest, self.first_known_us[self._rivals]]).tobytes())
        if self._choice is None or self._choice[0] != key:
            order = {c: (True, n) for c, n, old in zip(self._rivals.tolist(), newest.tolist(), stale.tolist(), strict=True) if old}
            self._choice = (key, Choice(self._chosen(begun, order, owners), self.names, present))
        return self._choice[1]

    def _owners(self, begun: npt.NDArray[np.bool_], renames: Renames) -> tuple[dict[int, str | None], list[Alias]]:
        """The symbol for which each series under an old name stands now (None: only parts of another), and the aliases that have bars."""
        if self._aliases[0] != (renames.token, len(self.names)):
            self._aliases = ((renames.token, len(self.names)), aliases(self.names, self.sessions, renames))
        close = self.fields[CLOSE]
        present = [a for a in self._aliases[1] if begun[a.column] and a.bars(close).any()]
        owners: dict[int, str | None] = {}
        if present:
            own = {name: column for column, name in enumerate(self.names) if begun[column]}
            for column in {a.column for a in present}:
                mine = [a for a in present if a.column == column]
                left = np.isfinite(close[:, column])
                for alias in mine:
                    left &= ~alias.moved(close, own.get((alias.owner, alias.adjustment)))
                if not left.any():
                    owners[column] = None if any(own_symbol == mine[0].owner for own_symbol, _ in own) else mine[0].owner
        return owners, present

    def _chosen(
        self, begun: npt.NDArray[np.bool_], stale: Mapping[int, tuple[bool, int]], owners: Mapping[int, str | None]
    ) -> dict[str, int]:
        chosen: dict[str, tuple[tuple[bool, int, int, int], int]] = {}
        for column in np.flatnonzero(begun).tolist():
            delivered, adjustment = self.names[column]
            symbol = owners.get(column, delivered)
            if symbol is None:
                continue
            order = (*stale.get(column, (False, 0)), int(self.first_known_us[column]), RANK[adjustment])
            if symbol not in chosen or order < chosen[symbol][0]:
                chosen[symbol] = (order, column)
        return {symbol: column for symbol, (_, column) in chosen.items()}


def _on_calendar(rows: BarRows) -> tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Which rows lie on a session (None: all), with their sessions and series."""
    on = rows.session >= 0
    return (None, rows.session, rows.series) if on.all() else (on, rows.session[on], rows.series[on])
