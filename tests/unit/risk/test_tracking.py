"""Tracking: optimality conditions computed here, cvxpy's and SLSQP's optima, exclusions at exactly zero, refusals that name the cause."""

from itertools import pairwise

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from risk.errors import BadInput, Infeasible, NotPSD
from risk.nearest import Nearest, _Program
from risk.tracking import track, track_many

seeds = st.integers(0, 2**32 - 1)


def market(seed: int, size: int, draws: int | None = None) -> tuple[pd.DataFrame, pd.Series, np.random.Generator]:
    """A covariance with a common factor, and a benchmark of very unequal weights, a few of them zero."""
    rng = np.random.default_rng(seed)
    labels = [f"a{i:02d}" for i in range(size)]
    rows = (rng.normal(size=(draws or 3 * size, 1)) + rng.normal(size=(draws or 3 * size, size))) * rng.uniform(0.05, 0.4, size)
    weights = rng.lognormal(0, 1.2, size) * (rng.random(size) > 0.1)
    weights[0] += 0.1
    return pd.DataFrame(rows.T @ rows / len(rows), index=labels, columns=labels), pd.Series(weights / weights.sum(), index=labels), rng


def draw_excluded(rng: np.random.Generator, labels: pd.Index, most: float = 0.6) -> list[str]:
    return [label for label in labels[1:] if rng.random() < most * rng.random()]


def variance(weights: pd.Series, benchmark: pd.Series, cov: pd.DataFrame) -> float:
    active = (weights - benchmark).to_numpy()
    return float(active @ cov.to_numpy() @ active)


def kkt_residual(weights: pd.Series, benchmark: pd.Series, cov: pd.DataFrame, upper: pd.Series, groups: pd.Series) -> float:
    """Slope beyond the group's price, where no bound answers for it; relative to the largest variance."""
    slope = pd.Series(cov.to_numpy() @ (weights - benchmark).to_numpy(), index=cov.index)
    worst = 0.0
    for _, names in groups.groupby(groups).groups.items():
        w, g, u = weights[names], slope[names], upper[names]
        interior = (w > 0) & (w < u)
        if not interior.any():
            continue
        price = float(g[interior].mean())
        beyond = np.where(interior, (g - price).abs(), np.where((w == 0) & (u > 0), price - g, np.where(u > 0, g - price, 0.0)))
        worst = max(worst, float(beyond.max()))
    return worst / float(np.diag(cov).max())


def one_group(labels: pd.Index) -> pd.Series:
    return pd.Series("all", index=labels)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(seed=seeds, size=st.integers(2, 40))
def test_exclusions_leave_an_optimal_portfolio_without_them(seed: int, size: int) -> None:
    cov, benchmark, rng = market(seed, size)
    out = draw_excluded(rng, cov.index)
    weights = track(cov, benchmark, excluded=out)
    assert (weights[out] == 0).all() and (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    upper = pd.Series(1.0, index=cov.index).where(~cov.index.isin(out), 0.0)
    assert kkt_residual(weights, benchmark, cov, upper, one_group(cov.index)) <= 1e-12


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, size=st.integers(6, 40), n_sectors=st.integers(1, 4), room=st.floats(1.05, 3))
def test_caps_and_sectors_hold_and_the_portfolio_is_optimal_within_them(seed: int, size: int, n_sectors: int, room: float) -> None:
    cov, benchmark, rng = market(seed, size)
    sectors = pd.Series([f"s{i % n_sectors}" for i in range(size)], index=cov.index)
    out = draw_excluded(rng, cov.index[n_sectors - 1 :])
    held = ~cov.index.isin(out)
    totals = benchmark.groupby(sectors).sum()
    caps = pd.Series([room * totals[s] / held[sectors == s].sum() * rng.uniform(1, 3) for s in sectors], index=cov.index)
    weights = track(cov, benchmark, excluded=out, max_weight=caps, sectors=sectors)
    assert (weights[out] == 0).all() and (weights >= 0).all() and (weights <= caps).all()
    assert (weights.groupby(sectors).sum() - totals).abs().max() <= 1e-12
    assert kkt_residual(weights, benchmark, cov, caps.clip(upper=1).where(held, 0.0), sectors) <= 1e-12


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=seeds, size=st.integers(4, 15), capped=st.booleans(), by_sector=st.booleans())
def test_no_portfolio_of_cvxpy_is_nearer(seed: int, size: int, capped: bool, by_sector: bool) -> None:
    cov, benchmark, rng = market(seed, size)
    sectors = pd.Series([f"s{i % 2}" for i in range(size)], index=cov.index)
    out = draw_excluded(rng, cov.index[1:])
    held = ~cov.index.isin(out)
    cap = float(max(benchmark.groupby(sectors).sum()[s] / held[sectors == s].sum() for s in ("s0", "s1"))) * 1.2 if capped else 1.0
    weights = track(cov, benchmark, excluded=out, max_weight=cap, sectors=sectors if by_sector else None)
    scale = float(np.diag(cov).max())
    w = cp.Variable(size)
    limits = [cp.sum(w) == 1, w >= 0, w <= cap, w[np.flatnonzero(~held)] == 0] if out else [cp.sum(w) == 1, w >= 0, w <= cap]
    if by_sector:
        limits += [cp.sum(w[np.flatnonzero(sectors == s)]) == float(benchmark[sectors == s].sum()) for s in ("s0", "s1")]
    best = cp.Problem(cp.Minimize(cp.quad_form(w - benchmark.to_numpy(), cp.psd_wrap(cov.to_numpy() / scale))), limits).solve(
        solver="CLARABEL"
    )
    assert variance(weights, benchmark, cov) / scale == pytest.approx(best, abs=1e-8)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_slsqp_finds_the_same_portfolio(seed: int) -> None:
    cov, benchmark, rng = market(seed, 8)
    out = draw_excluded(rng, cov.index, 0.9)
    weights = track(cov, benchmark, excluded=out, max_weight=0.5)
    scaled, target = cov.to_numpy() / np.diag(cov).max(), benchmark.to_numpy()
    found = minimize(
        lambda w: (w - target) @ scaled @ (w - target),
        np.full(8, 1 / 8),
        jac=lambda w: 2 * scaled @ (w - target),
        bounds=[(0, 0 if label in out else 0.5) for label in cov.index],
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 500},
    )
    np.testing.assert_allclose(weights, found.x, atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(1, 40))
def test_a_client_without_wishes_holds_the_benchmark(seed: int, size: int) -> None:
    cov, benchmark, _ = market(seed, size)
    sectors = pd.Series([f"s{i % 3}" for i in range(size)], index=cov.index)
    for weights in (track(cov, benchmark), track(cov, benchmark, sectors=sectors), track(cov, benchmark, max_weight=benchmark)):
        pd.testing.assert_series_equal(weights, benchmark, rtol=0, atol=1e-15)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=seeds, size=st.integers(3, 25), scale=st.integers(-200, 200))
def test_neither_the_unit_nor_the_order_of_the_assets_matters(seed: int, size: int, scale: int) -> None:
    cov, benchmark, rng = market(seed, size)
    out = draw_excluded(rng, cov.index)
    weights = track(cov, benchmark, excluded=out)
    pd.testing.assert_series_equal(track(cov * 10.0**scale, benchmark, excluded=out), weights, rtol=0, atol=1e-12)
    turned = cov.index[rng.permutation(size)]
    again = track(cov.loc[turned, turned], benchmark, excluded=reversed(out))
    pd.testing.assert_series_equal(again[cov.index], weights, rtol=0, atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=seeds, size=st.integers(4, 20))
def test_more_exclusions_never_bring_the_portfolio_nearer(seed: int, size: int) -> None:
    cov, benchmark, _ = market(seed, size)
    distances = [variance(track(cov, benchmark, excluded=cov.index[:n]), benchmark, cov) for n in range(size)]
    assert all(later >= earlier - 1e-15 for earlier, later in pairwise(distances))


def test_two_assets_left_have_the_closed_form_split() -> None:
    """Without z, x takes t and y 1 - t of it: the minimum of a quadratic in t."""
    cov = pd.DataFrame([[0.04, 0.01, 0.02], [0.01, 0.09, 0.03], [0.02, 0.03, 0.16]], index=list("xyz"), columns=list("xyz"))
    benchmark = pd.Series({"x": 0.5, "y": 0.3, "z": 0.2})
    start, way = np.array([-0.5, 0.7, -0.2]), np.array([1.0, -1.0, 0.0])
    t = -(start @ cov.to_numpy() @ way) / (way @ cov.to_numpy() @ way)
    assert track(cov, benchmark, excluded=["z"]).tolist() == pytest.approx([t, 1 - t, 0], abs=1e-14)


def test_a_substitute_takes_the_place_of_its_excluded_twin() -> None:
    cov = pd.DataFrame([[1.0, 0.999, 0.1], [0.999, 1.0, 0.1], [0.1, 0.1, 1.0]], index=list("xyz"), columns=list("xyz"))
    weights = track(cov, pd.Series({"x": 0.6, "y": 0.0, "z": 0.4}), excluded=["x"])
    assert weights["y"] == pytest.approx(0.6, abs=0.01)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(4, 30), rank=st.integers(1, 3))
def test_singular_covariances_are_solved(seed: int, size: int, rank: int) -> None:
    cov, benchmark, rng = market(seed, size, draws=rank)
    out = draw_excluded(rng, cov.index)
    weights = track(cov, benchmark, excluded=out, max_weight=0.95)
    assert weights.sum() == pytest.approx(1, abs=1e-12) and (weights[out] == 0).all() and weights.max() <= 0.95
    upper = pd.Series(0.95, index=cov.index).where(~cov.index.isin(out), 0.0)
    assert kkt_residual(weights, benchmark, cov, upper, one_group(cov.index)) <= 2e-12


def test_duplicates_share_alike_what_an_excluded_one_held() -> None:
    cov = pd.DataFrame(np.kron(np.array([[1.0, 0.2], [0.2, 2.0]]), np.ones((3, 3))), index=list("abcdef"), columns=list("abcdef"))
    weights = track(cov, pd.Series(1 / 6, index=cov.index), excluded=["c"])
    assert weights[["a", "b"]].tolist() == pytest.approx([0.25, 0.25], abs=1e-9)
    assert weights[["d", "e", "f"]].tolist() == pytest.approx([1 / 6] * 3, abs=1e-9)


def test_without_any_risk_the_portfolio_is_still_the_closest() -> None:
    cov = pd.DataFrame(np.zeros((3, 3)), index=list("xyz"), columns=list("xyz"))
    weights = track(cov, pd.Series({"x": 0.5, "y": 0.3, "z": 0.2}), excluded=["z"])
    assert weights.tolist() == pytest.approx([0.6, 0.4, 0.0], abs=1e-6)


def test_a_cash_like_asset_beside_a_wild_one_does_not_disturb_the_optimum() -> None:
    sd = np.array([1e-6, 1e-3, 1.0, 3.0])
    cov = pd.DataFrame((0.3 + 0.7 * np.eye(4)) * np.outer(sd, sd), index=list("wxyz"), columns=list("wxyz"))
    benchmark = pd.Series({"w": 0.1, "x": 0.2, "y": 0.4, "z": 0.3})
    weights = track(cov, benchmark, excluded=["y"])
    upper = pd.Series({"w": 1.0, "x": 1.0, "y": 0.0, "z": 1.0})
    assert kkt_residual(weights, benchmark, cov, upper, one_group(cov.index)) <= 1e-12


def test_a_benchmark_with_a_short_position_is_tracked_long_only() -> None:
    cov, _, _ = market(7, 5)
    benchmark = pd.Series([-0.2, 0.5, 0.3, 0.2, 0.2], index=cov.index)
    weights = track(cov, benchmark)
    assert weights.min() == 0
    assert kkt_residual(weights, benchmark, cov, pd.Series(1.0, index=cov.index), one_group(cov.index)) <= 1e-12
    many = track_many(cov, benchmark, np.zeros((1, 5), dtype=bool))
    np.testing.assert_allclose(many[0], weights, atol=1e-12)


def test_constraints_that_leave_one_portfolio_give_that_one() -> None:
    cov, benchmark, _ = market(3, 4)
    assert track(cov, benchmark, max_weight=0.25).tolist() == pytest.approx([0.25] * 4, abs=1e-15)
    assert track(cov, benchmark, excluded=cov.index[1:]).tolist() == [1, 0, 0, 0]
    alone = pd.Series(["s", "t", "u", "v"], index=cov.index)
    pd.testing.assert_series_equal(track(cov, benchmark, sectors=alone), benchmark, atol=1e-15)


def test_a_sector_that_the_benchmark_does_not_hold_stays_empty() -> None:
    cov, _, _ = market(3, 4)
    benchmark = pd.Series([0.5, 0.5, 0.0, 0.0], index=cov.index)
    sectors = pd.Series(["s", "s", "t", "t"], index=cov.index)
    assert track(cov, benchmark, excluded=["a00", "a02", "a03"], sectors=sectors).tolist() == [0, 1, 0, 0]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=seeds, size=st.integers(2, 25), n_groups=st.integers(1, 3), room=st.floats(1.02, 4))
def test_one_step_at_a_time_and_whole_blocks_reach_the_same_optimum(seed: int, size: int, n_groups: int, room: float) -> None:
    cov, benchmark, rng = market(seed, size)
    group = np.arange(size) % min(n_groups, size)
    totals = np.bincount(group, weights=benchmark)
    upper = (room * totals / np.bincount(group))[group] * rng.uniform(1, 2, size) + 1e-3
    linear = rng.normal(size=size) * 0.01
    program = _Program(cov.to_numpy() / np.diag(cov).max(), linear, benchmark.to_numpy(), upper, group, totals, 0.0)
    slow = program.step_by_step()
    fast = program.by_blocks(np.zeros(size, dtype=np.int64))
    assert slow is not None
    weights, sides = slow
    assert (weights >= 0).all() and (weights <= upper).all()
    np.testing.assert_allclose(np.bincount(group, weights=weights), totals, atol=1e-12)
    if fast is not None:
        np.testing.assert_allclose(fast[0], weights, atol=1e-10)
    again = program.by_blocks(sides)
    assert again is not None and (again[1] == sides).all()


def test_where_blocks_would_empty_a_group_single_steps_take_over() -> None:
    """Both assets of a tightly capped pair overshoot at once, which leaves nobody to carry the sum."""
    cov = np.array([[1.0, 0.95, 0.9], [0.95, 1.0, -0.2], [0.9, -0.2, 1.5]]) + 0.5 * np.eye(3)
    program = Nearest(
        cov=cov / 2.0, target=np.array([1.5, 1.5, -2.0]), upper=np.array([0.6, 0.6, 0.6]), group=np.zeros(3, int), totals=np.ones(1)
    )
    assert (
        _Program(cov / 2.0, np.zeros(3), program.target, program.upper, program.group, program.totals, 0.0).by_blocks(np.zeros(3, int))
        is None
    )
    weights = program.solve()
    assert program.residual(weights) <= 1e-12 and weights.sum() == pytest.approx(1, abs=1e-12)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=seeds, size=st.integers(2, 40), n_clients=st.integers(1, 12))
def test_many_clients_get_what_each_would_get_alone(seed: int, size: int, n_clients: int) -> None:
    cov, benchmark, rng = market(seed, size)
    excluded = rng.random((n_clients, size)) < rng.random((n_clients, 1)) * 0.95
    excluded[:, 0] = False
    many = track_many(cov, benchmark, excluded)
    assert many.shape == excluded.shape and (many[excluded] == 0).all() and (many >= 0).all()
    np.testing.assert_allclose(many.sum(axis=1), 1, atol=1e-12)
    for row, mine in zip(excluded, many, strict=True):
        np.testing.assert_allclose(mine, track(cov, benchmark, excluded=cov.index[row]), rtol=0, atol=1e-10)


def test_five_hundred_names_with_whole_sectors_excluded_are_optimal_for_every_client() -> None:
    cov, benchmark, rng = market(9, 500, draws=1500)
    sector = rng.integers(0, 11, 500)
    excluded = np.zeros((60, 500), dtype=bool)
    for row in excluded:
        row[rng.choice(500, rng.integers(0, 31), replace=False)] = True
        row[np.isin(sector, rng.choice(11, rng.integers(0, 4), replace=False))] = True
    many = track_many(cov, benchmark, excluded)
    for row, mine in zip(excluded, many, strict=True):
        upper = pd.Series(np.where(row, 0.0, 1.0), index=cov.index)
        assert kkt_residual(pd.Series(mine, index=cov.index), benchmark, cov, upper, one_group(cov.index)) <= 1e-12


def test_many_clients_of_a_singular_covariance_are_solved_one_by_one() -> None:
    cov, benchmark, rng = market(5, 20, draws=4)
    excluded = rng.random((5, 20)) < 0.3
    many = track_many(cov, benchmark, excluded)
    for row, mine in zip(excluded, many, strict=True):
        np.testing.assert_allclose(mine, track(cov, benchmark, excluded=cov.index[row]), rtol=0, atol=1e-12)


def test_no_clients_have_no_portfolios() -> None:
    cov, benchmark, _ = market(5, 4)
    assert track_many(cov, benchmark, np.zeros((0, 4), dtype=bool)).shape == (0, 4)


def test_a_benchmark_off_by_rounding_is_scaled_to_one() -> None:
    cov, benchmark, _ = market(5, 6)
    pd.testing.assert_series_equal(track(cov, benchmark * (1 + 5e-7)), benchmark, rtol=1e-12)
    with pytest.raises(BadInput, match=r"sum to 1\.01"):
        track(cov, benchmark * 1.01)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=seeds, size=st.integers(4, 30), n_sectors=st.integers(1, 3))
def test_least_weights_hold_and_the_portfolio_is_optimal_above_them(seed: int, size: int, n_sectors: int) -> None:
    cov, benchmark, rng = market(seed, size)
    sectors = pd.Series([f"s{i % n_sectors}" for i in range(size)], index=cov.index)
    totals = benchmark.groupby(sectors).sum()
    least = pd.Series(rng.random(size) * (rng.random(size) < 0.5), index=cov.index)
    least *= (0.8 * totals / least.groupby(sectors).sum().clip(lower=1e-9)).clip(upper=1.0)[sectors].to_numpy()
    weights = track(cov, benchmark, min_weight=least, sectors=sectors)
    assert (weights >= least).all()
    assert (weights.groupby(sectors).sum() - totals).abs().max() <= 1e-12
    above = (weights - least).where(weights > least + 1e-15, 0.0)
    assert kkt_residual(above, benchmark - least, cov, 1.0 - least, sectors) <= 1e-12


def test_what_a_least_weight_leaves_has_the_closed_form_split() -> None:
    """With half of it in z, x takes t and y the other half less t: the minimum of a quadratic in t."""
    cov = pd.DataFrame([[0.04, 0.01, 0.02], [0.01, 0.09, 0.03], [0.02, 0.03, 0.16]], index=list("xyz"), columns=list("xyz"))
    benchmark = pd.Series({"x": 0.5, "y": 0.3, "z": 0.2})
    start, way = np.array([-0.5, 0.2, 0.3]), np.array([1.0, -1.0, 0.0])
    t = -(start @ cov.to_numpy() @ way) / (way @ cov.to_numpy() @ way)
    weights = track(cov, benchmark, min_weight=pd.Series({"x": 0.0, "y": 0.0, "z": 0.5}))
    assert weights.tolist() == pytest.approx([t, 0.5 - t, 0.5], abs=1e-14)


def test_least_weights_that_fill_the_portfolio_are_the_portfolio() -> None:
    cov, benchmark, _ = market(3, 4)
    least = pd.Series([0.1, 0.2, 0.3, 0.4], index=cov.index)
    assert track(cov, benchmark, min_weight=least).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-15)


def test_least_weights_below_the_benchmark_change_nothing() -> None:
    cov, benchmark, _ = market(11, 12)
    pd.testing.assert_series_equal(track(cov, benchmark, min_weight=benchmark * 0.7), benchmark, rtol=0, atol=1e-15)


def test_least_weights_that_do_not_fit_are_named() -> None:
    cov, _, _ = market(3, 4)
    benchmark = pd.Series([0.4, 0.3, 0.2, 0.1], index=cov.index)
    sectors = pd.Series(["tech", "tech", "oil", "oil"], index=cov.index)
    with pytest.raises(Infeasible, match=r"asks for 1\.2, and there is 1"):
        track(cov, benchmark, min_weight=0.3)
    with pytest.raises(Infeasible, match=r"asks for 0\.4 in the sector 'oil', and there is 0\.3"):
        track(cov, benchmark, min_weight=0.2, sectors=sectors)
    with pytest.raises(Infeasible, match=r"exclusions allow at \['a01'\]"):
        track(cov, benchmark, min_weight=pd.Series([0, 0.1, 0, 0], index=cov.index), excluded=["a01"])
    with pytest.raises(BadInput, match=r"min_weight must not be negative, as at \['a02'\]"):
        track(cov, benchmark, min_weight=pd.Series([0, 0, -0.1, 0], index=cov.index))


def test_infeasible_wishes_name_the_sector_or_the_caps() -> None:
    cov, _, _ = market(3, 4)
    benchmark = pd.Series([0.4, 0.3, 0.2, 0.1], index=cov.index)
    sectors = pd.Series(["tech", "tech", "oil", "oil"], index=cov.index)
    with pytest.raises(Infeasible, match=r"sector 'oil' is excluded.* 0\.3 "):
        track(cov, benchmark, excluded=["a02", "a03"], sectors=sectors)
    with pytest.raises(Infeasible, match=r"room for 0\.5 in the sector 'tech'"):
        track(cov, benchmark, max_weight=0.25, sectors=sectors)
    with pytest.raises(Infeasible, match=r"room for 0\.8, and 1 is needed"):
        track(cov, benchmark, max_weight=0.2)
    with pytest.raises(Infeasible, match=r"every asset is excluded"):
        track(cov, benchmark, excluded=cov.index)
    with pytest.raises(Infeasible, match=r"short in the sector 'oil'"):
        track(cov, pd.Series([0.8, 0.4, -0.3, 0.1], index=cov.index), sectors=sectors)
    everything = np.zeros((6, 4), dtype=bool)
    everything[[2, 4]] = True
    with pytest.raises(Infeasible, match=r"rows \[2, 4\]"):
        track_many(cov, benchmark, everything)


def test_bad_input_is_named() -> None:
    cov, benchmark, _ = market(3, 4)
    with pytest.raises(BadInput, match=r"\['nobody'\]"):
        track(cov, benchmark, excluded=["a01", "nobody"])
    with pytest.raises(BadInput, match=r"benchmark.*a01"):
        track(cov, benchmark.where(benchmark.index != "a01"))
    with pytest.raises(BadInput, match=r"max_weight.*a02"):
        track(cov, benchmark, max_weight=pd.Series([1, 1, -0.1, 1.0], index=cov.index))
    with pytest.raises(BadInput, match="max_weight"):
        track(cov, benchmark, max_weight=float("nan"))
    with pytest.raises(BadInput, match=r"no sector at \['a03'\]"):
        track(cov, benchmark, sectors=pd.Series(["s", "s", "t", None], index=cov.index))
    with pytest.raises(BadInput, match=r"sectors.*a03"):
        track(cov, benchmark, sectors=pd.Series(["s", "s", "t"], index=cov.index[:3]))
    with pytest.raises(NotPSD):
        track(cov - np.eye(4), benchmark)
    for shape, kind in (((2, 3), bool), ((4,), bool), ((2, 4), float)):
        with pytest.raises(BadInput, match="excluded is"):
            track_many(cov, benchmark, np.zeros(shape, dtype=kind))


def test_a_single_label_may_be_excluded_without_a_list() -> None:
    cov, benchmark, _ = market(3, 4)
    pd.testing.assert_series_equal(track(cov, benchmark, excluded="a01"), track(cov, benchmark, excluded=["a01"]))
