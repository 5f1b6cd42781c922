"""The Kalman filter of the hedge ratio: published numbers, second opinions, and what it refuses."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pykalman import KalmanFilter

from strategies.errors import StrategyError
from strategies.kalman import BadSeries, hedge_ratio


def walk(n: int, seed: int) -> tuple[pd.Series, pd.Series]:
    """Two logarithms of prices that hang together."""
    rng = np.random.default_rng(seed)
    x = 4.0 + np.cumsum(rng.normal(0, 0.01, n))
    y = 0.3 + (0.8 + np.cumsum(rng.normal(0, 0.002, n))) * x + rng.normal(0, 0.02, n)
    sessions = pd.bdate_range("2018-01-02", periods=n)
    return pd.Series(y, sessions), pd.Series(x, sessions)


def in_matrices(y: np.ndarray, x: np.ndarray, delta: float, noise: float) -> np.ndarray:
    """The filter as the textbook writes it: predict and update with matrices."""
    mean, spread, rows = np.zeros(2), np.eye(2), []
    for t in range(len(y)):
        if t:
            spread = spread + delta / (1 - delta) * np.eye(2)
        seen = np.array([[1.0, x[t]]])
        innovation, variance = y[t] - (seen @ mean)[0], (seen @ spread @ seen.T)[0, 0] + noise
        gain = spread @ seen.T / variance
        mean = mean + gain[:, 0] * innovation
        joseph = np.eye(2) - gain @ seen
        spread = joseph @ spread @ joseph.T + noise * gain @ gain.T
        rows.append([*mean, innovation, variance])
    return np.array(rows)


def test_the_published_case_is_reproduced(shared_data: Path) -> None:
    (case,) = json.loads((shared_data / "golden" / "kalman.json").read_text())["cases"]
    inputs, expected, within = case["inputs"], case["expected"], case["tolerance"]
    prices = pd.read_csv(shared_data / "golden" / inputs["data"], index_col=0)
    found = hedge_ratio(
        np.log(prices[inputs["y"]]),
        np.log(prices[inputs["x"]]),
        delta=inputs["delta"],
        observation_variance=inputs["observation_variance"],
    )
    z = found["innovation"] / np.sqrt(found["innovation_variance"])
    for day, row in expected["filtered"].items():
        for name in ("alpha", "beta", "innovation"):
            assert found.loc[day, name] == pytest.approx(row[name], abs=within["abs"])
        assert math.sqrt(found.loc[day, "innovation_variance"]) == pytest.approx(row["innovation_sd"], abs=within["abs"])
        assert z[day] == pytest.approx(row["z"], abs=within["abs"])
    loglik = -0.5 * (np.log(2 * np.pi * found["innovation_variance"]) + z**2).sum()
    assert loglik == pytest.approx(expected["loglik"], abs=within["abs_loglik"])
    assert (z.abs() > 2).mean() == expected["share_abs_z_above_2"]


def test_the_first_observation_meets_the_prior_without_a_predict_step() -> None:
    # Prior N(0, I): variance 1 + 2^2 + 1 = 6, gains 1/6 and 2/6, innovation 3. Whatever delta is, it has not acted yet.
    found = hedge_ratio([3.0], [2.0], delta=0.5, observation_variance=1.0)
    assert found.iloc[0].tolist() == pytest.approx([0.5, 1.0, 3.0, 6.0])


def test_the_second_observation_meets_a_variance_that_grew_by_delta() -> None:
    # After x = 0, y = 1, R = 1: alpha 1/2 of variance 1/2, beta 0 of variance 1. delta 0.5 adds 1 to each; at x = 1 the innovation of
    # y = 2 is 2 - 1/2, its variance 1.5 + 2 + 1, and the gains are 1.5 and 2 of that.
    found = hedge_ratio([1.0, 2.0], [0.0, 1.0], delta=0.5, observation_variance=1.0)
    assert found.iloc[1].tolist() == pytest.approx([0.5 + 1.5 * 1.5 / 4.5, 1.5 * 2 / 4.5, 1.5, 4.5])


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("delta", "noise"), [(1e-4, 1e-3), (1e-6, 1.0), (0.3, 1e-5)])
def test_it_agrees_with_the_matrices_of_the_textbook(seed: int, delta: float, noise: float) -> None:
    y, x = walk(300, seed)
    found = hedge_ratio(y, x, delta=delta, observation_variance=noise)
    np.testing.assert_allclose(found.to_numpy(), in_matrices(y.to_numpy(), x.to_numpy(), delta, noise), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", [3, 4])
def test_it_agrees_with_pykalman(seed: int) -> None:
    y, x = walk(250, seed)
    peer = KalmanFilter(
        transition_matrices=np.eye(2),
        observation_matrices=np.column_stack([np.ones(len(x)), x])[:, None, :],
        transition_covariance=1e-3 / (1 - 1e-3) * np.eye(2),
        observation_covariance=np.array([[0.01]]),
        initial_state_mean=np.zeros(2),
        initial_state_covariance=np.eye(2),
    )
    means, _ = peer.filter(y.to_numpy())
    found = hedge_ratio(y, x, delta=1e-3, observation_variance=0.01)
    np.testing.assert_allclose(found[["alpha", "beta"]].to_numpy(), np.asarray(means), atol=1e-8)


def test_a_ratio_that_does_not_move_is_the_regression_with_a_normal_prior() -> None:
    y, x = walk(80, 5)
    design = np.column_stack([np.ones(80), x])
    ridge = np.linalg.solve(design.T @ design / 0.02 + np.eye(2), design.T @ y.to_numpy() / 0.02)
    found = hedge_ratio(y, x, delta=0.0, observation_variance=0.02)
    assert found[["alpha", "beta"]].iloc[-1].tolist() == pytest.approx(ridge.tolist(), rel=1e-8)


def test_no_row_depends_on_later_ones() -> None:
    y, x = walk(120, 6)
    whole = hedge_ratio(y, x, delta=1e-4, observation_variance=1e-3)
    part = hedge_ratio(y[:70], x[:70], delta=1e-4, observation_variance=1e-3)
    pd.testing.assert_frame_equal(whole[:70], part, check_exact=True, check_freq=False)


def test_the_result_is_labelled_as_y_and_the_inputs_stay_as_they_are() -> None:
    y, x = walk(10, 7)
    before = y.copy(), x.copy()
    found = hedge_ratio(y, x, delta=1e-4, observation_variance=1e-3)
    assert list(found.columns) == ["alpha", "beta", "innovation", "innovation_variance"]
    assert found.index.equals(y.index)
    assert y.equals(before[0]) and x.equals(before[1])
    assert hedge_ratio([], [], delta=1e-4, observation_variance=1e-3).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": pd.Series([1.0, math.nan], ["mon", "tue"])}, "y is nan at tue"),
        ({"x": pd.Series([math.inf, 1.0], ["mon", "tue"])}, "x is inf at mon"),
        ({"x": [1.0]}, "y has 2 values and x 1"),
        ({"x": [[1.0, 2.0]]}, "x has 2 dimensions"),
        ({"x": pd.Series([1.0, 2.0], ["tue", "mon"])}, "different labels"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"delta": -0.1}, "delta is -0.1"),
        ({"delta": math.nan}, "delta is nan"),
        ({"observation_variance": 0.0}, "observation_variance is 0.0"),
        ({"observation_variance": math.inf}, "observation_variance is inf"),
    ],
)
def test_what_cannot_be_filtered_is_refused_by_name(change: dict, message: str) -> None:
    given = {
        "y": pd.Series([1.0, 2.0], ["mon", "tue"]),
        "x": pd.Series([1.0, 2.0], ["mon", "tue"]),
        "delta": 0.1,
        "observation_variance": 1.0,
    }
    with pytest.raises(BadSeries, match=message) as refused:
        hedge_ratio(**(given | change))
    assert isinstance(refused.value, StrategyError)
