"""Caps on a portfolio: each takes weights, returns weights that only ever shrank towards zero, and says what bound.

Weights are signed fractions of NAV by asset (n_assets,), of which the net over sleeves is capped; what a cap takes off is cash.
Because every cap only shrinks, a later one never breaks an earlier one. Rows of sleeves follow by `share_out`.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from risk.base import Bound
from risk.inputs import BoolArray, FloatArray
from risk.var import tail_figures

UNKNOWN_SECTOR = "unknown"
Bounds = tuple[Bound, ...]
Capped = tuple[FloatArray, Bounds]


def cap_symbols(weights: FloatArray, symbols: Sequence[str], is_fund: BoolArray, *, max_symbol: float, max_fund: float) -> Capped:
    """Hold each |weight| at or below `max_symbol`, or `max_fund` for a fund (fractions of NAV)."""
    caps = np.where(is_fund, max_fund, max_symbol)
    kinds: list[Literal["symbol", "fund"]] = ["fund" if fund else "symbol" for fund in is_fund]
    capped = np.clip(weights, -caps, caps)
    return capped, tuple(
        Bound(limit=kinds[i], subject=symbols[i], before=float(weights[i]), after=float(capped[i]))
        for i in np.flatnonzero(np.abs(weights) > caps).tolist()
    )


def cap_participation(weights: FloatArray, symbols: Sequence[str], adv_usd: FloatArray, *, nav_usd: float, max_adv: float) -> Capped:
    """Hold each position's value at or below the share `max_adv` of the asset's average daily volume (USD); NaN is not capped."""
    caps = np.where(np.isnan(adv_usd), math.inf, np.maximum(adv_usd, 0.0) * max_adv / nav_usd)
    capped = np.clip(weights, -caps, caps)
    return capped, tuple(
        Bound(limit="adv", subject=symbols[i], before=float(weights[i]), after=float(capped[i]))
        for i in np.flatnonzero(np.abs(weights) > caps).tolist()
    )


def cap_sectors(weights: FloatArray, sectors: Sequence[str], *, max_sector: float) -> Capped:
    """Scale each sector whose gross weight sum|w| exceeds `max_sector`; the empty sector "" (a broad fund's) is not capped.

    Longs and shorts of a sector do not offset each other: a hedge within it may be imperfect.
    """
    members: dict[str, list[int]] = {}
    for position, sector in enumerate(sectors):
        members.setdefault(sector, []).append(position)
    capped, bounds = weights.copy(), []
    for sector in sorted(members.keys() - {""}):
        gross = float(np.abs(weights[members[sector]]).sum())
        if gross > max_sector:
            capped[members[sector]] *= max_sector / gross
            bounds.append(Bound(limit="sector", subject=sector, before=gross, after=max_sector))
    return capped, tuple(bounds)


def cap_gross(weights: FloatArray, *, max_gross: float) -> Capped:
    """Scale the whole portfolio where sum|w| exceeds `max_gross`."""
    gross = float(np.abs(weights).sum())
    if gross <= max_gross:
        return weights, ()
    return weights * (max_gross / gross), (Bound(limit="gross", subject="portfolio", before=gross, after=max_gross),)


def cap_tail(weights: FloatArray, returns: FloatArray, *, max_var95: float, max_cvar95: float) -> tuple[FloatArray, Bounds, float, float]:
    """Scale the whole portfolio until its one-day historical VaR and CVaR at 95 % are at or below their caps.

    returns: (n_sessions, n_assets) daily, complete. Both figures scale with the weights, so one factor meets both. Gives the
    weights, what bound, and the VaR and CVaR after. A portfolio whose tail cannot be measured, for want of a session, is sold.
    """
    if not weights.any():
        return weights, (), 0.0, 0.0
    if len(returns) == 0:
        return np.zeros_like(weights), (Bound(limit="var95", subject="portfolio", before=math.nan, after=0.0),), 0.0, 0.0
    var95, cvar95 = tail_figures(returns @ weights, 0.95)
    factor = min(1.0, max_var95 / var95 if var95 > max_var95 else 1.0, max_cvar95 / cvar95 if cvar95 > max_cvar95 else 1.0)
    bounds = []
    if var95 > max_var95:
        bounds.append(Bound(limit="var95", subject="portfolio", before=var95, after=var95 * factor))
    if cvar95 > max_cvar95:
        bounds.append(Bound(limit="cvar95", subject="portfolio", before=cvar95, after=cvar95 * factor))
    return weights * factor, tuple(bounds), var95 * factor, cvar95 * factor


def share_out(rows: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Shrink the sleeves' rows (n_sleeves, n_assets), which sum to `before`, pro rata so that they sum to `after`."""
    factors = np.divide(after, before, out=np.ones_like(before), where=before != 0)
    shared: FloatArray = rows * factors
    return shared
