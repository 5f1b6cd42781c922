"""Articles and page views against the doubles of en.wikipedia.org and wikimedia.org, over real HTTP."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from scrapers import SOURCES, wikipedia
from scrapers.base import Reject
from scrapers.twin.services.wikipedia import article_of
from tests.sources.served import Served, running, small_world

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with running(small_world(), NOON) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.put_clock(NOON)
    return server


def fetched(served: Served, source: str, since: datetime, **options: object) -> tuple[list[dict], list[Reject]]:
    http = served.http()
    try:
        batches = list(SOURCES[source].fetch(http, since, served.now, options))
    finally:
        http.close()
    return [row for batch in batches for row in batch.rows.to_pylist()], [r for batch in batches for r in batch.rejects]


def every_article(served: Served) -> dict[str, str]:
    rows, _ = fetched(served, "wikipedia_lists", NOON)
    return {row["symbol"]: row["article"] for row in rows}


def test_every_company_of_the_lists_has_its_article_or_is_a_reject(served: Served):
    rows, rejects = fetched(served, "wikipedia_lists", NOON)
    listed = {row["symbol"]: row for row in rows}
    members = {asset.symbol for asset, _ in served.world.constituents(NOON.date())}
    for asset in served.world.stocks():
        title = article_of(served.world, asset.symbol)
        assert (asset.symbol in listed) == bool(title)
        if title:
            assert listed[asset.symbol]["article"] == title
            assert (listed[asset.symbol]["index_name"] == "sp500") == (asset.symbol in members)
    assert {reject.reason for reject in rejects} == {"no_article"}
    assert len(rows) + len(rejects) == len(served.world.stocks()) + 2


def test_a_company_leaves_the_list_of_the_large_ones_on_its_day(served: Served):
    spell = next(spell for spell in served.world.membership() if spell.end_date is not None)
    assert spell.end_date is not None
    for days, there in ((0, True), (1, False)):
        served.put_clock(datetime(spell.end_date.year, spell.end_date.month, spell.end_date.day, 20, tzinfo=UTC) + timedelta(days=days))
        rows, _ = fetched(served, "wikipedia_lists", served.now)
        assert (spell.symbol in {row["symbol"] for row in rows if row["index_name"] == "sp500"}) == there


def test_views_have_gaps_for_unread_days_and_end_with_the_day_that_is_published(served: Served):
    articles = every_article(served)
    rows, rejects = fetched(served, "wikimedia_pageviews", NOON - timedelta(days=60), articles=articles)
    assert rejects == []
    days = defaultdict(set)
    for row in rows:
        days[row["symbol"]].add(row["day"])
    whole = {NOON.date() - timedelta(days=back) for back in range(1, 61)}
    assert set(days) == set(articles)
    assert all(found <= whole for found in days.values())
    assert min(len(found) for found in days.values()) < 60 == max(len(found) for found in days.values())
    assert all(row["known_at"] is None and row["views"] > 0 for row in rows)


def test_nothing_is_seen_before_it_is_published_and_later_days_change_nothing(served: Served):
    articles = dict(list(every_article(served).items())[:6])
    since = NOON - timedelta(days=30)
    early = NOON - timedelta(days=10)
    served.put_clock(early)
    before, _ = fetched(served, "wikimedia_pageviews", since, articles=articles, backfill=True)
    assert max(row["known_at"] for row in before) <= early
    served.put_clock(NOON)
    after, _ = fetched(served, "wikimedia_pageviews", since, articles=articles, backfill=True)
    assert [row for row in after if row["known_at"] <= early] == before
    assert len(after) > len(before)


def test_a_live_fetch_gives_the_keys_and_counts_of_the_archive(served: Served):
    articles = dict(list(every_article(served).items())[:6])
    since = NOON - timedelta(days=9)
    archive, _ = fetched(served, "wikimedia_pageviews", since, articles=articles, backfill=True)
    live, _ = fetched(served, "wikimedia_pageviews", since, articles=articles)
    told = {(row["symbol"], row["article"], row["day"]): row["views"] for row in live}
    assert {(row["symbol"], row["article"], row["day"]): row["views"] for row in archive}.items() <= told.items()
    assert {day for _, _, day in told} - {row["day"] for row in archive} <= {NOON.date() - timedelta(days=1)}


def test_an_article_that_is_missing_costs_itself_alone(served: Served):
    articles = {"AA": "Synthetic_Nothing", "ZAAA": article_of(served.world, "ZAAA")}
    rows, rejects = fetched(served, "wikimedia_pageviews", NOON - timedelta(days=9), articles=articles)
    assert {row["symbol"] for row in rows} == {"ZAAA"}
    assert [reject.reason for reject in rejects] == ["unknown_article"]


def test_noticed_companies_are_read_more(served: Served):
    heat, world = served.world.heat("wiki"), served.world
    articles = every_article(served)
    rows, _ = fetched(served, "wikimedia_pageviews", NOON - timedelta(days=300), articles=articles, backfill=True)
    place = {asset.symbol: number for number, asset in enumerate(world.stocks())}
    usual, ratios = defaultdict(list), {True: [], False: []}
    for row in rows:
        usual[row["symbol"]].append(row["views"])
    for row in rows:
        mean = sum(usual[row["symbol"]]) / len(usual[row["symbol"]])
        if row["symbol"] in place and mean > 20:
            ratios[heat[world.index(row["day"]), place[row["symbol"]]] == 1.0].append(row["views"] / mean)
    assert sum(ratios[True]) / len(ratios[True]) > 1.5 * sum(ratios[False]) / len(ratios[False])


def test_who_does_not_identify_himself_is_refused_in_plain_text(served: Served):
    for path in ("en.wikipedia.org/wiki/List_of_S%26P_500_companies", "wikimedia.org/api/rest_v1/metrics/pageviews/per-article/x"):
        answer = httpx.get(f"{served.url}/{path}", headers={"User-Agent": "allocd/1.0"})
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/plain")


def test_an_unknown_route_and_a_bare_slash_in_a_title_are_problems(served: Served):
    base = f"{served.url}/wikimedia.org/api/rest_v1/metrics/pageviews/per-article/en.wikipedia/all-access/user"
    title = next(article_of(served.world, asset.symbol) for asset in served.world.stocks() if "/" in article_of(served.world, asset.symbol))
    for article in (title.replace("&", "%26"), "Synthetic_Nothing"):
        answer = httpx.get(f"{base}/{article}/daily/2024030100/2024031000", headers={"User-Agent": "allocd/1.0 (tests@example.org)"})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Not found."


def test_the_pages_of_all_three_lists_keep_their_headings_apart(served: Served):
    http = served.http()
    for index, url in wikipedia.LISTS.items():
        text = http.get(url, source="wikipedia_lists", rate=SOURCES["wikipedia_lists"].rate).text()
        companies = [item for item in wikipedia.companies(text, url) if not isinstance(item, Reject)]
        assert companies, index
        assert all(company.sector and company.name.startswith("Synthetic") for company in companies)
    http.close()
