"""Prices, actions, listings, news and ratings from the local doubles of Alpaca, Yahoo and Quiver's page, over real HTTP."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from scrapers import DATASETS, SOURCES, times
from scrapers.base import Batch
from scrapers.errors import SourceRefused, SourceUnavailable
from scrapers.http import Http, HttpOptions
from scrapers.twin.ratings import ratings_of
from scrapers.yahoo_session import Session
from tests.sources.served import Served, dataset_of, running, small_world

SYMBOLS = 14
HISTORIES = ("alpaca_bars", "yahoo_bars", "alpaca_actions", "yahoo_actions", "alpaca_name_changes", "alpaca_news", "yahoo_ratings")
SNAPSHOTS = ("alpaca_assets", "quiver_analysts_page")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = small_world()
    with running(world, evening(world.sessions[-1])) as made:
        yield made


@pytest.fixture(autouse=True)
def at_the_end(served: Served) -> None:
    served.put_clock(evening(served.world.sessions[-1]))


def evening(day: Any) -> datetime:
    return datetime.fromisoformat(f"{day}T22:30:00+00:00")


def fetched(served: Served, source: str, *, days: int, backfill: bool, **options: Any) -> list[Batch]:
    stocks = [asset.symbol for asset in served.world.stocks()[:SYMBOLS]]
    told = {"symbols": [*stocks, "SPY"], "close_at": lambda day: times.new_york(day, times.REGULAR_CLOSE), "backfill": backfill, **options}
    http = served.http()
    try:
        return list(SOURCES[source].fetch(http, served.now - timedelta(days=days), served.now, told))
    finally:
        http.close()


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.rows.to_pylist()]


def keys(source: str, found: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in dataset_of(SOURCES[source]).key) for row in found}


@pytest.mark.parametrize("source", HISTORIES)
def test_live_rows_after_a_backfill_bear_its_keys(served: Served, source: str):
    past = rows(fetched(served, source, days=90, backfill=True))
    live = rows(fetched(served, source, days=15, backfill=False))
    assert live
    assert len(keys(source, past)) == len(past)
    begin = served.now - timedelta(days=15)
    assert keys(source, [row for row in live if row["event_at"] >= begin]) <= keys(source, past)
    assert {row["known_at"] for row in live} == {None}


@pytest.mark.parametrize("source", HISTORIES)
def test_history_is_known_by_the_day_it_is_asked_and_does_not_change(served: Served, source: str):
    end = served.now
    served.put_clock(end - timedelta(days=45))
    then = rows(fetched(served, source, days=120, backfill=True))
    assert then
    assert all(row["known_at"] <= served.now for row in then)
    served.put_clock(end)
    now = rows(fetched(served, source, days=165, backfill=True))
    assert keys(source, then) < keys(source, now)


@pytest.mark.parametrize("source", SNAPSHOTS)
def test_a_snapshot_is_known_from_the_fetch_and_is_the_same_when_asked_again(served: Served, source: str):
    first, again = (rows(fetched(served, source, days=10, backfill=backfill)) for backfill in (False, True))
    assert first == again
    assert {row["known_at"] for row in first} == {None}


def test_both_sources_of_bars_agree_on_what_was_traded(served: Served):
    """Yahoo's answer is divided by later splits and in 32-bit numbers; undone, the prices are those of Alpaca."""
    price = {(row["symbol"], row["session"]): row for row in rows(fetched(served, "alpaca_bars", days=500, backfill=True))}
    other = rows(fetched(served, "yahoo_bars", days=500, backfill=True))
    assert len(price) - 40 < len(other) < len(price)
    for row in other:
        same = price[row["symbol"], row["session"]]
        assert [row[name] for name in ("open", "high", "low", "close")] == pytest.approx(
            [same[n] for n in ("open", "high", "low", "close")]
        )
        assert row["volume"] == pytest.approx(same["volume"], abs=10)


def test_both_sources_agree_on_splits_and_dividends(served: Served):
    everything = [asset.symbol for asset in served.world.assets()]
    alpaca, yahoo = (
        rows(fetched(served, source, days=600, backfill=True, symbols=everything)) for source in ("alpaca_actions", "yahoo_actions")
    )
    assert any(row["kind"] == "split" for row in yahoo)
    for kind, field in (("split", "ratio"), ("cash_dividend", "amount_usd")):
        sums: list[dict[tuple[Any, ...], float]] = [{}, {}]
        for total, found in zip(sums, (alpaca, yahoo), strict=True):
            for row in found:
                if row["kind"] == kind:
                    key = (row["symbol"], row["ex_date"])
                    total[key] = total.get(key, 0.0) + row[field]
        assert sums[1] == pytest.approx(sums[0])
    dividends = [(row["symbol"], row["ex_date"]) for row in alpaca if row["kind"] == "cash_dividend"]
    assert len(set(dividends)) < len(dividends), "no special dividend on an ex-date"


def test_the_bar_of_an_open_session_is_left_out(served: Served):
    session = served.world.sessions[-2]
    served.put_clock(times.new_york(session) + timedelta(hours=12))
    found = fetched(served, "yahoo_bars", days=5, backfill=False)
    assert max(row["session"] for row in rows(found)) == served.world.sessions[-3]


def test_one_symbol_that_alpaca_refuses_does_not_cost_the_others_their_bars(served: Served):
    batches = fetched(served, "alpaca_bars", days=10, backfill=False, symbols=["ZAAA", "not-a-symbol", "SPY"])
    assert {row["symbol"] for row in rows(batches)} == {"ZAAA", "SPY"}
    assert [reject.reason for batch in batches for reject in batch.rejects] == ["unknown_symbol"]


def test_symbols_that_yahoo_does_not_know_are_rejects(served: Served):
    for source in ("yahoo_bars", "yahoo_actions", "yahoo_ratings"):
        batches = fetched(served, source, days=30, backfill=True, symbols=["ZAAA", "ZZZZ", "ZAAB"])
        assert [reject.reason for batch in batches for reject in batch.rejects if reject.reason != "missing_price"] == ["unknown_symbol"]


def test_the_renames_of_the_world_arrive_and_one_is_of_a_company_that_is_traded(served: Served):
    found = rows(fetched(served, "alpaca_name_changes", days=600, backfill=True))
    assert any(row["new_symbol"] == served.world.stocks()[5].symbol for row in found)
    assert all(row["effective_date"] in served.world.sessions for row in found)


def test_a_rewritten_article_is_a_version_of_the_first_text(served: Served):
    end = served.now
    late = [row for row in rows(fetched(served, "alpaca_news", days=30, backfill=True)) if row["headline"].endswith("(Updated)")]
    assert late
    row = late[0]
    served.put_clock(row["created_at"] + timedelta(minutes=1))
    early = rows(fetched(served, "alpaca_news", days=2, backfill=False))
    before = next(r for r in early if (r["news_id"], r["symbol"]) == (row["news_id"], row["symbol"]))
    assert row["headline"] == f"{before['headline']} (Updated)"
    assert row["known_at"] == row["updated_at"] > before["updated_at"]
    served.put_clock(end)


def test_news_pages_are_followed_to_the_end(served: Served):
    assert len(keys("alpaca_news", rows(fetched(served, "alpaca_news", days=60, backfill=True)))) > 100


def test_cookie_and_crumb_are_renewed_when_they_have_expired(served: Served):
    http = served.http()
    session = Session(http, "yahoo_ratings")
    symbol = served.world.stocks()[0].symbol
    first = session.module(symbol, "upgradeDowngradeHistory")
    served.put_clock(served.now - timedelta(days=3))
    second = session.module(symbol, "upgradeDowngradeHistory")
    http.close()
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert len(second["history"]) <= len(first["history"])


def test_yahoo_throttles_who_is_no_browser_and_refuses_who_has_no_cookie(served: Served):
    base = f"{served.url}/query2.finance.yahoo.com"
    assert httpx.get(f"{base}/v8/finance/chart/SPY?period1=0&period2=1").status_code == 429
    browser = {"User-Agent": "Mozilla/5.0 (X11)"}
    assert httpx.get(f"{base}/v10/finance/quoteSummary/ZAAA?modules=upgradeDowngradeHistory", headers=browser).status_code == 401
    served.fault(host="query2.finance.yahoo.com", kind="429")
    with pytest.raises(SourceUnavailable):
        fetched(served, "yahoo_bars", days=10, backfill=False)
    served.clear()


def test_the_list_of_assets_needs_a_key(served: Served):
    keyless = Http(
        HttpOptions(attempts=1), now=lambda: served.now, sleep=lambda _: None, contact="", hosts={"paper-api.alpaca.markets"},
        routes={"https://paper-api.alpaca.markets": f"{served.url}/paper-api.alpaca.markets"},
    )  # fmt: skip
    with pytest.raises(SourceRefused):
        list(SOURCES["alpaca_assets"].fetch(keyless, served.now, served.now, {}))
    keyless.close()


@pytest.mark.parametrize(("source", "kind"), [("alpaca_news", "news"), ("yahoo_ratings", "analysts")])
def test_what_is_said_of_a_company_carries_the_planted_signal(served: Served, source: str, kind: str):
    world = served.world
    symbols = [asset.symbol for asset in world.stocks()]
    found = rows(fetched(served, source, days=500, backfill=True, symbols=symbols))
    place, heat = {symbol: n for n, symbol in enumerate(symbols)}, world.heat(kind)
    score = {
        "alpaca_news": lambda row: row.get("sentiment", 0.0),
        "yahoo_ratings": lambda row: {"up": 1.0, "down": -1.0}.get(row["action"], 0.0),
    }
    days = [(score[source](row), heat[world.index(times.new_york_date(row["event_at"])), place[row["symbol"]]]) for row in found]
    hot, cold = ([value for value, warmth in days if bool(warmth > 0.5) is side] for side in (True, False))
    assert np.mean(hot) > np.mean(cold) + 0.1
    assert len(hot) / (heat > 0.5).sum() > 2 * len(cold) / (heat <= 0.5).sum()


def test_the_page_of_ratings_shows_what_the_history_holds(served: Served):
    shown = rows(fetched(served, "quiver_analysts_page", days=1, backfill=False))
    made = ratings_of(served.world).opinions
    assert {(row["symbol"], row["firm"], row["action"]) for row in shown} <= {(o.symbol, o.firm, o.action) for o in made}
    assert max(row["event_at"] for row in shown) <= served.now


@pytest.mark.parametrize("source", [*HISTORIES, *SNAPSHOTS])
def test_sources_and_their_datasets_hold_together(source: str):
    dataset = dataset_of(SOURCES[source])
    assert DATASETS[dataset.name] is dataset
    assert SOURCES[source].history == (source in HISTORIES)
