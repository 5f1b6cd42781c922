"""Versioned events: at every instant the newest version of each key, and of nothing later."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.events import EventTable, micros

START = datetime(2024, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def table(*rows: tuple[int, str, int, str]) -> pa.Table:
    """Rows (id, key, known second, text), sorted as the lake reads them."""
    ordered = sorted(rows, key=lambda r: (r[2], r[1], r[0]))
    moments = pa.array([at(r[2]) for r in ordered], pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "id": pa.array([r[0] for r in ordered], pa.int64()),
            "row_key": pa.array([r[1] for r in ordered], pa.string()),
            "event_at": moments,
            "known_at": moments,
            "text": pa.array([r[3] for r in ordered], pa.string()),
        }
    )


def texts(events: EventTable, second: int, since: int | None = None) -> list[str]:
    return events.at(micros(at(second)), None if since is None else micros(at(since)))["text"].tolist()


def test_a_correction_replaces_its_row_from_the_instant_at_which_it_is_known() -> None:
    events = EventTable(table((1, "k", 10, "first"), (2, "k", 20, "corrected"), (3, "other", 15, "beside")))
    assert texts(events, 9) == []
    assert texts(events, 19) == ["first", "beside"]
    assert texts(events, 20) == ["beside", "corrected"]


def test_of_versions_known_at_one_instant_the_last_stored_stands() -> None:
    events = EventTable(table((1, "k", 10, "first"), (2, "k", 10, "second")))
    assert texts(events, 10) == ["second"]


def test_since_leaves_out_what_was_known_before_and_a_superseded_row_does_not_come_back() -> None:
    events = EventTable(table((1, "a", 10, "old"), (2, "b", 20, "new"), (3, "b", 30, "newer")))
    assert texts(events, 29, since=20) == ["new"]
    assert texts(events, 30, since=20) == ["newer"]
    assert texts(events, 30, since=31) == []


def test_frames_are_the_callers_to_modify() -> None:
    events = EventTable(table((1, "k", 10, "first")))
    frame = events.at(micros(at(10)))
    frame.loc[0, "text"] = "overwritten"
    assert texts(events, 10) == ["first"]


@pytest.mark.parametrize("seconds", [0.000001, 86_399.999999, 1_600_000_000.123456])
def test_micros_keeps_every_microsecond(seconds: float) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert micros(moment) == round(seconds * 1e6)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=20), st.integers(0, 20))
def test_rows_in_one_segment_or_in_two_are_cut_alike_and_nothing_later_shows(rows: list[tuple[str, int]], cut: int) -> None:
    versions = [(i, key, second, f"v{i}") for i, (key, second) in enumerate(rows, 1)]
    whole, grown = EventTable(table(*versions)), EventTable(table(*versions[:cut]))
    grown.add(table(*versions[cut:]))
    for second in range(10):
        expected = {key: text for _, key, known, text in sorted(versions, key=lambda v: (v[2], v[0])) if known <= second}
        for events in (whole, grown):
            assert set(texts(events, second)) == set(expected.values())
            assert events.known_versions(micros(at(second))) == sum(v[2] <= second for v in versions)
