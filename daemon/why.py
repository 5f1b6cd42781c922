"""Why a symbol is held or was traded: from its order through sleeves, limits, capital and targets to the rows behind them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from daemon.store.postgres import Database
from daemon.store.rows import Row, versions_by_identity
from daemon.why_evidence import add_up, evidence, plain
from daemon.why_text import render
from execution.sleeves import SUSPENSE, TREASURY, market_shares
from scrapers.base import Dataset

__all__ = ["NothingKnown", "explain", "render"]

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
MOVEMENTS = 10
SLEEVE = "sleeve:"
BY_SLEEVE = ("capital", "prior", "views", "confidence", "posterior", "optimizer_weights", "budgets")
WHOLE = ("gross", "var95", "cvar95")
"""Limits that bind the whole portfolio and so every symbol in it."""


class NothingKnown(LookupError):
    """The symbol was never ordered, held or wanted; the text is one line that says so and what is known instead."""


def explain(db: Database, datasets: Mapping[str, Dataset], symbol: str, at: datetime | None = None) -> dict[str, Any]:
    """The chain of reasons behind the latest trade of a symbol, or behind its weight where it was never traded.

    at: an aware instant; decisions after it are left out. None: everything. Plain JSON values come back; quantities and
    prices in USD are exact decimals as text, weights are fractions of NAV (of the sleeve for targets). Only reads, by
    index, so that it can be asked beside a running daemon. Raises NothingKnown for a symbol without any history.
    """
    name, until = symbol.strip().upper(), at or FOREVER
    orders = db.rows("why_orders", symbol=name, at=until, n=1)
    order = orders[0] if orders else None
    cross = db.row("why_cross", symbol=name, at=until)
    if order is not None and (cross is None or order["cycle_id"] >= cross["cycle_id"]):
        cross = None
    elif cross is not None:
        order = None
    movements = db.rows("why_movements", symbol=name, at=until, n=MOVEMENTS)
    cycle = _cycle(db, name, until, order or cross)
    if cycle is None and not movements:
        raise NothingKnown(_nothing(db, name, at, until))
    return {
        "symbol": name,
        "at": None if at is None else at.isoformat(),
        "position": _position(db, name, until),
        "order": None if order is None else _order(db, order),
        "cross": None if cross is None else _cross(cross),
        **_decided(db, datasets, name, until, cycle, order, cross),
        "movements": [_movement(row) for row in movements],
    }


def _cycle(db: Database, symbol: str, until: datetime, traded: Row | None) -> Row | None:
    """The cycle of the trade; without one, the newest that gave the symbol a weight, or in which a strategy wanted it."""
    if traded is not None:
        return db.row("cycle_get", cycle_id=traded["cycle_id"])
    weighed = db.row("why_cycle", symbol=symbol, at=until)
    wanted = db.rows("why_targets", symbol=symbol, at=until)
    newest = weighed or max(wanted, key=lambda r: r["session"], default=None)
    return None if newest is None else db.row("cycle_get", cycle_id=newest["cycle_id"])


def _nothing(db: Database, symbol: str, at: datetime | None, until: datetime) -> str:
    when = "" if at is None else f" at or before {at.isoformat()}"
    line = f"{symbol}: never ordered, held or wanted{when}"
    first = db.row("why_first_order", symbol=symbol)
    if first is not None and first["at"] is not None:
        return f"{line}; its first order is of {first['at']:%Y-%m-%d %H:%M} UTC"
    skipped = db.row("why_skipped", symbol=symbol, at=until)
    return line if skipped is None else f"{line}; {skipped['sleeve']} passed it over in session {skipped['session']}: {skipped['reason']}"


def _position(db: Database, symbol: str, until: datetime) -> dict[str, Any]:
    held = {r["account"].removeprefix(SLEEVE): r["qty"] for r in db.rows("why_holders", symbol=symbol, at=until)}
    return {"qty": plain(sum(held.values(), Decimal(0))), "by_sleeve": {name: plain(qty) for name, qty in held.items()}}


def _order(db: Database, order: Row) -> dict[str, Any]:
    names = (
        "client_order_id broker_order_id cycle_id session side qty type time_in_force status reason filled_qty filled_avg_price "
        "decision_price intended_at sent_at updated_at"
    ).split()
    fills = db.rows("fills_of_order", client_order_id=order["client_order_id"])
    return {
        **{name: plain(order[name]) for name in names},
        "slippage_bps": _slippage_bps(order),
        "fills": [{name: plain(value) for name, value in fill.items()} for fill in fills],
        "shares": _shares({r["sleeve"]: r["qty"] for r in db.rows("order_shares_get", client_order_id=order["client_order_id"])}),
    }


def _slippage_bps(order: Row) -> float | None:
    """What the fills cost against the decision price; positive is worse."""
    if order["filled_avg_price"] is None or not order["filled_qty"]:
        return None
    sign = 1 if order["side"] == "buy" else -1
    return round(float(order["filled_avg_price"] / order["decision_price"] - 1) * sign * 1e4, 2)


def _shares(shares: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """Signed trade of each sleeve, and how much of it went through the market and how much to another sleeve."""
    market = market_shares(shares)
    sign = 1 if sum(shares.values(), Decimal(0)) > 0 else -1
    sent = {name: sign * market.get(name, Decimal(0)) for name in shares}
    return [{"sleeve": n, "qty": plain(q), "market": plain(sent[n]), "crossed": plain(q - sent[n])} for n, q in sorted(shares.items())]


def _cross(cross: Row) -> dict[str, Any]:
    names = ("cross_id", "cycle_id", "session", "decision_price", "price", "booked_at")
    shares = [{"sleeve": n, "qty": q, "market": "0", "crossed": q} for n, q in sorted(cross["shares"].items())]
    return {**{name: plain(cross[name]) for name in names}, "shares": shares}


def _movement(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "kind": row["kind"], "at": plain(row["at"]), "memo": row["memo"]} | {
        "sleeve": row["account"].removeprefix(SLEEVE),
        "qty": plain(row["amount"]),
    }


def _decided(
    db: Database, datasets: Mapping[str, Dataset], symbol: str, until: datetime, cycle: Row | None, order: Row | None, cross: Row | None
) -> dict[str, Any]:
    """The cycle, what bound in it, the part of every sleeve involved, and what later cycles still want of the symbol."""
    if cycle is None:
        return {"cycle": None, "bound": [], "sleeves": [], "latest": None}
    weights = {r["sleeve"]: r["weight"] for r in db.rows("why_weights", cycle_id=cycle["cycle_id"], symbol=symbol)}
    in_force = {r["sleeve"]: r for r in db.rows("why_evaluations", symbol=symbol, at=cycle["at"])}
    traded = _trading_sleeves(db, order, cross)
    wanting = {name for name, row in in_force.items() if row["weight"] is not None}
    held = {name for name, state in cycle["input"]["holdings"].items() if symbol in state["positions"]}
    followed = {
        s["name"] for s in cycle["input"]["sleeves"] if symbol in s["targets"] or symbol in (s["book"]["pending"] or s["book"]["weights"])
    }
    names = sorted((traded | set(weights) | wanting | held | followed) - {TREASURY, SUSPENSE})
    last = {r["sleeve"]: r for r in db.rows("why_targets", symbol=symbol, at=cycle["at"])}
    outcomes = {r["sleeve"]: r for r in db.rows("evaluations_of_cycle", cycle_id=cycle["cycle_id"])}
    return {
        "cycle": _told_cycle(cycle),
        "bound": _bound(cycle["allocation"], symbol, names, _sector(db, datasets, symbol, cycle["at"])),
        "sleeves": [
            {
                **_capital(cycle, name, symbol, weights.get(name, 0.0)),
                "target": _target(in_force.get(name), last.get(name), outcomes.get(name), cycle["cycle_id"]),
                **_reasons(db, datasets, name, symbol, in_force.get(name)),
            }
            for name in names
        ],
        "latest": _latest(db, symbol, until, cycle),
    }


def _trading_sleeves(db: Database, order: Row | None, cross: Row | None) -> set[str]:
    if order is not None:
        return {r["sleeve"] for r in db.rows("order_shares_get", client_order_id=order["client_order_id"])}
    return set() if cross is None else set(cross["shares"])


def _told_cycle(cycle: Row) -> dict[str, Any]:
    given, allocation = cycle["input"], cycle["allocation"]
    return {
        "cycle_id": cycle["cycle_id"],
        "session": plain(cycle["session"]),
        "at": plain(cycle["at"]),
        "reason": allocation["reason"],
        "nav_usd": allocation["nav_usd"],
        **{name: allocation.get(name) for name in ("rung", "rung_reason", "gross", "var95", "cvar95", "regime_delta")},
        "state": given["state"],
        "code_version": given["code_version"],
        "decision_hash": cycle["decision_hash"],
        "blocked": given["blocked"],
    }


def _sector(db: Database, datasets: Mapping[str, Dataset], symbol: str, at: datetime) -> str | None:
    """The sector that the caps counted the symbol to."""
    constituents = datasets.get("constituents")
    versions = [] if constituents is None else versions_by_identity(db, constituents, [(symbol,)])
    known = [v["sector"] for v in versions if v["known_at"] <= at]
    return str(known[-1]) if known else None


def _bound(allocation: Mapping[str, Any], symbol: str, sleeves: Iterable[str], sector: str | None) -> list[dict[str, Any]]:
    """The limits that shrank this symbol: its own, those of its sleeves and sector, and those of the whole portfolio."""
    subjects = {symbol, sector, *sleeves}
    return [dict(b) for b in allocation.get("bound", ()) if b["limit"] in WHOLE or b["subject"] in subjects]


def _capital(cycle: Row, name: str, symbol: str, weight: float) -> dict[str, Any]:
    allocation = cycle["allocation"]
    known = next((s for s in cycle["input"]["sleeves"] if s["name"] == name), None)
    book = {} if known is None else known["book"]["pending"] or known["book"]["weights"]
    return {
        "sleeve": name,
        "weight_frac": weight,
        **{key: allocation.get(key, {}).get(name) for key in BY_SLEEVE},
        "excluded": allocation.get("excluded", {}).get(name),
        "retired": known is None,
        "shadow_weight": book.get(symbol, 0.0),
        "held_before": cycle["input"]["holdings"].get(name, {}).get("positions", {}).get(symbol, "0"),
    }


def _target(now: Row | None, last: Row | None, outcome: Row | None, cycle_id: str) -> dict[str, Any]:
    """What the sleeve's strategy wanted of the symbol, and since which evaluation."""
    trouble = outcome if outcome is not None and outcome["outcome"] != "evaluated" else None
    told = {"stayed": None if trouble is None else f"{trouble['outcome']}: {trouble['reason']}"}
    if now is None:
        return {**told, "weight": None, "note": "from the warm-up over stored history, before the first recorded evaluation"}
    told |= {
        "cycle_id": now["cycle_id"],
        "session": plain(now["session"]),
        "at": plain(now["at"]),
        "due_session": plain(now["due_session"]),
        "evaluated_now": now["cycle_id"] == cycle_id,
        "weight": now["weight"],
        "score": now["score"],
    }
    if now["weight"] is not None:
        return {**told, "note": None}
    skipped = f"passed over: {now['skipped']}" if now["skipped"] else "not wanted any more"
    before = f"; last wanted in session {last['session'].isoformat()} at {last['weight']:.4%}" if last is not None else ""
    return {**told, "note": skipped + before}


def _reasons(db: Database, datasets: Mapping[str, Dataset], name: str, symbol: str, now: Row | None) -> dict[str, Any]:
    if now is None or now["weight"] is None:
        return {"evidence": [], "evidence_sum": None}
    items = evidence(db, datasets, now["cycle_id"], name, symbol, now["at"])
    return {"evidence": items, "evidence_sum": add_up(items, now["score"])}


def _latest(db: Database, symbol: str, until: datetime, cycle: Row) -> dict[str, Any] | None:
    """The newest cycle that still gives the symbol a weight, where it is not the one told."""
    newest = db.row("why_cycle", symbol=symbol, at=until)
    if newest is None or newest["session"] <= cycle["session"]:
        return None
    weights = db.rows("why_weights", cycle_id=newest["cycle_id"], symbol=symbol)
    return {"cycle_id": newest["cycle_id"], "session": plain(newest["session"]), "weights": {r["sleeve"]: r["weight"] for r in weights}}
