"""The ledger against the broker."""

from decimal import Decimal as D

import pytest

from execution.base import Account, Position
from execution.reconcile import Break, Tolerance, compare


def account(cash: str) -> Account:
    return Account(id="1", account_number="P1", status="ACTIVE", cash=D(cash), equity=D(cash), buying_power=D(cash), multiplier=D(2))


def position(symbol: str, qty: str, price: str | None = "100") -> Position:
    return Position(symbol=symbol, qty=D(qty), avg_entry_price=D(90), current_price=None if price is None else D(price), market_value=None)


def only(breaks: tuple[Break, ...]) -> Break:
    assert len(breaks) == 1
    return breaks[0]


def test_books_that_agree_have_no_break():
    assert compare(D("10.00"), {"AAPL": D("1.5")}, account("10.00"), [position("AAPL", "1.500000000")]) == ()


def test_a_cash_difference_within_the_tolerance_is_none_and_beyond_it_is_one():
    assert compare(D("10.004"), {}, account("10.01"), []) == ()
    found = only(compare(D("10.00"), {}, account("10.02"), []))
    assert (found.kind, found.symbol, found.ledger, found.broker, found.diff) == ("cash", "$", D("10.00"), D("10.02"), D("0.02"))
    assert compare(D("10.00"), {}, account("10.02"), [], tolerance=Tolerance(cash_usd=D("0.05"))) == ()


def test_any_difference_of_shares_is_a_break_however_small():
    found = only(compare(D(0), {"AAPL": D("1.000000000")}, account("0"), [position("AAPL", "1.000000001")]))
    assert (found.kind, found.diff) == ("position", D("0.000000001"))


def test_positions_of_one_side_only_are_breaks_and_come_sorted_after_cash():
    breaks = compare(D(0), {"MSFT": D(2)}, account("50"), [position("AAPL", "1"), position("ZM", "-3")])
    assert [(found.kind, found.symbol, found.diff) for found in breaks] == [
        ("cash", "$", D(50)),
        ("position", "AAPL", D(1)),
        ("position", "MSFT", D(-2)),
        ("position", "ZM", D(-3)),
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("10", "20", "2:1 split"),
        ("10", "15", "3:2 split"),
        ("10", "1", "1:10 split"),
        ("10", "200", "20:1 split"),
        ("0", "5", "outside the program"),
        ("5", None, "delisting"),
        ("10", "10.7", "missing or doubled fill"),
        ("10", "-10", "missing or doubled fill"),
    ],
)
def test_a_break_says_what_it_most_likely_is(ours, theirs, words):
    held = [] if theirs is None else [position("AAPL", theirs)]
    assert words in only(compare(D(0), {"AAPL": D(ours)} if D(ours) else {}, account("0"), held)).likely


def test_an_order_in_flight_explains_both_its_shares_and_its_cash():
    breaks = compare(D(1000), {}, account("900"), [position("AAPL", "1")], in_flight=frozenset({"AAPL"}))
    assert {found.likely for found in breaks} == {"fills of an open order that are not booked yet"}


def test_cash_that_matches_a_position_break_at_its_price_points_to_it():
    cash, _ = compare(D(1000), {}, account("899"), [position("AAPL", "1")])
    assert cash.likely == "the cash side of the break in AAPL"


@pytest.mark.parametrize(("cash", "words"), [("100.4", "rounding"), ("150", "dividend, deposit"), ("50", "fee, withdrawal")])
def test_cash_alone_is_rounding_or_an_activity(cash, words):
    assert words in only(compare(D(100), {"AAPL": D(1)}, account(cash), [position("AAPL", "1", None)])).likely
