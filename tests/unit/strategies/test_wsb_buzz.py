"""Mentions of the last week against the weeks before: small worlds whose rises can be derived by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from strategies.catalog.wsb_buzz import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

MONDAY = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
COLUMNS = ("origin", "forum", "item_id", "symbol", "kind", "mentions", "event_at", "known_at", "row_key")


def row(symbol: str, at: datetime, mentions: int, origin: str = "day_counts", kind: str = "day", item: str = "") -> dict[str, object]:
    item = item or at.isoformat()
    key = f"{origin}|{item}|{symbol}"
    values = (origin, "wallstreetbets", item, symbol, kind, mentions, at, at + timedelta(minutes=1), key)
    return dict(zip(COLUMNS, values, strict=True))


def counts(symbol: str, weeks: Sequence[int], origin: str = "day_counts", kind: str = "day") -> list[dict[str, object]]:
    """So many mentions on each day of each week, the last week last; a day's count is told nine hours before the decision."""
    told = []
    for back, daily in enumerate(reversed(weeks)):
        for day in range(7):
            told.append(row(symbol, MONDAY - timedelta(days=7 * back + day, hours=9), daily, origin, kind))
    return told


def posts(symbol: str, daily: Mapping[int, int], kind: str = "comment") -> list[dict[str, object]]:
    """So many posts on each day (0: the last 24 hours), a minute apart."""
    return [
        row(symbol, MONDAY - timedelta(days=day, hours=2, minutes=number), 1, "reddit", kind, f"t1_{symbol.lower()}{day}x{number}")
        for day, number_of in daily.items()
        for number in range(number_of)
    ]


def world(*told: list[dict[str, object]], price: float = 50.0) -> MemoryWorld:
    frame = pd.DataFrame([one for some in told for one in some])
    closes = prices({symbol: [price] * 30 for symbol in sorted(set(frame["symbol"]))}, "2021-03-12")
    return MemoryWorld(closes=closes, adj_closes=closes, events={"reddit_mentions": frame})


def test_a_rise_is_the_week_above_the_median_week_as_a_multiple_of_it() -> None:
    targets = STRATEGY.run(world(counts("AAA", [10, 20, 30, 40, 100]), counts("BBB", [50, 50, 50, 50, 150])).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": (100 - 25) / 25, "BBB": 2.0})


def test_one_wild_week_before_does_not_hide_a_rise() -> None:
    targets = STRATEGY.run(world(counts("AAA", [10, 10, 5000, 10, 30])).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": 2.0})


def test_a_symbol_out_of_nothing_rises_from_the_minimum_base() -> None:
    told = world(counts("AAA", [0, 0, 0, 0, 6]), counts("BBB", [2, 2, 2, 2, 12]))
    assert STRATEGY.run(told.at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": 6.0, "BBB": 5.0})
    assert STRATEGY.run(told.at(MONDAY), min_base=4.0).scores.to_dict() == pytest.approx({"BBB": 2.5, "AAA": 1.5})


def test_fewer_mentions_than_the_minimum_are_no_buzz() -> None:
    few = counts("AAA", [0, 0, 0, 0, 0])
    few[0] = row("AAA", MONDAY - timedelta(hours=9), 19)
    told = world(few, counts("BBB", [5, 5, 5, 5, 6]))
    assert list(STRATEGY.run(told.at(MONDAY)).weights.index) == ["BBB"]
    assert list(STRATEGY.run(told.at(MONDAY), min_mentions=19).weights.index) == ["AAA", "BBB"]


def test_what_falls_is_not_wanted() -> None:
    assert STRATEGY.run(world(counts("AAA", [50, 50, 50, 50, 40])).at(MONDAY)).weights.empty


def test_a_week_that_nobody_counted_is_left_out_and_is_not_a_week_of_silence() -> None:
    gap = [one for one in counts("AAA", [20, 20, 20, 20, 40]) if not 14 <= (MONDAY - pd.Timestamp(one["event_at"])).days < 28]
    assert STRATEGY.run(world(gap).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": 1.0})


def test_days_that_nobody_counted_do_not_lower_the_rate_of_their_week() -> None:
    gap = [
        one for one in counts("AAA", [20, 20, 20, 20, 40]) if (MONDAY - pd.Timestamp(one["event_at"])).days not in (1, 3, 8, 15, 16, 22, 29)
    ]
    assert STRATEGY.run(world(gap).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": 1.0})


def test_without_two_earlier_weeks_there_is_nothing_to_compare_with() -> None:
    assert STRATEGY.run(world(counts("AAA", [10, 50])).at(MONDAY)).weights.empty
    assert not STRATEGY.run(world(counts("AAA", [10, 10, 50])).at(MONDAY)).weights.empty


def test_a_last_week_that_is_hardly_covered_is_not_acted_on() -> None:
    old = [one for one in counts("AAA", [10, 10, 10, 10, 50]) if (MONDAY - pd.Timestamp(one["event_at"])).days >= 4]
    assert STRATEGY.run(world(old).at(MONDAY)).weights.empty


def test_every_post_counts_one_and_the_week_has_seven_days_of_24_hours() -> None:
    daily = dict.fromkeys(range(7), 6) | dict.fromkeys(range(7, 35), 2)
    targets = STRATEGY.run(world(posts("AAA", daily)).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": (6 - 2) / 2})
    assert len(targets.evidence) == 7 * 6 + 14 * 2


def test_a_post_that_lists_many_symbols_speaks_of_none() -> None:
    daily = dict.fromkeys(range(7), 4) | dict.fromkeys(range(7, 35), 2)
    spam = [
        row(f"S{n:02d}", MONDAY - timedelta(hours=5, minutes=m), 1, "reddit", "comment", f"t1_spam{m}")
        for n in range(11)
        for m in range(30)
    ]
    targets = STRATEGY.run(world(posts("AAA", daily), spam).at(MONDAY))
    assert list(targets.weights.index) == ["AAA"]
    pairs = [one for one in spam if one["symbol"] in ("S00", "S01")]
    assert set(STRATEGY.run(world(posts("AAA", daily), pairs).at(MONDAY)).weights.index) == {"AAA", "S00", "S01"}


def test_of_several_snapshots_of_a_day_the_newest_counts() -> None:
    newest = counts("AAA", [10, 10, 10, 10, 30], "apewisdom", "snapshot")
    earlier = [row("AAA", pd.Timestamp(one["event_at"]) - timedelta(hours=6), 999, "apewisdom", "snapshot") for one in newest]
    targets = STRATEGY.run(world(newest, earlier).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": 2.0})
    assert set(targets.evidence["row_key"]) <= {str(one["row_key"]) for one in newest}


def test_a_symbol_that_fell_out_of_the_newest_snapshot_is_not_taken_from_an_older_one() -> None:
    steady = counts("AAA", [10, 10, 10, 10, 20], "apewisdom", "snapshot")
    gone = [row("BBB", pd.Timestamp(one["event_at"]) - timedelta(hours=6), 999, "apewisdom", "snapshot") for one in steady[:7]]
    assert list(STRATEGY.run(world(steady, gone).at(MONDAY)).weights.index) == ["AAA"]


def test_scales_of_two_origins_are_never_mixed() -> None:
    archive = counts("AAA", [500, 500, 500, 500])
    moved = [one | {"event_at": pd.Timestamp(one["event_at"]) - timedelta(days=7)} for one in archive]
    live = posts("AAA", dict.fromkeys(range(7), 8) | dict.fromkeys(range(7, 21), 4))
    targets = STRATEGY.run(world(moved, live).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": 1.0})
    assert all(key.startswith("reddit|") for key in targets.evidence["row_key"])


def test_the_origin_that_covers_more_weeks_decides_alone() -> None:
    ranking = counts("AAA", [10, 10, 10, 10, 40], "apewisdom", "snapshot")
    live = posts("BBB", dict.fromkeys(range(7), 8) | dict.fromkeys(range(7, 21), 1))
    assert list(STRATEGY.run(world(ranking, live).at(MONDAY)).weights.index) == ["AAA"]


def test_other_forums_do_not_count() -> None:
    other = [one | {"forum": "stocks"} for one in counts("AAA", [10, 10, 10, 10, 90])]
    assert STRATEGY.run(world(other).at(MONDAY)).weights.empty


def test_index_funds_and_names_of_the_operator_are_passed_over() -> None:
    told = world(counts("SPY", [10, 10, 10, 10, 50]), counts("AAA", [10, 10, 10, 10, 20]))
    targets = STRATEGY.run(told.at(MONDAY))
    assert list(targets.weights.index) == ["AAA"]
    assert targets.skipped == {"SPY": "excluded by name"}
    assert list(STRATEGY.run(told.at(MONDAY), excluded="").weights.index) == ["SPY", "AAA"]


def test_cheap_thin_and_unpriced_names_are_passed_over() -> None:
    told = world(counts("AAA", [10, 10, 10, 10, 50]), price=0.5)
    assert STRATEGY.run(told.at(MONDAY)).skipped == {"AAA": "last close 0.50 USD is below 1.00 USD"}
    assert "less than 5,000,000 USD" in STRATEGY.run(told.at(MONDAY), min_price=0.0).skipped["AAA"]


def test_counts_known_later_do_not_count_yet() -> None:
    late = counts("AAA", [10, 10, 10, 10, 50])
    for one in late[:7]:
        one["known_at"] = MONDAY + timedelta(hours=1)
    told = world(late, counts("BBB", [10, 10, 10, 10, 20]))
    assert list(STRATEGY.run(told.at(MONDAY)).weights.index) == ["BBB"]


def test_a_crowded_day_is_named_by_ten_rows_that_bear_all_of_it() -> None:
    daily = dict.fromkeys(range(7), 40) | dict.fromkeys(range(7, 35), 10)
    targets = STRATEGY.run(world(posts("AAA", daily)).at(MONDAY))
    assert len(targets.evidence) == 7 * 10 + 14 * 10
    assert targets.evidence["contribution"].sum() == pytest.approx(3.0)
    assert targets.evidence.loc[targets.evidence["contribution"] > 0, "contribution"].to_numpy() == pytest.approx(40 / 10 / 70)
