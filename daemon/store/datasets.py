"""Dataset tables: derived from the declaration, append-only, every version kept with its three times."""

import dataclasses
import io
import types
import typing
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import Connection, sql

from daemon.store.postgres import Database
from daemon.store.queries import Row
from scrapers.base import Batch, Dataset, Reject

SORT_MEMORY = "128MB"
"""What PostgreSQL may use for each sort and hash of one import."""

OWN_COLUMNS = {"gone": "boolean NOT NULL DEFAULT false", "fetch_id": "bigint"}
"""What every dataset table has beside its row: whether the version is a withdrawal, and which fetch delivered it."""

SQL_TYPES = {str: "text", int: "bigint", float: "double precision", bool: "boolean", date: "date", datetime: "timestamptz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the records of a batch; fetched = new + revised + seen + rejected."""

    new: int = 0
    revised: int = 0
    seen: int = 0
    rejected: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            new=self.new + other.new,
            revised=self.revised + other.revised,
            seen=self.seen + other.seen,
            rejected=self.rejected + other.rejected,
        )

    @property
    def fetched(self) -> int:
        """Records delivered by the source."""
        return self.new + self.revised + self.seen + self.rejected


def columns(dataset: Dataset) -> dict[str, str]:
    """Column name -> SQL type, from the row dataclass."""
    hints = typing.get_type_hints(dataset.row)
    return {f.name: SQL_TYPES[_bare(hints[f.name])] for f in dataclasses.fields(dataset.row)}


def _bare(hint: object) -> type:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
    return typing.cast(type, hint)


def ensure_table(db: Database, dataset: Dataset) -> None:
    """Create the dataset's table when it is missing, and add columns that the declaration has gained."""
    table = sql.Identifier(dataset.name)
    wanted = columns(dataset)
    with db.transaction(), db.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"allocd.{dataset.name}",))
        have = {
            r["column_name"]
            for r in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s",
                (dataset.name,),
            )
        }
        wanted = {**wanted, **OWN_COLUMNS}
        if not have:
            body = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(t)) for c, t in wanted.items())
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row_key uuid NOT NULL, row_hash uuid NOT NULL,"
                    " event_at timestamptz NOT NULL, known_at timestamptz NOT NULL, fetched_at timestamptz NOT NULL, {})"
                ).format(table, body)
            )
            connection.execute(sql.SQL("CREATE INDEX ON {} (row_key, known_at)").format(table))
        for name in [c for c in wanted if have and c not in have]:
            connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(table, sql.Identifier(name), sql.SQL(wanted[name])))


def append(
    db: Database, dataset: Dataset, batch: Batch, fetched_at: datetime, *, fetch_id: int | None = None, correction: bool = False
) -> Counts:
    """Store one batch: new rows and new versions are appended, what is already known is only counted.

    A row whose `known_at` is null is live: it became known when it was fetched. A version that differs from the stored
    one but carries the same publication time was restated silently: it is known from `fetched_at` on, never before.
    A boolean column `gone` of the rows (absent or null: false) is part of their content: such a version withdraws its row.

    correction: the bytes of an earlier fetch, made at `fetched_at`, read by a better parser. A version that this fetch stored is
    replaced from its own `known_at` on (of versions with equal known_at the one stored last stands); a row of which it stored no
    version is judged as it would have been judged then, so that nothing becomes known earlier than its bytes prove.
    """
    with db.transaction(), db.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"allocd.{dataset.name}",))
        counts = Counts()
        if batch.rows.num_rows:
            _stage(connection, dataset, batch.rows)
            counts = _classify(connection, dataset, {"fetched_at": fetched_at, "fetch_id": fetch_id}, CORRECT if correction else JUDGE)
        rejected = _keep_rejects(db, dataset, batch.rejects, fetched_at)
        return counts + Counts(rejected=rejected)


def _stage(connection: Connection[Row], dataset: Dataset, rows: pa.Table) -> None:
    """Copy rows to a temporary table, numbered by `n`, with `gone` never null."""
    types_ = {"n": "bigint", **columns(dataset), "event_at": "timestamptz", "known_at": "timestamptz", "gone": "boolean"}
    if "gone" in rows.column_names:
        gone = rows.column("gone").fill_null(False)
        rows = rows.drop_columns(["gone"])
    else:
        gone = pa.array(np.zeros(rows.num_rows, bool))
    _copy(connection, types_, rows.append_column("gone", gone).append_column("n", pa.array(np.arange(rows.num_rows))))


def stage_keys(connection: Connection[Row], dataset: Dataset, rows: pa.Table) -> None:
    """Copy the key columns of rows to the temporary table `staged`, from which `md5(ROW(keys)::text)` makes row keys."""
    types_ = columns(dataset)
    _copy(connection, {name: types_[name] for name in dataset.key}, rows)


def _copy(connection: Connection[Row], types_: dict[str, str], rows: pa.Table) -> None:
    """Rows to a new temporary table `staged`. Instants travel without their zone, which both sides know to be UTC."""
    body = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in types_.items())
    connection.execute("DROP TABLE IF EXISTS pg_temp.staged")
    connection.execute(sql.SQL("CREATE TEMP TABLE staged ({})").format(body))
    buffer = io.BytesIO()
    pa_csv.write_csv(_without_zone(rows.select(list(types_))), buffer, pa_csv.WriteOptions(include_header=False))
    with connection.cursor() as cursor, cursor.copy("COPY staged FROM STDIN (FORMAT csv)") as copy:
        copy.write(buffer.getvalue())


def _without_zone(rows: pa.Table) -> pa.Table:
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.timestamp("us")))
    return rows


STAMP = """
CREATE TEMP TABLE stamped ON COMMIT DROP AS
SELECT n, md5(ROW({keys})::text)::uuid AS row_key, md5(ROW({cols})::text || CASE WHEN gone THEN 'gone' ELSE '' END)::uuid AS row_hash,
       coalesce(known_at, %(fetched_at)s) AS at
FROM staged
"""

JUDGE = """
CREATE TEMP TABLE judged ON COMMIT DROP AS
WITH ordered AS (
    SELECT *, lag(row_hash) OVER w AS before_hash, lag(at) OVER w AS before_at
    FROM stamped WINDOW w AS (PARTITION BY row_key ORDER BY at, n)
), held AS (
    SELECT row_key, count(*) AS versions, max(known_at) AS held_at, (array_agg(row_hash))[1] AS held_hash
    FROM {table} WHERE row_key IN (SELECT row_key FROM stamped) GROUP BY row_key
), several AS (
    SELECT s.n, p.row_hash AS prior_hash, p.known_at AS prior_at, l.row_hash AS latest_hash
    FROM stamped s JOIN held USING (row_key)
    LEFT JOIN LATERAL (
        SELECT t.row_hash, t.known_at FROM {table} t
        WHERE t.row_key = s.row_key AND t.known_at <= s.at ORDER BY t.known_at DESC, t.id DESC LIMIT 1
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT t.row_hash FROM {table} t WHERE t.row_key = s.row_key ORDER BY t.known_at DESC, t.id DESC LIMIT 1
    ) l ON true
    WHERE versions > 1
), beside AS (
    SELECT o.*,
        CASE WHEN versions > 1 THEN several.prior_hash WHEN held_at <= at THEN held_hash END AS prior_hash,
        CASE WHEN versions > 1 THEN several.prior_at WHEN held_at <= at THEN held_at END AS prior_at,
        CASE WHEN versions > 1 THEN several.latest_hash ELSE held_hash END AS latest_hash
    FROM ordered o LEFT JOIN held USING (row_key) LEFT JOIN several USING (n)
)
SELECT n, row_key, row_hash, at, greatest(prior_at, before_at) AS before_at, NULL::timestamptz AS own_at,
    CASE
        WHEN row_hash IS NOT DISTINCT FROM before_hash THEN 'seen'
        WHEN row_hash IS NOT DISTINCT FROM prior_hash THEN 'seen'
        WHEN before_hash IS NULL AND row_hash IS NOT DISTINCT FROM latest_hash THEN 'seen'
        WHEN prior_hash IS NULL AND before_hash IS NULL THEN 'new'
        WHEN prior_hash IS NULL AND before_at < at THEN 'new'
        ELSE 'revised'
    END AS verdict
FROM beside
"""

CORRECT = """
CREATE TEMP TABLE judged ON COMMIT DROP AS
WITH ordered AS (
    SELECT *, lag(row_hash) OVER w AS before_hash, lag(at) OVER w AS before_at
    FROM stamped WINDOW w AS (PARTITION BY row_key ORDER BY at, n)
), beside AS (
    SELECT o.*, own.known_at AS own_at, own.row_hash AS own_hash, prior.known_at AS prior_at, prior.row_hash AS prior_hash,
           latest.row_hash AS latest_hash
    FROM ordered o
    LEFT JOIN LATERAL (
        SELECT t.known_at, t.row_hash FROM {table} t
        WHERE t.row_key = o.row_key AND t.fetched_at = %(fetched_at)s AND t.known_at IN (o.at, greatest(o.at, %(fetched_at)s))
        ORDER BY (t.known_at = o.at) = (o.before_at IS DISTINCT FROM o.at) DESC, t.id DESC LIMIT 1
    ) own ON true
    LEFT JOIN LATERAL (
        SELECT t.known_at, t.row_hash FROM {table} t
        WHERE t.row_key = o.row_key AND t.known_at <= o.at AND t.fetched_at <= %(fetched_at)s
        ORDER BY t.known_at DESC, t.id DESC LIMIT 1
    ) prior ON true
    LEFT JOIN LATERAL (
        SELECT t.row_hash FROM {table} t WHERE t.row_key = o.row_key AND t.fetched_at <= %(fetched_at)s
        ORDER BY t.known_at DESC, t.id DESC LIMIT 1
    ) latest ON true
)
SELECT n, row_key, row_hash, at, greatest(prior_at, before_at) AS before_at, own_at,
    CASE
        WHEN row_hash IS NOT DISTINCT FROM before_hash THEN 'seen'
        WHEN own_at IS NOT NULL THEN CASE WHEN row_hash = own_hash THEN 'seen' ELSE 'revised' END
        WHEN row_hash IS NOT DISTINCT FROM prior_hash THEN 'seen'
        WHEN before_hash IS NULL AND row_hash IS NOT DISTINCT FROM latest_hash THEN 'seen'
        WHEN prior_hash IS NULL AND (before_hash IS NULL OR before_at < at) THEN 'new'
        ELSE 'revised'
    END AS verdict
FROM beside
"""

INSERT = """
INSERT INTO {table} (row_key, row_hash, event_at, known_at, fetched_at, fetch_id, gone, {cols})
SELECT row_key, row_hash, event_at,
       CASE WHEN own_at IS NOT NULL THEN own_at
            WHEN verdict = 'revised' AND at <= before_at THEN greatest(at, %(fetched_at)s) ELSE at END,
       %(fetched_at)s, %(fetch_id)s, gone, {cols}
FROM judged JOIN staged USING (n) WHERE verdict <> 'seen' ORDER BY row_key, at, n
"""

COUNT = """
SELECT count(*) FILTER (WHERE verdict = 'new') AS new, count(*) FILTER (WHERE verdict = 'revised') AS revised,
       count(*) FILTER (WHERE verdict = 'seen') AS seen
FROM judged
"""


def _classify(connection: Connection[Row], dataset: Dataset, given: Row, judgement: str) -> Counts:
    names = sql.SQL(", ").join(map(sql.Identifier, columns(dataset)))
    parts = {"table": sql.Identifier(dataset.name), "cols": names, "keys": sql.SQL(", ").join(map(sql.Identifier, dataset.key))}
    connection.execute("DROP TABLE IF EXISTS pg_temp.stamped, pg_temp.judged")
    connection.execute(sql.SQL("SET LOCAL work_mem = {}").format(SORT_MEMORY))
    connection.execute("SET LOCAL jit = off")
    connection.execute(sql.SQL(STAMP).format(**parts), given)
    connection.execute("ANALYZE pg_temp.stamped (row_key)")
    connection.execute(sql.SQL(judgement).format(**parts), given if judgement is CORRECT else None)
    found = connection.execute(COUNT).fetchone()
    counts = Counts(**found) if found else Counts()
    if counts.new or counts.revised:
        connection.execute(sql.SQL(INSERT).format(**parts), given)
    connection.execute("DROP TABLE pg_temp.staged, pg_temp.stamped, pg_temp.judged")
    return counts


def _keep_rejects(db: Database, dataset: Dataset, rejects: tuple[Reject, ...], fetched_at: datetime) -> int:
    db.run_many(
        "reject_add",
        [
            {
                "dataset": dataset.name,
                "reason": r.reason,
                "detail": _storable(r.detail),
                "raw": _storable(r.raw),
                "position": _storable(r.position),
                "fetched_at": fetched_at,
            }
            for r in rejects
        ],
    )
    return len(rejects)


def _storable(text: str) -> str:
    return text.replace("\x00", "\\x00")[:4096]


def stats(db: Database, dataset: Dataset, *, after_id: int = 0) -> Row:
    """rows, max_id, first and latest event and latest known times of a dataset's versions with id > after_id, by reading them all."""
    with db.connection() as connection:
        found = connection.execute(
            sql.SQL(
                "SELECT count(*) AS rows, coalesce(max(id), 0) AS max_id, max(event_at) AS latest_event_at, "
                "min(event_at) AS first_event_at, max(known_at) AS latest_known_at FROM {} WHERE id > {}"
            ).format(sql.Identifier(dataset.name), sql.Literal(after_id))
        ).fetchone()
        return found or {}
