"""A trading desk whose every number can be worked out in the head: flat prices, no costs, strategies that want fixed weights.

The exchange is the built-in one, the record a schema of its own in a real PostgreSQL; a `Wire` between the two loses replies on demand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

import config
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.cycle import Cycles, apply, record
from daemon.cycle_input import CycleInput, Options
from daemon.decision import Decision
from daemon.joblist import metrics_for
from daemon.marks import mark
from daemon.runtime import Runtime
from daemon.settle import open_account, settle
from daemon.store.datasets import ensure_table
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from execution.base import CashActivity, Fill, Order, OrderRequest, Position
from execution.errors import Rejected, UnknownOutcome, Unreachable
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession, SessionBar
from execution.exchange.prices import TablePrices
from execution.exchange.sim import SimBroker
from execution.exchange.venue import Venue, VenueOptions
from execution.planning import Cross, Plan, PlannedOrder, client_order_id
from scrapers import DATASETS, tables, times
from scrapers.sources.bars_daily import DailyBar
from strategies.base import Strategy, Targets, daily, no_evidence
from tests.integration.small_world import execute, store

CALENDAR = Calendar()
HISTORY = CALENDAR.sessions(date(2021, 12, 1), date(2021, 12, 31))
DAYS = CALENDAR.sessions(date(2022, 1, 3), date(2022, 1, 31))
PRICES = {"AAA": 100.0, "BBB": 50.0, "CCC": 20.0, "SPY": 400.0}
ANCHORS = ("open+1m", "close+1m")
WIDE = {
    "ALLOCD_MAX_SLEEVE_FRAC": "1", "ALLOCD_MAX_SYMBOL_FRAC": "1", "ALLOCD_MAX_SECTOR_FRAC": "1", "ALLOCD_MAX_ADV_FRAC": "1",
    "ALLOCD_RAMP_SESSIONS": "1", "ALLOCD_SHADOW_WARMUP_SESSIONS": "0", "ALLOCD_BAND_FRAC": "0", "ALLOCD_MAX_VAR95_FRAC": "1",
    "ALLOCD_MAX_CVAR95_FRAC": "1",
}  # fmt: skip
"""Settings under which no limit binds, so that targets are what is bought."""

Quotes = Mapping[tuple[str, date], tuple[float, float]]


def wants(name: str, weights: Mapping[str, float], *, shorts: bool = False) -> Strategy:
    """A strategy that is due on every session and always wants the same; `weights` may be changed between sessions."""

    def run(view: Any) -> Targets:
        series = pd.Series(dict(weights), dtype="float64")
        return Targets(weights=series, evidence=no_evidence(), scores=series.copy())

    return Strategy(
        name=name,
        run=run,
        needs=("bars_daily",),
        rebalance=daily(),
        lookback_sessions=1,
        params={},
        description="fixed weights",
        shorts=shorts,
    )


class Wire:
    """A broker behind a wire that fails as told; everything else passes."""

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker
        self.submitted: list[str] = []
        self.lookups: list[str] = []
        self.on_submit: Callable[[OrderRequest], None] = lambda request: None
        self.lose_request: set[str] = set()
        self.lose_reply: set[str] = set()
        self.refuse: dict[str, str] = {}
        self.down: set[str] = set()
        self.strangers: list[Position] = []
        self.visible_fills: int | None = None
        self.double_fills = False

    def __getattr__(self, name: str) -> Any:
        if name in self.down:
            raise Unreachable(f"{name}: the wire is cut")
        return getattr(self.broker, name)

    def submit(self, request: OrderRequest) -> Order:
        self.submitted.append(request.client_order_id)
        self.on_submit(request)
        if request.symbol in self.refuse:
            raise Rejected(self.refuse[request.symbol], status=422)
        if request.symbol in self.lose_request:
            self.lose_request.discard(request.symbol)
            raise UnknownOutcome("connection reset while sending")
        order = self.broker.submit(request)
        if request.symbol in self.lose_reply:
            raise UnknownOutcome("connection reset while waiting for the reply")
        return order

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self.lookups.append(client_order_id)
        found = self.broker.order_by_client_id(client_order_id)
        return None if found is None else self._as_visible(found)

    def orders(self, **options: Any) -> list[Order]:
        if "orders" in self.down:
            raise Unreachable("orders: the wire is cut")
        return [self._as_visible(o) for o in self.broker.orders(**options)]

    def fills(self, *, after: datetime) -> list[Fill]:
        if "fills" in self.down:
            raise Unreachable("fills: the wire is cut")
        found = self.broker.fills(after=after)[: self.visible_fills]
        return [*found, *found] if self.double_fills else found

    def cash_activities(self, *, after: datetime) -> list[CashActivity]:
        if "cash_activities" in self.down:
            raise Unreachable("cash_activities: the wire is cut")
        return list(self.broker.cash_activities(after=after))

    def positions(self) -> list[Position]:
        if "positions" in self.down:
            raise Unreachable("positions: the wire is cut")
        return [*self.broker.positions(), *self.strangers]

    def _as_visible(self, order: Order) -> Order:
        """The order as it stood when only the first fills had happened."""
        if self.visible_fills is None:
            return order
        done = sum((f.qty for f in self.broker.fills(after=order.submitted_at)[: self.visible_fills] if f.order_id == order.id), Decimal(0))
        return order if done == order.filled_qty else replace(order, status="partially_filled", filled_qty=done)


@dataclass
class Desk:
    """A runtime, the hand that moves its time, and shortcuts into its record."""

    rt: Runtime
    venue: Venue
    wire: Wire
    cycles: Cycles

    def at(self, session: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
        """Let time run to a New York time of that day."""
        instant = times.new_york(session, time(hour, minute, second))
        self.rt.clock.sleep_until(instant)
        return instant

    def cycle(self, session: date) -> dict[str, Any]:
        """The cycle of that session, half an hour before its open."""
        return self.cycles.run(self.at(session, 9))

    def settle(self, session: date, hour: int = 9, minute: int = 31, second: int = 0) -> dict[str, Any]:
        """A sweep, a minute after the open unless told."""
        return settle(self.rt, self.at(session, hour, minute, second))

    def mark(self, session: date) -> dict[str, Any]:
        """The daily mark."""
        return mark(self.rt, self.at(session, 16, 45))

    def day(self, session: date) -> dict[str, Any]:
        """Cycle, sweep after the open, mark."""
        done = self.cycle(session)
        self.settle(session)
        self.mark(session)
        return done

    def record_intents(self, session: date, trades: Mapping[str, Mapping[str, str]]) -> CycleInput:
        """Record orders at the flat prices, as a cycle would, and send nothing. trades: symbol -> sleeve -> signed shares."""
        self.at(session, 9)
        orders, crosses = [], []
        for symbol, wanted in trades.items():
            shares = {sleeve: Decimal(qty) for sleeve, qty in wanted.items()}
            net, price = sum(shares.values(), Decimal(0)), Decimal(str(PRICES[symbol]))
            if net == 0:
                crosses.append(Cross(symbol=symbol, shares=shares, decision_price=price))
                continue
            key = client_order_id(self.rt.id_prefix, session.strftime("%Y%m%d"), symbol, 1)
            request = OrderRequest(client_order_id=key, symbol=symbol, side="buy" if net > 0 else "sell", qty=abs(net))
            orders.append(PlannedOrder(request=request, shares=shares, decision_price=price))
        planned = Plan(orders=tuple(orders), crosses=tuple(crosses), transfers=(), skipped=())
        given = _input(self.rt, session)
        decision = Decision(
            evaluations=(),
            books=(),
            marks=(),
            allocation=None,
            plan=planned,
            nav=Decimal(100_000),
            prices={},
            reason="by hand",
            hash="hand",
        )
        record(self.rt, given, decision)
        return given

    def intend(self, session: date, trades: Mapping[str, Mapping[str, str]]) -> int:
        """Record orders and send them; how many the broker accepted."""
        return apply(self.rt, self.record_intents(session, trades))

    def order(self, symbol: str) -> dict[str, Any]:
        """The newest recorded order of a symbol."""
        return self.sql("SELECT * FROM orders WHERE symbol = %(s)s ORDER BY session DESC LIMIT 1", s=symbol)[0]

    def sql(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a statement of a test's own."""
        return execute(self.rt.db, statement, **parameters)

    def holdings(self) -> dict[str, dict[str, Decimal]]:
        """Shares by sleeve and symbol, summed from the recorded entries alone."""
        found: dict[str, dict[str, Decimal]] = {}
        for row in self.sql(
            "SELECT account, unit, sum(amount) AS qty FROM ledger_entries WHERE account LIKE 'sleeve:%%' AND unit <> '$' "
            "GROUP BY 1, 2 HAVING sum(amount) <> 0"
        ):
            found.setdefault(row["account"].removeprefix("sleeve:"), {})[row["unit"]] = row["qty"]
        return found

    def cash(self, sleeve: str) -> Decimal:
        """A sleeve's cash, summed from the recorded entries alone."""
        rows = self.sql(
            "SELECT coalesce(sum(amount), 0) AS c FROM ledger_entries WHERE account = %(a)s AND unit = '$'", a=f"sleeve:{sleeve}"
        )
        return Decimal(rows[0]["c"])

    def counts(self) -> dict[str, int]:
        """Rows of every table that trading writes to."""
        names = "cycles orders order_shares fills crosses ledger_transactions ledger_entries nav_marks sleeve_marks breaks".split()
        return {name: self.sql(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in names}

    def restart(self, strategies: Mapping[str, Strategy] | None = None) -> None:
        """A process that starts anew on the same record and the same account."""
        chosen = self.rt.strategies if strategies is None else strategies
        metrics = metrics_for("desk-1", chosen, DATASETS, ANCHORS)
        self.rt = replace(
            self.rt, book=TradingBook(self.rt.db), strategies=chosen, params={name: {} for name in chosen}, metrics=metrics
        )  # fmt: skip
        self.cycles = Cycles(self.rt)

    def agrees_with_broker(self) -> bool:
        """The recorded sleeves together are what the exchange says the account has."""
        ledger = self.rt.book.ledger
        theirs = {p.symbol: p.qty for p in self.wire.broker.positions()}
        return ledger.account_positions() == theirs and ledger.account_cash() == self.wire.broker.account().cash and not ledger.check()


def _input(rt: Runtime, session: date) -> CycleInput:
    settings = rt.settings
    options = Options(
        limits=settings.limits(),
        cost_frac=0.0,
        min_notional_usd="25",
        band_frac=0.0,
        qty_decimals=6,
        id_prefix=rt.id_prefix,
        benchmark="SPY",
    )
    return CycleInput(
        cycle_id=session.strftime("%Y%m%d"), session=session, at=rt.clock.now(), code_version="desk-1", options=options, sleeves=(),
        holdings={}, previous_capital={}, state="ACTIVE", state_reason="", blocked=(), whole_shares=(), versions_known={}, history_hash="",
    )  # fmt: skip


def _bars(quotes: Quotes, volume: float) -> tuple[list[tables.Timed], dict[tuple[str, date], SessionBar]]:
    rows, table = [], {}
    for session in [*HISTORY, *DAYS]:
        for symbol, price in PRICES.items():
            opened, close = quotes.get((symbol, session), (price, price))
            row = DailyBar(
                symbol=symbol, session=session, open=opened, high=max(opened, close), low=min(opened, close), close=close,
                adj_close=close, volume=int(volume), adjustment="split",
            )  # fmt: skip
            known = times.new_york(session, time(16, 20))
            rows.append(tables.Timed(row=row, event_at=CALENDAR.close_at(session), known_at=known))
            table[symbol, session] = SessionBar(open=opened, high=row.high, low=row.low, close=close, volume=volume)
    return rows, table


def open_desk(
    conninfo: Callable[[], str], schema: str, directory: Path, strategies: Mapping[str, Strategy] | None = None, *,
    quotes: Quotes | None = None, dividends: Mapping[tuple[str, date], float] | None = None,
    splits: Mapping[tuple[str, date], float] | None = None, liquidity: LiquidityOptions | None = None, volume: float = 10_000_000.0,
    before_opening: Callable[[Venue], None] | None = None, **changes: str,
) -> Desk:  # fmt: skip
    """A desk with 100,000 USD, two hours before the open of the first day."""
    db, lake = Database(conninfo, schema=schema, durable=False, pool_max=4), Lake(directory / "lake")
    db.migrate()
    for dataset in DATASETS.values():
        ensure_table(db, dataset)
    rows, table = _bars(quotes or {}, volume)
    store(db, lake, "bars_daily", DailyBar, rows)
    sessions = [MarketSession(date=d, open_at=CALENDAR.open_at(d), close_at=CALENDAR.close_at(d)) for d in [*HISTORY, *DAYS]]
    start_at = CALENDAR.open_at(DAYS[0]) - timedelta(hours=2)
    free = liquidity or LiquidityOptions(half_spread_bps=0.0, impact_bps=0.0)
    prices = TablePrices(table, dividends=dividends, splits=splits)
    venue = Venue(VenueOptions(start_at=start_at, cash_usd=Decimal(100_000), liquidity=free, seed=schema), prices, sessions)
    if before_opening is not None:
        before_opening(venue)
    clock = VirtualClock(max(start_at, venue.now))
    clock.on_advance(venue.advance)
    chosen, wire = dict(strategies or {}), Wire(SimBroker(venue))
    parts: dict[str, Any] = {"settings": config.load(WIDE | changes, env_file=None), "clock": clock, "calendar": CALENDAR}
    rt = Runtime(
        **parts, db=db, lake=lake, archive=Archive(lake, DATASETS.values(), CALENDAR), broker=wire, book=TradingBook(db),
        metrics=metrics_for("desk-1", chosen, DATASETS, ANCHORS), strategies=chosen, params={name: {} for name in chosen},
        datasets=DATASETS, sources={}, http=None, settle_anchors=ANCHORS, id_prefix="desk", code_version="desk-1", sandbox=False,
    )  # fmt: skip
    open_account(rt)
    return Desk(rt=rt, venue=venue, wire=wire, cycles=Cycles(rt))
