"""A dataset is stale when a success that its schedule owes is missing, or when nothing new has come for too long."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.calendar import Calendar
from daemon.freshness import Freshness, freshness
from scrapers.base import Dataset, Rate, Source

CALENDAR = Calendar()
RATE = Rate(group="g", requests=1, per_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    symbol: str


def source(name: str, *, optional: bool = False) -> Source:
    return Source(name=name, fetch=lambda *_: iter(()), rate=RATE, urls=("https://x.example.org",), optional=optional)


A, B, MAYBE = source("a"), source("b"), source("maybe", optional=True)
DAILY = Dataset(name="d", row=Row, key=("symbol",), schedule="close+20m", description="", sources=(A, B), grace=timedelta(hours=2))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FRIDAY_CLOSE, NEXT_DUE = at("2026-01-16T21:20"), at("2026-01-20T23:20")  # Monday the 19th is a holiday


def judged(now: datetime, fetched: dict[str, datetime], latest: datetime | None = None, dataset: Dataset = DAILY) -> Freshness:
    return freshness(dataset, dataset.sources, fetched, latest, CALENDAR, now)


def test_a_long_weekend_makes_nothing_stale():
    done = {"a": FRIDAY_CLOSE, "b": FRIDAY_CLOSE}
    assert judged(at("2026-01-20T23:19"), done) == Freshness(due_at=NEXT_DUE, reason="")
    late = judged(at("2026-01-20T23:21"), done)
    assert late == Freshness(due_at=NEXT_DUE, reason="the success due at 2026-01-20 23:20 UTC is missing")


def test_the_source_that_lags_behind_decides():
    done = {"a": at("2026-01-20T21:20"), "b": FRIDAY_CLOSE}
    assert judged(at("2026-01-21T14:00"), done).due_at == NEXT_DUE
    assert judged(at("2026-01-21T14:00"), done).reason
    assert not judged(at("2026-01-21T14:00"), {"a": at("2026-01-20T21:20"), "b": at("2026-01-20T21:21")}).reason


def test_an_optional_source_owes_nothing_unless_it_is_the_only_one():
    both = replace(DAILY, sources=(A, MAYBE))
    assert judged(at("2026-01-20T12:00"), {"a": FRIDAY_CLOSE}, dataset=both).reason == ""
    alone = replace(DAILY, sources=(MAYBE,))
    assert judged(at("2026-01-25T12:00"), {"maybe": FRIDAY_CLOSE}, dataset=alone).reason


def test_what_was_never_collected_is_stale_and_what_was_imported_is_judged_by_its_age():
    now = at("2026-01-20T12:00")
    assert judged(now, {}).reason == "never collected and never imported"
    assert judged(now, {}, latest=at("2020-01-01")) == Freshness(due_at=None, reason="")
    aging = replace(DAILY, max_silence=timedelta(days=30))
    assert judged(now, {}, latest=at("2025-12-25"), dataset=aging).reason == ""
    assert judged(now, {}, latest=at("2025-12-20"), dataset=aging).reason == "nothing newer than 2025-12-20 has come"


def test_a_source_that_is_still_being_read_the_first_time_makes_its_dataset_stale():
    half = freshness(DAILY, DAILY.sources, {}, FRIDAY_CLOSE, CALENDAR, at("2026-01-17T12:00"), begun=True)
    assert half.reason == "never read to the end: a, b"
    assert judged(at("2026-01-17T12:00"), {"a": FRIDAY_CLOSE}, latest=FRIDAY_CLOSE).reason == "never read to the end: b"


def test_a_source_that_answers_and_has_nothing_new_is_silent():
    quiet = replace(DAILY, max_silence=timedelta(days=10))
    done = {"a": FRIDAY_CLOSE, "b": FRIDAY_CLOSE}
    assert judged(at("2026-01-17T12:00"), done, latest=at("2026-01-08"), dataset=quiet).reason == ""
    assert judged(at("2026-01-19T12:00"), done, latest=at("2026-01-08"), dataset=quiet).reason == "nothing newer than 2026-01-08 has come"


@pytest.mark.parametrize(("schedule", "last", "due"), [
    ("cron: sat 08:00", "2026-01-17T13:00", "2026-01-24T15:00"),
    ("cron: mon-fri 06:00,12:00", "2026-01-16T17:00", "2026-01-19T13:00"),
    ("open-60m", "2026-01-16T13:30", "2026-01-20T15:30"),
])  # fmt: skip
def test_the_next_success_is_owed_at_the_next_occurrence_plus_the_grace(schedule: str, last: str, due: str):
    done = {"a": at(last), "b": at(last)}
    assert judged(at(last), done, dataset=replace(DAILY, schedule=schedule)).due_at == at(due)
