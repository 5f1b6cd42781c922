"""What the operator decided about a strategy: active, paused or retired, by whom, why and since when.

The newest row of a strategy holds; a strategy without a row is active. A paused one is not evaluated and keeps its last targets. A
retired one is wound down to cash, its capital goes to the others, and its shadow book is no longer followed. Active again, a paused
one goes on where it was; a retired one ramps in like a new one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from daemon.errors import RefusedByState, WrongUsage
from daemon.store.postgres import Database

State = Literal["active", "paused", "retired"]
LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyState:
    """The newest decision about one strategy."""

    strategy: str
    state: State
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a wish to change a state comes to. before: None for a strategy about which nothing was ever decided."""

    before: StrategyState | None
    after: StrategyState
    changes: bool


def current(db: Database) -> dict[str, StrategyState]:
    """The newest decision by strategy; those about which nothing was decided are absent."""
    return {row["strategy"]: StrategyState(**row) for row in db.rows("strategy_states_newest")}


def change(db: Database, strategy: str, state: State, *, at: datetime, actor: str, reason: str, dry_run: bool = False) -> Change:
    """Record a decision, unless it is in force already or `dry_run`.

    Raises WrongUsage for a reason that is empty, too long or not printable, RefusedByState for pausing what is retired.
    """
    after = StrategyState(strategy=strategy, state=state, at=at, actor=actor, reason=_checked(reason))
    before = current(db).get(strategy)
    changes = state != ("active" if before is None else before.state)
    if before is not None and (before.state, state) == ("retired", "paused"):
        raise RefusedByState(
            f"{strategy} is retired since {before.at:%Y-%m-%d} ({before.reason}): it holds nothing that a pause could keep"
        )
    if changes and not dry_run:
        db.run("strategy_state_add", at=at, strategy=strategy, state=state, actor=actor, reason=after.reason)
    return Change(before=before, after=after, changes=changes)


def _checked(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise WrongUsage("--reason is empty: say why, in a few words; whoever looks at this strategy next will read it")
    if not text.isprintable() or len(text) > LONGEST_REASON:
        raise WrongUsage(f"--reason must be printable text of at most {LONGEST_REASON} characters")
    return text
