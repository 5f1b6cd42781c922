"""One state directory: its lock, its database, its segments."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from config import Settings
from daemon.errors import InstanceRunning, PermissionsWrong
from daemon.logging import get_logger
from daemon.store.datasets import ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers.base import Dataset

log = get_logger("store")


class Installation:
    """What lies under one state directory.

    Without `pg_uri` the database is the embedded PostgreSQL under `<directory>/postgres`.
    """

    def __init__(self, directory: Path, settings: Settings, *, pg_uri: str | None) -> None:
        self.directory = directory
        self._settings = settings
        self._pg_uri = pg_uri
        self._embedded: EmbeddedPostgres | None = None
        self._lock: int | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except PermissionError as error:
            raise PermissionsWrong(
                f"{directory}: cannot be created ({error.strerror}); set ALLOCD_STATE_DIR to a directory of your own"
            ) from error
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionsWrong(f"{directory}: not writable by this user; set ALLOCD_STATE_DIR to a directory of your own")

    @property
    def conninfo(self) -> Callable[[], str]:
        """Where the database is; starts the embedded server when it does not run."""
        if self._pg_uri is not None:
            uri = self._pg_uri
            return lambda: uri
        if self._embedded is None:
            self._embedded = EmbeddedPostgres(self.directory / "postgres", shared_buffers_mb=self._settings.pg_shared_buffers_mb)
        return self._embedded.ensure

    def lock(self) -> None:
        """Become the one daemon of this state directory. Raises InstanceRunning."""
        handle = os.open(self.directory / "allocd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise InstanceRunning(
                f"{self.directory}: another allocd runs on this state directory; stop it or set ALLOCD_STATE_DIR"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._lock = handle

    def is_locked(self) -> bool:
        """True while a daemon runs on this state directory."""
        path = self.directory / "allocd.lock"
        if not path.exists():
            return False
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def database(self, *, pool_max: int = 8) -> Database:
        """The database, migrated. Raises DatabaseUnreachable, DatabaseTooNew, EmbeddedPostgresError."""
        db = Database(self.conninfo, pool_max=pool_max)
        for name in db.migrate():
            log.info("db.migrated", migration=name, schema=db.schema)
        return db

    def lake(self) -> Lake:
        """The segment directory."""
        directory = self.directory / "lake"
        directory.mkdir(exist_ok=True, mode=0o700)
        return Lake(directory, memory_mb=self._settings.duckdb_memory_mb, threads=self._settings.duckdb_threads)

    def close(self) -> None:
        """Stop the embedded server when this process started it, and release the lock."""
        if self._embedded is not None:
            self._embedded.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def prepare(db: Database, lake: Lake, datasets: Iterable[Dataset]) -> None:
    """Create missing dataset tables and make the segments match them."""
    for dataset in datasets:
        ensure_table(db, dataset)
        outcome = lake.heal(db, dataset)
        if outcome != "ok":
            log.info("data.sealed", dataset=dataset.name, outcome=outcome)
