"""Apple's App Store in the United States: what it says of an app now, and its newest reviews."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scrapers import rates, records
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "itunes"
LOOKUP = "https://itunes.apple.com/lookup"
REVIEWS = "https://itunes.apple.com/us/rss/customerreviews"
COUNTRY = "us"
IDS_PER_LOOKUP = 50
REVIEW_PAGES = 10
"""Of 50 reviews: the feed never shows more."""
APP_KEYS = frozenset({"trackId"})


def lookup(http: "Http", ids: Sequence[str]) -> list[Any]:
    """The apps of the store among `ids`, in no order; one that the store does not have is missing from the answer."""
    found: list[Any] = []
    for first in range(0, len(ids), IDS_PER_LOOKUP):
        some = ",".join(ids[first : first + IDS_PER_LOOKUP])
        document = http.get(LOOKUP, {"id": some, "country": COUNTRY}, source=SOURCE, rate=rates.ITUNES).json()
        found += results(document, LOOKUP)
    return found


def results(document: Any, url: str) -> list[Any]:
    """The apps of a lookup's answer; SourceChanged for another shape."""
    if not isinstance(document, dict) or not {"resultCount", "results"} <= document.keys():
        raise SourceChanged(f"{url}: an object with resultCount and results was expected")
    return records.check_shape(document["results"], APP_KEYS, url)


def review_pages(http: "Http", app: str) -> Iterator[tuple[list[Any], str]]:
    """(entries, url) of each page of an app's reviews, newest first, until one is empty. Raises SourceChanged for another shape."""
    before: list[Any] = []
    for page in range(1, REVIEW_PAGES + 1):
        url = f"{REVIEWS}/page={page}/id={app}/sortby=mostrecent/json"
        found = entries(http.get(url, source=SOURCE, rate=rates.ITUNES).json(), url)
        if found and found == before:
            raise SourceChanged(f"{url}: the same reviews as on the page before")
        if not found:
            return
        yield found, url
        before = found


def entries(document: Any, url: str) -> list[Any]:
    """The reviews of a feed: a list, an object when there is one, nothing when there is none. The app itself, which some feeds list
    first, is left out.
    """
    feed = document.get("feed") if isinstance(document, dict) else None
    if not isinstance(feed, dict):
        raise SourceChanged(f"{url}: an object with a feed was expected")
    found = feed.get("entry", [])
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or ("entry" not in feed and not feed.keys() & {"id", "link", "title", "updated", "author"}):
        raise SourceChanged(f"{url}: a feed of reviews was expected")
    kept = [e for e in listed if not (isinstance(e, dict) and e.keys() & {"im:artist", "im:name"} and "im:rating" not in e)]
    return records.check_shape(kept, {"im:rating", "updated"}, url)
