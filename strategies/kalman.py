"""The hedge ratio between two prices as a random walk, followed by a Kalman filter."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.kernels import kernel
from strategies.errors import StrategyError

STATES = ("alpha", "beta", "innovation", "innovation_variance")


class BadSeries(StrategyError):
    """Series or variances that a filter cannot work with: the message names which, and where."""


def hedge_ratio(y: pd.Series | npt.ArrayLike, x: pd.Series | npt.ArrayLike, *, delta: float, observation_variance: float) -> pd.DataFrame:
    """Kalman filter of y_t = alpha_t + beta_t x_t + e_t, where alpha and beta are random walks.

    y, x: (n_observations,), oldest first; the caller takes logarithms. delta: in [0, 1); alpha and beta each move by a variance of
    delta / (1 - delta) per observation. observation_variance: of e, > 0, in squared units of y. The prior N(0, I) meets the first
    observation without a predict step.

    Columns of the result, on the index of y: alpha and beta after observation t; innovation, y_t less what the observations before t
    predicted, and its variance: innovation / sqrt(innovation_variance) is the z-score that may be traded on, for it has not seen y_t.
    Raises BadSeries for NaN or infinite values, lengths or labels that differ, and variances out of bounds.

    References: Kalman (1960), A new approach to linear filtering and prediction problems; Harvey (1989), Forecasting, structural time
    series models and the Kalman filter; Chan (2013), Algorithmic trading, ch. 3, for delta.
    """
    if not 0.0 <= delta < 1.0:
        raise BadSeries(f"delta is {delta}, not in [0, 1)")
    if not 0.0 < observation_variance < np.inf:
        raise BadSeries(f"observation_variance is {observation_variance}, not positive and finite")
    if isinstance(y, pd.Series) and isinstance(x, pd.Series) and not y.index.equals(x.index):
        raise BadSeries("y and x have different labels: align them first")
    first, second = _finite("y", y), _finite("x", x)
    if len(first) != len(second):
        raise BadSeries(f"y has {len(first)} values and x {len(second)}")
    states = np.empty((len(first), len(STATES)))
    kernel("pairs").hedge(first, second, delta / (1.0 - delta), float(observation_variance), states)
    return pd.DataFrame(states, index=y.index if isinstance(y, pd.Series) else None, columns=list(STATES))


def _finite(name: str, series: pd.Series | npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The series as an array of its own; BadSeries when it is not one row of finite numbers."""
    values = np.array(series, dtype=np.float64)
    if values.ndim != 1:
        raise BadSeries(f"{name} has {values.ndim} dimensions, not one")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        label = series.index[wrong[0]] if isinstance(series, pd.Series) else wrong[0]
        raise BadSeries(f"{name} is {values[wrong[0]]} at {label}, one of {len(wrong)} values that are not finite")
    return values
