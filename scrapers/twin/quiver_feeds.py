"""What Quiver serves beside Congress: contracts, lobbying, insiders and app ratings, from what is published at an instant."""

import functools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from scrapers import times
from scrapers.twin import app_store, contract_awards, insider_lines, lobby_filings
from scrapers.twin.base import TwinClock, html_answer, json_answer
from scrapers.twin.contract_awards import Award
from scrapers.twin.insider_lines import Line
from scrapers.twin.lobby_filings import Filing
from scrapers.twin.quiver_access import NOT_FOUND
from scrapers.twin.world import World

Item = TypeVar("Item")
LARGEST_PAGE = 250
"""However many records a page are asked for."""
LIVE_RECORDS = 1000
"""What the live endpoints show without a date."""
QUARTERS_SHOWN = 5


def routes(world: World, clock: TwinClock) -> APIRouter:
    """Every endpoint below /beta."""
    router = APIRouter()
    for part in (_contracts, _lobbying, _insiders, _apps):
        router.include_router(part(world, clock))
    return router


def _contracts(world: World, clock: TwinClock) -> APIRouter:
    router = APIRouter()

    @router.get("/live/govcontractsall")
    def live_awards(date: str = "", page: int = 1, page_size: int = 100) -> Response:
        shown, day = _announced(world, clock.now()), _day(date) if date else None
        wanted = [award for award in shown if award.announced == day] if day else shown[-LIVE_RECORDS:]
        return json_answer([award_record(award) for award in _page(wanted[::-1], page, page_size)])

    @router.get("/historical/govcontractsall/{ticker}")
    def past_awards(ticker: str) -> Response:
        return _of_ticker(world, ticker, [award_record(a) for a in _announced(world, clock.now())[::-1] if a.symbol == ticker.upper()])

    @router.get("/live/govcontracts")
    def live_quarters() -> Response:
        newest = sorted({(year, quarter) for year, quarter, _ in _sums(world, clock.now())})[-QUARTERS_SHOWN:]
        return json_answer([record for record in _quarters(world, clock.now()) if (record["Year"], record["Qtr"]) in newest])

    @router.get("/historical/govcontracts/{ticker}")
    def past_quarters(ticker: str) -> Response:
        return _of_ticker(world, ticker, [r for r in _quarters(world, clock.now()) if r["Ticker"] == ticker.upper()])

    return router


def _of_ticker(world: World, ticker: str, records: list[dict[str, Any]]) -> Response:
    """The records, or the page of an unknown ticker."""
    if ticker.upper() not in {asset.symbol for asset in world.assets()}:
        return html_answer(NOT_FOUND, 404)
    return json_answer(records)


@functools.lru_cache(maxsize=4)
def _announcements(world: World) -> tuple[tuple[Award, ...], tuple[datetime, ...]]:
    """Awards to listed companies and a few others, and when each was announced."""
    listed = tuple(award for award in contract_awards.awards(world) if award.symbol or award.number.endswith("03"))
    return listed, tuple(award.announced_at for award in listed)


def _announced(world: World, now: datetime) -> tuple[Award, ...]:
    listed, at = _announcements(world)
    return listed[: bisect_right(at, now)]


def award_record(award: Award) -> dict[str, Any]:
    """One award as the endpoints show it: some without a ticker, some with one in small letters."""
    return {
        "Ticker": (award.symbol.lower() if award.number.endswith("07") else award.symbol) or None,
        "Date": award.announced.isoformat(),
        "Description": award.description,
        "Agency": award.agency,
        "Amount": award.amount_usd,
        "action_date": award.action_date.isoformat(),
    }


def _sums(world: World, now: datetime) -> dict[tuple[int, int, str], float]:
    sums: dict[tuple[int, int, str], float] = defaultdict(float)
    for award in (award for award in _announced(world, now) if award.symbol):
        sums[award.action_date.year, (award.action_date.month + 2) // 3, award.symbol] += award.amount_usd
    return sums


def _quarters(world: World, now: datetime) -> list[dict[str, Any]]:
    """The newest quarter first."""
    found = sorted(_sums(world, now).items(), key=lambda item: (-item[0][0], -item[0][1], item[0][2]))
    return [{"Ticker": t, "Amount": str(round(amount, 2)), "Qtr": quarter, "Year": year} for (year, quarter, t), amount in found]


def _lobbying(world: World, clock: TwinClock) -> APIRouter:
    router = APIRouter()

    @router.get("/live/lobbying")
    def live(all: str = "", date_from: str = "", date_to: str = "", page: int = 1, page_size: int = 100) -> Response:  # noqa: A002
        shown = _filed(world, clock.now())
        first, last = _day(date_from or "19000101"), _day(date_to or "21000101")
        wanted = [filing for filing in shown if first <= filing.posted <= last]
        wanted = wanted if all else wanted[-LIVE_RECORDS:]
        return json_answer([lobbying_record(filing) for filing in _page(wanted[::-1], page, page_size)])

    @router.get("/historical/lobbying/{ticker}")
    def past(ticker: str, query: str = "", page: int = 1, page_size: int = 100) -> Response:
        own = [lobbying_record(filing) for filing in _filed(world, clock.now())[::-1] if filing.symbol == ticker.upper()]
        found = [record for record in own if query.lower() in (record["Specific_Issue"] or "").lower()]
        return _of_ticker(world, ticker, list(_page(found, page, page_size)))

    return router


@functools.lru_cache(maxsize=4)
def _reports(world: World) -> tuple[tuple[Filing, ...], tuple[datetime, ...]]:
    """Reports of listed companies, and when each was posted."""
    listed = tuple(filing for filing in lobby_filings.filings(world) if filing.symbol and filing.form != "RR")
    return listed, tuple(filing.posted_at for filing in listed)


def _filed(world: World, now: datetime) -> tuple[Filing, ...]:
    listed, at = _reports(world)
    return listed[: bisect_right(at, now)]


def lobbying_record(filing: Filing) -> dict[str, Any]:
    """One report as the endpoints show it; the amount is text or missing."""
    amount = filing.expenses if filing.income is None else filing.income
    return {
        "Date": filing.posted.isoformat(),
        "Amount": None if amount is None else str(amount),
        "Client": filing.client[1],
        "Issue": ", ".join(name for _, name in filing.issues),
        "Specific_Issue": None if filing.identifier[0] == "f" else filing.specific,
        "Registrant": filing.registrant[1],
        "Ticker": filing.symbol,
    }


def _insiders(world: World, clock: TwinClock) -> APIRouter:
    router = APIRouter()

    @router.get("/live/insiders")
    def live(ticker: str = "", date: str = "", uploaded: str = "", limit_codes: str = "", page: int = 1, page_size: int = 100) -> Response:
        lines = insider_lines.lines(world)
        shown: Sequence[Line] = lines[: bisect_right(lines, clock.now(), key=lambda line: line.filed_at)]
        shown = [line for line in shown if line.symbol == ticker.upper()] if ticker else shown
        traded, came = _day(date) if date else None, _day(uploaded) if uploaded else None
        shown = [line for line in shown if line.traded == traded] if traded else shown
        begin, end = (times.new_york(came), times.day_after(came)) if came else (None, None)
        shown = [line for line in shown if begin <= line.filed_at < end] if begin and end else shown
        shown = [line for line in shown if line.code in ("P", "S")] if limit_codes.lower() in ("true", "1") else shown
        return json_answer([insider_record(line) for line in _page(shown[::-1], page, page_size)])

    return router


def insider_record(line: Line) -> dict[str, Any]:
    """One line as the endpoint shows it, its ticker as untidy as the original's."""
    untidy = {0: line.symbol.lower(), 1: f'syn123:{line.symbol.lower()}"', 2: f"{line.symbol} "}
    officer = line.insider < 2
    return {
        "Ticker": untidy.get(int(line.shares) // 100 % 40, line.symbol),
        "Date": line.traded.isoformat(),
        "Name": line.person,
        "AcquiredDisposedCode": insider_lines.ACQUIRES[line.code],
        "TransactionCode": line.code,
        "Shares": line.shares,
        "PricePerShare": line.price_usd,
        "SharesOwnedFollowing": line.owned_after,
        "fileDate": line.filed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "officerTitle": f"Synthetic Officer {line.insider + 1}" if officer else None,
        "isDirector": 2 <= line.insider < 5,
        "isOfficer": officer,
        "isTenPercentOwner": line.insider == 5,
        "isOther": False,
        "directOrIndirectOwnership": "D",
        "uploaded": times.new_york_date(line.filed_at).isoformat(),
    }


def _apps(world: World, clock: TwinClock) -> APIRouter:
    router = APIRouter()

    @router.get("/live/appratings")
    def ratings() -> Response:
        newest = app_store.newest_reading(world, clock.now())
        since = times.new_york_date(clock.now()) - timedelta(days=7)
        shown = [index for index in range(max(newest - 7, 0), newest + 1) if world.sessions[index] > since]
        return json_answer([rating_record(world, index, stock) for index in reversed(shown) for stock in range(len(world.stocks()))])

    return router


def rating_record(world: World, index: int, stock: int) -> dict[str, Any]:
    """The reading of one app on the morning of a session."""
    average, count = app_store.totals(world)
    asset, session = world.stocks()[stock], world.sessions[index]
    return {
        "Ticker": asset.symbol,
        "App": f"Synthetic App {asset.symbol}",
        "Created": world.sessions[0].isoformat(),
        "Publisher": asset.name,
        "Rating": round(float(average[index, stock]), 5),
        "Count": int(count[index, stock]),
        "Time": f"{session.isoformat()}T{app_store.READ.isoformat()}",
    }


def _day(text: str) -> date:
    found = times.parse_date(text)
    if found is None:
        raise HTTPException(400, f"{text!r} is no date of the form YYYYMMDD")
    return found


def _page(found: Sequence[Item], page: int, page_size: int) -> Sequence[Item]:
    if page < 1 or page_size < 1:
        raise HTTPException(400, "page and page_size count from 1")
    size = min(page_size, LARGEST_PAGE)
    return found[(page - 1) * size : page * size]
