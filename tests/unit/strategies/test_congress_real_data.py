"""Congress aggregate on real House disclosures and prices, against a recomputation in plain Python."""

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

from strategies.catalog.congress_aggregate import STRATEGY
from tests.catalog.memory_view import MemoryWorld, congress_rows

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
            "owner": record["owner"],
            "transaction_date": record["transaction_date"],
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
        words = set(re.findall(r"[a-z]+|%", record["asset_description"].lower()))
        if not asof - timedelta(days=30) <= known_at(record) <= asof or tuple(record.values()) in counted:
            continue
        counted.add(tuple(record.values()))
        if record["ticker"] in ("--", "") or words & OTHER_THAN_STOCK or "exchange" in record["type"]:
            continue
        low, high = bounds(record["amount"])
        worth = (low or 0.0) if high is None else ((low or 0.0) + high) / 2
        net[record["ticker"]] += worth if record["type"] == "purchase" else -worth
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
