"""Alpaca market data: daily bars, corporate actions and news, paged as documented."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from scrapers import times
from scrapers.twin.alpaca_actions import actions_of
from scrapers.twin.newsroom import EDITED_WITHIN, Article, newsroom_of
from scrapers.twin.world import World

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
BARS_LIMIT, ACTIONS_LIMIT, NEWS_LIMIT = (1000, 10_000), (100, 1000), (10, 50)
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
    """GET /v1/corporate-actions: by day of processing, published on the ex-date; of all symbols when none is named."""
    today, wanted = times.new_york_date(now), set(query.get("types", "").split(",")) - {""}
    start, end = _day(query.get("start"), date.min).isoformat(), _day(query.get("end"), date.max).isoformat()
    symbols = _symbols(query) if query.get("symbols") else None
    found = [
        (action.kind, action.record)
        for action in actions_of(world).until(today)
        if start <= action.record["process_date"] <= end
        and (not wanted or action.kind.removesuffix("s") in wanted)
        and (symbols is None or not symbols.isdisjoint(action.symbols))
    ]
    found.sort(key=lambda item: (item[1]["process_date"], item[1]["id"]), reverse=query.get("sort") == "desc")
    offset, limit = _offset(query), _limit(query, ACTIONS_LIMIT)
    page: dict[str, list[dict[str, Any]]] = {}
    for kind, record in found[offset : offset + limit]:
        page.setdefault(kind, []).append(record)
    return {"corporate_actions": page, "next_page_token": str(offset + limit) if offset + limit < len(found) else None}


def news(world: World, now: datetime, query: dict[str, str]) -> dict[str, Any]:
    """GET /v1beta1/news: articles by the time of their newest text, newest first unless sort=asc; of all symbols when none is named."""
    end = min(_instant(query.get("end"), now), now)
    start = _instant(query.get("start"), times.new_york(times.new_york_date(now)))
    symbols = _symbols(query) if query.get("symbols") else None
    written = newsroom_of(world).articles(times.new_york_date(start - EDITED_WITHIN), times.new_york_date(end))
    shown = [
        (updated, article)
        for article in written
        if (updated := _updated_at(article, now)) <= end
        and start <= updated
        and (symbols is None or not symbols.isdisjoint(article.symbols))
    ]
    shown.sort(key=lambda item: (item[0], item[1].number), reverse=query.get("sort", "desc") != "asc")
    offset, limit = _offset(query), _limit(query, NEWS_LIMIT)
    page = [_news(article, updated) for updated, article in shown[offset : offset + limit]]
    return {"news": page, "next_page_token": str(offset + limit) if offset + limit < len(shown) else None}


def _updated_at(article: Article, now: datetime) -> datetime:
    """When the text that is shown at `now` was published."""
    edited = article.edited_at is not None and article.edited_at <= now
    return article.edited_at if edited and article.edited_at is not None else article.created_at + timedelta(seconds=1)


def _news(article: Article, updated: datetime) -> dict[str, Any]:
    return {
        "id": article.number,
        "headline": f"{article.headline} (Updated)" if updated == article.edited_at else article.headline,
        "author": "Synthetic Newsdesk",
        "created_at": article.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated_at": updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "summary": article.summary,
        "content": "",
        "url": f"https://news.example/synthetic/{article.number}",
        "images": [],
        "symbols": list(article.symbols),
        "source": "synthetic",
    }


def _symbols(query: dict[str, str]) -> set[str]:
    symbols = {symbol for symbol in query.get("symbols", "").split(",") if symbol}
    if not symbols:
        raise BadQuery("symbols is required")
    wrong = sorted(symbol for symbol in symbols if not re.fullmatch(r"[A-Z]{1,6}(\.[A-Z]{1,3})?", symbol))
    if wrong:
        raise BadQuery(f"invalid symbol(s): {', '.join(wrong)}")
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
