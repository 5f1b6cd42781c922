"""What can be traded: Alpaca's list of active US equities, and how each may be traded."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import cells, files, rates, symbols, tables
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources.constituents import ALWAYS

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "alpaca_assets"
URL = "https://paper-api.alpaca.markets/v2/assets"
SHAPES = {"Alpaca's answer (JSON)": "array of id, class, exchange, symbol, name, status, tradable, shortable, fractionable, ..."}
_FLAGS = ("tradable", "fractionable", "shortable", "easy_to_borrow", "marginable")
_REQUIRED = {"id", "class", "exchange", "symbol", "status", *_FLAGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class TradableAsset:
    """One listing as the broker sees it. exchange: NYSE, NASDAQ, ARCA, ...; status: `active` or `inactive`; asset_class: `us_equity`.

    tradable: orders are taken; fractionable: in parts of a share; shortable, easy_to_borrow, marginable: as the broker says.
    """

    symbol: str
    asset_id: str
    name: str
    exchange: str
    asset_class: str
    status: str
    tradable: bool
    fractionable: bool
    shortable: bool
    easy_to_borrow: bool
    marginable: bool


def parse(document: object, *, name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of an answer; fields that nobody asked for are passed over. event_at and known_at are 1970: an answer has no dates.

    Of two records of one symbol the tradable one counts, else the first; the other is a Reject `second_listing`.
    Raises SourceChanged for another shape, or when most records are of another shape.
    """
    if not isinstance(document, list):
        raise SourceChanged(f"{name}: an array of assets was expected, not {type(document).__name__}")
    if not document:
        raise SourceChanged(f"{name}: not a single asset")
    found: dict[str, tuple[TradableAsset, object, str]] = {}
    refused: list[Reject] = []
    for index, record in enumerate(document):
        at = f"{name}[{index}]"
        asset = _asset(record, at)
        if isinstance(asset, Reject):
            refused.append(asset)
            continue
        held = found.get(asset.symbol)
        if held is None or (asset.tradable and not held[0].tradable):
            found[asset.symbol] = (asset, record, at)
        loser = (record, at) if found[asset.symbol][0] is not asset else held[1:] if held else None
        if loser is not None:
            refused.append(tables.reject("second_listing", f"another asset is {asset.symbol}", *loser))
    if 2 * sum(reject.reason == "not_an_asset" for reject in refused) > len(document):
        raise SourceChanged(f"{name}: most of {len(document)} records are no assets, the first refused: {refused[0].detail}")
    yield from (tables.Timed(row=asset, event_at=ALWAYS, known_at=ALWAYS) for asset, _, _ in found.values())
    yield from refused


def _asset(record: object, at: str) -> TradableAsset | Reject:
    if not isinstance(record, dict) or not set(record) >= _REQUIRED:
        missing = ", ".join(sorted(_REQUIRED - set(record))) if isinstance(record, dict) else "everything"
        return tables.reject("not_an_asset", f"without {missing}", record, at)
    flags = {name: record[name] for name in _FLAGS}
    texts = {name: cells.text(record[name], 60) for name in ("id", "class", "exchange", "status")}
    if not all(isinstance(flag, bool) for flag in flags.values()) or not all(texts[name] for name in ("id", "class", "status")):
        return tables.reject("not_an_asset", "flags are not true or false, or a word is missing", record, at)
    symbol = symbols.canonical(str(record["symbol"]))
    if symbol is None:
        return tables.reject("bad_symbol", symbols.explain(str(record["symbol"])), record, at)
    return TradableAsset(
        symbol=symbol,
        asset_id=texts["id"],
        name=cells.text(record.get("name"), 200),
        exchange=texts["exchange"],
        asset_class=texts["class"],
        status=texts["status"],
        **flags,
    )


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """All active US equities. The answer has no past: rows are known from the fetch, with `backfill` as well."""
    answer = http.get(URL, {"status": "active", "asset_class": "us_equity"}, source=SOURCE, rate=rates.ALPACA_TRADING)
    yield from tables.batches(TradableAsset, map(tables.unstamped, parse(answer.json(), name=URL)))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers; raises BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        if not files.is_json(content):
            files.unknown_shape(path.name, "no JSON", SHAPES)
        try:
            items = list(parse(files.json_of(content, path.name), name=path.name))
        except SourceChanged as error:
            raise BadFile(f"{error}; known shapes are {SHAPES}") from error
        yield from tables.batches(TradableAsset, items)


DATASET = Dataset(
    name="assets",
    row=TradableAsset,
    key=("symbol",),
    schedule="open-110m",
    description="Listings that the broker trades, and whether in fractions or short",
    known="from the fetch on",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=rates.ALPACA_TRADING,
            urls=(URL,),
            needs=("alpaca_api_key",),
            history=False,
        ),
    ),
    load=load,
    grace=timedelta(days=3),
    snapshot=True,
)
