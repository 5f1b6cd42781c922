"""Data that is too old holds the strategies that need it, in a runtime that collects; the decision is recorded and derived again."""

from datetime import timedelta

from daemon.freshness import watch
from daemon.verify import verify
from scrapers import DATASETS
from tests.integration.desk import CALENDAR, DAYS, wants

D0, D1, D2 = DAYS[:3]
BARS = DATASETS["bars_daily"]
SOURCE = BARS.sources[0]


def succeeded(desk, at):
    desk.rt.db.run("watermark_set", dataset="bars_daily", source=SOURCE.name, watermark=at, fetched_at=at)


def evaluations(desk):
    return [(r["outcome"], r["reason"]) for r in desk.sql("SELECT outcome, reason FROM evaluations ORDER BY cycle_id")]


def test_a_strategy_holds_while_a_dataset_that_it_needs_is_stale_and_trades_when_it_has_recovered(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    desk.rt.sources = {"bars_daily": (SOURCE,)}
    succeeded(desk, CALENDAR.close_at(D0) - timedelta(days=10))
    desk.day(D0)
    ((outcome, reason),) = evaluations(desk)
    assert outcome == "held" and reason.startswith("bars_daily is stale: the success due at ")
    assert desk.counts()["orders"] == 0
    succeeded(desk, CALENDAR.close_at(D0) + timedelta(minutes=21))
    desk.day(D1)
    assert evaluations(desk)[1] == ("evaluated", "")
    assert desk.counts()["orders"] == 1
    verdicts = verify(desk.rt.db, desk.rt.lake, DATASETS, desk.rt.strategies, CALENDAR)
    assert [v.ok for v in verdicts] == [True, True], "what was stale then is on record"


def test_a_runtime_that_collects_nothing_owes_nothing(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    succeeded(desk, CALENDAR.close_at(D0) - timedelta(days=100))
    desk.day(D0)
    assert evaluations(desk) == [("evaluated", "")]


def test_becoming_stale_and_recovering_are_told_once(open_a_desk, monkeypatch):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    rt, told = desk.rt, []
    monkeypatch.setattr("daemon.freshness.log.warning", lambda event, **fields: told.append((event, fields["dataset"])))
    monkeypatch.setattr("daemon.freshness.log.info", lambda event, **fields: told.append((event, fields["dataset"])))
    rt.sources = {"bars_daily": (SOURCE,)}
    succeeded(desk, CALENDAR.close_at(D0))
    late = CALENDAR.close_at(D2)
    assert watch(rt, CALENDAR.close_at(D0), ["bars_daily"]) == {}
    assert list(watch(rt, late, ["bars_daily"])) == list(watch(rt, late, ["bars_daily"])) == ["bars_daily"]
    due = rt.metrics.value("allocd_data_due_timestamp_seconds", dataset="bars_daily")
    assert due == (CALENDAR.close_at(D0) + timedelta(minutes=20) + BARS.grace).timestamp()
    succeeded(desk, late)
    assert watch(rt, late, ["bars_daily"]) == rt.stale == {}
    assert told == [("data.stale", "bars_daily"), ("data.recovered", "bars_daily")]
