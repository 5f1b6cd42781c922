"""Versioned rows of one dataset, cut at any instant to the newest version of each key known then."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
Dates = npt.NDArray[np.datetime64]
NEVER = np.iinfo(np.int64).max


def micros(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return int(pd.Timestamp(at).value // 1000)


class EventTable:
    """All versions of a dataset, sorted by known_at, row_key, id, each with the instant at which it was superseded."""

    def __init__(self, table: pa.Table) -> None:
        self.revision = 0
        self._take(table)

    def _take(self, table: pa.Table) -> None:
        self._table = table
        self.known_us: Ints = table.column("known_at").to_numpy().astype("datetime64[us]").astype(np.int64)
        self._frame = table.drop_columns(["id"]).to_pandas()
        self._superseded_us = self._successors()
        self._texts: dict[str, Texts] = {}
        self._dates: dict[str, Dates] = {}
        self.revision += 1

    def _successors(self) -> Ints:
        keys = pd.factorize(self._frame["row_key"])[0]
        order = np.lexsort((self._table.column("id").to_numpy(), self.known_us, keys))
        successor = np.full(len(keys), NEVER)
        same = keys[order][:-1] == keys[order][1:]
        successor[order[:-1][same]] = self.known_us[order[1:][same]]
        return successor

    def add(self, table: pa.Table) -> None:
        """Take in more versions."""
        merged = pa.concat_tables([self._table, table])
        self._take(merged.sort_by([("known_at", "ascending"), ("row_key", "ascending"), ("id", "ascending")]))

    def known_versions(self, at_us: int) -> int:
        """How many versions were known at an instant."""
        return int(np.searchsorted(self.known_us, at_us, side="right"))

    def first_known(self) -> dict[str, datetime]:
        """When each row first became known, by row_key."""
        first = self._frame.drop_duplicates("row_key", keep="first")
        return dict(zip(first["row_key"], first["known_at"].dt.to_pydatetime(), strict=True))

    def places(self, at_us: int, since_us: int | None = None) -> Ints:
        """Places of the newest versions known at `at_us`, with known_at >= since_us if given."""
        stop = self.known_versions(at_us)
        start = 0 if since_us is None else int(np.searchsorted(self.known_us, since_us, side="left"))
        return np.arange(start, stop)[self._superseded_us[start:stop] > at_us]

    def at(self, at_us: int, since_us: int | None = None) -> pd.DataFrame:
        """Newest versions known at `at_us`, with known_at >= since_us if given; a fresh frame."""
        found: pd.DataFrame = self._frame.take(self.places(at_us, since_us)).reset_index(drop=True)
        return found

    def texts(self, column: str) -> Texts:
        """A text column of all versions as an object array, None where there is none."""
        if column not in self._texts:
            self._texts[column] = np.array(self._table.column(column).to_pylist(), dtype=object)
        return self._texts[column]

    def dates(self, column: str) -> Dates:
        """A date column of all versions as datetime64[us], NaT where there is none."""
        if column not in self._dates:
            self._dates[column] = self._table.column(column).to_numpy().astype("datetime64[us]")
        return self._dates[column]
