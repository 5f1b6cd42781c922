"""The cells of congressional disclosures made plain: tickers, amounts, transaction words, owners, names and HTML."""

import html
import re
from dataclasses import dataclass

from scrapers import symbols

BRACKETS_USD = {
    1_001: 15_000,
    15_001: 50_000,
    50_001: 100_000,
    100_001: 250_000,
    250_001: 500_000,
    500_001: 1_000_000,
    1_000_001: 5_000_000,
    5_000_001: 25_000_000,
    25_000_001: 50_000_000,
}
"""Lower and upper bound of the amount ranges of the STOCK Act forms; above the last one only "Over $50,000,000" exists."""

_NO_TICKER = {"", "--", "-", "N/A", "NONE", "NULL"}
_OWNERS = {"self": "self", "spouse": "spouse", "joint": "joint", "child": "dependent", "dependent": "dependent"}
_OWNER_CODES = {"sp": "spouse", "jt": "joint", "dc": "dependent"}
_TRANSACTIONS = {
    "purchase": "purchase",
    "p": "purchase",
    "sale": "sale",
    "s": "sale",
    "sale full": "sale_full",
    "sale partial": "sale_partial",
    "s partial": "sale_partial",
    "exchange": "exchange",
    "e": "exchange",
}
_NUMERALS = {"II", "III", "IV"}
_OPEN_LOWERS_USD = {50_000_000, 50_000_001}
"""How a bare number writes "Over $50,000,000"."""
_STATES = dict(
    pair.rsplit(" ", 1)
    for pair in (
        "alabama AL,alaska AK,arizona AZ,arkansas AR,california CA,colorado CO,connecticut CT,delaware DE,district of columbia DC,"
        "florida FL,georgia GA,hawaii HI,idaho ID,illinois IL,indiana IN,iowa IA,kansas KS,kentucky KY,louisiana LA,maine ME,"
        "maryland MD,massachusetts MA,michigan MI,minnesota MN,mississippi MS,missouri MO,montana MT,nebraska NE,nevada NV,"
        "new hampshire NH,new jersey NJ,new mexico NM,new york NY,north carolina NC,north dakota ND,ohio OH,oklahoma OK,oregon OR,"
        "pennsylvania PA,rhode island RI,south carolina SC,south dakota SD,tennessee TN,texas TX,utah UT,vermont VT,virginia VA,"
        "washington WA,west virginia WV,wisconsin WI,wyoming WY,american samoa AS,guam GU,northern mariana islands MP,"
        "puerto rico PR,virgin islands VI"
    ).split(",")
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]")


class TwoTickers(ValueError):
    """A cell names two securities for a trade that can only be in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """What a ticker cell says. `symbol` is None when it names no US-listed security, and `note` then says why.

    `received` is the asset received in an exchange; `text` is the cell without its markup.
    """

    symbol: str | None
    received: str | None
    text: str
    note: str


def plain(value: object) -> str:
    """Text without markup, entities, control characters and doubled blanks; anything but a string gives an empty one."""
    if not isinstance(value, str):
        return ""
    text = re.sub(r"<[^>]*>", " ", value)
    return re.sub(r"\s+", " ", _CONTROL.sub("", html.unescape(text))).strip()


def ticker(cell: object, transaction: str) -> Ticker:
    """Read a ticker cell: plain, HTML anchors, or two tickers.

    An exchange names the asset given first and the asset received second, either of which may be `--`. A cell with two tickers is
    otherwise TwoTickers, unless both are spellings of one symbol.
    """
    text = plain(cell)
    words = _words(cell)
    if transaction == "exchange" and len(words) == 2:
        given, received = (symbols.canonical(word) for word in words)
        return Ticker(symbol=given, received=received, text=text, note=_note(words[0], given))
    found = dict.fromkeys(symbols.canonical(word) or word for word in words if word.upper() not in _NO_TICKER)
    if len(found) > 1:
        raise TwoTickers(text)
    word = next((word for word in words if word.upper() not in _NO_TICKER), "")
    symbol = symbols.canonical(word) if word else None
    return Ticker(symbol=symbol, received=None, text=text, note=_note(word, symbol))


def _words(cell: object) -> list[str]:
    """The tickers of a cell. Blanks separate them only beside markup or between words that are tickers themselves."""
    raw = cell if isinstance(cell, str) else ""
    parts = [plain(part) for part in re.split(r"<br\s*/?>|</a>\s*(?=<a)|[|;,]", raw, flags=re.IGNORECASE)]
    words = [re.sub(r"(?:\s*-\s*|\s+)DEFUNCT$", "", part, flags=re.IGNORECASE) for part in parts if part]
    if len(words) == 1 and symbols.canonical(words[0]) is None and re.fullmatch(r"[A-Z.\-/]{1,8}( [A-Z.\-/]{1,8})+", words[0]):
        return words[0].split(" ")
    return words


def _note(word: str, symbol: str | None) -> str:
    if symbol is not None:
        return "preferred" if ".PR" in symbol else ""
    return "no_ticker" if word.upper() in _NO_TICKER else symbols.explain(word)


def amount(value: object) -> tuple[float | None, float | None]:
    """Lower and upper bound in USD of a disclosed amount; None where the form leaves it open or nothing can be read.

    `$1,001 - $15,000` gives both; a cut range (`$1,001 -`) or a bare lower bound (`1001.0`) names its bracket by the lower bound;
    `Over $50,000,000` and `$1,000,000 +` have no upper bound; a bare number that is no lower bound is an exact amount.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    text = plain(value)
    figures = [float(figure.replace(",", "")) for figure in re.findall(r"\d[\d,]*(?:\.\d+)?", text)][:3]
    if len(figures) == 2:
        return (figures[0], figures[1]) if figures[0] <= figures[1] else (None, None)
    if len(figures) != 1 or text.startswith("-"):
        return None, None
    return _single(figures[0], text)


def _single(figure: float, text: str) -> tuple[float | None, float | None]:
    if "+" in text or "over" in text.lower():
        return figure, None
    upper = BRACKETS_USD.get(int(figure)) if figure.is_integer() else None
    if upper is not None:
        return figure, float(upper)
    if figure in _OPEN_LOWERS_USD:
        return 50_000_000.0, None
    return (figure, None) if text.endswith("-") else (figure, figure)


def transaction(value: object) -> str | None:
    """purchase, sale, sale_full, sale_partial or exchange; None for any other word."""
    return _TRANSACTIONS.get(" ".join(re.findall(r"[a-z]+", plain(value).lower())))


def owner(value: object) -> str:
    """self, spouse, joint, dependent, or unknown."""
    word = plain(value).lower()
    return _OWNERS.get(word) or _OWNER_CODES.get(word, "unknown")


def state(value: object) -> str:
    """The postal code of a state from its name, its code or a district (`CA11`); other text as it stands."""
    text = plain(value)
    district = re.fullmatch(r"([A-Z]{2})\d{0,2}", text.upper())
    return district[1] if district else _STATES.get(text.lower(), text)


def member(value: object) -> str:
    """A member's name as `First Last`: without honorific, `Last, First` turned round, capitals only where a name has them."""
    titles = r"^(none|sen\.?|rep\.?|mr\.?|mrs\.?|ms\.?|dr\.?)\s+|\b(the\s+honorable|hon\.?|honorable)\s+"
    name = re.sub(titles, "", plain(value), flags=re.IGNORECASE)
    name = re.sub(r"\s+,", ",", name).strip(" ,")
    last, comma, first = name.partition(", ")
    if comma and not re.fullmatch(r"(jr|sr|ii|iii|iv)\.?", first, flags=re.IGNORECASE):
        name = f"{first} {last}"
    return _capitals(name) if name.isupper() else name


def _capitals(name: str) -> str:
    return re.sub(r"[A-Z]+", lambda word: word[0] if word[0] in _NUMERALS else word[0].capitalize(), name)
