"""Who may enter the exchange over HTTP, how often, and at what time: keys, request rate, lock and clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hmac import compare_digest
from threading import Lock
from time import monotonic

from fastapi import Request, Response

from execution.exchange.orders import Refusal
from execution.exchange.venue import Venue

WINDOW_S = 60.0


class Gate:
    """The way to the venue, one request at a time."""

    def __init__(
        self,
        venue: Venue,
        *,
        clock: Callable[[], datetime] | None,
        key: str | None,
        secret: str | None,
        rate_limit: int | None,
    ) -> None:
        self._venue = venue
        self._lock = Lock()
        self.clock = clock
        self._credentials = None if key is None else (key, secret or "")
        self._limit = rate_limit
        self._window_from = monotonic()
        self._used = 0

    @contextmanager
    def venue(self) -> Iterator[Venue]:
        """The venue for the length of a request, brought up to the real clock if it follows one."""
        with self._lock:
            if self.clock is not None:
                self._venue.follow(self.clock())
            yield self._venue

    def check(self, request: Request, response: Response) -> None:
        """Dependency of every trading route. Raises Refusal 401 for wrong keys and 429 above the request rate."""
        if self._credentials is not None:
            given = (request.headers.get("APCA-API-KEY-ID", ""), request.headers.get("APCA-API-SECRET-KEY", ""))
            if not all(compare_digest(a.encode(), b.encode()) for a, b in zip(given, self._credentials, strict=True)):
                raise Refusal("request is not authorized", status=401, code=40110000)
        if self._limit is not None:
            self._count(self._limit, response)

    def _count(self, limit: int, response: Response) -> None:
        with self._lock:
            now = monotonic()
            if now - self._window_from >= WINDOW_S:
                self._window_from, self._used = now, 0
            self._used += 1
            left = limit - self._used
        if left < 0:
            raise Refusal("too many requests.", status=429, code=42910000)
        response.headers["X-RateLimit-Limit"] = str(limit)
        response.headers["X-RateLimit-Remaining"] = str(left)
