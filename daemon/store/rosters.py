"""Who belongs to what at an instant: index members, sectors, and what the broker trades and lends. Kept while nothing further is known."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.store.events import EventTable
from scrapers.renames import Renames

Known = tuple[int, int, int]
"""What an answer rests on: revision of the table, versions known, and the renames in force."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Symbols that the broker lists and does not trade, does not lend to a short seller, trades in whole shares only."""

    untradable: frozenset[str] = frozenset()
    unborrowable: frozenset[str] = frozenset()
    indivisible: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Spells:
    """Spells of membership of one index: symbols, first days and the first days after, NaT while they last."""

    symbols: npt.NDArray[np.object_]
    start: npt.NDArray[np.datetime64]
    end: npt.NDArray[np.datetime64]

    def on(self, day: date) -> list[str]:
        inside = (self.start <= np.datetime64(day)) & (np.isnat(self.end) | (self.end > np.datetime64(day)))
        return sorted(set(self.symbols[inside].tolist()))


class Rosters:
    """Answers about one archive's tables, each worked out once for what is known."""

    def __init__(self) -> None:
        self._sectors: tuple[Known, pd.Series] | None = None
        self._spells: dict[str, tuple[Known, _Spells]] = {}
        self._members: dict[str, tuple[Known, date, list[str]]] = {}
        self._listing: tuple[Known, Listing] | None = None

    def sectors(self, table: EventTable, at_us: int, names: Renames) -> pd.Series:
        """Sector by symbol out of the constituents."""
        key = _known(table, at_us, names)
        if self._sectors is None or self._sectors[0] != key:
            frame = table.at(at_us, None, names).drop_duplicates("symbol", keep="last")
            found = pd.Series(frame["sector"].to_numpy(dtype=object), index=pd.Index(frame["symbol"], dtype=object)).sort_index()
            self._sectors = (key, found)
        return self._sectors[1]

    def members(self, table: EventTable, at_us: int, names: Renames, day: date, index: str) -> list[str]:
        """Members of an index on a date, sorted."""
        key = _known(table, at_us, names)
        if index not in self._spells or self._spells[index][0] != key:
            frame = table.at(at_us, None, names)
            frame = frame[frame["index_name"] == index]
            start, end = (pd.to_datetime(frame[name]).to_numpy() for name in ("start_date", "end_date"))
            self._spells[index] = (key, _Spells(frame["symbol"].to_numpy(dtype=object), start, end))
        last = self._members.get(index)
        if last is None or last[:2] != (key, day):
            last = self._members[index] = (key, day, self._spells[index][1].on(day))
        return last[2]

    def listing(self, table: EventTable, at_us: int, names: Renames) -> Listing:
        """What the broker's list of assets says."""
        key = _known(table, at_us, names)
        if self._listing is None or self._listing[0] != key:
            frame = table.at(at_us, None, names).drop_duplicates("symbol", keep="last")
            flags = ("tradable", "shortable", "easy_to_borrow", "fractionable")
            tradable, shortable, easy, divisible = (frame[name].to_numpy(bool) for name in flags)
            symbols = frame["symbol"].to_numpy(object)
            self._listing = (key, Listing(*(frozenset(symbols[out]) for out in (~tradable, ~(shortable & easy), ~divisible))))
        return self._listing[1]


def _known(table: EventTable, at_us: int, names: Renames) -> Known:
    return table.revision, table.known_versions(at_us), names.token
