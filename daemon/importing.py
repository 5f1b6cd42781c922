"""Reading bulk archives into a dataset: recognised by content, counted, sealed."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.store.datasets import Counts, append, ensure_table
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import tables
from scrapers.base import Batch, Dataset
from scrapers.errors import BadFile
from scrapers.own_tables import load_own


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the records of an import. rejected_by_reason counts the records of this import."""

    counts: Counts
    rejected_by_reason: dict[str, int]


def import_files(
    db: Database, lake: Lake, dataset: Dataset, paths: Sequence[Path], now: datetime, progress: Callable[[int], None]
) -> Imported:
    """Load archives, append their rows, seal them. `progress` is told of records handled.

    A file whose columns are those of the dataset's own rows is read as it is; any other by the dataset's readers of archives.
    Raises BadFile when a file is missing or in no known shape; then nothing is stored.
    """
    for path in paths:
        if not path.is_file():
            raise BadFile(f"{path}: no such file")
    ensure_table(db, dataset)
    counts, reasons = Counts(), dict[str, int]()
    with db.transaction():
        for batch in _batches(dataset, paths):
            found = append(db, dataset, batch, now)
            counts += found
            for reject in batch.rejects:
                reasons[reject.reason] = reasons.get(reject.reason, 0) + 1
            progress(found.fetched)
    lake.heal(db, dataset)
    return Imported(counts=counts, rejected_by_reason=dict(sorted(reasons.items())))


def _batches(dataset: Dataset, paths: Sequence[Path]) -> Iterator[Batch]:
    foreign: list[Path] = []
    for path in paths:
        own = load_own(dataset.row, path)
        if own is None:
            foreign.append(path)
        else:
            yield from tables.batches(dataset.row, own)
    if foreign and dataset.load is None:
        own_columns = ", ".join(f.name for f in dataclasses.fields(dataset.row))
        raise BadFile(f"{foreign[0].name}: {dataset.name} is imported from tables with its own columns alone: event_at, {own_columns}")
    if foreign and dataset.load is not None:
        yield from dataset.load(foreign)
