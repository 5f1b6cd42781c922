"""The decision of one cycle, over hand-made bars and strategies of three lines."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from daemon.cycle_input import CycleInput, Options, SleeveInput
from daemon.decision import Decision, canonical_rows, decide, extend
from daemon.jobs import attempt
from daemon.memory import empty_history
from daemon.shadow import ShadowBook, ShadowMark
from execution.planning import SleeveState
from risk.base import RiskLimits
from strategies.base import Strategy, Targets, daily, monthly, no_evidence
from tests.unit.daemon.archive_rows import CALENDAR, SESSIONS, Market, before_open

TODAY = 30
"""The cycle of SESSIONS[30], 14 February 2024, half an hour before its open."""
LIMITS = RiskLimits(max_sleeve_frac=1.0, max_symbol_frac=1.0, max_sector_frac=1.0, max_adv_frac=1.0, ramp_sessions=1)
OPTIONS = Options(
    limits=LIMITS, cost_frac=0.0005, min_notional_usd="25", band_frac=0.0005, qty_decimals=6, id_prefix="t", benchmark="SPY"
)  # fmt: skip


def wants(name: str, weights: Mapping[str, float], **changes: Any) -> Strategy:
    """A strategy that always wants the same."""
    targets = Targets(weights=pd.Series(weights, dtype="float64"), evidence=no_evidence(), scores=pd.Series(dtype="float64"))
    return replace(broken(name), run=lambda view: targets, shorts=min(weights.values(), default=0.0) < 0.0, **changes)


def broken(name: str) -> Strategy:
    """A strategy that fails whenever it is asked."""

    def run(view: object) -> Targets:
        raise ZeroDivisionError("nothing to divide by")

    return Strategy(name=name, run=run, needs=(), rebalance=daily(), lookback_sessions=1, params={}, description="")


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Three quiet symbols with a bar in every session before today's."""
    market = Market(tmp_path)
    for symbol, price in (("A", 50.0), ("B", 20.0), ("SPY", 400.0)):
        for place in range(TODAY):
            swing = 1.002 if place % 2 else 1.0
            market.bar(symbol, place, price * swing, open=price * swing, volume=10_000_000)
    return market


def sleeve(name: str, **changes: Any) -> SleeveInput:
    """A strategy that has taken part in twenty cycles and was evaluated yesterday."""
    book = ShadowBook(sleeve=name, session=SESSIONS[TODAY - 2])
    given = SleeveInput(name=name, params={}, last_due=SESSIONS[TODAY - 1], targets={}, book=book, cycles=20)
    return replace(given, **changes)


def cycle(*sleeves: SleeveInput, **changes: Any) -> CycleInput:
    """An account of 100 000 USD in cash before the open of today."""
    given = CycleInput(
        cycle_id="20240214", session=SESSIONS[TODAY], at=before_open(TODAY), code_version="v", options=OPTIONS, sleeves=sleeves,
        holdings={"treasury": SleeveState(cash=Decimal(100_000), positions={})}, previous_capital={}, state="ACTIVE", state_reason="",
        blocked=(), whole_shares=(), versions_known={}, history_hash="",
    )  # fmt: skip
    return replace(given, **changes)


def decided(market: Market, given: CycleInput, *strategies: Strategy) -> Decision:
    return decide(given, market.view(given.at), empty_history(), {s.name: s for s in strategies}, CALENDAR, attempt)


def orders(decision: Decision) -> dict[str, str]:
    """Side by symbol."""
    return {o.request.symbol: o.request.side for o in decision.plan.orders}


def test_a_due_strategy_is_evaluated_allocated_and_its_orders_planned(market: Market) -> None:
    decision = decided(market, cycle(sleeve("s")), wants("s", {"A": 0.5, "B": 0.5}))
    assert [(e.sleeve, e.due_session, e.outcome) for e in decision.evaluations] == [("s", SESSIONS[TODAY], "evaluated")]
    assert decision.reason == "due: s"
    assert decision.nav == Decimal(100_000)
    assert orders(decision) == {"A": "buy", "B": "buy"}
    (book,) = decision.books
    assert (book.pending, book.pending_session) == ({"A": 0.5, "B": 0.5}, SESSIONS[TODAY])
    assert [m.session for m in decision.marks] == [SESSIONS[TODAY - 1]], "the shadow book is brought up to yesterday's close first"


def test_a_cycle_with_nothing_due_plans_nothing(market: Market) -> None:
    strategy = wants("s", {"A": 1.0}, rebalance=monthly("first_session"))
    decision = decided(market, cycle(sleeve("s", last_due=SESSIONS[21])), strategy)
    assert SESSIONS[21].day == 1, "February's first session"
    assert decision.evaluations == ()
    assert (decision.reason, decision.allocation, decision.plan.orders, decision.plan.transfers) == ("nothing due", None, (), ())


def test_a_due_date_that_was_missed_is_caught_up_at_the_next_cycle(market: Market) -> None:
    strategy = wants("s", {"A": 1.0}, rebalance=monthly("first_session"))
    decision = decided(market, cycle(sleeve("s", last_due=SESSIONS[0])), strategy)
    assert [e.due_session for e in decision.evaluations] == [SESSIONS[21]]
    assert orders(decision) == {"A": "buy"}


STALE = {"session": SESSIONS[TODAY + 1], "at": before_open(TODAY + 1), "cycle_id": "20240215"}
"""The next session's cycle, for which the bars of the session before it never arrived."""


def test_a_due_strategy_holds_when_the_bars_of_the_last_session_are_missing(market: Market) -> None:
    book = ShadowBook(sleeve="s", session=SESSIONS[TODAY - 1], weights={"A": 1.0})
    decision = decided(market, cycle(sleeve("s", book=book), **STALE), wants("s", {"B": 1.0}))
    assert [(e.outcome, e.targets) for e in decision.evaluations] == [("held", None)]
    assert "missing" in decision.evaluations[0].reason
    assert decision.books[0].weights == {"A": 1.0}
    assert decision.books[0].pending is None
    assert (decision.allocation, decision.plan.orders) == (None, ())
    assert decision.reason == "held on stale data: s"


def test_nothing_trades_on_stale_data_not_even_a_sleeve_that_is_ramping_in(market: Market) -> None:
    ramping = replace(OPTIONS, limits=replace(LIMITS, ramp_sessions=10))
    book = ShadowBook(sleeve="s", session=SESSIONS[TODAY - 1], weights={"A": 1.0})
    strategy = wants("s", {"A": 1.0}, rebalance=monthly("first_session"))
    given = cycle(sleeve("s", book=book, cycles=3, last_due=SESSIONS[21]), options=ramping)
    assert orders(decided(market, given, strategy)) == {"A": "buy"}, "with fresh bars the next step of the ramp is taken"
    assert decided(market, replace(given, **STALE), strategy).plan.orders == ()


def quiet(**changes: Any) -> CycleInput:
    """An account that is all in A, on a session on which its strategy is not due."""
    book = ShadowBook(sleeve="s", session=SESSIONS[TODAY - 1], weights={"A": 1.0})
    holdings = {"s": SleeveState(cash=Decimal(0), positions={"A": Decimal(2000)})}
    return cycle(sleeve("s", book=book, last_due=SESSIONS[21]), holdings=holdings, **changes)


RARE = wants("s", {"A": 1.0}, rebalance=monthly("first_session"))


@pytest.mark.parametrize(("figure", "limit", "reason"), [
    ("var95", "max_var95_frac", "value at risk of the held portfolio is over its cap"),
    ("cvar95", "max_cvar95_frac", "expected shortfall of the held portfolio is over its cap"),
])  # fmt: skip
def test_a_held_portfolio_far_over_a_cap_of_its_tail_is_cut_at_once(market: Market, figure: str, limit: str, reason: str) -> None:
    loss = getattr(decided(market, quiet(), RARE).forecast, figure)
    assert 0.001 < loss < 0.003, "every second session A falls by 0.2 %"

    def under(cap: float) -> Decision:
        return decided(market, quiet(options=replace(OPTIONS, limits=replace(LIMITS, **{limit: cap}))), RARE)

    assert under(loss / 1.05).reason == "nothing due"
    cut = under(loss / 1.25)
    assert (cut.reason, orders(cut)) == (reason, {"A": "sell"})
    assert getattr(cut.forecast, figure) == pytest.approx(loss / 1.25, rel=1e-3), "the forecast is of what is left after the orders"


def test_a_move_that_turnover_held_up_goes_on_when_nothing_is_due_but_not_on_stale_data(market: Market) -> None:
    halfway = {"s": SleeveState(cash=Decimal(50_000), positions={"A": Decimal(1000)})}
    decision = decided(market, replace(quiet(unfinished=True), holdings=halfway), RARE)
    assert decision.reason == "going on where the cap on turnover ended the last allocation"
    assert orders(decision) == {"A": "buy"}
    assert decided(market, replace(quiet(unfinished=True, **STALE), holdings=halfway), RARE).plan.orders == ()


def test_what_is_held_counts_against_the_turnover_cap_and_a_retired_sleeve_is_sold_all_the_same(market: Market) -> None:
    slow = replace(OPTIONS, limits=replace(LIMITS, max_turnover_frac=0.5))
    holdings = {
        "s": SleeveState(cash=Decimal(10_000), positions={"A": Decimal(1000)}),
        "gone": SleeveState(cash=Decimal(0), positions={"B": Decimal(2000)}),
    }
    decision = decided(market, cycle(sleeve("s"), holdings=holdings, options=slow), wants("s", {"A": 1.0}))
    assert decision.allocation is not None
    nav = float(decision.nav)
    assert decision.allocation.turnover == pytest.approx(0.5, abs=1e-6)
    traded = {o.request.symbol: float(o.request.qty * o.decision_price) / nav for o in decision.plan.orders}
    assert traded["B"] == pytest.approx(float(2000 * decision.prices["B"]) / nav), "forced"
    assert traded["A"] == pytest.approx(0.5 - traded["B"], abs=1e-5), "the rest of the cap is for buying"


def test_a_session_without_an_allocation_has_a_forecast_and_a_regime_too(market: Market) -> None:
    decision = decided(market, quiet(state="HALTED", state_reason="test"), RARE)
    assert decision.allocation is None and decision.forecast.var95 > 0 and decision.forecast.n_sessions == TODAY - 1
    assert decision.regime is not None and decision.regime.delta >= 0.0


def test_a_failed_strategy_keeps_what_it_had_and_the_others_go_on(market: Market) -> None:
    kept = ShadowBook(sleeve="bad", session=SESSIONS[TODAY - 1], weights={"B": 1.0})
    decision = decided(market, cycle(sleeve("bad", book=kept), sleeve("good")), broken("bad"), wants("good", {"A": 1.0}))
    assert [(e.sleeve, e.outcome, e.reason) for e in decision.evaluations] == [
        ("bad", "failed", "ZeroDivisionError: nothing to divide by"),
        ("good", "evaluated", ""),
    ]
    assert decision.books[0] == kept
    assert orders(decision) == {"A": "buy", "B": "buy"}, "the failed sleeve's own weights still count in the allocation"
    assert decision.reason == "due: good"


def test_when_every_due_strategy_fails_nothing_is_traded(market: Market) -> None:
    decision = decided(market, cycle(sleeve("bad")), broken("bad"))
    assert (decision.allocation, decision.plan.orders) == (None, ())


def invested(**changes: Any) -> CycleInput:
    """Sleeve s holds 400 A (20 000 USD) and is short 500 B (10 000 USD); treasury the rest."""
    held = SleeveState(cash=Decimal(10_000), positions={"A": Decimal(400), "B": Decimal(-500)})
    treasury = SleeveState(cash=Decimal(80_000), positions={})
    return cycle(sleeve("s"), holdings={"s": held, "treasury": treasury}, **changes)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({"A": 0.9, "SPY": 0.1}, {"B": "buy"}),  # more of A and a new name are refused; B, not wanted, is closed
        ({"A": 0.05, "B": -0.6}, {"A": "sell"}),  # less of A is done, more of the short is not
        ({"A": -0.5, "B": 0.5}, {"A": "sell", "B": "buy"}),  # both sides close, neither turns
    ],
)
def test_a_reducing_account_only_ever_gets_smaller(market: Market, targets: dict[str, float], expected: dict[str, str]) -> None:
    given = invested(state="REDUCING", state_reason="ann: careful")
    decision = decided(market, given, wants("s", targets))
    assert orders(decision) == expected
    held = given.holdings["s"].positions
    for order in decision.plan.orders:
        after = held[order.request.symbol] + order.request.qty * (1 if order.request.side == "buy" else -1)
        assert abs(after) < abs(held[order.request.symbol])
        assert after * held[order.request.symbol] >= 0, "no side is crossed"
    assert decision.plan.transfers == ()
    assert decision.reason == "REDUCING: ann: careful; due: s"


def test_a_halted_account_plans_nothing_and_says_why(market: Market) -> None:
    decision = decided(market, invested(state="HALTED", state_reason="ann: stop"), wants("s", {"A": 0.1}))
    assert (decision.allocation, decision.plan.orders, decision.plan.transfers) == (None, (), ())
    assert decision.reason == "HALTED: ann: stop"


def test_a_blocked_symbol_is_left_alone(market: Market) -> None:
    decision = decided(market, cycle(sleeve("s"), blocked=("A",)), wants("s", {"A": 0.5, "B": 0.5}))
    assert orders(decision) == {"B": "buy"}


def test_the_sleeve_of_a_strategy_that_is_gone_is_sold(market: Market) -> None:
    gone = SleeveState(cash=Decimal(0), positions={"B": Decimal(100)})
    treasury = SleeveState(cash=Decimal(98_000), positions={})
    decision = decided(market, cycle(sleeve("s"), holdings={"gone": gone, "treasury": treasury}), wants("s", {"A": 0.5}))
    (sale,) = [o for o in decision.plan.orders if o.request.symbol == "B"]
    assert (sale.request.side, sale.request.qty, dict(sale.shares)) == ("sell", Decimal(100), {"gone": Decimal(-100)})


def test_an_account_worth_nothing_plans_nothing(market: Market) -> None:
    broke = {"treasury": SleeveState(cash=Decimal(0), positions={})}
    assert decided(market, cycle(sleeve("s"), holdings=broke), wants("s", {"A": 1.0})).plan.orders == ()


def test_a_decision_is_the_same_when_made_again_from_its_recorded_input(market: Market) -> None:
    given = invested(previous_capital={"s": 1 / 3}, versions_known={"bars_daily": 90}, blocked=("X",), whole_shares=("B",))
    again = CycleInput.from_json(json.loads(json.dumps(given.as_json())))
    assert again == given
    strategy = wants("s", {"A": 1 / 3, "B": 0.1 + 0.2})
    first, second = decided(market, given, strategy), decided(market, again, strategy)
    assert (first.hash, first.plan) == (second.hash, second.plan)


def test_the_input_survives_json_exactly_with_what_is_missing_and_what_is_pending() -> None:
    book = ShadowBook(sleeve="s", weights={"A": 0.1 + 0.2}, pending={"B": 1e-17}, pending_session=SESSIONS[3])
    held = SleeveState(cash=Decimal("0.10"), positions={"A": Decimal("1.000001")})
    given = cycle(sleeve("s", last_due=None, book=book, params={"top": 4, "how": "x", "share": 0.1}), holdings={"s": held})
    again = CycleInput.from_json(json.loads(json.dumps(given.as_json())))
    assert again == given
    assert str(again.holdings["s"].cash) == "0.10"
    assert again.as_json() == given.as_json()


def test_the_hash_follows_targets_orders_and_the_session_and_nothing_else(market: Market) -> None:
    def hash_of(given: CycleInput, weight: float = 0.5) -> str:
        return decided(market, given, wants("s", {"A": weight})).hash

    given = cycle(sleeve("s"))
    same = hash_of(given)
    poorer = {"treasury": SleeveState(cash=Decimal(90_000), positions={})}
    tomorrow = decide(
        replace(given, session=SESSIONS[TODAY + 1]),
        market.view(given.at),
        empty_history(),
        {"s": wants("s", {"A": 0.5})},
        CALENDAR,
        attempt,
    )
    assert len({same, hash_of(given, 0.25), hash_of(replace(given, holdings=poorer)), tomorrow.hash}) == 4
    other_words = replace(
        given, code_version="w", cycle_id="again", versions_known={"x": 1}, history_hash="h", options=replace(OPTIONS, id_prefix="other")
    )  # fmt: skip
    assert hash_of(other_words) == same
    assert hash_of(given, 0.5 + 1e-14) == same, "targets are rounded to 1e-12"


def test_rounding_to_zero_has_no_sign(market: Market) -> None:
    hashes = {decided(market, cycle(sleeve("s")), wants("s", {"A": 0.5, "B": tiny})).hash for tiny in (0.0, -0.0, -1e-14, 1e-14)}
    assert len(hashes) == 1


def test_the_hash_covers_a_row_for_each_target_and_each_order(market: Market) -> None:
    given = cycle(sleeve("s"))
    decision = decided(market, given, wants("s", {"B": 0.25, "A": 0.5}))
    rows = canonical_rows(decision, given.session)
    assert rows[:2] == [["2024-02-14", "s", "A", "0.500000000000", "", "", ""], ["2024-02-14", "s", "B", "0.250000000000", "", "", ""]]
    assert [(r[2], r[4], r[6]) for r in rows[2:]] == [("A", "buy", "market"), ("B", "buy", "market")]


def test_shadow_returns_grow_by_session_and_sleeve() -> None:
    def mark(name: str, place: int, value: float) -> ShadowMark:
        return ShadowMark(sleeve=name, session=SESSIONS[place], return_frac=value, turnover_frac=0.0)

    history = extend(empty_history(), [mark("a", 0, 0.1)])
    history = extend(history, [mark("b", 1, 0.2), mark("a", 2, 0.3)])
    assert [d.date() for d in history.index] == SESSIONS[:3]
    expected = pd.DataFrame({"a": [0.1, None, 0.3], "b": [None, 0.2, None]}, index=history.index, dtype="float64")
    pd.testing.assert_frame_equal(history, expected, check_column_type=False)
