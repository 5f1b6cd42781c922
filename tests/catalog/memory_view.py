"""A market held in memory, and the view of it at an instant: the DataView that strategies are tested against.

It keeps the contract of strategies.base.DataView and fails on whatever it was not given: an unknown dataset, bar field or
index is an error here, not an empty frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

NEW_YORK = ZoneInfo("America/New_York")
FIELDS = ("open", "high", "low", "close", "adj_close", "volume")
STAMPS = ("row_key", "event_at", "known_at")


class NotInThisWorld(LookupError):
    """The test asked for something that its world does not hold."""


def bars_known_at(session: pd.Timestamp) -> datetime:
    """Daily bars are known at 16:20 New York."""
    return datetime.combine(session.date(), time(16, 20), NEW_YORK).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class MemoryWorld:
    """Everything that ever happened. closes and adj_closes: (n_sessions, n_symbols), NaN where there was no bar."""

    closes: pd.DataFrame
    adj_closes: pd.DataFrame
    events: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    members: Mapping[str, Sequence[tuple[str, datetime]]] = field(default_factory=dict)

    def at(self, asof: datetime, *, shared: bool = False, reverse: bool = False) -> "MemoryView":
        """What was known at `asof`. shared: hand out the same frames each time; reverse: in the opposite order."""
        return MemoryView(self, asof, shared=shared, reverse=reverse)

    def known_until(self, asof: datetime) -> "MemoryWorld":
        """The same world with everything later removed."""
        seen = [session for session in self.closes.index if bars_known_at(session) <= asof]
        return replace(
            self,
            closes=self.closes.loc[seen].copy(),
            adj_closes=self.adj_closes.loc[seen].copy(),
            events={name: rows[rows["known_at"] <= asof].copy() for name, rows in self.events.items()},
            members={name: [row for row in rows if row[1] <= asof] for name, rows in self.members.items()},
        )


class MemoryView:
    """The DataView of a MemoryWorld at one instant. `most_sessions` is the longest window that was asked for."""

    def __init__(self, world: MemoryWorld, asof: datetime, *, shared: bool = False, reverse: bool = False) -> None:
        self._world = world
        self._asof = asof
        self._step = -1 if reverse else 1
        self._shared: dict[Any, pd.DataFrame] | None = {} if shared else None
        self._sessions = pd.DatetimeIndex([s for s in world.closes.index if bars_known_at(s) <= asof])
        self.most_sessions = 0

    @property
    def asof(self) -> datetime:
        return self._asof

    @property
    def sessions(self) -> pd.DatetimeIndex:
        return self._sessions

    @property
    def handed_out(self) -> list[pd.DataFrame]:
        """The shared frames."""
        return list((self._shared or {}).values())

    def universe(self, index: str = "sp500") -> list[str]:
        if index not in self._world.members:
            raise NotInThisWorld(f"index {index}")
        known = sorted(symbol for symbol, known_at in self._world.members[index] if known_at <= self._asof)
        return known[:: self._step]

    def bars(self, field: str, sessions: int, symbols: Sequence[str] | None = None) -> pd.DataFrame:
        if field not in FIELDS:
            raise NotInThisWorld(f"bar field {field}")
        if sessions < 1:
            raise ValueError("a window has at least one session")
        self.most_sessions = max(self.most_sessions, sessions)
        key = ("bars", field, sessions, tuple(symbols) if symbols is not None else None)
        return self._hand_out(key, lambda: self._bars(field, sessions, symbols))

    def _bars(self, field: str, sessions: int, symbols: Sequence[str] | None) -> pd.DataFrame:
        closes = self._world.closes.loc[self._sessions]
        known = closes.columns[closes.notna().any()]
        chosen = sorted(known) if symbols is None else [symbol for symbol in symbols if symbol in set(known)]
        chosen = chosen[:: self._step]
        window = closes[chosen].tail(sessions).copy()
        if field == "adj_close":
            adjusted = self._world.adj_closes.loc[self._sessions, chosen]
            anchor = (closes[chosen] / adjusted).ffill().iloc[-1] if len(adjusted) else 1.0
            return (adjusted * anchor).tail(sessions)
        return window if field == "close" else window * np.nan

    def events(self, dataset: str, since: datetime | None = None) -> pd.DataFrame:
        if dataset not in self._world.events:
            raise NotInThisWorld(f"dataset {dataset}")
        return self._hand_out(("events", dataset, since), lambda: self._events(dataset, since))

    def _events(self, dataset: str, since: datetime | None) -> pd.DataFrame:
        rows = self._world.events[dataset]
        rows = rows[rows["known_at"] <= self._asof].sort_values(["known_at", "row_key"]).drop_duplicates("row_key", keep="last")
        if since is not None:
            rows = rows[rows["known_at"] >= since]
        return rows.iloc[:: self._step].reset_index(drop=True)

    def _hand_out(self, key: Any, make: Any) -> pd.DataFrame:
        if self._shared is None:
            return make()  # type: ignore[no-any-return]
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def sectors(self) -> pd.Series:
        raise NotInThisWorld("sectors")

    def artifact(self, name: str) -> Any:
        raise NotInThisWorld(f"artefact {name}")

    def previous_targets(self) -> pd.Series:
        return pd.Series(dtype="float64")

    def holdings(self) -> pd.DataFrame:
        return pd.DataFrame({"qty": pd.Series(dtype="float64"), "market_value_usd": pd.Series(dtype="float64")})

    def lots(self) -> pd.DataFrame:
        return pd.DataFrame({"symbol": [], "acquired_at": [], "qty": [], "basis_usd": []})


CONGRESS_TEXT = (
    *("chamber", "member", "member_id", "member_key", "party", "owner", "origin"),
    *("symbol", "asset_description", "asset_type", "asset_key", "transaction"),
)
CONGRESS_COLUMNS = (
    *CONGRESS_TEXT,
    *("amount_low_usd", "amount_high_usd", "amount_text", "transaction_date", "disclosure_date", "filing_id", "occurrence", "source_url"),
    *STAMPS,
)


def congress_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A congress_trades frame from partial rows: what is not given is a plain stock purchase of 1,001 to 15,000 USD."""
    complete = []
    for number, row in enumerate(rows):
        defaults: dict[str, Any] = dict.fromkeys(CONGRESS_TEXT, "") | {
            "member": "Test Member",
            "owner": "self",
            "asset_description": "Test Company Common Stock",
            "transaction": "purchase",
            "amount_low_usd": 1001.0,
            "amount_high_usd": 15000.0,
            "amount_text": "",
            "filing_id": f"F{number:05d}",
            "occurrence": 0,
            "source_url": "",
            "row_key": f"R{number:05d}",
            "transaction_date": None,
            "disclosure_date": None,
        }
        defaults["event_at"] = row["known_at"]
        complete.append(defaults | dict(row))
    frame = pd.DataFrame(complete, columns=list(CONGRESS_COLUMNS))
    return frame.astype({"amount_low_usd": "float64", "amount_high_usd": "float64", "occurrence": "int64"})


def weekdays(end: str, n: int) -> pd.DatetimeIndex:
    """`n` weekdays up to and including `end`, standing in for exchange sessions."""
    return pd.bdate_range(end=end, periods=n)


def prices(paths: Mapping[str, Sequence[float]], end: str) -> pd.DataFrame:
    """Closes of equal length by symbol, ending at session `end`."""
    frame = pd.DataFrame({symbol: np.asarray(path, dtype="float64") for symbol, path in paths.items()})
    return frame.set_index(weekdays(end, len(frame)))
