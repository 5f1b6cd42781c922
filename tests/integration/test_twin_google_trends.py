"""Searches against the doubles of trends.google.com and of Quiver's page, over real HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from scrapers import SOURCES
from scrapers.base import Reject
from scrapers.errors import SourceRefused, SourceUnavailable
from scrapers.sources import search_trends
from scrapers.twin import quiver_page_trends
from tests.sources.served import Served, running, small_world

NOW = datetime(2024, 3, 14, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with running(small_world(), NOW) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.put_clock(NOW)
    return server


def fetched(served: Served, symbols: list[str], **options: object) -> list[dict]:
    http = served.http()
    try:
        batches = list(SOURCES["google_trends"].fetch(http, NOW - timedelta(days=3), served.now, {"symbols": symbols, **options}))
    finally:
        http.close()
    assert not [reject for batch in batches for reject in batch.rejects]
    return [row for batch in batches for row in batch.rows.to_pylist()]


def test_ninety_days_before_today_arrive_on_a_scale_of_their_own(served: Served):
    rows = fetched(served, ["ZAAA", "ZAAB"])
    assert {row["symbol"] for row in rows} == {"ZAAA", "ZAAB"}
    for symbol in ("ZAAA", "ZAAB"):
        mine = [row for row in rows if row["symbol"] == symbol]
        assert [row["day"] for row in mine] == [NOW.date() - timedelta(days=back) for back in range(91, 0, -1)]
        assert max(row["value"] for row in mine) == 100.0
        assert len({row["batch"] for row in mine}) == 1
        assert not any(row["partial"] for row in mine)
    assert len({row["batch"] for row in rows}) == 2


def test_asking_again_on_the_same_day_makes_the_same_rows_and_a_later_day_another_scale(served: Served):
    first = fetched(served, ["ZAAA"])
    served.put_clock(NOW + timedelta(hours=9))
    assert fetched(served, ["ZAAA"]) == first
    served.put_clock(NOW + timedelta(days=1))
    assert not {row["batch"] for row in fetched(served, ["ZAAA"])} & {row["batch"] for row in first}


def test_nothing_is_shown_of_the_future(served: Served):
    served.put_clock(NOW - timedelta(days=20))
    http = served.http()
    rows = [row for b in SOURCES["google_trends"].fetch(http, NOW, NOW, {"symbols": ["ZAAA"]}) for row in b.rows.to_pylist()]
    http.close()
    assert max(row["day"] for row in rows) == (NOW - timedelta(days=20)).date()
    assert [row["partial"] for row in rows] == [False] * (len(rows) - 1) + [True]


def test_points_without_data_have_no_row(served: Served):
    obscure = served.world.stocks()[16].symbol
    rows = fetched(served, [obscure])
    assert 20 < len(rows) < 40
    assert all(row["value"] > 0 for row in rows)


def test_what_is_asked_without_the_cookie_or_with_another_token_is_refused(served: Served):
    base = f"{served.url}/trends.google.com/trends/api"
    asked = {"req": '{"comparisonItem":[{"keyword":"x","time":"2024-01-01 2024-02-01"}]}'}
    assert httpx.get(f"{base}/explore", params=asked).status_code == 429
    answer = httpx.get(f"{base}/widgetdata/multiline", params={"req": "{}", "token": "x"}, headers={"Cookie": "NID=x"})
    assert answer.status_code == 401


@pytest.mark.parametrize(("kind", "error"), [("429", SourceUnavailable), ("500", SourceUnavailable)])
def test_an_offended_service_is_unavailable_and_nothing_worse(served: Served, kind: str, error: type[Exception]):
    served.fault(host="trends.google.com", kind=kind)
    with pytest.raises((error, SourceRefused)):
        fetched(served, ["ZAAA"])
    served.clear()


def test_noticed_companies_are_searched_more(served: Served):
    heat, world = served.world.heat("search"), served.world
    place = {asset.symbol: number for number, asset in enumerate(world.stocks())}
    rows = fetched(served, [asset.symbol for asset in world.stocks()[:12]])
    values: dict[bool, list[float]] = {True: [], False: []}
    for symbol in {row["symbol"] for row in rows}:
        mine = [row for row in rows if row["symbol"] == symbol]
        hot = [heat[world.index(row["day"]), place[symbol]] == 1.0 for row in mine]
        if any(hot) and not all(hot):
            for row, warm in zip(mine, hot, strict=True):
                values[warm].append(row["value"])
    assert sum(values[True]) / len(values[True]) > 1.5 * sum(values[False]) / len(values[False])


def test_the_page_of_the_double_is_read_and_bears_the_day_before(served: Served):
    text = quiver_page_trends.page(served.world, NOW)
    items = search_trends.parse_page(text, url=search_trends.QUIVER, today=NOW.date())
    rows = [item.row for item in items if not isinstance(item, Reject)]
    assert [row.symbol for row in rows] == [asset.symbol for asset in served.world.stocks()]
    assert {row.day for row in rows} == {NOW.date() - timedelta(days=1)}
    assert all(0 <= row.value <= 100 for row in rows)
    assert quiver_page_trends.page(served.world, NOW) == text
    assert quiver_page_trends.page(served.world, NOW + timedelta(days=1)) != text
