"""Blending a prior with views: the equilibrium, the uncertainty of views and the posterior.

P (n_views, n_assets) picks the portfolios of which Q (n_views,) states the returns; Omega (n_views, n_views) is their
uncertainty, tau the uncertainty of the prior relative to Sigma. All returns and covariances are in one period (annual in allocd).

References: Black & Litterman (1992); He & Litterman (1999), The intuition behind Black-Litterman model portfolios.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput, Infeasible
from risk.inputs import FloatArray, aligned, covariance_array

Picks = npt.ArrayLike | pd.DataFrame
_RANK_TOLERANCE = 1e-12
_CONTRADICTION = 1e-8


def implied_returns(cov: pd.DataFrame, market_weights: pd.Series, risk_aversion: float) -> pd.Series:
    """Excess returns (n_assets,) under which `market_weights` are optimal: risk_aversion Sigma w.

    For a utility w'mu - gamma w'Sigma w without the 1/2, pass risk_aversion = 2 gamma. Raises BadInput, NotPSD.
    """
    values = covariance_array(cov)
    return pd.Series(risk_aversion * values @ aligned(market_weights, cov.index, "market_weights"), index=cov.index)


def omega_proportional(cov: pd.DataFrame, P: Picks, tau: float) -> FloatArray:
    """Omega (n_views, n_views) = diag(tau P Sigma P'): a view is as uncertain as the prior of what it speaks of.

    References: He & Litterman (1999).
    """
    values = covariance_array(cov)
    return np.diag(_view_variance(values, _picks(P, cov.index), tau))


def omega_from_confidence(cov: pd.DataFrame, P: Picks, confidence: npt.ArrayLike, tau: float) -> FloatArray:
    """Omega (n_views, n_views) = diag((1 - c) / c * tau P Sigma P') for confidences c in [0, 1], one for all or one per view.

    c = 0 gives inf (the view is dropped), c = 1 gives 0 (the view is certain). Raises BadInput outside [0, 1].

    References: Idzorek (2005), A step-by-step guide to the Black-Litterman model; closed form of Walters (2014).
    """
    values = covariance_array(cov)
    variance = _view_variance(values, _picks(P, cov.index), tau)
    try:
        shares = np.broadcast_to(np.asarray(confidence, dtype=np.float64), variance.shape)
    except ValueError as error:
        raise BadInput(f"{np.shape(confidence)} confidences for {len(variance)} views") from error
    return np.diag(confidence_variance(variance, shares))


def confidence_variance(view_variance: FloatArray, confidence: FloatArray) -> FloatArray:
    """(1 - c) / c times the prior variance of each view (n_views,); inf at c = 0, 0 at c = 1. Raises BadInput outside [0, 1]."""
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise BadInput(f"confidence must lie in 0..1, not {confidence.tolist()}")
    known = confidence > 0
    odds = np.divide(1.0 - confidence, confidence, out=np.zeros_like(view_variance), where=known)
    variance: FloatArray = np.where(known, odds * view_variance, math.inf)
    return variance


def posterior(
    cov: pd.DataFrame, pi: pd.Series, P: Picks, Q: npt.ArrayLike, omega: npt.ArrayLike, tau: float
) -> tuple[pd.Series, pd.DataFrame]:
    """Posterior mean (n_assets,) and covariance Sigma + M (n_assets, n_assets) of the returns.

    P is an ndarray in the order of `cov`, or a DataFrame by symbol (a symbol it lacks is not part of any view). A view with an
    infinite omega is dropped, one with 0 holds exactly; without views the result is pi and (1 + tau) Sigma.
    Raises BadInput for shapes and NaN, NotPSD for the covariance, Infeasible for certain views that contradict each other.
    """
    values = covariance_array(cov)
    picks = _picks(P, cov.index)
    views = np.asarray(Q, dtype=np.float64).reshape(-1)
    uncertainty = np.asarray(omega, dtype=np.float64)
    if uncertainty.size == 0:
        uncertainty = np.zeros((0, 0))
    if len(views) != len(picks) or uncertainty.shape != (len(picks), len(picks)):
        raise BadInput(f"{len(picks)} rows in P, {len(views)} in Q, omega of shape {uncertainty.shape}")
    if not np.isfinite(views).all() or np.isnan(uncertainty).any() or (np.diagonal(uncertainty) < 0).any():
        raise BadInput("Q must be finite and omega neither NaN nor negative")
    kept = np.flatnonzero(np.isfinite(np.diagonal(uncertainty)))
    mean, spread = blend(values, aligned(pi, cov.index, "pi"), picks[kept], views[kept], uncertainty[np.ix_(kept, kept)], _require_tau(tau))
    return pd.Series(mean, index=cov.index), pd.DataFrame(spread, index=cov.index, columns=cov.index)


def blend(
    cov: FloatArray, pi: FloatArray, picks: FloatArray, views: FloatArray, omega: FloatArray, tau: float
) -> tuple[FloatArray, FloatArray]:
    """The posterior of checked finite arrays, in the Woodbury form, which inverts neither Sigma nor Omega.

    mean = pi + K (Q - P pi), Sigma + M = (1 + tau) Sigma - K P tau Sigma, with K = tau Sigma P' (P tau Sigma P' + Omega)^-1.
    """
    prior = tau * cov
    if len(views) == 0:
        return pi.copy(), cov + prior
    loading = prior @ picks.T
    innovation = views - picks @ pi
    scale = np.sqrt(np.maximum(np.diagonal(picks @ loading + omega), np.finfo(np.float64).tiny))
    eigenvalues, vectors = np.linalg.eigh((picks @ loading + omega) / np.outer(scale, scale))
    known = eigenvalues > _RANK_TOLERANCE * float(eigenvalues[-1])
    unexplained = vectors[:, ~known].T @ (innovation / scale)
    if (np.abs(unexplained) > _CONTRADICTION * max(1.0, float(np.abs(views / scale).max()))).any():
        raise Infeasible("certain views contradict each other or the prior; give them an uncertainty")
    basis = (vectors[:, known] / np.sqrt(eigenvalues[known])) / scale[:, None]
    projected = loading @ basis
    spread: FloatArray = cov + prior - projected @ projected.T
    mean: FloatArray = pi + projected @ (basis.T @ innovation)
    return mean, (spread + spread.T) / 2


def _picks(P: Picks, labels: pd.Index) -> FloatArray:
    """P as a finite ndarray (n_views, n_assets) in the order of `labels`."""
    if isinstance(P, pd.DataFrame):
        unknown = P.columns.difference(labels)
        if len(unknown) or not P.columns.is_unique:
            raise BadInput(f"P names symbols that the covariance lacks, or twice: {sorted(map(str, unknown))[:5]}")
        array = P.reindex(columns=labels, fill_value=0.0).to_numpy(dtype=np.float64)
    else:
        array = np.asarray(P, dtype=np.float64)
        array = array.reshape(-1, len(labels)) if array.size == 0 else np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != len(labels) or not np.isfinite(array).all():
        raise BadInput(f"P of shape {array.shape} must be finite with one column for each of {len(labels)} assets")
    return array


def _view_variance(cov: FloatArray, picks: FloatArray, tau: float) -> FloatArray:
    variance: FloatArray = _require_tau(tau) * np.einsum("ij,jk,ik->i", picks, cov, picks)
    return variance


def _require_tau(tau: float) -> float:
    if not (math.isfinite(tau) and tau > 0):
        raise BadInput(f"tau must be positive, not {tau}")
    return tau
