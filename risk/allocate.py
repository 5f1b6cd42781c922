"""One portfolio out of many strategies: capital by sleeve, asset weights under every cap, and a record of what bound."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from risk import limits as caps
from risk.base import Allocation, Bound, RiskLimits
from risk.capital import CapitalPlan, plan_capital
from risk.errors import BadInput
from risk.history import complete_returns, track_record
from risk.inputs import FloatArray, IntArray

Names = tuple[str, ...]


def allocate(
    sleeve_returns: pd.DataFrame,
    sleeve_targets: Mapping[str, pd.Series],
    asset_returns: pd.DataFrame,
    *,
    limits: RiskLimits,
    nav_usd: float,
    sectors: pd.Series,
    funds: frozenset[str],
    adv_usd: pd.Series,
    regime_delta: float,
    ramp: pd.Series | None = None,
    previous_capital: pd.Series | None = None,
) -> Allocation:
    """Divide the account between the sleeves and hold the sum to the limits.

    sleeve_returns: (n_observations, n_sleeves) daily simple returns of the shadow books, NaN before a sleeve existed; its columns
        are all the sleeves. One with fewer than `limits.min_track_record_sessions` returns, or practically without variance
        (in cash), is excluded from the optimisation and gets the equal share 1 / n_sleeves.
    sleeve_targets: signed weights by symbol, fractions of the sleeve, no NaN; a sleeve without targets holds cash.
    asset_returns: (n_sessions, n_assets) daily simple returns for VaR and CVaR. A missing one is filled with the mean of the other
        held assets of that day and noted in `excluded`; without a single session the tail is unknown and everything is cash.
    sectors: by symbol; an asset without one counts to the sector "unknown", a fund without one to none.
    adv_usd: average daily volume by symbol; unknown is not capped. regime_delta: covariance uncertainty, >= 0.
    ramp: factor in 0..1 by sleeve, 1 where absent. previous_capital: fractions of NAV, for the last rung of the ladder, on which
        no sleeve gets more than it had.

    Sick returns never raise; they lead down the ladder of `risk.capital`. Raises BadInput for what is malformed: duplicated
    labels, targets of an unknown sleeve or with NaN, a ramp outside 0..1, a NAV that is not positive. The result does not depend
    on the order of any labels.
    """
    if not (math.isfinite(nav_usd) and nav_usd > 0):
        raise BadInput(f"nav_usd must be positive, not {nav_usd}")
    record = track_record(sleeve_returns, limits.min_track_record_sessions)
    previous = None if previous_capital is None else _looked_up(previous_capital, record.names, "previous_capital", absent=0.0)
    plan = plan_capital(record, limits, regime_delta, previous)
    capital, bounds = _sleeve_capital(plan, record.names, limits, _ramp(ramp, record.names))
    symbols, targets = _target_matrix(sleeve_targets, record.names)
    rows = capital[:, None] * targets
    net = rows.sum(axis=0)
    groups = _sectors(sectors, symbols, funds)
    advs = _looked_up(adv_usd, symbols, "adv_usd", absent=math.nan)
    capped, asset_bounds = _cap_assets(net, symbols, limits=limits, nav_usd=nav_usd, groups=groups, funds=funds, adv_usd=advs)
    history, notes = _held_history(asset_returns, symbols, capped)
    weights, tail_bounds, var95, cvar95 = caps.cap_tail(capped, history, max_var95=limits.max_var95_frac, max_cvar95=limits.max_cvar95_frac)
    return _allocation(
        plan,
        record.names,
        symbols,
        capital=capital,
        rows=caps.share_out(rows, net, weights),
        weights=weights,
        tail=(var95, cvar95),
        regime_delta=regime_delta,
        bound=bounds + asset_bounds + tail_bounds,
        excluded=record.excluded | notes,
    )


def _sleeve_capital(plan: CapitalPlan, names: Names, limits: RiskLimits, ramp: FloatArray) -> tuple[FloatArray, tuple[Bound, ...]]:
    """Planned shares (n_sleeves,) under the cap per sleeve and the ramp; the previous capital has been ramped before."""
    capped = np.minimum(plan.share, limits.max_sleeve_frac)
    capital = np.minimum(capped, limits.max_sleeve_frac * ramp) if plan.rung == "previous" else capped * ramp
    bounds = [
        Bound(limit="sleeve", subject=names[i], before=float(plan.share[i]), after=float(capped[i]))
        for i in np.flatnonzero(plan.share > capped)
    ]
    bounds += [
        Bound(limit="ramp", subject=names[i], before=float(capped[i]), after=float(capital[i])) for i in np.flatnonzero(capped > capital)
    ]
    return capital, tuple(bounds)


def _cap_assets(
    weights: FloatArray,
    symbols: Names,
    *,
    limits: RiskLimits,
    nav_usd: float,
    groups: list[str],
    funds: frozenset[str],
    adv_usd: FloatArray,
) -> caps.Capped:
    """The caps that need no history, from the narrowest to the widest."""
    is_fund = np.array([symbol in funds for symbol in symbols], dtype=bool)
    weights, single = caps.cap_symbols(weights, symbols, is_fund, max_symbol=limits.max_symbol_frac, max_fund=limits.max_fund_frac)
    weights, volume = caps.cap_participation(weights, symbols, adv_usd, nav_usd=nav_usd, max_adv=limits.max_adv_frac)
    weights, sector = caps.cap_sectors(weights, groups, max_sector=limits.max_sector_frac)
    weights, gross = caps.cap_gross(weights, max_gross=limits.max_gross_frac)
    return weights, single + volume + sector + gross


def _held_history(asset_returns: pd.DataFrame, symbols: Names, weights: FloatArray) -> tuple[FloatArray, dict[str, str]]:
    """Complete returns (n_sessions, n_assets) in the order of `symbols`; columns without a weight are left zero."""
    held = np.flatnonzero(weights)
    columns = _positions(asset_returns.columns, tuple(symbols[i] for i in held), "asset_returns")
    known = asset_returns.to_numpy(dtype=np.float64)
    chosen = known[:, columns]
    chosen[:, columns < 0] = math.nan
    complete, notes = complete_returns(chosen, [symbols[i] for i in held])
    if len(held) == len(symbols):
        return complete, notes
    history = np.zeros((len(complete), len(symbols)))
    history[:, held] = complete
    return history, notes


def _target_matrix(sleeve_targets: Mapping[str, pd.Series], names: Names) -> tuple[Names, FloatArray]:
    """All target symbols, sorted, and the weights (n_sleeves, n_symbols) as fractions of each sleeve."""
    unknown = sleeve_targets.keys() - set(names)
    if unknown:
        raise BadInput(f"targets of sleeves without returns: {sorted(unknown)}")
    held = {name: target.index.tolist() for name, target in sleeve_targets.items()}
    symbols = tuple(sorted({symbol for labels in held.values() for symbol in labels}))
    position = {symbol: i for i, symbol in enumerate(symbols)}
    matrix = np.zeros((len(names), len(symbols)))
    for row, name in enumerate(names):
        labels = held.get(name, [])
        if not labels:
            continue
        values = sleeve_targets[name].to_numpy(dtype=np.float64)
        if len(set(labels)) != len(labels) or not np.isfinite(values).all():
            raise BadInput(f"targets of {name} hold NaN, infinite values or a symbol twice")
        matrix[row, [position[symbol] for symbol in labels]] = values
    return symbols, matrix


def _sectors(sectors: pd.Series, symbols: Names, funds: frozenset[str]) -> list[str]:
    values = sectors.to_numpy(dtype=object)
    found = [values[i] if i >= 0 else None for i in _positions(sectors.index, symbols, "sectors")]
    return [
        sector if isinstance(sector, str) and sector else "" if symbol in funds else caps.UNKNOWN_SECTOR
        for symbol, sector in zip(symbols, found, strict=True)
    ]


def _ramp(ramp: pd.Series | None, names: Names) -> FloatArray:
    if ramp is None:
        return np.ones(len(names))
    factors = _looked_up(ramp, names, "ramp", absent=1.0)
    if not ((factors >= 0) & (factors <= 1)).all():
        raise BadInput("ramp factors must lie in 0..1")
    return factors


def _looked_up(values: pd.Series, names: Names, name: str, *, absent: float) -> FloatArray:
    """Values (n_names,) in the order of `names`, `absent` where there is none."""
    positions = _positions(values.index, names, name)
    if len(values) == 0:
        return np.full(len(names), absent)
    found: FloatArray = np.where(positions >= 0, values.to_numpy(dtype=np.float64)[positions], absent)
    return found


def _positions(index: pd.Index, names: Names, name: str) -> IntArray:
    """Where each of `names` stands in `index`, -1 where it does not."""
    if not index.is_unique:
        raise BadInput(f"{name} holds a label twice")
    return np.asarray(index.get_indexer(pd.Index(names, dtype=object)), dtype=np.int64)


def _allocation(
    plan: CapitalPlan,
    names: Names,
    symbols: Names,
    *,
    capital: FloatArray,
    rows: FloatArray,
    weights: FloatArray,
    tail: tuple[float, float],
    regime_delta: float,
    bound: tuple[Bound, ...],
    excluded: Mapping[str, str],
) -> Allocation:
    sleeves, assets = pd.Index(names, name="sleeve"), pd.Index(symbols, name="symbol")
    return Allocation(
        capital=pd.Series(capital, index=sleeves),
        sleeve_weights=pd.DataFrame(rows, index=sleeves, columns=assets),
        weights=pd.Series(weights, index=assets),
        prior=pd.Series(plan.prior, index=sleeves),
        views=pd.Series(plan.views, index=sleeves),
        confidence=pd.Series(plan.confidence, index=sleeves),
        posterior=pd.Series(plan.posterior, index=sleeves),
        covariance=pd.DataFrame(plan.covariance, index=sleeves, columns=sleeves),
        optimizer_weights=pd.Series(plan.optimizer_weights, index=sleeves),
        budgets=pd.Series(plan.budgets, index=sleeves),
        var95=tail[0],
        cvar95=tail[1],
        gross=float(np.abs(weights).sum()),
        regime_delta=regime_delta,
        rung=plan.rung,
        rung_reason=plan.reason,
        bound=bound,
        excluded=excluded,
    )
