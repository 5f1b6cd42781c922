"""The market's regime as a decision sees it: how much less than usual the covariance of the past is to be trusted."""

import math
from dataclasses import dataclass

from daemon.readings import asset_returns
from daemon.store.view import View
from risk.regime import volatility_ratio_delta


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRegime:
    """delta: covariance uncertainty, >= 0, of the min-max optimisation. probability: filtered probability of the turbulent state,
    NaN without a model. source: "hmm", or what stood in for it and why. model: identity of the trained artefact, "" without one.
    """

    delta: float
    probability: float
    source: str
    model: str


def market_regime(view: View, benchmark: str, *, max_delta: float) -> MarketRegime:
    """The regime known at the view's instant."""
    spot = asset_returns(view, [benchmark])
    returns = spot.iloc[:, 0].dropna() if spot.shape[1] else spot.sum(axis=1)
    delta = volatility_ratio_delta(returns, max_delta=max_delta) if len(returns) > 20 else 0.0
    return MarketRegime(delta=delta, probability=math.nan, source="volatility ratio: no model is trained yet", model="")
