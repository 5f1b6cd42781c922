"""Ratings of the apps of listed companies: from Quiver, or from Apple's App Store itself."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import app_store_list, cells, files, itunes, rates, records, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.quiver_arrays import Endpoint

if TYPE_CHECKING:
    from scrapers.http import Http

QUIVER_KEYS = frozenset({"Ticker", "App", "Rating", "Count", "Time"})
LIVE = Endpoint(url="https://api.quiverquant.com/beta/live/appratings", keys=QUIVER_KEYS, source="quiver_apps")
SHAPES = {
    "Quiver (JSON array)": "Ticker, App, Created, Publisher, Rating, Count, Time",
    "App Store reviews (JSON feed)": "feed.id, feed.entry[].im:rating, updated",
}
_FEED_ID = re.compile(r"/id=(\d{3,20})\b")
_ID = re.compile(r"\d{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRating:
    """What an app's users thought of it, as of a day.

    kind: `total`, the average and number of all ratings so far, by Quiver and by the App Store's lookup; or `reviews`, the average and
        number of the written reviews of that day alone, out of the newest 500.
    app_id: number in the App Store; empty at Quiver. app_name, publisher: empty for reviews, whose feed names neither.
    day: New York day of the reading, or of the reviews. A day that is not over yet gets a newer version.
    rating: 0 to 5, None while nobody has rated. rating_count: ratings, or reviews of the day.
    """

    symbol: str
    kind: str
    app_id: str
    app_name: str
    publisher: str
    day: date
    rating: float | None
    rating_count: int
    origin: str
    source_url: str


KEY = ("origin", "kind", "symbol", "app_id", "app_name", "publisher", "day")


def parse_quiver(found: list[Any], *, url: str) -> list[tables.Timed | Reject]:
    """Rows of Quiver's records: of several readings of an app on one day the last, the others being rejects `earlier_reading`.

    event_at is the New York day of `Time`, known_at the day after.
    """
    items = list(records.parsed(found, partial(_quiver, url=url), QUIVER_KEYS, url))
    made: list[tables.Timed | Reject] = [item for item in items if isinstance(item, Reject)]
    read = [(cells.text(record["Time"]), item) for item, record in zip(items, found, strict=True) if isinstance(item, tables.Timed)]
    newest: dict[tuple[object, ...], tables.Timed] = {}
    for _, item in sorted(read, key=lambda reading: reading[0]):
        earlier = newest.get(_identity(item.row))
        if earlier is not None:
            made.append(tables.reject("earlier_reading", "the app was read again on the same day", asdict(earlier.row), url))
        newest[_identity(item.row)] = item
    return [*newest.values(), *made]


def _identity(row: AppRating) -> tuple[object, ...]:
    return (row.symbol, row.app_name, row.publisher, row.day)


def _quiver(record: dict[str, Any], *, url: str) -> tables.Timed:
    symbol, day, app = records.symbol_of(record["Ticker"]), _day(record["Time"]), cells.text(record["App"])
    if symbol is None:
        raise records.Unusable("no_ticker", "an app of nobody")
    if day is None:
        raise records.Unusable("bad_time", f"Time {str(record['Time'])[:80]!r}")
    if not app:
        raise records.Unusable("no_app", "the record names no app")
    rating, count = _rating(record["Rating"], record["Count"])
    row = AppRating(
        symbol=symbol,
        kind="total",
        app_id="",
        app_name=app,
        publisher=cells.text(record.get("Publisher")),
        day=day,
        rating=rating,
        rating_count=count,
        origin="quiver",
        source_url=url,
    )
    return tables.Timed(row=row, event_at=times.new_york(day), known_at=times.day_after(day))


def _day(value: object) -> date | None:
    """The New York day of a time with an offset, the written day of one without or of midnight, which stands for the day itself."""
    written = times.parse_date(value)
    try:
        at = datetime.fromisoformat(str(value).strip()) if written else None
    except ValueError:
        at = None
    return written if at is None or at.tzinfo is None or at.time() == time(0) else times.new_york_date(at)


def _rating(rating: object, count: object) -> tuple[float | None, int]:
    """Average and number of ratings; an app that nobody has rated has none and 0. An average of nobody knows how many is Unusable."""
    unrated = cells.is_empty(rating) or cells.number(rating) == 0
    number = 0 if cells.is_empty(count) and unrated else cells.whole(count)
    if number is None or number < 0:
        raise records.Unusable("bad_count", f"count {str(count)[:40]!r}")
    if cells.is_empty(rating) and number == 0:
        return None, 0
    average = cells.number(rating)
    if average is None or not 0 <= average <= 5:
        raise records.Unusable("bad_rating", f"rating {str(rating)[:40]!r}")
    return (average if number or average else None), number


def parse_lookup(found: list[Any], *, owners: Mapping[str, list[str]], at: datetime) -> Iterator[tables.Timed | Reject]:
    """Rows of the App Store's apps as read at `at`, one for each symbol that owns the app (by its id); the store itself names no time."""
    for item in records.parsed(found, partial(_app, day=times.new_york_date(at)), itunes.APP_KEYS, itunes.LOOKUP):
        if isinstance(item, Reject):
            yield item
        else:
            yield from (replace(item, row=replace(item.row, symbol=symbol)) for symbol in owners.get(item.row.app_id, ()))


def _app(record: dict[str, Any], *, day: date) -> tables.Timed:
    number = cells.whole(record["trackId"])
    if number is None:
        raise records.Unusable("no_app", f"trackId {str(record['trackId'])[:40]!r}")
    if "averageUserRating" not in record and "userRatingCount" not in record:
        raise records.Unusable("no_rating", f"app {number} has neither averageUserRating nor userRatingCount")
    rating, count = _rating(record.get("averageUserRating"), record.get("userRatingCount"))
    row = AppRating(
        symbol="",
        kind="total",
        app_id=str(number),
        app_name=cells.text(record.get("trackName")),
        publisher=cells.text(record.get("sellerName")),
        day=day,
        rating=rating,
        rating_count=count,
        origin="itunes",
        source_url=f"{itunes.LOOKUP}?id={number}",
    )
    return tables.Timed(row=row, event_at=times.new_york(day), known_at=None)


@dataclass(slots=True)
class Reviews:
    """The reviews of one app by New York day, as they are read from the newest to the oldest."""

    stars: dict[date, list[int]] = field(default_factory=dict)
    refused: list[Reject] = field(default_factory=list)
    oldest: date | None = None

    def add(self, entries: list[Any], url: str) -> None:
        """Count a page of the feed; a review that cannot be read is refused (`bad_review`)."""
        for index, entry in enumerate(entries):
            stars, day = _review(entry)
            if stars is None or day is None:
                self.refused.append(tables.reject("bad_review", "without a rating from 1 to 5 or a time", entry, f"{url}[{index}]"))
            else:
                self.stars.setdefault(day, []).append(stars)
                self.oldest = day if self.oldest is None else min(day, self.oldest)

    def rows(self, app: str, symbols: Iterable[str], first: date, *, cut: bool) -> Iterator[tables.Timed]:
        """A row for each day from `first` on and each symbol. cut: the feed goes on, so that its oldest day is not whole."""
        whole = (day for day in sorted(self.stars) if day >= first and not (cut and day == self.oldest))
        for day, symbol in ((day, symbol) for day in whole for symbol in symbols):
            stars = self.stars[day]
            row = AppRating(
                symbol=symbol,
                kind="reviews",
                app_id=app,
                app_name="",
                publisher="",
                day=day,
                rating=sum(stars) / len(stars),
                rating_count=len(stars),
                origin="itunes",
                source_url=f"{itunes.REVIEWS}/id={app}",
            )
            yield tables.Timed(row=row, event_at=times.new_york(day), known_at=times.day_after(day))


def _review(entry: object) -> tuple[int | None, date | None]:
    """Stars and New York day of a review; None for what it does not say."""
    cell = {key: value.get("label") if isinstance(value, dict) else None for key, value in entry.items()} if isinstance(entry, dict) else {}
    stars, text = cells.whole(cell.get("im:rating")), cell.get("updated")
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    dated = at is not None and at.tzinfo is not None and 2008 <= at.year <= 2099
    return stars if stars in range(1, 6) else None, times.new_york_date(at.astimezone(UTC)) if at is not None and dated else None


def fetch_quiver(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Readings of the last week, which is all that there is. Option `backfill` gives them the `known_at` of their day."""
    items: Iterable[tables.Timed | Reject] = parse_quiver(LIVE.array(http), url=LIVE.url)
    if options.get("backfill"):
        items = (i for i in items if isinstance(i, Reject) or (i.known_at is not None and since <= i.known_at <= until))
    yield from tables.batches(AppRating, items if options.get("backfill") else records.live(items, until))


def fetch_itunes(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """What the App Store says now of the apps of option `apps`, and their reviews since `since`.

    An app that the store does not have is a reject, `app_not_found`, and is not asked for reviews.
    """
    owners: dict[str, list[str]] = {}
    for symbol, ids in sorted(options.get("apps", {}).items()):
        for app in ids:
            owners.setdefault(str(app), []).append(symbol)
    asked = [app for app in sorted(owners) if _ID.fullmatch(app)]
    found = itunes.lookup(http, asked)
    items = list(parse_lookup(found, owners=owners, at=until))
    there = {str(cells.whole(record.get("trackId"))) for record in found if isinstance(record, dict)}
    items += [tables.reject("app_not_found", "the store has no such app", app, itunes.LOOKUP) for app in sorted(owners) if app not in there]
    yield from tables.batches(AppRating, map(tables.unstamped, items))
    for app in (app for app in asked if app in there):
        yield from tables.batches(AppRating, map(tables.unstamped, _reviews(http, app, owners[app], times.new_york_date(since))))


def _reviews(http: "Http", app: str, symbols: list[str], first: date) -> Iterator[tables.Timed | Reject]:
    """Rows and rejects of one app's reviews from `first` on; pages are read until one is older."""
    reviews, cut = Reviews(), False
    for number, (entries, url) in enumerate(itunes.review_pages(http, app), start=1):
        reviews.add(entries, url)
        if reviews.oldest is not None and reviews.oldest < first:
            break
        cut = number == itunes.REVIEW_PAGES
    yield from reviews.rows(app, symbols, first, cut=cut)
    yield from reviews.refused


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of Quiver, and App Store feeds of apps in the packaged list; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(AppRating, _parse_file(path))


def _parse_file(path: Path) -> Iterator[tables.Timed | Reject]:
    content = files.read(path)
    document = files.json_of(content, path.name) if files.is_json(content) else None
    if isinstance(document, list) and records.fits(document, QUIVER_KEYS):
        yield from parse_quiver(document, url=LIVE.url)
    elif isinstance(document, dict) and "feed" in document:
        yield from _parse_feed(document, path.name)
    elif isinstance(document, dict) and "results" in document:
        raise BadFile(f"{path.name}: a lookup of the App Store bears no date, so nobody can say when its ratings were known")
    else:
        files.unknown_shape(path.name, records.seen_keys(document if isinstance(document, list) else [document]), SHAPES)


def _parse_feed(document: dict[str, Any], name: str) -> Iterator[tables.Timed | Reject]:
    """A saved page knows neither what came before it nor what follows: its newest and its oldest day may not be whole and are left out."""
    try:
        entries = itunes.entries(document, name)
    except SourceChanged as error:
        raise BadFile(str(error)) from error
    label = document["feed"].get("id")
    found = _FEED_ID.search(str(label.get("label"))) if isinstance(label, dict) else None
    owners = [listed.symbol for listed in app_store_list.packaged() if found and listed.app_id == found[1]]
    if not found or not owners:
        raise BadFile(f"{name}: its feed.id names no app of the packaged list, so nobody can say whose reviews these are")
    reviews = Reviews()
    reviews.add(entries, name)
    newest = max(reviews.stars, default=None)
    yield from (item for item in reviews.rows(found[1], owners, date.min, cut=True) if item.row.day != newest)
    yield from reviews.refused


DATASET = Dataset(
    name="app_ratings",
    row=AppRating,
    key=KEY,
    schedule="cron: mon-sun 06:30",
    description="Ratings of listed companies' apps: all so far, and the reviews of a day",
    sources=(
        Source(
            name="quiver_apps", fetch=fetch_quiver, rate=rates.QUIVER_10_MINUTE, urls=(LIVE.url,), needs=("quiver_api_key",), history=False
        ),
        Source(
            name=itunes.SOURCE,
            fetch=fetch_itunes,
            rate=rates.ITUNES,
            urls=(itunes.LOOKUP, itunes.REVIEWS),
            rank=1,
            wants=("apps",),
            history=False,
        ),
    ),
    load=load,
    max_silence=timedelta(days=5),
    known="the day after the reading, or the reviews",
)
