"""Views against a naive model: any interleaving of arrivals, corrections, withdrawals, seals, compactions and reopenings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.calendar import Calendar
from daemon.store import column, compacted, events, segments
from daemon.store.events import micros
from daemon.store.segments import Lake
from daemon.store.view import Archive
from scrapers.base import Dataset

T0 = datetime(2024, 1, 1, tzinfo=UTC)
CALENDAR = Calendar()
STEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One value of every kind."""

    topic: str
    text: str | None
    number: int | None
    value: float | None
    flag: bool | None
    day: date | None
    moment: datetime | None


NOTES = Dataset(name="notes", row=Note, key=("topic",), schedule="", description="")


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was stored: its key, the second at which it is known, whether it withdraws, and what varies its values."""

    key: str
    second: int
    gone: bool
    salt: int


def key_text(key: str, uuids: bool) -> str:
    return f"0000000{key}-0000-4000-8000-00000000000{key}" if uuids else key


def values(version: Version) -> dict[str, object]:
    """The row's own columns; every third value is missing."""
    n = version.salt
    full: dict[str, object] = {
        "text": f"text {n % 2}", "number": n, "value": n / 7, "flag": n % 2 == 0, "day": date(2020, 1, 1) + timedelta(days=n),
        "moment": T0 - timedelta(hours=n),
    }  # fmt: skip
    return {"topic": version.key, **{name: None if (n + i) % 3 == 0 else v for i, (name, v) in enumerate(full.items())}}


def write(lake: Lake, stored: Sequence[Version], after: int, uuids: bool) -> None:
    """Seal the versions behind the first `after`; an id is the place in `stored`, from 1."""
    records = [
        {
            "id": i + 1, "row_key": key_text(v.key, uuids), "event_at": T0, "known_at": T0 + timedelta(seconds=v.second), "gone": v.gone,
            **values(v),
        }
        for i, v in enumerate(stored)
    ][after:]  # fmt: skip
    moment = pa.timestamp("us", tz="UTC")
    shape = pa.schema(
        [
            ("id", pa.int64()), ("row_key", pa.string()), ("event_at", moment), ("known_at", moment), ("gone", pa.bool_()),
            ("topic", pa.string()), ("text", pa.string()), ("number", pa.int64()), ("value", pa.float64()), ("flag", pa.bool_()),
            ("day", pa.date32()), ("moment", moment),
        ]
    )  # fmt: skip
    folder = lake.directory / "notes"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records, schema=shape), folder / f"{after + 1:012d}-{len(stored):012d}.parquet")


def model(stored: Sequence[Version], at: int, since: int | None, until: int | None, uuids: bool) -> list[tuple[object, ...]]:
    """What a view shows, worked out row by row: (known second, row key, salt), sorted."""
    newest: dict[str, Version] = {}
    for version in sorted((v for v in stored if v.second <= at and (until is None or v.second <= until)), key=lambda v: v.second):
        newest[version.key] = version
    return sorted(
        (v.second, key_text(v.key, uuids), v.salt) for v in newest.values() if not v.gone and (since is None or v.second >= since)
    )


def shown(frame: pd.DataFrame, stored: Sequence[Version]) -> list[tuple[object, ...]]:
    """The same of a frame, after a look at each of its values."""
    found = []
    for row in frame.to_dict("records"):
        second = int((row["known_at"] - T0).total_seconds())
        (version,) = {v for v in stored if values(v)["topic"] == row["topic"] and v.second == second and matches(v, row)}
        found.append((second, row["row_key"], version.salt))
    return found


def matches(version: Version, row: dict[str, object]) -> bool:
    return all((pd.isna(row[name]) if v is None else row[name] == v) for name, v in values(version).items())


VERSIONS = st.builds(
    Version, key=st.sampled_from("abcdef"), second=st.integers(0, STEPS), gone=st.integers(0, 5).map(lambda n: n == 0), salt=st.just(0)
)
ACTIONS = st.lists(
    st.one_of(st.lists(VERSIONS, min_size=1, max_size=6), st.sampled_from(["compact", "reopen", "look"])), min_size=1, max_size=12
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of a handful of rows, and segments that are merged when there are three."""
    monkeypatch.setattr(segments, "TAIL_ROWS", 2)
    monkeypatch.setattr(segments, "SMALL_SEGMENTS", 3)
    monkeypatch.setattr(events, "MANY_RUNS", 0)
    monkeypatch.setattr(column, "LONG_ROWS", 1)
    monkeypatch.setattr(compacted, "ROOM_FROM", 1)
    monkeypatch.setattr(compacted, "ROOM_ROWS", 6)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=ACTIONS,
    until=st.one_of(st.none(), st.integers(0, STEPS)),
    uuids=st.booleans(),
    few=st.booleans(),
    room=st.sampled_from([0, 3, 50]),
    data=st.data(),
)
def test_a_view_equals_the_model_after_any_history_and_never_holds_what_is_known_later(
    tmp_path_factory: pytest.TempPathFactory, actions: list[list[Version] | str], until: int | None, uuids: bool, few: bool,
    room: int, data: st.DataObject,
) -> None:  # fmt: skip
    events.MANY_RUNS = 2_000 if few else 0  # else rows are gathered one by one
    compacted.ROOM_ROWS = room  # into which a view may write what is newer than the base
    lake = Lake(tmp_path_factory.mktemp("lake"))
    known_until = None if until is None else T0 + timedelta(seconds=until)
    stored: list[Version] = []
    archive = Archive(lake, [NOTES], CALENDAR, known_until=known_until)
    for action in [*actions, "look", "compact", "reopen", "look"]:
        if isinstance(action, list):
            before = len(stored)
            stored += [Version(v.key, v.second, v.gone, before + i) for i, v in enumerate(action)]
            write(lake, stored, before, uuids)
        elif action == "compact":
            lake.compact(NOTES)
        elif action == "reopen":
            archive = Archive(lake, [NOTES], CALENDAR, known_until=known_until)
        else:
            archive.refresh()
            for at in data.draw(st.lists(st.integers(-1, STEPS + 1), min_size=1, max_size=4), label="instants"):
                since = data.draw(st.one_of(st.none(), st.integers(-1, STEPS + 1)), label="since")
                asof = T0 + timedelta(seconds=at)
                frame = archive.view(asof).events("notes", None if since is None else T0 + timedelta(seconds=since))
                assert (frame["known_at"] <= asof).all()
                assert shown(frame, stored) == model(stored, at, since, until, uuids)
                table = archive.events("notes")
                counted = sum(v.second <= min(at, STEPS if until is None else until) for v in stored)
                assert (0 if table is None else table.known_versions(micros(asof))) == counted


def test_an_old_frame_stays_as_it_was_and_the_new_one_is_not_touched_by_writing_to_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    stored = [Version(k, n, False, n) for n, k in enumerate("abcdef")]
    write(lake, stored, 0, True)
    lake.compact(NOTES)
    archive = Archive(lake, [NOTES], CALENDAR)
    view = archive.view(T0 + timedelta(seconds=STEPS))
    frame = view.events("notes")
    frame.loc[:, "value"] = -1.0
    frame.loc[0, "topic"] = "overwritten"
    frame["number"] += 1
    assert shown(view.events("notes"), stored) == model(stored, STEPS, None, None, True)
    assert shown(Archive(lake, [NOTES], CALENDAR).view(view.asof).events("notes"), stored) == model(stored, STEPS, None, None, True)
    assert np.array_equal(frame["value"], [-1.0] * 6)


@pytest.mark.parametrize("replaced", [False, True])
def test_what_is_newer_than_the_base_is_written_beside_it_and_never_into_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr(events, "MANY_RUNS", 2_000)
    lake = Lake(tmp_path)
    stored = [Version(k, n, False, n) for n, k in enumerate("abcdef")]
    write(lake, stored, 0, True)
    lake.compact(NOTES)
    stored += [Version("e", 6, False, 6), Version("d", 7, True, 7)]
    write(lake, stored, 6, True)
    archive, (base,) = Archive(lake, [NOTES], CALENDAR), (tmp_path / "notes").glob("base-*")
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    if replaced:
        base.rename(tmp_path / "away")
        base = tmp_path / "away"
    frame = archive.view(T0 + timedelta(seconds=STEPS)).events("notes")
    assert shown(frame, stored) == model(stored, STEPS, None, None, True)
    frame["value"] = 0.0
    frame.loc[:, "number"] = 1
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    assert shown(archive.view(T0 + timedelta(seconds=5)).events("notes"), stored) == model(stored, 5, None, None, True)
