"""Sealed Parquet segments of the dataset tables, read by every process through its own in-memory DuckDB.

A segment `<first id>-<last id>.parquet` holds all versions whose ids lie in that range. It is written to a temporary
name, fsynced and renamed, so that a reader sees a whole segment or none. PostgreSQL stays the record: `heal` rebuilds a
dataset's segments when they do not match its table.
"""

import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from psycopg import sql

from daemon.store.datasets import columns, stats
from daemon.store.errors import SegmentCorrupt
from daemon.store.postgres import Database
from scrapers.base import Dataset

NAME = re.compile(r"^(\d{12})-(\d{12})\.parquet$")
ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
CHUNK_ROWS = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One sealed file and the ids it covers, both ends included."""

    path: Path
    first_id: int
    last_id: int


class Lake:
    """The segment directory of one installation."""

    def __init__(self, directory: Path, *, memory_mb: int = 1024, threads: int = 2) -> None:
        self.directory = directory
        self._memory_mb = memory_mb
        self._threads = threads
        self._listed: dict[str, tuple[frozenset[str], list[Segment]]] = {}

    def segments(self, dataset: str) -> list[Segment]:
        """Sealed segments of a dataset, ascending."""
        folder = self.directory / dataset
        names = frozenset(os.listdir(folder) if folder.is_dir() else ())  # noqa: PTH208 - bare names are all that is compared
        if dataset not in self._listed or self._listed[dataset][0] != names:
            found = [(NAME.match(name), folder / name) for name in names]
            segments = [Segment(path=p, first_id=int(m[1]), last_id=int(m[2])) for m, p in found if m]
            self._listed[dataset] = (names, sorted(segments, key=lambda s: s.first_id))
        return list(self._listed[dataset][1])

    def seal(self, db: Database, dataset: Dataset) -> int:
        """Write the rows that no segment holds yet; the number of rows sealed."""
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
        """Make the segments match the table: "ok", "sealed N rows" or "rebuilt"."""
        have = stats(db, dataset)
        try:
            rows, last = self._sealed_rows(dataset.name)
        except SegmentCorrupt:
            rows, last = -1, 0
        if rows == have["rows"] and last == have["max_id"]:
            return "ok"
        if 0 <= rows < have["rows"] and last < have["max_id"] and self._below(db, dataset, last) == rows:
            return f"sealed {self.seal(db, dataset)} rows"
        shutil.rmtree(self.directory / dataset.name, ignore_errors=True)
        self.seal(db, dataset)
        return "rebuilt"

    def read(self, dataset: Dataset, *, after_id: int = 0, known_until_us: int | None = None) -> pa.Table:
        """Rows of a dataset with id > after_id (and known_at <= known_until), sorted by known_at, row_key, id.

        Columns: id, row_key (text), event_at, known_at, then the dataset's own.
        """
        paths = [str(s.path) for s in self.segments(dataset.name) if s.last_id > after_id]
        if not paths:
            return _schema(dataset).empty_table()
        names = ", ".join(f'"{n}"' for n in _schema(dataset).names)
        bound = (1 << 62) if known_until_us is None else known_until_us
        with self._connect() as connection:
            query = (
                f"SELECT {names} FROM read_parquet($paths) WHERE id > $after AND epoch_us(known_at) <= $until "  # noqa: S608 - declared column names
                "ORDER BY known_at, row_key, id"
            )
            return connection.sql(query, params={"paths": paths, "after": after_id, "until": bound}).to_arrow_table()

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
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = folder / f".{first:012d}-{last:012d}.{os.getpid()}.tmp"
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / f"{first:012d}-{last:012d}.parquet")
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _sealed_rows(self, dataset: str) -> tuple[int, int]:
        rows, last = 0, 0
        for segment in self.segments(dataset):
            if segment.first_id <= last:
                raise SegmentCorrupt(f"{segment.path} overlaps the segment before it")
            try:
                rows += pq.read_metadata(segment.path).num_rows
            except (pa.ArrowInvalid, OSError) as error:
                raise SegmentCorrupt(f"{segment.path}: {error}") from error
            last = segment.last_id
        return rows, last

    def _below(self, db: Database, dataset: Dataset, last: int) -> int:
        with db.connection() as connection:
            query = sql.SQL("SELECT count(*) AS n FROM {} WHERE id <= %s").format(sql.Identifier(dataset.name))
            found = connection.execute(query, (last,)).fetchone()
            return int(found["n"]) if found else 0


def _schema(dataset: Dataset) -> pa.Schema:
    moment = pa.timestamp("us", tz="UTC")
    fields = [("id", pa.int64()), ("row_key", pa.string()), ("event_at", moment), ("known_at", moment)]
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
