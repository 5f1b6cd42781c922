"""The forecast of a session's loss: of the portfolio as it will stand, over returns that were known before."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.forecast import NOTHING_HELD, account_weights, after_orders, forecast
from daemon.readings import asset_returns
from execution.base import OrderRequest
from execution.planning import Plan, PlannedOrder, SleeveState
from risk.var import historical_cvar, historical_var
from tests.unit.daemon.archive_rows import Market, before_open

TODAY = 40


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Two lively symbols, and one that is only twenty sessions old."""
    market, rng = Market(tmp_path), np.random.default_rng(1)
    for symbol, first in (("A", 0), ("B", 0), ("YOUNG", TODAY - 20)):
        price = 50.0
        for place in range(first, TODAY):
            price *= 1 + rng.normal(0, 0.02)
            market.bar(symbol, place, round(price, 4))
    return market


def state(**positions: int) -> SleeveState:
    return SleeveState(cash=Decimal(0), positions={s: Decimal(q) for s, q in positions.items()})


def planned(symbol: str, side: str, qty: str, price: str) -> PlannedOrder:
    request = OrderRequest(client_order_id=f"t-{symbol}", symbol=symbol, side=side, qty=Decimal(qty))
    return PlannedOrder(request=request, shares={}, decision_price=Decimal(price))


def test_the_weights_of_an_account_are_those_of_all_holders_together_and_unpriced_ones_count_as_nothing() -> None:
    holdings = {"s": state(A=10, GONE=5), "suspense": state(A=-2, B=4)}
    prices = {"A": Decimal(50), "B": Decimal(25)}
    assert account_weights(holdings, prices, Decimal(1000)) == {"A": 0.4, "B": 0.1, "GONE": 0.0}
    assert account_weights(holdings, prices, Decimal(0)) == {}


def test_orders_move_the_weights_by_their_value_at_the_decision_price() -> None:
    plan = Plan(orders=(planned("A", "sell", "4", "50"), planned("C", "buy", "3", "100")), crosses=(), transfers=(), skipped=())
    assert after_orders({"A": 0.4, "B": 0.1}, plan, Decimal(1000)) == pytest.approx({"A": 0.2, "B": 0.1, "C": 0.3})


def test_the_forecast_is_the_historical_tail_of_the_weights(market: Market) -> None:
    view = market.view(before_open(TODAY))
    weights = {"A": 0.5, "B": -0.2}
    returns = asset_returns(view, ["A", "B"])
    outcomes = (returns * pd.Series(weights)).sum(axis=1, min_count=2).dropna()
    found = forecast(view, weights)
    assert found.n_sessions == len(outcomes) == TODAY - 1
    assert found.var95 == pytest.approx(historical_var(outcomes, 0.95))
    assert found.cvar95 == pytest.approx(historical_cvar(outcomes, 0.95))
    assert found.var99 == pytest.approx(historical_var(outcomes, 0.99))
    assert found.volatility == pytest.approx(outcomes.std())
    assert 0 < found.var95 <= found.cvar95


def test_a_young_asset_is_as_risky_as_its_company_before_it_existed(market: Market) -> None:
    view = market.view(before_open(TODAY))
    returns = asset_returns(view, ["A", "YOUNG"]).dropna(how="all")
    filled = returns.assign(YOUNG=returns["YOUNG"].fillna(returns["A"]))
    assert forecast(view, {"A": 0.5, "YOUNG": 0.5}).var95 == pytest.approx(historical_var(filled.mean(axis=1), 0.95))


def test_nothing_held_or_nothing_known_is_a_forecast_of_zeros(market: Market) -> None:
    view = market.view(before_open(TODAY))
    assert forecast(view, {}) == forecast(view, {"A": 0.0}) == forecast(view, {"NEVER": 1.0}) == NOTHING_HELD


def test_the_forecast_does_not_see_the_session_it_is_for(market: Market) -> None:
    before = forecast(market.view(before_open(TODAY)), {"A": 1.0})
    market.bar("A", TODAY, 1.0)
    assert forecast(market.view(before_open(TODAY)), {"A": 1.0}) == before
