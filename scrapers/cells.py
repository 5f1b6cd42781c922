"""The cells of outside records made safe: text without markup, and numbers that are numbers."""

import re

from scrapers.cleaning import clean

_NUMBER = re.compile(r"[-+]?([0-9]{1,18}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,2})?")
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(?![0-9,])")
"""Commas between thousands; anywhere else they may be decimal."""
TEXT_LIMIT = 500
LARGEST = 1e15
"""No amount in USD and no count of anything is larger."""


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    """Text without markup, entities, control characters and doubled blanks, cut at `limit`; anything but a string gives an empty one."""
    if not isinstance(value, str):
        return ""
    return clean(value)[:limit].rstrip()


def number(value: object) -> float | None:
    """A finite number below 1e15, from a number or from text such as `45000.0` or `$1,234.50`; None for anything else."""
    if isinstance(value, str):
        digits = value.strip().replace("$", "")
        digits = digits.replace(",", "") if _GROUPED.match(digits) else digits
        found = float(digits) if _NUMBER.fullmatch(digits) else None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = float(value) if -LARGEST < value < LARGEST else None
    else:
        found = None
    return found if found is not None and -LARGEST < found < LARGEST else None


def whole(value: object) -> int | None:
    """A whole number below 1e15 in size, also from text or from a float without a fraction; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def is_empty(value: object) -> bool:
    """Whether a cell says nothing: null, or blank text."""
    return value is None or (isinstance(value, str) and not value.strip())
