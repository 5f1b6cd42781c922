"""How much of the account each sleeve gets, before limits: the optimisation and the ladder below it.

full              posterior of the track records -> min-max -> risk parity to the blended budgets
prior_only        the same from the prior alone, without views
inverse_volatility from each sleeve's own history, where they share too little
equal             where no sleeve has a usable track record
previous          the last capital, where the returns themselves are corrupt (all cash if there is none)

A rung counts only when its result passes the checks after the fact: finite, fully invested, inside its bounds, and risk shares
within 1e-6 of their budgets.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from risk.base import RiskLimits, Rung
from risk.black_litterman import blend, confidence_variance
from risk.box_qp import best_in_box
from risk.covariance import shrunk_covariance
from risk.errors import BadInput, NotSolved, RiskError
from risk.given_covariance import GivenCovariance, given_covariance
from risk.history import PERIODS_PER_YEAR, TrackRecord, deviations, track_record_views
from risk.inputs import BoolArray, FloatArray, IntArray, require_non_negative
from risk.risk_parity import budget_weights

SUM_TOLERANCE = 1e-9
SHARE_TOLERANCE = 1e-6
FAILURES = (RiskError, np.linalg.LinAlgError, ArithmeticError, ValueError)
"""What a rung may fail with on sick numbers; each leads to the rung below, with its words kept."""


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
    repairs: tuple[str, ...] = ()

    def in_cash(self) -> "CapitalPlan":
        """The same without any capital: the bottom of the ladder."""
        return replace(self, share=np.zeros_like(self.share), rung="previous")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What a rung works on. sleeve_caps, counted: (n_sleeves,). given: a covariance in place of the one of the track records."""

    record: TrackRecord
    limits: RiskLimits
    sleeve_caps: FloatArray
    counted: BoolArray
    regime_delta: float
    given: GivenCovariance | None


def ladder(
    record: TrackRecord,
    limits: RiskLimits,
    sleeve_caps: FloatArray,
    wants: BoolArray,
    regime_delta: float,
    *,
    previous: FloatArray | None,
    covariance: pd.DataFrame | None,
    reasons: list[str],
) -> Iterator[CapitalPlan]:
    """The plans that hold, from the highest rung down; `reasons` collects what broke the rungs above the one just given.

    sleeve_caps: largest capital by sleeve (n_sleeves,), fractions of NAV. wants: which sleeves have targets (n_sleeves,); one without a
    usable record that wants nothing either gets nothing, unless no sleeve wants anything. previous: capital of the last allocation
    (n_sleeves,), for the bottom rung, which always comes last. covariance: annual, of the sleeves, in place of the one that their
    returns give. Never raises for sick numbers.
    """
    given = None if covariance is None else given_covariance(covariance, [record.names[i] for i in record.used.tolist()])
    counted = wants.copy()
    counted[record.used] = True
    counted |= not counted.any()
    case = _Case(record=record, limits=limits, sleeve_caps=sleeve_caps, counted=counted, regime_delta=regime_delta, given=given)
    for rung, compute in _RUNGS:
        try:
            with np.errstate(all="ignore"):
                parts = compute(case)
        except FAILURES as error:
            reasons.append(f"{rung}: {type(error).__name__}: {error}")
        else:
            yield _plan(record, counted, parts, rung, given.repairs if given is not None and "covariance" in parts else ())
    held = np.zeros(len(record.names)) if previous is None else np.nan_to_num(previous, nan=0.0, posinf=0.0, neginf=0.0)
    held = np.clip(held, 0.0, 1.0)
    yield _plan(record, counted, {"share": held / max(1.0, float(held.sum()))}, "previous", ())


def _full(case: _Case) -> dict[str, FloatArray]:
    cov, pi = _prior(case)
    volatility = np.sqrt(np.diagonal(cov))
    views, confidence = track_record_views(case.record.used_returns(), volatility)
    _require_finite(views, "views")
    tau = case.limits.tau
    if not (math.isfinite(tau) and tau > 0):
        raise BadInput(f"tau must be positive, not {tau}")
    omega = np.diag(confidence_variance(tau * volatility**2, confidence))
    _require_finite(omega, "uncertainties of the views")
    posterior, _ = blend(cov, pi, np.eye(len(pi)), views, omega, tau)
    _require_finite(posterior, "posterior returns")
    return _optimised(cov, posterior, case) | {"prior": pi, "views": views, "confidence": confidence, "posterior": posterior}


def _prior_only(case: _Case) -> dict[str, FloatArray]:
    cov, pi = _prior(case)
    return _optimised(cov, pi, case) | {"prior": pi, "posterior": pi}


def _inverse_volatility(case: _Case) -> dict[str, FloatArray]:
    _require_record(case.record)
    inverse = 1.0 / deviations(case.record.used_returns())
    weights = inverse / inverse.sum()
    _require_invested(weights, np.ones(len(weights)), "inverse volatilities")
    return {"weights": weights}


def _equal(case: _Case) -> dict[str, FloatArray]:
    if case.record.corrupt:
        raise BadInput(case.record.corrupt)
    if not case.record.names:
        raise BadInput("there is no sleeve")
    return {"share": case.counted / case.counted.sum()}


_RUNGS: tuple[tuple[Rung, Callable[[_Case], dict[str, FloatArray]]], ...] = (
    ("full", _full),
    ("prior_only", _prior_only),
    ("inverse_volatility", _inverse_volatility),
    ("equal", _equal),
)


def _prior(case: _Case) -> tuple[FloatArray, FloatArray]:
    """Annual covariance of the used sleeves, and the returns under which equal-risk capital is optimal.

    The utility has no factor 1/2, so its first-order condition is mu = 2 gamma Sigma w.
    """
    _require_record(case.record)
    cov = _shrunk(case) if case.given is None else case.given.values()
    _require_finite(cov, "covariance of the sleeves")
    if not (np.diagonal(cov) > 0).all():
        raise BadInput("a sleeve has no variance in the common history")
    inverse = 1.0 / np.sqrt(np.diagonal(cov))
    prior = 2.0 * case.limits.risk_aversion * cov @ (inverse / inverse.sum())
    _require_finite(prior, "prior returns")
    return cov, prior


def _shrunk(case: _Case) -> FloatArray:
    shrunk, _ = shrunk_covariance(case.record.common_returns(case.limits.min_track_record_sessions))
    annual: FloatArray = shrunk * PERIODS_PER_YEAR
    return annual


def _optimised(cov: FloatArray, mu: FloatArray, case: _Case) -> dict[str, FloatArray]:
    """Min-max weights, the budgets they blend into and the risk parity to those; all over the used sleeves, sum 1."""
    size, limits = len(mu), case.limits
    delta = require_non_negative(case.regime_delta, "regime_delta")
    aversion = require_non_negative(limits.risk_aversion * (1.0 + delta), "risk aversion")
    # Sleeve caps that leave no fully invested portfolio give way here; capital is capped again afterwards, the rest is cash.
    upper = case.sleeve_caps[case.record.used]
    room = float(upper.sum())
    upper = upper if room >= 1.0 else upper / room if room > 0.0 else np.full(size, 1.0 / size)
    optimal = best_in_box(mu, cov, aversion, np.zeros(size), upper)
    _require_invested(optimal, upper, "min-max weights")
    optimal = np.maximum(optimal, 0.0)
    budgets = limits.kappa / size + (1.0 - limits.kappa) * optimal
    budgets /= budgets.sum()
    _require_invested(budgets, np.ones(size), "risk budgets")
    weights = budget_weights(cov, budgets)
    _require_invested(weights, np.ones(size), "risk parity weights")
    _require_shares(weights, cov, budgets)
    return {"weights": weights, "optimizer_weights": optimal, "budgets": budgets, "covariance": cov}


def _plan(record: TrackRecord, counted: BoolArray, parts: dict[str, FloatArray], rung: Rung, repairs: tuple[str, ...]) -> CapitalPlan:
    """Spread the results of the used sleeves over all: an excluded one that counts gets the equal share, the used ones divide the rest."""
    size, used = len(record.names), record.used
    share = parts.get("share")
    if share is None:
        share = counted / counted.sum()
        share[used] = parts["weights"] * len(used) / counted.sum()
    covariance = np.full((size, size), math.nan)
    if "covariance" in parts:
        covariance[np.ix_(used, used)] = parts["covariance"]
    wide = {name: _spread(parts.get(name), used, size, math.nan) for name in ("prior", "views", "confidence", "posterior")}
    for name in ("optimizer_weights", "budgets"):
        wide[name] = _spread(parts.get(name), used, size, 0.0)
    return CapitalPlan(share=share, covariance=covariance, rung=rung, repairs=repairs, **wide)


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


def _require_invested(weights: FloatArray, upper: FloatArray, name: str) -> None:
    """A solver's word is not enough: finite, between 0 and `upper`, and 1 in sum."""
    _require_finite(weights, name)
    outside = max(float((weights - upper).max()), -float(weights.min()))
    off = abs(float(weights.sum()) - 1.0)
    if outside > SUM_TOLERANCE or off > SUM_TOLERANCE:
        raise NotSolved(f"{name} leave their bounds by {outside:.3g} and sum to 1 but for {off:.3g}")


def _require_shares(weights: FloatArray, cov: FloatArray, budgets: FloatArray) -> None:
    """The risk shares w_i (Sigma w)_i / w'Sigma w must be the budgets, worked out in units of volatility so that no scale matters."""
    volatility = np.sqrt(np.diagonal(cov))
    exposure = weights * volatility
    exposure /= exposure.max()
    parts = exposure * ((cov / volatility[:, None] / volatility) @ exposure)
    error = float(np.abs(parts / parts.sum() - budgets).max())
    if not error <= SHARE_TOLERANCE:
        raise NotSolved(f"risk shares miss their budgets by {error:.3g}")
