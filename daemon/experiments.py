"""Every variant of a strategy that was ever simulated, and what is left of the best Sharpe ratio when all of them are counted.

A variant is a complete set of parameters. Counted are those that were tried on any of the sessions in question, whenever that was:
trying them one a day, or with a session more, makes no fewer of them. A change of the code of a strategy is not counted: nobody but its
author knows how many were tried.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.report_data import finite
from daemon.store.events import micros
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.segments import BARS
from daemon.store.view import Archive
from risk.performance import max_drawdown, sharpe_ratio
from risk.validation import deflated_sharpe_ratio
from strategies.base import Strategy

YEAR_SESSIONS = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a variant came to over its sessions, after costs. sharpe: per session. kurtosis: raw, 3 for the normal distribution.

    The other ratios are annual; turnover_annual is traded notional (both sides) over NAV a year, cagr by sessions at 252 a year. What is
    undefined, as for a variant that never traded, is None.
    """

    n: int
    sharpe: float | None
    skew: float | None
    kurtosis: float | None
    sharpe_annual: float | None
    cagr: float | None
    volatility: float | None
    max_drawdown: float | None
    turnover_annual: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflated:
    """How sure one may be of a Sharpe ratio: the probability that the true one exceeds what the best of `trials` worthless variants
    would show; of one trial, that it exceeds zero. sharpe_deviation: of the trials' Sharpe ratios, annual. None: undefined."""

    probability: float | None
    trials: int
    sharpe_deviation: float | None


def outcome(returns: npt.NDArray[np.float64], turnover: npt.NDArray[np.float64]) -> Outcome:
    """The outcome of simple returns and traded fractions of NAV, both (n_sessions,)."""
    n = len(returns)
    centred = returns - returns.mean() if n else returns
    variance = float((centred**2).mean()) if n else math.nan
    sharpe = sharpe_ratio(returns, periods_per_year=1)
    moves = math.isfinite(sharpe)
    growth = float(np.prod(1.0 + returns))
    return Outcome(
        n=n,
        sharpe=finite(sharpe),
        skew=finite(float((centred**3).mean()) / variance**1.5) if moves else None,
        kurtosis=finite(float((centred**4).mean()) / variance**2) if moves else None,
        sharpe_annual=finite(sharpe * math.sqrt(YEAR_SESSIONS)),
        cagr=finite(growth ** (YEAR_SESSIONS / n) - 1.0) if n and growth > 0 else None,
        volatility=finite(float(returns.std(ddof=1)) * math.sqrt(YEAR_SESSIONS)) if n > 1 else None,
        max_drawdown=finite(max_drawdown(returns)),
        turnover_annual=finite(float(turnover.mean()) * YEAR_SESSIONS) if n else None,
    )


def data_hash(archive: Archive, strategy: Strategy, at: datetime) -> str:
    """SHA-256 over how many versions of each row a strategy could see at an instant: the store only ever grows."""
    names = {BARS, "index_membership", "constituents", *strategy.needs, *strategy.uses}
    known = {name: n for name, n in archive.versions_known(micros(at)).items() if name in names}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def record(
    db: Database,
    strategy: str,
    params: Mapping[str, Any],
    result: Outcome,
    *,
    first: date,
    last: date,
    data: str,
    code_version: str,
    at: datetime,
) -> None:
    """Write down that a variant was tried; the same trial again leaves the record as it is."""
    db.run(
        "experiment_add",
        at=at,
        strategy=strategy,
        params=dict(params),
        first=first,
        last=last,
        data_hash=data,
        code_version=code_version,
        result=asdict(result),
    )


def tried(db: Database, strategy: str, first: date, last: date) -> list[Row]:
    """One row per variant ever tried on a session from first to last: of several trials the newest, on just these sessions if any was."""
    return db.rows("experiments_tried", strategy=strategy, first=first, last=last)


def deflated(result: Outcome, sharpes: Sequence[float | None]) -> Deflated:
    """The deflated Sharpe ratio of an outcome. sharpes: per session, of every variant tried, its own included; None counts as a trial.

    References: Bailey & Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40.
    """
    known = np.array([s for s in sharpes if s is not None], dtype=np.float64)
    trials, variance = max(1, len(sharpes)), float(known.var(ddof=1)) if len(known) > 1 else 0.0
    probability = math.nan
    if result.sharpe is not None and result.skew is not None and result.kurtosis is not None:
        moments = (result.sharpe, result.n, result.skew, result.kurtosis)
        probability = deflated_sharpe_ratio(*moments, n_trials=trials, sharpe_variance=variance)
    deviation = math.sqrt(variance * YEAR_SESSIONS) if trials > 1 else math.nan
    return Deflated(probability=finite(probability), trials=trials, sharpe_deviation=finite(deviation))
