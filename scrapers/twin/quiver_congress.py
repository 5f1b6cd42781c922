"""What Quiver serves of Congress: trades in its V1 and V2 records with their dirt, those of one chamber or ticker, and the members."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.base import TwinClock, json_answer
from scrapers.twin.congress import Disclosure
from scrapers.twin.filings import chance
from scrapers.twin.world import World

LIVE_PER_CHAMBER = 500
MAX_PAGE_SIZE = 5000
TWICE, AMENDED, ODD_TICKER, NO_RANGE, CUT_RANGE, TWO_TICKERS, BAD_DATE = 0.02, 0.03, 0.045, 0.06, 0.065, 0.067, 0.068
"""Upper ends of the shares of records that are odd in one way, between which the next way begins."""
AMENDED_AFTER = timedelta(days=20)
_BEGINNING, _END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A record as it stands from `at` on, until it is replaced (None: for good). odd: which way it is odd; amended: it replaces one."""

    at: datetime
    until: datetime | None
    trade: Disclosure
    odd: float
    amended: bool = False


class Book:
    """Every record that is ever told, by time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def at(self, now: datetime) -> list[Told]:
        """The records that stand at `now`, newest first."""
        known = self._all[: bisect_right(self._times, now)]
        return [told for told in reversed(known) if told.until is None or told.until > now]

    @cached_property
    def _all(self) -> list[Told]:
        return sorted(self._told(), key=lambda told: told.at)

    @cached_property
    def _times(self) -> list[datetime]:
        return [told.at for told in self._all]

    def _told(self) -> Iterator[Told]:
        for number, trade in enumerate(self._world.disclosures(_BEGINNING, _END)):
            odd, at = chance(self._world.seed, "quiver", number), trade.disclosed_at
            if TWICE <= odd < AMENDED:
                replaced = at + AMENDED_AFTER
                yield Told(at, replaced if odd * 1e6 % 2 < 1 else None, trade, odd)
                yield Told(replaced, None, trade, odd, amended=True)
            else:
                yield from [Told(at, None, trade, odd)] * (2 if odd < TWICE else 1)


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The endpoints on Congress."""
    router, book = APIRouter(), Book(world)

    @router.get("/live/congresstrading")
    def live_trades(representative: str = "") -> Response:
        return json_answer([v1(told) for told in _newest(book.at(clock.now())) if _by(told, representative)])

    @router.get("/bulk/congresstrading")
    def bulk_trades(
        page: int = 1, page_size: int = 1000, version: str = "V1", ticker: str = "", representative: str = "", bioguide_id: str = ""
    ) -> Response:
        if page < 1 or not 1 <= page_size <= MAX_PAGE_SIZE or version not in ("V1", "V2"):
            raise HTTPException(400, "page, page_size or version out of range")
        wanted = [t for t in book.at(clock.now()) if _by(t, representative) and _of(t, ticker) and bioguide_id in ("", t.trade.member_id)]
        record = v2 if version == "V2" else v1
        return json_answer([record(told) for told in wanted[(page - 1) * page_size : page * page_size]])

    @router.get("/historical/congresstrading/{ticker}")
    def of_ticker(ticker: str) -> Response:
        return json_answer([v1(told) for told in book.at(clock.now()) if _of(told, ticker)])

    @router.get("/live/congress/politicians")
    @router.get("/bulk/congress/politicians")
    def politicians() -> Response:
        return json_answer(members(book.at(clock.now())))

    _chamber_routes(router, book, clock, "house", house)
    _chamber_routes(router, book, clock, "senate", senate)
    return router


def _chamber_routes(router: APIRouter, book: Book, clock: TwinClock, chamber: str, record: Callable[[Told, bool], Record]) -> None:
    """Trades of one chamber, live and of one ticker, with `options=true` with a Type."""

    def of_chamber() -> list[Told]:
        return [told for told in book.at(clock.now()) if told.trade.chamber.lower() == chamber]

    @router.get(f"/live/{chamber}trading")
    def live_of_chamber(name: str = "", options: bool = False) -> Response:
        return json_answer([record(told, options) for told in of_chamber()[:LIVE_PER_CHAMBER] if _by(told, name)])

    @router.get(f"/historical/{chamber}trading/{{ticker}}")
    def historical_of_chamber(ticker: str, name: str = "", options: bool = False) -> Response:
        return json_answer([record(told, options) for told in of_chamber() if _of(told, ticker) and _by(told, name)])


def _by(told: Told, name: str) -> bool:
    return name.lower() in told.trade.member.lower()


def _of(told: Told, ticker: str) -> bool:
    return ticker.upper() in ("", told.trade.symbol)


def _newest(told: list[Told]) -> list[Told]:
    """At most 500 of each chamber, newest first."""
    senate_ = [each for each in told if each.trade.chamber == "Senate"][:LIVE_PER_CHAMBER]
    house_ = [each for each in told if each.trade.chamber == "House"][:LIVE_PER_CHAMBER]
    return sorted([*senate_, *house_], key=lambda each: each.at, reverse=True)


def v1(told: Told) -> Record:
    """The record of the live and, by default, of the bulk endpoint."""
    trade = told.trade
    cut = NO_RANGE <= told.odd < CUT_RANGE
    return {
        "Representative": trade.member,
        "BioGuideID": trade.member_id,
        "ReportDate": trade.disclosure_date.isoformat(),
        "TransactionDate": _traded(told),
        "Ticker": _ticker(told),
        "Transaction": trade.transaction,
        "Range": None if ODD_TICKER <= told.odd < NO_RANGE else f"${trade.amount_low_usd:,} -" if cut else trade.amount_text,
        "District": None,
        "House": "Senate" if trade.chamber == "Senate" else "Representatives",
        "Amount": float(trade.amount_low_usd) if told.odd < 0.5 else f"{trade.amount_low_usd}.0",
        "Party": trade.party,
        "last_modified": _modified(told),
        "TickerType": (None, "", "ST", "Stock", "CS")[int(told.odd * 1e4) % 5],
        "Description": "Synthetic amendment" if told.amended else None,
        "ExcessReturn": None,
        "PriceChange": None,
        "SPYChange": None,
    }


def v2(told: Told) -> Record:
    """The record of the bulk endpoint with `version=V2`: names the other way round, the amount as a range or as its lower bound."""
    trade = told.trade
    filed = trade.disclosure_date.isoformat()
    first, last = trade.member.split(" ", 1)
    return {
        "Ticker": _ticker(told),
        "TickerType": "Stock",
        "Company": trade.company,
        "Traded": _traded(told),
        "Transaction": trade.transaction,
        "Trade_Size_USD": f"{trade.amount_low_usd}.0" if told.odd < 0.3 else trade.amount_text,
        "Status": "Amended" if told.amended else "New",
        "Subholding": None,
        "Description": "Synthetic amendment" if told.amended else None,
        "Name": f"{last}, {first}",
        "BioGuideID": trade.member_id,
        "Filed": filed,
        "Party": trade.party,
        "District": None,
        "Chamber": trade.chamber,
        "Comments": None,
        "Quiver_Upload_Time": filed,
        "excess_return": None,
        "State": trade.state,
        "last_modified": _modified(told),
    }


def house(told: Told, options: bool) -> Record:
    """As V1 with `Date`, and with options a `Type` and a lower-case `party`."""
    record = v1(told)
    record["Date"] = record.pop("TransactionDate")
    if options:
        record |= {"Type": "Stock", "party": record.pop("Party")}
    return record


def senate(told: Told, options: bool) -> Record:
    """As V1 with `Date` and `Senator`, and with options a `Type`."""
    record = v1(told)
    record["Date"], record["Senator"] = record.pop("TransactionDate"), record.pop("Representative")
    return record | ({"Type": "Stock"} if options else {})


def members(told: list[Told]) -> list[Record]:
    """Everybody with a trade: how many, and their volume by the lower bounds in USD."""
    found: dict[str, Record] = {}
    for each in told:
        trade = each.trade
        record = found.setdefault(
            trade.member_id,
            {
                "BioGuideID": trade.member_id,
                "CandidateID": None,
                "Name": trade.member,
                "Party": trade.party,
                "Chamber": trade.chamber,
                "State": trade.state,
                "ImageURL": None,
                "TradeCount": 0,
                "TradeVolume": 0.0,
                "NetWorth": None,
            },
        )
        record["TradeCount"] += 1
        record["TradeVolume"] += float(trade.amount_low_usd)
    return [found[name] for name in sorted(found)]


def _ticker(told: Told) -> str:
    """A few with a blank behind, in small letters, of a company that is no more, or with a second one."""
    symbol = told.trade.symbol
    if AMENDED <= told.odd < ODD_TICKER:
        return (f"{symbol} ", symbol.lower(), f"{symbol} - DEFUNCT")[int(told.odd * 1e4) % 3]
    return f"{symbol}|XXXX" if CUT_RANGE <= told.odd < TWO_TICKERS else symbol


def _traded(told: Told) -> str:
    return "0009-06-09" if TWO_TICKERS <= told.odd < BAD_DATE else told.trade.transaction_date.isoformat()


def _modified(told: Told) -> str:
    return times.new_york_date(told.at).isoformat()
