"""Politician sleeves, on disclosures small enough to follow by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from strategies import disclosures, resolve_params
from strategies.base import Targets
from strategies.catalog.politician_sleeves import STRATEGY, position
from strategies.conformance.memory import MemoryWorld, congress_rows, prices
from strategies.disclosures import Person, Trade

ASOF = datetime(2021, 3, 1, 14, 0, tzinfo=UTC)
FRIDAY = "2021-02-26"


def trade(member: str, symbol: str, usd: float, days_ago: int = 60, transaction: str = "purchase", **fields: Any) -> dict[str, Any]:
    """A trade of an exact amount that was made thirty days before it was disclosed, `days_ago` before ASOF."""
    disclosed = ASOF.date() - timedelta(days=days_ago + 1)
    return {
        "member": member,
        "symbol": symbol,
        "transaction": transaction,
        "amount_low_usd": usd,
        "amount_high_usd": usd,
        "disclosure_date": disclosed,
        "transaction_date": disclosed - timedelta(days=30),
        "known_at": datetime(disclosed.year, disclosed.month, disclosed.day, 5, tzinfo=UTC) + timedelta(days=1),
    } | fields


def run(trades: Sequence[Mapping[str, Any]], closes: Mapping[str, float] | None = None, **params: Any) -> Targets:
    named = closes if closes is not None else {str(row["symbol"]): 50.0 for row in trades}
    frame = prices({symbol: [close] * 25 for symbol, close in sorted(named.items())}, FRIDAY)
    world = MemoryWorld(closes=frame, adj_closes=frame, events={"congress_trades": congress_rows(trades)})
    return STRATEGY.run(world.at(ASOF), **({"max_position": 1.0} | params))


def weights(targets: Targets) -> dict[str, float]:
    return {str(symbol): round(float(weight), 12) for symbol, weight in targets.weights.items()}


def test_members_share_the_sleeve_equally_and_their_positions_by_dollars() -> None:
    # Able has 3,000 and 1,000 USD, Baker a hundred times as much in one name: each has half of the sleeve.
    trades = [trade("Ann Able", "AAA", 3000.0), trade("Ann Able", "BBB", 1000.0), trade("Bo Baker", "CCC", 400_000.0)]
    assert weights(run(trades)) == {"CCC": 0.5, "AAA": 0.375, "BBB": 0.125}


def test_a_name_that_two_members_hold_has_a_part_from_each() -> None:
    trades = [trade("Ann Able", "AAA", 3000.0), trade("Ann Able", "BBB", 1000.0), trade("Bo Baker", "BBB", 5000.0)]
    targets = run(trades)
    assert weights(targets) == {"BBB": 0.625, "AAA": 0.375}
    told = targets.evidence.set_index("row_key")["contribution"].to_dict()
    assert told == pytest.approx({"R00000": 0.375, "R00001": 0.125, "R00002": 0.5})


def test_a_full_sale_closes_a_position_whatever_its_amount() -> None:
    trades = [trade("Ann Able", "AAA", 9000.0, 90), trade("Ann Able", "BBB", 1000.0, 90)]
    for transaction in ("sale", "sale_full"):
        assert weights(run([*trades, trade("Ann Able", "AAA", 1001.0, 40, transaction)])) == {"BBB": 1.0}


def test_a_partial_sale_takes_its_amount_off_what_is_open_and_not_more() -> None:
    trades = [trade("Ann Able", "AAA", 9000.0, 90), trade("Ann Able", "BBB", 1000.0, 90)]
    less = run([*trades, trade("Ann Able", "AAA", 6000.0, 40, "sale_partial")])
    assert weights(less) == {"AAA": 0.75, "BBB": 0.25}
    # 9,000 of 4,000 in all are worth 2.25 of the member's part, and the sale takes 1.5 of it away.
    assert less.evidence.set_index("row_key")["contribution"].to_dict() == pytest.approx({"R00000": 2.25, "R00002": -1.5, "R00001": 0.25})
    assert weights(run([*trades, trade("Ann Able", "AAA", 60_000.0, 40, "sale_partial")])) == {"BBB": 1.0}


def test_what_is_bought_after_a_close_is_a_new_position_that_owes_nothing_to_the_old() -> None:
    closed = [trade("Ann Able", "AAA", 9000.0, 200), trade("Ann Able", "AAA", 60_000.0, 150, "sale_partial")]
    targets = run([*closed, trade("Ann Able", "AAA", 2000.0, 40)])
    assert weights(targets) == {"AAA": 1.0}
    assert targets.evidence["row_key"].tolist() == ["R00002"]


def test_trades_are_put_in_the_order_in_which_they_were_made_and_not_disclosed() -> None:
    # The sale became public first; the member had bought before it, and has nothing any more.
    sale = trade("Ann Able", "AAA", 9000.0, 80, "sale_full", transaction_date=date(2020, 12, 1))
    bought = trade("Ann Able", "AAA", 9000.0, 20, transaction_date=date(2020, 11, 2))
    assert weights(run([sale, bought, trade("Ann Able", "BBB", 1000.0)])) == {"BBB": 1.0}


def test_a_sale_that_is_not_yet_disclosed_closes_nothing() -> None:
    unknown = trade("Ann Able", "AAA", 9000.0, -2, "sale_full", transaction_date=date(2021, 1, 4))
    assert weights(run([trade("Ann Able", "AAA", 9000.0), unknown])) == {"AAA": 1.0}


def test_a_purchase_and_a_sale_of_one_day_leave_nothing() -> None:
    day = {"transaction_date": date(2020, 12, 1)}
    sale, bought = trade("Ann Able", "AAA", 900.0, 40, "sale_full", **day), trade("Ann Able", "AAA", 900.0, 40, **day)
    assert run([sale, bought]).weights.empty and run([bought, sale]).weights.empty


def test_a_sale_of_another_member_closes_nothing() -> None:
    trades = [trade("Ann Able", "AAA", 9000.0, 90), trade("Bo Baker", "AAA", 9000.0, 40, "sale_full")]
    assert weights(run(trades)) == {"AAA": 1.0}


def a_trade(owner: str, usd: float, transaction: str = "purchase") -> Trade:
    key = f"{transaction} {owner} {usd:g}"
    return Trade(
        row_key=key, symbol="AAA", usd=usd, transaction=transaction, member="Ann Able", member_id="", owner=owner,
        traded=date(2020, 12, 1), told_at=ASOF,
    )  # fmt: skip


def open_usd(*trades: Trade) -> float:
    return sum(usd for _, usd in position(trades))


def test_a_spouse_who_sells_all_sells_the_spouses_own_and_nobody_elses() -> None:
    own, spouse = a_trade("self", 5000.0), a_trade("spouse", 2000.0)
    assert open_usd(own, spouse, a_trade("spouse", -1000.0, "sale_full")) == 5000.0
    assert open_usd(own, a_trade("spouse", -1000.0, "sale_full")) == 5000.0


def test_who_is_not_named_sells_what_anybody_holds_and_who_holds_nothing_what_is_nobodys() -> None:
    own, unknown = a_trade("self", 5000.0), a_trade("unknown", 2000.0)
    assert open_usd(own, unknown, a_trade("unknown", -1000.0, "sale_full")) == 0.0
    assert open_usd(own, unknown, a_trade("unknown", -3000.0, "sale_partial")) == 4000.0
    assert open_usd(own, unknown, a_trade("joint", -1000.0, "sale_full")) == 5000.0


def test_spouses_trades_are_part_of_the_members_position_unless_the_members_own_are_asked_for() -> None:
    trades = [trade("Ann Able", "AAA", 3000.0, owner="spouse"), trade("Ann Able", "BBB", 1000.0, owner="self")]
    assert weights(run(trades)) == {"AAA": 0.75, "BBB": 0.25}
    assert weights(run(trades, owners="self")) == {"BBB": 1.0}


def test_without_names_the_members_with_most_countable_trades_of_the_last_year_are_copied() -> None:
    busy_once = [trade("Ann Able", f"OLD{i}", 1000.0, 400 + i) for i in range(3)]
    options = [trade("Bo Baker", "AAA", 1000.0, 30, asset_type="Stock Option", filing_id=f"O{i}") for i in range(4)]
    trades = [*busy_once, *options, trade("Bo Baker", "AAA", 1000.0), trade("Cy Cole", "BBB", 1000.0), trade("Cy Cole", "CCC", 1000.0)]
    assert set(run(trades, most_active=1).weights.index) == {"BBB", "CCC"}
    assert set(run(trades, most_active=2).weights.index) == {"AAA", "BBB", "CCC"}
    assert set(run(trades, most_active=1, activity_days=730).weights.index) == {"OLD0", "OLD1", "OLD2"}


def test_an_amendment_makes_nobody_active_again() -> None:
    amended = trade("Ann Able", "AAA", 1000.0, 500, known_at=ASOF - timedelta(days=3))
    assert run([amended]).weights.empty
    assert weights(run([amended], members="Ann Able")) == {"AAA": 1.0}


def test_purchases_older_than_the_history_are_forgotten() -> None:
    assert run([trade("Ann Able", "AAA", 1000.0, 91)], members="Ann Able", history_days=90).weights.empty
    assert weights(run([trade("Ann Able", "AAA", 1000.0, 89)], members="Ann Able", history_days=90)) == {"AAA": 1.0}


def test_only_named_members_are_copied_however_their_names_are_written() -> None:
    trades = [
        trade("A. Mitchell McConnell, Jr.", "AAA", 1000.0),
        trade("Nydia M. Velázquez", "BBB", 1000.0),
        trade("Someone Else", "CCC", 1000.0),
    ]
    assert set(run(trades, members="Mitch McConnell; Velazquez, Hon. Nydia").weights.index) == {"AAA", "BBB"}


def test_a_named_member_nobody_disclosed_for_is_named_with_the_nearest_known_one() -> None:
    targets = run([trade("Nancy Pelosi", "AAA", 1000.0)], members="Nansy Pelozi; Pelosi, Nancy")
    assert weights(targets) == {"AAA": 1.0}
    assert targets.skipped == {
        "member Nansy Pelozi": "nobody of that name disclosed a trade in stock; the nearest known name is Nancy Pelosi"
    }


def test_a_surname_that_two_members_bear_means_neither_and_one_that_one_bears_means_that_one() -> None:
    trades = [trade("Rick Scott", "AAA", 1000.0), trade("Austin Scott", "BBB", 1000.0), trade("Ann Able", "CCC", 1000.0)]
    targets = run(trades, members="Scott; Able")
    assert weights(targets) == {"CCC": 1.0}
    assert targets.skipped == {"member Scott": "could be Austin Scott or Rick Scott"}


def test_a_named_member_without_an_open_position_is_said_to_have_none() -> None:
    trades = [trade("Ann Able", "AAA", 1000.0, 90), trade("Ann Able", "AAA", 1000.0, 60, "sale_full")]
    assert run(trades, members="Ann Able").skipped == {"member Ann Able": "no open position in a stock that can be traded"}


def test_two_spellings_of_one_member_are_one_part_and_one_position() -> None:
    trades = [
        trade("Tammy Duckworth", "AAA", 1000.0, 90),
        trade("Ladda Tammy Duckworth", "AAA", 1000.0, 60, "sale_full"),
        trade("Ladda Tammy Duckworth", "BBB", 1000.0),
        trade("Ann Able", "CCC", 1000.0),
    ]
    assert weights(run(trades)) == {"BBB": 0.5, "CCC": 0.5}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nancy Pelosi", "Hon. Nancy Pelosi"),
        ("Nancy Pelosi", "Pelosi, Nancy P."),
        ("A. Mitchell McConnell, Jr.", "Mitch McConnell"),
        ("Robert P Casey, Jr.", "Bob Casey"),
        ("Thomas R Carper", "Tom Carper"),
        ("Tom O'Halleran", "Thomas O\u2019Halleran"),
        ("FACS Dunn Neal Patrick MD", "Neal Patrick Dunn MD, FACS"),
        ("W. Greg Steube", "Greg Steube"),
        ("Mark Dr Green", "Mark Green"),
        ("King, Angus S., Jr.", "Angus King"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert disclosures.same_person(disclosures.name_words(one), disclosures.name_words(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mo Brooks", "Susan W. Brooks"),
        ("Rick Scott", "Austin Scott"),
        ("Christopher L. Jacobs", "Sara Jacobs"),
        ("Nancy Pelosi", "Nancy Mace"),
    ],
)
def test_names_of_different_people(one: str, other: str) -> None:
    assert not disclosures.same_person(disclosures.name_words(one), disclosures.name_words(other))


def test_an_id_joins_spellings_that_have_nothing_in_common_but_the_surname_and_parts_equal_ones() -> None:
    def told(member: str, member_id: str) -> Trade:
        return Trade(
            row_key=member, symbol="AAA", usd=1.0, transaction="purchase", member=member, member_id=member_id, owner="self",
            traded=date(2020, 1, 2), told_at=ASOF,
        )  # fmt: skip

    found = disclosures.people(
        [told("Rafael E Cruz", "C001098"), told("Ted Cruz", "C001098"), told("Mike Rogers", "R1"), told("Michael Rogers", "R2")]
    )
    assert found["Rafael E Cruz"] is found["Ted Cruz"]
    assert found["Mike Rogers"] is not found["Michael Rogers"]
    cruz = disclosures.named("Cruz, Ted", found.values())
    assert isinstance(cruz, Person) and cruz.name == "Rafael E Cruz"


def test_one_position_has_at_most_its_cap_of_the_members_part_and_few_leave_cash() -> None:
    trades = [trade("Ann Able", "AAA", 90_000.0), trade("Ann Able", "BBB", 1000.0), trade("Bo Baker", "CCC", 1000.0)]
    assert weights(run(trades, max_position=0.25)) == {"AAA": 0.125, "BBB": 0.125, "CCC": 0.125}


def test_only_the_largest_positions_of_a_member_are_copied() -> None:
    trades = [trade("Ann Able", f"N{i}", 1000.0 * (i + 1)) for i in range(4)]
    assert weights(run(trades, positions=2)) == {"N3": round(4 / 7, 12), "N2": round(3 / 7, 12)}


def test_a_name_that_cannot_be_traded_is_passed_over_with_the_reason_and_its_place_goes_to_the_next() -> None:
    trades = [trade("Ann Able", "GONE", 9000.0), trade("Ann Able", "AAA", 3000.0), trade("Ann Able", "BBB", 1000.0)]
    targets = run(trades, {"AAA": 50.0, "BBB": 50.0}, positions=2)
    assert weights(targets) == {"AAA": 0.75, "BBB": 0.25}
    assert targets.skipped == {"GONE": "no bar in the last 5 sessions"}


def test_an_operator_may_write_the_members_as_a_list() -> None:
    assert resolve_params(STRATEGY, {"members": ["Nancy Pelosi", "Ro Khanna"]})["members"] == "Nancy Pelosi; Ro Khanna"


def test_trades_of_nobody_are_nobodys() -> None:
    assert weights(run([trade("", "AAA", 9000.0), trade("Ann Able", "BBB", 1000.0)])) == {"BBB": 1.0}


def test_nothing_is_copied_where_nobody_disclosed_anything() -> None:
    targets = run([], {"AAA": 50.0}, members="Nancy Pelosi")
    assert targets.weights.empty
    assert targets.skipped == {"member Nancy Pelosi": "nobody of that name disclosed a trade in stock"}
