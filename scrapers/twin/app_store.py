"""Generated apps of the invented companies: one each, their ratings so far and their reviews."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from scrapers import times
from scrapers.twin.world import World

FIRST_ID = 900_000_000
RATINGS_STREAM, REVIEWS_STREAM = 321, 322
READ = time(6, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One written review: 1 to 5 stars, at an instant in UTC."""

    number: int
    stars: int
    at: datetime


def app_id(stock: int) -> int:
    """The number of the app of the company at an index."""
    return FIRST_ID + stock


@functools.lru_cache(maxsize=4)
def totals(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Average of all ratings and their number as of the morning of each session, both (n_sessions, n_stocks)."""
    heat, count = world.heat("apps"), len(world.stocks())
    start = np.random.default_rng([world.seed, RATINGS_STREAM])
    begun, level = start.integers(500, 200_000, count).astype(float), start.uniform(3.2, 4.6, count)
    gained, stars = np.empty_like(heat), np.empty_like(heat)
    for index, session in enumerate(world.sessions):
        rng = np.random.default_rng([world.seed, RATINGS_STREAM, session.toordinal()])
        gained[index] = np.round(begun * 0.001 * rng.uniform(0.5, 1.5, count) * (1.0 + 4.0 * heat[index])) + 1.0
        stars[index] = np.clip(level + 0.4 * heat[index] + rng.normal(0.0, 0.1, count), 1.0, 5.0)
    numbers = begun + np.cumsum(gained, axis=0)
    return (begun * level + np.cumsum(gained * stars, axis=0)) / numbers, numbers


def newest_reading(world: World, now: datetime) -> int:
    """Number of the newest session whose morning has come; -1 before the first."""
    index = world.index(times.new_york_date(now))
    return index if index < 0 or times.new_york(world.sessions[index], READ) <= now else index - 1


def reviews(world: World, stock: int, now: datetime) -> Iterator[Review]:
    """Reviews of one app, the newest first."""
    for index in range(world.index(times.new_york_date(now)), -1, -1):
        found = _of_session(world, stock, world.sessions[index], float(world.heat("apps")[index, stock]))
        yield from (review for review in reversed(found) if review.at <= now)


@functools.lru_cache(maxsize=65536)
def _of_session(world: World, stock: int, session: date, heat: float) -> tuple[Review, ...]:
    rng = np.random.default_rng([world.seed, REVIEWS_STREAM, session.toordinal(), stock])
    minutes = sorted(rng.integers(0, 24 * 60, size=int(rng.poisson(4.0 * (1.0 + 2.0 * heat)))).tolist())
    stars = np.clip(np.round(rng.normal(3.4 + 0.8 * heat, 1.2, len(minutes))), 1, 5).astype(int).tolist()
    first = session.toordinal() * 1000
    return tuple(
        Review(number=first + place, stars=star, at=times.new_york(session) + timedelta(minutes=minute))
        for place, (minute, star) in enumerate(zip(minutes, stars, strict=True))
    )
