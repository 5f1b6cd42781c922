"""Analyst ratings: Yahoo's history, Quiver's page, and when a grade was known."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import analyst_page
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import analyst_ratings as ratings

GRADE = {
    "epochGradeDate": 1763124300,
    "firm": "Synthetic Securities",
    "toGrade": "Buy",
    "fromGrade": "Hold",
    "action": "up",
    "currentPriceTarget": 300.0,
    "priorPriceTarget": 250.0,
}
AT = datetime(2025, 11, 14, 12, 45, tzinfo=UTC)


def graded(*changes: dict) -> list:
    return list(ratings.parse_history([{**GRADE, **change} for change in changes], "AAPL", "f"))


@pytest.mark.parametrize(
    ("stamp", "known_at"),
    [
        (AT, AT),
        (datetime(2025, 11, 14, tzinfo=UTC), datetime(2025, 11, 15, 5, tzinfo=UTC)),
        (datetime(2025, 11, 14, 5, tzinfo=UTC), datetime(2025, 11, 15, 5, tzinfo=UTC)),
        (datetime(2025, 7, 14, 4, tzinfo=UTC), datetime(2025, 7, 15, 4, tzinfo=UTC)),
        (datetime(2025, 7, 14, 5, tzinfo=UTC), datetime(2025, 7, 14, 5, tzinfo=UTC)),
    ],
)
def test_a_grade_is_known_at_its_time_and_one_with_a_day_alone_on_the_next(stamp: datetime, known_at: datetime):
    (item,) = graded({"epochGradeDate": int(stamp.timestamp())})
    assert (item.event_at, item.known_at) == (stamp, known_at)


def keys_of(*changes: dict) -> list[tuple]:
    return [tuple(getattr(item.row, name) for name in ratings.DATASET.key) for item in graded(*changes)]


def test_equal_grades_of_one_instant_are_numbered_and_others_keep_their_key_when_the_list_grows():
    keys = keys_of({}, {}, {"action": "reit"})
    longer = keys_of({"epochGradeDate": 1763210700}, {}, {}, {"action": "reit"})
    assert len(set(keys)) == 3
    assert set(keys) < set(longer)


@pytest.mark.parametrize("target", [None, 0, -3, "", "n/a", True, 1e12, {"raw": None}, {}])
def test_what_is_no_target_is_none(target: object):
    (item,) = graded({"currentPriceTarget": target})
    assert item.row.price_target is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"action": "x"}, "unknown_action"),
        ({"action": None}, "unknown_action"),
        ({"firm": None}, "no_firm"),
        ({"epochGradeDate": 1e300}, "bad_date"),
    ],
)
def test_a_grade_that_cannot_be_one_is_a_reject(change: dict, reason: str):
    first, *_ = graded(change, {})
    assert isinstance(first, Reject)
    assert first.reason == reason


@pytest.mark.parametrize("history", [None, {}, [1], [{"firm": "x"}], [{**GRADE, "action": "?"}] * 3])
def test_a_history_of_another_shape_is_a_changed_source(history: object):
    with pytest.raises(SourceChanged):
        list(ratings.parse_history(history, "AAPL", "f"))


PAGE = """<table><tr><th>Score</th></tr></table><table><tr><th>Ticker</th><th>Date</th><th>Analyst</th><th>Action</th><th>Rating</th>
<th>Previous Rating</th><th>Price Target</th><th>Prior Price Target</th></tr>
<tr><td>BRK/B</td><td>2025-11-14</td><td>Synthetic Securities</td><td>Upgrade</td><td>Buy</td><td>Hold</td><td>$12</td><td>$10.50</td></tr>
</table>"""


def test_columns_of_the_page_are_found_by_their_headings_in_any_order():
    (item,) = ratings.parse_page(PAGE, "f")
    row = item.row
    assert (row.symbol, row.firm, row.action, row.from_grade, row.to_grade) == ("BRK.B", "Synthetic Securities", "up", "Hold", "Buy")
    assert (row.price_target, row.prior_price_target, row.graded_at) == (12.0, 10.5, datetime(2025, 11, 14, 5, tzinfo=UTC))
    assert item.known_at == datetime(2025, 11, 15, 5, tzinfo=UTC)


@pytest.mark.parametrize("heading", ["Ticker", "Date", "Analyst", "Action", "Rating"])
def test_a_page_without_a_heading_that_is_needed_fails_naming_what_it_has(heading: str):
    with pytest.raises(SourceChanged, match="no table with columns"):
        list(ratings.parse_page(PAGE.replace(f"<th>{heading}</th>", "<th>Something</th>"), "f"))


@pytest.mark.parametrize("written", ["2025-11-12", "11/12/2025", "Nov 12, 2025", "Nov. 12 2025", "November 12, 2025"])
def test_a_day_is_read_in_figures_and_words(written: str):
    assert analyst_page.day_of(written) == date(2025, 11, 12)


@pytest.mark.parametrize("written", ["", "Foo 12, 2025", "Nov 31, 2025", "yesterday", "Nov 12", "Nov 12, 0009"])
def test_what_is_no_day_is_none(written: str):
    assert analyst_page.day_of(written) is None


def test_saved_answers_are_imported_under_the_name_of_their_file(tmp_path: Path):
    document = {"quoteSummary": {"result": [{"upgradeDowngradeHistory": {"history": [GRADE]}}], "error": None}}
    path = tmp_path / "BRK-B.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    rows = [row for batch in ratings.load([path, page]) for row in batch.rows.to_pylist()]
    assert [(row["symbol"], row["origin"]) for row in rows] == [("BRK.B", "yahoo"), ("BRK.B", "quiver")]


@pytest.mark.parametrize("text", ["", "{}", "[]", "a,b\n1,2\n", "<html></html>", '{"quoteSummary": {"result": [{}]}}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "AAPL.json"
    path.write_text(text)
    with pytest.raises(BadFile):
        list(ratings.load([path]))


def test_an_answer_in_a_file_without_a_symbol_is_refused_saying_how_to_name_it(tmp_path: Path):
    path = tmp_path / "download-17.json"
    path.write_text(json.dumps({"quoteSummary": {"result": [{"upgradeDowngradeHistory": {"history": [GRADE]}}], "error": None}}))
    with pytest.raises(BadFile, match=r"AAPL\.json"):
        list(ratings.load([path]))
