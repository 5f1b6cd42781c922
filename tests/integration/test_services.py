"""A service outlives the daemon that started it, is started again when it dies, and is ended by its id. Real processes."""

import os
import signal
import threading
import time
from datetime import UTC, datetime

import pytest

from daemon.errors import DependencyFailed
from daemon.services import Service

ARGUMENTS = ["--symbols", "60", "--history", "300", "--start", "2024-01-02"]


@pytest.fixture
def services(tmp_path):
    """Makes services of one directory; whatever process they left is ended after the test."""
    made = []

    def service(arguments=ARGUMENTS):
        made.append(Service("twin", "/twin", tmp_path, list(arguments)))
        return made[-1]

    yield service
    for one in made:
        one.stop()


def ended(pid, within_s=5.0):
    """True once no such process runs; one that waits to be reaped has ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        threading.Event().wait(0.01)
    return False


def test_a_running_service_is_attached_to_and_ended_by_its_id(services, tmp_path):
    (tmp_path / "twin.json").write_text(f'{{"port": 1, "pid": {os.getpid()}}}')
    first, second = services(), services()
    started = first.ensure()
    assert started.pid != os.getpid(), "a file that a dead service left behind misleads nobody"
    assert second.ensure() == started, "the next daemon finds it in the directory and starts nothing"
    second.advance(datetime(2024, 1, 3, 12, tzinfo=UTC))
    assert first.now() == datetime(2024, 1, 3, 12, tzinfo=UTC), "one process, one clock"
    second.stop()
    assert second.endpoint is None
    assert ended(started.pid)
    second.stop()


def test_a_service_that_dies_is_started_again_on_its_port_at_the_time_it_was_told_last(services):
    service = services()
    first = service.ensure()
    told = datetime(2024, 1, 4, 15, tzinfo=UTC)
    service.advance(told)
    os.kill(first.pid, signal.SIGKILL)
    assert ended(first.pid)
    assert service.now() == told, "whoever asks first starts it again"
    second = service.endpoint
    assert (second.port, second.pid != first.pid) == (first.port, True)

    service.watch()
    os.kill(second.pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while service.endpoint.pid == second.pid and time.monotonic() < until:
        threading.Event().wait(0.02)
    third = service.endpoint
    assert (third.port, third.pid != second.pid) == (first.port, True), "a watched one is started again unasked"
    assert service.now() == told
    service.stop()
    assert ended(third.pid)


def test_a_service_that_cannot_start_fails_with_the_place_of_its_log(services, tmp_path):
    with pytest.raises(DependencyFailed, match=str(tmp_path / "twin.log")):
        services(["--symbols", "none"]).ensure()
    assert "--symbols" in (tmp_path / "twin.log").read_text()


def test_stopping_a_service_that_was_never_started_does_nothing(services):
    services().stop()
