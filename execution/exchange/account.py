"""Cash, holdings and margin of the one account, in exact integers (see units.py)."""

from dataclasses import dataclass
from fractions import Fraction

from execution.exchange.units import round_to_cent


@dataclass(slots=True, kw_only=True)
class Holding:
    """A position. qty is negative for a short; cost is its entry value with the sign of qty; prices are in ticks.

    lastday_ticks: the close before the current session.
    """

    symbol: str
    qty: int
    cost: int
    mark_ticks: int
    lastday_ticks: int

    @property
    def value(self) -> int:
        """Market value, negative for a short."""
        return self.qty * self.mark_ticks


class Account:
    """Money and positions. Long and short values are kept up to date with every mark, so that margin is a few additions."""

    __slots__ = ("cash", "holdings", "last_equity", "long_value", "multiplier", "reserved", "short_value")

    def __init__(self, *, multiplier: int) -> None:
        self.multiplier = multiplier
        self.cash = 0
        self.last_equity = 0
        self.long_value = 0
        self.short_value = 0
        self.reserved = 0
        self.holdings: dict[str, Holding] = {}

    @property
    def equity(self) -> int:
        """Cash plus long and short market value."""
        return self.cash + self.long_value + self.short_value

    @property
    def initial_margin(self) -> int:
        """Half of the gross market value (Regulation T); all of it without leverage."""
        gross = self.long_value - self.short_value
        return gross if self.multiplier == 1 else gross // 2

    @property
    def buying_power(self) -> int:
        """What may still be bought or sold short: free margin times the multiplier, less what open orders reserve."""
        free = self.cash if self.multiplier == 1 else max(self.equity - self.initial_margin, 0) * self.multiplier
        return max(free - self.reserved, 0)

    def qty(self, symbol: str) -> int:
        """Units held, negative for a short, 0 without a position."""
        holding = self.holdings.get(symbol)
        return holding.qty if holding else 0

    def _count(self, holding: Holding, sign: int) -> None:
        if holding.qty > 0:
            self.long_value += sign * holding.value
        else:
            self.short_value += sign * holding.value

    def mark(self, holding: Holding, ticks: int) -> None:
        """Value a holding at a new price."""
        self._count(holding, -1)
        holding.mark_ticks = ticks
        self._count(holding, 1)

    def trade(self, symbol: str, units: int, ticks: int, lastday_ticks: int | None = None) -> None:
        """Book an execution: units signed, positive when bought. A reduction keeps the average entry price of the rest.

        lastday_ticks: the previous close of an instrument that was not held, None when it had none.
        """
        self.cash -= units * ticks
        holding = self.holdings.get(symbol)
        if holding is None:
            holding = self.holdings[symbol] = Holding(symbol=symbol, qty=0, cost=0, mark_ticks=ticks, lastday_ticks=lastday_ticks or ticks)
        self._count(holding, -1)
        before, after = holding.qty, holding.qty + units
        if before * units >= 0:
            holding.cost += units * ticks
        elif before * after >= 0:
            holding.cost = holding.cost * after // before
        else:
            holding.cost = after * ticks
        self._settle(holding, after)

    def split(self, holding: Holding, ratio: Fraction) -> int:
        """Multiply a holding by `ratio` new shares per old one and its prices by the inverse; the change in units."""
        self._count(holding, -1)
        change = int(holding.qty * ratio) - holding.qty
        holding.mark_ticks = max(1, round(holding.mark_ticks / ratio))
        holding.lastday_ticks = holding.mark_ticks
        self._settle(holding, holding.qty + change)
        return change

    def dividend(self, holding: Holding, ticks_per_share: Fraction) -> int:
        """Pay (or, for a short, charge) a dividend, to the cent; the signed money."""
        amount = round_to_cent(holding.qty * ticks_per_share)
        self.cash += amount
        return amount

    def _settle(self, holding: Holding, qty: int) -> None:
        holding.qty = qty
        self._count(holding, 1)
        if qty == 0:
            del self.holdings[holding.symbol]
