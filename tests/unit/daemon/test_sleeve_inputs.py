"""Limits that an operator sets of one strategy: what is declared, what overrides it, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.errors import StartRefused
from daemon.sleeve_inputs import OwnLimits, own_limits
from strategies import CATALOG

SOME = replace(CATALOG["congress_aggregate"], target_volatility_frac=0.12, max_capital_frac=0.2)
OTHER = CATALOG["volatility_scaled_momentum"]
ENABLED = {SOME.name: SOME, OTHER.name: OTHER}


def test_limits_are_the_declared_ones_until_the_operator_sets_others() -> None:
    declared = OwnLimits(target_volatility_frac=0.12, max_capital_frac=0.2)
    assert own_limits({}, ENABLED) == {SOME.name: declared, OTHER.name: OwnLimits(target_volatility_frac=0.0, max_capital_frac=1.0)}
    given = own_limits({SOME.name: {"max_capital_frac": 0.05}, OTHER.name: {"target_volatility_frac": 0.1}}, ENABLED)
    assert given[SOME.name] == OwnLimits(target_volatility_frac=0.12, max_capital_frac=0.05)
    assert given[OTHER.name] == OwnLimits(target_volatility_frac=0.1, max_capital_frac=1.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"nonsense": {}}, "'nonsense', which is no strategy"),
        ({SOME.name: {"leverage": 2}}, "has no limit 'leverage'; there are target_volatility_frac and max_capital_frac"),
        ({SOME.name: {"max_capital_frac": 1.5}}, "max_capital_frac = 1.5 is not a number from 0 to 1"),
        ({SOME.name: {"max_capital_frac": "half"}}, "'half' is not a number"),
        ({SOME.name: {"target_volatility_frac": float("nan")}}, "nan is not a number"),
        ({SOME.name: {"target_volatility_frac": True}}, "True is not a number"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_would_be(given: dict[str, Any], told: str) -> None:
    with pytest.raises(StartRefused, match=told):
        own_limits(given, ENABLED)
