"""Trades of members of Congress as disclosed under the STOCK Act: Quiver live and bulk, Senate and House archives."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import disclosure_forms as forms
from scrapers import disclosures, files, rates, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged, SourceRefused

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "quiver_congress"
LIVE, BULK = forms.QUIVER_LIVE, forms.QUIVER_BULK
LIVE_RATE, BULK_RATE = rates.QUIVER_10_MINUTE, rates.QUIVER_5_HOUR
PAGE_SIZE = 5000

SHAPES = {
    "Senate daily summaries (JSON)": "first_name, last_name, ptr_link, date_recieved, transactions",
    "House transactions (CSV)": "disclosure_date, transaction_date, ticker, type, amount, representative, ptr_link",
    "Quiver V1 (JSON array)": "Representative, ReportDate, TransactionDate, Ticker, Transaction, House",
    "Quiver V2 (JSON array)": "Name, Filed, Traded, Ticker, Transaction, Chamber",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CongressTrade:
    """One disclosed transaction.

    symbol: canonical, or None when the asset has no US ticker; symbol_note then says why (no_ticker, index, foreign_listing,
        option_contract, unrecognised). `preferred` marks preferred shares, `columns_swapped` a name and ticker found exchanged.
    received_symbol: what an exchange brought in; `symbol` is what it gave away.
    amount_low_usd, amount_high_usd: bounds of the disclosed bracket; None where open or unknown.
    occurrence: n-th identical record inside its filing, from 0. Equal trades do happen, so none is dropped.
    """

    chamber: str
    member: str
    member_id: str
    party: str
    owner: str
    symbol: str | None
    received_symbol: str | None
    ticker_text: str
    symbol_note: str
    asset_description: str
    asset_type: str
    transaction: str
    amount_low_usd: float | None
    amount_high_usd: float | None
    amount_text: str
    transaction_date: date
    disclosure_date: date
    filing_id: str
    occurrence: int
    source_url: str


KEY = (
    "chamber",
    "filing_id",
    "member",
    "owner",
    "symbol",
    "asset_description",
    "transaction",
    "transaction_date",
    "amount_text",
    "occurrence",
)

Seen = Counter[tuple[object, ...]]


class _Refused(ValueError):
    """A record that is not a row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def parse_senate(filings: object, *, position: str, seen: Seen | None = None) -> Iterator[tables.Timed | Reject]:
    """Rows of Senate daily summaries: a list of filings with their transactions.

    A filing on paper has no transactions and is one reject, `paper_filing`.
    """
    counted: Seen = Counter() if seen is None else seen
    for index, filing in enumerate(_listed(filings)):
        at = f"{position}[{index}]"
        trades = filing.get("transactions") if isinstance(filing, dict) else None
        if not isinstance(trades, list):
            yield tables.reject("not_a_record", "a filing with a list of transactions was expected", filing, at)
        elif not trades:
            yield tables.reject("paper_filing", "filed on paper, no transactions in the data", filing, at)
        else:
            for number, trade in enumerate(trades):
                yield _row(trade, partial(forms.senate, filing), f"{at}.transactions[{number}]", counted)


def parse_house(records: Iterable[tuple[str, object]], *, seen: Seen | None = None) -> Iterator[tables.Timed | Reject]:
    """Rows of House transactions: (position, mapping of the CSV's columns) pairs."""
    counted: Seen = Counter() if seen is None else seen
    for at, record in records:
        yield _row(record, forms.house, at, counted)


def parse_quiver(records: object, *, position: str, seen: Seen | None = None) -> Iterator[tables.Timed | Reject]:
    """Rows of a Quiver array, V1 or V2 record by record. `seen` carries the occurrence numbers over the pages of one answer."""
    counted: Seen = Counter() if seen is None else seen
    for index, record in enumerate(_listed(records)):
        v2 = isinstance(record, dict) and "Traded" in record
        yield _row(record, forms.quiver_v2 if v2 else forms.quiver_v1, f"{position}[{index}]", counted)


def _row(record: object, cells_of: Callable[[dict[str, Any]], forms.Cells], at: str, seen: Seen) -> tables.Timed | Reject:
    if not isinstance(record, dict):
        return tables.reject("not_a_record", "an object was expected", record, at)
    try:
        return _trade(cells_of(record), seen)
    except _Refused as refused:
        return tables.reject(refused.reason, str(refused), record, at)


def _trade(raw: forms.Cells, seen: Seen) -> tables.Timed:
    transaction = disclosures.transaction(raw.transaction)
    if transaction is None:
        raise _Refused("unknown_transaction", f"transaction {raw.transaction!r}")
    traded, disclosed = _dates(raw)
    ticker, description = _asset(raw, transaction)
    low, high = disclosures.amount(raw.amount)
    identity = {
        "chamber": _chamber(raw.chamber),
        "filing_id": raw.filing_id or f"filed-{disclosed}",
        "member": _member(raw),
        "owner": disclosures.owner(raw.owner),
        "symbol": ticker.symbol,
        "asset_description": description,
        "transaction": transaction,
        "transaction_date": traded,
        "amount_text": disclosures.plain(str(raw.amount)) if raw.amount is not None else "",
    }
    record = tuple(identity.values())
    occurrence = seen[record]
    seen[record] += 1
    row = CongressTrade(
        **identity,  # type: ignore[arg-type]
        member_id=disclosures.plain(raw.member_id),
        party=disclosures.plain(raw.party),
        received_symbol=ticker.received,
        ticker_text=ticker.text,
        symbol_note=ticker.note,
        asset_type=disclosures.plain(raw.asset_type),
        amount_low_usd=low,
        amount_high_usd=high,
        disclosure_date=disclosed,
        occurrence=occurrence,
        source_url=disclosures.plain(raw.url),
    )
    return tables.Timed(row=row, event_at=times.new_york(traded), known_at=times.day_after(disclosed))


def _dates(raw: forms.Cells) -> tuple[date, date]:
    traded, disclosed = times.parse_date(raw.traded), times.parse_date(raw.disclosed)
    if disclosed is None:
        raise _Refused("no_disclosure_date", f"disclosed {raw.disclosed!r}")
    if traded is None:
        raise _Refused("impossible_date", f"traded {raw.traded!r}")
    if traded > disclosed:
        raise _Refused("traded_after_disclosure", f"traded {traded}, disclosed {disclosed}")
    return traded, disclosed


def _asset(raw: forms.Cells, transaction: str) -> tuple[disclosures.Ticker, str]:
    """Ticker and description; when the one stands in the other's column they change places."""
    description = disclosures.plain(raw.description)
    try:
        ticker = disclosures.ticker(raw.ticker, transaction)
        if ticker.note == "unrecognised" and re.fullmatch(r"[A-Z]{1,5}", description):
            swapped = disclosures.ticker(description, transaction)
            ticker = disclosures.Ticker(symbol=swapped.symbol, received=None, text=ticker.text, note="columns_swapped")
            description = ticker.text
    except disclosures.TwoTickers as error:
        raise _Refused("two_tickers", f"{error} in one {transaction}") from error
    return ticker, description


def _chamber(value: object) -> str:
    word = disclosures.plain(value).lower()
    if word in ("house", "representatives"):
        return "house"
    if word != "senate":
        raise _Refused("unknown_chamber", f"chamber {value!r}")
    return word


def _member(raw: forms.Cells) -> str:
    name = disclosures.member(raw.member)
    if not name:
        raise _Refused("no_member", "the record names no member")
    return name


def _listed(records: object) -> list[Any]:
    return records if isinstance(records, list) else [records]


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import archives, each recognised by its content; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(CongressTrade, _parse_file(path))


def _parse_file(path: Path) -> Iterator[tables.Timed | Reject]:
    content = files.read(path)
    if files.is_json(content):
        return _parse_json(files.json_of(content, path.name), path.name)
    if files.is_parquet(content):
        files.unknown_shape(path.name, "a Parquet file", SHAPES)
    header, records = files.csv_rows(content, path.name)
    if not set(header) >= forms.HOUSE:
        files.unknown_shape(path.name, f"columns {', '.join(header)[:300]}", SHAPES)
    return parse_house((f"{path.name}:{line}", _cells(header, cells)) for line, cells in records)


def _cells(header: list[str], cells: list[str]) -> object:
    """The record by column name; the bare list, which no parser takes for a record, when it does not fit the header."""
    return dict(zip(header, cells, strict=True)) if len(cells) == len(header) else cells


def _parse_json(document: object, name: str) -> Iterator[tables.Timed | Reject]:
    first = document[0] if isinstance(document, list) and document else None
    keys = set(first) if isinstance(first, dict) else set()
    if keys >= forms.SENATE:
        return parse_senate(document, position=name)
    if keys >= forms.QUIVER_V1 or keys >= forms.QUIVER_V2:
        return parse_quiver(document, position=name)
    if keys >= forms.SENATE_FLAT:
        raise BadFile(
            f"{name}: the flat Senate file has no filing date, so nobody can say when its trades became known; "
            "import the daily summaries (all_daily_summaries.json), which hold the same trades with `date_recieved`"
        )
    found = f"keys {', '.join(sorted(map(str, keys)))[:300]}" if keys else f"a JSON {type(document).__name__} without records"
    return files.unknown_shape(name, found, SHAPES)


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Disclosures from Quiver: the newest 500 of each chamber, or with `backfill` the full history page by page.

    Options: `backfill` (bool) gives rows the archive's `known_at` and keeps those disclosed from `since` to `until`; without it
    `known_at` is null and all of the answer is returned, for amended records reappear among the new ones.
    """
    if not options.get("backfill"):
        page = _page(http.get(LIVE, source=SOURCE, rate=LIVE_RATE).json(), LIVE)
        yield from tables.batches(CongressTrade, map(tables.unstamped, parse_quiver(page, position=LIVE)))
        return
    first, last = times.new_york_date(since), times.new_york_date(until)
    seen: Seen = Counter()
    for page, at in _pages(http):
        items = parse_quiver(page, position=at, seen=seen)
        kept = (i for i in items if isinstance(i, Reject) or first <= i.row.disclosure_date <= last)
        yield from tables.batches(CongressTrade, kept)


def _pages(http: "Http") -> Iterator[tuple[list[Any], str]]:
    """Pages until one is shorter than those before it: the service may allow fewer records a page than were asked for."""
    number, longest, before = 0, 0, None
    while True:
        number += 1
        at = f"{BULK}?page={number}"
        page = _page(http.get(BULK, {"page": number, "page_size": PAGE_SIZE}, source=SOURCE, rate=BULK_RATE).json(), BULK)
        if page and page == before:
            raise SourceChanged(f"{at}: the same records as on the page before")
        yield page, at
        if len(page) < max(longest, 1):
            return
        longest, before = max(longest, len(page)), page


def _page(document: object, url: str) -> list[Any]:
    """The array of an answer. Older deployments report a missing plan as a bare JSON string with status 200."""
    if isinstance(document, str) and "subscription" in document.lower():
        raise SourceRefused(f"{url}: {document[:200]}")
    if not isinstance(document, list):
        raise SourceChanged(f"{url}: an array of records was expected, not {type(document).__name__}")
    for index, record in enumerate(document):
        keys = set(record) if isinstance(record, dict) else set()
        if not (keys >= forms.QUIVER_V1 or keys >= forms.QUIVER_V2):
            raise SourceChanged(f"{url}[{index}]: neither a V1 nor a V2 record, keys {', '.join(sorted(map(str, keys)))[:300]}")
    return document


DATASET = Dataset(
    name="congress_trades",
    row=CongressTrade,
    key=KEY,
    schedule="cron: mon-fri 06:00,12:00,18:00",
    description="Stock trades of members of Congress, from the day after they were disclosed",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=LIVE_RATE,
            urls=(
                LIVE,
                BULK,
            ),
            needs=("quiver_api_key",),
        ),
    ),
    load=load,
    overlap=timedelta(days=7),
)
