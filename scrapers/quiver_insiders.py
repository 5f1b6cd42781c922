"""Insider transactions in the records of Quiver's interface."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from scrapers import cells, edgar, insiders, tables, times
from scrapers.base import Reject
from scrapers.records import Unusable

KEYS = frozenset({"Ticker", "Date", "Name", "TransactionCode", "Shares", "fileDate"})
"""What every record has, of those that a row cannot be made without."""
TRUE, FALSE, NOTHING = {"true", "1", "1.0", "yes"}, {"false", "0", "0.0", "no"}, {"", "none", "null", "nan", "n/a", "--"}
Seen = Counter[tuple[object, ...]]


def parse(records: list[Any], *, position: str, url: str) -> Iterator[tables.Timed | Reject]:
    """Rows of an array of records; a cell with two tickers gives a row for each.

    known_at is `fileDate`: its instant, or 00:00 New York of the next day when it has no time. Equal records of one filing
    and upload are numbered in the array, which should hold all pages of an answer; one that is filed again is a newer version.
    """
    counted: Seen = Counter()
    for index, record in enumerate(records):
        at = f"{position}[{index}]"
        if not isinstance(record, dict) or not set(record) >= KEYS:
            yield tables.reject("not_a_record", f"an object with {', '.join(sorted(KEYS))} was expected", record, at)
            continue
        try:
            yield from _rows(record, url, counted)
        except Unusable as refused:
            yield tables.reject(refused.reason, str(refused), record, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    """The cells that a row cannot be made without, checked."""

    filed: date
    accepted_at: datetime | None
    name: str
    symbols: list[str]
    traded: date
    code: str
    way: str
    ownership: str
    shares: float
    price: float | None
    after: float | None

    def identity(self) -> tuple[object, ...]:
        """What tells one transaction from another. Not the day of filing: an amendment repeats the lines that it leaves as they are."""
        who, what = (self.name.upper(), "+".join(self.symbols)), (self.traded, self.code, self.way, self.ownership)
        return *who, *what, self.shares, self.price, self.after


def _trade(record: dict[str, Any]) -> _Trade:
    filed, accepted_at = filing_time(record["fileDate"])
    traded = times.parse_date(record["Date"])
    if filed is None:
        raise Unusable("no_filing_date", f"fileDate {record['fileDate']!r}")
    if traded is None:
        raise Unusable("bad_date", f"Date {record['Date']!r}")
    if traded > filed:
        raise Unusable("traded_after_filing", f"traded {traded}, filed {filed}")
    letters = (cells.text(record.get(key)).upper() for key in ("TransactionCode", "AcquiredDisposedCode", "directOrIndirectOwnership"))
    code, way, ownership = letters
    if not (len(code) == 1 and code.isascii() and code.isalpha()) or way not in ("A", "D") or ownership not in ("D", "I", ""):
        raise Unusable("bad_code", f"code {code!r}, acquired or disposed {way!r}, ownership {ownership!r}")
    shares, price, after = (_amount(record, key) for key in ("Shares", "PricePerShare", "SharesOwnedFollowing"))
    name, symbols = cells.text(record["Name"]), insiders.tickers(record["Ticker"])
    if shares is None:
        raise Unusable("no_shares", f"Shares {record['Shares']!r}")
    if not name:
        raise Unusable("no_owner", "the record names nobody")
    if not symbols:
        raise Unusable("no_ticker", f"Ticker {str(record['Ticker'])[:100]!r}")
    return _Trade(
        filed=filed, accepted_at=accepted_at, name=name, symbols=symbols, traded=traded, code=code, way=way, ownership=ownership,
        shares=shares, price=price, after=after,
    )  # fmt: skip


def _rows(record: dict[str, Any], url: str, seen: Seen) -> Iterator[tables.Timed]:
    trade = _trade(record)
    mark = (*trade.identity(), trade.filed, str(record.get("uploaded")))
    trade_id = f"{' '.join(map(str, trade.identity()))} #{seen[mark]}"
    seen[mark] += 1
    for place, symbol in enumerate(trade.symbols):
        row = _row(record, trade, symbol, f"{trade_id}/{place + 1}" if place else trade_id, url)
        yield tables.Timed(row=row, event_at=times.new_york(trade.traded), known_at=trade.accepted_at or times.day_after(trade.filed))


def _row(record: dict[str, Any], trade: _Trade, symbol: str, trade_id: str, url: str) -> insiders.InsiderTrade:
    return insiders.InsiderTrade(
        trade_id=trade_id,
        symbol=symbol,
        symbol_text=cells.text(record["Ticker"]),
        issuer_cik="",
        issuer_name="",
        owner_cik="",
        owner_name=trade.name,
        is_director=_flag(record, "isDirector"),
        is_officer=_flag(record, "isOfficer"),
        is_ten_percent_owner=_flag(record, "isTenPercentOwner"),
        is_other=_flag(record, "isOther"),
        officer_title=cells.text(record.get("officerTitle")),
        transaction_date=trade.traded,
        code=trade.code,
        acquired_disposed=trade.way,
        shares=trade.shares,
        price_usd=trade.price,
        shares_after=trade.after,
        ownership=trade.ownership,
        is_10b5_1=None,
        security_title="",
        derivative=False,
        footnoted=False,
        filed=trade.filed,
        accepted_at=trade.accepted_at,
        accession="",
        line=0,
        amendment=False,
        source_url=url,
    )


def filing_time(value: object) -> tuple[date | None, datetime | None]:
    """Day of filing and, when the text has a time at which EDGAR accepts reports, the instant in UTC; (None, None) when it is no date.

    A time without an offset is New York's, which is never earlier than any other zone that could be meant. Midnight, of any zone, and
    other times at which EDGAR is closed say no more than the day.
    """
    day = times.parse_date(value)
    if day is None:
        return None, None
    try:
        at = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return day, None
    if at.time() == time(0):
        return day, None
    instant = (at if at.tzinfo is not None else at.replace(tzinfo=times.NEW_YORK)).astimezone(UTC)
    in_new_york = times.new_york_date(instant)
    return (in_new_york, instant) if edgar.is_open(instant) else (max(day, in_new_york), None)


def _amount(record: dict[str, Any], key: str) -> float | None:
    """A number that is not negative; None for a cell that says nothing, Unusable for one that says anything else."""
    found = cells.number(record.get(key))
    if (found is None or found < 0) and _word(record.get(key)) not in NOTHING:
        raise Unusable("bad_number", f"{key} {str(record[key])[:80]!r}")
    return found


def _flag(record: dict[str, Any], key: str) -> bool:
    word = _word(record.get(key))
    if word not in TRUE | FALSE | NOTHING:
        raise Unusable("bad_flag", f"{key} {str(record[key])[:80]!r}")
    return word in TRUE


def _word(value: object) -> str:
    return str(value).strip().lower()
