"""A strategy on one page, by hand: figures, months, holdings, and what is left of a Sharpe ratio when every trial is counted."""

import math
from datetime import date
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from daemon.errors import WrongUsage
from daemon.experiments import Outcome, deflated, outcome
from daemon.report import summarize
from daemon.simulate_verb import planned
from daemon.tear_sheet import tear_sheet, text_lines, top_holdings
from strategies import CATALOG
from strategies.base import NAMES, Param, Strategy, daily, no_targets
from strategies.errors import BadParameter, UnknownParameter
from tests.unit.daemon.test_report import nav_frame, result_of

DAYS = [date(2021, 1, 28), date(2021, 1, 29), date(2021, 2, 1), date(2021, 2, 2)]
WEIGHTS = {
    DAYS[0]: {"AAA": 0.6, "BBB": -0.4},
    DAYS[1]: {"AAA": 0.5, "BBB": -0.5},
    DAYS[2]: {"CCC": 1.0},
    DAYS[3]: {"CCC": 0.5, "AAA": 0.0},
}


@pytest.fixture
def sheet():
    nav = nav_frame([100.0, 110.0, 99.0, 99.0], [50.0, 50.0, 50.0, 55.0], pd.DatetimeIndex(DAYS))
    result = result_of(nav)
    return tear_sheet(result, summarize(result), WEIGHTS)


def test_gains_are_counted_among_the_sessions_and_months_on_which_something_moved(sheet):
    assert sheet["hit_rate"] == 0.5, "one gain, one loss, one session without either"
    assert sheet["hit_rate_months"] == 0.5
    assert sheet["best_month"] == {"month": "2021-01", "return": pytest.approx(0.10)}
    assert sheet["worst_month"] == {"month": "2021-02", "return": pytest.approx(-0.10)}


def test_the_year_and_its_months_are_compounded_returns(sheet):
    (year,) = sheet["years"]
    assert year["months"][:2] == [pytest.approx(0.10), pytest.approx(-0.10)]
    assert year["months"][2:] == [None] * 10
    assert (year["own"], year["benchmark"]) == (pytest.approx(1.1 * 0.9 - 1), pytest.approx(0.10))
    assert sheet["max_drawdown"] == pytest.approx(-0.10)


def test_exposure_and_costs_are_those_of_the_account(sheet):
    assert (sheet["gross_mean"], sheet["net_mean"], sheet["invested"]) == (pytest.approx(0.97), pytest.approx(0.95), 1.0)
    assert sheet["cost_usd"] == pytest.approx(8.0)
    assert sheet["names_mean"] == pytest.approx((2 + 2 + 1 + 1) / 4), "a weight of zero is not held"


def test_the_largest_positions_of_a_year_are_those_of_the_largest_mean_absolute_weight():
    (year,) = top_holdings(WEIGHTS)
    assert (year["year"], year["held"]) == (2021, 3)
    assert [(h["symbol"], h["weight_mean"], h["sessions"]) for h in year["top"]] == [
        ("CCC", pytest.approx(1.5 / 4), 2),
        ("AAA", pytest.approx(1.1 / 4), 2),
        ("BBB", pytest.approx(-0.9 / 4), 2),
    ]


def test_the_page_for_a_terminal_shows_strategy_beside_benchmark_and_fits_a_hundred_columns(sheet):
    lines = list(text_lines(sheet))
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("max drawdown") and "-10.00%" in line for line in lines)
    assert any(line.startswith("2021 ") and "10.0" in line for line in lines)
    assert any("CCC 37.5%, AAA 27.5%, BBB -22.5%" in line for line in lines)


def test_the_figures_of_a_variant_are_its_moments_by_hand():
    found = outcome(np.array([0.01, -0.01, 0.02, 0.0]), np.array([1.0, 0.0, 0.5, 0.0]))
    # Mean 0.005; squared distances 25, 225, 225, 25 e-6; fourth powers 6.25, 506.25, 506.25, 6.25 e-10.
    deviation = math.sqrt(500e-6 / 3)
    assert (found.n, found.sharpe) == (4, pytest.approx(0.005 / deviation))
    assert found.skew == pytest.approx(0.0, abs=1e-12)
    assert found.kurtosis == pytest.approx((1025e-10 / 4) / (500e-6 / 4) ** 2)
    assert found.sharpe_annual == pytest.approx(0.005 / deviation * math.sqrt(252))
    assert found.turnover_annual == pytest.approx(1.5 / 4 * 252)
    assert found.max_drawdown == pytest.approx(-0.01)
    assert found.cagr == pytest.approx((1.01 * 0.99 * 1.02) ** (252 / 4) - 1)


def test_a_variant_that_never_traded_has_no_ratio_and_nothing_to_deflate():
    still = outcome(np.zeros(10), np.zeros(10))
    assert (still.sharpe, still.skew, still.kurtosis, still.turnover_annual) == (None, None, None, 0.0)
    assert deflated(still, [None]).probability is None
    assert outcome(np.zeros(0), np.zeros(0)).n == 0


def sharpe_of(sharpe: float) -> Outcome:
    rest = dict.fromkeys(("sharpe_annual", "cagr", "volatility", "max_drawdown", "turnover_annual"))
    return Outcome(n=253, sharpe=sharpe, skew=-0.5, kurtosis=5.0, **rest)


def chance(sharpe: float, benchmark: float) -> float:
    """The probabilistic Sharpe ratio of `sharpe_of` as in Bailey & Lopez de Prado (2012)."""
    return NormalDist().cdf((sharpe - benchmark) * math.sqrt(252) / math.sqrt(1 + 0.5 * sharpe + sharpe**2))


def test_of_a_single_trial_the_chance_is_that_of_a_true_ratio_above_zero():
    found = deflated(sharpe_of(0.08), [0.08])
    assert (found.trials, found.probability, found.sharpe_deviation) == (1, pytest.approx(chance(0.08, 0.0)), None)


def test_several_trials_raise_the_bar_by_their_number_and_their_spread():
    sharpes = [0.08, 0.04, 0.0, -0.04]
    deviation = math.sqrt((0.06**2 + 0.02**2 + 0.02**2 + 0.06**2) / 3)
    z = NormalDist().inv_cdf
    bar = deviation * ((1 - 0.5772156649015329) * z(1 - 1 / 4) + 0.5772156649015329 * z(1 - 1 / (4 * math.e)))
    found = deflated(sharpe_of(0.08), sharpes)
    assert (found.trials, found.probability) == (4, pytest.approx(chance(0.08, bar)))
    assert found.sharpe_deviation == pytest.approx(deviation * math.sqrt(252))


def test_a_trial_that_never_traded_counts_as_a_trial():
    with_it, without = deflated(sharpe_of(0.08), [0.08, 0.02, None]), deflated(sharpe_of(0.08), [0.08, 0.02])
    assert (with_it.trials, without.trials) == (3, 2)
    assert with_it.probability < without.probability


MOMENTUM = CATALOG["volatility_scaled_momentum"]
WORDS = Strategy(
    name="words", run=lambda view, **params: no_targets(), needs=(), rebalance=daily(), lookback_sessions=1, description="reads words",
    params={
        "names": Param(default="", meaning="names", pattern=NAMES, examples=("A; B",)),
        "share": Param(default=0.5, low=0.0, high=1.0, meaning="a share"),
    },
)  # fmt: skip


def test_the_chosen_variant_is_the_settings_with_what_is_set_laid_over_them():
    (only,) = planned(MOMENTUM, {"top": 30, "lookback": 126}, ["top=10"], [])
    assert only == {"top": 10, "lookback": 126, "skip": 0}


def test_a_grid_gives_every_combination_once_after_the_chosen_variant():
    found = planned(MOMENTUM, {}, ["lookback=126"], ["top=10,20", "skip=0,21"])
    assert found[0] == {"top": 20, "lookback": 126, "skip": 0}
    assert sorted((v["top"], v["skip"]) for v in found) == [(10, 0), (10, 21), (20, 0), (20, 21)], "the chosen one is among them"
    assert {v["lookback"] for v in found} == {126}


def test_values_are_read_as_the_parameter_declares_them():
    assert planned(WORDS, {}, ["names=Ada Alder; Ben Birch", "share=1"], []) == [{"names": "Ada Alder; Ben Birch", "share": 1.0}]


@pytest.mark.parametrize(
    ("given", "grid", "error", "says"),
    [
        (["tpo=3"], [], UnknownParameter, "did you mean 'top'"),
        (["top=2.5"], [], BadParameter, "not a whole number"),
        (["top=1000"], [], BadParameter, "outside 1 to 100"),
        (["top"], [], WrongUsage, "write --set PARAM=VALUE"),
        ([], ["=1,2"], WrongUsage, "write --grid PARAM=V1,V2,..."),
        ([], ["top=1,,2"], BadParameter, "not a whole number"),
        ([], ["tops=1,2"], UnknownParameter, "did you mean 'top'"),
        ([], ["top=" + ",".join(map(str, range(1, 61))), "skip=" + ",".join(map(str, range(20)))], WrongUsage, "1,200 combinations"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_words(given, grid, error, says):
    with pytest.raises(error, match=says):
        planned(MOMENTUM, {}, given, grid)
