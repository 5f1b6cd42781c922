"""Dates in prose: the days and months that a press release or a notice names, and which of them belongs to a phrase."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

_NAMES = (
    "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sept sep|october oct|november nov|december dec"
)
MONTHS = {name: number for number, names in enumerate(_NAMES.split("|"), 1) for name in names.split()}
LONGEST = 80
"""Characters of a date in a text whose white space is collapsed, and more."""
MOST_PLACES = 1000
"""Places of a phrase in one document that are looked at; releases have a few."""
_MONTH = r"(?P<month>[A-Z][A-Za-z]{2,8})\.?"
_ORDINAL = r"(?:\s?(?:st|nd|rd|th))?"
_LAST_DAY = rf"(?:\s*(?:-|–|—|&|and|to|through)\s*\d{{1,2}}{_ORDINAL})?"
_DAY = re.compile(rf"{_MONTH}\s+(?P<day>\d{{1,2}}){_ORDINAL}{_LAST_DAY}(?:\s*,\s*|\s+)(?P<year>(?:19|20)\d\d)(?!\d)")
_DAY_FIRST = re.compile(
    rf"(?<![\d,.])(?<!Phase )(?<!Part )(?<!Type )(?P<day>\d{{1,2}}){_ORDINAL}\s+{_MONTH},?\s+(?P<year>(?:19|20)\d\d)(?!\d)"
)
_MONTH_ALONE = re.compile(rf"{_MONTH}\s+(?:of\s+)?(?P<year>(?:19|20)\d\d)(?!\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDate:
    """A date in a text: its first day, its precision (`day` or `month`) and where it stands."""

    day: date
    precision: str
    start: int
    end: int


def named_dates(text: str) -> Iterator[NamedDate]:
    """Every `Month D, YYYY`, `D Month YYYY` and `Month YYYY` of a text, in order; of `Month D-E, YYYY` the first day. Words that are no
    month, and days that do not exist, are passed over.
    """
    found = [*_matches(_DAY, text, "day"), *_matches(_DAY_FIRST, text, "day")]
    ends = {named.end for named in found}
    found += [named for named in _matches(_MONTH_ALONE, text, "month") if named.end not in ends]
    return iter(sorted(found, key=lambda named: named.start))


def _matches(form: re.Pattern[str], text: str, precision: str) -> Iterator[NamedDate]:
    for match in form.finditer(text):
        month = MONTHS.get(match["month"].lower())
        day = int(match["day"]) if precision == "day" else 1
        if month is None:
            continue
        try:
            yield NamedDate(day=date(int(match["year"]), month, day), precision=precision, start=match.start(), end=match.end())
        except ValueError:
            continue


def dates_beside(text: str, phrase: re.Pattern[str], *, after: int = 160, before: int = 90) -> list[tuple[NamedDate, str]]:
    """For each place of a phrase its date: the first that follows within `after` characters of the same sentence, else the last
    within `before` characters ahead of it; with the words around it (at most 300 characters). Each date once, in order of the text.
    """
    found: dict[date, tuple[NamedDate, str]] = {}
    named = list(named_dates(text))
    starts = [n.start for n in named]
    for match in islice(phrase.finditer(text), MOST_PLACES):
        first = bisect_left(starts, match.start() - before - LONGEST)
        near = named[first : bisect_right(starts, match.end() + after)]
        follows = [n for n in near if match.end() <= n.start and not _sentence_ends(text[match.end() : n.start])]
        ahead = [n for n in near if match.start() - before <= n.end <= match.start() and not _sentence_ends(text[n.end : match.start()])]
        chosen = follows[0] if follows else ahead[-1] if ahead else None
        if chosen is not None and chosen.day not in found:
            found[chosen.day] = (chosen, _around(text, min(match.start(), chosen.start), max(match.end(), chosen.end)))
    return list(found.values())


_REGULATOR = re.compile(r"\bFDA\b|Food (?:and|&) Drug Administration")
_SENTENCE_END = re.compile(r"(?<!\bU\.S)(?<!\bInc)(?<!\bCorp)(?<!\bLtd)(?<!\bDr)(?<!\bNo)[.!?]\s+(?=[A-Z])")


def names_the_regulator(text: str) -> bool:
    """Whether a text speaks of the FDA."""
    return _REGULATOR.search(text) is not None


def sentence_around(text: str, start: int, end: int, *, reach: int = 400) -> tuple[int, int]:
    """Where the sentence of a passage begins and ends, at most `reach` characters from it."""
    ahead = [found.end() for found in _SENTENCE_END.finditer(text, max(0, start - reach), start)]
    following = _SENTENCE_END.search(text, end, end + reach)
    return (ahead[-1] if ahead else max(0, start - reach)), (following.start() + 1 if following else min(len(text), end + reach))


def _sentence_ends(between: str) -> bool:
    return "; " in between or _SENTENCE_END.search(between + "A") is not None


def _around(text: str, start: int, end: int) -> str:
    room = max(0, 300 - (end - start)) // 2
    return " ".join(text[max(0, start - room) : end + room].split())[:300]
