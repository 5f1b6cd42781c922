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
"""Keys by which each shape is recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A record of any shape under common names, nothing cleaned yet."""

    chamber: object
    member: object
    member_id: object = ""
    party: object = ""
    owner: object = ""
    ticker: object
    description: object
    asset_type: object
    transaction: object
    amount: object
    traded: object
    disclosed: object
    filing_id: str
    url: object


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
        filing_id=_last_segment(url),
        url=url,
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
        filing_id=_last_segment(record.get("ptr_link")),
        url=record.get("ptr_link"),
    )


def quiver_v1(record: dict[str, Any]) -> Cells:
    """One Quiver V1 record."""
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
        filing_id="",
        url=QUIVER_LIVE,
    )


def quiver_v2(record: dict[str, Any]) -> Cells:
    """One Quiver V2 record."""
    return Cells(
        chamber=record.get("Chamber"),
        member=record.get("Name"),
        member_id=record.get("BioGuideID"),
        party=record.get("Party"),
        ticker=record.get("Ticker"),
        description=record.get("Company") or record.get("Description"),
        asset_type=_quiver_type(record.get("TickerType")),
        transaction=record.get("Transaction"),
        amount=record.get("Trade_Size_USD"),
        traded=record.get("Traded"),
        disclosed=record.get("Filed"),
        filing_id="",
        url=QUIVER_BULK,
    )


def _quiver_type(value: object) -> str:
    """Quiver leaves the type of plain stock empty or abbreviates it."""
    word = plain(value)
    return "Stock" if word in ("", "ST", "CS", "Stock") else word


def _last_segment(url: object) -> str:
    """The filing's own id: the uuid or document number that ends its address."""
    segment = plain(url).rstrip("/").rsplit("/", 1)[-1]
    return segment.removesuffix(".pdf")
