"""What a return series was worth: ratios, drawdown and its relation to a benchmark.

Every function takes simple returns per period; NaN or infinite values raise BadInput; what is undefined is NaN (a ratio of
fewer than two returns, a constant series). Standard deviations use ddof = 1. A series is constant when its standard deviation is
below 1e-9 of its largest value: steady growth of a price leaves that much rounding in its returns.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, vector, vector_pair

Returns = pd.Series | npt.ArrayLike
_ROUNDING = 1e-9


def sharpe_ratio(returns: Returns, *, periods_per_year: float = 252) -> float:
    """Annual mean over standard deviation, E[r] / sd[r] sqrt(periods), without a risk-free rate.

    returns: (n_observations,). NaN for a constant series or fewer than two returns.

    References: Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21.
    """
    values = vector(returns, "returns")
    return _ratio(values, _deviation(values)) * math.sqrt(periods_per_year)


def sortino_ratio(returns: Returns, *, periods_per_year: float = 252, kind: Literal["loss_std", "downside"] = "loss_std") -> float:
    """Annual mean over downside risk, E[r] / risk sqrt(periods).

    returns: (n_observations,).
    kind "loss_std": the standard deviation of the negative returns about their own mean (NaN below two of them).
    kind "downside": the root mean square of min(r, 0) over all returns, the textbook one (NaN without a loss).
    Raises BadInput for another kind.

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
    """Worst loss from a previous peak of compounded wealth, a signed return <= 0; wealth starts at 1 before the first return.

    returns: (n_observations,). NaN for none; 0 when wealth never fell.

    References: Magdon-Ismail & Atiya (2004), Maximum drawdown, Risk 17.
    """
    values = vector(returns, "returns")
    if len(values) == 0:
        return math.nan
    wealth = np.concatenate(([1.0], np.cumprod(1.0 + values)))
    return float((wealth / np.maximum.accumulate(wealth) - 1.0).min())


def rolling_sharpe(returns: Returns, window: int = 60, *, periods_per_year: float = 252) -> pd.Series:
    """Annual Sharpe ratio of the `window` returns up to each one, E[r] / sd[r] sqrt(periods) (n_observations,), as `sharpe_ratio`.

    returns: (n_observations,); the result has their index. NaN while the window is incomplete or constant. Raises BadInput for a
    window below two.

    References: Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21.
    """
    if window < 2:
        raise BadInput(f"window must be at least 2, not {window}")
    values = vector(returns, "returns")
    ratios = np.full(len(values), math.nan)
    if len(values) >= window:
        windows = np.lib.stride_tricks.sliding_window_view(values, window)
        deviations = windows.std(axis=1, ddof=1)
        moving = deviations > _ROUNDING * np.abs(windows).max(axis=1)
        np.divide(windows.mean(axis=1), deviations, out=ratios[window - 1 :], where=moving)
    return pd.Series(ratios * math.sqrt(periods_per_year), index=returns.index if isinstance(returns, pd.Series) else None)


def herfindahl(weights: Returns) -> float:
    """Concentration: the sum of squared weights (n_assets,), 1/n for n equal ones and 1 for a single one; they are not rescaled.

    References: Hirschman (1964), The paternity of an index, American Economic Review 54.
    """
    values = vector(weights, "weights")
    return float(values @ values)


def beta(returns: Returns, benchmark: Returns) -> float:
    """Slope of returns on the benchmark, cov(r, b) / var(b), both (n_observations,) and on the same days.

    NaN for a constant benchmark or fewer than two returns; series of different days or lengths raise BadInput.

    References: Sharpe (1964), Capital asset prices, Journal of Finance 19.
    """
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    if math.isnan(_deviation(reference)):
        return math.nan
    centred = reference - reference.mean()
    return float(centred @ (values - values.mean()) / (centred @ centred))


def alpha(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual arithmetic return that beta does not explain, (E[r] - beta E[b]) periods.

    returns, benchmark: (n_observations,), on the same days. NaN and errors as of `beta`.

    References: Jensen (1968), The performance of mutual funds, Journal of Finance 23.
    """
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    slope = beta(values, reference)
    return math.nan if math.isnan(slope) else float(values.mean() - slope * reference.mean()) * periods_per_year


def tracking_error(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual standard deviation of the active return, sd[r - b] sqrt(periods), both (n_observations,) and on the same days.

    0 for a constant active return, NaN below two returns; series of different days or lengths raise BadInput.

    References: Grinold & Kahn (2000), Active Portfolio Management.
    """
    _, deviation = _active(returns, benchmark)
    return deviation * math.sqrt(periods_per_year)


def information_ratio(returns: Returns, benchmark: Returns, *, periods_per_year: float = 252) -> float:
    """Annual active return over tracking error, E[r - b] / sd[r - b] sqrt(periods), both (n_observations,) and on the same days.

    NaN where the active return is constant or below two returns; series of different days or lengths raise BadInput.

    References: Grinold & Kahn (2000), Active Portfolio Management.
    """
    active, deviation = _active(returns, benchmark)
    return _ratio(active, deviation) * math.sqrt(periods_per_year)


def _active(returns: Returns, benchmark: Returns) -> tuple[FloatArray, float]:
    """Active returns and their standard deviation: 0 when they are constant, NaN below two."""
    values, reference = vector_pair(returns, benchmark, ("returns", "benchmark"))
    active: FloatArray = values - reference
    if len(active) < 2:
        return active, math.nan
    # A difference carries the rounding of what it was taken from, not of itself.
    largest = max(float(np.abs(values).max()), float(np.abs(reference).max()))
    deviation = float(active.std(ddof=1))
    return active, deviation if deviation > _ROUNDING * largest else 0.0


def _deviation(values: FloatArray) -> float:
    """Standard deviation (ddof 1); NaN below two values or when they are all equal."""
    if len(values) < 2:
        return math.nan
    sd = float(values.std(ddof=1))
    return sd if sd > _ROUNDING * float(np.abs(values).max()) else math.nan


def _ratio(values: FloatArray, risk: float) -> float:
    return float(values.mean()) / risk if len(values) > 1 and risk > 0 else math.nan
