"""How the held assets move: their betas, and their returns where some are missing.

One rule stands wherever a held asset has no price: it moves by its beta times the benchmark.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from daemon.watch.scope import YEAR, Scope
from risk.inputs import FloatArray

FEWEST_RETURNS = 60
"""With fewer returns than these an asset has the beta of the benchmark itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """betas: (n_held,) to the benchmark over the last year, 1 where unknown. estimated: (n_held,) whether it was estimated.
    returns: (n_sessions, n_held) of the last year without gaps. benchmark: (n_sessions,).
    """

    betas: FloatArray
    estimated: FloatArray
    returns: FloatArray
    benchmark: FloatArray


def exposures(scope: Scope) -> Exposures:
    """Of what is held now, in the order of its weights. Raises BadInput without prices of the benchmark."""
    benchmark = scope.benchmark_returns
    known = np.isfinite(benchmark)
    returns = scope.returns.reindex(columns=scope.weights.index).to_numpy()[-YEAR:][known]
    benchmark = benchmark[known]
    betas, estimated = slopes(returns, benchmark)
    filled = np.where(np.isfinite(returns), returns, benchmark[:, None] * betas)
    return Exposures(betas=betas, estimated=estimated, returns=filled, benchmark=benchmark)


def slopes(returns: FloatArray, factor: FloatArray, otherwise: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Slope of each column of returns (n_sessions, n) on a finite factor (n_sessions,), over the sessions that it has, and whether
    there were enough of them; `otherwise` where there were not.
    """
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = np.where(known, factor[:, None] - (known * factor[:, None]).sum(axis=0) / count, 0.0)
        found = (centred * np.where(known, returns, 0.0)).sum(axis=0) / (centred**2).sum(axis=0)
    enough = (count >= FEWEST_RETURNS) & np.isfinite(found)
    return np.where(enough, found, otherwise), enough.astype(np.float64)


def covered_share(weights: pd.Series, covered: FloatArray) -> float | None:
    """Share of gross exposure that `covered` (0 or 1 by asset) stands for; None when nothing is held."""
    gross = np.abs(weights.to_numpy())
    return float(gross @ covered / gross.sum()) if gross.sum() > 0 else None
