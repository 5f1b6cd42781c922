"""Pairs of prices that move together: when they are chosen, which, and what became of each since.

Rows are sessions of one window, oldest first; a formation is the part of it, up to a month's last session, on which pairs are chosen.
Everything follows from the prices alone, so that each session of a month finds the same pairs in the same state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import pandas as pd

from risk.kernels import kernel
from strategies.signals import Floats

LONGEST_MONTH = 23
"""Sessions of the longest calendar month."""
FORMED_SLOPES = (1.0 / 3.0, 3.0)
"""A pair is formed only with a hedge ratio between these: with another one, a leg would carry next to nothing of the position."""
HELD_SLOPES = (0.5, 2.0)
"""An open pair is broken when its hedge ratio leaves this band, in multiples of the formation's."""
CRITICAL: Mapping[str, tuple[float, float, float]] = {
    "1%": (-3.89644, -10.9519, -33.527),
    "5%": (-3.33613, -6.1101, -6.823),
    "10%": (-3.04445, -4.2412, -2.720),
}
"""Response surface b0 + b1 / n + b2 / n^2 of the Engle-Granger statistic, two variables with a constant: MacKinnon (2010), Critical values
for cointegration tests, Queen's Economics Department working paper 1227, table 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a pair is filtered and traded: delta and observation variance of the filter over standardised logarithms, the z beyond which a
    pair opens, at which it has come back, and beyond which it is broken, and the sessions after which it is closed."""

    delta: float
    observation_variance: float
    entry: float
    exit_: float
    stop: float
    max_sessions: int

    @property
    def drift(self) -> float:
        """Variance by which alpha and beta each move in a session."""
        return self.delta / (1.0 - self.delta)

    @property
    def levels(self) -> Floats:
        """The trading rule as the kernel takes it, (4,)."""
        return np.array([self.entry, self.exit_, self.stop, self.max_sessions], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formation:
    """Rows of one selection: first and last that choose the pairs, and the last on which those pairs may be opened."""

    first: int
    last: int
    last_entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """y regressed on x over a formation, both as positions of names. statistic: Dickey-Fuller t of the residuals, margin: how far it is
    below its critical value."""

    y: int
    x: int
    formation: Formation
    statistic: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What a pair is doing on the newest row. side: 1 long y and short x, -1 the reverse, 0 nothing.

    opened: row that opened it; share: of the position that is in y, 1 / (1 + hedge ratio of that row). parts (4,): what y's and x's newest
    price and y's and x's price before say, in standard deviations of the innovation; they sum to its z against the position, > 0.
    """

    pair: Pair
    side: int = 0
    opened: int = -1
    share: float = 0.5
    parts: tuple[float, ...] = ()


def formations(sessions: pd.DatetimeIndex, length: int, max_sessions: int) -> list[Formation]:
    """Those formations, oldest first, whose pairs may be opened or still be open on the last of `sessions`.

    A formation is the `length` sessions up to the last one of a month; its pairs may be opened on the sessions of the month after it.
    """
    month = sessions.year.to_numpy() * 12 + sessions.month.to_numpy()
    ends = [int(row) for row in np.flatnonzero(month[1:] != month[:-1])]
    newest = len(sessions) - 1
    found = [
        Formation(first=end - length + 1, last=end, last_entry=following)
        for end, following in pairwise([*ends, newest])
        if newest - following < max_sessions
    ]
    return [formation for formation in found if formation.first >= 0]


def critical_value(significance: str, observations: int) -> float:
    """The Engle-Granger statistic below which two series count as cointegrated, for so many rows of the Dickey-Fuller regression."""
    b0, b1, b2 = CRITICAL[significance]
    return b0 + b1 / observations + b2 / observations**2


def most_traded(dollars: Floats, groups: Sequence[str], count: int) -> list[int]:
    """Positions of the `count` names of each group that trade most; a name that never traded is none. dollars: (n_names,)."""
    taken: dict[str, int] = {}
    chosen = []
    for i in np.argsort(-dollars, kind="stable"):
        group = groups[i]
        if dollars[i] > 0 and taken.setdefault(group, 0) < count:
            taken[group] += 1
            chosen.append(int(i))
    return sorted(chosen)


def select(logs: Floats, names: Sequence[int], groups: Sequence[str], formation: Formation, significance: str, count: int) -> list[Pair]:
    """The `count` most cointegrated pairs among `names`, the clearest first; both of a group, and no name in two pairs.

    logs: (n_names, n_sessions) logarithms of prices, finite within the formation for `names`; groups: of every row of logs.
    Both directions are tested, and the clearer one is taken.
    """
    members: dict[str, list[int]] = {}
    for name in names:
        members.setdefault(groups[name], []).append(name)
    ordered = [pair for group in sorted(members) for pair in permutations(members[group], 2)]
    if not ordered:
        return []
    window = np.ascontiguousarray(logs[:, formation.first : formation.last + 1])
    first, second = (np.array(side, dtype=np.int64) for side in zip(*ordered, strict=True))
    found = np.empty((len(ordered), 3))
    compiled = kernel("pairs")
    compiled.cointegration(window, first, second, found)
    limit = critical_value(significance, window.shape[1] - 2)
    statistic, slope, deviation = found.T
    with np.errstate(invalid="ignore"):
        good = (statistic < limit) & (slope >= FORMED_SLOPES[0]) & (slope <= FORMED_SLOPES[1]) & (deviation > compiled.NEGLIGIBLE)
    chosen: list[Pair] = []
    taken: set[int] = set()
    for k in sorted(np.flatnonzero(good), key=lambda k: (statistic[k], ordered[k])):
        y, x = ordered[k]
        if len(chosen) < count and not taken & {y, x}:
            taken |= {y, x}
            chosen.append(Pair(y=y, x=x, formation=formation, statistic=float(statistic[k]), margin=float(limit - statistic[k])))
    return chosen


def follow(logs: Floats, pair: Pair, rule: Rule) -> Spell:
    """What the rule made of a pair from its formation to the newest row. logs: (n_names, n_sessions), finite for both legs from then on.

    The filter runs from the formation's first row on, over logarithms that are standardised on the formation.
    """
    compiled, formation = kernel("pairs"), pair.formation
    legs = np.ascontiguousarray(logs[[pair.y, pair.x], formation.first :])
    length = formation.last - formation.first + 1
    states, sides = np.empty((legs.shape[1], 4)), np.zeros(legs.shape[1], dtype=np.int64)
    slope, _ = compiled.follow(legs, length, rule.drift, rule.observation_variance, states)
    compiled.positions(states, length, formation.last_entry - formation.first, slope * np.array(HELD_SLOPES), rule.levels, sides)
    side = int(sides[-1])
    if side == 0:
        return Spell(pair=pair)
    opened = int(np.flatnonzero(sides == 0)[-1]) + 1
    parts = tuple(-side * part for part in _parts(legs, states))
    return Spell(pair=pair, side=side, opened=opened + formation.first, share=1.0 / (1.0 + float(states[opened, 1])), parts=parts)


def _parts(legs: Floats, states: Floats) -> Iterator[float]:
    """What the newest innovation's z is made of: the move of y, the hedged move of x, and the spread as it was before, leg by leg."""
    (y, x), (y_before, x_before) = legs[:, -1], legs[:, -2]
    alpha, beta = states[-2, :2]
    deviation = np.sqrt(states[-1, 3])
    for part in (y - y_before, -beta * (x - x_before), y_before - alpha, -beta * x_before):
        yield float(part / deviation)
