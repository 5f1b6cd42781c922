"""One connection held for a whole replay: writes leave in batches, and reads are remembered until their tables are written.

Its schema is private to the connection, so that nothing but its own writes can change what a query answers.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from psycopg import Connection

from daemon.store.queries import sql as named

Row = dict[str, Any]
Statements = list[tuple[str, Mapping[str, Any]]]
Copies = dict[str, list[Sequence[Any]]]

WRITTEN = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|COPY)\s+(\w+)", re.IGNORECASE)
WORD = re.compile(r"\w+")
SMALL_RESULT_ROWS = 64
"""Larger results are read again each time instead of being kept."""


class HeldConnection:
    """A connection with a queue of writes before it. What is queued is sent before the next read, and by `commit`.

    Queued values must not be changed by the caller afterwards. A statement that fails raises when the queue is sent.
    """

    def __init__(self, connection: Connection[Row]) -> None:
        self._connection = connection
        self._queue: list[Statements | Copies] = []
        self._remembered: dict[tuple[str, str], list[Row]] = {}

    def connection(self) -> Connection[Row]:
        """The connection itself, with everything queued sent before, for statements that are not named."""
        self.send()
        self._remembered.clear()
        return self._connection

    def write(self, name: str, parameters: Iterable[Mapping[str, Any]]) -> None:
        """Queue a named statement, once for each set of parameters."""
        if not (self._queue and isinstance(self._queue[-1], list)):
            self._queue.append([])
        last = self._queue[-1]
        assert isinstance(last, list)
        last.extend((name, p) for p in parameters)
        self._forget(name)

    def copy(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Queue rows for a named COPY statement; those of one table between two other statements leave together."""
        if not (self._queue and isinstance(self._queue[-1], dict)):
            self._queue.append({})
        last = self._queue[-1]
        assert isinstance(last, dict)
        last.setdefault(name, []).extend(rows)
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
        """Send everything queued, in order: statements through one pipeline, rows through COPY."""
        queue, self._queue = self._queue, []
        for part in queue:
            if isinstance(part, list):
                with self._connection.pipeline():
                    for name, parameters in part:
                        self._connection.execute(named(name), parameters, prepare=True)
            else:
                for name, rows in part.items():
                    copy_rows(self._connection, name, rows)

    def commit(self) -> None:
        """Make everything so far durable."""
        self.send()
        self._connection.commit()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._queue.clear()
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
def written(name: str) -> frozenset[str]:
    """Tables that a named statement writes; empty for a query."""
    return frozenset(WRITTEN.findall(named(name)))


@cache
def words(name: str) -> frozenset[str]:
    """Every word of a named statement: the tables that it could read are among them."""
    return frozenset(WORD.findall(named(name)))
