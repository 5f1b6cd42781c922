"""A market held in memory, and the view of it at an instant: the DataView that strategies are tested against.

It keeps the contract of strategies.base.DataView and fails on whatever it was not given: an unknown dataset, bar field or
index is an error here, not an empty frame.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.conformance.rows import COLUMNS, NEW_YORK, STAMPS

DEFAULT_VOLUME = 1_000_000.0
FIELDS = ("open", "high", "low", "close", "adj_close", "volume")


class NotInThisWorld(LookupError):
    """The test asked for something that its world does not hold."""


@cache
def bars_known_at(session: pd.Timestamp) -> datetime:
    """Daily bars are known at 16:20 New York."""
    return datetime.combine(session.date(), time(16, 20), NEW_YORK).astimezone(UTC)


def sessions_known(sessions: pd.Index, asof: datetime) -> int:
    """How many of ascending sessions have bars that are known at `asof`."""
    return bisect_right(sessions, asof, key=bars_known_at)


@dataclass(frozen=True, kw_only=True)
class MemoryWorld:
    """Everything that ever happened. closes and adj_closes: (n_sessions, n_symbols), NaN where there was no bar, sessions ascending.

    volumes: shares, DEFAULT_VOLUME where there is a close when not given. ranges: frames of open, high and low, NaN when not given.
    members: (symbol, known_at) by index. artifacts: by name (known_at, plain value), in the order of known_at. previous, holdings and
    lots are the sleeve's own record, as of any instant.
    """

    closes: pd.DataFrame
    adj_closes: pd.DataFrame
    events: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    members: Mapping[str, Sequence[tuple[str, datetime]]] = field(default_factory=dict)
    volumes: pd.DataFrame | None = None
    ranges: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sectors: Mapping[str, str] | None = None
    artifacts: Mapping[str, Sequence[tuple[datetime, Any]]] = field(default_factory=dict)
    previous: Mapping[str, float] = field(default_factory=dict)
    holdings: pd.DataFrame | None = None
    lots: pd.DataFrame | None = None
    _newest: dict[tuple[str, datetime], pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    def at(
        self, asof: datetime, *, shared: bool = False, reverse: bool = False, shuffle: int | None = None, twice: bool = False
    ) -> "MemoryView":
        """What was known at `asof`. shared: hand out the same frames each time; reverse: in the opposite order; shuffle: in an order
        drawn by that seed; twice: every row of an event frame two times.
        """
        order = _reversed if reverse else _as_it_is if shuffle is None else _shuffled(shuffle)
        return MemoryView(self, asof, shared=shared, order=order, twice=twice)

    def known_until(self, asof: datetime) -> "MemoryWorld":
        """The same world with everything later removed."""
        seen = sessions_known(self.closes.index, asof)
        return replace(
            self,
            closes=self.closes.iloc[:seen].copy(),
            adj_closes=self.adj_closes.iloc[:seen].copy(),
            volumes=None if self.volumes is None else self.volumes.iloc[:seen].copy(),
            ranges={name: frame.iloc[:seen].copy() for name, frame in self.ranges.items()},
            events={name: rows[rows["known_at"] <= asof].copy() for name, rows in self.events.items()},
            members={name: [row for row in rows if row[1] <= asof] for name, rows in self.members.items()},
            artifacts={name: [row for row in rows if row[0] <= asof] for name, rows in self.artifacts.items()},
        )

    def newest(self, dataset: str, asof: datetime) -> pd.DataFrame:
        """The newest version of each row known at `asof`, by known_at and row_key; not to be modified."""
        found = self._newest.get((dataset, asof))
        if found is None:
            if dataset not in self.events:
                raise NotInThisWorld(f"dataset {dataset}")
            rows = self.events[dataset]
            rows = rows[rows["known_at"] <= asof].sort_values(["known_at", "row_key"], kind="stable")
            found = self._newest[dataset, asof] = rows.drop_duplicates("row_key", keep="last").reset_index(drop=True)
        return found


Order = Callable[[int], NDArray[np.intp]]
"""From a number of things the order in which they are handed out."""


def _as_it_is(count: int) -> NDArray[np.intp]:
    return np.arange(count, dtype=np.intp)


def _reversed(count: int) -> NDArray[np.intp]:
    return np.arange(count, dtype=np.intp)[::-1]


def _shuffled(seed: int) -> Order:
    return lambda count: np.random.default_rng((seed, count)).permutation(count).astype(np.intp)


class MemoryView:
    """The DataView of a MemoryWorld at one instant.

    most_sessions: the longest window that was asked for. read: the datasets that were asked for, prices, members and sectors under the
    names of theirs. own_record: whether holdings or lots were asked for.
    """

    def __init__(self, world: MemoryWorld, asof: datetime, *, shared: bool = False, order: Order = _as_it_is, twice: bool = False) -> None:
        self._world = world
        self._asof = asof
        self._order = order
        self._twice = twice
        self._shared: dict[Any, tuple[pd.DataFrame, pd.DataFrame]] | None = {} if shared else None
        self._count = sessions_known(world.closes.index, asof)
        self._known: list[str] | None = None
        self.most_sessions = 0
        self.read: set[str] = set()
        self.own_record = False

    @property
    def asof(self) -> datetime:
        """The decision instant."""
        return self._asof

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """The sessions whose bars are known."""
        return pd.DatetimeIndex(self._world.closes.index[: self._count])

    def changed_frames(self) -> list[str]:
        """Which of the shared frames are no longer as they were made."""
        return [
            str(key)
            for key, (made, frame) in (self._shared or {}).items()
            if not (made.equals(frame) and made.columns.equals(frame.columns))
        ]

    def universe(self, index: str = "sp500") -> list[str]:
        """Members of an index; NotInThisWorld for one that the world does not have."""
        self.read.add("index_membership")
        if index not in self._world.members:
            raise NotInThisWorld(f"index {index}")
        return self._ordered(sorted(symbol for symbol, known_at in self._world.members[index] if known_at <= self._asof))

    def _ordered(self, names: list[str]) -> list[str]:
        return [names[place] for place in self._order(len(names))]

    def bars(self, field: str, sessions: int, symbols: Sequence[str] | None = None) -> pd.DataFrame:
        """A window of one bar field; NotInThisWorld for a field that there is not."""
        self.read.add("bars_daily")
        if field not in FIELDS:
            raise NotInThisWorld(f"bar field {field}")
        if sessions < 1:
            raise ValueError("a window has at least one session")
        self.most_sessions = max(self.most_sessions, sessions)
        key = ("bars", field, sessions, tuple(symbols) if symbols is not None else None)
        return self._hand_out(key, lambda: self._bars(field, sessions, symbols))

    def _bars(self, field: str, sessions: int, symbols: Sequence[str] | None) -> pd.DataFrame:
        chosen = self._with_bars() if symbols is None else self._asked_for(symbols)
        chosen = self._ordered(chosen)
        closes = self._world.closes.iloc[: self._count][chosen]
        window = closes.tail(sessions).copy()
        if field == "adj_close":
            adjusted = self._world.adj_closes.iloc[: self._count][chosen]
            anchor = (closes / adjusted).ffill().iloc[-1] if len(adjusted) else 1.0
            return (adjusted * anchor).tail(sessions)
        if field == "volume":
            volumes = self._world.volumes
            return window * 0.0 + DEFAULT_VOLUME if volumes is None else volumes.iloc[: self._count][chosen].tail(sessions).copy()
        if field in self._world.ranges:
            return self._world.ranges[field].iloc[: self._count][chosen].tail(sessions).copy()
        return window if field == "close" else window * np.nan

    def _with_bars(self) -> list[str]:
        if self._known is None:
            closes = self._world.closes.iloc[: self._count]
            self._known = sorted(closes.columns[np.flatnonzero(closes.notna().to_numpy().any(axis=0))])
        return self._known

    def _asked_for(self, symbols: Sequence[str]) -> list[str]:
        known = set(self._with_bars())
        return [symbol for symbol in symbols if symbol in known]

    def events(self, dataset: str, since: datetime | None = None) -> pd.DataFrame:
        """The newest version of each row; NotInThisWorld for a dataset that the world does not have."""
        self.read.add(dataset)
        if dataset not in self._world.events:
            raise NotInThisWorld(f"dataset {dataset}")
        return self._hand_out(("events", dataset, since), lambda: self._events(dataset, since))

    def _events(self, dataset: str, since: datetime | None) -> pd.DataFrame:
        rows = self._world.newest(dataset, self._asof)
        start = 0 if since is None else int(rows["known_at"].searchsorted(pd.Timestamp(since), side="left"))
        order = start + self._order(len(rows) - start)
        return rows.take(np.repeat(order, 2) if self._twice else order).reset_index(drop=True)

    def _hand_out(self, key: Any, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        if self._shared is None:
            return make()
        if key not in self._shared:
            made = make()
            self._shared[key] = made.copy(deep=True), made
        return self._shared[key][1]

    def sectors(self) -> pd.Series:
        """Sector by symbol; NotInThisWorld where the world has none."""
        self.read.add("constituents")
        if self._world.sectors is None:
            raise NotInThisWorld("sectors")
        names = self._ordered(sorted(self._world.sectors))
        return pd.Series([self._world.sectors[name] for name in names], index=pd.Index(names, dtype=object), dtype=object)

    def artifact(self, name: str) -> Any:
        """The newest plain value of that name, a copy; None without one."""
        known = [value for known_at, value in self._world.artifacts.get(name, ()) if known_at <= self._asof]
        return deepcopy(known[-1]) if known else None

    def previous_targets(self) -> pd.Series:
        """The world's `previous`."""
        found = self._world.previous
        return pd.Series(list(found.values()), index=pd.Index(list(found), dtype=object), dtype="float64")

    def holdings(self) -> pd.DataFrame:
        """The world's `holdings`, or none."""
        self.own_record = True
        if self._world.holdings is not None:
            return self._world.holdings.copy()
        return pd.DataFrame({"qty": pd.Series(dtype="float64"), "market_value_usd": pd.Series(dtype="float64")})

    def lots(self) -> pd.DataFrame:
        """The world's `lots`, or none."""
        self.own_record = True
        if self._world.lots is not None:
            return self._world.lots.copy()
        kinds = {"symbol": "object", "acquired_at": "datetime64[us, UTC]", "qty": "float64", "basis_usd": "float64"}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def congress_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A congress_trades frame from partial rows: what is not given is a plain stock purchase of 1,001 to 15,000 USD."""
    columns, complete = COLUMNS["congress_trades"], []
    for number, row in enumerate(rows):
        defaults: dict[str, Any] = {c.name: None if c.optional else "" for c in columns} | {
            "symbol": "",
            "member": "Test Member",
            "owner": "self",
            "asset_description": "Test Company Common Stock",
            "transaction": "purchase",
            "amount_low_usd": 1001.0,
            "amount_high_usd": 15000.0,
            "filing_id": f"F{number:05d}",
            "occurrence": 0,
            "row_key": f"R{number:05d}",
            "transaction_date": None,
            "disclosure_date": None,
        }
        defaults["event_at"] = row["known_at"]
        complete.append(defaults | dict(row))
    frame = pd.DataFrame(complete, columns=[*(column.name for column in columns), *STAMPS])
    return frame.astype({"amount_low_usd": "float64", "amount_high_usd": "float64", "occurrence": "int64"})


def weekdays(end: str, n: int) -> pd.DatetimeIndex:
    """`n` weekdays up to and including `end`, standing in for exchange sessions."""
    return pd.bdate_range(end=end, periods=n)


def prices(paths: Mapping[str, Sequence[float]], end: str) -> pd.DataFrame:
    """Closes of equal length by symbol, ending at session `end`."""
    frame = pd.DataFrame({symbol: np.asarray(path, dtype="float64") for symbol, path in paths.items()})
    return frame.set_index(weekdays(end, len(frame)))
