"""The numbers that strategies read: which columns of a dataset are inputs, and their values now and in the year before.

An input is a number of a row: every float, and every whole number that neither identifies the row nor counts years, quarters,
periods or lines. Dates, texts, identities and switches are none. Prices have no fixed scale, so bars are read as daily returns
and as the logarithm of dollar volume: its median over the window, one value a stock, because levels last, and the sessions of one
stock are not so many observations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from daemon.store.segments import BARS
from daemon.watch.scope import YEAR, Scope
from risk.inputs import FloatArray
from scrapers.base import Dataset

CURRENT_SESSIONS, REFERENCE_SESSIONS = 60, YEAR
MOST_REFERENCE, MOST_CURRENT, SEED = 2_000, 1_000, 1
"""Larger samples are thinned: more would cost time and make the tests see what does not matter."""
COUNTERS = ("year", "quarter", "period", "line", "occurrence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Values of one input: in the year before (n_reference,), and over the newest 60 sessions (n_current,)."""

    reference: FloatArray
    current: FloatArray


@cache
def numeric_fields(row: type, key: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the inputs of a row type, in its order."""
    found = []
    for name, kind in get_type_hints(row).items():
        numbers = set(_members(kind)) - {type(None)}
        counter = name in key or name.rpartition("_")[2] in COUNTERS
        if numbers == {float} or (numbers == {int} and not counter):
            found.append(name)
    return tuple(found)


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def dataset_inputs(scope: Scope, dataset: Dataset) -> Mapping[str, Samples]:
    """Samples by name, such as "congress_trades.amount_low_usd", of what became known in the two windows."""
    if dataset.name == BARS:
        return {f"{BARS}.{name}": samples for name, samples in _bars(scope).items()}
    names = numeric_fields(dataset.row, dataset.key)
    if not names:
        return {}
    start, middle = _windows(scope)
    rows = scope.view.events(dataset.name, start)
    current = (rows["known_at"] >= pd.Timestamp(middle)).to_numpy()
    columns = {name: pd.to_numeric(rows[name]).to_numpy(dtype=np.float64, na_value=np.nan) for name in names}
    return {f"{dataset.name}.{name}": sampled(values[~current], values[current]) for name, values in columns.items()}


def _windows(scope: Scope) -> tuple[datetime, datetime]:
    """Where the reference begins, and where it ends and the current window begins: closes of sessions."""
    middle = scope.calendar.offset(scope.session, -CURRENT_SESSIONS)
    return scope.calendar.close_at(scope.calendar.offset(middle, -REFERENCE_SESSIONS)), scope.calendar.close_at(middle)


def _bars(scope: Scope) -> dict[str, Samples]:
    """Of the index members together."""
    stocks = [s for s in scope.members if s in scope.returns.columns]
    depth = CURRENT_SESSIONS + REFERENCE_SESSIONS
    traded = scope.view.bars("close", depth, stocks).to_numpy() * scope.view.bars("volume", depth, stocks).to_numpy()
    returns = scope.returns[stocks].to_numpy()[-depth:]
    return {
        "daily_return": sampled(returns[:-CURRENT_SESSIONS].ravel(), returns[-CURRENT_SESSIONS:].ravel()),
        "log_dollar_volume": sampled(_median_log(traded[:-CURRENT_SESSIONS]), _median_log(traded[-CURRENT_SESSIONS:])),
    }


def _median_log(values: FloatArray) -> FloatArray:
    """Logarithm of the median positive value of each column (n_sessions, n) -> (n,); NaN where there is none."""
    positive = pd.DataFrame(np.where(values > 0, values, np.nan))
    return np.asarray(np.log(positive.median().to_numpy(dtype=np.float64)), dtype=np.float64)


def sampled(reference: FloatArray, current: FloatArray) -> Samples:
    """What is finite of two samples, thinned at random with a fixed seed."""
    return Samples(reference=_thinned(reference, MOST_REFERENCE), current=_thinned(current, MOST_CURRENT))


def _thinned(values: FloatArray, most: int) -> FloatArray:
    finite: FloatArray = values[np.isfinite(values)]
    if len(finite) <= most:
        return finite
    thinned: FloatArray = finite[np.sort(np.random.default_rng(SEED).choice(len(finite), most, replace=False))]
    return thinned
