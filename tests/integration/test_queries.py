"""Every named statement against a migrated PostgreSQL, and the migrations themselves."""

import re
import threading
from collections.abc import Iterator

import psycopg
import pytest

from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import DatabaseTooNew
from daemon.store.postgres import Database
from daemon.store.queries import all_queries, migrations, sql

PARAMETER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("queries") / "postgres") as server:
        yield server


@pytest.fixture(scope="module")
def db(server: EmbeddedPostgres) -> Iterator[Database]:
    """A migrated database without rows."""
    db = Database(server.ensure, durable=False)
    db.migrate()
    yield db
    db.close()


def numbered(text: str) -> str:
    """Named parameters as PostgreSQL's own $1, $2, ..."""
    places: dict[str, int] = {}
    found = PARAMETER.sub(lambda m: f"${places.setdefault(m[1], len(places) + 1)}", text)
    return found.replace("%%", "%")


@pytest.mark.parametrize("name", sorted(all_queries()))
def test_every_named_statement_is_accepted_by_the_migrated_database(db: Database, name: str) -> None:
    text = sql(name)
    with db.connection() as connection, connection.cursor() as cursor:
        if text.startswith("COPY"):
            with cursor.copy(text):
                pass
            assert cursor.rowcount == 0
        else:
            statements = [s for s in text.split(";") if s.strip()]
            assert len(statements) == 1, "a named statement is one statement"
            connection.execute(f"PREPARE checked AS {numbered(text)}")
            connection.execute("DEALLOCATE checked")


def test_a_statement_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        sql("no_such_statement")


def test_a_database_that_is_up_to_date_is_migrated_by_doing_nothing(server: EmbeddedPostgres) -> None:
    db = Database(server.ensure, schema="twice", durable=False)
    names = [name for _, name, _ in migrations()]
    assert db.schema_version() == 0
    assert db.migrate() == names
    with db.connection() as connection:
        before = connection.execute("SELECT * FROM schema_migrations").fetchall()
        assert db.migrate() == []
        assert connection.execute("SELECT * FROM schema_migrations").fetchall() == before
    assert db.schema_version() == migrations()[-1][0]
    db.drop_schema()
    db.close()


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(server: EmbeddedPostgres) -> None:
    db = Database(server.ensure, schema="newer", durable=False)
    db.migrate()
    newest = migrations()[-1][0]
    with db.connection() as connection:
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (%s, 'from_the_future.sql')", (newest + 7,))
    expected = (
        f"schema 'newer' is at version {newest + 7}, this program knows {newest}: "
        "install the allocd that migrated it (data is never migrated backwards)"
    )
    with pytest.raises(DatabaseTooNew, match=f"^{re.escape(expected)}$"):
        db.migrate()
    assert db.schema_version() == newest + 7
    db.drop_schema()
    db.close()


def test_of_several_programs_that_migrate_at_once_one_does_it(server: EmbeddedPostgres) -> None:
    databases = [Database(server.ensure, schema="race", durable=False) for _ in range(4)]
    barrier, applied = threading.Barrier(len(databases)), list[list[str]]()

    def migrate(db: Database) -> None:
        barrier.wait(10)
        applied.append(db.migrate())

    threads = [threading.Thread(target=migrate, args=(db,)) for db in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(applied) == [[], [], [], [name for _, name, _ in migrations()]]
    databases[0].drop_schema()
    for db in databases:
        db.close()


def test_a_migration_that_fails_leaves_nothing_of_itself(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*migrations(), (999, "0999_broken.sql", "CREATE TABLE half (a int); SELECT no_such_column FROM half")]
    monkeypatch.setattr("daemon.store.postgres.migrations", lambda: broken)
    db = Database(server.ensure, schema="halfway", durable=False)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        db.migrate()
    assert db.schema_version() == 0
    db.close()
