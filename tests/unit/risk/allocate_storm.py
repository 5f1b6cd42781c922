"""A storm of sick covariances, returns and settings for `allocate`, and every limit worked out again by hand from what comes out.

python -m tests.unit.risk.allocate_storm --n 10000
"""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import config  # noqa: F401  it pins the threads of the numeric libraries, before they are imported for the first time
from risk.allocate import allocate
from risk.base import Allocation, RiskLimits

Inputs = dict[str, Any]
RUNGS = ("full", "prior_only", "inverse_volatility", "equal", "previous")
SLACK = 1e-9
MAX_DAILY = 10.0


def market(rng: np.random.Generator, n_sleeves: int, n_observations: int = 120, n_assets: int = 24) -> Inputs:
    """A healthy problem: assets with a common factor, sleeves that hold some of them long and short, and plain limits."""
    symbols = [f"A{i:03d}" for i in range(n_assets)]
    common = rng.standard_t(4, (n_observations, 1)) * 0.007
    assets = pd.DataFrame(common + rng.standard_t(4, (n_observations, n_assets)) * rng.uniform(0.003, 0.03, n_assets), columns=symbols)
    targets, books = {}, {}
    for name in [f"s{i:03d}" for i in range(n_sleeves)]:
        held = rng.choice(symbols, int(rng.integers(1, 10)), replace=False)
        weights = rng.dirichlet(np.ones(len(held))) * rng.choice([1, 1, 1, 1, -1], len(held)) * rng.uniform(0.3, 1.0)
        targets[name] = pd.Series(weights, index=held)
        books[name] = assets[held].to_numpy() @ weights + rng.normal(0, 1e-3, n_observations)
    return {
        "sleeve_returns": pd.DataFrame(books, index=assets.index),
        "sleeve_targets": targets,
        "asset_returns": assets,
        "limits": RiskLimits(kappa=float(rng.uniform(0, 1)), max_sleeve_frac=float(rng.choice([0.25, 0.5, 1.0]))),
        "nav_usd": float(10 ** rng.uniform(3, 9)),
        "sectors": pd.Series(rng.choice(["tech", "energy", "health", ""], n_assets), index=symbols, dtype=object),
        "funds": frozenset(rng.choice(symbols, 3, replace=False).tolist()),
        "adv_usd": pd.Series(10 ** rng.uniform(4, 10, n_assets), index=symbols),
        "regime_delta": float(rng.uniform(0, 2)),
    }


def covariance(rng: np.random.Generator, inputs: Inputs) -> pd.DataFrame:
    """A healthy annual covariance of the sleeves."""
    names = list(inputs["sleeve_returns"].columns)
    loadings = rng.normal(0, 0.1, (len(names), max(2, len(names) // 2)))
    values = loadings @ loadings.T + np.diag(rng.uniform(0.005, 0.05, len(names)))
    return pd.DataFrame(values, index=names, columns=names)


def _some(rng: np.random.Generator, frame: pd.DataFrame) -> Any:
    return frame.columns[int(rng.integers(0, frame.shape[1]))]


# Sick returns of the sleeves.
def infinite_return(rng: np.random.Generator, inputs: Inputs) -> None:
    books = inputs["sleeve_returns"]
    books.loc[books.index[:1], _some(rng, books)] = rng.choice([math.inf, -math.inf, 11.0])


def never_traded(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"][_some(rng, inputs["sleeve_returns"])] = math.nan


def no_record_at_all(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"].iloc[:, :] = math.nan


def in_cash(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"][_some(rng, inputs["sleeve_returns"])] = rng.choice([0.0, 1e-4])


def all_in_cash(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"].iloc[:, :] = 0.0


def twins(rng: np.random.Generator, inputs: Inputs) -> None:
    books = inputs["sleeve_returns"]
    books[_some(rng, books)] = books.iloc[:, 0]


def perfect_hedge(rng: np.random.Generator, inputs: Inputs) -> None:
    books = inputs["sleeve_returns"]
    books[_some(rng, books)] = -books.iloc[:, 0]


def short_history(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"] = inputs["sleeve_returns"].iloc[: int(rng.integers(0, 20))]


def barely_enough_history(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"] = inputs["sleeve_returns"].iloc[:21]


def no_common_history(rng: np.random.Generator, inputs: Inputs) -> None:
    books = inputs["sleeve_returns"]
    half = len(books) // 2
    books.iloc[:half, 0] = math.nan
    books.iloc[half:, -1] = math.nan


def vanishing_returns(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"] *= 1e-300


def exploding_returns(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_returns"] *= 1e300


def many_orders_of_magnitude(rng: np.random.Generator, inputs: Inputs) -> None:
    books = inputs["sleeve_returns"]
    inputs["sleeve_returns"] = books * 10 ** rng.uniform(-3, 1.5, books.shape[1])


# Sick covariances.
def given_healthy(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["covariance"] = covariance(rng, inputs)


def given_rounding(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    inputs["covariance"] = cov * (1 + rng.normal(0, 1e-13, cov.shape))


def given_slightly_asymmetric(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    inputs["covariance"] = cov * (1 + np.triu(rng.uniform(0, 0.02, cov.shape), 1))


def given_wildly_asymmetric(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    cov.iloc[0, -1] += 0.7 * math.sqrt(cov.iloc[0, 0] * cov.iloc[-1, -1])
    inputs["covariance"] = cov


def given_almost_psd(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    values, vectors = np.linalg.eigh(cov.to_numpy())
    values[0] = -rng.uniform(1e-6, 0.002) * values[-1]
    inputs["covariance"] = pd.DataFrame(vectors * values @ vectors.T, index=cov.index, columns=cov.columns)


def given_far_from_psd(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    volatility = np.sqrt(np.diagonal(cov))
    noise = rng.uniform(-1, 1, cov.shape)
    noise = (noise + noise.T) / 2
    noise[0, -1] = noise[-1, 0] = 1.5
    np.fill_diagonal(noise, 1.0)
    inputs["covariance"] = pd.DataFrame(noise * np.outer(volatility, volatility), index=cov.index, columns=cov.columns)


def given_with_nan(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    cov.iloc[0, -1] = rng.choice([math.nan, math.inf, -math.inf])
    inputs["covariance"] = cov


def given_without_variance(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    cov.iloc[0, :] = cov.iloc[:, 0] = 0.0
    cov.iloc[0, 0] = rng.choice([0.0, -0.01])
    inputs["covariance"] = cov


def given_all_zero(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["covariance"] = covariance(rng, inputs) * 0.0


def given_tiny(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["covariance"] = covariance(rng, inputs) * 1e-300


def given_huge(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["covariance"] = covariance(rng, inputs) * 1e300


def given_mixed_scales(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    scale = 10 ** rng.uniform(-120, 120, len(cov))
    inputs["covariance"] = cov * np.outer(scale, scale)


def given_perfectly_correlated(rng: np.random.Generator, inputs: Inputs) -> None:
    volatility = rng.uniform(0.05, 0.4, inputs["sleeve_returns"].shape[1])
    names = inputs["sleeve_returns"].columns
    inputs["covariance"] = pd.DataFrame(np.outer(volatility, volatility), index=names, columns=names)


def given_perfect_hedge(rng: np.random.Generator, inputs: Inputs) -> None:
    names = inputs["sleeve_returns"].columns
    signs = np.where(np.arange(len(names)) % 2, -0.2, 0.2)
    inputs["covariance"] = pd.DataFrame(np.outer(signs, signs), index=names, columns=names)


def given_lacking_a_sleeve(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["covariance"] = covariance(rng, inputs).iloc[1:, 1:]


def given_with_strangers_in_another_order(rng: np.random.Generator, inputs: Inputs) -> None:
    wide = dict(inputs) | {"sleeve_returns": inputs["sleeve_returns"].assign(stranger=0.0)}
    inputs["covariance"] = covariance(rng, wide).iloc[::-1, ::-1]


def given_twice_named(rng: np.random.Generator, inputs: Inputs) -> None:
    cov = covariance(rng, inputs)
    inputs["covariance"] = pd.concat([cov, cov.iloc[:1]])


# Sick assets, targets and accounts.
def gaps_in_assets(rng: np.random.Generator, inputs: Inputs) -> None:
    assets = inputs["asset_returns"]
    inputs["asset_returns"] = assets.mask(rng.random(assets.shape) < rng.choice([0.05, 0.9]))


def no_asset_history(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["asset_returns"] = inputs["asset_returns"].iloc[:0] if rng.random() < 0.5 else inputs["asset_returns"] * math.nan


def one_session_of_assets(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["asset_returns"] = inputs["asset_returns"].iloc[:1]


def impossible_assets(rng: np.random.Generator, inputs: Inputs) -> None:
    assets = inputs["asset_returns"]
    assets.iloc[: min(1, len(assets)), :4] = rng.choice([1e300, -1e300, math.inf, -math.inf, 12.0], 4)


def crash(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["asset_returns"] = inputs["asset_returns"] * 20.0


def all_zero_targets(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_targets"] = {name: target * 0.0 for name, target in inputs["sleeve_targets"].items()}


def no_targets(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_targets"] = {}


def all_short(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_targets"] = {name: -target.abs() for name, target in inputs["sleeve_targets"].items()}


def leveraged(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_targets"] = {name: target * rng.choice([3.0, 1e3]) for name, target in inputs["sleeve_targets"].items()}


def absurd_targets(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sleeve_targets"] = {name: target * 1e300 for name, target in inputs["sleeve_targets"].items()}


def unknown_market(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["sectors"] = pd.Series(dtype=object)
    inputs["adv_usd"] = inputs["adv_usd"] * rng.choice([math.nan, 0.0, -1.0, math.inf])


def sick_regime(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["regime_delta"] = float(rng.choice([math.nan, math.inf, -1.0]))


def calm_regime_beyond_the_cap(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["regime_delta"] = 1e6


def senseless_view_uncertainty(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["limits"] = replace(inputs["limits"], tau=float(rng.choice([math.nan, math.inf, 1e308])))


def senseless_aversion(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["limits"] = replace(inputs["limits"], risk_aversion=float(rng.choice([math.nan, math.inf, -1.0])))


def ramping(rng: np.random.Generator, inputs: Inputs) -> None:
    names = inputs["sleeve_returns"].columns
    inputs["ramp"] = pd.Series(rng.uniform(0, 1, len(names)).round(1), index=names)


def in_drawdown(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["drawdown_frac"] = float(rng.choice([0.1, 0.12, 0.14, 0.15, 0.5, 1.0]))


def tight_limits(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["limits"] = replace(
        inputs["limits"],
        max_sleeve_frac=float(rng.choice([0.0, 0.05, 0.2])),
        max_symbol_frac=float(rng.choice([0.0, 0.01])),
        max_sector_frac=float(rng.choice([0.0, 0.05])),
        max_gross_frac=float(rng.choice([0.0, 0.2])),
        max_var95_frac=float(rng.choice([0.0, 0.002])),
        max_cvar95_frac=float(rng.choice([0.0, 0.003])),
        target_volatility_frac=float(rng.choice([0.0, 0.01, 0.05])),
    )


def calm_target(rng: np.random.Generator, inputs: Inputs) -> None:
    inputs["limits"] = replace(inputs["limits"], target_volatility_frac=float(rng.choice([0.005, 0.02, 0.1])))


def slow(rng: np.random.Generator, inputs: Inputs) -> None:
    """Held weights of every kind, far over the limits now and then, a retired holder among them, and little turnover allowed."""
    names = [*inputs["sleeve_returns"].columns, "retired"]
    symbols = [*inputs["asset_returns"].columns, "GONE"]
    size = rng.choice([0.002, 0.02, 0.3])
    held = rng.normal(0, size, (len(names), len(symbols))) * (rng.random((len(names), len(symbols))) < 0.3)
    inputs["previous_weights"] = pd.DataFrame(np.abs(held) if rng.random() < 0.7 else held, index=names, columns=symbols)
    inputs["previous_capital"] = pd.Series(rng.dirichlet(np.ones(len(names))), index=names)
    inputs["limits"] = replace(inputs["limits"], max_turnover_frac=float(rng.choice([0.0, 0.05, 0.3, 1.0])))


def previous_capital(rng: np.random.Generator, inputs: Inputs) -> None:
    names = inputs["sleeve_returns"].columns
    inputs["previous_capital"] = pd.Series(rng.choice([0.1, 0.9, math.nan, -0.5, math.inf], len(names)), index=names)


Sickness = Callable[[np.random.Generator, Inputs], None]
FULL, DOWN = frozenset({"full"}), frozenset({"inverse_volatility"})
SICKNESSES: dict[Sickness, frozenset[str]] = {
    infinite_return: frozenset({"previous"}),
    never_traded: FULL,
    no_record_at_all: frozenset({"equal"}),
    in_cash: FULL,
    all_in_cash: frozenset({"equal"}),
    twins: FULL,
    perfect_hedge: FULL,
    short_history: frozenset({"equal"}),
    barely_enough_history: FULL,
    no_common_history: DOWN,
    vanishing_returns: frozenset({"equal"}),
    exploding_returns: frozenset({"previous"}),
    many_orders_of_magnitude: FULL,
    given_healthy: FULL,
    given_rounding: FULL,
    given_slightly_asymmetric: FULL,
    given_wildly_asymmetric: DOWN,
    given_almost_psd: FULL | DOWN,
    given_far_from_psd: DOWN,
    given_with_nan: DOWN,
    given_without_variance: DOWN,
    given_all_zero: DOWN,
    given_tiny: FULL,
    given_huge: FULL,
    given_mixed_scales: FULL,
    given_perfectly_correlated: FULL,
    given_perfect_hedge: DOWN,
    given_lacking_a_sleeve: DOWN,
    given_with_strangers_in_another_order: FULL,
    given_twice_named: DOWN,
    gaps_in_assets: FULL,
    no_asset_history: FULL,
    one_session_of_assets: FULL,
    impossible_assets: FULL,
    crash: FULL,
    all_zero_targets: FULL,
    no_targets: FULL,
    all_short: FULL,
    leveraged: FULL,
    absurd_targets: FULL,
    unknown_market: FULL,
    sick_regime: DOWN,
    senseless_view_uncertainty: frozenset({"full", "prior_only"}),
    senseless_aversion: DOWN,
    calm_regime_beyond_the_cap: FULL,
    ramping: FULL,
    in_drawdown: FULL,
    tight_limits: FULL,
    calm_target: FULL,
    slow: FULL,
    previous_capital: FULL,
}
"""Each way to be sick, and the rungs on which it may end when it is the only one."""


def sick_problem(seed: int) -> tuple[Inputs, list[str]]:
    """Problem number `seed`, and what is wrong with it: one to three things, each in its turn, in 0, 1, a few or 200 sleeves."""
    rng = np.random.default_rng(seed)
    size = int(rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 12, 30, 200], p=[0.02, 0.08, 0.12, 0.13, 0.2, 0.13, 0.1, 0.1, 0.07, 0.04, 0.01]))
    inputs = market(rng, size)
    if size == 0:
        return inputs, ["no sleeve"]
    others = rng.choice(len(SICKNESSES), int(rng.choice([0, 0, 1, 2])), replace=False)
    chosen = [list(SICKNESSES)[i] for i in dict.fromkeys([seed % len(SICKNESSES), *others.tolist()])]
    for sickness in chosen:
        sickness(rng, inputs)
    return inputs, [s.__name__ for s in chosen]


def broken(result: Allocation, inputs: Inputs) -> list[str]:
    """Every limit that a result breaks, each worked out here from its definition and the inputs alone."""
    limits: RiskLimits = inputs["limits"]
    weights, rows, capital = result.weights, result.sleeve_weights, result.capital
    scale = _drawdown_scale(inputs.get("drawdown_frac", 0.0), limits)
    problems = [] if np.isfinite(weights).all() and np.isfinite(rows).all(axis=None) and np.isfinite(capital).all() else ["not finite"]
    problems += _over("sleeve", capital, limits.max_sleeve_frac) + _over("all capital", [capital.sum()], 1.0)
    problems += ["negative capital"] if (capital < 0).any() else []
    funds = weights.index.isin(inputs["funds"])
    problems += _over("fund", weights[funds].abs(), limits.max_fund_frac) + _over("symbol", weights[~funds].abs(), limits.max_symbol_frac)
    volumes = inputs["adv_usd"].reindex(weights.index).clip(lower=0.0).fillna(math.inf)
    problems += ["participation"] if (weights.abs() > volumes * limits.max_adv_frac / inputs["nav_usd"] + SLACK).any() else []
    known = inputs["sectors"].reindex(weights.index)
    named = [s if isinstance(s, str) and s else None if fund else "unknown" for s, fund in zip(known, funds, strict=True)]
    problems += _over("sector", weights.abs().groupby(np.array(named, dtype=object)).sum(), limits.max_sector_frac)
    problems += _over("gross", [weights.abs().sum()], limits.max_gross_frac * scale)
    problems += ["rows do not sum"] if (rows.sum() - weights).abs().max() > SLACK else []
    problems += _risk_problems(result, inputs) + _turnover_problems(result, inputs)
    if result.rung not in RUNGS or (result.rung == "full") != (result.rung_reason == ""):
        problems.append("rung without a reason")
    return problems


def _over(name: str, values: Any, limit: float) -> list[str]:
    worst = max(values, default=0.0)
    return [] if worst <= limit + SLACK else [f"{name} {worst} over {limit}"]


def _drawdown_scale(drawdown: float, limits: RiskLimits) -> float:
    start, end = limits.drawdown_scale_from_frac, limits.drawdown_scale_to_frac
    return float(np.interp(drawdown, [start, end], [1.0, limits.drawdown_min_scale]))


def _risk_problems(result: Allocation, inputs: Inputs) -> list[str]:
    held = inputs.get("previous_weights", pd.DataFrame()).reindex(result.capital.index).fillna(0.0)
    wanted = {symbol for target in inputs["sleeve_targets"].values() for symbol in target.index[target != 0]}
    owned = set(held.columns[(held != 0).any()]) | wanted
    if not (result.weights != 0).any():
        return [] if (result.var95, result.cvar95, result.volatility) == (0.0, 0.0, 0.0) else ["figures of nothing"]
    history = inputs["asset_returns"].reindex(columns=sorted(owned))
    history = history.where(history.abs() <= MAX_DAILY).dropna(how="all")
    if history.empty:
        return ["held without any history"]
    filled = history.T.fillna(history.mean(axis=1)).T
    outcomes = (filled * result.weights.reindex(filled.columns).fillna(0.0)).sum(axis=1).to_numpy()
    var95 = -np.quantile(outcomes, 0.05)
    cvar95 = -outcomes[outcomes <= -var95 + 1e-12].mean()
    limits = inputs["limits"]
    problems = _over("VaR", [var95], limits.max_var95_frac) + _over("CVaR", [cvar95], limits.max_cvar95_frac)
    if limits.target_volatility_frac > 0:
        problems += _over("volatility", [outcomes.std(ddof=1) * math.sqrt(252)], limits.target_volatility_frac)
    return problems if abs(var95 - result.var95) <= SLACK else [*problems, "recorded VaR"]


def _turnover_problems(result: Allocation, inputs: Inputs) -> list[str]:
    if "previous_weights" not in inputs:
        return [] if math.isnan(result.turnover) else ["turnover of nothing"]
    held = inputs["previous_weights"].sum().reindex(result.weights.index).fillna(0.0)
    traded = (result.weights - held).abs().sum()
    if abs(traded - result.turnover) > SLACK * max(1.0, traded):
        return ["recorded turnover"]
    if traded <= inputs["limits"].max_turnover_frac + SLACK:
        return []
    # Beyond the cap only what the other limits force is sold, and nothing is bought: no sleeve adds to what it holds.
    before = inputs["previous_weights"].reindex(result.capital.index).reindex(columns=result.weights.index).fillna(0.0)
    added = (result.sleeve_weights.abs() > before.abs() + SLACK) | (result.sleeve_weights * before < -SLACK)
    return ["bought beyond the turnover"] if added.any(axis=None) else []


def storm(seeds: range, told: Callable[[str], None] = print) -> tuple[Counter[str], int]:
    """Allocate every problem; the rungs reached, and how many results broke a limit or raised."""
    rungs: Counter[str] = Counter()
    failures = 0
    for seed in seeds:
        inputs, names = sick_problem(seed)
        try:
            result = allocate(**inputs)
            problems = broken(result, inputs)
        except Exception as error:  # noqa: BLE001  the storm counts whatever comes out
            problems, result = [f"{type(error).__name__}: {error}"], None
        if problems:
            failures += 1
            told(f"seed {seed} ({', '.join(names) or 'healthy'}): {'; '.join(problems)}")
        if result is not None:
            rungs[result.rung] += 1
    return rungs, failures


def main() -> int:
    """Run the storm and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="how many problems")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one")
    options = parser.parse_args()
    begin = time.process_time()
    rungs, failures = storm(range(options.seed, options.seed + options.n))
    took = time.process_time() - begin
    for rung in RUNGS:
        print(f"{rung:<20}{rungs[rung]:>8,}")
    print(f"{options.n:,} problems in {took:.1f} s of CPU, {failures} failures")
    return 1 if failures or any(not rungs[rung] for rung in RUNGS) else 0


if __name__ == "__main__":
    sys.exit(main())
