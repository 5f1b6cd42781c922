"""The segments as they stood at an earlier moment: ids grow with every append, so that an id bounds what was stored then."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.store.compacted import Compacted
from daemon.store.segments import Lake
from scrapers.base import Dataset


class LakeUntil(Lake):
    """A lake in which each dataset ends at a given id, that one included; datasets without a bound are whole."""

    def __init__(self, directory: Path, until: Mapping[str, int]) -> None:
        super().__init__(directory)
        self._until = dict(until)

    def base(self, dataset: Dataset) -> Compacted | None:
        """As Lake.base; none for a dataset with a bound, as its base knows of later versions."""
        return None if dataset.name in self._until else super().base(dataset)

    def tail(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """As Lake.tail, without the rows behind the bound."""
        return self._bounded(dataset, super().tail(dataset, after_id=after_id, known_until_us=known_until_us))

    def read(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """As Lake.read, without the rows behind the bound."""
        return self._bounded(dataset, super().read(dataset, after_id=after_id, known_until_us=known_until_us))

    def _bounded(self, dataset: Dataset, table: pa.Table) -> pa.Table:
        bound = self._until.get(dataset.name)
        return table if bound is None else table.filter(pc.less_equal(table.column("id"), bound))


def last_ids(lake: Lake, datasets: Mapping[str, Dataset], known: Mapping[str, int], at_us: int) -> dict[str, int]:
    """For each dataset with more versions known at `at_us` than the `known` number: the last id at which it had that many."""
    found = {}
    for name, dataset in datasets.items():
        ids = np.sort(lake.tail(dataset, known_until_us=at_us).column("id").to_numpy())
        then = known.get(name, 0)
        if len(ids) > then:
            found[name] = int(ids[then]) - 1
    return found
