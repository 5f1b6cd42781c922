"""Point-in-time views: everything known at one instant, read from the sealed segments, nothing later."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from daemon.artefacts import Artefact, Artefacts
from daemon.calendar import Calendar
from daemon.clock import NEW_YORK
from daemon.store.actions import effective
from daemon.store.bar_rows import FIELDS
from daemon.store.column import NO_DAY
from daemon.store.events import EventTable, micros
from daemon.store.keys import NEVER
from daemon.store.panel import CLOSE, BarPanel
from daemon.store.rosters import Listing, Rosters
from daemon.store.segments import BARS, Lake
from scrapers.base import Dataset
from scrapers.renames import Rename, Renames, listed
from strategies.base import BarField

Floats = npt.NDArray[np.float64]
CHANGES = "symbol_changes"
NO_WEIGHTS = pd.Series(dtype="float64")
NO_HOLDINGS = pd.DataFrame({"qty": pd.Series(dtype="float64"), "market_value_usd": pd.Series(dtype="float64")})
NO_LOTS = pd.DataFrame(
    {
        "symbol": pd.Series(dtype="object"),
        "acquired_at": pd.Series(dtype="datetime64[us, UTC]"),
        "qty": pd.Series(dtype="float64"),
        "basis_usd": pd.Series(dtype="float64"),
    }
)
NO_SPAN = np.datetime64("NaT", "D")
AXIS_MARGIN = 260
"""Sessions kept free after the newest bar, so that a year of live bars needs no new axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A split (value = new/old shares) or cash dividend (value = USD per old share) as known at some instant."""

    kind: str
    ex_session: int
    value: float


class Archive:
    """Every dataset's versions in memory, for views at any instant. Not thread-safe: one owner at a time."""

    def __init__(
        self,
        lake: Lake,
        datasets: Iterable[Dataset],
        calendar: Calendar,
        *,
        known_until: datetime | None = None,
        artefacts: Artefacts | None = None,
        fixed: bool = False,
    ) -> None:
        """fixed: what is sealed later is not taken in, so that a long reading goes over one state of the store."""
        self._lake = lake
        self.artefacts = artefacts or Artefacts()
        self._datasets = {d.name: d for d in datasets}
        self._until_us = NEVER if known_until is None else micros(known_until)
        self.calendar = calendar
        self._events: dict[str, EventTable] = {}
        self._read_to = dict.fromkeys(self._datasets, 0)
        self.rosters = Rosters()
        self._empty: dict[str, pd.DataFrame] = {}
        self._renames: dict[tuple[int, int], Renames] = {}
        self._lay_axis(len(calendar.session_days) - 1, len(calendar.session_days))
        self._fixed = False
        self.refresh()
        self._fixed = fixed

    def _lay_axis(self, first: int, stop: int) -> None:
        self.sessions = self.calendar.session_days[first:stop]
        self.session_index = pd.DatetimeIndex(self.sessions.astype("datetime64[us]"))
        self.closes_us = self.calendar.closes_us[first:stop]
        self.panel = BarPanel(self.sessions)

    def refresh(self) -> bool:
        """Take in segments sealed since the last call; True when there were any."""
        changed = False
        if self._fixed:
            return changed
        for dataset in self._datasets.values():
            segments = self._lake.segments(dataset.name)
            if segments and segments[-1].last_id > self._read_to[dataset.name]:
                self._take_bars(dataset) if dataset.name == BARS else self._take(dataset)
                self._read_to[dataset.name] = max(segments[-1].last_id, self._read_to[dataset.name])
                changed = True
        return changed

    def _tail(self, dataset: Dataset, after_id: int) -> pa.Table:
        """What was stored after an id."""
        table = self._lake.tail(dataset, after_id=after_id, known_until_us=self._until_us)
        if table.num_rows:
            self._read_to[dataset.name] = max(self._read_to[dataset.name], table.column("id")[-1].as_py())
        return table

    def _take(self, dataset: Dataset) -> None:
        held, base = self._events.get(dataset.name), self._lake.base(dataset)
        last_id = 0 if base is None else base.last_id
        if held is None or last_id > (0 if held.base is None else held.base.last_id):
            self._events[dataset.name] = EventTable(self._tail(dataset, last_id), base, self._until_us)
        else:
            held.add(self._tail(dataset, self._read_to[dataset.name]))

    def _take_bars(self, dataset: Dataset) -> None:
        """Add what is new to the panel, or lay a longer axis and begin again when it reaches beyond the axis."""
        if self.panel.names:
            table = self._tail(dataset, self._read_to[dataset.name])
            first, last = _span(table.column("session"))
            if not table.num_rows or (self.sessions[0] <= first and last <= self.sessions[-1]):
                self.panel.add(table)
                return
        base = self._lake.base(dataset)
        table = self._tail(dataset, 0 if base is None else base.last_id)
        days = [_span(table.column("session"))] if table.num_rows else []
        if base is not None and base.rows:
            days.append(_span(base.columns["session"].values))
        if not days:
            return
        axis = self.calendar.session_days
        start = max(0, int(np.searchsorted(axis, min(d[0] for d in days))))
        stop = int(np.searchsorted(axis, max(d[1] for d in days), side="right"))
        self._lay_axis(min(start, len(axis) - 1), min(len(axis), stop + AXIS_MARGIN))
        if base is not None:
            self.panel.lay(base, self._until_us)
        self.panel.add(table)

    def events(self, dataset: str) -> EventTable | None:
        """All versions of a dataset, or None while it is empty."""
        return self._events.get(dataset)

    def empty_events(self, dataset: str) -> pd.DataFrame:
        """A frame with the columns of a dataset and no rows. KeyError for an undeclared one."""
        if dataset not in self._empty:
            self._empty[dataset] = EventTable(self._lake.tail(self._datasets[dataset], after_id=1 << 60)).at(0)
        return self._empty[dataset].copy()

    def frame(self, dataset: str, at_us: int, since_us: int | None = None) -> pd.DataFrame | None:
        """Newest versions known at an instant, symbols by their present names; None while the dataset is empty."""
        table = self._events.get(dataset)
        return None if table is None else table.at(at_us, since_us, self.renames_at(at_us))

    def renames_at(self, at_us: int) -> Renames:
        """The packaged renames, and those that were known at an instant."""
        table = self._events.get(CHANGES)
        known = 0 if table is None else table.known_versions(at_us)
        if table is None or not known:
            return listed()
        key = (table.revision, known)
        if key not in self._renames:
            rows = table.at(at_us)[["old_symbol", "new_symbol", "effective_date"]].dropna()
            found = [Rename(old=old, new=new, effective=on) for old, new, on in rows.itertuples(index=False, name=None)]
            self._renames[key] = listed().plus(found)
        return self._renames[key]

    def view(self, asof: datetime) -> "View":
        """What was known at `asof`."""
        self.panel.advance(micros(asof))
        return View(self, asof)

    def versions_known(self, at_us: int) -> dict[str, int]:
        """Versions known at an instant, by dataset: the fingerprint of a view's content."""
        known = {name: table.known_versions(at_us) for name, table in sorted(self._events.items())}
        return {BARS: self.panel.known_versions(), **known}


class View:
    """The DataView of one instant and, after `for_sleeve`, of one sleeve. Valid until the archive moves on."""

    def __init__(self, archive: Archive, asof: datetime) -> None:
        self._archive = archive
        self.asof = asof
        self._at_us = micros(asof)
        self._closed = int(np.searchsorted(archive.closes_us, self._at_us, side="right"))
        self._choice = archive.panel.choose(self._closed - 1, archive.renames_at(self._at_us))
        self._chosen = self._choice.columns
        self._raw_actions: dict[str, list[Action]] | None = None
        self._previous, self._holdings, self._lots = NO_WEIGHTS, NO_HOLDINGS, NO_LOTS

    def for_sleeve(self, previous: pd.Series, holdings: pd.DataFrame = NO_HOLDINGS, lots: pd.DataFrame = NO_LOTS) -> "View":
        """The same view with one sleeve's recorded state."""
        other = View.__new__(View)
        other.__dict__.update(self.__dict__)
        other._previous, other._holdings, other._lots = previous, holdings, lots
        return other

    def _check_current(self) -> None:
        if self._archive.panel.at_us != self._at_us:
            raise RuntimeError(f"the view of {self.asof} was used after the archive moved on")

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Exchange sessions closed before asof."""
        return self._archive.session_index[: self._closed]

    @property
    def symbols(self) -> list[str]:
        """Every symbol with a known bar, sorted."""
        return list(self._choice.symbols)

    def adjustment(self, symbol: str) -> str:
        """Which series of the symbol is in use: raw, split or total_return."""
        return self._archive.panel.names[self._chosen[symbol]][1]

    def bars(self, field: BarField, sessions: int, symbols: Sequence[str] | None = None) -> pd.DataFrame:
        """Last sessions of a bar field; see DataView."""
        self._check_current()
        start = max(0, self._closed - sessions)
        if symbols is None:
            wanted, labels, columns = self._choice.symbols, self._choice.index, self._choice.places
        else:
            wanted = [s for s in dict.fromkeys(symbols) if s in self._chosen]
            labels, columns = pd.Index(wanted, dtype=object), np.array([self._chosen[s] for s in wanted], dtype=np.intp)
        values = self._matrix(field, start, columns, wanted)
        if self._choice.raw:
            self._adjust(values, field, start, wanted)
        return pd.DataFrame(values, index=self._archive.session_index[start : self._closed], columns=labels, copy=False)

    def _matrix(self, field: str, start: int, columns: npt.NDArray[np.intp], symbols: Sequence[str]) -> Floats:
        panel = self._archive.panel
        values: Floats = np.ascontiguousarray(panel.fields[FIELDS.index(field)][start : self._closed][:, columns])
        spliced = [i for i, symbol in enumerate(symbols) if symbol in self._choice.spliced]
        for i in spliced:
            values[:, i] = self._spliced(field, symbols[i])[start:]
        if field == "adj_close" and values.size:
            close = panel.fields[CLOSE][start : self._closed][:, columns]
            last = np.clip(panel.last_session[columns], start, self._closed - 1) - start
            for i in spliced:
                close[:, i] = self._spliced("close", symbols[i])[start:]
                last[i] = max(np.flatnonzero(np.isfinite(close[:, i])), default=0)
            rows = np.arange(len(columns))
            with np.errstate(invalid="ignore", divide="ignore"):
                scale = close[last, rows] / values[last, rows]
            values *= np.where(np.isfinite(scale), scale, 1.0)
        return values

    def _spliced(self, field: str, symbol: str) -> Floats:
        """A field of a series that is made of several, over the closed sessions."""
        return self._choice.spliced[symbol].values(self._archive.panel.fields, FIELDS.index(field))[: self._closed]

    def _adjust(self, values: Floats, field: str, start: int, symbols: Sequence[str]) -> None:
        for i, symbol in enumerate(symbols):
            if symbol in self._choice.raw:
                if field == "adj_close":
                    self._total_return(values, start, i, symbol)
                else:
                    self._split_adjust(values, field, start, i, symbol)

    def _split_adjust(self, values: Floats, field: str, start: int, i: int, symbol: str) -> None:
        for action in self._actions().get(symbol, ()):
            stop = action.ex_session - start
            if action.kind == "split" and stop > 0:
                values[:stop, i] *= action.value if field == "volume" else 1.0 / action.value

    def _total_return(self, values: Floats, start: int, i: int, symbol: str) -> None:
        close = self._archive.panel.fields[CLOSE][start : self._closed, self._chosen[symbol]]
        if symbol in self._choice.spliced:
            close = self._spliced("close", symbol)[start:]
        values[:, i] = close
        for action in self._actions().get(symbol, ()):
            stop = action.ex_session - start
            if stop <= 0:
                continue
            if action.kind == "split":
                values[:stop, i] /= action.value
            elif stop < len(close):
                before = _last_finite(close[:stop])
                if before > action.value:
                    values[:stop, i] *= 1.0 - action.value / before

    def _actions(self) -> dict[str, list[Action]]:
        """Splits and dividends effective by the session that asof belongs to, by symbol."""
        if self._raw_actions is None:
            found: dict[str, list[Action]] = {}
            frame = effective(self.events("corporate_actions"))
            today = np.datetime64(_new_york_date(self.asof), "D")
            values = np.where(frame["kind"] == "split", frame["ratio"], frame["amount_usd"]).astype(np.float64)
            days = frame["ex_date"].to_numpy().astype("datetime64[D]")
            places = np.searchsorted(self._archive.sessions, days)
            kept = (days <= today) & (values > 0)
            columns = (frame["symbol"].to_numpy(object)[kept], frame["kind"].to_numpy(object)[kept], places[kept], values[kept])
            for symbol, kind, place, value in zip(*(column.tolist() for column in columns), strict=True):
                found.setdefault(str(symbol), []).append(Action(kind=str(kind), ex_session=place, value=value))
            self._raw_actions = found
        return self._raw_actions

    def events(self, dataset: str, since: datetime | None = None) -> pd.DataFrame:
        """Newest versions of a dataset's rows known at asof; see DataView."""
        found = self._archive.frame(dataset, self._at_us, None if since is None else micros(since))
        return self._archive.empty_events(dataset) if found is None else found

    def universe(self, index: str = "sp500") -> list[str]:
        """Members of a dated index on asof's date, as known then, sorted."""
        table = self._archive.events("index_membership")
        if table is None:
            return []
        day = _new_york_date(self.asof)
        return list(self._archive.rosters.members(table, self._at_us, self._archive.renames_at(self._at_us), day, index))

    def sectors(self) -> pd.Series:
        """GICS sector by symbol, as known at asof."""
        table = self._archive.events("constituents")
        if table is None:
            return pd.Series(dtype=object)
        return self._archive.rosters.sectors(table, self._at_us, self._archive.renames_at(self._at_us)).copy()

    def listing(self) -> Listing:
        """What the broker trades and lends, as known at asof; nothing against any symbol where its list was never collected."""
        table = self._archive.events("assets")
        if table is None:
            return Listing()
        return self._archive.rosters.listing(table, self._at_us, self._archive.renames_at(self._at_us))

    def artifact(self, name: str) -> Any:
        """The newest trained artefact known at asof: its identity and its params as plain values; None when there is none."""
        found = self.newest_artefact(name)
        return None if found is None else found.as_plain()

    def newest_artefact(self, name: str) -> Artefact | None:
        """The same as it is recorded."""
        return self._archive.artefacts.newest(name, self.asof)

    def previous_targets(self) -> pd.Series:
        """The sleeve's last weights."""
        return self._previous.copy()

    def holdings(self) -> pd.DataFrame:
        """The sleeve's positions."""
        return self._holdings.copy()

    def lots(self) -> pd.DataFrame:
        """The sleeve's tax lots."""
        return self._lots.copy()


def _span(days: Any) -> tuple[np.datetime64, np.datetime64]:
    """First and last of some days, an Arrow column or days since 1970 that may be NO_DAY."""
    if isinstance(days, pa.ChunkedArray):
        days = days.cast(pa.int32()).to_numpy()
    days = days[days != NO_DAY]
    return (np.datetime64(int(days.min()), "D"), np.datetime64(int(days.max()), "D")) if len(days) else (NO_SPAN, NO_SPAN)


def _last_finite(values: Floats) -> float:
    """The newest value there is; NaN without one."""
    known = np.flatnonzero(np.isfinite(values))
    return float(values[known[-1]]) if len(known) else np.nan


def _new_york_date(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()
