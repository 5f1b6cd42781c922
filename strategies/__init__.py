"""The catalog of strategies, and the check of their parameters against what each one declares."""

import difflib
import importlib
import math
import pkgutil
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strategies import catalog
from strategies.base import Param, Strategy
from strategies.errors import BadParameter, StrategyError, UnknownParameter

__all__ = ["CATALOG", "resolve_params"]


def _scan() -> Mapping[str, Strategy]:
    """Import every file of catalog/ and collect its STRATEGY by name, in alphabetical order."""
    found: dict[str, Strategy] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(catalog.__path__)):
        strategy = getattr(importlib.import_module(f"{catalog.__name__}.{name}"), "STRATEGY", None)
        if not isinstance(strategy, Strategy) or strategy.name != name:
            raise StrategyError(f"strategies/catalog/{name}.py must declare a STRATEGY whose name is {name!r}")
        found[name] = strategy
    return MappingProxyType(found)


def resolve_params(strategy: Strategy, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The complete parameters of a strategy: its defaults with an operator's overrides laid over them.

    A whole number is accepted where a fraction is declared, and not the other way round.
    Raises UnknownParameter (with the nearest declared name) and BadParameter (wrong type, NaN, out of bounds).
    """
    given = dict(overrides or {})
    for name in given:
        if name not in strategy.params:
            raise UnknownParameter(_unknown(strategy, name))
    return {name: _checked(strategy.name, name, param, given.get(name, param.default)) for name, param in strategy.params.items()}


def _unknown(strategy: Strategy, name: str) -> str:
    nearest = difflib.get_close_matches(name, strategy.params, n=1, cutoff=0.0)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "; it has none"
    return f"{strategy.name} has no parameter {name!r}{hint}"


def _checked(owner: str, name: str, param: Param, value: Any) -> int | float | str:
    where = f"{owner}.{name} = {value!r}"
    if isinstance(param.default, str):
        return _checked_text(where, param, value)
    accepted = int if isinstance(param.default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise BadParameter(f"{where} is not {'a whole number' if accepted is int else 'a number'}")
    if math.isnan(value) or not param.low <= value <= param.high:
        raise BadParameter(f"{where} is outside {param.low:g} to {param.high:g}")
    return value if accepted is int else float(value)


def _checked_text(where: str, param: Param, value: Any) -> str:
    if param.choices:
        if value not in param.choices:
            raise BadParameter(f"{where} is not one of {', '.join(param.choices)}")
        return str(value)
    text = "; ".join(value) if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value) else value
    if not isinstance(text, str):
        raise BadParameter(f"{where} is neither a text nor a list of texts")
    if not re.fullmatch(param.pattern, text):
        example = f", such as {param.examples[0]!r}" if param.examples else ""
        raise BadParameter(f"{where} does not have the form {param.pattern}{example}")
    return text


CATALOG: Mapping[str, Strategy] = _scan()
