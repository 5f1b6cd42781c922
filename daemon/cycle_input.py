"""What a cycle was given beside the data: recorded with its decision, so that the decision can be derived again."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from daemon.shadow import ShadowBook
from daemon.tax_lots import OpenLot
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

    def planning(self, whole_shares: Iterable[str], *, short_selling: bool, unborrowable: frozenset[str]) -> PlanningOptions:
        """As the planner wants it."""
        return PlanningOptions(
            min_notional_usd=Decimal(self.min_notional_usd),
            band_frac=self.band_frac,
            qty_decimals=self.qty_decimals,
            whole_share_symbols=frozenset(whole_shares),
            id_prefix=self.id_prefix,
            short_selling=short_selling,
            unborrowable=unborrowable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SleeveInput:
    """One strategy as the cycle found it. cycles: how many it has taken part in, for the ramp.

    target_volatility_frac: annual volatility that its targets are scaled down to, 0 for none. max_capital_frac: most of the NAV that it
    gets. paused: why it is not evaluated, empty when it is. lots: of its sleeve, where it is due and looks at them. source_hash: SHA-256
    of the file of an operator's own strategy, empty for one of the catalog.
    """

    name: str
    params: Mapping[str, Any]
    last_due: date | None
    targets: Mapping[str, float]
    book: ShadowBook
    cycles: int
    target_volatility_frac: float = 0.0
    max_capital_frac: float = 1.0
    paused: str = ""
    lots: tuple[OpenLot, ...] = ()
    source_hash: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        return {
            "name": self.name,
            "params": dict(self.params),
            "last_due": self.last_due and self.last_due.isoformat(),
            "targets": dict(self.targets),
            "book": self.book.as_json(),
            "cycles": self.cycles,
            "target_volatility_frac": self.target_volatility_frac,
            "max_capital_frac": self.max_capital_frac,
            "paused": self.paused,
            "lots": [lot.as_json() for lot in self.lots],
            "source_hash": self.source_hash,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SleeveInput":
        """The inverse of `as_json`; older records lack some fields."""
        return cls(
            name=data["name"],
            params=data["params"],
            last_due=date.fromisoformat(data["last_due"]) if data["last_due"] else None,
            targets=data["targets"],
            book=ShadowBook.from_json(data["name"], data["book"]),
            cycles=data["cycles"],
            target_volatility_frac=data.get("target_volatility_frac", 0.0),
            max_capital_frac=data.get("max_capital_frac", 1.0),
            paused=data.get("paused", ""),
            lots=tuple(map(OpenLot.from_json, data.get("lots", ()))),
            source_hash=data.get("source_hash", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleInput:
    """Everything beside the data that a decision depends on. stale: datasets that were not to be traded on, with the reason.

    drawdown_frac: of the last mark from its high-water mark, positive. unfinished: the cap on turnover ended the last allocation
    before its target. artefacts: hash by name of the newest trained artefacts known then. short_selling: whether the account may.
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
    short_selling: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain values, exactly invertible."""
        return {
            "cycle_id": self.cycle_id,
            "session": self.session.isoformat(),
            "at": self.at.isoformat(),
            "code_version": self.code_version,
            "options": asdict(self.options),
            "sleeves": [s.as_json() for s in self.sleeves],
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
            "short_selling": self.short_selling,
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
            sleeves=tuple(map(SleeveInput.from_json, data["sleeves"])),
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
            short_selling=data.get("short_selling", True),
        )
