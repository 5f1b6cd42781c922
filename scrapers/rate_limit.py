"""Token buckets: at most so many requests in any period, shared by everything of one group; and what servers say about coming again."""

import difflib
import threading
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from scrapers import rates
from scrapers.base import Rate

LIMITS: Mapping[str, Rate] = {rate.group: rate for rate in vars(rates).values() if isinstance(rate, Rate)}
"""Every group's limit, as its provider states it."""
EPOCH_S = 1e9
"""Some services count their reset from now, others from 1970; no wait is this long."""


class RateLimiter:
    """Delays callers so that no group exceeds its rate.

    A group's bucket holds `requests` tokens, and a token comes back a full period after it was taken: a burst is allowed, yet no
    stretch of `per_s` seconds, wherever it begins, sees more than `requests`. (An evenly refilled bucket would let nearly twice as
    many through in its first period, which providers that count per hour answer with 429.) A caller that finds the bucket empty
    reserves the next token to return and sleeps once until then; reservations are served in order of arrival.

    now, sleep: the injected clock. budget: requests per period by group, in place of the provider's limit. Raises ValueError for one
    that is above the limit, below 1, or of an unknown group. limits: the providers' limits.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        budget: Mapping[str, int] | None = None,
        limits: Mapping[str, Rate] = LIMITS,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._limits, self._budget = dict(limits), dict(budget or {})
        check_budget(self._budget, self._limits)
        self._taken: dict[str, deque[datetime]] = {}
        self._held: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def acquire(self, rate: Rate) -> float:
        """Wait for one request of the rate's group; returns the seconds waited (0 when a token was at hand)."""
        wait = self._reserve(rate)
        if wait > 0:
            self._sleep(wait)
        return wait

    def hold(self, group: str, until: datetime) -> None:
        """Let nothing of the group out before `until`, because its server said so."""
        with self._lock:
            self._held[group] = max(until, self._held.get(group, until))

    def held_s(self, group: str) -> float:
        """Seconds for which the group is still held back."""
        with self._lock:
            return max((self._held[group] - self._now()).total_seconds(), 0.0) if group in self._held else 0.0

    def used(self, group: str) -> tuple[int, int]:
        """Requests taken in the period that ends now, reservations included, and requests allowed in it; (0, 0) for an unknown group."""
        with self._lock:
            rate = self._limits.get(group)
            if rate is None:
                return 0, 0
            begin, allowed = self._now() - timedelta(seconds=rate.per_s), self._allowed(rate)
            return min(sum(at > begin for at in self._taken.get(group, ())), allowed), allowed

    def prime(self, group: str, instants: Iterable[datetime]) -> None:
        """Count requests that an earlier process made, so that a restart does not grant a fresh allowance."""
        with self._lock:
            taken = self._taken.setdefault(group, deque())
            merged = sorted([*taken, *instants])
            rate = self._limits.get(group)
            self._taken[group] = deque(merged) if rate is None else deque(merged[-self._allowed(rate) :])

    def _allowed(self, rate: Rate) -> int:
        return min(self._budget.get(rate.group, rate.requests), rate.requests)

    def _reserve(self, rate: Rate) -> float:
        with self._lock:
            self._limits.setdefault(rate.group, rate)
            at, allowed = self._now(), self._allowed(rate)
            taken = self._taken.setdefault(rate.group, deque())
            while len(taken) > allowed:
                taken.popleft()
            due = max(at, self._held.get(rate.group, at))
            if len(taken) == allowed:
                due = max(due, taken.popleft() + timedelta(seconds=rate.per_s))
            insort(taken, due)
            return (due - at).total_seconds()


def check_budget(budget: Mapping[str, int], limits: Mapping[str, Rate] = LIMITS) -> None:
    """Raise ValueError for a group that is unknown, or a figure above the provider's limit."""
    for group, requests in budget.items():
        _refuse_budget(group, requests, limits)


def _refuse_budget(group: str, requests: int, limits: Mapping[str, Rate]) -> None:
    if group not in limits:
        near = difflib.get_close_matches(group, limits, n=1, cutoff=0.0)
        raise ValueError(f"no rate group is called {group!r}; the nearest is {near[0] if near else 'none'!r}")
    limit = limits[group]
    if not 1 <= requests <= limit.requests:
        raise ValueError(
            f"the budget of {group} is {requests} requests per {limit.per_s:g} s; it may be 1 to {limit.requests}, the provider's limit"
        )


def retry_after_s(value: str, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After`, which is a number of seconds or a date; None when it is neither."""
    try:
        seconds = float(value)
        return min(max(seconds, 0.0), EPOCH_S) if seconds == seconds else None
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), EPOCH_S)


def reset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the allowance of `X-Ratelimit-Remaining` is renewed, when nothing remains of it; else None.

    Reddit counts the seconds from now and as a float, Alpaca from 1970.
    """
    try:
        remaining, reset = float(headers["x-ratelimit-remaining"]), float(headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    if not remaining <= 0:
        return None
    seconds = reset - now.timestamp() if reset > EPOCH_S else reset
    return seconds if 0 < seconds < EPOCH_S else None
