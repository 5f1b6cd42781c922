"""The companies and funds of the generated market: their names, sectors, indices and prices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import ascii_uppercase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ASOF = datetime(2021, 3, 15, 13, 0, tzinfo=UTC)
"""An ordinary Monday, half an hour before the open."""
LAST_SESSION = "2021-05-07"
SESSIONS = 700
SECTORS = (
    *("Health Care", "Information Technology", "Financials", "Industrials", "Consumer Discretionary", "Communication Services"),
    *("Consumer Staples", "Energy", "Utilities", "Materials", "Real Estate"),
)
FUNDS = (
    *("SPY", "IEF", "TLT", "GLD", "SHY", "BIL"),
    *("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"),
    *("SSO", "UPRO", "QLD", "TQQQ", "ROM", "TECL", "USD", "SOXL", "UYG", "FAS", "DIG", "ERX", "RXL", "CURE", "UXI", "DUSL"),
    *("UGE", "UCC", "WANT", "UYM", "UPW", "UTSL", "URE", "DRN", "LTL", "LABU"),
)
DEFENSIVE = ("IEF", "TLT", "GLD", "SHY", "BIL")
PAIRS = 4
"""So many sectors hold two stocks whose spread reverts to its mean and stands far from it at ASOF."""
YOUNG, PIERCED, GONE, THIN = 3, 5, 7, 11
"""Places behind the pairs: of a stock listed late, one without prices for three sessions, one that stopped trading, one hardly traded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listings:
    """Who is listed, and at what prices. closes, adj_closes, volumes and the frames of ranges: (n_sessions, n_symbols).

    stocks: members of sp500 first, then of sp400, sp600 and of no index. sectors, members: as a MemoryWorld takes them.
    """

    stocks: list[str]
    sectors: dict[str, str]
    members: dict[str, list[tuple[str, datetime]]]
    closes: pd.DataFrame
    adj_closes: pd.DataFrame
    volumes: pd.DataFrame
    ranges: dict[str, pd.DataFrame]

    def of_sector(self, sector: str) -> list[str]:
        """The stocks of a sector."""
        return [stock for stock in self.stocks if self.sectors[stock] == sector]


def listings(rng: np.random.Generator, n_members: int) -> Listings:
    """`n_members` stocks of the S&P 500, a sixth as many in each of the two smaller indices, four in none, and the funds."""
    smaller = n_members // 6
    stocks = [f"K{first}{second}" for first in ascii_uppercase for second in ascii_uppercase][: n_members + 2 * smaller + 4]
    sectors = dict(zip(stocks, _sectors(len(stocks)), strict=True))
    bounds = {"sp500": (0, n_members), "sp400": (n_members, n_members + smaller), "sp600": (n_members + smaller, n_members + 2 * smaller)}
    members = {index: [(stocks[i], _joined(i)) for i in range(*span)] for index, span in bounds.items()}
    closes = _closes(rng, stocks, sectors)
    holes = closes.isna()
    turnover = rng.uniform(2e5, 4e6, closes.shape[1]) * rng.lognormal(0.0, 0.4, closes.shape)
    turnover[:, : 2 * PAIRS] *= 4.0
    turnover[:, 2 * PAIRS + THIN] = 40.0
    spread = np.abs(rng.normal(0.0, 0.006, closes.shape))
    opens = closes * np.exp(rng.normal(0.0, 0.004, closes.shape))
    return Listings(
        stocks=stocks,
        sectors=sectors,
        members=members,
        closes=closes,
        adj_closes=closes * np.linspace(0.95, 1.0, len(closes))[:, None],
        volumes=pd.DataFrame(np.round(turnover), index=closes.index, columns=closes.columns).mask(holes),
        ranges={
            "open": opens,
            "high": closes.where(closes > opens, opens) * (1 + spread),
            "low": closes.where(closes < opens, opens) * (1 - spread),
        },
    )


def _sectors(count: int) -> list[str]:
    """Two stocks of each of the first sectors for the pairs, then every fourth in health care, the others by turns."""
    paired = [SECTORS[1 + i // 2] for i in range(2 * PAIRS)]
    others = [SECTORS[0] if i % 4 == 0 else SECTORS[i % len(SECTORS)] for i in range(count - len(paired))]
    return paired + others


def _joined(place: int) -> datetime:
    """Members joined over the three years up to two months after ASOF."""
    return ASOF - timedelta(days=960) + timedelta(days=30 * (place % 35))


def _closes(rng: np.random.Generator, stocks: list[str], sectors: dict[str, str]) -> pd.DataFrame:
    """Prices of a market factor, sector factors and noise of their own; see the constants for what is special about some."""
    sessions = pd.bdate_range(end=LAST_SESSION, periods=SESSIONS)
    market = rng.normal(0.0006, 0.009, (SESSIONS, 1))
    themes = {sector: rng.normal(0.0002, 0.005, SESSIONS) for sector in SECTORS}
    sector_part = np.column_stack([themes[sectors[stock]] for stock in stocks])
    paths = market * rng.uniform(0.6, 1.5, len(stocks)) + sector_part + rng.normal(0.0002, 0.013, (SESSIONS, len(stocks)))
    logs = np.log(rng.uniform(20.0, 200.0, len(stocks))) + np.cumsum(paths, axis=0)
    ends = int(sessions.searchsorted(pd.Timestamp(ASOF.date())))
    for pair in range(PAIRS):
        logs[:, 2 * pair + 1] = 0.5 + 0.9 * logs[:, 2 * pair] + _reverting(rng, ends, 0.05 + 0.006 * pair)
    beta = np.array([0.05 if fund in DEFENSIVE else 1.0 + 0.5 * (i % 4) for i, fund in enumerate(FUNDS)])
    own = np.array([0.001 if fund in ("SHY", "BIL") else 0.005 for fund in FUNDS])
    drift = rng.normal(0.0003, 0.0004, len(FUNDS))
    funds = np.log(80.0) + np.cumsum(drift + market * beta + rng.normal(0.0, 1.0, (SESSIONS, len(FUNDS))) * own, axis=0)
    closes = pd.DataFrame(np.exp(np.column_stack([logs, funds])), index=sessions, columns=[*stocks, *FUNDS])
    young, pierced, gone = (2 * PAIRS + place for place in (YOUNG, PIERCED, GONE))
    closes.iloc[: ends - 30, young] = np.nan
    closes.iloc[ends - 60 : ends - 57, pierced] = np.nan
    closes.iloc[ends - 40 :, gone] = np.nan
    return closes


def _reverting(rng: np.random.Generator, ends: int, away: float) -> Floats:
    """A spread with a half-life of five sessions and a deviation of 2 %, which stands `away` from its mean before ASOF."""
    spread = np.zeros(SESSIONS)
    shocks = rng.normal(0.0, 0.01, SESSIONS)
    for t in range(1, SESSIONS):
        spread[t] = 0.87 * spread[t - 1] + shocks[t]
        if ends - 2 <= t < ends:
            spread[t] = away + 0.1 * shocks[t]
    return spread
