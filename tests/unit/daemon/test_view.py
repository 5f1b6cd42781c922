"""Views of hand-made segments: what was known, adjusted as of the instant, with every expectation worked out by hand."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scrapers import times
from tests.unit.daemon.archive_rows import CALENDAR, SESSIONS, Market, before_open, known_on

ALWAYS = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def column(frame: pd.DataFrame, symbol: str = "A") -> list[float | None]:
    """Values of one symbol, None where there was no bar."""
    return [None if np.isnan(v) else v for v in frame[symbol].tolist()]


def test_a_session_is_in_the_view_from_the_instant_of_its_close(market: Market) -> None:
    market.closes("A", [10.0, 11.0])
    archive = market.archive()
    close = CALENDAR.close_at(SESSIONS[1])
    assert archive.view(close - timedelta(microseconds=1)).sessions[-1].date() == SESSIONS[0]
    at_close = archive.view(close)
    assert at_close.sessions[-1].date() == SESSIONS[1]
    assert column(at_close.bars("close", 2)) == [10.0, None], "the session is over, its bar is not known for twenty minutes more"
    assert column(archive.view(known_on(1)).bars("close", 2)) == [10.0, 11.0]


def test_bars_come_in_the_order_asked_for_and_only_for_symbols_that_have_any(market: Market) -> None:
    for symbol in ("C", "A", "B"):
        market.closes(symbol, [1.0])
    market.bar("LATER", 3, 5.0)
    view = market.view(known_on(0))
    assert list(view.bars("close", 5).columns) == ["A", "B", "C"]
    assert list(view.bars("close", 5, ["C", "NONE", "A", "LATER", "C"]).columns) == ["C", "A"]
    assert view.symbols == ["A", "B", "C"]


def test_frames_are_copies_that_do_not_reach_the_archive(market: Market) -> None:
    market.closes("A", [10.0, 11.0])
    market.sector("A", "Energy", ALWAYS)
    view = market.view(known_on(1))
    for frame in (view.bars("close", 2), view.bars("close", 2, ["A"]), view.bars("adj_close", 2)):
        frame.iloc[:, :] = -1.0
    sectors = view.sectors()
    sectors.iloc[0] = "Gone"
    assert column(view.bars("close", 2)) == [10.0, 11.0]
    assert view.sectors().to_dict() == {"A": "Energy"}


def test_a_view_is_refused_once_the_archive_has_moved_on(market: Market) -> None:
    market.closes("A", [10.0, 11.0])
    archive = market.archive()
    view = archive.view(known_on(0))
    archive.view(known_on(1))
    with pytest.raises(RuntimeError, match="after the archive moved on"):
        view.bars("close", 1)


def test_a_restated_bar_shows_in_views_after_its_restatement_only(market: Market) -> None:
    market.closes("A", [10.0, 11.0])
    market.bar("A", 0, 9.5, known=known_on(1))
    archive = market.archive()
    assert column(archive.view(known_on(1)).bars("close", 2)) == [9.5, 11.0]
    assert column(archive.view(known_on(0)).bars("close", 1)) == [10.0]


def test_segments_sealed_later_are_taken_in_by_refresh(market: Market) -> None:
    market.closes("A", [10.0])
    archive = market.archive()
    assert archive.refresh() is False
    market.bar("A", 1, 12.0)
    market.bar("B", 0, 7.0, known=known_on(1))
    market.seal()
    assert archive.refresh() is True
    assert column(archive.view(known_on(1)).bars("close", 2)) == [10.0, 12.0]
    assert column(archive.view(known_on(1)).bars("close", 2), "B") == [7.0, None]


def test_bars_from_before_the_axis_lay_a_longer_one_and_keep_what_was_there(market: Market) -> None:
    market.bar("A", 50, 50.0)
    archive = market.archive()
    market.bar("A", 0, 10.0)
    market.seal()
    archive.refresh()
    closes = archive.view(known_on(50)).bars("close", 51)
    assert (closes["A"].iloc[0], closes["A"].iloc[50]) == (10.0, 50.0)


def raw(market: Market, closes: list[float]) -> None:
    market.closes("A", closes, adjustment="raw")


def test_a_split_divides_earlier_prices_and_multiplies_volume_from_the_morning_of_its_ex_date(market: Market) -> None:
    raw(market, [100.0, 102.0, 26.0])
    market.split("A", 2, 4.0, known_on(0))
    archive = market.archive()
    assert column(archive.view(known_on(1)).bars("close", 2)) == [100.0, 102.0], "known, but not yet effective"
    morning = archive.view(before_open(2))
    assert column(morning.bars("close", 2)) == [25.0, 25.5]
    assert column(morning.bars("open", 2)) == [25.0, 25.0]
    assert column(morning.bars("volume", 2)) == [4000.0, 4000.0]
    evening = archive.view(known_on(2))
    assert column(evening.bars("close", 3)) == [25.0, 25.5, 26.0]
    assert column(evening.bars("volume", 3)) == [4000.0, 4000.0, 1000.0]
    assert column(evening.bars("adj_close", 3)) == [25.0, 25.5, 26.0]
    assert column(evening.bars("close", 1)) == [26.0], "a window that begins at the ex-date has nothing to adjust"


def test_a_split_that_is_not_known_yet_adjusts_nothing(market: Market) -> None:
    raw(market, [100.0, 102.0, 26.0])
    market.split("A", 2, 4.0, known_on(2) + timedelta(hours=1))
    assert column(market.view(known_on(2)).bars("close", 3)) == [100.0, 102.0, 26.0]


def test_a_dividend_lowers_earlier_adjusted_closes_by_its_share_of_the_close_before_the_ex_date(market: Market) -> None:
    raw(market, [80.0, 100.0, 97.0, 99.0])
    market.dividend("A", 2, 2.0, known_on(0))
    archive = market.archive()
    assert column(archive.view(known_on(1)).bars("adj_close", 2)) == [80.0, 100.0]
    after = archive.view(known_on(3))
    assert column(after.bars("adj_close", 4)) == pytest.approx([80.0 * 0.98, 98.0, 97.0, 99.0])
    assert column(after.bars("close", 4)) == [80.0, 100.0, 97.0, 99.0], "closes are not adjusted for dividends"


def test_the_last_adjusted_close_equals_the_close_also_on_the_morning_of_an_ex_date(market: Market) -> None:
    raw(market, [80.0, 100.0])
    market.dividend("A", 2, 2.0, known_on(0))
    assert column(market.view(before_open(2)).bars("adj_close", 2)) == [80.0, 100.0]


def test_a_dividend_is_counted_when_the_bar_before_its_ex_date_is_missing(market: Market) -> None:
    market.closes("A", [100.0, None, 99.0], adjustment="raw")
    market.dividend("A", 2, 2.0, known_on(0))
    assert column(market.view(known_on(2)).bars("adj_close", 3)) == pytest.approx([98.0, None, 99.0])


def test_a_dividend_before_a_split_is_of_the_old_shares(market: Market) -> None:
    raw(market, [100.0, 98.0, 24.5])
    market.dividend("A", 1, 2.0, known_on(0))
    market.split("A", 2, 4.0, known_on(0))
    assert column(market.view(known_on(2)).bars("adj_close", 3)) == pytest.approx([24.5, 24.5, 24.5])


def test_an_archives_own_adjusted_close_is_anchored_to_the_last_close(market: Market) -> None:
    for place, (close, adj) in enumerate([(100.0, 45.0), (110.0, 50.0), (120.0, 60.0)]):
        market.bar("A", place, close, adj=adj)
    archive = market.archive()
    assert column(archive.view(known_on(2)).bars("adj_close", 3)) == pytest.approx([90.0, 100.0, 120.0])
    assert column(archive.view(known_on(1)).bars("adj_close", 2)) == pytest.approx([99.0, 110.0])


def test_an_adjusted_close_is_anchored_to_the_last_bar_there_is(market: Market) -> None:
    market.bar("A", 0, 100.0, adj=40.0)
    market.bar("A", 1, 100.0, adj=50.0)
    market.closes("B", [1.0] * 4)
    assert column(market.view(known_on(3)).bars("adj_close", 4, ["A"])) == pytest.approx([80.0, 100.0, None, None])


def test_membership_is_as_dated_and_as_known(market: Market) -> None:
    joined, left = SESSIONS[5], SESSIONS[20]
    market.member("A", joined, None, times.new_york(joined))
    market.member("A", joined, left, times.day_after(left))
    market.member("B", date(2010, 1, 4), None, ALWAYS)
    market.member("N", date(2010, 1, 4), None, ALWAYS, index_name="ndx")
    archive = market.archive()
    assert archive.view(before_open(4)).universe() == ["B"]
    assert archive.view(before_open(5)).universe() == ["A", "B"]
    assert archive.view(before_open(20)).universe() == ["A", "B"], "that it leaves today is known tomorrow"
    assert archive.view(before_open(21)).universe() == ["B"]
    assert archive.view(before_open(21)).universe("ndx") == ["N"]
    assert archive.view(before_open(21)).universe("none") == []


def test_an_end_that_was_announced_ends_the_membership_on_its_date(market: Market) -> None:
    market.member("A", SESSIONS[0], None, ALWAYS)
    market.member("A", SESSIONS[0], SESSIONS[10], before_open(3))
    archive = market.archive()
    assert [archive.view(before_open(p)).universe() for p in (9, 10)] == [["A"], []]


def test_a_universe_that_was_never_imported_is_empty(market: Market) -> None:
    view = market.view(known_on(0))
    assert view.universe() == []
    assert view.sectors().empty


def test_sectors_are_those_known_at_the_instant(market: Market) -> None:
    market.sector("A", "Utilities", ALWAYS)
    market.sector("B", "Energy", known_on(2))
    market.sector("A", "Energy", known_on(4))
    archive = market.archive()
    assert archive.view(known_on(1)).sectors().to_dict() == {"A": "Utilities"}
    assert archive.view(known_on(4)).sectors().to_dict() == {"A": "Energy", "B": "Energy"}
    assert archive.view(known_on(3)).sectors().to_dict() == {"A": "Utilities", "B": "Energy"}, "also on the way back"


def test_events_of_an_empty_dataset_have_its_columns_and_no_rows(market: Market) -> None:
    frame = market.view(known_on(0)).events("congress_trades")
    assert frame.empty
    assert {"row_key", "event_at", "known_at", "symbol", "member", "disclosure_date"} <= set(frame.columns)
    with pytest.raises(KeyError):
        market.view(known_on(0)).events("tea_leaves")


def test_a_sleeves_own_state_is_handed_out_as_a_copy(market: Market) -> None:
    view = market.view(known_on(0)).for_sleeve(pd.Series({"A": 0.5}), pd.DataFrame({"qty": [1.0], "market_value_usd": [2.0]}, index=["A"]))
    targets, holdings = view.previous_targets(), view.holdings()
    targets["A"] = holdings.loc["A", "qty"] = 9.0
    assert view.previous_targets()["A"] == 0.5
    assert view.holdings().loc["A", "qty"] == 1.0


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 99)), min_size=1, max_size=12),
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
)
def test_an_archive_that_holds_the_future_shows_the_same_as_one_that_never_had_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]], instants: list[int]
) -> None:
    market = Market(tmp_path_factory.mktemp("lake"))
    for place, late, close in rows:
        market.bar("A", place, float(close), adjustment="raw", known=known_on(place) + timedelta(days=late))
        market.dividend("A", place, close / 100, known_on(place) + timedelta(days=late))
    whole = market.archive()
    for late in instants:
        asof = times.new_york(SESSIONS[0], time(17)) + timedelta(days=late)
        cut = market.archive(known_until=asof).view(asof)
        seen = whole.view(asof)
        pd.testing.assert_frame_equal(seen.events("corporate_actions"), cut.events("corporate_actions"))
        assert seen.symbols == cut.symbols
        for name in ("close", "adj_close", "volume") if seen.symbols else ():
            pd.testing.assert_frame_equal(seen.bars(name, 5).dropna(), cut.bars(name, 5).dropna(), check_freq=False)
