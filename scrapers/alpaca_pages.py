"""Reading Alpaca's paged market data: symbols in groups, pages until no token is left."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scrapers import rates, tables
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.answers import Response
    from scrapers.http import Http

DATA = "https://data.alpaca.markets"
RATE = rates.ALPACA_DATA
SYMBOLS_PER_REQUEST = 100
MAX_PAGES = 10_000


def pages(
    http: "Http", path: str, key: str, symbols: Sequence[str] | None, params: Mapping[str, str | int], *, source: str
) -> Iterator[tuple[list[str], Any] | Reject]:
    """(symbols asked for, value under `key`) of every page, for all symbols in groups of at most 100; None asks for every symbol.

    One symbol that the service does not know spoils a request for all of its group (400 `invalid symbol(s): ...`). It is left out, by its
    name or else by halving the group until it stands alone, and is a Reject `unknown_symbol`.
    Raises SourceChanged when the key is missing, the pages repeat a token, or the service finds fault with anything but a symbol.
    """
    url = f"{DATA}{path}"
    if symbols is None:
        yield from (([], page) for page in _rest(http, url, key, params, source, _asked(http, url, params, source)))
        return
    waiting = [list(symbols[i : i + SYMBOLS_PER_REQUEST]) for i in range(0, len(symbols), SYMBOLS_PER_REQUEST)][::-1]
    while waiting:
        group = waiting.pop()
        asked = {**params, "symbols": ",".join(group)}
        answer = http.get(url, asked, source=source, rate=RATE, accept=(400,))
        if answer.status != 400:
            yield from ((group, page) for page in _rest(http, url, key, asked, source, answer))
            continue
        refused, smaller = _without_refused(group, _complaint(answer, url))
        waiting += smaller[::-1]
        yield from (tables.reject("unknown_symbol", f"Alpaca knows no {symbol}", symbol, f"{url} symbols={symbol}") for symbol in refused)


def _asked(http: "Http", url: str, params: Mapping[str, str | int], source: str) -> "Response":
    return http.get(url, params, source=source, rate=RATE)


def _rest(http: "Http", url: str, key: str, params: Mapping[str, str | int], source: str, answer: "Response") -> Iterator[Any]:
    """The value under `key` of an answer and of all pages that follow it."""
    used: set[str] = set()
    while True:
        document = answer.json()
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
        answer = _asked(http, url, {**params, "page_token": token}, source)


def _complaint(answer: "Response", url: str) -> str:
    """What the service says of a symbol; SourceChanged when it complains of something else."""
    document = answer.json()
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, str) or not re.search(r"invalid symbol", message, re.IGNORECASE):
        raise SourceChanged(f"{url}: answered 400, {str(message)[:300]!r}")
    return message


def _without_refused(group: list[str], message: str) -> tuple[list[str], list[list[str]]]:
    """The symbols that are to blame, and the groups to ask for instead."""
    named = set(re.split(r"[^A-Za-z0-9./-]+", message))
    refused = [symbol for symbol in group if symbol in named]
    if not refused and len(group) > 1:
        return [], [group[: len(group) // 2], group[len(group) // 2 :]]
    refused = refused or group
    left = [symbol for symbol in group if symbol not in refused]
    return refused, [left] if left else []
