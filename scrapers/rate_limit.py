"""Token buckets: at most so many requests in any period, shared by everything of one group."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scrapers.base import Rate


@dataclass(slots=True)
class RateLimiter:
    """Delays callers so that no group exceeds its rate.

    A group's bucket holds `requests` tokens, and a token comes back a full period after it was taken: a burst is allowed, yet no
    stretch of `per_s` seconds, wherever it begins, sees more than `requests`. (An evenly refilled bucket would let nearly twice as
    many through in its first period, which providers that count per hour answer with 429.) A caller that finds the bucket empty
    reserves the next token to return and sleeps once until then; reservations are served in order of arrival.
    """

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    _taken: dict[str, deque[datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acquire(self, rate: Rate) -> float:
        """Wait for one request of the rate's group; returns the seconds waited (0 when a token was at hand)."""
        wait = self._reserve(rate)
        if wait > 0:
            self.sleep(wait)
        return wait

    def _reserve(self, rate: Rate) -> float:
        with self._lock:
            at = self.now()
            taken = self._taken.setdefault(rate.group, deque())
            while len(taken) > rate.requests:
                taken.popleft()
            due = at
            if len(taken) == rate.requests:
                due = max(at, taken.popleft() + timedelta(seconds=rate.per_s))
            taken.append(due)
            return (due - at).total_seconds()
