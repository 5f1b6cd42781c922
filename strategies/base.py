"""What a strategy is: a declaration and a pure function from a point-in-time view to targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import pandas as pd

EVIDENCE_COLUMNS = ("dataset", "row_key", "symbol", "contribution")
BarField = Literal["open", "high", "low", "close", "adj_close", "volume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """When a strategy is due, in exchange sessions. A date that is a holiday rolls to the next session."""

    kind: Literal["daily", "weekly", "monthly"]
    on: str = ""


def daily() -> Rebalance:
    """Due on every session."""
    return Rebalance(kind="daily")


def weekly(day: Literal["mon", "tue", "wed", "thu", "fri"]) -> Rebalance:
    """Due on that weekday, or on the next session when it is a holiday."""
    return Rebalance(kind="weekly", on=day)


def monthly(on: Literal["first_session", "first_mon"]) -> Rebalance:
    """Due on the month's first session, or on its first Monday (rolled when a holiday)."""
    return Rebalance(kind="monthly", on=on)


class DataView(Protocol):
    """Everything that was known at `asof`, and nothing else. Whatever it hands out is the caller's to modify."""

    @property
    def asof(self) -> datetime:
        """The decision instant, UTC."""
        ...

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Exchange sessions (naive midnights, ascending) whose close lies before `asof`."""
        ...

    def universe(self, index: str = "sp500") -> list[str]:
        """Members of a dated index as known at `asof`, sorted. Empty when the index was never imported."""
        ...

    def bars(self, field: BarField, sessions: int, symbols: Sequence[str] | None = None) -> pd.DataFrame:
        """Last `sessions` sessions of one bar field, float64 (n_sessions, n_symbols), NaN where there was no bar.

        Prices are adjusted for splits as of `asof`; `adj_close` also for dividends and is anchored so that
        each column's last value equals its close. Columns: `symbols` that have any bar known at `asof`, in the order
        asked for; without `symbols`, every known symbol, sorted. A close-only instrument has NaN open, high, low, volume.
        """
        ...

    def events(self, dataset: str, since: datetime | None = None) -> pd.DataFrame:
        """Newest version of each row of a dataset known at `asof`, with `known_at >= since` if given.

        Columns: the dataset row's own, plus `row_key` (str, stable identity), `event_at`, `known_at` (UTC-aware).
        Sorted by known_at, then row_key. Unknown or empty dataset: an empty frame with those columns.
        """
        ...

    def sectors(self) -> pd.Series:
        """GICS sector by symbol (object), as known at `asof`."""
        ...

    def artifact(self, name: str) -> Any:
        """The newest trained artefact of that name known at `asof`, or None."""
        ...

    def previous_targets(self) -> pd.Series:
        """This sleeve's last weights by symbol; empty at first."""
        ...

    def holdings(self) -> pd.DataFrame:
        """This sleeve's positions: symbol index, columns qty, market_value_usd."""
        ...

    def lots(self) -> pd.DataFrame:
        """This sleeve's tax lots: columns symbol, acquired_at, qty, basis_usd."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What a strategy wants, and why.

    weights: Series by symbol, float64, signed fraction of the sleeve, no NaN, sum of absolute values <= 1.
    evidence: DataFrame with columns dataset, row_key, symbol, contribution: the rows that made each weight;
        contributions of a symbol sum to the score in `scores`.
    scores: Series by symbol of the ranked quantity, for the chosen symbols.
    skipped: symbol -> reason, for names that the rule would have taken but could not.
    """

    weights: pd.Series
    evidence: pd.DataFrame
    scores: pd.Series
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One knob of a strategy: its default, what values are accepted, and what it means (with its unit).

    A number lies in [low, high]; a word is one of `choices`, or, where there are none, a text that `pattern` matches as a whole.
    The type of `default` is the type of the value. An operator may write a list where a text is a list of names: it is joined with "; ".
    examples: further values of a text that are accepted, for documents and for the conformance suite.
    """

    default: int | float | str
    meaning: str
    low: float = float("-inf")
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    pattern: str = ""
    examples: tuple[str, ...] = ()


NAMES = r"[^;]*(; [^;]+)*"
"""Pattern of a text that lists names: empty, or names with "; " between them."""


def listed(text: str) -> tuple[str, ...]:
    """The names of a text parameter that lists some, in its order; none for an empty text."""
    return tuple(name.strip() for name in text.split(";") if name.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One entry of the catalog.

    run: called as run(view, **params), with params from `strategies.resolve_params`.
    needs: the datasets that it cannot do without: while one is stale it holds. uses: those that it reads where there are any.
    lookback_sessions: the most sessions it asks the view for, at any setting.

    shorts: it may want negative weights. long_only: parameters laid over its own where the account cannot sell short; what is then
    still negative is left out. reads_lots: it looks at its sleeve's holdings and tax lots, which are recorded with the decision.
    target_volatility_frac: annual volatility to which its targets are scaled down, 0 for none. max_capital_frac: most of the NAV that
    its sleeve gets. Both can be set by the operator.
    """

    name: str
    run: Callable[..., Targets]
    needs: tuple[str, ...]
    rebalance: Rebalance
    lookback_sessions: int
    params: Mapping[str, Param]
    description: str
    funds: tuple[str, ...] = ()
    """Exchange-traded funds that this strategy may hold: they get the fund cap, not the stock cap."""
    uses: tuple[str, ...] = ()
    shorts: bool = False
    long_only: Mapping[str, int | float | str] = field(default_factory=dict)
    reads_lots: bool = False
    target_volatility_frac: float = 0.0
    max_capital_frac: float = 1.0


def no_evidence() -> pd.DataFrame:
    """An evidence frame without rows."""
    return pd.DataFrame({column: pd.Series(dtype="float64" if column == "contribution" else "object") for column in EVIDENCE_COLUMNS})


def no_targets(skipped: Mapping[str, str] | None = None) -> Targets:
    """Want nothing: the sleeve stays in cash."""
    empty = pd.Series(dtype="float64")
    return Targets(weights=empty, evidence=no_evidence(), scores=empty.copy(), skipped=dict(skipped or {}))
