"""The disclosures of the House from its Clerk: the year's index of filings, and the reports of transactions as PDF."""

import hashlib
import io
import logging
import re
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import congress, house_reports, markup, rates, tables, times
from scrapers import disclosure_forms as forms
from scrapers.base import Batch, Reject
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http, Response

SOURCE = "house_clerk"
BASE = "https://disclosures-clerk.house.gov/public_disc"
RATE = rates.HOUSE
MAX_INDEX_BYTES = 64 * 1024**2
MAX_TEXT = 4_000_000
TAIL = 2048
"""Bytes at the end of a PDF among which its mark of the end stands."""
SMALL = 3
"""Reports of one fetch from which on most of them must be readable."""
KEPT, KEPT_LENGTH = 4096, 8192
"""Texts that are kept, and the characters of the longest: fetches overlap, and reading a PDF takes longer than asking for it."""

_texts: dict[bytes, str] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One report of transactions in the index. year: of the index, which is part of the report's address."""

    member: str
    district: str
    year: int
    filed: date
    doc_id: str

    @property
    def url(self) -> str:
        """Where the report is."""
        return f"{BASE}/ptr-pdfs/{self.year}/{self.doc_id}.pdf"

    @property
    def scanned(self) -> bool:
        """Reports on paper have numbers of seven digits that begin with 8 or 9; they hold no text."""
        return bool(re.fullmatch(r"[89]\d{6}", self.doc_id))


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Transactions of the reports filed from `since` to `until`, each asked for once.

    Option `backfill` gives rows the archive's `known_at`, and those that became known then. A report on paper is one reject,
    `scanned_paper`. An amended transaction is a new version of its row, a deleted one withdraws it. Raises SourceChanged when the
    index, or most of the reports, has another shape.
    """
    backfill = bool(options.get("backfill"))
    first, last = times.new_york_date(since - timedelta(days=int(backfill))), times.new_york_date(until)
    filings: list[Filing] = []
    items: list[tables.Timed | Reject] = []
    for year in range(first.year, last.year + 1):
        for each in _index(http, year, last, backfill):
            if isinstance(each, Reject):
                items.append(each)
            elif first <= each.filed <= last:
                filings.append(each)
    stated, rejects = read_all(http, sorted(filings, key=lambda filing: (filing.filed, filing.doc_id)))
    items += [*rejects, *congress.versions(stated, live=not backfill)]
    yield from tables.batches(congress.CongressTrade, congress.within(items, since, until) if backfill else items)


def _index(http: "Http", year: int, last: date, backfill: bool) -> Iterator[Filing | Reject]:
    """The year's reports. In the first days of a year its file may not exist yet; one that has not changed has been read before."""
    url = f"{BASE}/financial-pdfs/{year}FD.zip"
    young = (404,) if year == last.year and last.month == 1 else ()
    answer = http.get(url, source=SOURCE, rate=RATE, accept=young, conditional=not backfill)
    if answer.status != 404 and not answer.not_modified:
        yield from parse_index(unzipped(answer.content, url), url, year)


def unzipped(content: bytes, name: str) -> bytes:
    """The XML file of an index; SourceChanged when it is no archive, holds none, or one of more than 64 MB."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = next((info for info in archive.infolist() if info.filename.lower().endswith(".xml")), None)
            if inside is None or inside.file_size > MAX_INDEX_BYTES:
                raise SourceChanged(f"{name}: an XML file of at most {MAX_INDEX_BYTES} bytes was expected in the archive")
            with archive.open(inside) as file:
                found = file.read(MAX_INDEX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise SourceChanged(f"{name}: the body is no readable zip archive ({type(error).__name__}: {str(error)[:200]})") from error
    if len(found) > MAX_INDEX_BYTES:
        raise SourceChanged(f"{name}: the index exceeds {MAX_INDEX_BYTES} bytes")
    return found


def parse_index(content: bytes, name: str, year: int | None = None) -> Iterator[Filing | Reject]:
    """The reports of transactions (filing type P) of an index. year: of its file; None: as each record says.

    Raises SourceChanged for another document, and when most records lack what identifies a filing.
    """
    root = markup.xml_of(content, name)
    members = [{child.tag: (child.text or "").strip() for child in member} for member in root.iter("Member")]
    whole = [member for member in members if {"Last", "FilingType", "FilingDate", "DocID"} <= set(member)]
    if root.tag != "FinancialDisclosure" or 2 * len(whole) < len(members):
        raise SourceChanged(f"{name}: members with Last, FilingType, FilingDate and DocID were expected below FinancialDisclosure")
    if not members:
        raise SourceChanged(f"{name}: an index without a filing")
    for number, member in enumerate(members):
        if member.get("FilingType", "P") == "P":
            yield _filing(member, f"{name}[{number}]", year)


def _filing(member: dict[str, str], at: str, year: int | None) -> Filing | Reject:
    filed, doc_id = times.parse_date(member.get("FilingDate")), member.get("DocID", "")
    name = " ".join(part for part in (member.get(part, "") for part in ("First", "Last", "Suffix")) if part)
    own = member.get("Year", "")
    if filed is None:
        return tables.reject("no_disclosure_date", f"filed {member.get('FilingDate')!r}", member, at)
    if not re.fullmatch(r"\d{5,10}", doc_id):
        return tables.reject("not_a_record", f"document {doc_id!r}", member, at)
    of = year or (int(own) if re.fullmatch(r"20\d\d", own) else filed.year)
    return Filing(member=name, district=member.get("StateDst", ""), year=of, filed=filed, doc_id=doc_id)


def read_all(http: "Http", filings: list[Filing]) -> tuple[list[congress.Stated], list[Reject]]:
    """The transactions of the filings' reports, and what was refused. SourceChanged when most of them hold none that can be read."""
    stated, rejects, asked, unread = list[congress.Stated](), list[Reject](), 0, 0
    for filing in dict.fromkeys(filings):
        if filing.scanned:
            rejects.append(refusal("scanned_paper", "filed on paper, a picture without text", filing))
            continue
        asked += 1
        answer = http.get(filing.url, source=SOURCE, rate=RATE, accept=(404,))
        found = _document(answer, filing)
        unread += not any(isinstance(item, congress.Stated) for item in found)
        stated += [item for item in found if isinstance(item, congress.Stated)]
        rejects += [item for item in found if isinstance(item, Reject)]
    if asked >= SMALL and 2 * unread > asked:
        raise SourceChanged(f"{BASE}/ptr-pdfs: {unread} of {asked} reports hold no transaction that can be read")
    return stated, rejects


def _document(answer: "Response", filing: Filing) -> list[congress.Stated | Reject]:
    if answer.status == 404:
        return [refusal("missing_document", "the index names the report, and it is not there", filing)]
    if not answer.content.lstrip()[:5].startswith(b"%PDF"):
        raise SourceChanged(f"{filing.url}: a PDF was expected, found {answer.content[:60]!r}")
    return list(parse_report(answer.content, filing))


def parse_report(content: bytes, filing: Filing) -> Iterator[congress.Stated | Reject]:
    """The transactions of one report; each that cannot be read is a reject, and so is a report without any."""
    text = text_of(content)
    found = list(house_reports.entries(text)) if text else []
    if not text:
        yield refusal("unreadable_document", "the PDF is damaged or holds no text", filing)
    elif not found:
        said = "no transaction under the headings" if house_reports.has_table(text) else "no table of transactions in the text"
        yield refusal("no_transactions", said, filing)
    seen: congress.Seen = Counter()
    for number, entry in enumerate(found):
        at = f"{filing.url}[{number}]"
        if isinstance(entry, house_reports.Unread):
            yield tables.reject("unread_transaction", "its cells cannot be told apart", {"doc_id": filing.doc_id, "text": entry.text}, at)
            continue
        item = congress.trade(_cells(entry, filing), asdict(entry), at, seen)
        yield item if isinstance(item, Reject) else congress.Stated(item=item, on=filing.filed, struck=entry.status == "deleted")


def _cells(entry: house_reports.Entry, filing: Filing) -> forms.Cells:
    """A report has no number of its own in the key: an amendment is another report, and means the same transaction."""
    return forms.Cells(
        chamber="house",
        member=filing.member,
        state=filing.district,
        owner=entry.owner,
        ticker=entry.ticker,
        description=entry.asset,
        asset_type=entry.asset_type,
        transaction=entry.transaction,
        amount=entry.amount,
        traded=entry.traded,
        disclosed=filing.filed.isoformat(),
        filing_id="",
        url=filing.url,
        origin="house",
        asset_key=f"{entry.asset.lower()} {entry.asset_type}".strip(),
    )


def text_of(content: bytes) -> str:
    """The text of all pages of a PDF; empty when it has none, cannot be read or is not there to its end."""
    digest = hashlib.sha256(content).digest()
    text = _texts.get(digest)
    if text is None:
        text = _read(content)
        with _lock:
            if len(text) <= KEPT_LENGTH and digest not in _texts:
                if len(_texts) >= KEPT:
                    del _texts[next(iter(_texts))]
                _texts[digest] = text
    return text


def _read(content: bytes) -> str:
    if b"%%EOF" not in content[-TAIL:]:
        return ""
    from pypdf import PdfReader
    from pypdf.errors import DeprecationError as PyPdfDeprecated
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    text = ""
    try:
        for page in PdfReader(io.BytesIO(content)).pages:
            text += page.extract_text() + "\n"
            if len(text) > MAX_TEXT:
                return ""
    except (
        PyPdfError, PyPdfDeprecated,
        ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError, RecursionError,
        TypeError, ValueError, zlib.error,
    ):  # fmt: skip  # what the library lets out of a damaged file
        return ""
    return text if text.strip() else ""


def refusal(reason: str, detail: str, filing: Filing) -> Reject:
    """A whole report refused."""
    return tables.reject(reason, detail, asdict(filing), filing.url)


def parse_saved(documents: Iterable[tuple[str, bytes]], filings: Mapping[str, Filing]) -> Iterator[tables.Timed | Reject]:
    """Transactions of saved reports, (name, content) pairs; filings: the index, by document number, which says when each was filed."""
    stated: list[congress.Stated] = []
    for name, content in documents:
        number = re.search(r"filing id #\s*(\d{5,10})", text_of(content), re.IGNORECASE) or re.search(r"(\d{5,10})", name)
        filing = filings.get(number[1]) if number else None
        if filing is None:
            yield tables.reject("no_disclosure_date", "no index that was given says when the report was filed", {"file": name}, name)
            continue
        for item in parse_report(content, filing):
            if isinstance(item, Reject):
                yield item
            else:
                stated.append(item)
    stated.sort(key=lambda each: (each.on, each.item.row.source_url))
    yield from congress.versions(stated, live=False)
