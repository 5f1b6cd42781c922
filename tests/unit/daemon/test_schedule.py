"""The schedule: the same instants live and in virtual time, through daylight saving, early closes and holidays."""

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.calendar import Calendar, to_microseconds
from daemon.clock import SystemClock, VirtualClock
from daemon.schedule import BadAnchor, Job, LiveScheduler, _Occurrences, occurrences, split_due, thinned, walk

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = Calendar(date(2014, 1, 1), date(2030, 12, 31))
ANCHORS = ["open", "close", "open-30m", "close+20m", "open-16h", "every 30m in session", "cron: mon-fri 06:00,12:00", "cron: sat,sun 02:30"]
INSTANTS = st.datetimes(datetime(2019, 1, 1), datetime(2022, 1, 1), timezones=st.just(UTC))


def ny(text):
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def during(anchor, start, end):
    return [at.astimezone(NEW_YORK).isoformat(timespec="minutes")[:16] for at in occurrences(anchor, CALENDAR, ny(start), ny(end))]


def job(name, anchor="open", run=lambda at: None, **more):
    return Job(name=name, anchor=anchor, run=run, **more)


def test_a_session_anchor_skips_holidays_and_follows_an_early_close():
    assert during("close+20m", "2020-11-25T00:00", "2020-12-01T00:00") == ["2020-11-25T16:20", "2020-11-27T13:20", "2020-11-30T16:20"]
    assert during("open-30m", "2020-11-25T00:00", "2020-12-01T00:00") == ["2020-11-25T09:00", "2020-11-27T09:00", "2020-11-30T09:00"]


def test_an_offset_that_reaches_into_the_day_before_is_found_from_there():
    assert during("open-16h", "2020-11-29T00:00", "2020-11-30T00:00") == ["2020-11-29T17:30"]


def test_session_anchors_keep_new_york_time_when_the_clocks_change():
    utc = [at.strftime("%dT%H:%M") for at in occurrences("open-30m", CALENDAR, ny("2020-03-06T00:00"), ny("2020-03-10T00:00"))]
    assert utc == ["06T14:00", "09T13:00"]


def test_a_loop_runs_from_the_open_to_the_close_both_included():
    assert during("every 1h in session", "2020-11-27T00:00", "2020-11-28T00:00") == [f"2020-11-27T{h}:30" for h in ("09", "10", "11", "12")]
    full = during("every 30s in session", "2020-11-30T00:00", "2020-12-01T00:00")
    assert (len(full), full[0], full[-1]) == (781, "2020-11-30T09:30", "2020-11-30T16:00")


def test_a_loop_entered_in_mid_session_stays_on_the_same_beat():
    assert during("every 1h in session", "2020-11-30T10:31", "2020-11-30T12:31") == ["2020-11-30T11:30", "2020-11-30T12:30"]


def test_cron_runs_on_named_weekdays_in_new_york_time_holidays_included():
    assert during("cron: mon-wed,fri 06:00,18:00", "2020-12-23T00:00", "2020-12-26T00:00") == [
        "2020-12-23T06:00",
        "2020-12-23T18:00",
        "2020-12-25T06:00",
        "2020-12-25T18:00",
    ]


def test_a_weekday_range_may_run_over_the_weekend():
    days = {
        at.astimezone(NEW_YORK).strftime("%a")
        for at in occurrences("cron: fri-mon 06:00", CALENDAR, ny("2020-12-01T00:00"), ny("2020-12-20T00:00"))
    }
    assert days == {"Fri", "Sat", "Sun", "Mon"}


def test_cron_keeps_wall_time_and_a_skipped_or_repeated_time_happens_once():
    spring = list(occurrences("cron: mon-sun 02:30,06:00", CALENDAR, ny("2021-03-14T00:00"), ny("2021-03-15T00:00")))
    assert [at.strftime("%H:%M") for at in spring] == ["07:30", "10:00"]  # 02:30 does not exist; it happens at 03:30 EDT
    autumn = list(occurrences("cron: mon-sun 01:30,06:00", CALENDAR, ny("2021-11-07T00:00"), ny("2021-11-08T00:00")))
    assert [at.strftime("%H:%M") for at in autumn] == ["05:30", "11:00"]  # the first 01:30, which is EDT


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        ("cron: 1-5 06:00", "numbers are refused"),
        ("cron: 0 06:00", "numbers are refused"),
        ("cron: * 06:00", "write names"),
        ("cron: mon-fry 06:00", "fry"),
        ("cron: Mon 06:00", "Mon"),
        ("cron: mon 6:00", "6:00"),
        ("cron: mon 24:00", "24:00"),
        ("cron: mon 06:00,", "HH:MM"),
        ("cron: 30 6 * * 1-5", "open-30m"),
        ("every 0s in session", "at least one second"),
        ("every 30s", "in session"),
        ("open-30", "open-30m"),
        ("noon", "close\\+20m"),
        ("", "open-30m"),
    ],
)
def test_a_bad_anchor_is_refused_when_the_job_is_declared_and_the_part_named(anchor, said):
    with pytest.raises(BadAnchor, match=said):
        job("x", anchor)


@pytest.mark.parametrize("anchor", ANCHORS)
@given(bounds=st.tuples(INSTANTS, INSTANTS, INSTANTS).map(sorted))
def test_occurrences_ascend_within_half_open_bounds_and_neighbouring_spans_neither_lose_nor_repeat(anchor, bounds):
    start, middle, end = bounds[0], *(min(at, bounds[0] + timedelta(days=40)) for at in bounds[1:])
    whole = list(occurrences(anchor, CALENDAR, start, end))
    assert whole == sorted(set(whole)) and all(start <= at < end and at.tzinfo is UTC for at in whole)
    assert whole == [*occurrences(anchor, CALENDAR, start, middle), *occurrences(anchor, CALENDAR, middle, end)]


def test_a_naive_bound_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        list(occurrences("open", CALENDAR, datetime(2020, 1, 1), ny("2020-01-05T00:00")))


def test_every_session_of_six_years_is_met_once_by_each_session_anchor():
    start, end = ny("2015-01-01T00:00"), ny("2021-04-01T00:00")
    sessions = CALENDAR.sessions(date(2015, 1, 1), date(2021, 3, 31))
    assert len(sessions) == 252 + 252 + 251 + 251 + 252 + 253 + 61  # trading days by year, and of the first quarter of 2021
    assert [at + timedelta(minutes=30) for at in occurrences("open-30m", CALENDAR, start, end)] == [CALENDAR.open_at(s) for s in sessions]
    assert [at - timedelta(minutes=20) for at in occurrences("close+20m", CALENDAR, start, end)] == [CALENDAR.close_at(s) for s in sessions]


def test_a_walk_fires_every_job_in_time_order_and_ties_in_the_order_of_the_list():
    clock, log = VirtualClock(ny("2020-11-25T00:00")), []
    jobs = [
        job(name, anchor, lambda at, name=name: log.append((at, name, clock.now())))
        for name, anchor in (("late", "close+20m"), ("b", "open-30m"), ("a", "open-30m"), ("cron", "cron: mon-fri 09:00"))
    ]
    assert walk(jobs, ny("2020-11-25T00:00"), ny("2020-11-28T00:00"), clock, CALENDAR) is True
    assert [(at.astimezone(NEW_YORK).strftime("%d %H:%M"), name) for at, name, _ in log] == [
        ("25 09:00", "b"),
        ("25 09:00", "a"),
        ("25 09:00", "cron"),
        ("25 16:20", "late"),
        ("26 09:00", "cron"),
        ("27 09:00", "b"),
        ("27 09:00", "a"),
        ("27 09:00", "cron"),
        ("27 13:20", "late"),
    ]
    assert all(at == now for at, _, now in log)


def test_a_walk_ends_after_the_run_in_progress_when_the_clock_is_interrupted():
    clock, log = VirtualClock(ny("2020-11-25T00:00")), []
    jobs = [job("stop", "open", lambda at: (log.append("stop"), clock.interrupt())), job("after", "open", lambda at: log.append("after"))]
    assert walk(jobs, ny("2020-11-25T00:00"), ny("2020-12-25T00:00"), clock, CALENDAR) is False
    assert log == ["stop"]


def test_what_a_job_raises_ends_the_walk():
    def fail(at):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        walk([job("x", "open", fail)], ny("2020-11-25T00:00"), ny("2020-12-25T00:00"), VirtualClock(ny("2020-11-25T00:00")), CALENDAR)


def test_a_walk_over_six_years_costs_little_beside_the_jobs():
    clock, count = VirtualClock(ny("2015-01-01T00:00")), Counter()
    jobs = [job(anchor, anchor, lambda at, name=anchor: count.update([name])) for anchor in ANCHORS[:4]]
    list(occurrences("open", CALENDAR, ny("2015-01-01T00:00"), ny("2015-02-01T00:00")))
    began = time.process_time()
    walk(jobs, ny("2015-01-01T00:00"), ny("2021-04-01T00:00"), clock, CALENDAR)
    assert time.process_time() - began < 1.0
    assert set(count.values()) == {1572}


@pytest.mark.parametrize("anchor", ANCHORS)
def test_the_live_trigger_rings_at_the_very_instants_of_the_walk(anchor):
    start, end = ny("2020-10-25T00:00"), ny("2020-11-30T23:00")
    trigger, rung, previous = _Occurrences(job("x", anchor), CALENDAR, start - timedelta(microseconds=1)), [], None
    while (previous := trigger.get_next_fire_time(previous, start)) < end:
        rung.append(previous)
    walked = []
    walk([job("x", anchor, walked.append)], start, end, VirtualClock(start), CALENDAR)
    assert rung == walked and walked


@pytest.mark.parametrize(
    ("policy", "run", "missed"),
    [("latest", ["27"], ["24", "25"]), ("all", ["24", "25", "27"], []), ("skip", [], ["24", "25", "27"])],
)
def test_each_missed_occurrence_is_run_or_reported_by_the_policy_of_the_job(policy, run, missed):
    split = split_due(job("x", "open", catch_up=policy), CALENDAR, ny("2020-11-23T09:30"), ny("2020-11-28T12:00"))
    assert tuple([at.strftime("%d") for at in part] for part in split) == (run, missed)


def test_under_skip_an_alarm_that_is_seconds_late_still_counts():
    split = split_due(job("x", "open", catch_up="skip"), CALENDAR, ny("2020-11-23T09:30"), ny("2020-11-24T09:30:20"))
    assert split == ([ny("2020-11-24T09:30")], [])


@dataclass(frozen=True)
class RoundTheClock:
    """A calendar with one session that is open now."""

    opens_us: np.ndarray
    closes_us: np.ndarray


def open_now(now):
    opens, closes = now - timedelta(hours=1), now + timedelta(hours=1)
    return RoundTheClock(np.array([to_microseconds(opens)]), np.array([to_microseconds(closes)]))


class Bench:
    """A live scheduler over real time, and what it reported."""

    def __init__(self, *jobs, calendar=None):
        self.clock, self.missed, self.errors, self.erred = SystemClock(), [], [], threading.Event()
        self.scheduler = LiveScheduler(
            jobs,
            calendar or open_now(self.clock.now()),
            self.clock,
            on_missed=lambda job, at: self.missed.append((job.name, at)),
            on_error=self.report,
        )

    def report(self, name, error):
        self.errors.append((name, str(error)))
        self.erred.set()


def test_live_a_job_fires_at_its_occurrences_with_the_scheduled_instant():
    ran, twice = [], threading.Semaphore(0)
    bench = Bench(job("loop", "every 1s in session", lambda at: (ran.append(at), twice.release()), ledgered=False))
    bench.scheduler.start()
    planned = bench.scheduler.next_run("loop")
    assert twice.acquire(timeout=10) and twice.acquire(timeout=10)
    assert bench.scheduler.stop(5)
    assert ran[0] == planned and ran[1] - ran[0] == timedelta(seconds=1) and ran[0].tzinfo is UTC


def test_live_what_was_missed_while_down_is_caught_up_at_start_and_the_rest_reported():
    caught_up = threading.Event()
    ran = []
    bench = Bench(job("x", "open", lambda at: (ran.append(at), caught_up.set())), calendar=CALENDAR)
    now = bench.clock.now()
    last_open = CALENDAR.open_at(CALENDAR.session_of(now))
    bench.scheduler.start({"x": CALENDAR.open_at(CALENDAR.offset(CALENDAR.session_of(now), -3))})
    assert caught_up.wait(10)
    assert bench.scheduler.stop(5)
    assert ran == [last_open]
    assert [at for _, at in bench.missed] == [CALENDAR.open_at(CALENDAR.offset(CALENDAR.session_of(now), -n)) for n in (2, 1)]


def test_live_without_a_record_nothing_past_is_due():
    bench = Bench(job("x", "open"), calendar=CALENDAR)
    bench.scheduler.start()
    assert bench.scheduler.next_run("x") == CALENDAR.next_open(bench.clock.now())
    assert bench.scheduler.stop(5) and bench.missed == []


def test_live_one_run_at_a_time_and_an_alarm_that_rang_meanwhile_is_answered_afterwards():
    at_once, most, ran, done = 0, 0, [], threading.Event()
    lock = threading.Lock()

    def slow(at):
        nonlocal at_once, most
        with lock:
            at_once, most = at_once + 1, max(most, at_once + 1)
        ran.append(at)
        if len(ran) == 1:  # the first run outlasts the next alarm
            bench.clock.sleep_until(bench.clock.now() + timedelta(seconds=1.1))
        with lock:
            at_once -= 1
        if len(ran) >= 4:
            done.set()

    bench = Bench(job("slow", "every 1s in session", slow, catch_up="all", ledgered=False))
    bench.scheduler.start({"slow": bench.clock.now() - timedelta(seconds=2)})
    assert done.wait(10)
    assert bench.scheduler.stop(5)
    assert most == 1
    assert [b - a for a, b in itertools.pairwise(ran)] == [timedelta(seconds=1)] * (len(ran) - 1)


def test_live_an_escaped_error_is_reported_and_the_job_stays_scheduled():
    def fail(at):
        raise RuntimeError("escaped")

    bench = Bench(job("x", "every 1s in session", fail, ledgered=False))
    bench.scheduler.start()
    assert bench.erred.wait(10)
    assert bench.errors[0] == ("x", "escaped")
    assert bench.scheduler.next_run("x") is not None
    assert bench.scheduler.stop(5)


def test_live_stop_waits_for_the_run_in_progress_but_not_longer_than_told():
    started, release = threading.Event(), threading.Event()
    bench = Bench(job("held", "every 1s in session", lambda at: (started.set(), release.wait(10)), ledgered=False))
    bench.scheduler.start()
    assert started.wait(10)
    assert bench.scheduler.running() == {"held"}
    assert bench.scheduler.stop(0.05) is False
    release.set()
    assert bench.scheduler.stop(5) is True
    assert bench.scheduler.running() == frozenset()


def test_two_jobs_of_one_name_are_refused():
    with pytest.raises(ValueError, match="name"):
        Bench(job("x"), job("x"))


@pytest.mark.parametrize(("anchor", "kept"), [
    ("cron: mon-fri 06:00,06:30,09:59,10:00,13:00,22:00", "cron: mon-fri 06:00,10:00,22:00"),
    ("cron: sat,sun 06:00", "cron: sat,sun 06:00"),
    ("open-30m", "open-30m"),
])  # fmt: skip
def test_a_thinned_anchor_keeps_wall_times_that_are_far_enough_apart(anchor: str, kept: str) -> None:
    assert thinned(anchor, timedelta(hours=4)) == kept
