"""Versioned rows of one dataset, cut at any instant to the newest version of each key known then."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from daemon.store.column import Column, assembled, column, gathered
from daemon.store.compacted import Compacted
from daemon.store.keys import NEVER, Ints, key_hashes, sort_order, successors
from scrapers.renames import Renames

Bools = npt.NDArray[np.bool_]
HIDDEN = ("id", "gone")
SYMBOL = "symbol"
NO_TIMES = np.empty(0, np.int64)
MANY_RUNS = 2_000
"""With more gaps and insertions than these, rows are gathered one by one."""
MANY_ROWS = 200_000
"""From so many rows on, the columns of a frame are made side by side."""
REVISIONS = count(1)
"""No two contents of tables have the same number."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return int(pd.Timestamp(at).value // 1000)


@dataclass(frozen=True, slots=True)
class Cut:
    """Which versions stand at an instant.

    start, stop: a stretch of the base's standing versions, from which the `holes` are missing. others: places in the base of further
    versions, tail: places in the tail; `merge` sorts the ones followed by the others (None: they are sorted). slots: before which place
    of the base's standing versions each of them belongs, in the sorted order.
    """

    start: int
    stop: int
    holes: Ints
    others: Ints
    tail: Ints
    merge: Ints | None
    slots: Ints

    def runs(self) -> list[tuple[int, int, int, int]] | None:
        """Stretches of the standing versions, each followed by a stretch of the others; None when there are too many."""
        if len(self.holes) + len(self.slots) > MANY_RUNS and len(self.holes) + len(np.unique(self.slots)) > MANY_RUNS:
            return None
        slots = np.clip(self.slots, self.start, self.stop)
        cuts = np.unique(np.concatenate([self.holes, slots, [self.stop]]))
        before = np.searchsorted(slots, cuts, side="left").tolist()
        after = np.searchsorted(slots, cuts, side="right").tolist()
        missing = np.isin(cuts, self.holes).tolist()
        found, at = [], self.start
        for cut, first, last, hole in zip(cuts.tolist(), before, after, missing, strict=True):
            found.append((at, cut, first, last))
            at = cut + 1 if hole else cut
        return found

    def standing(self) -> Ints:
        """Places of the standing versions."""
        keep = np.ones(self.stop - self.start, bool)
        keep[self.holes - self.start] = False
        return self.start + np.flatnonzero(keep)


class EventTable:
    """All versions of a dataset: those of a base on disk, and a tail of later arrivals in memory.

    A version stands from its `known_at` until the next version of its key becomes known (of equal instants the one stored last
    stands); a version that is `gone` shows nothing. `until_us`: nothing known later exists.
    """

    def __init__(self, tail: pa.Table, base: Compacted | None = None, until_us: int = NEVER) -> None:
        self.base = base
        self._until_us = until_us
        split = 0 if base is None else base.standing
        self._first = NO_TIMES if base is None else _until(base.known_us[:split], until_us)
        self._second = NO_TIMES if base is None else _until(base.known_us[split:], until_us)
        self._mentioned: tuple[tuple[int, int], bool] = ((-1, -1), False)
        self._frames: tuple[tuple[int, int, int], list[tuple[int, pd.DataFrame]]] = ((-1, -1, -1), [])
        self._asked_us = self._widest_us = 0
        self._take(_with_gone(tail))

    def add(self, table: pa.Table) -> None:
        """Take in more versions."""
        self._take(pa.concat_tables([self._arrived, _with_gone(table).select(self._arrived.column_names)]))

    def _take(self, table: pa.Table) -> None:
        """Sort the tail, place it among the rows of the base, and see which of both now replaces which."""
        self._arrived = table
        tail = {name: column(table.column(name)) for name in table.column_names}
        hashes = key_hashes(tail["row_key"].values)
        order = sort_order(tail["known_at"].values, tail["row_key"].values, tail["id"].values, hashes)
        self._tail = {name: found.take(order) for name, found in tail.items()}
        self._tail_known: Ints = self._tail["known_at"].values
        self._relate(hashes[order])
        self._tail_slots = self._slots_of_tail()
        self.revision = next(REVISIONS)

    def _relate(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Which version replaces which, among the tail and the versions of the same keys in the base."""
        touched, known, ids = NO_TIMES, self._tail_known, self._tail["id"].values
        keys = self._tail["row_key"].text()
        if self.base is not None and len(hashes):
            touched = self.base.index.find(hashes)
            touched = touched[self.base.known_us[touched] <= self._until_us]
            known = np.concatenate([self.base.known_us[touched], known])
            ids = np.concatenate([self.base.columns["id"].values[touched], ids])
            theirs = self.base.columns["row_key"].take(touched).text()
            keys, hashes = pa.concat_arrays([theirs, keys]), np.concatenate([key_hashes(theirs), hashes])
        found = successors(keys, known, ids, hashes)
        self._touched, self._touched_until, self._tail_until = touched, found[: len(touched)], found[len(touched) :]

    def _slots_of_tail(self) -> Ints:
        """For each version of the tail, how many of the base's standing ones sort before it."""
        first = np.searchsorted(self._first, self._tail_known, side="left")
        last = np.searchsorted(self._first, self._tail_known, side="right")
        if self.base is None:
            return first
        slots = first.copy()
        for start, stop in {(int(a), int(b)) for a, b in zip(first[first < last], last[first < last], strict=True)}:
            beside = np.flatnonzero((first == start) & (last == stop))
            mine = self._tail["row_key"].take(beside).text(), self._tail["id"].values[beside]
            theirs = self.base.columns["row_key"].take(slice(start, stop)).text(), self.base.columns["id"].values[start:stop]
            slots[beside] = start + _rank(theirs, mine)
        return slots

    def known_versions(self, at_us: int) -> int:
        """How many versions were known at an instant."""
        return sum(int(np.searchsorted(known, at_us, side="right")) for known in (self._first, self._second, self._tail_known))

    def first_known(self, keys: Iterable[str]) -> dict[str, datetime]:
        """When each of those rows first became known, by row_key; a row that never was is absent."""
        wanted = pa.array(sorted(set(keys)), pa.large_string())
        found: dict[str, int] = {}
        if self.base is not None:
            places = self.base.index.find(key_hashes(wanted))
            places = places[self.base.known_us[places] <= self._until_us]
            _earliest(found, self.base.columns["row_key"].take(places), self.base.known_us[places])
        _earliest(found, self._tail["row_key"], self._tail_known)
        return {key: EPOCH + timedelta(microseconds=found[key]) for key in wanted.to_pylist() if key in found}

    def _cut(self, at_us: int, since_us: int | None) -> Cut:
        start, stop = _stretch(self._first, at_us, since_us)
        split = len(self._first) if self.base is None else self.base.standing
        holes = self._touched[(self._touched >= start) & (self._touched < stop) & (self._touched_until <= at_us)]
        others, tail = self._standing_others(at_us, since_us), self._standing_tail(at_us, since_us)
        slots = np.concatenate([NO_TIMES if self.base is None else self.base.slots[others - split], self._tail_slots[tail]])
        merge = None
        if len(others) and len(tail) and self.base is not None and self.base.known_us[others[-1]] >= self._tail_known[tail[0]]:
            id_, key, known = (gathered(self.base.columns[n], others, self._tail[n], tail) for n in ("id", "row_key", "known_at"))
            merge = sort_order(known.values, key.text(), id_.values, key_hashes(key.text()))
            slots = slots[merge]
        return Cut(start, stop, holes, others, tail, merge, slots)

    def _standing_others(self, at_us: int, since_us: int | None) -> Ints:
        """Places of the base's versions that stand at an instant and were replaced later, ascending."""
        if self.base is None:
            return NO_TIMES
        split = self.base.standing
        start, stop = _stretch(self._second, at_us, since_us)
        stands: Bools = self.base.superseded_us[start:stop] > min(at_us, self._until_us)
        again = (self._touched >= split + start) & (self._touched < split + stop)
        stands[self._touched[again] - split - start] = self._touched_until[again] > at_us
        return split + start + np.flatnonzero(stands & ~self.base.columns["gone"].values[split + start : split + stop])

    def _standing_tail(self, at_us: int, since_us: int | None) -> Ints:
        start, stop = _stretch(self._tail_known, at_us, since_us)
        stands = (self._tail_until[start:stop] > at_us) & ~self._tail["gone"].values[start:stop]
        return start + np.flatnonzero(stands)

    def at(self, at_us: int, since_us: int | None = None, renames: Renames | None = None) -> pd.DataFrame:
        """Newest versions known at `at_us`, with known_at >= since_us if given, by known_at, row_key; the caller's to modify.

        renames: symbols become the names that their securities have now, by the date of the event; without, they are as delivered.
        What is known at an instant is made into a frame once, and handed out as copies that are made when they are written to.
        """
        key = (self.revision, self.known_versions(at_us), 0 if renames is None else renames.token)
        if self._frames[0] != key:
            self._frames, self._widest_us, self._asked_us = (key, []), self._asked_us, 0
        start = -NEVER if since_us is None else since_us
        self._asked_us = max(self._asked_us, 0 if since_us is None else at_us - start)
        for earlier, frame in self._frames[1]:
            if earlier <= start:
                return _from(frame, start) if earlier < start else frame.copy(deep=False)
        # Who asks for a window is often followed by one who asks for a wider one: take what the instant before needed, else double.
        wide = start
        if since_us is not None:
            wide = min(start, at_us - max(self._widest_us, 2 * (at_us - start) if self._frames[1] else 0))
        made = self._frame(self._cut(at_us, None if since_us is None else wide))
        if renames is not None and self._mentions(renames):
            made[SYMBOL] = _renamed(made[SYMBOL], made["event_at"], renames)
        self._frames[1].append((wide, made))
        return self.at(at_us, since_us, renames)

    def _frame(self, cut: Cut) -> pd.DataFrame:
        names = [name for name in self._tail if name not in HIDDEN]
        runs = cut.runs()
        places = cut.standing() if runs is None else NO_TIMES
        order = _merged(np.searchsorted(places, cut.slots, side="left"), len(places)) if runs is None else NO_TIMES

        def make(name: str) -> Any:
            mine = self._tail[name]
            if self.base is None:
                return mine.take(cut.tail).pandas()
            theirs = self.base.columns[name]
            others = gathered(theirs, cut.others, mine, cut.tail)
            if cut.merge is not None:
                others = others.take(cut.merge)
            if runs is not None:
                return assembled(theirs, runs, others).pandas()
            return gathered(theirs, places, others, slice(0, len(others))).take(order).pandas()

        if cut.stop - cut.start < MANY_ROWS:
            return pd.DataFrame({name: make(name) for name in names}, copy=False)
        # The costliest columns first: dates become objects.
        ordered = sorted(names, key=lambda name: self._tail[name].kind != "date")
        with ThreadPoolExecutor(min(len(names), os.cpu_count() or 1)) as pool:
            found = dict(zip(ordered, pool.map(make, ordered), strict=True))
        return pd.DataFrame({name: found[name] for name in names}, copy=False)

    def _mentions(self, renames: Renames) -> bool:
        """Whether any version has a symbol that is an old name."""
        if SYMBOL not in self._tail:
            return False
        key = (self.revision, renames.token)
        if self._mentioned[0] != key:
            texts = [self._tail[SYMBOL].text()]
            if self.base is not None:
                texts.append(self.base.words.get(SYMBOL, self.base.columns[SYMBOL].values))
            old = pa.array(renames.symbols, pa.large_string())
            self._mentioned = (key, any(pc.any(pc.is_in(text, old)).as_py() for text in texts))
        return self._mentioned[1]


def _until(known_us: Ints, until_us: int) -> Ints:
    return known_us[: int(np.searchsorted(known_us, until_us, side="right"))]


def _stretch(known_us: Ints, at_us: int, since_us: int | None) -> tuple[int, int]:
    stop = int(np.searchsorted(known_us, at_us, side="right"))
    return (0 if since_us is None else min(stop, int(np.searchsorted(known_us, since_us, side="left")))), stop


def _merged(before: Ints, count_: int) -> Ints:
    """The order that puts rows, each behind so many of the first `count_`, in their places."""
    order = np.empty(count_ + len(before), np.int64)
    mine = before + np.arange(len(before))
    theirs = np.ones(len(order), bool)
    theirs[mine] = False
    order[mine] = count_ + np.arange(len(before))
    order[theirs] = np.arange(count_)
    return order


def _with_gone(table: pa.Table) -> pa.Table:
    return table if "gone" in table.column_names else table.append_column("gone", pa.array(np.zeros(table.num_rows, bool)))


def _rank(theirs: tuple[pa.LargeStringArray, Ints], mine: tuple[pa.LargeStringArray, Ints]) -> Ints:
    """How many of theirs sort before each of mine, by key and id; mine are sorted."""
    others = len(theirs[1])
    keys, ids = pa.concat_arrays([theirs[0], mine[0]]), np.concatenate([theirs[1], mine[1]])
    order = sort_order(np.zeros(len(ids), np.int64), keys, ids, key_hashes(keys))
    before: Ints = np.cumsum(order < others)
    return before[order >= others]


def _renamed(symbols: pd.Series, event_at: pd.Series, renames: Renames) -> pd.Series:
    """Symbols by their present names; the date of an event is that of New York."""
    places = np.flatnonzero(symbols.isin(renames.symbols))
    days = event_at.iloc[places].dt.tz_convert("America/New_York").dt.date
    found = symbols.astype(object).to_numpy(copy=True)
    found[places] = [renames.resolve(symbol, day) for symbol, day in zip(found[places], days, strict=True)]
    return pd.Series(found, index=symbols.index, dtype=symbols.dtype)


def _earliest(found: dict[str, int], keys: Column, known_us: Ints) -> None:
    for key, known in zip(keys.text().to_pylist(), known_us.tolist(), strict=True):
        found[key] = min(known, found.get(key, known))


def _from(frame: pd.DataFrame, since_us: int) -> pd.DataFrame:
    """The rows of a frame that became known at an instant or later."""
    start = int(frame["known_at"].searchsorted(pd.Timestamp(since_us, unit="us", tz="UTC"), side="left"))
    return frame.iloc[start:].reset_index(drop=True)
