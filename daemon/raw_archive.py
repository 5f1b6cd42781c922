"""Every answer of an outside service, kept as it came: bodies as files by day and content, what was asked beside its fetch in the database.

A body lies in `<directory>/<day of the answer, UTC>/<sha256>.gz`, written under another name and renamed, so that it is whole or
absent; equal bodies of one day share a file. Nothing here holds a credential: see `scrapers.http.Exchange`.
"""

import gzip
import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from daemon.store.postgres import Database
from daemon.store.queries import Row
from scrapers.http import Exchange

COMPRESSION = 4
"""Of gzip: beyond it, time grows faster than bodies shrink."""


class BodyMissing(LookupError):
    """An answer whose body is not kept any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answer as indexed: the exchange without its body, the body's length in bytes and digest (None: not kept), and its file."""

    exchange: Exchange
    n_bytes: int
    sha256: str | None
    path: Path | None


class RawArchive:
    """Takes the answers of the fetches in progress. directory: None keeps no bodies, only what was asked."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._open: dict[str, list[Kept]] = {}
        self._attempts: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self, source: str) -> None:
        """From now on, the answers to a source belong to one fetch."""
        with self._lock:
            self._open[source] = []
            self._attempts[source] = 0

    def attempted(self, source: str) -> None:
        """Count a request to a source, whether or not it is answered."""
        with self._lock:
            self._attempts[source] = self._attempts.get(source, 0) + 1

    def attempts(self, source: str) -> int:
        """Requests of the fetch in progress, repeated ones and those without an answer included."""
        with self._lock:
            return self._attempts.get(source, 0)

    def take(self, exchange: Exchange) -> None:
        """Keep one answer; its body is on disk when this returns."""
        with self._lock:
            if exchange.source not in self._open:
                return
        digest = hashlib.sha256(exchange.content).hexdigest()
        path = self._write(exchange.fetched_at.date(), digest, exchange.content)
        bare = _without_body(exchange)
        kept = Kept(exchange=bare, n_bytes=len(exchange.content), sha256=digest if path else None, path=path)
        with self._lock:
            self._open[exchange.source].append(kept)

    def finish(self, source: str) -> list[Kept]:
        """The answers since `begin`, in order of arrival."""
        with self._lock:
            return self._open.pop(source, [])

    def _write(self, day: date, digest: str, content: bytes) -> Path | None:
        if self.directory is None:
            return None
        path = self._path(day, digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
            temporary.write_bytes(gzip.compress(content, COMPRESSION, mtime=0))
            temporary.rename(path)
        return path

    def _path(self, day: date, digest: str) -> Path:
        assert self.directory is not None
        return self.directory / day.isoformat() / f"{digest}.gz"

    def exchange(self, row: Row) -> Exchange:
        """The answer of a row of `responses`, body and all. Raises BodyMissing."""
        if row["sha256"] is None or self.directory is None:
            raise BodyMissing(f"{row['url']}: the body was not kept")
        path = self._path(row["at"].date(), row["sha256"])
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError) as error:
            raise BodyMissing(f"{path}: {error}") from error
        return Exchange(
            source=row["source"],
            group=row["rate_group"],
            method=row["method"],
            url=row["url"],
            asked=row["asked"],
            status=row["status"],
            headers=row["headers"],
            content=content,
            started_at=row["asked_at"],
            fetched_at=row["at"],
        )

    def prune(self, before: date) -> tuple[int, int]:
        """Remove the bodies of days before a date: days and bytes removed."""
        days = n_bytes = 0
        for folder in sorted(self.directory.iterdir()) if self.directory is not None and self.directory.is_dir() else ():
            if folder.is_dir() and folder.name < before.isoformat():
                n_bytes += sum(file.stat().st_size for file in folder.iterdir())
                shutil.rmtree(folder)
                days += 1
        return days, n_bytes


def _without_body(exchange: Exchange) -> Exchange:
    return Exchange(**{name: getattr(exchange, name) for name in Exchange.__slots__ if name != "content"}, content=b"")


def index(db: Database, fetch_id: int, answers: Sequence[Kept]) -> None:
    """Record the answers of a fetch."""
    rows = []
    for seq, kept in enumerate(answers):
        e = kept.exchange
        asked, headers = dict(e.asked), dict(e.headers)
        place = (fetch_id, seq, e.fetched_at, e.started_at, e.source, e.group)
        rows.append((*place, e.method, e.url, asked, e.status, headers, kept.n_bytes, kept.sha256))
    db.copy("copy_responses", rows)


def prune(db: Database, raw: RawArchive, at: datetime, keep_days: int) -> dict[str, int]:
    """Forget answers older than `keep_days`: their bodies and their rows. Fetches themselves stay recorded."""
    cutoff = at.date() - timedelta(days=keep_days)
    days, n_bytes = raw.prune(cutoff)
    forgotten = db.count("responses_prune", before=datetime.combine(cutoff, datetime.min.time(), at.tzinfo))
    return {"days": days, "bytes": n_bytes, "responses": forgotten}
