"""Congress trades in Quiver's V1 and V2 records."""

from datetime import UTC, datetime
from typing import Any

from scrapers.twin.congress import Disclosure
from scrapers.twin.world import World

LIVE_PER_CHAMBER = 500
_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


def live(world: World, now: datetime) -> list[dict[str, Any]]:
    """The newest disclosures, newest first, at most 500 of each chamber, as V1 records."""
    newest = world.disclosures(_BEGINNING, now)[::-1]
    senate = [trade for trade in newest if trade.chamber == "Senate"][:LIVE_PER_CHAMBER]
    house = [trade for trade in newest if trade.chamber == "House"][:LIVE_PER_CHAMBER]
    return [v1(trade) for trade in sorted([*senate, *house], key=lambda trade: trade.disclosed_at, reverse=True)]


def bulk(world: World, now: datetime, page: int, page_size: int, version: str) -> list[dict[str, Any]]:
    """One page, counted from 1, of all disclosures, newest first."""
    newest = world.disclosures(_BEGINNING, now)[::-1]
    record = v2 if version == "V2" else v1
    return [record(trade) for trade in newest[(page - 1) * page_size : page * page_size]]


def v1(trade: Disclosure) -> dict[str, Any]:
    """The record of the live and, by default, of the bulk endpoint."""
    return {
        "Representative": trade.member,
        "BioGuideID": trade.member_id,
        "ReportDate": trade.disclosure_date.isoformat(),
        "TransactionDate": trade.transaction_date.isoformat(),
        "Ticker": trade.symbol,
        "Transaction": trade.transaction,
        "Range": trade.amount_text,
        "District": None,
        "House": "Senate" if trade.chamber == "Senate" else "Representatives",
        "Amount": f"{trade.amount_low_usd}.0",
        "Party": trade.party,
        "last_modified": trade.disclosure_date.isoformat(),
        "TickerType": "ST",
        "Description": None,
        "ExcessReturn": None,
        "PriceChange": None,
        "SPYChange": None,
    }


def v2(trade: Disclosure) -> dict[str, Any]:
    """The record of the bulk endpoint with `version=V2`."""
    filed = trade.disclosure_date.isoformat()
    return {
        "Ticker": trade.symbol,
        "TickerType": "Stock",
        "Company": trade.company,
        "Traded": trade.transaction_date.isoformat(),
        "Transaction": trade.transaction,
        "Trade_Size_USD": trade.amount_text,
        "Status": "New",
        "Subholding": None,
        "Description": None,
        "Name": trade.member,
        "BioGuideID": trade.member_id,
        "Filed": filed,
        "Party": trade.party,
        "District": None,
        "Chamber": trade.chamber,
        "Comments": None,
        "Quiver_Upload_Time": filed,
        "excess_return": None,
        "State": trade.state,
        "last_modified": filed,
    }
