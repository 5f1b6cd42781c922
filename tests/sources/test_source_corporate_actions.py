"""Corporate actions: kinds, keys, imports, and what a source takes back."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from scrapers import withdrawn
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import corporate_actions

DIVIDEND = {"symbol": "AAPL", "rate": 0.25, "special": False, "foreign": False, "process_date": "2024-05-16", "ex_date": "2024-05-10"}
SPLIT = {"symbol": "NVDA", "new_rate": 10, "old_rate": 1, "process_date": "2024-06-10", "ex_date": "2024-06-10"}


def actions(**kinds: list) -> list:
    return list(corporate_actions.parse_page(kinds))


def test_splits_give_new_shares_per_old_and_dividends_usd_per_share():
    found = actions(
        forward_splits=[SPLIT],
        reverse_splits=[{**SPLIT, "symbol": "GE", "new_rate": 1, "old_rate": 8}],
        stock_dividends=[{**DIVIDEND, "symbol": "X", "rate": 0.05}],
        cash_dividends=[DIVIDEND],
        name_changes=[{"old_symbol": "FB", "new_symbol": "META"}],
    )
    assert [(a.symbol, a.kind, a.ratio, a.amount_usd) for a in found] == [
        ("NVDA", "split", 10.0, None),
        ("GE", "split", 0.125, None),
        ("X", "split", 1.05, None),
        ("AAPL", "cash_dividend", None, 0.25),
    ]


def test_two_dividends_of_one_ex_date_are_two_rows_and_a_corrected_one_is_a_version_of_its_own():
    regular, special = actions(cash_dividends=[DIVIDEND, {**DIVIDEND, "rate": 1.0, "special": True}])
    (corrected,) = actions(cash_dividends=[{**DIVIDEND, "rate": 0.26}])
    assert key_of(regular) != key_of(special)
    assert key_of(regular) == key_of(corrected)


def test_an_action_with_a_number_keeps_its_key_when_its_processing_moves():
    (one,) = actions(cash_dividends=[{**DIVIDEND, "id": "n1"}])
    (other,) = actions(cash_dividends=[{**DIVIDEND, "id": "n1", "process_date": "2024-07-01"}])
    assert key_of(one) == key_of(other)


def key_of(action: corporate_actions.CorporateAction) -> tuple:
    return tuple(getattr(action, name) for name in corporate_actions.KEY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rate": 0}, "bad_rate"),
        ({"rate": None}, "bad_rate"),
        ({"rate": "x"}, "bad_rate"),
        ({"ex_date": None}, "bad_date"),
        ({"symbol": "?"}, "bad_symbol"),
    ],
)
def test_an_action_that_cannot_be_one_is_a_reject(change: dict, reason: str):
    (item,) = actions(cash_dividends=[{**DIVIDEND, **change}])
    assert isinstance(item, Reject)
    assert item.reason == reason


@pytest.mark.parametrize("document", [None, [], {"cash_dividends": None}, {"cash_dividends": [1]}, {"forward_splits": [{"symbol": "A"}]}])
def test_corporate_actions_of_another_shape_are_a_changed_source(document: object):
    with pytest.raises(SourceChanged):
        list(corporate_actions.parse_page(document))


@pytest.mark.parametrize(
    "document",
    [
        {"corporate_actions": {"cash_dividends": [DIVIDEND]}},
        {"chart": {"result": [{"meta": {"symbol": "AAPL", "currency": "USD", "dataGranularity": "1d"}, "indicators": {"quote": [{}]},
         "events": {"dividends": {"1715347800": {"amount": 0.25, "date": 1715347800}}}}], "error": None}},
    ],
)  # fmt: skip
def test_saved_answers_of_both_services_are_imported(tmp_path: Path, document: dict):
    path = tmp_path / "f"
    path.write_text(json.dumps(document))
    (batch,) = corporate_actions.load([path])
    (row,) = batch.rows.to_pylist()
    assert (row["symbol"], row["ex_date"], row["amount_usd"]) == ("AAPL", date(2024, 5, 10), 0.25)
    assert row["known_at"] == datetime(2024, 5, 10, 4, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "a,b\n", "[]", "{}", '{"corporate_actions": []}', '{"chart": {}}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile):
        list(corporate_actions.load([path]))


HELD = {
    "symbol": "AAPL",
    "kind": "split",
    "ex_date": date(2024, 5, 9),
    "action_id": "",
    "ratio": 2.0,
    "amount_usd": None,
    "origin": "yahoo",
}


def lost(records: list[dict], delivered: set[tuple]) -> list:
    return list(
        withdrawn.gone(
            lambda since, asof: pd.DataFrame(records), corporate_actions.CorporateAction, corporate_actions.KEY, delivered,
            asof=datetime(2024, 6, 1, tzinfo=UTC), concerns=lambda row: row.origin == "yahoo",
            event_at=lambda row: datetime(2024, 5, 9, tzinfo=UTC), name="f",
        )
    )  # fmt: skip


def test_a_row_that_is_not_delivered_any_more_is_withdrawn_and_others_are_left_alone():
    other = {**HELD, "origin": "alpaca", "action_id": "x"}
    stamped = {**HELD, "ex_date": pd.Timestamp("2024-05-08"), "amount_usd": float("nan")}
    (item,) = lost([HELD, other, stamped], {("AAPL", "split", date(2024, 5, 8), "")})
    assert (item.row.ex_date, item.row.ratio, item.row.amount_usd, item.gone, item.known_at) == (date(2024, 5, 9), 2.0, None, True, None)


def test_an_answer_that_lacks_a_fifth_of_the_rows_is_not_whole():
    records = [{**HELD, "action_id": str(number)} for number in range(20)]
    kept = {("AAPL", "split", date(2024, 5, 9), str(number)) for number in range(6, 20)}
    with pytest.raises(SourceChanged, match="6 of 20"):
        lost(records, kept)
    assert len(lost(records, kept | {("AAPL", "split", date(2024, 5, 9), "0")})) == 5
