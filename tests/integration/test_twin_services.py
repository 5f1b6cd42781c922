"""The real scrapers against the local doubles of their services, over real HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pyarrow as pa
import pytest
import uvicorn

from scrapers import DATASETS, source_hosts, times
from scrapers.errors import SourceRefused
from scrapers.http import Http, HttpOptions
from scrapers.twin.app import create_app
from scrapers.twin.world import World

QUIVER, ALPACA = "https://api.quiverquant.com", "https://data.alpaca.markets"
CBOE, DATAHUB = "https://cdn.cboe.com", "https://datahub.io"
KEYS = {
    "api.quiverquant.com": {"Authorization": "Bearer k"},
    "data.alpaca.markets": {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"},
}


def weekdays(count: int) -> list[date]:
    days, day = [], date(2024, 1, 2)
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=11, sessions=weekdays(300), n_symbols=60)


@pytest.fixture(scope="module")
def base_url(world: World) -> Iterator[str]:
    app = create_app(world, now=lambda: times.day_after(world.sessions[-1]))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def client(base_url: str, credentials: dict[str, dict[str, str]]) -> Http:
    return Http(
        HttpOptions(),
        now=lambda: datetime(2026, 1, 5, tzinfo=UTC),
        sleep=lambda _: None,
        contact="",
        hosts=source_hosts(),
        credentials=credentials,
        routes={f"https://{host}": f"{base_url}/{host}" for host in source_hosts()},
    )


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[Http]:
    made = client(base_url, KEYS)
    yield made
    made.close()


@pytest.fixture
def at(base_url: str) -> Callable[[datetime], datetime]:
    def put(instant: datetime) -> datetime:
        httpx.put(f"{base_url}/twin/clock", json={"now": instant.isoformat()}).raise_for_status()
        return instant

    return put


def rows_of(dataset: str, http: Http, since: datetime, until: datetime, **options: object) -> list[dict]:
    fetch = DATASETS[dataset].fetch
    assert fetch is not None
    batches = list(fetch(http, since, until, options))
    assert not any(batch.rejects for batch in batches)
    return pa.concat_tables([batch.rows for batch in batches]).to_pylist() if batches else []


def test_all_bars_of_the_world_arrive_as_they_were_traded(world: World, http: Http, at: Callable):
    until = at(times.day_after(world.sessions[-1]))
    symbols = [asset.symbol for asset in world.assets()]
    rows = rows_of("bars_daily", http, times.new_york(world.sessions[0]), until, symbols=symbols, backfill=True)
    assert len(rows) == len(symbols) * len(world.sessions)
    for row in rows[:: len(rows) // 50]:
        bar = world.bar(row["symbol"], row["session"])
        assert (row["open"], row["high"], row["low"], row["close"], row["volume"]) == (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert row["known_at"] == times.new_york(row["session"], times.AFTER_CLOSE)


def test_no_bar_is_served_before_its_session_has_closed(world: World, http: Http, at: Callable):
    session = world.sessions[100]
    before, after = times.new_york(session, times.REGULAR_CLOSE) - timedelta(seconds=1), times.new_york(session, times.AFTER_CLOSE)
    for instant, newest in ((before, world.sessions[99]), (after, session)):
        rows = rows_of("bars_daily", http, times.new_york(world.sessions[95]), at(instant), symbols=["SPY"])
        assert max(row["session"] for row in rows) == newest


def test_splits_and_dividends_arrive_and_explain_the_jumps_of_raw_prices(world: World, http: Http, at: Callable):
    until = at(times.day_after(world.sessions[-1]))
    symbols = [asset.symbol for asset in world.assets()]
    rows = rows_of("corporate_actions", http, times.new_york(world.sessions[0]), until, symbols=symbols, backfill=True)
    dividends: dict[tuple[str, date], float] = {}
    for row in (row for row in rows if row["kind"] == "cash_dividend"):
        dividends[row["symbol"], row["ex_date"]] = dividends.get((row["symbol"], row["ex_date"]), 0.0) + row["amount_usd"]
    expected = {(s, day): world.dividend(s, day) for s in symbols for day in world.sessions if world.dividend(s, day) > 0}
    assert dividends == pytest.approx(expected)
    splits = [(r["symbol"], r["ex_date"], r["ratio"]) for r in rows if r["kind"] == "split"]
    assert splits
    for symbol, day, ratio in splits:
        before = world.bar(symbol, world.sessions[world.sessions.index(day) - 1]).close
        assert world.bar(symbol, day).open * ratio == pytest.approx(before, rel=0.25)
    assert all(row["known_at"] == times.new_york(row["ex_date"]) for row in rows)


def test_vix_is_served_up_to_the_day_before(world: World, http: Http, at: Callable):
    now = at(times.new_york(world.sessions[50]) + timedelta(hours=12))
    rows = rows_of("vix", http, times.new_york(world.sessions[0]), now, backfill=True)
    assert [row["session"] for row in rows] == list(world.sessions[:50])
    assert rows[10]["close"] == world.vix(world.sessions[10]).close


def test_constituents_and_membership_follow_joins_and_leaves(world: World, http: Http, at: Callable):
    left = next(spell for spell in world.membership() if spell.end_date is not None)
    joined = next(spell for spell in world.membership() if spell.start_date > world.sessions[0])
    start = times.new_york(world.sessions[0])
    early = rows_of("index_membership", http, start, at(times.new_york(joined.start_date - timedelta(days=1))))
    members = {row["symbol"]: row["start_date"] for row in early}
    assert left.symbol in members
    assert joined.symbol not in members
    late = at(times.day_after(world.sessions[-1]))
    rows = rows_of("index_membership", http, start, late, memberships={"sp500": members})
    assert {row["symbol"] for row in rows if row["end_date"]} == {s.symbol for s in world.membership() if s.end_date}
    assert joined.symbol in {row["symbol"] for row in rows}
    sectors = {row["symbol"]: row["sector"] for row in rows_of("constituents", http, start, late)}
    assert len(set(sectors.values())) == 11
    assert left.symbol not in sectors


def test_every_answer_says_that_it_is_synthetic(base_url: str):
    for path in (
        "/twin/health",
        "/twin/clock",
        "/api.quiverquant.com/beta/live/congresstrading",
        "/data.alpaca.markets/v2/stocks/bars",
        "/nowhere",
    ):
        assert httpx.get(f"{base_url}{path}").headers["X-Synthetic"] == "allocd-twin"


def test_the_health_page_names_the_process(base_url: str):
    first, second = httpx.get(f"{base_url}/twin/health").json(), httpx.get(f"{base_url}/twin/health").json()
    assert first == second
    assert first["pid"] > 0


def test_the_clock_can_be_set_and_read_and_refuses_a_naive_time(base_url: str, at: Callable):
    at(datetime(2024, 3, 1, 15, 0, tzinfo=UTC))
    assert datetime.fromisoformat(httpx.get(f"{base_url}/twin/clock").json()["now"]) == datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
    assert httpx.put(f"{base_url}/twin/clock", json={"now": "2024-03-01T15:00:00"}).status_code == 400
    assert httpx.put(f"{base_url}/twin/clock", json={}).status_code == 400


@pytest.mark.parametrize("dataset", ["bars_daily", "corporate_actions", "congress_trades"])
def test_a_service_that_wants_a_key_refuses_without_one(base_url: str, dataset: str):
    keyless = client(base_url, {})
    fetch = DATASETS[dataset].fetch
    assert fetch is not None
    with pytest.raises(SourceRefused):
        list(fetch(keyless, datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 2, 2, tzinfo=UTC), {"symbols": ["SPY"]}))
    keyless.close()


@pytest.mark.parametrize(
    "query",
    [
        "symbols=SPY",
        "timeframe=1Min&symbols=SPY",
        "timeframe=1Day",
        "timeframe=1Day&symbols=SPY&adjustment=all",
        "timeframe=1Day&symbols=SPY&limit=10001",
        "timeframe=1Day&symbols=SPY&start=soon",
        "timeframe=1Day&symbols=SPY&page_token=x",
    ],
)
def test_a_query_that_the_double_does_not_play_is_refused(base_url: str, query: str):
    answer = httpx.get(f"{base_url}/data.alpaca.markets/v2/stocks/bars?{query}", headers=KEYS["data.alpaca.markets"])
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_bars_are_limited_over_all_symbols_and_sorted_by_symbol_and_time(base_url: str, at: Callable, world: World):
    at(times.day_after(world.sessions[-1]))
    url, seen, token = f"{base_url}/data.alpaca.markets/v2/stocks/bars", [], ""
    while True:
        params = {"symbols": "SPY,GLD,NONE", "timeframe": "1Day", "limit": "250", **({"page_token": token} if token else {})}
        document = httpx.get(url, params=params, headers=KEYS["data.alpaca.markets"]).json()
        page = [(symbol, bar["t"]) for symbol, bars in document["bars"].items() for bar in bars]
        assert len(page) <= 250
        seen += page
        token = document["next_page_token"]
        if token is None:
            break
    assert seen == sorted(seen)
    assert len(seen) == 2 * len(world.sessions)
