"""Turnover, target volatility, drawdown, regime and given covariances: what each does to an allocation, and what it never does."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.allocate import allocate
from risk.base import Allocation, RiskLimits
from risk.errors import BadInput
from risk.limit_check import breaches
from risk.limits import Assets, drawdown_scale
from risk.risk_parity import risk_contributions
from risk.turnover import Way
from risk.var import historical_var
from tests.unit.risk.allocate_storm import broken, covariance, market

FREE = RiskLimits(
    max_sleeve_frac=1.0, max_symbol_frac=9.0, max_fund_frac=9.0, max_sector_frac=9.0, max_gross_frac=9.0, max_var95_frac=9.0,
    max_cvar95_frac=9.0, max_adv_frac=1e9, max_turnover_frac=99.0,
)  # fmt: skip
SEEDS = st.integers(0, 2**32 - 1)
RUN = settings(deadline=None, derandomize=True, max_examples=15)


def problem(seed: int, n_sleeves: int = 5, **limits: float) -> dict[str, Any]:
    """A healthy market under no limits but those given."""
    return market(np.random.default_rng(seed), n_sleeves) | {"limits": replace(FREE, **limits)}


def one(target: dict[str, float], held: dict[str, float] | None = None, *, sleeve: str = "s000", **changes: Any) -> Allocation:
    """One sleeve with all the capital and a target, in place of what `sleeve` holds."""
    inputs = problem(5, 1) | {"sleeve_targets": {"s000": pd.Series(target)}} | changes
    if held is not None:
        inputs["previous_weights"] = pd.DataFrame([held], index=[sleeve])
    return allocate(**inputs)


def test_a_move_beyond_the_turnover_cap_goes_as_far_as_the_cap_allows() -> None:
    result = one({"A000": 0.6, "A001": 0.4}, {"A002": 0.5}, limits=replace(FREE, max_turnover_frac=0.3))
    assert result.weights.to_dict() == pytest.approx({"A000": 0.12, "A001": 0.08, "A002": 0.4}), "a fifth of 1.5"
    assert result.turnover == pytest.approx(0.3)
    (bound,) = [b for b in result.bound if b.limit == "turnover"]
    assert (bound.before, bound.after) == (pytest.approx(1.5), pytest.approx(0.3))
    assert result.steps[-1].step == "turnover" and result.steps[-1].gross == pytest.approx(0.6)


def test_forced_selling_has_priority_and_nothing_is_bought_beyond_the_turnover_cap() -> None:
    result = one({"A000": 0.05, "A001": 0.1}, {"A000": 0.5}, limits=replace(FREE, max_symbol_frac=0.1, max_turnover_frac=0.05))
    assert result.weights.to_dict() == pytest.approx({"A000": 0.1, "A001": 0.0})
    assert result.turnover == pytest.approx(0.4)
    assert [(b.limit, b.subject, b.before, b.after) for b in result.bound if b.limit == "symbol"] == [("symbol", "A000", 0.5, 0.1)]


def test_what_a_retired_sleeve_holds_is_sold_whatever_the_cap() -> None:
    result = one({"A001": 0.5}, {"A000": 0.5}, sleeve="retired", limits=replace(FREE, max_turnover_frac=0.2))
    assert result.weights.to_dict() == {"A000": 0.0, "A001": 0.0}
    assert result.turnover == 0.5
    taken_over = one({"A000": 0.5}, {"A000": 0.5}, sleeve="retired", limits=replace(FREE, max_turnover_frac=0.2))
    assert taken_over.weights.to_dict() == {"A000": 0.5} and taken_over.turnover == 0.0, "one sleeve buys what another sells"


def test_a_value_at_risk_that_rises_on_the_way_shortens_the_step_and_does_not_cancel_it() -> None:
    """Two assets that fall on different 4 % of the days: each alone is calm at 95 %, any mixture of them is not."""
    quiet = 0.001 * np.sin(np.arange(250))
    returns = pd.DataFrame({"A000": quiet, "A001": quiet[::-1]})
    returns.loc[returns.index[:10], "A000"] = -0.05
    returns.loc[returns.index[20:30], "A001"] = -0.05
    changes = {"asset_returns": returns, "adv_usd": pd.Series(dtype="float64"), "sectors": pd.Series(dtype=object)}
    limits = replace(FREE, max_turnover_frac=0.2, max_var95_frac=0.004)
    result = one({"A001": 1.0}, {"A000": 1.0}, limits=limits, **changes)
    assert historical_var(0.9 * returns["A000"] + 0.1 * returns["A001"], 0.95) > 0.0045, "the whole step breaks the cap"
    assert 0.05 < result.turnover <= 0.2 + 1e-12, "and yet there is a step"
    assert result.weights["A001"] > 0.02
    assert historical_var(returns @ result.weights.reindex(returns.columns), 0.95) <= 0.004 + 1e-12


def test_capital_follows_the_positions_when_the_turnover_cap_slows_them() -> None:
    inputs = problem(7, 2, max_turnover_frac=0.2)
    inputs["sleeve_targets"] = {"s000": pd.Series({"A000": 1.0}), "s001": pd.Series({"A001": 1.0})}
    held = pd.DataFrame({"A000": [1.0, 0.0]}, index=["s000", "s001"])
    free = allocate(**inputs)
    slow = allocate(**inputs, previous_weights=held, previous_capital=pd.Series({"s000": 1.0, "s001": 0.0}))
    share = 0.2 / (2 * free.capital["s001"])
    assert slow.capital["s001"] == pytest.approx(share * free.capital["s001"]) == pytest.approx(0.1)
    assert slow.capital.sum() == pytest.approx(1.0)
    assert slow.sleeve_weights.loc["s000", "A000"] == pytest.approx(0.9)


@RUN
@given(seed=SEEDS)
def test_who_already_holds_the_target_is_never_held_back_by_turnover(seed: int) -> None:
    inputs = problem(seed) | {"limits": RiskLimits(max_turnover_frac=0.0)}
    wanted = allocate(**inputs)
    again = allocate(**inputs, previous_weights=wanted.sleeve_weights)
    pd.testing.assert_frame_equal(again.sleeve_weights, wanted.sleeve_weights, check_exact=True)
    assert again.turnover < 1e-15 and not [b for b in again.bound if b.limit == "turnover"]


@RUN
@given(seed=SEEDS, most=st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_slowed_portfolios_reach_the_target_in_the_end_and_keep_every_limit_on_the_way(seed: int, most: float) -> None:
    inputs = problem(seed) | {"limits": RiskLimits(max_turnover_frac=most)}
    target = allocate(**inputs)
    held = target.sleeve_weights * 0.0
    distances = []
    for _ in range(4):
        result = allocate(**inputs, previous_weights=held)
        assert broken(result, inputs | {"previous_weights": held}) == []
        held = result.sleeve_weights
        distances.append(float((result.weights - target.weights).abs().sum()))
    assert distances == sorted(distances, reverse=True)
    assert most == 0.0 or distances[-1] <= max(0.0, target.gross - 4 * most) + 1e-9


@RUN
@given(seed=SEEDS, most=st.floats(0, 3))
def test_the_farthest_point_of_a_way_costs_the_cap_exactly_or_is_the_end_or_the_start(seed: int, most: float) -> None:
    rng = np.random.default_rng(seed)
    way = Way(held=rng.normal(0, 0.1, 8), start=rng.normal(0, 0.1, 8), target=rng.normal(0, 0.2, 8))
    fraction = way.farthest(most)
    cost = way.turnover(way.at(fraction))
    farther = [way.turnover(way.at(t)) for t in np.linspace(fraction, 1.0, 50)[1:]]
    if fraction == 1.0:
        assert cost <= most + 1e-9
    elif fraction == 0.0:
        assert min(farther) > most
    else:
        assert cost == pytest.approx(most) and min(farther) > most - 1e-12


@RUN
@given(seed=SEEDS)
def test_a_target_volatility_is_met_exactly_when_it_binds(seed: int) -> None:
    plain = allocate(**problem(seed))
    calm = allocate(**problem(seed, target_volatility_frac=plain.volatility / 2))
    assert calm.volatility == pytest.approx(plain.volatility / 2)
    pd.testing.assert_series_equal(calm.weights, plain.weights / 2)
    assert [b.limit for b in calm.bound] == ["target_volatility"]
    assert not allocate(**problem(seed, target_volatility_frac=plain.volatility * 1.01)).bound


def test_volatility_is_that_of_a_year_of_the_weights_over_the_assets_history() -> None:
    inputs = problem(3)
    result = allocate(**inputs)
    outcomes = inputs["asset_returns"][list(result.weights.index)] @ result.weights
    assert result.volatility == pytest.approx(outcomes.std() * math.sqrt(252))


@RUN
@given(first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_deeper_drawdown_never_leaves_more(first: float, second: float) -> None:
    shallow, deep = sorted([first, second])
    limits = RiskLimits()
    assert drawdown_scale(deep, limits) <= drawdown_scale(shallow, limits)
    assert limits.drawdown_min_scale <= drawdown_scale(deep, limits) <= 1.0


def test_the_drawdown_scale_is_linear_between_its_ends() -> None:
    limits = RiskLimits(drawdown_scale_from_frac=0.1, drawdown_scale_to_frac=0.2, drawdown_min_scale=0.4)
    assert [drawdown_scale(d, limits) for d in (0.0, 0.1, 0.15, 0.2, 0.9)] == pytest.approx([1.0, 1.0, 0.7, 0.4, 0.4])
    step = replace(limits, drawdown_scale_to_frac=0.1)
    assert [drawdown_scale(d, step) for d in (0.1, 0.100001)] == [1.0, 0.4]
    for senseless in (-0.01, math.nan, math.inf):
        with pytest.raises(BadInput, match="drawdown_frac"):
            drawdown_scale(senseless, limits)


def test_a_drawdown_shrinks_the_whole_portfolio_and_is_recorded() -> None:
    plain, deep = allocate(**problem(4)), allocate(**problem(4), drawdown_frac=0.125)
    pd.testing.assert_series_equal(deep.weights, 0.75 * plain.weights)
    (bound,) = deep.bound
    assert (bound.limit, bound.before, bound.after) == ("drawdown", pytest.approx(plain.gross), pytest.approx(0.75 * plain.gross))


def test_what_is_held_is_cut_to_the_drawdowns_gross_cap_even_when_turnover_is_exhausted() -> None:
    limits = replace(FREE, max_gross_frac=1.0, max_turnover_frac=0.0)
    result = one({"A000": 1.0}, {"A001": 1.0}, limits=limits, drawdown_frac=0.5)
    assert result.weights.to_dict() == pytest.approx({"A000": 0.0, "A001": 0.5})


@RUN
@given(seed=SEEDS, factor=st.floats(0.2, 0.9))
def test_a_tighter_cap_never_leaves_more_in_its_place(seed: int, factor: float) -> None:
    wide = allocate(**problem(seed))
    largest, sectors = float(wide.weights.abs().max()), problem(seed)["sectors"]
    for limits in ({"max_symbol_frac": largest * factor, "max_fund_frac": largest * factor}, {"max_gross_frac": wide.gross * factor}):
        tight = allocate(**problem(seed, **limits))
        assert (tight.weights.abs() <= wide.weights.abs() + 1e-12).all()
    tight = allocate(**problem(seed, max_sector_frac=0.2 * factor))
    gross = [result.weights.abs().groupby(sectors.reindex(result.weights.index)).sum() for result in (tight, wide)]
    assert (gross[0] <= gross[1] + 1e-12).all()
    for figure, limit in (("var95", "max_var95_frac"), ("cvar95", "max_cvar95_frac"), ("volatility", "target_volatility_frac")):
        tight = allocate(**problem(seed, **{limit: getattr(wide, figure) * factor}))
        assert (tight.weights.abs() <= wide.weights.abs() * factor + 1e-12).all()


@RUN
@given(seed=SEEDS, factor=st.floats(0.2, 2.0))
def test_returns_on_another_scale_scale_the_risk_and_leave_equal_risk_capital_alone(seed: int, factor: float) -> None:
    inputs = problem(seed, kappa=1.0)
    scaled = dict(inputs) | {name: inputs[name] * factor for name in ("sleeve_returns", "asset_returns")}
    first, second = allocate(**inputs), allocate(**scaled)
    pd.testing.assert_series_equal(first.capital, second.capital, rtol=1e-8)
    for figure in ("var95", "cvar95", "volatility"):
        assert getattr(second, figure) == pytest.approx(factor * getattr(first, figure), rel=1e-7)


@RUN
@given(seed=SEEDS)
def test_with_kappa_1_every_sleeve_carries_the_same_risk(seed: int) -> None:
    result = allocate(**problem(seed, kappa=1.0))
    shares = risk_contributions(result.capital, result.covariance)
    assert shares.to_numpy() == pytest.approx(np.full(5, 0.2), abs=1e-8)


@RUN
@given(seed=SEEDS)
def test_rows_sum_to_the_weights_and_capital_to_at_most_one(seed: int) -> None:
    inputs = market(np.random.default_rng(seed), 6)
    held = pd.DataFrame(np.random.default_rng(seed).uniform(0, 0.05, (6, 24)), index=inputs["sleeve_returns"].columns)
    held.columns = inputs["asset_returns"].columns
    result = allocate(**inputs, previous_weights=held)
    assert result.sleeve_weights.sum().to_numpy() == pytest.approx(result.weights.to_numpy(), abs=1e-12)
    assert (result.capital >= 0).all() and result.capital.sum() <= 1 + 1e-12
    assert result.steps[-1].gross == pytest.approx(result.gross) and result.steps[0].step == "planned"


@RUN
@given(seed=SEEDS)
def test_the_order_of_holders_and_of_a_given_covariance_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = market(rng, 5) | {"limits": RiskLimits(max_turnover_frac=0.3)}
    names, symbols = [*inputs["sleeve_returns"].columns, "retired"], list(inputs["asset_returns"].columns)
    inputs["previous_weights"] = pd.DataFrame(rng.uniform(0, 0.02, (6, 24)), index=names, columns=symbols)
    inputs["covariance"] = covariance(rng, inputs)
    turned = dict(inputs)
    turned["previous_weights"] = inputs["previous_weights"].iloc[rng.permutation(6), rng.permutation(24)]
    turned["covariance"] = inputs["covariance"].iloc[::-1, ::-1]
    first, second = allocate(**inputs), allocate(**turned)
    pd.testing.assert_frame_equal(first.sleeve_weights, second.sleeve_weights, check_exact=True)
    assert first.bound == second.bound


def test_a_given_covariance_stands_in_for_the_one_of_the_track_records() -> None:
    inputs = problem(6)
    cov = covariance(np.random.default_rng(6), inputs)
    result = allocate(**inputs, covariance=cov)
    pd.testing.assert_frame_equal(result.covariance, cov, check_names=False)
    assert result.rung == "full" and result.repairs == ()
    pd.testing.assert_series_equal(risk_contributions(result.capital, cov), result.budgets, check_names=False, atol=1e-8)


def test_a_slightly_broken_covariance_is_mended_with_its_variances_kept_and_a_badly_broken_one_is_not_used() -> None:
    inputs = problem(6, 3)
    names = list(inputs["sleeve_returns"].columns)
    correlation = np.array([[1.0, 0.9, -0.5], [0.9, 1.0, 0.01], [-0.5, 0.01, 1.0]])
    volatility = np.array([0.1, 0.2, 0.3])
    slight = pd.DataFrame(correlation * np.outer(volatility, volatility), index=names, columns=names)
    assert np.linalg.eigvalsh(correlation)[0] < 0
    mended = allocate(**inputs, covariance=slight)
    assert mended.rung in ("full", "inverse_volatility")
    assert np.diagonal(mended.covariance) == pytest.approx(volatility**2) and np.linalg.eigvalsh(mended.covariance)[0] > -1e-12
    assert len(mended.repairs) == 1 and "negative eigenvalue" in mended.repairs[0]
    correlation[0, 2] = correlation[2, 0] = -0.95
    refused = allocate(**inputs, covariance=pd.DataFrame(correlation * np.outer(volatility, volatility), index=names, columns=names))
    assert refused.rung == "inverse_volatility" and "too far from a covariance" in refused.rung_reason and refused.repairs == ()


def test_a_covariance_that_lacks_a_sleeve_names_it_and_leads_to_a_rung_without_covariance() -> None:
    inputs = problem(6, 3)
    result = allocate(**inputs, covariance=covariance(np.random.default_rng(6), inputs).iloc[1:, 1:])
    assert result.rung == "inverse_volatility" and "lacks ['s000']" in result.rung_reason


def test_a_regime_beyond_its_cap_counts_as_the_cap() -> None:
    capped, beyond = (allocate(**problem(2) | {"regime_delta": delta}) for delta in (2.0, 50.0))
    pd.testing.assert_series_equal(capped.capital, beyond.capital, check_exact=True)
    assert beyond.regime_delta == 2.0


def test_an_impossible_asset_return_counts_as_missing() -> None:
    inputs = problem(9)
    held = allocate(**inputs).weights
    symbol = str(held.abs().idxmax())
    spoilt = inputs["asset_returns"].copy()
    spoilt.loc[3, symbol] = 1e300
    result = allocate(**inputs | {"asset_returns": spoilt})
    others = [s for s in held.index if s != symbol]
    spoilt.loc[3, symbol] = spoilt.loc[3, others].mean()
    assert result.var95 == pytest.approx(historical_var(spoilt[list(held.index)] @ held, 0.95))
    assert result.excluded[symbol].startswith("1 of 120 returns missing")


@pytest.mark.parametrize("held", [pd.DataFrame({"A": [math.nan]}, index=["s000"]), pd.DataFrame({"A": [0.1, 0.1]}, index=["s000", "s000"])])
def test_held_weights_that_are_malformed_are_refused(held: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="previous_weights"):
        allocate(**problem(1), previous_weights=held)


CAPS = [name for name in RiskLimits.__dataclass_fields__ if name.startswith(("max_", "target_", "drawdown_"))]


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("value", [math.nan, -1e-9])
def test_a_cap_that_is_nan_or_negative_is_refused_by_name_rather_than_ignored(cap: str, value: float) -> None:
    with pytest.raises(BadInput, match=cap):
        allocate(**problem(1, **{cap: value}))


def test_a_drawdown_never_makes_the_portfolio_grow() -> None:
    with pytest.raises(BadInput, match="drawdown_min_scale"):
        allocate(**problem(1, drawdown_min_scale=1.5))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_infinite_volume_caps_nothing_and_no_volume_everything(share: float) -> None:
    volumes = pd.Series({"A000": math.inf, "A001": 0.0})
    result = one({"A000": 0.5, "A001": 0.5}, adv_usd=volumes, limits=replace(FREE, max_adv_frac=share))
    assert result.weights.to_dict() == {"A000": 0.5, "A001": 0.0}
    assert result.rung == "full"


@pytest.mark.parametrize("history", [pd.DataFrame(), pd.DataFrame(index=range(30)), pd.DataFrame({"other": [0.01] * 30})])
def test_without_the_returns_of_any_asset_everything_is_cash(history: pd.DataFrame) -> None:
    result = one({"A000": 0.5}, asset_returns=history)
    assert result.gross == 0.0 and result.rung == "full"
    assert [(b.limit, b.after) for b in result.bound] == [("var95", 0.0)]


@pytest.mark.parametrize("name", ["sleeve_returns", "asset_returns", "previous_weights", "adv_usd", "ramp", "previous_capital"])
def test_text_for_numbers_is_refused_by_name(name: str) -> None:
    given = pd.Series({"s000": "much"}) if name in ("adv_usd", "ramp", "previous_capital") else pd.DataFrame({"s000": ["much"]})
    with pytest.raises(BadInput, match=name):
        allocate(**problem(1) | {name: given})


def test_symbols_of_several_kinds_are_refused_and_tuples_are_as_good_as_any() -> None:
    with pytest.raises(BadInput, match="several kinds"):
        one({"A000": 0.5, 7: 0.5})  # type: ignore[dict-item]
    history = problem(5, 1)["asset_returns"]
    returns = history.set_axis(pd.MultiIndex.from_product([["US"], history.columns]), axis=1)
    target = pd.Series([0.5], index=pd.MultiIndex.from_tuples([("US", "A000")]))
    result = allocate(**problem(5, 1) | {"sleeve_targets": {"s000": target}, "asset_returns": returns})
    assert result.weights.to_dict() == {("US", "A000"): 0.5}


def test_a_covariance_of_text_leads_to_a_rung_without_covariance() -> None:
    inputs = problem(3)
    sick = covariance(np.random.default_rng(1), inputs).astype(object)
    sick.iloc[0, 0] = "much"
    result = allocate(**inputs, covariance=sick)
    assert result.rung == "inverse_volatility" and "no number" in result.rung_reason


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_numbers_at_the_end_of_floats_end_within_the_limits(sign: float) -> None:
    inputs = problem(2, 2) | {"limits": RiskLimits(max_sleeve_frac=1.0)}
    largest = pd.Series(1.7e308, index=["A000", "A001", "A002"])
    targets = {"s000": largest, "s001": sign * largest}
    held = pd.DataFrame([largest, largest], index=["s000", "s001"])
    for result in (allocate(**inputs | {"sleeve_targets": targets}), allocate(**inputs, previous_weights=held)):
        assert result.gross <= 0.15 + 1e-12 and np.isfinite(result.sleeve_weights.to_numpy()).all()


def test_the_check_of_the_tail_counts_only_the_losses_beyond_the_var_however_small_that_is() -> None:
    outcomes = np.concatenate([np.full(5, -0.04), np.linspace(-1e-17, 1e-17, 96)])
    found = breaches(
        np.ones(1), np.ones((1, 1)), np.ones(1),
        assets=Assets(symbols=("A",), is_fund=np.zeros(1, dtype=bool), sectors=("",), adv_usd=np.full(1, math.nan), nav_usd=1.0),
        history=outcomes[:, None], limits=replace(FREE, max_cvar95_frac=0.03),
        sleeve_caps=np.ones(1), scale=1.0, target_gross=np.ones(1), moved=0.0, allowed=1.0,
    )  # fmt: skip
    assert found == [f"CVaR at {0.2 / 6:.6g}, over 0.03"]


def test_a_sleeve_with_a_cap_of_its_own_gets_no_more_and_the_others_have_the_optimiser_s_room() -> None:
    inputs = problem(5, 5, max_sleeve_frac=0.5)
    result = allocate(**inputs, sleeve_caps=pd.Series({"s002": 0.04}))
    assert result.capital["s002"] == pytest.approx(0.04) and allocate(**inputs).capital["s002"] > 0.04
    assert result.optimizer_weights["s002"] <= 0.04 + 1e-9
    assert [(b.subject, b.after) for b in result.bound if b.limit == "sleeve"] == [("s002", pytest.approx(0.04))]
    assert allocate(**inputs, sleeve_caps=pd.Series({"s002": 0.9})).capital.equals(allocate(**inputs).capital), "the general cap stays"


def test_caps_of_all_sleeves_that_leave_cash_are_kept_in_proportion() -> None:
    result = allocate(**problem(5, 4), sleeve_caps=pd.Series({"s000": 0.1, "s001": 0.1, "s002": 0.05, "s003": 0.0}))
    assert result.capital.to_dict() == pytest.approx({"s000": 0.1, "s001": 0.1, "s002": 0.05, "s003": 0.0}), "each has less than it could"
    assert result.rung == "full"


def test_what_a_sleeve_holds_beyond_its_own_cap_is_sold_whatever_the_turnover_cap() -> None:
    result = one({"A000": 1.0}, {"A000": 0.8}, limits=replace(FREE, max_turnover_frac=0.1), sleeve_caps=pd.Series({"s000": 0.2}))
    assert result.weights.to_dict() == pytest.approx({"A000": 0.2})


@pytest.mark.parametrize("cap", [-0.1, 1.1, math.nan])
def test_a_sleeve_cap_outside_zero_and_one_is_refused(cap: float) -> None:
    with pytest.raises(BadInput, match="sleeve caps"):
        allocate(**problem(5, 2), sleeve_caps=pd.Series({"s000": cap}))


def test_a_sleeve_without_record_and_targets_gets_nothing_and_leaves_nothing_idle() -> None:
    inputs = problem(5, 4)
    inputs["sleeve_returns"] = inputs["sleeve_returns"].assign(s001=0.0, s002=0.0)
    inputs["sleeve_targets"] = {name: target for name, target in inputs["sleeve_targets"].items() if name != "s001"}
    result = allocate(**inputs)
    assert result.capital["s001"] == 0.0 and result.capital.sum() == pytest.approx(1.0)
    assert result.capital["s002"] == pytest.approx(1 / 3), "in cash so far, and wants something now: an equal share of the three that count"
    assert set(result.excluded) >= {"s001", "s002"}


def test_where_no_sleeve_wants_anything_each_counts() -> None:
    inputs = problem(5, 2)
    inputs["sleeve_returns"] = inputs["sleeve_returns"] * 0.0
    result = allocate(**inputs | {"sleeve_targets": {}})
    assert result.capital.to_list() == [0.5, 0.5] and result.gross == 0.0
