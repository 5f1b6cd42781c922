"""Generated lobbying reports: of the invented companies themselves, of the firms that they hire, and of clients that are not listed."""

import functools
import uuid
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import numpy as np

from scrapers import times
from scrapers.twin.world import World

STREAM, LATE_STREAM = 311, 312
ISSUES = (
    ("DEF", "Defense"),
    ("TAX", "Taxation/Internal Revenue Code"),
    ("HCR", "Health Issues"),
    ("CSP", "Consumer Issues/Safety/Products"),
)
FIRMS = 25
PERIODS = ("first_quarter", "second_quarter", "third_quarter", "fourth_quarter")
DEADLINE_DAYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One filing. symbol: empty for a client that is not listed. income or expenses: in USD, or neither when below 5,000."""

    identifier: str
    form: str
    year: int
    quarter: int
    posted_at: datetime
    symbol: str
    client: tuple[int, str]
    registrant: tuple[int, str]
    income: float | None
    expenses: float | None
    issues: tuple[tuple[str, str], ...]
    specific: str

    @property
    def posted(self) -> date:
        """The New York day of the posting."""
        return times.new_york_date(self.posted_at)


@functools.lru_cache(maxsize=4)
def filings(world: World) -> tuple[Filing, ...]:
    """All of a world, by posting. What is posted on a day depends on the seed and the sessions up to it alone."""
    made = [*_on_time(world), *_late(world)]
    made += [amended for filing in made if (amended := _amendment(world, filing)) is not None]
    return tuple(sorted(made, key=lambda filing: (filing.posted_at, filing.identifier)))


def _on_time(world: World) -> list[Filing]:
    """What is due within 20 days of the end of each quarter: in half of the companies an own report, and those of one or two firms."""
    made, first, last = [], world.sessions[0], world.sessions[-1]
    for year, quarter in ((y, q) for y in range(first.year - 1, last.year + 1) for q in (1, 2, 3, 4)):
        end = date(year + quarter // 4, quarter % 4 * 3 + 1, 1) - timedelta(days=1)
        for stock in range(len(world.stocks())):
            for reporter in range(1 + stock % 3):
                rng = np.random.default_rng([world.seed, STREAM, year, quarter, stock, reporter])
                day = end + timedelta(days=int(rng.integers(1, DEADLINE_DAYS + 1)))
                if first <= day <= last:
                    own = reporter == 0 and stock % 2 == 0
                    made.append(_filing(world, rng, day, (year, quarter), stock, 0 if own else 1 + (stock + 7 * reporter) % FIRMS))
    return made


def _late(world: World) -> list[Filing]:
    """A few reports of every session: late ones, mostly of favoured companies, of clients that are not listed, registrations."""
    made, heat = [], world.heat("lobbying")
    for index, session in enumerate(world.sessions):
        rng = np.random.default_rng([world.seed, LATE_STREAM, session.toordinal()])
        hot = np.flatnonzero(heat[index] > 0)
        quarter = (session.month - 1) // 3
        period = (session.year, quarter) if quarter else (session.year - 1, 4)
        for place in range(int(rng.integers(3, 7))):
            stock = int(rng.choice(hot)) if len(hot) and rng.random() < 0.7 else int(rng.integers(len(world.stocks())))
            filing = _filing(world, rng, session, period, stock, 100 + 10 * index + place)
            draw = rng.random()
            if draw < 0.3:
                number = int(rng.integers(40))
                filing = replace(filing, symbol="", client=(9000 + number, f"SYNTHETIC FARMERS ALLIANCE {number:02d}"))
            elif draw < 0.4:
                filing = replace(filing, form="RR", income=None, expenses=None)
            made.append(filing)
    return made


def _filing(world: World, rng: np.random.Generator, day: date, period: tuple[int, int], stock: int, firm: int) -> Filing:
    """Firm 0 is the company itself."""
    asset, heat = world.stocks()[stock], float(world.heat("lobbying")[world.index(day), stock])
    amount = float(round(float(np.exp(rng.normal(10.8, 0.5))) * (1.0 + 2.0 * heat), -4))
    stated = amount if amount >= 5000 else None
    chosen = tuple(ISSUES[place] for place in sorted(rng.choice(len(ISSUES), size=int(rng.integers(1, 3)), replace=False)))
    name = asset.name.upper() if stock % 3 else f"{asset.name.upper().removesuffix(' INC.')} INCORPORATED"
    return Filing(
        identifier=str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        form=f"Q{period[1]}",
        year=period[0],
        quarter=period[1],
        posted_at=times.new_york(day, time(9)) + timedelta(minutes=int(rng.integers(0, 480))),
        symbol=asset.symbol,
        client=(8000 + stock, name),
        registrant=(8000 + stock, name) if firm == 0 else (5000 + firm, f"SYNTHETIC ADVOCATES {firm:02d} LLP"),
        income=None if firm == 0 else stated,
        expenses=stated if firm == 0 else None,
        issues=chosen,
        specific=f"Synthetic bill {int(rng.integers(1, 9000))}, provisions on {asset.sector.lower()}",
    )


def _amendment(world: World, filing: Filing) -> Filing | None:
    """Every 20th report is corrected ten to thirty days later."""
    rng = np.random.default_rng([world.seed, *filing.identifier.encode()])
    day = filing.posted + timedelta(days=int(rng.integers(10, 31)))
    if rng.random() >= 0.05 or filing.form == "RR" or day > world.sessions[-1]:
        return None
    return replace(
        filing,
        identifier=str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        form=f"{filing.quarter}A",
        posted_at=times.new_york(day, time(10)) + timedelta(minutes=int(rng.integers(0, 300))),
        income=None if filing.income is None else 2.0 * filing.income,
        expenses=None if filing.expenses is None else 2.0 * filing.expenses,
    )
