"""The daily risk watch: makes it from the record and a view of that instant, stores it once, and tells what is new."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from daemon.jobs import Skipped
from daemon.logging import get_logger
from daemon.runtime import Runtime
from daemon.watch.active import attribution
from daemon.watch.alarms import alarms_of, standing
from daemon.watch.correlations import correlation
from daemon.watch.drifting import drifts
from daemon.watch.factors import betas
from daemon.watch.gauges import show
from daemon.watch.result import Attribution, Drift, RiskWatch
from daemon.watch.scope import Scope, gather
from daemon.watch.sectors import SectorSession
from daemon.watch.stresses import stress_table
from daemon.watch.tail import back_test, judged
from risk.errors import RiskError

log = get_logger("watch")
T = TypeVar("T")


def watch(rt: Runtime, at: datetime) -> dict[str, Any]:
    """The watch of the newest session closed before `at`. The first one of a session stands: a later run tells what would differ.

    Raises Skipped before there is an account or a bar.
    """
    with rt.trading:
        if not rt.book.is_open:
            raise Skipped("the account is not open yet")
        rt.archive.refresh()
        view = rt.archive.view(at)
        if not view.symbols:
            raise Skipped("no daily bars are known yet")
        begin = time.perf_counter()
        made, fresh = make(gather(rt, at, view))
        return _keep(rt, at, made, fresh, time.perf_counter() - begin)


def make(scope: Scope) -> tuple[RiskWatch, list[SectorSession]]:
    """Every part, each contained: one that cannot be made is missing with its reason, the others stand."""
    marked = bool(scope.navs) and scope.navs[-1]["session"] == scope.session
    missing = {} if marked else {"mark": f"{scope.session} has no daily mark yet"}

    def part(name: str, call: Callable[[Scope], T | Any], otherwise: T) -> T:
        try:
            return call(scope)
        except RiskError as error:
            missing[name] = str(error)
            return otherwise

    nothing: tuple[Attribution | None, list[SectorSession]] = (None, [])
    backtest = part("backtest", back_test, judged([]))
    drifted: Sequence[Drift] = part("drifts", drifts, ())
    active, fresh = part("attribution", attribution, nothing)
    made = RiskWatch(
        session=scope.session,
        backtest=backtest,
        drifts=drifted,
        stresses=part("stresses", stress_table, ()),
        attribution=active,
        betas=part("betas", betas, ()),
        correlation=part("correlation", correlation, None),
        alarms=tuple(alarm.text for alarm in alarms_of(backtest, drifted)),
        missing=missing,
    )
    return made, fresh


def _keep(rt: Runtime, at: datetime, made: RiskWatch, fresh: list[SectorSession], seconds: float) -> dict[str, Any]:
    """Store, show and tell."""
    previous = rt.db.row("risk_watch_before", session=made.session)
    before = previous["standing"] if previous else {}
    now = standing(alarms_of(made.backtest, made.drifts), before, made.session)
    found = made.as_json()
    with rt.db.transaction():
        is_new = rt.db.count("risk_watch_add", session=made.session, at=at, watch=found, standing=now) > 0
        if is_new:
            rt.db.run_many("sector_session_add", [{"session": s.session, "sectors": s.as_json()} for s in fresh])
    if not is_new:
        return _again(rt, made, found)
    show(rt.metrics, found, at, frozenset(rt.strategies))
    _tell(made, seconds)
    for key in sorted(now.keys() - before.keys()):
        log.warning("risk.alarmed", session=made.session, alarm=key, text=now[key]["text"])
    for key in sorted(before.keys() - now.keys()):
        log.info("risk.cleared", session=made.session, alarm=key, since=before[key]["since"])
    return {"session": made.session.isoformat(), "alarms": len(now), "missing": sorted(made.missing)}


def _again(rt: Runtime, made: RiskWatch, found: Mapping[str, Any]) -> dict[str, Any]:
    row = rt.db.row("risk_watch_last")
    stored = row["watch"] if row and row["session"] == made.session else {}
    differing = sorted(part for part in found if stored and stored.get(part) != found[part])
    log.info("risk.watched", session=made.session, kept="the first watch of the session", differing=differing)
    return {"session": made.session.isoformat(), "kept": True, "differing": differing}


def _tell(made: RiskWatch, seconds: float) -> None:
    psi = [d.psi for d in made.drifts if d.psi is not None and (d.alarm or not d.reason)]
    stresses = [s for s in made.stresses if s.portfolio_return is not None]
    worst = min(stresses, key=lambda s: s.portfolio_return or 0.0, default=None)
    log.info(
        "risk.watched",
        session=made.session,
        var_exceptions=made.backtest.exceptions,
        var_observations=made.backtest.observations,
        backtest_failing=made.backtest.failing,
        worst_psi=round(max(psi), 4) if psi else None,
        drift_alarms=sum(d.alarm for d in made.drifts),
        worst_stress=worst.name if worst else None,
        worst_stress_return=_rounded(worst.portfolio_return if worst else None),
        active_return=_rounded(made.attribution.active_return if made.attribution else None),
        beta=_rounded(next((b.beta for b in made.betas), None)),
        correlation=_rounded(made.correlation.average if made.correlation else None),
        crisis=made.correlation.crisis if made.correlation else None,
        alarms=len(made.alarms),
        missing=dict(made.missing),
        duration_s=round(seconds, 4),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
