"""Plan, trade, book and reconcile through a month with a split, a dividend and a delisting: the ledger equals the broker every day."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

from execution.planning import Plan, PlanningOptions, SleeveState, plan
from execution.reconcile import Tolerance, compare
from execution.rules import check
from execution.sleeves import Ledger, activity_transaction, cross_transaction, fill_transaction, transfer

from .conftest import DAYS, LAST_DAY_OF_GONE, SPLIT_DAY, Desk

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
EXACT = Tolerance(cash_usd=D(0), qty=D(0))


def wishes(number: int) -> dict[str, dict[str, float]]:
    """Two sleeves that trade against each other, drift, and go short."""
    swing = 0.05 * (number % 4)
    return {"a": {"AAPL": 0.20 + swing, "MSFT": 0.10, "GONE": 0.05}, "b": {"AAPL": 0.20 - swing, "MSFT": -0.02 if number % 3 else 0.08}}


class Books:
    """What the daemon does around a session, in a few lines."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.ledger = Ledger()
        self.orders: dict[str, tuple[Plan, int]] = {}
        self.crossed = 0

    def settle(self) -> None:
        """Book activities and fills in the order in which they happened."""
        broker = self.desk.broker
        happened = [*broker.cash_activities(after=LONG_AGO), *broker.fills(after=LONG_AGO)]
        filled: dict[str, D] = {}
        for item in sorted(happened, key=lambda item: (item.at, item.id)):
            if not hasattr(item, "order_id"):
                self.ledger.apply(activity_transaction(item, self.ledger.holders(item.symbol)))
                continue
            before = filled.get(item.order_id, D(0))
            planned, place = self.orders[item.order_id]
            self.ledger.apply(fill_transaction(planned.orders[place].shares, item, before))
            filled[item.order_id] = before + item.qty

    def trade(self, cycle: str, weights: dict[str, dict[str, float]], prices: dict[str, D], blocked: frozenset[str]) -> None:
        """Plan on the ledger's own positions, send, wait for the open, book fills and crosses."""
        ledger, broker = self.ledger, self.desk.broker
        names = {*ledger.sleeves(), *weights}
        sleeves = {name: SleeveState(cash=ledger.cash(name), positions=ledger.positions(name)) for name in names}
        nav = sum(ledger.nav(prices).values(), D(0))
        capital = dict.fromkeys(weights, 0.45)
        planned = plan(
            cycle_id=cycle,
            sleeves=sleeves,
            sleeve_weights=weights,
            capital=capital,
            nav=nav,
            prices=prices,
            options=PlanningOptions(),
            blocked=blocked,
        )
        for moved in planned.transfers:
            ledger.apply(transfer(f"{cycle}-{moved.sleeve}", moved.sleeve, moved.amount, broker.clock().timestamp))
        account = ledger.account_positions()
        for place, order in enumerate(planned.orders):
            check(order.request, price=order.decision_price, held=account.get(order.request.symbol, D(0)))
            self.orders[broker.submit(order.request).id] = (planned, place)
        self.desk.to_open(date.fromisoformat(cycle))
        self.settle()
        at = broker.clock().timestamp
        for order in planned.orders:
            done = broker.order_by_client_id(order.request.client_order_id)
            assert done is not None
            assert done.is_final
            price = done.filled_avg_price or order.decision_price
            crossed = cross_transaction(f"x-{order.request.client_order_id}", order.request.symbol, order.shares, price, at)
            if crossed is not None:
                self.crossed += ledger.apply(crossed)
        for cross in planned.crosses:
            crossed = cross_transaction(f"x-{cycle}-{cross.symbol}", cross.symbol, cross.shares, cross.decision_price, at)
            assert crossed is not None
            self.crossed += ledger.apply(crossed)


def test_the_sleeves_sum_to_the_account_to_the_last_digit_on_every_day(desk):
    books = Books(desk)
    ledger = books.ledger
    for number, day in enumerate(DAYS[:18]):
        desk.advance(datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC))
        books.settle()
        marks = {position.symbol: position.current_price for position in desk.broker.positions() if position.current_price}
        usual = {"AAPL": D(100) if day < SPLIT_DAY else D(50), "MSFT": D(50), "GONE": D(20)}
        books.trade(day.isoformat(), wishes(number), usual | marks, frozenset({"GONE"} if day > LAST_DAY_OF_GONE else ()))
        desk.to_evening(day)
        books.settle()
        account, positions = desk.broker.account(), desk.broker.positions()
        assert compare(ledger.account_cash(), ledger.account_positions(), account, positions, tolerance=EXACT) == (), day
        assert ledger.check() == []
    assert books.crossed > 5
    assert len(books.orders) > 20
    assert {activity.kind for activity in desk.broker.cash_activities(after=LONG_AGO)} == {"CSD", "SPLIT", "DIV", "REORG"}
