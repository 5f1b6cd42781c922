"""Running one job occurrence: claimed once, timed, logged in one line, its failure contained."""

import errno
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from daemon.clock import Clock
from daemon.logging import bound, get_logger
from daemon.metrics import Metrics
from daemon.schedule import Job
from daemon.store.errors import DatabaseUnreachable, StorageFull, StoreError
from daemon.store.postgres import Database
from execution.errors import ExecutionError, RateLimited, UnknownOutcome, Unreachable
from scrapers.errors import ScrapeError

log = get_logger("jobs")

T = TypeVar("T")
Work = Callable[[datetime], dict[str, Any] | None]

PASSING = (DatabaseUnreachable, Unreachable, UnknownOutcome, RateLimited)
"""Database or broker are away: the work is repeated, because everything recorded and sent is recognised."""
FORESEEN = (StoreError, ExecutionError, ScrapeError)
"""Failures whose message says everything; any other is logged with its traceback."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class Skipped(Exception):
    """Raised by a job's work to say that this occurrence had nothing to do, and why."""


class Failed(Exception):
    """Raised by a job's work to say that this occurrence failed and why, and that nothing else depends on it, in a replay neither."""


class JobRunner:
    """Claims occurrences in `job_runs`, runs the work, records the outcome.

    strict: lets a failure out, for replays, whose record nobody else writes, so that a claim needs no answer.
    """

    def __init__(self, db: Database, clock: Clock, metrics: Metrics, *, strict: bool = False) -> None:
        self._strict = strict
        self._running, self._counting = 0, threading.Lock()
        self._works: dict[str, Work] = {}
        self._patience_s: dict[str, float] = {}
        self._db = db
        self._clock = clock
        self._metrics = metrics

    def job(self, name: str, anchor: str, work: Work, **policy: Any) -> Job:
        """A schedulable job whose occurrences go through this runner."""
        ledgered = policy.get("ledgered", True)
        self._works[name] = work
        job = Job(name=name, anchor=anchor, run=lambda at: self.run(name, at, work, ledgered=ledgered), **policy)
        self._patience_s[name] = job.deadline_s if ledgered else 0.0
        return job

    def resume(self, name: str, at: datetime) -> str:
        """Run again an occurrence that a killed process had claimed; "claimed" for a job that no longer exists."""
        return self.run(name, at, self._works[name], query="job_reclaim") if name in self._works else "claimed"

    def run_now(self, name: str, at: datetime) -> str:
        """Run a declared job for an instant of its own."""
        return self.run(name, at, self._works[name])

    def run(self, name: str, at: datetime, work: Work, *, ledgered: bool = True, query: str = "job_claim") -> str:
        """Run one occurrence; its outcome: success, failed, skipped, or "claimed" when another run has it."""
        run_id = secrets.token_hex(8)
        started = self._clock.now()
        if ledgered and not self._claim(query, name, at, run_id, started):
            return "claimed"  # another run has it
        self._metrics.set("allocd_job_running", 1, job=name)
        self._count_running(+1)
        begin = time.perf_counter()
        with bound(run_id=run_id):
            outcome, detail = self._contained(name, at, work)
            seconds = time.perf_counter() - begin
            if ledgered:
                self._finish(name, at, run_id, outcome, detail, seconds)
            self._account(name, outcome, seconds, started, at)
        return outcome

    def _claim(self, query: str, name: str, at: datetime, run_id: str, started: datetime) -> bool:
        if self._strict:
            self._db.run(query, job=name, scheduled_at=at, run_id=run_id, started_at=started)
            return True
        claimed = self._patiently(name, lambda: self._db.row(query, job=name, scheduled_at=at, run_id=run_id, started_at=started))
        return claimed is not None

    def _patiently(self, name: str, call: Callable[[], T]) -> T:
        """Call again while database or broker are away, until the job's deadline; loops without a ledger come round by themselves."""
        begin, pause_s = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                return call()
            except PASSING as error:
                if self._strict or time.monotonic() - begin + pause_s > self._patience_s.get(name, 0.0):
                    raise
                log.warning("job.retried", job=name, error_type=type(error).__name__, error=str(error)[:300], pause_s=pause_s)
            time.sleep(pause_s)
            pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)

    def _contained(self, name: str, at: datetime, work: Work) -> tuple[str, dict[str, Any]]:
        try:
            return "success", self._patiently(name, lambda: work(at)) or {}
        except Skipped as reason:
            return "skipped", {"reason": str(reason)}
        except Failed as reason:
            log.error("job.failed", job=name, planned_at=at, error_type="Failed", error=str(reason)[:500])
            return "failed", {"error": str(reason)[:500]}
        except StorageFull:
            raise  # nothing can be recorded: only a restart with room helps
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StorageFull(
                    f"no room left for {name} ({error}): free some space and start again; nothing that was recorded is lost"
                ) from error
            return self._unforeseen(name, at, error)
        except FORESEEN as error:
            if self._strict:
                raise
            log.error("job.failed", job=name, planned_at=at, error_type=type(error).__name__, error=str(error)[:500])
            return "failed", {"error_type": type(error).__name__, "error": str(error)[:500]}
        except Exception as error:  # the one broad except: a failing job must never end the daemon
            return self._unforeseen(name, at, error)

    def _unforeseen(self, name: str, at: datetime, error: Exception) -> tuple[str, dict[str, Any]]:
        if self._strict:
            raise error
        self._metrics.inc("allocd_unhandled_exceptions_total", component="scheduler")
        log.exception("job.failed", job=name, planned_at=at, error_type=type(error).__name__)
        return "failed", {"error_type": type(error).__name__, "error": str(error)[:500]}

    def _finish(self, name: str, at: datetime, run_id: str, outcome: str, detail: dict[str, Any], seconds: float) -> None:
        parameters = {"job": name, "scheduled_at": at, "run_id": run_id, "status": outcome, "finished_at": self._clock.now()}
        self._patiently(name, lambda: self._db.run("job_finish", **parameters, detail={**detail, "duration_s": round(seconds, 4)}))
        emit = log.info if outcome in ("success", "skipped") else log.warning
        emit("job.finished", job=name, outcome=outcome, planned_at=at, duration_s=round(seconds, 4), **detail)

    def _account(self, name: str, outcome: str, seconds: float, started: datetime, at: datetime) -> None:
        self._metrics.set("allocd_job_running", 0, job=name)
        self._count_running(-1)
        self._metrics.inc("allocd_job_runs_total", job=name, outcome=outcome)
        self._metrics.observe("allocd_job_duration_seconds", seconds, job=name)
        self._metrics.observe("allocd_scheduler_lag_seconds", max(0.0, (started - at).total_seconds()))
        if outcome == "success":
            self._metrics.set("allocd_job_last_success_timestamp_seconds", self._clock.now().timestamp(), job=name)

    def _count_running(self, change: int) -> None:
        with self._counting:
            self._running += change
            self._metrics.set("allocd_scheduler_running_jobs", self._running)

    def missed(self, job: Job, at: datetime) -> None:
        """Record an occurrence that will not be run."""
        if job.ledgered:
            now = self._clock.now()
            self._db.run(
                "job_record_missed", job=job.name, scheduled_at=at, run_id=secrets.token_hex(8), at=now, detail={"reason": "not running"}
            )
            self._metrics.inc("allocd_job_runs_total", job=job.name, outcome="missed")
            log.warning("job.missed", job=job.name, planned_at=at)


def attempt(name: str, call: Callable[[], T]) -> T | str:
    """Run a strategy contained: its result, or the reason of its failure."""
    try:
        return call()
    except Exception as error:  # a strategy is somebody's code: its failure is its own
        log.exception("signal.failed", strategy=name, error_type=type(error).__name__)
        return f"{type(error).__name__}: {error}"[:500]
