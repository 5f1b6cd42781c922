"""A small market in a real PostgreSQL with sealed segments, and a runtime that trades it on the exchange in process.

Twenty-two symbols follow seeded random walks; members of Congress disclose trades in the eight stocks, each weeks after it
happened. Everything is made here, row by row, so that a test can look up what an explanation should say.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

import config
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import VirtualClock
from daemon.joblist import build_jobs, metrics_for
from daemon.jobs import JobRunner
from daemon.prices import ArchivePrices
from daemon.runtime import Runtime
from daemon.schedule import walk
from daemon.settle import open_account
from daemon.store.datasets import append, ensure_table
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession
from execution.exchange.sim import SimBroker
from execution.exchange.venue import Venue, VenueOptions
from scrapers import DATASETS, tables, times
from scrapers.base import Batch, Reject
from scrapers.sources.bars_daily import DailyBar
from scrapers.sources.congress_trades import CongressTrade
from scrapers.sources.constituents import Constituent
from scrapers.sources.index_membership import Membership
from strategies import CATALOG, resolve_params

START, END = date(2022, 1, 3), date(2022, 3, 31)
HISTORY_SESSIONS = 300
STOCKS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
FUNDS = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY")
SYMBOLS = (*STOCKS, *FUNDS, "SPY")
MEMBERS = ("Ada Alder", "Ben Birch", "Cora Cedar")
STRATEGIES = ("congress_aggregate", "sector_risk_parity_momentum", "volatility_scaled_momentum")
FETCHED = datetime(2020, 1, 1, tzinfo=UTC)
VERSION = "test-1"


@dataclass(frozen=True, kw_only=True)
class SmallWorld:
    """A store with everything known up to END, and the runtime that has traded from START to END."""

    rt: Runtime
    db: Database
    lake: Lake
    calendar: Calendar
    sessions: list[date]
    conninfo: Callable[[], str]


def bars(calendar: Calendar, sessions: Sequence[date]) -> list[tables.Timed]:
    """Split-adjusted bars; AAA to DDD drift up, the rest has its own luck."""
    random = np.random.default_rng(7)
    rows = []
    for i, symbol in enumerate(SYMBOLS):
        drift = 0.001 if i < 4 else 0.0003
        steps = random.normal(drift, 0.012, len(sessions))
        closes = 40.0 * (1 + i / 4) * np.exp(np.cumsum(steps))
        opens = closes * (1 + random.normal(0, 0.003, len(sessions)))
        for session, opened, close in zip(sessions, opens.round(4).tolist(), closes.round(4).tolist(), strict=True):
            row = DailyBar(
                symbol=symbol, session=session, open=opened, high=max(opened, close) * 1.002, low=min(opened, close) * 0.998,
                close=close, adj_close=close, volume=5_000_000, adjustment="split",
            )  # fmt: skip
            rows.append(tables.Timed(row=row, event_at=calendar.close_at(session), known_at=times.new_york(session, time(16, 20))))
    return rows


def disclosure(
    number: int, symbol: str, traded: date, disclosed: date, transaction: str = "purchase", low: float = 15_001.0
) -> tables.Timed:
    """One disclosed trade, known from the day after its disclosure."""
    row = CongressTrade(
        chamber="house", member=MEMBERS[number % 3], member_id="", party="", owner="self", symbol=symbol, received_symbol=None,
        ticker_text=symbol, symbol_note="", asset_description=f"{symbol} Corporation Common Stock", asset_type="stock",
        transaction=transaction, amount_low_usd=low, amount_high_usd=low * 3 + 1, amount_text=f"${low:,.0f} - ${low * 3 + 1:,.0f}",
        transaction_date=traded, disclosure_date=disclosed, filing_id=f"F{number:04d}", occurrence=0,
        source_url=f"https://disclosures.example/{number:04d}.pdf",
    )  # fmt: skip
    return tables.Timed(row=row, event_at=times.new_york(traded), known_at=times.day_after(disclosed))


def disclosures(sessions: Sequence[date]) -> list[tables.Timed]:
    """Every second session a trade in one of the stocks is disclosed, twenty to forty days late; each fifth is a sale."""
    found = []
    for number, disclosed in enumerate(sessions[-150::2]):
        traded = disclosed - timedelta(days=20 + number % 21)
        transaction = "sale_full" if number % 5 == 4 else "purchase"
        found.append(disclosure(number, STOCKS[(number * 3) % 8], traded, disclosed, transaction, 15_001.0 + 1000 * (number % 7)))
    return found


def store(db: Database, lake: Lake, name: str, row_type: type, rows: Sequence[tables.Timed], rejects: tuple[Reject, ...] = ()) -> None:
    """Append rows to a dataset and seal them."""
    append(db, DATASETS[name], Batch(rows=tables.table(row_type, rows), rejects=rejects), FETCHED)
    lake.seal(db, DATASETS[name])


def fill_store(db: Database, lake: Lake, calendar: Calendar, sessions: Sequence[date]) -> None:
    """Everything that is known up to the end."""
    for dataset in DATASETS.values():
        ensure_table(db, dataset)
    always, begun = datetime(2015, 1, 1, tzinfo=UTC), date(2015, 1, 1)
    store(db, lake, "bars_daily", DailyBar, bars(calendar, sessions))
    store(
        db, lake, "congress_trades", CongressTrade, disclosures(sessions), (tables.reject("no_ticker", "nothing to buy", {"a": 1}, "x[0]"),)
    )
    sectors = [
        Constituent(symbol=s, sector="Energy" if i < 4 else "Utilities", sub_industry="", name=f"{s} Corp", cik="", date_added=None)
        for i, s in enumerate(STOCKS)
    ]
    store(db, lake, "constituents", Constituent, [tables.Timed(row=r, event_at=always, known_at=always) for r in sectors])
    spells = [Membership(index_name="sp500", symbol=s, start_date=begun, end_date=None) for s in STOCKS]
    store(db, lake, "index_membership", Membership, [tables.Timed(row=r, event_at=always, known_at=always) for r in spells])


class _Undo(Exception):
    """Ends a transaction that is not to be kept."""


@contextmanager
def undone(db: Database) -> Iterator[None]:
    """What the block writes is there inside it, and gone after it."""
    try:
        with db.transaction():
            yield
            raise _Undo
    except _Undo:
        pass


def execute(db: Database, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    """Run a statement of a test's own and give its rows."""
    with db.connection() as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def settings(**changes: str) -> config.Settings:
    """Settings of the small world: a short warm-up and caps wide enough to see every kind of limit bind."""
    values = {
        "ALLOCD_STRATEGIES": ",".join(STRATEGIES),
        "ALLOCD_STRATEGY_PARAMS": '{"volatility_scaled_momentum": {"lookback": 63, "top": 4}}',
        "ALLOCD_SHADOW_WARMUP_SESSIONS": "30",
        "ALLOCD_RAMP_SESSIONS": "3",
    }
    return config.load(values | changes, env_file=None)


def runtime(chosen: config.Settings, db: Database, lake: Lake, calendar: Calendar, sessions: Sequence[date]) -> Runtime:
    """The bag of a replay over this store, writing to `db` itself."""
    archive = Archive(lake, DATASETS.values(), calendar)
    traded = [MarketSession(date=d, open_at=calendar.open_at(d), close_at=calendar.close_at(d)) for d in sessions if d >= START]
    start_at = traded[0].open_at - timedelta(hours=2)
    options = VenueOptions(start_at=start_at, cash_usd=Decimal(100_000), liquidity=LiquidityOptions(half_spread_bps=2.0), seed="small")
    venue = Venue(options, ArchivePrices(archive), traded)
    clock = VirtualClock(start_at)
    clock.on_advance(venue.advance)
    strategies = {name: CATALOG[name] for name in STRATEGIES}
    anchors = ("open+1m", "close+1m")
    parts: dict[str, Any] = {"settings": chosen, "clock": clock, "calendar": calendar, "db": db, "lake": lake, "archive": archive}
    return Runtime(
        **parts, broker=SimBroker(venue), book=TradingBook(db), metrics=metrics_for(VERSION, strategies, DATASETS, anchors),
        strategies=strategies, params={name: resolve_params(CATALOG[name], chosen.strategy_params.get(name)) for name in STRATEGIES},
        datasets=DATASETS, sources={}, http=None, settle_anchors=anchors, id_prefix="small", code_version=VERSION, sandbox=False,
    )  # fmt: skip


def trade(rt: Runtime, start: date, end: date) -> None:
    """Run every job of the sessions from start to end."""
    begin = rt.calendar.open_at(rt.calendar.session_on_or_after(start)) - timedelta(hours=1)
    stop = rt.calendar.close_at(rt.calendar.session_on_or_before(end)) + timedelta(hours=2)
    runner = JobRunner(rt.db, rt.clock, rt.metrics, strict=True)
    walk(build_jobs(rt, runner), begin, stop, rt.clock, rt.calendar)


def build(directory: Path, conninfo: Callable[[], str]) -> SmallWorld:
    """Store, runtime, and all sessions traded."""
    calendar = Calendar()
    first = calendar.offset(calendar.session_on_or_after(START), -HISTORY_SESSIONS)
    sessions = calendar.sessions(first, END)
    db, lake = Database(conninfo, durable=False), Lake(directory / "lake")
    db.migrate()
    fill_store(db, lake, calendar, sessions)
    rt = runtime(settings(), db, lake, calendar, sessions)
    open_account(rt)
    trade(rt, START, END)
    return SmallWorld(rt=rt, db=db, lake=lake, calendar=calendar, sessions=sessions, conninfo=conninfo)
