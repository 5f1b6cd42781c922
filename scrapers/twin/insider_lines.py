"""Generated Form 4 lines: what invented officers and directors bought, sold and were given."""

import functools
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from scrapers import times
from scrapers.twin.world import World

STREAM = 331
CODES = ("P", "S", "A", "M", "F", "G")
ACQUIRES = {"P": "A", "S": "D", "A": "A", "M": "A", "F": "D", "G": "D"}
INSIDERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One transaction. insider: number of the person within the company; 0 and 1 are officers, 5 owns ten percent."""

    symbol: str
    insider: int
    code: str
    shares: float
    price_usd: float
    owned_after: float
    traded: date
    filed_at: datetime

    @property
    def person(self) -> str:
        """The name."""
        return f"Synthetic Insider {self.symbol} {self.insider + 1}"


@functools.lru_cache(maxsize=4)
def lines(world: World) -> tuple[Line, ...]:
    """All of a world, by filing."""
    heat = world.heat("insiders")
    found = [line for index, session in enumerate(world.sessions) for line in _of_session(world, index, session, heat[index])]
    return tuple(sorted(found, key=lambda line: line.filed_at))


def _of_session(world: World, index: int, session: date, heat: np.ndarray) -> list[Line]:
    """Purchases go to favoured companies for the most part; some are split over several price lots."""
    rng = np.random.default_rng([world.seed, STREAM, session.toordinal()])
    hot = np.flatnonzero(heat > 0)
    made: list[Line] = []
    for _ in range(int(rng.integers(6, 12))):
        code = CODES[int(rng.choice(len(CODES), p=(0.35, 0.3, 0.15, 0.1, 0.07, 0.03)))]
        stock = int(rng.choice(hot)) if code == "P" and len(hot) and rng.random() < 0.75 else int(rng.integers(len(heat)))
        symbol, traded = world.stocks()[stock].symbol, world.sessions[max(index - int(rng.integers(0, 3)), 0)]
        filed_at = times.new_york(session, time(16)) + timedelta(minutes=int(rng.integers(0, 300)))
        insider, owned = int(rng.integers(INSIDERS)), float(rng.integers(5_000, 200_000))
        bar = world.bar(symbol, traded)
        for _ in range(2 if rng.random() < 0.2 else 1):
            shares = float(rng.integers(1, 80) * 100)
            owned = max(owned + (shares if ACQUIRES[code] == "A" else -shares), 0.0)
            price = 0.0 if code in ("A", "G") else round(float(rng.uniform(bar.low, bar.high)), 2)
            made.append(
                Line(
                    symbol=symbol, insider=insider, code=code, shares=shares, price_usd=price, owned_after=owned, traded=traded,
                    filed_at=filed_at,
                )
            )  # fmt: skip
    return made
