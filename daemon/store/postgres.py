"""The system of record: connections, transactions, named queries and migrations over PostgreSQL."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import JsonbDumper
from psycopg_pool import ConnectionPool, PoolTimeout

from daemon.store.errors import DatabaseTooNew, DatabaseUnreachable, StorageFull
from daemon.store.held import HeldConnection, copy_rows
from daemon.store.queries import Row, migrations
from daemon.store.queries import sql as named

Commit = Literal["transaction", "session"]
MIGRATION_LOCK = 0x616C6C6F6364  # "allocd"


class Database:
    """One PostgreSQL database and schema.

    conninfo: called before connecting and after a lost connection; may start the embedded server.
    commit: "transaction" commits at the end of each `transaction()`; "session" keeps one connection, to a schema that nobody
        else writes, and commits only at `flush()` (replay commits once per market session).
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        *,
        schema: str = "allocd",
        commit: Commit = "transaction",
        pool_max: int = 8,
        durable: bool = True,
    ) -> None:
        self._conninfo = conninfo
        self.schema = schema
        self._commit = commit
        self._durable = durable
        self._local = threading.local()
        self._held: HeldConnection | None = None
        self._pool = self._open(1 if commit == "session" else pool_max)

    def _open(self, size: int) -> ConnectionPool[Connection[Row]]:
        info = self._conninfo()
        pool: ConnectionPool[Connection[Row]] = ConnectionPool(
            info,
            kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": 5},
            min_size=1,
            max_size=size,
            open=False,
            timeout=10.0,
            check=ConnectionPool.check_connection,
            configure=self._configure,
            reconnect_timeout=30.0,
        )
        try:
            with psycopg.connect(info, connect_timeout=5):
                pass
        except psycopg.OperationalError as error:
            raise DatabaseUnreachable(_unreachable(info, error)) from error
        pool.open(wait=True, timeout=10.0)
        return pool

    def _configure(self, connection: Connection[Row]) -> None:
        connection.adapters.register_dumper(dict, JsonbDumper)
        connection.adapters.register_dumper(list, JsonbDumper)
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
        connection.execute("SET timezone TO 'UTC'")
        if not self._durable:
            connection.execute("SET synchronous_commit TO off")

    def close(self) -> None:
        """Release every connection; anything not flushed is lost."""
        if self._held is not None:
            self._held.rollback()
            self._pool.putconn(self._held.connection())
            self._held = None
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[Connection[Row]]:
        """The current transaction's connection, or one of the pool in autocommit."""
        current: Connection[Row] | None = getattr(self._local, "connection", None)
        held = self._session()
        if held is not None:
            yield held.connection()
        elif current is not None:
            yield current
        else:
            with self._checked_out() as connection:
                yield connection

    def _session(self) -> HeldConnection | None:
        """The one connection of a "session" database, else None."""
        if self._held is None and self._commit == "session":
            connection = self._pool.getconn()
            connection.autocommit = False
            self._held = HeldConnection(connection)
        return self._held

    @contextmanager
    def _checked_out(self) -> Iterator[Connection[Row]]:
        info = self._conninfo()
        try:
            connection = self._pool.getconn()
        except PoolTimeout as error:
            raise DatabaseUnreachable(_unreachable(info, error)) from error
        try:
            yield connection
        except psycopg.errors.DiskFull as error:
            raise StorageFull(_full(error)) from error
        except psycopg.OperationalError as error:
            raise DatabaseUnreachable(_unreachable(info, error)) from error
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes durable together, or not at all. Nested use joins the outer transaction."""
        if self._commit == "session" or getattr(self._local, "connection", None) is not None:
            yield
            return
        with self._checked_out() as connection:
            self._local.connection = connection
            try:
                with connection.transaction():
                    yield
            finally:
                self._local.connection = None

    def flush(self) -> None:
        """Commit what a "session" database has gathered; nothing to do otherwise."""
        if self._held is not None:
            self._held.commit()

    def abandon(self) -> None:
        """Forget what a "session" database has gathered since the last flush."""
        if self._held is not None:
            self._held.rollback()

    def rows(self, name: str, **parameters: Any) -> list[Row]:
        """Every row of a named query."""
        if held := self._session():
            return held.read(name, parameters)
        with self.connection() as connection:
            return connection.execute(named(name), parameters).fetchall()

    def row(self, name: str, **parameters: Any) -> Row | None:
        """The first row of a named query, or None."""
        if held := self._session():
            return next(iter(held.read(name, parameters)), None)
        with self.connection() as connection:
            return connection.execute(named(name), parameters).fetchone()

    def run(self, name: str, **parameters: Any) -> None:
        """Run a named statement."""
        self.run_many(name, [parameters])

    def count(self, name: str, **parameters: Any) -> int:
        """Run a named statement; the number of rows it touched."""
        if held := self._session():
            return held.count(name, parameters)
        with self.connection() as connection:
            return connection.execute(named(name), parameters).rowcount

    def run_many(self, name: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a named statement once for each set of parameters, in one round trip."""
        if not parameters:
            return
        if held := self._session():
            held.write(name, parameters)
            return
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(named(name), parameters)

    def copy(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows through a named COPY statement."""
        gathered = list(rows)
        if not gathered:
            return
        if held := self._session():
            held.copy(name, gathered)
            return
        with self.connection() as connection:
            copy_rows(connection, name, gathered)

    def schema_version(self) -> int:
        """Number of the newest applied migration, 0 for none."""
        with self.connection() as connection:
            found = connection.execute("SELECT to_regclass('schema_migrations') AS t").fetchone()
            if found is None or found["t"] is None:
                return 0
            newest = connection.execute("SELECT coalesce(max(version), 0) AS v FROM schema_migrations").fetchone()
            return int(newest["v"]) if newest else 0

    def migrate(self) -> list[str]:
        """Bring the schema up to date under a lock; the names of the migrations applied.

        Raises DatabaseTooNew when the database was migrated by a newer program.
        """
        with self.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )
            return self._apply_pending(connection)

    def _apply_pending(self, connection: Connection[Row]) -> list[str]:
        newest = connection.execute("SELECT coalesce(max(version), 0) AS v FROM schema_migrations").fetchone()
        have = int(newest["v"]) if newest else 0
        known = migrations()
        if have > known[-1][0]:
            raise DatabaseTooNew(
                f"schema {self.schema!r} is at version {have}, this program knows {known[-1][0]}: "
                "install the allocd that migrated it (data is never migrated backwards)"
            )
        applied = []
        for version, name, text in known:
            if version > have:
                connection.execute(text)
                connection.execute("INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", (version, name))
                applied.append(name)
        return applied

    def drop_schema(self) -> None:
        """Remove the whole schema: for the scratch schemas of replays."""
        with self.connection() as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))
            self.flush()

    def pool_connections(self) -> dict[str, int]:
        """Connections of the pool by state: idle, used, and requests waiting for one."""
        stats = self._pool.get_stats()
        idle = stats.get("pool_available", 0)
        return {"idle": idle, "used": stats.get("pool_size", 0) - idle, "waiting": stats.get("requests_waiting", 0)}

    def size_bytes(self) -> int:
        """Bytes on disk of the database."""
        with self.connection() as connection:
            found = connection.execute("SELECT pg_database_size(current_database()) AS n").fetchone()
            return int(found["n"]) if found else 0


def _full(error: Exception) -> str:
    return f"PostgreSQL has no room left ({_first_line(error)}): free some space and start again; nothing that was recorded is lost"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _unreachable(info: str, error: Exception) -> str:
    parts = conninfo_to_dict(info)
    where = f"host {parts.get('host', 'localhost')!r} port {parts.get('port', 5432)} database {parts.get('dbname', '')!r}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = next((line for line in lines if "failed: " in line), lines[-1])
    advice = "Check PG_URI and that the server runs, or unset PG_URI to use the embedded one"
    return f"PostgreSQL at {where} did not accept a connection: {reason}. {advice}"
