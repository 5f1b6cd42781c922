"""Generated Form 4s. Insiders of companies that are noticed (heat `insiders`) buy more; the forms have the dirt of real ones."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np

from scrapers import times
from scrapers.twin.edgar_submissions import Filer, Submission, accession, filing_date
from scrapers.twin.world import World

INSIDERS = 6
TITLES = ("Chief Executive Officer", "Chief Financial Officer", "Chief Technology Officer", "", "", "General Counsel")
FIRST_OWNER, FIRST_UNLISTED, NOISE_BANK = 8_000_000, 8_900_001, 8_950_001
UNLISTED = 5
PER_STOCK = 0.06
"""Reports a session and stock, beside the one that every session has."""
PLAN_QUESTION = date(2023, 4, 1)
"""Since when the form asks about plans under rule 10b5-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One line. price: None when a footnote alone tells it. holding: the line only says what is held."""

    title: str
    derivative: bool
    day: date
    code: str
    way: str
    shares: int
    price: float | None
    after: int
    ownership: str
    footnote: bool = False
    holding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A reporting person."""

    cik: int
    name: str
    director: bool
    ten_percent: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One Form 4 or 4/A. words: spell booleans true and false instead of 1 and 0. amends: date of filing of what a 4/A amends."""

    submission: Submission
    issuer: Filer
    symbol_text: str
    owners: tuple[Owner, ...]
    deals: tuple[Deal, ...]
    planned: bool
    words: bool
    amends: date | None = None


@dataclass(slots=True)
class Reports:
    """All reports of a world by time of acceptance, and the forms that are listed among them."""

    reports: tuple[Report, ...]
    noise: tuple[Submission, ...]

    def by_accession(self) -> dict[str, Report]:
        """Report by accession number."""
        return {report.submission.accession: report for report in self.reports}

    def accepted_by(self, now: datetime) -> tuple[Report, ...]:
        """Those that are public at an instant, oldest first."""
        return self.reports[: bisect_right(self.reports, now, key=lambda report: report.submission.accepted_at)]


@lru_cache(maxsize=4)
def reports(world: World) -> Reports:
    """Every report that the world will ever see; those of one session do not depend on later sessions."""
    heat, found, noise = world.heat("insiders"), list[Report](), list[Submission]()
    for index, session in enumerate(world.sessions):
        rng = np.random.default_rng([world.seed, 41, index])
        for number in range(1 + int(rng.poisson(PER_STOCK * heat.shape[1]))):
            report = _report(world, rng, index, number, heat[index])
            found.append(report)
            own = np.random.default_rng([world.seed, 42, index, number])
            later = index + 1 + int(own.integers(3))
            if own.random() < 0.05 and later < len(world.sessions):
                found.append(_amended(report, world.sessions[later], index * 100 + 50 + number, own))
        noise.append(_prospectus(session, index))
    return Reports(tuple(sorted(found, key=lambda r: (r.submission.accepted_at, r.submission.accession))), tuple(noise))


def _report(world: World, rng: np.random.Generator, index: int, number: int, heat: np.ndarray) -> Report:
    session = world.sessions[index]
    kind = str(rng.choice(["P", "S", "A", "M", "F", "G"], p=[0.35, 0.35, 0.12, 0.08, 0.06, 0.04]))
    weights = (heat + 0.02) / (heat + 0.02).sum()
    place = int(rng.choice(len(heat), p=weights)) if kind == "P" and rng.random() < 0.75 else int(rng.integers(len(heat)))
    traded = world.sessions[max(index - int(rng.integers(0, 3)), 0)]
    issuer, symbol_text = _issuer(world, rng, place)
    owners = _owners(world.stocks()[place].symbol, place, rng)
    minute = int(rng.integers(4, 355)) if rng.random() < 0.95 else int(rng.integers(-590, -420))
    accepted = times.new_york(session, times.REGULAR_CLOSE) + timedelta(minutes=minute, seconds=int(rng.integers(60)))
    filers = (issuer, *(Filer(cik=owner.cik, name=owner.name, role="Reporting") for owner in owners))
    submission = Submission(
        accession=accession(0, session, index * 100 + number),
        form="4",
        filers=filers,
        accepted_at=accepted,
        filed=filing_date(accepted, insiders=True),
        period=traded,
    )
    return Report(
        submission=submission,
        issuer=issuer,
        symbol_text=symbol_text,
        owners=owners,
        deals=tuple(_deals(world, rng, world.stocks()[place].symbol, traded, kind)),
        planned=kind == "S" and rng.random() < 0.5,
        words=bool(rng.random() < 0.3),
    )


def _issuer(world: World, rng: np.random.Generator, place: int) -> tuple[Filer, str]:
    """The company, and its ticker as the form's author wrote it; now and then a company without one."""
    if rng.random() < 0.04:
        number = int(rng.integers(UNLISTED))
        return Filer(cik=FIRST_UNLISTED + number, name=f"Synthetic Private Fund {number}", role="Issuer"), "NONE"
    asset = world.stocks()[place]
    forms = (asset.symbol, asset.symbol.lower(), f"{asset.exchange}: {asset.symbol}", f"({asset.symbol})")
    written = str(rng.choice(forms, p=[0.94, 0.02, 0.02, 0.02]))
    return Filer(cik=world.cik_of(asset.symbol), name=asset.name, role="Issuer"), written


def _owners(symbol: str, place: int, rng: np.random.Generator) -> tuple[Owner, ...]:
    first, joint = int(rng.integers(INSIDERS)), rng.random() < 0.08
    chosen = (first, (first + 1) % INSIDERS) if joint else (first,)
    return tuple(
        Owner(
            cik=FIRST_OWNER + place * INSIDERS + n,
            name=f"Synthetic Insider {symbol} {n + 1}",
            director=n in (0, 3),
            ten_percent=n == 4,
            title=TITLES[n],
        )
        for n in chosen
    )


def _deals(world: World, rng: np.random.Generator, symbol: str, day: date, kind: str) -> list[Deal]:
    bar, lots = world.bar(symbol, day), int(rng.integers(2, 7)) if kind in "PS" and rng.random() < 0.3 else 1
    way, held = ("D" if kind in "SFG" else "A"), int(rng.integers(20_000, 400_000))
    common = Deal(
        title="Common Stock", derivative=False, day=day, code=kind, way=way, shares=0, price=None, after=held,
        ownership="I" if rng.random() < 0.15 else "D",
    )  # fmt: skip
    deals = []
    for _ in range(lots):
        shares = int(rng.integers(1, 60)) * 100
        held = max(held + (shares if way == "A" else -shares), 0)
        told = rng.random() >= 0.03
        price = 0.0 if kind in "AG" else round(bar.low + (bar.high - bar.low) * float(rng.random()), 4) if told else None
        deals.append(replace(common, shares=shares, price=price, after=held, footnote=not told or bool(rng.random() < 0.2)))
    if rng.random() < 0.3:
        deals.append(replace(common, shares=0, after=int(rng.integers(1000)), ownership="I", holding=True))
    if kind in "AM":
        option = "Stock Option (right to buy)"
        deals.append(replace(common, title=option, derivative=True, shares=int(rng.integers(1, 50)) * 100, price=0.0, footnote=True))
    return deals


def _amended(report: Report, on: date, number: int, rng: np.random.Generator) -> Report:
    """The report once more, the number of shares of its first line corrected."""
    was = report.submission
    accepted = times.new_york(on, times.REGULAR_CLOSE) + timedelta(minutes=int(rng.integers(4, 355)))
    submission = replace(
        was, accession=accession(0, was.filed, number), form="4/A", accepted_at=accepted, filed=filing_date(accepted, insiders=True)
    )
    first, *others = report.deals
    corrected = replace(first, shares=first.shares + 100, after=first.after + 100)
    return replace(report, submission=submission, deals=(corrected, *others), amends=was.filed)


def _prospectus(session: date, index: int) -> Submission:
    """What the feed also lists when asked for Form 4: its name begins with a 4."""
    accepted = times.new_york(session, times.REGULAR_CLOSE) + timedelta(minutes=30)
    bank = Filer(cik=NOISE_BANK, name="Synthetic Noise Bank", role="Filer")
    number = accession(1, session, index)
    return Submission(accession=number, form="424B2", filers=(bank,), accepted_at=accepted, filed=session, period=session)
