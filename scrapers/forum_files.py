"""Saved posts and counts of forums: Reddit's listings, recorded exchanges, dumps with a post a line, and counts by day."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from scrapers import files, forum_posts, reddit, symbols, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged
from scrapers.forum_posts import COMMENT, SUBMISSION, ForumMentions, Post
from scrapers.tickers_in_text import Tickers

DAY_HOURS = 24
SHAPES = {
    "listings of Reddit (JSON)": "kind Listing, data.children[], alone or in a list",
    "recorded exchanges (JSON)": "interactions[] with response.body.string",
    "posts (a JSON object a line)": "id, created_utc, subreddit, title and selftext, or body",
    "counts by day (CSV)": "date, ticker, count[, sentiment]",
    "known symbols (CSV or SEC's company_tickers.json)": "symbol or ticker: which upper-case words count beside cashtags",
}
_SYMBOL = ("symbol", "ticker")


def items(paths: Iterable[Path]) -> Iterator[tables.Timed | Reject]:
    """Mentions in the files, in any order. With a list of known symbols among them those count, without one any
    upper-case cashtag.

    A post that appears twice is a reject, `repeated_post`. Raises BadFile for a shape that is not in SHAPES.
    """
    contents = [(path.name, files.read(path)) for path in paths]
    listed = {name: _listed(content, name) for name, content in contents}
    known = frozenset(symbol for found in listed.values() for symbol in found or ())
    tickers, seen = Tickers(known, cashtags_of_others=not known), set[str]()
    for name, content in contents:
        if listed[name] is not None:
            continue
        if not files.is_json(content):
            yield from _days(content, name)
            continue
        for one in _posts(content, name):
            if isinstance(one, Reject):
                yield one
            elif one.name in seen:
                yield tables.reject("repeated_post", f"{one.name} stands in the files twice", one.name, name)
            else:
                seen.add(one.name)
                yield from forum_posts.rows(one, tickers, archived=True)


def _listed(content: bytes, name: str) -> set[str] | None:
    """The symbols of a list of known symbols; None for a file of another shape."""
    if files.is_json(content):
        document = _document(content)
        entries = list(document.values()) if isinstance(document, dict) else []
        if not entries or not all(isinstance(entry, dict) and "ticker" in entry for entry in entries):
            return None
        texts = [str(entry["ticker"]) for entry in entries]
    else:
        header, lines = files.csv_rows(content, name)
        columns = [column.lower() for column in header]
        if not set(_SYMBOL) & set(columns) or {"date", "count"} & set(columns):
            return None
        place = next(columns.index(column) for column in _SYMBOL if column in columns)
        texts = [cells[place] for _, cells in lines if place < len(cells)]
    return {symbol for text in texts if (symbol := symbols.canonical(text)) is not None}


def _document(content: bytes) -> Any:
    """The whole as one JSON document; None when it is none, as with an object a line."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _posts(content: bytes, name: str) -> Iterator[Post | Reject]:
    document = _document(content)
    if document is None or (isinstance(document, dict) and "created_utc" in document):
        yield from _lines(content, name)
        return
    found = list(_listings(document))
    if not found:
        what = f"keys {', '.join(map(str, document))[:300]}" if isinstance(document, dict) else type(document).__name__
        files.unknown_shape(name, what, SHAPES)
    for place, listing in enumerate(found):
        try:
            yield from reddit.posts_of(listing, f"{name}[{place}]")
        except SourceChanged as error:
            files.unknown_shape(name, str(error), SHAPES)


def _lines(content: bytes, name: str) -> Iterator[Post | Reject]:
    lines = [(number, line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    records = [(number, _document(line)) for number, line in lines]
    if 2 * sum(not isinstance(record, dict) for _, record in records) > len(records):
        files.unknown_shape(name, "text that is no JSON", SHAPES)
    for number, record in records:
        kind = COMMENT if isinstance(record, dict) and "body" in record else SUBMISSION
        yield forum_posts.post(kind, record, f"{name}:{number}")


def _listings(document: Any) -> Iterator[Any]:
    """The listings inside a document: itself, its elements, or the bodies of recorded exchanges."""
    if isinstance(document, dict) and document.get("kind") == "Listing":
        yield document
    elif isinstance(document, list):
        for element in document:
            if isinstance(element, dict):
                yield from _listings(element)
    elif isinstance(document, dict) and isinstance(document.get("interactions"), list):
        for body in map(_body, document["interactions"]):
            yield from _listings(body)


def _body(interaction: Any) -> Any:
    """The JSON body of a recorded answer, else None."""
    try:
        return json.loads(interaction["response"]["body"]["string"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _days(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    """Counts by day; known from 00:00 New York of the day after. A second count of a day is a reject, `repeated_day`."""
    header, lines = files.csv_rows(content, name)
    columns = [column.lower() for column in header]
    if not {"date", "ticker", "count"} <= set(columns):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    seen: set[tuple[str, str]] = set()
    for line, cells in lines:
        if len(cells) != len(columns):
            yield tables.reject("ragged_record", f"{len(cells)} cells", cells, f"{name}:{line}")
        else:
            yield _day({column: cell.strip() for column, cell in zip(columns, cells, strict=True)}, seen, f"{name}:{line}")


def _day(cells: dict[str, str], seen: set[tuple[str, str]], at: str) -> tables.Timed | Reject:
    symbol, day, count = symbols.canonical(cells["ticker"]), times.parse_date(cells["date"]), cells["count"]
    if symbol is None or day is None or not (count.isascii() and count.isdigit() and len(count) < 18):
        return tables.reject("bad_record", f"ticker {cells['ticker']!r}, date {cells['date']!r}, count {count!r}", cells, at)
    if (symbol, day.isoformat()) in seen:
        return tables.reject("repeated_day", f"a second count of {symbol} on {day}", cells, at)
    seen.add((symbol, day.isoformat()))
    row = ForumMentions(
        origin="day_counts",
        forum="wallstreetbets",
        item_id=day.isoformat(),
        symbol=symbol,
        kind="day",
        mentions=int(count),
        mentions_before=None,
        upvotes=None,
        rank=None,
        cashtag=None,
        in_title=None,
        sentiment=_tone(cells.get("sentiment", "")),
        window_hours=DAY_HOURS,
    )
    return tables.Timed(row=row, event_at=times.day_after(day) - timedelta(microseconds=1), known_at=times.day_after(day))


def _tone(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
