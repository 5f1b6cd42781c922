"""No wrong row is stored: every value is of its field's declared type and within what the field can mean, or its row is refused."""

import dataclasses
import functools
import math
import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from scrapers import cleaning, symbols

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
SYMBOL_FIELDS = frozenset(("symbol", "received_symbol"))
_INT64 = range(-(2**63), 2**63)
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][^\s<>\"\\]*)?")


class Wrong(ValueError):
    """A value that its field cannot have; the message says why, without the value."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a field may hold. fits: whether values that are exactly of its kind need no change; settle: one value made right, or Wrong."""

    name: str
    kind: type
    optional: bool
    fits: Callable[[Iterable[Any]], bool]
    settle: Callable[[Any], Any]


@functools.cache
def rules(row_type: type) -> tuple[Rule, ...]:
    """The rules of a row class, in the order of its fields."""
    hints = get_type_hints(row_type)
    return tuple(_rule(f.name, hints[f.name]) for f in dataclasses.fields(row_type))


def plain(hint: Any) -> tuple[type, bool]:
    """`float | None` gives (float, True), `float` (float, False)."""
    if get_origin(hint) is UnionType:
        return next(arg for arg in get_args(hint) if arg is not NoneType), True
    return hint, False


def settled(rule: Rule, values: list[Any]) -> tuple[list[Any], dict[int, str]]:
    """A column with every value made right, and what is wrong by place; wrong values are left in it.

    A column all of whose values are right, which is nearly every one, is seen to be so in bulk and handed back as it is.
    """
    found = set(map(type, values))
    if rule.optional and NoneType in found:
        found.discard(NoneType)
        present: Iterable[Any] = (value for value in values if value is not None)
    else:
        present = values
    if found <= {rule.kind} and rule.fits(present):
        return values, {}
    column, wrong = list(values), dict[int, str]()
    for place, value in enumerate(values):
        try:
            column[place] = _one(rule, value)
        except Wrong as error:
            wrong[place] = f"{rule.name} {error}"
    return column, wrong


def _one(rule: Rule, value: Any) -> Any:
    if value is not None:
        value = rule.settle(value)
    if value is None and not rule.optional:
        raise Wrong("is missing")
    return None if rule.optional and value == "" and rule.kind is str else value


def _rule(name: str, hint: Any) -> Rule:
    kind, optional = plain(hint)
    fits, settle = _text_rule(name, optional) if kind is str else _OTHERS[kind]
    return Rule(name=name, kind=kind, optional=optional, fits=fits, settle=settle)


def _text_rule(name: str, optional: bool) -> tuple[Callable[[Iterable[Any]], bool], Callable[[Any], Any]]:
    settle = _symbol if name in SYMBOL_FIELDS else _url if name == "url" or name.endswith("_url") else _text

    def unchanged(text: str) -> bool:
        return cleaning.is_clean(text) if settle is _text else settle(text) == text

    def fits(values: Iterable[str]) -> bool:
        distinct = set(values)
        try:
            return not (optional and "" in distinct) and all(map(unchanged, distinct))
        except Wrong:
            return False

    return fits, settle


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(f"is a {type(value).__name__} and no text")
    return str.__str__(value)


def _text(value: Any) -> str:
    return cleaning.clean(_words(value))


def _symbol(value: Any) -> str:
    word = _words(value)
    if symbols.canonical(word) != word:
        raise Wrong("is no canonical symbol")
    return word


def _url(value: Any) -> str:
    word = _words(value).strip()
    if word and not is_address(word):
        raise Wrong("is no https address")
    return word


def is_address(word: str) -> bool:
    """Whether a text may stand in a field of addresses."""
    return len(word) <= cleaning.TEXT_LIMIT and word.isprintable() and _URL.fullmatch(word) is not None


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise Wrong("is a bool and no whole number")
    try:
        number = operator.index(value)
    except TypeError:
        raise Wrong(f"is a {type(value).__name__} and no whole number") from None
    if number not in _INT64:
        raise Wrong("has more than 64 bits")
    return number


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"is a {type(value).__name__} and no number")
    try:
        number = float(value)
    except OverflowError:
        raise Wrong("is too large") from None
    if not math.isfinite(number):
        raise Wrong("is not finite")
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"is a {type(value).__name__} and no bool")
    return value


def _day(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Wrong(f"is a {type(value).__name__} and no date")
    if not EARLIEST.year <= value.year < LATEST.year:
        raise Wrong("is not within 1900 to 2100")
    return value


def _instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise Wrong(f"is a {type(value).__name__} and no instant")
    if value.tzinfo is None or value.utcoffset() is None:
        raise Wrong("has no time zone")
    if not EARLIEST <= value < LATEST:
        raise Wrong("is not within 1900 to 2100")
    return value


def _each(settle: Callable[[Any], Any]) -> Callable[[Iterable[Any]], bool]:
    """Whether every distinct value passes; for values that repeat."""

    def fits(values: Iterable[Any]) -> bool:
        try:
            for value in set(values):
                settle(value)
        except Wrong:
            return False
        return True

    return fits


def _all_int64(values: Iterable[int]) -> bool:
    held = list(values)
    return not held or (min(held) in _INT64 and max(held) in _INT64)


_OTHERS: dict[type, tuple[Callable[[Iterable[Any]], bool], Callable[[Any], Any]]] = {
    int: (_all_int64, _whole),
    float: (lambda values: all(map(math.isfinite, values)), _real),
    bool: (lambda values: True, _truth),
    date: (_each(_day), _day),
    datetime: (_each(_instant), _instant),
}
TIMED_RULES = (_rule("gone", bool), _rule("event_at", datetime), _rule("known_at", datetime | None))
"""What stands beside every row."""
