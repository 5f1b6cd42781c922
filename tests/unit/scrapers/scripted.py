"""A server that answers as it is told, and a clock that only sleeping moves."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scrapers.base import Rate
from scrapers.http import Http, HttpOptions

HOST = "api.example.org"
BASE = f"https://{HOST}"
OTHER = "other.example.org"
RATE = Rate(group="test", requests=1000, per_s=1.0)

Scripted = tuple[int, dict[str, str], bytes]


class Server:
    """Answers each request with the next scripted (status, headers, body) and remembers what was asked.

    A header whose value has line breaks is sent once for each line. raw: writes a whole answer by itself, in place of the script.
    """

    def __init__(self) -> None:
        self.script: list[Scripted] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.raw: Callable[[Any], None] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                outer.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                if outer.raw is not None:
                    outer.raw(self.wfile)
                    self.close_connection = True
                    return
                status, headers, body = outer.script.pop(0) if outer.script else (200, {}, b"{}")
                self.send_response(status)
                for name, value in headers.items():
                    for line in value.split("\n"):
                        self.send_header(name, line)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is what some tests are about."""

        self.httpd = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()
    thread.join()


class Slept:
    def __init__(self) -> None:
        self.at, self.pauses = datetime(2026, 1, 5, tzinfo=UTC), []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += timedelta(seconds=seconds)


@contextmanager
def client(server: Server, slept: Slept, options: HttpOptions | None = None, **given: Any) -> Iterator[Http]:
    """The client with routes to the server for both hosts."""
    http = Http(
        options or HttpOptions(body_limit_bytes=100_000, read_timeout_s=5.0), now=slept.now, sleep=slept.sleep, contact="ops@example.org",
        hosts={HOST, OTHER}, routes={BASE: server.url, f"https://{OTHER}": f"{server.url}/other"}, **given,
    )  # fmt: skip
    try:
        yield http
    finally:
        http.close()
