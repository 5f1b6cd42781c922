"""Each fault that the doubles can play is noticed by the client as what it is, and goes away when it is switched off."""

import time
from collections.abc import Iterator

import httpx
import pytest

from scrapers import rates
from scrapers.errors import Blocked, ScrapeError, SourceChanged, SourceUnavailable
from scrapers.http import Http
from scrapers.twin.faults import KINDS
from tests.sources.served import Served, instant, running, small_world

HOST, URL = "cdn.cboe.com", "https://cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv"
QUIVER = "https://api.quiverquant.com/beta/live/congresstrading"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    world = small_world()
    with running(world, instant(world.sessions[-1])) as made:
        yield made


@pytest.fixture(autouse=True)
def calm(served: Served) -> Iterator[None]:
    yield
    served.clear()


def ask(http: Http, url: str = URL) -> bytes:
    return http.get(url, source="cboe_vix", rate=rates.CBOE).content


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", SourceUnavailable), ("429_retry_after", SourceUnavailable), ("500", SourceUnavailable), ("503", SourceUnavailable),
        ("reset", SourceUnavailable), ("redirect", Blocked), ("bomb", Blocked),
    ],
)  # fmt: skip
def test_a_fault_of_the_service_raises_its_own_error_and_is_over_when_switched_off(served: Served, kind: str, error: type[ScrapeError]):
    http = served.http()
    served.fault(host=HOST, kind=kind, seconds=1.0)
    with pytest.raises(error):
        ask(http)
    served.clear()
    assert ask(http).startswith(b"DATE,")
    http.close()


def test_a_fault_that_ends_by_itself_costs_retries_and_no_data(served: Served):
    http = served.http(attempts=4)
    served.fault(host=HOST, kind="500", times=3)
    assert ask(http).startswith(b"DATE,")
    assert httpx.get(f"{served.url}/twin/faults").json()["spoilt"][HOST] >= 3
    http.close()


def test_a_dripping_body_is_cut_off_after_the_time_allowed(served: Served):
    http = served.http(total_timeout_s=0.5)
    served.fault(host=HOST, kind="slow", seconds=20.0)
    begin = time.monotonic()
    with pytest.raises(ScrapeError):
        ask(http)
    assert time.monotonic() - begin < 5.0
    http.close()


@pytest.mark.parametrize("kind", ["html", "truncated"])
def test_a_spoilt_document_is_no_json(served: Served, kind: str):
    http = served.http()
    served.fault(host="api.quiverquant.com", kind=kind)
    answer = http.get(QUIVER, source="quiver_congress", rate=rates.QUIVER_10_MINUTE)
    with pytest.raises(SourceChanged):
        answer.json()
    http.close()


def test_one_hosts_fault_leaves_the_others_alone_and_a_skewed_clock_is_its_own(served: Served):
    http, end = served.http(), served.world.sessions[-1]
    served.put_clock(instant(served.world.sessions[-20]))
    before = ask(http)
    served.fault(host=HOST, kind="clock_skew", seconds=86_400.0 * 10)
    assert len(ask(http)) > len(before)
    assert http.get(QUIVER, source="quiver_congress", rate=rates.QUIVER_10_MINUTE).status == 200
    served.put_clock(instant(end))
    http.close()


def test_an_unknown_fault_is_refused_with_the_list_of_those_there_are(served: Served):
    answer = httpx.put(f"{served.url}/twin/faults", json={"host": HOST, "kind": "meteor"})
    assert answer.status_code == 400
    assert all(kind in answer.text for kind in KINDS)
    assert httpx.put(f"{served.url}/twin/faults", json={"host": HOST, "kind": "429", "colour": 1}).status_code == 400
