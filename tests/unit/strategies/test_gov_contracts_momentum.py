"""Contracts relative to size, on actions small enough to add up by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from scrapers.sources.corporate_actions import CorporateAction
from scrapers.sources.fundamentals import Figure
from scrapers.sources.gov_contracts import GovContract
from strategies.base import Targets
from strategies.catalog.gov_contracts_momentum import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 14, 0, tzinfo=UTC)
"""The first session of March: contracts of February count."""
FRIDAY = "2021-02-26"
KNOWN = datetime(2021, 2, 20, 5, 0, tzinfo=UTC)
CLOSE, SHARES = 50.0, 10e6
CAPITAL = CLOSE * SHARES
NAMES = ("AAA", "BBB", "CCC")


def frame(kind: type, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of a dataset with its stamps; what is not given is empty text, zero or nothing by the type of the field."""
    plain = {"str": "", "int": 0, "float": 0.0, "bool": False}
    defaults = {field.name: plain.get(str(getattr(field.type, "__name__", field.type))) for field in fields(kind)}
    stamps = ("row_key", "event_at", "known_at")
    made = []
    for number, row in enumerate(rows):
        own = {name: value for name, value in row.items() if name not in stamps}
        known = row.get("known_at", KNOWN)
        told = {"row_key": row.get("row_key", f"R{number:03d}"), "event_at": row.get("event_at", known), "known_at": known}
        made.append(asdict(kind(**(defaults | own))) | told)
    return pd.DataFrame(made, columns=[*defaults, *stamps])


def award(symbol: str | None, usd: float, **given: Any) -> dict[str, Any]:
    """An action at USAspending on 10 February, which the public could know on the 15th."""
    plain = {"record_id": f"{symbol}{usd}", "action_date": date(2021, 2, 10), "period": "award", "origin": "usaspending"}
    return plain | {"symbol": symbol, "amount_usd": usd} | given


def announced(symbol: str, usd: float, on: date, **given: Any) -> dict[str, Any]:
    """An award at Quiver."""
    return award(symbol, usd, action_date=None, announced_date=on, origin="quiver", **given)


def shares(symbol: str, count: float = SHARES, filed: date = date(2021, 1, 20)) -> dict[str, Any]:
    plain = {"concept": "shares_outstanding", "unit": "shares", "form": "10-Q", "period_start": None, "fiscal_year": None}
    return plain | {"symbol": symbol, "value": count, "period_end": filed - timedelta(days=5), "filed": filed, "cik": symbol}


def run(
    rows: Sequence[Mapping[str, Any]],
    *,
    figures: Sequence[Mapping[str, Any]] | None = None,
    actions: Sequence[Mapping[str, Any]] = (),
    volumes: Mapping[str, float] | None = None,
    **params: Any,
) -> Targets:
    closes = prices({name: [CLOSE] * 25 for name in NAMES}, FRIDAY)
    told = [shares(name) for name in NAMES] if figures is None else figures
    figured = frame(Figure, [row | {"row_key": f"F{n}"} for n, row in enumerate(told)])
    events = {"gov_contracts": frame(GovContract, rows), "fundamentals": figured, "corporate_actions": frame(CorporateAction, actions)}
    volume = None if volumes is None else closes * 0.0 + pd.Series(volumes)
    return STRATEGY.run(MemoryWorld(closes=closes, adj_closes=closes, events=events, volumes=volume).at(ASOF), **params)


def scores(targets: Targets) -> dict[str, float]:
    return {str(symbol): float(score) for symbol, score in targets.scores.items()}


def test_the_score_is_the_net_obligation_of_the_month_per_dollar_of_capitalisation() -> None:
    targets = run([award("AAA", 90e6), award("AAA", -30e6), award("BBB", 50e6), award("CCC", 49e6)])
    assert scores(targets) == pytest.approx({"AAA": 60e6 / CAPITAL, "BBB": 50e6 / CAPITAL})
    parts = targets.evidence.set_index("row_key")["contribution"].to_dict()
    assert parts == pytest.approx({"R000": 0.18, "R001": -0.06, "R002": 0.10})


def test_weights_are_proportional_to_the_score_and_few_names_leave_cash() -> None:
    targets = run([award("AAA", 120e6), award("BBB", 60e6)], max_weight=1.0)
    # Two of ten names: a fifth of the sleeve, two thirds of it in the name with twice the contracts.
    assert targets.weights.to_dict() == pytest.approx({"AAA": 0.2 * 2 / 3, "BBB": 0.2 / 3})


def test_the_smaller_company_stands_higher_with_the_same_contracts() -> None:
    targets = run([award("AAA", 60e6), award("BBB", 60e6)], figures=[shares("AAA", 20e6), shares("BBB", 5e6)])
    assert scores(targets) == pytest.approx({"BBB": 60e6 / (5e6 * CLOSE), "AAA": 60e6 / (20e6 * CLOSE)})
    assert list(targets.weights.index) == ["BBB", "AAA"]


@pytest.mark.parametrize(
    ("acted", "counts"),
    [
        (date(2021, 1, 26), False),  # public by Friday, 29 January
        (date(2021, 1, 27), True),  # public by Monday, 1 February
        (date(2021, 2, 23), True),  # public by Friday, 26 February
        (date(2021, 2, 24), False),  # public by Monday, 1 March: counts in March
    ],
)
def test_an_action_without_announcement_counts_in_the_month_of_the_third_business_day_after_it(acted: date, counts: bool) -> None:
    assert bool(scores(run([award("AAA", 60e6, action_date=acted)]))) is counts


@pytest.mark.parametrize(("on", "counts"), [(date(2021, 1, 31), False), (date(2021, 2, 1), True), (date(2021, 2, 28), True)])
def test_an_announced_award_counts_in_the_month_of_its_announcement(on: date, counts: bool) -> None:
    assert bool(scores(run([announced("AAA", 60e6, on)]))) is counts


def test_what_is_published_ninety_days_late_is_old_news() -> None:
    late = award("AAA", 60e6, agency="Department of Defense", action_date=date(2020, 11, 20), known_at=datetime(2021, 2, 19, 5, tzinfo=UTC))
    assert not scores(run([late]))


@pytest.mark.parametrize(
    "given",
    [
        {"period": "quarter"},
        {"symbol": None},
        {"action_date": None},
        {"known_at": ASOF + timedelta(seconds=1)},
    ],
)
def test_sums_of_quarters_rows_of_nobody_and_rows_without_a_date_are_left_out(given: dict[str, Any]) -> None:
    assert scores(run([award("AAA", 60e6), award("BBB", 60e6) | given])) == pytest.approx({"AAA": 0.12})


def test_actions_below_a_million_are_left_out_either_way() -> None:
    small = [award("AAA", usd, record_id=str(usd)) for usd in (999_999.0, -500_000.0)]
    assert scores(run([award("AAA", 50e6), *small])) == pytest.approx({"AAA": 0.1})


def test_a_record_that_one_origin_repeats_counts_once_and_another_action_on_the_contract_again() -> None:
    twice = [announced("AAA", 40e6, date(2021, 2, 9), record_id="same", occurrence=n) for n in (0, 1)]
    assert not scores(run(twice))
    modified = [award("AAA", 40e6, record_id="C1", modification=number) for number in ("0", "P00001")]
    assert scores(run(modified)) == pytest.approx({"AAA": 0.16})


def test_what_two_origins_tell_of_counts_once_though_they_date_it_differently() -> None:
    both = [award("AAA", 60e6), announced("AAA", 60_000_000.2, date(2021, 2, 12))]
    assert scores(run(both)) == pytest.approx({"AAA": 60_000_000.2 / CAPITAL})
    apart = [award("AAA", 60e6, action_date=date(2021, 2, 1)), announced("AAA", 60e6, date(2021, 2, 20))]
    assert scores(run(apart)) == pytest.approx({"AAA": 120e6 / CAPITAL})


def test_an_award_of_the_month_before_is_not_counted_again_by_the_origin_that_dates_it_later() -> None:
    early = announced("AAA", 60e6, date(2021, 1, 30), known_at=datetime(2021, 1, 31, 5, tzinfo=UTC))
    assert not scores(run([early, award("AAA", 60e6, action_date=date(2021, 1, 29))]))


def test_equal_actions_are_taken_from_the_origin_that_tells_of_more_of_them() -> None:
    orders = [award("AAA", 30e6, record_id=number) for number in ("C1", "C2", "C3")]
    assert scores(run([*orders, announced("AAA", 30e6, date(2021, 2, 11))])) == pytest.approx({"AAA": 90e6 / CAPITAL})


def test_a_split_since_the_report_does_not_make_a_company_small() -> None:
    split = {"symbol": "AAA", "kind": "split", "ex_date": date(2021, 2, 1), "ratio": 4.0, "origin": "alpaca"}
    assert scores(run([award("AAA", 60e6)], actions=[split])) == pytest.approx({"AAA": 60e6 / (4 * CAPITAL)})


def test_a_name_whose_shares_are_unknown_is_skipped_while_most_are_known() -> None:
    targets = run([award(name, 60e6) for name in NAMES], figures=[shares("AAA"), shares("BBB")])
    assert set(targets.weights.index) == {"AAA", "BBB"}
    assert "CCC" in targets.skipped


def test_without_shares_the_size_of_all_names_is_a_years_dollar_volume_and_that_is_said() -> None:
    volumes = {"AAA": 1e6, "BBB": 2e6, "CCC": 4e6}
    targets = run([award(name, 60e6) for name in NAMES], figures=[shares("AAA")], volumes=volumes)
    assert scores(targets) == pytest.approx({name: 60e6 / (252 * CLOSE * volumes[name]) for name in NAMES})
    assert "1 of 3" in targets.skipped["fundamentals"]


def test_thin_and_cheap_names_are_skipped_with_their_reason() -> None:
    targets = run([award("AAA", 60e6), award("BBB", 60e6)], volumes={"AAA": 1e6, "BBB": 100.0, "CCC": 1e6})
    assert list(targets.weights.index) == ["AAA"]
    assert "USD a day" in targets.skipped["BBB"]
    assert "is below" in run([award("AAA", 60e6)], min_price=60.0).skipped["AAA"]
