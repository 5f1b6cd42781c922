"""The benchmark's sectors, rebuilt from dated members and what is known of their market values."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.watch.scope import Scope
from daemon.watch.sectors import _Members
from risk.errors import BadInput
from scrapers import DATASETS
from scrapers.sources.fundamentals import Figure
from tests.unit.daemon.archive_rows import CALENDAR, SESSIONS, Market, known_on

LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Energy: AAA +10 % on the third session, BBB +2 %. Utilities: CCC -4 %. Prices 10, 50 and 20 before."""
    made = Market(tmp_path)
    for symbol, closes in {"AAA": [10.0, 10.0, 11.0], "BBB": [50.0, 50.0, 51.0], "CCC": [20.0, 20.0, 19.2]}.items():
        made.closes(symbol, closes)
        made.sector(symbol, "Utilities" if symbol == "CCC" else "Energy", LONG_AGO)
    return made


def shares(market: Market, symbol: str, number: float, period_end: date, known: datetime = LONG_AGO) -> None:
    figure = Figure(
        symbol=symbol, cik="", concept="shares_outstanding", unit="shares", period_start=None, period_end=period_end, fiscal_year=2023,
        fiscal_period="FY", value=number, form="10-K", accession="", filed=period_end, tag="", source_url="",
    )  # fmt: skip
    market._add("fundamentals", figure, known)


def scope_of(market: Market, place: int = 2) -> Scope:
    """As of the evening of a session, without a record."""
    return Scope(
        session=SESSIONS[place], view=market.view(known_on(place)), db=None, calendar=CALENDAR, strategies={}, datasets=DATASETS,
        benchmark="SPY", positions={}, navs=[], weights=pd.Series(dtype="float64"),
    )  # fmt: skip


def members(market: Market) -> _Members:
    """Over the third session."""
    scope = scope_of(market)
    return _Members(scope, [SESSIONS[2]], 2, scope.view.sectors())


def test_members_without_known_market_values_count_equally_and_the_note_says_so(market: Market) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        market.member(symbol, date(2015, 1, 1), None, LONG_AGO)
    found = members(market)
    assert found.sides(0) == {
        "Energy": (pytest.approx(2 / 3), pytest.approx(0.06)),
        "Utilities": (pytest.approx(1 / 3), pytest.approx(-0.04)),
    }
    assert found.note == "sectors of sp500 members with prices, counted equally, the market value of 0% being known"


def test_members_with_known_market_values_count_by_what_they_were_worth_before_the_session(market: Market) -> None:
    """AAA 10 x 100 = 1,000; BBB 50 x 20 = 1,000; CCC 20 x 100 = 2,000."""
    for symbol, number in {"AAA": 100.0, "BBB": 20.0, "CCC": 100.0}.items():
        market.member(symbol, date(2015, 1, 1), None, LONG_AGO)
        shares(market, symbol, number, date(2023, 12, 1), datetime(2023, 12, 20, tzinfo=UTC))
    found = members(market)
    assert found.sides(0) == {"Energy": (pytest.approx(0.5), pytest.approx(0.06)), "Utilities": (pytest.approx(0.5), pytest.approx(-0.04))}
    assert found.note.endswith("by market value")


def test_a_member_counts_from_its_start_date_to_the_day_before_its_end_date(market: Market) -> None:
    market.member("AAA", SESSIONS[2], None, LONG_AGO)
    market.member("BBB", SESSIONS[3], None, LONG_AGO)
    market.member("CCC", date(2015, 1, 1), SESSIONS[2], LONG_AGO)
    assert members(market).sides(0) == {"Energy": (1.0, pytest.approx(0.10))}


def test_without_a_membership_the_benchmark_has_no_sectors(market: Market) -> None:
    with pytest.raises(BadInput, match="no dated membership of the sp500 index is known"):
        members(market)


def test_shares_counted_before_a_split_are_multiplied_and_old_counts_are_not_used(market: Market) -> None:
    shares(market, "AAA", 100.0, date(2023, 11, 30), datetime(2023, 12, 20, tzinfo=UTC))
    shares(market, "AAA", 90.0, date(2023, 8, 31), datetime(2023, 12, 21, tzinfo=UTC))
    shares(market, "BBB", 20.0, SESSIONS[2], known_on(1))
    shares(market, "CCC", 100.0, date(2020, 1, 1), datetime(2020, 2, 1, tzinfo=UTC))
    for symbol in ("AAA", "BBB"):
        market.split(symbol, 1, 4.0, known_on(0))
    caps = scope_of(market).market_caps
    assert caps.to_dict() == {"AAA": pytest.approx(100 * 4 * 11.0), "BBB": pytest.approx(20 * 51.0)}


def test_a_member_without_a_price_takes_no_part(market: Market) -> None:
    for symbol in ("AAA", "GONE"):
        market.member(symbol, date(2015, 1, 1), None, LONG_AGO)
    found = members(market).sides(0)
    assert found == {"Energy": (1.0, pytest.approx(0.10))} and np.isfinite(found["Energy"]).all()
