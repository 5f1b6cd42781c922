"""The dashboard: one snapshot as one self-contained HTML page that needs no script and loads nothing."""

import base64
import hashlib
import math
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from daemon.allocation_record import regime_source
from daemon.dashboard.charts import Series, line_chart
from daemon.dashboard.figures import chance, money, number, percent, signed
from daemon.dashboard.risk_view import KINDS, alarm_sentence, effect, is_sure, limit_grade, limit_name, risk_view, scenario_name
from daemon.dashboard.snapshot import Snapshot

REFRESH_S: Final = 5
_HERE: Final = Path(__file__).parent
_STYLE: Final = "".join((_HERE / "static" / name).read_text("utf-8") for name in ("base.css", "page.css"))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing may load or run but the page's own style sheet and its inline icon."""

_OUTCOMES: Final[Mapping[str | None, str]] = {"success": "good", "failed": "bad", "timeout": "bad", "missed": "warn", "skipped": "warn"}
_STATES: Final[Mapping[str, str]] = {"failed": "bad", "held": "warn", "waiting": "warn", "paused": "warn"}
_STATUSES: Final[Mapping[str, str]] = {"filled": "good", "rejected": "bad", "unknown": "bad", "expired": "warn", "canceled": "warn"}


def render(snapshot: Snapshot) -> str:
    """The page as HTML text. Every value is escaped; times are shown in UTC."""
    return _TEMPLATE.render(
        s=snapshot,
        style=Markup(_STYLE),
        refresh_s=REFRESH_S,
        verdict=verdict(snapshot),
        chart=_nav_chart(snapshot),
        chart_has_benchmark=any(level is not None for _, _, level in snapshot.nav_history),
        risk=risk_view(snapshot.risk),
    )


def verdict(snapshot: Snapshot) -> tuple[str, str]:
    """Whether all is well: a grade (good, warn, bad) and the sentence that says why."""
    down = [name for name, (up, _) in snapshot.components.items() if not up]
    failed = [job["name"] for job in snapshot.jobs if job["outcome"] in ("failed", "timeout")]
    stale = [dataset["name"] for dataset in snapshot.datasets if not dataset["fresh"]]
    if snapshot.halted:
        return "bad", f"Trading is halted: {snapshot.halt_reason or 'no reason given'}"
    if down:
        return "bad", f"Down: {', '.join(down)}"
    if not snapshot.ready:
        return "warn", "Starting"
    if failed:
        return "warn", f"Failed at the last run: {', '.join(failed)}"
    if alarm := alarm_sentence(snapshot.risk.watch):
        return "warn", alarm
    if stale:
        return "warn", f"Late data: {', '.join(stale)}"
    return "good", "All is well"


def _nav_chart(snapshot: Snapshot) -> Markup:
    """NAV against the benchmark, rebased to the first NAV."""
    dates = [session for session, _, _ in snapshot.nav_history]
    nav = np.array([value for _, value, _ in snapshot.nav_history], dtype=np.float64)
    level = np.array([math.nan if value is None else value for _, _, value in snapshot.nav_history], dtype=np.float64)
    series = [Series(name="NAV", values=nav, css="c0")]
    known = np.flatnonzero(np.isfinite(level))
    if known.size:
        series.append(Series(name=snapshot.benchmark, values=level / level[known[0]] * nav[known[0]], css="c1"))
    return line_chart(dates, series, lambda value: money(value, 0), label="Net asset value", height=250, fill=True)


def _instant(value: datetime | date | None) -> str:
    if value is None:
        return "–"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else f"{value:%Y-%m-%d}"


def _day(value: datetime | date | None) -> str:
    return "–" if value is None else f"{value:%Y-%m-%d}"


def _ago(value: datetime | None, at: datetime) -> str:
    if value is None:
        return "–"
    seconds = (at - value).total_seconds()
    amount = next(
        f"{abs(seconds) / size:.0f} {unit}"
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
        if abs(seconds) >= size or unit == "s"
    )
    return f"{amount} ago" if seconds >= 0 else f"in {amount}"


def _environment() -> Environment:
    environment = Environment(
        # Read once, at start: an upgrade must not put new parts under the code that runs.
        loader=DictLoader({path.name: path.read_text("utf-8") for path in (_HERE / "templates").glob("*.html")}),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(money=money, number=number, percent=percent, signed=signed, chance=chance)
    environment.filters.update(instant=_instant, day=_day, ago=_ago, effect=effect, limit_name=limit_name, limit_grade=limit_grade)
    environment.filters.update(regime_source=regime_source)
    environment.filters.update(scenario_name=scenario_name, is_sure=is_sure)
    environment.globals.update(outcome_class=lambda name: _OUTCOMES.get(name, ""), status_class=lambda name: _STATUSES.get(name, ""))
    environment.globals["state_class"] = lambda name: _STATES.get(name, "mute")
    environment.globals["kinds"] = KINDS
    return environment


_TEMPLATE: Final = _environment().get_template("page.html")
