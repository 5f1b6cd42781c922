"""Which filings there are: EDGAR's feed of current filings, its daily indices, and the list of one filer's submissions."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import edgar, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from scrapers.http import Http

CURRENT = f"{edgar.WWW}/cgi-bin/browse-edgar"
SUBMISSIONS = f"{edgar.DATA}/submissions"
MAX_FEED_PAGES, MAX_LIST_PAGES = 80, 40
FULL_FEED = 400
"""A feed that ends after fewer entries ends for lack of filings, not because it shows no more than so many."""
_ATOM = "{http://www.w3.org/2005/Atom}"
_TITLE = re.compile(r".*\((?P<cik>\d{10})\)\s*\((?P<role>[A-Za-z ]+)\)\s*$", re.DOTALL)
_LINE = re.compile(
    r"(?P<form>\S(?:.*?\S)?)\s{2,}(?P<company>\S.*?)\s+(?P<cik>\d{1,10})\s+(?P<filed>\d{8}|\d{4}-\d{2}-\d{2})\s+"
    r"(?P<file>edgar/data/\S+)\s*"
)
_COLUMNS = ("accessionNumber", "filingDate", "reportDate", "acceptanceDateTime", "form")
_PAGE_NAME = re.compile(r"CIK\d{10}-submissions-\d{3}\.json")


@dataclass(slots=True, kw_only=True)
class Filing:
    """One filing, however often it is listed. ciks: its filers; subjects: those of them it is about (issuer or filer), where told."""

    accession: str
    form: str
    ciks: set[int] = field(default_factory=set)
    subjects: set[int] = field(default_factory=set)
    accepted_at: datetime | None = None
    filed: date | None = None
    period: date | None = None

    def may_concern(self, wanted: Set[int]) -> bool:
        """Whether it may be about one of the companies; an empty choice wants all."""
        return not wanted or bool(wanted & (self.subjects or self.ciks)) or (not self.subjects and self.accepted_at is not None)


@dataclass(slots=True, kw_only=True)
class Found:
    """Filings by accession number, records that could not be read, and (gap) why the list may be incomplete."""

    filings: dict[str, Filing] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    gap: str = ""

    def add(self, entry: Filing) -> None:
        """Merge an entry: a filing is listed once for each of its filers."""
        known = self.filings.setdefault(entry.accession, entry)
        if known is not entry:
            known.ciks |= entry.ciks
            known.subjects |= entry.subjects
            known.accepted_at = known.accepted_at or entry.accepted_at
            known.filed = known.filed or entry.filed


def recent(http: "Http", source: str, forms: Collection[str], since: datetime, until: datetime) -> Found:
    """Every filing of these exact forms accepted since an instant, oldest first.

    The feed of current filings is followed back until `since`. Where it ends before, daily indices fill in; the index of a day
    appears in its night, so a gap that reaches into today is named in `gap` (the caller should fail, and ask again later).
    """
    found, missing = Found(), []
    for kind in _kinds(forms):
        reached, last, shown = _follow(http, source, kind, forms, since, found)
        if not reached:
            missing.append((kind, times.new_york_date(last or until), shown >= FULL_FEED))
    if missing:
        _fill(http, source, forms, since, until, missing, found)
    found.filings = dict(sorted(found.filings.items(), key=lambda item: (item[1].accepted_at or until, item[0])))
    return found


def _kinds(forms: Collection[str]) -> list[str]:
    """What to ask the feed for, which takes a form for the beginning of one: 10-K also gives 10-K/A and 10-KT."""
    return sorted(form for form in forms if not any(form != other and form.startswith(other) for other in forms))


def _follow(
    http: "Http", source: str, kind: str, forms: Collection[str], since: datetime, found: Found
) -> tuple[bool, datetime | None, int]:
    """Read the feed's pages of one kind, newest first, back to `since`.

    Whether it got there, the time of the last entry that it showed, and the number of entries.
    """
    seen: set[tuple[str, str]] = set()
    last: datetime | None = None
    for _ in range(MAX_FEED_PAGES):
        asked: dict[str, str | int] = {"action": "getcurrent", "type": kind, "owner": "include", "start": len(seen), "count": 100}
        entries = parse_feed(http.get(CURRENT, {**asked, "output": "atom"}, source=source, rate=edgar.RATE).xml(), CURRENT)
        fresh = [entry for mark, entry in entries if mark not in seen]
        seen |= {mark for mark, _ in entries}
        for entry in fresh:
            if isinstance(entry, Reject):
                found.rejects.append(entry)
                continue
            last = entry.accepted_at or last
            if entry.form in forms and last is not None and last >= since:
                found.add(entry)
        if last is not None and last < since:
            return True, last, len(seen)
        if not fresh:
            break
    return False, last, len(seen)


def parse_feed(root: "Element", name: str) -> list[tuple[tuple[str, str], Filing | Reject]]:
    """Entries of an Atom page of current filings, each with what tells it apart: its accession number and title."""
    if root.tag != f"{_ATOM}feed":
        raise SourceChanged(f"{name}: an Atom feed was expected, found <{root.tag[:100]}>")
    listed = [_entry(element, f"{name}[{place}]") for place, element in enumerate(root.findall(f"{_ATOM}entry"))]
    bad = sum(isinstance(entry, Reject) for _, entry in listed)
    edgar.mostly(len(listed) - bad, bad, name, "entries with form, accession number, filer and time")
    return listed


def _entry(element: "Element", at: str) -> tuple[tuple[str, str], Filing | Reject]:
    title = (element.findtext(f"{_ATOM}title") or "").strip()
    mark, stamp = element.findtext(f"{_ATOM}id") or "", element.findtext(f"{_ATOM}updated") or ""
    category = element.find(f"{_ATOM}category")
    form = "" if category is None else category.get("term", "").strip()
    accession, named, accepted = edgar.accession_of(mark), _TITLE.fullmatch(title), _instant(stamp)
    if not form or accession is None or named is None or accepted is None:
        record = {"title": title, "id": mark, "updated": stamp, "form": form}
        return (mark, title), tables.reject("bad_entry", "form, accession number, filer and time are expected", record, at)
    cik, about = int(named["cik"]), named["role"].lower() not in ("reporting", "filed by")
    entry = Filing(accession=accession, form=form, ciks={cik}, subjects={cik} if about else set(), accepted_at=accepted)
    return (mark, title), entry


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.strip())
        return at if at.tzinfo is not None and 1990 <= at.year <= 2100 else None
    except ValueError:
        return None


def _fill(
    http: "Http", source: str, forms: Collection[str], since: datetime, until: datetime, missing: Iterable[tuple[str, date, bool]],
    found: Found,
) -> None:  # fmt: skip
    """Add what the daily indices list for the days that the feed did not reach back to. Today's index not being there is a gap."""
    first, today = times.new_york_date(since), times.new_york_date(until)
    lasts = {kind: (last, shown) for kind, last, shown in missing}
    for day in _days(first, max(last for last, _ in lasts.values())):
        listed = index(http, source, day)
        wanted = tuple(kind for kind, (last, _) in lasts.items() if day <= last)
        if listed is None:
            if day == today and any(lasts[kind][1] for kind in wanted):
                found.gap = f"the feed of current filings does not reach back to {since:%Y-%m-%dT%H:%MZ}, and {day} has no index yet"
            continue
        found.rejects += [item for item in listed if isinstance(item, Reject)]
        for entry in listed:
            if isinstance(entry, Filing) and entry.form in forms and entry.form.startswith(wanted):
                found.add(entry)


def by_day(http: "Http", source: str, forms: Collection[str], first: date, last: date) -> Iterator[Found]:
    """Filings of these exact forms by the day they were filed, from the daily indices; days without an index have none."""
    for day in _days(first, last):
        found = Found()
        for entry in index(http, source, day) or ():
            if isinstance(entry, Reject):
                found.rejects.append(entry)
            elif entry.form in forms:
                found.add(entry)
        yield found


def _days(first: date, last: date) -> Iterator[date]:
    """The weekdays from first to last: nothing is filed at weekends."""
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() < 5:
            yield day


def index_url(day: date) -> str:
    """Where the index by form of a day is."""
    return f"{edgar.WWW}/Archives/edgar/daily-index/{day.year}/QTR{(day.month + 2) // 3}/form.{day:%Y%m%d}.idx"


def index(http: "Http", source: str, day: date) -> list[Filing | Reject] | None:
    """The filings of a day; None when there is no index (holidays and weekends, and today until the night: 404, or 403 in XML)."""
    url = index_url(day)
    answer = http.get(url, source=source, rate=edgar.RATE, accept=(403, 404))
    if answer.status != 404:
        edgar.refuse_html(answer)
    return None if answer.status in (403, 404) else parse_index(answer.text(), url)


def parse_index(text: str, name: str) -> list[Filing | Reject]:
    """The lines of a `form.YYYYMMDD.idx`: form, company, CIK, date and file below a heading and a line of dashes."""
    lines = text.splitlines()
    head = next((n for n, line in enumerate(lines) if line.startswith("----")), None)
    if head is None or not any("Form Type" in line for line in lines[:head]):
        raise SourceChanged(f"{name}: no heading `Form Type` above a line of dashes")
    listed = [_indexed(line, f"{name}:{n}") for n, line in enumerate(lines[head + 1 :], start=head + 2) if line.strip()]
    bad = sum(isinstance(entry, Reject) for entry in listed)
    edgar.mostly(len(listed) - bad, bad, name, "lines with form, company, CIK, date and file")
    return listed


def _indexed(line: str, at: str) -> Filing | Reject:
    parts = _LINE.fullmatch(line.strip())
    accession = edgar.accession_of(parts["file"]) if parts else None
    filed = times.parse_date(parts["filed"]) if parts else None
    cik = edgar.cik_of(parts["cik"]) if parts else None
    if parts is None or accession is None or filed is None or cik is None:
        return tables.reject("bad_entry", "form, company, CIK, date and file are expected", line, at)
    return Filing(accession=accession, form=parts["form"], ciks={cik}, filed=filed)


def submissions(http: "Http", source: str, cik: int, first: date, last: date) -> Found:
    """What one filer submitted from `first` to `last` (dates of filing), oldest first; nothing for a number that EDGAR does not know.

    The service holds about a thousand filings in its first answer and older ones in further pages, of which those in range are read.
    """
    url = f"{SUBMISSIONS}/CIK{cik:010d}.json"
    answer = http.get(url, source=source, rate=edgar.RATE, accept=(404,))
    if answer.status == 404:
        return Found()
    filings = edgar.keyed(edgar.keyed(answer.json(), ["filings"], url)["filings"], ["recent"], f"{url} filings")
    rows = _columns(filings["recent"], url)
    for name in _pages(filings.get("files") or [], first, last, url):
        page = f"{SUBMISSIONS}/{name}"
        rows += _columns(http.get(page, source=source, rate=edgar.RATE).json(), page)
    return parse_submissions(rows, url, cik, lambda filed: first <= filed <= last)


def _pages(listed: object, first: date, last: date, url: str) -> list[str]:
    """Names of the further pages whose range of filing dates overlaps; a page without a readable range is read too."""
    if not isinstance(listed, list) or len(listed) > MAX_LIST_PAGES:
        raise SourceChanged(f"{url}: `files` is not a list of at most {MAX_LIST_PAGES} pages")
    names = []
    for page in listed:
        name = page.get("name") if isinstance(page, dict) else None
        if not isinstance(name, str) or not _PAGE_NAME.fullmatch(name):
            raise SourceChanged(f"{url}: a further page is called {str(name)[:100]!r}")
        begins, ends = times.parse_date(page.get("filingFrom")), times.parse_date(page.get("filingTo"))
        if (begins is None or begins <= last) and (ends is None or ends >= first):
            names.append(name)
    return names


def _columns(document: object, url: str) -> list[dict[str, Any]]:
    """The parallel arrays as records; SourceChanged when one is missing or of another length."""
    arrays = {name: edgar.keyed(document, _COLUMNS, url)[name] for name in _COLUMNS}
    lengths = {len(array) if isinstance(array, list) else -1 for array in arrays.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise SourceChanged(f"{url}: {', '.join(_COLUMNS)} are not lists of one length")
    return [dict(zip(arrays, values, strict=True)) for values in zip(*arrays.values(), strict=True)]


def parse_submissions(rows: Iterable[Mapping[str, Any]], name: str, cik: int, wanted: Callable[[date], bool]) -> Found:
    """Filings of the records whose filing date is wanted, oldest first. A record without number, form or date is a reject, `bad_entry`;
    SourceChanged when most are.
    """
    records, found = list(rows), Found()
    days = [times.parse_date(record["filingDate"]) for record in records]
    clock = edgar.stamp_clock([record["acceptanceDateTime"] for record in records], days)
    listed: list[Filing] = []
    for place, (record, filed) in enumerate(zip(records, days, strict=True)):
        accession, form = edgar.accession_of(record["accessionNumber"]), record["form"]
        if accession is None or not isinstance(form, str) or filed is None:
            found.rejects.append(tables.reject("bad_entry", "accession number, form and date are expected", record, f"{name}[{place}]"))
        elif wanted(filed):
            accepted = edgar.submission_instant(record["acceptanceDateTime"], clock)
            period = times.parse_date(record["reportDate"])
            listed.append(Filing(accession=accession, form=form, ciks={cik}, accepted_at=accepted, filed=filed, period=period))
    edgar.mostly(len(records) - len(found.rejects), len(found.rejects), name, "filings with accession number, form and date")
    for filing in sorted(listed, key=lambda f: (f.filed or date.min, f.accepted_at or datetime.max.replace(tzinfo=times.NEW_YORK))):
        found.add(filing)
    return found
