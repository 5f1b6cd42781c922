"""Re-derive recorded decisions from their stored inputs and say what does not come out as it was recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

import pandas as pd

from daemon import artefacts
from daemon.calendar import Calendar
from daemon.cycle_input import CycleInput
from daemon.decision import Decision, decide, extend
from daemon.jobs import attempt
from daemon.memory import empty_history, history_hash
from daemon.readings import HISTORY_SESSIONS
from daemon.shadow import ShadowMark
from daemon.store.events import micros
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.verify_data import LakeUntil, last_ids
from daemon.verify_record import compare, derived_record, stored_record
from scrapers.base import Dataset
from strategies.base import Strategy

NO_HASHES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one decision when it was derived again.

    ok: every recorded figure came out again. differences: a sentence for each that did not, the data's own first.
    notes: what is worth knowing and changes nothing: other code, data imported since and left out.
    """

    cycle_id: str
    session: date
    ok: bool
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def verify(
    db: Database,
    lake: Lake,
    datasets: Mapping[str, Dataset],
    strategies: Mapping[str, Strategy],
    calendar: Calendar,
    *,
    last: int | None = None,
    code_version: str = "",
    hashes: Mapping[str, str] = NO_HASHES,
) -> list[Verdict]:
    """Derive the last `last` decisions again (all when None), in order of session; nothing is written.

    Each gets what it was given: its stored input, the shadow returns recorded before it, and the data versions that were
    stored and known then; what was imported later under an earlier date is left out and noted. strategies: the whole
    catalog, as stored decisions may be of strategies that are switched off now. code_version: this program's, to be noted
    where another one decided. hashes: of the files of the operator's own strategies as they are now.
    """
    ids = [row["cycle_id"] for row in db.rows("verify_cycle_ids", n=last)]
    world = _World(db, lake, datasets, calendar)
    return [_verify_one(world, strategies, cycle_id, code_version, hashes) for cycle_id in reversed(ids)]


class _World:
    """The data as it stood at one decision after another. Segments are read again only where data was added behind one."""

    def __init__(self, db: Database, lake: Lake, datasets: Mapping[str, Dataset], calendar: Calendar) -> None:
        self.db, self.calendar = db, calendar
        self._lake, self._datasets = lake, datasets
        self._left_out: tuple[str, ...] = ()
        self._parts: list[Row] | None = None
        self._trained = artefacts.load(db)
        self._archive = Archive(lake, datasets.values(), calendar, artefacts=self._trained)

    def at(self, given: CycleInput) -> tuple[Archive, list[str], list[str]]:
        """An archive at the decision's instant, what is missing from it, and what was left out of it."""
        missing, added = self._changes(given)
        if self._left_out and (missing or added):
            missing, added = self._reread(given, {})
        if added:
            until = last_ids(self._lake, self._datasets, given.versions_known, micros(given.at))
            missing, _ = self._reread(given, until)
        lost = [f"data: {n} versions of {name} that were known then are gone" for name, n in missing.items()]
        lost += _artefacts_differ(given.artefacts, self._trained.hashes(given.at))
        notes = [f"{name}: versions were added since under earlier dates; derived without them" for name in self._left_out]
        return self._archive, lost, notes

    def reached_before(self, sleeve: str, session: date) -> date:
        """The session that the book of a sleeve had been rolled to by the decisions before `session`."""
        if self._parts is None:
            self._parts = self.db.rows("verify_parts")
        instants = [row["at"] for row in self._parts if row["sleeve"] == sleeve and row["session"] < session]
        return self.calendar.last_closed(max(instants)) if instants else date.min

    def _reread(self, given: CycleInput, until: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        self._left_out = tuple(sorted(until))
        lake = LakeUntil(self._lake.directory, until)
        self._archive = Archive(lake, self._datasets.values(), self.calendar, artefacts=self._trained)
        return self._changes(given)

    def _changes(self, given: CycleInput) -> tuple[dict[str, int], dict[str, int]]:
        """Versions lost and gained by dataset, against what the decision knew."""
        self._archive.view(given.at)
        now = self._archive.versions_known(micros(given.at))
        names = sorted({*now, *given.versions_known})
        more = {name: now.get(name, 0) - given.versions_known.get(name, 0) for name in names}
        return {n: -d for n, d in more.items() if d < 0}, {n: d for n, d in more.items() if d > 0}


def _artefacts_differ(given: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What was trained is never changed: another newest artefact of an instant has been tampered with, or is gone."""
    names = sorted(name for name in {*given, *now} if given.get(name) != now.get(name))
    return [f"artefact {n}: recorded {given.get(n, 'none')[:16]}, known at that instant {now.get(n, 'none')[:16]}" for n in names]


def _verify_one(world: _World, strategies: Mapping[str, Strategy], cycle_id: str, code_version: str, hashes: Mapping[str, str]) -> Verdict:
    row = world.db.row("cycle_get", cycle_id=cycle_id)
    assert row is not None, f"cycle {cycle_id} was listed a moment ago"
    given = CycleInput.from_json(row["input"])
    notes = [] if code_version in ("", given.code_version) else [f"decided by {given.code_version}, derived by {code_version}"]
    changed = [s.name for s in given.sleeves if s.source_hash and s.source_hash != hashes.get(s.name, s.source_hash)]
    notes += [f"{name}: its file is another one than that which decided" for name in changed]
    unknown = sorted({s.name for s in given.sleeves} - set(strategies))
    if unknown:
        difference = f"strategies: {', '.join(unknown)} not in the catalog any more, so that nothing can be derived"
        return Verdict(cycle_id=cycle_id, session=row["session"], ok=False, differences=(difference,), notes=tuple(notes))
    archive, differences, left_out = world.at(given)
    history = _history(world, given)
    if history_hash(history) != given.history_hash:
        differences.append("history: the recorded shadow returns are not those that the decision saw")
    decision = _derive(given, archive, history, strategies, world.calendar)
    differences += compare(stored_record(world.db, row, given), derived_record(decision, given))
    return Verdict(
        cycle_id=cycle_id, session=row["session"], ok=not differences, differences=tuple(differences), notes=tuple(notes + left_out)
    )


def _history(world: _World, given: CycleInput) -> pd.DataFrame:
    """The shadow returns recorded before this decision: each book's to where it stood, those of retired ones to their end."""
    reached = {s.name: s.book.session for s in given.sleeves if s.book.session is not None}
    if not reached:
        return empty_history()
    since = max(reached.values()) - timedelta(days=2 * HISTORY_SESSIONS)
    rows = world.db.rows("shadow_marks_since", since=since)
    for name in {r["sleeve"] for r in rows} - {s.name for s in given.sleeves}:
        reached[name] = world.reached_before(name, given.session)
    marks = [
        ShadowMark(sleeve=r["sleeve"], session=r["session"], return_frac=r["return_frac"], turnover_frac=0.0)
        for r in rows
        if r["session"] <= reached.get(r["sleeve"], date.min)
    ]
    return extend(empty_history(), marks)


def _derive(given: CycleInput, archive: Archive, history: pd.DataFrame, strategies: Mapping[str, Strategy], calendar: Calendar) -> Decision:
    return decide(given, archive.view(given.at), history, strategies, calendar, attempt)
