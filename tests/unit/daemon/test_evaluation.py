"""One strategy in one session: its targets checked, freed of what the broker would refuse, and held to the risk that it may carry."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.cycle_input import SleeveInput
from daemon.evaluation import (
    NO_SHORT_SELLING,
    NOT_BORROWABLE,
    NOT_TRADABLE,
    VOLATILITY_SESSIONS,
    at_risk_target,
    checked,
    due_session,
    evaluate,
    tradable,
)
from daemon.jobs import attempt
from daemon.shadow import ShadowBook
from daemon.store.rosters import Listing
from daemon.tax_lots import OpenLot
from execution.planning import SleeveState
from strategies.base import Strategy, Targets, daily, no_evidence
from strategies.errors import BadTargets
from strategies.signals import evidence_frame
from tests.unit.daemon.archive_rows import CALENDAR, SESSIONS, Market, before_open

TODAY = 30


def wanting(wanted: dict[str, float], **changes: Any) -> Targets:
    series = pd.Series(wanted, dtype="float64")
    evidence = evidence_frame("bars_daily", [f"{s}@2024-02-13" for s in wanted], list(wanted), np.abs(series.to_numpy()))
    return replace(Targets(weights=series, evidence=evidence, scores=series.abs()), **changes)


def strategy(run: Any = lambda view: wanting({"A": 1.0}), **changes: Any) -> Strategy:
    plain = Strategy(name="s", run=run, needs=(), rebalance=daily(), lookback_sessions=1, params={}, description="")
    return replace(plain, **changes)


def sleeve(**changes: Any) -> SleeveInput:
    return replace(SleeveInput(name="s", params={}, last_due=None, targets={}, book=ShadowBook(sleeve="s"), cycles=1), **changes)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """A swings by 2 % a day, B by 1 %."""
    market = Market(tmp_path)
    for place in range(TODAY):
        market.bar("A", place, 50.0 * (1.02 if place % 2 else 1.0))
        market.bar("B", place, 20.0 * (1.01 if place % 2 else 1.0))
    return market


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ({"A": 1.0}, "gave dict in place of Targets"),
        (wanting({"A": float("nan")}), "the weight of A is not finite"),
        (wanting({"A": 0.7, "B": 0.5}), "sum to 1.2 of the sleeve"),
        (wanting({"A": 0.7, "B": -0.2}), "short of B and does not declare shorts"),
        (wanting({"A": 0.5}, weights=pd.Series([0.5, 0.5], index=["A", "A"])), "labelled by symbol, each once"),
        (wanting({"A": 0.5}, weights=pd.Series([0.5], index=[7])), "labelled by symbol"),
        (wanting({"A": 0.5}, evidence=pd.DataFrame({"symbol": ["A"]})), "evidence has the columns"),
    ],
)
def test_targets_that_break_the_contract_are_refused_with_what_is_wrong(targets: Any, told: str) -> None:
    with pytest.raises(BadTargets, match=told):
        checked(targets, strategy())


def test_a_strategy_that_declares_shorts_may_be_short() -> None:
    targets = wanting({"A": 0.5, "B": -0.5})
    assert checked(targets, strategy(shorts=True)) is targets


def test_what_the_broker_would_refuse_is_left_out_with_its_reason_and_its_evidence() -> None:
    wanted = wanting({"A": 0.3, "B": -0.2, "C": -0.2, "D": 0.1})
    listing = Listing(untradable=frozenset({"D"}), unborrowable=frozenset({"A", "B"}))
    found = tradable(wanted, listing, short_selling=True)
    assert found.weights.to_dict() == {"A": 0.3, "C": -0.2}, "a long needs no loan"
    assert found.skipped == {"B": NOT_BORROWABLE, "D": NOT_TRADABLE}
    assert set(found.evidence["symbol"]) == set(found.scores.index) == {"A", "C"}
    assert tradable(wanted, Listing(), short_selling=False).skipped == {"B": NO_SHORT_SELLING, "C": NO_SHORT_SELLING}
    assert tradable(wanted, Listing(), short_selling=True) is wanted


def test_targets_are_scaled_down_to_the_risk_target_and_never_up(market: Market) -> None:
    view = market.view(before_open(TODAY))
    changes = np.array([0.02 if place % 2 else -0.02 / 1.02 for place in range(1, TODAY)])
    volatility = changes.std(ddof=1) * np.sqrt(252)
    scaled, told = at_risk_target(wanting({"A": 0.5}), view, 0.05)
    assert scaled.weights["A"] == pytest.approx(0.05 / volatility)
    assert told == f"scaled from {0.5 * volatility:.1%} to its risk target of 5.0% a year"
    same, nothing = at_risk_target(wanting({"A": 0.1}), view, 0.05)
    assert same.weights.to_dict() == {"A": 0.1} and nothing == ""


def test_offsetting_positions_count_for_what_they_are_together(market: Market) -> None:
    """A and B rise and fall on the same days: half of A against all of B has next to no risk."""
    view = market.view(before_open(TODAY))
    hedged, told = at_risk_target(wanting({"A": 0.3, "B": -0.6}), view, 0.05)
    assert hedged.weights.to_dict() == {"A": 0.3, "B": -0.6} and told == ""


def test_a_risk_target_waits_for_a_month_of_sessions(market: Market) -> None:
    wanted = wanting({"A": 1.0})
    found, told = at_risk_target(wanted, market.view(before_open(15)), 0.05)
    assert found is wanted and "fewer than 21 sessions" in told
    assert VOLATILITY_SESSIONS > TODAY


def test_a_paused_strategy_is_not_due() -> None:
    assert due_session(sleeve(), strategy(), CALENDAR, SESSIONS[TODAY]) == SESSIONS[TODAY]
    assert due_session(sleeve(paused="source disputed"), strategy(), CALENDAR, SESSIONS[TODAY]) is None


def test_only_a_strategy_that_asks_for_lots_sees_what_its_sleeve_holds(market: Market) -> None:
    seen: list[tuple[pd.DataFrame, pd.DataFrame]] = []

    def run(view: Any) -> Targets:
        seen.append((view.holdings(), view.lots()))
        return wanting({"A": 1.0})

    bought = datetime(2024, 1, 5, 14, 30, tzinfo=UTC)
    lots = (OpenLot(symbol="A", acquired_at=bought, qty=Decimal(10), basis_usd=Decimal("495.5")),)
    holding = SleeveState(cash=Decimal(0), positions={"A": Decimal(10)})
    for reads in (False, True):
        evaluate(
            sleeve(lots=lots), strategy(run, reads_lots=reads), SESSIONS[TODAY], market.view(before_open(TODAY)), attempt, holding,
            short_selling=True,
        )  # fmt: skip
    (nothing, none), (held, open_lots) = seen
    assert nothing.empty and none.empty
    assert held.loc["A"].to_dict() == {"qty": 10.0, "market_value_usd": pytest.approx(510.0)}, "the last close is 51"
    assert open_lots.iloc[0].to_dict() == {"symbol": "A", "acquired_at": pd.Timestamp(bought), "qty": 10.0, "basis_usd": 495.5}


def test_a_strategy_that_gives_rubbish_has_failed_and_raises_nothing(market: Market) -> None:
    found = evaluate(
        sleeve(), strategy(lambda view: None), SESSIONS[TODAY], market.view(before_open(TODAY)), attempt, None, short_selling=True
    )
    assert (found.outcome, found.targets) == ("failed", None) and "NoneType" in found.reason
    assert no_evidence().empty
