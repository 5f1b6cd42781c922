"""How turbulent the market is: a hidden Markov model of its regimes, the regime of its correlations, and a stand-in without a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from risk.errors import BadInput, NotSolved
from risk.inputs import FloatArray, is_constant, require_finite, vector
from risk.kernels import kernel

RIDGE = 1e-6
"""Added to variances (of whitened features, whose total variance is 1) while starts are compared."""
NARROWEST = 1e-4
"""Smallest eigenvalue that a state's covariance may have, in whitened features; narrower is a spike on a few equal rows."""
RANDOM_STARTS = 20
ROUNDS = ((None, 40, 1e-1), (6, 100, 1e-3), (2, 1000, 1e-7))
"""How many of the best go on (None: all), for how many steps at most, until a step gains less than this."""
FINAL_STEPS, FINAL_GAIN = 100, 1e-8
STAY = 0.95
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False, slots=True)
class RegimeModel:
    """A Gaussian hidden Markov model with k states of d features, full covariances.

    startprob: (k,), sums to 1. transmat: (k, k), rows sum to 1, from state to state. means: (k, d). covars: (k, d, d), positive
    definite, in squared units of the features. Lists will do. Raises BadInput for shapes or probabilities that do not fit.
    """

    startprob: FloatArray
    transmat: FloatArray
    means: FloatArray
    covars: FloatArray

    def __post_init__(self) -> None:
        for name in ("startprob", "transmat", "means", "covars"):
            values = np.array(getattr(self, name), dtype=np.float64, order="C")
            if not np.isfinite(values).all():
                raise BadInput(f"{name} of the regime model holds NaN or infinite values")
            object.__setattr__(self, name, values)
        k, d = self.means.shape if self.means.ndim == 2 else (0, 0)
        if not k or not d or self.startprob.shape != (k,) or self.transmat.shape != (k, k) or self.covars.shape != (k, d, d):
            raise BadInput(
                f"a regime model of k states and d features has startprob (k,), transmat (k, k), means (k, d), covars (k, d, d), not "
                f"{self.startprob.shape}, {self.transmat.shape}, {self.means.shape}, {self.covars.shape}"
            )
        for name in ("startprob", "transmat"):
            values = getattr(self, name)
            if (values < 0).any() or (np.abs(values.sum(axis=-1) - 1.0) > SUM_TOLERANCE).any():
                raise BadInput(f"{name} of the regime model must hold probabilities that sum to 1")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.startprob)

    def filtered(self, features: pd.DataFrame | pd.Series | npt.ArrayLike) -> pd.DataFrame:
        """Probability of each state at t given the rows up to t, (n_observations, n_states), rows sum to 1, the index of `features`.

        alpha_t(j) = N(x_t; mean_j, Sigma_j) * sum_i alpha_(t-1)(i) transmat(i, j), normalised at every t (Hamilton 1989), in
        logarithms, so that no outlier makes it NaN. Row t never depends on rows after t. Raises BadInput for NaN, infinite values or
        another number of features, and for covars that are not positive definite.
        """
        values, index = _features(features, self.means.shape[1])
        return pd.DataFrame(self._filter(values)[0], index=index, columns=range(self.n_states))

    def loglik(self, features: pd.DataFrame | pd.Series | npt.ArrayLike) -> float:
        """Natural logarithm of the likelihood of all rows (n_observations, d), given the model. Errors as of `filtered`."""
        return self._filter(_features(features, self.means.shape[1])[0])[1]

    def parameters(self) -> dict[str, Any]:
        """The model as plain lists; `RegimeModel(**parameters)` is the same model again."""
        return {name: getattr(self, name).tolist() for name in ("startprob", "transmat", "means", "covars")}

    def _filter(self, values: FloatArray) -> tuple[FloatArray, float]:
        compiled = kernel("regime")
        density, probability = np.empty((2, len(values), self.n_states))
        if not compiled.log_densities(values, self.means, self.covars, density):
            raise BadInput("covars of the regime model are not positive definite")
        level = compiled.filtered(self.startprob, self.transmat, density, probability)
        return probability, float(level)


def fit(features: pd.DataFrame | pd.Series | npt.ArrayLike, *, n_states: int = 2, seed: int = 0) -> RegimeModel:
    """The Gaussian hidden Markov model of maximum likelihood, states in ascending variance of the first feature.

    features: (n_observations, d), oldest first, in any units, e.g. returns and the logarithm of the VIX. Full covariances, no
    priors. Expectation-maximisation (Baum et al. 1970, Rabiner 1989) from several dozen starts: quantiles of the features and of
    their recent variability, k-means, and random ones from `seed`; the best are iterated to convergence and the last steps are
    hmmlearn's. Starts whose likelihood comes from a state that shrank to a few equal rows are left out. The seed moves the random
    starts only, so that it practically never changes the result.

    Raises BadInput for NaN or infinite values and constant columns (both named), linearly dependent columns, and fewer than
    10 rows per state and feature; NotSolved when every start collapses.
    """
    values, index = _features(features)
    names = [str(c) for c in features.columns] if isinstance(features, pd.DataFrame) else [str(i) for i in range(values.shape[1])]
    least = 10 * n_states * values.shape[1]
    if n_states < 1 or len(index) < least:
        raise BadInput(f"{len(index)} rows of features, {least} needed for {n_states} states (and at least one state)")
    white, centre, factor = _whitened(values, names)
    candidates = list(_starts(white, n_states, seed))
    for go_on, steps, gain in ROUNDS:
        candidates = sorted((_improved(white, c, steps, gain) for c in candidates[:go_on]), key=_rank)
    if candidates[0].level == -np.inf:
        raise NotSolved(f"no start of {n_states} states ends without a state that shrinks to a few equal rows: try fewer states")
    best = _finished(white, candidates[0])
    means = centre + best.means @ factor.T
    covars = factor @ best.covars @ factor.T
    order = np.argsort(covars[:, 0, 0], kind="stable")
    covars = (covars + covars.transpose(0, 2, 1)) / 2
    return RegimeModel(best.start[order], best.trans[np.ix_(order, order)], means[order], covars[order])


@dataclass(slots=True)
class _Candidate:
    """Parameters on their way, in whitened features, and the log-likelihood reached."""

    start: FloatArray
    trans: FloatArray
    means: FloatArray
    covars: FloatArray
    level: float = -np.inf


def _features(features: Any, d: int | None = None) -> tuple[FloatArray, pd.Index]:
    values = np.array(features, dtype=np.float64, order="C")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] != (values.shape[1] if d is None else d) or not values.shape[1]:
        raise BadInput(f"features must be of shape (n_observations, {'n_features' if d is None else d}), not {values.shape}")
    labels = features.columns if isinstance(features, pd.DataFrame) else [str(i) for i in range(values.shape[1])]
    require_finite(values, labels, "features")
    return values, features.index if isinstance(features, pd.DataFrame | pd.Series) else pd.RangeIndex(len(values))


def _whitened(values: FloatArray, names: list[str]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The features with mean 0 and covariance I, and the centre (d,) and factor (d, d) that lead back: centre + factor @ white."""
    centre, sd = values.mean(axis=0), values.std(axis=0)
    for j, name in enumerate(names):
        if is_constant(values[:, j], float(sd[j])):
            raise BadInput(f"feature {name} is constant: it says nothing about regimes")
    scaled = (values - centre) / sd
    eigenvalues, vectors = np.linalg.eigh(scaled.T @ scaled / len(values))
    if eigenvalues[0] < 1e-10:
        raise BadInput(f"features {', '.join(names)} are linearly dependent: leave one out")
    white = np.ascontiguousarray(scaled @ vectors / np.sqrt(eigenvalues))
    return white, centre, sd[:, None] * vectors * np.sqrt(eigenvalues)


def _starts(white: FloatArray, n_states: int, seed: int) -> Iterator[_Candidate]:
    n, d = white.shape
    rng = np.random.default_rng(seed)
    size = np.sqrt((white**2).sum(axis=1))
    local = pd.Series(size).rolling(20, min_periods=1).mean().to_numpy()
    for scores in (*white.T, *np.abs(white).T, size, local):
        yield _from_groups(white, np.searchsorted(np.quantile(scores, np.arange(1, n_states) / n_states), scores), n_states)
        yield _from_groups(white, np.searchsorted(np.quantile(scores, 1 - 0.5 ** np.arange(1, n_states)), scores), n_states)
    for number in range(RANDOM_STARTS):
        middles = white[rng.choice(n, n_states, replace=False)]
        for _ in range(10 if number % 2 else 0):
            groups = _nearest(white, middles)
            middles = np.array([white[groups == k].mean(axis=0) if (groups == k).any() else middles[k] for k in range(n_states)])
        spread = rng.uniform(0.05, 1.5, n_states)
        if number % 2:
            yield _from_groups(white, _nearest(white, middles), n_states)
        else:
            yield _Candidate(np.full(n_states, 1 / n_states), _sticky(n_states), middles, spread[:, None, None] * np.eye(d))


def _nearest(white: FloatArray, middles: FloatArray) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = ((white[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)
    return found


def _sticky(n_states: int) -> FloatArray:
    if n_states == 1:
        return np.ones((1, 1))
    matrix = np.full((n_states, n_states), (1 - STAY) / (n_states - 1))
    np.fill_diagonal(matrix, STAY)
    return matrix


def _from_groups(white: FloatArray, groups: npt.NDArray[np.int64], n_states: int) -> _Candidate:
    """Means and covariances of rows by group; a group of few rows borrows the spread of all."""
    d = white.shape[1]
    parts = [white[groups == k] for k in range(n_states)]
    means = np.array([p.mean(axis=0) if len(p) else np.zeros(d) for p in parts])
    covars = np.array([np.atleast_2d(np.cov(p.T, ddof=0)) + 0.01 * np.eye(d) if len(p) > 2 * d else np.eye(d) for p in parts])
    return _Candidate(np.full(n_states, 1 / n_states), _sticky(n_states), means, covars)


def _improved(white: FloatArray, given: _Candidate, steps: int, gain: float) -> _Candidate:
    """A candidate after expectation-maximisation; its level is -inf when a state has too few rows or is too narrow to be a regime."""
    parts = [np.array(p, order="C") for p in (given.start, given.trans, given.means, given.covars)]
    gamma = np.zeros((len(white), len(given.start)))
    level = kernel("regime").improve(white, *parts, gamma, RIDGE, gain, steps)
    narrow = level > -np.inf and float(np.linalg.eigvalsh(parts[3]).min()) < NARROWEST
    if narrow or gamma.sum(axis=0).min() < 2 * (white.shape[1] + 1):
        level = -np.inf
    start, trans, means, covars = parts
    return _Candidate(start, trans, means, covars, level)


def _rank(candidate: _Candidate) -> float:
    return -candidate.level


def _finished(white: FloatArray, candidate: _Candidate) -> _Candidate:
    """The last steps, by hmmlearn without priors; a candidate that it cannot improve any more stays as it is."""
    from hmmlearn.base import ConvergenceMonitor
    from hmmlearn.hmm import GaussianHMM

    class Quiet(ConvergenceMonitor):  # type: ignore[misc]  # hmmlearn carries no types
        """Stops like hmmlearn's own, and does not log a last step that rounding made smaller."""

        def report(self, log_prob: float) -> None:
            """Remember the log-likelihood of a step."""
            self.history.append(log_prob)
            self.iter += 1

    model = GaussianHMM(
        len(candidate.start), "full", covars_prior=0.0, covars_weight=0.0, init_params="", n_iter=FINAL_STEPS, tol=FINAL_GAIN
    )
    model.monitor_ = Quiet(FINAL_GAIN, FINAL_STEPS, verbose=False)
    model.startprob_, model.transmat_ = candidate.start, candidate.trans
    model.means_, model.covars_ = candidate.means, candidate.covars
    try:
        model.fit(white)
    except ValueError as error:
        raise NotSolved(f"hmmlearn refused the last steps of the regime model: {error}") from error
    return _Candidate(model.startprob_, model.transmat_, model.means_, np.array(model.covars_), model.monitor_.history[-1])


def correlation_regime(
    returns: pd.DataFrame, *, window: int = 60, reference: int = 252, quantile: float = 0.9, min_rise: float = 0.15
) -> pd.DataFrame:
    """Whether assets move together as in a crisis: DataFrame (n_observations, [average_correlation, concentration, crisis]).

    returns: (n_observations, n_assets), per period, oldest first. average_correlation: mean of all pairs over the last `window` rows;
    concentration: share of the largest eigenvalue of their correlation matrix (the absorption ratio of one factor, Kritzman et al.
    2011). An asset with a NaN or without variance in a window is left out of that window, because filling a gap would invent
    independence; with fewer than two assets left, and in the first `window` - 1 rows, both are NaN and the regime is calm.

    crisis begins when both figures exceed the `quantile` of their own earlier values, up to `reference` of them and at least
    `window`, and the average correlation also their median by `min_rise`, so that a calm market's own noise is no crisis. It ends when
    the average correlation is back at that median of the time before the crisis. Row t depends on rows up to t only. Infinite
    values, repeated columns and senseless parameters raise BadInput.
    """
    if not (3 <= window <= reference and 0.0 < quantile < 1.0 and min_rise >= 0.0):
        raise BadInput(
            f"needs 3 <= window <= reference, 0 < quantile < 1, min_rise >= 0, not {window}, {reference}, {quantile}, {min_rise}"
        )
    if not returns.columns.is_unique:
        raise BadInput("returns need unique columns")
    values = returns.to_numpy(dtype=np.float64)
    if np.isinf(values).any():
        raise BadInput(f"returns hold infinite values at {[str(c) for c in returns.columns[np.isinf(values).any(axis=0)][:5]]}")
    figures = np.full((len(values), 2), np.nan)
    for t in range(window - 1, len(values)):
        figures[t] = _togetherness(values[t - window + 1 : t + 1])
    crisis = _crises(figures, window, reference, quantile, min_rise)
    return pd.DataFrame(
        {"average_correlation": figures[:, 0], "concentration": figures[:, 1], "crisis": crisis}, index=returns.index, copy=False
    )


def _togetherness(values: FloatArray) -> tuple[float, float]:
    """Mean pairwise correlation and share of the largest eigenvalue over a window (n_observations, n_assets); NaN for under two assets."""
    values = values[:, np.isfinite(values).all(axis=0)]
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    alive = length > 1e-12 * np.sqrt(len(values)) * np.abs(values).max(axis=0, initial=0.0)
    unit, n = centred[:, alive] / length[alive], int(alive.sum())
    if n < 2:
        return np.nan, np.nan
    gram = unit @ unit.T if n > len(unit) else unit.T @ unit
    largest = float(np.linalg.eigvalsh(gram)[-1])
    return (float((unit.sum(axis=1) ** 2).sum()) - n) / (n * (n - 1)), largest / n


def _crises(figures: FloatArray, window: int, reference: int, quantile: float, min_rise: float) -> npt.NDArray[np.bool_]:
    """The crisis flag of each row, by the rule of `correlation_regime`."""
    known = np.isfinite(figures[:, 0])
    crisis, inside, calm = np.zeros(len(figures), dtype=bool), False, np.nan
    for t in np.flatnonzero(known):
        past = figures[:t][known[:t]][-reference:]
        if inside:
            inside = bool(figures[t, 0] > calm)
        elif len(past) >= window:
            calm = float(np.median(past[:, 0]))
            above = (figures[t] > np.quantile(past, quantile, axis=0)).all()
            inside = bool(above and figures[t, 0] >= calm + min_rise)
        crisis[t] = inside
    return crisis


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
