"""The promises that every strategy keeps, the catalog's and an operator's own, by the sentence that a kept one proves."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from strategies.base import Strategy
from strategies.conformance import declared, endured

Check = Callable[[Strategy], None]
"""Runs a strategy on the generated market. Returns when the promise is kept, and raises NotConforming with a sentence for the strategy's
author when it is not; an exception of the strategy's own goes on, with a note that says what it was run on."""


def _checks() -> Iterator[tuple[str, Check]]:
    """The public functions of the two modules, in the order of their definition."""
    for module in (declared, endured):
        for name, found in vars(module).items():
            if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_"):
                yield name.replace("_", " "), found


CHECKS: Mapping[str, Check] = MappingProxyType(dict(_checks()))
"""Every check by its sentence, in a fixed order."""
