"""Mentions in r/wallstreetbets: posts, dumps, counts."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scrapers import DATASETS, forum_posts, reddit
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.forum_posts import Post
from scrapers.tickers_in_text import Tickers
from tests.sources.canned import case

CREATED = 1_795_176_000
COMMENT = {"id": "da1", "body": "GME", "author": "Synthetic_Author", "created_utc": CREATED, "subreddit": "WallStreetBets", "score": 3}


def loaded(*paths: Path) -> tuple[list[dict], Counter[str]]:
    load = DATASETS["reddit_mentions"].load
    assert load is not None
    batches = list(load(paths))
    rejects = Counter(r.reason for batch in batches for r in batch.rejects)
    return [row for batch in batches for row in batch.rows.to_pylist()], rejects


def comment(**changes: object) -> Post | Reject:
    return forum_posts.post("t1", COMMENT | changes, "here")


def known(one: Post | Reject, *, archived: bool = True) -> list[tuple[datetime | None, int | None]]:
    assert isinstance(one, Post)
    return [(item.known_at, item.row.upvotes) for item in forum_posts.rows(one, Tickers(["GME"]), archived=archived)]


def test_an_archived_post_is_known_from_its_time_and_has_no_score_yet():
    created = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert known(comment()) == [(created, None)]
    assert known(comment(edited=float(CREATED + 60))) == [(created.replace(minute=1), None)]
    assert known(comment(edited=True)) == [(created, None)]
    assert known(comment(), archived=False) == [(None, 3)]


@pytest.mark.parametrize(
    "changes",
    [
        {"author": "[deleted]"},
        {"author": None},
        {"body": "[deleted]"},
        {"body": "[removed]"},
        {"author": "AutoModerator"},
        {"author": "VisualMod"},
        {"author": "synthetic_remind_BOT"},
        {"removed_by_category": "moderator"},
    ],
)
def test_posts_that_were_taken_back_or_written_by_programs_name_nothing(changes: dict):
    assert known(comment(**changes)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None}, {"id": "../x"}, {"id": "A B"}, {"id": ""}, {"body": None}, {"body": ["GME"]}, {"author": 5}, {"created_utc": None},
        {"created_utc": "1795176000"}, {"created_utc": True}, {"created_utc": -1}, {"created_utc": float("nan")}, {"created_utc": 10**400},
        {"score": "3"}, {"score": 2**70}, {"score": True}, {"edited": "yes"}, {"subreddit": {}},
    ],
)  # fmt: skip
def test_a_record_that_is_no_post_is_a_reject(changes: dict):
    refused = comment(**changes)
    assert isinstance(refused, Reject)
    assert refused.reason == "not_a_post"


def test_replies_are_walked_to_any_depth_and_the_rest_of_a_thread_is_left():
    innermost: object = ""
    for depth in range(3000):
        child = {"kind": "t1", "data": COMMENT | {"id": f"d{depth}", "replies": innermost}}
        innermost = {"kind": "Listing", "data": {"children": [child, {"kind": "more", "data": {"children": ["x"]}}]}}
    assert len(list(reddit.posts_of(innermost, "u"))) == 3000


@pytest.mark.parametrize(
    "listing", [None, [], {}, {"kind": "Listing"}, {"kind": "Listing", "data": {"children": [1]}}, {"kind": "t3", "data": {}}]
)
def test_what_is_no_listing_is_a_changed_source(listing: object):
    with pytest.raises(SourceChanged):
        list(reddit.posts_of(listing, "u"))


def test_pages_that_never_end_are_a_changed_source():
    made = case("reddit_praw", "normal")
    page = {"kind": "Listing", "data": {"after": None, "children": [{"kind": "t3", "data": COMMENT | {"title": "GME"}}]}}
    pages = [{"kind": "Listing", "data": page["data"] | {"after": f"t3_p{number}"}} for number in range(reddit.MAX_PAGES)]
    url = "https://oauth.reddit.com/r/wallstreetbets/new"
    made.document["answers"] = [a for a in made.document["answers"] if a["url"] != url] + [
        {"url": url, "text": json.dumps(p)} for p in pages
    ]
    with pytest.raises(SourceChanged, match="pages"):
        list(made.batches())


def test_a_page_that_points_to_an_earlier_one_is_no_page():
    made = case("reddit_praw", "normal")
    url = "https://oauth.reddit.com/r/wallstreetbets/new"
    new = next(a for a in made.document["answers"] if a["url"] == url)
    page = json.loads((made.folder / new["body"]).read_text())
    page["data"]["children"] = page["data"]["children"][:1]
    page["data"]["after"] = "t3_5d7oj4"
    made.document["answers"] = [a for a in made.document["answers"] if a["url"] != url] + [{"url": url, "text": json.dumps(page)}] * 2
    with pytest.raises(SourceChanged):
        list(made.batches())


def test_dumps_of_real_posts_count_known_symbols_once_a_post(shared_data: Path):
    social, sec = shared_data / "data" / "social", shared_data / "data" / "samples" / "sec"
    dumps = [social / "wsb_comments_raw.ndjson.gz", social / "wsb_submissions_raw.ndjson.gz"]
    rows, rejects = loaded(*dumps, sec / "company_tickers.json.gz")
    found = Counter(row["symbol"] for row in rows)
    assert set(rejects) == {"repeated_post"}
    assert found.most_common(3)[0][0] == "PLTR"
    assert {"GME", "TSLA", "NIO", "AMD"} <= set(found)
    assert not {"YOLO", "ALL", "DD", "CEO", "A", "IT"} & set(found)
    assert len({(row["item_id"], row["symbol"]) for row in rows}) == len(rows)
    assert all(row["known_at"] == row["event_at"] and row["upvotes"] is None and row["forum"] == "wallstreetbets" for row in rows)
    assert {row["item_id"][:3] for row in rows} == {"t1_", "t3_"}
    by_hand = {json.loads(line)["id"] for line in gzip.decompress(dumps[0].read_bytes()).splitlines() if "PLTR" in json.loads(line)["body"]}
    counted = {row["item_id"].removeprefix("t1_") for row in rows if row["symbol"] == "PLTR" and row["kind"] == "comment"}
    assert counted <= by_hand
    assert len(counted) > 0.8 * len(by_hand)


def test_without_a_list_of_symbols_the_cashtags_of_a_dump_count(shared_data: Path):
    path = shared_data / "data" / "social" / "wsb_comments_raw.ndjson.gz"
    rows, _ = loaded(path)
    texts = {f"t1_{json.loads(line)['id']}": json.loads(line)["body"] for line in gzip.decompress(path.read_bytes()).splitlines()}
    assert rows
    assert all(row["cashtag"] and f"${row['symbol']}" in texts[row["item_id"]] for row in rows)


def test_recorded_listings_of_reddit_are_read_without_complaint(shared_data: Path):
    for path in sorted((shared_data / "data" / "samples" / "reddit").glob("*.json.gz")):
        document = json.loads(gzip.decompress(path.read_bytes()))
        bodies = [json.loads(i["response"]["body"]["string"]) for i in document["interactions"]]
        children = [child for body in bodies if body.get("kind") == "Listing" for child in body["data"]["children"]]
        posts = [one for body in bodies if body.get("kind") == "Listing" for one in reddit.posts_of(body, path.name)]
        assert len(posts) >= len(children) > 0
        assert not any(isinstance(one, Reject) for one in posts)
        assert loaded(path)[1] == Counter()


def test_counts_by_day_are_known_on_the_day_after_and_second_counts_are_rejects(shared_data: Path):
    rows, rejects = loaded(shared_data / "data" / "social" / "wsb_ticker_day_counts_to_2021q1.csv.gz")
    assert len(rows) + rejects["repeated_day"] == 2074
    tesla = next(row for row in rows if row["symbol"] == "TSLA" and row["item_id"] == "2021-01-29")
    assert (tesla["mentions"], tesla["kind"], tesla["window_hours"]) == (26, "day", 24)
    assert tesla["known_at"] == datetime(2021, 1, 30, 5, tzinfo=UTC)
    assert tesla["event_at"] < tesla["known_at"]


@pytest.mark.parametrize(
    "text", ["[1, 2]", '{"results": [], "pages": 1}', "not json\nat all\n", "name,count\nx,1\n", '{"a": 1}\n{"b"\n{"c"\n']
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile):
        loaded(path)


def test_a_broken_line_of_a_dump_costs_that_line(tmp_path: Path):
    path = tmp_path / "f.ndjson"
    path.write_text("\n".join([json.dumps(COMMENT | {"body": "$GME"}), "{broken", "", json.dumps(COMMENT | {"id": "da2", "body": "$GME"})]))
    rows, rejects = loaded(path)
    assert [row["item_id"] for row in rows] == ["t1_da1", "t1_da2"]
    assert rejects == {"not_a_post": 1}
