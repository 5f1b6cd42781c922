"""Searches by Google Trends: the page of Quiver, and Google's own widgets."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import DATASETS
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import search_trends
from tests.sources.canned import case


def page(header: str, *lines: str) -> str:
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line.split('|'))}</tr>" for line in lines)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in header.split('|'))}</tr>{rows}</table>"


@pytest.mark.parametrize(
    "header", ["Ticker|Google Trends Score", "Symbol|Value", "Ticker|Search Interest", "Ticker|Latest trend", "Stock Ticker|Interest"]
)
def test_columns_are_found_by_name(header: str):
    (item,) = search_trends.parse_page(page(header, "AAPL|63"), url="u", today=date(2026, 11, 21))
    assert (item.row.symbol, item.row.value, item.row.day) == ("AAPL", 63.0, date(2026, 11, 21))


@pytest.mark.parametrize(
    "text", ["", "<p>Log in</p>", page("Ticker|Price", "AAPL|63"), page("Name|Interest", "Apple|63"), page("Ticker|Interest"),
             page("Ticker|Interest", "AAPL|high"), page("Ticker|Interest|Date", "AAPL|63|2026-11-22")],
)  # fmt: skip
def test_a_page_without_values_is_a_changed_source(text: str):
    with pytest.raises(SourceChanged):
        search_trends.parse_page(text, url="u", today=date(2026, 11, 21))


@pytest.mark.parametrize("text", [")]}'\n{}", ")]}',\n{}", "{}", " )]}' {}"])
def test_the_guard_before_the_json_is_taken_off(text: str):
    assert search_trends.unguarded(text, "u") == {}


def test_each_day_and_keyword_has_a_scale_of_its_own():
    def rows(**changes: object) -> list[dict]:
        made = case("google_trends", "normal")
        made.document |= changes
        return [row for batch in made.batches() for row in batch.rows.to_pylist()]

    today = {row["batch"] for row in rows()}
    answers = json.loads(
        json.dumps(case("google_trends", "normal").document["answers"]).replace("2026-08-23 2026-11-21", "2026-08-24 2026-11-22")
    )
    for answer in answers:
        answer.pop("match", None)
    tomorrow = {row["batch"] for row in rows(until="2026-11-23T10:00:00Z", answers=answers)}
    assert len(today) == len(tomorrow) == 1
    assert today != tomorrow


def test_an_order_of_symbols_is_asked_from_another_place_each_day():
    asked = []
    for until in ("2026-11-22T10:00:00Z", "2026-11-25T10:00:00Z"):
        made = case("google_trends", "too_many")
        made.document |= {"until": until, "options": {"symbols": ["AA", "BB", "CC", "DD", "EE"]}, "answers": [made.document["answers"][0]]}
        with pytest.raises(Exception, match="api/explore"):
            list(made.batches())
        asked.append(made.missing[0].partition("keyword")[2][:20])
    assert asked[0] != asked[1]


def test_nothing_is_asked_without_symbols():
    made = case("google_trends", "normal")
    made.document |= {"options": {}, "answers": []}
    assert list(made.batches()) == []
    assert made.missing == []


def test_a_saved_answer_is_known_from_the_end_of_its_last_day(tmp_path: Path):
    load = DATASETS["search_trends"].load
    assert load is not None
    path = tmp_path / "BRK-B.json"
    path.write_bytes((case("google_trends", "normal").folder / "timeline.txt").read_bytes())
    rows = [row for batch in load([path]) for row in batch.rows.to_pylist()]
    assert [(row["symbol"], row["value"]) for row in rows] == [("BRK.B", 57.0), ("BRK.B", 100.0)]
    assert {row["known_at"] for row in rows} == {datetime(2026, 11, 22, tzinfo=UTC)}


@pytest.mark.parametrize(("name", "text"), [("AAPL.json", "{}"), ("AAPL.csv", "day,value\n"), ("what is this.json", ")]}',\n{}")])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, name: str, text: str):
    load = DATASETS["search_trends"].load
    assert load is not None
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadFile):
        list(load([path]))
