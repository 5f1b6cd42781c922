"""One connection held for a whole replay: writes leave in batches, and reads are remembered until their tables are written.

Its schema is private to the connection, so that nothing but its own writes can change what a query answers.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

from psycopg import Connection, sql

from daemon.store.queries import Row
from daemon.store.queries import sql as named

Rows = list[Sequence[Any]]

WRITTEN = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|COPY)\s+(\w+)", re.IGNORECASE)
COPIED = re.compile(r"COPY (\w+) \(([\w, ]+)\) FROM STDIN")
WORD = re.compile(r"\w+")
SMALL_RESULT_ROWS = 64
"""Larger results are read again each time instead of being kept."""
SMALL_COPY_ROWS = 32
"""Fewer rows than this leave with the other statements; a COPY has to wait for its own answer."""


class HeldConnection:
    """A connection with a queue of writes before it. What is queued is sent before the next read, and by `commit`.

    Queued values must not be changed by the caller afterwards. A statement that fails raises when the queue is sent.
    """

    def __init__(self, connection: Connection[Row]) -> None:
        self._connection = connection
        self._statements: list[tuple[str, Mapping[str, Any] | Rows]] = []
        self._copies: dict[str, Rows] = {}
        self._remembered: dict[tuple[str, str], list[Row]] = {}

    def connection(self) -> Connection[Row]:
        """The connection itself, with everything queued sent before, for statements that are not named."""
        self.send()
        self._remembered.clear()
        return self._connection

    def write(self, name: str, parameters: Iterable[Mapping[str, Any]]) -> None:
        """Queue a named statement, once for each set of parameters."""
        self._copies = {}
        self._statements.extend((name, p) for p in parameters)
        self._forget(name)

    def copy(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Queue rows for a named COPY statement; those of one table between two other statements leave together."""
        if name not in self._copies:
            self._copies[name] = []
            self._statements.append((name, self._copies[name]))
        self._copies[name].extend(rows)
        self._forget(name)

    def read(self, name: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Rows of a named query, from memory while none of its tables has been written since."""
        key = (name, repr(sorted(parameters.items())))
        if key not in self._remembered:
            self.send()
            rows = self._connection.execute(named(name), parameters).fetchall()
            self._forget(name)
            if written(name) or len(rows) > SMALL_RESULT_ROWS:
                return rows
            self._remembered[key] = rows
        return [dict(row) for row in self._remembered[key]]

    def count(self, name: str, parameters: Mapping[str, Any]) -> int:
        """Run a named statement now; the number of rows that it touched."""
        self.send()
        self._forget(name)
        return self._connection.execute(named(name), parameters).rowcount

    def send(self) -> None:
        """Send everything queued, in order, through as few pipelines as the long COPYs between them allow."""
        statements, self._statements, self._copies = self._statements, [], {}
        with ExitStack() as pipeline:
            for name, given in statements:
                if isinstance(given, list) and len(given) > SMALL_COPY_ROWS:
                    pipeline.close()
                    copy_rows(self._connection, name, given)
                    continue
                if self._connection.pgconn.pipeline_status == 0:
                    pipeline.enter_context(self._connection.pipeline())
                if isinstance(given, list):
                    self._connection.execute(insertion(name), {"rows": as_records(name, given)}, prepare=True)
                else:
                    self._connection.execute(named(name), given, prepare=True)

    def commit(self) -> None:
        """Make everything so far durable."""
        self.send()
        self._connection.commit()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._statements, self._copies = [], {}
        self._remembered.clear()
        self._connection.rollback()

    def _forget(self, name: str) -> None:
        """Drop remembered reads in whose text a table occurs that the statement writes."""
        tables = written(name)
        if tables:
            self._remembered = {k: v for k, v in self._remembered.items() if tables.isdisjoint(words(k[0]))}


def copy_rows(connection: Connection[Row], name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Append rows through a named COPY statement."""
    with connection.cursor() as cursor, cursor.copy(named(name)) as copy:
        for row in rows:
            copy.write_row(row)


@cache
def insertion(name: str) -> sql.Composed:
    """The INSERT of a JSON parameter `rows` that does what a named COPY statement does."""
    table, columns = _copied(name)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("INSERT INTO {t} ({c}) SELECT {c} FROM jsonb_populate_recordset(NULL::{t}, %(rows)s)").format(
        t=sql.Identifier(table), c=names
    )


def as_records(name: str, rows: Rows) -> list[Row]:
    """Rows for a named COPY statement as JSON objects from which PostgreSQL reads the same values."""
    columns = _copied(name)[1]
    return [dict(zip(columns, map(_json_value, row), strict=True)) for row in rows]


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


@cache
def _copied(name: str) -> tuple[str, tuple[str, ...]]:
    found = COPIED.fullmatch(named(name))
    if found is None:
        raise ValueError(f"{name} is not a COPY statement with a list of columns")
    return found[1], tuple(found[2].split(", "))


@cache
def written(name: str) -> frozenset[str]:
    """Tables that a named statement writes; empty for a query."""
    return frozenset(WRITTEN.findall(named(name)))


@cache
def words(name: str) -> frozenset[str]:
    """Every word of a named statement: the tables that it could read are among them."""
    return frozenset(WORD.findall(named(name)))
