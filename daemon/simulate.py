"""One strategy alone: replayed as the whole of an account whose limits are lifted, and followed in as many variants as one likes.

The replay goes through the same decisions, orders, exchange and ledger as live. A variant is followed as the shadow books are: it is
evaluated and its targets earn their returns after costs, without orders; the same code, and much faster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from config import Settings
from daemon import experiments
from daemon.artefacts import Artefacts
from daemon.calendar import Calendar
from daemon.cycle_input import SleeveInput
from daemon.decision import step_books
from daemon.evaluation import Evaluation
from daemon.jobs import attempt
from daemon.replay import Progress, replay
from daemon.report_result import ReplayResult
from daemon.shadow import ShadowBook, ShadowMark, roll
from daemon.sleeve_inputs import own_limits
from daemon.spread_null import SpreadNull, spread_nulls, trades_pairs
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from scrapers.base import Dataset
from strategies.base import Strategy, Targets

LIFTED: Final[Mapping[str, float | int]] = MappingProxyType(
    {
        "max_sleeve_frac": 1.0,
        "max_symbol_frac": 1.0,
        "max_fund_frac": 1.0,
        "max_sector_frac": 1.0,
        "max_gross_frac": 2.0,
        "max_var95_frac": 1.0,
        "max_cvar95_frac": 1.0,
        "max_turnover_frac": 4.0,
        "target_volatility_frac": 0.0,
        "drawdown_min_scale": 1.0,
        "drawdown_halt_frac": 1.0,
        "ramp_sessions": 2,
        "min_track_record_sessions": 20,
        "shadow_warmup_sessions": 25,
    }
)
"""Settings under which the account wants what its only strategy wants. Costs, the smallest trade and the cap on a position as a share of
its traded volume stay as they are set: they are the market's, not the portfolio's. A ramp of two sessions is the shortest that buys
before the strategy is next due, and the warm-up the shortest that gives it a track record by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One variant, followed. returns, turnover: by session, fractions of NAV after costs, both (n_sessions,).

    weights: by session after its close, fractions of NAV. targets: those of each evaluation, by session. failed: reason of each that
    failed or was held, by session.
    """

    params: Mapping[str, Any]
    returns: pd.Series
    turnover: pd.Series
    weights: Mapping[date, Mapping[str, float]]
    targets: Mapping[date, Targets]
    failed: Mapping[date, str]

    @property
    def outcome(self) -> experiments.Outcome:
        """Its figures."""
        return experiments.outcome(self.returns.to_numpy(dtype=np.float64), self.turnover.to_numpy(dtype=np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A replay of one strategy alone, and its variants.

    trials: the chosen one first. tried: every variant on record that was tried on any of these sessions. spreads: of a pairs strategy, the
    pairs that the chosen one held longest against chance.
    """

    strategy: Strategy
    start: date
    end: date
    result: ReplayResult
    trials: Sequence[Trial]
    tried: Sequence[Mapping[str, Any]]
    spreads: Sequence[SpreadNull] = ()

    @property
    def best(self) -> Trial:
        """Of those followed now, the one with the highest Sharpe ratio; of equal ones the first."""
        return max(self.trials, key=lambda t: -np.inf if t.outcome.sharpe is None else t.outcome.sharpe)

    def deflated(self, trial: Trial) -> experiments.Deflated:
        """The Sharpe ratio of one of them, deflated by all that were ever tried."""
        return experiments.deflated(trial.outcome, [row["result"]["sharpe"] for row in self.tried])


def lone(settings: Settings, strategy: str) -> Settings:
    """The settings of an account that belongs to one strategy; its own risk target stays, its cap of the capital does not."""
    limits = {strategy: {**settings.strategy_limits.get(strategy, {}), "max_capital_frac": 1.0}}
    return settings.model_copy(update={**LIFTED, "strategy_limits": limits})


def simulate(
    settings: Settings,
    db: Database,
    conninfo: Callable[[], str],
    lake: Lake,
    datasets: Mapping[str, Dataset],
    strategy: Strategy,
    variants: Sequence[Mapping[str, Any]],
    *,
    start: date,
    end: date,
    code_version: str,
    at: datetime,
    progress: Progress,
    sandbox: bool = False,
    paths: int = 500,
) -> Simulation:
    """Replay the first of `variants`, follow them all, and record in `db` that they were tried.

    at: the present. paths: simulated spreads for each of the pairs held longest, of a strategy that trades pairs.

    Raises StartRefused when the store has no bars for the range.
    """
    calendar, artefacts = Calendar(), Artefacts()
    alone, allowed = lone(settings, strategy.name), _allowed(settings, strategy, variants)
    result = replay(
        alone,
        conninfo,
        lake,
        datasets,
        {strategy.name: strategy},
        {strategy.name: allowed[0]},
        start=start,
        end=end,
        known_until=None,
        code_version=code_version,
        progress=progress,
        sandbox=sandbox,
        artefacts=artefacts,
    )
    archive = Archive(lake, datasets.values(), calendar, artefacts=artefacts)
    first, last = calendar.session_on_or_after(start), calendar.session_on_or_before(result.end)
    trials = follow(alone, strategy, allowed, archive, calendar, first, last)
    data = experiments.data_hash(archive, strategy, _decided_at(calendar, last))
    with db.transaction():
        for trial in trials:
            experiments.record(
                db, strategy.name, trial.params, trial.outcome, first=first, last=last, data=data, code_version=code_version, at=at
            )
    tried = experiments.tried(db, strategy.name, first, last)
    spreads: list[SpreadNull] = []
    if trades_pairs(strategy):
        view = archive.view(_decided_at(calendar, calendar.next_session(last)))
        spreads = spread_nulls(trials[0].targets, trials[0].params, view, calendar.count(first, last), paths)
    return Simulation(strategy=strategy, start=first, end=last, result=result, trials=trials, tried=tried, spreads=spreads)


def _allowed(settings: Settings, strategy: Strategy, variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The variants as the account may trade them: a strategy that sells short goes by its long-only parameters where that is off."""
    instead = {} if settings.short_selling or not strategy.shorts else strategy.long_only
    return [{**params, **instead} for params in variants]


def follow(
    settings: Settings,
    strategy: Strategy,
    variants: Sequence[Mapping[str, Any]],
    archive: Archive,
    calendar: Calendar,
    first: date,
    last: date,
) -> list[Trial]:
    """Follow variants of a strategy over the sessions from first to last, each in a book of its own; side by side over the same views.

    settings: those of `lone`. The books are warmed up as a replay does it, so that they are invested from the first session on. A
    strategy that looks at its tax lots sees none here: in the replay it sees those of its sleeve.
    """
    target = own_limits(settings.strategy_limits, {strategy.name: strategy})[strategy.name].target_volatility_frac
    cost_frac = settings.cost_bps / 1e4
    sleeves = [
        SleeveInput(
            name=_label(strategy, i),
            params=params,
            last_due=None,
            targets={},
            book=ShadowBook(sleeve=_label(strategy, i)),
            cycles=0,
            target_volatility_frac=target,
        )
        for i, params in enumerate(variants)
    ]
    catalog = {s.name: strategy for s in sleeves}
    log = _Log(sleeves)
    for session in calendar.sessions(calendar.offset(first, -settings.shadow_warmup_sessions), last):
        view = archive.view(_decided_at(calendar, session))
        if not view.symbols:
            continue
        books, marks, evaluations = step_books(
            sleeves, catalog, calendar, session, view, cost_frac, attempt, short_selling=settings.short_selling
        )
        log.take(session, books, marks, evaluations)
        sleeves = _carried(sleeves, books, evaluations)
    books, marks = roll([s.book for s in sleeves], archive.view(_decided_at(calendar, calendar.next_session(last))), cost_frac)
    log.take(last, books, marks, ())
    return [log.trial(s.name, s.params, first) for s in sleeves]


def _decided_at(calendar: Calendar, session: date) -> datetime:
    return calendar.decision_at(session)


def _label(strategy: Strategy, number: int) -> str:
    return f"{strategy.name}#{number}"


def _carried(sleeves: Sequence[SleeveInput], books: Sequence[ShadowBook], evaluations: Sequence[Evaluation]) -> list[SleeveInput]:
    """Each sleeve as the next session finds it."""
    new = {e.sleeve: (e.targets, e.due_session) for e in evaluations if e.targets is not None}
    carried = []
    for sleeve, book in zip(sleeves, books, strict=True):
        sleeve = replace(sleeve, book=book)
        if sleeve.name in new:
            targets, due = new[sleeve.name]
            sleeve = replace(sleeve, targets={str(s): float(w) for s, w in targets.weights.items()}, last_due=due)
        carried.append(sleeve)
    return carried


class _Log:
    """What happened to each variant."""

    def __init__(self, sleeves: Sequence[SleeveInput]) -> None:
        self._marks: dict[str, list[ShadowMark]] = {s.name: [] for s in sleeves}
        self._weights: dict[str, dict[date, Mapping[str, float]]] = {s.name: {} for s in sleeves}
        self._targets: dict[str, dict[date, Targets]] = {s.name: {} for s in sleeves}
        self._failed: dict[str, dict[date, str]] = {s.name: {} for s in sleeves}
        self._chosen = sleeves[0].name

    def take(self, session: date, books: Sequence[ShadowBook], marks: Sequence[ShadowMark], evaluations: Sequence[Evaluation]) -> None:
        for mark in marks:
            self._marks[mark.sleeve].append(mark)
        for e in evaluations:
            if e.targets is None:
                self._failed[e.sleeve][session] = f"{e.outcome}: {e.reason}"
            elif e.sleeve == self._chosen:
                self._targets[e.sleeve][session] = e.targets
        for book in books:
            if book.sleeve == self._chosen and book.session is not None:
                self._weights[book.sleeve][book.session] = book.weights

    def trial(self, name: str, params: Mapping[str, Any], first: date) -> Trial:
        marks = [m for m in self._marks[name] if m.session >= first]
        index = pd.DatetimeIndex(pd.to_datetime([m.session for m in marks]))
        return Trial(
            params=params,
            returns=pd.Series([m.return_frac for m in marks], index=index, dtype="float64"),
            turnover=pd.Series([m.turnover_frac for m in marks], index=index, dtype="float64"),
            weights={s: w for s, w in self._weights[name].items() if s >= first},
            targets=self._targets[name],
            failed=self._failed[name],
        )
