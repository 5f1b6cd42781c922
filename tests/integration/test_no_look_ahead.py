"""A decision does not depend on anything that became known after it: the same replay with and without the later rows."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from daemon.calendar import Calendar
from daemon.replay import replay
from daemon.report_result import ReplayResult
from daemon.store.datasets import ensure_table
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import DATASETS, tables
from scrapers.sources.bars_daily import DailyBar
from scrapers.sources.congress_trades import CongressTrade
from scrapers.sources.index_membership import Membership
from strategies import CATALOG, resolve_params
from tests.integration import small_world as made

START, LAST, END = date(2022, 1, 3), date(2022, 2, 4), date(2022, 2, 25)
UNTIL = datetime.combine(LAST, time(23), UTC)
ROW_TYPES: Mapping[str, type] = {"bars_daily": DailyBar, "congress_trades": CongressTrade, "index_membership": Membership}
Rows = Mapping[str, Sequence[tables.Timed]]


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The same world twice: with everything, and with nothing that became known after UNTIL."""

    server: EmbeddedPostgres
    whole: Lake
    cut: Lake


def world() -> Rows:
    """The small market, where the future rewrites the past: bars are restated threefold and a member turns out to have left."""
    calendar = Calendar()
    sessions = calendar.sessions(calendar.offset(START, -made.HISTORY_SESSIONS), END)
    bars = made.bars(calendar, sessions)
    later = UNTIL + timedelta(days=2)
    restated = [
        replace(b, row=replace(b.row, close=b.row.close * 3, adj_close=b.row.close * 3), known_at=later)
        for b in bars
        if b.row.session > date(2021, 10, 1)
    ]
    begun, always = date(2015, 1, 1), datetime(2015, 1, 1, tzinfo=UTC)
    spells = [Membership(index_name="sp500", symbol=s, start_date=begun, end_date=None) for s in made.STOCKS]
    left = replace(spells[0], end_date=date(2021, 12, 1))
    members = [
        *(tables.Timed(row=s, event_at=always, known_at=always) for s in spells),
        tables.Timed(row=left, event_at=always, known_at=later),
    ]
    restated = [b for b in restated if b.row.session <= LAST]
    return {"bars_daily": bars + restated, "congress_trades": made.disclosures(sessions), "index_membership": members}


def fill(server: EmbeddedPostgres, directory: Path, rows: Rows) -> Lake:
    """A lake of its own with these rows."""
    db, lake = Database(server.ensure, schema=directory.name, durable=False), Lake(directory)
    db.migrate()
    for name, dataset in DATASETS.items():
        ensure_table(db, dataset)
        if rows.get(name):
            made.store(db, lake, name, ROW_TYPES[name], rows[name])
    db.close()
    return lake


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    directory = tmp_path_factory.mktemp("ahead")
    rows = world()
    known = {name: [r for r in found if r.known_at is not None and r.known_at <= UNTIL] for name, found in rows.items()}
    with EmbeddedPostgres(directory / "postgres") as server:
        yield Stores(server=server, whole=fill(server, directory / "whole", rows), cut=fill(server, directory / "cut", known))


def run(stores: Stores, lake: Lake, end: date, known_until: datetime | None = None) -> ReplayResult:
    settings = made.settings()
    strategies = {name: CATALOG[name] for name in made.STRATEGIES}
    params = {name: resolve_params(s, settings.strategy_params.get(name)) for name, s in strategies.items()}
    return replay(
        settings, stores.server.ensure, lake, DATASETS, strategies, params,
        start=START, end=end, known_until=known_until, code_version="test", progress=lambda session, nav: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(stores: Stores) -> ReplayResult:
    """The replay up to LAST over everything that is stored."""
    return run(stores, stores.whole, LAST)


def same(left: ReplayResult, right: ReplayResult) -> bool:
    """Whether both decided the same on every session up to LAST, and ended with the same money."""
    orders = [r.orders[r.orders["session"] <= LAST].drop(columns="cost_usd").reset_index(drop=True) for r in (left, right)]
    navs = [r.nav["nav_usd"].loc[:LAST] for r in (left, right)]
    allocations = [r.allocations[r.allocations["session"] <= LAST].reset_index(drop=True) for r in (left, right)]
    return orders[0].equals(orders[1]) and navs[0].equals(navs[1]) and allocations[0].equals(allocations[1])


def test_the_world_is_traded_and_breaks_no_invariant(plain: ReplayResult) -> None:
    assert plain.cycles == 24
    assert len(plain.orders) > 50
    assert set(plain.invariants.values()) == {0}


def test_known_until_leaves_every_decision_before_it_as_it_was(stores: Stores, plain: ReplayResult) -> None:
    assert run(stores, stores.whole, LAST, known_until=UNTIL).decision_hash == plain.decision_hash


def test_deleting_all_later_rows_leaves_every_decision_before_them_as_it_was(stores: Stores, plain: ReplayResult) -> None:
    cut = run(stores, stores.cut, LAST)
    assert cut.decision_hash == plain.decision_hash
    assert same(cut, plain)


def test_a_replay_that_goes_on_has_decided_the_same_until_then(stores: Stores, plain: ReplayResult) -> None:
    longer = run(stores, stores.whole, END)
    assert longer.cycles > plain.cycles
    assert same(longer, plain)


def test_with_and_without_a_second_processor_the_same_is_decided(
    stores: Stores, plain: ReplayResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = run(stores, stores.whole, LAST)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    helped = run(stores, stores.whole, LAST)
    assert alone.decision_hash == helped.decision_hash == plain.decision_hash
