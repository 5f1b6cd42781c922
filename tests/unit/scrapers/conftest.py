"""The scripted server and the clock, for every test of the client."""

from collections.abc import Iterator

import pytest

from tests.unit.scrapers.scripted import Server, Slept, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def slept() -> Slept:
    return Slept()
