"""Stress, betas and correlation of portfolios whose answer is known, over views of sealed rows."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.calendar import Calendar
from daemon.store.view import Archive
from daemon.watch.correlations import correlation
from daemon.watch.exposures import slopes
from daemon.watch.factors import _spread, betas, regression
from daemon.watch.scenarios import FACTORS, SCENARIOS, WINDOWS
from daemon.watch.scope import Scope
from daemon.watch.stresses import stress_table
from risk.errors import BadInput
from scrapers import DATASETS, times
from scrapers.sources.bars_daily import DailyBar
from scrapers.sources.vix import VixDay
from tests.unit.daemon.archive_rows import Market

CALENDAR = Calendar()
LAST = date(2023, 6, 30)


class Prices(Market):
    """Closes on any date."""

    def series(self, symbol: str, sessions: list[date], closes: np.ndarray) -> None:
        """One split-adjusted bar a session; NaN for none."""
        for session, close in zip(sessions, closes.tolist(), strict=True):
            if np.isfinite(close):
                bar = {"open": close, "high": close, "low": close, "close": close, "adj_close": close, "volume": 1000}
                self._add("bars_daily", DailyBar(symbol=symbol, session=session, adjustment="split", **bar), known(session))

    def vix(self, sessions: list[date], levels: np.ndarray) -> None:
        """Closes of the VIX, known on the evening."""
        for session, level in zip(sessions, levels.tolist(), strict=True):
            self._add("vix", VixDay(session=session, open=level, high=level, low=level, close=level), known(session))


def known(session: date) -> datetime:
    return times.new_york(session, time(16, 20))


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    return Prices(tmp_path)


def scope_of(prices: Prices, weights: dict[str, float], last: date = LAST) -> Scope:
    """A scope without a record, for the parts that read prices alone."""
    archive: Archive = prices.archive()
    return Scope(
        session=last, view=archive.view(known(last)), db=None, calendar=CALENDAR, strategies={}, datasets=DATASETS, benchmark="SPY",
        positions={}, navs=[], weights=pd.Series(weights, dtype="float64"),
    )  # fmt: skip


def walk(seed: int, n: int, sd: float = 0.01) -> np.ndarray:
    """Returns of a random walk."""
    return np.random.default_rng(seed).normal(0.0003, sd, n)


def closes(returns: np.ndarray) -> np.ndarray:
    return 100.0 * np.cumprod(np.r_[1.0, 1.0 + returns])


def by_name(lines):
    return {line.name: line for line in lines}


@pytest.fixture
def year(prices: Prices) -> tuple[Prices, list[date], np.ndarray]:
    """SPY over 300 sessions to LAST, and what is exactly twice it, and exactly its opposite."""
    sessions = CALENDAR.sessions(CALENDAR.offset(LAST, -300), LAST)
    market = walk(3, 300)
    prices.series("SPY", sessions, closes(market))
    prices.series("TWICE", sessions, closes(2 * market))
    prices.series("MINUS", sessions, closes(-market))
    return prices, sessions, market


def test_every_scenario_has_its_line_in_the_order_of_the_list(year):
    assert [line.name for line in stress_table(scope_of(year[0], {"TWICE": 0.5}))] == list(SCENARIOS)
    assert [line.name for line in stress_table(scope_of(year[0], {}))] == list(SCENARIOS)


def test_a_shock_to_the_benchmark_moves_twice_the_benchmark_twice(year):
    lines = by_name(stress_table(scope_of(year[0], {"TWICE": 0.5, "MINUS": 0.25})))
    for name, shock in (("benchmark_down_5", -0.05), ("benchmark_down_10", -0.10), ("benchmark_down_20", -0.20)):
        assert lines[name].portfolio_return == pytest.approx((0.5 * 2 - 0.25) * shock, abs=1e-12)
        assert lines[name].covered == 1.0


def test_the_worst_session_is_that_of_the_benchmark_and_what_the_holdings_then_did(year):
    prices, sessions, market = year
    worst = int(np.argmin(market))
    line = by_name(stress_table(scope_of(prices, {"TWICE": 0.5})))["worst_1_session"]
    assert line.portfolio_return == pytest.approx(0.5 * 2 * market[worst], abs=1e-12)
    assert line.max_drawdown == pytest.approx(line.portfolio_return)
    assert line.note == f"{sessions[worst]} to {sessions[worst + 1]}"


def test_a_past_window_is_bought_at_its_first_close_and_held_to_its_last(year):
    prices, sessions, market = year
    start, end = WINDOWS["banks_2023"]
    a, b = sessions.index(start), sessions.index(end)
    path = np.cumprod(1 + 2 * market[a:b])
    line = by_name(stress_table(scope_of(prices, {"TWICE": 0.5})))["banks_2023"]
    assert line.portfolio_return == pytest.approx(0.5 * (path[-1] - 1), abs=1e-12)
    assert line.covered == 1.0 and line.note == ""


def test_a_holding_without_prices_then_moves_by_its_beta_times_the_benchmark_and_is_not_counted_as_covered(year):
    prices, sessions, market = year
    young = sessions[sessions.index(WINDOWS["banks_2023"][1]) + 1 :]
    prices.series("YOUNG", young, closes(3 * market[-len(young) :])[1:])
    start, end = WINDOWS["banks_2023"]
    moved = float(np.prod(1 + market[sessions.index(start) : sessions.index(end)])) - 1
    line = by_name(stress_table(scope_of(prices, {"YOUNG": 0.2, "SPY": 0.6})))["banks_2023"]
    assert line.portfolio_return == pytest.approx(0.2 * 3 * moved + 0.6 * moved, abs=1e-12)
    assert line.covered == pytest.approx(0.75) and line.note == "beta times SPY for YOUNG"


def test_a_window_before_the_stored_prices_of_the_benchmark_has_a_note_and_no_figure(year):
    line = by_name(stress_table(scope_of(year[0], {"SPY": 1.0})))["lehman_2008"]
    assert (line.portfolio_return, line.max_drawdown, line.covered) == (None, None, None)
    assert line.note == "no prices of SPY from 2008-09-12 to 2008-11-20"


def test_ten_sessions_by_chance_are_the_normal_quantile_of_the_last_years_risk(year):
    prices, _, market = year
    lines = by_name(stress_table(scope_of(prices, {"SPY": 1.0})))
    sd = market[-252:].std() * np.sqrt(10)
    assert lines["monte_carlo_95"].portfolio_return == pytest.approx(-1.645 * sd, rel=0.05)
    assert lines["monte_carlo_99"].portfolio_return == pytest.approx(-2.326 * sd, rel=0.06)
    again = by_name(stress_table(scope_of(prices, {"SPY": 1.0})))
    assert again["monte_carlo_99"] == lines["monte_carlo_99"], "drawn the same way every day"


def test_a_spike_of_volatility_is_each_holdings_own_slope_times_twenty_points(year):
    prices, sessions, _ = year
    changes = np.random.default_rng(9).normal(0, 0.4, 300).round(2)
    prices.vix(sessions, 20.0 + np.r_[0.0, np.cumsum(changes)])
    prices.series("FEAR", sessions, closes(-0.3 * changes / 100))
    line = by_name(stress_table(scope_of(prices, {"FEAR": 0.5})))["vix_up_20"]
    assert line.portfolio_return == pytest.approx(0.5 * -0.3 * 0.20, rel=1e-6)
    assert by_name(stress_table(scope_of(prices, {"FEAR": 0.5})))["vix_up_20"].note == "VIX up 20 points"


def test_without_the_vix_the_spike_has_no_figure_and_says_why(year):
    line = by_name(stress_table(scope_of(year[0], {"SPY": 1.0})))["vix_up_20"]
    assert line.portfolio_return is None and "VIX" in line.note


def test_a_portfolio_in_cash_loses_nothing_anywhere(year):
    assert {line.portfolio_return for line in stress_table(scope_of(year[0], {}))} == {0.0}
    assert {(b.beta, b.t_statistic) for b in betas(scope_of(year[0], {}))} == {(0.0, None)}


def test_without_prices_of_the_benchmark_there_is_no_stress_and_no_beta(prices: Prices):
    prices.series("AAA", CALENDAR.sessions(date(2023, 1, 3), LAST), closes(walk(1, 123)))
    for part in (stress_table, betas):
        with pytest.raises(BadInput, match="no prices of SPY"):
            part(scope_of(prices, {"AAA": 0.5}))


def test_the_beta_of_twice_the_benchmark_is_two_and_every_factor_has_a_line(year):
    found = betas(scope_of(year[0], {"TWICE": 0.5}))
    assert [b.factor for b in found] == list(FACTORS)
    assert found[0].beta == pytest.approx(1.0, abs=1e-12) and found[0].t_statistic is None, "nothing is left to err"
    assert [b.beta for b in found[1:]] == [None] * 4 and all(b.note for b in found[1:])


def test_the_volatility_beta_is_found_beside_the_benchmarks(year):
    prices, sessions, market = year
    changes = np.random.default_rng(9).normal(0, 0.4, 300).round(2)
    prices.vix(sessions, 20.0 + np.r_[0.0, np.cumsum(changes)])
    noise = walk(5, 300, 0.001)
    prices.series("BOTH", sessions, closes(0.7 * market - 0.2 * changes / 100 + noise))
    found = by_factor(betas(scope_of(prices, {"BOTH": 1.0})))
    assert found["benchmark"].beta == pytest.approx(0.7, abs=0.03) and found["benchmark"].t_statistic > 50
    assert found["volatility"].beta == pytest.approx(-0.2, abs=0.1) and found["volatility"].t_statistic < -5


def by_factor(found):
    return {b.factor: b for b in found}


def test_regression_agrees_with_normal_equations_and_ignores_incomplete_sessions():
    rng = np.random.default_rng(2)
    x = {"a": rng.normal(0, 0.01, 200), "b": rng.normal(0, 5.0, 200)}
    y = 0.001 + 1.5 * x["a"] - 0.002 * x["b"] + rng.normal(0, 0.01, 200)
    x["a"][7], y[9] = np.nan, np.nan
    keep = np.isfinite(x["a"]) & np.isfinite(y)
    full = np.column_stack([np.ones(keep.sum()), x["a"][keep], x["b"][keep]])
    inverse = np.linalg.inv(full.T @ full)
    slope = inverse @ full.T @ y[keep]
    rest = y[keep] - full @ slope
    errors = np.sqrt(np.diag(inverse) * (rest @ rest) / (keep.sum() - 3))
    found = regression(y, x)
    for i, name in enumerate(("a", "b"), start=1):
        assert found[name] == (pytest.approx(slope[i], rel=1e-9), pytest.approx(slope[i] / errors[i], rel=1e-9))


def test_collinear_factors_and_short_histories_have_no_betas():
    rng = np.random.default_rng(2)
    a = rng.normal(0, 0.01, 100)
    assert regression(a, {"a": a, "twice": 2 * a}) == {}
    assert regression(a, {"flat": np.ones(100)}) == {}
    assert regression(a[:59], {"a": a[:59]}) == {}
    assert set(regression(a[:60], {"a": rng.normal(0, 1, 60)})) == {"a"}


def test_a_spread_is_the_top_third_less_the_bottom_third_of_what_was_ranked_before():
    returns = np.tile(np.arange(18.0) / 1000.0, (40, 1))
    spread = _spread(returns, lambda day: np.arange(18.0))
    assert spread == pytest.approx(np.full(40, 0.012))
    assert np.isnan(_spread(returns, lambda day: np.full(18, np.nan))).all()
    assert np.isnan(_spread(returns[:, :14], lambda day: np.arange(14.0))).all(), "fewer than 15 stocks"


def test_a_slope_uses_the_sessions_that_an_asset_has_and_is_one_where_they_are_too_few():
    factor = walk(1, 100)
    returns = np.column_stack(
        [2 * factor, np.where(np.arange(100) < 70, 0.5 * factor, np.nan), np.where(np.arange(100) < 59, factor, np.nan)]
    )
    found, enough = slopes(returns, factor)
    assert found == pytest.approx([2.0, 0.5, 1.0]) and enough.tolist() == [1.0, 1.0, 0.0]


def test_assets_that_move_as_one_after_a_calm_year_are_a_crisis(prices: Prices):
    """Of those that always move as one, and of independent ones, nothing is unusual."""
    sessions = CALENDAR.sessions(CALENDAR.offset(LAST, -320), LAST)
    market, late = walk(1, 320), np.arange(320) >= 260
    prices.series("SPY", sessions, closes(market))
    for i in range(8):
        own, letter = walk(50 + i, 320), chr(65 + i)
        prices.series(f"S{letter}", sessions, closes(np.where(late, market + 0.1 * own, own)))
        prices.series(f"F{letter}", sessions, closes(market + 0.1 * own))
        prices.series(f"I{letter}", sessions, closes(own))
    states = {kind: correlation(scope_of(prices, {f"{kind}{chr(65 + i)}": 0.1 for i in range(8)})) for kind in "SFI"}
    assert {kind: state.crisis for kind, state in states.items()} == {"S": True, "F": False, "I": False}
    assert states["S"].average > 0.95 and states["S"].concentration > 0.95 and states["F"].average > 0.95
    assert abs(states["I"].average) < 0.15 and states["I"].concentration < 0.4
    assert states["S"].note == "9 assets, of what is held, and the benchmark"


def test_correlation_of_too_few_assets_is_refused_and_says_how_many(prices: Prices):
    prices.series("SPY", CALENDAR.sessions(date(2023, 1, 3), LAST), closes(walk(1, 123)))
    with pytest.raises(BadInput, match="1 assets have a return on each of 60 sessions, 5 needed"):
        correlation(scope_of(prices, {}))


def test_the_windows_start_and_end_on_sessions_and_lie_in_order():
    for start, end in WINDOWS.values():
        assert CALENDAR.is_session(start) and CALENDAR.is_session(end) and start < end
    assert sorted(WINDOWS.values()) == list(WINDOWS.values())
    assert datetime(2008, 9, 12, tzinfo=UTC).date() == WINDOWS["lehman_2008"][0], "the last close before the failure"


def test_the_benchmark_really_fell_in_every_window_that_real_prices_cover(shared_data: Path):
    bars = pd.read_csv(shared_data / "data/prices/spy_raw_daily_lean.csv.gz", parse_dates=["date"], index_col="date")
    for name, (start, end) in WINDOWS.items():
        if end <= bars.index[-1].date():
            window = bars["close"].loc[str(start) : str(end)]
            assert window.iloc[-1] / window.iloc[0] - 1 < -0.06, name
