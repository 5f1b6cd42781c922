"""The cycle: intents before the network, each session decided once, and a memory that the record can always replace."""

import threading
from decimal import Decimal

import psycopg
import pytest

from daemon.invariants import check_now
from daemon.jobs import Skipped
from daemon.marks import mark
from daemon.memory import load_memory
from execution.errors import Unreachable
from tests.integration.desk import DAYS, wants

D0, D1, D2, D3, D4, D5 = DAYS[:6]


def hashes(desk):
    return [r["decision_hash"] for r in desk.sql("SELECT decision_hash FROM cycles ORDER BY session")]


def test_a_strategy_that_wants_half_the_account_in_one_share_gets_it_at_the_open(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    assert desk.day(D0) == {"cycle_id": "20220103", "session": "2022-01-03", "orders": 1, "sent": 1, "why": "due: s"}
    assert desk.holdings() == {"s": {"AAA": Decimal(500)}}, "50,000 USD at 100"
    assert desk.cash("s") == Decimal(50_000), "all of the capital is its own"
    desk.day(D1)
    assert desk.counts()["orders"] == 1, "nothing is left to trade"


def test_every_intent_is_in_the_database_before_the_first_one_is_sent(open_a_desk, postgres):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.3, "BBB": 0.3, "CCC": 0.3})})
    seen = []

    def look(request):
        with psycopg.connect(postgres.ensure(), options=f"-c search_path={desk.rt.db.schema}") as other:
            orders = other.execute("SELECT symbol, status, sent_at FROM orders ORDER BY symbol").fetchall()
            shares = other.execute("SELECT sum(qty) FROM order_shares").fetchone()
            cycles = other.execute("SELECT applied_at FROM cycles").fetchall()
        seen.append((orders, shares, cycles))

    desk.wire.on_submit = look
    desk.cycle(D0)
    intended = [("AAA", "intended", None), ("BBB", "intended", None), ("CCC", "intended", None)]
    assert seen == [(intended, (Decimal(300 + 600 + 1500),), [(None,)])] * 3


def test_a_second_cycle_of_a_session_does_nothing(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    desk.cycle(D0)
    before, applied = desk.counts(), desk.sql("SELECT applied_at FROM cycles")
    assert desk.cycle(D0) == {"cycle_id": "20220103", "resumed": True}
    desk.restart()
    assert desk.cycle(D0) == {"cycle_id": "20220103", "resumed": True}
    assert (desk.counts(), desk.sql("SELECT applied_at FROM cycles")) == (before, applied)
    assert desk.wire.submitted == ["desk-20220103-AAA-1"]


def test_a_cycle_killed_between_record_and_send_is_finished_by_the_next_process(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.4, "BBB": 0.4})})

    class Killed(BaseException):
        pass

    def kill(request):
        if request.symbol == "BBB":
            raise Killed

    desk.wire.on_submit = kill
    with pytest.raises(Killed):
        desk.cycle(D0)
    assert len(desk.venue.blotter.orders) == 1
    desk.wire.on_submit = lambda request: None
    desk.restart()
    desk.settle(D0, 9, 5)
    assert desk.cycle(D0)["resumed"]
    desk.settle(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(400), "BBB": Decimal(800)}}
    assert len(desk.venue.blotter.orders) == 2
    assert desk.agrees_with_broker()


def test_a_decision_from_memory_and_one_from_the_record_are_the_same(open_a_desk):
    moves = {("AAA", d): (100.0 + i, 100.5 + 2 * i) for i, d in enumerate(DAYS)}
    moves |= {("BBB", d): (50.0 - i / 4, 50.0 - i / 3) for i, d in enumerate(DAYS)}
    targets = [
        {"a": {"AAA": 0.5, "BBB": 0.2}, "b": {"BBB": 0.6}},
        {"a": {"AAA": 0.2}, "b": {"BBB": 0.3, "CCC": 0.3}},
        {"a": {}, "b": {"AAA": 0.9}},
    ]
    recorded = []
    for restarts in (False, True):
        a, b = {}, {}
        desk = open_a_desk({"a": wants("a", a), "b": wants("b", b)}, quotes=moves)
        for i, day in enumerate(DAYS[:8]):
            for held, new in ((a, targets[i % 3]["a"]), (b, targets[i % 3]["b"])):
                held.clear()
                held.update(new)
            desk.day(day)
            if restarts:
                desk.restart()
        rows = desk.sql("SELECT symbol, side, qty, filled_avg_price FROM orders ORDER BY session, symbol")
        inputs = desk.sql("SELECT input - 'versions_known' AS input FROM cycles ORDER BY session")
        recorded.append((hashes(desk), rows, inputs, desk.sql("SELECT nav_usd, return_index FROM nav_marks ORDER BY session")))
    assert recorded[0] == recorded[1]
    assert len(set(recorded[0][0])) == 8


def test_a_strategy_that_is_removed_from_the_settings_is_wound_down_to_cash(open_a_desk):
    both = {"a": wants("a", {"AAA": 0.8}), "b": wants("b", {"BBB": 0.8})}
    desk = open_a_desk(both)
    desk.day(D0)
    assert desk.holdings() == {"a": {"AAA": Decimal(400)}, "b": {"BBB": Decimal(800)}}, "80 % of a half each"
    desk.restart({"a": both["a"]})
    desk.day(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(800)}}, "all of the capital is with the one that is left"
    desk.day(D2)
    assert (desk.cash("b"), desk.holdings()) == (Decimal(0), {"a": {"AAA": Decimal(800)}})
    assert desk.agrees_with_broker()


def test_the_last_strategy_that_is_removed_is_wound_down_too(open_a_desk):
    both = {"a": wants("a", {"AAA": 0.8}), "b": wants("b", {})}
    desk = open_a_desk(both)
    desk.day(D0)
    desk.restart({"b": both["b"]})
    desk.day(D1)
    assert desk.holdings() == {}


def test_a_new_strategy_ramps_in_over_its_sessions(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 1.0})}, ALLOCD_RAMP_SESSIONS="4")
    held = []
    for day in (D0, D1, D2, D3, D4):
        desk.day(day)
        held.append(desk.holdings()["s"]["AAA"])
    assert held == [250, 500, 750, 1000, 1000]


def test_a_missed_window_is_skipped_with_its_reason_and_the_sleeve_stays_due(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    scheduled = desk.at(D0, 9)
    desk.at(D0, 10, 31)
    with pytest.raises(Skipped, match="window of the session's open has passed"):
        desk.cycles.run(scheduled)
    assert (desk.counts()["cycles"], desk.wire.submitted) == (0, [])
    assert desk.day(D1)["why"] == "due: s"
    assert desk.holdings() == {"s": {"AAA": Decimal(500)}}


def test_a_cycle_that_is_late_but_inside_the_window_trades_at_the_running_price(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    scheduled = desk.at(D0, 9)
    desk.at(D0, 10, 29)
    assert desk.cycles.run(scheduled)["sent"] == 1
    desk.settle(D0, 10, 30)
    assert desk.holdings() == {"s": {"AAA": Decimal(500)}}


def test_a_broker_that_is_away_stops_the_cycle_before_anything_is_recorded(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    desk.wire.down = {"fills"}
    with pytest.raises(Unreachable):
        desk.cycle(D0)
    assert desk.counts()["cycles"] == 0
    desk.wire.down = set()
    assert desk.cycle(D0)["sent"] == 1


def test_a_halted_account_sends_nothing_and_goes_on_when_it_is_active_again(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    desk.rt.db.run("trading_state_add", at=desk.at(D0, 8), state="HALTED", actor="operator", reason="test")
    assert desk.day(D0)["why"] == "HALTED: operator: test"
    assert (desk.wire.submitted, desk.holdings()) == ([], {})
    desk.rt.db.run("trading_state_add", at=desk.at(D1, 8), state="ACTIVE", actor="operator", reason="test")
    desk.day(D1)
    assert desk.holdings() == {"s": {"AAA": Decimal(500)}}


def test_a_failing_strategy_keeps_its_last_targets_and_the_others_go_on(open_a_desk):
    weights = {"AAA": 0.5}
    good, bad = wants("good", {"BBB": 0.5}), wants("bad", weights)
    desk = open_a_desk({"good": good, "bad": bad})
    desk.day(D0)
    weights["AAA"] = "not a number"
    desk.day(D1)
    (row,) = desk.sql("SELECT outcome, reason FROM evaluations WHERE sleeve = 'bad' AND cycle_id = '20220104'")
    assert row["outcome"] == "failed"
    assert "not a number" in row["reason"]
    assert desk.holdings() == {"bad": {"AAA": Decimal(250)}, "good": {"BBB": Decimal(500)}}
    assert load_memory(desk.rt.db, ["bad"], D2).sleeves["bad"].targets == {"AAA": 0.5}


def test_an_order_that_is_still_open_blocks_its_symbol_in_the_next_cycle(open_a_desk):
    weights = {"AAA": 0.2, "BBB": 0.2}
    desk = open_a_desk({"s": wants("s", weights)})
    desk.cycle(D0)
    desk.wire.visible_fills = 0
    weights.update({"AAA": 0.4, "BBB": 0.4})
    desk.cycle(D1)
    assert desk.wire.submitted == ["desk-20220103-AAA-1", "desk-20220103-BBB-1"]
    desk.wire.visible_fills = None
    desk.settle(D1)
    desk.day(D2)
    assert desk.holdings() == {"s": {"AAA": Decimal(400), "BBB": Decimal(800)}}


def test_a_sweep_beside_a_running_cycle_waits_for_it(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.4, "BBB": 0.4})})
    swept, sending = [], threading.Event()
    other = threading.Thread(target=lambda: (sending.wait(), swept.append(mark(desk.rt, desk.rt.clock.now()))))
    other.start()
    desk.wire.on_submit = lambda request: (sending.set(), swept.append("send"))
    desk.cycle(D0)
    other.join(10)
    assert swept[:2] == ["send", "send"]
    assert len(swept) == 3
    assert not any(check_now(desk.rt).values())
