"""Attribution by sector: the sum is exact, whatever the sectors do."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.watch.active import linked
from daemon.watch.sectors import CASH, SectorSession, by_sector

D = date(2024, 1, 3)
NAMES = ("Energy", "Funds", "Utilities", "Unclassified")


def session(day: int, account: float, market: float, portfolio: dict, benchmark: dict) -> SectorSession:
    """One session; what the portfolio's weights leave of 1 is cash."""
    cash = {CASH: (1.0 - sum(w for w, _ in portfolio.values()), 0.0)}
    return SectorSession(
        session=D + timedelta(days=day), portfolio_return=account, benchmark_return=market, portfolio={**portfolio, **cash},
        benchmark=benchmark, note="by hand",
    )  # fmt: skip


def total(found) -> float:
    effects = sum(e.allocation + e.selection + e.interaction for e in found.effects)
    return effects + found.residual - found.benchmark_residual


def test_one_session_by_hand():
    """Half in energy, half in cash, against 40 % energy and 60 % utilities."""
    found = linked([
        session(0, 0.019, 0.013, {"Energy": (0.5, 0.04)}, {"Energy": (0.4, 0.03), "Utilities": (0.6, 0.0)}),
    ])  # fmt: skip
    by_name = {e.sector: e for e in found.effects}
    assert list(by_name) == ["Energy", "Utilities", CASH]
    # R_b = 0.4 x 3 % = 1.2 %
    assert by_name["Energy"].allocation == pytest.approx((0.5 - 0.4) * (0.03 - 0.012))
    assert by_name["Energy"].selection == pytest.approx(0.4 * (0.04 - 0.03))
    assert by_name["Energy"].interaction == pytest.approx((0.5 - 0.4) * (0.04 - 0.03))
    assert by_name["Utilities"].allocation == pytest.approx((0.0 - 0.6) * (0.0 - 0.012))
    assert by_name[CASH].allocation == pytest.approx(0.5 * (0.0 - 0.012))
    assert found.residual == pytest.approx(0.019 - 0.02)
    assert found.benchmark_residual == pytest.approx(0.013 - 0.012)
    assert found.active_return == pytest.approx(0.006)
    assert total(found) == pytest.approx(0.006, abs=1e-15)


def test_a_sector_that_appears_on_the_second_session_has_its_mean_weight_over_both():
    market = {"Energy": (1.0, 0.01)}
    found = linked([
        session(0, 0.0, 0.01, {}, market),
        session(1, 0.004, 0.01, {"Funds": (0.2, 0.02)}, market),
    ])  # fmt: skip
    funds = next(e for e in found.effects if e.sector == "Funds")
    assert (funds.portfolio_weight, funds.benchmark_weight, funds.selection) == (pytest.approx(0.1), 0.0, 0.0)
    assert total(found) == pytest.approx(1.004 - 1.01**2, abs=1e-15)


def test_a_portfolio_in_cash_loses_the_benchmark_by_allocation_alone():
    found = linked([session(i, 0.0, 0.02, {}, {"Energy": (1.0, 0.02)}) for i in range(3)])
    assert found.active_return == pytest.approx(1 - 1.02**3)
    assert sum(e.allocation for e in found.effects) == pytest.approx(found.active_return, abs=1e-14)
    assert all(e.selection == e.interaction == 0.0 for e in found.effects)


def test_without_a_session_there_are_no_figures_and_a_reason():
    found = linked([])
    assert (found.start, found.sessions, found.active_return, found.effects) == (None, 0, None, ())
    assert found.note == "no two marks of consecutive sessions yet"


@st.composite
def histories(draw):
    """Up to eight sessions, each with sectors of its own on either side."""
    rate, weight = st.floats(-0.2, 0.2), st.floats(0.01, 0.25)
    made = []
    for day in range(draw(st.integers(1, 8))):
        held = draw(st.sets(st.sampled_from(NAMES)))
        theirs = sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
        shares = np.array([draw(st.floats(0.1, 1.0)) for _ in theirs])
        portfolio = {name: (draw(weight), draw(rate)) for name in sorted(held)}
        benchmark = {name: (float(w), draw(rate)) for name, w in zip(theirs, shares / shares.sum(), strict=True)}
        made.append(session(day, draw(rate), draw(rate), portfolio, benchmark))
    return made


@given(histories())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_effects_and_residuals_sum_to_the_active_return(sessions):
    found = linked(sessions)
    assert total(found) == pytest.approx(found.active_return, abs=1e-12)
    assert found.sessions == len(sessions) and found.start == D


@given(histories())
@settings(deadline=None, derandomize=True, max_examples=30)
def test_what_is_stored_is_read_back_exactly(sessions):
    for one in sessions:
        assert SectorSession.from_json(one.session, json.loads(json.dumps(one.as_json()))) == one


def test_a_sector_earns_the_weighted_mean_of_its_assets_short_ones_included():
    labels = np.array(["A", "A", "B"], dtype=object)
    found = by_sector(labels, np.array([0.3, 0.1, -0.2]), np.array([0.10, -0.02, 0.05]))
    assert found == {"A": (pytest.approx(0.4), pytest.approx(0.028 / 0.4)), "B": (-0.2, pytest.approx(0.05))}
    hedged = by_sector(labels, np.array([0.1, -0.1, 0.0]), np.array([0.10, -0.02, math.nan]))
    assert hedged == {}, "no weight to earn on, and nothing held in B"
