"""Headlines by company, and their tone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import alpaca_pages, cells, files, sentiment, symbols, tables
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.validation import is_address

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "alpaca_news"
PATH = "/v1beta1/news"
PAGE_LIMIT = 50
HEADLINE_LIMIT, SUMMARY_LIMIT = 300, 1000
LATE_UPDATES = timedelta(days=7)
"""A backfill asks from so much earlier, because nobody says whether the service selects by an article's first or its last time."""
SHAPES = {"Alpaca's answer (JSON)": "news"}
_REQUIRED = {"id", "headline", "created_at", "updated_at", "symbols"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One company in one article. Texts are plain; summary may be empty and is cut at 1000 characters.

    n_symbols: how many securities the article names: one that names thirty says little of each. sentiment: VADER's compound score of
    headline and summary, -1 to 1. updated_at: when this text was published; equal to created_at for one that was never changed.
    """

    symbol: str
    news_id: str
    headline: str
    summary: str
    source: str
    url: str
    n_symbols: int
    sentiment: float
    created_at: datetime
    updated_at: datetime


def parse_page(articles: object, *, wanted: set[str] | None) -> Iterator[tables.Timed | Reject]:
    """Rows of the `news` list of one page, for the wanted symbols (None: for all): event_at is the first publication.

    known_at is that of the text that is shown: an article that was rewritten is known from its rewriting, for what it said before is
    not delivered any more. Raises SourceChanged for another shape, or when most articles cannot be read.
    """
    if not isinstance(articles, list):
        raise SourceChanged(f"{PATH}: `news` is {type(articles).__name__}, not a list")
    strange = sum(not _is_article(article) for article in articles)
    if 2 * strange > len(articles):
        raise SourceChanged(f"{PATH}: {strange} of {len(articles)} records are no articles with {', '.join(sorted(_REQUIRED))}")
    refused = 0
    for index, article in enumerate(articles):
        for item in _rows(article, wanted, f"{PATH} news[{index}]"):
            refused += isinstance(item, Reject) and item.reason != "no_symbol"
            yield item
    if refused > 2 and 2 * refused > len(articles):
        raise SourceChanged(f"{PATH}: {refused} of {len(articles)} articles are unreadable")


def _is_article(article: object) -> bool:
    return isinstance(article, dict) and set(article) >= _REQUIRED and isinstance(article["symbols"], list)


def _rows(article: object, wanted: set[str] | None, at: str) -> Iterator[tables.Timed | Reject]:
    if not isinstance(article, dict) or not _is_article(article):
        yield tables.reject("not_an_article", f"{', '.join(sorted(_REQUIRED))} were expected", article, at)
        return
    created, updated = _instant(article["created_at"]), _instant(article["updated_at"])
    number, headline = cells.whole(article["id"]), cells.text(article["headline"], HEADLINE_LIMIT)
    if number is None or number <= 0 or not headline:
        yield tables.reject("no_headline" if not headline else "bad_id", "a number and a headline were expected", article, at)
    elif created is None or updated is None:
        yield tables.reject("bad_date", f"{article['created_at']!r} and {article['updated_at']!r}", article, at)
    else:
        named = dict.fromkeys(filter(None, (symbols.canonical(word) for word in article["symbols"] if isinstance(word, str))))
        about = [symbol for symbol in named if wanted is None or symbol in wanted]
        if not about:
            yield tables.reject("no_symbol", f"names none of the symbols asked for but {', '.join(named)[:200] or 'none'}", article, at)
        yield from _articles(article, about, headline, created, max(created, updated))


def _articles(
    article: dict[str, Any], about: list[str], headline: str, created: datetime, updated: datetime
) -> Iterator[tables.Timed | Reject]:
    summary = cells.text(article.get("summary"), SUMMARY_LIMIT)
    tone = round(sentiment.compound(f"{headline}. {summary}" if summary else headline), 4)
    for symbol in about:
        row = Headline(
            symbol=symbol,
            news_id=str(cells.whole(article["id"])),
            headline=headline,
            summary=summary,
            source=cells.text(article.get("source"), 60),
            url=_address(article.get("url")),
            n_symbols=len(article["symbols"]),
            sentiment=tone,
            created_at=created,
            updated_at=updated,
        )
        yield tables.Timed(row=row, event_at=created, known_at=updated)


def _instant(text: object) -> datetime | None:
    """UTC of an RFC 3339 stamp; None for anything else and for years that no article has."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None and 1990 < at.year < 2100 else None


def _address(text: object) -> str:
    """An https address; empty for anything else, which is not worth an article."""
    address = cells.text(text)
    return address if is_address(address) else ""


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Articles on the symbols, published or rewritten from `since` to `until`, one batch a page.

    Options: `symbols` (canonical) and `backfill` (rows get the archive's known_at, and only those known from `since` to `until` come).
    """
    backfill = bool(options.get("backfill"))
    params: dict[str, str | int] = {
        "start": (since - LATE_UPDATES if backfill else since).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sort": "asc",
        "include_content": "false",
        "limit": PAGE_LIMIT,
    }
    for found in alpaca_pages.pages(http, PATH, "news", list(options.get("symbols", ())), params, source=SOURCE):
        items = iter([found]) if isinstance(found, Reject) else parse_page(found[1], wanted=set(found[0]))
        kept = (i for i in items if isinstance(i, Reject) or not backfill or (i.known_at is not None and since <= i.known_at <= until))
        yield from tables.batches(Headline, kept if backfill else map(tables.unstamped, kept))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers, all of their symbols; raises BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        document = files.json_of(content, path.name) if files.is_json(content) else None
        if not isinstance(document, dict) or "news" not in document:
            files.unknown_shape(path.name, "no object with news", SHAPES)
        try:
            yield from tables.batches(Headline, list(parse_page(document["news"], wanted=None)))
        except SourceChanged as error:
            raise BadFile(f"{path.name}: {error}") from error


DATASET = Dataset(
    name="news",
    row=Headline,
    key=("news_id", "symbol"),
    schedule="cron: mon-fri 06:30,08:45,12:30,17:00",
    description="Headlines and summaries by company with their tone",
    known="when it was last changed",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=alpaca_pages.RATE,
            urls=(f"{alpaca_pages.DATA}{PATH}",),
            needs=("alpaca_api_key",),
            wants=("symbols",),
            asks_by="symbols",
            chunk=timedelta(days=30),
        ),
    ),
    load=load,
    overlap=timedelta(days=1),
    max_silence=timedelta(days=5),
    backfill_from=datetime(2015, 1, 1, tzinfo=UTC),
)
