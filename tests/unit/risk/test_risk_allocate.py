"""Allocation: no input breaks a cap, the rung is recorded, and the steps do what the design says."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import capital
from risk.allocate import allocate
from risk.base import Allocation, RiskLimits
from risk.errors import BadInput, NotSolved
from risk.limits import cap_risk, share_out
from risk.risk_parity import risk_contributions
from risk.var import historical_cvar, historical_var

SYMBOLS = [f"A{i:02d}" for i in range(30)]
OPEN = RiskLimits(max_symbol_frac=1.0, max_sector_frac=9.0, max_gross_frac=9.0, max_var95_frac=9.0, max_cvar95_frac=9.0)


def problem(seed: int, n_sleeves: int = 6, n_observations: int = 150) -> dict[str, Any]:
    """A market of 30 assets and sleeves holding some of them, as arguments of allocate."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0, 0.01, (n_observations, 1))
    assets = pd.DataFrame(market + rng.normal(0, 0.02, (n_observations, len(SYMBOLS))), columns=SYMBOLS)
    targets, books = {}, {}
    for name in [f"s{i}" for i in range(n_sleeves)]:
        held = rng.choice(SYMBOLS, int(rng.integers(1, 10)), replace=False)
        weights = rng.dirichlet(np.ones(len(held))) * rng.choice([1, 1, 1, -1], len(held))
        targets[name] = pd.Series(weights, index=held)
        books[name] = assets[held].to_numpy() @ weights + rng.normal(0, 1e-3, n_observations)
    return {
        "sleeve_returns": pd.DataFrame(books),
        "sleeve_targets": targets,
        "asset_returns": assets,
        "limits": RiskLimits(),
        "nav_usd": 1e6,
        "sectors": pd.Series(rng.choice(["tech", "energy", "health"], len(SYMBOLS)), index=SYMBOLS),
        "funds": frozenset({"A03"}),
        "adv_usd": pd.Series(rng.choice([1e5, 1e6, 1e9, math.nan], len(SYMBOLS)), index=SYMBOLS),
        "regime_delta": float(rng.uniform(0, 2)),
    }


def assert_within_limits(result: Allocation, inputs: dict[str, Any]) -> None:
    limits, weights, slack = inputs["limits"], result.weights, 1e-12
    assert (result.capital >= 0).all() and result.capital.max() <= limits.max_sleeve_frac + slack
    assert result.capital.sum() <= 1 + slack
    caps = pd.Series({s: limits.max_fund_frac if s in inputs["funds"] else limits.max_symbol_frac for s in weights.index}, dtype=float)
    assert (weights.abs() <= caps + slack).all()
    volume = inputs["adv_usd"].reindex(weights.index).fillna(math.inf) * limits.max_adv_frac / inputs["nav_usd"]
    assert (weights.abs() <= volume + slack).all()
    assert (weights.abs().groupby(inputs["sectors"].reindex(weights.index)).sum() <= limits.max_sector_frac + slack).all()
    assert result.gross == pytest.approx(weights.abs().sum()) and result.gross <= limits.max_gross_frac + slack
    assert result.var95 <= limits.max_var95_frac + slack and result.cvar95 <= limits.max_cvar95_frac + slack
    assert np.isfinite(weights.to_numpy()).all()
    assert result.sleeve_weights.sum().to_numpy() == pytest.approx(weights.to_numpy(), abs=1e-12)


def make_sick(inputs: dict[str, Any], rng: np.random.Generator) -> None:
    """One way in which the data of a bad day is broken."""
    books, assets = inputs["sleeve_returns"], inputs["asset_returns"]
    match int(rng.integers(0, 8)):
        case 0:
            books.iloc[int(rng.integers(0, len(books))), 0] = math.inf
        case 1:
            books.iloc[:, 0] = books.iloc[:, 1]
        case 2:
            books.iloc[:, :] = 0.0
        case 3:
            books.iloc[: len(books) - 10, 0] = math.nan
        case 4:
            books *= 1e200
        case 5:
            assets.iloc[:, rng.integers(0, 30, 10)] = math.nan
        case 6:
            assets.iloc[:, :] = math.nan
        case _:
            inputs["regime_delta"] = math.nan


@pytest.mark.parametrize("block", range(4))
def test_no_input_breaks_a_limit_in_300_random_problems(block: int) -> None:
    rungs = set()
    for seed in range(75 * block, 75 * (block + 1)):
        rng = np.random.default_rng(seed)
        inputs = problem(seed, n_sleeves=int(rng.integers(1, 9)) + 1)
        if seed % 3:
            make_sick(inputs, rng)
        result = allocate(**inputs)
        assert_within_limits(result, inputs)
        assert (result.rung == "full") == (result.rung_reason == "")
        rungs.add(result.rung)
    assert {"full", "previous"} <= rungs


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_labels_does_not_matter(seed: int) -> None:
    inputs = problem(seed)
    rng = np.random.default_rng(seed)
    turned = dict(inputs)
    turned["sleeve_returns"] = inputs["sleeve_returns"][list(rng.permutation(inputs["sleeve_returns"].columns))]
    turned["sleeve_targets"] = {name: inputs["sleeve_targets"][name] for name in reversed(inputs["sleeve_targets"])}
    turned["asset_returns"] = inputs["asset_returns"][list(rng.permutation(SYMBOLS))]
    turned["sectors"] = inputs["sectors"].iloc[::-1]
    first, second = allocate(**inputs), allocate(**turned)
    pd.testing.assert_frame_equal(first.sleeve_weights, second.sleeve_weights, check_exact=True)
    assert first.bound == second.bound


def test_capital_carries_the_blended_budgets_as_risk() -> None:
    inputs = problem(1) | {"limits": RiskLimits(max_sleeve_frac=1.0)}
    result = allocate(**inputs)
    assert result.capital.sum() == pytest.approx(1.0)
    shares = risk_contributions(result.capital, result.covariance)
    pd.testing.assert_series_equal(shares, result.budgets, atol=1e-8)
    pd.testing.assert_series_equal(result.budgets, 0.25 / 6 + 0.75 * result.optimizer_weights, atol=1e-12)


def test_without_views_the_optimum_is_the_equal_risk_capital_of_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior is implied by inverse-volatility weights under the very utility that is then maximised."""

    def fail(*_: object) -> None:
        raise NotSolved("views are out of order")

    monkeypatch.setattr(capital, "track_record_views", fail)
    inputs = problem(1) | {"limits": RiskLimits(max_sleeve_frac=1.0), "regime_delta": 0.0}
    result = allocate(**inputs)
    assert result.rung == "prior_only" and result.rung_reason == "full: NotSolved: views are out of order"
    inverse = 1 / np.sqrt(np.diagonal(result.covariance))
    assert result.optimizer_weights.to_numpy() == pytest.approx(inverse / inverse.sum(), abs=1e-9)
    assert result.views.isna().all()


def test_sleeves_that_share_no_history_are_weighted_by_their_own_volatility() -> None:
    inputs = problem(2, n_sleeves=3)
    books = inputs["sleeve_returns"]
    books.iloc[75:, 0] = math.nan
    books.iloc[:75, 1] = math.nan
    result = allocate(**inputs | {"limits": RiskLimits(max_sleeve_frac=1.0)})
    assert result.rung == "inverse_volatility" and "share 0 sessions" in result.rung_reason
    inverse = 1 / books.std()
    pd.testing.assert_series_equal(result.capital, inverse / inverse.sum(), check_names=False)


def test_without_a_track_record_capital_is_equal_and_the_reason_is_kept() -> None:
    inputs = problem(2, n_sleeves=5)
    result = allocate(**inputs | {"sleeve_returns": inputs["sleeve_returns"].iloc[:7]})
    assert result.rung == "equal" and result.capital.tolist() == [0.2] * 5
    assert result.excluded["s0"] == "short history: 7 of 20 sessions"


def test_corrupt_returns_keep_the_previous_capital_or_go_to_cash() -> None:
    inputs = problem(2, n_sleeves=2)
    inputs["sleeve_returns"].iloc[3, 1] = math.inf
    kept = allocate(**inputs, previous_capital=pd.Series({"s0": 0.2, "s1": 0.1, "gone": 0.3}))
    assert kept.rung == "previous" and "returns beyond 1000% a day in ['s1']" in kept.rung_reason
    assert kept.capital.to_dict() == {"s0": 0.2, "s1": 0.1}
    assert allocate(**inputs).capital.to_dict() == {"s0": 0.0, "s1": 0.0}


def test_an_idle_sleeve_gets_the_equal_share_and_does_not_crowd_out_the_others() -> None:
    inputs = problem(4, n_sleeves=5)
    inputs["sleeve_returns"]["s2"] = 1e-9 * np.arange(150)
    result = allocate(**inputs)
    assert result.rung == "full" and result.excluded == {"s2": "practically zero variance"}
    assert result.capital["s2"] == pytest.approx(0.2)
    assert result.capital.drop("s2").sum() > 0.6 and math.isnan(result.prior["s2"]) and result.budgets["s2"] == 0.0


def test_the_time_before_a_sleeves_first_position_is_no_record_of_low_risk() -> None:
    inputs = problem(4, n_sleeves=5)
    books = inputs["sleeve_returns"]
    books.iloc[:120, 2] = 0.0
    as_zeros = allocate(**inputs)
    books.iloc[:120, 2] = math.nan
    pd.testing.assert_series_equal(as_zeros.capital, allocate(**inputs).capital)
    books.iloc[:135, 2] = 0.0
    assert allocate(**inputs).excluded == {"s2": "short history: 15 of 20 sessions"}


def test_a_ramp_scales_capital_and_is_recorded() -> None:
    inputs = problem(4, n_sleeves=5)
    plain, ramped = allocate(**inputs), allocate(**inputs, ramp=pd.Series({"s1": 0.3, "s4": 0.0}))
    assert ramped.capital["s1"] == pytest.approx(0.3 * plain.capital["s1"]) and ramped.capital["s4"] == 0.0
    assert ramped.capital["s0"] == plain.capital["s0"]
    assert {b.subject for b in ramped.bound if b.limit == "ramp"} == {"s1", "s4"}


def one_sleeve(target: dict[str, float], **changes: Any) -> Allocation:
    """One sleeve with all the capital and no limits but those in `changes`."""
    inputs = problem(5, n_sleeves=1) | {"sleeve_targets": {"s0": pd.Series(target)}, "adv_usd": pd.Series(dtype=float), **changes}
    inputs["limits"] = RiskLimits(**{f: getattr(OPEN, f) for f in OPEN.__slots__} | {"max_sleeve_frac": 1.0} | changes.get("limits", {}))
    return allocate(**inputs)


def test_each_cap_binds_alone_and_is_recorded_with_before_and_after() -> None:
    target = {"A00": 0.4, "A01": -0.2, "A03": 0.4}
    sectors = pd.Series({"A00": "tech", "A01": "tech"})
    single = one_sleeve(target, limits={"max_symbol_frac": 0.3, "max_fund_frac": 0.35}, sectors=sectors)
    assert single.weights.to_dict() == {"A00": 0.3, "A01": -0.2, "A03": 0.35}
    assert [(b.limit, b.subject, b.before, b.after) for b in single.bound] == [("symbol", "A00", 0.4, 0.3), ("fund", "A03", 0.4, 0.35)]
    sector = one_sleeve(target, limits={"max_sector_frac": 0.3, "max_fund_frac": 1.0}, sectors=sectors)
    assert sector.weights.to_dict() == pytest.approx({"A00": 0.2, "A01": -0.1, "A03": 0.4})
    gross = one_sleeve(target, limits={"max_gross_frac": 0.5, "max_fund_frac": 1.0}, sectors=sectors)
    assert gross.weights.to_dict() == pytest.approx({"A00": 0.2, "A01": -0.1, "A03": 0.2})
    adv = one_sleeve(target, limits={"max_fund_frac": 1.0}, sectors=sectors, adv_usd=pd.Series({"A01": 5e6}))
    assert adv.weights.to_dict() == pytest.approx({"A00": 0.4, "A01": -0.1, "A03": 0.4})


def test_assets_of_no_known_sector_share_one_cap_and_funds_without_one_are_free() -> None:
    limits = {"max_sector_frac": 0.3, "max_fund_frac": 1.0}
    result = one_sleeve({"A00": 0.3, "A01": 0.3, "A03": 0.4}, limits=limits, sectors=pd.Series(dtype=object))
    assert result.weights.to_dict() == pytest.approx({"A00": 0.15, "A01": 0.15, "A03": 0.4})
    assert [(b.limit, b.subject) for b in result.bound] == [("sector", "unknown")]


def test_the_tail_of_the_result_is_the_historical_one_of_its_weights() -> None:
    inputs = problem(6)
    result = allocate(**inputs)
    book = inputs["asset_returns"][list(result.weights.index)] @ result.weights
    assert result.var95 == pytest.approx(historical_var(book, 0.95))
    assert result.cvar95 == pytest.approx(historical_cvar(book, 0.95))


def test_a_tail_above_its_cap_scales_everything_to_the_cap() -> None:
    result = one_sleeve({"A00": 0.5, "A01": 0.5}, limits={"max_var95_frac": 0.01})
    assert result.var95 == pytest.approx(0.01) and result.weights["A00"] == pytest.approx(result.weights["A01"])
    bound = next(b for b in result.bound if b.limit == "var95")
    assert bound.before > 0.01 and bound.after == pytest.approx(0.01)


def test_a_missing_return_is_the_mean_of_the_other_holdings_never_zero() -> None:
    history = pd.DataFrame({"A00": np.linspace(-0.2, 0.2, 41), "A01": np.linspace(0.1, -0.1, 41), "A02": math.nan})
    target = {"A00": 0.2, "A01": 0.2, "A02": 0.6}
    limits = {"max_var95_frac": 9.0}
    result = one_sleeve(target, asset_returns=history, limits=limits)
    filled = history.assign(A02=history[["A00", "A01"]].mean(axis=1))
    assert result.var95 == pytest.approx(historical_var(filled @ pd.Series(target), 0.95))
    assert result.excluded["A02"].startswith("41 of 41 returns missing")
    absent = one_sleeve(target, asset_returns=history[["A01", "A00"]], limits=limits)
    assert absent.var95 == result.var95 and absent.excluded == result.excluded


def test_a_portfolio_whose_tail_cannot_be_measured_is_sold() -> None:
    result = one_sleeve({"A00": 1.0}, asset_returns=pd.DataFrame(columns=["A00"], dtype=float))
    assert result.weights.tolist() == [0.0] and result.sleeve_weights.to_numpy().tolist() == [[0.0]]
    assert [(b.limit, b.after) for b in result.bound] == [("var95", 0.0)]
    assert cap_risk(np.zeros(2), np.zeros((0, 2)), RiskLimits())[1] == ()


def test_sleeves_that_disagree_are_capped_on_their_net_and_shrink_alike() -> None:
    rows = np.array([[0.3, 0.1], [-0.1, 0.1]])
    shared = share_out(rows, np.array([0.2, 0.2]), np.array([0.1, 0.2]))
    assert shared.ravel().tolist() == pytest.approx([0.15, 0.1, -0.05, 0.1])


def test_sleeves_in_cash_leave_an_empty_portfolio() -> None:
    result = allocate(**problem(3) | {"sleeve_targets": {}})
    assert result.weights.empty and result.gross == 0.0 and (result.var95, result.cvar95) == (0.0, 0.0)
    assert result.capital.sum() > 0.9


def test_malformed_input_is_refused_by_name() -> None:
    inputs = problem(3)
    with pytest.raises(BadInput, match="nav_usd"):
        allocate(**inputs | {"nav_usd": 0.0})
    with pytest.raises(BadInput, match="stranger"):
        allocate(**inputs | {"sleeve_targets": {"stranger": pd.Series({"A00": 1.0})}})
    with pytest.raises(BadInput, match="targets of s1"):
        allocate(**inputs | {"sleeve_targets": {"s1": pd.Series({"A00": math.nan})}})
    with pytest.raises(BadInput, match="ramp"):
        allocate(**inputs, ramp=pd.Series({"s1": 1.5}))
