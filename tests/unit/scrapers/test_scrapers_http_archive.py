"""Every answer can be kept, without what opens doors, and read again later as if it came from the service."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from scrapers import redaction
from scrapers.errors import NotRecorded, SourceChanged, SourceRefused, SourceUnavailable
from scrapers.http import Exchange, Http, HttpOptions, Jar
from scrapers.recorded import recorded_http
from tests.unit.scrapers.scripted import BASE, HOST, OTHER, RATE, Server, Slept, client

CANARY = "canary-51c9-secret"
LATER = datetime(2026, 2, 1, tzinfo=UTC)


def test_an_exchange_has_what_was_asked_and_answered_and_when(server: Server, slept: Slept):
    kept: list[Exchange] = []
    server.script = [(200, {"Content-Type": "text/plain", "ETag": '"1"', "X-Other": "x"}, b"body")]
    with client(server, slept, on_exchange=kept.append) as http:
        http.get(f"{BASE}/v1/x?a=1", {"page": 2}, source="quiver", rate=RATE)
    assert kept == [
        Exchange(
            source="quiver", group="test", method="GET", url=f"{BASE}/v1/x", asked={"a": "1", "page": 2}, status=200,
            headers={"content-type": "text/plain", "etag": '"1"'}, content=b"body", started_at=slept.at, fetched_at=slept.at,
        )
    ]  # fmt: skip


def test_answers_of_every_status_are_kept_and_broken_ones_are_not(server: Server, slept: Slept):
    kept: list[Exchange] = []
    server.script = [(503, {}, b"busy"), (429, {}, b"slow"), (301, {"Location": "/y"}, b"moved"), (404, {}, b"<html>")]
    with client(server, slept, on_exchange=kept.append) as http:
        with pytest.raises(SourceChanged):
            http.get(f"{BASE}/x", source="s", rate=RATE)
        server.raw = lambda out: out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        with pytest.raises(SourceUnavailable):
            http.get(f"{BASE}/x", source="s", rate=RATE)
    assert [(e.status, e.content, e.url) for e in kept] == [
        (503, b"busy", f"{BASE}/x"),
        (429, b"slow", f"{BASE}/x"),
        (301, b"moved", f"{BASE}/x"),
        (404, b"<html>", f"{BASE}/y"),
    ]


def test_nothing_that_opens_a_door_is_kept_and_the_caller_gets_everything(server: Server, slept: Slept):
    kept: list[Exchange] = []
    token = {"access_token": CANARY, "expires_in": 3600, "nested": [{"Access_Token": {"a": CANARY}}]}
    server.script = [
        (302, {"Location": f"/token?a=1&X-Amz-Signature={CANARY}", "Set-Cookie": f"sid={CANARY}; HttpOnly\nlang=en"}, b""),
        (200, {"Content-Type": "application/json", "Set-Cookie": f"auth={CANARY}"}, json.dumps(token).encode()),
    ]
    jar: Jar = {HOST: {"old": CANARY}}
    with client(server, slept, on_exchange=kept.append, credentials={HOST: {"Authorization": f"Bearer {CANARY}"}}) as http:
        answer = http.post(
            f"{BASE}/login?api_key={CANARY}", source="s", rate=RATE, form={"user": "u", "password": CANARY, "pin": CANARY},
            params={"crumb": CANARY}, headers={"X-Token": CANARY}, jar=jar, redact=("access_token", "pin"),
        )  # fmt: skip
    assert answer.json() == token
    assert jar[HOST] == {"old": CANARY, "sid": CANARY, "lang": "en", "auth": CANARY}
    assert not any(CANARY in repr(dataclasses.astuple(e)) for e in kept)
    assert kept[0].asked == {"api_key": "redacted", "crumb": "redacted", "user": "u", "password": "redacted", "pin": "redacted"}
    assert kept[0].headers == {"location": "/token?a=1&X-Amz-Signature=redacted", "set-cookie": "sid=redacted, lang=redacted"}
    assert json.loads(kept[1].content) == {"access_token": "redacted", "expires_in": 3600, "nested": [{"Access_Token": "redacted"}]}


@pytest.mark.parametrize("body", [f"crumb {CANARY}".encode(), f'"{CANARY}"'.encode(), b"\xff" + CANARY.encode()])
def test_a_body_with_something_to_redact_that_is_no_document_is_withheld(body: bytes):
    assert redaction.content(body, ("crumb",)) == b"redacted"


def test_a_json_document_is_asked_by_its_fields(server: Server, slept: Slept):
    kept: list[Exchange] = []
    with client(server, slept, on_exchange=kept.append) as http:
        http.post(f"{BASE}/x", source="s", rate=RATE, json={"filters": {"a": [1, {"token": 2}]}, "page": 1})
        http.post(f"{BASE}/x", source="s", rate=RATE, json=[1, 2])
    assert [e.asked for e in kept] == [{"filters": {"a": [1, {"token": 2}]}, "page": 1}, {"json": [1, 2]}]


# Recorded answers.


def conversation(http: Http) -> list[Any]:
    """A source that logs in, asks for pages, meets retries, a redirect and a 404, and looks at everything an answer has."""
    jar: Jar = {}
    login = http.get(f"{BASE}/login", source="s", rate=RATE, jar=jar, redact=("token",)).json()
    pages = [
        http.post(f"{BASE}/search", source="s", rate=RATE, json={"page": page, "csrf_token": login["token"]}, jar=jar) for page in (1, 2, 2)
    ]
    moved = http.get(f"{BASE}/old", {"q": "ä"}, source="s", rate=RATE)
    none = http.get(f"{BASE}/none", source="s", rate=RATE, accept=(404,))
    return [
        [(answer.url, answer.status, answer.json(), answer.fetched_at) for answer in (*pages, moved, none)],
        {host: set(cookies) for host, cookies in jar.items()},
    ]


def scripted() -> list[tuple[int, dict[str, str], bytes]]:
    return [
        (200, {"Set-Cookie": "sid=1"}, b'{"token": "t-17"}'),
        (200, {}, b'{"rows": [1]}'),
        (429, {"Retry-After": "7"}, b"slow"),
        (503, {}, b""),
        (200, {}, b'{"rows": [2]}'),
        (200, {}, b'{"rows": [22]}'),
        (302, {"Location": f"https://{OTHER}/new?q=1&x-amz-signature=zzz"}, b""),
        (200, {"Content-Type": "text/plain; charset=latin-1"}, '["ä"]'.encode("latin-1")),
        (404, {}, b'{"error": "none"}'),
    ]


def test_recorded_answers_are_the_same_conversation_again_also_after_a_stay_in_a_json_store(server: Server, slept: Slept):
    server.script, kept = scripted(), []
    with client(server, slept, on_exchange=kept.append) as http:
        first = conversation(http)
    stored = [dataclasses.replace(e, asked=json.loads(json.dumps(e.asked)), headers=json.loads(json.dumps(e.headers))) for e in kept]
    again = recorded_http(stored, fetched_at=LATER, hosts={HOST, OTHER})
    assert conversation(again) == first
    assert slept.pauses[0] == 7.0


@pytest.mark.parametrize(("status", "error"), [(403, SourceRefused), (404, SourceChanged), (500, SourceUnavailable)])
def test_a_failure_is_the_same_failure_again(server: Server, slept: Slept, status: int, error: type[Exception]):
    server.script, kept = [(status, {}, b"")] * 4, []
    with client(server, slept, on_exchange=kept.append) as http, pytest.raises(error):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    again = recorded_http(kept, fetched_at=LATER, hosts={HOST})
    with pytest.raises(error, match=str(status)):
        again.get(f"{BASE}/x", source="s", rate=RATE)


def exchange(asked: Mapping[str, Any] | None = None, **given: Any) -> Exchange:
    values: dict[str, Any] = {
        "source": "s", "group": "g", "method": "GET", "url": f"{BASE}/x", "asked": asked or {}, "status": 200, "headers": {},
        "content": b"1", "started_at": LATER, "fetched_at": LATER,
    }  # fmt: skip
    return Exchange(**values | given)


@pytest.mark.parametrize("recorded", [exchange({"page": 2}), exchange(method="POST"), exchange(url=f"{BASE}/y"), exchange({"page": "1"})])
def test_a_request_that_was_not_recorded_is_told_without_its_values(recorded: Exchange):
    http = recorded_http([recorded], fetched_at=LATER, hosts={HOST})
    with pytest.raises(NotRecorded, match=r"GET https://api.example.org/x \(page, q\)"):
        http.get(f"{BASE}/x", {"page": 1, "q": CANARY}, source="s", rate=RATE)


def test_equal_requests_use_up_their_answers_in_order():
    http = recorded_http([exchange(content=b"1"), exchange(content=b"2")], fetched_at=LATER, hosts={HOST})
    assert [http.get(f"{BASE}/x", source="s", rate=RATE).content for _ in range(2)] == [b"1", b"2"]
    with pytest.raises(NotRecorded):
        http.get(f"{BASE}/x", source="s", rate=RATE)


def test_recorded_answers_wait_for_no_allowance():
    http = recorded_http([exchange()] * 500, fetched_at=LATER, hosts={HOST})
    slow = dataclasses.replace(RATE, requests=1, per_s=3600.0)
    assert {http.get(f"{BASE}/x", source="s", rate=slow).status for _ in range(500)} == {200}


# Conditional requests.


class Store:
    """Validators in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Mapping[str, str]] = {}

    def get(self, key: str, source: str) -> Mapping[str, str]:
        return self.kept.get((key, source), {})

    def put(self, key: str, source: str, found: Mapping[str, str]) -> None:
        self.kept[key, source] = found


def ask(http: Http, page: int = 1, source: str = "s") -> Any:
    return http.get(f"{BASE}/x", {"page": page}, source=source, rate=RATE, conditional=True)


def test_a_page_that_was_stored_is_asked_for_only_if_it_changed(server: Server, slept: Slept):
    changed = "Mon, 05 Jan 2026 10:00:00 GMT"
    server.script = [(200, {"ETag": 'W/"7"', "Last-Modified": changed}, b"{}"), (304, {}, b""), (200, {}, b"{}"), (200, {}, b"{}")]
    with client(server, slept, validators=Store()) as http:
        assert not ask(http).not_modified
        http.settle("s", stored=True)
        again = ask(http)
        ask(http, page=2)
        ask(http, source="another")
    conditions = [(headers.get("if-none-match"), headers.get("if-modified-since")) for _, headers in server.asked]
    assert conditions == [(None, None), ('W/"7"', changed), (None, None), (None, None)]
    assert (again.not_modified, again.status, again.content) == (True, 304, b"")


@pytest.mark.parametrize("stored", [False, None])
def test_a_page_that_was_not_stored_is_fetched_in_full_again(server: Server, slept: Slept, stored: bool | None):
    server.script = [(200, {"ETag": '"7"'}, b"<html>"), (200, {}, b"{}")]
    with client(server, slept, validators=Store()) as http:
        ask(http)
        if stored is not None:
            http.settle("s", stored=stored)
        http.settle("another", stored=True)
        ask(http)
    assert "if-none-match" not in server.asked[1][1]


def test_a_page_that_lost_its_validator_is_no_longer_asked_for_conditionally(server: Server, slept: Slept):
    server.script = [(200, {"ETag": '"7"'}, b"{}"), (200, {}, b"{}"), (200, {}, b"{}")]
    with client(server, slept, validators=Store()) as http:
        for _ in range(3):
            ask(http)
            http.settle("s", stored=True)
    assert ["if-none-match" in headers for _, headers in server.asked] == [False, True, False]


def test_a_304_is_recorded_and_is_a_304_again(server: Server, slept: Slept):
    kept: list[Exchange] = []
    server.script = [(304, {"ETag": '"7"'}, b"")]
    with client(server, slept, validators=Store(), on_exchange=kept.append) as http:
        assert ask(http).not_modified
    assert ask(recorded_http(kept, fetched_at=LATER, hosts={HOST})).not_modified


def test_without_a_store_every_page_is_asked_for_in_full(server: Server, slept: Slept):
    server.script = [(200, {"ETag": '"7"'}, b"{}")]
    http = Http(HttpOptions(), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST}, routes={BASE: server.url})
    for _ in range(2):
        ask(http)
        http.settle("s", stored=True)
    http.close()
    assert ["if-none-match" in headers for _, headers in server.asked] == [False, False]
