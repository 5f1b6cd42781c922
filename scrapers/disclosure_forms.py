"""The record shapes of congressional disclosures, each brought to the same cells, which stay as delivered."""

from dataclasses import dataclass
from typing import Any

from scrapers.disclosures import plain

QUIVER_LIVE = "https://api.quiverquant.com/beta/live/congresstrading"
QUIVER_BULK = "https://api.quiverquant.com/beta/bulk/congresstrading"

SENATE = {"first_name", "last_name", "ptr_link", "date_recieved", "transactions"}
SENATE_FLAT = {"senator", "transaction_date", "ptr_link", "type"}
HOUSE = {"disclosure_date", "transaction_date", "ticker", "type", "amount", "representative", "ptr_link"}
QUIVER_V1 = {"Representative", "ReportDate", "TransactionDate", "Ticker", "Transaction", "House"}
QUIVER_V2 = {"Name", "Filed", "Traded", "Ticker", "Transaction", "Chamber"}
QUIVER_HOUSE = {"Representative", "ReportDate", "Date", "Ticker", "Transaction"}
QUIVER_SENATE = {"Senator", "ReportDate", "Date", "Ticker", "Transaction"}
"""Keys by which each shape is recognised."""

_QUIVER_TYPES = {"": "Stock", "ST": "Stock", "CS": "Stock", "STOCK": "Stock", "OP": "Stock Option", "STOCK OPTION": "Stock Option"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A record of any shape under common names, nothing cleaned yet."""

    chamber: object
    member: object
    member_id: object = ""
    party: object = ""
    state: object = ""
    owner: object = ""
    ticker: object
    description: object
    asset_type: object
    transaction: object
    amount: object
    traded: object
    disclosed: object
    modified: object = None
    filing_id: str
    url: object
    origin: str
    asset_key: str = ""


def senate(filing: dict[str, Any], trade: dict[str, Any]) -> Cells:
    """One transaction of a Senate daily summary, with what its filing says."""
    url = filing.get("ptr_link")
    name = f"{plain(filing.get('first_name'))} {plain(filing.get('last_name'))}"
    return Cells(
        chamber="senate",
        member=name,
        member_id=filing.get("bioguide"),
        owner=trade.get("owner"),
        ticker=trade.get("ticker"),
        description=trade.get("asset_description"),
        asset_type=trade.get("asset_type"),
        transaction=trade.get("type"),
        amount=trade.get("amount"),
        traded=trade.get("transaction_date"),
        disclosed=filing.get("date_recieved"),
        filing_id=last_segment(url),
        url=url,
        origin="senate",
    )


def house(record: dict[str, Any]) -> Cells:
    """One House transaction."""
    return Cells(
        chamber="house",
        member=record.get("representative"),
        owner=record.get("owner"),
        ticker=record.get("ticker"),
        description=record.get("asset_description"),
        asset_type=record.get("asset_type"),
        transaction=record.get("type"),
        amount=record.get("amount"),
        traded=record.get("transaction_date"),
        disclosed=record.get("disclosure_date"),
        state=record.get("district"),
        filing_id=last_segment(record.get("ptr_link")),
        url=record.get("ptr_link"),
        origin="house",
    )


def quiver(record: dict[str, Any]) -> Cells:
    """One Quiver record of any edition: V2, V1, or that of the House or Senate alone."""
    if "Traded" in record:
        return _quiver_v2(record)
    return _quiver_v1(record) if "TransactionDate" in record else _quiver_chamber(record)


def is_quiver(keys: set[str]) -> bool:
    """Whether a record's keys are those of one of Quiver's editions."""
    return any(keys >= edition for edition in (QUIVER_V1, QUIVER_V2, QUIVER_HOUSE, QUIVER_SENATE))


def _quiver_v1(record: dict[str, Any]) -> Cells:
    return Cells(
        chamber=record.get("House"),
        member=record.get("Representative"),
        member_id=record.get("BioGuideID"),
        party=record.get("Party"),
        ticker=record.get("Ticker"),
        description=record.get("Description"),
        asset_type=_quiver_type(record.get("TickerType")),
        transaction=record.get("Transaction"),
        amount=record.get("Range") or record.get("Amount"),
        traded=record.get("TransactionDate"),
        disclosed=record.get("ReportDate"),
        modified=record.get("last_modified"),
        filing_id="",
        url=QUIVER_LIVE,
        origin="quiver",
    )


def _quiver_v2(record: dict[str, Any]) -> Cells:
    return Cells(
        chamber=record.get("Chamber"),
        member=record.get("Name"),
        member_id=record.get("BioGuideID"),
        party=record.get("Party"),
        state=record.get("State"),
        ticker=record.get("Ticker"),
        description=record.get("Company") or record.get("Description"),
        asset_type=_quiver_type(record.get("TickerType")),
        transaction=record.get("Transaction"),
        amount=record.get("Trade_Size_USD"),
        traded=record.get("Traded"),
        disclosed=record.get("Filed"),
        modified=record.get("last_modified"),
        filing_id="",
        url=QUIVER_BULK,
        origin="quiver",
    )


def _quiver_chamber(record: dict[str, Any]) -> Cells:
    """As V1 with `Date`, `Senator` in the Senate's, and with `options=true` a `Type` and, in the House's, a lower-case `party`."""
    senator = "Senator" in record
    return Cells(
        chamber=record.get("House") or ("senate" if senator else "house"),
        member=record.get("Senator" if senator else "Representative"),
        member_id=record.get("BioGuideID"),
        party=record.get("Party") or record.get("party"),
        ticker=record.get("Ticker"),
        description=record.get("Description"),
        asset_type=_quiver_type(record.get("Type") or record.get("TickerType")),
        transaction=record.get("Transaction"),
        amount=record.get("Range") or record.get("Amount"),
        traded=record.get("Date"),
        disclosed=record.get("ReportDate"),
        modified=record.get("last_modified"),
        filing_id="",
        url=QUIVER_LIVE,
        origin="quiver",
    )


def _quiver_type(value: object) -> str:
    """Quiver leaves the type of plain stock empty or abbreviates it."""
    word = plain(value)
    return _QUIVER_TYPES.get(word.upper(), word)


def last_segment(url: object) -> str:
    """The filing's own id: the uuid or document number that ends its address."""
    segment = plain(url).rstrip("/").rsplit("/", 1)[-1]
    return segment.removesuffix(".pdf")
