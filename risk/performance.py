"""What a return series was worth: ratios, drawdown and its relation to a benchmark.

Every function takes simple returns per period; NaN or infinite values raise BadInput; what is undefined is NaN (a ratio of
fewer than two returns, a constant series). Standard deviations use ddof = 1.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput
from risk.inputs import CONSTANT_TOLERANCE, FloatArray, is_constant, vector, vector_pair

Returns = pd.Series | npt.ArrayLike


def sharpe_ratio(returns: Returns, *, periods_per_year: float = 252) -> float:
    """Annual mean over standard deviation, without a risk-free rate.

    References: Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21.
    """
    values = vector(returns, "returns")
    return _ratio(values, _deviation(values)) * math.sqrt(periods_per_year)


def sortino_ratio(returns: Returns, *, periods_per_year: float = 252, kind: Literal["loss_std", "downside"] = "loss_std") -> float:
    """Annual mean over downside risk.

    kind "loss_std": the standard deviation of the negative returns about their own mean (NaN below two of them).
    kind "downside": the root mean square of min(r, 0) over all returns, the textbook one (NaN without a loss).

    References: Sortino & van der Meer (1991), Downside risk, Journal of Portfolio Management 17.
    """
    values = vector(returns, "returns")
    if kind == "loss_std":
        risk = _deviation(values[values < 0])
    elif kind == "downside":
        risk = float(np.sqrt(np.mean(np.minimum(values, 0.0) ** 2))) if len(values) > 1 else math.nan
    else:
        raise BadInput(f"kind is 'loss_std' or 'downside', not {kind!r}")
    return _ratio(values, risk) * math.sqrt(periods_per_year)


def max_drawdown(returns: Returns) -> float:
    """Worst loss from a previous peak of compounded wealth, a signed return <= 0; wealth starts at 1 before the first return."""
    values = vector(returns, "returns")
    if len(values) == 0:
        return math.nan
    wealth = np.concatenate(([1.0], np.cumprod(1.0 + values)))
    return float((wealth / np.maximum.accumulate(wealth) - 1.0).min())


def rolling_sharpe(returns: pd.Series, window: int = 60, *, periods_per_year: float = 252) -> pd.Series:
    """Annual Sharpe ratio of the `window` returns up to each one, on the index of `returns`; NaN while incomplete or constant."""
    if window < 2:
        raise BadInput(f"window must be at least 2, not {window}")
    values = vector(returns, "returns")
    ratios = np.full(len(values), math.nan)
    if len(values) >= window:
        windows = np.lib.stride_tricks.sliding_window_view(values, window)
        deviations = windows.std(axis=1, ddof=1)
        moving = deviations > CONSTANT_TOLERANCE * np.abs(windows).max(axis=1)
        np.divide(windows.mean(axis=1), deviations, out=ratios[window - 1 :], where=moving)
    return pd.Series(ratios * math.sqrt(periods_per_year), index=returns.index)


def herfindahl(weights: Returns) -> float:
    """Concentration: the sum of squared weights, 1/n for n equal ones and 1 for a single one."""
    values = vector(weights, "weights")
    return float(values @ values)


def beta(returns: Returns, benchmark: Returns) -> float:
    """Slope of returns on the benchmark: covariance over variance; NaN for a constant benchmark."""
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    if math.isnan(_deviation(reference)):
        return math.nan
    centred = reference - reference.mean()
    return float(centred @ (values - values.mean()) / (centred @ centred))


def alpha(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual arithmetic return that beta does not explain: (mean r - beta mean b) times the periods."""
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    slope = beta(values, reference)
    return math.nan if math.isnan(slope) else float(values.mean() - slope * reference.mean()) * periods_per_year


def tracking_error(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual standard deviation of the active return; 0 for a constant active return, NaN below two returns."""
    active = _active(returns, benchmark)
    if len(active) < 2:
        return math.nan
    return 0.0 if math.isnan(_deviation(active)) else _deviation(active) * math.sqrt(periods_per_year)


def information_ratio(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual active return over tracking error; NaN where the active return is constant."""
    active = _active(returns, benchmark)
    return _ratio(active, _deviation(active)) * math.sqrt(periods_per_year)


def _active(returns: Returns, benchmark: Returns) -> FloatArray:
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    active: FloatArray = values - reference
    # Differences of equal series carry the rounding of the series, not of themselves.
    active[np.abs(active) <= CONSTANT_TOLERANCE * np.maximum(np.abs(values), np.abs(reference))] = 0.0
    return active


def _deviation(values: FloatArray) -> float:
    """Standard deviation (ddof 1); NaN below two values or when they are all equal."""
    if len(values) < 2:
        return math.nan
    sd = float(values.std(ddof=1))
    return math.nan if is_constant(values, sd) else sd


def _ratio(values: FloatArray, risk: float) -> float:
    return float(values.mean()) / risk if len(values) > 1 and risk > 0 else math.nan
