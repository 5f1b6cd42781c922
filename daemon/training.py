"""Training: which models there are, when each is due, and how its artefact comes into the record."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from daemon.artefacts import Artefact, Cache, save
from daemon.calendar import Calendar
from daemon.jobs import Failed, Skipped
from daemon.logging import get_logger
from daemon.market_regime import NAME, regime_features
from daemon.runtime import Runtime
from daemon.store.view import View
from risk.errors import RiskError
from risk.regime import fit

log = get_logger("training")

BEFORE_OPEN = timedelta(minutes=45)
TRAINING_ANCHOR = "open-45m"
"""Before the cycle, on the same data."""
REGIME_SESSIONS, REGIME_LEAST = 2520, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model is trained. features: what it learns from, by session, out of a view; train: rows to parameters, may raise RiskError.

    version: raised whenever the same rows would give other parameters. least: rows below which there is not enough history.
    needs: datasets that the features come from.
    """

    name: str
    version: str
    features: Callable[[View, str], pd.DataFrame]
    train: Callable[[pd.DataFrame], dict[str, Any]]
    least: int
    needs: tuple[str, ...]


RECIPES = (
    Recipe(
        name=NAME,
        version="gaussian-hmm-2.1",
        features=lambda view, benchmark: regime_features(view, benchmark, REGIME_SESSIONS),
        train=lambda features: fit(features, n_states=2).parameters(),
        least=REGIME_LEAST,
        needs=("vix",),
    ),
)


def latest_due(calendar: Calendar, months: Sequence[int], session: date) -> date:
    """The newest first session of a training month that is not after `session`."""
    year, month = session.year, session.month
    while True:
        first = calendar.session_on_or_after(date(year, month, 1))
        if month in months and first <= session:
            return first
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


class Training:
    """Trains what is due: once a quarter by default, and at once where nothing was trained yet or the last training failed."""

    def __init__(self, rt: Runtime, recipes: Sequence[Recipe] = RECIPES) -> None:
        self._rt = rt
        self._recipes = recipes
        self._cache = Cache(rt.settings.state_dir / "artefacts")
        for recipe in recipes:
            if found := rt.archive.artefacts.newest(recipe.name, rt.clock.now()):
                self._tell_age(found)

    def run(self, at: datetime) -> dict[str, Any]:
        """Train on what is known at `at`. Skipped when nothing is due or history is too short, Failed when a training failed.

        The artefacts before stay in force until new ones are recorded.
        """
        due = [recipe for recipe in self._recipes if self._is_due(recipe, at)]
        if not due:
            raise Skipped("nothing is due")
        done, short, failed = list[str](), list[str](), list[str]()
        for recipe in due:
            features = self._features(recipe, at)
            if len(features) < recipe.least:
                short.append(f"{recipe.name}: {len(features)} sessions of history, {recipe.least} needed")
                continue
            try:
                done.append(self._train(recipe, features))
            except RiskError as error:
                log.error("model.failed", model=recipe.name, error_type=type(error).__name__, error=str(error)[:300])
                failed.append(f"{recipe.name}: {error}")
        if failed:
            raise Failed("; ".join(failed))
        if not done:
            raise Skipped("not enough history: " + "; ".join(short))
        return {"models": done, "skipped": short}

    def _is_due(self, recipe: Recipe, at: datetime) -> bool:
        newest = self._rt.archive.artefacts.newest(recipe.name, self._rt.clock.now())
        if newest is None or newest.version != recipe.version:
            return True
        calendar = self._rt.calendar
        due = latest_due(calendar, self._rt.settings.training_months, calendar.session_on_or_before(at.date()))
        return newest.known_at < calendar.open_at(due) - BEFORE_OPEN

    def _features(self, recipe: Recipe, at: datetime) -> pd.DataFrame:
        rt = self._rt
        with rt.trading:
            rt.archive.refresh()
            return recipe.features(rt.archive.view(at), rt.settings.benchmark)

    def _train(self, recipe: Recipe, features: pd.DataFrame) -> str:
        rt, began = self._rt, time.perf_counter()
        end, data_hash = features.index[-1].date(), features_hash(features)
        params = self._cache.get(recipe.name, recipe.version, end, data_hash)
        reused = params is not None
        if params is None:
            params = recipe.train(features)
            self._cache.put(recipe.name, recipe.version, end, data_hash, params)
        with rt.trading:  # no decision is being made, so that none before this instant can have seen it
            parts = {"training_end": end, "data_hash": data_hash, "params": params, "known_at": rt.clock.now()}
            artefact = Artefact(name=recipe.name, version=recipe.version, **parts)
            save(rt.db, artefact)
            rt.archive.artefacts.add(artefact)
        self._tell_age(artefact)
        facts = {"model": recipe.name, "training_end": end, "rows": len(features), "hash": artefact.hash[:16]}
        if reused:
            log.info("model.reused", **facts)
        else:
            log.info("model.trained", **facts, duration_s=round(time.perf_counter() - began, 3))
        return f"{recipe.name}@{end}"

    def _tell_age(self, artefact: Artefact) -> None:
        self._rt.metrics.set("allocd_training_last_success_timestamp_seconds", artefact.known_at.timestamp(), model=artefact.name)


def features_hash(features: pd.DataFrame) -> str:
    """SHA-256 of rows, their sessions and their columns."""
    digest = hashlib.sha256(repr(list(features.columns)).encode())
    digest.update(features.index.to_numpy().astype("datetime64[D]").astype(np.int64).tobytes())
    digest.update(np.ascontiguousarray(features.to_numpy(dtype=np.float64)).tobytes())
    return digest.hexdigest()
