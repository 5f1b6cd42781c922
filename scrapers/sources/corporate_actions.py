"""What a company does to its shares: splits, dividends, spin-offs and mergers, from Alpaca or Yahoo."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import alpaca_pages, cells, files, symbols, tables, times, withdrawn, yahoo
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "alpaca_actions"
YAHOO = "yahoo_actions"
PATH = "/v1/corporate-actions"
PAGE_LIMIT = 1000
PROCESSING = timedelta(days=60)
"""Dates filter the day of processing, which for a dividend is near its payment and thus weeks after the ex-date."""
YAHOO_OVERLAP = timedelta(days=10)
KEY = ("symbol", "kind", "ex_date", "action_id")
SHAPES = {"Alpaca's answer (JSON)": "corporate_actions", "Yahoo's chart (JSON)": "chart"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """One change to what a share is or has paid.

    kind: `split` (ratio = new shares per old share, stock dividends included), `cash_dividend` (amount_usd per share), `spin_off` (ratio =
        shares of other_symbol per share), `cash_merger`, `stock_merger`, `stock_and_cash_merger` (what holders of symbol get per share:
        amount_usd, and ratio shares of other_symbol), `redemption` (amount_usd), `worthless`.
    ex_date: first session without the right, or the day on which a merger, redemption or removal takes effect.
    action_id: the source's own number, which tells two dividends of one ex-date from a corrected one; a source without numbers has one
        action of a kind a day. origin: `alpaca` or `yahoo`.
    """

    symbol: str
    kind: str
    ex_date: date
    action_id: str = ""
    ratio: float | None = None
    amount_usd: float | None = None
    other_symbol: str | None = None
    process_date: date | None = None
    origin: str = ""


Terms = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How one list of the answer is read: its kind, where symbol, day and the other company stand, and the terms (ratio, amount_usd)."""

    kind: str
    type: str
    terms: Callable[[dict[str, Any]], Terms | None]
    symbol: str = "symbol"
    day: str = "ex_date"
    other: str = ""


def _split(record: dict[str, Any]) -> Terms | None:
    return _per(record, "new_rate", "old_rate")


def _stock_dividend(record: dict[str, Any]) -> Terms | None:
    rate = _positive(record.get("rate"))
    return None if rate is None else (1.0 + rate, None)


def _cash(record: dict[str, Any]) -> Terms | None:
    rate = _positive(record.get("rate"))
    return None if rate is None else (None, rate)


def _spin_off(record: dict[str, Any]) -> Terms | None:
    return _per(record, "new_rate", "source_rate")


def _stock_merger(record: dict[str, Any]) -> Terms | None:
    return _per(record, "acquirer_rate", "acquiree_rate")


def _mixed_merger(record: dict[str, Any]) -> Terms | None:
    terms, cash = _stock_merger(record), _positive(record.get("cash_rate"))
    return None if terms is None or cash is None else (terms[0], cash)


def _worthless(record: dict[str, Any]) -> Terms | None:
    return None, None


def _per(record: dict[str, Any], new: str, old: str) -> Terms | None:
    got, given = _positive(record.get(new)), _positive(record.get(old))
    ratio = got / given if got is not None and given is not None else None
    return None if ratio is None else (ratio, None)


_MERGER = {"symbol": "acquiree_symbol", "day": "effective_date", "other": "acquirer_symbol"}
FORMS = {
    "forward_splits": _Form(kind="split", type="forward_split", terms=_split),
    "reverse_splits": _Form(kind="split", type="reverse_split", terms=_split),
    "stock_dividends": _Form(kind="split", type="stock_dividend", terms=_stock_dividend),
    "cash_dividends": _Form(kind="cash_dividend", type="cash_dividend", terms=_cash),
    "spin_offs": _Form(kind="spin_off", type="spin_off", terms=_spin_off, symbol="source_symbol", other="new_symbol"),
    "cash_mergers": _Form(kind="cash_merger", type="cash_merger", terms=_cash, **_MERGER),
    "stock_mergers": _Form(kind="stock_merger", type="stock_merger", terms=_stock_merger, **_MERGER),
    "stock_and_cash_mergers": _Form(kind="stock_and_cash_merger", type="stock_and_cash_merger", terms=_mixed_merger, **_MERGER),
    "redemptions": _Form(kind="redemption", type="redemption", terms=_cash, day="process_date"),
    "worthless_removals": _Form(kind="worthless", type="worthless_removal", terms=_worthless, day="process_date"),
}
"""List of the answer -> how it is read. Name changes are a dataset of their own; unit splits and rights are asked for by nobody."""


def parse_page(actions: object) -> Iterator[CorporateAction | Reject]:
    """Actions of the `corporate_actions` object of one page; lists of other kinds are passed over.

    Raises SourceChanged for another shape.
    """
    if not isinstance(actions, dict):
        raise SourceChanged(f"{PATH}: `corporate_actions` is {type(actions).__name__}, not an object of lists")
    unknown = [name for name, records in actions.items() if not isinstance(records, list)]
    if unknown:
        raise SourceChanged(f"{PATH}: {', '.join(sorted(map(str, unknown)))[:200]}: lists were expected")
    if actions and not any(name in KINDS for name in actions):
        raise SourceChanged(f"{PATH}: no known kind of action among {', '.join(sorted(map(str, actions)))[:300]}")
    for kind, form in FORMS.items():
        records = actions.get(kind, [])
        strange = sum(not _fits(record, form) for record in records)
        if 2 * strange > len(records):
            raise SourceChanged(f"{PATH}: {strange} of {len(records)} {kind} are without {form.symbol} or {form.day}")
        for index, record in enumerate(records):
            yield _action(record, form, f"{PATH} {kind}[{index}]")


KINDS = {*FORMS, "name_changes", "rights_distributions", "unit_splits", "partial_calls", "reorganizations"}


def _fits(record: object, form: _Form) -> bool:
    return isinstance(record, dict) and {form.symbol, form.day} <= set(record)


def _action(record: object, form: _Form, at: str) -> CorporateAction | Reject:
    if not isinstance(record, dict) or not _fits(record, form):
        return tables.reject("not_an_action", f"{form.symbol} and {form.day} were expected", record, at)
    symbol, day = symbols.canonical(str(record[form.symbol])), times.parse_date(record[form.day])
    if symbol is None or day is None:
        return tables.reject("bad_symbol" if symbol is None else "bad_date", f"{form.symbol} or {form.day} unreadable", record, at)
    terms = form.terms(record)
    if terms is None:
        return tables.reject("bad_rate", "a rate is not positive and finite", record, at)
    other, processed = record.get(form.other), times.parse_date(record.get("process_date"))
    return CorporateAction(
        symbol=symbol,
        kind=form.kind,
        ex_date=day,
        action_id=cells.text(record.get("id"), 100) or _own_id(form, processed or day, special=record.get("special") is True),
        ratio=terms[0],
        amount_usd=terms[1],
        other_symbol=symbols.canonical(other) if isinstance(other, str) else None,
        process_date=processed,
        origin="alpaca",
    )


def _own_id(form: _Form, day: date, *, special: bool) -> str:
    """For a record without a number: what tells it from others of its ex-date."""
    return f"{form.type} {day}{' special' if special else ''}"


def _positive(value: object) -> float | None:
    number = cells.number(value)
    return number if number is not None and number > 0 else None


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Actions processed around `since` to `until`, one batch.

    The window is 60 days wider on both sides, so that an ex-date is known before its payment. An action that was delivered for the
    window before and no longer is was cancelled or moved to another day, and is withdrawn. Options: `symbols` (canonical),
    `rows:corporate_actions`, and `backfill` (known_at = 00:00 New York of the ex-date, which is late for what was declared before and
    never early; nothing is withdrawn).
    """
    first, last = times.new_york_date(since) - PROCESSING, times.new_york_date(until) + PROCESSING
    params: dict[str, str | int] = {
        "types": ",".join(form.type for form in FORMS.values()),
        "start": first.isoformat(),
        "end": last.isoformat(),
        "limit": PAGE_LIMIT,
        "sort": "asc",
    }
    listed, items = list(options.get("symbols", ())), list[CorporateAction | Reject]()
    for found in alpaca_pages.pages(http, PATH, "corporate_actions", listed, params, source=SOURCE):
        items += [found] if isinstance(found, Reject) else parse_page(found[1])
    asked = set(listed) - {item.raw.strip('"') for item in items if isinstance(item, Reject) and item.reason == "unknown_symbol"}

    def concerns(action: CorporateAction) -> bool:
        processed = action.process_date
        return action.origin == "alpaca" and action.symbol in asked and processed is not None and first <= processed <= last

    yield from _batches(items, until, options, concerns, PATH)


def fetch_yahoo(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Splits and dividends of Yahoo's charts from ten days before `since`, as they were declared, a request per symbol.

    Yahoo shows an action from its ex-date on. Options as for Alpaca.
    """
    listed, first = list(options.get("symbols", ())), times.new_york_date(since) - YAHOO_OVERLAP
    items, unknown, asked = list[CorporateAction | Reject](), 0, set[str]()
    for symbol in listed:
        chart = yahoo.chart(http, symbol, first, source=YAHOO)
        unknown += not chart.known
        items += [*chart.rejects, *of_chart(symbol, chart)]
        if not chart.rejects:
            asked.add(symbol)
    yahoo.check_known(unknown, len(listed))
    last = times.new_york_date(until)
    kept = [item for item in items if isinstance(item, Reject) or first <= item.ex_date <= last]

    def concerns(action: CorporateAction) -> bool:
        return action.origin == "yahoo" and action.symbol in asked and first <= action.ex_date <= last

    yield from _batches(kept, until, options, concerns, yahoo.CHART)


def of_chart(symbol: str, chart: yahoo.Chart) -> Iterator[CorporateAction]:
    """The actions of a chart, one of a kind a day: several dividends of a day add up and several splits multiply."""
    merged: dict[tuple[str, date], float] = {}
    for action in chart.actions:
        key = (action.kind, action.ex_date)
        before = merged.get(key)
        merged[key] = action.value if before is None else before * action.value if action.kind == "split" else before + action.value
    for (kind, day), value in merged.items():
        is_split = kind == "split"
        yield CorporateAction(
            symbol=symbol, kind=kind, ex_date=day, ratio=value if is_split else None, amount_usd=None if is_split else value, origin="yahoo"
        )


def _batches(
    items: list[CorporateAction | Reject], until: datetime, options: Mapping[str, Any], concerns: Callable[[Any], bool], name: str
) -> Iterator[Batch]:
    backfill = bool(options.get("backfill"))
    rejects: list[tables.Timed | Reject] = [item for item in items if isinstance(item, Reject)]
    actions = [item for item in items if not isinstance(item, Reject)]
    lost: Iterable[tables.Timed] = ()
    if not backfill:
        known, keys = options.get("rows:corporate_actions"), {tuple(getattr(action, field) for field in KEY) for action in actions}
        lost = withdrawn.gone(known, CorporateAction, KEY, keys, asof=until, concerns=concerns, event_at=_ex, name=name)
    yield from tables.batches(CorporateAction, [*rejects, *(_timed(action, backfill) for action in actions), *lost])


def _ex(action: CorporateAction) -> datetime:
    return times.new_york(action.ex_date)


def _timed(action: CorporateAction, backfill: bool) -> tables.Timed:
    return tables.Timed(row=action, event_at=_ex(action), known_at=_ex(action) if backfill else None)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers of Alpaca or Yahoo, known from their ex-dates; raises BadFile for any other shape."""
    for path in paths:
        content = files.read(path)
        if not files.is_json(content):
            files.unknown_shape(path.name, "no JSON", SHAPES)
        document = files.json_of(content, path.name)
        try:
            items = list(_saved(document, path.name))
        except SourceChanged as error:
            raise BadFile(f"{path.name}: {error}") from error
        yield from tables.batches(CorporateAction, (item if isinstance(item, Reject) else _timed(item, True) for item in items))


def _saved(document: object, name: str) -> Iterator[CorporateAction | Reject]:
    if isinstance(document, dict) and "corporate_actions" in document:
        yield from parse_page(document["corporate_actions"])
    elif isinstance(document, dict) and "chart" in document:
        for symbol, chart in yahoo.parse_saved(document, name):
            yield from chart.rejects
            yield from of_chart(symbol, chart)
    else:
        keys = ", ".join(sorted(map(str, document)))[:300] if isinstance(document, dict) else ""
        files.unknown_shape(name, f"JSON with keys {keys}" if keys else f"a JSON {type(document).__name__}", SHAPES)


DATASET = Dataset(
    name="corporate_actions",
    row=CorporateAction,
    key=KEY,
    schedule="open-90m",
    description="Splits, dividends, spin-offs and mergers by ex-date",
    known="00:00 New York of the ex-date: late for what was declared before, never early",
    sources=(
        Source(
            name=SOURCE,
            fetch=fetch,
            rate=alpaca_pages.RATE,
            urls=(f"{alpaca_pages.DATA}{PATH}",),
            needs=("alpaca_api_key",),
            wants=("symbols", "rows:corporate_actions"),
            asks_by="symbols",
        ),
        Source(
            name=YAHOO,
            fetch=fetch_yahoo,
            rate=yahoo.RATE,
            urls=(yahoo.CHART,),
            rank=1,
            wants=("symbols", "rows:corporate_actions"),
            asks_by="symbols",
        ),
    ),
    load=load,
)
