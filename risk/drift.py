"""Whether today's numbers still look like the ones a model was made on."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.base import TestResult
from risk.errors import BadInput
from risk.inputs import FloatArray, vector

Sample = pd.Series | npt.ArrayLike


def psi(reference: Sample, current: Sample, *, bins: int = 10, floor: float = 1e-4) -> float:
    """Population stability index: the sum of (q - p) ln(q / p) over the shares p of the reference and q of the current sample.

    reference: (n_reference,), current: (n_current,), in one unit, whatever it is. Bins are the quantiles of the reference, [edge, next
    edge), open at both ends; equal edges collapse, and a constant reference has the bins below, at and above its value. Shares are
    floored at `floor`, not renormalised. By custom below 0.1 is stable and above 0.25 is not. NaN for an empty sample; NaN values,
    fewer than two bins and a floor outside (0, 1) raise BadInput.

    References: Siddiqi (2006), Credit Risk Scorecards.
    """
    if bins < 2 or not 0.0 < floor < 1.0:
        raise BadInput(f"bins must be at least 2 and floor in (0, 1), not {bins} and {floor}")
    old, new = vector(reference, "reference"), vector(current, "current")
    if len(old) == 0 or len(new) == 0:
        return math.nan
    edges = np.unique(np.quantile(old, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    if old.min() == old.max():
        edges = np.array([old[0], np.nextafter(old[0], math.inf)])
    p, q = (np.maximum(_shares(sample, edges), floor) for sample in (old, new))
    return float(((q - p) * np.log(q / p)).sum())


def ks(reference: Sample, current: Sample) -> TestResult:
    """Two-sample Kolmogorov-Smirnov test: the largest gap between the distributions, and its p-value (exact for small samples).

    The statistic is sup |F - G|. reference: (n_reference,), current: (n_current,). NaN for an empty sample; NaN values raise BadInput.

    References: Hodges (1958), The significance probability of the Smirnov two-sample test.
    """
    old, new = vector(reference, "reference"), vector(current, "current")
    if len(old) == 0 or len(new) == 0:
        return TestResult(statistic=math.nan, p_value=math.nan)
    from scipy import stats  # slow to import

    with warnings.catch_warnings():
        # The exact p-value may overflow, whereupon scipy says so and gives the asymptotic one.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ks_2samp(old, new)
    return TestResult(statistic=float(result.statistic), p_value=float(result.pvalue))


def _shares(sample: FloatArray, edges: FloatArray) -> FloatArray:
    counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1)
    shares: FloatArray = counts / len(sample)
    return shares
