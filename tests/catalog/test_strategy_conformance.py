"""Every strategy of the catalog, held to the same promises over a generated market."""

import inspect
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from strategies import CATALOG, resolve_params
from strategies.base import EVIDENCE_COLUMNS, Strategy, Targets
from strategies.catalog.leveraged_sector_momentum import FUNDS as LEVERAGED
from strategies.catalog.sector_risk_parity_momentum import FUNDS as SECTORS
from tests.catalog.memory_view import MemoryWorld, congress_rows, weekdays

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
SESSIONS = 400
STRATEGIES = [pytest.param(strategy, id=name) for name, strategy in CATALOG.items()]
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@cache
def world(n_stocks: int = 60, n_trades: int = 400) -> MemoryWorld:
    """A market with a past and forty sessions of future; some stocks are young, some have holes."""
    rng = np.random.default_rng(7)
    stocks = [f"S{i:03d}" for i in range(n_stocks)]
    symbols = [*stocks, *SECTORS, *LEVERAGED]
    sessions = weekdays("2021-05-07", SESSIONS)
    factor = rng.normal(0.0006, 0.010, (SESSIONS, 1))
    returns = factor * rng.uniform(0.5, 2.5, len(symbols)) + rng.normal(0.0003, 0.015, (SESSIONS, len(symbols)))
    closes = pd.DataFrame(100.0 * np.exp(np.cumsum(returns, axis=0)), index=sessions, columns=symbols)
    closes.iloc[:300, 3] = np.nan
    closes.iloc[200:203, 5] = np.nan
    closes.iloc[250:, 7] = np.nan
    adj_closes = closes * np.linspace(0.95, 1.0, SESSIONS)[:, None]
    known = [ASOF - timedelta(days=int(day), hours=3) for day in rng.integers(-30, 120, n_trades)]
    kinds = rng.choice(["purchase", "sale_full", "sale_partial", "exchange"], n_trades, p=[0.6, 0.2, 0.15, 0.05])
    lows = rng.choice([1001.0, 15001.0, 50001.0, 100001.0], n_trades)
    trades = congress_rows(
        [
            {"symbol": str(rng.choice(stocks)), "known_at": at, "transaction": kind, "amount_low_usd": low, "amount_high_usd": 3 * low}
            for at, kind, low in zip(known, kinds, lows, strict=True)
        ]
    )
    members = [(stock, ASOF - timedelta(days=900) + timedelta(days=30 * (i % 35))) for i, stock in enumerate(stocks)]
    return MemoryWorld(closes=closes, adj_closes=adj_closes, events={"congress_trades": trades}, members={"sp500": members})


def emptied(source: MemoryWorld) -> MemoryWorld:
    """The same world before anything happened."""
    return replace(
        source,
        closes=source.closes.iloc[:0],
        adj_closes=source.adj_closes.iloc[:0],
        events={name: rows.iloc[:0] for name, rows in source.events.items()},
        members=dict.fromkeys(source.members, ()),
    )


def run(strategy: Strategy, view: Any, overrides: Mapping[str, Any] | None = None) -> Targets:
    return strategy.run(view, **resolve_params(strategy, overrides))


def rendered(targets: Targets) -> bytes:
    """Targets as bytes: equal bytes, equal to the last bit and in the same order."""
    numbers = (
        targets.weights.to_numpy().tobytes() + targets.scores.to_numpy().tobytes() + targets.evidence["contribution"].to_numpy().tobytes()
    )
    words = (list(targets.weights.index), list(targets.scores.index), targets.evidence.iloc[:, :3].to_numpy().tolist(), targets.skipped)
    return numbers + repr(words).encode()


def assert_valid(targets: Targets) -> None:
    weights = targets.weights
    assert weights.dtype == np.float64 and targets.scores.dtype == np.float64
    assert np.isfinite(weights.to_numpy()).all()
    assert weights.abs().sum() <= 1.0 + 1e-12
    assert weights.index.is_unique
    assert list(targets.scores.index) == list(weights.index)
    assert tuple(targets.evidence.columns) == EVIDENCE_COLUMNS
    assert set(targets.evidence["symbol"]) == set(weights.index)
    assert not set(targets.skipped) & set(weights.index)
    assert all(targets.skipped.values())


def bounds(strategy: Strategy) -> Iterator[dict[str, Any]]:
    """Each parameter at each of its bounds alone, then all low and all high together."""
    low = {name: (param.choices[0] if param.choices else type(param.default)(param.low)) for name, param in strategy.params.items()}
    high = {name: (param.choices[-1] if param.choices else type(param.default)(param.high)) for name, param in strategy.params.items()}
    for name, param in strategy.params.items():
        for value in (*param.choices, low[name], high[name]):
            yield {name: value}
    yield low
    yield high


def test_the_catalog_holds_one_strategy_per_file_by_name() -> None:
    assert {"congress_aggregate", "leveraged_sector_momentum", "sector_risk_parity_momentum", "volatility_scaled_momentum"} <= set(CATALOG)
    assert list(CATALOG) == sorted(CATALOG)
    assert all(name == strategy.name for name, strategy in CATALOG.items())


@every_strategy
def test_declared_parameters_are_the_keyword_only_arguments_with_the_same_defaults(strategy: Strategy) -> None:
    _, *knobs = inspect.signature(strategy.run).parameters.values()
    assert all(knob.kind is inspect.Parameter.KEYWORD_ONLY for knob in knobs)
    assert {knob.name: knob.default for knob in knobs} == {name: param.default for name, param in strategy.params.items()}
    assert resolve_params(strategy) == {name: param.default for name, param in strategy.params.items()}


@every_strategy
def test_every_parameter_has_a_meaning_and_bounds(strategy: Strategy) -> None:
    for param in strategy.params.values():
        assert param.meaning
        assert param.choices if isinstance(param.default, str) else np.isfinite([param.low, param.high]).all()


@every_strategy
def test_an_ordinary_day_gives_valid_targets(strategy: Strategy) -> None:
    targets = run(strategy, world().at(ASOF))
    assert_valid(targets)
    assert len(targets.weights) > 0


@every_strategy
def test_every_parameter_at_its_bounds_gives_valid_targets_within_the_declared_lookback(strategy: Strategy) -> None:
    view = world().at(ASOF)
    for overrides in bounds(strategy):
        assert_valid(run(strategy, view, overrides))
    assert 0 < view.most_sessions <= strategy.lookback_sessions


@every_strategy
def test_contributions_of_a_symbol_sum_to_its_score(strategy: Strategy) -> None:
    targets = run(strategy, world().at(ASOF))
    sums = targets.evidence.groupby("symbol")["contribution"].sum()
    np.testing.assert_allclose(sums.loc[targets.scores.index].to_numpy(), targets.scores.to_numpy(), rtol=1e-9)


@every_strategy
def test_evidence_names_rows_that_the_view_held(strategy: Strategy) -> None:
    view = world().at(ASOF)
    sessions = {session.date().isoformat() for session in view.sessions}
    disclosures = set(view.events("congress_trades")["row_key"])
    for dataset, row_key, symbol, _ in run(strategy, view).evidence.itertuples(index=False):
        assert dataset in strategy.needs
        if dataset == "bars_daily":
            assert row_key.split("@")[0] == symbol and row_key.split("@")[1] in sessions
        else:
            assert row_key in disclosures


@every_strategy
def test_scores_are_in_descending_order(strategy: Strategy) -> None:
    assert run(strategy, world().at(ASOF)).scores.is_monotonic_decreasing


@every_strategy
@pytest.mark.parametrize("days_ago", [0, 1, 17, 45])
def test_removing_what_was_learned_later_changes_no_byte(strategy: Strategy, days_ago: int) -> None:
    asof = ASOF - timedelta(days=days_ago)
    assert rendered(run(strategy, world().at(asof))) == rendered(run(strategy, world().known_until(asof).at(asof)))


@every_strategy
def test_a_different_future_changes_no_byte(strategy: Strategy) -> None:
    future = world().closes.index >= pd.Timestamp(ASOF.date())
    scale = np.where(future, 37.0, 1.0)[:, None]
    other = replace(world(), closes=world().closes * scale, adj_closes=world().adj_closes * scale)
    assert rendered(run(strategy, world().at(ASOF))) == rendered(run(strategy, other.at(ASOF)))


@every_strategy
def test_the_same_view_gives_the_same_bytes(strategy: Strategy) -> None:
    assert rendered(run(strategy, world().at(ASOF))) == rendered(run(strategy, world().at(ASOF)))


@every_strategy
def test_the_order_of_columns_members_and_rows_changes_no_byte(strategy: Strategy) -> None:
    assert rendered(run(strategy, world().at(ASOF))) == rendered(run(strategy, world().at(ASOF, reverse=True)))


@every_strategy
def test_frames_of_the_view_are_left_as_they_were(strategy: Strategy) -> None:
    view = world().at(ASOF, shared=True)
    first = rendered(run(strategy, view))
    frames = [frame.copy(deep=True) for frame in view.handed_out]
    assert rendered(run(strategy, view)) == first
    for before, after in zip(frames, view.handed_out, strict=True):
        pd.testing.assert_frame_equal(before, after)


@every_strategy
def test_repeated_event_rows_change_no_byte(strategy: Strategy) -> None:
    twice = replace(world(), events={name: pd.concat([rows, rows]) for name, rows in world().events.items()})
    assert rendered(run(strategy, world().at(ASOF))) == rendered(run(strategy, twice.at(ASOF)))


@every_strategy
def test_nothing_is_wanted_where_nothing_is_known(strategy: Strategy) -> None:
    targets = run(strategy, emptied(world()).at(ASOF))
    assert_valid(targets)
    assert targets.weights.empty and targets.evidence.empty


@every_strategy
def test_an_event_frame_with_only_its_stamps_is_an_empty_dataset(strategy: Strategy) -> None:
    bare = replace(world(), events={"congress_trades": world().events["congress_trades"].iloc[:0][["row_key", "event_at", "known_at"]]})
    assert_valid(run(strategy, bare.at(ASOF)))


@every_strategy
def test_one_session_and_one_event_are_enough_to_run(strategy: Strategy) -> None:
    asof = ASOF.replace(hour=12)
    newest = world().known_until(asof)
    one = replace(
        newest,
        closes=newest.closes.tail(1),
        adj_closes=newest.adj_closes.tail(1),
        events={name: rows.tail(1) for name, rows in newest.events.items()},
    )
    assert_valid(run(strategy, one.at(asof)))


@every_strategy
def test_prices_that_are_all_missing_give_nothing(strategy: Strategy) -> None:
    blank = replace(world(), closes=world().closes * np.nan, adj_closes=world().adj_closes * np.nan)
    targets = run(strategy, blank.at(ASOF))
    assert_valid(targets)
    assert targets.weights.empty and targets.skipped


@every_strategy
def test_scattered_missing_prices_are_skipped_with_a_reason(strategy: Strategy) -> None:
    holes = np.random.default_rng(3).random(world().closes.shape) < 0.01
    pierced = replace(world(), closes=world().closes.mask(holes), adj_closes=world().adj_closes.mask(holes))
    assert_valid(run(strategy, pierced.at(ASOF)))


@every_strategy
def test_prices_that_never_move_give_no_momentum(strategy: Strategy) -> None:
    still = replace(world(), closes=world().closes * 0 + 50.0, adj_closes=world().closes * 0 + 50.0)
    targets = run(strategy, still.at(ASOF))
    assert_valid(targets)
    assert strategy.name == "congress_aggregate" or targets.weights.empty


@every_strategy
def test_prices_too_old_to_act_on_give_nothing(strategy: Strategy) -> None:
    stale = replace(world(), closes=world().closes.copy(), adj_closes=world().adj_closes.copy())
    recent = stale.closes.index >= pd.Timestamp(ASOF.date()) - pd.Timedelta(days=8)
    stale.closes.loc[recent] = np.nan
    stale.adj_closes.loc[recent] = np.nan
    targets = run(strategy, stale.at(ASOF))
    assert_valid(targets)
    assert targets.weights.empty and targets.skipped


@every_strategy
def test_five_hundred_names_take_less_than_a_quarter_of_a_second(strategy: Strategy) -> None:
    view = world(n_stocks=500, n_trades=1500).at(ASOF, shared=True)
    run(strategy, view)
    started = time.perf_counter()
    run(strategy, view)
    assert time.perf_counter() - started < 0.25
