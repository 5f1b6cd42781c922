"""What the verbs about data do: import, backfill, reparse, data, data show."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from config import Settings
from daemon import compose, data_table, outbound
from daemon.backfill import Pace, Piece, pieces
from daemon.backfill import backfill as read_past
from daemon.calendar import Calendar
from daemon.clock import SystemClock
from daemon.errors import StartRefused, WrongUsage
from daemon.importing import import_files as read_files
from daemon.installation import Installation, prepare
from daemon.reparse import Reparsed, recorded_fetches
from daemon.reparse import reparse as read_again
from daemon.runtime import DataRuntime
from daemon.source_choice import missing_settings
from daemon.store.datasets import Counts
from daemon.verbs import OUT, directory_of, is_paced, opened, progress_bar
from scrapers import DATASETS
from scrapers.base import Dataset, Source

EVER = datetime(1900, 1, 1, tzinfo=UTC)


def dataset_named(name: str) -> Dataset:
    """A dataset of the catalog, or a clear refusal."""
    if name not in DATASETS:
        raise WrongUsage(f"no dataset {name!r}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def _told(counts: Counts) -> str:
    return f"{counts.new:,} new, {counts.revised:,} revised, {counts.seen:,} seen, {counts.rejected:,} rejected"


def import_files(settings: Settings, name: str, paths: list[Path], as_json_: bool) -> None:
    """Read archives into the main store and print what became of every record."""
    dataset = dataset_named(name)
    with opened(settings, False) as (installation, _), progress_bar() as bar:
        task = bar.add_task(f"importing {name}", total=None)
        db = installation.database(pool_max=2)
        done = read_files(db, installation.lake(), dataset, paths, SystemClock().now(), lambda n: bar.advance(task, n))
        db.close()
    counts = done.counts
    result = {"dataset": name, "new": counts.new, "revised": counts.revised, "seen": counts.seen, "rejected": counts.rejected}
    if as_json_:
        print(json.dumps({**result, "fetched": counts.fetched, "rejected_by_reason": done.rejected_by_reason}, indent=2))
        return
    OUT.print(f"{name}: {counts.fetched:,} records: {_told(counts)}")
    for reason, number in done.rejected_by_reason.items():
        OUT.print(f"  rejected {number:>7,}  {reason}")


@contextmanager
def _collector(settings: Settings, installation: Installation) -> Iterator[DataRuntime]:
    """A runtime of the main store that collects from the real services."""
    clock, db, lake = SystemClock(), installation.database(pool_max=4), installation.lake()
    prepare(db, lake, DATASETS.values())
    raw = compose.raw_archive(settings, installation.directory)
    strategies, _ = compose.enabled(settings)
    metrics = compose.metrics_of(strategies, ())
    http = outbound.http_client(settings, db, clock, metrics, raw, twin_url=None)
    sources = compose.sources(settings, sandbox=False)
    try:
        yield compose.data_runtime(
            settings, db=db, lake=lake, clock=clock, calendar=Calendar(), http=http, raw=raw, sources=sources, metrics=metrics
        )
    finally:
        http.close()
        db.close()


def backfill(settings: Settings, name: str, since: datetime, until: datetime | None, source: str | None, again: bool) -> int:
    """Read the past of a dataset's sources into the main store. Exit code 0, or 130 when it was interrupted."""
    dataset = dataset_named(name)
    with opened(settings, False) as (installation, _):
        installation.lock()  # a daemon and a backfill side by side would each spend the whole allowance of a service
        with _collector(settings, installation) as rt:
            chosen = _sources_of(settings, rt, dataset, source)
            planned = pieces(rt, dataset, chosen, since, min(until or rt.clock.now(), rt.clock.now()), again=again)
            done: list[Piece] = []
            try:
                counts = _shown(rt, dataset, planned, done)
            except KeyboardInterrupt:
                OUT.print(f"{name}: interrupted; {len(done)} of {len(planned)} pieces are on record, the same command goes on from there")
                return 130
    OUT.print(f"{name}: {len(planned)} pieces, {sum(p.recorded for p in planned)} were on record; {_told(counts)}")
    return 0


def _sources_of(settings: Settings, rt: DataRuntime, dataset: Dataset, named: str | None) -> tuple[Source, ...]:
    if named is None:
        if dataset.name not in rt.sources:
            raise StartRefused(f"{dataset.name} has no source that can run here; start.py check says what is missing")
        return rt.sources[dataset.name]
    found = tuple(s for s in dataset.sources if s.name == named)
    if not found:
        raise WrongUsage(f"{dataset.name} has no source {named!r}; it has {', '.join(s.name for s in dataset.sources) or 'none'}")
    if missing := missing_settings(settings, found[0]):
        raise StartRefused(f"{named} cannot run: set {', '.join(missing)}")
    return found


def _shown(rt: DataRuntime, dataset: Dataset, planned: list[Piece], done: list[Piece]) -> Counts:
    """Run the backfill under a bar that says how long it will take at the pace of the sources' allowances."""
    pace, started = Pace(pieces=sum(not p.recorded for p in planned)), time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task(f"backfill {dataset.name}", total=len(planned))

        def told(piece: Piece) -> None:
            done.append(piece)
            pace.done += not piece.recorded
            pace.elapsed_s = time.monotonic() - started
            pace.requests = sum(r["requests"] for r in rt.db.rows("fetches_of", dataset=dataset.name, since=begun))
            used, allowed = rt.http.limiter.used(piece.source.rate.group) if rt.http else (0, 1)
            left = pace.left_s(piece.source.rate, max(allowed, 1))
            eta = "" if left is None else f", {left / 60:.0f} min left"
            text = f"{piece.source.name}  {piece.span.until:%Y-%m-%d}  {pace.requests} requests, allowance {used}/{allowed}{eta}"
            bar.update(task, advance=1, description=text)

        begun = rt.clock.now()
        return read_past(rt, dataset, planned, told)


def reparse(settings: Settings, name: str, source: str | None, since: datetime | None, dry_run: bool, as_json_: bool) -> int:
    """Read the archived answers of a dataset again. Exit code 0, or 3 when some fetches could not be read again."""
    dataset = dataset_named(name)
    with opened(settings, False) as (installation, _):
        if not dry_run:
            installation.lock()
        with _collector(settings, installation) as rt, progress_bar() as bar:
            fetches = recorded_fetches(rt.db, dataset, source, since or EVER)
            task = bar.add_task(f"reparse {name}", total=len(fetches))
            done = read_again(rt, dataset, fetches, dry_run=dry_run, progress=lambda: bar.advance(task))
    _print_reparsed(name, done, len(fetches), dry_run, as_json_)
    return 3 if done.problems else 0


def _print_reparsed(name: str, done: Reparsed, total: int, dry_run: bool, as_json_: bool) -> None:
    counts = done.counts
    if as_json_:
        told = {"new": counts.new, "revised": counts.revised, "seen": counts.seen, "rejected": counts.rejected, "withdrawn": done.withdrawn}
        more = {"fetches": total, "read": done.fetches, "rejected_by_reason": dict(done.rejects), "problems": done.problems}
        print(json.dumps({"dataset": name, "dry_run": dry_run, **told, **more}, indent=2))
        return
    would = "would be " if dry_run else ""
    OUT.print(f"{name}: {done.fetches} of {total} fetches read again; {would}{_told(counts)}, {done.withdrawn:,} withdrawn")
    for reason, number in done.rejects.most_common():
        OUT.print(f"  rejected {number:>7,}  {reason}")
    for problem in done.problems:
        OUT.print(f"  {escape(problem)}")


def data(settings: Settings, as_json_: bool, sandbox: bool | None) -> None:
    """The table of datasets; by default of the main store when it has data, else of the sandbox."""
    with opened(settings, _data_store(settings, sandbox)) as (installation, is_sandbox):
        db, lake = installation.database(pool_max=2), installation.lake()
        prepare(db, lake, DATASETS.values())
        sources = compose.sources(settings, sandbox=is_sandbox)
        at = data_table.present(db, is_paced(installation), SystemClock().now())
        catalog = compose.datasets(paced=is_paced(installation))
        rows = data_table.datasets_table(db, catalog, lake, at, sources=sources, calendar=Calendar(), budget=settings.rate_budget)
        db.close()
    if as_json_:
        print(json.dumps(rows, indent=2, default=str))
        return
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    table = Table("dataset", "rows", "first", "latest", "freshness", "sources", "last fetch", "rejected", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], *(escape(_cell(cell)) for cell in data_table.cells(row, at)))
    OUT.print(table)
    OUT.print(_sources_table(rows))


def _sources_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("source", "last success", "last fetch", "circuit", "allowance", "used", box=None, pad_edge=False)
    for row in rows:
        for s in row["sources"]:
            allowance = f"{s['rate_allowed']} per {s['rate_per_s']:g} s ({s['rate_group']})"
            cells = (s["fetched_at"], s["outcome"] or "never", s["circuit"], allowance, f"{s['rate_used']}/{s['rate_allowed']}")
            table.add_row(s["name"], *(escape(_cell(cell)) for cell in cells))
    return table


def _data_store(settings: Settings, sandbox: bool | None) -> bool:
    if sandbox is not None:
        return sandbox
    return not (settings.state_dir / "lake").is_dir() and directory_of(settings, True)[0].is_dir()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M") if value == value else ""
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def data_show(
    settings: Settings, name: str, symbol: str | None, asof: datetime | None, limit: int, as_json_: bool, sandbox: bool | None
) -> None:
    """Rows of a dataset as they were known."""
    dataset = dataset_named(name)
    with opened(settings, _data_store(settings, sandbox)) as (installation, _):
        db, lake = installation.database(pool_max=2), installation.lake()
        prepare(db, lake, [dataset])
        db.close()
        try:
            frame = data_table.show(lake, dataset, symbol=symbol, asof=asof, limit=limit)
        except data_table.NoSuchColumn as error:
            raise WrongUsage(str(error)) from error
    if as_json_:
        print(frame.to_json(orient="records", date_format="iso", indent=2))
        return
    for row in frame.to_dict(orient="records"):
        OUT.print("  ".join(f"[bold]{name}[/bold] {escape(_cell(value))}" for name, value in row.items() if value is not None))
