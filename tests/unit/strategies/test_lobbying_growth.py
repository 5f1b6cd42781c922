"""Growth of lobbying, on reports small enough to add up by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import pytest

from scrapers.sources.lobbying import LobbyingReport
from strategies.base import Targets
from strategies.catalog.lobbying_growth import STRATEGY, newest_due
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 14, 0, tzinfo=UTC)
"""The first session of March: the fourth quarter of 2020 against the third."""
FRIDAY = "2021-02-26"
OLD, NEW = (2020, 3), (2020, 4)
FILED = {(2020, 2): date(2020, 7, 19), OLD: date(2020, 10, 19), NEW: date(2021, 1, 19)}
NAMES = tuple(f"N{number:02d}" for number in range(25))


def report(symbol: str | None, quarter: tuple[int, int], usd: float | None, registrant: str = "Firm", **given: Any) -> dict[str, Any]:
    """A firm's report at LDA.gov, the day before it was due."""
    year, period = quarter
    filed = given.get("filed_date", FILED[quarter])
    plain = {"client": f"{symbol} Inc.", "registrant": registrant, "in_house": False, "kind": "report", "origin": "lda"}
    said = {"report_id": f"{registrant}/{symbol}/{year}/{period}", "period_year": year, "period": period, "filed_date": filed}
    return plain | said | {"symbol": symbol, "amount_usd": usd, "known_at": datetime.combine(filed, time(15), UTC)} | given


def quiver(symbol: str, filed: date, usd: float | None, registrant: str = "Firm", **given: Any) -> dict[str, Any]:
    """The same at Quiver, which names no quarter."""
    own = {"origin": "quiver", "period_year": None, "period": None, "filed_date": filed, "report_id": f"{registrant}{filed}{usd}"}
    return report(symbol, NEW, usd, registrant, **(own | given))


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = [field.name for field in fields(LobbyingReport)]
    plain = dict.fromkeys(names, "") | {"occurrence": 0, "filed_at": None}
    made = []
    for number, row in enumerate(rows):
        own = {name: value for name, value in row.items() if name in names}
        stamps = {"row_key": row.get("row_key", f"R{number:03d}"), "event_at": row["known_at"], "known_at": row["known_at"]}
        made.append(asdict(LobbyingReport(**(plain | own))) | stamps)
    return pd.DataFrame(made, columns=[*names, "row_key", "event_at", "known_at"])


def run(rows: Sequence[Mapping[str, Any]], *, asof: datetime = ASOF, volumes: Mapping[str, float] | None = None, **params: Any) -> Targets:
    closes = prices({name: [50.0] * 60 for name in NAMES}, FRIDAY)
    volume = None if volumes is None else closes * 0.0 + pd.Series(dict.fromkeys(NAMES, 1000000.0) | dict(volumes))
    world = MemoryWorld(closes=closes, adj_closes=closes, events={"lobbying": frame(rows)}, volumes=volume)
    return STRATEGY.run(world.at(asof), **params)


def growth(targets: Targets) -> dict[str, float]:
    return {str(symbol): round(float(score), 12) for symbol, score in targets.scores.items()}


def pair(symbol: str, old: float | None, new: float | None, registrant: str = "Firm", **given: Any) -> list[dict[str, Any]]:
    return [report(symbol, OLD, old, registrant, **given), report(symbol, NEW, new, registrant, **given)]


def test_the_score_is_the_growth_of_spending_from_quarter_to_quarter_by_report() -> None:
    targets = run([*pair("N00", 100e3, 130e3, "A"), *pair("N00", 100e3, 170e3, "B"), *pair("N01", 100e3, 90e3)])
    assert growth(targets) == {"N00": 0.5}
    parts = targets.evidence.set_index("row_key")["contribution"].to_dict()
    assert parts == pytest.approx({"R000": -0.5, "R001": 0.65, "R002": -0.5, "R003": 0.85})


def test_the_twenty_that_grew_most_are_held_equally_and_few_leave_cash() -> None:
    rows = [row for number, name in enumerate(NAMES) for row in pair(name, 100e3, 110e3 + 1e3 * number)]
    weights = run(rows).weights
    assert list(weights.index) == list(NAMES[:4:-1])
    assert set(weights) == {0.05}
    assert run(pair("N00", 100e3, 200e3)).weights.to_dict() == {"N00": 0.1}


def test_a_small_base_is_no_base() -> None:
    rows = [*pair("N00", 49e3, 1e6), *pair("N01", 50e3, 60e3)]
    assert growth(run(rows)) == {"N01": 0.2}
    assert growth(run(rows, min_base_usd=20e3)) == {"N00": round(1e6 / 49e3 - 1, 12), "N01": 0.2}


@pytest.mark.parametrize(
    ("today", "quarter"),
    [
        (date(2021, 1, 20), (2020, 3)),  # the fourth quarter is due today
        (date(2021, 1, 21), (2020, 4)),
        (date(2021, 4, 1), (2020, 4)),
        (date(2019, 1, 22), (2018, 4)),
        (date(2019, 10, 21), (2019, 2)),  # 20 October was a Sunday: due on Monday, today
        (date(2019, 10, 22), (2019, 3)),
    ],
)
def test_a_quarter_counts_once_its_reports_were_due(today: date, quarter: tuple[int, int]) -> None:
    assert newest_due(today) == 4 * quarter[0] + quarter[1] - 1


def test_before_the_due_date_the_quarters_before_are_compared() -> None:
    early = report("N00", NEW, 900e3, filed_date=date(2021, 1, 10))
    rows = [report("N00", (2020, 2), 100e3), report("N00", OLD, 150e3), early]
    assert growth(run(rows, asof=datetime(2021, 1, 15, 14, tzinfo=UTC))) == {"N00": 0.5}
    assert growth(run(rows)) == {"N00": 5.0}


def test_a_quarter_that_half_of_the_companies_have_not_reported_is_not_compared() -> None:
    told = [report(name, quarter, 100e3 * quarter[1]) for name in NAMES[:5] for quarter in ((2020, 2), OLD)]
    told[0] = report(NAMES[0], (2020, 2), 200e3, filed_date=date(2020, 6, 20))  # of a registrant that ended its work in the quarter
    partly = [report(name, NEW, 900e3) for name in NAMES[:2]]
    assert growth(run([*told, *partly])) == dict.fromkeys(NAMES[:5], 0.5)
    nothing = run([*[row for row in told if row["period"] == 2], *partly])
    assert nothing.weights.empty and "lobbying" in nothing.skipped


def test_an_own_report_already_includes_the_firms() -> None:
    own = pair("N00", 200e3, 300e3, "N00 Inc.", in_house=True)
    firms = pair("N00", 50e3, 500e3)
    assert growth(run([*own, *firms])) == {"N00": 0.5}


def test_an_own_report_in_one_of_the_quarters_alone_is_not_set_against_firms() -> None:
    firms = pair("N00", 100e3, 120e3)
    assert growth(run([*firms, report("N00", NEW, 900e3, "N00 Inc.", in_house=True)])) == {"N00": 0.2}
    assert growth(run([*firms, report("N00", NEW, None, "N00 Inc.", in_house=True)])) == {"N00": 0.2}


def test_an_amendment_replaces_its_report_wherever_it_is_told() -> None:
    amended = [*pair("N00", 100e3, 110e3), report("N00", NEW, 180e3, row_key="R001", kind="amendment", filed_date=date(2021, 2, 10))]
    assert growth(run(amended)) == {"N00": 0.8}
    told = [quiver("N00", FILED[OLD], 100e3), quiver("N00", FILED[NEW], 110e3), quiver("N00", date(2021, 2, 10), 180e3, row_key="A")]
    assert growth(run(told)) == {"N00": 0.8}


def test_an_amendment_that_is_not_yet_known_changes_nothing() -> None:
    later = report("N00", NEW, 900e3, row_key="R001", known_at=ASOF + timedelta(hours=1))
    assert growth(run([*pair("N00", 100e3, 110e3), later])) == {"N00": 0.1}


def test_a_row_without_a_quarter_is_about_the_one_before_it_was_filed() -> None:
    told = [quiver("N00", date(2020, 11, 30), 100e3), quiver("N00", date(2021, 1, 1), 125e3)]
    assert growth(run(told)) == {"N00": 0.25}


def test_what_two_origins_tell_of_counts_once() -> None:
    both = [*pair("N00", 100e3, 150e3), quiver("N00", FILED[OLD], 100e3), quiver("N00", FILED[NEW], 150e3)]
    targets = run(both)
    assert growth(targets) == {"N00": 0.5}
    assert set(targets.evidence["row_key"]) == {"R000", "R001"}


def test_the_origin_that_tells_more_of_both_quarters_counts_alone() -> None:
    one = pair("N00", 100e3, 400e3, "A")
    more = [quiver("N00", FILED[q], usd, firm) for firm in ("A", "B") for q, usd in ((OLD, 100e3), (NEW, 150e3))]
    assert growth(run([*one, *more])) == {"N00": 0.5}
    one_sided = [quiver("N00", FILED[NEW], 500e3, firm) for firm in ("A", "B", "C")]
    assert growth(run([*one, *one_sided])) == {"N00": 3.0}


def test_amounts_below_the_threshold_and_rows_of_nobody_are_no_money() -> None:
    rows = [*pair("N00", 100e3, 120e3, "A"), *pair("N00", None, None, "B"), *pair("N00", 100e3, None, "C"), *pair(None, 100e3, 900e3)]
    assert growth(run(rows)) == {}
    assert growth(run(rows[:4])) == {"N00": 0.2}


def test_thin_names_are_passed_over_with_their_reason() -> None:
    rows = [*pair("N00", 100e3, 300e3), *pair("N01", 100e3, 200e3)]
    targets = run(rows, volumes={"N00": 100.0})
    assert list(targets.weights.index) == ["N01"]
    assert "USD a day" in targets.skipped["N00"]
