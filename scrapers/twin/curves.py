"""Daily attention that the generated companies get, by kind: what several doubles count in their own units."""

from datetime import date, timedelta

import numpy as np

from scrapers.twin.world import HEAT_KINDS, World

EPOCH = date(2004, 1, 1)
DAYS = 12_000
"""Noise of every day from the epoch on is drawn at once, so that a day's value does not depend on who asks for what, or when."""
WEEKEND = 0.75
NOISE = 0.12


class Curves:
    """Attention of one kind of heat: a level by stock, noise by day, less of it at weekends, and more while a stock is noticed.

    lift: how many times its usual attention a stock in full heat gets in addition.
    """

    def __init__(self, world: World, kind: str, *, lift: float) -> None:
        self._world, self._kind, self._lift = world, kind, lift
        self._stream = 900 + HEAT_KINDS.index(kind)
        self._place = {asset.symbol: place for place, asset in enumerate(world.stocks())}
        self._noise: dict[str, np.ndarray] = {}

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._place

    def relative(self, symbol: str, days: list[date]) -> np.ndarray:
        """Attention on each of the days (n_days,), in multiples of the stock's usual one. KeyError for an unknown symbol."""
        place, heat = self._place[symbol], self._world.heat(self._kind)
        if symbol not in self._noise:
            rng = np.random.default_rng([self._world.seed, self._stream, place])
            self._noise[symbol] = np.exp(NOISE * rng.standard_normal(DAYS))
        noise = self._noise[symbol][[(day - EPOCH).days % DAYS for day in days]]
        sessions = [self._world.index(day) for day in days]
        noticed = np.array([heat[session, place] if session >= 0 else 0.0 for session in sessions])
        quiet = np.array([WEEKEND if day.weekday() >= 5 else 1.0 for day in days])
        result: np.ndarray = noise * quiet * (1.0 + self._lift * noticed)
        return result


def span(first: date, last: date) -> list[date]:
    """Each day from first to last, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
