"""When to come again: what servers say holds for everything that shares their allowance."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from scrapers import rate_limit
from scrapers.base import Rate
from scrapers.errors import SourceUnavailable
from scrapers.http import Http, HttpOptions
from tests.unit.scrapers.scripted import BASE, HOST, RATE, Server, Slept, client

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("37", 37.0), (" 1.5 ", 1.5), ("0", 0.0), ("-3", 0.0), (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0),
        ("Mon, 05 Jan 2026 00:00:30 +0000", 30.0), ("Sunday, 04-Jan-26 23:00:00 GMT", 0.0), ("Mon Jan  5 00:01:00 2026", 60.0), ("", None),
        ("soon", None), ("nan", None), ("1e300", 1e9), ("inf", 1e9), ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9), ("Mon, 99 Jan 2026", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None):
    assert rate_limit.retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        ("0.0", "173.0", 173.0), ("0", f"{NOW.timestamp() + 20:.0f}", 20.0), ("-1", "5", 5.0), ("1.0", "173", None), ("599.0", "1", None),
        ("0", "-5", None), ("0", "soon", None), ("nan", "9", None), ("0", "nan", None), ("0", "inf", None),
        (None, "9", None), ("0", None, None),
    ],
)  # fmt: skip
def test_a_spent_allowance_is_renewed_at_its_reset(remaining: str | None, reset: str | None, seconds: float | None):
    given = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    assert rate_limit.reset_s({name: value for name, value in given.items() if value is not None}, NOW) == seconds


def test_a_retry_after_in_the_form_of_a_date_is_honoured(server: Server, slept: Slept):
    server.script = [(503, {"Retry-After": format_datetime(slept.at + timedelta(seconds=90), usegmt=True)}, b""), (200, {}, b"[]")]
    with client(server, slept) as http:
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert slept.pauses == [90.0]


def test_a_source_that_says_too_many_requests_holds_back_its_whole_group_and_no_other(server: Server, slept: Slept):
    server.script = [(429, {"Retry-After": "40"}, b"")]
    with client(server, slept, HttpOptions(attempts=1)) as http:
        with pytest.raises(SourceUnavailable):
            http.get(f"{BASE}/x", source="one", rate=RATE)
        http.get(f"{BASE}/x", source="third", rate=Rate(group="other", requests=9, per_s=1.0))
        assert slept.pauses == []
        http.get(f"{BASE}/x", source="two", rate=RATE)
    assert slept.pauses == [40.0]


def test_a_group_that_is_held_back_for_long_fails_at_once_and_nobody_sleeps(server: Server, slept: Slept):
    server.script = [(429, {"Retry-After": "86400"}, b"")]
    with client(server, slept) as http:
        for _ in range(2):
            with pytest.raises(SourceUnavailable):
                http.get(f"{BASE}/x", source="s", rate=RATE)
    assert (slept.pauses, len(server.asked)) == ([], 1)


def test_when_nothing_remains_of_an_allowance_the_next_request_waits_for_its_reset(server: Server, slept: Slept):
    server.script = [(200, {"X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Reset": "173.0"}, b"{}"), (200, {}, b"{}")]
    with client(server, slept) as http:
        http.get(f"{BASE}/x", source="s", rate=RATE)
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert slept.pauses == [173.0]


def test_the_user_agent_names_us_a_contact_and_the_library_and_a_source_may_bring_its_own(server: Server, slept: Slept):
    with client(server, slept) as http:
        http.get(f"{BASE}/x", source="s", rate=RATE)
        http.get(f"{BASE}/x", source="s", rate=RATE, headers={"user-agent": "Mozilla/5.0"})
    assert [headers["user-agent"] for _, headers in server.asked] == [
        f"allocd/1.0 (ops@example.org) httpx/{httpx.__version__}",
        "Mozilla/5.0",
    ]


def test_a_budget_lowers_what_a_group_may_ask(server: Server, slept: Slept):
    with client(server, slept, budget={"sec": 1}) as http:
        for _ in range(2):
            http.get(f"{BASE}/x", source="s", rate=Rate(group="sec", requests=8, per_s=1.0))
        assert http.limiter.used("sec") == (1, 1)
    assert slept.pauses == [1.0]


def test_a_budget_above_the_limit_is_refused_when_the_client_is_made(slept: Slept):
    with pytest.raises(ValueError, match=r"sec .* 1 to 8"):
        Http(HttpOptions(), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST}, budget={"sec": 9})
