"""What can go wrong with an outside service, switched on by host: an ASGI layer around the doubles.

`PUT /twin/faults {"host": "api.x.y", "kind": "429", "times": 3}` switches one on, `DELETE /twin/faults[?host=...]` off, `GET` lists
what is on. Without `times` it stays on. `path` limits it to paths that begin so; `seconds` is the size of a pause, delay or skew.
"""

import asyncio
import functools
import gzip
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import Response

from scrapers.twin import services
from scrapers.twin.base import MARK, json_answer

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KINDS = {
    "429": "Too Many Requests, without a word about when to come again",
    "429_retry_after": "Too Many Requests with Retry-After of `seconds`",
    "500": "Internal Server Error",
    "503": "Service Unavailable, an HTML page",
    "html": "status 200 and an HTML page where something else is due",
    "truncated": "the body ends in its middle",
    "slow": "the body drips for `seconds`",
    "encoding": "the body in UTF-16, declared as UTF-8",
    "schema": "every key of every JSON object renamed, every heading of a table or CSV too",
    "container": "the JSON document wrapped in an object of another shape",
    "duplicate_page": "every page shows the first page again",
    "clock_skew": "the service believes that it is `seconds` later",
    "empty": "a success without any record",
    "reset": "the connection breaks off before the answer ends",
    "redirect": "a redirect to a host that nobody allowed",
    "bomb": "a small compressed body of 200 MB of zeros",
    "hostile": "every text in the answer followed by markup, control characters and a very long tail",
}
PAGING = frozenset({"page", "page_token", "pageToken", "after", "from", "start", "skip", "offset"})
DELAYED_CHUNKS = 20


@dataclass(slots=True)
class Fault:
    """One fault of one host. times: how many more answers it spoils; None: all."""

    host: str
    kind: str
    path: str = ""
    times: int | None = None
    seconds: float = 60.0


@dataclass(slots=True)
class Faults:
    """The faults that are on, and how many answers each host has had spoilt."""

    on: dict[str, Fault] = field(default_factory=dict)
    spoilt: dict[str, int] = field(default_factory=dict)

    def put(self, fault: Fault) -> None:
        """Switch a host's fault on, in place of the one before it."""
        self.on[fault.host] = fault

    def clear(self, host: str | None = None) -> None:
        """Switch off one host's fault, or all."""
        for name in [host] if host else list(self.on):
            self.on.pop(name, None)

    def skew(self, host: str) -> timedelta:
        """How far the service's clock is ahead."""
        fault = self.on.get(host)
        return timedelta(seconds=fault.seconds) if fault and fault.kind == "clock_skew" else timedelta(0)

    def take(self, host: str, path: str) -> Fault | None:
        """The fault that this answer gets, counted."""
        fault = self.on.get(host)
        if fault is None or not path.startswith(fault.path) or fault.times == 0:
            return None
        if fault.times is not None:
            fault.times -= 1
        self.spoilt[host] = self.spoilt.get(host, 0) + 1
        return fault

    def routes(self) -> APIRouter:
        """The switches, under /twin/faults."""
        router = APIRouter(prefix="/twin/faults")

        @router.get("")
        def listed() -> Response:
            return json_answer({"on": [asdict(fault) for fault in self.on.values()], "spoilt": self.spoilt, "kinds": KINDS})

        @router.put("")
        def switch(body: dict[str, Any] = Body()) -> Response:  # noqa: B008 - the framework's way
            try:
                fault = Fault(**body)
            except TypeError as error:
                raise HTTPException(400, f"a fault has host, kind, path, times, seconds: {error}") from error
            if fault.kind not in KINDS:
                raise HTTPException(400, f"no such fault; there are {', '.join(KINDS)}")
            self.put(fault)
            return json_answer(asdict(fault))

        @router.delete("")
        def off(host: str | None = None) -> Response:
            self.clear(host)
            return json_answer({"on": [asdict(fault) for fault in self.on.values()]})

        return router


def parsed(given: Iterable[str]) -> Faults:
    """Faults written as HOST=KIND. Raises ValueError for another form, and for a host or a kind that there is not."""
    faults, hosts = Faults(), {service.host for service in services.found()}
    for text in given:
        host, equals, kind = text.partition("=")
        if not equals or host not in hosts or kind not in KINDS:
            raise ValueError(
                f"{text!r} is not HOST=KIND with one of the hosts {', '.join(sorted(hosts))} and of the kinds {', '.join(KINDS)}"
            )
        faults.put(Fault(host=host, kind=kind))
    return faults


class FaultLayer:
    """Serves `app`, spoiling what the faults say."""

    def __init__(self, app: App, faults: Faults) -> None:
        self._app, self._faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        host, _, path = scope.get("path", "").lstrip("/").partition("/")
        fault = self._faults.take(host, f"/{path}") if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.kind == "duplicate_page":
            scope["query_string"] = _first_page(scope["query_string"])
        answer = _INSTEAD.get(fault.kind)
        status, headers, body = answer(fault) if answer else await self._inner(scope, receive)
        status, headers, body = _spoilt(fault, status, headers, body)
        await _deliver(fault, status, headers, body, send)

    async def _inner(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = 500, dict[str, str](), bytearray()

        async def collect(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode(): value.decode() for name, value in message["headers"] if name != b"content-length"}
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, collect)
        return status, headers, bytes(body)


PAGE = b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body><h1>Checking your browser</h1></body></html>"


def _plain(status: int, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"content-type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}, body


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b"0" * 200_000_000, 9)


_INSTEAD: dict[str, Callable[[Fault], tuple[int, dict[str, str], bytes]]] = {
    "429": lambda fault: _plain(429, b"Too Many Requests"),
    "429_retry_after": lambda fault: _plain(429, b"Too Many Requests", retry_after=f"{fault.seconds:.0f}"),
    "500": lambda fault: _plain(500, b"QueuePool limit reached"),
    "503": lambda fault: (503, {"content-type": "text/html"}, PAGE),
    "html": lambda fault: (200, {"content-type": "text/html"}, PAGE),
    "redirect": lambda fault: _plain(302, location="https://elsewhere.example/"),
    "bomb": lambda fault: (200, {"content-type": "application/json", "content-encoding": "gzip"}, _bomb()),
}


def _spoilt(fault: Fault, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    change = _CHANGES.get(fault.kind)
    return (status, headers, change(body)) if change else (status, headers, body)


def _truncated(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _recoded(body: bytes) -> bytes:
    return body.decode("utf-8", errors="replace").encode("utf-16")


def _renamed(body: bytes) -> bytes:
    """Other names for everything: keys of JSON objects, else the first line or the table headings of a text."""
    try:
        return json.dumps(_rekeyed(json.loads(body))).encode()
    except ValueError:
        first, _, rest = body.partition(b"\n")
        renamed = first.swapcase() + b"_v9\n" + rest if b"," in first else body
        return renamed.replace(b"<th", b"<th>new ").replace(b"</", b"_v9</") if b"<" in renamed else renamed


def _rekeyed(value: object) -> object:
    if isinstance(value, dict):
        return {f"{key}_v9": _rekeyed(item) for key, item in value.items()}
    return [_rekeyed(item) for item in value] if isinstance(value, list) else value


def _wrapped(body: bytes) -> bytes:
    try:
        return json.dumps({"status": "ok", "payload": {"items": json.loads(body)}}).encode()
    except ValueError:
        return b'{"status": "ok", "payload": {}}'


def _emptied(body: bytes) -> bytes:
    """The same document with every list of records emptied; of a text its first line."""
    try:
        return json.dumps(_without_records(json.loads(body))).encode()
    except ValueError:
        return body.partition(b"\n")[0] + b"\n" if not body.lstrip().startswith(b"<") else body


def _without_records(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_records(item) for key, item in value.items()}
    return [] if isinstance(value, list) else value


def _hostile(body: bytes) -> bytes:
    try:
        return json.dumps(_poisoned(json.loads(body))).encode()
    except ValueError:
        return body.replace(b"<td>", b"<td><script>alert(1)</script>\x00\x1b[31m")


def _poisoned(value: object) -> object:
    if isinstance(value, str):
        return f"{value}<script>alert(1)</script>\x00\x1b[31m\u202e" + "A" * 5000
    if isinstance(value, dict):
        return {key: _poisoned(item) for key, item in value.items()}
    return [_poisoned(item) for item in value[:50]] if isinstance(value, list) else value


_CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": _truncated,
    "encoding": _recoded,
    "schema": _renamed,
    "container": _wrapped,
    "empty": _emptied,
    "hostile": _hostile,
}


def _first_page(query: bytes) -> bytes:
    kept = [(name, value) for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if name not in PAGING]
    return urlencode(kept).encode()


async def _deliver(fault: Fault, status: int, headers: dict[str, str], body: bytes, send: Send) -> None:
    length = len(body) + (1000 if fault.kind == "reset" else 0)
    lines = [(name.encode(), value.encode()) for name, value in {**headers, **{k.lower(): v for k, v in MARK.items()}}.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*lines, (b"content-length", str(length).encode())]})
    if fault.kind == "reset":
        await send({"type": "http.response.body", "body": body, "more_body": True})
        raise ConnectionResetError("the fault `reset` breaks the connection off")
    if fault.kind == "slow" and body:
        step = max(1, -(-len(body) // DELAYED_CHUNKS))
        for start in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
            await asyncio.sleep(fault.seconds / DELAYED_CHUNKS)
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})
