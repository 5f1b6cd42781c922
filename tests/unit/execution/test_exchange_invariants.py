"""What holds for every course of events: books balance, ids repeat, and a journal rebuilds the same exchange."""

import copy
import random
import shutil
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.exchange.journal import Journal
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.options import VenueError
from execution.exchange.orders import Refusal
from execution.exchange.units import price, shares, usd
from tests.unit.execution.exchange_market import DAYS, bar, make_venue, order

SYMBOLS = ["AAA", "BBB", "ETF", "GONE"]


def world():
    """Twelve sessions of four symbols: a split, dividends, a close-only fund, and one that stops trading on the first day."""
    rng = random.Random(7)
    bars, level = {}, dict.fromkeys(SYMBOLS, 50.0)
    for number, day in enumerate(DAYS):
        for symbol in SYMBOLS:
            opened = level[symbol] * (1 + rng.gauss(0, 0.02))
            closed = opened * (1 + rng.gauss(0, 0.02))
            level[symbol] = closed
            extremes = (max(opened, closed) * 1.01, min(opened, closed) * 0.99)
            if symbol == "ETF":
                bars[symbol, day] = bar(None, close=closed)
            elif symbol != "GONE" or number < 3:
                bars[symbol, day] = bar(opened, *extremes, closed, volume=50_000.0)
    return bars


BARS = world()
EVENTS = {
    "splits": {("AAA", DAYS[4]): 3.0, ("BBB", DAYS[5]): 0.3},
    "dividends": {("BBB", DAYS[3]): 0.37, ("AAA", DAYS[4]): 0.11, ("ETF", DAYS[6]): 1.0},
    "liquidity": LiquidityOptions(half_spread_bps=3.0, impact_bps=80.0),
}


def new_venue(journal=None):
    return make_venue(BARS, journal=journal, **EVENTS)


an_order = st.tuples(
    st.just("order"),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(SYMBOLS),
    st.sampled_from(["1", "7.25", "40", "600"]),
    st.sampled_from([None, None, "45", "49.5", "50.5", "55"]),
    st.sampled_from(["day", "day", "day", "gtc", "opg", "cls", "ioc", "fok"]),
)
command = st.one_of(
    an_order,
    an_order,
    an_order,
    st.tuples(st.just("cancel"), st.integers(0, 10)),
    st.tuples(st.just("cash"), st.sampled_from(["100.55", "-20"])),
)
pauses = st.one_of(st.just(0), st.integers(1, 30)).map(lambda hours: ("wait", hours))
commands = st.lists(st.tuples(command, pauses), min_size=15, max_size=40).map(lambda pairs: [step for pair in pairs for step in pair])


def obey(venue, steps, hop=timedelta(hours=1)):
    for number, step in enumerate(steps):
        try:
            if step[0] == "wait":
                target = venue.now + timedelta(hours=step[1])
                while venue.now < target:
                    venue.advance(min(target, venue.now + hop))
            elif step[0] == "order":
                _, side, symbol, qty, limit, tif = step
                venue.submit(order(side, qty, symbol, limit=limit, tif=tif, client_order_id=f"c{number}"))
            elif step[0] == "cancel" and step[1] < len(venue.blotter.orders):
                venue.cancel(venue.blotter.orders[step[1]].id)
            elif step[0] == "cash":
                venue.deposit(Decimal(step[1]))
        except Refusal:
            continue


def state(venue):
    """Everything a client can see, and the margin behind it."""
    account = venue.marked()
    money = (account.cash, account.reserved, account.equity, account.long_value, account.short_value, account.last_equity)
    return copy.deepcopy((money, account.holdings, venue.blotter.orders, venue.log.entries, venue.now, venue.hours()))


@given(commands)
@settings(max_examples=100, deadline=None)
def test_cash_positions_and_orders_always_agree_with_the_activities(steps):
    venue = new_venue()
    obey(venue, steps)
    account = venue.marked()
    assert account.cash == sum(entry.net for entry in venue.log.entries)
    held, filled = defaultdict(int), defaultdict(int)
    for entry in venue.log.entries:
        if entry.kind == "FILL":
            held[entry.symbol] += entry.qty if entry.side == "buy" else -entry.qty
            filled[entry.order_id] += entry.qty
            assert -entry.net == (entry.qty if entry.side == "buy" else -entry.qty) * entry.ticks
        elif entry.kind in ("SPLIT", "REORG"):
            held[entry.symbol] += entry.qty
    assert {symbol: qty for symbol, qty in held.items() if qty} == {symbol: h.qty for symbol, h in account.holdings.items()}
    assert account.long_value == sum(h.value for h in account.holdings.values() if h.qty > 0)
    assert account.short_value == sum(h.value for h in account.holdings.values() if h.qty < 0)
    assert account.reserved == sum(placed.reserved for placed in venue.blotter.open_orders()) >= 0
    for placed in venue.blotter.orders:
        assert placed.filled_qty == filled[placed.id] <= placed.qty
        assert (placed.filled_qty == placed.qty) == (placed.status == "filled")
        assert placed.is_final == (placed not in venue.blotter.open_orders())
    times = [entry.at for entry in venue.log.entries]
    assert times == sorted(times)
    assert len({entry.id for entry in venue.log.entries}) == len(times)


@given(commands)
@settings(max_examples=40, deadline=None)
def test_nobody_buys_above_or_sells_below_his_limit(steps):
    venue = new_venue()
    obey(venue, steps)
    for entry in venue.log.entries:
        limit = venue.blotter.by_id[entry.order_id].limit_ticks if entry.kind == "FILL" else None
        if limit is not None:
            assert entry.ticks <= limit if entry.side == "buy" else entry.ticks >= limit


@given(commands)
@settings(max_examples=40, deadline=None)
def test_the_size_of_the_steps_in_which_time_runs_makes_no_difference(steps):
    coarse, fine = new_venue(), new_venue()
    obey(coarse, steps, hop=timedelta(days=9))
    obey(fine, steps, hop=timedelta(minutes=97))
    assert state(coarse) == state(fine)


@given(steps=commands)
@settings(max_examples=30, deadline=None)
def test_a_journal_rebuilds_the_same_exchange_which_then_goes_on_alike(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("exchange") / "journal"
    with closing(Journal(path)) as journal:
        first = new_venue(journal)
        obey(first, steps, hop=timedelta(days=2))
        shutil.copy(path, path.with_name("copy"))
        with closing(Journal(path.with_name("copy"))) as copied:
            second = new_venue(copied)
            assert state(second) == state(first)
            for venue in (first, second):
                obey(venue, [("order", "buy", "AAA", "1", None, "day"), ("wait", 40)])
            assert state(second) == state(first)


def test_after_a_write_torn_by_a_crash_the_exchange_is_as_it_was_before_that_command(tmp_path):
    path = tmp_path / "journal"
    venue = new_venue(Journal(path))
    obey(venue, [("order", "buy", "AAA", "40", None, "day"), ("wait", 2)])
    before = state(venue)
    intact = path.stat().st_size
    venue.submit(order("buy", 1, "BBB", client_order_id="torn"))
    for length in (intact, intact + 1, path.stat().st_size - 1):
        torn = tmp_path / f"torn-{length}"
        shutil.copy(path, torn)
        with torn.open("r+b") as file:
            file.truncate(length)
        assert state(new_venue(Journal(torn))) == before


def test_a_refused_order_leaves_no_trace_in_the_journal(tmp_path):
    path = tmp_path / "journal"
    venue = new_venue(Journal(path))
    size = path.stat().st_size
    with pytest.raises(Refusal):
        venue.submit(order("buy", 10**9))
    assert path.stat().st_size == size


def test_a_real_clock_writes_to_the_journal_only_when_something_happens(tmp_path):
    path = tmp_path / "journal"
    venue = new_venue(Journal(path))
    size = path.stat().st_size
    for minute in range(30):
        venue.follow(venue.now + timedelta(minutes=1))
        assert (path.stat().st_size == size) == (minute < 29)


def test_a_journal_of_an_exchange_with_other_options_is_not_taken_up(tmp_path):
    path = tmp_path / "journal"
    with closing(Journal(path)) as first:
        new_venue(first)
    with pytest.raises(VenueError, match="other options"):
        make_venue(BARS, journal=Journal(path), seed="another")


def test_two_exchanges_with_the_same_commands_give_the_same_ids_and_another_seed_gives_others():
    steps = [("order", "buy", "AAA", "1", None, "day"), ("wait", 3)]
    one, same, other = new_venue(), new_venue(), make_venue(BARS, **EVENTS, seed="other")
    for venue in (one, same, other):
        obey(venue, steps)
    assert [entry.id for entry in one.log.entries] == [entry.id for entry in same.log.entries]
    assert not {entry.id for entry in one.log.entries} & {entry.id for entry in other.log.entries}


def test_a_sale_of_everything_returns_what_the_fills_say():
    venue = new_venue()
    obey(venue, [("order", "buy", "AAA", "40", None, "day"), ("wait", 24), ("order", "sell", "AAA", "40", None, "day"), ("wait", 24)])
    fills = [entry for entry in venue.log.entries if entry.kind == "FILL"]
    bought = sum(shares(entry.qty) * price(entry.ticks) for entry in fills if entry.side == "buy")
    sold = sum(shares(entry.qty) * price(entry.ticks) for entry in fills if entry.side == "sell")
    assert venue.account.holdings == {}
    assert usd(venue.account.cash) == Decimal(100_000) - bought + sold
