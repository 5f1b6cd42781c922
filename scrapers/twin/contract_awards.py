"""Generated federal contracts: awards and de-obligations to the invented companies, and to organisations that are not listed."""

import functools
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from scrapers import times
from scrapers.twin.world import World

DEFENSE = "Department of Defense"
AGENCIES = (
    (DEFENSE, "Department of the Navy"),
    (DEFENSE, "Department of the Army"),
    ("Department of Health and Human Services", "National Institutes of Health"),
    ("National Aeronautics and Space Administration", "National Aeronautics and Space Administration"),
    ("Department of Veterans Affairs", "Department of Veterans Affairs"),
    ("General Services Administration", "Federal Acquisition Service"),
)
STRANGERS = 60
"""Recipients that are no listed company, some with names close to one."""
STREAM = 301
ANNOUNCED = time(17, 0)
RELOADED = time(6, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """One action on a contract. stock: index of the company; None for a stranger. announced: the session on whose evening the press
    hears of it. posted: the day on whose morning the agency's own database shows it.
    """

    number: str
    modification: str
    stock: int | None
    symbol: str
    recipient: str
    agency: str
    sub_agency: str
    amount_usd: float
    description: str
    action_date: date
    announced: date
    posted: date

    @property
    def announced_at(self) -> datetime:
        """UTC."""
        return times.new_york(self.announced, ANNOUNCED)

    @property
    def posted_at(self) -> datetime:
        """UTC."""
        return times.new_york(self.posted, RELOADED)


@functools.lru_cache(maxsize=4)
def awards(world: World) -> tuple[Award, ...]:
    """All of a world, by announcement."""
    heat = world.heat("contracts")
    return tuple(award for index, session in enumerate(world.sessions) for award in _of_session(world, session, heat[index]))


def _of_session(world: World, session: date, heat: np.ndarray) -> list[Award]:
    rng = np.random.default_rng([world.seed, STREAM, session.toordinal()])
    hot = np.flatnonzero(heat > 0)
    made: list[Award] = []
    for place in range(int(rng.integers(8, 15))):
        draw = rng.random(6)
        stranger = draw[0] < 0.3
        stock = None if stranger else int(rng.choice(hot)) if draw[1] < 0.6 and len(hot) else int(rng.integers(len(heat)))
        made.append(_award(world, session, place, stock, draw, rng))
    if rng.random() < 0.15:
        made.append(made[0])
    return made


def _award(world: World, session: date, place: int, stock: int | None, draw: np.ndarray, rng: np.random.Generator) -> Award:
    agency, sub_agency = AGENCIES[int(rng.integers(len(AGENCIES)))]
    size = float(np.exp(rng.normal(15.2, 1.3)))
    amount = round(-0.4 * size if draw[2] < 0.08 else size, 2)
    acted = _business_days(session, -int(rng.integers(1, 4)))
    posted = acted + timedelta(days=90) if agency == DEFENSE else _business_days(acted, int(rng.integers(1, 4)))
    return Award(
        number=f"SYN{session:%y%m%d}{place:02d}",
        modification="0" if draw[3] < 0.5 else f"P{int(rng.integers(1, 40)):05d}",
        stock=stock,
        symbol="" if stock is None else world.stocks()[stock].symbol,
        recipient=_recipient(world, stock, draw[4], int(rng.integers(STRANGERS))),
        agency=agency,
        sub_agency=sub_agency,
        amount_usd=amount,
        description=f"SYNTHETIC {'DE-OBLIGATION' if amount < 0 else 'SUPPLIES AND SERVICES'}, LOT {1 + place}",
        action_date=acted,
        announced=session,
        posted=posted,
    )


def _recipient(world: World, stock: int | None, draw: float, stranger: int) -> str:
    if stock is None:
        return f"SYNTHETIC SHELTER {stranger:02d} LLC" if stranger % 5 else "SYNTHETIC VALLEY SCHOOL DISTRICT"
    name = world.stocks()[stock].name.upper().removesuffix(" INC.")
    return f"{name} INC" if draw < 0.6 else f"THE {name} COMPANY" if draw < 0.8 else f"{name} FEDERAL SYSTEMS, LLC"


def _business_days(day: date, count: int) -> date:
    step = timedelta(days=1 if count > 0 else -1)
    while count:
        day += step
        count -= (1 if step.days > 0 else -1) * (day.weekday() < 5)
    return day
