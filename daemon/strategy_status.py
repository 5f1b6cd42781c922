"""How each strategy stands, read from the record alone: when it is due, what came of it last, its inputs, its money and its state.

Two returns are told apart. The sleeve's is that of its own money in the account: after costs and caps, and without what the allocation
moved in or out. The shadow book's is that of its targets, followed with costs and without caps.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from daemon.calendar import Calendar
from daemon.freshness import Freshness
from daemon.report_data import finite
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.strategy_state import StrategyState, current
from risk.performance import sharpe_ratio
from strategies.base import Rebalance, Strategy

MONTH_SESSIONS: Final = 21
SHARPE_SESSIONS: Final = 252
LEAST_USD: Final = 1.0
"""A sleeve that held less than this has no return of its own for that session."""
NOT_ACCOUNTS: Final = frozenset({"treasury", "suspense"})
DAY_NAMES: Final = {"mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday"}
MONTHLY: Final = {"first_session": "first session of the month", "first_mon": "first Monday of the month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """One sleeve's place in the account. capital_frac: of NAV at the last mark. Returns and drawdown are fractions, None while unknown."""

    capital_frac: float = 0.0
    nav_usd: float = 0.0
    return_total: float | None = None
    return_month: float | None = None
    drawdown: float | None = None


def schedule_words(rebalance: Rebalance) -> str:
    """When a strategy is due, as one would say it; a holiday moves it to the next session."""
    if rebalance.kind == "daily":
        return "every session"
    return f"every {DAY_NAMES[rebalance.on]}" if rebalance.kind == "weekly" else MONTHLY[rebalance.on]


def next_due(calendar: Calendar, rebalance: Rebalance, last_due: date | None, at: datetime) -> date:
    """The session whose cycle evaluates the strategy next: the one that opens next when it owes an evaluation, else its next due one."""
    session = calendar.upcoming(at)
    due = calendar.latest_due(rebalance, session)
    owes = due is not None and (last_due is None or due > last_due)
    return session if owes else calendar.next_due(rebalance, session)


def gathered(
    db: Database,
    calendar: Calendar,
    catalog: Mapping[str, Strategy],
    enabled: Iterable[str],
    shipped: Iterable[str],
    fresh: Mapping[str, Freshness],
    at: datetime,
) -> list[dict[str, Any]]:
    """A row of plain values per strategy, by name, those included that only have an account left.

    catalog: all strategies that there are. enabled: names of those that the settings switch on. shipped: of those that come with the
    program. fresh: by dataset, of all that any of them needs.
    """
    on, own = set(enabled), set(catalog) - set(shipped)
    newest = {r["sleeve"]: r for r in db.rows("evaluations_newest")}
    last_due, counts = _last_due(db, calendar.end), {r["sleeve"]: r["n"] for r in db.rows("target_counts")}
    money, shadows, states = sleeve_money(db), _shadows(db, at), current(db)
    names = sorted({*catalog, *money} - NOT_ACCOUNTS)
    return [
        {
            "name": name,
            "origin": "own" if name in own else "catalog" if name in catalog else "gone",
            **_standing(states.get(name), name in on),
            **_timing(catalog.get(name), name in on, states.get(name), newest.get(name), calendar, last_due.get(name), at),
            "inputs": _inputs(catalog[name], fresh, at) if name in catalog else [],
            "capital_frac": money.get(name, Money()).capital_frac,
            "nav_usd": money.get(name, Money()).nav_usd,
            "return_total": money.get(name, Money()).return_total,
            "return_month": money.get(name, Money()).return_month,
            "drawdown": money.get(name, Money()).drawdown,
            "weights": 0 if name in states and states[name].state == "retired" else counts.get(name, 0),
            **shadows.get(name, {"shadow_return": None, "shadow_sharpe": None}),
        }
        for name in names
    ]


def _standing(state: StrategyState | None, enabled: bool) -> dict[str, Any]:
    decided = "active" if state is None else state.state
    return {
        "state": decided if enabled else "not enabled",
        "decided": decided,
        "since": None if state is None else state.at.isoformat(),
        "by": None if state is None else state.actor,
        "reason": None if state is None else state.reason,
    }


def _timing(
    strategy: Strategy | None,
    enabled: bool,
    state: StrategyState | None,
    newest: Row | None,
    calendar: Calendar,
    last_due: date | None,
    at: datetime,
) -> dict[str, Any]:
    follows = strategy is not None and enabled and (state is None or state.state == "active")
    return {
        "schedule": None if strategy is None else schedule_words(strategy.rebalance),
        "last_session": None if newest is None else newest["session"].isoformat(),
        "last_outcome": None if newest is None else newest["outcome"],
        "last_reason": None if newest is None else newest["reason"],
        "next_due": next_due(calendar, strategy.rebalance, last_due, at).isoformat() if follows and strategy is not None else None,
    }


def _inputs(strategy: Strategy, fresh: Mapping[str, Freshness], at: datetime) -> list[dict[str, Any]]:
    """The datasets that it cannot do without. since: when the success was due that is missing; None where that is not what is wrong."""
    known = [(name, fresh[name]) for name in strategy.needs if name in fresh]
    return [
        {
            "dataset": name,
            "fresh": not state.reason,
            "reason": state.reason,
            "since": state.due_at.isoformat() if state.reason and state.due_at is not None and at > state.due_at else None,
        }
        for name, state in known
    ]


def _last_due(db: Database, before: date) -> dict[str, date]:
    """By strategy, the newest due session for which it was evaluated, in a cycle or in the warm-up of its shadow book."""
    found: dict[str, date] = {r["sleeve"]: r["due_session"] for r in db.rows("evaluations_last", before=before)}
    for row in db.rows("shadow_states_all"):
        warmed = row["state"].get("last_due")
        if warmed:
            found[row["sleeve"]] = max(found.get(row["sleeve"], date.min), date.fromisoformat(warmed))
    return found


def sleeve_money(db: Database) -> dict[str, Money]:
    """Each sleeve at the last mark, and the time-weighted return of its money."""
    marks: dict[str, list[Row]] = defaultdict(list)
    for row in db.rows("sleeve_marks_dated"):
        marks[row["sleeve"]].append(row)
    flows: dict[str, list[Row]] = defaultdict(list)
    for row in db.rows("sleeve_transfers"):
        flows[row["sleeve"]].append(row)
    last = {r["sleeve"]: r for r in db.rows("sleeve_marks_last")}
    found = {}
    for name, row in last.items():
        levels = growth_index([(m["at"], m["nav_usd"]) for m in marks[name]], [(f["at"], f["usd"]) for f in flows[name]])
        found[name] = Money(capital_frac=row["capital_frac"], nav_usd=row["nav_usd"], **_figures(levels))
    return found


def _figures(levels: Sequence[float]) -> dict[str, float | None]:
    if not levels:
        return {"return_total": None, "return_month": None, "drawdown": None}
    month = levels[max(0, len(levels) - 1 - MONTH_SESSIONS)]
    return {"return_total": levels[-1] - 1.0, "return_month": levels[-1] / month - 1.0, "drawdown": levels[-1] / max(levels) - 1.0}


def growth_index(marks: Sequence[tuple[datetime, float]], flows: Sequence[tuple[datetime, float]]) -> list[float]:
    """Time-weighted growth of one unit, (n_marks + 1,), 1 before the first mark; empty for a sleeve that never held money.

    marks: (instant, NAV in USD), ascending. flows: (instant, USD moved in), ascending. What is moved in between two marks takes part in
    the return from the one to the other: capital is moved before the open at which it is traded.
    """
    levels, before, taken, invested = [1.0], 0.0, 0, False
    for at, nav in marks:
        base = before
        while taken < len(flows) and flows[taken][0] <= at:
            base += flows[taken][1]
            taken += 1
        invested |= base >= LEAST_USD
        levels.append(levels[-1] * nav / base if base >= LEAST_USD else levels[-1])
        before = nav
    return levels if invested else []


def _shadows(db: Database, at: datetime) -> dict[str, dict[str, float | None]]:
    """Growth of each shadow book since the account began, and the Sharpe ratio of its last year."""
    first = db.row("nav_first")
    year = at.date() - timedelta(days=400)
    rows = db.rows("shadow_marks_since", since=min(first["session"], year) if first else year)
    if not rows:
        return {}
    table = pd.DataFrame(rows).pivot(index="session", columns="sleeve", values="return_frac")
    begun = table if first is None else table[table.index >= first["session"]]
    return {
        str(name): {
            "shadow_return": float(np.prod(1.0 + begun[name].dropna())) - 1.0 if first is not None else None,
            "shadow_sharpe": _sharpe(table[name].dropna().iloc[-SHARPE_SESSIONS:]),
        }
        for name in table.columns
    }


def _sharpe(returns: pd.Series) -> float | None:
    return finite(sharpe_ratio(returns)) if len(returns) > 1 else None


def stale_inputs(row: Mapping[str, Any]) -> str:
    """The inputs of a row that are not fresh, each with its reason; empty when all are."""
    return "; ".join(f"{i['dataset']}: {i['reason']}" for i in row["inputs"] if not i["fresh"])


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in per cent, a dash for the unknown."""
    return "-" if value is None or not math.isfinite(value) else f"{value:+.{digits}%}"
