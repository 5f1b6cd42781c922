"""The panel of bars: at every instant the newest version of each bar known then, whatever the order in which rows arrived."""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.bar_rows import FIELDS
from daemon.store.panel import STALE_SESSIONS, BarPanel
from scrapers.renames import listed

DAYS = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
CLOSE = FIELDS.index("close")


@dataclass(frozen=True)
class Version:
    """One version of a bar: which series and day, when known (microseconds), and its close."""

    close: float
    known_us: int
    symbol: str = "A"
    place: int = 0
    adjustment: str = "split"


def table(*versions: Version) -> pa.Table:
    """Versions as the lake reads them: by known_at, those of one instant in the order of their ids (here: as listed)."""
    rows = sorted(versions, key=lambda v: v.known_us)
    days: list[date] = [DAYS[v.place].astype(object) for v in rows]
    prices = {f: pa.array([v.close for v in rows], pa.float64()) for f in FIELDS}
    return pa.table(
        {
            "symbol": pa.array([v.symbol for v in rows], pa.string()),
            "adjustment": pa.array([v.adjustment for v in rows], pa.string()),
            "session": pa.array(days, pa.date32()),
            "known_at": pa.array([v.known_us for v in rows], pa.timestamp("us", tz="UTC")),
            **prices,
        }
    )


def panel(*versions: Version) -> BarPanel:
    made = BarPanel(DAYS)
    made.add(table(*versions))
    return made


def close_at(given: BarPanel, at_us: int, place: int = 0, series: int = 0) -> float:
    given.advance(at_us)
    return float(given.fields[CLOSE][place, series])


def test_the_newest_version_known_at_the_instant_is_the_one_seen() -> None:
    p = panel(Version(1.0, 10), Version(2.0, 20))
    assert np.isnan(close_at(p, 9))
    assert [close_at(p, at) for at in (10, 19, 20, 99)] == [1.0, 1.0, 2.0, 2.0]


def test_of_two_versions_known_at_the_same_instant_the_later_stored_wins() -> None:
    p = panel(Version(1.0, 10), Version(2.0, 10), Version(3.0, 10))
    assert close_at(p, 10) == 3.0
    p.add(table(Version(4.0, 10)))
    assert close_at(p, 10) == 4.0, "a version stored later still is the newest, also when its instant is past"


def test_going_back_in_time_starts_over_and_gives_the_same() -> None:
    p = panel(Version(1.0, 10), Version(2.0, 20), Version(3.0, 30, symbol="B", place=5))
    p.advance(15)
    early = [f.copy() for f in p.fields]
    known, begun = p.known_versions(), p.first_known_us.copy()
    p.advance(40)
    p.advance(15)
    for before, now in zip(early, p.fields, strict=True):
        np.testing.assert_array_equal(now, before)
    assert p.known_versions() == known == 1
    np.testing.assert_array_equal(p.first_known_us, begun)


def test_a_bar_on_no_session_is_not_in_the_panel() -> None:
    p = BarPanel(DAYS[::2])
    p.add(table(Version(1.0, 10, place=1), Version(2.0, 10, place=2)))
    p.advance(10)
    assert np.isnan(p.fields[CLOSE][0, 0])
    assert p.fields[CLOSE][1, 0] == 2.0


VERSIONS = st.builds(
    Version,
    close=st.integers(1, 1000).map(float),
    known_us=st.integers(0, 12),
    symbol=st.sampled_from("ABC"),
    place=st.integers(0, 2),
    adjustment=st.sampled_from(["raw", "split"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(VERSIONS, min_size=1, max_size=25), st.data())
def test_no_interleaving_of_arrivals_and_instants_shows_a_row_before_it_is_known(versions: list[Version], data: st.DataObject) -> None:
    cuts = sorted({0, len(versions), *data.draw(st.lists(st.integers(0, len(versions)), max_size=4))})
    p, arrived = BarPanel(DAYS), list[Version]()
    for start, stop in pairwise(cuts):
        arrived += versions[start:stop]
        p.add(table(*versions[start:stop]))
        for at in data.draw(st.lists(st.integers(-1, 13), min_size=1, max_size=3)):
            p.advance(at)
            expected = dict[tuple[str, str, int], tuple[int, float]]()
            for v in arrived:  # ids ascend: of equal instants the later one stands
                key = (v.symbol, v.adjustment, v.place)
                if v.known_us <= at and (key not in expected or v.known_us >= expected[key][0]):
                    expected[key] = (v.known_us, v.close)
            seen = {
                (*p.names[series], place): p.fields[CLOSE][place, series]
                for place, series in zip(*np.nonzero(np.isfinite(p.fields[CLOSE])), strict=True)
            }
            assert seen == {key: close for key, (_, close) in expected.items()}
            assert p.known_versions() == sum(v.known_us <= at for v in arrived)


def chosen(given: BarPanel, at_us: int, last: int, symbol: str = "A") -> str:
    """The adjustment of the series in use."""
    given.advance(at_us)
    return given.names[given.choose(last, listed()).columns[symbol]][1]


def test_a_symbol_uses_the_series_that_became_known_first() -> None:
    p = panel(Version(1.0, 10, adjustment="total_return"), Version(1.0, 11, adjustment="raw"), Version(1.0, 12, adjustment="split"))
    assert [chosen(p, at, 0) for at in (10, 11, 12)] == ["total_return"] * 3


@pytest.mark.parametrize(
    ("kinds", "winner"), [(("total_return", "split", "raw"), "raw"), (("total_return", "split"), "split"), (("split", "raw"), "raw")]
)
def test_of_series_known_at_the_same_instant_raw_comes_before_split_before_total_return(kinds: tuple[str, ...], winner: str) -> None:
    assert chosen(panel(*(Version(1.0, 10, adjustment=k) for k in kinds)), 10, 0) == winner


def test_a_series_that_has_ended_gives_way_to_the_one_that_lives() -> None:
    last = STALE_SESSIONS + 1
    p = panel(Version(1.0, 10, adjustment="split"), Version(2.0, 20, place=last, adjustment="raw"))
    assert chosen(p, 19, last) == "split", "there is no other yet"
    assert chosen(p, 20, last - 1) == "split", "its last bar is exactly as old as allowed"
    assert chosen(p, 20, last) == "raw"


def test_of_series_that_have_all_ended_the_one_with_the_newest_bar_is_used() -> None:
    p = panel(Version(1.0, 10, place=0, adjustment="raw"), Version(1.0, 20, place=2, adjustment="split"))
    assert chosen(p, 20, 40) == "split"


def test_the_choice_of_a_series_does_not_depend_on_rows_known_later() -> None:
    early = (Version(1.0, 10, adjustment="split"), Version(1.0, 15, place=1, adjustment="raw"))
    later = (
        Version(1.0, 20, place=30, adjustment="raw"), Version(1.0, 20, place=2, adjustment="total_return"), Version(9.0, 25, symbol="B"),
    )  # fmt: skip
    short, long = panel(*early), panel(*early, *later)
    for at, last in ((10, 0), (15, 1), (19, 30)):
        assert chosen(short, at, last) == chosen(long, at, last)
        assert short.choose(last, listed()).symbols == long.choose(last, listed()).symbols == ["A"]


def test_the_first_delivered_version_of_a_bar_is_kept_for_the_exchange() -> None:
    p = panel(Version(1.0, 10), Version(2.0, 20), Version(5.0, 30, place=1))
    p.advance(99)
    fields, begun = p.first_versions()
    assert fields[CLOSE][:2, 0].tolist() == [1.0, 5.0]
    assert begun.tolist() == [10]
