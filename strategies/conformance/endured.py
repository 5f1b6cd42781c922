"""Checks of how a strategy stands data that are late, missing, repeated, disordered or large; each raises NotConforming.

What it is run on is made from the generated market (market.py) by damage.py.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from strategies.base import Strategy, Targets
from strategies.conformance import damage, market, rows
from strategies.conformance.listings import ASOF
from strategies.conformance.memory import MemoryWorld
from strategies.conformance.verdicts import check_sums, ordinary, require, require_same, some, trial, wanted

INSTANTS = tuple(ASOF - timedelta(days=days) for days in (0, 1, 17, 45))
ORDERS: tuple[dict[str, int], ...] = ({"reverse": True}, {"shuffle": 1}, {"shuffle": 2})
MOST_CPU_S = 0.25
MOST_MOVED = 1e-4
"""Weight that may move, in all, when prices change by a billionth."""


@cache
def _without_future(asof: datetime) -> MemoryWorld:
    return market.world().known_until(asof)


@cache
def _with_other_future(asof: datetime) -> MemoryWorld:
    return damage.other_future(market.world(), asof)


def removing_what_was_learned_later_changes_no_byte(strategy: Strategy) -> None:
    """It does not look ahead."""
    for asof in INSTANTS:
        when = f"as of {asof:%Y-%m-%d %H:%M}"
        with_future, without = wanted(strategy, market.world().at(asof), when), wanted(strategy, _without_future(asof).at(asof), when)
        require_same(with_future, without, f"{when}: it looks ahead, for without what became known later it decides otherwise")


def a_different_future_changes_no_byte(strategy: Strategy) -> None:
    """It does not look ahead, not even at how much there is."""
    for asof in INSTANTS:
        when = f"as of {asof:%Y-%m-%d %H:%M}"
        first, second = wanted(strategy, market.world().at(asof), when), wanted(strategy, _with_other_future(asof).at(asof), when)
        require_same(first, second, f"{when}: it looks ahead, for with another future it decides otherwise")


def the_same_view_gives_the_same_bytes(strategy: Strategy) -> None:
    """It keeps nothing between calls and draws nothing without a seed."""
    first = ordinary(strategy)
    require_same(first, ordinary(strategy), "run twice on the same view it decides otherwise: no randomness, no clock, no sets in an order")
    wanted(strategy, market.world().at(INSTANTS[-1]), "on another day")
    again = ordinary(strategy)
    require_same(first, again, "run on another day in between it decides otherwise: keep nothing between calls")


def the_order_of_columns_members_and_rows_changes_no_byte(strategy: Strategy) -> None:
    """A view's order means nothing."""
    first = ordinary(strategy)
    for order in ORDERS:
        view = market.world().at(ASOF, **order)  # type: ignore[arg-type]
        other = wanted(strategy, view, f"on a view in another order ({order})")
        require_same(
            first, other, "it depends on the order of columns, rows or members: sort what you read, and by two keys where one ties"
        )


def frames_of_the_view_are_left_as_they_were(strategy: Strategy) -> None:
    """What it was given stays as it was."""
    view = market.world().at(ASOF, shared=True)
    for _ in range(2):
        wanted(strategy, view, "on a view that hands out the same frames each time")
        changed = view.changed_frames()
        require(not changed, f"it modifies what the view handed out ({some(changed)}): work on a copy")


def repeated_event_rows_change_no_byte(strategy: Strategy) -> None:
    """What is told twice counts once."""
    first = ordinary(strategy)
    stored = wanted(strategy, damage.doubled(market.world()).at(ASOF), "with every row stored twice")
    require_same(first, stored, "a row that was stored twice counts twice")
    told = wanted(strategy, market.world().at(ASOF, twice=True), "with every event row twice in its frame")
    require_same(first, told, "a row that stands twice in a frame counts twice: drop_duplicates by row_key")


def nothing_is_wanted_where_nothing_is_known(strategy: Strategy) -> None:
    """Before anything happened it stays in cash."""
    targets = wanted(strategy, damage.emptied(market.world()).at(ASOF), "in a market without any data")
    require(targets.weights.empty and targets.evidence.empty, "it wants something in a market without any data")


def a_dataset_without_rows_or_columns_is_an_empty_one(strategy: Strategy) -> None:
    """A dataset that was never collected is no error."""
    world, read = market.world(), trial(strategy).read
    for dataset in read:
        when = f"without any rows of {dataset}"
        empty = wanted(strategy, damage.without(world, dataset).at(ASOF), when)
        if dataset in world.events:
            bare = wanted(strategy, damage.bare(world, dataset).at(ASOF), f"with {dataset} a frame of row_key, event_at and known_at alone")
            require_same(empty, bare, f"{when}, it decides otherwise when the frame lacks its columns too")
    events = [dataset for dataset in read if dataset in world.events]
    wanted(strategy, damage.bare(world, *events).at(ASOF), "with no event rows at all")


def cells_without_a_value_are_survived(strategy: Strategy) -> None:
    """Any cell of a row may be missing."""
    world = market.world()
    for dataset in (name for name in trial(strategy).read if name in world.events):
        columns = rows.COLUMNS[dataset]
        for column in columns:
            wanted(strategy, damage.blank(world, dataset, column).at(ASOF), f"without any value of {column.name} in {dataset}")
        when = f"with a fifth of the cells of {dataset} missing"
        check_sums(wanted(strategy, damage.blank(world, dataset, *columns, share=0.2).at(ASOF), when), when)
        wanted(strategy, damage.blank(world, dataset, *columns).at(ASOF), f"without any value in {dataset}")


def one_row_is_enough_to_run(strategy: Strategy) -> None:
    """A dataset that has just begun is no error."""
    world = market.world()
    wanted(strategy, damage.one_of_each(world, ASOF).at(ASOF), "with one session and one row of every dataset")
    for dataset in (name for name in trial(strategy).read if name in world.events):
        wanted(strategy, damage.newest_row(world, dataset).at(ASOF), f"with one row of {dataset}")


def prices_that_are_all_missing_give_nothing(strategy: Strategy) -> None:
    """A name without a price cannot be bought, and its author is told."""
    targets = wanted(strategy, damage.without_any_price(market.world()).at(ASOF), "without any price")
    require(targets.weights.empty, f"it wants {some(targets.weights.index)} without any price")
    require(bool(targets.skipped), "without any price it says of no name why it is skipped")


def scattered_missing_prices_are_survived(strategy: Strategy) -> None:
    """A hole in a window costs a name, not the day."""
    when = "with every hundredth price missing"
    check_sums(wanted(strategy, damage.pierced(market.world()).at(ASOF), when), when)


def prices_that_never_move_are_survived(strategy: Strategy) -> None:
    """A volatility of zero divides nothing."""
    when = "with prices that never move"
    check_sums(wanted(strategy, damage.still(market.world()).at(ASOF), when), when)


def prices_too_old_to_act_on_give_nothing(strategy: Strategy) -> None:
    """A name that has not traded for a week is not bought."""
    targets = wanted(strategy, damage.stale(market.world()).at(ASOF), "with prices that end eight days ago")
    require(
        targets.weights.empty, f"it wants {some(targets.weights.index)}, whose prices end eight days ago; see strategies.signals.untradable"
    )
    require(bool(targets.skipped), "with prices that end eight days ago it says of no name why it is skipped")


def tiny_changes_of_prices_move_no_weight(strategy: Strategy) -> None:
    """What a billionth of a price changes is noise of its own making."""
    for number, asof in enumerate(INSTANTS):
        when = f"as of {asof:%Y-%m-%d %H:%M}"
        first = wanted(strategy, market.world().at(asof), when).weights
        second = wanted(strategy, damage.nudged(market.world(), number).at(asof), f"{when} with prices a billionth off").weights
        moved = float(first.sub(second, fill_value=0.0).abs().sum())
        require(moved <= MOST_MOVED, f"{when}: weights move by {moved:.2g} in all when prices change by a billionth")


def five_hundred_names_take_less_than_a_quarter_of_a_second(strategy: Strategy) -> None:
    """The best of three runs, in seconds of the processor, on frames that lie ready."""
    view = market.world(market.LARGE).at(ASOF, shared=True)
    wanted(strategy, view, "on 500 names")
    spent = min(_spent(lambda: wanted(strategy, view, "on 500 names")) for _ in range(3))
    require(spent < MOST_CPU_S, f"500 names take {spent:.2f} s of the processor, more than {MOST_CPU_S} s: reckon with columns, not rows")


def _spent(work: Callable[[], Targets]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
