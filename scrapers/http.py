"""The one door to outside data services: allow-listed https, rate limits, retries, size caps, and no secret in any message."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import httpx
import tenacity

from scrapers import egress, rate_limit, redaction
from scrapers.answers import Exchange as Exchange
from scrapers.answers import Response as Response
from scrapers.base import Rate
from scrapers.circuit import Circuits
from scrapers.errors import Blocked, BlockReason, ScrapeError, SourceChanged, SourceRefused, SourceUnavailable
from scrapers.rate_limit import RateLimiter
from scrapers.validators import Pending, Validators, page_key
from scrapers.wire import Answer, Carrier, Question, Transient, Wire, WireOptions

OnRequest = Callable[[str, str, float], None]
Params = Mapping[str, str | int]
Jar = dict[str, dict[str, str]]
"""Cookies by host. A fetch that needs a session makes one and passes it to each of its requests."""

MAX_REDIRECTS = 3
VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of the client: seconds per phase and per attempt, attempts per request, bytes per body, the longest pause it accepts."""

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    total_timeout_s: float = 180.0
    attempts: int = 4
    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0
    retry_after_max_s: float = 900.0
    body_limit_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One request, as a source means it."""

    source: str
    rate: Rate
    method: str
    url: str
    params: dict[str, str | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    accept: frozenset[int] = frozenset()
    jar: Jar | None = None
    conditional: bool = False
    redact: frozenset[str] = frozenset()
    json: object = None
    form: dict[str, str] | None = None

    def asked(self) -> dict[str, Any]:
        """Its fields, as an archive keeps them."""
        return redaction.asked(self.url, self.params, self.form, document=self.json, redact=self.redact)


class Http:
    """Fetches from outside data services on behalf of every dataset.

    options: limits. now, sleep: the injected clock, for rate limits, back-off and stamps. contact: goes into the User-Agent.
    hosts: the only hosts that may be asked, over https. credentials: headers by host, sent to that host alone.
    routes: official base URL -> loopback base URL, for local doubles of a service; credentials follow the official host. With routes,
        nothing but them is asked.
    budget: requests per period by rate group, below what the provider allows. validators: where conditional requests keep theirs.
    circuits: the circuits of the sources; None: every request is let through.
    on_retry: told the source before each further attempt. on_blocked: told the reason of every refusal of our own.
    on_request: told (source, status class, seconds) after every attempt; classes are 2xx, 3xx, 4xx, 429, 5xx and error.
    on_exchange: told every complete answer of any status.
    carrier, transport: what carries the requests; None: the network. resolve: names to IP addresses.
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
        budget: Mapping[str, int] | None = None,
        validators: Validators | None = None,
        circuits: Circuits | None = None,
        on_request: OnRequest | None = None,
        on_retry: Callable[[str], None] | None = None,
        on_blocked: Callable[[BlockReason], None] | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
        carrier: Carrier | None = None,
        transport: httpx.BaseTransport | None = None,
        resolve: egress.Resolve = egress.system_addresses,
    ) -> None:
        for target in (routes or {}).values():
            if not egress.is_loopback(target):
                raise Blocked(f"route to {egress.shown(target)}: only loopback addresses may stand in for a service")
        self._options, self._now, self._sleep = options, now, sleep
        self._hosts, self._credentials = frozenset(hosts), dict(credentials or {})
        self._routes = {official.rstrip("/"): local.rstrip("/") for official, local in (routes or {}).items()}
        self.circuits, self._pages = circuits, Pending(validators)
        self._on_request, self._on_retry, self._on_blocked, self._on_exchange = on_request, on_retry, on_blocked, on_exchange
        self.limiter = RateLimiter(now=now, sleep=sleep, budget=budget)
        """For priming after a restart, and for showing what of each allowance is used."""
        self._carrier = carrier or Wire(
            WireOptions(
                connect_timeout_s=options.connect_timeout_s,
                read_timeout_s=options.read_timeout_s,
                total_timeout_s=options.total_timeout_s,
                body_limit_bytes=options.body_limit_bytes,
            ),
            agent=_agent(contact),
            local=self._routes.values(),
            resolve=resolve,
            transport=transport,
        )

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
        conditional: bool = False,
        redact: Collection[str] = (),
    ) -> Response:
        """GET an https URL of an allow-listed host.

        accept: statuses from 400 on that are answers and not failures, for services that say "nothing found" by 404. headers: sent to
        this host alone; a User-Agent among them replaces ours. jar: cookies, sent to the hosts that set them and updated.
        conditional: an answer 304 (`not_modified`, no content) is welcome when nothing changed since the last page that was settled as
        stored. redact: JSON keys of question and answer whose values no archive keeps.

        Answers 429 and 5xx and failures of the transport are tried again, after `Retry-After` or a jittered back-off.
        Raises Blocked (address, redirect or size refused here), SourceRefused (401, 403), SourceChanged (any other 4xx),
        SourceUnavailable (attempts used up, or a pause asked for that is too long), CircuitOpen. Messages name host and path only.
        """
        return self._send(
            _Ask(
                source=source,
                rate=rate,
                method="GET",
                url=url,
                params=dict(params or {}),
                headers=dict(headers or {}),
                accept=frozenset(accept),
                jar=jar,
                conditional=conditional,
                redact=frozenset(redact),
            )
        )

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
        redact: Collection[str] = (),
    ) -> Response:
        """POST a JSON document or a form; otherwise as `get`. Only for searches and logins, which may be repeated."""
        return self._send(
            _Ask(
                source=source,
                rate=rate,
                method="POST",
                url=url,
                params=dict(params or {}),
                headers=dict(headers or {}),
                accept=frozenset(accept),
                jar=jar,
                redact=frozenset(redact),
                json=json,
                form=None if form is None else dict(form),
            )
        )

    def settle(self, source: str, *, stored: bool) -> None:
        """Say what became of the pages of a source's run: stored, or not, so that they must be fetched in full again."""
        self._pages.settle(source, stored=stored)

    def close(self) -> None:
        """Release the connections."""
        self._carrier.close()

    def _send(self, ask: _Ask) -> Response:
        if self.circuits is not None:
            self.circuits.admit(ask.source)
        try:
            answer = self._persist(ask)
        except Blocked as error:
            if self._on_blocked is not None:
                self._on_blocked(error.reason)
            raise
        except (SourceUnavailable, SourceRefused) as error:
            if self.circuits is not None:
                self.circuits.request_failed(ask.source, str(error))
            raise
        if self.circuits is not None:
            self.circuits.request_succeeded(ask.source)
        return answer

    def _persist(self, ask: _Ask) -> Response:
        retrying = tenacity.Retrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._options.attempts),
            wait=self._pause,
            retry=tenacity.retry_if_exception(self._worth_another),
            before_sleep=lambda _: self._on_retry(ask.source) if self._on_retry else None,
            reraise=True,
        )
        try:
            return retrying(self._follow, ask)
        except Transient as error:
            raise SourceUnavailable(f"{egress.shown(ask.url)}: {error}") from error

    def _follow(self, ask: _Ask) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            self._wait(ask.rate)
            answer = self._attempt(ask)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            ask = _redirected(ask, answer)
        raise Blocked(f"{egress.shown(ask.url)}: more than {MAX_REDIRECTS} redirects", "redirects")

    def _wait(self, rate: Rate) -> None:
        held = self.limiter.held_s(rate.group)
        if held > self._options.retry_after_max_s:
            raise SourceUnavailable(f"{rate.group} asked to be left alone for another {held:.0f} s")
        self.limiter.acquire(rate)

    def _attempt(self, ask: _Ask) -> Response:
        question, host = self._question(ask)
        started_at, begun, outcome = self._now(), time.perf_counter(), "error"
        try:
            answer = self._carrier.ask(question)
            outcome = _status_class(answer.status)
        finally:
            if self._on_request is not None:
                self._on_request(ask.source, outcome, time.perf_counter() - begun)
        fetched_at = self._now()
        cookies = _cookies(answer)
        if ask.jar is not None:
            ask.jar.setdefault(host, {}).update(cookies)
        self._record(ask, question, answer, cookies, started_at, fetched_at)
        self._heed(ask, answer, fetched_at)
        return self._response(ask, question, answer, fetched_at)

    def _question(self, ask: _Ask) -> tuple[Question, str]:
        """What goes out for a request, and to which host. Raises Blocked for an address that may not be asked."""
        address = egress.admitted(ask.url, self._hosts)
        asked = ask.asked()
        headers = {name.lower(): value for name, value in self._credentials.get(address.host, {}).items()}
        if ask.conditional:
            headers |= self._pages.conditions(ask.source, page_key(ask.method, _bare(address.url), asked))
        headers |= {name.lower(): value for name, value in ask.headers.items()}
        if ask.jar and ask.jar.get(address.host):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in ask.jar[address.host].items())
        question = Question(
            method=ask.method,
            url=_bare(address.url),
            target=self._target(address.url),
            params=ask.params,
            headers=headers,
            json=ask.json,
            form=ask.form,
            asked=asked,
        )
        return question, address.host

    def _target(self, url: str) -> str:
        for official, local in self._routes.items():
            if url.startswith(f"{official}/"):
                return local + url[len(official) :]
        if self._routes:
            raise Blocked(f"{egress.shown(url)}: no local double stands in for it")
        return url

    def _record(
        self, ask: _Ask, question: Question, answer: Answer, cookies: Mapping[str, str], started_at: datetime, fetched_at: datetime
    ) -> None:
        if self._on_exchange is None:
            return
        self._on_exchange(
            Exchange(
                source=ask.source,
                group=ask.rate.group,
                method=ask.method,
                url=question.url,
                asked=question.asked,
                status=answer.status,
                headers=redaction.headers(answer.headers, cookies),
                content=redaction.content(answer.content, ask.redact),
                started_at=started_at,
                fetched_at=fetched_at,
            )
        )

    def _heed(self, ask: _Ask, answer: Answer, at: datetime) -> None:
        """What the answer says about coming again holds for the whole group. Raises what a status means, unless it is welcome."""
        spent = rate_limit.reset_s(answer.headers, at)
        if spent is not None:
            self.limiter.hold(ask.rate.group, at + timedelta(seconds=spent))
        status = answer.status
        if status in ask.accept or status < 300 or status in (301, 302, 303, 307, 308) or (status == 304 and ask.conditional):
            return
        if status == 429 or status >= 500:
            pause = rate_limit.retry_after_s(answer.headers.get("retry-after", ""), at)
            if pause is not None:
                self.limiter.hold(ask.rate.group, at + timedelta(seconds=pause))
            raise Transient(f"answered {status}", spent if pause is None and status == 429 else pause)
        error: type[ScrapeError] = SourceRefused if status in (401, 403) else SourceChanged
        raise error(f"{egress.shown(ask.url)}: answered {status}")

    def _response(self, ask: _Ask, question: Question, answer: Answer, fetched_at: datetime) -> Response:
        if ask.conditional and answer.status == 200:
            self._pages.keep(ask.source, page_key(ask.method, question.url, question.asked), answer.headers)
        unchanged = answer.status == 304
        return Response(
            status=answer.status,
            url=egress.shown(ask.url),
            headers=answer.headers,
            content=b"" if unchanged else answer.content,
            fetched_at=fetched_at,
            not_modified=unchanged,
        )

    def _worth_another(self, error: BaseException) -> bool:
        return isinstance(error, Transient) and (error.retry_after_s or 0.0) <= self._options.retry_after_max_s

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, Transient) and error.retry_after_s is not None:
            return error.retry_after_s
        jittered = tenacity.wait_exponential_jitter(
            initial=self._options.backoff_initial_s, max=self._options.backoff_max_s, jitter=self._options.backoff_initial_s
        )
        return jittered(state)


def _agent(contact: str) -> str:
    return f"allocd/{VERSION} ({contact}) httpx/{httpx.__version__}" if contact else f"allocd/{VERSION} httpx/{httpx.__version__}"


def _bare(url: str) -> str:
    return url.partition("?")[0]


def _status_class(status: int) -> str:
    return "429" if status == 429 else f"{status // 100}xx"


def _redirected(ask: _Ask, answer: Response) -> _Ask:
    """The request that a redirect leads to. Another host gets neither the caller's headers nor a body."""
    try:
        url = urljoin(ask.url, answer.headers.get("location", ""))
        same_host = egress.host_of(url) == egress.host_of(ask.url)
    except ValueError as error:
        raise Blocked(f"{egress.shown(ask.url)}: redirects to an address that does not parse", "redirects") from error
    ask = replace(ask, url=url, params={}, headers=ask.headers if same_host else {})
    if answer.status not in (307, 308) or ask.method == "GET":
        return replace(ask, method="GET", json=None, form=None)
    if not same_host:
        raise Blocked(f"{egress.shown(url)}: a form does not follow a redirect to another host", "redirects")
    return ask


def _cookies(answer: Answer) -> dict[str, str]:
    lines = (line.partition(";")[0].strip().partition("=") for line in answer.set_cookies)
    return {name: value for name, _, value in lines if name}
