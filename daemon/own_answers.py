"""What an own strategy says of itself and what it wants, checked before anything of it is used. Raises BadAnswer with a sentence."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.own_errors import BadAnswer, writable
from strategies import resolve_params
from strategies.base import EVIDENCE_COLUMNS, NAMES, Param, Rebalance, Strategy, Targets
from strategies.errors import StrategyError

MOST_NAMES, MOST_EVIDENCE, MOST_SKIPPED = 2_000, 20_000, 5_000
ROUNDING = 1e-9
REBALANCE: Mapping[str, tuple[str, ...]] = {
    "daily": ("",),
    "weekly": ("mon", "tue", "wed", "thu", "fri"),
    "monthly": ("first_session", "first_mon"),
}
VARIABLE_LENGTH = re.compile(r"[*+?(]|\{\d*,")
"""Of a pattern that has none of these, the time to match cannot explode."""

Text = Annotated[str, Field(max_length=1_000)]
Word = Annotated[str, Field(min_length=1, max_length=80)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]
Value = int | float | Text


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Param(_Strict):
    default: Value
    meaning: Annotated[Text, Field(min_length=1)]
    low: float
    high: float
    choices: list[Text]
    pattern: Text
    examples: list[Text]


class _Rebalance(_Strict):
    kind: Literal["daily", "weekly", "monthly"]
    on: str


class Declared(_Strict):
    """The fields of Strategy without its function, as JSON has them."""

    name: Word
    needs: list[Word]
    uses: list[Word]
    rebalance: _Rebalance
    lookback_sessions: Annotated[int, Field(ge=0, le=5_000)]
    params: Annotated[dict[Word, _Param], Field(max_length=100)]
    description: Annotated[Text, Field(min_length=1)]
    funds: Annotated[list[Symbol], Field(max_length=500)]
    shorts: bool
    long_only: dict[Word, Value]
    reads_lots: bool
    target_volatility_frac: Annotated[float, Field(ge=0, le=10)]
    max_capital_frac: Annotated[float, Field(gt=0, le=1)]


def strategy_of(name: str, said: object, run: Callable[..., Targets], datasets: Collection[str]) -> Strategy:
    """The Strategy that a file declares, its function being `run`. datasets: the names that it may need and use."""
    try:
        declared = Declared.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadAnswer(f"declares {'.'.join(map(str, first['loc'])) or 'itself'} wrongly: {first['msg']}") from error
    given = {field.name: getattr(declared, field.name) for field in fields(Strategy) if field.name != "run"}
    if unknown := sorted({*declared.needs, *declared.uses} - set(datasets)):
        raise BadAnswer(f"needs or uses {', '.join(unknown)}, which is no dataset")
    if declared.rebalance.on not in REBALANCE[declared.rebalance.kind]:
        raise BadAnswer(f"has no such rebalance rule: {declared.rebalance.kind} on {declared.rebalance.on!r}")
    strategy = Strategy(
        **given
        | {name: tuple(given[name]) for name in ("needs", "uses", "funds")}
        | {
            "run": run,
            "rebalance": Rebalance(kind=declared.rebalance.kind, on=declared.rebalance.on),
            "params": {name: _param(name, param) for name, param in declared.params.items()},
        }
    )
    if strategy.name != name:
        raise BadAnswer(f"is named {strategy.name!r}; the name must be that of the file, {name!r}")
    try:
        resolve_params(strategy, strategy.long_only)
    except StrategyError as error:
        raise BadAnswer(f"declares a default or a long_only that it would not accept: {error}") from error
    return strategy


def _param(name: str, said: _Param) -> Param:
    param = Param(
        default=said.default,
        meaning=said.meaning,
        low=said.low,
        high=said.high,
        choices=tuple(said.choices),
        pattern=said.pattern,
        examples=tuple(said.examples),
    )
    if not isinstance(param.default, str):
        if not (math.isfinite(param.low) and math.isfinite(param.high)):
            raise BadAnswer(f"declares the parameter {name} without finite bounds: give it low and high")
    elif not param.choices and param.pattern != NAMES:
        _check_pattern(name, param.pattern)
    return param


def _check_pattern(name: str, pattern: str) -> None:
    if VARIABLE_LENGTH.search(pattern):
        raise BadAnswer(f"declares the parameter {name} with a pattern of variable length: use choices, or base.NAMES for a list of names")
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadAnswer(f"declares the parameter {name} with a pattern that is none: {error}") from error


def targets_of(strategy: Strategy, said: object) -> Targets:
    """The Targets that an evaluation came to."""
    if not isinstance(said, dict):
        raise BadAnswer("sent something that is not targets")
    symbols, weights = _symbols(said.get("symbols")), _numbers("weights", said.get("weights"))
    scores, evidence = _numbers("scores", said.get("scores")), _evidence(said.get("evidence"))
    _check_weights(strategy, symbols, weights)
    if said.get("scored") != symbols or len(scores) != len(symbols):
        raise BadAnswer("wants weights whose scores are of other symbols, or in another order")
    if set(evidence["symbol"]) != set(symbols):
        raise BadAnswer("gives evidence that is not of exactly the symbols that it wants")
    index = pd.Index(symbols, dtype=object)
    return Targets(
        weights=pd.Series(weights, index=index, dtype="float64"),
        evidence=evidence,
        scores=pd.Series(scores, index=index.copy(), dtype="float64"),
        skipped=_skipped(said.get("skipped"), symbols),
    )


def _check_weights(strategy: Strategy, symbols: Sequence[str], weights: Sequence[float]) -> None:
    if len(weights) != len(symbols):
        raise BadAnswer("wants another number of weights than of symbols")
    if (total := math.fsum(map(abs, weights))) > 1.0 + ROUNDING:
        raise BadAnswer(f"wants weights of {total:g} in all; 1 is the most")
    if not strategy.shorts and min(weights, default=0.0) < 0.0:
        raise BadAnswer("wants a negative weight without shorts=True in its declaration")


def _symbols(said: object) -> list[str]:
    if not isinstance(said, list) or not all(isinstance(s, str) and 0 < len(s) <= 32 and s.isprintable() for s in said):
        raise BadAnswer("wants something whose symbols are no names")
    if len(said) > MOST_NAMES or len(set(said)) != len(said):
        raise BadAnswer(f"wants more than {MOST_NAMES:,} symbols, or one of them twice")
    return said


def _numbers(what: str, said: object) -> list[float]:
    if not isinstance(said, list) or not all(type(n) in (int, float) for n in said):
        raise BadAnswer(f"gives {what} that are no numbers")
    if not all(-1e300 < n < 1e300 for n in said):
        raise BadAnswer(f"gives {what} that are not finite")
    return [float(n) for n in said]


def _evidence(said: object) -> pd.DataFrame:
    """The evidence in the columns and types of EVIDENCE_COLUMNS."""
    if not isinstance(said, dict) or set(said) != set(EVIDENCE_COLUMNS):
        raise BadAnswer(f"gives evidence whose columns are not {', '.join(EVIDENCE_COLUMNS)}")
    contribution = _numbers("contributions", said["contribution"])
    words: dict[str, Any] = {name: said[name] for name in EVIDENCE_COLUMNS[:3]}
    for name, column in words.items():
        if not isinstance(column, list) or not all(_is_word(word) for word in column):
            raise BadAnswer(f"gives evidence whose {name} is not text")
    if len({len(contribution), *map(len, words.values())}) != 1 or len(contribution) > MOST_EVIDENCE:
        raise BadAnswer(f"gives more than {MOST_EVIDENCE:,} rows of evidence, or columns of different lengths")
    columns = {name: pd.Series(column, dtype="object") for name, column in words.items()}
    return pd.DataFrame({**columns, "contribution": pd.Series(np.array(contribution, dtype=np.float64))})


def _skipped(said: object, symbols: Sequence[str]) -> dict[str, str]:
    if not isinstance(said, dict) or len(said) > MOST_SKIPPED or not all(isinstance(why, str) and why for why in said.values()):
        raise BadAnswer("skips names without a reason in words")
    if both := sorted(set(said) & set(symbols)):
        raise BadAnswer(f"both wants and skips {both[0]}")
    return {writable(name)[:100]: writable(why)[:500] for name, why in said.items()}


def _is_word(said: object) -> bool:
    return isinstance(said, str) and len(said) <= 1_000 and said == writable(said)
