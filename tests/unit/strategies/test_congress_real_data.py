"""Strategies on trades of Congress on real House disclosures and prices, against recomputations in plain Python."""

import csv
import gzip
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from strategies.base import Targets
from strategies.catalog import politician_sleeves
from strategies.catalog.congress_aggregate import STRATEGY
from strategies.conformance.memory import MemoryWorld, congress_rows

NEW_YORK = ZoneInfo("America/New_York")
SHARED = Path(os.environ.get("ALLOCD_SHARED_DIR", Path(__file__).parents[3].parent / "shared"))
HOUSE = SHARED / "data/congress/house_all_transactions_2020_2021q1.csv.gz"
PRICES = SHARED / "data/prices/sp500_daily_2013_2021q1.parquet"
OTHER_THAN_STOCK = set(
    "option options strike bond bonds note notes cpn mtn % pfd etf etfs etn fund funds ishares spdr vanguard qqq".split()
)

pytestmark = pytest.mark.skipif(not (HOUSE.exists() and PRICES.exists()), reason=f"no real data under {SHARED} (ALLOCD_SHARED_DIR)")


@cache
def house() -> tuple[dict[str, str], ...]:
    with gzip.open(HOUSE, "rt", newline="") as lines:
        return tuple(csv.DictReader(lines))


@cache
def closes() -> pd.DataFrame:
    frame = pd.read_parquet(PRICES, columns=["ticker", "date", "close"])
    frame = frame[pd.to_datetime(frame["date"]) >= pd.Timestamp("2020-01-01")]
    wide = frame.pivot(index="date", columns="ticker", values="close").astype("float64")
    return wide.set_index(pd.DatetimeIndex(wide.index))


def known_at(record: dict[str, str]) -> datetime:
    """Midnight in New York after the day of disclosure."""
    disclosed = datetime.strptime(record["disclosure_date"], "%m/%d/%Y").date()
    return datetime.combine(disclosed + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)


def bounds(amount: str) -> tuple[float | None, float | None]:
    figures = [float(figure.replace(",", "")) for figure in re.findall(r"\$([\d,]+)", amount)]
    low, high, *_ = [*figures, None, None]
    return low, high


def traded(record: dict[str, str]) -> date:
    """The day of the trade; years of two and of five digits are slips of the pen."""
    year, month, day = map(int, record["transaction_date"].split("-"))
    return date(year if 2000 <= year <= 2100 else 2020, month, day)


def midpoint(record: dict[str, str]) -> float:
    low, high = bounds(record["amount"])
    return (low or 0.0) if high is None else ((low or 0.0) + high) / 2


def is_stock(record: dict[str, str]) -> bool:
    words = set(re.findall(r"[a-z]+|%", record["asset_description"].lower()))
    return record["ticker"] not in ("--", "") and not words & OTHER_THAN_STOCK and "exchange" not in record["type"]


def as_rows() -> Iterator[dict[str, object]]:
    seen: dict[tuple[str, ...], int] = defaultdict(int)
    for number, record in enumerate(house()):
        low, high = bounds(record["amount"])
        identity = tuple(record.values())
        yield {
            "symbol": None if record["ticker"] == "--" else record["ticker"],
            "asset_description": record["asset_description"],
            "transaction": record["type"],
            "amount_low_usd": low,
            "amount_high_usd": high,
            "occurrence": seen[identity],
            "known_at": known_at(record),
            "row_key": f"H{number:06d}",
            "origin": "house",
            "filing_id": " ".join(identity),
            "member": record["representative"],
            "owner": {"": "unknown", "--": "unknown"}.get(record["owner"], record["owner"]),
            "transaction_date": traded(record),
            "disclosure_date": datetime.strptime(record["disclosure_date"], "%m/%d/%Y").date(),
        }
        seen[identity] += 1


@cache
def world() -> MemoryWorld:
    return MemoryWorld(closes=closes(), adj_closes=closes(), events={"congress_trades": congress_rows(list(as_rows()))})


def net_dollars(asof: datetime) -> dict[str, float]:
    """Net purchases by ticker, counted row by row from the file."""
    net: dict[str, float] = defaultdict(float)
    counted: set[tuple[str, ...]] = set()
    for record in house():
        if not asof - timedelta(days=30) <= known_at(record) <= asof or tuple(record.values()) in counted:
            continue
        counted.add(tuple(record.values()))
        if is_stock(record):
            net[record["ticker"]] += midpoint(record) if record["type"] == "purchase" else -midpoint(record)
    return net


@pytest.mark.parametrize("day", [date(2020, 3, 30), date(2020, 8, 17), date(2020, 11, 30), date(2021, 3, 15)])
def test_holdings_are_those_of_a_plain_recount_of_the_house_file(day: date) -> None:
    asof = datetime.combine(day, time(9), NEW_YORK).astimezone(UTC)
    priced = {str(ticker) for ticker in closes().loc[: str(day - timedelta(days=1))].tail(5).dropna(axis=1, how="all").columns}
    ranking = sorted((-dollars, ticker) for ticker, dollars in net_dollars(asof).items() if dollars > 0 and ticker in priced)
    expected = {ticker: -dollars for dollars, ticker in ranking[:20]}
    targets = STRATEGY.run(world().at(asof))
    assert targets.scores.to_dict() == pytest.approx(expected)
    assert len(expected) == 20
    assert targets.weights.sum() == pytest.approx(1.0)
    assert targets.weights.max() <= 0.10 + 1e-12


def test_no_fund_or_option_is_among_what_the_house_file_leads_to() -> None:
    bars = pd.read_parquet(SHARED / "data/prices/etf_adjclose_2010_2021q1.parquet", columns=["ticker"])
    funds = set(bars["ticker"])
    for week in range(52):
        at = datetime(2020, 3, 30, 13, tzinfo=UTC) + timedelta(weeks=week)
        targets = STRATEGY.run(world().at(at))
        assert not funds & (set(targets.weights.index) | set(targets.skipped))


@pytest.mark.parametrize("day", [date(2020, 8, 17), date(2021, 3, 15)])
def test_every_row_of_evidence_is_a_line_of_the_file_with_its_own_dollars_inside_the_window(day: date) -> None:
    asof = datetime.combine(day, time(9), NEW_YORK).astimezone(UTC)
    evidence = STRATEGY.run(world().at(asof)).evidence
    assert len(evidence) > 20
    for key, symbol, contribution in evidence[["row_key", "symbol", "contribution"]].itertuples(index=False):
        record = house()[int(key[1:])]
        assert record["ticker"] == symbol
        assert asof - timedelta(days=30) <= known_at(record) <= asof
        assert contribution == (midpoint(record) if record["type"] == "purchase" else -midpoint(record))


def sleeves(day: date, **params: float | str) -> Targets:
    return politician_sleeves.STRATEGY.run(world().at(datetime.combine(day, time(9), NEW_YORK).astimezone(UTC)), max_position=1.0, **params)


def test_the_positions_of_one_member_are_those_that_the_file_lists() -> None:
    """Stock alone, read off the file: MSFT on 20, 21 and 28 February 2020, NFLX on 18 June, PYPL on 12 (listed twice) and 24 June, AXP on
    24 June. The members' other open purchases have no prices here, AAPL and FB were sold, and the rest are options and partnerships."""
    dollars = {"NFLX": 3_000_000.5, "MSFT": 375_000.5 + 750_000.5 + 175_000.5, "PYPL": 750_000.5 + 375_000.5, "AXP": 175_000.5}
    targets = sleeves(date(2021, 3, 1), members="Pelosi, Hon. Nancy")
    assert targets.weights.to_dict() == pytest.approx({symbol: usd / sum(dollars.values()) for symbol, usd in dollars.items()})
    assert set(targets.skipped) == {"AB", "CRM", "CRWD", "GOOGL", "WORK"}


def test_the_positions_of_a_busy_member_are_those_of_a_plain_recount_of_the_file() -> None:
    asof = datetime(2020, 12, 7, 14, tzinfo=UTC)
    records = {tuple(r.values()): r for r in house() if r["representative"] == "Hon. Gilbert Cisneros" and known_at(r) <= asof}
    assert {record["owner"] for record in records.values()} <= {"", "--"}
    opened: dict[str, float] = defaultdict(float)
    for record in sorted(records.values(), key=lambda r: (traded(r), r["type"] != "purchase")):
        if is_stock(record) and record["type"] == "purchase":
            opened[record["ticker"]] += midpoint(record)
        elif is_stock(record):
            sold = midpoint(record) if record["type"] == "sale_partial" else opened[record["ticker"]]
            opened[record["ticker"]] = max(opened[record["ticker"]] - sold, 0.0)
    priced = {str(ticker) for ticker in closes().loc[:"2020-12-04"].tail(5).dropna(axis=1, how="all").columns}
    largest = sorted((-usd, ticker) for ticker, usd in opened.items() if usd > 0 and ticker in priced)[:20]
    expected = {ticker: usd / sum(each for each, _ in largest) for usd, ticker in largest}
    assert len(expected) == 20
    assert sleeves(date(2020, 12, 7), members="Gil Cisneros").weights.to_dict() == pytest.approx(expected)
