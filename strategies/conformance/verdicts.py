"""How a strategy is run for a check and what is said of its targets: valid or not, equal to the last bit or not."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pandas as pd

from strategies import resolve_params
from strategies.base import EVIDENCE_COLUMNS, Param, Strategy, Targets, no_targets
from strategies.conformance import market
from strategies.conformance.listings import ASOF
from strategies.conformance.memory import MemoryView
from strategies.errors import NotConforming, NotEnoughData

Value: TypeAlias = int | float | str


def require(kept: bool, sentence: str) -> None:
    """Raise NotConforming with the sentence unless the promise is kept."""
    if not kept:
        raise NotConforming(sentence)


def wanted(strategy: Strategy, view: MemoryView, when: str, overrides: Mapping[str, Value] | None = None) -> Targets:
    """What a strategy wants on a view, with valid form. Where it raises NotEnoughData it wants nothing.

    when: the situation in words, for sentences. Any other error of the strategy goes on, with a note of the situation.
    """
    try:
        targets = strategy.run(view, **resolve_params(strategy, overrides))
    except NotEnoughData as error:
        return no_targets({strategy.name: str(error)})
    except BaseException as error:
        error.add_note(f"strategy {strategy.name}, {when}")
        raise
    check_valid(targets, when)
    return targets


def check_valid(targets: Targets, when: str) -> None:
    """Raise NotConforming for targets that are not of the form that strategies.base.Targets describes."""
    require(isinstance(targets, Targets), f"{when}: run returned {type(targets).__name__}, not Targets; see strategies.signals.targets")
    weights, scores, evidence = targets.weights, targets.scores, targets.evidence
    for name, series in (("weights", weights), ("scores", scores)):
        require(isinstance(series, pd.Series), f"{when}: {name} is {type(series).__name__}, not a Series by symbol")
        require(series.dtype == np.float64, f"{when}: {name} has the type {series.dtype}, not float64")
        require(bool(np.isfinite(series.to_numpy()).all()), f"{when}: {name} holds NaN or infinite values: {_strange(series)}")
    require(weights.index.is_unique, f"{when}: a symbol has two weights")
    gross = float(weights.abs().sum())
    require(gross <= 1.0 + 1e-12, f"{when}: the absolute weights sum to {gross:.9g}, more than 1")
    require(list(scores.index) == list(weights.index), f"{when}: scores and weights must have the same symbols in the same order")
    require(isinstance(evidence, pd.DataFrame), f"{when}: evidence is {type(evidence).__name__}, not a DataFrame")
    require(
        tuple(evidence.columns) == EVIDENCE_COLUMNS, f"{when}: evidence has the columns {list(evidence.columns)}, not {EVIDENCE_COLUMNS}"
    )
    bare, stray = set(weights.index) - set(evidence["symbol"]), set(evidence["symbol"]) - set(weights.index)
    require(not bare, f"{when}: no evidence for {some(bare)}: every weight names the rows that made it")
    require(not stray, f"{when}: evidence for {some(stray)}, which have no weight")
    both = set(targets.skipped) & set(weights.index)
    require(not both, f"{when}: {some(both)} are both wanted and skipped")
    mute = [symbol for symbol, reason in targets.skipped.items() if not isinstance(reason, str) or not reason]
    require(not mute, f"{when}: {some(mute)} are skipped without a reason")


def _strange(series: pd.Series) -> str:
    return some(series.index[~np.isfinite(series.to_numpy())])


def some(names: Iterable[object]) -> str:
    """At most five names, sorted."""
    found = sorted(map(str, names))
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def rendered(targets: Targets) -> bytes:
    """Targets as bytes: equal bytes, equal to the last bit and in the same order."""
    numbers = [targets.weights, targets.scores, targets.evidence["contribution"]]
    words = (
        list(targets.weights.index),
        list(targets.scores.index),
        [targets.evidence[name].tolist() for name in EVIDENCE_COLUMNS[:3]],
        dict(targets.skipped),
    )
    return b"".join(values.to_numpy(dtype=np.float64).tobytes() for values in numbers) + repr(words).encode()


def require_same(first: Targets, second: Targets, sentence: str) -> None:
    """Raise NotConforming with the sentence, and what differs first, unless two targets are equal to the last bit."""
    if rendered(first) != rendered(second):
        raise NotConforming(f"{sentence} ({_difference(first, second)})")


def _difference(first: Targets, second: Targets) -> str:
    """The first thing in which targets differ, for their author."""
    if list(first.weights.index) != list(second.weights.index):
        moved = set(first.weights.index) ^ set(second.weights.index)
        return f"symbols differ: {some(moved)}" if moved else "the order of the symbols differs"
    for name, one, other in (("weights", first.weights, second.weights), ("scores", first.scores, second.scores)):
        places = np.flatnonzero(one.to_numpy() != other.to_numpy())
        if len(places):
            return f"{name} differ, {one.index[places[0]]}: {float(one.iloc[places[0]])!r} and {float(other.iloc[places[0]])!r}"
    if list(first.skipped.items()) != list(second.skipped.items()):
        changed = {name for name in {**first.skipped, **second.skipped} if first.skipped.get(name) != second.skipped.get(name)}
        return f"what is skipped differs: {some(changed)}" if changed else "the order of what is skipped differs: sort it"
    return f"evidence differs: {len(first.evidence)} and {len(second.evidence)} rows, or their order"


def check_sums(targets: Targets, when: str) -> None:
    """Raise NotConforming unless the contributions of every symbol sum to its score."""
    sums = targets.evidence.groupby("symbol")["contribution"].sum().reindex(targets.scores.index)
    off = ~np.isclose(sums.to_numpy(), targets.scores.to_numpy(), rtol=1e-9, atol=0.0)
    first = "".join(f" {symbol}: {sums[symbol]:.12g} and {targets.scores[symbol]:.12g}" for symbol in targets.scores.index[off][:1])
    require(not off.any(), f"{when}: contributions of a symbol do not sum to its score;{first}")


def ordinary(strategy: Strategy) -> Targets:
    """What it wants with its defaults on an ordinary day."""
    return wanted(strategy, market.world().at(ASOF), "on an ordinary day")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a strategy wants at every setting, by the setting in words; and what it asked the view for: most sessions, datasets sorted."""

    targets: Mapping[str, Targets]
    most_sessions: int
    read: tuple[str, ...]


def trial(strategy: Strategy) -> Trial:
    """Run a strategy at its defaults and at every setting on an ordinary day; kept for the checks that follow."""
    return _trial(_One(strategy))


class _One:
    """A strategy as itself and no other, for a cache."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _One) and other.strategy is self.strategy

    def __hash__(self) -> int:
        return id(self.strategy)


@lru_cache(maxsize=2)
def _trial(one: _One) -> Trial:
    view = market.world().at(ASOF)
    found = {}
    for given in [{}, *settings(one.strategy)]:
        when = f"with {given}" if given else "with its defaults"
        found[when] = wanted(one.strategy, view, when, given)
    return Trial(targets=found, most_sessions=view.most_sessions, read=tuple(sorted(view.read)))


def settings(strategy: Strategy) -> Iterator[dict[str, Value]]:
    """Each parameter at each of its extremes alone, then all at the first and all at the last, and what an account without shorts sets."""
    for name, param in strategy.params.items():
        for value in extremes(param):
            yield {name: value}
    yield {name: extremes(param)[0] for name, param in strategy.params.items()}
    yield {name: extremes(param)[-1] for name, param in strategy.params.items()}
    if strategy.long_only:
        yield dict(strategy.long_only)


def extremes(param: Param) -> tuple[Value, ...]:
    """The bounds of a number, the choices of a word, the default and the examples of a text."""
    if isinstance(param.default, str):
        return param.choices or (param.default, *param.examples)
    return type(param.default)(param.low), type(param.default)(param.high)
