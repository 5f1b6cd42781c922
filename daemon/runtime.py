"""The bag of everything that work needs. Live, sandbox and replay differ only in what is in it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from config import Settings
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import Clock
from daemon.metrics import Metrics
from daemon.raw_archive import RawArchive
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from execution.base import Broker
from scrapers.base import Dataset, Source
from scrapers.http import Http
from strategies.base import Strategy


@dataclass(slots=True, kw_only=True)
class DataRuntime:
    """What collecting data works with.

    strategies: the enabled part of the catalog. datasets: all that are declared.
    sources: by dataset, what this runtime collects it from (empty in replay).
    raw: keeps every answer of the sources. history: how far back a source is read the first time.
    tradable: symbols that the broker lists, None before it was asked.
    trading: held by whatever reads or moves orders, ledger or views.
    collecting: by dataset, held by whoever collects it. queued: datasets whose past is about to be read.
    stale: what was last found too old to trade on, with the reason.
    rejected: by source and reason, the most records that one fetch of this process refused.
    """

    settings: Settings
    clock: Clock
    calendar: Calendar
    db: Database
    lake: Lake
    archive: Archive
    book: TradingBook
    metrics: Metrics
    strategies: Mapping[str, Strategy]
    datasets: Mapping[str, Dataset]
    sources: Mapping[str, tuple[Source, ...]]
    http: Http | None
    raw: RawArchive = field(default_factory=lambda: RawArchive(None))
    history: timedelta = timedelta(days=3 * 366)
    tradable: frozenset[str] | None = None
    trading: threading.RLock = field(default_factory=threading.RLock)
    collecting: dict[str, threading.Lock] = field(default_factory=dict)
    queued: set[str] = field(default_factory=set)
    stale: dict[str, str] = field(default_factory=dict)
    rejected: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Runtime(DataRuntime):
    """What one process that trades works with.

    params: complete parameters by strategy. settle_anchors: when the order sweep runs.
    watch_anchor: when the daily risk watch runs; empty where whoever drives time asks for it.
    id_prefix: starts every client_order_id of this installation. account_may_short: the broker's last word on it.
    strategy_hashes: SHA-256 by name of the files of the operator's own strategies.
    """

    broker: Broker
    params: Mapping[str, dict[str, Any]]
    settle_anchors: tuple[str, ...]
    id_prefix: str
    code_version: str
    sandbox: bool
    whole_shares: frozenset[str] = frozenset()
    account_may_short: bool = True
    strategy_hashes: Mapping[str, str] = field(default_factory=dict)
    watch_anchor: str = ""
