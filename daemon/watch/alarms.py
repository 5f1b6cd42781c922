"""What of a watch needs a person: sentences, each under a key that stays the same while the same thing lasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from daemon.watch.result import Backtest, Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm: what it is about, and what to say."""

    key: str
    text: str


def alarms_of(backtest: Backtest, drifts: Sequence[Drift]) -> list[Alarm]:
    """A failing back-test, then each drifted input with the strategies that read it, then each strategy with drifted returns."""
    found = [Alarm(key="var_backtest", text=f"VaR back-test: {backtest.reason}")] if backtest.failing else []
    inputs: dict[str, list[Drift]] = {}
    for drift in drifts:
        if drift.alarm:
            inputs.setdefault(drift.name if drift.subject == "input" else f"{drift.strategy}: {drift.name}", []).append(drift)
    return [*found, *(_drifted(name, rows) for name, rows in sorted(inputs.items()))]


def _drifted(name: str, rows: Sequence[Drift]) -> Alarm:
    row = rows[0]
    figures = f"{row.reason} ({row.n_current:,} values against {row.n_reference:,})"
    readers = f", read by {', '.join(r.strategy for r in rows)}" if row.subject == "input" else ""
    return Alarm(key=f"drift:{name}", text=f"{name} has drifted{readers}: {figures}")


def standing(alarms: Sequence[Alarm], before: Mapping[str, Any], session: date) -> dict[str, dict[str, str]]:
    """Alarms by key with the session on which each began; those that stood before keep theirs."""
    return {a.key: {"since": before.get(a.key, {}).get("since", session.isoformat()), "text": a.text} for a in alarms}
