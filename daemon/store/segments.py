"""Sealed segments of the dataset tables, from which every process reads: Parquet for any question, a base laid out for views.

A segment `<first id>-<last id>.parquet` holds all versions whose ids lie in that range. It is written to a temporary
name, fsynced and renamed, so that a reader sees a whole segment or none. Many small segments become one; a segment whose range lies
within another's is what is left of that, and is not read. Up to some id the versions are also kept as a base (`compacted.py`), so that
a view need not sort them. PostgreSQL stays the record: `heal` rebuilds a dataset's segments when they do not match its table.
"""

import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
from psycopg import sql

from daemon.store.compacted import Compacted, build, open_base, sync_directory
from daemon.store.datasets import columns, stats
from daemon.store.errors import SegmentCorrupt
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.sealed import Head, Listing, Segment, listing, read_head, rows_until, runs
from scrapers.base import Dataset

ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
CHUNK_ROWS = 250_000
MERGED_ROWS = 4 * CHUNK_ROWS
SMALL_SEGMENTS = 32
"""So many segments of less than a chunk are made one."""
TAIL_ROWS, TAIL_FRAC, TAIL_ROWS_MAX = 20_000, 0.1, 50_000
"""Rows after the base that are left alone; beyond them a tail of more than this share of the base, or of so many rows, makes a new base."""
MERGED_ROWS = 4 * CHUNK_ROWS
BARS = "bars_daily"
ATTEMPTS = 5


class Lake:
    """The segment directory of one installation."""

    def __init__(self, directory: Path, *, memory_mb: int = 1024, threads: int = 2) -> None:
        self.directory = directory
        self._memory_mb = memory_mb
        self._threads = threads
        self._listed: dict[str, tuple[frozenset[str], Listing]] = {}
        self._bases: dict[str, tuple[Path, Compacted | None]] = {}
        self._heads: dict[Path, Head] = {}

    def segments(self, dataset: str) -> list[Segment]:
        """Sealed segments of a dataset, ascending."""
        return list(self._listing(dataset).segments)

    def _listing(self, dataset: str) -> Listing:
        folder = self.directory / dataset
        names = frozenset(os.listdir(folder) if folder.is_dir() else ())  # noqa: PTH208 - bare names are all that is compared
        if dataset not in self._listed or self._listed[dataset][0] != names:
            self._listed[dataset] = (names, listing(folder, names))
        return self._listed[dataset][1]

    def seal(self, db: Database, dataset: Dataset) -> int:
        """Write the rows that no segment holds yet, and compact what has become many; the number of rows sealed."""
        with self._locked(dataset.name):
            total = self._seal(db, dataset)
            if total:
                self._compact(dataset)
            return total

    def compact(self, dataset: Dataset) -> None:
        """Merge what has become many small segments, and make a new base when too much lies behind the present one."""
        with self._locked(dataset.name):
            self._compact(dataset)

    def _compact(self, dataset: Dataset) -> None:
        self._merge_small(dataset)
        self._renew_base(dataset)

    def _seal(self, db: Database, dataset: Dataset) -> int:
        sealed = self.segments(dataset.name)
        after = sealed[-1].last_id if sealed else 0
        total = 0
        while True:
            table = _read_rows(db, dataset, after)
            if not table.num_rows:
                return total
            ids = table.column("id")
            first, after = ids[0].as_py(), ids[-1].as_py()
            self._write(dataset.name, table, first, after)
            total += table.num_rows

    def heal(self, db: Database, dataset: Dataset) -> str:
        """Make the segments match the table: "ok", "sealed N rows" or "rebuilt". The base is made again when it is not whole."""
        with self._locked(dataset.name):
            outcome = self._heal(db, dataset)
            self._drop_leftovers(dataset)
            self._compact(dataset)
            return outcome

    def _heal(self, db: Database, dataset: Dataset) -> str:
        have = stats(db, dataset)
        try:
            sealed, last = self._sealed_rows(dataset)
        except SegmentCorrupt:
            sealed, last = -1, 0
        if sealed == have["rows"] and last == have["max_id"]:
            return "ok"
        if 0 <= sealed < have["rows"] and last < have["max_id"] and have["rows"] - stats(db, dataset, after_id=last)["rows"] == sealed:
            return f"sealed {self._seal(db, dataset)} rows"
        for path in (self.directory / dataset.name).glob("[!.]*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._seal(db, dataset)
        return "rebuilt"

    def base(self, dataset: Dataset) -> Compacted | None:
        """The newest whole base of a dataset that has all of its columns, or None."""
        found = self._listing(dataset.name).bases
        if not found:
            return None
        held = self._bases.get(dataset.name)
        if held is None or held[0] != found[-1]:
            try:
                base: Compacted | None = open_base(found[-1])
            except SegmentCorrupt:
                base = None
            if base is not None and set(base.columns) != set(_schema(dataset).names):
                base = None
            held = self._bases[dataset.name] = (found[-1], base)
        return held[1]

    def tail(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """Versions with id > after_id (and known_at <= known_until), in the order of their ids. Columns as those of `read`, and `id`."""
        schema = _schema(dataset)

        def read() -> pa.Table:
            paths = [str(s.path) for s in self.segments(dataset.name) if s.last_id > after_id]
            return pa_dataset.dataset(paths, schema=schema, format="parquet").to_table() if paths else schema.empty_table()

        table = _again_when_replaced(read)
        if table.num_rows and table.column("id")[0].as_py() <= after_id:
            table = table.filter(pc.greater(table.column("id"), after_id))
        if known_until_us is not None:
            table = table.filter(pc.less_equal(table.column("known_at").cast(pa.int64()), known_until_us))
        return table

    def read(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """Rows of a dataset with id > after_id (and known_at <= known_until), sorted by known_at, row_key, id.

        Columns: id, row_key (text), event_at, known_at, gone (the version withdraws its row), then the dataset's own.
        """
        return _again_when_replaced(lambda: self._query(dataset, after_id, (1 << 62) if known_until_us is None else known_until_us))

    def _query(self, dataset: Dataset, after_id: int, until_us: int) -> pa.Table:
        paths = [s.path for s in self.segments(dataset.name) if s.last_id > after_id]
        if not paths:
            return _schema(dataset).empty_table()
        have = frozenset().union(*(self._sealed(path).columns for path in paths))
        names = ", ".join(
            f'"{n}"' if n in have else f'CAST(NULL AS {columns(dataset).get(n, "boolean")}) AS "{n}"' for n in _schema(dataset).names
        )
        with self._connect() as connection:
            query = (
                f"SELECT {names} FROM read_parquet($paths, union_by_name = true) "  # noqa: S608 - declared column names
                "WHERE id > $after AND epoch_us(known_at) <= $until ORDER BY known_at, row_key, id"
            )
            given = {"paths": [str(path) for path in paths], "after": after_id, "until": until_us}
            return connection.sql(query, params=given).to_arrow_table()

    def stats(self, db: Database, dataset: Dataset) -> Row:
        """As `datasets.stats`, reading of the table only what is not sealed: the rest is in the heads of the segments."""
        try:
            found = [self._sealed(s.path) for s in self.segments(dataset.name)]
        except SegmentCorrupt:
            return stats(db, dataset)
        segments = self.segments(dataset.name)
        last_id = segments[-1].last_id if segments else 0
        newer = stats(db, dataset, after_id=last_id)

        def over(choose: Callable[[list[datetime]], datetime], name: str) -> datetime | None:
            known = [t for t in (newer[name], *(getattr(part, name) for part in found)) if t is not None]
            return choose(known) if known else None

        return {
            "rows": newer["rows"] + sum(part.rows for part in found),
            "max_id": max(newer["max_id"], last_id),
            "latest_event_at": over(max, "latest_event_at"),
            "first_event_at": over(min, "first_event_at"),
            "latest_known_at": over(max, "latest_known_at"),
        }

    def _sealed(self, path: Path) -> Head:
        if path not in self._heads:
            self._heads[path] = read_head(path)
        return self._heads[path]

    def _sealed_rows(self, dataset: Dataset) -> tuple[int, int]:
        """Rows in the segments and the last id. Raises SegmentCorrupt when one is unreadable, overlaps or lacks a declared column."""
        rows, last = 0, 0
        for segment in self.segments(dataset.name):
            head = read_head(segment.path)
            if segment.first_id <= last or not head.columns.issuperset(_schema(dataset).names):
                raise SegmentCorrupt(f"{segment.path} overlaps the segment before it, or lacks a column")
            rows, last = rows + head.rows, segment.last_id
        return rows, last

    def _merge_small(self, dataset: Dataset) -> None:
        """Write runs of small segments as one segment each, once there are many of them."""
        small = [s for s in self.segments(dataset.name) if self._sealed(s.path).rows < CHUNK_ROWS]
        if len(small) < SMALL_SEGMENTS:
            return
        for run in runs(self.segments(dataset.name), {s.path: self._sealed(s.path).rows for s in small}, MERGED_ROWS):
            table = pa_dataset.dataset([str(s.path) for s in run], schema=_schema(dataset), format="parquet").to_table()
            self._write(dataset.name, table, run[0].first_id, run[-1].last_id)
            for segment in run:
                segment.path.unlink()

    def _renew_base(self, dataset: Dataset) -> None:
        """Make the base again when too much lies behind it."""
        segments, base = self.segments(dataset.name), self.base(dataset)
        if not segments:
            return
        tail = sum(self._sealed(s.path).rows for s in segments) - (0 if base is None else base.rows)
        if tail <= TAIL_ROWS or (base is not None and TAIL_FRAC * base.rows >= tail and tail <= TAIL_ROWS_MAX):
            return
        schema = _schema(dataset)
        whole = pa_dataset.dataset([str(s.path) for s in segments], schema=schema, format="parquet")
        old = self._listing(dataset.name).bases
        self._bases.pop(dataset.name, None)
        folder, last_id = self.directory / dataset.name, segments[-1].last_id
        build(folder, last_id, schema.names, lambda names: whole.to_table(columns=names), for_panel=dataset.name == BARS)
        for path in old:
            if path.name != f"base-{last_id:012d}":
                shutil.rmtree(path)

    def _drop_leftovers(self, dataset: Dataset) -> None:
        """Remove what a crash may have left: unfinished files, segments that were merged, bases that are old or do not fit the segments."""
        folder, here = self.directory / dataset.name, self._listing(dataset.name)
        base = self.base(dataset)
        fits = base is not None and base.rows == rows_until(here.segments, base.last_id, self._sealed)
        bases = here.bases[:-1] if fits else here.bases
        for path in (*folder.glob(".*.tmp"), *(s.path for s in here.covered), *bases):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def _locked(self, dataset: str) -> Iterator[None]:
        """One writer of a dataset's files at a time, in all processes."""
        folder = self.directory / dataset
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        connection.execute(f"SET memory_limit='{int(self._memory_mb)}MB'")
        connection.execute(f"SET threads={int(self._threads)}")
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET allowed_directories=$dirs", {"dirs": [str(self.directory)]})
        connection.execute("SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        return connection

    def _write(self, dataset: str, table: pa.Table, first: int, last: int) -> None:
        folder = self.directory / dataset
        temporary = folder / f".{first:012d}-{last:012d}.{os.getpid()}.tmp"
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / f"{first:012d}-{last:012d}.parquet")
        sync_directory(folder)


def _again_when_replaced(read: Callable[[], pa.Table]) -> pa.Table:
    """A reading of segments, made again when one of them was merged into another meanwhile."""
    for _ in range(ATTEMPTS):
        try:
            return read()
        except (FileNotFoundError, duckdb.IOException, SegmentCorrupt) as error:
            failure = error
    raise failure


def _schema(dataset: Dataset) -> pa.Schema:
    moment = pa.timestamp("us", tz="UTC")
    fields = [("id", pa.int64()), ("row_key", pa.string()), ("event_at", moment), ("known_at", moment), ("gone", pa.bool_())]
    return pa.schema([*fields, *((name, ARROW_TYPES[kind]) for name, kind in columns(dataset).items())])


def _read_rows(db: Database, dataset: Dataset, after: int) -> pa.Table:
    schema = _schema(dataset)
    names = sql.SQL(", ").join(sql.SQL("row_key::text") if n == "row_key" else sql.Identifier(n) for n in schema.names)
    query = sql.SQL("COPY (SELECT {} FROM {} WHERE id > {} ORDER BY id LIMIT {}) TO STDOUT (FORMAT csv)").format(
        names, sql.Identifier(dataset.name), sql.Literal(after), sql.Literal(CHUNK_ROWS)
    )
    buffer = io.BytesIO()
    with db.connection() as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            buffer.write(block)
    if not buffer.tell():
        return schema.empty_table()
    buffer.seek(0)
    options = pa_csv.ConvertOptions(
        column_types=schema,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
        true_values=["t"],
        false_values=["f"],
    )
    return pa_csv.read_csv(buffer, pa_csv.ReadOptions(column_names=schema.names), pa_csv.ParseOptions(newlines_in_values=True), options)
