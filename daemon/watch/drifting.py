"""Whether strategies still see the world they were made on: drift of their inputs and of the returns of their shadow books.

An alarm needs both: a population stability index beyond 0.25, which says that the change is large, and a Kolmogorov-Smirnov test
that rejects at 0.1 %, which says that it is no accident of the sample. Bins of the index are quantiles of the reference, so that
amounts may be skewed, and equal values (ranges, zeros) share a bin.
"""

import numpy as np

from daemon.report_data import finite
from daemon.watch.inputs import CURRENT_SESSIONS, REFERENCE_SESSIONS, Samples, dataset_inputs
from daemon.watch.result import Drift
from daemon.watch.scope import Scope
from risk.drift import ks, psi

PSI_BOUND, KS_LEVEL = 0.25, 0.001
FEWEST_VALUES, FEWEST_RETURNS, FEWEST_REFERENCE = 100, 40, 100
FEWEST_BINS, MOST_BINS, VALUES_PER_BIN = 4, 10, 10
"""Fewer values get fewer bins: one that is empty by accident alone would put the index over its bound."""


def drifts(scope: Scope) -> tuple[Drift, ...]:
    """By strategy: each input of the datasets that it needs, then its shadow returns. Each dataset is looked at once."""
    needed = sorted({name for strategy in scope.strategies.values() for name in strategy.needs if name in scope.datasets})
    found = {name: _of_dataset(scope, name) for name in needed}
    returns = _shadow_returns(scope)
    result: list[Drift] = []
    for name, strategy in sorted(scope.strategies.items()):
        inputs = [drift for need in strategy.needs for drift in found.get(need, ())]
        result += [_for(drift, name) for drift in inputs]
        samples = returns.get(name, Samples(reference=np.empty(0), current=np.empty(0)))
        result.append(compared(samples, strategy=name, subject="returns", name="shadow returns", fewest=FEWEST_RETURNS))
    return tuple(result)


def _of_dataset(scope: Scope, name: str) -> list[Drift]:
    inputs = dataset_inputs(scope, scope.datasets[name])
    return [compared(samples, strategy="", subject="input", name=label, fewest=FEWEST_VALUES) for label, samples in inputs.items()]


def _for(drift: Drift, strategy: str) -> Drift:
    return Drift(**{field: getattr(drift, field) for field in Drift.__slots__ if field != "strategy"}, strategy=strategy)


def compared(samples: Samples, *, strategy: str, subject: str, name: str, fewest: int) -> Drift:
    """PSI and KS of two samples; too few values give figures where they can, and never an alarm."""
    n_reference, n_current = len(samples.reference), len(samples.current)
    bins = max(FEWEST_BINS, min(MOST_BINS, n_current // VALUES_PER_BIN))
    index, p_value = psi(samples.reference, samples.current, bins=bins), ks(samples.reference, samples.current).p_value
    enough = n_reference >= FEWEST_REFERENCE and n_current >= fewest
    reason = "" if enough else f"too few values: {n_current} against {n_reference}, {fewest} against {FEWEST_REFERENCE} needed"
    alarm = enough and index > PSI_BOUND and p_value < KS_LEVEL
    if alarm:
        reason = f"PSI {index:.2f} is over {PSI_BOUND} and KS rejects at {KS_LEVEL:.1%}"
    return Drift(
        strategy=strategy,
        subject=subject,
        name=name,
        psi=finite(index),
        ks_p=finite(p_value),
        n_reference=n_reference,
        n_current=n_current,
        alarm=alarm,
        reason=reason,
    )


def _shadow_returns(scope: Scope) -> dict[str, Samples]:
    """Each shadow book's returns over the newest 60 sessions, and over the 252 before; a session in cash (exactly zero) says nothing."""
    middle = scope.calendar.offset(scope.session, -CURRENT_SESSIONS)
    since = scope.calendar.offset(middle, 1 - REFERENCE_SESSIONS)
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in scope.db.rows("shadow_marks_since", since=since):
        if row["session"] <= scope.session and row["return_frac"]:
            found.setdefault(row["sleeve"], ([], []))[row["session"] > middle].append(row["return_frac"])
    return {sleeve: Samples(reference=np.array(old), current=np.array(new)) for sleeve, (old, new) in sorted(found.items())}
