"""A small market for the exchange's tests: weekday sessions in 2020 from 09:30 to 16:00 New York, and orders in one line."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

from execution.base import OrderRequest
from execution.exchange.liquidity import LiquidityOptions
from execution.exchange.market import MarketSession, SessionBar
from execution.exchange.prices import TablePrices
from execution.exchange.venue import Venue, VenueOptions

NEW_YORK = ZoneInfo("America/New_York")
FREE = LiquidityOptions(half_spread_bps=0.0, impact_bps=0.0)
numbers = count(1)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


def make_sessions(n: int = 30, first: date = date(2020, 3, 2)) -> list[MarketSession]:
    days = [first + timedelta(days=i) for i in range(2 * n)]
    weekdays = [day for day in days if day.weekday() < 5][:n]
    return [MarketSession(date=day, open_at=at(day, 9, 30), close_at=at(day, 16)) for day in weekdays]


SESSIONS = make_sessions()
DAYS = [session.date for session in SESSIONS]


def bar(open_, high=None, low=None, close=None, volume=None):
    """A bar; by default flat at `open_` and without volume."""
    close = open_ if close is None else close
    return SessionBar(open=open_, high=high, low=low, close=close, volume=volume)


def flat(price, symbol="AAA", days=DAYS):
    return {(symbol, day): bar(price) for day in days}


def make_venue(bars, *, start=None, journal=None, splits=None, dividends=None, assets=None, **options):
    """A venue whose clock stands at 09:00 of the second session, after a first day of prices."""
    prices = TablePrices(bars, splits=splits, dividends=dividends, assets=assets)
    options = {"liquidity": FREE, "start_at": start or at(DAYS[1], 9), **options}
    return Venue(VenueOptions(**options), prices, SESSIONS, journal)


def order(side, qty, symbol="AAA", *, limit=None, tif="day", client_order_id=None, **more):
    return OrderRequest(
        client_order_id=client_order_id or f"test-{next(numbers)}",
        symbol=symbol,
        side=side,
        qty=Decimal(str(qty)),
        type="market" if limit is None else "limit",
        time_in_force=tif,
        limit_price=None if limit is None else Decimal(str(limit)),
        **more,
    )
