"""What was trained: artefacts with their identity and the instant from which they may be used, in the record and in a cache on disk."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from daemon.logging import get_logger
from daemon.store.postgres import Database

log = get_logger("artefacts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A trained model. params: plain JSON values, arrays as lists. version: of what trained it. known_at: no view before it has it.

    training_end: session of the newest row it was trained on. data_hash: SHA-256 of all rows. hash: SHA-256 of everything but known_at.
    """

    name: str
    version: str
    training_end: date
    data_hash: str
    params: Mapping[str, Any]
    known_at: datetime
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        content = [self.name, self.version, self.training_end.isoformat(), self.data_hash, self.params]
        object.__setattr__(self, "hash", sha256(json.dumps(content, sort_keys=True)))

    def as_plain(self) -> dict[str, Any]:
        """The artefact as a view hands it out, the caller's to modify."""
        return {
            "name": self.name,
            "version": self.version,
            "training_end": self.training_end.isoformat(),
            "data_hash": self.data_hash,
            "known_at": self.known_at.isoformat(),
            "hash": self.hash,
            "params": json.loads(json.dumps(self.params)),
        }


class Artefacts:
    """The artefacts of one record, for views at any instant."""

    def __init__(self, known: Iterable[Artefact] = ()) -> None:
        self._by_name: dict[str, list[Artefact]] = {}
        for artefact in known:
            self.add(artefact)

    def add(self, artefact: Artefact) -> None:
        """Take in one more."""
        self._by_name.setdefault(artefact.name, []).append(artefact)

    def newest(self, name: str, at: datetime) -> Artefact | None:
        """The artefact known last at an instant, of several of one instant the one added last; None when there is none yet."""
        known = [a for a in self._by_name.get(name, ()) if a.known_at <= at]
        return max(reversed(known), key=lambda a: a.known_at, default=None)

    def hashes(self, at: datetime) -> dict[str, str]:
        """What a decision at an instant may use: the newest hash by name."""
        return {name: found.hash for name in sorted(self._by_name) if (found := self.newest(name, at)) is not None}


def load(db: Database) -> Artefacts:
    """All artefacts of a record."""
    return Artefacts(Artefact(**row) for row in db.rows("artefacts_all"))


def save(db: Database, artefact: Artefact) -> None:
    """Append an artefact to the record."""
    names = ("version", "training_end", "data_hash", "params", "known_at")
    db.run("artefact_add", model=artefact.name, **{name: getattr(artefact, name) for name in names})


class Cache:
    """Parameters on disk by what they were trained from, so that a replay or another sandbox need not train the same again.

    What cannot be read, or is not what it says it is, is thrown away with a warning: nothing is true only there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str, version: str, training_end: date, data_hash: str) -> Path:
        """Where the parameters of this identity are kept."""
        key = sha256(json.dumps([name, version, training_end.isoformat(), data_hash]))
        return self._directory / f"{name}-{training_end.isoformat()}-{key[:24]}.json"

    def get(self, name: str, version: str, training_end: date, data_hash: str) -> dict[str, Any] | None:
        """The cached parameters, or None."""
        identity = [name, version, training_end.isoformat(), data_hash]
        path = self.path(name, version, training_end, data_hash)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["identity"] != identity or stored["hash"] != sha256(json.dumps([identity, stored["params"]], sort_keys=True)):
                raise ValueError("its hash does not fit its content")
            return dict(stored["params"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("model.discarded", model=name, path=str(path), error_type=type(error).__name__, reason=str(error)[:200])
            return None

    def put(self, name: str, version: str, training_end: date, data_hash: str, params: Mapping[str, Any]) -> None:
        """Keep parameters; a disk that does not take them costs the next training its shortcut and nothing else."""
        identity = [name, version, training_end.isoformat(), data_hash]
        stored = {"identity": identity, "params": params, "hash": sha256(json.dumps([identity, params], sort_keys=True))}
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(stored, file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self.path(name, version, training_end, data_hash))
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning(
                "model.uncached", model=name, directory=str(self._directory), error_type=type(error).__name__, reason=str(error)[:200]
            )


def sha256(text: str) -> str:
    """Hexadecimal SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
