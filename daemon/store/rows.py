"""Single rows of a dataset table with all their versions, found through its index and not by reading the table."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from daemon.store.datasets import columns
from daemon.store.postgres import Database
from daemon.store.queries import Row
from scrapers.base import Dataset


def table_exists(db: Database, dataset: Dataset) -> bool:
    """Whether the dataset has a table yet."""
    with db.connection() as connection:
        found = connection.execute("SELECT to_regclass(quote_ident(%s)) IS NOT NULL AS found", (dataset.name,)).fetchone()
        return bool(found and found["found"])


def versions_by_key(db: Database, dataset: Dataset, keys: Iterable[str]) -> list[Row]:
    """Every version of the rows with those row keys, in the order in which they became known; text that is no key finds nothing.

    Columns: row_key (text), event_at, known_at, fetched_at and the dataset's own.
    """
    known = sql.SQL(", ").join(sql.SQL("{}::uuid").format(sql.Literal(key)) for key in keys if _is_key(key))
    return _versions(db, dataset, known)


def versions_by_identity(db: Database, dataset: Dataset, identities: Sequence[Sequence[Any]]) -> list[Row]:
    """Every version of the rows with those values in the dataset's key columns, in the order of its `key`."""
    return _versions(db, dataset, sql.SQL(", ").join(_key_of(dataset, identity) for identity in identities))


def _is_key(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _key_of(dataset: Dataset, identity: Sequence[Any]) -> sql.Composed:
    """The row key of key values, as `datasets.append` derives it."""
    kinds = columns(dataset)
    cells = [sql.SQL("{}::{}").format(sql.Literal(v), sql.SQL(kinds[c])) for c, v in zip(dataset.key, identity, strict=True)]
    return sql.SQL("md5(ROW({})::text)::uuid").format(sql.SQL(", ").join(cells))


def _versions(db: Database, dataset: Dataset, keys: sql.Composed) -> list[Row]:
    if not list(keys) or not table_exists(db, dataset):
        return []
    names = sql.SQL(", ").join(map(sql.Identifier, columns(dataset)))
    query = sql.SQL(
        "SELECT row_key::text AS row_key, event_at, known_at, fetched_at, {} FROM {} WHERE row_key IN ({}) ORDER BY known_at, id"
    ).format(names, sql.Identifier(dataset.name), keys)
    with db.connection() as connection:
        return connection.execute(query).fetchall()
