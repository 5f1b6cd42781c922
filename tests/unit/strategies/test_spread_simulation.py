"""The null model of a pair: what the rule earns on prices that never revert to each other, and what that says of a real pair."""

import math
import time

import numpy as np
import pandas as pd
import pytest

from strategies.kalman import BadSeries, hedge_ratio
from strategies.spread_simulation import SpreadSimulation, simulate

RULE = {"delta": 1e-4, "observation_variance": 1.0, "entry": 2.0, "exit_": 0.5, "stop": 4.0, "max_sessions": 42}


def brownian(n: int, seed: int) -> tuple[pd.Series, pd.Series]:
    """Two prices whose daily changes have a correlation of 0.8 and whose levels have nothing to do with each other."""
    changes = np.random.default_rng(seed).multivariate_normal([0.0003, 0.0002], [[1.44e-4, 0.96e-4], [0.96e-4, 1e-4]], n)
    paths = np.exp(np.cumsum(changes, axis=0))
    return pd.Series(40 * paths[:, 0]), pd.Series(70 * paths[:, 1])


def tied(n: int, seed: int) -> tuple[pd.Series, pd.Series]:
    """Two prices whose ratio reverts with a half-life of seven sessions."""
    rng = np.random.default_rng(seed)
    x, spread = np.cumsum(rng.normal(0.0003, 0.01, n)), np.zeros(n)
    for t in range(1, n):
        spread[t] = 0.9 * spread[t - 1] + rng.normal(0, 0.01)
    return pd.Series(50 * np.exp(x + spread)), pd.Series(50 * np.exp(x))


def run(y: pd.Series, x: pd.Series, paths: int = 200, seed: int = 1, **changes: float) -> SpreadSimulation:
    return simulate(y, x, paths=paths, seed=seed, **(RULE | changes))


def standardised(y: pd.Series, x: pd.Series, formation: int) -> tuple[float, np.ndarray, np.ndarray, float]:
    """Slope of the formation, what the regression leaves of y and x in units of its own deviation, and what turns beta into a slope."""
    ly, lx = np.log(y.to_numpy()), np.log(x.to_numpy())
    slope, _ = np.polyfit(lx[:formation], ly[:formation], 1)
    cy, cx = ly - ly[:formation].mean(), lx - lx[:formation].mean()
    deviation = math.sqrt(((cy - slope * cx)[:formation] ** 2).sum() / (formation - 2))
    spread = lx[:formation].std(ddof=1)
    return slope, (cy - slope * cx) / deviation, cx / spread, deviation / spread


def traded_by_hand(y: pd.Series, x: pd.Series, rule: dict, formation: int = 252) -> tuple[list[float], list[float]]:
    """The rule in plain Python: returns of each session after the formation, and of each trade."""
    slope, rest, scaled, ratio = standardised(y, x, formation)
    states = hedge_ratio(rest, scaled, delta=rule["delta"], observation_variance=rule["observation_variance"])
    z = (states["innovation"] / np.sqrt(states["innovation_variance"])).tolist()
    beta = (slope + ratio * states["beta"]).tolist()
    side, ready, opened, decided = 0, True, 0, [0] * len(y)
    for t in range(formation, len(y)):
        together = 0.5 * slope <= beta[t] <= 2 * slope
        if side:
            against = -side * z[t]
            if against <= rule["exit_"]:
                side = 0
            elif against > rule["stop"] or not together or t - opened >= rule["max_sessions"]:
                side, ready = 0, False
        elif abs(z[t]) <= rule["exit_"]:
            ready = True
        elif abs(z[t]) > rule["stop"]:
            ready = False
        elif abs(z[t]) > rule["entry"] and ready and together:
            side, opened = -int(math.copysign(1, z[t])), t
        decided[t] = side
    earned, trades, share = [], [], 0.0
    for t in range(formation, len(y)):
        made = 0.0
        if decided[t - 2]:
            if not decided[t - 3]:
                share = 1 / (1 + beta[t - 2])
                trades.append(0.0)
            made = decided[t - 2] * (share * (y[t] / y[t - 1] - 1) - (1 - share) * (x[t] / x[t - 1] - 1))
            trades[-1] += made
        earned.append(made)
    return earned, trades


@pytest.mark.parametrize("make", [tied, brownian])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("changes", [{}, {"max_sessions": 5, "stop": 3.5}, {"entry": 1.0, "exit_": 0.0, "delta": 1e-3}])
def test_the_realised_result_is_that_of_the_rule_in_plain_python(make, seed: int, changes: dict) -> None:
    y, x = make(700, seed)
    found = run(y, x, paths=1, **changes)
    earned, trades = traded_by_hand(y, x, RULE | changes)
    assert abs(found.realised_trades - len(trades)) <= 1  # one that opened on the last two sessions has earned nothing yet
    assert found.realised_return == pytest.approx(252 * np.mean(earned), rel=1e-6, abs=1e-12)
    if trades:
        assert found.realised_sharpe == pytest.approx(np.mean(earned) / np.std(earned, ddof=1) * math.sqrt(252), rel=1e-6)
        assert found.realised_win_rate == pytest.approx(sum(made > 0 for made in trades) / found.realised_trades, abs=1e-12)


def test_the_null_has_the_drift_and_covariance_of_the_logarithms() -> None:
    y, x = brownian(400, 11)
    found = run(y, x, paths=1)
    changes = np.log(pd.DataFrame({"y": y, "x": x})).diff().dropna()
    assert found.drift == pytest.approx((252 * changes.mean()).tolist())
    assert found.volatility == pytest.approx((math.sqrt(252) * changes.std()).tolist())
    assert found.correlation == pytest.approx(changes.corr().loc["y", "x"])


def test_pairs_that_revert_are_told_from_luck() -> None:
    found = [run(*tied(1000, seed), paths=200).p_value for seed in range(9)]
    assert np.median(found) < 0.02
    assert sum(p < 0.1 for p in found) >= 8


def test_pairs_that_do_not_revert_have_p_values_as_chance_has_them() -> None:
    # Uniform under the null: of 40, the mean is 0.5 with a standard error of 0.046.
    found = [run(*brownian(756, 100 + seed), paths=100, seed=seed).p_value for seed in range(40)]
    assert 0.32 < np.mean(found) < 0.68
    assert min(found) < 0.25 and max(found) > 0.75


def test_the_p_value_counts_the_paths_that_did_as_well() -> None:
    found = run(*tied(600, 2), paths=150)
    as_good = int((found.null_sharpes >= found.realised_sharpe).sum())
    assert found.null_sharpes.shape == (150,)
    assert found.p_value == (1 + as_good) / 151


def test_the_null_earns_nothing_on_average() -> None:
    found = run(*brownian(756, 5), paths=500)
    standard_error = found.null_returns.std(ddof=1) / math.sqrt(500)
    assert abs(found.null_returns.mean()) < 4 * standard_error
    assert 0.4 < found.win_rate_null < 0.75
    assert found.mean_trades > 0.5


def test_the_same_seed_gives_the_same_paths_and_another_gives_others() -> None:
    y, x = brownian(400, 3)
    first, again, other = run(y, x, seed=4), run(y, x, seed=4), run(y, x, seed=5)
    assert first.null_sharpes.tobytes() == again.null_sharpes.tobytes()
    assert first.null_sharpes.tobytes() != other.null_sharpes.tobytes()
    assert first.realised_sharpe == other.realised_sharpe


def test_two_prices_that_are_one_are_never_traded() -> None:
    y, _ = brownian(400, 6)
    found = run(y, 3.0 * y, paths=20)
    assert (found.realised_trades, found.realised_sharpe, found.mean_trades, found.p_value) == (0, 0.0, 0.0, 1.0)
    assert math.isnan(found.realised_win_rate) and math.isnan(found.win_rate_null)


def test_five_hundred_paths_of_three_years_take_less_than_five_seconds() -> None:
    y, x = brownian(756, 7)
    run(y, x, paths=1)
    started = time.perf_counter()
    run(y, x, paths=500)
    assert time.perf_counter() - started < 5.0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y, x: (y.where(y.index != 9), x), "y is nan at 9"),
        (lambda y, x: (y, x.mask(x.index == 3, 0.0)), "x is 0.0 at 3"),
        (lambda y, x: (y, x.iloc[::-1]), "different labels"),
        (lambda y, x: (y[:260], x[:260]), "260 sessions with a formation of 252"),
        (lambda y, x: (y, x * 0 + 5.0), "never moves"),
    ],
)
def test_prices_that_cannot_be_simulated_are_refused_by_name(spoil, message: str) -> None:
    with pytest.raises(BadSeries, match=message):
        run(*spoil(*brownian(300, 8)), paths=5)


def test_no_path_and_too_short_a_formation_are_refused() -> None:
    with pytest.raises(BadSeries, match="0 paths"):
        run(*brownian(300, 9), paths=0)
    with pytest.raises(BadSeries, match="formation of 10"):
        run(*brownian(300, 9), formation=10)
