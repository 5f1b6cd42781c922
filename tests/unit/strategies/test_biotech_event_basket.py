"""Events of drug makers, a few at a time, and the basket that is held ahead of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scrapers.sources.biotech_events import BiotechEvent
from strategies.base import Targets
from strategies.catalog.biotech_event_basket import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 14, 0, tzinfo=UTC)
TODAY = date(2021, 3, 1)
FRIDAY = "2021-02-26"
PUBLISHED = date(2021, 1, 11)
NAMES = ("AAA", "BBB", "CCC", *(f"N{number:02d}" for number in range(10)))


def event(kind: str, symbol: str | None, day: date | None, **given: Any) -> dict[str, Any]:
    """An announced event, told on 11 January and known on the day after what it bears as its day of publication."""
    published = given.get("published", PUBLISHED)
    known = datetime(published.year, published.month, published.day, 5, tzinfo=UTC) + timedelta(days=1)
    plain = {"date_precision": "day", "date_type": "announced", "status": "announced", "published": published, "known_at": known}
    return {"kind": kind, "symbol": symbol, "event_date": day} | plain | given


def trial(symbol: str, day: date, **given: Any) -> dict[str, Any]:
    plain = {"status": "ACTIVE_NOT_RECRUITING", "phase": "PHASE3", "date_type": "estimated", "reference_id": f"NCT-{symbol}-{day}"}
    return event("trial_completion", symbol, day, **(plain | given))


def days_ahead(days: int) -> date:
    return TODAY + timedelta(days=days)


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = [field.name for field in fields(BiotechEvent)]
    plain = dict.fromkeys(names, "") | {"occurrence": 0}
    made = []
    for number, row in enumerate(rows):
        own = {name: value for name, value in row.items() if name in names}
        stamps = {"row_key": row.get("row_key", f"R{number:03d}"), "event_at": row["known_at"], "known_at": row["known_at"]}
        made.append(asdict(BiotechEvent(**(plain | own))) | stamps)
    return pd.DataFrame(made, columns=[*names, "row_key", "event_at", "known_at"])


def zigzag(move: float, sessions: int = 80) -> list[float]:
    """A price that goes up by a fraction and back again: its volatility grows with the fraction."""
    return [100.0 * (1.0 + move) ** (number % 2) for number in range(sessions)]


def run(
    rows: Sequence[Mapping[str, Any]],
    *,
    moves: Mapping[str, float] | None = None,
    paths: Mapping[str, Sequence[float]] | None = None,
    sectors: Mapping[str, str] | None = None,
    volumes: Mapping[str, float] | None = None,
    **params: Any,
) -> Targets:
    closes = prices({name: (paths or {}).get(name, zigzag((moves or {}).get(name, 0.01))) for name in NAMES}, FRIDAY)
    volume = None if volumes is None else closes * 0.0 + pd.Series(dict.fromkeys(NAMES, 1000000.0) | dict(volumes))
    events = {"biotech_events": frame(rows)}
    world = MemoryWorld(closes=closes, adj_closes=closes, events=events, sectors=sectors or {}, volumes=volume)
    return STRATEGY.run(world.at(ASOF), **params)


def held(rows: Sequence[Mapping[str, Any]], **params: Any) -> set[str]:
    """The keys of the rows on which the basket stands."""
    return set(run(rows, **params).evidence["row_key"])


def test_the_score_counts_the_events_ahead_the_nearer_the_more() -> None:
    rows = [event("pdufa", "AAA", TODAY), event("adcom", "AAA", days_ahead(30)), trial("BBB", days_ahead(90)), trial("CCC", days_ahead(91))]
    targets = run(rows)
    assert targets.scores.to_dict() == pytest.approx({"AAA": 1.0 + 61 / 91, "BBB": 1 / 91})
    assert targets.evidence.set_index("row_key")["contribution"].to_dict() == pytest.approx({"R000": 1.0, "R001": 61 / 91, "R002": 1 / 91})


def test_names_are_held_at_equal_risk_and_few_leave_cash() -> None:
    rows = [event("pdufa", "AAA", days_ahead(9)), event("pdufa", "BBB", days_ahead(10))]
    targets = run(rows, moves={"AAA": 0.01, "BBB": 0.03}, max_weight=1.0)
    # The returns of each path alternate between m and -m / (1 + m): their spread goes with m + m / (1 + m).
    risks = {name: move + move / (1 + move) for name, move in (("AAA", 0.01), ("BBB", 0.03))}
    assert targets.weights.sum() == pytest.approx(0.2)
    assert targets.weights["AAA"] / targets.weights["BBB"] == pytest.approx(risks["BBB"] / risks["AAA"])


def test_no_name_is_more_than_a_tenth() -> None:
    rows = [event("pdufa", name, days_ahead(9)) for name in NAMES]
    weights = run(rows, moves={"AAA": 0.001}).weights
    assert weights["AAA"] == pytest.approx(0.1)
    assert weights.drop("AAA").to_list() == pytest.approx([0.9 / 12] * 12)


def test_an_event_is_left_after_its_day() -> None:
    assert held([event("pdufa", "AAA", TODAY)]) == {"R000"}
    assert held([event("pdufa", "AAA", days_ahead(-1))]) == set()


def test_an_event_known_to_the_month_is_ahead_until_the_month_is_over() -> None:
    assert held([event("pdufa", "AAA", date(2021, 3, 1), date_precision="month")]) == {"R000"}
    assert held([event("pdufa", "AAA", date(2021, 2, 1), date_precision="month")]) == set()
    # Its last day, 31 May, is 91 days ahead.
    assert held([event("pdufa", "AAA", date(2021, 5, 1), date_precision="month")]) == set()


@pytest.mark.parametrize(
    "given",
    [
        {"status": "TERMINATED"},
        {"status": "WITHDRAWN"},
        {"status": "SUSPENDED"},
        {"status": "COMPLETED"},
        {"date_type": "actual"},
        {"phase": "PHASE2"},
        {"symbol": None},
        {"event_date": None},
        {"known_at": ASOF + timedelta(seconds=1)},
    ],
)
def test_trials_that_stopped_or_ended_or_are_early_are_no_catalyst(given: dict[str, Any]) -> None:
    assert held([trial("AAA", days_ahead(20)), trial("BBB", days_ahead(20)) | given]) == {"R000"}


def test_which_trials_count_is_a_parameter() -> None:
    rows = [trial("AAA", days_ahead(20), phase="PHASE2"), trial("BBB", days_ahead(20), phase="PHASE2/PHASE3")]
    assert held(rows) == {"R001"}
    assert held(rows, trials="all") == {"R000", "R001"}
    assert held(rows, trials="none") == set()


def test_the_newest_version_of_a_trial_counts() -> None:
    first = trial("AAA", days_ahead(20), row_key="T")
    later = trial("AAA", days_ahead(200), row_key="T", published=date(2021, 2, 11))
    assert held([first]) == {"T"}
    assert held([first, later]) == set()


def test_a_date_that_a_later_document_puts_off_by_three_months_is_replaced() -> None:
    first = event("pdufa", "AAA", days_ahead(10))
    assert held([first, event("pdufa", "AAA", days_ahead(100), published=date(2021, 2, 11))]) == set()
    assert held([first, event("pdufa", "AAA", days_ahead(80), published=date(2021, 2, 11))]) == {"R001"}


def test_dates_told_together_or_far_apart_are_those_of_two_products() -> None:
    first = event("pdufa", "AAA", days_ahead(10))
    assert held([first, event("pdufa", "AAA", days_ahead(80))]) == {"R000", "R001"}
    assert held([first, event("pdufa", "AAA", days_ahead(120), published=date(2021, 2, 11))], horizon_days=200) == {"R000", "R001"}
    again = event("pdufa", "AAA", days_ahead(10), published=date(2021, 2, 11))
    assert held([first, event("pdufa", "AAA", days_ahead(80), published=date(2021, 2, 11)), again]) == {"R001", "R002"}


def test_an_event_that_is_told_again_counts_once_by_its_newest_row() -> None:
    again = event("adcom", "AAA", days_ahead(10), published=date(2021, 2, 11), origin="edgar_8k")
    assert run([event("adcom", "AAA", days_ahead(10)), again]).scores.to_dict() == pytest.approx({"AAA": 81 / 91})
    assert held([event("adcom", "AAA", days_ahead(10)), again]) == {"R001"}


def test_a_month_that_is_told_of_an_event_whose_day_is_known_adds_nothing() -> None:
    exact = event("pdufa", "AAA", date(2021, 4, 15))
    loose = event("pdufa", "AAA", date(2021, 4, 1), date_precision="month", published=date(2021, 2, 11))
    assert held([exact, loose]) == {"R000"}


@pytest.mark.parametrize("kind", ["approval", "complete_response"])
def test_a_decision_closes_the_next_date_that_was_announced_before_it(kind: str) -> None:
    early = event(kind, "AAA", date(2021, 2, 17), published=date(2021, 2, 17), date_type="actual")
    told = [event("pdufa", "AAA", days_ahead(10)), event("pdufa", "AAA", days_ahead(80))]
    assert held([*told, early]) == {"R001"}
    assert held([event("pdufa", "AAA", days_ahead(120)), early], horizon_days=200) == {"R000"}  # 132 days after it: another decision
    other = early | {"symbol": "BBB"}
    assert held([*told, other]) == {"R000", "R001"}
    resubmitted = event("pdufa", "AAA", days_ahead(60), published=date(2021, 2, 20))
    assert held([told[0], early, resubmitted]) == {"R002"}


def test_a_release_that_repeats_the_date_after_the_decision_does_not_open_it_again() -> None:
    decision = event("approval", "AAA", date(2021, 2, 17), published=date(2021, 2, 17), date_type="actual")
    repeated = event("pdufa", "AAA", days_ahead(10), published=date(2021, 2, 18))
    assert held([event("pdufa", "AAA", days_ahead(10)), decision, repeated]) == set()


def test_a_meeting_that_is_called_off_is_no_catalyst() -> None:
    told = event("adcom", "AAA", days_ahead(10), product="Drugs Advisory Committee; Notice of Meeting")
    off = event(
        "adcom", "AAA", days_ahead(10), product="Drugs Advisory Committee; Notice of Meeting; Cancellation", published=date(2021, 2, 11)
    )
    assert held([told]) == {"R000"}
    assert held([told, off]) == set()


def test_what_nobody_has_repeated_for_more_than_a_year_is_out() -> None:
    assert held([trial("AAA", days_ahead(20), published=date(2020, 1, 20))]) == set()


def test_a_company_with_many_events_hangs_on_none_of_them() -> None:
    rows = [trial("AAA", days_ahead(10 + number)) for number in range(7)] + [trial("BBB", days_ahead(20))]
    targets = run(rows)
    assert list(targets.weights.index) == ["BBB"]
    assert targets.skipped["AAA"].startswith("7 events ahead")
    assert set(run(rows, max_events=7).weights.index) == {"AAA", "BBB"}


def test_names_known_to_belong_to_another_sector_are_out_and_unknown_ones_in() -> None:
    rows = [trial(name, days_ahead(20)) for name in ("AAA", "BBB", "CCC")]
    assert set(run(rows, sectors={"AAA": "Industrials", "BBB": "Health Care"}).weights.index) == {"BBB", "CCC"}


def test_names_without_a_measurable_risk_or_without_volume_are_passed_over_with_the_reason() -> None:
    rows = [event("pdufa", name, days_ahead(9)) for name in ("AAA", "BBB", "CCC", "N00")]
    paths = {"AAA": [100.0] * 80, "BBB": [np.nan] * 50 + zigzag(0.01, 30)}
    targets = run(rows, paths=paths, volumes={"CCC": 10.0})
    assert list(targets.weights.index) == ["N00"]
    assert targets.skipped["AAA"] == "its price never moves"
    assert targets.skipped["BBB"] == "34 of 64 sessions have no price"
    assert "USD a day" in targets.skipped["CCC"]
