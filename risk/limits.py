"""Caps on a portfolio: each takes weights, returns weights that only ever shrank towards zero, and says what bound.

Weights are signed fractions of NAV by asset (n_assets,), of which the net over sleeves is capped; what a cap takes off is cash.
Because every cap only shrinks, a later one never breaks an earlier one. Rows of sleeves follow by `share_out`. What must hold in
the end is written a second time, and checked, in `risk.limit_check`; how far one decision may move is in `risk.turnover`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from risk.base import Bound, RiskLimits, Step
from risk.errors import BadInput
from risk.history import PERIODS_PER_YEAR
from risk.inputs import BoolArray, FloatArray, require_non_negative
from risk.var import tail_figures

UNKNOWN_SECTOR = "unknown"
Bounds = tuple[Bound, ...]
Capped = tuple[FloatArray, Bounds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What the caps know of the assets (n_assets,), in the order of the weights. adv_usd: NaN where unknown."""

    symbols: tuple[str, ...]
    is_fund: BoolArray
    sectors: tuple[str, ...]
    adv_usd: FloatArray
    nav_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a portfolio could lose: one-day historical VaR and CVaR at 95 %, positive losses, and the annual volatility."""

    var95: float
    cvar95: float
    volatility: float

    def scaled(self, factor: float) -> "Figures":
        """The figures of `factor` times the portfolio."""
        return Figures(var95=self.var95 * factor, cvar95=self.cvar95 * factor, volatility=self.volatility * factor)


NOTHING_HELD = Figures(var95=0.0, cvar95=0.0, volatility=0.0)


def require_caps(limits: RiskLimits) -> None:
    """Raise BadInput, by name, for a cap that is NaN or negative, which would forbid nothing or everything, and for a drawdown that
    would make the portfolio grow."""
    for name in (field.name for field in fields(limits) if field.name.startswith(("max_", "target_", "drawdown_"))):
        if not getattr(limits, name) >= 0.0:
            raise BadInput(f"the limit {name} must be a number and not negative, not {getattr(limits, name)}")
    if limits.drawdown_min_scale > 1.0:
        raise BadInput(f"the limit drawdown_min_scale must be at most 1, not {limits.drawdown_min_scale}")


def cap_assets(weights: FloatArray, assets: Assets, limits: RiskLimits) -> tuple[FloatArray, Bounds, tuple[Step, ...]]:
    """The caps that need no history, from the narrowest to the widest; the steps say what was left after each."""
    bounds: list[Bound] = []
    steps: list[Step] = []
    for step, cap in _CAPS:
        weights, found = cap(weights, assets, limits)
        bounds += found
        steps.append(Step(step=step, gross=float(np.abs(weights).sum())))
    return weights, tuple(bounds), tuple(steps)


def cap_symbols(weights: FloatArray, assets: Assets, limits: RiskLimits) -> Capped:
    """Hold each |weight| at or below `max_symbol_frac`, or `max_fund_frac` for a fund."""
    caps = np.where(assets.is_fund, limits.max_fund_frac, limits.max_symbol_frac)
    kinds: list[Literal["symbol", "fund"]] = ["fund" if fund else "symbol" for fund in assets.is_fund]
    capped = np.clip(weights, -caps, caps)
    return capped, tuple(
        Bound(limit=kinds[i], subject=assets.symbols[i], before=float(weights[i]), after=float(capped[i]))
        for i in np.flatnonzero(np.abs(weights) > caps).tolist()
    )


def cap_participation(weights: FloatArray, assets: Assets, limits: RiskLimits) -> Capped:
    """Hold each position's value at or below `max_adv_frac` of the asset's average daily volume, so that it can be closed within a
    day at that participation; an asset whose volume is unknown or infinite is not capped."""
    with np.errstate(over="ignore", invalid="ignore"):
        known = np.maximum(assets.adv_usd, 0.0) * limits.max_adv_frac / assets.nav_usd
    caps = np.where(assets.adv_usd < math.inf, known, math.inf)
    capped = np.clip(weights, -caps, caps)
    return capped, tuple(
        Bound(limit="adv", subject=assets.symbols[i], before=float(weights[i]), after=float(capped[i]))
        for i in np.flatnonzero(np.abs(weights) > caps).tolist()
    )


def cap_sectors(weights: FloatArray, assets: Assets, limits: RiskLimits) -> Capped:
    """Scale each sector whose gross weight sum|w| exceeds `max_sector_frac`; the empty sector "" (a broad fund's) is not capped.

    Longs and shorts of a sector do not offset each other: a hedge within it may be imperfect.
    """
    members: dict[str, list[int]] = {}
    for position, sector in enumerate(assets.sectors):
        members.setdefault(sector, []).append(position)
    capped, bounds, most = weights.copy(), [], limits.max_sector_frac
    for sector in sorted(members.keys() - {""}):
        gross = float(np.abs(weights[members[sector]]).sum())
        if gross > most:
            capped[members[sector]] *= most / gross
            bounds.append(Bound(limit="sector", subject=sector, before=gross, after=most))
    return capped, tuple(bounds)


def cap_gross(weights: FloatArray, assets: Assets, limits: RiskLimits) -> Capped:
    """Scale the whole portfolio where sum|w| exceeds `max_gross_frac`."""
    gross, most = float(np.abs(weights).sum()), limits.max_gross_frac
    if gross <= most:
        return weights, ()
    return weights * (most / gross), (Bound(limit="gross", subject="portfolio", before=gross, after=most),)


_CAPS = (("symbol", cap_symbols), ("adv", cap_participation), ("sector", cap_sectors), ("gross", cap_gross))


def figures(weights: FloatArray, history: FloatArray) -> Figures:
    """Tail and volatility of weights (n_assets,) over daily returns (n_sessions, n_assets), complete.

    NaN throughout where they cannot be measured, for want of a session or because the returns overflow; zero for no weights.
    """
    if not weights.any():
        return NOTHING_HELD
    with np.errstate(all="ignore"):
        combined = history @ weights
        if len(combined) == 0 or not np.isfinite(combined).all():
            return Figures(var95=math.nan, cvar95=math.nan, volatility=math.nan)
        var95, cvar95 = tail_figures(combined, 0.95)
        deviation = float(combined.std(ddof=1)) if len(combined) > 1 else math.nan
    return Figures(var95=var95 + 0.0, cvar95=cvar95 + 0.0, volatility=deviation * math.sqrt(PERIODS_PER_YEAR))


def cap_risk(
    weights: FloatArray, history: FloatArray, limits: RiskLimits, drawdown_scale: float = 1.0
) -> tuple[FloatArray, Bounds, Figures, tuple[Step, ...]]:
    """Scale the whole portfolio to the target volatility, to the caps of VaR and CVaR, and then by `drawdown_scale`.

    history: (n_sessions, n_assets) daily, complete. All figures scale with the weights. A portfolio whose figures cannot be
    measured is sold. Gives the weights, what bound, the figures after, and what was left after each step.
    """
    before = figures(weights, history)
    target = limits.target_volatility_frac
    if not math.isfinite(before.var95 + before.cvar95) or (target > 0 and not math.isfinite(before.volatility)):
        steps = tuple(Step(step=name, gross=0.0) for name in ("target_volatility", "tail", "drawdown"))
        return np.zeros_like(weights), (Bound(limit="var95", subject="portfolio", before=math.nan, after=0.0),), NOTHING_HELD, steps
    calm = _down_to(before.volatility, target) if target > 0 else 1.0
    now = before.scaled(calm)
    tail = min(_down_to(now.var95, limits.max_var95_frac), _down_to(now.cvar95, limits.max_cvar95_frac))
    kept = calm * tail * drawdown_scale
    after = now.scaled(tail * drawdown_scale) if kept > 0 else NOTHING_HELD
    bounds = [*_scaled("target_volatility", before.volatility, calm)] if calm < 1.0 else []
    bounds += _scaled("var95", now.var95, tail) if now.var95 > limits.max_var95_frac else []
    bounds += _scaled("cvar95", now.cvar95, tail) if now.cvar95 > limits.max_cvar95_frac else []
    gross = float(np.abs(weights).sum())
    left = [gross * calm, gross * calm * tail, gross * calm * tail * drawdown_scale]
    bounds += [Bound(limit="drawdown", subject="portfolio", before=left[1], after=left[2])] if drawdown_scale < 1.0 and gross > 0 else []
    steps = tuple(Step(step=name, gross=value) for name, value in zip(("target_volatility", "tail", "drawdown"), left, strict=True))
    return weights * kept, tuple(bounds), after, steps


def drawdown_scale(drawdown_frac: float, limits: RiskLimits) -> float:
    """How much of itself a portfolio keeps in a drawdown (a positive fraction): 1 up to `drawdown_scale_from_frac`, then linearly
    down to `drawdown_min_scale` at `drawdown_scale_to_frac` and beyond. Raises BadInput for a negative one and for NaN."""
    depth = require_non_negative(drawdown_frac, "drawdown_frac")
    start, end, least = limits.drawdown_scale_from_frac, limits.drawdown_scale_to_frac, limits.drawdown_min_scale
    if depth <= start:
        return 1.0
    return least if depth >= end else 1.0 - (1.0 - least) * (depth - start) / (end - start)


def share_out(rows: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Shrink the sleeves' rows (n_sleeves, n_assets), which sum to `before`, pro rata so that they sum to `after`."""
    factors = np.divide(after, before, out=np.ones_like(before), where=before != 0)
    shared: FloatArray = rows * factors
    return shared


def _down_to(value: float, cap: float) -> float:
    """The factor that brings a figure to its cap; 1 where it is within."""
    return cap / value if value > cap else 1.0


def _scaled(limit: Literal["target_volatility", "var95", "cvar95"], value: float, factor: float) -> Sequence[Bound]:
    return [Bound(limit=limit, subject="portfolio", before=value, after=value * factor)]
