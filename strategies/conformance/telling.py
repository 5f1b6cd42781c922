"""How generated rows come to be known: instants around ASOF, later versions of a row, and several rows that tell the same."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from strategies.conformance import rows
from strategies.conformance.listings import ASOF
from strategies.conformance.rows import Instants

Rng: TypeAlias = np.random.Generator
FIRST, LAST = timedelta(days=-760), timedelta(days=40)
"""Relative to ASOF: the whole span of the market's events, so that some of every dataset lie in the future."""
TODAY = rows.instant(ASOF.replace(hour=0))


def _quarters() -> tuple[tuple[np.datetime64, int, int], ...]:
    starts = [(year, quarter) for year in (2019, 2020, 2021) for quarter in (1, 2, 3, 4)][:9]
    return tuple((np.datetime64(f"{year}-{3 * quarter - 2:02d}-01", "us"), year, quarter) for year, quarter in starts)


QUARTERS = _quarters()
"""(first day, year, quarter) of the quarters that are told of: from the first of 2019 to the one of ASOF, whose reports are to come."""


def midnights(rng: Rng, count: int, first: timedelta, last: timedelta) -> Instants:
    """Ascending instants of 05:00 UTC, midnight in New York in winter, on days drawn from `first` to `last` relative to ASOF."""
    days = np.sort(rng.integers(first.days, last.days + 1, count))
    found: Instants = TODAY + days.astype("timedelta64[D]") + np.timedelta64(5, "h")
    return found


def within_the_day(rng: Rng, midnight: Instants) -> Instants:
    """Instants up to fifteen hours after those."""
    found: Instants = midnight + rng.integers(0, 15 * 3600, len(midnight)).astype("timedelta64[s]")
    return found


def every(step: timedelta, first: timedelta, last: timedelta) -> Instants:
    """The midnights UTC of every `step` days from `first` to `last` relative to ASOF."""
    days = np.arange(first.days, last.days + 1, step.days)
    found: Instants = TODAY + days.astype("timedelta64[D]")
    return found


def number(symbol: str) -> int:
    """A number that stands for a symbol, the same in every run."""
    return int.from_bytes(symbol.encode(), "big")


def retold(rng: Rng, frame: pd.DataFrame, share: float, changes: Mapping[str, Any], moved: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The frame, and a share of its rows once more under keys of their own with `changes`: the same event from another teller.

    moved: columns that take over the cells of another, which is what a second teller may call the same thing.
    """
    again = frame[rng.random(len(frame)) < share].copy()
    for column, source in (moved or {}).items():
        again[column] = again[source]
    for column, value in changes.items():
        again[column] = again[column].mask(np.ones(len(again), dtype=bool)) if value is None else value
    again["row_key"] = again["row_key"] + "/retold"
    return pd.concat([frame, again], ignore_index=True)


def amended(
    rng: Rng, frame: pd.DataFrame, share: float, column: str, factor: float, changes: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """The frame, and a later version of a share of its rows, one to forty days on, in which a number is another."""
    later = frame[rng.random(len(frame)) < share].copy()
    later["known_at"] = rows.postponed(later["known_at"], rng.integers(1, 40, len(later)))
    later[column] = later[column] * factor
    for name, value in (changes or {}).items():
        later[name] = value
    return pd.concat([frame, later.astype({column: frame[column].dtype})], ignore_index=True)
