"""Who is who: sector, industry and name of listed companies, from index constituent lists."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import disclosures, files, rates, symbols, tables, times, wikipedia, withdrawn
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "datahub_constituents"
WIKIPEDIA = "wikipedia_constituents"
WIKIPEDIA_INDICES = ("sp400", "sp600")
KEY = ("symbol",)
URL = "https://datahub.io/core/s-and-p-500-companies/_r/-/data/constituents.csv"
RATE = rates.DATAHUB
SHORTEST_LAST_CELL = 4
"""Characters of a year: the list ends with the year in which a company was founded."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
SHAPES = {"constituents (CSV)": "Symbol or ticker, GICS Sector or sector[, Security, GICS Sub-Industry, Date added, CIK, ...]"}
_ALIASES = {
    "symbol": "symbol",
    "ticker": "symbol",
    "ticker symbol": "symbol",
    "gics sector": "sector",
    "sector": "sector",
    "gics sub-industry": "sub_industry",
    "sub-industry": "sub_industry",
    "sub_industry": "sub_industry",
    "security": "name",
    "company": "name",
    "name": "name",
    "date added": "date_added",
    "date_added": "date_added",
    "cik": "cik",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constituent:
    """What is known of a company beside its prices; empty text where the list says nothing.

    index_name: the list that names it (sp500, sp400 or sp600), which alone may withdraw it; empty for an imported one.
    """

    symbol: str
    sector: str
    sub_industry: str
    name: str
    cik: str
    date_added: date | None
    index_name: str = ""


def parse(content: bytes, *, name: str, index_name: str = "") -> Iterator[tables.Timed | Reject]:
    """Rows of any CSV with a symbol and a sector column; BadFile for another.

    known_at is 00:00 New York of the day after `Date added`, or 1970 where the list has no such date. Such lists say what the
    sectors are today: a sector that was changed later (GICS moved companies in 2018) is projected back. Use them to group
    holdings, not as evidence of what was known.
    """
    for at, cells in records(content, name):
        yield _row(cells, at, index_name)


def records(content: bytes, name: str) -> Iterator[tuple[str, dict[str, str] | list[str]]]:
    """(position, cells by common column name) of a constituent list; a record that does not fit the header stays a list."""
    header, lines = files.csv_rows(content, name)
    columns = [_ALIASES.get(column.lower(), "") for column in header]
    if not {"symbol", "sector"} <= set(columns):
        files.unknown_shape(name, f"columns {', '.join(header)[:300]}", SHAPES)
    for line, cells in lines:
        fits = len(cells) == len(columns)
        yield f"{name}:{line}", {k: disclosures.plain(v) for k, v in zip(columns, cells, strict=True) if k} if fits else cells


def _row(cells: dict[str, str] | list[str], at: str, index_name: str) -> tables.Timed | Reject:
    if isinstance(cells, list):
        return tables.reject("ragged_record", f"{len(cells)} cells", cells, at)
    symbol = symbols.canonical(cells["symbol"])
    if symbol is None or not cells["sector"]:
        return tables.reject("bad_symbol" if symbol is None else "no_sector", f"symbol {cells['symbol']!r}", cells, at)
    added = times.parse_date(cells.get("date_added", ""))
    row = Constituent(
        symbol=symbol,
        sector=cells["sector"],
        sub_industry=cells.get("sub_industry", ""),
        name=cells.get("name", ""),
        cik=cells.get("cik", "").lstrip("0"),
        date_added=added,
        index_name=index_name,
    )
    if added is None:
        return tables.Timed(row=row, event_at=ALWAYS, known_at=ALWAYS)
    return tables.Timed(row=row, event_at=times.new_york(added), known_at=times.day_after(added))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import constituent lists; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(Constituent, parse(files.read(path), name=path.name))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The present S&P 500 list, whole; who is not on it any more is withdrawn.

    Options: `rows:constituents` and `backfill` (rows get the archive's known_at, and nothing is withdrawn).
    """
    content = http.get(URL, source=SOURCE, rate=RATE).content
    try:
        items = list(parse(whole(content), name=URL, index_name="sp500"))
    except BadFile as error:
        raise SourceChanged(str(error)) from error
    strange = sum(isinstance(item, Reject) and item.reason != "no_sector" for item in items)
    if not items or 2 * strange > len(items):
        raise SourceChanged(f"{URL}: {strange} of {len(items)} lines are no companies")
    yield from tables.batches(Constituent, _whole(items, "sp500", until, options, URL))


def whole(content: bytes) -> bytes:
    """The list as it came; SourceChanged when it breaks off within a line, which would end the membership of all that follow.

    A last line without an end is whole when it has all of its cells, and more than the beginning of the last one.
    """
    if content and not content.endswith(b"\n"):
        header, lines = files.csv_rows(content, URL)
        last = next(reversed([line for _, line in lines]), [])
        if not last or len(last) != len(header) or len(last[-1].strip()) < SHORTEST_LAST_CELL:
            raise SourceChanged(f"{URL}: the list of {len(content)} bytes breaks off within a line")
    return content


def fetch_wikipedia(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The present lists of the S&P 400 and 600, as Wikipedia has them. Options as for the S&P 500."""
    for index_name in WIKIPEDIA_INDICES:
        url = wikipedia.LISTS[index_name]
        text = http.get(url, source=WIKIPEDIA, rate=rates.WIKIMEDIA).text()
        items = [_listed(company, index_name, url) for company in wikipedia.companies(text, url)]
        if 2 * sum(isinstance(item, Reject) and item.reason == "no_sector" for item in items) > len(items):
            raise SourceChanged(f"{url}: most of {len(items)} companies have no sector")
        yield from tables.batches(Constituent, _whole(items, index_name, until, options, url))


def _listed(company: wikipedia.ListedCompany | Reject, index_name: str, url: str) -> tables.Timed | Reject:
    if isinstance(company, Reject):
        return company
    cells = {"symbol": company.symbol, "sector": company.sector, "sub_industry": company.sub_industry, "name": company.name}
    return _row(cells, f"{url} {company.symbol}", index_name)


def _whole(
    items: list[tables.Timed | Reject], index_name: str, until: datetime, options: Mapping[str, Any], url: str
) -> Iterable[tables.Timed | Reject]:
    """The rows of one whole list, and the withdrawals of those that it named before: each list answers for its own rows alone."""
    if options.get("backfill"):
        return items
    named = {(item.row.symbol,) for item in items if not isinstance(item, Reject)}
    named |= {(symbol,) for symbol in withdrawn.mentioned(item for item in items if isinstance(item, Reject))}
    lost = withdrawn.gone(
        options.get("rows:constituents"),
        Constituent,
        KEY,
        named,
        asof=until,
        concerns=lambda row: row.index_name == index_name,
        event_at=lambda row: ALWAYS if row.date_added is None else times.new_york(row.date_added),
        name=url,
    )
    return [*map(tables.unstamped, items), *lost]


DATASET = Dataset(
    name="constituents",
    row=Constituent,
    key=KEY,
    schedule="cron: sat 08:00",
    description="Sector, sub-industry and name by symbol",
    known="00:00 New York of the day after `date_added`; 1970 where the list has none",
    sources=(
        Source(name=SOURCE, fetch=fetch, rate=RATE, urls=(URL,), wants=("rows:constituents",)),
        Source(
            name=WIKIPEDIA,
            fetch=fetch_wikipedia,
            rate=rates.WIKIMEDIA,
            urls=tuple(wikipedia.LISTS[name] for name in WIKIPEDIA_INDICES),
            needs=("contact",),
            wants=("rows:constituents",),
        ),
    ),
    load=load,
)
