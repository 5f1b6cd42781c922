"""Own strategies in real processes: good ones decide like the catalog's, bad ones fail alone, in bounded time, and are started again."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import config
from daemon import compose, own_process, verbs
from daemon.errors import StartRefused
from daemon.jobs import attempt
from daemon.logging import configure
from daemon.own_errors import BadAnswer, Crashed, Failed, Stopped, TooSlow, Unintelligible
from daemon.own_strategies import Found, find
from daemon.verify import verify
from scrapers import DATASETS
from strategies import CATALOG, resolve_params, signals
from strategies.conformance.checks import CHECKS
from strategies.conformance.memory import MemoryWorld, congress_rows, prices
from tests.integration.desk import CALENDAR, DAYS, wants
from tests.integration.processes import ended

ASOF = datetime(2022, 1, 3, 14, tzinfo=UTC)
LATER = ASOF + timedelta(days=7)
D0, D1 = DAYS[:2]
TIMEOUT_S = 4.0
SLACK_S = 2.5
"""What a loaded machine may need beyond a bound."""

HEAD = """
import ctypes, json, os, socket, sys, time
import numpy as np
import pandas as pd
from strategies import signals
from strategies.base import Param, Strategy, Targets, daily, no_evidence, no_targets, weekly

def all_in(name, weight):
    keys = signals.evidence_frame("bars_daily", ["k"], [name], np.ones(1))
    return signals.targets([name], np.array([weight]), np.ones(1), keys, {})

def put(sock, text):
    sock.sendall(len(text).to_bytes(8, "big") + text)
"""
TAIL = """
STRATEGY = Strategy(
    name={name!r}, run=run, needs=("bars_daily",), uses=("congress_trades",), rebalance=daily(), lookback_sessions=20,
    params={{"top": Param(default=2, meaning="names held", low=1, high=10)}}, description="a test's own",
)
"""
EQUAL = """
def run(view, *, top: int = 2) -> Targets:
    closes = view.bars("close", 5)
    names = sorted(closes.columns)[:top]
    keys = signals.session_keys(names, view.sessions[-1])
    scores = np.arange(len(names), 0, -1) / 3.0
    return signals.targets(names, signals.equal_weights(len(names), full_at=top), scores,
                           signals.evidence_frame("bars_daily", keys, names, scores), {"ZZZ": "not asked for"})
"""


def written(folder: Path, name: str, body: str, *, top: str = "") -> Path:
    """A file with a whole strategy around `body`, which is a `run` or the statements of one; `top` runs when it is imported."""
    inner = textwrap.dedent(body)
    if "def run(" not in inner:
        inner = "def run(view, *, top: int = 2) -> Targets:\n" + textwrap.indent(inner.strip() or "pass", "    ")
    path = folder / f"{name}.py"
    path.write_text("\n".join([HEAD, textwrap.dedent(top), inner, TAIL.format(name=name)]))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    made.mkdir()
    return made


@pytest.fixture
def look(folder: Path) -> Iterator[Any]:
    """Finds the own strategies of the folder; their processes end with the test."""
    opened: list[Found] = []

    def look_now(timeout_s: float = TIMEOUT_S, **options: Any) -> Found:
        opened.append(find(folder, timeout_s, **options))
        return opened[-1]

    yield look_now
    for found in opened:
        found.close()


@pytest.fixture
def one(folder: Path, look: Any) -> Any:
    """The only own strategy of the folder, from its body."""

    def made(body: str, timeout_s: float = TIMEOUT_S, *, top: str = "", **options: Any) -> Any:
        written(folder, "mine", body, top=top)
        found = look(timeout_s, **options)
        assert not found.refused, found.refused
        return found.own["mine"]

    return made


def world() -> MemoryWorld:
    closes = prices({"AAA": [10.0, 11.0, 12.1], "BBB": [5.0, 5.0, 5.5], "CCC": [2.0, 1.0, 3.0]}, "2021-12-31")
    trades = congress_rows([{"symbol": "AAA", "known_at": ASOF - timedelta(days=2)}, {"symbol": "BBB", "known_at": ASOF}])
    return MemoryWorld(
        closes=closes,
        adj_closes=closes,
        events={"congress_trades": trades},
        members={"sp500": [("BBB", ASOF), ("AAA", ASOF)]},
        sectors={"AAA": "Energy"},
        artifacts={"model": [(ASOF, {"params": [1.5, None]})]},
        previous={"AAA": 0.25},
    )


def view(asof: datetime = ASOF) -> Any:
    return world().at(asof)


def seconds(call: Any) -> tuple[float, BaseException]:
    """How long a failing call took, and what it raised."""
    began = time.monotonic()
    with pytest.raises(Exception) as caught:
        call()
    return time.monotonic() - began, caught.value


# Good ones.


def test_an_own_strategy_wants_what_the_same_function_wants_in_this_process(one):
    own = one(EQUAL)
    names: dict[str, Any] = {"signals": signals, "np": np, "Targets": object}
    exec(EQUAL, names)
    here, there = names["run"](view(), top=2), own.run(view(), top=2)
    assert there.weights.to_dict() == {"AAA": 0.5, "BBB": 0.5} and there.scores.to_dict() == {"AAA": 2 / 3, "BBB": 1 / 3}
    pd.testing.assert_series_equal(there.weights, here.weights, check_exact=True)
    pd.testing.assert_series_equal(there.scores, here.scores, check_exact=True)
    pd.testing.assert_frame_equal(there.evidence, here.evidence, check_exact=True)
    assert there.skipped == here.skipped == {"ZZZ": "not asked for"}
    assert own.run(view(), top=1).weights.to_dict() == {"AAA": 1.0}


def test_the_view_in_the_process_is_the_view_here(one):
    own = one(
        """
        seen = {
            "asof": view.asof.isoformat(), "sessions": [str(s.date()) for s in view.sessions], "universe": view.universe("sp500"),
            "bars": view.bars("adj_close", 2, ["CCC", "AAA"]).to_dict("list"), "events": list(view.events("congress_trades")["symbol"]),
            "since": list(view.events("congress_trades", view.asof)["row_key"]), "sectors": view.sectors().to_dict(),
            "artifact": view.artifact("model"), "nothing": view.artifact("other"), "previous": view.previous_targets().to_dict(),
            "holdings": list(view.holdings().columns), "lots": list(view.lots().columns), "zone": str(view.asof.tzinfo),
            "kinds": [str(kind) for kind in view.events("congress_trades").dtypes], "top": top,
        }
        return no_targets({name: json.dumps(value) for name, value in seen.items()})
        """
    )
    there = view()
    assert {name: json.loads(text) for name, text in own.run(view(), top=2).skipped.items()} == {
        "asof": ASOF.isoformat(),
        "sessions": ["2021-12-29", "2021-12-30", "2021-12-31"],
        "universe": ["AAA", "BBB"],
        "bars": {"CCC": [1.0, 3.0], "AAA": [11.0, 12.1]},
        "events": ["AAA", "BBB"],
        "since": ["R00001"],
        "sectors": {"AAA": "Energy"},
        "artifact": {"params": [1.5, None]},
        "nothing": None,
        "previous": {"AAA": 0.25},
        "holdings": list(there.holdings().columns),
        "lots": list(there.lots().columns),
        "zone": "UTC",
        "kinds": [str(kind) for kind in there.events("congress_trades").dtypes],
        "top": 2,
    }


def test_a_task_leaves_nothing_behind_for_the_next_one(one):
    own = one(
        """
        seen.append(top)
        np.random.seed(len(seen))
        os.environ["LEFT"] = "behind"
        return no_targets({"seen": json.dumps(seen), "left": os.environ.get("LEFT_BEFORE", "none")})
        """,
        top="seen = []",
    )
    answers = [own.run(view(), top=n).skipped["seen"] for n in (2, 3, 4)]
    assert answers == ["[2]", "[3]", "[4]"]


def test_a_process_serves_many_evaluations_and_ends_with_its_last_owner(folder, one):
    own = one(EQUAL)
    pid = own.pid
    assert [own.run(view(ASOF + timedelta(days=n)), top=2).weights.sum() for n in range(5)] == [1.0] * 5
    assert own.pid == pid and os.path.exists(f"/proc/{pid}")
    own.close()
    assert own.pid is None and ended(pid)
    assert own.run(view(), top=2).weights.sum() == 1.0, "it is started again when it is needed"
    assert own.pid != pid


def test_what_runs_is_what_was_hashed_also_after_the_file_has_changed(folder, one):
    own = one(EQUAL)
    path = folder / "mine.py"
    assert own.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text("raise RuntimeError('changed')")
    own.close()
    assert own.run(view(), top=2).weights.to_dict() == {"AAA": 0.5, "BBB": 0.5}
    assert own.sha256 != hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_set_has_the_same_order_in_every_process(one):
    own = one("return no_targets({'order': ' '.join({str(n) for n in range(50)})})")
    first = own.run(view(), top=2).skipped
    own.close()
    assert own.run(view(), top=2).skipped == first


def test_the_process_sees_no_secret_and_not_the_checkouts_folder(one, monkeypatch):
    monkeypatch.setenv("ALPACA_API_SECRET", "hush")
    monkeypatch.setenv("PG_URI", "hush")
    own = one("return no_targets({'names': ' '.join(sorted(os.environ)), 'values': ' '.join(os.environ.values()), 'cwd': os.getcwd()})")
    own.close()
    seen = own.run(view(), top=2).skipped
    assert "hush" not in seen["values"] and not {"ALPACA_API_SECRET", "PG_URI", "HOME"} & set(seen["names"].split())
    assert seen["cwd"] == "/"


def test_what_the_view_refuses_is_raised_in_the_strategy(one):
    own = one(
        """
        said = {}
        for name, call in {
            "lookback": lambda: view.bars("close", 21),
            "none": lambda: view.bars("close", 0),
            "field": lambda: view.bars("colour", 5),
            "dataset": lambda: view.events("fundamentals"),
            "naive": lambda: view.events("congress_trades", view.asof.replace(tzinfo=None)),
            "index": lambda: view.universe("sp400"),
        }.items():
            try:
                call()
            except Exception as error:
                said[name] = f"{type(error).__name__} {error}"
        return no_targets(said)
        """
    )
    said = own.run(view(), top=2).skipped
    assert said["lookback"] == "ValueError it asks for 21 sessions and declares lookback_sessions=20"
    assert said["none"].startswith("ValueError") and said["field"].startswith("ValueError there is no bar field 'colour'")
    assert said["dataset"].startswith("KeyError") and "declares it neither in needs nor in uses" in said["dataset"]
    assert said["naive"] == "ValueError since must have a time zone" and "sp400" in said["index"]


# Bad ones. Those that fail at once are functions of one file: its process goes on from one failure to the next.

QUICK: dict[str, tuple[str, type[Exception], str]] = {
    "raises": ("{}['x']", Failed, r"raised KeyError in line \d+: 'x'"),
    "leaves": ("sys.exit(4)", Failed, "raised SystemExit"),
    "leaves_at_once": ("os._exit(3)", Crashed, "exit code 3"),
    "leaves_in_peace": ("os._exit(0)", Crashed, "exit code 0"),
    "segfaults": ("ctypes.string_at(0)", Crashed, "SIGSEGV"),
    "kills_itself": ("os.kill(os.getpid(), 9)", Crashed, "SIGKILL"),
    "recurses": ("return way6(view, top)", Failed, "RecursionError"),
    "raises_the_unspeakable": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
        Crashed,
        "exit code 1",
    ),
    "returns_rubbish": ("return {'AAA': 1.0}", Failed, "returned dict and not Targets"),
    "returns_nothing": ("return None", Failed, "returned NoneType and not Targets"),
    "wants_nan": ("return all_in('AAA', np.nan)", BadAnswer, "not finite"),
    "wants_too_much": (
        "return all_in('AAA', 1.5)",
        BadAnswer,
        "weights of 1.5 in all",
    ),
    "wants_the_unknown": (
        "return all_in('QQQ', 1.0)",
        BadAnswer,
        "wants QQQ, of which no daily bar is known",
    ),
    "kills_its_server": ("os.kill(os.getppid(), 9); time.sleep(60)", Crashed, "ended"),
}
OWN_SOCKET = (
    "sock = socket.socket(fileno=[int(f) for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}') "
    "and os.readlink(f'/proc/self/fd/{f}').startswith('socket:')][-1])\n"
)
"""The task's own socket, found as a hostile file would."""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A strategy that fails in the way that its parameter `top` numbers, and is fine at 0."""
    folder = tmp_path_factory.mktemp("failing")
    bodies = [textwrap.indent(body, "    ") for body, _, _ in QUICK.values()]
    ways = "\n".join(f"def way{n}(view, top):\n{body}" for n, body in enumerate(bodies))
    fine = "return globals()[f'way{top - 1}'](view, top) if top else no_targets({'fine': 'yes'})"
    path = written(folder, "failing", fine, top=ways)
    path.write_text(path.read_text().replace("low=1, high=10", "low=0, high=99"))
    found = find(folder, TIMEOUT_S)
    yield found.own["failing"]
    found.close()


@pytest.mark.parametrize("what", QUICK)
def test_a_strategy_that_goes_wrong_fails_alone_and_is_well_the_next_time(failing, what):
    _, kind, said = QUICK[what]
    took, error = seconds(lambda: failing.run(view(), top=1 + list(QUICK).index(what)))
    assert type(error) is kind and re.search(said, str(error)), error
    assert took < TIMEOUT_S
    assert failing.run(view(), top=0).skipped == {"fine": "yes"}


SLOW = {
    "loops": "while True: pass",
    "loops_in_c": "sum(range(10**13))",
    "loops_and_ignores_signals": "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    "sleeps": "time.sleep(3600)",
    "prints_without_end": "while True: print('x' * 10_000)",
    "asks_without_end": "while True: view.bars('close', 20)",
    "asks_and_does_not_listen": OWN_SOCKET + "while True: sock.sendall(b'\\0' * 7 + bytes([len(Q)]) + Q)",
    "writes_half_a_message": OWN_SOCKET + "sock.sendall(b'\\0' * 6)\ntime.sleep(3600)",
}


@pytest.mark.parametrize("what", SLOW)
def test_a_strategy_that_does_not_come_to_an_end_is_ended_in_time(one, what):
    own = one('Q = b\'{"ask": "sectors"}\'\n' + SLOW[what], timeout_s=1.0)
    pid = own.pid
    took, error = seconds(lambda: own.run(view(), top=2))
    assert type(error) is TooSlow and "not done within 1 s" in str(error)
    assert 1.0 <= took < 1.0 + SLACK_S
    assert ended(pid) and own.pid is None


RUBBISH = {
    "a_pickle": (
        "import pickle\nclass Bomb:\n    def __reduce__(self): return (os.system, ('touch {mark}',))\n"
        "text = pickle.dumps(Bomb())\nput(sock, text)",
        "no JSON",
    ),
    "too_much": ("sock.sendall((1 << 62).to_bytes(8, 'big'))", "bytes; 8,388,608 is the most"),
    "a_deep_nest": ("text = b'[' * 4_000_000\nput(sock, text)", "no JSON"),
    "a_number": ("sock.sendall((1).to_bytes(8, 'big') + b'7')", "no JSON object"),
    "no_question": ('text = b\'{{"ask": "close"}}\'\nput(sock, text)', "no question to a view"),
    "a_private_question": ('text = b\'{{"ask": "_world"}}\'\nput(sock, text)', "no question to a view"),
    "another_end": (
        'text = b\'{{"done": {{"symbols": 7}}}}\'\nput(sock, text)',
        "symbols are no names",
    ),
    "an_odd_error": ("text = b'{{\"error\": 7}}'\nput(sock, text)", "none of the protocol's"),
}


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_on_the_wire_is_refused_and_never_run(one, what, tmp_path):
    body, said = RUBBISH[what]
    mark = tmp_path / "mark"
    own = one(f"if top == 2: return no_targets({{'fine': 'yes'}})\n{OWN_SOCKET}{body.format(mark=mark)}\ntime.sleep(3600)")
    took, error = seconds(lambda: own.run(view(), top=3))
    assert type(error) in (Unintelligible, BadAnswer) and said in str(error)
    assert took < TIMEOUT_S and not mark.exists()
    assert own.run(view(), top=2).skipped == {"fine": "yes"}


def test_what_it_has_started_ends_with_it(one, tmp_path):
    told = tmp_path / "told"
    os.mkfifo(told)
    own = one(f"if os.fork() == 0:\n    open({str(told)!r}, 'w').write(str(os.getpid()))\nwhile True: pass", timeout_s=1.0)
    with ThreadPoolExecutor() as pool:
        failure = pool.submit(seconds, lambda: own.run(view(), top=2))
        grandchild = int(told.read_text())
        assert isinstance(failure.result()[1], TooSlow)
    assert ended(grandchild)


def test_a_wait_ends_at_once_when_the_daemon_stops_and_is_no_failure_of_the_strategy(one, tmp_path, monkeypatch):
    monkeypatch.setattr(own_process, "_stopping", threading.Event())
    told = tmp_path / "told"
    os.mkfifo(told)
    own = one(f"open({str(told)!r}, 'w').write('here')\nwhile True: pass", timeout_s=60.0)
    pid = own.pid
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(attempt, "mine", lambda: own.run(view(), top=2))
        assert told.read_text() == "here"
        began = time.monotonic()
        own_process.stop()
        with pytest.raises(Stopped):
            waiting.result()
    assert time.monotonic() - began < SLACK_S and ended(pid)


DAEMON = """
import sys
from pathlib import Path
from daemon.own_strategies import find
from tests.integration.test_own_strategies import view

own = find(Path(sys.argv[1]), 600.0).own["mine"]
print(own.pid, flush=True)
own.run(view(), top=2)
"""


def test_a_killed_daemon_takes_the_process_and_its_endless_task_along(folder, tmp_path):
    told = tmp_path / "told"
    os.mkfifo(told)
    written(folder, "mine", f"open({str(told)!r}, 'w').write(str(os.getpid()))\nwhile True: pass")
    command = [sys.executable, "-c", DAEMON, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=config.CHECKOUT, env=config.child_environment()) as daemon:
        server, task = int(daemon.stdout.readline()), int(told.read_text())
        assert os.path.exists(f"/proc/{server}") and os.path.exists(f"/proc/{task}")
        daemon.send_signal(signal.SIGKILL)
    assert ended(server) and ended(task)


def test_an_endless_allocation_meets_the_cap_on_memory(one):
    own = one("if top == 3: np.ones(1 << 30)\nreturn no_targets({'fine': 'yes'})", memory_bytes=3 << 30)
    took, error = seconds(lambda: own.run(view(), top=3))
    assert type(error) is Failed and "MemoryError" in str(error) and took < TIMEOUT_S
    assert own.run(view(), top=2).skipped == {"fine": "yes"}


def test_what_it_prints_goes_to_the_log_in_bounded_lines(one, capsys):
    configure(json=True, level="debug", base={}, now=lambda: ASOF, stream=sys.stdout)
    own = one("for n in range(1_000): print(n, 'y' * 1_000)\nos.write(2, b'to stderr')\nreturn no_targets()")
    assert own.run(view(), top=2).weights.empty
    printed = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["event"] == "strategy.printed"]
    assert len(printed) == 50 and {line["strategy"] for line in printed} == {"mine"}
    assert printed[3]["text"].startswith("3 yyy") and all(len(line["text"]) <= 300 for line in printed)


# Time, shared and rested.


def test_a_strategy_that_was_too_slow_rests_and_costs_nothing_meanwhile(one):
    own = one("while True: pass", timeout_s=1.0)
    assert isinstance(seconds(lambda: own.run(view(), top=2))[1], TooSlow)
    took, error = seconds(lambda: own.run(view(LATER), top=2))
    assert isinstance(error, TooSlow) and "tried again in" in str(error) and took < 0.2
    own._rests_until = 0.0  # half a minute later
    assert 1.0 <= seconds(lambda: own.run(view(LATER), top=2))[0] < 1.0 + SLACK_S


def test_all_own_strategies_of_a_session_together_have_three_times_the_time_of_one(folder, look):
    for n in range(5):
        written(folder, f"slow{n}", "while True: pass")
    own = look(1.0).own
    began = time.monotonic()
    errors = [seconds(lambda own=own, n=n: own[f"slow{n}"].run(view(), top=2))[1] for n in range(5)]
    assert time.monotonic() - began < 3 * 1.0 + SLACK_S
    assert all(isinstance(error, TooSlow) for error in errors)
    assert [("used up the time of this session" in str(error)) for error in errors[3:]] == [True, True]


# At the start.


def test_files_that_do_not_import_are_left_out_with_the_reason_in_bounded_time(folder, look):
    written(folder, "good", EQUAL)
    for name, top in {
        "raises": "1 / 0",
        "leaves": "os._exit(5)",
        "exits": "sys.exit('no')",
        "loops": "while True: pass",
        "sleeps": "time.sleep(3600)",
    }.items():
        written(folder, name, EQUAL, top=top)
    (folder / "empty.py").write_text("")
    (folder / "syntax.py").write_text("def run(:\n")
    written(folder, "renamed", EQUAL).rename(folder / "other.py")
    began = time.monotonic()
    found = look(TIMEOUT_S)
    assert time.monotonic() - began < 3 * TIMEOUT_S + SLACK_S
    assert list(found.own) == ["good"] and found.own["good"].run(view(), top=2).weights.sum() == 1.0
    reasons = {refused.name: refused.reason for refused in found.refused}
    assert "raised ZeroDivisionError in line" in reasons.pop("raises")
    assert reasons.pop("leaves") == "ended while it was being imported: exit code 5"
    assert "raised SystemExit" in reasons.pop("exits") and "raised SyntaxError" in reasons.pop("syntax")
    assert reasons.pop("loops") == reasons.pop("sleeps") == f"importing it took longer than {TIMEOUT_S:g} s"
    assert reasons.pop("empty") == "it must declare a STRATEGY = Strategy(...)"
    assert "is named 'renamed'" in reasons.pop("other") and not reasons


def test_a_sleeve_beside_bad_ones_is_recorded_to_the_byte_as_without_them(folder, look, open_a_desk):
    written(folder, "good", EQUAL)
    written(folder, "loops", "while True: pass")
    written(folder, "crashes", "os._exit(9)")
    written(folder, "rubbish", "return {'AAA': 1.0}")
    found = look(2.0)
    catalog = {"steady": wants("steady", {"AAA": 1 / 3, "SPY": 0.1 + 0.2})}
    alone = open_a_desk({**catalog, "good": found.strategies["good"]})
    beside = open_a_desk({**catalog, **found.strategies})
    records = []
    for desk in (alone, beside):
        desk.rt.params = {name: resolve_params(strategy) for name, strategy in desk.rt.strategies.items()}
        began = time.monotonic()
        for session in (D0, D1):
            desk.day(session)
        took = time.monotonic() - began
        wanted = desk.sql("SELECT cycle_id, sleeve, symbol, weight, score FROM targets WHERE sleeve IN ('good', 'steady') ORDER BY 1, 2, 3")
        evidence = desk.sql("SELECT * FROM evidence WHERE sleeve IN ('good', 'steady') ORDER BY 1, 2, 3, 4, 5")
        records.append((wanted, evidence))
        assert desk.agrees_with_broker()
    assert records[0] == records[1] and len(records[0][0]) == 8 and len(records[0][1]) == 4
    outcomes = {(r["sleeve"], r["outcome"]) for r in beside.sql("SELECT sleeve, outcome FROM evaluations")}
    assert outcomes == {("good", "evaluated"), ("steady", "evaluated"), ("loops", "failed"), ("crashes", "failed"), ("rubbish", "failed")}
    assert took < 2.0 + SLACK_S + 10.0, "the loop is waited for once, not once a session"
    assert beside.holdings().keys() == {"good", "steady"}


def test_decisions_of_own_strategies_come_out_again_in_another_process(folder, look, open_a_desk):
    written(folder, "good", EQUAL)
    strategies = look().strategies
    desk = open_a_desk(strategies)
    desk.rt.params = {"good": resolve_params(strategies["good"])}
    desk.day(D0)
    desk.day(D1)
    again = look().strategies
    assert again["good"].run is not strategies["good"].run
    verdicts = verify(desk.rt.db, desk.rt.lake, DATASETS, {**CATALOG, **again}, CALENDAR)
    assert [v.differences for v in verdicts] == [(), ()]


def settings(folder: Path, **more: str) -> config.Settings:
    return config.load({"ALLOCD_STRATEGY_DIR": str(folder), "ALLOCD_STRATEGY_TIMEOUT_S": "10", **more}, env_file=None)


def test_an_own_strategy_is_switched_on_and_set_like_the_catalogs(folder):
    written(folder, "good", EQUAL)
    written(folder, "bad", EQUAL, top="1 / 0")
    every, params = compose.enabled(settings(folder))
    assert set(every) == {*CATALOG, "good"} and params["good"] == {"top": 2}
    chosen, params = compose.enabled(settings(folder, ALLOCD_STRATEGIES="good", ALLOCD_STRATEGY_PARAMS='{"good": {"top": 5}}'))
    assert set(chosen) == {"good"} and params == {"good": {"top": 5}}
    assert set(compose.catalog(settings(folder))) == {*CATALOG, "good"}
    assert compose.own(settings(folder)).hashes() == {"good": hashlib.sha256((folder / "good.py").read_bytes()).hexdigest()}
    with pytest.raises(StartRefused, match="outside 1 to 10"):
        compose.enabled(settings(folder, ALLOCD_STRATEGY_PARAMS='{"good": {"top": 50}}'))
    with pytest.raises(StartRefused, match=r"names 'bad', which cannot be used; .*bad.py: raised ZeroDivisionError in line"):
        compose.enabled(settings(folder, ALLOCD_STRATEGIES="good,bad"))
    assert "good" in compose.enabled(settings(folder, ALLOCD_STRATEGY_PARAMS='{"bad": {"top": 5}}'))[0], (
        "what is left out needs no settings"
    )
    compose.own(settings(folder)).close()


EXAMPLE = (Path(__file__).parent / "own_example.py").read_text()


def test_the_check_holds_own_strategies_against_the_conformance_suite_and_names_what_is_left_out(folder, capsys):
    (folder / "quiet_strength.py").write_text(EXAMPLE)
    verbs.check(settings(folder), True)
    report = json.loads(capsys.readouterr().out)["own_strategies"]
    checks = report["strategies"]["quiet_strength"]["checks"]
    assert [(c["check"], c["said"]) for c in checks] == [(name, "") for name in CHECKS]
    assert report["left_out"] == []
    compose.own(settings(folder)).close()


def test_the_check_refuses_where_a_check_is_not_kept_or_a_file_is_left_out(folder, capsys):
    written(folder, "endless", "while True: pass")
    written(folder, "broken", EQUAL, top="1 / 0")
    chosen = settings(folder, ALLOCD_STRATEGY_TIMEOUT_S="0.5")
    with pytest.raises(StartRefused, match=r"1 left out, 1 of \d+ checks not kept"):
        verbs.check(chosen, False)
    printed = capsys.readouterr().out
    assert re.search(r"own strategy broken: LEFT OUT, \S+broken.py: raised ZeroDivisionError in line \d+", printed)
    assert re.search(r"endless: every parameter has a meaning and bounds: kept", printed)
    assert re.search(r"endless: [a-z ]+: NOT KEPT, it was not done in its time", printed)
    assert StartRefused.exit_code == 78
    compose.own(chosen).close()
