"""The one user of httpx: a request goes out through the guarded sockets, and its answer comes back whole and bounded."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpcore
import httpx

from scrapers import bodies, egress
from scrapers.errors import Blocked

MAX_CONNECTIONS = 20
KEEP_ALIVE_S = 30.0
for _library in ("httpx", "httpcore"):  # below warnings they write queries and headers, keys included
    logging.getLogger(_library).setLevel(logging.WARNING)


class Transient(Exception):
    """A failure worth another attempt, with the pause that the server asked for."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request as it goes out.

    url is the official address and names what is asked; target is where it goes, the same or a local double. asked is what an archive
    keeps of its fields.
    """

    method: str
    url: str
    target: str
    params: Mapping[str, str | int] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    json: object = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    asked: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One complete answer of any status. Names of headers are lower case; set_cookies has the lines of Set-Cookie."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    set_cookies: tuple[str, ...] = field(default=(), repr=False)


class Carrier(Protocol):
    """What carries questions to services: the network, or a record of earlier answers."""

    def ask(self, question: Question) -> Answer:
        """The answer. Raises Transient when there is none, Blocked when it may not be asked or is too large."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """Seconds for connecting, between two reads and for a whole request; bytes of a body, unpacked."""

    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    body_limit_bytes: int


class Wire:
    """Carries questions over the network.

    agent: the User-Agent of questions that bring none. local: base addresses of the doubles on this machine. resolve: names to IP
    addresses. transport: what carries instead of guarded sockets. Proxies and other settings of the environment are not heeded, and
    of headers h11 accepts 100 kB.
    """

    def __init__(
        self,
        options: WireOptions,
        *,
        agent: str,
        local: Collection[str] = (),
        resolve: egress.Resolve = egress.system_addresses,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._options, self._deadline = options, egress.Deadline()
        ends = [(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)) for parts in map(urlsplit, local)]
        backend = egress.GuardedBackend(local=ends, deadline=self._deadline, resolve=resolve)
        self._client = httpx.Client(
            transport=transport or _GuardedTransport(backend),
            timeout=httpx.Timeout(options.read_timeout_s, connect=options.connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": agent, "Accept-Encoding": "gzip, deflate"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # a source's own jar is the only one
        )

    def ask(self, question: Question) -> Answer:
        """The answer, wholly read within the limits. Raises Transient for a failure of the transport, Blocked for a refused address or
        body, SourceChanged for a body packed as nobody asked.
        """
        name = egress.shown(question.url)
        try:
            with (
                self._deadline.within(self._options.total_timeout_s),
                self._client.stream(
                    question.method,
                    question.target,
                    params=question.params or None,
                    headers={name.encode(): value.encode() for name, value in question.headers.items()},
                    json=question.json,
                    data=question.form,
                ) as answer,
            ):
                return Answer(
                    status=answer.status_code,
                    headers={key.lower(): value for key, value in answer.headers.items()},
                    content=self._body(answer, name),
                    set_cookies=tuple(answer.headers.get_list("set-cookie")),
                )
        except (httpx.TransportError, httpx.DecodingError, bodies.CutOff) as error:
            raise Transient(type(error).__name__) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Blocked(f"{name}: cannot be asked ({type(error).__name__})") from None

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _body(self, answer: httpx.Response, name: str) -> bytes:
        limit = self._options.body_limit_bytes
        if answer.is_stream_consumed:  # by a transport that had it whole, and unpacked it
            return bodies.read([answer.content], "", limit, name)
        return bodies.read(answer.iter_raw(), answer.headers.get("content-encoding", ""), limit, name)


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport over a pool whose sockets are ours."""

    def __init__(self, backend: egress.GuardedBackend) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=backend,
        )
