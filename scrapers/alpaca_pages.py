"""Reading Alpaca's paged market data: symbols in groups, pages until no token is left."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scrapers import rates
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

DATA = "https://data.alpaca.markets"
RATE = rates.ALPACA_DATA
SYMBOLS_PER_REQUEST = 100
MAX_PAGES = 10_000


def pages(http: "Http", path: str, key: str, symbols: Sequence[str], params: Mapping[str, str | int], *, source: str) -> Iterator[Any]:
    """The value under `key` of every page, for all symbols in groups of at most 100.

    Raises SourceChanged when the key is missing or the pages repeat a token.
    """
    for start in range(0, len(symbols), SYMBOLS_PER_REQUEST):
        group = ",".join(symbols[start : start + SYMBOLS_PER_REQUEST])
        yield from _group(http, f"{DATA}{path}", key, {**params, "symbols": group}, source)


def _group(http: "Http", url: str, key: str, params: dict[str, str | int], source: str) -> Iterator[Any]:
    used: set[str] = set()
    while True:
        document = http.get(url, params, source=source, rate=RATE).json()
        if not isinstance(document, dict) or key not in document:
            found = ", ".join(sorted(document))[:300] if isinstance(document, dict) else type(document).__name__
            raise SourceChanged(f"{url}: an object with `{key}` was expected, found {found}")
        yield document[key]
        token = document.get("next_page_token")
        if not token:
            return
        if not isinstance(token, str) or token in used or len(used) >= MAX_PAGES:
            raise SourceChanged(f"{url}: next_page_token does not lead to a new page")
        used.add(token)
        params = {**params, "page_token": token}
