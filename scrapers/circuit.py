"""One circuit per source: after repeated failures it is left alone, for longer each time, until a trial succeeds."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from scrapers.errors import CircuitOpen

FAILED_REQUESTS = 5
"""Requests in a row, each after its own retries, that open a circuit."""
FAILED_RUNS = 3
"""Fetches in a row that the ingest reported as failed that open a circuit."""
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
TRIAL_LIMIT = timedelta(minutes=15)
"""How long one run may keep a half-open circuit to itself without saying how it ended."""

Position = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitState:
    """A source's circuit as plain data, all instants UTC.

    failures, failed_runs: in a row, since the last success. opened_at, open_until: None while it is closed; once `open_until` is past,
    the next run is a trial. reason: the last failure, in one line.
    """

    source: str
    failures: int = 0
    failed_runs: int = 0
    opened_at: datetime | None = None
    open_until: datetime | None = None
    reason: str = ""

    def position(self, at: datetime) -> Position:
        """Closed, open, or half-open, when one run may try."""
        if self.open_until is None:
            return "closed"
        return "open" if at < self.open_until else "half_open"


class Circuits:
    """The circuits of all sources.

    now: the clock. load: the states as they were saved last, read once. save: called with every changed state, and may be slow.
    on_change: called when a circuit opens or closes. A trial belongs to the thread that began it, until it fails, succeeds or has been
    silent for TRIAL_LIMIT; other threads find the circuit open meanwhile.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        load: Callable[[], Mapping[str, CircuitState]] = dict,
        save: Callable[[CircuitState], None] = lambda state: None,
        on_change: Callable[[CircuitState], None] = lambda state: None,
    ) -> None:
        self._now, self._save, self._on_change = now, save, on_change
        self._states = dict(load())
        self._trials: dict[str, tuple[int, datetime]] = {}
        self._lock = threading.RLock()

    def state(self, source: str) -> CircuitState:
        """The circuit of a source; closed for one that never failed."""
        with self._lock:
            return self._states.get(source, CircuitState(source=source))

    def admit(self, source: str) -> None:
        """Let a request through, or raise CircuitOpen."""
        with self._lock:
            at, state = self._now(), self.state(source)
            position = state.position(at)
            if position == "closed" or (position == "half_open" and self._may_try(source, at)):
                return
        until = (
            "the trial of another run" if state.open_until is None or position == "half_open" else f"{state.open_until:%Y-%m-%d %H:%M} UTC"
        )
        raise CircuitOpen(f"{source} is left alone until {until}: {state.reason}")

    def request_succeeded(self, source: str) -> None:
        """A request was answered usefully: closes a circuit that requests opened; one that runs opened waits for `success`."""
        with self._lock:
            state = self.state(source)
            if state.failures and state.position(self._now()) != "open":
                self._put(replace(state, failures=0) if state.failed_runs >= FAILED_RUNS else _closed(state, failed_runs=state.failed_runs))

    def request_failed(self, source: str, reason: str) -> None:
        """A request failed for good: the fifth in a row opens the circuit, and any during a trial opens it again for twice as long."""
        with self._lock:
            state = self.state(source)
            self._count(replace(state, failures=state.failures + 1, reason=reason), state.failures + 1 >= FAILED_REQUESTS)

    def failure(self, source: str, reason: str) -> None:
        """A run of the source failed, whatever its requests did: the third in a row opens the circuit."""
        with self._lock:
            state = self.state(source)
            self._count(replace(state, failed_runs=state.failed_runs + 1, reason=reason), state.failed_runs + 1 >= FAILED_RUNS)

    def success(self, source: str) -> None:
        """A run of the source succeeded: closes the circuit and forgets its failures."""
        with self._lock:
            state = self.state(source)
            if state != CircuitState(source=source):
                self._put(_closed(state))

    def _may_try(self, source: str, at: datetime) -> bool:
        thread, begun = self._trials.get(source, (0, at))
        if thread and thread != threading.get_ident() and at - begun < TRIAL_LIMIT:
            return False
        if thread != threading.get_ident() or at - begun >= TRIAL_LIMIT:
            self._trials[source] = (threading.get_ident(), at)
        return True

    def _count(self, state: CircuitState, opens: bool) -> None:
        """Keep a state with one failure more. While a circuit is open nothing counts: what failed had been begun before, or was refused."""
        at = self._now()
        position = state.position(at)
        if position == "open":
            return
        if position == "half_open" or opens:
            pause = FIRST_PAUSE
            if state.opened_at is not None and state.open_until is not None:
                pause = min(2 * (state.open_until - state.opened_at), LONGEST_PAUSE)
            state = replace(state, opened_at=at, open_until=at + pause)
        self._put(state)

    def _put(self, state: CircuitState) -> None:
        before, self._states[state.source] = self.state(state.source), state
        self._save(state)
        if before.open_until != state.open_until:
            self._trials.pop(state.source, None)
            self._on_change(state)


def _closed(state: CircuitState, *, failed_runs: int = 0) -> CircuitState:
    return CircuitState(source=state.source, failed_runs=failed_runs)
