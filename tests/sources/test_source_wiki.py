"""Wikipedia's articles and their page views."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import DATASETS
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import wiki_pageviews
from tests.sources.canned import case


def loaded(dataset: str, *paths: Path) -> tuple[list[dict], list[str]]:
    load = DATASETS[dataset].load
    assert load is not None
    batches = list(load(paths))
    return [row for batch in batches for row in batch.rows.to_pylist()], [r.reason for batch in batches for r in batch.rejects]


def item(article: str, stamp: str, views: object) -> dict:
    told = {"project": "en.wikipedia", "granularity": "daily", "access": "all-access", "agent": "user"}
    return {**told, "article": article, "timestamp": stamp, "views": views}


def test_a_hand_made_map_of_articles_is_imported(tmp_path: Path):
    path = tmp_path / "map.csv"
    path.write_text("Ticker,Title\nbrk-b,Berkshire Hathaway\nT,AT&T\n--,Nobody\nF,\nMMM\n")
    rows, rejects = loaded("wiki_articles", path)
    assert [(row["symbol"], row["article"]) for row in rows] == [("BRK.B", "Berkshire_Hathaway"), ("T", "AT&T")]
    assert rejects == ["bad_symbol", "no_article", "ragged_record"]


def test_other_files_are_refused_with_the_shapes_that_are_known(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text("name,views\na,1\n")
    for dataset in ("wiki_articles", "wiki_pageviews"):
        with pytest.raises(BadFile, match="symbol"):
            loaded(dataset, path)
    path.write_text("symbol,article,day\nT,AT&T,2026-11-19\n")
    with pytest.raises(BadFile, match="views"):
        loaded("wiki_pageviews", path)
    path.write_text('{"items": {}}')
    with pytest.raises(BadFile):
        loaded("wiki_pageviews", path)


def test_saved_answers_are_imported_by_the_map_beside_them_whatever_their_order(tmp_path: Path):
    answer, plan = tmp_path / "a.json.gz", tmp_path / "map.csv"
    items = [item("Alphabet_Inc.", "2026111900", 7), item("Alphabet_Inc.", "2026112000", 8), item("Synthetic_Other", "2026112000", 9)]
    answer.write_bytes(gzip.compress(json.dumps({"items": items}).encode()))
    plan.write_text("symbol,article\nGOOG,Alphabet Inc.\nGOOGL,Alphabet_Inc.\n")
    rows, rejects = loaded("wiki_pageviews", answer, plan)
    assert [(row["symbol"], row["day"], row["views"]) for row in rows] == [
        ("GOOG", date(2026, 11, 19), 7), ("GOOGL", date(2026, 11, 19), 7),
        ("GOOG", date(2026, 11, 20), 8), ("GOOGL", date(2026, 11, 20), 8),
    ]  # fmt: skip
    assert rejects == ["other_article"]
    assert loaded("wiki_pageviews", plan, answer) == (rows, rejects)


def test_a_table_of_views_by_day_is_imported_and_known_two_days_after_the_day_began(tmp_path: Path):
    path = tmp_path / "views.csv"
    path.write_text("symbol,article,date,views\nT,AT&T,2026-11-19,5\nT,AT&T,2026-11-31,5\nT,AT&T,2026-11-20,-5\nT,AT&T,2026-11-20,5e3\n")
    rows, rejects = loaded("wiki_pageviews", path)
    assert [(r["event_at"], r["known_at"]) for r in rows] == [(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))]
    assert rejects == ["bad_record"] * 3


@pytest.mark.parametrize(
    ("stamp", "views"), [("20261119", 5), ("2026111901", 5), ("2026113100", 5), ("2026111900", True), ("2026111900", 1.5)]
)
def test_a_page_of_items_that_are_none_is_a_changed_source(stamp: str, views: object):
    with pytest.raises(SourceChanged):
        list(wiki_pageviews.parse({"items": [item("A", stamp, views)]}, url="u", sharing=lambda _: ["A"]))


def test_days_that_are_not_over_and_days_before_the_service_began_are_not_asked_for():
    made = case("wikimedia_pageviews", "backfill")
    assert [row["day"] for batch in made.batches() for row in batch.rows.to_pylist()][-1] == date(2026, 11, 18)
    made.document |= {"since": "2026-11-20T00:00:00Z", "until": "2026-11-20T23:59:00Z", "answers": []}
    assert list(made.batches()) == []
    assert made.missing == []


def test_a_live_fetch_repeats_the_keys_of_a_backfill():
    def keys(name: str, **changes: object) -> set[tuple]:
        made = case("wikimedia_pageviews", name)
        made.document |= changes
        return {(r["symbol"], r["article"], r["day"]) for batch in made.batches() for r in batch.rows.to_pylist()}

    archived = keys("backfill")
    document = case("wikimedia_pageviews", "backfill").document
    answers = [{**document["answers"][0], "url": document["answers"][0]["url"].replace("2026111800", "2026111900")}]
    assert keys("backfill", answers=answers, options={**document["options"], "backfill": False}) == archived


def test_a_saved_list_page_is_imported_as_the_list_that_its_title_names(tmp_path: Path):
    page = case("wikipedia_lists", "normal").folder / "sp400.html"
    text = page.read_text(encoding="utf-8").replace("<title>List</title>", "<title>List of S&amp;P 400 companies - Wikipedia</title>")
    path = tmp_path / "page.gz"
    path.write_bytes(gzip.compress(text.encode()))
    (batch,) = DATASETS["wiki_articles"].load([path])
    live = [row for b in case("wikipedia_lists", "normal").batches() for row in b.rows.to_pylist() if row["index_name"] == "sp400"]
    assert [{**row, "known_at": None} for row in batch.rows.to_pylist()] == live
    path.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadFile):
        list(DATASETS["wiki_articles"].load([path]))
