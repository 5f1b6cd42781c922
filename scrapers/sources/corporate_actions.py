"""Splits and cash dividends from Alpaca."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import alpaca_pages, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "alpaca_actions"
PATH = "/v1/corporate-actions"
PAGE_LIMIT = 1000
TYPES = "forward_split,reverse_split,stock_dividend,cash_dividend"
PROCESSING = timedelta(days=60)
"""Dates filter the day of processing, which for a dividend is near its payment and thus weeks after the ex-date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """One change to what a share is or has paid.

    kind: `split` (ratio = new shares per old share, stock dividends included) or `cash_dividend` (amount_usd per share, all cash
    dividends of one ex-date together).
    """

    symbol: str
    kind: str
    ex_date: date
    ratio: float | None
    amount_usd: float | None
    process_date: date | None


def parse_page(actions: object) -> Iterator[CorporateAction | Reject]:
    """Splits and cash dividends of the `corporate_actions` object of one page; other kinds are passed over.

    Raises SourceChanged for another shape.
    """
    if not isinstance(actions, dict):
        raise SourceChanged(f"{PATH}: `corporate_actions` is {type(actions).__name__}, not an object of lists")
    for kind, read in _READERS.items():
        records = actions.get(kind, [])
        if not isinstance(records, list):
            raise SourceChanged(f"{PATH}: {kind} is {type(records).__name__}, not a list")
        for index, record in enumerate(records):
            yield _action(record, read, f"{PATH} {kind}[{index}]")


def _split(record: dict[str, Any]) -> tuple[float | None, float | None]:
    new, old = _positive(record.get("new_rate")), _positive(record.get("old_rate"))
    return (new / old if new is not None and old is not None else None), None


def _stock_dividend(record: dict[str, Any]) -> tuple[float | None, float | None]:
    rate = _positive(record.get("rate"))
    return (None if rate is None else 1.0 + rate), None


def _cash_dividend(record: dict[str, Any]) -> tuple[float | None, float | None]:
    return None, _positive(record.get("rate"))


_READERS: dict[str, Callable[[dict[str, Any]], tuple[float | None, float | None]]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "stock_dividends": _stock_dividend,
    "cash_dividends": _cash_dividend,
}


def _action(record: object, read: Callable[[dict[str, Any]], tuple[float | None, float | None]], at: str) -> CorporateAction | Reject:
    if not isinstance(record, dict) or not {"symbol", "ex_date"} <= set(record):
        raise SourceChanged(f"{at}: an object with symbol and ex_date was expected")
    symbol, ex_date = symbols.canonical(str(record["symbol"])), times.parse_date(record["ex_date"])
    ratio, amount_usd = read(record)
    if symbol is None or ex_date is None:
        return tables.reject("bad_symbol" if symbol is None else "bad_date", "symbol or ex-date unreadable", record, at)
    if ratio is None and amount_usd is None:
        return tables.reject("bad_rate", "a rate is not positive and finite", record, at)
    return CorporateAction(
        symbol=symbol,
        kind="split" if amount_usd is None else "cash_dividend",
        ex_date=ex_date,
        ratio=ratio,
        amount_usd=amount_usd,
        process_date=times.parse_date(record.get("process_date")),
    )


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


def merge(actions: Iterable[CorporateAction]) -> Iterator[CorporateAction]:
    """One action per symbol, kind and ex-date: a special and a regular dividend add up, two splits multiply."""
    merged: dict[tuple[str, str, date], CorporateAction] = {}
    for action in actions:
        key = (action.symbol, action.kind, action.ex_date)
        earlier = merged.get(key)
        merged[key] = action if earlier is None else _both(earlier, action)
    yield from merged.values()


def _both(one: CorporateAction, other: CorporateAction) -> CorporateAction:
    if one.amount_usd is not None and other.amount_usd is not None:
        return replace(one, amount_usd=one.amount_usd + other.amount_usd)
    return replace(one, ratio=(one.ratio or 1.0) * (other.ratio or 1.0))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Actions processed around `since` to `until`, one batch.

    The window is 60 days wider on both sides, so that all dividends of one ex-date are seen together and an ex-date is known
    before its payment. Options: `symbols` (canonical, required) and `backfill` (known_at = 00:00 New York of the ex-date, which
    is late for what was declared before and never early).
    """
    params: dict[str, str | int] = {
        "types": TYPES,
        "start": (times.new_york_date(since) - PROCESSING).isoformat(),
        "end": (times.new_york_date(until) + PROCESSING).isoformat(),
        "limit": PAGE_LIMIT,
        "sort": "asc",
    }
    listed = list(options["symbols"])
    found = alpaca_pages.pages(http, PATH, "corporate_actions", listed, params, source=SOURCE)
    items = [item for page in found for item in parse_page(page)]
    rejects: list[tables.Timed | Reject] = [item for item in items if isinstance(item, Reject)]
    actions = merge(item for item in items if not isinstance(item, Reject))
    yield from tables.batches(CorporateAction, [*rejects, *(_timed(a, bool(options.get("backfill"))) for a in actions)])


def _timed(action: CorporateAction, backfill: bool) -> tables.Timed:
    ex = times.new_york(action.ex_date)
    return tables.Timed(row=action, event_at=ex, known_at=ex if backfill else None)


DATASET = Dataset(
    name="corporate_actions",
    row=CorporateAction,
    key=("symbol", "kind", "ex_date"),
    schedule="open-90m",
    description="Splits and cash dividends by ex-date",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=alpaca_pages.RATE,
            urls=(f"{alpaca_pages.DATA}{PATH}",),
            needs=("alpaca_api_key",),
            wants=("symbols",),
        ),
    ),
)
