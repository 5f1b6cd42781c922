"""The jobs of a runtime: whatever its contents allow."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon import feeds
from daemon.cycle import Cycles
from daemon.ingest import ingest
from daemon.jobs import JobRunner
from daemon.marks import mark as mark_nav
from daemon.metrics import Metrics
from daemon.raw_archive import prune
from daemon.runtime import Runtime
from daemon.schedule import Job
from daemon.settle import settle
from daemon.training import TRAINING_ANCHOR, Training
from daemon.watch.watching import watch
from scrapers.base import Dataset
from strategies.base import Strategy

CYCLE, MARK, PRUNE, RISK_WATCH, TRAINING = "cycle", "mark", "prune", "risk_watch", "training"
PRUNE_ANCHOR = "cron: mon-sun 03:30"
MARK_ANCHOR = "open+435m"
"""16:45 New York, on half days too: archives date every bar as known from 16:20, whenever the session closed."""
WATCH_ANCHOR = "open+450m"
"""17:00 New York, after the mark."""
Work = Callable[[datetime], dict[str, Any] | None]


def build_jobs(rt: Runtime, runner: JobRunner, *, mark: Work | None = None) -> list[Job]:
    """Every job, in the order in which those of one instant run."""
    cycles = Cycles(rt)
    jobs = [
        runner.job(f"ingest.{name}", rt.datasets[name].schedule, lambda at, name=name: ingest(rt, name), catch_up="latest")  # type: ignore[misc]
        for name in feeds.in_order(rt.datasets, rt.sources)
    ]
    if rt.sources:
        jobs.append(runner.job(PRUNE, PRUNE_ANCHOR, lambda at: prune(rt.db, rt.raw, at, rt.settings.raw_retention_days), catch_up="latest"))
    jobs.append(runner.job(TRAINING, TRAINING_ANCHOR, Training(rt).run, catch_up="latest", deadline_s=600.0))
    jobs.append(runner.job(CYCLE, "open-30m", cycles.run, catch_up="latest", deadline_s=5400.0))
    jobs += [
        runner.job(_settle_name(i), anchor, lambda at: settle(rt, at), ledgered=False, catch_up="skip")
        for i, anchor in enumerate(rt.settle_anchors)
    ]
    jobs.append(runner.job(MARK, MARK_ANCHOR, mark or (lambda at: mark_nav(rt, at)), catch_up="all"))
    if rt.watch_anchor:
        jobs.append(runner.job(RISK_WATCH, rt.watch_anchor, lambda at: watch(rt, at), catch_up="latest"))
    return jobs


def job_names(sources: Iterable[str], settle_anchors: Iterable[str]) -> list[str]:
    """Names of the jobs, the closed label set of the job metrics."""
    settles = [_settle_name(i) for i, _ in enumerate(settle_anchors)]
    return [*(f"ingest.{name}" for name in sorted(sources)), TRAINING, CYCLE, *settles, MARK, RISK_WATCH, PRUNE]


def _settle_name(number: int) -> str:
    return "settle" if number == 0 else f"settle.{number + 1}"


def metrics_for(
    code_version: str, strategies: Mapping[str, Strategy], datasets: Mapping[str, Dataset], settle_anchors: Iterable[str]
) -> Metrics:
    """Metrics with the closed label sets of this installation."""
    installed = {
        "job": job_names(datasets, settle_anchors),
        "source": sorted(source.name for dataset in datasets.values() for source in dataset.sources),
        "dataset": sorted(datasets),
        "strategy": sorted(strategies),
    }
    return Metrics(version=code_version, installed=installed)
