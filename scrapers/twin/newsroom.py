"""Generated articles on the invented companies: favoured ones are written about more, and more kindly."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from scrapers import times
from scrapers.twin.world import World

if TYPE_CHECKING:
    from numpy.random import Generator

STREAM = 101
PER_DAY, PER_DAY_FAVOURED = 0.12, 1.0
"""Expected articles on a company a day, and how many more on one that is fully favoured."""
EDITED_WITHIN = timedelta(hours=36)
GOOD = (
    "{name} beats estimates and raises its outlook on strong demand",
    "{name} wins a great new contract, shares surge",
    "Analysts praise {name} for impressive growth",
    "{name} &amp; partners celebrate a successful launch",
)
BAD = (
    "{name} misses estimates and cuts its outlook on weak demand",
    "{name} faces a lawsuit over a failed product, shares plunge",
    "Analysts warn of trouble and losses at {name}",
    "{name}&#39;s chief resigns amid a scandal",
)
PLAIN = ("{name} to present at a Synthetic conference", "{name} schedules its quarterly call", "What to know about {name} this week")
SUMMARIES = (
    "",
    "<p>Synthetic wire: the company gave no further details.</p>",
    "Synthetic wire &mdash; trading volume was near its average. <a href='https://news.example/x'>More</a>",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article. edited_at: when the headline was rewritten; None for never."""

    number: int
    headline: str
    summary: str
    symbols: tuple[str, ...]
    created_at: datetime
    edited_at: datetime | None


class Newsroom:
    """The articles of every session, made when first asked for; the same for the same seed and day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[int, tuple[Article, ...]] = {}

    def articles(self, first: date, last: date) -> Iterator[Article]:
        """Articles created on the sessions from first to last, by session."""
        for index in range(max(self._world.index(first - timedelta(days=1)) + 1, 0), self._world.index(last) + 1):
            if index not in self._made:
                self._made[index] = self._of(index)
            yield from self._made[index]

    def _of(self, index: int) -> tuple[Article, ...]:
        world, session = self._world, self._world.sessions[index]
        rng, heat = np.random.default_rng([world.seed, STREAM, session.toordinal()]), world.heat("news")[index]
        counts = rng.poisson(PER_DAY + PER_DAY_FAVOURED * heat)
        places = [place for place in np.flatnonzero(counts).tolist() for _ in range(counts[place])]
        first = 30_000_000 + (session.toordinal() - 730_000) * 1000
        return tuple(self._article(place, first + n, session, float(heat[place]), rng) for n, place in enumerate(places))

    def _article(self, place: int, number: int, session: date, heat: float, rng: "Generator") -> Article:
        stocks = self._world.stocks()
        mood = rng.random()
        texts = PLAIN if mood < 0.2 else GOOD if mood < 0.2 + 0.8 * (0.5 + 0.35 * heat) else BAD
        created = times.new_york(session, time(6)) + timedelta(seconds=int(rng.integers(0, 14 * 3600)))
        others = [stocks[int(rng.integers(len(stocks)))].symbol] if rng.random() < 0.1 else []
        foreign = ["BTCUSD"] if rng.random() < 0.03 else []
        edited = created + timedelta(minutes=int(rng.integers(20, 1800))) if rng.random() < 0.12 else None
        return Article(
            number=number,
            headline=texts[int(rng.integers(len(texts)))].format(name=stocks[place].name),
            summary=SUMMARIES[int(rng.integers(len(SUMMARIES)))],
            symbols=tuple(dict.fromkeys([stocks[place].symbol, *others, *foreign])),
            created_at=created,
            edited_at=edited,
        )


@lru_cache(maxsize=8)
def newsroom_of(world: World) -> Newsroom:
    """The articles of a world, kept once made."""
    return Newsroom(world)
