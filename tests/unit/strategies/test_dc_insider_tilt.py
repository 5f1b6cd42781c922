"""DC insider tilt, on a handful of scores."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from strategies.base import Targets
from strategies.catalog.dc_insider_tilt import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
TODAY = date(2021, 3, 15)
FRIDAY = "2021-03-12"
COLUMNS = ("symbol", "score_date", "score", "rank", "origin", "row_key", "event_at", "known_at")


def told(symbol: str, score: float | None, days_ago: int = 0, origin: str = "own", **cells: Any) -> dict[str, Any]:
    """A score of a day at six in the morning of New York, and known then."""
    known = datetime(2021, 3, 15, 10, tzinfo=UTC) - timedelta(days=days_ago)
    day = TODAY - timedelta(days=days_ago)
    return {
        "symbol": symbol, "score_date": day, "score": score, "rank": None, "origin": origin, "row_key": f"{symbol} {day} {origin}",
        "event_at": known, "known_at": known,
    } | cells  # fmt: skip


def run(rows: Sequence[Mapping[str, Any]], closes: Mapping[str, float] | None = None, **params: Any) -> Targets:
    named = closes if closes is not None else {str(row["symbol"]): 50.0 for row in rows if row["symbol"]}
    bars = prices({symbol: [close] * 25 for symbol, close in sorted(named.items())}, FRIDAY)
    events = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"score": "float64"})
    always = datetime(2015, 1, 1, tzinfo=UTC)
    members = {"sp500": [("AAA", always)], "sp400": [("BBB", always), ("DDD", ASOF + timedelta(days=1))], "sp600": []}
    return STRATEGY.run(MemoryWorld(closes=bars, adj_closes=bars, events={"dc_insider_scores": events}, members=members).at(ASOF), **params)


def scores(targets: Targets) -> dict[str, float]:
    return {str(symbol): float(score) for symbol, score in targets.scores.items()}


def test_the_highest_scores_are_held_in_proportion_to_score() -> None:
    targets = run([told(f"N{i:02d}", 60.0 + i) for i in range(35)])
    assert list(targets.weights.index) == [f"N{i:02d}" for i in reversed(range(5, 35))]
    # 65 to 94 are 30 scores, 2,385 in all.
    assert targets.weights["N34"] == pytest.approx(94 / 2385) and targets.weights.sum() == pytest.approx(1.0)


def test_each_score_is_its_own_evidence() -> None:
    targets = run([told("AAA", 80.0), told("BBB", 60.0)])
    assert targets.evidence.to_dict("records") == [
        {"dataset": "dc_insider_scores", "row_key": "AAA 2021-03-15 own", "symbol": "AAA", "contribution": 80.0},
        {"dataset": "dc_insider_scores", "row_key": "BBB 2021-03-15 own", "symbol": "BBB", "contribution": 60.0},
    ]


def test_the_newest_score_of_a_company_counts_and_not_its_highest() -> None:
    assert scores(run([told("AAA", 90.0, 7), told("AAA", 70.0), told("BBB", 80.0, 7)])) == {"BBB": 80.0, "AAA": 70.0}


def test_a_score_that_became_known_late_is_as_old_as_its_day() -> None:
    late = told("AAA", 90.0, 3) | {"known_at": ASOF - timedelta(hours=1)}
    assert scores(run([late, told("AAA", 70.0, 1)])) == {"AAA": 70.0}


def test_scores_older_than_ten_days_are_no_evidence() -> None:
    assert scores(run([told("AAA", 90.0, 10), told("BBB", 90.0, 11)])) == {"AAA": 90.0}
    assert scores(run([told("AAA", 90.0, 10)], max_age_days=9)) == {}
    assert scores(run([told("AAA", 90.0, 11) | {"known_at": ASOF - timedelta(days=1)}])) == {}


def test_scores_of_two_origins_are_never_mixed_and_quivers_go_first() -> None:
    both = [told("AAA", 60.0, 2, "quiver"), told("BBB", 90.0), told("AAA", 95.0)]
    assert scores(run(both)) == {"AAA": 60.0}


def test_our_own_scores_are_used_when_quivers_are_too_old() -> None:
    assert scores(run([told("AAA", 60.0, 11, "quiver"), told("BBB", 90.0)])) == {"BBB": 90.0}


def test_a_score_of_fifty_or_less_is_no_reason_to_hold() -> None:
    rows = [told("AAA", 50.0), told("BBB", 50.1), told("CCC", 20.0), told("DDD", None), told("EEE", np.inf)]
    assert scores(run(rows)) == {"BBB": 50.1}
    assert scores(run(rows, min_score=0.0)) == {"BBB": 50.1, "AAA": 50.0, "CCC": 20.0}


def test_a_name_that_cannot_be_traded_is_passed_over_with_the_reason() -> None:
    targets = run([told("GONE", 90.0), told("AAA", 80.0), told("BBB", 70.0)], {"AAA": 50.0, "BBB": 50.0}, top=1)
    assert scores(targets) == {"AAA": 80.0}
    assert targets.skipped == {"GONE": "no bar in the last 5 sessions"}


def test_names_outside_the_index_of_the_day_are_passed_over_where_one_is_asked_for() -> None:
    rows = [told(symbol, 90.0 - place) for place, symbol in enumerate(("DDD", "CCC", "BBB", "AAA"))]
    assert list(run(rows).weights.index) == ["DDD", "CCC", "BBB", "AAA"]
    narrow = run(rows, universe="sp500")
    assert list(narrow.weights.index) == ["AAA"]
    assert narrow.skipped == dict.fromkeys(("DDD", "CCC", "BBB"), "no member of sp500 on the day")
    # DDD joins the S&P 400 tomorrow.
    assert list(run(rows, universe="sp1500").weights.index) == ["BBB", "AAA"]


def test_an_index_that_was_never_imported_is_named() -> None:
    bars = prices({"AAA": [50.0] * 25}, FRIDAY)
    world = MemoryWorld(
        closes=bars,
        adj_closes=bars,
        events={"dc_insider_scores": pd.DataFrame([told("AAA", 90.0)], columns=list(COLUMNS))},
        members={"sp500": []},
    )
    targets = STRATEGY.run(world.at(ASOF), universe="sp500")
    assert targets.weights.empty and targets.skipped == {"sp500": "no members of the index are known"}


def test_few_names_leave_cash() -> None:
    assert run([told("AAA", 90.0), told("BBB", 90.0)]).weights.to_dict() == pytest.approx({"AAA": 0.1, "BBB": 0.1})
