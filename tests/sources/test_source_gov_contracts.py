"""Federal contracts: what identifies an action, when it becomes known, and what is told apart."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from scrapers import times, usaspending
from scrapers.base import Reject
from scrapers.companies import Directory
from scrapers.errors import BadFile
from scrapers.sources import gov_contracts
from tests.sources.canned import PAYLOADS, case

AWARD = {
    "Ticker": "LMT",
    "Date": "2025-10-21",
    "Description": "SYNTHETIC",
    "Agency": "Synthetic Agency",
    "Amount": 5.0,
    "action_date": "2025-10-17",
}
LOCKHEED = Directory({"LMT": "Lockheed Martin"})


def action(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "Award ID": "SYN1",
        "Mod": "0",
        "Recipient Name": "LOCKHEED MARTIN CORPORATION",
        "Action Date": "2026-08-12",
        "Transaction Amount": 2_000_000.0,
        "Awarding Agency": "Synthetic Agency",
        "generated_internal_id": "CONT_AWD_SYN1",
    }
    return base | changes


def awards(*records: dict[str, object]) -> list[gov_contracts.GovContract]:
    return [item.row for item in gov_contracts.parse_awards(list(records), url="u") if not isinstance(item, Reject)]


def key(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in gov_contracts.KEY)


def test_equal_awards_keep_their_keys_whatever_their_order():
    small, large = {**AWARD, "Amount": 1.0}, {**AWARD, "Amount": 9.0}
    forth = {key(row): row.amount_usd for row in awards(small, large, AWARD)}
    back = {key(row): row.amount_usd for row in awards(AWARD, large, small)}
    assert forth == back
    assert sorted(forth.values()) == [1.0, 5.0, 9.0]


@pytest.mark.parametrize(
    "change",
    [{"Date": "2025-10-22"}, {"action_date": None}, {"Agency": "Synthetic Other"}, {"Description": "SYNTHETIC 2"}, {"Ticker": "BA"}],
)
def test_awards_that_differ_in_anything_but_money_have_different_keys(change: dict[str, object]):
    (one,), (other,) = awards(AWARD), awards({**AWARD, **change})
    assert key(one) != key(other)


def test_a_corrected_amount_is_a_new_version_of_the_same_award():
    (one,), (other,) = awards(AWARD), awards({**AWARD, "Amount": 6.0})
    assert key(one) == key(other)
    assert one.amount_usd != other.amount_usd


def test_an_award_is_known_the_day_after_it_was_announced_and_happened_when_it_was_made():
    (item,) = gov_contracts.parse_awards([AWARD], url="u")
    assert not isinstance(item, Reject)
    assert item.known_at == times.new_york(date(2025, 10, 22))
    assert item.event_at == times.new_york(date(2025, 10, 17))


@pytest.mark.parametrize(
    ("quarter", "year", "known"), [(1, 2025, date(2025, 6, 30)), (4, 2024, date(2025, 4, 1)), (2, 2024, date(2024, 9, 29))]
)
def test_a_quarter_is_known_when_the_departments_late_contracts_are_in(quarter: int, year: int, known: date):
    (item,) = gov_contracts.parse_quarters([{"Ticker": "LMT", "Amount": "5.0", "Qtr": quarter, "Year": year}], url="u")
    assert not isinstance(item, Reject)
    assert item.known_at == times.new_york(known)
    assert item.event_at == times.new_york(date(year, 3 * quarter - 2, 1))


def test_quarters_and_awards_never_share_a_key():
    (quarter,) = gov_contracts.parse_quarters([{"Ticker": "LMT", "Amount": "5.0", "Qtr": 1, "Year": 2025}], url="u")
    assert not isinstance(quarter, Reject)
    assert key(quarter.row) != key(awards(AWARD)[0])
    assert (quarter.row.period, awards(AWARD)[0].period) == ("quarter", "award")


@pytest.mark.parametrize(
    ("acted", "agency", "posted"),
    [
        (date(2026, 8, 12), "Department of State", date(2026, 8, 17)),
        (date(2026, 8, 14), "Department of State", date(2026, 8, 19)),
        (date(2026, 8, 15), "", date(2026, 8, 19)),
        (date(2026, 8, 12), "Department of Defense", date(2026, 11, 10)),
        (date(2026, 8, 12), " DEPARTMENT OF DEFENSE ", date(2026, 11, 10)),
    ],
)
def test_an_action_is_posted_within_three_business_days_and_late_by_the_department_of_defense(acted: date, agency: str, posted: date):
    assert usaspending.posted(acted, agency) == posted
    assert posted - acted <= usaspending.LONGEST_DELAY


def test_an_action_keeps_its_key_when_amount_recipient_or_date_are_corrected():
    def one(**changes: object) -> tuple[object, ...]:
        (item,) = gov_contracts.parse_actions([action(**changes)], companies=LOCKHEED, position="p")
        assert not isinstance(item, Reject)
        return key(item.row)

    assert (
        one()
        == one(**{"Transaction Amount": -3_000_000})
        == one(**{"Action Date": "2026-08-13"})
        == one(**{"Recipient Name": "LOCKHEED MARTIN"})
    )
    assert one() != one(Mod="P00001")
    assert one() != one(generated_internal_id="CONT_AWD_SYN2")
    assert one(generated_internal_id=None) == one(generated_internal_id="SYN1")


def test_a_sweep_that_was_cut_leaves_small_actions_of_both_signs_out():
    rows = [row for batch in case("usaspending", "paging").batches() for row in batch.rows.to_pylist()]
    assert min(abs(row["amount_usd"]) for row in rows) >= usaspending.SMALLEST_USD


def test_rows_and_counted_recipients_make_all_that_was_large():
    (batch, told) = case("usaspending", "normal").batches()
    assert batch.rows.num_rows == 3
    assert told.rejects[0].detail == "1 actions of 1 recipients that are no company of the universe"
    assert json.loads(told.rejects[0].raw) == {"SYNTHETIC SHELTER LLC": 1}


@pytest.mark.parametrize(
    ("saved", "rows"),
    [("quiver_contracts/normal/1.json", 3), ("quiver_contracts_quarterly/normal/1.json", 2), ("usaspending/normal/1.json", 5)],
)
def test_saved_answers_are_imported_with_their_times(saved: str, rows: int):
    (batch,) = gov_contracts.load([PAYLOADS / saved])
    assert batch.rows.num_rows == rows
    assert batch.rows.column("known_at").null_count == 0
    assert batch.rejects == ()


def test_a_saved_page_without_actions_holds_nothing(tmp_path: Path):
    path = tmp_path / "page.json"
    path.write_text('{"limit": 100, "results": [], "page_metadata": {"page": 1, "hasNext": false}}')
    assert list(gov_contracts.load([path])) == []


@pytest.mark.parametrize("text", ["[]", "{}", '[{"a": 1}]', "a,b\n1,2\n", '{"results": []}', "[[1]]"])
def test_other_files_are_refused_with_the_known_shapes(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile, match="known shapes are Quiver awards"):
        list(gov_contracts.load([path]))


def test_a_live_fetch_asks_for_each_new_york_day_once():
    days = list(gov_contracts._days(datetime(2025, 10, 20, 3, 59, tzinfo=UTC), datetime(2025, 10, 22, 4, 1, tzinfo=UTC)))
    assert days == [date(2025, 10, 19) + timedelta(days=n) for n in range(4)]
