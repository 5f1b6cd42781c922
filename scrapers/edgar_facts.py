"""Companies' reported figures in the SEC's companyfacts: from facts repeated by filing after filing to the versions of each figure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from scrapers import cells, edgar, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged
from scrapers.records import Unusable

TAGS: Mapping[str, tuple[str, ...]] = {
    "shares_outstanding": ("dei:EntityCommonStockSharesOutstanding", "us-gaap:CommonStockSharesOutstanding"),
    "revenue": (
        "us-gaap:Revenues",
        "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax",
        "us-gaap:RevenueFromContractWithCustomerIncludingAssessedTax",
        "us-gaap:SalesRevenueNet",
        "us-gaap:SalesRevenueGoodsNet",
        "us-gaap:RevenuesNetOfInterestExpense",
        "ifrs-full:Revenue",
    ),
    "net_income": (
        "us-gaap:NetIncomeLoss",
        "us-gaap:ProfitLoss",
        "us-gaap:NetIncomeLossAvailableToCommonStockholdersBasic",
        "ifrs-full:ProfitLossAttributableToOwnersOfParent",
        "ifrs-full:ProfitLoss",
    ),
    "equity": (
        "us-gaap:StockholdersEquity",
        "us-gaap:StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest",
        "ifrs-full:EquityAttributableToOwnersOfParent",
        "ifrs-full:Equity",
    ),
    "operating_cash_flow": (
        "us-gaap:NetCashProvidedByUsedInOperatingActivities",
        "us-gaap:NetCashProvidedByUsedInOperatingActivitiesContinuingOperations",
        "ifrs-full:CashFlowsFromUsedInOperatingActivities",
    ),
    "assets": ("us-gaap:Assets", "ifrs-full:Assets"),
}
"""Concept -> the tags that report it, first choice first: total revenue before its largest part, the parent's share before the whole."""
DURATIONS = frozenset({"revenue", "net_income", "operating_cash_flow"})
"""Concepts of a period; the others are of an instant."""
BROKEN = frozenset({"not_a_record", "bad_date", "bad_value"})
"""Reasons for which a fact is refused that speak against the whole document when they are many."""
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure as one filing reported it. rank: place of its tag among those of the concept, 0 is the first choice."""

    concept: str
    tag: str
    rank: int
    unit: str
    period_start: date | None
    period_end: date
    value: float
    accession: str
    fiscal_year: int | None
    fiscal_period: str
    form: str
    filed: date
    known_at: datetime

    @property
    def figure(self) -> tuple[str, str, date | None, date]:
        """What the fact is a version of: concept, unit and period."""
        return self.concept, self.unit, self.period_start, self.period_end


def parse(document: object, name: str, accepted: Mapping[str, datetime], first: date = date.min) -> tuple[list[Fact], list[Reject]]:
    """The versions of a company's figures, oldest first, and the facts filed from `first` on that could not be read.

    accepted: instant of acceptance by accession number; a filing that is not in it counts as known from 00:00 New York of the day
    after `filed`. SourceChanged for another document, or when most facts are of another shape.
    """
    facts = edgar.keyed(document, ["facts"], name)["facts"]
    if not isinstance(facts, dict):
        raise SourceChanged(f"{name}: `facts` is not an object")
    read: list[Fact] = []
    refused: list[tuple[object, Reject]] = []
    for concept, tags in TAGS.items():
        for rank, tag in enumerate(tags):
            for unit, at, record in _records(facts, tag, name):
                try:
                    read.append(_fact(record, concept, tag, rank, unit, accepted))
                except Unusable as reason:
                    refused.append((record, tables.reject(reason.reason, str(reason), record, at)))
    broken = sum(item.reason in BROKEN for _, item in refused)
    edgar.mostly(len(read), broken, name, "facts with end, val, accn and filed")
    return list(versions(read)), [item for record, item in refused if _filed(record) >= first]


def _filed(record: object) -> date:
    return (times.parse_date(record.get("filed")) if isinstance(record, dict) else None) or date.max


def _records(facts: Mapping[str, Any], tag: str, name: str) -> Iterator[tuple[str, str, object]]:
    """(unit, position, record) of a tag: `facts.<taxonomy>.<tag>.units.<unit>[]`; a tag that the company never used is absent."""
    taxonomy, _, local = tag.partition(":")
    tags = facts.get(taxonomy, {})
    entry = tags.get(local) if isinstance(tags, dict) else tags
    if isinstance(tags, dict) and entry is None:
        return
    units = edgar.keyed(entry, ["units"], f"{name} {tag}")["units"]
    if not isinstance(units, dict) or not all(isinstance(listed, list) for listed in units.values()):
        raise SourceChanged(f"{name}: the units of {tag} are not an object of lists")
    for unit, listed in units.items():
        for place, record in enumerate(listed):
            yield unit, f"{name} {tag} {unit}[{place}]"[:300], record


def _fact(record: object, concept: str, tag: str, rank: int, unit: str, accepted: Mapping[str, datetime]) -> Fact:
    if not isinstance(record, dict):
        raise Unusable("not_a_record", "an object was expected")
    if not (unit == "shares" if concept == "shares_outstanding" else _CURRENCY.fullmatch(unit)):
        raise Unusable("other_unit", f"{concept} in {unit[:50]!r}")
    accession, filed, end = (
        edgar.accession_of(record.get("accn")),
        times.parse_date(record.get("filed")),
        times.parse_date(record.get("end")),
    )
    start, value = times.parse_date(record.get("start")), record.get("val")
    if filed is None or end is None or accession is None:
        raise Unusable("bad_date", f"accn {record.get('accn')!r}, filed {record.get('filed')!r}, end {record.get('end')!r}")
    if (start is None) == (concept in DURATIONS) or (start is not None and start >= end):
        raise Unusable("bad_period", f"{concept} from {record.get('start')!r} to {end}")
    if end > filed:
        raise Unusable("period_after_filing", f"period ends {end}, filed {filed}")
    number = cells.number(value) if not isinstance(value, str) else None
    if number is None:
        raise Unusable("bad_value", f"val {value!r}")
    year = record.get("fy")
    return Fact(
        concept=concept,
        tag=tag,
        rank=rank,
        unit=unit,
        period_start=start,
        period_end=end,
        value=number,
        accession=accession,
        fiscal_year=year if isinstance(year, int) and not isinstance(year, bool) and 1900 <= year <= 2200 else None,
        fiscal_period=cells.text(record.get("fp"), 10),
        form=cells.text(record.get("form"), 20),
        filed=filed,
        known_at=accepted.get(accession) or times.day_after(filed),
    )


def versions(facts: Iterable[Fact]) -> Iterator[Fact]:
    """What was new at its time, oldest first: a figure's first report, and each later one with another value (a restatement).

    A later filing that repeats a value says nothing new. A value under a lesser tag never replaces one under a better tag, for the
    two may be different things; of one filing the best tag counts, and of one tag the first value.
    """
    held: dict[tuple[str, str, date | None, date], Fact] = {}
    for fact in sorted(facts, key=lambda fact: (fact.known_at, fact.accession, fact.rank)):
        before = held.get(fact.figure)
        if before is None:
            held[fact.figure] = fact
            yield fact
        elif fact.rank <= before.rank and fact.value == before.value:
            held[fact.figure] = replace(before, rank=fact.rank)
        elif fact.rank <= before.rank and fact.accession != before.accession:
            held[fact.figure] = fact
            yield fact
