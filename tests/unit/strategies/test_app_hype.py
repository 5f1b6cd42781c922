"""Ratings of apps: small worlds whose changes can be derived by hand."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
import pytest

from strategies.catalog.app_hype import LEAST_GROWTH_SPREAD, LEAST_RATING_SPREAD, STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

MONDAY = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
TODAY = date(2021, 3, 15)
COUNTS = (10_000, 10_560, 12_000)
"""Ratings 84, 28 and 0 days ago: 10 a day before, then 1440 in 28 days where 280 were expected."""


def reading(
    symbol: str, ago: int, rating: float | None, count: int, app: str = "1", origin: str = "itunes", kind: str = "total"
) -> dict[str, object]:
    day = TODAY - timedelta(days=ago)
    at = datetime.combine(day, time(10), UTC)
    named = {"app_id": app, "app_name": "", "publisher": ""} if origin == "itunes" else {"app_id": "", "app_name": app, "publisher": "X"}
    row = {"symbol": symbol, "kind": kind, "day": day, "rating": rating, "rating_count": count, "origin": origin, "source_url": ""}
    return row | named | {"event_at": at, "known_at": at + timedelta(hours=1), "row_key": f"{origin}|{kind}|{symbol}|{app}|{day}"}


def app(
    symbol: str, ratings: tuple[float, float] = (4.0, 4.1), counts: tuple[int, int, int] = COUNTS, name: str = "1", origin: str = "itunes"
) -> list[dict[str, object]]:
    """Three readings, 84, 28 and 0 days ago."""
    before, now = ratings
    return [
        reading(symbol, 84, before, counts[0], name, origin),
        reading(symbol, 28, before, counts[1], name, origin),
        reading(symbol, 0, now, counts[2], name, origin),
    ]


def world(*told: list[dict[str, object]], price: float = 50.0) -> MemoryWorld:
    frame = pd.DataFrame([one for some in told for one in some])
    closes = prices({symbol: [price] * 30 for symbol in sorted(set(frame["symbol"]))}, "2021-03-12")
    return MemoryWorld(closes=closes, adj_closes=closes, events={"app_ratings": frame})


def score(jump: float, counts: tuple[int, int, int], units: tuple[float, float] = (LEAST_RATING_SPREAD, LEAST_GROWTH_SPREAD)) -> float:
    growth = math.log((counts[2] - counts[1] + 10) / ((counts[1] - counts[0]) / 2 + 10))
    return jump / units[0] + growth / units[1]


def test_a_jump_in_rating_and_new_ratings_adds_up_in_units_of_their_spread() -> None:
    assert STRATEGY.run(world(app("AAA")).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": score(0.1, COUNTS)})


def test_units_are_the_spread_across_names() -> None:
    jumps = {"AAA": 0.1, "BBB": 0.2, "CCC": 0.4}
    told = world(*(app(symbol, (4.0, 4.0 + jump), name=symbol) for symbol, jump in jumps.items()))
    unit = 1.4826 * 0.1
    expected = {symbol: score(jump, COUNTS, (unit, LEAST_GROWTH_SPREAD)) for symbol, jump in jumps.items()}
    assert STRATEGY.run(told.at(MONDAY)).scores.to_dict() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ratings", "counts"),
    [
        pytest.param((4.0, 3.5), (10_000, 10_560, 30_000), id="many angry ratings"),
        pytest.param((4.0, 4.1), (10_000, 10_560, 10_700), id="a better rating by fewer people"),
    ],
)
def test_both_have_to_rise(ratings: tuple[float, float], counts: tuple[int, int, int]) -> None:
    told = world(app("AAA", ratings, counts), app("BBB", name="2"))
    assert list(STRATEGY.run(told.at(MONDAY)).weights.index) == ["BBB"]


def test_an_app_whose_count_was_reset_is_out_and_a_removed_rating_is_no_reset() -> None:
    reset = [*app("AAA"), reading("AAA", 14, 4.0, 9_000)]
    purged = [*app("BBB", name="2"), reading("BBB", 14, 4.0, 10_555, "2")]
    assert list(STRATEGY.run(world(reset, purged).at(MONDAY)).weights.index) == ["BBB"]


def test_an_app_without_a_past_is_out() -> None:
    young = [reading("AAA", 30, 4.0, 5000), reading("AAA", 28, 4.0, 5000), reading("AAA", 0, 4.5, 9000)]
    assert STRATEGY.run(world(young).at(MONDAY)).weights.empty
    older = [reading("AAA", 35, 4.0, 4930), *young]
    expected = 0.5 / LEAST_RATING_SPREAD + math.log((4000 + 10) / (70 / 7 * 28 + 10)) / LEAST_GROWTH_SPREAD
    assert STRATEGY.run(world(older).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": expected})


def test_an_app_with_few_ratings_is_out() -> None:
    told = world(app("AAA", counts=(100, 200, 900)))
    assert STRATEGY.run(told.at(MONDAY)).weights.empty
    assert not STRATEGY.run(told.at(MONDAY), min_ratings=200).weights.empty


@pytest.mark.parametrize(("late", "wanted"), [(7, ["AAA"]), (8, [])])
def test_an_app_that_is_not_read_any_more_is_out(late: int, wanted: list[str]) -> None:
    told = [reading("AAA", 84, 4.0, 10_000), reading("AAA", 28 + late, 4.0, 10_500), reading("AAA", late, 4.5, 20_000)]
    assert list(STRATEGY.run(world(told).at(MONDAY)).weights.index) == wanted


def test_written_reviews_are_not_ratings() -> None:
    told = [one | {"kind": "reviews"} for one in app("AAA")]
    assert STRATEGY.run(world(told).at(MONDAY)).weights.empty


def test_apps_of_a_company_count_by_their_ratings() -> None:
    large = app("AAA", (4.0, 4.1), (30_000, 30_000, 31_000), "1")
    small = app("AAA", (4.0, 4.5), (10_000, 10_000, 11_000), "2")
    growth = math.log(1010 / 10)
    expected = (0.75 * 0.1 + 0.25 * 0.5) / LEAST_RATING_SPREAD + growth / LEAST_GROWTH_SPREAD
    targets = STRATEGY.run(world(large, small).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": expected})
    assert len(targets.evidence) == 6


def test_of_two_origins_the_one_that_knows_more_ratings_counts_alone() -> None:
    store = app("AAA", (4.0, 4.1), COUNTS)
    other = app("AAA", (4.0, 4.9), (5_000, 5_280, 9_000), "The App", "quiver")
    targets = STRATEGY.run(world(store, other).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": score(0.1, COUNTS)})
    assert all(key.startswith("itunes|") for key in targets.evidence["row_key"])
    more = app("AAA", (4.0, 4.9), (50_000, 50_560, 52_000), "The App", "quiver")
    assert all(key.startswith("quiver|") for key in STRATEGY.run(world(store, more).at(MONDAY)).evidence["row_key"])


def test_share_classes_with_the_same_apps_are_held_once() -> None:
    targets = STRATEGY.run(world(app("GOOG"), app("GOOGL")).at(MONDAY))
    assert list(targets.weights.index) == ["GOOG"]
    assert targets.skipped == {"GOOGL": "stands on the same data as GOOG"}


def test_a_reading_stands_for_a_day_up_to_a_week_later_at_its_own_pace() -> None:
    told = [reading("AAA", 80, 4.0, 10_000), reading("AAA", 30, 4.0, 10_500), reading("AAA", 0, 4.1, 12_000)]
    growth = math.log((1500 + 10) / (500 / 50 * 30 + 10))
    expected = 0.1 / LEAST_RATING_SPREAD + growth / LEAST_GROWTH_SPREAD
    assert STRATEGY.run(world(told).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": expected})


def test_a_reading_without_an_average_is_no_reading() -> None:
    told = [*app("AAA"), reading("AAA", 27, None, 0)]
    assert STRATEGY.run(world(told).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": score(0.1, COUNTS)})


def test_a_reading_known_later_does_not_count_yet() -> None:
    late = app("AAA")
    late[2]["known_at"] = MONDAY + timedelta(hours=1)
    assert STRATEGY.run(world(late).at(MONDAY)).weights.empty


def test_the_three_readings_are_the_evidence() -> None:
    targets = STRATEGY.run(world(app("AAA")).at(MONDAY))
    said = dict(zip(targets.evidence["row_key"], targets.evidence["contribution"], strict=True))
    expected: Mapping[str, float] = {
        "itunes|total|AAA|1|2021-03-15": 4.1 / LEAST_RATING_SPREAD + math.log(1450) / LEAST_GROWTH_SPREAD,
        "itunes|total|AAA|1|2021-02-15": -4.0 / LEAST_RATING_SPREAD,
        "itunes|total|AAA|1|2020-12-21": -math.log(290) / LEAST_GROWTH_SPREAD,
    }
    assert said == pytest.approx(expected)


def test_cheap_and_thin_names_are_passed_over() -> None:
    told = world(app("AAA"), price=0.5)
    assert STRATEGY.run(told.at(MONDAY)).skipped == {"AAA": "last close 0.50 USD is below 1.00 USD"}
    assert "less than 1,000,000 USD" in STRATEGY.run(told.at(MONDAY), min_price=0.0).skipped["AAA"]


def test_fewer_names_than_eight_leave_cash() -> None:
    symbols: Sequence[str] = ("AAA", "BBB")
    told = world(*(app(symbol, name=symbol) for symbol in symbols))
    assert STRATEGY.run(told.at(MONDAY)).weights.to_dict() == {"AAA": 0.125, "BBB": 0.125}
