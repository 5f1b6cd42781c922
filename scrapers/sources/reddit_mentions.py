"""Mentions of securities in the forum r/wallstreetbets, by post or as a count over a day."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import forum_files, forum_posts, rates, reddit, symbols, tables
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import SourceChanged
from scrapers.forum_posts import ForumMentions, Post
from scrapers.reddit import Forum
from scrapers.tickers_in_text import Tickers

if TYPE_CHECKING:
    from scrapers.http import Http

FORUM = "wallstreetbets"
REDDIT_SOURCE, APEWISDOM_SOURCE = "reddit_praw", "apewisdom"
APEWISDOM = f"https://apewisdom.io/api/v1.0/filter/{FORUM}"
APEWISDOM_RATE = rates.APEWISDOM
MAX_PAGES = 40
WINDOW_HOURS = 24
STORED = "rows:reddit_mentions"


def fetch_reddit(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Submissions and comments written from `since` to `until`, as far back as Reddit's listings of about 1000 posts go.

    Comments are those of the pinned daily threads (the newest of each) and of the forum's own listing; a post is counted once. Posts
    that were taken back, and those of programs, are left out. Options: `symbols` (the universe that bare upper-case words must be of);
    `rows:reddit_mentions` (rows in force, so that a live fetch withdraws mentions that were deleted or edited away); `backfill`: rows
    are known from the time of the post, and bear no score, which was counted later.
    """
    backfill, tickers = bool(options.get("backfill")), Tickers(options.get("symbols", ()))
    posts: dict[str, Post] = {}
    made: list[tables.Timed | Reject] = []
    for one in _posts(Forum(http, FORUM, source=REDDIT_SOURCE), since):
        if isinstance(one, Reject):
            made.append(one)
        elif since <= one.created_at <= until and one.name not in posts:
            posts[one.name] = one
            made += forum_posts.rows(one, tickers, archived=backfill)
    if not backfill and STORED in options and any(one.may_have_lost_mentions for one in posts.values()):
        found = {(item.row.item_id, item.row.symbol) for item in made if not isinstance(item, Reject)}
        stored = options[STORED](since, until)
        made += forum_posts.withdrawn(posts.values(), found, stored.to_dict("records"))
    yield from tables.batches(ForumMentions, made)


def _posts(forum: Forum, since: datetime) -> Iterator[Post | Reject]:
    threads = forum.daily_threads()
    yield from forum.newest("new", since)
    yield from forum.newest("comments/", since)
    for thread in threads:
        yield from forum.comments_on(thread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of ApeWisdom's ranking, and how many there are."""

    results: list[Any]
    pages: int


def page_of(document: object, *, number: int, url: str) -> Page:
    """The page asked for; SourceChanged when it is none, or another one."""
    keys = document if isinstance(document, dict) else {}
    results, pages, current = keys.get("results"), whole(keys.get("pages")), whole(keys.get("current_page"))
    if not isinstance(results, list) or pages is None:
        raise SourceChanged(f"{url}: results and pages were expected, found {', '.join(sorted(map(str, keys)))[:200] or type(document)}")
    if current != number:
        raise SourceChanged(f"{url}: page {number} was asked for and {current} was answered")
    return Page(results=results, pages=pages)


def parse_ranking(results: list[Any], *, at: datetime, known_at: datetime | None, url: str, seen: set[str]) -> list[tables.Timed | Reject]:
    """Rows of one page, a snapshot at `at`; SourceChanged when most of its records are none, or when all were on earlier pages.

    seen: symbols of earlier pages. The ranking moves while it is read, so that a symbol may appear on two: the first one counts, the
    other is a reject, `repeated_symbol`.
    """
    made = [_ranked(record, (at, known_at), seen, f"{url}[{place}]") for place, record in enumerate(results)]
    reasons = [item.reason for item in made if isinstance(item, Reject)]
    repeated = reasons.count("repeated_symbol")
    if 2 * (len(reasons) - repeated) > len(made) or (made and repeated == len(made)):
        raise SourceChanged(f"{url}: of {len(made)} records {repeated} are repeated and {len(reasons) - repeated} are no ranks")
    return made


def _ranked(record: object, instants: tuple[datetime, datetime | None], seen: set[str], position: str) -> tables.Timed | Reject:
    at, known_at = instants
    cells = record if isinstance(record, dict) else {}
    ticker = cells.get("ticker")
    symbol = symbols.canonical(ticker) if isinstance(ticker, str) else None
    rank, mentions = whole(cells.get("rank")), whole(cells.get("mentions"))
    if not isinstance(ticker, str) or not rank or mentions is None:
        return tables.reject("bad_record", "ticker, rank and mentions were expected", record, position)
    if symbol is None:
        return tables.reject(symbols.explain(ticker), f"ticker {ticker[:40]!r}", record, position)
    if symbol in seen:
        return tables.reject("repeated_symbol", f"{symbol} stands in the ranking twice", record, position)
    seen.add(symbol)
    row = ForumMentions(
        origin=APEWISDOM_SOURCE,
        forum=FORUM,
        item_id=f"{at.astimezone(UTC):%Y-%m-%dT%H}Z",
        symbol=symbol,
        kind="snapshot",
        mentions=mentions,
        mentions_before=whole(cells.get("mentions_24h_ago")),
        upvotes=whole(cells.get("upvotes")),
        rank=rank,
        cashtag=None,
        in_title=None,
        sentiment=None,
        window_hours=WINDOW_HOURS,
    )
    return tables.Timed(row=row, event_at=at, known_at=known_at)


def whole(value: object) -> int | None:
    """A count from a number or its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def fetch_apewisdom(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """ApeWisdom's ranking by mentions of the last 24 hours, as it is at `until`: one snapshot an hour, its hour in `item_id`.

    Option `backfill`: there is no past to be had, so that the rows are known from `until`.
    """
    seen: set[str] = set()
    number, pages = 1, 1
    while number <= pages:
        url = f"{APEWISDOM}/page/{number}"
        page = page_of(http.get(url, source=APEWISDOM_SOURCE, rate=APEWISDOM_RATE).json(), number=number, url=url)
        if page.pages > MAX_PAGES:
            raise SourceChanged(f"{url}: {page.pages} pages, {MAX_PAGES} at most were expected")
        known_at = until if options.get("backfill") else None
        yield from tables.batches(ForumMentions, parse_ranking(page.results, at=until, known_at=known_at, url=url, seen=seen))
        number, pages = number + 1, page.pages


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved posts and counts: see `scrapers.forum_files`. Raises BadFile for any other shape."""
    yield from tables.batches(ForumMentions, forum_files.items(paths))


DATASET = Dataset(
    name="reddit_mentions",
    row=ForumMentions,
    key=forum_posts.KEY,
    schedule="cron: mon-sun 06:30,08:30,10:30,12:30,14:30,16:30,18:30,20:30,22:30",
    description="Mentions of securities in r/wallstreetbets",
    known="when it was posted or last edited; no more of the past than the archives that are imported",
    sources=(
        Source(
            name=REDDIT_SOURCE,
            fetch=fetch_reddit,
            rate=reddit.RATE,
            urls=(reddit.API, reddit.WEB),
            needs=("reddit_client_id",),
            wants=("symbols", STORED),
            history=False,
        ),
        Source(
            name=APEWISDOM_SOURCE,
            fetch=fetch_apewisdom,
            rate=APEWISDOM_RATE,
            urls=(APEWISDOM,),
            rank=1,
            history=False,
        ),
    ),
    load=load,
    grace=timedelta(hours=1),
    max_silence=timedelta(days=2),
    overlap=timedelta(hours=12),
)
