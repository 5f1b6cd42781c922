"""What integration tests share: one small market that has been traded for sixty sessions."""

from collections.abc import Iterator

import pytest

from daemon.store.embedded import EmbeddedPostgres
from tests.integration.small_world import SmallWorld, build


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallWorld]:
    """A traded market in a PostgreSQL of its own. Tests undo what they change."""
    directory = tmp_path_factory.mktemp("small")
    with EmbeddedPostgres(directory / "postgres") as server:
        world = build(directory, server.ensure)
        yield world
        world.db.close()
