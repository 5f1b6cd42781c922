"""A decision as flat tables of figures, once from the record and once derived, and the differences between the two."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from daemon.cycle_input import CycleInput
from daemon.decision import Decision
from daemon.report_data import decision_json
from daemon.store.postgres import Database
from daemon.store.queries import Row
from execution.sleeves import CASH

Table = dict[str, tuple[Any, ...]]
Record = dict[str, Table]
REL_TOL, ABS_TOL = 1e-9, 1e-12
"""Floats are equal within these: another machine's arithmetic may differ in the last digits; decisions may not."""
MOST_OF_A_KIND = 20


def stored_record(db: Database, cycle: Row, given: CycleInput) -> Record:
    """What was recorded with a cycle. Keys are what a figure is about, in words."""
    key = {"cycle_id": given.cycle_id}
    shares: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for r in db.rows("verify_order_shares", **key):
        shares[r["client_order_id"]][r["sleeve"]] = r["qty"]
    transfers = " ".join(f"transfer:{given.cycle_id}:{name}" for name in given.holdings)
    return {
        "decision": {
            "hash": (cycle["decision_hash"],),
            "reason": (cycle["allocation"]["reason"],),
            "NAV": (Decimal(cycle["allocation"]["nav_usd"]),),
        },
        "evaluation": {
            r["sleeve"]: (r["due_session"], r["outcome"], r["reason"], r["skipped"]) for r in db.rows("verify_evaluations", **key)
        },
        "target": {f"{r['sleeve']} {r['symbol']}": (r["weight"], r["score"]) for r in db.rows("targets_of_cycle", **key)},
        "evidence": {_evidence_key(**r): (r["n"], r["contribution"]) for r in db.rows("verify_evidence", **key)},
        "allocation": _allocation(cycle["allocation"]),
        "weight": {f"{r['sleeve']} {r['symbol']}": (r["weight"],) for r in db.rows("verify_sleeve_weights", **key)},
        "order": {r["symbol"]: (*(r[n] for n in ORDER), shares[r["client_order_id"]]) for r in db.rows("verify_orders", **key)},
        "cross": {r["symbol"]: (_decimals(r["shares"]), r["decision_price"]) for r in db.rows("verify_crosses", **key)},
        "transfer": {
            r["account"].removeprefix("sleeve:"): (r["amount"],) for r in db.rows("verify_transfers", ids=transfers) if r["unit"] == CASH
        },
        "shadow return": _stored_marks(db, given),
    }


ORDER = ("client_order_id", "side", "qty", "type", "time_in_force", "decision_price")


def derived_record(decision: Decision, given: CycleInput) -> Record:
    """The same tables of a decision that has just been derived."""
    evaluated = [(e.sleeve, e.targets) for e in decision.evaluations if e.targets is not None]
    evidence: dict[str, list[float]] = defaultdict(list)
    for sleeve, targets in evaluated:
        for dataset, row_key, symbol, contribution in targets.evidence.itertuples(index=False, name=None):
            evidence[_evidence_key(sleeve=sleeve, symbol=symbol, dataset=dataset, row_key=row_key)].append(float(contribution))
    return {
        "decision": {"hash": (decision.hash,), "reason": (decision.reason,), "NAV": (decision.nav,)},
        "evaluation": {
            e.sleeve: (e.due_session, e.outcome, e.reason, dict(e.targets.skipped) if e.targets else {}) for e in decision.evaluations
        },
        "target": {f"{name} {s}": (float(w), float(t.scores.get(s, 0.0))) for name, t in evaluated for s, w in t.weights.items()},
        "evidence": {key: (len(values), math.fsum(values)) for key, values in evidence.items()},
        "allocation": _allocation(decision_json(decision)),
        "weight": dict(_weights(decision)),
        "order": {
            p.request.symbol: (*(getattr(p.request, n) for n in ORDER[:-1]), p.decision_price, dict(p.shares)) for p in decision.plan.orders
        },
        "cross": {c.symbol: (dict(c.shares), c.decision_price) for c in decision.plan.crosses},
        "transfer": {t.sleeve: (t.amount,) for t in decision.plan.transfers if t.amount},
        "shadow return": {f"{m.sleeve} {m.session}": (m.return_frac, m.turnover_frac) for m in decision.marks},
    }


def compare(stored: Record, derived: Record) -> list[str]:
    """A sentence for every figure that is not the same, at most MOST_OF_A_KIND of each table."""
    differences: list[str] = []
    for kind, table in stored.items():
        found = [
            text for key in sorted({*table, *derived[kind]}) for text in _difference(kind, key, table.get(key), derived[kind].get(key))
        ]
        differences += found[:MOST_OF_A_KIND]
        if len(found) > MOST_OF_A_KIND:
            differences.append(f"{kind}: {len(found) - MOST_OF_A_KIND} further differences")
    return differences


def _difference(kind: str, key: str, stored: tuple[Any, ...] | None, derived: tuple[Any, ...] | None) -> Iterator[str]:
    if stored is None or derived is None:
        yield f"{kind} {key}: recorded {_told(stored)}, derived {_told(derived)}"
    elif not all(map(_same, stored, derived)):
        changed = [(a, b) for a, b in zip(stored, derived, strict=True) if not _same(a, b)]
        yield f"{kind} {key}: recorded {_told([a for a, _ in changed])}, derived {_told([b for _, b in changed])}"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and math.isclose(a, b, rel_tol=REL_TOL, abs_tol=ABS_TOL)
    return bool(a == b)


def _told(values: Iterable[Any] | None) -> str:
    return "nothing" if values is None else ", ".join(str(v) for v in values)


def _evidence_key(*, sleeve: str, symbol: str, dataset: str, row_key: str, **_: Any) -> str:
    return f"{sleeve} {symbol} {dataset} {row_key}"


def _decimals(shares: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(qty) for name, qty in shares.items()}


def _allocation(record: Mapping[str, Any]) -> Table:
    """Allocation, regime and forecast; reason and NAV are compared as figures of the decision."""
    return _flat({k: v for k, v in record.items() if k not in ("reason", "nav_usd")})


def _flat(value: Any, path: str = "") -> Table:
    """Nested JSON as leaves by dotted path."""
    if not isinstance(value, dict | list):
        return {path: (value,)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {p: leaf for name, inner in items for p, leaf in _flat(inner, f"{path}.{name}".lstrip(".")).items()}


def _weights(decision: Decision) -> Iterator[tuple[str, tuple[float]]]:
    if decision.allocation is not None:
        table = decision.allocation.sleeve_weights
        values = table.to_numpy()
        for i, j in np.argwhere(values != 0.0):
            yield f"{table.index[i]} {table.columns[j]}", (float(values[i, j]),)


def _stored_marks(db: Database, given: CycleInput) -> Table:
    """Shadow returns between what the books had reached before the cycle and the cycle's own session."""
    reached = {s.name: s.book.session for s in given.sleeves}
    starts = [d for d in reached.values() if d is not None]
    if not starts:
        return {}
    rows = db.rows("verify_shadow_marks", after=min(starts), before=given.session)
    return {
        f"{r['sleeve']} {r['session']}": (r["return_frac"], r["turnover_frac"])
        for r in rows
        if (since := reached.get(r["sleeve"])) is not None and r["session"] > since
    }
