"""One strategy evaluated for one session: contained, checked, without what the broker would not trade, at the risk that it may carry."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from daemon.calendar import Calendar
from daemon.cycle_input import SleeveInput
from daemon.readings import asset_returns, last_prices
from daemon.store.rosters import Listing
from daemon.store.view import NO_HOLDINGS, NO_LOTS, View
from daemon.tax_lots import lots_frame
from execution.planning import SleeveState
from strategies.base import EVIDENCE_COLUMNS, Strategy, Targets
from strategies.errors import BadTargets

VOLATILITY_SESSIONS = 126
"""Sessions of daily returns behind the volatility that a risk target is held to."""
LEAST_SESSIONS = 21
GROSS_TOLERANCE = 1e-9

NOT_TRADABLE = "the broker does not trade it"
NOT_BORROWABLE = "short, and the broker does not lend it"
NO_SHORT_SELLING = "short, and the account cannot sell short"

Attempt = Callable[[str, Callable[[], Targets]], Targets | str]
"""Run a strategy contained: its targets, or the reason why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What became of one due strategy: evaluated with targets, held (stale data) or failed, with the reason."""

    sleeve: str
    due_session: date
    outcome: str
    reason: str = ""
    targets: Targets | None = None


def due_session(sleeve: SleeveInput, strategy: Strategy, calendar: Calendar, session: date) -> date | None:
    """The session for which the strategy is to be evaluated now; None when it is not due, or paused."""
    due = calendar.latest_due(strategy.rebalance, session)
    done = sleeve.paused or due is None or (sleeve.last_due is not None and due <= sleeve.last_due)
    return None if done else due


def evaluate(
    sleeve: SleeveInput, strategy: Strategy, due: date, view: View, attempt: Attempt, holding: SleeveState | None, *, short_selling: bool
) -> Evaluation:
    """Run a strategy on the view. Never raises: what goes wrong is the reason of a failed evaluation.

    holding: what its sleeve has, None for a shadow book alone. short_selling: whether the account may sell short.
    """
    own = _own_view(sleeve, strategy, view, holding)
    found = attempt(sleeve.name, lambda: checked(strategy.run(own, **sleeve.params), strategy))
    if isinstance(found, str):
        return Evaluation(sleeve=sleeve.name, due_session=due, outcome="failed", reason=found)
    possible = tradable(found, view.listing(), short_selling=short_selling)
    scaled, reason = at_risk_target(possible, view, sleeve.target_volatility_frac)
    return Evaluation(sleeve=sleeve.name, due_session=due, outcome="evaluated", reason=reason, targets=scaled)


def _own_view(sleeve: SleeveInput, strategy: Strategy, view: View, holding: SleeveState | None) -> View:
    previous = (
        pd.Series(sleeve.targets, dtype="float64") if sleeve.targets else pd.Series(dtype="float64", index=pd.Index([], dtype=object))
    )
    if not strategy.reads_lots or holding is None:
        return view.for_sleeve(previous, NO_HOLDINGS, NO_LOTS)
    symbols = sorted(s for s, qty in holding.positions.items() if qty)
    prices = last_prices(view, symbols)
    values = [(float(holding.positions[s]), float(holding.positions[s] * prices.get(s, Decimal(0)))) for s in symbols]
    frame = pd.DataFrame(values, index=pd.Index(symbols, dtype=object), columns=["qty", "market_value_usd"], dtype="float64")
    return view.for_sleeve(previous, frame, lots_frame(sleeve.lots))


def checked(targets: Targets, strategy: Strategy) -> Targets:
    """The targets, if they keep the contract of `strategies.base.Targets`. Raises BadTargets with what is wrong."""
    if not isinstance(targets, Targets):
        raise BadTargets(f"gave {type(targets).__name__} in place of Targets")
    weights = targets.weights
    values = np.asarray(weights.to_numpy(), dtype=np.float64)
    if not weights.index.is_unique or not all(isinstance(symbol, str) and symbol for symbol in weights.index):
        raise BadTargets("weights are not labelled by symbol, each once")
    if not np.isfinite(values).all():
        raise BadTargets(f"the weight of {weights.index[~np.isfinite(values)][0]} is not finite")
    if np.abs(values).sum() > 1.0 + GROSS_TOLERANCE:
        raise BadTargets(f"weights sum to {np.abs(values).sum():.6g} of the sleeve, more than 1")
    if not strategy.shorts and (values < 0).any():
        raise BadTargets(f"wants to be short of {weights.index[values < 0][0]} and does not declare shorts")
    if tuple(targets.evidence.columns) != EVIDENCE_COLUMNS:
        raise BadTargets(f"evidence has the columns {list(targets.evidence.columns)}, not {list(EVIDENCE_COLUMNS)}")
    return targets


def tradable(targets: Targets, listing: Listing, *, short_selling: bool) -> Targets:
    """The targets without what the broker would refuse, each with its reason in `skipped`; the rest keeps its weight."""

    def why_not(symbol: str, weight: float) -> str:
        if symbol in listing.untradable:
            return NOT_TRADABLE
        if weight >= 0.0:
            return ""
        return NO_SHORT_SELLING if not short_selling else NOT_BORROWABLE if symbol in listing.unborrowable else ""

    reasons = {symbol: why for symbol, weight in _plain(targets.weights).items() if (why := why_not(symbol, weight))}
    if not reasons:
        return targets
    kept = [symbol for symbol in targets.weights.index if symbol not in reasons]
    return Targets(
        weights=targets.weights.loc[kept],
        evidence=targets.evidence[~targets.evidence["symbol"].isin(list(reasons))].reset_index(drop=True),
        scores=targets.scores.drop(labels=list(reasons), errors="ignore"),
        skipped={**targets.skipped, **reasons},
    )


def at_risk_target(targets: Targets, view: View, target_frac: float) -> tuple[Targets, str]:
    """Weights scaled down to an annual volatility, from the last VOLATILITY_SESSIONS sessions of what they hold; and what was done.

    Nothing is scaled without a target (0), up to it, or with fewer than LEAST_SESSIONS sessions known.
    """
    if not target_frac or targets.weights.empty:
        return targets, ""
    weights = targets.weights.sort_index()
    returns = asset_returns(view, list(weights.index), VOLATILITY_SESSIONS).reindex(columns=weights.index).to_numpy(dtype=np.float64)
    known = np.isfinite(returns).any(axis=1)
    if known.sum() < LEAST_SESSIONS:
        return targets, f"risk target of {target_frac:.1%} not applied: fewer than {LEAST_SESSIONS} sessions known"
    daily = (np.nan_to_num(returns[known]) * weights.to_numpy()).sum(axis=1)
    volatility = float(daily.std(ddof=1)) * math.sqrt(252.0)
    if volatility <= target_frac:
        return targets, ""
    told = f"scaled from {volatility:.1%} to its risk target of {target_frac:.1%} a year"
    return replace(targets, weights=targets.weights * (target_frac / volatility)), told


def _plain(weights: pd.Series) -> Mapping[str, float]:
    return {str(symbol): float(weight) for symbol, weight in weights.items()}
