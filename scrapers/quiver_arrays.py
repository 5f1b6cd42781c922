"""Quiver's endpoints that answer with a bare JSON array: one answer, its pages, or nothing for a ticker."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scrapers import rates, records
from scrapers.base import Rate
from scrapers.errors import SourceChanged, SourceRefused

if TYPE_CHECKING:
    from scrapers.http import Http

PAGE_SIZE = 500
SMALLEST_PAGE = 20
"""No service cuts its pages shorter than this: a first page below it is the only one."""
MAX_PAGES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint. keys: what each of its records has. The rate is that of endpoints whose group is not documented."""

    url: str
    keys: frozenset[str]
    source: str
    rate: Rate = rates.QUIVER_10_MINUTE

    def array(self, http: "Http", params: Mapping[str, str | int] | None = None) -> list[Any]:
        """The records of one answer. Raises SourceRefused for a missing plan and SourceChanged for any other shape."""
        return self._ask(http, params, ()) or []

    def everything(self, http: "Http", params: Mapping[str, str | int]) -> list[Any]:
        """The records of all pages together."""
        return [record for page in self._pages(http, params, ()) for record in page or []]

    def of_tickers(self, http: "Http", tickers: Collection[str], *, paged: bool = False) -> Iterator[tuple[str, list[Any]]]:
        """(url, records) of `url/{ticker}` for each ticker that the service knows; SourceChanged when it knows none of several."""
        unknown = 0
        for ticker in tickers:
            own = replace(self, url=f"{self.url}/{quote(ticker)}")
            pages = list(own._pages(http, {}, (404,))) if paged else [own._ask(http, None, (404,))]
            unknown += pages[0] is None
            yield own.url, [record for page in pages for record in page or []]
        if unknown > 1 and unknown == len(tickers):
            raise SourceChanged(f"{self.url}: answered 404 for each of {unknown} tickers")

    def _ask(self, http: "Http", params: Mapping[str, str | int] | None, accept: Collection[int]) -> list[Any] | None:
        """The records of one answer; None for an accepted 404."""
        answer = http.get(self.url, params, source=self.source, rate=self.rate, accept=accept)
        return None if answer.status == 404 else _array(answer.json(), self.keys, self.url)

    def _pages(self, http: "Http", params: Mapping[str, str | int], accept: Collection[int]) -> Iterator[list[Any] | None]:
        """Page after page until one is empty or shorter than those before it: the service may allow fewer records a page than were
        asked for.
        """
        longest, read = SMALLEST_PAGE, set[str]()
        for number in range(1, MAX_PAGES + 1):
            page = self._ask(http, {**params, "page": number, "page_size": PAGE_SIZE}, accept if number == 1 else ())
            mark = records.fingerprint(page)
            if page and mark in read:
                raise SourceChanged(f"{self.url}?page={number}: the same records as on an earlier page")
            yield page
            if page is None or len(page) < longest:
                return
            longest = len(page)
            read.add(mark)
        raise SourceChanged(f"{self.url}: more than {MAX_PAGES} pages")


def _array(document: Any, keys: frozenset[str], url: str) -> list[Any]:
    """Older deployments report a missing plan as a bare JSON string with status 200; an object with `detail` says it as well."""
    said = document.get("detail") if isinstance(document, dict) else document
    if isinstance(said, str) and "subscription" in said.lower():
        raise SourceRefused(f"{url}: {said[:200]}")
    return records.check_shape(document, keys, url)
