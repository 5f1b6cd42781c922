"""What analysts say: upgrades, downgrades and price targets by firm, from Quiver's page or Yahoo."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import analyst_page, cells, files, rates, symbols, tables, times, yahoo
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged
from scrapers.yahoo_session import COOKIE, CRUMB, SUMMARY, Session

if TYPE_CHECKING:
    from scrapers.http import Http

QUIVER = "quiver_analysts_page"
YAHOO = "yahoo_ratings"
PAGE = "https://www.quiverquant.com/analysts/"
MODULE = "upgradeDowngradeHistory"
SHAPES = {
    "Yahoo's answer (JSON)": "quoteSummary with upgradeDowngradeHistory, the file named after its symbol",
    "Quiver's page (HTML)": PAGE,
}
ACTIONS = {
    "up": ("upgrade", "upgrades", "upgraded"),
    "down": ("downgrade", "downgrades", "downgraded"),
    "main": ("maintain", "maintains", "maintained", "hold rating"),
    "init": ("initiate", "initiates", "initiated", "initiates coverage", "initiated coverage", "initiates coverage on", "new coverage"),
    "reit": ("reiterate", "reiterates", "reiterated"),
}
_ACTION_OF = {word: action for action, words in ACTIONS.items() for word in (action, *words)}
_REQUIRED = {"epochGradeDate", "firm", "toGrade", "action"}
LARGEST_TARGET_USD = 1e7


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalystRating:
    """One statement of one firm on one company.

    action: up, down, main(tained), init(iated) or reit(erated). from_grade, to_grade: the firm's own words, empty where it says nothing.
    graded_at: the instant, or 00:00 New York of the day where the source gives a day. price_target, prior_price_target: USD per share.
    occurrence: 0, 1, ... of equal actions of a firm at one instant. origin: `quiver` or `yahoo`.
    """

    symbol: str
    firm: str
    action: str
    from_grade: str
    to_grade: str
    graded_at: datetime
    price_target: float | None
    prior_price_target: float | None
    occurrence: int
    origin: str


Seen = Counter[tuple[object, ...]]


def parse_history(history: object, symbol: str, at: str) -> Iterator[tables.Timed | Reject]:
    """Rows of Yahoo's `history` list of a canonical symbol.

    known_at is the instant of the grade; one at midnight, of New York or UTC, is a day without a time and known on the next.
    Raises SourceChanged for another shape, or when most records cannot be read.
    """
    if not isinstance(history, list):
        raise SourceChanged(f"{at}: history is {type(history).__name__}, not a list")
    strange = sum(not _is_grade(record) for record in history)
    if 2 * strange > len(history):
        raise SourceChanged(f"{at}: {strange} of {len(history)} records are without {', '.join(sorted(_REQUIRED))}")
    seen = Seen()
    items = [_graded(record, symbol, f"{at} history[{index}]", seen) for index, record in enumerate(history)]
    refused = sum(isinstance(item, Reject) for item in items)
    if refused > 2 and 2 * refused > len(history):
        raise SourceChanged(f"{at}: {refused} of {len(history)} grades are unreadable")
    yield from items


def _is_grade(record: object) -> bool:
    return isinstance(record, dict) and set(record) >= _REQUIRED


def _graded(record: object, symbol: str, at: str, seen: Seen) -> tables.Timed | Reject:
    if not isinstance(record, dict) or not _is_grade(record):
        return tables.reject("not_a_grade", f"{', '.join(sorted(_REQUIRED))} were expected", record, at)
    graded = yahoo.instant_of(_bare(record["epochGradeDate"]))
    said = {
        "symbol": symbol,
        "firm": cells.text(record["firm"], 120),
        "action": _ACTION_OF.get(_words(record["action"]), ""),
        "from_grade": cells.text(record.get("fromGrade"), 60),
        "to_grade": cells.text(record["toGrade"], 60),
        "price_target": _target(_bare(record.get("currentPriceTarget"))),
        "prior_price_target": _target(_bare(record.get("priorPriceTarget"))),
    }
    return _row(said, graded, "yahoo", record, at, seen)


def parse_page(text: str, url: str) -> Iterator[tables.Timed | Reject]:
    """Rows of Quiver's page: a day without a time is known on the next. Raises SourceChanged for a page without the table."""
    seen = Seen()
    items = [line if isinstance(line, Reject) else _listed(line, seen) for line in analyst_page.lines(text, url)]
    refused = sum(isinstance(item, Reject) for item in items)
    if 2 * refused > len(items):
        raise SourceChanged(f"{url}: {refused} of {len(items)} lines are no ratings")
    yield from items


def _listed(line: analyst_page.RatingLine, seen: Seen) -> tables.Timed | Reject:
    cell, (target, prior) = line.cells, _targets(line.cells)
    day = analyst_page.day_of(cell["graded"])
    said = {
        "symbol": symbols.canonical(cell["symbol"]),
        "firm": cells.text(cell["firm"], 120),
        "action": _ACTION_OF.get(_words(cell["action"]), ""),
        "from_grade": cells.text(cell["from_grade"], 60),
        "to_grade": cells.text(cell["to_grade"], 60),
        "price_target": target,
        "prior_price_target": prior,
    }
    return _row(said, None if day is None else times.new_york(day), "quiver", cell, line.position, seen)


def _row(said: dict[str, Any], graded: datetime | None, origin: str, record: object, at: str, seen: Seen) -> tables.Timed | Reject:
    missing = next((name for name in ("symbol", "firm", "action") if not said[name]), None)
    if missing is not None or graded is None:
        reason = "bad_date" if missing is None else {"symbol": "bad_symbol", "firm": "no_firm", "action": "unknown_action"}[missing]
        return tables.reject(reason, "a company, a firm, an action and a date were expected", record, at)
    key = (said["symbol"], said["firm"], said["action"], graded)
    row = AnalystRating(**said, graded_at=graded, occurrence=seen[key], origin=origin)
    seen[key] += 1
    return tables.Timed(row=row, event_at=graded, known_at=_known_at(graded))


def _known_at(graded: datetime) -> datetime:
    if graded.timetz() == time(0, tzinfo=UTC):
        return times.day_after(graded.date())
    return times.day_after(times.new_york_date(graded)) if graded == times.new_york(times.new_york_date(graded)) else graded


def _words(value: object) -> str:
    return " ".join(re.findall(r"[a-z]+", cells.text(value, 60).lower()))


def _bare(value: object) -> object:
    """A number that may be wrapped as `{"raw": 1, "fmt": "1"}`."""
    return value.get("raw") if isinstance(value, dict) else value


def _target(value: object) -> float | None:
    """USD per share; None for none, which is also written as 0."""
    number = cells.number(value)
    return number if number is not None and 0 < number < LARGEST_TARGET_USD else None


def _targets(cell: dict[str, str]) -> tuple[float | None, float | None]:
    """Target and prior target of a line; one cell may hold both, `$100 → $120`."""
    figures = re.findall(r"\d[\d,]*(?:\.\d+)?", cell["target"])
    if len(figures) == 2 and not cell["prior_target"]:
        return _target(figures[1]), _target(figures[0])
    return _target(cell["target"]), _target(cell["prior_target"])


def fetch_quiver(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """What the page shows now. It has no past: rows are known from the fetch."""
    answer = http.get(PAGE, source=QUIVER, rate=rates.QUIVER_PAGES)
    yield from tables.batches(AnalystRating, map(tables.unstamped, parse_page(answer.text(), PAGE)))


def fetch_yahoo(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Grades from `since` to `until`, a request per symbol. Options: `symbols` (canonical) and `backfill` (rows get their known_at).

    A fund, of which Yahoo has no fundamentals, has no grades either; any other symbol that it does not know is a Reject.
    """
    session, wanted = Session(http, YAHOO), list(options.get("symbols", ()))
    backfill, unknown = bool(options.get("backfill")), 0

    def items() -> Iterator[tables.Timed | Reject]:
        nonlocal unknown
        for symbol in wanted:
            module, at = session.module(symbol, MODULE), f"{SUMMARY}/{yahoo.spelling(symbol)}"
            if isinstance(module, str):
                if "no fundamentals" not in module.lower():
                    unknown += 1
                    yield tables.reject("unknown_symbol", module, symbol, at)
                continue
            for item in parse_history(module.get("history"), symbol, at):
                if isinstance(item, Reject):
                    yield item
                elif since <= (item.known_at or item.event_at) <= until if backfill else since <= item.event_at <= until:
                    yield item if backfill else tables.unstamped(item)

    yield from tables.batches(AnalystRating, items(), size=5000)
    yahoo.check_known(unknown, len(wanted))


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of Yahoo (a file `AAPL.json` is about AAPL) and saved pages of Quiver; BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        try:
            if files.is_json(content):
                items = list(_saved(files.json_of(content, path.name), path))
            else:
                items = list(parse_page(content.decode("utf-8-sig", errors="replace"), path.name))
        except SourceChanged as error:
            raise BadFile(f"{error}; known shapes are {'; '.join(f'{k}: {v}' for k, v in SHAPES.items())}") from error
        yield from tables.batches(AnalystRating, items)


def _saved(document: object, path: Path) -> Iterator[tables.Timed | Reject]:
    summary = document.get("quoteSummary") if isinstance(document, dict) else None
    result = summary.get("result") if isinstance(summary, dict) else None
    first = result[0] if isinstance(result, list) and result else None
    module = first.get(MODULE) if isinstance(first, dict) else None
    if not isinstance(module, dict):
        files.unknown_shape(path.name, f"JSON without quoteSummary.result[0].{MODULE}", SHAPES)
    symbol = symbols.canonical(path.name.partition(".json")[0])
    if symbol is None:
        raise BadFile(f"{path.name}: the answer does not name its symbol, so the file must: AAPL.json, BRK-B.json.gz")
    yield from parse_history(module.get("history"), symbol, path.name)


DATASET = Dataset(
    name="analyst_ratings",
    row=AnalystRating,
    key=("origin", "symbol", "firm", "graded_at", "action", "occurrence"),
    schedule="cron: mon-fri 07:00,18:30",
    description="Upgrades, downgrades and price targets of analysts by firm",
    known="when the rating was made; by a date alone, from the day after",
    sources=(
        Source(
            name=QUIVER,
            fetch=fetch_quiver,
            rate=rates.QUIVER_PAGES,
            urls=(PAGE,),
            needs=("quiver_api_key",),
            history=False,
        ),
        Source(
            name=YAHOO,
            fetch=fetch_yahoo,
            rate=yahoo.RATE,
            urls=(SUMMARY, CRUMB, COOKIE),
            rank=1,
            wants=("symbols",),
            asks_by="symbols",
        ),
    ),
    load=load,
    overlap=timedelta(days=14),
    max_silence=timedelta(days=10),
)
