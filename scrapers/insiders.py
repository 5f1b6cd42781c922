"""A transaction of a company's insider, whoever delivers it, and the ticker cells of such reports."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from scrapers import symbols

_NO_TICKER = {"", "-", "--", "NONE", "N/A", "NA", "N.A", "N.A.", "NULL", "NIL", "NOT APPLICABLE", "NOT LISTED", "NO TICKER", "PRIVATE"}
MAX_TICKERS = 6
_CLASS = re.compile(r"\bclass\s+([A-Z])\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InsiderTrade:
    """One line of a Form 4.

    trade_id: names the line over re-fetches: accession number of the filing that first reported it, and its number in there; a line
        of an amendment bears the id of the line that it corrects. Quiver's records have no such number: theirs is made of the trade.
    symbol: canonical, from symbol_text; None when that names no ticker. A line on shares of which neither ticker cell nor title tells
        the class is one row for each ticker of the company.
    owner_cik, owner_name: of the first owner, and of all of a joint report joined by `; `. The flags are those of any of them.
    code: of the form's instructions: P open-market or private purchase, S sale, A award, M exercise, F tax, G gift, ...
    acquired_disposed: A or D. ownership: D (direct) or I (indirect).
    price_usd: None when only a footnote says it. shares_after: None when the report states a value instead.
    is_10b5_1: made under a plan of that rule; None before 2023, when the form did not ask.
    derivative: from the table of options and the like. footnoted: one of its cells has a footnote.
    filed, accepted_at: date of filing and instant of acceptance, where the source has them. line: from 1 in its own filing.
    Quiver does not tell issuer, title, plan, footnotes and table: there the texts are empty, line is 0, derivative and footnoted False.
    """

    trade_id: str
    symbol: str | None
    symbol_text: str
    issuer_cik: str
    issuer_name: str
    owner_cik: str
    owner_name: str
    is_director: bool
    is_officer: bool
    is_ten_percent_owner: bool
    is_other: bool
    officer_title: str
    transaction_date: date
    code: str
    acquired_disposed: str
    shares: float
    price_usd: float | None
    shares_after: float | None
    ownership: str
    is_10b5_1: bool | None
    security_title: str
    derivative: bool
    footnoted: bool
    filed: date | None
    accepted_at: datetime | None
    accession: str
    line: int
    amendment: bool
    source_url: str


def tickers(cell: object) -> list[str]:
    """The canonical symbols of a ticker cell in order, each once; empty when it names none.

    `NYSE: X`, `(NASDAQ: abc)` and `abc123:msft"` give the part after the colon, `CRDA CRDB` and `BRK.A, BRK.B` two symbols, `BRK B`
    and `BRK/B` one. A cell with more than MAX_TICKERS is no ticker cell.
    """
    text = cell[:200].upper() if isinstance(cell, str) else ""
    found: list[str] = []
    for part in re.split(r"[,;|&]|\bAND\b", text):
        found += _part(re.sub(r"[\"'()\[\]{}]", " ", part.rpartition(":")[2]).strip())
    each = list(dict.fromkeys(found))
    return each if len(each) <= MAX_TICKERS else []


def _part(text: str) -> list[str]:
    if text in _NO_TICKER:
        return []
    whole = symbols.canonical(text)
    if whole is not None:
        return [whole]
    words = [word for word in re.split(r"[\s/]+", text) if word not in _NO_TICKER]
    read = [symbols.canonical(word) for word in words]
    return [symbol for symbol in read if symbol] if all(read) else []


def of_class(found: list[str], title: str) -> list[str]:
    """Those of several tickers that a security's title means: `Class B ...` the one that ends in B; all when it does not tell."""
    letters = {letter.upper() for letter in _CLASS.findall(title)}
    named = [symbol for symbol in found if symbol[-1] in letters]
    return named if len(found) > 1 and len(letters) == 1 and len(named) == 1 else found
