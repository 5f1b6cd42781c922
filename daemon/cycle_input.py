"""What a cycle was given beside the data: recorded with its decision, so that the decision can be derived again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from daemon.shadow import ShadowBook
from execution.planning import PlanningOptions, SleeveState
from risk.base import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What of the settings bears on a decision."""

    limits: RiskLimits
    cost_frac: float
    min_notional_usd: str
    band_frac: float
    qty_decimals: int
    id_prefix: str
    benchmark: str

    def planning(self, whole_shares: Sequence[str]) -> PlanningOptions:
        """As the planner wants it."""
        return PlanningOptions(
            min_notional_usd=Decimal(self.min_notional_usd),
            band_frac=self.band_frac,
            qty_decimals=self.qty_decimals,
            whole_share_symbols=frozenset(whole_shares),
            id_prefix=self.id_prefix,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SleeveInput:
    """One strategy as the cycle found it. cycles: how many it has taken part in, for the ramp."""

    name: str
    params: Mapping[str, Any]
    last_due: date | None
    targets: Mapping[str, float]
    book: ShadowBook
    cycles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleInput:
    """Everything beside the data that a decision depends on. stale: datasets that were not to be traded on, with the reason.

    drawdown_frac: of the last mark from its high-water mark, positive. unfinished: the cap on turnover ended the last allocation
    before its target. artefacts: hash by name of the newest trained artefacts known then.
    """

    cycle_id: str
    session: date
    at: datetime
    code_version: str
    options: Options
    sleeves: tuple[SleeveInput, ...]
    holdings: Mapping[str, SleeveState]
    previous_capital: Mapping[str, float]
    state: str
    state_reason: str
    blocked: tuple[str, ...]
    whole_shares: tuple[str, ...]
    versions_known: Mapping[str, int]
    history_hash: str
    stale: Mapping[str, str] = field(default_factory=dict)
    drawdown_frac: float = 0.0
    unfinished: bool = False
    artefacts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        return {
            "cycle_id": self.cycle_id,
            "session": self.session.isoformat(),
            "at": self.at.isoformat(),
            "code_version": self.code_version,
            "options": asdict(self.options),
            "sleeves": [
                {
                    "name": s.name,
                    "params": dict(s.params),
                    "last_due": s.last_due and s.last_due.isoformat(),
                    "targets": dict(s.targets),
                    "book": s.book.as_json(),
                    "cycles": s.cycles,
                }
                for s in self.sleeves
            ],
            "holdings": {
                name: {"cash": str(state.cash), "positions": {k: str(q) for k, q in state.positions.items()}}
                for name, state in self.holdings.items()
            },
            "previous_capital": dict(self.previous_capital),
            "state": self.state,
            "state_reason": self.state_reason,
            "blocked": list(self.blocked),
            "whole_shares": list(self.whole_shares),
            "versions_known": dict(self.versions_known),
            "history_hash": self.history_hash,
            "stale": dict(self.stale),
            "drawdown_frac": self.drawdown_frac,
            "unfinished": self.unfinished,
            "artefacts": dict(self.artefacts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CycleInput":
        """The inverse of `as_json`."""
        options = data["options"]
        return cls(
            cycle_id=data["cycle_id"],
            session=date.fromisoformat(data["session"]),
            at=datetime.fromisoformat(data["at"]),
            code_version=data["code_version"],
            options=Options(**{**options, "limits": RiskLimits(**options["limits"])}),
            sleeves=tuple(
                SleeveInput(
                    name=s["name"],
                    params=s["params"],
                    last_due=date.fromisoformat(s["last_due"]) if s["last_due"] else None,
                    targets=s["targets"],
                    book=ShadowBook.from_json(s["name"], s["book"]),
                    cycles=s["cycles"],
                )
                for s in data["sleeves"]
            ),
            holdings={
                name: SleeveState(cash=Decimal(h["cash"]), positions={k: Decimal(q) for k, q in h["positions"].items()})
                for name, h in data["holdings"].items()
            },
            previous_capital=data["previous_capital"],
            state=data["state"],
            state_reason=data["state_reason"],
            blocked=tuple(data["blocked"]),
            whole_shares=tuple(data["whole_shares"]),
            versions_known=data["versions_known"],
            history_hash=data["history_hash"],
            stale=data.get("stale", {}),
            drawdown_frac=data.get("drawdown_frac", 0.0),
            unfinished=data.get("unfinished", False),
            artefacts=data.get("artefacts", {}),
        )
