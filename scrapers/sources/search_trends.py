"""How often people search the web for a company's stock, on the scale of Google Trends."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import cells, files, markup, rates, symbols, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import SourceChanged, SourceUnavailable

if TYPE_CHECKING:
    from scrapers.http import Http, Jar
    from scrapers.markup import Cell

QUIVER_SOURCE, GOOGLE_SOURCE = "quiver_trends_page", "google_trends"
QUIVER = "https://www.quiverquant.com/googletrends/"
GOOGLE = "https://trends.google.com/trends"
GOOGLE_HOST = "trends.google.com"
QUIVER_RATE, GOOGLE_RATE = rates.QUIVER_PAGES, rates.GOOGLE_TRENDS
WINDOW = timedelta(days=90)
"""What one request to Google spans. Below nine months its points are days."""
ZONE = 360
SHAPES = {"answer of Google's multiline widget (JSON)": "default.timelineData[]; its file is called SYMBOL.json"}
_HEADINGS = {
    "symbol": re.compile(r"\b(?:ticker|symbol)"),
    "value": re.compile(r"\b(?:interest|search|trend|google|score|value)"),
    "day": re.compile(r"\b(?:date|day|week|time|as of)\b"),
}
_GUARD = re.compile(r"\s*\)\]\}',?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchInterest:
    """Searches for a keyword on a day of UTC, from 0 to 100.

    batch: rows are on one scale only inside a batch, whose largest value is 100: Google scales the answer to each request by itself,
    and a page of Quiver is a scale of its own. partial: the day was not over.
    """

    origin: str
    batch: str
    keyword: str
    symbol: str
    day: date
    value: float
    partial: bool


def batch_of(*parts: object) -> str:
    """A short name for one scale: the hash of what it was made from."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def keyword_of(symbol: str) -> str:
    """What is searched for: the ticker alone would also be a word, and the company's name its products."""
    return f"{symbol} stock"


def parse_page(text: str, *, url: str, today: date) -> list[tables.Timed | Reject]:
    """Rows of Quiver's page: those of its first table with a ticker and a value column, found by their headings.

    A table without dates is of `today`. SourceChanged when there is no such table, when it is empty, or when most lines are no values.
    """
    for table in markup.html_tables(text, url):
        header = table.header()
        columns = {name: place for name, form in _HEADINGS.items() if (place := _column(header, form)) is not None}
        if {"symbol", "value"} <= set(columns):
            lines = enumerate(table.rows[1:], start=1)
            made = [_line(cells, columns, len(header), today, f"{url}:{number}") for number, cells in lines]
            refused = sum(isinstance(item, Reject) for item in made)
            if not made or 2 * refused > len(made):
                raise SourceChanged(f"{url}: {refused} of {len(made)} lines below {', '.join(header)[:200]} are no values")
            return _once(made, url)
    raise SourceChanged(f"{url}: no table with a ticker and a value column")


def _once(made: list[tables.Timed | Reject], url: str) -> list[tables.Timed | Reject]:
    """A second value of a symbol and day is a reject, `repeated_symbol`."""
    seen = set[tuple[str, date]]()
    for place, item in enumerate(made):
        if not isinstance(item, Reject) and (item.row.symbol, item.row.day) in seen:
            made[place] = tables.reject("repeated_symbol", f"a second value of {item.row.symbol} on {item.row.day}", item.row.value, url)
        elif not isinstance(item, Reject):
            seen.add((item.row.symbol, item.row.day))
    return made


def _column(header: list[str], form: re.Pattern[str]) -> int | None:
    """The first heading that begins with one of the words, else the first that contains one."""
    names = [name.lower() for name in header]
    begins = (place for place, name in enumerate(names) if form.match(name))
    return next(begins, next((place for place, name in enumerate(names) if form.search(name)), None))


def _line(written: "list[Cell]", columns: dict[str, int], width: int, today: date, at: str) -> tables.Timed | Reject:
    texts = [cell.text for cell in written]
    if len(written) != width:
        return tables.reject("ragged_record", f"{len(written)} cells below {width} headings", texts, at)
    said = {name: texts[place] for name, place in columns.items()}
    ticker = said["symbol"].partition(" ")[0].lstrip("$")
    symbol, value = symbols.canonical(ticker), _number(said["value"])
    day = times.parse_date(said["day"]) if "day" in said else today
    if symbol is None:
        return tables.reject("bad_symbol", f"ticker {ticker[:40]!r}", texts, at)
    if value is None or day is None or day > today:
        return tables.reject("bad_record", f"value {said['value'][:40]!r}, date {said.get('day', '')[:40]!r}", texts, at)
    row = SearchInterest(
        origin="quiver", batch=batch_of("quiver", day), keyword=keyword_of(symbol), symbol=symbol, day=day, value=value, partial=False
    )
    return tables.Timed(row=row, event_at=times.new_york(day), known_at=None)


def _number(value: object) -> float | None:
    """A value of the scale, from a number or its text; None for anything else."""
    found = cells.number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    return found if found is not None and 0 <= found <= 100 else None


def fetch_quiver(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The values on Quiver's page at `until`. Option `backfill`: the page has no past, its rows are known from `until`."""
    text = http.get(QUIVER, source=QUIVER_SOURCE, rate=QUIVER_RATE).text()
    items = parse_page(text, url=QUIVER, today=times.new_york_date(until))
    yield from tables.batches(SearchInterest, known_from(items, until if options.get("backfill") else None))


def known_from(items: Iterable[tables.Timed | Reject], at: datetime | None) -> Iterator[tables.Timed | Reject]:
    """The same items, known from an instant; None leaves it to the ingest."""
    for item in items:
        yield item if isinstance(item, Reject) else tables.Timed(row=item.row, event_at=item.event_at, known_at=at)


def unguarded(text: str, url: str) -> Any:
    """The JSON behind Google's guard `)]}'`; SourceChanged when it is something else."""
    guard = _GUARD.match(text)
    try:
        return json.loads(text[guard.end() :] if guard else text)
    except (ValueError, RecursionError) as error:
        raise SourceChanged(f"{url}: no JSON behind the guard ({len(text)} characters)") from error


def parse_timeline(document: object, *, url: str, symbol: str, batch: str) -> Iterator[tables.Timed | Reject]:
    """Rows of a multiline answer for one keyword. Points without data have no row.

    Raises SourceChanged when there is no time line, or when most of its points are none.
    """
    default = document.get("default") if isinstance(document, dict) else None
    points = default.get("timelineData") if isinstance(default, dict) else None
    if not isinstance(points, list):
        raise SourceChanged(f"{url}: default.timelineData was expected, found {type(document).__name__}")
    seen: set[date] = set()
    made = [_point(point, symbol, batch, seen, f"{url}[{place}]") for place, point in enumerate(points)]
    refused = sum(isinstance(item, Reject) for item in made)
    if 2 * refused > len(made):
        raise SourceChanged(f"{url}: {refused} of {len(made)} points are none")
    yield from (item for item in made if item is not None)


def _point(point: object, symbol: str, batch: str, seen: set[date], at: str) -> tables.Timed | Reject | None:
    given = point if isinstance(point, dict) else {}
    values, has = given.get("value"), given.get("hasData", [True])
    if has == [False]:
        return None
    seconds = cells.whole(given.get("time")) or 0
    number = _number(values[0]) if isinstance(values, list) and len(values) == 1 and not isinstance(values[0], str) else None
    if not 0 < seconds < 10**10 or number is None or has != [True]:
        return tables.reject("bad_point", "time, one value from 0 to 100 and hasData were expected", point, at)
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).date()
    if day in seen:
        return tables.reject("repeated_day", f"a second value of {day}", point, at)
    seen.add(day)
    row = SearchInterest(
        origin="google",
        batch=batch,
        keyword=keyword_of(symbol),
        symbol=symbol,
        day=day,
        value=number,
        partial=given.get("isPartial") is True,
    )
    return tables.Timed(row=row, event_at=datetime.combine(day + timedelta(days=1), time(0), UTC), known_at=None)


def fetch_google(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The 90 days that end before the day of `until`, of each of the option `symbols`, a keyword a request.

    Google compares up to five keywords, but rounds to whole hundredths of the most searched one: beside a household name most
    companies would be 0. The order turns with the day, as Google breaks off many a long series of requests (429). Values are relative
    to the largest of the window, so that they are only known from its end: with the option `backfill` from `until`, else from the fetch.
    """
    listed = sorted(options.get("symbols", ()))
    if not listed:
        return
    jar: Jar = {}
    http.get(f"{GOOGLE}/explore", {"geo": "US"}, source=GOOGLE_SOURCE, rate=GOOGLE_RATE, accept=(429,), jar=jar)
    if "NID" not in jar.get(GOOGLE_HOST, {}):
        raise SourceUnavailable(f"{GOOGLE}/explore: no NID cookie was set")
    turn = until.toordinal() * 37 % len(listed)
    known_at = until if options.get("backfill") else None
    for symbol in listed[turn:] + listed[:turn]:
        yield from tables.batches(SearchInterest, known_from(_searched(http, jar, symbol, until), known_at))


def _searched(http: "Http", jar: "Jar", symbol: str, until: datetime) -> Iterator[tables.Timed | Reject]:
    last = until.astimezone(UTC).date() - timedelta(days=1)
    span = f"{last - WINDOW} {last}"
    item = {"keyword": keyword_of(symbol), "geo": "US", "time": span}
    asked = json.dumps({"comparisonItem": [item], "category": 0, "property": ""}, separators=(",", ":"))
    widget = widget_of(_get(http, jar, "api/explore", {"hl": "en-US", "tz": ZONE, "req": asked}), url=f"{GOOGLE}/api/explore")
    request = json.dumps(widget["request"], separators=(",", ":"))
    document = _get(http, jar, "api/widgetdata/multiline", {"req": request, "token": widget["token"], "tz": ZONE})
    url = f"{GOOGLE}/api/widgetdata/multiline"
    for one in parse_timeline(document, url=url, symbol=symbol, batch=batch_of("google", keyword_of(symbol), span)):
        if isinstance(one, Reject) or last - WINDOW <= one.row.day <= last:
            yield one
        else:
            yield tables.reject("not_asked_for", f"{one.row.day} is outside {span}", symbol, url)


def _get(http: "Http", jar: "Jar", path: str, params: dict[str, str | int]) -> Any:
    url = f"{GOOGLE}/{path}"
    return unguarded(http.get(url, params, source=GOOGLE_SOURCE, rate=GOOGLE_RATE, jar=jar).text(), url)


def widget_of(document: object, *, url: str) -> dict[str, Any]:
    """The widget of the time line, with its token and request; SourceChanged when there is none."""
    widgets = document.get("widgets") if isinstance(document, dict) else None
    for widget in widgets if isinstance(widgets, list) else ():
        if isinstance(widget, dict) and widget.get("id") == "TIMESERIES":
            if isinstance(widget.get("token"), str) and isinstance(widget.get("request"), dict):
                return widget
            raise SourceChanged(f"{url}: the widget TIMESERIES has no token or request")
    raise SourceChanged(f"{url}: no widget TIMESERIES in the answer")


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of the multiline widget, each known from the end of its last day; raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(SearchInterest, _saved(files.read(path), path.name))


def _saved(content: bytes, name: str) -> list[tables.Timed | Reject]:
    symbol = symbols.canonical(name.partition(".json")[0])
    if symbol is None or not files.is_json(content.replace(b")]}',", b"", 1)):
        files.unknown_shape(name, "no answer named after its symbol", SHAPES)
    try:
        batch = batch_of("google", hashlib.sha256(content).hexdigest())
        items = list(parse_timeline(unguarded(content.decode("utf-8-sig", "replace"), name), url=name, symbol=symbol, batch=batch))
    except SourceChanged as error:
        files.unknown_shape(name, str(error), SHAPES)
    ends = [item.event_at for item in items if not isinstance(item, Reject)]
    return list(known_from(items, max(ends, default=None)))


DATASET = Dataset(
    name="search_trends",
    row=SearchInterest,
    key=("origin", "batch", "symbol", "day"),
    schedule="cron: wed,sun 05:00",
    description="Web searches for the stocks of companies, by Google Trends",
    known="from the fetch on",
    sources=(
        Source(
            name=QUIVER_SOURCE,
            fetch=fetch_quiver,
            rate=QUIVER_RATE,
            urls=(QUIVER,),
            needs=("quiver_api_key",),
            history=False,
        ),
        Source(
            name=GOOGLE_SOURCE,
            fetch=fetch_google,
            rate=GOOGLE_RATE,
            urls=(GOOGLE,),
            rank=1,
            wants=("symbols",),
            history=False,
            optional=True,
        ),
    ),
    load=load,
    grace=timedelta(hours=6),
    max_silence=timedelta(days=10),
)
