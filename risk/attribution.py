"""Where the active return came from: sector allocation, selection within sectors and their interaction."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, numbers, require_finite

EFFECTS = ["allocation", "selection", "interaction"]
Period = tuple[pd.Series, pd.Series, pd.Series, pd.Series]
_WEIGHT_TOLERANCE = 1e-6


def brinson_fachler(
    portfolio_weights: pd.Series, benchmark_weights: pd.Series, portfolio_returns: pd.Series, benchmark_returns: pd.Series
) -> pd.DataFrame:
    """Effects by sector, DataFrame (n_sectors, 3: allocation, selection, interaction), which sum to the active return.

    allocation (wp - wb)(rb - RB), selection wb (rp - rb), interaction (wp - wb)(rp - rb), of one period. A sector that a Series
    lacks has weight 0 and no return there. A return missing (NaN) at zero weight takes the other side's, so that a sector held by
    one side alone is all allocation. Raises BadInput for a return missing at a weight, an infinite one, or weights of the two sides
    that do not sum to the same.

    References: Brinson & Fachler (1985), Measuring non-US equity portfolio performance, Journal of Portfolio Management 11.
    """
    sectors, effects, _, _ = _effects((portfolio_weights, benchmark_weights, portfolio_returns, benchmark_returns))
    return pd.DataFrame(effects, index=sectors, columns=EFFECTS)


def link(periods: Sequence[Period]) -> pd.DataFrame:
    """Effects of consecutive periods, DataFrame (n_sectors, 3), which sum to the compounded active return.

    periods: the four arguments of `brinson_fachler` for each, in order. Each period's effects are scaled by Carino's k_t / k.
    Raises BadInput for no period or a total loss.

    References: Carino (1999), Combining attribution effects over time, Journal of Performance Measurement 3.
    """
    if not periods:
        raise BadInput("no periods to link")
    parts = [_effects(period) for period in periods]
    portfolio = math.prod(1.0 + part[2] for part in parts) - 1.0
    benchmark = math.prod(1.0 + part[3] for part in parts) - 1.0
    whole = _carino(portfolio, benchmark)
    scaled = [pd.DataFrame(effects * (_carino(rp, rb) / whole), index=sectors, columns=EFFECTS) for sectors, effects, rp, rb in parts]
    sectors = scaled[0].index
    for frame in scaled[1:]:
        sectors = sectors.union(frame.index, sort=False)
    linked: FloatArray = sum((frame.reindex(sectors, fill_value=0.0).to_numpy() for frame in scaled), np.zeros((len(sectors), 3)))
    return pd.DataFrame(linked, index=sectors, columns=EFFECTS)


def _effects(period: Period) -> tuple[pd.Index, FloatArray, float, float]:
    """Sectors, effects (n_sectors, 3) and the total returns of the portfolio and the benchmark."""
    if not all(part.index.is_unique for part in period):
        raise BadInput("a sector is named twice")
    sectors = period[0].index
    for part in period[1:]:
        sectors = sectors.union(part.index, sort=False)
    wp, wb = (numbers(part.reindex(sectors, fill_value=0.0), "weights") for part in period[:2])
    rp, rb = (numbers(part.reindex(sectors), "returns") for part in period[2:])
    require_finite(wp, sectors, "portfolio weights")
    require_finite(wb, sectors, "benchmark weights")
    if abs(wp.sum() - wb.sum()) > _WEIGHT_TOLERANCE:
        raise BadInput(f"weights sum to {wp.sum():.6g} in the portfolio and {wb.sum():.6g} in the benchmark; name the cash as a sector")
    rp, rb = _completed(rp, rb, wp, sectors, "portfolio"), _completed(rb, rp, wb, sectors, "benchmark")
    portfolio, benchmark = float(wp @ rp), float(wb @ rb)
    effects = np.column_stack([(wp - wb) * (rb - benchmark), wb * (rp - rb), (wp - wb) * (rp - rb)])
    return sectors, effects, portfolio, benchmark


def _completed(own: FloatArray, other: FloatArray, weights: FloatArray, sectors: pd.Index, side: str) -> FloatArray:
    missing = np.isnan(own)
    if np.isinf(own).any():
        raise BadInput(f"infinite {side} return of {[str(s) for s in sectors[np.isinf(own)][:5]]}")
    if (missing & (weights != 0)).any():
        raise BadInput(f"no {side} return at a weight: {[str(s) for s in sectors[missing & (weights != 0)][:5]]}")
    # Missing on both sides means weight zero on both sides, where any finite number gives no effect.
    return np.where(missing, np.nan_to_num(other, nan=0.0), own)


def _carino(portfolio: float, benchmark: float) -> float:
    """(ln(1 + Rp) - ln(1 + Rb)) / (Rp - Rb), and its limit 1 / (1 + Rp) where the two are equal."""
    if min(portfolio, benchmark) <= -1.0:
        raise BadInput("a total loss cannot be linked")
    active = portfolio - benchmark
    return math.log1p(active / (1.0 + benchmark)) / active if active else 1.0 / (1.0 + portfolio)
