"""The limiter on virtual time."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


RATES = st.builds(Rate, group=st.just("g"), requests=st.integers(1, 6), per_s=st.sampled_from([0.5, 1.0, 60.0]))


@settings(deadline=None)
@given(RATES, st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["ask", "ask", "ask", "hold"])), max_size=60), st.integers(1, 6))
def test_no_window_holds_more_than_the_budget_whatever_the_order_of_arrival(rate: Rate, events: list[tuple[float, str]], budget: int):
    clock, sent = VirtualTime(), []
    allowed = min(budget, rate.requests)
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep, budget={"g": allowed}, limits={"g": rate})
    for pause, event in events:
        clock.sleep(pause)
        if event == "hold":
            limiter.hold("g", clock.at + timedelta(seconds=pause))
        else:
            limiter.acquire(rate)
            sent.append(clock.at)
    for earlier, later in zip(sent, sent[allowed:], strict=False):
        assert later - earlier >= timedelta(seconds=rate.per_s)


@settings(max_examples=20, deadline=None)
@given(RATES, st.integers(2, 5), st.integers(1, 12))
def test_threads_that_arrive_together_are_spread_over_as_many_periods_as_it_takes(rate: Rate, n_threads: int, each: int):
    """On a clock that stands still a wait is an instant."""
    waits: list[float] = []
    limiter = RateLimiter(now=lambda: START, sleep=lambda _: None)
    threads = [threading.Thread(target=lambda: waits.extend(limiter.acquire(rate) for _ in range(each))) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = n_threads * each
    assert sorted(waits) == pytest.approx([index // rate.requests * rate.per_s for index in range(total)])


@settings(deadline=None)
@given(RATES, st.lists(st.floats(-200, 0), max_size=12), st.integers(0, 8))
def test_a_restart_grants_no_fresh_allowance(rate: Rate, ages: list[float], asks: int):
    clock = VirtualTime()
    before = sorted(START + timedelta(seconds=age) for age in ages)
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep, limits={"g": rate})
    limiter.prime("g", before)
    sent = []
    for _ in range(asks):
        limiter.acquire(rate)
        sent.append(clock.at)
    made = [*before, *sent]
    for index in range(len(before), len(made)):
        if index >= rate.requests:
            assert made[index] - made[index - rate.requests] >= timedelta(seconds=rate.per_s)


def test_what_is_used_is_what_was_taken_in_the_period_that_ends_now():
    clock = VirtualTime()
    rate = Rate(group="quiver-5-hour", requests=5, per_s=3600)
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep, budget={"quiver-5-hour": 4})
    limiter.prime("quiver-5-hour", [START - timedelta(minutes=70), START - timedelta(minutes=50)])
    limiter.acquire(rate)
    assert limiter.used("quiver-5-hour") == (2, 4)
    clock.sleep(900)
    assert limiter.used("quiver-5-hour") == (1, 4)
    assert limiter.used("sec") == (0, 8)
    assert limiter.used("nobody") == (0, 0)


@pytest.mark.parametrize(
    ("budget", "said"),
    [({"sec": 9}, "sec is 9 requests per 1 s; it may be 1 to 8"), ({"sec": 0}, "1 to 8"), ({"secs": 1}, "'secs'; the nearest is 'sec'")],
)
def test_a_budget_can_only_lower_what_a_known_provider_allows(budget: dict[str, int], said: str):
    with pytest.raises(ValueError, match=said):
        RateLimiter(now=lambda: START, sleep=lambda _: None, budget=budget)


def test_a_group_that_is_held_back_waits_and_a_shorter_hold_does_not_shorten_it():
    clock = VirtualTime()
    limiter = RateLimiter(now=clock.now, sleep=clock.sleep)
    limiter.hold("g", START + timedelta(seconds=30))
    limiter.hold("g", START + timedelta(seconds=10))
    assert (limiter.held_s("g"), limiter.held_s("other")) == (30.0, 0.0)
    assert limiter.acquire(Rate(group="g", requests=5, per_s=1)) == 30.0
    assert limiter.held_s("g") == 0.0
