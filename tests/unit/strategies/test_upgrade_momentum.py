"""Surges of upgrades, on statements few enough to count by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from scrapers.sources.analyst_ratings import AnalystRating
from strategies.base import Targets
from strategies.catalog.upgrade_momentum import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
FRIDAY = "2021-03-12"
NAMES = ("AAA", "BBB", "CCC", *(f"N{number:02d}" for number in range(22)))


def said(symbol: str | None, firm: str, action: str = "up", days_ago: float = 10, **given: Any) -> dict[str, Any]:
    at = ASOF - timedelta(days=days_ago)
    grades = {"up": ("Hold", "Buy"), "down": ("Buy", "Hold")}.get(action, ("Buy", "Buy"))
    plain = {"from_grade": grades[0], "to_grade": grades[1], "origin": "yahoo", "graded_at": at, "known_at": at}
    return {"symbol": symbol, "firm": firm, "action": action} | plain | given


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = [field.name for field in fields(AnalystRating)]
    plain = {"price_target": None, "prior_price_target": None, "occurrence": 0}
    made = []
    for number, row in enumerate(rows):
        own = {name: value for name, value in row.items() if name in names}
        stamps = {"row_key": row.get("row_key", f"R{number:03d}"), "event_at": row["graded_at"], "known_at": row["known_at"]}
        made.append(asdict(AnalystRating(**(plain | own))) | stamps)
    return pd.DataFrame(made, columns=[*names, "row_key", "event_at", "known_at"])


def run(rows: Sequence[Mapping[str, Any]], *, volumes: Mapping[str, float] | None = None, **params: Any) -> Targets:
    closes = prices({name: [50.0] * 25 for name in NAMES}, FRIDAY)
    volume = None if volumes is None else closes * 0.0 + pd.Series(dict.fromkeys(NAMES, 1000000.0) | dict(volumes))
    world = MemoryWorld(closes=closes, adj_closes=closes, events={"analyst_ratings": frame(rows)}, volumes=volume)
    return STRATEGY.run(world.at(ASOF), **params)


def surge(targets: Targets) -> dict[str, float]:
    return {str(symbol): round(float(score), 12) for symbol, score in targets.scores.items()}


def upgrades(symbol: str, count: int, **given: Any) -> list[dict[str, Any]]:
    return [said(symbol, f"House {number}", **given) for number in range(count)]


def test_the_score_is_the_net_of_the_month_less_what_the_name_is_used_to() -> None:
    # Four up and one down in the month; in the twelve months before six up and three down, a quarter a month.
    month = [*upgrades("AAA", 4), said("AAA", "House 9", "down")]
    before = [said("AAA", "House 1", "up", 45 + 30 * n) for n in range(6)] + [said("AAA", "House 2", "down", 45 + 30 * n) for n in range(3)]
    targets = run([*month, *before])
    assert surge(targets) == {"AAA": 2.75}
    parts = targets.evidence["contribution"].round(12).value_counts().to_dict()
    assert parts == {1.0: 4, -1.0: 1, round(-1 / 12, 12): 6, round(1 / 12, 12): 3}


@pytest.mark.parametrize(
    "row",
    [
        said("AAA", "Another", "init", from_grade=""),
        said("AAA", "Another", "reit", from_grade=""),
        said("AAA", "Another", "main", price_target=120.0, prior_price_target=100.0),
        said("AAA", "Another", "up", from_grade="Equal-Weight", to_grade="Equal Weight"),
        said("AAA", "Another", days_ago=400),
        said(None, "Another"),
        said("AAA", "Another", known_at=ASOF + timedelta(seconds=1)),
        said("AAA", "Another", days_ago=-1, known_at=ASOF - timedelta(days=1)),
    ],
)
def test_what_is_no_change_of_a_grade_by_now_does_not_count(row: dict[str, Any]) -> None:
    assert surge(run([*upgrades("AAA", 2), row])) == {"AAA": 2.0}


def test_a_grade_that_is_new_or_whose_former_one_is_not_told_counts_as_its_action_says() -> None:
    for after in ("Buy", ""):
        assert surge(run([*upgrades("AAA", 2), said("AAA", "Another", from_grade="", to_grade=after)])) == {"AAA": 3.0}


def test_a_firm_counts_once_for_each_direction_in_a_month() -> None:
    again = [said("AAA", "House 0", days_ago=5), said("AAA", "HOUSE 0, Inc.", days_ago=3)]
    assert surge(run([*upgrades("AAA", 3), *again])) == {"AAA": 3.0}
    back = said("AAA", "House 0", "down", days_ago=2)
    assert surge(run([*upgrades("AAA", 3), *again, back])) == {"AAA": 2.0}


def test_what_two_origins_tell_of_counts_once() -> None:
    one = upgrades("AAA", 3)
    other = [said("AAA", f"The {number}. House", origin="quiver") for number in range(2)]
    assert surge(run([*one, *other])) == {"AAA": 3.0}


def test_one_upgrade_alone_is_no_surge() -> None:
    assert surge(run(upgrades("AAA", 1))) == {}
    assert surge(run(upgrades("AAA", 1), min_net=1)) == {"AAA": 1.0}


def test_the_month_is_counted_from_the_day_of_the_grade_and_not_from_when_it_was_read() -> None:
    old = upgrades("AAA", 3, days_ago=40, known_at=ASOF - timedelta(days=1))
    assert surge(run(old)) == {}
    assert surge(run([*old, *upgrades("AAA", 2, days_ago=30)])) == {}
    assert surge(run([*old, *upgrades("AAA", 2, days_ago=29.9)])) == {"AAA": 1.75}


def test_the_window_is_a_parameter_and_the_usual_rate_follows_it() -> None:
    # Ninety days hold all three; in the twelve windows of ninety days before there are six.
    rows = [*upgrades("AAA", 3, days_ago=80), *[said("AAA", "House 1", days_ago=100 + 90 * n) for n in range(6)]]
    assert surge(run(rows, days=90)) == {"AAA": 2.5}


def test_twenty_names_are_held_by_score_below_the_cap() -> None:
    rows = [row for name in NAMES for row in upgrades(name, 2)] + upgrades("AAA", 8, days_ago=5)[2:]
    targets = run(rows)
    assert len(targets.weights) == 20 and targets.weights.index[0] == "AAA"
    # Eight of 46 parts are more than a tenth: the others share nine tenths.
    assert targets.weights["AAA"] == pytest.approx(0.1)
    assert targets.weights["BBB"] == pytest.approx(0.9 / 19)


def test_thin_names_are_passed_over_with_their_reason() -> None:
    targets = run([*upgrades("AAA", 3), *upgrades("BBB", 2)], volumes={"AAA": 100.0})
    assert targets.weights.to_dict() == {"BBB": 0.1}
    assert "USD a day" in targets.skipped["AAA"]
