"""App ratings and the list of whose app is whose: readings of a day, reviews of a day, and what cannot be dated."""

import json
from datetime import date
from pathlib import Path

import pytest

from scrapers import app_store_list, itunes, symbols
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import app_listings, app_ratings
from tests.sources.canned import PAYLOADS

FEED = json.loads((PAYLOADS / "itunes" / "normal" / "2.json").read_text())


def review(stars: object, at: object) -> dict[str, object]:
    return {"im:rating": {"label": stars}, "updated": {"label": at}}


def test_a_review_belongs_to_the_new_york_day_of_its_instant():
    reviews = app_ratings.Reviews()
    reviews.add([review("5", "2026-11-19T21:30:00-08:00"), review("1", "2026-11-19T20:30:00-08:00")], "u")
    assert reviews.stars == {date(2026, 11, 20): [5], date(2026, 11, 19): [1]}


READING = {"Ticker": "META", "App": "Synthetic", "Publisher": "", "Rating": 4.5, "Count": 10, "Time": "2026-11-19T06:00:00"}


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-11-19", 19),
        ("2026-11-19T00:00:00Z", 19),
        ("2026-11-19T03:00:00Z", 18),
        ("2026-11-19T23:30:00-08:00", 20),
        ("2026-11-19 23:30", 19),
    ],
)
def test_a_reading_belongs_to_the_new_york_day_of_its_instant_or_to_the_day_written(time: str, day: int):
    [item] = app_ratings.parse_quiver([READING | {"Time": time}], url="u")
    assert item.row.day == date(2026, 11, day)


@pytest.mark.parametrize(
    ("rating", "count", "read"),
    [(4.5, 10, (4.5, 10)), ("4.5", "1,234", (4.5, 1234)), (0, 0, (None, 0)), (None, None, (None, 0)), (0, None, (None, 0)),
     (4.5, None, "bad_count"), (4.5, "", "bad_count"), (None, 10, "bad_rating"), (5.1, 10, "bad_rating"), (4.5, -1, "bad_count")],
)  # fmt: skip
def test_an_average_without_the_number_of_ratings_is_refused(rating: object, count: object, read: object):
    [item] = app_ratings.parse_quiver([READING | {"Rating": rating, "Count": count}], url="u")
    assert (item.reason if isinstance(item, Reject) else (item.row.rating, item.row.rating_count)) == read


def test_the_oldest_day_of_a_feed_that_goes_on_is_left_out_because_it_is_not_whole():
    reviews = app_ratings.Reviews()
    reviews.add([review("5", "2026-11-20T12:00:00-05:00"), review("1", "2026-11-19T12:00:00-05:00")], "u")
    days = {cut: [item.row.day.day for item in reviews.rows("1", ["META"], date(2026, 11, 1), cut=cut)] for cut in (True, False)}
    assert days == {True: [20], False: [19, 20]}


@pytest.mark.parametrize("stars", ["0", "6", "4.5", None, "", True, "x"])
def test_a_review_without_one_to_five_stars_is_refused(stars: object):
    reviews = app_ratings.Reviews()
    reviews.add([review(stars, "2026-11-20T12:00:00-05:00")], "u")
    assert [reject.reason for reject in reviews.refused] == ["bad_review"]
    assert reviews.stars == {}


@pytest.mark.parametrize(
    ("entry", "found"),
    [(None, 0), ([], 0), (review("5", "2026-11-20T12:00:00-05:00"), 1), ([review("5", "2026-11-20T12:00:00-05:00")] * 2, 2)],
)
def test_a_feed_holds_no_entry_one_as_an_object_or_a_list(entry: object, found: int):
    feed = {"id": {"label": "x"}} if entry is None else {"id": {"label": "x"}, "entry": entry}
    assert len(itunes.entries({"feed": feed}, "u")) == found


@pytest.mark.parametrize("document", [[], {}, {"feed": []}, {"feed": {}}, {"feed": {"entry": "x"}}, {"feed": {"entry": [{"a": 1}]}}])
def test_what_is_no_feed_is_a_change_of_the_source(document: object):
    with pytest.raises(SourceChanged):
        itunes.entries(document, "u")


def test_a_day_that_is_read_again_keeps_the_last_reading_under_the_same_key():
    record = {"Ticker": "META", "App": "Facebook", "Publisher": "Meta", "Rating": 2.0, "Count": 5, "Time": "2026-11-19T06:00:00"}
    later = record | {"Count": 6, "Time": "2026-11-19T18:00:00"}
    for order in ([record, later], [later, record]):
        rows = [item.row for item in app_ratings.parse_quiver(order, url="u") if not isinstance(item, Reject)]
        assert [row.rating_count for row in rows] == [6]


def test_a_saved_lookup_is_refused_because_it_bears_no_date():
    with pytest.raises(BadFile, match="bears no date"):
        list(app_ratings.load([PAYLOADS / "itunes" / "normal" / "1.json"]))


def test_saved_readings_are_imported_with_their_times():
    (batch,) = app_ratings.load([PAYLOADS / "quiver_apps" / "normal" / "1.json"])
    assert batch.rows.num_rows == 3
    assert batch.rows.column("known_at").null_count == 0


def test_of_a_saved_page_of_reviews_only_days_that_are_surely_whole_are_imported(tmp_path: Path):
    path, instants = tmp_path / "f", ["2026-11-20T12:00:00-05:00", "2026-11-19T12:00:00-05:00", "2026-11-18T12:00:00-05:00"]
    FEED["feed"]["entry"] = [review("4", at) for at in instants]
    path.write_text(json.dumps(FEED))
    (batch,) = app_ratings.load([path])
    assert [(row["symbol"], row["day"]) for row in batch.rows.to_pylist()] == [("META", date(2026, 11, 19))]


@pytest.mark.parametrize("text", ["[]", "{}", '[{"a": 1}]', "a,b\n1,2\n", '{"feed": {"id": {"label": "/id=5/"}}}', '{"feed": 1}'])
def test_other_files_are_refused(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile):
        list(app_ratings.load([path]))


def test_the_packaged_list_has_canonical_symbols_and_no_app_twice_for_one_company():
    listed = app_store_list.packaged()
    assert all(symbols.canonical(item.symbol) == item.symbol for item in listed)
    assert all(item.app_id.isdigit() and item.app_name for item in listed)
    assert len({(item.symbol, item.app_id) for item in listed}) == len(listed) >= 30
    assert [(item.symbol, item.app_id) for item in listed if item.app_name == "Facebook"] == [("META", "284882215")]


def test_a_hand_made_list_of_apps_is_imported_and_its_bad_lines_are_told(tmp_path: Path):
    path = tmp_path / "f.csv"
    path.write_text("symbol,app_id,app_name\nbrk-b,id900000001,Synthetic One\n^X,900000002,x\nAAPL,12,x\nAAPL\n")
    (batch,) = app_listings.load([path])
    assert [(row["symbol"], row["app_id"], row["app_name"]) for row in batch.rows.to_pylist()] == [("BRK.B", "900000001", "Synthetic One")]
    assert [reject.reason for reject in batch.rejects] == ["bad_ticker", "bad_app_id", "ragged_record"]


def test_a_list_with_other_columns_is_refused(tmp_path: Path):
    path = tmp_path / "f.csv"
    path.write_text("symbol,isin\nA,1\n")
    with pytest.raises(BadFile, match="known shapes"):
        list(app_listings.load([path]))
