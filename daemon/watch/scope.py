"""What one daily watch looks at: the account as marked, and the view of that instant, each reading made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from daemon.calendar import Calendar
from daemon.readings import PRICE_SESSIONS, last_prices
from daemon.runtime import Runtime
from daemon.store.actions import effective
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.view import View
from risk.errors import BadInput
from risk.inputs import FloatArray
from scrapers.base import Dataset
from strategies.base import Strategy

YEAR = 252
"""Sessions over which exposures are estimated."""
DEPTH = 2 * YEAR + 1
"""Sessions of prices that are read: a year of ranks behind each session of the year."""
FEWEST_STOCKS = 15
SHARES_AGE = timedelta(days=450)
"""Older counts of shares outstanding are not used."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Inputs of every part of a watch.

    positions: shares by symbol after the session. navs: daily marks up to the session, ascending. weights: (n_held,) fractions of NAV by
    symbol at the newest known closes, sorted; what they leave of 1 is cash.
    """

    session: date
    view: View
    db: Database
    calendar: Calendar
    strategies: Mapping[str, Strategy]
    datasets: Mapping[str, Dataset]
    benchmark: str
    positions: Mapping[str, float]
    navs: Sequence[Row]
    weights: pd.Series

    @cached_property
    def funds(self) -> frozenset[str]:
        """Exchange-traded funds: what any strategy declares, and the benchmark."""
        return frozenset({self.benchmark, *(fund for strategy in self.strategies.values() for fund in strategy.funds)})

    @cached_property
    def members(self) -> list[str]:
        """Stocks of the index, sorted; without an index every known symbol that is no fund."""
        return [s for s in self.view.universe() or self.view.symbols if s not in self.funds]

    @cached_property
    def adjusted(self) -> pd.DataFrame:
        """Total-return prices (DEPTH sessions, n) of the index members, what is held and the benchmark; NaN where there was none."""
        return self.view.bars("adj_close", DEPTH, sorted({*self.members, *self.weights.index, self.benchmark}))

    @cached_property
    def returns(self) -> pd.DataFrame:
        """Daily total returns (DEPTH - 1, n) of `adjusted`; NaN where either price is missing."""
        values = self.adjusted.to_numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            changes = values[1:] / values[:-1] - 1.0
        return pd.DataFrame(changes, index=self.adjusted.index[1:], columns=self.adjusted.columns, copy=False)

    @cached_property
    def benchmark_returns(self) -> FloatArray:
        """The benchmark's daily returns over the last year (n <= 252,), NaN where it has no bar. Raises BadInput without prices."""
        if self.benchmark not in self.returns.columns:
            raise BadInput(f"no prices of {self.benchmark} are known")
        found: FloatArray = self.returns[self.benchmark].to_numpy()[-YEAR:]
        return found

    @cached_property
    def market_caps(self) -> pd.Series:
        """Newest known shares outstanding, as split since, times the newest close, USD by symbol; absent where either is unknown."""
        figures = self.view.events("fundamentals", self.view.asof - SHARES_AGE)
        figures = figures[(figures["concept"] == "shares_outstanding") & (figures["value"] > 0)]
        newest = figures.sort_values(["period_end", "known_at"], kind="stable").drop_duplicates("symbol", keep="last").set_index("symbol")
        prices = last_prices(self.view, sorted(set(newest.index)))
        shares = newest["value"].astype("float64") * self._split_since(newest["period_end"])
        return pd.Series({s: shares[s] * float(prices[s]) for s in prices}, dtype="float64")

    def _split_since(self, since: pd.Series) -> pd.Series:
        """By how much shares were split after a date, by symbol."""
        actions = effective(self.view.events("corporate_actions"))
        splits = actions[(actions["kind"] == "split") & (actions["ratio"] > 0)]
        counted, factors = dict(zip(since.index, since, strict=True)), dict.fromkeys(since.index, 1.0)
        today = self.view.asof.date()
        for symbol, day, ratio in zip(splits["symbol"], splits["ex_date"], splits["ratio"], strict=True):
            if symbol in counted and counted[symbol] < day <= today:
                factors[symbol] *= float(ratio)
        return pd.Series(factors, dtype="float64")


def gather(rt: Runtime, at: datetime, view: View) -> Scope:
    """The scope of the newest session closed before `at`, from the record and a view of that instant."""
    session = rt.calendar.last_closed(at)
    held = positions_after(rt, at)
    navs = rt.db.rows("nav_until", session=session, n=YEAR + 1)[::-1]
    prices = last_prices(view, sorted(held))
    values = pd.Series({s: held[s] * float(prices[s]) for s in sorted(prices)}, dtype="float64")
    marked = bool(navs) and navs[-1]["session"] == session
    nav = navs[-1]["nav_usd"] if marked else float(values.sum()) + float(rt.book.ledger.account_cash())
    return Scope(
        session=session,
        view=view,
        db=rt.db,
        calendar=rt.calendar,
        strategies=rt.strategies,
        datasets=rt.datasets,
        benchmark=rt.settings.benchmark,
        positions=held,
        navs=navs,
        weights=values / nav if nav > 0 else values * 0.0,
    )


def positions_after(rt: Runtime, at: datetime) -> dict[str, float]:
    """Shares by symbol as the ledger had them at an instant: those of now without what was booked later."""
    held = {symbol: float(qty) for symbol, qty in rt.book.ledger.account_positions().items()}
    for row in rt.db.rows("position_changes_since", since=at):
        held[row["symbol"]] = held.get(row["symbol"], 0.0) - float(row["qty"])
    return {symbol: qty for symbol, qty in sorted(held.items()) if abs(qty) > 1e-9}


def filled_closes(view: View, sessions: int, symbols: Sequence[str]) -> pd.DataFrame:
    """Closes (sessions, n_symbols), each missing one the newest before it, as a mark values positions."""
    return view.bars("close", sessions + PRICE_SESSIONS, symbols).ffill(limit=PRICE_SESSIONS).iloc[-sessions:]
