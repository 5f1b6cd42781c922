"""The scatter matrix X'X of many assets in wide vectors, each sum in one fixed order whatever the processor.

Where a processor has 512-bit vectors, this is faster than OpenBLAS with kernels for narrower ones, which is what OpenBLAS takes for
processors that are newer than itself; elsewhere the library is faster.
"""

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from numba import types

from risk.kernels.jit import compiled

FloatArray = npt.NDArray[np.float64]
_LINE = 8
"""Floats in a cache line, which is also the widest vector; rows of the centred returns start on one."""
_STRIP = 32
_ROWS_AT_ONCE = 32
_ANY_ORDER = types.Array(types.float64, 2, "A", readonly=True)
"""As pandas hands out the values of a frame."""


def is_worthwhile(n_observations: int, n_assets: int) -> bool:
    """Whether this processor and this size gain by it."""
    return n_assets >= 2 * _STRIP and n_observations >= _ROWS_AT_ONCE and bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))


def centred_scatter(returns: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """X'X (n_assets, n_assets) of X = returns - mean (n_observations, n_assets), exactly symmetric; and the |x_t|^2 (n_observations,)."""
    n_observations, n_assets = returns.shape
    centred = _aligned_zeros(-(-n_observations // 4) * 4, -(-n_assets // _STRIP) * _STRIP)
    wide = _aligned_zeros(centred.shape[1], centred.shape[1])
    centre(returns, mean, centred)
    upper_gram(centred, wide)
    scatter = np.empty((n_assets, n_assets))
    mirror(wide, scatter)
    return scatter, np.einsum("ij,ij->i", centred, centred)[:n_observations]


def _aligned_zeros(rows: int, columns: int) -> FloatArray:
    """Zeros (rows, columns) in C order that start on a cache line."""
    flat = np.zeros(rows * columns + _LINE)
    start = -(flat.ctypes.data // flat.itemsize) % _LINE
    return flat[start : start + rows * columns].reshape(rows, columns)


@compiled(types.void(_ANY_ORDER, types.float64[::1], types.float64[:, ::1]))
def centre(values: FloatArray, mean: FloatArray, centred: FloatArray) -> None:
    """Fill the corner of `centred` with values - mean (n_observations, n_assets), in tiles that suit any memory order of values."""
    rows, columns = values.shape
    for top in range(0, rows, 32):
        for left in range(0, columns, 32):
            for i in range(top, min(top + 32, rows)):
                for j in range(left, min(left + 32, columns)):
                    centred[i, j] = values[i, j] - mean[j]


@compiled("void(float64[:, ::1], float64[:, ::1])")
def upper_gram(x: FloatArray, product: FloatArray) -> None:
    """Add x'x to the upper triangle of `product`, and parts of it below; rows of x come in fours, columns in strips of 32."""
    rows, columns = x.shape
    for first in range(0, rows, _ROWS_AT_ONCE):
        for i in range(0, columns, 4):
            start = i - i % _STRIP
            p0, p1, p2, p3 = product[i, start:], product[i + 1, start:], product[i + 2, start:], product[i + 3, start:]
            for k in range(first, min(first + _ROWS_AT_ONCE, rows), 4):
                x0, x1, x2, x3 = x[k, start:], x[k + 1, start:], x[k + 2, start:], x[k + 3, start:]
                a0, a1, a2, a3 = x[k, i], x[k + 1, i], x[k + 2, i], x[k + 3, i]
                b0, b1, b2, b3 = x[k, i + 1], x[k + 1, i + 1], x[k + 2, i + 1], x[k + 3, i + 1]
                c0, c1, c2, c3 = x[k, i + 2], x[k + 1, i + 2], x[k + 2, i + 2], x[k + 3, i + 2]
                d0, d1, d2, d3 = x[k, i + 3], x[k + 1, i + 3], x[k + 2, i + 3], x[k + 3, i + 3]
                for j in range(columns - start):
                    s0, s1, s2, s3 = x0[j], x1[j], x2[j], x3[j]
                    p0[j] += (a0 * s0 + a1 * s1) + (a2 * s2 + a3 * s3)
                    p1[j] += (b0 * s0 + b1 * s1) + (b2 * s2 + b3 * s3)
                    p2[j] += (c0 * s0 + c1 * s1) + (c2 * s2 + c3 * s3)
                    p3[j] += (d0 * s0 + d1 * s1) + (d2 * s2 + d3 * s3)


@compiled("void(float64[:, ::1], float64[:, ::1])")
def mirror(upper: FloatArray, full: FloatArray) -> None:
    """Fill `full` (n, n) from the upper triangle of `upper`, tile by tile."""
    n = len(full)
    for top in range(0, n, 32):
        for left in range(top, n, 32):
            for i in range(top, min(top + 32, n)):
                for j in range(max(left, i), min(left + 32, n)):
                    full[i, j] = upper[i, j]
                    full[j, i] = upper[i, j]
