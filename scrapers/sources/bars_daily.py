"""Daily bars: unadjusted ones from Alpaca or Yahoo, split-adjusted and total-return archives by import."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import alpaca_pages, bar_frames, files, symbols, tables, times, yahoo
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from scrapers.http import Http

SOURCE = "alpaca_bars"
YAHOO = "yahoo_bars"
PATH = "/v2/stocks/bars"
PAGE_LIMIT = 10_000
YAHOO_BATCH_ROWS = 5_000
SIP_DELAY = timedelta(minutes=16)
"""The free plan answers 403 when the newest 15 minutes of consolidated data are asked for."""

SHAPES = {
    "split-adjusted bars (Parquet or CSV)": "ticker, date, open, high, low, close, adj_close, volume",
    "total-return series (Parquet or CSV)": "ticker, date, adj_close",
    "bars that name their adjustment (Parquet or CSV)": "ticker, date, open, high, low, close, volume, adjustment[, adj_close]",
    "Alpaca's answer (JSON)": "bars",
    "Yahoo's chart (JSON)": "chart",
}
_OHLCV = {"symbol", "session", "open", "high", "low", "close", "volume"}
_ADJUSTMENT_OF = {
    frozenset(_OHLCV | {"adj_close"}): "split",
    frozenset({"symbol", "session", "adj_close"}): "total_return",
    frozenset(_OHLCV | {"adjustment"}): None,
    frozenset(_OHLCV | {"adjustment", "adj_close"}): None,
}
_ALIASES = {"ticker": "symbol", "date": "session", "adj close": "adj_close"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBar:
    """One session of one symbol, prices in USD.

    adjustment: `raw` as traded; `split` restated for later splits, with `adj_close` restated for dividends too; `total_return`
        has nothing but `adj_close`, repeated as `close`: its dividends are inside and must not be credited again.
    """

    symbol: str
    session: date
    open: float | None
    high: float | None
    low: float | None
    close: float
    adj_close: float | None
    volume: int | None
    adjustment: str


def parse_table(table: "pa.Table", *, name: str) -> Iterator[Batch]:
    """Batches of an archive's table, whose columns must be exactly those of one known shape (BadFile otherwise).

    event_at is 16:00 New York of the session. known_at is 16:20 for every session, also those that close early: a bar is then
    known three hours later than it might have been, never sooner.
    """
    import pandas as pd

    renamed = {column: _column(column) for column in table.column_names}
    shape = frozenset(renamed.values())
    if shape not in _ADJUSTMENT_OF or len(shape) != table.num_columns or not _readable(table.schema, renamed):
        found = ", ".join(f"{field.name} ({field.type})" for field in table.schema) or "none"
        files.unknown_shape(name, f"columns {found[:400]}", SHAPES)
    adjustment = _ADJUSTMENT_OF[shape]
    source = table.to_pandas().reset_index(drop=True)
    given = source.rename(columns=renamed)
    frame = bar_frames.numbers(given.reindex(columns=[*bar_frames.PRICES, "volume"]), (*bar_frames.PRICES, "volume"))
    frame["adjustment"] = pd.Series(adjustment, index=given.index, dtype="object") if adjustment else given["adjustment"]
    if adjustment == "total_return":
        frame["close"] = frame["adj_close"]
    frame["symbol"], frame["session"] = bar_frames.canonical(given["symbol"]), bar_frames.sessions(given["session"])
    good, reasons = bar_frames.check(frame)
    rejects = bar_frames.refused(source, reasons, name)
    for start in range(0, max(len(good), 1), tables.BATCH_ROWS):
        yield Batch(rows=_rows(good.iloc[start : start + tables.BATCH_ROWS]), rejects=rejects if start == 0 else ())


def _column(name: str) -> str:
    word = name.strip().lower()
    return _ALIASES.get(word, word)


def _readable(shape: "pa.Schema", renamed: Mapping[str, str]) -> bool:
    """Whether each column is text or of the kind its name promises: dates for the session, numbers for prices and volume."""
    import pyarrow as pa

    def fits(field: "pa.Field") -> bool:
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            return True
        column = renamed[field.name]
        if column == "session":
            return bool(pa.types.is_date(field.type) or pa.types.is_timestamp(field.type))
        numeric = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        return column not in ("symbol", "adjustment") and bool(numeric)

    return all(fits(field) for field in shape)


def _rows(frame: "pd.DataFrame") -> "pa.Table":
    import pyarrow as pa

    shape = tables.schema(DailyBar)
    days = [day.date() for day in frame["session"]]
    columns: dict[str, Any] = {name: pa.array(frame[name], from_pandas=True) for name in bar_frames.PRICES}
    columns["symbol"] = pa.array(frame["symbol"], type=pa.string())
    columns["session"] = pa.array(days, type=pa.date32())
    columns["volume"] = pa.array(frame["volume"].round(), from_pandas=True).cast(pa.int64())
    columns["adjustment"] = pa.array(frame["adjustment"], type=pa.string())
    columns["gone"] = pa.repeat(False, len(frame))
    columns["event_at"] = pa.array(times.instants(days, times.REGULAR_CLOSE), type=shape.field("event_at").type)
    columns["known_at"] = pa.array(times.instants(days, times.AFTER_CLOSE), type=shape.field("known_at").type)
    return pa.table({field.name: columns[field.name] for field in shape}, schema=shape)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import archives of bars, Parquet or CSV, gzipped or not, and saved answers of the services; BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        if files.is_json(content):
            yield from tables.batches(DailyBar, _saved(files.json_of(content, path.name), path.name))
        else:
            yield from parse_table(files.arrow_table(content, path.name), name=path.name)


def _saved(document: object, name: str) -> Iterator[tables.Timed | Reject]:
    """Rows of an answer kept as a file, its bars closed however late the session."""
    keys = set(document) if isinstance(document, dict) else set()
    try:
        if isinstance(document, dict) and "bars" in keys:
            yield from parse_page(document["bars"], closed=_any_session, backfill=True)
        elif "chart" in keys:
            yield from _charted(yahoo.parse_saved(document, name), closed=_any_session, first=date.min, backfill=True)
        else:
            found = f"JSON with keys {', '.join(sorted(map(str, keys)))[:300]}" if keys else f"a JSON {type(document).__name__}"
            files.unknown_shape(name, found, SHAPES)
    except SourceChanged as error:
        raise BadFile(f"{name}: {error}") from error


def _any_session(day: date) -> bool:
    return True


def parse_page(bars: object, *, closed: Callable[[date], bool], backfill: bool) -> Iterator[tables.Timed | Reject]:
    """Rows of the `bars` object of one Alpaca page: symbol -> list of bars, stamped at midnight New York.

    A bar whose session has not closed is left out: it is still forming. Raises SourceChanged for another shape.
    """
    if not isinstance(bars, dict):
        raise SourceChanged(f"{PATH}: `bars` is {type(bars).__name__}, not an object of lists")
    for symbol, series in bars.items():
        if not isinstance(series, list):
            raise SourceChanged(f"{PATH}: bars of {symbol} are {type(series).__name__}, not a list")
        strange = sum(not _is_bar(bar) for bar in series)
        if 2 * strange > len(series):
            raise SourceChanged(f"{PATH}: {strange} of {len(series)} bars of {symbol} are without t, o, h, l, c or v")
        for index, bar in enumerate(series):
            item = _bar(symbol, bar, f"{PATH} bars.{symbol}[{index}]", backfill)
            if isinstance(item, Reject) or closed(item.row.session):
                yield item


def _is_bar(bar: object) -> bool:
    return isinstance(bar, dict) and set("tohlcv") <= set(bar)


def _bar(symbol: str, bar: object, at: str, backfill: bool) -> tables.Timed | Reject:
    if not isinstance(bar, dict) or not _is_bar(bar):
        return tables.reject("not_a_bar", "t, o, h, l, c and v were expected", bar, at)
    session, name = _session(bar["t"]), symbols.canonical(symbol)
    opened, high, low, close, volume = (_number(bar[field]) for field in "ohlcv")
    if session is None or name is None:
        return tables.reject("bad_date" if session is None else "bad_symbol", f"{symbol} {bar['t']!r}", bar, at)
    if min(opened, high, low, close) <= 0 or volume < 0:
        return tables.reject("bad_price", "a price is not positive and finite, or the volume negative", bar, at)
    if high < low:
        return tables.reject("high_below_low", f"high {high}, low {low}", bar, at)
    row = DailyBar(
        symbol=name,
        session=session,
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=None,
        volume=round(volume),
        adjustment="raw",
    )
    return _timed(row, backfill)


def _session(stamp: object) -> date | None:
    """The New York day of an RFC 3339 stamp."""
    try:
        at = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return times.new_york_date(at) if at.tzinfo is not None and 1900 < at.year < 2100 else None


def _number(value: object) -> float:
    """A finite number, else -1, which no check lets pass."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return -1.0
    return float(value)


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Unadjusted daily bars from Alpaca, one batch a page.

    Options: `symbols` (canonical, required), `backfill` (rows get the archive's known_at), `feed` (default sip), and `close_at`
    (date -> datetime, the session's close; default 16:00 New York, which holds a half day's bar back until then).
    """
    params: dict[str, str | int] = {
        "timeframe": "1Day",
        "adjustment": "raw",
        "feed": str(options.get("feed", "sip")),
        "start": _midnight(since),
        "end": (until - SIP_DELAY).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "limit": PAGE_LIMIT,
    }
    closed, backfill = _closed(until, options), bool(options.get("backfill"))
    for found in alpaca_pages.pages(http, PATH, "bars", list(options.get("symbols", ())), params, source=SOURCE):
        items = iter([found]) if isinstance(found, Reject) else parse_page(found[1], closed=closed, backfill=backfill)
        yield from tables.batches(DailyBar, items)


def fetch_yahoo(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Daily bars from Yahoo, a request per symbol, as they were traded: Yahoo's division by later splits is undone.

    So a bar stays what it was when the company splits again, and rows of either source stand for each other. Options as for Alpaca.
    Raises SourceChanged when Yahoo knows fewer than half of ten or more symbols.
    """
    wanted, first = list(options.get("symbols", ())), times.new_york_date(since)
    closed, backfill = _closed(until, options), bool(options.get("backfill"))
    unknown = 0

    def items() -> Iterator[tables.Timed | Reject]:
        nonlocal unknown
        for symbol in wanted:
            chart = yahoo.chart(http, symbol, first, source=YAHOO)
            unknown += not chart.known
            yield from _charted([(symbol, chart)], closed=closed, first=first, backfill=backfill)

    yield from tables.batches(DailyBar, items(), size=YAHOO_BATCH_ROWS)
    yahoo.check_known(unknown, len(wanted))


def _charted(
    charts: Iterable[tuple[str, yahoo.Chart]], *, closed: Callable[[date], bool], first: date, backfill: bool
) -> Iterator[tables.Timed | Reject]:
    for symbol, chart in charts:
        yield from chart.rejects
        yield from (_of_chart(symbol, bar, backfill) for bar in chart.bars if bar.session >= first and closed(bar.session))


def _of_chart(symbol: str, bar: yahoo.ChartBar, backfill: bool) -> tables.Timed | Reject:
    if bar.close is None:
        return tables.reject("missing_price", f"no close on {bar.session}", str(bar), bar.position)
    row = DailyBar(
        symbol=symbol,
        session=bar.session,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        adj_close=None,
        volume=bar.volume,
        adjustment="raw",
    )
    return _timed(row, backfill)


def _timed(row: DailyBar, backfill: bool) -> tables.Timed:
    known_at = times.new_york(row.session, times.AFTER_CLOSE) if backfill else None
    return tables.Timed(row=row, event_at=times.new_york(row.session, times.REGULAR_CLOSE), known_at=known_at)


def _closed(until: datetime, options: Mapping[str, Any]) -> Callable[[date], bool]:
    """Whether a day's session had closed by `until`; a day that the calendar does not know is judged by the regular close."""
    close_at: Callable[[date], datetime] = options.get("close_at", _regular_close)

    def closed(day: date) -> bool:
        try:
            return close_at(day) <= until
        except LookupError:
            return _regular_close(day) <= until

    return closed


def _midnight(at: datetime) -> str:
    """The start of the New York day: daily bars bear that stamp, so asking from later in the day would miss it."""
    return times.new_york(times.new_york_date(at), time(0)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _regular_close(day: date) -> datetime:
    return times.new_york(day, times.REGULAR_CLOSE)


DATASET = Dataset(
    name="bars_daily",
    row=DailyBar,
    key=("symbol", "session", "adjustment"),
    schedule="close+20m",
    description="Daily open, high, low, close and volume, as traded",
    known="16:20 New York of the session, early closes included",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=alpaca_pages.RATE,
            urls=(f"{alpaca_pages.DATA}{PATH}",),
            needs=("alpaca_api_key",),
            wants=("symbols", "close_at"),
            asks_by="symbols",
        ),
        Source(
            name=YAHOO,
            fetch=fetch_yahoo,
            rate=yahoo.RATE,
            urls=(yahoo.CHART,),
            rank=1,
            wants=("symbols", "close_at"),
            asks_by="symbols",
        ),
    ),
    load=load,
    publication_lag=timedelta(minutes=20),
    overlap=timedelta(days=5),
)
