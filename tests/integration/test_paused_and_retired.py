"""What the operator's word about a strategy does to the cycles that follow."""

import threading
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from daemon.invariants import check_now
from daemon.strategy_state import change
from scrapers import DATASETS
from tests.integration.desk import DAYS, Desk, wants

D0, D1, D2, D3, D4 = DAYS[:5]


def say(desk: Desk, strategy: str, state: Literal["active", "paused", "retired"]) -> None:
    change(desk.rt.db, strategy, state, at=desk.rt.clock.now(), actor="test", reason="to see what happens")


def evaluated(desk: Desk) -> list[tuple[str, str]]:
    rows = desk.sql("SELECT c.session, e.sleeve FROM evaluations e JOIN cycles c USING (cycle_id) ORDER BY 1, 2")
    return [(row["session"].isoformat(), row["sleeve"]) for row in rows]


def test_a_paused_strategy_is_not_asked_and_keeps_what_it_holds_while_the_others_go_on(open_a_desk):
    first, second = {"AAA": 0.5}, {"BBB": 0.5}
    desk = open_a_desk({"a": wants("a", first), "b": wants("b", second)})
    desk.day(D0)
    say(desk, "a", "paused")
    first.clear()
    second.update(BBB=0.25)
    desk.day(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(250)}, "b": {"BBB": Decimal(250)}}
    assert evaluated(desk) == [(D0.isoformat(), "a"), (D0.isoformat(), "b"), (D1.isoformat(), "b")]
    enabled = [line for line in desk.rt.metrics.exposition().decode().splitlines() if line.startswith("allocd_strategy_enabled")]
    assert enabled == ['allocd_strategy_enabled{strategy="a"} 0.0', 'allocd_strategy_enabled{strategy="b"} 1.0']
    say(desk, "a", "active")
    desk.day(D2)
    assert desk.holdings() == {"b": {"BBB": Decimal(500)}}, "what it had wanted to sell is sold now; who wants nothing needs no capital"


def test_a_pause_survives_a_restart(open_a_desk):
    wanted = {"AAA": 0.5}
    desk = open_a_desk({"a": wants("a", wanted)})
    desk.day(D0)
    say(desk, "a", "paused")
    desk.restart()
    wanted.clear()
    desk.day(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(500)}}


def test_a_retired_strategy_is_wound_down_to_cash_and_its_capital_goes_to_the_others(open_a_desk):
    desk = open_a_desk({"a": wants("a", {"AAA": 0.5}), "b": wants("b", {"BBB": 0.5})})
    desk.day(D0)
    say(desk, "a", "retired")
    desk.day(D1)
    desk.day(D2)
    assert desk.holdings() == {"b": {"BBB": Decimal(1000)}}, "half of the whole account at 50"
    assert desk.cash("a") == 0 and not any(check_now(desk.rt).values())


def test_a_strategy_that_comes_back_from_retirement_ramps_in_like_a_new_one(open_a_desk):
    strategies = {"a": wants("a", {"AAA": 1.0}), "b": wants("b", {"BBB": 1.0})}
    desk = open_a_desk(strategies, ALLOCD_RAMP_SESSIONS="2", ALLOCD_MAX_SLEEVE_FRAC="0.5")
    desk.day(D0)
    desk.day(D1)
    assert desk.holdings()["a"] == {"AAA": Decimal(500)}, "after two sessions a strategy has its full share"
    say(desk, "a", "retired")
    desk.day(D2)
    assert "a" not in desk.holdings()
    say(desk, "a", "active")
    desk.day(D3)
    assert desk.holdings()["a"] == {"AAA": Decimal(250)}, "the first of two steps"
    desk.restart()
    desk.day(D4)
    assert desk.holdings()["a"] == {"AAA": Decimal(500)}


def test_what_a_new_strategy_merely_uses_is_waited_for_while_it_is_coming_and_not_for_ever(open_a_desk):
    fond = replace(wants("b", {"BBB": 1.0}), uses=("vix",))
    desk = open_a_desk({"a": wants("a", {"AAA": 1.0}), "b": fond}, ALLOCD_MAX_SLEEVE_FRAC="0.5")
    desk.rt.sources = {"vix": DATASETS["vix"].sources[:1]}
    desk.rt.queued.add("vix")
    desk.day(D0)
    assert set(desk.holdings()) == {"a"}
    desk.rt.queued.discard("vix")
    desk.rt.collecting["vix"] = threading.Lock()
    with desk.rt.collecting["vix"]:
        desk.day(D1)
        assert set(desk.holdings()) == {"a"}
    desk.day(D2)
    assert set(desk.holdings()) == {"a", "b"}, "it could not be read, and the strategy can do without"


def test_a_new_strategy_waits_for_the_past_of_its_data_and_is_warmed_up_on_it(open_a_desk):
    later = replace(wants("b", {"BBB": 1.0}), needs=("bars_daily", "vix"))
    desk = open_a_desk({"a": wants("a", {"AAA": 1.0}), "b": later}, ALLOCD_SHADOW_WARMUP_SESSIONS="5", ALLOCD_MAX_SLEEVE_FRAC="0.5")
    desk.rt.sources = {"vix": DATASETS["vix"].sources[:1]}
    desk.day(D0)
    assert desk.holdings() == {"a": {"AAA": Decimal(500)}}
    assert desk.sql("SELECT DISTINCT sleeve FROM shadow_marks") == [{"sleeve": "a"}]
    desk.rt.db.run(
        "watermark_set",
        dataset="vix",
        source=DATASETS["vix"].sources[0].name,
        watermark=desk.rt.clock.now(),
        fetched_at=desk.rt.clock.now(),
    )
    desk.day(D1)
    assert desk.holdings()["b"] == {"BBB": Decimal(1000)}
    assert desk.sql("SELECT count(*) AS n FROM shadow_marks WHERE sleeve = 'b' AND session < %(d)s", d=D0)[0]["n"] >= 4
