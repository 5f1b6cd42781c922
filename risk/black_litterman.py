"""Blending a prior with views: the equilibrium, the uncertainty of views and the posterior.

P (n_views, n_assets) picks the portfolios of which Q (n_views,) states the returns; Omega (n_views, n_views) is their
uncertainty, tau the uncertainty of the prior relative to Sigma. All returns and covariances are in one period (annual in allocd).

References: Black & Litterman (1992); He & Litterman (1999), The intuition behind Black-Litterman model portfolios.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput, Infeasible
from risk.inputs import FloatArray, aligned, covariance_view, numbers, psd_array, require_finite, vector

Picks = npt.ArrayLike | pd.DataFrame
_RANK_TOLERANCE = 1e-12
_CONTRADICTION = 1e-8
_PLAIN_RISK = 1e-4
"""Share of a view's own risk that the others leave, from which there is nothing to be careful about."""


def implied_returns(cov: pd.DataFrame, market_weights: pd.Series, risk_aversion: float) -> pd.Series:
    """Excess returns (n_assets,) under which `market_weights` are optimal: risk_aversion Sigma w.

    For a utility w'mu - gamma w'Sigma w without the 1/2, pass risk_aversion = 2 gamma. Raises BadInput for labels that differ,
    NaN and results beyond the largest float, NotPSD for the covariance; both name the assets.

    References: Black & Litterman (1992), Global portfolio optimization, Financial Analysts Journal 48.
    """
    values = covariance_view(cov)
    if not math.isfinite(risk_aversion):
        raise BadInput(f"risk_aversion must be finite, not {risk_aversion}")
    with np.errstate(over="ignore", invalid="ignore"):
        implied = risk_aversion * (values @ aligned(market_weights, cov.index, "market_weights"))
    require_finite(implied, cov.index, "implied_returns")
    return pd.Series(implied, index=cov.index)


def omega_proportional(cov: pd.DataFrame, P: Picks, tau: float) -> FloatArray:
    """Omega (n_views, n_views) = diag(tau P Sigma P'): a view is as uncertain as the prior of what it speaks of.

    P as in `posterior`. Raises BadInput for P and tau, NotPSD for the covariance.

    References: He & Litterman (1999).
    """
    return np.diag(_view_variance(cov, P, tau))


def omega_from_confidence(cov: pd.DataFrame, P: Picks, confidence: npt.ArrayLike, tau: float) -> FloatArray:
    """Omega (n_views, n_views) = diag((1 - c) / c * tau P Sigma P') for confidences c in [0, 1], one for all or one per view.

    c = 0 gives inf (the view is dropped), c = 1 gives 0 (the view is certain). P as in `posterior`. Raises BadInput for P, tau
    and confidences that are NaN or outside [0, 1], NotPSD for the covariance.

    References: Idzorek (2005), A step-by-step guide to the Black-Litterman model; closed form of Walters (2014).
    """
    variance = _view_variance(cov, P, tau)
    given = vector(np.atleast_1d(np.asarray(confidence)), "confidence")
    if np.ndim(confidence) and len(given) != len(variance):
        raise BadInput(f"{len(given)} confidences for {len(variance)} views")
    return np.diag(confidence_variance(variance, np.broadcast_to(given, variance.shape)))


def confidence_variance(view_variance: FloatArray, confidence: FloatArray) -> FloatArray:
    """(1 - c) / c times the prior variance of each view (n_views,); inf at c = 0, 0 at c = 1. Raises BadInput outside [0, 1]."""
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise BadInput(f"confidence must lie in 0..1, not {confidence.tolist()}")
    known = confidence > 0
    with np.errstate(over="ignore", invalid="ignore"):
        odds = np.divide(1.0 - confidence, confidence, out=np.zeros_like(view_variance), where=known)
        variance: FloatArray = np.where(known, odds * view_variance, math.inf)
    # Infinite odds on what has no variance: a confidence all but 0 says nothing.
    variance[np.isnan(variance)] = math.inf
    return variance


def posterior(
    cov: pd.DataFrame, pi: pd.Series, P: Picks, Q: npt.ArrayLike, omega: npt.ArrayLike, tau: float
) -> tuple[pd.Series, pd.DataFrame]:
    """Posterior mean (n_assets,) and covariance Sigma + M (n_assets, n_assets) of the returns.

    ((tau Sigma)^-1 + P' Omega^-1 P)^-1 is M, and M ((tau Sigma)^-1 pi + P' Omega^-1 Q) the mean, computed as in `blend`.
    P is an ndarray (n_views, n_assets) in the order of `cov`, or a DataFrame (or, for one view, a Series) by symbol; a symbol it
    lacks is not part of any view. Q (n_views,) and omega (n_views, n_views) are in the order of its rows; a Series Q that names the
    same views as a DataFrame P goes by name. A view with an infinite
    omega is dropped, one with 0 holds exactly; without views the result is pi and (1 + tau) Sigma. Raises BadInput for shapes,
    NaN and results beyond the largest float, NotPSD for the covariance and omega, Infeasible for certain views that contradict
    each other or a prior without risk.

    References: He & Litterman (1999); Black & Litterman (1992).
    """
    values = covariance_view(cov)
    picks, names = _picks(P, cov.index)
    views, uncertainty = _views(_ordered(Q, P), omega, names)
    mean, spread = blend(values, aligned(pi, cov.index, "pi"), picks, views, uncertainty, _require_tau(tau), names)
    require_finite(mean, cov.index, "the posterior mean")
    require_finite(np.diagonal(spread), cov.index, "the posterior covariance")
    return pd.Series(mean, index=cov.index), pd.DataFrame(spread, index=cov.index, columns=cov.index, copy=False)


def blend(
    cov: FloatArray,
    pi: FloatArray,
    picks: FloatArray,
    views: FloatArray,
    omega: FloatArray,
    tau: float,
    names: Sequence[Any] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """The posterior of checked arrays, in the Woodbury form, which inverts neither Sigma nor Omega; infinite omegas drop views.

    mean = pi + K (Q - P pi), Sigma + M = (1 + tau) Sigma - K P tau Sigma, with K = tau Sigma P' (P tau Sigma P' + Omega)^-1.
    names: of the views, for the errors. Raises Infeasible as `posterior`, BadInput for views whose variance overflows.
    """
    kept = np.flatnonzero(np.isfinite(np.diagonal(omega)))
    if len(kept) == 0:
        with np.errstate(over="ignore"):
            return pi.copy(), (1.0 + tau) * cov
    if len(kept) < len(picks):
        names = [(range(len(picks)) if names is None else names)[i] for i in kept.tolist()]
        return blend(cov, pi, picks[kept], views[kept], omega[np.ix_(kept, kept)], tau, names)
    with np.errstate(over="ignore", invalid="ignore"):
        exposure = tau * _exposure(cov, picks)
        basis = _whitening(exposure @ picks.T + omega, _terms(cov, picks, tau), views, (picks, pi), names)
        projected = exposure.T @ basis
        mean: FloatArray = pi + projected @ (basis.T @ (views - picks @ pi))
        projected /= math.sqrt(1.0 + tau)
        # One array throughout: at 500 assets, fresh memory costs as much as the arithmetic.
        spread: FloatArray = projected @ projected.T
        np.subtract(cov, spread, out=spread)
        spread *= 1.0 + tau
    return mean, spread


def _exposure(cov: FloatArray, picks: FloatArray) -> FloatArray:
    """P Sigma (n_views, n_assets), from the rows of the assets that views speak of."""
    spoken = np.flatnonzero(picks.any(axis=0))
    return picks[:, spoken] @ cov[spoken] if 2 * len(spoken) < len(cov) else picks @ cov


def _terms(cov: FloatArray, picks: FloatArray, tau: float) -> FloatArray:
    """What the prior variance of each view (n_views,) would be if nothing offset anything: the measure of its rounding."""
    terms: FloatArray = tau * (np.abs(picks) @ np.sqrt(np.maximum(np.diagonal(cov), 0.0))) ** 2
    return terms


def _whitening(
    variance: FloatArray, terms: FloatArray, views: FloatArray, prior: tuple[FloatArray, FloatArray], names: Sequence[Any] | None
) -> FloatArray:
    """B (n_views, rank) with B B' the inverse of the views' covariance (n_views, n_views), on the space where it has one."""
    require_finite(variance, range(len(views)) if names is None else names, "the variance of views")
    size = np.diagonal(variance)
    if (size > _PLAIN_RISK * terms).all():
        scale = np.sqrt(size)
        try:
            root = np.linalg.cholesky(variance / scale / scale[:, None])
        except np.linalg.LinAlgError:
            pass
        else:
            if np.diagonal(root).min() > _PLAIN_RISK:
                return np.linalg.inv(root).T / scale[:, None]
    return _partial_whitening(variance, terms, views, prior, names)


def _partial_whitening(
    variance: FloatArray, terms: FloatArray, views: FloatArray, prior: tuple[FloatArray, FloatArray], names: Sequence[Any] | None
) -> FloatArray:
    """As `_whitening` where views repeat each other or are about portfolios all but without risk: there they must agree."""
    picks, pi = prior
    innovation, magnitude = views - picks @ pi, np.abs(views) + np.abs(picks) @ np.abs(pi)
    size = np.diagonal(variance)
    risky = size > _RANK_TOLERANCE * terms
    _require_agreement(np.where(risky, 0.0, innovation), magnitude, names)
    scale = np.sqrt(np.where(risky, size, 1.0))
    eigenvalues, vectors = np.linalg.eigh(np.where(np.outer(risky, risky), variance / scale / scale[:, None], 0.0))
    rounding = pi.size * np.finfo(np.float64).eps * float(np.divide(terms, size, out=np.zeros_like(size), where=risky).max())
    known = eigenvalues > max(_RANK_TOLERANCE, rounding) * float(eigenvalues[-1])
    null = vectors[:, ~known] * risky[:, None]
    surprise = null @ (null.T @ np.where(risky, innovation / scale, 0.0))
    _require_agreement(surprise, np.maximum(1.0, np.where(risky, magnitude / scale, 0.0).max(initial=0.0)), names)
    basis: FloatArray = (vectors[:, known] / np.sqrt(eigenvalues[known])) * np.where(risky, 1.0 / scale, 0.0)[:, None]
    return basis


def _require_agreement(gap: FloatArray, measure: FloatArray | np.float64, names: Sequence[Any] | None) -> None:
    odd = np.flatnonzero(np.abs(gap) > _CONTRADICTION * measure)
    if len(odd):
        which = [str(i if names is None else names[i]) for i in odd[:5]]
        raise Infeasible(f"certain views contradict each other or the prior, at {which}; give them an uncertainty")


def _ordered(Q: npt.ArrayLike, P: Picks) -> npt.ArrayLike:
    """Q by view in the order of the rows of P, where both name the same views; as it is otherwise."""
    if isinstance(Q, pd.Series) and isinstance(P, pd.DataFrame) and Q.index.is_unique and P.index.is_unique:
        return Q.reindex(P.index) if len(Q) == len(P) and P.index.isin(Q.index).all() else Q
    return Q


def _views(Q: npt.ArrayLike, omega: npt.ArrayLike, names: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    """Q (n_views,) and Omega (n_views, n_views), checked; what an infinite variance has beside it is 0."""
    views = vector(np.asarray(Q).reshape(-1), "Q")
    try:
        given = np.array(omega, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"omega holds something that is no number: {error}") from error
    given = given.reshape(0, 0) if given.size == 0 else given
    if len(views) != len(names) or given.shape != (len(names), len(names)):
        raise BadInput(f"{len(names)} rows in P, {len(views)} in Q, omega of shape {given.shape}")
    dropped = np.isposinf(np.diagonal(given))
    given[dropped] = given[:, dropped] = 0.0
    variance = np.diagonal(given)
    plain = np.count_nonzero(given) == np.count_nonzero(variance) and bool(((variance >= 0) & (variance < math.inf)).all())
    checked = given if plain else psd_array(given, names, "omega")
    checked[dropped, dropped] = math.inf
    return views, checked


def _picks(P: Picks, labels: pd.Index) -> tuple[FloatArray, Sequence[Any]]:
    """P as a finite ndarray (n_views, n_assets) in the order of `labels`, and the names of the views."""
    if isinstance(P, pd.Series):
        P = P.to_frame().T
    if isinstance(P, pd.DataFrame):
        unknown = P.columns.difference(labels)
        if len(unknown) or not P.columns.is_unique:
            raise BadInput(f"P names symbols that the covariance lacks, or twice: {sorted(map(str, unknown))[:5]}")
        array, names = numbers(P.reindex(columns=labels, fill_value=0.0), "P"), list(P.index)
    else:
        array = _rows(P, len(labels))
        names = list(range(len(array)))
    require_finite(array, labels, "P")
    return array, names


def _rows(P: npt.ArrayLike, n_assets: int) -> FloatArray:
    try:
        array = np.asarray(P, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"P is no matrix of numbers: {error}") from error
    array = array.reshape(-1, n_assets) if array.size == 0 else np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != n_assets:
        raise BadInput(f"P of shape {array.shape} must have one column for each of {n_assets} assets")
    return array


def _view_variance(cov: pd.DataFrame, P: Picks, tau: float) -> FloatArray:
    """The prior variance of each view (n_views,), never negative: tau P Sigma P'."""
    values = covariance_view(cov)
    picks, names = _picks(P, cov.index)
    with np.errstate(over="ignore", invalid="ignore"):
        variance: FloatArray = _require_tau(tau) * np.maximum((_exposure(values, picks) * picks).sum(axis=1), 0.0)
    require_finite(variance, names, "the variance of views")
    return variance


def _require_tau(tau: float) -> float:
    if not (math.isfinite(tau) and tau > 0):
        raise BadInput(f"tau must be positive, not {tau}")
    return tau
