"""LDA.gov: filings under the Lobbying Disclosure Act, page by page."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from scrapers import rates, records
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "lda"
HOST = "lda.gov"
URL = f"https://{HOST}/api/v1/filings/"
PAGE_SIZE = 25
MAX_PAGES = 4000
KEYS = frozenset({"filing_uuid", "filing_type", "filing_year", "filing_period", "dt_posted", "income", "expenses", "registrant", "client"})
PAGE_KEYS = frozenset({"count", "next", "results"})
QUARTERS = {"first_quarter": 1, "second_quarter": 2, "third_quarter": 3, "fourth_quarter": 4}


def filings(http: "Http", asked: Mapping[str, str]) -> Iterator[tuple[list[Any], str]]:
    """(records, position) of each page of the filings that fit `asked`, newest first, along `next`.

    Raises SourceChanged for another shape, for a `next` that leaves the service, comes back to a page already read, or never ends.
    """
    params: dict[str, str | int] = {**asked, "ordering": "-dt_posted", "page_size": PAGE_SIZE, "page": 1}
    read: set[tuple[tuple[str, str], ...]] = set()
    for number in range(1, MAX_PAGES + 1):
        document = http.get(URL, params, source=SOURCE, rate=rates.LDA).json()
        if not isinstance(document, dict) or not document.keys() >= PAGE_KEYS:
            raise SourceChanged(f"{URL}: an object with count, next and results was expected")
        yield records.check_shape(document["results"], KEYS, URL), f"{URL} page {number}"
        if document["next"] is None:
            return
        params = _params(document["next"])
        query = tuple(sorted((name, str(value)) for name, value in params.items()))
        if query in read:
            raise SourceChanged(f"{URL}: `next` leads back to a page that was read")
        read.add(query)
    raise SourceChanged(f"{URL}: more than {MAX_PAGES} pages")


def _params(url: object) -> dict[str, str | int]:
    """The parameters of a `next`; SourceChanged unless it is this very list, which is asked by https whatever `next` says."""
    parts = None
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        own = parts is not None and parts.scheme in ("http", "https") and (parts.hostname, parts.path) == (HOST, urlsplit(URL).path)
    except ValueError:
        own = False
    if parts is None or not own:
        raise SourceChanged(f"{URL}: `next` is {str(url)[:200]!r}, which is another address")
    return dict(parse_qsl(parts.query, keep_blank_values=True))
