"""Shared arithmetic of the strategies, against figures worked out by hand."""

import math
import statistics
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from strategies import signals
from strategies.base import EVIDENCE_COLUMNS, no_evidence
from strategies.conformance.memory import MemoryWorld, prices

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


def flat(**odd: dict[int, float]) -> pd.DataFrame:
    """Sixty sessions at 100 USD by name, but for the rows named; the last is Friday's."""
    return prices({name: [rows.get(row, 100.0) for row in range(60)] for name, rows in odd.items()}, FRIDAY)


def test_for_a_few_missing_prices_the_ones_before_stand_in_and_are_named_for_what_they_are() -> None:
    nan = math.nan
    window = window_of(flat(A={19: 90.0, 20: nan, 59: nan}, B={30: nan}), ["A", "B"], 40)
    assert window.symbols == ["A", "B"]
    assert window.prices[:, 0].tolist() == [90.0] + [100.0] * 39  # row 20, the first of the window, is that of the session before it
    days = [day.date().isoformat() for day in prices({"A": [0.0] * 60}, FRIDAY).index]
    assert window.keys(["B", "A"], 0) == [f"B@{days[20]}", f"A@{days[19]}"]
    assert window.keys(["A", "B"], -1) == [f"A@{days[58]}", f"B@{days[59]}"]


def test_a_session_on_which_nothing_traded_takes_no_symbol_out_of_the_window() -> None:
    assert window_of(flat(A={30: math.nan}, B={30: math.nan}), ["A", "B"], 40).symbols == ["A", "B"]


def test_five_missing_prices_in_a_row_are_too_many_and_so_is_more_than_a_tenth_of_the_window() -> None:
    nan = math.nan
    closes = flat(
        FOUR=dict.fromkeys(range(30, 34), nan), FIVE=dict.fromkeys(range(30, 35), nan), LOOSE=dict.fromkeys(range(22, 58, 9), nan)
    )
    loose = dict.fromkeys(range(22, 58, 7), nan)
    window = window_of(closes.assign(MANY=flat(MANY=loose)["MANY"]), ["FOUR", "FIVE", "LOOSE", "MANY"], 40)
    assert window.symbols == ["FOUR", "LOOSE"]
    assert window.skipped == {"FIVE": "5 of 40 sessions have no price", "MANY": "6 of 40 sessions have no price"}


def test_a_price_of_more_than_five_sessions_ago_is_not_current_though_the_window_ends_later() -> None:
    nan = math.nan
    closes = flat(A=dict.fromkeys(range(55, 60), nan), B=dict.fromkeys(range(56, 60), nan), C={59: nan})
    window = window_of(closes, ["A", "B"], 40)  # it ends on row 55, B's newest
    assert window.symbols == ["B"]
    assert window.skipped == {"A": "no price in the last 5 sessions"}


@pytest.mark.parametrize("tick", [100_000.0, 0.1, 1001.0])
@pytest.mark.parametrize("row", [20, 40, 58, 59])
def test_a_wrong_tick_is_as_good_as_no_price(tick: float, row: int) -> None:
    window = window_of(flat(A={row: tick}, B={}), ["A", "B"], 40)
    assert window.symbols == ["A", "B"]
    assert window.prices.tolist() == [[100.0, 100.0]] * 40
    stands_in = [at for at in range(40) if window.days[at, 0] != window.days[at, 1]]
    assert stands_in == [row - 20]


def test_a_price_that_stays_ten_times_away_is_a_mistake_or_an_unknown_split_and_the_symbol_is_skipped() -> None:
    split, less = dict.fromkeys(range(40, 60), 9.0), dict.fromkeys(range(40, 60), 11.0)
    window = window_of(flat(SPLIT=split, FELL=less, FIRST={20: 100.0}), ["SPLIT", "FELL", "FIRST"], 40)
    assert window.symbols == ["FELL", "FIRST"]
    assert window.skipped == {"SPLIT": "its price moves more than 10-fold between two sessions"}


def test_a_leap_before_the_window_does_not_count() -> None:
    assert window_of(flat(A=dict.fromkeys(range(20), 5.0)), ["A"], 40).symbols == ["A"]


def test_the_last_close_is_the_newest_that_is_no_wrong_tick() -> None:
    nan = math.nan
    world = traded({"A": [5.0, 6.0, 7.0, 8.0, 9000.0], "B": [5.0, 6.0, nan, nan, nan], "C": [nan] * 5, "D": [1.0, 0.01, 1.0, 2.0, 3.0]})
    assert signals.last_closes(world.at(ASOF), ["A", "B", "C", "D", "E"]) == {"A": 8.0, "B": 6.0, "D": 3.0}


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


def traded(closes: dict[str, list[float]], shares: dict[str, list[float]] | None = None) -> MemoryWorld:
    frame = prices(closes, FRIDAY)
    volumes = None if shares is None else prices(shares, FRIDAY)
    return MemoryWorld(
        closes=frame, adj_closes=frame, volumes=volumes, members={"sp500": [("B", ASOF)], "sp400": [("A", ASOF)], "sp600": []}
    )


def test_a_name_without_a_bar_for_five_sessions_and_one_below_the_lowest_price_are_untradable() -> None:
    nan = math.nan
    world = traded({"A": [9.0] * 6, "B": [9.0, nan, nan, nan, nan, nan], "C": [2.0, 2.0, 2.0, 2.0, 0.5, nan]})
    reasons = signals.untradable(world.at(ASOF), ["C", "A", "B", "D", "A"], min_price=1.0)
    assert reasons == {
        "B": "no bar in the last 5 sessions",
        "C": "last close 0.50 USD is below 1.00 USD",
        "D": "no bar in the last 5 sessions",
    }


def test_a_name_is_thin_by_its_median_day_in_which_a_session_without_a_trade_counts_as_none() -> None:
    # Twenty sessions at 10 USD: A trades 1,000 shares on 11 of them, B on 9, so that the median days are 10,000 and 0 USD.
    shares = {"A": [1000.0] * 11 + [0.0] * 9, "B": [0.0] * 11 + [1000.0] * 9}
    world = traded({"A": [10.0] * 20, "B": [10.0] * 20}, shares)
    assert signals.untradable(world.at(ASOF), ["A", "B"], min_adv_usd=10_000.0) == {"B": "trades 0 USD a day, less than 10,000 USD"}
    assert signals.untradable(world.at(ASOF), ["A"], min_adv_usd=10_001.0) == {"A": "trades 10,000 USD a day, less than 10,001 USD"}


def test_only_the_names_passed_over_on_the_way_to_the_last_chosen_one_keep_their_reasons() -> None:
    symbols, scores = ["A", "B", "C", "D", "E"], np.array([1.0, 5.0, math.nan, 4.0, -1.0])
    reasons = dict.fromkeys(symbols, "thin") | {"A": "cheap"}
    del reasons["D"]
    assert signals.ranked(symbols, scores, reasons, 1) == ([3], {"B": "thin"})
    assert signals.ranked(symbols, scores, reasons, 2) == ([3], {"B": "thin", "A": "cheap"})


def test_members_of_several_indices_are_one_sorted_list() -> None:
    view = traded({"A": [1.0]}).at(ASOF)
    assert signals.members(view, "sp500", "sp400", "sp600") == ["A", "B"]
    assert signals.members(view, "sp600") == []


def test_equal_weights_fill_the_sleeve_from_enough_names_on() -> None:
    assert signals.equal_weights(2, full_at=4).tolist() == [0.25, 0.25]
    assert signals.equal_weights(5, full_at=4).tolist() == [0.2] * 5
    assert signals.equal_weights(0, full_at=4).tolist() == []
