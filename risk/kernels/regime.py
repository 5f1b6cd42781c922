"""Gaussian hidden Markov models: the filter, and expectation-maximisation of many starts."""

import math

import numpy as np

from risk.inputs import FloatArray
from risk.kernels.jit import compiled

LOG_2PI = math.log(2.0 * math.pi)


@compiled("float64(float64[:, ::1], float64[:, ::1])")
def cholesky(matrix: FloatArray, lower: FloatArray) -> float:
    """Fill `lower` (d, d) with the Cholesky factor of `matrix` (d, d); the log of its determinant, NaN when it is not positive definite."""
    d = matrix.shape[0]
    log_det = 0.0
    for i in range(d):
        for j in range(i + 1):
            rest = matrix[i, j]
            for m in range(j):
                rest -= lower[i, m] * lower[j, m]
            if i > j:
                lower[i, j] = rest / lower[j, j]
            elif rest > 0.0:
                lower[i, i] = math.sqrt(rest)
                log_det += math.log(rest)
            else:
                return math.nan
    return log_det


@compiled("boolean(float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1])")
def log_densities(x: FloatArray, means: FloatArray, covars: FloatArray, out: FloatArray) -> bool:
    """Log normal densities (n, k) of rows x (n, d) under means (k, d) and covars (k, d, d); False when one is not positive definite."""
    n, d = x.shape
    lower = np.zeros((d, d))
    solved = np.empty(d)
    for k in range(means.shape[0]):
        log_det = cholesky(covars[k], lower)
        if math.isnan(log_det):
            return False
        constant = -0.5 * (d * LOG_2PI + log_det)
        for t in range(n):
            square = 0.0
            for i in range(d):
                rest = x[t, i] - means[k, i]
                for m in range(i):
                    rest -= lower[i, m] * solved[m]
                solved[i] = rest / lower[i, i]
                square += solved[i] * solved[i]
            out[t, k] = constant - 0.5 * square
    return True


@compiled("float64(float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def filtered(start: FloatArray, trans: FloatArray, log_density: FloatArray, out: FloatArray) -> float:
    """Fill `out` (n, k) with p(state at t | rows up to t), and the log-likelihood of all rows; in logarithms throughout.

    start (k,), trans (k, k) are probabilities, log_density (n, k). A row that no reachable state can explain in float64 leaves the
    prediction as it is and makes the log-likelihood -inf.
    """
    n, k = log_density.shape
    log_trans = np.empty((k, k))
    before = np.empty(k)
    now = np.empty(k)
    for i in range(k):
        for j in range(k):
            log_trans[i, j] = math.log(trans[i, j]) if trans[i, j] > 0.0 else -math.inf
    total = 0.0
    for t in range(n):
        for j in range(k):
            if t == 0:
                now[j] = math.log(start[j]) if start[j] > 0.0 else -math.inf
                continue
            top = -math.inf
            for i in range(k):
                top = max(top, before[i] + log_trans[i, j])
            mass = 0.0
            if top > -math.inf:
                for i in range(k):
                    mass += math.exp(before[i] + log_trans[i, j] - top)
            now[j] = top + math.log(mass) if mass > 0.0 else -math.inf
        best = -math.inf
        for j in range(k):
            best = max(best, now[j] + log_density[t, j])
        if best > -math.inf:
            for j in range(k):
                now[j] += log_density[t, j]
        else:
            total = -math.inf
            for j in range(k):
                best = max(best, now[j])
        mass = 0.0
        for j in range(k):
            mass += math.exp(now[j] - best)
        level = best + math.log(mass)
        total += level
        for j in range(k):
            before[j] = now[j] - level
            out[t, j] = math.exp(before[j])
    return total


@compiled("float64(float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def smoothed(
    log_density: FloatArray, start: FloatArray, trans: FloatArray, gamma: FloatArray, xi: FloatArray, b: FloatArray, alpha: FloatArray
) -> float:
    """Forward and backward passes with scaling: fills gamma (n, k), the expected transitions xi (k, k); the log-likelihood.

    b, alpha (n, k) are room to work in.
    """
    n, k = log_density.shape
    scale = np.empty(n)
    beta = np.empty(k)
    earlier = np.empty(k)
    total = 0.0
    for t in range(n):
        top = log_density[t, 0]
        for j in range(1, k):
            top = max(top, log_density[t, j])
        mass = 0.0
        for j in range(k):
            b[t, j] = math.exp(log_density[t, j] - top)
            prior = start[j]
            if t > 0:
                prior = 0.0
                for i in range(k):
                    prior += alpha[t - 1, i] * trans[i, j]
            alpha[t, j] = prior * b[t, j]
            mass += alpha[t, j]
        if not mass > 0.0:
            return -math.inf
        scale[t] = mass
        total += math.log(mass) + top
        for j in range(k):
            alpha[t, j] /= mass
    for j in range(k):
        beta[j] = 1.0
        gamma[n - 1, j] = alpha[n - 1, j]
        for i in range(k):
            xi[i, j] = 0.0
    for t in range(n - 2, -1, -1):
        for j in range(k):
            beta[j] *= b[t + 1, j] / scale[t + 1]
        for i in range(k):
            back = 0.0
            for j in range(k):
                step = trans[i, j] * beta[j]
                back += step
                xi[i, j] += alpha[t, i] * step
            earlier[i] = back
        for i in range(k):
            beta[i] = earlier[i]
            gamma[t, i] = alpha[t, i] * beta[i]
    return total


@compiled(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64, float64[::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1])"
)
def maximise(
    x: FloatArray,
    gamma: FloatArray,
    xi: FloatArray,
    ridge: float,
    start: FloatArray,
    trans: FloatArray,
    means: FloatArray,
    covars: FloatArray,
) -> None:
    """The parameters that explain rows x (n, d) best, given who was responsible (gamma (n, k), xi (k, k)); written in place.

    ridge is added to the variances, so that no state shrinks to a point.
    """
    n, d = x.shape
    for k in range(gamma.shape[1]):
        start[k] = gamma[0, k]
        weight = 1e-300
        for t in range(n):
            weight += gamma[t, k]
        for i in range(d):
            first = 0.0
            for t in range(n):
                first += gamma[t, k] * x[t, i]
            means[k, i] = first / weight
        for i in range(d):
            for j in range(i + 1):
                second = 0.0
                for t in range(n):
                    second += gamma[t, k] * (x[t, i] - means[k, i]) * (x[t, j] - means[k, j])
                covars[k, i, j] = covars[k, j, i] = second / weight
            covars[k, i, i] += ridge
        left = 0.0
        for j in range(gamma.shape[1]):
            left += xi[k, j]
        if left > 0.0:
            for j in range(gamma.shape[1]):
                trans[k, j] = xi[k, j] / left


@compiled(
    "float64(float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], float64, float64, int64)"
)
def improve(
    x: FloatArray,
    start: FloatArray,
    trans: FloatArray,
    means: FloatArray,
    covars: FloatArray,
    gamma: FloatArray,
    ridge: float,
    tolerance: float,
    most: int,
) -> float:
    """Expectation-maximisation in place, until a step gains less than `tolerance` or after `most` steps.

    The log-likelihood of the last parameters but one step, -inf when a state collapsed; gamma (n, k) is left as of then.
    """
    n, k = gamma.shape
    log_density, b, alpha = np.empty((n, k)), np.empty((n, k)), np.empty((n, k))
    xi = np.empty((k, k))
    reached = -math.inf
    for _ in range(most):
        if not log_densities(x, means, covars, log_density):
            return -math.inf
        level = smoothed(log_density, start, trans, gamma, xi, b, alpha)
        if math.isinf(level) or math.isnan(level):
            return -math.inf
        maximise(x, gamma, xi, ridge, start, trans, means, covars)
        if level - reached < tolerance:
            return level
        reached = level
    return reached
