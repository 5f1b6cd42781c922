"""Every strategy of the catalog, held to the same promises over a generated market."""

import dataclasses
from datetime import date, datetime
from typing import get_type_hints

import pandas as pd
import pytest

from scrapers import DATASETS
from scrapers.validation import plain
from strategies import CATALOG
from strategies.base import Strategy
from strategies.conformance import damage, market, rows
from strategies.conformance.checks import CHECKS, Check
from strategies.conformance.listings import ASOF
from strategies.conformance.verdicts import wanted

EVERY_STRATEGY = [pytest.param(strategy, id=name) for name, strategy in CATALOG.items()]
EVERY_CHECK = [pytest.param(check, id=sentence.replace(" ", "_")) for sentence, check in CHECKS.items()]
TRENDS = ("kalman_pairs", "leveraged_sector_momentum", "sector_risk_parity_momentum", "volatility_scaled_momentum")
KINDS = {str: "str", int: "int", float: "float", bool: "bool", date: "date", datetime: "datetime"}


# The check varies fastest, because the checks of one strategy share what they learn of it.
@pytest.mark.parametrize("check", EVERY_CHECK)
@pytest.mark.parametrize("strategy", EVERY_STRATEGY)
def test_every_strategy_keeps_the_promise(strategy: Strategy, check: Check) -> None:
    check(strategy)


def test_the_catalog_holds_one_strategy_per_file_by_name() -> None:
    assert {"congress_aggregate", "leveraged_sector_momentum", "sector_risk_parity_momentum", "volatility_scaled_momentum"} <= set(CATALOG)
    assert list(CATALOG) == sorted(CATALOG)
    assert all(name == strategy.name for name, strategy in CATALOG.items())


@pytest.mark.parametrize("name", [name for name in TRENDS if name in CATALOG])
def test_prices_that_never_move_give_no_momentum(name: str) -> None:
    assert wanted(CATALOG[name], damage.still(market.world()).at(ASOF), "with prices that never move").weights.empty


@pytest.mark.parametrize("dataset", rows.COLUMNS)
def test_the_generated_rows_have_the_columns_of_the_collected_ones(dataset: str) -> None:
    hints = get_type_hints(DATASETS[dataset].row)
    collected = [(field.name, *plain(hints[field.name])) for field in dataclasses.fields(DATASETS[dataset].row)]
    assert [(c.name, c.kind, c.optional) for c in rows.COLUMNS[dataset]] == [(name, KINDS[kind], free) for name, kind, free in collected]


def test_every_dataset_that_a_strategy_reads_is_in_the_generated_market() -> None:
    asked = {"bars_daily", "index_membership", "constituents"}
    for strategy in CATALOG.values():
        assert {*strategy.needs, *strategy.uses} <= {*market.world().events, *asked}, strategy.name


@pytest.mark.parametrize("dataset", market.DATASETS)
def test_every_dataset_of_the_generated_market_has_rows_before_and_after_the_day_in_the_types_of_a_view(dataset: str) -> None:
    frame = market.world().events[dataset]
    assert list(frame.columns) == [*(column.name for column in rows.COLUMNS[dataset]), *rows.STAMPS]
    assert (frame["known_at"] <= ASOF).any() and (frame["known_at"] > ASOF).any()
    assert not frame[[*rows.STAMPS, *(column.name for column in rows.COLUMNS[dataset] if not column.optional)]].isna().to_numpy().any()
    pd.testing.assert_frame_equal(
        frame, frame.assign(**{c.name: rows.typed(c.kind, frame[c.name].tolist()) for c in rows.COLUMNS[dataset]})
    )
