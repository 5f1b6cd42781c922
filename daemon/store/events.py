"""Versioned rows of one dataset, cut at any instant to the newest version of each key known then."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Ints = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


def micros(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return int(pd.Timestamp(at).value // 1000)


class EventTable:
    """All versions of a dataset, sorted by known_at, row_key, id, each with the instant at which it was superseded."""

    def __init__(self, table: pa.Table) -> None:
        self._take(table)

    def _take(self, table: pa.Table) -> None:
        self._table = table
        self.known_us: Ints = table.column("known_at").to_numpy().astype("datetime64[us]").astype(np.int64)
        self._frame = table.drop_columns(["id"]).to_pandas()
        self._superseded_us = self._successors()

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

    def at(self, at_us: int, since_us: int | None = None) -> pd.DataFrame:
        """Newest versions known at `at_us`, with known_at >= since_us if given; a fresh frame."""
        stop = self.known_versions(at_us)
        start = 0 if since_us is None else int(np.searchsorted(self.known_us, since_us, side="left"))
        keep = np.arange(start, stop)[self._superseded_us[start:stop] > at_us]
        return self._frame.iloc[keep].reset_index(drop=True)
