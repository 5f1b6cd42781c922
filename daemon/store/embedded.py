"""The PostgreSQL server that allocd starts for itself where PG_URI names none.

It runs as a foreground child that dies with its parent, listens on a private Unix socket only, and belongs to whichever
process holds `owner.lock`. Others on the same directory attach to it and take over when its owner goes away.

    <directory>/data          the cluster (or a link to it)
    <directory>/socket/       the socket
    <directory>/password      of the role `allocd`
    <directory>/owner.lock    locked by the owner while the server lives
    <directory>/postgres.log  and postgres.log.1
"""

import fcntl
import os
import signal
import subprocess
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo

from daemon.store.launch_postgres import ACCOUNT_DENIED
from daemon.store.postgres_binaries import Source
from daemon.store.postgres_cluster import (
    DATABASE,
    ENVIRONMENT,
    PORT,
    ROLE,
    Cluster,
    EmbeddedPostgresError,
    PostgresNotStarted,
    PostgresNotStopped,
    RunAs,
    change_password,
    give_to_owner,
    open_cluster,
    password,
    tail,
)
from daemon.store.postgres_process import PidFile, PostmasterChild, quit_orphans

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "PostgresNotStarted", "PostgresNotStopped"]

READY_TIMEOUT_S = 90.0  # crash recovery replays the log written since the last checkpoint
PREVIOUS_TIMEOUT_S = 20.0
POLL_S = 0.01
LOG_LIMIT_BYTES = 10 * 1024 * 1024
STILL_IN_USE = ("is still in use", 'lock file "')  # a predecessor's processes are not all gone yet

_instances: "weakref.WeakSet[EmbeddedPostgres]" = weakref.WeakSet()


class EmbeddedPostgres:
    """A PostgreSQL server on a directory, shared by all allocd processes that name the same directory.

    directory: made (0700) if absent. shared_buffers_mb, max_connections: PostgreSQL's settings, used when this object starts
    the server. binaries: which programs to use, see `find_binaries`. run_as: for root only, "namespace" or "unprivileged" to
    allow one way and not the other.
    """

    def __init__(
        self,
        directory: Path,
        *,
        shared_buffers_mb: int = 128,
        max_connections: int = 40,
        binaries: Source = "auto",
        run_as: RunAs = "auto",
    ) -> None:
        self.directory = directory.absolute()
        self.version = ""
        self._settings = {"shared_buffers": f"{shared_buffers_mb}MB", "max_connections": str(max_connections)}
        self._binaries: Source = binaries
        self._run_as: RunAs = run_as
        self._mutex = threading.RLock()
        self._lock_file: int | None = None
        self._server: PostmasterChild | None = None
        self._conninfo = ""
        _instances.add(self)

    @property
    def owned(self) -> bool:
        """Whether the running server is this object's child."""
        return self._server is not None and self._server.alive

    @property
    def server_pid(self) -> int | None:
        """Process id of the running server, ours or the one we are attached to; None if there is none."""
        if self._server is not None:
            return self._server.pid if self._server.alive else None
        found = PidFile.read((self.directory / "data").resolve())
        return found.pid if found and found.alive() else None

    def ensure(self) -> str:
        """The conninfo of a running server, which is started, taken over or attached to as needed.

        Cheap when the server is up; safe from any thread. Call it again after connection errors. The conninfo holds the
        password: do not log it. Raises PostgresNotStarted, which says what failed, where, and what to do.
        """
        with self._mutex:
            if self.owned:
                return self._conninfo
            try:
                return self._bring_up()
            except (OSError, subprocess.SubprocessError) as error:
                raise PostgresNotStarted(f"starting PostgreSQL on {self.directory} failed: {error}") from error

    def stop(self) -> None:
        """Shut the server down (fast) and wait for its end, if this object started it; detach otherwise."""
        with self._mutex:
            if self._server is not None:
                self._server.stop()
            self._server, self._conninfo = None, ""
            self._unlock()

    def __enter__(self) -> Self:
        self.ensure()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _bring_up(self) -> str:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = self.directory.resolve()
        deadline, reason = time.monotonic() + READY_TIMEOUT_S, "it did not become ready"
        while time.monotonic() < deadline:
            if self._try_lock():
                return self._start_owned()
            found = PidFile.read((self.directory / "data").resolve())
            if found and found.ready():
                try:
                    return self._attach(found)
                except psycopg.OperationalError as error:
                    reason = str(error)
            time.sleep(POLL_S)
        holder = (self.directory / "owner.lock").read_text().strip()
        raise PostgresNotStarted(
            f"the PostgreSQL server on {self.directory} belongs to process {holder} and cannot be used: {reason}."
            f" See {self._log} and that process; ending it lets this one take over"
        )

    def _attach(self, found: PidFile) -> str:
        conninfo = self._conninfo_for(found.socket_dir)
        if conninfo != self._conninfo:
            self._verify(conninfo)
        return self._conninfo

    def _start_owned(self) -> str:
        """Start the server. The lock is ours; it is kept only if the server comes up."""
        try:
            cluster = open_cluster(self.directory, binaries=self._binaries, run_as=self._run_as)
            self._wait_for_previous(cluster)
            if password(self.directory) is None:
                change_password(cluster, self.directory)
            server = self._launch(cluster)
        except BaseException:
            self._unlock()
            raise
        self._server = server
        try:
            return self._verify(self._conninfo_for(str(cluster.socket_dir())))
        except psycopg.OperationalError as error:
            self.stop()
            raise PostgresNotStarted(
                f"the new server on {self.directory} refused its first connection: {error}."
                f" If the password is wrong, remove {self.directory / 'password'}: a new one is set at the next start"
            ) from error

    def _launch(self, cluster: Cluster) -> PostmasterChild:
        """Start until it is ready, again while a predecessor's processes are still leaving."""
        give_up_at = time.monotonic() + PREVIOUS_TIMEOUT_S
        while True:
            offset = self._rotate_log()
            server = PostmasterChild(
                cluster.account.command(self._command(cluster), signal.SIGINT),
                log=self._log,
                environment=_environment(cluster),
                on_exit=self._forget,
            )
            try:
                if self._becomes_ready(server, cluster):
                    return server
            except BaseException:
                server.stop()
                raise
            said = self._log_since(offset)
            if not any(mark in said for mark in STILL_IN_USE) or time.monotonic() > give_up_at:
                raise PostgresNotStarted(_why(server, cluster, f"{self._log} ends with:{tail(said)}"))
            quit_orphans(cluster.data)
            time.sleep(5 * POLL_S)

    def _becomes_ready(self, server: PostmasterChild, cluster: Cluster) -> bool:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not server.exited.wait(POLL_S):
            found = PidFile.read(cluster.data)
            if found and found.pid == server.pid and found.status == "ready":
                return True
            if time.monotonic() > deadline:
                raise PostgresNotStarted(f"PostgreSQL was not ready on {cluster.data} after {READY_TIMEOUT_S:.0f} s: see {self._log}")
        return False

    def _command(self, cluster: Cluster) -> list[str]:
        """The server's command line; these settings win over postgresql.conf."""
        quoted = str(cluster.socket_dir()).replace('"', '""')
        settings = self._settings | {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{quoted}"',
            "unix_socket_permissions": "0700",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_checkpoints": "off",
            "password_encryption": "scram-sha-256",
        }
        return [cluster.postgres, "-D", str(cluster.data), *(f"--{name}={value}" for name, value in settings.items())]

    def _wait_for_previous(self, cluster: Cluster) -> None:
        """Let a server whose owner died end its shutdown; ask it to, if the kernel's signal did not reach it."""
        deadline, asked = time.monotonic() + PREVIOUS_TIMEOUT_S, False
        while (found := PidFile.read(cluster.data)) and found.alive():
            if time.monotonic() > deadline:
                raise PostgresNotStarted(
                    f"a PostgreSQL server without an allocd (process {found.pid}) is still running on {cluster.data}:"
                    f" stop it with `kill -INT {found.pid}`"
                )
            if not asked and found.socket_dir == str(cluster.socket_dir()):
                asked = True
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(found.pid, signal.SIGINT)
            time.sleep(POLL_S)
        for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (cluster.socket_dir() / leftover).unlink(missing_ok=True)

    def _conninfo_for(self, socket_dir: str) -> str:
        return make_conninfo(host=socket_dir, port=PORT, user=ROLE, dbname=DATABASE, password=password(self.directory), connect_timeout=5)

    def _verify(self, conninfo: str) -> str:
        """Connect once. Raises psycopg.OperationalError."""
        with psycopg.connect(conninfo) as connection:
            number = connection.info.server_version
        self.version, self._conninfo = f"{number // 10000}.{number % 10000}", conninfo
        return conninfo

    @property
    def _log(self) -> Path:
        return self.directory / "postgres.log"

    def _rotate_log(self) -> int:
        """Keep the log bounded; its size now."""
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        if not self._log.exists():
            self._log.touch(mode=0o600)
            give_to_owner(self._log)
        return self._log.stat().st_size

    def _log_since(self, offset: int) -> str:
        with self._log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def _try_lock(self) -> bool:
        """Become the owner, unless another process, or another object, is."""
        if self._lock_file is not None:
            return True
        path = self.directory / "owner.lock"
        created = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        if created:
            give_to_owner(path)
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock_file = handle
        return True

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _forget(self, server: PostmasterChild) -> None:
        """Give up the ownership when the server has died, so that whoever needs it first can start it again."""
        with self._mutex:
            if self._server is server:
                self._server = None
                self._unlock()

    def _disown(self) -> None:
        """In a forked child: the server and the lock are the parent's."""
        self._mutex = threading.RLock()
        self._server, self._conninfo = None, ""
        self._unlock()


def _why(server: PostmasterChild, cluster: Cluster, said: str) -> str:
    code = server.process.returncode
    text = f"PostgreSQL {cluster.binaries.version} ({cluster.postgres}) ended with code {code} while starting on {cluster.data}; {said}"
    if code == ACCOUNT_DENIED:
        text += f"\nThe cluster is root's, and user namespaces are denied here: give {cluster.data.parent} to an ordinary user (chown -R)"
    return text


def _environment(cluster: Cluster) -> dict[str, str]:
    """The server's environment. After a crash the id in postmaster.pid may have gone to some other process, which PostgreSQL would
    take for a running server; it ignores the id in PG_GRANDPARENT_PID (CreateLockFile in miscinit.c), as pg_ctl uses it, and still
    checks that the old server's shared memory is free.
    """
    found = PidFile.read(cluster.data)
    if found and not found.alive():
        return ENVIRONMENT | {"PG_GRANDPARENT_PID": str(found.pid)}
    return ENVIRONMENT


def _after_fork() -> None:
    for instance in _instances:
        instance._disown()


os.register_at_fork(after_in_child=_after_fork)
