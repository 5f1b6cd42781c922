"""Whether the pairs that a pairs strategy held could have done as well by chance: its rule over simulated spreads that never revert."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from strategies.base import DataView, Strategy, Targets
from strategies.errors import StrategyError
from strategies.spread_simulation import SpreadSimulation
from strategies.spread_simulation import simulate as simulate_spread

RULE: Final = ("delta", "observation_variance", "entry", "exit_", "stop", "max_sessions", "formation")
"""Parameters by which a strategy is known as one of pairs, and which its rule goes by."""
MOST_PAIRS: Final = 5
SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadNull:
    """One pair: y is hedged with x, held on so many evaluations; and its rule against simulated spreads. reason: why there are none."""

    y: str
    x: str
    held: int
    simulation: SpreadSimulation | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values: the null's Sharpe ratios by their mean and their 95th percentile."""
        told: dict[str, Any] = {"y": self.y, "x": self.x, "held": self.held, "reason": self.reason}
        if (s := self.simulation) is not None:
            told |= {
                "sharpe": s.realised_sharpe,
                "trades": s.realised_trades,
                "p_value": s.p_value,
                "paths": len(s.null_sharpes),
                "null_sharpe_mean": float(np.mean(s.null_sharpes)),
                "null_sharpe_p95": float(np.quantile(s.null_sharpes, 0.95)),
                "null_trades_mean": s.mean_trades,
            }
        return told


def trades_pairs(strategy: Strategy) -> bool:
    """Whether a strategy goes by the rule of `strategies.pairs`."""
    return set(RULE) <= set(strategy.params)


def pairs_held(targets: Mapping[date, Targets]) -> list[tuple[str, str, int]]:
    """(y, x, number of evaluations) of the pairs that were held, those held longest first.

    A pair is read from the evidence of a leg that is in no other pair: bars of two symbols, those of y first.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for found in targets.values():
        counts.update(set(_pairs(found.evidence)))
    return [(y, x, n) for (y, x), n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def _pairs(evidence: pd.DataFrame) -> list[tuple[str, str]]:
    legs: dict[str, dict[str, None]] = {}
    for symbol, key in zip(evidence["symbol"], evidence["row_key"], strict=True):
        legs.setdefault(str(symbol), {})[str(key).rpartition("@")[0]] = None
    named = [tuple(found) for found in legs.values()]
    return [(found[0], found[1]) for found in named if len(found) == 2]


def spread_nulls(targets: Mapping[date, Targets], params: Mapping[str, Any], view: DataView, sessions: int, paths: int) -> list[SpreadNull]:
    """The MOST_PAIRS pairs held longest, each over the last `sessions` sessions of the view, after the formation before them.

    The rule runs over the whole span with one formation, before costs: it judges the pair and the rule, not the strategy's own choice of
    when to trade it.
    """
    return [_null(y, x, held, params, view, sessions, paths) for y, x, held in pairs_held(targets)[:MOST_PAIRS]]


def _null(y: str, x: str, held: int, params: Mapping[str, Any], view: DataView, sessions: int, paths: int) -> SpreadNull:
    prices = view.bars("adj_close", sessions + int(params["formation"]), [y, x]).dropna()
    try:
        found = simulate_spread(prices[y], prices[x], paths=paths, seed=SEED, **{name: params[name] for name in RULE})
    except StrategyError as error:
        return SpreadNull(y=y, x=x, held=held, reason=str(error))
    return SpreadNull(y=y, x=x, held=held, simulation=found)


def text_lines(nulls: Sequence[SpreadNull], paths: int) -> list[str]:
    """A line per pair, for a terminal."""
    lines = [f"pairs held longest, each against {paths} simulated spreads of geometric Brownian motion (before costs, one formation):"]
    for null in nulls:
        s = null.simulation
        told = (
            f"not simulated: {null.reason}"
            if s is None
            else f"Sharpe {s.realised_sharpe:.2f} in {s.realised_trades} trades, by chance {np.mean(s.null_sharpes):.2f} "
            f"in {s.mean_trades:.1f}, p {s.p_value:.3f}"
        )
        lines.append(f"{null.y}/{null.x}  held on {null.held} evaluations  {told}")
    return lines
