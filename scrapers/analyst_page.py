"""Quiver's web page of analyst ratings: a table whose headings are not documented, read by the words in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from scrapers import markup, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

HEADINGS = {
    "symbol": ("ticker", "symbol", "stock"),
    "firm": ("firm", "analyst firm", "brokerage", "broker", "analyst"),
    "action": ("action", "rating change", "change"),
    "from_grade": ("from", "from grade", "prior rating", "previous rating", "old rating"),
    "to_grade": ("to", "to grade", "rating", "new rating", "current rating"),
    "graded": ("date", "rating date", "published"),
    "target": ("price target", "target", "new price target", "target price"),
    "prior_target": ("prior price target", "previous price target", "prior target", "old price target"),
}
"""What we call a column -> what its heading may say, the likeliest first."""
REQUIRED = ("symbol", "firm", "action", "to_grade", "graded")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORDS = re.compile(r"[^a-z]+")
_SPELT = re.compile(r"([A-Za-z]{3})[a-z]*\.?\s+(\d{1,2}),?\s+(\d{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingLine:
    """The texts of one line by our names of the columns; columns that the page lacks are empty."""

    cells: dict[str, str]
    position: str


def lines(text: str, url: str) -> Iterator[RatingLine | Reject]:
    """Lines of the page's table of ratings. A line that does not fit its headings is a Reject `ragged_record`.

    Raises SourceChanged when no table has the headings that are needed, when that table is empty, or when most of its lines do not fit.
    """
    columns, width, rows = _table(text, url)
    ragged = sum(len(row) != width for row in rows)
    if not rows or 2 * ragged > len(rows):
        raise SourceChanged(f"{url}: {ragged} of {len(rows)} lines below {width} headings do not fit them")
    for number, row in enumerate(rows, start=1):
        at, texts = f"{url}:{number}", [cell.text for cell in row]
        if len(row) != width:
            yield tables.reject("ragged_record", f"{len(row)} cells below {width} headings", texts, at)
        else:
            yield RatingLine(cells={name: texts[columns[name]] if name in columns else "" for name in HEADINGS}, position=at)


def day_of(text: str) -> date | None:
    """The day of a cell, in figures or as `Nov 12, 2025`; None for anything else."""
    spelt = _SPELT.fullmatch(text)
    if spelt is None or spelt[1].lower() not in MONTHS:
        return times.parse_date(text)
    return times.parse_date(f"{MONTHS.index(spelt[1].lower()) + 1}/{spelt[2]}/{spelt[3]}")


def _table(text: str, url: str) -> tuple[dict[str, int], int, list[list[markup.Cell]]]:
    seen = []
    for table in markup.html_tables(text, url):
        header = [_WORDS.sub(" ", heading.lower()).strip() for heading in table.header()]
        columns = _columns(header)
        if set(columns) >= set(REQUIRED):
            return columns, len(header), table.rows[1:]
        seen.append(" | ".join(header)[:120])
    raise SourceChanged(f"{url}: no table with columns for {', '.join(REQUIRED)}; found {len(seen)} tables: {'; '.join(seen)[:400]}")


def _columns(header: list[str]) -> dict[str, int]:
    """Place of each of our columns; a heading serves one column only."""
    found: dict[str, int] = {}
    for name, words in HEADINGS.items():
        place = next((header.index(word) for word in words if word in header and header.index(word) not in found.values()), None)
        if place is not None:
            found[name] = place
    return found
