"""How turbulent the market is: the covariance uncertainty delta of the allocation.

The ratio of recent to long-run volatility stands in for a filtered hidden Markov model of the same question.
"""

import pandas as pd

from risk.errors import BadInput
from risk.inputs import is_constant, vector


def volatility_ratio_delta(returns: pd.Series, *, short: int = 20, long: int = 252, max_delta: float = 2.0) -> float:
    """By how much recent volatility exceeds the usual one, max(0, sd_short / sd_long - 1), at most `max_delta`.

    returns: (n_observations,) of the market, per period, newest last, NaN raises BadInput. Fewer than `long` returns are all
    used; with no more than `short` of them, or without variance, nothing is known and the result is 0.
    """
    if not 2 <= short < long:
        raise BadInput(f"windows must satisfy 2 <= short < long, not {short} and {long}")
    values = vector(returns, "returns")[-long:]
    usual = float(values.std(ddof=1)) if len(values) > short else 0.0
    if len(values) <= short or is_constant(values, usual):
        return 0.0
    return float(min(max(float(values[-short:].std(ddof=1)) / usual - 1.0, 0.0), max_delta))
