"""Could chance have done as well? A pair's trading rule over simulated prices that are correlated and never revert to each other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.kernels import kernel
from risk.performance import sharpe_ratio
from strategies.kalman import BadSeries
from strategies.pairs import HELD_SLOPES, Rule
from strategies.signals import PERIODS_PER_YEAR, Floats, Indices

FORMATION = 252
"""Sessions that set the scale and are not traded, as in the strategy."""
LEAST = 20
"""Fewer sessions, of the formation or after it, say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadSimulation:
    """A rule's result on a pair, beside what it gives on paths without mean reversion. Sharpe ratios are annual, over all sessions after
    the formation, before costs, and 0 where nothing was traded.

    p_value: (1 + paths at least as good) / (1 + paths). null_sharpes, null_returns: (n_paths,); the returns are annual, per dollar of gross
    exposure. mean_trades: per path. win_rate_null: share of the null's trades that earned something, NaN without a trade. drift,
    volatility: annual, of the log prices of y and x; correlation: of their daily changes.
    """

    realised_sharpe: float
    realised_return: float
    realised_trades: int
    realised_win_rate: float
    null_sharpes: Floats
    null_returns: Floats
    p_value: float
    mean_trades: float
    win_rate_null: float
    drift: tuple[float, float]
    volatility: tuple[float, float]
    correlation: float


def simulate(
    y: pd.Series,
    x: pd.Series,
    *,
    paths: int,
    seed: int,
    delta: float,
    observation_variance: float,
    entry: float,
    exit_: float,
    stop: float,
    max_sessions: int,
    formation: int = FORMATION,
) -> SpreadSimulation:
    """Trade the pair y, x with a rule, and so many paths of two correlated geometric Brownian motions with the same rule.

    y, x: prices by session, positive, of equal labels; the null model has the drift, covariance and first prices of their logarithms, and
    no tie between the levels: what the rule earns on it is luck. The rule is that of `strategies.pairs`, with one formation over the first
    `formation` sessions and no end of entries; a decision is acted on at the close after the one it was made on.
    Raises BadSeries for NaN, prices that are not positive or never move, labels that differ, too few sessions, or no path.

    References: Gatev, Goetzmann and Rouwenhorst (2006), Pairs trading, for the day of waiting; Davison and Hinkley (1997), Bootstrap
    methods and their application, ch. 4, for the p-value.
    """
    real = _prices(y, x, formation)
    if paths < 1:
        raise BadSeries(f"{paths} paths: at least one is needed")
    rule = Rule(delta=delta, observation_variance=observation_variance, entry=entry, exit_=exit_, stop=stop, max_sessions=max_sessions)
    changes = np.diff(np.log(real), axis=1)
    mean, covariance = changes.mean(axis=1), np.cov(changes, ddof=1)
    if not (np.diagonal(covariance) > 0).all():
        raise BadSeries("a price that never moves cannot be simulated")
    earned, counts = _traded(real[None], formation, rule)
    null, null_counts = _traded(_brownian(real, mean, covariance, paths, seed), formation, rule)
    realised, sharpes = _sharpes(earned, counts)[0], _sharpes(null, null_counts)
    trades, wins = null_counts.sum(axis=0)
    deviation = np.sqrt(np.diagonal(covariance))
    return SpreadSimulation(
        realised_sharpe=float(realised),
        realised_return=float(earned.mean() * PERIODS_PER_YEAR),
        realised_trades=int(counts[0, 0]),
        realised_win_rate=_rate(counts[0, 1], counts[0, 0]),
        null_sharpes=sharpes,
        null_returns=null.mean(axis=1) * PERIODS_PER_YEAR,
        p_value=float((1 + (sharpes >= realised).sum()) / (1 + paths)),
        mean_trades=float(trades / paths),
        win_rate_null=_rate(wins, trades),
        drift=_two(mean * PERIODS_PER_YEAR),
        volatility=_two(deviation * np.sqrt(PERIODS_PER_YEAR)),
        correlation=float(covariance[0, 1] / (deviation[0] * deviation[1])),
    )


def _prices(y: pd.Series, x: pd.Series, formation: int) -> Floats:
    """Both prices as rows (2, n_sessions); BadSeries when the rule cannot run over them."""
    if not y.index.equals(x.index):
        raise BadSeries("y and x have different labels: align them first")
    prices = np.stack([y.to_numpy(dtype=np.float64), x.to_numpy(dtype=np.float64)])
    for name, row in zip("yx", prices, strict=True):
        wrong = np.flatnonzero(~(np.isfinite(row) & (row > 0)))
        if len(wrong):
            raise BadSeries(f"{name} is {row[wrong[0]]} at {y.index[wrong[0]]}, which is no price")
    if formation < LEAST or prices.shape[1] < formation + LEAST:
        raise BadSeries(
            f"{prices.shape[1]} sessions with a formation of {formation}: it takes {LEAST} for the formation and {LEAST} after it"
        )
    return prices


def _brownian(real: Floats, mean: Floats, covariance: Floats, paths: int, seed: int) -> Floats:
    """Prices (n_paths, 2, n_sessions) whose log changes are independent normals of that mean (2,) and covariance (2, 2)."""
    noise = np.random.default_rng(seed).standard_normal((paths, 2, real.shape[1] - 1))
    own, shared = np.sqrt(covariance[0, 0]), covariance[0, 1] / np.sqrt(covariance[0, 0])
    rest = np.sqrt(max(covariance[1, 1] - shared**2, 0.0))
    changes = np.stack([own * noise[:, 0], shared * noise[:, 0] + rest * noise[:, 1]], axis=1) + mean[:, None]
    start = np.zeros((paths, 2, 1))
    return np.ascontiguousarray(real[:, :1] * np.exp(np.concatenate([start, np.cumsum(changes, axis=2)], axis=2)))


def _traded(prices: Floats, formation: int, rule: Rule) -> tuple[Floats, Indices]:
    """Returns after the formation (n_paths, n_traded) and counts of trades and of wins (n_paths, 2)."""
    earned, counts = np.empty((len(prices), prices.shape[2])), np.empty((len(prices), 2), dtype=np.int64)
    band = np.array(HELD_SLOPES)
    kernel("pairs").trade_paths(prices, formation, rule.drift, rule.observation_variance, band, rule.levels, earned, counts)
    return earned[:, formation:], counts


def _sharpes(earned: Floats, counts: Indices) -> Floats:
    """Annual Sharpe ratio of each path (n_paths,), 0 for one without a trade."""
    return np.array([sharpe_ratio(row) if trades and row.any() else 0.0 for row, trades in zip(earned, counts[:, 0], strict=True)])


def _rate(wins: int, trades: int) -> float:
    return float(wins / trades) if trades else float("nan")


def _two(values: Floats) -> tuple[float, float]:
    return float(values[0]), float(values[1])
