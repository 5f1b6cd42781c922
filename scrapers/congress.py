"""One disclosed trade of a member of Congress: the row, by what it is known again, and how a record of any shape becomes one."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from scrapers import disclosure_forms as forms
from scrapers import disclosures, tables, times
from scrapers.base import Reject


@dataclass(frozen=True, slots=True, kw_only=True)
class CongressTrade:
    """One disclosed transaction.

    symbol: canonical, or None when the asset has no US ticker; symbol_note then says why (no_ticker, index, foreign_listing,
        option_contract, unrecognised). `preferred` marks preferred shares, `columns_swapped` a name and ticker found exchanged.
    received_symbol: what an exchange brought in; `symbol` is what it gave away.
    amount_low_usd, amount_high_usd: bounds of the disclosed bracket; None where open or unknown.
    filing_id: the report whose trade it is, the first one where it was amended later; empty where trades are told apart without it.
    occurrence: n-th identical record inside its filing, from 0. Equal trades do happen, so none is dropped.
    origin: whose record it is: quiver, house or senate. One trade has one row for each origin that told of it.
    member_key, asset_key: what member and asset are known by where name or symbol alone are not enough.
    """

    chamber: str
    member: str
    member_id: str
    party: str
    state: str = ""
    owner: str
    symbol: str | None
    received_symbol: str | None
    ticker_text: str
    symbol_note: str
    asset_description: str
    asset_type: str
    transaction: str
    amount_low_usd: float | None
    amount_high_usd: float | None
    amount_text: str
    transaction_date: date
    disclosure_date: date
    filing_id: str
    occurrence: int
    source_url: str
    origin: str = ""
    member_key: str = ""
    asset_key: str = ""


KEY = (
    "filing_id",
    "member_key",
    "owner",
    "symbol",
    "asset_key",
    "transaction",
    "transaction_date",
    "amount_low_usd",
    "amount_high_usd",
    "occurrence",
)
_IDENTITY = KEY[:-1]

Seen = Counter[tuple[object, ...]]


class _Refused(ValueError):
    """A record that is not a row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def key_of(item: tables.Timed) -> tuple[object, ...]:
    """The values of KEY."""
    return tuple(getattr(item.row, name) for name in KEY)


def read(record: object, cells_of: Callable[[dict[str, Any]], forms.Cells], at: str, seen: Seen) -> tables.Timed | Reject:
    """The row of one record, known from the day after its disclosure, or why it is none. `seen` carries the occurrence numbers."""
    if not isinstance(record, dict):
        return tables.reject("not_a_record", "an object was expected", record, at)
    return trade(cells_of(record), record, at, seen)


def trade(raw: forms.Cells, record: object, at: str, seen: Seen) -> tables.Timed | Reject:
    """As `read`, of cells."""
    try:
        return _trade(raw, seen)
    except _Refused as refused:
        return tables.reject(refused.reason, str(refused), record, at)


def _trade(raw: forms.Cells, seen: Seen) -> tables.Timed:
    transaction = disclosures.transaction(raw.transaction)
    if transaction is None:
        raise _Refused("unknown_transaction", f"transaction {raw.transaction!r}")
    traded, disclosed = _dates(raw)
    ticker, description = _asset(raw, transaction)
    low, high = disclosures.amount(raw.amount)
    asset_type, member, member_id = disclosures.plain(raw.asset_type), _member(raw), disclosures.plain(raw.member_id)
    quiver = raw.origin == "quiver"
    row = CongressTrade(
        chamber=_chamber(raw.chamber),
        filing_id=raw.filing_id,
        member=member,
        member_id=member_id,
        party=disclosures.plain(raw.party),
        state=disclosures.state(raw.state),
        owner=disclosures.owner(raw.owner),
        symbol=ticker.symbol,
        received_symbol=ticker.received,
        ticker_text=ticker.text,
        symbol_note=ticker.note,
        asset_description=description,
        asset_type=asset_type,
        transaction=transaction,
        amount_low_usd=low,
        amount_high_usd=high,
        amount_text=disclosures.plain(str(raw.amount)) if raw.amount is not None else "",
        transaction_date=traded,
        disclosure_date=disclosed,
        occurrence=0,
        source_url=disclosures.plain(raw.url),
        origin=raw.origin,
        member_key=(member_id if quiver else "") or member,
        asset_key=_quiver_asset(ticker, description, asset_type) if quiver else raw.asset_key or description,
    )
    return _numbered(row, raw, seen)


def _numbered(row: CongressTrade, raw: forms.Cells, seen: Seen) -> tables.Timed:
    """The row with its number among equal records of one filing; of Quiver's, among those of one day and one revision."""
    apart = (row.disclosure_date, times.parse_date(raw.modified)) if row.origin == "quiver" else ()
    identity = (*(getattr(row, name) for name in _IDENTITY), *apart)
    occurrence = seen[identity]
    seen[identity] += 1
    known_at = times.day_after(row.disclosure_date)
    return tables.Timed(row=replace(row, occurrence=occurrence), event_at=times.new_york(row.transaction_date), known_at=known_at)


def _quiver_asset(ticker: disclosures.Ticker, description: str, asset_type: str) -> str:
    """Quiver's edition of a record may lack or change its description, so that stock with a ticker is known by that alone."""
    kind = "" if asset_type == "Stock" else asset_type
    return kind if ticker.symbol else f"{kind} {ticker.text or description}".strip()


def _dates(raw: forms.Cells) -> tuple[date, date]:
    traded, disclosed = times.parse_date(raw.traded), times.parse_date(raw.disclosed)
    if disclosed is None:
        raise _Refused("no_disclosure_date", f"disclosed {raw.disclosed!r}")
    if traded is None:
        raise _Refused("impossible_date", f"traded {raw.traded!r}")
    if traded > disclosed:
        raise _Refused("traded_after_disclosure", f"traded {traded}, disclosed {disclosed}")
    return traded, disclosed


def _asset(raw: forms.Cells, transaction: str) -> tuple[disclosures.Ticker, str]:
    """Ticker and description; when the one stands in the other's column they change places."""
    description = disclosures.plain(raw.description)
    try:
        ticker = disclosures.ticker(raw.ticker, transaction)
        if ticker.note == "unrecognised" and re.fullmatch(r"[A-Z]{1,5}", description):
            swapped = disclosures.ticker(description, transaction)
            ticker = disclosures.Ticker(symbol=swapped.symbol, received=None, text=ticker.text, note="columns_swapped")
            description = ticker.text
    except disclosures.TwoTickers as error:
        raise _Refused("two_tickers", f"{error} in one {transaction}") from error
    return ticker, description


def _chamber(value: object) -> str:
    """One of house, senate and, where the record leaves it empty, unknown."""
    word = disclosures.plain(value).lower()
    if word in ("house", "representatives"):
        return "house"
    if word not in ("senate", ""):
        raise _Refused("unknown_chamber", f"chamber {value!r}")
    return word or "unknown"


def _member(raw: forms.Cells) -> str:
    name = disclosures.member(raw.member)
    if not name:
        raise _Refused("no_member", "the record names no member")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A trade as one filing states it. on: the day by whose end it was published; struck: the filing takes it back."""

    item: tables.Timed
    on: date
    struck: bool = False


def versions(stated: Iterable[Stated], *, live: bool) -> Iterator[tables.Timed]:
    """What several statements of the same trades amount to: in the order given, which is that of their making.

    A later statement of a trade is a new version of its row where its content differs; of one day's the last counts. A trade keeps
    the disclosure date and address of the filing that first told of it. live: only what is in force at the end, and what was struck.
    """
    told: dict[tuple[object, ...], list[Stated]] = {}
    for each in stated:
        history = told.setdefault(key_of(each.item), [])
        if history and history[-1].on >= each.on:
            each = replace(each, on=history.pop().on)
        history.append(each)
    for history in told.values():
        for each in _changes(history)[-1 if live else 0 :]:
            known_at = None if live else times.day_after(each.on)
            yield replace(each.item, known_at=known_at, gone=each.struck)


def within(items: Iterable[tables.Timed | Reject], since: datetime, until: datetime) -> Iterator[tables.Timed | Reject]:
    """The rejects, and the rows that became known from `since` to `until`."""
    return (item for item in items if isinstance(item, Reject) or (item.known_at is not None and since <= item.known_at <= until))


def _changes(history: list[Stated]) -> list[Stated]:
    """The statements that change something, each as the first one dates it."""
    first, changes = history[0].item.row, list[Stated]()
    for each in history:
        row = replace(each.item.row, disclosure_date=first.disclosure_date, source_url=first.source_url)
        now = replace(each, item=replace(each.item, row=row))
        if not changes or (changes[-1].item.row, changes[-1].struck) != (row, now.struck):
            changes.append(now)
    return changes
