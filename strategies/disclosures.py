"""Disclosed trades counted once: whoever told of them, however often, and whatever was set right later."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

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
SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "md", "phd", "dds", "esq"))


def first_told(events: pd.DataFrame, since: datetime) -> pd.DataFrame:
    """The rows of trades that were not public before `since`: an amendment keeps the day on which its trade was first disclosed.

    A day counts as public from 00:00 New York of the next; rows that name no day stay.
    """
    days = _column(events, "disclosure_date")
    public = {day: _public_at(day) for day in set(days) if isinstance(day, date) and day == day}
    return events[[public.get(day, since) >= since for day in days]]


def _public_at(day: date) -> datetime:
    return datetime.combine(date(day.year, day.month, day.day) + timedelta(days=1), time(), NEW_YORK)


def unrepeated(events: pd.DataFrame) -> list[bool]:
    """Of each row whether it stands for its repetitions in one filing: the first of them, or the next where that one was withdrawn."""
    numbers = [int(number) for number in events["occurrence"].tolist()]
    members = [str(key or name) for key, name in zip(_column(events, "member_key"), _column(events, "member"), strict=True)]
    identities = list(zip(members, *(map(str, _column(events, name)) for name in IDENTITY), strict=True))
    least: dict[tuple[str, ...], int] = {}
    for identity, number in zip(identities, numbers, strict=True):
        least[identity] = min(number, least.get(identity, number))
    return [number == least[identity] for identity, number in zip(identities, numbers, strict=True)]


def told_once(events: pd.DataFrame, places: Iterable[int]) -> list[int]:
    """Those of the places of rows that count when several tellers (see _teller) tell of the same trades, in the order given.

    Trades of one surname, symbol, direction, day and lower bound are taken from the teller that has most of them. Names are compared by
    their last word alone, for first names are written in many ways.
    """
    names = ("origin", "filing_id", "member", "symbol", "transaction", "transaction_date", "amount_low_usd")
    cells = list(zip(*(_column(events, name) for name in names), strict=True))
    groups: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    surnames = {member: _surname(member) for member in set(_column(events, "member"))}
    for place in places:
        origin, filing, member, symbol, transaction, traded, low = cells[place]
        group = (surnames[member], str(symbol), str(transaction)[:4], str(traded), str(low))
        groups[group][_teller(origin, filing)].append(place)
    return sorted(place for told in groups.values() for place in min(told.items(), key=lambda each: (-len(each[1]), each[0]))[1])


def _teller(origin: object, filing: object) -> str:
    """Quiver; House and Senate themselves; or archives of the House, which unlike the House tell trades apart by their reports."""
    if origin == "quiver":
        return "quiver"
    return "archive" if origin == "house" and filing else "congress"


def _surname(member: Any) -> str:
    """The last word of a name, small, without accents and what stands behind it (`Angus King, Jr.` gives `king`)."""
    plain = unicodedata.normalize("NFKD", str(member)).encode("ascii", "ignore").decode().lower().replace(".", "")
    words = re.findall(r"[a-z0-9'-]+", plain)
    return next((word for word in reversed(words) if word not in SUFFIXES), "")


def _column(events: pd.DataFrame, name: str) -> list[Any]:
    """The values of a column; None throughout where the rows lack it."""
    return events[name].tolist() if name in events.columns else [None] * len(events)
