"""Renamed tickers: the present name of a security that had another one before. This is identity, not data, and has no `known_at`."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import count
from pathlib import Path

LIST = Path(__file__).parent / "lists" / "renames.csv"
REUSED, TAKEN = "reused", "taken"
_TOKENS = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A security that bore `old` before `effective` and bears `new` since.

    reused: another security bore `old` later. taken: another security bore `new` before.
    """

    old: str
    new: str
    effective: date
    reused: bool = False
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Dates before `stop` (and from `start`, if any) on which a symbol named the security that is now called `owner`."""

    start: date | None
    stop: date
    owner: str
    reused: bool


class Renames:
    """A set of renames. `token` tells sets apart; `symbols` are the old names."""

    def __init__(self, renames: Iterable[Rename]) -> None:
        self.token = next(_TOKENS)
        self._all = sorted(set(renames), key=lambda r: (r.effective, r.old, r.new))
        self._by_old: dict[str, list[Rename]] = {}
        self._taken: dict[str, list[date]] = {}
        for rename in self._all:
            self._by_old.setdefault(rename.old, []).append(rename)
            if rename.taken:
                self._taken.setdefault(rename.new, []).append(rename.effective)
        self.symbols: Sequence[str] = sorted(self._by_old)

    def resolve(self, symbol: str, on: date) -> str:
        """The newest name of the security that bore `symbol` on a date; the symbol itself when it was not renamed since.

        Lists and archives often carry a name back to the beginning: before the security took it, it counts as its own unless it is
        known to have been another's.
        """
        while (rename := self._next(symbol, on)) is not None:
            symbol, on = rename.new, rename.effective
        return symbol

    def _next(self, symbol: str, on: date) -> Rename | None:
        rename = next((r for r in self._by_old.get(symbol, ()) if r.effective > on), None)
        if rename is None or any(on < taken < rename.effective for taken in self._taken.get(symbol, ())):
            return None
        return rename

    def spans(self, symbol: str) -> list[Span]:
        """When rows of a price archive under an old name belong to a newer one: archives carry a name back to the beginning."""
        found, start = [], None
        for rename in self._by_old.get(symbol, ()):
            owner = self.resolve(rename.new, rename.effective)
            if owner != symbol:
                found.append(Span(start=start, stop=rename.effective, owner=owner, reused=rename.reused))
            start = rename.effective
        return found

    def former(self, symbol: str) -> list[str]:
        """Old names of the security that is now called `symbol`, latest first."""
        return [r.old for r in reversed(self._all) if any(span.owner == symbol for span in self.spans(r.old))]

    def plus(self, renames: Iterable[Rename]) -> "Renames":
        """These and more of them; one that is listed here already (the same names) counts once."""
        have = {(r.old, r.new) for r in self._all}
        further = [r for r in renames if (r.old, r.new) not in have and r.old != r.new]
        return Renames([*self._all, *further]) if further else self


def parse(records: Iterable[Mapping[str, str]]) -> list[Rename]:
    """Renames of the columns old_symbol, new_symbol, effective_date (ISO), note, which begins with "reused" or "taken" where they are."""
    return [
        Rename(
            old=r["old_symbol"],
            new=r["new_symbol"],
            effective=date.fromisoformat(r["effective_date"]),
            reused=r["note"].startswith(REUSED),
            taken=r["note"].startswith(TAKEN),
        )
        for r in records
    ]


@cache
def listed() -> Renames:
    """The packaged list: well-known renames of US stocks, whose dates are certain."""
    with LIST.open(newline="", encoding="utf-8") as file:
        return Renames(parse(csv.DictReader(file)))


def resolve(symbol: str, on: date) -> str:
    """The newest name, by the packaged list, of the security that bore `symbol` on a date."""
    return listed().resolve(symbol, on)
