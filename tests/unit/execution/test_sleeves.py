"""The sleeve ledger: balanced, exact, idempotent, and always equal to the account."""

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.base import CashActivity, Fill
from execution.errors import LedgerError
from execution.sleeves import (
    SUSPENSE,
    TREASURY,
    Entry,
    Ledger,
    Transaction,
    activity_transaction,
    adopt,
    cross_transaction,
    deposit,
    dividend,
    fee,
    fill_transaction,
    interest,
    market_shares,
    reorganization,
    split,
    transfer,
)

AT = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
STEP = D("1E-9")


def fill(qty: str | D, price: str | D = "100", side: str = "buy", key: str = "f1") -> Fill:
    return Fill(id=key, order_id="o1", symbol="AAPL", side=side, qty=D(qty), price=D(price), at=AT)  # type: ignore[arg-type]


def funded(**cash: str) -> Ledger:
    ledger = Ledger([deposit("d", D(100_000), AT)])
    for name, amount in cash.items():
        ledger.apply(transfer(f"t-{name}", name, D(amount), AT))
    return ledger


def test_a_deposit_is_the_treasurys_and_a_transfer_moves_it_to_a_sleeve():
    ledger = funded(a="2500.50")
    assert (ledger.cash(TREASURY), ledger.cash("a"), ledger.account_cash()) == (D("97499.50"), D("2500.50"), D(100_000))
    ledger.apply(deposit("w", D(-500), AT))
    assert ledger.account_cash() == D(99_500)
    assert ledger.counterparty("equity") == {"$": D(-99_500)}


def test_the_same_transaction_twice_is_booked_once():
    ledger = funded()
    again = deposit("d", D(100_000), AT)
    assert ledger.apply(again) is False
    assert ledger.applied("d")
    assert ledger.account_cash() == D(100_000)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((Entry(account="sleeve:a", unit="$", amount=D(1)),), "do not balance: 1 $"),
        ((Entry(account="sleeve:a", unit="$", amount=D(1)), Entry(account="market", unit="AAPL", amount=D(-1))), "do not balance"),
        ((Entry(account="elsewhere", unit="$", amount=D(0)),), "no account 'elsewhere'"),
        ((Entry(account="sleeve:a", unit="$", amount=D("NaN")),), "is not an amount"),
    ],
)
def test_a_transaction_that_does_not_balance_is_refused_and_changes_nothing(entries, words):
    ledger = funded(a="10")
    with pytest.raises(LedgerError) as error:
        ledger.apply(Transaction(id="x", kind="bad", at=AT, entries=entries))
    assert words in str(error.value)
    assert not ledger.applied("x")
    assert (ledger.cash("a"), ledger.check()) == (D(10), [])


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(LedgerError, match="zone"):
        Ledger([deposit("d", D(1), AT.replace(tzinfo=None))])


def test_a_fill_is_split_in_proportion_and_each_sleeve_pays_its_part():
    ledger = funded(a="6000", b="6000")
    ledger.apply(fill_transaction({"a": D(30), "b": D(10)}, fill("40", "101.2345"), D(0)))
    assert (ledger.positions("a"), ledger.positions("b")) == ({"AAPL": D(30)}, {"AAPL": D(10)})
    assert ledger.cash("a") == D(6000) - 30 * D("101.2345")
    assert ledger.account_cash() == D(100_000) - 40 * D("101.2345")
    assert ledger.check() == []


def test_a_third_of_a_share_goes_to_the_first_name_and_the_sum_is_exact():
    booked = fill_transaction({"b": D(1), "a": D(1), "c": D(1)}, fill("1"), D(0))
    got = {entry.account: entry.amount for entry in booked.entries if entry.unit == "AAPL" and entry.account != "market"}
    assert got == {"sleeve:a": D("0.333333334"), "sleeve:b": D("0.333333333"), "sleeve:c": D("0.333333333")}


@pytest.mark.parametrize(
    ("shares", "one", "before"),
    [
        ({"a": D(10)}, fill("10.000000001"), "0"),
        ({"a": D(10)}, fill("4"), "7"),
        ({"a": D(10)}, fill("0"), "0"),
        ({"a": D(10)}, fill("1"), "-1"),
        ({"a": D(10)}, fill("1", side="sell"), "0"),
        ({"a": D(10), "b": D(-10)}, fill("1"), "0"),
        ({}, fill("1"), "0"),
    ],
)
def test_a_fill_that_fits_no_order_is_refused(shares, one, before):
    with pytest.raises(LedgerError):
        fill_transaction(shares, one, D(before))


def test_a_crossing_is_booked_at_the_fill_price_and_leaves_the_account_as_it_was():
    shares = {"a": D(-100), "b": D(30), "c": D(10)}
    ledger = funded(a="0", b="9000", c="9000")
    ledger.apply(adopt("start", "AAPL", D(100), AT))
    ledger.apply(transfer("give", "a", D(100), AT, source=SUSPENSE, unit="AAPL"))
    ledger.apply(fill_transaction(shares, fill("60", "99", side="sell"), D(0)))
    cash_before, positions_before = ledger.account_cash(), ledger.account_positions()
    crossed = cross_transaction("x", "AAPL", shares, D(99), AT)
    assert crossed is not None
    ledger.apply(crossed)
    assert (ledger.account_cash(), ledger.account_positions()) == (cash_before, positions_before)
    assert ledger.positions("a") == {}
    assert (ledger.positions("b"), ledger.positions("c")) == ({"AAPL": D(30)}, {"AAPL": D(10)})
    assert (ledger.cash("a"), ledger.cash("b"), ledger.cash("c")) == (D(9900), D(9000) - 2970, D(9000) - 990)


def test_a_crossing_completes_in_full_when_the_order_was_not_filled():
    """`a` wanted to sell 100 and the market took nothing: the 40 that `b` wanted still change hands."""
    crossed = cross_transaction("x", "AAPL", {"a": D(-100), "b": D(40)}, D(10), AT)
    assert crossed is not None
    assert {(e.account, e.amount) for e in crossed.entries if e.unit == "AAPL"} == {("sleeve:a", D(-40)), ("sleeve:b", D(40))}


def test_nothing_crosses_in_a_one_sided_order():
    assert cross_transaction("x", "AAPL", {"a": D(10), "b": D(5)}, D(10), AT) is None


def test_a_dividend_goes_to_the_holders_and_a_short_pays_it():
    ledger = funded(a="0", b="0")
    ledger.apply(dividend("div", "AAPL", D("3.00"), {"a": D(5), "b": D(-2)}, AT))
    assert (ledger.cash("a"), ledger.cash("b")) == (D(5), D(-2))
    assert ledger.counterparty("income") == {"$": D("-3.00")}


def test_a_dividend_that_nobody_holds_goes_to_suspense():
    ledger = funded()
    ledger.apply(dividend("div", "AAPL", D("3.00"), {}, AT))
    assert ledger.cash(SUSPENSE) == D(3)


def test_a_split_changes_shares_and_no_cash():
    ledger = funded(a="0", b="0")
    ledger.apply(fill_transaction({"a": D(3), "b": D("1.5")}, fill("4.5"), D(0)))
    cash = ledger.account_cash()
    ledger.apply(split("s", "AAPL", D("4.5"), ledger.holders("AAPL"), AT))
    assert (ledger.positions("a"), ledger.positions("b")) == ({"AAPL": D(6)}, {"AAPL": D(3)})
    assert ledger.account_cash() == cash


def test_a_delisting_pays_each_holder_out_and_leaves_no_share():
    ledger = funded(a="0", b="0")
    ledger.apply(fill_transaction({"a": D(1), "b": D(2)}, fill("3", "10"), D(0)))
    ledger.apply(reorganization("r", "AAPL", D(-3), D(6), ledger.holders("AAPL"), AT))
    assert ledger.account_positions() == {}
    assert (ledger.cash("a"), ledger.cash("b")) == (D(-8), D(-16))


def test_an_amount_finer_than_a_billionth_is_split_to_its_own_last_digit():
    """A cash-out is quantity times price: up to thirteen decimals."""
    ledger = funded(a="0", b="0")
    ledger.apply(fill_transaction({"a": D("0.5"), "b": D("0.5")}, fill("1", "10"), D(0)))
    before = ledger.account_cash()
    ledger.apply(reorganization("r", "AAPL", D(-1), D("0.0000000000003"), ledger.holders("AAPL"), AT))
    assert ledger.account_cash() - before == D("0.0000000000003")
    assert ledger.cash("a") - ledger.cash("b") == D("0.0000000000001")


def test_fees_and_interest_are_the_treasurys_unless_said_otherwise():
    ledger = funded(a="10")
    ledger.apply(fee("fee", D("-1.25"), AT))
    ledger.apply(interest("int", D("0.75"), AT, sleeve="a"))
    assert (ledger.cash(TREASURY), ledger.cash("a")) == (D("99988.75"), D("10.75"))


def test_nav_values_every_sleeve_and_names_what_has_no_price():
    ledger = funded(a="1000")
    ledger.apply(fill_transaction({"a": D(5)}, fill("5", "100"), D(0)))
    assert ledger.nav({"AAPL": D(110)}) == {"a": D(1050), TREASURY: D(99_000)}
    with pytest.raises(LedgerError, match="a holds AAPL, which has no price"):
        ledger.nav({})


@pytest.mark.parametrize(
    ("kind", "net", "qty", "kind_booked"),
    [
        ("DIV", "2", "0", "dividend"),
        ("DIVNRA", "-0.3", "0", "dividend"),
        ("SPLIT", "0", "10", "split"),
        ("REORG", "500", "-10", "reorganization"),
        ("CSD", "100", "0", "deposit"),
        ("CSW", "-100", "0", "withdrawal"),
        ("JNLC", "100", "0", "deposit"),
        ("FEE", "-0.01", "0", "fee"),
        ("INT", "0.5", "0", "interest"),
        ("A_KIND_OF_TOMORROW", "7", "3", "unclassified"),
    ],
)
def test_every_activity_of_the_broker_moves_the_ledgers_account_by_the_same_amounts(kind, net, qty, kind_booked):
    ledger = funded(a="0")
    ledger.apply(fill_transaction({"a": D(10)}, fill("10"), D(0)))
    cash = ledger.account_cash()
    activity = CashActivity(id="n1", kind=kind, symbol="AAPL", net_amount=D(net), qty=D(qty), at=AT)
    booked = activity_transaction(activity, ledger.holders("AAPL"))
    assert booked.kind == kind_booked
    assert ledger.apply(booked) is True
    assert ledger.apply(activity_transaction(activity, {})) is False
    assert ledger.account_cash() == cash + D(net)
    assert ledger.account_positions().get("AAPL", D(0)) == D(10) + D(qty)
    assert ledger.check() == []


def test_money_is_never_rounded():
    """0.123456789 shares at 123.123456789 are 15.200426625750190521 USD: taken from a large account, the last digit is still right."""
    ledger = funded(a="5000")
    ledger.apply(deposit("big", D("123456789012.34"), AT))
    ledger.apply(fill_transaction({"a": D("0.123456789")}, fill("0.123456789", "123.123456789"), D(0)))
    assert ledger.account_cash() == D("123456888997.139573374249809479")


def test_check_names_an_account_that_was_tampered_with():
    ledger = funded(a="10")
    ledger._balances["sleeve:a"]["$"] += 1
    assert ledger.check() == ["all accounts together hold 1 $, not zero", "sleeves sum to 100001 $, the account has 100000"]


SHARES = st.decimals("0.000000001", 500, places=9)
ORDERS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.booleans(), SHARES), min_size=1)
CUTS = st.lists(st.integers(1, 10**6), max_size=6)


@settings(max_examples=200, deadline=None)
@given(order=ORDERS, cuts=CUTS, price=st.decimals("0.0001", 5000, places=4))
def test_a_completed_order_gives_every_sleeve_exactly_its_trade_however_it_was_filled(order, cuts, price):
    """Any sleeves on any side, any partition into executions: exact at the end, within 1e-9 of proportion all the way, always balanced."""
    shares = {name: qty if buys else -qty for name, (buys, qty) in order.items()}
    net = sum(shares.values(), D(0))
    ledger = funded()
    if net:
        wanted = market_shares(shares)
        assert sum(wanted.values()) == abs(net)
        side = "buy" if net > 0 else "sell"
        done = D(0)
        marks = sorted({(abs(net) * cut / 10**6).quantize(STEP) for cut in cuts} | {abs(net)})
        for number, mark in enumerate(mark for mark in marks if 0 < mark <= abs(net)):
            ledger.apply(fill_transaction(shares, fill(mark - done, price, side, f"f{number}"), done))
            done = mark
            for name, want in wanted.items():
                assert abs(abs(ledger.positions(name).get("AAPL", D(0))) - want * done / abs(net)) <= STEP
            assert abs(ledger.account_positions()["AAPL"]) == done
    crossed = cross_transaction("x", "AAPL", shares, price, AT)
    if crossed is not None:
        ledger.apply(crossed)
    assert {name: ledger.positions(name).get("AAPL", D(0)) for name in shares} == shares
    assert ledger.account_cash() == D(100_000) - net * price
    assert ledger.check() == []


@settings(max_examples=100, deadline=None)
@given(
    amount=st.decimals(-10_000, 10_000, places=2),
    holders=st.dictionaries(st.sampled_from("abcd"), st.decimals(-100, 100, places=9)),
)
def test_what_is_shared_out_sums_to_what_came_in(amount, holders):
    ledger = funded()
    ledger.apply(dividend("div", "AAPL", amount, holders, AT))
    assert ledger.account_cash() == D(100_000) + amount
    assert ledger.check() == []


def test_a_ledger_folded_from_its_transactions_is_the_same_ledger():
    transactions = [deposit("d", D(1000), AT), transfer("t", "a", D(400), AT)]
    transactions.append(fill_transaction({"a": D(2)}, fill("2", "50"), D(0)))
    folded = Ledger(transactions)
    assert folded.sleeves() == ("a", TREASURY)
    assert (folded.cash("a"), folded.positions("a"), folded.cash("nobody")) == (D(300), {"AAPL": D(2)}, D(0))
