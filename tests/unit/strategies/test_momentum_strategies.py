"""The three momentum strategies, against figures worked out with the standard library alone."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strategies.base import Targets
from strategies.catalog import leveraged_sector_momentum, sector_risk_parity_momentum, volatility_scaled_momentum
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 13, 13, 0, tzinfo=UTC)
FRIDAY = "2021-03-12"
NAN = float("nan")


def zigzag(sessions: int, up: float, down: float, start: float = 100.0) -> list[float]:
    """Prices that move by `up`, `down`, `up`, ... a day."""
    path = [start]
    for day in range(sessions):
        path.append(path[-1] * (1.0 + (down if day % 2 else up)))
    return path


def volatility(path: Sequence[float]) -> float:
    return statistics.stdev(b / a - 1.0 for a, b in itertools.pairwise(path)) * math.sqrt(252)


def world(paths: Mapping[str, Sequence[float]], members: Mapping[str, datetime] | None = None) -> MemoryWorld:
    closes = prices(paths, FRIDAY)
    known = dict.fromkeys(paths, ASOF - timedelta(days=1)) if members is None else members
    return MemoryWorld(closes=closes, adj_closes=closes, members={"sp500": list(known.items())})


class TestVolatilityScaledMomentum:
    def run(self, of: MemoryWorld, **params: Any) -> Targets:
        return volatility_scaled_momentum.STRATEGY.run(of.at(ASOF), **params)

    def test_the_score_is_the_twelve_month_return_over_its_volatility(self) -> None:
        calm, wild, falling = zigzag(252, 0.01, -0.005), zigzag(252, 0.05, -0.04), zigzag(252, 0.01, -0.012)
        targets = self.run(world({"CALM": calm, "WILD": wild, "FALL": falling}))
        scores = {"CALM": (calm[-1] / calm[0] - 1) / volatility(calm), "WILD": (wild[-1] / wild[0] - 1) / volatility(wild)}
        assert targets.scores.to_dict() == pytest.approx(scores)
        assert list(targets.scores.index) == ["CALM", "WILD"]
        inverse = {symbol: 1.0 / volatility(path) for symbol, path in (("CALM", calm), ("WILD", wild))}
        assert targets.weights.to_dict() == pytest.approx({symbol: value / sum(inverse.values()) for symbol, value in inverse.items()})

    def test_skipping_the_last_month_leaves_its_prices_out_of_the_score(self) -> None:
        path = zigzag(252, 0.01, -0.005)
        crashed = [*path, *[path[-1] * 0.4] * 21]
        targets = self.run(world({"A": crashed}), skip=21)
        assert targets.scores["A"] == pytest.approx((path[-1] / path[0] - 1) / volatility(path))
        assert self.run(world({"A": crashed})).weights.empty

    def test_only_the_members_of_that_day_are_candidates(self) -> None:
        path = zigzag(252, 0.01, -0.005)
        members = {"A": ASOF - timedelta(days=1), "LATER": ASOF + timedelta(days=1)}
        assert list(self.run(world({"A": path, "LATER": path, "NEVER": path}, members)).weights.index) == ["A"]

    def test_a_young_member_and_one_without_bars_are_skipped_with_the_reason(self) -> None:
        path = zigzag(252, 0.01, -0.005)
        young = [NAN] * 100 + path[100:]
        members = dict.fromkeys(("A", "YOUNG", "GHOST"), ASOF - timedelta(days=1))
        targets = self.run(world({"A": path, "YOUNG": young}, members))
        assert targets.skipped == {"GHOST": "no bars", "YOUNG": "100 of 253 sessions have no price"}

    def test_evidence_is_the_first_and_the_last_bar_of_the_window(self) -> None:
        path = zigzag(252, 0.01, -0.005)
        targets = self.run(world({"A": path}))
        first = prices({"A": path}, FRIDAY).index[0].date()
        expected = {f"A@{first}": -1.0 / volatility(path), f"A@{FRIDAY}": path[-1] / path[0] / volatility(path)}
        assert targets.evidence.set_index("row_key")["contribution"].to_dict() == pytest.approx(expected)

    def test_an_index_that_was_never_imported_says_so(self) -> None:
        assert self.run(world({"A": [1.0] * 300}, {})).skipped == {"sp500": "no members of the index are known"}


class TestSectorRiskParityMomentum:
    def run(self, paths: Mapping[str, Sequence[float]], **params: Any) -> Targets:
        return sector_risk_parity_momentum.STRATEGY.run(world(paths).at(ASOF), **params)

    def test_the_score_is_the_mean_percentile_rank_over_three_six_and_twelve_months(self) -> None:
        steady = zigzag(252, 0.006, -0.003)
        late = [*[100.0] * 190, *zigzag(62, 0.012, -0.004)]
        slow = zigzag(252, 0.004, -0.003)
        targets = self.run({"XLB": slow, "XLE": late, "XLK": steady})
        # LATE leads over 3 and 6 months and is second over 12; SLOW is last each time.
        assert late[-1] / late[-127] > steady[-1] / steady[-127] and late[-1] / late[0] < steady[-1] / steady[0]
        assert targets.scores.to_dict() == pytest.approx({"XLE": (1 + 1 + 2 / 3) / 3, "XLK": (2 / 3 + 2 / 3 + 1) / 3, "XLB": 1 / 3})

    def test_two_uncorrelated_sectors_are_weighted_by_inverse_volatility(self) -> None:
        quiet = zigzag(252, 0.006, -0.003)
        loud = [100.0]
        for day in range(252):
            loud.append(loud[-1] * (1.0 + (0.018 if day % 4 < 2 else -0.009)))
        weights = self.run({"XLK": loud, "XLP": quiet}).weights
        # Shrinkage pulls the two variances towards each other, so quiet gets less than the three quarters of 1/vol.
        assert 0.60 < weights["XLP"] < 0.80
        assert weights.sum() == pytest.approx(1.0)

    def test_a_sector_that_fell_is_not_held_however_it_ranks(self) -> None:
        rising, falling = zigzag(252, 0.006, -0.003), zigzag(252, 0.003, -0.006)
        assert self.run({"XLK": rising, "XLE": falling}).weights.to_dict() == {"XLK": 1.0}
        assert self.run({"XLE": falling, "XLU": falling}).weights.empty

    def test_a_fund_that_does_not_exist_yet_or_is_too_young_is_skipped_with_the_reason(self) -> None:
        young = [NAN] * 200 + zigzag(52, 0.006, -0.003)
        targets = self.run({"XLK": zigzag(252, 0.006, -0.003), "XLC": young})
        assert list(targets.weights.index) == ["XLK"]
        assert targets.skipped["XLC"] == "200 of 253 sessions have no price"
        assert targets.skipped["XLRE"] == "no bars"

    def test_each_horizon_is_split_between_its_first_bar_and_the_newest(self) -> None:
        targets = self.run({"XLK": zigzag(252, 0.006, -0.003)})
        days = [day.date().isoformat() for day in prices({"XLK": [0.0] * 253}, FRIDAY).index]
        expected = {f"XLK@{days[-64]}": 1 / 6, f"XLK@{days[-127]}": 1 / 6, f"XLK@{days[0]}": 1 / 6, f"XLK@{FRIDAY}": 1 / 2}
        assert targets.evidence.set_index("row_key")["contribution"].to_dict() == pytest.approx(expected)


class TestLeveragedSectorMomentum:
    def run(self, paths: Mapping[str, Sequence[float]], **params: Any) -> Targets:
        return leveraged_sector_momentum.STRATEGY.run(world(paths).at(ASOF), **params)

    def test_the_three_strongest_positive_quarters_are_held_by_inverse_volatility(self) -> None:
        paths = {
            "TQQQ": zigzag(70, 0.012, -0.004),
            "FAS": zigzag(70, 0.010, -0.006),
            "ERX": zigzag(70, 0.009, -0.004),
            "DRN": zigzag(70, 0.006, -0.004),
            "LABU": zigzag(70, 0.004, -0.006),
        }
        targets = self.run(paths, target_vol=1.0)
        recent = {symbol: path[-64:] for symbol, path in paths.items()}
        assert targets.scores.to_dict() == pytest.approx({s: recent[s][-1] / recent[s][0] - 1 for s in ("TQQQ", "ERX", "FAS")})
        assert list(targets.scores.index) == ["TQQQ", "ERX", "FAS"]
        inverse = {symbol: 1.0 / volatility(recent[symbol]) for symbol in targets.scores.index}
        assert targets.weights.to_dict() == pytest.approx({symbol: value / sum(inverse.values()) for symbol, value in inverse.items()})

    def test_the_brake_scales_the_sleeve_to_the_target_volatility(self) -> None:
        path = zigzag(70, 0.05, -0.03)
        targets = self.run({"SOXL": path})
        assert volatility(path[-64:]) > 0.25
        assert targets.weights["SOXL"] == pytest.approx(0.25 / volatility(path[-64:]))

    def test_a_portfolio_calmer_than_the_target_is_fully_invested_and_never_more(self) -> None:
        assert self.run({"SOXL": zigzag(70, 0.006, -0.003)}).weights.to_dict() == {"SOXL": 1.0}

    def test_in_a_falling_market_nothing_is_held(self) -> None:
        assert self.run({"SOXL": zigzag(70, 0.003, -0.006), "FAS": zigzag(70, 0.003, -0.007)}).weights.empty


FUNDS_OF = {
    volatility_scaled_momentum: ("A", "B", "C"),
    sector_risk_parity_momentum: ("XLK", "XLP", "XLU"),
    leveraged_sector_momentum: ("SSO", "TECL", "UYG"),
}


@pytest.mark.parametrize("module", list(FUNDS_OF), ids=lambda module: module.STRATEGY.name)
@pytest.mark.parametrize("row", [-1, -2, -30])
@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_a_wrong_tick_wins_no_weight(module: Any, row: int, factor: float) -> None:
    """The fund that falls is not wanted, and would be the best of all by a tick on the newest session."""
    falling, *rising = FUNDS_OF[module]
    paths = {name: zigzag(252, 0.01, -0.006 - 0.0005 * i) for i, name in enumerate(rising)}
    paths[falling] = zigzag(252, 0.01, -0.012)
    clean = module.STRATEGY.run(world(paths).at(ASOF))
    paths[falling][row] *= factor
    spoilt = module.STRATEGY.run(world(paths).at(ASOF))
    assert sorted(clean.weights.index) == sorted(rising)
    assert sorted(spoilt.weights.index) == sorted(rising)
    assert spoilt.weights.to_dict() == clean.weights.to_dict()


@pytest.mark.parametrize("module", list(FUNDS_OF), ids=lambda module: module.STRATEGY.name)
def test_a_session_without_any_price_empties_no_sleeve(module: Any) -> None:
    paths = {name: zigzag(252, 0.01, -0.006 - 0.0005 * i) for i, name in enumerate(FUNDS_OF[module])}
    for path in paths.values():
        path[-30] = NAN
    assert sorted(module.STRATEGY.run(world(paths).at(ASOF)).weights.index) == sorted(FUNDS_OF[module])
