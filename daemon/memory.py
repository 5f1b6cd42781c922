"""What a cycle remembers of the ones before: shadow books, last targets and ramps, all of it recorded; and who takes part in the next."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from daemon.decision import extend
from daemon.evaluation import Evaluation
from daemon.history import unread
from daemon.logging import get_logger
from daemon.readings import HISTORY_SESSIONS
from daemon.runtime import Runtime
from daemon.shadow import ShadowBook, ShadowMark
from daemon.sleeve_inputs import retired
from daemon.store.postgres import Database

log = get_logger("cycle")


@dataclass(slots=True)
class SleeveMemory:
    """What the next cycle must know of one strategy; recorded with every cycle and loaded at start."""

    book: ShadowBook
    targets: dict[str, float] = field(default_factory=dict)
    last_due: date | None = None
    cycles: int = 0


@dataclass(slots=True)
class Memory:
    """What the next cycle must know of the ones before. rung: of the last allocation. unfinished: as in CycleInput."""

    sleeves: dict[str, SleeveMemory]
    history: pd.DataFrame
    capital: dict[str, float]
    rung: str = ""
    unfinished: bool = False


def load_memory(db: Database, names: Sequence[str], session: date) -> Memory:
    """Everything recorded before `session`."""
    books = {r["sleeve"]: ShadowBook.from_json(r["sleeve"], r["state"]["book"]) for r in db.rows("shadow_states_all")}
    states = {r["sleeve"]: r["state"] for r in db.rows("shadow_states_all")}
    memory = {name: SleeveMemory(book=books.get(name, ShadowBook(sleeve=name))) for name in names}
    for row in db.rows("evaluations_last", before=session):
        if row["sleeve"] in memory:
            memory[row["sleeve"]].last_due = row["due_session"]
    for row in db.rows("targets_before", before=session):
        if row["sleeve"] in memory:
            memory[row["sleeve"]].targets[row["symbol"]] = row["weight"]
    for name, state in states.items():
        if name in memory:
            memory[name].cycles = state["cycles"]
            warmed = state.get("last_due")
            if warmed and (memory[name].last_due is None or date.fromisoformat(warmed) > memory[name].last_due):  # type: ignore[operator]
                memory[name].last_due = date.fromisoformat(warmed)
    known, last = db.row("meta_get", key="capital"), db.row("meta_get", key="allocation")
    return Memory(
        sleeves=memory,
        history=load_history(db, session),
        capital=dict(known["value"]) if known else {},
        **(last["value"] if last else {}),
    )


def load_history(db: Database, before: date) -> pd.DataFrame:
    """Recorded shadow returns (n_obs, n_sleeves) of sessions before a date, the last HISTORY_SESSIONS rows."""
    rows = [r for r in db.rows("shadow_marks_since", since=before - timedelta(days=2 * HISTORY_SESSIONS)) if r["session"] < before]
    marks = [ShadowMark(sleeve=r["sleeve"], session=r["session"], return_frac=r["return_frac"], turnover_frac=0.0) for r in rows]
    return extend(empty_history(), marks)


def empty_history() -> pd.DataFrame:
    """No shadow returns yet."""
    return pd.DataFrame(index=pd.DatetimeIndex([]), dtype="float64")


def recall(rt: Runtime, memory: Memory | None, session: date) -> Memory:
    """What was remembered, or is recorded, of the strategies that take part in the session.

    A retired strategy is forgotten: should it come back, it ramps in like a new one. A new one takes part when the past of all the data
    that it needs has been collected, for its shadow book is warmed up on that.
    """
    memory = memory or load_memory(rt.db, list(rt.strategies), session)
    out = retired(rt)
    new = [n for n in rt.strategies if n not in out and (n not in memory.sleeves or memory.sleeves[n].book.session is None)]
    waiting = _waiting(rt, new)
    names = sorted(name for name in rt.strategies if name not in out and name not in waiting)
    if sorted(memory.sleeves) == names:
        return memory
    if waiting:
        log.info("strategy.waiting", strategies=sorted(waiting), datasets=sorted({d for found in waiting.values() for d in found}))
    for name in memory.sleeves.keys() & out:
        memory.sleeves[name].cycles = 0
    save_states(rt, memory)
    return load_memory(rt.db, names, session)


def _waiting(rt: Runtime, names: Sequence[str]) -> dict[str, set[str]]:
    """Of these strategies those that need a dataset whose past is still to be collected, with the datasets.

    What a strategy merely uses is waited for while it is being read or about to be.
    """
    if not names or not rt.sources:
        return {}
    missing = {name for part in unread(rt) for name in part}
    coming = {name for name in missing if name in rt.queued or (name in rt.collecting and rt.collecting[name].locked())}
    return {n: found for n in names if (found := (missing & {*rt.strategies[n].needs}) | (coming & {*rt.strategies[n].uses}))}


def remember_targets(sleeves: Mapping[str, SleeveMemory], evaluations: Sequence[Evaluation]) -> None:
    """Take over what the evaluated strategies want now."""
    for e in evaluations:
        if e.targets is not None:
            sleeves[e.sleeve].targets = {str(s): float(w) for s, w in e.targets.weights.items()}
            sleeves[e.sleeve].last_due = e.due_session


def save_states(rt: Runtime, memory: Memory) -> None:
    """Record books, ramps and due sessions."""
    states = {
        name: {"book": m.book.as_json(), "cycles": m.cycles, "last_due": m.last_due.isoformat() if m.last_due else None}
        for name, m in sorted(memory.sleeves.items())
    }
    rt.db.run("shadow_states_set", states=states)


def history_hash(history: pd.DataFrame) -> str:
    """SHA-256 of shadow returns, their sessions and sleeves."""
    digest = hashlib.sha256(repr(list(history.columns)).encode())
    digest.update(history.index.to_numpy().astype("datetime64[D]").astype(np.int64).tobytes())
    digest.update(np.ascontiguousarray(history.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
