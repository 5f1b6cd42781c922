"""Congress trades from Quiver: the newest disclosures, or all of them page by page, with amended records set right."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from scrapers import congress, rates, tables, times
from scrapers import disclosure_forms as forms
from scrapers.base import Batch, Reject
from scrapers.errors import SourceChanged, SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    from scrapers.http import Http, Response

SOURCE = "quiver_congress"
LIVE, BULK = forms.QUIVER_LIVE, forms.QUIVER_BULK
LIVE_RATE, BULK_RATE = rates.QUIVER_10_MINUTE, rates.QUIVER_5_HOUR
PAGE_SIZE = 5000
MAX_PAGES = 400
MAX_MESSAGE, OVERLOAD = 4000, (b"QueuePool", b"Gateway")
"""Words of a short answer by which the service says that it is overloaded."""
MAX_SHIFT = 1000
"""Most records that may come in between two pages."""


def parse(pages: Iterable[tuple[list[Any], str]], *, live: bool) -> Iterator[tables.Timed | Reject]:
    """Rows of one answer, all pages of it.

    Records of V1 and V2 give the same trade the same key. Of records that differ by their filing or revision date alone the later
    ones are amendments: new versions of one row, from the day of the revision on.
    """
    seen: congress.Seen = Counter()
    found: list[tuple[date, date, congress.Stated]] = []
    for page, at in pages:
        for index, record in enumerate(page):
            item = congress.read(record, forms.quiver, f"{at}[{index}]", seen)
            if isinstance(item, Reject):
                yield item
            else:
                filed: date = item.row.disclosure_date
                modified = times.parse_date(record.get("last_modified")) or filed
                found.append((filed, modified, congress.Stated(item=item, on=filed)))
    found.sort(key=lambda each: each[:2])
    yield from congress.versions(_dated(found), live=live)


def _dated(found: Iterable[tuple[date, date, congress.Stated]]) -> Iterator[congress.Stated]:
    """A first record counts from its filing, a further one of the same trade from its revision."""
    told: set[tuple[object, ...]] = set()
    for filed, modified, stated in found:
        key = congress.key_of(stated.item)
        yield congress.Stated(item=stated.item, on=max(filed, modified) if key in told else filed)
        told.add(key)


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Disclosures: the newest 500 of each chamber, or with `backfill` the full history page by page.

    Both are asked for in V1, so that a row is the same whichever told of it. Option `backfill` gives rows the archive's `known_at`
    and keeps those known from `since` to `until`; without it `known_at` is null and all of the answer is returned, for amended
    records reappear among the new ones. Raises SourceRefused without the plan, SourceChanged for another shape.
    """
    if not options.get("backfill"):
        page = _page(http.get(LIVE, source=SOURCE, rate=LIVE_RATE), LIVE)
        yield from tables.batches(congress.CongressTrade, parse([(page, LIVE)], live=True))
        return
    yield from tables.batches(congress.CongressTrade, congress.within(parse(_pages(http), live=False), since, until))


def parse_file(records: list[Any], name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of a saved answer of any edition."""
    return parse([(records, name)], live=False)


def _pages(http: "Http") -> Iterator[tuple[list[Any], str]]:
    """Pages until one is shorter than those before it: the service may allow fewer records a page than were asked for."""
    longest, before = 0, None
    for number in range(1, MAX_PAGES + 1):
        at = f"{BULK}?page={number}"
        page = _page(http.get(BULK, {"page": number, "page_size": PAGE_SIZE}, source=SOURCE, rate=BULK_RATE), BULK)
        if page and page == before:
            raise SourceChanged(f"{at}: the same records as on the page before")
        yield page[_repeated(before or [], page) :], at
        if len(page) < max(longest, 1):
            return
        longest, before = max(longest, len(page)), page
    raise SourceChanged(f"{BULK}: more than {MAX_PAGES} pages")


def _repeated(before: list[Any], page: list[Any]) -> int:
    """How many records a page repeats from the end of the one before, because new ones came in between; a single one may be genuine."""
    for count in range(min(len(before), len(page), MAX_SHIFT), 1, -1):
        if before[-count] == page[0] and before[-count:] == page[:count]:
            return count
    return 0


def _page(answer: "Response", url: str) -> list[Any]:
    """The array of an answer. Older deployments report a missing plan as a bare JSON string with status 200, and overload as a text."""
    if len(answer.content) < MAX_MESSAGE and any(word in answer.content for word in OVERLOAD):
        raise SourceUnavailable(f"{url}: overloaded, it says {answer.content[:100]!r}")
    document = answer.json()
    said = document.get("detail") if isinstance(document, dict) else document
    if isinstance(said, str) and "subscription" in said.lower():
        raise SourceRefused(f"{url}: {said[:200]}")
    if not isinstance(document, list):
        raise SourceChanged(f"{url}: an array of records was expected, not {type(document).__name__}")
    for index, record in enumerate(document):
        keys = set(record) if isinstance(record, dict) else set()
        if not (keys >= forms.QUIVER_V1 or keys >= forms.QUIVER_V2):
            raise SourceChanged(f"{url}[{index}]: neither a V1 nor a V2 record, keys {', '.join(sorted(map(str, keys)))[:300]}")
    return document
