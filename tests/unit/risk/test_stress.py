"""Stress: definitions checked by hand, short positions and cash, windows outside the data, and the law of the simulated returns."""

import math
from collections.abc import Callable
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.errors import BadInput, NotPSD
from risk.stress import factor_shock, historical, monte_carlo
from risk.var import parametric_cvar, parametric_var

seeds = st.integers(0, 2**32 - 1)
DAYS = pd.bdate_range("2020-02-17", periods=10)


def closes(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=DAYS[: len(next(iter(columns.values())))])


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, n_assets=st.integers(1, 6))
def test_historical_stress_is_the_path_of_shares_bought_at_the_start(seed: int, n_assets: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"a{i}" for i in range(n_assets)]
    prices = pd.DataFrame(100 * np.cumprod(1 + rng.normal(0, 0.05, (10, n_assets)), axis=0), index=DAYS, columns=names)
    weights = pd.Series(rng.uniform(-0.5, 0.5, n_assets), index=rng.permutation(names))
    result = historical(weights, prices, DAYS[2], DAYS[8])
    wealth, peak, worst = [], 1.0, 0.0
    for day in DAYS[2:9]:
        shares = {name: weights[name] / prices.loc[DAYS[2], name] for name in names}
        wealth.append(1 - weights.sum() + sum(shares[name] * prices.loc[day, name] for name in names))
        peak = max(peak, wealth[-1])
        worst = min(worst, wealth[-1] / peak - 1)
    assert result.portfolio_return == pytest.approx(wealth[-1] - 1, abs=1e-12)
    assert result.max_drawdown == pytest.approx(worst, abs=1e-12)
    expected = prices.loc[DAYS[8]] / prices.loc[DAYS[2]] - 1
    pd.testing.assert_series_equal(result.asset_returns, expected[weights.index], check_names=False)


def test_a_short_position_that_loses_more_than_everything_is_a_drawdown_below_minus_one() -> None:
    result = historical(pd.Series({"a": -1.0}), closes(a=[10.0, 15.0, 40.0, 20.0]), DAYS[0], DAYS[3])
    assert result.portfolio_return == pytest.approx(-1.0)
    assert result.max_drawdown == pytest.approx(-3.0)


def test_all_cash_and_a_share_that_goes_to_nothing() -> None:
    empty = historical(pd.Series(dtype=float), closes(a=[1.0, 2.0]), DAYS[0], DAYS[1])
    assert (empty.portfolio_return, empty.max_drawdown) == (0.0, 0.0)
    gone = historical(pd.Series({"a": 0.4}), closes(a=[5.0, 1.0, 0.0]), DAYS[0], DAYS[2])
    assert gone.portfolio_return == pytest.approx(-0.4) and gone.asset_returns["a"] == -1.0


def test_a_window_may_begin_and_end_on_days_that_are_no_sessions() -> None:
    prices = closes(a=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    inside = historical(pd.Series({"a": 1.0}), prices, DAYS[0], DAYS[4])
    around = historical(pd.Series({"a": 1.0}), prices, "2020-02-15", "2020-02-23")
    assert (around.portfolio_return, around.max_drawdown) == (inside.portfolio_return, inside.max_drawdown) == (4.0, 0.0)


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (lambda w, p: historical(w, p, "2019-06-03", "2020-02-20"), "do not cover 2019-06-03"),
        (lambda w, p: historical(w, p, "2020-02-18", "2021-02-18"), "from 2020-02-17 to 2020-02-28 do not cover"),
        (lambda w, p: historical(w, p, "2008-09-01", "2009-03-09"), "0 closes"),
        (lambda w, p: historical(w, p, "2020-02-20", "2020-02-18"), "0 closes"),
        (lambda w, p: historical(w, p, "2020-02-20", "2020-02-20"), "1 closes"),
        (lambda w, p: historical(w, p, "someday", "2020-02-20"), "no window from 'someday'"),
        (lambda w, p: historical(w, p.tz_localize("UTC"), pd.Timestamp("2020-02-18 16:00"), "2020-02-20"), "no window|closes"),
        (lambda w, p: historical(w, p.iloc[::-1], DAYS[0], DAYS[3]), "not in order of time"),
        (lambda w, p: historical(w, p.iloc[[0, 1, 1, 2]], DAYS[0], DAYS[2]), "one row for each session"),
        (lambda w, p: historical(w, p.assign(b=np.nan), DAYS[0], DAYS[3]), "prices holds NaN .*'b'"),
        (lambda w, p: historical(w, p.assign(b=0.0), DAYS[0], DAYS[3]), "not positive at .'b'"),
        (lambda w, p: historical(w, p.assign(a=-p["a"]), DAYS[0], DAYS[3]), "not positive at .'a'"),
        (lambda w, p: historical(w, p[["a"]], DAYS[0], DAYS[3]), "no price for .'b'"),
        (lambda w, p: historical(w, p[["a", "b", "b"]], DAYS[0], DAYS[3]), "twice for .'b'"),
        (lambda w, p: historical(w.iloc[[0, 0, 1]], p, DAYS[0], DAYS[3]), "twice for .'a'"),
        (lambda w, p: historical(w * np.nan, p, DAYS[0], DAYS[3]), "weights holds 2 NaN .*'a', 'b'"),
        (lambda w, p: historical(w * 1e308, p, DAYS[0], DAYS[9]), "beyond the largest float"),
    ],
)
def test_a_window_or_weight_that_cannot_be_stressed_is_refused_with_its_cause(call: Callable[..., object], cause: str) -> None:
    prices = closes(a=[10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 90.0], b=[20.0] * 10)
    with pytest.raises(BadInput, match=cause):
        call(pd.Series({"a": 0.5, "b": 0.5}), prices)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, n_assets=st.integers(1, 6), n_factors=st.integers(1, 4), scale=st.floats(-3, 3))
def test_a_factor_shock_is_linear_and_knows_factors_by_name(seed: int, n_assets: int, n_factors: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    assets, factors = [f"a{i}" for i in range(n_assets)], [f"f{i}" for i in range(n_factors)]
    betas = pd.DataFrame(rng.normal(size=(n_assets + 1, n_factors)), index=[*assets, "other"], columns=factors)
    weights = pd.Series(rng.normal(size=n_assets), index=rng.permutation(assets))
    shock = pd.Series(rng.normal(size=n_factors), index=rng.permutation(factors))
    whole = factor_shock(weights, betas, shock)
    parts = [factor_shock(weights, betas[name], float(shock[name])) for name in factors]
    assert whole == pytest.approx(sum(parts), abs=1e-12)
    assert factor_shock(weights, betas, shock * scale) == pytest.approx(scale * whole, abs=1e-12)
    by_hand = sum(weights[a] * betas.loc[a, f] * shock[f] for a in assets for f in factors)
    assert whole == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize(
    ("weights", "betas", "shock", "cause"),
    [
        (pd.Series({"a": 1.0, "z": 1.0}), pd.Series({"a": 1.0}), 0.1, "no beta for .'z'"),
        (pd.Series({"a": 1.0}), pd.Series([1.0, 2.0], index=["a", "a"]), 0.1, "twice for .'a'"),
        (pd.Series([1.0, 2.0], index=["a", "a"]), pd.Series({"a": 1.0}), 0.1, "twice for .'a'"),
        (pd.Series({"a": 1.0}), pd.Series({"a": np.nan}), 0.1, "betas holds NaN .*'a'"),
        (pd.Series({"a": np.inf}), pd.Series({"a": 1.0}), 0.1, "weights holds 1 NaN or infinite values, at .'a'"),
        (pd.Series({"a": 1.0}), pd.Series({"a": 1.0}), math.nan, "shock holds NaN"),
        (pd.Series({"a": 1.0}), pd.DataFrame({"f": [1.0], "g": [1.0]}, index=["a"]), 0.1, "shock must carry .*'g'"),
        (pd.Series({"a": 1.0}), pd.DataFrame({"f": [1.0]}, index=["a"]), pd.Series({"g": 1.0}), "shock must carry .*'f', 'g'"),
    ],
)
def test_a_shock_without_its_betas_is_refused_by_name(weights: pd.Series, betas: pd.Series, shock: float, cause: str) -> None:
    with pytest.raises(BadInput, match=cause):
        factor_shock(weights, betas, shock)


def market(seed: int, n_assets: int) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    names = [f"a{i}" for i in range(n_assets)]
    factors = rng.normal(size=(n_assets, n_assets)) * 0.01
    weights = pd.Series(rng.normal(0.2, 0.5, n_assets), index=names)
    return weights, pd.Series(rng.normal(0, 0.001, n_assets), index=names), pd.DataFrame(factors @ factors.T, index=names, columns=names)


def test_projected_draws_have_the_law_of_joint_draws_of_the_assets() -> None:
    """Both are within four standard errors of the closed form, and of each other, over 200 runs of 2,000 draws."""
    weights, mu, cov = market(5, 6)
    own, joint = [], []
    for seed in range(200):
        result = monte_carlo(weights, mu, cov, n=2000, seed=seed, alpha=0.95)
        own.append((result.var, result.cvar))
        drawn = np.random.default_rng(10_000 + seed).multivariate_normal(mu, cov, 2000, method="cholesky") @ weights.to_numpy()
        quantile = np.quantile(drawn, 0.05)
        joint.append((-quantile, -drawn[drawn <= quantile].mean()))
    mean, sd = float(weights @ mu), math.sqrt(weights @ cov @ weights)
    exact = np.array([parametric_var(mean, sd, 0.95), parametric_cvar(mean, sd, 0.95)])
    errors = [np.std(figures, axis=0, ddof=1) / math.sqrt(200) for figures in (own, joint)]
    for figures, error in zip((own, joint), errors, strict=True):
        assert (np.abs(np.mean(figures, axis=0) - exact) < 4 * error).all()
    assert np.std(own, axis=0) == pytest.approx(np.std(joint, axis=0), rel=0.25)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, n_assets=st.integers(1, 8), alpha=st.sampled_from([0.9, 0.95, 0.99]))
def test_the_same_seed_gives_the_same_result_in_any_unit_and_order_of_assets(seed: int, n_assets: int, alpha: float) -> None:
    weights, mu, cov = market(seed, n_assets)
    result = monte_carlo(weights, mu, cov, n=500, seed=seed, alpha=alpha)
    assert monte_carlo(weights, mu, cov, n=500, seed=seed, alpha=alpha) == result
    assert result.cvar >= result.var
    order = np.random.default_rng(seed).permutation(weights.index)
    moved = monte_carlo(weights, mu, cov.loc[order, order], n=500, seed=seed, alpha=alpha)
    double = monte_carlo(weights * 2, mu, cov, n=500, seed=seed, alpha=alpha)
    assert (moved.var, moved.cvar) == pytest.approx((result.var, result.cvar), rel=1e-9, abs=1e-12)
    assert (double.var, double.cvar) == pytest.approx((2 * result.var, 2 * result.cvar), rel=1e-9, abs=1e-12)


def test_a_portfolio_without_risk_loses_what_its_mean_says() -> None:
    names = ["a", "b"]
    cov = pd.DataFrame(np.zeros((2, 2)), index=names, columns=names)
    result = monte_carlo(pd.Series([1.0, -1.0], index=names), pd.Series([0.01, 0.03], index=names), cov, n=10, seed=0, alpha=0.9)
    assert (result.var, result.cvar) == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"seed": -1}, "seed not negative"),
        ({"alpha": 1.0}, "alpha"),
        ({"weights": pd.Series({"a": 1.0})}, "weights must carry .*'b'"),
        ({"mu": pd.Series({"a": 1.0, "b": np.nan})}, "mu holds NaN .*'b'"),
        ({"weights": pd.Series({"a": 1e200, "b": 1.0})}, "beyond the largest float"),
    ],
)
def test_a_simulation_that_cannot_be_run_is_refused_with_its_cause(change: dict[str, object], cause: str) -> None:
    names = ["a", "b"]
    arguments: dict[str, object] = {
        "weights": pd.Series(0.5, index=names),
        "mu": pd.Series(0.0, index=names),
        "cov": pd.DataFrame(np.eye(2), index=names, columns=names),
        "n": 10,
        "seed": 1,
        "alpha": 0.95,
    }
    with pytest.raises(BadInput, match=cause):
        monte_carlo(**(arguments | change))
    with pytest.raises(NotPSD):
        monte_carlo(**(arguments | {"cov": -arguments["cov"]}))


@pytest.mark.parametrize("zone", [None, "America/New_York"])
@pytest.mark.parametrize("hour", [0, 16])
def test_a_date_is_the_whole_day_with_its_close_whatever_it_is_written_as(zone: str | None, hour: int) -> None:
    prices = closes(a=[10.0, 11.0, 12.0, 13.0, 14.0], b=[20.0, 10.0, 30.0, 20.0, 40.0])
    prices.index = (prices.index + pd.Timedelta(hours=hour)).tz_localize(zone)
    weights = pd.Series({"a": 0.5, "b": 0.25})
    for write in (str, pd.Timestamp, date.fromisoformat, datetime.fromisoformat):
        found = historical(weights, prices, write("2020-02-18"), write("2020-02-20"))
        assert found.asset_returns.to_dict() == pytest.approx({"a": 13 / 11 - 1, "b": 1.0})
