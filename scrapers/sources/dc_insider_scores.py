"""How close companies are to Washington: Quiver's DC Insider Score from its page, or a score of our own."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import files, insider_score, markup, rates, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

PAGE = "https://www.quiverquant.com/scores/dcinsider"
SOURCE, OWN_SOURCE = "quiver_insider_page", "own_insider_score"
RATE = rates.QUIVER_PAGES
TICKER_HEADINGS = ("ticker", "symbol", "stock")
SCORE_HEADINGS = ("dc insider score", "insider score", "score")
RANK_HEADINGS = ("rank", "#")
SNAPSHOT = time(6, 0)
"""New York time of the weekly scores of the past, before the first use of the day."""
TAIL = 4000
"""Characters at the end of a page among which its closing mark stands."""
SHAPES = {"Quiver page (HTML)": "a table headed Ticker and Score; the file's name holds its date, YYYY-MM-DD"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InsiderScore:
    """The score of one company on one day: 0 to 100, higher is closer. rank: 1 is the highest. origin: quiver or own, never to be mixed."""

    symbol: str
    score_date: date
    score: float
    rank: int | None
    origin: str


def parse_page(text: str, on: date, name: str) -> Iterator[tables.Timed | Reject]:
    """Scores of the page, found by the names of its headings; known from the day after `on`.

    Raises SourceChanged when no table has a ticker and a score, or when most of its rows cannot be read.
    """
    if "</html" not in text[-TAIL:].lower():
        raise SourceChanged(f"{name}: the page ends in its middle")
    table = next((found for found in markup.html_tables(text, name) if _columns(found) is not None), None)
    columns = _columns(table) if table is not None else None
    if table is None or columns is None:
        raise SourceChanged(f"{name}: a table with headings like {TICKER_HEADINGS[0]} and {SCORE_HEADINGS[0]} was expected")
    items = [_row(row, columns, on, f"{name}[{number}]") for number, row in enumerate(table.rows[1:], start=1)]
    rejected = sum(isinstance(item, Reject) for item in items)
    if not items or 2 * rejected > len(items):
        raise SourceChanged(f"{name}: {rejected} of {len(items)} rows under the headings cannot be read")
    told: set[str] = set()
    for number, item in enumerate(items, start=1):
        if isinstance(item, tables.Timed) and item.row.symbol in told:
            cells = [cell.text for cell in table.rows[number]]
            item = tables.reject("repeated_symbol", f"{item.row.symbol} has a score already", cells, f"{name}[{number}]")
        elif isinstance(item, tables.Timed):
            told.add(item.row.symbol)
        yield item


def _columns(table: markup.HtmlTable) -> tuple[int, int, int | None] | None:
    """Places of ticker, score and, where there is one, rank; None without the former two."""
    names = [name.lower() for name in table.header()]
    ticker, score, rank = (
        next((names.index(wanted) for wanted in headings if wanted in names), None)
        for headings in (TICKER_HEADINGS, SCORE_HEADINGS, RANK_HEADINGS)
    )
    return None if ticker is None or score is None else (ticker, score, rank)


def _row(row: list[markup.Cell], columns: tuple[int, int, int | None], on: date, at: str) -> tables.Timed | Reject:
    cells = [cell.text for cell in row]
    ticker, score, rank = (cells[place] if place is not None and place < len(cells) else "" for place in columns)
    symbol = symbols.canonical(ticker) or _first_word(ticker)
    value = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?)(?:\s*(?:%|/\s*100))?", score)
    if symbol is None:
        return tables.reject("no_ticker", f"ticker {ticker!r}", cells, at)
    if value is None or float(value[1]) > 100.0:
        return tables.reject("bad_score", f"score {score!r} is no number from 0 to 100", cells, at)
    place = int(rank) if re.fullmatch(r"[1-9]\d{0,5}", rank) else None
    return _timed(InsiderScore(symbol=symbol, score_date=on, score=float(value[1]), rank=place, origin="quiver"), times.day_after(on))


def _first_word(text: str) -> str | None:
    """The ticker before a company's name in one cell."""
    word = text.split(" ", 1)[0]
    return symbols.canonical(word) if word.isupper() else None


def _timed(row: InsiderScore, known_at: datetime | None) -> tables.Timed:
    return tables.Timed(row=row, event_at=times.new_york(row.score_date), known_at=known_at)


def fetch_page(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The scores that the page shows, dated by `until`; it shows the present alone. Its customers ask once a day."""
    text = http.get(PAGE, source=SOURCE, rate=RATE).text()
    items = parse_page(text, times.new_york_date(until), PAGE)
    yield from tables.batches(InsiderScore, map(tables.unstamped, items))


def compute(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Our own scores (scrapers/insider_score.py) on what was known: at `until`, or with `backfill` at 06:00 New York of each Monday.

    Options `rows:congress_trades`, `rows:lobbying`, `rows:gov_contracts` hand over what is stored, `symbols` the companies; without
    rows there are no scores. Nobody is asked.
    """
    inputs = insider_score.Inputs(
        congress=options.get("rows:congress_trades"), lobbying=options.get("rows:lobbying"), contracts=options.get("rows:gov_contracts")
    )
    companies = frozenset(options.get("symbols") or ())
    if options.get("backfill"):
        for asof in mondays(since, until):
            yield from tables.batches(InsiderScore, _own(inputs, asof, companies, asof))
    else:
        yield from tables.batches(InsiderScore, _own(inputs, until, companies, None))


def mondays(since: datetime, until: datetime) -> Iterator[datetime]:
    """The instants from `since` to `until` at which weekly scores are taken. UTC."""
    day = times.new_york_date(since)
    day += timedelta(days=-day.weekday() % 7)
    while (at := times.new_york(day, SNAPSHOT)) <= until:
        if at >= since:
            yield at
        day += timedelta(days=7)


def _own(inputs: insider_score.Inputs, asof: datetime, companies: frozenset[str], known_at: datetime | None) -> list[tables.Timed]:
    found = insider_score.scores(inputs, asof, companies)
    ranking = sorted(found, key=lambda symbol: (-found[symbol], symbol))
    on = times.new_york_date(asof)
    return [
        _timed(InsiderScore(symbol=symbol, score_date=on, score=found[symbol], rank=place, origin="own"), known_at)
        for place, symbol in enumerate(ranking, start=1)
    ]


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved pages, dated by their file names; raises BadFile for any other shape."""
    for path in paths:
        text = files.read(path).decode("utf-8-sig", errors="replace")
        if "<table" not in text.lower():
            files.unknown_shape(path.name, "no table", SHAPES)
        dated = re.search(r"\d{4}-\d{2}-\d{2}", path.name)
        on = times.parse_date(dated[0]) if dated else None
        if on is None:
            raise BadFile(f"{path.name}: a page does not say of which day it is; put the date into the file's name, YYYY-MM-DD")
        try:
            yield from tables.batches(InsiderScore, parse_page(text, on, path.name))
        except SourceChanged as error:
            raise BadFile(str(error)) from error


DATASET = Dataset(
    name="dc_insider_scores",
    row=InsiderScore,
    key=("symbol", "score_date", "origin"),
    schedule="cron: mon-fri 06:30",
    description="How close companies are to Washington: Quiver's DC Insider Score, or our own from trades, lobbying and contracts",
    known="own scores of the past: Mondays, from what was known then",
    sources=(
        Source(name=SOURCE, fetch=fetch_page, rate=RATE, urls=(PAGE,), needs=("quiver_api_key",), history=False),
        Source(
            name=OWN_SOURCE,
            fetch=compute,
            rate=RATE,
            urls=(PAGE,),
            rank=1,
            wants=("symbols", "rows:congress_trades", "rows:lobbying", "rows:gov_contracts"),
        ),
    ),
    load=load,
    grace=timedelta(hours=6),
    max_silence=timedelta(days=7),
)
