"""What can be wrong with a market's data, and how it may differ where nobody may look: worlds made from a world."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.conformance import rows
from strategies.conformance.listings import ASOF
from strategies.conformance.memory import MemoryWorld, sessions_known


def emptied(world: MemoryWorld) -> MemoryWorld:
    """The same world before anything happened."""
    return replace(
        without_prices(world),
        events={name: frame.iloc[:0] for name, frame in world.events.items()},
        members=dict.fromkeys(world.members, ()),
        sectors={},
        artifacts={},
    )


def without_prices(world: MemoryWorld) -> MemoryWorld:
    """The same world without a session."""
    return replace(
        world,
        closes=world.closes.iloc[:0],
        adj_closes=world.adj_closes.iloc[:0],
        volumes=None if world.volumes is None else world.volumes.iloc[:0],
        ranges={name: frame.iloc[:0] for name, frame in world.ranges.items()},
    )


def masked(world: MemoryWorld, where: NDArray[np.bool_]) -> MemoryWorld:
    """The same world without the bars at the places `where`, (n_sessions, n_symbols)."""
    return replace(
        world,
        closes=world.closes.mask(where),
        adj_closes=world.adj_closes.mask(where),
        volumes=None if world.volumes is None else world.volumes.mask(where),
        ranges={name: frame.mask(where) for name, frame in world.ranges.items()},
    )


def without_any_price(world: MemoryWorld) -> MemoryWorld:
    """The same world in which no session has a bar."""
    return masked(world, np.ones(world.closes.shape, dtype=bool))


def stale(world: MemoryWorld) -> MemoryWorld:
    """The same world without bars from eight days before ASOF on."""
    recent = world.closes.index >= pd.Timestamp(ASOF.date()) - pd.Timedelta(days=8)
    return masked(world, np.repeat(recent[:, None], world.closes.shape[1], axis=1))


def pierced(world: MemoryWorld) -> MemoryWorld:
    """The same world without every hundredth bar."""
    return masked(world, np.random.default_rng(3).random(world.closes.shape) < 0.01)


def still(world: MemoryWorld) -> MemoryWorld:
    """The same world in which every price is 50 USD at all times."""
    flat = world.closes * 0 + 50.0
    return replace(world, closes=flat, adj_closes=flat.copy(), ranges=dict.fromkeys(world.ranges, flat))


def nudged(world: MemoryWorld, seed: int) -> MemoryWorld:
    """The same world with every price changed by about a billionth of itself."""
    factor = 1.0 + 1e-9 * np.random.default_rng(seed).standard_normal(world.closes.shape)
    return replace(world, closes=world.closes * factor, adj_closes=world.adj_closes * factor)


def with_rows(world: MemoryWorld, frames: Mapping[str, pd.DataFrame]) -> MemoryWorld:
    """The same world with other rows in those datasets."""
    return replace(world, events={**world.events, **frames})


def without(world: MemoryWorld, dataset: str) -> MemoryWorld:
    """The same world in which a dataset, also one that has a question of its own in a view, holds nothing."""
    if dataset == "bars_daily":
        return without_prices(world)
    if dataset == "index_membership":
        return replace(world, members=dict.fromkeys(world.members, ()))
    if dataset == "constituents":
        return replace(world, sectors={})
    return with_rows(world, {dataset: world.events[dataset].iloc[:0]})


def bare(world: MemoryWorld, *datasets: str) -> MemoryWorld:
    """The same world in which datasets have no rows, and no columns but the stamps."""
    return with_rows(world, {name: world.events[name].iloc[:0][list(rows.STAMPS)] for name in datasets})


def blank(world: MemoryWorld, dataset: str, *columns: rows.Column, share: float = 1.0) -> MemoryWorld:
    """The same world in which cells of a dataset's columns, or a share of them, have no value."""
    frame = world.events[dataset].copy()
    rng = np.random.default_rng(5)
    for column in columns:
        frame[column.name] = rows.missing(frame[column.name], column.kind, rng.random(len(frame)) < share)
    return with_rows(world, {dataset: frame})


def newest_row(world: MemoryWorld, *datasets: str, asof: datetime = ASOF) -> MemoryWorld:
    """The same world in which datasets have one row each, the newest that is known at `asof`."""
    return with_rows(world, {name: world.newest(name, asof).tail(1) for name in datasets})


def one_of_each(world: MemoryWorld, asof: datetime) -> MemoryWorld:
    """What was known at `asof` less all but one session and one row of every dataset."""
    known = newest_row(world.known_until(asof), *world.events, asof=asof)
    return replace(
        known,
        closes=known.closes.tail(1),
        adj_closes=known.adj_closes.tail(1),
        volumes=None if known.volumes is None else known.volumes.tail(1),
        ranges={name: frame.tail(1) for name, frame in known.ranges.items()},
    )


def doubled(world: MemoryWorld) -> MemoryWorld:
    """The same world in which every row of every dataset was stored twice."""
    return with_rows(world, {name: pd.concat([frame, frame]) for name, frame in world.events.items()})


def other_future(world: MemoryWorld, asof: datetime) -> MemoryWorld:
    """The same world up to `asof`, and quite another one after it: prices, rows, members and trained models."""
    later = np.arange(len(world.closes)) >= sessions_known(world.closes.index, asof)
    scale = np.where(later, 37.0, 1.0)[:, None]
    return replace(
        world,
        closes=world.closes * scale,
        adj_closes=world.adj_closes * scale,
        volumes=None if world.volumes is None else world.volumes * scale,
        ranges={name: frame * scale for name, frame in world.ranges.items()},
        events={name: _other_rows(name, frame, frame["known_at"] > asof) for name, frame in world.events.items()},
        members={i: [*(m for m in who if m[1] <= asof), ("SPY", asof + timedelta(days=1))] for i, who in world.members.items()},
        artifacts={name: [version for version in versions if version[0] <= asof] for name, versions in world.artifacts.items()},
    )


def _other_rows(dataset: str, frame: pd.DataFrame, later: pd.Series) -> pd.DataFrame:
    """The frame with the numbers of its later rows turned around, their symbols exchanged and every third of them gone."""
    future = frame[later].iloc[::-1].copy()
    for column in rows.COLUMNS.get(dataset, ()):
        if column.kind in ("int", "float"):
            future[column.name] = -3 * future[column.name]
    if "symbol" in future:
        future["symbol"] = future["symbol"].to_numpy()[::-1]
    return pd.concat([frame[~later], future[np.arange(len(future)) % 3 > 0]], ignore_index=True)
