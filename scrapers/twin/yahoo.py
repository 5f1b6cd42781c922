"""Yahoo's daily charts of a world: divided by all splits until now, in 32-bit prices, with halts and a bar that is forming."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np

from scrapers import times
from scrapers.twin.assets import Asset
from scrapers.twin.world import Bar, World

OPEN = time(9, 30)
HALTED_ONE_IN = 400
FIRST_TRADED = 728_317_800


@dataclass(frozen=True, slots=True)
class _Series:
    """A symbol's bars, dividends (USD per share) and splits (new per old share) by session."""

    bars: list[Bar]
    dividends: list[float]
    splits: list[float]


class Charts:
    """The charts of a world, each symbol's made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[str, _Series] = {}

    @cached_property
    def assets(self) -> dict[str, Asset]:
        """By Yahoo's spelling of the symbol."""
        return {asset.symbol.replace(".", "-"): asset for asset in self._world.assets()}

    @cached_property
    def _opens(self) -> list[int]:
        return [int(times.new_york(day, OPEN).timestamp()) for day in self._world.sessions]

    def _series(self, symbol: str) -> _Series:
        if symbol not in self._made:
            world, days = self._world, self._world.sessions
            self._made[symbol] = _Series(
                [world.bar(symbol, day) for day in days],
                [world.dividend(symbol, day) for day in days],
                [world.split(symbol, day) for day in days],
            )
        return self._made[symbol]

    def chart(
        self, spelling: str, now: datetime, close_at: Callable[[date], datetime], period1: int, period2: int, events: set[str]
    ) -> dict[str, Any] | None:
        """The `chart` object of one symbol between two epochs; None for an unknown one."""
        asset = self.assets.get(spelling)
        if asset is None:
            return None
        series, today = self._series(asset.symbol), times.new_york_date(now)
        last = self._world.index(today)
        forming = last >= 0 and self._world.sessions[last] == today and now < close_at(today)
        if forming and int(now.timestamp()) < self._opens[last]:
            last, forming = last - 1, False
        splits = series.splits[: self._world.index(today) + 1]
        later = _later(splits)
        places = [place for place in range(last + 1) if period1 <= self._opens[place] < min(period2, int(now.timestamp()) + 1)]
        rows = [self._row(asset.symbol, place, later[place], forming=forming and place == last) for place in places]
        result = {"meta": self._meta(asset, spelling, now), **self._events(series, later, places, events), **_prices(rows)}
        if rows:
            stamps = [self._opens[place] for place in places]
            result["timestamp"] = [*stamps[:-1], int(now.timestamp())] if forming and places[-1] == last else stamps
        return {"chart": {"result": [result], "error": None}}

    def _row(self, symbol: str, place: int, later: float, *, forming: bool) -> list[float | int | None]:
        """Open, high, low, close, volume, adjusted close."""
        bar, day = self._series(symbol).bars[place], self._world.sessions[place]
        if forming:
            return [_single(bar.open / later), None, None, None, None, None]
        if (day.toordinal() * 7 + sum(map(ord, symbol)) * 13) % HALTED_ONE_IN == 0:
            return [None] * 6
        prices = [_single(price / later) for price in (bar.open, bar.high, bar.low, bar.close)]
        return [*prices, round(bar.volume * later), prices[3]]

    def _meta(self, asset: Asset, spelling: str, now: datetime) -> dict[str, Any]:
        return {
            "currency": "USD",
            "symbol": spelling,
            "exchangeName": "PCX" if asset.kind == "fund" else "NYQ",
            "fullExchangeName": "NYSEArca" if asset.kind == "fund" else "NYSE",
            "instrumentType": "ETF" if asset.kind == "fund" else "EQUITY",
            "firstTradeDate": FIRST_TRADED,
            "regularMarketTime": int(now.timestamp()),
            "hasPrePostMarketData": True,
            "gmtoffset": -18000,
            "timezone": "EST",
            "exchangeTimezoneName": "America/New_York",
            "priceHint": 2,
            "longName": asset.name,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "1y", "max"],
        }

    def _events(self, series: _Series, later: list[float], places: list[int], wanted: set[str]) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {}
        for place in places:
            stamp, ratio, dividend = self._opens[place], series.splits[place], series.dividends[place]
            if dividend > 0 and "div" in wanted:
                found.setdefault("dividends", {})[str(stamp)] = {"amount": _single(dividend / later[place]), "date": stamp}
            if ratio != 1.0 and "splits" in wanted:
                new, old = (ratio, 1.0) if ratio > 1 else (1.0, float(round(1 / ratio)))
                found.setdefault("splits", {})[str(stamp)] = {
                    "date": stamp,
                    "numerator": new,
                    "denominator": old,
                    "splitRatio": f"{new:g}:{old:g}",
                }
        return {"events": found} if found else {}


def _later(splits: list[float]) -> list[float]:
    """For each session the product of the splits after it."""
    return list(accumulate(splits[:0:-1], mul, initial=1.0))[::-1]


def _single(value: float) -> float:
    return float(np.float32(value))


def _prices(rows: list[list[float | int | None]]) -> dict[str, Any]:
    """The indicators; empty objects for an empty range."""
    if not rows:
        return {"indicators": {"quote": [{}], "adjclose": [{}]}}
    columns = [[row[place] for row in rows] for place in range(6)]
    quote = dict(zip(("open", "high", "low", "close", "volume"), columns[:5], strict=True))
    return {"indicators": {"quote": [quote], "adjclose": [{"adjclose": columns[5]}]}}


@lru_cache(maxsize=8)
def charts_of(world: World) -> Charts:
    """The charts of a world, made once."""
    return Charts(world)
