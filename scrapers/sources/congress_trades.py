"""Trades of members of Congress as disclosed under the STOCK Act: from Quiver, or from the House Clerk and the Senate's eFD."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from scrapers import congress, files, house_clerk, quiver_congress, senate_efd, senate_reports, tables
from scrapers import disclosure_forms as forms
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.congress import KEY, CongressTrade, Seen
from scrapers.errors import BadFile, SourceChanged

SHAPES = {
    "Senate daily summaries (JSON)": "first_name, last_name, ptr_link, date_recieved, transactions",
    "House transactions (CSV or JSON array)": "disclosure_date, transaction_date, ticker, type, amount, representative, ptr_link",
    "Quiver V1 (JSON array)": "Representative, ReportDate, TransactionDate, Ticker, Transaction, House",
    "Quiver V2 (JSON array)": "Name, Filed, Traded, Ticker, Transaction, Chamber",
    "Quiver House or Senate (JSON array)": "Representative or Senator, ReportDate, Date, Ticker, Transaction",
    "House index with reports (ZIP or XML, PDF)": "FinancialDisclosure with Member; reports whose Filing ID is in the index",
    "Senate reports (HTML)": "a Periodic Transaction Report with its table",
}


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
                yield congress.read(trade, partial(forms.senate, filing), f"{at}.transactions[{number}]", counted)


def parse_house(records: Iterable[tuple[str, object]], *, seen: Seen | None = None) -> Iterator[tables.Timed | Reject]:
    """Rows of House transactions: (position, mapping of the CSV's columns) pairs."""
    counted: Seen = Counter() if seen is None else seen
    for at, record in records:
        yield congress.read(record, forms.house, at, counted)


def _listed(records: object) -> list[Any]:
    return records if isinstance(records, list) else [records]


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import archives and saved documents, each recognised by its content; raises BadFile for any other shape.

    An index of the House says when the reports beside it were filed; reports of the Senate settle their amendments among themselves.
    """
    filings: dict[str, house_clerk.Filing] = {}
    reports: list[tuple[str, bytes]] = []
    pages: list[tuple[str, str]] = []
    for path in paths:
        content = files.read(path)
        if content[:4] == b"PK\x03\x04" or content.lstrip(b"\xef\xbb\xbf \r\n\t")[:5] == b"<?xml":
            yield from tables.batches(CongressTrade, _index(content, path.name, filings))
        elif content.lstrip()[:5] == b"%PDF-":
            reports.append((path.name, content))
        elif senate_reports.is_page(text := content.decode("utf-8-sig", errors="replace")):
            pages.append((path.name, text))
        else:
            yield from tables.batches(CongressTrade, _parse_file(content, path.name))
    try:
        yield from tables.batches(CongressTrade, house_clerk.parse_saved(reports, filings))
        yield from tables.batches(CongressTrade, senate_reports.parse_saved(pages))
    except SourceChanged as error:
        raise BadFile(str(error)) from error


def _index(content: bytes, name: str, filings: dict[str, house_clerk.Filing]) -> Iterator[Reject]:
    """Add an index's reports to `filings`; those on paper are rejects."""
    try:
        document = house_clerk.unzipped(content, name) if content[:2] == b"PK" else content
        found = list(house_clerk.parse_index(document, name))
    except SourceChanged as error:
        raise BadFile(str(error)) from error
    for filing in found:
        if isinstance(filing, Reject):
            yield filing
        elif filing.scanned:
            yield house_clerk.refusal("scanned_paper", "filed on paper, a picture without text", filing)
        else:
            filings[filing.doc_id] = filing


def _parse_file(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    if files.is_json(content):
        return _parse_json(files.json_of(content, name), name)
    if files.is_parquet(content):
        files.unknown_shape(name, "a Parquet file", SHAPES)
    header, records = files.csv_rows(content, name)
    if not set(header) >= forms.HOUSE:
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    return parse_house((f"{name}:{line}", _cells(header, cells)) for line, cells in records)


def _cells(header: list[str], cells: list[str]) -> object:
    """The record by column name; the bare list, which no parser takes for a record, when it does not fit the header."""
    return dict(zip(header, cells, strict=True)) if len(cells) == len(header) else cells


def _parse_json(document: object, name: str) -> Iterator[tables.Timed | Reject]:
    records = _listed(document)
    keys = set(records[0]) if records and isinstance(records[0], dict) else set()
    if keys >= forms.SENATE:
        return parse_senate(records, position=name)
    if keys >= forms.HOUSE:
        return parse_house((f"{name}[{index}]", record) for index, record in enumerate(records))
    if forms.is_quiver(keys):
        return quiver_congress.parse_file(records, name)
    if keys >= forms.SENATE_FLAT:
        raise BadFile(
            f"{name}: the flat Senate file has no filing date, so nobody can say when its trades became known; "
            "import the daily summaries (all_daily_summaries.json), which hold the same trades with `date_recieved`"
        )
    found = f"a JSON {type(document).__name__} without records"
    if keys and isinstance(document, list):
        found = f"keys {', '.join(sorted(map(str, keys)))[:300]}"
    return files.unknown_shape(name, found, SHAPES)


DATASET = Dataset(
    name="congress_trades",
    row=CongressTrade,
    key=KEY,
    schedule="cron: mon-fri 06:00,12:00,18:00",
    description="Stock trades of members of Congress, from the day after they were disclosed",
    known="00:00 New York of the day after the disclosure",
    sources=(
        Source(
            name=quiver_congress.SOURCE,
            fetch=quiver_congress.fetch,
            rate=quiver_congress.LIVE_RATE,
            urls=(quiver_congress.LIVE, quiver_congress.BULK),
            needs=("quiver_api_key",),
        ),
        Source(
            name=house_clerk.SOURCE,
            fetch=house_clerk.fetch,
            rate=house_clerk.RATE,
            urls=(f"{house_clerk.BASE}/financial-pdfs/",),
            rank=1,
            chunk=timedelta(days=92),
        ),
        Source(
            name=senate_efd.SOURCE,
            fetch=senate_efd.fetch,
            rate=senate_efd.RATE,
            urls=(senate_efd.SEARCH,),
            rank=1,
            chunk=timedelta(days=92),
        ),
    ),
    load=load,
    overlap=timedelta(days=7),
    max_silence=timedelta(days=21),
)

__all__ = ["DATASET", "KEY", "SHAPES", "CongressTrade", "load", "parse_house", "parse_senate"]
