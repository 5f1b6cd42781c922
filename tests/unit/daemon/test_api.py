"""The operator's HTTP surface, over a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from daemon.api import HttpServer, ListenError, PortInUse, create_app, host_allowed
from daemon.dashboard.snapshot import Snapshot

AT = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
TOKEN = "a-long-random-token"
GUARDED = ("/api/v1/status", "/api/v1/risk", "/api/v1/allocation")


def snapshot() -> Snapshot:
    return Snapshot(
        at=AT,
        mode="PAPER",
        sandbox=True,
        version="0.1.0",
        started_at=AT,
        ready=True,
        halted=False,
        nav_usd=100_000.0,
        day_return=float("nan"),
        components={"postgres": (True, "3 ms")},
    )


@dataclass
class Surface:
    """A daemon's surface whose answers the test sets; a dependency that must not be touched raises."""

    token: str | None = TOKEN
    alive: bool = True
    state: Mapping[str, tuple[bool, str]] = field(default_factory=lambda: {"postgres": (True, "3 ms"), "broker": (True, "")})
    take: Callable[[], Snapshot] = snapshot

    def metrics(self) -> bytes:
        return b"allocd_ready 1.0\n"

    def healthy(self) -> bool:
        return self.alive

    def components(self) -> Mapping[str, tuple[bool, str]]:
        return self.state

    def snapshot(self) -> Snapshot:
        return self.take()

    def api_token(self) -> str | None:
        return self.token


@contextmanager
def served(surface: Surface, **options: Any) -> Iterator[httpx.Client]:
    server = HttpServer(create_app(surface, **options), "127.0.0.1", 0)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            yield client
    finally:
        server.stop()


def broken() -> Snapshot:
    raise ConnectionError("the database went away: password=hunter2")


def test_health_answers_without_asking_any_dependency() -> None:
    with served(Surface(take=broken, state={"postgres": (False, "down")})) as client:
        assert client.get("/-/healthy").status_code == 200


def test_health_says_so_when_the_daemon_itself_is_stuck() -> None:
    with served(Surface(alive=False)) as client:
        assert client.get("/-/healthy").status_code == 503


def test_readiness_lists_every_component() -> None:
    with served(Surface()) as client:
        answer = client.get("/-/ready")
        assert answer.status_code == 200
        assert answer.json() == {
            "ready": True,
            "components": {"postgres": {"up": True, "detail": "3 ms"}, "broker": {"up": True, "detail": ""}},
        }


def test_readiness_is_503_while_one_component_is_down() -> None:
    with served(Surface(state={"postgres": (True, ""), "broker": (False, "unreachable")})) as client:
        answer = client.get("/-/ready")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        assert answer.json()["components"]["broker"] == {"up": False, "detail": "unreachable"}


def test_metrics_are_served_in_the_prometheus_text_format() -> None:
    with served(Surface()) as client:
        answer = client.get("/metrics")
        assert answer.content == b"allocd_ready 1.0\n"
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_status_needs_the_token() -> None:
    with served(Surface()) as client:
        answer = client.get("/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert answer.json()["nav_usd"] == 100_000.0
        assert answer.json()["day_return"] is None
        assert answer.json()["components"] == {"postgres": {"up": True, "detail": "3 ms"}}


def test_risk_and_allocation_are_answered_alone_and_null_before_the_first() -> None:
    with served(Surface()) as client:
        risk, allocation = (client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}) for path in GUARDED[1:])
    assert (risk.status_code, allocation.status_code) == (200, 200)
    head = {"at": "2026-03-04T14:30:00+00:00", "sandbox": True}
    assert risk.json() == {**head, "watch": None, "watched_at": None, "forecast": None, "limits": []}
    assert allocation.json() == {**head, "allocation": None}


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \u00fcber".encode()])
def test_any_other_token_is_refused_with_401(header: str | bytes, path: str) -> None:
    with served(Surface()) as client:
        answer = client.get(path, headers={"Authorization": header} if header else {})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json().keys() == {"detail"}


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x"])
@pytest.mark.parametrize("path", GUARDED)
def test_without_a_configured_token_the_api_is_off_and_says_what_to_set(token: str | None, header: str, path: str) -> None:
    with served(Surface(token=token)) as client:
        answer = client.get(path, headers={"Authorization": header})
        assert answer.status_code == 403
        assert "API_TOKEN" in answer.json()["detail"]


def test_refusals_are_reported_by_reason() -> None:
    reasons: list[str] = []
    with served(Surface(), on_refused=reasons.append) as client:
        client.get("/api/v1/status")
        client.get("/api/v1/status", headers={"Authorization": "Bearer wrong"})
        client.get("/", headers={"Host": "evil.example"})
    assert reasons == ["missing", "wrong", "host"]


def test_requests_are_reported_by_route_and_unknown_paths_as_other() -> None:
    seen: list[tuple[str, str, int]] = []
    with served(Surface(), on_request=lambda route, method, status, _seconds: seen.append((route, method, status))) as client:
        client.get("/-/healthy?x=1")
        client.get("/no/such/path")
        client.post("/metrics")
    assert seen[:2] == [("/-/healthy", "GET", 200), ("other", "GET", 404)]
    assert seen[2][1:] == ("POST", 405)


def test_the_dashboard_is_html_that_may_load_and_run_nothing() -> None:
    with served(Surface()) as client:
        answer = client.get("/")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "<script" not in answer.text


def test_security_headers_are_on_every_answer_also_on_errors() -> None:
    with served(Surface(take=broken)) as client:
        for path in ("/-/healthy", "/no/such/path", "/api/v1/status", "/"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers


def test_a_failing_page_is_a_500_that_tells_nothing_of_the_inside() -> None:
    with served(Surface(take=broken)) as client:
        answer = client.get("/")
        assert answer.status_code == 500
        assert "hunter2" not in answer.text
        assert "Traceback" not in answer.text


def test_a_foreign_host_name_is_refused() -> None:
    with served(Surface()) as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_description_of_the_api_is_served(path: str) -> None:
    with served(Surface()) as client:
        assert client.get(path).status_code == 404


LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("header", "hosts", "allowed"),
    [
        ("localhost:8321", LOOPBACK, True),
        ("LOCALHOST", LOOPBACK, True),
        ("127.0.0.1:8321", LOOPBACK, True),
        ("[::1]:8321", LOOPBACK, True),
        ("[::1]", LOOPBACK, True),
        ("", LOOPBACK, False),
        ("10.0.0.5:8321", LOOPBACK, False),
        ("localhost.evil.example", LOOPBACK, False),
        ("10.0.0.5:8321", LOOPBACK | {"0.0.0.0"}, True),
        ("rebind.evil.example:8321", LOOPBACK | {"0.0.0.0"}, False),
        ("allocd.lan:8321", LOOPBACK | {"allocd.lan"}, True),
    ],
)
def test_a_host_header_is_allowed_only_when_it_names_this_daemon(header: str, hosts: set[str], allowed: bool) -> None:
    assert host_allowed(header, hosts) is allowed


def test_a_port_in_use_is_refused_at_once_with_the_address_and_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = HttpServer(create_app(Surface()), "127.0.0.1", port)
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port} is already in use: .*ALLOCD_LISTEN_PORT"):
            server.start()


def test_an_address_that_is_not_ours_is_refused_with_the_setting_to_check() -> None:
    with pytest.raises(ListenError, match="ALLOCD_LISTEN_HOST"):
        HttpServer(create_app(Surface()), "192.0.2.1", 0).start()


def test_the_port_is_free_again_after_stop_and_the_server_can_start_anew() -> None:
    server = HttpServer(create_app(Surface()), "127.0.0.1", 0)
    server.start()
    port = server.port
    httpx.get(f"http://127.0.0.1:{port}/-/healthy", trust_env=False)
    server.stop()
    again = HttpServer(create_app(Surface()), "127.0.0.1", port)
    again.start()
    assert httpx.get(f"http://127.0.0.1:{port}/-/healthy", trust_env=False).status_code == 200
    again.stop()
    again.stop()


def test_stop_takes_less_than_two_seconds_while_a_request_hangs() -> None:
    entered, release = threading.Event(), threading.Event()

    def slow() -> Snapshot:
        entered.set()
        release.wait(10)
        return snapshot()

    server = HttpServer(create_app(Surface(take=slow)), "127.0.0.1", 0)
    server.start()
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert entered.wait(5)
    started = time.perf_counter()
    server.stop()
    assert time.perf_counter() - started < 2.1
    release.set()
    client.close()
