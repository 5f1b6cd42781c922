"""Regime allocation, against a filter and a covariance worked out here."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import ledoit_wolf

from strategies.base import Targets
from strategies.catalog.regime_allocation import run
from strategies.conformance.memory import MemoryWorld, bars_known_at, prices

ASOF = datetime(2021, 3, 5, 13, 0, tzinfo=UTC)
THURSDAY = "2021-03-04"
FUNDS = ("SPY", "IEF", "TLT", "GLD")
MODEL = {
    "startprob": [0.5, 0.5],
    "transmat": [[0.95, 0.05], [0.10, 0.90]],
    "means": [[0.05, 2.6], [-0.05, 3.4]],
    "covars": [[[0.5, 0.0], [0.0, 0.04]], [[4.0, 0.0], [0.0, 0.09]]],
}


def paths(*, loud: float = 1.0) -> pd.DataFrame:
    """Three hundred sessions of the four funds at one, half, one and one percent a day; the last 21 returns of SPY are `loud`er."""
    returns = np.random.default_rng(5).normal(0.0, (0.01, 0.003, 0.006, 0.008), (300, 4))
    returns[-21:, 0] *= loud
    return prices(dict(zip(FUNDS, (100.0 * np.cumprod(1.0 + returns, axis=0)).T.tolist(), strict=True)), THURSDAY)


def vix_rows(sessions: Sequence[pd.Timestamp], levels: Sequence[float]) -> pd.DataFrame:
    known = pd.to_datetime([bars_known_at(session) for session in sessions], utc=True)
    columns = {"session": [session.date() for session in sessions], "close": levels, "row_key": [f"vix-{s.date()}" for s in sessions]}
    return pd.DataFrame({**columns, "event_at": known, "known_at": known})


def world(closes: pd.DataFrame, level: float = 14.0, model: Any = MODEL, **parts: Any) -> MemoryWorld:
    events = {"vix": vix_rows(list(closes.index), [level] * len(closes))}
    artifacts = {"market_regime": [(ASOF - timedelta(days=5), {"params": model})]} if model else {}
    return MemoryWorld(**{"closes": closes, "adj_closes": closes, "events": events, "artifacts": artifacts, **parts})


def at(closes: pd.DataFrame, *args: Any, **parts: Any) -> Targets:
    return run(world(closes, *args, **parts).at(ASOF), target_vol=0.40)


def filtered(closes: pd.DataFrame, level: float) -> float:
    """Probability of the second state after 252 sessions, Hamilton's recursion."""
    returns = 100.0 * closes["SPY"].pct_change().to_numpy()[-252:]
    chance = np.array(MODEL["startprob"])
    for day, value in enumerate(returns):
        chance = chance @ np.array(MODEL["transmat"]) if day else chance
        for state in (0, 1):
            distance = (np.array([value, math.log(level)]) - MODEL["means"][state]) ** 2 / np.diag(MODEL["covars"][state])
            chance[state] *= math.exp(-distance.sum() / 2) / math.sqrt(np.prod(np.diag(MODEL["covars"][state])))
        chance = chance / chance.sum()
    return float(chance[1])


@pytest.mark.parametrize("level", [13.0, 19.5, 21.0, 40.0])
def test_the_mixes_are_blended_by_the_filtered_probability_of_turbulence(level: float) -> None:
    closes = paths()
    turbulent = filtered(closes, level)
    weights = at(closes, level).weights
    assert weights["SPY"] == pytest.approx(0.8 - 0.6 * turbulent)
    assert weights["IEF"] == pytest.approx(0.1 + 0.4 * turbulent)
    assert weights["GLD"] == pytest.approx(0.1 + 0.2 * turbulent)


def test_the_probabilities_of_that_test_are_not_all_the_same() -> None:
    assert filtered(paths(), 13.0) < 0.01 < 0.1 < filtered(paths(), 19.5) < 0.97 < filtered(paths(), 40.0)


def test_the_sleeve_is_scaled_down_to_the_target_volatility_and_the_rest_is_cash() -> None:
    closes = paths()
    returns = closes[["SPY", "IEF", "GLD"]].pct_change().to_numpy()[-126:]
    cov = 252 * ledoit_wolf(returns)[0]
    full = at(closes).weights[["SPY", "IEF", "GLD"]].to_numpy()
    scale = 0.05 / math.sqrt(full @ cov @ full)
    targets = run(world(closes).at(ASOF), target_vol=0.05)
    assert scale < 1.0
    assert targets.weights[["SPY", "IEF", "GLD"]].tolist() == pytest.approx((scale * full).tolist())


def test_the_newest_bar_carries_the_calm_mix_and_the_vix_what_turbulence_moves() -> None:
    closes = paths()
    turbulent = filtered(closes, 21.0)
    evidence = at(closes, 21.0).evidence
    parts = {(row.row_key, row.symbol): row.contribution for row in evidence.itertuples()}
    assert parts[f"SPY@{THURSDAY}", "SPY"] == pytest.approx(0.8)
    assert parts[f"vix-{THURSDAY}", "SPY"] == pytest.approx(-0.6 * turbulent)
    assert parts[f"vix-{THURSDAY}", "GLD"] == pytest.approx(0.2 * turbulent)
    assert len(parts) == 6


def test_a_model_known_later_is_not_used() -> None:
    later = {"market_regime": [(ASOF + timedelta(days=1), {"params": MODEL})]}
    targets = at(paths(), 40.0, artifacts=later)
    assert targets.skipped == {"market_regime": "volatility ratio instead: no model is trained yet"}


def test_without_a_model_turbulence_is_the_rise_of_volatility() -> None:
    closes = paths(loud=2.0)
    spy = closes["SPY"].pct_change()
    rise = float(spy[-21:].std() / spy[-252:].std()) - 1.0
    targets = at(closes, model=None)
    assert 0.0 < rise < 1.0
    assert targets.weights["SPY"] == pytest.approx(0.8 - 0.6 * rise)
    parts = {(row.row_key, row.symbol): row.contribution for row in targets.evidence.itertuples()}
    assert parts[f"SPY@{THURSDAY}", "SPY"] == pytest.approx(0.8 - 0.6 * rise)
    assert parts[f"SPY@{THURSDAY}", "GLD"] == pytest.approx(0.2 * rise)


def test_twice_the_usual_volatility_is_all_turbulence() -> None:
    assert at(paths(loud=8.0), model=None).weights["SPY"] == pytest.approx(0.2)


def test_a_vix_of_four_sessions_ago_is_stale_and_of_three_is_not() -> None:
    closes = paths()
    sessions = list(closes.index)
    fresh = at(closes, events={"vix": vix_rows(sessions[:-3], [14.0] * 297)})
    stale = at(closes, events={"vix": vix_rows(sessions[:-4], [14.0] * 296)})
    assert fresh.skipped == {}
    assert stale.skipped == {"market_regime": "volatility ratio instead: VIX or benchmark end on 2021-02-26, 4 sessions ago"}


@pytest.mark.parametrize("model", [{"startprob": [1.0]}, {**MODEL, "covars": [[[0.0, 0.0], [0.0, 0.0]]] * 2}, {**MODEL, "startprob": "x"}])
def test_a_model_that_cannot_be_read_is_replaced_and_named(model: Any) -> None:
    targets = at(paths(), model=model)
    assert targets.skipped["market_regime"].startswith("volatility ratio instead: the ")
    assert targets.weights.sum() == pytest.approx(1.0)


def test_long_bonds_stand_in_for_those_without_prices_and_missing_gold_stays_cash() -> None:
    closes = paths()
    closes["IEF"] = np.nan
    closes.loc[closes.index[-100:-95], "GLD"] = np.nan
    targets = at(closes)
    assert targets.weights.to_dict() == pytest.approx({"SPY": 0.8, "TLT": 0.1}, abs=1e-3)
    assert targets.skipped == {"GLD": "5 of 253 sessions have no price", "IEF": "no bars"}


@pytest.mark.parametrize("row", [-1, -2, -60])
def test_a_wrong_tick_of_the_benchmark_is_as_good_as_no_price(row: int) -> None:
    """Otherwise a day of 99,900 % would leave nothing invested at a volatility of 10 %."""
    ticked, missing = paths(), paths()
    ticked.loc[ticked.index[row], "SPY"] *= 1000.0
    missing.loc[missing.index[row], "SPY"] = np.nan
    wrong, none = (run(world(closes).at(ASOF)) for closes in (ticked, missing))
    assert wrong.weights.to_dict() == none.weights.to_dict()
    assert wrong.weights.sum() > 0.75  # four fifths in SPY at 16 % a year make 12.7 %, and 0.10 / 0.127 = 0.79
    assert wrong.evidence["row_key"].tolist() == none.evidence["row_key"].tolist()


def test_without_stocks_nothing_is_held() -> None:
    targets = at(paths().drop(columns="SPY"))
    assert targets.weights.empty and targets.skipped == {"SPY": "no bars"}
