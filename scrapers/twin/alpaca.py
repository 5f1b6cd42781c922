"""Alpaca market data: daily bars and corporate actions, paged as documented."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from scrapers import times
from scrapers.twin.world import World

PAYMENT = timedelta(days=14)
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
BARS_LIMIT, ACTIONS_LIMIT = (1000, 10_000), (100, 1000)
"""Default and greatest number of records a page."""


class BadQuery(ValueError):
    """A parameter that the service would refuse, or that this double does not play."""


def bars(world: World, now: datetime, close_at: Callable[[date], datetime], query: dict[str, str]) -> dict[str, Any]:
    """GET /v2/stocks/bars: unadjusted daily bars of closed sessions, by symbol and then by time; symbols without data are absent."""
    if query.get("timeframe") != "1Day" or query.get("adjustment", "raw") != "raw" or query.get("sort", "asc") != "asc":
        raise BadQuery("only timeframe=1Day, adjustment=raw, sort=asc are served")
    start, end = _instant(query.get("start"), EARLIEST), _instant(query.get("end"), LATEST)
    known = {asset.symbol for asset in world.assets()}
    symbols = sorted(known & _symbols(query))
    days = [day for day in world.sessions if close_at(day) <= now and start <= times.new_york(day) <= end] if symbols else []
    offset, limit = _offset(query), _limit(query, BARS_LIMIT)
    total = len(symbols) * len(days)
    page: dict[str, list[dict[str, Any]]] = {}
    for position in range(offset, min(offset + limit, total)):
        symbol, day = symbols[position // len(days)], days[position % len(days)]
        page.setdefault(symbol, []).append(_bar(world, symbol, day))
    return {"bars": page, "next_page_token": str(offset + limit) if offset + limit < total else None}


def _bar(world: World, symbol: str, day: date) -> dict[str, Any]:
    bar = world.bar(symbol, day)
    stamp = times.new_york(day).strftime("%Y-%m-%dT%H:%M:%SZ")
    average = round((bar.high + bar.low + bar.close) / 3, 6)
    return {
        "t": stamp,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": max(bar.volume // 100, 1),
        "vw": average,
    }


def corporate_actions(world: World, now: datetime, query: dict[str, str]) -> dict[str, Any]:
    """GET /v1/corporate-actions: splits and cash dividends by day of processing, published on the ex-date."""
    today, wanted = times.new_york_date(now), set(query.get("types", "").split(",")) - {""}
    start, end = _day(query.get("start"), date.min), _day(query.get("end"), date.max)
    symbols = _symbols(query) if query.get("symbols") else {asset.symbol for asset in world.assets()}
    found = [
        (kind, record)
        for kind, record in _actions(world, symbols, today)
        if start.isoformat() <= record["process_date"] <= end.isoformat() and (not wanted or kind.removesuffix("s") in wanted)
    ]
    found.sort(key=lambda item: (item[1]["process_date"], item[1]["symbol"], item[0]), reverse=query.get("sort") == "desc")
    offset, limit = _offset(query), _limit(query, ACTIONS_LIMIT)
    page: dict[str, list[dict[str, Any]]] = {}
    for kind, record in found[offset : offset + limit]:
        page.setdefault(kind, []).append(record)
    return {"corporate_actions": page, "next_page_token": str(offset + limit) if offset + limit < len(found) else None}


def _actions(world: World, symbols: set[str], today: date) -> list[tuple[str, dict[str, Any]]]:
    listed = [asset.symbol for asset in world.assets() if asset.symbol in symbols]
    found: list[tuple[str, dict[str, Any]]] = []
    for day in world.sessions:
        if day > today:
            break
        for symbol in listed:
            dividend, ratio = world.dividend(symbol, day), world.split(symbol, day)
            if dividend > 0:
                found.append(("cash_dividends", _dividend(symbol, day, dividend)))
            if ratio != 1.0:
                found.append(("forward_splits" if ratio > 1 else "reverse_splits", _split(symbol, day, ratio)))
    return found


def _dividend(symbol: str, day: date, amount: float) -> dict[str, Any]:
    paid = (day + PAYMENT).isoformat()
    return {
        "id": f"{symbol}-{day}-dividend",
        "symbol": symbol,
        "cusip": "",
        "rate": amount,
        "special": False,
        "foreign": False,
        "process_date": paid,
        "ex_date": day.isoformat(),
        "record_date": day.isoformat(),
        "payable_date": paid,
    }


def _split(symbol: str, day: date, ratio: float) -> dict[str, Any]:
    new, old = (ratio, 1) if ratio > 1 else (1, round(1 / ratio))
    stamp = day.isoformat()
    record = {"id": f"{symbol}-{day}-split", "symbol": symbol, "new_rate": new, "old_rate": old, "process_date": stamp, "ex_date": stamp}
    cusips = {"cusip": ""} if ratio > 1 else {"old_cusip": "", "new_cusip": ""}
    return {**record, **cusips, "record_date": stamp, "payable_date": stamp}


def _symbols(query: dict[str, str]) -> set[str]:
    symbols = {symbol for symbol in query.get("symbols", "").split(",") if symbol}
    if not symbols:
        raise BadQuery("symbols is required")
    return symbols


def _limit(query: dict[str, str], bounds: tuple[int, int]) -> int:
    text = query.get("limit", str(bounds[0]))
    if not text.isdecimal() or not 1 <= int(text) <= bounds[1]:
        raise BadQuery("limit out of range")
    return int(text)


def _offset(query: dict[str, str]) -> int:
    token = query.get("page_token", "0")
    if not token.isdecimal():
        raise BadQuery("invalid page_token")
    return int(token)


def _instant(text: str | None, default: datetime) -> datetime:
    """An RFC 3339 instant, or a date as midnight New York."""
    if text is None:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f"invalid time {text!r}") from error
    return at if at.tzinfo is not None else at.replace(tzinfo=times.NEW_YORK)


def _day(text: str | None, default: date) -> date:
    day = times.parse_date(text) if text is not None else default
    if day is None:
        raise BadQuery(f"invalid date {text!r}")
    return day
