"""How a paper exchange is set up, and what is wrong with it when it cannot work."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.errors import ExecutionError
from execution.exchange.liquidity import LiquidityOptions


class VenueError(ExecutionError):
    """The exchange was set up or driven in a way that cannot work: the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOptions:
    """How the exchange is set up. Raises VenueError for what cannot be.

    start_at: the first instant, timezone-aware. cash_usd: the initial deposit. multiplier: 1 (cash) or 2 (Regulation T margin).
    market_buffer_frac: what a buying-power check adds to the last price for a market buy; short_buffer_frac: for a short sale.
    seed: names the exchange; every id derives from it.
    """

    start_at: datetime
    cash_usd: Decimal = Decimal(100_000)
    multiplier: int = 2
    market_buffer_frac: Decimal = Decimal("0.025")
    short_buffer_frac: Decimal = Decimal("0.03")
    liquidity: LiquidityOptions = field(default_factory=LiquidityOptions)
    seed: str = "allocd"

    def __post_init__(self) -> None:
        if self.start_at.tzinfo is None:
            raise VenueError("start_at needs a time zone")
        if self.multiplier not in (1, 2):
            raise VenueError(f"multiplier must be 1 or 2, not {self.multiplier}")
        if self.cash_usd < 0:
            raise VenueError("cash_usd must not be negative")

    def record(self) -> dict[str, Any]:
        """Everything but start_at as JSON values, for the head of a journal."""
        values = {name: value for name, value in asdict(self).items() if name != "start_at"}
        return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
