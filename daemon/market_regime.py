"""The market's regime as a decision sees it: how much less than usual the covariance of the past is to be trusted."""

import math
from dataclasses import dataclass
from typing import Any

from daemon.artefacts import Artefact
from daemon.readings import asset_returns
from daemon.store.view import View
from risk.errors import RiskError
from risk.regime import RegimeModel, volatility_ratio_delta
from strategies.regime_features import FILTER_SESSIONS, regime_features, why_unusable

__all__ = ["NAME", "MarketRegime", "identity", "market_regime", "regime_features"]

NAME = "market_regime"


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
    """The regime known at the view's instant: delta is `max_delta` times the filtered probability of the most turbulent state.

    The state is that of the newest trained model which the view knows, filtered over the benchmark's returns and the VIX of the last
    252 sessions. Without a model, without features of the last three sessions, or with a model that cannot read them, the ratio of
    recent to long-run volatility stands in, and `source` says why.
    """
    artefact = view.newest_artefact(NAME)
    if artefact is None:
        return _stand_in(view, benchmark, max_delta, "no model is trained yet")
    features = regime_features(view, benchmark, FILTER_SESSIONS)
    if why := why_unusable(view, features):
        return _stand_in(view, benchmark, max_delta, why)
    try:
        probability = float(_model(artefact).filtered(features).to_numpy()[-1, -1])
    except (RiskError, TypeError) as error:
        return _stand_in(view, benchmark, max_delta, f"the model of {artefact.training_end} failed: {error}")
    return MarketRegime(delta=max_delta * probability, probability=probability, source="hmm", model=identity(artefact))


def identity(artefact: Artefact) -> str:
    """An artefact in one word for a record: name, training end and the beginning of its hash."""
    return f"{artefact.name}@{artefact.training_end.isoformat()}#{artefact.hash[:16]}"


def _model(artefact: Artefact) -> RegimeModel:
    params: dict[str, Any] = dict(artefact.params)
    return RegimeModel(**params)


def _stand_in(view: View, benchmark: str, max_delta: float, why: str) -> MarketRegime:
    spot = asset_returns(view, [benchmark])
    returns = spot.iloc[:, 0].dropna() if spot.shape[1] else spot.sum(axis=1)
    delta = volatility_ratio_delta(returns, max_delta=max_delta) if len(returns) > 20 else 0.0
    return MarketRegime(delta=delta, probability=math.nan, source=f"volatility ratio: {why}", model="")
