"""Series of renamed symbols joined to those of their newer names, when a view is read: what was stored stays as it was delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.store.bar_rows import FIELDS, Dates, Floats, Name
from scrapers.renames import Renames

Bools = npt.NDArray[np.bool_]
CLOSE, ADJUSTED = FIELDS.index("close"), FIELDS.index("adj_close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A series under an old name: between the sessions start and stop it belongs to `owner`.

    reused: the name was given to another security later, so that where the owner has a bar of its own, the old name keeps its bar.
    """

    column: int
    symbol: str
    adjustment: str
    owner: str
    start: int
    stop: int
    reused: bool

    def bars(self, close: Floats) -> Bools:
        """Where the series has a bar that may belong to the owner; close: (n_sessions, n_series)."""
        found: Bools = np.isfinite(close[:, self.column])
        found[: self.start] = found[self.stop :] = False
        return found

    def moved(self, close: Floats, own: int | None) -> Bools:
        """Where the bars leave the old name; own: the owner's own column, if it has one."""
        found = self.bars(close)
        return found & ~np.isfinite(close[:, own]) if self.reused and own is not None else found


def aliases(names: Sequence[Name], sessions: Dates, renames: Renames) -> list[Alias]:
    """The series under old names, those whose name was given up last first.

    A name that was given to another security is an old one only where the renamed security has bars of its own: an archive under present
    names holds the other security's, all along.
    """
    old, owners, found = frozenset(renames.symbols), {symbol for symbol, _ in names}, []
    for column, (symbol, adjustment) in enumerate(names):
        for span in renames.spans(symbol) if symbol in old else ():
            if span.reused and span.owner not in owners:
                continue
            start = 0 if span.start is None else int(np.searchsorted(sessions, np.datetime64(span.start, "D")))
            stop = int(np.searchsorted(sessions, np.datetime64(span.stop, "D")))
            found.append(
                Alias(column=column, symbol=symbol, adjustment=adjustment, owner=span.owner, start=start, stop=stop, reused=span.reused)
            )
    return sorted(found, key=lambda a: (-a.stop, a.column))


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """One symbol's series made of several.

    column: its main one. own: that one is under the symbol's own name, else it is an alias. left: aliases by which bars of the main
    one belong to others, with the owner's own column. parts: series under old names that fill what is missing, best first.
    """

    column: int
    own: bool
    left: tuple[tuple[Alias, int | None], ...]
    parts: tuple[Alias, ...]

    def values(self, fields: Sequence[Floats], field: int) -> Floats:
        """The field over all sessions. adj_close of an older series is scaled to meet that of the newer one."""
        close = fields[CLOSE]
        made = fields[field][:, self.column].copy() if self.own else np.full(len(close), np.nan)
        have = np.isfinite(close[:, self.column]) if self.own else np.zeros(len(close), bool)
        for alias, own in self.left:
            gone = alias.moved(close, own)
            made[gone], have[gone] = np.nan, False
        for part in self.parts:
            fill = part.bars(close) & ~have
            scale = _joint(fields, part.column, fill, made, have, close[:, self.column]) if field == ADJUSTED else 1.0
            made[fill] = fields[field][fill, part.column] * scale
            have |= fill
        return made


def _joint(fields: Sequence[Floats], column: int, fill: Bools, made: Floats, have: Bools, close: Floats) -> float:
    """By what an older adjusted series is multiplied, so that its factor to the close runs on into the newer one."""
    older, newer = np.flatnonzero(fill), np.flatnonzero(have & np.isfinite(made))
    after = newer[newer > older[-1]] if len(older) else newer
    if not len(older) or not len(after):
        return 1.0
    last, first = older[-1], after[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = (made[first] / close[first]) / (fields[ADJUSTED][last, column] / fields[CLOSE][last, column])
    return float(scale) if np.isfinite(scale) else 1.0


def splices(chosen: Mapping[str, int], names: Sequence[Name], present: Sequence[Alias]) -> dict[str, Splice]:
    """The symbols among the chosen ones whose series is not simply their column."""
    own = {symbol: column for symbol, column in chosen.items() if names[column][0] == symbol}
    left: dict[str, list[tuple[Alias, int | None]]] = {}
    parts: dict[str, list[Alias]] = {}
    for alias in present:
        if own.get(alias.symbol) == alias.column:
            left.setdefault(alias.symbol, []).append((alias, own.get(alias.owner)))
        if alias.owner in chosen and names[chosen[alias.owner]][1] == alias.adjustment:
            parts.setdefault(alias.owner, []).append(alias)
    return {
        symbol: Splice(
            column=chosen[symbol], own=symbol in own, left=tuple(left.get(symbol, ())), parts=tuple(parts.get(symbol, ()))
        )
        for symbol in sorted({*left, *parts})
    }  # fmt: skip
