"""A fast climb towards the best utility in a box: it finds which weights end on their bounds; exactness is another's work."""

import numpy as np

from risk.inputs import FloatArray
from risk.kernels.jit import compiled


@compiled("int64(float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[::1], float64, int64)")
def climb(
    quadratic: FloatArray,
    gradient: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    weights: FloatArray,
    tolerance: float,
    budget: int,
) -> int:
    """Improve l'w - w'Qw / 2 in place by trades between two weights at a time; the number of trades made.

    quadratic Q (n, n) symmetric PSD; gradient l - Qw (n,) at the feasible `weights` (n,), both updated; the sum of the weights and
    lower <= weights <= upper are kept. Each trade buys where the gradient is largest and sells where that gains most, exactly
    to the best point or to a bound. Stops when no pair of gradients differs by more than `tolerance`, or after `budget` trades.

    References: Fan, Chen & Lin (2005), Working set selection using second order information for training support vector
    machines, Journal of Machine Learning Research 6.
    """
    size = len(gradient)
    for trade in range(budget):
        buy = -1
        best = -np.inf
        for i in range(size):
            if weights[i] < upper[i] and gradient[i] > best:
                best = gradient[i]
                buy = i
        if buy < 0:
            return trade
        sell = -1
        most = 0.0
        row = quadratic[buy]
        own = row[buy]
        for j in range(size):
            if weights[j] > lower[j]:
                pull = best - gradient[j]
                if pull > tolerance:
                    gain = pull * pull / max(own + quadratic[j, j] - 2.0 * row[j], 1e-12)
                    if gain > most:
                        most = gain
                        sell = j
        if sell < 0:
            return trade
        other = quadratic[sell]
        rise = upper[buy] - weights[buy]
        fall = weights[sell] - lower[sell]
        step = (best - gradient[sell]) / max(own + other[sell] - 2.0 * row[sell], 1e-12)
        if step >= rise and rise <= fall:
            step = rise
            weights[buy] = upper[buy]
            weights[sell] -= rise
        elif step >= fall:
            step = fall
            weights[sell] = lower[sell]
            weights[buy] += fall
        else:
            weights[buy] += step
            weights[sell] -= step
        for i in range(size):
            gradient[i] -= step * (row[i] - other[i])
    return budget
