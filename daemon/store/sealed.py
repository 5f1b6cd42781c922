"""What the names and heads of sealed files say, without reading them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from daemon.store.errors import SegmentCorrupt

NAME = re.compile(r"^(\d{12})-(\d{12})\.parquet$")
BASE = re.compile(r"^base-(\d{12})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One sealed file and the ids it covers, both ends included."""

    path: Path
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a dataset's directory holds: segments that are read, ascending; what a compaction left; bases, newest last."""

    segments: list[Segment]
    covered: list[Segment]
    bases: list[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of a segment says: its columns, its number of rows and their span."""

    columns: frozenset[str]
    rows: int
    first_event_at: datetime | None
    latest_event_at: datetime | None
    latest_known_at: datetime | None


def listing(folder: Path, names: frozenset[str]) -> Listing:
    """What lies in a directory with those names."""
    matches = [(m, folder / name) for name in names if (m := NAME.match(name))]
    found = [Segment(path=path, first_id=int(m[1]), last_id=int(m[2])) for m, path in matches]
    read: list[Segment] = []
    covered: list[Segment] = []
    for segment in sorted(found, key=lambda s: (s.first_id, -s.last_id)):
        (covered if read and segment.last_id <= read[-1].last_id else read).append(segment)
    return Listing(read, covered, sorted(folder / name for name in names if BASE.match(name)))


def runs(segments: Sequence[Segment], small: Mapping[Path, int], most: int) -> list[list[Segment]]:
    """Neighbours among the small segments (rows by path) that together have at most so many rows, two or more of them."""
    found: list[list[Segment]] = [[]]
    rows = 0
    for segment in segments:
        size = small.get(segment.path)
        if size is None or rows + size > most:
            found.append([])
            rows = 0
        if size is not None:
            found[-1].append(segment)
            rows += size
    return [run for run in found if len(run) > 1]


def rows_until(segments: Sequence[Segment], last_id: int, head: Callable[[Path], Head]) -> int:
    """How many sealed rows have an id up to `last_id`."""
    rows = 0
    for segment in segments:
        if segment.last_id <= last_id:
            rows += head(segment.path).rows
        elif segment.first_id <= last_id:
            ids = pq.read_table(segment.path, columns=["id"]).column("id")
            rows += int(pc.sum(pc.less_equal(ids, last_id)).as_py() or 0)
    return rows


def read_head(path: Path) -> Head:
    """The head of a segment. Raises SegmentCorrupt when it is unreadable."""
    try:
        metadata = pq.read_metadata(path)
        names = [metadata.schema.column(i).name for i in range(metadata.num_columns)]
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        spans = {name: [g.column(names.index(name)).statistics for g in groups] for name in ("event_at", "known_at")}
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise SegmentCorrupt(f"{path}: {error}") from error
    return Head(
        columns=frozenset(names),
        rows=int(metadata.num_rows),
        first_event_at=min((s.min for s in spans["event_at"]), default=None),
        latest_event_at=max((s.max for s in spans["event_at"]), default=None),
        latest_known_at=max((s.max for s in spans["known_at"]), default=None),
    )
