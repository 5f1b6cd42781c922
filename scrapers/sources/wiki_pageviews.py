"""How often the Wikipedia articles of listed companies are read, by day."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scrapers import cells, files, rates, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "wikimedia_pageviews"
SERIES = "https://wikimedia.org/api/rest_v1/metrics/pageviews/per-article/en.wikipedia/all-access/user"
RATE = rates.WIKIMEDIA
FIRST = date(2015, 7, 1)
PUBLISHED_AFTER = timedelta(days=2)
"""From the beginning of a day (UTC) to the instant at which its views count as published. They appear on the next day, sometimes on
the one after it: archives take the later one, live rows the instant of the fetch."""
BATCH_ROWS = 20_000
SHAPES = {
    "answers of the REST service (JSON)": "items[] of article, timestamp, views; imported together with a map of symbols",
    "map of symbols (CSV)": "symbol, article",
    "views by day (CSV)": "symbol, article, day or date, views",
}
Sharing = Callable[[str], Iterable[str] | None]
_ASKED = {"project": "en.wikipedia", "granularity": "daily", "access": "all-access", "agent": "user"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageViews:
    """Views of an article by people (no known bots) on a day of UTC, over all devices.

    A day without views has no row, and neither has one that is not published yet. Views by way of a redirect are not among them: when
    an article is renamed its series begins anew, under another `article`.
    """

    symbol: str
    article: str
    day: date
    views: int


def event_of(day: date) -> datetime:
    """The end of a day of UTC, which is in the evening of the same day in New York."""
    return datetime.combine(day + timedelta(days=1), time(0), UTC)


def published(day: date) -> datetime:
    """When the views of a day are published for certain."""
    return datetime.combine(day, time(0), UTC) + PUBLISHED_AFTER


def parse(document: object, *, url: str, sharing: Sharing) -> Iterator[tables.Timed | Reject]:
    """Rows of one answer, for each symbol of its article. sharing: article -> symbols whose article it is.

    Raises SourceChanged when it is no list of items, or when most of them are of another series.
    """
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise SourceChanged(f"{url}: an object with a list of items was expected, found {type(document).__name__}")
    seen: set[tuple[object, ...]] = set()
    made = [_views(item, sharing, seen, f"{url}[{place}]") for place, item in enumerate(items)]
    refused = sum(isinstance(one, Reject) for one in made)
    if 2 * refused > len(made):
        raise SourceChanged(f"{url}: {refused} of {len(made)} items are no daily views of an article")
    for one in made:
        yield from [one] if isinstance(one, Reject) else one


def _views(item: object, sharing: Sharing, seen: set[tuple[object, ...]], at: str) -> Reject | list[tables.Timed]:
    if not isinstance(item, dict) or any(item.get(name) != value for name, value in _ASKED.items()):
        return tables.reject("other_series", f"an item of {', '.join(_ASKED.values())} was expected", item, at)
    article, stamp, views = item.get("article"), str(item.get("timestamp")), cells.whole(item.get("views"))
    day = times.parse_date(stamp[:8]) if len(stamp) == 10 and stamp.endswith("00") else None
    if not isinstance(article, str) or day is None or views is None or views < 0:
        return tables.reject("bad_item", "article, timestamp YYYYMMDD00 and a count were expected", item, at)
    article = article.replace(" ", "_")
    owners = list(sharing(article) or ())
    if not owners:
        return tables.reject("other_article", f"views of {article[:200]} are nobody's", item, at)
    if (article, day) in seen:
        return tables.reject("repeated_day", f"a second count of {day}", item, at)
    seen.add((article, day))
    return [_timed(PageViews(symbol=symbol, article=article, day=day, views=views)) for symbol in owners]


def _timed(row: PageViews) -> tables.Timed:
    return tables.Timed(row=row, event_at=event_of(row.day), known_at=published(row.day))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Daily views from the day of `since` to the last day that is complete at `until`, one request an article.

    Options: `articles` (symbol -> title; one that Wikimedia does not know is a reject, `unknown_article`); `backfill`: rows bear the
    instant of their publication, and days that are not published for certain at `until` are left to the live fetches.
    """
    backfill = bool(options.get("backfill"))
    first = max(since.astimezone(UTC).date(), FIRST)
    last = (until - (PUBLISHED_AFTER if backfill else timedelta(days=1))).astimezone(UTC).date()
    if first > last:
        return
    items = _collected(http, by_article(options.get("articles", {})), first, last)
    yield from tables.batches(PageViews, items if backfill else map(tables.unstamped, items), size=BATCH_ROWS)


def by_article(articles: Mapping[str, str]) -> dict[str, list[str]]:
    """Title with underscores -> the symbols whose article it is, sorted."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for symbol, title in sorted(articles.items()):
        found[title.replace(" ", "_")].append(symbol)
    return dict(found)


def _collected(http: "Http", owners: dict[str, list[str]], first: date, last: date) -> Iterator[tables.Timed | Reject]:
    for article, sharing in owners.items():
        url = f"{SERIES}/{quote(article, safe='')}/daily/{first:%Y%m%d}00/{last:%Y%m%d}00"
        answer = http.get(url, source=SOURCE, rate=RATE, accept=(404,))
        document = answer.json()
        if answer.status == 404:
            yield _unknown(document, article, sharing, answer.url)
            continue
        yield from _within(parse(document, url=answer.url, sharing={article: sharing}.get), first, last)


def _within(items: Iterable[tables.Timed | Reject], first: date, last: date) -> Iterator[tables.Timed | Reject]:
    for item in items:
        if isinstance(item, Reject) or first <= item.row.day <= last:
            yield item
        else:
            yield tables.reject("not_asked_for", f"{item.row.day} is outside {first} to {last}", item.row.article, SERIES)


def _unknown(document: object, article: str, sharing: list[str], url: str) -> Reject:
    if not isinstance(document, dict):
        raise SourceChanged(f"{url}: answered 404 with {type(document).__name__} instead of a problem")
    return tables.reject(
        "unknown_article", f"no such article, or no views at all: {article}", {"symbols": sharing, "answer": document}, url
    )


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of the service (with a map of symbols among the files, in any order) and tables of views by day."""
    contents = [(path.name, files.read(path)) for path in paths]
    owners = by_article({symbol: title for name, content in contents for symbol, title in _map(content, name)})
    yield from tables.batches(PageViews, _loaded(contents, owners), size=BATCH_ROWS)


def _loaded(contents: list[tuple[str, bytes]], owners: dict[str, list[str]]) -> Iterator[tables.Timed | Reject]:
    for name, content in contents:
        if not files.is_json(content):
            yield from _table(content, name)
            continue
        document = files.json_of(content, name)
        if not owners:
            files.unknown_shape(name, "answers without a map of symbols beside them", SHAPES)
        for place, answer in enumerate(document if isinstance(document, list) else [document]):
            try:
                yield from parse(answer, url=f"{name}[{place}]", sharing=owners.get)
            except SourceChanged as error:
                files.unknown_shape(name, str(error), SHAPES)


def _columns(content: bytes, name: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    header, lines = files.csv_rows(content, name)
    return ["day" if column.lower() == "date" else column.lower() for column in header], lines


def _map(content: bytes, name: str) -> Iterator[tuple[str, str]]:
    """(symbol, title) pairs of a map of symbols; nothing from files of other shapes."""
    if files.is_json(content):
        return
    columns, lines = _columns(content, name)
    if {"symbol", "article"} <= set(columns) and not {"day", "views"} & set(columns):
        for _, written in lines:
            said = dict(zip(columns, written, strict=False))
            symbol = symbols.canonical(said.get("symbol", ""))
            if symbol is not None and said.get("article"):
                yield symbol, said["article"].strip()


def _table(content: bytes, name: str) -> Iterator[tables.Timed | Reject]:
    columns, lines = _columns(content, name)
    whole = {"day", "views"} <= set(columns)
    if not {"symbol", "article"} <= set(columns) or (not whole and {"day", "views"} & set(columns)):
        files.unknown_shape(name, f"columns {', '.join(columns)[:300]}", SHAPES)
    for line, written in lines:
        said = {column: cell.strip() for column, cell in zip(columns, written, strict=False)}
        symbol, day = symbols.canonical(said.get("symbol", "")), times.parse_date(said.get("day"))
        views = said.get("views", "")
        if len(written) != len(columns) or symbol is None or not said["article"]:
            yield tables.reject("bad_record", f"symbol {said.get('symbol')!r}, {len(written)} cells", written, f"{name}:{line}")
        elif whole and (day is None or not (views.isascii() and views.isdigit() and len(views) < 18)):
            yield tables.reject("bad_record", f"day {said['day']!r}, views {views!r}", written, f"{name}:{line}")
        elif day is not None:
            yield _timed(PageViews(symbol=symbol, article=said["article"].replace(" ", "_"), day=day, views=int(views)))


DATASET = Dataset(
    name="wiki_pageviews",
    row=PageViews,
    key=("symbol", "article", "day"),
    schedule="cron: mon-sun 06:30",
    description="Daily views of the Wikipedia articles of listed companies",
    known="00:00 UTC two days after the day counted",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=RATE,
            urls=("https://wikimedia.org/api/rest_v1/metrics/pageviews/per-article",),
            needs=("contact",),
            wants=("articles",),
            asks_by="articles",
        ),
    ),
    load=load,
    grace=timedelta(hours=3),
    max_silence=timedelta(days=5),
    overlap=timedelta(days=3),
    backfill_from=datetime.combine(FIRST, time(0), UTC),
)
