"""Reading bulk archives into a dataset: recognised by content, counted, sealed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.store.datasets import Counts, append, ensure_table
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers.base import Dataset
from scrapers.errors import BadFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the records of an import. rejected_by_reason counts the records of this import."""

    counts: Counts
    rejected_by_reason: dict[str, int]


def import_files(
    db: Database, lake: Lake, dataset: Dataset, paths: Sequence[Path], now: datetime, progress: Callable[[int], None]
) -> Imported:
    """Load archives, append their rows, seal them. `progress` is told of records handled.

    Raises BadFile before anything is stored when a file is missing or in no known shape.
    """
    if dataset.load is None:
        raise BadFile(f"{dataset.name} cannot be imported from files")
    for path in paths:
        if not path.is_file():
            raise BadFile(f"{path}: no such file")
    ensure_table(db, dataset)
    counts, reasons = Counts(), dict[str, int]()
    with db.transaction():
        for batch in dataset.load(paths):
            found = append(db, dataset, batch, now)
            counts += found
            for reject in batch.rejects:
                reasons[reject.reason] = reasons.get(reject.reason, 0) + 1
            progress(found.fetched)
    lake.heal(db, dataset)
    return Imported(counts=counts, rejected_by_reason=dict(sorted(reasons.items())))
