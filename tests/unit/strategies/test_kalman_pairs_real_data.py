"""Pairs over six years of real prices: sensible, valid, and the same from day to day while nothing happens."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from strategies import resolve_params
from strategies.base import Targets
from strategies.catalog.kalman_pairs import STRATEGY
from strategies.conformance.memory import MemoryWorld
from strategies.spread_simulation import simulate

LONG_AGO = datetime(2012, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def market(shared_data: Path) -> MemoryWorld:
    """Every stock of the archive as a member of the index, with its sector of today."""
    rows = pd.read_parquet(shared_data / "data" / "prices" / "sp500_daily_2013_2021q1.parquet")
    rows["date"] = pd.to_datetime(rows["date"])
    frames = {name: rows.pivot(index="date", columns="ticker", values=name).astype("float64") for name in ("close", "adj_close", "volume")}
    listed = pd.read_csv(shared_data / "data" / "universe" / "sp500_constituents_2026-08-08.csv")
    names = set(frames["close"].columns)
    sectors = {symbol: sector for symbol, sector in zip(listed["Symbol"], listed["GICS Sector"], strict=True) if symbol in names}
    stamps = {name: pd.Series(dtype="datetime64[us, UTC]") for name in ("event_at", "known_at")}
    return MemoryWorld(
        closes=frames["close"],
        adj_closes=frames["adj_close"],
        volumes=frames["volume"],
        events={"assets": pd.DataFrame({"row_key": pd.Series(dtype="object"), **stamps})},
        members={"sp500": [(symbol, LONG_AGO) for symbol in sorted(names)]},
        sectors=sectors,
    )


def after(market: MemoryWorld, session: pd.Timestamp, **overrides: object) -> Targets:
    asof = datetime.combine(session.date() + timedelta(days=1), time(13), UTC)
    return STRATEGY.run(market.at(asof), **resolve_params(STRATEGY, overrides))


def test_every_quarter_has_balanced_pairs_of_one_sector(market: MemoryWorld) -> None:
    days = market.closes.index[market.closes.index >= "2015-01-05"][::63]
    held = 0
    for day in days:
        found = after(market, day)
        assert found.weights.abs().sum() <= 1.0
        assert (found.scores > 0).all() and found.scores.is_monotonic_decreasing
        sums = found.evidence.groupby("symbol")["contribution"].sum()
        np.testing.assert_allclose(sums[found.scores.index].to_numpy(), found.scores.to_numpy(), rtol=1e-9)
        for _, rows in found.evidence.groupby("symbol"):
            assert len({market.sectors[key.split("@")[0]] for key in rows["row_key"]}) == 1
        by_sector = found.weights.groupby([market.sectors[symbol] for symbol in found.weights.index])
        assert (by_sector.min() < 0).all() and (by_sector.max() > 0).all()
        held += len(found.weights) > 0
    assert held >= 0.7 * len(days)


def test_what_is_held_from_one_day_to_the_next_has_the_same_weight_to_the_last_bit(market: MemoryWorld) -> None:
    first = int(market.closes.index.searchsorted(pd.Timestamp("2019-09-16")))
    days = market.closes.index[first : first + 45]
    targets = [after(market, day).weights.sort_index() for day in days]
    same = [(one, other) for one, other in pairwise(targets) if list(one.index) == list(other.index)]
    assert 22 <= len(same) < 44  # something happened, on fewer than every second day
    for one, other in same:
        assert one.to_numpy().tobytes() == other.to_numpy().tobytes()


def test_without_short_sales_no_weight_is_negative(market: MemoryWorld) -> None:
    for day in market.closes.index[600::400]:
        weights = after(market, day, **STRATEGY.long_only).weights
        assert (weights > 0).all() and 0.5 < weights.sum() <= 1.0 + 1e-12


def test_a_real_pair_is_compared_with_luck(market: MemoryWorld) -> None:
    prices = market.adj_closes.loc["2018-04-01":]
    rule = {name: STRATEGY.params[name].default for name in ("delta", "observation_variance", "entry", "exit_", "stop", "max_sessions")}
    found = simulate(prices["WELL"], prices["VTR"], paths=200, seed=0, **rule)
    assert found.realised_trades > 0
    assert 0.8 < found.correlation < 1.0
    assert 0 < found.p_value <= 1
