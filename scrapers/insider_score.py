"""A score of its own in place of Quiver's DC Insider Score: what Congress buys, whom companies pay to lobby, what they sell to it.

Quiver does not say how it makes its score, so this one stands beside it and not for it. Of each company, on what was known at an instant:

* congress: members who bought stock by what the last 90 days first told, less members who sold, each counted once a side, whatever the
  size of the trade and whoever told of it;
* lobbying: logarithm of the spending told of in the last 182 days over that of the 182 days before, each plus 50,000 USD;
* contracts: logarithm of the awards of the last 90 days over a third of those of the 270 days before, each plus 1,000,000 USD.

Congress is signed-square-rooted; each part is then divided by its root mean square over the companies that have it, so that zero stays
"no change" and no part rules by its unit, and cut at 3. Parts are weighed 2 : 1 : 1; one that a company lacks is 0, one that nobody has
is left out. The score is 100 times the normal distribution function of the weighted mean: 50 is indifferent, 0 and 100 are never passed.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import times

if TYPE_CHECKING:
    import pandas as pd

Rows = Callable[[datetime, datetime], "pd.DataFrame"]
"""(since, asof) -> the newest versions known at asof of the rows with known_at >= since."""

WEIGHTS = {"congress": 2.0, "lobbying": 1.0, "contracts": 1.0}
CONGRESS_DAYS, LOBBYING_DAYS, CONTRACT_DAYS, CONTRACT_BASE_DAYS = 90, 182, 90, 270
LOBBYING_FLOOR_USD, CONTRACT_FLOOR_USD = 50_000.0, 1_000_000.0
MAX_Z = 3.0
_SIDES = {"purchase": 1, "sale": -1, "sale_full": -1, "sale_partial": -1}
_NO_NAMES = frozenset(("jr", "sr", "ii", "iii", "iv"))
_STOCK_TYPES = ("", "stock", "common stock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where the rows of the three datasets come from; None: not collected."""

    congress: Rows | None
    lobbying: Rows | None
    contracts: Rows | None


def scores(inputs: Inputs, asof: datetime, symbols: Collection[str] = ()) -> dict[str, float]:
    """Score from 0 to 100 by symbol, of every company that any part knows of; empty without data. symbols: only these, unless empty."""
    parts = {
        "congress": _congress(inputs.congress, asof),
        "lobbying": _lobbying(inputs.lobbying, asof),
        "contracts": _contracts(inputs.contracts, asof),
    }
    found = {name: _scaled({s: v for s, v in part.items() if not symbols or s in symbols}) for name, part in parts.items()}
    weight = sum(WEIGHTS[name] for name, part in found.items() if part)
    names = sorted({symbol for part in found.values() for symbol in part})
    return {symbol: _score(sum(WEIGHTS[name] * part.get(symbol, 0.0) for name, part in found.items()) / weight) for symbol in names}


def _score(z: float) -> float:
    return round(50.0 * (1.0 + math.erf(z / math.sqrt(2.0))), 4)


def _scaled(part: Mapping[str, float]) -> dict[str, float]:
    """Values over their root mean square, cut at MAX_Z; zeros stay zeros."""
    scale = math.sqrt(sum(value * value for value in part.values()) / len(part)) if part else 0.0
    return {symbol: max(-MAX_Z, min(MAX_Z, value / scale)) if scale else 0.0 for symbol, value in part.items()}


def _known(rows: Rows | None, since: datetime, asof: datetime, columns: Collection[str]) -> list[dict[str, Any]]:
    """Rows with a symbol that became known in (since, asof], `known_at` as datetime; empty where columns are missing."""
    import pandas as pd

    frame = rows(since, asof) if rows is not None else None
    if frame is None or frame.empty or not {"symbol", "known_at", *columns} <= set(frame.columns):
        return []
    at = pd.to_datetime(frame["known_at"], utc=True)
    within = frame[(at > since) & (at <= asof) & frame["symbol"].notna()]
    kept = within.assign(known_at=at[within.index]).sort_values(["known_at", "symbol"], kind="stable")
    return [{str(name): value for name, value in record.items()} for record in kept.to_dict("records")]


def _congress(rows: Rows | None, asof: datetime) -> dict[str, float]:
    sides: dict[str, dict[int, set[tuple[str, ...]]]] = defaultdict(lambda: {1: set(), -1: set()})
    since = asof - timedelta(days=CONGRESS_DAYS)
    for row in _known(rows, since, asof, ("member", "transaction")):
        disclosed = row.get("disclosure_date")
        amended = isinstance(disclosed, date) and disclosed == disclosed and times.day_after(disclosed) <= since
        if not amended and row["transaction"] in _SIDES and str(row.get("asset_type") or "").lower() in _STOCK_TYPES:
            sides[row["symbol"]][_SIDES[row["transaction"]]].add(_person(row["member"]))
    net = {symbol: len(side[1]) - len(side[-1]) for symbol, side in sides.items()}
    return {symbol: math.copysign(math.sqrt(abs(count)), count) for symbol, count in net.items()}


def _person(member: object) -> tuple[str, ...]:
    """First and last word of a name, so that origins which write it in different ways mean one member."""
    words = [word for word in re.findall(r"[^\W_]+", str(member).casefold()) if word not in _NO_NAMES]
    return (words[0], words[-1]) if words else ()


def _lobbying(rows: Rows | None, asof: datetime) -> dict[str, float]:
    """Of one quarter a company's own report counts where there is one, for it includes what it paid to firms."""
    middle = asof - timedelta(days=LOBBYING_DAYS)
    spent: dict[tuple[str, bool, tuple[Any, ...]], dict[bool, float]] = defaultdict(lambda: {True: 0.0, False: 0.0})
    for row in _known(rows, middle - timedelta(days=LOBBYING_DAYS), asof, ("amount_usd",)):
        usd = _positive(row["amount_usd"])
        quarter = (row.get("period_year"), row.get("period"))
        spent[(row["symbol"], row["known_at"] > middle, quarter)][bool(row.get("in_house"))] += usd
    totals: dict[str, dict[bool, float]] = defaultdict(lambda: {True: 0.0, False: 0.0})
    for (symbol, late, _), sums in spent.items():
        totals[symbol][late] += sums[True] or sums[False]
    return {symbol: math.log((usd[True] + LOBBYING_FLOOR_USD) / (usd[False] + LOBBYING_FLOOR_USD)) for symbol, usd in totals.items()}


def _contracts(rows: Rows | None, asof: datetime) -> dict[str, float]:
    """Single awards alone: quarterly totals would count them twice."""
    middle = asof - timedelta(days=CONTRACT_DAYS)
    totals: dict[str, dict[bool, float]] = defaultdict(lambda: {True: 0.0, False: 0.0})
    for row in _known(rows, middle - timedelta(days=CONTRACT_BASE_DAYS), asof, ("amount_usd",)):
        if row.get("period", "award") == "award":
            totals[row["symbol"]][row["known_at"] > middle] += _positive(row["amount_usd"])
    share = CONTRACT_DAYS / CONTRACT_BASE_DAYS
    return {
        symbol: math.log((usd[True] + CONTRACT_FLOOR_USD) / (usd[False] * share + CONTRACT_FLOOR_USD)) for symbol, usd in totals.items()
    }


def _positive(value: object) -> float:
    """The number where it is positive and finite, else 0: unknown amounts and de-obligations tell of no spending."""
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if 0.0 < number < math.inf else 0.0
