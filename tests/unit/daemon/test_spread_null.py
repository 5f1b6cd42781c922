"""Pairs against chance: which pairs were held is read from the evidence, and a pair that is tied together beats one that is not."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from daemon.spread_null import RULE, pairs_held, spread_nulls, text_lines, trades_pairs
from strategies import CATALOG, resolve_params
from strategies.base import EVIDENCE_COLUMNS, Targets
from strategies.conformance.memory import MemoryWorld

SESSIONS = pd.bdate_range("2019-01-01", periods=700)
END = datetime(2021, 12, 31, tzinfo=UTC)
PARAMS = resolve_params(CATALOG["kalman_pairs"])


def targets(*legs: tuple[str, tuple[str, ...]]) -> Targets:
    """Targets whose evidence names, for each leg, the bars of these symbols in this order."""
    rows = [("bars_daily", f"{symbol}@2021-01-04", leg, 0.5) for leg, symbols in legs for symbol in symbols]
    weights = pd.Series({leg: 0.1 for leg, _ in legs}, dtype="float64")
    return Targets(weights=weights, evidence=pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS)), scores=weights.copy())


def test_a_pair_is_counted_once_an_evaluation_whichever_legs_name_it_and_y_is_named_first():
    both = targets(("KO", ("KO", "PEP", "KO", "PEP")), ("PEP", ("KO", "PEP", "KO", "PEP")))
    one = targets(("PEP", ("KO", "PEP")), ("XOM", ("XOM", "CVX")))
    held = pairs_held({date(2021, 1, 4): both, date(2021, 1, 5): one, date(2021, 1, 6): both})
    assert held == [("KO", "PEP", 3), ("XOM", "CVX", 1)]


def test_a_leg_in_two_pairs_names_neither_and_their_other_legs_name_both():
    found = targets(("KO", ("KO", "PEP", "MNST")), ("PEP", ("KO", "PEP")), ("MNST", ("MNST", "KO")))
    assert pairs_held({date(2021, 1, 4): found}) == [("KO", "PEP", 1), ("MNST", "KO", 1)]


def test_without_a_position_there_is_no_pair():
    assert pairs_held({date(2021, 1, 4): targets()}) == []


def test_only_a_strategy_with_the_rule_of_pairs_trades_pairs():
    assert [name for name, strategy in CATALOG.items() if trades_pairs(strategy)] == ["kalman_pairs"]
    assert set(RULE) <= set(PARAMS)


@pytest.fixture(scope="module")
def world() -> MemoryWorld:
    """TIED follows BASE with a deviation that halves in five sessions, LOOSE wanders off; LATE has only fifty prices."""
    random = np.random.default_rng(11)
    base = np.cumsum(random.normal(0.0, 0.01, len(SESSIONS)))
    gap = np.zeros(len(SESSIONS))
    for i, shock in enumerate(random.normal(0.0, 0.01, len(SESSIONS) - 1)):
        gap[i + 1] = 0.87 * gap[i] + shock
    logs = {"BASE": base, "TIED": base + gap, "LOOSE": np.cumsum(random.normal(0.0, 0.01, len(SESSIONS)))}
    closes = pd.DataFrame({name: 50.0 * np.exp(values) for name, values in logs.items()}, index=SESSIONS)
    closes["LATE"] = closes["BASE"].where(np.arange(len(SESSIONS)) >= len(SESSIONS) - 50)
    return MemoryWorld(closes=closes, adj_closes=closes)


def test_a_rule_beats_chance_on_a_pair_that_is_tied_together_and_not_on_one_that_is_not(world):
    held = {date(2021, 1, 4): targets(("TIED", ("TIED", "BASE"))), date(2021, 1, 5): targets(("LOOSE", ("LOOSE", "BASE")))}
    loose, tied = spread_nulls(held, PARAMS, world.at(END), 400, 200)
    assert (tied.y, tied.x, tied.reason, loose.y) == ("TIED", "BASE", "", "LOOSE")
    assert tied.simulation is not None and loose.simulation is not None
    assert tied.simulation.p_value < 0.05 < loose.simulation.p_value
    told = tied.as_json()
    assert (told["paths"], told["p_value"]) == (200, tied.simulation.p_value)
    assert told["null_sharpe_p95"] < told["sharpe"]


def test_the_same_simulation_gives_the_same_figures(world):
    held = {date(2021, 1, 4): targets(("TIED", ("TIED", "BASE")))}
    first, second = (spread_nulls(held, PARAMS, world.at(END), 400, 50)[0].as_json() for _ in range(2))
    assert first == second


def test_a_pair_with_too_little_history_is_named_with_the_reason(world):
    held = {date(2021, 1, 4): targets(("LATE", ("LATE", "BASE")))}
    (null,) = spread_nulls(held, PARAMS, world.at(END), 400, 50)
    assert null.simulation is None
    assert "50 sessions" in null.reason
    assert "not simulated" in text_lines([null], 50)[1]
