"""Prices held in memory: a PriceSource over plain mappings, for replays, tests and generated markets."""

from collections.abc import Mapping, Sequence
from datetime import date

from execution.base import Asset
from execution.exchange.market import SessionBar

Day = tuple[str, date]


class TablePrices:
    """Bars, dividends (cash per share by ex-date) and splits (new per old shares) by (symbol, session date).

    assets: what is listed; by default every symbol with a bar, tradable, fractionable and shortable.
    """

    def __init__(
        self,
        bars: Mapping[Day, SessionBar],
        *,
        dividends: Mapping[Day, float] | None = None,
        splits: Mapping[Day, float] | None = None,
        assets: Sequence[Asset] | None = None,
    ) -> None:
        self._bars = bars
        self._dividends = dividends or {}
        self._splits = splits or {}
        self._assets = _all_tradable(bars) if assets is None else assets

    def bar(self, symbol: str, session: date) -> SessionBar | None:
        """The bar of that session, None when the symbol did not trade."""
        return self._bars.get((symbol, session))

    def dividend(self, symbol: str, session: date) -> float:
        """Cash per share with that ex-date."""
        return self._dividends.get((symbol, session), 0.0)

    def split(self, symbol: str, session: date) -> float:
        """New shares per old share on that day."""
        return self._splits.get((symbol, session), 1.0)

    def assets(self) -> Sequence[Asset]:
        """What is listed."""
        return self._assets


def _all_tradable(bars: Mapping[Day, SessionBar]) -> list[Asset]:
    symbols = sorted({symbol for symbol, _ in bars})
    return [Asset(symbol=symbol, tradable=True, fractionable=True, shortable=True) for symbol in symbols]
