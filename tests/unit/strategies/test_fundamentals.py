"""Reported figures: twelve months out of years and parts of years, the newest of a day, and capitalisation across splits and classes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from strategies import fundamentals
from strategies.conformance.memory import MemoryView, MemoryWorld, prices
from strategies.fundamentals import Reported

ASOF = datetime(2021, 3, 1, 13, 0, tzinfo=UTC)
STAMPS = {"event_at": ASOF - timedelta(days=30), "known_at": ASOF - timedelta(days=30)}


def figure(concept: str, value: float, start: str | None, end: str, **cells: Any) -> dict[str, Any]:
    """A row of the dataset, of the company ACME, filed 40 days after the end of its period."""
    last = date.fromisoformat(end)
    return {
        "row_key": f"{cells.get('symbol', 'ACME')}/{concept}/{start}/{end}",
        "symbol": "ACME",
        "cik": "1",
        "concept": concept,
        "unit": "shares" if concept == "shares_outstanding" else "USD",
        "period_start": None if start is None else date.fromisoformat(start),
        "period_end": last,
        "value": value,
        "form": "10-Q",
        "filed": last + timedelta(days=40),
        **STAMPS,
        **cells,
    }


def split(ex_date: str, ratio: float, **cells: Any) -> dict[str, Any]:
    key = f"{ex_date}/{cells.get('origin', '')}"
    return {"row_key": key, "symbol": "ACME", "kind": "split", "ex_date": date.fromisoformat(ex_date), "ratio": ratio, **STAMPS, **cells}


def view(rows: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any]] = ()) -> MemoryView:
    bare = pd.DataFrame({"row_key": pd.Series(dtype="object"), **{name: pd.Series(dtype="datetime64[us, UTC]") for name in STAMPS}})
    closes = prices({"ACME": [10.0, 10.0]}, "2021-02-26")
    frames = {
        name: pd.DataFrame(list(given)) if given else bare for name, given in (("fundamentals", rows), ("corporate_actions", actions))
    }
    return MemoryWorld(closes=closes, adj_closes=closes, events=frames).at(ASOF)


def reported(*rows: dict[str, Any]) -> Reported:
    return Reported(view(rows), ["ACME", "OTHER"], ["net_income", "equity", "shares_outstanding"])


def income(value: float, start: str, end: str, **cells: Any) -> dict[str, Any]:
    return figure("net_income", value, start, end, **cells)


def test_a_fiscal_year_stands_alone_until_parts_of_the_next_are_reported() -> None:
    found = reported(income(100.0, "2020-01-01", "2020-12-31"), income(70.0, "2019-01-01", "2019-12-31")).trailing_year("net_income")
    assert found["ACME"].value == 100.0
    assert found["ACME"].rows == (("fundamentals", "ACME/net_income/2020-01-01/2020-12-31"),)


def test_twelve_months_are_the_last_year_and_the_part_since_less_the_same_part_before() -> None:
    year, half, before = ("2019-07-01", "2020-06-30"), ("2020-07-01", "2020-12-31"), ("2019-07-01", "2019-12-31")
    found = reported(
        income(100.0, *year), income(60.0, *half), income(45.0, *before), income(35.0, "2020-10-01", "2020-12-31")
    ).trailing_year("net_income")
    assert found["ACME"].value == 100.0 + 60.0 - 45.0
    assert [key for _, key in found["ACME"].rows] == [f"ACME/net_income/{a}/{b}" for a, b in (year, half, before)]


def test_a_part_without_the_same_part_a_year_before_is_not_added() -> None:
    found = reported(income(100.0, "2019-07-01", "2020-06-30"), income(60.0, "2020-07-01", "2020-12-31")).trailing_year("net_income")
    assert found["ACME"].value == 100.0


def test_a_company_that_reported_no_year_has_no_twelve_months() -> None:
    assert reported(income(60.0, "2020-07-01", "2020-12-31")).trailing_year("net_income") == {}


def test_figures_that_ended_more_than_four_hundred_days_ago_are_too_old() -> None:
    ends = {days: (ASOF.date() - timedelta(days=days)).isoformat() for days in (400, 401)}
    assert reported(figure("equity", 1.0, None, ends[400])).newest("equity")["ACME"].value == 1.0
    assert reported(figure("equity", 1.0, None, ends[401])).newest("equity") == {}
    year_ago = (ASOF.date() - timedelta(days=401 + 364)).isoformat()
    assert reported(income(1.0, year_ago, ends[401])).trailing_year("net_income") == {}


def test_the_newest_day_counts_and_a_restatement_replaces() -> None:
    first = figure("equity", 5.0, None, "2020-12-31", known_at=ASOF - timedelta(days=20))
    restated = figure("equity", 4.0, None, "2020-12-31", known_at=ASOF - timedelta(days=2))
    later = figure("equity", 3.0, None, "2020-12-31", known_at=ASOF + timedelta(days=2))
    assert reported(figure("equity", 9.0, None, "2020-09-30"), first, restated, later).newest("equity")["ACME"].value == 4.0


def test_other_currencies_missing_values_and_depositary_shares_say_nothing() -> None:
    assert reported(figure("equity", 9.0, None, "2020-12-31", unit="EUR")).newest("equity") == {}
    assert reported(figure("equity", float("nan"), None, "2020-12-31")).newest("equity") == {}
    assert reported(figure("shares_outstanding", 9.0, None, "2020-12-31", form="20-F")).newest("shares_outstanding") == {}
    assert reported(figure("shares_outstanding", 0.0, None, "2020-12-31")).newest("shares_outstanding") == {}


def test_a_dataset_with_nothing_but_stamps_knows_no_figures() -> None:
    nothing = Reported(view([]), ["ACME"], ["net_income"])
    assert nothing.newest("equity") == {} and nothing.trailing_year("net_income") == {}
    assert fundamentals.capitalisation(view([]), {"ACME": 10.0}, {}) == {}


def capital(rows: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any]], closes: dict[str, float]) -> dict[str, float]:
    at = view(rows, actions)
    shares = Reported(at, closes, ["shares_outstanding"]).newest("shares_outstanding")
    return fundamentals.by_class(fundamentals.capitalisation(at, closes, shares), shares)


def test_capitalisation_counts_the_splits_since_the_report_and_no_others() -> None:
    """Filed on 2021-02-09: the split of that day is in the report, the next one is not, and the one of tomorrow has not happened."""
    rows = [figure("shares_outstanding", 100.0, None, "2020-12-31")]
    actions = [split("2021-02-09", 3.0), split("2021-02-10", 4.0), split("2021-03-02", 5.0)]
    assert capital(rows, actions, {"ACME": 2.5}) == {"ACME": pytest.approx(100.0 * 4.0 * 2.5)}


def test_a_split_that_two_origins_tell_of_counts_once() -> None:
    rows = [figure("shares_outstanding", 100.0, None, "2020-12-31")]
    actions = [split("2021-02-10", 4.0, origin="alpaca"), split("2021-02-10", 4.0, origin="yahoo")]
    assert capital(rows, actions, {"ACME": 2.5}) == {"ACME": pytest.approx(1000.0)}


def test_two_classes_of_a_company_divide_its_shares() -> None:
    rows = [figure("shares_outstanding", 100.0, None, "2020-12-31", symbol=symbol) for symbol in ("ACME", "ACMEB")]
    rows.append(figure("shares_outstanding", 100.0, None, "2020-12-31", symbol="OTHER", cik="2"))
    assert capital(rows, [], {"ACME": 10.0, "ACMEB": 12.0, "OTHER": 5.0}) == pytest.approx({"ACME": 500.0, "ACMEB": 600.0, "OTHER": 500.0})
