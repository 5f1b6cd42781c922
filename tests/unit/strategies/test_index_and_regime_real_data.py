"""Direct index and regime allocation over real prices: they do what their names promise, out of sample."""

import itertools
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from strategies.base import Targets
from strategies.catalog import direct_index, regime_allocation
from strategies.conformance.memory import STAMPS, MemoryWorld, bars_known_at

FUNDS = ("SPY", "IEF", "GLD")
HISTORY = 260


@cache
def closes_of(shared: Path) -> pd.DataFrame:
    """Adjusted closes of stocks and funds, sessions by symbol."""
    stocks = pd.read_parquet(shared / "data/prices/sp500_daily_2013_2021q1.parquet", columns=["ticker", "date", "adj_close"])
    funds = pd.read_parquet(shared / "data/prices/etf_adjclose_2010_2021q1.parquet")
    rows = pd.concat([stocks, funds[funds["ticker"].isin(FUNDS)]])
    wide = rows.pivot(index="date", columns="ticker", values="adj_close").astype("float64")
    return wide.set_index(pd.DatetimeIndex(wide.index)).loc["2013-01-02":]


def nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="object" if name == "row_key" else "datetime64[us, UTC]") for name in STAMPS})


def realised(closes: pd.DataFrame, days: pd.DatetimeIndex, targets: Callable[[pd.DataFrame, datetime], Targets]) -> Iterator[pd.Series]:
    """Daily returns of the targets of each day, held from the close before it to the close before the next, and rebalanced daily."""
    returns = closes.pct_change(fill_method=None)
    for day, following in itertools.pairwise(days):
        before = closes.loc[: day - pd.Timedelta(days=1)].tail(HISTORY)
        weights = targets(before, datetime(day.year, day.month, day.day, 13, tzinfo=UTC)).weights
        held = returns.loc[day : following - pd.Timedelta(days=1), weights.index].fillna(0.0)
        yield (held * weights).sum(axis=1)


def members_on(spells: pd.DataFrame, day: datetime) -> list[str]:
    stamp = pd.Timestamp(day.date())
    inside = (spells["start_date"] <= stamp) & (spells["end_date"].isna() | (spells["end_date"] > stamp))
    return sorted(set(spells.loc[inside, "ticker"]))


def test_direct_index_tracks_the_fund_out_of_sample_with_half_of_the_index_and_without_two_sectors(shared_data: Path) -> None:
    """Every half-year of 2016 to 2018, out of about 260 members with prices, no capitalisations being known: within 3 % a year of SPY."""
    closes = closes_of(shared_data)
    spells = pd.read_csv(shared_data / "data/universe/sp500_ticker_start_end_to_2025.csv", parse_dates=["start_date", "end_date"])
    listed = pd.read_csv(shared_data / "data/universe/sp500_constituents_2026-08-08.csv")
    sectors = dict(zip(listed["Symbol"], listed["GICS Sector"], strict=True))
    excluded = {symbol for symbol, sector in sectors.items() if sector in ("Energy", "Utilities")}

    def targets(before: pd.DataFrame, at: datetime) -> Targets:
        events = {"fundamentals": nothing(), "corporate_actions": nothing()}
        members = {"sp500": [(symbol, at) for symbol in members_on(spells, at)]}
        world = MemoryWorld(closes=before, adj_closes=before, events=events, members=members, sectors=sectors)
        found = direct_index.run(world.at(at), exclude_sectors="Energy; Utilities")
        assert not set(found.weights.index) & excluded
        assert 50 < len(found.weights) <= 150 and math.isclose(found.weights.sum(), 1.0)
        return found

    days = closes.index[closes.index.searchsorted(pd.date_range("2016-01-01", "2019-01-01", freq="2QS"))]
    portfolio = pd.concat(realised(closes, pd.DatetimeIndex(days), targets))
    away = portfolio - closes["SPY"].pct_change()[portfolio.index]
    assert away.std() * math.sqrt(252) < 0.03
    assert np.corrcoef(portfolio, closes["SPY"].pct_change()[portfolio.index])[0, 1] > 0.97


def test_regime_allocation_keeps_to_its_target_volatility_through_2020(shared_data: Path) -> None:
    """No model is trained here, so that the volatility ratio decides; SPY itself had a third that year."""
    closes = closes_of(shared_data)[list(FUNDS)].dropna()
    vix = pd.read_csv(shared_data / "data/prices/vix_daily_1990_2021q1.csv.gz", parse_dates=["DATE"])
    vix = vix[vix["DATE"].isin(closes.index)]
    known = pd.to_datetime([bars_known_at(day) for day in vix["DATE"]], utc=True)
    rows = pd.DataFrame({"session": vix["DATE"].dt.date, "close": vix["CLOSE"], "row_key": vix["DATE"].astype(str)})
    rows = rows.assign(event_at=known, known_at=known)

    def targets(before: pd.DataFrame, at: datetime) -> Targets:
        return regime_allocation.run(MemoryWorld(closes=before, adj_closes=before, events={"vix": rows}).at(at))

    fridays = closes.index[closes.index.searchsorted(pd.date_range("2019-12-27", "2021-01-01", freq="W-FRI"))]
    portfolio = pd.concat(realised(closes, pd.DatetimeIndex(fridays), targets))
    stocks = closes["SPY"].pct_change()[portfolio.index]
    assert stocks.std() * math.sqrt(252) > 0.30
    assert 0.07 < portfolio.std() * math.sqrt(252) < 0.13
