"""What single members of Congress hold, as far as their disclosures tell: each member a part of one sleeve.

A member's open positions are built up from disclosed purchases and taken down by disclosed sales, in the order of the trades: a full sale
closes the position, a partial one takes its amount off it, never below zero. Positions are as large as the amounts that were disclosed;
what prices did since is not in them. Members with an open position share the sleeve equally, and inside a member's part positions are
proportional to their dollars. The disclosures are those of the STOCK Act (2012), known from the day after they were made; what a trade
in stock is and when two records tell of one is said in strategies/disclosures.py.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np

from strategies import disclosures, signals
from strategies.base import NAMES, DataView, Param, Strategy, Targets, listed, monthly
from strategies.disclosures import UNKNOWN, Person, Trade

DATASET = "congress_trades"
CLOSED_USD = 1.0
"""A position of less is closed: the smallest bracket begins at 1 USD."""

Rows = list[tuple[str, float]]
"""Row keys, and what each adds (a purchase) or takes off (a sale)."""


def run(
    view: DataView,
    *,
    members: str = "",
    most_active: int = 5,
    activity_days: int = 365,
    history_days: int = 730,
    positions: int = 20,
    max_position: float = 0.25,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
    owners: str = "all",
) -> Targets:
    """Targets that copy the open positions of `members`, or of the `most_active` members where none are named.

    A symbol's score is its weight: the sum over the members of the member's part of the sleeve times the fraction of it, at most
    `max_position`, that is in the symbol. Each disclosure contributes its dollars in the same measure.
    """
    since = view.asof - timedelta(days=max(history_days, activity_days))
    told = disclosures.stock_trades(disclosures.first_told(view.events(DATASET, since), since), owners=owners)
    trades = [trade for trade in told if trade.member]
    persons = disclosures.people(trades)
    active = Counter(persons[t.member].name for t in trades if t.told_at >= view.asof - timedelta(days=activity_days))
    copied, skipped = _copied(persons, listed(members), active, most_active)
    begin = view.asof - timedelta(days=history_days)
    opened = open_positions((t for t in trades if t.told_at >= begin), persons, copied)
    symbols = sorted({symbol for held in opened.values() for symbol in held})
    reasons = signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) if symbols else {}
    parts = []
    for name in sorted(copied):
        part, passed = member_part(opened.get(name, {}), reasons, positions, max_position)
        skipped |= passed
        if part:
            parts.append(part)
        elif members:
            skipped[f"member {name}"] = "no open position in a stock that can be traded"
    return _targets(parts, skipped)


def _copied(persons: Mapping[str, Person], wanted: tuple[str, ...], active: Counter[str], most: int) -> tuple[set[str], dict[str, str]]:
    """Names of the members to copy, and why a wanted one is not among them."""
    if not wanted:
        return set(sorted(active, key=lambda name: (-active[name], name))[:most]), {}
    found = {name: disclosures.named(name, persons.values()) for name in wanted}
    names = {person.name for person in found.values() if isinstance(person, Person)}
    return names, {f"member {name}": why for name, why in found.items() if isinstance(why, str)}


def open_positions(trades: Iterable[Trade], persons: Mapping[str, Person], copied: set[str]) -> dict[str, dict[str, Rows]]:
    """Member -> symbol -> the rows that made the open position, in USD, in the order of the trades; purchases of a day before its sales."""
    apart: dict[tuple[str, str], list[Trade]] = defaultdict(list)
    for trade in trades:
        if persons[trade.member].name in copied:
            apart[persons[trade.member].name, trade.symbol].append(trade)
    held: dict[str, dict[str, Rows]] = defaultdict(dict)
    for (name, symbol), each in sorted(apart.items()):
        rows = position(sorted(each, key=lambda t: (t.traded, t.usd < 0, t.told_at, t.row_key)))
        if rows:
            held[name][symbol] = rows
    return held


def position(trades: Iterable[Trade]) -> Rows:
    """The rows behind the position that trades of one member in one symbol leave open, since it was last closed; none when it is closed.

    Spouses and joint accounts hold positions of their own. A sale of nobody knows whose closes what anybody holds; one of somebody who
    holds nothing closes what nobody knows whose it is.
    """
    rows: Rows = []
    opened: dict[str, float] = {}
    for trade in trades:
        if trade.usd > 0:
            opened[trade.owner] = opened.get(trade.owner, 0.0) + trade.usd
            rows.append((trade.row_key, trade.usd))
            continue
        left = math.inf if trade.transaction != "sale_partial" else -trade.usd
        sold = 0.0
        for owner in _sellers(trade.owner, opened):
            part = min(opened[owner], left)
            opened[owner], left, sold = opened[owner] - part, left - part, sold + part
        if sold > 0:
            rows.append((trade.row_key, -sold))
        opened = {owner: usd for owner, usd in opened.items() if usd > 0}
        if sum(opened.values()) < CLOSED_USD:
            rows, opened = [], {}
    return rows


def _sellers(owner: str, opened: Mapping[str, float]) -> list[str]:
    """Whose positions a sale by `owner` takes from."""
    if owner == UNKNOWN:
        return sorted(opened, key=lambda name: (name != UNKNOWN, name))
    return [name for name in (owner if owner in opened else UNKNOWN,) if name in opened]


def member_part(
    held: Mapping[str, Rows], reasons: Mapping[str, str], positions: int, max_position: float
) -> tuple[dict[str, Rows], dict[str, str]]:
    """A member's largest positions as fractions of the member's part, row by row, and the reasons of those passed over."""
    symbols = list(held)
    usd = np.array([math.fsum(dollars for _, dollars in held[symbol]) for symbol in symbols])
    chosen, passed = signals.ranked(symbols, usd, reasons, positions)
    fractions = signals.capped_proportional(usd[chosen], total=1.0, cap=max_position)
    scales = {symbols[i]: fraction / usd[i] for i, fraction in zip(chosen, fractions.tolist(), strict=True)}
    return {symbol: [(key, dollars * scale) for key, dollars in held[symbol]] for symbol, scale in scales.items()}, passed


def _targets(parts: list[dict[str, Rows]], skipped: Mapping[str, str]) -> Targets:
    """Targets of members' parts of equal size."""
    rows: dict[str, Rows] = defaultdict(list)
    for part in parts:
        for symbol, each in part.items():
            rows[symbol] += [(key, fraction / len(parts)) for key, fraction in each]
    symbols = sorted(rows)
    scores = np.array([math.fsum(fraction for _, fraction in rows[symbol]) for symbol in symbols])
    order = signals.descending(symbols, scores)
    names = [symbols[i] for i in order]
    told = [(key, symbol, fraction) for symbol in names for key, fraction in rows[symbol]]
    evidence = signals.evidence_frame(DATASET, [t[0] for t in told], [t[1] for t in told], np.array([t[2] for t in told]))
    return signals.targets(names, scores[order], scores[order], evidence, skipped)


STRATEGY = Strategy(
    name="politician_sleeves",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=monthly("first_mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "members": Param(
            default="",
            pattern=NAMES,
            examples=("Nancy Pelosi", "Synthetic Member 01; Synthetic Member 02", "Pelosi, Nancy; Susan M. Collins"),
            meaning="members whose trades are copied; empty takes the most active",
        ),
        "most_active": Param(default=5, low=1, high=30, meaning="members copied where none are named: those with most disclosed trades"),
        "activity_days": Param(default=365, low=30, high=1095, meaning="calendar days of disclosures by which activity is counted"),
        "history_days": Param(default=730, low=90, high=1825, meaning="calendar days of disclosures that build positions"),
        "positions": Param(default=20, low=1, high=100, meaning="largest positions copied of each member"),
        "max_position": Param(default=0.25, low=0.02, high=1.0, meaning="largest fraction of a member's part in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD; 1 is the exchanges' listing minimum"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="least median dollar volume a day, USD; 0 asks for none"),
        "owners": Param(
            default="all", choices=("all", "self"), meaning="whose trades count; self leaves out spouses, joint and dependents"
        ),
    },
    description="The disclosed positions of named or of the most active members of Congress, each an equal part of the sleeve.",
)
