"""How much one period can lose: value at risk and expected shortfall, and the tests whether a VaR kept its promise.

`alpha` is the confidence level (0.95). Both figures are positive losses in the period of the returns; a series of gains has a
negative VaR, which is never floored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.base import TestResult
from risk.errors import BadInput
from risk.inputs import FloatArray, require_confidence, require_non_negative, vector

_NORMAL = NormalDist()


def historical_var(returns: pd.Series | npt.ArrayLike, alpha: float) -> float:
    """Loss that a share alpha of the observed returns stayed below: minus their (1 - alpha) quantile, linearly interpolated.

    returns: (n_observations,) simple, per period, of any length (NaN for none). NaN in it raises BadInput.

    References: Jorion (2006), Value at Risk; Hyndman & Fan (1996), Sample quantiles in statistical packages, The American
    Statistician 50, definition 7.
    """
    return tail_figures(vector(returns, "returns"), alpha)[0]


def historical_cvar(returns: pd.Series | npt.ArrayLike, alpha: float) -> float:
    """Mean loss of the observed returns at or below -VaR, each counted whole.

    Differs slightly from the Rockafellar-Uryasev figure that `optimize.min_cvar` minimises, which takes exactly 1 - alpha of the
    mass. returns: (n_observations,) simple, per period. NaN for none; NaN in them raises BadInput.

    References: Acerbi & Tasche (2002), On the coherence of expected shortfall, Journal of Banking & Finance 26.
    """
    return tail_figures(vector(returns, "returns"), alpha)[1]


def tail_figures(returns: FloatArray, alpha: float) -> tuple[float, float]:
    """Historical (VaR, CVaR) of finite returns (n_observations,)."""
    tail = require_confidence(alpha)
    if len(returns) == 0:
        return math.nan, math.nan
    ordered = np.sort(returns)
    position = tail * (len(ordered) - 1)
    # Binary rounding must not move a quantile off the observation it stands on, which belongs to the tail.
    position = round(position) if abs(position - round(position)) < 1e-9 else position
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    quantile = float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))
    count = int(np.searchsorted(ordered, quantile, side="right"))
    return -quantile, -float(ordered[:count].mean())


def parametric_var(mean: float, sd: float, alpha: float, *, horizon: float = 1) -> float:
    """Normal VaR over `horizon` periods: z(alpha) sd sqrt(h) - mean h, for a mean and a standard deviation per period.

    Raises BadInput for a mean that is not finite, or a negative sd or horizon.

    References: Jorion (2006), Value at Risk.
    """
    drift, spread = _scaled(mean, sd, horizon)
    return _NORMAL.inv_cdf(1.0 - require_confidence(alpha)) * spread - drift


def parametric_cvar(mean: float, sd: float, alpha: float, *, horizon: float = 1) -> float:
    """Normal expected shortfall over `horizon` periods: phi(z(alpha)) / (1 - alpha) sd sqrt(h) - mean h; errors as parametric_var.

    References: McNeil, Frey & Embrechts (2005), Quantitative Risk Management, chapter 2.
    """
    drift, spread = _scaled(mean, sd, horizon)
    tail = require_confidence(alpha)
    return _NORMAL.pdf(_NORMAL.inv_cdf(1.0 - tail)) / tail * spread - drift


def _scaled(mean: float, sd: float, horizon: float) -> tuple[float, float]:
    """Mean and standard deviation over `horizon` independent periods."""
    if not math.isfinite(mean):
        raise BadInput(f"mean must be finite, not {mean}")
    periods = require_non_negative(horizon, "horizon")
    return periods * mean, math.sqrt(periods) * require_non_negative(sd, "sd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Christoffersen:
    """Likelihood-ratio tests of VaR exceptions: do they cluster, and is their number right as well."""

    independence: TestResult
    conditional_coverage: TestResult


def kupiec_pof(exceptions: int, observations: int, alpha: float) -> TestResult:
    """Whether `exceptions` days beyond the VaR among `observations` fit its promise of 1 - alpha; chi-squared with 1 degree.

    LR = 2 ln(f^x (1 - f)^(n - x) / (p^x (1 - p)^(n - x))) for x exceptions in n, f = x / n, p = 1 - alpha. Finite for none and for
    all; NaN without observations. Impossible counts raise BadInput.

    References: Kupiec (1995), Techniques for verifying the accuracy of risk measurement models, Journal of Derivatives 3.
    """
    tail = require_confidence(alpha)
    if not 0 <= exceptions <= observations:
        raise BadInput(f"{exceptions} exceptions in {observations} observations")
    if observations == 0:
        return TestResult(statistic=math.nan, p_value=math.nan)
    return _one_degree(_coverage_ratio(exceptions, observations, tail))


def christoffersen(hits: Sequence[bool] | pd.Series | npt.ArrayLike, alpha: float) -> Christoffersen:
    """Whether VaR exceptions come independently, and the joint test with their number.

    hits: (n_observations,) in order, true or 1 where the loss exceeded the VaR. Only the T - 1 transitions count, and the
    coverage term of the joint test uses their T - 1 later days, so that the two ratios add up exactly: independence is
    2 (ln L(f01, f11) - ln L(f)) with 1 degree, f01 and f11 the shares of hits after a miss and after a hit, f that of all; the
    joint one adds Kupiec's ratio and has 2. NaN below two. NaN and what is neither true nor false raise BadInput.

    References: Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39.
    """
    tail = require_confidence(alpha)
    values = vector(hits, "hits")
    if not np.isin(values, (0.0, 1.0)).all():
        raise BadInput("hits must be true or false")
    if len(values) < 2:
        undefined = TestResult(statistic=math.nan, p_value=math.nan)
        return Christoffersen(independence=undefined, conditional_coverage=undefined)
    codes = (2 * values[:-1] + values[1:]).astype(np.int64)
    n00, n01, n10, n11 = (int(n) for n in np.bincount(codes, minlength=4))
    pooled = _log_likelihood(n01 + n11, n00 + n10)
    ratio = max(0.0, 2.0 * (_log_likelihood(n01, n00) + _log_likelihood(n11, n10) - pooled))
    joint = ratio + _coverage_ratio(n01 + n11, len(codes), tail)
    return Christoffersen(
        independence=_one_degree(ratio),
        conditional_coverage=TestResult(statistic=joint, p_value=math.exp(-joint / 2)),
    )


def _coverage_ratio(exceptions: int, observations: int, tail: float) -> float:
    expected = exceptions * math.log(tail) + (observations - exceptions) * math.log1p(-tail)
    return max(0.0, 2.0 * (_log_likelihood(exceptions, observations - exceptions) - expected))


def _log_likelihood(hits: int, misses: int) -> float:
    """Maximised Bernoulli log-likelihood, with 0 log 0 = 0."""
    total = hits + misses
    return sum(n * math.log(n / total) for n in (hits, misses) if n)


def _one_degree(ratio: float) -> TestResult:
    return TestResult(statistic=ratio, p_value=math.erfc(math.sqrt(ratio / 2)))
