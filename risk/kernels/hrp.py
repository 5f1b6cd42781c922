"""Inner loops of hierarchical risk parity: correlations, distances, the tree's leaves and the bisection.

The arithmetic follows scipy's (`pdist`, `linkage(method="single")`, `leaves_list`) operation by operation, so that ties fall alike.
"""

import numpy as np
import numpy.typing as npt

from risk.kernels.jit import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled("float64[:, ::1](float64[:, ::1], float64[::1], float64[::1])")
def correlations(cov: FloatArray, power: FloatArray, mantissa: FloatArray) -> FloatArray:
    """Correlations (n, n) = cov_ij p_i p_j / sqrt(m_i m_j): p_i (n,) powers of two that bring the variances to m_i (n,) near 1.

    Equal to cov_ij / sqrt(v_i v_j) in every bit, without its overflow; duplicates have 1 exactly.
    """
    n = len(cov)
    rho = np.empty((n, n))
    for i in range(n):
        row, own, factor, scale = cov[i, i:], rho[i, i:], power[i], mantissa[i]
        factors, scales = power[i:], mantissa[i:]
        for j in range(n - i):
            own[j] = row[j] * factor * factors[j] / np.sqrt(scale * scales[j])
        for j in range(i):
            rho[i, j] = rho[j, i]
    return rho


@compiled("float64[:, ::1](float64[:, ::1])")
def correlation_distances(rho: FloatArray) -> FloatArray:
    """Distances (n, n) d = sqrt((1 - rho) / 2), rho beyond 1 counting as 1, zero on the diagonal."""
    n = len(rho)
    gaps = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            gaps[i, j] = np.sqrt(min(max((1.0 - rho[i, j]) / 2.0, 0.0), 1.0))
        gaps[i, i] = 0.0
    return gaps


@compiled("float64[:, ::1](float64[:, ::1])")
def column_distances(gaps: FloatArray) -> FloatArray:
    """Euclidean distances (n, n) between the columns of a symmetric matrix (n, n), each sum taken from the first row down."""
    n = len(gaps)
    far = np.zeros((n, n))
    rest = n - n % 4
    for i in range(n):
        total = far[i, i:]
        own = gaps[:, i]
        # Four rows per pass keep the running sums in registers; the order of the additions stays that of a plain sum.
        for k in range(0, rest, 4):
            a, b, c, d = own[k], own[k + 1], own[k + 2], own[k + 3]
            p, q, r, s = gaps[k, i:], gaps[k + 1, i:], gaps[k + 2, i:], gaps[k + 3, i:]
            for j in range(n - i):
                e, f, g, h = a - p[j], b - q[j], c - r[j], d - s[j]
                total[j] = (((total[j] + e * e) + f * f) + g * g) + h * h
        for k in range(rest, n):
            a, p = own[k], gaps[k, i:]
            for j in range(n - i):
                e = a - p[j]
                total[j] += e * e
        for j in range(n - i):
            total[j] = np.sqrt(total[j])
            far[i + j, i] = total[j]
    return far


@compiled("Tuple((int64[::1], float64[::1]))(float64[:, ::1])")
def spanning_walk(distances: FloatArray) -> tuple[IntArray, FloatArray]:
    """Prim's walk through symmetric distances (n, n): the assets as visited (n,), and how far each was from those before (n - 1,)."""
    n = len(distances)
    visited, steps = np.zeros(n, dtype=np.int64), np.empty(n - 1)
    nearest = np.full(n, np.inf)
    waiting = np.arange(1, n)
    last = 0
    for k in range(n - 1):
        row, best, place = distances[last], np.inf, 0
        for p in range(n - 1 - k):
            asset = waiting[p]
            gap = min(nearest[asset], row[asset])
            nearest[asset] = gap
            if gap < best:
                best, place = gap, p
        last = waiting[place]
        # The waiting keep their order: of equally near ones the first goes first.
        for p in range(place, n - 2 - k):
            waiting[p] = waiting[p + 1]
        visited[k + 1], steps[k] = last, best
    return visited, steps


@compiled()
def _root(cluster: IntArray, member: int) -> int:
    """The newest cluster that holds `member`; the path to it is shortened on the way."""
    root = member
    while cluster[root] != root:
        root = cluster[root]
    while cluster[member] != root:
        cluster[member], member = root, cluster[member]
    return root


@compiled("int64[::1](int64[::1], int64[::1])")
def leaves(visited: IntArray, by_height: IntArray) -> IntArray:
    """The leaves (n,) of the single-linkage tree, left to right: each join puts the older cluster on the left.

    visited: the walk (n,); by_height: its steps (n - 1,), nearest first.
    """
    n = len(visited)
    cluster = np.arange(2 * n - 1)
    first, final, after = np.arange(2 * n - 1), np.arange(2 * n - 1), np.full(n, -1)
    for k in range(n - 1):
        ends = (_root(cluster, visited[by_height[k]]), _root(cluster, visited[by_height[k] + 1]))
        left, right, joined = min(ends), max(ends), n + k
        cluster[left] = cluster[right] = joined
        after[final[left]] = first[right]
        first[joined], final[joined] = first[left], final[right]
    order = np.empty(n, dtype=np.int64)
    leaf = first[2 * n - 2]
    for k in range(n):
        order[k] = leaf
        leaf = after[leaf]
    return order


@compiled()
def _variance(cov: FloatArray, members: IntArray, share: FloatArray) -> float:
    """Variance of the members held in inverse proportion to their variances; `share` is working space."""
    size = len(members)
    least, total, variance = np.inf, 0.0, 0.0
    for a in range(size):
        least = min(least, cov[members[a], members[a]])
    for a in range(size):
        share[a] = least / cov[members[a], members[a]]
        total += share[a]
    for a in range(size):
        row, pull = cov[members[a]], 0.0
        for b in range(a):
            pull += row[members[b]] * share[b]
        variance += share[a] * (2.0 * pull + row[members[a]] * share[a])
    # Of perfect hedges rounding may leave less than nothing.
    return max(variance / total / total, 0.0)


@compiled("float64[::1](float64[:, ::1], int64[::1])")
def bisect(cov: FloatArray, order: IntArray) -> FloatArray:
    """Weights (n,), sum 1: the ordered assets are halved again and again, each half getting the other's share of their variances."""
    n = len(order)
    weights, share = np.ones(n), np.empty(n)
    starts, stops = np.empty(2 * n, dtype=np.int64), np.empty(2 * n, dtype=np.int64)
    starts[0], stops[0] = 0, n
    pending = 1
    while pending > 0:
        pending -= 1
        start, stop = starts[pending], stops[pending]
        if stop - start < 2:
            continue
        middle = start + (stop - start) // 2
        left, right = _variance(cov, order[start:middle], share), _variance(cov, order[middle:stop], share)
        to_left = 0.5 if left + right <= 0.0 else right / (left + right)
        for k in range(start, stop):
            weights[order[k]] *= to_left if k < middle else 1.0 - to_left
        starts[pending], stops[pending] = start, middle
        starts[pending + 1], stops[pending + 1] = middle, stop
        pending += 2
    return weights
