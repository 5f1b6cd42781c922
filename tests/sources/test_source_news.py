"""News: plain text, its tone, and the time of the text that is shown."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import news

ARTICLE = {
    "id": 24843171,
    "headline": "Synthetic headline",
    "created_at": "2021-12-31T11:08:42Z",
    "updated_at": "2021-12-31T11:08:43Z",
    "summary": "",
    "url": "https://news.example/1",
    "symbols": ["AAPL"],
    "source": "benzinga",
}


def parsed(*changes: dict, wanted: set[str] | None = None) -> list:
    return list(news.parse_page([{**ARTICLE, **change} for change in changes], wanted=wanted))


def test_an_article_is_known_when_the_text_that_is_shown_was_published():
    plain, edited = parsed({}, {"updated_at": "2022-01-03T06:00:00-05:00"})
    assert plain.event_at == edited.event_at == datetime(2021, 12, 31, 11, 8, 42, tzinfo=UTC)
    assert (plain.known_at, edited.known_at) == (datetime(2021, 12, 31, 11, 8, 43, tzinfo=UTC), datetime(2022, 1, 3, 11, tzinfo=UTC))


def test_good_and_bad_news_differ_in_tone_by_headline_and_summary():
    good, bad, mixed, none = parsed(
        {"headline": "Company wins great award, shares surge"},
        {"headline": "Company faces fraud lawsuit, shares plunge"},
        {"summary": "A terrible, disastrous failure."},
        {},
    )
    assert good.row.sentiment > 0.3 > 0.0 > -0.3 > bad.row.sentiment
    assert mixed.row.sentiment < -0.3
    assert none.row.sentiment == 0.0


def test_one_article_gives_a_row_for_each_wanted_company_under_its_canonical_symbol():
    items = parsed({"symbols": ["BRK/B", "BRK-B", "TSLA", "BTCUSD", "AAPL"]}, wanted={"AAPL", "BRK.B"})
    assert [(item.row.symbol, item.row.news_id, item.row.n_symbols) for item in items] == [
        ("BRK.B", "24843171", 5),
        ("AAPL", "24843171", 5),
    ]


def test_texts_lose_their_markup_and_are_cut():
    (item,) = parsed({"headline": "A &amp; B <b>win</b>", "summary": "<p>word</p>" * 1000})
    assert item.row.headline == "A & B win"
    assert len(item.row.summary) <= 1000
    assert "<" not in item.row.summary


@pytest.mark.parametrize("page", [None, {}, [1], [{"id": 1}], [{**ARTICLE, "symbols": "AAPL"}], [{**ARTICLE, "headline": None}] * 3])
def test_a_page_of_another_shape_is_a_changed_source(page: object):
    with pytest.raises(SourceChanged):
        list(news.parse_page(page, wanted=None))


def test_saved_answers_are_imported_with_all_of_their_symbols(tmp_path: Path):
    path = tmp_path / "f"
    path.write_text(json.dumps({"news": [{**ARTICLE, "symbols": ["AAPL", "MSFT"]}], "next_page_token": None}))
    (batch,) = news.load([path])
    assert batch.rows.column("symbol").to_pylist() == ["AAPL", "MSFT"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "a,b\n", '{"news": 1}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile):
        list(news.load([path]))
