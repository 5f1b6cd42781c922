"""What the account could lose in the coming session: the tail of its portfolio as it will stand after the planned orders."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from daemon.readings import asset_returns
from daemon.store.view import View
from execution.planning import Plan, SleeveState
from risk.history import complete_returns
from risk.var import tail_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One-day historical VaR and CVaR, positive losses, and the daily standard deviation, as fractions of NAV, over n_sessions of
    returns known before the session. Zeros when nothing is held, or nothing is known of what is held."""

    var95: float = 0.0
    cvar95: float = 0.0
    var99: float = 0.0
    volatility: float = 0.0
    n_sessions: int = 0


NOTHING_HELD = Forecast()


def account_weights(holdings: Mapping[str, SleeveState], prices: Mapping[str, Decimal], nav: Decimal) -> dict[str, float]:
    """What the account holds by symbol, signed fractions of NAV, all holders together; a position without a price counts as nothing."""
    held: dict[str, Decimal] = {}
    for _, state in sorted(holdings.items()):
        for symbol, qty in state.positions.items():
            held[symbol] = held.get(symbol, Decimal(0)) + qty
    return {symbol: float(qty * prices.get(symbol, Decimal(0)) / nav) for symbol, qty in sorted(held.items())} if nav > 0 else {}


def after_orders(weights: Mapping[str, float], plan: Plan, nav: Decimal) -> dict[str, float]:
    """The same weights once every order of the plan has traded at its decision price; trades between sleeves change nothing."""
    moved = dict(weights)
    for order in plan.orders:
        signed = order.request.qty if order.request.side == "buy" else -order.request.qty
        moved[order.request.symbol] = moved.get(order.request.symbol, 0.0) + float(signed * order.decision_price / nav)
    return moved


def forecast(view: View, weights: Mapping[str, float]) -> Forecast:
    """The tail of weights (signed fractions of NAV by symbol) over the view's daily returns, gaps filled as in an allocation."""
    symbols = sorted(s for s, w in weights.items() if w)
    if not symbols:
        return NOTHING_HELD
    returns = asset_returns(view, symbols).reindex(columns=symbols)
    complete, _ = complete_returns(returns.to_numpy(dtype=np.float64), symbols)
    if len(complete) == 0:
        return NOTHING_HELD
    outcomes = complete @ np.array([weights[s] for s in symbols])
    (var95, cvar95), (var99, _) = tail_figures(outcomes, 0.95), tail_figures(outcomes, 0.99)
    volatility = float(outcomes.std(ddof=1)) if len(outcomes) > 1 else 0.0
    if not math.isfinite(var95 + cvar95 + var99 + volatility):
        return NOTHING_HELD
    # Adding zero makes the -0.0 of a portfolio that never moved a plain zero.
    return Forecast(var95=var95 + 0.0, cvar95=cvar95 + 0.0, var99=var99 + 0.0, volatility=volatility, n_sessions=len(outcomes))
