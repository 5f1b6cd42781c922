"""Exact integers for the exchange: prices in ticks of 1e-4 USD, quantities in units of 1e-9 shares, money in 1e-13 USD."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

TICK_PLACES = 4
QTY_PLACES = 9
MONEY_PLACES = TICK_PLACES + QTY_PLACES
SHARE: int = 10**QTY_PLACES
CENT: int = 10 ** (MONEY_PLACES - 2)
HALF = Fraction(1, 2)


def to_scaled(value: Decimal, places: int) -> int | None:
    """`value` as an integer of 10**-places, or None when it is not finite or has more decimals than that."""
    if not value.is_finite():
        return None
    scaled = value.scaleb(places)
    whole = int(scaled)
    return whole if scaled == whole else None


@lru_cache(maxsize=8192)
def from_scaled(number: int, places: int) -> Decimal:
    """The integer back as the shortest exact Decimal, without an exponent for whole numbers."""
    whole, rest = divmod(number, 10**places)
    return Decimal(whole) if rest == 0 else Decimal(number).scaleb(-places).normalize()


def shares(units: int) -> Decimal:
    """Shares of a quantity in units."""
    return from_scaled(units, QTY_PLACES)


def price(ticks: int) -> Decimal:
    """Dollars per share of a price in ticks."""
    return from_scaled(ticks, TICK_PLACES)


def usd(money: int) -> Decimal:
    """Dollars of an amount in 1e-13 USD."""
    return from_scaled(money, MONEY_PLACES)


def average_price(value: int, units: int) -> Decimal:
    """Average dollars per share of `value` money over `units`, rounded half up to nine decimals."""
    return from_scaled((2 * abs(value) * 10**5 + abs(units)) // (2 * abs(units)), QTY_PLACES)


def to_ticks(dollars: float) -> int:
    """The tick nearest to a price in dollars, at least one."""
    ticks: int = round(dollars * 10**TICK_PLACES)
    return max(1, ticks)


def round_to_cent(money: Fraction) -> int:
    """Money rounded half up (away from zero) to whole cents."""
    cents = int(abs(money) / CENT + HALF) * CENT
    return cents if money >= 0 else -cents
