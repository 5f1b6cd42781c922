"""The corporate actions of a world in Alpaca's records, and the renames of invented companies."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any

from scrapers.twin.world import World

PAYMENT, SPECIAL_PAYMENT = timedelta(days=14), timedelta(days=40)
FIRST_RENAME, RENAME_EVERY = 20, 21
"""Sessions. The first rename gives a company of the world its present symbol; the later ones are of companies outside of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One record of the list `kind`, published on `day`."""

    day: date
    kind: str
    symbols: tuple[str, ...]
    record: dict[str, Any]


class Actions:
    """Every action of a world, made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def _all(self) -> list[Action]:
        found = [action for day in self._world.sessions for asset in self._world.assets() for action in self._of(asset.symbol, day)]
        return sorted([*found, *self._renames()], key=lambda action: action.day)

    def until(self, day: date) -> list[Action]:
        """Those published by the end of a day, oldest first."""
        return self._all[: bisect_right(self._all, day, key=lambda action: action.day)]

    def _of(self, symbol: str, day: date) -> list[Action]:
        dividend, ratio = self._world.dividend(symbol, day), self._world.split(symbol, day)
        records = [("cash_dividends", record) for record in _dividends(symbol, day, dividend)] if dividend > 0 else []
        if ratio != 1.0:
            records.append(("forward_splits" if ratio > 1 else "reverse_splits", _split(symbol, day, ratio)))
        return [Action(day=day, kind=kind, symbols=(symbol,), record=record) for kind, record in records]

    def _renames(self) -> list[Action]:
        return [_rename(self._world, number, day) for number, day in enumerate(self._world.sessions[FIRST_RENAME::RENAME_EVERY])]


def _dividends(symbol: str, day: date, amount: float) -> list[dict[str, Any]]:
    """One record, or a regular and a special dividend of one ex-date, processed weeks apart."""
    special = round(0.4 * amount, 2) if (day.toordinal() + sum(map(ord, symbol))) % 12 == 0 else 0.0
    regular = _dividend(symbol, day, round(amount - special, 2), "dividend", day + PAYMENT, special=False)
    return [regular, _dividend(symbol, day, special, "special", day + SPECIAL_PAYMENT, special=True)] if special else [regular]


def _dividend(symbol: str, day: date, amount: float, name: str, paid: date, *, special: bool) -> dict[str, Any]:
    return {
        "id": f"{symbol}-{day}-{name}",
        "symbol": symbol,
        "cusip": "",
        "rate": amount,
        "special": special,
        "foreign": False,
        "process_date": paid.isoformat(),
        "ex_date": day.isoformat(),
        "record_date": day.isoformat(),
        "payable_date": paid.isoformat(),
    }


def _split(symbol: str, day: date, ratio: float) -> dict[str, Any]:
    new, old = (ratio, 1) if ratio > 1 else (1, round(1 / ratio))
    stamp = day.isoformat()
    record = {"id": f"{symbol}-{day}-split", "symbol": symbol, "new_rate": new, "old_rate": old, "process_date": stamp, "ex_date": stamp}
    cusips = {"cusip": ""} if ratio > 1 else {"old_cusip": "", "new_cusip": ""}
    return {**record, **cusips, "record_date": stamp, "payable_date": stamp}


def _rename(world: World, number: int, day: date) -> Action:
    """Every third one changes the CUSIP alone."""
    letters = "".join(chr(65 + number // 26**place % 26) for place in (1, 0))
    old, new = f"ZQ{letters}", world.stocks()[5].symbol if number == 0 else f"ZR{letters}"
    new = old if number % 3 == 2 else new
    record = {
        "id": f"{old}-{day}-name",
        "old_symbol": old,
        "old_cusip": f"9{number:06d}10",
        "new_symbol": new,
        "new_cusip": f"9{number:06d}28",
        "process_date": day.isoformat(),
    }
    return Action(day=day, kind="name_changes", symbols=(old, new), record=record)


@lru_cache(maxsize=8)
def actions_of(world: World) -> Actions:
    """The actions of a world, made once."""
    return Actions(world)
