"""Clocks: forward only, aware, interruptible, and paced."""

import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.clock import BesideClock, PacedClock, SystemClock, VirtualClock, paced_share
from scrapers.base import Rate
from scrapers.rate_limit import RateLimiter

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = datetime(2024, 1, 8, 12, tzinfo=NEW_YORK)
HOUR = timedelta(hours=1)


def weekday(day):
    return day.weekday() < 5


def test_the_system_clock_is_aware_utc_and_agrees_with_the_machine():
    assert SystemClock().now().tzinfo is UTC
    assert abs(SystemClock().now().timestamp() - time.time()) < 1


def test_the_system_clock_sleeps_until_the_instant_and_not_before():
    clock = SystemClock()
    at = clock.now() + timedelta(milliseconds=80)
    assert clock.sleep_until(at) is True
    assert clock.now() >= at


@pytest.mark.parametrize("start", [SystemClock, lambda: PacedClock(MONDAY, 3600.0)], ids=["system", "paced"])
def test_interrupt_wakes_a_sleeper_at_once_and_for_good(start):
    """The clock starts with the test: one that ran since the tests were collected may have come to an hour that takes no time."""
    clock, woken = start(), []
    sleeper = threading.Thread(target=lambda: woken.append(clock.sleep_until(clock.now() + HOUR)))
    sleeper.start()
    clock.interrupt()
    sleeper.join(timeout=5)
    assert woken == [False]
    assert clock.sleep_until(clock.now() + HOUR) is False


def test_a_paced_clock_that_was_interrupted_has_not_advanced():
    clock = PacedClock(MONDAY, 3600.0)
    clock.interrupt()
    clock.sleep_until(MONDAY + HOUR)
    assert clock.now() == MONDAY


def test_a_virtual_clock_jumps_and_tells_each_listener_each_instant_in_order():
    clock, heard = VirtualClock(MONDAY), []
    clock.on_advance(lambda at: heard.append(("first", at, clock.now())))
    clock.on_advance(lambda at: heard.append(("second", at, clock.now())))
    began = time.monotonic()
    for at in (MONDAY + HOUR, MONDAY + 2 * HOUR):
        assert clock.sleep_until(at)
    assert time.monotonic() - began < 1
    assert heard == [(name, at, at) for at in (MONDAY + HOUR, MONDAY + 2 * HOUR) for name in ("first", "second")]


def test_a_virtual_clock_never_goes_back_and_says_nothing_about_the_past():
    clock, heard = VirtualClock(MONDAY), []
    clock.on_advance(heard.append)
    assert clock.sleep_until(MONDAY - HOUR) and clock.sleep_until(MONDAY)
    assert clock.now() == MONDAY and heard == []


def test_virtual_time_is_utc_whatever_zone_it_was_given_in():
    clock = VirtualClock(MONDAY)
    assert clock.now().tzinfo is UTC and clock.now() == MONDAY


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock(MONDAY)], ids=["system", "virtual"])
def test_a_naive_datetime_is_no_instant(clock):
    with pytest.raises(ValueError, match="time zone"):
        clock.sleep_until(datetime(2024, 1, 8))


@pytest.mark.parametrize(
    ("start", "end", "share"),
    [
        ("2024-01-08T08:00", "2024-01-08T18:00", 1.0),
        ("2024-01-08T09:00", "2024-01-09T09:00", 1.0),  # one session open to the next
        ("2024-01-05T18:00", "2024-01-08T08:00", 0.0),  # a weekend
        ("2024-01-05T09:30", "2024-01-08T09:30", 1.0),  # Friday to Monday is one session, too
        ("2024-01-08T09:00", "2024-01-08T10:00", 0.1),
        ("2024-03-08T12:00", "2024-03-11T12:00", 1.0),  # over the change to daylight saving
        ("2024-01-08T18:00", "2024-01-09T07:59", 0.0),  # a night
        ("2024-01-01T00:00", "2025-01-01T00:00", 262.0),  # weekdays of 2024
    ],
)
def test_only_the_paced_hours_of_session_days_take_real_time(start, end, share):
    instants = (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC) for text in (start, end))
    assert paced_share(*instants, weekday) == pytest.approx(share)


def test_a_session_takes_the_configured_real_time_and_a_weekend_none():
    clock, heard = PacedClock(datetime(2024, 1, 5, 9, 30, tzinfo=NEW_YORK), 0.3), []
    clock.on_advance(heard.append)
    began = time.monotonic()
    instants = [datetime(2024, 1, day, hour, tzinfo=NEW_YORK) for day, hour in ((5, 16), (8, 8), (8, 9))]
    for at in instants:
        assert clock.sleep_until(at)
    elapsed = time.monotonic() - began
    assert heard == instants
    assert 0.28 < elapsed < 2  # 8.5 h of Friday and 1 h of Monday, of 10 h


def test_work_between_sleeps_counts_towards_the_pace():
    clock = PacedClock(datetime(2024, 1, 8, 8, tzinfo=NEW_YORK), 1.0)
    worked_until = time.monotonic() + 0.5
    while time.monotonic() < worked_until:
        pass
    began = time.monotonic()
    clock.sleep_until(datetime(2024, 1, 8, 13, tzinfo=NEW_YORK))  # worth 0.5 s
    assert time.monotonic() - began < 0.4


def test_any_thread_may_ask_the_time_while_another_drives():
    clock, seen, done = VirtualClock(MONDAY), [], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(clock.now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for minute in range(5000):
        clock.sleep_until(MONDAY + timedelta(minutes=minute))
    done.set()
    watcher.join(timeout=5)
    assert seen == sorted(seen)


def test_a_negative_pace_is_refused():
    with pytest.raises(ValueError, match="seconds_per_session"):
        PacedClock(MONDAY, -1.0)


def test_who_waits_beside_a_clock_moves_in_his_own_time_and_is_overtaken():
    clock = VirtualClock(MONDAY)
    beside = BesideClock(clock)
    beside.sleep(90.0)
    assert (beside.now() - MONDAY).total_seconds() == 90.0
    assert clock.now() == MONDAY, "the clock is not held up"
    clock.sleep_until(MONDAY + timedelta(hours=1))
    assert beside.now() == clock.now()


def test_each_thread_waits_for_itself():
    beside, seen = BesideClock(VirtualClock(MONDAY)), []
    beside.sleep(90.0)
    thread = threading.Thread(target=lambda: seen.append(beside.now()))
    thread.start()
    thread.join()
    assert seen == [MONDAY]


def test_an_allowance_is_kept_in_virtual_time_without_holding_the_clock_up():
    clock = VirtualClock(MONDAY)
    beside = BesideClock(clock)
    limiter, taken = RateLimiter(now=beside.now, sleep=beside.sleep), []
    for _ in range(7):
        limiter.acquire(Rate(group="g", requests=2, per_s=60.0))
        taken.append((beside.now() - MONDAY).total_seconds())
    assert taken == [0.0, 0.0, 60.0, 60.0, 120.0, 120.0, 180.0]
    assert clock.now() == MONDAY
