"""The generated market."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from scrapers.twin.assets import FUNDS, LEVERAGED, SECTORS
from scrapers.twin.world import World


def weekdays(count: int) -> list[date]:
    days = (date(2020, 1, 2) + timedelta(days=n) for n in range(count * 2))
    return [day for day in days if day.weekday() < 5][:count]


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=3, sessions=weekdays(1000))


def total_returns(world: World, symbol: str) -> list[float]:
    out = []
    for before, day in pairwise(world.sessions):
        received = (world.bar(symbol, day).close + world.dividend(symbol, day)) * world.split(symbol, day)
        out.append(received / world.bar(symbol, before).close - 1)
    return out


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world: World):
    twin, other = World(seed=3, sessions=world.sessions), World(seed=4, sessions=world.sessions)
    assert twin.bar("ZAAB", world.sessions[400]) == world.bar("ZAAB", world.sessions[400])
    assert other.bar("ZAAB", world.sessions[400]) != world.bar("ZAAB", world.sessions[400])


def test_a_world_that_is_extended_keeps_its_past(world: World):
    shorter = World(seed=3, sessions=world.sessions[:300])
    for asset in world.assets():
        for day in world.sessions[:300:7]:
            assert shorter.bar(asset.symbol, day) == world.bar(asset.symbol, day)
            assert shorter.dividend(asset.symbol, day) == world.dividend(asset.symbol, day)
    begin, end = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 12, 1, tzinfo=UTC)
    assert shorter.disclosures(begin, end) == world.disclosures(begin, end)


def test_a_bar_holds_together_and_prices_are_whole_cents(world: World):
    for asset in world.assets():
        for day in world.sessions[::13]:
            bar = world.bar(asset.symbol, day)
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            assert bar.close == round(bar.close, 2)
            assert bar.volume > 0


def test_the_market_grows_at_a_market_like_pace(world: World):
    returns = total_returns(world, "SPY")
    assert 0.0 < fmean(returns) * 252 < 0.35
    assert 0.08 < pstdev(returns) * math.sqrt(252) < 0.3


def test_volatility_clusters(world: World):
    sizes = [abs(value) for value in total_returns(world, "SPY")]
    mean = fmean(sizes)
    near = fmean((a - mean) * (b - mean) for a, b in pairwise(sizes))
    assert near / pstdev(sizes) ** 2 > 0.05


@pytest.mark.parametrize("fund", ["SSO", "UPRO", "TQQQ", "FAS"])
def test_a_leveraged_fund_multiplies_the_daily_return_of_its_base(world: World, fund: str):
    base, multiple = LEVERAGED[fund]
    pairs = zip(total_returns(world, fund), total_returns(world, base), strict=True)
    assert all(abs(mine - multiple * its) < 0.004 for mine, its in pairs)


def test_shares_split_and_the_total_return_does_not_notice(world: World):
    splits = [(asset.symbol, day) for asset in world.assets() for day in world.sessions if world.split(asset.symbol, day) != 1]
    assert splits
    for symbol, day in splits:
        before = world.bar(symbol, world.sessions[world.sessions.index(day) - 1]).close
        assert abs(world.bar(symbol, day).close * world.split(symbol, day) / before - 1) < 0.6


def test_about_half_of_the_stocks_pay_each_quarter(world: World):
    stocks = [asset.symbol for asset in world.assets() if asset.kind == "stock"]
    payments = {symbol: sum(world.dividend(symbol, day) > 0 for day in world.sessions) for symbol in stocks}
    payers = [count for count in payments.values() if count]
    assert 0.3 < len(payers) / len(stocks) < 0.7
    assert 13 <= fmean(payers) <= 17


def test_disclosed_purchases_are_followed_by_a_little_more_than_the_market():
    world = World(seed=3, sessions=weekdays(1000))
    stocks = [asset.symbol for asset in world.assets() if asset.kind == "stock"]
    returns = {symbol: total_returns(world, symbol) for symbol in stocks}
    row = {day: index for index, day in enumerate(world.sessions)}
    excess = []
    for trade in world.disclosures(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)):
        start = row[trade.disclosure_date]
        if trade.transaction == "Purchase" and start + 20 < len(world.sessions):
            market = fmean(sum(returns[symbol][start : start + 20]) for symbol in stocks[::5])
            excess.append(sum(returns[trade.symbol][start : start + 20]) - market)
    assert 0.001 < fmean(excess) < 0.03


def test_disclosures_lag_their_trades_as_real_ones_do(world: World):
    trades = world.disclosures(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    lags = sorted((trade.disclosure_date - trade.transaction_date).days for trade in trades)
    assert 8 <= len(trades) / len(world.sessions) <= 15
    assert lags[0] >= 1
    assert 25 <= lags[len(lags) // 2] <= 32
    assert 65 <= lags[len(lags) * 9 // 10] <= 80


def test_everybody_and_everything_is_visibly_invented(world: World):
    trades = world.disclosures(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    assert all(trade.member.startswith("Synthetic Member") for trade in trades)
    assert all(asset.name.startswith("Synthetic") for asset in world.assets())
    assert {asset.symbol for asset in world.assets() if asset.kind == "fund"} == set(FUNDS)
    assert {asset.sector for asset in world.assets() if asset.kind == "stock"} == {sector for sector, _, _ in SECTORS}


def test_the_volatility_index_stays_in_its_usual_range_and_moves(world: World):
    closes = [world.vix(day).close for day in world.sessions]
    assert min(closes) > 8
    assert max(closes) < 90
    assert pstdev(closes) > 1


def test_an_unknown_symbol_or_day_is_a_key_error(world: World):
    with pytest.raises(KeyError):
        world.bar("AAPL", world.sessions[0])
    with pytest.raises(KeyError):
        world.bar("SPY", date(2020, 1, 4))


@pytest.mark.parametrize(("sessions", "n_symbols"), [([date(2020, 1, 3), date(2020, 1, 2)], 120), ([date(2020, 1, 2)], 20)])
def test_impossible_worlds_are_refused(sessions: list[date], n_symbols: int):
    with pytest.raises(ValueError, match=r"sessions|n_symbols"):
        World(seed=1, sessions=sessions, n_symbols=n_symbols)
