"""The real congress sources against the doubles of Quiver, the House Clerk and the Senate's eFD, over real HTTP."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from scrapers import DATASETS, SOURCES, source_hosts, times
from scrapers.errors import SourceChanged, SourceRefused, SourceUnavailable
from scrapers.http import Http, HttpOptions
from scrapers.twin.filings import Filings
from scrapers.twin.pdf import pdf_of
from scrapers.twin.quiver_access import UPGRADE
from scrapers.twin.services.house import doc_id
from tests.sources.served import Served, running, small_world

KEY = DATASETS["congress_trades"].key
NAMES = ["quiver_congress", "house_clerk", "senate_efd"]
EACH = pytest.mark.parametrize("name", NAMES)
NOW = datetime(2024, 5, 1, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with running(small_world(), NOW) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.put_clock(NOW)
    return server


def fetched(served: Served, name: str, days: int, *, backfill: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    http = served.http()
    try:
        batches = list(SOURCES[name].fetch(http, served.now - timedelta(days=days), served.now, {"backfill": backfill}))
    finally:
        http.close()
    return [row for batch in batches for row in batch.rows.to_pylist()], [r.reason for batch in batches for r in batch.rejects]


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def content(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for name, value in row.items() if name != "known_at")


@EACH
def test_what_comes_live_after_a_backfill_is_known_already(served: Served, name: str):
    past, _ = fetched(served, name, 120, backfill=True)
    live, _ = fetched(served, name, 8)
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(past, key=lambda row: row["known_at"]):
        newest[key_of(row)] = row
    known = [row for row in live if key_of(row) in newest]
    since = served.now - timedelta(days=100)
    owed = {key_of(row) for row in live if since < times.day_after(row["disclosure_date"]) <= served.now}
    assert len(owed) > 10
    assert owed <= set(newest)
    changed = [row for row in known if content(row) != content(newest[key_of(row)])]
    assert all(amended_in(row, newest[key_of(row)]) for row in changed)
    assert all(row["known_at"] is None for row in live)


def amended_in(row: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether the House told of a trade again: its reports do not say of which report they speak, so that the later one dates it."""
    told_again = {"disclosure_date", "source_url", "known_at", "gone"}
    return row["origin"] == "house" and all(row[name] == before[name] for name in row if name not in told_again)


@EACH
def test_nothing_is_told_before_its_day(served: Served, name: str):
    served.put_clock(NOW - timedelta(days=90))
    for backfill in (False, True):
        rows, _ = fetched(served, name, 30, backfill=backfill)
        assert rows
        assert max(row["disclosure_date"] for row in rows) <= times.new_york_date(served.now)
        assert not backfill or all(served.now - timedelta(days=30) <= row["known_at"] <= served.now for row in rows)


def test_a_disclosure_appears_at_its_instant_and_not_before(served: Served):
    trade = next(t for t in reversed(served.world.disclosures(NOW - timedelta(days=9), NOW)) if t.disclosed_at < NOW)
    for instant, shown in ((trade.disclosed_at - timedelta(seconds=1), False), (trade.disclosed_at, True)):
        served.put_clock(instant)
        rows, _ = fetched(served, "quiver_congress", 1)
        same = {(row["symbol"], row["member"], row["transaction_date"], row["disclosure_date"]) for row in rows}
        assert ((trade.symbol, trade.member, trade.transaction_date, trade.disclosure_date) in same) is shown
        assert len(rows) <= 1000


@EACH
def test_two_halves_of_a_past_are_the_whole(served: Served, name: str):
    whole, _ = fetched(served, name, 40, backfill=True)
    late, _ = fetched(served, name, 20, backfill=True)
    served.put_clock(NOW - timedelta(days=20))
    early, _ = fetched(served, name, 20, backfill=True)
    assert early
    assert late
    assert {(key_of(row), row["known_at"]) for row in whole} <= {(key_of(row), row["known_at"]) for row in [*early, *late]}


@pytest.mark.parametrize(("name", "chamber"), [("house_clerk", "House"), ("senate_efd", "Senate")])
def test_every_transaction_of_every_report_arrives(served: Served, name: str, chamber: str):
    since = served.now - timedelta(days=60)
    filed = [f for f in Filings(served.world, chamber).published(served.now) if since.date() <= f.day < served.now.date()]
    rows, rejects = fetched(served, name, 60, backfill=True)
    lines = [line for filing in filed if not filing.paper and not filing.amendment for line in filing.lines]
    of = {(r["disclosure_date"], r["member"], r["asset_description"].split(" - ")[0], r["transaction_date"]) for r in rows}
    told = {(line.trade.disclosure_date, line.trade.member, line.trade.company, line.trade.transaction_date) for line in lines}
    assert len(told) > 50
    assert told <= of
    assert len(rejects) == sum(filing.paper for filing in filed)
    assert set(rejects) <= {"scanned_paper", "paper_filing"}


@pytest.mark.parametrize("name", ["house_clerk", "senate_efd"])
def test_what_a_later_report_takes_back_is_withdrawn_from_its_day_on(served: Served, name: str):
    rows, _ = fetched(served, name, 120, backfill=True)
    gone = [row for row in rows if row["gone"]]
    assert gone
    for row in gone:
        before = [r["known_at"] for r in rows if key_of(r) == key_of(row) and not r["gone"] and r["known_at"] < row["known_at"]]
        filed_before_the_window = times.day_after(row["disclosure_date"]) < served.now - timedelta(days=119)
        first_told_by_its_withdrawal = times.day_after(row["disclosure_date"]) == row["known_at"]
        assert before or filed_before_the_window or first_told_by_its_withdrawal
    assert any(r["known_at"] < row["known_at"] for row in gone for r in rows if key_of(r) == key_of(row))


def test_amended_records_of_quiver_are_versions_and_dirt_is_refused(served: Served):
    rows, rejects = fetched(served, "quiver_congress", 400, backfill=True)
    amended = [row for row in rows if row["asset_description"] == "Synthetic amendment"]
    assert amended
    earlier = [[r for r in rows if key_of(r) == key_of(row) and r["known_at"] < row["known_at"]] for row in amended]
    assert any(earlier)
    assert any(row["occurrence"] for row in rows)
    assert set(rejects) == {"two_tickers", "impossible_date"}
    assert all(row["symbol"] for row in rows)


def answered(served: Served, path: str, key: str = "Bearer k", **params: object) -> httpx.Response:
    return httpx.get(f"{served.url}/{path}", params=params, headers={"Authorization": key} if key else {})  # type: ignore[arg-type]


BULK = "api.quiverquant.com/beta/bulk/congresstrading"


def test_pages_of_both_editions_hold_the_same_trades(served: Served):
    one, two = (answered(served, BULK, page=2, page_size=50, version=version).json() for version in ("V1", "V2"))
    assert [(r["BioGuideID"], r["TransactionDate"], r["Ticker"]) for r in one] == [(r["BioGuideID"], r["Traded"], r["Ticker"]) for r in two]
    assert len(one) == 50
    assert answered(served, BULK, page=9999).json() == []


def test_trades_of_a_ticker_a_chamber_and_a_member_can_be_asked_for(served: Served):
    symbol = served.world.stocks()[0].symbol
    assert {r["Ticker"] for r in answered(served, f"api.quiverquant.com/beta/historical/housetrading/{symbol}").json()} >= {symbol}
    senate = answered(served, "api.quiverquant.com/beta/live/senatetrading", options="true").json()
    assert all({"Senator", "Date", "Type"} <= set(record) for record in senate)
    members = answered(served, "api.quiverquant.com/beta/live/congress/politicians").json()
    assert len({member["BioGuideID"] for member in members}) == len(members) > 30
    chosen = members[3]["BioGuideID"]
    assert {r["BioGuideID"] for r in answered(served, BULK, bioguide_id=chosen).json()} == {chosen}


@pytest.mark.parametrize(
    ("key", "status", "detail"),
    [
        ("", 401, "Authentication credentials were not provided."),
        ("Basic k", 401, "Authentication credentials were not provided."),
        ("Token invalid", 401, "Invalid token."),
        ("Bearer no-plan", 403, UPGRADE),
        ("Bearer throttled", 429, "Request was throttled. Expected available in 30 seconds."),
    ],
)
def test_accounts_of_every_state_are_answered_as_documented(served: Served, key: str, status: int, detail: str):
    answer = answered(served, BULK, key)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert answer.headers.get("Retry-After") == ("30" if status == 429 else None)
    assert answer.headers["X-Synthetic"] == "allocd-twin"


def test_an_older_deployment_says_without_a_status_that_the_plan_is_missing(served: Served):
    answer = answered(served, BULK, "Token no-plan-string")
    assert (answer.status_code, answer.json()) == (200, UPGRADE)


@pytest.mark.parametrize("path", ["api.quiverquant.com/beta/live/wallstreetbets", "api.quiverquant.com/", "www.quiverquant.com/none"])
def test_an_unknown_path_is_a_page(served: Served, path: str):
    answer = answered(served, path)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (404, "text/html")


@pytest.mark.parametrize(
    ("key", "error"), [("Bearer no-plan", SourceRefused), ("Bearer no-plan-string", SourceRefused), ("Bearer throttled", SourceUnavailable)]
)
def test_an_account_without_the_plan_or_allowance_raises(served: Served, key: str, error: type[Exception]):
    http = Http(
        HttpOptions(attempts=1), now=lambda: NOW, sleep=lambda _: None, contact="", hosts=source_hosts(),
        credentials={"api.quiverquant.com": {"Authorization": key}},
        routes={"https://api.quiverquant.com": f"{served.url}/api.quiverquant.com"},
    )  # fmt: skip
    with pytest.raises(error):
        list(SOURCES["quiver_congress"].fetch(http, NOW, NOW, {}))
    http.close()


def test_the_index_of_the_house_is_not_sent_again_when_nothing_came(served: Served):
    url = f"{served.url}/disclosures-clerk.house.gov/public_disc/financial-pdfs/2024FD.zip"
    first = httpx.get(url)
    again = httpx.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    served.put_clock(NOW + timedelta(days=2))
    assert httpx.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_report_of_the_house_is_not_there_before_it_is_filed(served: Served):
    filing = next(f for f in Filings(served.world, "House").published(NOW + timedelta(days=30)) if f.filed_at > NOW and not f.paper)
    url = f"{served.url}/disclosures-clerk.house.gov/public_disc/ptr-pdfs/{filing.day.year}/{doc_id(filing)}.pdf"
    assert httpx.get(url).status_code == 404
    served.put_clock(filing.filed_at)
    assert httpx.get(url).content.startswith(b"%PDF")


def test_the_senate_wants_its_terms_agreed_to_with_token_cookie_and_referer(served: Served):
    base = f"{served.url}/efdsearch.senate.gov/search"
    form = {"prohibition_agreement": "1", "csrfmiddlewaretoken": "x" * 64}
    assert httpx.post(f"{base}/home/", data=form).status_code == 403
    turned_away = httpx.get(f"{base}/view/ptr/00000000-0000-0000-0000-000000000000/")
    assert (turned_away.status_code, turned_away.headers["Location"]) == (302, "/search/home/")


def test_the_list_of_the_senate_is_read_page_by_page(served: Served):
    since = served.now - timedelta(days=250)
    filed = [f for f in Filings(served.world, "Senate").published(served.now) if f.day >= times.new_york_date(since)]
    assert len(filed) > 100
    rows, rejects = fetched(served, "senate_efd", 250)
    expected = {f.of for f in filed if not f.paper}
    assert {row["disclosure_date"] for row in rows} == expected
    assert len(rejects) == sum(f.paper for f in filed)


def test_the_page_of_scores_changes_with_the_days(served: Served):
    now, _ = fetched(served, "quiver_insider_page", 1)
    served.put_clock(NOW - timedelta(days=120))
    then, _ = fetched(served, "quiver_insider_page", 1)
    assert [row["rank"] for row in now] == list(range(1, len(now) + 1))
    assert {row["score_date"] for row in then} == {times.new_york_date(served.now)}
    assert {row["symbol"]: row["score"] for row in now} != {row["symbol"]: row["score"] for row in then}


def test_a_page_of_the_future_is_not_read_for_the_past(served: Served):
    served.put_clock(datetime(2022, 12, 1, tzinfo=UTC))
    with pytest.raises(SourceChanged):
        fetched(served, "quiver_insider_page", 1)


def test_the_same_lines_give_the_same_pdf():
    assert pdf_of([["a (b)", "c"], ["\0"]]) == pdf_of([["a (b)", "c"], ["\0"]])


def test_a_request_is_answered_in_an_instant(served: Served):
    filing = next(f for f in reversed(Filings(served.world, "House").published(served.now)) if not f.paper)
    paths = [
        "disclosures-clerk.house.gov/public_disc/financial-pdfs/2024FD.zip",
        f"disclosures-clerk.house.gov/public_disc/ptr-pdfs/{filing.day.year}/{doc_id(filing)}.pdf",
        "www.quiverquant.com/scores/dcinsider",
        "api.quiverquant.com/beta/bulk/congresstrading?page_size=100",
    ]
    for path in paths:
        httpx.get(f"{served.url}/{path}", headers={"Authorization": "Bearer k"})
        durations = []
        for _ in range(5):
            begin = time.perf_counter()
            assert httpx.get(f"{served.url}/{path}", headers={"Authorization": "Bearer k"}).status_code == 200
            durations.append(time.perf_counter() - begin)
        assert min(durations) < 0.25, path
