"""The other side of every trade: quotes around a reference price, worse the deeper an order reaches into them."""

import math
from dataclasses import dataclass
from itertools import pairwise

from execution.base import Side
from execution.exchange.units import SHARE

# Cumulative share of the session's volume at which each level ends; the last level has no end.
LEVEL_FRACS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ENDLESS = 10**30


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidityOptions:
    """What trading costs.

    half_spread_bps: distance of the best quote from the reference price, in basis points.
    impact_bps: extra distance for a quantity as large as the session's whole volume. It grows with the square root of quantity
        over volume (Toth et al. 2011, Anomalous price impact and the critical nature of liquidity), in steps of a factor of
        ten. 0 turns it off; so does a bar without volume.
    refill_s: seconds until quotes that an order has used up are there again for its remainder.
    """

    half_spread_bps: float = 2.0
    impact_bps: float = 50.0
    refill_s: float = 60.0


def quote_ticks(taker: Side, reference_ticks: float, distance_bps: float) -> int:
    """The quote that a taker meets, in ticks: an ask rounds up and a bid down, never below one tick."""
    offset = reference_ticks * distance_bps * 1e-4
    # A thousandth of a tick absorbs binary rounding, so that a distance of zero quotes the reference itself.
    if taker == "buy":
        return max(1, math.ceil(reference_ticks + offset - 1e-3))
    return max(1, math.floor(reference_ticks - offset + 1e-3))


def ladder(taker: Side, qty: int, reference_ticks: float, volume: float | None, options: LiquidityOptions) -> list[tuple[int, int]]:
    """Quotes deep enough for a taker of `qty` units, best first, as (ticks, units).

    reference_ticks: price in ticks. volume: shares traded in the session, None or 0 when unknown: then one endless level.
    """
    if not volume or options.impact_bps <= 0:
        return [(quote_ticks(taker, reference_ticks, options.half_spread_bps), ENDLESS)]
    levels: list[tuple[int, int]] = []
    reached = 0
    for start, end in pairwise(LEVEL_FRACS):
        ticks = quote_ticks(taker, reference_ticks, options.half_spread_bps + options.impact_bps * math.sqrt(start))
        size = max(1, int((end - start) * volume)) * SHARE
        levels.append((ticks, size))
        reached += size
        if reached >= qty:
            return levels
    last = quote_ticks(taker, reference_ticks, options.half_spread_bps + options.impact_bps)
    return [*levels, (last, ENDLESS)]
