"""The paper exchange: one account, its orders, and what each instant of the calendar does to them.

Everything follows from the options, the price source, the calendar and the commands (submit, cancel, deposit, advance), so that
replaying the journal of the commands rebuilds the same state, with the same ids.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from execution.base import Asset, OrderRequest
from execution.exchange import admission
from execution.exchange.account import Account, Holding
from execution.exchange.activities import Activity, ActivityLog, activity_id
from execution.exchange.blotter import Blotter
from execution.exchange.floor import Floor
from execution.exchange.journal import Journal
from execution.exchange.market import MarketSession, PriceSource, SessionBar, Sessions, SessionSource, price_at
from execution.exchange.options import VenueError, VenueOptions
from execution.exchange.orders import Refusal, VenueOrder, request_from, request_record
from execution.exchange.tape import Tape
from execution.exchange.units import MONEY_PLACES, TICK_PLACES, to_scaled, to_ticks

__all__ = ["MarketSession", "PriceSource", "SessionBar", "Venue", "VenueError", "VenueOptions"]

GTC_LIFE = timedelta(days=90)


class Venue:
    """The exchange. Not thread-safe: the server holds a lock around it."""

    def __init__(self, options: VenueOptions, prices: PriceSource, sessions: SessionSource, journal: Journal | None = None) -> None:
        """Start an exchange, or take it up again where its journal ends.

        Raises VenueError when the journal belongs to an exchange with other options.
        """
        self.options = options
        self.prices = prices
        self.sessions = Sessions(sessions)
        self._tape = Tape(prices, self.sessions)
        self.account = Account(multiplier=options.multiplier)
        self.log = ActivityLog()
        self.blotter = Blotter()
        self._assets: dict[str, Asset] = {}
        self._floor = Floor(self._tape, options.liquidity, self._on_fill)
        self._namespace = uuid5(NAMESPACE_URL, f"allocd/exchange/{options.seed}")
        self.account_id = self._uuid("account")
        self.account_number = f"PA{int(self.account_id[:8], 16):010d}"
        self._journal: Journal | None = None
        self._recover(journal)

    def _recover(self, journal: Journal | None) -> None:
        records = iter(() if journal is None else journal.replay())
        first = next(records, None)
        setup = self.options.record()
        start_at = self.options.start_at.isoformat()
        if first is not None:
            if first["options"] != setup:
                raise VenueError("the journal belongs to an exchange with other options; use them or another journal")
            start_at = first["at"]
        elif journal is not None:
            journal.append({"op": "open", "at": start_at, "options": setup})
        self._begin(datetime.fromisoformat(start_at))
        for record in records:
            self._redo(record)
        self._journal = journal

    def _begin(self, at: datetime) -> None:
        self.now = at
        self._marked_at = at
        self._last_submitted_at = at
        self._next = self.sessions.index_after(at)
        session = self.sessions[self._next]
        self._phase = 0 if session is None else (at >= session.corporate_at) + (at >= session.open_at)
        self._move_cash(self.options.cash_usd)
        self.account.last_equity = self.account.equity

    def _redo(self, record: Mapping[str, Any]) -> None:
        self._run_to(datetime.fromisoformat(record["at"]))
        if record["op"] == "submit":
            request = request_from(record["order"])
            self._accept(request, admission.read_terms(request), record["reserve"])
        elif record["op"] == "cancel":
            for order_id in record["ids"]:
                self._cancel(self.blotter.by_id[order_id], "canceled")
        elif record["op"] == "cash":
            self._move_cash(Decimal(record["amount"]))

    def _note(self, op: str, **details: Any) -> None:
        if self._journal is not None:
            self._journal.append({"op": op, "at": self.now.isoformat(), **details})

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Take an order. While its market is open it trades at once, else it waits for the next open (or its close).

        Raises Refusal, which changes nothing.
        """
        terms = admission.read_terms(request)
        asset = self.asset(request.symbol)
        admission.check_asset(asset, request, terms.qty)
        assert asset is not None
        if request.client_order_id in self.blotter.by_client_id:
            raise admission.invalid("client_order_id must be unique")
        session = self.sessions[self._next]
        if session is None:
            raise admission.unacceptable("the exchange has no further session")
        admission.check_window(request.time_in_force, session, self.sessions[self._next - 1], self.now)
        working = self.blotter.working(request.symbol)
        admission.check_wash_trade(request.side, terms.limit_ticks, working)
        reserve = self._reserve(request, asset, terms, working)
        admission.check_buying_power(self.account, reserve)
        self._note("submit", order=request_record(request), reserve=reserve)
        return self._accept(request, terms, reserve)

    def cancel(self, order_id: str) -> VenueOrder:
        """Cancel an order at once. Raises Refusal when it is unknown (404) or final (422)."""
        order = self.blotter.by_id.get(order_id)
        if order is None:
            raise Refusal(f"order not found for {order_id}", status=404, code=40410000)
        if order.is_final:
            raise admission.unacceptable(f'order is already in "{order.status}" state')
        self._note("cancel", ids=[order_id])
        self._cancel(order, "canceled")
        return order

    def cancel_all(self) -> list[VenueOrder]:
        """Cancel every open order; those that were open."""
        open_orders = self.blotter.open_orders()
        if open_orders:
            self._note("cancel", ids=[order.id for order in open_orders])
        for order in open_orders:
            self._cancel(order, "canceled")
        return open_orders

    def deposit(self, amount: Decimal) -> None:
        """Add cash (USD); a negative amount is a withdrawal. Raises Refusal for zero and for more than there is."""
        money = to_scaled(amount, MONEY_PLACES)
        if not money or money + self.account.cash < 0:
            raise admission.invalid(f"cannot move {amount} USD")
        self._note("cash", amount=str(amount))
        self._move_cash(amount)

    def advance(self, to: datetime) -> None:
        """Let time run to that instant and do what lies before it; an instant in the past changes nothing."""
        if to > self.now:
            if self._journal is not None:
                self._journal.append({"op": "advance", "at": to.isoformat()})
            self._run_to(to)

    def follow(self, to: datetime) -> None:
        """Like `advance`, for a clock that runs by itself: only an instant at which something happens is journaled."""
        due = self._due_at()
        if due is not None and due <= to:
            self.advance(to)
        else:
            self.now = max(self.now, to)

    @property
    def is_open(self) -> bool:
        """True from the open to the close of a session."""
        return self._phase == 2

    def asset(self, symbol: str) -> Asset | None:
        """The listed instrument with that symbol; listings are read again when it is new."""
        if symbol not in self._assets:
            self._assets = {asset.symbol: asset for asset in self.prices.assets()}
        return self._assets.get(symbol)

    def assets(self) -> list[Asset]:
        """Everything that is listed."""
        return list(self.prices.assets())

    def marked(self) -> Account:
        """The account with its positions valued now."""
        if self.is_open and self._marked_at != self.now:
            self._marked_at = self.now
            for symbol in self.account.holdings:
                self._mark_one(symbol)
        return self.account

    def hours(self) -> tuple[datetime, datetime]:
        """Next open and next close. Past the end of the calendar these stay those of its last session."""
        session = self.sessions[self._next] or self.sessions[len(self.sessions.known) - 1]
        if session is None:
            raise VenueError("the exchange calendar is empty")
        following = self.sessions[self._next + 1] or session
        return (following.open_at if self.is_open else session.open_at), session.close_at

    def _reserve(self, request: OrderRequest, asset: Asset, terms: admission.Terms, working: Sequence[VenueOrder]) -> int:
        """Buying power to hold for an order, 0 for one that only reduces a position. Raises Refusal."""
        reference = self.reference_ticks(request.symbol)
        if reference is None:
            raise admission.unacceptable(f"asset {request.symbol} is not active")
        may_short = asset.shortable and self.options.multiplier > 1
        held = self.marked().qty(request.symbol)
        if admission.check_position(request, terms.qty, held, working, may_short=may_short):
            return 0
        if request.side == "sell":
            return terms.qty * max(terms.limit_ticks or 0, _raised(reference, self.options.short_buffer_frac))
        return terms.qty * (terms.limit_ticks or _raised(reference, self.options.market_buffer_frac))

    def _accept(self, request: OrderRequest, terms: admission.Terms, reserve: int) -> VenueOrder:
        # Strictly increasing submission times let a client page by them; the clock moves along by a microsecond.
        self.now = max(self.now, self._last_submitted_at + timedelta(microseconds=1))
        self._last_submitted_at = self.now
        seq = len(self.blotter.orders) + 1
        order = VenueOrder(
            seq=seq,
            id=self._uuid(f"order:{seq}"),
            request=request,
            qty=terms.qty,
            limit_ticks=terms.limit_ticks,
            submitted_at=self.now,
            updated_at=self.now,
            reserved=reserve,
        )
        self.account.reserved += reserve
        self.blotter.add(order)
        session = self.sessions[self._next]
        if self.is_open and session is not None:
            self._admit([order], session, self.now)
        return order

    def _admit(self, orders: Sequence[VenueOrder], session: MarketSession, at: datetime) -> None:
        """Orders of one symbol reach the open market, where those for a later auction only wait."""
        for order in orders:
            if order.status == "accepted":
                order.move("new", at)
        bar = self._tape.bar(orders[0].symbol, session)
        now = [order for order in orders if order.request.time_in_force != "cls"]
        if bar is not None and bar.open is not None and now:
            self._floor.enter(now, bar, session, at, price_at(bar, session.fraction(at)))
        for order in now:
            if order.request.time_in_force in ("ioc", "fok", "opg") and not order.is_final:
                self._cancel(order, "canceled", at)

    def _on_fill(self, order: VenueOrder, units: int, ticks: int, at: datetime) -> None:
        lastday = None if order.symbol in self.account.holdings else self.last_close_ticks(order.symbol)
        self.account.trade(order.symbol, units if order.side == "buy" else -units, ticks, lastday)
        self._mark_one(order.symbol)
        order.filled_qty += units
        order.filled_value += units * ticks
        kept = order.reserved * order.remaining // (order.remaining + units)
        self.account.reserved += kept - order.reserved
        order.reserved = kept
        order.move("partially_filled" if order.remaining else "filled", at)
        if not order.remaining:
            self.blotter.retire(order)
        self._record(
            "FILL",
            order.symbol,
            at,
            qty=units,
            net=(-units if order.side == "buy" else units) * ticks,
            order_id=order.id,
            side=order.side,
            ticks=ticks,
            cum_qty=order.filled_qty,
            leaves_qty=order.remaining,
        )

    def _mark_one(self, symbol: str) -> None:
        session, holding = self.sessions[self._next], self.account.holdings.get(symbol)
        ticks = None if session is None or holding is None else self._tape.running(symbol, session, self.now)
        if holding is not None and ticks is not None:
            self.account.mark(holding, ticks)

    def _cancel(self, order: VenueOrder, status: str, at: datetime | None = None, reason: str = "") -> None:
        self._floor.remove(order)
        self.account.reserved -= order.reserved
        order.reserved = 0
        order.reject_reason = reason
        order.move(status, at or self.now)
        self.blotter.retire(order)

    def _due_at(self) -> datetime | None:
        session = self.sessions[self._next]
        if session is None:
            return None
        due = (session.corporate_at, session.open_at, session.close_at)[self._phase]
        wake = self._floor.next_wake()
        return due if wake is None else min(due, wake)

    def _run_to(self, to: datetime) -> None:
        while (due := self._due_at()) is not None and due <= to:
            session = self.sessions[self._next]
            assert session is not None
            self.now = max(self.now, due)
            wake = self._floor.next_wake()
            if wake is not None and wake == due and due < session.close_at:
                self._floor.wake(session)
            else:
                (self._corporate_actions, self._open, self._close)[self._phase](session)
        self.now = max(self.now, to)

    def _corporate_actions(self, session: MarketSession) -> None:
        self._phase = 1
        self.account.last_equity = self.account.equity
        at = session.corporate_at
        for holding in list(self.account.holdings.values()):
            holding.lastday_ticks = holding.mark_ticks
            self._split(holding, session, at)
            self._dividend(holding, session, at)
        for symbol in self.blotter.symbols():
            if self.prices.split(symbol, session.date) != 1.0:
                for order in self.blotter.working(symbol):
                    self._cancel(order, "canceled", at, "the share was split")

    def _split(self, holding: Holding, session: MarketSession, at: datetime) -> None:
        ratio = self.prices.split(holding.symbol, session.date)
        if ratio != 1.0:
            change = self.account.split(holding, Fraction(ratio).limit_denominator(1000))
            self._record("SPLIT", holding.symbol, at, qty=change)

    def _dividend(self, holding: Holding, session: MarketSession, at: datetime) -> None:
        per_share = self.prices.dividend(holding.symbol, session.date)
        if per_share > 0:
            text = repr(float(per_share))
            net = self.account.dividend(holding, Fraction(text) * 10**TICK_PLACES)
            self._record("DIV", holding.symbol, at, qty=holding.qty, net=net, per_share=text)

    def _open(self, session: MarketSession) -> None:
        self._phase = 2
        for symbol in self.blotter.symbols():
            self._admit(self.blotter.working(symbol), session, session.open_at)

    def _close(self, session: MarketSession) -> None:
        at = session.close_at
        for symbol in self.blotter.symbols():
            self._closing_auction(symbol, session)
        self._floor.clear()
        self._next += 1
        self._phase = 0
        for order in self.blotter.open_orders():
            order.refill_at = None
            if order.request.time_in_force != "gtc" or at - order.submitted_at >= GTC_LIFE:
                self._cancel(order, "expired", at)
        for symbol in dict.fromkeys([*self.account.holdings, *self.blotter.symbols()]):
            bar = self._tape.bar(symbol, session)
            if bar is None:
                self._delist_if_gone(symbol, at)
            elif symbol in self.account.holdings:
                self.account.mark(self.account.holdings[symbol], to_ticks(bar.close))

    def _closing_auction(self, symbol: str, session: MarketSession) -> None:
        bar = self._tape.bar(symbol, session)
        if bar is not None:
            orders = [order for order in self.blotter.working(symbol) if bar.open is None or order.request.time_in_force == "cls"]
            if orders:
                self._floor.enter(orders, bar, session, session.close_at, bar.close)

    def _delist_if_gone(self, symbol: str, at: datetime) -> None:
        if not self._tape.is_gone(symbol, self._next):
            return
        for order in self.blotter.working(symbol):
            self._cancel(order, "canceled", at, "the instrument was delisted")
        holding = self.account.holdings.get(symbol)
        if holding is not None:
            qty, value = holding.qty, holding.value
            self.account.trade(symbol, -qty, holding.mark_ticks)
            self._record("REORG", symbol, at, qty=-qty, net=value)

    def last_close_ticks(self, symbol: str) -> int | None:
        """The last close within ten sessions, in shares of today; None when there was none."""
        return self._tape.last_close(symbol, self._next, split_done=self._phase > 0)

    def reference_ticks(self, symbol: str) -> int | None:
        """What a share is worth now: the running price, else the last close, else the first price of the session to come."""
        session = self.sessions[self._next]
        running = self._tape.running(symbol, session, self.now) if self.is_open and session is not None else None
        last = running or self.last_close_ticks(symbol)
        return last if last is not None or session is None else self._tape.first(symbol, session)

    def _move_cash(self, amount: Decimal) -> None:
        money = to_scaled(amount, MONEY_PLACES)
        if money is None:
            raise VenueError(f"{amount} USD is not an amount of money")
        self.account.cash += money
        self._record("CSD" if money >= 0 else "CSW", "", self.now, net=money)

    def _record(self, kind: str, symbol: str, at: datetime, **details: Any) -> None:
        at = max(at, self.log.last_at or at)
        entry = activity_id(at, self._uuid(f"activity:{len(self.log.entries)}"))
        self.log.add(Activity(id=entry, kind=kind, symbol=symbol, at=at, **details))

    def _uuid(self, name: str) -> str:
        return str(uuid5(self._namespace, name))


def _raised(ticks: int, fraction: Decimal) -> int:
    return int(ticks * (1 + fraction))
