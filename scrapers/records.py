"""Arrays of JSON records: their shape as a whole, each record on its own, and what tells equal records apart."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from scrapers import cells, symbols, tables
from scrapers.base import Reject
from scrapers.errors import SourceChanged

NO_TICKER = frozenset({"", "-", "--", "N/A", "NA", "NAN", "NONE", "NULL"})
_DEFUNCT = re.compile(r"(?:\s*-\s*|\s+)DEFUNCT$", re.IGNORECASE)


class Unusable(ValueError):
    """A record that is not a row. reason: its slug."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def check_shape(records: object, keys: Collection[str], url: str) -> list[Any]:
    """The array itself; SourceChanged when it is none, or when most of its records lack some of `keys`."""
    if not isinstance(records, list):
        raise SourceChanged(f"{url}: an array of records was expected, not {type(records).__name__}")
    strange = [record for record in records if not (isinstance(record, dict) and record.keys() >= set(keys))]
    if 2 * len(strange) > len(records):
        first = ", ".join(sorted(map(str, strange[0])))[:300] if isinstance(strange[0], dict) else type(strange[0]).__name__
        raise SourceChanged(f"{url}: {len(strange)} of {len(records)} records lack some of {', '.join(keys)}; the first has {first}")
    return records


def parsed(
    records: Iterable[Any], parse: Callable[[dict[str, Any]], tables.Timed], keys: Collection[str], position: str
) -> Iterator[tables.Timed | Reject]:
    """What `parse` makes of each record; one that lacks a key or is Unusable is a Reject (`not_a_record`, `missing_keys`, its reason)."""
    for index, record in enumerate(records):
        at = f"{position}[{index}]"
        if not isinstance(record, dict):
            yield tables.reject("not_a_record", "an object was expected", record, at)
        elif missing := [key for key in keys if key not in record]:
            yield tables.reject("missing_keys", f"without {', '.join(missing)}", record, at)
        else:
            try:
                item: tables.Timed | Reject = parse(record)
            except Unusable as unusable:
                item = tables.reject(unusable.reason, str(unusable), record, at)
            yield item


def fits(found: object, keys: Collection[str]) -> bool:
    """Whether a saved answer is an array of records of which half have these keys: one damaged record does not hide the others."""
    good = sum(isinstance(record, dict) and record.keys() >= set(keys) for record in found) if isinstance(found, list) else 0
    return good > 0 and 2 * good >= len(found)  # type: ignore[arg-type]


def seen_keys(found: object) -> str:
    """What an unknown answer has instead, for people: the keys of its first record."""
    first = next((record for record in found if isinstance(record, dict)), {}) if isinstance(found, list) else {}
    return f"keys {', '.join(sorted(map(str, first)))[:300] or 'none'}"


def live(items: Iterable[tables.Timed | Reject], until: datetime) -> Iterator[tables.Timed | Reject]:
    """The items as live ones, without known_at; what is dated more than a day after `until` is a Reject (`future_date`)."""
    for item in items:
        if isinstance(item, tables.Timed) and item.event_at > until + timedelta(days=1):
            detail = f"dated {item.event_at:%Y-%m-%d}, read {until:%Y-%m-%d}"
            yield tables.reject("future_date", detail, dataclasses.asdict(item.row), getattr(item.row, "source_url", ""))
        else:
            yield tables.unstamped(item)


def numbered(
    items: Iterable[tables.Timed | Reject], identity: Callable[[Any], Hashable], order: Callable[[Any], Any]
) -> list[tables.Timed | Reject]:
    """The same items with `occurrence` counted from 0 among rows of one identity, in the order of `order`, so that the number does
    not depend on the order of an answer.
    """
    made = list(items)
    groups: dict[Hashable, list[tuple[int, tables.Timed]]] = {}
    for place, item in enumerate(made):
        if isinstance(item, tables.Timed):
            groups.setdefault(identity(item.row), []).append((place, item))
    for group in groups.values():
        for number, (place, item) in enumerate(sorted(group, key=lambda member: order(member[1].row))):
            made[place] = dataclasses.replace(item, row=dataclasses.replace(item.row, occurrence=number))
    return made


def fingerprint(*parts: object) -> str:
    """16 hexadecimal digits that stand for texts too long to be part of a key."""
    joined = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "replace"), digest_size=8).hexdigest()


def symbol_of(cell: object) -> str | None:
    """The canonical symbol of a ticker cell; None when it is empty. Raises Unusable for text that names no single US security."""
    word = _DEFUNCT.sub("", cells.text(cell))
    if word.upper() in NO_TICKER and (cell is None or isinstance(cell, str)):
        return None
    symbol = symbols.canonical(word)
    if symbol is None:
        raise Unusable("bad_ticker", f"ticker {str(cell)[:80]!r}: {symbols.explain(word)}")
    return symbol


def amount_of(record: Mapping[str, Any], key: str) -> float:
    """The amount in a cell, in USD; Unusable `no_amount` or `bad_amount` without one."""
    found = cells.number(record[key])
    if found is None:
        raise Unusable("no_amount" if cells.is_empty(record[key]) else "bad_amount", f"{key} {str(record[key])[:80]!r}")
    return found
