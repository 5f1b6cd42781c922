"""The sandbox's outside world: exchange and data services as processes of their own, which outlive a killed daemon."""

import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from config import CHECKOUT, child_environment
from daemon.errors import DependencyFailed, InstanceRunning
from daemon.logging import get_logger

log = get_logger("sandbox")

START_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.25
KEY = SECRET = "sandbox"  # noqa: S105  a synthetic account on loopback, open to nobody else


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A running service: loopback port and process id."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"


class Service:
    """One service process: attached to when it runs, started when it does not, followed by its clock."""

    def __init__(self, name: str, prefix: str, directory: Path, arguments: list[str]) -> None:
        self.name, self._prefix, self._directory, self._arguments = name, prefix, directory, arguments
        self._file = directory / f"{name}.json"
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._told: datetime | None = None
        self.endpoint: Endpoint | None = None

    def ensure(self) -> Endpoint:
        """Attach to the running service or start it. Raises DependencyFailed."""
        with self._lock:
            previous = self.endpoint
            endpoint = self._attach() or self._start(previous.port if previous else 0)
            if self._told is not None and previous is not None and endpoint.pid != previous.pid:
                call(endpoint, "PUT", f"{self._prefix}/clock", {"now": self._told.isoformat()})
            self.endpoint = endpoint
            return endpoint

    def watch(self) -> None:
        """From now on, start the service again when it ends by itself: on the port that clients know, at the time it was told last."""
        threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True).start()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            if self.endpoint is not None and not _is_alive(self.endpoint.pid, self._child):
                log.warning("process.exited", service=self.name, pid=self.endpoint.pid)
                self.try_start()

    def try_start(self) -> None:
        """`ensure` for a thread of its own: a failure is reported by the next `ensure`."""
        try:
            self.ensure()
        except (DependencyFailed, OSError, http.client.HTTPException):
            return

    def _attach(self) -> Endpoint | None:
        try:
            known = json.loads(self._file.read_text())
            endpoint = Endpoint(port=int(known["port"]), pid=int(known["pid"]))
            health = call(endpoint, "GET", f"{self._prefix}/health")
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return None
        return endpoint if health.get("pid") == endpoint.pid else None

    def _start(self, port: int) -> Endpoint:
        address = ["--port", str(port), "--ready-file", str(self._file)]
        command = [sys.executable, str(CHECKOUT / "start.py"), self.name, *self._arguments, *address]
        with (self._directory / f"{self.name}.log").open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=child_environment(),
                cwd=self._directory,
            )
        if self._child is not None:
            self._child.poll()  # reaps one that has ended
        self._child = child
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and not self._stopping.is_set():
            # A killed daemon may have left one that is still starting: ours then ends at once, and that one is attached to.
            if child.poll() not in (None, InstanceRunning.exit_code):
                break
            if (endpoint := self._attach()) is not None:
                log.info("process.started", service=self.name, pid=endpoint.pid, port=endpoint.port)
                return endpoint
            time.sleep(0.02)
        raise DependencyFailed(f"the sandbox's {self.name} did not start; its log is {self._directory / f'{self.name}.log'}")

    def now(self) -> datetime:
        """The service's own clock."""
        return datetime.fromisoformat(self._asked("GET", "/clock")["now"])

    def advance(self, to: datetime) -> None:
        """Move the service's virtual clock."""
        self._told = to
        self._asked("PUT", "/clock", {"now": to.isoformat()})

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        endpoint = self.endpoint or self.ensure()
        try:
            return call(endpoint, method, self._prefix + path, body)
        except (OSError, http.client.HTTPException):
            pass
        try:
            return call(self.ensure(), method, self._prefix + path, body)
        except (OSError, http.client.HTTPException) as error:
            raise DependencyFailed(f"the sandbox's {self.name} does not answer: {error}") from error

    def stop(self) -> None:
        """End the process by its id and wait for it."""
        self._stopping.set()
        if self.endpoint is None:
            return
        try:
            os.kill(self.endpoint.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        until = time.monotonic() + 3.0
        while time.monotonic() < until and _is_alive(self.endpoint.pid, self._child):
            time.sleep(0.02)
        log.info("process.stopped", service=self.name, pid=self.endpoint.pid)
        self.endpoint = None


def _is_alive(pid: int, child: subprocess.Popen[bytes] | None) -> bool:
    if child is not None and child.pid == pid:
        return child.poll() is None
    # One that an earlier daemon started may have ended and wait for an init process that does not reap: that is not alive.
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def call(endpoint: Endpoint, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One JSON request on loopback. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=30.0)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise http.client.HTTPException(f"{path} answered {answer.status}: {content[:200]!r}")
        found: dict[str, Any] = json.loads(content)
        return found
    finally:
        connection.close()


def write_ready(path: Path, port: int) -> None:
    """Tell whoever started this service where it listens."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"port": port, "pid": os.getpid()}))
    temporary.rename(path)


def hold(ready_file: Path) -> None:
    """Be the one service of that name in its directory for the life of this process. Raises InstanceRunning."""
    handle = os.open(ready_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InstanceRunning(f"{ready_file}: the service of this file runs already") from None
