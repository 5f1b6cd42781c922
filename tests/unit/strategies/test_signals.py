"""Shared arithmetic of the strategies, against figures worked out by hand."""

import math
import statistics
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from strategies import signals
from strategies.base import EVIDENCE_COLUMNS, no_evidence
from tests.catalog.memory_view import MemoryWorld, prices

ASOF = datetime(2021, 3, 13, 13, 0, tzinfo=UTC)
FRIDAY = "2021-03-12"


def window_of(closes: pd.DataFrame, symbols: list[str], sessions: int) -> signals.PriceWindow:
    return signals.price_window(MemoryWorld(closes=closes, adj_closes=closes).at(ASOF), symbols, sessions)


def test_a_window_holds_the_newest_sessions_by_symbol_in_alphabetical_order() -> None:
    window = window_of(prices({"B": [1, 2, 3, 4, 5, 6, 7, 8], "A": [9, 8, 7, 6, 5, 4, 3, 2]}, FRIDAY), ["B", "A", "B"], 3)
    assert window.symbols == ["A", "B"]
    assert window.prices.tolist() == [[4.0, 6.0], [3.0, 7.0], [2.0, 8.0]]
    assert [day.date().isoformat() for day in window.sessions] == ["2021-03-10", "2021-03-11", "2021-03-12"]


def test_a_symbol_with_a_hole_inside_the_window_is_skipped_and_one_before_it_is_not() -> None:
    nan = math.nan
    window = window_of(prices({"A": [1, 2, 3, nan, 5], "B": [nan, nan, 3, 4, 5], "C": [1, 1, 1, 1, 1]}, FRIDAY), ["A", "B", "C", "D"], 3)
    assert window.symbols == ["B", "C"]
    assert window.skipped == {"A": "1 of 3 sessions have no price", "D": "no bars"}


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf])
def test_a_price_that_is_not_a_positive_number_counts_as_missing(bad: float) -> None:
    assert window_of(prices({"A": [1, bad, 3], "B": [1, 2, 3]}, FRIDAY), ["A", "B"], 3).symbols == ["B"]


def test_sessions_that_no_symbol_has_a_price_for_yet_are_left_off_the_end() -> None:
    nan = math.nan
    window = window_of(prices({"A": [1, 2, 3, nan, nan, nan, nan], "Z": [5, 5, 5, 5, 5, 5, 5]}, FRIDAY), ["A"], 3)
    assert window.prices[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert window_of(prices({"A": [1, 2, nan, nan, nan, nan, nan], "Z": [5] * 7}, FRIDAY), ["A"], 2).symbols == []


def test_a_history_shorter_than_the_window_is_skipped_with_the_number_of_missing_sessions() -> None:
    assert window_of(prices({"A": [1, 2]}, FRIDAY), ["A"], 5).skipped == {"A": "3 of 5 sessions have no price"}


def test_total_return_compares_the_last_price_with_the_one_n_sessions_before() -> None:
    assert signals.total_return(np.array([[50.0], [100.0], [110.0], [121.0]]), 2).tolist() == pytest.approx([0.21])


def test_volatility_is_the_sample_deviation_times_the_root_of_252() -> None:
    returns = [0.01, -0.02, 0.03, 0.0]
    measured = signals.annual_volatility(np.array(returns)[:, None])
    assert measured[0] == pytest.approx(statistics.stdev(returns) * math.sqrt(252))


def test_volatility_of_returns_that_never_vary_is_undefined() -> None:
    assert np.isnan(signals.annual_volatility(np.full((30, 1), 0.01 / 3))).all()


def test_percentile_ranks_share_the_average_rank_between_equals() -> None:
    assert signals.percentile_ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [0.875, 0.25, 0.875, 0.5]


def test_equal_scores_are_ordered_by_symbol() -> None:
    assert signals.descending(["C", "A", "B"], np.array([1.0, 1.0, 2.0])).tolist() == [2, 1, 0]


def test_inverse_volatility_gives_half_the_weight_to_twice_the_risk() -> None:
    assert signals.inverse_volatility(np.array([0.1, 0.2])).tolist() == pytest.approx([2 / 3, 1 / 3])


def test_what_a_capped_name_gives_up_goes_to_the_others_in_proportion() -> None:
    weights = signals.capped_proportional(np.array([50.0, 30.0, 20.0]), total=1.0, cap=0.4)
    assert weights.tolist() == pytest.approx([0.4, 0.36, 0.24])


def test_a_cap_that_binds_again_after_redistribution_holds() -> None:
    weights = signals.capped_proportional(np.array([70.0, 20.0, 10.0]), total=1.0, cap=0.4)
    assert weights.tolist() == pytest.approx([0.4, 0.4, 0.2])


def test_caps_that_leave_no_room_for_the_total_all_bind() -> None:
    assert signals.capped_proportional(np.array([5.0, 1.0]), total=1.0, cap=0.1).tolist() == [0.1, 0.1]


def test_growth_evidence_is_what_a_dollar_became_less_the_dollar_that_it_was() -> None:
    window = window_of(prices({"A": [10, 11, 15]}, FRIDAY), ["A"], 3)
    evidence = signals.growth_evidence(window, np.array([0]), start=0, end=2, scale=np.array([2.0]))
    assert evidence["row_key"].tolist() == ["A@2021-03-10", "A@2021-03-12"]
    assert evidence["contribution"].tolist() == pytest.approx([-2.0, 3.0])


def test_evidence_has_the_columns_and_types_of_the_contract() -> None:
    evidence = signals.evidence_frame("bars_daily", ["A@2021-03-12"], ["A"], np.array([1.0]))
    assert tuple(evidence.columns) == EVIDENCE_COLUMNS
    assert evidence.dtypes.to_dict() == no_evidence().dtypes.to_dict()
