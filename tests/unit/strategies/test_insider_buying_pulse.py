"""Insider buying pulse, on lines of Form 4 small enough to add up by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import Any

import pandas as pd
import pytest

from scrapers.insiders import InsiderTrade
from strategies.base import Targets
from strategies.catalog.insider_buying_pulse import STRATEGY
from strategies.conformance.memory import MemoryWorld, prices

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
YESTERDAY = ASOF - timedelta(days=1)
TRADED = date(2021, 3, 11)
FRIDAY = "2021-03-12"
PRICE = 50.0


def line(symbol: str | None, usd: float = 40_000.0, owner: str = "Doe Jane", **cells: Any) -> dict[str, Any]:
    """An officer's open-market purchase at PRICE of so many dollars, a report of its own."""
    return {
        "symbol": symbol,
        "shares": usd / PRICE,
        "price_usd": PRICE,
        "owner_name": owner,
        "is_officer": True,
        "is_director": False,
        "is_ten_percent_owner": False,
        "is_other": False,
        "is_10b5_1": None,
        "derivative": False,
        "code": "P",
        "acquired_disposed": "A",
        "transaction_date": TRADED,
        "known_at": YESTERDAY,
    } | cells


def frame(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for number, cells in enumerate(lines):
        accession = cells.get("accession", f"0000000001-21-{number:06d}")
        own = {"accession": accession, "line": 1, "row_key": f"r{number}", "event_at": cells["known_at"]} | dict(cells)
        rows.append({"trade_id": f"{accession}:{own['line']}"} | own)
    columns = [each.name for each in fields(InsiderTrade)]
    return pd.DataFrame(rows, columns=[*columns, "row_key", "event_at", "known_at"])


def run(lines: Sequence[Mapping[str, Any]], closes: Mapping[str, float] | None = None, **params: Any) -> Targets:
    named = closes if closes is not None else {str(cells["symbol"]): PRICE for cells in lines if cells["symbol"]} | {"OTHER": PRICE}
    bars = prices({symbol: [close] * 25 for symbol, close in sorted(named.items())}, FRIDAY)
    world = MemoryWorld(closes=bars, adj_closes=bars, events={"insider_trades": frame(lines)})
    return STRATEGY.run(world.at(ASOF), **params)


def scores(targets: Targets) -> dict[str, float]:
    return {str(symbol): round(float(score), 9) for symbol, score in targets.scores.items()}


def test_an_insider_counts_with_the_square_root_of_the_dollars() -> None:
    assert scores(run([line("AAA", 40_000.0), line("BBB", 90_000.0)])) == {"BBB": 300.0, "AAA": 200.0}


def test_two_who_buy_count_more_than_one_who_spends_as_much_alone() -> None:
    cluster = [line("AAA", 20_000.0, "Doe Jane"), line("AAA", 20_000.0, "Roe Max", transaction_date=date(2021, 3, 10))]
    assert scores(run([*cluster, line("BBB", 40_000.0)])) == {"AAA": round(2 * sqrt(20_000.0), 9), "BBB": 200.0}


def test_several_purchases_of_one_insider_are_one_insiders_dollars() -> None:
    bought = [line("AAA", 15_000.0), line("AAA", 25_000.0, transaction_date=date(2021, 3, 10))]
    targets = run(bought)
    assert scores(targets) == {"AAA": 200.0}
    # 15,000 and 25,000 of 40,000 USD, of which the root is 200.
    assert targets.evidence.set_index("row_key")["contribution"].to_dict() == pytest.approx({"r0": 75.0, "r1": 125.0})


def test_a_cluster_can_be_asked_for() -> None:
    lines = [line("AAA"), line("AAA", 50_000.0, "Roe Max"), line("BBB", 1e6)]
    assert set(scores(run(lines, min_insiders=2))) == {"AAA"}


@pytest.mark.parametrize(
    "cells",
    [
        {"code": "A"},
        {"code": "M"},
        {"code": "S", "acquired_disposed": "D"},
        {"acquired_disposed": "D"},
        {"derivative": True},
        {"is_10b5_1": True},
        {"is_officer": False, "is_ten_percent_owner": True},
        {"is_officer": False, "is_other": True},
        {"price_usd": None},
        {"price_usd": 0.0},
        {"shares": 0.0},
        {"symbol": None},
        {"owner_name": ""},
        {"transaction_date": None},
        {"known_at": ASOF - timedelta(days=31)},
        {"transaction_date": date(2021, 1, 28)},
    ],
)
def test_left_out_by_rule(cells: dict[str, Any]) -> None:
    targets = run([line("AAA"), line("BBB") | cells])
    assert scores(targets) == {"AAA": 200.0}
    assert not targets.skipped


@pytest.mark.parametrize(
    "cells",
    [
        {"is_10b5_1": False},
        {"is_officer": False, "is_director": True},
        {"is_officer": False, "is_director": True, "is_ten_percent_owner": True},
        {"known_at": ASOF - timedelta(days=30)},
        {"transaction_date": date(2021, 1, 29)},
    ],
)
def test_what_counts(cells: dict[str, Any]) -> None:
    assert scores(run([line("BBB") | cells])) == {"BBB": 200.0}


def test_directors_can_be_left_out() -> None:
    assert scores(run([line("AAA"), line("BBB", is_officer=False, is_director=True)], insiders="officers")) == {"AAA": 200.0}


def test_a_purchase_is_tiny_by_what_the_insider_paid_on_the_day_and_not_by_its_lines() -> None:
    one = {"accession": "0000000001-21-000077"}
    lots = [line("AAA", 4000.0, line=n, **one) for n in (1, 2, 3)]
    spread = [line("BBB", 4000.0, transaction_date=date(2021, 3, day)) for day in (9, 10, 11)]
    assert scores(run([*lots, *spread, line("CCC", 9_999.0)])) == {"AAA": round(sqrt(12_000.0), 9)}


def test_equal_lines_of_one_report_are_several_trades() -> None:
    one = {"accession": "0000000001-21-000077"}
    assert scores(run([line("AAA", 20_000.0, line=n, **one) for n in (1, 2)])) == {"AAA": 200.0}


def test_a_trade_that_joint_owners_each_report_counts_once_and_with_all_its_lines() -> None:
    first = [line("AAA", usd, "Doe Jane", accession="0000000001-21-000001", line=n) for n, usd in enumerate((15_000.0, 25_000.0), 1)]
    second = [
        line("AAA", usd, "Doe Family Trust", accession="0000000001-21-000002", line=n) for n, usd in enumerate((15_000.0, 25_000.0), 1)
    ]
    targets = run([*second, *first])
    assert scores(targets) == {"AAA": 200.0}
    assert sorted(targets.evidence["row_key"]) == ["r2", "r3"]


def test_two_insiders_who_buy_the_same_lot_at_one_price_and_hold_different_numbers_of_shares_are_two() -> None:
    lots = [line("AAA", 40_000.0, "Doe Jane", shares_after=2000.0), line("AAA", 40_000.0, "Roe Max", shares_after=9000.0)]
    assert scores(run(lots)) == {"AAA": 400.0}
    assert scores(run([cells | {"shares_after": 2000.0} for cells in lots])) == {"AAA": 200.0}


def test_of_two_reports_with_equal_lines_the_one_that_has_more_of_them_counts() -> None:
    once = line("AAA", 20_000.0, "Doe Jane", accession="0000000001-21-000001")
    twice = [line("AAA", 20_000.0, "Doe Family Trust", accession="0000000001-21-000002", line=n) for n in (1, 2)]
    assert sorted(run([once, *twice]).evidence["row_key"]) == ["r1", "r2"]


def test_joint_owners_of_one_report_are_one_insider() -> None:
    joint = line("AAA", 20_000.0, "Doe Jane; Doe John")
    assert scores(run([joint, line("AAA", 20_000.0, "DOE JANE", transaction_date=date(2021, 3, 10))])) == {"AAA": 200.0}


def test_a_report_filed_twice_counts_once() -> None:
    assert scores(run([line("AAA"), line("AAA")])) == {"AAA": 200.0}


def test_an_amended_line_replaces_the_line_that_it_corrects() -> None:
    first = line("AAA", 90_000.0, row_key="k", known_at=ASOF - timedelta(days=3))
    amended = line("AAA", 40_000.0, row_key="k", accession="0000000001-21-000099", amendment=True)
    assert scores(run([first, amended])) == {"AAA": 200.0}


def test_an_amendment_of_an_old_purchase_is_no_news() -> None:
    assert run([line("AAA", transaction_date=date(2020, 11, 2), amendment=True)]).weights.empty


def test_quivers_record_gives_way_to_the_report_it_was_made_from_even_where_that_was_amended() -> None:
    quiver = line("AAA", 90_000.0, "JANE DOE", accession="", trade_id="JANE DOE AAA 2021-03-11 P A D 1800 50 None #0", line=0)
    report = line("AAA", 40_000.0, "Doe Jane")
    other = line("BBB", 40_000.0, "JANE DOE", accession="", trade_id="JANE DOE BBB 2021-03-11 P A D 800 50 None #0", line=0)
    assert scores(run([quiver, report, other])) == {"AAA": 200.0, "BBB": 200.0}


def test_a_line_that_may_mean_two_tickers_counts_for_the_first_that_is_priced() -> None:
    twins = [
        line("AAA", accession="0000000001-21-000001"),
        line("AAB", accession="0000000001-21-000001", trade_id="0000000001-21-000001:1/2"),
    ]
    assert scores(run(twins)) == {"AAA": 200.0}
    assert scores(run(twins, {"AAB": PRICE})) == {"AAB": 200.0}


@pytest.mark.parametrize("price", [15.0, 160.0, 40_000.0])
def test_a_price_far_from_the_market_is_no_open_market_purchase(price: float) -> None:
    assert scores(run([line("AAA"), line("BBB", price_usd=price, shares=1000.0)])) == {"AAA": 200.0}


def test_a_name_that_cannot_be_traded_is_passed_over_with_the_reason() -> None:
    targets = run([line("NONE", 90_000.0), line("AAA", 40_000.0), line("ZZZ", 30_000.0)], {"AAA": PRICE}, top=1)
    assert scores(targets) == {"AAA": 200.0}
    assert targets.skipped == {"NONE": "no bar in the last 5 sessions"}


def test_the_strongest_are_held_in_proportion_to_score_below_the_cap() -> None:
    lines = [line(f"N{i:02d}", (100.0 * (i + 1)) ** 2, f"Owner {i:02d}") for i in range(30)]
    targets = run(lines, min_trade_usd=0.0)
    assert list(targets.weights.index) == [f"N{i:02d}" for i in reversed(range(5, 30))]
    # Scores are 600 to 3,000 in steps of a hundred: 25 of them, 45,000 in all.
    assert targets.weights["N29"] == pytest.approx(3000 / 45_000) and targets.weights.sum() == pytest.approx(1.0)


def test_four_names_fill_four_tenths_of_the_sleeve() -> None:
    targets = run([line(f"N{i}", 40_000.0, f"Owner {i}") for i in range(4)])
    assert targets.weights.to_dict() == pytest.approx({f"N{i}": 0.1 for i in range(4)})


def test_rows_without_their_columns_tell_nothing() -> None:
    bars = prices({"AAA": [PRICE] * 25}, FRIDAY)
    bare = frame([line("AAA")])[["row_key", "event_at", "known_at"]]
    assert STRATEGY.run(MemoryWorld(closes=bars, adj_closes=bars, events={"insider_trades": bare}).at(ASOF)).weights.empty
