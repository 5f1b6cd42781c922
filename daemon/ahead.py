"""A replay's second processor: strategies evaluated ahead of the decisions that will ask for them, in a process of its own.

A strategy is a pure function of the view, so that whoever evaluates it gets the same targets. What needs more than the data (models that
the replay trains on its way, the sleeve's own record) is left to the replay itself, as is whatever fails.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from multiprocessing.connection import Connection
from typing import Any, Never

from daemon.calendar import Calendar
from daemon.jobs import attempt
from daemon.store.view import Archive, View
from strategies import CATALOG
from strategies.base import DataView, Strategy, Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A session on whose eve strategies are evaluated. warm_up: before the replay begins, where it has little else to do itself."""

    session: date
    warm_up: bool


def days(calendar: Calendar, start: date, end: date, warm_up_sessions: int) -> list[Day]:
    """The sessions of a replay, with those of the warm-up before them."""
    first = calendar.session_on_or_after(start)
    begin = calendar.offset(first, -max(1, warm_up_sessions))
    return [Day(session=d, warm_up=d < first) for d in calendar.sessions(begin, end)]


@contextmanager
def ahead(
    archive: Archive, calendar: Calendar, strategies: Mapping[str, Strategy], params: Mapping[str, Mapping[str, Any]], sessions: list[Day]
) -> Iterator[Mapping[str, Strategy]]:
    """The strategies, those of the catalog taking their targets from a second process where it has them. On one processor: as given.

    The archive is this process's again, unchanged, as the other one works on a copy of it.
    """
    chosen = {n: s for n, s in strategies.items() if s is CATALOG.get(n) and not s.reads_lots}
    if (os.cpu_count() or 1) < 2 or not chosen or "fork" not in multiprocessing.get_all_start_methods():
        yield strategies
        return
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_evaluate_all, args=(sending, archive, calendar, chosen, params, sessions), daemon=True)
    process.start()
    sending.close()
    answers = _Answers(receiving)
    try:
        yield {n: replace(s, run=_Asked(s, params[n], answers)) if n in chosen else s for n, s in strategies.items()}
    finally:
        receiving.close()
        process.terminate()
        process.join()


class _Answers:
    """What the other process sent, by instant and strategy, read as far as it is asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[datetime, str], Targets] = {}
        self._complete: datetime | None = None
        self._ended = False

    def take(self, name: str, asof: datetime) -> Targets | None:
        """The targets of a strategy at an instant; None where there are none."""
        while not self._ended and (self._complete is None or self._complete < asof) and (asof, name) not in self._found:
            self._receive()
        return self._found.pop((asof, name), None)

    def _receive(self) -> None:
        try:
            at, name, targets = self._connection.recv()
        except (EOFError, OSError):
            self._ended = True
            return
        if name:
            self._found[at, name] = targets
        else:
            self._complete = at
            self._found = {key: found for key, found in self._found.items() if key[0] >= at}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A strategy's function that first asks the other process."""

    strategy: Strategy
    params: Mapping[str, Any]
    answers: _Answers

    def __call__(self, view: DataView, **params: Any) -> Targets:
        found = self.answers.take(self.strategy.name, view.asof) if params == self.params else None
        return self.strategy.run(view, **params) if found is None else found


class _NotOnlyData(BaseException):
    """A strategy asked for what only the replay itself has. Not an Exception, so that nobody contains it as a failure."""


class _OnlyData:
    """A view of the data, without models and without a sleeve's own record."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def _refuse(self, *_: object) -> Never:
        raise _NotOnlyData

    artifact = newest_artefact = previous_targets = holdings = lots = _refuse


def _evaluate_all(
    sending: Connection,
    archive: Archive,
    calendar: Calendar,
    strategies: Mapping[str, Strategy],
    params: Mapping[str, Mapping[str, Any]],
    sessions: list[Day],
) -> None:
    """Evaluate whatever is due, session by session, and send it; silently, for what fails here is told where it is asked for."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    left, last_due = dict(sorted(strategies.items())), dict[str, date]()
    for day in sessions:
        at = calendar.decision_at(day.session)
        view = archive.view(at)
        for name, strategy in list(left.items()):
            due = calendar.latest_due(strategy.rebalance, day.session)
            if due is None or due <= last_due.get(name, date.min):
                continue
            last_due[name] = due
            if day.warm_up and strategy.rebalance.kind == "daily":
                continue  # the replay's own share of the warm-up
            found = _evaluated(strategy, view, params[name])
            if found is None:
                del left[name]
            elif isinstance(found, Targets):
                sending.send((at, name, found))
        sending.send((at, "", None))


def _evaluated(strategy: Strategy, view: View, params: Mapping[str, Any]) -> Targets | str | None:
    """Targets, the words of a failure, or None for a strategy that needs more than data."""
    try:
        return attempt(strategy.name, lambda: strategy.run(_OnlyData(view), **params))
    except _NotOnlyData:
        return None
