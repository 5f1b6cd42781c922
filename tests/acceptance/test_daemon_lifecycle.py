"""The daemon as a process: how it starts, stops, refuses and answers, by exit codes, single lines and its HTTP surface."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.outside_audit import audit_running
from tests.acceptance.sandbox_process import CHECKOUT, Daemon, environment, run_verb, tracebacks
from tests.conftest import need

STOP_LIMIT_S = 5.0
KEYS = {"ALPACA_API_KEY": "PKTEST0000000000000A", "ALPACA_API_SECRET": "not-the-secret-of-anyone"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A sandbox that has traded for some sessions and goes on."""
    state = tmp_path_factory.mktemp("running") / "state"
    with Daemon(state, settings={"ALLOCD_LISTEN_PORT": str(free_port()), "ALLOCD_SANDBOX_SECONDS_PER_SESSION": "1.0"}) as daemon:
        daemon.wait_ready()
        for _ in range(3):
            daemon.wait_for("nav.marked", after=len(daemon.events))
        yield daemon
        assert not tracebacks(daemon.events), daemon.tail()
        assert not daemon.foreign


def verb(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_verb(daemon.state, *arguments, settings={"ALLOCD_LISTEN_PORT": str(daemon.port)})


def refused(state: Path, *arguments: str, settings: dict[str, str] | None = None, code: int, says: tuple[str, ...], lines: int = 1) -> str:
    """Run to the refusal; its exit code, its one line on stderr, and what that line names."""
    done = run_verb(state, *arguments, settings=settings)
    told = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr + done.stdout
    assert len(told) == lines, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert '"exception"' not in done.stdout
    for part in says:
        assert part in done.stderr
    return done.stderr


def test_health_and_readiness_answer_and_name_every_component(running: Daemon) -> None:
    assert running.get("/-/healthy")[0] == 200
    status, body = running.get("/-/ready")
    ready = json.loads(body)
    assert status == 200
    assert ready["ready"] is True
    assert ready["components"]
    assert all(component["up"] for component in ready["components"].values())


def test_the_page_says_sandbox_and_synthetic(running: Daemon) -> None:
    status, page = running.get("/")
    assert status == 200
    assert "SANDBOX" in page
    assert "SYNTHETIC" in page


def test_promtool_accepts_the_metrics_of_a_running_daemon(running: Daemon) -> None:
    promtool = need("promtool")
    status, text = running.get("/metrics")
    assert status == 200
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr.strip()


def test_metrics_have_help_type_and_at_least_one_sample_for_orders(running: Daemon) -> None:
    text = running.get("/metrics")[1]
    lines = text.splitlines()
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert named == {line.split()[2] for line in lines if line.startswith("# HELP")}
    sent = [line for line in lines if line.startswith("allocd_orders_submitted_total{")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in sent) > 0


def test_status_beside_the_running_daemon_is_json_and_exits_with_zero(running: Daemon) -> None:
    done = verb(running, "status", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(done.stdout)
    assert status["running"] is True
    assert status["sandbox"] is True


def test_data_beside_the_running_daemon_lists_the_datasets_that_were_collected(running: Daemon) -> None:
    done = verb(running, "data", "--sandbox", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row["versions"] for row in json.loads(done.stdout)}
    assert rows["bars_daily"] > 0
    assert rows["congress_trades"] > 0


def test_why_beside_the_running_daemon_explains_a_symbol_that_was_traded(running: Daemon) -> None:
    symbol = running.named("order.filled")[0]["symbol"]
    done = verb(running, "why", symbol, "--json", "--sandbox")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["symbol"] == symbol


def test_verify_beside_the_running_daemon_finds_the_decisions_identical(running: Daemon) -> None:
    done = verb(running, "verify", "--last", "3", "--json", "--sandbox")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads(done.stdout)
    assert len(verdicts) == 3
    assert all(verdict["ok"] for verdict in verdicts)


def test_replay_beside_the_running_daemon_runs_over_its_data(running: Daemon, tmp_path: Path) -> None:
    sessions = [event["session"] for event in running.named("nav.marked")]
    done = verb(running, "replay", "--sandbox", "--from", sessions[0], "--to", sessions[1], "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["sessions"] == 2
    assert sum(summary["invariants"].values()) == 0


def test_a_second_instance_on_the_state_directory_is_refused_with_75_in_one_line(running: Daemon) -> None:
    refused(running.state, "run", code=75, says=("another allocd", str(running.state)))


def test_a_port_in_use_is_refused_with_69_in_one_line(running: Daemon, tmp_path: Path) -> None:
    settings = {"ALLOCD_LISTEN_PORT": str(running.port)}
    refused(
        tmp_path / "state", "run", settings=settings, code=69, says=(f"127.0.0.1:{running.port} is already in use", "ALLOCD_LISTEN_PORT")
    )


def test_an_unknown_setting_is_refused_with_78_and_its_nearest_known_name(tmp_path: Path) -> None:
    refused(tmp_path / "state", "run", settings={"ALLOCD_LISTEN_PROT": "1"}, code=78, says=("ALLOCD_LISTEN_PROT", "ALLOCD_LISTEN_PORT"))


def test_the_live_host_is_refused_with_78(tmp_path: Path) -> None:
    settings = {**KEYS, "ALPACA_BASE_URL": "https://api.alpaca.markets"}
    told = refused(tmp_path / "state", "run", settings=settings, code=78, says=("ALPACA_BASE_URL", "https://api.alpaca.markets"))
    assert KEYS["ALPACA_API_SECRET"] not in told


def test_a_database_that_does_not_answer_is_refused_with_69_naming_host_and_database_but_not_the_password(tmp_path: Path) -> None:
    settings = {**KEYS, "PG_URI": f"postgresql://allocd:hunter2@127.0.0.1:{free_port()}/nowhere"}
    told = refused(tmp_path / "state", "run", settings=settings, code=69, says=("127.0.0.1", "nowhere", "PG_URI"))
    assert "hunter2" not in told


def test_keys_that_the_broker_refuses_end_the_start_with_77(tmp_path: Path) -> None:
    ready = tmp_path / "exchange.json"
    command = [
        sys.executable,
        str(CHECKOUT / "start.py"),
        "exchange",
        "--key",
        "other",
        "--secret",
        "other",
        "--symbols",
        "60",
        "--history",
        "300",
    ]
    with (tmp_path / "exchange.log").open("wb") as output:
        exchange = subprocess.Popen(
            [*command, "--ready-file", str(ready), "--journal", str(tmp_path / "exchange.journal")], stdout=output, stderr=output,
            env=environment(tmp_path / "state", {}), cwd=tmp_path,
        )  # fmt: skip
    try:
        until = time.monotonic() + 30.0
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.05)
        settings = {**KEYS, "ALPACA_BASE_URL": f"http://127.0.0.1:{json.loads(ready.read_text())['port']}"}
        told = refused(tmp_path / "state", "run", settings=settings, code=77, says=("ALPACA_API_KEY", "ALPACA_API_SECRET"))
        assert KEYS["ALPACA_API_SECRET"] not in told
    finally:
        exchange.kill()
        exchange.wait()


def test_a_malformed_import_file_ends_with_2_in_one_line_and_stores_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bars.csv"
    bad.write_text("this,is\nno,archive\n")
    refused(tmp_path / "state", "import", "bars_daily", str(bad), code=2, says=("bars.csv",))


def test_sigterm_while_starting_stops_within_five_seconds(tmp_path: Path) -> None:
    with Daemon(tmp_path / "state") as daemon:
        daemon.wait_for("daemon.started")
        code, seconds = daemon.terminate()
        assert code == 0, daemon.tail()
        assert seconds < STOP_LIMIT_S
        assert not tracebacks(daemon.events)


def test_sigterm_when_ready_stops_within_five_seconds_and_leaves_no_process_behind(tmp_path: Path) -> None:
    with Daemon(tmp_path / "state") as daemon:
        daemon.wait_ready()
        daemon.wait_for("order.sent")
        code, seconds = daemon.terminate()
        assert code == 0, daemon.tail()
        assert seconds < STOP_LIMIT_S
        assert daemon.named("daemon.stopped")
        assert not processes_of(daemon.state)


def processes_of(state: Path) -> list[str]:
    """Command lines of living processes that name a state directory or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(state) in words:
                found.append(words)
    return found


def test_sighup_reloads_good_settings_and_keeps_the_old_ones_when_the_new_are_bad(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    with Daemon(tmp_path / "state", settings={"CREDENTIALS_DIRECTORY": str(credentials)}) as daemon:
        daemon.wait_for("daemon.started")
        daemon.signal(signal.SIGHUP)
        daemon.wait_ready()
        daemon.wait_for("config.reloaded")
        (credentials / "alpaca_api_key").write_text("half of a pair")
        daemon.signal(signal.SIGHUP)
        rejected = daemon.wait_for("config.rejected", timeout_s=10.0)
        assert any("ALPACA_API_SECRET" in problem for problem in rejected["problems"])
        daemon.wait_for("nav.marked", after=len(daemon.events))
        assert daemon.get("/-/ready")[0] == 200
        assert daemon.process.poll() is None


def test_a_sandbox_on_real_time_starts_is_ready_and_stops(tmp_path: Path) -> None:
    with Daemon(tmp_path / "state", "--clock", "system") as daemon:
        daemon.wait_ready()
        assert daemon.get("/-/healthy")[0] == 200
        code, seconds = daemon.terminate()
        assert code == 0, daemon.tail()
        assert seconds < STOP_LIMIT_S
        assert not tracebacks(daemon.events), daemon.tail()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 900 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system; run as root to prove what a full disk does")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, filler: Path) -> None:
    """Take all room but a few pages, though others take some at the same time."""
    with filler.open("wb") as file:
        while (room := shutil.disk_usage(disk).free) > 65_536:
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room - 16_384)


@pytest.mark.timeout(180)
def test_a_full_disk_ends_the_daemon_with_69_and_one_line_and_with_room_it_goes_on_with_nothing_lost(small_disk: Path) -> None:
    state = small_disk / "state"
    with Daemon(state) as daemon:
        daemon.wait_ready()
        daemon.wait_for("nav.marked")
        filler = small_disk / "filler"
        fill(small_disk, filler)
        code = daemon.wait(90.0)
        assert code == 69, daemon.tail()
        assert len(daemon.foreign) == 1, daemon.foreign
        assert "room" in daemon.foreign[0] or "space" in daemon.foreign[0]
        assert not tracebacks(daemon.events), daemon.tail()
    filler.unlink()
    with Daemon(state) as again:
        again.wait_ready()
        again.wait_for("nav.marked")
        assert audit_running(again.sandbox).violations == []
