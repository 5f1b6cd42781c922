"""The doubles of what is published of contracts, lobbying and apps, read by the real scrapers over real HTTP."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from scrapers import SOURCES, times
from scrapers.base import Batch
from scrapers.twin import app_store, contract_awards, insider_lines, lobby_filings
from scrapers.twin.world import World
from tests.sources.served import KEYS, Served, dataset_of, running, small_world

HISTORIES = ["quiver_contracts", "usaspending", "quiver_lobbying", "lda"]
KEY = KEYS["api.quiverquant.com"]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = small_world()
    with running(world, evening(world, -1)) as made:
        yield made


@pytest.fixture(autouse=True)
def present(served: Served) -> Iterator[None]:
    yield
    served.put_clock(evening(served.world, -1))


def evening(world: World, session: int) -> datetime:
    return datetime.fromisoformat(f"{world.sessions[session]}T22:30:00+00:00")


def fetched(served: Served, source: str, days: int, *, backfill: bool, symbols: int = 23) -> list[Batch]:
    http = served.http()
    try:
        options = served.options(symbols=symbols, backfill=backfill)
        return list(SOURCES[source].fetch(http, served.now - timedelta(days=days), served.now, options))
    finally:
        http.close()


def rows_of(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.rows.to_pylist()]


def keys_of(rows: list[dict[str, Any]], source: str) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in dataset_of(SOURCES[source]).key) for row in rows}


@pytest.mark.parametrize("source", HISTORIES)
def test_what_is_read_day_by_day_and_what_is_read_back_later_have_the_same_keys(served: Served, source: str):
    symbols = {asset.symbol for asset in served.world.stocks()[:23]}
    live = [row for row in rows_of(fetched(served, source, 30, backfill=False)) if row["symbol"] in symbols]
    served.put_clock(evening(served.world, -1) + timedelta(days=5))
    past = rows_of(fetched(served, source, 200, backfill=True))
    assert len(live) > 10
    recent = [row for row in live if row["origin"] != "usaspending" or row["event_at"] > served.now - timedelta(days=80)]
    defense = [row for row in recent if row.get("agency") == "Department of Defense" and row["origin"] == "usaspending"]
    assert defense == []
    assert keys_of(recent, source) - keys_of(past, source) == set()


@pytest.mark.parametrize("source", [*HISTORIES, "quiver_contracts_quarterly", "quiver_apps", "itunes"])
def test_a_clock_that_is_set_back_shows_nothing_of_the_future(served: Served, source: str):
    earlier = evening(served.world, 200)
    served.put_clock(earlier)
    rows = rows_of(fetched(served, source, 20, backfill=False))
    assert rows
    assert max(row["event_at"] for row in rows) <= earlier
    if SOURCES[source].history:
        assert all(row["known_at"] <= earlier for row in rows_of(fetched(served, source, 200, backfill=True)))


@pytest.mark.parametrize("source", HISTORIES)
def test_nothing_is_known_before_the_service_showed_it(served: Served, source: str):
    """Every row that a later backfill calls known by an evening was to be had on that evening."""
    then = evening(served.world, 300)
    later = {tuple(r[n] for n in dataset_of(SOURCES[source]).key): r for r in rows_of(fetched(served, source, 260, backfill=True))}
    claimed = {key for key, row in later.items() if row["known_at"] <= then and row["known_at"] > then - timedelta(days=60)}
    served.put_clock(then)
    shown = keys_of(rows_of(fetched(served, source, 200, backfill=True)), source)
    assert claimed
    assert claimed - shown == set()


def test_an_extended_world_keeps_what_was_published():
    short = small_world()
    long = World(seed=short.seed, sessions=[*short.sessions, *more_sessions()], n_symbols=len(short.assets()))
    last = times.day_after(short.sessions[-1])
    assert contract_awards.awards(short) == contract_awards.awards(long)[: len(contract_awards.awards(short))]
    assert lobby_filings.filings(short) == tuple(f for f in lobby_filings.filings(long) if f.posted_at < last)
    assert insider_lines.lines(short) == insider_lines.lines(long)[: len(insider_lines.lines(short))]
    assert np.array_equal(app_store.totals(short)[0], app_store.totals(long)[0][: len(short.sessions)])


def more_sessions() -> list[Any]:
    last = small_world().sessions[-1]
    return [last + timedelta(days=3 + 7 * week + day) for week in range(4) for day in range(5)]


def test_every_large_action_of_the_companies_is_found_by_its_date(served: Served):
    now = served.now
    rows = rows_of(fetched(served, "usaspending", 100, backfill=True))
    symbols = {asset.symbol for asset in served.world.stocks()[:23]}
    expected = {
        (a.number, a.amount_usd)
        for a in contract_awards.awards(served.world)
        if a.symbol in symbols and abs(a.amount_usd) >= 1e6 and now - timedelta(days=60) < a.posted_at < now - timedelta(days=7)
    }
    assert {(row["award_id"], row["amount_usd"]) for row in rows} >= expected
    assert len(expected) > 20


def test_lobbying_is_paged_on_both_sides_and_complete(served: Served):
    live = [row for row in rows_of(fetched(served, "lda", 90, backfill=False)) if row["symbol"]]
    first = times.new_york_date(served.now - timedelta(days=90))
    symbols = {asset.symbol for asset in served.world.stocks()[:23]}
    filed = [f for f in lobby_filings.filings(served.world) if first <= f.posted and f.symbol in symbols and f.form != "RR"]
    newest = {(f.registrant[0], f.client[0], f.year, f.quarter): f.identifier for f in filed}
    assert len(filed) > 25
    assert {row["filing_uuid"] for row in live} == set(newest.values())


def test_a_paged_day_of_the_double_is_cut_shorter_than_asked(served: Served):
    url = f"{served.url}/api.quiverquant.com/beta/live/lobbying"
    pages = [httpx.get(url, params={"all": "true", "page": page, "page_size": 5000}, headers=KEY).json() for page in (1, 2)]
    assert len(pages[0]) == len(pages[1]) == 250
    assert pages[0] != pages[1]


def test_quarters_add_up_the_awards_that_were_announced(served: Served):
    rows = rows_of(fetched(served, "quiver_contracts_quarterly", 10, backfill=False))
    sums: Counter[tuple[str, int, int]] = Counter()
    for award in contract_awards.awards(served.world):
        if award.symbol and award.announced_at <= served.now:
            sums[award.symbol, award.action_date.year, (award.action_date.month + 2) // 3] += award.amount_usd  # type: ignore[assignment]
    assert all(row["amount_usd"] == pytest.approx(sums[row["symbol"], row["year"], row["quarter"]], abs=0.01) for row in rows)


def test_the_app_store_and_quiver_tell_of_the_same_ratings(served: Served):
    quiver = {
        (r["symbol"], r["day"]): (r["rating"], r["rating_count"]) for r in rows_of(fetched(served, "quiver_apps", 10, backfill=False))
    }
    store = [row for row in rows_of(fetched(served, "itunes", 10, backfill=False)) if row["kind"] == "total"]
    assert store
    assert all(quiver[row["symbol"], row["day"]] == (row["rating"], row["rating_count"]) for row in store)


def test_reviews_of_whole_days_stay_as_they_were(served: Served):
    def whole(day_before: Any) -> dict[Any, Any]:
        rows = [row for row in rows_of(fetched(served, "itunes", 14, backfill=False)) if row["kind"] == "reviews"]
        return {(row["symbol"], row["day"]): (row["rating"], row["rating_count"]) for row in rows if row["day"] < day_before}

    today = served.world.sessions[-1]
    later = whole(today)
    served.put_clock(evening(served.world, -1) - timedelta(hours=20))
    before = whole(times.new_york_date(served.now))
    both = before.keys() & later.keys()
    assert both
    assert {key: before[key] for key in both} == {key: later[key] for key in both}


def test_favoured_companies_get_more_of_everything(served: Served):
    """The weak signal: per stock and session, what is hot has more contracts, reports, purchases and reviews."""
    world = served.world
    where = {asset.symbol: index for index, asset in enumerate(world.stocks())}
    told = {
        "contracts": [(a.symbol, a.announced) for a in contract_awards.awards(world) if a.symbol],
        "lobbying": [(f.symbol, f.posted) for f in lobby_filings.filings(world) if f.symbol],
        "insiders": [(line.symbol, times.new_york_date(line.filed_at)) for line in insider_lines.lines(world) if line.code == "P"],
    }
    for kind, events in told.items():
        heat = world.heat(kind)
        hot = sum(heat[world.index(day), where[symbol]] > 0 for symbol, day in events)
        assert hot / len(events) > 1.4 * float((heat > 0).mean()), kind
    gained = np.diff(app_store.totals(world)[1], axis=0)
    relative, heat = gained / gained.mean(axis=0), world.heat("apps")[1:]
    assert relative[heat == 1].mean() > 2 * relative[heat == 0].mean()


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ({}, 422),
        (
            {
                "filters": {"award_type_codes": ["A"], "time_period": [{"start_date": "2024-01-02", "end_date": "2024-01-02"}]},
                "fields": ["Mod"],
                "sort": "Action Date",
            },
            400,
        ),
        ({"filters": {"award_type_codes": ["Z"], "time_period": [{}]}, "fields": ["Mod"], "sort": "Mod"}, 422),
        ({"filters": {"award_type_codes": ["A"], "time_period": [{}]}, "fields": ["Mod"], "sort": "Mod"}, 422),
        ({"filters": {"award_type_codes": ["A"], "time_period": [{}]}, "fields": ["Mod"], "sort": "Mod", "limit": 500}, 422),
    ],
)
def test_a_search_that_usaspending_would_not_answer_is_refused(served: Served, question: dict[str, Any], status: int):
    answer = httpx.post(f"{served.url}/api.usaspending.gov/api/v2/search/spending_by_transaction/", json=question)
    assert answer.status_code == status


def test_lda_pages_beyond_the_first_need_a_filter_and_never_exceed_their_size(served: Served):
    url = f"{served.url}/lda.gov/api/v1/filings/"
    assert httpx.get(url, params={"page": 2}).status_code == 400
    first = httpx.get(url, params={"filing_year": 2023, "page_size": 1000}).json()
    assert len(first["results"]) == 25
    assert first["next"].startswith("https://lda.gov/api/v1/filings/?")
    assert httpx.get(url, params={"filing_year": 2023, "page": 10_000}).status_code == 404


def test_an_unknown_ticker_is_an_html_page_and_an_unknown_app_nothing(served: Served):
    for path in ("historical/govcontractsall/NOPE", "historical/govcontracts/NOPE", "historical/lobbying/NOPE"):
        answer = httpx.get(f"{served.url}/api.quiverquant.com/beta/{path}", headers=KEY)
        assert (answer.status_code, answer.text[:9].lower()) == (404, "<!doctype")
    assert httpx.get(f"{served.url}/itunes.apple.com/lookup", params={"id": "1"}).json() == {"resultCount": 0, "results": []}
    assert (
        "entry" not in httpx.get(f"{served.url}/itunes.apple.com/us/rss/customerreviews/page=1/id=1/sortby=mostrecent/json").json()["feed"]
    )


def test_insider_lines_can_be_asked_by_ticker_day_and_kind(served: Served):
    url = f"{served.url}/api.quiverquant.com/beta/live/insiders"
    line = [line for line in insider_lines.lines(served.world) if line.filed_at <= served.now][-1]
    day = f"{times.new_york_date(line.filed_at):%Y%m%d}"
    found = httpx.get(url, params={"ticker": line.symbol, "uploaded": day, "page_size": 100}, headers=KEY).json()
    assert any(record["Name"] == line.person and record["Shares"] == line.shares for record in found)
    trades = httpx.get(url, params={"limit_codes": "true"}, headers=KEY).json()
    assert {record["TransactionCode"] for record in trades} == {"P", "S"}
    assert httpx.get(url, params={"date": "soon"}, headers=KEY).status_code == 400


def test_every_endpoint_of_quiver_needs_the_key(served: Served):
    for path in ("live/govcontractsall", "live/govcontracts", "live/lobbying", "live/insiders", "live/appratings"):
        assert httpx.get(f"{served.url}/api.quiverquant.com/beta/{path}").status_code == 401
