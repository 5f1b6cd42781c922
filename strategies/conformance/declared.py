"""Checks of what a strategy declares, wants and gives as its reasons; each raises NotConforming with a sentence for its author."""

import inspect
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import resolve_params
from strategies.base import Param, Strategy, Targets
from strategies.conformance import market, rows
from strategies.conformance.listings import ASOF, FUNDS
from strategies.conformance.memory import MemoryView, MemoryWorld
from strategies.conformance.verdicts import check_sums, ordinary, require, settings, some, trial, wanted
from strategies.errors import BadParameter, UnknownParameter

BARS = "bars_daily"
MOST_EVIDENCE = 20_000
"""Rows of evidence that a decision may have: more are read by nobody, and are stored at every evaluation."""


def declared_parameters_are_the_keyword_only_arguments_with_the_same_defaults(strategy: Strategy) -> None:
    """The declaration and the function say the same."""
    _, *knobs = inspect.signature(strategy.run).parameters.values()
    other = [knob.name for knob in knobs if knob.kind is not inspect.Parameter.KEYWORD_ONLY]
    require(not other, f"the arguments {some(other)} of run must be keyword-only: put them behind `*`")
    found = {knob.name: knob.default for knob in knobs}
    declared = {name: param.default for name, param in strategy.params.items()}
    differing = [name for name in {**found, **declared} if name not in found or name not in declared or found[name] != declared[name]]
    require(not differing, f"run and STRATEGY.params disagree about {some(differing)}: same names, same defaults")


def every_parameter_has_a_meaning_and_bounds(strategy: Strategy) -> None:
    """An operator can know what a parameter is and what it may be."""
    for name, param in strategy.params.items():
        require(bool(param.meaning), f"parameter {name} has no meaning: say what it is, with its unit")
        if isinstance(param.default, str):
            require(bool(param.choices or param.pattern), f"parameter {name} is a text without choices or a pattern: any text would pass")
        else:
            require(math.isfinite(param.low) and math.isfinite(param.high), f"parameter {name} needs finite bounds, low and high")
    for given in [{}, *settings(strategy)]:
        try:
            resolve_params(strategy, given)
        except (BadParameter, UnknownParameter) as error:
            require(False, f"a default, bound, choice or example is refused by its own declaration: {error}")


def a_wrong_parameter_is_refused(strategy: Strategy) -> None:
    """A wrong name, type or value is an error, and never passed over."""
    for name, value in {"no_such_parameter": 1, **{name: _wrong(param) for name, param in strategy.params.items()}}.items():
        try:
            resolve_params(strategy, {name: value})
        except (BadParameter, UnknownParameter):
            continue
        require(False, f"parameter {name} = {value!r} is accepted: narrow its bounds, choices or pattern")
    try:
        strategy.run(market.world().at(ASOF), **resolve_params(strategy), no_such_parameter=1)
    except TypeError:
        return
    require(False, "run accepts a keyword that it does not declare: leave **kwargs out of it")


def _wrong(param: Param) -> object:
    """A value that a parameter must refuse."""
    if isinstance(param.default, str):
        return "none of its choices" if param.choices else 1
    return param.high + 1


def an_ordinary_day_gives_valid_targets(strategy: Strategy) -> None:
    """With every dataset filled it wants something."""
    targets = ordinary(strategy)
    require(len(targets.weights) > 0, f"it wants nothing on an ordinary day with every dataset filled; skipped: {dict(targets.skipped)}")


def every_parameter_at_its_bounds_gives_valid_targets_within_the_declared_lookback(strategy: Strategy) -> None:
    """No setting that it accepts breaks it."""
    asked, declared = trial(strategy).most_sessions, strategy.lookback_sessions
    require(asked > 0, "it asks for no bars at all: it cannot know which of its names trade; see strategies.signals.untradable")
    require(asked <= declared, f"it asks for {asked} sessions and declares {declared}: raise lookback_sessions, or lower a bound")


def weights_are_negative_only_where_it_declares_shorts(strategy: Strategy) -> None:
    """An account that cannot sell short is asked for nothing else."""
    for when, targets in trial(strategy).targets.items():
        short = () if strategy.shorts else targets.weights.index[targets.weights.to_numpy() < 0]
        require(not len(short), f"{when}: {some(short)} have negative weights: declare shorts=True, or leave them out")


def scores_are_in_descending_order(strategy: Strategy) -> None:
    """The first symbol is the one that it wants most."""
    require(ordinary(strategy).scores.is_monotonic_decreasing, "scores must be in descending order; see strategies.signals.descending")


def contributions_of_a_symbol_sum_to_its_score(strategy: Strategy) -> None:
    """The rows that are named make the whole score."""
    for when, targets in trial(strategy).targets.items():
        check_sums(targets, when)


def evidence_names_rows_that_the_view_held(strategy: Strategy) -> None:
    """Whoever follows the evidence finds the rows, and finds them to be about the symbol."""
    view = market.world().at(ASOF)
    evidence = wanted(strategy, view, "on an ordinary day").evidence
    for dataset, named in evidence.groupby("dataset"):
        require(dataset in (*strategy.needs, *strategy.uses), f"evidence names {dataset}, which is in neither needs nor uses")
        held = _bar_keys(view, named) if dataset == BARS else _row_keys(view, str(dataset))
        unknown = set(named["row_key"]) - set(held)
        require(not unknown, f"evidence names rows of {dataset} that the view does not hold: {some(unknown)}")
        about = [held[key] == symbol for key, symbol in zip(named["row_key"], named["symbol"], strict=True) if held[key] is not None]
        own = pd.Series(about, dtype=bool)
        kept = bool(own.all()) if dataset != BARS else set(named["symbol"]) <= set(named["symbol"][own.to_numpy()])
        require(kept, f"evidence of a symbol names rows of {dataset} that are about another one")


def _bar_keys(view: MemoryView, named: pd.DataFrame) -> dict[str, str]:
    """Symbol by key of those named bars that there are; a symbol's evidence may name bars of others beside its own."""
    closes = view.bars("close", max(len(view.sessions), 1))
    there = closes.notna()
    place = {session.date().isoformat(): number for number, session in enumerate(closes.index)}
    found = {}
    for key in set(named["row_key"]):
        symbol, _, day = key.partition("@")
        if symbol in there.columns and day in place and there[symbol].iloc[place[day]]:
            found[key] = symbol
    return found


def _row_keys(view: MemoryView, dataset: str) -> dict[str, str | None]:
    """Symbol by key of every row of a dataset; None where its rows are about no symbol."""
    frame = view.events(dataset)
    symbols = frame["symbol"].tolist() if "symbol" in frame else [None] * len(frame)
    return dict(zip(frame["row_key"].tolist(), symbols, strict=True))


def evidence_is_short_enough_to_be_kept(strategy: Strategy) -> None:
    """A decision's evidence is stored, and read by people."""
    for when, targets in trial(strategy).targets.items():
        count = len(targets.evidence)
        require(count <= MOST_EVIDENCE, f"{when}: {count} rows of evidence, more than {MOST_EVIDENCE}: name fewer, larger contributions")


def what_it_reads_and_holds_is_declared(strategy: Strategy) -> None:
    """Staleness is judged by what is declared, and so are the caps of funds."""
    declared, read = {*strategy.needs, *strategy.uses}, set(trial(strategy).read)
    require(read <= declared, f"it reads {some(read - declared)}: name them in needs, or in uses where it can do without")
    require(declared <= read, f"it declares {some(declared - read)} and reads none of it at any setting")
    both = set(strategy.needs) & set(strategy.uses)
    require(not both, f"{some(both)} are in needs and in uses: needs are what it cannot do without")
    held = {symbol for targets in trial(strategy).targets.values() for symbol in targets.weights.index}
    loose = held.intersection(FUNDS).difference(strategy.funds)
    require(not loose, f"it holds the funds {some(loose)}: name them in funds")


def a_record_of_its_own_is_read_only_where_it_is_declared(strategy: Strategy) -> None:
    """With targets, positions and lots of its own it runs as well, and looks at the latter only where they are recorded."""
    first = ordinary(strategy)
    view = _with_record(market.world(), first).at(ASOF)
    _, again = wanted(strategy, view, "with positions of its own"), view.own_record
    require(not again or strategy.reads_lots, "it reads holdings or lots: declare reads_lots=True, or the decision cannot be repeated")
    require(again or not strategy.reads_lots, "it declares reads_lots and reads neither holdings nor lots")


def _with_record(world: MemoryWorld, targets: Targets) -> MemoryWorld:
    """The world in which the sleeve holds what it wanted, half of it bought last month at a loss, and a name that is listed no more."""
    held = [*targets.weights.index, "ZZZZ"]
    last = world.closes.loc[: pd.Timestamp(ASOF.date()) - pd.Timedelta(days=1)].ffill().iloc[-1]
    price = np.array([float(last.get(symbol, np.nan)) for symbol in held])
    price = np.where(np.isfinite(price), price, 10.0)
    quantity = 1e6 * np.append(targets.weights.to_numpy(), 0.01) / price
    acquired = [ASOF - timedelta(days=20 if number % 2 else 500) for number in range(len(held))]
    basis = quantity * price * np.where(np.arange(len(held)) % 2, 1.3, 0.8)
    lots = {"symbol": pd.Series(held, dtype=object), "acquired_at": rows.typed("datetime", acquired), "qty": quantity, "basis_usd": basis}
    return replace(
        world,
        previous=dict(zip(held, np.append(targets.weights.to_numpy(), 0.0).tolist(), strict=True)),
        holdings=pd.DataFrame({"qty": quantity, "market_value_usd": quantity * price}, index=pd.Index(held, dtype=object)),
        lots=pd.DataFrame(lots),
    )
