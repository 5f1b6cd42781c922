"""The one door outwards, against a real server on loopback."""

import gzip
from collections.abc import Iterator

import pytest

from scrapers.base import Rate
from scrapers.errors import Blocked, SourceChanged, SourceRefused, SourceUnavailable
from scrapers.http import Http, HttpOptions
from tests.unit.scrapers.scripted import Server, Slept

HOST = "api.example.org"
BASE = f"https://{HOST}"
RATE = Rate(group="test", requests=1000, per_s=1.0)
CANARY = "canary-7f3a-secret"


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def http(server: Server, slept: Slept, seen: list[tuple[str, str]]) -> Iterator[Http]:
    client = Http(
        HttpOptions(body_limit_bytes=100_000, read_timeout_s=5.0),
        now=slept.now,
        sleep=slept.sleep,
        contact="ops@example.org",
        hosts={HOST, "other.example.org"},
        credentials={HOST: {"Authorization": f"Bearer {CANARY}"}},
        routes={BASE: server.url, "https://other.example.org": server.url},
        on_request=lambda source, status, seconds: seen.append((source, status)),
    )
    yield client
    client.close()


def test_a_request_carries_its_parameters_credentials_and_a_contact(http: Http, server: Server):
    server.script = [(200, {}, b'{"a": 1}')]
    answer = http.get(f"{BASE}/v1/x", {"page": 2}, source="s", rate=RATE)
    path, headers = server.asked[0]
    assert answer.json() == {"a": 1}
    assert path == "/v1/x?page=2"
    assert headers["authorization"] == f"Bearer {CANARY}"
    assert "ops@example.org" in headers["user-agent"]


def test_credentials_go_to_their_own_host_alone(http: Http, server: Server):
    http.get("https://other.example.org/x", source="s", rate=RATE)
    assert "authorization" not in server.asked[0][1]


def test_retry_after_is_honoured_and_every_attempt_is_reported(http: Http, server: Server, slept: Slept, seen: list[tuple[str, str]]):
    server.script = [(429, {"Retry-After": "37"}, b"slow"), (503, {}, b""), (200, {}, b"[]")]
    assert http.get(f"{BASE}/x", source="quiver", rate=RATE).json() == []
    assert slept.pauses[0] == 37.0
    assert 1.0 <= slept.pauses[1] <= 5.0
    assert seen == [("quiver", "429"), ("quiver", "5xx"), ("quiver", "2xx")]


def test_a_source_that_stays_down_is_unavailable_after_the_last_attempt(http: Http, server: Server):
    server.script = [(502, {}, b"")] * 9
    with pytest.raises(SourceUnavailable, match="502"):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert len(server.asked) == 4


def test_a_pause_longer_than_we_accept_ends_the_run_at_once(http: Http, server: Server, slept: Slept):
    server.script = [(429, {"Retry-After": "86400"}, b"")]
    with pytest.raises(SourceUnavailable):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert slept.pauses == []


@pytest.mark.parametrize(("status", "error"), [(401, SourceRefused), (403, SourceRefused), (404, SourceChanged), (400, SourceChanged)])
def test_a_client_error_is_not_repeated(http: Http, server: Server, status: int, error: type[Exception]):
    server.script = [(status, {}, b"<html>")]
    with pytest.raises(error, match=str(status)):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert len(server.asked) == 1


def test_a_connection_that_fails_is_tried_again_and_then_unavailable(slept: Slept, seen: list[tuple[str, str]]):
    client = Http(
        HttpOptions(attempts=2),
        now=slept.now,
        sleep=slept.sleep,
        contact="",
        hosts={HOST},
        routes={BASE: "http://127.0.0.1:1"},
        on_request=lambda source, status, seconds: seen.append((source, status)),
    )
    with pytest.raises(SourceUnavailable, match="ConnectError"):
        client.get(f"{BASE}/x", source="s", rate=RATE)
    client.close()
    assert seen == [("s", "error")] * 2


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.org/x",
        "https://evil.example.net/x",
        "https://api.example.org.evil.net/x",
        "https://api.example.org@evil.net/x",
        "https://user:pw@api.example.org/x",
        "https://api.example.org:8443/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[broken/x",
        "https://api.example.org:port/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_off_the_list_is_blocked_before_any_connection(http: Http, server: Server, url: str):
    with pytest.raises(Blocked):
        http.get(url, source="s", rate=RATE)
    assert server.asked == []


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "https://evil.example.net/", "http://127.0.0.1:9/"])
def test_a_redirect_off_the_list_is_blocked(http: Http, server: Server, target: str):
    server.script = [(302, {"Location": target}, b"")]
    with pytest.raises(Blocked):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert len(server.asked) == 1


def test_a_redirect_to_another_listed_host_is_followed_without_the_first_hosts_key(http: Http, server: Server):
    server.script = [(301, {"Location": "https://other.example.org/y"}, b""), (200, {}, b"1")]
    assert http.get(f"{BASE}/x", source="s", rate=RATE).content == b"1"
    assert server.asked[1][0] == "/y"
    assert "authorization" not in server.asked[1][1]


def test_redirects_in_a_circle_end(http: Http, server: Server):
    server.script = [(302, {"Location": "/x"}, b"")] * 9
    with pytest.raises(Blocked, match="redirects"):
        http.get(f"{BASE}/x", source="s", rate=RATE)


def test_a_body_that_unpacks_beyond_the_limit_is_blocked(http: Http, server: Server):
    server.script = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 5_000_000))]
    with pytest.raises(Blocked, match="exceeds"):
        http.get(f"{BASE}/x", source="s", rate=RATE)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 100_000, b"\xff\xfe"])
def test_a_body_that_is_not_json_is_a_changed_source(http: Http, server: Server, body: bytes):
    server.script = [(200, {"Content-Type": "application/json"}, body)]
    with pytest.raises(SourceChanged):
        http.get(f"{BASE}/x", source="s", rate=RATE).json()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 302])
def test_no_failure_repeats_the_key_or_the_query(http: Http, server: Server, status: int):
    server.script = [(status, {"Location": f"https://evil.net/?k={CANARY}", "Retry-After": "5"}, CANARY.encode())] * 5
    with pytest.raises((SourceRefused, SourceChanged, SourceUnavailable, Blocked)) as caught:
        http.get(f"{BASE}/x", {"token": CANARY}, source="s", rate=RATE)
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    assert not any(CANARY in repr(link) or CANARY in str(link) for link in chain)


def test_no_log_line_of_the_libraries_repeats_the_key_or_the_query(http: Http, server: Server, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    http.get(f"{BASE}/x", {"token": CANARY}, source="s", rate=RATE)
    assert CANARY in server.asked[0][0]
    assert CANARY not in caplog.text


def test_only_loopback_may_stand_in_for_a_service(slept: Slept):
    with pytest.raises(Blocked, match="loopback"):
        Http(HttpOptions(), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST}, routes={BASE: "http://10.0.0.1:80"})
