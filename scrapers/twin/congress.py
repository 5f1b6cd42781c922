"""Generated disclosures of invented members of Congress, some of whom know something."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from scrapers import disclosures, times

if TYPE_CHECKING:
    import numpy as np

MEMBERS, FILERS = 40, 4
"""Members, and those of them who file on one session: a report holds several trades."""
LAG_DAYS = (20, 28, 39, 72, 300)
LAG_QUANTILES = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Days from trade to disclosure and the share of trades disclosed by then, as measured in House data of 2020 to 2022."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One disclosed trade. disclosed_at (UTC) falls into the hours of the session on which it was filed."""

    member: str
    member_id: str
    party: str
    chamber: str
    state: str
    symbol: str
    company: str
    transaction: str
    amount_low_usd: int
    amount_high_usd: int
    transaction_date: date
    disclosed_at: datetime

    @property
    def disclosure_date(self) -> date:
        """The New York day on which it was filed."""
        return times.new_york_date(self.disclosed_at)

    @property
    def amount_text(self) -> str:
        """The bracket as the forms write it."""
        return f"${self.amount_low_usd:,} - ${self.amount_high_usd:,}"


def disclosures_of(
    session: date, rng: "np.random.Generator", symbols: tuple[str, ...], names: tuple[str, ...], favoured: "np.ndarray"
) -> list[Disclosure]:
    """The 8 to 15 trades filed on one session, in order of filing.

    favoured: indices into `symbols` that most purchases of the time go to.
    """
    filed: list[Disclosure] = []
    for hour in sorted(rng.uniform(9.0, 18.0, size=int(rng.integers(8, 16)))):
        member = (17 * session.toordinal() + 13 * (int(rng.integers(MEMBERS)) % FILERS)) % MEMBERS
        buys = rng.random() < 0.55
        pick = int(rng.choice(favoured)) if buys and rng.random() < 0.6 else int(rng.integers(len(symbols)))
        low, high = list(disclosures.BRACKETS_USD.items())[min(int(rng.geometric(0.6)) - 1, 5)]
        filed.append(
            Disclosure(
                member=f"Synthetic Member {member + 1:02d}",
                member_id=f"X{member + 1:06d}",
                party="DR"[member % 2],
                chamber="Senate" if member % 4 == 0 else "House",
                state="Synthetic State",
                symbol=symbols[pick],
                company=names[pick],
                transaction="Purchase" if buys else ("Sale (Full)" if rng.random() < 0.6 else "Sale (Partial)"),
                amount_low_usd=low,
                amount_high_usd=high,
                transaction_date=_traded(session, rng),
                disclosed_at=times.new_york(session, time(0)) + timedelta(hours=float(hour)),
            )
        )
    return filed


def _traded(session: date, rng: "np.random.Generator") -> date:
    """The weekday of the trade behind a disclosure, after the lag distribution of real filings."""
    import numpy as np

    lag = float(np.interp(rng.random(), (0.0, *LAG_QUANTILES), (1, *LAG_DAYS)))
    day = session - timedelta(days=round(lag))
    return day - timedelta(days=max(day.weekday() - 4, 0))
