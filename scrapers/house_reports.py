"""The text of a periodic transaction report of the House, as it comes out of the e-filed PDF, made into transactions.

Each transaction ends with its filing status. Asset and amount wrap over lines, the amount's second half before or after the rest of the
asset; a page may break anywhere, and then repeats the headings. The small capitals of the labels come out as NULs (`F\\0\\0 S\\0: New` is
"Filing Status: New") or, before 2022, in mixed case; check boxes come out as the letters gfedc.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scrapers.disclosures import BRACKETS_USD

LONG, WRAPPED_AT = 80, 104
"""Characters from which on a description may go on in the next line, and after which it does."""
MAX_LINES = 100_000

ASSET_TYPES = {
    "AB": "Asset-Backed Securities",
    "BA": "Bank Accounts",
    "CS": "Corporate Bond",
    "CT": "Cryptocurrency",
    "EF": "Exchange Traded Fund",
    "FU": "Futures",
    "GS": "Government Security",
    "HN": "Hedge Fund",
    "MF": "Mutual Fund",
    "OL": "Ownership Interest",
    "OP": "Stock Option",
    "OT": "Other",
    "PE": "Private Equity",
    "PS": "Non-Public Stock",
    "RE": "Real Estate Investment Trust",
    "RP": "Real Property",
    "RS": "Restricted Stock Units",
    "ST": "Stock",
    "VA": "Variable Annuity",
}
"""Words for the codes of the forms; another code stands as it is."""

_HEADING = re.compile(
    r"filing id #\s*\d+|id owner asset( transaction.*)?|(transaction )?type( date.*)?|date( notification.*| amount.*)?|notification( date)?"
    r"|amount( cap\.)?|cap\.( gains.*)?|gains >( \$200\?)?|\$200\?",
    re.IGNORECASE,
)
_END = re.compile(r"\* for the complete list|.{0,3}i certify that|digitally signed:|initial public offerings?|i p o$", re.IGNORECASE)
_BOX = re.compile(r"(?:(?<=\s)|^)g\s*f\s*e\s*d\s*c(?:\s*b)?(?=\s|$)", re.MULTILINE)
_STATUS = re.compile(r"f\s*s\s*:\s*(.*)|filing status\s*:\s*(.*)", re.IGNORECASE)
_LABEL = re.compile(r"(s\s*o|d|l|c)\s*:|(subholding of|description|location|comments?)\s*:", re.IGNORECASE)
_OWNER = re.compile(r"(?:\d{6,}\s*)?(SP|DC|JT)\s", re.IGNORECASE)
_ROW_ID = re.compile(r"\d{6,}\s*(?=\D)")
_ANCHOR = re.compile(
    r"(?:^|(?<=[\s\])]))(P|E|S(?: ?\(partial\))?)\s+(\d{1,2}/\d{1,2}/\d{4})\s*(\d{1,2}/\d{1,2}/\d{4})\s*(?=\$|over|spouse|none|$)",
    re.IGNORECASE,
)
_LOW = re.compile(r"(?:spouse/dc\s*)?(?:over\s*)?\$\s?[\d,]+(?:\.\d+)?", re.IGNORECASE)
_MONEY = re.compile(r"\$\s?[\d,]+(?:\.\d+)?")
_CODE = re.compile(r"\[([A-Za-z0-9]{2})\]")
_CASE_LOST = re.compile(r"[a-z]+[A-Z]+[A-Za-z]*")
_TICKER = re.compile(r"\(([A-Za-z][A-Za-z.\-/$]{0,7})\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One transaction of a report, its cells as written. status: new, amended or deleted. asset_type: a word of ASSET_TYPES or the code."""

    owner: str
    asset: str
    ticker: str
    asset_type: str
    transaction: str
    traded: str
    notified: str
    amount: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A transaction whose cells could not be told apart; text is what stands in its place."""

    text: str


def entries(text: str) -> Iterator[Entry | Unread]:
    """The transactions of a report's text, in order; nothing where it has none."""
    head: list[str] = []
    label: str | None = None
    for line in _body(text):
        status = _STATUS.match(line)
        if status:
            yield _entry(head, (status[1] or status[2] or "").strip().lower())
            head, label = [], line
        elif label is not None and not head and (_LABEL.match(line) or _goes_on(label, line)):
            label = line
        else:
            head.append(line)
    if any(_ANCHOR.search(line) for line in head):
        yield Unread(text=" ".join(head))


def has_table(text: str) -> bool:
    """Whether the text has the headings of a table of transactions."""
    return bool(re.search(r"\bowner\s+asset\s+transaction", _clean(text), re.IGNORECASE))


def _clean(text: str) -> str:
    return _BOX.sub("", re.sub(r"[^\S\n]+", " ", text.replace("\x00", "")))


def _body(text: str) -> Iterator[str]:
    """The lines of the table: from its headings on, without those of later pages, up to the notes at the end."""
    begun = False
    for line in _clean(text).split("\n")[:MAX_LINES]:
        line = line.strip()
        begun = begun or bool(re.match(r"id owner asset", line, re.IGNORECASE))
        if begun and _END.match(line):
            return
        if begun and line and not _HEADING.fullmatch(line):
            yield line


def _goes_on(label: str, line: str) -> bool:
    """Whether a line continues the label's text: that was full, or long and in the middle of a sentence, and the line begins nothing."""
    full = len(label) + 1 + len(line.split(" ", 1)[0]) > WRAPPED_AT
    broken = len(label) > LONG and (line[0].islower() or label[-1] in ",;-")
    return (full or broken) and not _OWNER.match(line)


def _entry(head: list[str], status: str) -> Entry | Unread:
    text = " ".join(head)
    anchor = _ANCHOR.search(text)
    if anchor is None or _ANCHOR.search(text, anchor.end()):
        return Unread(text=text)
    amount, rest = _amount(text[anchor.end() :])
    row = _ROW_ID.sub("", text[: anchor.start()].strip(), count=1) if _ROW_ID.match(text) else text[: anchor.start()].strip()
    owner = _OWNER.match(f"{row} ")
    asset = f"{row[owner.end() :] if owner else row} {rest}".strip()
    name, ticker, kind = _asset(re.sub(r"\s+", " ", asset))
    if not name:
        return Unread(text=text)
    return Entry(
        owner=owner[1].upper() if owner else "self",
        asset=name,
        ticker=ticker,
        asset_type=kind,
        transaction=anchor[1],
        traded=anchor[2],
        notified=anchor[3],
        amount=amount,
        status=status,
    )


def _amount(text: str) -> tuple[str, str]:
    """The amount at the head of a text, its upper bound sought behind what stands between, and what is left."""
    low = _LOW.match(text)
    if low is None:
        return "", text
    rest = text[low.end() :].strip()
    if not rest.startswith("-"):
        return low[0], rest
    rest = rest[1:].strip()
    figure = re.sub(r"\D", "", low[0].split(".")[0])
    upper = BRACKETS_USD.get(int(figure)) if 0 < len(figure) < 12 else None
    found = [m for m in _MONEY.finditer(rest) if upper is None or m[0].replace(" ", "") == f"${upper:,}"]
    if not found:
        return f"{low[0]} -", rest
    high = found[-1]
    return f"{low[0]} - {high[0]}", f"{rest[: high.start()]} {rest[high.end() :]}".strip()


def _asset(text: str) -> tuple[str, str, str]:
    """Name, ticker and type of an asset cell such as `Apple Inc. - Common Stock (AAPL) [ST]`.

    Bonds have a CUSIP in the parentheses, which is no ticker. Without a type code only capitals are taken for a ticker, or what cannot be a
    word (`aXP`: older reports lose the case of letters).
    """
    codes = _CODE.findall(text)
    code = codes[-1].upper() if codes else ""
    name = re.sub(r"\s+", " ", _CODE.sub(" ", text)).strip()
    found = _TICKER.search(name)
    sure = found and (code or found[1].isupper() or _CASE_LOST.fullmatch(found[1]))
    ticker = found[1] if found and sure and code not in ("GS", "CS") else ""
    if found and ticker:
        name = name[: found.start()].strip()
    return name, ticker.upper(), ASSET_TYPES.get(code, code)
