"""What a strategy wanted before its first recorded evaluation, derived again: a warm-up leaves targets and no evidence."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd

from daemon.artefacts import Artefacts
from daemon.calendar import Calendar
from daemon.jobs import attempt
from daemon.store.segments import Lake
from daemon.store.view import Archive
from scrapers.base import Dataset
from strategies.base import Strategy, Targets

Rederive = Callable[[str, date, Mapping[str, Any]], tuple[datetime, Targets] | None]
"""(strategy, the session it was due in, its parameters) -> when it was asked and what it answered; None when it cannot be."""


def rederiver(
    lake: Lake,
    datasets: Mapping[str, Dataset],
    strategies: Mapping[str, Strategy],
    calendar: Calendar,
    artefacts: Artefacts | None = None,
) -> Rederive:
    """Ask strategies again on what was known before the open of their due session. The data is read at the first question."""
    archive: list[Archive] = []

    def again(name: str, due: date, params: Mapping[str, Any]) -> tuple[datetime, Targets] | None:
        if name not in strategies:
            return None
        if not archive:
            archive.append(Archive(lake, datasets.values(), calendar, artefacts=artefacts))
        asked_at = calendar.decision_at(due)
        nothing = pd.DataFrame({"qty": [], "market_value_usd": []})
        view = archive[0].view(asked_at).for_sleeve(pd.Series(dtype="float64"), nothing)
        found = attempt(name, lambda: strategies[name].run(view, **params))
        return None if isinstance(found, str) else (asked_at, found)

    return again
