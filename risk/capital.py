"""How much of the account each sleeve gets, before limits: the optimisation and the ladder below it.

full              posterior of the track records -> min-max -> risk parity to the blended budgets
prior_only        the same from the prior alone, without views
inverse_volatility from each sleeve's own history, where they share too little
equal             where no sleeve has a usable track record
previous          the last capital, where the returns themselves are corrupt (all cash if there is none)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from risk.base import RiskLimits, Rung
from risk.black_litterman import blend, confidence_variance
from risk.box_qp import best_in_box
from risk.covariance import shrunk_covariance
from risk.errors import BadInput, RiskError
from risk.history import PERIODS_PER_YEAR, TrackRecord, deviations, track_record_views
from risk.inputs import FloatArray, IntArray, require_non_negative
from risk.risk_parity import budget_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalPlan:
    """Fractions of NAV by sleeve (n_sleeves,), sum at most 1, and how they came about; annual figures, NaN where not used."""

    share: FloatArray
    prior: FloatArray
    views: FloatArray
    confidence: FloatArray
    posterior: FloatArray
    optimizer_weights: FloatArray
    budgets: FloatArray
    covariance: FloatArray
    rung: Rung
    reason: str


def plan_capital(record: TrackRecord, limits: RiskLimits, regime_delta: float, previous: FloatArray | None) -> CapitalPlan:
    """The highest rung of the ladder that holds, with what broke the rungs above it.

    previous: capital of the last allocation (n_sleeves,), for the bottom rung. Never raises for sick returns.
    """
    failures: list[str] = []
    with np.errstate(all="ignore"):
        for rung, compute in _RUNGS:
            try:
                parts = compute(record, limits, regime_delta)
            except (RiskError, np.linalg.LinAlgError) as error:
                failures.append(f"{rung}: {type(error).__name__}: {error}")
            else:
                return _plan(record, parts, rung, "; ".join(failures))
    held = np.zeros(len(record.names)) if previous is None else np.nan_to_num(previous, nan=0.0, posinf=0.0, neginf=0.0)
    held = np.maximum(held, 0.0)
    return _plan(record, {"share": held / max(1.0, float(held.sum()))}, "previous", "; ".join(failures))


def _full(record: TrackRecord, limits: RiskLimits, regime_delta: float) -> dict[str, FloatArray]:
    cov, pi = _prior(record, limits)
    volatility = np.sqrt(np.diagonal(cov))
    views, confidence = track_record_views(record.used_returns(), volatility)
    _require_finite(views, "views")
    omega = np.diag(confidence_variance(limits.tau * volatility**2, confidence))
    posterior, _ = blend(cov, pi, np.eye(len(pi)), views, omega, limits.tau)
    parts = _optimised(cov, posterior, limits, regime_delta)
    return parts | {"prior": pi, "views": views, "confidence": confidence, "posterior": posterior}


def _prior_only(record: TrackRecord, limits: RiskLimits, regime_delta: float) -> dict[str, FloatArray]:
    cov, pi = _prior(record, limits)
    return _optimised(cov, pi, limits, regime_delta) | {"prior": pi, "posterior": pi}


def _inverse_volatility(record: TrackRecord, limits: RiskLimits, regime_delta: float) -> dict[str, FloatArray]:
    _require_record(record)
    inverse = 1.0 / deviations(record.used_returns())
    weights = inverse / inverse.sum()
    _require_finite(weights, "inverse volatilities")
    return {"weights": weights}


def _equal(record: TrackRecord, limits: RiskLimits, regime_delta: float) -> dict[str, FloatArray]:
    if record.corrupt:
        raise BadInput(record.corrupt)
    if not record.names:
        raise BadInput("there is no sleeve")
    size = len(record.names)
    return {"share": np.full(size, 1.0 / size)}


_RUNGS: tuple[tuple[Rung, Callable[[TrackRecord, RiskLimits, float], dict[str, FloatArray]]], ...] = (
    ("full", _full),
    ("prior_only", _prior_only),
    ("inverse_volatility", _inverse_volatility),
    ("equal", _equal),
)


def _prior(record: TrackRecord, limits: RiskLimits) -> tuple[FloatArray, FloatArray]:
    """Annual covariance of the used sleeves, and the returns under which equal-risk capital is optimal.

    The utility has no factor 1/2, so its first-order condition is mu = 2 gamma Sigma w.
    """
    _require_record(record)
    shrunk, _ = shrunk_covariance(record.common_returns(limits.min_track_record_sessions))
    cov = shrunk * PERIODS_PER_YEAR
    _require_finite(cov, "covariance of the sleeves")
    if not (np.diagonal(cov) > 0).all():
        raise BadInput("a sleeve has no variance in the common history")
    inverse = 1.0 / np.sqrt(np.diagonal(cov))
    return cov, 2.0 * limits.risk_aversion * cov @ (inverse / inverse.sum())


def _optimised(cov: FloatArray, mu: FloatArray, limits: RiskLimits, regime_delta: float) -> dict[str, FloatArray]:
    """Min-max weights, the budgets they blend into and the risk parity to those; all over the used sleeves, sum 1."""
    size = len(mu)
    aversion = require_non_negative(limits.risk_aversion * (1.0 + require_non_negative(regime_delta, "regime_delta")), "risk aversion")
    # Sleeve caps that leave no fully invested portfolio give way here; capital is capped again afterwards, the rest is cash.
    upper = np.full(size, max(limits.max_sleeve_frac, 1.0 / size))
    optimal = best_in_box(mu, cov, aversion, np.zeros(size), upper)
    budgets = limits.kappa / size + (1.0 - limits.kappa) * optimal
    weights = budget_weights(cov, budgets)
    return {"weights": weights, "optimizer_weights": optimal, "budgets": budgets / budgets.sum(), "covariance": cov}


def _plan(record: TrackRecord, parts: dict[str, FloatArray], rung: Rung, reason: str) -> CapitalPlan:
    """Spread the results of the used sleeves over all: an excluded sleeve gets the equal share, the used ones divide the rest."""
    size, used = len(record.names), record.used
    share = parts.get("share")
    if share is None:
        share = np.full(size, 1.0 / size)
        share[used] = parts["weights"] * len(used) / size
    covariance = np.full((size, size), math.nan)
    if "covariance" in parts:
        covariance[np.ix_(used, used)] = parts["covariance"]
    wide = {name: _spread(parts.get(name), used, size, math.nan) for name in ("prior", "views", "confidence", "posterior")}
    for name in ("optimizer_weights", "budgets"):
        wide[name] = _spread(parts.get(name), used, size, 0.0)
    return CapitalPlan(share=share, covariance=covariance, rung=rung, reason=reason, **wide)


def _spread(values: FloatArray | None, used: IntArray, size: int, absent: float) -> FloatArray:
    if values is None:
        return np.full(size, math.nan)
    wide = np.full(size, absent)
    wide[used] = values
    return wide


def _require_record(record: TrackRecord) -> None:
    if record.corrupt:
        raise BadInput(record.corrupt)
    if len(record.used) == 0:
        raise BadInput("no sleeve has a usable track record")


def _require_finite(values: FloatArray, name: str) -> None:
    if not np.isfinite(values).all():
        raise BadInput(f"{name} overflow or are undefined")
