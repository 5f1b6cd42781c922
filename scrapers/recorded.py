"""Recorded answers in place of services: the real client, asked the same again, makes the same rows again."""

import threading
from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from datetime import datetime

from scrapers import egress
from scrapers.answers import Exchange
from scrapers.errors import NotRecorded
from scrapers.http import Http, HttpOptions
from scrapers.validators import page_key
from scrapers.wire import Answer, Question


def recorded_http(exchanges: Iterable[Exchange], *, fetched_at: datetime, hosts: Collection[str]) -> Http:
    """The client over recorded answers: no network, no waiting, no rate limit; every answer bears the instant of its own fetch.

    A request is answered by the first exchange of the same method, address and fields that was not used yet, failures included, so
    that retries go as they went. One that was not recorded, or not so often, raises NotRecorded: an answer that never came cannot be
    told apart from one that was pruned. fetched_at: the client's clock when nothing was answered yet.
    """
    record = _Record(exchanges, fetched_at)
    return Http(HttpOptions(), now=record.now, sleep=lambda _: None, contact="", hosts=hosts, carrier=record)


class _Record:
    """A carrier whose clock stands at the instant of the answer that it gave last."""

    def __init__(self, exchanges: Iterable[Exchange], at: datetime) -> None:
        self._at, self._lock = at, threading.Lock()
        self._left: dict[str, deque[Exchange]] = defaultdict(deque)
        for exchange in exchanges:
            self._left[page_key(exchange.method, exchange.url, exchange.asked)].append(exchange)

    def now(self) -> datetime:
        return self._at

    def ask(self, question: Question) -> Answer:
        with self._lock:
            left = self._left.get(page_key(question.method, question.url, question.asked))
            if not left:
                fields = ", ".join(sorted(question.asked))[:200]
                raise NotRecorded(f"{question.method} {egress.shown(question.url)} ({fields}): not among the recorded answers")
            found = left.popleft()
            self._at = found.fetched_at
        cookies = found.headers.get("set-cookie", "")
        return Answer(
            status=found.status,
            headers={name: value for name, value in found.headers.items() if name != "set-cookie"},
            content=found.content,
            set_cookies=tuple(line for line in cookies.split(", ") if line),
        )

    def close(self) -> None:
        self._left.clear()
