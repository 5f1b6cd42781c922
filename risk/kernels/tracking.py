"""Inner loop of tracking for many clients: one shared matrix, and for each client a small system of the names it may not hold."""

import numpy as np
import numpy.typing as npt

from risk.kernels.jit import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_TINY = 1e-14
_LEAST_PIVOT = 1e-11
_MAX_ROUNDS = 30


@compiled()
def _factor(system: FloatArray, kkt: FloatArray, empty: IntArray, size: int) -> bool:
    """Upper Cholesky factor of kkt over the first `size` of `empty`, into `system`; False where it is not positive definite."""
    for i in range(size):
        row = kkt[empty[i]]
        for j in range(i, size):
            system[i, j] = row[empty[j]]
    for k in range(size):
        top = system[k]
        if not top[k] > _LEAST_PIVOT * kkt[empty[k], empty[k]]:
            return False
        inverse = 1.0 / np.sqrt(top[k])
        for j in range(k, size):
            top[j] *= inverse
        for i in range(k + 1, size):
            row, factor = system[i], top[i]
            for j in range(i, size):
                row[j] -= factor * top[j]
    return True


@compiled()
def _append(system: FloatArray, kkt: FloatArray, empty: IntArray, size: int, column: FloatArray) -> bool:
    """The factor of `size` names made one of `size` + 1; `column` is working space."""
    own = kkt[empty[size]]
    left = own[empty[size]]
    for k in range(size):
        column[k] = own[empty[k]]
    for k in range(size):
        row = system[k]
        part = column[k] / row[k]
        left -= part * part
        for j in range(k + 1, size):
            column[j] -= part * row[j]
        row[size] = part
    if not left > _LEAST_PIVOT * own[empty[size]]:
        return False
    system[size, size] = np.sqrt(left)
    return True


@compiled()
def _multipliers(system: FloatArray, benchmark: FloatArray, empty: IntArray, size: int, price: FloatArray) -> None:
    """Fill price (size,) with what forces the names in `empty` from their benchmark weights to zero."""
    for k in range(size):
        price[k] = -benchmark[empty[k]]
    for k in range(size):
        row = system[k]
        price[k] /= row[k]
        part = price[k]
        for j in range(k + 1, size):
            price[j] -= part * row[j]
    for k in range(size - 1, -1, -1):
        row, total = system[k], price[k]
        for j in range(k + 1, size):
            total -= row[j] * price[j]
        price[k] = total / row[k]


@compiled()
def _respond(kkt: FloatArray, benchmark: FloatArray, empty: IntArray, size: int, price: FloatArray, weights: FloatArray) -> None:
    """Fill weights (n,) with what the others hold once the names in `empty` hold nothing."""
    n = len(benchmark)
    weights[:] = benchmark
    for k in range(size):
        row, part = kkt[empty[k]], price[k]
        for j in range(n):
            weights[j] += row[j] * part
    for k in range(size):
        weights[empty[k]] = 0.0


@compiled()
def _pivot(
    kkt: FloatArray,
    benchmark: FloatArray,
    excluded: BoolArray,
    weights: FloatArray,
    system: FloatArray,
    empty: IntArray,
    price: FloatArray,
    column: FloatArray,
) -> bool:
    """One client's weights (n,) by block principal pivoting: what falls below zero is emptied, what is empty without need comes back."""
    n = len(benchmark)
    inside = np.zeros(n, dtype=np.bool_)
    fixed = 0
    for i in range(n):
        if excluded[i]:
            empty[fixed] = i
            inside[i] = True
            fixed += 1
    size = fixed
    sound = _factor(system, kkt, empty, size)
    for _ in range(_MAX_ROUNDS):
        if not sound:
            return False
        _multipliers(system, benchmark, empty, size, price)
        _respond(kkt, benchmark, empty, size, price, weights)
        kept, untouched = fixed, size
        for k in range(fixed, size):
            name = empty[k]
            if price[k] >= -_TINY:
                empty[kept] = name
                kept += 1
            else:
                inside[name] = False
                untouched = min(untouched, k)
        settled = kept == size
        # The factor of what precedes the first to come back still holds.
        for k in range(untouched, kept):
            sound = sound and _append(system, kkt, empty, k, column)
        size = kept
        for i in range(n):
            if weights[i] < -_TINY and not inside[i]:
                settled = False
                empty[size] = i
                inside[i] = True
                sound = sound and size < n - 1 and _append(system, kkt, empty, size, column)
                size += 1
        if settled:
            return True
    return False


@compiled("int64[::1](float64[:, ::1], float64[::1], boolean[:, ::1], float64[:, ::1])")
def nearest(kkt: FloatArray, benchmark: FloatArray, excluded: BoolArray, weights: FloatArray) -> IntArray:
    """Weights (n_clients, n_assets) nearest to the benchmark (n_assets,) with the excluded (n_clients, n_assets) at zero.

    kkt: the upper left block (n_assets, n_assets) of the inverse of [[Sigma, 1], [1', 0]], which answers a price on a name with
    the cheapest self-financed move. `weights` is filled. Returns the rows (k,) that did not settle, in order.

    References: Judice & Pires (1994), A block principal pivoting algorithm for large-scale strictly monotone linear
    complementarity problems, Computers & Operations Research 21.
    """
    n_clients, n = excluded.shape
    system, column, price = np.empty((n, n)), np.empty(n), np.empty(n)
    empty = np.empty(n + 1, dtype=np.int64)
    open_rows = np.empty(n_clients, dtype=np.int64)
    count = 0
    for row in range(n_clients):
        if not _pivot(kkt, benchmark, excluded[row], weights[row], system, empty, price, column):
            open_rows[count] = row
            count += 1
        for i in range(n):
            weights[row, i] = max(weights[row, i], 0.0)
    return open_rows[:count].copy()
