"""How figures are written: the same minus sign, separators and dash for the unknown on every page."""

import math
from typing import Final

UNKNOWN: Final = "–"


def number(value: float | None, decimals: int = 2) -> str:
    """1,234.50; a true minus sign; an en dash for None or NaN."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) != 0 else text.replace("-", "")


def money(value: float | None, decimals: int = 2) -> str:
    """Dollars: $1,234.50, −$3.00."""
    text = number(value, decimals)
    return text if text == UNKNOWN else f"−${text[1:]}" if text.startswith("−") else f"${text}"


def percent(value: float | None, decimals: int = 1) -> str:
    """A fraction in per cent: 0.123 is 12.3%."""
    return number(None if value is None else value * 100, decimals) + ("%" if value is not None and math.isfinite(value) else "")


def signed(value: float | None, decimals: int = 2) -> str:
    """A fraction in per cent with its sign: 0.0031 is +0.31%."""
    text = percent(value, decimals)
    return f"+{text}" if value is not None and value > 0 and any(digit in text for digit in "123456789") else text


def chance(value: float | None) -> str:
    """A p-value: 0.032; below a thousandth only that it is."""
    return "< 0.001" if value is not None and 0 <= value < 0.001 else number(value, 3)
