"""Point-in-time views of a dataset of millions of versions: allocd against DuckDB over the same Parquet segments, equal results checked.

Both sides are timed with what a strategy does with a view, because much of a view is read only when it is touched: `allocd` is the time
until the frame is there, `and read` includes `read`: the sums of two columns over all rows, and over a window of WINDOW_DAYS the number
of symbols and a sort by known_at (the whole of a view in a cycle is its window). DuckDB's time includes the same on its Arrow table.

Cold: a new process that has imported the modules and counted the sessions of the calendar, and has touched nothing of the lake; its files
lie in the page cache. From a new archive up to the complete frame. Cycle: the views of all strategies at an instant that the archive has
not seen, each with a window of its own, against one DuckDB query for each. Panel: a new process up to a year of closes of all symbols.
Own times are the best of REPEATS (wall, and CPU of all threads in brackets: beside other work on the machine the wall says less);
DuckDB's is one run of the better of its two queries. `--rows` sets the size, `--keep` a place for the files.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from daemon.calendar import Calendar
from daemon.store.segments import CHUNK_ROWS, Lake
from daemon.store.view import Archive
from scrapers import DATASETS
from scrapers.base import Dataset

STRATEGIES = 19
RESTATED_FRAC, GONE_FRAC, TAIL_FRAC = 0.02, 0.001, 0.008
BEGIN, END = datetime(2015, 1, 2, 14, tzinfo=UTC), datetime(2024, 12, 31, 14, tzinfo=UTC)
REPEATS = 5
WINDOW_DAYS = 90
PANEL_SESSIONS = 252
US = 1_000_000
INSTANTS = {"now": END + timedelta(days=60), "2020": datetime(2020, 1, 6, tzinfo=UTC), "panel": END}
"""Of what is measured in a new process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A row of ordinary shape: a ticker, a date, words, numbers."""

    symbol: str
    day: date
    source: str
    article: str
    score: float | None
    mentions: int
    amount_usd: float | None


MENTIONS = Dataset(name="mentions", row=Mention, key=("symbol", "day", "article"), schedule="", description="")


def mentions(rows: int, seed: int = 7) -> pa.Table:
    """Versions in the order of their ids: most in the order in which they became known, restatements days or years later."""
    rng = np.random.default_rng(seed)
    first = int(rows * (1 - RESTATED_FRAC))
    span = int((END - BEGIN).total_seconds()) * US
    known = np.sort(rng.integers(0, span, first)) + int(BEGIN.timestamp()) * US
    again = rng.choice(first, rows - first, replace=False)
    later = known[again] + rng.integers(1, 60 * 86_400, len(again)) * US
    row = np.concatenate([np.arange(first), again])
    known = np.concatenate([known, later])
    order = np.argsort(known, kind="stable")
    row, known = row[order], known[order]
    gone = (np.arange(rows) >= first)[order] & (rng.random(rows) < GONE_FRAC / RESTATED_FRAC)
    symbols = np.array([f"S{n:03d}" for n in range(500)], dtype=object)
    sources = np.array([f"source {n}" for n in range(40)], dtype=object)
    moment = pa.timestamp("us", tz="UTC")
    score = rng.normal(size=rows)
    return pa.table(
        {
            "id": pa.array(np.arange(1, rows + 1)),
            "row_key": _uuids(row, seed),
            "event_at": pa.array(known - 3600 * US, moment),
            "known_at": pa.array(known, moment),
            "gone": pa.array(gone),
            "symbol": pa.array(symbols[row % 500], pa.string()),
            "day": pa.array((known // (86_400 * US)).astype(np.int32)).cast(pa.date32()),
            "source": pa.array(sources[row % 40], pa.string()),
            "article": pa.array([f"article {n}" for n in row], pa.string()),
            "score": pa.array(score, mask=rng.random(rows) < 0.05),
            "mentions": pa.array(rng.integers(1, 1000, rows)),
            "amount_usd": pa.array(rng.random(rows) * 1e6),
        }
    )


def bars(rows: int) -> pa.Table:
    """Daily bars of as many symbols as it takes, 2 % of them restated a day later."""
    sessions = np.array(Calendar().sessions(BEGIN.date(), END.date()), dtype="datetime64[D]")
    first = int(rows * (1 - RESTATED_FRAC))
    row = np.concatenate([np.arange(first), np.random.default_rng(1).choice(first, rows - first, replace=False)])
    count = -(-first // len(sessions))
    close = (sessions[row // count].astype("datetime64[us]").astype(np.int64)) + 21 * 3600 * US
    known = close + (np.arange(rows) >= first) * 86_400 * US
    order = np.argsort(known, kind="stable")
    row, known, moment = row[order], known[order], pa.timestamp("us", tz="UTC")
    price = 50 + 50 * np.random.default_rng(2).random(rows)
    names = np.array([f"B{n:04d}" for n in range(count)], dtype=object)
    columns = {
        "id": pa.array(np.arange(1, rows + 1)), "row_key": _uuids(row, 1), "event_at": pa.array(known, moment),
        "known_at": pa.array(known, moment), "gone": pa.array(np.zeros(rows, bool)), "symbol": pa.array(names[row % count], pa.string()),
        "session": pa.array(sessions[row // count].astype(np.int32)).cast(pa.date32()), "adjustment": pa.array(["split"] * rows),
        "volume": pa.array(np.arange(rows)),
    }  # fmt: skip
    columns |= {name: pa.array(price) for name in ("open", "high", "low", "close", "adj_close")}
    shape = [*list(columns)[:5], *DATASETS["bars_daily"].row.__dataclass_fields__]
    return pa.table({name: columns[name] for name in shape})


def _uuids(row: np.ndarray, seed: int) -> pa.Array:
    """A random key for each row number, the same for the same number."""
    halves = np.random.default_rng(seed + 100).integers(0, 1 << 63, (int(row.max()) + 1, 2), dtype=np.uint64)
    texts = [str(UUID(int=(int(a) << 64) | int(b))) for a, b in halves]
    return pa.array(texts, pa.string()).take(pa.array(row))


def seal(lake: Lake, dataset: Dataset, table: pa.Table) -> None:
    """Write the versions as the daemon would have: chunks, a base over them, and a tail of small segments behind it."""
    folder = lake.directory / dataset.name
    folder.mkdir(parents=True)
    settled = int(table.num_rows * (1 - TAIL_FRAC))
    for start in range(0, settled, CHUNK_ROWS):
        _write(folder, table, start, min(start + CHUNK_ROWS, settled))
    begin = time.perf_counter()
    lake.compact(dataset)
    print(f"  base of {settled:,} {dataset.name} made in {time.perf_counter() - begin:.1f} s")
    step = -(-(table.num_rows - settled) // 8)
    for start in range(settled, table.num_rows, step):
        _write(folder, table, start, min(start + step, table.num_rows))


def _write(folder: Path, table: pa.Table, start: int, stop: int) -> None:
    pq.write_table(table.slice(start, stop - start), folder / f"{start + 1:012d}-{stop:012d}.parquet", compression="zstd")


NEWEST = """
SELECT * EXCLUDE (id, gone) FROM (
    SELECT * FROM read_parquet($paths) WHERE known_at BETWEEN $since AND $asof
    QUALIFY row_number() OVER (PARTITION BY row_key ORDER BY known_at DESC, id DESC) = 1
) WHERE NOT gone ORDER BY known_at, row_key
"""
NEWEST_BY_ID = """
SELECT * EXCLUDE (id, gone) FROM read_parquet($paths)
WHERE NOT gone AND known_at BETWEEN $since AND $asof AND id IN (
    SELECT arg_max(id, (known_at, id)) FROM read_parquet($paths) WHERE known_at BETWEEN $since AND $asof GROUP BY row_key
) ORDER BY known_at, row_key
"""


Reading = tuple[float, float, int, int]
"""Sums of amount_usd and score; distinct symbols and rows of the window."""


def read(frame: pd.DataFrame, since: datetime) -> Reading:
    """What a strategy does with a view."""
    window = frame[frame["known_at"] >= since] if frame["known_at"].iloc[0] < since else frame
    ordered = window.sort_values("known_at")
    return float(frame["amount_usd"].sum()), float(frame["score"].sum()), window["symbol"].nunique(), len(ordered)


def read_arrow(table: pa.Table, since: datetime) -> Reading:
    """The same with an Arrow table."""
    known = table.column("known_at")
    window = table.filter(pc.greater_equal(known, pa.scalar(since, known.type))) if known[0].as_py() < since else table
    ordered = window.sort_by("known_at")
    sums = [pc.sum(table.column(name)).as_py() for name in ("amount_usd", "score")]
    return sums[0], sums[1], pc.count_distinct(window.column("symbol")).as_py(), ordered.num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds until the view is there, and until it is read: wall and CPU."""

    view_ms: float
    view_cpu_ms: float
    read_ms: float
    read_cpu_ms: float

    def __str__(self) -> str:
        return f"{self.view_ms:6.1f} ({self.view_cpu_ms:6.1f}) ms, and read {self.read_ms:6.1f} ({self.read_cpu_ms:6.1f}) ms"


def timed(work: Callable[[], Any], then: Callable[[Any], object]) -> tuple[Times, Any]:
    """Times of a call and of what is done with its answer, and the answer."""
    begin = time.perf_counter(), time.process_time()
    answer = work()
    made = time.perf_counter(), time.process_time()
    then(answer)
    end = time.perf_counter(), time.process_time()
    view, whole = ([1e3 * (b - a) for a, b in zip(begin, at, strict=True)] for at in (made, end))
    return Times(view_ms=view[0], view_cpu_ms=view[1], read_ms=whole[0], read_cpu_ms=whole[1]), answer


def best(found: list[Times]) -> Times:
    """The shortest of each."""
    return Times(**{name: min(getattr(f, name) for f in found) for name in Times.__slots__})


class Peer:
    """DuckDB over the segments, with its own choice of threads and memory."""

    def __init__(self, lake: Lake, dataset: Dataset) -> None:
        self._paths = [str(s.path) for s in lake.segments(dataset.name)]
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET TimeZone='UTC'")

    def newest(self, query: str, asof: datetime, since: datetime) -> pa.Table:
        """The Arrow table of a query: a frame would cost it more."""
        return self._connection.sql(query, params={"paths": self._paths, "asof": asof, "since": since}).to_arrow_table()


def same(frame: pd.DataFrame, theirs: pa.Table) -> None:
    """Raise AssertionError unless a frame holds the same rows, in the same order."""
    ours = pa.Table.from_pandas(frame, preserve_index=False)
    assert ours.num_rows == theirs.num_rows, (ours.num_rows, theirs.num_rows)
    for name in ours.column_names:
        assert ours.column(name).equals(theirs.column(name).cast(ours.schema.field(name).type)), name


def same_reading(ours: Reading, theirs: Reading) -> None:
    """Raise AssertionError unless both read the same."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def line(label: str, own: Times, peer: Times) -> None:
    """Print both figures and their ratio."""
    print(f"{label:52} allocd {own}   DuckDB, read {peer.read_ms:8.1f} ms   {peer.read_ms / own.read_ms:6.1f}x", flush=True)


def in_a_new_process(place: Path, what: str) -> Times:
    """The best of several processes of their own."""
    command = [sys.executable, "-m", "benchmarks.bench_views", "--keep", str(place), "--cold", what]
    answers = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(REPEATS)]
    return best([Times(**json.loads(answer)) for answer in answers])


def cold_times(lake: Lake, calendar: Calendar, what: str) -> Times:
    """What a process that has touched nothing of the lake needs."""
    asof, since = INSTANTS[what], INSTANTS[what] - timedelta(days=WINDOW_DAYS)
    _ = calendar.session_days, calendar.closes_us
    if what == "panel":
        return timed(lambda: closes(lake, calendar), lambda frame: frame.sum())[0]
    return timed(lambda: Archive(lake, [MENTIONS], calendar).view(asof).events("mentions"), lambda frame: read(frame, since))[0]


def cold(lake: Lake, calendar: Calendar) -> None:
    """New process to frame, now and in the middle of history."""
    peer = Peer(lake, MENTIONS)
    for label in ("now", "2020"):
        own, asof = in_a_new_process(lake.directory, label), INSTANTS[label]
        since = asof - timedelta(days=WINDOW_DAYS)
        frame = Archive(Lake(lake.directory), [MENTIONS], calendar).view(asof).events("mentions")
        found = [timed(lambda q=q: peer.newest(q, asof, BEGIN), lambda t: read_arrow(t, since)) for q in (NEWEST, NEWEST_BY_ID)]  # type: ignore[misc]  # noqa: B023
        same(frame, found[0][1])
        same_reading(read(frame, since), read_arrow(found[1][1], since))
        line(f"cold view, {label}: {len(frame):,} rows x {frame.shape[1]} columns", own, best([f[0] for f in found]))


def cycle(lake: Lake, calendar: Calendar) -> None:
    """The views of all strategies at an instant that the archive has not seen, and once more."""
    archive, peer = Archive(lake, [MENTIONS], calendar), Peer(lake, MENTIONS)
    days = [datetime(2024, 11, n, 14, tzinfo=UTC) for n in range(4, 4 + REPEATS)]

    def windows(asof: datetime) -> list[datetime]:
        return [asof - timedelta(days=7 * (n + 1)) for n in range(STRATEGIES)]

    def ask(asof: datetime) -> list[pd.DataFrame]:
        view = archive.view(asof)
        return [view.events("mentions", since) for since in windows(asof)]

    def read_all(frames: list[pd.DataFrame]) -> list[Reading]:
        return [read(frame, BEGIN) for frame in frames]

    ask(days[0] - timedelta(days=1))
    first = [timed(lambda day=day: ask(day), read_all)[0] for day in days]  # type: ignore[misc]
    again = [timed(lambda: ask(days[-1]), read_all)[0] for _ in days]
    own = ask(days[-1])
    peer_times, theirs = timed(
        lambda: [peer.newest(NEWEST, days[-1], since) for since in windows(days[-1])],
        lambda tables: [read_arrow(table, BEGIN) for table in tables],
    )
    for mine, other in zip(own, theirs, strict=True):
        same(mine, other)
        same_reading(read(mine, BEGIN), read_arrow(other, BEGIN))
    line(f"cycle, windows of 1 to {STRATEGIES} weeks, new instant", best(first), peer_times)
    line("cycle, asked again", best(again), peer_times)


def closes(lake: Lake, calendar: Calendar) -> pd.DataFrame:
    """A new archive's year of closes."""
    return Archive(lake, [DATASETS["bars_daily"]], calendar).view(INSTANTS["panel"]).bars("close", PANEL_SESSIONS)


def panel(lake: Lake, calendar: Calendar) -> None:
    """New process to a year of closes."""
    frame, paths = closes(Lake(lake.directory), calendar), [str(s.path) for s in lake.segments("bars_daily")]
    query = (
        "SELECT session, symbol, arg_max(close, (known_at, id)) AS close FROM read_parquet($paths) WHERE known_at <= $asof "
        "AND session >= $first GROUP BY session, symbol"
    )

    def ask() -> pd.DataFrame:
        found = duckdb.execute(query, {"paths": paths, "asof": INSTANTS["panel"], "first": frame.index[0].date()}).df()
        return found.pivot(index="session", columns="symbol", values="close")

    found = [timed(ask, lambda table: table.sum()) for _ in range(REPEATS)]
    np.testing.assert_array_equal(frame.to_numpy(), found[0][1].to_numpy())
    own = in_a_new_process(lake.directory, "panel")
    line(f"cold panel: {frame.shape[0]} closes of {frame.shape[1]:,} symbols", own, best([f[0] for f in found]))


@contextmanager
def directory(given: Path | None) -> Iterator[Path]:
    """A place for the files, a temporary one when none is given."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory(prefix="bench_views_") as made:
        yield Path(made)


def main() -> None:
    """Print every figure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--keep", type=Path, default=None, help="where to put the files, or where a run before put them")
    arguments.add_argument("--cold", choices=sorted(INSTANTS), help="measure only this, in this process, and print it as JSON")
    given = arguments.parse_args()
    calendar = Calendar()
    if given.cold:
        print(json.dumps(asdict(cold_times(Lake(given.keep), calendar, given.cold))))
        return
    with directory(given.keep) as place:
        lake = Lake(place)
        if not lake.segments("mentions"):
            print(f"making {given.rows:,} versions, {RESTATED_FRAC:.0%} of them restatements")
            seal(lake, MENTIONS, mentions(given.rows))
            seal(lake, DATASETS["bars_daily"], bars(given.rows))
        cold(lake, calendar)
        cycle(lake, calendar)
        panel(lake, calendar)
    print(f"peak memory, DuckDB's included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
