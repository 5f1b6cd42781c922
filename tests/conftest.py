"""What every test may ask for: the shared real data, and outside tools, each with a loud skip when it is absent."""

import os
import shutil
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def _absent(what: str) -> None:
    """Skip, saying what is missing; under ALLOCD_CI=1 a missing part is a failure, because CI installs everything."""
    if os.environ.get("ALLOCD_CI") == "1":
        pytest.fail(f"{what}; under ALLOCD_CI=1 nothing may be skipped for a missing part", pytrace=False)
    pytest.skip(what)


def need(tool: str) -> str:
    """The path of an outside tool; the test is skipped, loudly, where it is not installed."""
    path = shutil.which(tool)
    if path is None:
        _absent(f"{tool} is not on PATH")
    return str(path)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for tests: $ALLOCD_SHARED_DIR, else `../shared` beside the checkout."""
    folder = Path(os.environ.get("ALLOCD_SHARED_DIR") or CHECKOUT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder / 'data'} does not exist (set ALLOCD_SHARED_DIR)")
    return folder
