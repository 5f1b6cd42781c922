"""What every generated filing with the SEC has, whatever its form: number, filers, time of acceptance, and the day it counts for."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from scrapers import times

AGENT = 9_999_000
"""First half of the invented accession numbers: the number of an invented filing agent."""
LATE = time(17, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filer:
    """One of the parties of a filing, as the feed and the lists name them. role: Issuer, Reporting or Filer."""

    cik: int
    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One filing. accepted_at: UTC, when it becomes public. filed: its official date. period: what it reports on."""

    accession: str
    form: str
    filers: tuple[Filer, ...]
    accepted_at: datetime
    filed: date
    period: date

    @property
    def folder(self) -> str:
        """The accession number without dashes, as folders are called."""
        return self.accession.replace("-", "")


def accession(series: int, on: date, number: int) -> str:
    """An accession number; series tells the generators of numbers apart."""
    return f"{AGENT + series:010d}-{on:%y}-{number:06d}"


def filing_date(accepted_at: datetime, *, insiders: bool) -> date:
    """The date of filing: of the next weekday after 17:30 New York, but reports of insiders have until 22:00."""
    local = accepted_at.astimezone(times.NEW_YORK)
    return local.date() if insiders or local.time() <= LATE else next_weekday(local.date() + timedelta(days=1))


def next_weekday(day: date) -> date:
    """The day itself, or the Monday after it."""
    return day + timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)
