"""Trades that members of Congress disclose: which of them are in stock, whose they are, and each counted once.

Whoever told of a trade, however often, and whatever was set right later, it is one trade. Under the STOCK Act (2012) amounts are given
as ranges, so a disclosure is worth the midpoint of its range, or the lower bound where the range is open-ended.
"""

import difflib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NEW_YORK = ZoneInfo("America/New_York")
IDENTITY = (
    "origin",
    "filing_id",
    "owner",
    "symbol",
    "asset_key",
    "transaction",
    "transaction_date",
    "amount_low_usd",
    "amount_high_usd",
)
"""What repetitions inside a filing have in common, beside the member."""
SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "md", "phd", "dds", "esq", "facs"))
HONORIFICS = frozenset(("the", "hon", "honorable", "mr", "mrs", "ms", "dr", "sen", "senator", "rep", "representative"))
NICKNAMES = {
    nickname: name
    for name, nicknames in (
        ("robert", "bob bobby rob robby"), ("william", "bill billy will wm"), ("richard", "rick dick rich"), ("thomas", "tom tommy"),
        ("james", "jim jimmy"), ("michael", "mike mikie"), ("charles", "chuck charlie"), ("john", "jack johnny"), ("joseph", "joe joey"),
        ("edward", "ed eddie ted"), ("anthony", "tony"), ("elizabeth", "liz beth betsy"), ("deborah", "debbie deb"), ("daniel", "danny"),
        ("katherine", "kathy kate katie"), ("patricia", "patty"), ("lawrence", "larry"), ("gerald", "gerry jerry"), ("david", "dave"),
    )
    for nickname in nicknames.split()
}  # fmt: skip
"""Short forms of first names that do not begin as the name does, and some that do."""

SIGN = {"purchase": 1.0, "sale": -1.0, "sale_full": -1.0, "sale_partial": -1.0}
UNKNOWN = "unknown"
OTHERS = frozenset(("spouse", "joint", "dependent", "child"))
"""Owners that are not, or not alone, the member. Quiver never says whose a trade was, and a form that leaves it open means the member."""
STOCK_TYPES = ("", "stock", "st", "cs", "common stock")
NOT_A_STOCK = re.compile(
    r"(?:call|put|stock) options?\b|- options?\b|option type|\bstrike\b"  # options
    r"|\bcpn\b|\bmtn\b|\bbonds?\b|\bnotes?\b|\bdebentures?\b|\bpfd\b|\d ?%"  # bonds and preferreds
    r"|\betfs?\b|\betns?\b|\bfunds?\b|\bishares\b|\bspdr\b|\bproshares\b|\bpowershares\b"
    r"|\bvanguard\b|\bqqq\b|\bfirst trust\b|\bgrayscale\b",
    re.IGNORECASE,
)
"""House filings carry no asset type, so that options, bonds and funds are told from stocks by their description."""
NOT_A_STOCK_TICKER = re.compile(r"[A-Z]{4}X|.+\.PR[A-Z]?")
"""Mutual funds (five letters ending in X) and preferred series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One disclosed trade in stock. usd: its worth, negative for a sale. transaction: purchase, sale, sale_full or sale_partial.

    owner: self, spouse, joint, dependent, or unknown where nobody says. traded: day of the trade, or of the row where that is missing.
    told_at: when it was first public, UTC; later versions of the row do not change it.
    """

    row_key: str
    symbol: str
    usd: float
    transaction: str
    member: str
    member_id: str
    owner: str
    traded: date
    told_at: datetime


def stock_trades(events: pd.DataFrame, *, owners: str = "all") -> list[Trade]:
    """Stock purchases and sales of a congress_trades frame, each once, by symbol and row_key.

    Left out by rule: exchanges, options, bonds, funds, rows without a ticker or an amount, exact repetitions inside a filing, and
    what another origin tells of as well. owners: "all", or "self" without what is said to be a spouse's, joint or a dependent's.
    """
    read = ("row_key", "symbol", "transaction", "amount_low_usd", "amount_high_usd", "asset_type", "asset_description")
    found: dict[int, tuple[str, str, float]] = {}
    keys: set[str] = set()
    stock: dict[tuple[Any, ...], bool] = {}
    for place, (first, key, *cells) in enumerate(zip(unrepeated(events), *(_column(events, c) for c in read), strict=True)):
        symbol, transaction, low, high, *asset = cells
        usd = _worth(low, high)
        if not first or key in keys or transaction not in SIGN or not isinstance(symbol, str) or usd is None:
            continue
        what = (symbol, *(text if isinstance(text, str) else "" for text in asset))
        if what not in stock:
            stock[what] = is_stock(*what)
        if stock[what]:
            found[place] = (symbol, key, SIGN[transaction] * usd)
            keys.add(key)
    told = told_once(events, found)
    others = _column(events, "owner")
    counted = sorted((*found[place], place) for place in told if owners == "all" or others[place] not in OTHERS)
    return _trades(events, counted)


def _trades(events: pd.DataFrame, counted: Sequence[tuple[str, str, float, int]]) -> list[Trade]:
    names = ("transaction", "member", "member_id", "owner")
    texts = [[_text(value) for value in _column(events, name)] for name in names]
    dates = _column(events, "transaction_date"), _column(events, "disclosure_date")
    days = {value: _day(value) for cells in dates for value in set(cells)}
    public = {day: _public_at(day) for day in set(map(days.__getitem__, set(dates[1]))) if day}
    known = pd.DatetimeIndex(events["known_at"]).to_pydatetime()
    made = []
    for symbol, key, usd, place in counted:
        transaction, member, member_id, owner = (cells[place] for cells in texts)
        traded, told = (days[cells[place]] for cells in dates)
        made.append(
            Trade(
                row_key=key, symbol=symbol, usd=usd, transaction=transaction, member=member, member_id=member_id, owner=owner or UNKNOWN,
                traded=traded or known[place].date(), told_at=min(public[told], known[place]) if told else known[place],
            )
        )  # fmt: skip
    return made


def _worth(low: Any, high: Any) -> float | None:
    """Midpoint of a range in USD, its lower bound where it is open-ended or ends below it; None where there is no amount."""
    if low is None or not math.isfinite(low) or low < 0:
        return None
    top = low if high is None or not math.isfinite(high) else max(low, high)
    return (float(low) + float(top)) / 2.0 or None


def is_stock(symbol: str, kind: str, description: str) -> bool:
    """Whether a disclosure is about common stock, by asset type, description and the form of the ticker."""
    typed = kind.strip().lower() in STOCK_TYPES
    return typed and not NOT_A_STOCK.search(description) and not NOT_A_STOCK_TICKER.fullmatch(symbol)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _day(value: Any) -> date | None:
    return date(value.year, value.month, value.day) if isinstance(value, date) and value == value else None


def first_told(events: pd.DataFrame, since: datetime) -> pd.DataFrame:
    """The rows of trades that were not public before `since`: an amendment keeps the day on which its trade was first disclosed.

    A day counts as public from 00:00 New York of the next; rows that name no day stay.
    """
    days = _column(events, "disclosure_date")
    public = {day: _public_at(day) for day in set(days) if isinstance(day, date) and day == day}
    return events[np.array([public.get(day, since) >= since for day in days], dtype=bool)]


def _public_at(day: date) -> datetime:
    return datetime.combine(date(day.year, day.month, day.day) + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)


def unrepeated(events: pd.DataFrame) -> list[bool]:
    """Of each row whether it stands for its repetitions in one filing: the first of them, or the next where that one was withdrawn."""
    members = [_text(key) or _text(name) for key, name in zip(_column(events, "member_key"), _column(events, "member"), strict=True)]
    alike = _alike_in(members, *(events[name] for name in IDENTITY if name in events.columns))
    numbers = pd.Series([0.0 if value is None or value != value else float(value) for value in _column(events, "occurrence")])
    return [bool(first) for first in numbers == numbers.groupby(alike).transform("min")]


def told_once(events: pd.DataFrame, places: Iterable[int]) -> list[int]:
    """Those of the places of rows that count when several tellers (see _teller) tell of the same trades, in ascending order.

    Trades of one surname, symbol, direction, day and lower bound are taken from the teller that has most of them. Names are compared by
    their last word alone, for first names are written in many ways.
    """
    rows = np.array(sorted(places), dtype=np.int64)
    names = ("member", "symbol", "transaction", "transaction_date", "amount_low_usd", "origin", "filing_id")
    member, symbol, transaction, traded, low, origin, filing = ([cells[i] for i in rows] for cells in (_column(events, n) for n in names))
    surnames = {name: _surname(name) for name in set(member)}
    trade = _alike_in([surnames[name] for name in member], symbol, [str(word)[:4] for word in transaction], traded, low)
    by = [_teller(o, f) for o, f in zip(origin, filing, strict=True)]
    teller = np.array([TELLERS.index(name) for name in by], dtype=np.int64)
    pairs, counts = np.unique(trade * len(TELLERS) + teller, return_counts=True)
    order = np.lexsort((-pairs, counts, pairs // len(TELLERS)))  # by trade; within it the most last, of equals the first of TELLERS
    most = pairs[order][np.diff(pairs[order] // len(TELLERS), append=-1) != 0]
    return [int(row) for row in rows[teller == most[trade] % len(TELLERS)]]


def _alike_in(*columns: Any) -> NDArray[np.int64]:
    """A number for each row, equal in the rows that are alike in all columns; what is missing is alike."""
    alike = np.zeros(len(columns[0]), dtype=np.int64)
    for cells in columns:
        codes, words = pd.factorize(cells if isinstance(cells, pd.Series) else pd.Series(cells, dtype=object))
        alike, _ = pd.factorize(alike * (len(words) + 1) + codes + 1)
    return alike


TELLERS = ("archive", "congress", "quiver")
"""In the order of preference where they tell of as many trades."""


def _teller(origin: object, filing: object) -> str:
    """Quiver; House and Senate themselves; or archives of the House, which unlike the House tell trades apart by their reports."""
    if origin == "quiver":
        return "quiver"
    return "archive" if origin == "house" and filing else "congress"


def _surname(member: Any) -> str:
    """The last word of a name (`Angus King, Jr.` gives `king`)."""
    return next(reversed(name_words(member)), "")


def name_words(member: Any) -> tuple[str, ...]:
    """The words of a name from first to last: small, without accents, honorifics and suffixes; `Last, First` is turned round."""
    plain = unicodedata.normalize("NFKD", str(member)).encode("ascii", "ignore").decode().lower()
    last, _, first = re.sub(r"[.']", "", plain).partition(",")
    return (*_words(first), *_words(last))


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z0-9-]+", text) if word not in SUFFIXES and word not in HONORIFICS]


def same_person(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two names (see name_words) can be one person's.

    The surnames are equal, and the first name of one is among the given names of the other, whole, as the beginning of it, as a
    nickname or as an initial. A surname alone fits every first name. So do the same words in another order.
    """
    if len(one) > 2 and sorted(one) == sorted(other):
        return True
    if not one or not other or one[-1] != other[-1]:
        return False
    given, others = ([word for word in name[:-1] if len(word) > 1] for name in (one, other))
    if not given or not others:
        return len(one) == 1 or len(other) == 1 or one[0][0] == other[0][0]
    return any(_alike(given[0], word) for word in others) or any(_alike(others[0], word) for word in given)


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return (len(short) > 2 and long.startswith(short)) or NICKNAMES.get(one, one) == NICKNAMES.get(other, other)


@dataclass(slots=True, kw_only=True, eq=False)
class Person:
    """A member under all spellings of the name. name: the fullest of them. ids: what Quiver knows the member by."""

    name: str
    spellings: list[tuple[str, ...]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)


def people(trades: Iterable[Trade]) -> dict[str, Person]:
    """Who is meant by each spelling of a member's name in these trades; nobody by an empty one.

    A spelling joins the person of its id, else the only one whom it can mean; one that can mean two people stands alone.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for trade in trades:
        if trade.member:
            ids[trade.member] |= {trade.member_id} - {""}
    by_word: dict[str, list[Person]] = defaultdict(list)
    found: dict[str, Person] = {}
    for name in sorted(ids, key=lambda name: (-len(name_words(name)), -len(name), name)):
        words = name_words(name)
        fitting = _fitting(words, ids[name], by_word[words[-1]] if words else [])
        person = fitting[0] if len(fitting) == 1 else Person(name=name)
        person.spellings.append(words)
        person.ids |= ids[name]
        found[name] = person
        for word in set(words):
            if person not in by_word[word]:
                by_word[word].append(person)
    return found


def _fitting(words: tuple[str, ...], ids: Collection[str], persons: Iterable[Person]) -> list[Person]:
    """Those of the persons whom a spelling can mean; of one that comes with ids, who has one of them, or nobody known by others."""
    among = list(persons)
    known = [person for person in among if person.ids & set(ids)]
    free = [person for person in among if not (person.ids and ids)]
    return known or [person for person in free if any(same_person(words, spelling) for spelling in person.spellings)]


def named(wanted: str, persons: Iterable[Person]) -> Person | str:
    """The person whom a name means, or why nobody is meant: with the nearest known name, or with all whom it could mean."""
    among = [person for _, person in sorted({person.name: person for person in persons}.items())]
    words = name_words(wanted)
    fitting = [person for person in among if words and any(same_person(words, spelling) for spelling in person.spellings)]
    exact = [person for person in fitting if words in person.spellings]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        return f"could be {' or '.join(person.name for person in fitting)}"
    nearest = _nearest(words, among)
    return "nobody of that name disclosed a trade in stock" + (f"; the nearest known name is {nearest}" if nearest else "")


def _nearest(words: tuple[str, ...], persons: Sequence[Person]) -> str:
    by_text = {" ".join(spelling): person.name for person in persons for spelling in sorted(person.spellings)}
    close = difflib.get_close_matches(" ".join(words), sorted(by_text), n=1, cutoff=0.0)
    return by_text[close[0]] if close else ""


def _column(events: pd.DataFrame, name: str) -> list[Any]:
    """The values of a column; None throughout where the rows lack it."""
    return events[name].tolist() if name in events.columns else [None] * len(events)
