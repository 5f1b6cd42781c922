"""The doubles over the beginning of a market answer as they do over all of it, as long as the present lies in it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import islice

import httpx
import pytest

from scrapers import times
from scrapers.twin.app import _doubles, create_app
from scrapers.twin.base import TwinClock
from scrapers.twin.faults import Faults, parsed
from scrapers.twin.stretch import AHEAD, STEP, Stretched
from scrapers.twin.world import World
from tests.sources.served import weekdays

NOW = 300
"""The session of the present."""
QUIVER, ALPACA = {"Authorization": "Bearer k"}, {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}
AGENT = {"User-Agent": "allocd/1.0 (test@example.invalid) httpx/1.0"}
SINCE, UNTIL = "2024-11-01", "2025-03-01"
QUESTIONS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("/api.quiverquant.com/beta/bulk/congresstrading?page_size=5000", QUIVER),
    ("/api.quiverquant.com/beta/live/govcontractsall?page_size=250", QUIVER),
    ("/api.quiverquant.com/beta/live/govcontracts", QUIVER),
    ("/api.quiverquant.com/beta/live/lobbying?all=true&page_size=250", QUIVER),
    ("/api.quiverquant.com/beta/live/insiders?page_size=250", QUIVER),
    ("/api.quiverquant.com/beta/live/appratings", QUIVER),
    ("/www.quiverquant.com/analysts/", {}),
    ("/www.quiverquant.com/googletrends/", {}),
    ("/www.quiverquant.com/scores/dcinsider", {}),
    (f"/data.alpaca.markets/v1beta1/news?start={SINCE}T00:00:00Z&end={UNTIL}T00:00:00Z&limit=50", ALPACA),
    (f"/data.alpaca.markets/v1/corporate-actions?start={SINCE}&end={UNTIL}", ALPACA),
    (f"/data.alpaca.markets/v2/stocks/bars?symbols=SPY&timeframe=1Day&start={SINCE}&end={UNTIL}", ALPACA),
    ("/paper-api.alpaca.markets/v2/assets", ALPACA),
    (
        "/clinicaltrials.gov/api/v2/studies?pageSize=1000&filter.advanced=AREA%5BLastUpdatePostDate%5DRANGE%5B2024-01-01%2C2025-03-01%5D"
        "+AND+(AREA%5BPhase%5DPHASE2+OR+AREA%5BPhase%5DPHASE3)+AND+AREA%5BLeadSponsorClass%5DINDUSTRY",
        {},
    ),
    ("/api.fda.gov/drug/drugsfda.json?limit=100&skip=0&search=submissions.submission_status_date:%5B20240101+TO+20250301%5D", {}),
    ("/www.federalregister.gov/api/v1/documents.json?per_page=100", {}),
    ("/lda.gov/api/v1/filings/?filing_year=2024", {}),
    ("/www.sec.gov/cgi-bin/browse-edgar?action=getcurrent&type=4&output=atom&count=100", AGENT),
    ("/data.sec.gov/api/xbrl/companyfacts/CIK0009000001.json", AGENT),
    ("/data.sec.gov/submissions/CIK0009000001.json", AGENT),
    ("/disclosures-clerk.house.gov/public_disc/financial-pdfs/2024FD.zip", {}),
    ("/cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv", {}),
    ("/datahub.io/core/s-and-p-500-companies/_r/-/data/constituents.csv", {}),
    ("/en.wikipedia.org/wiki/List_of_S%26P_500_companies", AGENT),
    ("/apewisdom.io/api/v1.0/filter/wallstreetbets/page/1", {}),
    (
        "/query2.finance.yahoo.com/v8/finance/chart/SPY?period1=1704067200&period2=1740787200&interval=1d",
        {"User-Agent": "Mozilla/5.0 (X11)"},
    ),
)


@pytest.fixture(scope="module")
def whole() -> World:
    return World(seed=11, sessions=weekdays(date(2024, 1, 2), STEP + 300), n_symbols=60)


def asked(app: object, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body of one question, in this thread."""
    import anyio

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://twin") as client:  # type: ignore[arg-type]
            return await client.get(path, headers=dict(headers))

    answer = anyio.run(ask)
    return answer.status_code, answer.content


def at(day: date) -> datetime:
    return times.new_york(day) + timedelta(hours=17)


@pytest.fixture(scope="module")
def both(whole: World) -> tuple[object, object]:
    """The server, and the doubles over all of the market, at the same instant."""
    now = at(whole.sessions[NOW])
    clock = TwinClock(lambda: now, lambda day: times.new_york(day, times.REGULAR_CLOSE))
    return create_app(whole, now=lambda: now), _doubles(whole, clock, Faults())


@pytest.mark.parametrize(("path", "headers"), QUESTIONS, ids=[path.partition("?")[0] for path, _ in QUESTIONS])
def test_a_longer_future_changes_no_answer(both: tuple[object, object], path: str, headers: Mapping[str, str]) -> None:
    near, far = (asked(app, path, headers) for app in both)
    assert far[0] == 200, far[1][:300]
    assert near == far


def test_the_market_grows_ahead_of_the_present_and_never_shrinks(whole: World) -> None:
    made: list[int] = []
    now = [at(whole.sessions[0])]

    def make(world: World) -> object:
        made.append(len(world.sessions))
        return object()

    stretched = Stretched(whole, lambda: now[0], make)  # type: ignore[arg-type]
    first = stretched.app()
    for day in islice(whole.sessions, 0, STEP - AHEAD - 1):
        now[0] = at(day)
        assert stretched.app() is first
    now[0] = at(whole.sessions[STEP - AHEAD])
    longer = stretched.app()
    now[0] = at(whole.sessions[0])
    assert stretched.app() is longer
    assert made == [STEP, len(whole.sessions)]


def test_faults_written_as_host_and_kind_are_on_from_the_start(whole: World) -> None:
    app = create_app(whole, now=lambda: at(whole.sessions[NOW]), faults=parsed(["cdn.cboe.com=503"]))
    assert asked(app, "/cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv", {})[0] == 503
    assert asked(app, "/datahub.io/core/s-and-p-500-companies/_r/-/data/constituents.csv", {})[0] == 200


@pytest.mark.parametrize("text", ["cdn.cboe.com", "cdn.cboe.com=flood", "nobody.example=503"])
def test_a_fault_of_an_unknown_host_or_kind_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST=KIND.*cdn\.cboe\.com.*429"):
        parsed([text])
