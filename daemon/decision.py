"""The decision of one cycle: a pure function of its recorded input, the view at its instant and the shadow history.

Live, sandbox, replay and `verify` call the same `decide`; what it needs beside the data is in `CycleInput`, which is
stored with the decision.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.calendar import Calendar
from daemon.cycle_input import CycleInput, SleeveInput
from daemon.evaluation import Attempt, Evaluation, due_session, evaluate
from daemon.forecast import NOTHING_HELD, Forecast, account_weights, after_orders, forecast
from daemon.market_regime import MarketRegime, market_regime
from daemon.readings import HISTORY_SESSIONS, asset_returns, is_fresh, last_prices
from daemon.shadow import ShadowBook, ShadowMark, roll
from daemon.store.rosters import Listing
from daemon.store.view import View
from execution.planning import Plan, SleeveState, plan
from risk.allocate import allocate
from risk.base import Allocation
from risk.limits import drawdown_scale
from strategies.base import Strategy

ADV_SESSIONS = 20
BREACH_FACTOR = 1.1
"""A held portfolio whose VaR, CVaR or gross exposure exceeds its cap by this factor is cut at once, not at the next rebalance."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The result of `decide`. allocation is None on a session on which nothing had to change. forecast: of the portfolio after the
    planned orders. regime: the market's, None for an account without value."""

    evaluations: tuple[Evaluation, ...]
    books: tuple[ShadowBook, ...]
    marks: tuple[ShadowMark, ...]
    allocation: Allocation | None
    plan: Plan
    nav: Decimal
    prices: Mapping[str, Decimal]
    reason: str
    forecast: Forecast = NOTHING_HELD
    regime: MarketRegime | None = None
    hash: str = field(default="")


NOTHING_STALE: Mapping[str, str] = MappingProxyType({})
NO_SLEEVES: Mapping[str, SleeveState] = MappingProxyType({})
NOTHING = Plan(orders=(), crosses=(), transfers=(), skipped=())


def step_books(
    sleeves: Sequence[SleeveInput],
    catalog: Mapping[str, Strategy],
    calendar: Calendar,
    session: date,
    view: View,
    cost_frac: float,
    attempt: Attempt,
    *,
    stale: Mapping[str, str] = NOTHING_STALE,
    holdings: Mapping[str, SleeveState] = NO_SLEEVES,
    short_selling: bool = True,
) -> tuple[list[ShadowBook], list[ShadowMark], list[Evaluation]]:
    """Roll every shadow book to the newest close and evaluate the strategies that are due in `session`.

    stale: datasets that must not be traded on, with the reason; a strategy that needs one of them holds. holdings: what the sleeves have,
    of those that trade.
    """
    books, marks = roll([s.book for s in sleeves], view, cost_frac)
    evaluations = []
    fresh = is_fresh(view)
    for i, sleeve in enumerate(sleeves):
        strategy = catalog[sleeve.name]
        due = due_session(sleeve, strategy, calendar, session)
        if due is None:
            continue
        if why := _why_hold(strategy, fresh, stale):
            evaluations.append(Evaluation(sleeve=sleeve.name, due_session=due, outcome="held", reason=why))
            continue
        holding = holdings.get(sleeve.name)
        found = evaluate(sleeve, strategy, due, view, attempt, holding, short_selling=short_selling)
        evaluations.append(found)
        if found.targets is not None:
            pending = {str(s): float(w) for s, w in found.targets.weights.items()}
            books[i] = replace(books[i], pending=pending, pending_session=session)
    return books, marks, evaluations


def _why_hold(strategy: Strategy, fresh: bool, stale: Mapping[str, str]) -> str:
    if not fresh:
        return "daily bars of the last session are missing"
    return "; ".join(f"{name} is stale: {stale[name]}" for name in strategy.needs if name in stale)


def decide(
    given: CycleInput, view: View, history: pd.DataFrame, catalog: Mapping[str, Strategy], calendar: Calendar, attempt: Attempt
) -> Decision:
    """Evaluate, allocate, plan. `history`: shadow returns (n_obs, n_sleeves) of sessions before the books' own."""
    books, marks, evaluations = step_books(
        given.sleeves,
        catalog,
        calendar,
        given.session,
        view,
        given.options.cost_frac,
        attempt,
        stale=given.stale,
        holdings=given.holdings,
        short_selling=given.short_selling,
    )
    returns = extend(history, marks)
    wanted = {b.sleeve: dict(b.pending if b.pending is not None else b.weights) for b in books}
    symbols = sorted({s for w in wanted.values() for s in w} | {s for h in given.holdings.values() for s in h.positions})
    prices = last_prices(view, symbols)
    nav = account_nav(given.holdings, prices)
    held = account_weights(given.holdings, prices, nav)
    expected = forecast(view, held)
    regime = market_regime(view, given.options.benchmark, max_delta=given.options.limits.max_regime_delta) if nav > 0 else None
    reason = _why_act(given, evaluations, view, expected, held)
    allocation, planned = None, NOTHING
    if reason and given.state != "HALTED" and regime is not None:
        allocation = _allocate(given, view, returns, wanted, catalog, prices, nav, regime.delta)
        planned = _plan(given, allocation, nav, prices, view.listing())
        expected = forecast(view, after_orders(held, planned, nav)) if planned.orders else expected
    decision = Decision(
        evaluations=tuple(evaluations),
        books=tuple(books),
        marks=tuple(marks),
        allocation=allocation,
        plan=planned,
        nav=nav,
        prices=prices,
        reason=_told(given, evaluations, reason),
        forecast=expected,
        regime=regime,
    )
    return _hashed(decision, given.session)


def _told(given: CycleInput, evaluations: Sequence[Evaluation], reason: str) -> str:
    if given.state == "ACTIVE":
        held = [e.sleeve for e in evaluations if e.outcome == "held"]
        return reason or (f"held on stale data: {', '.join(held)}" if held else "nothing due")
    return f"{given.state}: {given.state_reason}" + (f"; {reason}" if reason and given.state == "REDUCING" else "")


def extend(history: pd.DataFrame, marks: Sequence[ShadowMark]) -> pd.DataFrame:
    """Shadow returns with new marks appended, the last HISTORY_SESSIONS rows."""
    if not marks:
        return history.iloc[-HISTORY_SESSIONS:]
    columns = sorted({*history.columns, *(m.sleeve for m in marks)})
    place = {sleeve: i for i, sleeve in enumerate(columns)}
    before, days = history.index.to_numpy().astype("datetime64[D]"), np.array([m.session for m in marks], dtype="datetime64[D]")
    index = np.union1d(before, days)
    values = np.full((len(index), len(columns)), np.nan)
    values[np.ix_(np.searchsorted(index, before), np.array([place[c] for c in history.columns], dtype=np.intp))] = history.to_numpy(
        dtype=np.float64
    )
    values[np.searchsorted(index, days), [place[m.sleeve] for m in marks]] = [m.return_frac for m in marks]
    sessions = pd.DatetimeIndex(index[-HISTORY_SESSIONS:].astype("datetime64[us]"))
    return pd.DataFrame(values[-HISTORY_SESSIONS:], index=sessions, columns=pd.Index(columns, dtype=object), copy=False)


def account_nav(holdings: Mapping[str, SleeveState], prices: Mapping[str, Decimal]) -> Decimal:
    """Cash and positions of all sleeves at `prices`; a position without a price counts as nothing."""
    zero = Decimal(0)
    return sum(
        (h.cash + sum((q * prices.get(s, zero) for s, q in h.positions.items()), zero) for h in holdings.values()),
        zero,
    )


def _why_act(given: CycleInput, evaluations: Sequence[Evaluation], view: View, expected: Forecast, held: Mapping[str, float]) -> str:
    if due := [e.sleeve for e in evaluations if e.outcome == "evaluated"]:
        return "due: " + ", ".join(due)
    if not is_fresh(view):
        return ""
    if retired := [n for n in _retired(given) if given.holdings[n].positions]:
        return "winding down: " + ", ".join(retired)
    ramping = [s.name for s in given.sleeves if 0 < s.cycles < given.options.limits.ramp_sessions]
    if ramping and any(s.book.pending or s.book.weights for s in given.sleeves):
        return "ramping in: " + ", ".join(ramping)
    if given.unfinished:
        return "going on where the cap on turnover ended the last allocation"
    return _breach(given, expected, held)


def _breach(given: CycleInput, expected: Forecast, held: Mapping[str, float]) -> str:
    """The limit that the held portfolio has outgrown by BREACH_FACTOR, in words; empty for none."""
    limits = given.options.limits
    if expected.var95 > BREACH_FACTOR * limits.max_var95_frac:
        return "value at risk of the held portfolio is over its cap"
    if expected.cvar95 > BREACH_FACTOR * limits.max_cvar95_frac:
        return "expected shortfall of the held portfolio is over its cap"
    scale = drawdown_scale(given.drawdown_frac, limits)
    if scale < 1.0 and sum(map(abs, held.values())) > BREACH_FACTOR * scale * limits.max_gross_frac:
        return f"gross exposure of the held portfolio is over its cap in a drawdown of {given.drawdown_frac:.1%}"
    return ""


def _allocate(
    given: CycleInput,
    view: View,
    returns: pd.DataFrame,
    wanted: Mapping[str, Mapping[str, float]],
    catalog: Mapping[str, Strategy],
    prices: Mapping[str, Decimal],
    nav: Decimal,
    regime_delta: float,
) -> Allocation:
    limits = given.options.limits
    held = _held_rows(given, prices, nav)
    symbols = sorted({s for w in wanted.values() for s in w} | set(held.columns))
    assets = asset_returns(view, symbols)
    return allocate(
        returns.reindex(columns=[s.name for s in given.sleeves]),
        {name: _series(w) for name, w in wanted.items()},
        assets,
        limits=limits,
        nav_usd=float(nav),
        sectors=view.sectors(),
        funds=frozenset(f for s in given.sleeves for f in catalog[s.name].funds),
        adv_usd=pd.Series(_average_volume(view, symbols), index=assets.columns, dtype="float64"),
        regime_delta=regime_delta,
        ramp=_series({s.name: min(1.0, (s.cycles + 1) / limits.ramp_sessions) for s in given.sleeves}),
        previous_capital=_series(given.previous_capital) if given.previous_capital else None,
        previous_weights=held,
        drawdown_frac=given.drawdown_frac,
        sleeve_caps=_series({s.name: s.max_capital_frac for s in given.sleeves}),
    )


def _average_volume(view: View, symbols: Sequence[str]) -> Floats:
    """USD traded a day by symbol, the mean of ADV_SESSIONS; NaN where unknown."""
    volume = view.bars("volume", ADV_SESSIONS, symbols).to_numpy() * view.bars("close", ADV_SESSIONS, symbols).to_numpy()
    known = np.isfinite(volume).any(axis=0)
    adv: Floats = np.full(volume.shape[1], np.nan)
    adv[known] = np.nanmean(volume[:, known], axis=0)
    return adv


def _held_rows(given: CycleInput, prices: Mapping[str, Decimal], nav: Decimal) -> pd.DataFrame:
    """What each sleeve holds, retired ones included, as fractions of NAV (n_sleeves, n_symbols)."""
    names = sorted(given.holdings.keys() - {"treasury", "suspense"})
    symbols = sorted({s for name in names for s, q in given.holdings[name].positions.items() if q})
    place = {s: i for i, s in enumerate(symbols)}
    values = np.zeros((len(names), len(symbols)))
    for row, name in enumerate(names):
        for symbol, qty in given.holdings[name].positions.items():
            if qty:
                values[row, place[symbol]] = float(qty * prices.get(symbol, Decimal(0)) / nav)
    return pd.DataFrame(values, index=pd.Index(names, dtype=object), columns=pd.Index(symbols, dtype=object), copy=False)


def _series(values: Mapping[str, float]) -> pd.Series:
    return pd.Series(np.fromiter(values.values(), dtype=np.float64, count=len(values)), index=pd.Index(list(values), dtype=object))


def _plan(given: CycleInput, allocation: Allocation, nav: Decimal, prices: Mapping[str, Decimal], listing: Listing) -> Plan:
    weights = allocation.sleeve_weights
    columns = [str(c) for c in weights.columns]
    by_sleeve = {
        str(name): {s: w for s, w in zip(columns, row.tolist(), strict=True) if w}
        for name, row in zip(weights.index, weights.to_numpy(), strict=True)
    }
    capital = {str(name): float(c) for name, c in allocation.capital.items()}
    if given.state == "REDUCING":
        by_sleeve, capital = _only_reduced(given, by_sleeve, float(nav), prices), {}
    retired = _retired(given)
    return plan(
        cycle_id=given.cycle_id,
        sleeves=given.holdings,
        sleeve_weights={**by_sleeve, **{name: {} for name in retired}},
        capital={**capital, **dict.fromkeys(retired, 0.0)} if given.state == "ACTIVE" else {},
        nav=nav,
        prices=prices,
        options=given.options.planning(
            {*given.whole_shares, *listing.indivisible}, short_selling=given.short_selling, unborrowable=listing.unborrowable
        ),
        blocked=frozenset(given.blocked),
    )


def _retired(given: CycleInput) -> list[str]:
    """Sleeves with an account of their own whose strategy is no longer enabled."""
    enabled = {s.name for s in given.sleeves}
    return [name for name in given.holdings if name not in enabled and name not in ("treasury", "suspense")]


def _only_reduced(
    given: CycleInput, wanted: Mapping[str, Mapping[str, float]], nav: float, prices: Mapping[str, Decimal]
) -> dict[str, dict[str, float]]:
    """Each wanted weight cut to what is held, on the same side: a REDUCING account only ever gets smaller."""
    reduced: dict[str, dict[str, float]] = {}
    for name, weights in wanted.items():
        held = given.holdings[name].positions if name in given.holdings else {}
        now = {s: float(q * prices.get(s, Decimal(0))) / nav for s, q in held.items()}
        reduced[name] = {s: min(max(weights.get(s, 0.0), min(w, 0.0)), max(w, 0.0)) for s, w in now.items()}
    return reduced


def canonical_rows(decision: Decision, session: date) -> list[list[str]]:
    """The rows that the decision hash covers: (session, sleeve, symbol, target, side, quantity, type)."""
    day = session.isoformat()
    rows = [
        [day, e.sleeve, str(symbol), f"{round(weight, 12) + 0.0:.12f}", "", "", ""]
        for e in decision.evaluations
        if e.targets is not None
        for symbol, weight in sorted(e.targets.weights.items())
    ]
    for order in decision.plan.orders:
        request = order.request
        rows.append([day, "", request.symbol, "", request.side, str(request.qty.normalize()), request.type])
    return rows


def _hashed(decision: Decision, session: date) -> Decision:
    text = json.dumps(canonical_rows(decision, session), separators=(",", ":"))
    return Decision(**{f: getattr(decision, f) for f in decision.__slots__ if f != "hash"}, hash=hashlib.sha256(text.encode()).hexdigest())
