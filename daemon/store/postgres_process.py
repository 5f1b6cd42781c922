"""A running postmaster: as the child of a thread of ours, and as `postmaster.pid` and /proc describe it."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.store.postgres_cluster import PostgresNotStopped

FAST_SHUTDOWN_S = 30.0
IMMEDIATE_SHUTDOWN_S = 10.0


class PostmasterChild:
    """A postmaster and the thread that forked it, which must live as long: the kernel's death signal is tied to that thread.

    on_exit is called from the thread once the process is reaped.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str], on_exit: Callable[["PostmasterChild"], None]
    ) -> None:
        self._command, self._log, self._environment, self._on_exit = command, log, environment, on_exit
        self._launched = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self.exited = threading.Event()
        threading.Thread(target=self._live, name="postgres", daemon=True).start()
        self._launched.wait()
        if self._error:
            raise self._error

    def _live(self) -> None:
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=dict(self._environment),
                    start_new_session=True,
                )
        except OSError as error:
            self._error = error
            self._launched.set()
            return
        self._launched.set()
        self._process.wait()
        self.exited.set()
        self._on_exit(self)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The child; it exists from the end of the constructor on."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Process id of the postmaster (the launcher execs it)."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the postmaster runs; asks the kernel, because the thread may not have been told yet."""
        if self.exited.is_set():
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def stop(self) -> None:
        """Shut down, fast and if need be immediately, and wait. Raises PostgresNotStopped if neither helps."""
        for how, patience in ((signal.SIGINT, FAST_SHUTDOWN_S), (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_S)):
            with suppress(ProcessLookupError):
                self.process.send_signal(how)
            if self.exited.wait(patience):
                return
        raise PostgresNotStopped(
            f"PostgreSQL (process {self.pid}) is still there {IMMEDIATE_SHUTDOWN_S:.0f} s after SIGQUIT: see {self._log}"
        )


@dataclass(frozen=True, slots=True)
class PidFile:
    """What `postmaster.pid` of a cluster says; the file outlives a killed server."""

    data: Path
    pid: int
    socket_dir: str
    status: str

    @classmethod
    def read(cls, data: Path) -> "PidFile | None":
        """The file of the cluster `data`; None if absent or not written completely."""
        try:
            lines = (data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 5 or not lines[0].strip().isdigit():
            return None
        return cls(data, int(lines[0]), lines[4], lines[7].strip() if len(lines) > 7 else "")

    def alive(self) -> bool:
        """Whether the process is a PostgreSQL on this cluster, and not another one that was given the same id later."""
        return runs_on(self.pid, self.data)

    def ready(self) -> bool:
        """Whether the server is there and accepts connections."""
        return self.status == "ready" and self.alive()


def runs_on(pid: int, data: Path) -> bool:
    """Whether process `pid` is a PostgreSQL process of the cluster `data`, by its name and working directory."""
    process = Path("/proc") / str(pid)
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        try:
            return (process / "cwd").readlink() == data
        except PermissionError:
            return os.fsencode(data) in (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def quit_orphans(data: Path) -> None:
    """End the sessions of a postmaster that was killed: they hold its shared memory until their query is done.

    Only to be called when no postmaster runs on the cluster. SIGQUIT makes them leave at once, as after a crash.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and runs_on(int(entry.name), data):
            with suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGQUIT)
