"""What the drug makers of the generated market announce: each product's way from trial to decision, told by several services.

A programme of a company is announced with a PDUFA date by a press release; a month later a notice calls the advisory committee; on
the PDUFA date the product is approved, or a release tells of a complete response letter. Companies that are noticed (heat `biotech`)
announce more. Every text says that it is synthetic.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from scrapers.twin.assets import Asset
from scrapers.twin.world import World

SECTOR = "Health Care"
CALM, HOT = 0.015, 0.08
"""Chance a session that a company announces a programme: unnoticed, and noticed."""
APPROVED = 0.7
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """One product before the regulator. Days are those of publication, but `pdufa`, `meeting`: when it is decided and discussed."""

    number: int
    asset: Asset
    cik: int
    announced: date
    pdufa: date
    noticed: date
    meeting: date
    approved: bool

    @property
    def product(self) -> str:
        """Its invented name."""
        return f"Syntheticumab {self.number:04d}"

    @property
    def application(self) -> str:
        """Its number with the regulator."""
        return f"BLA{760_000 + self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An exhibit of an 8-K filing."""

    programme: Programme
    filed: date
    kind: str

    @property
    def accession(self) -> str:
        """Accession number with dashes."""
        digest = int(hashlib.sha256(f"{self.programme.number} {self.kind} {self.programme.cik}".encode()).hexdigest(), 16)
        return f"{digest % 10**10:010d}-{self.filed:%y}-{digest // 10**10 % 10**6:06d}"

    @property
    def file(self) -> str:
        """Name of the exhibit."""
        return "synthetic-ex99_1.htm"

    def text(self) -> str:
        """The document, HTML."""
        it = self.programme
        told = {
            "pdufa": (
                f"announced that the FDA has accepted its application for {it.product} and assigned a Prescription Drug User Fee Act "
                f"(PDUFA) target action date of {prose_date(it.pdufa)}. The trial began in March 2020."
            ),
            "letter": f"received a Complete Response Letter from the FDA for {it.product}. The company will request a meeting.",
        }[self.kind]
        return (
            "<!DOCTYPE html><html><head><style>p{margin:0}</style></head><body><p>SYNTHETIC PRESS RELEASE</p>"
            f"<p>{prose_date(self.filed)} &#8212; {it.asset.name.replace('&', '&amp;')} ({it.asset.exchange}: {it.asset.symbol}) "
            f"today {told}</p>"
            "<p>Forward-looking statements are synthetic as well.</p></body></html>"
        )


def prose_date(day: date) -> str:
    """`Month D, YYYY`."""
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def drug_makers(world: World) -> list[tuple[int, Asset]]:
    """The companies of the sector, with their places among the stocks."""
    return [(place, asset) for place, asset in enumerate(world.stocks()) if asset.sector == SECTOR]


@lru_cache(maxsize=4)
def programmes(world: World) -> tuple[Programme, ...]:
    """Every programme that the world will ever see, by day of announcement."""
    heat, found = world.heat("biotech"), list[Programme]()
    for place, asset in drug_makers(world):
        for index, session in enumerate(world.sessions):
            rng = np.random.default_rng([world.seed, 31, place, index])
            chance = CALM + (HOT - CALM) * float(heat[index, place])
            if rng.random() < chance:
                found.append(_programme(world, rng, place, asset, index, session))
    return tuple(sorted(found, key=lambda programme: (programme.announced, programme.number)))


def _programme(world: World, rng: np.random.Generator, place: int, asset: Asset, index: int, session: date) -> Programme:
    pdufa = session + timedelta(days=int(rng.integers(60, 240)))
    noticed = session + timedelta(days=30)
    return Programme(
        number=(place * 7919 + index) % 10_000,
        asset=asset,
        cik=world.cik_of(asset.symbol),
        announced=session,
        pdufa=pdufa,
        noticed=noticed,
        meeting=noticed + timedelta(days=20),
        approved=bool(rng.random() < APPROVED),
    )


@lru_cache(maxsize=4)
def releases(world: World) -> tuple[Release, ...]:
    """Every exhibit, by day of filing."""
    found = [Release(programme=p, filed=p.announced, kind="pdufa") for p in programmes(world)]
    found += [Release(programme=p, filed=p.pdufa, kind="letter") for p in programmes(world) if not p.approved]
    return tuple(sorted(found, key=lambda release: (release.filed, release.accession)))


def document(world: World, accession: str, name: str, today: date) -> str | None:
    """The text of an exhibit that is public by a day; None where there is none. accession: digits alone."""
    for release in releases(world):
        if release.accession.replace("-", "") == accession and release.file == name and release.filed <= today:
            return release.text()
    return None
