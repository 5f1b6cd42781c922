"""Reference prices of the in-process exchange, from the same rows as the views: what really traded, as first delivered."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from daemon.store.actions import effective
from daemon.store.bar_rows import FIELDS
from daemon.store.panel import CLOSE, RANK
from daemon.store.splice import Alias, aliases, splices
from daemon.store.view import Archive
from execution.base import Asset
from execution.exchange.market import SessionBar

Floats = npt.NDArray[np.float64]
ALWAYS = np.iinfo(np.int64).max - 1
ROUNDING_FRAC = 3e-5
ROUNDING_USD = 2e-4
"""A change of the adjustment factor below these is rounding of the archive, not a dividend."""


class ArchivePrices:
    """A PriceSource over every bar in the archive, each in its first delivered version.

    A symbol trades in the series that became known first (ties: raw, split, total_return), as in the views. Splits and
    dividends of raw series come from corporate_actions; those of split-adjusted ones are implied by adj_close on the
    ex-date (CRSP's rule: factor before over factor after is 1 - dividend / previous close); a total-return series has none.
    """

    def __init__(self, archive: Archive) -> None:
        panel, names = archive.panel, list(archive.panel.names)
        fields, first_known = panel.first_versions()
        self._sessions = {d.astype(object): i for i, d in enumerate(archive.sessions)}
        self._columns = _series(names, first_known)
        fields = _joined(fields, names, self._columns, aliases(names, archive.sessions, archive.renames_at(ALWAYS)))
        self._kind = {symbol: names[column][1] for symbol, column in self._columns.items()}
        self._fields = fields
        self._dividends = _implied_dividends(fields[CLOSE], fields[FIELDS.index("adj_close")], names)
        self._actions = _actions(archive)

    def bar(self, symbol: str, session: date) -> SessionBar | None:
        """The bar of that session, or None."""
        column, place = self._columns.get(symbol), self._sessions.get(session)
        if column is None or place is None:
            return None
        opened, high, low, close, _, volume = (float(f[place, column]) for f in self._fields)
        if not close > 0:
            return None
        return SessionBar(open=_or_none(opened), high=_or_none(high), low=_or_none(low), close=close, volume=_or_none(volume))

    def dividend(self, symbol: str, session: date) -> float:
        """Cash per share with that ex-date."""
        if self._kind.get(symbol) == "raw":
            return self._actions.get((symbol, session, "cash_dividend"), 0.0)
        column, place = self._columns.get(symbol), self._sessions.get(session)
        return 0.0 if column is None or place is None else float(self._dividends[place, column])

    def split(self, symbol: str, session: date) -> float:
        """New shares per old."""
        return self._actions.get((symbol, session, "split"), 1.0) if self._kind.get(symbol) == "raw" else 1.0

    def assets(self) -> Sequence[Asset]:
        """Every symbol that ever had a bar."""
        return [Asset(symbol=s, tradable=True, fractionable=True, shortable=True) for s in self._columns]

    def close_only(self, symbol: str) -> bool:
        """True when the symbol trades at its close because its archive has no opens."""
        return self._kind.get(symbol) == "total_return"


def _or_none(value: float) -> float | None:
    return value if value > 0 else None


def _series(names: Sequence[tuple[str, str]], first_known: npt.NDArray[np.int64]) -> dict[str, int]:
    chosen: dict[str, tuple[int, int, int]] = {}
    for column, (symbol, adjustment) in enumerate(names):
        order = (int(first_known[column]), RANK[adjustment], column)
        if symbol not in chosen or order < chosen[symbol]:
            chosen[symbol] = order
    return {symbol: column for symbol, (_, _, column) in sorted(chosen.items())}


def _joined(fields: list[Floats], names: list[tuple[str, str]], columns: dict[str, int], old: Sequence[Alias]) -> list[Floats]:
    """The fields with a further column for each symbol whose series is made of several; `names` and `columns` follow."""
    present = [alias for alias in old if alias.bars(fields[CLOSE]).any()]
    for symbol in {alias.symbol for alias in present if columns.get(alias.symbol) == alias.column}:
        mine = [alias for alias in present if alias.column == columns[symbol]]
        left = np.isfinite(fields[CLOSE][:, columns[symbol]])
        for alias in mine:
            left &= ~alias.moved(fields[CLOSE], columns.get(alias.owner))
        if not left.any():
            columns.setdefault(mine[0].owner, columns.pop(symbol))
    found = splices(columns, names, present)
    if not found:
        return fields
    added = [np.column_stack([splice.values(fields, i) for splice in found.values()]) for i in range(len(fields))]
    for symbol, splice in found.items():
        columns[symbol] = len(names)
        names.append((symbol, names[splice.column][1]))
    return [np.hstack([field, more]) for field, more in zip(fields, added, strict=True)]


def _implied_dividends(close: Floats, adjusted: Floats, names: Sequence[tuple[str, str]]) -> Floats:
    dividends = np.zeros_like(close)
    for column, (_, adjustment) in enumerate(names):
        if adjustment != "split":
            continue
        at = np.flatnonzero(np.isfinite(close[:, column]) & np.isfinite(adjusted[:, column]))
        price, factor = close[at, column], adjusted[at, column] / close[at, column]
        if len(at) < 2:
            continue
        change = 1.0 - factor[:-1] / factor[1:]
        noise = ROUNDING_FRAC + ROUNDING_USD / np.minimum(price[:-1], adjusted[at, column][:-1])
        paid = change > noise
        dividends[at[1:][paid], column] = np.round(price[:-1][paid] * change[paid], 6)
    return dividends


def _actions(archive: Archive) -> dict[tuple[str, date, str], float]:
    table = archive.events("corporate_actions")
    if table is None:
        return {}
    frame = effective(table.at(np.iinfo(np.int64).max - 1))
    values = np.where(frame["kind"] == "split", frame["ratio"], frame["amount_usd"])
    return {
        (s, d, k): float(v)
        for s, d, k, v in zip(frame["symbol"], frame["ex_date"], frame["kind"], values, strict=True)
        if v is not None and v > 0
    }
