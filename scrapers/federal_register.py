"""Notices of the Federal Register: meetings of the FDA's advisory committees."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from scrapers import rates, tables, times
from scrapers.base import Reject
from scrapers.cleaning import clean
from scrapers.errors import SourceChanged
from scrapers.press_dates import MONTHS, dates_beside, named_dates
from scrapers.validation import is_address

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "federal_register_adcom"
DOCUMENTS = "https://www.federalregister.gov/api/v1/documents.json"
PER_PAGE, MAX_PAGES = 100, 100
FIELDS = ("title", "type", "abstract", "dates", "document_number", "html_url", "pdf_url", "publication_date", "agencies")
"""`dates` says when a meeting is held; the search leaves it out unless it is asked for."""
_APPLICANT = re.compile(r"(?:submitted|sponsored) by ([A-Z][\w&.,' -]{2,80}?)(?:[.;,(]| for )")
_HELD = (re.compile(r"\b(?:held|convene[sd]?|takes? place)\b", re.IGNORECASE), re.compile(r"\bmeetings?\b", re.IGNORECASE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice about an advisory committee. meeting: the first day after its publication on which, by its text, one is held; None when
    it speaks of no meeting or names no day.
    """

    number: str
    title: str
    abstract: str
    published: date
    meeting: date | None
    url: str


def notices(http: "Http", first: date, last: date) -> Iterator[Notice | Reject]:
    """Notices of the FDA that speak of an advisory committee, published from `first` to `last`, both included."""
    asked = [
        ("conditions[agencies][]", "food-and-drug-administration"),
        ("conditions[term]", '"advisory committee"'),
        ("conditions[type][]", "NOTICE"),
        ("conditions[publication_date][gte]", first.isoformat()),
        ("conditions[publication_date][lte]", last.isoformat()),
        ("order", "newest"),
        ("per_page", PER_PAGE),
        *(("fields[]", name) for name in FIELDS),
    ]
    url: str | None = f"{DOCUMENTS}?{urlencode(asked)}"
    seen: set[str] = set()
    while url:
        if url in seen or len(seen) >= MAX_PAGES:
            raise SourceChanged(f"{DOCUMENTS}: next_page_url does not lead to a new page")
        seen.add(url)
        document = http.get(url, source=SOURCE, rate=rates.FEDERAL_REGISTER).json()
        yield from (n for n in parse_page(document) if isinstance(n, Reject) or first <= n.published <= last)
        url = _next(document)


def _next(document: dict[str, Any]) -> str | None:
    url = document.get("next_page_url")
    if not url:
        return None
    try:
        own = isinstance(url, str) and urlsplit(url).hostname == urlsplit(DOCUMENTS).hostname
    except ValueError:
        own = False
    if not own:
        raise SourceChanged(f"{DOCUMENTS}: next_page_url leads elsewhere")
    return str(url)


def parse_page(document: Any) -> Iterator[Notice | Reject]:
    """The notices of one page. A search without a match has a count of 0 and no `results`."""
    listed = document.get("results") if isinstance(document, dict) else None
    if listed is None and isinstance(document, dict) and document.get("count") == 0:
        return iter(())
    if not isinstance(listed, list):
        raise SourceChanged(f"{DOCUMENTS}: an object with a list `results` was expected")
    items = [_notice(record, f"{DOCUMENTS}[{index}]") for index, record in enumerate(listed)]
    strange = sum(isinstance(item, Reject) for item in items)
    if 2 * strange > len(items):
        raise SourceChanged(f"{DOCUMENTS}: {strange} of {len(items)} records are no notices")
    return iter(items)


def _notice(record: object, at: str) -> Notice | Reject:
    fields = record if isinstance(record, dict) else {}
    number, title, published = fields.get("document_number"), fields.get("title"), times.parse_date(fields.get("publication_date"))
    if not isinstance(number, str) or not number or not isinstance(title, str) or published is None:
        return tables.reject("not_a_notice", "document_number, title and publication_date were expected", record, at)
    abstract = fields["abstract"] if isinstance(fields.get("abstract"), str) else ""
    dates = fields["dates"] if isinstance(fields.get("dates"), str) else ""
    url = fields.get("html_url")
    return Notice(
        number=number,
        title=title,
        abstract=abstract,
        published=published,
        meeting=_meeting(f"{dates} {title}. {abstract}", published),
        url=url if isinstance(url, str) and is_address(url) else "",
    )


def applicant(abstract: str) -> str:
    """Whose application is to be discussed, as an abstract says; empty when it does not. `Submitted by January 4` names nobody."""
    named = (found[1].strip() for found in _APPLICANT.finditer(clean(abstract)))
    return next((name for name in named if name.split()[0].lower().rstrip(".") not in MONTHS), "")


def _meeting(text: str, published: date) -> date | None:
    """The day of the meeting: the first beside words that say it is held, else beside `meeting`, else any of a text about one."""
    text = clean(text)
    for form in _HELD:
        for named, _ in dates_beside(text, form):
            if named.precision == "day" and named.day > published:
                return named.day
    days = (named.day for named in named_dates(text) if named.precision == "day" and named.day > published)
    return next(days, None) if _HELD[1].search(text) else None
