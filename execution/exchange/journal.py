"""The durable record of what the exchange was told: one line per command, on disk before the answer is given."""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from execution.errors import ExecutionError

Record = Mapping[str, Any]


class JournalCorrupt(ExecutionError):
    """A journal line in the middle does not match its checksum: restore the file, or start a new exchange."""


class JournalInUse(ExecutionError):
    """Another exchange writes to the journal: stop it, or use another file."""


class Journal:
    """An append-only file of checksummed JSON lines.

    A torn last line, left by a crash in the middle of a write, was never answered: it is cut off when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises JournalInUse, JournalCorrupt, and OSError when the file cannot be used."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise JournalInUse(f"{path}: another exchange writes to this journal; stop it or use another file") from None
        self._records, length = _read(path.read_bytes())
        os.ftruncate(self._fd, length)
        os.fsync(self._fd)
        _sync_folder(path.parent)

    def replay(self) -> Iterator[Record]:
        """The records found when the file was opened, oldest first; they can be read once."""
        records, self._records = self._records, []
        return iter(records)

    def append(self, record: Record) -> None:
        """Write one record and wait until the disk has it. After an OSError the line may be torn, never half believed."""
        body = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        end = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            _write_all(self._fd, line)
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, end)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(data: bytes) -> tuple[list[Record], int]:
    """Records and the length of the intact part."""
    records: list[Record] = []
    length = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is None:
            if number < len(lines):
                raise JournalCorrupt(f"line {number} of the exchange journal does not match its checksum")
            break
        records.append(record)
        length += len(line)
    return records, length


def _parse(line: bytes) -> Record | None:
    checksum, _, body = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
        return None
    parsed: Record = json.loads(body)
    return parsed
