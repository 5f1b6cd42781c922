"""Amended Form 4s: which line of an earlier report each line of a 4/A corrects.

A 4/A repeats lines and replaces them, but does not say which. It is held against the earlier reports of the same owner on the same
issuer that have its period, or were filed on the day it names. Its lines are paired with theirs in passes from the most alike to the
least; a pair shares one trade_id, so that the amended line is a newer version of the first one. A line without a partner is new. An
earlier line that is not repeated stays in force: the form's instructions let an amendment show the corrected or added lines alone.
"""

from collections.abc import Callable, Sequence

from scrapers.edgar_form4 import Form4, Line, trade_id_of

Likeness = Callable[[Line], tuple[object, ...]]
PASSES: tuple[Likeness, ...] = (
    lambda a: (a.derivative, a.title, a.day, a.code, a.acquired_disposed, a.ownership, a.shares, a.price_usd, a.shares_after),
    lambda a: (a.derivative, a.title, a.day, a.code, a.acquired_disposed, a.ownership, a.shares, a.price_usd),
    lambda a: (a.derivative, a.title, a.day, a.code, a.acquired_disposed, a.ownership, a.shares),
    lambda a: (a.derivative, a.title, a.day, a.code, a.acquired_disposed, a.ownership, a.price_usd),
    lambda a: (a.derivative, a.title, a.day, a.code, a.acquired_disposed, a.ownership),
    lambda a: (a.derivative, a.day, a.shares, a.price_usd),
    lambda a: (a.derivative, a.title, a.shares, a.price_usd),
)
"""What two lines must have in common to be one, most alike first: the last two are corrections of title, code or date."""


def corrects(amendment: Form4, earlier: Form4) -> bool:
    """Whether an amendment may be about an earlier report: same issuer, an owner in common, and the same period or day of filing."""
    if amendment.issuer_cik != earlier.issuer_cik or not amendment.owned_by() & earlier.owned_by() or amendment.mark == earlier.mark:
        return False
    if amendment.accepted_at is not None and earlier.accepted_at is not None and earlier.accepted_at >= amendment.accepted_at:
        return False
    same_period = amendment.period is not None and amendment.period == earlier.period
    return same_period or (amendment.original_filed is not None and amendment.original_filed == earlier.filed)


def ids(amendment: Form4, earlier: Sequence[Form4]) -> dict[int, str]:
    """Line number of an amendment -> trade_id of the line it corrects; lines that correct nothing are absent.

    earlier: the reports that it may correct, in any order; amendments among them count as what they correct.
    """
    pool: dict[str, Line] = {}
    for report in sorted(earlier, key=lambda report: (str(report.accepted_at or ""), report.amendment, report.mark)):
        found = _paired(report, pool) if report.amendment else {}
        pool |= {found.get(line.number) or trade_id_of(report, line): line for line in report.lines}
    return _paired(amendment, pool)


def _paired(report: Form4, pool: dict[str, Line]) -> dict[int, str]:
    """Greedy: in each pass, in the order of both, the first free line that is alike."""
    found: dict[int, str] = {}
    free = dict(pool)
    for likeness in PASSES:
        for line in report.lines:
            if line.number not in found:
                mate = next((name for name, other in free.items() if likeness(other) == likeness(line)), None)
                if mate is not None:
                    found[line.number] = mate
                    del free[mate]
    return found
