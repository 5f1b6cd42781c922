"""A daemon as an operator has it: a process, its log, its signals, its HTTP port; nothing of it is imported or patched."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
SMALL = {
    "ALLOCD_LISTEN_PORT": "0",
    "ALLOCD_SANDBOX_SYMBOLS": "60",
    "ALLOCD_SANDBOX_HISTORY_SESSIONS": "320",
    "ALLOCD_SANDBOX_SECONDS_PER_SESSION": "0.5",
    "ALLOCD_SHADOW_WARMUP_SESSIONS": "20",
}
"""The smallest sandbox that trades: a session takes half a second."""

Event = dict[str, Any]


def environment(state: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a daemon under test: nothing of the tester's but what programs need to run."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**kept, "ALLOCD_STATE_DIR": str(state), **SMALL, **settings}


def run_verb(
    state: Path, *arguments: str, settings: Mapping[str, str] | None = None, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run `start.py` with a verb to its end."""
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "start.py"), *arguments],
        env=environment(state, settings or {}), capture_output=True, text=True, timeout=timeout_s, check=False, cwd=state.parent,
    )  # fmt: skip


class NoSuchEvent(AssertionError):
    """The daemon did not log what was waited for."""


class Daemon:
    """One process of `start.py run`, and every line it wrote to stdout and stderr together."""

    def __init__(self, state: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        self.state = state
        self._settings = settings or {}
        self._changed = threading.Condition()
        self._ended = False
        self.events: list[Event] = []
        self.foreign: list[str] = []
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "start.py"), "run", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(state, self._settings),
            cwd=state.parent,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = _parsed(line)
            with self._changed:
                if event is None:
                    self.foreign.append(line.rstrip("\n"))
                else:
                    self.events.append(event)
                self._changed.notify_all()
        self.process.stdout.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, name: str, *, timeout_s: float = 60.0, after: int = 0, where: Callable[[Event], bool] = lambda event: True) -> Event:
        """The first event of that name at or behind position `after` in the log. Raises NoSuchEvent with the end of the log."""
        return self.wait_until(lambda event: event["event"] == name and where(event), timeout_s=timeout_s, after=after, what=name)

    def wait_until(self, wanted: Callable[[Event], bool], *, timeout_s: float = 60.0, after: int = 0, what: str = "such event") -> Event:
        """The first event at or behind position `after` that is wanted. Raises NoSuchEvent."""
        until, seen = time.monotonic() + timeout_s, after
        with self._changed:
            while True:
                while seen < len(self.events):
                    seen += 1
                    if wanted(self.events[seen - 1]):
                        return self.events[seen - 1]
                left = until - time.monotonic()
                if self._ended or left <= 0:
                    raise NoSuchEvent(
                        f"no {what} {'before the end' if self._ended else f'within {timeout_s} s'}; the log ends with\n{self.tail()}"
                    )
                self._changed.wait(left)

    def wait_ready(self, timeout_s: float = 90.0) -> float:
        """Wait for readiness; seconds since the process was started."""
        self.wait_for("daemon.ready", timeout_s=timeout_s)
        return time.monotonic() - self.started_at

    def named(self, name: str) -> list[Event]:
        """Every event of a name so far."""
        return [event for event in list(self.events) if event["event"] == name]

    def tail(self, n: int = 12) -> str:
        """The end of the log, for a failure's message."""
        return "\n".join([*(json.dumps(e)[:1500] for e in self.events[-n:]), *self.foreign[-n:]])

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def port(self) -> int:
        """The port of the operator surface."""
        return int(self.wait_for("daemon.started")["listen"].rsplit(":", 1)[1])

    @property
    def sandbox(self) -> Path:
        """The state directory of the paced sandbox."""
        return self.state / "sandbox"

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the operator surface; one that the daemon could not make fails with what its log says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            status, body = answer.status, answer.read().decode()
            if status == 500:
                told = [event for event in self.events if event.get("level") == "error"][-3:]
                raise AssertionError(f"{path} failed: {body} {json.dumps(told)[-4000:]} {self.foreign[-40:]}")
            return status, body
        finally:
            connection.close()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it with signal 9, and reap it."""
        self.process.kill()
        self.wait(10.0)

    def terminate(self, timeout_s: float = 10.0) -> tuple[int, float]:
        """SIGTERM: exit code and seconds until the process was gone."""
        asked_at = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(timeout_s)
        return code, time.monotonic() - asked_at

    def wait(self, timeout_s: float) -> int:
        """The exit code, once the process has ended and its log is read."""
        code = self.process.wait(timeout_s)
        self._reader.join(5.0)
        return code

    def close(self) -> None:
        """Leave nothing behind: the daemon, and the service processes that outlive it."""
        if self.process.poll() is None:
            self.kill()
        for directory in (self.state / "sandbox", self.state / "sandbox-realtime"):
            for name in ("exchange", "twin"):
                end_service(directory, name)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def service(directory: Path, name: str) -> tuple[int, int] | None:
    """Port and process id of a service of the sandbox, from the file that it wrote when it began to listen."""
    try:
        known = json.loads((directory / f"{name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return int(known["port"]), int(known["pid"])


def is_service(pid: int, name: str) -> bool:
    """Whether the process of that id is a service of a sandbox: ids are given again."""
    try:
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return str(CHECKOUT / "start.py").encode() in words and name.encode() in words


def end_service(directory: Path, name: str, number: int = signal.SIGKILL) -> bool:
    """Send a signal to a service of the sandbox; False when it does not run."""
    found = service(directory, name)
    if found is None or not is_service(found[1], name):
        return False
    os.kill(found[1], number)
    return True


def postmaster_pid(directory: Path) -> int | None:
    """Process id of the embedded PostgreSQL server, if it runs."""
    try:
        pid = int((directory / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        is_server = (Path("/proc") / str(pid) / "comm").read_text().strip() == "postgres"
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return None
    return pid if is_server else None


def ask(port: int, path: str, headers: Mapping[str, str] | None = None) -> Any:
    """A JSON answer of a service on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{path} answered {answer.status}: {body[:200]!r}")
        return json.loads(body)
    finally:
        connection.close()


def _parsed(line: str) -> Event | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def tracebacks(events: Sequence[Event]) -> list[Event]:
    """Events that carry a traceback."""
    return [event for event in events if event.get("exception")]
