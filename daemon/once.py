"""Running one job now, with the daemon stopped."""

from config import Settings
from daemon.errors import RefusedByState, WrongUsage
from daemon.joblist import build_jobs
from daemon.jobs import JobRunner
from daemon.live import Daemon


def once(settings: Settings, name: str) -> int:
    """Start like the daemon, run one job at the present instant, stop. Exit code 0 when it succeeded, else 1.

    Raises InstanceRunning while the daemon runs, WrongUsage for an unknown job, RefusedByState when it was run already.
    """
    daemon = Daemon(settings, "auto")
    with daemon.prepared() as rt:
        runner = JobRunner(rt.db, rt.clock, rt.metrics)
        jobs = {job.name: job for job in build_jobs(rt, runner)}
        if name not in jobs:
            raise WrongUsage(f"no job {name!r}; there are {', '.join(jobs)}")
        outcome = runner.run_now(name, rt.clock.now())
        if outcome == "claimed":
            raise RefusedByState(f"{name} was already run for this instant")
        return 0 if outcome in ("success", "skipped") else 1
