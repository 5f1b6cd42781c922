"""The daily mark: NAV of account and sleeves at the close, time-weighted return, benchmark, drawdown and its halt."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from daemon.book import Outbox
from daemon.logging import get_logger
from daemon.readings import last_prices
from daemon.runtime import Runtime
from daemon.settle import settle
from daemon.store.postgres import Database
from daemon.store.view import View
from execution.sleeves import CASH, cross_transaction
from strategies.base import BarField

log = get_logger("marks")


def mark(rt: Runtime, at: datetime) -> dict[str, Any]:
    """Value everything at the closes known at `at`; books the crosses that waited for the official open."""
    with rt.trading:
        settle(rt, at)
        rt.archive.refresh()
        with rt.book.changing():
            return _mark(rt, at, rt.archive.view(at))


def _mark(rt: Runtime, at: datetime, view: View) -> dict[str, Any]:
    session = rt.calendar.last_closed(at)
    book_crosses(rt, view)
    symbols = sorted(rt.book.ledger.account_positions())
    prices = last_prices(view, symbols)
    values = _values(rt, prices)
    with rt.db.transaction():
        row = _row(rt, session, at, view, prices, sum(v["nav_usd"] for v in values.values()))
        if not rt.db.count("nav_add", **row):
            return {"session": session.isoformat(), "nav_usd": row["nav_usd"]}
        rt.db.run("meta_set", key="closes", value={"at": at.isoformat(), "prices": {s: str(p) for s, p in prices.items()}})
        rt.db.run("meta_set", key="contributed", value={unit: str(amount) for unit, amount in sorted(_contributed(rt).items())})
        rt.db.copy(
            "copy_sleeve_marks",
            [
                (session, name, v["nav_usd"], v["cash_usd"], v["nav_usd"] / row["nav_usd"] if row["nav_usd"] else 0.0)
                for name, v in values.items()
            ],
        )
        halted = _check_drawdown(rt, at, row)
    _tell(rt, row, values, halted, [s for s in symbols if s not in prices])
    return {"session": session.isoformat(), "nav_usd": round(row["nav_usd"], 2)}


def book_crosses(rt: Runtime, view: View) -> None:
    """Book internal crosses at the official open of their session (its close where there is no open)."""
    due = [c for c in rt.book.crosses.values() if rt.calendar.last_closed(view.asof) >= c.session]
    outbox = Outbox()
    for cross in due:
        price = _official(view, cross.symbol, cross.session) or cross.decision_price
        rt.book.book(outbox, cross_transaction(cross.cross_id, cross.symbol, cross.shares, price, rt.clock.now()))
        with rt.db.transaction():
            rt.db.run("cross_booked", cross_id=cross.cross_id, price=price, at=rt.clock.now())
            rt.book.save(outbox, rt.clock.now())
        outbox = Outbox()
        del rt.book.crosses[cross.cross_id]


def _official(view: View, symbol: str, session: date) -> Decimal | None:
    fields: tuple[BarField, ...] = ("open", "close")
    for field in fields:
        frame = view.bars(field, 5, [symbol])
        row = np.flatnonzero(frame.index == np.datetime64(session, "us"))
        if frame.shape[1] and len(row) and np.isfinite(value := float(frame.to_numpy()[row[0], 0])):
            return Decimal(repr(round(value, 6)))
    return None


def _values(rt: Runtime, prices: dict[str, Decimal]) -> dict[str, dict[str, float]]:
    ledger, zero = rt.book.ledger, Decimal(0)
    found = {}
    for name in ledger.sleeves():
        cash = ledger.cash(name)
        held = sum((q * prices.get(s, zero) for s, q in ledger.positions(name).items()), zero)
        found[name] = {"nav_usd": float(cash + held), "cash_usd": float(cash)}
    return found


def _row(rt: Runtime, session: date, at: datetime, view: View, prices: dict[str, Decimal], nav: float) -> dict[str, Any]:
    last = rt.db.row("nav_last")
    flow = _flow(rt, prices)
    base = (last["nav_usd"] if last else 0.0) + flow
    held = [float(q * prices.get(s, Decimal(0))) for s, q in rt.book.ledger.account_positions().items()]
    if base > 0:
        rt.metrics.set("allocd_portfolio_daily_return_ratio", nav / base - 1.0)
    return {
        "session": session,
        "at": at,
        "nav_usd": nav,
        "cash_usd": float(rt.book.ledger.account_cash()),
        "gross_frac": sum(map(abs, held)) / nav if nav else 0.0,
        "net_frac": sum(held) / nav if nav else 0.0,
        "flow_usd": flow,
        "return_index": (last["return_index"] if last else 1.0) * (nav / base if base > 0 else 1.0),
        "benchmark": _benchmark_level(rt, view, session),
    }


def _benchmark_level(rt: Runtime, view: View, session: date) -> float | None:
    """Total-return level of the benchmark, 1 at the close before the first mark; None while it has no bar there."""
    first = rt.db.row("nav_first")
    start = first["session"] if first else session
    base = np.datetime64(rt.calendar.previous_session(start), "us")
    depth = rt.calendar.count(start, session) + 1
    levels = view.bars("adj_close", depth, [rt.settings.benchmark])
    known = levels.to_numpy()[:, 0] if levels.shape[1] else np.empty(0)
    at = np.flatnonzero(np.isfinite(known))
    if not len(at) or levels.index[at[0]].to_datetime64() > base:
        return None
    return float(known[at[-1]] / known[0])


def _flow(rt: Runtime, prices: dict[str, Decimal]) -> float:
    """USD that came from outside since the last mark: cash, and shares found or traded by hand at their price of now."""
    contributed, row, zero = _contributed(rt), rt.db.row("meta_get", key="contributed"), Decimal(0)
    before = {unit: Decimal(amount) for unit, amount in row["value"].items()} if row else {}
    changes = {unit: contributed.get(unit, zero) - before.get(unit, zero) for unit in contributed.keys() | before.keys()}
    return float(sum(((Decimal(1) if unit == CASH else prices.get(unit, zero)) * change for unit, change in changes.items()), zero))


def _contributed(rt: Runtime) -> dict[str, Decimal]:
    return {unit: -amount for unit, amount in rt.book.ledger.counterparty("equity").items()}


def high_water(db: Database) -> float:
    """The highest return index since the high-water mark last started anew; 0 before the first mark."""
    anew = db.row("meta_get", key="high_water_since")
    high = db.row("nav_high_water", since=date.fromisoformat(anew["value"]) if anew else date.min)
    return float(high["high"]) if high and high["high"] else 0.0


def drawdown_frac(db: Database) -> float:
    """How far the last mark lies below the high-water mark, a positive fraction; 0 before the first mark."""
    last, peak = db.row("nav_last"), high_water(db)
    return max(0.0, 1.0 - last["return_index"] / peak) if last and peak > 0 else 0.0


def _check_drawdown(rt: Runtime, at: datetime, row: dict[str, Any]) -> str:
    """Reduce at the drawdown limit; after its sessions a drawdown brake lifts, with the high-water mark starting anew."""
    peak = max(high_water(rt.db), row["return_index"])
    drawdown = 1.0 - row["return_index"] / peak
    if row["return_index"] > 0:
        rt.metrics.set("allocd_portfolio_high_water_mark_usd", row["nav_usd"] * peak / row["return_index"])
    rt.metrics.set("allocd_risk_drawdown_ratio", drawdown)
    rt.metrics.set("allocd_risk_limit_utilization_ratio", drawdown / rt.settings.drawdown_halt_frac, limit="drawdown")
    last = rt.db.row("trading_state_last")
    state = last["state"] if last else "ACTIVE"
    if state == "ACTIVE" and round(drawdown, 12) >= rt.settings.drawdown_halt_frac:
        reason = f"drawdown {drawdown:.1%} reached the limit of {rt.settings.drawdown_halt_frac:.1%}"
        rt.db.run("trading_state_add", at=at, state="REDUCING", actor="risk", reason=reason)
        log.error("trading.reduced", scope="risk", reason=reason)
        return "REDUCING"
    if last is not None and state == "REDUCING" and last["actor"] == "risk" and _has_waited(rt, last["at"], row["session"]):
        reason = f"{rt.settings.drawdown_halt_sessions} sessions have passed since the drawdown brake; the high-water mark starts anew"
        rt.db.run("trading_state_add", at=at, state="ACTIVE", actor="risk", reason=reason)
        rt.db.run("meta_set", key="high_water_since", value=f'"{row["session"].isoformat()}"')
        log.warning("trading.resumed", scope="risk", reason=reason)
        return "ACTIVE"
    return str(state)


def _has_waited(rt: Runtime, since: datetime, session: date) -> bool:
    wait = rt.settings.drawdown_halt_sessions
    return wait > 0 and rt.calendar.count(rt.calendar.last_closed(since), session) > wait


def _tell(rt: Runtime, row: dict[str, Any], values: dict[str, dict[str, float]], state: str, unpriced: list[str]) -> None:
    rt.metrics.set("allocd_portfolio_nav_usd", row["nav_usd"])
    rt.metrics.set("allocd_broker_clock_offset_seconds", (rt.broker.clock().timestamp - rt.clock.now()).total_seconds())
    rt.metrics.set("allocd_portfolio_cash_usd", row["cash_usd"])
    rt.metrics.set("allocd_portfolio_positions", len(rt.book.ledger.account_positions()))
    rt.metrics.set("allocd_portfolio_nav_timestamp_seconds", row["at"].timestamp())
    rt.metrics.set("allocd_risk_gross_exposure_ratio", row["gross_frac"])
    rt.metrics.set("allocd_risk_net_exposure_ratio", row["net_frac"])
    for name, value in values.items():
        if name in rt.strategies:
            rt.metrics.set("allocd_strategy_nav_usd", value["nav_usd"], strategy=name)
    rt.metrics.set("allocd_risk_halt_active", float(state != "ACTIVE"), scope="risk")
    log.info(
        "nav.marked",
        session=row["session"],
        nav_usd=round(row["nav_usd"], 2),
        cash_usd=round(row["cash_usd"], 2),
        gross=round(row["gross_frac"], 4),
        return_index=round(row["return_index"], 6),
        positions=len(rt.book.ledger.account_positions()),
        state=state,
        unpriced=unpriced,
    )
