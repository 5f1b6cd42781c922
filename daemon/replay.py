"""Replay: the same jobs, in virtual time, over the stored rows as they were known, with the exchange in process."""

import gc
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from config import Settings
from daemon.ahead import ahead, days
from daemon.artefacts import Artefacts
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.errors import StartRefused
from daemon.invariants import check_now, check_record, merge
from daemon.joblist import build_jobs, metrics_for
from daemon.jobs import JobRunner
from daemon.marks import mark
from daemon.prices import ArchivePrices
from daemon.report import ReplayResult
from daemon.runtime import Runtime
from daemon.schedule import walk
from daemon.settle import open_account
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.watch.stored import watch_from_json
from daemon.watch.tail import session_returns, tail_days
from daemon.watch.watching import watch
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession
from execution.exchange.sim import SimBroker
from execution.exchange.venue import Venue, VenueOptions
from scrapers.base import Dataset
from strategies.base import Strategy

Progress = Callable[[date, float], None]
REPLAY_SETTLES = ("open+1m", "close+1m")


@dataclass(slots=True)
class Tally:
    """What a replay counts along the way."""

    invariants: dict[str, int] = field(default_factory=dict)
    coverage: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def replay(
    settings: Settings,
    conninfo: Callable[[], str],
    lake: Lake,
    datasets: Mapping[str, Dataset],
    strategies: Mapping[str, Strategy],
    params: Mapping[str, dict[str, Any]],
    *,
    start: date,
    end: date,
    known_until: datetime | None,
    code_version: str,
    progress: Progress,
    sandbox: bool = False,
    artefacts: Artefacts | None = None,
) -> ReplayResult:
    """Run the sessions of [start, end] in a scratch schema and gather the result.

    artefacts: takes what is trained along the way, for whoever goes over the same past again.
    Raises StartRefused when the store has no bars for the range.
    """
    began = time.perf_counter()
    calendar = Calendar()
    archive = Archive(lake, datasets.values(), calendar, known_until=known_until, artefacts=artefacts, fixed=True)
    end = _check_range(archive, calendar, start, end)
    eve = days(calendar, start, end, settings.shadow_warmup_sessions)
    with _rare_collection(), ahead(archive, calendar, strategies, params, eve) as helped, _scratch(conninfo) as db:
        prices = ArchivePrices(archive)
        rt = _runtime(settings, db, lake, archive, prices, calendar, datasets, helped, params, start, end, code_version)
        tally = Tally()
        open_account(rt)
        _walk(rt, tally, start, end, progress)
        merge(tally.invariants, check_record(rt, rt.clock.now()))
        db.flush()
        return _result(rt, tally, prices, start, end, time.perf_counter() - began)


def _check_range(archive: Archive, calendar: Calendar, start: date, end: date) -> date:
    if start > end:
        raise StartRefused(f"the range is empty: --from {start} lies after --to {end}")
    if not archive.panel.names:
        raise StartRefused("the store has no daily bars: import some first, e.g. start.py import bars_daily FILE")
    last = archive.panel.newest_session()
    if last is None or last < start:
        raise StartRefused(f"the newest stored bar is of {last}, before --from {start}")
    return min(end, last)


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Collect cycles rarely: a replay keeps millions of rows in memory, and going through them again and again is slow."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _scratch(conninfo: Callable[[], str]) -> Iterator[Database]:
    db = Database(conninfo, schema=f"replay_{secrets.token_hex(4)}", commit="session", durable=False)
    try:
        db.migrate()
        db.flush()
        yield db
    finally:
        db.abandon()
        db.drop_schema()
        db.close()


def _runtime(
    settings: Settings,
    db: Database,
    lake: Lake,
    archive: Archive,
    prices: ArchivePrices,
    calendar: Calendar,
    datasets: Mapping[str, Dataset],
    strategies: Mapping[str, Strategy],
    params: Mapping[str, dict[str, Any]],
    start: date,
    end: date,
    code_version: str,
) -> Runtime:
    start_at = calendar.open_at(calendar.session_on_or_after(start)) - timedelta(hours=2)
    sessions = [
        MarketSession(date=d, open_at=calendar.open_at(d), close_at=calendar.close_at(d))
        for d in calendar.sessions(start, min(end + timedelta(days=10), calendar.end))
    ]
    options = VenueOptions(
        start_at=start_at,
        cash_usd=Decimal(settings.initial_cash_usd),
        liquidity=LiquidityOptions(half_spread_bps=settings.cost_bps),
        seed="replay",
    )
    venue = Venue(options, prices, sessions)
    clock = VirtualClock(start_at)
    clock.on_advance(venue.advance)
    return Runtime(
        settings=settings,
        clock=clock,
        calendar=calendar,
        db=db,
        lake=lake,
        archive=archive,
        broker=SimBroker(venue),
        book=TradingBook(db),
        metrics=metrics_for(code_version, strategies, datasets, REPLAY_SETTLES),
        strategies=strategies,
        params=params,
        datasets=datasets,
        sources={},
        http=None,
        settle_anchors=REPLAY_SETTLES,
        id_prefix="replay",
        code_version=code_version,
        sandbox=False,
    )


def _walk(rt: Runtime, tally: Tally, start: date, end: date, progress: Progress) -> None:
    def marked(at: datetime) -> dict[str, Any]:
        result = mark(rt, at)
        merge(tally.invariants, check_now(rt))
        session = rt.calendar.last_closed(at)
        _count_coverage(rt, tally, session, at)
        if session == last or rt.calendar.next_session(session).month != session.month:
            watch(rt, at)
        rt.db.flush()
        progress(session, result["nav_usd"])
        return result

    last = rt.calendar.session_on_or_before(end)
    begin = rt.calendar.open_at(rt.calendar.session_on_or_after(start)) - timedelta(hours=1)
    stop = rt.calendar.close_at(last) + timedelta(hours=2)
    jobs = build_jobs(rt, JobRunner(rt.db, rt.clock, rt.metrics, strict=True), mark=marked)
    walk(jobs, begin, stop, rt.clock, rt.calendar)


def _count_coverage(rt: Runtime, tally: Tally, session: date, at: datetime) -> None:
    """Once a month: how many members the dated universe had, and how many of them had a price."""
    if rt.calendar.previous_session(session).month == session.month:
        return
    view = rt.archive.view(at)
    members = view.universe()
    if members:
        closes = view.bars("close", 5, members)
        priced = int(np.isfinite(closes.to_numpy()).any(axis=0).sum())
        tally.coverage.setdefault(session.year, []).append((len(members), priced))


def _result(rt: Runtime, tally: Tally, prices: ArchivePrices, start: date, end: date, elapsed_s: float) -> ReplayResult:
    marks = rt.db.rows("nav_all")
    nav = pd.DataFrame(marks).set_index("session")
    orders = _orders(rt, prices)
    traded = orders.assign(usd=orders["filled_qty"] * orders["filled_avg_price"].fillna(0.0)).groupby("session")
    sleeves = pd.DataFrame(rt.db.rows("sleeve_marks_all"))
    cycles = rt.db.rows("cycles_all")
    fills = rt.db.row("fills_count")
    frame = pd.DataFrame(
        {
            "nav_usd": nav["nav_usd"],
            "cash_usd": nav["cash_usd"],
            "gross": nav["gross_frac"],
            "net": nav["net_frac"],
            "turnover": (traded["usd"].sum().reindex(nav.index) / nav["nav_usd"]).fillna(0.0),
            "cost_usd": traded["cost_usd"].sum().reindex(nav.index).fillna(0.0),
            "benchmark": nav["benchmark"].astype("float64"),
        }
    )
    close_only = sorted({s for s in orders["symbol"].unique() if prices.close_only(s)})
    return ReplayResult(
        sandbox=rt.sandbox,
        start=start,
        end=end,
        nav=frame,
        sleeve_nav=sleeves.pivot(index="session", columns="sleeve", values="nav_usd"),
        capital=sleeves.pivot(index="session", columns="sleeve", values="capital_frac"),
        orders=orders,
        allocations=_allocations(cycles),
        sleeve_returns=_shadow_returns(rt, start),
        coverage=_coverage(tally),
        close_only_symbols=close_only,
        notes=_notes(rt),
        settings={**rt.settings.public(), "strategies": list(rt.strategies)},
        decision_hash=decision_hash(cycles),
        invariants=tally.invariants,
        elapsed_s=round(elapsed_s, 3),
        cycles=len(cycles),
        fills=int(fills["n"]) if fills else 0,
        benchmark=rt.settings.benchmark,
        tail=tuple(tail_days(rt.db.rows("forecasts_between", since=start, until=end), session_returns(marks, rt.calendar))),
        watches=tuple(watch_from_json(row["watch"]) for row in rt.db.rows("risk_watches_all")),
    )


def decision_hash(cycles: list[dict[str, Any]]) -> str:
    """SHA-256 over the cycles' own decision hashes, in order of session."""
    return hashlib.sha256("\n".join(f"{c['session'].isoformat()} {c['decision_hash']}" for c in cycles).encode()).hexdigest()


def _orders(rt: Runtime, prices: ArchivePrices) -> pd.DataFrame:
    """Orders with what they cost: the distance of their fills from the official price they were to trade at."""
    rows = []
    for r in rt.db.rows("orders_all"):
        bar = prices.bar(r["symbol"], r["session"])
        filled, average = float(r["filled_qty"]), float(r["filled_avg_price"]) if r["filled_avg_price"] is not None else np.nan
        official = np.nan if bar is None else (bar.open or bar.close)
        sign = 1.0 if r["side"] == "buy" else -1.0
        cost = sign * (average - official) * filled if filled else 0.0
        rows.append(
            {
                **r,
                "qty": float(r["qty"]),
                "filled_qty": filled,
                "filled_avg_price": average,
                "decision_price": float(r["decision_price"]),
                "cost_usd": cost,
            }
        )
    columns = "session client_order_id symbol side qty type status filled_qty filled_avg_price decision_price cost_usd".split()
    return pd.DataFrame(rows, columns=columns)


def _allocations(cycles: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "session": c["session"],
            **{k: c["allocation"][k] for k in ("rung", "var95", "cvar95", "gross", "regime_delta")},
            "n_bound": len(c["allocation"]["bound"]),
            "bound": ", ".join(sorted({b["limit"] for b in c["allocation"]["bound"]})),
        }
        for c in cycles
        if "rung" in c["allocation"]
    ]
    return pd.DataFrame(rows, columns=["session", "rung", "var95", "cvar95", "gross", "regime_delta", "n_bound", "bound"])


def _shadow_returns(rt: Runtime, start: date) -> pd.DataFrame:
    rows = rt.db.rows("shadow_marks_since", since=start)
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).pivot(index="session", columns="sleeve", values="return_frac")


def _coverage(tally: Tally) -> dict[int, dict[str, float]]:
    found = {}
    for year, counts in sorted(tally.coverage.items()):
        members, priced = (float(np.mean(c)) for c in zip(*counts, strict=True))
        found[year] = {"members": members, "with_prices": priced, "fraction": priced / members if members else 0.0}
    return found


def _notes(rt: Runtime) -> list[str]:
    states = rt.db.rows("trading_states_all")
    return [f"{s['at'].date()}: {s['state']} by {s['actor']}: {s['reason']}" for s in states]
