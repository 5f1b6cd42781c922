"""One portfolio out of many strategies: capital by sleeve, asset weights under every cap, and a record of what bound."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from risk import limits as caps
from risk.base import Allocation, RiskLimits
from risk.capital import CapitalPlan, ladder
from risk.errors import BadInput
from risk.history import track_record
from risk.inputs import BoolArray, FloatArray, numbers
from risk.portfolio import Case, Draft, Names, complete_history, positions


@np.errstate(all="ignore")
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
    previous_weights: pd.DataFrame | None = None,
    drawdown_frac: float = 0.0,
    covariance: pd.DataFrame | None = None,
    sleeve_caps: pd.Series | None = None,
) -> Allocation:
    """Divide the account between the sleeves and hold the sum to the limits.

    sleeve_returns: (n_observations, n_sleeves) daily simple returns of the shadow books, NaN before a sleeve existed; its columns
        are all the sleeves. One with fewer than `limits.min_track_record_sessions` returns, or practically without variance
        (in cash), is excluded from the optimisation and gets the equal share 1 / n, n counting the sleeves that have a usable record
        or targets; with neither it gets nothing.
    sleeve_targets: signed weights by symbol, fractions of the sleeve, no NaN; a sleeve without targets holds cash.
    asset_returns: (n_sessions, n_assets) daily simple returns for VaR and CVaR. A missing one is filled with the mean of the other
        held assets of that day and noted in `excluded`; without a single session the tail is unknown and everything is cash.
    sectors: by symbol; an asset without one counts to the sector "unknown", a fund without one to none.
    adv_usd: average daily volume by symbol; unknown or infinite is not capped. regime_delta: covariance uncertainty, >= 0, of which no more
        than `limits.max_regime_delta` counts.
    ramp: factor in 0..1 by sleeve, 1 where absent. previous_capital: fractions of NAV, for the last rung of the ladder, on which
        no sleeve gets more than it had.
    previous_weights: what is held now, fractions of NAV (n_holders, n_assets), by sleeve; a holder that is no sleeve is sold out.
        With it the turnover is capped: the portfolio goes from what is held, first made lawful under every other cap, as far
        towards the target as the cap allows. Without it turnover is not capped.
    drawdown_frac: of the account from its high-water mark, positive; see `limits.drawdown_scale`.
    covariance: annual, of the sleeves (n_sleeves, n_sleeves), instead of Ledoit-Wolf of their returns; see `given_covariance`.
    sleeve_caps: largest capital by sleeve in 0..1, where it is lower than `limits.max_sleeve_frac`.

    Sick returns and covariances never raise; they lead down the ladder of `risk.capital`. The result is checked against every
    limit from scratch, and a portfolio that broke one would lead down the ladder too, in the end to cash. Raises BadInput for what
    is malformed: duplicated labels, symbols that cannot be sorted, text for numbers, targets of an unknown sleeve or with NaN, held
    weights or a drawdown with NaN, a ramp or a sleeve cap outside 0..1, a NAV that is not positive, a cap that is NaN or negative.
    The result does not depend on the order of any labels.
    """
    if not (math.isfinite(nav_usd) and nav_usd > 0):
        raise BadInput(f"nav_usd must be positive, not {nav_usd}")
    caps.require_caps(limits)
    record = track_record(sleeve_returns, limits.min_track_record_sessions)
    previous = None if previous_capital is None else _looked_up(previous_capital, record.names, "previous_capital", absent=0.0)
    case, notes = _case(
        sleeve_targets,
        asset_returns,
        record.names,
        limits=limits,
        nav_usd=nav_usd,
        sectors=sectors,
        funds=funds,
        adv_usd=adv_usd,
        ramp=_fractions(ramp, record.names, "ramp factors"),
        sleeve_caps=np.minimum(_fractions(sleeve_caps, record.names, "sleeve caps"), limits.max_sleeve_frac),
        previous_capital=previous,
        previous_weights=previous_weights,
        drawdown_frac=drawdown_frac,
    )
    delta = min(regime_delta, limits.max_regime_delta) if math.isfinite(regime_delta) else regime_delta
    reasons: list[str] = []
    wants: BoolArray = np.asarray(case.targets.any(axis=1))
    for plan in ladder(record, limits, case.sleeve_caps, wants, delta, previous=previous, covariance=covariance, reasons=reasons):
        draft = case.portfolio(plan)
        if not (broken := case.broken(draft)):
            return _allocation(plan, case, draft, delta, reasons, record.excluded | notes)
        reasons.append(f"{plan.rung}: {'; '.join(broken[:3])}")
    reasons.append("all cash")
    return _allocation(plan.in_cash(), case, case.in_cash(), delta, reasons, record.excluded | notes)


def _case(
    sleeve_targets: Mapping[str, pd.Series],
    asset_returns: pd.DataFrame,
    names: Names,
    *,
    limits: RiskLimits,
    nav_usd: float,
    sectors: pd.Series,
    funds: frozenset[str],
    adv_usd: pd.Series,
    ramp: FloatArray,
    sleeve_caps: FloatArray,
    previous_capital: FloatArray | None,
    previous_weights: pd.DataFrame | None,
    drawdown_frac: float,
) -> tuple[Case, dict[str, str]]:
    """The inputs as arrays, and what was filled in the history of the assets."""
    unknown = sleeve_targets.keys() - set(names)
    if unknown:
        raise BadInput(f"targets of sleeves without returns: {sorted(unknown)}")
    before = pd.DataFrame() if previous_weights is None else previous_weights
    symbols = _sorted({s for target in sleeve_targets.values() for s in target.index.tolist()} | set(before.columns.tolist()))
    held, held_by_all = _held_matrix(before, names, symbols)
    caps.drawdown_scale(drawdown_frac, limits)
    assets = caps.Assets(
        symbols=symbols,
        is_fund=np.array([symbol in funds for symbol in symbols], dtype=bool),
        sectors=_sectors(sectors, symbols, funds),
        adv_usd=_looked_up(adv_usd, symbols, "adv_usd", absent=math.nan),
        nav_usd=nav_usd,
    )
    targets = _target_matrix(sleeve_targets, names, symbols)
    chosen: BoolArray = np.asarray(targets.any(axis=0) | held.any(axis=0))
    history, notes = complete_history(asset_returns, symbols, chosen)
    case = Case(
        names=names,
        limits=limits,
        assets=assets,
        history=history,
        targets=targets,
        ramp=ramp,
        sleeve_caps=sleeve_caps,
        held=held,
        held_by_all=None if previous_weights is None else held_by_all,
        previous_capital=previous_capital,
        drawdown_frac=drawdown_frac,
    )
    return case, notes


def _sorted(symbols: set[Any]) -> Names:
    try:
        return tuple(sorted(symbols))
    except TypeError as error:
        raise BadInput(f"the symbols of targets and previous_weights are of several kinds: {error}") from error


def _target_matrix(sleeve_targets: Mapping[str, pd.Series], names: Names, symbols: Names) -> FloatArray:
    """The targets (n_sleeves, n_symbols) as fractions of each sleeve."""
    position = {symbol: i for i, symbol in enumerate(symbols)}
    matrix = np.zeros((len(names), len(symbols)))
    for row, name in enumerate(names):
        labels = sleeve_targets[name].index.tolist() if name in sleeve_targets else []
        if not labels:
            continue
        values = numbers(sleeve_targets[name], f"targets of {name}")
        if len(set(labels)) != len(labels) or not np.isfinite(values).all():
            raise BadInput(f"targets of {name} hold NaN, infinite values or a symbol twice")
        matrix[row, [position[symbol] for symbol in labels]] = values
    return matrix


def _held_matrix(previous: pd.DataFrame, names: Names, symbols: Names) -> tuple[FloatArray, FloatArray]:
    """What each sleeve holds (n_sleeves, n_symbols), and what all holders together hold (n_symbols,)."""
    held, together = np.zeros((len(names), len(symbols))), np.zeros(len(symbols))
    if previous.shape[1] == 0:
        return held, together
    values = numbers(previous, "previous_weights")
    if not (previous.index.is_unique and previous.columns.is_unique and np.isfinite(values).all()):
        raise BadInput("previous_weights hold NaN, infinite values, or a holder or symbol twice")
    columns = positions(_index(symbols), tuple(previous.columns.tolist()), "previous_weights")
    rows = positions(previous.index, names, "previous_weights")
    held[np.ix_(rows >= 0, columns)] = values[rows[rows >= 0]]
    # Summed in the order of the labels, so that the last digit does not depend on the caller's.
    together[columns] = values[np.argsort(previous.index.to_numpy().astype(str), kind="stable")].sum(axis=0)
    return held, together


def _sectors(sectors: pd.Series, symbols: Names, funds: frozenset[str]) -> Names:
    values = sectors.to_numpy(dtype=object)
    found = [values[i] if i >= 0 else None for i in positions(sectors.index, symbols, "sectors")]
    return tuple(
        sector if isinstance(sector, str) and sector else "" if symbol in funds else caps.UNKNOWN_SECTOR
        for symbol, sector in zip(symbols, found, strict=True)
    )


def _fractions(given: pd.Series | None, names: Names, what: str) -> FloatArray:
    """A fraction by sleeve (n_sleeves,), 1 where absent."""
    if given is None:
        return np.ones(len(names))
    found = _looked_up(given, names, what, absent=1.0)
    if not ((found >= 0) & (found <= 1)).all():
        raise BadInput(f"{what} must lie in 0..1")
    return found


def _looked_up(values: pd.Series, names: Names, name: str, *, absent: float) -> FloatArray:
    """Values (n_names,) in the order of `names`, `absent` where there is none."""
    places = positions(values.index, names, name)
    if len(values) == 0:
        return np.full(len(names), absent)
    found: FloatArray = np.where(places >= 0, numbers(values, name)[places], absent)
    return found


def _allocation(
    plan: CapitalPlan, case: Case, draft: Draft, regime_delta: float, reasons: list[str], excluded: Mapping[str, str]
) -> Allocation:
    sleeves, assets = _index(case.names, "sleeve"), _index(case.assets.symbols, "symbol")
    by_sleeve = ("prior", "views", "confidence", "posterior", "optimizer_weights", "budgets")
    return Allocation(
        capital=pd.Series(draft.capital, index=sleeves),
        sleeve_weights=pd.DataFrame(draft.rows, index=sleeves, columns=assets),
        weights=pd.Series(draft.weights, index=assets),
        covariance=pd.DataFrame(plan.covariance, index=sleeves, columns=sleeves),
        **{name: pd.Series(getattr(plan, name), index=sleeves) for name in by_sleeve},
        planned=pd.Series(plan.share, index=sleeves),
        ramp=pd.Series(case.ramp, index=sleeves),
        var95=draft.figures.var95,
        cvar95=draft.figures.cvar95,
        volatility=draft.figures.volatility,
        gross=float(np.abs(draft.weights).sum()),
        turnover=draft.moved,
        regime_delta=regime_delta,
        drawdown_frac=case.drawdown_frac,
        rung=plan.rung,
        rung_reason="; ".join(reasons),
        bound=draft.bound,
        steps=draft.steps,
        excluded=excluded,
        repairs=plan.repairs,
    )


def _index(names: Names, name: str | None = None) -> pd.Index:
    """Labels as they are, tuples too."""
    return pd.Index(names, name=name, tupleize_cols=False)
