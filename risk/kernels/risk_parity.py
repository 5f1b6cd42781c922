"""Inner loops of risk budgeting: cyclical coordinate descent that keeps C x up to date."""

import math

import numpy as np
import numpy.typing as npt

from risk.kernels.jit import compiled

FloatArray = npt.NDArray[np.float64]


@compiled("float64[:, ::1](float64[:, ::1], int64[::1], float64[::1])")
def scaled_block(cov: FloatArray, held: npt.NDArray[np.int64], inverse: FloatArray) -> FloatArray:
    """cov_ij f_i f_j over the held assets (n_held,), with their factors f (n_held,): their correlations when f is 1 / volatility."""
    n = len(held)
    block = np.empty((n, n))
    for i in range(n):
        row, factor = cov[held[i]], inverse[i]
        for j in range(n):
            block[i, j] = row[held[j]] * factor * inverse[j]
    return block


@compiled("void(float64[:, ::1], float64[::1], float64[::1])")
def multiply(matrix: FloatArray, x: FloatArray, product: FloatArray) -> None:
    """Fill product (n,) with a symmetric matrix (n, n) times x (n,), always in the same order of additions."""
    n = len(x)
    product[:] = 0.0
    for i in range(n):
        row, factor = matrix[i], x[i]
        for j in range(n):
            product[j] += row[j] * factor


@compiled("int64(float64[:, ::1], float64[::1], float64[::1], float64[::1], int64, float64)")
def descend(matrix: FloatArray, budgets: FloatArray, x: FloatArray, pull: FloatArray, max_sweeps: int, target: float) -> int:
    """Sweeps over x_i (C x)_i = b_i, each condition solved for its own x_i; x and pull = C x (n,) change in place.

    Ends after `max_sweeps`, or once no condition was off by more than `target` times b_i when its turn came. Returns the sweeps made.
    """
    n = len(x)
    for sweep in range(max_sweeps):
        settled = True
        for i in range(n):
            row, budget = matrix[i], budgets[i]
            settled = settled and abs(x[i] * pull[i] - budget) <= target * budget
            others = pull[i] - row[i] * x[i]
            root = math.sqrt(others * others + 4.0 * row[i] * budget)
            # Of the two forms of the root the one without cancellation.
            found = 2.0 * budget / (others + root) if others > 0.0 else (root - others) / (2.0 * row[i])
            change = found - x[i]
            x[i] = found
            for j in range(n):
                pull[j] += row[j] * change
        if settled:
            return sweep + 1
    return max_sweeps
