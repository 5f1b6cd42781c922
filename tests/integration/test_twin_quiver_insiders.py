"""Quiver's insider transactions: the real source against the double, over real HTTP."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from scrapers import SOURCES
from scrapers.errors import SourceRefused
from scrapers.http import Exchange, Http, HttpOptions
from scrapers.twin.world import World
from tests.sources.served import Served, running, weekdays


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = World(seed=29, sessions=weekdays(date(2023, 1, 3), 260), n_symbols=60)
    with running(world, datetime.fromisoformat(f"{world.sessions[-1]}T22:30:00+00:00")) as made:
        yield made


@pytest.fixture
def at(served: Served) -> Iterator[Callable[[datetime], None]]:
    end = served.now
    yield served.put_clock
    served.put_clock(end)


def fetched(served: Served, since: datetime, exchanges: list[Exchange] | None = None, **options: Any) -> list[dict[str, Any]]:
    http = served.http(on_exchange=None if exchanges is None else exchanges.append)
    symbols = [asset.symbol for asset in served.world.stocks()]
    try:
        batches = list(SOURCES["quiver_insiders"].fetch(http, since, served.now, {"symbols": symbols} | options))
    finally:
        http.close()
    assert not any(batch.rejects for batch in batches)
    return [row for batch in batches for row in batch.rows.to_pylist()]


def test_untidy_tickers_arrive_clean_and_every_page_is_read(served: Served):
    exchanges = list[Exchange]()
    rows = fetched(served, served.now - timedelta(days=300), exchanges, backfill=True, symbols=[])
    assert max(int(exchange.asked["page"]) for exchange in exchanges) > 1
    assert {row["symbol"] for row in rows} == {asset.symbol for asset in served.world.stocks()}
    assert any(row["symbol_text"] != row["symbol"] for row in rows)
    assert len({row["trade_id"] for row in rows}) == len(rows)


def test_asked_by_ticker_or_all_at_once_the_history_is_the_same(served: Served):
    since = served.now - timedelta(days=120)
    by_ticker, at_once = (fetched(served, since, backfill=True, **options) for options in ({}, {"symbols": []}))
    assert {row["trade_id"] for row in by_ticker} == {row["trade_id"] for row in at_once}
    assert all(since <= row["known_at"] <= served.now for row in by_ticker)


def test_live_rows_after_a_backfill_are_the_same_rows(served: Served):
    since = served.now - timedelta(days=14)
    past = {row["trade_id"]: row for row in fetched(served, since, backfill=True)}
    live = {row["trade_id"]: row for row in fetched(served, since)}
    assert past
    for trade_id, row in past.items():
        assert live[trade_id] == row | {"known_at": None}


def test_nothing_of_the_future_is_shown(served: Served, at: Callable):
    at(served.now - timedelta(days=90))
    rows = fetched(served, served.now - timedelta(days=60), backfill=True)
    assert rows
    assert max(row["known_at"] for row in rows) <= served.now


def test_a_plan_without_insiders_is_refused(served: Served):
    host = "api.quiverquant.com"
    http = Http(
        HttpOptions(attempts=1), now=lambda: served.now, sleep=lambda _: None, contact="", hosts={host},
        credentials={host: {"Authorization": "Bearer hobbyist"}}, routes={f"https://{host}": f"{served.url}/{host}"},
    )  # fmt: skip
    with pytest.raises(SourceRefused):
        list(SOURCES["quiver_insiders"].fetch(http, served.now - timedelta(days=1), served.now, {}))
    http.close()
