"""Nothing but the listed hosts, at public addresses, over TLS that bears their name."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpcore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers import egress
from scrapers.errors import Blocked, SourceChanged, SourceUnavailable
from scrapers.http import Http, HttpOptions
from tests.conftest import need
from tests.unit.scrapers.scripted import BASE, HOST, OTHER, RATE, Server, Slept, client

HOSTILE = [
    "http://api.example.org/x",
    "HTTP://api.example.org/x",
    "ftp://api.example.org/x",
    "file:///etc/passwd",
    "gopher://api.example.org/",
    "//api.example.org/x",
    "api.example.org/x",
    "https:api.example.org/x",
    "https:/api.example.org/x",
    "https:///api.example.org/x",
    "https://",
    "",
    "https://evil.example.net/x",
    "https://api.example.org.evil.net/x",
    "https://evilapi.example.org/x",
    "https://example.org/x",
    "https://api.example.org./x",
    "https://api.example.org../x",
    "https://.api.example.org/x",
    "https://api..example.org/x",
    "https://user:pw@api.example.org/x",
    "https://user@api.example.org/x",
    "https://@api.example.org/x",
    "https://api.example.org@evil.net/x",
    "https://api.example.org:pw@evil.net/x",
    "https://evil.net#@api.example.org/x",
    "https://evil.net\\@api.example.org/x",
    "https://api.example.org\\@evil.net/x",
    "https://api.example.org\\.evil.net/x",
    "https://api.example.org:8443/x",
    "https://api.example.org:80/x",
    "https://api.example.org:/x",
    "https://api.example.org:port/x",
    "https://api.example.org:443@evil.net/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://0/x",
    "https://localhost/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[broken/x",
    "https://аpi.example.org/x",
    "https://xn--pi-7kc.example.org/x",
    "https://api。example。org/x",
    "https://api.example.org%2eevil.net/x",
    "https://api.example.org%00.evil.net/x",
    "https://api.example.org\t.evil.net/x",
    "https://api.example.org\r\nHost: evil.net/x",
    "https://api.example.org/x\r\nX-Injected: 1",
    " https://api.example.org/x",
    "https://api.example.org /x",
    "https://ａpi.example.org/x",
]

PRIVATE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "5f00::1", "not an address", "127.1", "0x7f.0.0.1", "",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "104.16.0.1", "192.0.1.1", "2606:4700::1", "2a00:1450:4001::5", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused_and_counted_before_any_connection(server: Server, slept: Slept, url: str):
    refused: list[str] = []
    with client(server, slept, on_blocked=refused.append) as http, pytest.raises(Blocked):
        http.get(url, source="s", rate=RATE)
    assert (server.asked, refused) == ([], ["address"])


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_known_as_such(address: str):
    assert not egress.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_known_as_such(address: str):
    assert egress.is_public(address)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_what_is_public_as_ipv4_is_public_inside_ipv6_and_nothing_else_is(address: object):
    assert egress.is_public(str(address)) == egress.is_public(f"::ffff:{address}") == egress.is_public(f"64:ff9b::{address}")


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(["https://", "http://", "//", "", "https://api.example.org"]))
def test_whatever_is_admitted_names_the_listed_host_in_plain_writing(text: str, before: str):
    try:
        address = egress.admitted(before + text, {HOST})
    except Blocked:
        return
    assert address.host == HOST
    assert address.url.startswith(f"{BASE}/")
    assert httpcore.URL(address.url.encode("ascii", "ignore")).host == HOST.encode()


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://API.Example.ORG/x?a=1", f"{BASE}/x?a=1"),
        ("https://api.example.org:443/x", f"{BASE}/x"),
        ("https://api.example.org", f"{BASE}/"),
        ("https://api.example.org?q=1", f"{BASE}/?q=1"),
        ("https://api.example.org/x#part", f"{BASE}/x"),
        ("https://api.example.org//evil.net/x", f"{BASE}//evil.net/x"),
    ],
)
def test_an_admitted_address_is_written_plainly(url: str, plain: str):
    assert egress.admitted(url, {HOST}).url == plain


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["64:ff9b::7f00:1"]])
def test_a_listed_name_that_leads_to_a_private_address_is_refused(slept: Slept, addresses: list[str]):
    refused: list[str] = []
    http = Http(
        HttpOptions(), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST}, resolve=lambda host, port: addresses,
        on_blocked=refused.append,
    )  # fmt: skip
    with pytest.raises(Blocked, match="no public address"):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    http.close()
    assert refused == ["private"]


def test_a_name_is_resolved_once_and_exactly_the_checked_addresses_are_tried_in_order(monkeypatch: pytest.MonkeyPatch):
    """A second answer of the resolver, which is what a rebinding attack needs, is never asked for."""
    answers, dialled = iter([["8.8.8.8", "2606:4700::1"], ["127.0.0.1"]]), []

    def dial(self: object, host: str, port: int, *rest: object) -> httpcore.NetworkStream:
        dialled.append((host, port))
        if len(dialled) == 1:
            raise httpcore.ConnectTimeout
        return httpcore.NetworkStream()

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", dial)
    backend = egress.GuardedBackend(local=(), deadline=egress.Deadline(), resolve=lambda host, port: next(answers))
    backend.connect_tcp(HOST, 443, 1.0)
    assert dialled == [("8.8.8.8", 443), ("2606:4700::1", 443)]


def test_a_name_that_does_not_resolve_is_an_unavailable_source(slept: Slept):
    def absent(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    http = Http(HttpOptions(attempts=1), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST}, resolve=absent)
    with pytest.raises(SourceUnavailable, match="ConnectError"):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    http.close()


def test_with_doubles_nothing_else_is_asked(server: Server, slept: Slept):
    http = Http(HttpOptions(), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST, OTHER}, routes={BASE: server.url})
    with pytest.raises(Blocked, match="no local double"):
        http.get(f"https://{OTHER}/x", source="s", rate=RATE)
    http.get(f"{BASE}?q=1", source="s", rate=RATE)
    http.close()
    assert [path for path, _ in server.asked] == ["/?q=1"]


def test_settings_of_the_environment_lead_nothing_through_a_proxy(server: Server, slept: Slept, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with client(server, slept) as http:
        assert http.get(f"{BASE}/x", source="s", rate=RATE).status == 200


# Redirects.


def test_headers_cookies_and_keys_stay_with_the_host_that_they_were_meant_for(server: Server, slept: Slept):
    server.script = [(302, {"Location": f"https://{OTHER}/y", "Set-Cookie": "sid=first"}, b""), (200, {}, b"{}")]
    jar: dict[str, dict[str, str]] = {}
    with client(server, slept, credentials={HOST: {"Authorization": "Bearer k"}}) as http:
        http.get(f"{BASE}/x", {"q": 1}, source="s", rate=RATE, headers={"X-Session": "mine", "User-Agent": "Browser/1"}, jar=jar)
    path, headers = server.asked[1]
    assert path == "/other/y"
    assert not {"authorization", "x-session", "cookie"} & set(headers)
    assert headers["user-agent"].startswith("allocd/")
    assert jar == {HOST: {"sid": "first"}, OTHER: {}}


def test_on_the_same_host_a_redirect_keeps_headers_and_cookies(server: Server, slept: Slept):
    server.script = [(302, {"Location": "/y", "Set-Cookie": "sid=first; Path=/\nlang=en"}, b""), (200, {}, b"{}")]
    with client(server, slept) as http:
        http.get(f"{BASE}/x", source="s", rate=RATE, headers={"X-Session": "mine"}, jar={})
    assert server.asked[1][1]["x-session"] == "mine"
    assert server.asked[1][1]["cookie"] == "sid=first; lang=en"


def test_without_a_jar_no_cookie_is_kept(server: Server, slept: Slept):
    server.script = [(200, {"Set-Cookie": "sid=first"}, b"{}"), (200, {}, b"{}")]
    with client(server, slept) as http:
        for _ in range(2):
            http.get(f"{BASE}/x", source="s", rate=RATE)
    assert "cookie" not in server.asked[1][1]


def test_a_cookie_beyond_ascii_goes_back_as_it_came(server: Server, slept: Slept):
    server.script = [(200, {"Set-Cookie": "name=Mu\xf1oz"}, b"{}"), (200, {}, b"{}")]
    jar: dict[str, dict[str, str]] = {}
    with client(server, slept) as http:
        for _ in range(2):
            http.get(f"{BASE}/x", source="s", rate=RATE, jar=jar)
    assert jar[HOST] == {"name": "Mu\xf1oz"}
    assert server.asked[1][1]["cookie"].encode("latin-1").decode() == "name=Mu\xf1oz"


def test_a_parameter_that_no_address_can_hold_is_refused_without_its_value(server: Server, slept: Slept):
    with client(server, slept) as http, pytest.raises(Blocked, match=r"api.example.org/x: cannot be asked") as caught:
        http.get(f"{BASE}/x", {"q": "secret \ud800"}, source="s", rate=RATE)
    assert (caught.value.__cause__, server.asked) == (None, [])


@pytest.mark.parametrize("name", ["X-Bad\r\nInjected", "X-Bad"])
def test_a_header_with_a_line_break_is_never_sent(server: Server, slept: Slept, name: str):
    with client(server, slept) as http, pytest.raises(SourceUnavailable, match="ProtocolError"):
        http.get(f"{BASE}/x", source="s", rate=RATE, headers={name: "a\r\nb: c"})
    assert server.asked == []


@pytest.mark.parametrize(("status", "body"), [(302, b""), (303, b""), (307, b"a=1"), (308, b"a=1")])
def test_a_form_is_repeated_only_where_the_status_says_so(server: Server, slept: Slept, status: int, body: bytes):
    server.script = [(status, {"Location": "/y"}, b""), (200, {}, b"{}")]
    with client(server, slept) as http:
        http.post(f"{BASE}/x", source="s", rate=RATE, form={"a": "1"})
    assert server.bodies == [b"a=1", body]


@pytest.mark.parametrize("status", [307, 308])
def test_a_form_does_not_follow_to_another_host(server: Server, slept: Slept, status: int):
    server.script = [(status, {"Location": f"https://{OTHER}/y"}, b"")]
    refused: list[str] = []
    with client(server, slept, on_blocked=refused.append) as http, pytest.raises(Blocked, match="does not follow"):
        http.post(f"{BASE}/x", source="s", rate=RATE, form={"password": "p"})
    assert (len(server.asked), refused) == (1, ["redirects"])


@pytest.mark.parametrize("status", [300, 304, 305, 399])
def test_other_statuses_of_the_three_hundreds_are_a_changed_source(server: Server, slept: Slept, status: int):
    server.script = [(status, {"Location": "/y"}, b"")]
    with client(server, slept) as http, pytest.raises(SourceChanged, match=str(status)):
        http.get(f"{BASE}/x", source="s", rate=RATE)


# TLS on a socket that the guard opened.


class _Named(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.headers["Host"])))
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, Path, list[str | None]]]:
    """A TLS server whose certificate is for HOST: its port, the certificate, and the names that clients asked for."""
    key, certificate, names = tmp_path / "key.pem", tmp_path / "cert.pem", list[str | None]()
    subprocess.run(
        [need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj",
         f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda socket, name, _: names.append(name)
    server = HTTPServer(("127.0.0.1", 0), _Named)
    server.handle_error = lambda *args: None  # type: ignore[method-assign,assignment]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1], certificate, names
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("host", "answered"), [(HOST, True), (OTHER, False)])
def test_tls_names_and_checks_the_host_although_the_socket_goes_to_an_address(
    tls: tuple[int, Path, list[str | None]], monkeypatch: pytest.MonkeyPatch, slept: Slept, host: str, answered: bool
):
    port, certificate, names = tls
    honest = httpcore.SyncBackend.connect_tcp

    def dial(self: httpcore.SyncBackend, address: str, _: int, *rest: object) -> httpcore.NetworkStream:
        assert address == "8.8.8.8"
        return honest(self, "127.0.0.1", port, *rest)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", dial)
    monkeypatch.setattr("httpx.create_ssl_context", lambda **_: ssl.create_default_context(cafile=str(certificate)))
    http = Http(HttpOptions(attempts=1), now=slept.now, sleep=slept.sleep, contact="", hosts={HOST, OTHER}, resolve=lambda *_: ["8.8.8.8"])
    try:
        if answered:
            assert http.get(f"https://{host}/x", source="s", rate=RATE).content == HOST.encode()
        else:
            with pytest.raises(SourceUnavailable, match="ConnectError"):
                http.get(f"https://{host}/x", source="s", rate=RATE)
    finally:
        http.close()
    assert names == [host]
