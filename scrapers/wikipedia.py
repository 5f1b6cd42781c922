"""Wikipedia's lists of the members of the S&P indices, and the names of its articles."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from scrapers import markup, symbols, tables
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.markup import Cell

HOST = "en.wikipedia.org"
LISTS = {
    "sp500": "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies",
    "sp400": "https://en.wikipedia.org/wiki/List_of_S%26P_400_companies",
    "sp600": "https://en.wikipedia.org/wiki/List_of_S%26P_600_companies",
}
"""Index name -> its page."""
_HEADINGS = {
    "symbol": ("symbol", "ticker"),
    "name": ("security", "company"),
    "sector": ("gics sector", "sector"),
    "sub_industry": ("gics sub", "sub"),
}
_NEEDED = ("symbol", "name")
_EXCHANGE = re.compile(r"^(?:NYSE|NASDAQ|CBOE|AMEX|NYSE American|NYSE Arca)\s*:\s*", re.IGNORECASE)
_NOTE = re.compile(r"\s*\[[^\]]*\]")
_NAMESPACES = {"category", "file", "help", "image", "portal", "special", "talk", "template", "template_talk", "user", "wikipedia"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCompany:
    """One line of a list. symbol: canonical. article: title with underscores, decoded; empty for a company without an article.

    sector, sub_industry: GICS names as written; empty where the list has no such column.
    """

    symbol: str
    name: str
    article: str
    sector: str
    sub_industry: str


def companies(text: str, url: str) -> list[ListedCompany | Reject]:
    """The companies of a list page in its order: those of the first table that has a symbol and a company column.

    text: the page's HTML. A line that is no company is a Reject (`ragged_record`, `bad_symbol`, `no_name`), and so is a second line of
    one symbol (`repeated_symbol`). Raises SourceChanged when there is no such table, when it is empty, or when most of its lines are no
    companies.
    """
    header, lines = _table(text, url)
    columns = {name: place for name, prefixes in _HEADINGS.items() if (place := _column(header, prefixes)) is not None}
    found = [_company(cells, len(header), columns, f"{url}:{number}") for number, cells in enumerate(lines, start=1)]
    refused = sum(isinstance(item, Reject) for item in found)
    if not found or 2 * refused > len(found):
        raise SourceChanged(f"{url}: {refused} of the {len(found)} lines below {', '.join(header)[:200]} are no companies")
    return _once(found, url)


def _once(found: list[ListedCompany | Reject], url: str) -> list[ListedCompany | Reject]:
    seen = set[str]()
    for place, item in enumerate(found):
        if isinstance(item, ListedCompany) and item.symbol in seen:
            found[place] = tables.reject("repeated_symbol", f"{item.symbol} stands in the list twice", [item.symbol, item.name], url)
        elif isinstance(item, ListedCompany):
            seen.add(item.symbol)
    return found


def _table(text: str, url: str) -> "tuple[list[str], list[list[Cell]]]":
    """Heading texts and lines of the first table with the columns that are needed."""
    found = []
    for table in markup.html_tables(text, url):
        header = [_plain(cell) for cell in table.header()]
        if all(_column(header, _HEADINGS[name]) is not None for name in _NEEDED):
            return header, table.rows[1:]
        found.append(" | ".join(header)[:80])
    raise SourceChanged(f"{url}: no table with a symbol and a company column, found {len(found)} tables: {'; '.join(found)[:300]}")


def _column(header: list[str], prefixes: tuple[str, ...]) -> int | None:
    return next((place for place, name in enumerate(header) if name.lower().startswith(prefixes)), None)


def _company(cells: "list[Cell]", width: int, columns: dict[str, int], at: str) -> ListedCompany | Reject:
    texts = [_plain(cell.text) for cell in cells]
    if len(cells) != width:
        return tables.reject("ragged_record", f"{len(cells)} cells below {width} headings", texts, at)
    said = {name: texts[place] for name, place in columns.items()}
    symbol = symbols.canonical(_EXCHANGE.sub("", said["symbol"]))
    if symbol is None:
        return tables.reject("bad_symbol", f"symbol {said['symbol']!r}", texts, at)
    if not said["name"]:
        return tables.reject("no_name", f"symbol {symbol}", texts, at)
    return ListedCompany(
        symbol=symbol,
        name=said["name"],
        article=next(filter(None, map(article, cells[columns["name"]].links)), ""),
        sector=said.get("sector", ""),
        sub_industry=said.get("sub_industry", ""),
    )


def _plain(text: str) -> str:
    """Without footnote marks."""
    return _NOTE.sub("", text).strip()


def article(link: str) -> str:
    """The article that a link of a page leads to: its title with underscores, decoded; empty when it leads elsewhere.

    Links to articles that do not exist yet (`/w/index.php?...redlink=1`) and to other name spaces lead elsewhere.
    """
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    if parts.netloc not in ("", HOST) or parts.query:
        return ""
    for prefix in ("/wiki/", "./"):
        if parts.path.startswith(prefix):
            title = unquote(parts.path.removeprefix(prefix)).replace(" ", "_")
            return "" if title.partition(":")[0].lower() in _NAMESPACES and ":" in title else title
    return ""
