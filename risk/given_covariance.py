"""A covariance of the sleeves that was made elsewhere: taken as it is, mended where that is small, refused where it is not one.

The rule, on the scale of correlations: asymmetry and negative eigenvalues within 1e-9 are rounding. Within 5 % of the largest
eigenvalue they come from estimating pair by pair: the symmetric part without its negative eigenvalues stands in, the variances
stay, and the repair is recorded. Anything worse, and what is missing, not finite or without variance, is not a covariance of
these sleeves; the allocation then takes a rung that needs none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import PSD_TOLERANCE, FloatArray, numbers

MENDED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCovariance:
    """array: (n_sleeves, n_sleeves), annual, positive semidefinite, or None with the `trouble`. repairs: what was mended."""

    array: FloatArray | None
    trouble: str = ""
    repairs: tuple[str, ...] = ()

    def values(self) -> FloatArray:
        """The covariance. Raises BadInput where it cannot be used."""
        if self.array is None:
            raise BadInput(self.trouble)
        return self.array


def given_covariance(covariance: pd.DataFrame, names: Sequence[str]) -> GivenCovariance:
    """The part of a given covariance that is about `names`, in their order, checked and mended by the rule above."""
    if covariance.shape[0] != covariance.shape[1] or not (covariance.index.is_unique and covariance.columns.is_unique):
        return GivenCovariance(array=None, trouble=f"the given covariance {covariance.shape} is not square, or names a sleeve twice")
    rows, columns = covariance.index.get_indexer(pd.Index(names)), covariance.columns.get_indexer(pd.Index(names))
    if absent := [name for name, row, column in zip(names, rows, columns, strict=True) if min(row, column) < 0]:
        return GivenCovariance(array=None, trouble=f"the given covariance lacks {absent[:5]}")
    try:
        values = numbers(covariance, "the given covariance")[np.ix_(rows, columns)]
    except BadInput as error:
        return GivenCovariance(array=None, trouble=str(error))
    diagonal = np.diagonal(values)
    sick = ~np.isfinite(values).all(axis=0) | ~np.isfinite(values).all(axis=1) | ~(diagonal > 0)
    if sick.any():
        culprits = [names[i] for i in np.flatnonzero(sick)[:5]]
        return GivenCovariance(array=None, trouble=f"the given covariance is not finite or has no variance at {culprits}")
    with np.errstate(all="ignore"):
        return _mended(values)


def _mended(values: FloatArray) -> GivenCovariance:
    volatility = np.sqrt(np.diagonal(values))
    correlation = values / volatility[:, None] / volatility
    if not np.isfinite(correlation).all():
        return GivenCovariance(array=None, trouble="the given covariance overflows: its variances are of too different size")
    asymmetry = float(np.abs(correlation - correlation.T).max(initial=0.0))
    symmetric = (correlation + correlation.T) / 2
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    largest = float(eigenvalues[-1]) if len(eigenvalues) else 1.0
    lack = max(0.0, -float(eigenvalues[0]) / largest) if len(eigenvalues) else 0.0
    flaws = [f"an asymmetry of {asymmetry:.3g}"] if asymmetry > PSD_TOLERANCE else []
    flaws += [f"a negative eigenvalue of {lack:.3g} of the largest"] if lack > PSD_TOLERANCE else []
    if not flaws:
        return GivenCovariance(array=(values + values.T) / 2)
    told = " and ".join(flaws)
    if not max(asymmetry, lack) <= MENDED:
        return GivenCovariance(array=None, trouble=f"the given covariance has {told}: too far from a covariance to be mended")
    floor = len(values) * np.finfo(np.float64).eps * largest
    whole = (vectors * np.maximum(eigenvalues, floor)) @ vectors.T
    scale = np.sqrt(np.diagonal(whole))
    whole = (whole + whole.T) / 2 / scale[:, None] / scale
    array: FloatArray = whole * volatility[:, None] * volatility
    if not math.isfinite(float(array.sum())):
        return GivenCovariance(array=None, trouble="the given covariance overflows")
    return GivenCovariance(array=array, repairs=(f"given covariance: {told}; the nearest correlations stand in",))
