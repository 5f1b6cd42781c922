"""Inner loops of trading two prices against each other: cointegration, the Kalman filter of the hedge ratio, and the trading rule."""

import math

import numpy as np
import numpy.typing as npt

from risk.kernels.jit import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
NEGLIGIBLE = 1e-6
"""Of the standard deviation of a spread of logarithms: below it the two are one price, and there is nothing to trade."""


@compiled("void(float64[::1], float64[::1], float64, float64, float64[:, ::1])")
def hedge(y: FloatArray, x: FloatArray, drift: float, noise: float, out: FloatArray) -> None:
    """Fill `out` (n, 4) with alpha, beta, innovation and innovation variance of y_t = alpha_t + beta_t x_t + e_t.

    y, x (n,); drift: variance by which alpha and beta each move between rows; noise: variance of e. The prior N(0, I) meets the first
    row as it is, without a move. The innovation of row t is what rows before t did not predict; alpha and beta are those after row t.
    """
    alpha = beta = cross = 0.0
    var_alpha = var_beta = 1.0
    for t in range(len(y)):
        if t > 0:
            var_alpha += drift
            var_beta += drift
        with_alpha = var_alpha + cross * x[t]
        with_beta = cross + var_beta * x[t]
        innovation = y[t] - alpha - beta * x[t]
        variance = with_alpha + x[t] * with_beta + noise
        gain_alpha, gain_beta = with_alpha / variance, with_beta / variance
        alpha += gain_alpha * innovation
        beta += gain_beta * innovation
        var_alpha -= gain_alpha * with_alpha
        cross -= gain_alpha * with_beta
        var_beta -= gain_beta * with_beta
        out[t, 0], out[t, 1], out[t, 2], out[t, 3] = alpha, beta, innovation, variance


@compiled()
def _regression(y: FloatArray, x: FloatArray, residual: FloatArray) -> tuple[float, float, float]:
    """Slope of y on x with a constant, standard deviations of the residuals (ddof 2) and of x (ddof 1); NaN where x never moves."""
    n = len(y)
    mean_y, mean_x = y.sum() / n, x.sum() / n
    sxx = sxy = squares = 0.0
    for t in range(n):
        sxx += (x[t] - mean_x) * (x[t] - mean_x)
        sxy += (x[t] - mean_x) * (y[t] - mean_y)
    if sxx <= 0.0:
        return math.nan, math.nan, math.nan
    slope = sxy / sxx
    for t in range(n):
        residual[t] = (y[t] - mean_y) - slope * (x[t] - mean_x)
        squares += residual[t] * residual[t]
    return slope, math.sqrt(squares / (n - 2)), math.sqrt(sxx / (n - 1))


@compiled()
def _dickey_fuller(u: FloatArray) -> float:
    """Student's t of r in du_t = r u_(t-1) + g du_(t-1) + e_t, without a constant; NaN where the regressors do not tell them apart."""
    a = b = c = p = q = s = 0.0
    for t in range(2, len(u)):
        level, before, change = u[t - 1], u[t - 1] - u[t - 2], u[t] - u[t - 1]
        a += level * level
        b += level * before
        c += before * before
        p += level * change
        q += before * change
        s += change * change
    det = a * c - b * b
    if det <= 1e-12 * a * c:
        return math.nan
    r, g = (c * p - b * q) / det, (a * q - b * p) / det
    left = (s - r * p - g * q) / (len(u) - 4)
    return r / math.sqrt(left * c / det) if left > 0.0 else math.nan


@compiled("void(float64[:, ::1], int64[::1], int64[::1], float64[:, ::1])")
def cointegration(logs: FloatArray, first: IntArray, second: IntArray, out: FloatArray) -> None:
    """Fill `out` (n_pairs, 3) with Dickey-Fuller t statistic, slope and standard deviation of the residuals of each regression.

    logs (n_names, n_sessions >= 5); pair k regresses row first[k] on row second[k] with a constant (Engle & Granger 1987).
    """
    residual = np.empty(logs.shape[1])
    for k in range(len(first)):
        slope, deviation, _ = _regression(logs[first[k]], logs[second[k]], residual)
        out[k, 0], out[k, 1], out[k, 2] = _dickey_fuller(residual) if deviation > 0.0 else math.nan, slope, deviation


@compiled("Tuple((float64, float64))(float64[:, ::1], int64, float64, float64, float64[:, ::1])")
def follow(legs: FloatArray, formation: int, drift: float, noise: float, out: FloatArray) -> tuple[float, float]:
    """Filter two logarithms of prices (2, n), y and x, standardised on their first `formation` columns: `out` (n, 4) as of `hedge`.

    legs are centred on their formation means and divided by the standard deviation of the formation's regression residuals, in place;
    alpha is in these units. The filter sees what the formation's regression leaves of y, against x in units of its own standard
    deviation, so that its prior and its drift mean the same for every pair; beta is given as a slope of y on x again.
    Returns slope and residual deviation of the formation; nothing is filtered where the slope is not positive, or the deviation negligible.
    """
    n = legs.shape[1]
    rest, scaled = np.empty(n), np.empty(n)
    slope, deviation, spread = _regression(legs[0, :formation], legs[1, :formation], rest[:formation])
    if not (slope > 0.0 and deviation > NEGLIGIBLE):
        return slope, deviation
    for leg in range(2):
        mean = legs[leg, :formation].sum() / formation
        for t in range(n):
            legs[leg, t] = (legs[leg, t] - mean) / deviation
    ratio = deviation / spread
    for t in range(n):
        rest[t] = legs[0, t] - slope * legs[1, t]
        scaled[t] = legs[1, t] * ratio
    hedge(rest, scaled, drift, noise, out)
    for t in range(n):
        out[t, 1] = slope + ratio * out[t, 1]
    return slope, deviation


@compiled()
def _leaves(strength: float, slope: float, age: int, limits: FloatArray, rule: FloatArray) -> int:
    """Why an open pair is closed: 0 not at all, 1 it came back, 2 it broke, 3 it took too long. limits, rule: as in `positions`."""
    if strength <= rule[1]:
        return 1
    if strength > rule[2] or not limits[0] <= slope <= limits[1]:
        return 2
    return 3 if age >= rule[3] else 0


@compiled("void(float64[:, ::1], int64, int64, float64[::1], float64[::1], int64[::1])")
def positions(states: FloatArray, start: int, last_entry: int, limits: FloatArray, rule: FloatArray, out: IntArray) -> None:
    """Fill `out` (n,) with the side held after each row: 1 long y and short x, -1 the reverse, 0 nothing.

    states: of `follow` (n, 4). start: the first row that may be traded on; last_entry: the last that may open. limits (2,): slopes
    between which the pair holds together. rule (4,): z beyond which it opens, z at which it has come back, z beyond which it is
    broken, and rows after which it is closed. What broke, or took too long, opens again only after its z has come back once.
    """
    side, opened, ready = 0, 0, True
    out[:start] = 0
    for t in range(start, len(out)):
        z, slope = states[t, 2] / math.sqrt(states[t, 3]), states[t, 1]
        if side != 0:
            why = _leaves(-side * z, slope, t - opened, limits, rule)
            if why > 0:
                side, ready = 0, why == 1
        elif abs(z) <= rule[1]:
            ready = True
        elif abs(z) > rule[2]:
            ready = False
        elif ready and abs(z) > rule[0] and t <= last_entry and limits[0] <= slope <= limits[1]:
            side, opened = (-1 if z > 0.0 else 1), t
        out[t] = side


@compiled()
def _earn(prices: FloatArray, states: FloatArray, sides: IntArray, earned: FloatArray) -> tuple[int, int]:
    """Fill `earned` (n,) with simple returns per dollar of gross exposure; the number of trades, and of those that earned something.

    prices (2, n): y and x. What is decided on row t is held from row t + 1 on, in the dollars of the row that opened it.
    """
    trades = wins = 0
    share = total = 0.0
    earned[:] = 0.0
    for t in range(1, len(sides)):
        if sides[t - 1] != 0 and (t < 2 or sides[t - 2] == 0):
            share, total = 1.0 / (1.0 + states[t - 1, 1]), 0.0
            trades += 1
        if t > 1 and sides[t - 2] != 0:
            own = prices[0, t] / prices[0, t - 1] - 1.0
            other = prices[1, t] / prices[1, t - 1] - 1.0
            earned[t] = sides[t - 2] * (share * own - (1.0 - share) * other)
            total += earned[t]
            if sides[t - 1] == 0 or t == len(sides) - 1:
                wins += total > 0.0
    return trades, wins


@compiled("void(float64[:, :, ::1], int64, float64, float64, float64[::1], float64[::1], float64[:, ::1], int64[:, ::1])")
def trade_paths(
    prices: FloatArray,
    formation: int,
    drift: float,
    noise: float,
    band: FloatArray,
    rule: FloatArray,
    earned: FloatArray,
    counts: IntArray,
) -> None:
    """Trade every path of two prices (n_paths, 2, n): fill `earned` (n_paths, n) with returns and `counts` (n_paths, 2) with trades, wins.

    The first `formation` rows are the formation, as in `follow`; trading begins after them. band (2,): slopes, as multiples of the
    formation's, between which a pair holds together. A path whose formation cannot be filtered is not traded.
    """
    n = prices.shape[2]
    states, sides, limits = np.empty((n, 4)), np.zeros(n, dtype=np.int64), np.empty(2)
    for path in range(len(prices)):
        earned[path] = 0.0
        counts[path] = 0
        slope, deviation = follow(np.log(prices[path]), formation, drift, noise, states)
        if slope > 0.0 and deviation > NEGLIGIBLE:
            limits[0], limits[1] = band[0] * slope, band[1] * slope
            positions(states, formation, n, limits, rule, sides)
            counts[path, 0], counts[path, 1] = _earn(prices[path], states, sides, earned[path])
