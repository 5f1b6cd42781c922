"""A source that keeps failing is left alone, for longer each time, and tried by one run at a time."""

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scrapers.circuit import FAILED_REQUESTS, FAILED_RUNS, FIRST_PAUSE, LONGEST_PAUSE, TRIAL_LIMIT, Circuits, CircuitState
from scrapers.errors import CircuitOpen, SourceChanged, SourceRefused, SourceUnavailable
from scrapers.http import HttpOptions
from tests.unit.scrapers.scripted import BASE, RATE, Server, Slept, client

START = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)


class Desk:
    """Circuits with a clock to set, what they saved, and what they told."""

    def __init__(self) -> None:
        self.at, self.saved, self.told = START, dict[str, CircuitState](), list[CircuitState]()
        self.circuits = self.made()

    def made(self) -> Circuits:
        return Circuits(now=lambda: self.at, load=lambda: self.saved, save=self.save, on_change=self.told.append)

    def save(self, state: CircuitState) -> None:
        self.saved[state.source] = state

    def open_by_requests(self) -> None:
        for _ in range(FAILED_REQUESTS):
            self.circuits.request_failed("s", "answered 503")

    def is_let_through(self, source: str = "s") -> bool:
        try:
            self.circuits.admit(source)
        except CircuitOpen:
            return False
        return True


@pytest.fixture
def desk() -> Desk:
    return Desk()


def elsewhere(ask: Callable[[], bool]) -> bool:
    """The answer in another thread."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


def test_the_fifth_failed_request_in_a_row_opens_for_five_minutes(desk: Desk):
    for _ in range(4):
        desk.circuits.request_failed("s", "answered 503")
        assert desk.is_let_through()
    desk.circuits.request_failed("s", "answered 503")
    assert desk.told == [CircuitState(source="s", failures=5, opened_at=START, open_until=START + FIRST_PAUSE, reason="answered 503")]
    with pytest.raises(CircuitOpen, match=r"s is left alone until 2026-01-05 14:05 UTC: answered 503"):
        desk.circuits.admit("s")
    assert desk.is_let_through("another")


def test_a_success_between_begins_the_count_anew(desk: Desk):
    for _ in range(3):
        for _ in range(4):
            desk.circuits.request_failed("s", "answered 503")
        desk.circuits.request_succeeded("s")
    assert (desk.is_let_through(), desk.told) == (True, [])


def test_the_third_failed_run_in_a_row_opens_although_its_requests_succeed(desk: Desk):
    for run in range(3):
        assert desk.is_let_through()
        desk.circuits.request_succeeded("s")
        desk.circuits.failure("s", f"page {run} has another shape")
    assert not desk.is_let_through()
    assert desk.told[0].reason == "page 2 has another shape"


def test_pauses_double_up_to_six_hours_while_trials_fail(desk: Desk):
    desk.open_by_requests()
    pauses = []
    for _ in range(10):
        state = desk.circuits.state("s")
        assert state.opened_at is not None and state.open_until is not None
        pauses.append((state.open_until - state.opened_at) / timedelta(minutes=1))
        desk.at = state.open_until
        assert desk.is_let_through()
        desk.circuits.request_failed("s", "answered 503")
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 360, 360, 360]


def test_a_request_that_succeeds_in_a_trial_closes_what_requests_opened(desk: Desk):
    desk.open_by_requests()
    desk.at += FIRST_PAUSE
    desk.circuits.admit("s")
    desk.circuits.request_succeeded("s")
    assert desk.circuits.state("s") == CircuitState(source="s") == desk.told[-1]
    assert elsewhere(desk.is_let_through)


def test_what_runs_opened_only_a_run_closes(desk: Desk):
    for _ in range(FAILED_RUNS):
        desk.circuits.failure("s", "another shape")
    desk.at += FIRST_PAUSE
    desk.circuits.admit("s")
    desk.circuits.request_succeeded("s")
    assert desk.circuits.state("s").position(desk.at) == "half_open"
    desk.circuits.failure("s", "another shape still")
    assert desk.circuits.state("s").open_until == desk.at + 2 * FIRST_PAUSE
    desk.at += 2 * FIRST_PAUSE
    desk.circuits.admit("s")
    desk.circuits.success("s")
    assert desk.circuits.state("s") == CircuitState(source="s")


def test_one_run_tries_and_the_others_wait_for_its_end_or_its_silence(desk: Desk):
    desk.open_by_requests()
    desk.at += FIRST_PAUSE
    assert desk.is_let_through() and desk.is_let_through()
    assert not elsewhere(desk.is_let_through)
    desk.at += TRIAL_LIMIT
    assert elsewhere(desk.is_let_through)


def test_what_fails_while_it_is_open_counts_nothing(desk: Desk):
    desk.open_by_requests()
    before = desk.circuits.state("s")
    desk.circuits.request_failed("s", "a straggler")
    desk.circuits.failure("s", "left alone")
    desk.circuits.request_succeeded("s")
    assert desk.circuits.state("s") == before


def test_a_restart_keeps_an_open_circuit_and_its_pause(desk: Desk):
    desk.open_by_requests()
    desk.circuits = desk.made()
    assert not desk.is_let_through()
    desk.at += FIRST_PAUSE
    desk.circuits.request_failed("s", "again")
    assert desk.saved["s"].open_until == desk.at + 2 * FIRST_PAUSE


def test_a_state_is_plain_data(desk: Desk):
    desk.open_by_requests()
    state = desk.saved["s"]
    assert CircuitState(**dataclasses.asdict(state)) == state


def test_a_success_without_a_failure_before_it_saves_nothing(desk: Desk):
    desk.circuits.success("s")
    desk.circuits.request_succeeded("s")
    assert (desk.saved, desk.told) == ({}, [])


# With the client.


def test_an_open_circuit_asks_nobody(server: Server, slept: Slept):
    server.script = [(503, {}, b"")] * 5
    with client(server, slept, HttpOptions(attempts=1), circuits=Circuits(now=slept.now)) as http:
        for _ in range(5):
            with pytest.raises(SourceUnavailable, match="503"):
                http.get(f"{BASE}/x", source="s", rate=RATE)
        with pytest.raises(CircuitOpen):
            http.get(f"{BASE}/x", source="s", rate=RATE)
        assert len(server.asked) == 5
        http.get(f"{BASE}/x", source="another", rate=RATE)
        slept.at += FIRST_PAUSE
        http.get(f"{BASE}/x", source="s", rate=RATE)
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert len(server.asked) == 8


@pytest.mark.parametrize(
    ("status", "error", "opens"), [(403, SourceRefused, True), (500, SourceUnavailable, True), (400, SourceChanged, False)]
)
def test_refusals_count_and_single_records_that_are_not_found_do_not(
    server: Server, slept: Slept, status: int, error: type[Exception], opens: bool
):
    circuits = Circuits(now=slept.now)
    server.script = [(status, {}, b"")] * 5
    with client(server, slept, HttpOptions(attempts=1), circuits=circuits) as http:
        for _ in range(5):
            with pytest.raises(error):
                http.get(f"{BASE}/x", source="s", rate=RATE)
    assert (circuits.state("s").open_until is not None) == opens


def test_a_request_counts_once_however_often_it_was_tried(server: Server, slept: Slept):
    circuits = Circuits(now=slept.now)
    server.script = [(503, {}, b"")] * 4
    with client(server, slept, circuits=circuits) as http, pytest.raises(SourceUnavailable):
        http.get(f"{BASE}/x", source="s", rate=RATE)
    assert (len(server.asked), circuits.state("s").failures) == (4, 1)


class Machine(RuleBasedStateMachine):
    """Whatever happens, in whatever order, one source's circuit keeps its promises."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.failed_requests = self.failed_runs = 0

    def open(self) -> bool:
        return self.desk.circuits.state("s").position(self.desk.at) == "open"

    @rule(minutes=st.integers(0, 500))
    def time_passes(self, minutes: int) -> None:
        self.desk.at += timedelta(minutes=minutes)

    @rule()
    def a_request_fails(self) -> None:
        counts, trial = not self.open(), self.desk.circuits.state("s").open_until is not None
        self.desk.circuits.request_failed("s", "request")
        self.failed_requests += counts
        assert self.open() == (not counts or trial or self.failed_requests >= FAILED_REQUESTS)

    @rule()
    def a_run_fails(self) -> None:
        counts, trial = not self.open(), self.desk.circuits.state("s").open_until is not None
        self.desk.circuits.failure("s", "run")
        self.failed_runs += counts
        assert self.open() == (not counts or trial or self.failed_runs >= FAILED_RUNS)

    @precondition(lambda self: not self.open())
    @rule()
    def a_request_succeeds(self) -> None:
        self.desk.circuits.request_succeeded("s")
        self.failed_requests = 0

    @rule()
    def a_run_succeeds(self) -> None:
        self.desk.circuits.success("s")
        self.failed_requests = self.failed_runs = 0
        assert self.desk.is_let_through()

    @rule()
    def the_process_restarts(self) -> None:
        self.desk.circuits = self.desk.made()

    @invariant()
    def it_is_let_through_exactly_while_it_is_not_open(self) -> None:
        assert self.desk.is_let_through() == (not self.open())

    @invariant()
    def pauses_are_bounded_and_what_is_saved_is_what_holds(self) -> None:
        state = self.desk.circuits.state("s")
        assert self.desk.saved.get("s", CircuitState(source="s")) == state
        assert (state.opened_at is None) == (state.open_until is None)
        if state.opened_at is not None and state.open_until is not None:
            assert FIRST_PAUSE <= state.open_until - state.opened_at <= LONGEST_PAUSE

    @invariant()
    def every_opening_and_closing_was_told(self) -> None:
        last = self.desk.told[-1] if self.desk.told else CircuitState(source="s")
        assert last.open_until == self.desk.circuits.state("s").open_until


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
