"""Congress aggregate, on disclosures small enough to add up by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from strategies import disclosures
from strategies.base import Targets
from strategies.catalog.congress_aggregate import STRATEGY
from strategies.conformance.memory import MemoryWorld, congress_rows, prices

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


def test_a_range_that_ends_below_its_beginning_counts_at_its_lower_bound() -> None:
    targets = run([trade("AAA", amount_low_usd=1001.0, amount_high_usd=-5e6), trade("BBB", amount_low_usd=5000.0, amount_high_usd=1.0)])
    assert net(targets) == {"BBB": 5000.0, "AAA": 1001.0}


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
        {"known_at": ASOF - timedelta(days=31)},
        {"disclosure_date": date(2021, 2, 12)},
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
    assert [trade.row_key for trade in disclosures.stock_trades(rows)] == ["R00000", "again"]


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
    targets = run([trade(symbol, **large) for symbol in ("NONE", *paths)], paths, min_adv_usd=0.0)
    assert list(targets.weights.index) == ["GOOD", "LATE"]
    assert targets.skipped == {
        "NONE": "no bar in the last 5 sessions",
        "GONE": "no bar in the last 5 sessions",
        "CHEAP": "last close 0.50 USD is below 1.00 USD",
    }


def test_a_name_with_too_little_volume_is_passed_over_by_its_usual_day_and_not_its_busiest() -> None:
    # 600,000 shares at 1.50 are 900,000 USD; the one day at 9,000 is not the usual one.
    closes = prices({"THIN": [1.5, 1.5, 1.5, 9000.0, 1.5, 1.5], "DEEP": [50.0] * 6}, FRIDAY)
    volumes = closes * 0.0 + [600_000.0, 1_000_000.0]
    world = MemoryWorld(
        closes=closes, adj_closes=closes, volumes=volumes, events={"congress_trades": congress_rows([trade("THIN"), trade("DEEP")])}
    )
    targets = STRATEGY.run(world.at(ASOF))
    assert list(targets.weights.index) == ["DEEP"]
    assert targets.skipped == {"THIN": "trades 900,000 USD a day, less than 1,000,000 USD"}
    assert list(STRATEGY.run(world.at(ASOF), min_adv_usd=900_000.0).weights.index) == ["DEEP", "THIN"]


@pytest.mark.parametrize("owner", ["spouse", "joint", "dependent"])
def test_trades_of_others_than_the_member_count_unless_the_members_own_are_asked_for(owner: str) -> None:
    trades = [trade("AAA", owner=owner), trade("BBB", owner="self"), trade("CCC", owner="unknown")]
    assert set(net(run(trades))) == {"AAA", "BBB", "CCC"}
    assert set(net(run(trades, owners="self"))) == {"BBB", "CCC"}


def test_a_spouses_trade_is_not_taken_for_the_members_own_because_another_origin_does_not_say_whose_it_was() -> None:
    both = [told("house", "h", owner="spouse"), told("quiver", "q", owner="unknown")]
    assert net(run(both)) == {"AAA": A_MIDPOINT}
    assert net(run(both, owners="self")) == {}


def test_cells_that_are_empty_where_they_should_not_be_cost_no_more_than_their_own_row() -> None:
    rows = congress_rows([trade("AAA"), trade("BBB", member=None), trade("CCC", transaction=None), trade("DDD")])
    rows["occurrence"] = [0.0, float("nan"), 0.0, 0.0]
    rows.loc[3, "amount_high_usd"] = float("inf")
    assert [(t.symbol, t.usd) for t in disclosures.stock_trades(rows)] == [("AAA", A_MIDPOINT), ("BBB", A_MIDPOINT), ("DDD", 1001.0)]
    assert disclosures.stock_trades(rows[["row_key", "event_at", "known_at"]]) == []


def test_a_name_below_the_cut_is_not_called_skipped() -> None:
    targets = run([trade("AAA"), trade("ZZZ")], {"AAA": [9.0] * 6}, top=1)
    assert list(targets.weights.index) == ["AAA"] and not targets.skipped


def test_each_disclosure_is_one_row_of_evidence_with_its_signed_dollars() -> None:
    targets = run([trade("AAA", row_key="buy"), trade("AAA", row_key="sell", transaction="sale_partial", amount_high_usd=1001.0)])
    rows = targets.evidence.set_index("row_key")
    assert rows["contribution"].to_dict() == {"buy": A_MIDPOINT, "sell": -1001.0}
    assert set(rows["dataset"]) == {"congress_trades"} and set(rows["symbol"]) == {"AAA"}


def told(origin: str, key: str, **fields: Any) -> dict[str, Any]:
    """One trade as an origin tells of it; only Quiver knows members by an id, and no filing."""
    filing = {"filing_id": ""} if origin in ("quiver", "house") else {}
    return trade("AAA", **({"origin": origin, "row_key": key, "transaction_date": date(2021, 3, 1)} | filing | fields))


def counted(trades: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(trade.row_key for trade in disclosures.stock_trades(congress_rows(trades)))


def test_a_repetition_inside_a_filing_does_not_count() -> None:
    twice = [told("senate", f"r{n}", filing_id="F1", occurrence=n) for n in (0, 1, 2)]
    assert counted(twice) == ["r0"] and counted(twice[::-1]) == ["r0"]


def test_a_repetition_whose_text_was_amended_is_a_repetition_still() -> None:
    first, second = (told("quiver", f"r{n}", occurrence=n, member_key="X000001") for n in (0, 1))
    assert counted([first | {"asset_description": "Synthetic amendment", "member": "Test M. Member"}, second]) == ["r0"]


def test_the_repetition_counts_when_the_first_of_the_two_was_withdrawn() -> None:
    assert counted([told("house", "r1", occurrence=1)]) == ["r1"]


def test_equal_trades_of_two_filings_or_owners_are_two_trades() -> None:
    assert counted([told("senate", "a", filing_id="F1"), told("senate", "b", filing_id="F2")]) == ["a", "b"]
    assert counted([told("house", "a", owner="self"), told("house", "b", owner="spouse")]) == ["a", "b"]


@pytest.mark.parametrize(
    ("official", "member", "quiver"),
    [
        ("house", "Nancy Pelosi", "Nancy P. Pelosi"),
        ("senate", "A. Mitchell McConnell, Jr.", "Mitch McConnell"),
        ("senate", "SUSAN M COLLINS", "Susan M. Collins"),
        ("house", "Nydia M. Velázquez", "Nydia Velazquez"),
    ],
)
def test_a_trade_that_two_origins_tell_of_counts_once(official: str, member: str, quiver: str) -> None:
    ours = told(official, "official", member=member, transaction="sale")
    theirs = told("quiver", "quiver", member=quiver, transaction="sale_full", owner="unknown", member_key="X000001")
    assert counted([ours, theirs]) == counted([theirs, ours]) == ["official"]


def test_the_origin_that_tells_of_more_of_equal_trades_is_the_one_that_counts() -> None:
    own, spouse = told("house", "h1", owner="self"), told("house", "h2", owner="spouse")
    assert counted([own, spouse, told("quiver", "q1", owner="unknown")]) == ["h1", "h2"]


def test_an_archive_of_the_house_and_its_own_reports_tell_of_one_trade() -> None:
    assert len(counted([told("house", "clerk"), told("house", "archive", filing_id="20018000")])) == 1


def test_members_days_and_amounts_that_differ_are_different_trades_whoever_tells_of_them() -> None:
    other = [{"member": "Test Other"}, {"transaction_date": date(2021, 3, 2)}, {"amount_low_usd": 15001.0, "amount_high_usd": 50000.0}]
    for fields in other:
        assert counted([told("house", "h"), told("quiver", "q", **fields)]) == ["h", "q"]


def test_evidence_names_the_rows_that_counted_and_no_others() -> None:
    rows = [told("house", "h"), told("quiver", "q"), trade("AAA", row_key="x", member="Test Other")]
    targets = run(rows)
    assert net(targets) == {"AAA": 2 * A_MIDPOINT}
    assert sorted(targets.evidence["row_key"]) == ["h", "x"]


def test_an_amendment_does_not_make_an_old_trade_news_again() -> None:
    first = told("house", "k", disclosure_date=date(2021, 2, 1), known_at=datetime(2021, 2, 2, 5, tzinfo=UTC))
    amended = first | {"known_at": YESTERDAY, "amount_high_usd": 15001.0}
    assert run([first, amended]).evidence.empty


def test_an_amendment_of_a_recent_trade_counts_once_as_amended() -> None:
    first = told("house", "k", disclosure_date=date(2021, 3, 3), known_at=datetime(2021, 3, 4, 5, tzinfo=UTC))
    amended = first | {"known_at": YESTERDAY, "amount_low_usd": 15001.0, "amount_high_usd": 50000.0}
    assert net(run([first, amended])) == {"AAA": 32500.5}


def test_the_day_of_disclosure_counts_from_the_midnight_that_follows_it_in_new_york() -> None:
    # ASOF is 09:00 EDT of 15 March, so that the window begins at 08:00 EST of 13 February; the 13th is public from the 14th on.
    assert net(run([trade("AAA", disclosure_date=date(2021, 2, 13)), trade("BBB", disclosure_date=date(2021, 2, 12))])) == {
        "AAA": A_MIDPOINT
    }
