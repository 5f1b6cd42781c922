"""Pairs within a sector: which are chosen, when they open, and by which rule each of them closes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd
import pytest

from risk.kernels import kernel
from strategies import resolve_params
from strategies.base import Targets
from strategies.catalog.kalman_pairs import STRATEGY
from strategies.conformance.memory import MemoryWorld
from strategies.kalman import hedge_ratio
from strategies.pairs import Formation, critical_value, formations, most_traded, select

FORMED = pd.Timestamp("2020-06-30")
DEVIATION = 0.02
LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC)
ASSETS = pd.DataFrame(
    {
        "symbol": pd.Series(dtype="object"),
        "shortable": pd.Series(dtype="object"),
        "easy_to_borrow": pd.Series(dtype="object"),
        "row_key": pd.Series(dtype="object"),
        "event_at": pd.Series(dtype="datetime64[us, UTC]"),
        "known_at": pd.Series(dtype="datetime64[us, UTC]"),
    }
)


def spread(tail: Sequence[float], seed: int, before: int) -> np.ndarray:
    """A reverting spread up to the formation's end, then `tail`, all in standard deviations times DEVIATION."""
    rng = np.random.default_rng(seed)
    past = np.zeros(before)
    for t in range(1, before):
        past[t] = 0.6 * past[t - 1] + 0.8 * rng.normal()
    past[-3:] = 0.0
    return DEVIATION * np.concatenate([past, tail])


def pair(tail: Sequence[float], seed: int, *, before: int = 300, beta: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Closes of y and x: y is tied to x by a spread that ends in `tail`, in standard deviations, from the formation's end on."""
    x = np.cumsum(np.random.default_rng(1000 + seed).normal(0, 0.01, before + len(tail)))
    return 60 * np.exp(beta * x + spread(tail, seed, before)), 50 * np.exp(x)


def alone(tail: Sequence[float], seed: int, *, before: int = 300) -> np.ndarray:
    """Closes of a name that is tied to nothing."""
    return 30 * np.exp(np.cumsum(np.random.default_rng(2000 + seed).normal(0, 0.02, before + len(tail))))


def world(paths: Mapping[str, np.ndarray], tail: Sequence[float], sectors: Mapping[str, str] | None = None, **more: object) -> MemoryWorld:
    """Names of one sector, unless said otherwise; the formation ends with June 2020, the tail is July's sessions and on."""
    before = len(next(iter(paths.values()))) - len(tail)
    sessions = pd.bdate_range(end=FORMED, periods=before).append(pd.bdate_range(FORMED + timedelta(days=1), periods=len(tail)))
    closes = pd.DataFrame(paths, index=sessions)
    given = {
        "closes": closes,
        "adj_closes": closes,
        "events": {"assets": ASSETS},
        "members": {"sp500": [(name, LONG_AGO) for name in paths]},
        "sectors": dict(sectors or dict.fromkeys(paths, "Utilities")),
    }
    return MemoryWorld(**(given | more))


def after(market: MemoryWorld, row: int, **overrides: object) -> Targets:
    """Targets on the morning after the session in that row."""
    asof = datetime.combine(market.closes.index[row].date() + timedelta(days=1), time(13), UTC)
    return STRATEGY.run(market.at(asof), **resolve_params(STRATEGY, overrides))


def tied(tail: Sequence[float], seed: int = 0, **more: object) -> MemoryWorld:
    """A world of the one pair YY, XX."""
    y, x = pair(tail, seed)
    return world({"YY": y, "XX": x}, tail, **more)


def sides(targets: Targets) -> dict[str, int]:
    return {symbol: int(math.copysign(1, weight)) for symbol, weight in sorted(targets.weights.items())}


def test_the_leg_that_fell_behind_is_bought_and_the_other_sold_short() -> None:
    assert sides(after(tied([-3.0]), -1)) == {"XX": -1, "YY": 1}
    assert sides(after(tied([3.0]), -1)) == {"XX": 1, "YY": -1}


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_legs_share_one_slot_as_the_hedge_ratio_says(beta: float) -> None:
    y, x = pair([-3.0], 4, beta=beta)
    weights = after(world({"YY": y, "XX": x}, [-3.0]), -1).weights
    assert weights.abs().sum() == pytest.approx(1 / 8)
    # Which leg is y of the regression is the test's choice; either way x has about beta dollars for each dollar of y.
    assert abs(weights["XX"]) / weights["YY"] == pytest.approx(beta, rel=0.15)


def test_an_open_pair_keeps_its_weights_to_the_last_bit_until_it_has_come_back() -> None:
    market = tied([-3.0, -2.2, -2.5, -1.5, -1.2, -1.4, 0.0, 0.2])
    first, *others = (after(market, row).weights for row in range(300, 306))
    assert set(first.index) == {"XX", "YY"}
    for weights in others:
        assert weights.sort_index().to_numpy().tobytes() == first.sort_index().to_numpy().tobytes()
    assert after(market, 306).weights.empty and after(market, 307).weights.empty


def test_a_distance_that_keeps_a_pair_open_does_not_open_one() -> None:
    assert after(tied([-1.3, -1.4, -1.3]), -1).weights.empty
    assert not after(tied([-3.0, -1.4, -1.3]), -1).weights.empty


def test_a_pair_that_runs_away_is_closed_and_opens_again_only_after_it_came_back() -> None:
    tail = [-3.0, -7.0, -3.0, -3.0, 0.0, -3.0]
    held = [not after(tied(tail), 300 + day).weights.empty for day in range(len(tail))]
    assert held == [True, False, False, False, False, True]


def test_a_jump_beyond_the_stop_opens_nothing() -> None:
    assert after(tied([-8.0]), -1).weights.empty
    assert not after(tied([-8.0]), -1, stop=10.0).weights.empty


def test_a_pair_that_does_not_come_back_is_closed_after_so_many_sessions() -> None:
    market = tied([-3.0] * 8)
    held = [not after(market, 300 + day, max_sessions=5).weights.empty for day in range(8)]
    assert held == [True] * 5 + [False] * 3


def test_a_pair_is_broken_when_its_hedge_ratio_leaves_the_band_of_the_formation() -> None:
    states = np.array([[0.0, beta, z, 1.0] for beta, z in [(1.0, 0.0), (1.0, -3.0), (1.9, -3.0), (2.1, -3.0), (1.0, -3.0), (1.0, 0.0)]])
    found = np.empty(len(states), dtype=np.int64)
    kernel("pairs").positions(states, 1, 9, np.array([0.5, 2.0]), np.array([2.0, 0.5, 4.0, 42.0]), found)
    assert found.tolist() == [0, 1, 1, 0, 0, 0]


def test_after_its_month_a_pair_is_held_to_its_end_and_not_opened_again() -> None:
    states = np.array([[0.0, 1.0, z, 1.0] for z in (0.0, -3.0, -2.5, -2.5, 0.0, -3.0)])
    found = np.empty(len(states), dtype=np.int64)
    rule = np.array([2.0, 0.5, 4.0, 42.0])
    for last_entry, expected in ((1, [0, 1, 1, 1, 0, 0]), (9, [0, 1, 1, 1, 0, 1]), (0, [0] * 6)):
        kernel("pairs").positions(states, 1, last_entry, np.array([0.5, 2.0]), rule, found)
        assert found.tolist() == expected


def test_an_open_pair_outlives_the_month_that_opened_it_at_the_same_weights() -> None:
    tail = [0.0] * 20 + [-3.0] + [-2.0] * 9  # July 2020 has 23 weekdays
    market = tied(tail)
    opened = after(market, 320).weights
    assert market.closes.index[-1] > pd.Timestamp("2020-08-05")
    assert not opened.empty
    for row in range(321, 330):
        pd.testing.assert_series_equal(after(market, row).weights.sort_index(), opened.sort_index(), check_exact=True)


def test_pairs_are_formed_up_to_a_months_end_and_opened_in_the_month_after() -> None:
    sessions = pd.bdate_range("2020-01-01", "2020-06-10")
    ends = [int(sessions.get_loc(day)) for day in ("2020-03-31", "2020-04-30", "2020-05-29")]
    # May's pairs may be open; April's opened by 29 May, 8 sessions ago; March's by 30 April, 29 sessions ago, which is too long.
    assert formations(sessions, 40, 29) == [
        Formation(first=ends[1] - 39, last=ends[1], last_entry=ends[2]),
        Formation(first=ends[2] - 39, last=ends[2], last_entry=len(sessions) - 1),
    ]
    assert [found.last for found in formations(sessions, 40, 30)] == ends
    assert formations(sessions[:0], 40, 30) == [] and formations(sessions[:5], 40, 30) == []


def test_the_day_after_a_months_end_still_trades_the_pairs_of_the_month_before() -> None:
    sessions = pd.bdate_range("2020-01-01", "2020-05-29")
    (newest,) = formations(sessions, 60, 1)
    assert sessions[newest.last] == pd.Timestamp("2020-04-30")
    assert newest.last_entry == len(sessions) - 1


def test_each_session_finds_what_one_pass_over_the_month_finds() -> None:
    tail = (3.2 * np.sin(np.arange(22) / 2.3)).tolist()
    y, x = pair(tail, 7)
    market = world({"YY": y, "XX": x}, tail)
    seen = [sides(after(market, 300 + day)).get("YY", 0) for day in range(22)]
    assert seen == by_hand(y, x, 300, swapped=select_direction(y, x) == "XX")
    assert {-1, 0, 1} == set(seen)


def select_direction(y: np.ndarray, x: np.ndarray) -> str:
    """Which of the two the test regresses on the other, by an independent Dickey-Fuller regression."""
    logs = {"YY": np.log(y[48:300]), "XX": np.log(x[48:300])}
    return min(("YY", "XX"), key=lambda name: dickey_fuller(logs[name], logs["XX" if name == "YY" else "YY"]))


def dickey_fuller(y: np.ndarray, x: np.ndarray) -> float:
    """Engle and Granger's statistic with one lag, by least squares."""
    design = np.column_stack([np.ones(len(x)), x])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    change = np.diff(rest)
    lagged = np.column_stack([rest[1:-1], change[:-1]])
    coefficients, squares, _, _ = np.linalg.lstsq(lagged, change[1:], rcond=None)
    covariance = squares[0] / (len(lagged) - 2) * np.linalg.inv(lagged.T @ lagged)
    return float(coefficients[0] / math.sqrt(covariance[0, 0]))


def z_scores(y: np.ndarray, x: np.ndarray, formed: int) -> pd.Series:
    """Innovations of y on x in standard deviations, from the formation of 252 rows before `formed` on, by the plain filter."""
    ly, lx = np.log(y[formed - 252 :]), np.log(x[formed - 252 :])
    slope, level = np.polyfit(lx[:252], ly[:252], 1)
    rest = ly - level - slope * lx
    scale = math.sqrt((rest[:252] ** 2).sum() / 250)
    states = hedge_ratio(rest / scale, (lx - lx[:252].mean()) / lx[:252].std(ddof=1), delta=1e-4, observation_variance=1.0)
    return states["innovation"] / np.sqrt(states["innovation_variance"])


def by_hand(y: np.ndarray, x: np.ndarray, formed: int, *, swapped: bool) -> list[int]:
    """Side of y on each row after the formation, by the rule in plain Python; for pairs that never break."""
    side, found = 0, []
    for z in z_scores(*((x, y) if swapped else (y, x)), formed)[252:]:
        assert abs(z) < 4
        if side:
            side = 0 if -side * z <= 0.5 else side
        elif abs(z) > 2:
            side = -int(math.copysign(1, z))
        found.append(-side if swapped else side)
    return found


def test_evidence_is_both_legs_of_the_last_two_sessions_and_sums_to_the_innovation() -> None:
    y, x = pair([-3.0, -2.5], 0)
    found = after(world({"YY": y, "XX": x}, [0.0, 0.0]), -1)
    swapped = select_direction(y, x) == "XX"
    z = z_scores(*((x, y) if swapped else (y, x)), 300).iloc[-1]
    for symbol in ("YY", "XX"):
        rows = found.evidence[found.evidence["symbol"] == symbol]
        assert set(rows["row_key"]) == {f"{leg}@{day}" for leg in ("YY", "XX") for day in ("2020-07-01", "2020-07-02")}
        assert set(rows["dataset"]) == {"bars_daily"}
        assert rows["contribution"].sum() == pytest.approx(abs(z), rel=1e-9)
        assert found.scores[symbol] == pytest.approx(abs(z), rel=1e-9)


def test_the_move_of_the_day_contributes_what_it_is_worth_in_deviations() -> None:
    y, x = pair([-3.0, -2.5], 0)
    found = after(world({"YY": y, "XX": x}, [0.0, 0.0]), -1)
    said = found.evidence[found.evidence["symbol"] == "YY"].set_index("row_key")["contribution"]
    # The position is long YY: that YY rose today against what XX did speaks for it less, in the ratio of the two log moves.
    moves = np.log(y[-1] / y[-2]), np.log(x[-1] / x[-2])
    hedge = abs(found.weights["XX"] / found.weights["YY"])
    assert -said["XX@2020-07-02"] / said["YY@2020-07-02"] == pytest.approx(hedge * moves[1] / moves[0], rel=0.02)


def test_legs_of_different_sectors_are_no_pair() -> None:
    assert after(tied([-3.0], sectors={"YY": "Utilities", "XX": "Energy"}), -1).weights.empty


def test_a_name_that_is_no_member_of_the_index_or_has_no_sector_is_no_leg() -> None:
    assert after(tied([-3.0], members={"sp500": [("YY", LONG_AGO)]}), -1).weights.empty
    assert after(tied([-3.0], sectors={"YY": "Utilities"}), -1).weights.empty


def test_prices_that_are_tied_to_nothing_make_no_pair() -> None:
    tail = [0.0] * 5
    paths = {f"A{seed}": alone(tail, seed) for seed in range(2)}
    assert dickey_fuller(np.log(paths["A0"][48:300]), np.log(paths["A1"][48:300])) > -3.3
    assert after(world(paths, tail), -1).weights.empty


def test_only_the_most_traded_names_of_a_sector_are_paired() -> None:
    y, x = pair([-3.0], 0)
    paths = {"YY": y, "XX": x, "BIG": alone([0.0], 1), "HUGE": alone([0.0], 2)}
    market = world(paths, [-3.0])
    volumes = pd.DataFrame({"YY": 1e4, "XX": 1e4, "BIG": 1e6, "HUGE": 1e6}, index=market.closes.index)
    market = replace(market, volumes=volumes)
    assert after(market, -1, per_sector=2).weights.empty
    assert set(after(market, -1, per_sector=4).weights.index) == {"YY", "XX"}
    assert most_traded(np.array([3.0, 5.0, 0.0, 4.0, 1.0]), ["a", "a", "b", "a", "b"], 2) == [1, 3, 4]


def test_the_pair_that_opened_first_is_held_before_one_that_is_further_apart() -> None:
    tail = [0.0] * 26  # up to 5 August
    first, second = pair([*tail[:20], -2.8, *[-2.6] * 5], 0), pair([*tail[:24], -3.0, -3.0], 1)
    paths = {"YY": first[0], "XX": first[1], "VV": second[0].copy(), "WW": second[1].copy()}
    for name in ("VV", "WW"):
        paths[name][:60] = np.nan  # so that June's formation does not know them
    market = world(paths, tail, {"YY": "Energy", "XX": "Energy", "VV": "Materials", "WW": "Materials"})
    both = after(market, -1)
    assert both.scores["VV"] > both.scores["YY"] and list(both.weights.index) == ["VV", "WW", "XX", "YY"]
    one = after(market, -1, max_pairs=1)
    assert set(one.weights.index) == {"XX", "YY"} and one.weights.abs().sum() == pytest.approx(1.0)
    assert set(one.skipped) == {"VV", "WW"} and "pairs that opened before it take all places, 1" in one.skipped["VV"]


def test_a_name_is_in_one_pair_of_a_month_and_both_directions_are_tried() -> None:
    y, x = pair([0.0], 0)
    z = 50 * np.exp(np.log(x) + 0.5 * spread([0.0], 9, 300))
    logs = np.log(np.stack([y, x, z]))
    found = select(logs, [0, 1, 2], ["s", "s", "s"], Formation(first=48, last=299, last_entry=300), "10%", 8)
    assert len(found) == 1
    every = {(a, b): dickey_fuller(logs[a, 48:300], logs[b, 48:300]) for a in range(3) for b in range(3) if a != b}
    best = min(every, key=every.__getitem__)
    assert (found[0].y, found[0].x) == best
    assert found[0].statistic == pytest.approx(every[best], rel=1e-9)


def test_critical_values_are_mackinnons() -> None:
    # Table 2 of MacKinnon (2010): -3.33613 - 6.1101 / 250 - 6.823 / 62500, and likewise.
    assert critical_value("5%", 250) == pytest.approx(-3.36068, abs=1e-5)
    assert critical_value("1%", 250) == pytest.approx(-3.94078, abs=1e-5)
    assert critical_value("10%", 250) == pytest.approx(-3.06146, abs=1e-5)


def listed(**flags: object) -> pd.DataFrame:
    """What the broker said of XX and YY on two days; flags: of XX on the newer one."""
    plain = {"shortable": True, "easy_to_borrow": True, "event_at": LONG_AGO}
    rows = [
        plain | {"symbol": "XX", "row_key": "XX", "known_at": LONG_AGO + timedelta(days=9)} | flags,
        plain | {"symbol": "YY", "row_key": "YY", "known_at": LONG_AGO},
    ]
    return pd.DataFrame(rows, columns=list(ASSETS.columns))


@pytest.mark.parametrize("flags", [{"shortable": False}, {"easy_to_borrow": False}])
def test_a_pair_whose_short_leg_cannot_be_borrowed_is_not_held(flags: dict) -> None:
    down = after(tied([-3.0], events={"assets": listed(**flags)}), -1)
    assert down.weights.empty
    assert set(down.skipped) == {"XX", "YY"} and "XX cannot be borrowed" in down.skipped["YY"]
    assert set(after(tied([3.0], events={"assets": listed(**flags)}), -1).weights.index) == {"XX", "YY"}
    assert sides(after(tied([-3.0], events={"assets": listed(**flags)}), -1, legs="tilt")) == {"YY": 1}


def test_what_the_broker_did_not_say_counts_as_borrowable() -> None:
    bare = ASSETS[["row_key", "event_at", "known_at"]]
    for said in (listed(), listed(shortable=None, easy_to_borrow=None), ASSETS, bare):
        assert sides(after(tied([-3.0], events={"assets": said}), -1)) == {"XX": -1, "YY": 1}


def test_without_short_sales_a_pair_at_rest_is_held_half_and_half_and_an_open_one_in_the_cheap_leg() -> None:
    rest, down, up = (after(tied([z]), -1, legs="tilt") for z in (0.0, -3.0, 3.0))
    assert rest.weights.to_dict() == {"XX": 1 / 16, "YY": 1 / 16}
    assert down.weights.to_dict() == {"YY": 1 / 8}
    assert up.weights.to_dict() == {"XX": 1 / 8}
    assert STRATEGY.shorts and STRATEGY.long_only == {"legs": "tilt"}


def test_a_pair_at_rest_is_scored_by_the_margin_of_its_test_on_the_bars_that_bound_its_formation() -> None:
    y, x = pair([0.0], 0)
    found = after(world({"YY": y, "XX": x}, [0.0]), -1, legs="tilt")
    logs = np.log(y[48:300]), np.log(x[48:300])
    margin = critical_value("5%", 250) - min(dickey_fuller(*logs), dickey_fuller(*logs[::-1]))
    assert found.scores.to_numpy() == pytest.approx([margin, margin])
    first = pd.bdate_range(end=FORMED, periods=252)[0].date()
    assert set(found.evidence["row_key"]) == {f"{leg}@{day}" for leg in ("XX", "YY") for day in (first, "2020-06-30")}


def test_a_name_with_a_gap_in_the_formation_is_skipped_with_the_reason() -> None:
    market = tied([-3.0])
    closes = market.closes.copy()
    closes.iloc[200:205, 0] = np.nan
    found = after(replace(market, closes=closes, adj_closes=closes), -1)
    assert found.weights.empty
    assert found.skipped == {"YY": "5 of 252 sessions of the formation have no price"}


def test_neither_a_missing_price_nor_a_wrong_tick_in_the_formation_keeps_a_pair_from_opening() -> None:
    market = tied([-3.0])
    for odd in (np.nan, 1e6):
        closes = market.closes.copy()
        closes.iloc[200, 0] = odd
        found = after(replace(market, closes=closes, adj_closes=closes), -1)
        assert list(found.weights.index) == list(after(market, -1).weights.index)


def test_a_wrong_tick_on_the_newest_session_neither_closes_a_pair_nor_opens_one() -> None:
    opened, resting = tied([-3.0, -3.0, -3.0]), tied([0.0, 0.0, 0.0])
    for market in (opened, resting):
        closes = market.closes.copy()
        closes.iloc[-1, 0] *= 1000.0
        found = after(replace(market, closes=closes, adj_closes=closes), -1)
        assert sorted(found.weights.index) == sorted(after(market, -2).weights.index)


def test_a_missing_price_since_leaves_the_pair_as_it_was_and_evidence_names_the_bar_that_stands_in() -> None:
    market = tied([-3.0, -3.0, -3.0])
    closes = market.closes.copy()
    closes.loc[closes.index[-1], "YY"] = np.nan
    found = after(replace(market, closes=closes, adj_closes=closes), -1)
    pd.testing.assert_series_equal(found.weights.sort_index(), after(market, -2).weights.sort_index(), check_exact=True)
    assert set(found.evidence["row_key"]) == {"YY@2020-07-02", "XX@2020-07-02", "XX@2020-07-03"}


def test_a_leg_that_no_longer_trades_closes_its_pair() -> None:
    market = tied([-3.0] * 7)
    closes = market.closes.copy()
    closes.loc[closes.index[-5:], "YY"] = np.nan
    found = after(replace(market, closes=closes, adj_closes=closes), -1)
    assert found.weights.empty
    assert "no bar in the last 5 sessions" in found.skipped["XX"]


def test_a_dividend_opens_nothing() -> None:
    market = tied([-0.2, 0.1, 0.0])
    closes = market.closes.copy()
    closes.loc[closes.index[-1], "YY"] *= 0.94  # six per cent paid out
    assert after(replace(market, closes=closes), -1).weights.empty
    assert not after(replace(market, closes=closes, adj_closes=closes), -1).weights.empty


def test_a_pair_that_two_formations_find_counts_once() -> None:
    tail = [0.0] * 22 + [-3.0, -3.0, -3.0]  # opened on 31 July by June's formation; July's sees it open from 3 August on
    market = tied(tail)
    found = after(market, -1)
    assert market.closes.index[322] == pd.Timestamp("2020-07-31")
    assert found.weights.abs().sum() == pytest.approx(1 / 8)
    assert len(found.evidence) == 8
