"""Lobbying reports: what an amendment replaces, whose report it is, and when it becomes known."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scrapers.base import Reject
from scrapers.companies import Directory
from scrapers.errors import BadFile
from scrapers.sources import lobbying
from tests.sources.canned import PAYLOADS

LOCKHEED = Directory({"LMT": "Lockheed Martin"})
RECORD = {
    "Date": "2025-10-21",
    "Amount": "45000.0",
    "Client": "GOOGLE CLIENT SERVICES",
    "Issue": "Telecommunications",
    "Specific_Issue": "Synthetic bill 1",
    "Registrant": "SYNTHETIC ADVOCATES LLP",
    "Ticker": "GOOGL",
}


def filing(**changes: object) -> dict[str, object]:
    (first, *_) = json.loads((PAYLOADS / "lda" / "normal" / "1.json").read_text())["results"]
    return first | changes


def lda(**changes: object) -> lobbying.LobbyingReport:
    (item,) = lobbying.parse_lda([filing(**changes)], companies=LOCKHEED, position="p")
    assert not isinstance(item, Reject), item
    return item.row


def key(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in lobbying.KEY)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("Q3", "report"),
        ("Q3Y", "report"),
        ("3T", "report"),
        ("3TY", "report"),
        ("3A", "amendment"),
        ("3AY", "amendment"),
        ("3@", "amendment"),
    ],
)
def test_every_quarterly_form_is_a_version_of_the_same_report(form: str, kind: str):
    row = lda(filing_type=form, filing_uuid="other")
    assert row.kind == kind
    assert key(row) == key(lda())


@pytest.mark.parametrize("form", ["RR", "RA", "MM", "YY", "", "Q5", "Q33"])
def test_what_is_no_quarterly_report_is_refused(form: str):
    (item,) = lobbying.parse_lda([filing(filing_type=form)], companies=LOCKHEED, position="p")
    assert isinstance(item, Reject)
    assert item.reason == "no_quarterly_report"


@pytest.mark.parametrize(
    "change",
    [
        {"registrant": {"id": 1, "name": "SYNTHETIC OTHERS"}},
        {"client": {"id": 1, "name": "LOCKHEED MARTIN"}},
        {"filing_year": 2025},
        {"filing_period": "first_quarter"},
    ],
)
def test_reports_of_others_or_about_other_quarters_have_other_keys(change: dict[str, object]):
    assert key(lda(**change)) != key(lda())


def test_a_filing_is_known_at_the_instant_of_its_posting():
    (item,) = lobbying.parse_lda([filing(dt_posted="2026-10-15T23:30:00-04:00")], companies=LOCKHEED, position="p")
    assert not isinstance(item, Reject)
    assert item.known_at == item.event_at == datetime(2026, 10, 16, 3, 30, tzinfo=UTC)
    assert item.row.filed_date.isoformat() == "2026-10-15"


@pytest.mark.parametrize(
    ("income", "expenses", "registrant", "in_house", "amount"),
    [
        ("120000.00", None, "SYNTHETIC ADVOCATES", False, 120000.0),
        (None, "9000000.00", "LOCKHEED MARTIN CORP", True, 9000000.0),
        (None, None, "SYNTHETIC ADVOCATES", False, None),
        (None, None, "Lockheed Martin Corp.", True, None),
        ("0.00", None, "SYNTHETIC ADVOCATES", False, 0.0),
    ],
)
def test_expenses_mark_a_companys_own_report_and_small_amounts_are_none(
    income: str | None, expenses: str | None, registrant: str, in_house: bool, amount: float | None
):
    row = lda(income=income, expenses=expenses, registrant={"id": 1, "name": registrant})
    assert (row.in_house, row.amount_usd) == (in_house, amount)


def quiver(*records: dict[str, object]) -> dict[tuple[object, ...], float | None]:
    items = lobbying.parse_quiver(list(records), url="u")
    return {key(item.row): item.row.amount_usd for item in items if not isinstance(item, Reject)}


def test_equal_quiver_reports_keep_their_keys_whatever_their_order():
    none, small, large = ({**RECORD, "Amount": amount} for amount in (None, "5000.0", "90000.0"))
    assert quiver(none, small, large) == quiver(large, none, small)
    assert len(quiver(none, small, large)) == 3


@pytest.mark.parametrize(
    "change",
    [{"Date": "2025-10-20"}, {"Client": "GOOGLE LLC"}, {"Registrant": "SYNTHETIC OTHERS"}, {"Issue": None}, {"Specific_Issue": "x"}],
)
def test_quiver_reports_that_differ_have_different_keys(change: dict[str, object]):
    assert not quiver(RECORD).keys() & quiver({**RECORD, **change}).keys()


def test_a_long_text_is_cut_and_still_told_apart_by_what_is_kept():
    long = quiver({**RECORD, "Specific_Issue": "Synthetic " * 1000})
    assert len(long) == 1
    assert not long.keys() & quiver(RECORD).keys()


@pytest.mark.parametrize(("saved", "rows"), [("quiver_lobbying/normal/1.json", 2), ("lda/amendment/1.json", 2)])
def test_saved_answers_are_imported_with_their_times_oldest_first(saved: str, rows: int):
    (batch,) = lobbying.load([PAYLOADS / saved])
    assert batch.rows.num_rows == rows
    known = batch.rows.column("known_at").to_pylist()
    assert None not in known
    if saved.startswith("lda"):
        assert known == sorted(known)


def test_a_saved_page_without_filings_holds_nothing(tmp_path: Path):
    path = tmp_path / "page.json"
    path.write_text('{"count": 0, "next": null, "previous": null, "results": []}')
    assert list(lobbying.load([path])) == []


@pytest.mark.parametrize("text", ["[]", "{}", '[{"a": 1}]', "a,b\n1,2\n", '{"results": [{"filing_uuid": 1}]}'])
def test_other_files_are_refused_with_the_known_shapes(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile, match="known shapes are Quiver"):
        list(lobbying.load([path]))
