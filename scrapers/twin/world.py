"""One generated market: prices, corporate actions, index membership, volatility and congressional trades, all from one seed.

Session i depends on the seed, the assets and the sessions before it alone, so a world that is extended at the end keeps its past.
Returns are market, sector and idiosyncratic, with clustered volatility and positive drift. Disclosed purchases carry a weak signal:
a stock that members have lately bought more than others drifts up a little in the weeks after the disclosure.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise

import numpy as np

from scrapers.twin.assets import FUNDS, LEVERAGED, SECTORS, Asset, funds, stocks
from scrapers.twin.congress import Disclosure, disclosures_of

YEAR = 252
MARKET_DRIFT = 0.11 / YEAR
MARKET_VARIANCE = 0.15**2 / YEAR
GARCH_ALPHA, GARCH_BETA = 0.09, 0.88
SECTOR_SD, IDIOSYNCRATIC_SD = 0.08 / math.sqrt(YEAR), 0.22 / math.sqrt(YEAR)
SIGNAL_DRIFT, SIGNAL_MEMORY = 0.0004, 0.97
LEVERAGE_FEE = 0.0095 / YEAR
SPLIT_ABOVE, REVERSE_BELOW = 400.0, 4.0
FAVOURED, FAVOURED_SESSIONS = 8, 42
HEAT_KINDS = ("analysts", "apps", "biotech", "contracts", "forum", "fundamentals", "insiders", "lobbying", "news", "search", "wiki")
"""What outsiders can notice of a company beside disclosed trades; each kind has its own favoured stocks."""
HEAT_DRIFT = 0.0003
FIRST_CIK = 9_000_001


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One session as traded: unadjusted prices in USD, volume in shares."""

    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Membership of the generated S&P 500 from start_date to end_date (None while it lasts)."""

    symbol: str
    start_date: date
    end_date: date | None


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Everything generated, by (session, asset): prices in USD, dividends in USD per share, splits as new per old shares."""

    bars: np.ndarray
    dividends: np.ndarray
    splits: np.ndarray
    vix: np.ndarray
    disclosed: tuple[tuple[Disclosure, ...], ...]


class World:
    """A market over `sessions` (ascending), the same for the same seed.

    n_symbols counts invented stocks and the 37 funds together. Generation is lazy and takes about a second for 120 symbols and
    1,500 sessions.
    """

    def __init__(self, *, seed: int, sessions: Sequence[date], n_symbols: int = 120) -> None:
        if n_symbols < len(FUNDS) + len(SECTORS):
            raise ValueError(f"n_symbols must be at least {len(FUNDS) + len(SECTORS)}: the funds and a stock per sector")
        if any(later <= earlier for earlier, later in pairwise(sessions)):
            raise ValueError("sessions must ascend")
        self.seed, self.sessions = seed, tuple(sessions)
        self._assets = (*stocks(n_symbols - len(FUNDS)), *funds())
        self._column = {asset.symbol: index for index, asset in enumerate(self._assets)}
        self._row = {session: index for index, session in enumerate(self.sessions)}

    @cached_property
    def _data(self) -> _Arrays:
        return _Generator(self.seed, self._assets).run(self.sessions)

    def first(self, count: int) -> "World":
        """The same market, ending with its session of that number."""
        return self if count >= len(self.sessions) else World(seed=self.seed, sessions=self.sessions[:count], n_symbols=len(self._assets))

    def assets(self) -> tuple[Asset, ...]:
        """All securities: the invented stocks, then the funds."""
        return self._assets

    def is_lent(self, symbol: str) -> bool:
        """Whether the broker lends it for short sales; all but a few are."""
        return self._column[symbol] % 17 != 5

    def is_divisible(self, symbol: str) -> bool:
        """Whether it is traded in fractions of a share; all but a few are."""
        return self._column[symbol] % 23 != 7

    def cik_of(self, symbol: str) -> int:
        """The number under which the SEC knows the issuer of a security; KeyError for an unknown symbol."""
        return FIRST_CIK + self._column[symbol]

    def bar(self, symbol: str, session: date) -> Bar:
        """The session as traded; KeyError for an unknown symbol or a day that is no session."""
        opened, high, low, close, volume = self._data.bars[self._row[session], self._column[symbol]].tolist()
        return Bar(open=opened, high=high, low=low, close=close, volume=int(volume))

    def dividend(self, symbol: str, session: date) -> float:
        """USD per share that goes ex on the session; 0 where there is none."""
        return float(self._data.dividends[self._row[session], self._column[symbol]])

    def split(self, symbol: str, session: date) -> float:
        """New shares per old share from the open of the session; 1 where there is none."""
        return float(self._data.splits[self._row[session], self._column[symbol]])

    def vix(self, session: date) -> Bar:
        """The volatility index of the session, in points; volume is 0."""
        close = float(self._data.vix[self._row[session]])
        before = float(self._data.vix[max(self._row[session] - 1, 0)])
        high, low = round(max(before, close) * 1.02, 2), round(min(before, close) * 0.98, 2)
        return Bar(open=before, high=high, low=low, close=close, volume=0)

    def disclosures(self, since: datetime, until: datetime) -> list[Disclosure]:
        """Trades disclosed in (since, until], oldest first."""
        return [trade for filed in self._data.disclosed for trade in filed if since < trade.disclosed_at <= until]

    def heat(self, kind: str) -> np.ndarray:
        """How much there is to notice of each stock: 0 to 1, (n_sessions, n_stocks), stocks in the order of `stocks()`.

        kind: one of HEAT_KINDS. A stock that is noticed today drifts up a little from tomorrow on, while it lasts: the weak signal
        that data of the kind should carry.
        """
        return self._heat[kind]

    @cached_property
    def _heat(self) -> dict[str, np.ndarray]:
        return {kind: heat_of(self.seed, kind, len(self.sessions), len(self.stocks())) for kind in HEAT_KINDS}

    def stocks(self) -> tuple[Asset, ...]:
        """The invented companies alone."""
        return tuple(asset for asset in self._assets if asset.kind == "stock")

    def index(self, day: date) -> int:
        """Number of the newest session on or before a day; -1 before the first."""
        return bisect_right(self.sessions, day) - 1

    def membership(self) -> list[Spell]:
        """Spells of the invented stocks. Every 20th joins and every 27th leaves some way into the world."""
        spells: list[Spell] = []
        for index, asset in enumerate(a for a in self._assets if a.kind == "stock"):
            joins, leaves = 60 + 5 * index, 120 + 5 * index
            start = date(2010, 1, 4)
            if index % 20 == 10:
                if joins >= len(self.sessions):
                    continue
                start = self.sessions[joins]
            ends = index % 27 == 20 and leaves < len(self.sessions)
            spells.append(Spell(symbol=asset.symbol, start_date=start, end_date=self.sessions[leaves] if ends else None))
        return spells

    def constituents(self, on: date) -> list[tuple[Asset, date]]:
        """Members on a day with the date each was added."""
        asset_of = {asset.symbol: asset for asset in self._assets}
        current = [s for s in self.membership() if s.start_date <= on and (s.end_date is None or on <= s.end_date)]
        return [(asset_of[spell.symbol], spell.start_date) for spell in current]


def heat_of(seed: int, kind: str, sessions: int, count: int) -> np.ndarray:
    """Heat of one kind, (sessions, count): in every stretch of 42 sessions eight stocks are favoured and warm up within five."""
    stream, heat = 10 + HEAT_KINDS.index(kind), np.zeros((sessions, count))
    for block in range(math.ceil(sessions / FAVOURED_SESSIONS)):
        first = block * FAVOURED_SESSIONS
        length = min(FAVOURED_SESSIONS, sessions - first)
        chosen = np.random.default_rng([seed, stream, block]).choice(count, size=min(FAVOURED, count), replace=False)
        heat[first : first + length, chosen] = np.minimum(np.arange(1, length + 1) / 5.0, 1.0)[:, None]
    return heat


class _Generator:
    """Walks the sessions once, carrying prices, market variance and the memory of disclosed purchases."""

    def __init__(self, seed: int, assets: tuple[Asset, ...]) -> None:
        self._seed, self._assets = seed, assets
        self._stocks = tuple(asset for asset in assets if asset.kind == "stock")
        self._n, self._k = len(assets), len(self._stocks)
        self._symbols = tuple(asset.symbol for asset in self._stocks)
        self._names = tuple(asset.name for asset in self._stocks)
        sector_index = {sector: index for index, (sector, _, _) in enumerate(SECTORS)}
        self._sector_of = np.array([sector_index[asset.sector] for asset in self._stocks])
        rng = self._rng(0, 0)
        self._price = np.round(rng.uniform(20.0, 250.0, self._n), 2)
        self._beta = rng.uniform(0.7, 1.3, self._k)
        self._shares = np.exp(rng.normal(14.5, 0.8, self._n))
        self._yield = np.where(rng.random(self._n) < 0.5, rng.uniform(0.01, 0.04, self._n), 0.0)
        self._yield[self._k :] = 0.0
        self._pays_at = rng.integers(0, 63, self._n)
        self._variance = MARKET_VARIANCE
        self._bought = np.zeros(self._k)
        self._noticed = np.zeros(self._k)

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, stream, index])

    def run(self, sessions: tuple[date, ...]) -> _Arrays:
        count = len(sessions)
        out = _Arrays(
            np.empty((count, self._n, 5)), np.zeros((count, self._n)), np.ones((count, self._n)), np.empty(count), self._filed(sessions)
        )
        noticed = np.sum([heat_of(self._seed, kind, count, self._k) for kind in HEAT_KINDS], axis=0)
        for index in range(count):
            rng = self._rng(1, index)
            self._noticed = noticed[index - 1] if index else np.zeros(self._k)
            out.vix[index] = self._volatility_points(rng)
            total = self._returns(rng)
            self._actions(index, out.dividends[index], out.splits[index])
            out.bars[index] = self._trade(total, out.dividends[index], out.splits[index], rng)
            self._remember(out.disclosed[index])
        return out

    def _filed(self, sessions: tuple[date, ...]) -> tuple[tuple[Disclosure, ...], ...]:
        filed = []
        for index, session in enumerate(sessions):
            favoured = self._rng(2, index // FAVOURED_SESSIONS).choice(self._k, size=min(FAVOURED, self._k), replace=False)
            filed.append(tuple(disclosures_of(session, self._rng(3, index), self._symbols, self._names, favoured)))
        return tuple(filed)

    def _volatility_points(self, rng: np.random.Generator) -> float:
        """The index expects a little more than the present variance, and reverts towards the mean."""
        expected = 0.6 * self._variance + 0.4 * MARKET_VARIANCE
        return round(float(100 * math.sqrt(expected * YEAR) * 1.12 * math.exp(rng.normal(0, 0.03))), 2)

    def _returns(self, rng: np.random.Generator) -> np.ndarray:
        """Total returns of all assets (n_assets,), simple and daily."""
        shock = math.sqrt(self._variance) * float(np.clip(rng.standard_normal(), -4.0, 4.0))
        level = math.sqrt(self._variance / MARKET_VARIANCE)
        self._variance = MARKET_VARIANCE * (1 - GARCH_ALPHA - GARCH_BETA) + GARCH_ALPHA * shock**2 + GARCH_BETA * self._variance
        sector = shock + MARKET_DRIFT + SECTOR_SD * level * rng.standard_normal(len(SECTORS))
        noise = IDIOSYNCRATIC_SD * np.clip(rng.standard_t(5, self._k), -6.0, 6.0) * math.sqrt(level)
        lead = np.clip(self._bought - self._bought.mean(), 0.0, 4.0)
        stock = sector[self._sector_of] + (self._beta - 1.0) * shock + noise + SIGNAL_DRIFT * lead
        stock += HEAT_DRIFT * (self._noticed - self._noticed.mean())
        total: np.ndarray = np.concatenate([stock, self._funds(sector, shock, rng)])
        np.clip(total, -0.6, 0.9, out=total)
        return total

    def _funds(self, sector: np.ndarray, shock: float, rng: np.random.Generator) -> np.ndarray:
        own = dict(zip((fund for _, _, fund in SECTORS), sector.tolist(), strict=True))
        bonds, gold, cash = rng.standard_normal(3)
        own["SPY"] = float(sector.mean())
        own["QQQ"] = 0.6 * own["XLK"] + 0.25 * own["XLC"] + 0.15 * own["XLY"]
        own["TLT"] = 0.03 / YEAR - 0.25 * shock + 0.0075 * float(bonds)
        own["GLD"] = 0.05 / YEAR + 0.009 * float(gold)
        own["SHY"] = 0.02 / YEAR + 0.0006 * float(cash)
        own |= {fund: multiple * own[base] - LEVERAGE_FEE for fund, (base, multiple) in LEVERAGED.items()}
        return np.array([own[fund] for fund in FUNDS])

    def _actions(self, index: int, dividends: np.ndarray, splits: np.ndarray) -> None:
        """Write the session's dividends and splits; nothing happens on the first session, which has no previous close."""
        if index == 0:
            return
        due = (index + self._pays_at) % 63 == 0
        splits[self._price > SPLIT_ABOVE] = 4.0
        splits[self._price < REVERSE_BELOW] = 0.1
        dividends[:] = np.where(due & (splits == 1.0), np.round(self._price * self._yield / 4.0, 2), 0.0)

    def _trade(self, total: np.ndarray, dividends: np.ndarray, splits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Open, high, low, close, volume of the session (n_assets, 5); moves prices on to the close."""
        reference = self._price / splits - dividends
        close = np.maximum(np.round((self._price * (1.0 + total)) / splits - dividends, 2), 0.01)
        gap = 0.35 * total + np.clip(rng.normal(0.0, 0.25, self._n), -1.0, 1.0) * np.minimum(np.abs(total) + 0.002, 0.05)
        opened = np.maximum(np.round(reference * (1.0 + gap), 2), 0.01)
        stretch = 0.3 * np.abs(rng.standard_normal((2, self._n))) * (np.abs(total) + 0.004)
        high = np.round(np.maximum(opened, close) * (1.0 + stretch[0]), 2)
        low = np.maximum(np.round(np.minimum(opened, close) * (1.0 - np.minimum(stretch[1], 0.3)), 2), 0.01)
        self._shares *= splits
        volume = np.round(self._shares * np.exp(rng.normal(0.0, 0.3, self._n)) * (1.0 + 15.0 * np.abs(total)))
        self._price = close
        return np.stack(
            [opened, np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close)), close, volume], axis=1
        )

    def _remember(self, filed: tuple[Disclosure, ...]) -> None:
        """Purchases disclosed today move returns from tomorrow on, and fade."""
        self._bought *= SIGNAL_MEMORY
        for trade in filed:
            if trade.transaction == "Purchase":
                self._bought[self._symbols.index(trade.symbol)] += 1.0
