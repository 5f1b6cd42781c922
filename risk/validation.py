"""Whether a back-test means anything: Sharpe ratios deflated for trials, purged cross-validation and information coefficients."""

import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput
from risk.inputs import FloatArray, IntArray, is_constant

_NORMAL = NormalDist()


def probabilistic_sharpe_ratio(sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, given n returns of that skew and raw kurtosis (normal = 3).

    Phi((S - B) sqrt(n - 1) / sqrt(1 - skew S + (kurtosis - 1) / 4 S^2)). sharpe S and benchmark B are per period, never annual. NaN
    below two returns, for impossible moments and where an input is NaN.

    References: Bailey & Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15.
    """
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n < 2 or not variance > 0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(variance))


def deflated_sharpe_ratio(sharpe: float, n: int, skew: float, kurtosis: float, *, n_trials: int, sharpe_variance: float) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of `n_trials` worthless strategies would show.

    The probabilistic ratio with the benchmark sqrt(V) ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), g being Euler's constant. sharpe and
    sharpe_variance V (of the trials' Sharpe ratios) are per period; n_trials N counts every trial made, not those kept, and one
    trial has the benchmark 0, whatever the variance. NaN as there. Raises BadInput for fewer than one trial or, of several, a negative or
    infinite variance.

    References: Bailey & Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40.
    """
    if not n_trials >= 1 or (n_trials > 1 and not 0 <= sharpe_variance < math.inf):
        raise BadInput(f"{n_trials} trials with a Sharpe variance of {sharpe_variance}")
    benchmark = 0.0
    if n_trials > 1:
        # Upper quantiles by symmetry: 1 - 1/N loses its digits, and at last itself, for many trials.
        highest, spread = -_NORMAL.inv_cdf(1.0 / n_trials), -_NORMAL.inv_cdf(1.0 / (n_trials * math.e))
        benchmark = math.sqrt(sharpe_variance) * ((1.0 - np.euler_gamma) * highest + np.euler_gamma * spread)
    return probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, benchmark)


def cpcv_splits(n: int, *, n_folds: int, n_test_folds: int, purge: int = 0, embargo: int = 0) -> list[tuple[IntArray, IntArray]]:
    """Combinatorial purged cross-validation: (train, test) positions for every choice of test folds, in lexical order.

    The n observations form n_folds runs, the first n % n_folds one longer. Training loses `purge` observations before each block
    of test folds and purge + embargo after it. Positions are int64 arrays, ascending. Raises BadInput for folds that do not fit.

    References: Lopez de Prado (2018), Advances in Financial Machine Learning, chapters 7 and 12.
    """
    if not 1 <= n_test_folds < n_folds <= n or purge < 0 or embargo < 0:
        raise BadInput(f"{n_test_folds} test folds of {n_folds} over {n} observations, purge {purge}, embargo {embargo}")
    folds = np.array_split(np.arange(n), n_folds)
    splits = []
    for chosen in combinations(range(n_folds), n_test_folds):
        barred = np.zeros(n, dtype=bool)
        for fold in chosen:
            barred[max(folds[fold][0] - purge, 0) : folds[fold][-1] + 1 + purge + embargo] = True
        splits.append((np.flatnonzero(~barred), np.concatenate([folds[fold] for fold in chosen])))
    return splits


def information_coefficient(signal: pd.Series | npt.ArrayLike, label: pd.Series | npt.ArrayLike) -> float:
    """Pearson correlation of a signal with what it should foretell, both (n_observations,): cov(s, l) / (sd[s] sd[l]).

    Pairs with a NaN are dropped; two Series are paired by label. NaN below three pairs or for a constant side. Infinite values,
    different lengths, and labels that differ and repeat raise BadInput.

    References: Grinold & Kahn (2000), Active Portfolio Management, chapter 6.
    """
    return _correlation(*_pairs(signal, label))


def rank_ic(signal: pd.Series | npt.ArrayLike, label: pd.Series | npt.ArrayLike) -> float:
    """Spearman correlation of a signal with what it should foretell, ties sharing their average rank; else as the IC.

    Pairs with a NaN are dropped before ranking.

    References: Spearman (1904), The proof and measurement of association between two things, American Journal of Psychology 15.
    """
    first, second = _pairs(signal, label)
    return _correlation(_ranks(first), _ranks(second))


def _pairs(signal: pd.Series | npt.ArrayLike, label: pd.Series | npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    if isinstance(signal, pd.Series) and isinstance(label, pd.Series) and not signal.index.equals(label.index):
        if not (signal.index.is_unique and label.index.is_unique):
            raise BadInput("signal and label are indexed differently and name something twice")
        label = label.reindex(signal.index)
    first, second = _numbers(signal, "signal"), _numbers(label, "label")
    if first.shape != second.shape or first.ndim != 1:
        raise BadInput(f"signal {first.shape} and label {second.shape} are not two series of the same length")
    if np.isinf(first).any() or np.isinf(second).any():
        raise BadInput("signal or label is infinite")
    known = ~(np.isnan(first) | np.isnan(second))
    return first[known], second[known]


def _numbers(values: pd.Series | npt.ArrayLike, name: str) -> FloatArray:
    """A float64 array in which NaN may stand for what is not known."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds something that is no number: {error}") from error


def _ranks(values: FloatArray) -> FloatArray:
    return np.asarray(pd.Series(values).rank(), dtype=np.float64)


def _correlation(first: FloatArray, second: FloatArray) -> float:
    if len(first) < 3:
        return math.nan
    first, second = _scaled(first), _scaled(second)
    if is_constant(first, float(first.std())) or is_constant(second, float(second.std())):
        return math.nan
    left, right = first - first.mean(), second - second.mean()
    return float(np.clip(left @ right / math.sqrt(float(left @ left) * float(right @ right)), -1.0, 1.0))


def _scaled(values: FloatArray) -> FloatArray:
    """Values whose largest is 1 in size, so that squares neither overflow nor vanish."""
    largest = float(np.abs(values).max())
    return values / largest if largest > 0 else values
