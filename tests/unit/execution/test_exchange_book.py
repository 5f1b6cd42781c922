"""The matching engine against a naive model that sorts a list of orders before every trade."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.exchange.book import Book, Trade


@dataclass
class Resting:
    order_id: int
    side: str
    ticks: int
    qty: int


class NaiveBook:
    """Price-time priority by definition: the best price first, among equals the one that came first."""

    def __init__(self):
        self.resting = []

    def add(self, order_id, side, qty, ticks, duration):
        def acceptable(order):
            return order.side != side and (ticks is None or (order.ticks <= ticks if side == "buy" else order.ticks >= ticks))

        candidates = sorted(filter(acceptable, self.resting), key=lambda order: order.ticks if side == "buy" else -order.ticks)
        if duration == "fok" and sum(order.qty for order in candidates) < qty:
            return []
        trades = []
        for order in candidates:
            size = min(qty, order.qty)
            if size:
                trades.append(Trade(order.order_id, order_id, order.ticks, size))
                order.qty -= size
                qty -= size
        self.resting = [order for order in self.resting if order.qty]
        if qty and ticks is not None and duration == "rest":
            self.resting.append(Resting(order_id, side, ticks, qty))
        return trades

    def cancel(self, order_id):
        left = sum(order.qty for order in self.resting if order.order_id == order_id)
        self.resting = [order for order in self.resting if order.order_id != order_id]
        return left

    def depth(self, side):
        levels = {}
        for order in self.resting:
            if order.side == side:
                levels[order.ticks] = levels.get(order.ticks, 0) + order.qty
        return sorted(levels.items(), reverse=side == "buy")


add = st.tuples(
    st.just("add"),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 20),
    st.one_of(st.none(), st.integers(95, 105)),
    st.sampled_from(["rest", "rest", "rest", "ioc", "fok"]),
)
cancel = st.tuples(st.just("cancel"), st.integers(1, 60))


@given(st.lists(st.one_of(add, add, add, cancel), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_orders_and_cancels_trades_as_price_time_priority_says(steps):
    book, naive = Book(), NaiveBook()
    for order_id, step in enumerate(steps, start=1):
        if step[0] == "cancel":
            assert book.cancel(step[1]) == naive.cancel(step[1])
        else:
            _, side, qty, ticks, duration = step
            assert book.add(order_id, side, qty, ticks, duration) == naive.add(order_id, side, qty, ticks, duration)
        for side in ("buy", "sell"):
            assert book.depth(side) == naive.depth(side)
            assert book.top(side) == (naive.depth(side) or [None])[0]


def test_trades_happen_at_the_price_of_the_order_that_was_there_first():
    book = Book()
    book.add(1, "sell", 10, 100)
    book.add(2, "sell", 10, 101)
    assert book.add(3, "buy", 15, 105) == [Trade(1, 3, 100, 10), Trade(2, 3, 101, 5)]


def test_a_market_order_never_rests():
    book = Book()
    assert book.add(1, "buy", 10) == []
    assert 1 not in book


def test_fill_or_kill_trades_in_full_or_leaves_the_book_alone():
    book = Book()
    book.add(1, "sell", 10, 100)
    assert book.add(2, "buy", 11, 100, "fok") == []
    assert book.top("sell") == (100, 10)
    assert book.add(3, "buy", 10, 100, "fok") == [Trade(1, 3, 100, 10)]


@pytest.mark.parametrize(("qty", "ticks"), [(0, 100), (-1, 100), (5, 0)])
def test_quantities_and_prices_must_be_positive(qty, ticks):
    with pytest.raises(ValueError, match="must be positive"):
        Book().add(1, "buy", qty, ticks)


def test_an_id_that_rests_cannot_be_used_again():
    book = Book()
    book.add(1, "buy", 5, 100)
    with pytest.raises(ValueError, match="id new"):
        book.add(1, "buy", 5, 100)
