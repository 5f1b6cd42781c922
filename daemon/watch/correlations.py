"""How much the market moves as one: correlation of what is held, with the benchmark, and of the index where little is held."""

import numpy as np
import pandas as pd

from daemon.watch.result import CorrelationState
from daemon.watch.scope import Scope
from risk.errors import BadInput
from risk.regime import correlation_regime

WINDOW_SESSIONS = 60
FEWEST_ASSETS, MOST_STOCKS = 5, 50
CRISIS = 0.5
"""A lower average is no crisis, however unusual it is; a higher one is, if it is unusual for these assets."""


def correlation(scope: Scope) -> CorrelationState:
    """State over the newest 60 sessions, of the assets with a return on each of them. Raises BadInput below five such assets."""
    returns, note = _returns(scope)
    newest = correlation_regime(returns.iloc[-WINDOW_SESSIONS:], window=WINDOW_SESSIONS).iloc[-1]
    average = float(newest["average_correlation"])
    unusual = average > CRISIS and bool(correlation_regime(returns, window=WINDOW_SESSIONS)["crisis"].iloc[-1])
    return CorrelationState(
        average=average, concentration=float(newest["concentration"]), crisis=unusual, note=f"{returns.shape[1]} assets, {note}"
    )


def _returns(scope: Scope) -> tuple[pd.DataFrame, str]:
    """Two years of returns (n_sessions, n_assets) of those assets that have one on each of the newest 60 sessions, and who they are."""
    names, note = [*scope.weights.index, scope.benchmark], "of what is held, and the benchmark"
    if len(set(names)) < FEWEST_ASSETS:
        step = max(1, -(-len(scope.members) // MOST_STOCKS))
        names, note = [*names, *scope.members[::step]], "of members of the index, little being held"
    found = scope.returns[[s for s in sorted(set(names)) if s in scope.returns.columns]]
    values = found.to_numpy()[-WINDOW_SESSIONS:]
    whole = np.isfinite(values).all(axis=0)
    whole[whole] = np.ptp(values[:, whole], axis=0) > 0 if len(values) else False
    if len(values) < WINDOW_SESSIONS or whole.sum() < FEWEST_ASSETS:
        raise BadInput(f"{int(whole.sum())} assets have a return on each of {WINDOW_SESSIONS} sessions, {FEWEST_ASSETS} needed")
    return found.loc[:, whole], note
