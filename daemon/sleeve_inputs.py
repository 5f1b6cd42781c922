"""What of each strategy goes into a cycle: its parameters, its own limits, the operator's word about it, the lots it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from daemon import strategy_state
from daemon.cycle_input import SleeveInput
from daemon.errors import StartRefused
from daemon.evaluation import due_session
from daemon.logging import get_logger
from daemon.runtime import Runtime
from daemon.shadow import ShadowBook
from daemon.tax_lots import open_lots
from execution.errors import BrokerError
from strategies.base import Strategy

log = get_logger("cycle")
BOUNDS: Mapping[str, float] = {"target_volatility_frac": 2.0, "max_capital_frac": 1.0}
"""What an operator may set of one strategy, and the most that makes sense; the least is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLimits:
    """Limits of one strategy. target_volatility_frac: annual, 0 for none. max_capital_frac: of NAV."""

    target_volatility_frac: float
    max_capital_frac: float


def own_limits(given: Mapping[str, Mapping[str, Any]], strategies: Mapping[str, Strategy]) -> dict[str, OwnLimits]:
    """Each strategy's declared limits with the operator's laid over them. Raises StartRefused for what is no limit."""
    for name, limits in given.items():
        if name not in strategies:
            raise StartRefused(f"ALLOCD_STRATEGY_LIMITS names {name!r}, which is no strategy; there are {', '.join(strategies)}")
        for limit, value in limits.items():
            _check(name, limit, value)
    return {
        name: OwnLimits(**{limit: float(given.get(name, {}).get(limit, getattr(strategy, limit))) for limit in BOUNDS})
        for name, strategy in strategies.items()
    }


def _check(name: str, limit: str, value: Any) -> None:
    if limit not in BOUNDS:
        raise StartRefused(f"ALLOCD_STRATEGY_LIMITS: {name} has no limit {limit!r}; there are {' and '.join(BOUNDS)}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= BOUNDS[limit]:
        raise StartRefused(f"ALLOCD_STRATEGY_LIMITS: {name}.{limit} = {value!r} is not a number from 0 to {BOUNDS[limit]:g}")


class Remembered(Protocol):
    """What the cycles remember of one strategy."""

    book: ShadowBook
    targets: dict[str, float]
    last_due: date | None
    cycles: int


def sleeve_inputs(
    rt: Runtime, remembered: Mapping[str, Remembered], session: date, *, short_selling: bool, trading: bool = True
) -> tuple[SleeveInput, ...]:
    """The strategies that are followed, in order of name. trading: False for shadow books alone, which have neither lots nor pauses."""
    limits = own_limits({n: given for n, given in rt.settings.strategy_limits.items() if n in rt.strategies}, rt.strategies)
    paused = {n: s.reason for n, s in strategy_state.current(rt.db).items() if s.state == "paused"} if trading else {}
    found = []
    for name, memory in sorted(remembered.items()):
        strategy = rt.strategies[name]
        sleeve = SleeveInput(
            name=name,
            params={**rt.params[name], **({} if short_selling or not strategy.shorts else strategy.long_only)},
            last_due=memory.last_due,
            targets=memory.targets,
            book=memory.book,
            cycles=memory.cycles,
            target_volatility_frac=limits[name].target_volatility_frac,
            max_capital_frac=limits[name].max_capital_frac,
            paused=paused.get(name, ""),
            source_hash=rt.strategy_hashes.get(name, ""),
        )
        found.append(_with_lots(rt, sleeve, strategy, session) if trading and strategy.reads_lots else sleeve)
    return tuple(found)


def _with_lots(rt: Runtime, sleeve: SleeveInput, strategy: Strategy, session: date) -> SleeveInput:
    if due_session(sleeve, strategy, rt.calendar, session) is None:
        return sleeve
    return SleeveInput(
        **{name: getattr(sleeve, name) for name in sleeve.__slots__ if name != "lots"},
        lots=open_lots(rt.db.rows("sleeve_entries", account=f"sleeve:{sleeve.name}")),
    )


def retired(rt: Runtime) -> frozenset[str]:
    """Strategies that the operator retired: they are wound down, whatever the settings say."""
    return frozenset(name for name, state in strategy_state.current(rt.db).items() if state.state == "retired")


def may_short(rt: Runtime) -> bool:
    """Whether the account may sell short: by the settings, and by the broker, whose last word counts while it does not answer."""
    if not rt.settings.short_selling or not any(strategy.shorts for strategy in rt.strategies.values()):
        return rt.settings.short_selling
    try:
        rt.account_may_short = rt.broker.account().shorting_enabled
    except BrokerError as error:
        log.warning("broker.unreachable", error_type=type(error).__name__, reason=str(error)[:300])
    return rt.account_may_short
