"""Generated opinions of invented analysts: favoured companies are upgraded more often, and their targets raised."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from scrapers import times
from scrapers.twin.world import World

if TYPE_CHECKING:
    from numpy.random import Generator

FIRMS = (
    "Synthetic Securities",
    "Synthetic Brothers",
    "Synthetic Street Research",
    "Synthetic & Partners",
    "Synthetic Harbor Capital",
    "Synthetic Trust Bank",
)
SCALES = (("Sell", "Hold", "Buy"), ("Underperform", "Neutral", "Outperform"), ("Underweight", "Equal-Weight", "Overweight"))
STREAM = 102
PER_DAY, PER_DAY_FAVOURED = 0.04, 0.16
"""Expected opinions on a company a day, and how many more on one that is fully favoured."""
ACTIONS = ("up", "down", "main", "init", "reit")
USUAL, FAVOURED = (0.14, 0.14, 0.42, 0.08, 0.22), (0.55, 0.03, 0.22, 0.06, 0.14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One statement. price_target, prior_price_target: USD, 0 for none. dated_only: the source keeps the day and not the time."""

    symbol: str
    name: str
    firm: str
    action: str
    from_grade: str
    to_grade: str
    price_target: float
    prior_price_target: float
    published_at: datetime
    dated_only: bool

    @property
    def day(self) -> date:
        """The New York day on which it was published."""
        return times.new_york_date(self.published_at)


class Ratings:
    """Every opinion on the stocks of a world, the same for the same seed and day."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def opinions(self) -> tuple[Opinion, ...]:
        """Oldest first."""
        heat = self._world.heat("analysts")
        made = [opinion for index in range(len(self._world.sessions)) for opinion in self._of(index, heat[index])]
        return tuple(sorted(made, key=lambda opinion: (opinion.published_at, opinion.symbol, opinion.firm)))

    @cached_property
    def by_symbol(self) -> dict[str, list[Opinion]]:
        """Oldest first, by symbol; every stock is there."""
        found: dict[str, list[Opinion]] = {asset.symbol: [] for asset in self._world.stocks()}
        for opinion in self.opinions:
            found[opinion.symbol].append(opinion)
        return found

    def _of(self, index: int, heat: np.ndarray) -> list[Opinion]:
        session = self._world.sessions[index]
        rng = np.random.default_rng([self._world.seed, STREAM, session.toordinal()])
        counts = rng.poisson(PER_DAY + PER_DAY_FAVOURED * heat)
        return [
            self._opinion(place, index, float(heat[place]), rng) for place in np.flatnonzero(counts).tolist() for _ in range(counts[place])
        ]

    def _opinion(self, place: int, index: int, heat: float, rng: "Generator") -> Opinion:
        world, asset = self._world, self._world.stocks()[place]
        action = ACTIONS[int(rng.choice(5, p=FAVOURED if heat > 0.5 else USUAL))]
        firm = int(rng.integers(len(FIRMS)))
        before, after = _grades(action, SCALES[firm % len(SCALES)], rng)
        price = world.bar(asset.symbol, world.sessions[max(index - 1, 0)]).close
        prior, change = price * (1 + 0.15 * rng.random()), {"up": 0.12, "down": -0.12}.get(action, 0.04 * heat)
        silent, published = rng.random() < 0.2, timedelta(minutes=int(rng.integers(0, 540)))
        return Opinion(
            symbol=asset.symbol,
            name=asset.name,
            firm=FIRMS[firm],
            action=action,
            from_grade=before,
            to_grade=after,
            price_target=0.0 if silent else float(round(prior * (1 + change))),
            prior_price_target=0.0 if silent or action == "init" else float(round(prior)),
            published_at=times.new_york(world.sessions[index], time(6, 30)) + published,
            dated_only=bool(rng.random() < 0.05),
        )


def _grades(action: str, scale: tuple[str, str, str], rng: "Generator") -> tuple[str, str]:
    """From and to, which agree with the action."""
    if action in ("up", "down"):
        low = int(rng.integers(2))
        return (scale[low], scale[low + 1]) if action == "up" else (scale[low + 1], scale[low])
    grade = scale[int(rng.integers(3))]
    return ("" if action == "init" or rng.random() < 0.1 else grade), grade


@lru_cache(maxsize=8)
def ratings_of(world: World) -> Ratings:
    """The opinions on a world, made once."""
    return Ratings(world)
