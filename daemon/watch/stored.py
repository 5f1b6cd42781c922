"""A risk watch read back from its JSON, also one that an older version stored."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import date
from typing import Any, TypeVar

from daemon.watch.result import Attribution, Backtest, Beta, CorrelationState, Drift, RiskWatch, SectorEffect, Stress, TailDay

_Part = TypeVar("_Part")


def watch_from_json(stored: Mapping[str, Any]) -> RiskWatch:
    """The watch that `RiskWatch.as_json` wrote. A field that was not stored is its default, or None where it has none."""
    backtest = stored.get("backtest") or {"observations": 0, "exceptions": 0, "expected": 0.0, "failing": False, "reason": ""}
    attribution, correlation = stored.get("attribution"), stored.get("correlation")
    return RiskWatch(
        session=date.fromisoformat(stored["session"]),
        backtest=_part(
            Backtest, backtest, days=[_part(TailDay, day, session=_date(day.get("session"))) for day in backtest.get("days") or ()]
        ),
        drifts=_parts(Drift, stored.get("drifts")),
        stresses=_parts(Stress, stored.get("stresses")),
        attribution=_attribution(attribution) if attribution else None,
        betas=_parts(Beta, stored.get("betas")),
        correlation=_part(CorrelationState, correlation) if correlation else None,
        alarms=tuple(stored.get("alarms") or ()),
        missing=dict(stored.get("missing") or {}),
    )


def _attribution(stored: Mapping[str, Any]) -> Attribution:
    effects = [{name: math.nan if value is None else value for name, value in one.items()} for one in stored.get("effects") or ()]
    return _part(Attribution, stored, start=_date(stored.get("start")), effects=_parts(SectorEffect, effects))


def _parts(kind: type[_Part], stored: Sequence[Mapping[str, Any]] | None) -> tuple[_Part, ...]:
    return tuple(_part(kind, one) for one in stored or ())


def _part(kind: type[_Part], stored: Mapping[str, Any], **read: Any) -> _Part:
    """One dataclass from its mapping; `read` are the fields that need more than to be taken over."""
    known = {f.name: stored.get(f.name) for f in fields(kind) if f.name in stored or f.default is f.default_factory is MISSING}  # type: ignore[arg-type]
    return kind(**{**known, **read})


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
