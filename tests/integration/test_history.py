"""The first fetch of everything: each dataset behind those that it reads, several at a time; and a backfill against the twin."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn

import config
from daemon import outbound
from daemon.backfill import backfill, pieces
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.history import collect_history, release, unread
from daemon.ingest import ingest
from daemon.joblist import metrics_for
from daemon.jobs import Skipped
from daemon.raw_archive import RawArchive
from daemon.reparse import recorded_fetches, reparse
from daemon.runtime import Runtime
from daemon.store.datasets import ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import DATASETS, times
from scrapers.base import Dataset, Rate, Source
from scrapers.twin.app import create_app
from scrapers.twin.world import World
from strategies import CATALOG

RATE = Rate(group="g", requests=1, per_s=1.0)
VIX = DATASETS["vix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    symbol: str


def made(name: str, *wants: str) -> Dataset:
    source = Source(name=f"{name}_source", fetch=lambda *_: iter(()), rate=RATE, urls=("https://x.example.org",), wants=wants)
    return Dataset(name=name, row=Row, key=("symbol",), schedule="close", description="", sources=(source,))


class Runner:
    """Runs jobs by taking a moment over each; remembers what was running beside what."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.beside: dict[str, set[str]] = {}
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def run_now(self, name: str, at: datetime) -> str:
        with self._lock:
            self.order.append(name)
            self._running.add(name)
            self.beside[name] = set(self._running)
        threading.Event().wait(0.05)
        with self._lock:
            self._running.remove(name)
        return "success"


def collected(datasets: dict[str, Dataset], names: list[str], stop: threading.Event | None = None) -> Runner:
    absent: Any = cast("Any", None)
    runner = Runner()
    rt = cast("Any", type("Bag", (), {"datasets": datasets, "queued": set(), "clock": VirtualClock(datetime(2024, 1, 2, tzinfo=UTC))}))
    collect_history(rt, cast("Any", runner), names, stop or threading.Event(), lambda running: absent)
    return runner


def test_datasets_wait_for_those_that_they_read_and_for_nothing_else() -> None:
    datasets = {
        d.name: d for d in (made("bars", "symbols"), made("constituents"), made("assets"), made("scores", "rows:bars"), made("vix"))
    }
    runner = collected(datasets, list(datasets))
    place = {name.removeprefix("ingest."): i for i, name in enumerate(runner.order)}
    assert sorted(place) == sorted(datasets)
    assert max(place["constituents"], place["assets"]) < place["bars"] < place["scores"]
    assert not runner.beside["ingest.bars"] & {"ingest.constituents", "ingest.assets", "ingest.scores"}
    assert any(len(others) > 1 for others in runner.beside.values()), "the others go side by side"


def test_datasets_that_read_each_other_are_collected_all_the_same() -> None:
    datasets = {d.name: d for d in (made("x", "rows:y"), made("y", "rows:x"))}
    assert sorted(collected(datasets, ["x", "y"]).order) == ["ingest.x", "ingest.y"]


def test_nothing_is_begun_after_a_stop() -> None:
    stop = threading.Event()
    stop.set()
    assert collected({"x": made("x")}, ["x"], stop).order == []


@pytest.fixture(scope="module")
def twin() -> Iterator[str]:
    days, day = [], date(2023, 1, 3)
    while len(days) < 260:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    world = World(seed=3, sessions=days, n_symbols=60)
    app = create_app(world, now=lambda: times.day_after(world.sessions[-1]))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def rt(postgres: EmbeddedPostgres, tmp_path: Path, twin: str) -> Iterator[Runtime]:
    """A runtime that collects the volatility index from the twin, in pieces of sixty days."""
    db = Database(postgres.ensure, schema=f"h{tmp_path.name}", durable=False)
    db.migrate()
    dataset = replace(VIX, sources=(replace(VIX.sources[0], chunk=timedelta(days=60)),))
    ensure_table(db, dataset)
    now = httpx.get(f"{twin}/twin/clock").json()["now"]
    clock, raw, settings = VirtualClock(datetime.fromisoformat(now)), RawArchive(tmp_path / "raw"), config.load({}, env_file=None)
    metrics = metrics_for("v", {}, DATASETS, ())
    http = outbound.http_client(settings, db, clock, metrics, raw, twin_url=twin, paced=True)
    absent: Any = cast("Any", None)
    yield Runtime(
        settings=settings, clock=clock, calendar=Calendar(), db=db, lake=Lake(tmp_path / "lake"), archive=absent, broker=absent,
        book=absent, metrics=metrics, strategies={}, params={}, datasets={"vix": dataset}, sources={"vix": dataset.sources}, http=http,
        raw=raw, settle_anchors=(), id_prefix="t", code_version="v", sandbox=True, history=timedelta(days=300),
    )  # fmt: skip
    http.close()
    db.drop_schema()
    db.close()


def test_a_backfill_from_the_twin_is_complete_repeatable_and_known_when_it_was_published(rt: Runtime) -> None:
    dataset, now = rt.datasets["vix"], rt.clock.now()
    since = now - timedelta(days=200)
    plan = pieces(rt, dataset, dataset.sources, since, now, again=False)
    assert len(plan) == 4
    first = backfill(rt, dataset, plan, lambda piece: None)
    assert first.new > 100 and first.revised == 0 and first.seen <= len(plan), "a day on which two pieces meet may come twice"
    with rt.db.connection() as connection:
        found = connection.execute("SELECT count(*) AS n, count(DISTINCT row_key) AS keys, max(known_at) AS newest FROM vix").fetchone()
        early = connection.execute("SELECT count(*) AS n FROM vix WHERE known_at < event_at").fetchone()
    assert found is not None and early is not None
    assert (found["n"], found["keys"], early["n"]) == (first.new, first.new, 0)
    assert found["newest"] <= now
    again = backfill(rt, dataset, pieces(rt, dataset, dataset.sources, since, now, again=True), lambda piece: None)
    assert (again.new, again.revised, again.seen) == (0, 0, first.new + first.seen)


def test_answers_of_the_twin_make_the_same_rows_again(rt: Runtime) -> None:
    dataset = rt.datasets["vix"]
    stored = ingest(rt, "vix")
    assert stored["new"] > 150
    done = reparse(
        rt, dataset, recorded_fetches(rt.db, dataset, None, datetime(2000, 1, 1, tzinfo=UTC)), dry_run=False, progress=lambda: None
    )
    assert (done.counts.new, done.counts.revised, done.withdrawn, done.problems) == (0, 0, 0, [])
    assert done.counts.seen == stored["new"] + stored["seen"]


def test_strategies_that_need_more_than_the_market_s_own_data_do_not_hold_up_the_others(rt: Runtime) -> None:
    datasets = {d.name: d for d in (made("bars_daily"), made("news"))}
    rt.datasets, rt.sources = datasets, {name: d.sources for name, d in datasets.items()}
    market = next(s for s in CATALOG.values() if s.needs == ("bars_daily",))
    hungry = replace(market, name="hungry", needs=("bars_daily", "news"))
    rt.strategies = {"market": market, "hungry": hungry}
    assert unread(rt) == (["bars_daily"], ["news"])
    rt.strategies = {"hungry": hungry}
    assert unread(rt) == (["bars_daily", "news"], []), "where no strategy can do with less, all that they need comes first"


def test_what_strategies_need_is_read_first(rt: Runtime) -> None:
    datasets = {d.name: d for d in (made("aaa"), made("bars_daily", "symbols"), made("constituents"), made("zzz"))}
    rt.datasets, rt.sources = datasets, {name: d.sources for name, d in datasets.items()}
    rt.strategies = {"s": next(s for s in CATALOG.values() if s.needs == ("bars_daily",))}
    assert unread(rt) == (["constituents", "bars_daily"], ["aaa", "zzz"])
    rt.db.run("watermark_set", dataset="zzz", source="zzz_source", watermark=rt.clock.now(), fetched_at=rt.clock.now())
    assert unread(rt)[1] == ["aaa"]


def test_runs_that_a_killed_process_left_open_are_closed_when_their_past_is_read_anyway(rt: Runtime) -> None:
    at = rt.clock.now()
    for job in ("ingest.vix", "cycle"):
        rt.db.row("job_claim", job=job, scheduled_at=at, run_id="r", started_at=at)
    release(rt, ["vix"])
    assert [r["job"] for r in rt.db.rows("job_interrupted")] == ["cycle"]
    assert {r["job"]: r["status"] for r in rt.db.rows("job_latest")} == {"cycle": "running", "ingest.vix": "missed"}


def test_the_job_of_a_dataset_whose_past_is_about_to_be_read_leaves_it_to_that(rt: Runtime) -> None:
    rt.queued.add("vix")
    with pytest.raises(Skipped, match="the past of vix is about to be read"):
        ingest(rt, "vix")
    rt.queued.clear()
    assert ingest(rt, "vix")["new"] > 150
