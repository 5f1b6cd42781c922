"""What sources are given, out of a store that holds it, and never more than is known."""

from datetime import UTC, date, datetime, timedelta

import pytest

from daemon import feeds
from scrapers.base import Rate, Source
from tests.integration.small_world import END, FUNDS, STOCKS

RATE = Rate(group="g", requests=1, per_s=1.0)


def test_prices_are_collected_of_members_funds_the_benchmark_and_what_is_held_or_disclosed(small_world):
    rt = small_world.rt
    found = feeds.universe(rt)
    assert {*STOCKS, *FUNDS, "SPY"} <= set(found)
    assert found == sorted(set(found))
    rt.tradable = frozenset({"AAA", "SPY"})
    try:
        assert feeds.universe(rt) == ["AAA", "SPY"], "only what the broker lists"
    finally:
        rt.tradable = None


def test_memberships_that_are_open_are_given_with_their_start(small_world):
    assert feeds.memberships(small_world.rt) == {"sp500": dict.fromkeys(STOCKS, date(2015, 1, 1))}
    assert feeds.members(small_world.rt) == dict.fromkeys(STOCKS, date(2015, 1, 1))


def test_companies_are_named_by_symbol(small_world):
    assert feeds.companies(small_world.rt) == {s: f"{s} Corp" for s in STOCKS}


def test_what_nobody_has_collected_yet_is_empty(small_world):
    assert (feeds.articles(small_world.rt), feeds.apps(small_world.rt)) == ({}, {})


def test_rows_of_a_dataset_are_those_known_then(small_world):
    rt = small_world.rt
    rows = feeds.provide(rt, "rows:congress_trades")
    asof = datetime(2022, 2, 1, tzinfo=UTC)
    early, late = rows(asof - timedelta(days=30), asof), rows(asof - timedelta(days=30), datetime.combine(END, datetime.min.time(), UTC))
    assert 0 < len(early) < len(late)
    assert (early["known_at"] <= asof).all() and (early["known_at"] >= asof - timedelta(days=30)).all()


def test_a_source_gets_what_it_wants_and_no_more(small_world):
    wanting = Source(
        name="s", fetch=lambda *_: iter(()), rate=RATE, urls=("https://x.example.org",), wants=("close_at", "members", "rows:vix")
    )
    given = feeds.options(small_world.rt, wanting)
    assert sorted(given) == ["close_at", "members", "rows:vix"]
    assert given["close_at"](date(2022, 1, 3)) == datetime(2022, 1, 3, 21, tzinfo=UTC)
    with pytest.raises(KeyError):
        feeds.provide(small_world.rt, "oracle")
