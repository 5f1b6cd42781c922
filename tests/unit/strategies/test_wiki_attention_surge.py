"""Page views against a habit by weekday: small worlds whose scores can be derived by hand."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pytest

from strategies.catalog.wiki_attention_surge import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

MONDAY = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
NEWEST = date(2021, 3, 14)
SPAN = 63
FLOOR = 0.1


def series(habit: float, recent: float | Sequence[float]) -> list[float]:
    """56 days of a constant number of views and 7 recent ones."""
    return [habit] * 56 + ([recent] * 7 if isinstance(recent, float) else list(recent))


def rows(symbol: str, views: Sequence[float | None], article: str = "", newest: date = NEWEST) -> list[dict[str, object]]:
    """A row for each day up to `newest` with views, known at the end of the next day."""
    made = []
    for place, count in enumerate(views):
        day = newest - timedelta(days=len(views) - 1 - place)
        if count is not None:
            end = datetime.combine(day + timedelta(days=1), time(0), UTC)
            row = {"symbol": symbol, "article": article or f"{symbol}_Inc.", "day": day, "views": int(count), "event_at": end}
            made.append(row | {"known_at": end + timedelta(hours=10), "row_key": f"{symbol}|{article}|{day}"})
    return made


def world(*told: list[dict[str, object]], members: Mapping[str, Sequence[str]] | None = None, price: float = 50.0) -> MemoryWorld:
    frame = pd.DataFrame([row for some in told for row in some])
    symbols = sorted(set(frame["symbol"]))
    closes = prices({symbol: [price] * 30 for symbol in symbols}, "2021-03-12")
    listed = {"sp500": symbols, "sp400": ["MID"], "sp600": ["SML"]} if members is None else members
    known = MONDAY - timedelta(days=400)
    indices = {index: [(symbol, known) for symbol in listed.get(index, ())] for index in ("sp500", "sp400", "sp600")}
    return MemoryWorld(closes=closes, adj_closes=closes, events={"wiki_pageviews": frame}, members=indices)


def test_a_week_at_thrice_the_usual_views_scores_its_log_in_units_of_the_least_deviation() -> None:
    targets = STRATEGY.run(world(rows("AAA", series(99, 299.0)), rows("BBB", series(99, 99.0))).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"AAA": math.log(300 / 100) / FLOOR})


def test_the_calm_of_weekends_and_its_end_are_no_surprise() -> None:
    weekly = [999.0] * 5 + [99.0] * 2
    quiet = rows("AAA", weekly * 9)
    assert STRATEGY.run(world(quiet).at(MONDAY)).weights.empty
    busy_weekend = rows("BBB", weekly * 8 + [999.0] * 7)
    expected = 2 / 7 * math.log(1000 / 100) / FLOOR
    assert STRATEGY.run(world(quiet, busy_weekend).at(MONDAY)).scores.to_dict() == pytest.approx({"BBB": expected})


def test_a_usual_weekend_is_compared_with_weekends_when_it_alone_is_judged() -> None:
    lively_weekends = rows("AAA", ([99.0] * 5 + [999.0] * 2) * 9)
    assert STRATEGY.run(world(lively_weekends).at(MONDAY), days=2).weights.empty


def test_a_noisy_article_needs_a_larger_rise_than_a_steady_one() -> None:
    noisy = [99.0 if week % 2 else 399.0 for week in range(8) for _ in range(7)]
    centre, distance = (math.log(100) + math.log(400)) / 2, (math.log(400) - math.log(100)) / 2
    expected = (math.log(1600) - centre) / (1.4826 * distance)
    targets = STRATEGY.run(world(rows("AAA", noisy + [1599.0] * 7), rows("BBB", series(199, 399.0))).at(MONDAY))
    assert targets.scores.to_dict() == pytest.approx({"BBB": math.log(2) / FLOOR, "AAA": expected})
    assert list(targets.weights.index) == ["BBB", "AAA"]


def test_one_wild_day_among_the_weeks_before_changes_no_expectation() -> None:
    views = series(99, 299.0)
    views[-14] = 1_000_000.0
    assert STRATEGY.run(world(rows("AAA", views)).at(MONDAY)).scores["AAA"] == pytest.approx(math.log(3) / FLOOR)


def test_missing_days_are_not_days_without_readers() -> None:
    gaps: list[float | None] = list(series(99, 299.0))
    gaps[-3] = None
    gaps[5] = None
    gaps[20] = None
    assert STRATEGY.run(world(rows("AAA", gaps), rows("BBB", series(99, 99.0))).at(MONDAY)).scores["AAA"] == pytest.approx(
        math.log(3) / FLOOR
    )


def test_too_few_recent_days_or_weeks_of_habit_give_no_score() -> None:
    few_days: list[float | None] = [*series(99, 299.0)[:-7], 299.0, 299.0, 299.0, 299.0, None, None, None]
    three_weeks = series(99, 299.0)[-28:]
    full = rows("CCC", series(99, 299.0))
    targets = STRATEGY.run(world(rows("AAA", few_days), rows("BBB", three_weeks), full).at(MONDAY))
    assert list(targets.weights.index) == ["CCC"]


def test_few_usual_readers_are_no_base() -> None:
    told = world(rows("AAA", series(9, 299.0)))
    assert STRATEGY.run(told.at(MONDAY)).weights.empty
    assert list(STRATEGY.run(told.at(MONDAY), min_views=5.0).weights.index) == ["AAA"]


def test_a_smaller_rise_than_the_least_one_is_left() -> None:
    told = world(rows("AAA", series(99, 109.0)))
    score = math.log(1.1) / FLOOR
    assert 0 < score < 1
    assert STRATEGY.run(told.at(MONDAY)).weights.empty
    assert STRATEGY.run(told.at(MONDAY), min_score=0.0).scores["AAA"] == pytest.approx(score)


def test_the_newest_day_is_the_one_that_most_articles_have_and_today_is_never_one() -> None:
    today = NEWEST + timedelta(days=1)
    odd = rows("AAA", [*series(99, 299.0), 99_999.0], newest=today)
    for row in odd[-1:]:
        row["known_at"] = MONDAY - timedelta(hours=1)
    assert STRATEGY.run(world(odd).at(MONDAY)).scores["AAA"] == pytest.approx(math.log(3) / FLOOR)
    late = [rows(symbol, series(99, 299.0), newest=NEWEST - timedelta(days=3)) for symbol in ("AAA", "BBB", "CCC")]
    punctual = rows("DDD", [*series(99, 99.0), 99.0, 99.0, 99.0])
    assert set(STRATEGY.run(world(*late, punctual).at(MONDAY)).scores.round(9)) == {round(math.log(3) / FLOOR, 9)}


def test_views_that_end_a_week_ago_are_not_acted_on() -> None:
    targets = STRATEGY.run(world(rows("AAA", series(99, 299.0), newest=NEWEST - timedelta(days=7))).at(MONDAY))
    assert targets.weights.empty
    assert targets.skipped == {"wiki_pageviews": "no page views of the last 5 days"}


def test_views_known_later_do_not_count_yet() -> None:
    late = rows("AAA", series(99, 299.0))
    for row in late[-7:]:
        row["known_at"] = MONDAY + timedelta(minutes=1)
    told = world(late, rows("BBB", series(99, 99.0)))
    assert STRATEGY.run(told.at(MONDAY)).weights.empty
    assert list(STRATEGY.run(told.at(MONDAY + timedelta(hours=1))).weights.index) == ["AAA"]


def test_a_renamed_article_has_no_habit_to_rise_from() -> None:
    old = rows("AAA", [999.0] * 56, article="Old", newest=NEWEST - timedelta(days=7))
    new = rows("AAA", [2999.0] * 7, article="New")
    steady = rows("BBB", series(99, 99.0))
    assert STRATEGY.run(world(old, new, steady).at(MONDAY)).weights.empty


def test_a_second_article_does_not_add_to_the_first() -> None:
    main, other = rows("AAA", series(999, 999.0), article="Main"), rows("AAA", [None] * 56 + [499.0] * 7, article="Product")
    assert STRATEGY.run(world(main, other).at(MONDAY)).weights.empty


def test_the_most_read_article_speaks_for_a_company_beside_a_quiet_one() -> None:
    main, other = rows("AAA", series(999, 2999.0), article="Main"), rows("AAA", series(199, 199.0), article="Founder")
    assert STRATEGY.run(world(main, other).at(MONDAY)).scores.to_dict() == pytest.approx({"AAA": math.log(3) / FLOOR})


def test_share_classes_that_share_an_article_are_held_once() -> None:
    told = world(*(rows(symbol, series(99, 299.0), article="Letters") for symbol in ("GOOG", "GOOGL")))
    targets = STRATEGY.run(told.at(MONDAY))
    assert list(targets.weights.index) == ["GOOG"]
    assert targets.skipped["GOOGL"] == "stands on the same data as GOOG"


def test_only_members_of_the_day_count_and_an_index_without_members_is_named() -> None:
    told = world(rows("AAA", series(99, 299.0)), rows("OUT", series(99, 999.0)), members={"sp500": ["AAA"], "sp400": ["MID"]})
    targets = STRATEGY.run(told.at(MONDAY))
    assert list(targets.weights.index) == ["AAA"]
    assert targets.skipped == {"sp600": "no members of the index are known"}


def test_members_of_the_smaller_indices_count_too() -> None:
    members = {"sp500": ["AAA"], "sp400": ["BBB"], "sp600": ["CCC"]}
    told = world(*(rows(symbol, series(99, 299.0)) for symbol in ("AAA", "BBB", "CCC")), members=members)
    assert set(STRATEGY.run(told.at(MONDAY)).weights.index) == {"AAA", "BBB", "CCC"}


def test_thin_and_cheap_names_are_passed_over_with_a_reason() -> None:
    told = world(rows("AAA", series(99, 299.0)), price=0.5)
    assert STRATEGY.run(told.at(MONDAY)).skipped == {"AAA": "last close 0.50 USD is below 1.00 USD"}
    thin = STRATEGY.run(told.at(MONDAY), min_price=0.0)
    assert thin.weights.empty and "a day, less than 1,000,000 USD" in thin.skipped["AAA"]


def test_evidence_is_the_recent_days_and_the_days_of_the_medians() -> None:
    rng = np.random.default_rng(3)
    views = [*np.round(rng.lognormal(6.0, 0.3, 56)), *np.round(rng.lognormal(8.0, 0.3, 7))]
    targets = STRATEGY.run(world(rows("AAA", views)).at(MONDAY))
    evidence = targets.evidence
    recent = {f"AAA||{NEWEST - timedelta(days=back)}" for back in range(7)}
    assert set(evidence.loc[evidence["contribution"] > 0, "row_key"]) == recent
    assert len(evidence) == 7 + 2 * 7
    logs = np.log1p(np.asarray(views))
    medians = np.median(logs[:56].reshape(8, 7), axis=0)
    scale = 1.4826 * np.median(np.abs(logs[:56].reshape(8, 7) - medians))
    assert targets.scores["AAA"] == pytest.approx(float((logs[56:] - medians).mean() / scale))
    assert evidence["contribution"].sum() == pytest.approx(targets.scores["AAA"])


def test_fewer_names_than_five_leave_cash() -> None:
    told = world(*(rows(symbol, series(99, 299.0)) for symbol in ("AAA", "BBB")))
    assert STRATEGY.run(told.at(MONDAY)).weights.to_dict() == {"AAA": 0.2, "BBB": 0.2}
