"""The first fetch of sources that were never read: all of their past, several datasets at a time, each behind those that it reads.

Each is a run of the dataset's own job, so that it is claimed, timed, contained and recorded like any other.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from daemon import feeds
from daemon.freshness import fetched_by_source
from daemon.jobs import JobRunner
from daemon.runtime import DataRuntime
from daemon.training import RECIPES

MARKET = frozenset({"bars_daily", "constituents", "corporate_actions", "index_membership", "vix"})
"""What is known of the market itself: quickly read, and the ground of every decision."""
AT_ONCE = 4
"""Datasets collected side by side: mostly they wait, each for its own service."""


def unread(rt: DataRuntime) -> tuple[list[str], list[str]]:
    """Datasets with a source never read to its end: those without which nothing can be decided with what these read, and the others.

    That is the market's own data, for training and for the strategies that need nothing else; where there is no such strategy, what all
    need. The others join when their data is there.
    """
    fetched = fetched_by_source(rt.db)
    missing = [name for name, sources in rt.sources.items() if any(s.name not in fetched.get(name, {}) for s in sources if not s.optional)]
    needs = [s.needs for s in rt.strategies.values()]
    needed = {"corporate_actions"}.union(*([n for n in needs if MARKET.issuperset(n)] or needs), *(r.needs for r in RECIPES))
    urgent = feeds.with_reads(rt.datasets, needed)
    ordered = feeds.in_order(rt.datasets, missing)
    return [n for n in ordered if n in urgent], [n for n in ordered if n not in urgent]


def release(rt: DataRuntime, names: Sequence[str]) -> None:
    """Close the runs that a killed process left open of datasets whose past is read anew anyway, beside everything else."""
    for row in rt.db.rows("job_interrupted"):
        if row["job"].removeprefix("ingest.") in names:
            end = {"status": "missed", "finished_at": rt.clock.now(), "detail": {"reason": "interrupted; its past is read on"}}
            rt.db.run("job_finish", job=row["job"], scheduled_at=row["scheduled_at"], run_id=row["run_id"], **end)


def collect_history(
    rt: DataRuntime,
    runner: JobRunner,
    names: Sequence[str],
    stopping: threading.Event,
    tell: Callable[[list[str]], None],
    afterwards: Sequence[str] = (),
) -> None:
    """Collect the datasets named, until all have had their turn or a stop is asked for. tell: told which ones are being read.

    One that waits for its turn is left alone by its own job, and one that fails is tried again by it. afterwards: jobs that wait for what
    is collected here, and then run at once.
    """
    left, running = list(names), dict[Future[str], str]()
    rt.queued.update(names)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="history") as pool:
        while (left or running) and not stopping.is_set():
            for name in _startable(rt, left, set(running.values()))[: AT_ONCE - len(running)]:
                left.remove(name)
                rt.queued.discard(name)
                running[pool.submit(runner.run_now, f"ingest.{name}", rt.clock.now())] = name
            tell(sorted(running.values()))
            for done in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                del running[done]
    for name in afterwards:
        if not stopping.is_set():
            runner.run_now(name, rt.clock.now())


def _startable(rt: DataRuntime, left: list[str], running: set[str]) -> list[str]:
    """Those that read nothing which is still to come; of a circle, the first."""
    waiting = {*left, *running}
    free = [name for name in left if not feeds.reads(rt.datasets[name]) & waiting]
    return free or ([] if running else left[:1])
