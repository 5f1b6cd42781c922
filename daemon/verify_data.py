"""The segments as they stood at an earlier moment: ids grow with every append, so that an id bounds what was stored then."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.store.segments import Lake
from scrapers.base import Dataset


class LakeUntil(Lake):
    """A lake in which each dataset ends at a given id, that one included; datasets without a bound are whole."""

    def __init__(self, directory: Path, until: Mapping[str, int]) -> None:
        super().__init__(directory)
        self._until = dict(until)

    def read(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """As Lake.read, without the rows behind the bound."""
        table = super().read(dataset, after_id=after_id, known_until_us=known_until_us)
        bound = self._until.get(dataset.name)
        return table if bound is None else table.filter(pc.less_equal(table.column("id"), bound))


def last_ids(lake: Lake, datasets: Mapping[str, Dataset], known: Mapping[str, int], at_us: int) -> dict[str, int]:
    """For each dataset with more versions known at `at_us` than the `known` number: the last id at which it had that many."""
    found = {}
    for name, dataset in datasets.items():
        ids = np.sort(lake.read(dataset, known_until_us=at_us).column("id").to_numpy())
        then = known.get(name, 0)
        if len(ids) > then:
            found[name] = int(ids[then]) - 1
    return found
