"""What happened to the account, one record after the other, as Alpaca's activities tell it."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime

from execution.base import Side
from execution.exchange.market import NEW_YORK


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One entry. kind: FILL, DIV, SPLIT, REORG, CSD or CSW.

    qty: units of 1e-9 shares: those of the execution for FILL, the signed change of position for SPLIT and REORG, those held for
    DIV. net: signed money that reached the account in 1e-13 USD. The last five fields belong to FILL, per_share to DIV.
    """

    id: str
    kind: str
    symbol: str
    at: datetime
    qty: int = 0
    net: int = 0
    per_share: str = ""
    order_id: str = ""
    side: Side = "buy"
    ticks: int = 0
    cum_qty: int = 0
    leaves_qty: int = 0


class ActivityLog:
    """Activities in the order in which they happened."""

    def __init__(self) -> None:
        self.entries: list[Activity] = []
        self._at: list[datetime] = []
        self._place: dict[str, int] = {}

    def add(self, activity: Activity) -> None:
        """Append an entry that is not older than `last_at`."""
        self._place[activity.id] = len(self.entries)
        self.entries.append(activity)
        self._at.append(activity.at)

    @property
    def last_at(self) -> datetime | None:
        """The instant of the newest entry."""
        return self._at[-1] if self._at else None

    def since(self, after: datetime) -> list[Activity]:
        """Entries at or after that instant, ascending."""
        return self.entries[bisect_left(self._at, after) :]

    def place(self, activity_id: str) -> int | None:
        """Position of an entry, None when there is none with that id."""
        return self._place.get(activity_id)


def activity_id(at: datetime, unique: str) -> str:
    """`<yyyymmddhhmmssmmm>::<uuid>` in New York time."""
    local = at.astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{unique}"
