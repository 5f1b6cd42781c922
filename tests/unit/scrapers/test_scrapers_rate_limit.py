"""The limiter on virtual time."""

import random
import threading
from datetime import UTC, datetime, timedelta

from scrapers.base import Rate
from scrapers.rate_limit import RateLimiter

START = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)


class VirtualTime:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def test_a_burst_up_to_the_limit_does_not_wait():
    clock = VirtualTime()
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep)
    assert [limiter.acquire(Rate(group="g", requests=5, per_s=3600)) for _ in range(5)] == [0.0] * 5


def test_the_request_after_a_burst_waits_until_the_first_is_a_period_old():
    clock = VirtualTime()
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep)
    rate = Rate(group="g", requests=2, per_s=60)
    limiter.acquire(rate)
    clock.sleep(10)
    limiter.acquire(rate)
    assert limiter.acquire(rate) == 50.0
    assert limiter.acquire(rate) == 10.0


def test_no_period_of_any_position_sees_more_than_the_limit():
    clock, rng = VirtualTime(), random.Random(4)
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep)
    sent = []
    for _ in range(300):
        clock.sleep(rng.choice([0.0, 0.0, 0.5, 3.0, 40.0]))
        limiter.acquire(Rate(group="g", requests=7, per_s=60))
        sent.append(clock.at)
    for earlier, later in zip(sent, sent[7:], strict=False):
        assert later - earlier >= timedelta(seconds=60)


def test_datasets_of_one_group_share_its_allowance_and_other_groups_do_not():
    clock = VirtualTime()
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep)
    assert limiter.acquire(Rate(group="alpaca", requests=1, per_s=60)) == 0.0
    assert limiter.acquire(Rate(group="cboe", requests=1, per_s=60)) == 0.0
    assert limiter.acquire(Rate(group="alpaca", requests=1, per_s=60)) == 60.0


def test_threads_reserve_distinct_tokens_even_when_the_clock_stands_still():
    waits: list[float] = []
    limiter = RateLimiter(now=lambda: START, sleep=lambda _: None)
    rate = Rate(group="g", requests=4, per_s=10)

    def ask() -> None:
        for _ in range(4):
            waits.append(limiter.acquire(rate))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [0.0] * 4 + [10.0] * 4 + [20.0] * 4 + [30.0] * 4
