"""Buzz on the real counts of r/wallstreetbets of early 2021, read by the importer, against a recount in plain Python."""

import csv
import gzip
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from scrapers.sources import reddit_mentions
from strategies.catalog.wsb_buzz import STRATEGY
from strategies.conformance.memory import MemoryWorld

NEW_YORK = ZoneInfo("America/New_York")
FUNDS = {"SPY", "QQQ"}


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> Path:
    return shared_data / "data/social/wsb_ticker_day_counts_to_2021q1.csv.gz"


@pytest.fixture(scope="module")
def lines(archive: Path) -> list[dict[str, str]]:
    with gzip.open(archive, "rt", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def world(archive: Path, lines: list[dict[str, str]]) -> MemoryWorld:
    """The archive's counts as imported, and its own closes (weekends left out) with an invented volume."""
    rows = pd.concat([batch.rows.to_pandas() for batch in reddit_mentions.load([archive])])
    rows["row_key"] = rows["origin"] + "|" + rows["item_id"] + "|" + rows["symbol"]
    closes = pd.DataFrame(
        [(line["date"], line["ticker"], float(line["close"])) for line in lines if line["close"]], columns=["day", "s", "c"]
    )
    wide = closes.pivot_table(index="day", columns="s", values="c", aggfunc="first")
    wide.index = pd.DatetimeIndex(wide.index)
    wide = wide[wide.index.day_of_week < 5]
    volumes = wide * 0 + 50_000_000.0
    return MemoryWorld(closes=wide, adj_closes=wide, volumes=volumes, events={"reddit_mentions": rows})


def before_the_open(day: date) -> datetime:
    return datetime.combine(day, time(9), NEW_YORK).astimezone(UTC)


def recount(lines: list[dict[str, str]], monday: date) -> dict[str, float]:
    """Rises of all tickers from the file, seven days to Sunday against the median of the weeks that it covers."""
    counted: dict[str, dict[date, int]] = defaultdict(dict)
    for line in lines:
        counted[line["ticker"]].setdefault(date.fromisoformat(line["date"]), int(line["count"]))
    rises = {}
    for ticker, by_day in counted.items():
        weeks = [[by_day[d] for n in range(7) if (d := monday - timedelta(days=7 * week + n + 1)) in by_day] for week in range(5)]
        rates = [sum(week) / len(week) for week in weeks[1:] if len(week) >= 4]
        if sum(weeks[0]) >= 20 and len(rates) >= 2:
            rises[ticker] = (sum(weeks[0]) / len(weeks[0]) - median(rates)) / max(median(rates), 1.0)
    return rises


@pytest.mark.parametrize(
    "monday", [date(2021, 2, 22), date(2021, 3, 1), date(2021, 3, 8), date(2021, 3, 15), date(2021, 3, 22), date(2021, 3, 29)]
)
def test_scores_are_those_of_a_plain_recount_of_the_archive(world: MemoryWorld, lines: list[dict[str, str]], monday: date) -> None:
    twenty = world.closes.loc[: str(monday - timedelta(days=1))].tail(20)
    traded = set(twenty.columns[twenty.notna().sum() > len(twenty) / 2])
    expected = {ticker: rise for ticker, rise in recount(lines, monday).items() if rise > 0 and ticker in traded - FUNDS}
    targets = STRATEGY.run(world.at(before_the_open(monday)))
    assert targets.scores.to_dict() == pytest.approx(expected)


def test_the_second_rally_of_gamestop_is_found_in_march(world: MemoryWorld) -> None:
    found = STRATEGY.run(world.at(before_the_open(date(2021, 3, 8))))
    assert "GME" in found.weights.index


def test_a_listing_of_three_sessions_rises_most_and_has_no_usual_volume_yet(world: MemoryWorld, lines: list[dict[str, str]]) -> None:
    monday = date(2021, 3, 15)
    rises = recount(lines, monday)
    assert max(rises, key=rises.__getitem__) == "RBLX"
    targets = STRATEGY.run(world.at(before_the_open(monday)))
    assert "RBLX" in targets.skipped
    assert targets.weights.index[0] == "GME"


def test_nothing_is_made_of_the_frenzy_of_january_by_an_archive_that_begins_with_it(world: MemoryWorld) -> None:
    for monday in (date(2021, 2, 1), date(2021, 2, 8)):
        assert STRATEGY.run(world.at(before_the_open(monday))).weights.empty


def test_evidence_names_days_of_the_archive_that_were_known(world: MemoryWorld, lines: list[dict[str, str]]) -> None:
    monday = date(2021, 3, 15)
    told = {f"day_counts|{line['date']}|{line['ticker']}" for line in lines if date.fromisoformat(line["date"]) < monday}
    evidence = STRATEGY.run(world.at(before_the_open(monday))).evidence
    assert len(evidence) and set(evidence["row_key"]) <= told
