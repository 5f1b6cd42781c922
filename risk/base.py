"""Limits that bind a portfolio and the record of one allocation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Rung = Literal["full", "prior_only", "inverse_volatility", "equal", "previous"]
Limit = Literal[
    "sleeve", "ramp", "symbol", "fund", "adv", "sector", "gross", "target_volatility", "var95", "cvar95", "drawdown", "turnover"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Every knob of the allocation; defaults are the shipped settings. `_frac` is a fraction of NAV.

    target_volatility_frac is annual, 0 is none. max_turnover_frac bounds sum|w - held|, two-sided, in one decision. In a drawdown
    of drawdown_scale_from_frac the portfolio begins to shrink, linearly to drawdown_min_scale of itself at drawdown_scale_to_frac.
    """

    risk_aversion: float = 3.0
    tau: float = 0.05
    kappa: float = 0.25
    max_sleeve_frac: float = 0.25
    max_symbol_frac: float = 0.05
    max_fund_frac: float = 0.25
    max_sector_frac: float = 0.30
    max_gross_frac: float = 1.0
    max_var95_frac: float = 0.02
    max_cvar95_frac: float = 0.03
    max_adv_frac: float = 0.02
    max_turnover_frac: float = 1.0
    target_volatility_frac: float = 0.0
    drawdown_scale_from_frac: float = 0.10
    drawdown_scale_to_frac: float = 0.15
    drawdown_min_scale: float = 0.5
    max_regime_delta: float = 2.0
    ramp_sessions: int = 10
    min_track_record_sessions: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A test statistic and the probability of one at least as extreme under the null hypothesis; NaN where undefined."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One limit that changed the portfolio: what it was before and after."""

    limit: Limit
    subject: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How much of the account was still to be invested after one step of the allocation, gross, fraction of NAV."""

    step: str
    gross: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The result of one allocation over n_sleeves and n_assets.

    capital: fraction of NAV by sleeve, >= 0, sum <= 1; the rest is cash.
    sleeve_weights: DataFrame (n_sleeves, n_assets), fraction of NAV after every cap; sums over sleeves to `weights`.
    weights: fraction of NAV by asset, after every cap.
    prior, views, confidence, posterior: by sleeve, annual (confidence in 0..1); NaN where a rung did not use them.
    optimizer_weights, budgets: by sleeve, sum 1, 0 for an excluded sleeve; NaN on the rungs that do not optimise.
    covariance: of the sleeves, annual (n_sleeves, n_sleeves).
    planned: by sleeve, the share that the rung gave, before cap and ramp. ramp: by sleeve, in 0..1.
    var95, cvar95: one-day historical figures of `weights`, positive losses, fraction of NAV, after scaling.
    volatility: annual, of the same history. turnover: sum|w - held|; NaN where what is held was not given.
    steps: from all of the capital to `gross`, in the order in which the limits were applied. What a step took away is cash.
    """

    capital: pd.Series
    sleeve_weights: pd.DataFrame
    weights: pd.Series
    prior: pd.Series
    views: pd.Series
    confidence: pd.Series
    posterior: pd.Series
    covariance: pd.DataFrame
    optimizer_weights: pd.Series
    budgets: pd.Series
    planned: pd.Series
    ramp: pd.Series
    var95: float
    cvar95: float
    volatility: float
    gross: float
    turnover: float
    regime_delta: float
    drawdown_frac: float
    rung: Rung
    rung_reason: str = ""
    bound: tuple[Bound, ...] = ()
    steps: tuple[Step, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Sleeve -> why it took no part in the optimisation (short history, in cash); asset -> which of its returns were filled."""
    repairs: tuple[str, ...] = ()
    """What was mended in the inputs of the optimisation."""
