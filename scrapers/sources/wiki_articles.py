"""Which Wikipedia article is about which listed company: the map that page views are collected by."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import documents, files, rates, symbols, tables, wikipedia
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "wikipedia_lists"
RATE = rates.WIKIMEDIA
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
SHAPES = {
    "symbol to article (CSV)": "symbol or ticker, article or title[, index_name, source_url]",
    "a saved list page of Wikipedia (HTML)": "titled List of S&P 500, 400 or 600 companies",
}
_TITLE = re.compile(r"List of S(?:&|&amp;|%26)P (500|400|600) companies")
_COLUMNS = {"symbol": "symbol", "ticker": "symbol", "article": "article", "title": "article"}
_COLUMNS |= {"index_name": "index_name", "index": "index_name", "source_url": "source_url"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WikiArticle:
    """A company's article in the English Wikipedia. article: its title with underscores, not percent-encoded.

    index_name: the list that says so (sp500, sp400, sp600; empty for a hand-made map). Share classes share their company's article.
    """

    symbol: str
    article: str
    index_name: str
    source_url: str


def parse_page(text: str, *, index_name: str, url: str, known_at: datetime | None) -> Iterator[tables.Timed | Reject]:
    """Rows of one list page; a company without an article is a reject, `no_article`. Raises SourceChanged as `wikipedia.companies`."""
    for item in wikipedia.companies(text, url):
        if isinstance(item, Reject):
            yield item
        elif not item.article:
            yield tables.reject("no_article", f"{item.name} has no article", [item.symbol, item.name], f"{url}: {item.symbol}")
        else:
            row = WikiArticle(symbol=item.symbol, article=item.article, index_name=index_name, source_url=url)
            yield tables.Timed(row=row, event_at=ALWAYS, known_at=known_at)


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The three lists as they are, whole. What an article is called says nothing about when: `event_at` is 1970.

    Option `backfill`: the lists show the present alone, so their rows are known from `until`.
    """
    known_at = until if options.get("backfill") else None
    for index_name, url in wikipedia.LISTS.items():
        text = http.get(url, source=SOURCE, rate=RATE).text()
        yield from tables.batches(WikiArticle, parse_page(text, index_name=index_name, url=url, known_at=known_at))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import hand-made maps and saved list pages, which hold for all time; raises BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        page = content[:1000].lstrip().startswith(b"<")
        yield from tables.batches(WikiArticle, _page(content, path.name) if page else _lines(content, path.name))


def _page(content: bytes, name: str) -> list[tables.Timed | Reject]:
    text = documents.text_of(content)
    titled = _TITLE.search(text)
    if titled is None:
        files.unknown_shape(name, "a page with another title", SHAPES)
    index_name = f"sp{titled[1]}"
    try:
        return list(parse_page(text, index_name=index_name, url=wikipedia.LISTS[index_name], known_at=ALWAYS))
    except SourceChanged as error:
        files.unknown_shape(name, str(error), SHAPES)


def _lines(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    header, lines = files.csv_rows(content, name)
    columns = [_COLUMNS.get(column.lower(), "") for column in header]
    if not {"symbol", "article"} <= set(columns):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, cells in lines:
        yield _line(columns, cells, f"{name}:{line}")


def _line(columns: list[str], cells: list[str], at: str) -> tables.Timed | Reject:
    if len(cells) != len(columns):
        return tables.reject("ragged_record", f"{len(cells)} cells", cells, at)
    said = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    symbol = symbols.canonical(said["symbol"])
    if symbol is None or not said["article"]:
        return tables.reject("bad_symbol" if symbol is None else "no_article", f"symbol {said['symbol']!r}", cells, at)
    row = WikiArticle(
        symbol=symbol,
        article=said["article"].replace(" ", "_"),
        index_name=said.get("index_name", ""),
        source_url=said.get("source_url", ""),
    )
    return tables.Timed(row=row, event_at=ALWAYS, known_at=ALWAYS)


DATASET = Dataset(
    name="wiki_articles",
    row=WikiArticle,
    key=("index_name", "symbol"),
    schedule="cron: sat 07:00",
    description="Wikipedia article of each member of the S&P 500, 400 and 600",
    known="imported lists always; collected from the fetch on",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=RATE,
            urls=tuple(wikipedia.LISTS.values()),
            needs=("contact",),
            history=False,
        ),
    ),
    load=load,
    snapshot=True,
)
