"""The bag of everything that work needs. Live, sandbox and replay differ only in what is in it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from config import Settings
from daemon.book import TradingBook
from daemon.calendar import Calendar
from daemon.clock import Clock
from daemon.metrics import Metrics
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from execution.base import Broker
from scrapers.base import Dataset
from scrapers.http import Http
from strategies.base import Strategy


@dataclass(slots=True, kw_only=True)
class Runtime:
    """What one process works with.

    strategies: the enabled part of the catalog. params: complete parameters by strategy.
    sources: fetch options of the datasets that this runtime collects (empty in replay), asked anew for every fetch.
    settle_anchors: when the order sweep runs. id_prefix: starts every client_order_id of this installation.
    history: how far back a source is read the first time.
    tradable: symbols that the broker lists, None before it was asked.
    trading: held by whatever reads or moves orders, ledger or views.
    """

    settings: Settings
    clock: Clock
    calendar: Calendar
    db: Database
    lake: Lake
    archive: Archive
    broker: Broker
    book: TradingBook
    metrics: Metrics
    strategies: Mapping[str, Strategy]
    params: Mapping[str, dict[str, Any]]
    datasets: Mapping[str, Dataset]
    sources: "Mapping[str, SourceOptions]"
    http: Http | None
    settle_anchors: tuple[str, ...]
    id_prefix: str
    code_version: str
    sandbox: bool
    history: timedelta = timedelta(days=3 * 366)
    whole_shares: frozenset[str] = frozenset()
    tradable: frozenset[str] | None = None
    trading: threading.RLock = field(default_factory=threading.RLock)


SourceOptions = Callable[[Runtime], Mapping[str, Any]]
