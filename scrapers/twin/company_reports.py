"""Generated quarterly and annual reports with their XBRL facts. Companies that are noticed (heat `fundamentals`) report more growth."""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np

from scrapers import times
from scrapers.twin.edgar_submissions import Filer, Submission, accession, filing_date, next_weekday
from scrapers.twin.world import World

QUARTERS_BEFORE = 9
"""Quarters reported before the world begins, so that there is something to compare with."""
RESTATED = 0.06
REVENUE, CONTRACTS, OLD_SALES = "Revenues", "RevenueFromContractWithCustomerExcludingAssessedTax", "SalesRevenueNet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarter:
    """One quarter's figures in USD, as first reported. number: 1 to 4 of the fiscal year."""

    start: date
    end: date
    year: int
    number: int
    revenue: int
    income: int
    cash_flow: int
    equity: int
    assets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure in a report."""

    taxonomy: str
    tag: str
    unit: str
    start: date | None
    end: date
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A 10-Q or 10-K and what it says: this year's figures and those of a year ago, some of which it restates."""

    submission: Submission
    year: int
    period: str
    facts: tuple[Fact, ...]


def without_xbrl(place: int) -> bool:
    """Whether a company has no XBRL facts at all."""
    return place % 40 == 39


@lru_cache(maxsize=4)
def reports(world: World) -> tuple[tuple[Report, ...], ...]:
    """Every report that the world will ever see, by stock and time."""
    return tuple(tuple(_of_stock(world, place)) for place in range(len(world.stocks())))


def _of_stock(world: World, place: int) -> Iterator[Report]:
    symbol = world.stocks()[place].symbol
    first, last = world.sessions[0], world.sessions[-1]
    shares, split_at = 50_000_000 * (1 + place % 7), [(day, world.split(symbol, day)) for day in world.sessions]
    splits = [(day, ratio) for day, ratio in split_at if ratio != 1.0]
    quarters: list[Quarter] = []
    for number, (start, end) in enumerate(_periods(first, place % 3)):
        rng = np.random.default_rng([world.seed, 43, place, number])
        filed = next_weekday(end + timedelta(days=20 + 7 * (place // 3 % 4) + int(rng.integers(3))))
        if filed > last:
            return
        quarters.append(_quarter(world, rng, place, quarters[-1] if quarters else None, start, end, filed))
        grown = float(np.prod([ratio for day, ratio in splits if day <= filed]))
        yield _report(world, rng, place, quarters, filed, round(shares * grown))


def _periods(first: date, phase: int) -> Iterator[tuple[date, date]]:
    """Quarters that end with the months 3, 6, 9, 12 shifted by the phase, without end."""
    month = first.year * 12 + first.month - 1 - 3 * QUARTERS_BEFORE
    month += (2 + phase - month) % 3
    while True:
        begin, (year, end_month) = month - 2, divmod(month, 12)
        yield date(begin // 12, begin % 12 + 1, 1), date(year, end_month + 1, monthrange(year, end_month + 1)[1])
        month += 3


def _quarter(world: World, rng: np.random.Generator, place: int, before: Quarter | None, start: date, end: date, filed: date) -> Quarter:
    index = world.index(filed)
    heat = float(world.heat("fundamentals")[index, place]) if index >= 0 else 0.0
    growth = 0.01 + 0.08 * heat + float(rng.normal(0.0, 0.015))
    revenue = round(before.revenue * (1 + growth)) if before else 100_000_000 * (1 + place % 11)
    income = round(revenue * (0.08 + 0.06 * heat + float(rng.normal(0.0, 0.02))))
    equity = (before.equity if before else 6 * revenue) + income // 2
    number = (end.month - 1) // 3 + 1
    return Quarter(
        start=start, end=end, year=end.year, number=number, revenue=revenue, income=income, cash_flow=round(income * 1.2),
        equity=equity, assets=round(equity * 2.5),
    )  # fmt: skip


def _report(world: World, rng: np.random.Generator, place: int, quarters: list[Quarter], filed: date, shares: int) -> Report:
    now = quarters[-1]
    local = times.new_york(filed) + timedelta(minutes=int(rng.integers(390, 500) if rng.random() < 0.4 else rng.integers(962, 1130)))
    asset = world.stocks()[place]
    filer = Filer(cik=world.cik_of(asset.symbol), name=asset.name, role="Filer")
    number = accession(10 + place, filed, len(quarters))
    annual = now.number == 4
    submission = Submission(
        accession=number,
        form="10-K" if annual else "10-Q",
        filers=(filer,),
        accepted_at=local,
        filed=filing_date(local, insiders=False),
        period=now.end,
    )
    restated = 0.98 if rng.random() < RESTATED else 1.0
    facts = list(_facts(place, quarters, annual, 1.0))
    if len(quarters) > 4:
        facts += _facts(place, quarters[:-4], annual, restated)
    dei = Fact(
        taxonomy="dei", tag="EntityCommonStockSharesOutstanding", unit="shares", start=None, end=filed - timedelta(days=5), value=shares
    )
    return Report(submission=submission, year=now.year, period="FY" if annual else f"Q{now.number}", facts=(*facts, dei))


def _facts(place: int, quarters: list[Quarter], annual: bool, factor: float) -> Iterator[Fact]:
    """The figures of the last of the quarters: the quarter itself (not in annual reports), the year to date, and the balance."""
    now = quarters[-1]
    year = [quarter for quarter in quarters[-now.number :] if quarter.year == now.year]
    spans = ([] if annual else [[now]]) + ([year] if len(year) == now.number > 1 else [])
    for span in spans:
        start, revenue = span[0].start, round(sum(quarter.revenue for quarter in span) * factor)
        for tag, value in _revenue_tags(place, now, revenue):
            yield _usd(tag, start, now.end, value)
        yield _usd("NetIncomeLoss", start, now.end, round(sum(quarter.income for quarter in span) * factor))
        yield _usd("NetCashProvidedByUsedInOperatingActivities", start, now.end, sum(quarter.cash_flow for quarter in span))
    yield _usd("StockholdersEquity", None, now.end, now.equity)
    yield _usd("Assets", None, now.end, now.assets)


def _revenue_tags(place: int, now: Quarter, value: int) -> list[tuple[str, int]]:
    """Companies report revenue under different tags; some under two, of which the second leaves something out, and some change."""
    if place % 3 == 0:
        return [(REVENUE, value), (CONTRACTS, round(value * 0.9))] if place % 2 else [(REVENUE, value)]
    return [(CONTRACTS if place % 3 == 1 or now.end.year > 2022 else OLD_SALES, value)]


def _usd(tag: str, start: date | None, end: date, value: int) -> Fact:
    return Fact(taxonomy="us-gaap", tag=tag, unit="USD", start=start, end=end, value=value)


def accepted_by(world: World, place: int, now: datetime) -> list[Report]:
    """A company's reports that are public at an instant, oldest first."""
    return [report for report in reports(world)[place] if report.submission.accepted_at <= now]


@lru_cache(maxsize=4)
def submissions(world: World) -> tuple[Submission, ...]:
    """Of all companies, by time of acceptance."""
    found = [report.submission for listed in reports(world) for report in listed]
    return tuple(sorted(found, key=lambda submission: (submission.accepted_at, submission.accession)))


def between(world: World, since: datetime, until: datetime) -> tuple[Submission, ...]:
    """Reports accepted in [since, until], oldest first."""
    listed = submissions(world)
    first = bisect_left(listed, since, key=lambda submission: submission.accepted_at)
    return tuple(submission for submission in listed[first:] if submission.accepted_at <= until)
