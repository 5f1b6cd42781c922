"""Congress aggregate, on disclosures small enough to add up by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strategies.base import Targets
from strategies.catalog.congress_aggregate import STRATEGY, signed_trades
from tests.catalog.memory_view import MemoryWorld, congress_rows, prices

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
YESTERDAY = ASOF - timedelta(days=1)
FRIDAY = "2021-03-12"
A_MIDPOINT = 8000.5


def trade(symbol: str | None, **fields: Any) -> dict[str, Any]:
    return {"symbol": symbol, "known_at": YESTERDAY} | fields


def run(trades: Sequence[Mapping[str, Any]], paths: Mapping[str, Sequence[float]] | None = None, **params: Any) -> Targets:
    named = sorted({str(row["symbol"]) for row in trades if row["symbol"]})
    closes = prices(paths if paths is not None else {symbol: [50.0] * 6 for symbol in named} | {"OTHER": [50.0] * 6}, FRIDAY)
    world = MemoryWorld(closes=closes, adj_closes=closes, events={"congress_trades": congress_rows(trades)})
    return STRATEGY.run(world.at(ASOF), **params)


def net(targets: Targets) -> dict[str, float]:
    return {str(symbol): float(score) for symbol, score in targets.scores.items()}


def test_a_range_counts_at_its_midpoint_and_an_open_end_at_its_lower_bound() -> None:
    targets = run([trade("AAA"), trade("BBB", amount_low_usd=1e6, amount_high_usd=None)])
    assert net(targets) == {"BBB": 1e6, "AAA": A_MIDPOINT}


def test_sales_of_any_kind_subtract_and_only_a_positive_net_is_wanted() -> None:
    sales = [
        trade("AAA", transaction=kind, amount_low_usd=1000.0, amount_high_usd=3000.0) for kind in ("sale", "sale_full", "sale_partial")
    ]
    targets = run([trade("AAA"), *sales, trade("BBB", transaction="sale_full"), trade("CCC"), trade("CCC", transaction="sale_full")])
    assert net(targets) == {"AAA": A_MIDPOINT - 6000.0}


@pytest.mark.parametrize(
    "fields",
    [
        {"transaction": "exchange"},
        {"asset_type": "Stock Option"},
        {"asset_type": "Municipal Security"},
        {"asset_type": "Mutual Fund"},
        {"asset_description": "Apple Inc. Purchased 100 call options with a strike price of $100 and an expiration date of 1/21/22."},
        {"asset_description": "Some Partners L.P. PUT Strike $17.50 EXP 11/13/2020"},
        {"asset_description": "Metis Solutions Corporation - Options"},
        {"asset_description": "Activision Blizzard bond 2.6% 6/15/2022"},
        {"asset_description": "Citigroup Inc GLB 03.875% Oct 25 2023"},
        {"asset_description": "iShares Core S&P 500 ETF"},
        {"asset_description": "American Balanced Fund Class A"},
        {"amount_low_usd": None, "amount_high_usd": None},
        {"occurrence": 1},
        {"known_at": ASOF - timedelta(days=31)},
    ],
)
def test_left_out_by_rule(fields: dict[str, Any]) -> None:
    targets = run([trade("AAA"), trade("BBB", **fields)])
    assert net(targets) == {"AAA": A_MIDPOINT}
    assert not targets.skipped


def test_rows_without_a_ticker_or_with_that_of_a_mutual_fund_or_preferred_series_are_left_out() -> None:
    assert net(run([trade("AAA"), trade(None), trade("ABALX"), trade("BAC.PRK"), trade("BRK.B")])) == {
        "AAA": A_MIDPOINT,
        "BRK.B": A_MIDPOINT,
    }


@pytest.mark.parametrize(
    "description", ["Option Care Health, Inc.", "Digital Realty Trust", "Amazon.com, Inc. (U.S. Trust Holdings)", "Common Stock, Class A"]
)
def test_companies_whose_names_resemble_an_exclusion_stay_in(description: str) -> None:
    assert net(run([trade("AAA", asset_description=description)])) == {"AAA": A_MIDPOINT}


@pytest.mark.parametrize("asset_type", ["", "Stock", "ST", "CS", None])
def test_every_spelling_of_a_stock_counts(asset_type: str | None) -> None:
    assert net(run([trade("AAA", asset_type=asset_type)])) == {"AAA": A_MIDPOINT}


def test_a_trade_counts_from_its_disclosure_and_for_thirty_days() -> None:
    early = trade("AAA", known_at=ASOF - timedelta(days=30), transaction_date="2019-01-02")
    unknown = trade("BBB", known_at=ASOF + timedelta(seconds=1), transaction_date="2021-01-02")
    assert net(run([early, unknown])) == {"AAA": A_MIDPOINT}


def test_fewer_than_ten_names_are_invested_in_proportion_to_their_number() -> None:
    targets = run([trade(f"N{i}") for i in range(4)])
    assert targets.weights.to_dict() == pytest.approx({f"N{i}": 0.1 for i in range(4)})


def test_a_looser_cap_leaves_the_proportions_but_not_more_capital() -> None:
    trades = [trade("AAA", amount_low_usd=3000.0, amount_high_usd=None), trade("BBB", amount_low_usd=1000.0, amount_high_usd=None)]
    assert run(trades, max_weight=1.0).weights.to_dict() == pytest.approx({"AAA": 0.15, "BBB": 0.05})


def test_a_row_that_is_delivered_twice_counts_once() -> None:
    rows = congress_rows([trade("AAA"), trade("AAA", row_key="again"), trade("AAA", row_key="again")])
    assert signed_trades(rows)["row_key"].tolist() == ["R00000", "again"]


def test_ten_names_or_more_are_fully_invested_in_proportion_to_net_dollars_below_the_cap() -> None:
    big = trade("BIG", amount_low_usd=1e6, amount_high_usd=1e6)
    small = [trade(f"N{i:02d}", amount_low_usd=1000.0 * (i + 1), amount_high_usd=1000.0 * (i + 1)) for i in range(16)]
    weights = run([big, *small]).weights
    assert weights["BIG"] == pytest.approx(0.10)
    # 1 + 2 + ... + 16 = 136 thousand share the other nine tenths; the largest, 16/136 of them, is just over the cap,
    # and so, once that is taken out, is the next.
    assert weights["N15"] == weights["N14"] == pytest.approx(0.10)
    assert weights["N13"] == pytest.approx(0.7 * 14 / 105)
    assert weights.sum() == pytest.approx(1.0)


def test_equal_weighting_ignores_the_size_of_the_net() -> None:
    trades = [trade(f"N{i:02d}", amount_low_usd=1000.0 * (i + 1), amount_high_usd=None) for i in range(20)]
    assert set(run(trades, weighting="equal").weights.round(12)) == {0.05}


def test_the_twenty_largest_are_held_and_equals_go_by_symbol() -> None:
    targets = run([trade(f"N{i:02d}") for i in reversed(range(25))])
    assert list(targets.weights.index) == [f"N{i:02d}" for i in range(20)]


def test_a_name_that_ranks_but_cannot_be_traded_is_passed_over_with_the_reason() -> None:
    large = {"amount_low_usd": 1e6, "amount_high_usd": 1e6}
    nan = float("nan")
    paths = {"GONE": [9.0, nan, nan, nan, nan, nan], "CHEAP": [0.5] * 6, "LATE": [9.0, 9.0, nan, nan, nan, nan], "GOOD": [9.0] * 6}
    targets = run([trade(symbol, **large) for symbol in ("NONE", *paths)], paths)
    assert list(targets.weights.index) == ["GOOD", "LATE"]
    assert targets.skipped == {
        "NONE": "no bar in the last 5 sessions",
        "GONE": "no bar in the last 5 sessions",
        "CHEAP": "last close 0.50 USD is below 1.00 USD",
    }


def test_a_name_below_the_cut_is_not_called_skipped() -> None:
    targets = run([trade("AAA"), trade("ZZZ")], {"AAA": [9.0] * 6}, top=1)
    assert list(targets.weights.index) == ["AAA"] and not targets.skipped


def test_each_disclosure_is_one_row_of_evidence_with_its_signed_dollars() -> None:
    targets = run([trade("AAA", row_key="buy"), trade("AAA", row_key="sell", transaction="sale_partial", amount_high_usd=1001.0)])
    rows = targets.evidence.set_index("row_key")
    assert rows["contribution"].to_dict() == {"buy": A_MIDPOINT, "sell": -1001.0}
    assert set(rows["dataset"]) == {"congress_trades"} and set(rows["symbol"]) == {"AAA"}
