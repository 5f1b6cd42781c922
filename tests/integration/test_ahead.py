"""Strategies evaluated ahead by a second process: the same targets to the last bit, and left alone what needs more than the data."""

import multiprocessing
import os
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from daemon.ahead import Day, ahead, days
from daemon.calendar import Calendar
from daemon.store.view import Archive
from scrapers import DATASETS
from strategies import CATALOG, resolve_params
from strategies.base import Targets
from tests.integration.small_world import END, START, STRATEGIES, SmallWorld

NAMES = (*STRATEGIES, "regime_allocation")
CHOSEN = {name: CATALOG[name] for name in NAMES}
PARAMS: dict[str, dict[str, Any]] = {
    **{name: resolve_params(CATALOG[name]) for name in NAMES},
    "volatility_scaled_momentum": resolve_params(CATALOG["volatility_scaled_momentum"], {"lookback": 63, "top": 4}),
}
needs_two = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a second process is only started where there is a second processor")


@pytest.fixture
def archive(small_world: SmallWorld) -> Archive:
    return Archive(small_world.lake, DATASETS.values(), small_world.calendar)


def equal(one: Targets, other: Targets) -> bool:
    """Equal to the last bit, types and order included."""
    pd.testing.assert_series_equal(one.weights, other.weights, check_exact=True)
    pd.testing.assert_series_equal(one.scores, other.scores, check_exact=True)
    pd.testing.assert_frame_equal(one.evidence, other.evidence, check_exact=True)
    return dict(one.skipped) == dict(other.skipped)


def test_a_replay_is_preceded_by_its_warm_up() -> None:
    calendar = Calendar()
    found = days(calendar, START, END, 30)
    assert [d.warm_up for d in found] == [True] * 30 + [False] * (len(found) - 30)
    assert found[30] == Day(session=calendar.session_on_or_after(START), warm_up=False)


@needs_two
def test_what_comes_from_the_other_process_is_what_this_one_would_have_found(small_world: SmallWorld, archive: Archive) -> None:
    calendar, taken = small_world.calendar, 0
    sessions = calendar.sessions(START, END)[:15]
    with ahead(archive, calendar, CHOSEN, PARAMS, [Day(session=d, warm_up=False) for d in sessions]) as helped:
        answers = helped["congress_aggregate"].run.answers
        for session in sessions:
            view = archive.view(calendar.open_at(session) - timedelta(minutes=30))
            for name in STRATEGIES:
                found = answers.take(name, view.asof)
                if found is not None:
                    taken += 1
                    assert equal(found, CATALOG[name].run(view, **PARAMS[name]))
    assert taken >= len(STRATEGIES) * 3, "each is due once in every of these weeks"


@needs_two
def test_what_needs_a_model_and_what_is_asked_with_other_parameters_is_evaluated_here(small_world: SmallWorld, archive: Archive) -> None:
    session = small_world.calendar.session_on_or_after(START)
    with ahead(archive, small_world.calendar, CHOSEN, PARAMS, [Day(session=session, warm_up=False)]) as helped:
        asked, view = helped["congress_aggregate"].run, archive.view(small_world.calendar.open_at(session) - timedelta(minutes=30))
        other = {**PARAMS["congress_aggregate"], "top": 1}
        assert equal(asked(view, **other), CATALOG["congress_aggregate"].run(view, **other))
        assert asked.answers.take("regime_allocation", view.asof) is None
        assert asked.answers.take("congress_aggregate", view.asof) is not None, "it was still there"
        assert asked.answers.take("congress_aggregate", view.asof + timedelta(days=1)) is None, "the other process has ended"


def test_the_other_process_ends_with_the_replay_however_that_ends(small_world: SmallWorld, archive: Archive) -> None:
    whole = days(small_world.calendar, START, END, 5)
    with pytest.raises(ZeroDivisionError), ahead(archive, small_world.calendar, CHOSEN, PARAMS, whole):
        raise ZeroDivisionError
    assert multiprocessing.active_children() == []


def test_on_one_processor_the_strategies_are_left_as_they_are(
    small_world: SmallWorld, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with ahead(archive, small_world.calendar, CHOSEN, PARAMS, []) as helped:
        assert helped is CHOSEN
