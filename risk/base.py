"""Limits that bind a portfolio and the record of one allocation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Rung = Literal["full", "prior_only", "inverse_volatility", "equal", "previous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Every knob of the allocation; defaults are the shipped settings. `_frac` is a fraction of NAV."""

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

    limit: Literal["sleeve", "ramp", "symbol", "fund", "sector", "gross", "adv", "var95", "cvar95"]
    subject: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The result of one allocation over n_sleeves and n_assets.

    capital: fraction of NAV by sleeve, >= 0, sum <= 1; the rest is cash.
    sleeve_weights: DataFrame (n_sleeves, n_assets), fraction of NAV after every cap; sums over sleeves to `weights`.
    weights: fraction of NAV by asset, after every cap.
    prior, views, confidence, posterior: by sleeve, annual (confidence in 0..1); NaN where a rung did not use them.
    optimizer_weights, budgets: by sleeve, sum 1, 0 for an excluded sleeve; NaN on the rungs that do not optimise.
    covariance: of the sleeves, annual (n_sleeves, n_sleeves).
    var95, cvar95: one-day historical figures of `weights`, positive losses, fraction of NAV, after scaling.
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
    var95: float
    cvar95: float
    gross: float
    regime_delta: float
    rung: Rung
    rung_reason: str = ""
    bound: tuple[Bound, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Sleeve -> why it took no part in the optimisation (short history, in cash); asset -> which of its returns were filled."""
