"""An operator's own strategies: found in the folder of the settings, run in processes of their own, bounded in time.

A file is one strategy, written like one of the catalog. None of its code runs in this process; see `strategies.worker`. A file that
cannot be used is left out with a reason (Refusal), and so is a folder that is not there.
"""

import hashlib
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args

from daemon.logging import get_logger
from daemon.own_answers import strategy_of, targets_of
from daemon.own_errors import BadAnswer, OwnStrategyFailed, TooSlow
from daemon.own_process import MEMORY_BYTES, Message, OwnProcess
from scrapers import DATASETS
from strategies import CATALOG
from strategies.base import BarField, DataView, Strategy, Targets

log = get_logger("own_strategies")

FILE_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
MOST_SOURCE_BYTES = 1 << 20
SESSION_FACTOR = 3.0
"""All own strategies of one session together get so many times what one evaluation gets."""
REST_FACTOR = 30.0
"""A strategy that was too slow is left alone for so many times what an evaluation gets."""
CHECK_FACTOR = 12.0
"""The conformance suite runs a strategy many times; it may take so many times what an evaluation may."""
STARTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A file that is left out, and why. name: what the strategy would have been called; empty for the folder itself."""

    name: str
    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What came of one check of the conformance suite; said is empty when the strategy keeps it."""

    strategy: str
    check: str
    said: str


class Budget:
    """The seconds that all own strategies together may take of one session (one instant of decision)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._asof: datetime | None = None
        self._spent = 0.0

    def left(self, asof: datetime) -> float:
        """Seconds that are left of this session."""
        with self._lock:
            if asof != self._asof:
                self._asof, self._spent = asof, 0.0
            return self._seconds - self._spent

    def spend(self, asof: datetime, seconds: float) -> None:
        """Take off what was used."""
        with self._lock:
            if asof == self._asof:
                self._spent += seconds


class OwnStrategy:
    """One file: its process, its hash, and its declaration, whose `run` asks the process. Raises OwnStrategyFailed where it cannot.

    sha256: of the bytes that run. budget: shared by the own strategies of a folder.
    """

    def __init__(
        self, path: Path, source: bytes, budget: Budget, timeout_s: float, *, datasets: Collection[str], memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.path, self.sha256 = path, hashlib.sha256(source).hexdigest()
        self._budget, self._timeout_s = budget, timeout_s
        self._process = OwnProcess(path.stem, path, source, memory_bytes=memory_bytes)
        self._lock = threading.Lock()
        self._rests_until = 0.0
        try:
            said = self._process.declaration(timeout_s)
            self.strategy = strategy_of(path.stem, said, self.run, datasets)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """Id of its process while it runs."""
        return self._process.pid

    def run(self, view: DataView, **params: Any) -> Targets:
        """Evaluate it in its process: a strategy's function."""
        with self._lock:
            began = time.monotonic()
            seconds = self._granted(view.asof, began)
            task = {"do": "evaluate", "asof": view.asof, "sessions": view.sessions, "params": params}
            try:
                said = self._process.do(task, lambda asked: _served(self.strategy, view, asked), began + seconds)
            except TooSlow as error:
                self._rests_until = time.monotonic() + REST_FACTOR * self._timeout_s
                raise TooSlow(f"{self.strategy.name} was not done within {seconds:.3g} s and was ended") from error
            finally:
                self._budget.spend(view.asof, time.monotonic() - began)
            targets = targets_of(self.strategy, said)
            _check_known(view, targets)
            return targets

    def _granted(self, asof: datetime, now: float) -> float:
        """Seconds for an evaluation that begins now."""
        if now < self._rests_until:
            raise TooSlow(f"{self.strategy.name} was too slow a short while ago; it is tried again in {self._rests_until - now:.0f} s")
        seconds = min(self._timeout_s, self._budget.left(asof))
        if seconds <= 0.0:
            raise TooSlow(f"{self.strategy.name} was not tried: own strategies have used up the time of this session")
        return seconds

    def checked(self) -> Iterator[CheckResult]:
        """Hold it against the conformance suite, in its process. A check that ends the process, or does not end, is not kept."""
        done, deadline = 0, time.monotonic() + CHECK_FACTOR * self._timeout_s
        while True:
            results: list[CheckResult] = []
            begun: list[str] = []
            failed = self._checks_from(done, begun, results, deadline)
            yield from results
            if failed is None:
                return
            yield CheckResult(strategy=self.strategy.name, check=begun[-1] if begun else "the suite", said=f"it {failed}")
            if not begun or isinstance(failed, TooSlow):
                return  # there is no time for the others
            done += len(begun)

    def _checks_from(self, skip: int, begun: list[str], results: list[CheckResult], deadline: float) -> OwnStrategyFailed | None:
        """Run the checks from number `skip` on; why they broke off, if they did."""

        def note(message: Message) -> None:
            if isinstance(name := message.get("begin"), str):
                begun.append(name[:200])
            elif begun:
                results.append(CheckResult(strategy=self.strategy.name, check=begun[-1], said=str(message.get("said"))[:1_000]))

        with self._lock:
            try:
                self._process.do({"do": "check", "skip": skip}, note, deadline)
            except OwnStrategyFailed as error:
                return error
        return None

    def close(self) -> None:
        """End its process."""
        self._process.close()


def _check_known(view: DataView, targets: Targets) -> None:
    """Whatever is allocated is priced first, together with what other strategies want: a name without bars never gets that far."""
    wanted = [str(symbol) for symbol in targets.weights.index]
    if unknown := sorted(set(wanted).difference(view.bars("close", 1, wanted).columns if wanted else ())):
        raise BadAnswer(f"wants {', '.join(unknown[:5])}, of which no daily bar is known")


def _served(strategy: Strategy, view: DataView, asked: Message) -> Mapping[str, Any]:
    """Answer what a strategy asks its view; what the view does not have is refused there. Raises BadAnswer for what is no question."""
    try:
        return {"answer": _answer(strategy, view, asked)}
    except (LookupError, ValueError, TypeError) as error:
        return {"refused": str(error.args[0] if error.args else error), "kind": type(error).__name__}


def _answer(strategy: Strategy, view: DataView, asked: Message) -> Any:
    match asked:
        case {"ask": "bars", "field": str(field), "sessions": int(sessions), "symbols": None | list() as symbols}:
            return view.bars(_field(field), _window(strategy, sessions), symbols)
        case {"ask": "events", "dataset": str(dataset), "since": None | str() as since}:
            return view.events(_declared(strategy, dataset), None if since is None else _aware(since))
        case {"ask": "universe", "index": str(index)}:
            return view.universe(index)
        case {"ask": "artifact", "name": str(name)}:
            return view.artifact(name)
        case {"ask": "sectors" | "previous_targets" | "holdings" | "lots" as name}:
            return getattr(view, name)()
    raise BadAnswer(f"{strategy.name} asked what is no question to a view")


def _field(name: str) -> BarField:
    for field in get_args(BarField):
        if field == name:
            return field  # type: ignore[no-any-return]
    raise ValueError(f"there is no bar field {name!r}; there are {', '.join(get_args(BarField))}")


def _window(strategy: Strategy, sessions: int) -> int:
    if not 1 <= sessions <= strategy.lookback_sessions:
        raise ValueError(f"it asks for {sessions} sessions and declares lookback_sessions={strategy.lookback_sessions}")
    return sessions


def _declared(strategy: Strategy, dataset: str) -> str:
    if dataset not in (*strategy.needs, *strategy.uses):
        raise KeyError(f"it reads {dataset} and declares it neither in needs nor in uses")
    return dataset


def _aware(text: str) -> datetime:
    since = datetime.fromisoformat(text)
    if since.tzinfo is None:
        raise ValueError("since must have a time zone")
    return since


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a folder holds: usable strategies by name, and what is left out."""

    own: Mapping[str, OwnStrategy]
    refused: tuple[Refusal, ...]

    @property
    def strategies(self) -> dict[str, Strategy]:
        """The usable ones, as declared."""
        return {name: own.strategy for name, own in self.own.items()}

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file as it runs, by strategy."""
        return {name: own.sha256 for name, own in self.own.items()}

    def refusal(self, name: str) -> Refusal | None:
        """Why a strategy of that name is left out; None when nothing of that name was."""
        return next((refused for refused in self.refused if refused.name == name), None)

    def close(self) -> None:
        """End all processes; they are started again when they are needed."""
        for own in self.own.values():
            own.close()


@cache
def found(folder: str, timeout_s: float) -> Found:
    """The own strategies of a folder (empty: none), looked for once in the life of this process. What is left out is logged."""
    if not folder:
        return Found(own={}, refused=())
    result = find(Path(folder), timeout_s)
    for refused in result.refused:
        log.error("strategy.refused", strategy=refused.name, path=str(refused.path), reason=refused.reason)
    return result


def find(folder: Path, timeout_s: float, *, memory_bytes: int = MEMORY_BYTES) -> Found:
    """Look for own strategies; several are started at a time, each within `timeout_s`."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".py" and not path.name.startswith((".", "_")))
    except OSError as error:
        reason = f"the folder of own strategies cannot be read ({error.strerror})"
        return Found(own={}, refused=(Refusal(name="", path=folder, reason=reason),))
    budget = Budget(SESSION_FACTOR * timeout_s)

    def opened(path: Path) -> OwnStrategy | Refusal:
        return _opened(path, budget, timeout_s, memory_bytes)

    with ThreadPoolExecutor(max_workers=STARTERS) as starters:
        all_of_them = list(starters.map(opened, files))
    own = {o.strategy.name: o for o in all_of_them if isinstance(o, OwnStrategy)}
    return Found(own=own, refused=tuple(r for r in all_of_them if isinstance(r, Refusal)))


def _opened(path: Path, budget: Budget, timeout_s: float, memory_bytes: int) -> OwnStrategy | Refusal:
    def refused(reason: str) -> Refusal:
        return Refusal(name=path.stem, path=path, reason=reason)

    if not FILE_NAME.fullmatch(path.stem):
        return refused("a strategy's file is named in lower case letters, digits and underscores, and begins with a letter")
    if path.stem in CATALOG:
        return refused("there is a strategy of that name in the catalog; give the file another name")
    try:
        with path.open("rb") as file:
            source = file.read(MOST_SOURCE_BYTES + 1)
        if len(source) > MOST_SOURCE_BYTES:
            return refused(f"it is longer than {MOST_SOURCE_BYTES:,} bytes")
        return OwnStrategy(path, source, budget, timeout_s, datasets=DATASETS, memory_bytes=memory_bytes)
    except OSError as error:
        return refused(f"it cannot be read ({error.strerror})")
    except TooSlow:
        return refused(f"importing it took longer than {timeout_s:g} s")
    except OwnStrategyFailed as error:
        return refused(f"{error}")
