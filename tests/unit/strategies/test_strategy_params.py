"""Parameters given by an operator are checked against what the strategy declares."""

from typing import Any

import pytest

from strategies import CATALOG, resolve_params
from strategies.base import NAMES, Param, Strategy, daily, listed, no_targets
from strategies.errors import BadParameter, UnknownParameter

TOY = Strategy(
    name="toy",
    run=lambda view, **params: no_targets(),
    needs=(),
    rebalance=daily(),
    lookback_sessions=1,
    params={
        "top": Param(default=20, low=1, high=100, meaning="names"),
        "target_vol": Param(default=0.25, low=0.05, high=1.0, meaning="annual volatility"),
        "weighting": Param(default="equal", choices=("equal", "net_dollars"), meaning="how names are sized"),
        "members": Param(default="", pattern=NAMES, examples=("Pelosi, Nancy; King",), meaning="names, none for all"),
    },
    description="a strategy for these tests",
)


def test_defaults_stand_where_nothing_is_given() -> None:
    assert resolve_params(TOY) == {"top": 20, "target_vol": 0.25, "weighting": "equal", "members": ""}


def test_given_values_replace_defaults_at_the_bounds_too() -> None:
    given = {"top": 100, "target_vol": 0.05, "weighting": "net_dollars", "members": "Pelosi, Nancy; King"}
    assert resolve_params(TOY, given) == given


def test_a_whole_number_is_accepted_where_a_fraction_is_declared() -> None:
    value = resolve_params(TOY, {"target_vol": 1})["target_vol"]
    assert value == 1.0 and isinstance(value, float)


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownParameter, match=r"toy has no parameter 'targetvol'; did you mean 'target_vol'\?"):
        resolve_params(TOY, {"targetvol": 0.2})


@pytest.mark.parametrize(
    "overrides",
    [
        {"top": 0},
        {"top": 101},
        {"top": 5.0},
        {"top": True},
        {"top": "5"},
        {"top": None},
        {"target_vol": float("nan")},
        {"target_vol": float("inf")},
        {"target_vol": "0.2"},
        {"weighting": "by_hand"},
        {"weighting": 1},
        {"weighting": ["equal"]},
        {"members": 1},
        {"members": None},
        {"members": ["King", 1]},
        {"members": "King;Pelosi"},
        {"members": "King; "},
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_bounds_is_refused_by_name(overrides: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=f"toy.{next(iter(overrides))}"):
        resolve_params(TOY, overrides)


def test_a_list_of_names_is_joined_to_the_text_that_it_stands_for_and_read_back_in_its_order() -> None:
    text = resolve_params(TOY, {"members": ["Pelosi, Nancy", "King"]})["members"]
    assert text == "Pelosi, Nancy; King"
    assert listed(text) == ("Pelosi, Nancy", "King")
    assert listed(resolve_params(TOY, {"members": []})["members"]) == ()


def test_a_text_of_another_form_is_refused_with_an_example() -> None:
    with pytest.raises(BadParameter, match=r"does not have the form .*, such as 'Pelosi, Nancy; King'"):
        resolve_params(TOY, {"members": "King;"})


def test_the_catalog_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOG["toy"] = TOY  # type: ignore[index]
