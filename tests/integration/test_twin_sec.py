"""The SEC's double, and the sources that read it, over real HTTP."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest

from scrapers import DATASETS, SOURCES, times
from scrapers.errors import SourceRefused
from scrapers.http import Exchange, Http, HttpOptions
from scrapers.twin import company_reports, edgar_lists, insider_filings
from scrapers.twin.world import World
from tests.sources.served import CONTACT, Served, running, weekdays

AGENT = {"User-Agent": f"tests ({CONTACT})"}
COUNT = 12
CONCEPTS = {"shares_outstanding", "revenue", "net_income", "equity", "operating_cash_flow", "assets"}


def evening(day: date) -> datetime:
    """22:30 in New York: everything of the day is filed, and its index is there."""
    return times.new_york(day) + timedelta(hours=22, minutes=30)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = World(seed=23, sessions=weekdays(date(2022, 1, 3), 420), n_symbols=60)
    with running(world, evening(world.sessions[-1])) as made:
        yield made


@pytest.fixture
def at(served: Served) -> Iterator[Callable[[datetime], None]]:
    yield served.put_clock
    served.put_clock(evening(served.world.sessions[-1]))


def fetched(served: Served, source: str, since: datetime, exchanges: list[Exchange] | None = None, **options: Any) -> list[dict[str, Any]]:
    http = served.http(on_exchange=None if exchanges is None else exchanges.append)
    symbols = [asset.symbol for asset in served.world.stocks()[:COUNT]]
    try:
        batches = list(SOURCES[source].fetch(http, since, served.now, {"symbols": symbols} | options))
    finally:
        http.close()
    assert not any(batch.rejects for batch in batches)
    return [row for batch in batches for row in batch.rows.to_pylist()]


def expected_lines(served: Served, since: datetime) -> int:
    """Transactions that insiders of the asked companies reported since an instant."""
    ciks = {served.world.cik_of(asset.symbol) for asset in served.world.stocks()[:COUNT]}
    reports = insider_filings.reports(served.world).accepted_by(served.now)
    wanted = [r for r in reports if r.submission.accepted_at >= since and r.issuer.cik in ciks]
    return sum(not deal.holding for report in wanted for deal in report.deals)


def test_the_history_of_insiders_has_every_transaction_at_its_time_of_acceptance(served: Served):
    since = served.now - timedelta(days=250)
    rows = fetched(served, "edgar_form4", since, backfill=True)
    assert len(rows) == expected_lines(served, since)
    assert all(row["known_at"] == row["accepted_at"] for row in rows)
    assert all(since <= row["known_at"] <= served.now for row in rows)
    assert all(row["transaction_date"] <= row["filed"] for row in rows)
    reports = edgar_lists.filings(served.world).form4
    for row in rows:
        report = reports[row["accession"]]
        assert row["accepted_at"] == report.submission.accepted_at
        assert row["shares"] in {deal.shares for deal in report.deals}


def test_without_symbols_the_daily_indices_give_the_whole_market(served: Served):
    since = evening(served.world.sessions[-5])
    rows = fetched(served, "edgar_form4", since, backfill=True, symbols=[])
    reports = [r for r in insider_filings.reports(served.world).accepted_by(served.now) if r.submission.accepted_at >= since]
    assert {row["accession"] for row in rows} == {report.submission.accession for report in reports}


@pytest.mark.parametrize("days", [1, 2, 20])
def test_the_feed_and_the_indices_together_lose_no_report(served: Served, days: int):
    since = served.now - timedelta(days=days)
    live = fetched(served, "edgar_form4", since)
    past = fetched(served, "edgar_form4", since, backfill=True)
    assert {row["trade_id"] for row in past} <= {row["trade_id"] for row in live}
    assert all(row["known_at"] is None for row in live)
    ids = [row["trade_id"] for row in live]
    assert len(ids) == len(set(ids))


def test_live_rows_after_a_backfill_are_the_same_rows(served: Served):
    since = served.now - timedelta(days=30)
    past = {row["trade_id"]: row for row in fetched(served, "edgar_form4", since, backfill=True)}
    live = {row["trade_id"]: row for row in fetched(served, "edgar_form4", since)}
    assert past
    for trade_id, row in past.items():
        assert live[trade_id] | {"known_at": None} == row | {"known_at": None}


def test_an_amended_line_comes_as_a_newer_version_of_the_first(served: Served):
    rows = fetched(served, "edgar_form4", times.new_york(served.world.sessions[0]), backfill=True)
    amended = [row for row in rows if row["amendment"]]
    assert amended
    for row in amended:
        before = [r for r in rows if r["trade_id"] == row["trade_id"] and not r["amendment"]]
        assert len(before) == 1
        assert before[0]["known_at"] < row["known_at"]
        assert row["shares"] in (before[0]["shares"], before[0]["shares"] + 100)


def test_no_report_is_seen_before_it_was_accepted(served: Served, at: Callable):
    report = insider_filings.reports(served.world).reports[-60]
    accepted = report.submission.accepted_at
    for instant, there in ((accepted - timedelta(seconds=1), False), (accepted, True)):
        at(instant)
        since = accepted - timedelta(days=1)
        rows = fetched(served, "edgar_form4", since, symbols=[])
        assert (report.submission.accession in {row["accession"] for row in rows}) is there
        past = fetched(served, "edgar_form4", since, backfill=True, symbols=[asset.symbol for asset in served.world.stocks()])
        assert all(row["accepted_at"] <= instant for row in past)
        text = httpx.get(f"{served.url}/www.sec.gov/Archives/edgar/data/1/{report.submission.accession}.txt", headers=AGENT)
        assert (text.status_code == 200) is there


def test_figures_are_known_at_acceptance_and_nothing_of_the_future_is_there(served: Served, at: Callable):
    instant = evening(served.world.sessions[250])
    at(instant)
    rows = fetched(served, "edgar_companyfacts", times.new_york(served.world.sessions[0]), backfill=True)
    accepted = {s.accession: s.accepted_at for s in company_reports.submissions(served.world)}
    assert {row["concept"] for row in rows} == CONCEPTS
    assert all(row["known_at"] <= instant for row in rows)
    assert all(row["known_at"] >= accepted[row["accession"]] for row in rows)
    exact = [row for row in rows if row["known_at"] == accepted[row["accession"]]]
    assert len(exact) > len(rows) / 2


def test_restatements_are_further_versions_and_repetitions_are_none(served: Served):
    rows = fetched(served, "edgar_companyfacts", times.new_york(served.world.sessions[0]), backfill=True)
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["known_at"]):
        by_key.setdefault(tuple(row[name] for name in DATASETS["fundamentals"].key), []).append(row)
    assert any(len(versions) > 1 for versions in by_key.values())
    for versions in by_key.values():
        assert all(a["value"] != b["value"] for a, b in pairwise(versions))


def test_live_figures_are_those_of_the_companies_that_have_just_filed(served: Served):
    since, exchanges = served.now - timedelta(days=15), list[Exchange]()
    live = fetched(served, "edgar_companyfacts", since, exchanges)
    filers, of_the_days = (
        {s.filers[0].cik for s in company_reports.between(served.world, begin, served.now)} for begin in (since, since - timedelta(days=1))
    )
    asked = {int(e.url[-15:-5]) for e in exchanges if "companyfacts" in e.url}
    ciks = {served.world.cik_of(asset.symbol) for asset in served.world.stocks()[:COUNT]}
    assert live
    assert filers & ciks <= asked <= of_the_days & ciks
    past = fetched(served, "edgar_companyfacts", since, backfill=True)
    newest = {tuple(r[n] for n in DATASETS["fundamentals"].key): r for r in sorted(past, key=lambda row: row["known_at"])}
    for row in live:
        key = tuple(row[name] for name in DATASETS["fundamentals"].key)
        assert key not in newest or newest[key] | {"known_at": None} == row


def test_a_company_without_xbrl_has_no_figures(served: Served):
    funds = fetched(served, "edgar_companyfacts", times.new_york(served.world.sessions[0]), backfill=True, symbols=["SPY", "QQQ"])
    assert funds == []


def test_a_client_without_a_contact_is_refused(served: Served):
    hosts = {"www.sec.gov", "data.sec.gov"}
    http = Http(
        HttpOptions(attempts=1), now=lambda: served.now, sleep=lambda _: None, contact="", hosts=hosts,
        routes={f"https://{host}": f"{served.url}/{host}" for host in hosts},
    )  # fmt: skip
    for source in ("edgar_form4", "edgar_companyfacts"):
        with pytest.raises(SourceRefused):
            list(SOURCES[source].fetch(http, served.now - timedelta(days=1), served.now, {"symbols": ["ZAAA"]}))
    http.close()


def test_the_double_answers_as_documented(served: Served):
    def get(path: str, **params: str | int) -> httpx.Response:
        return httpx.get(f"{served.url}/{path}", params=params, headers=AGENT)

    tickers = get("www.sec.gov/files/company_tickers.json").json()
    assert tickers["0"] == {"cik_str": 9_000_001, "ticker": "ZAAA", "title": served.world.stocks()[0].name.upper()}
    columns = get("www.sec.gov/files/company_tickers_exchange.json").json()
    assert columns["fields"] == ["cik", "name", "ticker", "exchange"]
    listed = get("data.sec.gov/submissions/CIK0009000001.json").json()["filings"]
    assert len({len(column) for column in listed["recent"].values()}) == 1
    assert listed["files"]
    older = get(f"data.sec.gov/submissions/{listed['files'][0]['name']}").json()
    assert len(older["form"]) == listed["files"][0]["filingCount"]
    assert (min(older["filingDate"]), max(older["filingDate"])) == (listed["files"][0]["filingFrom"], listed["files"][0]["filingTo"])
    day = served.world.sessions[-1]
    index = f"www.sec.gov/Archives/edgar/daily-index/{day.year}/QTR{(day.month + 2) // 3}/form."
    assert "edgar/data/" in get(f"{index}{day:%Y%m%d}.idx").text
    absent = get(f"{index}{day + timedelta(days=1):%Y%m%d}.idx")
    assert (absent.status_code, "AccessDenied" in absent.text) == (403, True)
    assert get("data.sec.gov/submissions/CIK0000000001.json").status_code == 404
    assert get("data.sec.gov/api/xbrl/companyfacts/CIK0000000001.json").status_code == 404
    first = get("www.sec.gov/cgi-bin/browse-edgar", action="getcurrent", type="4", output="atom", count=100)
    assert "424B2" in first.text
    assert "<entry>" not in get("www.sec.gov/cgi-bin/browse-edgar", action="getcurrent", type="4", output="atom", start=5000).text


def test_the_number_of_a_company_is_the_same_in_every_list(served: Served):
    text = httpx.get(f"{served.url}/datahub.io/core/s-and-p-500-companies/_r/-/data/constituents.csv").text
    for line in text.splitlines()[1:]:
        symbol, cik = line.split(",")[0], int(line.rsplit(",", 2)[1])
        assert cik == served.world.cik_of(symbol)


def test_a_longer_world_has_the_same_past():
    days = weekdays(date(2022, 1, 3), 120)
    short, long = World(seed=5, sessions=days[:90], n_symbols=60), World(seed=5, sessions=days, n_symbols=60)
    end = evening(days[89])
    assert insider_filings.reports(short).accepted_by(end) == insider_filings.reports(long).accepted_by(end)
    for place in range(5):
        assert company_reports.accepted_by(short, place, end) == company_reports.accepted_by(long, place, end)
        assert edgar_lists.company_facts(short, end, 9_000_001 + place) == edgar_lists.company_facts(long, end, 9_000_001 + place)
    assert edgar_lists.submissions(short, end, 9_000_001) == edgar_lists.submissions(long, end, 9_000_001)


def test_insiders_buy_what_is_noticed_and_noticed_companies_grow(served: Served):
    world, heat, grown = served.world, served.world.heat("insiders"), served.world.heat("fundamentals")
    place_of = {world.cik_of(asset.symbol): place for place, asset in enumerate(world.stocks())}
    bought = [
        float(heat[world.index(report.submission.filed), place_of[report.issuer.cik]])
        for report in insider_filings.reports(world).reports
        if report.issuer.cik in place_of and report.deals[0].code == "P"
    ]
    assert np.mean(bought) > float(heat.mean()) + 0.2
    hot, cold = [], []
    for place, asset in enumerate(world.stocks()):
        quarters = [r for r in company_reports.reports(world)[place] if r.period != "FY" and r.submission.filed >= world.sessions[0]]
        for before, after in pairwise(quarters):
            income = [next(f.value for f in r.facts if f.tag == "NetIncomeLoss") for r in (before, after)]
            noticed = grown[world.index(after.submission.filed), place] > 0.5
            (hot if noticed else cold).append(income[1] / income[0])
        assert asset.kind == "stock"
    assert np.median(hot) > np.median(cold) + 0.2


def test_an_answer_takes_less_than_twenty_milliseconds(served: Served):
    paths = (
        "www.sec.gov/cgi-bin/browse-edgar?action=getcurrent&type=4&output=atom&count=100",
        "data.sec.gov/submissions/CIK0009000001.json",
        "data.sec.gov/api/xbrl/companyfacts/CIK0009000001.json",
        "www.sec.gov/files/company_tickers.json",
    )
    with httpx.Client(headers=AGENT) as client:
        for path in paths:
            client.get(f"{served.url}/{path}").raise_for_status()
            spent = []
            for _ in range(9):
                begin = time.perf_counter()
                client.get(f"{served.url}/{path}")
                spent.append(time.perf_counter() - begin)
            assert sorted(spent)[2] < 0.02, path


def test_the_market_opens_with_reports_of_before(served: Served):
    first = datetime.combine(served.world.sessions[0], datetime.min.time(), UTC)
    assert all(company_reports.accepted_by(served.world, place, first) for place in range(COUNT))
