"""The process of one own strategy: started, talked to until a deadline, killed. Nothing that it sends is believed before it is checked."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pickle import dumps
from typing import Any, NoReturn

from config import CHECKOUT, bare_environment
from daemon.logging import get_logger
from daemon.own_errors import Crashed, Failed, OwnStrategyFailed, Stopped, TooSlow, Unintelligible
from strategies.worker import LENGTH

log = get_logger("own_strategies")

MEMORY_BYTES = 4 << 30
"""Address space of an own strategy's process; numeric libraries alone map about one GiB."""
MOST_BYTES = 8 << 20
"""The longest message that an own strategy may send: targets with thousands of evidence rows have one or two MiB."""
MOST_PRINTED = 50
"""Printed lines that are logged of one task."""
MOST_LINE = 300
LOOK_EVERY_S = 0.1
READY_S = 30.0
"""How long Python and its libraries may take to load before a file is imported for the first time: not the file's fault."""
WORDS_S = 1.0
"""How long a process may take to say how its task's fork ended."""

Message = dict[str, Any]
Reply = Callable[[Message], Mapping[str, Any] | None]
"""What is answered to a message; None where it wants no answer."""

_stopping = threading.Event()
# The kernel kills a child when the thread that started it ends: this thread stays as long as this process.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="own-strategies")


def stop() -> None:
    """Have every wait for an own strategy end at once, with Stopped. For the end of this process."""
    _stopping.set()


class Output:
    """What a process prints: the first lines of each task are logged, all of it is read, so that printing blocks nobody."""

    def __init__(self, name: str, handle: int) -> None:
        self.name, self.handle = name, handle
        self._rest, self._lines = b"", 0
        os.set_blocking(handle, False)

    def begin(self) -> None:
        """A new task: count from the start."""
        self._rest, self._lines = b"", 0

    def drain(self) -> bool:
        """Read one portion of what there is; False when no more will come."""
        try:
            found = os.read(self.handle, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + found).split(b"\n")
        self._rest = self._rest[:MOST_LINE]
        for line in lines[: MOST_PRINTED - self._lines]:
            log.debug("strategy.printed", strategy=self.name, text=line[:MOST_LINE].decode(errors="replace"))
        self._lines = min(MOST_PRINTED, self._lines + len(lines))
        return bool(found)


class Line:
    """A socket to a process, used until a deadline (of time.monotonic). Every wait reads what the process prints, too."""

    def __init__(self, sock: socket.socket, output: Output, deadline: float) -> None:
        sock.setblocking(False)
        self._sock, self._output, self._deadline = sock, output, deadline
        self._poll = select.poll()
        self._poll.register(output.handle, select.POLLIN)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send plain values of ours. Raises TooSlow, Crashed, Stopped."""
        content = dumps(message, protocol=5)
        left = memoryview(LENGTH.pack(len(content)) + content)
        while left:
            self._wait(select.POLLOUT)
            try:
                left = left[self._sock.send(left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Crashed("ended while it was being told something") from error

    def receive(self) -> Message:
        """The next message, a JSON object of at most MOST_BYTES. Raises TooSlow, Crashed at its end, Unintelligible, Stopped."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        if length > MOST_BYTES:
            raise Unintelligible(f"sent a message of {length:,} bytes; {MOST_BYTES:,} is the most")
        try:
            message = json.loads(self._exactly(length))
        except (ValueError, RecursionError) as error:
            raise Unintelligible("sent something that is no JSON") from error
        if not isinstance(message, dict):
            raise Unintelligible("sent something that is no JSON object")
        return message

    def _exactly(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            self._wait(select.POLLIN)
            try:
                got = self._sock.recv(min(length - len(content), 1 << 20))
            except BlockingIOError:
                continue
            except OSError as error:
                raise Crashed("broke off") from error
            if not got:
                raise Crashed("ended without an answer")
            content += got
        return bytes(content)

    def _wait(self, event: int) -> None:
        self._poll.register(self._sock, event)
        while True:
            if _stopping.is_set():
                raise Stopped
            left_s = self._deadline - time.monotonic()
            if left_s <= 0.0:
                raise TooSlow("was not done in its time")
            ready = [handle for handle, _ in self._poll.poll(1000.0 * min(left_s, LOOK_EVERY_S))]
            if self._output.handle in ready and not self._output.drain():
                self._poll.unregister(self._output.handle)
            if self._sock.fileno() in ready:
                return


class _Running:
    """A started process with its control socket. `kill` ends it and whatever it has started in its group."""

    def __init__(self, name: str, memory: int) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            try:
                self.child = _launcher.submit(_launch, theirs.fileno(), memory).result()
            except OSError as error:
                self.control.close()
                raise Crashed(f"could not be started: {error}") from error
        assert self.child.stdout is not None
        self.output = Output(name, self.child.stdout.fileno())
        self.kill = weakref.finalize(self, _kill, self.child, self.control)

    @property
    def is_alive(self) -> bool:
        return self.kill.alive and self.child.poll() is None


def _launch(handle: int, memory: int) -> subprocess.Popen[bytes]:
    # One seed for hashes, so that a set has the same order in every process; no module from where the process stands.
    extra = {"PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "strategies.worker", str(handle), str(os.getpid()), str(memory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(handle,),
        start_new_session=True,
        env=bare_environment(extra),
        cwd="/",
    )


def _kill(child: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    if child.returncode is None:  # not reaped, so that the number is still its own
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


class OwnProcess:
    """The process of one file's strategy, started when it is needed and again when it has ended. One task at a time.

    source: the file's bytes, which are what runs, also when the file has changed since.
    """

    def __init__(self, name: str, path: Path, source: bytes, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.name, self.path = name, path
        self._source, self._memory = source, memory_bytes
        self._running: _Running | None = None
        self._declared: Any = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._running.child.pid if self._running is not None and self._running.is_alive else None

    def declaration(self, import_s: float) -> Any:
        """What the file declares, as unchecked plain values; importing it may take `import_s` seconds. Raises what `do` raises."""
        self._started(time.monotonic() + READY_S, import_s)
        return self._declared

    def do(self, task: Mapping[str, Any], reply: Reply, deadline: float) -> Any:
        """Do one task in the process and return its unchecked outcome; `reply` answers what the task asks on the way.

        Raises TooSlow (the process is killed), Crashed, Unintelligible, Failed for what the strategy's own code raised, Stopped.
        """
        running = self._started(deadline)
        running.output.begin()
        try:
            message = self._talked(running, task, reply, deadline)
        except BaseException:
            self.close()
            raise
        if "ended" in message:
            raise Crashed(f"ended without an answer: {message['ended']}")
        return message["done"] if "done" in message else _raise(message)

    def _talked(self, running: _Running, task: Mapping[str, Any], reply: Reply, deadline: float) -> Message:
        """The task's last message, or how it ended without one."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                _hand_over(running.control, theirs)
            line = Line(ours, running.output, deadline)
            try:
                message = _conversation(line, task, reply)
            except Crashed:
                return {"ended": _ending(self._exit(running))}
        try:
            self._exit(running)
        except OwnStrategyFailed:
            self.close()  # it has given its answer and does not go: the next task gets a new process
        return message

    def _exit(self, running: _Running) -> int:
        """How the fork of the last task ended: an exit code, or minus the number of a signal."""
        code = Line(running.control, running.output, time.monotonic() + WORDS_S).receive().get("exit")
        if not isinstance(code, int):
            raise Unintelligible("did not say how its task ended")
        return code

    def _started(self, ready_by: float, import_s: float | None = None) -> _Running:
        if self._running is not None and self._running.is_alive:
            return self._running
        self.close()
        running = self._running = _Running(self.name, self._memory)
        try:
            Line(running.control, running.output, ready_by).receive()
            self._declared = self._imported(running, ready_by if import_s is None else time.monotonic() + import_s)
        except BaseException:
            self.close()
            raise
        return running

    def _imported(self, running: _Running, deadline: float) -> Any:
        line = Line(running.control, running.output, deadline)
        try:
            line.send({"name": self.name, "path": str(self.path), "source": self._source})
            message = line.receive()
        except Crashed as error:
            raise Crashed(f"ended while it was being imported: {_last_words(running.child)}") from error
        return message["declared"] if "declared" in message else _raise(message)

    def close(self) -> None:
        """Kill the process, if it runs."""
        if self._running is not None:
            self._running.kill()
            self._running = None


def _hand_over(control: socket.socket, theirs: socket.socket) -> None:
    control.setblocking(True)
    try:
        socket.send_fds(control, [b"t"], [theirs.fileno()])
    except OSError as error:
        raise Crashed("ended before its task") from error


def _conversation(line: Line, task: Mapping[str, Any], reply: Reply) -> Message:
    line.send(task)
    while True:
        message = line.receive()
        if "done" in message or "error" in message:
            return message
        answer = reply(message)
        if answer is not None:
            line.send(answer)


def _raise(message: Mapping[str, Any]) -> NoReturn:
    kind, said, line = (message.get(key) for key in ("error", "said", "line"))
    if not isinstance(kind, str) or not isinstance(said, str):
        raise Unintelligible("sent a message that is none of the protocol's")
    where = f" in line {line}" if isinstance(line, int) else ""
    raise Failed(said if kind == "StrategyError" else f"raised {kind}{where}: {said}")


def _last_words(child: subprocess.Popen[bytes]) -> str:
    try:
        return _ending(child.wait(WORDS_S))
    except subprocess.TimeoutExpired:
        return "it does not go"


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}" if -code in signal.valid_signals() else f"signal {-code}"
