"""Whether a finished portfolio keeps every limit: each one worked out again from the final weights, not as the caps did."""

import math

import numpy as np

from risk.base import RiskLimits
from risk.history import PERIODS_PER_YEAR
from risk.inputs import FloatArray
from risk.limits import Assets

TOLERANCE = 1e-9
"""How far a figure may lie above its limit: rounding, one part in a billion of NAV."""


def breaches(
    weights: FloatArray,
    rows: FloatArray,
    capital: FloatArray,
    *,
    assets: Assets,
    history: FloatArray,
    limits: RiskLimits,
    sleeve_caps: FloatArray,
    scale: float,
    target_gross: FloatArray,
    moved: float,
    allowed: float,
) -> list[str]:
    """A sentence for every limit that is broken; empty for a lawful portfolio.

    weights (n_assets,), rows (n_sleeves, n_assets) and capital (n_sleeves,): fractions of NAV. history: (n_sessions, n_assets) daily
    returns. sleeve_caps: largest capital of each sleeve (n_sleeves,). scale: of the gross cap, from the drawdown. target_gross: sum|w|
    of each sleeve's own targets (n_sleeves,). moved, allowed: turnover and what it may be.
    """
    if not (np.isfinite(weights).all() and np.isfinite(rows).all() and np.isfinite(capital).all()):
        return ["a weight or a capital is not finite"]
    sizes = [abs(w) for w in weights.tolist()]
    found = _capital(capital, rows, np.minimum(sleeve_caps, limits.max_sleeve_frac), target_gross)
    found += _assets(sizes, assets, limits)
    found += _over(math.fsum(sizes), limits.max_gross_frac * scale, "gross exposure")
    found += _over(moved, allowed, "turnover")
    found += _risk(weights, history, limits)
    if len(rows) and float(np.abs(rows.sum(axis=0) - weights).max(initial=0.0)) > TOLERANCE:
        found.append("the sleeves' weights do not sum to the portfolio's")
    return found


def _capital(capital: FloatArray, rows: FloatArray, sleeve_caps: FloatArray, target_gross: FloatArray) -> list[str]:
    found = _over(math.fsum(capital.tolist()), 1.0, "capital of all sleeves")
    found += ["a sleeve has negative capital"] if (capital < 0).any() else []
    for share, most in zip(capital.tolist(), sleeve_caps.tolist(), strict=True):
        found += _over(share, most, "capital of a sleeve")
    reach = sleeve_caps * np.maximum(target_gross, 1.0)
    for held, most in zip(np.abs(rows).sum(axis=1).tolist(), reach.tolist(), strict=True):
        found += _over(held, most, "positions of a sleeve")
    return found


def _assets(sizes: list[float], assets: Assets, limits: RiskLimits) -> list[str]:
    found: list[str] = []
    sectors: dict[str, list[float]] = {}
    for size, symbol, fund, sector, volume in zip(
        sizes, assets.symbols, assets.is_fund.tolist(), assets.sectors, assets.adv_usd.tolist(), strict=True
    ):
        if not size:
            continue
        found += _over(size, limits.max_fund_frac if fund else limits.max_symbol_frac, symbol)
        if volume < math.inf:
            found += _over(size * assets.nav_usd, max(volume, 0.0) * limits.max_adv_frac, f"participation in {symbol}", assets.nav_usd)
        if sector:
            sectors.setdefault(sector, []).append(size)
    for sector, members in sectors.items():
        found += _over(math.fsum(members), limits.max_sector_frac, f"sector {sector}")
    return found


def _risk(weights: FloatArray, history: FloatArray, limits: RiskLimits) -> list[str]:
    if not weights.any():
        return []
    with np.errstate(all="ignore"):
        outcomes = history @ weights
        if len(outcomes) == 0 or not np.isfinite(outcomes).all():
            return ["what the portfolio could lose cannot be measured"]
        value_at_risk = -float(np.quantile(outcomes, 0.05))
        # Equal outcomes may differ from their own quantile in the last digit.
        tail = outcomes[outcomes <= -value_at_risk + 1e-15 * abs(value_at_risk)]
        found = _over(value_at_risk, limits.max_var95_frac, "VaR")
        found += _over(-float(tail.mean()), limits.max_cvar95_frac, "CVaR")
        if limits.target_volatility_frac > 0:
            volatility = float(np.std(outcomes, ddof=1)) * math.sqrt(PERIODS_PER_YEAR)
            found += _over(volatility, limits.target_volatility_frac, "annual volatility")
    return found


def _over(value: float, limit: float, name: str, unit: float = 1.0) -> list[str]:
    """The breach as a sentence, when `value` lies above `limit` by more than rounding; figures in `unit`."""
    if value <= limit + TOLERANCE * unit:
        return []
    return [f"{name} at {value:.6g}, over {limit:.6g}"]
