"""Search interest and tone of news: small worlds whose scores can be derived by hand."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
import pytest

from strategies.catalog.trends_news import LEAST_RISE_SPREAD, LEAST_TONE_SPREAD, STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 14, 0, tzinfo=UTC)
TODAY = date(2021, 3, 1)
Rows = list[dict[str, object]]


def value(symbol: str, ago: int, number: float, batch: str, origin: str, *, partial: bool = False) -> dict[str, object]:
    day = TODAY - timedelta(days=ago)
    row = {"origin": origin, "batch": batch, "keyword": f"{symbol} stock", "symbol": symbol, "day": day, "value": number}
    stamps = {"event_at": datetime.combine(day, time(0), UTC), "known_at": ASOF - timedelta(hours=9)}
    return row | {"partial": partial} | stamps | {"row_key": f"{origin}|{batch}|{symbol}|{day}"}


def searched(symbol: str, before: float, now: float, *, newest: int = 1, batch: str = "") -> Rows:
    """One batch of Google's: 63 days at one value and 28 at another."""
    return [
        value(symbol, newest + back, now if back < 28 else before, batch or f"of {symbol}", "google") for back in reversed(range(28 + 63))
    ]


def page(ago: int, values: dict[str, float], others: float = 50.0) -> Rows:
    """One batch of Quiver's: a value of each of 40 other names beside those given."""
    at = ASOF - timedelta(days=ago, hours=3)
    told = [value(symbol, ago + 1, number, f"page {ago:03d}", "quiver") for symbol, number in values.items()]
    told += [value(f"Z{number:02d}", ago + 1, others, f"page {ago:03d}", "quiver") for number in range(40)]
    return [one | {"known_at": at} for one in told]


def story(symbol: str, tone: float, ago: float, headline: str = "", number: str = "", n_symbols: int = 1) -> dict[str, object]:
    at = ASOF - timedelta(days=ago)
    number = number or f"{symbol}{ago}"
    row = {"symbol": symbol, "news_id": number, "headline": headline or f"story {number}", "summary": "", "source": "", "url": ""}
    row |= {"n_symbols": n_symbols, "sentiment": tone, "created_at": at, "updated_at": at}
    return row | {"event_at": at, "known_at": at, "row_key": f"{number}|{symbol}"}


def praised(symbol: str, tones: Sequence[float] = (0.5, 0.5, 0.5)) -> Rows:
    return [story(symbol, tone, 2.0 + 4 * place) for place, tone in enumerate(tones)]


def world(searches: Sequence[Rows], news: Sequence[Rows], price: float = 50.0) -> MemoryWorld:
    frames = [pd.DataFrame([one for some in told for one in some]) for told in (searches, news)]
    symbols = sorted(set(frames[0]["symbol"]) | set(frames[1]["symbol"]))
    closes = prices({symbol: [price] * 30 for symbol in symbols}, "2021-02-26")
    return MemoryWorld(closes=closes, adj_closes=closes, events={"search_trends": frames[0], "news": frames[1]})


def score(rise: float, tone: float) -> float:
    """Of a name alone, whose units are the least ones."""
    return rise / LEAST_RISE_SPREAD + tone / LEAST_TONE_SPREAD


def test_a_rise_within_a_batch_and_the_tone_of_stories_add_up() -> None:
    told = world([searched("AAA", 40, 60)], [praised("AAA", (0.1, 0.2, 0.6))])
    assert STRATEGY.run(told.at(ASOF)).scores.to_dict() == pytest.approx({"AAA": score(0.5, 0.3)})


def test_units_are_the_spread_across_names() -> None:
    rises = {"AAA": 44, "BBB": 48, "CCC": 56}
    told = world([searched(symbol, 40, now) for symbol, now in rises.items()], [praised(symbol) for symbol in rises])
    unit = 1.4826 * 0.1
    expected = {symbol: (now / 40 - 1) / unit + 0.5 / LEAST_TONE_SPREAD for symbol, now in rises.items()}
    assert STRATEGY.run(told.at(ASOF)).scores.to_dict() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("now", "tones"), [(40.0, (0.5, 0.5, 0.5)), (41.0, (0.5, 0.5, 0.5)), (60.0, (-0.5, -0.5, 0.4)), (60.0, (0.04, 0.04, 0.04))]
)
def test_both_have_to_speak_for_a_name(now: float, tones: tuple[float, ...]) -> None:
    assert STRATEGY.run(world([searched("AAA", 40, now)], [praised("AAA", tones)]).at(ASOF)).weights.empty


def test_levels_of_two_batches_are_not_compared() -> None:
    older = [value("AAA", ago, 5, "older", "google") for ago in range(120, 29, -1)]
    steady = [value("AAA", ago, 80, "newest", "google") for ago in range(91, 0, -1)]
    assert STRATEGY.run(world([older, steady], [praised("AAA")]).at(ASOF)).weights.empty


def test_of_several_batches_the_one_that_reaches_nearest_to_today_counts() -> None:
    old = [one | {"known_at": ASOF - timedelta(days=4)} for one in searched("AAA", 80, 40, newest=5, batch="old")]
    targets = STRATEGY.run(world([old, searched("AAA", 40, 60, batch="new")], [praised("AAA")]).at(ASOF))
    assert targets.scores.to_dict() == pytest.approx({"AAA": score(0.5, 0.5)})
    searches = targets.evidence[targets.evidence["dataset"] == "search_trends"]
    assert len(searches) == 91 and all("|new|" in key for key in searches["row_key"])


def test_a_day_that_was_not_over_does_not_count() -> None:
    rows = searched("AAA", 40, 60)
    rows[-1] = value("AAA", 1, 0, "of AAA", "google", partial=True)
    targets = STRATEGY.run(world([rows], [praised("AAA")]).at(ASOF))
    rise = (27 * 60 + 40) / 28 / 40 - 1
    assert targets.scores.to_dict() == pytest.approx({"AAA": score(rise, 0.5)})


def test_old_batches_are_not_acted_on() -> None:
    assert STRATEGY.run(world([searched("AAA", 40, 60, newest=11)], [praised("AAA")]).at(ASOF)).weights.empty
    assert not STRATEGY.run(world([searched("AAA", 40, 60, newest=10)], [praised("AAA")]).at(ASOF)).weights.empty


def test_a_name_that_hardly_anyone_searched_for_has_no_rise() -> None:
    rare = [value("AAA", ago, 100 if ago < 8 else 0, "of AAA", "google") for ago in range(91, 0, -1)]
    assert STRATEGY.run(world([rare], [praised("AAA")]).at(ASOF)).weights.empty


def test_pages_of_many_names_are_compared_by_their_means_alone() -> None:
    """Everything on the newer pages is twice as high: only AAA rose beside that."""
    old = [page(ago, {"AAA": 50.0, "BBB": 50.0}, others=50.0) for ago in range(30, 100, 4)]
    new = [page(ago, {"AAA": 100.0, "BBB": 80.0}, others=80.0) for ago in range(2, 28, 4)]
    targets = STRATEGY.run(world([*old, *new], [praised("AAA"), praised("BBB")]).at(ASOF), min_rise=0.0)
    mean = (100 + 80 * 41) / 42
    rise = 100 / mean - 1
    assert list(targets.weights.index) == ["AAA"]
    tone_and_rise = targets.evidence.groupby("dataset")["contribution"].sum()
    unit = max(1.4826 * (rise - (80 / mean - 1)) / 2, LEAST_RISE_SPREAD)
    assert tone_and_rise["search_trends"] == pytest.approx(rise / unit)


def test_pages_need_a_past_of_two_weeks_and_twenty_names() -> None:
    new = [page(ago, {"AAA": 90.0}) for ago in range(1, 28, 4)]
    young = [page(ago, {"AAA": 50.0}) for ago in range(29, 40, 3)]
    assert STRATEGY.run(world([*new, *young], [praised("AAA")]).at(ASOF)).weights.empty
    older = [page(ago, {"AAA": 50.0}) for ago in range(29, 46, 4)]
    assert not STRATEGY.run(world([*new, *older], [praised("AAA")]).at(ASOF)).weights.empty
    few = [[one for one in rows if one["symbol"] in ("AAA", "Z01", "Z02")] for rows in (*new, *older)]
    assert STRATEGY.run(world(few, [praised("AAA")]).at(ASOF)).weights.empty


def test_a_story_about_many_names_says_less_of_each_and_one_about_a_crowd_nothing() -> None:
    news = [
        story("AAA", 0.8, 2, n_symbols=1),
        story("AAA", 0.2, 6, n_symbols=4),
        story("AAA", 0.4, 9, n_symbols=2),
        story("AAA", -1.0, 12, n_symbols=6),
    ]
    tone = (0.8 + 0.2 / 4 + 0.4 / 2) / (1 + 1 / 4 + 1 / 2)
    told = world([searched("AAA", 40, 60)], [news])
    assert STRATEGY.run(told.at(ASOF)).scores.to_dict() == pytest.approx({"AAA": score(0.5, tone)})


def test_a_story_told_again_within_three_days_counts_once() -> None:
    again = [story("AAA", 0.9, ago, "Shares surge", str(ago)) for ago in (4.0, 5.0, 7.5)]
    other = [story("AAA", 0.1, ago) for ago in (10.0, 15.0)]
    targets = STRATEGY.run(world([searched("AAA", 40, 60)], [again, other]).at(ASOF))
    assert targets.scores.to_dict() == pytest.approx({"AAA": score(0.5, (0.9 + 0.1 + 0.1) / 3)})
    assert "7.5|AAA" in set(targets.evidence["row_key"])
    assert STRATEGY.run(world([searched("AAA", 40, 60)], [again]).at(ASOF)).weights.empty


def test_a_headline_that_returns_later_is_another_story() -> None:
    weekly = [story("AAA", 0.4, ago, "What to know this week", str(ago)) for ago in (1.0, 8.0, 15.0)]
    assert not STRATEGY.run(world([searched("AAA", 40, 60)], [weekly]).at(ASOF)).weights.empty


def test_news_of_longer_ago_and_rewritten_old_stories_do_not_count() -> None:
    old = [story("AAA", 0.9, 31 + n) | {"known_at": ASOF - timedelta(days=1)} for n in range(3)]
    assert STRATEGY.run(world([searched("AAA", 40, 60)], [old]).at(ASOF)).weights.empty


def test_few_stories_are_no_press() -> None:
    told = world([searched("AAA", 40, 60)], [praised("AAA", (0.5, 0.5))])
    assert STRATEGY.run(told.at(ASOF)).weights.empty
    assert not STRATEGY.run(told.at(ASOF), min_articles=2).weights.empty


def test_what_becomes_known_later_does_not_count_yet() -> None:
    late = [one | {"known_at": ASOF + timedelta(hours=1)} for one in praised("AAA")]
    assert STRATEGY.run(world([searched("AAA", 40, 60)], [late, praised("BBB")]).at(ASOF)).weights.empty


def test_evidence_of_both_datasets_sums_to_the_score() -> None:
    targets = STRATEGY.run(world([searched("AAA", 40, 60)], [praised("AAA")]).at(ASOF))
    by_dataset = targets.evidence.groupby("dataset")["contribution"].sum().to_dict()
    assert by_dataset == pytest.approx({"search_trends": 0.5 / LEAST_RISE_SPREAD, "news": 0.5 / LEAST_TONE_SPREAD})


def test_cheap_and_thin_names_are_passed_over() -> None:
    told = world([searched("AAA", 40, 60)], [praised("AAA")], price=0.5)
    assert STRATEGY.run(told.at(ASOF)).skipped == {"AAA": "last close 0.50 USD is below 1.00 USD"}
    assert "less than 1,000,000 USD" in STRATEGY.run(told.at(ASOF), min_price=0.0).skipped["AAA"]
