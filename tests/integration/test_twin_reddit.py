"""Mentions against the doubles of Reddit and ApeWisdom, through PRAW and over real HTTP."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest

from scrapers import SOURCES, source_hosts
from scrapers.errors import SourceRefused
from scrapers.http import Exchange, Http, HttpOptions
from scrapers.sources.reddit_mentions import STORED
from scrapers.twin import forum
from tests.sources.served import CONTACT, Served, running, small_world

NOW = datetime(2024, 3, 14, 15, tzinfo=UTC)
KEY = ("origin", "forum", "item_id", "symbol")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with running(small_world(), NOW) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.put_clock(NOW)
    return server


def symbols(served: Served) -> list[str]:
    return [asset.symbol for asset in served.world.assets()]


def fetched(served: Served, source: str, hours: float, *, kept: list[Exchange] | None = None, **options: object) -> list[dict]:
    http = served.http(on_exchange=None if kept is None else kept.append)
    try:
        asked = {"symbols": symbols(served), **options}
        batches = list(SOURCES[source].fetch(http, served.now - timedelta(hours=hours), served.now, asked))
    finally:
        http.close()
    assert not [reject for batch in batches for reject in batch.rejects]
    return [row for batch in batches for row in batch.rows.to_pylist()]


def test_posts_of_the_last_hours_arrive_once_each_and_nothing_older(served: Served):
    rows = fetched(served, "reddit_praw", 12)
    assert {row["kind"] for row in rows} == {"submission", "comment"}
    assert all(NOW - timedelta(hours=12) <= row["event_at"] <= NOW for row in rows)
    assert max(Counter(tuple(row[name] for name in KEY) for row in rows).values()) == 1
    assert {row["symbol"] for row in rows} <= set(symbols(served))
    assert all(row["mentions"] == 1 and row["known_at"] is None and -1 <= row["sentiment"] <= 1 for row in rows)


def test_pages_are_followed_as_far_back_as_was_asked_and_no_farther(served: Served):
    short, long = [], []
    few, many = fetched(served, "reddit_praw", 2, kept=short), fetched(served, "reddit_praw", 24 * 4, kept=long)
    assert len(short) == 5, "a token, the pinned threads, a page of submissions, one of comments, a thread"
    assert len(long) > len(short) + 5
    assert {tuple(row[name] for name in KEY) for row in few} <= {tuple(row[name] for name in KEY) for row in many}
    assert min(row["event_at"] for row in many) < NOW - timedelta(days=3)


def test_a_listing_ends_after_a_thousand_posts(served: Served):
    kept: list[Exchange] = []
    rows = fetched(served, "reddit_praw", 24 * 60, kept=kept)
    comments = [exchange for exchange in kept if "/r/wallstreetbets/comments" in exchange.url]
    assert len(comments) == 10
    oldest = min(row["event_at"] for row in rows if row["kind"] == "comment")
    assert NOW - timedelta(days=9) < oldest < NOW - timedelta(days=5)


def test_a_later_fetch_repeats_the_keys_and_brings_scores_edits_and_withdrawals(served: Served):
    first = fetched(served, "reddit_praw", 4)
    served.put_clock(NOW + timedelta(hours=6))
    frame = pd.DataFrame(first).drop(columns="gone")
    again = fetched(served, "reddit_praw", 10, **{STORED: lambda since, asof: frame})
    before, after = ({tuple(row[name] for name in KEY): row for row in rows} for rows in (first, again))
    assert set(before) <= set(after), "every mention is there again, if only as a withdrawal"
    gone = {key for key, row in after.items() if row["gone"]}
    assert gone
    assert gone <= set(before)
    assert all({**after[key], "gone": False, "known_at": None} == before[key] for key in gone)
    assert any(after[key]["upvotes"] > before[key]["upvotes"] for key in set(before) - gone)


def test_an_archive_of_the_same_hours_has_the_same_keys_and_times_of_its_own(served: Served):
    live, archive = fetched(served, "reddit_praw", 12), fetched(served, "reddit_praw", 12, backfill=True)
    assert [tuple(row[name] for name in KEY) for row in archive] == [tuple(row[name] for name in KEY) for row in live]
    assert all(row["event_at"] <= row["known_at"] <= NOW and row["upvotes"] is None for row in archive)


def test_the_past_of_the_forum_does_not_depend_on_when_it_is_asked(served: Served):
    served.put_clock(NOW - timedelta(hours=30))
    then = {row["item_id"] for row in fetched(served, "reddit_praw", 6)}
    served.put_clock(NOW)
    board = forum.Board(served.world)
    names = {item.name for kind in ("t3", "t1") for item in board.newest(kind, NOW, 1000) if item.created <= NOW.timestamp() - 30 * 3600}
    assert then <= names


def test_no_archive_holds_the_token_and_no_request_without_our_credentials_gets_one(served: Served):
    kept: list[Exchange] = []
    assert fetched(served, "reddit_praw", 2, kept=kept)
    assert not any("synthetic-token" in repr(exchange) for exchange in kept)
    http = Http(
        HttpOptions(attempts=1), now=lambda: NOW, sleep=lambda _: None, contact=CONTACT, hosts=source_hosts(),
        routes={f"https://{host}": f"{served.url}/{host}" for host in source_hosts()},
    )  # fmt: skip
    with pytest.raises(SourceRefused):
        list(SOURCES["reddit_praw"].fetch(http, NOW - timedelta(hours=1), NOW, {}))
    http.close()
    assert httpx.get(f"{served.url}/oauth.reddit.com/r/wallstreetbets/new").status_code == 401


def test_noticed_companies_are_mentioned_more(served: Served):
    heat, world = served.world.heat("forum"), served.world
    place = {asset.symbol: number for number, asset in enumerate(world.stocks())}
    counted: dict[bool, list[int]] = {True: [], False: []}
    mentions = Counter(
        (row["symbol"], row["event_at"].date()) for row in fetched(served, "reddit_praw", 24 * 5) if row["kind"] == "comment"
    )
    for (symbol, day), count in mentions.items():
        counted[heat[world.index(day), place[symbol]] == 1.0].append(count)
    assert sum(counted[True]) / len(counted[True]) > 3 * sum(counted[False]) / len(counted[False])


def test_a_snapshot_of_the_ranking_has_all_pages_and_one_key_an_hour(served: Served):
    rows = fetched(served, "apewisdom", 24)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["symbol"] for row in rows}) == len(rows) > 50
    assert {row["item_id"] for row in rows} == {"2024-03-14T15Z"}
    assert all(row["window_hours"] == 24 and row["mentions"] > 0 and row["upvotes"] > 0 for row in rows)
    served.put_clock(NOW + timedelta(minutes=40))
    assert [(r["symbol"], r["item_id"]) for r in fetched(served, "apewisdom", 24)] == [(r["symbol"], r["item_id"]) for r in rows]
    served.put_clock(NOW + timedelta(minutes=90))
    assert {row["item_id"] for row in fetched(served, "apewisdom", 24)} == {"2024-03-14T16Z"}


def test_the_ranking_says_what_it_was_a_day_ago(served: Served):
    now = {row["symbol"]: row["mentions_before"] for row in fetched(served, "apewisdom", 24)}
    served.put_clock(NOW - timedelta(hours=24))
    then = {row["symbol"]: row["mentions"] for row in fetched(served, "apewisdom", 24)}
    assert {symbol: count for symbol, count in now.items() if count} == {symbol: then[symbol] for symbol, count in now.items() if count}
