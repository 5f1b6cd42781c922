"""The one door to outside data services: allow-listed https, rate limits, retries, size caps, and no secret in any message."""

import ipaddress
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx
import tenacity

from scrapers import markup
from scrapers.base import Rate
from scrapers.errors import Blocked, ScrapeError, SourceChanged, SourceRefused, SourceUnavailable
from scrapers.rate_limit import RateLimiter

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

OnRequest = Callable[[str, str, float], None]
Params = Mapping[str, str | int]
Jar = dict[str, dict[str, str]]
"""Cookies by host. A fetch that needs a session makes one and passes it to each of its requests."""

MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of the client: seconds per phase, attempts per request, bytes per body, the longest pause it accepts."""

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    attempts: int = 4
    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0
    retry_after_max_s: float = 900.0
    body_limit_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A successful answer, wholly read. `url` bears neither query nor credentials; `fetched_at` is UTC."""

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    fetched_at: datetime

    def json(self) -> Any:
        """The body as JSON; SourceChanged when it is something else, whatever its content type says."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise SourceChanged(f"{self.url}: the body is not JSON ({type(error).__name__}, {len(self.content)} bytes)") from error

    def xml(self) -> "Element":
        """The body as an XML element; SourceChanged when it is something else, or declares a document type or entities."""
        return markup.xml_of(self.content, self.url)

    def text(self) -> str:
        """The body as UTF-8 text, a byte-order mark removed, undecodable bytes replaced."""
        return self.content.decode("utf-8-sig", errors="replace")


class _Transient(Exception):
    """A failure worth another attempt, with the pause that the server asked for."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One request, as a source means it."""

    method: str
    url: str
    params: dict[str, str | int]
    headers: dict[str, str]
    accept: frozenset[int]
    jar: Jar | None
    json: object = None
    form: dict[str, str] | None = None


class Http:
    """Fetches from outside data services on behalf of every dataset.

    options: limits. now, sleep: the injected clock, for rate limits, back-off and stamps. contact: goes into the User-Agent.
    hosts: the only hosts that may be asked, over https. credentials: headers by host, sent to that host alone.
    routes: official base URL -> loopback base URL, for local doubles of a service; credentials follow the official host.
    on_retry: told the source before each further attempt.
    transport: what carries the requests; None: the network.
    on_request: told (source, status class, seconds) after every attempt; classes are 2xx, 3xx, 4xx, 429, 5xx and error.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        contact: str,
        hosts: Collection[str],
        credentials: Mapping[str, Mapping[str, str]] | None = None,
        routes: Mapping[str, str] | None = None,
        on_request: OnRequest | None = None,
        on_retry: Callable[[str], None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        for target in (routes or {}).values():
            if not _is_loopback(target):
                raise Blocked(f"route to {urlsplit(target).hostname}: only loopback addresses may stand in for a service")
        self._options, self._now, self._sleep = options, now, sleep
        self._hosts, self._credentials, self._routes = frozenset(hosts), dict(credentials or {}), dict(routes or {})
        self._on_request, self._on_retry = on_request, on_retry
        self._limiter = RateLimiter(now=now, sleep=sleep)
        self._client = _client(options, contact, transport)

    def get(
        self,
        url: str,
        params: Params | None = None,
        *,
        source: str,
        rate: Rate,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        jar: Jar | None = None,
    ) -> Response:
        """GET an https URL of an allow-listed host.

        accept: statuses from 400 on that are answers and not failures, for services that say "nothing found" by 404. headers: sent to
        this host alone. jar: cookies, sent to the hosts that set them and updated.
        Answers 429 and 5xx and failures of the transport are tried again, after `Retry-After` or a jittered back-off.
        Raises Blocked (address, redirect or size refused here), SourceRefused (401, 403), SourceChanged (any other 4xx),
        SourceUnavailable (attempts used up, or a pause asked for that is too long). Messages name host and path only.
        """
        ask = _Ask(method="GET", url=url, params=dict(params or {}), headers=dict(headers or {}), accept=frozenset(accept), jar=jar)
        return self._send(ask, source, rate)

    def post(
        self,
        url: str,
        *,
        source: str,
        rate: Rate,
        json: object = None,
        form: Mapping[str, str] | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        jar: Jar | None = None,
    ) -> Response:
        """POST a JSON document or a form; otherwise as `get`. Only for searches and logins, which may be repeated."""
        ask = _Ask(
            method="POST",
            url=url,
            params=dict(params or {}),
            headers=dict(headers or {}),
            accept=frozenset(accept),
            jar=jar,
            json=json,
            form=None if form is None else dict(form),
        )
        return self._send(ask, source, rate)

    def _send(self, ask: _Ask, source: str, rate: Rate) -> Response:
        retrying = tenacity.Retrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._options.attempts),
            wait=self._pause,
            retry=tenacity.retry_if_exception(self._worth_another),
            before_sleep=lambda _: self._on_retry(source) if self._on_retry else None,
            reraise=True,
        )
        try:
            return retrying(self._follow, ask, source, rate)
        except _Transient as error:
            raise SourceUnavailable(f"{_shown(ask.url)}: {error}") from error

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _follow(self, ask: _Ask, source: str, rate: Rate) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            self._limiter.acquire(rate)
            answer = self._attempt(ask, source)
            if not 300 <= answer.status < 400:
                return answer
            ask = replace(ask, method="GET", url=urljoin(ask.url, answer.headers.get("location", "")), params={}, json=None, form=None)
        raise Blocked(f"{_shown(ask.url)}: more than {MAX_REDIRECTS} redirects")

    def _attempt(self, ask: _Ask, source: str) -> Response:
        target, headers = self._admit(ask.url)
        host = urlsplit(ask.url).hostname or ""
        headers |= ask.headers | ({"Cookie": _cookie(ask.jar[host])} if ask.jar and host in ask.jar else {})
        started, outcome = time.perf_counter(), "error"
        try:
            with self._client.stream(
                ask.method, target, params=ask.params or None, headers=headers, json=ask.json, data=ask.form
            ) as answer:
                outcome = _status_class(answer.status_code)
                if ask.jar is not None:
                    _keep_cookies(ask.jar.setdefault(host, {}), answer)
                _check_status(answer, ask)
                content = self._body(answer, ask.url)
                return Response(
                    status=answer.status_code,
                    url=_shown(ask.url),
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    content=content,
                    fetched_at=self._now(),
                )
        except (httpx.TransportError, httpx.DecodingError) as error:
            outcome = "error"
            raise _Transient(type(error).__name__) from error
        finally:
            if self._on_request is not None:
                self._on_request(source, outcome, time.perf_counter() - started)

    def _admit(self, url: str) -> tuple[str, dict[str, str]]:
        """The address to connect to and the headers for it; Blocked unless https to an allow-listed host on its own port."""
        host = _https_host(url)
        if host not in self._hosts:
            raise Blocked(f"{_shown(url)}: only https to {', '.join(sorted(self._hosts))} is allowed")
        headers = dict(self._credentials.get(host, {}))
        for official, local in self._routes.items():
            if url == official or url.startswith(official.rstrip("/") + "/"):
                return local.rstrip("/") + url[len(official.rstrip("/")) :], headers
        return url, headers

    def _body(self, answer: httpx.Response, url: str) -> bytes:
        received = bytearray()
        for chunk in answer.iter_bytes():
            received += chunk
            if len(received) > self._options.body_limit_bytes:
                raise Blocked(f"{_shown(url)}: body exceeds {self._options.body_limit_bytes} bytes")
        return bytes(received)

    def _worth_another(self, error: BaseException) -> bool:
        return isinstance(error, _Transient) and (error.retry_after_s or 0.0) <= self._options.retry_after_max_s

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, _Transient) and error.retry_after_s is not None:
            return error.retry_after_s
        jittered = tenacity.wait_exponential_jitter(
            initial=self._options.backoff_initial_s, max=self._options.backoff_max_s, jitter=self._options.backoff_initial_s
        )
        return jittered(state)


def _client(options: HttpOptions, contact: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    agent = f"allocd/1.0 ({contact})" if contact else "allocd/1.0"
    timeout = httpx.Timeout(options.read_timeout_s, connect=options.connect_timeout_s)
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False, headers={"User-Agent": agent})


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _https_host(url: str) -> str:
    """The host of a plain https address on the standard port, else an empty string."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.username is None and parts.port in (None, 443)
    except ValueError:
        return ""
    return (parts.hostname or "") if plain else ""


def _shown(url: str) -> str:
    """Scheme, host and path: what may be logged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that does not parse"
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _status_class(status: int) -> str:
    return "429" if status == 429 else f"{status // 100}xx"


def _cookie(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _keep_cookies(kept: dict[str, str], answer: httpx.Response) -> None:
    for line in answer.headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].strip().partition("=")
        if name:
            kept[name] = value


def _check_status(answer: httpx.Response, ask: _Ask) -> None:
    status = answer.status_code
    if status in ask.accept:
        return
    if status == 429 or status >= 500:
        raise _Transient(f"answered {status}", _retry_after_s(answer.headers.get("Retry-After", "")))
    error: type[ScrapeError] = SourceRefused if status in (401, 403) else SourceChanged
    if status >= 400:
        raise error(f"{_shown(ask.url)}: answered {status}")


def _retry_after_s(value: str) -> float | None:
    """Seconds from a `Retry-After` in seconds; the date form is left to the back-off."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        return None
