"""What a source is given beside the time that it is asked for: options by name, each made anew for every fetch.

The set is closed. A source that wants something else is refused when the daemon is put together, not when its turn comes.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from daemon.errors import StartRefused
from daemon.runtime import DataRuntime
from scrapers.base import Dataset, Source

DISCLOSED_LATELY = timedelta(days=120)
ROWS = "rows:"


def universe(rt: DataRuntime) -> list[str]:
    """Symbols whose prices are collected: index members, the strategies' funds, the benchmark, what is held or lately disclosed."""
    with rt.trading:
        disclosed = _known(rt, "congress_trades", rt.clock.now() - DISCLOSED_LATELY)
        wanted = {
            rt.settings.benchmark,
            *_known(rt, "constituents")["symbol"],
            *(f for s in rt.strategies.values() for f in s.funds),
            *rt.book.ledger.account_positions(),
            *disclosed.loc[disclosed["symbol"].notna(), "symbol"],
        }
    return sorted(str(s) for s in wanted if rt.tradable is None or s in rt.tradable)


def close_at(rt: DataRuntime) -> Callable[[date], datetime]:
    """When a session closes."""
    return rt.calendar.close_at


def members(rt: DataRuntime) -> dict[str, date]:
    """Start date by symbol of the memberships of the S&P 500 that are open now, so that a fetch can close those that ended."""
    return memberships(rt).get("sp500", {})


def memberships(rt: DataRuntime) -> dict[str, dict[str, date]]:
    """By index, the start date by symbol of the memberships that are open now."""
    frame = _known(rt, "index_membership")
    found: dict[str, dict[str, date]] = {}
    still = frame[frame["end_date"].isna()]
    for index, symbol, start in zip(still["index_name"], still["symbol"], still["start_date"], strict=True):
        found.setdefault(str(index), {})[str(symbol)] = start
    return found


def companies(rt: DataRuntime) -> dict[str, str]:
    """Company name by symbol: of the index members, and of whatever else the broker lists."""
    names: dict[str, str] = {}
    for dataset in ("assets", "constituents"):
        frame = _known(rt, dataset)
        if "name" in frame.columns:
            names |= {str(s): str(n) for s, n in zip(frame["symbol"], frame["name"], strict=True) if n}
    return names


def articles(rt: DataRuntime) -> dict[str, str]:
    """Title of the Wikipedia article by symbol."""
    frame = _known(rt, "wiki_articles")
    return {str(s): str(a) for s, a in zip(frame["symbol"], frame["article"], strict=True)} if len(frame) else {}


def apps(rt: DataRuntime) -> dict[str, list[str]]:
    """Application ids by symbol."""
    frame, found = _known(rt, "app_listings"), dict[str, list[str]]()
    for symbol, app in zip(frame["symbol"], frame["app_id"], strict=True) if len(frame) else ():
        found.setdefault(str(symbol), []).append(str(app))
    return found


def rows_of(rt: DataRuntime, name: str) -> Callable[[datetime, datetime], pd.DataFrame]:
    """(since, asof) -> the newest versions known at `asof` of a dataset's rows with known_at >= since."""

    def rows(since: datetime, asof: datetime) -> pd.DataFrame:
        with rt.trading:
            rt.archive.refresh()
            return rt.archive.view(asof).events(name, since)

    return rows


def _known(rt: DataRuntime, name: str, since: datetime | None = None) -> pd.DataFrame:
    """What is known now of a dataset; an empty frame for one that is not declared."""
    if name not in rt.datasets:
        return pd.DataFrame()
    with rt.trading:
        rt.archive.refresh()
        return rt.archive.view(rt.clock.now()).events(name, since)


PROVIDERS: Mapping[str, Callable[[DataRuntime], Any]] = {
    "symbols": universe,
    "close_at": close_at,
    "members": members,
    "memberships": memberships,
    "companies": companies,
    "articles": articles,
    "apps": apps,
}

READS: Mapping[str, tuple[str, ...]] = {
    "symbols": ("constituents", "assets"),
    "companies": ("constituents", "assets"),
    "articles": ("wiki_articles",),
    "apps": ("app_listings",),
}
"""Datasets that an option is made of, to be collected before those that want it; it cannot do without the first."""


def provide(rt: DataRuntime, name: str) -> Any:
    """One option. Raises KeyError for a name outside the closed set."""
    return rows_of(rt, name.removeprefix(ROWS)) if name.startswith(ROWS) else PROVIDERS[name](rt)


def options(rt: DataRuntime, source: Source, about: frozenset[str] | None = None) -> dict[str, Any]:
    """Everything that a source wants. about: of those that it asks about one by one, only these."""
    found = {name: provide(rt, name) for name in source.wants}
    if about is not None and source.asks_by:
        everyone = found[source.asks_by]
        some = {s: v for s, v in everyone.items() if s in about} if isinstance(everyone, dict) else [s for s in everyone if s in about]
        found[source.asks_by] = some
    return found


def check(datasets: Mapping[str, Dataset]) -> None:
    """Raise StartRefused when a source wants what nobody provides."""
    for dataset in datasets.values():
        for source in dataset.sources:
            for name in source.wants:
                known = name.removeprefix(ROWS) in datasets if name.startswith(ROWS) else name in PROVIDERS
                if not known:
                    raise StartRefused(f"source {source.name} of {dataset.name} wants {name!r}, which nothing provides")


def reads(dataset: Dataset) -> set[str]:
    """Datasets that must be collected before this one."""
    wanted = {name for source in dataset.sources for name in source.wants}
    named = {name.removeprefix(ROWS) for name in wanted if name.startswith(ROWS)}
    return (named | {d for name in wanted for d in READS.get(name, ())}) - {dataset.name}


def awaited(rt: DataRuntime, name: str) -> list[str]:
    """Datasets without a row, that are collected here and that sources of this one which were never read are asked by.

    To ask now would be to ask for nobody: the past of the source would count as read, and never be asked for again.
    """
    unread = [s for s in rt.sources[name] if s.history and rt.db.row("watermark_get", dataset=name, source=s.name) is None]
    wanted = {option for source in unread for option in source.wants}
    needed = {o.removeprefix(ROWS) for o in wanted if o.startswith(ROWS)} | {READS[o][0] for o in wanted if o in READS}
    return sorted(d for d in needed - {name} if d in rt.sources and not rt.lake.stats(rt.db, rt.datasets[d])["rows"])


def with_reads(datasets: Mapping[str, Dataset], names: Iterable[str]) -> set[str]:
    """The names and everything that they read, however far behind."""
    found: set[str] = set()
    waiting = [n for n in names if n in datasets]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += reads(datasets[name]) & set(datasets)
    return found


def in_order(datasets: Mapping[str, Dataset], names: Iterable[str]) -> list[str]:
    """The names so that each dataset stands behind those that it reads; otherwise by name. A circle is cut at its first name."""
    wanted, placed = sorted(names), dict[str, None]()

    def place(name: str, above: frozenset[str]) -> None:
        if name in placed or name in above:
            return
        for earlier in sorted(reads(datasets[name]) & set(wanted)):
            place(earlier, above | {name})
        placed[name] = None

    for name in wanted:
        place(name, frozenset())
    return list(placed)
