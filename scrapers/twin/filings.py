"""The reports in which the invented members of Congress tell of their trades: who filed which trades when, and what was set right later."""

import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from scrapers import times
from scrapers.twin.congress import Disclosure
from scrapers.twin.world import World

PAPER, AMENDED = 0.03, 0.06
"""Shares of reports that are scans, and of those that are amended later."""
AMENDED_AFTER = timedelta(days=12)
OWNERS = ("Self", "Self", "Spouse", "Joint", "Child")
_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One transaction of a report. status: New, Amended or Deleted, as the House writes it; amended ones bear a number."""

    trade: Disclosure
    owner: str
    status: str = "New"
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One report. number: of this filing, stable however long the world lasts. day: of filing, in New York. of: the day of the report
    that it amends, or its own."""

    number: int
    member: str
    member_number: int
    filed_at: datetime
    lines: tuple[Line, ...]
    paper: bool
    day: date
    of: date
    amendment: int = 0


def chance(*words: object) -> float:
    """A number from 0 to 1 that depends on the words alone."""
    return zlib.crc32(" ".join(map(str, words)).encode()) / 2**32


class Filings:
    """All reports of one chamber, by time of filing."""

    def __init__(self, world: World, chamber: str) -> None:
        self._world, self._chamber = world, chamber

    def published(self, now: datetime) -> list[Filing]:
        """Those filed by `now`, oldest first."""
        return self._all[: bisect_right(self._times, now)]

    def numbered(self, number: int, now: datetime) -> Filing | None:
        """The report of a number, if it was filed by `now`."""
        filing = self._numbered.get(number)
        return filing if filing is not None and filing.filed_at <= now else None

    @cached_property
    def _numbered(self) -> dict[int, Filing]:
        return {filing.number: filing for filing in self._all}

    @cached_property
    def _all(self) -> list[Filing]:
        return sorted(self._generated(), key=lambda filing: (filing.filed_at, filing.number))

    @cached_property
    def _times(self) -> list[datetime]:
        return [filing.filed_at for filing in self._all]

    def _generated(self) -> Iterator[Filing]:
        filed: dict[tuple[date, str], list[Disclosure]] = defaultdict(list)
        for trade in self._world.disclosures(_BEGINNING, datetime(2200, 1, 1, tzinfo=UTC)):
            if trade.chamber == self._chamber:
                filed[(trade.disclosure_date, trade.member)].append(trade)
        for (day, member), trades in filed.items():
            original = self._original(day, member, trades)
            yield original
            if not original.paper and chance(self._world.seed, "amended", original.number) < AMENDED:
                yield self._amendment(original)

    def _original(self, day: date, member: str, trades: list[Disclosure]) -> Filing:
        number = self._world.index(day) * 100 + int(member[-2:])
        lines = tuple(
            Line(trade=trade, owner=OWNERS[int(chance(self._world.seed, number, place, "owner") * len(OWNERS))])
            for place, trade in enumerate(trades)
        )
        if chance(self._world.seed, number, "twice") < 0.03:
            lines = (*lines, lines[-1])
        return Filing(
            number=number,
            member=member,
            member_number=int(member[-2:]),
            filed_at=max(trade.disclosed_at for trade in trades),
            lines=lines,
            paper=chance(self._world.seed, "paper", number) < PAPER,
            day=day,
            of=day,
        )

    def _amendment(self, original: Filing) -> Filing:
        """In the Senate the report as it should have been, without its last line; in the House that line alone, struck or set right."""
        last = original.lines[-1]
        status = "Deleted" if chance(self._world.seed, "struck", original.number) < 0.5 else "Amended"
        mended = replace(last, status=status, number=2_000_000_000 + original.number)
        return replace(
            original,
            number=500_000 + original.number,
            filed_at=original.filed_at + AMENDED_AFTER,
            day=times.new_york_date(original.filed_at + AMENDED_AFTER),
            lines=original.lines[:-1] if self._chamber == "Senate" else (mended,),
            amendment=1,
        )
