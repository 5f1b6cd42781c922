"""One occurrence of a job is run once, and whatever becomes of it is on record."""

import errno
import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.clock import VirtualClock
from daemon.jobs import JobRunner, Skipped, attempt
from daemon.metrics import Metrics
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import StorageFull
from daemon.store.postgres import Database
from execution.errors import Rejected, Unreachable
from strategies.base import no_targets

AT = datetime(2022, 1, 3, 14, 0, tzinfo=UTC)
numbers = itertools.count()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("jobs") / "postgres") as server:
        db = Database(server.ensure, durable=False)
        db.migrate()
        yield db
        db.close()


@pytest.fixture
def job(database: Database) -> str:
    """A job name of the test's own."""
    return f"job{next(numbers)}"


def runner(database: Database, job: str, **options: Any) -> JobRunner:
    return JobRunner(database, VirtualClock(AT + timedelta(seconds=2)), Metrics(version="1", installed={"job": [job]}), **options)


def recorded(database: Database, job: str) -> list[dict[str, Any]]:
    with database.connection() as connection:
        return connection.execute("SELECT * FROM job_runs WHERE job = %s ORDER BY scheduled_at", (job,)).fetchall()


def samples(runner: JobRunner, job: str) -> dict[str, float]:
    lines = runner._metrics.exposition().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if f'job="{job}"' in line and not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_a_run_that_succeeds_is_recorded_with_its_detail_and_times(database: Database, job: str) -> None:
    chosen = runner(database, job)
    assert chosen.run(job, AT, lambda at: {"at": at.isoformat()}) == "success"
    (row,) = recorded(database, job)
    assert (row["status"], row["scheduled_at"], row["started_at"]) == ("success", AT, AT + timedelta(seconds=2))
    assert row["detail"]["at"] == AT.isoformat()
    assert row["detail"]["duration_s"] >= 0
    assert samples(chosen, job)[f'allocd_job_runs_total{{job="{job}",outcome="success"}}'] == 1


def test_an_occurrence_is_claimed_once_even_by_runners_that_start_together(database: Database, job: str) -> None:
    runners = [runner(database, job) for _ in range(6)]
    together, ran, outcomes = threading.Barrier(6), [], []

    def compete(one: JobRunner) -> None:
        together.wait(10)
        outcomes.append(one.run(job, AT, lambda at: ran.append(at)))

    threads = [threading.Thread(target=compete, args=(one,)) for one in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes) == ["claimed"] * 5 + ["success"]
    assert ran == [AT]
    assert len(recorded(database, job)) == 1


def test_another_instant_of_the_same_job_is_another_occurrence(database: Database, job: str) -> None:
    one = runner(database, job)
    assert [one.run(job, AT + timedelta(days=n), lambda at: None) for n in (0, 1, 0)] == ["success", "success", "claimed"]


def test_a_claim_whose_process_was_killed_is_resumed_and_recorded_once(database: Database, job: str) -> None:
    class Killed(BaseException):
        pass

    def die(at: datetime) -> None:
        raise Killed

    with pytest.raises(Killed):
        runner(database, job).run(job, AT, die)
    (row,) = recorded(database, job)
    assert (row["status"], row["finished_at"]) == ("running", None)
    assert (job, AT) in [(r["job"], r["scheduled_at"]) for r in database.rows("job_interrupted")]
    after, ran = runner(database, job), []
    after.job(job, "close+45m", lambda at: ran.append(at))
    assert after.run_now(job, AT) == "claimed", "a killed claim is only taken over on purpose"
    assert after.resume(job, AT) == "success"
    assert after.resume(job, AT) == "claimed", "what has an outcome is not run again"
    assert ran == [AT]
    (row,) = recorded(database, job)
    assert row["status"] == "success"
    assert job not in [r["job"] for r in database.rows("job_interrupted")]


def test_a_killed_run_of_a_job_that_no_longer_exists_ends_nothing(database: Database, job: str) -> None:
    database.row("job_claim", job=job, scheduled_at=AT, run_id="dead", started_at=AT)
    assert runner(database, job).resume(job, AT) == "claimed"


def test_a_process_that_was_replaced_cannot_record_over_its_successor(database: Database, job: str) -> None:
    old, new = runner(database, job), runner(database, job)
    new.job(job, "close+45m", lambda at: {"by": "new"})

    def slow(at: datetime) -> dict[str, str]:
        new.resume(job, at)
        return {"by": "old"}

    old.run(job, AT, slow)
    (row,) = recorded(database, job)
    assert row["detail"]["by"] == "new"


def test_a_run_with_nothing_to_do_is_recorded_as_skipped_with_its_reason(database: Database, job: str) -> None:
    def idle(at: datetime) -> None:
        raise Skipped("nothing was due")

    assert runner(database, job).run(job, AT, idle) == "skipped"
    (row,) = recorded(database, job)
    assert (row["status"], row["detail"]["reason"]) == ("skipped", "nothing was due")


@pytest.mark.parametrize("error", [ValueError("a bug"), Rejected("the broker's no"), OSError(errno.EACCES, "denied"), AssertionError("x")])
def test_a_failing_job_never_raises_and_its_reason_is_recorded(database: Database, job: str, error: Exception) -> None:
    def fail(at: datetime) -> None:
        raise error

    chosen = runner(database, job)
    assert chosen.run(job, AT, fail) == "failed"
    (row,) = recorded(database, job)
    assert (row["status"], row["detail"]["error_type"], row["detail"]["error"]) == ("failed", type(error).__name__, str(error))
    found = samples(chosen, job)
    assert (found[f'allocd_job_runs_total{{job="{job}",outcome="failed"}}'], found[f'allocd_job_running{{job="{job}"}}']) == (1, 0)
    assert f'allocd_job_last_success_timestamp_seconds{{job="{job}"}}' not in found


def test_a_failing_job_raises_where_the_runner_is_strict(database: Database, job: str) -> None:
    def fail(at: datetime) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        runner(database, job, strict=True).run(job, AT, fail)


def test_a_full_disk_is_let_out_because_nothing_can_be_recorded(database: Database, job: str) -> None:
    def fill(at: datetime) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFull, match="free some space"):
        runner(database, job).run(job, AT, fill)


def test_work_whose_broker_is_away_for_a_moment_is_repeated_and_succeeds(database: Database, job: str) -> None:
    calls = []

    def work(at: datetime) -> None:
        calls.append(at)
        if len(calls) == 1:
            raise Unreachable("connection refused")

    chosen = runner(database, job)
    chosen.job(job, "close+45m", work)
    assert chosen.run_now(job, AT) == "success"
    assert calls == [AT, AT]
    assert len(recorded(database, job)) == 1


def test_a_loop_without_a_ledger_fails_at_once_and_leaves_no_row(database: Database, job: str) -> None:
    calls = []

    def work(at: datetime) -> None:
        calls.append(at)
        raise Unreachable("connection refused")

    declared = (chosen := runner(database, job)).job(job, "open+1m", work, ledgered=False, catch_up="skip")
    declared.run(AT)
    assert (len(calls), recorded(database, job)) == (1, [])
    assert samples(chosen, job)[f'allocd_job_runs_total{{job="{job}",outcome="failed"}}'] == 1


def test_an_occurrence_that_will_not_be_run_is_recorded_as_missed_once(database: Database, job: str) -> None:
    chosen = runner(database, job)
    declared = chosen.job(job, "close+45m", lambda at: None)
    chosen.missed(declared, AT)
    chosen.missed(declared, AT)
    (row,) = recorded(database, job)
    assert (row["status"], row["detail"]) == ("missed", {"reason": "not running"})
    assert chosen.run_now(job, AT) == "claimed", "missed is final"


def test_a_run_that_happened_is_never_overwritten_by_missed(database: Database, job: str) -> None:
    chosen = runner(database, job)
    declared = chosen.job(job, "close+45m", lambda at: None)
    chosen.run_now(job, AT)
    chosen.missed(declared, AT)
    assert [r["status"] for r in recorded(database, job)] == ["success"]


def test_a_missed_sweep_is_not_recorded(database: Database, job: str) -> None:
    chosen = runner(database, job)
    chosen.missed(chosen.job(job, "open+1m", lambda at: None, ledgered=False, catch_up="skip"), AT)
    assert recorded(database, job) == []


def test_a_strategy_that_fails_is_a_reason_and_one_that_works_its_targets() -> None:
    targets = no_targets()

    def fail() -> Any:
        raise ZeroDivisionError("by nothing")

    assert attempt("s", lambda: targets) is targets
    assert attempt("s", fail) == "ZeroDivisionError: by nothing"
