"""Which listed company owns which app of the App Store: the map that app ratings are collected by."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import app_store_list, cells, files, itunes, rates, symbols, tables
from scrapers.app_store_list import AppListing
from scrapers.base import Batch, Dataset, Reject, Source

if TYPE_CHECKING:
    from scrapers.http import Http

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
SHAPES = {"apps by symbol (CSV)": "symbol, app_id[, app_name]"}
_ID = re.compile(r"(?:id)?(\d{6,20})")


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The packaged list, whole; nobody is asked. Who owns an app says nothing about when: `event_at` is 1970."""
    rows = [tables.Timed(row=listing, event_at=ALWAYS, known_at=None) for listing in app_store_list.packaged()]
    yield from tables.batches(AppListing, rows)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import hand-made lists, which hold for all time; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(AppListing, _lines(files.read(path), path.name))


def _lines(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    header, lines = files.csv_rows(content, name)
    columns = [column.lower() for column in header]
    if not {"symbol", "app_id"} <= set(columns) <= set(app_store_list.COLUMNS):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, found in lines:
        yield _line(columns, found, f"{name}:{line}")


def _line(columns: list[str], found: list[str], at: str) -> tables.Timed | Reject:
    if len(found) != len(columns):
        return tables.reject("ragged_record", f"{len(found)} cells", found, at)
    said = dict(zip(columns, found, strict=True))
    symbol, number = symbols.canonical(said["symbol"]), _ID.fullmatch(said["app_id"].strip())
    if symbol is None or number is None:
        reason = "bad_ticker" if symbol is None else "bad_app_id"
        return tables.reject(reason, f"symbol {said['symbol'][:40]!r}, app_id {said['app_id'][:40]!r}", found, at)
    row = AppListing(symbol=symbol, app_id=number[1], app_name=cells.text(said.get("app_name")))
    return tables.Timed(row=row, event_at=ALWAYS, known_at=ALWAYS)


DATASET = Dataset(
    name="app_listings",
    row=AppListing,
    key=("symbol", "app_id"),
    schedule="cron: sat 06:00",
    description="Apps of the App Store by the company that owns them",
    sources=(Source(name="app_listings_packaged", fetch=fetch, rate=rates.ITUNES, urls=(itunes.LOOKUP,), history=False),),
    load=load,
    known="always",
)
