"""Yahoo Finance: daily charts made unadjusted again, and the cookie and crumb that its other pages want.

Yahoo is unofficial and free: one request a second, a browser's User-Agent, symbols with a hyphen (`BRK-B`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from scrapers import rates, symbols, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

CHART = "https://query2.finance.yahoo.com/v8/finance/chart"
RATE = rates.YAHOO
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"}
UNTIL_NOW = 9_999_999_999
"""An end (epoch seconds) beyond every present: a price is divided by all later splits, so all of them are needed to undo that."""
FLOAT32_DIGITS = 6
"""Decimal digits that survive Yahoo's 32-bit prices, and a split undone, without noise."""
MAX_RATIO = 100_000.0
"""Of one split, and of all later ones together, either way: beyond it the record is wrong."""
_ARRAYS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBar:
    """One session as traded: prices in USD, volume in shares. close is None for a halt or while the bar forms. position: where it stood."""

    session: date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: int | None
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartAction:
    """A split (value: new shares per old) or a dividend (value: USD per share as paid then) with its ex-date.

    What a fund distributes of its capital gains is a dividend to whoever holds it.
    """

    kind: str
    ex_date: date
    value: float


@dataclass(slots=True)
class Chart:
    """What the chart of one symbol shows, oldest first. known: False when Yahoo has no such symbol."""

    bars: list[ChartBar] = field(default_factory=list)
    actions: list[ChartAction] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    known: bool = True


def spelling(symbol: str) -> str:
    """Yahoo's spelling of a canonical symbol: `BRK.B` gives `BRK-B`, `BAC.PRK` gives `BAC-PK`."""
    return re.sub(r"\.PR(?=[A-Z]$)", "-P", symbol).replace(".", "-")


def chart(http: "Http", symbol: str, first: date, *, source: str) -> Chart:
    """Daily bars and actions of a canonical symbol from the session `first` to the present, as traded.

    Yahoo divides prices and dividends by every later split; the splits of the same answer undo that, to six digits. Today's bar may be
    among them while it is still forming. An unknown symbol is one Reject. Raises SourceChanged for another shape.
    """
    url = f"{CHART}/{spelling(symbol)}"
    params: dict[str, str | int] = {
        "period1": int(times.new_york(first).timestamp()),
        "period2": UNTIL_NOW,
        "interval": "1d",
        "includePrePost": "false",
        "events": "div,splits,capitalGains",
    }
    answer = http.get(url, params, source=source, rate=RATE, headers=BROWSER, accept=(400, 404))
    return parse_chart(answer.json(), answer.status, symbol, url)


def parse_chart(document: object, status: int, symbol: str, at: str) -> Chart:
    """The chart of one answer; see `chart`."""
    result = _result(document, status, at)
    if isinstance(result, str):
        nothing = "data doesn't exist" in result.lower()
        return Chart(known=nothing, rejects=[] if nothing else [tables.reject("unknown_symbol", result, symbol, at)])
    meta = result.get("meta")
    if not isinstance(meta, dict) or not {"symbol", "currency", "dataGranularity"} <= set(meta):
        raise SourceChanged(f"{at}: meta with symbol, currency and dataGranularity was expected")
    if meta["dataGranularity"] != "1d":
        raise SourceChanged(f"{at}: bars of {meta['dataGranularity']!r} instead of a day")
    if meta["symbol"] != spelling(symbol) or meta["currency"] != "USD":
        reason = "other_symbol" if meta["symbol"] != spelling(symbol) else "foreign_currency"
        return Chart(rejects=[tables.reject(reason, f"{meta['symbol']!r} in {meta['currency']!r}", meta, at)])
    splits, dividends, rejects = _events(result.get("events") or {}, at)
    if any(reject.reason == "bad_split" for reject in rejects):
        return Chart(rejects=rejects)
    made = _chart(result, splits, dividends, at)
    made.rejects += rejects
    return made


def _result(document: object, status: int, at: str) -> dict[str, Any] | str:
    """The one result, or what Yahoo says in its place."""
    body = document.get("chart") if isinstance(document, dict) else None
    if not isinstance(body, dict) or not {"result", "error"} <= set(body):
        raise SourceChanged(f"{at}: answered {status} without `chart` of result and error")
    error, result = body["error"], body["result"]
    if isinstance(error, dict) and isinstance(error.get("description"), str):
        if error.get("code") == "Not Found" or "data doesn't exist" in error["description"].lower():
            return str(error["description"])[:300]
        raise SourceChanged(f"{at}: answered {status}, {error['description'][:300]!r}")
    if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
        raise SourceChanged(f"{at}: one result was expected")
    return result[0]


def _events(events: object, at: str) -> tuple[list[ChartAction], list[ChartAction], list[Reject]]:
    """Splits, dividends (as delivered) and what is unreadable; nothing of a symbol can be trusted beside an unreadable split."""
    if not isinstance(events, dict):
        raise SourceChanged(f"{at}: events are {type(events).__name__}, not an object")
    rejects: list[Reject] = []
    found: dict[str, list[ChartAction]] = {"split": [], "cash_dividend": []}
    for name, kind in (("splits", "split"), ("dividends", "cash_dividend"), ("capitalGains", "cash_dividend")):
        records = events.get(name) or {}
        if not isinstance(records, dict):
            raise SourceChanged(f"{at}: events.{name} are {type(records).__name__}, not an object")
        strange = sum(not _is_event(record) for record in records.values())
        if 2 * strange > len(records):
            raise SourceChanged(f"{at}: {strange} of {len(records)} events.{name} have no date with an amount or a ratio")
        for key, record in records.items():
            position = f"{at} events.{name}.{key}"
            day, value = _event(record)
            if day is None or value is None:
                rejects.append(tables.reject(f"bad_{kind.removeprefix('cash_')}", "date or figures unreadable", record, position))
            else:
                found[kind].append(ChartAction(kind=kind, ex_date=day, value=value))
    return _by_day(found["split"]), _by_day(found["cash_dividend"]), rejects


def _is_event(record: object) -> bool:
    return isinstance(record, dict) and "date" in record and ("amount" in record or {"numerator", "denominator"} <= set(record))


def _event(record: object) -> tuple[date | None, float | None]:
    """Ex-date, and amount or ratio; None for what is unreadable."""
    if not isinstance(record, dict) or not _is_event(record):
        return None, None
    if "amount" in record:
        value = _positive(record["amount"])
        return day_of(record["date"]), value
    new, old = _positive(record["numerator"]), _positive(record["denominator"])
    ratio = new / old if new is not None and old is not None else None
    return day_of(record["date"]), ratio if ratio is not None and 1 / MAX_RATIO <= ratio <= MAX_RATIO else None


def _by_day(actions: list[ChartAction]) -> list[ChartAction]:
    return sorted(actions, key=lambda action: (action.ex_date, action.value))


def _chart(result: dict[str, Any], splits: list[ChartAction], dividends: list[ChartAction], at: str) -> Chart:
    stamps, arrays = result.get("timestamp", []), _arrays(result, at)
    if not isinstance(stamps, list) or any(len(values) != len(stamps) for values in arrays.values()):
        raise SourceChanged(f"{at}: timestamps and prices differ in number")
    made = Chart()
    for index, stamp in enumerate(stamps):
        bar = _bar(stamp, {name: values[index] for name, values in arrays.items()}, splits, f"{at} [{index}]")
        if isinstance(bar, Reject):
            made.rejects.append(bar)
        else:
            made.bars.append(bar)
    if len(made.rejects) > 2 and 2 * len(made.rejects) > len(stamps):
        raise SourceChanged(f"{at}: {len(made.rejects)} of {len(stamps)} bars are unreadable ({made.rejects[0].reason}, ...)")
    made.bars = list(_distinct(made))
    paid = (ChartAction(kind=d.kind, ex_date=d.ex_date, value=tidy(d.value * later(splits, d.ex_date))) for d in dividends)
    made.actions = _by_day([*splits, *paid])
    return made


def _arrays(result: dict[str, Any], at: str) -> dict[str, list[Any]]:
    """Open, high, low, close, volume; an empty range has none of them."""
    indicators = result.get("indicators")
    quote = indicators.get("quote") if isinstance(indicators, dict) else None
    if not isinstance(quote, list) or len(quote) != 1 or not isinstance(quote[0], dict):
        raise SourceChanged(f"{at}: indicators with one quote were expected")
    if "timestamp" not in result and not quote[0]:
        return {}
    arrays = {name: quote[0].get(name) for name in _ARRAYS}
    if not all(isinstance(values, list) for values in arrays.values()):
        raise SourceChanged(f"{at}: arrays {', '.join(_ARRAYS)} were expected, found {', '.join(sorted(quote[0]))[:200] or 'none'}")
    return {name: values for name, values in arrays.items() if isinstance(values, list)}


def _bar(stamp: object, cells: dict[str, Any], splits: list[ChartAction], at: str) -> ChartBar | Reject:
    session = day_of(stamp)
    if session is None:
        return tables.reject("bad_date", f"timestamp {str(stamp)[:60]}", cells, at)
    factor = later(splits, session)
    if not 1 / MAX_RATIO <= factor <= MAX_RATIO:
        return tables.reject("bad_split", f"{factor} new shares per share of {session}", cells, at)
    prices = {name: None if cells[name] is None else _positive(cells[name]) for name in _ARRAYS[:4]}
    volume = _count(cells["volume"])
    if any(prices[name] is None and cells[name] is not None for name in prices) or volume == -1:
        return tables.reject("bad_price", "a price is not positive and finite, or the volume negative", cells, at)
    traded = {name: None if price is None else tidy(price * factor) for name, price in prices.items()}
    high, low = traded["high"], traded["low"]
    if high is not None and low is not None and high < low:
        return tables.reject("high_below_low", f"high {high}, low {low}", cells, at)
    return ChartBar(
        session=session,
        open=traded["open"],
        high=high,
        low=low,
        close=traded["close"],
        volume=None if volume is None else round(volume / factor),
        position=at,
    )


def _distinct(made: Chart) -> Iterator[ChartBar]:
    """One bar per session: Yahoo may show the newest twice, at the open and at the last trade; one that differs is refused."""
    seen: dict[date, ChartBar] = {}
    for bar in made.bars:
        first = seen.setdefault(bar.session, bar)
        same = all(getattr(first, name) == getattr(bar, name) for name in _ARRAYS)
        if first is bar:
            yield bar
        elif not same:
            made.rejects.append(tables.reject("conflicting_duplicate", f"a second bar of {bar.session}", str(bar), bar.position))


def later(splits: list[ChartAction], day: date) -> float:
    """New shares per share of `day`, by the splits after it."""
    return math.prod(split.value for split in splits if split.ex_date > day)


def tidy(value: float) -> float:
    """Without the noise of a 32-bit number."""
    return float(f"{value:.{FLOAT32_DIGITS}g}")


def instant_of(stamp: object) -> datetime | None:
    """UTC of epoch seconds between 1900 and 2100; None for anything else."""
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not -2_208_988_800 < stamp < 4_102_444_800:
        return None
    return datetime.fromtimestamp(int(stamp), UTC)


def day_of(stamp: object) -> date | None:
    """The New York day of epoch seconds: a daily bar bears the instant of its open."""
    at = instant_of(stamp)
    return None if at is None else times.new_york_date(at)


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        return None
    return float(value)


def _count(value: object) -> float | None:
    """Shares; -1 for what is no count."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return -1
    return float(value)


def parse_saved(document: object, name: str) -> list[tuple[str, Chart]]:
    """(canonical symbol, chart) of an answer kept as a file, whose splits are all that there have been until it was kept.

    Raises SourceChanged for another shape, or a symbol of another market.
    """
    result = _result(document, 200, name)
    meta = result.get("meta") if isinstance(result, dict) else None
    given = meta.get("symbol") if isinstance(meta, dict) else None
    symbol = symbols.canonical(given) if isinstance(given, str) else None
    if symbol is None:
        raise SourceChanged(f"{name}: the chart of a US symbol was expected, not of {given!r}")
    return [(symbol, parse_chart(document, 200, symbol, name))]


def check_known(unknown: int, asked: int) -> None:
    """Raises SourceChanged when most of ten or more symbols are unknown: the service and not the symbols must have changed."""
    if asked >= 10 and 2 * unknown > asked:
        raise SourceChanged(f"{CHART}: {unknown} of {asked} symbols are unknown")
