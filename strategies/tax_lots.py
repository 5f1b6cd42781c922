"""What a sleeve's tax lots say about selling: gains that are still short-term, losses that could be realised, and wash sales to avoid.

After 26 U.S.C. 1222 (a gain is long-term when the lot was held for more than a year) and 1091 (a loss does not count when the same
security is bought within 30 days before or after the sale, both days included).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.base import DataView

WASH_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One holding by its lots. weight: part of the market value of all holdings. young_gain: part of the same in lots that have a gain
    and were held for a year or less. loss_frac: how far the lots together are below their basis, 0 when they are not.
    bought_lately: whether a lot was acquired within the last 30 days.
    """

    weight: float
    young_gain: float
    loss_frac: float
    bought_lately: bool


def positions(view: DataView) -> dict[str, Position]:
    """By symbol what is held long, for the holdings that have lots; empty where nothing is held or no lots are told.

    A lot's basis is in USD for the whole lot; a lot without quantity or basis is passed over.
    """
    values = _values(view.holdings())
    lots = view.lots().reindex(columns=["symbol", "acquired_at", "qty", "basis_usd"])
    for name in ("qty", "basis_usd"):
        lots[name] = pd.to_numeric(lots[name], errors="coerce")
    lots["acquired_at"] = pd.to_datetime(lots["acquired_at"], utc=True, errors="coerce")
    lots = lots[lots["symbol"].isin(set(values)) & (lots["qty"] > 0) & np.isfinite(lots["basis_usd"]) & lots["acquired_at"].notna()]
    lots = lots.sort_values(["symbol", "acquired_at", "qty", "basis_usd"], kind="stable")
    total, today = sum(values[symbol][1] for symbol in sorted(values)), pd.Timestamp(view.asof).normalize()
    places, symbols = pd.factorize(lots["symbol"].to_numpy(dtype=object))
    prices = np.array([values[symbol][1] / values[symbol][0] for symbol in symbols], dtype=np.float64)
    worth = lots["qty"].to_numpy(dtype=np.float64) * prices[places] if len(lots) else np.empty(0)
    basis, days = lots["basis_usd"].to_numpy(dtype=np.float64), lots["acquired_at"].dt.normalize()
    young = (days >= today - pd.DateOffset(years=1)).to_numpy() & (worth > basis)
    recent = (days >= today - timedelta(days=WASH_DAYS)).to_numpy()

    def summed(amounts: NDArray[np.float64]) -> list[float]:
        found: list[float] = np.bincount(places, weights=amounts, minlength=len(symbols)).tolist()
        return found

    parts = zip(summed(worth), summed(basis), summed(worth * young), summed(recent.astype(np.float64)), strict=True)
    return {
        str(symbol): Position(
            weight=usd / total,
            young_gain=gain / total,
            loss_frac=max(1.0 - usd / cost, 0.0) if cost > 0 else 0.0,
            bought_lately=bought > 0,
        )
        for symbol, (usd, cost, gain, bought) in zip(symbols, parts, strict=True)
    }


def _values(holdings: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """By symbol quantity and market value, USD, of what is held long."""
    frame = holdings.reindex(columns=["qty", "market_value_usd"]).apply(pd.to_numeric, errors="coerce")
    rows = zip(frame.index.tolist(), frame["qty"].tolist(), frame["market_value_usd"].tolist(), strict=True)
    return {str(symbol): (qty, usd) for symbol, qty, usd in rows if qty > 0 and usd > 0}


def maybe_sold_lately(view: DataView, symbols: Iterable[str], *, last_due: pd.Timestamp) -> set[str]:
    """Those of the symbols that may have been sold within the wash-sale period: neither held nor wanted the last time.

    A view does not tell of sales. What was wanted when the sleeve was last due, or is held, has not been sold out since; of anything else
    nothing is known. last_due: the day on which the sleeve was due before; none are returned when that is more than 30 days ago.
    """
    if (pd.Timestamp(view.asof.date()) - last_due).days > WASH_DAYS:
        return set()
    wanted = view.previous_targets()
    kept = {str(symbol) for symbol, weight in wanted.items() if weight > 0} | set(_values(view.holdings()))
    return set(symbols) - kept
