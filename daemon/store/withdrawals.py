"""Rows that a source took back: a tombstone is a version like any other, so that earlier views keep what they saw."""

from collections.abc import Collection
from datetime import datetime

import pyarrow as pa
from psycopg import Connection, sql

from daemon.store.datasets import columns, stage_keys
from daemon.store.errors import TooManyWithdrawn
from daemon.store.postgres import Database
from daemon.store.queries import Row
from scrapers.base import Dataset

FEW = 5
MOST_FRAC = 0.2
"""Of the rows in force, what may vanish from one delivery to the next: the larger of FEW rows and this share."""

IN_FORCE = """
CREATE TEMP TABLE in_force ON COMMIT DROP AS
SELECT id, row_key FROM (SELECT DISTINCT ON (row_key) id, row_key, gone FROM {table} ORDER BY row_key, known_at DESC, id DESC) newest
WHERE NOT gone
"""

MISSING = """
CREATE TEMP TABLE missing ON COMMIT DROP AS
SELECT id FROM in_force WHERE row_key NOT IN (SELECT md5(ROW({keys})::text)::uuid FROM staged)
"""

NOT_REPRODUCED = """
CREATE TEMP TABLE missing ON COMMIT DROP AS
SELECT id FROM (
    SELECT DISTINCT ON (row_key, known_at) id, row_key, fetch_id, gone FROM {table} t
    WHERE row_key IN (SELECT row_key FROM {table} WHERE fetch_id IN ({fetches}))
    ORDER BY row_key, known_at, id DESC
) newest
WHERE NOT gone AND fetch_id IN ({fetches}) AND row_key NOT IN (SELECT md5(ROW({keys})::text)::uuid FROM staged)
"""

BURY = """
INSERT INTO {table} (row_key, row_hash, event_at, known_at, fetched_at, fetch_id, gone, {cols})
SELECT row_key, md5(ROW({cols})::text || 'gone')::uuid, event_at, coalesce(%(known_at)s::timestamptz, known_at),
       coalesce(%(fetched_at)s::timestamptz, fetched_at), coalesce(%(fetch_id)s::bigint, fetch_id), true, {cols}
FROM {table} WHERE id IN (SELECT id FROM missing) ORDER BY row_key, id
"""


def withdraw_missing(db: Database, dataset: Dataset, delivered: pa.Table, fetched_at: datetime, *, fetch_id: int | None = None) -> int:
    """Withdraw the rows in force that a complete delivery no longer holds, from `fetched_at` on; how many there were.

    For datasets with `snapshot=True`, called once all of the dataset's sources have delivered completely, after the last `append`.
    delivered: Arrow table with (at least) the dataset's key columns of every row of every batch, as delivered; repeats do not
    matter. A row is in force when its newest version is not a withdrawal. Its tombstone has the same content, `gone`.
    Raises TooManyWithdrawn, and changes nothing, when more than max(5, 20 %) of the rows in force would go: a list that was cut
    short must not empty the universe.
    """
    with db.transaction(), db.connection() as connection:
        parts = _prepare(connection, dataset, delivered)
        connection.execute(sql.SQL(IN_FORCE).format(**parts))
        connection.execute(sql.SQL(MISSING).format(**parts))
        found = connection.execute(
            "SELECT (SELECT count(*) FROM in_force) AS standing, (SELECT count(*) FROM missing) AS missing"
        ).fetchone()
        assert found is not None
        if found["missing"] > max(FEW, MOST_FRAC * found["standing"]):
            raise TooManyWithdrawn(
                f"{dataset.name}: {found['missing']} of the {found['standing']} rows in force are missing from one delivery"
            )
        return _bury(connection, parts, {"known_at": fetched_at, "fetched_at": fetched_at, "fetch_id": fetch_id})


def withdraw_not_reproduced(db: Database, dataset: Dataset, fetch_ids: Collection[int], produced: pa.Table) -> int:
    """Withdraw versions that those fetches stored and whose rows a better parser no longer makes of them; how many there were.

    For a reparse, called once after the last `append(..., correction=True)` of those fetches. produced: Arrow table with (at least)
    the dataset's key columns of every row made of the fetches' bytes. Each tombstone has the `known_at`, `fetched_at` and `fetch_id`
    of the version that it replaces: no view shows that version any more. Versions that other fetches stored stand.
    """
    if not fetch_ids:
        return 0
    with db.transaction(), db.connection() as connection:
        parts = _prepare(connection, dataset, produced)
        fetches = sql.SQL(", ").join(map(sql.Literal, sorted(fetch_ids)))
        connection.execute(sql.SQL(NOT_REPRODUCED).format(**parts, fetches=fetches))
        return _bury(connection, parts, {"known_at": None, "fetched_at": None, "fetch_id": None})


def _prepare(connection: Connection[Row], dataset: Dataset, keys: pa.Table) -> dict[str, sql.Composable]:
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"allocd.{dataset.name}",))
    connection.execute("DROP TABLE IF EXISTS pg_temp.in_force, pg_temp.missing")
    stage_keys(connection, dataset, keys)
    return {
        "table": sql.Identifier(dataset.name),
        "keys": sql.SQL(", ").join(map(sql.Identifier, dataset.key)),
        "cols": sql.SQL(", ").join(map(sql.Identifier, columns(dataset))),
    }


def _bury(connection: Connection[Row], parts: dict[str, sql.Composable], stamps: Row) -> int:
    buried = connection.execute(sql.SQL(BURY).format(**parts), stamps).rowcount
    connection.execute("DROP TABLE IF EXISTS pg_temp.in_force, pg_temp.missing, pg_temp.staged")
    return buried
