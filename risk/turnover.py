"""How far one decision may move the portfolio: from what is held, made lawful first, as near to the target as the cap allows."""

from dataclasses import dataclass

import numpy as np

from risk.inputs import FloatArray

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Three portfolios by asset (n_assets,), fractions of NAV. held: all that is held now. start: what of it may stay under every
    other cap, so that held - start is sold whatever it costs. target: where the decision wants to go."""

    held: FloatArray
    start: FloatArray
    target: FloatArray

    def turnover(self, reached: FloatArray) -> float:
        """sum|reached - held|, two-sided."""
        return float(np.abs(reached - self.held).sum())

    def at(self, fraction: float) -> FloatArray:
        """The portfolio after `fraction` of the way from start to target."""
        if fraction >= 1.0:
            return self.target
        mixed: FloatArray = self.start + fraction * (self.target - self.start)
        return mixed

    def allowed(self, max_turnover: float) -> float:
        """The turnover that is lawful: the cap, or what forced selling needs where that is more."""
        return max(max_turnover, self.turnover(self.start))

    def farthest(self, max_turnover: float) -> float:
        """The largest fraction in [0, 1] of the way from start to target whose turnover is at most `max_turnover`.

        0 where no fraction is: forced selling has priority, and nothing else is traded. The turnover is convex and piecewise linear
        along the way, with a knot wherever a weight passes the held one, so that the fraction is exact.
        """
        if self.turnover(self.target) <= max_turnover + ROUNDING:
            return 1.0
        offset, move = self.start - self.held, self.target - self.start
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            passes = -offset / move
        knots = np.unique(np.concatenate([[0.0, 1.0], passes[(passes > 0) & (passes < 1)]]))
        costs = np.abs(offset + knots[:, None] * move).sum(axis=1)
        within = np.flatnonzero(costs <= max_turnover)
        if len(within) == 0:
            return 0.0
        last = min(int(within[-1]), len(knots) - 2)
        share = (max_turnover - costs[last]) / (costs[last + 1] - costs[last])
        return float(knots[last] + share * (knots[last + 1] - knots[last]))
