"""What the past of sleeves and assets allows to be said: who has a usable record, and how gaps in asset returns are filled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.errors import BadInput
from risk.inputs import CONSTANT_TOLERANCE, BoolArray, FloatArray, IntArray, numbers

PERIODS_PER_YEAR = 252
_IDLE_SHARE = 0.01
_PRIOR_SESSIONS = 252
_MAX_RETURN = 10.0
_MAX_RATIO = 2.0
_MAX_CONFIDENCE = 0.95
# The negative half of a centred normal has this standard deviation, in units of the whole; it puts Sortino on Sharpe's scale.
_NORMAL_LOSS_SD = math.sqrt(1.0 - 2.0 / math.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """Daily returns of the sleeves' shadow books, sorted by sleeve.

    returns: (n_observations, n_sleeves), NaN before a sleeve existed. used: positions of the sleeves whose record can be
    optimised on. excluded: the others and why. corrupt: what is impossible in the returns, else empty.
    """

    names: tuple[str, ...]
    returns: FloatArray
    used: IntArray
    excluded: dict[str, str]
    corrupt: str

    def used_returns(self) -> FloatArray:
        """(n_observations, n_used), with NaN."""
        return self.returns[:, self.used]

    def common_returns(self, at_least: int) -> FloatArray:
        """The sessions on which every used sleeve has a return (n_common, n_used); BadInput below `at_least` of them."""
        returns = self.used_returns()
        common = returns[~np.isnan(returns).any(axis=1)]
        if len(common) < max(at_least, 2):
            raise BadInput(f"the sleeves share {len(common)} sessions of history, {max(at_least, 2)} needed")
        return common


def track_record(sleeve_returns: pd.DataFrame, min_sessions: int) -> TrackRecord:
    """Sort the sleeves into usable records and excluded ones.

    A record begins with the first return that is not zero: a sleeve that has not held anything yet has no past to be judged by.
    Excluded: fewer than `min_sessions` (at least 2) returns, or practically no variance: a standard deviation below 1 % of the
    median sleeve's, which is a sleeve in cash. One return beyond 1000 % a day, infinite ones included, makes the whole record
    corrupt and unused. Raises BadInput for duplicated sleeves.
    """
    if not sleeve_returns.columns.is_unique:
        raise BadInput("a sleeve is named twice in sleeve_returns")
    labels = [str(label) for label in sleeve_returns.columns]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    names = tuple(labels[i] for i in order)
    returns = _begun(np.asarray(numbers(sleeve_returns, "sleeve_returns")[:, order]))
    impossible = (np.abs(returns) > _MAX_RETURN).any(axis=0)
    if impossible.any():
        corrupt = f"returns beyond {_MAX_RETURN:.0%} a day in {[names[i] for i in np.flatnonzero(impossible)[:5]]}"
        return TrackRecord(names=names, returns=returns, used=np.array([], dtype=np.int64), excluded={}, corrupt=corrupt)
    counts = (~np.isnan(returns)).sum(axis=0)
    needed = max(min_sessions, 2)
    excluded = {name: f"short history: {n} of {needed} sessions" for name, n in zip(names, counts, strict=True) if n < needed}
    long_enough = np.flatnonzero(counts >= needed)
    idle = _idle(returns[:, long_enough])
    excluded |= {names[i]: "practically zero variance" for i in long_enough[idle]}
    return TrackRecord(names=names, returns=returns, used=long_enough[~idle], excluded=excluded, corrupt="")


def _begun(returns: FloatArray) -> FloatArray:
    """Returns (n_observations, n_sleeves) with the sessions before each sleeve's first position as NaN."""
    moved = np.logical_or.accumulate(np.nan_to_num(returns) != 0.0, axis=0)
    begun: FloatArray = np.where(moved, returns, np.nan)
    return begun


def deviations(returns: FloatArray) -> FloatArray:
    """Standard deviation (ddof 1) of each column of returns (n_observations, n), NaN skipped; 0 for a constant column."""
    known = ~np.isnan(returns)
    counts = known.sum(axis=0)
    sd = _masked_sd(returns, known, counts)
    largest = np.abs(np.where(known, returns, 0.0)).max(axis=0, initial=0.0)
    return np.where(sd <= CONSTANT_TOLERANCE * largest, 0.0, sd)


def track_record_views(returns: FloatArray, volatility: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What each sleeve's own record says: annual return Q (n,) and confidence (n,) in [0, 0.95].

    returns: daily (n_observations, n), NaN skipped; volatility: annual (n,). The mean of the Sharpe ratio and the Sortino ratio
    (over the standard deviation of losses, put on the scale of Sharpe for a normal distribution; Sharpe alone below two losses)
    is shrunk towards 0 by n / (n + 252), clipped to +-2 and multiplied by volatility. Confidence is n / (n + 252).
    """
    known = ~np.isnan(returns)
    counts = known.sum(axis=0)
    mean = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(counts, 1)
    losses = known & (returns < 0)
    n_losses = losses.sum(axis=0)
    sharpe = _divide(mean, deviations(returns))
    loss_sd = np.where(n_losses > 1, _masked_sd(returns, losses, n_losses), 0.0)
    floor = 1e-6 * np.abs(np.where(known, returns, 0.0)).max(axis=0, initial=0.0)
    sortino = np.where(loss_sd > floor, _divide(mean, loss_sd) * _NORMAL_LOSS_SD, sharpe)
    weight = counts / (counts + _PRIOR_SESSIONS)
    ratio = np.clip(weight * (sharpe + sortino) / 2.0 * math.sqrt(PERIODS_PER_YEAR), -_MAX_RATIO, _MAX_RATIO)
    return ratio * volatility, np.minimum(weight, _MAX_CONFIDENCE)


def complete_returns(returns: FloatArray, labels: Sequence[str]) -> tuple[FloatArray, dict[str, str]]:
    """Returns (n_sessions, n_assets) with gaps filled, and a note by asset on what was filled.

    A missing return becomes the mean return of the other assets on that day, never zero, so that a young asset is as risky as
    its company; a day on which all are missing is dropped. Infinite returns and those beyond 1000 % a day count as missing.
    """
    missing = ~(np.abs(returns) <= _MAX_RETURN)
    if not missing.any():
        return returns, {}
    present = ~missing.all(axis=1)
    kept, gaps = returns[present], missing[present]
    if not gaps.any():
        return kept, {}
    means = np.where(gaps, 0.0, kept).sum(axis=1) / (~gaps).sum(axis=1)
    short = np.flatnonzero(gaps.any(axis=0))
    counts = gaps.sum(axis=0)
    notes = {
        labels[i]: f"{counts[i]} of {len(kept)} returns missing: filled with the mean of the other held assets" for i in short.tolist()
    }
    return np.where(gaps, means[:, None], kept), notes


def _idle(returns: FloatArray) -> BoolArray:
    """Columns that are practically constant, also over the sessions that all moving columns share."""
    sd = deviations(returns)
    idle = _far_below_median(sd)
    common = returns[~np.isnan(returns[:, ~idle]).any(axis=1)]
    if len(common) > 1:
        idle[~idle] = _far_below_median(deviations(common[:, ~idle]))
    return idle


def _far_below_median(sd: FloatArray) -> BoolArray:
    moving = sd[sd > 0]
    return sd <= (_IDLE_SHARE * float(np.median(moving)) if len(moving) else 0.0)


def _masked_sd(returns: FloatArray, chosen: BoolArray, counts: IntArray) -> FloatArray:
    mean = np.where(chosen, returns, 0.0).sum(axis=0) / np.maximum(counts, 1)
    squares = np.where(chosen, returns - mean, 0.0) ** 2
    sd: FloatArray = np.sqrt(squares.sum(axis=0) / np.maximum(counts - 1, 1))
    return sd


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
