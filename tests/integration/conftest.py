"""What integration tests share: a PostgreSQL, one small market traded for sixty sessions, and desks of a test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.store.embedded import EmbeddedPostgres
from tests.integration.desk import Desk, open_desk
from tests.integration.small_world import SmallWorld, build


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server; each user takes a schema of its own."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("shared") / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory, postgres: EmbeddedPostgres) -> Iterator[SmallWorld]:
    """A traded market. Tests undo what they change."""
    world = build(tmp_path_factory.mktemp("small"), postgres.ensure)
    yield world
    world.db.close()


@pytest.fixture
def open_a_desk(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Opens desks (see `open_desk`), each in a schema of its own; they are gone after the test."""
    desks: list[Desk] = []

    def opened(*arguments: Any, **options: Any) -> Desk:
        name = f"desk{len(desks)}"
        desks.append(open_desk(postgres.ensure, name, tmp_path / name, *arguments, **options))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.rt.db.drop_schema()
        desk.rt.db.close()


@pytest.fixture
def desk(open_a_desk: Callable[..., Desk]) -> Desk:
    """A desk without strategies: a test writes its own orders."""
    return open_a_desk()
