"""Why a symbol is held or was traded: from its order through sleeves, limits, capital and targets to the rows behind them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.rows import versions_by_identity
from daemon.why_evidence import add_up, derived_evidence, plain, recorded_evidence
from daemon.why_text import render
from daemon.why_warm_up import Rederive, rederiver
from execution.sleeves import SUSPENSE, TREASURY, market_shares
from scrapers.base import Dataset

__all__ = ["NothingKnown", "explain", "rederiver", "render"]

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
MOVEMENTS = 10
SLEEVE = "sleeve:"
BY_SLEEVE = ("capital", "prior", "views", "confidence", "posterior", "optimizer_weights", "budgets")
WHOLE = ("gross", "target_volatility", "var95", "cvar95", "drawdown", "turnover")
"""Limits that bind the whole portfolio and so every symbol in it."""


@dataclass(frozen=True, slots=True)
class _Store:
    """Where everything is looked up."""

    db: Database
    datasets: Mapping[str, Dataset]
    rederive: Rederive | None


class NothingKnown(LookupError):
    """The symbol was never ordered, held or wanted; the text is one line that says so and what is known instead."""


def explain(
    db: Database, datasets: Mapping[str, Dataset], symbol: str, at: datetime | None = None, *, rederive: Rederive | None = None
) -> dict[str, Any]:
    """The chain of reasons behind the latest trade of a symbol, or behind its weight where it was never traded.

    at: an aware instant; decisions after it are left out. None: everything. Plain JSON values come back; quantities and
    prices in USD are exact decimals as text, weights are fractions of NAV (of the sleeve for targets). Only a few rows are
    read and nothing is written, so that it can be asked beside a running daemon. rederive: finds the evidence of targets
    that stem from a warm-up, which records none. Raises NothingKnown for a symbol without any history.
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
        **_decided(_Store(db, datasets, rederive), name, until, cycle, order, cross),
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
    sent = {name: sign * market.get(name, Decimal(0)) + 0 for name in shares}
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


def _decided(store: _Store, symbol: str, until: datetime, cycle: Row | None, order: Row | None, cross: Row | None) -> dict[str, Any]:
    """The cycle, what bound in it, the part of every sleeve involved, and what later cycles still want of the symbol."""
    if cycle is None:
        return {"cycle": None, "bound": [], "sleeves": [], "latest": None}
    db, at = store.db, cycle["at"]
    weights = {r["sleeve"]: r["weight"] for r in db.rows("why_weights", cycle_id=cycle["cycle_id"], symbol=symbol)}
    in_force = {r["sleeve"]: r for r in db.rows("why_evaluations", symbol=symbol, at=at)}
    last = {r["sleeve"]: r for r in db.rows("why_targets", symbol=symbol, at=at)}
    outcomes = {r["sleeve"]: r for r in db.rows("evaluations_of_cycle", cycle_id=cycle["cycle_id"])}
    wanting = {name for name, row in in_force.items() if row["weight"] is not None}
    involved = _trading_sleeves(db, order, cross) | set(weights) | wanting | _holding_sleeves(cycle["input"], symbol)
    names = sorted(involved - {TREASURY, SUSPENSE})
    return {
        "cycle": _told_cycle(cycle),
        "bound": _bound(cycle["allocation"], symbol, names, _sector(store, symbol, at)),
        "sleeves": [
            {
                **_capital(cycle, name, symbol, weights.get(name, 0.0)),
                **(
                    _recorded_target(store, symbol, in_force[name], last.get(name), cycle["cycle_id"])
                    if name in in_force
                    else _warm_target(store, symbol, name, cycle["input"])
                ),
                "stayed": _stayed(outcomes.get(name)),
            }
            for name in names
        ],
        "latest": _latest(db, symbol, until, cycle),
    }


def _holding_sleeves(given: Mapping[str, Any], symbol: str) -> set[str]:
    """Sleeves that came into the cycle with the symbol: held, targeted, or in their shadow book."""
    held = {name for name, state in given["holdings"].items() if symbol in state["positions"]}
    return held | {s["name"] for s in given["sleeves"] if symbol in s["targets"] or symbol in _book_weights(s)}


def _book_weights(sleeve: Mapping[str, Any]) -> Mapping[str, float]:
    weights: Mapping[str, float] = sleeve["book"]["pending"] or sleeve["book"]["weights"]
    return weights


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


def _sector(store: _Store, symbol: str, at: datetime) -> str | None:
    """The sector that the caps counted the symbol to."""
    constituents = store.datasets.get("constituents")
    versions = [] if constituents is None else versions_by_identity(store.db, constituents, [(symbol,)])
    known = [v["sector"] for v in versions if v["known_at"] <= at]
    return str(known[-1]) if known else None


def _bound(allocation: Mapping[str, Any], symbol: str, sleeves: Iterable[str], sector: str | None) -> list[dict[str, Any]]:
    """The limits that shrank this symbol: its own, those of its sleeves and sector, and those of the whole portfolio."""
    subjects = {symbol, sector, *sleeves}
    return [dict(b) for b in allocation.get("bound", ()) if b["limit"] in WHOLE or b["subject"] in subjects]


def _capital(cycle: Row, name: str, symbol: str, weight: float) -> dict[str, Any]:
    allocation = cycle["allocation"]
    known = next((s for s in cycle["input"]["sleeves"] if s["name"] == name), None)
    book = {} if known is None else _book_weights(known)
    return {
        "sleeve": name,
        "weight_frac": weight,
        **{key: allocation.get(key, {}).get(name) for key in BY_SLEEVE},
        "excluded": allocation.get("excluded", {}).get(name),
        "retired": known is None,
        "shadow_weight": book.get(symbol, 0.0),
        "held_before": cycle["input"]["holdings"].get(name, {}).get("positions", {}).get(symbol, "0"),
    }


def _stayed(outcome: Row | None) -> str | None:
    """Why a strategy that was due in the cycle kept its earlier targets."""
    return None if outcome is None or outcome["outcome"] == "evaluated" else f"{outcome['outcome']}: {outcome['reason']}"


def _recorded_target(store: _Store, symbol: str, now: Row, last: Row | None, cycle_id: str) -> dict[str, Any]:
    """What the strategy wanted of the symbol in the evaluation in force, and the rows behind it."""
    target = {
        "cycle_id": now["cycle_id"],
        "at": plain(now["at"]),
        "due_session": plain(now["due_session"]),
        "evaluated_now": now["cycle_id"] == cycle_id,
        "weight": now["weight"],
        "score": now["score"],
        "note": None,
    }
    if now["weight"] is None:
        why = f"passed over: {now['skipped']}" if now["skipped"] else "not wanted any more"
        before = "" if last is None else f"; last wanted in session {last['session']} with {last['weight']:.2%} of the sleeve"
        return {"target": {**target, "note": why + before}, "evidence": [], "evidence_sum": None}
    items = recorded_evidence(store.db, store.datasets, now["cycle_id"], now["sleeve"], symbol, now["at"])
    return {"target": target, "evidence": items, "evidence_sum": add_up(items, now["score"])}


def _warm_target(store: _Store, symbol: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The target of a sleeve without a recorded evaluation: it stems from the warm-up of its shadow book."""
    sleeve = next((s for s in given["sleeves"] if s["name"] == name), None)
    target: dict[str, Any] = {
        "cycle_id": None,
        "at": None,
        "due_session": None,
        "evaluated_now": False,
        "weight": None,
        "score": None,
        "note": "never evaluated",
    }
    if sleeve is None or not sleeve["last_due"]:
        return {"target": target, "evidence": [], "evidence_sum": None}
    weight, note = sleeve["targets"].get(symbol), "from the warm-up of its shadow book over stored history"
    target |= {"due_session": sleeve["last_due"], "weight": weight, "note": note}
    again = (
        store.rederive(name, date.fromisoformat(sleeve["last_due"]), sleeve["params"]) if store.rederive and weight is not None else None
    )
    if again is None or not math.isclose(again[1].weights.get(symbol, math.nan), weight, rel_tol=1e-9):
        return {"target": {**target, "note": f"{note}, which records no evidence"}, "evidence": [], "evidence_sum": None}
    asked_at, found = again
    target |= {"at": plain(asked_at), "score": float(found.scores[symbol]), "note": f"{note}; its evidence was derived again"}
    items = derived_evidence(store.db, store.datasets, found, symbol, asked_at)
    return {"target": target, "evidence": items, "evidence_sum": add_up(items, target["score"])}


def _latest(db: Database, symbol: str, until: datetime, cycle: Row) -> dict[str, Any] | None:
    """The newest cycle that still gives the symbol a weight, where it is not the one told."""
    newest = db.row("why_cycle", symbol=symbol, at=until)
    if newest is None or newest["session"] <= cycle["session"]:
        return None
    weights = db.rows("why_weights", cycle_id=newest["cycle_id"], symbol=symbol)
    return {"cycle_id": newest["cycle_id"], "session": plain(newest["session"]), "weights": {r["sleeve"]: r["weight"] for r in weights}}
