"""Where the active return against the benchmark came from over the last quarter, by sector: Brinson-Fachler, linked by Carino."""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from daemon.watch.result import Attribution, SectorEffect
from daemon.watch.scope import Scope
from daemon.watch.sectors import CASH, SectorSession, Sides, sector_sessions
from risk.attribution import link

QUARTER_SESSIONS = 63
NOTHING = (0.0, math.nan)
"""Weight and return of a sector that a side has not."""


def attribution(scope: Scope) -> tuple[Attribution, list[SectorSession]]:
    """The attribution over the recorded sessions of the last quarter and those not yet recorded; and the latter, to be recorded.

    The effects and the two residuals sum to the active return: effects + residual - benchmark_residual. Raises RiskError.
    """
    since = scope.calendar.offset(scope.session, 1 - QUARTER_SESSIONS)
    recorded = [SectorSession.from_json(r["session"], r["sectors"]) for r in scope.db.rows("sector_sessions_since", since=since)]
    newest = scope.db.row("sector_session_last")
    after = newest["session"] if newest and newest["session"] else since - timedelta(days=1)
    fresh = sector_sessions(scope, after)
    kept = [s for s in (*recorded, *fresh) if since <= s.session <= scope.session]
    return linked(kept), fresh


def linked(sessions: Sequence[SectorSession]) -> Attribution:
    """The attribution over some sessions, ascending; without figures when there are none."""
    if not sessions:
        why = "no two marks of consecutive sessions yet"
        return Attribution(start=None, sessions=0, portfolio_return=None, benchmark_return=None, active_return=None, note=why)
    names = pd.Index(sorted({name for s in sessions for side in (s.portfolio, s.benchmark) for name in side}))
    effects = link([(*_weights(s, names), *_returns(s, names)) for s in sessions]).reindex(names).to_numpy(dtype=np.float64)
    account, market = _compounded(s.portfolio_return for s in sessions), _compounded(s.benchmark_return for s in sessions)
    held, theirs = [s.portfolio for s in sessions], [s.benchmark for s in sessions]
    return Attribution(
        start=sessions[0].session,
        sessions=len(sessions),
        portfolio_return=account,
        benchmark_return=market,
        active_return=account - market,
        effects=tuple(
            _effect(name, row, held, theirs)
            for name, row in sorted(zip(names, effects.tolist(), strict=True), key=lambda pair: (pair[0] == CASH, pair[0]))
        ),
        residual=account - _compounded(map(_total, held)),
        benchmark_residual=market - _compounded(map(_total, theirs)),
        note=sessions[-1].note,
    )


def _weights(session: SectorSession, names: pd.Index) -> tuple[pd.Series, pd.Series]:
    return _side(session.portfolio, names, 0), _side(session.benchmark, names, 0)


def _returns(session: SectorSession, names: pd.Index) -> tuple[pd.Series, pd.Series]:
    return _side(session.portfolio, names, 1), _side(session.benchmark, names, 1)


def _side(side: Sides, names: pd.Index, which: int) -> pd.Series:
    return pd.Series(np.array([side.get(str(name), NOTHING)[which] for name in names]), index=names)


def _total(side: Sides) -> float:
    return sum(weight * earned for weight, earned in side.values())


def _compounded(returns: Iterable[float]) -> float:
    return math.prod(1.0 + r for r in returns) - 1.0


def _effect(name: str, effects: Sequence[float], held: Sequence[Sides], theirs: Sequence[Sides]) -> SectorEffect:
    """The linked effects of a sector beside its mean weights."""
    allocation, selection, interaction = effects
    return SectorEffect(
        sector=name,
        portfolio_weight=sum(side.get(name, NOTHING)[0] for side in held) / len(held),
        benchmark_weight=sum(side.get(name, NOTHING)[0] for side in theirs) / len(theirs),
        allocation=allocation,
        selection=selection,
        interaction=interaction,
    )
