"""Runs one strategy of an operator's own in a process of its own: `python -m strategies.worker SOCKET PARENT MEMORY_BYTES`.

The daemon gives it the file's text, gets its declaration, and then sends one task after another. Each task is done in a fork of
this process: nothing that a task leaves behind reaches the next one, and a task that ends its process ends nothing else. What
comes in was pickled by the daemon; what goes out is JSON, because the daemon must not have to trust what this code writes.
"""

import ctypes
import importlib
import importlib.abc
import importlib.util
import json
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from strategies.base import BarField, Strategy, Targets
from strategies.errors import StrategyError

LENGTH = struct.Struct("!Q")
"""Before each message: how many bytes it has."""
CHECKS_MODULE = "strategies.conformance.checks"
PR_SET_PDEATHSIG = 1
MOST_SAID = 500
REFUSALS: Mapping[str, type[Exception]] = {"KeyError": KeyError, "LookupError": LookupError, "TypeError": TypeError}


class Channel:
    """Messages over a socket. EOFError when the daemon has hung up."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def receive(self) -> Any:
        """The next message of the daemon."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return pickle.loads(self._exactly(length))  # noqa: S301  written by the daemon that started this process

    def _exactly(self, length: int) -> bytearray:
        content, have = bytearray(length), 0
        while have < length:
            got = self._sock.recv_into(memoryview(content)[have:])
            if not got:
                raise EOFError("the daemon has hung up")
            have += got
        return content

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the daemon something. Raises TypeError or ValueError for what JSON cannot hold."""
        content = json.dumps(message).encode()
        self._sock.sendall(LENGTH.pack(len(content)) + content)


class RemoteView:
    """The daemon's view, asked for over a channel; a DataView. What the view refuses is raised here."""

    def __init__(self, channel: Channel, asof: datetime, sessions: pd.DatetimeIndex) -> None:
        self._channel, self._asof, self._sessions = channel, asof, sessions

    def _ask(self, what: str, **arguments: Any) -> Any:
        self._channel.send({"ask": what, **arguments})
        answer = self._channel.receive()
        if "refused" in answer:
            raise REFUSALS.get(answer["kind"], ValueError)(answer["refused"])
        return answer["answer"]

    @property
    def asof(self) -> datetime:
        """The decision instant, UTC."""
        return self._asof

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Exchange sessions whose close lies before `asof`."""
        return self._sessions

    def universe(self, index: str = "sp500") -> list[str]:
        """Members of an index; see DataView."""
        return list(self._ask("universe", index=str(index)))

    def bars(self, field: BarField, sessions: int, symbols: Sequence[str] | None = None) -> pd.DataFrame:
        """Last sessions of a bar field; see DataView."""
        names = None if symbols is None else [str(symbol) for symbol in symbols]
        return self._frame("bars", field=str(field), sessions=int(sessions), symbols=names)

    def events(self, dataset: str, since: datetime | None = None) -> pd.DataFrame:
        """Newest versions of a dataset's rows; see DataView."""
        return self._frame("events", dataset=str(dataset), since=None if since is None else since.isoformat())

    def sectors(self) -> pd.Series:
        """GICS sector by symbol."""
        return self._series("sectors")

    def artifact(self, name: str) -> Any:
        """The newest trained artefact of that name, or None."""
        return self._ask("artifact", name=str(name))

    def previous_targets(self) -> pd.Series:
        """This sleeve's last weights."""
        return self._series("previous_targets")

    def holdings(self) -> pd.DataFrame:
        """This sleeve's positions."""
        return self._frame("holdings")

    def lots(self) -> pd.DataFrame:
        """This sleeve's tax lots."""
        return self._frame("lots")

    def _frame(self, what: str, **arguments: Any) -> pd.DataFrame:
        found: pd.DataFrame = self._ask(what, **arguments)
        return found

    def _series(self, what: str) -> pd.Series:
        found: pd.Series = self._ask(what)
        return found


class _Given(importlib.abc.SourceLoader):
    """Loads a module from a text that is held in memory, so that what runs is what was hashed."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        return self._source if path == self._path else b""


def load(name: str, path: str, source: bytes) -> Strategy:
    """The STRATEGY of a file. Raises StrategyError where there is none by that name, and whatever the file raises."""
    spec = importlib.util.spec_from_loader(f"own_{name}", _Given(path, source), origin=path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    strategy = getattr(module, "STRATEGY", None)
    if not isinstance(strategy, Strategy):
        raise StrategyError("it must declare a STRATEGY = Strategy(...)")
    if strategy.name != name:
        raise StrategyError(f"its STRATEGY is named {strategy.name!r}; the name must be that of the file, {name!r}")
    return strategy


def plain(value: Any) -> Any:
    """A declaration as JSON takes it; functions are left out."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if not callable(getattr(value, f.name))}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def plain_targets(targets: object) -> dict[str, Any]:
    """Targets as JSON takes them, numbers to the last bit. Raises TypeError for anything else."""
    if not isinstance(targets, Targets):
        raise TypeError(f"run returned {type(targets).__name__} and not Targets")
    evidence = targets.evidence
    return {
        "symbols": list(targets.weights.index),
        "weights": [float(weight) for weight in targets.weights],
        "scored": list(targets.scores.index),
        "scores": [float(score) for score in targets.scores],
        "evidence": {str(name): evidence[name].tolist() for name in evidence.columns},
        "skipped": dict(targets.skipped),
    }


@contextmanager
def _reporting(channel: Channel, path: str) -> Iterator[None]:
    """Tell the daemon of whatever is raised inside, with the line of the file that it came from."""
    try:
        yield
    except BaseException as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        channel.send({"error": type(error).__name__, "said": str(error)[:MOST_SAID], "line": lines[-1] if lines else None})
        raise


def _evaluate(channel: Channel, strategy: Strategy, task: Mapping[str, Any]) -> None:
    view = RemoteView(channel, task["asof"], task["sessions"])
    channel.send({"done": plain_targets(strategy.run(view, **task["params"]))})


def _check(channel: Channel, strategy: Strategy, task: Mapping[str, Any]) -> None:
    """Hold the strategy against the checks from number `skip` on, and say what came of each."""
    checks = list(importlib.import_module(CHECKS_MODULE).CHECKS.items())
    for name, check in checks[task["skip"] :]:
        channel.send({"begin": name})
        said = ""
        try:
            check(strategy)
        except StrategyError as error:
            said = str(error) or type(error).__name__
        channel.send({"end": name, "said": said})
    channel.send({"done": {}})


def _do(task_socket: socket.socket, strategy: Strategy, path: str) -> None:
    """One task, in a fork: its outcome, or what it raised, and then the end of the process."""
    status = 1
    try:
        channel = Channel(task_socket)
        task = channel.receive()
        with _reporting(channel, path):
            _evaluate(channel, strategy, task) if task["do"] == "evaluate" else _check(channel, strategy, task)
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def _tie_to(parent: int, libc: ctypes.CDLL) -> None:
    """Die with the parent, at once where it is gone already."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _serve(control: socket.socket, strategy: Strategy, path: str, libc: ctypes.CDLL) -> None:
    """Take a task's own socket, do the task in a fork, say how the fork ended; until the daemon hangs up."""
    here = os.getpid()
    while True:
        _, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not handles:
            return
        task_socket = socket.socket(fileno=handles[0])
        child = os.fork()
        if child == 0:
            _tie_to(here, libc)
            control.close()
            _do(task_socket, strategy, path)
        task_socket.close()
        _, status = os.waitpid(child, 0)
        Channel(control).send({"exit": os.waitstatus_to_exitcode(status)})


def main(arguments: Sequence[str]) -> None:
    """Tie the life to the daemon's, cap the memory, load the file, serve."""
    handle, parent, memory = (int(argument) for argument in arguments)
    libc = ctypes.CDLL(None)
    _tie_to(parent, libc)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    control = socket.socket(fileno=handle)
    channel = Channel(control)
    channel.send({"ready": os.getpid()})
    given = channel.receive()
    with _reporting(channel, given["path"]):
        strategy = load(given["name"], given["path"], given["source"])
        channel.send({"declared": plain(strategy)})
    _serve(control, strategy, given["path"], libc)


if __name__ == "__main__":
    main(sys.argv[1:])
